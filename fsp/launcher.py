"""What a launcher such as mpirun or srun says of the processes that it started, before anything is imported."""

from __future__ import annotations

import os


def n_ranks_started() -> int:
    """Return how many ranks a launcher such as mpirun or srun says that it started; 1 where it says nothing."""
    names = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS", "SLURM_STEP_NUM_TASKS")
    return max(int(os.environ.get(name, "1") or 1) for name in names)


def rank_started() -> int:
    """Return the number of this rank, as the launcher gives it; 0 where it says nothing."""
    names = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID")
    return max(int(os.environ.get(name, "0") or 0) for name in names)
