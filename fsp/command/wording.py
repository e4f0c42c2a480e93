"""Errors in the words of the command line: where a message names an argument of Python, it names the option."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import click

from fsp.errors import FSPError

_NAMED = re.compile(r"`(\w+)`")
_SAID = re.compile(r"(?<![\w(])(?<!, )(\w+)='([^']*)'")  # solver='implicit', but not in fsp.fit(..., backend='petsc')
_TWICE = re.compile(r"(--[\w-]+ [^\s()]+) \(\1\)")  # where a message says both ways
_SPELLED = {"with log=True": "without --linear", "log=False": "--linear"}  # options that say the opposite


@contextmanager
def saying(**options: str) -> Iterator[None]:
    """Name the options of a block, by the arguments of Python, in errors that leave it."""
    try:
        yield
    except FSPError as error:
        error.args = (in_options(str(error), options), *error.args[1:])
        raise


def in_options(text: str, options: Mapping[str, str]) -> str:
    """Return a message in which arguments of Python are options."""
    text = _NAMED.sub(lambda match: f"`{options.get(match[1], match[1])}`", text)
    for said, spelled in _SPELLED.items():
        text = text.replace(said, spelled) if "--linear" in options.values() else text
    text = _SAID.sub(lambda match: f"{options[match[1]]} {match[2]}" if match[1] in options else match[0], text)
    return _TWICE.sub(r"\1", text)


def options_of_command() -> dict[str, str]:
    """Return the options of the command that runs, by the names of its arguments."""
    context = click.get_current_context(silent=True)
    parameters = [] if context is None else context.command.params
    return {str(part.name): max(part.opts, key=len) for part in parameters if isinstance(part, click.Option)}
