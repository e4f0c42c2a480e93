"""Sabotage the package, one line at a time, and require that the tests notice.

    python tests/mutants.py             all, two at a time
    python tests/mutants.py NAME ...    some
    python tests/mutants.py --list      their names
    python tests/mutants.py --generated arithmetic.py [TEST ...]

The last one makes its sabotages itself, in a module of `fsp/` in which bounds are made: each comparison, sum,
difference, sign, minimum and maximum is turned into its opposite, one at a time (see `operator_mutants`).  TEST are
names as in test_NAME.py; without them the tests that are named after the module must notice, or else those of its room.
Not each survivor is a fault of the tests: a difference that only makes a bound larger is none.

Each sabotage is made in a copy of `fsp/`, `tests/`, `ci/` and pages that tests read, in a temporary directory; the
working tree is not touched.
It counts as caught where a test fails that passes without it.  The exit status is 1 if one survives, or if its text is
not found exactly once, or if all its tests are skipped, as those on ranks are where there is no PETSc.  Where compiled
code is sabotaged, everything is compiled anew.
"""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from runpy import run_path
from sys import maxsize
from time import perf_counter

import operator_mutants

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


def generated_tests(module, names):
    """Return the tests of these names, else those that are named after a module, or else those of its room."""
    home = TESTS / Path(module).parent
    own = [home / f"test_{Path(module).stem}.py"]
    tests = [ROOT / _test_file(name) for name in names] or [test for test in own if test.exists()]
    return list(map(str, tests or sorted(home.glob("test_*.py"))))


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
        for name in ("pyproject.toml", "CITATION.cff", "CONTRIBUTING.md", "docs/architecture.md"):  # which tests read
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
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
        if run.returncode:
            return "", (run.stdout + run.stderr)[-400:]
        is_skipped = " passed" not in run.stdout
        return "", f"NOT RUN: {run.stdout.strip().splitlines()[-1]}" if is_skipped else ""

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
    parser.add_argument("-k", dest="only", metavar="EXPRESSION", default="", help="with --generated: as of pytest")
    parser.add_argument("--every", type=int, metavar="N", default=1, help="with --generated: only each Nth operation")
    parser.add_argument(
        "--lines", type=_lines, metavar="A-B", default=(1, maxsize), help="with --generated: only these"
    )
    arguments = parser.parse_args()
    if (arguments.generated or "").endswith("kernels.py"):
        parser.error("--generated must be a module that Python runs, but kernels are compiled: write their mutants.")
    if arguments.generated:
        return report_generated(arguments)
    known = {mutant.name: mutant for mutant in all_mutants()}
    unknown = sorted(set(arguments.names) - set(known))
    if unknown:
        parser.error(f"NAME must be one that --list prints, but is '{unknown[0]}'.")
    chosen = [known[name] for name in arguments.names] or list(known.values())
    if arguments.list:
        print("\n".join(f"{mutant.name:42}{mutant.file}" for mutant in chosen))
        return 0
    return report(chosen)


def _lines(text):
    """Return the first and the last line that `A-B` or `A` names."""
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def report_generated(arguments):
    """Judge the sabotages of a module, print a line for each, and return the exit status."""
    os.chdir(ROOT)
    tests = generated_tests(arguments.generated, arguments.names)
    judge = operator_mutants.Judge(arguments.generated, tests, arguments.only, WORKERS)
    text = judge.path.read_text()
    first, last = arguments.lines
    sabotages = [sabotage for sabotage in operator_mutants.sabotages(text) if first <= sabotage.line <= last]
    chosen, caught = sabotages[:: arguments.every], []

    def show(sabotage, how, executed):
        verdict = "caught" if how else "SURVIVES" if executed else "NOT RUN"
        place = f"{arguments.generated}:{sabotage.line}:{sabotage.column}"
        shown = how or text.splitlines()[sabotage.line - 1].strip()
        print(f"{verdict:10}{place} {sabotage.old} is {sabotage.new}    {shown}", flush=True)
        caught.append(bool(how))

    judge.judge(chosen, show)
    print(f"{sum(caught)} of {len(chosen)} caught, of {len(sabotages)}")
    return int(sum(caught) < len(chosen))


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
