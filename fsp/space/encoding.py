"""Encode copy-number vectors as sortable integer keys.

Each species that is kept owns a bit field; fields are laid out in model order, the first species in the
highest bits, so that the numerical order of keys is the lexicographic order of states.  A reaction then shifts
every key by one constant, ``key(x + ν) = key(x) + key(ν)``, and a sorted list of keys stays sorted under it.
A species that a conservation law makes an affine function of *earlier* species needs no field: two states
that differ do so first in a kept species.  Where 62 bits do not hold a state, keys have several words.
A count above its field's ``capacity`` is refused, and a shift that could run into the neighbouring field is not used.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fsp.errors import StateSpaceError
from fsp.model.echelon import echelon

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from fsp.arrays import BoolArray, FloatArray, IntArray

WORD_BITS = 62  # of 64: keys are not negative, and key(x) + key(ν) does not overflow
WIDEST_FIELD = 31  # bits of a count without a bound: two of them fill a word
NARROWEST_OPEN_FIELD = 16  # bits to which such a field shrinks before a key gets more words: chosen, not measured


@dataclass(frozen=True, slots=True, eq=False)
class Dependence:
    """One species as an affine function of others: ``divisor * x = constant + weights @ states``."""

    species: int
    constant: int
    weights: IntArray  # (n_species,), zero at every species that is itself dependent
    divisor: int


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """Map states (n, n_species) to keys (n, n_words) and back."""

    kept: tuple[int, ...]  # index of each species that owns a bit field, ascending
    word: tuple[int, ...]  # place and width of each field, in the order of `kept`
    shift: tuple[int, ...]
    bits: tuple[int, ...]
    capacity: IntArray  # largest count of each species that the encoding holds, (n_species,)
    dependences: tuple[Dependence, ...] = ()  # the species without a field

    @property
    def n_species(self) -> int:
        """Number of species of a state."""
        return len(self.capacity)

    @property
    def n_words(self) -> int:
        """Number of 64-bit words of a key."""
        return max(self.word, default=0) + 1

    def encode(self, states: IntArray) -> IntArray:
        """Return the keys (n, n_words) of `states` (n, n_species), which must lie within `capacity`."""
        keys = np.zeros((len(states), self.n_words), dtype=np.int64)
        for species, word, shift in zip(self.kept, self.word, self.shift, strict=True):
            keys[:, word] += states[:, species].astype(np.int64) << shift
        return keys

    def decode(self, keys: IntArray) -> IntArray:
        """Return the states (n, n_species) of `keys` (n, n_words)."""
        states = np.zeros((len(keys), self.n_species), dtype=np.int64)
        for species, word, shift, bits in zip(self.kept, self.word, self.shift, self.bits, strict=True):
            states[:, species] = (keys[:, word] >> shift) & ((1 << bits) - 1)
        for law in self.dependences:
            states[:, law.species] = (law.constant + states @ law.weights) // law.divisor
        return states

    def holds(self, states: IntArray) -> BoolArray:
        """Tell which of `states` (n, n_species) the encoding can represent."""
        inside: BoolArray = np.all((states >= 0) & (states <= self.capacity), axis=1)
        for law in self.dependences:
            weighted = law.constant + np.where(inside[:, None], states, 0) @ law.weights
            inside &= law.divisor * np.where(inside, states[:, law.species], 0) == weighted
        return inside

    def shift_of(self, change: IntArray) -> IntArray:
        """Return what a jump by `change` (n_species,) adds to a key, (n_words,)."""
        keys = np.zeros(self.n_words, dtype=np.int64)
        for species, word, shift in zip(self.kept, self.word, self.shift, strict=True):
            keys[word] += int(change[species]) << shift
        return keys

    def stride(self, species: int) -> IntArray:
        """Return the change of all counts where that of a kept species rises by one, (n_species,).

        A dependent species whose law does not let it change by whole numbers has no two such states.
        """
        step = np.zeros(self.n_species, dtype=np.int64)
        step[species] = 1
        for law in self.dependences:
            step[law.species] = law.weights[species] // law.divisor
        return step

    def with_last(self, species: int) -> Encoding:
        """Return the encoding with the same fields whose lowest one is that of `species`."""
        order = [k for k, s in enumerate(self.kept) if s != species] + [self.kept.index(species)]
        kept, bits = tuple(self.kept[k] for k in order), tuple(self.bits[k] for k in order)
        word, shift = _pack(bits)
        return replace(self, kept=kept, word=word, shift=shift, bits=bits)

    def carries(self, changes: IntArray, top: IntArray) -> bool:
        """Tell whether jumps by `changes` (m, n_species) from counts up to `top` shift keys to the right keys.

        They do where no field overflows and the laws behind the dependences are kept.
        """
        reach = top + np.abs(changes).max(axis=0, initial=0)
        kept = list(self.kept)
        laws = [(law.divisor * changes[:, law.species] == changes @ law.weights).all() for law in self.dependences]
        return bool((reach[kept] <= self.capacity[kept]).all() and all(laws))

    def require(self, states: IntArray, species_names: Sequence[str]) -> None:
        """Raise a StateSpaceError for the first of `states` that the encoding cannot hold."""
        outside = (states < 0) | (states > self.capacity)
        if outside.any():
            row, column = np.argwhere(outside)[0]
            raise StateSpaceError(
                f"A copy number must be at most {self.capacity[column]:,} and not negative, but "
                f"'{species_names[column]}' is {states[row, column]:,}; count in larger units, or scale the network "
                f"down."
            )
        broken = ~self.holds(states)
        if broken.any():
            raise StateSpaceError(
                f"A state must keep the conservation laws of the space, but {states[broken][0].tolist()} does not."
            )


def build_encoding(
    bounds: FloatArray,
    margins: IntArray,
    *,
    dependences: tuple[Dependence, ...] = (),
    wide: bool = False,
    exact: bool = False,
) -> Encoding:
    """Lay out the bit fields for species with counts up to `bounds` (n_species,), ``inf`` where none is known.

    Every field has room for `margins` (n_species,), the largest changes in a reaction, beyond its bound; `dependences`
    need no field.  With `wide`, species without a bound get the widest field, whatever that costs in words; with
    `exact`, all of them have bounds and get the fields that they need, even if these are wider than usual.
    """
    dropped = {law.species for law in dependences}
    kept = tuple(s for s in range(len(bounds)) if s not in dropped)
    if exact:
        bits = tuple(int(bounds[s] + margins[s] + 1).bit_length() for s in kept)
    else:
        bits = _field_widths(bounds, margins, kept, wide=wide)
    word, shift = _pack(bits)
    capacity = np.full(len(bounds), (1 << max(WIDEST_FIELD, *bits, 0)) - 1, dtype=np.int64)
    for species, width in zip(kept, bits, strict=True):
        capacity[species] = (1 << width) - 1
    return Encoding(kept, word, shift, bits, capacity, dependences)


def _field_widths(bounds: FloatArray, margins: IntArray, kept: tuple[int, ...], *, wide: bool) -> tuple[int, ...]:
    widest = (1 << WIDEST_FIELD) - 1
    known = {s: int(bounds[s] + margins[s] + 1).bit_length() for s in kept if bounds[s] + margins[s] < widest}
    n_open = len(kept) - len(known)
    share = WIDEST_FIELD
    if n_open and not wide:
        room = (WORD_BITS - sum(known.values())) // n_open
        if room >= NARROWEST_OPEN_FIELD:
            share = min(room, WIDEST_FIELD)
    return tuple(known.get(s, share) for s in kept)


def _pack(bits: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Place fields into words, in order, the first in the highest bits."""
    words: list[list[int]] = [[]]
    for width in bits:
        if sum(words[-1]) + width > WORD_BITS:
            words.append([])
        words[-1].append(width)
    word = tuple(w for w, widths in enumerate(words) for _ in widths)
    shift = tuple(sum(widths[k + 1 :]) for widths in words for k in range(len(widths)))
    return word, shift


def dependences(laws: IntArray, constants: IntArray) -> tuple[Dependence, ...]:
    """Solve the conservation laws for the last species of each: reduced row echelon form from the right."""
    n = laws.shape[1]
    mirrored = [(*map(int, row[::-1]), int(c)) for row, c in zip(laws, constants, strict=True)]
    rows, pivots = echelon(mirrored, n)
    return tuple(
        _dependence([*row[:n][::-1], row[n]], n - 1 - pivot, n) for row, pivot in zip(rows, pivots, strict=True)
    )


def _dependence(row: list[Fraction], column: int, n: int) -> Dependence:
    divisor = int(np.lcm.reduce([v.denominator for v in row]))
    weights = np.array([0 if s == column else -int(row[s] * divisor) for s in range(n)], dtype=np.int64)
    return Dependence(column, int(row[n] * divisor), weights, divisor)
