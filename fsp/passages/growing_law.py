"""What is asked of a network at rest: on a space that grows until the answer is sharp, or on an estimated law.

On each space the stationary law is bounded anew (`fsp.passages.stationary_law`), beginning with one on which it is
solved.
"""

from __future__ import annotations

import warnings
from math import inf
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.distribution import ErrorLedger
from fsp.equilibrium.certified import StationaryCertifier
from fsp.equilibrium.growth_loop import IMPROVES, NextSpace, grow_until
from fsp.equilibrium.stationary import stationary
from fsp.errors import ToleranceWarning
from fsp.generator import Generator
from fsp.moments.lyapunov import NoDriftCondition
from fsp.passages.stationary_law import OnStationaryLaw, StationaryLaw
from fsp.projection.progress import Progress, ProgressCallback
from fsp.space import StateSpace

if TYPE_CHECKING:
    from collections.abc import Callable

    from fsp.arrays import FloatArray, IntArray
    from fsp.model import Model
    from fsp.moments.lyapunov import DriftCondition
    from fsp.projection.growth import Growth
    from fsp.space.base import BaseSpace

LAW_PATIENCE = 3  # such growths in a row; chosen
C = TypeVar("C", bound=OnStationaryLaw)


def solved(model: Model, condition: DriftCondition | None, tol: float, growth: Growth, report: ProgressCallback) -> Any:
    """Return the stationary law on the space to begin with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ToleranceWarning)  # what follows may do better
        return StationaryCertifier(model, condition, "auto", tol).solve(growth, report)


def estimated(model: Model, tol: float, limit: int, reason: str) -> StationaryLaw:
    """Return an estimated stationary law, whose bounds are no more than that."""
    law = stationary(model, tol, max_states=limit)
    generator = Generator(model, StateSpace.from_states(model.species, law.states))
    p = law.probabilities
    return StationaryLaw(generator, p, p, p, min(1.0, law.error.total), certified=False, reason=reason)


def require_room(growth: Growth, wanted: IntArray) -> None:
    """Raise a NoDriftCondition where the states (k, d) that a bound needs are too many."""
    if not growth.affords(len(wanted)):
        raise NoDriftCondition(f"a bound needs {len(wanted):,} states")


class Sharpest(Generic[C]):
    """Keeps the sharpest answer; ends where its `width` meets the tolerance, or growing does not help."""

    def __init__(
        self, width: Callable[[C], float], tol: float, report: ProgressCallback, what: str, *, outside: bool = False
    ) -> None:
        """Take what is asked in a word, and whether less `outside` of the space is a use of growing, too."""
        self._width_of, self._tol, self._report, self._what = width, tol, report, what
        self._counts_outside = outside
        self.best: C | None = None
        self.width = inf
        self._useless, self._outside = 0, inf

    @property
    def suffices(self) -> bool:
        """Whether anything is known."""
        return self.best is not None

    def judge(self, candidate: C, guess: FloatArray | None) -> NextSpace | None:
        """Return how to go on; None to end."""
        width, rest = self._width_of(candidate), candidate.rest
        self._report(Progress(None, None, len(rest.generator), min(2.0, rest.outside), self._what))
        emptied = self._counts_outside and rest.outside <= IMPROVES * self._outside
        self._useless = self._useless + 1 if IMPROVES * self.width < width and not emptied else 0
        self._outside = min(self._outside, rest.outside)
        if width <= self.width:
            self.best, self.width = candidate, width
        closed = not rest.generator.n_sinks or rest.outside <= UNIT_ROUNDOFF**2  # far below what is asked for
        done = self.width <= self._tol or closed or self._useless == LAW_PATIENCE
        return None if done else NextSpace(ErrorLedger(truncation=min(2.0, rest.outside)))

    def on(self, growth: Growth, space: BaseSpace, solve: Callable[[BaseSpace, FloatArray | None], C]) -> C:
        """Return the sharpest answer on a space that grows; a NoDriftCondition where none is known."""
        grow_until(growth, space, solve, self)
        if self.best is None:
            raise NoDriftCondition("the space is too small for a bound, or rounding hides the drift")
        return self.best
