"""What counts as a simulator: a name, and samples on request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from fsp.arrays import FloatArray
    from fsp.model import Model


class Simulator(Protocol):
    """What can be asked for runs: an object of the caller's, or what `open_simulator` returns."""

    @property
    def name(self) -> str:
        """Name for reports."""
        ...

    def sample(self, model: Model, times: Sequence[float] | FloatArray, runs: int, seed: int) -> NDArray[Any]:
        """Return counts, (runs, n_times, n_species), species in the order of the model.

        A simulator that also takes the keyword ``first``, the number of the first run, is asked for more runs with the
        same `seed`; others are asked with another seed.  One that takes the keyword ``file`` is given the path of the
        model file, to read by itself, where there is one.
        """
        ...
