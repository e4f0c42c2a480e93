"""A distribution whose states are spread over ranks: the serial one, with sums over all of them.

What concerns a few species is asked of their marginal, a serial distribution that all ranks have; what concerns all of
them is reduced to a few points with the same sums and extremes, of which the serial bounds hold.

What is printed, the means and variances of each species and their intervals, is reduced when a distribution is made, so
one rank may print it.  Every other method is collective, and refused where ranks ask different things.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fsp import analysis
from fsp.arithmetic import SUM_ROUNDING, UNIT_ROUNDOFF
from fsp.distribution import Distribution as SerialDistribution
from fsp.distribution import ErrorLedger
from fsp.distribution.checks import check, read_only
from fsp.errors import ArgumentError
from fsp.petsc.comm import collective

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from fsp.arrays import BoolArray, FloatArray, IntArray
    from fsp.distribution import Interval, Solution
    from fsp.distribution.bounds import Points
    from fsp.distribution.statistics import Statistics
    from fsp.petsc.comm import Communicator
    from fsp.petsc.space import StateSpace

MOST_GATHERED = 20_000_000  # states that are brought to one rank: about a gigabyte


class Distribution(SerialDistribution):
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
    space: StateSpace
    _points: Mapping[tuple[str, float, int], Points]

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
        one = np.zeros((1, len(space.species)), dtype=np.int64)
        check(one, np.array([self.mass]), space.species, self.error)
        self._reduce()

    @cached_property
    def states(self) -> IntArray:  # type: ignore[override]  # a value does not change
        """The states of this rank, (n_local, d)."""
        return read_only(self.space.states)  # type: ignore[no-any-return]

    @property
    def comm(self) -> Communicator:
        """The ranks."""
        return self.space.comm

    def __len__(self) -> int:
        """Return the number of states of all ranks."""
        return len(self.space)

    @cached_property
    def mass(self) -> float:
        """Sum of the stored probabilities."""
        return float(self.comm.sum(float(self.probabilities.sum())))

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
        vars(self).update(_means=np.array(means), _variances=np.array(variances), _points=points)

    def _points_about(self, name: str, centre: float, power: int) -> Points:
        return self._points[name, centre, power]

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
        return SerialDistribution(
            states,
            probabilities,
            species,
            t=self.t,
            error=self.error,
            closed=self.closed,
            model_name=self.model_name,
            model_hash=self.model_hash,
            time_unit=self.time_unit,
            observables=self.observables,
            notes=self.notes,
            moments=self.moments,
        )

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
        own = [[float(p[side].sum()), float((p * values)[side].sum())] for side in (below, ~below)]
        sums = self.comm.sum(np.array(own))
        ends = [-float(values.min(initial=np.inf)), float(values.max(initial=-np.inf))]
        least, most = self.comm.max(np.array(ends)) * [-1.0, 1.0]
        weights = sums[:, 0]
        means = np.clip(np.where(weights > 0.0, sums[:, 1] / np.maximum(weights, 1e-300), least), least, most)
        return np.concatenate([weights, [0.0, 0.0]]), np.array([*means, least, most])

    def _require_finite(self, formula: str, values: FloatArray) -> None:
        with self.comm.agree():
            super()._require_finite(formula, values)

    def _observe(self, formula: str) -> NDArray[Any]:
        with self.comm.agree():
            return super()._observe(formula)
        raise AssertionError("agree raises what the block raised")

    @collective
    def covariance(self) -> FloatArray:
        """Return the (d, d) covariance matrix of the stored probability divided by its mass."""
        centred = (self.states - self._means).T  # (d, n_local)
        return np.asarray(self.comm.sum((centred * self.probabilities) @ centred.T)) / self.mass

    @collective
    def moment(self, species: str | None = None, order: int = 1, /, **orders: int) -> float:
        """Compute a raw moment of the stored probability divided by its mass; see `fsp.Distribution.moment`."""
        named = [*([] if species is None else [species]), *orders]
        return self.marginal(*dict.fromkeys(named or self.species)).moment(species, order, **orders)

    @collective
    def quantile(self, species: str, level: float) -> int:
        """Find the smallest copy number up to which the share `level` lies; see `fsp.Distribution.quantile`."""
        return self.marginal(species).quantile(species, level)

    @collective
    def mode(self) -> dict[str, int]:
        """Return the most likely state, the first in lexicographic order of several."""
        own = float(self.probabilities.max(initial=-1.0))
        state = self.states[int(np.argmax(self.probabilities))].tolist() if len(self.states) else None
        best: list[tuple[float, Any]] = self.comm.mpi.allgather((own, state))
        return self._state(np.array(max(best, key=lambda pair: pair[0])[1]))

    @collective
    def entropy(self) -> float:
        """Return the Shannon entropy in nats of the stored probability divided by its mass."""
        share = self.probabilities[self.probabilities > 0] / self.mass
        return max(0.0, float(self.comm.sum(float(-(share * np.log(share)).sum()))))

    @collective
    def distance(self, other: Statistics, kind: str = "l1") -> float:
        """Measure the distance to another distribution, spread over the same ranks; see `fsp.Distribution.distance`.

        Distances of one species are those of the marginals.
        """
        if not isinstance(other, Distribution):
            raise ArgumentError("`other` must be spread over the same ranks; compare `gathered()` with a serial one.")
        if self.species != other.species:
            raise ArgumentError(f"`other` must have the species {self.species}, but has {other.species}.")
        if kind not in analysis.DISTANCES:
            raise ArgumentError(f"`kind` must be one of {', '.join(analysis.DISTANCES)}, but is '{kind}'.")
        if len(self.species) == 1:
            return self.marginal(*self.species).distance(other.marginal(*other.species), kind)
        carried = other.space.carry(other.probabilities, self.space)  # on the states of this one
        alone = other.probabilities - self.space.carry(carried, other.space)  # exact: an entry is carried, or 0
        union = np.concatenate([self.states, other.states])
        p = np.concatenate([self.probabilities, np.zeros(len(alone))])
        q = np.concatenate([carried, alone])
        part = analysis.DISTANCES[kind](union, p, q)
        return float(np.sqrt(self.comm.sum(part**2)) if kind == "hellinger" else self.comm.sum(part))

    # ---- what needs all states in one place ---------------------------------------------------------------

    @property
    def _dense(self) -> tuple[FloatArray, tuple[IntArray, ...]]:
        return self.marginal(*self.species)._dense

    def to_pandas(self) -> Any:
        """Return a table with a row for each state, on all ranks."""
        return self.marginal(*self.species).to_pandas()

    def to_xarray(self) -> Any:
        """Return `pmf` with a labelled axis for each species, on all ranks."""
        return self.marginal(*self.species).to_xarray()
