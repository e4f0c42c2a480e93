"""Rate rules with a closed form, as values that depend on time.

A rule V' = a V + b whose a and b hold no species is the same for all states, so that V is a function of time alone,

    V(t) = V(0) E(t) + P(t),   E = exp ∫a,   P = ∫b where a = 0,   P = b (E − 1)/a where both are constant.

Integrals are those of sums of powers of the time and of exp, sin and cos of what is linear in it.  An event that sets
V at a time t sets V(0) = (V − P(t))/E(t).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fsp.errors import ModelError
from fsp.model.infix import to_text
from fsp.model.tree import ONE, ZERO, Call, Expression, Number, Symbol, Time, at_time, call, substitute, walk

START_ATTRIBUTE = "start"  # V.start is the value that V has at time zero, or would have had


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A value that changes in time: start · growth + made."""

    start: str  # name of the value at time zero
    growth: Expression
    made: Expression
    zeros: tuple[Expression, ...] = ()  # formulas of constants that are zero in the file, and left out here

    @property
    def value(self) -> Expression:
        """The value at a time."""
        return call("+", call("*", Symbol(self.start), self.growth), self.made)

    def start_for(self, value: Expression) -> Expression:
        """Return what the value at time zero must be for another one at a time."""
        return call("/", call("-", value, self.made), self.growth)


@dataclass(frozen=True, slots=True)
class _Constants:
    """Constants of the file, and the formulas of them that were looked at and are zero."""

    values: Mapping[str, Expression]
    zeros: list[Expression] = field(default_factory=list)

    def make_zero(self, tree: Expression) -> bool:
        """Tell whether a formula is zero by its constants."""
        is_zero = substitute(tree, self.values) == ZERO
        if is_zero and tree != ZERO:
            self.zeros.append(tree)
        return is_zero


def course(name: str, rate: Expression, constants: Mapping[str, Expression]) -> Trajectory:
    """Solve V' = rate, a tree of V, time and constants; `constants`, the values that are known, tell what is zero."""
    parts, known = linear(rate, Symbol(name)), _Constants(constants)
    solution = None if parts is None else _solved(*parts, known)
    if solution is None:
        raise ModelError(
            f"rateRule for '{name}' must have a closed form here, {name}' = a*{name} + b of constants, or one of a and "
            f"b 0 and the other a sum of powers of the time and of exp, sin and cos of it, but is {to_text(rate)}; "
            f"give '{name}' an assignment rule in the time, or make it a species that reactions change."
        )
    return Trajectory(f"{name}.{START_ATTRIBUTE}", *solution, tuple(known.zeros))


def _solved(a: Expression, b: Expression, constants: _Constants) -> tuple[Expression, Expression] | None:
    if constants.make_zero(a):
        made = integral(b, constants)
        return None if made is None else (ONE, made)
    exponent = integral(a, constants)
    if exponent is None:
        return None
    growth = call("exp", exponent)
    if constants.make_zero(b):
        return growth, ZERO
    if not (_is_free(a, Time()) and _is_free(b, Time())):
        return None
    return growth, call("*", b, call("/", call("-", growth, ONE), a))


def _is_free(tree: Expression, variable: Expression) -> bool:
    return all(node != variable for node in walk(tree))


def linear(tree: Expression, variable: Expression) -> tuple[Expression, Expression] | None:
    """Return a and b of a tree a·variable + b, both free of the variable; None where it is none."""
    if _is_free(tree, variable):
        return ZERO, tree
    if tree == variable:
        return ONE, ZERO
    if not isinstance(tree, Call) or tree.function not in ("+", "-", "neg", "*", "/"):
        return None
    parts = [linear(argument, variable) for argument in tree.arguments]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    if tree.function in ("+", "-", "neg"):
        slopes, rests = zip(*known, strict=True)
        return call(tree.function, *slopes), call(tree.function, *rests)
    inner = [k for k, (slope, _) in enumerate(known) if slope != ZERO]
    if len(inner) != 1 or (tree.function == "/" and inner != [0]):
        return None
    k = inner[0]

    def around(factor: Expression) -> Expression:
        return call(tree.function, *tree.arguments[:k], factor, *tree.arguments[k + 1 :])

    slope, rest = known[k]
    return around(slope), ZERO if rest == ZERO else around(rest)


def integral(tree: Expression, constants: _Constants) -> Expression | None:
    """Return ∫ tree from zero to the time; None where it is not in the table."""
    if _is_free(tree, Time()):
        return call("*", tree, Time())
    if tree == Time():
        return call("/", call("^", Time(), Number(2.0)), Number(2.0))
    if not isinstance(tree, Call):
        return None
    if tree.function in ("+", "-", "neg"):
        terms = [integral(argument, constants) for argument in tree.arguments]
        known = [term for term in terms if term is not None]
        return call(tree.function, *known) if len(known) == len(terms) else None
    if tree.function in ("*", "/"):
        return _of_product(tree, constants)
    if tree.function == "^":
        return _of_power(*tree.arguments)
    return _of_function(tree, constants)


def _of_product(tree: Call, constants: _Constants) -> Expression | None:
    """Integrate what is constant but for one factor, or a power of the time."""
    inner = [k for k, argument in enumerate(tree.arguments) if not _is_free(argument, Time())]
    if tree.function == "*" and len(inner) > 1 and all(tree.arguments[k] == Time() for k in inner):
        rest = [argument for k, argument in enumerate(tree.arguments) if k not in inner]
        power = _of_power(Time(), Number(float(len(inner))))
        return None if power is None else call("*", *rest, power)
    if len(inner) != 1 or (tree.function == "/" and inner != [0]):
        return None
    k = inner[0]
    factor = integral(tree.arguments[k], constants)
    return None if factor is None else call(tree.function, *tree.arguments[:k], factor, *tree.arguments[k + 1 :])


def _of_power(base: Expression, exponent: Expression) -> Expression | None:
    if base != Time() or not isinstance(exponent, Number) or exponent.value < 0.0:
        return None
    more = Number(exponent.value + 1.0)
    return call("/", call("^", Time(), more), more)


def _of_function(tree: Call, constants: _Constants) -> Expression | None:
    """Integrate exp, sin and cos of α t + β."""
    rows = {"exp": ("exp", 1.0), "sin": ("cos", -1.0), "cos": ("sin", 1.0)}  # the primitive, and its sign
    parts = linear(tree.arguments[0], Time()) if tree.function in rows else None
    if parts is None:
        return None
    name, sign = rows[tree.function]
    if constants.make_zero(parts[0]):
        return call("*", at_time(tree, 0.0), Time())
    primitive = call(name, tree.arguments[0])
    return call("/", call("*", Number(sign), call("-", primitive, at_time(primitive, 0.0))), parts[0])
