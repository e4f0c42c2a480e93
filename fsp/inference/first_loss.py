"""How much of p may be lost so that its derivatives are good enough: a first guess, by what is known at the start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fsp.inference.clock_terms import changing_of
from fsp.model.expression import evaluate
from fsp.moments.part_moments import mean_over

if TYPE_CHECKING:
    from fsp.inference.envelopes import Bounds
    from fsp.inference.parameters import Derivatives
    from fsp.model import Model

CLOCK_TIMES = 65  # times at which functions of time are looked at; chosen, not measured


def first_loss(model: Model, slopes: Derivatives, bounds: Bounds, horizon: float) -> float:
    """Return the loss of p, in units of the tolerance, that seems to do: by what parameters change at the start."""
    states = model.initial_states[:1]
    if model.is_time_dependent:
        return min(0.5, 1.0 / (1.0 + _likely_remnant(model, slopes, bounds, horizon)))
    rates = float(model.propensities(states).sum())
    scale = 1.0
    if not slopes.log:
        scale = max(1.0, *(1.0 / abs(model.parameters[name]) for name in slopes.names))
    return min(0.5, 0.5 / (1.0 + rates * horizon * scale))


def _likely_remnant(model: Model, slopes: Derivatives, bounds: Bounds, horizon: float) -> float:
    """Return about what is spoiled of a derivative for each unit of p that is lost: by bounds near the start."""
    times = np.linspace(0.0, horizon, CLOCK_TIMES)
    heights = [np.mean([abs(float(evaluate(b, {}, t))) for t in times.tolist()]) for b in changing_of(model, slopes)]
    near = 1.0 + 2.0 * float(model.initial_states.max())  # a count

    def moment(species: int, order: int) -> float:
        return near**order

    remnants = [bounds.remnant(k) for k in range(len(slopes.names))]
    likely = [
        sum(h * mean_over(p, moment) for p, h in zip(polynomials, heights, strict=True) if p is not None)
        for polynomials in remnants
    ]
    return float(horizon * max(likely, default=0.0))
