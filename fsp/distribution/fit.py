"""Parameters that were estimated from counted cells, with intervals, and what they are judged by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fsp.checks import check_choice, check_level
from fsp.distribution import doors
from fsp.distribution.display import Displayed, Saved
from fsp.distribution.fit_comparison import FitComparison
from fsp.distribution.ledger import Interval
from fsp.distribution.text import table
from fsp.errors import ArgumentError

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.model import Model

INTERVAL_METHODS = ("profile", "fisher", "observed")
CONFIDENCE = "a confidence interval holds the true value in most experiments, not in each"
REACHED = 0.1  # nats: starts that end so close to the best have found the same optimum; chosen
AT_BOUND = 1e-6  # of a logarithm: an estimate is at its bound


@dataclass(frozen=True, slots=True, eq=False)
class FitStart:
    """What became of one start of a fit."""

    begin: FloatArray  # (q,) parameters
    end: FloatArray  # (q,)
    value: float  # of log-likelihood and log prior, in nats; NaN where it failed
    note: str = ""  # why it failed, or did not converge
    evaluations: int = 0  # of the likelihood, with its derivatives


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """The counts of something that was observed at one time, and what the model says of them."""

    label: str  # of the condition; empty where there is one
    t: float
    observed: str
    values: IntArray  # (m,) counts that were seen
    cells: IntArray  # (m,) in how many cells
    probabilities: FloatArray  # (k,) of the counts 0, 1, …

    @property
    def residuals(self) -> FloatArray:
        """(k,) cells with each count less those expected, in standard deviations of the number of cells."""
        n = float(self.cells.sum())
        seen = np.zeros(max(len(self.probabilities), int(self.values.max(initial=0)) + 1))
        seen[self.values] = self.cells
        p = np.zeros(len(seen))
        p[: len(self.probabilities)] = self.probabilities
        spread = np.sqrt(n * np.maximum(p * (1.0 - p), 1.0 / n**2))
        return (seen - n * p) / spread


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """Free parameters with their bounds, and where the likelihood is largest."""

    names: tuple[str, ...]
    values: FloatArray  # (q,)
    low: FloatArray  # (q,) bounds
    high: FloatArray
    information: FloatArray  # (q, q) about their logarithms, with the curvature of the priors
    profiles: Mapping[str, FloatArray] = field(default_factory=dict)  # (2, m) values, and the profile there
    observed: FloatArray | None = None  # (q, q) minus the second derivatives, where they were computed


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Fit(Displayed, Saved):
    """Estimated parameters with their intervals, as `fsp.fit` returns them.

    Parameters
    ----------
    estimates
        Parameters, bounds, information and profiles.
    likelihood
        The log-likelihood at the estimates, in nats, as an interval.
    n_cells
        Number of cells.
    level
        Confidence of the profiles.
    starts
        Outcome of the search from each start.
    panels
        Data and model at each time.
    notes
        Remarks: parameters at bounds, directions that the data do not determine.
    asked
        A digest of the model, the data and the options, by which a fit that was stopped is known again.
    complete
        Whether all starts were made.
    fitted
        The model with the estimates; None where the fit was read from a file.

    Examples
    --------
    >>> fit = fsp.fit(model, counts, {"k": (1, 1e3), "g": (0.1, 10)})  # doctest: +SKIP
    >>> fit.parameters, fit.intervals()["k"], fit.aic  # doctest: +SKIP
    """

    estimates: Estimates
    likelihood: Interval
    n_cells: int
    level: float
    starts: tuple[FitStart, ...] = ()
    panels: tuple[Panel, ...] = ()
    notes: tuple[str, ...] = ()
    asked: str = ""
    complete: bool = True
    fitted: Model | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the q free parameters."""
        return self.estimates.names

    @property
    def parameters(self) -> dict[str, float]:
        """The estimates by name."""
        return dict(zip(self.names, self.estimates.values.tolist(), strict=True))

    @property
    def model(self) -> Model:
        """The model with the estimates.

        Raises
        ------
        ArgumentError
            If the fit was read from a file, which keeps no model.
        """
        if self.fitted is None:
            raise ArgumentError(
                "`model` must be that of a fit of this process, but this one was read from a file, which keeps none; "
                "use model.with_parameters(fit.parameters)."
            )
        return self.fitted

    # ---- uncertainty

    @property
    def method(self) -> str:
        """The method of the printed intervals: profiles, or the information where there are none."""
        if set(self.names) <= set(self.estimates.profiles):
            return "profile"
        return "fisher" if self.estimates.observed is None else "observed"

    @property
    def covariance(self) -> FloatArray:
        """(q, q) inverse of the information, about logarithms; infinite variances where nothing is known."""
        return _inverse_of(self.estimates.information)

    @property
    def correlation(self) -> FloatArray:
        """(q, q) correlations of the estimates of the logarithms, NaN with those of which nothing is known."""
        covariance = self.covariance
        spread = np.sqrt(np.diag(covariance))
        with np.errstate(invalid="ignore", divide="ignore"):
            correlation: FloatArray = covariance / np.outer(spread, spread)
        correlation[:, ~np.isfinite(spread)] = correlation[~np.isfinite(spread)] = np.nan
        np.fill_diagonal(correlation, 1.0)
        return correlation

    def intervals(self, level: float | None = None, method: str = "profile") -> dict[str, Interval]:
        """Return a confidence interval of each parameter.

        Parameters
        ----------
        level
            The confidence, such as 0.95; by default that of the fit.
        method
            ``"profile"``: the values at which the likelihood, largest over the other parameters, is not too small,
            by the theorem of Wilks; ``"fisher"``: from the expected information about the
            logarithms; or ``"observed"``: from the second derivatives at the estimates, where they were computed.

        Returns
        -------
        dict
            An `Interval` for each name.  Its ends are those of the statistics, not bounds: `certified` is false.  An
            end that the data do not give is the bound of the parameter.

        Raises
        ------
        ArgumentError
            If `level` is no probability, the method is another one, or there is no profile for this level.

        References
        ----------
        S. S. Wilks, Ann. Math. Statist. 9 (1938) 60, doi:10.1214/aoms/1177732360.
        """
        level = self.level if level is None else level
        check_level(level)
        check_choice("method", method, INTERVAL_METHODS)
        root = quantile(level)
        ends = self._by_profile(level, root) if method == "profile" else self._by_information(method, root)
        return {
            name: Interval(min(low, value), max(high, value), value, False, CONFIDENCE)
            for (name, value), (low, high) in zip(self.parameters.items(), ends, strict=True)
        }

    def _by_information(self, method: str, root: float) -> list[tuple[float, float]]:
        estimates = self.estimates
        information = self.estimates.observed if method == "observed" else self.estimates.information
        if information is None:
            raise ArgumentError(
                "`method` must be 'fisher' or 'profile' where no second derivatives were computed, but is 'observed'. "
                "Fit with intervals='observed'."
            )
        spread = root * np.sqrt(np.diag(_inverse_of(information)))
        with np.errstate(over="ignore"):
            low = np.maximum(estimates.values * np.exp(-spread), estimates.low)
            high = np.minimum(estimates.values * np.exp(spread), estimates.high)
        return list(zip(low.tolist(), high.tolist(), strict=True))

    def _by_profile(self, level: float, root: float) -> list[tuple[float, float]]:
        missing = [name for name in self.names if name not in self.estimates.profiles]
        if missing:
            raise ArgumentError(
                f"`method` must be 'fisher' where no profiles were computed, but is 'profile'; that of '{missing[0]}' "
                f"is missing. Fit with intervals='profile'."
            )
        if level > self.level + 1e-12:
            raise ArgumentError(
                f"`level` must be at most {self.level:g}, that of the profiles, but is {level:g}; give it to fsp.fit."
            )
        return [self._crossings(name, k, root) for k, name in enumerate(self.names)]

    def _crossings(self, name: str, k: int, root: float) -> tuple[float, float]:
        """Return where the signed root of the profile is -`root` and `root`, or the bounds of the parameter."""
        values, profile = self.estimates.profiles[name]
        u, top = np.log(values), float(profile.max())
        r = np.sign(values - self.estimates.values[k]) * np.sqrt(2.0 * np.maximum(top - profile, 0.0))
        r = np.maximum.accumulate(r) + 1e-12 * np.arange(len(r))  # increasing
        low, high = (_inverse(r, u, at) for at in (-root, root))
        bounds = float(self.estimates.low[k]), float(self.estimates.high[k])
        return (bounds[0] if low is None else math.exp(low)), (bounds[1] if high is None else math.exp(high))

    # ---- judgement

    @property
    def aic(self) -> float:
        """Akaike's criterion, 2 q - 2 log L."""
        return 2.0 * len(self.names) - 2.0 * self.likelihood.value

    @property
    def bic(self) -> float:
        """The Bayesian criterion of Schwarz, q log n - 2 log L, n the number of cells."""
        return len(self.names) * math.log(self.n_cells) - 2.0 * self.likelihood.value

    def compare(self, other: Fit) -> FitComparison:
        """Compare with another fit of the same cells.

        Parameters
        ----------
        other
            The other fit; for the likelihood ratio one of the models must be a special case of the other.

        Returns
        -------
        FitComparison
            Differences of the criteria, and the likelihood ratio where the numbers of parameters differ.

        Raises
        ------
        ArgumentError
            If it is no fit, or of another number of cells.
        """
        if not isinstance(other, Fit):
            raise ArgumentError(f"`other` must be what fsp.fit returns, but is {other!r}.")
        if other.n_cells != self.n_cells:
            raise ArgumentError(f"`other` must be of the same {self.n_cells:,} cells, but is of {other.n_cells:,}.")
        return FitComparison.of(
            (self.aic, other.aic),
            (self.bic, other.bic),
            (self.likelihood.value, other.likelihood.value),
            (len(self.names), len(other.names)),
            self.likelihood.width + other.likelihood.width,
        )

    @property
    def agreeing(self) -> int:
        """Number of starts that ended at the best optimum, within a tenth of a nat."""
        values = np.array([start.value for start in self.starts])
        values = values[np.isfinite(values)]
        return int((values >= values.max() - REACHED).sum()) if len(values) else 0

    # ---- what is written

    def report(self, path: str | Path) -> None:
        """Write one page of HTML: estimates, data and model at each time, profiles, correlations, residuals.

        Parameters
        ----------
        path
            The file.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        doors.fit_report(self, path)

    def _ends(self, interval: Interval) -> list[str]:
        """Return the ends of an interval for print; a fit that was stopped has none yet."""
        return [f"{interval.lower:.4g}", f"{interval.upper:.4g}"] if self.complete else ["…", "…"]

    def __str__(self) -> str:
        """Return the log-likelihood, a row for each parameter, and what should be known."""
        intervals = self.intervals(method=self.method)
        per_cent = f"{100.0 * self.level:g} %"
        rows = [
            [name, f"{estimate.value:.4g}", *self._ends(estimate), f"{low:.4g} … {high:.4g}"]
            for (name, estimate), low, high in zip(
                intervals.items(), self.estimates.low, self.estimates.high, strict=True
            )
        ]
        header = ["", "estimate", f"{per_cent} from", "to", "bounds"]
        done = "" if self.complete else "stopped: not all starts were made\n"
        head = (
            f"{done}log-likelihood of {self.n_cells:,} cells: {self.likelihood}, AIC {self.aic:.2f}, BIC "
            f"{self.bic:.2f}; {self.agreeing} of {len(self.starts)} starts end there"
        )
        return "\n".join([head, *table(header, rows), *(f"note: {note}" for note in self.notes)])


def quantile(level: float) -> float:
    """Return z with P(|N(0, 1)| <= z) = level."""
    from scipy.special import ndtri

    return float(ndtri(0.5 + 0.5 * level))


def _inverse_of(information: FloatArray) -> FloatArray:
    """Return the inverse (q, q); infinite variances where nothing is known."""
    values, vectors = np.linalg.eigh(information)
    with np.errstate(divide="ignore"):
        inverse = np.where(values > values.max(initial=0.0) * 1e-14, 1.0 / values, np.inf)
    if np.isfinite(inverse).all():
        covariance: FloatArray = (vectors * inverse) @ vectors.T
        return covariance
    unknown = (vectors[:, ~np.isfinite(inverse)] ** 2).sum(axis=1) > 1e-12  # (q,)
    known: FloatArray = (vectors * np.where(np.isfinite(inverse), inverse, 0.0)) @ vectors.T
    known[unknown, unknown] = np.inf
    return known


def _inverse(r: FloatArray, u: FloatArray, at: float) -> float | None:
    """Return u where r is `at`, by monotone cubics; None where the profile ends before."""
    from scipy.interpolate import PchipInterpolator

    if at < r[0] - 0.05 or at > r[-1] + 0.05 or len(r) < 2:  # profiles end at their root but for a hundredth
        return None
    return float(PchipInterpolator(r, u, extrapolate=True)(at))
