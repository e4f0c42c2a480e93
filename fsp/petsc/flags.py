"""Names of options of PETSc's and SLEPc's objects, and those among the arguments of a program."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from fsp.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PREFIX = "fsp_"
FLAG = f"-{PREFIX}"
asked: set[str] = set()  # of calls; those of the command line come to it at the end
used: set[str] = set()  # by an object of PETSc or SLEPc
OBJECTS = ("bv", "ds", "eps", "fn", "ksp", "mat", "mfn", "pc", "rg", "snes", "st", "sub", "ts", "vec")


def say_unused() -> None:
    """Print the options that no object has looked up: a name that is mistyped, or of an object that was not made."""
    given = {argument.removeprefix(FLAG) for argument in sys.argv[1:] if argument.startswith(FLAG)}
    unused = sorted((asked | given) - used)
    if unused:
        names = ", ".join(FLAG + name for name in unused)
        print(
            f"fsp: warning: no object of PETSc or SLEPc that was made has an option {names}: the name may be mistyped, "
            f"or of an object that this run did not need",
            file=sys.stderr,
        )


def from_arguments(arguments: Sequence[str]) -> dict[str, str]:
    """Return the options among the arguments of a program, ``-fsp_NAME VALUE`` or ``-fsp_NAME`` alone."""
    flags = {}
    for place, argument in enumerate(arguments):
        if argument.startswith(FLAG):
            value = arguments[place + 1] if place + 1 < len(arguments) else ""
            flags[argument] = "" if _is_flag(value) else value
    return named(flags)


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


def named(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return options by their names without the prefix."""
    named = {str(name).removeprefix("-").removeprefix(PREFIX): value for name, value in given.items()}
    for name in named:
        if name.partition("_")[0] not in OBJECTS:
            raise ArgumentError(
                f"`options` must be named after an object of PETSc or SLEPc, such as ksp_type or eps_type "
                f"({', '.join(OBJECTS)}), but one is '{name}'."
            )
    return named
