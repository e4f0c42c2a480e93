"""Approximations of the master equation beside it, and their distance from it as the volume grows.

How a network goes with the volume: `fsp.approximation.scaling`.  Each method is computed by its own module, with an
error that is small or estimated; the master equation has its certificate.

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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.approximation.closures import CLOSURES, moment_closure
from fsp.approximation.distances import l1, normal_law, wasserstein
from fsp.approximation.fokker_planck import fokker_planck
from fsp.approximation.langevin import STEPS, langevin
from fsp.approximation.linear_noise import Expansion
from fsp.approximation.scaling import ScaledNetwork
from fsp.doors import stationary, transient
from fsp.errors import ArgumentError, ConvergenceError, StateSpaceError
from fsp.model.arguments import check_call
from fsp.model.times import checked_times

if TYPE_CHECKING:
    from fsp.approximation.linear_noise import LinearNoise
    from fsp.arrays import FloatArray
    from fsp.distribution import Distribution, Interval
    from fsp.model import Model

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
USUAL = ("rate-equations", "linear-noise", "next-order")
INTEGRATED = 1e-9  # that integration leaves of moments: ten times the tolerance of the differential equations
WHOLE = 3.0  # errors beyond this many times what the numbers are off by count in fitted powers


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
        What the method's own numbers are off by, an estimate: lattice spacing, sampling, steps.
    l1, wasserstein
        Distances of the marginals from those of the master equation, (volumes, times, species, 3): lower end, value,
        upper end; NaN where the method has no law.
    joint
        1-norm distances of the joint laws, (volumes, times, 3).
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
    laws: dict[tuple[int, int], Distribution] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def empty(cls, name: str, shape: tuple[int, int, int]) -> Approximated:
        """Return one without numbers."""
        mean, variance, mean_off, variance_off = (np.full(shape, np.nan) for _ in range(4))
        near, moved, joint = (np.full((*own, 3), np.nan) for own in (shape, shape, shape[:2]))
        return cls(name, mean, variance, mean_off, variance_off, near, moved, joint)


@dataclass(frozen=True, slots=True, eq=False)
class Approximations(Mapping[str, Approximated]):
    """The master equation and its approximations by name.

    Arrays have the shape (volumes, times, species), in molecules.

    Parameters
    ----------
    model_name, volumes, times, species
        What was computed; times are None where stationary.
    cme_mean, cme_variance
        Of the master equation.
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
            NaN where fewer than two volumes have an error that stands out of what the method's numbers, and those of
            the master equation, are off by.
        """
        errors = self.mean_error(name) if of == "mean" else self.variance_error(name)
        own, ends = self[name], self.mean_bounds if of == "mean" else self.variance_bounds
        known = np.diff(ends, axis=-1)[..., 0]  # what the certificate of the master equation leaves
        off = (own.mean_off if of == "mean" else own.variance_off) + np.where(np.isfinite(known), known, 0.0)
        off = off / self._scale ** (1 if of == "mean" else 2)
        fitted = np.full(errors.shape[1:], np.nan)
        for place in np.ndindex(fitted.shape):
            e = errors[(slice(None), *place)]
            clear = e > WHOLE * off[(slice(None), *place)] + 1e-13
            if clear.sum() > 1:
                fitted[place] = -np.polyfit(np.log(np.array(self.volumes)[clear]), np.log(e[clear]), 1)[0]
        return fitted

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
            for name, own in self.methods.items():
                numbers = {"mean": own.mean, "mean_off": own.mean_off, "variance": own.variance,
                           "variance_off": own.variance_off}  # fmt: skip
                found = {key: float(array[v, k, j]) for key, array in numbers.items()}
                for key, array in (("l1", own.l1), ("wasserstein", own.wasserstein)):
                    ends = array[v, k, j].tolist()
                    found |= {f"{key}_lower": ends[0], key: ends[1], f"{key}_upper": ends[2]}
                rows.append({**at, "method": name, **exact, **found})
        return rows

    def record(self) -> dict[str, Any]:
        """Return all of it as plain numbers and texts."""
        return {
            "model": self.model_name,
            "certified": self.certified,
            "error": self.error.tolist(),
            "rows": self.table(),
            "orders": {name: {of: self.order(name, of).tolist() for of in ("mean", "variance")} for name in self},
            "notes": {name: own.notes for name, own in self.methods.items() if own.notes},
        }

    def plot(self) -> Any:
        """Draw the laws, the means and the distances against the volume; see `fsp.approximation.pictures`."""
        from fsp.approximation.pictures import overview

        return overview(self)

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
            for name, own in self.methods.items():
                far = f"{_ends(own.l1[v, k, j])} {_ends(own.wasserstein[v, k, j])}"
                lines.append(f"{at} {name:>16} {own.mean[v, k, j]:11.5g} {_sd(own.variance[v, k, j])}  {far}".rstrip())
        lines += self._orders() if len(self.volumes) > 1 else []
        return "\n".join([*lines, *(f"{name}: {note}" for name, own in self.methods.items() for note in own.notes)])

    def _orders(self) -> list[str]:
        lines = ["errors of mean concentrations and of their variances fall as (theory):"]
        for name, theory in ((name, THEORY[name]) for name in self):
            parts = []
            for of, power in zip(("mean", "variance"), theory, strict=True):
                own = ", ".join(f"{x} V^{-p:.2f}" for x, p in zip(self.species, self.order(name, of)[-1], strict=True))
                parts += [f"{of}s {own} (V^-{power})"] if power else []
            lines.append(f"{name:>16}: {'; '.join(parts)}")
        return lines


def _sd(variance: Any) -> str:
    return f"{math.sqrt(variance) if variance >= 0.0 else math.nan:10.4g}"


def _ends(three: FloatArray) -> str:
    """Return a distance with half the width of its interval."""
    return "" if np.isnan(three[1]) else f"{three[1]:12.3e} ± {max(three[2] - three[1], three[1] - three[0]):7.1e}"


@dataclass(frozen=True, slots=True)
class _Found:
    """What a method says in one volume: (T, d) moments, and its laws at each time, joint or by species."""

    mean: FloatArray
    variance: FloatArray
    mean_off: FloatArray | float = 0.0
    variance_off: FloatArray | float = 0.0
    laws: Sequence[Distribution | Sequence[Distribution]] = ()
    wasserstein_off: FloatArray | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Job:
    """One volume."""

    model: Model
    volume: float
    times: FloatArray | None
    noise: LinearNoise
    spacing: float
    tol: float
    runs: int
    steps: int
    seed: int | None
    max_states: int | None


def approximations(
    model: Model,
    times: Sequence[float] | FloatArray | float | None,
    volumes: Sequence[float] = (1, 2, 4, 8),
    *,
    methods: Sequence[str] = USUAL,
    tol: float = 1e-8,
    spacing: float = 1 / 4,
    runs: int = 10_000,
    steps: int = STEPS,
    seed: int | None = None,
    max_states: int | None = None,
) -> Approximations:
    """Compare approximations with the master equation in growing volumes.

    Parameters
    ----------
    model
        The network, which starts in one state.
    times
        Increasing times >= 0; None for the stationary distributions.
    volumes
        Factors of the volume; each must make the initial counts whole.
    methods
        Any of ``"rate-equations"``, ``"linear-noise"``, ``"next-order"`` (of the expansion in the volume),
        ``"fokker-planck"``, ``"langevin"``, and the closures ``"normal"``, ``"zero-cumulant"``, ``"poisson"`` and
        ``"log-normal"``.
    tol
        Bound on the 1-norm error of the master equation's solutions, and of the lattices of Fokker-Planck's.
    spacing
        Of the finest of these lattices.
    runs, steps, seed
        Of the Langevin equation.
    max_states
        Limit on the states of the master equation, and of a lattice.

    Returns
    -------
    Approximations
        Means, variances and distances; it prints as a table.

    Raises
    ------
    ArgumentError
        If an argument is not as above.
    ModelError
        If a rate is a callable, or has a condition on the state; if the model has events, or starts in a distribution.
    ConvergenceError
        If the rate equations cannot be solved, as where they explode.

    References
    ----------
    R. Grima, P. Thomas, A. V. Straube, J. Chem. Phys. 135 (2011) 084103, doi:10.1063/1.3625958.

    Examples
    --------
    >>> pairs = fsp.Model(species={"A": 20, "B": 0}, reactions=[
    ...     fsp.Reaction("2 A -> B", mass_action=0.05), fsp.Reaction("B -> 2 A", mass_action=0.3)])
    >>> print(fsp.approximations(pairs, 1.0, [1, 2, 4], methods=["linear-noise", "fokker-planck"]))
    """
    check_call(model, max_states=max_states)
    grid = None if times is None else checked_times(times)
    factors, chosen = _checked(volumes, methods, grid)
    network = ScaledNetwork(model)
    expansion = Expansion(network, next_order="next-order" in chosen)
    noise = expansion.steady() if grid is None else expansion.at(grid)
    shape = (len(factors), 1 if grid is None else len(grid), model.n_species)
    exact: list[tuple[Distribution, ...]] = []
    found = {name: Approximated.empty(name, shape) for name in chosen}
    for v, volume in enumerate(factors):
        scaled = network.model_in(volume)
        exact.append(_exact(scaled, grid, tol, max_states))
        job = _Job(scaled, volume, grid, noise, spacing, tol, runs, steps, seed, max_states)
        for name in chosen:
            try:
                _fill(found[name], v, METHODS[name](job), exact[-1])
            except (ConvergenceError, StateSpaceError) as failure:
                found[name].notes.append(f"failed at V = {volume:g}: {failure}")
    intervals = [[(d.mean_interval(), d.variance_interval()) for d in row] for row in exact]
    mean_bounds, variance_bounds = (
        np.array([[[_bounds(at[part][x]) for x in model.species] for at in row] for row in intervals])
        for part in (0, 1)
    )
    return Approximations(
        model.name,
        factors,
        None if grid is None else tuple(grid.tolist()),
        model.species,
        cme_mean=np.clip([[list(d.mean().values()) for d in row] for row in exact], *np.moveaxis(mean_bounds, -1, 0)),
        cme_variance=np.clip(
            [[list(d.variance().values()) for d in row] for row in exact], *np.moveaxis(variance_bounds, -1, 0)
        ),
        mean_bounds=mean_bounds,
        variance_bounds=variance_bounds,
        error=np.array([[d.error.total for d in row] for row in exact]),
        certified=all(d.error.certified for row in exact for d in row),
        laws=tuple(exact),
        methods=found,
    )


def _checked(
    volumes: Sequence[float], methods: Sequence[str], grid: FloatArray | None
) -> tuple[tuple[float, ...], tuple[str, ...]]:
    try:
        factors = tuple(map(float, volumes))
    except (TypeError, ValueError):
        raise ArgumentError(f"`volumes` must be positive numbers, such as [1, 10], but are {volumes!r}.") from None
    if not factors or not all(0.0 < v < math.inf for v in factors):
        raise ArgumentError(f"`volumes` must be positive numbers, but are {list(volumes)}.")
    unknown = [name for name in methods if name not in METHODS]
    if unknown or not methods or isinstance(methods, str):
        raise ArgumentError(f"`methods` must be some of {', '.join(METHODS)}, but are {methods!r}.")
    if grid is None and "langevin" in methods:
        raise ArgumentError("`methods` must be without 'langevin' where times are None: paths are sampled at times.")
    return factors, tuple(dict.fromkeys(methods))


def _exact(model: Model, grid: FloatArray | None, tol: float, max_states: int | None) -> tuple[Distribution, ...]:
    if grid is None:
        return (stationary(model, tol, max_states=max_states),)
    return tuple(transient(model, grid, tol, max_states=max_states))


def _bounds(interval: Interval) -> tuple[float, float]:
    return (interval.lower, interval.upper) if interval.certified else (-math.inf, math.inf)


def _fill(own: Approximated, v: int, found: _Found, exact: Sequence[Distribution]) -> None:
    own.mean[v], own.variance[v] = found.mean, found.variance
    own.mean_off[v] = np.maximum(found.mean_off, INTEGRATED * np.abs(found.mean).max())
    own.variance_off[v] = np.maximum(found.variance_off, INTEGRATED * np.abs(found.variance).max())
    own.notes.extend([found.note] if found.note else [])
    for k, law in enumerate(found.laws):
        joint = None if isinstance(law, Sequence) else law
        if joint is not None:
            own.joint[v, k] = _three(l1(exact[k], joint))
        for j, name in enumerate(exact[k].species):
            marginal, other = exact[k].marginal(name), law[j] if isinstance(law, Sequence) else law.marginal(name)
            off = None if found.wasserstein_off is None else float(found.wasserstein_off[k, j])
            own.l1[v, k, j] = _three(l1(marginal, other))
            own.wasserstein[v, k, j] = _three(wasserstein(marginal, other, off))
            own.laws[v, j] = other


def _three(interval: Interval) -> tuple[float, float, float]:
    return interval.lower, interval.value, interval.upper


# ---- methods


def _rate_equations(job: _Job) -> _Found:
    mean = job.noise.mean(job.volume)
    return _Found(mean, np.zeros_like(mean))


def _expansion(job: _Job, *, corrected: bool) -> _Found:
    mean = job.noise.mean(job.volume, corrected=corrected)
    variance = np.diagonal(job.noise.covariance(job.volume, corrected=corrected), axis1=1, axis2=2)
    times: Sequence[float | None] = [None] if job.times is None else job.times.tolist()
    laws = [
        [normal_law(m, s, name, t) for m, s, name in zip(own, spread, job.model.species, strict=True)]
        for own, spread, t in zip(mean.tolist(), variance.tolist(), times, strict=True)
    ]
    return _Found(mean, variance, laws=laws)


def _fokker_planck(job: _Job) -> _Found:
    h, tol, limit = job.spacing, job.tol, job.max_states
    found = fokker_planck(job.model, job.times, h, tol=tol, scheme="central", max_states=limit)  # of exact diffusion
    (mean, off), (covariance, covariance_off) = found.mean(), found.covariance()
    variance, variance_off = (np.diagonal(c, axis1=1, axis2=2) for c in (covariance, covariance_off))
    return _Found(mean, variance, off, variance_off, found.extrapolated, found.wasserstein_error())


def _langevin(job: _Job) -> _Found:
    found = langevin(job.model, [] if job.times is None else job.times, job.runs, seed=job.seed, steps=job.steps)
    variance = found.std() ** 2
    noise = variance * math.sqrt(2.0 / (job.runs - 1))
    laws = [found.distribution(k) for k in range(len(found.times))]
    return _Found(found.mean(), variance, found.standard_error() + found.mean_error,
                  noise + 2.0 * found.std() * found.std_error, laws, found.wasserstein_error())  # fmt: skip


def _closure(job: _Job, *, name: str) -> _Found:
    found = moment_closure(job.model, job.times, name)
    note = f"failed at V = {job.volume:g}: {found.failure}" if found.failure else ""
    return _Found(found.means, np.diagonal(found.covariances, axis1=1, axis2=2), note=note)


METHODS: dict[str, Callable[[_Job], _Found]] = {
    "rate-equations": _rate_equations,
    "linear-noise": partial(_expansion, corrected=False),
    "next-order": partial(_expansion, corrected=True),
    "fokker-planck": _fokker_planck,
    "langevin": _langevin,
    **{name: partial(_closure, name=name) for name in CLOSURES},
}
