"""Transient distributions by adaptive finite state projection.

The probability of the initial states is advanced on a set of states that grows where it flows out.  A solver may
lose probability only at the rate of the truncation budget; when it would lose more, it stops at the last moment at
which it did not, the states that feed the loss are followed outwards, and it goes on from there.  What was
lost stays lost, in the ledger.

References
----------
B. Munsky, M. Khammash, The finite state projection algorithm for the solution of the chemical master equation,
J. Chem. Phys. 124 (2006) 044104, doi:10.1063/1.2145882.
"""

from __future__ import annotations

import warnings
from collections import Counter
from contextlib import ExitStack
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from fsp.distribution import Distribution, ErrorLedger, Solution
from fsp.errors import ArgumentError, ToleranceWarning
from fsp.generator import Generator
from fsp.model.switches import RESOLUTION, switch_times
from fsp.projection.growth import MAX_STATES, Growth, check_tolerance, starting_vector
from fsp.projection.progress import Progress, ProgressCallback
from fsp.solvers import NO_LIMIT, Choice, Chooser, LossLimit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import FloatArray
    from fsp.model import Model
    from fsp.solvers import Solver
    from fsp.space import StateSpace

TRUNCATION_SHARE = 0.5  # of the tolerance, spent in proportion to time
INTEGRATION_SHARE = 0.4


def transient(
    model: Model,
    times: Sequence[float] | FloatArray | float,
    tol: float = 1e-6,
    *,
    space: StateSpace | None = None,
    solver: str | Solver = "auto",
    max_states: int = MAX_STATES,
    max_memory: int | None = None,
    progress: ProgressCallback | None = None,
) -> Solution:
    """Solve the chemical master equation from the model's initial states.

    Parameters
    ----------
    model
        The reaction network.
    times
        Increasing times >= 0, in the model's unit of time.
    tol
        Bound on the 1-norm error of the distribution at the last time; earlier times have less.
    space
        A fixed state space; by default the space is chosen and grown to meet `tol`.
    solver
        ``"auto"``, ``"uniformization"``, ``"krylov"``, ``"chebyshev"``, ``"implicit"``, or a solver value such as
        ``fsp.Krylov(dimension=60)``, whose own `tol` then limits the integration error as well.
    max_states, max_memory
        Limits on the number of states and on bytes; reaching one before `tol` is met is an error.
    progress
        Called with a `Progress` now and then.

    Returns
    -------
    Solution
        One distribution for each time, with its ledger.

    Raises
    ------
    ArgumentError
        If `times`, `tol` or `solver` is not as above.
    ModelError
        If a propensity is negative, not finite, or leads to a negative count.
    StateSpaceError
        If the tolerance cannot be met within the limits, or `space` lacks an initial state.
    ConvergenceError
        If the solver cannot keep its tolerance.

    Warns
    -----
    ToleranceWarning
        If the bound on the error exceeds `tol`: a fixed `space` that is too small, or rounding.
    """
    requested = _checked_times(times)
    check_tolerance(tol)
    started = perf_counter()
    with ExitStack() as stack:
        growth = Growth(model, max_states, max_memory)
        march = _March(model, float(requested[-1]), tol, space, solver, growth, progress, stack)
        distributions = []
        for t in _stops(model, requested):
            march.go_to(float(t))
            if t == requested[-1]:
                march.finish()
            if t in requested:
                distributions.append(march.distribution())
    _warn_if_above(march.ledger, tol, space)
    return Solution(
        distributions,
        tol=tol,
        solver=march.solver_text,
        model_text=model.describe(),
        options={"solver": march.solver_text, "max_states": max_states, "fixed_space": space is not None},
        statistics={**march.counts, "seconds": perf_counter() - started},
    )


class _March:
    """The state of one run: time, space, probability, ledger."""

    def __init__(
        self,
        model: Model,
        t_end: float,
        tol: float,
        space: StateSpace | None,
        solver: str | Solver,
        growth: Growth,
        progress: ProgressCallback | None,
        stack: ExitStack,
    ) -> None:
        self.model = model
        self.t = 0.0
        self.t_end = t_end
        self.ledger = ErrorLedger()
        self.counts = {"n_matvec": 0, "growths": 0, "largest_space": 0}
        self._chooser = Chooser(solver, INTEGRATION_SHARE * tol)
        self._integration_rate = min(INTEGRATION_SHARE * tol, self._chooser.tol) / max(t_end, 1e-300)
        self._truncation_rate = TRUNCATION_SHARE * tol / max(t_end, 1e-300)
        self._products: Counter[str] = Counter()
        self._stack = stack
        self._progress = progress
        self._growth = growth
        self._fixed = space is not None
        self.space = growth.first() if space is None else space
        self.p = starting_vector(model, self.space)
        self._bind()

    @property
    def solver_text(self) -> str:
        """The solver that did most of the products, and why it was taken."""
        return max(self._products, key=self._products.__getitem__, default="none needed")

    def go_to(self, target: float) -> None:
        """Advance to `target`, growing the space on the way."""
        while self.t < target:
            solver, started = self._choice.solver, self.t
            step = self._propagator.advance(
                self.p,
                self.t,
                target,
                tol=self._integration_rate * (target - self.t),
                limit=self._loss_limit(),
                pulse=self._report,
            )
            self.ledger += ErrorLedger(
                truncation=float(step.lost.sum()),
                integration=step.error,
                rounding=step.rounding,
                certified=solver.certified and step.certified,
            )
            self.counts["n_matvec"] += step.n_matvec
            self._products[f"{solver} ({self._choice.reason})"] += step.n_matvec
            self.p, self.t = step.p, step.t
            if self.t > started:
                rate = self.generator.largest_exit_rate
                self._chooser.learn(solver, step.n_matvec, rate * (self.t - started))
            if step.rejected is not None:
                self._grow(step.rejected)
            else:
                self._reconsider()
            self._report(self.t)

    def finish(self) -> None:
        """Let go of the solver: its vectors may take more memory than the answer."""
        self._stack.close()
        del self._propagator

    def distribution(self) -> Distribution:
        """Return the distribution at the current time."""
        return Distribution(
            self.space.states,
            self.p,
            self.model.species,
            t=self.t,
            error=self.ledger,
            closed=self.generator.n_sinks == 0,
            model_name=self.model.name,
            model_hash=self.model.hash,
            time_unit=self.model.time_unit,
            observables=self.model.observables,
        )

    def _bind(self) -> None:
        """Build the generator of the space and open a solver on it."""
        self.generator = Generator(self.model, self.space, self.t)
        self._open(self._chooser.choose(self.generator, self.t_end - self.t, growing=self._growing))

    def _reconsider(self) -> None:
        """Change the solver where another one now promises much less work."""
        choice = self._chooser.choose(self.generator, self.t_end - self.t, self._choice, growing=self._growing)
        if choice is not self._choice and choice.solver != self._choice.solver:
            self._open(choice)

    def _open(self, choice: Choice) -> None:
        self._choice = choice
        self._stack.close()
        self._propagator = self._stack.enter_context(self._choice.solver.open(self.generator))
        self.counts["largest_space"] = max(self.counts["largest_space"], len(self.space))

    @property
    def _growing(self) -> bool:
        return not self._fixed and self.generator.n_sinks > 0

    def _loss_limit(self) -> LossLimit:
        if not self._growing:
            return NO_LIMIT
        return LossLimit(self._truncation_rate * self.t - self.ledger.truncation, self._truncation_rate)

    def _grow(self, rejected: FloatArray) -> None:
        grown = self._growth.grow(self.space, self.generator, rejected, self.t, self.ledger)
        p = np.zeros(len(grown))
        p[grown.index(self.space.states)] = self.p
        self.space, self.p = grown, p
        self.counts["growths"] += 1
        self._bind()

    def _report(self, t: float) -> None:
        if self._progress is not None:
            name = type(self._choice.solver).__name__
            self._progress(Progress(float(t), self.t_end, len(self.space), self.ledger.total, name))


def _checked_times(times: Sequence[float] | FloatArray | float) -> FloatArray:
    try:
        values = np.atleast_1d(np.asarray(times, dtype=np.float64))
    except (TypeError, ValueError):
        raise ArgumentError(f"`times` must be numbers, but are {times!r}.") from None
    if values.ndim != 1 or not len(values):
        raise ArgumentError(f"`times` must be a list of at least one time, but has shape {values.shape}.")
    if not np.isfinite(values).all() or values[0] < 0.0:
        raise ArgumentError(f"`times` must be finite and not negative, but are {values.tolist()}.")
    if (np.diff(values) <= 0.0).any():
        k = int(np.argmax(np.diff(values) <= 0.0))
        raise ArgumentError(f"`times` must increase, but {values[k]} is followed by {values[k + 1]}.")
    return values


def _stops(model: Model, requested: FloatArray) -> FloatArray:
    """Return the requested times and, between them, those at which rates jump or bend: no step goes over one."""
    if not model.is_time_dependent:
        return requested
    switches = switch_times(model.rate_expressions, float(requested[-1]))
    gaps = np.abs(switches[:, None] - requested).min(axis=1)
    return np.union1d(requested, switches[gaps > RESOLUTION * requested[-1]])


def _warn_if_above(ledger: ErrorLedger, tol: float, space: StateSpace | None) -> None:
    if ledger.total <= tol:
        return
    way_out = "give a larger `space` or leave it out" if space is not None else "ask for a larger `tol`"
    if ledger.rounding > 0.5 * ledger.total:
        way_out = f"rounding alone may reach {ledger.rounding:.1e}: ask for a larger `tol`"
    warnings.warn(
        f"The error bound {ledger.total:.1e} exceeds tol = {tol:.1e}; {way_out}.",
        ToleranceWarning,
        stacklevel=3,
    )
