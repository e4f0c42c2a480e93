"""Which counts a picture shows: the axes follow the probability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fsp import analysis

if TYPE_CHECKING:
    from fsp.distribution.distribution import Distribution

BEYOND_AXIS = 1e-6  # share of the probability that may lie beyond either end of an axis: chosen
LEFT_OUT_LINEAR = 1e-4  # where no smaller probability could be seen: chosen


def limits(marginals: Sequence[Distribution], left_out: float = BEYOND_AXIS) -> tuple[int, int]:
    """Find the range of copies that leaves out at most the share `left_out` at either end of each marginal."""
    ranges = [analysis.middle(alone.states[:, 0], alone.probabilities, left_out) for alone in marginals]
    return min(low for low, _ in ranges), max(high for _, high in ranges)
