"""Tests of independence: false alarms of right runs are as rare as they say, however many lags are looked at."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fsp.verification.independence import _repeats

TRIES = 400


@pytest.mark.parametrize("n_states", [2, 5, 40])
def test_right_runs_repeat_as_often_as_the_level_says(n_states):
    rng = np.random.default_rng(7)
    law = rng.dirichlet(np.ones(n_states))
    chance = float(law @ law)
    p = np.array([_repeats(rng.choice(n_states, 60, p=law), chance).p for _ in range(TRIES)])
    for level in (0.02, 0.1, 0.3):
        assert (p <= level).sum() <= stats.binom.isf(1e-7, TRIES, level)


def test_runs_that_are_written_twice_repeat():
    rng = np.random.default_rng(8)
    runs = rng.integers(0, 50, 30)
    test = _repeats(np.concatenate([runs, runs]), 1 / 50)
    assert test.p < 1e-20
    assert "run i equals run i + 30" in test.where
