"""The matrices of PETSc that are made of a generator: assembled ones, and a shell around its products."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from fsp.generator.base import BaseGenerator
from fsp.petsc.environment import load
from fsp.petsc.systems import assembled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsp.arrays import FloatArray
    from fsp.petsc.comm import Communicator
    from fsp.petsc.halo import Halo
    from fsp.petsc.space import StateSpace


class PETScMatrices(BaseGenerator):
    """The matrices of a generator that is spread over ranks."""

    comm: Communicator
    space: StateSpace
    halo: Halo
    n_local: int

    @property
    @abstractmethod
    def rows(self) -> Any:
        """The rows of A of this rank, a column for each extended state, (n_local, n_extended) scipy CSR array."""

    @contextmanager
    def aij(self) -> Iterator[Any]:
        """Make A as a PETSc matrix of type AIJ, which lives as long as the block.  Collective."""
        columns = self.halo.global_index[self.rows.indices]
        rows = (self.rows.indptr, columns, self.rows.data)
        with assembled(self.comm, self._sizes, rows, "the matrix-free form") as matrix:
            yield matrix

    @contextmanager
    def closed_aij(self) -> Iterator[Any]:
        """Make the closed chain as a PETSc matrix, sinks of this rank's own after its states.  Collective.

        What a sink holds is the sum over the ranks.
        """
        k, rows = self.n_sinks, self.rows
        starts = self.space.ranges.starts
        owner = np.searchsorted(starts, self.halo.global_index, side="right") - 1
        column = self.halo.global_index + k * owner  # (n_extended,)
        first, end = self.halo.owned
        sinks = self.sinks.tocsr()
        indptr = rows.indptr.astype(np.int64)  # the sum may be larger than either
        ends = np.concatenate([indptr, indptr[-1] + sinks.indptr[1:]])
        columns = np.concatenate([column[rows.indices], column[sinks.indices + first]])
        below = np.arange(k) + int(starts[self.comm.rank]) + k * self.comm.rank + end - first
        # Each sink has its place on the diagonal, for what is to be added there.
        places = ends[end - first + 1 :].copy()
        columns = np.insert(columns, places, below)
        values = np.insert(np.concatenate([rows.data, sinks.data]), places, 0.0)
        ends[end - first + 1 :] += np.arange(1, k + 1)
        n, n_all = self.n_local + k, len(self) + k * self.comm.size
        rows_of_all = (ends, columns, values)
        with assembled(self.comm, ((n, n_all), (n, n_all)), rows_of_all, "another solver") as matrix:
            yield matrix

    @contextmanager
    def shell(self) -> Iterator[Any]:
        """Make A as a PETSc matrix whose products are those of `operator`, for as long as the block.  Collective."""
        matrix = load().PETSc.Mat().createPython(self._sizes, _Shell(self), comm=self.comm.mpi)
        try:
            matrix.setUp()
            yield matrix
        finally:
            matrix.destroy()

    def closed_rows(self) -> Any:
        """Return the rows of all states and after them the sinks, where there is one rank, (size, size) CSR array."""
        first, end = self.halo.owned
        rows = sparse.vstack([self.rows[:, first:end], self.sinks], format="csr")
        matrix = sparse.csr_array((rows.data, rows.indices, rows.indptr), shape=(rows.shape[0], rows.shape[0]))
        matrix.sort_indices()
        return matrix

    @property
    def _sizes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        return (self.n_local, len(self)), (self.n_local, len(self))


class _Shell:
    """What PETSc calls to apply a generator."""

    def __init__(self, generator: PETScMatrices) -> None:
        self._generator = generator

    def mult(self, matrix: Any, x: Any, y: Any) -> None:
        """Write A x to y."""
        self._generator.operator.product(values_of(x), y.getArray())

    def multTranspose(self, matrix: Any, x: Any, y: Any) -> None:  # noqa: N802 - PETSc's name
        """Write Aᵀ x to y."""
        y.getArray()[:] = self._generator.T @ values_of(x)

    def getDiagonal(self, matrix: Any, y: Any) -> None:  # noqa: N802 - PETSc's name
        """Write the diagonal of A to y."""
        y.getArray()[:] = -self._generator.exit_rates


def values_of(x: Any) -> FloatArray:
    """Return this rank's part of a PETSc vector, (n_local,), which must not be written to.

    Its flag says that it may be: kernels are compiled for such arrays.
    """
    view = x.getArray(readonly=True).__array_interface__
    return np.asarray(SimpleNamespace(__array_interface__={**view, "data": (view["data"][0], False)}))
