"""A log-likelihood with its parts: what is printed, and what a file keeps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fsp.distribution.counts import Counts
from fsp.distribution.display import Displayed, Saved
from fsp.distribution.ledger import Interval
from fsp.distribution.text import counted
from fsp.errors import ArgumentError

if TYPE_CHECKING:
    from fsp.arrays import FloatArray

NAMED_CELLS = 4  # cells without probability that are printed; chosen


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class LogLikelihood(Displayed, Saved):
    """A log-likelihood, with its parts by time and condition, as `fsp.read` returns it: without the model.

    Parameters
    ----------
    value
        The interval, in nats.
    by_time
        Log-likelihood of the cells at each time.
    impossible
        Cells to which the model gives no probability, in words; the log-likelihood is then minus infinity.
    counts
        The cells.
    by_condition
        Log-likelihood of the cells of each condition, where there are several; `by_time` and `by_cell` are then empty,
        and those of each condition have them.
    logs
        For each time (2, m) bounds of the logarithm of the probability of each of ``counts.values`` there.
    """

    value: Interval
    by_time: tuple[Interval, ...]
    impossible: tuple[str, ...]
    counts: Counts
    by_condition: Mapping[str, LogLikelihood] = field(default_factory=dict)
    logs: tuple[FloatArray, ...] = ()

    @property
    def by_cell(self) -> tuple[tuple[Interval, ...], ...]:
        """For each time what a cell contributes that has each of ``counts.values`` there, in nats: (m,) intervals."""
        reason = self.value.reason
        return tuple(tuple(_between(low, high, reason) for low, high in logs.T.tolist()) for logs in self.logs)

    @property
    def least(self) -> float:
        """The smallest probability of a cell; 0 where one is impossible."""
        if self.by_condition:
            return min(part.least for part in self.by_condition.values())
        return 0.0 if self.impossible else math.exp(min(float(logs[0].min()) for logs in self.logs))

    def gradient(
        self, parameters: Sequence[str], *, method: str = "auto", processes: int | None = None, progress: Any = None
    ) -> dict[str, Interval]:
        """Refuse: derivatives need the model, which a file does not keep.

        Parameters
        ----------
        parameters, method, processes, progress
            As for the answer of `fsp.likelihood`, which has a gradient.

        Raises
        ------
        ArgumentError
            Always.
        """
        raise ArgumentError(
            "`gradient` must be of a log-likelihood of this process, but this one was read from a file, which keeps no "
            "model; use fsp.likelihood(model, likelihood.counts).gradient(...)."
        )

    def record(self) -> dict[str, Any]:
        """Return what JSON holds."""
        return {
            "log_likelihood": self.value.record(),
            "cells": self.counts.n_cells,
            "times": self._times(),
            "conditions": [
                {"label": label, "cells": part.counts.n_cells, **part.value.record(), "times": part._times()}
                for label, part in self.by_condition.items()
            ],
            "impossible": list(self.impossible),
        }

    def _times(self) -> list[dict[str, Any]]:
        """Return the parts by time; none where there are conditions, whose parts these are."""
        if self.by_condition:
            return []
        times = zip(self.counts.times.tolist(), self.by_time, self.counts.cells, strict=True)
        return [{"t": t, "cells": int(n.sum()), **interval.record()} for t, interval, n in times]

    def __str__(self) -> str:
        """Return the value, and that of each time."""
        lines = [f"log-likelihood of {self.counts.n_cells:,} cells: {self.value}"]
        lines += [f"{label}: {interval}" for label, interval in self.by_condition.items()]
        times = zip(self.counts.times.tolist() if self.by_time else (), self.by_time, self.counts.cells, strict=True)
        lines += [f"  t = {t:g}: {interval}, {counted(int(n.sum()), 'cell')}" for t, interval, n in times]
        lines += [f"  note: {text}" for text in self.impossible[:NAMED_CELLS]]
        more = len(self.impossible) - NAMED_CELLS
        return "\n".join([*lines, *([f"  note: so have {more:,} other counts; see `impossible`"] if more > 0 else [])])


def _between(low: float, high: float, reason: str) -> Interval:
    """Return the interval of a logarithm; its value is minus infinity where that cannot be excluded."""
    return Interval(low, high, low if low == -math.inf else 0.5 * (low + high), not reason, reason)
