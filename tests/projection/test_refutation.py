"""Runs that no space within the limits can hold are refused before any work, and no others."""

from __future__ import annotations

import math

import numpy as np
import pytest

import fsp
from fsp.projection.refutation import DOUBT, paths_needed


def ring(n, molecules):
    """Return molecules that go round a ring of n species."""
    names = [f"S{i}" for i in range(n)]
    pairs = zip(names, names[1:] + names[:1], strict=True)
    reactions = [fsp.Reaction(f"{a} -> {b}", mass_action=1.0) for a, b in pairs]
    return fsp.Model(species=dict(zip(names, molecules, strict=True)), reactions=reactions)


def test_many_molecules_on_many_places_are_refused_with_the_way_out():
    model = ring(60, [1] * 60)
    with pytest.raises(fsp.StateSpaceError, match=r"at most .* states \(`max_states`\), but needs more: .* paths"):
        fsp.transient(model, 1.0)
    with pytest.raises(fsp.StateSpaceError, match=r"\(`max_memory`\)"):
        fsp.transient(model, 1.0, max_memory=10**8)


def test_what_can_be_solved_is_solved():
    one = ring(60, [1] + [0] * 59)  # many species, but as many states
    assert fsp.transient(one, 1.0)[-1].error.total <= 1e-6
    early = fsp.transient(ring(60, [1] * 60), 1e-5, tol=1e-4)[-1]  # of many states, but hardly left
    assert early.error.total <= 1e-4


@pytest.mark.parametrize("most", [10, 10**3, 10**6])
@pytest.mark.parametrize("tol", [1e-9, 1e-2, 0.5])
def test_so_many_paths_differ_on_so_few_states_once_in_a_trillion(most, tol):
    n = paths_needed(most, tol)
    # exactly: the sum over K, the number of paths inside, of P(K) P(all K differ)
    inside = np.arange(min(n, most) + 1)
    log_binomial = np.array([math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in inside])
    log_p = log_binomial + inside * math.log1p(-tol) + (n - inside) * math.log(tol)
    log_differ = np.concatenate([[0.0], np.cumsum(np.log1p(-inside[:-1] / most))])
    chance = np.exp(log_p + log_differ).sum()
    assert chance <= DOUBT
    assert paths_needed(most, tol) <= 8 * math.sqrt(2.0 * most * math.log(2.0 / DOUBT)) / (1.0 - tol) ** 2 + 200
