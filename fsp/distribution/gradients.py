"""Derivatives of a probability or a mean at several times: what is printed, and what a file keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fsp.distribution.display import Displayed, Saved
from fsp.distribution.ledger import Interval

if TYPE_CHECKING:
    from fsp.arrays import FloatArray


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Gradients(Displayed, Saved):
    """Derivatives of a formula by parameters, by time, as ``fsp gradient --out`` writes and `fsp.read` returns them.

    Parameters
    ----------
    formula
        The condition, or the number.
    times
        (n_times,) times.
    by_time
        For each time what `fsp.gradient` returns: an interval for each parameter.
    log
        Whether they are by the logarithms of the parameters.
    tol
        Half of the width that was asked for.
    """

    formula: str
    times: FloatArray
    by_time: tuple[Mapping[str, Interval], ...]
    log: bool
    tol: float

    @property
    def is_met(self) -> bool:
        """Whether all are bounds, as narrow as was asked for."""
        intervals = [interval for of_time in self.by_time for interval in of_time.values()]
        return all(interval.certified and interval.width <= 2.0 * self.tol for interval in intervals)

    def record(self) -> dict[str, Any]:
        """Return what JSON holds."""
        return {
            "of": self.formula,
            "tol": self.tol,
            "log": self.log,
            "times": [
                {"t": t, "gradient": {name: interval.record() for name, interval in of_time.items()}}
                for t, of_time in zip(self.times.tolist(), self.by_time, strict=True)
            ],
        }

    def __str__(self) -> str:
        """Return a line for each time and parameter."""
        by = "log " if self.log else ""
        lines = []
        for t, of_time in zip(self.times.tolist(), self.by_time, strict=True):
            lines.append(f"t = {t:g}: derivatives of {self.formula}")
            lines += [f"  ∂/∂{by}{name}: {interval}" for name, interval in of_time.items()]
        return "\n".join(lines)
