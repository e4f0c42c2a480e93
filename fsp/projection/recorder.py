"""The answer of a transient while it is made."""

from __future__ import annotations

from collections import Counter
from time import perf_counter
from typing import TYPE_CHECKING

from fsp.distribution import Distribution, Solution

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fsp.arrays import FloatArray
    from fsp.model import Model


class Recorder:
    """Keep the distributions at the times that were asked for, and count the work, of all phases."""

    def __init__(
        self, model: Model, requested: FloatArray, tol: float, options: Mapping[str, str | float | int]
    ) -> None:
        self._model = model
        self._requested = requested
        self.tol = tol
        # how the solution was asked for, besides its solver; what is empty was not
        self._options = {name: value for name, value in options.items() if value != ""}
        self._started = perf_counter()
        self._distributions: list[Distribution] = []
        self._counts = {"n_matvec": 0, "growths": 0, "prunings": 0, "largest_space": 0}
        self._products: Counter[str] = Counter()  # by solver, and why it was taken

    @property
    def t_end(self) -> float:
        """The last time asked for."""
        return float(self._requested[-1])

    def add(self, distribution: Distribution) -> None:
        """Keep the distribution at a time that was asked for."""
        self._distributions.append(distribution)

    def count(self, name: str) -> None:
        """Count a growth or a pruning."""
        self._counts[name] += 1

    def count_products(self, solver: str, n_matvec: int) -> None:
        """Count products of a solver, named with why it was taken."""
        self._counts["n_matvec"] += n_matvec
        self._products[solver] += n_matvec

    def note_space(self, n_states: int) -> None:
        """Take note of the size of a space."""
        self._counts["largest_space"] = max(self._counts["largest_space"], n_states)

    def solution(self) -> Solution:
        """Return the answer."""
        return self._made_of(self._distributions)

    def so_far(self, last: Distribution) -> Solution:
        """Return what there is of the answer, and the distribution to go on from."""
        before = [distribution for distribution in self._distributions if distribution.t != last.t]
        return self._made_of([*before, last])

    def _made_of(self, distributions: list[Distribution]) -> Solution:
        solver = max(self._products, key=self._products.__getitem__, default="none needed")  # of most products
        return Solution(
            distributions,
            tol=self.tol,
            solver=solver,
            model_text=self._model.describe(),
            options={"solver": solver, **self._options},
            statistics={**self._counts, "seconds": perf_counter() - self._started},
            asked=self._requested.tolist(),
        )
