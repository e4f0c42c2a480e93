"""The answer of a transient while it is made."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from fsp.distribution import Distribution, Solution

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fsp.arrays import FloatArray
    from fsp.model import Model


class Record:
    """Distributions at the times that were asked for, as they are reached.

    Parameters
    ----------
    model
        The network.
    requested
        The times asked for.
    tol
        The tolerance.
    options
        How the solution was asked for, besides its solver.
    """

    def __init__(self, model: Model, requested: FloatArray, tol: float, options: Mapping[str, float | int]) -> None:
        self._model = model
        self._requested = requested
        self._tol = tol
        self._options = dict(options)
        self._started = perf_counter()
        self._distributions: list[Distribution] = []

    @property
    def t_end(self) -> float:
        """The last time asked for."""
        return float(self._requested[-1])

    def add(self, distribution: Distribution) -> None:
        """Keep the distribution at a time that was asked for."""
        self._distributions.append(distribution)

    def solution(self, solver: str, counts: Mapping[str, float]) -> Solution:
        """Return the answer."""
        return self._made_of(self._distributions, solver, counts)

    def so_far(self, last: Distribution, solver: str, counts: Mapping[str, float]) -> Solution:
        """Return what there is of the answer, and the distribution to go on from."""
        before = [one for one in self._distributions if one.t != last.t]
        return self._made_of([*before, last], solver, counts)

    def _made_of(self, distributions: list[Distribution], solver: str, counts: Mapping[str, float]) -> Solution:
        return Solution(
            distributions,
            tol=self._tol,
            solver=solver,
            model_text=self._model.describe(),
            options={"solver": solver, **self._options},
            statistics={**counts, "seconds": perf_counter() - self._started},
            asked=self._requested.tolist(),
        )
