"""The states that derivatives are computed on from the beginning, by the law at late times, which is found first.

A block of vectors is advanced again on every space that turns out too small, and for a shorter time on each that has
grown.  Where the law at the end holds the states of the way there, its space does for all of it, at the price of p
alone.  It is a guess: what leaves it is charged as ever, and the space grows where that is too much.
"""

from __future__ import annotations

import math
import warnings
from fractions import Fraction
from typing import TYPE_CHECKING

from fsp.errors import ConvergenceError, StateSpaceError, ToleranceWarning
from fsp.moments import moment_bounds
from fsp.projection.transient import solve
from fsp.space import StateSpace

if TYPE_CHECKING:
    from fsp.arrays import IntArray
    from fsp.inference.problem import Limits
    from fsp.model import Model

# Jumps at the first rates by the end, from which on that is worth it, and beyond which runs are refused, or too long
# for it to matter.  Chosen: toggle2d to t = 10 has 600.
JUMPS = 200.0, 1e7
# Times the loss, of the law that is found first: the space of toggle2d loses a tenth of it on the way, and with 1 it is
# a fifth larger.
LOOSER = 4.0
WIDER = 1.25  # how many more states the law may have had halfway, and at the end, together; chosen


def space_at_the_end(model: Model, begun: IntArray, duration: float, loss: float, limits: Limits) -> StateSpace | None:
    """Return the states of the law halfway and at the end; None where they are not found, or are not those between.

    They are not where the law at the end lacks many of halfway, or one that the way begins in, `begun` (n, d).
    """
    if model.is_time_dependent:
        return None
    jumps = float(model.propensities(model.initial_states).sum(axis=0).max()) * duration
    if not JUMPS[0] <= jumps <= JUMPS[1] or _leaves_its_beginning(model, begun, duration, loss):
        return None
    try:
        with warnings.catch_warnings():  # a law that is nearly as good will do
            warnings.simplefilter("ignore", ToleranceWarning)
            laws = solve(
                model,
                [0.5 * duration, duration],
                LOOSER * loss,
                max_states=limits.max_states,
                max_memory=limits.max_memory,
                max_work=limits.max_work,
            )
    except (StateSpaceError, ConvergenceError):
        return None
    parts = [StateSpace.from_states(model.species, law.states) for law in laws]
    space = parts[0].union(parts[1])
    goes_elsewhere = len(space) > WIDER * max(map(len, parts)) or bool((space.index(begun) < 0).any())
    return None if goes_elsewhere else space


def _leaves_its_beginning(model: Model, begun: IntArray, duration: float, loss: float) -> bool:
    """Guess by means and variances of counts, where known, whether the law at the end lacks states of `begun`.

    Its tails are taken to fall as a Gaussian's below, and as a geometric law's above.  The law would be found in vain
    then: a tenth of the work for births and deaths from 0 to 100.
    """
    if loss >= 1.0:
        return False
    bounds = moment_bounds(model, duration).bounds
    falls = -math.log(loss)  # by which the logarithm of the law is lower where its states end
    for s in range(model.n_species):
        first, second = (tuple(power * (s == i) for i in range(model.n_species)) for power in (1, 2))
        mean, square = bounds.mean({first: Fraction(1)}), bounds.mean({second: Fraction(1), first: Fraction(1)})
        if mean is None or square is None:
            return False
        deviation = math.sqrt(max(square[1] - mean[0] ** 2, 0.0))
        low, high = mean[0] - math.sqrt(2.0 * falls) * deviation, mean[1] + falls * deviation
        if (begun[:, s] < low).any() or (begun[:, s] > high).any():
            return True
    return False
