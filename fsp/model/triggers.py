"""Triggers of events, with what they say about the time taken out.

A comparison of the time with a constant, ``s time + c >= 0``, switches once, at ``-c/s``.  It is replaced by a symbol,
so that what is left of a trigger between two switches is a condition on the state.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from fsp.errors import ModelError
from fsp.model.comparisons import condition_in_whole_numbers, in_whole_numbers
from fsp.model.functions import ALL_COMPARISONS
from fsp.model.infix import to_text
from fsp.model.tree import ZERO, Call, Expression, Number, Symbol, Time, call, depends_on_time, substitute, symbols

SAME_TIME = 1e-12  # relative: times that are meant to be the same, and differ by the rounding of formulas
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def same_time(t: Any, other: Any) -> Any:
    """Tell whether times, of whatever size, are meant to be the same."""
    with np.errstate(invalid="ignore"):  # a root that is infinite is no time
        return np.abs(t - other) <= SAME_TIME * np.minimum(np.abs(t), np.abs(other))


class TimePoint(NamedTuple):
    """A time, or the moment right after it."""

    t: float
    after: bool = False


class Switch(NamedTuple):
    """A comparison ``time function root``, the root a formula of parameters."""

    function: str
    root: Expression

    def holds(self, root: Any, moment: TimePoint) -> Any:
        """Return whether it holds at a moment, for values of the root, a float or (n,)."""
        gap = np.where(same_time(moment.t, np.asarray(root)), 0.0, moment.t - root)
        if moment.after:
            gap = np.where(gap == 0.0, 1.0, gap)
        return ALL_COMPARISONS[self.function](gap, 0.0)


@dataclass(frozen=True, slots=True)
class Trigger:
    """A condition on the state and on switches."""

    tree: Expression  # the condition, with a symbol in the place of each switch
    switches: dict[str, Switch]  # the switches, by symbol

    def between(self, roots: dict[str, float], moment: TimePoint, values: dict[str, Expression]) -> Expression:
        """Return the condition on the state that it is at a moment, for roots and other symbols with values."""
        truths = {name: Number(float(s.holds(roots[name], moment))) for name, s in self.switches.items()}
        return in_whole_numbers(substitute(self.tree, {**values, **truths}))


def read_trigger(tree: Expression, what: str) -> Trigger:
    """Take the switches out of a trigger."""
    switches: dict[str, Switch] = {}
    return Trigger(condition_in_whole_numbers(_taken_out(tree, what, switches)), switches)


def _taken_out(tree: Expression, what: str, switches: dict[str, Switch]) -> Expression:
    if not depends_on_time(tree):
        return tree
    if isinstance(tree, Call) and tree.function in ALL_COMPARISONS:
        return call("&&", *(_named(switch, switches) for switch in _switches(tree, what)))
    if isinstance(tree, Call) and tree.function in ("&&", "||", "!", "xor", "implies"):
        return call(tree.function, *(_taken_out(a, what, switches) for a in tree.arguments))
    raise _refused(tree, what)


def _refused(tree: Expression, what: str) -> ModelError:
    return ModelError(
        f"{what} must compare the time with constants, as in 'time >= 25', so that it is known when it becomes true, "
        f"but holds '{to_text(tree)}'; write one event for each time, and join conditions on the state by &&."
    )


def _named(switch: Switch | Expression, switches: dict[str, Switch]) -> Expression:
    if not isinstance(switch, Switch):
        return switch
    name = f"switch {len(switches)}"  # no identifier: it cannot be the name of anything else
    switches[name] = switch
    return Symbol(name)


def _switches(tree: Call, what: str) -> Iterator[Switch | Expression]:
    """Yield the comparisons of two neighbours of a chain such as 10 < time < 20."""
    for left, right in pairwise(tree.arguments):
        line = _line(Call("-", (left, right)))
        if line is None:
            raise _refused(tree, what)
        slope, rest = line
        if slope == 0.0:
            yield call(tree.function, rest, ZERO)
            continue
        function = tree.function if slope > 0.0 else _MIRRORED[tree.function]
        yield Switch(function, call("/", rest, Number(-slope)))


def _line(tree: Expression) -> tuple[float, Expression] | None:
    """Return s and c of ``s time + c``, c without time; None where the tree is not of that form."""
    if isinstance(tree, Time):
        return 1.0, ZERO
    if not depends_on_time(tree):
        return 0.0, tree
    if not isinstance(tree, Call):
        return None
    parts = [_line(a) for a in tree.arguments]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    slopes, rests = [slope for slope, _ in known], [rest for _, rest in known]
    if tree.function == "+":
        return sum(slopes), call("+", *rests)
    if tree.function == "-":
        return slopes[0] - slopes[1], call("-", *rests)
    if tree.function == "neg":
        return -slopes[0], call("neg", *rests)
    return _scaled(tree, slopes, rests)


def _scaled(tree: Call, slopes: list[float], rests: list[Expression]) -> tuple[float, Expression] | None:
    """Return s and c of a line times, or divided by, a number."""
    if len(slopes) != 2 or tree.function not in ("*", "/"):
        return None
    timed = 0 if slopes[0] else 1
    factor = rests[1 - timed]
    if slopes[1 - timed] or not isinstance(factor, Number) or (tree.function == "/" and timed == 1):
        return None
    scale = factor.value if tree.function == "*" else 1.0 / factor.value if factor.value else float("nan")
    if not abs(scale) < float("inf"):
        return None
    return slopes[timed] * scale, call(tree.function, rests[timed], factor)


def check_roots(trigger: Trigger, species: tuple[str, ...], tree: Expression, what: str) -> None:
    """Raise a `ModelError` if the time is compared with what depends on the state."""
    for switch in trigger.switches.values():
        if symbols(switch.root) & set(species):
            raise _refused(tree, what)
