"""Correlations over a time, and spectra: `fsp.correlation`; after a start that is not at rest, see `from_start`.

At rest the law of each time is the stationary one, so that what happens at states that are not stored is bounded by
second moments alone (`products`), which the drift of a square bounds (`rest`).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from math import isfinite, sqrt
from typing import TYPE_CHECKING

import numpy as np

from fsp import defaults
from fsp.arithmetic import SUM_ROUNDING
from fsp.bars import barred, callback, silent
from fsp.distribution import Interval
from fsp.distribution.correlation import Correlation
from fsp.distribution.distribution import Provenance
from fsp.distribution.passage import Curve
from fsp.equilibrium.estimate import check_arguments
from fsp.errors import ToleranceWarning
from fsp.model.arguments import check_call, check_tolerance
from fsp.model.times import checked_times
from fsp.moments.lyapunov import NoDriftCondition, drift_condition
from fsp.passages import growing_law
from fsp.passages.from_start import from_start
from fsp.passages.growing_law import Sharpest, require_room
from fsp.passages.observables import Observable
from fsp.passages.outside import paying
from fsp.passages.products import ObservedLaw, around, part, quotient
from fsp.passages.spectrum import Spectra
from fsp.passages.stationary_law import OnStationaryLaw, StationaryLaw, StationaryLawCertifier, met
from fsp.projection.growth import Growth, most_states
from fsp.projection.progress import ProgressCallback
from fsp.projection.start import starts_at_rest
from fsp.projection.transient import solve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import FloatArray, IntArray
    from fsp.distribution import Distribution, Solution
    from fsp.model import Model
    from fsp.space.base import BaseSpace

LAG_SHARE = 0.25  # of the tolerance for errors that do not depend on the lag, and as much for the transients
LEAST_TOL, LARGEST_TOL = 1e-13, 1e-3  # of a transient: what solvers bound, and what they are made for


@barred()
def correlation(
    model: Model,
    observable: str,
    lags: Sequence[float] | FloatArray | float,
    *,
    with_: str | None = None,
    start: Solution | Distribution | str | None = "stationary",
    tol: float = defaults.TOL,
    max_states: int | None = None,
    progress: ProgressCallback | bool | None = None,
) -> Correlation:
    """Find how an observable of a network is correlated with another one, or itself, some time later.

    Parameters
    ----------
    model
        The reaction network; at rest, with constant propensities.
    observable
        The first one, a: a formula of species such as ``"U"`` or ``"U*V"``, or a condition, which counts 0 or 1.
    lags
        Increasing lags τ >= 0, in the model's unit of time.
    with_
        The second one, b, which is looked at τ later; by default the first one.
    start
        ``"stationary"`` for a network at rest; None for the model's initial states; a distribution, or the last one of
        a solution: ``start=fsp.transient(model, 5.0)`` correlates a at time 5 with b at 5 + τ.
    tol
        Bound of the error of each correlation coefficient.
    max_states
        Limit on the number of states.
    progress
        True for a bar, in a notebook and on a terminal; or a function that is called with a `Progress` now and then.

    Returns
    -------
    Correlation
        ``.covariance`` Cov(a(X(t)), b(X(t + τ))) and ``.correlation`` at each lag, as intervals on all states, and
        ``.spectrum(frequencies)`` at rest; t is the time of the start.  Where the stationary law cannot be bounded, or
        an observable at states that are not stored, they are estimates, and say so.

    Raises
    ------
    ArgumentError
        If a formula cannot be read, lags do not increase, or another argument is not as above.
    BackendError
        If propensities depend on time, and the network is at rest or starts at a time other than 0.
    StateSpaceError
        If there is no stationary law, or there are too many states.

    Warns
    -----
    ToleranceWarning
        If the bounds are wider than `tol`.

    References
    ----------
    C. W. Gardiner, Stochastic Methods, 4th ed., Springer 2009, sections 1.5 and 3.7.

    Examples
    --------
    >>> model = fsp.Model(
    ...     species={"X": 9},
    ...     reactions=[fsp.Reaction("0 -> X", mass_action=9.0), fsp.Reaction("X -> 0", mass_action=1.0)],
    ... )
    >>> print(f"{fsp.correlation(model, 'X', [0.0, 1.0]).correlation[1]:.6f}")  # exp(-1)
    0.367879
    """
    check_call(model, max_states=max_states, progress=progress)
    first = None if isinstance(start, str) else start
    at_rest = starts_at_rest(start)
    if at_rest:
        check_arguments(model, tol)
    check_tolerance(tol)
    times = checked_times(lags, "lags")
    second = observable if with_ is None else with_
    pair = Observable.read(model, observable, "observable"), Observable.read(model, second, "with_")
    limit = max_states or most_states(model)
    report = callback(progress) or silent
    if not at_rest:
        return from_start(model, pair, times, tol, first, limit, report)
    try:
        two = _proved(model, pair, tol, limit, report)
    except NoDriftCondition as missing:
        two = _estimated(model, pair, tol, limit, str(missing))
    return _answer(model, two, times, tol)


@dataclass(frozen=True, slots=True, eq=False)
class _Two(OnStationaryLaw):
    """Both observables under the stationary law on a space."""

    pair: tuple[Observable, Observable]
    laws: tuple[ObservedLaw, ObservedLaw]
    spectra: Spectra | None = None

    @property
    def deviations(self) -> float:
        """The product of both standard deviations, about."""
        squares = [float(law.p @ law.values**2) - float(law.p @ law.values) ** 2 for law in self.laws]
        return sqrt(max(squares[0], 0.0) * max(squares[1], 0.0))

    @property
    def off(self) -> float:
        """The error of a correlation coefficient that does not depend on the lag."""
        return around(*self.laws) / self.deviations if self.deviations > 0.0 else 0.0


def _proved(
    model: Model, pair: tuple[Observable, Observable], tol: float, limit: int, report: ProgressCallback
) -> _Two:
    condition = None if model.is_finite else drift_condition(model)
    growth = Growth(model, limit, None, stationary=True)
    begun = growing_law.solved(model, condition, tol, growth, report)
    centred = _about(pair, begun.generator.space.states, begun.p)
    paid = [None if condition is None else paying(model, condition, observable.cost) for observable in centred]
    certifier = StationaryLawCertifier(model, condition)
    wanted = certifier.excepted(paid)
    require_room(growth, wanted)

    def attempt(space: BaseSpace, guess: FloatArray | None) -> _Two:
        rest = certifier.attempt(space, guess)
        return _two(rest, centred, [rest.beyond(met(f, space, rest.generator)) for f in paid])

    sharpest = Sharpest[_Two](lambda two: two.off, LAG_SHARE * tol, report, "correlation")
    best = sharpest.on(growth, growth.with_states(begun.generator.space, wanted), attempt)
    return replace(best, spectra=Spectra(model, centred, best, (certifier, growth, attempt), condition, tol))


def _estimated(model: Model, pair: tuple[Observable, Observable], tol: float, limit: int, reason: str) -> _Two:
    """Return what is known on the states of an estimated stationary law."""
    rest = growing_law.estimated(model, tol, limit, reason)
    two = _two(rest, _about(pair, rest.generator.space.states, rest.p), [0.0, 0.0])
    return replace(two, spectra=Spectra(model, two.pair, two, None, None, tol))


def _about(pair: tuple[Observable, Observable], states: IntArray, p: FloatArray) -> tuple[Observable, Observable]:
    return pair[0].about(states, p), pair[1].about(states, p)


def _two(rest: StationaryLaw, pair: tuple[Observable, Observable], beyond: list[float]) -> _Two:
    states = rest.generator.space.states
    first, second = (
        ObservedLaw(observable.values(states), rest.p, rest.lower, rest.upper, square, rest.outside)
        for observable, square in zip(pair, beyond, strict=True)
    )
    return _Two(rest, pair, (first, second))


def _answer(model: Model, two: _Two, times: FloatArray, tol: float) -> Correlation:
    reason = two.rest.reason
    if not isfinite(two.off):
        reason = "no bound of what the observables are at states that are not stored is known"
    variances = _variance(two.laws[0], reason), _variance(two.laws[1], reason)
    covariances = _covariances(model, two, times, tol, reason)
    coefficients = [quotient(covariance, *variances) for covariance in covariances]
    width = max(coefficient.width for coefficient in coefficients)
    if not reason and width > 2.0 * tol and two.deviations > 0.0:
        warnings.warn(
            f"The bounds are {width:.1e} wide, above 2 tol = {2.0 * tol:.1e}; raise `max_states` or `tol`.",
            ToleranceWarning,
            stacklevel=3,
        )
    means = [_interval(law.mean, reason) + observed.middle for law, observed in zip(two.laws, two.pair, strict=True)]
    return Correlation(
        (two.pair[0].text, two.pair[1].text),
        tol,
        Curve.of(times, covariances),
        Curve.of(times, coefficients),
        (means[0], means[1]),
        variances,
        two.spectra,
        **Provenance.of(model),
        notes=(f"the bounds are estimates: {reason}",) if reason else (),
    )


def _interval(ends: tuple[float, float], reason: str) -> Interval:
    low, high = ends
    middle = 0.5 * (low + high) if isfinite(high - low) else 0.0
    return Interval(low, high, middle, certified=not reason, reason=reason)


def _variance(law: ObservedLaw, reason: str) -> Interval:
    """Bound a variance: E (a - c)² - (E a - c)²."""
    mean = _interval(law.mean, reason)
    spread = _interval(law.square, reason) - mean * mean
    value = float(law.p @ law.values**2) - float(law.p @ law.values) ** 2
    lower = max(spread.lower, 0.0)
    upper = max(spread.upper, lower)
    return Interval(lower, upper, min(max(value, lower), upper), spread.certified, reason)


def _covariances(model: Model, two: _Two, times: FloatArray, tol: float, reason: str) -> list[Interval]:
    """Bound the covariance at each lag: transients from either sign of the first observable, on the stored states."""
    (first, second), space = two.laws, two.rest.generator.space
    values, off = np.zeros(len(times)), around(first, second)
    ends = np.zeros((2, len(times)))
    largest = float(np.abs(second.values).max(initial=0.0))
    for sign in (1.0, -1.0):
        weights = np.maximum(sign * first.values, 0.0) * two.rest.p  # (n,)
        weight = float(weights.sum())
        if not weight * largest > 0.0:
            continue
        wanted = LAG_SHARE * tol * two.deviations / (weight * largest)
        begun = model.starting_in(space.states[weights > 0.0], weights[weights > 0.0] / weight)
        solution = solve(begun, times, min(max(wanted, LEAST_TOL), LARGEST_TOL), space=space)
        bounds = part(solution, space, second.values, weight)  # (3, n_lags)
        values += sign * bounds[0]
        ends += sign * bounds[1:] if sign > 0.0 else sign * bounds[:0:-1]
    product = _interval(first.mean, reason) * _interval(second.mean, reason)
    slack = off + SUM_ROUNDING * np.abs(ends).max(axis=0)
    both = zip((ends[0] - slack).tolist(), (ends[1] + slack).tolist(), values.tolist(), strict=True)
    return [Interval(low, high, value, not reason, reason) - product for low, high, value in both]
