"""Tests that all ranks run together; tests/petsc/test_mpi.py starts them under mpirun.

Every rank runs the same tests in the same order on the same random numbers.  A test that fails on a rank ends the job.
"""

from __future__ import annotations

import os
import sys

import pytest

if not {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"} & set(os.environ):
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def comm():
    """Give all ranks."""
    from fsp.petsc import Communicator

    return Communicator()


def pytest_runtest_logreport(report):
    """End all ranks where a test fails on one: the others may wait for it."""
    if report.failed:
        from mpi4py import MPI

        world = MPI.COMM_WORLD
        print(f"rank {world.Get_rank()}: {report.nodeid}\n{report.longreprtext}", file=sys.stderr, flush=True)
        if world.Get_size() > 1:
            world.Abort(1)
