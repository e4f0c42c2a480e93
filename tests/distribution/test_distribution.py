"""Laws of distributions, of their errors, and of the numbers taken from them."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

import fsp
from fsp import analysis
from fsp.distribution import Distribution, ErrorLedger, Interval, Solution
from fsp.distribution.text import interval, round_up
from fsp.errors import ArgumentError

WEIGHTS = hnp.arrays(float, 24, elements=st.floats(0, 1, allow_subnormal=False))
GRID = np.array([[u, v] for u in range(4) for v in range(6)])


def make(probabilities, states=GRID, species=("U", "V"), t=1.0, error=None, **fields):
    return Distribution(states, probabilities, species, t=t, error=error or ErrorLedger(), **fields)


def product(u, v, **fields):
    """Make the joint distribution of two independent species from their weights."""
    joint = np.outer(u, v)
    states = np.array(list(np.ndindex(joint.shape)))
    return make(joint.ravel(), states, **fields)


@st.composite
def approximations(draw):
    """Draw a distribution p on all states, and y >= 0 on some of them with its exact 1-norm error."""
    p = draw(WEIGHTS)
    assume(p.sum() > 1e-3)
    p = p / p.sum()
    stored = np.sort(draw(st.lists(st.integers(0, 23), min_size=1, unique=True)))
    y = np.zeros(24)
    scale = draw(st.sampled_from([0.0, 1e-9, 1e-3, 0.3]))
    y[stored] = np.abs(p[stored] + scale * (draw(WEIGHTS)[stored] - 0.6) * p[stored])
    assume(0 < y.sum() <= 1)
    return p, y, stored, math.fsum(np.abs(p - y))


# ---- the error


def test_ledger_adds_up_part_by_part():
    first = ErrorLedger(truncation=1.05e-8, integration=2e-9)
    second = ErrorLedger(pruning=3e-9, rounding=4e-15, certified=False)
    both = first + second
    assert both == ErrorLedger(1.05e-8, 2e-9, 3e-9, 4e-15, certified=False)
    assert both.total == pytest.approx(first.total + second.total, rel=1e-15)
    assert str(first) == "error ≤ 1.3e-08 (truncation 1.1e-08, integration 2.0e-09)"
    assert str(second).startswith("error ≈ 3.1e-09")
    assert str(ErrorLedger()) == "error ≤ 0"


@given(*[st.lists(st.floats(0.0, 1e-3), min_size=4, max_size=4)] * 2)
def test_ledgers_add_up_to_no_less_than_their_terms(first, second):
    both = ErrorLedger(*first) + ErrorLedger(*second)
    for term, *terms in zip(both.terms.values(), first, second, strict=True):
        assert Fraction(term) >= sum(map(Fraction, terms))
    assert Fraction(both.total) >= sum(map(Fraction, both.terms.values()))


@pytest.mark.parametrize("value", [-1e-20, math.nan])
def test_ledger_refuses_what_is_no_error(value):
    with pytest.raises(ArgumentError, match="`pruning` error must be non-negative"):
        ErrorLedger(pruning=value)


@given(st.floats(1e-300, 1e300))
def test_printed_bound_is_never_below_the_bound(value):
    assert value <= float(round_up(value)) <= 1.11 * value


@given(st.floats(-1e6, 1e6), st.floats(0, 10).filter(lambda w: w == 0 or w > 1e-12))
def test_printed_interval_holds_the_interval(lower, width):
    upper = lower + width
    assume(width == 0 or upper - lower > 1e-13)
    low, high = (float(end) for end in interval(lower, upper).strip("[]").split(","))
    assert low <= lower
    assert high >= upper


@given(st.floats(-1e16, 1e16))
def test_printed_ends_hold_where_the_other_one_is_infinite(end):
    low, high = (interval(*ends).strip("[]").split(", ") for ends in ((end, math.inf), (-math.inf, end)))
    assert float(low[0]) <= end <= float(high[1])
    assert float(high[1]) - float(low[0]) <= 2e-11 * abs(end)
    assert (low[1], high[0]) == ("inf", "-inf")


def test_interval_is_a_pair_and_a_number():
    inside = Interval(0.1234, 0.1236, 0.1235, certified=True)
    lower, upper = inside
    assert (lower, upper, float(inside)) == (0.1234, 0.1236, 0.1235)
    assert 0.1235 in inside
    assert 0.13 not in inside
    assert str(inside) == "[0.12340, 0.12360]"
    assert str(Interval(0, 1, 0.5, certified=False, reason="why")) == "≈ 0.5 (uncertified: why)"
    with pytest.raises(dataclasses.FrozenInstanceError):
        inside.lower = 0.0
    with pytest.raises(ArgumentError, match="`lower` must be at most `upper`"):
        Interval(1, 0, 0.5, certified=True)


# ---- what follows from the error


@given(approximations(), st.integers(0, 5), st.integers(0, 3))
def test_probability_interval_holds_the_exact_probability(drawn, v, u):
    p, y, stored, e = drawn
    dist = make(y[stored], GRID[stored], error=ErrorLedger(truncation=e))
    exact = math.fsum(p[(GRID[:, 1] <= v) | (u == GRID[:, 0])])
    found = dist.probability(f"V <= {v} || U == {u}")
    assert found.certified
    # p itself is a distribution only to rounding
    assert found.lower - 1e-15 <= exact <= found.upper + 1e-15
    assert found.width <= e + 1e-13
    assert found.value in found
    assert dist.expectation(f"V <= {v} || U == {u}") == found
    corner = dist.probability({"U": u, "V": v})
    assert corner.lower - 1e-15 <= p[6 * u + v] <= corner.upper + 1e-15


@given(approximations())
def test_expectation_interval_holds_where_all_states_are_stored(drawn):
    p, y, _, e = drawn
    assume(y.sum() > 0.1)
    dist = make(y, error=ErrorLedger(integration=e), closed=True)
    exact = math.fsum(p * (GRID[:, 0] * GRID[:, 1] - 2.5))
    found = dist.expectation("U*V - 2.5")
    assert found.certified
    assert found.lower - 1e-15 <= exact <= found.upper + 1e-15
    assert found.value in found
    assert -2.5 <= found.lower <= found.upper <= 12.5


def test_error_bound_is_sharp(rng):
    """Some p at the distance e from y attains either end, so the interval cannot be narrower."""
    y = rng.dirichlet(np.ones(24)) * 0.99
    e = 0.05
    found = make(y, error=ErrorLedger(truncation=e)).probability("U <= 1")
    inside = y[GRID[:, 0] <= 1].sum()
    assert tuple(found) == pytest.approx((inside - 0.02, inside + 0.03), abs=1e-12)


@pytest.mark.parametrize("more", [(), (fsp.Reaction("0 -> X", rate=3.0),)], ids=["finite", "open"])
def test_the_variance_of_a_single_state_is_zero(more):
    model = fsp.Model(species={"X": 100, "E": 7}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0), *more])
    start, later = fsp.transient(model, [0.0, 0.1], tol=1e-6)
    assert len(start) > 1  # states are stored that have no probability
    for name, count in {"X": 100.0, "E": 7.0}.items():
        assert tuple(start.variance_interval()[name]) == (0.0, 0.0)
        assert tuple(start.mean_interval()[name]) == (count, count)
    assert 100 * np.exp(-0.1) * (1 - np.exp(-0.1)) <= later.variance_interval()["X"].upper
    unsure = dataclasses.replace(start, error=fsp.ErrorLedger(truncation=1e-9))
    assert unsure.variance_interval()["X"].upper > 0.0


def test_a_count_is_certain_only_where_nothing_is_in_error():
    for error, certain in ((0.0, True), (1e-9, False)):
        parts = np.array([[0], [100]]), np.array([0.0, 1.0]), ["X"]
        one = Distribution(*parts, t=0.0, error=ErrorLedger(truncation=error), closed=True)
        assert (tuple(one.variance_interval()["X"]) == (0.0, 0.0)) == certain
        assert (tuple(one.mean_interval()["X"]) == (100.0, 100.0)) == certain


def test_a_formula_is_certain_only_where_nothing_is_in_error():
    """Also where other states are stored that have no probability, and where the formula is the same in all."""
    for error, p, certain in (
        (0.0, [0.0, 1.0, 0.0], True),
        (1e-9, [0.0, 1.0, 0.0], False),
        (0.0, [0.5, 0.5, 0.0], False),
    ):
        parts = np.array([[0, 5], [100, 5], [0, 7]]), np.array(p), ["X", "Y"]
        dist = Distribution(*parts, t=0.0, error=ErrorLedger(truncation=error), closed=False)
        assert (tuple(dist.expectation("200 - 2*X")) == (0.0, 0.0)) == certain
        third = dist.expectation("(X - 99)/3")
        assert third.certified == certain
        assert not certain or third.lower < 1 / 3 < third.upper < 0.34
    even = Distribution(*parts, t=0.0, error=ErrorLedger(), closed=False)
    assert tuple(even.expectation("Y")) == (5.0, 5.0)


def test_expectation_says_what_it_cannot_bound():
    dist = make(np.full(24, 1 / 24), error=ErrorLedger(truncation=1e-9))
    found = dist.expectation("U*V")
    assert not found.certified
    assert tuple(found) == (-math.inf, math.inf)
    assert found.value == pytest.approx(1.5 * 2.5)
    assert "uncertified" in str(found)
    assert "does not bound" in str(found)


def test_an_estimated_error_certifies_nothing():
    dist = make(np.full(24, 1 / 24), t=None, closed=True, error=ErrorLedger(truncation=1e-9, certified=False))
    for found in (dist.probability("U > 1"), dist.expectation("U")):
        assert not found.certified
        assert "estimate" in str(found)
    assert str(dist).startswith("stationary: 24 states, error ≈ 1.0e-09")


def test_formulas_know_observables_and_time():
    dist = make(np.full(24, 1 / 24), t=2.0, observables={"total": "U + V"}, closed=True)
    assert dist.probability("total == 8").value == pytest.approx(1 / 24)
    assert dist.expectation("total + time").value == pytest.approx(1.5 + 2.5 + 2)
    assert dist.probability("total < 2 * time").value == pytest.approx(10 / 24)
    with pytest.raises(ArgumentError, match="must not use time"):
        dataclasses.replace(dist, t=None).probability("U > time")
    with pytest.raises(ArgumentError, match="needs 'V'"):
        dist.marginal("U").probability("total > 1")


@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        ("U + V", "must be a condition"),
        ("U > W", "must use only U, V, but 'U > W' needs 'W'"),
        ("U >", "formula"),
        ("__import__('os')", "formula"),
    ],
)
def test_bad_conditions_are_refused(formula, reason):
    with pytest.raises(ArgumentError, match=reason):
        make(np.full(24, 1 / 24)).probability(formula)


def test_a_function_that_is_not_finite_is_refused_with_its_state():
    with pytest.raises(ArgumentError, match=r"'ln\(U\)' is -inf in state \{'U': 0, 'V': 0\}"):
        make(np.full(24, 1 / 24), closed=True).expectation("ln(U)")


# ---- numbers


@given(WEIGHTS.filter(lambda w: w.sum() > 1e-3))
def test_marginals_conserve_mass_and_commute_with_moments(weights):
    dist = make(weights / weights.sum() * 0.999, error=ErrorLedger(truncation=1e-3))
    for names in (("U",), ("V",), ("V", "U")):
        marginal = dist.marginal(*names)
        assert marginal.species == names
        assert marginal.mass == pytest.approx(dist.mass, rel=1e-14)
        assert marginal.pmf.sum() == pytest.approx(dist.mass, rel=1e-14)
        assert dist.error.total <= marginal.error.total <= dist.error.total + 1e-14
        for name in names:
            assert marginal.mean()[name] == pytest.approx(dist.mean()[name], rel=1e-12)
    swapped = dist.marginal("V", "U")
    assert np.array_equal(swapped.pmf, dist.pmf.T)
    assert swapped.distance(dist) == 0
    assert [len(axis) for axis in swapped.support] == list(swapped.pmf.shape)


def test_marginal_of_marginal_is_marginal(rng):
    states = rng.integers(0, 5, size=(400, 3))
    states = np.unique(states, axis=0)
    dist = make(rng.dirichlet(np.ones(len(states))), states, ("A", "B", "C"))
    twice, once = dist.marginal("C", "A").marginal("A"), dist.marginal("A")
    assert np.array_equal(twice.states, once.states)
    assert twice.probabilities == pytest.approx(once.probabilities, rel=1e-13)


def test_marginal_of_states_whose_keys_overflow():
    states = np.array([[0, 0, 0], [0, 0, 7], [2**40, 2**40, 7], [2**40, 3, 7]])
    dist = make([0.1, 0.2, 0.3, 0.4], states, ("A", "B", "C"))
    pair = dist.marginal("A", "C")
    assert pair.states.tolist() == [[0, 0], [0, 7], [2**40, 7]]
    assert pair.probabilities == pytest.approx([0.1, 0.2, 0.7])
    assert dist.marginal("A", "B", "C").states.tolist() == sorted(states.tolist())
    with pytest.raises(ArgumentError, match="dense array must have at most"):
        _ = dist.pmf


def test_moments_of_poisson_and_binomial():
    n = np.arange(80)
    dist = product(stats.poisson.pmf(n, 9.0), stats.binom.pmf(n[:31], 30, 0.2))
    assert dist.mean() == pytest.approx({"U": 9.0, "V": 6.0}, rel=1e-12)
    assert dist.variance() == pytest.approx({"U": 9.0, "V": 4.8}, rel=1e-12)
    assert dist.std()["V"] == pytest.approx(math.sqrt(4.8), rel=1e-12)
    assert dist.moment("U", 2) == pytest.approx(90.0, rel=1e-12)
    assert dist.moment(U=2, V=1) == pytest.approx(540.0, rel=1e-12)
    assert dist.moment("U") == pytest.approx(dist.mean()["U"])
    assert dist.covariance() == pytest.approx(np.diag([9.0, 4.8]), abs=1e-10)
    assert dist.quantile("U", 0.95) == stats.poisson.ppf(0.95, 9.0)
    assert dist.mode() == {"U": 8, "V": 6}
    assert dist.marginal("V").entropy() == pytest.approx(stats.binom.entropy(30, 0.2), rel=1e-10)


@given(WEIGHTS.filter(lambda w: w.sum() > 1e-3))
def test_covariance_is_symmetric_and_positive(weights):
    dist = make(weights / weights.sum())
    covariance = dist.covariance()
    assert covariance == pytest.approx(covariance.T)
    assert np.linalg.eigvalsh(covariance).min() >= -1e-12
    assert np.diag(covariance) == pytest.approx(list(dist.variance().values()), abs=1e-12)
    assert covariance[0, 1] == pytest.approx(dist.moment(U=1, V=1) - dist.moment("U") * dist.moment("V"), abs=1e-12)


@given(hnp.arrays(float, 9, elements=st.floats(0, 1, allow_subnormal=False)), st.floats(0, 1))
def test_quantile_is_the_smallest_that_reaches_the_level(weights, level):
    assume(weights.sum() > 1e-3)
    weights = weights / weights.sum()
    dist = make(weights, np.arange(3, 12)[:, None], ("X",))
    found = dist.quantile("X", level)
    assert weights[: found - 2].sum() >= level - 1e-14
    assert found == 3 or weights[: found - 3].sum() <= max(level, 1e-300)


@pytest.mark.parametrize("off", [-1e-13, -2e-14, -1e-15, 0.0, 1e-15, 2e-14, 1e-13])
def test_bounds_of_quantiles_hold_the_rounding_of_the_sums_of_a_marginal(off):
    """Of two sums of 0.5 numpy's is 5e-14 below one, of 10,000 numbers, and 4e-14 above the other, of 5,148."""
    sizes, level = (10_000, 5_148), 0.5 + off
    states = np.array([[u, v] for u, size in enumerate(sizes) for v in range(size)])
    p = np.concatenate([np.full(size, 0.5 / size) for size in sizes])
    mass = sum(map(Fraction, p))
    dist = make(p, states, error=ErrorLedger(rounding=abs(float(1 - mass))), closed=True)
    below = sizes[0] * Fraction(0.5 / sizes[0])
    assert (0 if below >= Fraction(level) else 1) in dist.quantile_interval("U", level)


def test_quantile_does_not_fall_for_rounding():
    dist = make(np.full(10, 0.1), np.arange(10)[:, None], ("X",))
    assert [dist.quantile("X", k / 10) for k in range(1, 11)] == list(range(10))
    assert dist.quantile("X", 0.0) == 0
    with pytest.raises(ArgumentError, match=r"`level` must be between 0 and 1, but is 1\.5"):
        dist.quantile("X", 1.5)


def test_entropy_of_uniform_and_certain():
    assert make(np.full(24, 1 / 24)).entropy() == pytest.approx(math.log(24))
    assert make(np.full(24, 0.5 / 24), error=ErrorLedger(0.5)).entropy() == pytest.approx(math.log(24))
    assert make([1.0], [[3, 4]]).entropy() == 0.0


@pytest.mark.parametrize("kind", analysis.DISTANCES)
@given(a=WEIGHTS, b=WEIGHTS, c=WEIGHTS, shift=st.integers(0, 30))
def test_distances_are_metrics(kind, a, b, c, shift):
    assume(min(a.sum(), b.sum(), c.sum()) > 1e-3)
    states = np.arange(24)[:, None]
    a, b, c = (make(w / w.sum(), states + move, ("X",)) for w, move in ((a, 0), (b, shift), (c, shift // 2)))
    assert a.distance(a, kind) == 0
    assert a.distance(b, kind) == pytest.approx(b.distance(a, kind), abs=1e-12)
    assert 0 <= a.distance(b, kind) <= a.distance(c, kind) + c.distance(b, kind) + 1e-12
    assert a.distance(b, "tv") == pytest.approx(a.distance(b) / 2)
    assert a.distance(b, "kolmogorov") <= a.distance(b, "tv") + 1e-12
    assert a.distance(b, "hellinger") ** 2 <= a.distance(b, "tv") + 1e-12


def test_distances_of_what_does_not_overlap():
    here, there = (make([1.0], [[x]], ("X",)) for x in (2, 9))
    found = {kind: here.distance(there, kind) for kind in analysis.DISTANCES}
    assert found == {"l1": 2.0, "tv": 1.0, "hellinger": 1.0, "kolmogorov": 1.0, "wasserstein": 7.0}
    with pytest.raises(ArgumentError, match="`kind` must be one of l1, tv"):
        here.distance(there, "far")
    with pytest.raises(ArgumentError, match="must be used with one species"):
        make([1.0], [[1, 2]]).distance(make([1.0], [[1, 3]]), "wasserstein")
    with pytest.raises(ArgumentError, match="`other` must have the species"):
        here.distance(make([1.0], [[1, 2]]))


# ---- construction


def test_states_are_sorted_and_cannot_be_changed():
    dist = make([0.1, 0.2, 0.7], [[1, 2], [1, 0], [0, 9]])
    assert dist.states.tolist() == [[0, 9], [1, 0], [1, 2]]
    assert dist.probabilities.tolist() == [0.7, 0.2, 0.1]
    assert dist.states.dtype == np.int64
    with pytest.raises(ValueError, match="read-only"):
        dist.probabilities[0] = 0.0


def test_sorted_arrays_are_shared_not_copied():
    states = np.arange(5)[:, None]
    assert np.shares_memory(make(np.full(5, 0.2), states, ("X",)).states, states)


@pytest.mark.parametrize(
    ("probabilities", "states", "reason"),
    [
        ([0.5, 0.5], [[1, 1], [1, 1]], r"`states` must be distinct, but \[1, 1\]"),
        ([0.5, 0.5], [[1, 1]], r"`states` must have the shape \(2, 2\)"),
        ([0.5, 0.5], [[1.0, 2.0], [0.0, 1.0]], "`states` must be non-negative integers"),
        ([0.5, 0.5], [[1, -2], [0, 1]], "`states` must be non-negative integers"),
        ([1.5, -0.5], [[1, 2], [0, 1]], "`probabilities` must be finite and non-negative"),
        ([math.nan, 0.5], [[1, 2], [0, 1]], "`probabilities` must be finite"),
        ([0.0, 0.0], [[1, 2], [0, 1]], r"`probabilities` must have a sum in \(0, 1\]"),
        ([0.7, 0.7], [[1, 2], [0, 1]], "but it is 1.4"),
    ],
)
def test_bad_arrays_are_refused(probabilities, states, reason):
    with pytest.raises(ArgumentError, match=reason):
        make(probabilities, np.array(states))


def test_bad_names_are_refused():
    dist = make(np.full(24, 1 / 24))
    for call in (dist.marginal, lambda *names: dist.quantile(*names, 0.5), dist.moment):
        with pytest.raises(ArgumentError, match="Species must be one of U, V, but is 'W'"):
            call("W")
    with pytest.raises(ArgumentError, match="one or more different names"):
        dist.marginal("U", "U")
    with pytest.raises(ArgumentError, match="one or more different names"):
        dist.marginal()
    with pytest.raises(ArgumentError, match="must be given a species"):
        dist.moment()
    with pytest.raises(ArgumentError, match="Order of 'U' must be a non-negative integer"):
        dist.moment(U=0.5)
    with pytest.raises(ArgumentError, match="`species` must be different names"):
        make(np.full(24, 1 / 24), species=("U", "U"))


def test_print_shows_time_states_moments_and_parts():
    error = ErrorLedger(truncation=1.2e-8, integration=1.6e-12)
    dist = make(np.full(24, 1 / 24), t=10, error=error, time_unit="min", notes=("two closed classes",))
    assert str(dist).splitlines() == [
        "t = 10 min: 24 states, error ≤ 1.3e-08 (truncation 1.2e-08, integration 1.6e-12)",
        "  U  1.5 ± 1.118",
        "  V  2.5 ± 1.708",
        "  note: two closed classes",
    ]
    assert repr(dist) == "<Distribution of U, V: t = 10 min, 24 states, error ≤ 1.3e-08>"


# ---- solutions


def poisson_solution(times=(0.5, 1.0, 2.0), **fields):
    n = np.arange(60)
    distributions = [
        make(stats.poisson.pmf(n, 9 * t), n[:, None], ("X",), t=t, error=ErrorLedger(1e-9 * t), **fields) for t in times
    ]
    return Solution(distributions, tol=1e-6, solver="by hand", statistics={"n_matvec": 7})


def test_solution_is_a_sequence_with_times():
    solution = poisson_solution((0.1, 0.2, 3 * 0.1))
    assert len(solution) == len(list(solution)) == 3
    assert solution[-1] is solution.at(0.3)
    assert isinstance(solution[:2], Solution)
    assert solution[:2].times.tolist() == [0.1, 0.2]
    assert solution.error == solution[-1].error
    assert solution.n_matvec == 7
    with pytest.raises(ArgumentError, match=r"is 0\.25: the nearest is 0"):
        solution.at(0.25)


def test_solution_collects_moments_over_time():
    solution = poisson_solution()
    assert solution.mean()["X"] == pytest.approx(9 * solution.times)
    assert solution.variance()["X"] == pytest.approx(9 * solution.times)
    assert solution.std()["X"] == pytest.approx(np.sqrt(9 * solution.times))
    lines = str(solution).splitlines()
    assert len(lines) == 5
    assert lines[2].split() == ["1", "60", "9", "±", "3", "≤", "1.0e-09"]
    assert lines[-1] == "solver: by hand"


def test_table_puts_species_below_each_other_where_they_do_not_fit():
    assert solution_widths(None) > 40
    assert solution_widths(30) <= 60
    assert "  X  9 ± 3" in poisson_solution().table(10)


def solution_widths(width):
    states = np.arange(8)[None, :]
    one = make([1.0], states, tuple(f"species{i}" for i in range(8)))
    return max(map(len, Solution([one], tol=1e-6, solver="").table(width).splitlines()))


@pytest.mark.parametrize(
    ("times", "reason"), [((), "at least one"), ((1.0, 1.0), "must increase"), ((2.0, 1.0), "must increase")]
)
def test_bad_solutions_are_refused(times, reason):
    with pytest.raises(ArgumentError, match=reason):
        poisson_solution(times)


def test_solution_belongs_to_one_model():
    first, second = make([1.0], [[1, 2]], t=1), make([1.0], [[1, 2]], t=2, model_hash="other")
    with pytest.raises(ArgumentError, match="must belong to one model"):
        Solution([first, second], tol=1e-6, solver="")


# ---- tables


def test_pandas_holds_all_states_and_times():
    pytest.importorskip("pandas")
    dist = make(np.full(24, 1 / 24), error=ErrorLedger(1e-9))
    frame = dist.to_pandas()
    assert list(frame.columns) == ["U", "V", "probability"]
    assert (frame["U"] * frame["probability"]).sum() == pytest.approx(dist.mean()["U"])
    assert frame.attrs["error"] == 1e-9
    table = poisson_solution().to_pandas()
    assert table.loc[2.0, "mean_X"] == pytest.approx(18.0)
    assert table["error"].tolist() == [5e-10, 1e-9, 2e-9]
    assert table["certified"].all()


def test_xarray_is_labelled():
    pytest.importorskip("xarray")
    dist = make(np.full(24, 1 / 24))
    array = dist.to_xarray()
    assert array.dims == ("U", "V")
    assert float(array.sel(U=2, V=5)) == 1 / 24
    dataset = poisson_solution().to_xarray()
    assert float(dataset["mean"].sel(t=1.0, species="X")) == pytest.approx(9.0)
    assert dataset["error"].dims == ("t",)


# ---- shapes of single species


def test_fano_factors_variation_and_skewness_of_poisson_and_binomial():
    n = np.arange(80)
    dist = product(stats.poisson.pmf(n, 9.0), stats.binom.pmf(n[:31], 30, 0.2))
    assert dist.fano() == pytest.approx({"U": 1.0, "V": 0.8}, rel=1e-12)
    assert dist.cv() == pytest.approx({"U": 1 / 3, "V": math.sqrt(4.8) / 6.0}, rel=1e-12)
    assert dist.skewness() == pytest.approx({"U": 1 / 3, "V": 0.6 / math.sqrt(4.8)}, rel=1e-10)
    assert all(
        map(math.isnan, (*make([1.0], [[0]], ("X",)).fano().values(), *make([1.0], [[3]], ("X",)).skewness().values()))
    )


def test_quantiles_of_several_levels():
    n = np.arange(80)
    dist = make(stats.poisson.pmf(n, 9.0), n[:, None], ("X",))
    levels = np.array([[0.05, 0.5], [0.95, 1e-9]])
    assert np.array_equal(dist.quantile("X", levels), stats.poisson.ppf(levels, 9.0))
    assert isinstance(dist.quantile("X", 0.5), int)
    with pytest.raises(ArgumentError, match=r"`level` must be between 0 and 1, but is \[0.5, 1.5\]"):
        dist.quantile("X", [0.5, 1.5])


@given(approximations(), st.integers(-1, 6))
def test_the_exact_cdf_lies_in_its_interval(drawn, count):
    p, y, stored, error = drawn
    dist = make(y[stored], GRID[stored], error=ErrorLedger(truncation=error))
    exact = math.fsum(p[GRID[:, 1] <= count])
    lower, upper = dist.cdf("V", count)
    assert lower - 1e-15 <= exact <= upper + 1e-15
    lower, upper = dist.sf("V", [count])[0]
    assert lower - 1e-15 <= 1.0 - exact <= upper + 1e-15


@given(approximations(), st.sampled_from(["U > 1", "U + V < 4", "V == 2"]))
def test_conditional_distributions_are_within_their_error(drawn, event):
    p, y, stored, error = drawn
    dist = make(y[stored], GRID[stored], error=ErrorLedger(truncation=error))
    inside = make(np.full(24, 1 / 24))._event(event)
    mass = math.fsum(y[inside])
    if mass <= error:
        with pytest.raises(ArgumentError, match="`event` must have a probability above the error"):
            dist.conditional(event)
        return
    given = dist.conditional(event)
    known = np.zeros(24)
    known[6 * given.states[:, 0] + given.states[:, 1]] = given.probabilities
    assert given.mass == pytest.approx(1.0, rel=1e-14)
    assert np.abs(known - np.where(inside, p, 0.0) / math.fsum(p[inside])).sum() <= given.error.total + 1e-13
    assert given.error.total <= 2.0 * error / mass * (1.0 + 1e-12) + 1e-13


def test_modes_are_those_that_the_error_does_not_hide():
    n = np.arange(60)
    weights = 0.7 * stats.poisson.pmf(n, 8.5) + 0.3 * stats.poisson.pmf(n, 40.5)
    weights[55] += 6e-4
    for error, found in ((0.0, [8, 40, 55]), (1e-3, [8, 40]), (0.05, [8])):
        dist = make(weights / weights.sum() * (1.0 - error), n[:, None], ("X",), error=ErrorLedger(truncation=error))
        assert dist.modes("X").tolist() == found
    assert make([0.9, 0.1], [[0], [7]], ("X",)).modes("X").tolist() == [0, 7]


def test_samples_follow_the_stored_probabilities():
    n = np.arange(40)
    dist = product(stats.poisson.pmf(n, 5.0), stats.binom.pmf(n[:11], 10, 0.3))
    drawn = dist.sample(20_000, seed=7)
    assert drawn.shape == (20_000, 2)
    assert np.array_equal(drawn, dist.sample(20_000, np.random.default_rng(7)))
    counts = np.bincount(drawn[:, 0], minlength=12)
    expected = stats.poisson.pmf(np.arange(12), 5.0) * 20_000
    assert ((counts[:12] - expected) ** 2 / expected).sum() < stats.chi2.ppf(1 - 1e-6, 11)
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.05
    for n in (-1, 2.5, True):
        with pytest.raises(ArgumentError, match="`n` must be a non-negative integer"):
            dist.sample(n)


# ---- intervals as numbers

ENDS = st.floats(-1e6, 1e6)


@st.composite
def intervals(draw):
    lower, upper = sorted((draw(ENDS), draw(ENDS)))
    value = draw(st.floats(lower, upper))
    return Interval(lower, upper, value, certified=True)


@given(intervals(), intervals(), st.data())
def test_sums_and_products_hold_those_of_all_members(a, b, data):
    x, y = Fraction(data.draw(st.floats(*a))), Fraction(data.draw(st.floats(*b)))
    for found, exact in ((a + b, x + y), (a - b, x - y), (a * b, x * y), (2.5 - a, Fraction(2.5) - x), (3 * a, 3 * x)):
        assert Fraction(found.lower) <= exact <= Fraction(found.upper)
        assert found.certified
        assert found.lower <= found.value <= found.upper


def test_products_with_what_is_not_bounded():
    open_end = Interval(0.0, math.inf, 2.0, certified=False, reason="open")
    assert (open_end * 0.0).width <= 1e-300
    assert (open_end * Interval(-1.0, 1.0, 0.5, certified=True)).lower == -math.inf
    assert (open_end + 1.0).reason == "open"
    assert not (1.0 - open_end).certified


@given(intervals(), ENDS)
def test_comparisons_hold_for_the_whole_interval_or_are_refused(a, x):
    assert (a.upper < x) == decided(lambda: a < x, a.lower < x <= a.upper)
    assert (a.lower > x) == decided(lambda: a > x, a.lower <= x < a.upper)
    assert decided(lambda: a >= a.lower, undecided=False)
    assert decided(lambda: a <= a.upper, undecided=False)


def decided(compare, undecided):
    """Return what a comparison says; False where it must be refused, as `undecided` says."""
    if not undecided:
        return compare()
    with pytest.raises(ArgumentError, match="must be decided, but is not"):
        compare()
    return False


def test_an_estimate_decides_nothing():
    with pytest.raises(
        ArgumentError, match=r"'≈ 0.3 \(uncertified: open\) < 1' must be decided, but is not; compare `.value`"
    ):
        _ = Interval(0.0, 0.5, 0.3, certified=False, reason="open") < 1
    with pytest.raises(TypeError):
        _ = Interval(0.0, 0.5, 0.3, certified=True) + "1"


def test_intervals_are_written_as_their_value_where_a_form_is_asked_for():
    assert f"{Interval(0.25, 0.5, 0.375, certified=True):.2f}" == "0.38"
    assert f"{Interval(0.25, 0.5, 0.375, certified=False):.1e}" == "≈ 3.8e-01"
    assert f"{Interval(0.25, 0.5, 0.375, certified=True)}" == "[0.25, 0.50]"


@pytest.mark.parametrize(
    ("formula", "at_one"), [("ln(1 + 1e-17*U)", 1e-17), ("1 - exp(-1e-18*U)", 1e-18), ("(U + 1e16) - 1e16", 1.0)]
)
def test_means_hold_what_the_formula_loses_to_rounding(formula, at_one):
    """The values that are computed are zero in both states."""
    dist = make(np.array([0.5, 0.5]), np.array([[0], [1]]), ("U",), closed=True)
    assert dist.expectation(formula).value == 0.0
    assert 0.5 * at_one in dist.expectation(formula)


def test_the_error_of_a_solution_is_none_that_is_proved_where_one_of_its_is_not():
    """After an event that takes all states to one, what comes later knows nothing of an estimate before it."""
    first, later = (
        make(np.full(len(GRID), 1.0 / len(GRID)), t=t, error=ErrorLedger(integration=error, certified=certified))
        for t, error, certified in ((1.0, 1e-9, False), (2.0, 1e-6, True))
    )
    assert not Solution([first, later], tol=1e-3, solver="implicit").error.certified
