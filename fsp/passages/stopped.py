"""A chain that stops at targets, on a space: jumps among the states before them, and the ways on from these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.chains.classes import closed_classes

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, FloatArray, IntArray
    from fsp.generator import Generator
    from fsp.passages.targets import Targets


@dataclass(frozen=True, slots=True, eq=False)
class Stopped:
    """The states of a space in which no target holds and from which something else is reached; m of them."""

    inside: IntArray  # their indices in the space, (m,)
    trapped: IntArray  # indices of the states from which no target is ever reached
    matrix: Any  # (m, m) CSR, its diagonal minus the full exit rates
    hits: FloatArray  # rates into each target, (n_targets, m)
    never: FloatArray  # rates into trapped states, (m,)
    sources: IntArray  # with rates and states: jumps out of the space that end in no target, by place in `inside`
    rates: FloatArray
    states: IntArray  # where they lead, (k, d)
    into: FloatArray  # rates into each target from all states of the space that are not in it, (n_targets, n)

    @classmethod
    def of(cls, generator: Generator, targets: Targets, reached: BoolArray) -> Stopped:
        """Split the states of a space of which those that are `reached` (n,) count."""
        n = len(generator)
        held = targets.hold(generator.space.states)  # (n_targets, n)
        before = np.flatnonzero(reached & ~held.any(axis=0))
        matrix = generator.to_csr()
        hits, leaks = ways_out(generator, targets, held)
        out = hits.sum(axis=0) + np.bincount(leaks[0], leaks[1], n)
        within = matrix[before][:, before].tocsr()
        trapped = [members for members in closed_classes(within).members if not out[before[members]].any()]
        away = np.zeros(len(before), dtype=np.bool_)
        away[np.concatenate([*trapped, np.zeros(0, dtype=np.int64)])] = True
        inside = before[~away]
        place = np.full(n, -1)
        place[inside] = np.arange(len(inside))
        counts = place[leaks[0]] >= 0
        return cls(
            inside,
            before[away],
            within[~away][:, ~away].tocsr(),
            hits[:, inside],
            np.asarray(within[away][:, ~away].sum(axis=0)).ravel(),
            place[leaks[0][counts]],
            leaks[1][counts],
            leaks[2][counts],
            hits,
        )

    def __len__(self) -> int:
        return len(self.inside)

    @property
    def outflow(self) -> FloatArray:
        """Rates of leaving the space, not for a target, (m,)."""
        return self.leaking(np.ones(len(self.rates)))

    def leaking(self, values: FloatArray) -> FloatArray:
        """Return rates times `values` (k,) of where jumps out of the space lead, by source, (m,)."""
        inflow: FloatArray = np.bincount(self.sources, self.rates * values, len(self)).astype(np.float64)
        return inflow


def ways_out(
    generator: Generator, targets: Targets, held: BoolArray
) -> tuple[FloatArray, tuple[IntArray, FloatArray, IntArray]]:
    """Return rates (n_targets, n) of jumps into targets, from states of none; sources, rates, ends of other leaks.

    `held` (n_targets, n) says where targets hold in the space.
    """
    n, matrix = len(generator), generator.to_csr()
    hits = np.stack([np.asarray(matrix[row].sum(axis=0)).ravel() for row in held])
    sources, rates = [np.zeros(0, dtype=np.int64)], [np.zeros(0)]
    ends = [np.zeros((0, len(targets.species)), dtype=np.int64)]
    for leak in generator.leaks:
        states = generator.space.states_at(leak.sources) + leak.change
        held = targets.hold(states)
        for k, state in enumerate(held):
            hits[k] += np.bincount(leak.sources[state], leak.rates[state], n)
        others = ~held.any(axis=0)
        sources.append(leak.sources[others])
        rates.append(leak.rates[others])
        ends.append(states[others])
    return hits, (np.concatenate(sources), np.concatenate(rates), np.concatenate(ends))
