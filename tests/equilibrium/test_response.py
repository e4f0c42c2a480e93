"""Derivatives of stationary distributions: closed forms and dense null vectors within their bounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inference_cases import immigration_death
from scipy import special, stats
from written_networks import network

import fsp
from fsp.equilibrium.response import Changes, Heights, StoredLaw, respond


def of_poisson(tol):
    """Return the law of immigration and death, and its derivatives by log k and log g."""
    model = immigration_death()
    law = StoredLaw.of(model, tol)
    x = law.space.states[:, 0].astype(float)
    nothing = np.zeros((2, len(x)))
    above = {"k": [{(0,): 10}, {}], "g": [{}, {(1,): 1}]}
    birth = Changes(np.array([np.full(len(x), 10.0), nothing[0]]), nothing, above["k"])
    death = Changes(np.array([nothing[0], x]), nothing, above["g"])
    return law, respond(law, [birth, death])


@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-10])
def test_a_poisson_law_answers_by_its_score(tol):
    law, found = of_poisson(tol)
    x = np.arange(300)
    exact = stats.poisson.pmf(x, 10.0) * (x - 10.0)
    assert found.proved
    for sign, h, error in zip((1.0, -1.0), found.derivatives, found.errors, strict=True):
        full = np.zeros(len(x))
        full[law.space.states[:, 0]] = h
        off = np.abs(full - sign * exact).sum()
        assert off <= error + 1e-13
        assert error <= 1e4 * max(off, 1e-12)


def test_laws_that_are_lower_bounds_answer_too_little():
    model = fsp.Model(
        species={"A": 20, "B": 0},
        reactions=[fsp.Reaction("A -> B", mass_action=1.3), fsp.Reaction("B -> A", mass_action=0.4)],
    )
    whole = StoredLaw.of(model, 1e-10)
    nothing = np.zeros((1, 21))
    a = whole.space.states[:, 0].astype(float)
    changes = [Changes((1.3 * a)[None], nothing, [{}]), Changes(nothing, nothing, [{}])]
    known = respond(whole, changes)
    short = replace(whole, y=0.98 * whole.y, apart=0.0201 * whole.y, total=0.0201)
    less = respond(short, changes)
    off = np.abs(less.derivatives - known.derivatives).sum()
    assert off > 0.01
    assert off <= less.errors[0] + known.errors[0]


def test_what_is_not_stored_is_charged():
    """Where a law is cut off at 25, what the others feed until a state is met is at most the sum over them."""
    model = immigration_death()
    space = fsp.StateSpace.box(model, upper={"X": 25})
    inside, beyond = np.arange(26), np.arange(26, 200)
    pi = stats.poisson(10.0)
    known = StoredLaw.of(model, 1e-8)
    stored = {"space": space, "y": pi.pmf(inside), "apart": np.zeros(26), "total": 0.0, "closed": False}
    law = replace(known, outside=pi.sf(25), **stored)
    heights = Heights.of(fsp.Generator(model, space), 10, law.condition)
    deaths = pi.pmf(beyond) * beyond * (heights.at(beyond[:, None]) + heights.at(beyond[:, None] - 1))
    assert heights.proved
    assert deaths.sum() <= heights.beyond(law, [{}, {(1,): 1}])
    nothing = np.zeros((1, 26))
    found = respond(law, [Changes(nothing, nothing, [{}]), Changes(inside[None].astype(float), nothing, [{(1,): 1}])])
    assert found.proved
    assert found.errors[0] >= 2.0 * deaths.sum()


@settings(max_examples=20, deadline=None)
@given(rates=st.lists(st.floats(1e-2, 1e2), min_size=6, max_size=6), total=st.integers(1, 5))
def test_bounds_hold_for_cycles_of_three_species(rates, total):
    names = "abcdef"
    model = fsp.Model(
        species={"A": total, "B": 0, "C": 0},
        parameters=dict(zip(names, rates, strict=True)),
        reactions=[
            fsp.Reaction(equation, mass_action=name)
            for name, equation in zip(names, ["A -> B", "B -> C", "C -> A", "B -> A", "C -> B", "A -> C"], strict=True)
        ],
    )
    law = StoredLaw.of(model, 1e-10)
    own = model.propensities(law.space.states)  # (R, n): also the derivatives by logarithms
    n, nothing = len(law.space), np.zeros((6, len(law.space)))
    changes = []
    for r, values in enumerate(own):
        only = nothing.copy()
        only[r] = values
        changes.append(Changes(only, nothing, [{}] * 6))
    found = respond(law, changes)
    assert found.proved
    generators = []
    for r in range(6):
        scaled = model.with_parameters({names[r]: 2.0 * rates[r]})
        generators.append(fsp.Generator(scaled, law.space).to_csr().toarray())
    A = fsp.Generator(model, law.space).to_csr().toarray()
    for k, twice in enumerate(generators):
        perturbed = A + 1e-30j * (twice - A)  # a complex step
        system = np.vstack([perturbed[:-1], np.ones(n)])
        exact = np.linalg.solve(system, np.eye(n)[-1]).imag / 1e-30
        assert np.abs(found.derivatives[k] - exact).sum() <= found.errors[k] + 1e-11 * (1.0 + np.abs(exact).sum())


@pytest.mark.parametrize("made", [0.0, 2.0])
def test_chains_that_end_in_several_endless_classes_are_refused(made):
    """Of an endless class a part is stored, which leaks: the derivative by a was 0, with an estimated error of 0."""
    model = network(
        {"S": 1, "P": 0, "Q": 0, "X": 0},
        ("S -> P", "mass_action", "a"),
        ("S -> Q", "mass_action", 1.0),
        ("P -> P + X", "mass_action", 1.0),
        *[("Q -> Q + X", "mass_action", made)] * (made > 0.0),
        ("X -> 0", "mass_action", 1.0),
        parameters={"a": 1.0},
    )
    with pytest.raises(fsp.ModelError, match="must be of a chain that ends in one class of states"):
        fsp.sensitivity(model, [0.0], ["a"], start="stationary", tol=1e-3)


def test_chains_that_end_in_several_classes_are_refused():
    model = fsp.Model(
        species={"S": 1, "A": 0, "B": 0},
        reactions=[fsp.Reaction("S -> A", mass_action=1.0), fsp.Reaction("S -> B", mass_action=2.0)],
    )
    with pytest.raises(fsp.ModelError, match="ends in one class"):
        StoredLaw.of(model, 1e-8)


@pytest.mark.parametrize("tol", [2.5e-9, 1e-15])
def test_single_states_of_a_beta_distributed_mean_are_known_as_parts_of_themselves(tol):
    """A gene that switches makes a Poisson law of a beta-distributed mean, whose tail is a confluent function."""
    on, off, make = 0.7, 1.3, 25.0
    model = fsp.Model(
        species={"R": 1, "G": 0, "X": 0},
        parameters={"on": on, "off": off, "make": make},
        reactions=[
            fsp.Reaction("R -> G", mass_action="on"),
            fsp.Reaction("G -> R", mass_action="off"),
            fsp.Reaction("G -> G + X", mass_action="make"),
            fsp.Reaction("X -> 0", mass_action=1.0),
        ],
    )
    law = StoredLaw.of(model, tol)
    n = law.space.states[:, 2]
    y, apart = np.bincount(n, law.y), np.bincount(n, law.apart)
    n = np.arange(len(y))
    exact = stats.poisson.pmf(n, make) * special.hyp1f1(off, on + off + n, make)
    exact *= np.exp(special.gammaln(on + n) - special.gammaln(on))
    exact *= np.exp(special.gammaln(on + off) - special.gammaln(on + off + n))
    assert (np.abs(exact - y) <= apart + 1e-12 * exact).all()
    assert (apart <= 1e-4 * exact)[exact > 10.0 * tol].all()


NEW_WAYS = {
    "birth": ({"X": 0}, [("-> X", "rate", "k - 1"), ("X -> ", "mass_action", 2.0)]),
    "gate": ({"G": 1, "H": 0}, [("G -> H", "mass_action", "k - 1"), ("H -> G", "mass_action", 2.0)]),
    "third state": (
        {"G": 1, "H": 0, "J": 0},
        [
            ("G -> H", "mass_action", 1.0),
            ("H -> G", "mass_action", 2.0),
            ("H -> J", "mass_action", "k - 1"),
            ("J -> G", "mass_action", 1e-3),  # its probability rises by 333 (k - 1)
        ],
    ),
    "odd numbers": (
        {"X": 0},
        [("-> 2 X", "rate", "1"), ("2 X -> ", "mass_action", 1.0), ("-> X", "rate", "k - 1")],
    ),
}


@pytest.mark.parametrize(
    ("name", "t", "start"),
    [
        *((name, t, "stationary") for name in NEW_WAYS for t in (0.0, 1.0)),
        *((name, 1.0, None) for name in ("birth", "gate", "odd numbers")),
    ],
)
def test_ways_that_a_parameter_opens_are_refused(name, t, start):
    """At k = 1 a rate is zero and its derivative is not: states that are not come to answer as well."""
    species, reactions = NEW_WAYS[name]
    model = network(species, *reactions, parameters={"k": 1.0})
    with pytest.raises(fsp.ModelError, match="positive, or leave that reaction out"):
        fsp.sensitivity(model, t, ["k"], log=False, start=start)


def test_a_rate_of_zero_between_states_that_are_come_to_has_a_derivative():
    """At k = 1 a second way from G to H opens: π(H) = (1 + k - 1)/(3 + k - 1)."""
    ways = [("G -> H", "mass_action", 1.0), ("G -> H", "mass_action", "k - 1"), ("H -> G", "mass_action", 2.0)]
    model = network({"G": 1, "H": 0}, *ways, parameters={"k": 1.0})
    (answer,) = fsp.sensitivity(model, 0.0, ["k"], log=False, start="stationary")
    interval = answer.mean("H")["k"]
    assert interval.certified
    assert interval.lower <= 2.0 / 9.0 <= interval.upper
    assert interval.upper - interval.lower <= 1e-6
