"""Random numbers in events, at the start and in bursts, against their closed forms."""

from __future__ import annotations

import math
import pickle
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

import fsp
from fsp import Event, ModelError, Reaction
from fsp.model.draws import LAWS
from fsp.moments.initial import KnownDistribution

TOL = 1e-8
ROUNDING = 1e-12  # of scipy's tables
OF_SCIPY = [
    ("binomial", (0.0, 0.3), stats.binom(0, 0.3)),
    ("binomial", (60.0, 0.3), stats.binom(60, 0.3)),
    ("binomial", (9.0, 1.0), stats.binom(9, 1.0)),
    ("bernoulli", (0.25,), stats.bernoulli(0.25)),
    ("poisson", (0.0,), stats.poisson(0.0)),
    ("poisson", (0.2,), stats.poisson(0.2)),
    ("poisson", (37.5,), stats.poisson(37.5)),
    ("geometric", (0.0,), stats.geom(1.0, loc=-1)),
    ("geometric", (3.0,), stats.geom(0.25, loc=-1)),
]


def production(**more):
    """X is made at rate 4, from 6 on."""
    return fsp.Model(species={"X": 6}, reactions=[Reaction("0 -> X", rate=4.0)], **more)


def distance(dist, p):
    """Return the 1-norm distance of a marginal to probabilities (n,) of counts 0, 1, …"""
    mine = np.zeros(max(len(p), int(dist.states[:, 0].max()) + 1))
    mine[: len(p)] -= p
    np.add.at(mine, dist.states[:, 0], dist.probabilities)
    return np.abs(mine).sum()


# ---- the laws


@pytest.mark.parametrize(("name", "arguments", "law"), OF_SCIPY)
def test_probabilities_are_lower_bounds_that_lack_what_they_are_off(name, arguments, law):
    found = LAWS[name].of(*arguments)
    exact = law.pmf(found.counts)
    lacking = 1.0 - found.probabilities.sum()
    assert 0.0 < lacking < 1e-12
    assert np.abs(found.probabilities - exact).sum() <= lacking + ROUNDING
    assert 1.0 - exact.sum() < ROUNDING


def test_binomial_probabilities_are_below_exact_fractions():
    """3/10 in 12 trials, in whole numbers."""
    found = LAWS["binomial"].of(12.0, 0.3)
    for k, p in enumerate(found.probabilities.tolist()):
        exact = math.comb(12, k) * 3**k * 7 ** (12 - k)
        numerator, denominator = p.as_integer_ratio()
        assert numerator * 10**12 <= exact * denominator
        assert numerator * 10**12 >= exact * denominator * (1 - 1e-12)


# ---- events


def test_partitioning_at_division_halves_a_poisson_number_in_law():
    """X is 6 and a Poisson number of mean 20 before, binomial(6, 1/2) and one of mean 10 after."""
    model = production(events=[Event("time >= 5", {"X": "binomial(X, 0.5)"})])
    at, later = fsp.transient(model, [5.0, 6.0], TOL)
    for dist, mean in ((at, 10.0), (later, 14.0)):
        exact = np.convolve(stats.binom.pmf(np.arange(7), 6, 0.5), stats.poisson.pmf(np.arange(120), mean))
        assert distance(dist, exact) <= dist.error.total + ROUNDING
    interval = at.mean_interval()["X"]
    assert interval.lower <= 13.0 <= interval.upper


def test_repeated_divisions_are_a_product_of_thinnings():
    model = production(
        parameters={"next": 1.0, "p": 0.3},
        events=[Event("time >= next", {"X": "binomial(X, p)", "next": "next + 1"})],
    )
    dist = fsp.transient(model, [3.5], TOL)[-1]
    mean = ((4 * 0.3 + 4) * 0.3 + 4) * 0.3 + 2
    exact = np.convolve(stats.binom.pmf(np.arange(7), 6, 0.3**3), stats.poisson.pmf(np.arange(80), mean))
    assert distance(dist, exact) <= dist.error.total + ROUNDING


@pytest.mark.parametrize("until", [1.5, 3.5])
def test_several_events_may_draw_from_one_law(until):
    """As many divisions as events, each of which is the same law of the same number."""
    divisions = [Event(f"time >= {k}", {"X": "binomial(X, 0.3)"}) for k in (1, 2, 3)]
    dist = fsp.transient(production(events=divisions), [until], TOL)[-1]
    mean, passed = 4.0, int(until)
    for _ in range(passed - 1):
        mean = 0.3 * mean + 4.0
    mean = 0.3 * mean + 2.0
    exact = np.convolve(stats.binom.pmf(np.arange(7), 6, 0.3**passed), stats.poisson.pmf(np.arange(80), mean))
    assert distance(dist, exact) <= dist.error.total + ROUNDING


def test_draws_of_one_event_are_independent():
    """Two daughters that draw for themselves from 3 + Poisson: no correlation, given the mother's."""
    model = fsp.Model(
        species={"X": 5, "Y": 0, "Z": 0},
        reactions=[Reaction("Z -> 0", rate="0*Z")],
        events=[Event("time >= 1", {"Y": "binomial(X, 0.5)", "Z": "binomial(X, 0.5)", "X": 0})],
    )
    (phase, _) = model.phases(0.0, 2.0)
    states, p, lost = phase.firing.mapped(model.initial_states, model.initial_probabilities)
    one = stats.binom.pmf(np.arange(6), 5, 0.5)
    found = {(y, z): probability for (_, y, z), probability in zip(states.tolist(), p.tolist(), strict=True)}
    assert len(found) == 36
    for (y, z), probability in found.items():
        assert probability == pytest.approx(one[y] * one[z], abs=lost + ROUNDING)


def test_only_states_that_trigger_are_drawn_anew():
    """Poisson numbers may be assigned too; what has no outcome for a state keeps it."""
    model = production(events=[Event("time >= 1", {"X": "poisson(3)"})])
    dist = fsp.transient(model, [1.0], TOL)[-1]
    assert distance(dist, stats.poisson.pmf(np.arange(60), 3.0)) <= dist.error.total + ROUNDING


@pytest.mark.parametrize("name", ["choice", "bernoulli", "poisson", "geometric", "binomial"])
def test_laws_are_sampled_as_they_are(name):
    arguments = {"choice": (0.2, 0.5, 0.3), "bernoulli": (0.3,), "binomial": (6, 0.3)}.get(name, (1.5,))
    found = LAWS[name].of(*map(float, arguments))
    sampled = LAWS[name].sample(np.random.default_rng(3), *(np.full(20_000, float(a)) for a in arguments))
    counts = np.bincount(sampled, minlength=len(found.counts))[: len(found.counts)]
    expected = 20_000 * found.probabilities
    often = expected > 10
    assert (np.abs(counts - expected)[often] <= 5 * np.sqrt(expected[often])).all()


def test_samples_draw_what_the_equation_spreads():
    model = production(events=[Event("time >= 1", {"X": "binomial(X, 0.25)"})])
    samples = fsp.ssa(model, [1.0], 4000, seed=5)[:, 0, 0]
    exact = np.convolve(stats.binom.pmf(np.arange(7), 6, 0.25), stats.poisson.pmf(np.arange(60), 1.0))[:12]
    counts = np.bincount(np.minimum(samples, 11), minlength=12)
    exact[11] = 1.0 - exact[:11].sum()
    kept = exact * 4000 > 5
    p = stats.chisquare(
        np.append(counts[kept], counts[~kept].sum()), 4000 * np.append(exact[kept], exact[~kept].sum())
    ).pvalue
    assert p > 1e-4


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (Event("X >= 30", {"X": "binomial(X, 0.5)"}), "known time"),
        (Event("time >= 1", {"X": "binomial(X, 0.5)"}, use_trigger_values=False), "values of its turn"),
        (Event("time >= 1", {"k": "binomial(3, 0.5)"}), "random"),
        (Event("time >= 1", {"X": "X - binomial(X, 0.5)"}), "may stand alone"),
        (Event("time >= 1", {"X": "binomial(X, 0.5, 0, 3)"}), "2 arguments"),
        (Event("time >= 1", {"X": "binomial(q, 0.5)"}), "uses 'q'"),
        (Event("time >= 1", {"X": "normal(0, 1)"}), "random number"),
    ],
)
def test_other_draws_in_events_are_refused(event, why):
    with pytest.raises(ModelError, match=why):
        production(parameters={"k": 1.0}, events=[event])


@pytest.mark.parametrize("p", [1.5, -0.1])
def test_probabilities_are_from_0_to_1(p):
    model = production(events=[Event("time >= 1", {"X": f"binomial(X, {p})"})])
    with pytest.raises(ModelError, match="p from 0 to 1"):
        fsp.transient(model, [2.0], TOL)


def test_the_law_of_a_draw_is_part_of_the_hash():
    one, two = (production(events=[Event("time >= 1", {"X": f"binomial(X, {p})"})]) for p in (0.5, 0.25))
    assert one.hash != two.hash
    assert "X ~ binomial(X, 0.5)" in one.describe()


# ---- the start


def test_a_random_start_decays_as_its_law():
    model = fsp.Model(species={"X": "poisson(5*m)"}, parameters={"m": 1.0}, reactions=[Reaction("X -> 0", rate="X")])
    for mean, changed in ((5.0, model), (10.0, model.with_parameters(m=2.0))):
        dist = fsp.transient(changed, [0.7], TOL)[-1]
        exact = stats.poisson.pmf(np.arange(120), mean * math.exp(-0.7))
        assert distance(dist, exact) <= dist.error.total + ROUNDING
        interval = dist.mean_interval()["X"]
        assert interval.lower <= mean * math.exp(-0.7) <= interval.upper
        assert interval.upper - interval.lower < 1e-6
    assert model.with_initial(X=3).initial_states.tolist() == [[3]]


def test_a_model_starts_anew_in_a_law_of_its_parameters():
    model = fsp.Model(
        species={"X": 3, "Y": "poisson(1)"}, parameters={"b": 2.0}, reactions=[Reaction("X -> Y", mass_action=1.0)]
    )
    drawn = model.with_initial(X="poisson(b)", Y=7)
    np.testing.assert_array_equal(drawn.initial_states[:, 1], 7)
    for b, other in ((2.0, drawn), (5.0, drawn.with_parameters(b=5.0)), (5.0, drawn.with_values({"b": 5}))):
        law = stats.poisson(b).pmf(other.initial_states[:, 0])
        np.testing.assert_allclose(other.initial_probabilities, law, rtol=1e-12)
    assert model.with_initial(X=4).initial_states[:, 0].tolist() == [4] * len(model.initial_states)
    with pytest.raises(ModelError, match=r"'poisson\(q\)' must be a law of numbers and parameters.*depends on 'q'"):
        model.with_initial(X="poisson(q)")


def test_a_file_is_loaded_with_a_law_for_a_start(tmp_path):
    file = tmp_path / "m.ant"
    text = "compartment c = 1; substanceOnly species X in c; J: X => ; k*X; X = 2; k = 1; mean = 3"
    file.write_text(f"model m\n{text}\nend")
    model = fsp.load(file, X="poisson(mean)")
    law = stats.poisson(3).pmf(model.initial_states[:, 0])
    np.testing.assert_allclose(model.initial_probabilities, law, rtol=1e-12)
    with pytest.raises(ModelError, match=r"Parameter 'k'.*random number \(poisson\)"):
        fsp.load(file, k="poisson(2)")


def test_random_and_fixed_counts_start_together():
    model = fsp.Model(
        species={"A": 2, "B": "binomial(3, 0.5)", "C": "A + 1"}, reactions=[Reaction("A + B -> C", rate="A*B")]
    )
    assert model.initial_states.tolist() == [[2, b, 3] for b in range(4)]
    assert model.initial_probabilities == pytest.approx([1 / 8, 3 / 8, 3 / 8, 1 / 8])


def test_a_random_rate_is_a_mixture():
    """k is 0.5 or 3 with probabilities 1/4 and 3/4: X(t) is a mixture of two Poisson numbers."""
    model = fsp.Model(
        species={"X": 0},
        parameters={"k": {0.5: 0.25, 3.0: 0.75}},
        reactions=[Reaction("0 -> X", rate="k"), Reaction("X -> 0", rate="X")],
    )
    dist = fsp.transient(model, [2.0], TOL)[-1]
    share = 1 - math.exp(-2.0)
    exact = sum(w * stats.poisson.pmf(np.arange(60), k * share) for k, w in ((0.5, 0.25), (3.0, 0.75)))
    assert distance(dist.marginal("X"), exact) <= dist.error.total + ROUNDING
    interval = dist.expectation("k")
    assert interval.lower <= 0.25 * 0.5 + 0.75 * 3.0 <= interval.upper


def test_the_cases_of_a_random_rate_have_its_probabilities():
    model = fsp.Model(
        species={"X": 2}, parameters={"k": {0.5: 0.25, 3.0: 0.75}}, reactions=[Reaction("0 -> X", rate="k")]
    )
    assert model.species == ("X", "k_case")
    assert model.initial_probabilities == pytest.approx([0.25, 0.75])
    assert model.propensities([[2, 0], [2, 1]]).tolist() == [[0.5, 3.0]]


@pytest.mark.parametrize(
    ("parameters", "why"),
    [({"k": {1.0: 0.5, 2.0: 0.4}}, "do not sum to 1"), ({"k": {}}, "values with probabilities")],
)
def test_probabilities_of_a_random_rate_sum_to_one(parameters, why):
    with pytest.raises(ModelError, match=why):
        fsp.Model(species={"X": 0}, parameters=parameters, reactions=[Reaction("0 -> X", rate="k")])


def test_moments_of_a_random_start_hold_its_tail():
    """The means of the law itself lie between the bounds, and no count is the largest that there may be."""
    for law, exact in (("poisson(7)", stats.poisson(7)), ("geometric(3)", stats.geom(0.25, loc=-1))):
        model = fsp.Model(species={"X": law}, reactions=[Reaction("X -> 0", rate="X")])
        start = KnownDistribution(model.initial_states, model.initial_probabilities, model.start_lacks)
        low, high = start.falling((1,))
        assert low < exact.mean() < high < exact.mean() + 1e-9
        low, high = start.falling((2,))
        assert low < exact.moment(2) - exact.mean() < high < low + 1e-7
        assert np.isinf(start.largest(model)).all()


# ---- bursts


def bursting(burst, **rate):
    return fsp.Model(
        species={"P": 0},
        reactions=[
            Reaction("0 -> P", name="burst", burst=burst, **(rate or {"rate": 2.0})),
            Reaction("P -> 0", mass_action=1.0),
        ],
    )


def test_geometric_bursts_have_a_negative_binomial_law():
    """Of bursts of mean 3 at rate 2, and loss at rate 1: size 2, mean 6, variance 24."""
    dist = fsp.stationary(bursting("geometric(3)"), tol=1e-6)
    exact = stats.nbinom.pmf(np.arange(2000), 2, 1 / 4)
    assert distance(dist, exact) <= dist.error.total + ROUNDING
    assert dist.error.total < 1e-6
    mean = dist.mean_interval()["P"]
    assert mean.lower <= 6.0 <= mean.upper


def test_bursts_have_the_mean_of_a_compound_process():
    """Of Poisson bursts of mean 2: E P = 2·2 (1 − e^(−t)), and P(no molecule yet) at short times."""
    dist = fsp.transient(bursting("poisson(2)"), [1.5], TOL)[-1]
    interval = dist.mean_interval()["P"]
    assert interval.lower <= 4 * (1 - math.exp(-1.5)) <= interval.upper
    none = math.exp(-2 * sum(_no_molecule_left(s, 2.0) * w for s, w in _quadrature(1.5)))
    found = dist.probability("P == 0")
    assert found.lower - 1e-9 <= none <= found.upper + 1e-9


def _no_molecule_left(s, mean):
    """Return the probability that a Poisson burst has something left a time s after it."""
    return 1 - math.exp(-mean * math.exp(-s))


def _quadrature(t):
    nodes, weights = np.polynomial.legendre.leggauss(40)
    return zip((nodes + 1) * t / 2, weights * t / 2, strict=True)


def test_what_a_burst_consumes_is_consumed_once():
    model = fsp.Model(
        species={"G": 1, "R": 3, "P": 0},
        reactions=[Reaction("G + R -> G + 2 P", mass_action=0.5, name="b", burst="binomial(2, 0.5)")],
    )
    assert [(r.name, r.equation) for r in model.reactions] == [
        ("b (1)", "G + R -> G + 2 P"),
        ("b (2)", "G + R -> G + 4 P"),
    ]
    assert model.change.tolist() == [[0, -1, 2], [0, -1, 4]]
    assert np.ravel(model.propensities([[1, 3, 0]])) == pytest.approx([0.75, 0.375])


def test_bursts_know_what_they_are_parts_of_and_names_stay_apart():
    model = fsp.Model(
        species={"P": 0},
        reactions=[
            Reaction("0 -> P", name="make", burst="binomial(2, 0.5)", rate=1.0),
            Reaction("P -> 0", name="lose (7)", mass_action=1.0),
        ],
    )
    parts = {str(reaction.name): reaction.part_of for reaction in model.reactions}
    assert parts == {"make (1)": "make", "make (2)": "make", "lose (7)": None}
    assert {r.part_of for r in model.with_parameters({}).reactions} == {"make", None}
    assert model.reactions[0].named("other").part_of == "make"
    with pytest.raises(ModelError, match=r"'make \(2\)' is given, and is that of a burst of 'make'"):
        fsp.Model(
            species={"P": 0},
            reactions=[
                Reaction("0 -> P", name="make", burst="binomial(2, 0.5)", rate=1.0),
                Reaction("P -> 0", name="make (2)", mass_action=1.0),
            ],
        )


def test_parts_that_events_make_have_names_of_their_own():
    model = fsp.Model(
        species={"X": 0},
        reactions=[
            Reaction("0 -> 2 X", mass_action=2.0, name="r"),
            Reaction("X -> 0", mass_action=0.5, name="r with E"),
        ],
        events=[fsp.Event("X >= 3", {"X": "0"}, name="E")],
    )
    names = [str(reaction.name) for reaction in model.reactions]
    assert sorted(names) == ["r", "r with E", "r with E (2)", "r with E (3)"]
    assert {reaction.part_of for reaction in model.reactions} <= {"r", "r with E", None}


def test_the_error_of_bursts_is_charged():
    """What the probabilities lack to one, and the tail that is left out, are errors of the rates."""
    model = bursting("geometric(3)")
    lacking = 1.0 - LAWS["geometric"].of(3.0).probabilities.sum()
    assert model.propensity_errors([[0]]).sum() >= 2.0 * lacking
    assert len(model.reactions) < 200


@pytest.mark.parametrize(
    ("burst", "rate", "why"),
    [
        ("3", 1.0, "a law such as"),
        ("geometric(b)", 1.0, "depends on .b.; write the value"),
        ("geometric(-1)", 1.0, "mean -1"),
        ("poisson(2)", lambda x: 2.0, "callable"),
    ],
)
def test_other_bursts_are_refused(burst, rate, why):
    with pytest.raises(ModelError, match=why):
        bursting(burst, rate=rate)


def test_draws_are_pickled_with_their_model():
    model = fsp.Model(
        species={"X": "poisson(2)"},
        reactions=[Reaction("0 -> X", rate=4.0, burst="geometric(1)")],
        events=[Event("time >= 1", {"X": "binomial(X, 0.5)"})],
    )
    assert pickle.loads(pickle.dumps(model)).hash == model.with_parameters({}).hash == model.hash


# ---- counts that laws leave out

FAR = "piecewise(1e60, X > 300, 0)"  # zero on all states that are stored; 1e60 times a tail that is not zero
DECAY = Reaction("X -> 0", mass_action=1.0)
CUT = {
    "start": fsp.Model(species={"X": "poisson(10)"}, reactions=[DECAY]),
    "event": fsp.Model(species={"X": 3}, reactions=[DECAY], events=[Event("time >= 0.5", {"X": "geometric(2)"})]),
    "burst": fsp.Model(species={"G": 1, "X": 0}, reactions=[Reaction("G -> X", mass_action=1.0, burst="geometric(2)")]),
}
WHOLE = {
    "start": fsp.Model(species={"X": "binomial(10, 0.3)"}, reactions=[DECAY]),
    "event": fsp.Model(species={"X": 3}, reactions=[DECAY], events=[Event("time >= 0.5", {"X": "bernoulli(0.2)"})]),
    "burst": fsp.Model(
        species={"G": 1, "X": 0}, reactions=[Reaction("G -> X", mass_action=1.0, burst="binomial(3, 0.5)")]
    ),
}


@pytest.mark.parametrize("model", CUT.values(), ids=CUT)
def test_states_are_not_all_that_have_probability_where_a_law_has_no_largest_count(model):
    (dist,) = fsp.transient(model, [0.7], 1e-6)
    assert not dist.closed
    found = dist.expectation(FAR)
    assert not (found.certified and found.upper == 0.0)
    after = fsp.Model(species=dict.fromkeys(model.species, 0), reactions=[DECAY])
    (later,) = fsp.transient(after, [1.0], 1e-4, start=dist)  # the other network makes nothing, but has the start
    assert not later.closed


@pytest.mark.parametrize("model", WHOLE.values(), ids=WHOLE)
def test_states_are_all_that_have_probability_where_laws_have_a_largest_count(model):
    (dist,) = fsp.transient(model, [0.7], 1e-6)
    assert dist.closed
    assert tuple(dist.expectation(FAR)) == (0.0, 0.0)


def test_stationary_states_are_not_all_where_a_conserved_count_has_no_largest_value():
    there, back = Reaction("A -> B", mass_action=1.0), Reaction("B -> A", mass_action=2.0)
    drawn, given = (
        fsp.stationary(fsp.Model(species={"A": a, "B": 0}, reactions=[there, back])) for a in ("poisson(2)", 2)
    )
    assert not drawn.closed
    assert given.closed


def test_probabilities_that_underflow_are_lower_bounds():
    """0.7^x stays at the smallest double from x = 2088 on, where products are rounded to it."""
    n, p = 2600, Fraction(0.3)
    law = LAWS["binomial"].of(float(n), 0.3)
    for k in (0, 1, 50):
        assert Fraction(law.probabilities[k]) <= math.comb(n, k) * p**k * (1 - p) ** (n - k)
    assert law.probabilities.sum() == pytest.approx(1.0, abs=1e-11)
