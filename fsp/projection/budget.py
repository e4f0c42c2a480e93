"""What one computation may add to the error of its start, kind by kind, and what it has added.

Let ε be the tolerance, T the time that is left and s the time since the start.  A share of ε goes to each kind of
error, spent in proportion to time, so that every time has its part of it:

(1) integration(s) <= a ε s/T,  truncation(s) <= (1 - a - b - c) ε s/T,  pruning(s) <= b ε s/T,  with a, b, c > 0;
(2) rounding is charged as it comes: c ε is kept free for it;
(3) by (1) and (2) the error at s is at most ε s/T, but for what rounding takes beyond its share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsp.arithmetic import SUM_ROUNDING, sum_up
from fsp.distribution import ErrorLedger
from fsp.solvers import LossLimit

if TYPE_CHECKING:
    from fsp.generator.base import BaseGenerator
    from fsp.projection.start import Start
    from fsp.solvers import Advance

# Shares of the tolerance; their sum is below one, (1).
PRUNING_SHARE = 0.05  # b; chosen, not measured
ROUNDING_SHARE = 0.05  # c; chosen, not measured
INTEGRATION_SHARE = 0.03  # a; so small that improbable states are not lost in noise; it costs a solver little
TIMED_SHARE = 0.2  # a where rates depend on time: a smaller error costs a solver more there
LARGEST_INTEGRATION_SHARE = 0.3  # a where ε is so small that the noise decides; (1) leaves truncation more than half
INTEGRATION_NOISE = 1e-10  # error that a solver should not be asked to go below
BEARABLE_ROUNDING = 0.3  # of the tolerance: a solver that would round more is taken only if all do
BEARABLE_SHARE = 0.3  # of the rate at which probability may leave the space, whose sources a growth does not follow
SHORTEST = 1e-300  # time left, so that rates are finite where none is


class Budget:
    """The ledger of what a computation adds to the error of its start, and what it may still add."""

    def __init__(self, begin: Start, t_end: float, tol_at_end: float) -> None:
        tol, self._duration = begin.tol, max(t_end - begin.t, SHORTEST)
        self._start, self._tol_at_end = begin, tol_at_end
        self.ledger = ErrorLedger()
        least = TIMED_SHARE if begin.model.is_time_dependent else INTEGRATION_SHARE
        share = min(max(least, INTEGRATION_NOISE / tol), LARGEST_INTEGRATION_SHARE)
        self.integration = share * tol
        self.rounding = BEARABLE_ROUNDING * tol
        self.truncation_rate = (1.0 - share - PRUNING_SHARE - ROUNDING_SHARE) * tol / self._duration  # (1), 1/time
        self._pruning_rate = PRUNING_SHARE * tol / self._duration
        self._of_rates = 0.0  # part of the rounding that is that of rate formulas
        self._remarks: tuple[str, ...] = ()  # on these

    @property
    def error(self) -> ErrorLedger:
        """The error of the answer: that of the start, and what was added."""
        return self._start.error + self.ledger

    def integration_for(self, solver_tol: float, span: float) -> float:
        """Return the error that integration may add in `span` units of time, (1)."""
        return min(self.integration, solver_tol) / self._duration * span

    def loss_limit(self, t: float) -> LossLimit:
        """Return how much probability may leave the space from time `t` on, (1)."""
        allowed = self.truncation_rate * (t - self._start.t)
        # Where noise is above that, states that hold no more than noise do not help.
        allowed = max(allowed, self.ledger.integration + self.ledger.rounding)
        return LossLimit(max(allowed - self.ledger.truncation, 0.0), self.truncation_rate)

    def prunable(self, t: float) -> float:
        """Return the probability that may be dropped at time `t`, (1)."""
        return self._pruning_rate * (t - self._start.t) - self.ledger.pruning

    @property
    def bearable_outflow(self) -> float:
        """The flux out of the space that a growth may leave as it is, 1/time."""
        return BEARABLE_SHARE * self.truncation_rate

    def charge(self, step: Advance, start: float, generator: BaseGenerator, *, certified: bool) -> None:
        """Enter what an advance from `start` on did, by a solver that is `certified` or not."""
        of_rates = min(2.0, generator.misjudged(start, step.t))  # beside what the solver charges
        if of_rates:
            self._of_rates += of_rates
            self._remarks = generator.rate_errors.remarks(generator.model)
        self.ledger += ErrorLedger(
            truncation=float(step.lost.sum()) * (1.0 + SUM_ROUNDING),
            integration=step.error,
            rounding=sum_up(step.rounding, of_rates),
            certified=certified and step.certified,
        )

    def drop(self, mass: float) -> None:
        """Enter probability that was dropped with its states."""
        self.ledger += ErrorLedger(pruning=mass * (1.0 + SUM_ROUNDING))

    def notes(self, error: ErrorLedger) -> tuple[str, ...]:
        """Name the rate whose rounding keeps the answer from its tolerance."""
        spoiled = error.total > self._tol_at_end and self._of_rates > 0.5 * error.total
        return self._remarks if spoiled else ()
