"""Options of PETSc's and SLEPc's objects: set by prefix while one call needs them, and as they were afterwards.

Ours all begin with ``fsp_``: ``-fsp_ksp_type bcgs`` on the command line of a program, or
``options={"ksp_type": "bcgs"}``, which comes first.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fsp.errors import ArgumentError
from fsp.petsc.environment import load

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fsp.petsc.comm import Communicator

PREFIX = "fsp_"
FLAG = f"-{PREFIX}"
OBJECTS = ("bv", "ds", "eps", "fn", "ksp", "mat", "mfn", "pc", "rg", "snes", "st", "sub", "ts", "vec")


class Options:
    """What the user asks of PETSc.

    Parameters
    ----------
    comm
        The ranks, which must all ask for the same.
    given
        Names, with or without the prefix, and values; those of the command line are added.

    Raises
    ------
    ArgumentError
        If a name is not that of an option of PETSc's or SLEPc's objects, or ranks differ.
    """

    def __init__(self, comm: Communicator, given: Mapping[str, Any] | None = None) -> None:
        with comm.agree():
            self.given = {**from_arguments(sys.argv[1:]), **_named(given or {})}
        comm.require_same(sorted(self.given.items()), "`options`")

    @contextmanager
    def over(self, **defaults: Any) -> Iterator[str]:
        """Set `defaults` and what was given, which goes first, for as long as the block; return the prefix."""
        database = load().PETSc.Options()
        wanted = {PREFIX + name: _text(value) for name, value in {**defaults, **self.given}.items()}
        before = {name: database.getString(name) for name in wanted if database.hasName(name)}
        try:
            for name, value in wanted.items():
                database.setValue(name, value)
            yield PREFIX
        finally:
            for name in wanted:
                database.delValue(name)
            for name, value in before.items():
                database.setValue(name, value)


def from_arguments(arguments: Sequence[str]) -> dict[str, str]:
    """Return the options among the arguments of a program, ``-fsp_NAME VALUE`` or ``-fsp_NAME`` alone.

    Raises
    ------
    ArgumentError
        If a name is not known.
    """
    found = {}
    for place, argument in enumerate(arguments):
        if argument.startswith(FLAG):
            value = arguments[place + 1] if place + 1 < len(arguments) else ""
            found[argument] = "" if _is_flag(value) else value
    return _named(found)


def without_options(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of a program that `from_arguments` does not read."""
    kept, skipped = [], False
    for place, argument in enumerate(arguments):
        is_value = skipped
        skipped = argument.startswith(FLAG)
        if not skipped and not (is_value and not _is_flag(arguments[place])):
            kept.append(argument)
    return kept


def _is_flag(text: str) -> bool:
    """Tell whether an argument begins with a dash and is not a negative number."""
    return text.startswith("-") and not text[1:2].isdigit() and text[1:2] != "."


def _named(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return options by their names without the prefix."""
    named = {str(name).removeprefix("-").removeprefix(PREFIX): value for name, value in given.items()}
    for name in named:
        if name.partition("_")[0] not in OBJECTS:
            raise ArgumentError(
                f"`options` must be named after an object of PETSc or SLEPc, such as ksp_type or eps_type "
                f"({', '.join(OBJECTS)}), but one is '{name}'."
            )
    return named


def _text(value: Any) -> str:
    """Return a value as PETSc reads it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
