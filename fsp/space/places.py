"""Where states lie in a space that must hold them: an index of -1 would be taken for the last state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsp.errors import StateSpaceError

if TYPE_CHECKING:
    from fsp.arrays import IntArray
    from fsp.space.space import StateSpace


def places(space: StateSpace, states: IntArray) -> IntArray:
    """Return the index in a space of each of some states (m, n_species), (m,); a StateSpaceError if it lacks one."""
    index: IntArray = space.index(states)
    missing = index < 0
    if missing.any():
        lacking = dict(zip(space.species, states[missing][0].tolist(), strict=True))
        raise StateSpaceError(f"The space must hold the states that are asked for, but lacks {lacking}.")
    return index
