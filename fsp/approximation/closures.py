"""Moment closures: equations of the moments up to an order, with those above it expressed by those below.

The generator maps a falling monomial x^(α) to a polynomial (`fsp.moments.equations`), so that the moments up to order M
obey linear equations in which, unless all propensities are affine, moments of higher orders occur.  These are put in:

    normal          cumulants of order three and above are zero, M = 2
    zero-cumulant   cumulants above order M are zero, M = 3 by default
    poisson         cumulants above order M are those of independent Poisson laws of the means, M = 2 by default
    log-normal      moments of order three and above are those of the log-normal law with the first two, M = 2

    E x^α = ∏ᵢ mᵢ^αᵢ ∏ᵢ (mᵢᵢ/mᵢ²)^(αᵢ(αᵢ-1)/2) ∏_{i<j} (mᵢⱼ/(mᵢ mⱼ))^(αᵢ αⱼ)        (log-normal)

Nothing says that a closure has a solution that belongs to a law: variances may become negative, moments may diverge.
Moments and cumulants are converted by E x^α = Σ_β C(α - eᵢ, β) κ_(β+eᵢ) E x^(α-eᵢ-β), for any i with αᵢ > 0.

References
----------
D. Schnoerr, G. Sanguinetti, R. Grima, Comparison of different moment-closure approximations for stochastic chemical
kinetics, J. Chem. Phys. 143 (2015) 185101, doi:10.1063/1.4934990.
C. S. Gillespie, IET Syst. Biol. 3 (2009) 52, doi:10.1049/iet-syb:20070031.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from scipy.integrate import solve_ivp

from fsp.approximation.scaling import require_chain, smooth_law
from fsp.bars import Course, barred, callback, silent
from fsp.checks import check_choice
from fsp.distribution.display import Displayed
from fsp.errors import ArgumentError, ModelError
from fsp.model.arguments import check_call
from fsp.model.times import checked_times
from fsp.moments.equations import image
from fsp.moments.polynomial import Exponents, degree, from_power
from fsp.moments.rates import rates

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.bars import StateCallback
    from fsp.model import Model

CLOSURES = {"normal": (2, 2), "zero-cumulant": (3, 6), "poisson": (2, 6), "log-normal": (2, 2)}
"""The order that each closure has by default, and at most."""

TOLERANCE = 1e-13  # relative, of moments, as variances are differences of large ones
NEGATIVE = 1e-6  # of 1 + mean²: a variance below minus this is no rounding
MOST_EVALUATIONS = 20_000  # of the equations
DOUBLINGS = 40  # of the time after which moments must have settled
SETTLED_CHANGE = 1e-9  # relative change while the time doubles

Moments = dict[Exponents, float]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class MomentClosure(Displayed):
    """Means and covariances of a closure at T times, or one where stationary.

    Parameters
    ----------
    model_name, species, closure, order
        Names of the model, of its species and of the closure, and the order M.
    times
        (T,) times; None where stationary.
    means, covariances
        (T, d) and (T, d, d), NaN from where the closure fails.
    failure
        What happened, and when; empty where nothing did.
    """

    model_name: str
    species: tuple[str, ...]
    closure: str
    order: int
    times: tuple[float, ...] | None
    means: FloatArray
    covariances: FloatArray
    failure: str

    def __str__(self) -> str:
        lines = [f"{self.model_name}: moments up to order {self.order}, {self.closure} closure"]
        lines.append(f"{'t':>8} {'species':>8} {'mean':>12} {'variance':>12}")
        for k, t in enumerate(self.times or (math.inf,)):
            for i, name in enumerate(self.species):
                lines.append(f"{t:8g} {name:>8} {self.means[k, i]:12.6g} {self.covariances[k, i, i]:12.6g}")
        return "\n".join([*lines, *([f"failed: {self.failure}"] if self.failure else [])])


@barred()
def moment_closure(
    model: Model,
    times: Sequence[float] | FloatArray | float | None = None,
    closure: str = "normal",
    order: int | None = None,
    *,
    progress: StateCallback | bool | None = None,
) -> MomentClosure:
    """Approximate means and covariances by closed moment equations.

    Parameters
    ----------
    model
        The network; its rates must be polynomials of the counts, constant in time.
    times
        Increasing times >= 0; None for where the moments settle.
    closure
        ``"normal"`` (cumulants of order three and above are zero), ``"zero-cumulant"`` (those above order M),
        ``"poisson"`` (they are those of independent Poisson laws) or ``"log-normal"``.
    order
        The order M of the moments that are kept; two to six for ``"zero-cumulant"`` and ``"poisson"``.
    progress
        True for a bar; or a function that is called now and then with a moment, whose ``status`` says the time, and
        may raise KeyboardInterrupt.

    Returns
    -------
    MomentClosure
        The moments, and in ``failure`` what went wrong.

    Raises
    ------
    ArgumentError
        If `closure` or `order` is not as above.
    ModelError
        If the model has events, or a rate is no polynomial.

    References
    ----------
    D. Schnoerr, G. Sanguinetti, R. Grima, J. Chem. Phys. 143 (2015) 185101, doi:10.1063/1.4934990.

    Examples
    --------
    >>> pairs = fsp.Model(species={"A": 20, "B": 0}, reactions=[
    ...     fsp.Reaction("2 A -> B", mass_action=0.05), fsp.Reaction("B -> 2 A", mass_action=0.3)])
    >>> print(fsp.moment_closure(pairs, [1.0, 5.0]))
    model: moments up to order 2, normal closure
           t  species         mean     variance
           1        A      11.3219      6.39776
           1        B      4.33906      1.59944
           5        A      8.48363      6.31959
           5        B      5.75818       1.5799
    """
    check_call(model, progress=progress)
    check_choice("closure", closure, CLOSURES)
    usual, highest = CLOSURES[closure]
    chosen = usual if order is None else order
    if isinstance(chosen, bool) or not isinstance(chosen, int) or not 2 <= chosen <= highest:
        raise ArgumentError(f"`order` of the {closure} closure must be from 2 to {highest}, but is {order!r}.")
    grid = None if times is None else checked_times(times)
    report, end = callback(progress) or silent, None if grid is None else float(grid[-1])
    return _Equations(model, closure, chosen, lambda t: report(Course(t, end))).solved(grid)


class _FailureError(Exception):
    """What became of a closure."""


class _Equations:
    """The closed equations of one network, with falling moments up to order M as unknowns."""

    def __init__(self, model: Model, closure: str, order: int, tell: Callable[[float], None] = silent) -> None:
        require_chain(model)
        laws = rates(model, 0.0, np.full(model.n_species, np.inf))
        for k, rate in enumerate(laws):
            smooth_law(model, k)
            if rate.exact is None:
                raise ModelError(
                    f"Rate of '{rate.name}' must be a polynomial of the counts, constant in time, for a moment "
                    f"closure, but is not; `fsp.linear_noise` takes any smooth rate."
                )
        d, top = model.n_species, order + max(degree(rate.exact or {}) for rate in laws) - 1
        self._model, self._closure, self._order = model, closure, order
        self._all = [alpha for alpha in _up_to(d, max(top, order)) if any(alpha)]  # by degree
        self._low = [alpha for alpha in self._all if sum(alpha) <= order]
        self._equations = [_floats(image({alpha: Fraction(1)}, laws)) for alpha in self._low]
        self._high = sorted({b for equation in self._equations for b in equation if sum(b) > order})
        self._to_raw = {alpha: _floats(from_power(alpha)) for alpha in self._low}
        self._to_falling = {beta: _in_ordinary(beta) for beta in self._high}
        self._splits = {alpha: _splits(alpha) for alpha in self._all}
        self._evaluations, self._tell = 0, tell

    def solved(self, grid: FloatArray | None) -> MomentClosure:
        """Return moments at times (T,), or where they settle."""
        d = self._model.n_species
        rows: list[FloatArray] = []
        failure = ""
        try:
            if grid is None:
                rows.append(self._settled())
            else:
                self._follow(grid, rows)
        except _FailureError as what:
            failure = str(what)
        n = 1 if grid is None else len(grid)
        means, covariances = np.full((n, d), np.nan), np.full((n, d, d), np.nan)
        for k, row in enumerate(rows):
            means[k], covariances[k] = self._first_two(row)
        times = None if grid is None else tuple(grid.tolist())
        model = self._model
        return MomentClosure(model.name, model.species, self._closure, self._order, times, means, covariances, failure)

    def _follow(self, grid: FloatArray, rows: list[FloatArray]) -> None:
        t, v = 0.0, self._start()
        for end in grid.tolist():
            v = self._advanced(v, t, end)
            rows.append(v)
            t = end

    def _settled(self) -> FloatArray:
        v, t = self._start(), 0.0
        length = 1.0 / max(1e-9, float(np.abs(self._slope(0.0, v) / (1.0 + np.abs(v))).max()))
        for _ in range(DOUBLINGS):
            before, v, t, length = v, self._advanced(v, t, t + length), t + length, 2.0 * length
            if np.abs(v - before).max() <= SETTLED_CHANGE * (1.0 + np.abs(v)).max() and t > 0.0:
                return v
        raise _FailureError(f"the moments have not settled up to t = {t:.3g}")

    def _start(self) -> FloatArray:
        x, p = self._model.initial_states, self._model.initial_probabilities
        falling = [
            np.prod([x[:, i] - k for i, n in enumerate(alpha) for k in range(n)], axis=0, dtype=float) @ p
            for alpha in self._low
        ]
        return np.array(falling)

    def _advanced(self, v: FloatArray, t: float, end: float) -> FloatArray:
        if end == t:
            return v

        def negative(t: float, v: FloatArray) -> float:
            self._tell(t)
            return self._margin(v)[0]

        negative.terminal = True  # type: ignore[attr-defined]
        with np.errstate(all="ignore"):
            done = solve_ivp(
                self._slope, (t, end), v, "LSODA", events=negative, rtol=TOLERANCE, atol=1e-12 * (1.0 + np.abs(v))
            )
        last = done.y[:, -1]
        if done.status == 1:
            raise _FailureError(f"the {self._margin(last)[1]} becomes negative at t = {done.t[-1]:.4g}")
        if not done.success or not np.isfinite(last).all():
            raise _FailureError(f"the moments diverge at t = {done.t[-1]:.4g}")
        return np.asarray(last)

    def _margin(self, v: FloatArray) -> tuple[float, str]:
        """Return how far the least mean or variance is from being negative, and which that is."""
        mean, covariance = self._first_two(v)
        scale = 1.0 + mean**2
        margins = [
            (float(m / s) + NEGATIVE, f"mean of {n}") for m, s, n in zip(mean, scale, self._model.species, strict=True)
        ]
        variances = np.diag(covariance) / scale + NEGATIVE
        margins += [(float(m), f"variance of {n}") for m, n in zip(variances, self._model.species, strict=True)]
        return min(margins)

    def _first_two(self, v: FloatArray) -> tuple[FloatArray, FloatArray]:
        d, falling = self._model.n_species, dict(zip(self._low, v.tolist(), strict=True))
        units = [tuple(int(i == j) for i in range(d)) for j in range(d)]
        mean = np.array([falling[unit] for unit in units])
        second = np.array([[falling[_plus(a, b)] for b in units] for a in units])
        return mean, second + np.diag(mean) - np.outer(mean, mean)

    def _slope(self, t: float, v: FloatArray) -> FloatArray:
        self._evaluations += 1
        if self._evaluations > MOST_EVALUATIONS:
            raise _FailureError(f"the moments change ever faster at t = {t:.4g}")
        falling: Moments = dict(zip(self._low, v.tolist(), strict=True))
        zero = (0,) * self._model.n_species
        falling[zero] = 1.0
        if self._high:
            raw = self._closed({alpha: _sum(self._to_raw[alpha], falling) for alpha in self._low} | {zero: 1.0})
            falling |= {beta: _sum(self._to_falling[beta], raw) for beta in self._high}
        return np.array([_sum(equation, falling) for equation in self._equations])

    def _closed(self, raw: Moments) -> Moments:
        """Add the raw moments above order M."""
        above = [alpha for alpha in self._all if sum(alpha) > self._order]
        if self._closure == "log-normal":
            return raw | {alpha: log_normal_moment(alpha, raw) for alpha in above}
        cumulants: Moments = {}
        for alpha in self._low:
            cumulants[alpha] = raw[alpha] - sum(c * cumulants[k] * raw[m] for c, k, m in self._splits[alpha][:-1])
        for alpha in above:
            alone = self._closure == "poisson" and sum(1 for n in alpha if n) == 1
            cumulants[alpha] = raw[tuple(int(n > 0) for n in alpha)] if alone else 0.0
            raw[alpha] = sum(c * cumulants[k] * raw[m] for c, k, m in self._splits[alpha])
        return raw


def log_normal_moment(alpha: Exponents, raw: Mapping[Exponents, float]) -> float:
    """Return a raw moment of the log-normal law that has given raw moments of order one and two."""
    d = len(alpha)
    units = [tuple(int(i == j) for i in range(d)) for j in range(d)]
    means = [max(raw[unit], 1e-9) for unit in units]
    value = math.prod(m**n for m, n in zip(means, alpha, strict=True))
    for i, n in enumerate(alpha):
        for j in range(i, d):
            pairs = n * (n - 1) // 2 if i == j else n * alpha[j]
            if pairs:
                value *= (max(raw[_plus(units[i], units[j])], 0.0) / (means[i] * means[j])) ** pairs
    return value


def _plus(a: Exponents, b: Exponents) -> Exponents:
    return tuple(x + y for x, y in zip(a, b, strict=True))


def _up_to(width: int, order: int) -> list[Exponents]:
    """Return the exponents of degree at most `order`, by degree."""
    return sorted((a for a in product(range(order + 1), repeat=width) if sum(a) <= order), key=lambda a: (sum(a), a))


def _splits(alpha: Exponents) -> list[tuple[int, Exponents, Exponents]]:
    """Return the terms of E x^α = Σ C κ E x^…, that of the cumulant of α itself as the last."""
    i = next(i for i, n in enumerate(alpha) if n)
    rest = tuple(n - (j == i) for j, n in enumerate(alpha))
    terms = []
    for beta in product(*(range(n + 1) for n in rest)):
        weight = math.prod(math.comb(n, k) for n, k in zip(rest, beta, strict=True))
        powers = tuple(n + (j == i) for j, n in enumerate(beta))
        terms.append((weight, powers, tuple(n - k for n, k in zip(rest, beta, strict=True))))
    return terms


def _in_ordinary(beta: Exponents) -> dict[Exponents, float]:
    """Return x^(β) in ordinary powers."""
    rows = [np.poly1d(np.poly(np.arange(n)) if n else [1.0]).coeffs[::-1] for n in beta]
    powers = product(*(range(len(row)) for row in rows))
    return {alpha: math.prod(row[k] for row, k in zip(rows, alpha, strict=True)) for alpha in powers}


def _floats(terms: Mapping[Exponents, Fraction]) -> Moments:
    return {alpha: float(c) for alpha, c in terms.items()}


def _sum(terms: Moments, moments: Moments) -> float:
    return sum(c * moments[alpha] for alpha, c in terms.items())
