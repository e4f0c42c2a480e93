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

from fsp.chains.chain import Chain
from fsp.chains.classes import closed_classes, reached
from fsp.chains.null_vectors import null_vector, plan
from fsp.distribution import ErrorLedger
from fsp.errors import ConvergenceError, StateSpaceError
from fsp.generator import Generator
from fsp.projection.backend import serial
from fsp.space.places import places

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.generator.base import BaseGenerator
    from fsp.model import Model
    from fsp.projection.growth import Growth
    from fsp.space import StateSpace
    from fsp.space.base import BaseSpace

MOST_AWAY = 0.5  # share of the excursions by one kind of jump that may go on out of the space they are followed in
FAINTEST = 1e-200  # share of the excursions: below, products of rates are not normal numbers
FOLLOWED = 40  # growths of that space
SOUGHT = 12  # growths for a way back by a reaction that was never seen; chosen: lines double, so some thousand jumps


@dataclass(frozen=True, slots=True, eq=False)
class Exits:
    """Where jumps out of a space lead."""

    states: IntArray  # (m, d), outside
    flux: FloatArray  # (m,) probability that comes to each, 1/time
    kinds: IntArray  # (m,) which kind of jump leads there
    changes: tuple[tuple[int, ...], ...]  # the kinds

    @classmethod
    def of(cls, generator: BaseGenerator, p: FloatArray, known: tuple[tuple[int, ...], ...] = ()) -> Exits:
        """Return the exits, by kinds of jumps that are not known, where the probabilities are `p` (n,)."""
        leaving = [(leak, leak.rates * p[leak.sources]) for leak in generator.leaks]
        leaving = [(leak, flux) for leak, flux in leaving if flux.any() and tuple(leak.change.tolist()) not in known]
        states = [generator.space.states_at(leak.sources) + leak.change for leak, _ in leaving]
        return cls(
            np.concatenate([np.zeros((0, len(generator.space.species)), dtype=np.int64), *states]),
            np.concatenate([np.zeros(0), *(flux for _, flux in leaving)]),
            np.repeat(np.arange(len(leaving)), [len(flux) for _, flux in leaving]),
            tuple(tuple(leak.change.tolist()) for leak, _ in leaving),
        )

    def joined(self, more: Exits) -> Exits:
        """Return these exits and others, by other kinds of jumps."""
        return Exits(
            np.concatenate([self.states, more.states]),
            np.concatenate([self.flux, more.flux]),
            np.concatenate([self.kinds, more.kinds + len(self.changes)]),
            self.changes + more.changes,
        )

    @property
    def shares(self) -> FloatArray:
        """Shares of the exits that are one for each kind of jump, (m,)."""
        shares: FloatArray = self.flux / np.bincount(self.kinds, self.flux)[self.kinds]
        return shares


@dataclass(frozen=True, slots=True, eq=False)
class Away:
    """Where excursions go."""

    times: FloatArray  # (n,) mean time spent in each state, for the weights with which they begin
    lost: float  # weight of those that go on out of the space they are followed in
    trapped: bool  # whether they may end in a closed class that does not lead back, or stay for longer than can be told


def unfollowed(model: Model, growth: Growth, generator: BaseGenerator, p: FloatArray, tol: float) -> StateSpace | None:
    """Return a larger space to solve on, where what leaves one has found more; None where it comes back.

    Kinds of jumps that are met on the way out are followed like those that lead out first.  The answer on the space
    that is left is `p` (n,), and `tol` may be outside it.
    """
    inner = serial(generator.space)
    first = exits = Exits.of(generator, p)
    if not exits.changes:
        return None
    space = growth.with_states(inner, exits.states)
    for _ in range(FOLLOWED + model.n_reactions):
        wide = Generator(model, space)
        away = followed(wide, inner, exits, exits.shares)
        more = Exits.of(wide, away.times, exits.changes)
        if away.trapped or followed(wide, inner, first, first.flux).times.sum() > tol:
            return space
        if away.lost > MOST_AWAY:
            space = growth.grow(space, wide, away.times, None, ErrorLedger(truncation=2.0, certified=False), far=True)
        elif more.changes:
            space, exits = growth.with_states(space, more.states), exits.joined(more)
        else:
            return None
    raise StateSpaceError(
        f"What leaves the states must come back, but in {len(space):,} states most of what leaves by some reaction "
        f"does not, of {first.flux.sum():.1e} per unit of time: a closed class there would hold all probability. "
        f"Give a function as `lyapunov`, or a `space` if a reflecting boundary is meant."
    )


def never_seen(model: Model, space: BaseSpace) -> list[str]:
    """Return the names of reactions that have no jump from any state of a space."""
    rates = model.propensities(serial(space).states)
    return [str(reaction.name) for reaction, rate in zip(model.reactions, rates, strict=True) if not rate.any()]


def unreturned(model: Model, growth: Growth, generator: BaseGenerator, p: FloatArray) -> StateSpace | None:
    """Return a space with more around stored states that come back only by a reaction that was never seen, if any do.

    Where jumps out of a space lead back to the most probable state, such states pass on at once what may stay there for
    ever, and nothing that leaves the space tells.
    """
    space = serial(generator.space)
    if not generator.n_sinks or not never_seen(model, space):
        return None
    wide = Generator(model, space)
    mode = np.arange(len(space)) == int(np.argmax(p))
    stuck = ~reached(wide.to_csr().T.tocsr(), mode) & (p > 0.0)
    if not wide.leak_rates[stuck].any():
        return None
    weight = np.where(stuck, 1.0, 0.0)
    return growth.grow(space, wide, weight, None, ErrorLedger(truncation=2.0, certified=False), far=True)


def followed(generator: Generator, inner: StateSpace, exits: Exits, weights: FloatArray) -> Away:
    """Follow excursions from the `exits` of the space `inner`, with `weights` (m,), in a larger one that holds them."""
    n = len(generator)
    outside = np.ones(n, dtype=np.bool_)
    outside[places(generator.space, inner.states)] = False
    out = np.flatnonzero(outside)
    matrix = generator.to_csr()[:, out].tocsr()
    leaks = generator.leak_rates[out]
    back = np.asarray(matrix[~outside].sum(axis=0)).ravel()
    entry = np.bincount(places(generator.space, exits.states), weights / weights.sum(), n)[out]
    entry[entry < FAINTEST] = 0.0
    # with a state of its own, at which one excursion has ended and the next one begins, at the rate 1
    begin, end = sparse.csr_array(entry[:, None]), sparse.csr_array((leaks + back)[None, :])
    chain = sparse.block_array([[matrix[out], begin], [end, None]], format="csr")
    classes = closed_classes(chain).members
    times = np.zeros(n)
    if any(members[-1] < len(out) for members in classes):
        return Away(times, float(weights.sum()), trapped=True)
    (members,) = classes  # all begin again
    block = chain[members][:, members].tocsr()
    held = np.zeros(len(out) + 1)
    try:
        held[members] = null_vector(block, "iterative" if plan(Chain.of_generator(block)) is None else "gth").p
    except ConvergenceError:  # they stay so long that products of rates are no normal numbers
        return Away(times, float(weights.sum()), trapped=True)
    times[out] = held[:-1] / held[-1] * weights.sum()
    return Away(times, float(leaks @ times[out]), trapped=False)
