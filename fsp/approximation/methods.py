"""What each approximation says of a network in one volume, by one table of methods."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.approximation.closures import CLOSURES, moment_closure
from fsp.approximation.fokker_planck import fokker_planck
from fsp.approximation.langevin import langevin
from fsp.approximation.normal import joint_normal_law, normal_law

if TYPE_CHECKING:
    from fsp.approximation.linear_noise import LinearNoise
    from fsp.arrays import FloatArray
    from fsp.distribution import Distribution
    from fsp.model import Model
    from fsp.projection.progress import ProgressCallback


@dataclass(frozen=True, slots=True)
class MethodAnswer:
    """What a method says in one volume: (T, d) moments, and its laws at each time, joint or by species and joint."""

    mean: FloatArray
    variance: FloatArray
    mean_off: FloatArray | float = 0.0
    variance_off: FloatArray | float = 0.0
    laws: Sequence[Distribution | Sequence[Distribution]] = ()
    joints: Sequence[Distribution | None] = ()
    wasserstein_off: FloatArray | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class VolumeJob:
    """One volume, with the arguments of `fokker_planck` for lattices and of `langevin` for paths."""

    model: Model
    volume: float
    times: FloatArray | None
    noise: LinearNoise
    lattices: Mapping[str, Any]
    paths: Mapping[str, Any]
    progress: ProgressCallback | None


def _rate_equations(job: VolumeJob) -> MethodAnswer:
    mean = job.noise.mean(job.volume)
    return MethodAnswer(mean, np.zeros_like(mean))


def _expansion(job: VolumeJob, *, corrected: bool) -> MethodAnswer:
    mean = job.noise.mean(job.volume, corrected=corrected)
    return _normal(job, mean, job.noise.covariance(job.volume, corrected=corrected))


def _normal(job: VolumeJob, mean: FloatArray, covariance: FloatArray, note: str = "") -> MethodAnswer:
    """Return normal laws with means (T, d) and covariances (T, d, d)."""
    variance, names = np.diagonal(covariance, axis1=1, axis2=2), job.model.species
    times: Sequence[float | None] = [None] if job.times is None else job.times.tolist()
    moments = list(zip(mean, covariance, times, strict=True))
    laws = [
        [normal_law(m, s, name, t) for m, s, name in zip(means, np.diag(spread), names, strict=True)]
        for means, spread, t in moments
        if np.isfinite(means).all()
    ]
    joints: list[Distribution | None] = [row[0] for row in laws]
    if len(names) > 1:
        joints = [joint_normal_law(means, spread, job.model, t) for means, spread, t in moments]
        if None in joints and not note:
            note = f"no joint law at V = {job.volume:g}: it has no density on the counts, or too many of them"
    return MethodAnswer(mean, variance, laws=laws, joints=joints, note=note)


def _fokker_planck(job: VolumeJob) -> MethodAnswer:
    equation = fokker_planck(job.model, job.times, progress=job.progress, **job.lattices)
    (mean, off), (covariance, covariance_off) = equation.mean(), equation.covariance()
    variance, variance_off = (np.diagonal(c, axis1=1, axis2=2) for c in (covariance, covariance_off))
    return MethodAnswer(mean, variance, off, variance_off, equation.extrapolated, equation.extrapolated,
                 equation.wasserstein_error())  # fmt: skip


def _langevin(job: VolumeJob) -> MethodAnswer:
    samples = langevin(job.model, [] if job.times is None else job.times, **job.paths)
    variance = samples.std() ** 2
    noise = variance * math.sqrt(2.0 / (samples.samples.shape[1] - 1))
    laws = [samples.distribution(k) for k in range(len(samples.times))]
    return MethodAnswer(samples.mean(), variance, samples.standard_error() + samples.mean_error,
                  noise + 2.0 * samples.std() * samples.std_error, laws, laws, samples.wasserstein_error())  # fmt: skip


def _closure(job: VolumeJob, *, name: str) -> MethodAnswer:
    closure = moment_closure(job.model, job.times, name)
    note = f"failed at V = {job.volume:g}: {closure.failure}" if closure.failure else ""
    return _normal(job, closure.means, closure.covariances, note)


METHODS: dict[str, Callable[[VolumeJob], MethodAnswer]] = {
    "rate-equations": _rate_equations,
    "linear-noise": partial(_expansion, corrected=False),
    "next-order": partial(_expansion, corrected=True),
    "fokker-planck": _fokker_planck,
    "langevin": _langevin,
    **{name: partial(_closure, name=name) for name in CLOSURES},
}
