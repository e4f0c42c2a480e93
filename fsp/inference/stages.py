"""The stages of collocation steps where rates change, and what their polynomials leave of each entry."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.inference.on_step import STAGES, OnStep, height
from fsp.inference.statewise import off_by_table, range_of
from fsp.solvers.clocks import chebyshev_nodes
from fsp.solvers.collocation import radau
from fsp.solvers.linear import Band, ShiftedSystem

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.inference.timed import Timed

NEAR = 0.03  # relative change of rates over which a factorisation still serves, as the stages are iterated


class Stages:
    """Factors of the systems of a step, kept while rates and its length hardly change."""

    def __init__(self, timed: Timed) -> None:
        self._timed, self._table = timed, radau(STAGES)
        self._pattern, self._entries = aligned(timed)
        self._band = Band.of(self._pattern)
        self._systems: tuple[float, FloatArray, list[ShiftedSystem]] | None = None

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
            if length == h and np.allclose(weights, middle, rtol=NEAR, atol=0.0):
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
def in_nodes(n_stages: int, count: int) -> tuple[FloatArray, FloatArray]:
    """Return what gives u and u' in Chebyshev points of a step, see `Collocation.interpolate`."""
    return radau(n_stages).interpolate(0.5 * (1.0 + chebyshev_nodes(count).z))


def residuals(
    timed: Timed, points: FloatArray, rest: FloatArray, on_step: OnStep, h: float
) -> tuple[FloatArray, FloatArray, float]:
    """Return what (4) has beside λ, in two parts, what falls with the step and rounding, (n,) each, and ∫λ.

    `points` of a path at the start and the stages, (n, 1 + s), and its residual in Chebyshev points, (n, N).
    """
    n_points = rest.shape[1]
    _, largest = range_of(points)
    at, slope = in_nodes(STAGES, n_points)
    pair = np.column_stack([largest, off_by_table(points, at)])
    flows, off = np.array([part @ pair for part in timed.moduli]).transpose(2, 0, 1)  # |A_l| |u|, (n_clocks, n)
    heights = np.array([height(of_part, h) for of_part in on_step.clocks])
    weights = UNIT_ROUNDOFF * (timed.generator.roundings + 8.0) * heights
    noise = (weights + np.array([of_part.rounding for of_part in on_step.clocks])) @ flows
    noise += heights @ off + off_by_table(points, slope) / h
    fallen = np.abs(rest).max(axis=1) + np.array([of_part.missed for of_part in on_step.clocks]) @ flows
    integral = h * float(chebyshev_nodes(n_points).integrals.sum()) * (1.0 + 1e-9)  # ∫λ
    return fallen, noise, integral
