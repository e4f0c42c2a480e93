"""Damage result files, and compare what is read from them with what was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np


def damage(path: Path, random: np.random.Generator, what: str) -> None:
    """Change an attribute, take a dataset away, or give one another type."""
    with h5py.File(path, "r+") as file:
        items: list[Any] = [file]
        file.visititems(lambda _, item: items.append(item))
        if what == "attribute":
            owners = [item for item in items if len(item.attrs)]
            item = owners[int(random.integers(len(owners)))]
            name = sorted(item.attrs)[int(random.integers(len(item.attrs)))]
            item.attrs[name] = [-1.0, "other", np.nan, 7, True][int(random.integers(5))]
            return
        sets = [item for item in items if isinstance(item, h5py.Dataset)]
        item = sets[int(random.integers(len(sets)))]
        name, shape = item.name, item.shape
        del file[name]
        if what == "type":
            file[name] = [np.full(shape, np.nan), np.full(shape, 0.5), np.full(shape, b"x"), 3.0][
                int(random.integers(4))
            ]


def same(before: Any, after: Any) -> str:
    """Return ``same``, or what differs between two answers."""
    if type(before) is not type(after):
        return f"differs in kind: {type(after).__name__}"
    if hasattr(before, "probabilities"):
        return _same_distribution(before, after)
    if len(before) != len(after):
        return f"differs in length: {len(after)}"
    if hasattr(before, "points") and not np.array_equal(before.points, after.points):
        return "differs in points"
    for first, second in zip(before, after, strict=True):
        if (difference := same(first, second)) != "same":
            return difference
    return "same"


def _same_distribution(before: Any, after: Any) -> str:
    for name in ("t", "error", "species", "closed", "model_name", "model_hash", "time_unit", "notes", "observables"):
        if getattr(before, name) != getattr(after, name):
            return f"differs in {name}: {getattr(after, name)!r}"
    for name in ("states", "probabilities", "lower", "upper"):
        if not np.array_equal(getattr(before, name), getattr(after, name)):
            return f"differs in {name}"
    if before.mean_interval() != after.mean_interval():
        return "differs in mean_interval"
    return "same"
