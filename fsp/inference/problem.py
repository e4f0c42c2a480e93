"""What a run is to find, what it may lose and take, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fsp.bars import silent
from fsp.model.arguments import check_call

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.distribution import Distribution, ErrorLedger
    from fsp.inference.account import Scores
    from fsp.inference.beginning import Beginning
    from fsp.inference.envelopes import Bounds
    from fsp.inference.parameters import Derivatives
    from fsp.model import Model
    from fsp.projection.progress import Progress
    from fsp.space import StateSpace
    from fsp.space.base import BaseSpace

# Shares of the tolerance: what leaves the space, what is dropped; the rest is for what p lacks, and for rounding.
LEAVING, DROPPED = 0.3, 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Reached:
    """What is known at one time."""

    distribution: Distribution
    derivatives: FloatArray  # (q, n)
    errors: tuple[ErrorLedger, ...]
    mean_errors: FloatArray  # (q, d)
    scores: Scores | None  # where they were asked for, and are known
    begun: FloatArray  # what the derivatives were off at the beginning, (q,)
    lacking: float = 0.0  # what the distribution lacks, rounding apart
    relative: float = 0.0  # rounding of each probability, relative to it
    absolute: float = 0.0  # what it may be off beside


@dataclass(frozen=True, slots=True)
class Limits:
    """What a computation may take, None for what `fsp.transient` takes by default, and who hears how far it is."""

    max_states: int | None = None
    max_memory: int | None = None
    max_work: float | None = None
    report: Callable[[Progress], None] = field(default=silent, repr=False, compare=False)

    def check(self, model: object) -> None:
        """Refuse limits that are none, and what is no model."""
        given = {"max_states": self.max_states, "max_memory": self.max_memory, "max_work": self.max_work}
        check_call(model, **given, progress=self.report)


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What a run is to find, and what it may lose."""

    model: Model
    slopes: Derivatives
    bounds: Bounds
    beginning: Beginning
    times: FloatArray
    tol: float
    loss: float  # of p
    limits: Limits
    scores: bool = False
    widened: float = 1.0
    watch: Callable[[BaseSpace], None] | None = None  # is shown each space of the run
    space: StateSpace | None = None  # that it begins on, if that was found beforehand

    @property
    def duration(self) -> float:
        """The last time, or next to nothing."""
        return max(float(self.times[-1]), 1e-300)

    @property
    def allowed(self) -> FloatArray:
        """What may leave of p and of each derivative, (1 + q,)."""
        return np.array([self.loss, *[LEAVING * self.tol] * len(self.slopes.names)])
