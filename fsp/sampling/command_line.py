"""Simulators that are command lines: each call writes a CSV file."""

from __future__ import annotations

import os
import shlex
import signal
import string
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from subprocess import PIPE

import numpy as np

from fsp.arrays import FloatArray
from fsp.errors import ArgumentError, BackendError
from fsp.model.times import is_near
from fsp.output.columns import read_columns
from fsp.sampling.packages import Made
from fsp.sampling.placeholders import PLACES
from fsp.sampling.required_counts import RequiredCounts

GROUP = 0 if hasattr(os, "killpg") else None  # each call is a group of processes, where there are any


@dataclass(frozen=True, slots=True)
class Command:
    """A command line with places."""

    # the program and its arguments, with ``{model}``, ``{seed}``, ``{out}``, ``{runs}``, ``{times}``
    words: tuple[str, ...]
    timeout: float  # seconds that a call may take
    model: str = ""  # the SBML file; set by `with_model`
    # the calls that are made now
    calls: set[subprocess.Popen[str]] = field(default_factory=set, compare=False, repr=False)

    @classmethod
    def of(cls, text: str, timeout: float) -> Command:
        """Read a command line, or raise an ArgumentError."""
        try:
            words = tuple(shlex.split(text))
            used = {name for word in words for _, name, _, _ in string.Formatter().parse(word) if name is not None}
        except ValueError as error:
            raise ArgumentError(f"Command must be a command line, but '{text}' is not: {error}.") from None
        if not used <= PLACES.keys() or not {"model", "out"} <= used:
            raise ArgumentError(
                f"Command must have the places {{model}} and {{out}}, and may have {{seed}}, {{runs}} and {{times}}, "
                f"but is '{text}'."
            )
        if "seed" not in used:
            raise ArgumentError(f"Command must have the place {{seed}}, or all runs are alike, but is '{text}'.")
        return cls(words, timeout)

    @property
    def program(self) -> str:
        """Name of the program; of an interpreter, its script's."""
        plain = [Path(word).name for word in self.words if "{" not in word and not word.startswith("-")]
        return " ".join(plain[:2]) or self.words[0]

    @property
    def makes_many(self) -> bool:
        """Whether a call makes several runs."""
        return any("{runs}" in word for word in self.words)

    @contextmanager
    def with_model(self, sbml: str) -> Iterator[Command]:
        """Yield the command for a model, in a temporary file."""
        with tempfile.TemporaryDirectory(prefix="fsp_") as folder:
            file = Path(folder) / "model.xml"
            file.write_text(sbml, encoding="utf-8", newline="")
            yield replace(self, model=str(file))

    def end(self) -> None:
        """Kill the calls that are made now."""
        for call in list(self.calls):
            _kill(call)

    def run(self, wanted: RequiredCounts, times: FloatArray, first: int, seeds: list[int]) -> Made:
        """Make one call and return its runs, (runs, times, species), and what it says on standard error."""
        out = Path(self.model).with_name(f"run_{first}.csv")
        places = {"model": self.model, "out": str(out), "seed": seeds[0], "runs": len(seeds),
                  "times": ",".join(repr(t) for t in times.tolist())}  # fmt: skip
        who = f"Run {first} of '{self.program}' (seed {seeds[0]})"
        said = self._call([word.format(**places) for word in self.words], who)
        if not out.exists():
            raise BackendError(f"{who} must write the CSV file {{out}}, but wrote none.")
        values = _read(out, wanted, times, len(seeds), who)
        out.unlink()
        return wanted.whole_counts(values, self.program, times.tolist(), first), Counter(said)

    def _call(self, words: list[str], who: str) -> list[str]:
        """Make a call and return the lines that it writes to standard error."""
        try:
            with subprocess.Popen(words, stdout=PIPE, stderr=PIPE, text=True, process_group=GROUP) as call:
                self.calls.add(call)
                try:
                    printed, told = call.communicate(timeout=self.timeout)
                except BaseException:
                    _kill(call)
                    raise
                finally:
                    self.calls.discard(call)
        except subprocess.TimeoutExpired:
            raise BackendError(f"{who} must end within {self.timeout:g} s, but did not; raise `timeout`.") from None
        except OSError as error:
            raise BackendError(f"{who} must start, but did not: {error}.") from None
        if call.returncode != 0:
            said = (told or printed).strip().splitlines()
            raise BackendError(f"{who} must exit with status 0, but exited with {call.returncode}: "
                               f"{said[-1] if said else 'no message'}")  # fmt: skip
        return [line.strip() for line in told.splitlines() if line.strip()]


def _kill(call: subprocess.Popen[str]) -> None:
    """Kill a call with all that it started, which may hold its pipes."""
    if GROUP is None:
        call.kill()
        return
    with suppress(ProcessLookupError):
        os.killpg(call.pid, signal.SIGKILL)


def _read(file: Path, wanted: RequiredCounts, times: FloatArray, runs: int, who: str) -> FloatArray:
    """Return the runs of a file, (runs, times, species)."""
    try:
        columns = read_columns(file)
    except ArgumentError as error:
        raise BackendError(f"{who}: {str(error).replace(str(file), '{out}')}") from None
    header = list(columns)
    lower = [name.lower() for name in header]
    species = [name for name in wanted.species if name not in dict(wanted.fixed)]
    missing = [name for name in species if name not in header] + ([] if "time" in lower else ["time"])
    if runs > 1 and "run" not in lower:
        missing.append("run")
    if missing:
        raise BackendError(
            f"{who} must write the columns time, {', '.join(species)}, but lacks '{missing[0]}': it has "
            f"{', '.join(header)}."
        )
    used = {name: column for name, column in columns.items() if name in species or name.lower() in ("run", "time")}
    worded = [name for name, column in used.items() if column.dtype.kind != "f"]
    if worded:
        raise BackendError(f"{who} must write numbers, but has others in the column '{worded[0]}'.")
    clock = columns[header[lower.index("time")]]
    labels = columns[header[lower.index("run")]] if "run" in lower else np.zeros(len(clock))
    if len(set(labels.tolist())) != runs:
        raise BackendError(f"{who} must write {runs} runs, but writes {len(set(labels.tolist()))}.")
    counts = wanted.gathered(used, len(clock))  # (rows, n_species)
    return np.array([_at(counts[labels == run], clock[labels == run], times, who)
                     for run in sorted(set(labels.tolist()))])  # fmt: skip


def _at(rows: FloatArray, clock: FloatArray, times: FloatArray, who: str) -> FloatArray:
    """Return the rows at the times asked for; the last of several at one time."""
    columns = []
    for t in times:
        near = np.flatnonzero(is_near(clock, t, float(times[-1])))
        if not len(near):
            raise BackendError(f"{who} must write a row at t = {t:g}, but has none.")
        columns.append(rows[near[-1]])
    return np.array(columns)
