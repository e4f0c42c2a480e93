"""What commands that print one answer have in common: the last options, progress, and what is printed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fsp.command.exits import ABOVE_TOLERANCE
from fsp.command.printing import record_of
from fsp.command.progress import reporting
from fsp.command.solve import is_answer, require_hdf5_name, require_no_loss
from fsp.output.replace import Output, require_outputs

if TYPE_CHECKING:
    from fsp.command.progress import Report


@dataclass(frozen=True, slots=True)
class Ending:
    """What the options of `fsp.command.options.ENDING` say."""

    max_states: int | None
    as_json: bool
    quiet: bool
    progress: bool

    def reporting(self) -> AbstractContextManager[Report | None]:
        """Give a callback for progress, and write warnings when the block has ended."""
        return reporting(self.quiet, self.progress)

    def show(self, text: str, record: Callable[[], dict[str, Any]], *, met: bool = True) -> int:
        """Print an answer as text or as JSON; return the exit status."""
        from fsp.output.records import to_json

        click.echo(to_json(record()) if self.as_json else text)
        return 0 if met else ABOVE_TOLERANCE


@dataclass(frozen=True, slots=True)
class DrawnEnding(Ending):
    """What the options of `fsp.command.options.drawn_ending` say."""

    plot: Path | None
    overwrite: bool

    def check(self, model: str) -> None:
        """Refuse a picture that cannot be drawn, rather than after the work."""
        from fsp.output.pictures import SUFFIXES

        require_outputs(Output("--plot", self.plot, SUFFIXES), inputs=[model], overwrite=self.overwrite)

    def draw(self, answer: Any) -> None:
        """Draw an answer where a picture is asked for."""
        if self.plot is not None:
            from fsp.output.pictures import write

            write(answer.plot(), self.plot)


@dataclass(frozen=True, slots=True)
class KeptEnding(Ending):
    """What the options of `fsp.command.options.KEPT_ENDING` say."""

    out: Path | None
    overwrite: bool

    def check(self, kind: str, *inputs: str | Path) -> None:
        """Refuse a file that cannot be written, or that holds what is of another kind, rather than after the work."""
        require_outputs(Output("--out", self.out, is_own=is_answer), inputs=inputs, overwrite=self.overwrite)
        require_hdf5_name(self.out)
        if self.out is not None and not self.overwrite:
            require_no_loss(self.out, kind)

    def end(self, answer: Any, text: str = "", *, met: bool, **more: Any) -> int:
        """Write an answer where a file is asked for, print it, or `text`, as JSON with `more`; return the status."""
        if self.out is not None:
            answer.save(self.out)
        return self.show(text or str(answer), lambda: record_of(answer, **more), met=met)


@dataclass(frozen=True, slots=True)
class DerivativeOptions:
    """By which parameters an answer is differentiated, and how."""

    parameters: str
    linear: bool
    start: str | None
    tol: float

    @property
    def names(self) -> list[str]:
        """The parameters."""
        return names_in(self.parameters)

    @property
    def how(self) -> dict[str, Any]:
        """What the functions that differentiate take."""
        return {"log": not self.linear, "tol": self.tol, "start": self.start}


PARAMETERS = click.option("--parameters", required=True, metavar="NAMES", help="Names of the parameters: k,g.")
TIMES = click.option("--times", required=True, metavar="TIMES", help="1,2,5 or FROM:TO:NUMBER, with both ends.")
LINEAR = click.option("--linear", is_flag=True, help="By the parameters themselves, not by their logarithms.")
START_OPTION = click.option(
    "--start", metavar="LAW", help="stationary: from the stationary law of the rates at time zero."
)


def names_in(text: str) -> list[str]:
    """Return names that are given with commas between them."""
    return [name.strip() for name in text.split(",")]
