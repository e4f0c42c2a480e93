"""Fisher information with the intervals of its elements, its eigenvalues and its determinant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF, sum_down, sum_up
from fsp.distribution.display import Displayed
from fsp.distribution.ledger import Interval
from fsp.distribution.text import table

if TYPE_CHECKING:
    from fsp.arrays import FloatArray

OPEN = "nothing bounds what states that are not stored contribute"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class FisherInformation(Displayed):
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
        (q,) what F may have more in the direction of each parameter.
    below
        (q, q) what it may have less.
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

    @classmethod
    def summed(cls, parts: Sequence[FisherInformation], cells: Sequence[float] | FloatArray) -> FisherInformation:
        """Return the information of independent cells, so many of each part."""
        first, q = parts[0], len(parts[0].parameters)
        matrix, above, below, off = np.zeros((q, q)), np.zeros(q), np.zeros((q, q)), np.zeros((q, q))
        for n, part in zip(np.asarray(cells).tolist(), parts, strict=True):
            if n:
                matrix, above, below = matrix + n * part.matrix, above + n * part.above, below + n * part.below
                off = off + n * part.off
        return cls(first.parameters, matrix, above, below, off, first.log)

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
        """Bound the eigenvalues, in increasing order, by Weyl's inequality.

        Returns
        -------
        tuple of Interval
            One whose lower end is zero is hidden by its error: nothing is known to be learnt in some direction.
        """
        values = np.maximum(np.linalg.eigvalsh(self.matrix), 0.0)  # (q,)
        if not np.isfinite(self.below).all():
            return tuple(Interval(0.0, math.inf, float(value), False, OPEN) for value in values)
        q = len(self.matrix)
        # 2 |c_k c_l| <= c_k² r_l/r_k + c_l² r_k/r_l, with r the scales of the parameters
        scales = np.sqrt(np.maximum(np.diag(self.matrix), UNIT_ROUNDOFF))  # (q,)
        less = (self.below * scales[:, None] / scales).sum(axis=1)
        low = np.linalg.eigvalsh(self.matrix - np.diag(less)) - self._noise(float(less.max()))
        if not self.certified:  # the matrix is a lower bound, and nothing is known from above
            low = np.maximum(low, 0.0)
            return tuple(
                Interval(a, math.inf, max(value, a), False, OPEN)
                for a, value in zip(low.tolist(), values.tolist(), strict=True)
            )
        more = q * self.above  # (q,)
        high = np.linalg.eigvalsh(self.matrix + np.diag(more)) + self._noise(float(more.max()))
        low, high = np.maximum(low, 0.0), np.maximum(high, 0.0)
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
        return Interval(low, high, value, self.certified, "" if self.certified else OPEN)

    def __str__(self) -> str:
        """Return the elements as intervals, and the eigenvalues."""
        low, high = self.lower, self.upper
        names = [f"log {name}" if self.log else name for name in self.parameters]
        rows = [[name, *self._cells(k, low[k], high[k])] for k, name in enumerate(names)]
        lines = table(["", *names], rows)
        values = [
            f"{interval}{' (hidden by its error)' if not interval.lower else ''}" for interval in self.eigenvalues()
        ]
        return "\n".join([*lines, "eigenvalues:", *(f"  {value}" for value in values)])

    def _cells(self, k: int, low: Sequence[float] | FloatArray, high: Sequence[float] | FloatArray) -> list[str]:
        return [
            str(Interval(float(a), float(b), float(value), self.certified))
            for a, b, value in zip(low, high, self.matrix[k], strict=True)
        ]
