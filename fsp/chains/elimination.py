"""The GTH elimination on a sparse chain: the stationary vector without a subtraction, every state to full accuracy.

State k is removed by sending what enters it on to the states that are left, in proportion to its rates into them::

    a_ij += a_ik a_kj / Σ_{l > k} a_lk        p_k = Σ_{j > k} p_j a_kj / Σ_{l > k} a_lk

That is the LU factorisation of -A without pivoting whose pivots are sums of what is left of their columns.  Nothing
cancels, so relative errors stay small however improbable a state or small a spectral gap is.  The order of elimination
is one of minimum degree; columns are computed from the left along the elimination tree.

References
----------
W. K. Grassmann, M. I. Taksar, D. P. Heyman, Oper. Res. 33 (1985) 1107, doi:10.1287/opre.33.5.1107.
C. A. O'Cinneide, Numer. Math. 65 (1993) 109, doi:10.1007/BF01385743.
T. A. Davis, Direct Methods for Sparse Linear Systems, SIAM 2006, ch. 4 and 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from fsp.arrays import rows_of
from fsp.chains import elimination_kernels as kernels
from fsp.memory import check_memory, is_limited
from fsp.solvers.scipy_extensions import WITHOUT_PIVOTING

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray


BYTES_OF_ENTRY = 28  # below the diagonal and above it: a number of 8 bytes and its place, with what grows
OTHER_METHODS = "lower the number of states, or take method='multilevel'"


def factorised(matrix: Any) -> Any:
    """Return SuperLU's factors of a matrix that is dominated by its diagonal, refused where they would not fit."""
    check_factors(matrix, BYTES_OF_ENTRY)
    return linalg.splu(matrix, options=WITHOUT_PIVOTING)


def check_factors(matrix: Any, bytes_of_entry: int) -> None:
    """Raise a StateSpaceError where factors of a matrix, with so many bytes an entry below the diagonal, do not fit."""
    if is_limited():
        rows = sparse.csr_array(abs(matrix))
        rows = sparse.csr_array(rows - sparse.diags_array(rows.diagonal()))
        rows.eliminate_zeros()
        below = int(analyse(rows.indptr.astype(np.int64), rows.indices.astype(np.int64)).counts.sum())
        check_memory("A factorisation", bytes_of_entry * below, matrix.shape[0], OTHER_METHODS)


class Factors(NamedTuple):
    """What is left of the rates when states are eliminated, in the order of the elimination."""

    starts: IntArray  # with rows and values: rates at which each state is left for later ones, by the state left
    rows: IntArray
    ends: IntArray  # with above and shares: shares of what leaves a state that come from later ones, by the later state
    above: IntArray
    values: FloatArray
    exits: FloatArray  # rates at which states are left for later ones, (n,)
    shares: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Elimination:
    """An order of elimination for all chains with the same jumps, and what it costs."""

    order: IntArray  # the states in the order in which they are eliminated, (n,)
    columns: Any  # the jumps in that order, (n, n) CSC; its values say which of the rates belongs there
    pattern: Any  # symmetric pattern of the jumps, (n, n) CSR
    parent: IntArray  # elimination tree, (n,)
    counts: IntArray  # entries below the diagonal of each column of the factor, (n,)

    @property
    def work(self) -> float:
        """Multiply-adds of the elimination."""
        return float(np.square(self.counts.astype(np.float64)).sum())

    @property
    def nbytes(self) -> int:
        """Bytes that its factors take."""
        return BYTES_OF_ENTRY * int(self.counts.sum())

    def factorise(self, rates: FloatArray) -> Factors:
        """Eliminate all states but the last, for rates (nnz,)."""
        check_memory("An elimination", self.nbytes, len(self.counts), OTHER_METHODS)
        starts = np.concatenate([[0], np.cumsum(self.counts)])
        rows, shares = np.empty(starts[-1], np.int32), np.empty(starts[-1])
        kernels.fill_pattern(*rows_of(self.pattern), self.parent, starts, rows)
        ends, above, values, exits = kernels.eliminate(
            *rows_of(self.pattern),
            *rows_of(self.columns),
            rates[self.columns.data],
            self.parent,
            starts,
            rows,
            shares,
        )
        return Factors(starts, rows, ends, above, values, exits, shares)

    def solve(self, rates: FloatArray) -> FloatArray:
        """Return the stationary vector, (n,), for rates (nnz,); its entries below 1e-308 are zero.

        It is not finite where the chain is not irreducible.
        """
        n = len(self.parent)
        factors = self.factorise(rates)
        mantissa, exponent = np.empty(n), np.empty(n, np.int64)
        kernels.substitute(factors.ends, factors.above, factors.shares, mantissa, exponent)
        p = np.empty(n)
        largest = exponent[mantissa > 0.0].max(initial=-(2**60))
        p[self.order] = np.ldexp(mantissa, np.clip(exponent - largest, -2000, 0).astype(np.int32))
        p /= p.sum()
        return p


def analyse(indptr: IntArray, indices: IntArray, last: int | None = None) -> Elimination:
    """Choose the order in which the states of a chain, whose jumps are CSR without a diagonal, are eliminated.

    `last` is the state that is left in the end; by default any.
    """
    n, nnz = len(indptr) - 1, len(indices)
    order = np.argsort(_minimum_degree(indptr, indices), kind="stable")
    if last is not None:
        order = np.append(order[order != last], last)
    jumps = sparse.csr_array((np.arange(1, nnz + 1), indices, indptr), shape=(n, n))  # from 1: zeros might be dropped
    columns = jumps[order][:, order].tocsc()
    columns.sort_indices()
    pattern = (columns + columns.T).tocsr()
    columns.data -= 1
    parent, counts = np.empty(n, np.int64), np.empty(n, np.int64)
    kernels.column_counts(*rows_of(pattern), parent, counts)
    return Elimination(order, columns, pattern, parent, counts)


def _minimum_degree(indptr: IntArray, indices: IntArray) -> IntArray:
    """Return the place of each state in an order of minimum degree, which SuperLU makes before it factorises.

    An incomplete factorisation that keeps nothing costs little more than the order.
    """
    n = len(indptr) - 1
    jumps = sparse.csc_array((np.full(len(indices), -1.0), indices, indptr), shape=(n, n))
    system = (jumps + sparse.diags_array(1.0 + np.diff(indptr))).tocsc()
    lu = linalg.spilu(system, drop_tol=1.0, fill_factor=1.0, options=WITHOUT_PIVOTING)
    places: IntArray = lu.perm_c
    return places
