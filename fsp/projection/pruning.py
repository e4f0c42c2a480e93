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
    from fsp.arrays import BoolArray, FloatArray, IntArray
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
    order = np.argsort(present, kind="stable")
    most = int(np.searchsorted(np.cumsum(present[order]), mass, side="right"))
    number = _largest_below(generator, present, order, most, INFLOW_SHARE * outflow_rate)
    dropped = order[:number]
    kept = np.ones(len(p), dtype=np.bool_)
    kept[dropped] = False
    if wanted is not None:
        kept |= wanted
    return Pruning(kept)


def _largest_below(generator: Generator, present: FloatArray, order: IntArray, most: int, allowed: float) -> int:
    """Return how many of the first `most` states in `order` can go so that the flux into them is at most `allowed`."""
    low, high = 0, most
    for _ in range(BISECTIONS + 1):
        if high - low <= max(1, most >> BISECTIONS):
            break
        middle = high if low == 0 and high == most else (low + high) // 2
        staying = present.copy()
        staying[order[:middle]] = 0.0
        inflow = float((generator @ staying)[order[:middle]].sum())
        if inflow <= allowed:
            low = middle
            if middle == most:
                break
        elif middle == most:
            high = most - 1
        else:
            high = middle
    return low
