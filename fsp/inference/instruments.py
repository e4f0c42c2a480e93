"""What an instrument makes of a count: tables of the probability of what is seen, given what is there.

Entries are lower bounds but for the relative rounding that a table states, and what it cuts off is in `absolute`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.errors import ArgumentError, StateSpaceError
from fsp.model.draws import LAWS, TAIL

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray


MOST_ENTRIES = 200_000_000  # of a table: 1.6 GB; chosen


@dataclass(frozen=True, eq=False)
class Table:
    """Probabilities of what is seen, m = 0 … largest seen, by what is there, x = 0 … largest count."""

    values: FloatArray  # (m, x)
    relative: float  # of each entry
    absolute: float  # what an entry may lack beside


class Instrument(ABC):
    """What makes a count that is seen of one that is there."""

    @abstractmethod
    def table(self, seen: int, largest: int) -> Table:
        """Return the table for counts seen up to `seen`, and there up to `largest`."""

    def standing(self, seen: IntArray) -> IntArray:
        """Return the counts (m,) that stand for those seen, one for all that are not told apart."""
        return seen

    def between(self, seen: IntArray, there: IntArray) -> Table:
        """Return the table (m, n) of the counts seen, (m,), given those that are there, (n,)."""
        table = self.limited(int(seen.max(initial=0)), int(there.max(initial=0)))
        return Table(table.values[np.ix_(seen, there)], table.relative, table.absolute)

    def limited(self, seen: int, largest: int) -> Table:
        """Return the table; refuse one that takes more memory than there may be."""
        if (seen + 1) * (largest + 1) > MOST_ENTRIES:
            raise StateSpaceError(
                f"An instrument must have a table of at most {MOST_ENTRIES:,} entries, but counts up to {seen:,} of up "
                f"to {largest:,} molecules need {(seen + 1) * (largest + 1):,}; is a count wrong?"
            )
        return self.table(seen, largest)

    @property
    def depends(self) -> tuple[str, ...]:
        """Parameters of the model by which the instrument is given."""
        return ()

    def at(self, values: Mapping[str, float]) -> Instrument:
        """Return the instrument with numbers in place of parameters."""
        return self

    def slope(self, seen: int, largest: int) -> FloatArray:
        """Return the derivative of the table by the logarithm of its number, as `table` takes its arguments."""
        return np.zeros((seen + 1, largest + 1))


@dataclass(frozen=True, slots=True)
class Binomial(Instrument):
    """Each molecule is seen with a probability, independently of the others.

    Parameters
    ----------
    capture
        The probability, above 0 and at most 1; or the name of a parameter of the model whose value it is, which
        `fsp.fit` may estimate.

    Raises
    ------
    ArgumentError
        If it is no such number.

    Examples
    --------
    >>> fsp.likelihood(model, counts, instrument=fsp.Binomial(0.3))  # doctest: +SKIP
    """

    capture: float | str

    def __post_init__(self) -> None:
        if isinstance(self.capture, str) and self.capture:
            return
        if not isinstance(self.capture, int | float) or not 0.0 < self.capture <= 1.0:
            raise ArgumentError(f"`capture` must be a probability above 0, but is {self.capture!r}.")

    @property
    def depends(self) -> tuple[str, ...]:
        """The parameter by which it is given."""
        return (self.capture,) if isinstance(self.capture, str) else ()

    def at(self, values: Mapping[str, float]) -> Binomial:
        """Return the instrument with the value of its parameter."""
        if not isinstance(self.capture, str):
            return self
        if self.capture not in values:
            raise ArgumentError(
                f"`capture` must be a number or one of {', '.join(values) or 'no'} parameters, but is '{self.capture}'."
            )
        return Binomial(float(values[self.capture]))

    def slope(self, seen: int, largest: int) -> FloatArray:
        """Return c ∂T/∂c = T (z - (x - z) c/(1 - c)): one molecule more or less is seen."""
        c = float(self.capture)
        z, x = np.arange(seen + 1)[:, None], np.arange(largest + 1)  # (m, 1), (x,)
        if c == 1.0:  # from below: the last but one is no longer missed
            return np.where(z == x, z, 0.0) - np.where(z == x - 1, z + 1.0, 0.0)
        values: FloatArray = self.table(seen, largest).values * (z - np.maximum(x - z, 0) * (c / (1.0 - c)))
        return values

    def table(self, seen: int, largest: int) -> Table:
        """Add one molecule after another: sums of two positive products."""
        p = float(self.capture)
        values = np.zeros((seen + 1, largest + 1))
        values[0, 0] = 1.0
        for x in range(largest):
            values[:, x + 1] = (1.0 - p) * values[:, x]
            values[1:, x + 1] += p * values[:-1, x]
        off = 2.0 / (1.0 - p) if p < 1.0 else 0.0  # how many roundings 1 - p is off, p being a decimal
        return Table(values, largest * (4.0 + off) * UNIT_ROUNDOFF, 0.0)


@dataclass(frozen=True, slots=True)
class Poisson(Instrument):
    """A background is added to the count.

    Parameters
    ----------
    background
        Its mean, 0 or more.

    Raises
    ------
    ArgumentError
        If it is no such number.

    Examples
    --------
    >>> fsp.likelihood(model, counts, instrument=fsp.Poisson(2.0))  # doctest: +SKIP
    """

    background: float

    def __post_init__(self) -> None:
        if not isinstance(self.background, int | float) or not 0.0 <= self.background < np.inf:
            raise ArgumentError(f"`background` must be a mean of 0 or more, but is {self.background!r}.")

    def table(self, seen: int, largest: int) -> Table:
        """Return the Poisson law of what is seen beside the count."""
        law = LAWS["poisson"].of(float(self.background))
        weights = np.zeros(seen + 1)
        kept = law.counts <= seen
        weights[law.counts[kept]] = law.probabilities[kept]
        more = np.arange(seen + 1)[:, None] - np.arange(largest + 1)  # (m, x)
        off = 2.0 * max(0.0, 1.0 - float(law.probabilities.sum())) + len(law.counts) * UNIT_ROUNDOFF
        return Table(np.where(more >= 0, weights[np.maximum(more, 0)], 0.0), off, TAIL)


@dataclass(frozen=True, slots=True)
class Bins(Instrument):
    """Only the bin of a count is seen; any number of the bin may stand for it in the data.

    Parameters
    ----------
    edges
        Increasing whole numbers: bins go from each to below the next one, the last one is open, and what is below the
        first edge is a bin as well.

    Raises
    ------
    ArgumentError
        If they are no such numbers.

    Examples
    --------
    >>> fsp.likelihood(model, counts, instrument=fsp.Bins([0, 5, 10]))  # doctest: +SKIP
    """

    edges: Sequence[int]

    def __post_init__(self) -> None:
        given = np.asarray(self.edges)
        if given.ndim != 1 or not len(given) or given.dtype.kind not in "iu" or (np.diff(given) <= 0).any():
            raise ArgumentError(f"`edges` must be increasing whole numbers, but are {self.edges!r}.")

    def table(self, seen: int, largest: int) -> Table:
        """Return ones where a count is in the bin of what is seen."""
        edges = np.asarray(self.edges)  # (n_edges,)
        of_seen, of_count = (np.searchsorted(edges, np.arange(n + 1), side="right") for n in (seen, largest))
        return Table((of_seen[:, None] == of_count).astype(np.float64), 0.0, 0.0)

    def standing(self, seen: IntArray) -> IntArray:
        """Return the first count of each bin."""
        edges = np.asarray(self.edges)  # (n_edges,)
        first = np.concatenate([[0], np.maximum(edges, 0)])  # (n_edges + 1,)
        found: IntArray = first[np.searchsorted(edges, seen, side="right")]
        return found


class Exact(Instrument):
    """All molecules are seen."""

    def between(self, seen: IntArray, there: IntArray) -> Table:
        """Return ones where both are equal."""
        return Table((seen[:, None] == there).astype(np.float64), 0.0, 0.0)

    def table(self, seen: int, largest: int) -> Table:
        """Return ones on the diagonal."""
        return Table(np.eye(seen + 1, largest + 1), 0.0, 0.0)
