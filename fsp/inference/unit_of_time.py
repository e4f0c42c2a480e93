"""Which units of time leave single probabilities their digits.

An operation on numbers near the least double, ``u = 2^-1074``, misses up to u.  Of ``z + (A z)/Λ`` that is at most
u max(Λ, 1/Λ) of each entry but for a factor of the number of jumps; so that all products up to a time T, Λ T of them or
one, miss

(1)  u Λ N  where Λ >= 1,   u T  where Λ < 1,

N being the number of products and entries.  With Λ and T up to `LARGEST` and N up to 10^20 that is below 1e-160, while
bounds tell probabilities that are relative to themselves from 1e-67 on.
"""

from __future__ import annotations

from fsp.errors import ConvergenceError
from fsp.solvers.stepping import FASTER_UNIT

LARGEST = 1e140  # of (1), in 1/time and in time; squares of both are doubles as well
# Time where rates depend on it: its powers up to `CLOCK_DEGREE` of `fsp.inference.on_step`, 13, are doubles.
LATEST_CHANGING = 1e20
SLOWER_UNIT = "measure time in a larger unit: multiply all rates by a number, and divide the times by it"


def require_normal(rate: float, end: float, *, changing: bool = False) -> None:
    """Refuse exit rates and times with which products underflow, (1), or powers overflow.

    `changing` says whether rates depend on time.
    """
    if rate > LARGEST:
        raise ConvergenceError(
            f"Exit rates must be at most {LARGEST:.0e} where single probabilities or derivatives are bounded, but one "
            f"is {rate:.3g}; {FASTER_UNIT}."
        )
    latest, when = (LATEST_CHANGING, ", and rates depend on time") if changing else (LARGEST, "")
    if end > latest:
        raise ConvergenceError(
            f"Times must be at most {latest:.0e} where single probabilities or derivatives are bounded{when}, but one "
            f"is {end:.3g}; {SLOWER_UNIT}."
        )
