"""Checkpoints of a distributed transient: every rank writes what it owns, and one rename makes them count.

A folder holds *parts*, one of each rank for each distribution, and ``index.json``, which names the parts that belong
together with their lengths and checksums.  Parts are written and flushed first, then the index is moved into place, so
that the folder reads as the last complete checkpoint at any moment; parts that no index names are left over from a job
that was killed, and are removed before the next checkpoint.  The index has a checksum as well.  A distribution at a
time that was asked for is written once.

Parts hold runs of states with their probabilities in the order of the ranks, so any number of ranks can read them.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.distribution import Solution
from fsp.distribution.ledger import ErrorLedger
from fsp.errors import ArgumentError
from fsp.model.fingerprint import why_different
from fsp.output import files
from fsp.petsc.distribution import FIELDS, Distribution
from fsp.petsc.space import StateSpace
from fsp.space.encoding import Dependence, Encoding
from fsp.space.runs import KeyRuns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fsp.distribution.continuation import Request
    from fsp.petsc.comm import Communicator

INDEX = "index.json"
FORMAT_VERSION = 1  # it rises where a reader of the version before would be wrong or would fail
ANEW = "Begin anew, with another folder."
_PART = re.compile(r"[0-9]{6,}-[0-9]{4,}-[0-9]{5,}\.part")


class Checkpoint:
    """The checkpoints of one computation in a folder."""

    def __init__(self, folder: str | Path, comm: Communicator, asked: Request) -> None:
        self.folder = Path(folder)
        self._comm = comm
        self._asked = asked
        self._number, self._n_written = 0, 0
        self._written: dict[float | None, dict[str, Any]] = {}
        self._last: dict[str, Any] | None = None
        self._is_clean = False
        with comm.agree():
            if comm.rank == 0:
                try:
                    self.folder.mkdir(parents=True, exist_ok=True)
                except OSError as error:
                    raise ArgumentError(
                        f"`checkpoint` must be a folder, but '{self.folder}' is not: {error}."
                    ) from None
                files.try_writing(self.folder / INDEX, "checkpoint")

    # ---- write --------------------------------------------------------------------------------------------

    def write(self, reached: Solution) -> None:
        """Write what was reached, the last distribution to go on from; when it returns, it is on the disk.

        Where a part cannot be written an OutputError is raised on all ranks; the checkpoint before it is still whole.
        """
        *passed, last = list[Any](reached)
        self._number, self._n_written = self._number + 1, 0
        if not self._is_clean:  # what a killed job left may fill the disk
            with self._comm.agree():
                if self._comm.rank == 0:
                    self._sweep([entry for entry in (*self._written.values(), self._last) if entry is not None])
            self._is_clean = True
        for distribution in passed:
            if distribution.t not in self._written:
                self._written[distribution.t] = self._write_one(distribution)
        index: dict[str, Any] = {
            "format": "fsp checkpoint",
            "format_version": FORMAT_VERSION,
            "identity": asdict(self._asked),
            "number": self._number,
            "reached": [self._written[distribution.t] for distribution in passed],
            "last": self._written.get(last.t) or self._write_one(last),
            "counts": reached.statistics,
        }
        with self._comm.agree():
            if self._comm.rank == 0:
                files.write(self.folder / INDEX, json.dumps({**index, "crc": _checksum(index)}))
                self._sweep([*index["reached"], index["last"]])

    def _write_one(self, distribution: Distribution) -> dict[str, Any]:
        space = distribution.space
        name = f"{self._number:06d}-{self._n_written:04d}-{self._comm.rank:05d}.part"
        self._n_written += 1
        part: dict[str, Any] = {}
        with self._comm.agree():
            arrays = space.runs.keys, space.runs.lengths, distribution.probabilities
            content = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
            files.write(self.folder / name, content)
            part = {"file": name, "bytes": len(content), "crc": zlib.crc32(content), "n_runs": len(space.runs.keys)}
        fields = {name: getattr(distribution, name) for name in FIELDS}
        return {
            "fields": json.loads(json.dumps(fields)),
            "error": {**distribution.error.terms, "certified": distribution.error.certified},
            "species": list(distribution.species),
            "encoding": _encoding_record(space.encoding),
            "parts": self._comm.mpi.allgather(part),
        }

    def _sweep(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Remove all parts but those of some entries of the index."""
        named = {part["file"] for entry in entries for part in entry["parts"]}
        for path in self.folder.iterdir():
            if (_PART.fullmatch(path.name) and path.name not in named) or files.is_left_over(path.name, _PART.pattern):
                path.unlink(missing_ok=True)

    # ---- read ---------------------------------------------------------------------------------------------

    def read(self) -> Solution | None:
        """Return what the last complete checkpoint holds; None where there is none."""
        index = self._comm.share(self._read_index)
        if index is None:
            return None
        with self._comm.agree():
            self._check(index)
        reached = tuple(self._read_one(entry) for entry in index["reached"])
        for distribution, entry in zip(reached, index["reached"], strict=True):
            self._written[distribution.t] = entry
        self._number, self._last = int(index["number"]), index["last"]
        last = self._read_one(index["last"])
        done = [distribution for distribution in reached if distribution.t != last.t]
        statistics = dict(index["counts"])
        return Solution(
            [*done, last], tol=self._asked.tol, solver="checkpoint", statistics=statistics, asked=self._asked.times
        )

    def _read_index(self) -> Any:
        place = self.folder / INDEX
        if not place.exists():
            return None
        try:
            index = dict(json.loads(place.read_bytes()))
            if index.pop("crc", None) != _checksum(index):
                raise ValueError("its checksum is another one")
        except (OSError, ValueError, TypeError) as error:
            raise ArgumentError(
                f"`checkpoint` must hold an intact {INDEX}, but '{place}' is not: {error}. {ANEW}"
            ) from None
        return index

    def _check(self, index: Mapping[str, Any]) -> None:
        if int(index["format_version"]) > FORMAT_VERSION:
            raise ArgumentError(
                f"`checkpoint` must have format version {FORMAT_VERSION} or lower, but '{self.folder}' has "
                f"{index['format_version']}. Upgrade fsp."
            )
        for name, value in json.loads(json.dumps(asdict(self._asked))).items():
            if index["identity"].get(name, "") != value:
                raise ArgumentError(
                    f"`checkpoint` must be of the same computation, but '{self.folder}' was written with {name} = "
                    f"{index['identity'].get(name)}, not {value}. Use another folder, or leave out --resume."
                    f"{why_different(str(value))}"
                )

    def _read_one(self, entry: Mapping[str, Any]) -> Distribution:
        comm, parts = self._comm, entry["parts"]
        encoding = _encoding_of(entry["encoding"])
        mine = parts[comm.rank * len(parts) // comm.size : (comm.rank + 1) * len(parts) // comm.size]
        n_words = encoding.n_words
        keys, lengths, p = np.empty((0, n_words), np.int64), np.empty(0, np.int64), np.empty(0)
        with comm.agree():
            for part in mine:
                content = self._content(part)
                a, b = 8 * n_words * part["n_runs"], 8 * (n_words + 1) * part["n_runs"]
                keys = np.concatenate([keys, np.frombuffer(content[:a], np.int64).reshape(-1, n_words)])
                lengths = np.concatenate([lengths, np.frombuffer(content[a:b], np.int64)])
                p = np.concatenate([p, np.frombuffer(content[b:])])
        # KeyRuns that were cut between two ranks are joined again by the union.
        runs = KeyRuns.of_lengths(keys, lengths).union(KeyRuns.of_lengths(keys[:0], lengths[:0]))
        space = StateSpace(comm, entry["species"], encoding, runs)
        local, _ = comm.exchange(p, space.ranges.cuts_of(runs))
        fields = dict(entry["fields"], notes=tuple(entry["fields"]["notes"]))
        return Distribution(space, local, **fields, error=ErrorLedger(**entry["error"]))

    def _content(self, part: Mapping[str, Any]) -> bytes:
        place = self.folder / str(part["file"])
        try:
            content = place.read_bytes()
        except OSError as error:
            raise ArgumentError(
                f"`checkpoint` must be whole, but a part of it cannot be read: {error}. {ANEW}"
            ) from None
        if len(content) != part["bytes"] or zlib.crc32(content) != part["crc"]:
            raise ArgumentError(
                f"`checkpoint` must be intact, but '{place}' has {len(content)} bytes in place of {part['bytes']}, or "
                f"other ones. {ANEW}"
            )
        return content


def _checksum(index: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(index, sort_keys=True).encode())


def _encoding_record(encoding: Encoding) -> dict[str, Any]:
    record = {name: list(getattr(encoding, name)) for name in ("kept", "word", "shift", "bits")}
    laws = [asdict(law) | {"weights": law.weights.tolist()} for law in encoding.dependences]
    return {**record, "capacity": encoding.capacity.tolist(), "dependences": laws}


def _encoding_of(record: Mapping[str, Any]) -> Encoding:
    laws = tuple(
        Dependence(law["species"], law["constant"], np.array(law["weights"], dtype=np.int64), law["divisor"])
        for law in record["dependences"]
    )
    kept, word, shift, bits = (tuple(record[name]) for name in ("kept", "word", "shift", "bits"))
    return Encoding(kept, word, shift, bits, np.array(record["capacity"], dtype=np.int64), laws)
