"""Start programs under mpirun, each with a time limit, in an interpreter that has petsc4py."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WHERE = ROOT  # where ranks are started
TOO_LONG = 150.0  # seconds in which a job that has failed must have ended; the first one compiles on every rank


@cache
def reason_to_skip():
    """Return why nothing can be run under mpirun here, "" where it can."""
    if os.environ.get("FSP_MPI") == "skip":
        return "FSP_MPI=skip"
    if shutil.which("mpirun") is None:
        return "there is no mpirun"
    trial = "from fsp.petsc.environment import load; load()"
    done = subprocess.run([interpreter(), "-c", trial], env=environment(), capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"{interpreter()}: {done.stderr.strip().splitlines()[-1]}"


@cache
def interpreter():
    """Return the interpreter: the one named by FSP_MPI_PYTHON, that of ci/mpi, or this one."""
    made = ROOT / ".venv-mpi" / "bin" / "python"
    return os.environ.get("FSP_MPI_PYTHON") or (str(made) if made.exists() else sys.executable)


def environment():
    """Return what the ranks run under: one thread, and a short folder for Open MPI's sockets."""
    own = {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "TMPDIR": "/tmp",
        "HYPOTHESIS_PROFILE": "ci",  # the one of the tests that start the ranks may not be known to these
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
    }
    return {**os.environ, **own}


def mpirun(n, *command, timeout=300.0):
    """Run ``python COMMAND`` on `n` ranks; return what `subprocess.run` does.

    A run that takes longer than `timeout` seconds fails, and its ranks are killed.
    """
    version = subprocess.run(["mpirun", "--version"], env=environment(), capture_output=True, text=True, check=False)
    flags = ["--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1"]
    arguments = ["mpirun", *(flags if "Open MPI" in version.stdout else []), "-n", str(n), interpreter(), *command]
    process = subprocess.Popen(
        list(map(str, arguments)),
        env=environment(),
        cwd=WHERE,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)  # mpirun ends its ranks
        try:
            out, err = process.communicate(timeout=10.0)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
        raise AssertionError(f"no end within {timeout} s on {n} ranks:\n{out}\n{err}") from None
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def fsp_on_ranks(n, *words):
    """Run the command ``fsp WORDS`` on `n` ranks."""
    return mpirun(n, "-m", "fsp", *words, timeout=TOO_LONG)
