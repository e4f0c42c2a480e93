"""What a long computation says of itself while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fsp.bars import silent

if TYPE_CHECKING:
    from fsp.distribution import Solution, Sweep


@dataclass(frozen=True, slots=True)
class Progress:
    """State of a computation at one moment, as callbacks get it.

    Parameters
    ----------
    t, t_end
        Time reached and final time; None for a stationary distribution.
    n_states
        Size of the state space; 0 while only worker processes have one.
    error
        Error spent so far (transient) or estimated now (stationary).
    message
        What is being done.
    reached
        Function that returns the answer so far; None where there is none yet.
    """

    t: float | None
    t_end: float | None
    n_states: int
    error: float
    message: str
    reached: Callable[[], Solution] | None = field(default=None, repr=False, compare=False)

    @property
    def share(self) -> tuple[float, float | None]:
        """How far it is, and how far it goes; None where nothing says that."""
        return self.t or 0.0, self.t_end

    @property
    def status(self) -> str:
        """How far it is, in a line."""
        reached = "" if self.t is None else f"t = {self.t:.4g} of {self.t_end:.4g}, "
        if not self.n_states:
            return f"{reached}{self.message}"
        message = f", {self.message}" if self.message else ""
        return f"{reached}{self.n_states:,} states, error {self.error:.1e}{message}"


@dataclass(frozen=True, slots=True)
class SweepProgress:
    """State of a sweep at one moment, as callbacks get it.

    Parameters
    ----------
    done, total
        Numbers of points: solved or failed, and all.
    failed
        Number of those that failed.
    n_states, error
        Of the largest space, and the largest error, so far.
    message
        The point that was finished last.
    reached
        Gives the points that are done; None where there is none.
    kind
        What is counted.
    """

    done: int
    total: int
    failed: int
    n_states: int
    error: float
    message: str
    reached: Callable[[], Sweep] | None = field(default=None, repr=False, compare=False)
    kind: str = "points"

    @property
    def share(self) -> tuple[float, float | None]:
        """How many are done, and how many there are."""
        return self.done, self.total

    @property
    def status(self) -> str:
        """How far it is, in a line."""
        failed = f" ({self.failed} failed)" if self.failed else ""
        last = f", last {self.message}" if self.message else ""
        head = f"{self.done} of {self.total} {self.kind}{failed}{last}"
        return f"{head}, up to {self.n_states:,} states, error {self.error:.1e}" if self.n_states else head


ProgressCallback = Callable[[Progress], None]
SweepCallback = Callable[[SweepProgress], None]


def labelled(report: ProgressCallback, *words: str) -> ProgressCallback:
    """Return a callback that says of which part of the work its moments are."""
    if report is silent or not any(words):
        return report

    def tell(moment: Progress) -> None:
        report(replace(moment, message=", ".join(part for part in (*words, moment.message) if part)))

    return tell
