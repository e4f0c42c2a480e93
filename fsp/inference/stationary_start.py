"""The stationary distribution as a start, and its derivatives with their errors; see `fsp.equilibrium.response`."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import ROUNDED_UP, SUM_ROUNDING, dot
from fsp.equilibrium.response import Changes, Response, StoredLaw, respond
from fsp.equilibrium.weighted_response import weighted_errors
from fsp.inference.beginning import Beginning, Missing, StartProof, StartScores
from fsp.inference.clock_terms import terms_of
from fsp.inference.derived import slopes_on
from fsp.inference.envelopes import size
from fsp.inference.statewise import Known, split, weight_of
from fsp.model.accuracy import errors
from fsp.moments.polynomial import collect
from fsp.projection.start import with_first_rates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import BoolArray, FloatArray
    from fsp.inference.parameters import Derivatives
    from fsp.inference.problem import Limits
    from fsp.model import Model
    from fsp.model.tree import Expression
    from fsp.moments.part_moments import Gauge
    from fsp.moments.polynomial import Polynomial
    from fsp.space import StateSpace

# Of the tolerance: for the states that bound how much comes back into those that are kept; of what is dropped of them.
RETURNING, DROPPED_OF_START = 1e-6, 0.1
# For what states the law of a log-likelihood is solved, where rates depend on time: a gradient that takes it needs so
# little lacking.  Of the STL1 model that is 1,130 states in place of 1,096.
LATER = 1e-26


def stationary(
    model: Model,
    slopes: Derivatives,
    tol: float,
    limits: Limits,
    law: StoredLaw | None = None,
) -> Beginning:
    """Return the stationary distribution of the rates at time zero, and its derivatives.

    `law` is that of an earlier run of the same network, which is taken where it lacks next to nothing of `tol`.
    """
    frozen = with_first_rates(model)
    q = len(slopes.names)
    below = not q and not model.is_time_dependent  # lower bounds lose some hundred times the error of all together
    single = model.is_time_dependent  # then what is off stays in the space, or is known as a part of each probability
    tol_of_law = RETURNING * tol if single else tol
    if single and not q:
        tol_of_law = min(tol_of_law, LATER)
    if law is None or not single or law.outside > RETURNING * tol:
        law = StoredLaw.of(frozen, tol_of_law, limits.max_states, limits.max_memory, below=below, report=limits.report)
    states = law.space.states
    first, largest = slopes.at(0.0), model.species_bounds
    changes = [
        Changes(*slopes_on(frozen, states, r, first), [_above(model, row[r], largest) for row in slopes.trees])
        for r in range(model.n_reactions)
    ]
    response = respond(law, changes) if q else Response(np.zeros((0, len(states))), np.zeros(0), law.proved)

    scores = _scores(law, response)
    known = Known(0.0, 0.0 if below or (q and not law.closed) else law.total)  # y may lie above
    lacking, errors = law.total if q or below else law.outside, np.stack([response.errors, _estimates(response)])
    kept = np.ones(len(states), dtype=np.bool_)
    each = split(law.apart, law.y, weight_of(tol)) if law.proved else Known(0.0, law.total)
    if single and law.proved:
        known = Known(0.0, law.total) if q else each
        kept = _needed(law.y, response.derivatives, DROPPED_OF_START * tol)
        lacking = law.outside + float(law.y[~kept].sum()) * (1.0 + SUM_ROUNDING)
        errors = errors + np.abs(response.derivatives[:, ~kept]).sum(axis=1) * (1.0 + SUM_ROUNDING)

    error = law.distribution.error
    best = error.total > tol or error.rounding > 0.5 * error.total
    return Beginning(
        states[kept],
        law.y[kept],
        response.derivatives[:, kept],
        lacking,
        known,
        errors[0],
        _missing(law, response, changes, kept, each),
        scores,
        law.closed and bool(kept.all()),
        proof=StartProof(law.proved, response.proved, errors[1]),
        at_its_best=best,
        spread=True,
    )


def _estimates(response: Response) -> FloatArray:
    return response.errors if response.estimates is None else response.estimates


def _missing(law: StoredLaw, response: Response, changes: Sequence[Changes], kept: BoolArray, each: Known) -> Missing:
    """Return what is off, of those of the stored states that are `kept`, (n,)."""
    states = law.space.states

    def moments(gauge: Gauge) -> FloatArray:
        return law.moments(gauge.powers, gauge.weights, gauge.orders)

    def lacking_moments(gauge: Gauge) -> FloatArray:
        dropped = dot(gauge.powers(states[~kept]), law.y[~kept]) * (1.0 + SUM_ROUNDING)
        return np.asarray(law.moments_outside(gauge.weights, gauge.orders) + dropped)

    def weighted(space: StateSpace, inside: FloatArray, outside: float, mean: float) -> FloatArray:
        """Bound |Σ λ (s - h)| by bounds of λ in the states of a space (n,), elsewhere, and of its mean under π."""
        place = space.index(states)
        bounds = np.where(place >= 0, inside[place], outside)
        known = response.errors * outside
        dropped = dot(np.abs(response.derivatives[:, ~kept]), bounds[~kept]) * (1.0 + SUM_ROUNDING)
        if response.heights is not None:
            known = np.minimum(known, weighted_errors(law, response, changes, (bounds, outside, mean)))
        return np.asarray(known + dropped)

    return Missing(each, moments, weighted=weighted, of_lacking=lacking_moments, law=law)


def _needed(y: FloatArray, h: FloatArray, dropped: float) -> BoolArray:
    """Return which states are kept, (n,), where others hold no more than `dropped`, of y and of each of h (q, n)."""
    held = np.maximum(y, np.abs(h).max(axis=0, initial=0.0))
    order = np.argsort(held)
    kept = np.ones(len(y), dtype=np.bool_)
    kept[order[np.cumsum(held[order]) <= dropped]] = False
    return kept


def _above(model: Model, tree: Expression, largest: FloatArray) -> Polynomial | None:
    """Return a polynomial above the derivative of a rate at time zero; None where none is known."""
    terms: list[tuple[tuple[int, ...], Fraction]] = []
    for clock, rest in terms_of(model, tree):
        value, off = map(float, errors(clock, {}, 0.0))
        polynomial = size(model, rest, largest)
        if polynomial is None and abs(value) + off > 0.0:
            return None
        terms += [(alpha, c * Fraction(abs(value) + off)) for alpha, c in (polynomial or {}).items()]
    return collect(terms)


def _scores(law: StoredLaw, response: Response) -> StartScores:
    """Return Σ s²/p; from above where all states are stored, by what h, p and their quotients may be off."""
    y, h, e = law.y, response.derivatives, response.errors
    divisor = np.where(y > 0.0, y, 1.0)
    stored = np.where(y > 0.0, h**2 / divisor, 0.0)  # (q, n)
    least = float((y - law.apart).min())
    if not law.closed or least <= 0.0:
        return StartScores(stored, np.zeros(len(h)), np.where(e + np.abs(h).sum(axis=1) > 0.0, np.inf, 0.0))
    steepest = (np.abs(h) / (y - law.apart)).max(axis=1)  # (q,)
    off = 2.0 * steepest * e + e**2 / least + steepest**2 * law.total
    off = off * ROUNDED_UP + 8.0 * SUM_ROUNDING * stored.sum(axis=1)
    return StartScores(stored, off, stored.sum(axis=1) + off)
