"""Without a drift condition there is an estimate, which is honest and says so."""

from __future__ import annotations

from dataclasses import replace

import exact
import numpy as np
import pytest
from stationary_cases import CASES, FINITE, true_error
from written_networks import network

import fsp
from fsp.equilibrium import stationary
from fsp.moments.lyapunov import NoDriftCondition


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


def eliminated(rates):
    """The stationary vector of a dense chain, rates from row to column, by sums of positive numbers alone."""
    R, n = rates.copy(), len(rates)
    for k in range(n - 1, 0, -1):
        R[:k, k] /= R[k, :k].sum()
        R[:k, :k] += np.outer(R[:k, k], R[k, :k]) * (1.0 - np.eye(k))
    p = np.ones(n)
    for k in range(1, n):
        p[k] = p[:k] @ R[:k, k]
    return p / p.sum()


@pytest.mark.parametrize(("rise", "opens", "shuts"), [(0, 35, lambda x: x == 20), (40, 25, lambda x: x < 10)])
def test_the_way_back_may_be_far_from_the_way_out(rise, opens, shuts):
    """A gate that opens above one count, and shuts at others, which no state behind it has when it is first passed."""
    condition = "X == 20" if rise == 0 else "X < 10"
    model = network(
        {"X": 0, "G": 0},
        ("0 -> X", "rate", f"2 + {rise}*G"),
        ("X -> 0", "rate", "X"),
        ("0 -> G", "rate", f"piecewise(1 - G, X > {opens}, 0)"),
        ("G -> 0", "rate", f"piecewise(G, {condition}, 0)"),
    )
    dist = fsp.stationary(model, 1e-8)
    top = 100
    rates = np.zeros((2 * top, 2 * top))  # state 2 X + G
    for x in range(top):
        for g in (0, 1):
            if x + 1 < top:
                rates[2 * x + g, 2 * x + 2 + g] = 2.0 + rise * g
            if x:
                rates[2 * x + g, 2 * x - 2 + g] = x
        rates[2 * x, 2 * x + 1] = x > opens
        rates[2 * x + 1, 2 * x] = shuts(x)
    behind = float(dist.probabilities @ dist.states[:, 1])
    assert behind == pytest.approx(eliminated(rates)[1::2].sum(), rel=1e-6)


def test_a_start_on_both_sides_of_a_gate():
    """What flows out is 1.8 * 5/36 of a side that is left for good on the space so far: 1/4, but for rounding."""
    model = fsp.Model(
        name="sides",
        species=["A", "B", "X"],
        reactions=[
            fsp.Reaction("0 -> X", rate="1.8"),
            fsp.Reaction("X -> 0", rate="X"),
            fsp.Reaction("A -> B", rate="piecewise(3*A, X > 40, 0)"),
            fsp.Reaction("B -> A", rate="piecewise(0.1*B, X > 40, 0)"),
        ],
        initial={(1, 0, 0): 0.5, (0, 1, 0): 0.5},
    )
    dist = fsp.stationary(model, 1e-8)
    assert not dist.error.certified
    assert dist.mean()["A"] == pytest.approx(1.0 / 31.0, rel=1e-8)
    assert dist.mean()["X"] == pytest.approx(1.8, rel=1e-8)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "'r1 .*' goes on, and nothing undoes what it adds"),
        ([("X -> 0", "piecewise(X, X < 5, 0)")], r"0\.75 of the probability leaves .* reflecting boundary is meant"),
    ],
    ids=["no loss", "loss of few"],
)
@pytest.mark.parametrize("method", ["auto", "gth"])
def test_bursts_that_only_become_rare_have_no_law(more, message, method):
    """At a rate of exp(-X) they go on for ever: the states that they end in are those whose rate no double holds."""
    births = fsp.Reaction("0 -> X", rate="exp(-X)", burst="geometric(3)")
    losses = [fsp.Reaction(equation, rate=law) for equation, law in more]
    with pytest.raises(fsp.StateSpaceError, match=message) as caught:
        fsp.stationary(fsp.Model(species={"X": 0}, reactions=[births, *losses]), method=method)
    assert "sum to" not in str(caught.value)


def test_rates_below_the_least_double_are_told():
    model = network({"X": 0}, ("0 -> X", "rate", "exp(-X)"), ("X -> 0", "rate", "piecewise(X, X < 5, 0)"))
    with pytest.raises(fsp.ConvergenceError, match=r"estimated error is .* falls below the least double"):  # no warning
        fsp.stationary(model)
