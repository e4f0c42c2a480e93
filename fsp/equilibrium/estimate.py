"""Stationary distributions whose error is an estimate, in one process or on ranks.

The closed classes of a space whose leaks are closed are weighted by the probability of ending in them.  The space grows
where the answer's probability flows out, and the change of the answer under growth estimates the truncation error.
Before it is accepted the space grows once more from every state of its boundary, and what leaves it by each kind of
jump, however seldom, is followed until most of it comes back: what never does takes all probability in the end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.checks import check_choice
from fsp.distribution import ErrorLedger
from fsp.equilibrium.bounded import class_notes
from fsp.equilibrium.growth_loop import NextSpace, grow_until
from fsp.errors import BackendError, ConvergenceError, StateSpaceError
from fsp.model.arguments import check_tolerance
from fsp.model.structure import irreversible_gain
from fsp.projection.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from fsp.arrays import BoolArray, FloatArray, IntArray
    from fsp.chains.classes import Absorption
    from fsp.chains.null_vectors import NullVector
    from fsp.generator.base import BaseGenerator
    from fsp.model import Model
    from fsp.projection.growth import Growth
    from fsp.projection.progress import ProgressCallback
    from fsp.space.base import BaseSpace

GAINING_GROWTHS = 5  # of the space, before it is looked at whether molecules are made and never lost
NEGLIGIBLE_CLASS = 1e-14  # probability of a closed class that is not solved
PASSING = 0.5  # share of the jumps that leave the space, from which on its closed classes only pass probability on
GUESSED_SHARE = 0.5  # share of the weight of a class that a guess must hold to be one; chosen, not measured
UNDONE = 1e-9  # share of all jumps that a reaction must have for what it adds to matter
NO_FLOW = 1e-300  # jumps in unit time, so that shares of them are finite


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """The answer on one space; vectors are those of this process's own states, (n,)."""

    generator: BaseGenerator
    p: FloatArray  # of mass 1 less what was lost
    occupation: FloatArray  # mean times in transient states
    lost: float  # probability of leaving the space before a closed class is reached
    error: float  # of the null vectors, weighted
    notes: tuple[str, ...] = ()

    @property
    def weight(self) -> FloatArray:
        """Where probability flows out from, (n,)."""
        return self.p + self.occupation

    @property
    def lasting(self) -> FloatArray:
        """Weights of what goes on, (n,): the way to the closed classes too where these are no more than its end."""
        outflow, flow = self.flows
        return self.weight if outflow > PASSING * flow else self.p

    @property
    def flows(self) -> tuple[float, float]:
        """Jumps out of the space, and all jumps, in unit time."""
        generator = self.generator
        rates = np.array([generator.leak_rates @ self.p, generator.exit_rates @ self.p])
        outflow, flow = np.asarray(generator.space.comm.sum(rates)).tolist()
        return outflow, flow

    def ledger(self, truncation: float) -> ErrorLedger:
        """Return the estimate of its error."""
        lost = self.generator.rate_errors.lost
        return ErrorLedger(truncation=truncation, integration=self.error, rounding=lost, certified=False)

    def noted(self, *more: str) -> Estimate:
        """Return the same with more notes."""
        return replace(self, notes=(*self.notes, *more))

    def suppressed(self) -> float:
        """Estimate what a boundary that reflects keeps away: suppressed jumps over all, as each would lead outside."""
        outflow, flow = self.flows
        if gaining(self.generator.model, self.generator.space, self.p) is not None:
            return 2.0
        return min(2.0, 2.0 * outflow / max(flow, NO_FLOW) + 2.0 * self.lost)


@dataclass(frozen=True, slots=True, eq=False)
class ClosedClass:
    """A closed class, its stationary vector still to be found."""

    members: IntArray | BoolArray  # places, or a mask, of this process's states
    n_states: int  # of all processes
    example: str  # one of its states
    solve: Callable[[FloatArray | None], NullVector]  # beginning with another vector, of mass 1, if there is one


def weighted(
    generator: BaseGenerator, end: Absorption, classes: Iterable[ClosedClass], guess: FloatArray | None
) -> Estimate:
    """Return the answer of classes weighted by the probability of ending in each; `guess` (n,) is about that."""
    p = np.zeros(len(end.occupation))
    error, solved = 0.0, []
    for closed, weight in zip(classes, end.weights.tolist(), strict=True):
        if weight <= NEGLIGIBLE_CLASS:
            error += 2.0 * weight
            continue
        begin = None if guess is None else guess[closed.members]
        mass = 0.0 if begin is None else float(generator.space.comm.sum(float(begin.sum())))
        vector = closed.solve(begin / mass if begin is not None and mass > GUESSED_SHARE * weight else None)
        p[closed.members] = weight * vector.p
        error += weight * vector.error
        solved.append((f"closed class of {closed.n_states:,} states around ({closed.example})", weight))
    return Estimate(generator, p, end.occupation, end.lost, error, class_notes(solved))


def converged_answer(
    model: Model,
    growth: Growth,
    tol: float,
    solve: Callable[[Any, FloatArray | None], Estimate],
    report: ProgressCallback | None = None,
    follow: Callable[[Estimate], BaseSpace | None] = lambda estimate: None,
) -> tuple[Estimate, float]:
    """Return the answer on a space that has grown until it settled, and its change under the last growth.

    `follow` returns a larger space to solve on, where what leaves one does not come back.
    """
    criterion = _ChangeJudge(model, growth, tol, report, follow)
    try:
        return grow_until(growth, growth.first(), solve, criterion), criterion.change
    except ConvergenceError:
        criterion.refuse_escape()  # before what fails on the next space
        raise


class _ChangeJudge:
    """Ends where the answer changes by less than the tolerance, twice, and what leaves the space comes back."""

    suffices = False

    def __init__(
        self,
        model: Model,
        growth: Growth,
        tol: float,
        report: ProgressCallback | None,
        follow: Callable[[Estimate], BaseSpace | None],
    ) -> None:
        self._model, self._growth, self._tol = model, growth, tol
        self._report, self._follow = report, follow
        self.change = 2.0
        self._settled = False
        self._error = 0.0  # of the null vectors before
        self._larger: BaseSpace | None = None
        self._last: Estimate | None = None

    def refuse_escape(self) -> None:
        """Raise where what was solved last shows that probability does not come back: then the next may fail."""
        if self._last is None:
            return
        space, lost = self._last.generator.space, self._last.lost
        refuse_accumulation(self._model, space, self._last.lasting, GAINING_GROWTHS)
        if lost > PASSING:
            raise StateSpaceError(
                f"A stationary distribution must exist and be reached, but {lost:.2g} of the probability leaves "
                f"{len(space):,} states for others, ever more slowly, and the equations of more of them are beyond "
                f"double precision. Give a `space` if a reflecting boundary is meant."
            )

    def judge(self, candidate: Estimate, guess: FloatArray | None) -> NextSpace | None:
        """Return how to go on; None where the answer has settled, or nothing leaves the space."""
        generator, self._last = candidate.generator, candidate
        if guess is not None and self._is_confirmed(candidate, guess):
            return None
        if not generator.n_sinks:
            self.change = 0.0
            return None
        self._error = candidate.error
        refuse_accumulation(self._model, generator.space, candidate.lasting, self._growth.count)
        ledger = ErrorLedger(truncation=self.change, integration=candidate.error, certified=False)
        return NextSpace(ledger, everywhere=self._settled, space=self._larger)

    def _is_confirmed(self, candidate: Estimate, guess: FloatArray) -> bool:
        space = candidate.generator.space
        self.change = float(space.comm.sum(float(np.abs(candidate.p - guess).sum()))) + 2.0 * candidate.lost
        if self._report is not None:
            with space.comm.agree():
                if space.comm.rank == 0:
                    self._report(Progress(None, None, len(space), self.change + candidate.error, "stationary"))
        confirming = self._settled and self._larger is None  # the space has grown from all of its boundary
        rounded = self.change <= self._error + candidate.error  # what the solvers leave hides what growing changes
        self._settled = rounded or self.change + candidate.error <= self._tol
        confirmed = confirming and self._settled
        self._larger = self._follow(candidate) if confirmed else None
        return confirmed and self._larger is None


def check_arguments(model: Model, tol: float, method: str = "auto", methods: Collection[str] = ()) -> None:
    """Raise an error unless a stationary distribution can be asked for like that."""
    model.require_untimed("A stationary distribution")
    if model.is_time_dependent:
        raise BackendError(
            "A stationary distribution must have constant propensities, but this network's depend on time."
        )
    check_tolerance(tol)
    check_choice("method", method, ["auto", *methods])


def refuse_accumulation(model: Model, space: BaseSpace, p: FloatArray, growths: int) -> None:
    """Raise where molecules are made and never lost: the answer would be one of the boundary only."""
    if growths < GAINING_GROWTHS:
        return
    k = gaining(model, space, p)
    if k is not None:
        raise StateSpaceError(
            f"A stationary distribution must exist, but reaction '{model.reactions[k].name}' goes on, and nothing "
            f"undoes what it adds: probability escapes to infinity. Add the loss, or give a `space` if a reflecting "
            f"boundary is meant."
        )


def gaining(model: Model, space: BaseSpace, p: FloatArray) -> int | None:
    """Return a reaction that goes on although nothing undoes what it adds; none does where states are finitely many."""
    if model.is_finite:
        return None
    flux = np.asarray(space.comm.sum(model.propensities(space.local.states) @ p))  # (n_reactions,)
    endless = np.isinf(model.species_bounds)
    gains = irreversible_gain(model.change[:, endless]) & (flux > UNDONE * flux.sum())
    return int(np.argmax(gains)) if gains.any() else None
