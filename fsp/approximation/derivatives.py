"""The derivatives of all rate laws of a network up to the third order, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement, permutations

import numpy as np

from fsp.arrays import FloatArray
from fsp.model.derivatives import derivative
from fsp.model.program import Program, compiled
from fsp.model.tree import ZERO, Expression, symbols

NEAR_ZERO = 1e-12  # least concentration at which a derivative is taken: some of y^1.5 have none at zero


class Tensors:
    """The derivatives of R laws of concentrations and time up to an order of at most three, ready to evaluate."""

    def __init__(self, laws: Sequence[Expression], species: Sequence[str], order: int) -> None:
        self._species = tuple(species)
        self._order = order
        self._parts: list[list[tuple[int, tuple[int, ...], Program]]] = [[] for _ in range(order + 1)]
        for k, law in enumerate(laws):
            self._add(k, law)
        self._n_laws = len(laws)

    def _add(self, k: int, law: Expression) -> None:
        used = [i for i, name in enumerate(self._species) if name in symbols(law)]
        trees: dict[tuple[int, ...], Expression] = {(): law}
        for n in range(1, self._order + 1):
            for index in combinations_with_replacement(used, n):
                trees[index] = derivative(trees[index[:-1]], self._species[index[-1]])
        for index, tree in trees.items():
            if tree != ZERO:
                self._parts[len(index)].append((k, index, compiled(tree)))

    def __call__(self, y: FloatArray, t: float) -> list[FloatArray]:
        """Return the values (R,), and their derivatives (R, d), (R, d, d), … at the concentrations y (d,)."""
        d, tensors = len(self._species), []
        with np.errstate(all="ignore"):
            for n, parts in enumerate(self._parts):
                values = dict(zip(self._species, np.maximum(y, NEAR_ZERO if n else 0.0), strict=True))
                tensor = np.zeros((self._n_laws, *(d,) * n))
                for k, index, program in parts:
                    value = float(program(values, t))
                    for place in set(permutations(index)):
                        tensor[(k, *place)] = value
                tensors.append(tensor)
        return tensors
