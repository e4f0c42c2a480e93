"""Bounds of moments of a network that a file holds as text, computed when they are asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from fsp.moments.bounds import MomentBounds, PendingBounds, moment_bounds
from fsp.moments.drift import ORDERS
from fsp.moments.network_text import read_network

ANOTHER = "the network that the file holds is read as another one; solve it again"


class StoredBounds(PendingBounds):
    """Bounds at a time of the network of a file, whose hash must be the one that its model had."""

    def __init__(self, text: str, model_hash: str, t: float, columns: Sequence[int]) -> None:
        self._text, self._hash, self._t, self._columns = text, model_hash, t, tuple(columns)
        self._bounds: MomentBounds | None = None

    def _make(self) -> MomentBounds:
        model = read_network(self._text, self._hash)
        if model is not None:
            return moment_bounds(model, self._t).bounds
        species = tuple(json.loads(self._text)["species"])
        d = len(species)
        nothing = np.zeros((0, d), dtype=np.int64), np.zeros((0, 2))
        return MomentBounds(species, np.full(d, np.inf), np.full((d, ORDERS), np.inf), *nothing, reason=ANOTHER)

    def network(self, t: float) -> str:
        """Return the text; empty for another time, or where some species were left out or stand in another order."""
        is_whole = self._columns == tuple(range(len(json.loads(self._text)["species"])))
        return self._text if self._t == t and is_whole else ""

    def select(self, columns: Sequence[int]) -> PendingBounds | MomentBounds:
        """Return the bounds of some of the species."""
        if self._bounds is not None:
            return self._bounds.select(columns)
        return StoredBounds(self._text, self._hash, self._t, [self._columns[i] for i in columns])

    def __reduce__(self) -> tuple[Any, ...]:
        return StoredBounds, (self._text, self._hash, self._t, self._columns)
