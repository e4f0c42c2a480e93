"""Networks and sets of states that tests of spaces share."""

from __future__ import annotations

from hypothesis import strategies as st
from random_networks import NAMES

from fsp import Model, Reaction


def network(species, *equations):
    return Model(species=species, reactions=[Reaction(equation, mass_action=1.0) for equation in equations])


def starts(model):
    return [tuple(row) for row in model.initial_states.tolist()]


def rows_of(space):
    return [tuple(row) for row in space.states.tolist()]


@st.composite
def jumping_networks(draw):
    """Draw 1–3 species and 1–4 reactions that change copy numbers by up to 40 at once."""
    names = NAMES[: draw(st.integers(1, 3))]
    counts = st.sampled_from([0, 0, 1, 2, 3, 7, 40])
    used = st.lists(st.integers(0, 2), min_size=len(names), max_size=len(names))
    made = st.lists(counts, min_size=len(names), max_size=len(names))

    def side(numbers):
        return " + ".join(f"{n} {name}" for n, name in zip(numbers, names, strict=True) if n)

    pairs = draw(st.lists(st.tuples(used, made), min_size=1, max_size=4))
    start = draw(st.lists(st.integers(0, 5), min_size=len(names), max_size=len(names)))
    return network(dict(zip(names, start, strict=True)), *(f"{side(a)} -> {side(b)}" for a, b in pairs))
