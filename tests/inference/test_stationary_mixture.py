"""Cells that differ, each in its stationary distribution: closed forms and dense solves lie within bounds.

The functions by which pieces are bounded are held against dense chains, at complex parameters and between corners.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from inference_cases import immigration_death
from mixture_cases import averaged, frozen, negative_binomial
from scipy.stats import binom, poisson

import fsp
from fsp.command.main import main
from fsp.equilibrium.certificate import certify
from fsp.equilibrium.common_times import CommonTimes
from fsp.generator import Generator
from fsp.inference import stationary_pieces
from fsp.inference.affine_rates import AffineRates
from fsp.inference.extrinsic import Region
from fsp.inference.stationary_mixing import _StationarySum
from fsp.inference.stationary_pieces import PieceNode, StationaryPiece, corners_of
from fsp.model.expression import evaluate
from fsp.moments.lyapunov import NoDriftCondition, common_condition
from fsp.space import StateSpace


def rested(model, laws, tol=1e-6, **options):
    return fsp.mixture(model, laws, [0.0, 3.0], tol, start="stationary", **options)


def feedback(b=2.0, a=9.0, K=5.0):
    return fsp.Model(
        species={"X": 0},
        parameters={"a": a, "g": 1.0},
        reactions=[
            fsp.Reaction("0 -> X", rate=f"{b} + a*X^2/({K}^2 + X^2)"),
            fsp.Reaction("X -> 0", mass_action="g"),
        ],
    )


def telegraph():
    return fsp.Model(
        species={"G": 0, "M": 0},
        parameters={"on": 0.3, "off": 0.7, "k": 6.0, "g": 1.0},
        reactions=[
            fsp.Reaction("0 -> G", rate="on*(1 - G)"),
            fsp.Reaction("G -> 0", rate="off*G"),
            fsp.Reaction("0 -> M", rate="k*G"),
            fsp.Reaction("M -> 0", mass_action="g"),
        ],
    )


def dense(model, values, box):
    """Return the stationary distribution on a box, (n,), jumps out of it left out, at values that may be complex."""
    states = np.stack([axis.ravel() for axis in np.indices([top + 1 for top in box])], axis=1)
    place = {tuple(x): i for i, x in enumerate(states.tolist())}
    columns = {name: states[:, i].astype(float) for i, name in enumerate(model.species)}
    A = np.zeros((len(states), len(states)), dtype=complex)
    numbers = {**model.parameters, **values}
    for change, law in zip(model.change.tolist(), model.definition.laws, strict=True):
        rates = np.broadcast_to(evaluate(law, {**numbers, **columns}), len(states))
        for i, x in enumerate((states + change).tolist()):
            if tuple(x) in place:
                A[place[tuple(x)], i] += rates[i]
                A[i, i] -= rates[i]
    A[0] = 1.0
    return np.linalg.solve(A, np.eye(len(states))[0])


def distance(dist, exact, box):
    """Return the 1-norm between a distribution and one on a box, (n,)."""
    stored = np.zeros([top + 1 for top in box])
    inside = (dist.states <= box).all(axis=1)
    stored[tuple(dist.states[inside].T)] = dist.probabilities[inside]
    return np.abs(stored.ravel() - exact).sum() + dist.probabilities[~inside].sum()


def held(dist, away, tol, slack=1e-12):
    assert dist.error.certified
    assert away <= dist.error.total + slack
    assert dist.error.total <= tol
    assert 1.0 - dist.mass <= dist.error.total + slack


# ---- mixtures


@pytest.mark.parametrize(("cv", "tol"), [(0.3, 1e-3), (0.3, 1e-9), (1.0, 1e-4)])
def test_poisson_laws_over_a_gamma_law_are_negative_binomial(cv, tol):
    solution = rested(immigration_death(), {"k": fsp.Gamma(4.0, cv)}, tol)
    exact = negative_binomial(4.0, cv)
    for dist in solution:
        counts = dist.states[:, 0]
        away = np.abs(dist.probabilities - exact.pmf(counts)).sum() + 1.0 - exact.pmf(counts).sum()
        held(dist, away, tol)
        assert dist.error.total <= 10.0 * away
    assert "each in its stationary distribution: k ~ Gamma" in str(solution)
    assert solution.options["start"] == "stationary"


def test_cells_may_have_one_count_nearly_all_the_time():
    """The states of the piece of the least rates are X = 0 alone."""
    dist = rested(immigration_death(), {"k": fsp.Gamma(0.1, 2.5)}, 2e-1)[0]
    exact = negative_binomial(0.1, 2.5).pmf(dist.states[:, 0])
    held(dist, np.abs(dist.probabilities - exact).sum() + 1.0 - exact.sum(), 2e-1)


def test_death_rates_may_differ():
    law = fsp.LogNormal(1.0, 0.4)
    dist = rested(immigration_death(), {"g": law}, 1e-4)[0]
    exact = averaged(law, lambda g: poisson.pmf(dist.states[:, 0], (10.0 / g)[:, None]))
    held(dist, np.abs(dist.probabilities - exact).sum() + 1.0 - exact.sum(), 1e-4)


@pytest.mark.parametrize(("name", "law"), [("k", fsp.Gamma(6.0, 0.2)), ("on", fsp.LogNormal(0.3, 0.15))])
def test_a_gene_with_two_states_agrees_with_dense_solves(name, law):
    box, tol = np.array([1, 45]), 1e-4
    dist = rested(telegraph(), {name: law}, tol)[0]
    exact = averaged(law, lambda x: np.array([dense(telegraph(), {name: v}, box).real for v in x.tolist()]), 80)
    held(dist, distance(dist, exact, box), tol, 1e-8)


def test_feedback_agrees_with_dense_solves():
    box, law = np.array([45]), fsp.Gamma(9.0, 0.3)
    dist = rested(feedback(), {"a": law}, 1e-5)[0]
    exact = averaged(law, lambda x: np.array([dense(feedback(), {"a": v}, box).real for v in x.tolist()]), 120)
    held(dist, distance(dist, exact, box), 1e-5, 1e-8)


def test_finite_chains_lose_nothing():
    model = fsp.Model(
        species={"A": 9, "B": 0},
        parameters={"k": 1.0},
        reactions=[fsp.Reaction("A -> B", mass_action="k"), fsp.Reaction("B -> A", mass_action=2.0)],
    )
    law = fsp.Gamma(1.0, 0.5)
    dist = rested(model, {"k": law}, 1e-7)[0]
    exact = averaged(law, lambda k: binom.pmf(dist.states[:, 1], 9, (k / (k + 2.0))[:, None]))
    held(dist, np.abs(dist.probabilities - exact).sum(), 1e-7)
    assert dist.closed


def test_two_parameters_differ_independently():
    laws = {"k": fsp.Gamma(4.0, 0.05), "g": fsp.LogNormal(1.0, 0.05)}
    dist = rested(immigration_death(), laws, 5e-2)[0]
    counts = dist.states[:, 0]
    exact = averaged(
        laws["g"], lambda g: np.array([negative_binomial(4.0 / x, 0.05).pmf(counts) for x in g.tolist()]), 200
    )
    held(dist, np.abs(dist.probabilities - exact).sum() + 1.0 - exact.sum(), 5e-2)


@settings(max_examples=5, deadline=None)
@given(st.floats(0.5, 3.0), st.floats(2.0, 12.0), st.floats(2.0, 8.0), st.floats(0.05, 0.5), st.sampled_from("ag"))
def test_bounds_hold_for_any_feedback(b, a, K, cv, name):
    model, tol, box = feedback(b, a, K), 1e-3, np.array([90])
    law = fsp.Gamma(model.parameters[name], cv if name == "a" else 0.3 * cv)  # slow deaths fill more than the box
    dist = rested(model, {name: law}, tol)[0]
    x = np.linspace(*np.log(frozen(law).ppf([1e-8, 1.0 - 1e-8])), 60)
    weights = frozen(law).pdf(np.exp(x)) * np.exp(x) * (x[1] - x[0])
    exact = weights @ np.array([dense(model, {name: v}, box).real for v in np.exp(x).tolist()])
    held(dist, distance(dist, exact, box), tol, 1e-6)


# ---- likelihoods


@pytest.mark.parametrize(("mean", "cv", "largest"), [(3.0, 0.4, 0), (10.0, 0.1, 34)])
def test_likelihoods_hold_those_of_negative_binomial_laws(mean, cv, largest):
    """Also of a cell of a probability of 1.5e-8."""
    rng = np.random.default_rng(3)
    seen = rng.poisson(rng.gamma(1.0 / cv**2, mean * cv**2, 60))
    seen[-1] = max(seen[-1], largest)
    counts = fsp.read_counts({"time": np.zeros(60), "n": seen}, counts={"X": "n"})
    model = immigration_death().with_parameters({"k": mean})
    found = fsp.likelihood(model, counts, extrinsic={"k": fsp.Gamma("k", cv)}, start="stationary")
    exact = negative_binomial(mean, cv).logpmf(seen)
    assert (exact.min() < math.log(1e-7)) == (largest > 0)
    slack = 1e-11 * np.abs(exact).sum()
    assert found.value.certified
    assert found.value.width <= 1e-2
    assert found.value.lower - slack <= exact.sum() <= found.value.upper + slack
    with pytest.raises(fsp.BackendError, match="must not begin in stationary distributions"):
        found.gradient(["k"])


# ---- what bounds a piece


def piece_of(model, name, ends, top=40):
    space = StateSpace.box(model, upper=dict(zip(model.species, top if np.iterable(top) else [top], strict=True)))
    condition = None if model.is_finite else common_condition([model.with_parameters({name: end}) for end in ends])
    return StationaryPiece.of(model, AffineRates.of(model, (name,)), {name: ends}, space, len(space) // 4, condition)


@pytest.mark.parametrize(
    ("model", "name", "ends", "top"),
    [
        (immigration_death(), "k", (9.5, 10.5), [30]),
        (immigration_death(), "g", (0.97, 1.03), [30]),
        (feedback(), "a", (8.8, 9.2), [40]),
        (telegraph(), "k", (5.8, 6.2), [1, 25]),
        (telegraph(), "on", (0.29, 0.31), [1, 25]),
    ],
)
def test_complex_parameters_have_their_bound(model, name, ends, top):
    piece = piece_of(model, name, ends, top)
    (growth,) = piece.growth(name).bent
    middle, half, known = 0.5 * sum(ends), 0.5 * (ends[1] - ends[0]), 0
    for axis in (1.05, 1.5, 2.5, 4.0, 7.0):
        angles = np.linspace(0.0, math.pi, 49)
        other = math.sqrt(axis**2 - 1.0)
        z = middle + half * (axis * np.cos(angles) + 1j * other * np.sin(angles))
        arcs = np.array([z[:-1], z[1:]])
        high = arcs.imag.max(axis=0)
        region = Region(
            arcs.real.min(axis=0)[None],
            arcs.real.max(axis=0)[None],
            high[None],
            np.abs(arcs).min(axis=0)[None],
            np.abs(arcs).max(axis=0)[None],
            np.arctan2(high, arcs.real.min(axis=0))[None],
        )
        bound = float(growth(region)[0, 0])
        if math.isfinite(bound):
            sizes = [np.abs(dense(model, {name: complex(v)}, np.array(top))).sum() for v in z[::6]]
            assert max(sizes) <= math.exp(bound) * (1.0 + 1e-9)
            known += 1
    assert known >= 2


def test_pieces_that_are_too_wide_have_no_bound():
    assert piece_of(immigration_death(), "k", (4.0, 20.0)) is None
    assert piece_of(feedback(), "a", (8.8, 9.2), [4]) is None


def test_what_leaves_the_states_is_charged():
    """On a space that is small the distance to the distribution on all states lies below (2)."""
    model = immigration_death()
    piece = piece_of(model, "k", (9.9, 10.1), [22])
    node = piece.at({"k": 10.0})
    exact = poisson(10.0).pmf(np.arange(200))
    inside = np.append(exact[:23] / exact[:23].sum(), np.zeros(177))  # reversible: the law on J is the one cut off
    assert np.abs(exact - inside).sum() <= node.leaked <= 1000.0 * np.abs(exact - inside).sum()
    assert (node.lower <= exact[:23] * (1.0 + 1e-12)).all()
    assert 1.0 - node.lower.sum() <= node.lacking + node.relative
    assert piece.spilled == pytest.approx(node.leaked, rel=1e-6)


@pytest.mark.parametrize(
    ("model", "name", "ends"), [(feedback(), "a", (8.0, 10.0)), (immigration_death(), "g", (0.8, 1.2))]
)
def test_common_times_bound_those_of_all_rates_between(model, name, ends):
    space = StateSpace.box(model, upper={"X": 40})
    models = [model.with_parameters({name: end}) for end in ends]
    condition = common_condition(models)
    times = CommonTimes.of([Generator(own, space) for own in models], 8, condition)
    assert 0.1 < times.kappa <= 1.0
    assert times.inside[8] == 0.0
    wide = StateSpace.box(model, upper={"X": 400})
    everywhere = np.where(wide.states[:, 0] <= 40, np.append(times.inside, np.zeros(360)), times.at(wide.states))
    for value in np.linspace(*ends, 5):
        matrix = Generator(model.with_parameters({name: float(value)}), wide).to_csr()
        drift = (matrix.T @ everywhere)[:400]  # the last state loses what leads on
        assert np.delete(drift, 8).max() <= -times.kappa + 1e-9
    assert (
        CommonTimes.of([Generator(own, StateSpace.box(model, upper={"X": 3})) for own in models], 2, condition) is None
    )


def test_times_inside_are_no_more_and_outside_no_less_than_the_exact_ones():
    """The drift of the exact α + g/γ is proved: its rounding must not undo that at states beside stored ones.

    The drift is the same in all states but zero, where the times inside would be the same function but for rounding.
    """
    served = [fsp.Reaction("0 -> X", rate="b"), fsp.Reaction("X -> 0", rate="piecewise(0.7, X > 0, 0)")]
    model = fsp.Model(species={"X": 0}, parameters={"b": 0.3}, reactions=served)
    models = [model.with_parameters({"b": end}) for end in (0.29, 0.31)]
    condition = common_condition(models)
    times = CommonTimes.of([Generator(own, StateSpace.box(model, upper={"X": 40})) for own in models], 0, condition)

    def exact(x):
        g = sum(
            c * Fraction(math.prod(x - int(condition.centre[0]) - j for j in range(alpha[0])))
            for alpha, c in condition.function.items()
        )
        return Fraction(times.lift) + g / Fraction(times.gamma)

    assert all(Fraction(h) <= exact(x) for x, h in enumerate(times.inside.tolist()))
    far = np.arange(41, 400)
    assert all(Fraction(h) >= exact(x) for x, h in zip(far.tolist(), times.at(far[:, None]).tolist(), strict=True))


def test_what_is_solved_with_rounding_may_be_outside(monkeypatch):
    model = immigration_death()
    piece, certificates = piece_of(model, "k", (9.9, 10.1), [40]), []

    def certified(*arguments, eliminate=False):
        known = None if eliminate else certify(*arguments)
        certificates.append(known and replace(known, upper=known.lower, integration=1e-3))
        return certificates[-1]

    monkeypatch.setattr(stationary_pieces, "certify", certified)
    node = piece.at({"k": 10.0})
    (none, known) = certificates
    assert none is None
    assert 1e-3 <= known.total <= node.lacking <= 1.1 * known.total


def test_weights_that_add_up_to_more_than_one_are_charged():
    model = immigration_death()
    piece = SimpleNamespace(space=StateSpace.box(model, upper={"X": 1}), highest=0.0, outer=None)

    class Part:
        rules = (SimpleNamespace(relative=0.0, moved=0.0),)
        error = 0.0

        def __len__(self):
            return 1

    part = Part()
    part.piece = piece
    mixed = _StationarySum(0.0)
    mixed.begin(part)
    mixed.add(1.0 + 1e-9, PieceNode(np.array([0.25, 0.75]), 0.0, 0.0, 0.0))
    reached = mixed.reached(model, 0.0)
    assert reached.distribution.mass == pytest.approx(1.0, abs=1e-15)
    assert reached.distribution.error.rounding >= 0.99e-9
    assert reached.relative >= 0.99e-9


def test_common_conditions_hold_between_their_networks():
    models = [feedback(a=a) for a in (1.0, 9.0)]
    condition = common_condition(models)
    states = np.arange(300)[:, None]
    g = condition.values(np.arange(-1, 301)[:, None].clip(0))
    listed = dict(zip(condition.states[:, 0].tolist(), condition.drifts.tolist(), strict=True))
    for a in (1.0, 4.0, 9.0):
        up, down = feedback(a=a).propensities(states)
        drift = up * (g[2:] - g[1:-1]) + down * (g[:-2] - g[1:-1])
        above = [listed.get(x, -condition.elsewhere) for x in states[:, 0].tolist()]
        assert (drift <= np.array(above) + 1e-9).all()
    growing = fsp.Model(species={"X": 0}, reactions=[fsp.Reaction("0 -> X", rate="5")])
    with pytest.raises(NoDriftCondition):
        common_condition([feedback(), growing])


def test_corners_are_all_combinations():
    assert corners_of({"a": (1.0, 2.0), "b": (3.0, 4.0)}) == [
        {"a": 1.0, "b": 3.0},
        {"a": 1.0, "b": 4.0},
        {"a": 2.0, "b": 3.0},
        {"a": 2.0, "b": 4.0},
    ]


# ---- refusals, and the command


def test_what_does_not_come_to_rest_is_refused():
    law = {"k": fsp.Gamma(1.0, 0.3)}
    counted = [fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", rate="0.1*X/(1 + X)")]
    unbounded = fsp.Model(species={"X": 0}, parameters={"k": 1.0}, reactions=counted)
    with pytest.raises(fsp.BackendError, match="drift condition that neighbouring values share"):
        rested(unbounded, law)
    gene = [fsp.Reaction("0 -> G", rate="2.94*(1 - G)"), fsp.Reaction("G -> 0", rate="0.497*G")]
    made = [fsp.Reaction("0 -> X", rate="k*G"), fsp.Reaction("X -> 0", mass_action=1.26)]
    unseen = fsp.Model(species={"G": 0, "X": 0}, parameters={"k": 2.95}, reactions=[*gene, *made])
    with pytest.raises(fsp.BackendError, match="two species that turn into each other"):
        rested(unseen, {"k": fsp.Gamma(2.95, 0.1)})
    pair = [fsp.Reaction("H -> G", mass_action=2.94), fsp.Reaction("G -> H", mass_action=0.497)]
    seen = fsp.Model(species={"G": 0, "H": 1, "X": 0}, parameters={"k": 2.95}, reactions=[*pair, *made])
    assert rested(seen, {"k": fsp.Gamma(2.95, 0.1)}, 1e-2)[0].error.certified  # as the message says
    timed = fsp.Model(
        species={"X": 0},
        parameters={"k": 1.0},
        reactions=[fsp.Reaction("0 -> X", rate="k*(1 + 0.5*sin(time))"), fsp.Reaction("X -> 0", mass_action=1.0)],
    )
    with pytest.raises(fsp.BackendError, match="must have rates that do not depend on time"):
        rested(timed, law)
    hill = fsp.Model(
        species={"X": 0},
        parameters={"k": 1.0},
        reactions=[fsp.Reaction("0 -> X", rate="5*k/(k + X)"), fsp.Reaction("X -> 0", mass_action=1.0)],
    )
    with pytest.raises(fsp.BackendError, match="depends on 'k' otherwise"):
        rested(hill, law)
    with pytest.raises(fsp.ArgumentError, match="`start` must be 'stationary'"):
        fsp.mixture(immigration_death(), law, 1.0, start="rest")
    apart = fsp.Model(
        species={"A": 1, "B": 0, "C": 0},
        parameters={"k": 1.0},
        reactions=[fsp.Reaction("A -> B", mass_action="k"), fsp.Reaction("A -> C", mass_action=1.0)],
    )
    with pytest.raises(fsp.ConvergenceError, match="may not lead back"):
        rested(apart, law)
    with pytest.raises(fsp.StateSpaceError, match="at most 40 states"):
        rested(immigration_death(), {"k": fsp.Gamma(10.0, 0.1)}, 1e-9, max_states=40)
    sources = [fsp.Reaction("0 -> X", rate=name) for name in "abc"]  # of three parameters a piece has many nodes
    fed = fsp.Model(
        species={"X": 0},
        parameters={"a": 1.0, "b": 2.0, "c": 3.0},
        reactions=[*sources, fsp.Reaction("X -> 0", mass_action=1.0)],
    )
    with pytest.raises(fsp.ConvergenceError, match="nodes on"):
        rested(fed, {name: fsp.Gamma(value, 0.2) for name, value in fed.parameters.items()}, 1e-9)


def test_the_command_solves_cells_at_rest_that_differ(tmp_path):
    (tmp_path / "bd.ant").write_text("species X; X = 0; k = 10; g = 1; R1: -> X; k; R2: X -> ; g*X;")
    words = ["transient", str(tmp_path / "bd.ant"), "--times", "0", "--extrinsic", "k=gamma(10,0.3)", "--tol", "1e-4"]
    made = CliRunner().invoke(main, [*words, "--start", "stationary", "--json", "--quiet"])
    assert made.exit_code == 0, made.output
    record = json.loads(made.stdout)
    assert record["options"]["start"] == "stationary"
    assert record["times"][0]["mean"]["X"] == pytest.approx(10.0, rel=1e-3)
    wrong = CliRunner().invoke(main, [*words, "--start", str(tmp_path / "bd.h5")])
    assert wrong.exit_code == 2
    assert "--start" in wrong.stderr
