"""`fsp approximations`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fsp.approximation import defaults
from fsp.command.exits import EPILOG, guarded
from fsp.command.options import JSON, MAX_STATES_OPTION, OVERWRITE, PROGRESS, SOURCE, Source, takes, with_options
from fsp.command.printing import json_of
from fsp.errors import ArgumentError
from fsp.output import files
from fsp.output.replace import Output, require_outputs
from fsp.quantities import points

# defaults are those of Python:
_OPTIONS = (
    *SOURCE,
    click.option("--times", multiple=True, metavar="TIMES", help="1,2,5 or FROM:TO:NUMBER; stationary without."),
    click.option(
        "--volumes",
        default=",".join(f"{v:g}" for v in defaults.VOLUMES),
        show_default=True,
        metavar="VOLUMES",
        help="1,3,10 or FROM:TO:NUMBER.",
    ),
    click.option(
        "--method",
        "methods",
        multiple=True,
        default=defaults.QUICK_METHODS,
        show_default=True,
        metavar="NAME",
        help="rate-equations, linear-noise, next-order, fokker-planck, langevin, normal, zero-cumulant, poisson or "
        "log-normal; several times.",
    ),
    click.option("--tol", default=defaults.TOL, show_default=True, help="1-norm error of the master equation."),
    click.option("--spacing", default=defaults.SPACING, show_default=True, help="Of lattices of Fokker-Planck."),
    click.option("--scheme", default=defaults.SCHEME, show_default=True, help="Hops: central, scharfetter-gummel."),
    click.option("--runs", type=click.IntRange(2), default=defaults.RUNS, show_default=True, help="Langevin paths."),
    click.option("--steps", type=click.IntRange(2), default=defaults.STEPS, show_default=True, help="Their steps."),
    click.option("--variant", default=defaults.VARIANT, show_default=True, help="Below zero: clipped, reflected."),
    click.option("--seed", default=defaults.SEED, show_default=True, help="Their seed."),
    MAX_STATES_OPTION,
    click.option("--species", metavar="NAME", help="Draw this species; the first."),
    click.option("--plot", type=click.Path(path_type=Path), help="Draw a picture: .png, .pdf, .svg, ..."),
    click.option("--out", type=click.Path(path_type=Path), help="Write all numbers to a .json file."),
    OVERWRITE,
    JSON,
    *PROGRESS,
)


@click.command(epilog=EPILOG)
@with_options(*_OPTIONS)
@guarded
@takes(source=Source)
def approximations(
    source: Source,
    times: tuple[str, ...],
    volumes: str,
    methods: tuple[str, ...],
    species: str | None,
    plot: Path | None,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
    progress: bool,
    **options: Any,
) -> int:
    """Compare approximations of the model in MODEL with its master equation in growing volumes."""
    import fsp
    from fsp.command.progress import reporting
    from fsp.output import pictures

    outputs = Output("--plot", plot, pictures.SUFFIXES), Output("--out", out, (".json",))
    require_outputs(*outputs, inputs=[source.model], overwrite=overwrite)
    network = source.load()
    if species is not None and species not in network.species:
        raise ArgumentError(f"`--species` must be one of {', '.join(network.species)}, but is '{species}'.")
    with reporting(quiet, progress) as report:
        answer = fsp.approximations(
            network,
            points(",".join(times), "--times") if times else None,
            points(volumes, "--volumes"),
            methods=methods,
            progress=report,
            **options,
        )
    record = json_of(answer)
    click.echo(record if as_json else str(answer))
    if out is not None:
        files.write(out, record)
    if plot is not None:
        pictures.write(answer.plot(species), plot)
    return 0
