"""How two observables of a network are correlated over a time, as a value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.checks import as_numbers
from fsp.distribution import doors
from fsp.distribution.display import Displayed
from fsp.distribution.distribution import Provenance
from fsp.distribution.ledger import Interval
from fsp.errors import ArgumentError, BackendError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fsp.arrays import ComplexArray, FloatArray
    from fsp.distribution.passage import Curve


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Spectrum(Displayed):
    """A power spectrum, or cross-spectrum, S(ω) = ∫ C(τ) exp(-iωτ) dτ over all lags; ``spectrum[k]`` is an `Interval`.

    Parameters
    ----------
    frequencies
        (n,) angular frequencies ω, radians/time.
    value
        (n,) values, in the units of the covariance times time; real where both observables are the same.
    residual
        (n,) 1-norm of what the resolvent's equations leave, relative to their right-hand side.
    radius
        (n,) bounds of the distance of each value to the exact one; infinite where none is known.
    certified
        Whether the radii are proved, and some are finite.
    reason
        Why they are not, or not all are finite.
    """

    frequencies: FloatArray
    value: ComplexArray | FloatArray
    residual: FloatArray
    radius: FloatArray
    certified: bool
    reason: str = ""

    def __len__(self) -> int:
        return len(self.frequencies)

    @property
    def lower(self) -> FloatArray:
        """(n,) lower bounds of a power spectrum, or of the real part of a cross-spectrum."""
        return np.nextafter(self.value.real - self.radius, -np.inf)

    @property
    def upper(self) -> FloatArray:
        """(n,) upper bounds of it."""
        return np.nextafter(self.value.real + self.radius, np.inf)

    def __getitem__(self, k: int) -> Interval:
        """Return one value, or the real part of one."""
        ends, is_known = (float(self.lower[k]), float(self.upper[k])), self._is_known(k)
        return Interval(*ends, float(self.value[k].real), is_known, "" if is_known else self.reason)

    def __iter__(self) -> Iterator[Interval]:
        return (self[k] for k in range(len(self)))

    def _is_known(self, k: int) -> bool:
        return self.certified and bool(np.isfinite(self.radius[k]))

    def record(self) -> list[dict[str, float | bool]]:
        """Return all that is known in plain dictionaries, at full precision."""
        numbers = zip(self.frequencies.tolist(), self.value.tolist(), self.radius.tolist(), strict=True)
        return [
            {
                "frequency": omega,
                "real": complex(power).real,
                "imaginary": complex(power).imag,
                "radius": radius,
                "certified": self._is_known(k),
            }
            for k, (omega, power, radius) in enumerate(numbers)
        ]

    def __str__(self) -> str:
        lines = []
        for k, (omega, power) in enumerate(zip(self.frequencies.tolist(), self.value.tolist(), strict=True)):
            shown = str(self[k])
            if isinstance(power, complex):
                number = f"{power.real:.6g}{power.imag:+.6g}i"
                shown = f"{number}, off by at most {self.radius[k]:.1e}" if self._is_known(k) else f"≈ {number}"
            lines.append(f"  spectrum at {omega:.8g}: {shown}")
        return "\n".join(lines)


@dataclass(frozen=True, eq=False, repr=False)
class Correlation(Displayed, Provenance):
    """Covariances of a(X(t)) and b(X(t + τ)).

    Parameters
    ----------
    pair
        The formulas a and b.
    tol
        The tolerance that was asked for.
    covariance
        Cov(a(X(t)), b(X(t + τ))) at each lag τ; `covariance[k]` is an `Interval`.
    correlation
        The same, divided by both standard deviations.
    means, variances
        Of a at t, and of b at t + τ at the first lag; at rest neither depends on the time.
    resolve
        Finds the spectrum at frequencies; None where the network does not start at rest.
    """

    pair: tuple[str, str]
    tol: float
    covariance: Curve
    correlation: Curve
    means: tuple[Interval, Interval]
    variances: tuple[Interval, Interval]
    resolve: Callable[[FloatArray], Spectrum] | None = None

    @property
    def at_rest(self) -> bool:
        """Whether the network starts at rest, so that the means are those of all times."""
        return self.resolve is not None

    @property
    def lags(self) -> FloatArray:
        """(n_lags,) lags τ."""
        return self.covariance.times

    def spectrum(self, frequencies: Sequence[float] | FloatArray | float) -> Spectrum:
        """Return the power spectrum, of one observable, or the cross-spectrum of two, by resolvents.

        Parameters
        ----------
        frequencies
            Angular frequencies ω, radians/time.

        Raises
        ------
        ArgumentError
            If a frequency is not finite.
        BackendError
            If the network does not start at rest.
        """
        if self.resolve is None:
            raise BackendError("A spectrum must be that of a network at rest; ask with `start='stationary'`.")
        omega = np.atleast_1d(as_numbers("`frequencies`", frequencies))
        if omega.ndim != 1 or not np.isfinite(omega).all():
            raise ArgumentError(f"`frequencies` must be finite numbers, but are {frequencies!r}.")
        return self.resolve(omega)

    def plot(self, *, ax: Axes | None = None) -> Any:
        """Draw the correlation against the lag, in a band of its bounds; into `ax`, axes of matplotlib, if given."""
        return doors.correlation(self, ax)

    def record(self) -> dict[str, Any]:
        """Return all that is known in plain dictionaries and lists, at full precision."""
        return {
            **self._of_model(),
            "tol": self.tol,
            "observables": list(self.pair),
            "means": [number.record() for number in self.means],
            "variances": [number.record() for number in self.variances],
            "lags": self.lags.tolist(),
            "covariance": [number.record() for number in self.covariance],
            "correlation": [number.record() for number in self.correlation],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        unit = f" {self.time_unit}" if self.time_unit else ""
        first, second = self.pair
        names = list(self.pair) if self.at_rest else [f"{first} at the start", f"{second} at the first lag"]
        lines = [f"correlation of {first} and {second} later:"]
        for name, mean, variance in zip(names, self.means, self.variances, strict=True):
            lines.append(f"  {name}: mean {mean}, variance {variance}")
        if names[0] == names[1]:
            lines.pop()
        for lag, both in zip(self.lags.tolist(), zip(self.covariance, self.correlation, strict=True), strict=True):
            lines.append(f"  lag {lag:.8g}{unit}: covariance {both[0]}, correlation {both[1]}")
        return "\n".join([*lines, *(f"  note: {n}" for n in self.notes)])
