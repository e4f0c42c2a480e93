"""`fsp show`, `plot`, `export` and `view`: what a file of results holds, printed, drawn, written for other programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fsp.command.exits import guarded
from fsp.command.options import DRAWING, OUTPUT_FORMS, OVERWRITE, QUESTIONS, Drawing, Printing, with_options
from fsp.command.printing import json_of
from fsp.errors import ArgumentError
from fsp.quantities import points

if TYPE_CHECKING:
    from fsp.command.printing import Answer

RUN = click.argument("run", type=click.Path(path_type=Path))
PRINTED = (".json", ".txt")  # kinds of files that hold what is printed, and so any value
SOME_TIMES = click.option("--times", metavar="TIMES", help="Only these times of a solution: 1,2,5.")


def target(what: str, *, required: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option that names the file to write, by either of its names."""
    return click.option("--to", "--out", "to", type=click.Path(path_type=Path), required=required, help=what)


@click.command()
@RUN
@SOME_TIMES
@with_options(*QUESTIONS, *OUTPUT_FORMS)
@guarded
def show(run: Path, times: str | None, **printed: Any) -> int:
    """Print what RUN holds, a file that --out wrote, and answer questions of it."""
    printing, other = Printing(**printed), other_in(run)
    if other is not None:
        click.echo(_text_of(other, run, "show", printing, timed=times is not None))
        return 0
    answer = opened(run, times)
    check(answer, printing)
    from fsp.command.printing import print_of

    click.echo(print_of(answer, printing, None, {}))
    return 0


@click.command()
@RUN
@target("The picture: .png, .pdf, .svg, ...")
@SOME_TIMES
@with_options(*DRAWING)
@OVERWRITE
@guarded
def plot(run: Path, to: Path, times: str | None, overwrite: bool, **drawn: Any) -> int:
    """Draw what RUN holds, a file that --out wrote."""
    from fsp.distribution.sensitivity import Sensitivities
    from fsp.output import pictures
    from fsp.output.drawing import draw
    from fsp.output.replace import Output, require_outputs

    require_outputs(Output("--to", to, pictures.SUFFIXES), inputs=[run], overwrite=overwrite)
    drawing, other = Drawing(**drawn), other_in(run)
    if isinstance(other, Sensitivities):
        if drawing.kind is not None or drawing.log or times is not None:
            raise ArgumentError(
                f"`fsp plot` must come without --times, --kind and --log where a file holds a sensitivity, as '{run}' "
                f"does."
            )
        pictures.write(other.plot(*drawing.species), to)
        return 0
    answer = opened(run, times)
    drawing.check(answer.species, "--to", type(answer).__name__.lower())
    pictures.write(draw(answer, drawing.species, **drawing.options()), to)
    return 0


@click.command()
@RUN
@target("The file: .csv, .nc (NetCDF), .json or .txt.")
@SOME_TIMES
@click.option("--states", is_flag=True, help="In .csv: a row for each state at each time.")
@with_options(*QUESTIONS)
@OVERWRITE
@guarded
def export(run: Path, to: Path, times: str | None, states: bool, overwrite: bool, **asked: Any) -> int:
    """Write what RUN holds for other programs: a row for each time, with means, standard deviations and errors.

    With --marginal, a row for each count of these species at each time; of a single distribution, for each state.
    """
    from fsp.output import exports, files
    from fsp.output.replace import Output, require_outputs

    require_outputs(Output("--to", to, exports.SUFFIXES, lambda _: False), inputs=[run], overwrite=overwrite)
    kind = to.suffix.lower()
    printing = Printing(**asked, as_json=kind == ".json", as_csv=False, verbose=False)
    other = other_in(run) if kind in PRINTED else None
    if other is not None:
        files.write(to, _text_of(other, run, "export", printing, timed=times is not None or states) + "\n")
        return 0
    answer, printing = opened(run, times), replace(printing, verbose=True)
    check(answer, printing)
    _refuse_of_export(kind, printing, states)
    if kind == ".nc":
        files.write(to, exports.netcdf(answer, printing.marginal))
    elif kind == ".csv":
        species = answer.species if states else printing.marginal
        files.write(to, exports.csv(answer, species, printing.questions.answers))
    else:
        from fsp.command.printing import print_of

        files.write(to, print_of(answer, printing, None, {}) + "\n")
    return 0


@click.command()
@RUN
@target("The page, an .html file; beside RUN, by its name.", required=False)
@SOME_TIMES
@OVERWRITE
@guarded
def view(run: Path, to: Path | None, times: str | None, overwrite: bool) -> int:
    """Write a page of HTML that shows what RUN holds: a slider over time, marginals, joints, numbers with their errors.

    It is one file that needs no server and no network; any browser opens it.
    """
    from fsp.distribution.fit import Fit
    from fsp.output import files
    from fsp.output.page import page
    from fsp.output.replace import Output, require_outputs
    from fsp.output.value_page import value_page

    place = run.with_suffix(".html") if to is None else to
    require_outputs(Output("--to", place, (".html",)), inputs=[run], overwrite=overwrite)
    other = other_in(run) if times is None else None
    if isinstance(other, Fit):
        other.report(place)
    elif other is not None:
        files.write(place, value_page(other))
    else:
        files.write(place, page(opened(run, times)))
    click.echo(f"{place}: open it in a browser")
    return 0


def other_in(run: Path) -> Any:
    """Return what a file holds where that is no distributions: a fit, derivatives and the like; None of all others."""
    import fsp

    answer = _read(run)
    return None if isinstance(answer, fsp.Solution | fsp.Distribution | fsp.Sweep) else answer


def _read(run: Path) -> Any:
    """Read a file; what is wrong with it is said of RUN."""
    import fsp
    from fsp.command.wording import saying

    with saying(path="RUN"):
        return fsp.read(run)


def _text_of(answer: Any, run: Path, command: str, printing: Printing, *, timed: bool) -> str:
    """Write a value that is no distributions as text or JSON; refuse what is asked of distributions."""
    from fsp.output.value_layout import kind_of

    has_record = hasattr(answer, "record")
    plain = Printing((), (), (), (), as_json=has_record and printing.as_json, as_csv=False, verbose=False)
    if timed or printing != plain:
        other = " other than --json" if has_record and command == "show" else ""
        out = ", and to .txt," if not has_record and command == "export" else ""
        raise ArgumentError(
            f"`fsp {command}` must come without options{other}{out} where a file holds a {kind_of(answer)}, as '{run}' "
            f"does."
        )
    return json_of(answer) if plain.as_json else str(answer)


def opened(run: Path, times: str | None = None) -> Answer:
    """Return what a file holds, at all of its times or at some."""
    import fsp
    from fsp.output.value_layout import kind_of

    answer = _read(run)
    if not isinstance(answer, fsp.Solution | fsp.Distribution | fsp.Sweep):
        raise ArgumentError(
            f"RUN must hold distributions, but '{run}' holds a {kind_of(answer)}; fsp show prints it, and fsp view "
            f"writes a page of it."
        )
    if times is None:
        return answer
    if not isinstance(answer, fsp.Solution):
        raise ArgumentError(
            f"`--times` must come with a solution, but '{run}' holds a {type(answer).__name__.lower()}."
        )
    return answer.selected(points(times, "--times"))


def check(answer: Answer, printing: Printing) -> None:
    """Refuse what cannot be asked of an answer."""
    import fsp

    first = answer if isinstance(answer, fsp.Distribution) else answer._first
    printing.check(answer.species, first.observables, timed=first.t is not None)


def _refuse_of_export(kind: str, printing: Printing, states: bool) -> None:
    """Refuse options that a kind of file has no place for."""
    if states and (kind != ".csv" or printing.marginal):
        other = "come without --marginal" if printing.marginal else f"come with .csv, but the file is {kind}"
        raise ArgumentError(f"`--states` must {other}.")
    if printing.questions and (kind == ".nc" or (kind == ".csv" and (states or printing.marginal))):
        what = f"{kind} file" if kind == ".nc" else "table of states"
        raise ArgumentError(f"`--event`, `--expect` and `--quantile` must have a place, but a {what} has none.")
