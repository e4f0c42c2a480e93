"""Vector registers in kernels: several neighbouring entries of an array at once, with + and * between them and numbers.

`fsp.compilation.lowering` says what a compiled kernel makes of these; here is what Python does, for a debugger.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# Entries in a register; where one holds two (x86-64-v2) it is a pair of them.  With 8 products take a tenth longer.
LANES = 4
LINE = 8  # entries in a line of the caches


def entries(array: Any) -> Any:
    """Return the entries of an array in one row, without what counts references to it: `x[i]` is not checked."""
    return array.reshape(-1)


def load(x: Any, i: Any) -> Any:
    """Return the entries i, i + 1, …, all of which there must be."""
    return x[i : i + LANES].copy()


def load_line(x: Any, i: Any) -> Any:
    """Return a line of entries, i, i + 1, …, all of which there must be: in one register where one holds so many."""
    return x[i : i + LINE].copy()


def load_halves(x: Any, i: Any) -> Any:
    """Return a line of entries in two registers: so those that come from memory are quicker at x86-64-v4 (measured)."""
    return load_line(x, i)


def store(x: Any, i: Any, values: Any) -> None:
    """Write the entries i, i + 1, …, all of which there must be."""
    x[i : i + len(values)] = values


def stream(x: Any, i: Any, values: Any) -> None:
    """Write the entries i, i + 1, …, where a register's bytes are aligned, past the caches: no line is read first."""
    store(x, i, values)


def within(values: Any, i: Any, begin: Any, end: Any) -> Any:
    """Return the values where i, i + 1, … are in begin..end, and zero elsewhere."""
    place = np.arange(i, i + LANES)
    return np.where((begin <= place) & (place < end), values, 0.0)


def prefetch(x: Any, i: Any) -> None:
    """Ask for entry i, soon to be loaded or written, to be brought near; it need not be there."""
