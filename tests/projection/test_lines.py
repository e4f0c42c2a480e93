"""Lines of repeated jumps end where no reaction of theirs fires, and rates beyond are not asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_networks import network

import fsp
from fsp.projection.lines import follow


def leak_of(model, states):
    """Return the states given, and the only kind of jump that leaves them."""
    space = fsp.StateSpace.from_states(model.species, states)
    (leak,) = [leak for leak in fsp.Generator(model, space).leaks if leak.change[0] > 0]
    return space, leak


def followed(model, states, length):
    """Return what lines of `length` jumps from each source of the leak enter."""
    space, leak = leak_of(model, states)
    sources = space.states_at(leak.sources)
    return follow(model, leak, sources, np.ones(len(sources)), np.full(len(sources), length))


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 6), st.integers(1, 30), st.lists(st.integers(0, 5), min_size=1, max_size=4, unique=True))
def test_a_rate_that_is_negative_out_of_reach_gives_the_lines_of_one_that_is_zero_there(top, length, counts):
    states = [[min(a, top), b] for a, b in zip(counts, range(4), strict=False)]
    states = [list(s) for s in {tuple(s) for s in states} if s[0] < top] or [[0, 0]]
    plain = network({"A": 0, "B": 0}, ("0 -> A", "rate", f"0.3*({top} - A)"))
    clipped = network({"A": 0, "B": 0}, ("0 -> A", "rate", f"0.3*max({top} - A, 0)"))
    lines, expected = (followed(model, states, length) for model in (plain, clipped))
    assert lines.states.tolist() == expected.states.tolist()
    assert (lines.asked, lines.followed) == (expected.asked, expected.followed)
    assert lines.states[:, 0].max() == top or length < top


def test_a_rate_that_is_negative_on_a_line_is_refused():
    """From 0 to 1 and on to 2, where the rate is below zero: the jump from 1 happens."""
    model = network({"A": 0}, ("0 -> A", "rate", "1.5 - A"))
    with pytest.raises(fsp.ModelError, match=r"-0\.5 in state \{'A': 2\}"):
        followed(model, [[0]], 5)
    assert followed(model, [[0]], 2).states.tolist() == [[1], [2]]
