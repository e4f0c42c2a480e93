"""Sabotage the package, one line at a time, and require that the tests notice.

    python tests/mutants.py             all, two at a time
    python tests/mutants.py NAME ...    some
    python tests/mutants.py --list      their names
    python tests/mutants.py --generated arithmetic.py [TEST ...]

The last one makes its sabotages itself, in a module of `fsp/` in which bounds are made: each comparison, sum,
difference, sign, minimum and maximum is turned into its opposite, one at a time.  TEST are names as in test_NAME.py;
without them the tests that are named after the module must notice, or else those of its room.  Not each survivor is a
fault of the tests: a difference that only makes a bound larger is none.

Each sabotage is made in a copy of `fsp/`, `tests/` and `ci/` in a temporary directory; the working tree is not touched.
It counts as caught where a test fails that passes without it.  The exit status is 1 if one survives, or if its text is
not found exactly once.  Where compiled code is sabotaged, everything is compiled anew.
"""

from __future__ import annotations

import argparse
import ast
import os
import queue
import shutil
import subprocess
import sys
import tempfile
from bisect import bisect_right
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from runpy import run_path
from time import perf_counter

from fsp.compilation import objects
from fsp.compilation.parts import PARTS

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
WORKERS = 2
TIME_LIMIT = 240.0  # seconds for one run of the tests
MOST_RED = 4  # tests that may fail without a sabotage before a mutant is given up


@dataclass(frozen=True)
class Mutant:
    """A sabotage: `old` in `file` becomes `new`, and one of `tests` whose name holds `only` must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    only: str


def mutant(name, file, old, new, *tests, only=""):
    """Return a mutant of a file in fsp/; `tests` are names as in test_NAME.py, `only` an expression of pytest -k."""
    return Mutant(name, f"fsp/{file}", old, new, tuple(_test_file(test) for test in tests), only)


def _test_file(name):
    """Return the path of the one file of tests of this name, from the root; those of tests/mpi run under mpirun."""
    (path,) = (path for path in TESTS.rglob(f"test_{name}.py") if path.parent.name != "mpi")
    return str(path.relative_to(ROOT))


def all_mutants():
    """Return the mutants of all rooms; each room's are beside its tests."""
    pages = [TESTS / "mutants_of_the_house.py", *sorted(TESTS.glob("*/mutants.py"))]
    return [mutant for page in pages for mutant in run_path(str(page))["MUTANTS"]]


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


def generated(module, text):
    """Yield the sabotages of a module, each as its name and the whole text with one operation turned around."""
    lines = text.encode().splitlines(keepends=True)
    starts = [0, *accumulate(map(len, lines))]
    for first, end, old, new in sorted(_opposites(ast.parse(text), starts, text.encode())):
        line = bisect_right(starts, first)
        changed = text.encode()[:first] + new.encode() + text.encode()[end:]
        yield f"{module}:{line}:{first - starts[line - 1] + 1} {old} is {new}", changed.decode()


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


def generated_tests(module, names):
    """Return the tests of these names, else those that are named after a module, or else those of its room."""
    home = TESTS / Path(module).parent
    own = [home / f"test_{Path(module).stem}.py"]
    tests = [ROOT / _test_file(name) for name in names] or [test for test in own if test.exists()]
    return list(map(str, tests or sorted(home.glob("test_*.py"))))


SABOTAGED = """
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

PLUGIN = """
import hypothesis

# The first counterexample will do.
hypothesis.settings.register_profile(
    "unshrunk",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=50,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    report_multiple_bugs=False,
)


def pytest_runtest_logreport(report):
    if report.failed:
        with open("failed", "w") as file:
            file.write(report.nodeid)
"""


class Tree:
    """A copy of the package and its tests, in which one sabotage is made at a time.

    A worker keeps its copy.  Kernels are compiled anew where one is sabotaged, and no other time.
    """

    def __init__(self, folder):
        self.folder = folder
        self.cache = folder / "kernels"
        self.red = []  # tests that fail without a sabotage
        for part in ("fsp", "tests", "ci"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", ".hypothesis"))
        for part in PARTS:
            shutil.copy2(objects.find(part), folder / "fsp" / "compilation")  # of the sources without a sabotage
        shutil.copy2(ROOT / "pyproject.toml", folder)
        (folder / "mutants_plugin.py").write_text(PLUGIN)

    def try_out(self, mutant):
        """Return whether the tests catch a mutant, and how."""
        count = (self.folder / mutant.file).read_text().count(mutant.old)
        if count != 1:
            return False, f"its text occurs {count} times in {mutant.file}"
        for _ in range(MOST_RED):
            with self.sabotaged(mutant):
                failed, trouble = self.first_failure([*mutant.tests, "-k", mutant.only])
            if not failed:
                return False, trouble or "SURVIVES"
            if not self.first_failure([failed])[0]:
                return True, failed
            self.red.append(failed)
        return False, "too many tests fail without any sabotage"

    @contextmanager
    def sabotaged(self, mutant):
        """Make the sabotage, and take it back."""
        path = self.folder / mutant.file
        original, times = path.read_text(), path.stat()
        path.write_text(original.replace(mutant.old, mutant.new))
        try:
            yield
        finally:
            path.write_text(original)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    def first_failure(self, tests):
        """Run tests until one fails; return its id, "" where none does, and what else went wrong."""
        note = self.folder / "failed"
        note.unlink(missing_ok=True)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:randomly", "-p", "mutants_plugin", "--tb=no"]
        command += [f"--deselect={name}" for name in self.red]
        try:
            run = subprocess.run(
                [*command, *tests],
                cwd=self.folder,
                env=os.environ | self._settings(),
                capture_output=True,
                text=True,
                timeout=TIME_LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "", f"no verdict within {TIME_LIMIT:.0f} s"
        if note.exists():
            return note.read_text(), ""
        return "", "" if run.returncode == 0 else (run.stdout + run.stderr)[-400:]

    def _settings(self):
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        return threads | {
            "PYTHONPATH": str(self.folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "FSP_CACHE_DIR": str(self.cache),
            "HYPOTHESIS_PROFILE": "unshrunk",
        }


def main():
    """Run the mutants named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true", help="print the names")
    parser.add_argument("--generated", metavar="MODULE", help="turn each operation of fsp/MODULE into its opposite")
    arguments = parser.parse_args()
    if arguments.generated:
        return report_generated(arguments.generated, arguments.names)
    known = {mutant.name: mutant for mutant in all_mutants()}
    unknown = sorted(set(arguments.names) - set(known))
    if unknown:
        parser.error(f"NAME must be one that --list prints, but is '{unknown[0]}'.")
    chosen = [known[name] for name in arguments.names] or list(known.values())
    if arguments.list:
        print("\n".join(f"{mutant.name:42}{mutant.file}" for mutant in chosen))
        return 0
    return report(chosen)


def report_generated(module, names):
    """Try the sabotages of a module, each in a process that has not yet imported anything of the package."""
    os.chdir(ROOT)
    path, tests = ROOT / "fsp" / module, generated_tests(module, names)
    text = path.read_text()
    if notices(path, text, tests):
        print(f"{', '.join(tests)} must pass without any sabotage, but do not.")
        return 1
    sabotages, caught = list(generated(module, text)), 0
    for name, changed in sabotages:
        red = notices(path, changed, tests)
        caught += red
        print(f"{'caught' if red else 'SURVIVES':10}{name}", flush=True)
    print(f"{caught} of {len(sabotages)} caught")
    return int(caught < len(sabotages))


def notices(path, text, tests):
    """Return whether tests fail, or come to no end, where the file of a module has this text."""
    command = [sys.executable, "-c", SABOTAGED, str(path), "-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"]
    settings = {"env": os.environ | {"PYTHONPATH": str(ROOT)}, "capture_output": True, "text": True}
    try:
        run = subprocess.run([*command, *tests], input=text, timeout=TIME_LIMIT, check=False, **settings)
    except subprocess.TimeoutExpired:
        return True
    return run.returncode != 0


def report(chosen):
    """Try the mutants, print a line for each, and return the exit status."""
    caught = 0
    with tempfile.TemporaryDirectory(prefix="fsp-mutants-") as folder:
        trees = [Tree(Path(folder) / str(worker)) for worker in range(WORKERS)]
        free = queue.SimpleQueue()
        for tree in trees:
            free.put(tree)

        def judge(mutant):
            tree, started = free.get(), perf_counter()
            try:
                return mutant, *tree.try_out(mutant), perf_counter() - started
            finally:
                free.put(tree)

        with ThreadPoolExecutor(WORKERS) as pool:
            for mutant, red, how, seconds in pool.map(judge, chosen):
                caught += red
                print(f"{'caught' if red else 'FAILED':8}{mutant.name:42}{seconds:5.0f} s  {how}", flush=True)
        red = sorted({name for tree in trees for name in tree.red})
    print(f"{caught} of {len(chosen)} caught")
    for name in red:
        print(f"fails without any sabotage: {name}")
    return int(caught < len(chosen) or bool(red))


if __name__ == "__main__":
    sys.exit(main())
