"""Memory that a computation may take: what is about to pass the limit is refused before it is made.

``with limited(max_memory)`` puts the limit on all that is done within.  Spaces take what is `left` for their states;
what is made beside them, such as a basis or the factors of a matrix, is asked for with `check_memory`, or is a `Room`
for as long as that lives.  Without a limit nothing is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from fsp.errors import StateSpaceError

BYTES_BESIDE = 8 * 30  # bytes of a state with its key and its row of the generator, when something is made of them


@dataclass(slots=True, eq=False)
class _MemoryLimit:
    limit: int
    kept: int = 0  # bytes that stay


_ACTIVE: ContextVar[_MemoryLimit | None] = ContextVar("memory", default=None)


@contextmanager
def limited(limit: int | None) -> Iterator[None]:
    """Refuse what takes more than so many bytes together; None for no limit but that of around.

    What is kept within is forgotten at the end.
    """
    around = _ACTIVE.get()
    within = around and _MemoryLimit(around.limit, around.kept)
    token = _ACTIVE.set(within if limit is None else _MemoryLimit(int(limit)))
    try:
        yield
    finally:
        _ACTIVE.reset(token)


def is_limited() -> bool:
    """Tell whether there is a limit."""
    return _ACTIVE.get() is not None


def limit() -> int | None:
    """Return the limit; None where there is none."""
    active = _ACTIVE.get()
    return None if active is None else active.limit


def left(limit: int) -> int:
    """Return how much of a limit is left beside what stays."""
    active = _ACTIVE.get()
    return limit if active is None else limit - active.kept


def keep(n_bytes: int) -> None:
    """Take note of bytes that stay to the end."""
    active = _ACTIVE.get()
    if active is not None:
        active.kept += n_bytes


def affords(n_bytes: float, n_states: int) -> bool:
    """Tell whether so many bytes may be taken beside some states and what stays."""
    active = _ACTIVE.get()
    return active is None or active.kept + BYTES_BESIDE * n_states + n_bytes <= active.limit


def check_memory(what: str, n_bytes: float, n_states: int, way_out: str) -> None:
    """Raise a StateSpaceError unless so many bytes may be taken beside some states and what stays."""
    active = _ACTIVE.get()
    if active is not None and not affords(n_bytes, n_states):
        free = max(0, active.limit - active.kept - BYTES_BESIDE * n_states)
        raise StateSpaceError(
            f"{what} must fit into {free:,} bytes, what {n_states:,} states leave of {active.limit:,} (`max_memory`), "
            f"but needs about {int(n_bytes):,}; raise the limit, or {way_out}."
        )


class Room:
    """Bytes for `what` that are taken as long as this lives; a StateSpaceError where there are not so many."""

    def __init__(self, what: str, n_bytes: float, n_states: int, way_out: str) -> None:
        check_memory(what, n_bytes, n_states, way_out)
        self._of, self._n_bytes = _ACTIVE.get(), int(n_bytes)
        if self._of is not None:
            self._of.kept += self._n_bytes

    def __del__(self) -> None:
        if getattr(self, "_of", None) is not None:
            self._of.kept -= self._n_bytes  # type: ignore[union-attr]
