"""What is known of two sets of states beyond those that are stored: which are finite, and what bounds jumps there."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from fsp.equilibrium.reachability import Reachability
from fsp.model.ranges import last_count
from fsp.moments.lyapunov import costly_condition
from fsp.moments.polynomial import degree, plus, power, scaled
from fsp.moments.rates import rates

if TYPE_CHECKING:
    from fsp.arrays import IntArray
    from fsp.model import Model
    from fsp.moments.lyapunov import DriftCondition
    from fsp.moments.polynomial import Polynomial
    from fsp.passages.targets import Targets

PAID_MARGIN = Fraction(1, 10**9)  # relative, of what is paid for, above the rounding of the function that pays
MOST_STORED = 100_000  # states of a box in which a set is looked for; chosen
SCALES = (1000, 30, 1)  # of a drift condition that is to pay for all jumps: the first excepts fewest states; chosen


def members(model: Model, targets: Targets, j: int) -> IntArray | None:
    """Return all states in which target j holds and that may be reached, (k, d); None where they may be many."""
    tree = targets.trees[j]
    if tree is None:
        return None
    reach = Reachability(model)
    largest = np.where(reach.made(model.initial_states), model.species_bounds, 0.0)  # (d,)
    lasts = [last_count(tree, name) for name in model.species]
    limits = [
        largest_total if last is None else min(last, largest_total)
        for last, largest_total in zip(lasts, largest.tolist(), strict=True)
    ]
    if not prod(limit + 1.0 for limit in limits) <= MOST_STORED:
        return None
    sides = np.meshgrid(*(np.arange(int(limit) + 1) for limit in limits), indexing="ij")
    states = np.stack([side.ravel() for side in sides], axis=1).astype(np.int64)  # (k, d)
    states = states[targets.holds(j, states)]
    met: IntArray = states[reach.possible(states, model.initial_states)]
    return met


def all_jumps(model: Model) -> Polynomial | None:
    """Return a polynomial above the sum of all propensities; None where there is none."""
    laws = [rate.upper for rate in rates(model, 0.0, model.species_bounds)]
    return None if any(law is None for law in laws) else plus(*(law for law in laws if law is not None))


def paying(
    model: Model, condition: DriftCondition, cost: Polynomial | None, before: DriftCondition | None = None
) -> DriftCondition | None:
    """Return f >= 0 with a drift of at most -cost outside finitely many states; None if none is found.

    The cost may be a multiple of a function that was found `before`, whose size is then the unit.
    """
    if cost is None or condition.centre.any():
        return None
    unit = Fraction(1)
    if before is not None:
        unit = max(before.function.values()) / max(condition.function.values())
    for exponent in range(1, degree(cost) + 2):  # costs of the degree of a power, or of one more, are paid for by it
        function = power(condition.function, exponent, model.n_species)
        for scale in SCALES:
            multiple = scaled(function, Fraction(scale) / Fraction(condition.elsewhere))
            paid = costly_condition(model, multiple, scaled(cost, 1 / unit))
            if paid is not None:
                size = float(unit)
                function = scaled(paid.function, unit)
                return replace(paid, function=function, drifts=paid.drifts * size, elsewhere=paid.elsewhere * size)
    return None
