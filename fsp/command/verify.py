"""`fsp verify`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fsp.command.exits import judged
from fsp.command.options import (
    JSON,
    OVERWRITE,
    PROGRESS,
    SIMULATOR,
    SOURCE,
    Source,
    places_of_commands,
    simulator_of,
    takes,
    with_options,
)
from fsp.command.wording import saying
from fsp.errors import ArgumentError
from fsp.memory import limited
from fsp.output.replace import Output, require_outputs
from fsp.quantities import points, share, size

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from fsp.command.progress import Report as Telling
    from fsp.verification.report import Report

EPILOG = """\b
Exit status:
  0  pass: no test rejects (with --until-detectable: and such errors would be found); with --plan: runs recommended
  1  fail
  2  not decided, wrong usage, samples that cannot be used, or a report that cannot be written
  3 to 6  as of the other commands: the model, a limit, no convergence, a missing simulator

Samples are CSV, or columns between blanks (.gdat), with the columns run, time and a column for each species, or run,
time, species, value; a folder of such files, one for each run; HDF5 or NetCDF.

\b
Places of --command:
{places}
""".replace("{places}", places_of_commands())
# In the order of the help.
_OPTIONS = (
    *SOURCE,
    click.option(
        "--samples", "files", multiple=True, metavar="FILE", help="Runs, histograms, or means of a simulator."
    ),
    *SIMULATOR,
    click.option("--times", multiple=True, metavar="TIMES", help="1,2,5 or FROM:TO:NUMBER; those of the file."),
    click.option("--runs", type=click.IntRange(1), help="Number of runs.  [default: 1000]"),
    click.option("--seed", type=int, help="Seed of the simulator.  [default: 1]"),
    click.option("--species", multiple=True, metavar="NAME", help="Verify these species only."),
    click.option("--alpha", default=1e-3, show_default=True, help="Largest probability of a false alarm."),
    click.option("--until-detectable", metavar="ERROR", help="Take runs until such errors are detectable: 5%, 0.05."),
    click.option("--require", metavar="ERROR", help="Decide only if such errors are found: 5%, 0.05."),
    click.option("--max-runs", type=click.IntRange(1), help="The most runs then.  [default: 1000000]"),
    click.option("--tol", type=float, help="Error of the reference; chosen by the number of runs."),
    click.option("--max-states", type=int, help="Limit on the number of states of the reference."),
    click.option("--max-memory", metavar="SIZE", help="Limit on memory, such as 8GiB or 500MB."),
    click.option("--plan", "plans", is_flag=True, help="Recommend times, up to the last of --times, and runs."),
    click.option("--no-power", is_flag=True, help="Do not compute the smallest detectable errors."),
    click.option("--no-diagnosis", is_flag=True, help="Do not search for the mistake behind a failure."),
    click.option(
        "--out",
        multiple=True,
        type=click.Path(path_type=Path),
        help="Write the report: .html, .json, .xml (JUnit) or .txt; may be given several times.",
    ),
    OVERWRITE,
    JSON,
    *PROGRESS,
)


@click.command(epilog=EPILOG)
@with_options(*_OPTIONS)
@judged
@takes(source=Source)
def verify(
    source: Source,
    times: tuple[str, ...],
    out: tuple[Path, ...],
    overwrite: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Tell whether a simulator samples the chemical master equation of the model in MODEL.

    Give --samples, or ask a --simulator or a --command for runs; or ask for a
    --plan first.
    """
    if options.pop("plans"):
        return _plan(source, times, out, as_json, options)
    import fsp
    from fsp.verification.report import WRITERS

    files = options["files"]
    samples = _source(options)
    outputs = [Output("--out", path, tuple(WRITERS)) for path in out]
    require_outputs(*outputs, inputs=[source.model, *files], overwrite=overwrite)
    network = source.load()
    with saying(**({"samples": "--samples"} if files else {})), _progress(options) as told:
        report: Report = fsp.verify(
            network,
            times=points(",".join(times), "--times") if times else None,
            species=options["species"] or None,
            power=None if options["no_power"] else 0.9,
            diagnosis=not options["no_diagnosis"],
            progress=told,
            require=_share(options, "require"),
            until_detectable=_share(options, "until_detectable"),
            file=source.model,
            **{name: options[name] for name in ("alpha", "runs", "seed", "max_runs", "tol", "max_states")},
            max_memory=_memory(options),
            **samples,
        )
    click.echo(report.to_json() if as_json else str(report))
    for path in out:
        report.save(path)
    return report.exit_code


# What a plan has no use for.
_NOT_PLANNED = (
    *("files", "simulator", "command", "settings_of", "processes", "block", "timeout"),
    *("runs", "seed", "until_detectable", "tol", "no_power", "no_diagnosis"),
)


def _plan(source: Source, times: tuple[str, ...], out: tuple[Path, ...], as_json: bool, options: dict[str, Any]) -> int:
    """Print recommended times and runs; the status is 0 where there are."""
    given = [name for name in _NOT_PLANNED if options[name]] + ["out"] * bool(out)
    if given:
        name = {"files": "samples", "settings_of": "option"}.get(given[0], given[0]).replace("_", "-")
        raise ArgumentError(f"`--{name}` must be left out with --plan, which asks nobody for runs.")
    if not times:
        raise ArgumentError("`--times` must give the last output time, or several to choose from, but is missing.")
    from fsp.verification import planning
    from fsp.verification.sequential import MOST_SEQUENTIAL_RUNS
    from fsp.verification.verify import ALPHA

    with limited(_memory(options)), _progress(options) as told:
        planned = planning.plan(
            source.load(),
            points(",".join(times), "--times"),
            file=source.model,
            require=_share(options, "require") or planning.REQUIRE,
            alpha=options["alpha"],
            species=options["species"] or None,
            max_runs=options["max_runs"] or MOST_SEQUENTIAL_RUNS,
            max_states=options["max_states"],
            progress=told,
        )
    if as_json:
        click.echo(planned.to_json())
    else:
        click.echo(str(planned))
        if planned.runs is not None:
            more = [*source.words, *(word for name in options["species"] for word in ("--species", name))]
            more += ["--alpha", f"{planned.alpha:g}"] if planned.alpha != ALPHA else []
            more += ["--times", ",".join(map(repr, planned.times)), "--runs", str(planned.runs)]
            asked = shlex.join(["fsp", "verify", source.model, "--simulator", "NAME", *more])
            click.echo(f"then: {asked} --require {planned.require:g}")
    return int(planned.exit_code)


def _share(options: dict[str, Any], name: str) -> float | None:
    return share(options[name], f"--{name.replace('_', '-')}") if options[name] else None


def _memory(options: dict[str, Any]) -> int | None:
    return None if options["max_memory"] is None else size(options["max_memory"], "--max-memory")


def _progress(options: dict[str, Any]) -> AbstractContextManager[Telling | None]:
    from fsp.command.progress import shown_progress

    return shown_progress(options["quiet"], options["progress"])


def _source(options: dict[str, Any]) -> dict[str, Any]:
    """Return where samples come from: exactly one of three options."""
    files, simulator = options["files"], simulator_of(options)
    if bool(files) == (simulator is not None):
        words = "several are" if files else "none is"
        raise ArgumentError(f"One of `--samples`, `--simulator` and `--command` must be given, but {words}.")
    if simulator is not None:
        return {"simulator": simulator}
    return {"samples": files[0] if len(files) == 1 else list(files), "simulator": ", ".join(files)}
