"""Approximations of the master equation, and their distance from it as the volume grows.

How a network goes with the volume: `fsp.approximation.scaling`.  With concentrations y = x/V, macroscopic rates f,
stoichiometry S, and J = ∂(S f)/∂y::

    reaction-rate equations      dy/dt = S f(y)
    linear noise approximation   X ~ Normal(V y, V C),   dC/dt = J C + C Jᵀ + S diag(f) Sᵀ
    chemical Langevin equation   dX = S a_V(X) dt + S diag(√a_V(X)) dW

The error of the mean concentration falls as 1/V where the limit is a single stable path.

References
----------
T. G. Kurtz, J. Chem. Phys. 57:2976, 1972, doi:10.1063/1.1678692.
N. G. van Kampen, Stochastic Processes in Physics and Chemistry, chapter X.
D. T. Gillespie, J. Chem. Phys. 113:297, 2000, doi:10.1063/1.481811.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import norm

from fsp.approximation.linear_noise import Expansion
from fsp.approximation.scaling import ScaledNetwork
from fsp.doors import transient
from fsp.errors import ArgumentError
from fsp.model import Model
from fsp.model.arguments import check_call
from fsp.model.program import compiled
from fsp.model.times import checked_times

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.distribution import Distribution

STEPS = 1000  # of Euler and Maruyama's method, over the whole time


@dataclass(frozen=True, slots=True, eq=False)
class Approximations:
    """Approximations beside the master equation; arrays have the shape (volumes, times, species), in molecules.

    Parameters
    ----------
    model_name, volumes, times, species
        What was computed.
    runs
        Number of paths of the Langevin equation; 0 for none.
    cme_mean, cme_sd
        Of the master equation.
    error
        Bound on the 1-norm error of its distributions, (volumes, times).
    rre_mean
        Solution of the reaction-rate equations, which is the mean of the linear noise approximation too.
    lna_sd
        Standard deviation of the linear noise approximation.
    cle_mean, cle_sd
        Sampled from the Langevin equation; NaN without runs.
    l1, wasserstein
        Distances of each marginal from the normal law of the linear noise approximation on whole counts: the sum of
        |p - q|, which is at most 2, and the sum of |F - G|, in molecules.
    """

    model_name: str
    volumes: tuple[float, ...]
    times: tuple[float, ...]
    species: tuple[str, ...]
    runs: int
    cme_mean: FloatArray
    cme_sd: FloatArray
    error: FloatArray
    rre_mean: FloatArray
    lna_sd: FloatArray
    cle_mean: FloatArray
    cle_sd: FloatArray
    l1: FloatArray
    wasserstein: FloatArray

    @property
    def mean_error(self) -> FloatArray:
        """Distance of the reaction-rate equations from the mean concentration, (volumes, times, species)."""
        distance: FloatArray = np.abs(self.rre_mean - self.cme_mean) / np.array(self.volumes)[:, None, None]
        return distance

    @property
    def order(self) -> FloatArray:
        """Power of 1/V with which `mean_error` falls, by least squares, (times, species); NaN for a single volume."""
        shape = self.mean_error.shape
        if len(self.volumes) < 2:
            return np.full(shape[1:], np.nan)
        with np.errstate(divide="ignore"):
            logs = np.log(self.mean_error).reshape(len(self.volumes), -1)
        gaps = np.log(self.volumes) - np.mean(np.log(self.volumes))
        order: FloatArray = -(gaps @ logs / (gaps @ gaps)).reshape(shape[1:])
        return order

    def table(self) -> list[dict[str, Any]]:
        """Return a row for each volume, time and species."""
        names = ("cme_mean", "rre_mean", "cle_mean", "cme_sd", "lna_sd", "cle_sd", "mean_error", "l1", "wasserstein")
        columns = {name: getattr(self, name) for name in names}
        return [
            {"volume": volume, "t": t, "species": one, **{name: float(c[v, k, j]) for name, c in columns.items()}}
            for v, volume in enumerate(self.volumes)
            for k, t in enumerate(self.times)
            for j, one in enumerate(self.species)
        ]

    def __str__(self) -> str:
        noisy = f"; Langevin equation: {self.runs:,} paths" if self.runs else ""
        bound = self.error.max()
        lines = [f"{self.model_name}: master equation (error ≤ {bound:.1e}) and its approximations{noisy}"]
        lines.append(f"{'V':>8} {'t':>8} {'species':>8} {'mean':>11} {'RRE':>11} {'CLE':>11} {'sd':>10} {'LNA':>10} "
                     f"{'CLE':>10} {'L1':>9} {'W1':>9}")  # fmt: skip
        for row in self.table():
            means = " ".join(f"{row[name]:11.5g}" for name in ("cme_mean", "rre_mean", "cle_mean"))
            sds = " ".join(f"{row[name]:10.4g}" for name in ("cme_sd", "lna_sd", "cle_sd"))
            laws = f"{row['l1']:9.2e} {row['wasserstein']:9.2e}"
            lines.append(f"{row['volume']:8g} {row['t']:8g} {row['species']:>8} {means} {sds} {laws}")
        if len(self.volumes) > 1:
            fall = (f"{name} V^{-order:.2f}" for name, order in zip(self.species, self.order[-1], strict=True))
            lines.append(
                f"mean concentration, master equation less reaction-rate equations: falls as {', '.join(fall)}"
            )
        lines.append("L1, W1: 1-norm and Wasserstein distance of the marginal from the normal law of linear noise")
        return "\n".join(lines)


def approximations(
    model: Model,
    times: Sequence[float] | FloatArray | float,
    volumes: Sequence[float] = (1, 2, 4, 8),
    *,
    tol: float = 1e-8,
    runs: int = 0,
    seed: int | None = None,
    steps: int = STEPS,
    max_states: int | None = None,
) -> Approximations:
    """Compare the reaction-rate, linear noise and Langevin approximations with the master equation.

    Parameters
    ----------
    model
        The network, which starts in one state.
    times
        Increasing times >= 0.
    volumes
        Factors of the volume; each must make the initial counts whole.
    tol
        Bound on the 1-norm error of the master equation's solutions.
    runs
        Paths of the chemical Langevin equation, by Euler and Maruyama's method; rates are those of counts that are not
        negative.  None by default.
    seed
        For these paths.
    steps
        Their number of steps over the whole time.
    max_states
        Limit on the states of the master equation.

    Returns
    -------
    Approximations
        Means, standard deviations and distances; it prints as a table.

    Raises
    ------
    ArgumentError
        If an argument is not as above.
    ModelError
        If a rate is a callable, or has a condition on the state; if the model has events, or starts in a distribution.
    ConvergenceError
        If the reaction-rate equations cannot be solved, as where they explode.
    """
    check_call(model, max_states=max_states)
    grid = checked_times(times)
    factors = tuple(float(v) for v in volumes)
    if not factors or not all(0.0 < v < math.inf for v in factors):
        raise ArgumentError(f"`volumes` must be positive numbers, but are {list(volumes)}.")
    if runs < 0 or runs == 1 or steps < 1:
        raise ArgumentError(f"`runs` must be 0 or at least 2 and `steps` at least 1, but are {runs} and {steps}.")
    network = ScaledNetwork(model)
    noise = Expansion(network, next_order=False).at(grid)
    y = noise.concentrations  # (T, d)
    variance = np.maximum(np.diagonal(noise.noise, axis1=1, axis2=2), 0.0)  # (T, d)
    shape = (len(factors), len(grid), model.n_species)
    filled = {
        name: np.full(shape, np.nan) for name in ("cme_mean", "cme_sd", "cle_mean", "cle_sd", "l1", "wasserstein")
    }
    error = np.empty(shape[:2])
    streams = np.random.SeedSequence(seed).spawn(len(factors))
    for v, volume in enumerate(factors):
        scaled = network.model_in(volume)
        solution = transient(scaled, grid, tol, max_states=max_states)
        error[v] = [d.error.total for d in solution]
        for k, d in enumerate(solution):
            filled["cme_mean"][v, k], filled["cme_sd"][v, k] = _moments(d)
            gauss = (volume * y[k], np.sqrt(volume * variance[k]))
            for j in range(model.n_species):
                filled["l1"][v, k, j], filled["wasserstein"][v, k, j] = _distances(d, j, gauss[0][j], gauss[1][j])
        if runs:
            filled["cle_mean"][v], filled["cle_sd"][v] = _langevin(scaled, grid, runs, steps, streams[v])
    scale = np.array(factors)[:, None, None]
    return Approximations(model.name, factors, tuple(grid.tolist()), model.species, runs, error=error,
                          rre_mean=scale * y, lna_sd=np.sqrt(scale * variance), **filled)  # fmt: skip


def _moments(d: Distribution) -> tuple[FloatArray, FloatArray]:
    """Return the means and standard deviations of what is stored, scaled to mass one."""
    p, x = d.probabilities / d.probabilities.sum(), d.states.astype(float)
    mean = p @ x
    return mean, np.sqrt(p @ (x - mean) ** 2)


def _distances(d: Distribution, j: int, mean: float, sd: float) -> tuple[float, float]:
    """Return the 1-norm and Wasserstein distance of a marginal from a normal law on whole counts >= 0."""
    top = int(max(d.states[:, j].max(), mean + 9.0 * sd)) + 2
    p = np.bincount(d.states[:, j], weights=d.probabilities, minlength=top)
    ends = np.arange(top) + 0.5
    below = norm.cdf(ends, mean, sd) if sd > 0.0 else (ends > mean).astype(float)  # what lies below 0 counts as 0
    return float(np.abs(p - np.diff(below, prepend=0.0)).sum()), float(np.abs(np.cumsum(p) - below).sum())


def _langevin(
    model: Model, times: FloatArray, runs: int, steps: int, stream: np.random.SeedSequence
) -> tuple[FloatArray, FloatArray]:
    """Return means and standard deviations of the chemical Langevin equation, (T, d) each."""
    random = np.random.Generator(np.random.Philox(stream))
    programs = [compiled(law) for law in model.rate_expressions if law is not None]
    x = np.repeat(model.initial_states[0].astype(float)[:, None], runs, axis=1)  # (d, runs)
    S = model.change.T.astype(float)
    means, sds, t = [], [], 0.0
    for end in times.tolist():
        n = max(1, math.ceil(steps * (end - t) / times[-1])) if end > t else 0
        h = (end - t) / max(n, 1)
        for step in range(n):
            values = dict(zip(model.species, np.maximum(x, 0.0), strict=True))
            with np.errstate(all="ignore"):
                a = np.array([np.broadcast_to(p(values, t + step * h), runs) for p in programs], dtype=float)
            a = np.maximum(np.nan_to_num(a), 0.0)
            x = x + S @ (a * h + np.sqrt(a * h) * random.standard_normal(a.shape))
        t = end
        means.append(x.mean(axis=1))
        sds.append(x.std(axis=1, ddof=1))
    return np.array(means), np.array(sds)
