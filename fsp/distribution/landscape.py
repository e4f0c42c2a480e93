"""The landscape -ln p of a distribution over one or two species: its minima, the saddles between them, barriers.

States are neighbours that differ by at most one in each species.  The height that has to be climbed between two states
is -ln of the largest probability b below which no way between them falls: the maximum over ways of the minimum of p.
b grows with each p, so that with bounds l <= p <= u of stored states

(1) b(l) <= b(p) <= max(b(u), G), where G bounds the probability of each state that is not stored.

A minimum counts where ``u of its saddle < l``, so that some state near it lies in a basin of its own for sure.  Minima
of parts that no stored way joins to the deepest one are not compared with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.arithmetic import SUM_ROUNDING, half_sums, missing_from
from fsp.distribution import doors
from fsp.distribution.ledger import Interval
from fsp.errors import ArgumentError

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Basin:
    """A minimum of the landscape.

    Parameters
    ----------
    state
        Its counts.
    level
        -ln p there.
    saddle
        The state at which the way to a deeper minimum is highest; None for the deepest one.
    into
        That minimum; None for the deepest one.
    barrier
        Height of the saddle above the minimum, ln p(minimum) - ln p(saddle); infinite for the deepest one.
    """

    state: tuple[int, ...]
    level: Interval
    saddle: tuple[int, ...] | None
    into: tuple[int, ...] | None
    barrier: Interval


@dataclass(frozen=True, slots=True, eq=False)
class Landscape:
    """-ln p with bounds.

    Parameters
    ----------
    species
        (d,) names, one or two.
    states
        (n, d) stored states.
    lower, upper
        (n,) bounds of -ln p; infinite above where p may be zero.
    value
        (n,) best values.
    basins
        Minima that the error does not hide, the deepest first.
    certified
        Whether the bounds are proved.
    """

    species: tuple[str, ...]
    states: IntArray
    lower: FloatArray
    upper: FloatArray
    value: FloatArray
    basins: tuple[Basin, ...]
    certified: bool = True

    def plot(self, *, ax: Any = None) -> Any:
        """Draw the landscape with its minima and saddles."""
        return doors.landscape(self, ax)

    def __str__(self) -> str:
        lines = [f"landscape of {', '.join(self.species)}: {len(self.basins)} minima"]
        for basin in self.basins:
            line = f"  ({self._named(basin.state)}): -ln p {basin.level}"
            if basin.saddle is not None and basin.into is not None:
                line += f", barrier {basin.barrier} at ({self._named(basin.saddle)})"
                line += f" towards ({self._named(basin.into)})"
            lines.append(line)
        return "\n".join(lines)

    def _named(self, state: tuple[int, ...]) -> str:
        return ", ".join(f"{name}={count}" for name, count in zip(self.species, state, strict=True))


class HasLandscape:
    """A distribution, whose landscape can be asked for."""

    species: tuple[str, ...]

    def landscape(self, *species: str) -> Landscape:
        """Return -ln p over one or two species, with minima, saddles and barrier heights.

        Parameters
        ----------
        species
            The names; may be left out where there are no more than two.

        Returns
        -------
        Landscape
            Its `basins` are the minima that the error does not hide, each with its saddle and barrier, an `Interval`.

        Raises
        ------
        ArgumentError
            If a species is unknown, or there are more than two.

        Examples
        --------
        >>> import fsp
        >>> model = fsp.Model(species={"X": "poisson(4.5)"}, reactions=[fsp.Reaction("X -> 0", mass_action=0.0)])
        >>> fsp.transient(model, [0.0])[-1].landscape("X").basins[0].state
        (4,)
        """
        names = species or self.species
        if len(names) > 2:
            raise ArgumentError(f"`species` must be one or two names for a landscape, but are {', '.join(names)}.")
        alone: Any = self
        return landscape_of(alone if names == self.species else alone.marginal(*names))


def landscape_of(distribution: Any) -> Landscape:
    """Return the landscape of a distribution over one or two species."""
    stored = distribution.probabilities > 0.0
    states, p = distribution.states[stored], distribution.probabilities[stored]
    lower, upper = distribution.lower[stored], distribution.upper[stored]
    outside = half_sums(distribution.error.total, *missing_from(distribution.probabilities, SUM_ROUNDING))[0]
    certified = distribution.error.certified
    with np.errstate(divide="ignore"):
        ends = -np.log(upper) * (1.0 - SUM_ROUNDING), -np.log(lower) * (1.0 + SUM_ROUNDING)
    edges = _neighbours(states)
    merges = _merges(edges, p)
    basins = [_deepest(states, p, lower, upper, certified)]
    for peak, saddle, into in merges:
        least, greatest = _ways(edges, lower, (peak, into)), max(_ways(edges, upper, (peak, into)), outside)  # (1)
        if not greatest < lower[peak]:
            continue
        barrier = _height(
            lower[peak] / greatest, upper[peak] / least if least else math.inf, p[peak] / p[saddle], certified
        )
        level = _height(1.0 / upper[peak], 1.0 / lower[peak], 1.0 / p[peak], certified)
        basins.append(Basin(_state(states, peak), level, _state(states, saddle), _state(states, into), barrier))
    return Landscape(distribution.species, states, ends[0], ends[1], -np.log(p), tuple(basins), certified)


def _deepest(states: IntArray, p: FloatArray, lower: FloatArray, upper: FloatArray, certified: bool) -> Basin:
    peak = int(np.argmax(p))
    least = 1.0 / lower[peak] if lower[peak] else math.inf
    level = _height(1.0 / upper[peak], least, 1.0 / p[peak], certified)
    return Basin(_state(states, peak), level, None, None, Interval(math.inf, math.inf, math.inf, certified))


def _height(low: float, high: float, value: float, certified: bool) -> Interval:
    """Return the interval of a logarithm, rounded outwards."""
    slack = 8.0 * SUM_ROUNDING
    ends = math.log(low) - slack, math.log(high) + slack if math.isfinite(high) else math.inf
    return Interval(*ends, min(max(math.log(value), ends[0]), ends[1]), certified)


def _state(states: IntArray, place: int) -> tuple[int, ...]:
    return tuple(states[place].tolist())


def _neighbours(states: IntArray) -> IntArray:
    """Return pairs of places of neighbours among sorted states (n, d), (m, 2)."""
    low, size = states.min(axis=0) - 1, np.ptp(states, axis=0) + 3
    keys = np.ravel_multi_index(tuple((states - low).T), tuple(size.tolist()))  # (n,), rising
    pairs = []
    for step in product((-1, 0, 1), repeat=states.shape[1]):
        if step <= (0,) * states.shape[1]:
            continue  # each pair once
        ends = np.ravel_multi_index(tuple((states - low + np.array(step)).T), tuple(size.tolist()))
        place = np.minimum(np.searchsorted(keys, ends), len(keys) - 1)
        here = np.flatnonzero(keys[place] == ends)
        pairs.append(np.stack([here, place[here]], axis=1))
    edges: IntArray = np.concatenate(pairs)
    return edges


class _Sets:
    """Sets of states that are joined, each known by its most probable one."""

    def __init__(self, values: FloatArray) -> None:
        self._parent, self._values = list(range(len(values))), values

    def top(self, place: int) -> int:
        """Return the most probable state of the set of a state."""
        while self._parent[place] != place:
            self._parent[place] = self._parent[self._parent[place]]
            place = self._parent[place]
        return place

    def join(self, first: int, second: int) -> tuple[int, int]:
        """Join the sets of two states; return their tops, the lower one first."""
        tops = sorted((self.top(first), self.top(second)), key=lambda k: (self._values[k], -k))
        self._parent[tops[0]] = tops[1]
        return tops[0], tops[1]


def _falling(edges: IntArray, values: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return edges (m, 2) by the smaller of the values (n,) at their ends, from the largest on, and these."""
    lowest = values[edges].min(axis=1)
    order = np.argsort(-lowest, kind="stable")
    return edges[order], lowest[order]


def _merges(edges: IntArray, p: FloatArray) -> list[tuple[int, int, int]]:
    """Return each local maximum of p but the largest, the saddle on the way to a larger one, and that one."""
    sets, merges = _Sets(p), []
    for first, second in _falling(edges, p)[0].tolist():
        if sets.top(first) == sets.top(second):
            continue
        saddle = first if p[first] < p[second] else second
        lower, higher = sets.join(first, second)
        if lower != saddle:
            merges.append((lower, saddle, higher))
    return sorted(merges, key=lambda merge: -p[merge[0]])


def _ways(edges: IntArray, values: FloatArray, ends: tuple[int, int]) -> float:
    """Return the largest value below which no state of some way between two states falls; 0 where there is no way."""
    sets = _Sets(values)
    ordered, lowest = _falling(edges, values)
    for (first, second), value in zip(ordered.tolist(), lowest.tolist(), strict=True):
        sets.join(first, second)
        if sets.top(ends[0]) == sets.top(ends[1]):
            return float(value)
    return 0.0
