"""The counts that a simulator is to give: of which species, and what becomes of those that it leaves out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fsp.arrays import FloatArray, IntArray
from fsp.errors import BackendError

NEAR_WHOLE = 1e-6  # relative: how far a count may be from a whole number


@dataclass(frozen=True, slots=True)
class RequiredCounts:
    """The species of a network, in order."""

    species: tuple[str, ...]
    fixed: tuple[tuple[str, int], ...] = ()  # those that nothing changes, with their counts

    def gathered(self, has: Mapping[str, FloatArray], n: int) -> FloatArray:
        """Return the counts of all species, (n, n_species), of a simulator that gives some, (n,) each.

        What it leaves out although nothing changes it, such as boundary species, has the count that it starts with.
        """
        counts = dict(self.fixed)
        lacking = [name for name in self.species if name not in has and name not in counts]
        if lacking:
            raise BackendError(
                f"Simulator must give a count of each of {', '.join(self.species)}, but lacks '{lacking[0]}': it has "
                f"{', '.join(has)}."
            )
        columns = [has[name] if name in has else np.full(n, float(counts[name])) for name in self.species]
        return np.stack(columns, axis=1).astype(np.float64)

    def whole_counts(self, values: FloatArray, name: str, times: Sequence[float], first: int) -> IntArray:
        """Return counts, (runs, n_times, n_species), as integers, or raise a BackendError that names what is none."""
        rounded = np.rint(values)
        bad = np.argwhere(~(np.abs(values - rounded) <= NEAR_WHOLE * np.maximum(1.0, np.abs(rounded))))
        if len(bad):
            run, k, j = bad[0].tolist()
            raise BackendError(
                f"Simulator '{name}' must give whole counts, but run {first + run} has {self.species[j]} = "
                f"{values[run, k, j]:.17g} at t = {times[k]:g}."
            )
        return rounded.astype(np.int64)
