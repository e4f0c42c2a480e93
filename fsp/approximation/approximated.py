"""The master equation and its approximations side by side: moments, distances, and orders in the volume.

The error of a mean concentration, and that of the variance of a concentration, fall with powers of 1/V that theory
knows where the limit is a single stable path away from zero: those of `THEORY`.

References
----------
T. G. Kurtz, J. Chem. Phys. 57 (1972) 2976, doi:10.1063/1.1678692.
R. Grima, P. Thomas, A. V. Straube, How accurate are the nonlinear chemical Fokker-Planck and chemical Langevin
equations?, J. Chem. Phys. 135 (2011) 084103, doi:10.1063/1.3625958.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.distribution.display import Displayed

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.distribution import Distribution

THEORY: dict[str, tuple[int | None, int | None]] = {
    "rate-equations": (1, None),
    "linear-noise": (1, 2),
    "next-order": (2, 3),
    "fokker-planck": (2, 2),  # three with detailed balance
    "langevin": (2, 2),
    "normal": (2, 2),
    "zero-cumulant": (3, 3),
    "poisson": (2, 2),
    "log-normal": (2, 2),
}
"""Powers of 1/V with which errors of means and of variances of concentrations fall."""
COUNTED_ERRORS = 3.0  # errors beyond this many times what the numbers are off by count in fitted powers


@dataclass(frozen=True, slots=True, eq=False)
class Approximated:
    """What one method says; arrays have the shape (volumes, times, species), in molecules.

    Parameters
    ----------
    name
        A key of `THEORY`.
    mean, variance
        Of the counts; NaN where the method fails.
    mean_off, variance_off
        Estimated numerical error of the method's own numbers: lattice spacing, sampling, steps.
    l1, wasserstein
        Distances of the marginals from those of the master equation, (volumes, times, species, 3): lower end, value,
        upper end; NaN where the method has no law.
    joint
        1-norm distances of the joint laws, (volumes, times, 3).
    joint_wasserstein
        The largest Wasserstein distance of projections of the joint laws, which is at most theirs; an estimate,
        (volumes, times).
    laws
        Marginals at the last time, by volume and species.
    notes
        What went wrong.
    """

    name: str
    mean: FloatArray
    variance: FloatArray
    mean_off: FloatArray
    variance_off: FloatArray
    l1: FloatArray
    wasserstein: FloatArray
    joint: FloatArray
    joint_wasserstein: FloatArray
    laws: dict[tuple[int, int], Distribution] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def empty(cls, name: str, shape: tuple[int, int, int]) -> Approximated:
        """Return one without numbers."""
        mean, variance, mean_off, variance_off = (np.full(shape, np.nan) for _ in range(4))
        near, moved, joint = (np.full((*size, 3), np.nan) for size in (shape, shape, shape[:2]))
        return cls(name, mean, variance, mean_off, variance_off, near, moved, joint, joint[..., 0].copy())


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Approximations(Displayed, Mapping[str, Approximated]):
    """The master equation and its approximations by name.

    Arrays have the shape (volumes, times, species), in molecules.

    Parameters
    ----------
    model_name, volumes, times, species
        What was computed; times are None where stationary.
    cme_mean, cme_variance
        Means and variances of the master equation.
    mean_bounds, variance_bounds
        Their certified bounds, (volumes, times, species, 2); infinite where there are none.
    error
        1-norm error of its distributions, (volumes, times).
    certified
        Whether all of these are bounds.
    laws
        Its distributions, by volume and time.
    methods
        The approximations by name.
    """

    model_name: str
    volumes: tuple[float, ...]
    times: tuple[float, ...] | None
    species: tuple[str, ...]
    cme_mean: FloatArray
    cme_variance: FloatArray
    mean_bounds: FloatArray
    variance_bounds: FloatArray
    error: FloatArray
    certified: bool
    laws: tuple[tuple[Distribution, ...], ...]
    methods: dict[str, Approximated]

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def __getitem__(self, name: str) -> Approximated:
        return self.methods[name]

    def __iter__(self) -> Any:
        return iter(self.methods)

    def __len__(self) -> int:
        return len(self.methods)

    def mean_error(self, name: str) -> FloatArray:
        """Return the distance of mean concentrations, (volumes, times, species)."""
        return np.abs(self[name].mean - self.cme_mean) / self._scale

    def variance_error(self, name: str) -> FloatArray:
        """Return the distance of variances of concentrations, (volumes, times, species)."""
        return np.abs(self[name].variance - self.cme_variance) / self._scale**2

    def order(self, name: str, of: str = "mean") -> FloatArray:
        """Return the power of 1/V with which an error falls, by least squares, (times, species).

        Parameters
        ----------
        name
            The method.
        of
            ``"mean"`` or ``"variance"``.

        Returns
        -------
        ndarray
            NaN where fewer than two volumes have an error above the numerical errors of the method and of the master
            equation.
        """
        errors = self.mean_error(name) if of == "mean" else self.variance_error(name)
        off = self.unknown(name, of)
        fitted = np.full(errors.shape[1:], np.nan)
        for place in np.ndindex(fitted.shape):
            e = errors[(slice(None), *place)]
            clear = e > COUNTED_ERRORS * off[(slice(None), *place)] + 1e-13
            if clear.sum() > 1:
                fitted[place] = -np.polyfit(np.log(np.array(self.volumes)[clear]), np.log(e[clear]), 1)[0]
        return fitted

    def unknown(self, name: str, of: str = "mean") -> FloatArray:
        """Return the uncertainty of an error, (volumes, times, species).

        Parameters
        ----------
        name
            The method.
        of
            ``"mean"`` or ``"variance"``.

        Returns
        -------
        ndarray
            Numerical error of the method's own numbers, and the width that the certificate of the master equation
            leaves; of concentrations, like the errors.
        """
        values, ends = self[name], self.mean_bounds if of == "mean" else self.variance_bounds
        known = np.diff(ends, axis=-1)[..., 0]
        off = (values.mean_off if of == "mean" else values.variance_off) + np.where(np.isfinite(known), known, 0.0)
        return np.asarray(off / self._scale ** (1 if of == "mean" else 2))

    @property
    def _scale(self) -> FloatArray:
        return np.array(self.volumes)[:, None, None]

    def table(self) -> list[dict[str, Any]]:
        """Return a row for each volume, time, species and method."""
        rows = []
        for v, k, j in np.ndindex(self.cme_mean.shape):
            at = {
                "volume": self.volumes[v],
                "t": None if self.times is None else self.times[k],
                "species": self.species[j],
            }
            exact = {"cme_mean": float(self.cme_mean[v, k, j]), "cme_variance": float(self.cme_variance[v, k, j])}
            for name, method in self.methods.items():
                numbers = {"mean": method.mean, "mean_off": method.mean_off, "variance": method.variance,
                           "variance_off": method.variance_off}  # fmt: skip
                row = {key: float(array[v, k, j]) for key, array in numbers.items()}
                for key, array in (("l1", method.l1), ("wasserstein", method.wasserstein)):
                    ends = array[v, k, j].tolist()
                    row |= {f"{key}_lower": ends[0], key: ends[1], f"{key}_upper": ends[2]}
                rows.append({**at, "method": name, **exact, **row})
        return rows

    def record(self) -> dict[str, Any]:
        """Return all of it as plain numbers and texts."""
        return {
            "model": self.model_name,
            "certified": self.certified,
            "error": self.error.tolist(),
            "rows": self.table(),
            "joint": {
                name: {"l1": method.joint.tolist(), "wasserstein_at_least": method.joint_wasserstein.tolist()}
                for name, method in self.methods.items()
            },
            "orders": {name: {of: self.order(name, of).tolist() for of in ("mean", "variance")} for name in self},
            "notes": {name: method.notes for name, method in self.methods.items() if method.notes},
        }

    def plot(self, species: str | None = None, **options: Any) -> Any:
        """Draw laws, errors and distances of one species at the last time.

        Parameters
        ----------
        species
            The name; the first one if None.
        **options
            ``kind``, in place of ``"overview"``: ``"laws"`` in one ``volume``, ``"means"``, ``"variances"`` and
            ``"distances"`` against the volume.  ``ax``, axes of matplotlib to draw one of these into, ``"distances"``
            where no kind is given.

        Returns
        -------
        matplotlib.figure.Figure or matplotlib.axes.Axes
            The picture, which a notebook shows; or `ax`, where it was given.

        Raises
        ------
        ArgumentError
            If there is no such species, kind or volume.
        """
        from fsp.approximation.pictures import draw

        usual = "overview" if options.get("ax") is None else "distances"
        return draw(self, species, **{"kind": usual, **options})

    def __str__(self) -> str:
        sign = "≤" if self.certified else "≈"
        lines = [f"{self.model_name}: master equation (1-norm error {sign} {self.error.max():.1e}) and approximations"]
        lines.append(
            f"{'V':>7} {'t':>10} {'species':>8} {'method':>16} {'mean':>11} {'sd':>10}  {'L1':>22} {'Wasserstein':>22}"
        )
        for v, k, j in np.ndindex(self.cme_mean.shape):
            when = "stationary" if self.times is None else f"{self.times[k]:g}"
            at = f"{self.volumes[v]:7g} {when:>10} {self.species[j]:>8}"
            lines.append(
                f"{at} {'master equation':>16} {self.cme_mean[v, k, j]:11.5g} {_sd(self.cme_variance[v, k, j])}"
            )
            for name, method in self.methods.items():
                far = f"{_ends(method.l1[v, k, j])} {_ends(method.wasserstein[v, k, j])}"
                lines.append(
                    f"{at} {name:>16} {method.mean[v, k, j]:11.5g} {_sd(method.variance[v, k, j])}  {far}".rstrip()
                )
            if j == len(self.species) - 1 > 0:
                lines += self._joint(f"{self.volumes[v]:7g} {when:>10} {'joint':>8}", v, k)
        lines += self._orders() if len(self.volumes) > 1 else []
        return "\n".join(
            [*lines, *(f"{name}: {note}" for name, method in self.methods.items() for note in method.notes)]
        )

    def _joint(self, at: str, v: int, k: int) -> list[str]:
        """Return a line for each method that has a joint law."""
        return [
            f"{at} {name:>16} {'':22}  {_ends(method.joint[v, k])}    >= {method.joint_wasserstein[v, k]:.3e}"
            for name, method in self.methods.items()
            if np.isfinite(method.joint[v, k, 1])
        ]

    def _orders(self) -> list[str]:
        lines = ["errors of mean concentrations and of their variances fall as (theory; - where no error stands out):"]
        for name, theory in ((name, THEORY[name]) for name in self):
            parts = []
            for of, power in zip(("mean", "variance"), theory, strict=True):
                orders = ", ".join(
                    f"{x} -" if np.isnan(p) else f"{x} V^{-p:.2f}"
                    for x, p in zip(self.species, self.order(name, of)[-1], strict=True)
                )
                parts += [f"{of}s {orders} (V^-{power})"] if power else []
            lines.append(f"{name:>16}: {'; '.join(parts)}")
        return lines


def _sd(variance: Any) -> str:
    return f"{math.sqrt(variance) if variance >= 0.0 else math.nan:10.4g}"


def _ends(three: FloatArray) -> str:
    """Return a distance with half the width of its interval."""
    return "" if np.isnan(three[1]) else f"{three[1]:12.3e} ± {max(three[2] - three[1], three[1] - three[0]):7.1e}"
