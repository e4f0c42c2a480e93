"""A distribution whose states are spread over ranks: the serial one, with sums over all of them.

What concerns a few species is asked of their marginal, a serial distribution that all ranks have; what concerns all of
them is reduced to a few points with the same sums and extremes, of which the serial bounds hold.

What is printed, the means and variances of each species and their intervals, is reduced when a distribution is made, so
one rank may print it.  Every other method is collective, and refused where ranks ask different things.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fsp import analysis
from fsp.arithmetic import SUM_ROUNDING, UNIT_ROUNDOFF
from fsp.distribution import Distribution as SerialDistribution
from fsp.distribution import ErrorLedger
from fsp.distribution.checks import check, read_only
from fsp.errors import ArgumentError
from fsp.petsc.comm import collective
from fsp.petsc.statistics import SpreadStatistics

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from fsp.arrays import BoolArray, FloatArray, IntArray
    from fsp.distribution import Interval, Solution
    from fsp.distribution.bounds import Points
    from fsp.petsc.space import StateSpace

FIELDS = ("t", "closed", "model_name", "model_hash", "time_unit", "observables", "notes")  # that no rank has a part of
MOST_GATHERED = 20_000_000  # states that are brought to one rank: about a gigabyte


class Distribution(SpreadStatistics):
    """Probabilities of states that are spread over ranks; see `fsp.Distribution`.

    Parameters
    ----------
    space
        The states.
    probabilities
        (n_local,) non-negative probabilities of this rank's states.

    Attributes
    ----------
    states : (n_local, d) int array
        This rank's states.

    Raises
    ------
    ArgumentError
        If arrays do not fit together, or probabilities have no mass or more than one.
    """

    _points_off: ClassVar[float] = SUM_ROUNDING
    _points: Mapping[tuple[str, float, int], Points]
    _ends: IntArray  # (2, d) least and greatest counts that have probability

    def __init__(self, space: StateSpace, probabilities: FloatArray, **more: Any) -> None:
        fields: dict[str, Any] = {
            "closed": False,
            "model_name": "",
            "model_hash": "",
            "time_unit": "",
            "observables": {},
            "notes": (),
            "moments": None,
            "state_bounds": None,
            **more,
            "space": space,
            "probabilities": read_only(np.ascontiguousarray(probabilities, dtype=np.float64)),
            "species": space.species,
        }
        fields["t"] = None if fields["t"] is None else float(fields["t"])
        for name, value in fields.items():
            object.__setattr__(self, name, value)
        with self.comm.agree():
            if self.probabilities.shape != (space.n_local,):
                raise ArgumentError(
                    f"`probabilities` must have shape ({space.n_local},), but have {self.probabilities.shape}."
                )
            worst = self.probabilities[~(self.probabilities >= 0.0) | ~np.isfinite(self.probabilities)]
            if len(worst):
                raise ArgumentError(f"`probabilities` must be finite and non-negative, but one is {worst[0]}.")
        state = np.zeros((1, len(space.species)), dtype=np.int64)
        check(state, np.array([self.mass]), space.species, self.error)
        self._reduce()

    def __len__(self) -> int:
        """Return the number of states of all ranks."""
        return len(self.space)

    def shares_states_with(self, other: SerialDistribution) -> bool:
        """Tell whether another distribution has the same states, as one object."""
        return isinstance(other, Distribution) and self.space is other.space

    @staticmethod
    def _save(answer: Solution | SerialDistribution, path: str | Path) -> None:
        from fsp.petsc.storage import save

        save(answer, path)

    # ---- reduced when it is made ----------------------------------------------------------------------------

    def _reduce(self) -> None:
        """Reduce what is printed of each species: moments, and points of its count and of the square about its mean."""
        states, means, variances = self.space.states, [], []  # (n_local, d)
        points: dict[tuple[str, float, int], Points] = {}
        for name, column in zip(self.species, states.T, strict=True):
            count = column.astype(np.float64)  # (n_local,)
            means.append(self.comm.sum(float((self.probabilities * count).sum())) / self.mass)
            square = self.comm.sum(float((self.probabilities * (count - means[-1]) ** 2).sum()))
            variances.append(square / self.mass)
            centre = float(round(means[-1]))
            points[name, 0.0, 1] = self._points_of(count)
            points[name, centre, 2] = self._points_of((count - centre) ** 2)
        held = states[self.probabilities > 0.0]  # (m, d)
        low = held.min(axis=0, initial=np.iinfo(np.int64).max)  # (d,)
        ends = self.comm.max(np.array([-low, held.max(axis=0, initial=-1)])) * [[-1], [1]]  # (2, d)
        vars(self).update(_two_moments=(np.array(means), np.array(variances)), _points=points, _ends=ends)

    def _points_about(self, name: str, centre: float, power: int) -> Points:
        return self._points[name, centre, power]

    def _ends_of(self, name: str) -> tuple[float, float]:
        least, greatest = self._ends[:, self._column(name)].tolist()
        return float(least), float(greatest)

    # ---- in one place -------------------------------------------------------------------------------------

    @collective
    def probability(self, event: str | Mapping[str, int]) -> Interval:
        """Bound the probability of an event; see `fsp.Distribution.probability`."""
        return super().probability(event)

    @collective
    def expectation(self, formula: str) -> Interval:
        """Bound the mean of a function of the state; see `fsp.Distribution.expectation`."""
        return super().expectation(formula)

    @collective
    def marginal(self, *species: str) -> SerialDistribution:
        """Sum over all other species; the answer is the same on all ranks, and in serial.

        See `fsp.Distribution.marginal`.
        """
        if not species or len(set(species)) < len(species):
            raise ArgumentError(f"`species` must be one or more different names, but is {species}.")
        columns = [self._column(name) for name in species]
        states, probabilities, terms = self.states[:, columns], self.probabilities, 1
        if len(states):
            states, probabilities, terms = analysis.marginal(states, probabilities)
        self._require_room(int(self.comm.sum(len(states))), "The marginals of all ranks")
        states, probabilities = self._of_all(states), self._of_all(probabilities)
        states, probabilities, ranks = analysis.marginal(states, probabilities)
        added = int(self.comm.max(terms)) + ranks - 2
        return replace(
            self._serial(states, probabilities, species),
            error=self.error + ErrorLedger(rounding=added * UNIT_ROUNDOFF * self.mass),
            moments=None if self.moments is None else self.moments.select(columns),
        )

    @collective
    def gathered(self) -> SerialDistribution | None:
        """Return the whole distribution on rank 0, and None on the others.

        Raises
        ------
        ArgumentError
            If there are more states than one rank should hold.
        """
        self._require_room(len(self), "The states of all ranks")
        states = self.comm.mpi.gather(self.states)
        probabilities = self.comm.mpi.gather(self.probabilities)
        if self.comm.rank:
            return None
        return self._serial(np.concatenate(states), np.concatenate(probabilities), self.species)

    def _serial(self, states: IntArray, probabilities: FloatArray, species: tuple[str, ...]) -> SerialDistribution:
        rest = {name: getattr(self, name) for name in (*FIELDS, "error", "moments")}
        return SerialDistribution(states, probabilities, species, **rest)

    def _of_all(self, rows: Any) -> Any:
        return np.concatenate(self.comm.mpi.allgather(rows))

    def _require_room(self, n: int, what: str) -> None:
        if n > MOST_GATHERED:
            raise ArgumentError(
                f"{what} must be at most {MOST_GATHERED:,} to be brought together, but are {n:,}. Ask for a marginal "
                f"over fewer species, or save the answer to a file."
            )

    # ---- sums over all ranks ------------------------------------------------------------------------------

    def _parts_of(self, mask: BoolArray) -> tuple[FloatArray, BoolArray]:
        inside = float(self.comm.sum(float(self.probabilities[mask].sum())))
        return np.array([inside, self.mass - inside]), np.array([True, False])

    def _points_of(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        p, below = self.probabilities, values < 0.0
        local = [[float(p[side].sum()), float((p * values)[side].sum())] for side in (below, ~below)]
        sums = self.comm.sum(np.array(local))
        ends = [-float(values.min(initial=np.inf)), float(values.max(initial=-np.inf))]
        least, greatest = self.comm.max(np.array(ends)) * [-1.0, 1.0]
        weights = sums[:, 0]
        means = np.clip(np.where(weights > 0.0, sums[:, 1] / np.maximum(weights, 1e-300), least), least, greatest)
        return np.concatenate([weights, [0.0, 0.0]]), np.array([*means, least, greatest])

    def _range_of(self, values: NDArray[Any]) -> tuple[float, float]:
        held = values[self.probabilities > 0.0]
        ends = [-float(held.min(initial=np.inf)), float(held.max(initial=-np.inf))]
        least, greatest = (self.comm.max(np.array(ends)) * [-1.0, 1.0]).tolist()
        return float(least), float(greatest)

    def _require_finite(self, formula: str, values: FloatArray) -> None:
        with self.comm.agree():
            super()._require_finite(formula, values)

    def _observe(self, formula: str) -> NDArray[Any]:
        with self.comm.agree():
            return super()._observe(formula)
        raise AssertionError("agree raises what the block raised")
