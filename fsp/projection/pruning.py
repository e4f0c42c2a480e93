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

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, FloatArray
    from fsp.generator import Generator

INFLOW_SHARE = 0.2  # of the rate at which probability may leave the space, for what flows into dropped states
BISECTIONS = 7  # of the number of states that are dropped


@dataclass(frozen=True, slots=True, eq=False)
class Pruning:
    """Mask of the states that stay, (n,)."""

    kept: BoolArray

    @property
    def share(self) -> float:
        """Share of the states that go."""
        return 1.0 - np.count_nonzero(self.kept) / len(self.kept)


def choose(
    generator: Generator,
    p: FloatArray,
    ahead: FloatArray | None,
    mass: float,
    outflow_rate: float,
    wanted: BoolArray | None = None,
) -> Pruning:
    """Choose the states that are dropped.

    Parameters
    ----------
    generator
        The generator of the space.
    p
        The probabilities, (n,).
    ahead
        Probabilities somewhat later, (n,), None where they are not known: what they need stays.
    mass
        Probability that may be dropped now.
    outflow_rate
        Rate at which probability may leave the space, 1/time.
    wanted
        States that stay whatever they hold, (n,).
    """
    present = p if ahead is None else np.maximum(p, ahead)
    ordered = np.sort(present)
    most = min(int(np.searchsorted(np.cumsum(ordered), mass, side="right")), len(ordered) - 1)
    kept = present >= _highest_level(generator, present, ordered, most, INFLOW_SHARE * outflow_rate)
    if wanted is not None:
        kept |= wanted
    return Pruning(kept)


def _highest_level(generator: Generator, present: FloatArray, ordered: FloatArray, most: int, allowed: float) -> float:
    """Return the level below which at most `most` states lie, and the flux into them is at most `allowed`."""
    low, high = 0, most
    middle = most  # all of them first: that is often possible
    while low < high:
        stays = present >= ordered[middle]
        inflow = float((generator @ np.where(stays, present, 0.0))[~stays].sum())
        low, high = (middle, high) if inflow <= allowed else (low, middle - 1)
        if high - low <= most >> BISECTIONS:
            break
        middle = (low + high + 1) // 2
    return float(ordered[low])
