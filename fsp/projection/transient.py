"""Transient distributions by adaptive finite state projection.

The probability of the initial states is advanced on a set of states that moves with it.  A solver may lose
probability only at the rate of the truncation budget; when it would lose more, it stops at the last moment at
which it did not, the states that feed the loss are followed outwards, those that probability has left are dropped,
and it goes on from there.  What was lost or dropped stays lost, in the ledger.

References
----------
B. Munsky, M. Khammash, The finite state projection algorithm for the solution of the chemical master equation,
J. Chem. Phys. 124 (2006) 044104, doi:10.1063/1.2145882.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from math import inf, isfinite
from typing import TYPE_CHECKING

import numpy as np

from fsp.errors import ArgumentError, BackendError, ConvergenceError, FSPError, StateSpaceError
from fsp.model.arguments import check_tolerance
from fsp.model.fingerprint import comparable
from fsp.model.phases import split_at_events
from fsp.model.switches import stops
from fsp.model.times import checked_times
from fsp.projection.backend import SERIAL, of_model
from fsp.projection.budget import Budget
from fsp.projection.engine import Engine
from fsp.projection.forecast import MOST_WORK, Forecast
from fsp.projection.growth import Growth, most_states
from fsp.projection.pacing import Pacing
from fsp.projection.progress import Progress, ProgressCallback
from fsp.projection.pruning import Pruning
from fsp.projection.pruning import choose as choose_pruning
from fsp.projection.recorder import Recorder
from fsp.projection.refutation import refuse_too_large
from fsp.projection.start import Start, first_space, first_vector, starting_point
from fsp.projection.watch import Checkpoint, Watch
from fsp.solvers.base import NO_LIMIT
from fsp.solvers.stepping import way_out_of_callables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import FloatArray, IntArray
    from fsp.distribution import Distribution, ErrorLedger, Solution
    from fsp.model import Model
    from fsp.model.phases import Phase
    from fsp.projection.backend import Backend
    from fsp.projection.engine import Carry
    from fsp.solvers import Advance, Solver
    from fsp.space.base import BaseSpace

RATES_AHEAD = 9  # times at which it is seen how rates rise; chosen


def solve(
    model: Model,
    times: Sequence[float] | FloatArray | float,
    tol: float,
    *,
    start: Solution | Distribution | None = None,
    hint: IntArray | None = None,
    begins: str = "",
    space: BaseSpace | None = None,
    solver: str | Solver = "auto",
    max_states: int | None = None,
    max_memory: int | None = None,
    max_work: float | None = None,
    progress: ProgressCallback | None = None,
    checkpoint: Checkpoint | None = None,
    backend: Backend = SERIAL,
) -> Solution:
    """Do the work of `fsp.transient`.

    `hint` (n, n_species) are states that will be needed, as in a similar network; `begins` is the word for where it
    begins, which is kept with the answer.  `checkpoint` is called on all ranks where progress is reported, with a
    function, to be called on all or on none, that returns what was reached; what it raises it raises on all ranks.
    """
    with backend.comm.agree():
        requested = checked_times(times)
        check_tolerance(tol)
        backend.check_solver(solver)
        if model.has_timed_events:
            _check_events(backend, space)
        begin = starting_point(model, start, tol)
        begin.check(requested)
    problem = comparable(model.hash), requested.tolist(), tol, str(solver), max_states, max_memory, max_work
    backend.comm.require_same((*problem, begin.t if begin.spread else begins), "The problem")
    max_work = MOST_WORK * backend.comm.size if max_work is None else max_work
    max_states = most_states(model) * backend.comm.size if max_states is None else max_states
    recorder = Recorder(
        model, requested, tol, {"max_states": max_states, "fixed_space": space is not None, "start": begins}
    )
    watch = Watch(backend.comm, progress, checkpoint)
    left = requested
    for phase in begin.model.phases(begin.t, recorder.t_end):
        begin = begin.within(phase)
        growth = Growth(begin.model, max_states, max_memory, backend=backend)
        asked, left, until = split_at_events(left, phase.until, included=phase.output_first)
        if space is None:
            refuse_too_large(growth, begin, min(phase.until, recorder.t_end), tol)
        with ExitStack() as stack:
            budget = Budget(begin, recorder.t_end, tol)
            pacing = Pacing(begin.t, recorder.t_end, adapts=space is None)
            engine = Engine(begin.model, solver, budget, pacing, backend, stack)
            forecast = Forecast(begin.t, min(phase.until, recorder.t_end), max_work, way_out_of_callables(begin.model))
            loop = Loop(begin, recorder, budget, engine, pacing, forecast, watch, growth)
            loop.enter(
                first_space(growth, begin, hint) if space is None else growth.checked(space), hinted=hint is not None
            )
            try:
                loop.run(asked, until if len(left) else inf)
            except KeyboardInterrupt as stop:
                raise watch.interrupted(stop, f"stopped at t = {loop.accepted.t:.6g}", loop.reached) from stop
        if not len(left):
            break
        begin = loop.fired(phase, until)
    return recorder.solution()


@dataclass(frozen=True, slots=True, eq=False)
class LoopState:
    """Where a computation is, kept together since Ctrl-C may come between two assignments."""

    t: float
    space: BaseSpace
    p: FloatArray  # (n,)
    ledger: ErrorLedger  # what was added to the error of the start
    closed: bool  # whether every state that the chain can reach is in the space


class Loop:
    """One phase: advance, charge, then grow, prune, change the solver, or nothing."""

    now: LoopState
    accepted: LoopState  # what is an answer: of before the events that end the phase

    def __init__(
        self,
        begin: Start,
        recorder: Recorder,
        budget: Budget,
        engine: Engine,
        pacing: Pacing,
        forecast: Forecast,
        watch: Watch,
        growth: Growth,
    ) -> None:
        self.begin, self.recorder = begin, recorder
        self.budget, self.engine, self.pacing, self.watch = budget, engine, pacing, watch
        self._growth, self._forecast = growth, forecast
        self._until = inf  # where events take place, so that what is reached there is not yet the answer
        self._hinted: BaseSpace | None = None  # states that stay, as a similar network needed them

    def enter(self, space: BaseSpace, *, hinted: bool) -> None:
        """Begin in a space."""
        self._hinted = space if hinted else None
        p = first_vector(self.begin, space)
        self._bind(space, self.begin.t)
        self._accept(self.begin.t, space, p)

    def run(self, asked: FloatArray, until: float) -> None:
        """Go through the phase, up to `until`, and record what is asked for; the last one where `until` is infinite."""
        engine, budget = self.engine, self.budget
        stretch = stops(self.begin.model, asked, self.begin.t, until).tolist()
        for target in stretch:  # functions of time may switch there
            self._until = until if target == until and target not in asked else inf
            engine.release(self.now.t)
            while (t := self.now.t) < target:
                engine.hold(t, target)
                try:
                    step = engine.propagator.advance(
                        self.now.p,
                        t,
                        target,
                        tol=budget.integration_for(engine.tol, target - t),
                        limit=budget.loss_limit(t) if engine.growing else NO_LIMIT,
                        pulse=self._report,
                        max_products=engine.max_products,
                    )
                except ConvergenceError as failure:  # another solver goes on
                    engine.give_way(t, failure)
                    continue
                self._take(step, target)
                if step.rejected is not None:
                    self._grow(step.rejected)
                elif not self._prune():
                    engine.reconsider(self.now.t)
                self._report(self.now.t)
            if target == stretch[-1]:
                engine.leave()
            if target in asked:
                self.recorder.add(self.distribution())
                self._growth.keep(self.accepted.space, self.now.space)

    def _take(self, step: Advance, target: float) -> None:
        """Charge an advance towards `target`, and go on from where it came to."""
        started = self.now
        self.budget.charge(step, started.t, self.engine.generator, certified=self.engine.solver.certified)
        self.recorder.count_products(self.engine.text, step.n_matvec)
        if started.space.comm.sum(float(step.p.sum())) == 0.0:  # only from a given space can all of it leave
            raise StateSpaceError(
                f"`space` must hold some probability until the last time, but at t = {step.t:.6g} all of it has left. "
                f"Give a larger one, or none, or end before."
            )
        self._accept(step.t, started.space, step.p)
        work = self.engine.learn(step, started.t, target)
        if self._forecast.worked(work, step.n_matvec):
            self._look_ahead()

    def _look_ahead(self) -> None:
        """Refuse to go on where the end is too far away; on a space that stays as it is, by any solver."""
        now, forecast = self.now, self._forecast
        mean = np.asarray(now.space.comm.sum(now.p @ now.space.local.states))
        known, rising = self.begin.moments(forecast.end), self._rising(forecast.end)
        left = forecast.look(now.t, mean, self.pacing.last, known, rising)
        if left and now.t < forecast.end:
            failure = forecast.refusal(now.t, left, type(self.engine.solver).__name__)
            if not forecast.unchanged:
                raise failure
            self.engine.give_way(now.t, failure)

    def _rising(self, end: float) -> float:
        """Return how many times faster the stored states are left, in the mean until the end, than now."""
        generator = self.engine.generator
        if generator.is_constant:
            return 1.0
        try:
            rates = [generator.at(float(t)).largest_exit_rate for t in np.linspace(self.now.t, end, RATES_AHEAD)]
        except FSPError:  # a rate without bound
            return inf
        mean = (sum(rates) - 0.5 * (rates[0] + rates[-1])) / (RATES_AHEAD - 1)
        return mean / rates[0] if rates[0] > 0.0 else 1.0

    def _grow(self, rejected: FloatArray) -> None:
        """Grow the space where the `rejected` vector would leave it, and drop what is not needed any more."""
        self.engine.leave()  # before another space is made, which takes memory itself
        # What was added at this very time has not been reached yet, and stays.
        pruning = self._choose_pruning(rejected) if self.now.t > self.pacing.last else None
        kept = pruning.kept if pruning is not None and pruning.share > 0.0 else None
        grown = self._growth.grow(
            self.now.space,
            self.engine.generator,
            rejected,
            self.now.t,
            self.budget.ledger,
            remaining=self.pacing.remaining(self.now.t),
            bearable=self.budget.bearable_outflow,
            kept=kept,
        )
        self.recorder.count("growths")
        self.pacing.grown(self.now.t)
        self._move_to(grown)

    def _prune(self) -> bool:
        """Drop states if it is time for a look and enough of them can go; return whether to go on as before."""
        now, engine, pacing = self.now, self.engine, self.pacing
        n = len(now.space)
        if not engine.growing or not pacing.is_worth_a_look(n, now.t):
            return False
        pruning = self._choose_pruning(None)
        saved = engine.saving(pruning.share, min(pacing.remaining(now.t), pacing.until_growth(now.t)))
        worth = pacing.pays(pruning.share, saved, n, engine.work_of_change())
        pacing.checked(now.t, worth)
        if worth:
            self.recorder.count("prunings")
            engine.leave()
            self._move_to(now.space.restrict(pruning.kept))
        return worth

    def _choose_pruning(self, ahead: FloatArray | None) -> Pruning:
        now, hinted = self.now, self._hinted
        wanted = None if hinted is None else hinted.carry(np.ones(len(hinted.local)), now.space) > 0.0
        generator = self.engine.generator.at(now.t)
        return choose_pruning(generator, now.p, ahead, self.budget.prunable(now.t), self.budget.truncation_rate, wanted)

    # ---- from one space to the next

    def _move_to(self, space: BaseSpace) -> None:
        """Go on in another space; what it does not hold is pruned."""
        before = self.now
        p = before.space.carry(before.p, space)
        dropped = before.p - space.carry(p, before.space)  # exact: an entry is carried, or 0
        self.budget.drop(before.space.comm.sum(float(dropped.sum())))
        self._bind(space, before.t, partial(before.space.carry, other=space))
        self._accept(before.t, space, p)

    def _bind(self, space: BaseSpace, t: float, carry: Carry | None = None) -> None:
        self.engine.bind(space, t, carry)
        self.recorder.note_space(len(space))

    def _accept(self, t: float, space: BaseSpace, p: FloatArray) -> None:
        self.now = LoopState(t, space, p, self.budget.ledger, self._closed)
        if t < self._until:
            self.accepted = self.now

    @property
    def _closed(self) -> bool:
        lost, generator = self.budget.ledger, self.engine.generator
        nothing_lost = generator.n_sinks == 0 and lost.pruning == 0.0 and lost.truncation == 0.0
        holds_all = self.begin.holds_all and not self.begin.model.definition.has_tails
        return nothing_lost and holds_all and isfinite(generator.rate_errors.worst)

    # ---- what it comes to

    def distribution(self) -> Distribution:
        """Return the distribution at the time reached."""
        reached, model = self.accepted, self.begin.model
        error = self.begin.error + reached.ledger
        return self._growth.backend.distribution(
            reached.space,
            reached.p,
            t=reached.t,
            error=error,
            notes=self.budget.notes(error),
            closed=reached.closed,
            moments=self.begin.moments(reached.t),
            **of_model(model),
        )

    def reached(self) -> Solution:
        """Return the answer so far, with the distribution to go on from as the last one."""
        return self.recorder.so_far(self.distribution())

    def fired(self, phase: Phase[Model], until: float) -> Start:
        """Return where the next phase begins, after what events make of the states."""
        now = self.now
        has = now.p > 0.0
        error = self.begin.error + now.ledger
        states, p, holds_all = now.space.states[has], now.p[has], now.closed or error.total == 0.0
        return self.begin.fired(phase, until, states, p, error, self.recorder.tol, holds_all=holds_all)

    def _report(self, t: float) -> None:
        if self.now.t < self._until:
            self.watch.report(partial(self._progress, t), self.reached)

    def _progress(self, t: float) -> Progress:
        space = self.now.space
        reached = self.reached if space.comm.size == 1 else None  # all ranks would have to ask for it
        error = self.begin.error.total + self.budget.ledger.total
        return Progress(float(t), self.recorder.t_end, len(space), error, type(self.engine.solver).__name__, reached)


def _check_events(backend: Backend, space: BaseSpace | None) -> None:
    """Refuse what events at known times do not go with."""
    if backend is not SERIAL:
        raise BackendError("Events at known times must be solved with backend='serial'; on ranks they are not treated.")
    if space is not None:
        raise ArgumentError(
            "`space` must be left out where events take place at known times: each phase between them has its own."
        )
