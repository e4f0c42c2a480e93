"""What cells of one time contribute to a log-likelihood, all together and each.

With y_z <= p_z as in `fsp.inference.likelihood`, what is missing, d_z, adds up to at most δ over all z, so that with
n_z cells

(1)  0  <=  Σ_z n_z log(p_z / y_z)  <=  min( Σ_z n_z log(1 + δ/y_z),  δ max_z n_z/y_z ) .

Where probabilities are known up to a part of themselves and an absolute rest that adds up to at most G over all z
(`fsp.inference.statewise`; from above the part is exp(E) - 1), G counts with δ in (1), and from below, as -log(1 - g)
is convex, at most in one cell:

(2)  Σ_z n_z log(p_z / y_z)  >=  min_z n_z log(1 - G/y_z) .

Each z alone may lack all of δ, and G:

(3)  log(y_z - G)  <=  log p_z  <=  log(y_z + δ + G) .

References
----------
Z. Fox, G. Neuert, B. Munsky, Finite state projection based bounds to compare chemical master equation models using
single-cell data, J. Chem. Phys. 145 (2016) 074101, doi:10.1063/1.4960505.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import SUM_ROUNDING, UNIT_ROUNDOFF, dot, sum_down, sum_up
from fsp.distribution import Interval
from fsp.distribution.bounds import ESTIMATED_START
from fsp.inference.observation_channel import Gathered

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.distribution.counts import Counts
    from fsp.inference.instruments import Instrument
    from fsp.inference.problem import Reached

LOG_ROUNDING = 8.0 * UNIT_ROUNDOFF  # of a logarithm, and of the sums and products in its argument: chosen with room


@dataclass(frozen=True, slots=True, eq=False)
class Contribution:
    """What the cells of one time contribute."""

    together: Interval  # of all cells, in nats
    logs: FloatArray  # (2, m) bounds of log p for each of the counts that were met
    impossible: list[str]  # cells without probability, in words


def contribution(reached: Reached, counts: Counts, i: int, instruments: Sequence[Instrument]) -> Contribution:
    """Return what the cells of one time contribute, (1) to (3)."""
    gathered = Gathered.of(reached.distribution, counts.observed)
    seen = gathered.sight(counts.values[i], instruments)
    y, n = seen.weights @ gathered.sums(reached.distribution.probabilities), counts.cells[i]
    off = reached.relative + seen.relative + SUM_ROUNDING
    absolute = reached.absolute
    low = np.maximum((1.0 - min(off, 1.0)) * y - absolute, 0.0)
    above = math.exp(off) * y * (1.0 + 2.0 * UNIT_ROUNDOFF)
    high, more = above + absolute, reached.lacking + seen.absolute
    with np.errstate(divide="ignore"):
        lower, stored = np.log(low), np.log(np.minimum(high, 1.0))
        upper = np.log(np.minimum(high + more, 1.0))
    largest_logs = np.where(low > 0.0, np.abs(lower), np.where(np.isfinite(stored), np.abs(stored), 0.0))
    noise = (SUM_ROUNDING + LOG_ROUNDING) * float(dot(n, largest_logs))
    at_most = float(dot(n, upper))
    if (low > 0.0).all():  # what each may lack adds up to δ
        weighted = float((n / above).max()) * (reached.lacking + absolute) + float((n / above).sum()) * seen.absolute
        at_most = min(at_most, float(dot(n, np.log(np.minimum(above, 1.0)))) + weighted)
    t = float(counts.times[i])
    largest = more + absolute
    texts = [
        f"a cell with {', '.join(f'{a} = {b}' for a, b in zip(counts.observed, z, strict=True))} at t = {t:g} has "
        f"{f'no probability above {largest:.1e}' if largest else 'the probability zero'}"
        for z in counts.values[i][low == 0.0].tolist()
    ]
    at_least = float(dot(n, lower))
    if (low > 0.0).all():  # (2)
        relative = (1.0 - min(off, 1.0)) * y
        at_least = max(at_least, float(dot(n, np.log(relative))) + float((n * np.log(low / relative)).min()))
    best = max(at_least, at_most)
    reason = "" if reached.distribution.error.certified else ESTIMATED_START
    interval = Interval(sum_down(at_least, -noise), sum_up(best, noise), best, not reason, reason)
    logs = np.stack([lower, np.minimum(upper, 0.0)]) * [[1.0 + LOG_ROUNDING], [1.0 - LOG_ROUNDING]]  # (3)
    logs += [[-LOG_ROUNDING], [LOG_ROUNDING]]
    return Contribution(interval, logs, texts)
