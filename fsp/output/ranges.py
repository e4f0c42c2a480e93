"""Which counts a picture shows: the axes follow the probability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fsp import analysis

if TYPE_CHECKING:
    from fsp.distribution.distribution import Distribution

LEFT_OUT = 1e-6  # share of the probability that may lie beyond either end of an axis: chosen


def limits(marginals: Sequence[Distribution]) -> tuple[int, int]:
    """Find the range of copies that leaves out at most the share `LEFT_OUT` at either end of each marginal."""
    ranges = [analysis.middle(alone.states[:, 0], alone.probabilities, LEFT_OUT) for alone in marginals]
    return min(low for low, _ in ranges), max(high for _, high in ranges)
