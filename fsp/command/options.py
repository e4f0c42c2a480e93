"""The options that the commands share, and what their texts mean.

Every error is an `ArgumentError` that names the option.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

import fsp
from fsp.errors import ArgumentError, ModelError
from fsp.quantities import number, size

if TYPE_CHECKING:
    from fsp.model import Model

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
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
class Printing:
    """What is printed."""

    marginal: tuple[str, ...]
    as_json: bool
    quiet: bool


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for on the command line, whatever the command."""

    model: str
    settings: tuple[str, ...]
    tol: float
    limits: Limits
    files: Files
    printing: Printing

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Request:
        """Return what the shared options, and those that some commands add, ask for."""
        left = dict(options)

        def taken(part: type[T]) -> T:
            return part(**{own.name: left.pop(own.name) for own in fields(part) if own.name in left})  # type: ignore[arg-type]

        return cls(limits=taken(Limits), files=taken(Files), printing=taken(Printing), **left)


SET = click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Set a parameter or an initial count."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace files that fsp did not write, and finished work.")
# In the order of the help.
_SHARED = (
    click.argument("model"),
    SET,
    click.option("--tol", default=1e-6, show_default=True, help="Error to reach, in the 1-norm."),
    click.option("--max-states", type=int, help="Limit on the number of states."),
    click.option("--max-memory", metavar="SIZE", help="Limit on memory, such as 8GiB or 500MB."),
    click.option("--out", type=click.Path(path_type=Path), help="Write an HDF5 file."),
    click.option("--plot", type=click.Path(path_type=Path), help="Draw a picture: .png, .pdf, .svg, ..."),
    OVERWRITE,
    click.option("--marginal", multiple=True, metavar="SPECIES", help="Print a marginal distribution."),
    JSON,
    click.option("--quiet", is_flag=True, help="No progress."),
)


def with_options(*options: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what gives a command these options, in this order."""

    def given(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return given


shared_options = with_options(*_SHARED)  # they make a `Request`


class SolverOption(click.Option):
    """An option whose help names all solvers; they are imported when it is asked for."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the option and its help."""
        from fsp.solvers import SOLVERS

        *names, last = ["auto", *SOLVERS]
        self.help = f"{', '.join(names)} or {last}."
        return super().get_help_record(ctx)


def with_settings(model: Model, settings: Sequence[str]) -> Model:
    """Return a model with the parameters and initial counts that --set gives."""
    values = {name: number(value, f"--set {name}") for name, value in named(settings, "--set", "NAME=VALUE")}
    try:
        return model.with_values(values)
    except ModelError:
        known = [*model.parameters, *model.species]
        unknown = next((name for name in values if name not in known), None)
        if unknown is None:
            raise
        raise ModelError(f"`--set` must name one of {', '.join(known)}, but has '{unknown}'.") from None


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


def load_model(path: str, settings: Sequence[str]) -> Model:
    """Read a model, and set what --set gives."""
    return with_settings(fsp.load(path), settings)


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
