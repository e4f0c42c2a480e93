"""`fsp batch`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fsp.command.exits import ABOVE_TOLERANCE, EPILOG, code_of, error_line, guarded
from fsp.command.options import OVERWRITE
from fsp.errors import ArgumentError
from fsp.launcher import n_ranks_started

if TYPE_CHECKING:
    from fsp.jobs.batch import Batch


@click.command(epilog=EPILOG)
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the files and the summary.")
@click.option("--processes", type=click.IntRange(1), help="Jobs that are solved at a time; as many as processors.")
@click.option("--ranks-per-job", type=click.IntRange(1), help="Under mpirun: ranks that solve a job together; one.")
@click.option("--resume", is_flag=True, help="Skip the jobs whose files in --out are complete.")
@OVERWRITE
@click.option("--quiet", is_flag=True, help="No line for each job.")
@guarded
def batch(
    manifest: Path,
    out: Path,
    processes: int | None,
    ranks_per_job: int | None,
    resume: bool,
    overwrite: bool,
    quiet: bool,
) -> int:
    """Solve all jobs of MANIFEST, a TOML file, each into a file of its own.

    A job that fails does not end the others; what became of each is in summary.csv.
    """
    from fsp.generator.threads import n_processors
    from fsp.jobs.batch import solve_batch
    from fsp.jobs.manifest import read_manifest

    def tell(line: str) -> None:
        if not quiet:
            click.echo(f"fsp: {line}", err=True)

    many = n_ranks_started() > 1 or ranks_per_job is not None
    if not many and all(job.backend != "petsc" for job in read_manifest(manifest)):
        finished = solve_batch(
            manifest, out, processes=processes or n_processors(), resume=resume, overwrite=overwrite, tell=tell
        )
        return _end_of_batch(finished)
    if processes is not None:
        raise ArgumentError(f"`--processes` must be left out on ranks, which share the jobs, but is {processes}.")
    from fsp.jobs.rank_groups import solve_in_groups
    from fsp.petsc.comm import Communicator

    comm = Communicator()
    with comm.guard(error_line, code_of):
        asked = {"resume": resume, "overwrite": overwrite}
        finished = solve_in_groups(manifest, out, ranks_per_job or 1, **asked, tell=tell, comm=comm)
    code = _end_of_batch(finished, quiet=comm.rank > 0)
    comm.mpi.Barrier()  # mpirun ends all ranks when one has failed: not before the table is out
    return code


def _end_of_batch(batch: Batch, *, quiet: bool = False) -> int:
    """Print what became of the jobs; return the exit status."""
    if not quiet:
        click.echo(str(batch))
    if batch.signal is not None:
        return 128 + batch.signal
    if batch.failures:
        return 1
    return 0 if batch.meets_tolerances else ABOVE_TOLERANCE
