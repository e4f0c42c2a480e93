"""How far the rates of a space may be from the exact ones, and what that does to an answer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fsp.generator.coefficients import Joint, Term
from fsp.model.accuracy import ORDINARY
from fsp.model.expression import ONE
from fsp.model.taylor import constant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import FloatArray
    from fsp.model import Model
    from fsp.model.tree import Expression

NOTED_ERROR = 1e-12  # relative error of a rate that is worth a remark
WAYS_OUT = (
    "write it without, as 2*exp(-x/2)*sinh(x/2) in place of 1 - exp(-x), or x/(sqrt(a + x) + sqrt(a)) in place of "
    "sqrt(a + x) - sqrt(a)"
)


@dataclass(frozen=True, slots=True, eq=False)
class RateErrors:
    """How far the rates of a space may be from the exact ones, whatever the clocks."""

    relative: float  # relative error of all rates, but for what is in `absolute`
    absolute: FloatArray  # the error of the rates out of a state beyond that, for each clock, (n_clocks,) 1/time
    worst: float  # largest relative error of a single rate; infinite where one is zero and may be another
    reaction: int  # index of the reaction whose rate has the largest error

    @classmethod
    def of(cls, parts: list[Term | Joint], clocks: dict[Expression, int]) -> RateErrors:
        """Collect the errors of all parts of the rates; they add up where they are not relative."""
        absolute = np.zeros(len(clocks))
        for part in parts:
            absolute[clocks[part.clock if isinstance(part, Term) else ONE]] += part.accuracy.absolute
        accuracies = [(part.accuracy.relative, part.accuracy.worst) for part in parts]
        relative, worst = (
            max(errors, default=0.0) for errors in (zip(*accuracies, strict=True) if accuracies else ((), ()))
        )
        least = max(parts, key=lambda part: (part.accuracy.absolute, part.accuracy.worst), default=None)
        return cls(relative, absolute, worst, -1 if least is None else least.reaction)

    def charge(self, clocks: Sequence[Expression], values: FloatArray | None, start: float, end: float) -> float:
        """Bound the integral of ``2 Σ |error of a rate|`` out of any state, but for what is relative.

        `values` are those of the clocks (n_clocks,) where they are the same at all times.
        """
        total = 0.0
        for index, error in enumerate(self.absolute.tolist()):
            if error:
                known = 1.0 if index == 0 else None if values is None else float(values[index])
                total += error * (_largest(clocks[index], start, end) if known is None else known)
        return 2.0 * total * (end - start)

    @property
    def lost(self) -> float:
        """An estimate of what rounding in rate formulas does to an answer; 0 where that is nothing beside the rest."""
        return min(2.0, self.worst) if self.worst > ORDINARY else 0.0

    def remarks(self, model: Model) -> tuple[str, ...]:
        """Name the rate whose formula loses digits, if one does."""
        if not self.worst > NOTED_ERROR:
            return ()
        digits = max(0, math.floor(-math.log10(min(self.worst, 1.0))))
        return (
            f"the formula of the rate of '{model.reactions[self.reaction].name}' has {digits or 'no'} correct digits "
            f"in some states, where it subtracts nearly equal numbers, decides within its rounding or falls below the "
            f"least double; {WAYS_OUT}",
        )


def _largest(clock: Expression, start: float, end: float) -> float:
    """Bound a clock on a stretch of time."""
    middle = constant(clock, start, end)
    return np.inf if middle is None else abs(middle.coefficients[0]) + middle.remainder
