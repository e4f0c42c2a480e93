"""Tallies in pieces are those of numpy."""

from __future__ import annotations

import numpy as np
import pytest

from fsp.verification import tallies


@pytest.mark.parametrize("shape", [(1,), (40,), (40, 1), (97, 2), (300, 5)])
@pytest.mark.parametrize("most", [1, 3, 2**53])
def test_they_are_those_of_all_rows_at_once(shape, most, monkeypatch):
    monkeypatch.setattr(tallies, "SORTED_AT_ONCE", 16)
    rows = np.random.default_rng(len(shape) + most).integers(0, most, shape)
    rows[len(rows) // 2 :] = rows[: len(rows) - len(rows) // 2]  # some are alike
    distinct, first, place, numbers = np.unique(rows, True, True, True, axis=0)
    np.testing.assert_array_equal(tallies.numbered(rows), place.reshape(-1))
    np.testing.assert_array_equal(tallies.first_of(place.reshape(-1)), first)
    for given, wanted in zip(tallies.tally(rows), (distinct, numbers), strict=True):
        np.testing.assert_array_equal(given, wanted)
