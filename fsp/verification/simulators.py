"""Real simulators behind one seam: ``open_simulator(name).sample(model, times, runs, seed)``.

Each run has a seed of its own, a function of the caller's seed and the number of the run; runs are computed in blocks
of fixed size, so that the samples do not depend on the number of processes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from fsp.errors import ArgumentError
from fsp.jobs.workers import plain_start
from fsp.model import Model, load
from fsp.model.sbml_writer import write_sbml
from fsp.model.times import checked_times
from fsp.verification.sampler import ssa
from fsp.verification.simulator_command import Command
from fsp.verification.simulator_packages import PACKAGES, require, sample_block

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray

BLOCK = 50  # runs that a process does before it reports
_MODULUS, _STRIDE = 2**31 - 1, 1_640_531_527  # seeds are 1 … 2³¹ - 1: what all simulators take

Progress = Callable[[int, int], None]


class Simulator(Protocol):
    """A program that samples a reaction network."""

    @property
    def name(self) -> str:
        """Name for reports."""
        ...

    def sample(
        self,
        model: Model | str | Path,
        times: Sequence[float] | FloatArray,
        runs: int,
        seed: int,
        progress: Progress | None = None,
        *,
        first: int = 0,
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

        Raises
        ------
        BackendError
            If the simulator is missing, fails, or gives what are no counts at these times.
        """
        ...


def open_simulator(
    name: str, *, processes: int | None = None, timeout: float = 600.0, method: str | None = None
) -> Simulator:
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
    method
        Method of COPASI, ``directMethod`` by default; of GillesPy2, ``c++`` or ``numpy``, by default what there is.

    Returns
    -------
    Simulator
        With `name` and `sample`.

    Raises
    ------
    ArgumentError
        If there is no such simulator.
    BackendError
        If its package is not installed.
    """
    count = (os.cpu_count() or 1) if processes is None else processes
    if count < 1:
        raise ArgumentError(f"`processes` must be at least 1, but is {processes}.")
    if name == "fsp":
        return Reference(count)
    if name in PACKAGES:
        require(name)
        return Package(name, count, method)
    if "{" in name:
        return CommandLine(Command.of(name, timeout), count)
    names = ", ".join(["fsp", *PACKAGES])
    raise ArgumentError(
        f"`simulator` must be one of {names}, or a command with {{model}} and {{out}}, but is '{name}'."
    )


def seeds_of(seed: int, runs: int, first: int = 0) -> list[int]:
    """Return a seed from 1 to 2³¹ - 1 for each run from number `first` on; no two numbers have the same."""
    if isinstance(seed, bool) or not hasattr(seed, "__index__") or seed < 0:
        raise ArgumentError(f"`seed` must be a whole number >= 0, but is {seed!r}.")
    if not 1 <= runs < _MODULUS - first:
        raise ArgumentError(f"`runs` must be at least 1 and below 2^31 in all, but is {first + runs}.")
    base = int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])
    return [(base + run * _STRIDE) % _MODULUS + 1 for run in range(first, first + runs)]


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference sampler, `fsp.ssa`."""

    threads: int
    name: str = "fsp"

    def sample(
        self,
        model: Model | str | Path,
        times: Sequence[float] | FloatArray,
        runs: int,
        seed: int,
        progress: Progress | None = None,
        *,
        first: int = 0,
    ) -> IntArray:
        """Return counts; see `Simulator`."""
        network = model if isinstance(model, Model) else load(model)
        own = seed if first == 0 else int(np.random.SeedSequence([seed, first]).generate_state(1, np.uint64)[0])
        return ssa(network, times, runs, seed=own, threads=self.threads, progress=progress)


@dataclass(frozen=True, slots=True)
class Package:
    """A Python package, in processes of its own.

    libRoadRunner and GillesPy2 are given the own file of a model that has one; COPASI the same network as we write it,
    since it takes amounts without a unit for moles.
    """

    name: str
    processes: int
    method: str | None = None

    def sample(
        self,
        model: Model | str | Path,
        times: Sequence[float] | FloatArray,
        runs: int,
        seed: int,
        progress: Progress | None = None,
        *,
        first: int = 0,
    ) -> IntArray:
        """Return counts; see `Simulator`."""
        network = model if isinstance(model, Model) else load(model)
        own = self.name != "copasi" and not isinstance(model, Model)
        text = _own_text(Path(model)) if own and not isinstance(model, Model) else write_sbml(network)
        grid = tuple(checked_times(times).tolist())
        job = (self.name, self.method, text, not own, network.species, grid)
        seeds = seeds_of(seed, runs, first)
        with plain_start(b""):
            pool = ProcessPoolExecutor(min(self.processes, -(-runs // BLOCK)), get_context("spawn"))
            return _gathered(pool, lambda i, block: pool.submit(sample_block, *job, i, block), seeds,
                             (len(grid), network.n_species), BLOCK, progress)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A program that writes CSV."""

    command: Command
    processes: int

    @property
    def name(self) -> str:
        """Name for reports: the program."""
        return self.command.program

    def sample(
        self,
        model: Model | str | Path,
        times: Sequence[float] | FloatArray,
        runs: int,
        seed: int,
        progress: Progress | None = None,
        *,
        first: int = 0,
    ) -> IntArray:
        """Return counts; see `Simulator`."""
        network = model if isinstance(model, Model) else load(model)
        text = write_sbml(network) if isinstance(model, Model) else _own_text(Path(model))
        grid, seeds = checked_times(times), seeds_of(seed, runs, first)
        size = BLOCK if self.command.makes_many else 1
        with self.command.with_model(text) as command:
            pool = ThreadPoolExecutor(self.processes)
            return _gathered(pool, lambda i, block: pool.submit(command.run, network.species, grid, i, block), seeds,
                             (len(grid), network.n_species), size, progress)  # fmt: skip


def _own_text(path: Path) -> str:
    """Return the SBML of a file as it stands, or as the Antimony library writes it."""
    text = path.read_text(encoding="utf-8")
    if text.lstrip("\ufeff \t\r\n").startswith("<"):
        return text
    import antimony

    antimony.clearPreviousLoads()
    antimony.addDirectory(str(path.parent))
    antimony.loadAntimonyString(text)
    return str(antimony.getSBMLString(antimony.getMainModuleName()))


def _gathered(
    pool: Executor,
    submit: Callable[[int, list[int]], Future[IntArray]],
    seeds: list[int],
    shape: tuple[int, int],
    size: int,
    progress: Progress | None,
) -> IntArray:
    """Return the runs of all blocks, in their order."""
    out = np.empty((len(seeds), *shape), dtype=np.int64)
    done = 0
    with pool:
        places = {submit(i, seeds[i : i + size]): i for i in range(0, len(seeds), size)}
        try:
            for future in as_completed(places):
                block = future.result()
                out[places[future] : places[future] + len(block)] = block
                done += len(block)
                if progress is not None:
                    progress(done, len(seeds))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return out
