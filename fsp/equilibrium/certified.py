"""Stationary distributions whose error is a bound, on a space that grows until the bound meets the tolerance.

The space holds the states that the drift condition excepts, as far as they can be reached, and grows where the answer's
probability flows out.  One closed class: `certify` on all of the space also shows that every state leads to it.  Where
it leads to no other state of the space, a bound on it alone is one for the network:

(1) every state of the space leads to the only class that is closed in it, with a least probability before the space is
    left, as there are finitely many; and wherever the space is left, the drift condition brings the chain back to it.
    So the class is met with probability one, and all that is stationary comes from there.

Several closed classes: a bound for each, on the states that its own may come to, weighted by the probabilities of
ending there, whose error is at most the 1-norm of what the equations for the transient states leave, and what leaks out
of those.  Classes that leak, and may lead elsewhere through the outside, are pockets of the space.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from fsp.arithmetic import SLIGHTLY_UP, SUM_ROUNDING, UNIT_ROUNDOFF
from fsp.chains.classes import Absorption, Classes, absorption, closed_classes, lead_back
from fsp.chains.null_vectors import null_vector
from fsp.distribution import ErrorLedger
from fsp.equilibrium.bounded import Bounded, class_notes, example, warn_if_above, with_start
from fsp.equilibrium.certificate import Certificate, certify, rate_outside, roundings
from fsp.equilibrium.estimate import NEGLIGIBLE_CLASS
from fsp.equilibrium.growth_loop import NextSpace, grow_until
from fsp.equilibrium.reachability import Reachability
from fsp.errors import ConvergenceError, StateSpaceError
from fsp.generator import Generator
from fsp.moments.lyapunov import NoDriftCondition
from fsp.projection.backend import serial
from fsp.projection.growth import starting_vector
from fsp.projection.progress import Progress, ProgressCallback

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, FloatArray, IntArray
    from fsp.model import Model
    from fsp.moments.lyapunov import DriftCondition
    from fsp.projection.growth import Growth
    from fsp.space import StateSpace
    from fsp.space.base import BaseSpace

SPARE = 0.25  # share of the drift elsewhere that excepted states may lack without being stored
HIDDEN_WAYS = "rounding hides how states lead to each other, or one does not lead to the others"
IMPROBABLE = 0.1  # of the most probable state, below which a state is not good to build bounds around
POCKETED = 12  # growths for the ways out of pockets; chosen: lines double, so some thousand jumps
ROUNDING_SHARE = 0.5  # share of the tolerance that rounding takes, beyond which growing does not help


class StationaryCertifier:
    """Bound the stationary distribution of one model on one space after another."""

    def __init__(self, model: Model, condition: DriftCondition | None, method: str, tol: float) -> None:
        self._model, self._method, self._tol = model, method, tol
        self._reach = Reachability(model)
        # without states that turn out not to be reached
        self.condition = None if condition is None else self._possible(condition, model.initial_states)
        self._tries = POCKETED

    def solve(self, growth: Growth, report: ProgressCallback) -> Bounded:
        """Grow the space until the bound meets the tolerance, or rounding or the limits forbid it.

        A `ToleranceWarning` says that the bound is above the tolerance, a NoDriftCondition that nothing can be proved
        although no probability flows out.
        """
        first, proof = growth.with_states(growth.first(), self.excepted()), _CertificateJudge(self._tol, report)
        try:
            grow_until(growth, first, self.attempt, proof)
        except StateSpaceError:
            if self._tries == POCKETED:
                raise
            self._tries, proof = 0, _CertificateJudge(self._tol, report)  # it may do without the ways out of pockets
            grow_until(growth, first, self.attempt, proof)
        if proof.best is None and self.condition is None and proof.leaks:
            raise NoDriftCondition("a bound needs all of the finitely many states, which are too many to store")
        if proof.best is None:
            raise NoDriftCondition(HIDDEN_WAYS)
        warn_if_above(proof.best, self._tol, stacklevel=5)
        return proof.best

    def attempt(self, space: BaseSpace, guess: FloatArray | None) -> Bounded:
        """Solve and certify on those states of a space that may be reached; `guess` (n,) is the answer so far."""
        space = serial(space)
        reached = self._reach.reached(space, self._model.initial_states)
        if not reached.all():
            guess = None if guess is None else guess[reached]
            space, larger = space.restrict(reached), space
            self.condition = self._narrowed(self._model.initial_states, larger, space)
        generator = Generator(self._model, space)
        initial = starting_vector(self._model, space)
        closed = (generator.to_csr() + sparse.diags_array(generator.leak_rates)).tocsr()
        all_closed = closed_classes(closed)
        classes = self.separate(generator, all_closed)
        pockets = classes.transient & ~all_closed.transient
        if self._is_end(generator, all_closed):
            surely = Absorption(np.ones(1), np.zeros(len(space)), 0.0, 0.0)
            nowhere = np.zeros(len(space), dtype=np.bool_)
            return with_start(self._several(generator, closed, all_closed, surely, doubtful=nowhere), several=False)
        if self._tries and len(classes.members) == 1:
            self._tries -= 1
            return self._of_pockets(generator, classes.members[0], pockets)
        if len(classes.members) < 2:
            return with_start(self._of_one_class(generator, guess, classes), several=False)
        end = absorption(closed, classes, generator.leak_rates, initial, roundings(generator))
        doubtful = classes.transient if pockets.any() else pockets  # what a pocket leads to outside may lead there
        return with_start(self._several(generator, closed, classes, end, doubtful=doubtful), several=True)

    def _is_end(self, generator: Generator, classes: Classes) -> bool:
        """Tell whether (1) holds, and a class does not hold all states: all ways end there, however long they take."""
        if len(classes.members) != 1 or not classes.transient.any():
            return False
        condition = self.condition
        if generator.n_sinks and (condition is None or not rate_outside(condition, generator) > 0.0):
            return False
        return not self.onward(generator, classes.members[0]).any()

    def _of_pockets(self, generator: Generator, members: IntArray, pockets: BoolArray) -> Bounded:
        """Return no bound, and that the space grow from its pockets until it shows where they lead."""
        n, unknown = len(generator), ErrorLedger(truncation=np.inf)
        held = np.where(pockets, 1.0, 0.0)
        held[members] = 1.0
        return Bounded(generator, held / held.sum(), np.zeros(n), np.ones(n), unknown, np.where(pockets, 1.0, 0.0))

    def separate(self, generator: Generator, classes: Classes) -> Classes:
        """Return the classes that no way through the outside may lead from; others are pockets of the space."""
        if len(classes.members) < 2:
            return Classes((), np.ones(len(generator), dtype=np.bool_))
        kept, transient = [], classes.transient.copy()
        for members in classes.members:
            if (self.onward(generator, members) & ~classes.transient).any():
                transient[members] = True
            else:
                kept.append(members)
        return Classes(tuple(kept), transient)

    def onward(self, generator: Generator, members: IntArray) -> BoolArray:
        """Tell which other states of the space a closed class may lead to, on a way through the outside, (n,)."""
        ways = np.zeros(len(generator), dtype=np.bool_)
        if generator.leak_rates[members].any():
            ways = self._reach.reached(generator.space, generator.space.states_at(members[:1]))
            ways[members] = False
        return ways

    def _of_one_class(self, generator: Generator, guess: FloatArray | None, classes: Classes) -> Bounded:
        """Certify the only closed class, which every state of the space must be shown to lead to."""
        if guess is not None and guess.any():
            certificate = self._around_mode(generator, int(np.argmax(guess)), self.condition)
            if certificate is not None:
                return _bounded(generator, certificate)
        initial = starting_vector(self._model, generator.space)
        likely = initial if guess is None else guess
        leads = partial(self._reach.leads, generator.space)
        back = lead_back(generator.to_csr(), generator.leak_rates, initial, likely, leads)
        known = classes.members[0][:1] if classes.members else np.zeros(0, dtype=np.int64)
        back_members = max(
            closed_classes(back).members, key=lambda members: (np.isin(known, members).any(), len(members))
        )
        p = self._estimate(back, back_members)
        certificate = None if guess is not None else self._around_mode(generator, int(np.argmax(p)), self.condition)
        if certificate is not None:
            return _bounded(generator, certificate)
        unknown = ErrorLedger(truncation=np.inf)
        return Bounded(generator, p, np.zeros(len(p)), np.ones(len(p)), unknown, p)

    def _estimate(self, closed: Any, members: IntArray) -> FloatArray:
        """Return about the stationary vector of a closed class, (n,); bounds do not depend on how good it is."""
        n = closed.shape[0]
        p = np.zeros(n)
        block = closed if len(members) == n else closed[members][:, members].tocsr()
        try:
            p[members] = null_vector(block, self._method).p
        except ConvergenceError:
            p[members] = 1.0 / len(members)
        return p

    def _around_mode(self, generator: Generator, z: int, condition: DriftCondition | None) -> Certificate | None:
        """Certify around z, and again around the mode that is found where z is improbable."""
        first = self._best(generator, z, condition)
        if first is None or first.p[z] > IMPROBABLE * first.p.max():
            return first
        second = self._best(generator, int(np.argmax(first.p)), condition)
        return first if second is None or second.total > first.total else second

    def _best(self, generator: Generator, z: int, condition: DriftCondition | None) -> Certificate | None:
        """Certify by a factorisation, and without subtractions where rounding is what keeps from the tolerance."""
        fast = certify(generator, z, condition)
        if fast is not None and fast.integration + fast.rounding <= (1.0 - ROUNDING_SHARE) * self._tol:
            return fast
        slow = certify(generator, z, condition, eliminate=True)
        return fast if slow is None or (fast is not None and fast.total <= slow.total) else slow

    # ---- which states may be reached

    def excepted(self) -> IntArray:
        """Return the states that have to be stored."""
        condition = self.condition
        if condition is None:
            return np.zeros((0, self._model.n_species), dtype=np.int64)
        return condition.states[condition.drifts > -SPARE * condition.elsewhere]

    def _possible(self, condition: DriftCondition, start: IntArray) -> DriftCondition:
        """Return a drift condition without states that cannot be reached from some, (k, d)."""
        kept = self._reach.possible(condition.states, start)
        return replace(condition, states=condition.states[kept], drifts=condition.drifts[kept])

    def _narrowed(self, start: IntArray, larger: StateSpace, space: StateSpace) -> DriftCondition | None:
        """Return the drift condition without states that cannot be reached: those of `larger` that `space` lacks."""
        condition = self.condition
        if condition is None:
            return None
        excluded = (larger.index(condition.states) >= 0) & (space.index(condition.states) < 0)
        kept = replace(condition, states=condition.states[~excluded], drifts=condition.drifts[~excluded])
        return self._possible(kept, start)

    # ---- several closed classes

    def _several(
        self, generator: Generator, closed: Any, classes: Classes, end: Absorption, doubtful: BoolArray
    ) -> Bounded:
        """Certify each class; states that are `doubtful` (n,) may be recurrent, with what is lost on the way."""
        n = len(generator)
        p, lower, upper = np.zeros(n), np.zeros(n), np.zeros(n)
        error = off = _absorption_error(generator, classes, end)
        upper[doubtful] = off.total
        classed: list[tuple[str, float]] = []
        for members, weight in zip(classes.members, end.weights.tolist(), strict=True):
            if weight <= NEGLIGIBLE_CLASS:
                upper[members] = weight + off.total
                error += ErrorLedger(truncation=weight)
                continue
            estimate = self._estimate(closed, members)
            z = int(np.argmax(estimate))
            proved = self._of_class(generator, members, z)
            if proved is None:
                upper[members] = weight + off.total
                error += ErrorLedger(truncation=np.inf)
                p += weight * estimate
                continue
            kept, certificate = proved
            p[kept] += weight * certificate.p
            lower[kept] += max(0.0, weight - off.total) * certificate.lower
            upper[kept] += (weight + off.total) * certificate.upper
            error += ErrorLedger(
                weight * certificate.truncation, weight * certificate.integration, 0.0, weight * certificate.rounding
            )
            where = example(generator.space, int(members[0]))
            classed.append((f"closed class of {len(members):,} states around ({where})", weight))
        return Bounded(
            generator,
            p,
            lower,
            np.minimum(upper, 1.0),
            error,
            p + end.occupation,
            class_notes(classed),
        )

    def _of_class(self, generator: Generator, members: IntArray, z: int) -> tuple[IntArray, Certificate] | None:
        """Certify one closed class around its state z, on the states that may be reached from z."""
        leaks = bool(generator.leak_rates[members].any())
        kept = members
        condition = None
        start = generator.space.states_at(np.array([z]))
        if leaks:
            kept = np.flatnonzero(self._reach.reached(generator.space, start))
        mask = np.zeros(len(generator), dtype=np.bool_)
        mask[kept] = True
        space = generator.space.restrict(mask)
        if leaks:
            condition = self._narrowed(start, generator.space, space)
        generator_there = Generator(self._model, space)
        certificate = self._around_mode(generator_there, int(space.index(start)[0]), condition)
        return None if certificate is None else (kept, certificate)


def _absorption_error(generator: Generator, classes: Classes, end: Absorption) -> ErrorLedger:
    """Bound ``Σ |exact - computed weight|`` of the closed classes: what is lost on the way, and rounding.

    That is what is known of each, or what the equations of the transient states leave, which goes somewhere, once.
    """
    lost = end.lost * SLIGHTLY_UP
    if np.isfinite(end.relative):
        return ErrorLedger(truncation=lost, rounding=end.relative)
    inside = classes.transient
    matrix = generator.to_csr()
    initial = starting_vector(generator.model, generator.space)
    rest = np.abs((initial + matrix @ end.occupation)[inside])
    charge = roundings(generator) * (abs(matrix) @ end.occupation)
    summed = (SUM_ROUNDING + roundings(generator)) * float(end.weights.sum())  # starts and fluxes, all >= 0
    return ErrorLedger(truncation=lost, rounding=float(rest.sum() + charge.sum()) + summed)


def _bounded(generator: Generator, certificate: Certificate) -> Bounded:
    error = ErrorLedger(
        truncation=certificate.truncation, integration=certificate.integration, rounding=certificate.rounding
    )
    return Bounded(generator, certificate.p, certificate.lower, certificate.upper, error, certificate.p)


class _CertificateJudge:
    """Ends where the bound meets the tolerance, or growing does not help."""

    def __init__(self, tol: float, report: ProgressCallback) -> None:
        self._tol, self._report = tol, report
        self.best: Bounded | None = None
        self._searched = False  # whether the space has grown from all of its boundary
        self.leaks = True  # whether the last space has a way out

    @property
    def suffices(self) -> bool:
        """Whether the best bound says anything."""
        return self.best is not None and self.best.error.total <= 1.0

    def judge(self, candidate: Bounded, guess: FloatArray | None) -> NextSpace | None:
        """Return how to go on; None to end."""
        total = min(candidate.error.total, 2.0)
        self._report(Progress(None, None, len(candidate.generator.space), total, "stationary"))
        self.best = candidate if candidate.proved else self.best
        self.leaks = bool(candidate.generator.n_sinks)
        ends = _ends(candidate, self._tol)
        if ends and (self._searched or candidate.proved or not candidate.generator.n_sinks):
            return None
        self._searched = ends  # a jump that hardly ever happens may lead to where most of the probability is
        error = candidate.error if candidate.proved else ErrorLedger(truncation=2.0, certified=False)
        return NextSpace(error, everywhere=self._searched)


def _ends(bounded: Bounded, tol: float) -> bool:
    """Tell whether growing the space is not needed, or does not help."""
    generator = bounded.generator
    if not generator.n_sinks:
        return True
    if bounded.proved:
        return bounded.error.total <= tol or bounded.error.truncation <= (1.0 - ROUNDING_SHARE) * tol
    outflow = float(generator.leak_rates @ bounded.p)
    return outflow <= UNIT_ROUNDOFF * float(generator.exit_rates @ bounded.p)
