"""The answer of a transient while it is made."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

from fsp.distribution import Distribution, Solution

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fsp.arrays import FloatArray
    from fsp.model import Model


@dataclass(slots=True)
class Work:
    """What a computation has done so far.

    Parameters
    ----------
    counts
        Numbers of products, growths and prunings, and the largest number of states.
    products
        Number of products by solver, and why it was taken.
    """

    counts: dict[str, int] = field(
        default_factory=lambda: {"n_matvec": 0, "growths": 0, "prunings": 0, "largest_space": 0}
    )
    products: Counter[str] = field(default_factory=Counter)

    @property
    def solver_text(self) -> str:
        """The solver that did most of the products, and why it was taken."""
        return max(self.products, key=self.products.__getitem__, default="none needed")


class Recorder:
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
        self.tol = tol
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
            tol=self.tol,
            solver=solver,
            model_text=self._model.describe(),
            options={"solver": solver, **self._options},
            statistics={**counts, "seconds": perf_counter() - self._started},
            asked=self._requested.tolist(),
        )
