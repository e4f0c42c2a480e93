"""Events that the state triggers, as reactions.

A jump x → x + ν that makes a trigger true lands on another state, and so is a reaction of its own:

    a(x) [x does not trigger]           with the change ν, and
    a(x) [x triggers, x_D = v]          with the change that the events make of it, for each v.

D are the species on whose counts that change depends.  The values v are enumerated in the box, and on the conservation
laws, that the model keeps with all of its changes, those of the events included: larger sets of changes are tried
until nothing is added, so that the box holds all states by induction over the jumps.  By the same induction X stays
below c where a trigger ``X >= c`` has an event that takes it back, and where no reaction makes more of it at X >= c.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import NamedTuple

import numpy as np

from fsp.arrays import FloatArray, IntArray
from fsp.errors import ModelError
from fsp.model.event import Event
from fsp.model.event_execution import Rules
from fsp.model.ranges import Box, enclosure, last_count, points
from fsp.model.structure import conservation_laws, species_bounds
from fsp.model.tree import Call, Expression, Number, Symbol, call, depends_on_time, substitute, symbols
from fsp.model.triggers import TimePoint

MOST_CHANGES = 2000  # of an event on a reaction, each a reaction of its own: a generator works on every one
MOST_PASSES = 20  # over the reactions, as one event's changes may trigger others; chains of events are shorter
_FEW_COUNTS = 8  # counts that are compared one by one; for more the condition itself is evaluated
_SOME_COUNT = 2.0**30  # in place of counts on which a change does not depend; sums with it are exact
_ALWAYS = TimePoint(0.0)  # the triggers have no switches


class TriggeredReaction(NamedTuple):
    """What becomes of a reaction in part of the states."""

    reaction: int  # number of the reaction
    change: tuple[int, ...]  # net change of each species, (d,)
    guard: Expression  # factor of the propensity, 0 or 1
    events: str  # names of the events; none where nothing is triggered


@dataclass(frozen=True, slots=True)
class TriggeredReactions:
    """The reactions of a network with events that the state triggers."""

    parts: tuple[TriggeredReaction, ...]  # what becomes of each reaction
    largest: FloatArray  # largest count of each species that the events see to, infinite where they do not, (d,)


def find_triggered_reactions(
    rules: Rules, change: IntArray, laws: Sequence[object], initial_states: IntArray
) -> TriggeredReactions:
    """Write events that the state triggers as reactions.

    `change`: net change of each species in each reaction, (n_reactions, d); `initial_states`: (m, d) states that the
    chain starts in.
    """
    for event in rules.events:
        _check(event)
    return _ChangeEnumeration(rules, change, laws, initial_states).run()


def _check(event: Event) -> None:
    for name, tree in event.formulas.items():
        if depends_on_time(tree):
            raise ModelError(
                f"Event '{event.name}' must assign to '{name}' what does not depend on the time, as the state triggers "
                f"it, at any time."
            )


class _Invariants(NamedTuple):
    """What all states of the chain have in common."""

    box: Box  # least and largest count of each species
    laws: list[dict[str, int]]  # (n_laws, d) conservation laws
    values: list[tuple[float, float]]  # (n_laws, 2) least and largest value of each

    def allows(self, box: Box) -> bool:
        """Return whether states in a box may be among them."""
        for law, (least, greatest) in zip(self.laws, self.values, strict=True):
            low = sum(w * box[s][0 if w > 0 else 1] for s, w in law.items())
            high = sum(w * box[s][1 if w > 0 else 0] for s, w in law.items())
            if low > greatest or high < least:
                return False
        return True


@dataclass(slots=True)
class _ChangeEnumeration:
    """Enumerate changes until the box that was assumed holds them all."""

    rules: Rules
    change: IntArray
    laws: Sequence[object]
    initial: IntArray
    caps: dict[str, list[int]] = field(init=False)
    by_rates: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        highest = dict(zip(self.rules.species, self.initial.max(axis=0).tolist(), strict=True))
        rate_caps = {name: self._cap_by_rates(name) for name in self.rules.species}
        self.by_rates = {name: max(highest[name], cap) for name, cap in rate_caps.items() if cap is not None}
        self.caps = {name: [cap] for name, cap in self.by_rates.items()}
        for name, cap in filter(None, map(_cap, self.rules.events)):
            if highest[name] <= cap:
                self.caps.setdefault(name, []).append(cap)
        self.caps = {name: sorted(set(caps)) for name, caps in self.caps.items()}

    def _cap_by_rates(self, name: str) -> int | None:
        """Return the highest count that a reaction may lead to, as rates vanish above; None where they do not."""
        place, cap = self.rules.species.index(name), 0
        for step, law in zip(self.change[:, place].tolist(), self.laws, strict=True):
            if step > 0:
                last = None if callable(law) else last_count(law, name)  # type: ignore[arg-type]
                if last is None:
                    return None
                cap = max(cap, last + step)
        return cap

    def run(self) -> TriggeredReactions:
        known = np.empty((0, self.change.shape[1]), dtype=np.int64)
        for _ in range(MOST_PASSES + sum(map(len, self.caps.values()))):
            broken: set[str] = set()
            parts = self._parts(self._kept(known), broken)
            if broken:
                self.caps = {name: caps[1:] if name in broken else caps for name, caps in self.caps.items()}
                continue
            new = np.unique(np.array([part.change for part in parts if part.events], dtype=np.int64), axis=0)
            together = np.unique(np.concatenate([known, new.reshape(-1, known.shape[1])]), axis=0)
            if len(together) == len(known):
                return TriggeredReactions(tuple(parts), self._largest())
            known = together
        names = ", ".join(str(event.name) for event in self.rules.events)
        raise ModelError(
            f"Events must lead to a finite number of changes of the state, but those of {names} make ever more."
        )

    def _largest(self) -> FloatArray:
        caps = {name: float(cap[0]) for name, cap in self.caps.items() if cap}
        return np.array([caps.get(name, math.inf) for name in self.rules.species])

    def _kept(self, known: IntArray) -> _Invariants:
        """Return what is common to all states that the changes, with those of events that are known, lead to."""
        changes = np.concatenate([self.change, known])
        largest = np.minimum(species_bounds(changes, self.initial), self._largest())
        box = {name: (0.0, float(top)) for name, top in zip(self.rules.species, largest, strict=True)}
        laws = conservation_laws(changes)
        values = self.initial @ laws.T  # (m, n_laws)
        named = [{s: w for s, w in zip(self.rules.species, law, strict=True) if w} for law in laws.tolist()]
        return _Invariants(box, named, list(zip(values.min(axis=0).tolist(), values.max(axis=0).tolist(), strict=True)))

    def _parts(self, kept: _Invariants, broken: set[str]) -> list[TriggeredReaction]:
        parts: list[TriggeredReaction] = []
        for k in range(len(self.change)):
            parts += self._split(k, kept, broken)
        return parts

    def _split(self, k: int, kept: _Invariants, broken: set[str]) -> list[TriggeredReaction]:
        """Return the parts of one reaction; enter into `broken` the caps that it does not keep."""
        step = {name: int(n) for name, n in zip(self.rules.species, self.change[k], strict=True) if n}
        plain = TriggeredReaction(k, tuple(self.change[k].tolist()), Number(1.0), "")
        box = {name: (float(max(0, -step.get(name, 0))), top) for name, (_, top) in kept.box.items()}
        first = [e for e in self.rules.events if symbols(e.condition) & step.keys()]
        first = [e for e in first if enclosure(_crossing(e, step), box) != (0.0, 0.0)]
        if not first or any(low > high for low, high in box.values()):
            return [plain]
        if callable(self.laws[k]):
            raise ModelError(
                f"Event '{first[0].name}' must be triggered by reactions whose rates are formulas, but reaction "
                f"{k + 1} has a callable."
            )
        crossing = reduce(lambda a, b: call("||", a, b), [_crossing(event, step) for event in first])
        jump = _Jump(self.rules, _closure(first, self.rules.events), step, crossing)
        what = f"What event '{first[0].name}' makes of a jump"
        within = list(points(crossing, jump.deciding, box, kept.allows, MOST_CHANGES, what))
        if not within:
            return [plain]
        before, after = jump.ends(np.array(within, dtype=np.float64).reshape(len(within), -1))
        broken |= {name for name, caps in self.caps.items() if caps and not self._keeps(name, caps[0], jump, after)}
        names = ", ".join(str(event.name) for event in jump.events)
        changes = (after - before).astype(np.int64)  # (n, d)
        landed = [TriggeredReaction(k, change, guard, names) for change, guard in jump.grouped(within, changes)]
        return [plain._replace(guard=_opposite(jump.told(within))), *landed]

    def _keeps(self, name: str, cap: int, jump: _Jump, after: FloatArray) -> bool:
        """Return whether a species that an event holds below a cap stays there."""
        assigned = any(name in event.assignments for event in jump.events)
        if not assigned and (jump.step.get(name, 0) <= 0 or self.by_rates.get(name) == cap):
            return True
        return name in jump.deciding and bool((after[:, self.rules.species.index(name)] <= cap).all())


def _cap(event: Event) -> tuple[str, int] | None:
    """Return species and largest count where the trigger is ``X > c`` or ``X >= c``; None for another one."""
    tree = event.condition
    if not isinstance(tree, Call) or len(tree.arguments) != 2:
        return None
    function, (left, right) = tree.function, tree.arguments
    if function in ("<", "<="):
        function, left, right = {"<": ">", "<=": ">="}[function], right, left
    if function not in (">", ">=") or not isinstance(left, Symbol) or not isinstance(right, Number):
        return None
    return left.name, math.floor(right.value) if function == ">" else math.ceil(right.value) - 1


def _crossing(event: Event, step: Mapping[str, int]) -> Expression:
    """Return the condition that a jump makes a trigger true."""
    moved = {name: call("+", Symbol(name), Number(float(n))) for name, n in step.items()}
    return call("&&", call("!", event.condition), substitute(event.condition, moved))


def _opposite(condition: Expression) -> Expression:
    if isinstance(condition, Call) and condition.function == "==":
        return call("!=", *condition.arguments)
    return call("!", condition)


def _closure(first: Sequence[Event], events: Sequence[Event]) -> list[Event]:
    """Return the events that may be triggered with some: by what they assign, and so on."""
    chosen = list(first)
    while True:
        assigned = {name for event in chosen for name in event.assignments}
        more = [e for e in events if e not in chosen and symbols(e.condition) & assigned]
        if not more:
            return [e for e in events if e in chosen]
        chosen += more


class _Jump:
    """A reaction that triggers events."""

    def __init__(self, rules: Rules, events: list[Event], step: dict[str, int], crossing: Expression) -> None:
        self.events, self.step, self._crossing = events, step, crossing
        self._rules = rules.chosen(events)
        needed: set[str] = set()
        if len(events) > 1:
            needed = needed.union(*(symbols(event.condition) for event in events))
        for event in events:
            for name, tree in event.formulas.items():
                needed |= symbols(tree) - {name} if _is_increment(tree, name) else symbols(tree) | {name}
        self.deciding = [name for name in rules.species if name in needed]

    def ends(self, changes: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return states (n, d) before and after the jump; species that do not decide have some large count."""
        species = self._rules.species
        before = np.full((len(changes), len(species)), _SOME_COUNT)
        before[:, [species.index(name) for name in self.deciding]] = changes
        jumped = before + np.array([self.step.get(name, 0) for name in species], dtype=np.float64)
        if len(self.events) == 1:
            after = jumped.copy()
            after[:, self._rules.columns_of(0)] = self._rules.assigned(0, jumped, 0.0)
            return before, after
        was = self._rules.truth(before, _ALWAYS)
        return before, self._rules.settle(jumped, was, _ALWAYS)

    def grouped(
        self, changes_found: list[tuple[int, ...]], changes: IntArray
    ) -> list[tuple[tuple[int, ...], Expression]]:
        """Return the different changes, and where each takes place."""
        groups: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
        for point, change in zip(changes_found, map(tuple, changes.tolist()), strict=True):
            groups.setdefault(change, []).append(point)
        if len(groups) == 1:
            return [(next(iter(groups)), self.told(changes_found))]
        return [(change, call("+", *map(self._at, laws))) for change, laws in groups.items()]

    def told(self, changes: list[tuple[int, ...]]) -> Expression:
        """Return the condition that events are triggered, by the counts that do where they are few, of one species."""
        names = symbols(self._crossing)
        if len(names) != 1 or not names <= set(self.deciding):
            return self._crossing
        (name,) = names
        place = self.deciding.index(name)
        counts = sorted({point[place] for point in changes})
        if len(counts) > _FEW_COUNTS:
            return self._crossing
        return reduce(lambda a, b: call("||", a, b), [call("==", Symbol(name), Number(float(x))) for x in counts])

    def _at(self, point: tuple[int, ...]) -> Expression:
        """Return the factor of one value of what decides: a product of conditions on one species each."""
        values = {name: Number(float(x)) for name, x in zip(self.deciding, point, strict=True)}
        pins = [call("==", Symbol(name), value) for name, value in values.items()]
        return call("*", substitute(self._crossing, values), *pins)


def _is_increment(tree: Expression, name: str) -> bool:
    """Return whether a formula is the species itself, plus or minus what does not depend on it."""
    if tree == Symbol(name):
        return True
    if isinstance(tree, Call) and tree.function in ("+", "-"):
        head, *rest = tree.arguments
        if tree.function == "+" and head != Symbol(name):
            rest = [a for a in tree.arguments if a != Symbol(name)]
            head = Symbol(name) if len(rest) == len(tree.arguments) - 1 else head
        return head == Symbol(name) and all(name not in symbols(a) for a in rest)
    return False
