"""Read and write distributions as HDF5 files that need neither the model nor this package.

The first 512 bytes, which HDF5 leaves to others, are a line of text that ends in the SHA-256 of all that follows.

/             attributes: format = "fsp", format_version, kind ("solution", "distribution" or "sweep"), fsp_version,
              numpy_version, h5py_version, created (UTC), model_name, model_hash, time_unit, tol, solver, complete
/asked        (k,) the times asked for: more than are there where `complete` is false, and the last one there is then
              where the computation goes on, a time that need not be among them
/species      (d,) names;  /observables (k, 2) names and formulas;  /model_text scalar
/options      attributes: how the solution was asked for;  /statistics attributes: what it took
/times/00000  attributes: t (absent when stationary), closed, certified, truncation, integration, pruning,
              rounding; datasets: states (n, d) in the smallest unsigned integers that fit,
              probabilities (n,) in float64, notes (k,); group moments, where the model bounds any (see
              `fsp.moments.MomentBounds`): largest (d,), norms (d, 24), monomials (m, d), means (m, 2)

A sweep has, beside format, kind and versions:

/             attribute: shape (k,), the number of values of each name, or of points where names were taken in pairs
/names        (k,) what was varied;  /points/values (n, k);  /points/failures (n,) reasons, empty where there is none
/points/00000 a solution, laid out as above; absent where there is none

Times that share their states share one dataset by hard links.

The version of the format is a whole number, which rises where a reader of the version before would be wrong or would
fail.  All earlier versions are read: version 1 lacked the first line, so a file of it is read with a `FormatWarning`.
Later ones are refused.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fsp.distribution.distribution import Distribution
from fsp.distribution.ledger import PARTS, ErrorLedger
from fsp.distribution.solution import Solution
from fsp.distribution.sweep import Sweep
from fsp.errors import ArgumentError, FormatWarning
from fsp.moments import MomentBounds
from fsp.output.fields import array, attribute, attributes, child, plain, texts
from fsp.output.files import put, replacing
from fsp.output.sink import Sink
from fsp.version import __version__

FORMAT = "fsp"
FORMAT_VERSION = 2
LINE = 512  # bytes before HDF5 begins
PIECE = 2**18  # rows that are written at once
_FILTERS = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
_LINE = re.compile(rb"HDF5 after 512 bytes, written by fsp, format ([0-9]{1,9})(?:, sha256 ([0-9a-f]{64}))?[\n, ]")
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_NAMES = ("model_name", "model_hash", "time_unit")
_WRONG = (OSError, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What h5py, numpy and our own checks say of a file that is not as it must be."""

Answer: TypeAlias = Solution | Distribution | Sweep
Rows: TypeAlias = tuple[tuple[int, ...], "np.dtype[Any]", Iterator[NDArray[Any]]]
"""Shape and type of an array, and its rows in pieces."""
RowSource: TypeAlias = Callable[[str, Distribution], Rows]
"""Gives the rows of ``states`` or ``probabilities`` of a distribution."""
_RowWriter: TypeAlias = Callable[[Any, str, Distribution], None]


def own_rows(name: str, distribution: Distribution) -> Rows:
    """Give the rows of a distribution that is in this process."""
    rows: NDArray[Any] = getattr(distribution, name)
    kind = np.min_scalar_type(int(rows.max())) if name == "states" else rows.dtype
    return rows.shape, kind, (rows[i : i + PIECE] for i in range(0, len(rows), PIECE))


def save(answer: Answer, path: str | Path, rows: RowSource = own_rows) -> None:
    """Write a solution, a distribution or a sweep, whole or not at all."""
    import h5py

    with replacing(path) as file:
        sink = Sink(file)

        def write_rows(group: Any, name: str, distribution: Distribution) -> None:
            shape, kind, pieces = rows(name, distribution)
            dataset, first = group.create_dataset(name, shape, kind, chunks=True, **_FILTERS), 0
            for piece in pieces:
                sink.check()
                dataset[first : first + len(piece)] = piece
                first += len(piece)

        with h5py.File(sink, "w", userblock_size=LINE) as hdf5:
            _write_versions(hdf5, answer)
            if isinstance(answer, Sweep):
                _write_sweep(hdf5, answer, write_rows)
            else:
                _write_answer(hdf5, answer, write_rows)
        sink.check()
        line = f"HDF5 after {LINE} bytes, written by fsp, format {FORMAT_VERSION}, sha256 {_checksum(file)}\n"
        file.seek(0)
        put(file, line.encode())


def read(path: str | Path) -> Answer:
    """Read what `save` wrote.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    Solution, Distribution or Sweep
        What was saved; arrays and errors are the same to the last bit.

    Raises
    ------
    ArgumentError
        If there is no such file, it is not one of ours, it was damaged or changed, or a newer version wrote it.

    Warns
    -----
    FormatWarning
        If it is of format 1, in which damage of numbers goes unnoticed.
    """
    if not isinstance(path, str | Path):
        raise ArgumentError(f"`path` must be that of a file, but is {path!r}.")
    place = Path(path)
    if not place.is_file():
        raise ArgumentError(f"`path` must be a file, but '{place}' is not there.")
    with _opened(place) as file:
        answer = _read_sweep(file) if attribute(file, "kind", str) == "sweep" else _read_answer(file)
        version = attribute(file, "format_version", int)
    if version == 1:
        warnings.warn(
            f"'{place}' is of format 1, which has no checksum, so that damage of its numbers goes unnoticed; what is "
            f"read from it can be saved in the present format.",
            FormatWarning,
            stacklevel=2,
        )
    return answer


@dataclass(frozen=True, slots=True)
class Head:
    """What a file says of a solution, without its probabilities."""

    model_hash: str  # of what was solved
    tol: float
    asked: tuple[float, ...]  # the times that were asked for
    complete: bool  # whether all of them are there
    n_states: int  # at the last time, as is the error
    error: ErrorLedger
    n_matvec: int  # number of products of the generator with a vector


def read_head(path: Path) -> Head | None:
    """Return what a file says of a solution; None where there is none that can be read."""
    if not path.is_file():
        return None
    with suppress(ArgumentError), _opened(path) as file:
        times = child(file, "times")
        last = child(times, max(times))
        return Head(
            model_hash=attribute(file, "model_hash", str),
            tol=attribute(file, "tol", float),
            asked=tuple(array(file, "asked", "f", (None,)).tolist()),
            complete=attribute(file, "complete", bool),
            n_states=len(child(last, "probabilities", "dataset")),
            error=_read_error(last),
            n_matvec=int(attributes(child(file, "statistics")).get("n_matvec", 0)),
        )
    return None


@dataclass(frozen=True, slots=True)
class Kept:
    """What a file keeps, told without looking at all of it."""

    kind: str = ""  # ``"solution"``, ``"distribution"`` or ``"sweep"``; empty where it is damaged
    complete: bool = True  # False for a solution that was stopped


def kept(path: Path) -> Kept | None:
    """Return what a file keeps that fsp wrote, None where it is another one."""
    import h5py

    with suppress(*_WRONG):
        with path.open("rb") as file:
            line = file.read(LINE)
        if _LINE.match(line) is None and not line.startswith(_SIGNATURE):
            return None
        with suppress(*_WRONG), h5py.File(path, "r") as hdf5:
            if attribute(hdf5, "format", str) == FORMAT:
                return Kept(attribute(hdf5, "kind", str), bool(plain(hdf5.attrs.get("complete", True))))
        return None if line.startswith(_SIGNATURE) else Kept()
    return None


# ---- checksum and version


def _checksum(file: FileIO) -> str:
    file.seek(LINE)
    return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _opened(place: Path) -> Iterator[Any]:
    """Open a file whose bytes are those that were written; what is wrong with it is an ArgumentError."""
    import h5py

    with _naming(place):
        version = _version(place)
    if version is None:
        raise ArgumentError(f"`path` must be a file written by fsp, but '{place}' is another HDF5 file.")
    if version > FORMAT_VERSION:
        raise ArgumentError(
            f"`path` must have format version {FORMAT_VERSION} or lower, but '{place}' has {version}. Upgrade fsp."
        )
    with _naming(place), h5py.File(place, "r") as file:
        yield file


@contextmanager
def _naming(place: Path) -> Iterator[None]:
    """Turn what is wrong with a file into an ArgumentError that names it."""
    try:
        yield
    except _WRONG as error:
        reason = str(error).strip().rstrip(".") or type(error).__name__
        raise ArgumentError(
            f"`path` must be an intact HDF5 file of fsp, but '{place}' cannot be read: {reason}."
        ) from error


def _version(place: Path) -> int | None:
    """Return the version of a file once its checksum was found right; None for a file that is not of fsp."""
    import h5py

    with FileIO(place) as file:
        line = file.read(LINE)
        found = _LINE.match(line)
        said = 1 if found is None else int(found[1])
        if found is not None and said <= FORMAT_VERSION:
            rest = line[found.end() :].strip(b"\0")
            if found[2] is None or rest or found[2].decode() != _checksum(file):
                raise ValueError("its checksum is another one, so it was damaged or changed after it was written")
    if said > FORMAT_VERSION:
        return said
    with h5py.File(place, "r") as hdf5:
        if plain(hdf5.attrs.get("format")) != FORMAT:
            return None
        version: int = attribute(hdf5, "format_version", int)
        if version <= FORMAT_VERSION and (version, hdf5.userblock_size) != (said, LINE if said > 1 else 0):
            raise ValueError(f"its first line must be that of format {version}, but is not")
        return version


# ---- write


def _write_versions(file: Any, answer: Answer) -> None:
    import h5py

    file.attrs.update(
        format=FORMAT,
        format_version=FORMAT_VERSION,
        fsp_version=__version__,
        numpy_version=np.__version__,
        h5py_version=h5py.__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        kind=type(answer).__name__.lower(),
    )


def _write_sweep(file: Any, sweep: Sweep, write_rows: _RowWriter) -> None:
    file.attrs["shape"] = np.array(sweep.shape)
    _write_texts(file, "names", list(sweep.names), (-1,))
    points = file.create_group("points")
    points["values"] = sweep.points
    _write_texts(points, "failures", [sweep.failures.get(i, "") for i in range(len(sweep))], (-1,))
    for i in sweep.solved:
        _write_answer(points.create_group(f"{i:05d}"), sweep[i], write_rows)


def _write_answer(group: Any, answer: Solution | Distribution, write_rows: _RowWriter) -> None:
    distributions = list(answer) if isinstance(answer, Solution) else [answer]
    _write_head(group, answer, distributions[0])
    for i, distribution in enumerate(distributions):
        time = group.create_group(f"times/{i:05d}")
        if i and distribution.shares_states_with(distributions[i - 1]):
            time["states"] = group[f"times/{i - 1:05d}/states"]
        else:
            write_rows(time, "states", distribution)
        write_rows(time, "probabilities", distribution)
        _write_fields(time, distribution)


def _write_head(file: Any, answer: Solution | Distribution, first: Distribution) -> None:
    file.attrs.update(kind=type(answer).__name__.lower(), **{name: getattr(first, name) for name in _NAMES})
    _write_texts(file, "species", list(first.species), (-1,))
    _write_texts(file, "observables", [word for pair in first.observables.items() for word in pair], (-1, 2))
    if isinstance(answer, Solution):
        file.attrs.update(tol=answer.tol, solver=answer.solver, complete=answer.complete)
        file["asked"] = np.array(answer.asked)
        _write_texts(file, "model_text", [answer.model_text], ())
        file.create_group("options").attrs.update(answer.options)
        file.create_group("statistics").attrs.update(answer.statistics)


def _write_fields(group: Any, distribution: Distribution) -> None:
    if distribution.state_bounds is not None:
        group.create_dataset("state_bounds", data=distribution.state_bounds, **_FILTERS)
    _write_texts(group, "notes", list(distribution.notes), (-1,))
    group.attrs.update(closed=distribution.closed, certified=distribution.error.certified)
    group.attrs.update({part: getattr(distribution.error, part) for part in PARTS})
    if distribution.t is not None:
        group.attrs["t"] = distribution.t
    if distribution._moment_bounds is not None:
        _write_moments(group.create_group("moments"), distribution._moment_bounds)


def _write_moments(group: Any, bounds: MomentBounds) -> None:
    for name in ("largest", "norms", "monomials", "means"):
        group.create_dataset(name, data=getattr(bounds, name))
    group.attrs["reason"] = bounds.reason


def _write_texts(group: Any, name: str, words: list[str], shape: tuple[int, ...]) -> None:
    import h5py

    group.create_dataset(name, data=np.array(words, dtype=object).reshape(shape), dtype=h5py.string_dtype())


# ---- read


def _read_sweep(file: Any) -> Sweep:
    names = tuple(texts(file, "names", 1))
    points = child(file, "points")
    values = array(points, "values", "f", (None, len(names)))
    reasons = dict(enumerate(map(str, texts(points, "failures", 1))))
    if len(reasons) != len(values):
        raise ValueError(f"/points/failures must be {len(values)}, but are {len(reasons)}")
    solutions = [_read_point(points, f"{i:05d}") for i in range(len(values))]
    twofold = [i for i, reason in reasons.items() if reason and solutions[i] is not None]
    if twofold:
        raise ValueError(f"point {twofold[0]} must be solved or have failed, but both is said")
    failures = {i: reason for i, reason in reasons.items() if reason}
    shape = np.asarray(file.attrs["shape"])
    if shape.dtype.kind not in "iu":
        raise ValueError(f"attribute 'shape' of / must be whole numbers, but is {shape!r:.80}")
    return Sweep(names, values, solutions, shape=shape.tolist(), failures=failures)


def _read_point(points: Any, key: str) -> Solution | None:
    if key not in points:
        return None
    answer = _read_answer(child(points, key))
    if not isinstance(answer, Solution):
        raise ValueError(f"/points/{key} must be a solution, but is a distribution")
    return answer


def _read_answer(file: Any) -> Solution | Distribution:
    kind = attribute(file, "kind", str)
    if kind not in ("solution", "distribution"):
        raise ValueError(f"attribute 'kind' of {file.name} must be solution or distribution, but is '{kind:.20}'")
    head: dict[str, Any] = {name: attribute(file, name, str) for name in _NAMES}
    head["species"] = tuple(texts(file, "species", 1))
    head["observables"] = {str(name): str(formula) for name, formula in texts(file, "observables", 2)}
    times, seen = child(file, "times"), dict[Any, Any]()
    keys = [f"{i:05d}" for i in range(len(times))]
    distributions = [_read_time(child(times, key), head, seen) for key in keys]
    if kind == "distribution":
        if len(distributions) != 1 or "tol" in file.attrs:
            raise ValueError("a distribution must have one time and no tolerance, but this is a solution")
        return distributions[0]
    return _read_solution(file, distributions)


def _read_solution(file: Any, distributions: list[Distribution]) -> Solution:
    answer = Solution(
        distributions,
        tol=attribute(file, "tol", float),
        solver=attribute(file, "solver", str),
        model_text=str(texts(file, "model_text", 0)),
        options=attributes(child(file, "options")),
        statistics=attributes(child(file, "statistics")),  # type: ignore[arg-type]  # numbers, where we wrote them
        asked=array(file, "asked", "f", (None,)).tolist() if "asked" in file else (),
    )
    if answer.complete != attribute(file, "complete", bool):
        raise ValueError("attribute 'complete' must agree with the times that were asked for, but does not")
    return answer


def _read_time(group: Any, head: Mapping[str, Any], seen: dict[Any, Any]) -> Distribution:
    import h5py

    d = len(head["species"])
    address = h5py.h5o.get_info(child(group, "states", "dataset").id).addr  # the same for hard links
    if address not in seen:
        seen[address] = array(group, "states", "u", (None, d)).astype(np.int64)
    n = len(seen[address])
    return Distribution(
        seen[address],
        array(group, "probabilities", "f", (n,)),
        t=attribute(group, "t", float) if "t" in group.attrs else None,
        error=_read_error(group),
        closed=attribute(group, "closed", bool),
        notes=tuple(map(str, texts(group, "notes", 1))),
        moments=_read_moments(child(group, "moments"), head["species"]) if "moments" in group else None,
        state_bounds=array(group, "state_bounds", "f", (2, n)) if "state_bounds" in group else None,
        **head,
    )


def _read_error(group: Any) -> ErrorLedger:
    parts = {part: attribute(group, part, float) for part in PARTS}
    return ErrorLedger(**parts, certified=attribute(group, "certified", bool))


def _read_moments(group: Any, species: tuple[str, ...]) -> MomentBounds:
    d, monomials = len(species), array(group, "monomials", "iu", (None, len(species)))
    largest, norms = array(group, "largest", "f", (d,)), array(group, "norms", "f", (d, None))
    means = array(group, "means", "f", (len(monomials), 2))
    if (means[:, 0] > means[:, 1]).any() or largest.min() < 0 or norms.min(initial=0.0) < 0:
        raise ValueError(f"{group.name} must be bounds of moments, but some are negative or the wrong way round")
    return MomentBounds(species, largest, norms, monomials, means, reason=attribute(group, "reason", str))
