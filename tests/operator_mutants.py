"""Turn each operation of a module of `fsp/` into its opposite, one at a time, and see which the tests do not notice.

Tests are run once under a tracer, which learns the lines of the module that each one executes, and how long it takes.
A sabotage is then judged in a fork of a process that has imported all but the package and the tests, by the tests
that execute its line, the quickest one first.  What a fixture executes counts for all tests of its file, and what is
executed while modules are imported for all tests.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import resource
import signal
import sys
import tempfile
import threading
import traceback
from bisect import bisect_right
from collections import defaultdict
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from itertools import accumulate
from pathlib import Path
from time import perf_counter, sleep

import hypothesis
import pytest

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
PATIENCE = 4.0  # times what tests take without a sabotage: one that takes longer is caught, as it comes to no end
LEAST_PATIENCE = 2.0  # CPU seconds a test
MEMORY = 6 << 30  # bytes of addresses a sabotage may take
NOT_FORKED = {"petsc4py", "slepc4py", "mpi4py", "fsp"}  # what each process imports for itself
OPTIONS = ["-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--tb=no"]
OPTIONS += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of hypothesis, which is imported before the fork

OPPOSITES = {
    ast.Lt: ("<", ">="),
    ast.LtE: ("<=", ">"),
    ast.Gt: (">", "<="),
    ast.GtE: (">=", "<"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.USub: ("-", "+"),
}
EXTREMES = {"max": "min", "min": "max", "maximum": "minimum", "minimum": "maximum", "floor": "ceil", "ceil": "floor"}


@dataclass(frozen=True)
class Sabotage:
    """An operation of a module and its opposite; `text` is that of the whole module."""

    line: int
    column: int
    old: str
    new: str
    text: str


def sabotages(text):
    """Return the sabotages of a module."""
    lines = text.encode().splitlines(keepends=True)
    starts = [0, *accumulate(map(len, lines))]
    made = []
    for first, end, old, new in sorted(_opposites(ast.parse(text), starts, text.encode())):
        line = bisect_right(starts, first)
        changed = text.encode()[:first] + new.encode() + text.encode()[end:]
        made.append(Sabotage(line, first - starts[line - 1] + 1, old, new, changed.decode()))
    return made


def _opposites(tree, starts, text):
    """Yield beginning, end, text and opposite of each operation."""

    def operator(after, before, kind):
        old, new = OPPOSITES[kind]
        first = text.index(old.encode(), after, before)
        return first, first + len(old), old, new

    for node in (node for node in ast.walk(tree) if isinstance(node, ast.expr)):
        kind = type(getattr(node, "op", None) or getattr(node, "ops", [None])[0])
        if isinstance(node, ast.UnaryOp) and kind is ast.USub:
            yield operator(starts[node.lineno - 1] + node.col_offset, _end(node, starts), kind)
        elif isinstance(node, ast.Compare | ast.BinOp) and kind in OPPOSITES:
            yield operator(_end(node.left, starts), _end(node, starts), kind)
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in EXTREMES:
                yield _end(node.func, starts) - len(name), _end(node.func, starts), name, EXTREMES[name]


def _end(node, starts):
    return starts[node.end_lineno - 1] + node.end_col_offset


class Tracer:
    """A plugin of pytest that notes the lines of a file that each test executes, and the seconds it takes.

    Lines that are executed before the tests are those of the test "".
    """

    def __init__(self, path):
        self.path = str(path)
        self.lines = defaultdict(set)
        self.seconds = defaultdict(float)
        self.of_fixtures = defaultdict(set)
        self.now = self.lines[""]
        sys.settrace(self._call)

    def _call(self, frame, _event, _argument):
        if frame.f_code.co_filename != self.path:
            return None
        self.now.add(frame.f_lineno)
        return self._line

    def _line(self, frame, _event, _argument):
        self.now.add(frame.f_lineno)
        return self._line

    def pytest_runtest_logstart(self, nodeid):
        self.now = self.lines[nodeid]
        threading.settrace(self._call)
        sys.settrace(self._call)

    def pytest_runtest_logfinish(self):
        sys.settrace(None)
        threading.settrace(None)

    def pytest_runtest_logreport(self, report):
        self.seconds[report.nodeid] += report.duration
        if report.when == "setup":
            self.of_fixtures[report.nodeid.partition("::")[0]] |= self.now

    def record(self):
        """Return what was noted, and the modules that tests need apart from the package and themselves."""
        outside = [name for name, module in list(sys.modules.items()) if not self._is_of_the_house(name, module)]
        shared = {name: self.of_fixtures[name.partition("::")[0]] for name in self.lines}
        lines = {name: sorted(lines | shared[name]) for name, lines in self.lines.items()}
        return {"lines": lines, "seconds": self.seconds, "modules": outside}

    def _is_of_the_house(self, name, module):
        file = str(getattr(module, "__file__", None) or "")
        return name.split(".")[0] in NOT_FORKED or file.startswith((str(TESTS), str(ROOT / "ci"), str(ROOT / "fsp")))


class Order:
    """A plugin of pytest that runs some tests, in an order, or all, notes a failure, and ends one that has no end."""

    def __init__(self, names, seconds, note):
        self.rank = {name: rank for rank, name in enumerate(names)}
        self.seconds = seconds
        self.note = note

    def pytest_runtest_logstart(self, nodeid):
        signal.setitimer(signal.ITIMER_PROF, LEAST_PATIENCE + PATIENCE * self.seconds.get(nodeid, 0.0))

    def pytest_collection_modifyitems(self, items):
        items.sort(key=lambda item: self.rank.get(item.nodeid, len(self.rank)))
        if "" not in self.rank:
            items[:] = [item for item in items if item.nodeid in self.rank]

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.note.write_text(report.nodeid)


class Judge:
    """Judge sabotages of a module by files of tests, `workers` at a time; `only` is an expression of pytest -k."""

    def __init__(self, module, tests, only="", workers=2):
        self.path = ROOT / "fsp" / module
        self.options = [*OPTIONS, "-k", only]
        self.files = [str(Path(test).resolve().relative_to(ROOT)) for test in tests]
        self.workers = workers
        self._folder = tempfile.TemporaryDirectory(prefix="fsp-mutants-")
        self.notes = Path(self._folder.name)
        hypothesis.settings.register_profile("unshrunk", **UNSHRUNK)
        os.environ |= {"HYPOTHESIS_PROFILE": "unshrunk", "PYTHONPATH": str(ROOT)}
        sys.path.insert(0, str(ROOT))
        started = perf_counter()
        self.record = self._traced()
        self.limit = 10.0 + PATIENCE * (perf_counter() - started)
        for name in self.record["modules"]:
            with suppress(Exception):
                importlib.import_module(name)

    def _traced(self):
        """Run the tests without a sabotage, and return what the tracer noted."""
        note = self.notes / "record"

        def trace():
            tracer = Tracer(self.path)
            status = pytest.main([*self.options, *self.files], plugins=[tracer])
            note.write_text(json.dumps(tracer.record()))
            return status

        child = _forked(trace, self.notes / "output")
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            raise SystemExit(
                "Tests must pass without any sabotage, but do not.\n" + (self.notes / "output").read_text()[-2000:]
            )
        return json.loads(note.read_text())

    def verdicts(self, chosen):
        """Yield each sabotage with the test that caught it, "" where none did, and whether a test executes its line."""
        waiting, running = list(reversed(chosen)), {}
        while waiting or running:
            while waiting and len(running) < self.workers:
                sabotage = waiting.pop()
                if not self.tests_of(sabotage.line):
                    yield sabotage, "", False
                    continue
                note = self.notes / f"{sabotage.line}-{sabotage.column}"
                running[self._started(sabotage, note)] = sabotage, note, perf_counter()
            sleep(0.01)
            for child, (sabotage, note, started) in list(running.items()):
                late = perf_counter() - started > self.limit
                if late:
                    os.killpg(child, signal.SIGKILL)
                ended, status = os.waitpid(child, 0 if late else os.WNOHANG)
                if ended:
                    del running[child]
                    late = late or os.waitstatus_to_exitcode(status) == -signal.SIGPROF
                    how = note.read_text() if note.exists() else "no end" if late else "no start" if status else ""
                    yield sabotage, how, True

    def tests_of(self, line):
        """Return the tests that execute a line, the quickest one first; "" stands for the import of the module."""
        executed = [name for name, lines in self.record["lines"].items() if line in lines]
        return sorted(executed, key=lambda name: self.record["seconds"].get(name, 0.0))

    def _started(self, sabotage, note):
        """Return the process in which a sabotage is judged."""

        def judge():
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            path, code_of = str(self.path), SourceFileLoader.get_code
            SourceFileLoader.get_code = lambda loader, name: (
                compile(sabotage.text, path, "exec") if loader.path == path else code_of(loader, name)
            )
            tests = self.tests_of(sabotage.line)
            files = self.files if "" in tests else sorted({name.partition("::")[0] for name in tests})
            return pytest.main([*self.options, *files], plugins=[Order(tests, self.record["seconds"], note)])

        return _forked(judge, Path(os.devnull))


UNSHRUNK = {  # the first counterexample will do
    "derandomize": True,
    "database": None,
    "deadline": None,
    "max_examples": 50,
    "phases": [hypothesis.Phase.explicit, hypothesis.Phase.generate],
    "report_multiple_bugs": False,
}


def _forked(job, output):
    """Return the process, a group of its own, in which a job runs and prints into a file."""
    child = os.fork()
    if child:
        return child
    os.setpgid(0, 0)
    status = 1
    try:
        with output.open("w") as file, redirect_stdout(file), redirect_stderr(file):
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            status = int(job())
    except BaseException:
        traceback.print_exc(file=output.open("a"))
    finally:
        os._exit(status)
