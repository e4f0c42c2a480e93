"""A closed chain as rows of off-diagonal rates: what the null-vector solvers work on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from fsp.arrays import rows_of
from fsp.chains import multilevel_kernels as kernels

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """Rates of jumps j → i as entries j of row i, and the rates at which states are left."""

    # In the form of CSR; positive off-diagonal rates, 1/time, (nnz,).
    indptr: IntArray
    indices: IntArray
    rates: FloatArray
    exits: FloatArray  # their sums over each column, (n,): no state is left at another rate, whatever was rounded

    @classmethod
    def of_generator(cls, matrix: Any) -> Chain:
        """Return the chain of a generator whose columns sum to zero (CSR)."""
        n = matrix.shape[0]
        return cls(*kernels.part_of(*rows_of(matrix), matrix.data, np.arange(n, dtype=np.int32), n))

    def __len__(self) -> int:
        return len(self.exits)

    def part(self, states: IntArray) -> Chain:
        """Return the chain on some of the states, ascending, (m,): jumps to others are suppressed."""
        number = np.full(len(self), -1, np.int32)
        number[states] = np.arange(len(states), dtype=np.int32)
        return Chain(*kernels.part_of(self.indptr, self.indices, self.rates, number, len(states)))

    def connected(self, states: IntArray, p: FloatArray) -> IntArray:
        """Return those of `states` (m,) that communicate among themselves: of such sets the one with most of `p`."""
        part = self.part(states)
        n_sets, label = csgraph.connected_components(part.matrix(), directed=True, connection="strong")
        if n_sets == 1:
            return states
        kept: IntArray = states[label == np.argmax(np.bincount(label, weights=p[states]))]
        return kept

    def matrix(self) -> Any:
        """Return the off-diagonal rates as a CSR array (n, n)."""
        return sparse.csr_array((self.rates, self.indices, self.indptr), shape=(len(self), len(self)))

    def generator(self) -> Any:
        """Return the generator as a CSR array (n, n)."""
        return (self.matrix() - sparse.diags_array(self.exits)).tocsr()

    def residual(self, p: FloatArray) -> tuple[FloatArray, float]:
        """Return A p, (n,), and its 1-norm."""
        r = np.empty(len(self))
        return r, float(kernels.residual(self.indptr, self.indices, self.rates, self.exits, p, r))

    def sweep(self, p: FloatArray, *, forward: bool) -> None:
        """Balance every state of `p` (n,) in turn: one step of Gauss–Seidel, in place."""
        kernels.sweep(self.indptr, self.indices, self.rates, self.exits, p, forward)


def led_back(matrix: Any, leak_rates: FloatArray, z: int) -> Any:
    """Return the chain on the space that goes on from state `z` wherever it leaves the space.

    No set of states without z is left more slowly than by the chain without a boundary, where jumps out of the space
    may come back to it: unlike a reflecting boundary this makes no slow modes.
    """
    return (matrix + led(leak_rates, np.full(len(leak_rates), z))).tocsr()


def led(rates: FloatArray, into: IntArray) -> Any:
    """Return jumps at `rates` (n,) from each state into another, without what the diagonal loses: (n, n)."""
    leaking = np.flatnonzero(rates)
    return sparse.coo_array((rates[leaking], (into[leaking], leaking)), shape=(len(rates), len(rates)))
