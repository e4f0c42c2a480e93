"""Proofs, but for a probability of 1e-12, that no space within the limit can hold a distribution.

An answer with a 1-norm error of at most ε leaves at most ε of the probability out, so that its M states S have
P(S) >= 1 - ε.  Of N independent paths let K end in S, and L = ln(2/δ).

(1) By Hoeffding's inequality ``K < N (1 - ε) - (N L/2)^½`` has a probability of at most δ/2.
(2) Of k independent states with any law on M states all differ with a probability of ``k! e_k(law)``, where e_k is an
    elementary symmetric polynomial: by Maclaurin's inequality at most ``Π_{i<k} (1 - i/M) <= exp(-k (k-1)/(2M))``.
(3) So where all N paths end in different states, and k is the number in (1), ``k (k-1) >= 2 M L`` has a probability of
    at most δ: then more than M states are needed.

Paths are followed to a time at which each has made a few jumps, which does where there are many directions; at any
time of the run its states have to hold as much.

References
----------
W. Hoeffding, J. Amer. Stat. Assoc. 58 (1963) 13, doi:10.1080/01621459.1963.10500830.
D. T. Gillespie, J. Phys. Chem. 81 (1977) 2340, doi:10.1021/j100540a008.
"""

from __future__ import annotations

from math import ceil, log, sqrt
from typing import TYPE_CHECKING

import numpy as np

from fsp.errors import ModelError, StateSpaceError

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.model import Model
    from fsp.projection.growth import Growth
    from fsp.projection.start import Start

DOUBT = 1e-12  # δ
# Species and reactions together, below which a space grows in few directions; chosen, not measured.
MANY_DIRECTIONS = 64
JUMPS = 20  # of the paths that say where the others end; chosen, not measured
LONGEST_WAY = 8  # times as many jumps that one of these may have
PILOTS = 64  # paths that say where the others end, and whether states differ at all
MOST_BYTES = 2**28  # that the counts and rates of all paths may take
SEED = 0  # the same answer each time


def refuse_too_large(growth: Growth, begin: Start, end: float, tol: float) -> None:
    """Raise a StateSpaceError where it is proved that the limit does not allow an answer at `end`."""
    model = begin.model
    if (
        not begin.exact
        or model.events
        or model.is_time_dependent
        or model.n_species + model.n_reactions < MANY_DIRECTIONS
    ):
        return
    n = paths_needed(growth.limit, tol)
    if not n * (model.n_species + 2 * model.n_reactions) * 8 <= MOST_BYTES:
        return
    try:
        duration = _short_enough(model, n, end - begin.t)
    except ModelError:  # of a rate where a path leads, and no space may have to
        return
    if duration is not None:
        raise StateSpaceError(
            f"The tolerance must be met with at most {growth.limit:,} states (`{growth.limited_by}`), but needs more: "
            f"{n:,} sampled paths all end in different states at t = {begin.t + duration:.3g}; raise the limit or the "
            f"tolerance, or sample the network (`fsp.ssa`)."
        )


def _short_enough(model: Model, n: int, longest: float) -> float | None:
    """Return a time after which `n` paths are all in different states; None where none was found."""
    random = np.random.default_rng(SEED)
    states, times = _ends(model, PILOTS, longest, JUMPS, random)
    if len(np.unique(states, axis=0)) < PILOTS:
        return None
    duration = min(longest, float(times.min()))
    states, times = _ends(model, n, duration, LONGEST_WAY * JUMPS, random)
    return duration if (times > duration).all() and len(np.unique(states, axis=0)) == n else None


def paths_needed(limit: int, tol: float) -> int:
    """Return the number of paths, all different, that show by (3) that more than `limit` states are needed."""
    doubt = log(2.0 / DOUBT)
    inside = 1.0 + sqrt(2.0 * limit * doubt)  # k
    margin, share = sqrt(0.5 * doubt), 1.0 - tol
    return ceil(((margin + sqrt(margin * margin + 4.0 * share * inside)) / (2.0 * share)) ** 2)  # (1), solved for N


def _ends(
    model: Model, n: int, duration: float, limit: int, random: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """Sample where `n` paths are after `duration`, or `limit` jumps, (n, n_species), and when they jump next, (n,)."""
    p = model.initial_probabilities
    states = model.initial_states[random.choice(len(p), size=n, p=p / p.sum())]  # (n, n_species)
    times = np.zeros(n)
    going, jumps = np.arange(n), 0
    while len(going) and jumps < limit:
        sums = np.cumsum(model.propensities(states[going]), axis=0)  # (n_reactions, m)
        with np.errstate(divide="ignore"):
            times[going] += random.standard_exponential(len(going)) / sums[-1]
        before = times[going] <= min(duration, np.finfo(float).max)  # also where nothing happens any more
        going, sums = going[before], sums[:, before]
        states[going] += model.change[np.argmax(sums > random.random(len(going)) * sums[-1], axis=0)]
        jumps += 1
    return states, times
