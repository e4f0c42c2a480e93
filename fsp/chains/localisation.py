"""The stationary vector of a large chain whose probability is in a small part of it.

The chain is coarsened with equal weights, and the chain of the cells is solved on the coarsest level.  Cells that hold
next to nothing are dropped; the cells of the next finer level within those that are left are improved by a few cycles;
and so on down to states.  Tails of coarse chains are fatter than the true ones and differences between wells smaller,
so what is dropped on a level would hold less on a finer one.

The chain on the states that are left, jumps out of it suppressed, is solved to the end.  One cycle on all states then
adds the tails, and its change says what was missed at the edge.  That no well was missed rests on the coarse chains,
which know all states, and is no theorem.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fsp.chains.multilevel import SLOWEST, Hierarchy, cycles
from fsp.chains.multilevel_kernels import FLOOR

if TYPE_CHECKING:
    from collections.abc import Callable

    from fsp.arrays import FloatArray
    from fsp.chains.chain import Chain

ROUGH_CYCLES = 3  # on the way to the states that hold the probability
DROPPED_MASS = 1e-16  # probability that is dropped at a time
SHRINKING = 0.5  # another look follows where at most this share of the states is left
CUT_OFF = 1e-12  # probability
TAIL_SWEEPS = 3  # of a guess, which spread it over its neighbours; chosen, not measured


def localised(
    chain: Chain, guess: FloatArray | None, solve: Callable[[Chain, FloatArray], tuple[FloatArray, float]]
) -> tuple[FloatArray, float]:
    """Return the stationary vector (n,) of an irreducible chain and its estimated error.

    `guess` (n,) is about that, and `solve` does the same for a small chain, beginning with another vector.
    """
    if guess is None:
        hierarchy = Hierarchy(chain, np.full(len(chain), 1.0 / len(chain)))
        held = _concentrated(hierarchy)
    else:
        swept = guess.copy()
        for k in range(TAIL_SWEEPS):
            chain.sweep(swept, forward=k % 2 == 0)
        hierarchy = Hierarchy(chain, swept)
        held = _cut(chain, swept)
    states = np.flatnonzero(held)
    part, error = solve(chain.part(states), held[states] / held[states].sum())
    # As much outside as at the edge, and no sweep before cells are made: those on the edge are left at the right rate,
    # and those beyond pass on what comes.
    p = np.full(len(chain), max(part.min(), FLOOR))
    p[states] = np.maximum(part, FLOOR)
    p /= p.sum()
    coarse = hierarchy.cycle(p, before=0)
    return coarse, error + SLOWEST * float(np.abs(coarse - p).sum())


def _concentrated(hierarchy: Hierarchy) -> FloatArray:
    """Return an estimate of the stationary vector, (n,), that is zero but where nearly all probability is."""
    held = hierarchy.elimination.solve(hierarchy.coarsest.rates)
    for depth in reversed(range(len(hierarchy.levels))):
        level = hierarchy.levels[depth]
        share = hierarchy.masses[depth] / hierarchy.masses[depth + 1][level.cell]
        held = _cut(level.chain, held[level.cell] * share)
    return held


def _cut(chain: Chain, p: FloatArray) -> FloatArray:
    """Improve `p` (n,) where it is positive, and drop states that hold next to nothing, as long as they are many.

    States stay where dropping some would cut off others that hold more than next to nothing.
    """
    states = chain.connected(np.flatnonzero(p), p)
    while True:
        better, _ = cycles(chain.part(states), p[states] / p[states].sum(), 0.0, ROUGH_CYCLES)
        order = np.argsort(better)
        p = np.zeros(len(chain))
        p[states] = better
        kept = states[np.sort(order[np.cumsum(better[order]) > DROPPED_MASS])]
        within = chain.connected(kept, p)
        if p[kept].sum() - p[within].sum() > CUT_OFF:
            return p
        p[np.setdiff1d(states, within, assume_unique=True)] = 0.0
        if len(within) > SHRINKING * len(states):
            return p
        states = within
