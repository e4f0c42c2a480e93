"""The FSP loop against exact solutions: true error ≤ reported bound ≤ tolerance, whatever solves it.

The true error is taken over all states: what is exact but not stored counts too.
"""

from __future__ import annotations

import math

import exact
import numpy as np
import pytest
from exact_cases import CASES, FINITE, Case, decay, errors, immigration_death, isomerization, solve
from hypothesis import given, settings
from random_networks import as_model, networks, open_networks
from references import MODELS
from written_networks import network

import fsp
from fsp.projection.growth import SUSPECT_GROWTHS

SOLVERS = ["uniformization", "krylov", "chebyshev", "implicit"]
solvers = pytest.mark.parametrize("solver", [*SOLVERS, "auto"])


cases = pytest.mark.parametrize("name", CASES)


# ---- exact solutions --------------------------------------------------------------------------------------


@cases
@solvers
@pytest.mark.parametrize("tol", [1e-4, 1e-8, 1e-10])
def test_true_error_is_within_the_bound_and_the_bound_within_the_tolerance(name, solver, tol):
    case = CASES[name]
    d = solve(case, tol, solver=solver)
    error, outside = errors(case, d)
    assert error <= d.error.total + case.digits
    # What the sinks hold is exact up to the error of the integration.
    assert outside <= d.error.truncation + d.error.integration + case.digits
    assert d.error.certified
    assert d.t == case.t
    assert (d.probabilities >= 0.0).all()
    assert d.mass <= 1.0 + d.error.integration + d.error.rounding + 1e-14


@cases
def test_a_finite_network_is_closed_and_not_truncated(name):
    d = solve(CASES[name], 1e-6)
    assert d.closed == (name in FINITE)
    assert d.error.truncation == 0.0 or name not in FINITE


@cases
@solvers
def test_the_ledger_adds_up(name, solver):
    d = solve(CASES[name], 1e-6, solver=solver)
    parts = [d.error.truncation, d.error.integration, d.error.pruning, d.error.rounding]
    assert all(part >= 0.0 for part in parts)
    assert d.error.total == pytest.approx(sum(parts), rel=1e-12)
    assert d.error.total <= 1e-6
    assert 1.0 - d.mass <= d.error.total + 1e-14  # what is missing is a part of the error


@pytest.mark.parametrize("tol", [1e-4, 1e-8])
@pytest.mark.parametrize("name", ["immigration-death from 0", "queue", "open chain", "telegraph", "linear birth-death"])
def test_the_space_is_not_much_larger_than_it_must_be(name, tol):
    """Against the fewest states that hold all but tol / 2 at the end; those on the way there count extra."""
    case = CASES[name]
    d = solve(case, tol)
    tight = solve(case, 1e-3 * tol)
    ordered = np.sort(tight.probabilities)[::-1]
    fewest = int(np.searchsorted(np.cumsum(ordered), 1.0 - 0.5 * tol)) + 1
    assert len(d) <= 6 * fewest + 10


def test_moments_are_those_of_the_law():
    d = solve(immigration_death(0, t=3.0), 1e-9)
    mean = 9.0 / 0.8 * -math.expm1(-2.4)
    assert d.mean()["X"] == pytest.approx(mean, abs=1e-6)
    assert d.variance()["X"] == pytest.approx(mean, abs=1e-5)


def test_a_large_mean_far_from_the_start():
    model = network({"X": 0}, ("0 -> X", "mass_action", 1000.0), ("X -> 0", "mass_action", 1.0))
    case = Case(model, 5.0, lambda x: exact.immigration_death(x[:, 0], 5.0, birth=1000.0, death=1.0), 1e-12)
    d = solve(case, 1e-6)
    assert errors(case, d)[0] <= d.error.total + case.digits
    assert len(d) < 2500


def test_jumps_that_alternate():
    """A → B → A + X at rate 1: X counts every second event of a Poisson process.  No jump comes twice running."""
    model = network({"A": 1, "B": 0, "X": 0}, ("A -> B", "mass_action", 1.0), ("B -> A + X", "mass_action", 1.0))
    case = Case(model, 80.0, lambda x: exact.poisson(2 * x[:, 2] + x[:, 1], 80.0))
    sizes = set()
    d = solve(case, 1e-6, progress=lambda now: sizes.add(now.n_states))
    assert len(sizes) <= 40
    assert errors(case, d)[0] <= d.error.total + case.digits
    assert len(d) < 500


# ---- times and starts -------------------------------------------------------------------------------------


@solvers
def test_several_times(solver):
    times = [0.0, 0.3, 1.0, 4.0]
    model = immigration_death(3).model
    solution = fsp.transient(model, times, 1e-7, solver=solver)
    assert [d.t for d in solution] == times
    totals = [d.error.total for d in solution]
    assert totals == sorted(totals)
    assert totals[0] == 0.0
    for d in solution:
        case = Case(model, d.t, lambda x, t=d.t: exact.immigration_death(x[:, 0], t, birth=9.0, death=0.8, start=3))
        assert errors(case, d)[0] <= d.error.total + 1e-13
        assert d.error.truncation <= 1e-7 * d.t / 4.0 * (1.0 + 1e-9)  # spent in proportion to time


@pytest.mark.parametrize("times", [[0.0], 0.0, 1.5, np.array([1.5]), (0.5, 1.5)], ids=str)
def test_ways_to_write_times(times):
    solution = fsp.transient(immigration_death(3).model, times)
    assert [d.t for d in solution] == np.atleast_1d(times).tolist()


def test_time_zero_is_the_start():
    model = network({"X": 0}, ("0 -> X", "mass_action", 1.0), initial={(2,): 0.25, (5,): 0.75})
    d = fsp.transient(model, [0.0])[0]
    assert d.error.total == 0.0
    kept = d.probabilities > 0.0
    assert dict(zip(d.states[kept][:, 0].tolist(), d.probabilities[kept].tolist(), strict=True)) == {2: 0.25, 5: 0.75}


@solvers
def test_a_distribution_over_initial_states(solver):
    """The law is a mixture of those from single states, far apart."""
    start = {(0,): 0.2, (7,): 0.5, (60,): 0.3}
    model = network({"X": 0}, ("0 -> X", "mass_action", 9.0), ("X -> 0", "mass_action", 0.8), initial=start)

    def law(x):
        parts = (
            (n, w, exact.immigration_death(x[:, 0], 1.0, birth=9.0, death=0.8, start=n)) for (n,), w in start.items()
        )
        return sum(w * p for _, w, p in parts)

    case = Case(model, 1.0, law)
    d = solve(case, 1e-8, solver=solver)
    assert errors(case, d)[0] <= d.error.total + 1e-13


@solvers
def test_an_absorbing_start(solver):
    model = network({"X": 0}, ("X -> 2 X", "mass_action", 1.0), ("X -> 0", "mass_action", 1.0))
    d = fsp.transient(model, [5.0], solver=solver)[0]
    assert abs(d.probability({"X": 0}).value - 1.0) <= d.error.total + 1e-15
    assert d.closed


# ---- random networks --------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(networks())
def test_solvers_agree_within_the_sum_of_their_bounds(drawn):
    model = as_model(drawn)
    answers = [fsp.transient(model, [0.8], 1e-6, solver=solver)[0] for solver in SOLVERS]
    for a, b in zip(answers, [*answers[1:], answers[0]], strict=True):
        assert a.distance(b) <= a.error.total + b.error.total
        assert a.error.total <= 1e-6


@settings(max_examples=15)
@given(open_networks())
def test_a_looser_answer_is_within_its_bound_of_a_tighter_one(drawn):
    model = as_model(drawn)
    loose, tight = (fsp.transient(model, [0.8], tol)[0] for tol in (1e-3, 1e-9))
    assert loose.distance(tight) <= loose.error.total + tight.error.total


# ---- fixed spaces -----------------------------------------------------------------------------------------


@solvers
@pytest.mark.parametrize("upper", [3, 8, 14])
def test_a_box_that_is_too_small_says_what_it_costs(solver, upper):
    case = immigration_death(2)
    space = fsp.StateSpace.box(case.model, upper={"X": upper})
    with pytest.warns(fsp.ToleranceWarning, match="larger `space`"):
        d = fsp.transient(case.model, [case.t], 1e-6, space=space, solver=solver)[0]
    assert len(d) == upper + 1
    error, outside = errors(case, d)
    assert outside <= d.error.truncation + d.error.integration + 1e-13
    assert error <= d.error.total + 1e-13
    assert d.error.total <= 2.0 * d.error.truncation + 1e-6
    assert not d.closed


@solvers
def test_a_box_that_is_large_enough(solver):
    case = immigration_death(2)
    space = fsp.StateSpace.box(case.model, upper={"X": 80})
    d = fsp.transient(case.model, [case.t], 1e-8, space=space, solver=solver)[0]
    assert errors(case, d)[0] <= d.error.total + 1e-13
    assert d.error.total <= 1e-8


def test_a_box_around_a_closed_network_is_closed():
    case = decay()
    d = fsp.transient(case.model, [case.t], space=fsp.StateSpace.box(case.model, upper={"M": 60}))[0]
    assert d.closed
    assert d.error.truncation == 0.0


def test_a_space_without_the_initial_state_is_refused():
    model = immigration_death(9).model
    space = fsp.StateSpace.from_states(["X"], [[4], [5]])
    with pytest.raises(fsp.StateSpaceError, match=r"initial states.*\{'X': 9\}"):
        fsp.transient(model, [1.0], space=space)


@pytest.mark.parametrize("solver", ["chebyshev", "rational", "squaring"])
@pytest.mark.parametrize("largest", [0, 2])
def test_a_space_that_all_probability_has_left_is_refused(largest, solver):
    model = network({"X": 0}, ("0 -> X", "mass_action", 1e5))
    space = fsp.StateSpace.box(model, upper={"X": largest})
    with pytest.raises(fsp.StateSpaceError, match=r"at t = .* all of it has left.*larger one, or none, or end before"):
        fsp.transient(model, [1e-6, 1.0], space=space, solver=solver)
    early = fsp.transient(model, [1e-6], 0.5, space=space, solver=solver)[0]
    left = sum(0.1**k / math.factorial(k) for k in range(largest + 1)) * math.exp(-0.1)
    assert early.probability(f"X <= {largest}").lower <= left <= early.probability(f"X <= {largest}").upper


def test_a_space_of_other_species_is_refused():
    space = fsp.StateSpace.box(decay().model, upper={"M": 60})
    with pytest.raises(fsp.StateSpaceError, match=r"species"):
        fsp.transient(immigration_death(0).model, [1.0], space=space)


# ---- solver values ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "solver",
    [fsp.Krylov(dimension=10), fsp.Krylov(orthogonalization=50), fsp.Implicit(stages=5), fsp.Uniformization(tol=1e-12)],
    ids=repr,
)
def test_solver_values(solver):
    case = CASES["open chain"]
    solution = fsp.transient(case.model, [case.t], 1e-6, solver=solver)
    assert repr(solver) in solution.solver
    error, _ = errors(case, solution[0])
    assert error <= solution[0].error.total + case.digits


def test_the_tolerance_of_a_solver_value_limits_the_integration():
    case = CASES["isomerization"]
    d = solve(case, 1e-4, solver=fsp.Krylov(tol=1e-9))
    assert d.error.integration <= 1.5e-9


def test_the_solution_says_how_it_was_found():
    solution = fsp.transient(immigration_death(0).model, [1.0], 1e-6)
    assert "auto" in solution.solver
    assert solution.tol == 1e-6
    assert solution.statistics["n_matvec"] > 0
    assert solution.statistics["largest_space"] >= len(solution[-1])
    assert solution.statistics["growths"] > 0


# ---- time in a rate ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["auto", "implicit", "magnus"])
def test_inhomogeneous_immigration(solver):
    """0 → X at 20 sin²t, which is zero at the start: Poisson of mean ∫ 20 sin²s e^(s − t) ds."""
    model = network({"X": 0}, ("0 -> X", "rate", "20*sin(time)^2"), ("X -> 0", "mass_action", 1.0))
    t = 2.5
    d = fsp.transient(model, [t], 1e-7, solver=solver)[0]
    mean = 10 * -math.expm1(-t) - 10 * (math.cos(2 * t) + 2 * math.sin(2 * t) - math.exp(-t)) / 5
    case = Case(model, t, lambda x: exact.poisson(x[:, 0], mean))
    assert errors(case, d)[0] <= 1e-6
    assert d.error.total <= 1e-7
    assert d.error.certified


@pytest.mark.parametrize(("on", "off"), [(3.0, 4.0), (5.0, 5.2), (6.2, 7.7)])
def test_a_rate_that_is_switched_on_and_off(on, off):
    """0 → X at 5 from `on` to `off` only: Poisson of mean 5 (off − on).  Nothing happens before, and yet it is seen."""
    model = network({"X": 0}, ("0 -> X", "rate", f"piecewise(5, time > {on} && time < {off}, 0)"))
    d = fsp.transient(model, [10.0], 1e-6)[0]
    case = Case(model, 10.0, lambda x: exact.poisson(x[:, 0], 5.0 * (off - on)))
    assert errors(case, d)[0] <= 1e-5


@pytest.mark.parametrize("solver", ["uniformization", "krylov"])
def test_time_in_a_rate_is_refused_where_it_cannot_be_treated(solver):
    model = network({"X": 0}, ("0 -> X", "rate", "1 + sin(time)"))
    with pytest.raises(fsp.BackendError, match=r"time.*implicit"):
        fsp.transient(model, [1.0], solver=solver)


# ---- progress ---------------------------------------------------------------------------------------------


@solvers
def test_progress_moves_forward(solver):
    seen = []
    model = network(
        {"X": 0, "Y": 0}, *(("0 -> " + s, "mass_action", 40.0) for s in "XY"), ("X -> 0", "mass_action", 1.0)
    )
    fsp.transient(model, [0.5, 3.0], 1e-6, solver=solver, progress=seen.append)
    assert all(isinstance(p, fsp.Progress) for p in seen)
    assert [p.t for p in seen] == sorted(p.t for p in seen)
    assert [p.error for p in seen] == sorted(p.error for p in seen)
    assert seen[-1].t == seen[-1].t_end == 3.0
    assert len({p.n_states for p in seen}) > 2


# ---- bad input --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([], "at least one"),
        ([1.0, 1.0], r"must increase, but 1.0 is followed by 1.0"),
        ([0.0, 2.0, 1.5], r"must increase, but 2.0 is followed by 1.5"),
        ([-1.0, 2.0], r"not negative, but are \[-1.0, 2.0\]"),
        ([0.0, math.nan], r"finite.*nan"),
        ([1.0, math.inf], r"finite.*inf"),
        ([[1.0, 2.0]], r"list.*\(1, 2\)"),
    ],
)
def test_bad_times_are_refused(times, message):
    with pytest.raises(fsp.ArgumentError, match=f"(?s)`times`.*{message}"):
        fsp.transient(decay().model, times)


@pytest.mark.parametrize("tol", [0.0, -1e-6, 1.0, 2.0, math.nan, math.inf])
def test_bad_tolerances_are_refused(tol):
    with pytest.raises(fsp.ArgumentError, match=f"`tol`.*{tol}"):
        fsp.transient(decay().model, [1.0], tol)


@pytest.mark.parametrize("solver", ["Krylov", "expm", "", None, 3, fsp.Krylov])
def test_an_unknown_solver_is_refused_with_the_names(solver):
    with pytest.raises(
        fsp.ArgumentError, match=r"`solver`.*auto, uniformization, krylov, chebyshev, rational, squaring, implicit"
    ):
        fsp.transient(decay().model, [1.0], solver=solver)


@pytest.mark.parametrize("solver", [*SOLVERS, "auto"])
def test_an_explosive_network_is_refused_when_it_has_grown_suspiciously_often(solver):
    model = network({"X": 1}, ("X -> 2 X", "rate", "0.5*X^2"))
    sizes = set()
    with pytest.raises(fsp.StateSpaceError, match=r"explode.*r1"):
        fsp.transient(model, [10.0], solver=solver, max_states=200_000, progress=lambda now: sizes.add(now.n_states))
    assert len(sizes) <= 2 * SUSPECT_GROWTHS  # those of growths, and of prunings


def test_before_it_explodes_there_is_an_answer():
    model = network({"X": 1}, ("X -> 2 X", "rate", "0.5*X^2"))
    d = fsp.transient(model, [0.01], 1e-6)[0]
    assert d.error.total <= 1e-6
    assert abs(d.probability({"X": 1}).value - math.exp(-0.005)) <= 1e-6


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_limit_on_states_is_named(solver):
    model = network({"X": 0}, ("0 -> X", "mass_action", 100.0))
    with pytest.raises(fsp.StateSpaceError, match=r"at most 50 states \(`max_states`\).*t = 0.*raise the limit"):
        fsp.transient(model, [10.0], solver=solver, max_states=50)


def test_the_limit_on_memory_is_named():
    model = network({"X": 0}, ("0 -> X", "mass_action", 100.0))
    with pytest.raises(fsp.StateSpaceError, match=r"`max_memory`"):
        fsp.transient(model, [10.0], max_memory=100_000)


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        ("5 - X", r"r2.*-[12] in.*'X': [67]"),
        ("sqrt(5 - X)", r"r2.*nan in.*'X': [67]"),
        ("1/(4 - X)", r"r2.*inf in.*'X': 4"),
    ],
)
def test_a_propensity_that_is_none_is_refused_where_the_space_grows_to_it(rate, message):
    model = network({"X": 0}, ("0 -> X", "mass_action", 9.0), ("0 -> 2 X", "rate", rate))
    with pytest.raises(fsp.ModelError, match=message):
        fsp.transient(model, [10.0])


def test_a_reaction_that_would_make_a_count_negative_is_refused():
    model = network({"X": 2}, ("X -> 0", "rate", "1"))
    with pytest.raises(fsp.ModelError, match=r"r1.*'X': 0"):
        fsp.transient(model, [1.0])


def test_a_tolerance_below_rounding_is_answered_with_a_warning():
    case = isomerization()
    with pytest.warns(fsp.ToleranceWarning, match=r"exceeds tol = 1.0e-15.*rounding"):
        d = fsp.transient(case.model, [case.t], 1e-15, solver="uniformization")[0]
    assert errors(case, d)[0] <= d.error.total
    assert 1e-15 < d.error.total < 1e-11


# ---- rare states that carry all of the flow ---------------------------------------------------------------


@pytest.mark.parametrize("solver", ["auto", "krylov"])
def test_the_bottleneck_is_not_pruned(solver):
    """A → B at 1e-6, B → B + C at 0.1: states of probability 1e-5 make all of ⟨C⟩ = k₂ (t − (1 − e^(−k₁t))/k₁)."""
    t = 1e4
    d = fsp.transient(fsp.load(MODELS / "bottleneck.ant"), [t], 1e-7, solver=solver)[0]
    mean = 0.1 * (t + math.expm1(-1e-6 * t) / 1e-6)
    assert mean == pytest.approx(4.983, abs=1e-3)
    assert d.mean()["C"] == pytest.approx(mean, rel=1e-3)
    assert abs(d.probability({"A": 1}).value - math.exp(-1e-6 * t)) <= d.error.total
    assert d.error.total <= 1e-7


def test_a_network_that_rates_close_is_enumerated():
    """Dimers are made until no monomer is left: stoichiometry does not say so, and the space is whole all the same."""
    model = fsp.Model(
        species={"D": 0},
        reactions=[fsp.Reaction("0 -> D", rate="(40 - 2*D)*(39 - 2*D)/2"), fsp.Reaction("D -> 0", mass_action=1.0)],
    )
    (dist,) = fsp.transient(model, [1.0], 1e-6)
    assert (len(dist), dist.closed, dist.error.truncation) == (21, True, 0.0)
    assert dist.mean_interval()["D"].certified


@pytest.mark.parametrize("short", [6e-13, -4e-13])
def test_initial_probabilities_that_do_not_quite_sum_to_one_are_off_by_so_much(short):
    model = network({"A": 1}, ("A -> 0", "mass_action", 1.0), initial={(1,): 0.5, (2,): 0.5 - short})
    d = fsp.transient(model, [1.0], 1e-6)[-1]
    assert abs(short) * 0.99 <= d.error.rounding <= abs(short) + 1e-13


def test_a_start_that_may_have_other_states_is_not_closed_by_a_network_that_makes_none():
    """What is given lies within 1e-3 of the start, wherever that is; a start without error has no other states."""
    model = fsp.Model(species={"X": 0}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])
    states, p = np.array([[0], [1]]), np.array([0.5, 0.5])
    near = fsp.Distribution(states, p, ("X",), t=0.0, error=fsp.ErrorLedger(rounding=1e-3))
    exact_start = fsp.Distribution(states, p, ("X",), t=0.0, error=fsp.ErrorLedger())
    whole = fsp.Distribution(states, p, ("X",), t=0.0, error=fsp.ErrorLedger(rounding=1e-3), closed=True)
    closed = [fsp.transient(model, [1.0], 0.1, start=start)[-1].closed for start in (near, exact_start, whole)]
    assert closed == [False, True, True]
