"""Run cases in processes of their own: one that hangs is killed, one that dies is seen, and the others go on.

A worker says which question it begins, so that its end, by the limit of CPU seconds, by a signal or by the parent's
patience, is the record of that question; another worker goes on with the next.
"""

from __future__ import annotations

import multiprocessing as mp
import resource
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from time import monotonic
from typing import Any

PATIENCE = 4.0  # wall seconds that a question may take, for each CPU second of the limit
CASES_OF_A_WORKER = 25  # then another one starts: memory that is not given back ends with it
MOST_DEATHS = 3  # of the workers of one case, before the case is left
MEMORY = 4 << 30  # bytes of address space beyond those at the start

Examine = Callable[[Any, int], Iterator[tuple[str, Any]]]


@dataclass
class Case:
    """A case and what is known of it.

    Parameters
    ----------
    key
        What the examining function makes the case from.
    records
        The records of its questions so far.
    note
        Of the case as a whole.
    """

    key: Any
    records: list[dict[str, Any]] = field(default_factory=list)
    note: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)
    next: int = 0
    deaths: int = 0


@dataclass
class _Worker:
    process: Any
    connection: Connection
    case: Case
    begun: float
    served: int = 1
    died: bool = False


def run(
    examine: Examine,
    keys: Iterator[Any],
    *,
    jobs: int,
    limit: float,
    preload: str | None = None,
) -> Iterator[Case]:
    """Yield each case when all its questions are answered.

    Parameters
    ----------
    examine
        A function of a module, called with a key and the number of the first question to ask; it yields pairs
        ``("ask", question)``, then ``("answer", record)``, and ``("note", dict)`` at any time.
    keys
        The cases; taken when a worker is free.
    jobs
        Number of workers.
    limit
        CPU seconds of one question.
    preload
        A module that the process imports from which workers are forked.
    """
    crew = _Crew(examine, keys, limit, preload)
    try:
        while crew.fill(jobs):
            ready = wait([worker.connection for worker in crew.workers], timeout=1.0)
            for worker in list(crew.workers):
                if crew.has_finished(worker, worker.connection in ready):
                    yield from crew.take(worker)
    finally:
        for worker in crew.workers:
            worker.process.kill()


class _Crew:
    """The workers, and the cases that wait."""

    def __init__(self, examine: Examine, keys: Iterator[Any], limit: float, preload: str | None) -> None:
        self.context = mp.get_context("forkserver")
        self.context.set_forkserver_preload([preload] if preload else [])
        self.examine, self.keys, self.limit = examine, keys, limit
        self.again: deque[Case] = deque()
        self.workers: list[_Worker] = []

    def fill(self, jobs: int) -> bool:
        """Start workers while there are cases; tell whether any works."""
        while len(self.workers) < jobs and (case := self.next()) is not None:
            self.workers.append(self.start(case))
        return bool(self.workers)

    def next(self) -> Case | None:
        if self.again:
            return self.again.popleft()
        key = next(self.keys, None)
        return None if key is None else Case(key)

    def start(self, case: Case) -> _Worker:
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=_serve, args=(self.examine, theirs, self.limit))
        process.start()
        theirs.close()
        ours.send((case.key, case.next))
        return _Worker(process, ours, case, monotonic())

    def has_finished(self, worker: _Worker, spoke: bool) -> bool:
        """Listen to a worker; tell whether its case, or it itself, is at an end."""
        if spoke:
            return _listen(worker)
        if monotonic() - worker.begun <= PATIENCE * self.limit:
            return False
        worker.process.kill()
        _died(worker, "stall", f"no answer after {PATIENCE * self.limit:.0f} s")
        return True

    def take(self, worker: _Worker) -> Iterator[Case]:
        """Yield the case of a worker if it is done, and give the worker another, or end it."""
        case = worker.case
        if case.next >= 0 and case.deaths < MOST_DEATHS:
            self.again.append(case)
        else:
            yield case
        tired = worker.served >= CASES_OF_A_WORKER or worker.died
        following = None if tired else self.next()
        if following is None:
            _end(worker)
            self.workers.remove(worker)
        else:
            worker.case, worker.begun, worker.served = following, monotonic(), worker.served + 1
            worker.connection.send((following.key, following.next))


def _end(worker: _Worker) -> None:
    worker.connection.close()  # the worker's recv then ends it
    worker.process.join(5.0)
    worker.process.kill()


def _listen(worker: _Worker) -> bool:
    """Take one message; tell whether the case is at its end or the worker at its own."""
    case = worker.case
    try:
        word, value = worker.connection.recv()
    except (EOFError, ConnectionResetError):
        worker.process.join()
        code = worker.process.exitcode
        if code == -signal.SIGXCPU:
            _died(worker, "stall", "the limit of CPU seconds was reached")
        else:
            _died(worker, "leak", f"the process ended with {_exit(code)}")
        return True
    worker.begun = monotonic()
    match word:
        case "ask":
            case.asked = value
        case "answer":
            case.records.append(value)
            case.next, case.asked = case.next + 1, {}
        case "note":
            case.note |= value
        case "end":
            case.next = -1
            return True
    return False


def _died(worker: _Worker, verdict: str, message: str) -> None:
    """Enter the end of a worker as that of its question, or of what comes before all questions."""
    case, worker.died = worker.case, True
    worker.process.join(5.0)
    case.deaths += 1
    if case.asked:
        case.records.append({**case.asked, "verdict": verdict, "message": message})
        case.next, case.asked = case.next + 1, {}
    else:
        case.note["left_out"] = message
        case.next = -1


def _exit(code: int | None) -> str:
    return signal.Signals(-code).name if code is not None and code < 0 else f"status {code}"


def _serve(examine: Examine, connection: Connection, limit: float) -> None:
    """Examine cases until the other end is closed."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        memory = int(statm.read_text().split()[0]) * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    while True:
        try:
            key, first = connection.recv()
        except EOFError:
            return
        try:
            for word, value in examine(key, first):
                if word == "ask":
                    _allow(limit)
                connection.send((word, value))
        except Exception as error:  # of the examination itself: the case is left out, and says why
            connection.send(("note", {"left_out": "".join(traceback.format_exception_only(error)).strip()}))
        connection.send(("end", None))


def _allow(seconds: float) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))
