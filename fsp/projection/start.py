"""Where a transient begins: the model's initial states at time zero, or a distribution that was computed before.

The semigroup does not expand the 1-norm, so the error of the start is added to what is made from there on, whatever
the model is then: a change of parameters at the start time is one more continuation.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fsp.distribution import Distribution, ErrorLedger, Solution
from fsp.errors import ArgumentError, BackendError, ModelError, StateSpaceError
from fsp.model.tree import at_time
from fsp.moments import PendingBounds, moment_bounds
from fsp.moments.carried import Carried
from fsp.projection.growth import starting_vector

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.model import Model
    from fsp.model.phases import Phase
    from fsp.projection.growth import Growth
    from fsp.space.base import BaseSpace

LEAST_LEFT = 0.01  # of the tolerance, for what comes after events that it was spent before
HINT_SHARE = 1e-4  # of the tolerance: probability, over all states of a hint, that is not worth their place


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """The beginning of a computation."""

    model: Model  # its initial distribution is that of the start, unless that is spread
    t: float
    error: ErrorLedger  # of the distribution of the start
    tol: float  # that is left
    exact: bool = True  # whether the distribution is the law that the network starts from, and not a result
    spread: tuple[BaseSpace, FloatArray] | None = None  # over ranks: a space, and probabilities (n_local,)
    exact_since: float = 0.0  # the time at which the network starts from it
    initial: Carried | None = None  # known of the moments at time `t`, where the distribution is not exact
    holds_all: bool = True  # whether the states of the distribution are all that have probability

    def check(self, times: FloatArray) -> None:
        """Raise an ArgumentError if one of `times` lies before the start."""
        if times[0] < self.t:
            raise ArgumentError(
                f"`times` must not be earlier than the start, t = {self.t:.12g}, but begin with {times[0]:.12g}; they "
                f"count from zero, not from the start."
            )

    def within(self, phase: Phase[Model]) -> Start:
        """Return the beginning of a phase: the network is that of the phase."""
        if not self.model.has_timed_events:
            return self
        model = phase.model(self.model.initial_states, self.model.initial_probabilities)
        exact = self.exact and not (self.exact_since > 0.0 and model.is_time_dependent)
        return replace(self, model=model, exact=exact)

    def fired(
        self,
        phase: Phase[Model],
        t: float,
        states: IntArray,
        probabilities: FloatArray,
        error: ErrorLedger,
        tol: float,
        *,
        holds_all: bool,
    ) -> Start:
        """Return where the next phase begins, after one that ended at `t` with these `states` (n, d).

        The next start is exact, and free of error, where events take all states to one.  `tol` bounds the error at the
        end of the computation; `holds_all` tells whether no other states had probability.
        """
        if phase.firing is None:
            raise ValueError("`phase` must end by events, but is the last one.")
        only = phase.firing.lands_on()
        moved = 2.0 * abs(t - phase.until)  # to a time asked for: for so long the solution is held, before or after
        if only is not None:
            begun = phase.network.starting_in(only[None], np.ones(1))
            held = ErrorLedger(rounding=moved * _largest_exit_rate(begun, t) if moved else 0.0)
            return Start(begun, t, held, tol, exact_since=t)
        mapped, gathered_probabilities, rounding = phase.firing.mapped(states, probabilities)
        begun = phase.network.starting_in(mapped, gathered_probabilities)
        if moved:
            before = self.model.starting_in(states, probabilities)
            rounding += moved * (_largest_exit_rate(before, t) + _largest_exit_rate(begun, t))
        error += ErrorLedger(rounding=rounding)
        moments = self.moments(t)
        initial = None if moments is None else Carried(moments, phase.firing)
        left, holds_all = max(tol - error.total, LEAST_LEFT * tol), holds_all and not phase.network.definition.has_tails
        return Start(begun, t, error, left, exact=False, initial=initial, holds_all=holds_all)

    def moments(self, t: float) -> PendingBounds | None:
        """Return the bounds of moments at a time; None where nothing is known."""
        if self.exact:
            return moment_bounds(self.model, t - self.exact_since)
        if self.initial is None or self.model.is_time_dependent or self.model.events:
            return None  # which states trigger is known for those that are stored, not for all that there may be
        return moment_bounds(self.model, t - self.t, initial=self.initial)


def _largest_exit_rate(model: Model, t: float) -> float:
    """Return the largest exit rate of the initial states, 1/time."""
    return float(model.propensities(model.initial_states, t).sum(axis=0).max(initial=0.0))


def starting_point(model: Model, start: Solution | Distribution | None, tol: float) -> Start:
    """Return where a computation of `model` begins, with the error of `start`, which is part of `tol`.

    `start` is that of `fsp.transient`; an ArgumentError says why it cannot be.
    """
    if start is None:
        off = abs(1.0 - math.fsum(model.initial_probabilities.tolist()))  # what they were read with
        return Start(model, 0.0, ErrorLedger(rounding=off), tol)
    if not isinstance(start, Solution | Distribution):
        raise ArgumentError(f"`start` must be a Solution or a Distribution, but is {start!r}.")
    first = start[-1] if isinstance(start, Solution) else start
    if sorted(first.species) != sorted(model.species):
        raise ArgumentError(
            f"`start` must be of the species {', '.join(model.species)}, but is of {', '.join(first.species)}."
        )
    if not first.error.total < tol:
        raise ArgumentError(
            f"`tol` must be larger than the error of `start`, which is part of the answer's, but is {tol:.1e}: "
            f"{first.error}. Ask for a larger `tol`, or solve the start with a smaller one."
        )
    t, left = 0.0 if first.t is None else first.t, tol - first.error.total
    space: BaseSpace | None = getattr(first, "space", None)
    if space is not None:
        if first.species != model.species:
            raise ArgumentError(
                f"`start` must have its species in the order of the model, {', '.join(model.species)}, where it is "
                f"spread over ranks, but has {', '.join(first.species)}."
            )
        if model.events:
            raise BackendError(
                "`start` must be a serial solution where the model has events, but is spread over ranks; use "
                "backend='serial'."
            )
        given = space, first.probabilities
        return Start(model, t, first.error, left, exact=False, spread=given, holds_all=first.closed)
    columns = [first.species.index(name) for name in model.species]
    begun = model.starting_in(first.states[:, columns], first.probabilities)
    initial = None if first.moments is None else Carried(first.moments.select(columns))
    holds_all = first.closed or first.error.total == 0.0
    return Start(begun, t, first.error, left, exact=False, initial=initial, holds_all=holds_all)


def begins(start: Solution | Distribution | str | None) -> str:
    """Return where a computation begins, in a word that no other start has; empty for the start of the model."""
    if not isinstance(start, Solution | Distribution):
        return start if isinstance(start, str) else ""
    last = start[-1] if isinstance(start, Solution) else start
    digest = hashlib.sha256(last.states.tobytes() + last.probabilities.tobytes()).hexdigest()
    return f"{last.model_name} at t = {last.t}, sha256 {digest[:16]}"


def starts_at_rest(start: object) -> bool:
    """Tell whether `start` is the word for the stationary law; another word is an ArgumentError."""
    if not isinstance(start, str):
        return False
    if start != "stationary":
        raise ArgumentError(f"`start` must be a distribution, 'stationary' or None, but is {start!r}.")
    return True


def with_first_rates(model: Model) -> Model:
    """Return the network whose rates are at all times those of time zero."""
    if not model.is_time_dependent:
        return model
    laws = [model.law(r) for r in range(model.n_reactions)]
    if any(callable(law) for law in laws):
        raise ModelError(
            f"Rates must be formulas to be taken at one time, but '{model.name}' has a callable; write it as a text."
        )
    return model.with_laws({r: at_time(law, 0.0) for r, law in enumerate(laws) if not callable(law)})


def worth_keeping(solution: Solution) -> IntArray:
    """Return the states (n, n_species) that a similar computation will need: those that held probability.

    All others together held less than HINT_SHARE of the tolerance at each of the times.
    """
    kept = []
    for distribution in solution:
        order = np.argsort(distribution.probabilities)
        below = np.cumsum(distribution.probabilities[order]) <= HINT_SHARE * solution.tol
        kept.append(distribution.states[np.sort(order[~below])])
    return np.unique(np.concatenate(kept), axis=0)


def first_space(growth: Growth, begin: Start, hint: IntArray | None) -> BaseSpace:
    """Return the first states of a computation, with those of `hint` (n, n_species) where they fit in.

    A hint costs nothing of the certificate: states that turn out to be of no use hold no probability.
    """
    space = growth.first() if begin.spread is None else growth.around(begin.spread[0])
    if hint is None or not growth.affords(len(space) + len(hint)):
        return space
    try:
        return space.extend(begin.model, hint, 0)
    except StateSpaceError:  # the hint breaks a conservation law of this model's initial states
        return space


def first_vector(begin: Start, space: BaseSpace) -> FloatArray:
    """Return the distribution of a start on `space`, (n,); raise a StateSpaceError if that lacks one of its states."""
    if begin.spread is None:
        return starting_vector(begin.model, space)
    given, p = begin.spread
    carried = given.carry(p, space)
    held, kept = given.comm.sum(np.array([np.count_nonzero(p), np.count_nonzero(carried)])).tolist()
    if kept < held:
        raise StateSpaceError(f"`space` must contain the states of `start`, but lacks {held - kept:,} of them.")
    return carried
