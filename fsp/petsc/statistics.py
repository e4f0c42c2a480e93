"""Numbers of a distribution whose states are spread over ranks: the serial ones, with sums over all ranks.

Where sums do not do, a number is that of a marginal, which all ranks have.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp import analysis
from fsp.checks import check_choice
from fsp.distribution import Distribution as SerialDistribution
from fsp.distribution.checks import read_only
from fsp.errors import ArgumentError
from fsp.petsc.comm import collective

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fsp.arrays import FloatArray, IntArray
    from fsp.distribution.landscape import Landscape
    from fsp.distribution.statistics import Statistics
    from fsp.petsc.comm import Communicator
    from fsp.petsc.space import StateSpace


class SpreadStatistics(SerialDistribution):
    """What a distribution on ranks says of the probability that they store; see `fsp.Distribution`."""

    space: StateSpace

    @cached_property
    def states(self) -> IntArray:  # type: ignore[override]  # a value does not change
        """The states of this rank, (n_local, d)."""
        return read_only(self.space.states)  # type: ignore[no-any-return]

    @property
    def comm(self) -> Communicator:
        """The ranks."""
        return self.space.comm

    @cached_property
    def mass(self) -> float:
        """Sum of the stored probabilities."""
        return float(self.comm.sum(float(self.probabilities.sum())))

    @collective
    def covariance(self) -> FloatArray:
        """Return the (d, d) covariance matrix of the stored probability divided by its mass."""
        centred = (self.states - self._two_moments[0]).T  # (d, n_local)
        return np.asarray(self.comm.sum((centred * self.probabilities) @ centred.T)) / self.mass

    @collective
    def moment(self, species: str | None = None, order: int = 1, /, **orders: int) -> float:
        """Compute a raw moment of the stored probability divided by its mass; see `fsp.Distribution.moment`."""
        named = [*([] if species is None else [species]), *orders]
        return self.marginal(*dict.fromkeys(named or self.species)).moment(species, order, **orders)

    @collective
    def skewness(self) -> dict[str, float]:
        """Return the skewness of each species; see `fsp.Distribution.skewness`."""
        return {name: self.marginal(name).skewness()[name] for name in self.species}

    @collective
    def quantile(self, species: str, level: Any) -> Any:
        """Find the smallest copy number up to which the share `level` lies; see `fsp.Distribution.quantile`."""
        return self.marginal(species).quantile(species, level)

    @collective
    def mode(self) -> dict[str, int]:
        """Return the most likely state, the first in lexicographic order of several."""
        local = float(self.probabilities.max(initial=-1.0))
        state = self.states[int(np.argmax(self.probabilities))].tolist() if len(self.states) else None
        best: list[tuple[float, Any]] = self.comm.mpi.allgather((local, state))
        return self._by_species(np.array(max(best, key=lambda pair: pair[0])[1]))

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
        if not isinstance(other, SpreadStatistics):
            raise ArgumentError("`other` must be spread over the same ranks; compare `gathered()` with a serial one.")
        if self.species != other.species:
            raise ArgumentError(f"`other` must have the species {self.species}, but has {other.species}.")
        check_choice("kind", kind, analysis.DISTANCES)
        if len(self.species) == 1:
            return self.marginal(*self.species).distance(other.marginal(*other.species), kind)
        carried = other.space.carry(other.probabilities, self.space)  # on the states of this one
        alone = other.probabilities - self.space.carry(carried, other.space)  # exact: an entry is carried, or 0
        union = np.concatenate([self.states, other.states])
        p = np.concatenate([self.probabilities, np.zeros(len(alone))])
        q = np.concatenate([carried, alone])
        part = analysis.DISTANCES[kind](union, p, q)
        return float(np.sqrt(self.comm.sum(part**2)) if kind == "hellinger" else self.comm.sum(part))

    @collective
    def landscape(self, *species: str) -> Landscape:
        """Return -ln p over one or two species, on all ranks; see `fsp.Distribution.landscape`."""
        names = species or self.species
        return super().landscape(*names) if len(names) > 2 else self.marginal(*names).landscape()

    # ---- what needs all states in one place ---------------------------------------------------------------

    def conditional(self, event: str | Mapping[str, int]) -> SerialDistribution:
        """Return the distribution given that an event holds, on all ranks."""
        return self.marginal(*self.species).conditional(event)

    @collective
    def sample(self, n: int, seed: int | np.random.Generator | None = None) -> IntArray:
        """Draw the same states on all ranks; see `fsp.Distribution.sample`."""
        everywhere = np.random.default_rng(self.comm.mpi.bcast(np.random.default_rng(seed).integers(2**63)))
        return self.marginal(*self.species).sample(n, everywhere)

    @property
    def _dense(self) -> tuple[FloatArray, tuple[IntArray, ...]]:
        return self.marginal(*self.species)._dense

    def to_pandas(self) -> Any:
        """Return a table with a row for each state, on all ranks."""
        return self.marginal(*self.species).to_pandas()

    def to_xarray(self) -> Any:
        """Return `pmf` with a labelled axis for each species, on all ranks."""
        return self.marginal(*self.species).to_xarray()
