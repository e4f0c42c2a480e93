"""Derivatives of transient distributions by parameters, on an adaptive space that holds them too, with their errors.

All are advanced together, one block of vectors, by the steps of `fsp.inference.expansion`; `fsp.inference.account`
says what they may be off.  A step that would lose more than its share of the tolerance, of p or of a derivative, is
not taken: the space grows where it lost, and states that neither p nor a derivative needs are dropped.  How much of p
may be lost so that what it lacks does not spoil the derivatives is guessed, and the run begun anew where that was too
much.

References
----------
Z. Fox, B. Munsky, The finite state projection based Fisher information matrix approach to estimate information and
optimize single-cell experiments, PLoS Comput. Biol. 15 (2019) e1006365, doi:10.1371/journal.pcbi.1006365.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fsp.distribution.sensitivity import Sensitivities, Sensitivity
from fsp.errors import ConvergenceError, ToleranceWarning
from fsp.generator import Generator
from fsp.inference.account import OPEN, Account, Bounds
from fsp.inference.derived import Derived
from fsp.inference.expansion import Expansion, expand
from fsp.inference.parameters import derivatives as derivatives_of
from fsp.model.arguments import check_call
from fsp.model.times import checked_times
from fsp.moments import moment_bounds
from fsp.moments.initial import KnownDistribution
from fsp.projection.backend import SERIAL, of_model, serial
from fsp.projection.budget import BEARABLE_SHARE
from fsp.projection.growth import Growth, check_tolerance, most_states, starting_vector
from fsp.projection.outlook import MOST_WORK
from fsp.projection.pruning import choose
from fsp.solvers.base import step_to

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, FloatArray
    from fsp.inference.parameters import Derivatives
    from fsp.model import Model
    from fsp.space.protocol import AnySpace

# Shares of the tolerance: what leaves the space, what is dropped; the rest is for what p lacks, and for rounding.
LEAVING, DROPPED = 0.3, 0.05
MOST_RUNS = 6  # with ever smaller losses of p
CAUTION = 0.3  # of the loss of p that would just do, with which the next run begins
STRIDE = 64.0  # Λ times a step, where the space may grow
LONGEST_CHEAP = 4  # jumps that the space grows ahead where that is cheap: states far out make Λ large
LOOK = 200  # blocks of products before it is seen whether states can be dropped
LEAST_SHARE = 0.2  # of the work that must go with them
CALL_STATES = 2_000  # whose products take as long as the calls


def sensitivity(
    model: Model,
    times: Sequence[float] | FloatArray | float,
    parameters: Sequence[str],
    *,
    log: bool = True,
    tol: float = 1e-6,
    max_states: int | None = None,
    max_memory: int | None = None,
    max_work: float | None = None,
) -> Sensitivities:
    """Return the distribution and its derivatives by parameters, each with a bound of its error.

    Parameters
    ----------
    model
        The reaction network; its propensities must be formulas that do not depend on time.
    times
        Increasing times >= 0, in the model's unit of time.
    parameters
        Names of the parameters, which may stand anywhere in the propensities, but not in the start.
    log
        Whether to differentiate by the logarithms of the parameters, ``θ ∂p/∂θ``.
    tol
        Bound on the 1-norm error of each derivative, and of the distribution, at the last time.
    max_states, max_memory, max_work
        Limits, as for `fsp.transient`.

    Returns
    -------
    Sensitivities
        A `Sensitivity` for each time: (n,) derivatives by parameter, and a ledger for each.

    Raises
    ------
    ArgumentError
        If `times` or `tol` is not as above, or a parameter is unknown, is in no rate, is not positive with `log`, or
        changes the start.
    ModelError
        If a propensity is a callable, or not a smooth function of a parameter.
    BackendError
        If propensities depend on time, or there are events.
    StateSpaceError
        If the tolerance cannot be met within the limits.
    ConvergenceError
        If that takes too much work, or too many runs.

    Warns
    -----
    ToleranceWarning
        If rounding keeps a bound above `tol`, or an error is an estimate.

    References
    ----------
    Z. Fox, B. Munsky, PLoS Comput. Biol. 15 (2019) e1006365, doi:10.1371/journal.pcbi.1006365.

    Examples
    --------
    >>> model = fsp.Model(  # doctest: +SKIP
    ...     species={"X": 0}, parameters={"k": 10.0, "g": 1.0},
    ...     reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")],
    ... )
    >>> fsp.sensitivity(model, [2.0], ["k", "g"])[-1].mean("X")["k"]  # doctest: +SKIP
    """
    check_call(model, max_states=max_states, max_memory=max_memory, max_work=max_work)
    requested = checked_times(times)
    check_tolerance(tol)
    slopes = derivatives_of(model, parameters, log=log)
    limits = (most_states(model) if max_states is None else max_states, max_memory)
    bounds = Bounds.of(model, slopes, max(float(requested[-1]), 1e-300))
    loss = tol * _first_guess(model, bounds, slopes, float(requested[-1]))
    for _ in range(MOST_RUNS):
        run = _Run(model, slopes, bounds, requested, tol, loss, limits, MOST_WORK if max_work is None else max_work)
        found = run.results()
        if found is not None:
            _warn(found[-1], tol)
            return found
        loss *= CAUTION * run.affordable
    raise ConvergenceError(
        f"The derivatives must be known up to {tol:.1e}, but {MOST_RUNS} runs with ever smaller losses did not get "
        f"there. Ask for a larger `tol`, or for an earlier time."
    )


def _first_guess(model: Model, bounds: Bounds, slopes: Derivatives, horizon: float) -> float:
    """Return the loss of p, in units of the tolerance, that seems to do: by what parameters change at the start."""
    states = model.initial_states[:1]
    rates = float(model.propensities(states).sum())
    scale = 1.0
    if not slopes.log:
        scale = max(1.0, *(1.0 / abs(model.parameters[name]) for name in slopes.names))
    return min(0.5, 0.5 / (1.0 + rates * horizon * scale))


def _warn(last: Sensitivity, tol: float) -> None:
    worst = max(last.errors, key=lambda error: error.total)
    if last.reason:
        warnings.warn(f"The error of a derivative is an estimate: {last.reason}.", ToleranceWarning, stacklevel=3)
    elif worst.total > tol:
        warnings.warn(
            f"The error of a derivative is {worst.summary.removeprefix('error ')}, above the tolerance {tol:.1e}: "
            f"rounding alone may reach {worst.rounding:.1e}. Ask for a larger `tol`.",
            ToleranceWarning,
            stacklevel=3,
        )


class _Run:
    """One run, in which p may lose `loss`; `affordable` says, where it failed, what part of that would have done."""

    def __init__(
        self,
        model: Model,
        slopes: Derivatives,
        bounds: Bounds,
        times: FloatArray,
        tol: float,
        loss: float,
        limits: tuple[int, int | None],
        max_work: float,
    ) -> None:
        self._model, self._slopes, self._bounds = model, slopes, bounds
        self._times, self._tol, self._max_work = times, tol, max_work
        self._duration = max(float(times[-1]), 1e-300)
        self._q = len(slopes.names)
        self._allowed = np.array([loss, *[LEAVING * tol] * self._q])  # (1 + q,) what may leave
        self._growth = Growth(model, *limits, longest_cheap=LONGEST_CHEAP)
        self._account = self._begun()
        self.affordable = 1.0
        self._t, self._since = 0.0, 0
        self._changed = -math.inf  # time of the last growth
        self._counts = {"products": 0, "growths": 0, "largest_space": 0}
        space = self._growth.first()
        p = starting_vector(model, space)  # (n,)
        self._bind(space, np.concatenate([p[None], np.zeros((self._q, len(p)))]))

    def _begun(self) -> Account:
        model, followed = self._model, self._bounds.followed
        states, weights, lacking = model.initial_states, model.initial_probabilities, model.start_lacks
        start = []
        for gauge in followed:
            known = [KnownDistribution(states, weights, part) for part in (lacking, 0.0)]
            above, below = (own.powers(gauge.weights, gauge.orders, 1.0) for own in known)
            start.append(np.maximum(above - below, lacking) if lacking else np.zeros(len(gauge.orders)))
        rounding = 0.0 if lacking else abs(1.0 - math.fsum(weights.tolist()))
        return Account(self._bounds, self._q, lacking, start, rounding)

    def _bind(self, space: AnySpace, block: FloatArray) -> None:
        self._space, self._block = serial(space), block
        generator = Generator(self._model, self._space)
        self._derived = Derived(generator, self._slopes, self._bounds.followed)
        self._counts["largest_space"] = max(self._counts["largest_space"], len(space))
        left = self._duration - self._t
        if self._derived.rate * left * generator.work * (1 + self._q) > self._max_work:
            raise ConvergenceError(
                f"The end must be within reach of `max_work`, {self._max_work:.1e} multiply-adds, but at t = "
                f"{self._t:.6g} {self._derived.rate * left:.1e} jumps of {len(space):,} states lie ahead. Ask for an "
                f"earlier time, or raise it."
            )

    # ---- the loop

    def results(self) -> Sensitivities | None:
        """Go through all times; None where what p lacks spoils the derivatives."""
        found = []
        for t in self._times.tolist():
            while self._t < t:
                self._advance(t)
                if self._spoiled():
                    return None
            found.append(self._result())
        return Sensitivities(found, self._counts)

    def _advance(self, target: float) -> None:
        h = target - self._t
        if self._derived.edges or self._derived.rate * h > 10.0 * STRIDE:
            h = step_to(self._t, STRIDE / self._derived.rate, target)
        step = expand(self._derived, self._block, h)
        self._counts["products"] += step.products
        allowed = self._allowed * (self._t + h) / self._duration
        if (self._left() + self._account.leaving(self._derived, step) > allowed).any():
            self._grow(step, h)
            return
        self._account.charge(self._derived, step, h, self._account.y.rounding)
        self._t = target if h >= target - self._t else self._t + h
        self._block = step.end
        self._since += step.products
        if self._since >= LOOK and self._t < self._duration:
            self._prune()

    def _left(self) -> FloatArray:
        """Return what has left the space so far, (1 + q,)."""
        account = self._account
        own = [ledger.truncation - part for ledger, part in zip(account.derivatives, account.remnants, strict=True)]
        return np.array([account.y.truncation - account.lacking, *own])

    def _spoiled(self) -> bool:
        """Tell whether a derivative is further off than it may be by now, though not by rounding."""
        ledgers = self._account.derivatives
        totals = np.array([ledger.total - ledger.rounding for ledger in ledgers])
        if not (totals > self._tol).any():
            return False
        spent = self._tol * (1.0 - LEAVING - DROPPED) * min(1.0, (self._t / self._duration) ** 2)
        self.affordable = min(0.5, spent / float(self._account.remnants.max()))
        return True

    def _weight(self, block: FloatArray) -> FloatArray:
        """Return, (n,), where p and the derivatives are, by what may be lost of each, in units of p."""
        shares = self._allowed[0] / self._allowed  # (1 + q,)
        weight: FloatArray = shares @ np.abs(block)
        return weight

    def _grow(self, step: Expansion, h: float) -> None:
        ahead = self._weight(step.end)
        for edge in self._derived.edges:  # what leaves by a derivative of a rate counts as that of the rate
            flow = (edge.slopes / np.maximum(edge.rates, 1e-300)) * step.end[0, edge.sources]
            np.add.at(ahead, edge.sources, self._allowed[0] / self._allowed[1:] @ flow)
        fresh = self._t > self._changed
        kept = self._choice(np.maximum(ahead, self._weight(self._block))) if fresh else None
        if kept is not None and kept.all():
            kept = None
        grown = self._growth.grow(
            self._space,
            self._derived.generator,
            ahead,
            self._t,
            self._account.y,
            remaining=self._duration - self._t,
            bearable=BEARABLE_SHARE * self._allowed[0] / self._duration,
            kept=kept,
        )
        self._changed = self._t
        self._counts["growths"] += 1
        if kept is not None:
            self._account.drop(self._derived, self._block, kept)
        self._bind(grown, self._carried(grown))

    def _choice(self, weight: FloatArray) -> BoolArray:
        """Return which states stay, (n,)."""
        account = self._account
        spent = max(account.y.pruning / self._allowed[0], *(own.pruning / self._tol for own in account.derivatives))
        budget = DROPPED * self._t / self._duration - spent
        rate = self._allowed[0] / self._duration
        return choose(self._derived.generator, weight, None, max(budget, 0.0) * self._allowed[0] * LEAVING, rate).kept

    def _prune(self) -> None:
        self._since = 0
        kept = self._choice(self._weight(self._block))
        rates = self._derived.generator.exit_rates
        before, after = rates.max() * (CALL_STATES + len(kept)), rates[kept].max() * (CALL_STATES + kept.sum())
        if after < (1.0 - LEAST_SHARE) * before:
            self._account.drop(self._derived, self._block, kept)
            smaller = self._space.restrict(kept)
            self._bind(smaller, self._carried(smaller))

    def _carried(self, space: AnySpace) -> FloatArray:
        return np.array([self._space.carry(v, serial(space)) for v in self._block])

    # ---- what it comes to

    def _result(self) -> Sensitivity:
        model, account, t = self._model, self._account, self._t
        dist = SERIAL.distribution(
            self._space,
            self._block[0].copy(),
            t=t,
            error=account.y,
            closed=account.closed and not self._derived.edges,
            moments=moment_bounds(model, t),
            **of_model(model),
        )
        certified = all(ledger.certified for ledger in account.derivatives)
        return Sensitivity(
            dist,
            self._slopes.names,
            self._block[1:].copy(),
            tuple(account.derivatives),
            account.mean_errors(),
            self._slopes.log,
            "" if certified else OPEN,
        )
