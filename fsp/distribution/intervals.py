"""Questions that a distribution answers with an `Interval`: events, means, variances, single states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fsp.distribution import bounds, formulas
from fsp.distribution.landscape import HasLandscape
from fsp.distribution.ledger import Interval
from fsp.distribution.statistics import Statistics
from fsp.errors import ArgumentError
from fsp.model.expression import Expression, Number, Symbol, call
from fsp.moments import MomentBounds, PendingBounds
from fsp.moments.envelope import envelope
from fsp.moments.envelope_rules import Envelope

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fsp.arrays import BoolArray, FloatArray, IntArray
    from fsp.distribution.ledger import ErrorLedger


class Intervals(Statistics, HasLandscape):
    """What the error of a distribution, and the moments that its model bounds, say of one number."""

    t: float | None
    error: ErrorLedger
    closed: bool
    observables: Mapping[str, str]
    moments: MomentBounds | PendingBounds | None
    state_bounds: FloatArray | None
    _points_off: ClassVar[float] = 0.0  # relative rounding of the probabilities that `_points_of` gives

    @property
    def mass(self) -> float:
        """Sum of the stored probabilities."""
        return float(self.probabilities.sum())

    @property
    def lower(self) -> FloatArray:
        """(n,) lower bounds of the probability of each state, certified where `error` is."""
        bounds_below = bounds.single_states(self.probabilities, self.mass, self.error)[0]
        return bounds_below if self.state_bounds is None else np.maximum(bounds_below, self.state_bounds[0])

    @property
    def upper(self) -> FloatArray:
        """(n,) upper bounds of the probability of each state, certified where `error` is."""
        bounds_above = bounds.single_states(self.probabilities, self.mass, self.error)[1]
        return bounds_above if self.state_bounds is None else np.minimum(bounds_above, self.state_bounds[1])

    def probability(self, event: str | Mapping[str, int]) -> Interval:
        """Bound the probability of an event.

        Parameters
        ----------
        event
            A condition such as ``"U > 40 && V < 10"``, or copy numbers such as ``{"U": 3, "V": 4}``, where
            species that are not named may have any.

        Returns
        -------
        Interval
            Certified where `error` is.

        Raises
        ------
        ArgumentError
            If the condition cannot be read, or is not a condition.
        """
        mask = self._event(event)
        if (
            self.state_bounds is not None
            and isinstance(event, Mapping)
            and len(event) == len(self.species)
            and mask.any()
        ):
            place = int(np.argmax(mask))
            ends = float(self.lower[place]), float(self.upper[place])
            return bounds.single_state(*ends, float(self.probabilities[place]), self.error)
        return bounds.event(*self._parts_of(mask), self.error)

    def expectation(self, formula: str) -> Interval:
        """Bound the mean of a function of the state, where the error of the probabilities bounds it.

        Parameters
        ----------
        formula
            A formula of species and observables, such as ``"U*V"``.

        Returns
        -------
        Interval
            Certified where `error` is, and `formula` is a condition, or all reachable states are stored
            (`closed`), or `moments` bounds its tail; and for polynomials of degree two of affine networks.  Else
            its value is the mean over the stored probability, and it says why.

        Raises
        ------
        ArgumentError
            If the formula cannot be read, or is not finite in a stored state.
        """
        values = self._observe(formula)
        if values.dtype == np.bool_:
            return bounds.event(*self._parts_of(values), self.error)
        self._require_finite(formula, values)
        tree = formulas.read_formula(formula, self.species, self.observables, self.t)
        off = formulas.rounding_on(self.states, tree, self.species, self.t)  # (n,)
        if (certain := _certain_value(self, values, off)) is not None:
            return certain
        below, above = (self._bounded_mean(tree, self._points_of(end)) for end in (values - off, values + off))
        return bounds.between(below, above)

    def mean_interval(self) -> dict[str, Interval]:
        """Bound the mean copy number of each species.

        Returns
        -------
        dict
            An interval for each species; see `expectation`.
        """
        return {name: self._mean_of(name) for name in self.species}

    def variance_interval(self) -> dict[str, Interval]:
        """Bound the variance of each species.

        Returns
        -------
        dict
            An interval for each species, certified where those of the mean and of the squared deviation are.
        """
        variances = self.variance()
        return {name: self._variance_of(name, variances[name]) for name in self.species}

    def _certain(self, name: str) -> Interval | None:
        """Return the count that a species certainly has; None where several are possible, or anything is in error."""
        if not _is_exact(self):
            return None
        least, greatest = self._ends_of(name)
        return Interval(least, least, least, certified=True) if least == greatest else None

    def _ends_of(self, name: str) -> tuple[float, float]:
        """Return the least and the greatest count of a species that have probability."""
        return self._range_of(self.states[:, self._column(name)])

    def _range_of(self, values: NDArray[Any]) -> tuple[float, float]:
        """Return the least and the greatest of (n,) values in states that have probability."""
        held = values[self.probabilities > 0.0]
        return float(held.min()), float(held.max())

    def _mean_of(self, name: str) -> Interval:
        if (certain := self._certain(name)) is not None:
            return certain
        return self._bounded_mean(Symbol(name), self._points_about(name, 0.0, 1))

    def _variance_of(self, name: str, value: float) -> Interval:
        if self._certain(name) is not None:
            return Interval(0.0, 0.0, 0.0, certified=True)
        centre = float(round(self.mean()[name]))
        square = call("^", call("-", Symbol(name), Number(centre)), Number(2.0))
        spread_about = self._bounded_mean(square, self._points_about(name, centre, 2), not_negative=True)
        return bounds.variance(self._mean_of(name), spread_about, centre, value)

    @cached_property
    def _moment_bounds(self) -> MomentBounds | None:
        return self.moments.bounds if isinstance(self.moments, PendingBounds) else self.moments

    def _bounded_mean(self, formula: Expression, points: bounds.Points, *, not_negative: bool = False) -> Interval:
        """Bound the mean of a function by all that is known: stored states, tails, moment equations."""
        moments = self._moment_bounds
        probabilities, values = points
        if moments is None and not self.closed:
            return bounds.unbounded_mean(probabilities, values)
        if moments is None:
            return bounds.closed_mean(probabilities, values, self.error)
        enclosing = envelope(formula, self.species, self.t or 0.0)
        if self.closed:
            interval = bounds.closed_mean(probabilities, values, self.error)
        else:
            floor = Envelope({}, enclosing.upper) if not_negative else enclosing
            interval = bounds.tail_mean(probabilities, values, self.error, floor, moments, self._points_off)
        return bounds.with_equations(interval, enclosing, moments)

    def _parts_of(self, mask: BoolArray) -> tuple[FloatArray, BoolArray]:
        """Return probabilities and the mask of an event, of all states or of as many as have the same sums."""
        return self.probabilities, mask

    def _points_of(self, values: FloatArray) -> bounds.Points:
        """Return probabilities and values, of all states or of as many as have the same sums and extremes."""
        return self.probabilities, values

    def _points_about(self, name: str, centre: float, power: int) -> bounds.Points:
        """Return the points of a power of the distance of a count from a centre."""
        distance = self.states[:, self._column(name)] - centre  # (n,)
        return self._points_of(np.asarray(distance**power, dtype=np.float64))

    def _require_finite(self, formula: str, values: FloatArray) -> None:
        if not np.isfinite(values).all():
            place = int(np.argmin(np.isfinite(values)))
            raise ArgumentError(
                f"`formula` must be finite in every state, but '{formula}' is {values[place]} "
                f"in state {self._by_species(self.states[place])}."
            )

    def _observe(self, formula: str) -> NDArray[Any]:
        return formulas.values_on(self.states, formula, self.species, self.observables, self.t)

    def _event(self, event: str | Mapping[str, int]) -> BoolArray:
        """Return where an event holds, (n,)."""
        mask = _holding(self.states, event, self._column) if isinstance(event, Mapping) else self._observe(event)
        if mask.dtype != np.bool_:
            raise ArgumentError(f"`event` must be a condition on counts, such as 'U > 40', but '{event}' is a number.")
        return mask


def _is_exact(dist: Intervals) -> bool:
    """Tell whether nothing is in error, as at a start that is known."""
    return dist.error.certified and dist.error.total == 0.0 and dist.mass == 1.0


def _certain_value(dist: Intervals, values: FloatArray, off: FloatArray) -> Interval | None:
    """Return the value that a formula certainly has, of (n,) values each off by so much; None where it varies."""
    if not _is_exact(dist):
        return None
    least, greatest = dist._range_of(values)
    if least < greatest:
        return None
    return Interval(dist._range_of(values - off)[0], dist._range_of(values + off)[1], least, certified=True)


def _holding(states: IntArray, counts: Mapping[str, int], column_of: Callable[[str], int]) -> BoolArray:
    """Return where species have these counts, (n,); `states` are (n, n_species)."""
    mask = np.ones(len(states), dtype=bool)
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int | np.integer):
            raise ArgumentError(f"`event` must give whole copy numbers, but '{name}' is {count!r}.")
        mask &= states[:, column_of(name)] == count
    return mask
