"""Folders of the SBML stochastic test suite: settings, tables of means and standard deviations, model files.

A case NNNNN is a folder with ``NNNNN-settings.txt``, ``NNNNN-results.csv`` and one ``NNNNN-sbml-lLvV.xml`` for each
level and version of SBML.

References
----------
T. W. Evans, C. S. Gillespie, D. J. Wilkinson, The SBML discrete stochastic models test suite, Bioinformatics 24
(2008) 285, doi:10.1093/bioinformatics/btm566.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fsp.arrays import FloatArray
from fsp.errors import ArgumentError

STATISTICS = ("mean", "sd")
_FILE = re.compile(r".*-sbml-l(\d+)v(\d+)\.xml")


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One case of the suite."""

    name: str
    path: Path
    times: FloatArray  # times of the table, (n_times,)
    amounts: tuple[str, ...]  # the variables that are given as amounts and as concentrations
    concentrations: tuple[str, ...]
    table: Mapping[tuple[str, str], FloatArray]  # (n_times,) values by variable and statistic
    mean_range: tuple[float, float]  # the suite's limits of its statistics Z and Y
    sd_range: tuple[float, float]

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of all variables of the table, in its order."""
        return tuple(dict.fromkeys(variable for variable, _ in self.table))


def find_cases(folder: Path) -> list[Path]:
    """Return the folders of the cases in a folder, or that folder where it is one, in order."""
    candidates = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())] if folder.is_dir() else []
    cases = [path for path in candidates if (path / f"{path.resolve().name}-settings.txt").is_file()]
    if not cases:
        raise ArgumentError(
            f"`DIR` must hold folders of cases such as 00001 with 00001-settings.txt, but '{folder}' has none."
        )
    return cases


def chosen_cases(folder: Path, only: tuple[str, ...]) -> list[Path]:
    """Return the folders of the cases with the numbers `only`, such as 00037 or 37, of all where there are none."""
    cases = find_cases(folder)
    names = {path.resolve().name for path in cases}
    wanted = {number if number in names else number.zfill(len("00001")) for number in only}
    folders = [path for path in cases if not only or path.resolve().name in wanted]
    missing = sorted(wanted - names)
    if missing:
        raise ArgumentError(f"`--case` must be in '{folder}', but {missing[0]} is not.")
    return folders


def read_case(folder: Path, level: str | None = None) -> Case:
    """Read a case."""
    name = folder.resolve().name
    settings = _settings(folder / f"{name}-settings.txt")
    try:
        start, duration = float(settings["start"]), float(settings["duration"])
        steps = int(settings["steps"])
        if not (0.0 <= start < math.inf and 0.0 < duration < math.inf and steps > 0):
            raise ValueError(f"start {start:g}, duration {duration:g}, steps {steps}")
    except (KeyError, ValueError) as error:
        raise ArgumentError(
            f"Case {name} must give start, duration and steps in its settings, but not so: {error}."
        ) from None
    times = start + duration * np.arange(steps + 1) / steps
    return Case(
        name,
        _model_file(folder, name, level),
        times,
        _names(settings.get("amount", "")),
        _names(settings.get("concentration", "")),
        _table(folder / f"{name}-results.csv", times),
        _range(settings.get("meanRange"), name, 3.0),
        _range(settings.get("sdRange"), name, 5.0),
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(f"A case must have the file '{path.name}', but it cannot be read: {error}.") from None


def _settings(path: Path) -> dict[str, str]:
    pairs = (line.partition(":") for line in _read(path).splitlines())
    return {key.strip(): value.strip() for key, colon, value in pairs if colon}


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _range(text: str | None, name: str, usual: float) -> tuple[float, float]:
    if not text:
        return -usual, usual
    try:
        low, high = (float(part) for part in text.strip("() ").split(","))
    except ValueError:
        raise ArgumentError(f"Case {name} must give ranges such as (-3, 3), but gives '{text}'.") from None
    return low, high


def _model_file(folder: Path, name: str, level: str | None) -> Path:
    files = {}
    for path in folder.glob(f"{name}-sbml-l*v*.xml"):
        match = _FILE.fullmatch(path.name)
        if match:
            files[int(match[1]), int(match[2])] = path
    if level is None and files:
        return files[max(files)]
    for (of_level, version), path in files.items():
        if level == f"l{of_level}v{version}":
            return path
    known = ", ".join(f"l{of_level}v{version}" for of_level, version in sorted(files)) or "none"
    raise ArgumentError(f"Case {name} must have a model file of {level or 'some level'}, but has {known}.")


def _table(path: Path, times: FloatArray) -> dict[tuple[str, str], FloatArray]:
    head, *rows = list(csv.reader(_read(path).splitlines())) or [[]]
    try:
        numbers = np.array([[float(cell) for cell in row] for row in rows if row])
    except ValueError as error:
        raise ArgumentError(f"'{path.name}' must be a table of numbers, but is not: {error}.") from None
    if numbers.shape != (len(times), len(head)) or not np.allclose(numbers[:, 0], times):
        raise ArgumentError(
            f"'{path.name}' must have a row for each of {len(times)} times, but has {len(rows)} rows of other times."
        )
    table = {}
    for column, title in zip(numbers.T[1:], head[1:], strict=True):
        variable, _, statistic = title.strip().rpartition("-")
        if statistic in STATISTICS and not math.isnan(column[0]):
            table[variable, statistic] = column
    return table
