"""A space that moves with the probability: bounds stay true, what is dropped is charged, spaces stay small.

References are closed forms, or uniformization in plain numpy on a space that nothing was dropped from.
"""

from __future__ import annotations

import math

import exact
import numpy as np
import pytest
from exact_cases import CASES, Case, errors, solve
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import uniformized
from random_networks import as_model, moving_packets
from references import MODELS
from written_networks import network

import fsp
from fsp.projection import budget
from fsp.projection.growth import CHEAP_STATES
from fsp.projection.pacing import Pacing
from fsp.projection.pruning import INFLOW_SHARE, choose
from fsp.projection.thresholds import Thresholds
from fsp.solvers import Magnus
from fsp.space.communicator import SINGLE_PROCESS

LADDER = [10.0**-digits for digits in range(2, 11)]
cases = pytest.mark.parametrize("name", CASES)


def conserved(d, start=1.0):
    """Require that stored, lost and dropped probability add up to all of it."""
    whole = math.fsum(d.probabilities) + d.error.truncation + d.error.pruning
    assert abs(whole - start) <= d.error.integration + d.error.rounding + 1e-14
    assert 1.0 - d.mass <= d.error.total + 1e-14


def fewest(law, tol):
    """Return the size of the smallest set that holds all but `tol` of a law."""
    return int(np.searchsorted(np.cumsum(np.sort(law)[::-1]), 1.0 - tol)) + 1


# ---- no tolerance for which the bound is below the error --------------------------------------------------


@cases
@pytest.mark.parametrize("solver", ["auto", "rational", "uniformization", "krylov", "chebyshev"])
@pytest.mark.parametrize("tol", LADDER)
def test_no_tolerance_has_a_bound_below_the_true_error(name, solver, tol):
    case = CASES[name]
    d = solve(case, tol, solver=solver)
    error, outside = errors(case, d)
    assert error <= d.error.total + case.digits
    assert outside <= d.error.truncation + d.error.pruning + d.error.integration + case.digits
    assert d.error.certified
    conserved(d)


# ---- packets that move far away from their start ----------------------------------------------------------


def conversion(n=500, t=1.2):
    """A → B from n A: binomial, always about √n wide."""
    model = network({"A": n, "B": 0}, ("A -> B", "mass_action", 1.0))
    return Case(model, t, lambda x: exact.decay(x[:, 0], t, rate=1.0, start=n) * (x.sum(axis=1) == n)), np.array(
        [[k, n - k] for k in range(n + 1)]
    )


def isomerization_from_one_end(n=600, t=2.0):
    model = network({"A": n, "B": 0}, ("A -> B", "mass_action", 1.0), ("B -> A", "mass_action", 0.2))
    law = {"forward": 1.0, "backward": 0.2, "start_a": n}
    return Case(model, t, lambda x: exact.isomerization(x[:, 1], t, **law) * (x.sum(axis=1) == n)), np.array(
        [[k, n - k] for k in range(n + 1)]
    )


def immigration_from_afar(n=900, t=4.0):
    model = network({"X": n}, ("0 -> X", "mass_action", 9.0), ("X -> 0", "mass_action", 1.0))
    return Case(model, t, lambda x: exact.immigration_death(x[:, 0], t, birth=9.0, death=1.0, start=n)), np.arange(
        n + 200
    )[:, None]


def two_stages(n=160, t=1.0):
    """A → B → C from n A: trinomial, in a simplex of 13,041 states."""
    model = network({"A": n, "B": 0, "C": 0}, ("A -> B", "mass_action", 1.0), ("B -> C", "mass_action", 1.0))
    in_a, in_b = math.exp(-t), t * math.exp(-t)

    def law(x):
        p = exact.decay(x[:, 0], t, rate=1.0, start=n) * (x.sum(axis=1) == n)
        for a in np.unique(x[:, 0]):
            row = (x[:, 0] == a) & (p > 0.0)
            p[row] *= exact.binomial(x[row, 1], n - a, in_b / (1.0 - in_a))
        return p

    return Case(model, t, law), np.array([[a, b, n - a - b] for a in range(n + 1) for b in range(n + 1 - a)])


PACKETS = {
    "conversion": conversion(),
    "isomerization": isomerization_from_one_end(),
    "immigration": immigration_from_afar(),
    "two stages": two_stages(),
}


@pytest.mark.parametrize("packet", PACKETS)
@pytest.mark.parametrize("solver", ["auto", "rational", "uniformization"])
@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9])
def test_a_moving_packet_is_followed_and_what_it_leaves_is_dropped(packet, solver, tol):
    case, reachable = PACKETS[packet]
    solution = fsp.transient(case.model, [case.t], tol, solver=solver)
    d = solution[-1]
    error, _ = errors(case, d)
    assert error <= d.error.total + 1e-12
    assert d.error.total <= tol
    assert d.error.pruning > 0.0
    assert not d.closed
    conserved(d)
    law = case.law(reachable)
    assert law.sum() == pytest.approx(1.0, abs=1e-10)
    assert len(d) <= 3 * fewest(law, tol) + 2 * CHEAP_STATES  # which two growths may add to a small space
    # Far fewer states at a time than were passed through.
    assert solution.statistics["largest_space"] <= (0.97 if packet == "two stages" else 0.65) * len(reachable)


def test_pruned_states_come_back_when_they_are_needed():
    """Every molecule goes round the cycle A → B → C → A once and a half: the packet passes its own start again."""
    n, t = 40, 6.0
    model = network(
        {"A": n, "B": 0, "C": 0},
        ("A -> B", "mass_action", 2.0),
        ("B -> C", "mass_action", 2.0),
        ("C -> A", "mass_action", 2.0),
    )
    rates = {"start": [n, 0, 0], "conversion": [[0, 2.0, 0], [0, 0, 2.0], [2.0, 0, 0]]}
    table = exact.monomolecular([n, n, n], t, **rates)
    case = Case(model, t, lambda x: table[tuple(x.T)], 1e-11)
    for tol in (1e-3, 1e-6):
        solution = fsp.transient(model, [t], tol)
        assert errors(case, solution[-1])[0] <= solution[-1].error.total + case.digits
        assert solution[-1].error.total <= tol
        assert solution.statistics["growths"] + solution.statistics["prunings"] < 40
        conserved(solution[-1])


PRUNED = []


@settings(max_examples=30)
@given(moving_packets())
def test_bounds_of_random_pruned_runs_are_true(drawn):
    network_, upper, t, tol, solver = drawn
    model = as_model(network_)
    space = fsp.StateSpace.reachable(model) if upper is None else fsp.StateSpace.box(model, upper=upper)
    generator = fsp.Generator(model, space)
    p = np.zeros(len(space))
    p[space.index(model.initial_states)] = 1.0
    truth, beyond = uniformized(generator.to_csr(), p, t)
    d = fsp.transient(model, [t], tol, solver=solver)[-1]
    index = space.index(d.states)
    gap = truth.copy()
    gap[index[index >= 0]] -= d.probabilities[index >= 0]
    error = float(np.abs(gap).sum() + d.probabilities[index < 0].sum())
    assert error <= d.error.total + beyond + 1e-12
    assert d.error.total <= tol
    conserved(d)
    PRUNED.append(d.error.pruning > 0.0)


@pytest.fixture(scope="module", autouse=True)
def many_random_runs_drop_states():
    yield
    assert not PRUNED or np.mean(PRUNED) >= 0.4


# ---- where dropping improbable states goes wrong ----------------------------------------------------------


@pytest.mark.parametrize("tol", [1e-2, 1e-3, 1e-4, 1e-6, 1e-8])
@pytest.mark.parametrize("solver", ["auto", "rational"])
def test_a_bottleneck_of_improbable_states_is_within_its_bound(solver, tol):
    """All of the flow passes states of probability 1e-5, below what may be dropped at the looser tolerances."""
    t, k1, k2 = 1e4, 1e-6, 0.1
    solution = fsp.transient(fsp.load(MODELS / "bottleneck.ant"), [0.3 * t, t], tol, solver=solver)
    shut = math.exp(-k1 * t)

    def law(x):
        """P(B, C = n) = k1/(k2 − k1) e^(−k1 t) P(N > n), N Poisson of mean (k2 − k1) t, up to (k2/(k2 − k1))^n."""
        n = np.arange(int(x[:, 2].max()) + 1)
        tail = np.maximum(1.0 - np.cumsum(exact.poisson(n, (k2 - k1) * t)), 0.0)
        b = k1 / (k2 - k1) * shut * tail * (k2 / (k2 - k1)) ** n
        return np.where(x[:, 0] == 1, shut * (x[:, 2] == 0), b[x[:, 2]] * (x[:, 1] == 1))

    d = solution[-1]
    assert errors(Case(d, t, law), d)[0] <= d.error.total + 1e-11
    assert abs(d.probability({"A": 1}).value - shut) <= d.error.total
    assert d.error.total <= tol
    conserved(d)


def test_a_bistable_switch_keeps_both_modes():
    """Schlögl's network from the saddle: both modes hold much, the valley between them little."""
    model = fsp.load(MODELS / "schloegl_small.ant")
    space = fsp.StateSpace.box(model, upper={"X": 900})
    start = np.zeros(len(space))
    start[space.index(model.initial_states)] = 1.0
    truth, beyond = uniformized(fsp.Generator(model, space).to_csr(), start, 2.0)
    for tol in (1e-2, 1e-4, 1e-6):
        d = fsp.transient(model, [2.0], tol)[-1]
        found = np.zeros(len(space))
        found[space.index(d.states)] = d.probabilities
        assert np.abs(found - truth).sum() <= d.error.total + beyond + 1e-11
        assert d.error.total <= tol
        conserved(d)


@pytest.mark.parametrize("tol", [1e-2, 1e-5, 1e-8])
def test_a_rare_switch_between_distant_modes(tol):
    """A gene turns on once in 1e4 and then makes 150 molecules: the bound counts what waits to get there."""
    model = network(
        {"Off": 1, "On": 0, "M": 0},
        ("Off -> On", "mass_action", 1e-4),
        ("On -> Off", "mass_action", 1.35e-4),
        ("On -> On + M", "mass_action", 150.0),
        ("M -> 0", "mass_action", 1.0),
    )
    table = exact.telegraph(np.arange(330), 8.0, on=1e-4, off=1.35e-4, make=150.0, death=1.0)
    case = Case(model, 8.0, lambda x: table[x[:, 1], np.minimum(x[:, 2], 329)], 1e-11)
    d = solve(case, tol)
    assert errors(case, d)[0] <= d.error.total + case.digits


# ---- the choice of what is dropped ------------------------------------------------------------------------


def drained_chain(n=80, rate=0.7):
    """Return a generator of A → B from n A, and its law at t = 1, in the middle of the way."""
    model = network({"A": n, "B": 0}, ("A -> B", "mass_action", rate))
    space = fsp.StateSpace.reachable(model)
    return fsp.Generator(model, space), exact.decay(space.states[:, 0], 1.0, rate=rate, start=n)


@pytest.mark.parametrize("mass", [0.0, 1e-9, 1e-3])
@pytest.mark.parametrize("rate", [1e-12, 1e-6, 1e-1])
def test_what_is_dropped_keeps_to_both_allowances(mass, rate):
    generator, p = drained_chain()
    pruning = choose(generator, p, None, mass, rate)
    dropped = ~pruning.kept
    assert p[dropped].sum() <= mass
    inflow = (generator.to_csr() @ np.where(dropped, 0.0, p))[dropped].sum()
    assert inflow <= INFLOW_SHARE * rate
    assert pruning.share == pytest.approx(dropped.mean())
    assert p[dropped].max(initial=0.0) <= p[pruning.kept].min()


def test_the_flux_into_what_is_dropped_binds_before_its_mass():
    """States ahead of a packet hold next to nothing, but it moves into them."""
    generator, p = drained_chain()
    loose = choose(generator, p, None, 1e-3, 1e3)
    strict = choose(generator, p, None, 1e-3, 1e-6)
    assert 0.0 < strict.share < loose.share


def test_states_that_are_wanted_or_needed_later_stay():
    generator, p = drained_chain()
    wanted = np.zeros(len(p), dtype=bool)
    wanted[:5] = True
    assert choose(generator, p, None, 1e-3, 1e3, wanted).kept[:5].all()
    ahead = np.zeros(len(p))
    ahead[-3:] = 0.1
    assert choose(generator, p, ahead, 1e-3, 1e3).kept[-3:].all()


def test_the_budgets_are_kept_at_every_time():
    """Spent in proportion to time: pruning by its share, truncation by what the other shares leave."""
    case, _ = PACKETS["conversion"]
    tol, times = 1e-4, np.linspace(0.05, 2.5, 25)
    assert budget.LARGEST_INTEGRATION_SHARE + budget.PRUNING_SHARE + budget.ROUNDING_SHARE < 1.0
    for d in fsp.transient(case.model, times, tol):
        assert d.error.pruning <= budget.PRUNING_SHARE * tol * d.t / times[-1] * (1.0 + 1e-9)
        assert d.error.total <= tol * d.t / times[-1] * (1.0 + 1e-9)
        conserved(d)


# ---- it ends, and does not flap ---------------------------------------------------------------------------


def changes(solution):
    return solution.statistics["growths"] + solution.statistics["prunings"]


def test_a_stationary_process_is_not_grown_again_and_again():
    model = network({"X": 0}, ("0 -> X", "mass_action", 400.0), ("X -> 0", "mass_action", 1.0))
    counts = {tol: changes(fsp.transient(model, [30.0], tol)) for tol in LADDER}
    for tol, count in counts.items():
        assert count <= 8 + 2.0 * math.log10(1.0 / tol)
    assert changes(fsp.transient(model, [300.0], 1e-6)) <= counts[1e-6] + 3


def test_a_window_on_a_long_way_is_renewed_as_often_as_its_own_width_is_passed():
    """0 → X only: after t the packet is √t wide, so its window is renewed about √t times."""
    model = network({"X": 0}, ("0 -> X", "mass_action", 1.0))
    for t in (500.0, 8000.0):
        assert changes(fsp.transient(model, [t], 1e-6)) <= 1.5 * math.sqrt(t)


@pytest.mark.parametrize("tol", [1e-2, 1e-3])
def test_a_front_on_a_long_way_gets_longer_lines(tol):
    """Two species on their way to 300 each: many states feed the front, which would else grow step by step."""
    immigration = [(f"0 -> {x}", "mass_action", 300.0) for x in "XY"]
    model = network({"X": 0, "Y": 0}, *immigration, *[(f"{x} -> 0", "mass_action", 1.0) for x in "XY"])
    assert fsp.transient(model, [3.0], tol).statistics["growths"] <= 60


@pytest.mark.parametrize("tol", [1e-2, 1e-4])
def test_a_support_that_oscillates_comes_to_an_end(tol):
    """Predator and prey for one and a half rounds: the packet returns to where states were dropped."""
    model = network(
        {"X": 20, "Y": 8},
        ("X -> 2 X", "mass_action", 1.0),
        ("X + Y -> 2 Y", "mass_action", 0.1),
        ("Y -> 0", "mass_action", 1.0),
    )
    solution = fsp.transient(model, [4.0], tol, max_states=100_000)
    assert changes(solution) <= 80
    assert solution[-1].error.total <= tol
    conserved(solution[-1])


@given(
    st.lists(st.one_of(st.just(0.0), st.floats(1e-300, 1e3), st.floats(1e-12, 1e-9)), min_size=1, max_size=40),
    st.floats(0.0, 1e3),
)
@settings(max_examples=200, deadline=None)
def test_levels_count_what_lies_below(values, mass):
    values = np.array(values)
    levels = Thresholds(values, SINGLE_PROCESS)
    for level, (number, below) in enumerate(zip(levels.numbers[:-1], levels.masses[:-1], strict=True)):
        above = levels.above(level)
        assert number == np.count_nonzero(~above)
        assert below == pytest.approx(values[~above].sum(), rel=1e-12, abs=1e-300)
        assert (values[above] >= levels.value(level)).all() or level == 0
        assert (values[~above] < levels.value(level) * (1.0 + 1e-12)).all()
    highest = levels.highest(mass)
    assert levels.masses[highest] <= mass
    assert levels.above(highest).any()
    assert highest == len(levels.numbers) - 2 or levels.masses[highest + 1] > mass


@pytest.mark.parametrize("power", [*range(-290, 1020, 109), -2])
def test_values_are_not_below_their_level(power):
    """The logarithm of the number below a power of two is rounded to that power."""
    largest = np.nextafter(2.0**power, 0.0)
    levels = Thresholds(np.array([0.5 * largest, largest]), SINGLE_PROCESS)
    assert levels.above(1).tolist() == [False, True]
    assert 0.9 * largest <= levels.value(1) <= largest


def test_a_pruning_saves_work_only_until_the_next_growth():
    """The next growth is as far away as the last one was; once it is overdue, as far as has been waited for it."""
    seen = Pacing(0.0)
    assert seen.until_growth(5.0) == math.inf
    seen.grown(6.0)
    seen.grown(8.0)
    seen.checked(8.5, pruned=True)
    assert seen.until_growth(8.5) == 1.5
    assert seen.until_growth(12.0) == 4.0
    seen.grown(9.0)
    assert seen.until_growth(9.0) == 1.0


def test_a_fixed_space_is_never_pruned():
    case, _ = PACKETS["conversion"]
    space = fsp.StateSpace.reachable(case.model)
    solution = fsp.transient(case.model, [0.5, case.t], 1e-3, space=space)
    assert [len(d) for d in solution] == [501, 501]
    assert solution[-1].error.pruning == 0.0
    assert changes(solution) == 0
    assert solution[-1].closed


def test_when_all_is_absorbed_little_is_kept():
    """A → B → 0 of 90 each: at the end only the empty state holds anything."""
    model = network({"A": 90, "B": 90}, ("A -> B", "mass_action", 1.0), ("B -> 0", "mass_action", 1.0))
    solution = fsp.transient(model, [1.0, 60.0], 1e-6)
    d = solution[-1]
    assert d.probability({"A": 0, "B": 0}).value == pytest.approx(1.0, abs=d.error.total)
    assert d.error.total <= 1e-6
    assert len(d) <= 0.3 * solution.statistics["largest_space"]
    conserved(d)


def test_a_space_without_a_way_out_is_not_closed_where_states_were_dropped():
    """X → 0 from 1000: what is left at the end leads nowhere else, but some probability was dropped above it."""
    model = network({"X": 1000}, ("X -> 0", "mass_action", 1.0))
    d = fsp.transient(model, [20.0], 1e-4)[-1]
    assert fsp.Generator(model, fsp.StateSpace.from_states(d.species, d.states)).n_sinks == 0
    assert d.error.pruning > 0.0
    assert not d.closed


def test_too_few_states_for_a_moving_packet_is_an_error():
    case, _ = PACKETS["two stages"]
    with pytest.raises(fsp.StateSpaceError, match=r"at most 300 states \(`max_states`\)"):
        fsp.transient(case.model, [case.t], 1e-6, max_states=300)


# ---- starts and times -------------------------------------------------------------------------------------


def mixture(weights, t):
    model = network({"X": 0}, ("0 -> X", "mass_action", 9.0), ("X -> 0", "mass_action", 0.8), initial=weights)

    def law(x):
        return sum(
            w * exact.immigration_death(x[:, 0], t, birth=9.0, death=0.8, start=n) for (n,), w in weights.items()
        )

    return Case(model, t, law, 1e-12)


@pytest.mark.parametrize("tol", [1e-2, 1e-5, 1e-9])
def test_a_start_in_several_distant_states(tol):
    case = mixture({(0,): 0.4, (250,): 1e-4, (700,): 0.6 - 1e-4}, 1.5)
    d = solve(case, tol)
    assert errors(case, d)[0] <= d.error.total + case.digits
    conserved(d)


@pytest.mark.parametrize("tol", [1e-2, 1e-6])
def test_a_start_wider_than_the_tolerance(tol):
    """A geometric law of mean 49 decays to one of mean 49 e^(−t): each starting state holds less than `tol`."""
    weights = exact.negative_binomial(np.arange(1800), 1.0, 0.02)
    start = {(n,): float(w) for n, w in enumerate(weights / weights.sum())}
    model = network({"X": 0}, ("X -> 0", "mass_action", 1.0), initial=start)
    law = {"r": 1.0, "p": 1.0 / (1.0 + 49.0 * math.exp(-0.7))}
    case = Case(model, 0.7, lambda x: exact.negative_binomial(x[:, 0], **law), 1e-12)
    d = solve(case, tol)
    assert errors(case, d)[0] <= d.error.total + case.digits
    conserved(d)


def test_times_at_zero_and_next_to_each_other():
    model = PACKETS["immigration"][0].model
    times = [0.0, 1e-12, 2e-12, 1e-3, 1e-3 * (1.0 + 1e-14), 1.0]
    solution = fsp.transient(model, times, 1e-6)
    assert [d.t for d in solution] == times
    for d in solution:
        case = Case(
            model, d.t, lambda x, t=d.t: exact.immigration_death(x[:, 0], t, birth=9.0, death=1.0, start=900), 1e-11
        )
        assert errors(case, d)[0] <= d.error.total + case.digits
    totals = [d.error.total for d in solution]
    assert totals == sorted(totals)
    assert totals[0] == 0.0


def test_a_stiff_network_is_followed_where_errors_lie_in_rounding():
    model = fsp.load(MODELS / "michaelis_menten.ant")
    d = fsp.transient(model, [70.0], 1e-9, solver="rational")[-1]
    assert d.error.certified
    assert d.error.total <= 1e-9


def test_a_tolerance_below_rounding_does_not_fill_the_space_with_noise():
    """Two genes that repress each other: what a solver leaves at the boundary is no reason to grow."""
    laws = {"0 -> A": "0.5/(1 + B^4)", "0 -> B": "0.6/(1 + A^4)", "A -> 0": "1.2*A", "B -> 0": "0.8*B"}
    model = fsp.Model(
        species={"A": 2, "B": 0}, reactions=[fsp.Reaction(equation, rate=law) for equation, law in laws.items()]
    )
    with pytest.warns(fsp.ToleranceWarning):
        last = fsp.transient(model, [0.5], 1e-15, solver="rational", max_states=2000)[-1]
    assert last.error.truncation <= last.error.integration + last.error.rounding < 1e-11


def test_noise_of_a_gate_that_seldom_opens_does_not_fill_the_space():
    """Noise is below the tolerance here, but flows out as fast as probability may."""
    laws = {"off -> on": "3.6e-6*off", "on -> off": "1e-5*on", "on -> on + X": "8.75*on", "X -> 0": "X"}
    model = fsp.Model(
        species={"off": 1, "on": 0, "X": 0},
        reactions=[fsp.Reaction(equation, rate=law) for equation, law in laws.items()],
    )
    with pytest.warns(fsp.ToleranceWarning):
        error = fsp.transient(model, [5127.0], 1e-12, max_states=2000)[-1].error
    assert error.truncation <= error.integration + error.rounding < 1e-9


@pytest.mark.parametrize(
    ("rate", "t"), [("2.185e-05*off", 5.579), ("0.3*off", 2.0)], ids=["seldom opens", "often opens"]
)
def test_implicit_grows_only_where_probability_flows_out(rate, t):
    """What it lost beyond its share, by rounding, is no reason to refuse a step that loses nothing."""
    model = network(
        {"off": 1, "on": 0, "X": 0},
        ("off -> on", "rate", rate),
        ("on -> off", "mass_action", 9e-8),
        ("on -> on + X", "mass_action", 5.4),
        ("X -> 0", "mass_action", 1.0),
    )
    error = fsp.transient(model, [t], 1e-12, solver="implicit", max_states=2000)[-1].error
    assert error.total <= 1e-12


def test_magnus_ends_at_a_tolerance_that_no_step_meets():
    model = fsp.Model(
        species={"A": 3},
        reactions=[fsp.Reaction("0 -> A", rate="2*(1 + sin(5*time))"), fsp.Reaction("A -> 0", rate="A")],
    )
    space = fsp.StateSpace.box(model, upper={"A": 60})
    p, t, products, error, rounding = np.eye(61)[3], 0.0, 0, 0.0, 0.0
    with Magnus(tol=1e-15).open(fsp.Generator(model, space)) as propagator:
        while t < 2.0 and products < 40_000:
            step = propagator.advance(p, t, 2.0, tol=0.5e-15 * (2.0 - t), max_products=1000)
            p, t, products = step.p, step.t, products + step.n_matvec
            error, rounding = error + step.error, rounding + step.rounding
    assert t == 2.0
    assert error <= 10.0 * rounding < 1e-9


@pytest.mark.parametrize("tol", [1e-9, 1e-15])
def test_rational_keeps_long_steps_where_a_stiff_network_comes_to_rest(tol):
    """A vector that does not move, but for fast modes that rounding leaves of it: they belong to the basis."""
    model = network(
        {"A": 2, "B": 3},
        ("A -> B", "mass_action", 141.3),
        ("B -> A", "mass_action", 0.46),
        ("2 B -> A + B", "mass_action", 0.82),
        ("A + B -> 2 A", "mass_action", 157_500.0),
    )
    space = fsp.StateSpace.reachable(model)
    p, t, products, error, rounding = space.index([[2, 3]]) == np.arange(6), 0.0, 0, 0.0, 0.0
    with fsp.Rational(tol=tol).open(fsp.Generator(model, space)) as propagator:
        while t < 2206.0 and products < 1000:
            step = propagator.advance(np.asarray(p, dtype=float), t, 2206.0, max_products=1000)
            p, t, products = step.p, step.t, products + step.n_matvec
            error, rounding = error + step.error, rounding + step.rounding
    assert t == 2206.0
    assert error <= max(tol, 10.0 * rounding) < 1e-6
