"""What each approximation says of a network in one volume, by one table of methods."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.approximation.closures import CLOSURES, moment_closure
from fsp.approximation.distances import normal_law
from fsp.approximation.fokker_planck import fokker_planck
from fsp.approximation.langevin import langevin

if TYPE_CHECKING:
    from fsp.approximation.linear_noise import LinearNoise
    from fsp.arrays import FloatArray
    from fsp.distribution import Distribution
    from fsp.model import Model
    from fsp.projection.progress import ProgressCallback


@dataclass(frozen=True, slots=True)
class Found:
    """What a method says in one volume: (T, d) moments, and its laws at each time, joint or by species."""

    mean: FloatArray
    variance: FloatArray
    mean_off: FloatArray | float = 0.0
    variance_off: FloatArray | float = 0.0
    laws: Sequence[Distribution | Sequence[Distribution]] = ()
    wasserstein_off: FloatArray | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """One volume, with the arguments of `fokker_planck` for lattices and of `langevin` for paths."""

    model: Model
    volume: float
    times: FloatArray | None
    noise: LinearNoise
    lattices: Mapping[str, Any]
    paths: Mapping[str, Any]
    progress: ProgressCallback | None


def _rate_equations(job: Job) -> Found:
    mean = job.noise.mean(job.volume)
    return Found(mean, np.zeros_like(mean))


def _expansion(job: Job, *, corrected: bool) -> Found:
    mean = job.noise.mean(job.volume, corrected=corrected)
    variance = np.diagonal(job.noise.covariance(job.volume, corrected=corrected), axis1=1, axis2=2)
    times: Sequence[float | None] = [None] if job.times is None else job.times.tolist()
    laws = [
        [normal_law(m, s, name, t) for m, s, name in zip(own, spread, job.model.species, strict=True)]
        for own, spread, t in zip(mean.tolist(), variance.tolist(), times, strict=True)
    ]
    return Found(mean, variance, laws=laws)


def _fokker_planck(job: Job) -> Found:
    found = fokker_planck(job.model, job.times, progress=job.progress, **job.lattices)
    (mean, off), (covariance, covariance_off) = found.mean(), found.covariance()
    variance, variance_off = (np.diagonal(c, axis1=1, axis2=2) for c in (covariance, covariance_off))
    return Found(mean, variance, off, variance_off, found.extrapolated, found.wasserstein_error())


def _langevin(job: Job) -> Found:
    found = langevin(job.model, [] if job.times is None else job.times, **job.paths)
    variance = found.std() ** 2
    noise = variance * math.sqrt(2.0 / (found.samples.shape[1] - 1))
    laws = [found.distribution(k) for k in range(len(found.times))]
    return Found(found.mean(), variance, found.standard_error() + found.mean_error,
                  noise + 2.0 * found.std() * found.std_error, laws, found.wasserstein_error())  # fmt: skip


def _closure(job: Job, *, name: str) -> Found:
    found = moment_closure(job.model, job.times, name)
    note = f"failed at V = {job.volume:g}: {found.failure}" if found.failure else ""
    return Found(found.means, np.diagonal(found.covariances, axis1=1, axis2=2), note=note)


METHODS: dict[str, Callable[[Job], Found]] = {
    "rate-equations": _rate_equations,
    "linear-noise": partial(_expansion, corrected=False),
    "next-order": partial(_expansion, corrected=True),
    "fokker-planck": _fokker_planck,
    "langevin": _langevin,
    **{name: partial(_closure, name=name) for name in CLOSURES},
}
