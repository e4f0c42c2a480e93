"""What an instrument makes of a count: tables of the probability of what is seen, given what is there.

Entries are lower bounds but for the relative rounding that a table states, and what it cuts off is in `absolute`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtr

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.errors import ArgumentError, StateSpaceError
from fsp.model.draws import LAW_TAIL, LAWS

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray


# Relative error of scipy's upper tail Q down to LEAST_SEEN: that of Cephes' erfc, 5.7e-14, and that of its argument,
# which a tail of 1e-290 takes 2 · 667 · 3 roundings times as large, 4.4e-13; of the two tails of a difference.
ERROR_FUNCTION = 1e-12
LEAST_SEEN = 1e-290  # probability of what is seen, below which it is taken for none
FAR_DEVIATIONS = 8.0  # deviations beyond which an outcome tells nothing: 1e-15; chosen
SUM_TO_ONE = 1e-9  # that sums of probabilities may be off which users write; entries are taken to be as far off
MORE_SEEN = 50  # counts beyond twice those in a cell that a function is asked for; chosen
MOST_ENTRIES = 200_000_000  # of a table: 1.6 GB; chosen


@dataclass(frozen=True, eq=False)
class Table:
    """Probabilities of what is seen, m = 0 … largest seen, by what is there, x = 0 … largest count."""

    values: FloatArray  # (m, x)
    relative: float  # of each entry
    absolute: float  # what an entry may lack beside


def require_small(seen: int, largest: int) -> None:
    """Refuse a table that would take more memory than there may be."""
    if (seen + 1) * (largest + 1) > MOST_ENTRIES:
        raise StateSpaceError(
            f"An instrument must have a table of at most {MOST_ENTRIES:,} entries, but counts up to {seen:,} of up "
            f"to {largest:,} molecules need {(seen + 1) * (largest + 1):,}; is a count, or a number of the instrument, "
            f"wrong?"
        )


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

    def reach(self, largest: int) -> int:
        """Return the largest count that is seen of up to `largest`; what is above has next to no probability."""
        return largest

    def limited(self, seen: int, largest: int) -> Table:
        """Return the table; refuse one that takes more memory than there may be."""
        require_small(seen, largest)
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
        `fsp.fit` may estimate; where that is a formula, `fsp.fit` estimates what is free in it.
        No event may assign it.

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
        if not isinstance(self.capture, Real) or not 0.0 < self.capture <= 1.0:
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

    def scores(self, seen: FloatArray, there: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return ∂ log T/∂ log c = z - (x - z) c/(1 - c) of z (m,) and x (n,), and its terms added up, (m, n) each."""
        odds = float(self.capture) / (1.0 - float(self.capture))
        missed = odds * np.maximum(there - seen[:, None], 0.0)
        return seen[:, None] - missed, seen[:, None] + missed

    def information(self, there: FloatArray) -> FloatArray:
        """Return what z tells of log c, x c/(1 - c), of x (n,)."""
        return np.asarray(there * (float(self.capture) / (1.0 - float(self.capture))))

    def table(self, seen: int, largest: int) -> Table:
        """Add one molecule after another: sums of two positive products."""
        p = float(self.capture)
        values = np.zeros((seen + 1, largest + 1))
        values[0, 0] = 1.0
        for x in range(largest):
            values[:, x + 1] = (1.0 - p) * values[:, x]
            values[1:, x + 1] += p * values[:-1, x]
        values[values < LEAST_SEEN] = 0.0  # where products that underflow may have made up an entry
        off = 2.0 / (1.0 - p) if p < 1.0 else 0.0  # how many roundings 1 - p is off, p being a decimal
        return Table(values, largest * (4.0 + off) * UNIT_ROUNDOFF, 2.0 * LEAST_SEEN)


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
        if not isinstance(self.background, Real) or not 0.0 <= self.background < np.inf:
            raise ArgumentError(f"`background` must be a mean of 0 or more, but is {self.background!r}.")
        try:
            LAWS["poisson"].of(float(self.background))
        except ValueError as error:
            raise ArgumentError(f"`background` must be a mean with counts to hold, but is {error}.") from None

    def reach(self, largest: int) -> int:
        """Return the largest count with the most of the background that its law holds."""
        return largest + int(LAWS["poisson"].of(float(self.background)).counts.max())

    def table(self, seen: int, largest: int) -> Table:
        """Return the Poisson law of the background beside the count."""
        law = LAWS["poisson"].of(float(self.background))
        weights = np.zeros(seen + 1)
        kept = law.counts <= seen
        weights[law.counts[kept]] = law.probabilities[kept]
        more = np.arange(seen + 1)[:, None] - np.arange(largest + 1)  # (m, x)
        off = 2.0 * max(0.0, 1.0 - float(law.probabilities.sum())) + len(law.counts) * UNIT_ROUNDOFF
        return Table(np.where(more >= 0, weights[np.maximum(more, 0)], 0.0), off, LAW_TAIL)


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
        bins: IntArray = first[np.searchsorted(edges, seen, side="right")]
        return bins


class Exact(Instrument):
    """All molecules are seen."""

    def table(self, seen: int, largest: int) -> Table:
        """Return ones on the diagonal."""
        return Table(np.eye(seen + 1, largest + 1), 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Normal(Instrument):
    """A count is seen with normal noise, rounded to a whole number; what would be below zero is seen as zero.

    Parameters
    ----------
    deviation
        Standard deviation of the noise, in molecules, above 0.

    Raises
    ------
    ArgumentError
        If it is no such number.

    Examples
    --------
    >>> fsp.likelihood(model, counts, instrument=fsp.Normal(1.5))  # doctest: +SKIP
    """

    deviation: float

    def __post_init__(self) -> None:
        if not isinstance(self.deviation, Real) or not 0.0 < self.deviation < np.inf:
            raise ArgumentError(f"`deviation` must be a number above 0, but is {self.deviation!r}.")

    def reach(self, largest: int) -> int:
        """Return the largest count with `FAR_DEVIATIONS` deviations more."""
        return largest + math.ceil(FAR_DEVIATIONS * self.deviation)

    def table(self, seen: int, largest: int) -> Table:
        """Return P(m | x) = Q((|m - x| - 1/2)/σ) - Q((|m - x| + 1/2)/σ), Q the upper tail, and Q((x - 1/2)/σ) of 0."""
        away = np.abs(np.arange(seen + 1)[:, None] - np.arange(largest + 1)).astype(np.float64)  # (m, x)
        near, far = (ndtr(-(away + half) / self.deviation) for half in (-0.5, 0.5))
        far[0] = 0.0
        values = near - far
        with np.errstate(divide="ignore", invalid="ignore"):
            lost = np.where(values > LEAST_SEEN, near / values, 0.0)  # digits that the difference loses
        values = np.where(values > LEAST_SEEN, values, 0.0)
        return Table(values, ERROR_FUNCTION * float(lost.max(initial=1.0)), 2.0 * LEAST_SEEN)


@dataclass(frozen=True, slots=True, eq=False)
class Given(Instrument):
    """What is seen by a matrix, or by a function of counts seen and there."""

    law: Any

    def table(self, seen: int, largest: int) -> Table:
        """Return the entries that are asked for; refuse what are no probabilities, or too few of them."""
        values = self._values(seen, largest)
        total = values.sum(axis=0)
        if not (values >= 0.0).all() or (total > 1.0 + SUM_TO_ONE).any():
            raise ArgumentError(
                f"`instrument` must give probabilities, whose sum over what is seen is at most 1, but the least is "
                f"{values.min():g} and the largest sum {total.max():g}."
            )
        return Table(values, SUM_TO_ONE, 0.0)

    def _values(self, seen: int, largest: int) -> FloatArray:
        if callable(self.law):
            shape = seen + 1, largest + 1
            try:
                density = self.law(np.arange(seen + 1)[:, None], np.arange(largest + 1))
                return np.broadcast_to(np.asarray(density, dtype=np.float64), shape)
            except (TypeError, ValueError, IndexError) as error:
                raise ArgumentError(
                    f"`instrument` must be a function of counts seen, (m, 1), and there, (n,), that returns (m, n) "
                    f"probabilities, but fails for m = {shape[0]} and n = {shape[1]}: {error}."
                ) from error
        if largest >= self.law.shape[1]:
            raise ArgumentError(
                f"`instrument` must have a column for each count that a cell may hold, but has {self.law.shape[1]} and "
                f"needs {largest + 1}, for all counts that are not too improbable."
            )
        values = np.zeros((seen + 1, largest + 1))
        rows = min(seen + 1, len(self.law))
        values[:rows] = self.law[:rows, : largest + 1]
        return values

    def reach(self, largest: int) -> int:
        """Return the last row of a matrix; of a function, twice the largest count and some more."""
        return 2 * largest + MORE_SEEN if callable(self.law) else len(self.law) - 1

    def __repr__(self) -> str:
        """Name a function, and a matrix by all that it holds."""
        if callable(self.law):
            return f"Given({getattr(self.law, '__qualname__', repr(self.law))})"
        return f"Given({self.law.tolist()})"


def instruments_of(given: Any | Mapping[str, Any] | None, observed: Sequence[str]) -> tuple[Instrument, ...]:
    """Return the instrument of each thing that was observed."""
    chosen = given if isinstance(given, Mapping) else dict.fromkeys(observed, Exact() if given is None else given)
    unknown = [name for name in chosen if name not in observed]
    if unknown:
        raise ArgumentError(f"`instrument` must be of what is observed, {', '.join(observed)}, but is {given!r}.")
    return tuple(_instrument(chosen.get(name, Exact())) for name in observed)


def _instrument(given: Any) -> Instrument:
    """Return an instrument, a matrix or a function as an instrument."""
    if isinstance(given, Instrument):
        return given
    if callable(given) and not isinstance(given, type):
        return Given(given)
    try:
        matrix = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        matrix = np.zeros(0)
    if matrix.ndim != 2 or not matrix.size:
        raise ArgumentError(
            f"`instrument` must be an instrument, such as fsp.Binomial(0.3), fsp.Poisson(2.0), fsp.Normal(1.5) or "
            f"fsp.Bins([0, 5]), a matrix or a function, but is {given!r}."
        )
    return Given(matrix)
