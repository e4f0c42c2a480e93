"""Aggregation and disaggregation on many levels, for the stationary vectors of large chains.

States are joined with the neighbours from which most probability flows to them, twice, so that a cell holds about four;
the chain of the cells has the rates of its states, weighted by the present p; and so on until few cells are left,
whose chain is solved by elimination.  A cycle balances states one by one (Gauss–Seidel), corrects the masses of the
cells by a cycle on them, and balances again.  All of it adds and multiplies positive numbers only: iterates stay
positive, and the weights of metastable sets, which the residual does not see, come out of an elimination.  Between
cycles an affine combination of the last iterates replaces the iterate (Anderson); the answer is that of a cycle.

References
----------
G. Horton, S. T. Leutenegger, ACM SIGMETRICS 22 (1994) 191, doi:10.1145/183019.183040.
D. G. Anderson, J. ACM 12 (1965) 547, doi:10.1145/321296.321305.
H. De Sterck, K. Miller, G. Sanders, M. Winlaw, Numer. Linear Algebra Appl. 17 (2010) 537, doi:10.1002/nla.697.
J. R. Koury, D. F. McAllister, W. J. Stewart, SIAM J. Alg. Disc. Meth. 5 (1984) 164, doi:10.1137/0605019.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.chains import multilevel_kernels as kernels
from fsp.chains.chain import Chain
from fsp.chains.elimination import Elimination, analyse
from fsp.errors import ConvergenceError

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray

COARSEST = 300  # cells
LEAST_COARSENING = 0.9  # a level with more than this share of the cells of the one before is the last
SWEEPS = 2  # forwards and backwards once
WINDOW = 10  # iterates that are combined
REBUILT = (3, 8)  # cycles before which states are joined anew, by what is known by then
CYCLES = 150  # beyond which another solver takes less time; chosen, not measured
STALLED = 15  # cycles without a smaller change
SLOWEST = 50.0  # error over change of a cycle that leaves 0.98 of the error


@dataclass(frozen=True, slots=True, eq=False)
class _Level:
    """A chain and its cells."""

    chain: Chain  # the chain of this level; its rates are overwritten, but for those of the first
    cell: IntArray  # cell of each state, (n,)
    at: IntArray  # which rate of the next level each rate belongs to, -1 inside a cell, (nnz,)


class Hierarchy:
    """The levels of an irreducible chain; probabilities `p` (n,) decide which states are joined, and weight them."""

    def __init__(self, chain: Chain, p: FloatArray) -> None:
        self.levels: list[_Level] = []
        self.masses = [p]
        while len(chain) > COARSEST:
            cell, n_cells = _joined_twice(chain, self.masses[-1])
            if n_cells > LEAST_COARSENING * len(chain):
                break
            level, coarse, mass = _coarsened(chain, cell, n_cells, self.masses[-1])
            self.levels.append(level)
            self.masses.append(mass)
            chain = coarse
        self.coarsest = chain

    @cached_property
    def elimination(self) -> Elimination:
        """The order of elimination of the coarsest chain."""
        return analyse(self.coarsest.indptr, self.coarsest.indices)

    def cycle(self, p: FloatArray, before: int = SWEEPS) -> FloatArray:
        """Return `p` (n,) after one cycle with so many sweeps before cells are made on each level, of mass 1."""
        following = self._cycle(0, p.copy(), before)
        following /= following.sum()
        return following

    def _cycle(self, depth: int, p: FloatArray, n_before: int) -> FloatArray:
        if depth == len(self.levels):
            solved: FloatArray = np.maximum(self.elimination.solve(self.coarsest.rates), kernels.FLOOR)
            return solved
        level = self.levels[depth]
        below = self.levels[depth + 1].chain if depth + 1 < len(self.levels) else self.coarsest
        for k in range(n_before):
            level.chain.sweep(p, forward=k % 2 == 0)
        before = _aggregate(level, below, p)
        after = self._cycle(depth + 1, before.copy(), n_before)
        kernels.disaggregate(level.cell, p, before, after)
        for k in range(SWEEPS):
            level.chain.sweep(p, forward=k % 2 == 1)
        return p


def _joined_twice(chain: Chain, p: FloatArray) -> tuple[IntArray, int]:
    """Return the cell of each state, (n,), and the number of cells."""
    pairs: Any = np.empty(len(chain), np.int32)
    n_pairs = kernels.pair(chain.indptr, chain.indices, chain.rates, p, pairs)
    _, coarse, mass = _coarsened(chain, pairs, n_pairs, p)
    cells = np.empty(n_pairs, np.int32)
    n_cells = kernels.pair(coarse.indptr, coarse.indices, coarse.rates, mass, cells)
    cell: IntArray = cells[pairs]
    return cell, n_cells


def _coarsened(chain: Chain, cell: IntArray, n_cells: int, p: FloatArray) -> tuple[_Level, Chain, FloatArray]:
    """Return the level of a chain with these cells, the chain of the cells, and their masses."""
    indptr, indices, at = kernels.coarse_pattern(chain.indptr, chain.indices, cell, n_cells)
    coarse = Chain(indptr, indices, np.empty(len(indices)), np.empty(n_cells))
    level = _Level(chain, cell, at)
    return level, coarse, _aggregate(level, coarse, p)


def _aggregate(level: _Level, below: Chain, p: FloatArray) -> FloatArray:
    """Overwrite the rates of the chain of the cells by those with the weights `p`; return the masses of the cells."""
    chain, mass = level.chain, np.empty(len(below))
    kernels.aggregate(
        chain.indptr, chain.indices, chain.rates, level.at, level.cell, p, mass, below.indices, below.rates, below.exits
    )
    return mass


def cycles(chain: Chain, p: FloatArray, tol: float, limit: int = CYCLES) -> tuple[FloatArray, float]:
    """Return the stationary vector (n,) of an irreducible chain and its estimated error.

    Cycles begin with `p` (n,), and end at an estimated 1-norm error of `tol`, or after so many at `limit`.
    """
    p = np.maximum(p, kernels.FLOOR)
    hierarchy = Hierarchy(chain, p)
    memory: list[tuple[FloatArray, FloatArray]] = []
    best, error, since = p, np.inf, 0
    for k in range(limit):
        if k in REBUILT:
            hierarchy, memory = Hierarchy(chain, p), []
        following = hierarchy.cycle(p)
        if not np.isfinite(following).all():  # rates between cells have underflown
            break
        change = following - p
        size = SLOWEST * float(np.abs(change).sum())
        since += 1
        if size < error:
            best, error, since = following, size, 0
        if error <= tol or since > STALLED:
            break
        p = _mixed(following, change, memory)
    if not error < np.inf:
        raise ConvergenceError("The cells must communicate, but rates between them are not normal numbers.")
    return best, error


def _mixed(p: FloatArray, change: FloatArray, memory: list[tuple[FloatArray, FloatArray]]) -> FloatArray:
    """Return the combination of `p` and the vectors before it whose changes cancel best; remember `p`.

    Changes, not residuals: metastable sets out of balance leave a residual of the size of the spectral gap, but change
    by a twentieth or more of what is wrong.
    """
    mixed = p
    if memory:
        steps = np.array([earlier - change for _, earlier in memory])
        weights = np.linalg.lstsq(steps @ steps.T, -(steps @ change), rcond=1e-14)[0]
        mixed = p + sum(w * (x - p) for w, (x, _) in zip(weights, memory, strict=True))
        mixed = np.where(mixed > 0.0, mixed, p)
        mixed /= mixed.sum()
    memory.append((p, change))
    del memory[:-WINDOW]
    return mixed
