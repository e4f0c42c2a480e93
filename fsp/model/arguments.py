"""What the functions that solve a model check of their arguments before they begin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fsp.checks import shown
from fsp.errors import ArgumentError
from fsp.model.model import Model


def check_model(name: str, given: object) -> None:
    """Raise an ArgumentError unless an argument is a model."""
    if not isinstance(given, Model):
        way = f"; read the file with fsp.load('{given}')" if isinstance(given, str | Path) else ""
        raise ArgumentError(f"`{name}` must be a fsp.Model, but is {shown(given)}{way}.")


def check_call(
    model: object,
    *,
    space: object = None,
    max_states: object = None,
    max_memory: object = None,
    max_work: object = None,
    progress: object = None,
) -> None:
    """Refuse arguments that are of another kind."""
    check_model("model", model)
    if space is not None and not (hasattr(space, "local") and hasattr(space, "species")):
        raise ArgumentError(f"`space` must be a fsp.StateSpace, or None for one that is chosen, but is {space!r}.")
    for name, limit, unit in (("max_states", max_states, "states"), ("max_memory", max_memory, "bytes")):
        if limit is not None and not _is_count(limit):
            raise ArgumentError(f"`{name}` must be a number of {unit}, such as 10**9, but is {shown(limit)}.")
    if max_work is not None and not (isinstance(max_work, int | float | np.number) and max_work > 0):
        raise ArgumentError(f"`max_work` must be a number of multiply-adds, such as 1e14, but is {max_work!r}.")
    if progress is not None and not callable(progress) and not isinstance(progress, bool):
        raise ArgumentError(
            f"`progress` must be a function that is called now and then, True for a bar, or None, but is {progress!r}."
        )


def require_unmoved(model: Model, names: Iterable[str], what: str, way: str = "make '{}' a species") -> None:
    """Refuse names of parameters whose values events change, where a question has one value for all times."""
    for name in sorted(set(names) & model.moved_by_events.keys()):
        assigned = model.moved_by_events[name]
        by = "is" if name == assigned else f"depends on '{assigned}', which is"
        raise ArgumentError(
            f"{what} must not depend on parameters that events change, but '{name}' {by} assigned by one; "
            f"{way.format(assigned)}."
        )


def check_tolerance(tol: float) -> None:
    """Raise an ArgumentError unless `tol` is a number between 0 and 1."""
    if not isinstance(tol, float | int | np.number) or not 0.0 < tol < 1.0:
        raise ArgumentError(f"`tol` must be a number between 0 and 1, but is {tol!r}.")


def _is_count(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer):
        return False
    return bool(value > 0) and (not isinstance(value, float) or value.is_integer())
