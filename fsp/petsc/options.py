"""Options of PETSc's and SLEPc's objects: set by prefix while one call needs them, and as they were afterwards.

Ours all begin with ``fsp_``: ``-fsp_ksp_type bcgs`` on the command line of a program, or
``options={"ksp_type": "bcgs"}``, which comes first.
"""

from __future__ import annotations

import ctypes
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
_asked: set[str] = set()  # of calls; those of the command line come to it at the end
_used: set[str] = set()  # by an object of PETSc or SLEPc
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
        _asked.update(self.given)

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
            _used.update(name for name in self.given if _is_used(PREFIX + name))
            for name in wanted:
                database.delValue(name)
            for name, value in before.items():
                database.setValue(name, value)


def say_unused() -> None:
    """Print the options that no object has looked up: a name that is mistyped, or of an object that was not made."""
    given = {argument.removeprefix(FLAG) for argument in sys.argv[1:] if argument.startswith(FLAG)}
    unused = sorted((_asked | given) - _used)
    if unused:
        names = ", ".join(FLAG + name for name in unused)
        print(
            f"fsp: warning: no object of PETSc or SLEPc that was made has an option {names}: the name may be mistyped, "
            f"or of an object that this run did not need",
            file=sys.stderr,
        )


def _is_used(name: str) -> bool:
    """Tell whether an option of PETSc's database was looked up; petsc4py 3.18 does not have this call."""
    used = ctypes.c_int(0)
    ctypes.CDLL(load().PETSc.__file__).PetscOptionsUsed(None, name.encode(), ctypes.byref(used))
    return bool(used.value)


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
