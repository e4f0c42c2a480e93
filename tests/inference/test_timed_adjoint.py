"""Gradients by the adjoint where rates depend on time: Poisson laws in closed form, forward ones, and small spaces."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import solve_ivp, trapezoid

import fsp
from fsp.equilibrium import response
from fsp.inference import adjoint_space, on_step, stationary_start, timed_adjoint, timed_steps
from fsp.inference.adjoint import Weights
from fsp.inference.beginning import of_model
from fsp.inference.envelopes import Bounds
from fsp.inference.on_step import height
from fsp.inference.parameters import derivatives
from fsp.inference.path_ahead import PathAhead
from fsp.inference.problem import Limits
from fsp.inference.timed_adjoint import TimedAdjoint
from fsp.inference.timed_events import written_into_rates
from fsp.solvers.clocks import chebyshev_nodes
from fsp.solvers.collocation import radau

K, G, S, C = 6.0, 0.8, 1.3, 0.5
PARAMETERS = {"k": K, "g": G, "s": S, "c": C}
DEATH = fsp.Reaction("X -> 0", mass_action="g")
SIGNAL, SWITCH = "k*(1 + c*exp(-time/s))", "piecewise(k, time > s, c*k)"
LAWS = {  # the rate of births, and that as a function of the parameters and of time
    "signal": (SIGNAL, lambda v, t: v["k"] * (1.0 + v["c"] * np.exp(-t / v["s"]))),
    "switch": (SWITCH, lambda v, t: v["k"] if t > v["s"].real else v["c"] * v["k"]),
}
START = {None: lambda v, law: 0.0, "stationary": lambda v, law: law(v, 0.0) / v["g"]}


def births(rate):
    """Return immigration and death; the rate of births depends on time."""
    return fsp.Model(
        species={"X": 0}, parameters=PARAMETERS, reactions=[fsp.Reaction("0 -> X", rate=rate), DEATH], name="births"
    )


def mean(values, law, start, t):
    """Return the mean of the Poisson law at t, complex where parameters are, in two parts about the switch."""
    value = [complex(START[start](values, law))]
    jump = values["s"]
    for first, last in ((0.0, min(jump.real, t)), (min(jump.real, t), t)):
        if last > first:
            side = lambda u, first=first, last=last: min(max(u, np.nextafter(first, last)), np.nextafter(last, first))  # noqa: E731

            def slope(u, m, side=side):
                return law(values, side(u)) - values["g"] * m

            value = solve_ivp(slope, (first, last), value, rtol=1e-12, atol=1e-13, method="DOP853").y[:, -1]
    if abs(jump.imag) > 0.0 and t > jump.real:  # the place of a switch moves as its derivative says
        before, after = (law(values, jump.real + step) for step in (-1e-9, 1e-9))
        value = value + 1j * jump.imag * (before - after).real * np.exp(-values["g"].real * (t - jump.real))
    return value[0]


def slope_of_mean(name, law, start, t):
    """Return the derivative of the mean by the logarithm of a parameter, by a complex step, and the mean."""
    values = {key: complex(value) for key, value in PARAMETERS.items()}
    values[name] *= 1.0 + 1e-30j
    m = mean(values, law, start, t)
    return m.imag / 1e-30, m.real


def counts_of(times, about=5.0, seed=1):
    rng = np.random.default_rng(seed)
    rows = [(t, int(x)) for t in times for x in rng.poisson(about, 40)]
    return fsp.read_counts({"time": [t for t, _ in rows], "X": [x for _, x in rows]}, counts={"X": "X"}, time="time")


def adjoint(model, names, space, times):
    model = written_into_rates(model)
    slopes = derivatives(model, names, log=True)
    bounds = Bounds.of(model, slopes, float(times[-1]))
    return TimedAdjoint(model, slopes, bounds, space, times, of_model(model, slopes))


@pytest.mark.parametrize("start", [None, "stationary"])
@pytest.mark.parametrize("kind", LAWS)
def test_gradients_of_likelihoods_hold_poisson_laws(kind, start):
    rate, law = LAWS[kind]
    counts = counts_of([0.7, 2.0, 3.5])
    found = fsp.likelihood(births(rate), counts, start=start).gradient(list(PARAMETERS), method="adjoint")
    for name, interval in found.items():
        truth = 0.0
        for t, values, cells in zip(counts.times, counts.values, counts.cells, strict=True):
            slope, m = slope_of_mean(name, law, start, float(t))
            truth += float(cells @ (values[:, 0] / m - 1.0)) * slope
        assert interval.certified
        assert interval.lower - 1e-7 <= truth <= interval.upper + 1e-7
        assert interval.width < 1e-3


@pytest.mark.parametrize("start", [None, "stationary"])
@pytest.mark.parametrize("kind", LAWS)
def test_probabilities_of_events_hold_poisson_laws(kind, start):
    rate, law = LAWS[kind]
    found = fsp.gradient(births(rate), "X > 6", 2.5, list(PARAMETERS), start=start, method="adjoint")
    for name, interval in found.items():
        slope, m = slope_of_mean(name, law, start, 2.5)
        truth = slope * stats.poisson.pmf(6, m)
        assert interval.lower - 1e-9 <= truth <= interval.upper + 1e-9
        assert interval.width < 1e-5


def test_forward_and_backward_agree_where_an_event_switches_a_gene():
    model = fsp.Model(
        species={"off": 1, "on": 0, "X": 0},
        parameters={"a": 0.6, "b": 900.0, "k": 8.0, "g": 1.0, "late": 0.4},
        reactions=[
            fsp.Reaction("off -> on", mass_action="a"),
            fsp.Reaction("on -> off", rate="piecewise(b, time < late, b/2000)*on"),
            fsp.Reaction("on -> on + X", mass_action="k"),
            fsp.Reaction("X -> 0", mass_action="g"),
        ],
    )
    answer = fsp.likelihood(model, counts_of([0.3, 1.5], 0.7), start="stationary", width=1.0)
    backward, forward = (answer.gradient(list(model.parameters), method=m) for m in ("adjoint", "forward"))
    for name, interval in backward.items():
        other = forward[name]
        assert interval.lower <= other.upper
        assert other.lower <= interval.upper
        assert interval.width < 0.02 * max(1.0, abs(interval.value))


@pytest.mark.parametrize("top", [8, 14, 20])
def test_small_spaces_have_wide_bounds_that_hold(top):
    rate, law = LAWS["signal"]
    own = adjoint(births(rate), list(PARAMETERS), fsp.StateSpace.box(births(rate), upper={"X": top}), [2.5])
    x = own.space.states[:, 0]
    asked = Weights((x > 6).astype(float), np.zeros(len(x)), own.level(1.0))
    found = own.gradient([asked], signed=False)
    assert np.isfinite(found.off).all()
    for name, value, off in zip(PARAMETERS, found.values, found.off, strict=True):
        slope, m = slope_of_mean(name, law, None, 2.5)
        assert abs(value - slope * stats.poisson.pmf(6, m)) <= off + 1e-9


def test_what_lies_beyond_is_bounded_at_all_times():
    """Births add where X is beyond the states as elsewhere; it has been there at least as often as it is."""
    model, law, top = births(SIGNAL), LAWS["signal"][1], 12
    own = adjoint(model, ["k"], fsp.StateSpace.box(model, upper={"X": top}), [2.5])
    t = np.linspace(0.05, 2.5, 20)
    beyond = [stats.poisson.sf(top, slope_of_mean("k", law, None, u)[1]) for u in t]
    weights = np.ones((len(own.pieces), len(own._timed.changing)))
    assert K * trapezoid(beyond, t) <= own._truncation.beyond(weights)[0] < 100.0 * K * trapezoid(beyond, t)


def test_gradients_begin_with_the_states_of_the_log_likelihood(monkeypatch):
    counts = counts_of([0.7, 2.0])
    answer = fsp.likelihood(births(SIGNAL), counts)
    expected = answer.gradient(["k"], method="adjoint")["k"]
    monkeypatch.setattr(adjoint_space, "states_of", None)
    found = answer.gradient(["k"], method="adjoint")["k"]
    assert (found.lower, found.upper) == (expected.lower, expected.upper)


def test_gradients_begin_with_the_law_of_the_log_likelihood(monkeypatch):
    model = fsp.Model(
        species={"off": 1, "on": 0, "X": 0},
        parameters={"k": 8.0},
        reactions=[
            fsp.Reaction("off -> on", rate="off"),
            fsp.Reaction("on -> off", rate="(2 + sin(time))*on"),
            fsp.Reaction("on -> on + X", mass_action="k"),
            fsp.Reaction("X -> 0", mass_action=1.0),
        ],
    )
    answer = fsp.likelihood(model, counts_of([0.7, 2.0]), start="stationary")
    other = answer.gradient(["k"], method="adjoint")["k"]
    monkeypatch.setattr(stationary_start.StoredLaw, "of", None)
    found = answer.gradient(["k"], method="adjoint")["k"]
    assert (found.lower, found.upper) == (other.lower, other.upper)
    assert found.certified


def test_a_law_that_lacks_too_much_is_solved_for_anew():
    model = births(SIGNAL)
    slopes = derivatives(model, ["k"], log=True)
    law = stationary_start.stationary(model, slopes, 1e-3, Limits()).moments.law
    assert law.outside > 1e-12
    begun = stationary_start.stationary(model, slopes, 1e-12, Limits(), law)
    assert begun.lacking < 1e-12
    assert begun.moments.law is not law
    assert stationary_start.stationary(model, slopes, 1e7 * law.outside, Limits(), law).moments.law is law


def test_functions_that_stay_the_same_are_looked_at_once(monkeypatch):
    exact, looked = timed_steps.OnStep.of, []

    def counted(*arguments, **options):
        looked.append(arguments)
        return exact(*arguments, **options)

    monkeypatch.setattr(timed_steps.OnStep, "of", counted)
    model = births(LAWS["switch"][0])
    own = adjoint(model, ["k"], fsp.StateSpace.box(model, upper={"X": 60}), [1.0, 3.5])
    assert len(own.pieces) > 20
    assert len(looked) < 0.6 * len(own.pieces)  # where steps begin and end, for a switch lies there to rounding


def test_few_steps_are_in_vain(monkeypatch):
    exact, tried = timed_steps.Stages.solved, []

    def counted(self, z, on_step, h):
        tried.append(h)
        return exact(self, z, on_step, h)

    monkeypatch.setattr(timed_steps.Stages, "solved", counted)
    model = births(f"{SIGNAL}*(1 + sin(40*time))")
    own = adjoint(model, list(PARAMETERS), fsp.StateSpace.box(model, upper={"X": 60}), [2.5])
    assert len(own.pieces) > 10
    assert len(tried) < 1.2 * len(own.pieces)


def test_stages_that_are_wrong_are_charged(monkeypatch):
    exact, rng = timed_steps.Stages.solved, np.random.default_rng(1)

    def wrong(self, z, on_step, h):
        points = exact(self, z, on_step, h)
        points[:, 1:] *= 1.0 + 1e-8 * rng.uniform(-1.0, 1.0, points[:, 1:].shape)
        return points

    monkeypatch.setattr(timed_steps, "ROUNDING_ADDED", 1e30)
    monkeypatch.setattr(timed_steps.Stages, "solved", wrong)
    rate, law = LAWS["signal"]
    own = adjoint(births(rate), list(PARAMETERS), fsp.StateSpace.box(births(rate), upper={"X": 60}), [2.5])
    slope, m = slope_of_mean("k", law, None, 2.5)
    p = stats.poisson.pmf(np.arange(61), m)
    gap = np.abs(own.probabilities(0) - p)
    assert gap.max() > 1e-11  # or nothing was wrong
    assert (np.maximum(gap - own.relative * own.probabilities(0), 0.0)).sum() <= own.absolute(0) + own.lacks(0) + 1e-12
    asked = Weights((own.space.states[:, 0] > 6).astype(float), np.zeros(61), own.level(1.0))
    found = own.gradient([asked], signed=False)
    assert abs(found.values[0] - slope * stats.poisson.pmf(6, m)) <= found.off[0] < 0.5


@pytest.mark.parametrize("kind", LAWS)
def test_what_is_wrong_on_the_way_back_counts_by_who_is_there(monkeypatch, kind):
    """No state is known as a part of itself, so that all that is wrong counts with probabilities."""
    rate, law = LAWS[kind]
    own = adjoint(births(rate), list(PARAMETERS), fsp.StateSpace.box(births(rate), upper={"X": 60}), [2.5])
    asked = Weights((own.space.states[:, 0] > 6).astype(float), np.zeros(61), own.level(1.0))
    exact = timed_steps.Stages.solved

    def wrong(self, z, on_step, h):
        points = exact(self, z, on_step, h)
        points[7:, 1:] *= 1.0 + 1e-7
        return points

    monkeypatch.setattr(timed_adjoint, "WEIGHT_BACK", 1e30)
    monkeypatch.setattr(timed_steps.Stages, "solved", wrong)
    found = own.gradient([asked], signed=False)
    for name, value, off in zip(PARAMETERS, found.values, found.off, strict=True):
        slope, m = slope_of_mean(name, law, None, 2.5)
        gap = abs(value - slope * stats.poisson.pmf(6, m))
        assert 1e-9 < gap <= off < 1e3  # steps are as long as they like


def test_states_that_are_hardly_met_do_not_count():
    """Weights are unknown where X > 30, which has a probability of 1e-11."""
    rate, law = LAWS["signal"]
    own = adjoint(births(rate), list(PARAMETERS), fsp.StateSpace.box(births(rate), upper={"X": 60}), [2.5])
    x = own.space.states[:, 0]
    off = np.where(x > 30, 1.0, 0.0)
    found = own.gradient([Weights((x > 6).astype(float) - 0.5 * off, off, own.level(2.0))], signed=False)
    for name, value, bound in zip(PARAMETERS, found.values, found.off, strict=True):
        slope, m = slope_of_mean(name, law, None, 2.5)
        gap = abs(value - slope * stats.poisson.pmf(6, m))
        assert 1e-14 < gap <= bound < 1e-2


def test_probabilities_lie_below_what_a_pass_back_takes_for_them():
    rate, _ = LAWS["signal"]
    own = adjoint(births(rate), ["k"], fsp.StateSpace.box(births(rate), upper={"X": 60}), [0.7, 2.5])
    path = PathAhead(own.pieces, own.probabilities(0))
    ends = np.linspace(0.0, 2.5, 40)
    for first, last in [*pairwise(ends), (0.0, 0.0), (0.7, 0.7), (0.3, 2.1)]:
        above = path.above(first, last)
        for t in (first, 0.5 * (first + last), last):
            p = stats.poisson.pmf(np.arange(61), slope_of_mean("k", LAWS["signal"][1], None, t)[1] if t else 0.0)
            assert (p <= above * (1.0 + 1e-7) + 1e-18).all()  # what the integration of m knows
    assert path.above(0.0, 0.0)[0] >= 1.0
    assert path.above(2.4, 2.5)[0] < 0.01


def test_switches_at_which_derivatives_are_singular_take_few_steps(monkeypatch):
    """The derivative of (t - s)^n by n has a logarithm at s, which no polynomial is near to."""
    exact, tried = timed_steps.Stages.solved, []

    def counted(self, z, on_step, h):
        tried.append(self)
        return exact(self, z, on_step, h)

    monkeypatch.setattr(timed_steps.Stages, "solved", counted)
    signal = "(4*piecewise(time - s, time > s, 0))^n"
    model = fsp.Model(
        species={"off": 0, "on": 1, "X": 0},
        parameters={"a": 5.0, "b": 2e4, "k": 8.0, "g": 1.0, "s": 0.4, "n": 3.1},
        reactions=[
            fsp.Reaction("off -> on", mass_action="a"),
            fsp.Reaction("on -> off", rate=f"piecewise(b*(1 - {signal}), {signal} < 1, 0)*on"),
            fsp.Reaction("on -> on + X", mass_action="k"),
            fsp.Reaction("X -> 0", mass_action="g"),
        ],
    )
    space = fsp.StateSpace.box(model, upper={"off": 1, "on": 1, "X": 20})
    own = adjoint(model, ["s", "n"], space, [0.8])
    forward = len(tried)
    found = own.gradient(
        [Weights((space.states[:, 2] > 0).astype(float), np.zeros(len(space)), own.level(1.0))], signed=False
    )
    assert np.isfinite(found.off).all()
    assert len(tried) - forward < 60  # 44; without care for the switch 83, without that for fast states 107


@pytest.mark.parametrize("fastest", [4.0, 400.0])
def test_states_that_are_hardly_faster_are_alike_on_the_way_back(fastest):
    model = fsp.Model(
        species={"off": 1, "on": 0, "X": 0},
        parameters={"a": 5.0, "b": fastest, "k": 8.0, "g": 0.1},
        reactions=[
            fsp.Reaction("off -> on", rate="a*(1 + 0.01*sin(time))*off"),
            fsp.Reaction("on -> off", mass_action="b"),
            fsp.Reaction("on -> on + X", mass_action="k"),
            fsp.Reaction("X -> 0", mass_action="g"),
        ],
    )
    own = adjoint(model, ["a"], fsp.StateSpace.box(model, upper={"off": 1, "on": 1, "X": 20}), [0.5])
    steps = timed_steps.FixedSteps(own._timed, back=True, floor=1.0, weight=0.0, target=1.0, each=1.0)
    on_step = own.pieces[-1].on_step
    fast = steps._fast_states(on_step, on_step.h, 100.0)
    rates = on_step.exits(own._timed)
    assert fast.any() == (fastest == 400.0)
    assert not fast.any() or rates[fast].min() > 4.0 * rates[~fast].max()


def test_a_state_that_begins_to_fill_takes_few_steps(monkeypatch):
    """It is empty when a rate bends from zero: what comes to it first is rounding of what it comes from."""
    exact, tried = timed_steps.Stages.solved, []

    def counted(self, z, on_step, h):
        tried.append(h)
        return exact(self, z, on_step, h)

    monkeypatch.setattr(timed_steps.Stages, "solved", counted)
    model = fsp.Model(
        species={"off": 1, "on": 0, "X": 0},
        parameters={"a": 1e4, "b": 5.0, "k": 8.0, "g": 1.0, "s": 0.4},
        reactions=[
            fsp.Reaction("off -> on", rate="a*max(0, time - s)*off"),
            fsp.Reaction("on -> off", mass_action="b"),
            fsp.Reaction("on -> on + X", mass_action="k"),
            fsp.Reaction("X -> 0", mass_action="g"),
        ],
    )
    adjoint(model, ["a"], fsp.StateSpace.box(model, upper={"off": 1, "on": 1, "X": 20}), [0.8])
    assert len(tried) < 42  # 35; where steps are halved again and again 47


def test_a_start_that_is_off_is_charged(monkeypatch):
    model, rate_law = births(SIGNAL), LAWS["signal"][1]
    exact = response.Heights.occupation

    def wrong(self, source):
        return exact(self, source) * (1.0 + 1e-3 * np.cos(np.arange(len(source))))

    monkeypatch.setattr(response.Heights, "occupation", wrong)
    found = fsp.gradient(model, "X > 6", 2.5, ["k", "g"], start="stationary", method="adjoint", tol=0.5)
    for name, interval in found.items():
        slope, m = slope_of_mean(name, rate_law, "stationary", 2.5)
        truth = slope * stats.poisson.pmf(6, m)
        assert abs(interval.value - truth) > 1e-7  # or nothing was off
        assert interval.lower <= truth <= interval.upper
        assert interval.width < 1.0


@pytest.mark.parametrize("jumps", [0.5, 30.0, 3e3])
def test_what_a_fast_state_holds_is_bounded_wherever_the_residual_is_largest(jumps):
    """The largest B of ``B' = λ S - e B``, with λ the sum of the moduli of Lagrange's polynomials."""
    nodes = chebyshev_nodes(26)
    tau = np.linspace(0.0, 1.0, 40_001)
    size = np.abs(np.vander(2.0 * tau - 1.0, 26, increasing=True) @ nodes.to_powers).sum(axis=1)
    d, rate = tau[1] - tau[0], jumps
    held = np.zeros(len(tau))
    for i in range(len(tau) - 1):
        held[i + 1] = held[i] * np.exp(-rate * d) - size[i] * np.expm1(-rate * d) / rate
    mean = float(nodes.integrals.sum())
    flow = timed_steps._StepFlow([], np.zeros(0), np.array([True]), np.array([rate]), 1.0, nodes.lebesgue / mean)
    bound = float(flow.kept(np.array([mean]))[0])
    assert 0.6 * bound < held.max() < bound


def test_what_leaves_while_it_is_fed_is_charged():
    """A part of what parameters move that sits at the edge leaves on the step, of which little of y does."""
    rate, _ = LAWS["signal"]
    own = adjoint(births(rate), ["k"], fsp.StateSpace.box(births(rate), upper={"X": 3}), [0.05])
    heights = [np.array([height(clock, p.length) for clock in p.on_step.clocks]) for p in own.pieces]
    tau = np.concatenate([[0.0], radau(on_step.STAGES).nodes])
    seen = 0
    for piece, high in zip(own.pieces, heights, strict=True):
        ratio, rest = own._truncation._later(np.array([0.0, 0.0, 0.0, 1.0]), piece, high)
        leaves = -np.expm1(-K * piece.length)  # at the edge; the rate of births is above K
        lost = 1.5 * K * piece.length * trapezoid(piece.points[3], tau)  # of y: it rises, and its course is convex
        assert leaves <= ratio * lost + rest
        seen += ratio * lost < 0.9 * leaves  # or it need not be charged
    assert seen


def test_weights_may_be_off():
    rate, law = LAWS["signal"]
    own = adjoint(births(rate), ["k"], fsp.StateSpace.box(births(rate), upper={"X": 60}), [2.5])
    x = own.space.states[:, 0]
    values = (x > 6).astype(float)
    found = own.gradient([Weights(0.99 * values, 0.01 * values, own.level(1.0))], signed=False)
    slope, m = slope_of_mean("k", law, None, 2.5)
    assert abs(found.values[0] - slope * stats.poisson.pmf(6, m)) <= found.off[0]


def test_each_probability_is_known_up_to_a_part_of_itself():
    rate, law = LAWS["signal"]
    own = adjoint(births(rate), ["k"], fsp.StateSpace.box(births(rate), upper={"X": 80}), [0.7, 3.0])
    for i, t in enumerate((0.7, 3.0)):
        _, m = slope_of_mean("k", law, None, t)
        p = stats.poisson.pmf(np.arange(81), m)
        seen = p > 1e-18
        assert np.abs(own.probabilities(i) / p - 1.0)[seen].max() < 1e-9  # what the integration of m knows
    assert own.relative < 1e-8
    assert own.absolute(1) < 1e-17


@pytest.mark.parametrize("times", [[0.9], [0.9, 2.0]])
def test_a_time_at_which_a_rate_jumps_has_no_derivative_by_it(times):
    """An earlier switch changes what is seen just then, a later one does not."""
    jumps = fsp.Model(
        species={"X": 0},
        parameters={"k": 3.0, "s": 0.9},
        reactions=[fsp.Reaction("0 -> X", rate="piecewise(k, time > s, 1)")],
    )
    for asked in (
        lambda names: fsp.sensitivity(jumps, times, names),
        lambda names: fsp.gradient(jumps, "X > 1", 0.9, names, method="adjoint"),
        lambda names: fsp.likelihood(jumps, counts_of(times, 1.0), width=1.0).gradient(names, method="adjoint"),
    ):
        with pytest.raises(fsp.ModelError, match=r"smoothly with 's'.* t = 0.9.* leave 's' out"):
            asked(["k", "s"])
        asked(["k"])
    bends = fsp.Model(
        species={"X": 0}, parameters={"k": 3.0, "s": 0.9},
        reactions=[fsp.Reaction("0 -> X", rate="piecewise(1 + k*(time - s), time > s, 1)")],
    )  # fmt: skip
    found = fsp.sensitivity(bends, times, ["s"])[0]
    assert np.abs(found.derivative("s")).sum() <= found.error("s").total


def test_what_has_no_largest_value_goes_forward():
    model = births(SIGNAL)
    found = fsp.gradient(model, "X", 2.0, ["k"])
    slope, _ = slope_of_mean("k", LAWS["signal"][1], None, 2.0)
    assert found["k"].lower <= slope <= found["k"].upper
    with pytest.raises(fsp.BackendError, match="largest value"):
        fsp.gradient(model, "X", 2.0, ["k"], method="adjoint")


def test_too_many_states_go_forward(monkeypatch):
    monkeypatch.setattr(adjoint_space, "MOST_KEPT_STATES", 5)
    with pytest.raises(fsp.BackendError, match="5 states at most"):
        fsp.gradient(births(SIGNAL), "X > 6", 2.0, ["k"], method="adjoint")


def test_errors_on_the_way_back_beyond_doubles_leave_an_estimate():
    """Births fall like exp(-X/2), deaths do not grow: nothing is proved of the law at rest, which derivatives keep."""
    model = fsp.Model(
        species={"X": 0},
        parameters={"k": 1.0},
        reactions=[
            fsp.Reaction("0 -> X", rate="k*exp(-0.5*X)"),
            fsp.Reaction("X -> 0", rate="piecewise(1, X >= 1, 0)"),
        ],
    )
    with pytest.warns(fsp.ToleranceWarning):
        found = fsp.gradient(model, "X > 1", 1.0, ["k"], start="stationary", tol=1e-4)["k"]
    n = np.arange(40)
    law = np.exp(-0.25 * n * (n - 1))
    law /= law.sum()  # of k = 1, and with d log p/dk = n - m
    assert not found.certified
    assert found.value == pytest.approx(law @ ((n > 1) * (n - law @ n)), rel=1e-6)
