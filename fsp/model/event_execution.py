"""Execute events on whole arrays of states: what is triggered is executed, by priority, until nothing is triggered.

As the specification of SBML Level 3 has it (section 4.11): an event is triggered where its condition goes from false
to true, also by the assignment of another event; what is triggered waits for its turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fsp.arrays import BoolArray, FloatArray, IntArray
from fsp.errors import ModelError
from fsp.model.comparisons import decided
from fsp.model.event import Event
from fsp.model.infix import to_text
from fsp.model.program import Program, compiled
from fsp.model.tree import Symbol, substitute, symbols
from fsp.model.triggers import TimePoint, Trigger, check_roots, read_trigger
from fsp.model.values import LARGEST_COUNT, nearest_whole

MOST_ROUNDS = 1000  # of events after each other, beyond which a chain is taken for endless
MOST_TIED = 5  # events whose orders are all tried


class Rules:
    """The events of a model, ready to be fired."""

    def __init__(self, events: Sequence[Event], species: Sequence[str], variables: Sequence[str]) -> None:
        self.events, self.species, self.variables = _drawing_apart(events), tuple(species), tuple(variables)
        self.draws = {name: (e, draw) for e, event in enumerate(self.events) for name, draw in event.draws.items()}
        self.names = (*self.species, *self.variables, *self.draws)
        self.triggers = tuple(self._trigger(event) for event in self.events)
        self._column = {name: j for j, name in enumerate(self.names)}
        self._ranks = [event.rank for event in self.events]
        self._values = [
            [(self._column[name], compiled(tree)) for name, tree in event.formulas.items()] for event in self.events
        ]

    def _trigger(self, event: Event) -> Trigger:
        what = f"Trigger of event '{event.name}'"
        trigger = read_trigger(event.condition, what)
        check_roots(trigger, self.species, event.condition, what)
        return trigger

    def chosen(self, events: Sequence[Event]) -> Rules:
        """Return the rules of other events on the same columns."""
        return Rules(events, self.species, self.variables)

    def arguments(self, name: str, values: FloatArray, t: float) -> FloatArray:
        """Return the arguments of a draw in states (n, n_columns), (n, n_arguments)."""
        columns = {variable: values[:, j] for variable, j in self._column.items()}
        programs = [compiled(tree) for tree in self.draws[name][1].arguments]
        values_given = [
            np.broadcast_to(np.asarray(p(columns, np.float64(t)), dtype=np.float64), len(values)) for p in programs
        ]
        return np.stack(values_given, axis=1)

    def roots(self, columns: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the times of all switches of each event, for values of the variables."""
        return [
            {name: compiled(switch.root)(columns, 0.0) for name, switch in trigger.switches.items()}
            for trigger in self.triggers
        ]

    def truth(self, values: FloatArray, moment: TimePoint) -> BoolArray:
        """Return whether each trigger holds.

        `values`: counts, and values of the variables, (n, n_columns); returns (n_events, n), bool.
        """
        marks = np.zeros((len(self.events), len(values)), dtype=np.bool_)
        others = {*self.variables, *self.draws}
        columns: dict[str, Any] = {name: values[:, j] for name, j in self._column.items()}
        with np.errstate(all="ignore"):
            for row, (trigger, roots) in enumerate(zip(self.triggers, self.roots(columns), strict=True)):
                truths = {name: s.holds(roots[name], moment) for name, s in trigger.switches.items()}
                what = f"Trigger of event '{self.events[row].name}'"
                known = {**columns, **truths}
                marks[row] = decided(trigger.tree, known, moment.t, what, others=others, agree=True) != 0
        return marks

    def settle(self, values: FloatArray, was: BoolArray, moment: TimePoint) -> FloatArray:
        """Fire what is triggered, and what that triggers.

        `values`: counts, and values of the variables, (n, n_columns); `was`: whether each trigger held before,
        (n_events, n); returns the values where nothing is left to be executed, (n, n_columns).
        """
        now = self.truth(values, moment)
        pending = now & ~was
        moving = np.flatnonzero(pending.any(axis=0))
        settled = values.copy()
        if len(moving):
            execution = _Execution(self, moment, values[moving], now[:, moving])
            execution.trigger(pending[:, moving])
            settled[moving] = execution.run()
        return settled

    def assigned(self, e: int, values: FloatArray, t: float) -> FloatArray:
        """Return what event `e` assigns in states (n, n_columns), (n, n_assignments); counts are whole."""
        values_after = np.empty((len(values), len(self._values[e])))
        columns = {name: values[:, j] for name, j in self._column.items()}
        with np.errstate(all="ignore"):
            for k, (column, program) in enumerate(self._values[e]):
                values_after[:, k] = self._checked(e, column, program, columns, t)
        return values_after

    def _checked(self, e: int, column: int, program: Program, columns: Mapping[str, FloatArray], t: float) -> Any:
        value = np.asarray(program(columns, np.float64(t)), dtype=np.float64)
        is_count = column < len(self.species)
        rounded = nearest_whole(value) if is_count else value
        good = (rounded >= 0.0) & (rounded <= LARGEST_COUNT) if is_count else np.isfinite(value)
        if not good.all():
            shown = np.broadcast_to(value, next(iter(columns.values())).shape)
            row = int(np.flatnonzero(~np.broadcast_to(good, shown.shape))[0])
            state = {name: int(columns[name][row]) for name in self.species}
            must = "be a whole number of molecules, 0 or more," if is_count else "be finite,"
            raise ModelError(
                f"Assignment of '{self.names[column]}' by event '{self.events[e].name}' must {must} but is "
                f"{shown[row]:.12g} in state {state}{self._way_out(e, column, shown[row])}."
            )
        return rounded

    def _way_out(self, e: int, column: int, value: float) -> str:
        """Return what to write where an event assigns a count in parts."""
        name, tree = self.names[column], self.events[e].formulas[self.names[column]]
        if column >= len(self.species) or not 0.0 < value < LARGEST_COUNT:
            return ""
        draws = (
            f", or {name} = binomial({name}, 0.5), which draws them" if not symbols(self.events[e].condition) else ""
        )
        return f"; write {name} = floor({to_text(tree)}){draws}"

    def columns_of(self, e: int) -> list[int]:
        """Return the columns that event `e` assigns."""
        return [column for column, _ in self._values[e]]

    def first(self, pending: BoolArray) -> BoolArray:
        """Return which of the waiting events (n_events, n) may be the next one in each state."""
        ranks = np.array([np.nan if rank is None else rank for rank in self._ranks])[:, None]
        open_ended = (pending & np.isnan(ranks)).any(axis=0)  # without a priority it may come at any place
        ranked = np.where(pending, np.nan_to_num(ranks, nan=-np.inf), -np.inf)
        first: BoolArray = pending & (open_ended | (ranked == ranked.max(axis=0, initial=-np.inf)))
        return first


@dataclass(slots=True)
class _Execution:
    """Events that wait for their turn, in states that are looked at together."""

    rules: Rules
    moment: TimePoint
    values: FloatArray  # (n, n_columns)
    now: BoolArray  # whether each trigger holds, (n_events, n)
    pending: BoolArray = field(init=False)  # whether each event waits, (n_events, n)
    # what each event computed when it was triggered, (n, n_assignments)
    stored: dict[int, FloatArray] = field(init=False)

    def __post_init__(self) -> None:
        self.pending = np.zeros_like(self.now)
        self.stored = {e: np.zeros((len(self.values), len(self.rules.columns_of(e)))) for e in range(len(self.now))}

    def trigger(self, rising: BoolArray) -> None:
        """Let events wait for their turn."""
        self.pending |= rising
        for e in np.flatnonzero(rising.any(axis=1)).tolist():
            if self.rules.events[e].use_trigger_values:
                rows = np.flatnonzero(rising[e])
                self.stored[e][rows] = self.rules.assigned(e, self.values[rows], self.moment.t)

    def part(self, rows: IntArray) -> _Execution:
        """Return a copy for some of the states."""
        copy = _Execution(self.rules, self.moment, self.values[rows].copy(), self.now[:, rows].copy())
        copy.pending = self.pending[:, rows].copy()
        copy.stored = {e: stored[rows].copy() for e, stored in self.stored.items()}
        return copy

    def run(self) -> FloatArray:
        """Execute what waits until nothing does, and return the values."""
        for _ in range(MOST_ROUNDS):
            waiting = np.flatnonzero(self.pending.any(axis=0))
            if not len(waiting):
                return self.values
            first = self.rules.first(self.pending)
            tied = np.flatnonzero(first.sum(axis=0) > 1)
            if len(tied):
                self._settle_tied(tied, first)
                continue
            for e in np.flatnonzero(first.any(axis=1)):
                self.execute(int(e), np.flatnonzero(first[e]))
        names = ", ".join(str(self.rules.events[e].name) for e in np.flatnonzero(self.pending.any(axis=1)))
        raise ModelError(f"Events must come to an end, but {names} trigger each other without end.")

    def execute(self, e: int, rows: IntArray) -> None:
        """Execute event `e` in some of the states."""
        event, columns = self.rules.events[e], self.rules.columns_of(e)
        states_after = self.stored[e][rows]
        if not event.use_trigger_values:
            states_after = self.rules.assigned(e, self.values[rows], self.moment.t)
        self.values[rows[:, None], columns] = states_after
        self.pending[e, rows] = False
        new = self.now.copy()
        new[:, rows] = self.rules.truth(self.values[rows], self.moment)
        rising = new & ~self.now
        self.now = new
        for other, triggered in enumerate(self.rules.events):
            if not triggered.persistent:
                self.pending[other] &= new[other]
        self.trigger(rising)

    def _settle_tied(self, rows: IntArray, first: BoolArray) -> None:
        """Execute events whose order is open, where it does not matter."""
        patterns, kind = np.unique(first[:, rows], axis=1, return_inverse=True)
        for k in range(patterns.shape[1]):
            chosen = rows[kind.reshape(-1) == k]
            tied = np.flatnonzero(patterns[:, k])
            names = " and ".join(f"'{self.rules.events[e].name}'" for e in tied)
            if len(tied) > MOST_TIED:
                raise ModelError(f"Events {names} must have priorities, as they are triggered at once.")
            ends = [self._after(int(e), chosen) for e in tied]
            different = [end for end in ends if not np.array_equal(end, ends[0])]
            if different:
                raise ModelError(
                    f"Events {names} must have different priorities, as they are triggered at once and their order "
                    f"decides what comes of them: SBML leaves it open."
                )
            self.values[chosen] = ends[0]
            self.pending[:, chosen] = False
            self.now[:, chosen] = self.rules.truth(ends[0], self.moment)

    def _after(self, e: int, rows: IntArray) -> FloatArray:
        """Return what comes of some states where event `e` is executed first."""
        copy = self.part(rows)
        copy.execute(e, np.arange(len(rows)))
        return copy.run()


def _drawing_apart(events: Sequence[Event]) -> tuple[Event, ...]:
    """Return events whose random numbers have different names: two events of one law draw two numbers."""
    apart, seen = [], set[str]()
    for e, event in enumerate(events):
        names = {name: f"{name} of event {e}" for name in event.draws if name in seen}
        seen |= event.draws.keys()
        renamed = {name: Symbol(new) for name, new in names.items()}
        apart.append(
            replace(
                event,
                assignments={name: substitute(tree, renamed) for name, tree in event.formulas.items()},
                draws={names.get(name, name): draw for name, draw in event.draws.items()},
            )
            if names
            else event
        )
    return tuple(apart)
