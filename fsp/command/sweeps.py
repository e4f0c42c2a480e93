"""What --sweep asks for, of the commands that have it."""

from __future__ import annotations

from collections.abc import Sequence

from fsp.command.options import CommandRequest, named
from fsp.errors import ArgumentError
from fsp.quantities import points


def refuse_without_sweep(pairs: bool, processes: int | None) -> None:
    """Refuse options of sweeps where there is none."""
    for name, given in (("pairs", pairs), ("processes", processes is not None)):
        if given:
            raise ArgumentError(f"`--{name}` must come with --sweep, but there is none.")


def swept(request: CommandRequest, sweeps: Sequence[str], pairs: bool) -> dict[str, list[float]]:
    """Return the values of --sweep by name."""
    values = {name: points(text, f"--sweep {name}") for name, text in named(sweeps, "--sweep", "NAME=VALUES")}
    twice = [name for name, _ in named(request.source.settings, "--set", "NAME=VALUE") if name in values]
    if twice:
        raise ArgumentError(f"`--set` and `--sweep` must not give the same name, but both give '{twice[0]}'.")
    if request.files.plot is not None and (len(values) > 2 or (pairs and len(values) > 1)):
        raise ArgumentError("`--plot` must draw one or two names in all combinations, but --sweep gives others.")
    return values
