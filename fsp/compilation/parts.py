"""Which kernels are compiled together, and what compiles them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[1]  # where the sources are
# Rooms whose kernels call each other are compiled together; what is apart is compiled by processes of their own.
PARTS = {
    "products": ("generator", "solvers"),
    "states": ("chains", "sampling", "space"),
    "series": ("model",),
    "stages": ("inference",),
}
# What takes a kernel and numba's options while the package is built: see `fsp.compilation.build`.
compiler: Callable[[Callable[..., Any], dict[str, Any]], Any] | None = None


def part_of(room: str) -> str:
    """Return the part to which the kernels of a room belong."""
    return next(part for part, rooms in PARTS.items() if room in rooms)


def sources(part: str) -> list[Path]:
    """Return the files of the kernels of a part."""
    return sorted(path for room in PARTS[part] for path in PACKAGE.glob(f"{room}/*kernels.py"))
