"""States gathered by what is observed of them: products with what instruments make of it are those over states."""

from __future__ import annotations

import numpy as np
import pytest

import fsp
from fsp.inference import observation_channel
from fsp.inference.instruments import Exact


@pytest.mark.parametrize("entries", [10, 1_000_000])
@pytest.mark.parametrize(
    "instruments", [(Exact(), Exact()), (fsp.Binomial(0.3), Exact()), (fsp.Poisson(1.5), fsp.Binomial(0.8))]
)
def test_sums_over_what_is_observed_are_sums_over_states(monkeypatch, entries, instruments):
    monkeypatch.setattr(observation_channel, "ENTRIES", entries)
    rng = np.random.default_rng(3)
    states = np.unique(rng.integers(0, 9, (200, 3)), axis=0)  # (n, 3)
    y = rng.random((2, len(states)))
    values = rng.integers(0, 12, (7, 2))  # of A + B and of C
    gathered = observation_channel.Gathered(states, ["A + B", "C"], ["A", "B", "C"], {}, 0.0)
    sight = gathered.sight(values, instruments)
    tables = [own.table(12, 20).values for own in instruments]
    there = np.stack([states[:, 0] + states[:, 1], states[:, 2]], axis=1)
    each = np.array([tables[0][z[0], there[:, 0]] * tables[1][z[1], there[:, 1]] for z in values])  # (m, n)
    off = 1e-12 + sight.relative
    assert len(gathered.there) < len(states)
    assert gathered.sums(y) @ sight.weights.T == pytest.approx(y @ each.T, rel=off)
    assert gathered.rounding >= (len(states) / len(gathered.there)) * 2.0**-53
    assert sight.absolute >= sum(own.table(12, 20).absolute for own in instruments)


def test_what_is_no_count_is_refused():
    with pytest.raises(fsp.ArgumentError, match="A / 2"):
        observation_channel.Gathered(np.arange(4)[:, None], ["A / 2"], ["A"], {}, 0.0)
