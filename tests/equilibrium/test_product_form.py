"""Networks with stationary distributions of product form: recognised where they are, exact, as the null vector says."""

from __future__ import annotations

import math
import warnings
from fractions import Fraction

import exact
import mpmath
import numpy as np
import pytest
from hypothesis import assume, given, settings
from random_networks import as_model, reversible_networks
from written_networks import network

import fsp
from fsp.equilibrium.product_form import _poisson, lattice_states
from fsp.moments.complexes import complex_balance, complex_graph, structure_text

CYCLE = (("A -> B", "mass_action", 1.0), ("B -> C", "mass_action", 2.0), ("C -> A", "mass_action", 4.0))
SCHLOEGL = (
    ("0 -> X", "mass_action", 3.0),
    ("X -> 0", "mass_action", 1.0),
    ("2 X -> 3 X", "mass_action", 1.0),
    ("3 X -> 2 X", "mass_action", 1.0),
)
PAIRS = (("0 -> 2 X", "mass_action", 8.0), ("2 X -> 0", "mass_action", 1.0))


def is_product(distribution):
    return any("product form" in note for note in distribution.notes)


def assert_balanced(model, d, tolerance):
    """What flows into a state is what flows out of it, where all that leads there is stored."""
    generator = fsp.Generator(model, fsp.StateSpace.from_states(model.species, d.states))
    matrix = generator.to_csr()
    before = (d.states[:, None, :] - model.change[None]).reshape(-1, model.n_species)
    stored = generator.space.index(np.maximum(before, 0)) >= 0
    inside = (stored | (before < 0).any(axis=1)).reshape(len(d), -1).all(axis=1)
    flow = abs(matrix) @ d.probabilities
    assert (np.abs(matrix @ d.probabilities) <= tolerance * flow)[inside].all()


# ---- complexes


@pytest.mark.parametrize(
    ("species", "reactions", "expected"),
    [
        ("ABC", CYCLE, (3, 1, 0, True)),
        ("ABC", CYCLE[:2], (3, 1, 0, False)),
        ("X", PAIRS, (2, 1, 0, True)),
        ("X", SCHLOEGL, (4, 2, 1, True)),
        # a rate that the equation does not say: the complexes are those of the rate
        ("AB", (("A -> 0", "rate", "2*A*B"), ("0 -> A", "rate", "3*B")), (2, 1, 0, True)),
    ],
)
def test_complexes_and_their_balance(species, reactions, expected):
    model = network(dict.fromkeys(species, 1), *reactions)
    graph = complex_graph(model)
    n, classes, deficiency, reversible = expected
    assert (len(graph.complexes), graph.n_linkage_classes, graph.deficiency) == (n, classes, deficiency)
    assert graph.weakly_reversible is reversible


def pair_of_births(constant):
    """Return Schloegl's network, which is complex balanced where X/3 and the ratio of the other pair agree."""
    return network(
        {"X": 0},
        ("0 -> X", "mass_action", 0.3),
        ("X -> 0", "mass_action", 0.1),
        ("2 X -> 3 X", "mass_action", 0.7),
        ("3 X -> 2 X", "mass_action", constant),
    )


def test_balance_of_positive_deficiency_is_decided_exactly():
    """``0.7 / 2! = c κ / 3!`` at c = 3 for κ = 0.7, and for no neighbour."""
    assert complex_balance(complex_graph(pair_of_births(0.7))) is not None
    assert complex_balance(complex_graph(pair_of_births(np.nextafter(0.7, 1.0)))) is None
    d = fsp.stationary(pair_of_births(0.7), 1e-9)
    assert is_product(d)
    assert np.abs(d.probabilities - exact.poisson(d.states[:, 0], 3.0)).sum() <= d.error.total
    near = fsp.stationary(pair_of_births(0.7000001), 1e-9)
    assert not is_product(near)
    assert near.distance(d) <= 1e-5


@pytest.mark.parametrize("rate", ["0.3*X/(2 + X)", "2*X - 0.001*X^2", lambda x: 0.3 * x["X"]])
def test_other_rates_are_no_mass_action(rate):
    model = network({"X": 0}, ("0 -> X", "mass_action", 1.0), ("X -> 0", "rate", rate))
    assert complex_graph(model) is None
    assert "not a mass-action network" in structure_text(model)


def test_the_equilibrium_of_a_cycle_is_that_of_its_walk():
    graph = complex_graph(network({"A": 10, "B": 0, "C": 0}, *CYCLE))
    found = complex_balance(graph)
    c = np.exp(found.log)
    np.testing.assert_allclose(c / c.sum(), np.array([1.0, 0.5, 0.25]) / 1.75, rtol=1e-14)
    assert graph.constants[0] == Fraction(1)


# ---- distributions


@settings(max_examples=15)
@given(reversible_networks())
def test_random_networks_of_deficiency_zero(drawn):
    """The law balances every state, and lies within the sum of the bounds of what the null vector gives."""
    model = as_model(drawn)
    graph = complex_graph(model)
    assume(graph.deficiency == 0)
    d = fsp.stationary(model, 1e-9)
    assert is_product(d)
    assert d.error.certified
    assert d.error.total <= 1e-9
    assert_balanced(model, d, 1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        solved = fsp.stationary(model, 1e-7, method="gth", max_states=20_000)
    assert not is_product(solved)
    assert d.distance(solved) <= d.error.total + (solved.error.total if solved.error.certified else 1e-5)


@pytest.mark.parametrize("tol", [1e-2, 1e-6, 1e-10])
@pytest.mark.parametrize("mean", [0.03, 1.0, 40.0, 12345.6])
def test_poisson_distributions_of_any_size(mean, tol):
    model = network({"X": 0}, ("0 -> X", "mass_action", mean), ("X -> 0", "mass_action", 1.0))
    d = fsp.stationary(model, tol)
    law = exact.poisson(d.states[:, 0], mean)
    known = 1e-9 if mean > 1e3 else 1e-12  # of the closed form
    assert (d.lower <= law * (1.0 + known)).all()
    assert (law <= d.upper * (1.0 + known)).all()
    true = np.abs(d.probabilities - law).sum() + max(0.0, 1.0 - law.sum())
    assert true <= d.error.total + known
    assert d.error.truncation <= tol
    assert d.error.truncation <= 100.0 * max(true, known)


@pytest.mark.parametrize("mean", [0.3, 17.5, 1e6, 123456789.0, 1999999999.7])
def test_the_probability_of_the_mode_lies_between_its_bounds(mean):
    """At 10⁹ molecules its logarithm is a difference of numbers of 10¹⁰, which keep five decimals."""
    log = math.log(mean)
    weights = _poisson(log, 0.0)
    with mpmath.workdps(40):
        c, mode = mpmath.exp(mpmath.mpf(log)), mpmath.mpf(weights.mode)
        true = mpmath.exp(mode * mpmath.mpf(log) - c - mpmath.loggamma(mode + 1))
        assert weights.least <= true <= weights.highest <= 1.01 * true


def test_parities_have_each_its_product():
    model = network({"X": 0}, *PAIRS, initial={(0,): 0.3, (5,): 0.2, (1,): 0.5})
    d = fsp.stationary(model, 1e-9)
    x = d.states[:, 0]
    even, odd = math.cosh(4.0) * math.exp(-4.0), math.sinh(4.0) * math.exp(-4.0)
    law = exact.poisson(x, 4.0) * np.where(x % 2 == 0, 0.3 / even, 0.7 / odd)
    assert is_product(d)
    assert np.abs(d.probabilities - law).sum() <= d.error.total
    assert (d.lower <= law * (1 + 1e-13)).all()
    assert (law * (1 - 1e-13) <= d.upper).all()
    assert len(d.notes) == 3


def test_states_that_are_classes_of_their_own_are_left_out():
    """Without A nothing happens to B, however much of it the laws allow."""
    model = network({"A": 3, "B": 2}, ("A + B -> 2 A", "mass_action", 1.0), ("2 A -> A + B", "mass_action", 1.0))
    d = fsp.stationary(model, 1e-9)
    assert is_product(d)
    assert d.states[:, 0].min() == 1
    law = np.array([math.comb(5, a) * 2.0**a for a in d.states[:, 0].tolist()])
    np.testing.assert_allclose(d.probabilities, law / law.sum(), rtol=1e-12)


@pytest.mark.parametrize("tol", [0.5, 0.1, 1e-2, 1e-4])
def test_what_only_a_way_outside_connects_counts_as_missing(tol):
    """Many A and no B, or the other way round, come from states with more of both, which are not stored."""
    model = network(
        {"A": 0, "B": 0},
        ("0 -> 3 A + B", "mass_action", 1.5),
        ("3 A + B -> 0", "mass_action", 1.5 * 6),
        ("0 -> 2 A + B", "mass_action", 1.5),
        ("2 A + B -> 0", "mass_action", 1.5 * 2 / 1.0),
    )
    d = fsp.stationary(model, tol)
    assert is_product(d)
    law = exact.poisson(d.states[:, 0], 1.0) * exact.poisson(d.states[:, 1], 1.0)
    assert (law <= d.upper * (1 + 1e-13)).all()
    assert (d.lower <= law * (1 + 1e-13)).all()
    true = np.abs(d.probabilities - law).sum() + 1.0 - law.sum()
    assert true <= d.error.total <= tol


def test_a_pool_that_exchanges_and_decays_keeps_its_difference():
    """0 <-> A + B: A - B is kept, and the class is a thin slice of all counts."""
    model = network({"A": 40, "B": 0}, ("0 -> A + B", "mass_action", 30.0), ("A + B -> 0", "mass_action", 0.01))
    d = fsp.stationary(model, 1e-10)
    assert is_product(d)
    assert (d.states[:, 0] - d.states[:, 1] == 40).all()
    b = d.states[:, 1]
    log = np.array([k * math.log(3000.0) - math.lgamma(k + 1) - math.lgamma(k + 41) for k in range(2000)])
    law = np.exp(log - log.max())
    law /= law.sum()
    assert np.abs(d.probabilities - law[b]).sum() + 1.0 - law[b].sum() <= d.error.total
    assert d.error.total <= 1e-10


def test_rare_states_keep_their_digits():
    model = network({"A": 200, "B": 0}, ("A -> B", "mass_action", 1e-1), ("B -> A", "mass_action", 1.0))
    d = fsp.stationary(model, 1e-6)
    log = np.array([math.lgamma(201) - math.lgamma(b + 1) - math.lgamma(201 - b) for b in range(201)])
    log += np.arange(201) * math.log(1 / 11) + (200 - np.arange(201)) * math.log(10 / 11)
    own = d.probabilities[np.argsort(d.states[:, 1])]
    assert own.min() < 1e-200
    np.testing.assert_allclose(np.log(own), log, atol=1e-10)
    assert (d.upper / d.lower < 1.0 + 1e-10).all()


@pytest.mark.parametrize(
    ("low", "high", "n"), [((0, 0), (9, 9), 5), ((0, 0), (3, 9), 1), ((4, 0), (9, 2), 1), ((5, 5), (9, 9), 0)]
)
def test_states_of_a_lattice_in_a_box(low, high, n):
    """2 A <-> B from (8, 0): A even, A + 2 B = 8."""
    change = np.array([[-2, 1], [2, -1]])
    found = lattice_states(change, np.array([8, 0]), np.array(low), np.array(high), 1000)
    everything = np.stack(np.meshgrid(np.arange(10), np.arange(10), indexing="ij"), axis=-1).reshape(-1, 2)
    inside = ((everything >= low) & (everything <= high)).all(axis=1)
    expected = everything[inside & (everything @ [1, 2] == 8) & (everything[:, 0] % 2 == 0)]
    assert sorted(map(tuple, found.tolist())) == sorted(map(tuple, expected.tolist()))
    assert len(found) == n or n == 1


def test_limits_and_wishes_go_another_way():
    model = network({"X": 0}, ("0 -> X", "mass_action", 40.0), ("X -> 0", "mass_action", 1.0))
    assert is_product(fsp.stationary(model, 1e-6))
    assert not is_product(fsp.stationary(model, 1e-6, method="gth"))
    assert not is_product(fsp.stationary(model, 1e-6, lyapunov="X"))
    assert lattice_states(np.array([[1, 0], [0, 1]]), np.zeros(2, int), np.zeros(2, int), np.full(2, 99), 5000) is None


def test_laws_on_more_states_than_can_be_held_are_refused_by_number():
    names = [f"S{i}" for i in range(60)]
    ring = [(f"{a} -> {b}", "mass_action", 1.0) for a, b in zip(names, names[1:] + names[:1], strict=True)]
    full = network(dict.fromkeys(names, 1), *ring)
    says = r"at most 100 states \(`max_states`\), but needs at least 191,7\d\d by"
    with pytest.raises(fsp.StateSpaceError, match=says):
        fsp.stationary(full, max_states=100)
    one = network(dict.fromkeys(names, 0) | {"S0": 1}, *ring)
    assert len(fsp.stationary(one, max_states=200)) == 60
    leaves = [f"A -> B{i}" for i in range(40)] + [f"B{i} -> A" for i in range(40)]
    star = network({"A": 1} | {f"B{i}": 0 for i in range(40)}, *((arrow, "mass_action", 1.0) for arrow in leaves))
    assert len(fsp.stationary(star, max_states=200)) == 41  # though 40 reactions are possible in one


@pytest.mark.parametrize("mean", [5e9, 1e12, 1e20, 1e300])
def test_more_molecules_than_a_space_counts_are_refused_by_number(mean):
    model = network({"X": 0}, ("0 -> X", "rate", mean), ("X -> 0", "mass_action", 1.0))
    with pytest.raises(
        fsp.StateSpaceError, match=rf"at most 2,147,483,647, but 'X' has a mean of about 10\^{math.log10(mean):.3g}"
    ):
        fsp.stationary(model, tol=1e-4)
