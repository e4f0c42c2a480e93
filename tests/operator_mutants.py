"""Turn each operation of a module of `fsp/` into its opposite, one at a time, and see which the tests do not notice.

pytest collects the tests once.  They are run once under a tracer, which learns the lines of the module that each one
executes, and how long it takes.  A sabotage is then judged in a fork of that process, in which the functions of the
module are given their changed code, by the tests that execute its line, the quickest one first.  What a fixture
executes counts for all tests of its file.  What is executed while modules are imported is judged by all tests, in a new
process.
"""

from __future__ import annotations

import ast
import gc
import inspect
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from importlib import import_module
from itertools import accumulate, pairwise
from pathlib import Path
from time import perf_counter, sleep
from types import CodeType, FunctionType

import hypothesis
import pytest

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
PATIENCE = 4.0  # times what tests take without a sabotage: one that takes longer is caught, as it comes to no end
LEAST_PATIENCE = 2.0  # CPU seconds a test
MEMORY = 6 << 30  # bytes of addresses a sabotage may take
TIME_LIMIT = 240.0  # seconds for all tests
OPTIONS = ["-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--tb=no"]
OPTIONS += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of hypothesis, which is imported before
UNSHRUNK = {  # the first counterexample will do
    "derandomize": True,
    "database": None,
    "deadline": None,
    "max_examples": 50,
    "phases": [hypothesis.Phase.explicit, hypothesis.Phase.generate],
    "report_multiple_bugs": False,
}
FROM_THE_START = """
import sys
from importlib.machinery import SourceFileLoader

import pytest

path, text = sys.argv[1], sys.stdin.read()
code_of = SourceFileLoader.get_code
SourceFileLoader.get_code = lambda loader, name: (
    compile(text, path, "exec") if loader.path == path else code_of(loader, name)
)
sys.exit(pytest.main(sys.argv[2:]))
"""

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


def functions(text, path):
    """Return the code of the functions and methods of a module, by the names and the lines at which they begin."""
    known, waiting = {}, [compile(text, path, "exec")]
    while waiting:
        code = waiting.pop()
        if code.co_flags & inspect.CO_OPTIMIZED:
            known[code.co_qualname, code.co_firstlineno] = code
        else:  # a module or a class
            waiting += [part for part in code.co_consts if isinstance(part, CodeType)]
    return known


class Tracer:
    """A plugin of pytest that notes the lines of a file that each test executes, and the seconds it takes."""

    def __init__(self, path):
        self.path = str(path)
        self.lines, self.of_fixtures = defaultdict(set), defaultdict(set)
        self.seconds = defaultdict(float)
        self.now = set()

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
        self._forget()
        threading.settrace(self._call)
        sys.settrace(self._call)

    def _forget(self):
        """Empty the caches of the module, so that each test executes what it needs."""
        for module in [module for module in sys.modules.values() if getattr(module, "__file__", None) == self.path]:
            for cached in [value for value in vars(module).values() if hasattr(value, "cache_clear")]:
                cached.cache_clear()

    def pytest_runtest_logfinish(self):
        sys.settrace(None)
        threading.settrace(None)

    def pytest_runtest_logreport(self, report):
        self.seconds[report.nodeid] += report.duration
        if report.when == "setup":
            self.of_fixtures[_file_of(report.nodeid)] |= self.now

    def record(self):
        """Return what was noted."""
        lines = {name: sorted(lines | self.of_fixtures[_file_of(name)]) for name, lines in self.lines.items()}
        return {"lines": lines, "seconds": self.seconds}


def _file_of(name):
    return name.partition("::")[0]


class Verdict:
    """A plugin of pytest that notes the test that fails, and ends one that has no end."""

    def __init__(self, seconds, note):
        self.seconds, self.note = seconds, note
        self.failed = False

    def pytest_runtest_logstart(self, nodeid):
        signal.setitimer(signal.ITIMER_PROF, LEAST_PATIENCE + PATIENCE * self.seconds[nodeid])

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failed = True
            self.note.write_text(report.nodeid)


class Judge:
    """Judge sabotages of a module by files of tests, `workers` at a time; `only` is an expression of pytest -k.

    A plugin of pytest, whose tests it forks; `report` is called with each sabotage, the test that caught it, "" where
    none did, and whether a test executes its line.
    """

    def __init__(self, module, tests, only="", workers=2):
        self.path = ROOT / "fsp" / module
        self.name = ".".join(("fsp", *Path(module).with_suffix("").parts))
        self.text = self.path.read_text()
        self.arguments = [*OPTIONS, "-k", only, *map(str, tests)]
        self.workers = workers

    def judge(self, chosen, report):
        """Judge some sabotages."""
        self.chosen, self.report = chosen, report
        hypothesis.settings.register_profile("unshrunk", **UNSHRUNK)
        os.environ |= {"HYPOTHESIS_PROFILE": "unshrunk", "PYTHONPATH": str(ROOT)}
        sys.path.insert(0, str(ROOT))
        with tempfile.TemporaryDirectory(prefix="fsp-mutants-") as folder:
            self.notes = Path(folder)
            status = pytest.main(["-s", *self.arguments], plugins=[self])
        if status:
            raise SystemExit("Tests must pass without any sabotage, but do not.")

    def pytest_runtestloop(self, session):
        """Judge the sabotages by the tests of a session."""
        self.items = {item.nodeid: item for item in session.items}
        import_module(self.name)  # what a test imports later would come without the sabotage
        self.record = self._traced()
        if self.record is None or session.testsfailed:
            session.testsfailed += 1
            return True
        waiting, running = list(reversed(self.chosen)), {}
        while waiting or running:
            while waiting and len(running) < self.workers:
                sabotage = waiting.pop()
                note = self.notes / f"{sabotage.line}-{sabotage.column}"
                child = self._started(sabotage, note)
                if child is None:
                    self.report(sabotage, "", False)
                else:
                    running[child] = sabotage, note, perf_counter()
            sleep(0.01)
            for child, (sabotage, note, started) in list(running.items()):
                if perf_counter() - started > TIME_LIMIT:
                    os.killpg(child, signal.SIGKILL)
                ended, status = os.waitpid(child, os.WNOHANG)
                if ended:
                    del running[child]
                    how = note.read_text() if note.exists() else f"status {status}" if status else ""
                    ends = os.waitstatus_to_exitcode(status) not in (-signal.SIGPROF, -signal.SIGKILL)
                    self.report(sabotage, how if ends else "no end", True)
        return True

    def _traced(self):
        """Run the tests without a sabotage, and return what the tracer noted; None where one fails."""
        note, verdict = self.notes / "record", Verdict(defaultdict(lambda: TIME_LIMIT), self.notes / "failed")

        def trace():
            tracer = Tracer(self.path)
            self._run(list(self.items.values()), verdict, tracer)
            note.write_text(json.dumps(tracer.record()))
            return verdict.failed

        status = os.waitpid(_forked(trace), 0)[1]
        return None if status else json.loads(note.read_text())

    @staticmethod
    def _run(items, verdict, *plugins):
        """Run tests until one fails."""
        manager = items[0].config.pluginmanager
        for plugin in (verdict, *plugins):
            manager.register(plugin)
        for item, following in pairwise([*items, None]):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if verdict.failed:
                break
        return verdict.failed

    def _started(self, sabotage, note):
        """Return the process in which a sabotage is judged; None where no test executes it."""
        before, after = (functions(text, str(self.path)) for text in (self.text, sabotage.text))
        changed = {key: code for key, code in after.items() if code != before[key]}
        if not changed:
            return _forked(lambda: self._from_the_start(sabotage, note))
        seconds = self.record["seconds"]
        executed = (name for name, lines in self.record["lines"].items() if sabotage.line in lines)
        tests = [self.items[name] for name in sorted(executed, key=seconds.get)]

        def judge():
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            for thing in gc.get_objects():
                if isinstance(thing, FunctionType) and thing.__code__.co_filename == str(self.path):
                    code = thing.__code__
                    thing.__code__ = changed.get((code.co_qualname, code.co_firstlineno), code)
            return self._run(tests, Verdict(seconds, note))

        return _forked(judge) if tests else None

    def _from_the_start(self, sabotage, note):
        command = [sys.executable, "-c", FROM_THE_START, str(self.path), *self.arguments]
        run = subprocess.run(command, input=sabotage.text, capture_output=True, text=True, check=False)
        if run.returncode:
            note.write_text("a test in a new process")
        return run.returncode != 0


def _forked(job):
    """Return the process, a group of its own, in which a job runs and prints nothing."""
    child = os.fork()
    if child:
        return child
    os.setpgid(0, 0)
    status = 1
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        status = int(job())
    finally:
        os._exit(status)
