"""Linear programmes, solved by HiGHS: bounds of counts, weights of moments, designs.

HiGHS is called through highspy, as `scipy.optimize` takes ten times as long to import as a small network to be solved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from fsp.arrays import FloatArray

Limits = Sequence[tuple[float | None, float | None]]


class Optimum(NamedTuple):
    """A minimum, to the tolerances of HiGHS: nothing here is proven."""

    x: FloatArray  # (n,)
    value: float


class LinearProgramme:
    """``above @ x <= below``, ``equal @ x = right``, within limits; solved for one cost after the other.

    A limit of the n unknowns that is None is none; tables are (m, n) and (k, n).
    """

    def __init__(
        self,
        limits: Limits,
        above: FloatArray | None = None,
        below: FloatArray | None = None,
        equal: FloatArray | None = None,
        right: FloatArray | None = None,
    ) -> None:
        import highspy  # here, as many networks need no programme

        self._solver: Any = highspy.Highs()  # type: ignore[no-untyped-call]
        n = len(limits)
        tables = [table for table in (above, equal) if table is not None]
        table = np.concatenate([*tables, np.empty((0, n))])
        upper = [side for side in (below, right) if side is not None]
        lower = np.full(0 if below is None else len(below), -np.inf)
        self._n = n
        self._optimal = highspy.HighsModelStatus.kOptimal
        programme = highspy.HighsLp()
        programme.num_col_, programme.num_row_ = n, len(table)
        programme.col_cost_ = np.zeros(n)
        programme.col_lower_ = np.array([-math.inf if low is None else low for low, _ in limits])
        programme.col_upper_ = np.array([math.inf if high is None else high for _, high in limits])
        programme.row_lower_ = np.concatenate([lower, *([] if right is None else [right])])
        programme.row_upper_ = np.concatenate([*upper, np.empty(0)])
        column, row = np.nonzero(table.T)
        programme.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        programme.a_matrix_.start_ = np.searchsorted(column, np.arange(n + 1))
        programme.a_matrix_.index_, programme.a_matrix_.value_ = row, table[row, column]
        self._solver.setOptionValue("output_flag", False)
        self._solver.setOptionValue("threads", 1)  # programmes are small, and workers share the cores
        # numbers that HiGHS refuses, as nan, leave it without unknowns, of which it would still change the costs
        self._is_taken = self._solver.passModel(programme) != highspy.HighsStatus.kError

    def minimum(self, cost: FloatArray | None = None) -> Optimum | None:
        """Minimise ``cost @ x``, (n,) or zero; None where nothing is feasible or bounds it, or HiGHS gave up."""
        if not self._is_taken:
            return None
        if cost is not None:
            self._solver.changeColsCost(self._n, np.arange(self._n, dtype=np.int32), np.asarray(cost, dtype=float))
        self._solver.run()
        if self._solver.getModelStatus() != self._optimal:
            return None
        x = np.array(self._solver.getSolution().col_value)
        return Optimum(x, float(self._solver.getInfo().objective_function_value))
