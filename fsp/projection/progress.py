"""What a long computation says of itself while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


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
    """

    t: float | None
    t_end: float | None
    n_states: int
    error: float
    message: str


ProgressCallback = Callable[[Progress], None]
