"""Numbers of the stored probabilities of a distribution, divided by their mass; see `fsp.analysis`."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from fsp import analysis
from fsp.checks import LARGEST_WHOLE, shown
from fsp.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import FloatArray, IntArray


class Statistics:
    """What a distribution says of the probability that it stores; the 1-norm error bounds none of it."""

    states: IntArray
    probabilities: FloatArray
    species: tuple[str, ...]

    def mean(self) -> dict[str, float]:
        """Return the mean copy number of each species, of the stored probability divided by its mass."""
        return self._by_species(self._two_moments[0])

    def variance(self) -> dict[str, float]:
        """Return the variance of each species, of the stored probability divided by its mass."""
        return self._by_species(self._two_moments[1])

    def std(self) -> dict[str, float]:
        """Return the standard deviation of each species, of the stored probability divided by its mass."""
        return self._by_species(np.sqrt(self._two_moments[1]))

    def fano(self) -> dict[str, float]:
        """Return the Fano factor of each species, variance over mean; nan where the mean is 0."""
        means, variances = self._two_moments
        return self._by_species(analysis.ratio(variances, means))

    def cv(self) -> dict[str, float]:
        """Return the coefficient of variation of each species, standard deviation over mean; nan where that is 0."""
        means, variances = self._two_moments
        return self._by_species(analysis.ratio(np.sqrt(variances), means))

    def skewness(self) -> dict[str, float]:
        """Return the skewness of each species, E (X - m)³ / σ³; nan where the variance is 0."""
        return self._by_species(analysis.skewness(self.states, self.probabilities))

    def covariance(self) -> FloatArray:
        """Return the (d, d) covariance matrix of the stored probability divided by its mass."""
        return analysis.covariance(self.states, self.probabilities)

    def moment(self, species: str | None = None, order: int = 1, /, **orders: int) -> float:
        """Compute a raw moment of the stored probability divided by its mass.

        Parameters
        ----------
        species, order
            One species and its power: ``moment("U", 2)`` is the mean of U².
        **orders
            Powers by name: ``moment(U=2, V=1)`` is the mean of U² V.

        Returns
        -------
        float
            The moment.

        Raises
        ------
        ArgumentError
            If no species is named, one is unknown, or an order is not a non-negative integer.
        """
        powers = dict(orders) if species is None else {species: order, **orders}
        if not powers:
            raise ArgumentError("`moment` must be given a species, as in moment('U', 2) or moment(U=2, V=1).")
        row = [0] * len(self.species)
        for name, power in powers.items():
            if isinstance(power, bool) or not isinstance(power, int | np.integer) or not 0 <= power <= LARGEST_WHOLE:
                raise ArgumentError(
                    f"Order of '{name}' must be a non-negative integer up to 2⁵³, but is {shown(power)}."
                )
            row[self._column(name)] = int(power)
        return analysis.moment(self.states, self.probabilities, row)

    @overload
    def quantile(self, species: str, level: float) -> int: ...

    @overload
    def quantile(self, species: str, level: Sequence[float] | FloatArray) -> IntArray: ...

    def quantile(self, species: str, level: float | Sequence[float] | FloatArray) -> int | IntArray:
        """Find the smallest copy number up to which the share `level` of the stored probability lies.

        Parameters
        ----------
        species
            The name.
        level
            Between 0 and 1; 0.5 gives the median.  Several give an array.

        Returns
        -------
        int or numpy.ndarray
            The quantile in copies; for several levels (n_levels,).

        Raises
        ------
        ArgumentError
            If the species is unknown, or a level is outside [0, 1].

        Examples
        --------
        >>> import fsp
        >>> model = fsp.Model(species={"X": "poisson(10)"}, reactions=[fsp.Reaction("X -> 0", mass_action=0.0)])
        >>> fsp.transient(model, [0.0])[-1].quantile("X", [0.05, 0.5, 0.95])
        array([ 5, 10, 15])
        """
        levels = np.asarray(level)
        levels = np.asarray(np.nan if levels.dtype == object else levels, dtype=np.float64)
        if not ((levels >= 0) & (levels <= 1)).all():
            raise ArgumentError(f"`level` must be between 0 and 1, but is {level}.")
        counts = analysis.quantile(*self._marginal_of(species), levels)
        return counts if levels.ndim else int(counts)

    def sample(self, n: int, seed: int | np.random.Generator | None = None) -> IntArray:
        """Draw states at random from the stored probability divided by its mass.

        Parameters
        ----------
        n
            How many.
        seed
            A seed, or a generator of numpy; None draws others each time.

        Returns
        -------
        numpy.ndarray
            (n, d) copy numbers, in the order of `species`.  Their law differs from the exact one by at most
            ``error.total`` in total variation.

        Raises
        ------
        ArgumentError
            If `n` is not a non-negative integer.

        Examples
        --------
        >>> import fsp
        >>> model = fsp.Model(species={"X": 10}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])
        >>> fsp.transient(model, [1.0])[-1].sample(3, seed=1).shape
        (3, 1)
        """
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 0:
            raise ArgumentError(f"`n` must be a non-negative integer, but is {n!r}.")
        drawn = np.random.default_rng(seed).choice(len(self.states), n, p=self.probabilities / self.probabilities.sum())
        return np.asarray(self.states[drawn])

    def mode(self) -> dict[str, int]:
        """Return the most likely state, the first in lexicographic order of several."""
        return self._by_species(analysis.mode(self.states, self.probabilities))

    def entropy(self) -> float:
        """Return the Shannon entropy in nats of the stored probability divided by its mass."""
        return analysis.entropy(self.probabilities)

    def distance(self, other: Statistics, kind: str = "l1") -> float:
        """Measure the distance between the stored probabilities of two distributions.

        For ``l1`` it differs from that of the exact distributions by at most the sum of the two errors.

        Parameters
        ----------
        other
            A distribution over the same species, in any order.
        kind
            ``l1``, ``tv``, ``hellinger``, or, for one species, ``kolmogorov`` or ``wasserstein``.

        Returns
        -------
        float
            The distance.

        Raises
        ------
        ArgumentError
            If the species differ, or `kind` is unknown or needs one species.
        """
        if sorted(self.species) != sorted(other.species):
            raise ArgumentError(f"`other` must have the species {self.species}, but has {other.species}.")
        columns = [other._column(name) for name in self.species]
        return analysis.distance(self.states, self.probabilities, other.states[:, columns], other.probabilities, kind)

    @property
    def pmf(self) -> FloatArray:
        """Probabilities as a dense array: one axis for each species, over `support`."""
        return self._dense[0]

    @property
    def support(self) -> IntArray | tuple[IntArray, ...]:
        """Copy numbers along the axis of `pmf`, without gaps; a tuple of them for several species."""
        axes = self._dense[1]
        return axes[0] if len(axes) == 1 else axes

    @cached_property
    def _dense(self) -> tuple[FloatArray, tuple[IntArray, ...]]:
        return analysis.dense(self.states, self.probabilities)

    @cached_property
    def _two_moments(self) -> tuple[FloatArray, FloatArray]:
        """Means and variances, (d,) each."""
        return analysis.mean(self.states, self.probabilities), analysis.variance(self.states, self.probabilities)

    def _marginal_of(self, species: str) -> tuple[IntArray, FloatArray]:
        """Return the counts (m,) of a species in ascending order, and their stored probabilities (m,)."""
        column = self.states[:, [self._column(species)]]  # (n, 1)
        values, probabilities, _ = analysis.marginal(column, self.probabilities)
        return values[:, 0], probabilities

    def _column(self, name: str) -> int:
        if name not in self.species:
            raise ArgumentError(f"Species must be one of {', '.join(self.species)}, but is '{name}'.")
        return self.species.index(name)

    def _by_species(self, numbers: FloatArray | IntArray) -> dict[str, Any]:
        return dict(zip(self.species, numbers.tolist(), strict=True))
