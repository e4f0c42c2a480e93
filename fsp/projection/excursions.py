"""Whether what leaves a space comes back: excursions from its exits, followed as far as it takes.

An answer that does not change when its space grows tells nothing of what leaves it seldom and for good, such as by a
gate that opens once in 10⁸ s: in the end all probability is there.  So excursions begin at the exits by one kind of
jump after the other, each as often as any other however small its flux is, and end where they come back.  The
stationary vector of the chain that then begins another one says where they go on, which is where a space grows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from fsp.distribution import ErrorLedger
from fsp.errors import StateSpaceError
from fsp.generator import Generator
from fsp.projection.chain import Chain
from fsp.projection.nullspace import null_vector, plan
from fsp.projection.structure import closed_classes

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.model import Model
    from fsp.projection.growth import Growth
    from fsp.space import StateSpace

MOST_AWAY = 0.5  # share of the excursions by one kind of jump that may go on out of the space they are followed in
FOLLOWED = 40  # growths of that space


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
    flux
        The largest flux by one kind, 1/time.
    """

    states: IntArray
    weights: FloatArray
    n_kinds: int
    flux: float

    @classmethod
    def of(cls, generator: Generator, p: FloatArray) -> Exits:
        """Return the exits of the space of a generator where the probabilities are `p` (n,)."""
        states, shares, most = [np.zeros((0, generator.space.states.shape[1]), dtype=np.int64)], [np.zeros(0)], 0.0
        for leak in generator.leaks:
            flux = leak.rates * p[leak.sources]
            if flux.any():
                states.append(generator.space.states_at(leak.sources) + leak.change)
                shares.append(flux / flux.sum())
                most = max(most, float(flux.sum()))
        return cls(np.concatenate(states), np.concatenate(shares), len(shares) - 1, most)


@dataclass(frozen=True, slots=True, eq=False)
class Away:
    """Where excursions go.

    Parameters
    ----------
    times
        (n,) mean time that one spends in each state, averaged over the kinds of jumps.
    returns
        Whether at least half of those by each kind come back.
    trapped
        Whether they may end in a closed class that does not lead back.
    """

    times: FloatArray
    returns: bool
    trapped: bool


def unfollowed(model: Model, growth: Growth, generator: Generator, p: FloatArray, tol: float) -> StateSpace | None:
    """Return a larger space to solve on, where what leaves one has found more; None where it comes back.

    Parameters
    ----------
    model, growth
        The reaction network, and what chooses states.
    generator, p
        The generator on the space that is left, and the answer there, (n,).
    tol
        Probability that may be outside it.

    Raises
    ------
    StateSpaceError
        If what leaves does not come back as far as it is followed.
    """
    exits = Exits.of(generator, p)
    if not exits.n_kinds:
        return None
    space = growth.with_states(generator.space, exits.states)
    for _ in range(FOLLOWED):
        wide = Generator(model, space)
        away = followed(wide, generator.space, exits)
        if away.trapped or (away.returns and exits.n_kinds * exits.flux * float(away.times.sum()) > tol):
            return space
        if away.returns:
            return None
        space = growth.grow(space, wide, away.times, None, ErrorLedger(truncation=2.0, certified=False), far=True)
    raise StateSpaceError(
        f"What leaves the states must come back, but in {len(space):,} states most of what leaves by some reaction "
        f"does not, at up to {exits.flux:.1e} per unit of time: a closed class there would hold all probability. "
        f"Give a function as `lyapunov`, or a `space` if a reflecting boundary is meant."
    )


def followed(generator: Generator, inner: StateSpace, exits: Exits) -> Away:
    """Follow excursions from the exits of a space in a larger one that holds them.

    Parameters
    ----------
    generator
        The generator on the larger space.
    inner
        The space that they come back to.
    exits
        Its exits.
    """
    n = len(generator)
    outside = np.ones(n, dtype=np.bool_)
    outside[generator.space.index(inner.states)] = False
    out = np.flatnonzero(outside)
    matrix = generator.to_csr()[:, out].tocsr()
    leaks = generator.leak_rates[out]
    back = np.asarray(matrix[~outside].sum(axis=0)).ravel()
    entry = np.bincount(generator.space.index(exits.states), exits.weights / exits.n_kinds, n)[out]
    # with a state of its own, at which one excursion has ended and the next one begins, at the rate 1
    chain = sparse.block_array(
        [[matrix[out], sparse.csr_array(entry[:, None])], [sparse.csr_array((leaks + back)[None, :]), None]],
        format="csr",
    )
    found = closed_classes(chain).members
    times = np.zeros(n)
    if any(members[-1] < len(out) for members in found):
        return Away(times, returns=False, trapped=True)
    (members,) = found  # all begin again
    block = chain[members][:, members].tocsr()
    held = np.zeros(len(out) + 1)
    held[members] = null_vector(block, "iterative" if plan(Chain.of_generator(block)) is None else "gth").p
    times[out] = held[:-1] / held[-1]
    return Away(times, returns=exits.n_kinds * float(leaks @ times[out]) <= MOST_AWAY, trapped=False)
