"""`fsp.verify`: solve the model, test the samples against the solution, say what that is worth."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.bars import Stage, barred, callback, silent
from fsp.checks import check_whole, is_number
from fsp.distribution import Distribution, Solution
from fsp.doors import transient
from fsp.errors import ArgumentError, ToleranceWarning
from fsp.formats import load
from fsp.memory import limited
from fsp.model import Model
from fsp.model.arguments import check_call
from fsp.model.times import checked_times
from fsp.sampling.documents import document_for
from fsp.verification.battery import Battery
from fsp.verification.diagnosis import diagnose
from fsp.verification.file_reader import with_reader_judged
from fsp.verification.other_solvers import Moments, verify_answer
from fsp.verification.power import LARGEST_DECREASE, detectable
from fsp.verification.provenance import provenance
from fsp.verification.reading import read_samples
from fsp.verification.report import Report
from fsp.verification.run_source import RunSource
from fsp.verification.samples import Runs, Summary
from fsp.verification.sequential import FIRST_RUNS, MOST_SEQUENTIAL_RUNS
from fsp.verification.sequential import until_detectable as take_until
from fsp.verification.strength import held_to, sought
from fsp.verification.two_times import two_time_tests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import FloatArray
    from fsp.bars import StateCallback
    from fsp.sampling.simulator import Simulator
    from fsp.verification.samples import Samples

ALPHA, POWER = 1e-3, 0.9  # defaults: a false alarm in a thousand verifications, the usual power of a test
LOOSEST, TIGHTEST = 1e-6, 1e-11  # tolerances of a reference
UNSTORED_SHARE = 1e-3  # of `alpha`, that runs in states which the reference does not store may make of a p-value


@barred()
def verify(
    model: Model | str | Path,
    samples: Any = None,
    times: Sequence[float] | FloatArray | None = None,
    *,
    alpha: float = ALPHA,
    species: Sequence[str] | None = None,
    simulator: str | Simulator | None = None,
    file: str | Path | None = None,
    runs: int | None = None,
    seed: int | None = None,
    until_detectable: float | None = None,
    max_runs: int | None = None,
    require: float | None = None,
    claimed: float | None = None,
    tol: float | None = None,
    power: float | None = POWER,
    diagnosis: bool = True,
    max_states: int | None = None,
    max_memory: int | None = None,
    progress: StateCallback | bool | None = None,
) -> Report:
    """Tell whether samples, or a simulator, follow the chemical master equation of a model.

    Parameters
    ----------
    model
        The reaction network, or the file that it is in.
    samples
        Independent runs: an array (runs, times, species), a DataFrame, an xarray object, or the path of a CSV, HDF5
        or NetCDF file; or histograms, or means and standard deviations.  See `fsp.verification.reading`.  None where
        a simulator is asked for them.
    times
        The times of an array, or at which a simulator is asked; of a table, those that are looked at.
    alpha
        Largest probability with which an exact simulator fails, over all tests together.
    species
        Names of the array's species, or of those of a table or a simulator that are looked at; those of the model by
        default.
    simulator
        What is asked for runs: an object with ``name`` and ``sample(model, times, runs, seed)``, or a name or command
        of `fsp.sampling.open_simulator`.  With `samples`, the name of what made them.
    file
        The file that `model` was read from; that of a path given as `model`.  The simulator is given it as it stands,
        so that its reader is tested with the rest; where `model` is another network than the file's, as after
        `Model.with_parameters`, it is given the network as it is written here, and the report says why.
    runs
        How many runs a simulator is asked for, 1,000 by default; with means, of how many runs they are.
    seed
        Where the simulator's random numbers begin; 1 by default.
    until_detectable
        Ask the simulator for more runs, twice as many each time, until it fails, or errors of this relative size in
        every rate constant would be found, or there are `max_runs`.
    max_runs
        The largest number of runs then; a million by default.
    require
        The relative error in every rate constant that must have been detectable for a pass, such as 0.05; where it
        would not have been, nothing is decided.
    claimed
        The error that `samples` may have where they are the answer of a solver: a `Distribution`, a `Solution`, or
        `fsp.verification.other_solvers.Moments`.
    tol
        Bound on the error of the reference; by default so small that it hardly widens the tests.
    power
        Probability for which the smallest detectable error of each rate constant is computed; None for none.
    diagnosis
        Whether to look for what is wrong where the samples fail, by solving changed models.
    max_states
        Limit on the number of states of the reference.
    max_memory
        Limit on the memory of each of the samples, the reference and the solutions of changed models, in bytes; None
        for none.
    progress
        True for a bar; or a function that is called now and then with what is being done, whose ``status`` is a line
        of words.

    Returns
    -------
    Report
        The verdict, the tests, and what they rest on.

    Raises
    ------
    ArgumentError
        If the samples cannot be read, or hold what is no copy number; or if an argument is given that does not apply:
        each of `runs`, `seed`, `until_detectable`, `max_runs`, `claimed`, `file` is of some kinds of samples only.
    StateSpaceError, ConvergenceError
        If the reference cannot be computed, or the samples not held, within the limits.

    Examples
    --------
    >>> arrivals, decay = fsp.Reaction("0 -> X", rate="10"), fsp.Reaction("X -> 0", mass_action=1.0)
    >>> model = fsp.Model(species={"X": 0}, reactions=[arrivals, decay])
    >>> fsp.verify(model, fsp.ssa(model, [1.0, 2.0], 1000, seed=1), [1.0, 2.0]).verdict
    'pass'
    """
    network, file = (model, file) if isinstance(model, Model) else (load(model), model)
    check_call(network, max_states=max_states, max_memory=max_memory, progress=progress)
    checked_level(alpha)
    if power is not None:
        checked_power(power)
    for name, size in (("require", require), ("until_detectable", until_detectable)):
        if size is not None:
            checked_size(name, size)
    if runs is not None:
        check_whole("runs", runs, 1)
    if not isinstance(file, str | os.PathLike | None):
        raise ArgumentError(f"`file` must be the path of a model file, but is {file!r}.")
    power = power if require is None else power or POWER
    place = None if file is None else Path(file)
    report = callback(progress) or silent
    study = Study(network, alpha, tol, power, diagnosis, max_states, report, require, place)
    given: dict[str, Any] = {
        "times": times,
        "species": species,
        "file": file if isinstance(model, Model) else None,
        "runs": runs,
        "seed": seed,
        "until_detectable": until_detectable,
        "max_runs": max_runs,
        "claimed": claimed,
        "tol": tol,
        "require": require,
    }
    refuse_what_does_not_apply(given, samples)
    with limited(max_memory):
        return _judged(study, samples, simulator, given)


def _judged(study: Study, samples: Any, simulator: str | Simulator | None, given: Mapping[str, Any]) -> Report:
    """Return the report of an answer, of samples, or of a simulator that is asked for them."""
    name = simulator if isinstance(simulator, str) else ""
    if isinstance(samples, Distribution | Solution | Moments):
        return verify_answer(study.model, samples, given["claimed"], name=name, max_states=study.max_states)
    names = checked_species(given["species"], study.model)
    times, runs, seed = given["times"], given["runs"], given["seed"]
    if samples is not None:
        read = read_samples(samples, names, times, runs)
        if runs is not None and not isinstance(read, Summary):
            raise ArgumentError(f"`runs` must be left out with samples that are runs, of which there are {read.n:,}.")
        return study.report(read, study.alpha, name)
    asked = opened(simulator)
    if times is None:
        raise ArgumentError("`times` must be given to ask a simulator, but are missing.")
    study.asked = RunSource(asked, study.model, study.file, checked_times(times), 1 if seed is None else seed, names)
    return study.of_simulator(runs or FIRST_RUNS, given["until_detectable"], given["max_runs"] or MOST_SEQUENTIAL_RUNS)


_APPLIES = {  # what may be given with each kind of samples
    "the answer of a solver": {"claimed"},
    "samples": {"times", "species", "runs", "tol", "require", "file"},
    "a simulator that is asked": {
        *("times", "species", "runs", "tol", "require"),
        *("file", "seed", "until_detectable", "max_runs"),
    },
}


def refuse_what_does_not_apply(given: Mapping[str, Any], samples: Any) -> None:
    """Raise an ArgumentError where an argument, None if it is not given, has no meaning for these samples."""
    is_answer = isinstance(samples, Distribution | Solution | Moments)
    kind = tuple(_APPLIES)[0 if is_answer else 1 if samples is not None else 2]
    wrong = [name for name, value in given.items() if value is not None and name not in _APPLIES[kind]]
    if wrong:
        where = " or ".join(other for other, names in _APPLIES.items() if wrong[0] in names)
        raise ArgumentError(f"`{wrong[0]}` must go with {where}, but is given with {kind}.")
    if given["max_runs"] is not None and given["until_detectable"] is None:
        raise ArgumentError("`max_runs` must go with `until_detectable`, but that is not given.")
    if given["max_runs"] is not None:
        check_whole("max_runs", given["max_runs"], 1)


@dataclass(slots=True)
class Study:
    """A model whose samples are judged, perhaps several times, and how."""

    model: Model
    alpha: float
    tol: float | None
    power: float | None
    diagnosis: bool
    max_states: int | None
    progress: StateCallback
    require: float | None = None
    file: Path | None = None  # that the model was read from
    asked: RunSource | None = None  # where a simulator is asked for the samples
    _reference: Solution | None = None

    def tell(self, words: str) -> None:
        """Say which part of the work begins."""
        self.progress(Stage(words))

    def of_simulator(self, first: int, target: float | None, limit: int) -> Report:
        """Return the report of a simulator, from a number of runs, or from more until an error is detectable."""
        asked = self.asked
        if asked is None:
            raise ArgumentError("`simulator` must be given, but is not.")

        def batch(number: int, begun: int) -> Runs:
            self.tell(f"{asked.name}: {number:,} runs")
            return asked.runs(number, begun, progress=self.progress)

        if target is None:
            return self.report(batch(first, 0), self.alpha, asked.name)
        study = replace(self, tol=self.tol or tolerance_of(limit, self.alpha), power=self.power or POWER)
        return take_until(
            lambda report_so_far, level: study.report(report_so_far, level, asked.name),
            batch,
            alpha=self.alpha,
            target=target,
            first=min(first, limit),
            limit=limit,
            tell=self.tell,
        )

    def reference(self, samples: Samples) -> Solution:
        """Return the solution at the times of samples."""
        if self._reference is None or not np.array_equal(self._reference.times, samples.times):
            self.tell("reference")
            tol = tolerance(samples, self.alpha) if self.tol is None else self.tol
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ToleranceWarning)  # the tests count the error that was reached
                self._reference = transient(
                    self.model, samples.times, tol, max_states=self.max_states, progress=self.progress
                )
        return self._reference

    def report(self, samples: Samples, level: float, simulator: str) -> Report:
        """Return the report of samples at a level."""
        reference = self.reference(samples)
        report = judge(self.model, samples, reference, alpha=level, simulator=simulator)
        given, is_file = ("", False) if self.asked is None else self.asked.given()
        said = () if self.asked is None else tuple(self.asked.said)
        seed = None if self.asked is None else self.asked.seed
        report = replace(report, given=given, origin=provenance(seed, simulator), notes=(*report.notes, *said))
        if self.diagnosis and report.rejected:
            self.tell("what may be wrong")
            failed = self.model, samples, report.battery, report.tests
            findings = diagnose(*failed, alpha=level, text=self._text())
            report = replace(report, findings=findings)
            if not findings:
                report = replace(report, notes=(*report.notes, NOTHING_TELLS))
            if is_file and self.asked is not None and isinstance(samples, Runs):
                report = with_reader_judged(report, samples, self.asked, level)
        if self.power is None:
            return report
        self.tell("detectable errors")
        tests = len(report.tests)
        parts = self.model, reference, report.battery, samples
        errors = detectable(*parts, alpha=level, tests=tests, power=self.power)
        more = sought(self.model, samples, report.battery, level=level / tests, power=self.power)
        return held_to(replace(report, detectable=errors, sought=more), self.require)

    def _text(self) -> str | None:
        """Return the SBML that was read, where it is that of the network as it stands."""
        if self.file is None:
            return None
        document = document_for(self.model, self.file)
        return None if document.why else document.text


NOTHING_TELLS = (
    "None of the mistakes that were tried makes these samples more likely; see docs/verification.md for the list."
)


def opened(simulator: str | Simulator | None) -> Simulator:
    """Return the simulator of a name or a command, or the one that is given."""
    if simulator is None:
        raise ArgumentError("`samples` or `simulator` must be given, but neither is.")
    if not isinstance(simulator, str):
        if not (hasattr(simulator, "name") and callable(getattr(simulator, "sample", None))):
            raise ArgumentError("`simulator` must be a name, a command, or an object with `name` and "
                                f"`sample(model, times, runs, seed)`, but is {simulator!r}.")  # fmt: skip
        return simulator
    from fsp.sampling.simulators import open_simulator

    return open_simulator(simulator)


def checked_species(names: Sequence[str] | None, model: Model) -> tuple[str, ...]:
    """Return the species that are looked at, or raise an ArgumentError."""
    if not (names is None or isinstance(names, Iterable)) or isinstance(names, bytes | Mapping):
        raise ArgumentError(f"`species` must be a list of names, such as {list(model.species)}, but is {names!r}.")
    if isinstance(names, str):
        raise ArgumentError(f"`species` must be a list of names, such as ['{names}'], but is '{names}'.")
    chosen = model.species if names is None else tuple(names)
    unknown = [name for name in chosen if name not in model.species]
    if unknown:
        raise ArgumentError(f"`species` must be of {', '.join(model.species)}, but has '{unknown[0]}'.")
    return chosen


def checked_level(alpha: float) -> None:
    """Raise an ArgumentError unless `alpha` is a probability of a false alarm."""
    if not is_number(alpha) or not 0 < alpha < 0.5:
        raise ArgumentError(f"`alpha` must be a probability between 0 and 0.5, but is {alpha!r}.")


def checked_size(name: str, size: float) -> None:
    """Raise an ArgumentError unless a relative error is one that a rate can have downwards too."""
    if not is_number(size) or not 0 < size <= LARGEST_DECREASE:
        raise ArgumentError(f"`{name}` must be a number above 0 and at most {LARGEST_DECREASE}, such as 0.05 for 5 %, "
                            f"but is {size!r}.")  # fmt: skip


def checked_power(power: float) -> None:
    """Raise an ArgumentError unless `power` is a probability with which a mistake is to be found."""
    if not is_number(power) or not 0.5 < power < 1:
        raise ArgumentError(f"`power` must be a probability above 0.5, but is {power!r}.")


def tolerance(samples: Samples, alpha: float) -> float:
    """Return a tolerance of the reference that hardly widens the tests of these samples.

    A run in a state that is not stored has a p-value of about n tol, which must be small beside `alpha`, shared by all
    tests; where only means are given, n tol is added to every p-value, since such runs may have been among them.
    """
    return tolerance_of(samples.n, alpha, 2 * samples.mean.size if isinstance(samples, Summary) else 1)


def tolerance_of(n: int, alpha: float, tests: int = 1) -> float:
    """Return the tolerance for `n` runs, and as many tests to whose p-values its error is added."""
    return float(np.clip(UNSTORED_SHARE * alpha / (tests * n), TIGHTEST, LOOSEST))


def judge(model: Model, samples: Samples, reference: Solution, *, alpha: float, simulator: str = "") -> Report:
    """Test samples against a solution at their times."""
    battery = Battery(tuple(reference), samples.n)
    more = tuple(two_time_tests(model, reference, samples)) if isinstance(samples, Runs) else ()
    certified = reference.error.certified
    return Report(
        model_name=model.name,
        model_hash=model.hash,
        n=samples.n,
        alpha=alpha,
        times=tuple(samples.times.tolist()),
        species=samples.species,
        tests=battery.run(samples, more),
        error=reference.error.total,
        certified=certified,
        simulator=simulator,
        notes=() if certified else ("The error of the reference is an estimate, so nothing can fail.",),
        battery=battery,
        samples=samples,
    )
