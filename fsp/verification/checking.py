"""`fsp.verify`: solve the model, test the samples against the solution, say what that is worth."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.errors import ArgumentError
from fsp.projection.march import transient
from fsp.verification.battery import Battery
from fsp.verification.diagnosis import diagnose
from fsp.verification.power import detectable
from fsp.verification.reading import read_samples
from fsp.verification.report import Report
from fsp.verification.samples import Summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import FloatArray
    from fsp.distribution import Solution
    from fsp.model import Model
    from fsp.verification.samples import Samples

ALPHA = 1e-3
LOOSEST, TIGHTEST = 1e-6, 1e-11  # tolerances of a reference
SHARE = 1e-3  # of `alpha`, that runs in states which the reference does not store may make of a p-value


def verify(
    model: Model,
    samples: Any,
    times: Sequence[float] | FloatArray | None = None,
    *,
    alpha: float = ALPHA,
    species: Sequence[str] | None = None,
    runs: int | None = None,
    tol: float | None = None,
    power: float | None = 0.9,
    diagnosis: bool = True,
    simulator: str = "",
    max_states: int | None = None,
) -> Report:
    """Tell whether samples are those of the chemical master equation of a model.

    Parameters
    ----------
    model
        The reaction network.
    samples
        Independent runs: an array (runs, times, species), a DataFrame, an xarray object, or the path of a CSV, HDF5
        or NetCDF file; or histograms, or means and standard deviations.  See `fsp.verification.reading`.
    times
        The times of an array; of a table, those that are looked at.
    alpha
        Largest probability with which an exact simulator fails, over all tests together.
    species
        Names of the array's species, or of those of a table that are looked at; those of the model by default.
    runs
        Number of runs of a table of means.
    tol
        Bound on the error of the reference; by default so small that it hardly widens the tests.
    power
        Probability for which the smallest detectable error of each rate constant is computed; None for none.
    diagnosis
        Whether to look for what is wrong where the samples fail, by solving changed models.
    simulator
        Name of what made the samples, for the report.
    max_states
        Limit on the number of states of the reference.

    Returns
    -------
    Report
        The verdict, the tests, and what they rest on.

    Raises
    ------
    ArgumentError
        If the samples cannot be read, or hold what is no copy number.
    StateSpaceError, ConvergenceError
        If the reference cannot be computed within the limits.
    """
    checked_level(alpha)
    if power is not None and not 0.5 < power < 1:
        raise ArgumentError(f"`power` must be a probability above 0.5, but is {power}.")
    names = tuple(species) if species is not None else model.species
    unknown = [name for name in names if name not in model.species]
    if unknown:
        raise ArgumentError(f"`species` must be of {', '.join(model.species)}, but has '{unknown[0]}'.")
    found = read_samples(samples, names, times, runs)
    reference = transient(model, found.times, tolerance(found, alpha) if tol is None else tol, max_states=max_states)
    report = judge(model, found, reference, alpha=alpha, simulator=simulator)
    if diagnosis and report.rejected:
        report = replace(report, findings=diagnose(model, found, report.battery, report.tests, alpha=alpha))
    return report if power is None else with_power(report, model, reference, power)


def with_power(report: Report, model: Model, reference: Solution, power: float) -> Report:
    """Return the report with the smallest errors of rate constants that its tests find.

    Parameters
    ----------
    report
        What was found.
    model, reference
        The network and its solution at the times of the samples.
    power
        Probability of detection.
    """
    samples = report.samples
    if samples is None:
        return report
    tests = len(report.tests)
    found = detectable(model, reference, report.battery, samples, alpha=report.alpha, tests=tests, power=power)
    return replace(report, detectable=found)


def checked_level(alpha: float) -> None:
    """Raise an ArgumentError unless `alpha` is a probability of a false alarm."""
    if not 0 < alpha < 0.5:
        raise ArgumentError(f"`alpha` must be a probability between 0 and 0.5, but is {alpha}.")


def tolerance(samples: Samples, alpha: float) -> float:
    """Return a tolerance of the reference that hardly widens the tests of these samples.

    A run in a state that is not stored has a p-value of about n tol, which must be small beside `alpha`, shared by all
    tests; where only means are given, n tol is added to every p-value, since such runs may have been among them.
    """
    tests = 2 * samples.mean.size if isinstance(samples, Summary) else 1
    wanted = SHARE * alpha / (tests * samples.n)
    return float(np.clip(wanted, TIGHTEST, LOOSEST))


def judge(model: Model, samples: Samples, reference: Solution, *, alpha: float, simulator: str = "") -> Report:
    """Test samples against a solution at their times.

    Parameters
    ----------
    model
        The network.
    samples
        The samples.
    reference
        Its solution at the samples' times.
    alpha
        The level.
    simulator
        Name of what made the samples.

    Returns
    -------
    Report
        Without power and diagnosis.
    """
    battery = Battery(tuple(reference), samples.n)
    certified = reference.error.certified
    return Report(
        model_name=model.name,
        model_hash=model.hash,
        n=samples.n,
        alpha=alpha,
        times=tuple(samples.times.tolist()),
        species=samples.species,
        tests=battery.run(samples),
        error=reference.error.total,
        certified=certified,
        simulator=simulator,
        notes=() if certified else ("The error of the reference is an estimate, so nothing can fail.",),
        battery=battery,
        samples=samples,
    )
