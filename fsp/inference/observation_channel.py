"""What is seen of the states at one time: counts of what is observed, and what instruments make of them.

With W(z | x) >= 0 a lower bound of the probability T(z | x) that x is seen as z, vectors over states become vectors
over outcomes, ``y_z = Σ_x W(z | x) y_x``; what W lacks of T is at most η, summed over outcomes, for each x.

`Gathered` adds up states of which the same is observed, so that tables are by what there may be of that, and not by
states.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.linalg import khatri_rao
from scipy.sparse import csr_array, vstack

from fsp.arithmetic import SUM_ROUNDING, UNIT_ROUNDOFF, row_rounding
from fsp.checks import as_texts, shown
from fsp.distribution import formulas
from fsp.errors import ArgumentError, StateSpaceError
from fsp.inference.instruments import MOST_ENTRIES, Exact, Instrument, instruments_of, require_small

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.distribution import Distribution

ENTRIES = 1_000_000  # of a table that are held at a time before those that are zero are left out: 8 MB; chosen


class Channel(NamedTuple):
    """What instruments make of each category of states."""

    weights: FloatArray  # W, (m, n)
    lacking: float  # η
    outcomes: FloatArray  # (m, n_formulas) what is seen


class Sight(NamedTuple):
    """T for the counts that were seen at one time, given what is there."""

    weights: Any  # (m, k) CSR
    relative: float  # rounding of products with it, and of its entries
    absolute: float  # what an entry may lack beside


class Gathered:
    """States by what is observed of them: `there` (k, n_observed), each different."""

    def __init__(
        self,
        states: IntArray,
        observed: Sequence[str],
        species: Sequence[str],
        observables: Mapping[str, str],
        t: float,
    ) -> None:
        columns = [_counts_on(states, text, species, observables, t) for text in observed]
        self.there, place = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
        self._place = place.reshape(-1)  # (n,)
        longest = int(np.bincount(self._place).max(initial=0))
        self.rounding = (longest + len(self.there)) * UNIT_ROUNDOFF  # relative: of sums by place, and of products

    @classmethod
    def of(cls, dist: Distribution, observed: Sequence[str]) -> Gathered:
        """Gather the states of a distribution."""
        return cls(dist.states, observed, dist.species, dist.observables, dist.t or 0.0)

    def sums(self, values: FloatArray) -> FloatArray:
        """Return what vectors over states (…, n) are over what is there, (…, k)."""
        n, k = values.shape[-1], len(self.there)
        chosen = csr_array((np.ones(n), (np.arange(n), self._place)), shape=(n, k))
        return np.asarray(values.reshape(-1, n) @ chosen).reshape(*values.shape[:-1], k)

    def spread(self, values: FloatArray) -> FloatArray:
        """Return vectors over what is there (…, k) on the states, (…, n): the adjoint of `sums`."""
        return np.asarray(values[..., self._place])

    def sight(self, values: IntArray, instruments: Sequence[Instrument]) -> Sight:
        """Return T of counts (m, n_observed); of what instruments see nothing else, ones where both are equal."""
        largest = self.there.max(axis=0).tolist()
        tables: list[FloatArray | None] = []
        off, absolute = self.rounding, 0.0
        for instrument, seen, top in zip(instruments, values.T, largest, strict=True):
            if isinstance(instrument, Exact):
                tables.append(None)
                continue
            table = instrument.limited(int(seen.max(initial=0)), top)
            tables.append(table.values)
            off, absolute = off + table.relative + 2.0 * UNIT_ROUNDOFF, absolute + table.absolute
        return Sight(self.table(values, tables), off, absolute)

    def table(self, values: IntArray, tables: Sequence[FloatArray | None]) -> Any:
        """Return products (m, k), CSR, of entries of tables by counts seen and there; None where both are equal."""
        step = max(1, ENTRIES // max(1, len(self.there)))
        blocks = [self._block(values[begin : begin + step], tables) for begin in range(0, len(values), step)]
        return vstack(blocks, format="csr")

    def _block(self, values: IntArray, tables: Sequence[FloatArray | None]) -> Any:
        block: Any = 1.0
        for seen, there, table in zip(values.T, self.there.T, tables, strict=True):
            block = block * (seen[:, None] == there if table is None else table[np.ix_(seen, there)])
        return csr_array(block)


def _counts_on(
    states: IntArray, text: str, species: Sequence[str], observables: Mapping[str, str], t: float
) -> IntArray:
    """Return what is observed in each state, (n,); refuse what is no count."""
    values = formulas.values_on(states, text, species, observables, t)
    there = np.broadcast_to(values, len(states)).astype(np.float64)
    if (there != np.floor(there)).any() or (there < 0.0).any():
        raise ArgumentError(f"`counts` must be of what is a count in every state, but '{text}' is not.")
    return there.astype(np.int64)


def formulas_of(observe: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return what is observed, in formulas; none where that is all species."""
    if observe is None:
        return ()
    given = as_texts(observe)
    if given is None or len(set(map(str.strip, given))) < len(given):
        raise ArgumentError(
            f"`observe` must be one or more different formulas such as 'A + B', but is {shown(observe)}."
        )
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
    return tuple(instrument.at(values) for instrument in instruments_of(given, formulas_of(observe) or tuple(species)))


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
    weights, off, absolute, outcomes = np.ones((1, len(there))), 0.0, 0.0, np.empty((1, 0))
    for values, instrument in zip(there.T, instruments, strict=True):
        if isinstance(instrument, Exact):
            seen, place = np.unique(values, return_inverse=True)
            table_rows = np.zeros((len(seen), len(values)))
            table_rows[place.reshape(-1), np.arange(len(values))] = 1.0
        else:
            counts = _counts(values)
            largest = int(counts.max())
            reach = instrument.reach(largest)
            require_small(reach, largest)
            seen = np.unique(instrument.standing(np.arange(reach + 1)))
            table = instrument.between(seen, counts)
            table_rows, off, absolute = table.values, off + table.relative, absolute + len(seen) * table.absolute
        if len(weights) * table_rows.size > MOST_ENTRIES:
            raise StateSpaceError(
                f"Instruments must have a table of at most {MOST_ENTRIES:,} entries, but what is seen together has "
                f"{len(weights) * table_rows.size:,}; observe less, or a sum."
            )
        weights = khatri_rao(weights, table_rows)
        before = np.repeat(outcomes, len(seen), axis=0)
        outcomes = np.column_stack([before, np.tile(seen, len(outcomes))])
    off += max(SUM_ROUNDING, row_rounding(len(there)))  # of products with W
    # W <= T <= (1 + off) W/(1 - off) + absolute, and T sums to at most one
    return Channel(weights * (1.0 - off), 3.0 * off + absolute, outcomes)


def _counts(values: FloatArray) -> IntArray:
    """Return what is observed as counts, which an instrument needs."""
    if (values != np.floor(values)).any() or (values < 0.0).any():
        raise ArgumentError("`observe` must be of counts where there is an instrument, but has other values.")
    return values.astype(np.int64)
