"""The time of a first passage, as a value: its law, its moments, and which target is reached first."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.checks import check_choice
from fsp.distribution import bounds, doors
from fsp.distribution.display import Displayed
from fsp.distribution.distribution import Provenance
from fsp.distribution.ledger import Interval
from fsp.errors import ArgumentError, BackendError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

    from fsp.arrays import FloatArray, IntArray
    from fsp.distribution.solution import Solution


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A function of time with its bounds; ``curve[k]`` is an `Interval`.

    Parameters
    ----------
    times
        (n,) times since the start.
    lower, upper
        (n,) bounds.
    value
        (n,) best estimates.
    certified
        Whether the exact numbers are proved to lie between the bounds.
    reason
        Why they are not.
    """

    times: FloatArray
    lower: FloatArray
    upper: FloatArray
    value: FloatArray
    certified: bool
    reason: str = ""

    def __len__(self) -> int:
        return len(self.times)

    def __iter__(self) -> Iterator[Interval]:
        return (self[k] for k in range(len(self)))

    def __getitem__(self, k: int) -> Interval:
        ends = float(self.lower[k]), float(self.upper[k])
        return Interval(*ends, float(self.value[k]), self.certified, self.reason)

    @classmethod
    def of(cls, times: FloatArray, intervals: list[Interval]) -> Curve:
        """Return the curve through intervals, one for each time."""
        lower, upper, value = (
            np.array([getattr(interval, name) for interval in intervals]) for name in ("lower", "upper", "value")
        )
        reason = next((interval.reason for interval in intervals if interval.reason), "")
        return cls(times, lower, upper, value, all(interval.certified for interval in intervals), reason)

    def rising(self) -> Curve:
        """Return the curve with what its bounds say of each other where it cannot fall."""
        lower, value = np.maximum.accumulate(self.lower), np.maximum.accumulate(self.value)
        upper = np.minimum.accumulate(self.upper[::-1])[::-1]
        return Curve(self.times, lower, np.maximum(lower, upper), value, self.certified, self.reason)


@dataclass(frozen=True, slots=True, eq=False)
class PassageLaw:
    """The law of a passage.

    Parameters
    ----------
    cdf
        P(T <= t) at the times asked for.
    first
        P(T <= t, this target is reached first), a curve for each target.
    solution
        The network that stays where a target holds, at these times.
    flux
        Formula of the rate at which a state is left for a target; empty where there is none.
    """

    cdf: Curve
    first: tuple[Curve, ...]
    solution: Solution
    flux: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class FromEach:
    """What is known of passages from each state before a target.

    Parameters
    ----------
    states
        (m, d) these states.
    mean
        (2, m) lower and upper bounds of the mean time.
    first
        (2, n_targets, m) bounds of the probability that each target is the first that is reached.
    """

    states: IntArray
    mean: FloatArray
    first: FloatArray


@dataclass(frozen=True, eq=False, repr=False)
class Passage(Displayed, Provenance):
    """The time T until one of some targets is reached first; infinite where none ever is.

    Parameters
    ----------
    targets
        Names of the targets; a condition without a name is its own.
    species
        (d,) names.
    tol
        The tolerance that was asked for.
    reached
        Probability that each target is reached first.
    never
        Probability that none is ever reached.
    moments
        E T, E T², …; none where propensities depend on time.
    conditional
        Mean time of the passages to each target, given that it is reached first.
    from_each
        Bounds from every stored state: `states`, `mean_from` and `first_from` are its parts.
    law
        The law at the times asked for; None where none were.
    """

    targets: tuple[str, ...]
    species: tuple[str, ...]
    tol: float
    reached: tuple[Interval, ...]
    never: Interval
    moments: tuple[Interval, ...]
    conditional: tuple[Interval, ...]
    from_each: FromEach
    law: PassageLaw | None = None

    @property
    def times(self) -> FloatArray:
        """(n,) times since the start, of the law; none where none were asked for."""
        return np.zeros(0) if self.law is None else self.law.cdf.times

    @property
    def first(self) -> tuple[Curve, ...]:
        """P(T <= t, this target is reached first), a curve for each target; none without times."""
        return () if self.law is None else self.law.first

    @property
    def states(self) -> IntArray:
        """(m, d) states before a target from which means are known."""
        return self.from_each.states

    @property
    def mean_from(self) -> FloatArray:
        """(2, m) lower and upper bounds of the mean time from each of `states`."""
        return self.from_each.mean

    @property
    def first_from(self) -> FloatArray:
        """(2, n_targets, m) bounds of the probability that each target is the first from each of `states`.

        Of two targets A and B the second row is the forward committor from A to B.
        """
        return self.from_each.first

    @property
    def cdf(self) -> Curve:
        """P(T <= t) at the times asked for."""
        if self.law is None:
            raise ArgumentError("`times` must be given for a law, but `fsp.passage` was called without; give some.")
        return self.law.cdf

    @property
    def survival(self) -> Curve:
        """P(T > t) at the times asked for."""
        cdf = self.cdf
        lower = np.maximum(np.nextafter(1.0 - cdf.upper, -np.inf), 0.0)
        upper = np.minimum(np.nextafter(1.0 - cdf.lower, np.inf), 1.0)
        value = np.clip(1.0 - cdf.value, lower, upper)
        return Curve(cdf.times, lower, upper, value, cdf.certified, cdf.reason)

    @cached_property
    def density(self) -> Curve:
        """Density of T at the times asked for, 1/time, where the moments of the network bound the rate into a target.

        Else its values are those of the stored probability, and it says why.
        """
        times, law = self.cdf.times, self.law
        if law is None or not law.flux:
            raise BackendError(
                "The density of a passage must be that of propensities and targets which are formulas, without events "
                "at known times; take differences of `cdf`."
            )
        values = []
        for distribution in law.solution:
            mean = distribution.expectation(law.flux)
            values.append(
                Interval(max(mean.lower, 0.0), mean.upper, mean.value * distribution.mass, mean.certified, mean.reason)
            )
        return Curve.of(times, values)

    def probability(self, target: str | None = None) -> Interval:
        """Return the probability that a target is reached first; without a name, that any is ever reached.

        Raises
        ------
        ArgumentError
            If there is no such target.
        """
        if target is not None or len(self.targets) == 1:
            return self.reached[0 if target is None else self._number(target)]
        if self.never.upper == 0.0:
            return Interval(1.0, 1.0, 1.0, self.never.certified, self.never.reason)
        lower = max(0.0, math.nextafter(1.0 - self.never.upper, 0.0))
        upper = min(1.0, math.nextafter(1.0 - self.never.lower, 2.0))
        return Interval(lower, upper, 1.0 - self.never.value, self.never.certified, self.never.reason)

    def mean(self, target: str | None = None) -> Interval:
        """Return the mean of T; of one target, that of the passages which reach it first.

        Raises
        ------
        ArgumentError
            If there is no such target.
        BackendError
            If propensities depend on time.
        """
        if target is None:
            return self.moment(1)
        self._require_moments()
        return self.conditional[self._number(target)]

    def moment(self, order: int) -> Interval:
        """Return the mean of T to a power.

        Raises
        ------
        ArgumentError
            If the order is not one of those that were asked for.
        BackendError
            If propensities depend on time.
        """
        self._require_moments()
        if order not in range(1, len(self.moments) + 1):
            raise ArgumentError(
                f"`order` must be 1 to {len(self.moments)}, but is {order!r}; `fsp.passage` takes `orders=`."
            )
        return self.moments[order - 1]

    def variance(self) -> Interval:
        """Return the variance of T.

        Raises
        ------
        ArgumentError
            If moments of the second order were not asked for.
        BackendError
            If propensities depend on time.
        """
        mean, square = self.moment(1), self.moment(2)
        if not math.isfinite(mean.lower):
            return Interval(0.0, math.inf, math.nan, certified=False, reason="the mean is infinite")
        return bounds.variance(mean, square, 0.0, max(0.0, square.value - mean.value * mean.value))

    def quantile(self, q: float) -> Interval:
        """Bound the least time by which a share `q` of the passages is done, by the times of the law around it.

        Raises
        ------
        ArgumentError
            If `q` is not between 0 and 1, or no times were asked for.
        """
        if not 0.0 < q < 1.0:
            raise ArgumentError(f"`q` must be between 0 and 1, but is {q!r}.")
        cdf = self.cdf
        before, after = np.flatnonzero(cdf.upper < q), np.flatnonzero(cdf.lower >= q)
        lower = float(cdf.times[before[-1]]) if len(before) else 0.0
        upper = float(cdf.times[after[0]]) if len(after) else math.inf
        value = float(np.interp(q, cdf.value, cdf.times)) if cdf.value[-1] >= q else lower
        reason = "" if len(after) else "the last of the times comes before it"
        certified = cdf.certified and bool(len(after))
        return Interval(lower, upper, min(max(value, lower), upper), certified, reason or cdf.reason)

    def plot(self, *, ax: Axes | None = None) -> Any:
        """Draw the probabilities of passages up to each time, in bands of their bounds.

        Parameters
        ----------
        ax
            Axes of matplotlib to draw into; a new figure if None.

        Returns
        -------
        matplotlib.figure.Figure or matplotlib.axes.Axes
            The picture, or `ax`.

        Raises
        ------
        ArgumentError
            If there are no times.
        """
        return doors.passage(self, ax)

    def _number(self, target: str) -> int:
        check_choice("target", target, self.targets)
        return self.targets.index(target)

    def _require_moments(self) -> None:
        if not self.moments:
            raise BackendError(
                "Moments of a passage must be asked for (`orders=`), and be those of constant propensities, not of "
                "propensities that depend on time, or with events at known times; its law at `times` is known."
            )

    def record(self) -> dict[str, Any]:
        """Return all that is known in plain dictionaries and lists, at full precision."""
        record: dict[str, Any] = {
            **self._of_model(),
            "tol": self.tol,
            "never": self.never.record(),
            "moments": [interval.record() for interval in self.moments],
            "targets": {name: {"probability": p.record()} for name, p in zip(self.targets, self.reached, strict=True)},
            "times": self.times.tolist(),
            "notes": list(self.notes),
        }
        for name, interval in zip(self.targets, self.conditional, strict=bool(self.conditional)):
            record["targets"][name]["mean"] = interval.record()
        if self.law is not None:
            record["cdf"] = [interval.record() for interval in self.cdf]
            for name, curve in zip(self.targets, self.first, strict=True):
                record["targets"][name]["cdf"] = [interval.record() for interval in curve]
        return record

    def __str__(self) -> str:
        unit = f" {self.time_unit}" if self.time_unit else ""
        lines = [f"first passage to {' or '.join(self.targets)}:"]
        if self.moments:
            lines.append(f"  reached with probability {self.probability()}")
            lines.append(f"  mean time {self.mean()}{unit}")
        if len(self.moments) > 1:
            lines.append(f"  variance of the time {self.variance()}")
        if len(self.targets) > 1 and self.moments:
            for name, share in zip(self.targets, self.reached, strict=True):
                after = f", after {self.mean(name)}{unit} in the mean" if self.moments else ""
                lines.append(f"  {name} first with probability {share}{after}")
        if self.law is not None:
            for t, interval in zip(self.times.tolist(), self.cdf, strict=True):
                lines.append(f"  by t = {t:.8g}{unit}: {interval}")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])
