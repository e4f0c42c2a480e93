"""Read and write distributions as HDF5 files that need neither the model nor this package.

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

Times that share their states share one dataset by hard links.  Compression carries a checksum.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from fsp import __version__
from fsp.distribution.distribution import Distribution
from fsp.distribution.ledger import PARTS, ErrorLedger
from fsp.distribution.solution import Solution
from fsp.distribution.sweep import Sweep
from fsp.errors import ArgumentError
from fsp.moments import MomentBounds

FORMAT = "fsp"
FORMAT_VERSION = 1
FILTERS = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
_BOUNDS = ("largest", "norms", "monomials", "means")
_NAMES = ("model_name", "model_hash", "time_unit")


RowWriter = Callable[[Any, str, Distribution], None]
"""Makes a dataset of a group, ``states`` or ``probabilities``, from a distribution."""


def save(answer: Solution | Distribution | Sweep, path: str | Path, write_rows: RowWriter | None = None) -> None:
    """Write a solution, a distribution or a sweep, whole or not at all.

    Parameters
    ----------
    answer
        What to write.
    path
        Where to; an existing file is replaced once the new one is complete.
    write_rows
        Writes the arrays of a distribution of another kind.

    Raises
    ------
    ArgumentError
        If the folder does not exist.
    """
    import h5py

    with _whole(path) as temporary, h5py.File(temporary, "x") as file:
        _write_versions(file, answer)
        if isinstance(answer, Sweep):
            _write_sweep(file, answer)
        else:
            _write_answer(file, answer, write_rows or _write_rows)


def read(path: str | Path) -> Solution | Distribution | Sweep:
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
        If there is no such file, it is not one of ours, it is damaged, or a newer version wrote it.
    """
    import h5py

    place = Path(path)
    if not place.is_file():
        raise ArgumentError(f"`path` must be a file, but '{place}' is not there.")
    try:
        with h5py.File(place, "r") as file:
            _check_format(file, place)
            return _read_sweep(file) if _plain(file.attrs["kind"]) == "sweep" else _read_answer(file)
    except ArgumentError:
        raise
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise ArgumentError(
            f"`path` must be an intact HDF5 file of fsp, but '{place}' cannot be read: {error}."
        ) from error


@dataclass(frozen=True, slots=True)
class Head:
    """What a file says of a solution, without its probabilities.

    Parameters
    ----------
    model_hash, tol
        Of what was solved.
    asked
        The times that were asked for.
    complete
        Whether all of them are there.
    n_states, error
        Number of states and error at the last time.
    n_matvec
        Number of products of the generator with a vector.
    """

    model_hash: str
    tol: float
    asked: tuple[float, ...]
    complete: bool
    n_states: int
    error: ErrorLedger
    n_matvec: int


def read_head(path: Path) -> Head | None:
    """Return what a file says of a solution; None where there is none that can be read."""
    import h5py

    if not path.is_file():
        return None
    try:
        with h5py.File(path, "r") as file:
            _check_format(file, path)
            last = file["times"][max(file["times"])]
            fields = _attributes(last)
            return Head(
                model_hash=_plain(file.attrs["model_hash"]),
                tol=_plain(file.attrs["tol"]),
                asked=tuple(file["asked"][()].tolist()),
                complete=_plain(file.attrs["complete"]),
                n_states=len(last["probabilities"]),
                error=ErrorLedger(**{part: fields[part] for part in PARTS}, certified=fields["certified"]),
                n_matvec=int(_attributes(file["statistics"]).get("n_matvec", 0)),
            )
    except (ArgumentError, OSError, KeyError, ValueError, TypeError, RuntimeError):
        return None


# ---- write


@contextmanager
def _whole(path: str | Path) -> Iterator[Path]:
    """Give a temporary name in the folder of `path`; move the file there once it is on the disk."""
    target = Path(path).resolve()  # through links: replace what they point to
    if not target.parent.is_dir():
        raise ArgumentError(f"`path` must lie in a folder that exists, but '{target.parent}' does not.")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_versions(file: Any, answer: Solution | Distribution | Sweep) -> None:
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


def _write_sweep(file: Any, sweep: Sweep) -> None:
    file.attrs["shape"] = np.array(sweep.shape)
    _write_texts(file, "names", list(sweep.names), (-1,))
    points = file.create_group("points")
    points["values"] = sweep.points
    _write_texts(points, "failures", [sweep.failures.get(i, "") for i in range(len(sweep))], (-1,))
    for i in sweep.solved:
        _write_answer(points.create_group(f"{i:05d}"), sweep[i], _write_rows)


def _write_answer(group: Any, answer: Solution | Distribution, write_rows: RowWriter) -> None:
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


def _write_rows(group: Any, name: str, distribution: Distribution) -> None:
    rows = distribution.probabilities
    if name == "states":
        rows = distribution.states.astype(np.min_scalar_type(int(distribution.states.max())))
    group.create_dataset(name, data=rows, **FILTERS)


def _write_fields(group: Any, distribution: Distribution) -> None:
    if distribution.state_bounds is not None:
        group.create_dataset("state_bounds", data=distribution.state_bounds, **FILTERS)
    _write_texts(group, "notes", list(distribution.notes), (-1,))
    group.attrs.update(closed=distribution.closed, certified=distribution.error.certified)
    group.attrs.update({part: getattr(distribution.error, part) for part in PARTS})
    if distribution.t is not None:
        group.attrs["t"] = distribution.t
    if distribution._moment_bounds is not None:
        _write_moments(group.create_group("moments"), distribution._moment_bounds)


def _write_moments(group: Any, bounds: MomentBounds) -> None:
    for name in _BOUNDS:
        group.create_dataset(name, data=getattr(bounds, name))
    group.attrs["reason"] = bounds.reason


def _write_texts(group: Any, name: str, texts: list[str], shape: tuple[int, ...]) -> None:
    import h5py

    group.create_dataset(name, data=np.array(texts, dtype=object).reshape(shape), dtype=h5py.string_dtype())


# ---- read


def _check_format(file: Any, place: Path) -> None:
    if _plain(file.attrs.get("format")) != FORMAT:
        raise ArgumentError(f"`path` must be a file written by fsp, but '{place}' is another HDF5 file.")
    version = int(file.attrs["format_version"])
    if version > FORMAT_VERSION:
        raise ArgumentError(
            f"`path` must have format version {FORMAT_VERSION} or lower, but '{place}' has {version} "
            f"(written by fsp {_plain(file.attrs.get('fsp_version'))}). Upgrade fsp."
        )


def _read_sweep(file: Any) -> Sweep:
    points = file["points"]
    values = points["values"][()]
    keys = [f"{i:05d}" for i in range(len(values))]
    reasons = map(str, points["failures"].asstr()[()])
    return Sweep(
        tuple(file["names"].asstr()[()]),
        values,
        [_solution(_read_answer(points[key])) if key in points else None for key in keys],
        shape=file.attrs["shape"],
        failures={i: reason for i, reason in enumerate(reasons) if reason},
    )


def _solution(answer: Solution | Distribution) -> Solution:
    if not isinstance(answer, Solution):
        raise ValueError("a point of a sweep is not a solution")
    return answer


def _read_answer(file: Any) -> Solution | Distribution:
    head: dict[str, Any] = {name: _plain(file.attrs[name]) for name in _NAMES}
    head["species"] = tuple(file["species"].asstr()[()])
    head["observables"] = {str(name): str(formula) for name, formula in file["observables"].asstr()[()]}
    seen: dict[Any, Any] = {}
    distributions = [_read_time(file["times"][key], head, seen) for key in sorted(file["times"])]
    kind = _plain(file.attrs["kind"])
    if kind == "distribution":
        return distributions[0]
    return Solution(
        distributions,
        tol=_plain(file.attrs["tol"]),
        solver=_plain(file.attrs["solver"]),
        model_text=str(file["model_text"].asstr()[()]),
        options=_attributes(file["options"]),
        statistics=_attributes(file["statistics"]),
        asked=file["asked"][()] if "asked" in file else (),
    )


def _read_time(group: Any, head: Mapping[str, Any], seen: dict[Any, Any]) -> Distribution:
    import h5py

    address = h5py.h5o.get_info(group["states"].id).addr  # the same for hard links
    if address not in seen:
        seen[address] = group["states"][()].astype(np.int64)
    fields = _attributes(group)
    return Distribution(
        seen[address],
        group["probabilities"][()],
        t=fields.get("t"),
        error=ErrorLedger(**{part: fields[part] for part in PARTS}, certified=fields["certified"]),
        closed=fields["closed"],
        notes=tuple(map(str, group["notes"].asstr()[()])),
        moments=_read_moments(group["moments"], head["species"]) if "moments" in group else None,
        state_bounds=group["state_bounds"][()] if "state_bounds" in group else None,
        **head,
    )


def _read_moments(group: Any, species: tuple[str, ...]) -> MomentBounds:
    arrays = {name: group[name][()] for name in _BOUNDS}
    return MomentBounds(species, **arrays, reason=_plain(group.attrs["reason"]))


def _attributes(group: Any) -> dict[str, Any]:
    return {name: _plain(value) for name, value in group.attrs.items()}


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
