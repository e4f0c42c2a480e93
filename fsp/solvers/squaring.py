"""Squaring of transition matrices: any time in as many products as it has binary digits, for few states.

``T = exp(hA)`` of the closed chain is summed by uniformization and squared to ``exp(2hA), exp(4hA), …``, of which the
time asked for is put together.  Only non-negative numbers are added, so every entry of a product has a small relative
error, and a column is known to be that of a stochastic matrix: where less than half of it jumps, the diagonal is one
less what jumps, else the column is divided by its sum.  So what is held is, up to a relative error of each entry, an
exactly stochastic M, and the error E = M - T has columns with sum zero.

With B a bound of |E|, entry by entry, the states in groups g, and any column c_g for each, ``M² - T²``, which is
``M E + E T``, gives::

    (1)  B  <-  |M - c| B + Σ_g c_g S_g + B (M + B) + 4 θ M²,      S_g = min(Σ_{k in g} B_k, Σ_{k not in g} B_k)

θ is the relative error of an entry of the product; ``|Σ_{k in g} E_k| <= S_g``, as a column of E has the sum zero.
A group is what the chain no longer tells apart: columns of M that are nearly the same, and c_g one of them, so that the
first term vanishes, and the second one with it where all of a column is in one group.  So errors add up in proportion
to the jumps as long as the chain remembers where it was, and no longer, and what leaves a group, or the stored states,
has a relative error however little it is.

References
----------
J. Xue, Q. Ye, Entrywise relative perturbation bounds for exponentials of essentially non-negative
matrices, Numer. Math. 110 (2008) 393, doi:10.1007/s00211-008-0167-3; bound of the squarings: this package.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import floor, inf, log2
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import SLIGHTLY_UP, UNIT_ROUNDOFF, span
from fsp.arrays import rows_of
from fsp.errors import BackendError, ConvergenceError
from fsp.generator.generator import in_one_process
from fsp.generator.matrices import Rows
from fsp.solvers import costs, kernels
from fsp.solvers.base import LossLimit, check_tol
from fsp.solvers.costs import Cost
from fsp.solvers.poisson import poisson_window
from fsp.solvers.stepping import END_EARLIER, MatrixPropagator, Solver, Step

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.generator.base import BaseGenerator
    from fsp.solvers.costs import Stretch

MOST_STATES = 400  # a squaring takes n³ multiply-adds
FEWEST_JUMPS = 64.0  # Λ times the first power, at least: it is the number of states, as a squaring costs that many
_LARGEST_EXPONENT = 1023  # of 2 among doubles
SQUARING_TAIL = 1e-60  # of the Poisson weights: far below what leaves a space that is large enough for a long time
NEGLIGIBLE_ENTRY = 1e-150  # entries that are taken for zero, so that their products are no denormal numbers; charged
COLUMN_DISTANCE = 0.5  # 1-norm of the difference of two columns of one group
MOST_COMPARED = 64  # places whose columns are compared: more are there only while little is forgotten
# Work in multiply-adds: of binding, of a level, and of that for each of n³; fitted to measured runs.
BINDING_WORK, LEVEL_WORK, CUBE_WORK = 2e6, 5e5, 3.5
FIRST_LEVELS = 3.0  # levels that the first power and the last, short one cost
BYTES = 2**30  # of all powers, beyond which it is not chosen


@dataclass(frozen=True, slots=True)
class Squaring(Solver):
    """Square transition matrices, for few states and any length of time.

    Parameters
    ----------
    tol
        Allowed 1-norm error of one advance; the error is as small as rounding lets it be, whatever is allowed.

    Examples
    --------
    >>> model = fsp.Model(species={"X": 9}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])
    >>> print(f"{fsp.transient(model, [1.0], solver=fsp.Squaring(tol=1e-9))[-1].mean()['X']:.6f}")  # 9 exp(-1)
    3.310915
    """

    tol: float = 1e-10
    largest_rate = 2.0**1000  # twice as much, over the number of states, is a double, and so is its inverse

    def __post_init__(self) -> None:
        check_tol(self.tol)

    def cost(self, generator: BaseGenerator, stretch: Stretch) -> Cost:
        """Expect one squaring while time doubles; see `Solver.cost`."""
        n = len(generator)
        jumps = 2.0 * costs.jumps(generator, stretch)
        levels = log2(max(1.0, jumps / max(FEWEST_JUMPS, n)))
        rounding = 40.0 * UNIT_ROUNDOFF * n * (1.0 + levels)
        levels += FIRST_LEVELS
        if stretch.is_timed or n > MOST_STATES or 16 * n * n * levels > BYTES:
            return Cost()
        return Cost(0.0, other=BINDING_WORK + levels * (LEVEL_WORK + CUBE_WORK * n**3), rounding=rounding)

    def check(self, generator: BaseGenerator) -> None:
        """Raise a BackendError where rates depend on time, or of more than `MOST_STATES` states."""
        Solver.check(self, generator)
        if len(generator) > MOST_STATES:
            raise BackendError(
                f"Squaring must have at most {MOST_STATES} states, but this space has {len(generator):,}; use "
                f"solver='rational' or solver='uniformization'."
            )

    def bind(self, generator: BaseGenerator) -> _SquaringPropagator:
        """Return the propagator of a generator."""
        return _SquaringPropagator(generator, self)


@dataclass(frozen=True, eq=False)
class _ExponentialPowers:
    """``exp(sA)`` of the closed chain."""

    matrix: FloatArray  # M but for the relative error of its entries, (N, N)
    off: FloatArray  # B, (N, N)

    @cached_property
    def errors(self) -> FloatArray:
        """Bounds of the 1-norms of the columns of E, (N,)."""
        errors: FloatArray = np.minimum(SLIGHTLY_UP * self.off.sum(axis=0), 2.0)
        return errors


class _SquaringPropagator(MatrixPropagator):
    products_of_a_report = inf  # a step is all of the way

    def __init__(self, generator: BaseGenerator, solver: Squaring) -> None:
        super().__init__(generator, solver)
        closed = in_one_process(generator).closed
        self._n, self._size = len(generator), closed.shape[0]  # N
        self._rate = 2.0 * self.rate  # Λ: no diagonal entry of P suffers cancellation
        itself = np.arange(self._size)
        row = np.concatenate([itself, np.repeat(itself, np.diff(closed.indptr))])
        entries = np.concatenate([np.ones(self._size), closed.data / (self._rate or 1.0)])
        self._P = Rows.of(row, np.concatenate([itself, closed.indices]), entries, closed.shape)
        self._terms = self.roundings + int(np.diff(self._P.indptr).max()) + 4  # that round in a product and its weight
        jumps = max(FEWEST_JUMPS, float(self._size))
        self._first = 2.0 ** min(floor(log2(jumps) - log2(self._rate)), _LARGEST_EXPONENT) if self._rate > 0.0 else inf
        self._powers: list[_ExponentialPowers] = []
        self._products, self._t = 0, 0.0

    def step(self, z: FloatArray, t: float, t1: float, tol_rate: float, limit: LossLimit) -> Step:
        """Go all of the way, or as far as the loss limit allows; see `Propagator.step`.

        The time covered is known in units of the first power and what is left of it.  After a loss that is too large
        only shorter powers are tried, so that the time at which the limit is met is found by bisection.
        """
        self._products, self._t = 0, t
        way = span(t, t1)
        squarings, rest = divmod(way, self._first) if self._first < inf else (0.0, way)
        if squarings == inf:
            raise ConvergenceError(
                f"Jumps from t = {t:.6g} to {t1:.6g} must be countable, but are too many; {END_EARLIER}."
            )
        level, rejected = self._highest(z, squarings, limit)
        done, rounding = 0.0, 0.0
        while level >= 0 and done < squarings:
            if done + 2.0**level > squarings:
                level -= 1
                continue
            y = self._applied(level, z)
            if y[self._n :].sum() > limit.at((done + 2.0**level) * self._first):
                rejected, level = y, level - 1
                continue
            rounding += SLIGHTLY_UP * float(self._powers[level].errors @ z) + self._of_product() * float(z.sum())
            z, done = y, done + 2.0**level
        s = done * self._first if done else 0.0
        if rejected is None and rest > 0.0:
            y, error = self._short(z, rest)
            if y[self._n :].sum() > limit.at(way):
                rejected = y
            else:
                z, rounding, s = y, rounding + error, way
        return Step(z, s, 0.0, rounding, self._products, rejected)

    def _highest(self, z: FloatArray, squarings: float, limit: LossLimit) -> tuple[int, FloatArray | None]:
        """Return the level to begin with, and what lost too much at the next one: none above it is made."""
        level = 0
        while 2.0**level <= squarings:
            y = self._applied(level, z)
            if y[self._n :].sum() > limit.at(2.0**level * self._first):
                return level - 1, y
            level += 1
        return level - 1, None

    def _applied(self, level: int, z: FloatArray) -> FloatArray:
        """Return ``exp(2^level h A) z``, but for rounding."""
        y: FloatArray = self._power(level).matrix @ z
        self._products += 1
        return y

    def _of_product(self) -> float:
        """Return the relative error of an entry of a product, the errors of its factors included: θ."""
        return float(SLIGHTLY_UP * UNIT_ROUNDOFF * (3 * self._size + 10))

    def _weights(self, s: float) -> tuple[int, FloatArray, float]:
        """Return the Poisson window of a time s, and the relative error of what is summed with it."""
        first, weights = poisson_window(self._rate * s, SQUARING_TAIL)
        last = first + len(weights)
        return first, weights, SLIGHTLY_UP * UNIT_ROUNDOFF * (self._terms * last + 2)

    def _sum(self, s: float, z: FloatArray) -> tuple[FloatArray, float]:
        """Return ``exp(sA) z`` for non-negative columns, without what the tail of the weights lacks, and its error."""
        first, weights, relative = self._weights(s)
        P = self._P
        total = kernels.horner(*rows_of(P), P.data, weights, first, z.reshape(len(z), -1))
        self._products += first + len(weights) - 1  # a product of matrices is one
        return total.reshape(z.shape), relative

    def _short(self, z: FloatArray, s: float) -> tuple[FloatArray, float]:
        """Return ``exp(sA) z`` for a time below that of the first power, and a bound of the rounding."""
        if self._rate == 0.0:
            return z, 0.0
        y, relative = self._sum(s, z)
        return y, (relative + 2.0 * SQUARING_TAIL) * float(z.sum())

    def _power(self, level: int) -> _ExponentialPowers:
        """Return ``exp(2^level h A)``."""
        if not self._powers:
            self._powers.append(self._first_power())
        while len(self._powers) <= level:
            self._powers.append(self._squared(self._powers[-1]))
            self.heart.tell(self._t)
        return self._powers[level]

    def _first_power(self) -> _ExponentialPowers:
        matrix, relative = self._sum(self._first, np.eye(self._size))
        return _ExponentialPowers(matrix, _rounded_up(_made_stochastic(matrix, relative), SQUARING_TAIL))

    def _squared(self, power: _ExponentialPowers) -> _ExponentialPowers:
        M, B = power.matrix, power.off
        matrix = M @ M
        self._products += 1
        off = _made_stochastic(matrix, self._of_product())
        label, c = _groups(M)
        off += np.abs(M - c[:, label]) @ B + c @ _sums(B, label) + B @ (M + B)  # (1)
        return _ExponentialPowers(matrix, _rounded_up(off, self._size * NEGLIGIBLE_ENTRY))


def _made_stochastic(matrix: FloatArray, relative: float) -> FloatArray:
    """Make columns those of a stochastic matrix but for a relative error; return what that changes, (N, N)."""
    matrix[matrix < NEGLIGIBLE_ENTRY] = 0.0
    diagonal = np.einsum("ii->i", matrix)
    column = diagonal.copy()
    diagonal[:] = 0.0
    moved = matrix.sum(axis=0)
    near = moved <= 0.5
    diagonal[:] = np.where(near, moved, column)
    changed: FloatArray = 4.0 * relative * matrix
    diagonal[:] = np.where(near, 1.0 - moved, column)
    matrix /= np.where(near, 1.0, moved + column)
    return changed


def _rounded_up(off: FloatArray, dropped: float) -> FloatArray:
    """Return a bound with its own rounding and what was taken for zero; no entry is off by more than one."""
    bound: FloatArray = np.minimum(SLIGHTLY_UP * off + (dropped + NEGLIGIBLE_ENTRY), 1.0)
    return bound


def _groups(M: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return the group of each state, (N,), and the column that stands for each group, (N, n_groups).

    States that are likeliest in the same place later are a group, and places with nearly the same columns are one.
    """
    places, label, counts = np.unique(M.argmax(axis=0), return_inverse=True, return_counts=True)
    if len(places) > MOST_COMPARED:
        return label, M[:, places]
    group = np.empty(len(places), dtype=np.int64)
    chosen: list[int] = []
    for i in np.argsort(-counts, kind="stable").tolist():
        distances = np.abs(M[:, chosen] - M[:, [places[i]]]).sum(axis=0)
        if distances.min(initial=inf) > COLUMN_DISTANCE:
            chosen.append(int(places[i]))
            group[i] = len(chosen) - 1
        else:
            group[i] = int(np.argmin(distances))
    return group[label], M[:, chosen]


def _sums(B: FloatArray, label: IntArray) -> FloatArray:
    """Return S, (n_groups, N)."""
    sums = np.zeros((int(label.max()) + 1, len(label)))
    np.add.at(sums, label, B)
    others = np.zeros_like(sums)
    others[1:] += np.cumsum(sums, axis=0)[:-1]
    others[:-1] += np.cumsum(sums[::-1], axis=0)[-2::-1]
    S: FloatArray = np.minimum(sums, others)
    return S
