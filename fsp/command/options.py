"""The options that the commands share, and what their texts mean.

Every error is an `ArgumentError` that names the option.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fsp import defaults
from fsp.command.completion import ModelFile
from fsp.errors import ArgumentError
from fsp.quantities import number, points, size

if TYPE_CHECKING:
    from fsp.model import Model
    from fsp.output.questions import Questions

T = TypeVar("T")

_LAW = re.compile(r"\s*[a-z]+\s*\(.*\)\s*")  # poisson(5), of an initial count; what it may be is said by the model


@dataclass(frozen=True, slots=True)
class LimitOptions:
    """What a computation may take; what is None keeps the solver's default."""

    max_states: int | None
    max_memory: str | None
    max_work: float | None = None

    def given(self) -> dict[str, float]:
        """Return the limits that were given."""
        memory = None if self.max_memory is None else size(self.max_memory, "--max-memory")
        limits = {"max_states": self.max_states, "max_memory": memory, "max_work": self.max_work}
        return {name: limit for name, limit in limits.items() if limit is not None}


@dataclass(frozen=True, slots=True)
class Files:
    """What is written, what may be replaced, and what is gone on from."""

    out: Path | None
    plot: Path | None
    overwrite: bool
    resume: bool = False
    save_every: float | None = None


@dataclass(frozen=True, slots=True)
class Drawing:
    """What --plot draws."""

    species: tuple[str, ...]
    kind: str | None
    log: bool

    def options(self) -> dict[str, Any]:
        """Return what was asked for, but for the species."""
        return {"log": self.log} | ({} if self.kind is None else {"kind": self.kind})

    def check(self, known: Sequence[str], option: str | None, of: str) -> None:
        """Refuse what cannot be drawn `of` an answer of this kind, and all where no `option` asks for a picture."""
        for name, given in (("species", self.species), ("kind", self.kind is not None), ("log", self.log)):
            if given and option is None:
                raise ArgumentError(f"`--{name}` must come with --plot, but there is none.")
        unknown = [name for name in self.species if name not in known]
        if unknown:
            raise ArgumentError(f"`--species` must be one of {', '.join(known)}, but is '{unknown[0]}'.")
        if option is not None:
            from fsp.output.drawing import require

            require("overview" if self.kind is None else self.kind, of, len(self.species), log=self.log)


@dataclass(frozen=True, slots=True)
class Printing:
    """What is printed."""

    marginal: tuple[str, ...]
    event: tuple[str, ...]
    expect: tuple[str, ...]
    quantile: tuple[str, ...]
    as_json: bool
    as_csv: bool
    verbose: bool
    quiet: bool = False
    progress: bool = False

    @property
    def questions(self) -> Questions:
        """What is asked of every time."""
        from fsp.output.questions import Questions

        quantiles = named(self.quantile, "--quantile", "SPECIES=LEVELS")
        levels = {name: points(text, f"--quantile {name}") for name, text in quantiles}
        return Questions(self.event, self.expect, levels)

    def check(self, species: Sequence[str], observables: Mapping[str, str], *, timed: bool) -> None:
        """Refuse what cannot be printed, before anything is solved."""
        if self.as_json and self.as_csv:
            raise ArgumentError("One of `--json` and `--csv` must be given, but both are.")
        if self.as_csv and self.marginal:
            raise ArgumentError("`--marginal` must come without --csv; `fsp export run.h5 --to run.csv` writes it.")
        unknown = [name for name in self.marginal if name not in species]
        if unknown:
            raise ArgumentError(f"`--marginal` must be one of {', '.join(species)}, but is '{unknown[0]}'.")
        self.questions.check(species, observables, timed=timed)


@dataclass(frozen=True, slots=True)
class Source:
    """The model file, and how it is read."""

    model: str
    settings: tuple[str, ...]
    counts: str
    rounding: str
    mass_action: bool

    @property
    def words(self) -> list[str]:
        """The options that say how it is read, as on a command line, where they are not the defaults."""
        said = [word for setting in self.settings for word in ("--set", setting)]
        said += ["--counts", self.counts] if self.counts != "auto" else []
        said += ["--rounding", self.rounding] if self.rounding != "nearest" else []
        return said + ["--mass-action"] * self.mass_action

    def load(self) -> Model:
        """Read the model, with a line for each thing that was assumed."""
        from fsp.formats.readers import read_model

        given = named(self.settings, "--set", "NAME=VALUE")
        values = {name: text if _LAW.fullmatch(text) else number(text, f"--set {name}") for name, text in given}
        model = read_model(Path(self.model), values, self.counts, self.rounding, self.mass_action, "`--set`")
        for text in model.conversion.assumptions:
            click.echo(f"fsp: {text}", err=True)
        return model


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """What was asked for on the command line, whatever the command."""

    source: Source
    tol: float
    limits: LimitOptions
    files: Files
    printing: Printing
    drawing: Drawing

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> CommandRequest:
        """Return what the shared options, and those that some commands add, ask for."""
        left = dict(options)

        def taken(part: type[T]) -> T:
            return part(**{field.name: left.pop(field.name) for field in fields(part) if field.name in left})  # type: ignore[arg-type]

        return cls(
            source=taken(Source),
            limits=taken(LimitOptions),
            files=taken(Files),
            printing=taken(Printing),
            drawing=taken(Drawing),
            **left,
        )


# They make a `Source`.
SOURCE = (
    click.argument("model", type=ModelFile()),
    click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Set a parameter or an initial count."),
    click.option(
        "--counts",
        default="auto",
        show_default=True,
        help="How amounts become molecules: auto, as-is, omega=100 (molecules in a unit), volume=1fL (of moles).",
    ),
    click.option("--rounding", default="nearest", show_default=True, help="Of such counts: nearest, mean or poisson."),
    click.option("--mass-action", is_flag=True, help="Make k*A^2 of 2 A -> B count pairs, k*A*(A - 1)."),
)
MAX_STATES_OPTION = click.option("--max-states", type=int, help="Limit on the number of states.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
# What `fsp.command.progress.shown_progress` takes.
PROGRESS = (
    click.option("--quiet", is_flag=True, help="No progress."),
    click.option("--progress", is_flag=True, help="Progress every second, where there is no terminal as well."),
)
# They make a `Printing`, with --json and what progress is shown.
QUESTIONS = (
    click.option("--marginal", multiple=True, metavar="SPECIES", help="Print a marginal distribution."),
    click.option("--event", multiple=True, metavar="CONDITION", help="Print the probability of 'V > U', as bounds."),
    click.option("--expect", multiple=True, metavar="FORMULA", help="Print the expectation of 'U*V', as bounds."),
    click.option("--quantile", multiple=True, metavar="SPECIES=LEVELS", help="Print quantiles: U=0.05,0.5,0.95."),
)
OUTPUT_FORMS = (
    JSON,
    click.option("--csv", "as_csv", is_flag=True, help="Print CSV: a row for each time."),
    click.option("--verbose", is_flag=True, help="Print the solver with its numbers, and why it was chosen."),
)
# They make a `Drawing`.
DRAWING = (
    click.option("--species", multiple=True, metavar="SPECIES", help="Draw this one; up to six."),
    click.option("--kind", help="overview; courses or heat, over time; marginals, joint or corner."),
    click.option("--log", is_flag=True, help="Draw probabilities on a logarithmic scale."),
)
OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace files that fsp did not write, and finished work.")
OUT = click.option("--out", type=click.Path(path_type=Path), help="Write an HDF5 file.")
ENDING = (MAX_STATES_OPTION, JSON, *PROGRESS)  # of commands that print an answer
KEPT_ENDING = (MAX_STATES_OPTION, OUT, OVERWRITE, JSON, *PROGRESS)  # of those that write it to a file as well


def drawn_ending(what: str) -> tuple[Callable[..., Any], ...]:
    """Return the last options of commands that print an answer and draw it."""
    plot = click.option("--plot", type=click.Path(path_type=Path), help=f"Draw {what}: .png, .pdf, .svg, ...")
    return MAX_STATES_OPTION, plot, OVERWRITE, JSON, *PROGRESS


# In the order of the help.
_SHARED = (
    *SOURCE,
    click.option("--tol", default=defaults.TOL, show_default=True, help="Error to reach, in the 1-norm."),
    MAX_STATES_OPTION,
    click.option("--max-memory", metavar="SIZE", help="Limit on memory, such as 8GiB or 500MB."),
    OUT,
    click.option("--plot", type=click.Path(path_type=Path), help="Draw a picture: .png, .pdf, .svg, ..."),
    *DRAWING,
    OVERWRITE,
    *QUESTIONS,
    *OUTPUT_FORMS,
    *PROGRESS,
)


# They make what `simulator_of` opens.
SIMULATOR = (
    click.option("--simulator", metavar="NAME", help="Ask this simulator: roadrunner, gillespy2, copasi, ..."),
    click.option(
        "--command", metavar="TEXT", help="Ask a program: 'mysim {model} {seed} {out}'; its places are below."
    ),
    click.option("--option", "settings_of", multiple=True, metavar="NAME=VALUE", help="Of a simulator: method=..."),
    click.option("--processes", type=click.IntRange(1), help="Calls of the simulator at a time; all processors."),
    click.option("--block", type=click.IntRange(1), help="Runs of a process, or a call with {runs}, at a time."),
    click.option("--timeout", type=float, metavar="SECONDS", help="Of a call of a program."),
)


def places_of_commands() -> str:
    """Return what the places of --command are filled with, a line each."""
    from fsp.sampling.placeholders import PLACES

    return "\n".join(f"  {{{name}}}{' ' * (8 - len(name))}{text}" for name, text in PLACES.items())


def simulator_of(options: dict[str, Any]) -> Any:
    """Take the options of `SIMULATOR` from those of a command, and open what they name; None where nothing is named."""
    given = {name: options.pop(name) for name in ("simulator", "command")}
    how = {name: options.pop(name) for name in ("settings_of", "processes", "block", "timeout")}
    chosen = [text for text in given.values() if text]
    if given["command"] and "{" not in given["command"]:
        raise ArgumentError(
            f"`--command` must have the places {{model}} and {{out}}, as in 'program {{model}} {{out}}', but is "
            f"'{given['command']}'."
        )
    if len(chosen) > 1:
        raise ArgumentError("One of `--simulator` and `--command` must be given, but both are.")
    if not chosen:
        unused = [name for name, value in how.items() if value]
        if unused:
            name = {"settings_of": "option"}.get(unused[0], unused[0])
            raise ArgumentError(f"`--{name}` must come with --simulator or --command, but neither is given.")
        return None
    if how["timeout"] and "{" not in chosen[0]:
        raise ArgumentError("`--timeout` must come with --command, but --simulator is given.")
    from fsp.sampling.simulators import open_simulator

    more = {name: value for name, value in how.items() if name != "settings_of" and value is not None}
    return open_simulator(chosen[0], options=dict(named(how["settings_of"], "--option", "NAME=VALUE")), **more)


def with_options(*options: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what gives a command these options, in this order."""

    def given(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return given


def takes(**parts: type[Any]) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Return what gives a command the options that make a dataclass as one argument, for each of some of them."""

    def given(command: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(command)
        def taking(**options: Any) -> int:
            made = {
                name: part(**{field.name: options.pop(field.name) for field in fields(part)})
                for name, part in parts.items()
            }
            return command(**made, **options)

        return taking

    return given


shared_options = with_options(*_SHARED)  # they make a `CommandRequest`


def named(texts: Sequence[str], option: str, form: str) -> Iterator[tuple[str, str]]:
    """Split NAME=VALUE."""
    seen: set[str] = set()
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise ArgumentError(f"`{option}` must be {form}, but is '{text}'.")
        if name in seen:
            raise ArgumentError(f"`{option}` must give '{name}' once, but gives it several times.")
        seen.add(name)
        yield name, value


# Several values of parameters, of `fsp transient` and `fsp stationary`.
SWEEP = (
    click.option(
        "--sweep",
        "sweeps",
        multiple=True,
        metavar="NAME=VALUES",
        help="Solve at all these values, 1,2,5 or FROM:TO:NUMBER, of a parameter or an initial count.",
    ),
    click.option("--pairs", is_flag=True, help="Take the values of several --sweep in pairs, not in all combinations."),
    click.option("--processes", type=click.IntRange(1), help="Number of processes of a sweep; as many as processors."),
)
BACKEND = click.option(
    "--backend", default="serial", show_default=True, help="serial, or petsc: on the ranks that mpirun started."
)


class PassesOptions(click.Command):
    """A command that leaves -fsp_... to PETSc, which is told of them where its objects are made."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read all other arguments."""
        if {"petsc", "--backend=petsc"} & set(args) and any(argument.startswith("-fsp_") for argument in args):
            from fsp.petsc.flags import without_options

            args = without_options(args)
        return super().parse_args(ctx, args)
