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
    context = mp.get_context("forkserver")
    context.set_forkserver_preload([preload] if preload else [])
    again: deque[Case] = deque()
    workers: list[_Worker] = []
    try:
        while True:
            while len(workers) < jobs and (case := _next(again, keys)) is not None:
                workers.append(_start(context, examine, case, limit))
            if not workers:
                return
            ready = wait([worker.connection for worker in workers], timeout=1.0)
            for worker in list(workers):
                if worker.connection in ready:
                    finished = _listen(worker)
                elif monotonic() - worker.begun > PATIENCE * limit:
                    worker.process.kill()
                    finished = _died(worker, "stall", f"no answer after {PATIENCE * limit:.0f} s")
                else:
                    continue
                if not finished:
                    continue
                case = worker.case
                if case.next >= 0 and case.deaths < MOST_DEATHS:
                    again.append(case)
                else:
                    yield case
                following = None if not worker.process.is_alive() else _next(again, keys)
                if following is None or worker.served >= CASES_OF_A_WORKER:
                    if following is not None:
                        again.append(following)
                    _end(worker)
                    workers.remove(worker)
                else:
                    worker.case, worker.begun, worker.served = following, monotonic(), worker.served + 1
                    worker.connection.send((following.key, following.next))
    finally:
        for worker in workers:
            worker.process.kill()


def _next(again: deque[Case], keys: Iterator[Any]) -> Case | None:
    if again:
        return again.popleft()
    key = next(keys, None)
    return None if key is None else Case(key)


def _start(context: Any, examine: Examine, case: Case, limit: float) -> _Worker:
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(examine, theirs, limit), daemon=True)
    process.start()
    theirs.close()
    ours.send((case.key, case.next))
    return _Worker(process, ours, case, monotonic())


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
            return _died(worker, "stall", "the limit of CPU seconds was reached")
        return _died(worker, "leak", f"the process ended with {_exit(code)}")
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


def _died(worker: _Worker, verdict: str, message: str) -> bool:
    case = worker.case
    worker.process.join(5.0)
    case.deaths += 1
    if case.asked:
        case.records.append({**case.asked, "verdict": verdict, "message": message})
        case.next, case.asked = case.next + 1, {}
    else:  # the reference itself, or what prepares the case
        case.note["left_out"] = message
        case.next = -1
    return True


def _exit(code: int | None) -> str:
    return signal.Signals(-code).name if code is not None and code < 0 else f"status {code}"


def _serve(examine: Examine, connection: Connection, limit: float) -> None:
    """Examine cases until the other end is closed."""
    pages = int(open("/proc/self/statm").read().split()[0]) if _has_proc() else 0  # noqa: SIM115
    if pages:
        most = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
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


def _has_proc() -> bool:
    try:
        with open("/proc/self/statm"):
            return True
    except OSError:
        return False


def _allow(seconds: float) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))
