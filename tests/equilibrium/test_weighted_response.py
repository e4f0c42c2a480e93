"""Weighted errors of the derivatives of stationary distributions: the functions that bound them, and exact occupations.

The occupation o of (1) follows from an exact distribution and its exact derivative, so that bounds of Σ λ o can be held
against it.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from inference_cases import immigration_death
from scipy import stats

import fsp
from fsp.equilibrium.response import Changes, Heights, Response, StoredLaw, respond
from fsp.equilibrium.weighted_response import _above_costs, weighted_errors

FAR = np.arange(120)  # counts that hold all but 1e-80 of the Poisson law of mean 10


def gene(slow):
    """Return a gene that switches slowly, so that its reference state is far from half of all states."""
    return fsp.Model(
        species={"G": 1, "S": 0, "X": 0},
        reactions=[
            fsp.Reaction("G -> S", mass_action=slow),
            fsp.Reaction("S -> G", mass_action=slow),
            fsp.Reaction("0 -> X", rate="5 + 3*G"),
            fsp.Reaction("X -> 0", mass_action=1.0),
        ],
    )


@pytest.mark.parametrize("share", [1.0, 0.3])
@pytest.mark.parametrize("tol", [1e-2, 1e-6])
@pytest.mark.parametrize("slow", [1e-4, 1.0])
def test_costs_before_the_reference_state_are_bounded_on_all_states(slow, tol, share):
    """V, which is H sup λ where nothing is stored, falls by λ at least in the mean, at all states but the reference."""
    model, highest = gene(slow), 3.0
    law = StoredLaw.of(model, tol)
    generator = fsp.Generator(model, law.space)
    heights = Heights.of(generator, int(np.argmax(law.y)), law.condition)
    costs = np.full(len(law.space), highest)
    costs[::2] *= share
    V = _above_costs(generator, heights, costs, highest)
    assert V is not None
    n = 2 * len(law.space)
    wide = fsp.StateSpace.from_states(model.species, [[g, 1 - g, x] for g in (0, 1) for x in range(n)])
    inside = law.space.index(wide.states)
    at = np.where(inside >= 0, V[inside], highest * heights.at(wide.states))
    above = np.where(inside >= 0, costs[inside], highest)
    drift = fsp.Generator(model, wide).to_csr().T @ at
    ends = (inside == heights.z) | (wide.states[:, 2] == n - 1)
    assert heights.proved
    assert (drift <= -above * (1.0 - 1e-9))[~ends].all()


def occupation(s, h, pi, z):
    """Return o of ``s - h = o + c π``, which is zero at z, and c."""
    c = (s[z] - h[z]) / pi[z]
    return s - h - c * pi, c


def isomerization():
    """Return a law that lacks 2 %, what log k of the first rate changes, the exact law and its derivative."""
    model = fsp.Model(
        species={"A": 20, "B": 0},
        reactions=[fsp.Reaction("A -> B", mass_action=1.3), fsp.Reaction("B -> A", mass_action=0.4)],
    )
    whole = StoredLaw.of(model, 1e-10)
    a = whole.space.states[:, 0].astype(float)
    pi, nothing = stats.binom.pmf(a, 20, 0.4 / 1.7), np.zeros((1, 21))
    law = replace(whole, y=0.98 * pi, apart=0.02 * pi * (1.0 + 1e-9), total=0.02 * (1.0 + 1e-9))
    changes = [Changes((1.3 * a)[None], nothing, [{}]), Changes(nothing, nothing, [{}])]
    return law, changes, pi, pi * (20 * 0.4 / 1.7 - a)


@pytest.mark.parametrize("weight", [lambda a: a, lambda a: 1.0 * (a == 9), lambda a: (a > 7) * a**2])
def test_what_a_law_lacks_is_charged_by_the_weight(weight):
    law, changes, pi, s = isomerization()
    found = respond(law, changes)
    inside = weight(law.space.states[:, 0].astype(float))
    o, c = occupation(s, found.derivatives[0], pi, found.heights.z)
    assert abs(inside @ o) > 0.0
    assert abs(inside @ o) <= weighted_errors(law, found, changes, (inside, inside.max(), 0.0))[0]
    mean = float(inside @ pi)
    bound = weighted_errors(law, found, changes, (inside, inside.max(), mean))[0]
    assert abs(inside @ (s - found.derivatives[0])) <= bound
    assert abs(c) * mean <= bound


def test_any_derivative_is_charged_for_its_residual():
    law, changes, pi, s = isomerization()
    exact = replace(law, y=pi, apart=1e-12 * pi, total=1e-12)
    found = respond(exact, changes)
    h = found.derivatives + 0.1 * np.sin(np.arange(21.0))
    inside = law.space.states[:, 0].astype(float)
    o, _ = occupation(s, h[0], pi, found.heights.z)
    bound = weighted_errors(exact, replace(found, derivatives=h), changes, (inside, inside.max(), 0.0))[0]
    assert 0.01 < abs(inside @ o) <= bound


@pytest.mark.parametrize(("edge", "held"), [(15, 0.0), (15, 50.0), (22, -3.0)])
def test_what_flows_out_and_what_is_not_stored_are_charged(edge, held):
    """On 0 … edge of immigration and death by log k, with more or less of a derivative at the edge."""
    model = immigration_death()
    space, x = fsp.StateSpace.box(model, upper={"X": edge}), np.arange(edge + 1)
    pi = stats.poisson.pmf(FAR, 10.0)
    known = StoredLaw.of(model, 1e-8)
    stored = {"space": space, "y": pi[: edge + 1], "apart": np.zeros(edge + 1), "total": 0.0, "closed": False}
    law = replace(known, outside=float(stats.poisson.sf(edge, 10.0)), **stored)
    nothing = np.zeros((1, edge + 1))
    changes = [Changes(np.full((1, edge + 1), 10.0), nothing, [{(0,): 10}]), Changes(nothing, nothing, [{}])]
    heights = Heights.of(fsp.Generator(model, space), 10, law.condition)
    s = pi * (FAR - 10.0)
    h = s[: edge + 1] + held * (x == edge)
    o, _ = occupation(s, np.concatenate([h, np.zeros(len(FAR) - edge - 1)]), pi, 10)
    weight = np.maximum(FAR - 11, 0).clip(max=8.0)
    bound = weighted_errors(law, Response(h[None], np.zeros(1), True, heights), changes, (weight[: edge + 1], 8.0, 0.0))
    assert abs(weight @ o) <= bound[0] < np.inf
    if held:  # what jumps over the edge spends time there before it comes back
        assert abs(held) * 10.0 * heights.at(np.array([[edge + 1]]))[0] * 8.0 <= bound[0]


def test_what_flows_out_counts_until_it_is_back():
    """Where no rate changes, ``h = -y`` of the equations on the space is off by what its lost flux comes to outside."""
    model, edge, z = immigration_death(), 14, 10
    space, pi = fsp.StateSpace.box(model, upper={"X": edge}), stats.poisson.pmf(FAR, 10.0)
    generator = fsp.Generator(model, space)
    known = StoredLaw.of(model, 1e-8)
    law = replace(known, space=space, y=pi[: edge + 1], apart=np.zeros(edge + 1), total=0.0, closed=False)
    nothing = np.zeros((1, edge + 1))
    A = generator.to_csr().toarray()
    others = np.arange(edge + 1) != z
    h = np.ones(edge + 1)
    h[others] = -np.linalg.solve(A[np.ix_(others, others)], A[others, z])
    heights = Heights.of(generator, z, law.condition)
    response = Response(-h[None], np.zeros(1), True, heights)
    weight = 1.0 * (FAR >= 12)
    bound = weighted_errors(law, response, [Changes(nothing, nothing, [{}])] * 2, (weight[: edge + 1], 1.0, 0.0))[0]
    o, _ = occupation(np.zeros(len(FAR)), np.concatenate([-h, np.zeros(len(FAR) - edge - 1)]), pi, z)
    assert 0.01 < weight @ (-o) <= bound


def test_a_function_that_does_not_pay_for_the_weight_proves_nothing():
    law, changes, _, _ = isomerization()
    found = respond(law, changes)
    right = found.heights.system
    wrong = replace(found.heights, system=SimpleNamespace(solve_adjoint=lambda b: 0.9 * right.solve_adjoint(b)))
    weights = (law.space.states[:, 0].astype(float), 20.0, 0.0)
    assert np.isfinite(weighted_errors(law, found, changes, weights)[0])
    assert weighted_errors(law, replace(found, heights=wrong), changes, weights)[0] == np.inf


@pytest.mark.parametrize("seed", range(3))
def test_the_bound_has_each_term_of_the_inequality(seed):
    """(4) with dense matrices and the least V, for a derivative, changes and missing parts drawn at random."""
    law, _, pi, _ = isomerization()
    rng, n = np.random.default_rng(seed), len(law.space)
    inside, apart = rng.uniform(0.5, 2.0, n), rng.uniform(0.0, 0.9, n) * pi
    law = replace(law, apart=apart, total=float(apart.sum()))
    values, off = rng.normal(size=(2, n)), rng.uniform(0.1, 0.5, (2, n))
    a, h = np.arange(n), rng.normal(size=n) * pi
    values[0, 0] = off[0, 0] = values[1, -1] = off[1, -1] = 0.0  # there a count would be negative
    targets = np.clip([a - 1, a + 1], 0, n - 1)
    A = fsp.Generator(law.model, law.space).to_csr().toarray()
    z = int(np.argmax(law.y))
    others = a != z
    V = np.zeros(n)
    V[others] = -np.linalg.solve(A.T[np.ix_(others, others)], inside[others])
    B = np.zeros((n, n))
    for value, to in zip(values, targets, strict=True):
        np.add.at(B, (to, a), value)
        B[a, a] -= value
    costs = [V + V[to] for to in targets]
    size = sum((np.abs(value) + o) * cost for value, o, cost in zip(values, off, costs, strict=True))
    exact = np.abs(A @ h + B @ law.y) @ V + size @ apart
    exact += sum((o * cost) @ law.y for o, cost in zip(off, costs, strict=True))
    heights = Heights.of(fsp.Generator(law.model, law.space), z, None)
    changes = [Changes(value[None], o[None], [{}]) for value, o in zip(values, off, strict=True)]
    response = Response(h[None], np.zeros(1), True, heights)
    bound = weighted_errors(law, response, changes, (inside, float(inside.max()), 0.0))[0]
    assert exact * (1.0 - 1e-9) <= bound <= 1.01 * exact
    more = weighted_errors(law, response, changes, (inside, float(inside.max()), 1.0))[0]
    assert more >= bound + np.finfo(float).eps * np.abs(h).sum()


def test_a_change_at_the_edge_is_charged_on_both_sides_of_it():
    model, edge, z = immigration_death(), 14, 10
    space, pi = fsp.StateSpace.box(model, upper={"X": edge}), stats.poisson.pmf(FAR, 10.0)
    generator, x = fsp.Generator(model, space), np.arange(edge + 1)
    law = replace(
        StoredLaw.of(model, 1e-8), space=space, y=pi[: edge + 1], apart=np.zeros(edge + 1), total=0.0, closed=False
    )
    heights = Heights.of(generator, z, law.condition)
    v, off, nothing = 7.0 * (x == edge), 3.0 * (x == edge), np.zeros((1, edge + 1))
    changes = [Changes(v[None], off[None], [{}]), Changes(nothing, nothing, [{}])]
    inside, outside = np.full(edge + 1, 0.2), 2.0
    V = _above_costs(generator, heights, inside, outside)
    far = outside * heights.at(np.array([[edge + 1]]))[0]
    bound = weighted_errors(law, Response(nothing, np.zeros(1), True, heights), changes, (inside, outside, 0.0))[0]
    least = pi[edge] * (7.0 * V[edge] + (7.0 + 3.0) * far + 3.0 * (V[edge] + far))
    assert least * (1.0 - 1e-9) <= bound <= 1.01 * least
