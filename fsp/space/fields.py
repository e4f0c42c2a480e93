"""Which bit fields the keys of a space need: from what is known of a network and of the states."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fsp.errors import StateSpaceError
from fsp.space.encoding import Dependence, Encoding, build_encoding, dependences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import IntArray
    from fsp.model import Model

LARGEST_CHANGE = 2**30  # half of the widest field, so that it holds a count and a change


def encoding_of_reachable(model: Model) -> Encoding:
    """Return the encoding of the states that a model reaches: its conservation laws hold."""
    laws = model.conservation_laws
    values = model.initial_states @ laws.T  # (n_initial, n_laws)
    shared = (values == values[0]).all(axis=0)
    for wide in (False, True):
        encoding = build_encoding(
            model.species_bounds, margins(model), dependences=dependences(laws[shared], values[0, shared]), wide=wide
        )
        if (model.initial_states <= encoding.capacity).all():
            break
    encoding.require(model.initial_states, model.species)
    return encoding


def encoding_with_room(encoding: Encoding, model: Model, top: IntArray) -> Encoding:
    """Return an encoding of states up to `top` with room for the changes of `model`: the same one if it has it."""
    if encoding.carries(model.change, top):
        return encoding
    laws = _laws_kept(encoding, model)
    return build_encoding(top.astype(np.float64), margins(model), dependences=laws, exact=True)


def widest_encoding(encoding: Encoding, model: Model, top: IntArray, species: Sequence[str]) -> Encoding:
    """Return the encoding with the widest fields for states up to `top`, with room for the changes of `model`.

    Where `encoding` has the widest fields already, that is refused.
    """
    laws = _laws_kept(encoding, model)
    limits = model.species_bounds if laws else np.full(model.n_species, np.inf)
    widest = build_encoding(np.maximum(limits, top), margins(model), dependences=laws, wide=True)
    if laws == encoding.dependences and (widest.capacity <= encoding.capacity).all():
        room = margins(model)
        s = int(np.argmax(top + room))
        raise StateSpaceError(
            f"A copy number must be at most {encoding.capacity[s] - room[s]:,} where reactions change it "
            f"by {room[s]:,}, but '{species[s]}' grows beyond it."
        )
    return widest


def margins(model: Model) -> IntArray:
    """Return the largest change of each species in one reaction, (n_species,): at most what fields allow."""
    largest: IntArray = np.abs(model.change).max(axis=0)
    if largest.max() > LARGEST_CHANGE:
        s = int(np.argmax(largest))
        raise StateSpaceError(
            f"A reaction must change a copy number by at most {LARGEST_CHANGE:,}, but one changes '{model.species[s]}' "
            f"by {largest[s]:,}."
        )
    return largest


def _laws_kept(encoding: Encoding, model: Model) -> tuple[Dependence, ...]:
    """Return the laws behind an encoding if the network keeps them all."""
    laws = encoding.dependences
    broken = any((law.divisor * model.change[:, law.species] != model.change @ law.weights).any() for law in laws)
    return () if broken else laws
