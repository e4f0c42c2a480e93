"""What a network accumulates over a time, as a value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.distribution.display import Displayed
from fsp.distribution.distribution import Provenance
from fsp.errors import ArgumentError

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.distribution.ledger import Interval
    from fsp.distribution.passage import Curve


@dataclass(frozen=True, eq=False, repr=False)
class Reward(Displayed, Provenance):
    """Time spent in a condition, cost accumulated, or firings of a reaction, from the start up to some times.

    Parameters
    ----------
    what
        The formula, or the name of the reaction.
    firings
        Whether firings of a reaction are counted.
    until
        The condition that ends it; empty for none.
    tol
        The tolerance that was asked for.
    mean, second_moment, variance
        E R(t), E R(t)², Var R(t) at the times; `mean[k]` is an `Interval`.  Of all that is accumulated before `until`
        at the only time infinity.
    n_states
        How many states were stored.
    """

    what: str
    firings: bool
    until: str
    tol: float
    mean: Curve
    second_moment: Curve
    variance: Curve
    n_states: int

    @property
    def times(self) -> FloatArray:
        """(n_times,) times t; only infinity where there is no limit but `until`."""
        return self.mean.times

    @property
    def average(self) -> Curve:
        """Mean of R(t)/t, the average over the time; an ArgumentError where t is 0."""
        return self._divided(self.mean, self.times)

    @property
    def average_variance(self) -> Curve:
        """Variance of R(t)/t; an ArgumentError where t is 0."""
        return self._divided(self.variance, self.times**2)

    def _divided(self, curve: Curve, by: FloatArray) -> Curve:
        if not 0.0 < by[0] < np.inf:
            raise ArgumentError(f"`times` must be positive and finite for an average, but begin with {by[0]}.")
        ends = np.nextafter(curve.lower / by, -np.inf), np.nextafter(curve.upper / by, np.inf)
        return replace(curve, lower=np.maximum(ends[0], 0.0), upper=ends[1], value=curve.value / by)

    def record(self) -> dict[str, Any]:
        """Return all that is known in plain dictionaries and lists, at full precision."""
        return {
            **self._of_model(),
            "tol": self.tol,
            "reward": self.what,
            "firings": self.firings,
            "until": self.until,
            "states": self.n_states,
            "times": self.times.tolist() if np.isfinite(self.times).all() else None,
            "mean": [number.record() for number in self.mean],
            "variance": [number.record() for number in self.variance],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        what = f"firings of {self.what}" if self.firings else f"integral of {self.what} over time"
        until = f" until {self.until}" if self.until else ""
        unit = f" {self.time_unit}" if self.time_unit else ""
        lines = [f"{what}{until}: {self.n_states:,} states"]
        for t, mean, variance in zip(self.times.tolist(), self.mean, self.variance, strict=True):
            upto = f"up to t = {t:.8g}{unit}" if t < np.inf else "in all"
            lines.append(f"  {upto}: mean {mean}, variance {variance}")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


@dataclass(frozen=True, eq=False, repr=False)
class AverageReward(Displayed, Provenance):
    """A long-run average reward: time in a condition, cost, or firings per unit of time.

    Parameters
    ----------
    what
        The formula, or the name of the reaction.
    firings
        Whether firings of a reaction are counted.
    tol
        The tolerance that was asked for.
    mean
        Mean of the average, 1/time for firings.
    variance
        The limit of t Var(R(t)/t) for long times t; None for firings.
    """

    what: str
    firings: bool
    tol: float
    mean: Interval
    variance: Interval | None

    def record(self) -> dict[str, Any]:
        """Return all that is known in plain dictionaries and lists, at full precision."""
        return {
            **self._of_model(),
            "tol": self.tol,
            "reward": self.what,
            "firings": self.firings,
            "mean": self.mean.record(),
            "variance": None if self.variance is None else self.variance.record(),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        what = f"firings of {self.what} in a unit of time" if self.firings else f"average of {self.what}"
        lines = [f"{what} over a long time: mean {self.mean}"]
        if self.variance is not None:
            lines.append(f"  variance of the average over a time t: {self.variance} / t")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])
