"""Verification of other solvers: a distribution, or means and standard deviations, against the certified solution.

Nothing is random here.  With d the 1-norm distance of their answer and ours, whose error is at most ε, theirs is off by
at least d - ε and at most d + ε: it fails where the first is more than it claims, and passes where the second is not.
Means and standard deviations are compared with the certified intervals of ours in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from fsp.defaults import TOL
from fsp.distribution import Distribution, Solution
from fsp.doors import transient
from fsp.errors import ArgumentError
from fsp.model.times import checked_times
from fsp.verification.report import Report
from fsp.verification.test import Test

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsp.arrays import FloatArray
    from fsp.distribution import Interval
    from fsp.model import Model

FINEST_TOL = 1e-11  # tolerance of the reference, at the least
# Of the sums that are compared here: 900 units of rounding, ten times `SUM_ROUNDING`.
SUM_SLACK = 1e-13


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Means and standard deviations that a solver computed.

    Parameters
    ----------
    mean, std
        (n_times, n_species) each.
    times
        (n_times,) increasing times.
    species
        Names.

    Raises
    ------
    ArgumentError
        If shapes do not fit.
    """

    mean: FloatArray
    std: FloatArray
    times: FloatArray
    species: tuple[str, ...]

    def __post_init__(self) -> None:
        times = checked_times(self.times)
        wanted = len(times), len(self.species)
        for name in ("mean", "std"):
            numbers = np.asarray(getattr(self, name), dtype=float)
            if numbers.shape != wanted or not np.isfinite(numbers).all():
                raise ArgumentError(f"`{name}` must be finite numbers of shape {wanted}, but is of {numbers.shape}.")
            object.__setattr__(self, name, numbers)
        object.__setattr__(self, "times", times)
        object.__setattr__(self, "species", tuple(self.species))


ReferenceAnswer = Distribution | Solution | Moments


def verify_answer(
    model: Model,
    answer: ReferenceAnswer,
    claimed: float | None = None,
    *,
    name: str = "",
    max_states: int | None = None,
) -> Report:
    """Tell whether what another solver computed is as accurate as it claims."""
    if isinstance(answer, Moments) and claimed is None:
        raise ArgumentError("`claimed` must say how accurate means and standard deviations are, but is missing.")
    if claimed is not None and not claimed >= 0:
        raise ArgumentError(f"`claimed` must be an error >= 0, but is {claimed}.")
    species = answer.species
    if unknown := [other_name for other_name in species if other_name not in model.species]:
        raise ArgumentError(f"Species must be of {', '.join(model.species)}, but one is '{unknown[0]}'.")
    times = _times(answer)
    smallest = min(_claims(answer, claimed))
    reference = transient(model, times, float(np.clip(smallest / 100, FINEST_TOL, TOL)), max_states=max_states)
    if isinstance(answer, Moments):
        compared = list(_moments(reference, answer, float(claimed or 0.0)))
    else:
        parts = list(answer) if isinstance(answer, Solution) else [answer]
        compared = list(_distances(reference, parts, _claims(answer, claimed)))
    open_tests = [test for test, decided in compared if not decided]
    return Report(
        model_name=model.name,
        model_hash=model.hash,
        n=0,
        alpha=0.5,
        times=tuple(times.tolist()),
        species=species,
        tests=tuple(test for test, _ in compared),
        error=reference.error.total,
        certified=reference.error.certified,
        simulator=name or "a solver",
        undecided=f"{open_tests[0].name}: {open_tests[0].where}" if open_tests else "",
    )


def _times(answer: ReferenceAnswer) -> FloatArray:
    if isinstance(answer, Distribution):
        if answer.t is None:
            raise ArgumentError("A distribution must have a time to be compared, but is stationary.")
        return checked_times([answer.t])
    return checked_times(answer.times)


def _claims(answer: ReferenceAnswer, claimed: float | None) -> list[float]:
    if isinstance(answer, Moments):
        return [float(claimed or 0.0)]
    parts: Sequence[Distribution] = list(answer) if isinstance(answer, Solution) else [answer]
    return [distribution.error.total if claimed is None else claimed for distribution in parts]


def _distances(
    reference: Solution, parts: Sequence[Distribution], claims: Sequence[float]
) -> Iterator[tuple[Test, bool]]:
    for ours, theirs, claim in zip(reference, parts, claims, strict=True):
        marginal = ours if ours.species == theirs.species else ours.marginal(*theirs.species)
        states = np.concatenate([marginal.states, theirs.states])
        _, place = np.unique(states, axis=0, return_inverse=True)
        gaps = np.bincount(place.reshape(-1), np.concatenate([marginal.probabilities, -theirs.probabilities]))
        distance, error = float(np.abs(gaps).sum()), marginal.error.total + SUM_SLACK
        least, greatest = max(0.0, distance - error), distance + error
        where = f"off by {least:.2e} to {greatest:.2e} in the 1-norm, claimed {claim:.2e}"
        wrong = least > claim
        yield _test("distance", ours.t, (), least, wrong, where), wrong or greatest <= claim


def _moments(reference: Solution, answer: Moments, claimed: float) -> Iterator[tuple[Test, bool]]:
    for k, ours in enumerate(reference):
        marginal = ours if ours.species == answer.species else ours.marginal(*answer.species)
        means, variances = marginal.mean_interval(), marginal.variance_interval()
        for i, name in enumerate(answer.species):
            spread = variances[name]
            for kind, value, interval in (
                ("mean", float(answer.mean[k, i]), means[name]),
                ("standard deviation", float(answer.std[k, i]), spread),
            ):
                low, high = _ends(interval) if kind == "mean" else (sqrt(max(0.0, end)) for end in _ends(interval))
                allowed = claimed * max(1.0, abs(value)) + SUM_SLACK * max(1.0, abs(value))
                least, greatest = max(0.0, low - value, value - high), max(abs(value - low), abs(value - high))
                wrong = interval.certified and least > allowed
                where = f"{kind} of {name} is {value:.10g}, exact between {low:.10g} and {high:.10g}"
                yield (
                    _test("moment", ours.t, (name,), least, wrong, where),
                    wrong or (interval.certified and greatest <= allowed),
                )


def _ends(interval: Interval) -> tuple[float, float]:
    return interval.lower, interval.upper


def _test(kind: str, t: float | None, species: tuple[str, ...], statistic: float, wrong: bool, where: str) -> Test:
    p = 0.0 if wrong else 1.0
    return Test(kind, t, species, statistic, p, adjusted=p, where=where)
