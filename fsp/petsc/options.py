"""Options of PETSc's and SLEPc's objects: set by prefix while one call needs them, and as they were afterwards.

Ours all begin with ``fsp_``: ``-fsp_ksp_type bcgs`` on the command line of a program, or
``options={"ksp_type": "bcgs"}``, which comes first.
"""

from __future__ import annotations

import ctypes
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fsp.petsc.environment import load
from fsp.petsc.flags import PREFIX, asked, from_arguments, named, used

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fsp.petsc.comm import Communicator


class Options:
    """What the user asks of PETSc, the same on all ranks; the command line adds to what is given."""

    def __init__(self, comm: Communicator, given: Mapping[str, Any] | None = None) -> None:
        with comm.agree():
            self.given = {**from_arguments(sys.argv[1:]), **named(given or {})}
        comm.require_same(sorted(self.given.items()), "`options`")
        asked.update(self.given)

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
            used.update(name for name in self.given if _is_used(PREFIX + name))
            for name in wanted:
                database.delValue(name)
            for name, value in before.items():
                database.setValue(name, value)


def _is_used(name: str) -> bool:
    """Tell whether an option of PETSc's database was looked up; petsc4py 3.18 does not have this call."""
    used = ctypes.c_int(0)
    ctypes.CDLL(load().PETSc.__file__).PetscOptionsUsed(None, name.encode(), ctypes.byref(used))
    return bool(used.value)


def _text(value: Any) -> str:
    """Return a value as PETSc reads it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
