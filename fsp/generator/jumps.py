"""The changes of copy numbers by which a network jumps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, IntArray
    from fsp.model import Model


@dataclass(frozen=True, slots=True, eq=False)
class Jumps:
    """The changes of a network, in falling lexicographic order; those of zero do nothing."""

    changes: IntArray  # copy numbers added, (n_changes, n_species)
    reactions: tuple[tuple[int, ...], ...]  # indices of the reactions of each
    timed: BoolArray  # whether a rate of each depends on time, (n_changes,)

    @property
    def n_above(self) -> int:
        """Number of changes before that of the diagonal, zero."""
        return sum(tuple(change) > (0,) * len(change) for change in self.changes.tolist())


def jumps_of(model: Model) -> Jumps:
    """Group the reactions by change."""
    model.require_untimed("A generator")
    groups: dict[tuple[int, ...], list[int]] = {}
    for k, change in enumerate(model.change.tolist()):
        if any(change):
            groups.setdefault(tuple(change), []).append(k)
    ordered = sorted(groups, reverse=True)
    reactions = tuple(tuple(groups[change]) for change in ordered)
    timed = np.array([bool(model.time_dependent[list(ks)].any()) for ks in reactions], dtype=np.bool_)
    return Jumps(np.array(ordered, dtype=np.int64).reshape(len(ordered), model.n_species), reactions, timed)
