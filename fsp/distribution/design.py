"""How many cells to observe when, and under which conditions: a design, and what it gains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fsp.distribution.display import Saved
from fsp.distribution.text import table

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.distribution.information import FisherInformation

MEANINGS = {
    "D": "the volume of the confidence region",
    "Ds": "the volume of the confidence region of the parameters of interest",
    "A": "the sum of the variances",
    "E": "the largest variance in any direction",
}


@dataclass(frozen=True, slots=True, eq=False)
class Design(Saved):
    """Cells for each condition and time.

    Parameters
    ----------
    criterion
        ``"D"``, ``"Ds"``, ``"A"`` or ``"E"``.
    conditions
        Labels of the conditions; a single empty one where there is one condition.
    times
        (n_times,) times.
    cells
        (n_conditions, n_times) whole numbers of cells.
    weights
        (n_conditions, n_times) shares of the optimal design, before they are made whole.
    information
        Fisher information of the cells, with its intervals.
    gain
        By what factor a uniform design needs more cells for the same value of the criterion.
    below
        How much of the criterion, as such a factor, the shares are away from the optimum at most.

    Examples
    --------
    >>> plan = fsp.design(model, [0.5, 1, 2, 4], ["k", "g"], cells=1000)  # doctest: +SKIP
    >>> plan.cells, plan.gain  # doctest: +SKIP
    """

    criterion: str
    conditions: tuple[str, ...]
    times: FloatArray
    cells: IntArray
    weights: FloatArray
    information: FisherInformation
    gain: float
    below: float

    def record(self) -> dict[str, Any]:
        """Return what JSON holds."""
        return {
            "criterion": self.criterion,
            "conditions": list(self.conditions),
            "times": self.times.tolist(),
            "cells": self.cells.tolist(),
            "weights": self.weights.tolist(),
            "gain": self.gain,
            "below": self.below,
            "parameters": list(self.information.parameters),
            "matrix": self.information.matrix.tolist(),
        }

    def __str__(self) -> str:
        """Return cells by time and condition, and the gain."""
        header = ["t", *(label or "cells" for label in self.conditions)]
        rows = [
            [f"{t:g}", *(f"{n:,}" for n in column)]
            for t, column in zip(self.times.tolist(), self.cells.T.tolist(), strict=True)
        ]
        head = (
            f"{self.criterion}-optimal, for {MEANINGS[self.criterion]}: a uniform design needs {self.gain:.3g} times "
            f"as many cells; the optimum is at most {100.0 * self.below:.2g} % better"
        )
        return "\n".join([head, *table(header, rows)])
