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

import warnings
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from math import inf, isfinite
from typing import TYPE_CHECKING

import numpy as np

from fsp.distribution import ErrorLedger
from fsp.errors import ArgumentError, BackendError, ConvergenceError, Interrupted, ToleranceWarning
from fsp.model.arguments import check_call
from fsp.model.phases import split_at_events
from fsp.model.times import checked_times
from fsp.projection.backend import SERIAL, backend_named
from fsp.projection.changes import Changes
from fsp.projection.growth import MAX_STATES, Growth, check_tolerance
from fsp.projection.progress import Progress, ProgressCallback
from fsp.projection.pruning import Pruning
from fsp.projection.pruning import choose as choose_pruning
from fsp.projection.record import Record, Work
from fsp.projection.start import Start, first_space, first_vector, starting_point
from fsp.projection.times import stops
from fsp.solvers import NO_LIMIT, Choice, Chooser, LossLimit
from fsp.solvers.clocks import constants_on

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Any

    from fsp.arrays import BoolArray, FloatArray, IntArray
    from fsp.distribution import Distribution, Solution
    from fsp.model import Model
    from fsp.model.phases import Phase
    from fsp.projection.backend import Backend
    from fsp.solvers import Advance, Solver
    from fsp.solvers.base import History
    from fsp.space import StateSpace

PRUNING_SHARE = 0.05  # of the tolerance, spent in proportion to time
ROUNDING_SHARE = 0.05
BEARABLE_ROUNDING = 0.3  # of the tolerance: a solver that would round more is taken only if all do
INTEGRATION_SHARE = 0.03  # so small that improbable states are not lost in noise; it costs a solver little
TIMED_SHARE = 0.2  # where rates depend on time: a smaller error costs a solver more there
LARGEST_INTEGRATION_SHARE = 0.3
INTEGRATION_NOISE = 1e-10  # error that a solver should not be asked to go below
BEARABLE_SHARE = 0.3  # of the rate at which probability may leave the space, whose sources a growth does not follow
FEWEST_PRUNED = 400  # states of a space that is worth pruning
NEW_SPACE = 3e7, 500.0  # work of a new space and its generator: in multiply-adds, and for each state
LEAST_SHARE = 0.1  # of the states that must go to be worth a new space of their own


def transient(
    model: Model,
    times: Sequence[float] | FloatArray | float,
    tol: float = 1e-6,
    *,
    start: Solution | Distribution | None = None,
    space: StateSpace | None = None,
    solver: str | Solver = "auto",
    max_states: int | None = None,
    max_memory: int | None = None,
    progress: ProgressCallback | None = None,
    backend: str = "serial",
    comm: Any = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    save_every: float | None = None,
) -> Solution:
    """Solve the chemical master equation from the model's initial states, or from where an earlier solution ends.

    Parameters
    ----------
    model
        The reaction network.
    times
        Increasing times >= 0, in the model's unit of time; with `start`, not before it.
    tol
        Bound on the 1-norm error of the distribution at the last time; earlier times have less.
    start
        A solution, whose last distribution is meant, or a distribution over the same species, to go on from in place
        of the initial states.  The model may have other parameters from there on.  A stationary distribution starts
        at t = 0.  Its error is part of the answer's, and of `tol`.
    space
        A fixed state space; by default the space is chosen and grown to meet `tol`.
    solver
        ``"auto"``, a name of `fsp.solvers.SOLVERS`, or a solver value such as ``fsp.Krylov(dimension=60)``, whose own
        `tol` then limits the integration error as well.
    max_states, max_memory
        Limits on the number of states and on bytes; reaching one before `tol` is met is an error.  Without
        `max_states` the limit is ten million states, on each rank.
    progress
        Called with a `Progress` now and then, on the first rank; may raise KeyboardInterrupt.
    backend
        ``"serial"``, or ``"petsc"``: the same on many ranks, which all call this with the same arguments.  The answer
        is then spread over them, see `fsp.petsc`.
    comm
        The ranks, a communicator of mpi4py or petsc4py, with ``backend="petsc"``; None for all that were started.
    checkpoint, resume, save_every
        With ``backend="petsc"``: a folder for checkpoints; whether to go on from the one that is there, on any number
        of ranks; seconds between them, a minute by default.  The last two must come with the first.

    Returns
    -------
    Solution
        One distribution for each time, with its ledger.

    Raises
    ------
    ArgumentError
        If `times`, `tol`, `solver` or `backend` is not as above.
    BackendError
        If what `backend` needs is not installed, or the solver cannot treat the model there.
    ModelError
        If a propensity is negative, not finite, or leads to a negative count.
    StateSpaceError
        If the tolerance cannot be met within the limits, or `space` lacks an initial state.
    ConvergenceError
        If the solver cannot keep its tolerance.
    Interrupted
        On Ctrl-C, or where `progress` raised a KeyboardInterrupt; its ``solution`` is what was reached, and a `start`
        to go on from.

    Warns
    -----
    ToleranceWarning
        If the bound on the error exceeds `tol`: a fixed `space` that is too small, or rounding.
    """
    check_call(model, space=space, max_states=max_states, max_memory=max_memory, progress=progress)
    parts = backend_named(backend, comm)
    given: dict[str, Any] = {"space": space, "solver": solver, "max_states": max_states, "max_memory": max_memory}
    run: Callable[..., Solution] = partial(solve, model, tol=tol, progress=progress, backend=parts, **given)
    parts.comm.together("fsp.transient")
    with parts.comm.agree():
        _check_checkpoints(parts, checkpoint, start, resume, save_every)
        requested = checked_times(times).tolist()
    parts.comm.require_same((str(checkpoint), resume, save_every), "`checkpoint`, `resume` and `save_every`")
    if checkpoint is None:
        solution = run(requested, start=start)
    else:
        keeper = import_module("fsp.petsc.resuming").solve_with_checkpoints
        solution = keeper(
            run, model, requested, tol, comm=parts.comm, folder=checkpoint, resume=resume, every=save_every
        )
    _warn_if_above(solution[-1], tol, space)
    return solution


def _check_checkpoints(
    parts: Backend, checkpoint: str | Path | None, start: Any, resume: bool, save_every: float | None
) -> None:
    """Raise an ArgumentError where checkpoints are asked for in a way that would be ignored."""
    if checkpoint is None:
        for name, value in (("resume", resume or None), ("save_every", save_every)):
            if value is not None:
                raise ArgumentError(
                    f"`{name}` must come with `checkpoint`, the folder that checkpoints are in, and backend='petsc', "
                    f"but is {value!r} without; in serial `save` writes what was reached, and `start` goes on from it."
                )
    elif parts is SERIAL or start is not None:
        raise ArgumentError(
            "`checkpoint` must come with backend='petsc' and without `start`; `save` writes what a serial run reached."
        )
    elif save_every is not None and not save_every >= 0.0:
        raise ArgumentError(f"`save_every` must be a number of seconds, 0 or more, but is {save_every!r}.")


def solve(
    model: Model,
    times: Sequence[float] | FloatArray | float,
    tol: float,
    *,
    start: Solution | Distribution | None = None,
    hint: IntArray | None = None,
    space: StateSpace | None = None,
    solver: str | Solver = "auto",
    max_states: int | None = None,
    max_memory: int | None = None,
    progress: ProgressCallback | None = None,
    checkpoint: Callable[[Callable[[], Solution]], None] | None = None,
    backend: Backend = SERIAL,
) -> Solution:
    """Do the work of `transient`.

    `hint` (n, n_species) are states that will be needed, as in a similar network.  `checkpoint` is called on all ranks
    where progress is reported, with a function, to be called on all or on none, that returns what was reached; what it
    raises it raises on all ranks.
    """
    with backend.comm.agree():
        requested = checked_times(times)
        check_tolerance(tol)
        backend.check_solver(solver)
        if model.has_timed_events:
            _check_events(backend, space)
        begin = starting_point(model, start, tol)
        begin.check(requested)
    backend.comm.require_same((model.hash, requested.tolist(), tol, str(solver), max_states, max_memory), "The problem")
    max_states = MAX_STATES * backend.comm.size if max_states is None else max_states
    record = Record(model, requested, tol, {"max_states": max_states, "fixed_space": space is not None})
    left, work = requested, Work()
    for phase in begin.model.phases(begin.t, record.t_end):
        with ExitStack() as stack:
            begin = begin.within(phase)
            growth = Growth(begin.model, max_states, max_memory, backend=backend)
            asked, left, until = split_at_events(left, phase.until, included=phase.output_first)
            march = _March(begin, record, space, solver, growth, backend, stack, hint, work)
            march.watch(progress, checkpoint)
            try:
                march.run(asked, until if len(left) else inf)
            except KeyboardInterrupt as stop:
                raise Interrupted(f"stopped at t = {march.accepted[0]:.6g}", march.reached()) from stop
            if not len(left):
                break
            begin = march.fired(phase, until)
    return record.solution(work.solver_text, work.counts)


class _March:
    """The state of one run: time, space, probability, ledger."""

    def __init__(
        self,
        begin: Start,
        record: Record,
        space: StateSpace | None,
        solver: str | Solver,
        growth: Growth,
        backend: Backend,
        stack: ExitStack,
        hint: IntArray | None = None,
        work: Work | None = None,
    ) -> None:
        self.model, self.begin, self.record = begin.model, begin, record
        self.t, self.t_end = begin.t, record.t_end
        tol, duration = begin.tol, max(self.t_end - begin.t, 1e-300)
        self.ledger = ErrorLedger()
        self._of_rates = 0.0  # share of rate formulas in `rounding`
        self._remarks: tuple[str, ...] = ()  # what to say of them
        self._work = Work() if work is None else work
        least = TIMED_SHARE if self.model.is_time_dependent else INTEGRATION_SHARE
        share = min(max(least, INTEGRATION_NOISE / tol), LARGEST_INTEGRATION_SHARE)
        self._chooser = Chooser(
            solver, share * tol, backend.solvers, backend.automatic, BEARABLE_ROUNDING * tol, duration
        )
        self._integration_rate = min(share * tol, self._chooser.tol) / duration
        self._truncation_rate = (1.0 - share - PRUNING_SHARE - ROUNDING_SHARE) * tol / duration
        self._pruning_rate = PRUNING_SHARE * tol / duration
        self._changes = Changes(begin.t)
        self._step_lengths: dict[type, float] = {}
        self._unchecked = 0  # products since it was last seen whether states can be dropped
        self._stack = stack
        self._progress: ProgressCallback | None = None
        self._checkpoint: Callable[[Callable[[], Solution]], None] | None = None
        self._is_watched = False
        self._growth = growth
        self._backend = backend
        self._fixed = space is not None
        self._held: FloatArray | None = None  # functions of time, where they stay as they are
        self._held_until = begin.t
        self._until = inf  # where events take place, so that what is reached there is not yet the answer
        self.space = first_space(growth, begin, hint) if space is None else space
        self._hinted = self.space if hint is not None else None
        self.p = first_vector(begin, self.space)
        self._bind()
        self._accept()

    def watch(
        self, progress: ProgressCallback | None, checkpoint: Callable[[Callable[[], Solution]], None] | None
    ) -> None:
        """Report to these from now on; any rank may have them."""
        self._progress, self._checkpoint = progress, checkpoint
        self._is_watched = self.space.comm.any(progress is not None or checkpoint is not None)

    def run(self, asked: FloatArray, until: float) -> None:
        """Go through a phase, up to `until`, and record what is asked for; the last one where `until` is infinite."""
        stretch = stops(self.model, asked, self.begin.t, until)
        for t in stretch.tolist():
            self._until = until if t == until and t not in asked else inf
            self.go_to(t)
            if t == stretch[-1]:
                self.finish()
            if t in asked:
                self.record.add(self.distribution())

    def fired(self, phase: Phase, until: float) -> Start:
        """Return where the next phase begins, after what events make of the states."""
        has = self.p > 0.0
        return self.begin.fired(
            phase, until, self.space.states[has], self.p[has], self.begin.error + self.ledger, self.record.tol
        )

    def go_to(self, target: float) -> None:
        """Advance to `target`, growing the space on the way."""
        self._held_until = self.t  # no longer than to a target, as functions of time switch there
        while self.t < target:
            if self._held_until < target:
                self._hold(target)
            solver, started = self._choice.solver, self.t
            try:
                step = self._advanced(target)
            except ConvergenceError as failure:
                self._chooser.give_way(solver, self.t, failure)
                self._chooser.bound(anew=False)
                self._open(self._chooser.choose(self.generator, self._horizon, growing=self._growing))
                continue
            self.ledger += ErrorLedger(
                truncation=float(step.lost.sum()),
                integration=step.error,
                rounding=step.rounding + self._misjudged(started, step.t),
                certified=solver.certified and step.certified,
            )
            self._work.counts["n_matvec"] += step.n_matvec
            self._work.products[f"{solver} ({self._choice.reason})"] += step.n_matvec
            self.p, self.t = step.p, step.t
            self._accept()
            self._step_lengths[type(solver)] = self._propagator.step_length
            if self.t > started:
                rate, length = self.generator.largest_exit_rate, self._propagator.step_length
                steps = (self.t - started) / length if length else 0.0
                self._chooser.learn(solver, step.n_matvec, rate * (self.t - started), steps)
            self._chooser.advanced(solver, self.generator, step, self.t - started)
            if step.rejected is not None:
                self._grow(step.rejected)
            elif self._unchecked or not self._prune():
                self._reconsider()
            self._report(self.t)

    def _misjudged(self, start: float, end: float) -> float:
        """Bound what the rounding of rate formulas does in a step, but for what the solver charges."""
        charge = min(2.0, self.generator.misjudged(start, end))
        if charge:
            self._of_rates += charge
            self._remarks = self.generator.rate_errors.remarks(self.model)
        return charge

    def _notes(self, error: ErrorLedger) -> tuple[str, ...]:
        """Name the rate whose rounding keeps the answer from its tolerance."""
        spoiled = error.total > self.record.tol and self._of_rates > 0.5 * error.total
        return self._remarks if spoiled else ()

    def _advanced(self, target: float) -> Advance:
        """Advance towards `target`, until it is time to look at the space or to say how far it is."""
        solver = self._choice.solver
        until_check = self._changes.products_until_check(solver) if self._growing else inf
        report = self._chooser.products_of_a_report(solver, self.generator)
        step = self._propagator.advance(
            self.p,
            self.t,
            target,
            tol=self._integration_rate * (target - self.t),
            limit=self._loss_limit(),
            pulse=self._report,
            most=min(until_check - self._unchecked, report),
        )
        # What returned to report alone goes on with the space that it has.
        self._unchecked += step.n_matvec
        if not (step.t < target and report <= step.n_matvec and self._unchecked < until_check):
            self._unchecked = 0
        return step

    def finish(self) -> None:
        """Let go of the solver: its vectors may take more memory than the answer."""
        self._stack.close()
        del self._propagator

    def distribution(self) -> Distribution:
        """Return the distribution at the time reached."""
        t, space, p, ledger, closed = self.accepted
        error = self.begin.error + ledger
        return self._backend.distribution(
            space,
            p,
            t=t,
            error=error,
            notes=self._notes(error),
            closed=closed,
            model_name=self.model.name,
            model_hash=self.model.hash,
            time_unit=self.model.time_unit,
            observables=self.model.observables,
            moments=self.begin.moments(t),
        )

    def reached(self) -> Solution:
        """Return the answer so far, with the distribution to go on from as the last one."""
        return self.record.so_far(self.distribution(), self._work.solver_text, self._work.counts)

    def _accept(self) -> None:
        """Keep what belongs together in one place, since Ctrl-C may come between two assignments."""
        if self.t < self._until:
            self.accepted = (self.t, self.space, self.p, self.ledger, self._closed)

    def _bind(self) -> None:
        """Build the generator of the space and open a solver on it."""
        generator = self._backend.generator(self.model, self.space, self.t)
        self.generator = generator if self._held is None else generator.held(self._held)
        self._chooser.bound(anew=True)
        self._open(self._chooser.choose(self.generator, self._horizon, growing=self._growing))

    def _hold(self, target: float) -> None:
        """Take functions of time that stay as they are up to `target` for constants, which every solver can treat."""
        if not (self.model.is_time_dependent and self.generator.is_scalable):
            return
        before, self._held = self._held, constants_on(self.generator.clocks, self.t, target)
        if self._held is not None:
            self._held_until = target
        if self._held is not None or before is not None:
            self._bind()

    def _reconsider(self) -> None:
        """Change the solver where another one now promises much less work."""
        if self.t >= self.t_end:
            return
        choice = self._chooser.choose(self.generator, self._horizon, self._choice, growing=self._growing)
        if choice is not self._choice and choice.solver != self._choice.solver:
            self._chooser.bound(anew=False)
            self._open(choice)

    def _open(self, choice: Choice) -> None:
        self._choice = choice
        self._stack.close()
        self._propagator = self._stack.enter_context(self._choice.solver.open(self.generator))
        known = self._step_lengths.get(type(choice.solver))
        if known:  # the solution is as smooth as it was: no need to feel the way again
            self._propagator.step_length = known
        self._work.counts["largest_space"] = max(self._work.counts["largest_space"], len(self.space))

    @property
    def _closed(self) -> bool:
        """Whether every state that the chain can reach is in the space."""
        lost = self.begin.error + self.ledger
        nothing_lost = self.generator.n_sinks == 0 and lost.pruning == 0.0 and lost.truncation == 0.0
        return nothing_lost and isfinite(self.generator.rate_errors.worst)

    @property
    def _growing(self) -> bool:
        return not self._fixed and self.generator.n_sinks > 0

    def _loss_limit(self) -> LossLimit:
        if not self._growing:
            return NO_LIMIT
        allowed = self._truncation_rate * (self.t - self.begin.t)
        # Where noise is above that, states that hold no more than noise do not help.
        allowed = max(allowed, self.ledger.integration + self.ledger.rounding)
        return LossLimit(max(allowed - self.ledger.truncation, 0.0), self._truncation_rate)

    @property
    def _horizon(self) -> float:
        """How long the space is likely to serve."""
        remaining = self.t_end - self.t
        return min(remaining, self._changes.likely_interval(self.t)) if self._growing else remaining

    def _grow(self, rejected: FloatArray) -> None:
        """Grow the space where the `rejected` vector would leave it, and drop what is not needed any more."""
        history = self._leave_solver()
        # What was added at this very time has not been reached yet, and stays.
        pruning = self._choose_pruning(rejected) if self.t > self._changes.last else None
        kept = pruning.kept if pruning is not None and pruning.share > 0.0 else None
        grown = self._growth.grow(
            self.space,
            self.generator,
            rejected,
            self.t,
            self.ledger,
            remaining=self.t_end - self.t,
            bearable=BEARABLE_SHARE * self._truncation_rate,
            kept=kept,
        )
        self._work.counts["growths"] += 1
        self._changes.grown(self.t)
        self._move_to(grown, history)

    def _prune(self) -> bool:
        """Drop states if enough of them can go; return whether they went."""
        if not self._growing or len(self.space) < FEWEST_PRUNED or self.t >= self.t_end:
            return False
        pruning = self._choose_pruning(None)
        n = len(self.space)
        served = min(self.t_end - self.t, self._changes.until_growth(self.t))
        saved = pruning.share * self._chooser.least_work(self.generator, served)
        cost = NEW_SPACE[0] + NEW_SPACE[1] * n + self._chooser.work_of_change(self._choice.solver, self.generator)
        worth = pruning.share > LEAST_SHARE and saved > self._changes.caution * cost
        self._changes.checked(self.t, worth)
        if worth:
            self._work.counts["prunings"] += 1
            self._move_to(self.space.restrict(pruning.kept), self._leave_solver())
        return worth

    def _choose_pruning(self, ahead: FloatArray | None) -> Pruning:
        mass = self._pruning_rate * (self.t - self.begin.t) - self.ledger.pruning
        return choose_pruning(self.generator.at(self.t), self.p, ahead, mass, self._truncation_rate, self._wanted)

    @property
    def _wanted(self) -> BoolArray | None:
        """States that stay whatever probability they hold, as a similar network needed them; None for none."""
        if self._hinted is None:
            return None
        return self._hinted.carry(np.ones(len(self._hinted.local)), self.space) > 0.0

    def _leave_solver(self) -> History | None:
        """Let go of the solver before another space is made, which takes memory itself; return its history."""
        history = self._propagator.history
        self.finish()
        return history

    def _move_to(self, space: StateSpace, history: History | None) -> None:
        """Go on in another space, with the history of the solver of this one; what it does not hold is pruned."""
        p = self.space.carry(self.p, space)
        dropped = self.p - space.carry(p, self.space)  # exact: an entry is carried, or 0
        self.ledger += ErrorLedger(pruning=self.space.comm.sum(float(dropped.sum())))
        if history is not None:
            history = history.carried(partial(self.space.carry, other=space))
        self.space, self.p = space, p
        self._bind()
        if history is not None:
            self._propagator.history = history
        self._accept()

    def _report(self, t: float) -> None:
        """Say how far it is; a request to stop, on any rank, stops all."""
        if not self._is_watched or self.t >= self._until:
            return
        comm, stop = self.space.comm, None
        with comm.agree():
            try:
                if self._progress is not None and comm.rank == 0:
                    self._progress(self._moment(t))
            except KeyboardInterrupt as request:
                stop = request
        if comm.any(stop is not None):
            raise stop or KeyboardInterrupt
        if self._checkpoint is not None:
            self._checkpoint(self.reached)

    def _moment(self, t: float) -> Progress:
        reached = self.reached if self.space.comm.size == 1 else None  # all ranks would have to ask for it
        error = self.begin.error.total + self.ledger.total
        name = type(self._choice.solver).__name__
        return Progress(float(t), self.t_end, len(self.space), error, name, reached)


def _check_events(backend: Backend, space: StateSpace | None) -> None:
    """Refuse what events at known times do not go with."""
    if backend is not SERIAL:
        raise BackendError("Events at known times must be solved with backend='serial'; on ranks they are not treated.")
    if space is not None:
        raise ArgumentError(
            "`space` must be left out where events take place at known times: each phase between them has its own."
        )


def _warn_if_above(last: Distribution, tol: float, space: StateSpace | None) -> None:
    ledger = last.error
    if ledger.total <= tol:
        return
    way_out = "give a larger `space` or leave it out" if space is not None else "ask for a larger `tol`"
    if ledger.rounding > 0.5 * ledger.total:
        advice = "; ".join(last.notes) or "ask for a larger `tol`"
        way_out = f"rounding alone may reach {ledger.rounding:.1e}: {advice}"
    warnings.warn(
        f"The error bound {ledger.total:.1e} exceeds tol = {tol:.1e}; {way_out}.",
        ToleranceWarning,
        stacklevel=3,
    )
