"""Adapters of simulators: ``open_simulator(name).sample(model, times, runs, seed)``.

Each run has a seed of its own, a function of the caller's seed and the number of the run; runs are computed in blocks
of fixed size, so that the samples do not depend on the number of processes.
"""

from __future__ import annotations

import os
import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fsp.checks import check_whole, is_number
from fsp.errors import ArgumentError, SimulatorWarning
from fsp.formats import load
from fsp.model import Model
from fsp.model.times import checked_times
from fsp.sampling.chunks import in_chunks
from fsp.sampling.command_line import Command
from fsp.sampling.documents import Document, counts_items, document_for
from fsp.sampling.packages import PACKAGES, SIMULATOR_OPTIONS, Made, require, sample_block
from fsp.sampling.required_counts import RequiredCounts
from fsp.sampling.sampler import check_samples, ssa
from fsp.spawning import end_with_parent, plain_start, terminate

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray

LONGEST_TIMEOUT = 1e6  # seconds, eleven days, of a call: threads wait for at most 292 years; chosen
RUNS_AT_ONCE = 50  # runs that a process does before it reports
_MODULUS, _STRIDE = 2**31 - 1, 1_640_531_527  # seeds are 1 … 2³¹ - 1: what all simulators take

Progress = Callable[[int, int], None]


class Adapter(ABC):
    """A program behind the seam `Simulator`, which numbers its runs."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Name for reports."""

    def sample(
        self,
        model: Model | str | Path,
        times: Sequence[float] | FloatArray,
        runs: int,
        seed: int,
        progress: Progress | None = None,
        *,
        first: int = 0,
        file: str | Path | None = None,
    ) -> IntArray:
        """Return counts, shape (runs, n_times, n_species), int64.

        Parameters
        ----------
        model
            The network, or the file that it is in.
        times
            Increasing times >= 0.
        runs
            Number of runs.
        seed
            Where all seeds come from.
        progress
            Called with the number of runs that are done, and of all.
        first
            Number of the first run: of more runs after others with the same `seed`.
        file
            The file of the network, which the simulator reads where it is this network as it stands; see `given`.

        Raises
        ------
        BackendError
            If the simulator is missing, fails, or gives what are no counts at these times.
        """
        network, read = (model, file) if isinstance(model, Model) else (load(model), model)
        place = None if read is None else Path(read)
        grid = checked_times(times)
        check_samples(runs, len(grid), network.n_species)
        return self._sample(SimulationRequest(network, place, grid, runs, seed, first, progress))

    def document(self, model: Model, file: Path | None, until: float) -> Document:
        """Return the SBML that the simulator is given of a network and its file, for times up to `until`."""
        return document_for(model, file, until, self.refuses)

    def refuses(self, text: str) -> str:
        """Return why the simulator must not be given the SBML of a file; empty where it may."""
        return ""

    def given(self, model: Model, file: Path | None, until: float) -> tuple[str, bool]:
        """Return what the simulator is given, in words, and whether that is the file as it stands."""
        document = self.document(model, file, until)
        return document.said, not document.why

    @abstractmethod
    def _sample(self, job: SimulationRequest) -> IntArray:
        """Return the counts, shape (runs, n_times, n_species)."""


@dataclass(frozen=True, slots=True)
class SimulationRequest:
    """What a simulator is asked for."""

    model: Model
    file: Path | None  # that the model was read from
    times: FloatArray  # (n_times,)
    runs: int
    seed: int
    first: int  # number of the first run
    progress: Progress | None

    @property
    def fixed(self) -> dict[str, int]:
        """Species that nothing changes, with their counts: a simulator may leave them out of what it writes."""
        changes = (self.model.change != 0).any(axis=0)
        assigned = {name for event in self.model.events for name in event.assignments}
        starts = self.model.initial_states
        return {
            name: int(starts[0, j])
            for j, name in enumerate(self.model.species)
            if not changes[j] and name not in assigned and (starts[:, j] == starts[0, j]).all()
        }

    def gathered(
        self,
        pool: Executor,
        submit: Callable[[int, list[int]], Future[Made]],
        size: int,
        end: Callable[[], None],
        at_once: int,
    ) -> IntArray:
        """Return the runs of all blocks of a size, in their order; `submit` takes the first number and the seeds.

        What the blocks warn of is told once, with how often it was said.  Where something fails, or on an interrupt,
        `end` ends what is being done.
        """
        check_runs(self.runs, self.first)
        out = np.empty((self.runs, len(self.times), self.model.n_species), dtype=np.int64)
        done, said = 0, Counter[str]()

        def begin(first: int, last: int) -> Future[Made]:
            return submit(first, seeds_of(self.seed, last - first, self.first + first))

        with pool:
            try:
                for first, last, (block, warned) in in_chunks(begin, self.runs, at_once, size):
                    said.update(warned)
                    out[first:last] = block
                    done += last - first
                    if self.progress is not None:
                        self.progress(done, self.runs)
            except BaseException:
                end()
                raise
        for text, times in said.most_common():
            warnings.warn(f"The simulator says {times:,} times: {text}", SimulatorWarning, stacklevel=2)
        return out


def open_simulator(
    name: str,
    *,
    processes: int | None = None,
    timeout: float = 600.0,
    block: int = RUNS_AT_ONCE,
    options: Mapping[str, str] | None = None,
) -> Adapter:
    """Return a simulator by name or by its command line.

    Parameters
    ----------
    name
        ``fsp`` (the reference sampler), ``roadrunner``, ``gillespy2``, ``gillespy2-tau``, ``copasi``, or a command line
        with the places ``{model}`` (an SBML file), ``{seed}`` and ``{out}`` (the CSV file that it must write, with a
        column ``time`` and one for each species); also ``{times}``, separated by commas, and ``{runs}``: one call then
        makes that many runs, told apart by a column ``run``.
    processes
        How many run at once; all processors by default.
    timeout
        Seconds after which a call of a command line is given up.
    block
        Runs that a process, or a call with ``{runs}``, makes at a time.
    options
        Of a package, by name: ``method`` of COPASI (``directMethod`` by default) and of GillesPy2 (``c++`` or
        ``numpy``, by default what there is), ``tau_tol`` of tau-leaping.

    Returns
    -------
    Adapter
        With `name` and `sample`.

    Raises
    ------
    ArgumentError
        If there is no such simulator.
    BackendError
        If its package is not installed.

    Examples
    --------
    >>> from fsp.sampling import open_simulator
    >>> model = fsp.Model(species={"X": 9}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])
    >>> open_simulator("fsp").sample(model, [1.0, 2.0], 100, seed=1).shape
    (100, 2, 1)
    """
    count = (os.cpu_count() or 1) if processes is None else processes
    check_whole("processes", count, 1)
    check_whole("block", block, 1)
    if not is_number(timeout) or not 0 < timeout <= LONGEST_TIMEOUT:
        raise ArgumentError(f"`timeout` must be a number of seconds up to {LONGEST_TIMEOUT:g}, but is {timeout!r}.")
    if not isinstance(name, str) or not isinstance(options, Mapping | None):
        raise ArgumentError(
            f"`simulator` must be a name or a command, and `options` a mapping, but they are {name!r} and {options!r}."
        )
    _check_options(name, options or {})
    if name == "fsp":
        return ReferenceSampler(count)
    if name in PACKAGES:
        require(name)
        return Package(name, count, tuple((options or {}).items()), block)
    if "{" in name:
        return CommandLine(Command.of(name, timeout), count, block)
    names = ", ".join(["fsp", *PACKAGES])
    raise ArgumentError(
        f"`simulator` must be one of {names}, or a command with {{model}} and {{out}}, but is '{name}'."
    )


def _check_options(name: str, given: Mapping[str, str]) -> None:
    known = SIMULATOR_OPTIONS.get(name, ())
    unknown = [option for option in given if option not in known]
    if unknown:
        offered = f"be of {', '.join(known)}" if known else "be left out, since it has none"
        raise ArgumentError(f"Options of simulator '{name}' must {offered}, but '{unknown[0]}' is given.")


def seeds_of(seed: int, runs: int, first: int = 0) -> list[int]:
    """Return a seed from 1 to 2³¹ - 1 for each run from number `first` on; no two numbers have the same."""
    check_whole("seed", seed, 0, None)
    check_runs(runs, first)
    base = int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])
    return [(base + run * _STRIDE) % _MODULUS + 1 for run in range(first, first + runs)]


def check_runs(runs: int, first: int) -> None:
    """Raise an ArgumentError unless there is a seed for each run."""
    if not 1 <= runs < _MODULUS - first:
        raise ArgumentError(f"`runs` must be at least 1 and below 2^31 in all, but is {first + runs}.")


@dataclass(frozen=True, slots=True)
class ReferenceSampler(Adapter):
    """The reference sampler, `fsp.ssa`."""

    threads: int

    @property
    def name(self) -> str:
        """Name for reports."""
        return "fsp"

    def given(self, model: Model, file: Path | None, until: float) -> tuple[str, bool]:
        """Return that it is given no file."""
        return "the network itself", False

    def _sample(self, job: SimulationRequest) -> IntArray:
        seed = job.seed
        if job.first:
            seed = int(np.random.SeedSequence([job.seed, job.first]).generate_state(1, np.uint64)[0])
        return ssa(job.model, job.times, job.runs, seed=seed, threads=self.threads, progress=job.progress)


@dataclass(frozen=True, slots=True)
class Package(Adapter):
    """A Python package, in processes of its own.

    COPASI takes amounts without a unit for moles: it is given files that count items, and the network as we write it in
    place of others.
    """

    package: str
    processes: int
    options: tuple[tuple[str, str], ...] = ()
    block: int = RUNS_AT_ONCE

    @property
    def name(self) -> str:
        """Name for reports."""
        return self.package

    def refuses(self, text: str) -> str:
        """Refuse files whose amounts COPASI would take for moles."""
        wrong = self.name == "copasi" and not counts_items(text)
        return "COPASI takes amounts for moles where a file does not count items" if wrong else ""

    def _sample(self, job: SimulationRequest) -> IntArray:
        document = self.document(job.model, job.file, float(job.times[-1]))
        given = document.text, bool(document.why)
        wanted = RequiredCounts(job.model.species, tuple(job.fixed.items()))
        asked = (self.name, self.options, *given, wanted, tuple(job.times.tolist()))
        seeds_of(job.seed, 1, job.first)  # refused before a process is started
        workers = min(self.processes, -(-job.runs // self.block))
        pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=end_with_parent)

        def submit(first: int, seeds: list[int]) -> Future[Made]:
            with plain_start(b""):
                return pool.submit(sample_block, *asked, first, seeds)

        return job.gathered(pool, submit, self.block, lambda: terminate(pool), 2 * workers)


@dataclass(frozen=True, slots=True)
class CommandLine(Adapter):
    """A program that writes CSV."""

    command: Command
    processes: int
    block: int = RUNS_AT_ONCE

    @property
    def name(self) -> str:
        """Name for reports: the program."""
        return self.command.program

    def _sample(self, job: SimulationRequest) -> IntArray:
        size = self.block if self.command.makes_many else 1
        text = self.document(job.model, job.file, float(job.times[-1])).text
        with self.command.with_model(text) as command:
            pool = ThreadPoolExecutor(self.processes)
            wanted = RequiredCounts(job.model.species, tuple(job.fixed.items()))

            def submit(first: int, seeds: list[int]) -> Future[Made]:
                return pool.submit(command.run, wanted, job.times, first, seeds)

            return job.gathered(pool, submit, size, command.end, self.processes)
