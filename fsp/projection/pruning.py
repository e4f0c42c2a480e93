"""Choose the states that are dropped.

What a dropped state holds is charged to the pruning error at once; what still flows into it from the states that
stay becomes outflow of the smaller space, which the truncation budget must bear from then on.  The states below a
level of probability are dropped, and the level is the highest at which neither allowance is exceeded.  So a rare state
that much probability must pass stays, as its inflow is large; or else the loss shows in the ledger when it passes.

References
----------
B. Munsky, M. Khammash, J. Comput. Phys. 226 (2007) 818; V. Wolf, R. Goel, M. Mateescu, T. Henzinger, Solving the
chemical master equation using sliding windows, BMC Syst. Biol. 4 (2010) 42, doi:10.1186/1752-0509-4-42.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fsp.projection.thresholds import Thresholds

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, FloatArray
    from fsp.generator.base import BaseGenerator

INFLOW_SHARE = 0.02  # of the rate at which probability may leave the space, for what flows into dropped states
BISECTIONS = 7  # of the number of states that are dropped


@dataclass(frozen=True, slots=True, eq=False)
class Pruning:
    """What stays."""

    kept: BoolArray  # mask of the states that stay, (n,)
    share: float  # of all states, that go


def choose(
    generator: BaseGenerator,
    p: FloatArray,
    ahead: FloatArray | None,
    mass: float,
    outflow_rate: float,
    wanted: BoolArray | None = None,
) -> Pruning:
    """Choose the states that are dropped, which hold at most `mass` of the probabilities `p` (n,).

    What `ahead` (n,) needs, probabilities somewhat later, stays, and so does what is `wanted` (n,).  `outflow_rate` is
    that at which probability may leave the space, 1/time.
    """
    space = generator.space
    present = p if ahead is None else np.maximum(p, ahead)
    levels = Thresholds(present, space.comm)
    kept = levels.above(_highest_level(generator, present, levels, mass, INFLOW_SHARE * outflow_rate))
    if wanted is not None:
        kept |= wanted
    return Pruning(kept, 1.0 - float(space.comm.sum(np.count_nonzero(kept))) / len(space))


def _highest_level(
    generator: BaseGenerator, present: FloatArray, levels: Thresholds, mass: float, allowed: float
) -> int:
    """Return the highest level below which at most `mass` lies, and the flux into which is at most `allowed`."""
    low, high = 0, levels.highest(mass)
    close = levels.numbers[high] / 2**BISECTIONS
    level = high  # all of them first: that is often possible
    while low < high:
        stays = levels.above(level)
        inflow = generator.space.comm.sum(float((generator @ np.where(stays, present, 0.0))[~stays].sum()))
        low, high = (level, high) if inflow <= allowed else (low, level - 1)
        if levels.numbers[high] - levels.numbers[low] <= close:
            break
        level = levels.between(low, high)
    return low
