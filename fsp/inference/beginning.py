"""p and its derivatives when a run begins, and bounds of their errors.

Stored probabilities are lower bounds, so that m = p - y >= 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fsp.arithmetic import SUM_ROUNDING, UNIT_ROUNDOFF
from fsp.errors import ModelError
from fsp.inference.statewise import Known
from fsp.model.accuracy import errors
from fsp.model.tree import ZERO
from fsp.moments.initial import OVER_LACKING, KnownDistribution

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.equilibrium.response import StoredLaw
    from fsp.inference.parameters import Derivatives
    from fsp.model import Model
    from fsp.moments.part_moments import Gauge
    from fsp.space import StateSpace

SCORE_ROUNDING = 4.0 * UNIT_ROUNDOFF  # relative: of a score times a probability


@dataclass(frozen=True, slots=True, eq=False)
class StartScores:
    """Squares of the derivatives of log p at the start."""

    stored: FloatArray  # s_k² / p, (q, n)
    off: FloatArray  # what sums of them may be off, (q,)
    information: FloatArray  # upper bounds of their sums over all states, (q,)


class Missing(NamedTuple):
    """Moments of what is off, by functions u of a gauge, and what is known of each of y beside what it lacks."""

    each: Known
    of_p: Callable[[Gauge], FloatArray]  # Σ m u^q, (n_orders,)
    of_derivatives: Callable[[Gauge], FloatArray] | None = None  # Σ |e_k| u, (q,); None where nothing is known
    weighted: Callable[[StateSpace, FloatArray, float, float], FloatArray] | None = None  # see `stationary_start`
    of_lacking: Callable[[Gauge], FloatArray] | None = None  # as `of_p`, of what `each` leaves; None where that is m
    law: StoredLaw | None = None  # that is known so, where it is stationary


class StartProof(NamedTuple):
    """What is proved of a start."""

    of_law: bool = True  # whether it lacks no more than is said
    of_errors: bool = True  # whether errors of derivatives are bounds
    estimates: FloatArray | None = None  # of errors that nothing bounds, (q,); None where there are none


PROVED = StartProof()


@dataclass(frozen=True, slots=True, eq=False)
class Beginning:
    """A start, on states of its own."""

    states: IntArray  # (n, d)
    probabilities: FloatArray  # y <= p, (n,)
    derivatives: FloatArray  # h, (q, n)
    lacking: float  # Σ m
    known: Known  # of y beside that: up to a part of each probability, and an absolute rest
    errors: FloatArray  # of h, in the 1-norm, (q,)
    moments: Missing
    scores: StartScores
    closed: bool  # whether all states that p lives on lead nowhere else than the stored ones do
    proof: StartProof = PROVED
    at_its_best: bool = False  # whether nothing would make the errors smaller
    spread: bool = False  # whether it is another one than that of the model

    @property
    def bounds(self) -> FloatArray:
        """Bounds of `errors`, (q,); infinite where they are estimates."""
        estimated = np.zeros(len(self.errors)) if self.proof.estimates is None else self.proof.estimates
        return np.where(self.proof.of_law & (estimated == 0.0), self.errors, np.inf)

    @property
    def rounding(self) -> float:
        """What y may be off beside what it lacks, in the 1-norm."""
        return self.known.relative + self.known.absolute

    def on(self, index: IntArray, n: int, *, scores: bool) -> FloatArray:
        """Return the block of a run on n states, `index` (n_start,) being the places of these: (1 + q, n) or more."""
        rows = [self.probabilities[None], self.derivatives, *([self.scores.stored] if scores else [])]
        merged = np.concatenate(rows)
        block = np.zeros((len(merged), n))
        block[:, index] = merged
        return block


def of_model(model: Model, slopes: Derivatives) -> Beginning:
    """Return the start of a model, with its derivatives by what its law depends on."""
    states, weights, lacking = model.initial_states, model.initial_probabilities, model.start_lacks

    def moments(gauge: Gauge) -> FloatArray:
        known = [KnownDistribution(states, weights, part) for part in (lacking, 0.0)]
        above, below = (law.powers(gauge.weights, gauge.orders, 1.0) for law in known)
        return np.maximum(above - below, lacking) if lacking else np.zeros(len(gauge.orders))

    def missing(sizes: FloatArray) -> FloatArray:
        """Bound Σ m f for functions f of the state (q, n), as `fsp.moments.initial` does."""
        largest = sizes.max(axis=1, initial=0.0)
        return np.asarray(OVER_LACKING * lacking * (sizes @ weights + largest), dtype=np.float64)

    rounding = 0.0 if lacking else abs(1.0 - math.fsum(weights.tolist()))
    scores, off = _scores(model, slopes)
    sizes = np.abs(scores)

    def error_moments(gauge: Gauge) -> FloatArray:
        u = gauge.powers(states)[1]  # (n,)
        return np.asarray(missing(sizes * u) + (off * u) @ weights, dtype=np.float64)

    squares = weights * scores**2
    of_squares = missing(scores**2) + (2.0 * sizes * off + off**2) @ weights
    return Beginning(
        states,
        weights,
        weights * scores,
        lacking,
        Known(0.0, rounding),
        missing(sizes) + off @ weights,
        Missing(Known(0.0, rounding), moments, error_moments),
        StartScores(squares, of_squares, squares.sum(axis=1) * (1.0 + SUM_ROUNDING) + of_squares),
        closed=not lacking,
    )


def _scores(model: Model, slopes: Derivatives) -> tuple[FloatArray, FloatArray]:
    """Return the derivatives of log p of the initial states, and what they may be off, (q, n) each."""
    states = model.initial_states
    columns = {name: states[:, s].astype(np.float64) for s, name in enumerate(model.species)}
    values, off = np.zeros((len(slopes.names), len(states))), np.zeros((len(slopes.names), len(states)))
    for k, tree in enumerate(slopes.start):
        if tree != ZERO:
            values[k], off[k] = errors(tree, columns, 0.0)
            off[k] += SCORE_ROUNDING * np.abs(values[k])
    known = (np.isfinite(values) & np.isfinite(off)).all(axis=1)  # (q,)
    if not known.all():
        place = int(np.argmin(known))
        raise ModelError(
            f"The initial law must change smoothly with a parameter, but not so with '{slopes.names[place]}': a mean "
            f"or a probability is at the end of its range."
        )
    return values, off
