"""The distributed backend: runs tests/mpi under mpirun on 1, 2 and 3 ranks, and programs that fail."""

from __future__ import annotations

import builtins
import json
import sys

import launcher
import pytest
from click.testing import CliRunner
from launcher import TOO_LONG, fsp_on_ranks
from mpi_needed import needs_mpi

import fsp
from fsp.command.main import main
from fsp.errors import BackendError
from fsp.petsc import environment

FILES = sorted((launcher.ROOT / "tests" / "mpi").glob("test_*.py"))


@needs_mpi
@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_on_ranks(file, n):
    flags = ["-q", "-x", "-p", "no:randomly", "-p", "no:cacheprovider", "--color=no"]
    done = launcher.mpirun(n, "-m", "pytest", *flags, file)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stdout.count("passed") == n


@needs_mpi
def test_benchmarks_may_import_what_starts_ranks(tmp_path):
    """A program under mpirun cannot start another one before it has called MPI."""
    done = run_script(tmp_path, 1, "import launcher\nfrom mpi4py import MPI\nprint(MPI.COMM_WORLD.Get_size())\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1"]


def run_script(tmp_path, n, text):
    script = tmp_path / "script.py"
    script.write_text(text)
    return launcher.mpirun(n, script, timeout=TOO_LONG)


@needs_mpi
def test_an_error_on_one_rank_ends_all(tmp_path):
    done = run_script(
        tmp_path,
        3,
        "from fsp.petsc import Communicator, termination\n"
        "termination.GRACE = 0.5\n"
        "ranks = Communicator()\n"
        "if ranks.rank == 1:\n"
        "    raise ValueError('only here')\n"
        "ranks.mpi.Barrier()\n",
    )
    assert done.returncode != 0
    assert done.stderr.count("ValueError: only here") == 1
    assert "rank 1 of 3" in done.stderr


@needs_mpi
def test_an_interrupt_that_comes_to_one_rank_ends_all(tmp_path):
    """In the middle of a product; what was reached would be brought together by all."""
    done = run_script(
        tmp_path,
        2,
        "import fsp\n"
        "from fsp.petsc import Communicator, halo, termination\n"
        "termination.GRACE = 0.5\n"
        "finish, calls = halo.Halo.finish, []\n"
        "def interrupted(*given):\n"
        "    calls.append(given)\n"
        "    if len(calls) == 50 and Communicator().rank == 1:\n"
        "        raise KeyboardInterrupt\n"
        "    return finish(*given)\n"
        "halo.Halo.finish = interrupted\n"
        "model = fsp.Model(species={'X': 30, 'Y': 0}, reactions=[fsp.Reaction('X -> Y', mass_action=1.0)])\n"
        "fsp.transient(model, [9.0], backend='petsc', solver='uniformization')\n",
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\nKeyboardInterrupt\n(rank 1 of 2; it ends the others)") == 1


SOLVED = (
    "import fsp\n"
    "from fsp.petsc import Communicator\n"
    "model = fsp.Model(species={'X': 3}, reactions=[fsp.Reaction('X -> 0', mass_action=1.0)])\n"
    "solution = fsp.transient(model, [1.0], backend='petsc')\n"
)


@needs_mpi
def test_one_rank_may_print_a_solution(tmp_path):
    done = run_script(tmp_path, 2, f"{SOLVED}if Communicator().rank == 0:\n    print(solution)\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("solver: ") == 1


@needs_mpi
def test_a_question_that_one_rank_asks_alone_is_refused(tmp_path):
    done = run_script(tmp_path, 2, f"{SOLVED}if Communicator().rank == 0:\n    solution[0].marginal('X')\n")
    assert done.returncode != 0
    message = "rank 0 is in Distribution.marginal('X') and rank 1 in the end of the program"
    assert done.stderr.count(message) == 1


@needs_mpi
@pytest.mark.parametrize(
    ("words", "way"),
    [
        (["transient", "--times", "1", "--out", "one.h5"], "give --backend petsc, or start it without mpirun"),
        (["info"], "; start it without mpirun"),
    ],
)
def test_a_command_for_one_process_is_refused_on_several(tmp_path, monkeypatch, words, way):
    monkeypatch.setattr(launcher, "WHERE", tmp_path)
    done = fsp_on_ranks(2, words[0], MODEL, *words[1:])
    assert done.returncode == 2
    assert done.stderr.count("fsp: error: ") == done.stderr.count(way) == 1
    assert not list(tmp_path.iterdir())


@needs_mpi
@pytest.mark.parametrize("n", [1, 3])
def test_an_error_on_all_ranks_is_printed_once(tmp_path, n):
    done = run_script(
        tmp_path,
        n,
        "from fsp import Model, Reaction\n"
        "from fsp.petsc import StateSpace\n"
        "StateSpace.reachable(Model(species={'X': 0}, reactions=[Reaction('0 -> X', mass_action=1.0)]))\n",
    )
    assert done.returncode == 1
    assert done.stderr.count("The reachable set must be finite") == 1


@needs_mpi
@pytest.mark.parametrize("only", ["True", "ranks.rank == 2"])
def test_a_guarded_error_ends_all_ranks_with_one_message(tmp_path, only):
    done = run_script(
        tmp_path,
        3,
        "from fsp.petsc import Communicator, termination\n"
        "termination.GRACE = 0.5\n"
        "ranks = Communicator()\n"
        "with ranks.guard(lambda error: f'Error: {error}'):\n"
        f"    if {only}:\n"
        "        raise ValueError('in vain')\n"
        "    ranks.mpi.Barrier()\n",
    )
    assert done.returncode == 1
    assert done.stderr.count("Error: in vain") == 1
    assert "Traceback" not in done.stderr


MANIFEST = """
[[jobs]]
model = "birth.ant"
times = 1
sweep = { k = [1, 2, 3] }
[[jobs]]
model = "missing.ant"
times = 1
"""


@pytest.fixture
def manifest(tmp_path):
    (tmp_path / "birth.ant").write_text("birth: -> X; k\nX -> ; X\nk = 1; X = 0\nsubstanceOnly species X\n")
    (tmp_path / "manifest.toml").write_text(MANIFEST)
    return tmp_path / "manifest.toml"


@needs_mpi
def test_the_command_solves_a_batch_on_ranks(manifest, tmp_path):
    done = launcher.mpirun(2, "-m", "fsp", "batch", manifest, "--out", tmp_path / "out", "--quiet")
    assert done.returncode == 1
    assert done.stdout.count("4 jobs: 3 solved, 1 failed") == 1
    assert done.stdout.count("failed: missing: ") == 1
    assert sorted(path.stem for path in (tmp_path / "out").glob("*.h5")) == [f"birth-k={k}" for k in (1, 2, 3)]
    manifest.write_text(MANIFEST.split('[[jobs]]\nmodel = "missing')[0])
    done = launcher.mpirun(2, "-m", "fsp", "batch", manifest, "--out", tmp_path / "out", "--resume")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("3 jobs: 3 kept") == 1


@needs_mpi
def test_a_bad_manifest_is_one_message_on_ranks(manifest, tmp_path):
    manifest.write_text("tol = 1\n")
    done = launcher.mpirun(3, "-m", "fsp", "batch", manifest, "--out", tmp_path / "out", timeout=TOO_LONG)
    assert done.returncode == 2
    assert done.stderr.count("fsp: error: `jobs` must be a list of tables") == 1
    assert "Traceback" not in done.stderr


@needs_mpi
def test_a_job_that_fails_on_one_rank_alone_ends_all(manifest, tmp_path):
    done = run_script(
        tmp_path,
        2,
        "from pathlib import Path\n"
        "import fsp\n"
        "from fsp.jobs import rank_groups\nfrom fsp.petsc import Communicator, termination\n"
        "termination.GRACE = 0.5\n"
        "def transient(model, times, tol, *, comm, **more):\n"
        "    if comm.Get_rank() == 1:\n"
        "        raise MemoryError('only here')\n"
        "    comm.Barrier()\n"
        "fsp.transient = transient\n"
        f"rank_groups.solve_in_groups(Path({str(manifest)!r}), Path({str(tmp_path / 'out')!r}), 2)\n",
    )
    assert done.returncode != 0
    assert done.stderr.count("fsp: error: birth-k=1: failed: only here") == 1


MODEL = launcher.ROOT / "examples" / "toggle_switch.ant"


@needs_mpi
@pytest.mark.parametrize("n", [1, 3])
def test_the_command_prints_once_what_it_prints_in_serial(n):
    words = ["transient", MODEL, "--times", "0.5,1", "--tol", "1e-4", "--solver", "uniformization", "--marginal", "U"]
    done = fsp_on_ranks(n, *words, "--backend", "petsc")
    assert done.returncode == 0, done.stderr
    alone = CliRunner().invoke(main, list(map(str, words)))
    rows, expected = done.stdout.splitlines(), alone.stdout.splitlines()
    assert len(rows) == len(expected)
    assert rows[:3] == expected[:3]  # the seconds differ
    assert rows[4:] == expected[4:]


@needs_mpi
@pytest.mark.parametrize("n", [1, 2])
def test_the_command_for_stationary_distributions_passes_options_to_petsc(n):
    words = ["stationary", MODEL, "--backend", "petsc", "--tol", "1e-4", "--method", "iterative"]
    done = fsp_on_ranks(n, *words, "-fsp_ksp_type", "fgmres", "-fsp_ksp_gmres_restart", "40")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("stationary: ") == 1
    assert "has an option" not in done.stderr
    mistyped = fsp_on_ranks(n, *words, "-fsp_ksp_typ", "fgmres")
    assert mistyped.stderr.count("has an option -fsp_ksp_typ: the name may be mistyped") == 1
    refused = fsp_on_ranks(n, *words, "-fsp_speed", "2")
    assert refused.returncode == 2
    assert refused.stderr.count("`options` must be named after an object of PETSc") == 1


@pytest.fixture
def fit_words(manifest, tmp_path):
    cells = "".join(f"{t},{n}\n" for t, n in zip([1] * 6 + [2] * 6, [0, 1, 2, 0, 1, 1, 1, 0, 3, 1, 1, 2], strict=True))
    (tmp_path / "cells.csv").write_text(f"time,n\n{cells}")
    words = ["fit", tmp_path / "birth.ant", "--data", tmp_path / "cells.csv", "--observe", "X=n", "--free", "k=0.1:10"]
    return [*words, "--starts", "3", "--json"]


@needs_mpi
def test_the_command_fits_on_ranks(fit_words, tmp_path):
    """As in one process, printed and written once; what is wrong, in files or in options, is said once."""
    files = ["--out", tmp_path / "fit.h5", "--report", tmp_path / "fit.html"]
    done = fsp_on_ranks(2, *fit_words, *files, "--backend", "petsc")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("12 cells") == 1, done.stderr
    record = json.loads(done.stdout)
    alone = json.loads(CliRunner().invoke(main, list(map(str, fit_words))).stdout)
    assert record["parameters"]["k"] == pytest.approx(alone["parameters"]["k"], rel=1e-4)
    assert record["intervals"]["k"] == pytest.approx(alone["intervals"]["k"], rel=1e-3)
    assert len(record["starts"]) == record["agreeing"] == 3
    assert fsp.read(files[1]).parameters == pytest.approx(record["parameters"])
    assert files[3].stat().st_size > 0
    drawn = fsp_on_ranks(2, *fit_words, "--backend", "petsc", "--report", tmp_path / "fit.pdf")
    assert drawn.returncode == 2
    assert drawn.stderr.count("fsp: error: ") == drawn.stderr.count("`--report` must end in one of") == 1, drawn.stderr
    shared = fsp_on_ranks(2, *fit_words, "--backend", "petsc", "--processes", "2")
    assert shared.returncode == 2
    assert shared.stderr.count("`--processes` must be left out with --backend petsc") == 1, shared.stderr


@needs_mpi
@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--max-states", "10"], 4, "must be at most 10 "),
        (["--solver", "rational"], 6, "'rational' factorises"),
        (["--set", "nothing=1"], 3, "nothing"),
        (["--sweep", "aV=1,2"], 2, "--backend serial"),
        (["--tol", "2"], 2, "`--tol` must be"),
        (["--times", "soon"], 2, "`--times` must be"),
        (["-fsp_speed", "2"], 2, "`options` must be named after"),  # also where no object of PETSc is made
    ],
)
def test_errors_of_the_command_are_printed_once(words, code, message):
    done = fsp_on_ranks(2, "transient", MODEL, "--times", "1", "--backend", "petsc", *words)
    assert done.returncode == code
    assert done.stderr.count("fsp: error") == done.stderr.count(message) == 1, done.stderr
    assert done.stdout.count("\n") <= 8  # what mpirun says


@needs_mpi
def test_wrong_words_are_refused_once():
    done = fsp_on_ranks(2, "transient", MODEL, "--backend", "petsc")
    assert done.returncode == 2
    assert done.stderr.count("Missing option") == 1


def test_backends_are_named_where_one_is_not_known():
    done = CliRunner().invoke(main, ["transient", str(MODEL), "--times", "1", "--backend", "cuda"])
    assert done.exit_code == 2
    model = fsp.Model(species={"X": 0}, reactions=[fsp.Reaction("0 -> X", mass_action=1.0)])
    with pytest.raises(fsp.ArgumentError, match="one of serial, petsc"):
        fsp.transient(model, 1.0, backend="cuda")
    with pytest.raises(fsp.ArgumentError, match="`comm` must come with"):
        fsp.transient(model, 1.0, comm=object())


def test_what_is_missing_is_named(monkeypatch):
    def refuse(name, *more):
        if name.startswith("petsc4py"):
            raise ImportError("No module named 'petsc4py'")
        return original(name, *more)

    original = builtins.__import__
    for name in [name for name in sys.modules if name.startswith(("petsc4py", "mpi4py", "slepc4py"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(BackendError, match=r"(?s)petsc4py.*apt-get install python3-petsc4py.*conda-forge"):
        environment.load.__wrapped__()
