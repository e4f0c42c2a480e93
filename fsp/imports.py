"""Imports without the collector of garbage: modules make none, and looking for it took a fifth of the first answer."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def uncollected() -> Iterator[None]:
    """Import inside without collections, which libsbml's 30,000 functions make slow.

    What was imported goes to the oldest generation unseen, by freezing and unfreezing, unless something is frozen: else
    the next collection would look through it.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            if not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()
            gc.enable()


def loaded(name: str) -> Any:
    """Return a module, imported where it is not yet."""
    with uncollected():
        return import_module(name)
