"""Derivatives of rate laws by one symbol, a parameter or a species, as trees."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fsp.errors import ModelError
from fsp.model.functions import COMPARISONS
from fsp.model.tree import ONE, ZERO, Call, Expression, Number, call, depends_on_time, symbols

NOW = "time "  # stands for the time where that is differentiated by: no name of a model ends so
Pairs = list[tuple[Expression, Expression]]  # arguments of a function, each with its derivative


def derivative(tree: Expression, name: str) -> Expression:
    """Differentiate a rate law by one symbol; a ModelError where no derivative is known.

    Conditions of the time and the symbol alone stay as they are: that they switch at another time is not part of it.
    """
    if name not in symbols(tree):
        return ZERO
    if not isinstance(tree, Call):
        return ONE
    if tree.function in COMPARISONS and symbols(tree) == {name} and (name == NOW or depends_on_time(tree)):
        return ZERO  # the time at which it switches moves, which is another matter
    rule = _RULES.get(tree.function)
    if rule is None:
        raise ModelError(
            f"A rate must be a smooth function of '{name}' for its derivative, but has `{tree.function}`, of which "
            f"none is known."
        )
    apart = _drawn_apart(tree, name)
    if apart is not None:
        return derivative(apart, name)
    return rule([(a, derivative(a, name)) for a in tree.arguments])


def plus(*parts: Expression) -> Expression:
    """Add trees, leaving out zeros."""
    kept = [part for part in parts if part != ZERO]
    return call("+", *kept) if len(kept) > 1 else kept[0] if kept else ZERO


def times(*factors: Expression) -> Expression:
    """Multiply trees; zero where a factor is."""
    return ZERO if ZERO in factors else call("*", *factors)


def _drawn_apart(tree: Call, name: str) -> Expression | None:
    """Return (f g)^n as f^n g^n, and ln(f g) as ln f + ln g, with f free of the symbol; None where nothing is gained.

    Where f is zero, so is f^n for every value of the symbol, while the power of a lower exponent may be infinite there.
    """
    if tree.function not in ("^", "sqrt", "ln", "log10") or _is_smooth_at_zero(tree):
        return None
    free, rest = _split(tree.arguments[0], name)
    if ONE in (free, rest):
        return None
    return call("+" if tree.function in ("ln", "log10") else "*", *(_with_base(tree, part) for part in (free, rest)))


def _is_smooth_at_zero(tree: Call) -> bool:
    """Return whether a function is a power that has a finite derivative where its base is zero."""
    exponent = tree.arguments[-1]
    return tree.function == "^" and isinstance(exponent, Number) and exponent.value >= 1.0


def _with_base(tree: Call, base: Expression) -> Expression:
    return call(tree.function, base, *tree.arguments[1:])


def _split(tree: Expression, name: str) -> tuple[Expression, Expression]:
    """Return factors of a tree, (f, g): without a symbol, and the rest."""
    if name not in symbols(tree):
        return tree, ONE
    if not isinstance(tree, Call) or tree.function not in ("*", "/", "^", "sqrt"):
        return ONE, tree
    if tree.function in ("^", "sqrt"):
        free, rest = _split(tree.arguments[0], name)
        apart = free != ONE and (tree.function == "sqrt" or name not in symbols(tree.arguments[1]))
        return (_with_base(tree, free), _with_base(tree, rest)) if apart else (ONE, tree)
    parts = zip(*(_split(a, name) for a in tree.arguments), strict=True)
    free, rest = (call(tree.function, *part) for part in parts)
    return free, rest


def _negated(a: Expression) -> Expression:
    return times(Number(-1.0), a)


def _product(pairs: Pairs) -> Expression:
    others = [[a for j, (a, _) in enumerate(pairs) if j != i] for i in range(len(pairs))]
    return plus(*(times(slope, *rest) for (_, slope), rest in zip(pairs, others, strict=True)))


def _quotient(pairs: Pairs) -> Expression:
    (top, rise), (bottom, slope) = pairs
    squared = call("^", bottom, Number(2.0))
    first = ZERO if rise == ZERO else call("/", rise, bottom)
    return plus(first, ZERO if slope == ZERO else _negated(call("/", times(top, slope), squared)))


def _power(pairs: Pairs) -> Expression:
    (base, slope), (exponent, rise) = pairs
    lower = call("^", base, call("-", exponent, ONE))
    if rise == ZERO:
        return times(exponent, lower, slope)
    growth = times(call("^", base, exponent), call("ln", base), rise)
    if not isinstance(base, Number):  # 0^n stays 0 for n > 0, where its logarithm is infinite
        growth = call("piecewise", growth, call(">", _numerator(base), ZERO), ZERO)
    return plus(times(exponent, lower, slope), growth)


def _numerator(tree: Expression) -> Expression:
    """Return what is zero where a tree is, without divisors: parameters in those may be differentiated by."""
    return _numerator(tree.arguments[0]) if isinstance(tree, Call) and tree.function == "/" else tree


def _choice(pairs: Pairs) -> Expression:
    """Choose among the slopes; a condition on states in which the symbol occurs has none, and was refused."""
    chosen = [slope if k % 2 == 0 else a for k, (a, slope) in enumerate(pairs)]
    return call("piecewise", *chosen)


def _chain(outer: Callable[[Expression], Expression]) -> Callable[[Pairs], Expression]:
    """Return the rule of a function of one argument with the derivative `outer`."""
    return lambda pairs: times(outer(pairs[0][0]), pairs[0][1])


def _over(a: Expression) -> Expression:
    return call("/", ONE, a)


# rules of differentiation, by the function:
_RULES: dict[str, Callable[[Pairs], Expression]] = {
    "+": lambda pairs: plus(*(slope for _, slope in pairs)),
    "-": lambda pairs: plus(pairs[0][1], _negated(pairs[1][1])),
    "neg": lambda pairs: _negated(pairs[0][1]),
    "*": _product,
    "/": _quotient,
    "^": _power,
    "exp": _chain(lambda a: call("exp", a)),
    "ln": _chain(_over),
    "log10": _chain(lambda a: call("/", Number(1.0 / np.log(10.0)), a)),
    "sqrt": _chain(lambda a: call("/", Number(0.5), call("sqrt", a))),
    "sin": _chain(lambda a: call("cos", a)),
    "cos": _chain(lambda a: _negated(call("sin", a))),
    "piecewise": _choice,
    "tanh": _chain(lambda a: call("-", ONE, call("^", call("tanh", a), Number(2.0)))),
}
