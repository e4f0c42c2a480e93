"""What p and its derivatives are when a run begins, and what they may be off.

Stored probabilities are lower bounds, so that m = p - y >= 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fsp.moments.initial import KnownDistribution

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.model import Model
    from fsp.moments.parts import Gauge


@dataclass(frozen=True, slots=True, eq=False)
class StartScores:
    """Squares of the derivatives of log p at the start."""

    stored: FloatArray  # s_k² / p, (q, n)
    off: FloatArray  # what sums of them may be off, (q,)
    whole: FloatArray  # upper bounds of their sums over all states, (q,)


@dataclass(frozen=True, slots=True, eq=False)
class Beginning:
    """A start, on states of its own."""

    states: IntArray  # (n, d)
    probabilities: FloatArray  # y <= p, (n,)
    derivatives: FloatArray  # h, (q, n)
    lacking: float  # Σ m
    rounding: float  # what y may be off beside
    errors: FloatArray  # of h, in the 1-norm, (q,)
    moments: Callable[[Gauge], FloatArray]  # Σ m u^q of a gauge, (n_orders,)
    scores: StartScores
    closed: bool  # whether all states that p lives on lead nowhere else than the stored ones do
    proved: bool = True
    at_its_best: bool = False  # whether nothing would make the errors smaller
    spread: bool = False  # whether it is another one than that of the model

    def on(self, index: IntArray, n: int, *, scores: bool) -> FloatArray:
        """Return the block of a run on n states, `index` (n_start,) being the places of these: (1 + q, n) or more."""
        rows = [self.probabilities[None], self.derivatives, *([self.scores.stored] if scores else [])]
        own = np.concatenate(rows)
        block = np.zeros((len(own), n))
        block[:, index] = own
        return block


def of_model(model: Model, q: int) -> Beginning:
    """Return the start of a model, which depends on no parameter."""
    states, weights, lacking = model.initial_states, model.initial_probabilities, model.start_lacks

    def moments(gauge: Gauge) -> FloatArray:
        known = [KnownDistribution(states, weights, part) for part in (lacking, 0.0)]
        above, below = (own.powers(gauge.weights, gauge.orders, 1.0) for own in known)
        return np.maximum(above - below, lacking) if lacking else np.zeros(len(gauge.orders))

    rounding = 0.0 if lacking else abs(1.0 - math.fsum(weights.tolist()))
    nothing = np.zeros((q, len(states)))
    scores = StartScores(nothing, np.zeros(q), np.zeros(q))
    return Beginning(states, weights, nothing, lacking, rounding, np.zeros(q), moments, scores, closed=not lacking)
