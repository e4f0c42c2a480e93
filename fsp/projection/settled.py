"""A stationary answer on a space, proved or not yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.distribution import ErrorLedger
    from fsp.generator import Generator
    from fsp.space import StateSpace


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """An answer on a space.

    Parameters
    ----------
    generator
        Of the space.
    p, lower, upper
        (n,) probabilities and bounds of each.
    error
        The bounds; infinite truncation where nothing is proved.
    weight
        (n,) where probability flows out from.
    notes
        Remarks.
    """

    generator: Generator
    p: FloatArray
    lower: FloatArray
    upper: FloatArray
    error: ErrorLedger
    weight: FloatArray
    notes: tuple[str, ...] = ()

    @property
    def proved(self) -> bool:
        """Whether there is a bound."""
        return bool(np.isfinite(self.error.total))


def example(space: StateSpace, index: int) -> str:
    """Return a state as text, ``U=3, V=0``."""
    state = space.states_at(np.array([index]))[0]
    return ", ".join(f"{name}={x}" for name, x in zip(space.species, state, strict=True))
