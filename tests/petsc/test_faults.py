"""Jobs that are killed, disks that are full, files that are damaged: real ranks, real signals, real file systems.

A computation that was broken off goes on from its checkpoint, on another number of ranks, to an answer that is held
against the law in closed form.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import threading
import time
import zlib

import exact
import launcher
import numpy as np
import pytest
from launcher import TOO_LONG, fsp_on_ranks
from mpi_needed import needs_mpi

import fsp

pytestmark = needs_mpi
MODEL = "birth: -> X; k\nX -> ; g*X\nk = 9; g = 0.8; X = 30\nsubstanceOnly species X\n"
TOL = 1e-8
N_TIMES = 60
TIMES = np.linspace(0.05, 1.7, N_TIMES)
MOST_SECONDS = 30.0  # until a job that is to be killed has written what it is to be killed after

DYING = """
import os, signal, sys
from pathlib import Path
from fsp.command.main import main
from fsp.output import files
from fsp.petsc import Communicator, resuming

guilty, name, after = int(sys.argv.pop(1)), sys.argv.pop(1), int(sys.argv.pop(1))
rank, put, written = Communicator().rank, files.put, []
Path(f"pid-{rank}").write_text(str(os.getpid()))

def dying(file, content):
    if rank == guilty and name in str(file.name):
        written.append(file)
        if len(written) == after:
            put(file, content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
    put(file, content)

files.put, resuming.SECONDS_BETWEEN = dying, 0.0
main()
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Give a folder with the model and the program that dies, in which ranks are started."""
    (tmp_path / "birth.ant").write_text(MODEL)
    (tmp_path / "dying.py").write_text(DYING)
    monkeypatch.setattr(launcher, "WHERE", tmp_path)
    return tmp_path


def words(folder, *more):
    times = f"{TIMES[0]}:{TIMES[-1]}:{N_TIMES}"
    asked = ["--times", times, "--tol", TOL, "--solver", "uniformization", "--checkpoint", folder, *more]
    return ["transient", "birth.ant", "--backend", "petsc", "--quiet", *asked]


def index_of(folder):
    return json.loads((folder / "index.json").read_text())


def n_saved(folder):
    """Return how many of the times that were asked for a checkpoint holds, of which all parts must be whole."""
    index = index_of(folder)
    for part in (part for entry in (*index["reached"], index["last"]) for part in entry["parts"]):
        content = (folder / part["file"]).read_bytes()
        assert (len(content), zlib.crc32(content)) == (part["bytes"], part["crc"])
    return len(index["reached"])


def assert_resumed(n, place, folder):
    """Go on, on `n` ranks, to the answer, whose error is known."""
    done = fsp_on_ranks(n, *words(folder, "--resume", "--out", place / "out.h5"))
    assert done.returncode == 0, done.stderr
    assert_right(fsp.read(place / "out.h5"))


def assert_right(solution):
    assert solution.complete
    assert solution.times == pytest.approx(TIMES)
    for one in solution:
        law = exact.immigration_death(one.states[:, 0], one.t, birth=9.0, death=0.8, start=30)
        error = math.fsum(np.abs(law - one.probabilities)) + max(0.0, 1.0 - math.fsum(law))
        assert error <= one.error.total + 1e-13
        assert one.error.total <= TOL


def kill_when_saved(place, folder, number):
    """Kill the last rank that has told its process when there is the checkpoint of a number."""

    def watch():
        end = time.monotonic() + MOST_SECONDS
        while time.monotonic() < end:
            if (folder / "index.json").exists() and index_of(folder)["number"] >= number:
                os.kill(int(max(place.glob("pid-*")).read_text()), signal.SIGKILL)
                return
            time.sleep(0.002)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("n", "guilty", "name", "after", "later"),
    [
        pytest.param(2, 1, ".part", 8, 3, id="in a part"),
        pytest.param(2, 0, ".part", 8, 1, id="in a part of the first rank"),
        pytest.param(3, 0, "index", 5, 2, id="in the index"),
    ],
)
def test_a_rank_that_is_killed_while_it_writes_loses_nothing_that_was_saved(place, n, guilty, name, after, later):
    folder = place / "run"
    done = launcher.mpirun(n, "dying.py", guilty, name, after, *words(folder, "--save-every", "0"), timeout=TOO_LONG)
    assert done.returncode != 0
    assert n_saved(folder) < N_TIMES
    assert index_of(folder)["number"] >= 3
    assert_resumed(later, place, folder)


def test_a_rank_that_is_killed_from_outside_loses_nothing_that_was_saved(place):
    folder = place / "run"
    killer = kill_when_saved(place, folder, 4)
    done = launcher.mpirun(2, "dying.py", -1, "", 0, *words(folder, "--save-every", "0"), timeout=TOO_LONG)
    killer.join()
    assert done.returncode != 0
    assert 0 < n_saved(folder) < N_TIMES
    assert_resumed(1, place, folder)


def test_a_batch_that_is_killed_goes_on_inside_its_job(place):
    asked = f'backend = "petsc"\nmodel = "birth.ant"\ntol = {TOL}\ntimes = {TIMES.tolist()}\n[[jobs]]\n'
    (place / "manifest.toml").write_text(asked)
    batch = ["batch", "manifest.toml", "--out", "out", "--ranks-per-job", 2]
    done = launcher.mpirun(2, "dying.py", 1, ".part", 8, *batch, timeout=TOO_LONG)
    assert done.returncode != 0
    assert 0 < n_saved(place / "out" / ".checkpoints" / "birth") < N_TIMES
    done = fsp_on_ranks(2, *batch, "--resume")
    assert done.returncode == 0, done.stderr
    assert_right(fsp.read(place / "out" / "birth.h5"))
    assert sorted(path.name for path in (place / "out").iterdir()) == ["birth.h5", "summary.csv"]


def test_damage_is_told_once_and_nothing_is_solved(place):
    folder = place / "run"
    assert fsp_on_ranks(1, *words(folder, "--save-every", "0")).returncode == 0
    part = folder / index_of(folder)["last"]["parts"][0]["file"]
    part.write_bytes(part.read_bytes()[:-8])
    done = fsp_on_ranks(2, *words(folder, "--resume", "--out", place / "out.h5"))
    assert done.returncode == 2
    assert done.stderr.count("fsp: error: `--checkpoint` must be intact") == 1
    assert "Traceback" not in done.stderr
    assert not (place / "out.h5").exists()


@pytest.fixture
def small_disk(place):
    """Give a file system of a few pages."""
    disk = place / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", disk], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_ends_all_ranks_with_one_message_and_leaves_the_checkpoint_before(place, small_disk):
    folder = small_disk / "run"
    done = fsp_on_ranks(2, *words(folder, "--save-every", "0"))
    assert done.returncode == 1
    assert done.stderr.count("No space left on device") == 1
    assert "Traceback" not in done.stderr
    assert 0 < n_saved(folder) < N_TIMES
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    assert_resumed(3, place, folder)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("fsp.transient(model, [2.0, 1.0] if rank else [1.0], backend='petsc')", "`times` must"),
        ("fsp.stationary(model, -1.0 if rank else 1e-6, backend='petsc')", "`tol` must"),
        (
            "fsp.transient(model, [1.0], 1e-3 / (1 + rank), backend='petsc')",
            "The problem must be the same on all ranks",
        ),
    ],
)
def test_bad_input_on_one_rank_ends_all_with_one_message(place, call, message):
    (place / "script.py").write_text(
        "import fsp\n"
        "from fsp.petsc import Communicator\n"
        "rank = Communicator().rank\n"
        "model = fsp.Model(species={'X': 3}, reactions=[fsp.Reaction('X -> 0', mass_action=1.0)])\n"
        f"{call}\n"
    )
    done = launcher.mpirun(2, "script.py", timeout=TOO_LONG)
    assert done.returncode == 1
    assert done.stderr.count(f"ArgumentError: {message}") == 1


SIGNALLED = """
import os, signal, sys
from fsp.command.main import main
from fsp.inference.search import Search
from fsp.petsc import Communicator, halo, termination

number, owner = getattr(signal, sys.argv.pop(1)), {"Halo.finish": halo.Halo, "Search.watched": Search}[sys.argv[1]]
name, after = sys.argv.pop(1).split(".")[1], int(sys.argv.pop(1))
termination.GRACE, work, calls = 0.5, getattr(owner, name), []

def signalled(*given, **options):
    calls.append(given)
    if len(calls) == after and Communicator().rank == 1:
        os.kill(os.getpid(), number)
    return work(*given, **options)

setattr(owner, name, signalled)
main()
"""
SECONDS_TO_END = (
    40.0  # of jobs that go on for minutes where a signal is not heard, with what Python and MPI need to start
)


def stopped(place, *asked):
    """Run a command on two ranks of which the second gets a signal; it must end soon."""
    (place / "signalled.py").write_text(SIGNALLED)
    return launcher.mpirun(2, "signalled.py", *asked, timeout=SECONDS_TO_END)


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_to_a_rank_that_is_not_the_first_stops_all_and_leaves_a_checkpoint(place, name, status):
    folder = place / "run"
    done = stopped(place, name, "Halo.finish", 20, *words(folder))  # long before a minute is over
    assert done.returncode == status, done.stderr
    assert done.stderr.count("fsp: stopped at t = ") == 1
    assert done.stderr.count(f"what was reached is in {folder}, and the same command with --resume") == 1
    assert n_saved(folder) < N_TIMES
    assert_resumed(1, place, folder)


def test_a_signal_to_a_rank_without_a_step_to_wait_for_ends_all(place):
    asked = "stationary", "birth.ant", "--backend", "petsc", "--method", "iterative", "--quiet"
    done = stopped(place, "SIGINT", "Halo.finish", 1, *asked)
    assert done.returncode != 0
    assert "fsp: stopped" in done.stderr
    assert "stationary: " not in done.stdout


def test_a_signal_to_a_rank_stops_a_fit_of_which_all_starts_that_were_made_are_kept(place):
    draws = np.random.default_rng(1).poisson(11.0, 40)
    (place / "cells.csv").write_text("time,X\n" + "".join(f"2,{n}\n" for n in draws))
    asked = "fit", "birth.ant", "--data", "cells.csv", "--observe", "X=X", "--free", "k=1:100", "--out", "fit.h5"
    asked = (*asked, "--starts", "8", "--backend", "petsc", "--quiet")
    done = stopped(place, "SIGTERM", "Search.watched", 25, *asked)
    assert done.returncode == 143, done.stderr
    assert done.stderr.count("fsp: stopped after ") == done.stderr.count("its starts are in fit.h5") == 1
    kept = fsp.read(place / "fit.h5")
    assert not kept.complete
    assert 0 < len(kept.starts) < 8
    done = fsp_on_ranks(2, *asked, "--resume")
    assert done.returncode == 0, done.stderr
    assert len(fsp.read(place / "fit.h5").starts) == 8
