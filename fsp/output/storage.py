"""Read and write distributions as HDF5 files that need neither the model nor this package.

The first 512 bytes, which HDF5 leaves to others, are a line of text that ends in the SHA-256 of all that follows.

The layout inside is in `fsp.output.layout`, of fits in `fsp.output.fit_layout`, and of derivatives, gradients, Fisher
information, designs and log-likelihoods in `fsp.output.value_layout`.

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
from io import FileIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fsp.distribution.continuation import Request
from fsp.distribution.design import Design
from fsp.distribution.display import Saved
from fsp.distribution.distribution import Distribution
from fsp.distribution.fit import Fit
from fsp.distribution.gradients import Gradients
from fsp.distribution.information import FisherInformation
from fsp.distribution.ledger import ErrorLedger
from fsp.distribution.log_likelihood import LogLikelihood
from fsp.distribution.sensitivity import Sensitivities
from fsp.distribution.sweep import Sweep
from fsp.errors import ArgumentError, FormatWarning
from fsp.output.files import put, replacing
from fsp.output.fit_layout import read_fit, write_fit
from fsp.output.groups import array, attribute, attributes, child, plain, texts
from fsp.output.layout import (
    FILTERS,
    FORMAT,
    FORMAT_VERSION,
    Answer,
    read_answer,
    read_error,
    read_sweep,
    write_answer,
    write_sweep,
    write_versions,
)
from fsp.output.sink import Sink
from fsp.output.value_layout import KINDS, kind_of, read_value, write_value
from fsp.time_limit import TimeLimit

HEAD_BYTES = 512  # bytes before HDF5 begins
PIECE = 2**18  # rows that are written at once
_HEAD_LINE = re.compile(rb"HDF5 after 512 bytes, written by fsp, format ([0-9]{1,9})(?:, sha256 ([0-9a-f]{64}))?[\n, ]")
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_WRONG = (OSError, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What h5py, numpy and our own checks say of a file that is not as it must be."""

Rows: TypeAlias = tuple[tuple[int, ...], "np.dtype[Any]", Iterator[NDArray[Any]]]
"""Shape and type of an array, and its rows in pieces."""
Valued: TypeAlias = Sensitivities | Gradients | FisherInformation | Design | LogLikelihood
RowSource: TypeAlias = Callable[[str, Distribution], Rows]
"""Gives the rows of ``states`` or ``probabilities`` of a distribution."""
READERS_BY_KIND: Mapping[str, Callable[[Any], Any]] = {
    "sweep": read_sweep,
    "fit": read_fit,
    **dict.fromkeys(KINDS, read_value),
}
"""What reads a file, by its kind; distributions and solutions are read by `read_answer`."""


def own_rows(name: str, distribution: Distribution) -> Rows:
    """Give the rows of a distribution that is in this process."""
    rows: NDArray[Any] = getattr(distribution, name)
    kind = np.min_scalar_type(int(rows.max())) if name == "states" else rows.dtype
    return rows.shape, kind, (rows[i : i + PIECE] for i in range(0, len(rows), PIECE))


def save(answer: Answer | Saved, path: str | Path, rows: RowSource = own_rows) -> None:
    """Write an answer, whole or not at all."""
    import h5py

    with replacing(path) as file:
        sink = Sink(file)

        def write_rows(group: Any, name: str, distribution: Distribution) -> None:
            shape, kind, pieces = rows(name, distribution)
            dataset, first = group.create_dataset(name, shape, kind, chunks=True, **FILTERS), 0
            for piece in pieces:
                sink.check()
                dataset[first : first + len(piece)] = piece
                first += len(piece)

        with h5py.File(sink, "w", userblock_size=HEAD_BYTES) as hdf5:
            write_versions(hdf5, kind_of(answer))
            if isinstance(answer, Fit):
                write_fit(hdf5, answer)
            elif isinstance(answer, Sweep):
                write_sweep(hdf5, answer, write_rows)
            elif isinstance(answer, Saved):
                write_value(hdf5, answer, write_rows)
            else:
                write_answer(hdf5, answer, write_rows, TimeLimit())
        sink.check()
        line = f"HDF5 after {HEAD_BYTES} bytes, written by fsp, format {FORMAT_VERSION}, sha256 {_checksum(file)}\n"
        file.seek(0)
        put(file, line.encode())


def read(path: str | Path) -> Answer | Fit | Valued:
    """Read a file that `save` wrote.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    Solution, Distribution, Sweep, Fit, Sensitivities, Gradients, FisherInformation, Design or LogLikelihood
        What was saved; arrays and errors are the same to the last bit.

    Raises
    ------
    ArgumentError
        If there is no such file, `save` did not write it, it was damaged or changed, or a newer version wrote it.

    Warns
    -----
    FormatWarning
        If it is of format 1, in which damage of numbers goes unnoticed.

    Examples
    --------
    >>> fsp.read("run.h5")[-1].mean()  # doctest: +SKIP
    """
    if not isinstance(path, str | Path):
        raise ArgumentError(f"`path` must be that of a file, but is {path!r}.")
    place = Path(path)
    if not place.is_file():
        raise ArgumentError(f"`path` must be a file, but '{place}' is {'a folder' if place.is_dir() else 'not there'}.")
    with _opened(place) as file:
        reader: Callable[[Any], Answer | Fit | Valued] = READERS_BY_KIND.get(attribute(file, "kind", str), read_answer)
        answer = reader(file)
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

    asked: Request
    complete: bool  # whether all times that were asked for are there
    n_states: int  # at the last time, as is the error
    error: ErrorLedger
    n_matvec: int  # number of products of the generator with a vector
    mean: dict[str, float]  # of each species, at the last time
    std: dict[str, float]


def read_head(path: Path) -> Head | None:
    """Return what a file says of a solution; None where there is none that can be read."""
    if not path.is_file():
        return None
    with suppress(ArgumentError), _opened(path) as file:
        times = child(file, "times")
        last = child(times, max(times))
        species = tuple(map(str, texts(file, "species", 1)))
        states = array(last, "states", "u", (None, len(species)))
        distribution = Distribution(
            states, array(last, "probabilities", "f", (None,)), species, t=None, error=read_error(last)
        )
        return Head(
            asked=Request(
                attribute(file, "model_hash", str),
                tuple(array(file, "asked", "f", (None,)).tolist()),
                attribute(file, "tol", float),
                str(attributes(child(file, "options")).get("start", "")),
            ),
            complete=attribute(file, "complete", bool),
            n_states=len(child(last, "probabilities", "dataset")),
            error=read_error(last),
            n_matvec=int(attributes(child(file, "statistics")).get("n_matvec", 0)),
            mean=distribution.mean(),
            std=distribution.std(),
        )
    return None


@dataclass(frozen=True, slots=True)
class Kept:
    """What a file keeps, told without looking at all of it."""

    kind: str = ""  # ``"solution"``, ``"distribution"``, ``"sweep"``, ``"fit"`` or one of `KINDS`; empty where damaged
    complete: bool = True  # False for a solution or a fit that was stopped


def kept(path: Path) -> Kept | None:
    """Return what a file keeps that fsp wrote, None where it is another one."""
    import h5py

    with suppress(*_WRONG):
        with path.open("rb") as file:
            line = file.read(HEAD_BYTES)
        if _HEAD_LINE.match(line) is None and not line.startswith(_SIGNATURE):
            return None
        with suppress(*_WRONG), h5py.File(path, "r") as hdf5:
            if attribute(hdf5, "format", str) == FORMAT:
                return Kept(attribute(hdf5, "kind", str), bool(plain(hdf5.attrs.get("complete", True))))
        return None if line.startswith(_SIGNATURE) else Kept()
    return None


# ---- checksum and version


def _checksum(file: FileIO) -> str:
    file.seek(HEAD_BYTES)
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
        line = file.read(HEAD_BYTES)
        match = _HEAD_LINE.match(line)
        said = 1 if match is None else int(match[1])
        if match is not None and said <= FORMAT_VERSION:
            rest = line[match.end() :].strip(b"\0")
            if match[2] is None or rest or match[2].decode() != _checksum(file):
                raise ValueError("its checksum is another one, so it was damaged or changed after it was written")
    if said > FORMAT_VERSION:
        return said
    with h5py.File(place, "r") as hdf5:
        if plain(hdf5.attrs.get("format")) != FORMAT:
            return None
        version: int = attribute(hdf5, "format_version", int)
        if version <= FORMAT_VERSION and (version, hdf5.userblock_size) != (said, HEAD_BYTES if said > 1 else 0):
            raise ValueError(f"its first line must be that of format {version}, but is not")
        return version
