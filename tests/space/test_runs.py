"""Kernels on sorted keys and their runs against numpy and sets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsp.space.closure import KeySet
from fsp.space.runs import KeyRuns


def sorted_keys(rng, n, n_words, top=60):
    rows = np.unique(rng.integers(0, top, (n, n_words)), axis=0)
    return rows.astype(np.int64)


@pytest.mark.parametrize("n_words", [1, 2, 3])
@pytest.mark.parametrize("n", [0, 1, 50, 2000])
def test_locate_against_numpy(rng, n, n_words):
    keys = sorted_keys(rng, n, n_words)
    queries = rng.integers(-5, 65, (500, n_words))
    equal = (keys[None] == queries[:, None]).all(axis=2)
    expected = np.where(equal.any(axis=1), equal.argmax(axis=1), -1) if len(keys) else np.full(500, -1)
    np.testing.assert_array_equal(KeyRuns.of_keys(keys).locate(queries), expected)


@pytest.mark.parametrize("n_words", [1, 2, 3])
@pytest.mark.parametrize("n", [1, 50, 2000])
def test_runs_are_the_keys(rng, n, n_words):
    keys = sorted_keys(rng, n, n_words)
    runs = KeyRuns.of_keys(keys)
    assert len(runs) == len(keys)
    np.testing.assert_array_equal(runs.expand(), keys)
    some = rng.integers(0, len(keys), 30)
    np.testing.assert_array_equal(runs.take(some), keys[some])
    np.testing.assert_array_equal(runs.last_keys(), keys[runs.starts[1:] - 1])
    # no run continues the one before
    after = runs.last_keys()[:-1].copy()
    after[:, -1] += 1
    assert (after != runs.keys[1:]).any(axis=1).all()


@pytest.mark.parametrize("n_words", [1, 2, 3])
def test_selections_and_unions_of_runs(rng, n_words):
    keys = sorted_keys(rng, 1500, n_words)
    for share in (0.0, 0.1, 0.5, 0.97, 1.0):
        kept = rng.random(len(keys)) < share
        one, other = KeyRuns.of_keys(keys).select(kept), KeyRuns.of_keys(keys).select(rng.random(len(keys)) < 0.5)
        np.testing.assert_array_equal(one.expand(), keys[kept])
        both = one.union(other)
        expected = np.unique(np.concatenate([one.expand(), other.expand()]), axis=0)
        np.testing.assert_array_equal(both.expand(), expected)
        assert len(both.keys) == len(KeyRuns.of_keys(expected).keys)


@settings(max_examples=100)
@given(
    st.integers(1, 3).flatmap(
        lambda w: st.lists(st.lists(st.tuples(*[st.integers(0, 40)] * w), min_size=1, max_size=60), max_size=6)
    )
)
def test_key_set_is_a_set(batches):
    n_words = len(batches[0][0]) if batches else 1
    keys, expected = KeySet(n_words), set()
    for batch in batches:
        keys.add(np.array(batch, dtype=np.int64))
        expected |= set(batch)
        assert keys.count == len(expected)


@pytest.mark.parametrize("n_words", [1, 2, 3])
def test_key_set_expands_into_what_is_new(rng, n_words):
    keys, expected = KeySet(n_words), set()
    for size in (10, 3000, 400, 1):  # beyond the first table: it must be rebuilt on the way
        frontier = rng.integers(0, 2**40, (size, n_words)) // 2**28
        shifts = rng.integers(0, 3, (4, n_words))
        enabled = rng.random((4, size)) < 0.7
        fresh = keys.expand(frontier, enabled, shifts)
        targets = {tuple(row) for r in range(4) for row in (frontier + shifts[r])[enabled[r]].tolist()}
        assert sorted(map(tuple, fresh.tolist())) == sorted(targets - expected)
        expected |= targets
        assert keys.count == len(expected)
