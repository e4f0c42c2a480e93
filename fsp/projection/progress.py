"""What a long computation says of itself while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fsp.distribution import Solution, Sweep


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of a computation.

    Parameters
    ----------
    t, t_end
        Time reached and final time; None for a stationary distribution.
    n_states
        Size of the state space.
    error
        Error spent so far (transient) or estimated now (stationary).
    message
        What is being done.
    reached
        Gives what there is of the answer; None where there is nothing yet.
    """

    t: float | None
    t_end: float | None
    n_states: int
    error: float
    message: str
    reached: Callable[[], Solution] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class SweepProgress:
    """A moment of a sweep.

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


ProgressCallback = Callable[[Progress], None]
SweepCallback = Callable[[SweepProgress], None]
