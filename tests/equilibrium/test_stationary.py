"""Stationary distributions against closed forms: the true error is within the tolerance, and the estimate is honest."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import exact
import numpy as np
import pytest
from hypothesis import given, settings
from random_networks import as_model, open_networks
from stationary_cases import CASES, ESCAPING, FINITE, immigration_death, true_error
from written_networks import network

import fsp
from fsp.equilibrium import stationary
from fsp.moments.lyapunov import NoDriftCondition

METHODS = ["gth", "direct", "iterative", "multilevel", "local"]


cases = pytest.mark.parametrize("name", CASES)


@cases
@pytest.mark.parametrize("tol", [1e-4, 1e-8, 1e-10])
def test_true_error_and_estimate_are_within_the_tolerance(name, tol):
    case = CASES[name]
    d = fsp.stationary(case.model, tol)
    assert true_error(case, d) <= tol
    assert d.error.total <= tol
    assert 1.0 - d.error.total - 1e-13 <= d.mass <= 1.0 + d.error.rounding
    assert (d.probabilities >= 0.0).all()


@cases
def test_the_answer_is_stationary_and_certified(name):
    d = fsp.stationary(CASES[name].model, 1e-6)
    assert d.t is None
    assert "stationary" in str(d)
    assert d.error.certified
    assert "≤" in str(d.error)
    assert "≈" not in str(d.error)
    assert d.closed == (name in FINITE)
    assert all("exact but for rounding" in note for note in d.notes)  # one class: nothing else to remark


@pytest.mark.parametrize("name", ["Schloegl", "telegraph, slow", "binding", "two-stage product", "pairs"])
def test_methods_agree(name):
    case = CASES[name]
    answers = [fsp.stationary(case.model, 1e-8, method=method) for method in METHODS]
    for d in answers:
        assert true_error(case, d) <= 1e-8
        assert d.distance(answers[0]) <= d.error.total + answers[0].error.total + 1e-12


def test_gth_has_relative_accuracy_far_out_in_the_tail():
    case = immigration_death(birth=5.0, death=1.0)
    space = fsp.StateSpace.box(case.model, upper={"X": 60})
    d = fsp.stationary(case.model, 1e-8, space=space, method="gth")
    np.testing.assert_allclose(d.probabilities, case.law(d.states), rtol=1e-12)  # down to 1e-42


@settings(max_examples=12)
@given(open_networks())
def test_a_long_transient_ends_in_the_stationary_distribution(drawn):
    """Every species decays at 0.05 or more, so that e^(−400 · 0.05) is left of the start."""
    model = as_model(drawn)
    late = fsp.transient(model, [400.0], 1e-6)[0]
    rest = fsp.stationary(model, 1e-7)
    assert late.distance(rest) <= late.error.total + rest.error.total + 1e-6


# ---- several closed classes, absorbing states ---------------------------------------------------------------


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


# ---- slow classes ------------------------------------------------------------------------------------------------


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


# ---- networks without a stationary distribution ---------------------------------------------------------------


@pytest.mark.parametrize("name", ESCAPING)
def test_probability_that_escapes_is_refused_early(name):
    """Of the last two a part dies out and the rest never comes back: (1/2)³ and less than 1 end at zero."""

    def stop_when_large(progress):
        if progress.n_states > 1_000:
            pytest.fail(f"no refusal before {progress.n_states} states")

    with pytest.raises(fsp.StateSpaceError):
        fsp.stationary(ESCAPING[name], 1e-6, progress=stop_when_large)


@pytest.mark.parametrize("name", ["pure birth", "queue at its capacity", "overloaded queue", "explosive"])
def test_the_refusal_names_the_reaction(name):
    with pytest.raises(fsp.StateSpaceError, match=r"'r1'"):
        fsp.stationary(ESCAPING[name], 1e-6)


# ---- fixed spaces ----------------------------------------------------------------------------------------------


def test_a_fixed_space_reflects():
    """Detailed balance: the reflected chain has the law conditioned on the box."""
    case = immigration_death()
    space = fsp.StateSpace.box(case.model, upper={"X": 18})
    with pytest.warns(fsp.ToleranceWarning, match="larger `space`"):
        d = fsp.stationary(case.model, 1e-6, space=space)
    law = case.law(d.states)
    np.testing.assert_allclose(d.probabilities, law / law.sum(), atol=1e-13)
    assert d.error.certified
    assert true_error(case, d) <= d.error.total <= 10.0 * true_error(case, d)
    assert len(d) == 19
    every = case.law(d.states)
    assert (d.lower <= every * (1 + 1e-13)).all()
    assert (every <= d.upper * (1 + 1e-13)).all()


def test_a_fixed_space_that_is_too_small_for_a_bound_says_so():
    case = immigration_death()  # its drift is negative from 16 on
    with pytest.warns(fsp.ToleranceWarning, match="estimated error"):
        d = fsp.stationary(case.model, 1e-6, space=fsp.StateSpace.box(case.model, upper={"X": 9}))
    assert not d.error.certified
    assert any("too small" in note for note in d.notes)


def test_a_boundary_that_only_holds_back_growth_is_no_answer():
    """Without it there is no stationary distribution: the estimate is as large as an error can be."""
    model = network({"X": 0}, ("0 -> X", "mass_action", 3.0))
    with pytest.warns(fsp.ToleranceWarning):
        d = fsp.stationary(model, space=fsp.StateSpace.box(model, upper={"X": 20}))
    assert d.error.total >= 2.0
    assert not d.error.certified


def test_a_fixed_space_that_is_large_enough():
    case = immigration_death()
    space = fsp.StateSpace.box(case.model, upper={"X": 80})
    d = fsp.stationary(case.model, 1e-8, space=space)
    assert true_error(case, d) <= d.error.total <= 1e-8
    assert d.error.certified
    assert all(interval.certified for interval in d.mean_interval().values())


def test_a_fixed_space_makes_a_truncated_queue_of_any_load():
    """M/M/1/K with arrivals faster than service: geometric on 0 … K."""
    model = ESCAPING["overloaded queue"]
    with pytest.warns(fsp.ToleranceWarning):
        d = fsp.stationary(model, space=fsp.StateSpace.box(model, upper={"X": 30}))
    law = 1.2 ** d.states[:, 0]
    np.testing.assert_allclose(d.probabilities, law / law.sum(), rtol=1e-10)


def test_a_fixed_space_without_the_initial_state_is_refused():
    case = immigration_death()
    with pytest.raises(fsp.StateSpaceError, match=r"initial states.*'X': 0"):
        fsp.stationary(case.model, space=fsp.StateSpace.from_states(["X"], [[3], [4]]))


# ---- bad input, progress ---------------------------------------------------------------------------------------


def test_time_in_a_rate_is_refused():
    model = network({"X": 0}, ("0 -> X", "rate", "1 + sin(time)"), ("X -> 0", "mass_action", 1.0))
    with pytest.raises(fsp.BackendError, match="time"):
        fsp.stationary(model)


@pytest.mark.parametrize("tol", [0.0, -1.0, 1.0, math.nan])
def test_bad_tolerances_are_refused(tol):
    with pytest.raises(fsp.ArgumentError, match=f"`tol`.*{tol}"):
        fsp.stationary(immigration_death().model, tol)


@pytest.mark.parametrize("method", ["GTH", "power", "", None])
def test_an_unknown_method_is_refused_with_the_names(method):
    with pytest.raises(fsp.ArgumentError, match=r"`method`.*auto, gth, direct, iterative, multilevel, local"):
        fsp.stationary(immigration_death().model, method=method)


def test_the_limit_on_states_is_named():
    model = network({"X": 0}, ("0 -> X", "mass_action", 1e4), ("X -> 0", "mass_action", 1.0))
    with pytest.raises(fsp.StateSpaceError, match=r"at most 500 states \(`max_states`\)"):
        fsp.stationary(model, max_states=500)


def test_a_propensity_that_is_none_is_refused_where_the_space_grows_to_it():
    model = network({"X": 0}, ("0 -> X", "rate", "9.5 - X"), ("X -> 0", "mass_action", 0.1))
    with pytest.raises(fsp.ModelError, match=r"r1.*'X': 10"):
        fsp.stationary(model)


def test_progress_reports_every_space():
    seen = []
    d = fsp.stationary(CASES["telegraph, slow"].model, 1e-6, progress=seen.append)
    assert len(seen) > 1
    assert all(p.t is None and p.t_end is None for p in seen)
    assert [p.n_states for p in seen] == sorted(p.n_states for p in seen)
    assert seen[-1].n_states == len(d)
    assert seen[-1].error <= 1e-6


# ---- without a drift condition ---------------------------------------------------------------------------------


@pytest.fixture
def unproved(monkeypatch):
    """No drift condition is found, and no law is known."""

    def nothing(model, lyapunov):
        raise NoDriftCondition("none is looked for")

    monkeypatch.setattr(stationary, "drift_condition", nothing)
    monkeypatch.setattr(stationary, "_exactly", lambda model, growth, tol, report: None)


@pytest.mark.parametrize("name", [name for name in CASES if name not in FINITE])
def test_estimates_are_honest_and_labelled(name, unproved):
    case = CASES[name]
    d = fsp.stationary(case.model, 1e-7)
    assert true_error(case, d) <= 1e-7
    assert not d.error.certified
    assert "≈" in str(d.error)
    assert any("none is looked for" in note and "`lyapunov`" in note for note in d.notes)
    assert not any(interval.certified for interval in d.mean_interval().values())


def test_truncation_of_an_estimate_is_its_change_under_growth(unproved):
    model = network({"X": 0}, ("0 -> X", "mass_action", 20.0), ("X -> 0", "mass_action", 1.0))
    assert 0.0 < fsp.stationary(model, 1e-6).error.truncation <= 1e-6


def test_estimates_of_classes_have_their_weights(unproved):
    model = network(
        {"X": 0}, ("0 -> 2 X", "mass_action", 8.0), ("2 X -> 0", "mass_action", 1.0), initial={(0,): 0.3, (5,): 0.7}
    )
    d = fsp.stationary(model, 1e-9, method="gth")
    assert d.probabilities[d.states[:, 0] % 2 == 0].sum() == pytest.approx(0.3, abs=1e-9)


def by_callables(*reactions):
    """Return reactions whose rates are callables, which nothing is proved about."""
    return [(equation, "rate", lambda x, k=k, name=name: k * x[name]) for equation, k, name in reactions]


def test_a_way_out_that_is_taken_seldom_is_followed():
    """A ladder whose rungs are left downwards at once, but for the last: a gate that is open for good."""
    steps = [
        *((f"R{i} -> R{i + 1}", 1e-3, f"R{i}") for i in range(8)),
        *((f"R{i + 1} -> R{i}", 1.0, f"R{i + 1}") for i in range(7)),
    ]
    model = network(
        {**{f"R{i}": int(i == 0) for i in range(9)}, "C": 0},
        ("0 -> C", "mass_action", 4.0),
        *by_callables(*steps, ("R8 -> R8 + C", 12.0, "R8"), ("C -> 0", 1.0, "C")),
    )
    d = fsp.stationary(model, 1e-6)
    assert not d.error.certified
    law = exact.poisson(d.states[:, 9], 16.0) * d.states[:, 8]
    assert np.abs(d.probabilities - law).sum() <= 1e-6


def opened_by_many(least):
    """A gate that opens from so many molecules on, of a Poisson law of mean 5, and then makes as many again."""
    return network(
        {"A": 1, "B": 0, "C": 0},
        ("0 -> C", "mass_action", 5.0),
        ("C -> 0", "mass_action", 1.0),
        ("A -> B", "rate", lambda x: 1.0 * x["A"] * (x["C"] >= least)),
        ("B -> B + C", "mass_action", 5.0),
    )


def test_a_gate_that_opens_far_out_is_followed(unproved):
    d = fsp.stationary(opened_by_many(40), 1e-3)  # that many are there for 1e-22 of the time
    law = exact.poisson(d.states[:, 2], 10.0) * d.states[:, 1]
    assert np.abs(d.probabilities - law).sum() <= 1e-3


def test_an_estimate_names_what_it_takes_for_granted(unproved):
    d = fsp.stationary(opened_by_many(10**6), 1e-3)
    assert not d.error.certified
    assert any("r3" in note and "not seen" in note for note in d.notes)
    assert any("came back" in note for note in d.notes)


def test_a_space_does_not_grow_where_rounding_keeps_from_the_tolerance(monkeypatch):
    right = stationary.null_vector

    def rounded(*args):
        return replace(right(*args), error=1e-9)

    monkeypatch.setattr(stationary, "null_vector", rounded)
    model = network({"X": 0}, ("0 -> X", "rate", "5 + 0*X"), ("X -> 0", "mass_action", 1.0))
    growth = stationary.Growth(model, 3_000, None, stationary=True)
    with pytest.warns(fsp.ToleranceWarning, match="estimated error"):
        found = stationary.estimated(model, growth, 1e-10)
    assert found.error.total < 3e-9
    assert len(found) < 500


@pytest.mark.parametrize("change", ["A -> B", "2 A -> B", "2 A -> 3 B"])
def test_a_chain_of_one_way_ends_in_one_state(change):
    """Twelve million molecules, and no state is stored but the last."""
    model = network({"A": 12_191_211, "B": 0}, (change, "mass_action", 1.3e-7), (change, "rate", "0.1*A*(A - 1)"))
    d = fsp.stationary(model)
    taken, made = (int(part.split()[0]) if " " in part else 1 for part in change.split(" -> "))
    left = 12_191_211 % taken if taken > 1 else 0
    assert d.probability({"A": left, "B": 12_191_211 // taken * made}).lower >= 1.0 - 1e-12
    assert len(d) == 1
    assert d.error.certified


def test_ends_of_one_way_that_differ_are_not_taken_for_one():
    model = fsp.Model(
        species=("A", "B"),
        reactions=[fsp.Reaction("2 A -> B", mass_action=1.0)],
        initial={(5, 0): 0.25, (4, 0): 0.75},
    )
    d = fsp.stationary(model)
    assert d.probability({"A": 1, "B": 2}).lower == pytest.approx(0.25, abs=1e-12)
    assert d.probability({"A": 0, "B": 2}).lower == pytest.approx(0.75, abs=1e-12)
