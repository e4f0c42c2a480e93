"""How a run takes its steps: a series where rates are constant, collocation where they depend on time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fsp.inference.collocation import Marching
from fsp.inference.derived import Derived
from fsp.inference.expansion import SeriesSteps
from fsp.inference.timed import Timed
from fsp.inference.unit_of_time import require_normal

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.generator import Generator
    from fsp.inference.problem import Problem

Method = SeriesSteps | Marching
# Shares of the loss of p, and of the tolerance of derivatives, for the errors of steps by collocation; chosen.
SHARE_OF_LOSS, SHARE_OF_TOL = 0.3, 0.1

LEAST_LOSS = 1e-15  # for steps of p alone: less is rounding of their stages


def method_of(problem: Problem, generator: Generator, stops: FloatArray) -> Method:
    """Return the steps on one space; they do not pass the `stops`."""
    slopes, followed, duration = problem.slopes, problem.bounds.followed, problem.duration
    require_normal(generator.largest_exit_rate, duration, changing=problem.model.is_time_dependent)
    if not problem.model.is_time_dependent:
        derived = Derived(generator, slopes, followed, scores=problem.scores, widened=problem.widened)
        return SeriesSteps(derived, problem.loss)
    q = len(slopes.names)
    loss = max(problem.loss, LEAST_LOSS) if not q else problem.loss
    rates = np.array([SHARE_OF_LOSS * loss, *[SHARE_OF_TOL * problem.tol] * q]) / duration
    return Marching(Timed.of(generator, slopes, followed), rates, stops, duration)
