"""Manifests: many transients, written down in one TOML file.

Every ``[[jobs]]`` table stands for all combinations of its models, times, tolerances and swept values; keys above the
first of them hold for all tables that do not have their own.  What makes a job is part of its name, so that a manifest
may grow while what is solved keeps its file.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from fsp import defaults
from fsp.distribution.continuation import Request
from fsp.errors import ArgumentError
from fsp.formats.counts import ROUNDINGS, read_counts
from fsp.jobs.sweep import combined
from fsp.model.arguments import check_tolerance
from fsp.model.times import checked_times
from fsp.quantities import points, size
from fsp.solvers import SOLVERS

if TYPE_CHECKING:
    from fsp.model import Model

KEYS = (
    "model",
    "counts",
    "rounding",
    "mass_action",
    "name",
    "times",
    "tol",
    "set",
    "sweep",
    "pairs",
    "solver",
    "max_states",
    "max_memory",
    "max_work",
    "backend",
)
BACKENDS = ("serial", "petsc")
LONGEST_NAME = 200  # characters, of the 255 bytes that file systems take
_UNSAFE = re.compile(r"[^\w.+=-]")  # in the name of a file


Source = tuple[Path, tuple[tuple[str, Any], ...]]  # a model's file, and how it is read


@dataclass(frozen=True, slots=True)
class Job:
    """One transient of a batch."""

    name: str  # which no other job has; the file is called after it
    model: Path  # path of the model's file
    values: Mapping[str, float]  # what is set in it: parameters and initial counts, by name
    times: tuple[float, ...]
    tol: float
    backend: str | None  # ``"serial"`` or ``"petsc"``; None for what the ranks suggest
    options: Mapping[str, Any]  # further options of `fsp.transient`
    reading: tuple[tuple[str, Any], ...] = ()  # options of `fsp.load`

    @property
    def source(self) -> Source:
        """The model's file and how it is read."""
        return self.model, self.reading

    @property
    def file(self) -> str:
        """Name of the file of its solution."""
        return f"{self.name}.h5"

    def asked(self, model: Model) -> Request:
        """Return what it asks of its model, which has its values."""
        return Request.of(model, self.times, self.tol)


def read_manifest(path: Path) -> tuple[Job, ...]:
    """Return the jobs of a manifest, in its order."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ArgumentError(
            f"`MANIFEST` must be a TOML file, but '{path}' has tables too deep within each other."
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ArgumentError(f"`MANIFEST` must be a TOML file, but '{path}' cannot be read: {error}.") from None
    tables = content.pop("jobs", None)
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise ArgumentError(
            f"`jobs` must be a list of tables, but is {tables!r} in '{path}'; begin each with a line [[jobs]]."
        )
    _check_keys(content, "")
    jobs = [
        job
        for number, table in enumerate(tables, start=1)
        for job in _Entry(content, table, f"job {number}: ", path.parent).jobs()
    ]
    seen: dict[str, Job] = {}
    for job in jobs:
        if seen.setdefault(job.name.casefold(), job) is not job:  # file systems that do not tell cases apart
            raise ArgumentError(
                f"Names of jobs must be different, but '{job.name}' stands for two of them; give one of the [[jobs]] "
                f"a `name` of its own, or leave out what is there twice."
            )
    return tuple(jobs)


def _check_keys(table: Mapping[str, Any], where: str) -> None:
    for key in table:
        if key not in KEYS:
            near = get_close_matches(key, KEYS, 1)
            meant = f"; perhaps {near[0]} is meant" if near else ""
            raise ArgumentError(f"`{where}{key}` must be one of {', '.join(KEYS)}, but is none of them{meant}.")


class _Entry:
    """One table of jobs."""

    def __init__(self, common: Mapping[str, Any], table: Mapping[str, Any], where: str, folder: Path) -> None:
        _check_keys(table, where)
        self._entry, self._where, self._folder = table, where, folder
        self._given = {**common, **table}
        sets = [self._table(entry.get("set", {}), "set") for entry in (common, table)]
        self._given["set"] = sets[0] | sets[1]

    def jobs(self) -> list[Job]:
        """Return all combinations."""
        options, backend, reading = self._options(), self._choice("backend", BACKENDS), self._reading()
        return [
            Job(self._name(model, [*labels, of_times, of_tol]), model, values, times, tol, backend, options, reading)
            for model, (times, of_times), (tol, of_tol), (values, labels) in product(
                self._models(), self._times(), self._tolerances(), self._values()
            )
        ]

    # ---- what is combined

    def _models(self) -> list[Path]:
        given = self._given.get("model")
        models = [given] if isinstance(given, str) else given
        if not isinstance(models, list) or not models or not all(isinstance(name, str) and name for name in models):
            self._refuse("model", 'the path of a model file, such as model = "toggle_switch.ant", or a list of them')
        return [self._folder / name for name in models]

    def _times(self) -> list[tuple[tuple[float, ...], str]]:
        """Return lists of times, each with its part of the name."""
        given = self._given.get("times")
        form = 'times such as [1, 2, 5] or "0:30:31", or a list of such'
        several = isinstance(given, list) and bool(given) and all(isinstance(entry, list | str) for entry in given)
        read = []
        for entry in given if several and isinstance(given, list) else [given]:
            times = self._numbers("times", entry, form)
            with_label = tuple(map(float, self._checked("times", checked_times, times)))
            read.append((with_label, f"t={_short(with_label[-1])}" if several else ""))
        return read

    def _tolerances(self) -> list[tuple[float, str]]:
        given = self._given.get("tol", defaults.TOL)
        tolerances = given if isinstance(given, list) and given else [given]
        for tol in tolerances:
            if not _is_number(tol):
                self._refuse("tol", "a number such as 1e-6, or a list of them")
            self._checked("tol", check_tolerance, tol)
        return [(float(tol), f"tol={_short(tol)}" if isinstance(given, list) else "") for tol in tolerances]

    def _values(self) -> list[tuple[dict[str, float], list[str]]]:
        """Return what is set at each point of the sweep, with the parts of the name."""
        fixed = dict(self._given["set"])
        for name, value in fixed.items():
            if not _is_number(value):
                self._refuse(f"set.{name}", "a number", value)
        swept = self._table(self._given.get("sweep", {}), "sweep")
        twice = sorted(set(swept) & set(self._entry.get("set", {})))
        if twice:
            self._refuse(f"set.{twice[0]}", "left out where it is swept", fixed[twice[0]])
        pairs = self._given.get("pairs", False)
        if not isinstance(pairs, bool):
            self._refuse("pairs", "true or false")
        form = 'values such as [1, 2, 5] or "0:30:31"'
        lists = {name: self._numbers(f"sweep.{name}", given, form) for name, given in swept.items()}
        if not lists:
            return [(_as_floats(fixed), [])]
        grid, _ = self._checked("sweep", combined, lists, pairs)
        rows = [dict(zip(lists, row, strict=True)) for row in grid.tolist()]
        return [(_as_floats(fixed | row), [f"{name}={_short(value)}" for name, value in row.items()]) for row in rows]

    # ---- what is common

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {}
        solver = self._choice("solver", ("auto", *SOLVERS))
        if solver is not None:
            options["solver"] = solver
        limit = self._given.get("max_states")
        if limit is not None:
            if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
                self._refuse("max_states", "a positive whole number")
            options["max_states"] = limit
        memory = self._given.get("max_memory")
        if memory is not None:
            if not isinstance(memory, str):
                self._refuse("max_memory", 'a size such as "8GiB" or "500MB"')
            options["max_memory"] = size(memory, f"{self._where}max_memory")
        work = self._given.get("max_work")
        if work is not None:
            if not isinstance(work, int | float) or isinstance(work, bool) or not work > 0:
                self._refuse("max_work", "a positive number of multiply-adds")
            options["max_work"] = work
        return options

    def _reading(self) -> tuple[tuple[str, Any], ...]:
        """Return the options of `fsp.load` that are given."""
        given = {key: self._given[key] for key in ("counts", "rounding", "mass_action") if key in self._given}
        self._choice("rounding", ROUNDINGS)
        if not isinstance(given.get("mass_action", False), bool):
            self._refuse("mass_action", "true or false")
        if "counts" in given:
            self._checked("counts", read_counts, given["counts"])
        return tuple(given.items())

    def _choice(self, key: str, names: tuple[str, ...]) -> str | None:
        given = self._given.get(key)
        if given is not None and given not in names:
            self._refuse(key, f"one of {', '.join(names)}")
        return given

    def _name(self, model: Path, labels: list[str]) -> str:
        """Return the name of a job; of its table's, where that has one."""
        given = self._entry.get("name")
        if given is not None and (not isinstance(given, str) or not given or _UNSAFE.search(given) or given[0] == "."):
            self._refuse("name", "made of letters, digits and any of _ + = - . to name files")
        several = isinstance(self._given.get("model"), list)
        parts = [given or model.stem, *([model.stem] if given and several else []), *labels]
        name = _UNSAFE.sub("_", "-".join(part for part in parts if part))
        if len(name) > LONGEST_NAME:
            name = f"{name[:LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        return name

    # ---- one value

    def _table(self, given: Any, key: str) -> dict[str, Any]:
        if not isinstance(given, dict):
            self._refuse(key, f"a table by name, such as {key} = {{ k = 2 }}", given)
        return dict(_flat(given))

    def _numbers(self, key: str, given: Any, form: str) -> list[float]:
        if isinstance(given, str):
            return points(given, self._where + key)
        numbers = given if isinstance(given, list) else [given]
        if not numbers or not all(map(_is_number, numbers)):
            self._refuse(key, form, given)
        return list(map(float, numbers))

    def _checked(self, key: str, check: Any, *given: Any) -> Any:
        """Call a function that refuses what it is given; say where that stands."""
        try:
            return check(*given)
        except ArgumentError as error:
            raise ArgumentError(f"At `{self._where}{key}`: {error}") from None

    def _refuse(self, key: str, form: str, *value: Any) -> NoReturn:
        given = value[0] if value else self._given.get(key)
        is_what = "is missing" if given is None else f"is {given!r}"
        raise ArgumentError(f"`{self._where}{key}` must be {form}, but {is_what}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _flat(table: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """Return names and values; ``r.k``, which TOML takes for a table in a table, is the name of a local parameter."""
    return [
        pair
        for name, value in table.items()
        for pair in (_flat(value, f"{before}{name}.") if isinstance(value, dict) else [(before + name, value)])
    ]


def _as_floats(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


def _short(value: float) -> str:
    """Write a number as short as it can be read back."""
    text = f"{value:.8g}"
    return text if float(text) == value else repr(float(value))
