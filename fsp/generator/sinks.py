"""The ways out of a space: jumps that leave it, and the boundaries that they cross."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fsp.generator import entry_kernels
from fsp.generator.matrices import Rows
from fsp.generator.plan import clocks_of, weighted
from fsp.model.firing import may_fire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import BoolArray, FloatArray, IntArray
    from fsp.generator.jumps import Jumps
    from fsp.generator.kernels import Plan
    from fsp.generator.plan import Clocks
    from fsp.model import Model
    from fsp.space import StateSpace


COUNTED = 100_000  # states beyond which jumps out are counted, a third of the work, before room is made for them


@dataclass(frozen=True, slots=True, eq=False)
class Leak:
    """The jumps of one kind that leave the space."""

    change: IntArray  # copy numbers added, (n_species,)
    reactions: tuple[int, ...]  # indices of the reactions
    sources: IntArray  # indices of the states that they leave from, (m,)
    rates: FloatArray  # their rates, (m,), 1/time


@dataclass(frozen=True, slots=True, eq=False)
class Sinks:
    """What leaves a space."""

    names: tuple[str, ...]  # the boundary that each sink stands for
    leaks: tuple[Leak, ...]  # the jumps, by kind
    rows: tuple[IntArray, ...]  # the sink that each jump of each leak goes to, (m,) each
    n: int  # number of states

    @property
    def n_jumps(self) -> int:
        """Number of jumps that leave."""
        return sum(len(leak.sources) for leak in self.leaks)

    def matrix(self, order: IntArray | None = None) -> Rows:
        """Return the rates into each sink, (n_sinks, n), of the states in this order, (n,), else as they are."""
        rows = np.concatenate([*self.rows, np.empty(0, np.int64)])
        sources = np.concatenate([*(leak.sources for leak in self.leaks), np.empty(0, np.int64)])
        rates = np.concatenate([*(leak.rates for leak in self.leaks), np.empty(0)])
        if order is not None:
            place = np.empty(self.n, np.int64)
            place[order] = np.arange(self.n)
            sources = place[sources]
        return Rows.of(rows, sources, rates, (len(self.names), self.n))

    def weighted(self, parts: Sequence[Sinks], weights: FloatArray) -> Sinks:
        """Return these sinks with the rates ``Σ_l weights[l] parts[l]``, of sinks with the same jumps."""
        leaks = []
        for leaks_of_parts in zip(*(part.leaks for part in parts), strict=True):
            rates = weights @ np.array([leak.rates for leak in leaks_of_parts])
            leaks.append(replace(leaks_of_parts[0], rates=rates))
        return replace(self, leaks=tuple(leaks))


def find_sinks(model: Model, space: StateSpace, jumps: Jumps, adjoint: Plan) -> Sinks:
    """Find the jumps that leave the space, and sort them by the boundary that they cross."""
    leaks = []
    names: dict[str, int] = {}
    rows = []
    for c, (change, reactions, timed) in enumerate(zip(jumps.changes, jumps.reactions, jumps.timed, strict=True)):
        sources, rates = _leaving(adjoint, c, bool(timed))
        own_name = "reaction " + ", ".join(str(model.reactions[k].name) for k in reactions)
        broken: list[tuple[str, BoolArray]] = []
        if timed or space.constraints:
            targets = space.encoding.decode(space.runs.take(sources)) + change
            # Where the rate depends on time, what may leave at another time needs its sink now.
            possible = rates > 0.0
            if timed:
                possible |= np.any([may_fire(model, k, targets - change) for k in reactions], axis=0)
            sources, rates, targets = sources[possible], rates[possible], targets[possible]
            broken = [(constraint.label, ~constraint.holds(targets)) for constraint in space.constraints]
        if not len(sources):
            continue
        leaks.append(Leak(change, reactions, sources, rates))
        rows.append(_sorted_by_boundary(broken, own_name, len(sources), names))
    return Sinks(tuple(names), tuple(leaks), tuple(rows), len(space))


def _sorted_by_boundary(broken: list[tuple[str, BoolArray]], own_name: str, n: int, names: dict[str, int]) -> IntArray:
    """Return the sink of each of n jumps: the first boundary that it crosses, else its own; new `names` are added."""
    row, unassigned = np.zeros(n, dtype=np.int64), np.ones(n, dtype=np.bool_)
    for name, chosen in broken:
        members = np.flatnonzero(chosen & unassigned)
        unassigned[members] = False
        if len(members):
            row[members] = names.setdefault(name, len(names))
    if unassigned.any():
        row[unassigned] = names.setdefault(own_name, len(names))
    return row


def parts_of(sinks: Sinks, jumps: Jumps, adjoint: Plan, clocks: Clocks) -> list[Sinks]:
    """Return the same sinks with the part of the rates that each clock multiplies, n_clocks of them."""
    index = {tuple(change): c for c, change in enumerate(jumps.changes.tolist())}
    units = np.eye(len(clocks.trees))
    parts: list[list[Leak]] = [[] for _ in units]
    for leak in sinks.leaks:
        c = index[tuple(leak.change.tolist())]
        indices = clocks_of(adjoint, clocks, c)
        for k, unit in enumerate(units):
            if indices == {k}:
                parts[k].append(leak)
            elif k in indices:
                sources, rates = _leaving(weighted(adjoint, clocks, unit), c, True)
                parts[k].append(replace(leak, rates=rates[np.searchsorted(sources, leak.sources)]))
            else:
                parts[k].append(replace(leak, rates=np.zeros(len(leak.rates))))
    return [replace(sinks, leaks=tuple(leaks)) for leaks in parts]


def _leaving(adjoint: Plan, c: int, keep_zeros: bool) -> tuple[IntArray, FloatArray]:
    n = int(adjoint.starts[-1])
    if n > COUNTED:
        n = int(entry_kernels.leaving(adjoint, c, keep_zeros, np.empty(0, dtype=np.int64), np.empty(0)))
    sources, rates = np.empty(n, dtype=np.int64), np.empty(n)
    count = entry_kernels.leaving(adjoint, c, keep_zeros, sources, rates) if n else 0
    return sources[:count].copy(), rates[:count].copy()
