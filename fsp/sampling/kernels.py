"""The compiled loop of the direct method, with a counter-based random generator.

References
----------
D. T. Gillespie, J. Phys. Chem. 81:2340, 1977, doi:10.1021/j100540a008.
J. K. Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011, doi:10.1145/2063384.2063405 (Philox4x64-10).
P. A. W. Lewis, G. S. Shedler, Nav. Res. Logist. Q. 26:403, 1979, doi:10.1002/nav.3800260304 (thinning).
"""

import numpy as np

from fsp.compilation.kernel import I8, Bools, Floats, Floats2, Ints, Ints2, Ints3, Words, kernel

OPERATIONS = (
    "number", "value", "+", "-", "*", "/", "^", "neg", "abs", "exp", "ln", "log10", "log", "sqrt", "root", "floor",
    "ceil", "factorial", "min", "max", "quotient", "rem", "select", "<", "<=", ">", ">=", "==", "!=", "&&", "||",
    "xor", "!", "implies", "inverse", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan",
    "arcsinh", "arccosh", "arctanh",
)  # fmt: skip
CODES = {name: code for code, name in enumerate(OPERATIONS)}

DONE, BAD_RATE, NEGATIVE, TOO_LARGE, TOO_MANY, NO_BOUND = range(6)
LARGEST = 2.0**53  # counts up to here are floats exactly
SLACK = 1e-9  # by which rounding may lift a rate above its bound

_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)  # half of a word
# Multipliers and increments of Philox4x64 (Salmon et al.).
_M0, _M1 = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_W0, _W1 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
_ONE, _SHIFT = np.uint64(1), np.uint64(11)

_NUMBER, _VALUE, _ADD, _SUB, _MUL, _DIV, _POW = (CODES[n] for n in ("number", "value", "+", "-", "*", "/", "^"))
_NEG, _ABS, _EXP, _LN, _LOG10, _LOG = (CODES[n] for n in ("neg", "abs", "exp", "ln", "log10", "log"))
_SQRT, _ROOT, _FLOOR, _CEIL, _FACT = (CODES[n] for n in ("sqrt", "root", "floor", "ceil", "factorial"))
_MIN, _MAX, _QUOT, _REM, _SELECT = (CODES[n] for n in ("min", "max", "quotient", "rem", "select"))
_LT, _LE, _GT, _GE, _EQ, _NE = (CODES[n] for n in ("<", "<=", ">", ">=", "==", "!="))
_AND, _OR, _XOR, _NOT, _IMPLIES, _INV = (CODES[n] for n in ("&&", "||", "xor", "!", "implies", "inverse"))
_SIN, _COS, _TAN, _SINH, _COSH, _TANH = (CODES[n] for n in ("sin", "cos", "tan", "sinh", "cosh", "tanh"))
_ASIN, _ACOS, _ATAN = (CODES[n] for n in ("arcsin", "arccos", "arctan"))
_ASINH, _ACOSH, _ATANH = (CODES[n] for n in ("arcsinh", "arccosh", "arctanh"))


@kernel(nogil=True, error_model="numpy")
def _unary(op, x):
    if op == _NEG:
        return -x
    if op == _NOT:
        return 1.0 if x == 0.0 else 0.0
    if op == _INV:
        return 1.0 / x
    if op == _ABS:
        return abs(x)
    if op == _EXP:
        return np.exp(x)
    if op == _LN:
        return np.log(x)
    if op == _LOG10:
        return np.log10(x)
    if op == _SQRT:
        return np.sqrt(x)
    if op == _FLOOR:
        return np.floor(x)
    if op == _CEIL:
        return np.ceil(x)
    if op == _FACT:
        if x < 0.0 or x != np.floor(x):
            return np.nan
        product = 1.0
        for k in range(2, int(min(x, 171.0)) + 1):
            product *= k
        return product
    if op == _SIN:
        return np.sin(x)
    if op == _COS:
        return np.cos(x)
    if op == _TAN:
        return np.tan(x)
    if op == _SINH:
        return np.sinh(x)
    if op == _COSH:
        return np.cosh(x)
    if op == _TANH:
        return np.tanh(x)
    if op == _ASIN:
        return np.arcsin(x)
    if op == _ACOS:
        return np.arccos(x)
    if op == _ATAN:
        return np.arctan(x)
    if op == _ASINH:
        return np.arcsinh(x)
    if op == _ACOSH:
        return np.arccosh(x)
    return np.arctanh(x)


@kernel(nogil=True, error_model="numpy")
def _binary(op, x, y):
    if op == _POW:
        return np.power(x, y)
    if op == _LOG:
        return np.log(y) / np.log(x)
    if op == _ROOT:
        return np.cbrt(y) if x == 3.0 else np.power(y, 1.0 / x)
    if op == _MIN:
        return np.minimum(x, y)
    if op == _MAX:
        return np.maximum(x, y)
    if op == _QUOT:
        return np.trunc(x / y)
    if op == _REM:
        return np.fmod(x, y)
    if op == _LT:
        return 1.0 if x < y else 0.0
    if op == _LE:
        return 1.0 if x <= y else 0.0
    if op == _GT:
        return 1.0 if x > y else 0.0
    if op == _GE:
        return 1.0 if x >= y else 0.0
    if op == _EQ:
        return 1.0 if x == y else 0.0
    if op == _NE:
        return 1.0 if x != y else 0.0
    if op == _AND:
        return 1.0 if x != 0.0 and y != 0.0 else 0.0
    if op == _OR:
        return 1.0 if x != 0.0 or y != 0.0 else 0.0
    if op == _XOR:
        return 1.0 if (x != 0.0) != (y != 0.0) else 0.0
    return 1.0 if x == 0.0 or y != 0.0 else 0.0


@kernel(nogil=True, error_model="numpy")
def value(code: Ints2, begin: I8, end: I8, numbers: Floats, values: Floats, stack: Floats):
    """Return the value of a program."""
    top = -1
    for i in range(begin, end):
        op = code[i, 0]
        if op == _NUMBER:
            top += 1
            stack[top] = numbers[code[i, 1]]
        elif op == _VALUE:
            top += 1
            stack[top] = values[code[i, 1]]
        elif op == _MUL:
            top -= 1
            stack[top] = stack[top] * stack[top + 1]
        elif op == _ADD:
            top -= 1
            stack[top] = stack[top] + stack[top + 1]
        elif op == _SUB:
            top -= 1
            stack[top] = stack[top] - stack[top + 1]
        elif op == _DIV:
            top -= 1
            stack[top] = stack[top] / stack[top + 1]
        elif op == _SELECT:
            top -= 2
            if stack[top + 2] != 0.0:
                stack[top] = stack[top + 1]
        elif _NEG <= op <= _LN or op in (_LOG10, _SQRT, _NOT) or _FLOOR <= op <= _FACT or op >= _INV:
            stack[top] = _unary(op, stack[top])
        else:
            top -= 1
            stack[top] = _binary(op, stack[top], stack[top + 1])
    return stack[0]


@kernel(nogil=True)
def _high(a, b):
    """Return the upper half of a product of two words."""
    a0, a1, b0, b1 = a & _LOW, a >> _HALF, b & _LOW, b >> _HALF
    middle = a1 * b0 + ((a0 * b0) >> _HALF)
    other = a0 * b1 + (middle & _LOW)
    return a1 * b1 + (middle >> _HALF) + (other >> _HALF)


@kernel(nogil=True)
def refill(counter: Words, key: Words, words: Words):
    """Advance the counter, (4,), by one, and fill `words`, (4,), with its random words."""
    counter[0] += _ONE
    if counter[0] == np.uint64(0):
        counter[1] += _ONE
    c0, c1, c2, c3 = counter[0], counter[1], counter[2], counter[3]
    k0, k1 = key[0], key[1]
    for _ in range(10):
        h0, h1 = _high(_M0, c0), _high(_M1, c2)
        c0, c1, c2, c3 = h1 ^ c1 ^ k0, _M1 * c2, h0 ^ c3 ^ k1, _M0 * c0
        k0 += _W0
        k1 += _W1
    words[0], words[1], words[2], words[3] = c0, c1, c2, c3


@kernel(nogil=True)
def _uniform(counter, key, words, place):
    """Return a number in [0, 1) of the stream; `place`, (1,), is the next word."""
    if place[0] == 4:
        refill(counter, key, words)
        place[0] = 0
    word = words[place[0]]
    place[0] += 1
    return np.float64(word >> _SHIFT) * 2.0**-53


@kernel(inline="always")
def _copy(values, target):
    for j in range(len(values)):
        target[j] = values[j]


@kernel(inline="always")
def _tell(values, t, where):
    """Write the state and the time, at which a run stopped."""
    _copy(values[: len(where) - 1], where)
    where[-1] = t


@kernel(nogil=True, error_model="numpy")
def direct(first: I8, last: I8, key: Words, phase: I8, code: Ints2, numbers: Floats, rates: Ints2, bounds: Ints2,
           timed: Bools, depth: I8, starts: Floats2, cumulative: Floats, at: Ints, pointer: Ints, moved: Ints,
           amount: Floats, reach: Ints, affected: Ints, clocked: Ints, times: Floats, windows: Floats,
           clocks: Floats2, most: I8, out: Ints3, where: Floats):  # fmt: skip
    """Sample runs `first` to `last` (excluded) into `out`, (runs, times, species), from the first of the `windows` on.

    Run i starts in ``starts[at[i]]``, or where `at` is empty in one of them, drawn by their `cumulative` probabilities.
    Programs of rates and of their bounds begin and end at `rates` and `bounds`, (R, 2); `moved`, `amount` are the
    changes of reaction k from `pointer[k]` to `pointer[k + 1]`, `affected` the reactions whose bound reads them, from
    `reach[k]`; `clocked` those whose bound is another one in each of the `windows`, in which `clocks` are bounds.
    Returns why it stopped, in which reaction and run; `where`, (d + 1,), is then the state and the time.

    One loop nest: cut into functions, with the same samples, it took a third longer (400 runs of birth_death.ant).
    """
    R, d, n = len(rates), starts.shape[1], len(times)
    values = np.empty(d + clocks.shape[1] + 1)
    stack = np.empty(depth)
    a = np.empty(R)
    counter, words, place = np.empty(4, np.uint64), np.empty(4, np.uint64), np.empty(1, np.int64)
    for run in range(first, last):
        counter[:] = np.uint64(0)
        counter[2], counter[3] = np.uint64(run), np.uint64(phase)
        place[0] = 4
        start = at[run] if len(at) else 0
        if not len(at) and len(starts) > 1:
            u = _uniform(counter, key, words, place) * cumulative[-1]
            start, beyond = 0, len(starts) - 1
            while start < beyond:  # the first whose cumulative probability is above u, or the last
                middle = (start + beyond) // 2
                if cumulative[middle] > u:
                    beyond = middle
                else:
                    start = middle + 1
        for j in range(d):
            values[j] = starts[start, j]
        w, t, o, jumps = 0, windows[0], 0, 0
        _copy(clocks[0], values[d:])
        for k in range(R):
            a[k] = value(code, bounds[k, 0], bounds[k, 1], numbers, values, stack)
        while True:
            total = 0.0
            for k in range(R):
                if not (a[k] >= 0.0 and a[k] < np.inf):
                    _tell(values, t, where)
                    return BAD_RATE, k, run
                total += a[k]
            wait = -np.log1p(-_uniform(counter, key, words, place)) / total if total > 0.0 else np.inf
            arrival = t + wait
            until = min(arrival, windows[w + 1])
            while o < n and times[o] < until:
                _copy(values[:d], out[run, o])
                o += 1
            if o == n:
                break
            if arrival >= windows[w + 1]:
                if w + 2 == len(windows):  # the last time is the end of the last window
                    for late in range(o, n):
                        _copy(values[:d], out[run, late])
                    break
                w += 1
                t = windows[w]
                _copy(clocks[w], values[d:])
                for k in clocked:
                    a[k] = value(code, bounds[k, 0], bounds[k, 1], numbers, values, stack)
                continue
            t = arrival
            jumps += 1
            if jumps > most:
                _tell(values, t, where)
                return TOO_MANY, 0, run
            left = _uniform(counter, key, words, place) * total
            chosen = -1
            for k in range(R):
                if a[k] > 0.0:
                    chosen = k
                    if left < a[k]:
                        break
                    left -= a[k]
            if timed[chosen]:
                values[-1] = t
                rate = value(code, rates[chosen, 0], rates[chosen, 1], numbers, values, stack)
                if not (rate >= 0.0 and rate <= a[chosen] * (1.0 + SLACK)):
                    _tell(values, t, where)
                    return (NO_BOUND if rate >= 0.0 and rate < np.inf else BAD_RATE), chosen, run
                if _uniform(counter, key, words, place) * a[chosen] >= rate:
                    continue
            for i in range(pointer[chosen], pointer[chosen + 1]):
                j = moved[i]
                values[j] += amount[i]
                if values[j] < 0.0 or values[j] > LARGEST:
                    status = NEGATIVE if values[j] < 0.0 else TOO_LARGE
                    for back in range(pointer[chosen], i + 1):
                        values[moved[back]] -= amount[back]
                    _tell(values, t, where)
                    return status, chosen, run
            for i in range(reach[chosen], reach[chosen + 1]):
                k = affected[i]
                a[k] = value(code, bounds[k, 0], bounds[k, 1], numbers, values, stack)
    return DONE, 0, last
