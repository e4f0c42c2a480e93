"""What is seen of the states at one time: counts of what is observed, and what instruments make of them.

With W(z | x) >= 0 a lower bound of the probability T(z | x) that x is seen as z, vectors over states become vectors
over outcomes, ``y_z = Σ_x W(z | x) y_x``; what W lacks of T is at most η, summed over outcomes, for each x.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.linalg import khatri_rao

from fsp.arithmetic import SUM_ROUNDING
from fsp.distribution import formulas
from fsp.errors import ArgumentError, StateSpaceError
from fsp.inference.instruments import MOST_ENTRIES, Exact, Instrument, instruments_of, require_small

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.distribution import Distribution


class Channel(NamedTuple):
    """What instruments make of each category of states."""

    weights: FloatArray  # W, (m, n)
    lacking: float  # η


def formulas_of(observe: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return what is observed, in formulas; none where that is all species."""
    if observe is None:
        return ()
    given = (observe,) if isinstance(observe, str) else tuple(observe)
    if not given or not all(isinstance(text, str) for text in given):
        raise ArgumentError(f"`observe` must be one or more formulas such as 'A + B', but is {observe!r}.")
    return given


def instruments_for(
    given: Instrument | Mapping[str, Instrument] | None,
    observe: str | Sequence[str] | None,
    species: Sequence[str],
    values: Mapping[str, float],
) -> tuple[Instrument, ...] | None:
    """Return the instrument of each thing that is observed, all species where nothing is named; None without one."""
    if given is None:
        return None
    return tuple(own.at(values) for own in instruments_of(given, formulas_of(observe) or tuple(species)))


def categories(
    distribution: Distribution, observe: str | Sequence[str] | None
) -> tuple[FloatArray, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Return what can be observed, (n_categories, n_formulas), and which of it each state is, (n,)."""
    if observe is None:
        return distribution.states.astype(np.float64), np.arange(len(distribution.states))
    columns = []
    for text in formulas_of(observe):
        values = formulas.values_on(
            distribution.states, text, distribution.species, distribution.observables, distribution.t
        )
        columns.append(np.broadcast_to(values, len(distribution.states)).astype(np.float64))
    table, place = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
    return table, place.reshape(-1)


def channel(there: FloatArray, instruments: Sequence[Instrument]) -> Channel:
    """Return what instruments make of the counts `there`, (n, n_formulas)."""
    weights, off, absolute = np.ones((1, len(there))), 0.0, 0.0
    for values, instrument in zip(there.T, instruments, strict=True):
        if isinstance(instrument, Exact):
            seen, place = np.unique(values, return_inverse=True)
            own = np.zeros((len(seen), len(values)))
            own[place.reshape(-1), np.arange(len(values))] = 1.0
        else:
            counts = _counts(values)
            largest = int(counts.max())
            reach = instrument.reach(largest)
            require_small(reach, largest)
            seen = np.unique(instrument.standing(np.arange(reach + 1)))
            table = instrument.between(seen, counts)
            own, off, absolute = table.values, off + table.relative, absolute + len(seen) * table.absolute
        if len(weights) * own.size > MOST_ENTRIES:
            raise StateSpaceError(
                f"Instruments must have a table of at most {MOST_ENTRIES:,} entries, but what is seen together has "
                f"{len(weights) * own.size:,}; observe less, or a sum."
            )
        weights = khatri_rao(weights, own)
    off += SUM_ROUNDING
    # W <= T <= (1 + off) W/(1 - off) + absolute, and T sums to at most one
    return Channel(weights * (1.0 - off), 3.0 * off + absolute)


def _counts(values: FloatArray) -> IntArray:
    """Return what is observed as counts, which an instrument needs."""
    if (values != np.floor(values)).any() or (values < 0.0).any():
        raise ArgumentError("`observe` must be of counts where there is an instrument, but has other values.")
    return values.astype(np.int64)
