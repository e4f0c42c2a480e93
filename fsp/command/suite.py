"""`fsp suite`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from fsp.command.exits import judged
from fsp.command.options import JSON, OVERWRITE, PROGRESS, SIMULATOR, simulator_of, with_options
from fsp.command.printing import json_of
from fsp.command.progress import shown_progress


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--case", "only", multiple=True, metavar="NUMBER", help="Only this case; may be given several times.")
@click.option("--level", metavar="LxVy", help="SBML level and version of the model files, l3v1; the newest.")
@with_options(*SIMULATOR)
@click.option("--runs", type=click.IntRange(2), default=10_000, show_default=True, help="Its runs of each case.")
@click.option("--seed", default=1, show_default=True, help="Seed of the simulator.")
@click.option("--alpha", default=1e-3, show_default=True, help="Largest probability of a false alarm, over all cases.")
@click.option("--out", multiple=True, type=click.Path(path_type=Path), help="Write a file: .csv or .json.")
@OVERWRITE
@JSON
@with_options(*PROGRESS)
@judged
def suite(
    folder: Path,
    out: tuple[Path, ...],
    overwrite: bool,
    as_json: bool,
    quiet: bool,
    progress: bool,
    **options: Any,
) -> int:
    """Compare the SBML stochastic test suite in DIR with certified solutions, or test a simulator on it.

    Exit status: 0 where all cases that are chemical master equations agree with their tables, or with the simulator; 1
    where one differs; 2 where one is not decided or cannot be read.
    """
    from fsp.output import files
    from fsp.output.replace import Output, require_outputs
    from fsp.projection import SweepProgress

    require_outputs(*(Output("--out", path, (".csv", ".json")) for path in out), overwrite=overwrite)
    run = _suite_run(**options)
    with shown_progress(quiet, progress) as report:

        def tell(done: int, total: int, name: str) -> None:
            if report is not None:
                report(SweepProgress(done, total, 0, 0, 0.0, name, kind="cases"))

        suite_report = run(folder, tell=tell)
    record = json_of(suite_report)
    click.echo(record if as_json else str(suite_report))
    for path in out:
        files.write(path, suite_report.to_csv() if path.suffix.lower() == ".csv" else record)
    return int(suite_report.exit_status)


def _suite_run(runs: int, seed: int, alpha: float, **options: Any) -> Callable[..., Any]:
    """Return what goes through the suite: a simulator, or the solver."""
    simulator = simulator_of(options)
    if simulator is None:
        from fsp.verification.suite import run_suite

        return functools.partial(run_suite, **options)
    from fsp.verification.suite_simulator import run_simulator

    return functools.partial(run_simulator, simulator=simulator, runs=runs, seed=seed, alpha=alpha, **options)
