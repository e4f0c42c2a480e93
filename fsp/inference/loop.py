"""Advance p, its derivatives by parameters and, where asked, the squares of scores, on a space that holds them all.

All go together, one block of vectors, by the steps of `fsp.inference.expansion`; `fsp.inference.account` says what
they may be off.  A step that would lose more than its share of the tolerance, of p or of a derivative, is not taken:
the space grows where it lost, and states that neither p nor a derivative needs are dropped.  How much of p may be lost
so that what it lacks does not spoil the derivatives is guessed, and the run begun anew where that was too much.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.bars import silent
from fsp.errors import ArgumentError, ConvergenceError
from fsp.generator import Generator
from fsp.inference.account import Account
from fsp.inference.beforehand import space_at_the_end
from fsp.inference.beginning import Beginning, StartProof, of_model
from fsp.inference.count_maps import asked_at, largest_of
from fsp.inference.derived import RateChangeBounds, refuse_new_ways
from fsp.inference.differentiated import differentiated
from fsp.inference.discontinuities import Discontinuities
from fsp.inference.envelopes import Bounds
from fsp.inference.first_loss import first_loss
from fsp.inference.methods import Method, method_of
from fsp.inference.parameters import Derivatives
from fsp.inference.problem import DROPPED, LEAVING, Limits, Problem, Reached
from fsp.inference.statewise import Known
from fsp.inference.stationary_start import stationary
from fsp.model.arguments import check_tolerance
from fsp.model.times import checked_times
from fsp.projection.backend import SERIAL, serial
from fsp.projection.backend import of_model as fields_of
from fsp.projection.budget import BEARABLE_SHARE
from fsp.projection.forecast import MOST_WORK
from fsp.projection.growth import Growth, most_states
from fsp.projection.progress import Progress
from fsp.projection.pruning import choose
from fsp.solvers.poisson import AMPLIFIED
from fsp.space.places import places

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, FloatArray
    from fsp.inference.expansion import Expansion
    from fsp.model import Model
    from fsp.space.base import BaseSpace

MOST_RUNS = 6  # with ever smaller losses of p
RUN_CAUTION = 0.3  # of the loss of p that would just do, with which the next run begins
LONGEST_CHEAP = 4  # jumps that the space grows ahead where that is cheap: states far out make Λ large
LOOK = 200  # blocks of products before it is seen whether states can be dropped
LEAST_WORK_SHARE = 0.2  # of the work that must go with them
STATIONARY_SHARE = 0.25  # of the loss of p, for what a stationary start lacks
LEAST_STATIONARY = 1e-14  # of the error of a stationary start that is asked for: below, rounding is most of it
LEAST_SPENT = 0.1  # of what may be lost, at a start
# Of what lacked before the first step: what has left is known no better, as sums over 10⁴ steps round.  All is charged.
UNSEEN = 1e-12
CALL_STATES = 2_000  # whose products take as long as the calls


def solve(
    model: Model,
    times: Sequence[float] | FloatArray | float,
    parameters: Sequence[str],
    tol: float,
    limits: Limits,
    *,
    log: bool,
    scores: bool = False,
    start: str | None = None,
) -> tuple[list[Reached], Derivatives, dict[str, int]]:
    """Return what is known at each time, the derivatives of the laws, and counts of the work."""
    limits.check(model)
    requested = checked_times(times)
    check_tolerance(tol)
    check_start(start)
    model, slopes = differentiated(model, parameters, log=log)
    maps = slopes.maps
    requested = asked_at(maps, requested)
    bounds = Bounds.of(model, slopes, max(float(requested[-1]), 1e-300), largest_of(model, maps) if maps else None)
    loss = tol * first_loss(model, slopes, bounds, float(requested[-1]))
    for _ in range(MOST_RUNS):
        beginning = beginning_of(model, slopes, bounds, loss, limits, start)
        scored = scores and not model.is_time_dependent and not any(event.speeds.any() for event in maps)
        end = float(requested[-1])
        space = None if start or maps else space_at_the_end(model, beginning.states, end, loss, limits)
        problem = Problem(model, slopes, bounds, beginning, requested, tol, loss, limits, scored, space=space)
        run = Run(problem)
        answers = run.results()
        if answers is not None:
            return answers, slopes, run.counts
        loss *= RUN_CAUTION * run.affordable
    raise ConvergenceError(
        f"The derivatives must be known up to {tol:.1e}, but {MOST_RUNS} runs with ever smaller losses did not get "
        f"there. Ask for a larger `tol`, or for an earlier time."
    )


def check_start(start: object) -> None:
    """Refuse a start that is none."""
    if start is not None and not (isinstance(start, str) and start == "stationary"):
        raise ArgumentError(f"`start` must be 'stationary', or left out for the start of the model, but is {start!r}.")


def beginning_of(
    model: Model, slopes: Derivatives, bounds: Bounds, loss: float, limits: Limits, start: str | None
) -> Beginning:
    """Return where a run begins."""
    if start is None:
        return of_model(model, slopes)
    begun = stationary(model, slopes, max(STATIONARY_SHARE * loss, LEAST_STATIONARY), limits)
    known, guessed = np.isfinite(begun.errors), begun.proof.estimates
    if known.all() or guessed is None:
        return replace(begun, proof=begun.proof._replace(estimates=None))
    errors, estimates = np.where(known, begun.errors, guessed), np.where(known, 0.0, guessed)
    return replace(begun, errors=errors, proof=StartProof(begun.proof.of_law, of_errors=False, estimates=estimates))


class Run:
    """One run, in which p may lose `loss`; `affordable` says, where it failed, what part of that would have done."""

    def __init__(self, problem: Problem) -> None:
        self.problem, begun = problem, problem.beginning
        self.affordable = 1.0
        self.counts = {"products": 0, "growths": 0, "largest_space": 0}
        self._account = Account(problem.bounds, begun)
        self._t, self._since = 0.0, 0
        self._method: Method | None = None
        # Time of the last growth; infinite on a space that was found for all of the run, until it does not do.
        self._changed = -math.inf if problem.space is None else math.inf
        self._jumps = Discontinuities(problem)
        model = problem.model
        if begun.spread:
            model = model.starting_in(begun.states, begun.probabilities)
        self._growth = self._growth_of(model)
        space = problem.space or self._growth.first()
        self._bind(space, begun.on(places(serial(space), begun.states), len(space), scores=problem.scores))

    def _growth_of(self, model: Model) -> Growth:
        limits = self.problem.limits
        limit = most_states(model) if limits.max_states is None else limits.max_states
        return Growth(model, limit, limits.max_memory, longest_cheap=LONGEST_CHEAP)

    @property
    def _steps(self) -> Method:
        if self._method is None:
            raise ValueError("a run must be bound to a space.")
        return self._method

    def _bind(self, space: BaseSpace, block: FloatArray, *, goes_on: bool = False) -> None:
        self._space, self._block, problem = serial(space), block, self.problem
        before = self._method
        if problem.watch is not None:
            problem.watch(space)
        self._method = method_of(problem, Generator(problem.model, self._space), self._jumps.moving.times)
        if before is not None and (goes_on or problem.model.is_time_dependent):
            self._method.carry_on(before)  # type: ignore[arg-type]
        self.counts["largest_space"] = max(self.counts["largest_space"], len(space))
        jumps, work = self._method.work(problem.duration - self._t, len(block))
        limit = MOST_WORK if problem.limits.max_work is None else problem.limits.max_work
        if work > limit:
            raise ConvergenceError(
                f"The end must be within reach of `max_work`, {limit:.1e} multiply-adds, but at t = "
                f"{self._t:.6g} {jumps:.1e} jumps of {len(space):,} states lie ahead. Ask for an "
                f"earlier time, or raise it."
            )

    # ---- the loop

    def results(self) -> list[Reached] | None:
        """Go through all times; None where what p lacks spoils the derivatives."""
        times = self.problem.times
        answers = [self._result()] if times[0] == 0.0 else []
        if self._spoiled():
            return None
        while self._t < self.problem.duration and len(answers) < len(times):
            asked = times[len(answers) :]
            event = self._jumps.next
            ahead = asked if event is None else np.append(asked[asked < event.t], event.t)
            for t in self._advance(ahead):
                if t in asked and (event is None or t < event.t or event.later):
                    answers.append(self._result())
            if event is not None and self._t == event.t:
                self._fire()
                if event.t in asked and not event.later:
                    answers.append(self._result())
            if self._spoiled():
                return None
        return answers

    def _fire(self) -> None:
        """Set counts as the next event does, and go on from the states that come of that."""
        fired = self._jumps.fire(self._space, self._block)
        states, block = fired.image.states, fired.image.block
        self._growth = self._growth_of(self.problem.model.starting_in(states, np.maximum(block[0], 0.0)))
        space = self._growth.first()
        placed = np.zeros((len(block), len(space)))
        placed[:, places(serial(space), states)] = block
        fired.enter(serial(space), placed, self._account)
        self._method = None
        self._bind(space, placed)
        self._changed, self._since = self._t, 0

    def _advance(self, asked: FloatArray) -> Iterator[float]:
        """Take a step towards the last of the times asked for; yield those that are reached, and its end."""
        method, problem, account = self._steps, self.problem, self._account
        for t, step, course in method.steps(self._block, self._t, asked):
            self.counts["products"] += step.products
            self._since += step.products
            allowed = problem.allowed * t / problem.duration
            if (self._left() + account.leaving(course, step) > allowed).any():
                self._grow(step, course, 0.5 * (self._t + t))
                return
            h, generator = t - self._t, method.generator
            account.charge(course, step, h * (1.0 + UNIT_ROUNDOFF))
            products = step.products * (AMPLIFIED * generator.roundings + 4.0) * UNIT_ROUNDOFF
            known = step.known or Known(products, 0.0)
            account.relative += known.relative
            account.absolute += known.absolute + generator.misjudged(self._t, t)
            self._t, self._block = t, step.end
            self._jumps.moving.pass_by(t, self._space, self._block, account)
            self._report()
            yield t
        if self._since >= LOOK and self._t < problem.duration:
            self._prune()

    def _report(self) -> None:
        """Say how far it is, and which losses this run takes: it may be begun anew with smaller ones."""
        problem, report = self.problem, self.problem.limits.report
        if report is not silent:
            error = max(ledger.total for ledger in (self._account.y, *self._account.slopes.ledgers))
            end = float(problem.times[-1])
            report(Progress(self._t, end, len(self._space), error, f"losses below {problem.loss:.0e}"))

    def _left(self) -> FloatArray:
        """Return what has left the space so far, (1 + q,)."""
        account, slopes, begun = self._account, self._account.slopes, self.problem.beginning
        errors = np.zeros(len(begun.errors)) if begun.at_its_best else begun.errors
        terms = [
            ledger.truncation - (part + e) * (1.0 + UNSEEN)
            for ledger, part, e in zip(slopes.ledgers, slopes.remnants, errors, strict=True)
        ]
        return np.array([account.y.truncation - account.unplaced * (1.0 + UNSEEN), *terms])

    def _spoiled(self) -> bool:
        """Tell whether a derivative is further off than it may be by now, though not by rounding."""
        ledgers, remnants = self._account.slopes.ledgers, self._account.slopes.remnants
        tol, duration, begun = self.problem.tol, self.problem.duration, self.problem.beginning
        estimates = begun.proof.estimates
        fixed = np.zeros_like(begun.errors) if estimates is None else estimates  # no loss lowers them
        errors = np.zeros_like(begun.errors) if begun.at_its_best else begun.errors - fixed
        totals = np.array([ledger.total - ledger.rounding for ledger in ledgers])  # (q,)
        totals -= np.zeros_like(fixed) if begun.at_its_best else fixed
        if not (totals > tol).any():
            return False
        spent = tol * (1.0 - LEAVING - DROPPED) * min(1.0, max((self._t / duration) ** 2, LEAST_SPENT))
        self.affordable = min(0.5, spent / max(float((remnants + errors).max()), 1e-300))
        return True

    def _weight(self, block: FloatArray) -> FloatArray:
        """Return, (n,), where p and the derivatives are, by what may be lost of each, in units of p."""
        allowed = self.problem.allowed
        weight: FloatArray = allowed[0] / allowed @ np.abs(block[: len(allowed)])
        return weight

    def _grow(self, step: Expansion, course: RateChangeBounds, middle: float) -> None:
        refuse_new_ways(course.edges)
        ahead, problem, allowed = self._weight(step.end), self.problem, self.problem.allowed
        for edge in course.edges:  # what leaves by a derivative of a rate counts as that of the rate
            flow = (edge.slopes / np.maximum(edge.rates, 1e-300)) * step.end[0, edge.sources]
            np.add.at(ahead, edge.sources, allowed[0] / allowed[1:] @ flow)
        fresh = self._t > self._changed
        kept = self._choice(np.maximum(ahead, self._weight(self._block))) if fresh else None
        if kept is not None and kept.all():
            kept = None
        grown = self._growth.grow(
            self._space,
            self._steps.generator.at(middle),
            ahead,
            self._t,
            self._account.y,
            remaining=problem.duration - self._t,
            bearable=BEARABLE_SHARE * problem.loss / problem.duration,
            kept=kept,
        )
        self._changed = self._t
        self.counts["growths"] += 1
        if kept is not None:
            self._account.drop(self._steps.course, self._block, kept)
        self._bind(grown, self._carried(grown))

    def _choice(self, weight: FloatArray) -> BoolArray:
        """Return which states stay, (n,)."""
        account, problem = self._account, self.problem
        spent = max(
            [account.y.pruning / problem.loss, *(ledger.pruning / problem.tol for ledger in account.slopes.ledgers)]
        )
        budget = DROPPED * self._t / problem.duration - spent
        rate = problem.loss / problem.duration
        return choose(
            self._steps.generator.at(self._t), weight, None, max(budget, 0.0) * problem.loss * LEAVING, rate
        ).kept

    def _prune(self) -> None:
        self._since = 0
        if self._changed == math.inf:
            return
        kept = self._choice(self._weight(self._block))
        rates = self._steps.generator.exit_rates
        before, after = rates.max() * (CALL_STATES + len(kept)), rates[kept].max() * (CALL_STATES + kept.sum())
        if after < (1.0 - LEAST_WORK_SHARE) * before:
            self._account.drop(self._steps.course, self._block, kept)
            smaller = self._space.restrict(kept)
            self._bind(smaller, self._carried(smaller), goes_on=True)

    def _carried(self, space: BaseSpace) -> FloatArray:
        return np.array([self._space.carry(v, serial(space)) for v in self._block])

    # ---- what it comes to

    def _result(self) -> Reached:
        problem, account, t, q = self.problem, self._account, self._t, len(self.problem.slopes.names)
        dist = SERIAL.distribution(
            self._space,
            self._block[0].copy(),
            t=t,
            error=account.y,
            closed=account.closed and not self._steps.course.edges,
            moments=self._jumps.moments(t),
            **fields_of(problem.model),
        )
        return Reached(
            dist,
            self._block[1 : 1 + q].copy(),
            tuple(account.slopes.ledgers),
            account.slopes.means(),
            account.scores(self._block[1 + q :].copy()) if problem.scores else None,
            problem.beginning.bounds,
            account.gone if problem.model.is_time_dependent else account.lost,
            account.relative,
            account.absolute,
        )
