"""Committors between two sets of states, the rate of going from one to the other, and by which ways: as values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.distribution import doors
from fsp.distribution.display import Displayed
from fsp.distribution.distribution import Provenance
from fsp.distribution.ledger import Interval
from fsp.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fsp.arrays import FloatArray, IntArray

State = Mapping[str, int] | Sequence[int]


@dataclass(frozen=True, slots=True, eq=False)
class StateFunction:
    """A function of the state with bounds; ``f({"U": 3, "V": 4})`` and ``f([3, 4])`` are an `Interval`.

    Parameters
    ----------
    species
        (d,) names.
    states
        (n, d) states that are stored.
    lower, upper
        (n,) bounds.
    certified
        Whether the exact numbers are proved to lie between the bounds.
    reason
        Why they are not.
    """

    species: tuple[str, ...]
    states: IntArray
    lower: FloatArray
    upper: FloatArray
    certified: bool = True
    reason: str = ""

    def __len__(self) -> int:
        return len(self.states)

    @property
    def value(self) -> FloatArray:
        """(n,) middles of the bounds."""
        middle: FloatArray = 0.5 * (self.lower + self.upper)
        return middle

    def __call__(self, state: State) -> Interval:
        """Return the value at a state, by name or in the order of the species.

        Raises
        ------
        ArgumentError
            If the state is not stored, or lacks a species.
        """
        counts = [state.get(name) for name in self.species] if isinstance(state, Mapping) else list(state)
        if len(counts) != len(self.species) or None in counts:
            raise ArgumentError(f"`state` must give a count for each of {', '.join(self.species)}, but is {state!r}.")
        if not all(count == int(count) >= 0 for count in counts if count is not None):
            raise ArgumentError(f"`state` must hold whole numbers of 0 or more, but is {state!r}.")
        place = np.flatnonzero((self.states == np.asarray(counts)).all(axis=1))
        if not len(place):
            raise ArgumentError(
                f"`state` must be one of the {len(self):,} stored states, but {state!r} is none; lower `tol`, so that "
                f"more are stored."
            )
        ends = float(self.lower[place[0]]), float(self.upper[place[0]])
        return Interval(*ends, 0.5 * sum(ends), self.certified, self.reason)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ReactiveFlux:
    """Probability currents of the ways from A to B, f(x, y) = π(x) q⁻(x) a(x, y) q⁺(y), 1/time.

    Parameters
    ----------
    species
        (d,) names.
    states
        (n, d) stored states.
    sources, targets
        (m,) indices of the states before and after each jump.
    lower, upper
        (m,) bounds of the current of each jump, 1/time.
    certified
        Whether the exact currents are proved to lie between the bounds.
    """

    species: tuple[str, ...]
    states: IntArray
    sources: IntArray
    targets: IntArray
    lower: FloatArray
    upper: FloatArray
    certified: bool = True

    def __len__(self) -> int:
        return len(self.sources)

    def __repr__(self) -> str:
        sign = "" if self.certified else "≈ "
        return (
            f"reactive flux of {', '.join(self.species)}: {len(self):,} jumps among {len(self.states):,} states, "
            f"currents of up to {sign}{float(self.value.max(initial=0.0)):.6g}"
        )

    @property
    def value(self) -> FloatArray:
        """(m,) middles of the bounds, 1/time."""
        middle: FloatArray = 0.5 * (self.lower + self.upper)
        return middle

    @property
    def net(self) -> ReactiveFlux:
        """The effective current f⁺(x, y) = max(f(x, y) - f(y, x), 0), without jumps where it is surely zero."""
        n = len(self.states)
        keys, reverse = self.sources * n + self.targets, self.targets * n + self.sources
        order = np.argsort(keys)
        place = order[np.minimum(np.searchsorted(keys, reverse, sorter=order), max(len(keys) - 1, 0))]
        both = keys[place] == reverse
        back_low = np.where(both, self.lower[place], 0.0)
        back_high = np.where(both, self.upper[place], 0.0)
        lower = np.maximum(np.nextafter(self.lower - back_high, -np.inf), 0.0)
        upper = np.maximum(np.nextafter(self.upper - back_low, np.inf), 0.0)
        kept = self.upper > back_low
        return ReactiveFlux(
            self.species,
            self.states,
            self.sources[kept],
            self.targets[kept],
            lower[kept],
            upper[kept],
            self.certified,
        )

    def along(self, *species: str) -> tuple[IntArray, FloatArray]:
        """Add up the currents over all other species.

        Parameters
        ----------
        species
            Names that are kept.

        Returns
        -------
        tuple
            (k, len(species)) counts, and at each the mean current vector, (k, len(species)) copies/time: half of what
            each jump from or to there moves.

        Raises
        ------
        ArgumentError
            If a species is unknown.
        """
        unknown = [name for name in species if name not in self.species]
        if unknown or not species:
            raise ArgumentError(f"`species` must be some of {', '.join(self.species)}, but are {', '.join(species)}.")
        kept = self.states[:, [self.species.index(name) for name in species]]
        counts, place = np.unique(kept, axis=0, return_inverse=True)
        moved = (kept[self.targets] - kept[self.sources]) * (0.5 * self.value)[:, None]
        vectors = np.zeros(counts.shape)
        for ends in (self.sources, self.targets):
            np.add.at(vectors, place.ravel()[ends], moved)
        return counts, vectors

    def plot(self, *species: str, ax: Axes | None = None) -> Any:
        """Draw the current over two species as arrows; both may be left out where there are no more."""
        return doors.reactive_flux(self, species or self.species, ax)


@dataclass(frozen=True, eq=False, repr=False)
class Committor(Displayed, Provenance):
    """Reactive paths of a stationary network from a set A of states to a set B, as of transition path theory.

    Parameters
    ----------
    names
        The conditions that are A and B.
    tol
        The tolerance that was asked for.
    forward
        q⁺: the probability of coming to B before A.
    backward
        q⁻: the probability that, of A and B, A was left last.
    rate
        Mean number of reactive paths from A to B per unit of time, equal to that from B to A.
    share
        Share of the time in which, of A and B, A was visited last.
    reactive
        Share of the time that is spent on reactive paths from A to B.
    flux
        Probability currents of these paths.
    """

    names: tuple[str, str]
    tol: float
    forward: StateFunction
    backward: StateFunction
    rate: Interval
    share: Interval
    reactive: Interval
    flux: ReactiveFlux

    @property
    def q(self) -> StateFunction:
        """The forward committor, `forward`."""
        return self.forward

    @property
    def states(self) -> IntArray:
        """(n, d) stored states."""
        return self.forward.states

    @property
    def rate_constant(self) -> Interval:
        """Rate of coming to B per unit of the time in which A was visited last, 1/time: `rate` / `share`."""
        return _quotient(self.rate, self.share)

    @property
    def duration(self) -> Interval:
        """Mean time that a way from A to B takes after it has left A: `reactive` / `rate`."""
        return _quotient(self.reactive, self.rate)

    def plot(self, *species: str, ax: Axes | None = None) -> Any:
        """Draw the effective current over two species; both may be left out where there are no more."""
        return self.flux.net.plot(*species, ax=ax)

    def record(self) -> dict[str, Any]:
        """Return all but functions of the state in plain dictionaries, at full precision."""
        numbers = {name: getattr(self, name) for name in ("rate", "rate_constant", "share", "reactive", "duration")}
        return {
            **self._of_model(),
            "tol": self.tol,
            "from": self.names[0],
            "to": self.names[1],
            "n_states": len(self.states),
            **{name: number.record() for name, number in numbers.items()},
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        unit, per = (f" {self.time_unit}", f" 1/{self.time_unit}") if self.time_unit else ("", "")
        first, second = self.names
        length = f", each way {self.duration}{unit} long" if self.rate.upper > 0.0 else ""
        lines = [
            f"from {first} to {second}: {len(self.states):,} states",
            f"  ways per time {self.rate}{per}",
            f"  per time after {first} {self.rate_constant}{per}",
            f"  share of the time after {first} {self.share}",
            f"  share of the time on the way {self.reactive}{length}",
        ]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def _quotient(above: Interval, below: Interval) -> Interval:
    """Return a quotient of numbers >= 0."""
    certified, reason = above.certified and below.certified, above.reason or below.reason
    if not below.upper > 0.0:
        return Interval(0.0, math.inf, math.nan, certified=False, reason=reason or "it is divided by zero")
    lower = math.nextafter(above.lower / below.upper, 0.0) if above.lower else 0.0
    upper = math.nextafter(above.upper / below.lower, math.inf) if below.lower else math.inf
    upper = 0.0 if above.upper == 0.0 else upper
    value = above.value / below.value if below.value else lower
    return Interval(lower, upper, min(max(value, lower), upper), certified, reason)
