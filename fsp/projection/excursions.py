"""Whether what leaves a space comes back: excursions from its exits, followed in a larger space.

An answer that does not change when its space grows tells nothing of what leaves it seldom and for good, such as by a
gate that opens once in 10⁸ s: in the end all probability is there.  So an excursion begins at the exits by one kind of
jump after the other, each as often as any other however small its flux is, and ends at a mode or out of the larger
space.  The stationary vector of the chain that begins another one then says where it goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from fsp.projection.nullspace import null_vector
from fsp.projection.structure import closed_classes

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.generator import Generator

MOST_AWAY = 0.5  # share of the excursions by one kind of jump that may leave the larger space


@dataclass(frozen=True, slots=True, eq=False)
class Exits:
    """Where jumps out of a space lead.

    Parameters
    ----------
    states
        (m, d) the states outside.
    weights
        (m,) their shares; those of each kind of jump sum to one.
    n_kinds
        Number of kinds of jumps.
    """

    states: IntArray
    weights: FloatArray
    n_kinds: int

    @classmethod
    def of(cls, generator: Generator, p: FloatArray) -> Exits:
        """Return the exits of the space of a generator where the probabilities are `p` (n,)."""
        states, weights = [np.zeros((0, generator.space.states.shape[1]), dtype=np.int64)], [np.zeros(0)]
        for leak in generator.leaks:
            flux = leak.rates * p[leak.sources]
            if flux.any():
                states.append(generator.space.states_at(leak.sources) + leak.change)
                weights.append(flux / flux.sum())
        return cls(np.concatenate(states), np.concatenate(weights), len(weights) - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Away:
    """Where excursions go.

    Parameters
    ----------
    exits
        Where they begin.
    occupation
        (n,) time that they spend in each state of the larger space, in proportion.
    returns
        Whether at least half of those by each kind of jump end at a mode.
    """

    exits: Exits
    occupation: FloatArray
    returns: bool


def followed(generator: Generator, exits: Exits, modes: IntArray, method: str) -> Away:
    """Follow excursions in a space that holds the exits.

    Parameters
    ----------
    generator
        The generator on the larger space.
    exits
        The exits of the smaller one.
    modes
        Indices of the states, one in each closed class, at which excursions end.
    method
        As of `fsp.projection.nullspace.null_vector`.
    """
    n = len(generator)
    if not exits.n_kinds:
        return Away(exits, np.zeros(n), True)
    entry = np.bincount(generator.space.index(exits.states), exits.weights, n)
    ends = np.zeros(n)
    ends[modes] = np.maximum(generator.exit_rates[modes], 1.0)
    leaks = np.where(ends > 0.0, 0.0, generator.leak_rates)
    jumps = generator.to_csr() @ sparse.diags_array((ends == 0.0).astype(np.float64))
    again = sparse.csr_array((leaks + ends)[None, :])  # into a state of its own, from which the next one begins
    begin = sparse.csr_array(entry[:, None])
    chain = sparse.block_array([[jumps, begin], [again, None]], format="csr")
    time = np.zeros(n + 1)
    for members in closed_classes(chain).members:
        if members[-1] < n:  # excursions end in a class without a mode
            time[members] = 1.0
        else:
            time[members] = null_vector(chain[members][:, members].tocsr(), method).p
    occupation = time[:n]
    away, back = float(leaks @ occupation), float(ends @ occupation)
    return Away(exits, occupation, bool(time[n]) and exits.n_kinds * away <= MOST_AWAY * (away + back))
