"""What ranks say to each other: agreement on errors, sums, and exchanges of rows.

The rules are in docs/mpi.md.  A block under `agree` holds no collective call; what it raises on any rank is raised on
all ranks.  What a user asks of things that are spread over ranks goes through `together`, which compares what the ranks
ask: a question that one rank asks alone is refused when another asks something else, or has come to its end.
"""

from __future__ import annotations

import pickle
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

import numpy as np

from fsp.errors import ArgumentError, BackendError, FSPError
from fsp.petsc.environment import load
from fsp.petsc.termination import A_FAILURE, THE_END, compare, end_all, wait_for_the_end, watch_exceptions
from fsp.space.communicator import Processes

if TYPE_CHECKING:
    from fsp.arrays import IntArray


class _Spread(Protocol):
    """What is spread over ranks."""

    @property
    def comm(self) -> Communicator:
        """The ranks."""


T = TypeVar("T")
S = TypeVar("S", bound=_Spread)
P = ParamSpec("P")
LARGEST_MESSAGE = 2**31 - 1  # what MPI counts with an int: numbers that one call sends from, or brings to, one rank
# The larger one of the bits of either is that of the other type, and the smaller one too, in the other place.
_FLOAT_MARKS = np.array([1.0, 2.0])
_INTEGER_MARKS = _FLOAT_MARKS[::-1].copy().view(np.int64)  # as above
SILENCE = 30.0  # seconds after which a rank says that it waits for the others to ask the same


class Communicator(Processes):
    """A group of ranks: those of a communicator of mpi4py or petsc4py, or all."""

    def __init__(self, comm: Any = None) -> None:
        environment = load()
        watch_exceptions()
        mpi = environment.MPI.COMM_WORLD if comm is None else comm
        mpi = mpi.tompi4py() if hasattr(mpi, "tompi4py") else mpi
        if not isinstance(mpi, environment.MPI.Intracomm):
            raise ArgumentError(f"`comm` must be a communicator of mpi4py or petsc4py, but is {comm!r}.")
        self.mpi = mpi
        self.rank = int(mpi.Get_rank())
        self.size = int(mpi.Get_size())
        self._MPI = environment.MPI

    @classmethod
    def of(cls, comm: Any) -> Communicator:
        """Return `comm` as a communicator of this kind."""
        return comm if isinstance(comm, Communicator) else cls(comm)

    def __repr__(self) -> str:
        return f"Communicator(rank {self.rank} of {self.size})"

    # ---- agreement ----------------------------------------------------------------------------------------

    @contextmanager
    def agree(self) -> Iterator[None]:
        """Raise on every rank what the block raises on any, a KeyboardInterrupt among it.

        The block must not hold a collective call, and every rank must come here.
        """
        error: Exception | KeyboardInterrupt | None = None
        try:
            yield
        except (Exception, KeyboardInterrupt) as raised:  # whatever it is, the others must hear of it
            error = raised
        self.raise_together(error)

    def raise_together(self, error: Exception | KeyboardInterrupt | None) -> None:
        """Raise the error of the lowest rank that has one, on all ranks; return where none has."""
        if not self.any(error is not None):
            return
        said: list[bytes | None] = self.mpi.allgather(None if error is None else _pickled(error))
        first = next(rank for rank, text in enumerate(said) if text is not None)
        common: Any = pickle.loads(said[first] or b"")
        if len(set(said)) > 1:
            _name_rank(common, first, self.size)
        common.agreed = True  # all ranks raise it, so it is to be printed once
        if error is None:
            raise common
        raise common.with_traceback(error.__traceback__) from error.__cause__

    def share(self, make: Callable[[], T]) -> T:
        """Return on every rank what `make` returns on the first: it is called on that rank only, and pickled."""
        made: list[T] = []
        with self.agree():
            if self.rank == 0:
                made = [make()]
                if self.size > 1:
                    pickle.dumps(made)
        return (self.mpi.bcast(made) if self.size > 1 else made)[0]

    def require_same(self, value: Any, what: str) -> None:
        """Raise an ArgumentError unless all ranks have an equal `value`."""
        values = self.mpi.allgather(value)
        if any(other != values[0] for other in values):
            raise ArgumentError(f"{what} must be the same on all ranks, but is not: {sorted(set(map(str, values)))}.")

    def together(self, what: str) -> None:
        """Return when all ranks ask `what`; an ArgumentError on all where one asks something else or is at its end.

        A rank that has waited for SILENCE says so, and waits on: the others may be at work.
        """
        if self.size == 1:
            return
        said = False

        def waiting(seconds: float) -> None:
            nonlocal said
            if seconds > SILENCE and not said:
                said = True
                self._print(
                    f"fsp: rank {self.rank} of {self.size} has waited {SILENCE:.0f} s in {what}, which all ranks must "
                    f"call: it does not belong under `if rank == 0`"
                )

        asked = compare(self.mpi, what, waiting)
        if asked is None:
            return
        other = next(rank for rank, question in enumerate(asked) if question != asked[0])
        error = ArgumentError(
            f"All ranks must ask the same of what is spread over them, but rank 0 is in {asked[0]} and rank {other} in "
            f"{asked[other]}; call it on all ranks, and print or draw what it returns on one."
        )
        if not {A_FAILURE, THE_END} & set(asked):
            raise error
        if A_FAILURE not in asked and self.rank == next(r for r, question in enumerate(asked) if question != THE_END):
            traceback.print_stack()
            self._print(f"{type(error).__name__}: {error}")
            self.mpi.Abort(1)
        wait_for_the_end()

    @staticmethod
    def _print(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    # ---- numbers ------------------------------------------------------------------------------------------

    def sum(self, value: Any) -> Any:
        """Return the sum over all ranks, of a number or of an array entry by entry."""
        return self._reduce(value, self._MPI.SUM)

    def max(self, value: Any) -> Any:
        """Return the maximum over all ranks, of a number or of an array entry by entry."""
        return self._reduce(value, self._MPI.MAX)

    def min(self, value: Any) -> Any:
        """Return the minimum over all ranks, of a number or of an array entry by entry."""
        return self._reduce(value, self._MPI.MIN)

    def any(self, flag: bool) -> bool:
        """Tell whether `flag` is true on any rank."""
        return bool(self.max(int(flag)))

    def all(self, flag: bool) -> bool:
        """Tell whether `flag` is true on all ranks."""
        return bool(self.min(int(flag)))

    def starts(self, n: int) -> IntArray:
        """Return the first number of each rank where ranks number `n` things each, and the sum, (size + 1,)."""
        counts = np.empty(self.size, dtype=np.int64)
        self.mpi.Allgather(np.array([n], dtype=np.int64), counts)
        return np.concatenate([[0], np.cumsum(counts)])

    def _reduce(self, value: Any, operation: Any) -> Any:
        """Reduce numbers, and marks beside them that come out wrong on all ranks where types differ.

        MPI would take the bits of a whole number for a float, as where numpy counts nothing in integers on a rank
        that has no states.
        """
        local = np.asarray(value)
        if local.dtype.kind not in "biuf":
            raise TypeError(f"What is reduced must be integers or floats, but is {value!r}.")
        if self.size == 1:
            return value
        adds = operation == self._MPI.SUM
        marks = _FLOAT_MARKS if local.dtype.kind == "f" else _INTEGER_MARKS
        marks = np.ones_like(marks) if adds else marks
        sent = np.concatenate([local.ravel(), marks], dtype=marks.dtype, casting="unsafe")
        total = np.empty_like(sent)
        self.mpi.Allreduce(sent, total, op=operation)
        if (total[-2:] != (marks * self.size if adds else marks)).any():
            raise TypeError(
                f"Ranks must reduce numbers of one type, but this one has {local.dtype}, and another one has others."
            )
        total = total[:-2].reshape(local.shape)
        return total if local.ndim else total.item()

    # ---- rows ---------------------------------------------------------------------------------------------

    def exchange(self, rows: Any, counts: IntArray) -> tuple[Any, IntArray]:
        """Send rows (m,) or (m, k) to the ranks that they are for, `counts` to each, those of rank 0 first.

        Returns those for this rank, from rank 0 first, and how many come from each.
        """
        incoming = np.empty(self.size, dtype=np.int64)
        self.mpi.Alltoall(np.ascontiguousarray(counts, dtype=np.int64), incoming)
        rows = np.ascontiguousarray(rows)
        width = int(np.prod(rows.shape[1:], dtype=np.int64))
        received = np.empty((int(incoming.sum()), *rows.shape[1:]), dtype=rows.dtype)
        if self.size == 1:
            received[...] = rows
            return received, incoming
        share = LARGEST_MESSAGE // (self.size * width)  # rows of one pair of ranks in one call
        if share < 1:
            raise BackendError(f"A row must have at most {LARGEST_MESSAGE // self.size:,} numbers, but has {width:,}.")
        n_rounds = -(-int(self.max(counts.max(initial=0))) // share)
        if n_rounds == 1:
            self._send(rows, counts, received, incoming, width)
            return received, incoming
        places = [np.cumsum(c) - c for c in (counts, incoming)]
        for k in range(n_rounds):
            now = [np.clip(c - k * share, 0, share) for c in (counts, incoming)]
            chosen = [_ranges(place + k * share, n) for place, n in zip(places, now, strict=True)]
            part = np.empty((len(chosen[1]), *rows.shape[1:]), dtype=rows.dtype)
            self._send(np.ascontiguousarray(rows[chosen[0]]), now[0], part, now[1], width)
            received[chosen[1]] = part
        return received, incoming

    def _send(self, rows: Any, counts: IntArray, received: Any, incoming: IntArray, width: int) -> None:
        kind = self._MPI._typedict[rows.dtype.char]
        sent, back = counts * width, incoming * width
        self.mpi.Alltoallv([rows, sent, np.cumsum(sent) - sent, kind], [received, back, np.cumsum(back) - back, kind])

    # ---- the end ------------------------------------------------------------------------------------------

    @contextmanager
    def guard(
        self,
        describe: Callable[[BaseException], str] = str,
        status: Callable[[BaseException], int] = lambda error: 1,
    ) -> Iterator[None]:
        """End all ranks with one message and an exit status where the block raises, on one rank or on all.

        Where the other ranks do not fail as well within GRACE seconds, they wait for something that will not come,
        and are ended.
        """
        try:
            yield
        except (Exception, KeyboardInterrupt) as error:  # none may leave the other ranks waiting
            end_all(self.mpi, describe(error), error)
            sys.exit(status(error))


def collective(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Make a method of something with a `comm` one that all ranks must call alike, and refuse it where they do not."""

    @wraps(method)
    def asked(self: S, *args: P.args, **options: P.kwargs) -> T:
        given = ", ".join([*map(_told, args), *(f"{name}={_told(value)}" for name, value in options.items())])
        self.comm.together(f"{type(self).__name__}.{method.__name__}({given})")
        return method(self, *args, **options)

    return cast("Callable[Concatenate[S, P], T]", asked)


def _told(value: Any) -> str:
    """Return an argument as text that is the same where the argument is; of objects only their type."""
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim):
        return f"[{', '.join(map(_told, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name!r}: {_told(part)}' for name, part in value.items())}}}"
    return repr(value) if isinstance(value, str | int | float | np.number | None) else type(value).__name__


def _pickled(error: BaseException) -> bytes:
    """Return an error in a form that other ranks can raise."""
    try:
        text = pickle.dumps(error)
        pickle.loads(text)
    except Exception:  # anything can go wrong in foreign classes
        text = pickle.dumps(FSPError(f"{type(error).__name__}: {error}"))
    return text


def _name_rank(error: BaseException, rank: int, size: int) -> None:
    where = f"(on rank {rank} of {size})"
    if len(error.args) == 1 and isinstance(error.args[0], str):
        error.args = (f"{error.args[0]} {where}",)
    else:
        error.add_note(where)


def _ranges(first: IntArray, counts: IntArray) -> IntArray:
    """Return ``first[0], first[0] + 1, ...`` (counts[0] of them), then those of first[1], and so on."""
    return np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
