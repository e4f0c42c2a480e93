"""Errors of the derivatives of a stationary distribution, weighted with a function of the state.

With what `fsp.equilibrium.response` says of s - h, for a function λ >= 0 of the state and any V with ``Aᵀ V <= -λ`` but
at z, where it is zero, as ``V = H sup λ`` is outside, and as the smaller of that and of another such V is inside,

(4)  |Σ λ (s - h)|  <=  Σ_x |r(x)| V(x) + Σ_x |m(x)| Σ_r |∂a_r(x)| (V(x) + V(x + ν_r)) + (Σ |o| + |Σ h|) Σ λ π .

So a λ that is large in few states that are hardly met counts little.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import ROUNDED_UP, SUM_ROUNDING, UNIT_ROUNDOFF
from fsp.equilibrium.certificate import roundings
from fsp.equilibrium.response import Changes, Heights, Response, StoredLaw, matrix_of
from fsp.space.space import successors

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.generator import Generator

# Of the largest cost, below which each counts as so much; and by which V is raised, so that rounding does not show.
COSTS_FLOOR, COSTS_ABOVE = 1e-9, 1e-3


def weighted_errors(
    law: StoredLaw, response: Response, changes: Sequence[Changes], weights: tuple[FloatArray, float, float]
) -> FloatArray:
    """Return (4) for each parameter, (q,); infinite where no V is found.

    `weights` bound λ in the stored states (n,) and everywhere, and its mean.
    """
    (inside, outside, mean), y, space, heights = weights, law.y, law.space, response.heights
    h, errors = response.derivatives, response.errors
    if heights is None:
        return errors * outside
    generator = heights.generator
    V = _above_costs(generator, heights, inside, outside)
    if V is None:
        return np.full(len(h), np.inf)
    index = successors(space, law.model.change)
    elsewhere = [outside * heights.at(space.states + change) for change in law.model.change]
    at = [np.where(place >= 0, V[place], far) for place, far in zip(index, elsewhere, strict=True)]
    matrix, of_rates = generator.to_csr(), roundings(generator) + 8.0 * UNIT_ROUNDOFF
    totals = np.zeros(len(h))
    for k, row in enumerate(h):
        B = matrix_of([of_change.values[k] for of_change in changes], index, len(y))
        rest = np.abs(matrix @ row + B @ y) + of_rates * (abs(matrix) @ np.abs(row) + abs(B) @ y)
        totals[k] = float(rest @ V) + outside * heights.leaked(np.abs(row))
        of_lacking = np.zeros(len(y))
        for of_change, place, above in zip(changes, index, at, strict=True):
            size = np.abs(of_change.values[k]) + of_change.off[k]
            totals[k] += float((size * above)[place < 0] @ y[place < 0]) + float((of_change.off[k] * (V + above)) @ y)
            of_lacking += size * (V + above)
        totals[k] += law.largest_sum(of_lacking)
        totals[k] += 0.0 if law.closed else outside * heights.beyond(law, [of_change.above[k] for of_change in changes])
    bounds: FloatArray = totals * ROUNDED_UP + (errors + SUM_ROUNDING * np.abs(h).sum(axis=1)) * mean
    return bounds


def _above_costs(generator: Generator, heights: Heights, inside: FloatArray, outside: float) -> FloatArray | None:
    """Return V of (4), (n,), zero at z; None where rounding hides that it is one.

    From outside jumps lead to the stored states: there V may not be above ``H sup λ``, however little.
    """
    source = np.maximum(inside, COSTS_FLOOR * float(inside.max(initial=0.0)))
    for leak in generator.leaks:
        targets = generator.space.states_at(leak.sources) + leak.change
        np.add.at(source, leak.sources, leak.rates * outside * heights.at(targets))
    V = np.maximum(heights.system.solve_adjoint(source), 0.0) * (1.0 + COSTS_ABOVE)
    V[heights.z] = 0.0
    matrix = generator.to_csr().T.tocsr()
    drift = matrix @ V + source + roundings(generator) * (abs(matrix) @ V + source)
    drift[heights.z] = 0.0
    return np.minimum(V, outside * heights.inside) if np.isfinite(V).all() and (drift <= 0.0).all() else None
