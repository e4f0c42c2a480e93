"""A simulator, what it is asked about, and what it is given of that: the user's own file wherever that can be."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.bars import Count, silent
from fsp.errors import ArgumentError, SimulatorWarning
from fsp.verification.samples import Runs

if TYPE_CHECKING:
    from pathlib import Path

    from fsp.arrays import FloatArray
    from fsp.bars import StateCallback
    from fsp.model import Model
    from fsp.sampling.simulator import Simulator


@dataclass(frozen=True, slots=True)
class RunSource:
    """A simulator that is asked for runs of a network."""

    simulator: Simulator
    model: Model
    file: Path | None  # that the network was read from
    times: FloatArray  # (n_times,)
    seed: int
    species: tuple[str, ...]  # that are looked at
    said: dict[str, None] = field(default_factory=dict)  # what it warned of

    @property
    def name(self) -> str:
        """Name of the simulator."""
        return self.simulator.name

    def runs(self, number: int, first: int = 0, *, rewritten: bool = False, progress: StateCallback = silent) -> Runs:
        """Return runs from number `first` on, checked; with `rewritten` not of the file, but of what is written."""
        if number < 1:
            raise ArgumentError(f"`runs` must be at least 1, but is {number}.")
        takes = signature(self.simulator.sample).parameters
        more: dict[str, Any] = {"first": first} if "first" in takes and first else {}
        if "file" in takes and not rewritten:
            more["file"] = self.file
        if "progress" in takes and progress is not silent:
            more["progress"] = lambda done, total: progress(Count(done, total, f"runs of {self.name}"))
        seed = self.seed if not first or "first" in takes else self.seed + first
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", SimulatorWarning)
            counts = self.simulator.sample(self.model, self.times, number, seed, **more)
        for warning in said:
            if issubclass(warning.category, SimulatorWarning):
                self.said[str(warning.message)] = None
            else:
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        runs = Runs(np.asarray(counts), self.times, self.model.species)
        if runs.n != number:
            raise ArgumentError(f"{self.name} must give {number:,} runs, but gave {runs.n:,}.")
        return runs.select(self.times, self.species)

    def given(self) -> tuple[str, bool]:
        """Return what the simulator is given, in words, and whether that is the file as it stands."""
        say = getattr(self.simulator, "given", None)
        if say is not None:
            said, is_file = say(self.model, self.file, float(self.times[-1]))
            return str(said), bool(is_file)
        if self.file is not None and "file" in signature(self.simulator.sample).parameters:
            return f"the file {self.file.name}", True
        return "the network as an object", False
