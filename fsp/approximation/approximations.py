"""Approximations of the master equation beside it, and their distance from it as the volume grows.

How a network goes with the volume: `fsp.approximation.scaling`.  Each method is computed by its own module, with an
error that is small or estimated (`fsp.approximation.methods`); the master equation has its certificate.  What comes of
it: `fsp.approximation.approximated`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fsp.approximation import defaults
from fsp.approximation.approximated import Approximated, Approximations
from fsp.approximation.distances import l1, sliced, wasserstein
from fsp.approximation.fokker_planck import require_lattices
from fsp.approximation.langevin import require_paths
from fsp.approximation.linear_noise import SystemSizeExpansion
from fsp.approximation.methods import METHODS, MethodAnswer, VolumeJob
from fsp.approximation.scaling import ScaledNetwork
from fsp.bars import barred, callback, silent
from fsp.checks import as_texts, shown
from fsp.doors import stationary, transient
from fsp.errors import ArgumentError, ConvergenceError, StateSpaceError
from fsp.model.arguments import check_call, check_tolerance
from fsp.model.times import checked_times
from fsp.projection.progress import labelled

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.distribution import Distribution, Interval
    from fsp.model import Model
    from fsp.projection.progress import ProgressCallback

LATTICES = 1e-2  # of the tolerance, on lattices: the square of how many standard deviations a law reaches
INTEGRATED = 1e-9  # that integration leaves of moments: ten times the tolerance of the differential equations
LARGEST_VOLUME = 1e100  # powers of counts in it are doubles; chosen


@barred()
def approximations(
    model: Model,
    times: Sequence[float] | FloatArray | float | None,
    volumes: Sequence[float] = defaults.VOLUMES,
    *,
    methods: Sequence[str] = defaults.QUICK_METHODS,
    tol: float = defaults.TOL,
    spacing: float = defaults.SPACING,
    scheme: str = defaults.SCHEME,
    runs: int = defaults.RUNS,
    steps: int = defaults.STEPS,
    variant: str = defaults.VARIANT,
    seed: int | None = defaults.SEED,
    max_states: int | None = None,
    progress: ProgressCallback | bool | None = None,
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
        Bound on the 1-norm error of the master equation's solutions; a hundredth of it on the lattices of
        Fokker-Planck's, since variances are off by it times the square of the reach of a law.
    spacing, scheme
        Spacing of the finest of these lattices, and scheme of their hops, as for `fsp.fokker_planck`; the law that is
        compared is the extrapolated one.
    runs, steps, variant, seed
        Options of the paths of the Langevin equation, as for `fsp.langevin`.
    max_states
        Limit on the states of the master equation, and of a lattice.
    progress
        As for `fsp.transient`; the message names the volume and the method.

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
    >>> print(fsp.approximations(pairs, 1.0, [1, 2, 4], methods=["linear-noise"]))
    model: master equation (1-norm error ≤ 2.9e-10) and approximations
          V          t  species           method        mean         sd                      L1 ...
          1          1        A  master equation      11.321      2.535...
          1          1        A     linear-noise      11.132      2.524     1.000e+00 ± 2.2e-10 ...
    ...
    """
    check_call(model, max_states=max_states, progress=progress)
    report = callback(progress) or silent
    grid = None if times is None else checked_times(times)
    check_tolerance(tol)
    factors, chosen = _checked(volumes, methods)
    lattices = {"spacing": spacing, "scheme": scheme, "tol": LATTICES * tol, "max_states": max_states}
    paths = {"runs": runs, "steps": steps, "variant": variant, "seed": seed}
    if "fokker-planck" in chosen:
        require_lattices(model, spacing, scheme)
    if "langevin" in chosen:
        require_paths(times, runs, steps, variant)
    network = ScaledNetwork(model)
    expansion = SystemSizeExpansion(network, next_order="next-order" in chosen)
    noise = expansion.steady() if grid is None else expansion.at(grid)
    shape = (len(factors), 1 if grid is None else len(grid), model.n_species)
    exact: list[tuple[Distribution, ...]] = []
    compared = {name: Approximated.empty(name, shape) for name in chosen}
    for v, volume in enumerate(factors):
        scaled = network.model_in(volume)
        exact.append(_exact(scaled, grid, tol, max_states, labelled(report, f"V = {volume:g}", "master equation")))
        for name in chosen:
            job = VolumeJob(scaled, volume, grid, noise, lattices, paths, labelled(report, f"V = {volume:g}", name))
            try:
                _fill(compared[name], v, METHODS[name](job), exact[-1])
            except (ConvergenceError, StateSpaceError) as failure:
                compared[name].notes.append(f"failed at V = {volume:g}: {failure}")
    (mean, mean_bounds), (variance, variance_bounds) = (_moments(exact, of) for of in ("mean", "variance"))
    return Approximations(
        model.name,
        factors,
        None if grid is None else tuple(grid.tolist()),
        model.species,
        cme_mean=mean,
        cme_variance=variance,
        mean_bounds=mean_bounds,
        variance_bounds=variance_bounds,
        error=np.array([[d.error.total for d in row] for row in exact]),
        certified=all(d.error.certified for row in exact for d in row),
        laws=tuple(exact),
        methods=compared,
    )


def _checked(volumes: Sequence[float], methods: Sequence[str]) -> tuple[tuple[float, ...], tuple[str, ...]]:
    try:
        factors = tuple(map(float, volumes))
    except (TypeError, ValueError, OverflowError):
        raise ArgumentError(f"`volumes` must be positive numbers, such as [1, 10], but are {shown(volumes)}.") from None
    if not factors or not all(0.0 < v <= LARGEST_VOLUME for v in factors) or len(set(factors)) < len(factors):
        raise ArgumentError(
            f"`volumes` must be positive numbers, different ones of at most {LARGEST_VOLUME:g}, but are "
            f"{list(volumes)}."
        )
    chosen = None if isinstance(methods, str | None) else as_texts(methods)
    if chosen is None or not set(chosen) <= set(METHODS):
        raise ArgumentError(f"`methods` must be different ones of {', '.join(METHODS)}, but are {shown(methods)}.")
    return factors, chosen


def _exact(
    model: Model, grid: FloatArray | None, tol: float, max_states: int | None, progress: ProgressCallback | None
) -> tuple[Distribution, ...]:
    if grid is None:
        return (stationary(model, tol, max_states=max_states, progress=progress),)
    return tuple(transient(model, grid, tol, max_states=max_states, progress=progress))


def _moments(exact: Sequence[Sequence[Distribution]], of: str) -> tuple[FloatArray, FloatArray]:
    """Return means or variances (volumes, times, species), and their bounds, (…, 2), within which they lie."""
    values = np.array([[list(getattr(d, of)().values()) for d in row] for row in exact])
    ends = [[[_bounds(i) for i in getattr(d, f"{of}_interval")().values()] for d in row] for row in exact]
    bounds = np.array(ends)
    return np.clip(values, bounds[..., 0], bounds[..., 1]), bounds


def _bounds(interval: Interval) -> tuple[float, float]:
    return (interval.lower, interval.upper) if interval.certified else (-math.inf, math.inf)


def _fill(compared: Approximated, v: int, answer: MethodAnswer, exact: Sequence[Distribution]) -> None:
    compared.mean[v], compared.variance[v] = answer.mean, answer.variance
    compared.mean_off[v] = np.maximum(answer.mean_off, INTEGRATED * np.abs(answer.mean).max())
    compared.variance_off[v] = np.maximum(answer.variance_off, INTEGRATED * np.abs(answer.variance).max())
    compared.notes.extend([answer.note] if answer.note else [])
    for k, law in enumerate(answer.laws):
        joint = answer.joints[k]
        if joint is not None:
            compared.joint[v, k] = _three(l1(exact[k], joint))
            compared.joint_wasserstein[v, k] = sliced(exact[k], joint)
        for j, name in enumerate(exact[k].species):
            marginal, other = exact[k].marginal(name), law[j] if isinstance(law, Sequence) else law.marginal(name)
            off = None if answer.wasserstein_off is None else float(answer.wasserstein_off[k, j])
            compared.l1[v, k, j] = _three(l1(marginal, other))
            compared.wasserstein[v, k, j] = _three(wasserstein(marginal, other, off))
            compared.laws[v, j] = other


def _three(interval: Interval) -> tuple[float, float, float]:
    return interval.lower, interval.value, interval.upper
