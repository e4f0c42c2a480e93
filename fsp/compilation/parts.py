"""Which kernels are compiled together, and what compiles them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[1]  # where the sources are
# Kernels that call each other are compiled together, those of these rooms; what is apart has a process of its own.
PARTS = {
    "products": ("generator", "solvers"),
    "panels": ("generator",),
    "states": ("chains", "sampling", "space"),
    "series": ("model",),
    "stages": ("inference",),
}
PANELS = "block_kernels"  # of all that products do not call, what takes longest: a third of their time
# What takes a kernel and numba's options while the package is built: see `fsp.compilation.build`.
compiler: Callable[[Callable[..., Any], dict[str, Any]], Any] | None = None


def part_of(module: str) -> str:
    """Return the part to which the kernels of a module belong."""
    _, room, name = module.split(".")
    if name == PANELS:
        return "panels"
    return next(part for part, rooms in PARTS.items() if room in rooms)


def sources(part: str) -> list[Path]:
    """Return the files of kernels of the rooms of a part."""
    return sorted(path for room in PARTS[part] for path in PACKAGE.glob(f"{room}/*kernels.py"))
