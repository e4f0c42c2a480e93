"""Choose the first states, and where a state space grows.

Growth follows the flux out of the space: each kind of jump, from each state that feeds it, is repeated in a straight
line, as often as the flux is large, and one reaction step in every direction is added around what is new (more, where
jumps alternate and no line is long).  So a space follows a narrow or bent support.  The longest line is a share of the
extent of the space along the jump, so that the number of growths rises with the logarithm of the final size, and a
window that moves is renewed as often on a long way as on a short one.
"""

from __future__ import annotations

import sys
from math import ceil, inf, sqrt
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from fsp.errors import ArgumentError, StateSpaceError
from fsp.memory import keep, left, limit
from fsp.projection.backend import SERIAL
from fsp.projection.escape import LIKELY, escape, no_rest
from fsp.projection.lines import follow, line_lengths
from fsp.projection.thresholds import Thresholds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import BoolArray, FloatArray, IntArray
    from fsp.distribution import ErrorLedger
    from fsp.generator import Leak
    from fsp.generator.base import BaseGenerator
    from fsp.model import Model
    from fsp.projection.backend import Backend
    from fsp.projection.lines import Lines
    from fsp.space.base import BaseSpace
    from fsp.space.communicator import Processes

S = TypeVar("S", bound="BaseSpace")

MAX_STATES = 10_000_000  # on each process, unless a limit is given: 640 bytes each are 6.4 GB
FIRST_STEPS = 2  # reactions from the initial states within which the first ones lie; chosen, not measured
EXTENT_SHARE = 0.4  # of the extent of the space along a jump that a line may reach
FEW_STATES = 15_000  # beyond, that share falls with the root of their number: a new space costs less beside them
LEAST_EXTENT_SHARE = 0.15  # that share at least, so that growths stay few; chosen, not measured
WIDE = 0.2  # of the largest extent: directions in which a space is wide
HIT = 0.05  # share of the flux out of the space by a jump that asks for longer lines along it
INTERVALS = 2.0  # growths along one jump that the remaining time should take
NEGLECTED_FLUX = 0.01  # share of the flux out of the space whose sources are not followed
ENUMERATED_STATES = 250  # a network that reaches fewer is enumerated at once
ENUMERATED_FOR_GOOD = 100_000  # the same of finite ones, where the answer is stationary: a bound needs all states
ENUMERATED_LINE = 4_000_000  # the same on a line, where 2e6 states are certified in 11 s, and followed in 70 s
CHEAP_STATES = 150  # that a growth may add where that is more than its share
LONGEST_CHEAP = 64  # reactions
LARGEST_GROWTH = 1.5  # of the space, beyond which states are not looked for farther around
BYTES_PER_STATE = 8 * 80  # Krylov basis, generator, keys and states of a network with few reactions
FEW_DIRECTIONS = 64  # species and reactions together
BYTES_OF_EACH = 8 * 5  # of those beyond: counts, keys of several words, rows; measured on 200 and 200: 17 kB a state
SUSPECT_GROWTHS = 10  # between looks for a proof that what flows out runs away
AROUND: tuple[int, ...] = ()  # in the place of a change: all reactions


class _LineLengths:
    """How far to follow each kind of jump: twice as far as last time where that served too short, less where long."""

    def __init__(self) -> None:
        self._length: dict[tuple[int, ...], float] = {}
        self._last: dict[tuple[int, ...], float] = {}

    def hit(self, change: tuple[int, ...], t: float | None, remaining: float, longest: float = inf) -> None:
        """Take note that probability flowed out by `change` at time `t`; lines are at most `longest`."""
        length = self._length.get(change, 0.5 * FIRST_STEPS)
        served = inf if t is None else t - self._last.get(change, t)
        factor = 2.0 if t is None or served <= 0.0 else min(2.0, max(0.5, remaining / (INTERVALS * served)))
        self._length[change] = max(1.0, min(factor * length, longest))
        if t is not None:
            self._last[change] = t

    def length(self, change: tuple[int, ...]) -> int:
        """Return the number of steps along `change`."""
        return ceil(self._length.get(change, 1.0))


class Growth:
    """Grow the space of one computation, within its limits."""

    def __init__(
        self,
        model: Model,
        max_states: int,
        max_memory: int | None,
        *,
        stationary: bool = False,
        longest_cheap: int = LONGEST_CHEAP,
        backend: Backend = SERIAL,
    ) -> None:
        max_memory = limit() if max_memory is None else max_memory  # that of around
        self._model = model
        self._longest_cheap = longest_cheap
        self.backend = backend
        self._stationary = stationary
        of_state = bytes_per_state(model)
        for name, value in (("max_states", max_states), ("max_memory", max_memory)):
            if value is not None and not value >= (1 if name == "max_states" else of_state):
                raise ArgumentError(f"`{name}` must allow at least one state, but is {value!r}.")
        self._max_states = min(max_states, sys.maxsize)  # any whole number is a limit; doubles hold this one
        self._max_memory, self._of_state = max_memory, of_state
        self._pace = _LineLengths()
        self._kept: BaseSpace | None = None  # of the last answer
        self.count = 0

    @property
    def limit(self) -> int:
        """The number of states that memory, beside what stays of it, and the limits allow."""
        return self._max_states if self._max_memory is None else min(self._max_states, self._affordable)

    @property
    def limited_by(self) -> str:
        """What the caller calls this limit."""
        return "max_states" if self.limit == self._max_states else "max_memory"

    @property
    def _affordable(self) -> int:
        limit = self._max_states * self._of_state if self._max_memory is None else int(self._max_memory)
        return max(0, left(limit)) // self._of_state

    def keep(self, answer: BaseSpace, space: BaseSpace) -> None:
        """Take note of an answer on some states, or raise a StateSpaceError where the space has no room beside."""
        keep(len(answer) * 8 * (1 + (answer is not self._kept) * len(answer.species)))  # states are shared
        self._kept = answer
        if self._max_memory is not None and len(space) > self._affordable:
            raise StateSpaceError(
                f"Distributions at the times asked for must fit into {self._max_memory:,} bytes (`max_memory`) beside "
                f"the {len(space):,} states of the next, but do not; ask for fewer times at once and go on with "
                f"`start`, or raise the limit."
            )

    def checked(self, space: S) -> S:
        """Return a space that is given, or raise a StateSpaceError unless it fits into the memory."""
        if self._max_memory is not None and len(space) > self._affordable:
            raise StateSpaceError(
                f"`space` must fit into {self._max_memory:,} bytes (`max_memory`), but has {len(space):,} states of "
                f"about {self._of_state:,} bytes each; raise the limit or give a smaller space."
            )
        return space

    def affords(self, n: int) -> bool:
        """Tell whether `n` states leave room for as many more."""
        return 2 * n <= self.limit

    def first(self) -> BaseSpace:
        """Return the states to start from: the whole reachable set where it is small, else a neighbourhood."""
        limit = ENUMERATED_STATES
        if self._stationary and self._model.is_finite:
            line = _states_of_line(self._model)
            limit = ENUMERATED_FOR_GOOD if line is None else ENUMERATED_LINE if line <= ENUMERATED_LINE else limit
        try:  # stoichiometry does not know of rates that vanish
            return self.backend.reachable(self._model, max_states=min(self.limit, limit))
        except StateSpaceError:
            pass
        try:
            return self.backend.reachable(self._model, steps=FIRST_STEPS, max_states=self.limit)
        except StateSpaceError as error:
            raise StateSpaceError(str(error).replace("`max_states`", f"`{self.limited_by}`")) from None

    def around(self, space: S) -> S:
        """Return the states to start from where a computation goes on from those of a space."""
        return space.grow(self._model, FIRST_STEPS, max_states=self.limit)

    def with_states(self, space: S, states: IntArray) -> S:
        """Return a space with `states` (m, n_species), and one reaction step around them."""
        return space.extend(self._model, states, 1, max_states=self.limit) if len(states) else space

    def grow(
        self,
        space: S,
        generator: BaseGenerator,
        weight: FloatArray,
        t: float | None,
        ledger: ErrorLedger,
        *,
        remaining: float = inf,
        bearable: float = 0.0,
        kept: BoolArray | None = None,
        everywhere: bool = False,
        far: bool = False,
    ) -> S:
        """Return a space that has grown: `weight` (n,) says where the probability is that flows out.

        States that are not `kept` (n,) are left out of it, and it should serve a good part of the `remaining` time.
        A flux of `bearable` may go on, 1/time.
        With `everywhere`, grow from every state that leaks, whatever its weight; `far` as far as the space is wide.
        A StateSpaceError says that the limit does not allow it, or that the network explodes.
        """
        comm = space.comm
        flux = [leak.rates if everywhere else leak.rates * weight[leak.sources] for leak in generator.leaks]
        sums = np.asarray(comm.sum(np.array([f.sum() for f in flux])))
        if not sums.sum() > 0.0:  # rates that are zero just now, or underflow
            flux = [np.ones(len(leak.sources)) for leak in generator.leaks]
            sums = np.asarray(comm.sum(np.array([f.sum() for f in flux])))
        self.count += 1
        if self.count % SUSPECT_GROWTHS == 0:
            self._refuse_escape(space, generator.leaks, flux, t, remaining)
        threshold = 0.0 if everywhere else _threshold(np.concatenate(flux), bearable, comm)
        paces = []
        for leak, total in zip(generator.leaks, sums, strict=True):
            reach = _reach(space, leak.change, far=far)
            if total >= HIT * sums.sum():
                self._pace.hit(tuple(leak.change.tolist()), t, remaining, max(FIRST_STEPS, reach))
            paces.append(reach if far else min(self._pace.length(tuple(leak.change.tolist())), reach))
        lines, followed, asked = self._followed(space, generator, flux, threshold, paces)
        # Where lines break off after few steps, jumps alternate: look around as far as they should have gone.
        if followed < 0.5 * asked:
            self._pace.hit(AROUND, t, remaining, len(space))
            around = self._pace.length(AROUND)
        else:
            around = 1
        base = space if kept is None else space.restrict(kept)
        try:
            states = np.concatenate([line.states for line in lines])
            grown = self._extended(base, states, around)
        except StateSpaceError:
            self._refuse_escape(space, generator.leaks, flux, t, remaining)
            where = "" if t is None else f" at t = {t:.6g}"
            raise StateSpaceError(
                f"The tolerance must be met with at most {self.limit:,} states (`{self.limited_by}`), but{where} "
                f"{len(space):,} states do not suffice ({ledger}); raise the limit or the tolerance."
            ) from None
        if len(grown) <= len(base):
            raise StateSpaceError(
                f"The space must grow where probability leaves it, but its {len(space):,} states have no way out by "
                f"{', '.join(generator.sink_names)}; this is an error of the package, please report it."
            )
        return grown

    def _extended(self, base: S, states: IntArray, around: int) -> S:
        """Return the space with `states` and up to `around` steps around them, as long as it does not grow too much."""
        grown = base.extend(self._model, states, 1, max_states=self.limit)
        before = base
        for _ in range(1, around):
            if len(grown) > LARGEST_GROWTH * len(base) + CHEAP_STATES:
                break
            fresh = np.flatnonzero(before.carry(np.ones(len(before.local)), grown) == 0.0)
            if not base.comm.any(len(fresh) > 0):  # all that can be reached from there is in the space
                break
            before, grown = grown, grown.grow(self._model, 1, seeds=fresh, max_states=self.limit)
        return grown

    def _followed(
        self, space: BaseSpace, generator: BaseGenerator, flux: Sequence[FloatArray], threshold: float, paces: list[int]
    ) -> tuple[list[Lines], float, float]:
        """Repeat each kind of jump; return the lines, and what was followed and asked for on all processes."""
        for leaves in (False, True):  # a callable may fire at times at which it was not asked: its sinks say where
            lines = [
                self._lines(space, leak, f, threshold, paced, generator.t, leaves)
                for leak, f, paced in zip(generator.leaks, flux, paces, strict=True)
            ]
            followed, asked = space.comm.sum(np.array([[line.followed, line.asked] for line in lines]).sum(axis=0))
            if followed > 0.0:
                break
        return lines, float(followed), float(asked)

    def _lines(
        self, space: BaseSpace, leak: Leak, flux: FloatArray, threshold: float, paced: int, t: float, leaves: bool
    ) -> Lines:
        """Repeat one kind of jump from the states that feed it with more than `threshold` at time `t`."""
        chosen = np.flatnonzero(flux >= threshold) if threshold > 0.0 else np.flatnonzero(flux > 0.0)
        weight = flux[chosen]
        n_chosen, top = space.comm.sum(len(chosen)), space.comm.max(float(weight.max(initial=0.0)))
        cheap = FIRST_STEPS if self._stationary else min(self._longest_cheap, CHEAP_STATES // max(n_chosen, 1))
        length = line_lengths(weight, threshold, top, max(1, cheap, paced))
        with space.comm.agree():
            return follow(self._model, leak, space.states_at(leak.sources[chosen]), weight, length, t, leaves=leaves)

    def _refuse_escape(
        self,
        space: BaseSpace,
        leaks: Sequence[Leak],
        flux: Sequence[FloatArray],
        t: float | None,
        remaining: float,
    ) -> None:
        """Raise where it is proved that what flows out runs away: see `fsp.projection.escape`.

        A transient ends where that is by an explosion, a stationary distribution in any case.  It is looked at from the
        state that most probability flows out of.
        """
        largest = [float(f.max(initial=0.0)) for f in flux]
        strongest = int(np.argmax(largest))
        top = space.comm.max(largest[strongest])
        state = np.zeros(len(space.species), dtype=np.int64)
        if len(flux[strongest]) and largest[strongest] == top:
            state = space.states_at(leaks[strongest].sources[[int(np.argmax(flux[strongest]))]])[0]
        state = np.asarray(space.comm.max(state))
        horizon = 0.0 if t is None else t + remaining
        way = escape(self._model, state, horizon, remaining, explosions=not self._stationary)
        if way is None or not (way.explodes or self._stationary):
            return
        where = "" if t is None else f" at t = {t:.6g}"
        raised = f"reaction '{way.reaction}' raises {way.species}, now {way.count:,},"
        if way.explodes:
            raise StateSpaceError(
                f"The network must not explode, but{where} {raised} faster than linearly: from there infinitely many "
                f"jumps happen in finite time with a probability of at least {LIKELY}, and no finite space holds "
                f"the rest. Bound the rate, or end earlier."
            )
        raise StateSpaceError(no_rest(way))


def _states_of_line(model: Model) -> float | None:
    """Return how many states there may be where all jumps lie on one line; None where they do not."""
    change = model.change
    if np.linalg.matrix_rank(change) > 1:
        return None
    steps = np.gcd.reduce(change, axis=0)  # (n_species,)
    return 1.0 + float(
        (model.species_bounds[steps > 0] / steps[steps > 0]).min(initial=0.0 if not steps.any() else inf)
    )


def bytes_per_state(model: Model) -> int:
    """Return the bytes that a state takes in a run: more where there are many species and reactions."""
    return BYTES_PER_STATE + BYTES_OF_EACH * max(0, model.n_species + model.n_reactions - FEW_DIRECTIONS)


def check_start(model: Model, max_memory: int | None) -> None:
    """Raise a StateSpaceError if the states that a model starts in do not fit into the memory."""
    n, of_state = len(model.initial_states), bytes_per_state(model)
    if max_memory is not None and n * of_state > max(max_memory, of_state):
        raise StateSpaceError(
            f"The states that a run starts in must fit into {max_memory:,} bytes (`max_memory`), but are {n:,} of "
            f"about {of_state:,} bytes each; raise the limit, or start in fewer states, such as single counts."
        )


def most_states(model: Model) -> int:
    """Return the default limit on the number of states: ten million, or those that fit into as much memory."""
    return MAX_STATES * BYTES_PER_STATE // bytes_per_state(model)


def starting_vector(model: Model, space: BaseSpace) -> FloatArray:
    """Return the initial distribution on `space`, (n,); raise a StateSpaceError if an initial state is missing."""
    index = space.local.index(model.initial_states)
    missing = np.asarray(space.comm.max(index)) < 0
    if missing.any():
        lacking = dict(zip(model.species, model.initial_states[missing][0].tolist(), strict=True))
        raise StateSpaceError(f"`space` must contain the initial states, but lacks {lacking}.")
    p = np.zeros(len(space.local))
    stored = index >= 0
    p[index[stored]] = model.initial_probabilities[stored]
    return p


def _reach(space: BaseSpace, change: IntArray, *, far: bool) -> int:
    """Return how many jumps by `change` a line may have at most: the extent of the space along them or a share."""
    moved = change != 0
    extent = space.top - space.bottom
    wide = np.count_nonzero(extent >= WIDE * extent.max())  # in more directions a space grows by more states
    share = max(EXTENT_SHARE * sqrt(min(1.0, FEW_STATES / len(space)) / wide), LEAST_EXTENT_SHARE)
    return ceil((1.0 if far else share) * int((extent[moved] // np.abs(change)[moved]).min()))


def _threshold(flux: FloatArray, bearable: float, comm: Processes) -> float:
    """Return the flux below which sources together carry at most `bearable` or NEGLECTED_FLUX of all, and not half."""
    levels = Thresholds(flux, comm)
    total = levels.masses[-1]
    level = levels.highest(min(max(NEGLECTED_FLUX * total, bearable), 0.5 * total))
    return levels.value(level) if level else 0.0
