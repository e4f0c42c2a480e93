"""Events: at known times and triggered by the state, against chains that are written out by hand."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from naive import settled, with_events
from scipy import stats

import fsp
from fsp import Event, ModelError, Reaction
from fsp.model.expression import Number, call
from fsp.moments import moment_bounds
from fsp.moments.carried import mapped

RATES = {"k": 1.0, "g": 0.1}
TOL = 1e-8


def immigration_death(*events, start=0, **more):
    """X is made at rate k and lost at rate g each; most tests add events to it."""
    reactions = [Reaction("0 -> X", rate="k", name="make"), Reaction("X -> 0", mass_action="g", name="lose")]
    return fsp.Model(species={"X": start}, parameters={**RATES, **more}, reactions=reactions, events=events)


def gap(dist, states, p):
    """Return the 1-norm distance of a distribution to probabilities (n,) of states (n, d)."""
    mine = dict(zip(map(tuple, dist.states.tolist()), dist.probabilities.tolist(), strict=True))
    theirs = dict(zip(map(tuple, np.asarray(states).tolist()), np.asarray(p).tolist(), strict=True))
    return sum(abs(mine.get(x, 0.0) - theirs.get(x, 0.0)) for x in mine.keys() | theirs.keys())


def reset_law(x0, s):
    """Return the law of immigration and death a time s after X = x0: a binomial and a Poisson number."""
    left = math.exp(-RATES["g"] * s)
    x = np.arange(120)
    born = stats.poisson.pmf(x, RATES["k"] / RATES["g"] * (1 - left))
    return np.convolve(stats.binom.pmf(x, x0, left), born)[:120]


# ---- at known times


def test_a_reset_at_a_known_time_has_its_closed_form():
    """Nothing of the error before a reset of all species is left after it, and moments are bounded again."""
    solution = fsp.transient(
        immigration_death(Event(trigger="time >= 22.5", assignments={"X": 20})), [22.5, 24, 40], TOL
    )
    assert solution[0].states.tolist()[int(solution[0].probabilities.argmax())] == [20]
    assert solution[0].error.total == 0.0
    for dist in solution[1:]:
        p = reset_law(20, dist.t - 22.5)
        assert gap(dist, np.arange(120)[:, None], p) <= dist.error.total + 1e-13
        mean = dist.mean_interval()["X"]
        assert mean.certified
        assert mean.lower <= p @ np.arange(120) <= mean.upper
        assert mean.upper - mean.lower < 1e-5


@pytest.mark.parametrize(
    ("trigger", "count"), [("time >= 2", 7), ("time > 2", None), ("2 <= time", 7), ("4 > 6 - time", None)]
)
def test_output_at_the_time_of_an_event_is_what_the_trigger_says(trigger, count):
    """At that very time ``time >= 2`` is true, and ``time > 2`` is not yet."""
    at, later = fsp.transient(immigration_death(Event(trigger=trigger, assignments={"X": 7})), [2.0, 2.5], TOL)
    certain = at.probabilities.max() > 1 - 1e-12
    assert certain == (count is not None)
    assert gap(later, np.arange(120)[:, None], reset_law(7, 0.5)) <= later.error.total + 1e-13


def decay_with_reset(k, when):
    return fsp.Model(
        species={"X": 5},
        parameters={"when": when},
        reactions=[fsp.Reaction("X -> 0", mass_action=k)],
        events=[Event(trigger="time >= when", assignments={"X": 9})],
    )


@pytest.mark.parametrize("unit", [1.0, 1e-13, 1e-30, 1e20])
def test_events_come_at_their_time_in_any_unit(unit):
    before, after = fsp.transient(decay_with_reset(1.0 / unit, 0.3 * unit), [0.25 * unit, 0.4 * unit], TOL)
    for dist, n, t in ((before, 5, 0.25), (after, 9, 0.1)):
        law = stats.binom.pmf(np.arange(10), n, math.exp(-t))
        assert gap(dist, np.arange(10)[:, None], law) <= dist.error.total + 1e-13


def test_an_event_that_is_moved_to_a_time_asked_for_is_charged():
    k, when = 40.0, 0.1 + 0.2  # one unit in the last place after 0.3
    at, later = fsp.transient(decay_with_reset(k, when), [0.3, 0.31], TOL)
    assert at.states[at.probabilities.argmax()].tolist() == [9]
    assert at.error.rounding >= 9.0 * k * (when - 0.3)
    assert later.error.rounding < 1e-10
    law = stats.binom.pmf(np.arange(10), 9, math.exp(-k * 0.01))
    assert gap(later, np.arange(10)[:, None], law) <= later.error.total + 1e-13
    assert fsp.transient(decay_with_reset(k, 0.3), [0.3], TOL)[0].error.total == 0.0


@pytest.mark.parametrize("tol", [TOL, 1e-2])
def test_a_distribution_is_mapped_state_by_state(tol):
    """Cell division at t = 3, twice: states that become one add up, and what was lost stays in the ledger."""
    events = [Event(trigger=f"time >= {t}", assignments={"X": "floor(X/2)"}) for t in (3, 5)]
    solution = fsp.transient(immigration_death(*events), [2.9, 3, 6], tol)
    halve = [(t, lambda x: (x[0] // 2,)) for t in (3.0, 5.0)]
    rates = {(1,): lambda x: 1.0, (-1,): lambda x: 0.1 * x[0]}
    states, laws = with_events(rates, [], (0,), [2.9, 3.0, 6.0], top=60, maps=halve)
    for dist, p in zip(solution, laws, strict=True):
        assert gap(dist, states, p) <= dist.error.total + 1e-12
        assert dist.error.total <= tol


def test_parameters_change_at_known_times_and_formulas_with_them():
    """The rate k doubles at t = 2, and with it what is a formula of k; the mean is known at once."""
    model = fsp.Model(
        species={"X": 0},
        parameters={"k": 1.0, "fast": "3*k"},
        reactions=[Reaction("0 -> X", rate="fast")],
        events=[
            Event(trigger="time >= 2", assignments={"k": "2*k"}),
            Event(trigger="time >= 3", assignments={"k": "0"}),
        ],
    )
    before, middle, end = fsp.transient(model, [1, 3, 5], TOL)
    for dist, mean in ((before, 3.0), (middle, 12.0), (end, 12.0)):
        x = np.arange(80)
        assert gap(dist, x[:, None], stats.poisson.pmf(x, mean)) <= dist.error.total + 1e-12


def test_a_trigger_may_move_its_own_time():
    """Doses at 1, 2, 3, …: the event sets the time of the next one."""
    dose = Event(trigger="time >= next", assignments={"X": "X + 10", "next": "next + 1"})
    model = fsp.Model(
        species={"X": 0}, parameters={"next": 1.0}, reactions=[Reaction("X -> 0", mass_action=0.5)], events=[dose]
    )
    solution = fsp.transient(model, [0.5, 1.0, 2.5, 3.0], TOL)
    left = math.exp(-0.5)
    wanted = [0.0, 10.0, 10 * (left + 1) * left**0.5, 10 * (left**2 + left + 1)]
    np.testing.assert_allclose([d.mean()["X"] for d in solution], wanted, atol=1e-6)


def test_a_condition_on_the_state_counts_from_the_time_on():
    """From t = 4 on X > 12 is taken back to 2: at t = 4 for those that are above, later at the jump."""
    model = immigration_death(Event(trigger="time >= 4 && X > 12", assignments={"X": 2}), k=4.0)
    early, at, late = fsp.transient(model, [3.9, 4.0, 9.0], TOL)
    birth = {(1,): lambda x: 4.0, (-1,): lambda x: 0.1 * x[0]}
    states, (p, before) = with_events(birth, [], (0,), [3.9, 4.0], top=80)
    assert gap(early, states, p) <= early.error.total + 1e-12
    mapped = np.where(states[:, 0] > 12, 0.0, before)
    mapped[2] += before[states[:, 0] > 12].sum()
    assert gap(at, states, mapped) <= at.error.total + 1e-12
    reset = [(lambda x: x[0] > 12, lambda x: (2,), 0)]
    states, (p,) = with_events(birth, reset, dict(zip(map(tuple, states.tolist()), mapped, strict=True)), [5.0], top=80)
    assert gap(late, states, p) <= late.error.total + 1e-12


@pytest.mark.parametrize("initial", [True, False])
def test_a_trigger_that_is_true_at_the_start_fires_if_it_was_false_before(initial):
    """``initialValue`` of SBML."""
    model = immigration_death(Event(trigger="X < 5 && time >= 0", assignments={"X": 9}, initial_value=initial))
    assert fsp.transient(model, [0.0], TOL)[0].mean()["X"] == (0.0 if initial else 9.0)
    model = immigration_death(Event(trigger="X < 5", assignments={"X": 9}, initial_value=initial))
    assert model.initial_states.tolist() == [[0 if initial else 9]]


@pytest.mark.parametrize("stop", [0.7, 2.0, 3.1])
def test_a_run_that_is_stopped_goes_on_through_events(stop, tmp_path):
    """Also where it stops on the way to an event, and right at one."""
    events = [Event(trigger=f"time >= {t}", assignments={"X": "floor(X/2)", "k": "k + 1"}) for t in (1, 2, 3)]
    model = immigration_death(*events)
    whole = fsp.transient(model, [4.0], TOL)[0]

    def watch(moment):
        if moment.t >= stop:
            raise KeyboardInterrupt

    with pytest.raises(fsp.Interrupted) as caught:
        fsp.transient(model, [4.0], TOL, progress=watch)
    reached = caught.value.solution
    assert reached[-1].t <= 4.0
    reached.save(tmp_path / "reached.h5")
    rest = fsp.transient(model, [4.0], TOL, start=fsp.read(tmp_path / "reached.h5"))[0]
    assert gap(rest, whole.states, whole.probabilities) <= rest.error.total + whole.error.total


@pytest.mark.parametrize("tol", [1e-3, TOL])
def test_means_are_bounded_after_events_too(tol):
    """Moments are carried through what events make of the states: halves, doses, conditions."""
    events = [
        Event(trigger="time >= 2", assignments={"X": "floor(X/2)"}),
        Event(trigger="time >= 3", assignments={"X": "X + 2*floor(time)"}),
        Event(trigger="time >= 4 && X > 9", assignments={"X": 1}, name="once"),
        Event(trigger="time >= 4.5", assignments={"X": "min(X, 12)"}),
    ]
    maps = [
        (2.0, lambda x: (x[0] // 2,)),
        (3.0, lambda x: (min(x[0] + 6, 59),)),
        (4.5, lambda x: (min(x[0], 12),)),
    ]
    times = [1.5, 2.0, 2.5, 3.5, 5.0]
    states, laws = with_events({(1,): lambda x: 2.0, (-1,): lambda x: 0.1 * x[0]}, [], (0,), times, top=60, maps=maps)
    solution = fsp.transient(immigration_death(*events[:2], events[3], k=2.0), times, tol)
    x = states[:, 0]
    for dist, p in zip(solution, laws, strict=True):
        mean, variance = dist.mean_interval()["X"], dist.variance_interval()["X"]
        assert mean.certified
        assert variance.certified
        assert mean.lower - 1e-9 <= p @ x <= mean.upper + 1e-9
        assert variance.lower - 1e-9 <= p @ x**2 - (p @ x) ** 2 <= variance.upper + 1e-9
        assert mean.width < 300 * tol
    on_condition = fsp.transient(immigration_death(*events[:3]), [4.0, 4.5], tol)
    assert [dist.mean_interval()["X"].certified for dist in on_condition] == [False, False]  # jumps trigger from t = 4


def test_moments_are_carried_by_their_bounds():
    """Of what a condition on the state leaves alone, the bounds before stay; formulas are bounded by lines."""
    events = [
        Event(trigger="time >= 1 && X > 3", assignments={"X": 1}),
        Event(trigger="time >= 1", assignments={"Y": "floor(X/2) + Y + 3", "Z": "X*Y"}),
    ]
    model = fsp.Model(
        species={"X": 5, "Y": 0, "Z": 0},
        reactions=[Reaction("0 -> X", rate=2.0), Reaction("0 -> Y", rate=1.0)],
        events=events,
    )
    first, second = model.phases(0.0, 2.0)
    before = moment_bounds(first.model(model.initial_states, model.initial_probabilities), 1.0).bounds
    for alone, wanted in ((events[0], 0), (events[1], 1)):
        rules = first.firing.rules
        chosen = [event for event in rules.events if set(event.assignments) == set(alone.assignments)]
        after = mapped(before, replace(first.firing, rules=rules.chosen(chosen)))
        if wanted == 0:  # at most what it was, and 1
            assert (after.norms[0] >= before.norms[0]).all()
            assert (after.norms[0] <= before.norms[0] + 1.0 + 1e-6).all()
        else:
            expected = 0.5 * before.norms[0] + before.norms[1] + 3.0
            np.testing.assert_allclose(after.norms[1], expected, rtol=1e-8)
            assert np.isinf(after.norms[2]).all()
    assert second.firing is None


def test_a_change_of_parameters_keeps_the_moment_equations():
    """Immigration is tripled at t = 1 and ends at t = 2: means are as sharp as without events."""
    events = [Event(trigger=f"time >= {t}", assignments={"k": k}) for t, k in ((1, "3*k"), (2, "0"))]
    left = math.exp(-0.1)
    mean = ((1 - left) * 10 * left + 30 * (1 - left)) * left
    interval = fsp.transient(immigration_death(*events), [3.0], 1e-4)[0].mean_interval()["X"]
    assert interval.certified
    assert interval.width < 1e-9
    assert mean == pytest.approx(float(interval), abs=1e-9)


# ---- triggered by the state


def compared(model, reactions, events, start, times, top=80):
    """Require that a model agrees with a chain that is written out."""
    solution = fsp.transient(model, times, TOL)
    states, laws = with_events(reactions, events, start, times, top=top)
    for dist, p in zip(solution, laws, strict=True):
        assert gap(dist, states, p) <= dist.error.total + 1e-12
        assert dist.error.total <= TOL
    return solution


def test_a_jump_that_triggers_lands_on_the_assigned_state():
    """X is set to 3 when it reaches 10: it is bounded, and its means are certified by that."""
    model = immigration_death(Event(trigger="X >= 10", assignments={"X": 3}))
    assert model.species_bounds.tolist() == [9.0]
    assert model.conservation_laws.shape == (0, 1)
    rates = {(1,): lambda x: 1.0, (-1,): lambda x: 0.1 * x[0]}
    solution = compared(model, rates, [(lambda x: x[0] >= 10, lambda x: (3,), 0)], (0,), [5.0, 20.0])
    assert solution[-1].mean_interval()["X"].certified
    stationary = fsp.stationary(model, 1e-10)
    states, (p,) = with_events(rates, [(lambda x: x[0] >= 10, lambda x: (3,), 0)], (0,), [400.0], top=80)
    assert stationary.error.certified
    assert gap(stationary, states, p) <= stationary.error.total + 1e-12


def test_long_jumps_land_by_where_they_start_from():
    """Jumps by 4 reach X >= 10 from four counts; what is assigned depends on the count that they reach."""
    model = fsp.Model(
        species={"X": 0},
        reactions=[Reaction("0 -> 4 X", rate=0.7), Reaction("X -> 0", mass_action=0.3)],
        events=[Event(trigger="X >= 10", assignments={"X": "X - 9 + 2*(X > 11)"})],
    )
    event = (lambda x: x[0] >= 10, lambda x: (x[0] - 9 + 2 * (x[0] > 11),), 0)
    compared(model, {(4,): lambda x: 0.7, (-1,): lambda x: 0.3 * x[0]}, [event], (0,), [3.0, 9.0])


def test_species_without_a_bound_may_be_incremented():
    """Y counts how often X was reset, and has no bound."""
    model = fsp.Model(
        species={"X": 0, "Y": 0},
        reactions=[Reaction("0 -> X", rate=3.0), Reaction("Y -> 0", mass_action=0.2)],
        events=[Event(trigger="X > 3", assignments={"X": 0, "Y": "Y + 2"})],
    )
    assert model.species_bounds.tolist() == [3.0, np.inf]
    event = (lambda x: x[0] > 3, lambda x: (0, x[1] + 2), 0)
    compared(model, {(1, 0): lambda x: 3.0, (0, -1): lambda x: 0.2 * x[1]}, [event], (0, 0), [2.0], top=40)


def test_events_that_trigger_each_other_are_executed_by_priority():
    """A is moved to B at 4; at B > 6 both are reset; at B > 2 the rest of C goes.  A + B + C is not kept."""
    events = [
        Event(trigger="A >= 4", assignments={"A": 0, "B": "B + 4"}, priority=1, use_trigger_values=False),
        Event(trigger="B > 6", assignments={"B": 1, "A": 1}, priority=2),
        Event(trigger="B > 2", assignments={"C": 0}, priority=3),
    ]
    model = fsp.Model(
        species={"A": 0, "B": 0, "C": 2},
        reactions=[Reaction("0 -> A", rate=2.0), Reaction("0 -> B", rate=1.0), Reaction("B -> 0", mass_action=0.5),
                   Reaction("0 -> C", rate="0.4*(C < 3)")],
        events=events,
    )  # fmt: skip
    rates = {
        (1, 0, 0): lambda x: 2.0, (0, 1, 0): lambda x: 1.0, (0, -1, 0): lambda x: 0.5 * x[1],
        (0, 0, 1): lambda x: 0.4 * (x[2] < 3),
    }  # fmt: skip
    written = [
        (lambda x: x[0] >= 4, lambda x: (0, x[1] + 4, x[2]), 1),
        (lambda x: x[1] > 6, lambda x: (1, 1, x[2]), 2),
        (lambda x: x[1] > 2, lambda x: (x[0], x[1], 0), 3),
    ]
    compared(model, rates, written, (0, 0, 2), [1.0, 4.0], top=30)


def test_random_networks_with_random_events_agree(rng):
    """Two species with caps; triggers of one or both, constants or formulas assigned."""
    for _ in range(6):
        rates, event, written = random_case(rng)
        reactions = [Reaction({"X": 1}, rate=f"{rates[0]}*(X < 9)"), Reaction({"Y": 1}, rate=f"{rates[1]}*(Y < 8)"),
                     Reaction("X -> Y", rate=f"{rates[2]}*X*(Y < 8)"),
                     Reaction("Y -> 0", mass_action=rates[3])]  # fmt: skip
        model = fsp.Model(species={"X": 1, "Y": 2}, reactions=reactions, events=[event])
        chain = {
            (1, 0): lambda x, r=rates: r[0] * (x[0] < 9), (0, 1): lambda x, r=rates: r[1] * (x[1] < 8),
            (-1, 1): lambda x, r=rates: r[2] * x[0] * (x[1] < 8), (0, -1): lambda x, r=rates: r[3] * x[1],
        }  # fmt: skip
        compared(model, chain, [written], (1, 2), [0.8, 3.0], top=60)


def random_case(rng):
    """Return rates, an event, and the same written out."""
    a, b, c = (int(n) for n in rng.integers(0, 4, 3))
    level = int(rng.integers(4, 8))
    kinds = [
        (f"X >= {level}", lambda x: x[0] >= level),
        (f"X + Y > {level}", lambda x: x[0] + x[1] > level),
        (f"X >= {level - 2} && Y < 6", lambda x: x[0] >= level - 2 and x[1] < 6),
        (f"Y == {level}", lambda x: x[1] == level),
    ]
    results = [
        ({"X": a, "Y": b}, lambda x: (a, b)),
        ({"Y": f"min(Y + {c}, 8)"}, lambda x: (x[0], min(x[1] + c, 8))),
        ({"X": f"X + {c}"}, lambda x: (x[0] + c, x[1])),
    ]
    text, holds = kinds[int(rng.integers(len(kinds)))]
    assigned, maps = results[int(rng.integers(len(results)))]
    return rng.uniform(0.2, 1.5, 4).tolist(), Event(trigger=text, assignments=assigned), (holds, maps, 0)


def test_a_start_elsewhere_is_a_model_of_its_own():
    """A start above the threshold does not trigger, and is not held below it."""
    model = immigration_death(Event(trigger="X >= 10", assignments={"X": 3}), start=12, k=0.5)
    assert np.isinf(model.species_bounds).all()
    rates = {(1,): lambda x: 0.5, (-1,): lambda x: 0.1 * x[0]}
    event = (lambda x: x[0] >= 10, lambda x: (3,), 0)
    first = compared(model, rates, [event], (12,), [4.0])[0]
    low = immigration_death(Event(trigger="X >= 10", assignments={"X": 3}), k=0.5)
    rest = fsp.transient(low, [6.0], 3 * TOL, start=first)[0]
    states, (p,) = with_events(rates, [event], (12,), [6.0], top=80)
    assert gap(rest, states, p) <= rest.error.total + 1e-12


# ---- semantics


def test_settled_by_hand():
    """The reference itself: priorities decide, and an event that is triggered twice is executed twice."""
    events = [(lambda x: x[0] > 1, lambda x: (0, x[1]), 1), (lambda x: x[0] > 1, lambda x: (x[0], x[1] + x[0]), 2)]
    assert settled((1, 0), (2, 0), events) == (0, 2)


def test_an_event_that_does_not_persist_is_cancelled():
    """The first one makes the trigger of the second false before its turn."""
    for persistent, y in ((True, 5), (False, 0)):
        events = [
            Event(trigger="time >= 1", assignments={"X": 0}, priority=2),
            Event(trigger="time >= 1 && X > 2", assignments={"Y": 5}, priority=1, persistent=persistent),
        ]
        model = fsp.Model(species={"X": 4, "Y": 0}, reactions=[Reaction("Y -> 0", rate="0*Y")], events=events)
        assert fsp.transient(model, [1.0], TOL)[0].mean() == {"X": 0.0, "Y": float(y)}


def test_values_are_those_of_the_trigger_or_of_the_turn():
    """The second one sees what the first one has assigned only if it is told so."""
    for at_trigger, y in ((True, 4), (False, 0)):
        events = [
            Event(trigger="time >= 1", assignments={"X": 0}, priority=2),
            Event(trigger="time >= 1", assignments={"Y": "X"}, priority=1, use_trigger_values=at_trigger),
        ]
        model = fsp.Model(species={"X": 4, "Y": 0}, reactions=[Reaction("Y -> 0", rate="0*Y")], events=events)
        assert fsp.transient(model, [1.0], TOL)[0].mean() == {"X": 0.0, "Y": float(y)}


def test_a_pickled_model_keeps_its_events():
    """Sweeps send models to other processes."""
    import pickle

    model = immigration_death(
        Event(trigger="X >= 10", assignments={"X": 3}), Event(trigger="time > 1", assignments={"k": 0})
    )
    copy = pickle.loads(pickle.dumps(model))
    assert copy.hash == model.hash
    assert [event.name for event in copy.events] == ["e1", "e2"]
    assert immigration_death().hash != model.hash
    assert "at time > 1: k = 0" in model.describe()


def test_a_sweep_goes_through_events():
    """Every point has its own threshold."""
    model = immigration_death(Event(trigger="X >= top", assignments={"X": 0}), top=5.0)
    sweep = fsp.sweep(model, {"top": [3, 6]}, [2.0], TOL, processes=1)
    assert [len(sweep[i][-1]) for i in range(2)] == [3, 6]


def test_other_laws_keep_the_events():
    """A reaction at twice its rate: also where an event changes its constant, or makes a reaction of it."""
    timed = immigration_death(Event(trigger="time >= 1", assignments={"k": "3*k"}))
    faster = timed.with_laws({0: call("*", Number(2.0), timed.law(0))})
    x = np.arange(60)
    for dist, mean in zip(fsp.transient(faster.with_parameters(g=0), [1.0, 2.0], TOL), (2.0, 8.0), strict=True):
        assert gap(dist, x[:, None], stats.poisson.pmf(x, mean)) <= dist.error.total + 1e-12
    reset = immigration_death(Event(trigger="X >= 10", assignments={"X": 3}))
    slower = reset.with_laws({k: call("*", Number(0.5), reset.law(k)) for k in range(3)})
    assert [reaction.name for reaction in slower.reactions] == [reaction.name for reaction in reset.reactions]
    (half,), (whole,) = fsp.transient(slower, [8.0], TOL), fsp.transient(reset, [4.0], TOL)
    assert gap(half, whole.states, whole.probabilities) <= half.error.total + whole.error.total


# ---- what is refused


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"trigger": "sin(time) > 0", "assignments": {"X": 0}}, "compare the time with constants"),
        ({"trigger": "X > time", "assignments": {"X": 0}}, "compare the time with constants"),
        ({"trigger": "X > 5", "assignments": {"k": 2}}, "make 'k' a species"),
        ({"trigger": "time > 5", "assignments": {"k": "X"}}, "make 'k' a species"),
        ({"trigger": "X > 5", "assignments": {"X": "floor(time)"}}, "what does not depend on the time"),
        ({"trigger": "X > 5", "assignments": {"X": "X/4"}}, "whole number of molecules"),
        ({"trigger": "X > 5", "assignments": {"X": -1}}, "whole number of molecules"),
        ({"trigger": "X > 5", "assignments": {"Z": 1}}, "uses 'Z'"),
        ({"trigger": "X > 5", "assignments": {"f": 1}}, "is a formula"),
        ({"trigger": "X > 5", "assignments": {"X": 0}, "priority": "X"}, "must be constant"),
        ({"trigger": "X > 5", "assignments": {"Y": 0}}, "keep 'Y' below a bound"),
        ({"trigger": "X > 5", "assignments": 3}, "must have assignments by name"),
    ],
)
def test_what_no_markov_chain_carries_is_refused_by_name(event, words):
    reactions = [Reaction("0 -> X", rate="k"), Reaction("0 -> Y", rate="f"), Reaction("Y -> 0", mass_action=1.0)]
    with pytest.raises(ModelError, match=words):
        fsp.Model(
            species={"X": 0, "Y": 0}, parameters={"k": 1.0, "f": "2*k"}, reactions=reactions, events=[Event(**event)]
        )


def test_ties_that_matter_are_refused():
    """SBML leaves the order open; where it does not matter, nothing is needed."""
    same = [Event(trigger="X >= 5", assignments={"X": x}) for x in (0, 1)]
    with pytest.raises(ModelError, match="'e1' and 'e2' must have different priorities"):
        immigration_death(*same)
    agreed = [Event(trigger="X >= 5", assignments={"X": 1}), Event(trigger="X >= 4 + 1", assignments={"X": "2 - 1"})]
    assert immigration_death(*agreed).species_bounds.tolist() == [4.0]


def test_events_without_end_are_refused():
    with pytest.raises(ModelError, match="trigger each other without end"):
        immigration_death(
            Event(trigger="X >= 5", assignments={"X": 2}),
            Event(trigger="X < 3", assignments={"X": 5}),
            start=4,
        )


def test_a_mapped_count_must_be_whole():
    model = immigration_death(Event(trigger="time >= 1", assignments={"X": "X/2"}, name="halve"))
    with pytest.raises(ModelError, match=r"'X' by event 'halve' must be a whole number .* 0\.5 in state \{'X': 1\}"):
        fsp.transient(model, [2.0], TOL)


def test_a_model_with_events_at_known_times_has_no_single_chain():
    """Spaces, generators, stationary distributions and moment bounds of it are refused."""
    model = immigration_death(Event(trigger="time >= 1", assignments={"X": 0}))
    for ask in (
        lambda: fsp.stationary(model),
        lambda: fsp.StateSpace.reachable(model),
        lambda: fsp.StateSpace.box(model, upper=5),
        lambda: fsp.Generator(model, fsp.StateSpace.box(immigration_death(), upper=5)),
        lambda: moment_bounds(model, 1.0),
    ):
        with pytest.raises(ModelError, match="without events at known times"):
            ask()
    space = fsp.StateSpace.box(immigration_death(), upper=5)
    with pytest.raises(fsp.ArgumentError, match="`space` must be left out"):
        fsp.transient(model, [2.0], space=space)


def test_callables_cannot_be_split():
    with pytest.raises(ModelError, match="callable"):
        fsp.Model(
            species={"X": 0},
            reactions=[Reaction("0 -> X", rate=lambda x: 1.0)],
            events=[Event(trigger="X > 3", assignments={"X": 0})],
        )


@pytest.mark.parametrize(("trigger", "offered"), [("time >= 1", 2), ("X == 6", 1)])
def test_parts_of_molecules_are_refused_with_what_to_write_tried(trigger, offered):
    """Each way out of the message is one that is solved."""

    def model(assigned):
        die = fsp.Reaction("X -> 0", mass_action=1.0)
        return fsp.Model(species={"X": 7}, reactions=[die], events=[fsp.Event(trigger, {"X": assigned})])

    with pytest.raises(ModelError, match=r"must be a whole number of molecules.*write X = floor\(X/4\)") as caught:
        fsp.transient(model("X/4"), [2.0])
    ways = re.findall(r"X = (\w+\([^)]*\))", str(caught.value))
    assert len(ways) == offered
    for way in ways:
        assert fsp.transient(model(way), [2.0])[-1].error.total <= 1e-6
