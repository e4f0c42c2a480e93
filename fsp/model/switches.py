"""Times at which rates that depend on time jump or bend.

Comparisons, min, max, abs, floor, ceil, quotient and rem of arguments that hold no species change at times that can be
found beforehand: a sign, or a whole part, that differs between neighbouring points of a grid is located by bisection.
An argument that is monotone, such as ``time > 3``, is never missed; one that changes back within a grid step
(a ten-thousandth of the whole time) is, and is left to the interval arithmetic of `fsp.model.taylor`, by which a solver
sees that a step goes over it.  Callables cannot be looked into.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from fsp.arrays import FloatArray
from fsp.model.program import compiled
from fsp.model.tree import Call, Expression, depends_on_time, symbols, walk

if TYPE_CHECKING:
    from fsp.model import Model

GRID_STEPS = 10_000  # of the whole time: a switch that turns back within one is left to interval arithmetic
RESOLUTION = 1e-12  # of the whole time
SWITCHING = {"<", "<=", ">", ">=", "==", "!=", "min", "max"}
ROUNDING_FUNCTIONS = {"floor", "ceil", "quotient"}


def stops(model: Model, requested: FloatArray, begin: float, until: float) -> FloatArray:
    """Return the times, ascending, at which a computation stops: no step passes one at which rates jump or bend.

    The times that are `requested` lie from `begin` on; `until` is a stop unless it is infinite.
    """
    fixed = requested if np.isinf(until) else np.union1d(requested, [until])
    if not model.is_time_dependent or not len(fixed):
        return fixed
    last = float(fixed[-1])
    switches = switch_times(model.rate_expressions, last)
    gaps = np.abs(switches[:, None] - fixed).min(axis=1)
    return np.union1d(fixed, switches[(gaps > RESOLUTION * last) & (switches > begin)])


def switch_times(laws: Iterable[Expression | None], t_end: float) -> FloatArray:
    """Return the times in (0, t_end) at which the rate laws jump or bend."""
    grid = np.linspace(0.0, t_end, GRID_STEPS + 1)
    known_times: set[float] = set()
    for branch in {branch for law in laws if law is not None for branch in _branches(law)}:
        with np.errstate(all="ignore"):
            side = branch(grid)
            for k in np.flatnonzero(side[1:] != side[:-1]):
                known_times.add(_bisect(branch, grid[k], grid[k + 1]))
    times = np.array(sorted(t for t in known_times if 0.0 < t < t_end))
    apart = np.diff(times, prepend=0.0) > RESOLUTION * t_end  # a change at a point of floating point is found twice
    return times[apart]


def _branches(law: Expression) -> Iterator[Callable[[FloatArray], FloatArray]]:
    """Yield functions of time whose value changes where the law switches."""
    for node in walk(law):
        if not isinstance(node, Call) or symbols(node) or not depends_on_time(node):
            continue
        if node.function in SWITCHING:
            for left, right in pairwise(node.arguments):
                yield _sign(Call("-", (left, right)))
        elif node.function == "abs":
            yield _sign(node.arguments[0])
        elif node.function in ROUNDING_FUNCTIONS:
            yield _value(node)
        elif node.function == "rem":
            yield _value(Call("quotient", node.arguments))


def _sign(expr: Expression) -> Callable[[FloatArray], FloatArray]:
    program = compiled(expr)
    return lambda t: np.sign(program({}, t)) + np.zeros_like(t)  # type: ignore[arg-type]


def _value(expr: Expression) -> Callable[[FloatArray], FloatArray]:
    program = compiled(expr)
    return lambda t: program({}, t) + np.zeros_like(t)  # type: ignore[arg-type]


def _bisect(branch: Callable[[FloatArray], FloatArray], low: float, high: float) -> float:
    """Return the first number after which the branch is no longer what it is at `low`."""
    before = branch(np.array([low]))[0]
    while True:
        middle = 0.5 * (low + high)
        if middle in (low, high):
            return float(high)
        if branch(np.array([middle]))[0] == before:
            low = middle
        else:
            high = middle
