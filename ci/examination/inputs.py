"""Give broken inputs to the package: a named error or a right answer, in 10 s, below 1 GiB, exit status as documented.

Every input has a process of its own, forked from one that has imported what is needed, in a folder of its own.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from examination import broken
from examination.broken import Input

import fsp

SECONDS = 10  # of the CPU
PATIENCE = 6.0  # wall seconds for each of them, on a machine that does other things too
MEMORY = 1 << 30
SPARE = 3 << 30  # address space beyond that at the start: more than this is not even tried
ANSWERED = (0, 7)
NAMED = 50  # status of a child whose Python call raised an error of the package
UNNAMED = 51
NEAR = 1e-5  # of a mean that is right


@dataclass(frozen=True)
class Outcome:
    """What became of a process."""

    status: int  # negative: the signal that ended it
    out: str
    err: str
    seconds: float  # of the CPU
    memory: int  # bytes, at most
    hung: bool


def examine(key: tuple[str, int], first: int) -> Iterator[tuple[str, Any]]:
    """Give one input, and say what became of it."""
    form, seed = key
    given = broken.draw(form, seed)
    asked = {"door": form, "solver": given.name, "tol": seed}
    yield "ask", asked
    outcome = run(given)
    verdict, message = judge(given, outcome)
    yield "answer", {**asked, "verdict": verdict, "message": message, "cpu": outcome.seconds, "memory": outcome.memory}


def judge(given: Input, outcome: Outcome) -> tuple[str, str]:
    """Return the verdict, and what is wrong."""
    said = [line for line in outcome.err.strip().splitlines() if line.strip()]
    if not said and given.words is not None and "batch" in given.words:  # which lists jobs that failed as its answer
        said = [line for line in outcome.out.strip().splitlines() if line.strip()]
    last = said[-1] if said else ""
    if outcome.memory > MEMORY:
        return "leak", f"{given.name}: {outcome.memory >> 20} MiB; {last}"
    if outcome.hung or outcome.status in (-signal.SIGXCPU, -signal.SIGKILL):
        return "stall", f"{given.name}: no end after {SECONDS} s"
    if outcome.status < 0:
        return "leak", f"{given.name}: the process ended by {signal.Signals(-outcome.status).name}"
    if outcome.status == UNNAMED or "Traceback (most recent call last)" in outcome.err:
        return "leak", f"{given.name}: {last}"
    if "Warning:" in outcome.err and "ToleranceWarning" not in outcome.err:
        return "leak", f"{given.name}: {next(line for line in said if 'Warning:' in line)}"
    refused = outcome.status == NAMED if given.words is None else outcome.status in given.codes
    if refused and given.expected != "right":
        return ("refused", f"{given.name}: {last}") if len(last) > 20 else ("leak", f"{given.name}: mute, {last!r}")
    return _judge_answer(given, outcome, last)


def _judge_answer(given: Input, outcome: Outcome, last: str) -> tuple[str, str]:
    if outcome.status not in ANSWERED:
        word = "refused, though it is right" if given.expected == "right" else "undocumented"
        return "broken", f"{given.name}: {word}, status {outcome.status}: {last}"
    if given.expected == "refused":
        return "broken", f"{given.name}: accepted"
    wrong = _wrong(outcome.out) if given.words is None or "--json" in given.words else ""
    if wrong and (given.expected == "right" or given.name not in ("number", "flip", "cut", "drop", "repeat", "noise")):
        return "broken", f"{given.name}: {wrong}"
    return "good", ""


def _wrong(out: str) -> str:
    """Return what is wrong with a printed answer; nothing where it says what it is about and is right."""
    text = out.strip()
    if text.startswith("differs"):
        return text
    try:
        record = json.loads(text)
        times = record["times"]
        low, high = times[-1]["mean_interval"]["A"]
    except (ValueError, KeyError, TypeError, IndexError):
        return ""
    if times[-1]["t"] != broken.T or low - NEAR <= broken.MEAN <= high + NEAR:
        return ""
    return f"mean in [{low}, {high}], right is {broken.MEAN}"


def run(given: Input) -> Outcome:
    """Run one input in a process with limits."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        replaced = broken.write_around(folder)
        if given.file is not None:
            path = folder / given.file[0]
            path.write_bytes(given.file[1])
            replaced["{file}"] = str(path)
        out, err = folder / "stdout", folder / "stderr"
        held = _resident()
        child = os.fork()
        if child == 0:
            _become(given, folder, replaced, out, err)
        status, used, hung = _await(child)
        read = (path.read_text(encoding="utf-8", errors="replace") if path.exists() else "" for path in (out, err))
        code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        return Outcome(code, *read, used.ru_utime + used.ru_stime, max(0, 1024 * used.ru_maxrss - held), hung)


def _resident() -> int:
    """Return the bytes of its own that this process holds now: a fork begins with them, and without pages of files."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon:", "RssShmem:")))


def _await(child: int) -> tuple[int, resource.struct_rusage, bool]:
    patience = monotonic() + PATIENCE * SECONDS
    hung = False
    while True:
        ended, status, used = os.wait4(child, os.WNOHANG)
        if ended:
            return status, used, hung
        if monotonic() > patience:
            hung = True
            os.kill(child, signal.SIGKILL)
        sleep(0.002)


def _become(given: Input, folder: Path, replaced: dict[str, str], out: Path, err: Path) -> None:
    """Be the process of an input; does not return."""
    status = UNNAMED
    try:
        faulthandler.disable()
        os.chdir(folder)
        for number, path in ((1, out), (2, err)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + SPARE, held + SPARE))
        used = resource.getrusage(resource.RUSAGE_SELF)
        soft = int(used.ru_utime + used.ru_stime) + SECONDS + 1
        resource.setrlimit(resource.RLIMIT_CPU, (soft, soft + 1))
        warnings.resetwarnings()
        warnings.showwarning = _say
        status = _python(given, folder) if given.words is None else _command(given.words, replaced)
    except BaseException:  # whatever it is, it must not go on in the examination
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _say(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    print(f"{category.__name__}: {message}", file=sys.stderr)


def _command(words: tuple[str, ...], replaced: dict[str, str]) -> int:
    from fsp.command.main import main

    arguments = []
    for word in words:
        for old, new in replaced.items():
            word = word.replace(old, new)
        arguments.append(word.replace("''", ""))
    sys.argv = ["fsp", *arguments]
    try:
        main(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return 0


def _python(given: Input, folder: Path) -> int:
    names: dict[str, Any] = {"fsp": fsp, "model": eval(broken.COMMON, {"fsp": fsp}), "path": folder / "run.h5"}
    warnings.simplefilter("always")
    warnings.simplefilter("ignore", fsp.ToleranceWarning)
    try:
        exec(given.python, names)
    except (fsp.FSPError, TypeError) as error:
        if isinstance(error, TypeError) and "() got an unexpected keyword argument" not in str(error):
            raise
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return NAMED
    answer = names["answer"]
    if isinstance(answer, fsp.Interval) and given.expected == "right":
        print("same" if answer.lower - NEAR <= broken.MEAN <= answer.upper + NEAR else f"differs: {answer}")
    elif isinstance(answer, str):
        print(answer)
    return 0
