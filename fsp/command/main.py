"""The `fsp` command: read a model, solve it, print the answer with its error, write files and pictures.

Tables and JSON go to standard output; progress, warnings and errors to standard error.  The exit status tells a batch
script what happened; `fsp --help` lists the codes.
"""

from __future__ import annotations

import io
import sys
from typing import Any

import click

from fsp.command.approximations import approximations
from fsp.command.batch import batch
from fsp.command.committor import committor
from fsp.command.correlation import correlation
from fsp.command.design import design
from fsp.command.exits import EPILOG, printing_if
from fsp.command.fisher import fisher
from fsp.command.fit import fit
from fsp.command.gradient import gradient
from fsp.command.info import info
from fsp.command.likelihood import likelihood
from fsp.command.passage import passage
from fsp.command.prism import prism
from fsp.command.relaxation import relaxation
from fsp.command.reward import reward
from fsp.command.sensitivity import sensitivity
from fsp.command.stationary import stationary
from fsp.command.stored import export, plot, show, view
from fsp.command.suite import suite
from fsp.command.transient import transient
from fsp.command.verify import verify
from fsp.launcher import rank_started
from fsp.version import __version__


class _Commands(click.Group):
    """The commands; where many ranks are started with wrong words, one of them says so."""

    def main(self, *args: Any, **more: Any) -> Any:
        """Read the words and run what they say."""
        with printing_if(rank_started() == 0 or not any(word.endswith("petsc") for word in sys.argv)):
            return super().main(*args, **more)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command with its words, or end where these give an option several times of which one counts."""
        name, command, left = super().resolve_command(ctx, args)
        repeated = None if command is None else _repeated(ctx, command, left)
        if repeated is not None:
            click.echo(f"fsp: error: `{repeated}` must be given once, but is given several times.", err=True)
            ctx.exit(2)
        return name, command, left


def _repeated(ctx: click.Context, command: click.Command, words: list[str]) -> str | None:
    """Return the option that is given several times, though it takes one value; None where there is none."""
    try:
        parser = command.make_parser(click.Context(command, parent=ctx, ignore_unknown_options=True))
        _, _, order = parser.parse_args(list(words))
    except click.UsageError:  # which the command reports
        return None
    single = [given for given in order if isinstance(given, click.Option) and not (given.multiple or given.is_flag)]
    return next((option.opts[0] for i, option in enumerate(single) if option in single[:i]), None)


@click.group(cls=_Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fsp")
def main() -> None:
    """Solve the chemical master equation, with a bound on the total error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks ≤ shows a question mark


for command in (
    approximations,
    transient,
    stationary,
    batch,
    show,
    plot,
    export,
    view,
    relaxation,
    passage,
    committor,
    correlation,
    reward,
    info,
    prism,
    sensitivity,
    gradient,
    fisher,
    likelihood,
    fit,
    design,
    suite,
    verify,
):
    main.add_command(command)
