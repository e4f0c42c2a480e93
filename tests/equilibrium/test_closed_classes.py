"""Several closed classes, absorbing states and slow classes keep their weights."""

from __future__ import annotations

import math
from fractions import Fraction

import exact
import numpy as np
import pytest
from scipy import stats
from written_networks import network

import fsp

# ---- several closed classes, absorbing states


def by_state(d):
    return dict(zip(map(tuple, d.states.tolist()), d.probabilities.tolist(), strict=True))


def test_two_absorbing_states_are_weighted_by_the_rates_into_them():
    model = network({"A": 1, "B": 0, "C": 0}, ("A -> B", "mass_action", 1.0), ("A -> C", "mass_action", 3.0))
    d = fsp.stationary(model)
    assert by_state(d)[0, 1, 0] == pytest.approx(0.25, abs=1e-12)
    assert by_state(d)[0, 0, 1] == pytest.approx(0.75, abs=1e-12)
    assert by_state(d)[1, 0, 0] == 0.0
    assert len(d.notes) == 2
    assert any("B=1" in note and "0.25" in note for note in d.notes)
    assert any("C=1" in note and "0.75" in note for note in d.notes)


def test_many_molecules_choose_for_themselves():
    """20 molecules each go to B or C: 21 absorbing states, binomial weights."""
    model = network({"A": 20, "B": 0, "C": 0}, ("A -> B", "mass_action", 1.0), ("A -> C", "mass_action", 3.0))
    d = fsp.stationary(model)
    weights = exact.binomial(d.states[:, 1], 20, 0.25) * (d.states[:, 0] == 0)
    np.testing.assert_allclose(d.probabilities, weights, atol=1e-12)
    assert len(d.notes) == 21


@pytest.mark.parametrize("start", [0, 1, 6, 7])
def test_parity_is_kept(start):
    """0 ⇌ 2 X: Poisson on the even or on the odd numbers, whichever the start is in."""
    model = network({"X": start}, ("0 -> 2 X", "mass_action", 8.0), ("2 X -> 0", "mass_action", 1.0))
    d = fsp.stationary(model, 1e-9)
    x = d.states[:, 0]
    law = exact.poisson(x, 4.0) * (x % 2 == start % 2)
    law /= 0.5 * (1.0 + (-1) ** (start % 2) * math.exp(-8.0))
    assert np.abs(d.probabilities - law).sum() <= 1e-9
    assert not d.probabilities[x % 2 != start % 2].any()


def test_parities_are_weighted_by_the_start():
    model = network(
        {"X": 0}, ("0 -> 2 X", "mass_action", 8.0), ("2 X -> 0", "mass_action", 1.0), initial={(0,): 0.3, (5,): 0.7}
    )
    d = fsp.stationary(model, 1e-9, method="gth")
    assert d.probabilities[d.states[:, 0] % 2 == 0].sum() == pytest.approx(0.3, abs=1e-9)
    assert len(d.notes) == 2
    assert any("0.3" in note for note in d.notes)
    assert any("0.7" in note for note in d.notes)


def test_an_absorbing_network_ends_in_its_absorbing_state():
    for model in (
        network({"X": 40}, ("X -> 0", "mass_action", 1.0)),
        network({"X": 7}, ("2 X -> X", "mass_action", 1.0)),
    ):
        d = fsp.stationary(model)
        assert d.probabilities.max() == pytest.approx(1.0, abs=1e-12)
        assert d.mode()["X"] == (0 if model.reactions[0].order == 1 else 1)
        assert d.closed


def test_a_branching_process_that_dies_out():
    model = network({"X": 3}, ("X -> 2 X", "mass_action", 0.5), ("X -> 0", "mass_action", 1.0))
    d = fsp.stationary(model, 1e-6)
    assert by_state(d)[0,] == pytest.approx(1.0, abs=1e-6)


def test_a_gene_that_is_switched_off_for_good():
    """The transient class holds the start; what it leaves behind decays: everything ends at zero molecules."""
    model = network(
        {"On": 1, "M": 0},
        ("On -> 0", "mass_action", 0.2),
        ("On -> On + M", "mass_action", 5.0),
        ("M -> 0", "mass_action", 1.0),
    )
    d = fsp.stationary(model, 1e-8)
    assert by_state(d)[0, 0] == pytest.approx(1.0, abs=1e-8)


# ---- slow classes


def gate(opens, closes, start=0):
    """A gate that makes C when open: a telegraph; for good where nothing closes it."""
    reactions = [("A -> B", "mass_action", opens), ("B -> B + C", "mass_action", 20.0), ("C -> 0", "mass_action", 1.0)]
    if closes:
        reactions.append(("B -> A", "mass_action", closes))
    return network({"A": 1, "B": 0, "C": start}, *reactions)


@pytest.mark.parametrize("opens", [1e-12, 1e-8, 1e-4, 1.0])
@pytest.mark.parametrize("start", [0, 45])
def test_a_gate_that_opens_for_good_is_open(opens, start):
    d = fsp.stationary(gate(opens, 0.0, start), 1e-6)
    law = exact.poisson(d.states[:, 2], 20.0) * d.states[:, 1]
    assert d.error.certified
    assert np.abs(d.probabilities - law).sum() + 1.0 - law.sum() <= d.error.total <= 1e-6


@pytest.mark.parametrize(("opens", "closes"), [(1e-8, 1e-10), (1e-10, 1e-8), (1e-3, 1e-9), (1e-13, 1e-13)])
def test_a_gate_that_hardly_moves_is_open_as_often_as_it_should(opens, closes):
    d = fsp.stationary(gate(opens, closes), 1e-6)
    interval = d.probability({"B": 1})
    assert interval.certified
    assert interval.lower - 1e-15 <= opens / (opens + closes) <= interval.upper + 1e-15
    assert d.error.total <= 1e-6


def test_what_a_fast_pair_is_left_for_once_in_a_million_seconds():
    """A and B are in balance, so that C and D are entered as 1 to 3."""
    model = network(
        {"A": 1, "B": 0, "C": 0, "D": 0},
        ("A -> B", "mass_action", 1e6),
        ("B -> A", "mass_action", 1e6),
        ("A -> C", "mass_action", 1e-6),
        ("B -> D", "mass_action", 3e-6),
    )
    d = fsp.stationary(model)
    law = np.where(d.states[:, 2] == 1, 0.25, np.where(d.states[:, 3] == 1, 0.75, 0.0))
    assert np.abs(d.probabilities - law).sum() <= 1e-11  # but for 1e-12 that begin in A
    assert d.error.total <= 1e-11


def hops(rates):
    """Let one molecule hop between places, at rates[i, j] from i to j."""
    n = len(rates)
    reactions = [(f"S{i} -> S{j}", "mass_action", rates[i, j]) for i in range(n) for j in range(n) if rates[i, j]]
    return network({f"S{i}": int(i == 0) for i in range(n)}, *reactions)


def places(rates):
    """Return where a hopping molecule is in the end, in rationals: the limit of the Laplace transform, s p̂(s), s → 0.

    States are eliminated in turn; those that are left when no jump is, are where it ends.
    """
    n = len(rates)
    rate = [[Fraction(float(r)) for r in row] for row in rates]
    reach = np.linalg.matrix_power((rates > 0) + np.eye(n), n) > 0
    ends = [i for i in range(n) if all(reach[j, i] for j in range(n) if reach[i, j])]
    p = [Fraction(0)] * n
    weight = absorbed_at(rate, ends)
    for i in ends:
        own = [j for j in ends if reach[i, j]]
        law = balanced([[rate[a][b] for b in own] for a in own])
        p[i] = sum(weight[j] for j in own) * law[own.index(i)]
    return np.array([float(x) for x in p])


def absorbed_at(rate, ends):
    n = len(rate)
    rate = [row[:] for row in rate]
    if 0 in ends:
        return {j: Fraction(int(j == 0)) for j in ends}
    for k in range(n - 1, 0, -1):
        if k in ends:
            continue
        total = sum(rate[k][j] for j in range(n) if j != k)
        for i in range(n):
            if i != k and rate[i][k] and total:
                for j in range(n):
                    if j not in (i, k):
                        rate[i][j] += rate[i][k] * rate[k][j] / total
            rate[i][k] = Fraction(0)
    total = sum(rate[0][j] for j in ends)
    return {j: rate[0][j] / total for j in ends}


def balanced(rate):
    n = len(rate)
    if n == 1:
        return [Fraction(1)]
    shares = []
    for k in range(n - 1, 0, -1):
        total = sum(rate[k][:k])
        shares.append([rate[i][k] / total for i in range(k)])
        for i in range(k):
            for j in range(k):
                if i != j:
                    rate[i][j] += rate[i][k] * rate[k][j] / total
    p = [Fraction(1)]
    for share in reversed(shares):
        p.append(sum(x * s for x, s in zip(p, share, strict=True)))
    return [x / sum(p) for x in p]


@pytest.mark.parametrize("seed", range(20))
def test_classes_and_ladders_with_rates_far_apart(seed):
    """Jumps between seven places, at 1e-10 to 1e5, some of which are never left."""
    rng = np.random.default_rng(seed)
    rates = 10.0 ** rng.uniform(-10.0, 5.0, (7, 7)) * (rng.random((7, 7)) < 0.35)
    np.fill_diagonal(rates, 0.0)
    d = fsp.stationary(hops(rates), 1e-6, method="gth")
    law = places(rates)
    true = np.abs(d.probabilities - law[np.argmax(d.states, axis=1)]).sum()
    assert true <= d.error.total + 1e-15
    assert d.error.total <= 1e-6


@pytest.mark.parametrize("mean", [0.4, 3.0])
def test_what_a_start_lacks_is_missing_at_rest(mean):
    """Pairs that come apart keep the number of molecules: a closed class for each."""
    reactions = [fsp.Reaction("2 X -> Y", mass_action=0.1), fsp.Reaction("Y -> 2 X", mass_action=0.1)]
    model = fsp.Model(species={"X": f"geometric({mean})", "Y": 0}, reactions=reactions)
    rest = fsp.stationary(model, tol=1e-6)
    assert 1.0 - math.fsum(rest.probabilities) <= rest.error.total
    (at_zero,) = rest.upper[~rest.states.any(axis=1)]
    assert at_zero >= 1.0 / (1.0 + mean) - 1e-16


def test_a_mean_at_rest_is_that_of_the_start_where_a_law_keeps_it():
    """Each molecule is at either place for half of the time."""
    reactions = [fsp.Reaction("X -> Y", mass_action=0.1), fsp.Reaction("Y -> X", mass_action=0.1)]
    rest = fsp.stationary(fsp.Model(species={"X": "poisson(5)", "Y": 0}, reactions=reactions), tol=1e-6)
    for name in ("X", "Y"):
        mean = rest.mean_interval()[name]
        assert mean.certified
        assert mean.lower <= 2.5 <= mean.upper <= 2.5 + 1e-8


def test_a_class_without_end_is_one_where_no_way_leads_out_of_it():
    """Nothing falls below 30 from there, or rises above 20: the lattice of the jumps does not say so."""
    model = network(
        {"X": 25}, ("0 -> X", "rate", "piecewise(0, X == 20, 4)"), ("X -> 0", "rate", "piecewise(0, X == 30, X)")
    )
    dist = fsp.stationary(model, 1e-8)
    odds = np.cumprod([x / 4.0 for x in range(21, 30)])  # of the gambler's ruin between 20 and 30
    up = (1.0 + odds[:4].sum()) / (1.0 + odds.sum())
    x = dist.states[:, 0]
    assert dist.probabilities[x >= 30].sum() == pytest.approx(up, rel=1e-9)
    assert dist.probabilities[x <= 20].sum() == pytest.approx(1.0 - up, rel=1e-9)
    low, high = (stats.poisson.pmf(part, 4.0) for part in (np.arange(21), np.arange(30, 90)))
    mean = (1.0 - up) * (low @ np.arange(21)) / low.sum() + up * (high @ np.arange(30, 90)) / high.sum()
    assert float(dist.probabilities @ x) == pytest.approx(mean, rel=1e-8)


SWITCHED = [("0 -> X", "rate", "piecewise(0, X == 20, 10)"), ("X -> 0", "rate", "piecewise(0, X == 30, X)")]


@pytest.mark.parametrize("beside", [False, True])
def test_two_starts_between_switches_keep_to_their_sides(beside):
    """Between 0 and 20, or from 30 on, a Poisson law is what is left of one; another species beside changes nothing."""
    species = {"X": 0, "Y": 0} if beside else {"X": 0}
    reactions = [*SWITCHED, *([("0 -> Y", "mass_action", 2.0), ("Y -> 0", "mass_action", 1.0)] if beside else [])]
    starts = {(0, 0)[: len(species)]: 0.25, (40, 0)[: len(species)]: 0.75}
    d = fsp.stationary(network(species, *reactions, initial=starts), 1e-6)
    x = d.states[:, 0]
    law = stats.poisson.pmf(x, 10.0) * np.where(x <= 20, 0.25 / stats.poisson.cdf(20, 10.0), 0.0)
    law += stats.poisson.pmf(x, 10.0) * np.where(x >= 30, 0.75 / stats.poisson.sf(29, 10.0), 0.0)
    law *= stats.poisson.pmf(d.states[:, 1], 2.0) if beside else 1.0
    assert d.error.certified
    assert np.abs(d.probabilities - law).sum() + 1.0 - law.sum() <= d.error.total <= 1e-6


@pytest.mark.parametrize("start", [{"X": 500}, {"X": 0}])
@pytest.mark.parametrize("beside", [False, True])
def test_a_gate_far_from_the_start_ends_where_nothing_is_made(start, beside):
    """What is held above 400 falls below it in the end, however long that takes, and is lost then."""
    reactions = [("0 -> X", "rate", "piecewise(600, X > 400, 0)"), ("X -> 0", "mass_action", 1.0)]
    if beside:
        start = {**start, "Y": 0}
        reactions += [("0 -> Y", "mass_action", 2.0), ("Y -> 0", "mass_action", 1.0)]
    d = fsp.stationary(network(start, *reactions))
    assert d.error.certified
    assert d.error.total <= 1e-6
    assert d.probabilities[d.states[:, 0] == 0].sum() >= 1.0 - 1e-6


def held_until_it_falls(start):
    """Molecules that are made above 400 alone; where there are none, A turns into B or, thrice as fast, into C."""
    return network(
        {"X": start, "A": 1, "B": 0, "C": 0},
        ("0 -> X", "rate", "piecewise(3000, X > 400, 0)"),
        ("X -> 0", "mass_action", 1.0),
        ("A -> B", "rate", "piecewise(A, X == 0, 0)"),
        ("A -> C", "rate", "piecewise(3*A, X == 0, 0)"),
    )


def test_ends_after_times_that_no_double_holds_are_refused_with_two_ways_out():
    model = held_until_it_falls(500)
    with pytest.raises(fsp.ConvergenceError, match=r"so slowly .* \(`with_initial`\), or give a `space` without"):
        fsp.stationary(model)
    ends = by_state(fsp.stationary(model.with_initial(X=0)))
    assert ends[0, 0, 1, 0] == pytest.approx(0.25)
    assert ends[0, 0, 0, 1] == pytest.approx(0.75)
    meanwhile = fsp.stationary(model, space=fsp.StateSpace.reachable(model, constraints=["X >= 401", "X <= 4000"]))
    assert meanwhile.mean()["X"] == pytest.approx(3000.0)
