"""Check the bounds and limits that a user gives for a space."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fsp.arithmetic import as_double
from fsp.errors import StateSpaceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import IntArray
    from fsp.model import Model


LARGEST_BOUND = 2**53  # doubles hold whole numbers up to this


def bounds(model: Model, given: Mapping[str, int] | Sequence[int] | int, default: Any, what: str) -> IntArray:
    """Return one bound for each species, (n_species,): `given` by name, in model order, or one for all, checked."""
    values: dict[str, Any]
    if isinstance(given, int | float | np.number):
        values = dict.fromkeys(model.species, given)
    elif isinstance(given, Mapping):
        values = dict(given)
        unknown = sorted(set(values) - set(model.species))
        if unknown:
            raise StateSpaceError(f"`{what}` must name species ({', '.join(model.species)}), but names '{unknown[0]}'.")
    else:
        if len(given) != model.n_species:
            raise StateSpaceError(
                f"`{what}` must have one bound for each of the {model.n_species} species, but has {len(given)}."
            )
        values = dict(zip(model.species, given, strict=True))
    return np.array([_bound(name, values.get(name, d), what) for name, d in zip(model.species, default, strict=True)])


def _bound(name: str, value: Any, what: str) -> int:
    if not isinstance(value, int | float | np.number):
        raise StateSpaceError(f"`{what}` must be a non-negative integer, but is {value!r} for '{name}'.")
    if not np.isfinite(as_double(value)) and not isinstance(value, int):
        raise StateSpaceError(
            f"`{what}` must bound every species, but has none for '{name}' and no conservation law bounds it."
        )
    if value < 0 or value != int(value) or value > LARGEST_BOUND:
        raise StateSpaceError(f"`{what}` must be a non-negative integer, but is {value!r} for '{name}'.")
    return int(value)


def bytes_per_state(model: Model) -> int:
    """Return the bytes of a state that is enumerated: its key in list and hash set, and its counts."""
    return 8 * (model.n_species + 2)


class Limit(NamedTuple):
    """Largest number of states, and what the caller calls it."""

    states: int
    name: str

    def require(self, n: int, how: str) -> None:
        """Raise a StateSpaceError, which says `how` there are more, unless there are at most so many states."""
        if n > self.states:
            raise StateSpaceError(
                f"The number of states must be at most {self.states:,} (`{self.name}`), but {how}; raise the limit "
                f"or add constraints."
            )


def state_limit(model: Model, max_states: int | None, max_memory: int | None, default: int) -> Limit:
    """Return the stricter one of two limits; `default` states where the first is not given."""
    limit = default if max_states is None else min(max(max_states, 0), sys.maxsize)
    affordable = limit if max_memory is None else max_memory // bytes_per_state(model)
    return Limit(limit, "max_states") if limit <= affordable else Limit(affordable, "max_memory")


def check_size(what: str, n: int, model: Model, max_states: int, max_memory: int | None) -> None:
    """Raise a StateSpaceError if `n` states pass a limit."""
    if n > max_states:
        raise StateSpaceError(
            f"{what} must have at most {max_states:,} states (`max_states`), but has {n:,}; lower the bounds or raise "
            f"the limit."
        )
    needed = n * bytes_per_state(model)
    if max_memory is not None and needed > max_memory:
        raise StateSpaceError(
            f"{what} must fit into {max_memory:,} bytes (`max_memory`), but needs {needed:,}; lower the bounds or "
            f"raise the limit."
        )
