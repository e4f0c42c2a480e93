"""Where a chain ends that comes back to no state it has left.

Where each jump lowers one and the same sum of counts, w·x, and the states are finitely many, the chain ends in a state
that no jump leaves.  Where all jumps are by one and the same change, that is the first such state on the way; else it
is the only one that the conservation laws and the lattice of the changes allow, if there is only one.

States are not looked at one by one: where all rates, enclosed on a box of counts, are at least zero, and one that
rounding cannot have made positive is, jumps leave all of the box.  Other boxes are halved.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fsp.equilibrium.bounded import Bounded, ExactPart, joined_parts
from fsp.model.accuracy import structural
from fsp.model.ranges import enclosure
from fsp.model.spans import ANYTHING
from fsp.model.structure import lowered, same_lattice
from fsp.space import StateSpace

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, IntArray
    from fsp.model import Model

ROWS = 2**16  # states of a way whose rates are evaluated at once
MOST_ROWS = 2**24  # states whose rates are evaluated, a second or a few, before the end is left unknown
MOST_BOXES = 2000  # halvings, a second or a few, before the end is left unknown
EXACT_SUM = 2**53  # size of the terms of a law below which sums of some of them are exact
ONE_WAY_NOTE = "the chain moves one way, and ends in one state"


class _UnknownEnd(Exception):  # noqa: N818 - control flow inside this module only
    """Where the chain ends is not known."""


def one_way(model: Model) -> Bounded | None:
    """Return the state that all of the probability ends in; None where it is not one, or is not found."""
    moves = np.unique(model.change[model.change.any(axis=1)], axis=0)  # (m, d)
    if not model.is_finite or lowered(moves) is None:
        return None
    ends = _Ends(model, moves)
    try:
        places = {tuple(ends.of(start)) for start in model.initial_states}
    except _UnknownEnd:
        return None
    if len(places) > 1:
        return None
    space = StateSpace.from_states(model.species, np.array(list(places)))
    return joined_parts(model, [(ExactPart(space, np.ones(1), 0.0, np.zeros(1)), 1.0)], ONE_WAY_NOTE)


class _Ends:
    """Finds the state that a start ends in."""

    def __init__(self, model: Model, moves: IntArray) -> None:
        self._model, self._moves = model, moves
        self._moving: BoolArray = np.asarray(model.change.any(axis=1))  # (R,)
        self._laws = [law for law, moves in zip(model.rate_expressions, self._moving, strict=True) if moves]
        self._top = model.species_bounds.astype(np.int64)  # (d,)
        self._rows = 0

    @cached_property
    def _known(self) -> list[bool]:
        """Which rates are off by a small share at most, and so are positive where they are computed to be."""
        largest = max(1.0, float(self._top.max()))
        return [law is not None and structural(law, largest) is not None for law in self._laws]

    def of(self, start: IntArray) -> list[int]:
        """Return the state; raises `_UnknownEnd`."""
        end = self._on_the_way(start) if len(self._moves) == 1 else self._among_all(start)
        return [int(n) for n in end]

    def _on_the_way(self, start: IntArray) -> IntArray:
        move = self._moves[0]
        pending = [(0, int((start[move < 0] // -move[move < 0]).min()))]
        while pending:
            first, last = pending.pop()
            middle = (first + last) // 2
            if last - first < ROWS:
                states = start + np.arange(first, last + 1)[:, None] * move  # (n, d)
                stops = np.flatnonzero(self._stops(states))
                if len(stops):
                    end: IntArray = states[stops[0]]
                    return end
            elif not self._leaves(*np.sort(start + np.array([[first], [last]]) * move, axis=0)):
                pending += [(middle + 1, last), (first, middle)]
        raise _UnknownEnd

    def _among_all(self, start: IntArray) -> IntArray:
        boxes, pending = [], [(np.zeros_like(self._top), self._top)]
        for _ in range(MOST_BOXES):
            if not pending:
                break
            low, high = pending.pop()
            if self._is_kept_from(low, high, start) or self._leaves(low, high):
                continue
            if (low < high).any():
                pending += _halves(low, high)
            elif self._stops(low[None])[0] and same_lattice(self._moves, low[None] - start)[0]:
                boxes.append(low)
        if pending or len(boxes) != 1:
            raise _UnknownEnd
        return boxes[0]

    def _is_kept_from(self, low: IntArray, high: IntArray, start: IntArray) -> bool:
        """Tell whether a law has another value in all of a box than at a start."""
        laws = self._model.conservation_laws  # (l, d)
        ends = np.sort(np.stack([laws * low, laws * high]), axis=0).sum(axis=2)  # (2, l)
        held = laws @ start
        exact = (np.abs(laws) * self._top.astype(float)).max(initial=0.0) < EXACT_SUM
        return exact and bool(((held < ends[0]) | (held > ends[1])).any())

    def _leaves(self, low: IntArray, high: IntArray) -> bool:
        """Tell whether jumps leave all states of a box; False where it is not known."""
        if not any(self._known):
            return False
        box = {name: (float(a), float(b)) for name, a, b in zip(self._model.species, low, high, strict=True)}
        least = [(ANYTHING if law is None else enclosure(law, box))[0] for law in self._laws]
        return min(least) >= 0.0 and any(a > 0.0 and known for a, known in zip(least, self._known, strict=True))

    def _stops(self, states: IntArray) -> BoolArray:
        """Tell which states (n, d) no jump leaves; raises `_UnknownEnd` where rounding leaves it open."""
        self._rows += len(states)
        with np.errstate(over="ignore"):  # a rate without bound stops nowhere
            rates = self._model.propensities(states)[self._moving].sum(axis=0)
            errors = self._model.propensity_errors(states)[self._moving].sum(axis=0)
        stops: BoolArray = rates <= 0.0
        if self._rows > MOST_ROWS or np.where(stops, errors > 0.0, errors >= rates).any():
            raise _UnknownEnd
        return stops


def _halves(low: IntArray, high: IntArray) -> list[tuple[IntArray, IntArray]]:
    i = int(np.argmax(high - low))
    middle = (low[i] + high[i]) // 2
    below, above = high.copy(), low.copy()
    below[i], above[i] = middle, middle + 1
    return [(low, below), (above, high)]
