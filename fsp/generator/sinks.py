"""The ways out of a space: jumps that leave it, and the boundaries that they cross."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from fsp.generator import entry_kernels

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.generator.kernels import Plan
    from fsp.generator.plan import Jumps
    from fsp.model import Model
    from fsp.space import StateSpace


@dataclass(frozen=True, slots=True, eq=False)
class Leak:
    """The jumps of one kind that leave the space.

    Parameters
    ----------
    change
        Copy numbers added, (n_species,).
    reactions
        Indices of the reactions.
    sources
        Indices of the states that they leave from, (m,).
    rates
        Their rates, (m,), 1/time.
    """

    change: IntArray
    reactions: tuple[int, ...]
    sources: IntArray
    rates: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Sinks:
    """What leaves a space.

    Parameters
    ----------
    names
        The boundary that each sink stands for.
    leaks
        The jumps, by kind.
    matrix
        Rates into each sink, (n_sinks, n) scipy sparse array.
    """

    names: tuple[str, ...]
    leaks: tuple[Leak, ...]
    matrix: Any


def find_sinks(model: Model, space: StateSpace, jumps: Jumps, adjoint: Plan) -> Sinks:
    """Find the jumps that leave the space, and sort them by the boundary that they cross."""
    leaks = []
    rows: dict[str, int] = {}
    entries: list[tuple[IntArray, IntArray, FloatArray]] = []  # rows, columns, rates
    for c, (change, reactions, timed) in enumerate(zip(jumps.changes, jumps.reactions, jumps.timed, strict=True)):
        sources, rates = _leaving(adjoint, c, bool(timed))
        targets = space.encoding.decode(space.runs.take(sources)) + change
        # Where the rate depends on time, what may leave at another time needs its sink now.
        possible = (targets >= 0).all(axis=1)
        sources, rates, targets = sources[possible], rates[possible], targets[possible]
        if not len(sources):
            continue
        leaks.append(Leak(change, reactions, sources, rates))
        unassigned = np.ones(len(sources), dtype=np.bool_)
        own_name = "reaction " + ", ".join(str(model.reactions[k].name) for k in reactions)
        broken = [(constraint.label, ~constraint.holds(targets)) for constraint in space.constraints]
        for name, chosen in [*broken, (own_name, unassigned.copy())]:
            members = np.flatnonzero(chosen & unassigned)
            unassigned[members] = False
            if len(members):
                row = rows.setdefault(name, len(rows))
                entries.append((np.full(len(members), row), sources[members], rates[members]))
    names = list(rows)
    if not entries:
        return Sinks((), (), sparse.csr_array((0, len(space))))
    at_row, at_column, rate = (np.concatenate(part) for part in zip(*entries, strict=True))
    matrix = sparse.coo_array((rate, (at_row, at_column)), shape=(len(names), len(space))).tocsr()
    return Sinks(tuple(names), tuple(leaks), matrix)


def _leaving(adjoint: Plan, c: int, keep_zeros: bool) -> tuple[IntArray, FloatArray]:
    most = entry_kernels.leaving(adjoint, c, keep_zeros, np.empty(0, dtype=np.int64), np.empty(0))
    sources, rates = np.empty(most, dtype=np.int64), np.empty(most)
    count = entry_kernels.leaving(adjoint, c, keep_zeros, sources, rates) if most else 0
    return sources[:count], rates[:count]
