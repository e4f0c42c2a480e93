"""The stages of collocation steps where rates change, and what their polynomials leave of each entry."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.arithmetic import ROUNDED_UP, UNIT_ROUNDOFF
from fsp.inference import stage_kernels
from fsp.inference.on_step import STAGES, OnStep, height
from fsp.inference.statewise import off_by_table, range_of
from fsp.solvers.clocks import chebyshev_nodes
from fsp.solvers.collocation import in_nodes, radau
from fsp.solvers.linear import SERVED_CHANGE, Band, ShiftedSystem

if TYPE_CHECKING:
    from collections.abc import Callable

    from fsp.arrays import FloatArray, IntArray
    from fsp.inference.timed import Timed

ENTRY_ITERATIONS = 30  # of stages that are solved entry by entry; three are usual
# Of each entry: a defect of stages with which they are solved, some roundings, of which steps hold as many (with 4 the
# STL1 model takes 10 % more corrections, and is known no better); and by which part a correction must lower it, to be
# worth another.  Entries below UNSEEN_ENTRIES of all may have any.
STAGE_DEFECT, WORTH_A_CORRECTION, UNSEEN_ENTRIES = 64.0 * UNIT_ROUNDOFF, 0.7, 1e-40


class Stages:
    """Factors of the systems of a step, kept while rates and its length hardly change."""

    def __init__(self, timed: Timed) -> None:
        self._timed, self._table = timed, radau(STAGES)
        self._pattern, self._entries = aligned(timed)
        self._band = Band.of(self._pattern)
        self._systems: tuple[float, FloatArray, list[ShiftedSystem]] | None = None
        self._bands: tuple[list[ShiftedSystem], FloatArray, FloatArray] | None = None

    def entries(self, on_step: OnStep, tau: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
        """Return A(τ) in CSR: where its rows begin, columns, and entries (nnz, N)."""
        return self._pattern.indptr, self._pattern.indices, self._entries.T @ on_step.at(tau)

    def defect(
        self, on_step: OnStep, z: FloatArray, values: FloatArray, forced: FloatArray | None, h: float
    ) -> Callable[[], tuple[FloatArray, FloatArray]]:
        """Return what gives defects of stages (n, s, m), and their sizes in slopes (s, m); `values` may change."""
        matrix = self.entries(on_step, self._table.nodes)
        weights, inverse = (np.ascontiguousarray(a.T) for a in (h * self._table.weights, self._table.weights_inverse))
        start, room, sizes = np.ascontiguousarray(z[:, 0]), np.empty_like(values), np.empty(values.shape[1:])
        more = np.empty((0, 0, 0)) if forced is None else forced

        def of() -> tuple[FloatArray, FloatArray]:
            stage_kernels.defects(*matrix, start, values, more, weights, inverse, room, sizes)
            return room, sizes

        return of

    def rest(
        self, on_step: OnStep, z: FloatArray, values: FloatArray, h: float
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return residuals of a step, but for remainders, in N Chebyshev points, of stages (n, s, 1 + q).

        Those of p, (n, N), the moduli of p there, (n, N), and sums over states, (3, N, 1 + q): of moduli of all
        residuals, and of moduli times what is missed of exit rates, what falls with the step and the rest.
        """
        timed, tau = self._timed, on_step.tau
        n, _, m = values.shape
        at, slope = in_nodes(STAGES, len(tau))
        rise = values[:, :, 0] - z[:, :, 0]  # the slopes of a constant are zero: taken so, little cancels
        p = z[:, :, 0] + rise @ at[:, 1:].T
        forced = on_step.forced(timed, tau, p)
        tables = (np.ascontiguousarray(table[:, 1:].T) for table in (at, slope / h))
        off = np.array([on_step.missed(timed, "missed"), on_step.missed(timed, "rounding")])
        rest, sums = np.empty((n, len(tau))), np.empty((3, len(tau), m))
        matrix, start, room = self.entries(on_step, tau), np.ascontiguousarray(z[:, 0]), np.empty((n, len(tau), m))
        stage_kernels.rests(*matrix, start, values, forced, *tables, off, room, rest, sums)
        return rest, np.abs(p), sums

    def correct(self, values: FloatArray, defect: FloatArray, systems: list[ShiftedSystem]) -> None:
        """Correct stages of a defect, (n, s, m) each."""
        if self._band is None:
            values += self.correction(defect, systems)
            return
        chosen, forward, back = _tables(STAGES)
        if self._bands is None or self._bands[0] is not systems:
            factors = np.stack([np.asarray(systems[i].factors) for i in chosen], axis=2)
            self._bands = systems, np.ascontiguousarray(factors.real), np.ascontiguousarray(factors.imag)
        n, s, m = values.shape
        tables = forward, *self._bands[1:], self._band.order, back
        if m == 1:
            room = np.empty((2, n, len(chosen)))
            stage_kernels.correct_one(defect.reshape(n, s), *tables, *room, values.reshape(n, s))
        else:
            stage_kernels.correct(defect, *tables, *np.empty((2, n, len(chosen), m)), values)

    def correction(self, defect: FloatArray, systems: list[ShiftedSystem]) -> FloatArray:
        """Return what corrects stages of a defect (n, s, m)."""
        table, (chosen, times) = self._table, halves(STAGES)
        transformed = np.matmul(table.inverse[chosen], defect)  # (n, s', m)
        solved = np.empty_like(transformed)
        for place, i in enumerate(chosen.tolist()):
            solved[:, place] = systems[i].solve_columns(transformed[:, place])
        correction: FloatArray = np.matmul(table.vectors[:, chosen] * times, solved).real
        return correction

    def factors(self, on_step: OnStep, h: float) -> list[ShiftedSystem]:
        """Return the factors of a step, (s,)."""
        middle = np.array([clock.middle for clock in on_step.clocks])
        if self._systems is not None:
            length, weights, systems = self._systems
            if length == h and np.allclose(weights, middle, rtol=SERVED_CHANGE, atol=0.0):
                return systems
        square = self._pattern.copy()
        square.data = middle @ self._entries
        systems = []
        for i, mu in enumerate(self._table.eigenvalues):
            partner = int(np.argmin(np.abs(self._table.eigenvalues - mu.conjugate())))
            real = abs(mu.imag) < 1e-14 * abs(mu)
            systems.append(
                systems[partner] if partner < i else ShiftedSystem(square, h * (mu.real if real else mu), self._band)
            )
        self._systems = h, middle, systems
        return systems

    def solved(self, z: FloatArray, on_step: OnStep, h: float) -> FloatArray:
        """Return a vector where it comes from (n,) and at the stages, (n, 1 + s), solved for each entry."""
        systems, best = self.factors(on_step, h), np.inf
        values = np.repeat(z[:, None, None], self._table.n_stages, axis=1)  # (n, s, 1)
        defects = self.defect(on_step, z[:, None, None], values, None, h)
        unseen = UNSEEN_ENTRIES * float(np.abs(z).max(initial=0.0)) + 1e-300
        for _ in range(ENTRY_ITERATIONS):
            defect, _ = defects()
            # Moduli are laid out by stages first: a fifth of the time of maxima over a short last axis.
            sizes = (np.abs(block[:, :, 0].T, order="C").max(axis=0) for block in (defect, values))
            size = float((next(sizes) / (next(sizes) + unseen)).max())
            if size <= STAGE_DEFECT or size > WORTH_A_CORRECTION * best:
                break
            best = size
            self.correct(values, defect, systems)
        return np.concatenate([z[:, None], values[:, :, 0]], axis=1)


def aligned(timed: Timed) -> tuple[Any, FloatArray]:
    """Return the pattern of all A_l together, CSR, and their entries in it, (n_clocks, nnz)."""
    pattern = sum(timed.moduli[1:], start=timed.moduli[0]).tocsr()
    pattern.sort_indices()
    n = pattern.shape[0]
    keys = np.repeat(np.arange(n), np.diff(pattern.indptr)) * n + pattern.indices
    entries = np.zeros((len(timed.parts), pattern.nnz))
    for matrix, part in zip(entries, timed.parts, strict=True):
        triples = part.tocoo()
        there = triples.data != 0.0  # zeros are not in the pattern
        place = np.searchsorted(keys, triples.row[there].astype(np.int64) * n + triples.col[there])
        np.add.at(matrix, place, triples.data[there])
    return pattern, entries


@lru_cache
def halves(n_stages: int) -> tuple[IntArray, FloatArray]:
    """Return one eigenvalue of each pair of conjugate ones, and how many it stands for: (s',) each."""
    values = radau(n_stages).eigenvalues
    partners = np.abs(values[:, None] - values.conj()).argmin(axis=1)
    chosen = np.flatnonzero(partners >= np.arange(n_stages))
    return chosen, np.where(partners[chosen] > chosen, 2.0, 1.0)


@lru_cache
def _tables(n_stages: int) -> tuple[list[int], FloatArray, FloatArray]:
    """Return what `stage_kernels.correct` takes: which systems are solved, and tables to them and back."""
    table, (chosen, times) = radau(n_stages), halves(n_stages)
    forward, back = table.inverse[chosen].T, (table.vectors[:, chosen] * times).T
    return chosen.tolist(), np.array([forward.real, forward.imag]), np.array([back.real, -back.imag])


def residuals(
    timed: Timed, points: FloatArray, rest: FloatArray, on_step: OnStep, h: float, largest: FloatArray | None = None
) -> tuple[FloatArray, FloatArray, float]:
    """Return what (4) has beside λ, in two parts, what falls with the step and rounding, (n,) each, and ∫λ.

    `points` of a path at the start and the stages, (n, 1 + s), and its residual in Chebyshev points, (n, N); `largest`
    bounds its modulus, where that is known, (n,).
    """
    n_points = rest.shape[1]
    if largest is None:
        largest = range_of(points).largest
    at, slope = in_nodes(STAGES, n_points)
    pair = np.column_stack([largest, off_by_table(points, at)])
    flows, off = np.array([part @ pair for part in timed.moduli]).transpose(2, 0, 1)  # |A_l| |u|, (n_clocks, n)
    heights = np.array([height(of_part, h) for of_part in on_step.clocks])
    weights = UNIT_ROUNDOFF * (timed.generator.roundings + 8.0) * heights
    noise = (weights + np.array([of_part.rounding for of_part in on_step.clocks])) @ flows
    noise += heights @ off + off_by_table(points, slope) / h
    fallen = np.abs(rest).max(axis=1) + np.array([of_part.missed for of_part in on_step.clocks]) @ flows
    integral = h * float(chebyshev_nodes(n_points).integrals.sum()) * ROUNDED_UP  # ∫λ
    return fallen, noise, integral
