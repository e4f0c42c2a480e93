"""`fsp fit`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import click

from fsp import defaults
from fsp.command.endings import START_OPTION
from fsp.command.exits import ABOVE_TOLERANCE, EPILOG, guarded, printing_if
from fsp.command.law_texts import EXTRINSIC, INSTRUMENT, extrinsic_in, instruments_in
from fsp.command.likelihood import DATA, Data
from fsp.command.options import (
    BACKEND,
    JSON,
    MAX_STATES_OPTION,
    OUT,
    OVERWRITE,
    PROGRESS,
    SOURCE,
    Source,
    named,
    takes,
    with_options,
)
from fsp.command.solve import is_answer, keep, ranks_of, require_hdf5_name, signal_of
from fsp.command.wording import saying
from fsp.errors import ArgumentError
from fsp.quantities import number

PAGES = (".html", ".htm")
FREE = click.option(
    "--free", multiple=True, required=True, metavar="NAMES", help="Parameters with bounds: k=1:1e3,g=0.1:10."
)


@click.command(epilog=EPILOG)
@with_options(*SOURCE)
@with_options(*DATA)
@INSTRUMENT
@EXTRINSIC
@FREE
@START_OPTION
@click.option("--starts", default=defaults.STARTS, show_default=True, help="Number of starts.")
@click.option("--seed", default=0, show_default=True, help="Whole number from which the starts come.")
@click.option("--width", default=defaults.LIKELIHOOD_WIDTH, show_default=True, help="Width of the interval, in nats.")
@click.option("--level", default=defaults.LEVEL, show_default=True, help="Confidence of the intervals.")
@click.option("--intervals", default="profile", show_default=True, help="profile, fisher or observed: much faster.")
@click.option("--processes", type=click.IntRange(1), help="Starts that are made at a time.")
@BACKEND
@MAX_STATES_OPTION
@OUT
@click.option("--report", type=click.Path(path_type=Path), help="Write a page with pictures: .html.")
@click.option("--resume", is_flag=True, help="Go on with the starts of --out, which was stopped.")
@OVERWRITE
@JSON
@with_options(*PROGRESS)
@guarded
@takes(source=Source, data=Data)
def fit(
    source: Source,
    data: Data,
    free: tuple[str, ...],
    out: Path | None,
    report: Path | None,
    resume: bool,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
    progress: bool,
    width: float,
    backend: str,
    **options: Any,
) -> int:
    """Estimate parameters of the model in MODEL from counted molecules in single cells."""
    import fsp
    from fsp.command.progress import shown_progress, warnings_as_lines
    from fsp.jobs.stopping import Keeper, Stop
    from fsp.output.records import to_json

    def asked() -> Any:
        earlier = _checked(source, data, out, report, resume=resume, overwrite=overwrite)
        return earlier, data.read(), dict(_ranges(free)), source.load()

    with nullcontext() if backend == "serial" else ranks_of(backend) as ranks, ExitStack() as rest:
        earlier, counts, ranges, model = asked() if ranks is None else ranks.share(asked)
        writes = ranks is None or ranks.rank == 0
        rest.enter_context(printing_if(writes))
        options["instrument"] = instruments_in(options["instrument"])
        options["extrinsic"] = extrinsic_in(options["extrinsic"])
        options |= {} if ranks is None else {"backend": backend, "comm": ranks}
        click.echo(str(counts), err=True)
        with warnings_as_lines(), shown_progress(quiet, progress) as shown, Stop() as stop:
            keeper = Keeper(stop, shown, None, None)
            try:
                with saying(counts="--data", parameters="--free", conditions="--condition", formula="--observe"):
                    fitted = fsp.fit(model, counts, ranges, width=width, resume=earlier, progress=keeper, **options)
            except KeyboardInterrupt as error:
                keep(error, out if writes else None, "its starts are")
                raise SystemExit(128 + signal_of(stop, ranks)) from None
        if out is not None and writes:
            fitted.save(out)
        if report is not None and writes:
            fitted.report(report)
        click.echo(to_json(_record(fitted)) if as_json else str(fitted))
    return 0 if fitted.likelihood.certified and fitted.likelihood.width <= width else ABOVE_TOLERANCE


def _ranges(free: tuple[str, ...]) -> Iterator[tuple[str, tuple[float, float]]]:
    """Read ``k=1:1e3,g=0.1:10``, in one option or several."""
    parts = [part for text in free for part in text.split(",") if part.strip()]
    for part in parts:
        if "=" not in part:
            raise ArgumentError(
                f"`--free` must give bounds, such as {part.strip()}=0.1:10, but gives '{part.strip()}'."
            )
    for name, text in named(parts, "--free", "NAME=LOW:HIGH"):
        low, colon, high = text.partition(":")
        if not colon:
            raise ArgumentError(f"`--free` must be NAME=LOW:HIGH, such as {name}=0.1:10, but is '{name}={text}'.")
        yield name, (number(low, f"--free {name}"), number(high, f"--free {name}"))


def _checked(
    source: Source, data: Data, out: Path | None, report: Path | None, *, resume: bool, overwrite: bool
) -> Any:
    """Return what --resume goes on from, once it is known that the answer can be written."""
    import fsp
    from fsp.output.replace import Output, require_outputs
    from fsp.output.storage import kept

    if resume and out is None:
        raise ArgumentError("`--resume` must come with --out, which holds what was reached, but there is none.")
    outputs = Output("--report", report, PAGES), Output("--out", out, is_own=is_answer)
    require_outputs(*outputs, inputs=[source.model, data.data], overwrite=overwrite)
    require_hdf5_name(out)
    if out is None or not out.exists():
        return None
    there = kept(out)
    if there is not None and there.kind != "fit" and not overwrite:
        raise ArgumentError(f"`--out` must be a new file, or one of a fit, but '{out}' holds a {there.kind}.")
    if resume:
        return fsp.read(out)
    if there is not None and not there.complete and not overwrite:
        raise ArgumentError(
            f"`--out` must not hold a fit that was stopped, but '{out}' does. Go on from it with --resume, or replace "
            f"it with --overwrite."
        )
    return None


def _record(fitted: Any) -> dict[str, Any]:
    import fsp

    method = fitted.method
    return {
        "fsp": fsp.__version__,
        "parameters": fitted.parameters,
        "level": fitted.level,
        "method": method,
        "intervals": {
            name: [interval.lower, interval.upper] for name, interval in fitted.intervals(method=method).items()
        },
        "log_likelihood": fitted.likelihood.record(),
        "cells": fitted.n_cells,
        "aic": fitted.aic,
        "bic": fitted.bic,
        "correlation": fitted.correlation.tolist(),
        "starts": [
            {
                "begin": start.begin.tolist(),
                "end": start.end.tolist(),
                "value": start.value,
                "note": start.note,
                "evaluations": start.evaluations,
            }
            for start in fitted.starts
        ],
        "agreeing": fitted.agreeing,
        "notes": list(fitted.notes),
    }
