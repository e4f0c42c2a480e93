"""Correlations of two times after a start: of a at the start, and of b some time later.

Let p be the law of the start, y >= 0 its stored probabilities, a and b less any numbers c and d, and for s = + or -
w_s = max(s a, 0) y, with the sum m_s.  E_s is the mean over the network that starts from w_s/m_s, bounded as that of
any transient, on all states.  Then

(1) E[a(X(0)) b(X(τ))] = m₊ E₊ b(X(τ)) - m₋ E₋ b(X(τ)) + Σ_x (p - y)(x) a(x) E_x b(X(τ)),
(2) |Σ_x r(x) a(x) E_x b(X(τ))| <= (Σ r a²)^½ (E_r b(X(τ))²)^½ for any r >= 0 (Cauchy and Schwarz).

For the positive part r of p - y, which weighs at most G (`fsp.arithmetic.half_sums`), both r and its law at τ are parts
of p and of its law at τ, so that Hölder's inequality bounds both factors by moments (`fsp.moments.bounds`).  The
negative part is a part of y, weighs at most L, and has a² <= max a² over stored states.  Relative rounding of w_s is an
r of (2) that is that multiple of p.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from math import fsum, inf, isfinite, sqrt
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import SUM_ROUNDING, half_sums, missing_from
from fsp.distribution import Interval, bounds
from fsp.distribution.correlation import Correlation
from fsp.distribution.distribution import Provenance
from fsp.distribution.passage import Curve
from fsp.errors import BackendError, ToleranceWarning
from fsp.moments import MomentBounds, PendingBounds, moment_bounds
from fsp.passages.products import quotient
from fsp.projection.start import starting_point
from fsp.projection.transient import solve

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.distribution import Distribution, Solution
    from fsp.model import Model
    from fsp.moments.polynomial import Polynomial
    from fsp.passages.observables import Observable
    from fsp.projection.progress import ProgressCallback
    from fsp.projection.start import Start

FIRST_TOL_SHARE = 0.1  # of the tolerance for the first transients; chosen
SPARE = 0.3  # of the tolerance that is aimed at where they were not good enough; chosen
ATTEMPTS, LEAST_TOL = 4, 1e-13  # with smaller tolerances, down to what solvers bound
WEIGHT_ROUNDING = 8.0 * SUM_ROUNDING  # of weights: a sum, a product, the values of a formula


def from_start(
    model: Model,
    pair: tuple[Observable, Observable],
    lags: FloatArray,
    tol: float,
    start: Solution | Distribution | None,
    limit: int,
    report: ProgressCallback,
) -> Correlation:
    """Do the work of `fsp.correlation` where the network does not start at rest."""
    begin = starting_point(model, start, tol)
    if begin.t > 0.0 and (model.is_time_dependent or model.has_timed_events):
        raise BackendError(
            f"`start` must be at time 0 where rates or events depend on time, but is at t = {begin.t:.6g}; ask for "
            f"what is correlated with the model's initial states."
        )
    question = _CorrelationQuestion(model, pair, lags, start, begin, limit, report)
    asked = FIRST_TOL_SHARE * tol
    best = question.answer(asked)
    for _ in range(ATTEMPTS):
        if not 2.0 * tol < best.width < inf or asked <= LEAST_TOL:
            break
        asked = max(LEAST_TOL, asked * min(SPARE, SPARE * 2.0 * tol / best.width))
        again = question.answer(asked)
        best = again if again.width < best.width else best
    if 2.0 * tol < best.width < inf:
        warnings.warn(
            f"The bounds are {best.width:.1e} wide, above 2 tol = {2.0 * tol:.1e}; raise `tol`, or start from a "
            f"distribution with a smaller error.",
            ToleranceWarning,
            stacklevel=3,
        )
    return Correlation(
        (pair[0].text, pair[1].text),
        tol,
        Curve.of(lags, best.covariances),
        Curve.of(lags, best.coefficients),
        (best.means[0], best.means[1]),
        (best.variances[0], best.variances[1]),
        **Provenance.of(model),
        notes=tuple(f"the bounds are estimates: {reason}" for reason in best.reasons),
    )


@dataclass(frozen=True, slots=True)
class _Found:
    covariances: list[Interval]  # at each lag
    coefficients: list[Interval]
    means: list[Interval]  # of a at the start, and of b at each lag
    variances: list[Interval]

    @property
    def width(self) -> float:
        """The widest coefficient that is known at all; infinite where a number has no bound."""
        both = [self.variances[0].upper * variance.upper for variance in self.variances[1:]]
        ends = [end for covariance in self.covariances for end in covariance]
        if not all(map(isfinite, [*both, *ends])):
            return inf
        known = [
            coefficient.width
            for coefficient, size in zip(self.coefficients, both, strict=True)
            if size > 0.0 and coefficient.certified
        ]
        return max(known, default=0.0)

    @property
    def reasons(self) -> list[str]:
        """Why the covariances are estimates; none where they are bounds."""
        return sorted({covariance.reason for covariance in self.covariances if not covariance.certified})


@dataclass(frozen=True, slots=True, eq=False)
class _CorrelationQuestion:
    model: Model
    pair: tuple[Observable, Observable]
    lags: FloatArray
    start: Solution | Distribution | None
    begin: Start
    limit: int
    report: ProgressCallback

    def answer(self, tol: float) -> _Found:
        """Solve with a tolerance of the transients."""
        first, second = self.pair
        grid = self.lags if self.lags[0] == 0.0 else np.concatenate([[0.0], self.lags])  # (n,) with the start
        error = self.begin.error.total
        laws = self._solved(self.model, self.begin.t + grid, min(max(tol, 2.0 * error), 0.5), self.start)
        later = laws[len(grid) - len(self.lags) :]
        means = [_mean(first, laws[0]), *(_mean(second, law) for law in later)]
        squares = [_square(first, laws[0], means[0].value)]
        squares += [_square(second, law, mean.value) for law, mean in zip(later, means[1:], strict=True)]
        variances = [_variance(mean, square) for mean, square in zip(means, squares, strict=True)]
        products = self._products(first.of(laws[0]), means, squares, later, tol)
        about = means[0] - means[0].value
        covariances = [product - about * (mean - mean.value) for product, mean in zip(products, means[1:], strict=True)]
        both = zip(covariances, variances[1:], strict=True)
        return _Found(
            covariances,
            [quotient(covariance, variances[0], variance) for covariance, variance in both],
            means,
            variances,
        )

    def _products(
        self,
        first: Observable,
        means: list[Interval],
        squares: list[Interval],
        later: list[Distribution],
        tol: float,
    ) -> list[Interval]:
        """Bound E (a - c) (b - d) at each lag, with the numbers c and d next to both means: (1)."""
        first = replace(first, middle=means[0].value)
        states, y = self.begin.model.initial_states, self.begin.model.initial_probabilities
        values = first.values(states)  # (k,)
        products = [Interval(0.0, 0.0, 0.0, certified=True)] * len(later)
        for sign in (1.0, -1.0):
            weights = np.maximum(sign * values, 0.0) * y  # (k,)
            total = fsum(weights.tolist())
            if not total > 0.0:
                continue
            begun = self.model.starting_in(states[weights > 0.0], weights[weights > 0.0] / total)
            laws = self._solved(begun, self.lags, tol, None)
            parts = [_mean(self.pair[1], law) - mean.value for law, mean in zip(laws, means[1:], strict=True)]
            products = [product + (sign * total) * part for product, part in zip(products, parts, strict=True)]
        size = sqrt(squares[0].upper) + 2.0 * abs(means[0].value) if squares[0].upper < inf else inf
        slacks = [WEIGHT_ROUNDING * size * sqrt(square.upper) if square.upper else 0.0 for square in squares[1:]]
        if not (self.begin.exact and not self.begin.model.start_lacks):
            for k, (law, mean) in enumerate(zip(later, means[1:], strict=True)):
                second = replace(self.pair[1].of(law), middle=mean.value)
                slacks[k] += self._unknown(first, second, law.moments, float(self.lags[k]), float((values**2).max()))
        return [_widened(product, slack) for product, slack in zip(products, slacks, strict=True)]

    def _unknown(
        self,
        first: Observable,
        second: Observable,
        later: MomentBounds | PendingBounds | None,
        lag: float,
        upper: float,
    ) -> float:
        """Bound what the error of the start does to the product: (2)."""
        model, y = self.begin.model, self.begin.model.initial_probabilities
        gained, lost = half_sums(self.begin.error.total, *missing_from(y, SUM_ROUNDING))
        total, square = float(y.sum()), second.cost
        above = _part(first.cost, self.begin.moments(self.begin.t), gained) * _part(square, later, gained)
        stored = moment_bounds(model.starting_in(model.initial_states, y / total), lag) if lost else None
        below = lost * upper * total * _part(square, stored, lost / total) if lost else 0.0
        return sqrt(above) + sqrt(below)

    def _solved(
        self, model: Model, times: FloatArray, tol: float, start: Solution | Distribution | None
    ) -> list[Distribution]:
        return list(solve(model, times, tol, start=start, max_states=self.limit, progress=self.report))


def _part(square: Polynomial | None, moments: MomentBounds | PendingBounds | None, weight: float) -> float:
    """Bound the mean of a polynomial over a part of a law that weighs at most `weight`."""
    if square is None or not weight:
        return inf if weight else 0.0
    known = moments.bounds if isinstance(moments, PendingBounds) else moments
    terms = [
        float(c) * (weight if not any(alpha) else inf if known is None else known.tail(alpha, weight))
        for alpha, c in square.items()
    ]
    return sum(terms) * (1.0 + WEIGHT_ROUNDING)


def _mean(observable: Observable, law: Distribution) -> Interval:
    return law.probability(observable.text) if observable.is_condition else law.expectation(observable.text)


def _square(observable: Observable, law: Distribution, middle: float) -> Interval:
    """Bound the mean of the square of an observable less a number, about which it is stored."""
    if observable.is_condition:
        square = (1.0 - 2.0 * middle) * law.probability(observable.text) + middle**2
        return Interval(max(square.lower, 0.0), max(square.upper, 0.0), max(square.value, 0.0), square.certified)
    return law.expectation(f"({observable.text} - ({middle!r}))^2")


def _variance(mean: Interval, square: Interval) -> Interval:
    return bounds.variance(mean, square, mean.value, max(square.value, 0.0))


def _widened(interval: Interval, by: float) -> Interval:
    if not by < inf:
        reason = interval.reason or "no bound of what the observables are at states that the start lacks is known"
        return Interval(-inf, inf, interval.value, certified=False, reason=reason)
    return interval + Interval(-by, by, 0.0, certified=True)
