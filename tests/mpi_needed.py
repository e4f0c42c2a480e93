"""The mark of tests that start ranks: they are skipped where there is no PETSc under mpirun, and the reason is said."""

from __future__ import annotations

import os

import launcher
import pytest

# Not in launcher.py, which programs under mpirun import: finding out starts another one.
needs_mpi = pytest.mark.skipif(
    bool(launcher.reason_to_skip()) and os.environ.get("FSP_MPI") != "required",
    reason=f"no PETSc under mpirun: {launcher.reason_to_skip()}",
)
