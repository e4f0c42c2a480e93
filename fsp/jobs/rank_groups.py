"""Batches on many ranks: groups of them take the jobs of a manifest one after the other.

A group takes the next job that nobody has claimed, so none waits for another before the end.  A job does not depend on
which group solves it, nor on what that has solved before.  Checkpoints of the distributed jobs that are under way are
in the folder ``.checkpoints``.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsp
from fsp.errors import ArgumentError
from fsp.jobs.batch import (
    ALREADY_THERE,
    FAILED,
    PENDING,
    SOLVED,
    Batch,
    BatchPlan,
    JobRow,
    prepare,
    solve_here,
    tell_all,
    tried,
)
from fsp.output.locks import locked
from fsp.petsc.comm import Communicator
from fsp.petsc.resuming import can_go_on
from fsp.petsc.termination import meet

if TYPE_CHECKING:
    from fsp.distribution import Solution
    from fsp.jobs.batch import Tell

CHECKPOINTS = ".checkpoints"


def solve_in_groups(
    manifest: Path,
    folder: Path,
    ranks_per_job: int = 1,
    *,
    resume: bool = False,
    overwrite: bool = False,
    tell: Tell = lambda line: None,
    comm: Any = None,
) -> Batch:
    """Solve the jobs of a manifest, each on a group of ranks.  Collective."""
    world = Communicator.of(comm)
    with ExitStack() as stack:
        with world.agree():
            if world.rank == 0:
                stack.enter_context(locked(folder))
        plan: BatchPlan = world.share(lambda: _prepared(manifest, folder, ranks_per_job, world.size, resume, overwrite))
        if world.rank == 0:
            tell_all(plan.rows, tell)
        _in_groups(world, plan, ranks_per_job, resume, tell)
        return world.share(lambda: _finished(plan))


def _in_groups(world: Communicator, plan: BatchPlan, ranks_per_job: int, resume: bool, tell: Tell) -> None:
    """Solve the jobs, and enter on all ranks what became of them."""
    group = Communicator(world.mpi.Split(world.rank // ranks_per_job, world.rank))
    claims = plan.claims()
    rows_solved: dict[int, JobRow] = {}
    try:
        while (number := group.share(lambda: next(claims, None))) is not None:
            rows_solved[number] = row = _solved(group, plan, number, resume)
            with group.agree():
                if group.rank == 0:
                    plan.end(number, row)
                    _drop_checkpoints(plan, row)
                    tell(str(row))
    finally:
        group.mpi.Free()
    for rows in world.mpi.allgather(rows_solved):
        for number, row in rows.items():
            plan.rows[number] = row


def _finished(plan: BatchPlan) -> Batch:
    for row in plan.rows:
        _drop_checkpoints(plan, row)
    with suppress(OSError):  # not empty where a job may go on, or not there
        (plan.folder / CHECKPOINTS).rmdir()
    return plan.finish()


def _drop_checkpoints(plan: BatchPlan, row: JobRow) -> None:
    """Remove the checkpoints of a job whose file is complete."""
    if row.status in (SOLVED, ALREADY_THERE):
        shutil.rmtree(plan.folder / CHECKPOINTS / row.job.name, ignore_errors=True)


def _prepared(manifest: Path, folder: Path, ranks_per_job: int, size: int, resume: bool, overwrite: bool) -> BatchPlan:
    if size % ranks_per_job:
        raise ArgumentError(
            f"`--ranks-per-job` must divide the number of ranks, {size}, but is {ranks_per_job}; start another number "
            f"of ranks."
        )
    plan = prepare(manifest, folder, resume=resume, overwrite=overwrite)
    for number in plan.order:
        row = plan.rows[number]
        backend = row.job.backend or ("serial" if ranks_per_job == 1 else "petsc")
        if backend == "serial" and ranks_per_job > 1:
            raise ArgumentError(
                f"`backend` must be 'petsc' for a job on {ranks_per_job} ranks, but is 'serial' for '{row.job.name}'; "
                f"leave out --ranks-per-job, or the backend."
            )
        plan.rows[number] = replace(row, job=replace(row.job, backend=backend))
    return plan


def _solved(group: Communicator, plan: BatchPlan, number: int, resume: bool) -> JobRow:
    """Solve a job on a group; return what became of it, the same on all its ranks.

    Where it fails on some ranks alone, these end all: the others may wait for them in the middle of it.
    """
    row = plan.rows[number]
    if row.job.backend == "serial":
        return solve_here(plan, number, None, resume=resume)

    def solve() -> Solution:
        model, folder = plan.model(number), plan.folder / CHECKPOINTS / row.job.name
        goes_on = resume and can_go_on(folder, group, row.job.asked(model))
        if not goes_on:
            group.share(lambda: shutil.rmtree(folder, ignore_errors=True))
        options: dict[str, Any] = {**row.job.options, "backend": "petsc", "comm": group.mpi}
        return fsp.transient(model, row.job.times, row.job.tol, **options, checkpoint=folder, resume=goes_on)

    done = tried(row, plan.folder / row.job.file, solve)
    meet(group.mpi, f"fsp: error: {done}" if done.status == FAILED else None)
    rows: list[JobRow] = group.mpi.allgather(done)
    return next((failed_row for failed_row in rows if failed_row.status in (FAILED, PENDING)), rows[0])
