"""Fisher information with the intervals of its elements, its eigenvalues and its determinant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.arithmetic import SUM_ROUNDING, UNIT_ROUNDOFF, dot, sum_down, sum_up
from fsp.distribution.display import Displayed, Saved
from fsp.distribution.ledger import Interval
from fsp.distribution.sensitivity import UNSTORED
from fsp.distribution.text import table

if TYPE_CHECKING:
    from fsp.arrays import FloatArray

TURNED = 64.0 * UNIT_ROUNDOFF  # for each parameter: by how much eigenvectors are not orthogonal, a multiple of theirs
KNOWN_WIDTH = 0.01  # of an eigenvalue: what the printed table calls known; chosen


@dataclass(frozen=True, slots=True, eq=False)
class CellScores:
    """What one cell tells at one time, by scores: C and M of (2) of `fsp.inference.fisher` in any directions.

    In directions V, the scores are ``w = Vᵀ u``, the errors of the derivatives at most ``|V|ᵀ E``, and with ε what w
    may be off by rounding, C is known up to ``Σ y (|w_i| ε_j + ε_i |w_j| + ε_i ε_j)`` and the rounding of the sums.
    """

    scores: FloatArray  # u of each outcome, (q, m)
    probabilities: FloatArray  # y, (m,)
    errors: FloatArray  # E, of the derivatives in the 1-norm, (q,)
    lacking: float  # δ + ρ

    def along(self, V: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return Vᵀ C V, M in these directions V, and what rounding makes elements of the first off: (q, q) each."""
        sizes, y = np.abs(V).T, self.probabilities
        w = V.T @ self.scores  # (q, m)
        off = (len(V) + 2.0) * UNIT_ROUNDOFF * (sizes @ np.abs(self.scores))  # ε, (q, m)
        errors, U = sizes @ self.errors, (np.abs(w) + off).max(axis=1)
        C = np.stack([dot(row * y, w) for row in w])
        rounding = (np.abs(w) * y) @ off.T
        rounding = rounding + rounding.T + (off * y) @ off.T + SUM_ROUNDING * (np.abs(w) * y) @ np.abs(w).T
        taken = U[:, None] * errors + errors[:, None] * U + np.outer(U, U) * self.lacking
        return 0.5 * (C + C.T), taken * (1.0 + SUM_ROUNDING), rounding


@dataclass(frozen=True, slots=True, eq=False)
class Graded:
    """The matrix in directions in which it is nearly diagonal, from small to large.

    With Λ the diagonal of Vᵀ C V, N the moduli beside it, M what may be less there and ρρᵀ above what may be more, for
    c in the span of the last of V

    (1)  cᵀ Vᵀ F V c  >=  |c|ᵀ (Λ - N - M) |c|,        and in that of the first
    (2)  cᵀ Vᵀ F V c  <=  |c|ᵀ (Λ + N + ρρᵀ) |c|,      ρ_i = Σ_k |V_ki| √R_kk .

    By Courant and Fischer the i-th eigenvalue is at least the smallest of the first matrix on i, …, q, which is at
    least min Λ times that of the matrix scaled by Λ^(-1/2), and at most the largest of the second one on 1, …, i.
    """

    directions: FloatArray  # V, orthogonal but for rounding, (q, q)
    matrix: FloatArray  # Vᵀ C V, (q, q)
    taken: FloatArray  # M there, (q, q)
    rounding: FloatArray  # what elements of the matrix may be off, (q, q)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class FisherInformation(Displayed, Saved):
    """The Fisher information of an experiment about parameters: the matrix F, and a bound of its error.

    With ``C = matrix`` the exact matrix F obeys ``F <= C + q diag(above)`` in the Loewner order, and from below
    ``cᵀ F c >= cᵀ C c - |c|ᵀ below |c|`` in every direction c.

    Parameters
    ----------
    parameters
        Names of the q parameters.
    matrix
        (q, q) C, symmetric; per unit of a parameter squared, or of its logarithm.
    above
        (q,) bounds of the excess of F over C in the direction of each parameter.
    below
        (q, q) bounds of what F lacks to C.
    off
        (q, q) how far elements may be off; on the diagonal `above` and `below` say more.  Where `above` is infinite,
        ``C - below`` is a lower bound in the Loewner order, and nothing is known from above.
    log
        Whether it is about the logarithms of the parameters.

    References
    ----------
    Z. Fox, B. Munsky, PLoS Comput. Biol. 15 (2019) e1006365, doi:10.1371/journal.pcbi.1006365.

    Examples
    --------
    >>> fim = fsp.fisher(model, [1.0, 2.0], ["k", "g"], cells=1000)  # doctest: +SKIP
    >>> fim.matrix, fim.upper - fim.lower, fim.eigenvalues()[0]  # doctest: +SKIP
    """

    parameters: tuple[str, ...]
    matrix: FloatArray
    above: FloatArray
    below: FloatArray
    off: FloatArray
    log: bool
    scores: CellScores | None = field(default=None, repr=False)
    graded: Graded | None = field(default=None, repr=False)

    @classmethod
    def summed(cls, parts: Sequence[FisherInformation], cells: Sequence[float] | FloatArray) -> FisherInformation:
        """Return the information of independent cells: a number of cells for each part."""
        first, q = parts[0], len(parts[0].parameters)
        matrix, above, below, off = np.zeros((q, q)), np.zeros(q), np.zeros((q, q)), np.zeros((q, q))
        for n, part in zip(np.asarray(cells).tolist(), parts, strict=True):
            if n:
                matrix, above, below = matrix + n * part.matrix, above + n * part.above, below + n * part.below
                off = off + n * part.off
        return cls(first.parameters, matrix, above, below, off, first.log, None, _graded(matrix, parts, cells))

    @property
    def certified(self) -> bool:
        """Whether intervals are bounds; where they are not, something about F is not bounded above."""
        return bool(np.isfinite(self.above).all() and np.isfinite(self.below).all())

    @property
    def lower(self) -> FloatArray:
        """(q, q) lower bounds of the elements; those of the diagonal are not negative."""
        matrix = np.nextafter(self.matrix - self.off, -math.inf)
        diagonal = np.diag(self.matrix) - np.diag(self.below) - self._noise(float(np.diag(self.below).max()))
        np.fill_diagonal(matrix, np.maximum(diagonal, 0.0))
        return matrix

    @property
    def upper(self) -> FloatArray:
        """(q, q) upper bounds of the elements."""
        matrix = np.nextafter(self.matrix + self.off, math.inf)
        np.fill_diagonal(matrix, np.diag(self.matrix) + self.above + self._noise(float(self.above.max())))
        return matrix

    def _noise(self, added: float = 0.0) -> float:
        """Return the rounding of elements and eigenvalues of the matrix, to whose diagonal up to `added` is added."""
        q = len(self.matrix)
        return 16.0 * q * q * UNIT_ROUNDOFF * (float(np.abs(self.matrix).max()) + added)

    def eigenvalues(self) -> tuple[Interval, ...]:
        """Bound the eigenvalues, in increasing order, by the inequalities of Weyl and of Courant and Fischer.

        Returns
        -------
        tuple of Interval
            One whose lower end is zero is hidden by its error: nothing is known to be learnt in some direction.
        """
        values = np.maximum(np.linalg.eigvalsh(self.matrix), 0.0)  # (q,)
        if not np.isfinite(self.below).all():
            return tuple(Interval(0.0, math.inf, float(value), False, UNSTORED) for value in values)
        q = len(self.matrix)
        # 2 |c_k c_l| <= c_k² r_l/r_k + c_l² r_k/r_l, with r the scales of the parameters
        scales = np.sqrt(np.maximum(np.diag(self.matrix), UNIT_ROUNDOFF))  # (q,)
        less = (self.below * scales[:, None] / scales).sum(axis=1)
        low = np.linalg.eigvalsh(self.matrix - np.diag(less)) - self._noise(float(less.max()))
        low = np.maximum(np.maximum(low, 0.0), 0.0 if self.graded is None else _least(self.graded))
        if not self.certified:  # the matrix is a lower bound, and nothing is known from above
            return tuple(
                Interval(a, math.inf, max(value, a), False, UNSTORED)
                for a, value in zip(low.tolist(), values.tolist(), strict=True)
            )
        more = q * self.above  # (q,)
        high = np.linalg.eigvalsh(self.matrix + np.diag(more)) + self._noise(float(more.max()))
        high = np.maximum(high, low)
        if self.graded is not None:
            high = np.maximum(np.minimum(high, _most(self.graded, self.above)), low)
        return tuple(
            Interval(a, b, min(max(value, a), b), True)
            for a, b, value in zip(low.tolist(), high.tolist(), values.tolist(), strict=True)
        )

    @property
    def hidden(self) -> int:
        """How many eigenvalues are hidden by the error: not known to differ from zero."""
        return sum(interval.lower == 0.0 for interval in self.eigenvalues())

    def determinant(self) -> Interval:
        """Bound the determinant, by the product of the bounds of the eigenvalues.

        Returns
        -------
        Interval
            Its lower end is zero where an eigenvalue is hidden.
        """
        values = self.eigenvalues()
        low, high, value = (
            math.prod(ends) for ends in ([e.lower for e in values], [e.upper for e in values], map(float, values))
        )
        outwards = 1.0 + 4.0 * len(values) * UNIT_ROUNDOFF
        low, high = low / outwards, high * outwards
        return Interval(low, high, min(max(value, low), high), self.certified, values[0].reason)

    def trace(self) -> Interval:
        """Bound the sum of the information about single parameters."""
        low, high = sum_down(*np.diag(self.lower).tolist()), sum_up(*np.diag(self.upper).tolist())
        value = float(np.trace(self.matrix))
        return Interval(low, high, value, self.certified, "" if self.certified else UNSTORED)

    def record(self) -> dict[str, Any]:
        """Return what JSON holds."""
        return {
            "parameters": list(self.parameters),
            "log": self.log,
            "certified": self.certified,
            "matrix": self.matrix.tolist(),
            "lower": self.lower.tolist(),
            "upper": self.upper.tolist(),
            "eigenvalues": [interval.record() for interval in self.eigenvalues()],
            "hidden": self.hidden,
            "determinant": self.determinant().record(),
            "trace": self.trace().record(),
        }

    def __str__(self) -> str:
        """Return the elements as intervals, and the eigenvalues."""
        low, high = self.lower, self.upper
        names = [f"log {name}" if self.log else name for name in self.parameters]
        rows = [[name, *self._cells(k, low[k], high[k])] for k, name in enumerate(names)]
        lines = table(["", *names], rows)
        values = self.eigenvalues()
        known = [_is_narrow(value) for value in values]
        heading = f"eigenvalues, {sum(known)} of {len(values)} known to 1 %{'' if self.certified else ' from below'}:"
        return "\n".join([*lines, heading, *(f"  {_told(value)}" for value in values)])

    def _cells(self, k: int, low: Sequence[float] | FloatArray, high: Sequence[float] | FloatArray) -> list[str]:
        return [
            str(Interval(float(a), float(b), float(value), self.certified))
            for a, b, value in zip(low, high, self.matrix[k], strict=True)
        ]


def _is_narrow(value: Interval) -> bool:
    """Return whether the value is known to `KNOWN_WIDTH` of itself; from below, where nothing is known from above."""
    below = value.lower > 0.0 and value.value - value.lower <= KNOWN_WIDTH * value.value
    return below and (not value.certified or value.upper - value.lower <= KNOWN_WIDTH * value.value)


def _told(value: Interval) -> str:
    if not value.lower:
        return f"{value} (hidden by its error)"
    at_least = "" if value.certified else f", at least {value.lower:.6g}"
    return f"{value}{at_least}{'' if _is_narrow(value) else ' (not known to 1 %)'}"


def _graded(
    matrix: FloatArray, parts: Sequence[FisherInformation], cells: Sequence[float] | FloatArray
) -> Graded | None:
    """Return a sum in the directions of its eigenvectors; None where scores are not known."""
    known = [(n, part.scores) for n, part in zip(np.asarray(cells).tolist(), parts, strict=True) if n]
    if not np.isfinite(matrix).all() or any(scores is None for _, scores in known):
        return None
    V = np.linalg.eigh(matrix)[1]
    along = [(n, *scores.along(V)) for n, scores in known if scores is not None]
    C, taken, rounding = (np.sum([row[0] * row[place] for row in along], axis=0) for place in (1, 2, 3))
    order = np.argsort(np.diag(C))
    graded = [
        part[np.ix_(order, order)] for part in (C, taken, rounding * (1.0 + SUM_ROUNDING) + SUM_ROUNDING * np.abs(C))
    ]
    return Graded(V[:, order], *graded)


def _least(graded: Graded) -> FloatArray:
    """Bound the eigenvalues from below, (1), (q,)."""
    sizes, q = np.diag(graded.matrix), len(graded.matrix)
    beside = np.abs(graded.matrix) * (1.0 - np.eye(q)) + graded.taken + graded.rounding
    if not np.isfinite(beside).all():
        return np.zeros(q)
    low = np.zeros(q)
    for i in range(q):
        part, root = np.diag(sizes[i:]) - beside[i:, i:], np.sqrt(np.maximum(sizes[i:], 1e-300))
        noise = 16.0 * q * q * UNIT_ROUNDOFF
        plain = float(np.linalg.eigvalsh(part)[0]) - noise * float(np.abs(part).max())
        scaled = part / np.outer(root, root)
        share = float(np.linalg.eigvalsh(scaled)[0]) - noise * float(np.abs(scaled).max())
        low[i] = max(plain, share * float(sizes[i:].min()), 0.0)
    return np.asarray(np.maximum.accumulate(low) * (1.0 - TURNED * q))


def _most(graded: Graded, above: FloatArray) -> FloatArray:
    """Bound the eigenvalues from above, (2), (q,)."""
    q = len(above)
    rho = np.abs(graded.directions).T @ np.sqrt(above)  # (q,)
    sums = np.abs(graded.matrix) + graded.rounding + np.outer(rho, rho) * (1.0 + SUM_ROUNDING)
    noise = 16.0 * q * q * UNIT_ROUNDOFF
    tops = [
        float(np.linalg.eigvalsh(sums[: i + 1, : i + 1])[-1]) + noise * float(sums[: i + 1].max()) for i in range(q)
    ]
    return np.asarray(np.minimum.accumulate(tops[::-1])[::-1] * (1.0 + TURNED * q))
