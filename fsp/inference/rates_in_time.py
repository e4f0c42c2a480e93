"""A generator on fixed states and its derivatives by parameters, as plain matrices at any times.

Nothing is bounded here: rates are evaluated, and what leaves the states is counted out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array

from fsp.errors import ModelError
from fsp.model.expression import compiled
from fsp.model.tree import ZERO, Expression, depends_on_time
from fsp.solvers.linear import Band
from fsp.space.space import successors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import FloatArray
    from fsp.inference.parameters import Derivatives
    from fsp.model import Model
    from fsp.space import StateSpace


class JumpPattern:
    """Where the jumps of a network lead on fixed states, and the places of their rates in a matrix."""

    def __init__(self, model: Model, space: StateSpace) -> None:
        states = space.states  # (n, d)
        n = len(states)
        self.columns = {name: states[:, i].astype(np.float64) for i, name in enumerate(model.species)}
        targets = successors(space, model.change)
        self.sources = [np.flatnonzero(target >= 0) for target in targets]
        self.targets = [target[source] for target, source in zip(targets, self.sources, strict=True)]
        keys = [
            np.arange(n) * (n + 1),
            *(to * n + source for to, source in zip(self.targets, self.sources, strict=True)),
        ]
        entries = np.unique(np.concatenate(keys))
        self.diagonal, *self.places = (np.searchsorted(entries, key) for key in keys)
        self._indices = (entries % n).astype(np.int32)
        self._indptr = np.searchsorted(entries, np.arange(n + 1) * n).astype(np.int32)
        self.band = Band.of(self.matrix(np.ones(len(entries))))

    def __len__(self) -> int:
        return len(self.diagonal)

    @property
    def n_entries(self) -> int:
        """Number of entries of the matrices."""
        return len(self._indices)

    def matrix(self, data: FloatArray) -> Any:
        """Return the matrix, (n, n) CSR, with these entries."""
        return csr_array((data, self._indices, self._indptr), shape=(len(self), len(self)))

    def add(self, data: FloatArray, r: int, rates: FloatArray) -> None:
        """Add a reaction of some rates (n,) to the entries of a generator, with its full exit rates."""
        data[self.places[r]] += rates[self.sources[r]]
        data[self.diagonal] -= rates

    def leaving(self, r: int) -> FloatArray:
        """Return from which states a reaction leaves the space: 1 or 0, (n,)."""
        there = np.ones(len(self))
        there[self.sources[r]] = 0.0
        return there


class RatesInTime:
    """The generator at one value of the parameters, with its derivatives, at any times."""

    def __init__(self, jumps: JumpPattern, model: Model, slopes: Derivatives | None) -> None:
        self.jumps, self._model = jumps, model
        self.q, n = 0 if slopes is None else len(slopes.names), len(jumps)
        laws = [law if law is not None else ZERO for law in model.rate_expressions]
        self._changing = [(r, law) for r, law in enumerate(laws) if depends_on_time(law)]
        self._constant, self._outflow = np.zeros(jumps.n_entries), np.zeros(n)
        for r, law in enumerate(laws):
            if not depends_on_time(law):
                rates = self._on_states([law], np.zeros(1))[0, 0]
                jumps.add(self._constant, r, rates)
                self._outflow += rates * jumps.leaving(r)
        rows = [] if slopes is None else slopes.trees
        trees = [(k, r, tree) for k, row in enumerate(rows) for r, tree in enumerate(row) if tree != ZERO]
        self._moved = [triple for triple in trees if depends_on_time(triple[2])]
        self._sources = self._stacked([triple for triple in trees if not depends_on_time(triple[2])])

    def at(self, times: FloatArray) -> list[Any]:
        """Return the generators, (n, n) CSR each, at some times."""
        rates = self._on_states([law for _, law in self._changing], times)
        matrices = []
        for i in range(len(times)):
            data = self._constant.copy()
            for (r, _), of_reaction in zip(self._changing, rates, strict=True):
                self.jumps.add(data, r, of_reaction[i])
            matrices.append(self.jumps.matrix(data))
        return matrices

    def outflow(self, t: float) -> FloatArray:
        """Return the rates out of the states at a time, (n,)."""
        rates = self._on_states([law for _, law in self._changing], np.array([t]))
        total = self._outflow.copy()
        for (r, _), of_reaction in zip(self._changing, rates, strict=True):
            total += of_reaction[0] * self.jumps.leaving(r)
        return total

    def forced(self, times: FloatArray, p: FloatArray) -> FloatArray:
        """Return (∂_k A(t_i)) p_i, (N, q, n), of vectors p (N, n)."""
        n, count = len(self.jumps), len(times)
        total = np.zeros((count, self.q, n))
        if self._sources is not None:
            total += (self._sources @ np.ascontiguousarray(p.T)).reshape(self.q, n, count).transpose(2, 0, 1)
        slopes = self._on_states([tree for *_, tree in self._moved], times)
        for (k, r, _), of_reaction in zip(self._moved, slopes, strict=True):
            flow, row = of_reaction * p, total[:, k]
            row -= flow
            row[:, self.jumps.targets[r]] += flow[:, self.jumps.sources[r]]
        return total

    def _on_states(self, trees: Sequence[Expression], times: FloatArray) -> FloatArray:
        """Return functions of state and time, (m, N, n); refuse what is no number."""
        values = np.empty((len(trees), len(times), len(self.jumps)))
        columns = {name: column[None] for name, column in self.jumps.columns.items()}
        with np.errstate(all="ignore"):
            for row, tree in zip(values, trees, strict=True):
                row[:] = compiled(tree)(columns, times[:, None])  # type: ignore[arg-type]
        if not np.isfinite(values).all():
            raise ModelError(f"Rates and their derivatives must be finite, but one of '{self._model.name}' is not.")
        return values

    def _stacked(self, slopes: Sequence[tuple[int, int, Expression]]) -> Any:
        """Return the derivatives of the generator that do not change, one below the other, (q n, n) CSR."""
        n, every = len(self.jumps), np.arange(len(self.jumps))
        if not slopes:
            return None
        rows, columns, entries = list[Any](), list[Any](), list[Any]()
        for k, r, tree in slopes:
            value = self._on_states([tree], np.zeros(1))[0, 0]
            source = self.jumps.sources[r]
            rows += [k * n + self.jumps.targets[r], k * n + every]
            columns += [source, every]
            entries += [value[source], -value]
        where = np.concatenate(rows), np.concatenate(columns)
        return csr_array((np.concatenate(entries), where), shape=(self.q * n, n))
