"""Derivatives, information and likelihoods where rates depend on time: Poisson laws, dense exponentials, switches."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.optimize import brentq

import fsp
from fsp.generator import Generator
from fsp.inference.collocation import SAVED, _moduli
from fsp.inference.distributions import distributions
from fsp.inference.instruments import Exact
from fsp.inference.methods import SHARE_OF_TOL
from fsp.inference.on_step import OnStep
from fsp.inference.parameters import derivatives
from fsp.inference.part import Part
from fsp.inference.problem import Limits
from fsp.inference.stages import aligned
from fsp.inference.timed import Timed
from fsp.inference.timed_space import TimedLaws
from fsp.model.derivatives import derivative
from fsp.model.expression import evaluate
from fsp.model.formula import parse
from fsp.model.tree import ZERO
from fsp.solvers.collocation import radau

X = np.arange(150)


def of_poisson(found, name, mean, slope):
    """Return how far a derivative is from that of a Poisson law whose mean has a slope."""
    exact = stats.poisson.pmf(X, mean) * (X / mean - 1.0) * slope
    full = np.zeros(len(X))
    full[found.states[:, 0]] = found.derivative(name)
    return float(np.abs(full - exact).sum())


def decaying(start=0):
    """Molecules are made at a rate that decays and die at one: the mean is k (e^{-at} - e^{-t})/(1 - a)."""
    return fsp.Model(
        species={"X": start},
        parameters={"k": 30.0, "a": 0.5},
        reactions=[fsp.Reaction("0 -> X", rate="k*exp(-a*time)"), fsp.Reaction("X -> 0", mass_action=1.0)],
    )


def decaying_slopes(t, k=30.0, a=0.5):
    mean = k * (math.exp(-a * t) - math.exp(-t)) / (1.0 - a)
    return mean, {"k": mean, "a": a * (-k * t * math.exp(-a * t) / (1.0 - a) + mean / (1.0 - a))}


@pytest.mark.parametrize("tol", [1e-2, 1e-5])
def test_steps_are_lent_what_earlier_ones_left_and_no_more(tol):
    for found in fsp.sensitivity(decaying(), [0.5, 2.0, 8.0], ["k", "a"], tol=tol):
        for name in ("k", "a"):
            assert found.error(name).integration <= SHARE_OF_TOL * tol * (1.0 + SAVED)


@pytest.mark.parametrize("tol", [1e-3, 1e-6])
def test_rates_that_decay_have_the_derivatives_of_poisson_laws(tol):
    for found in fsp.sensitivity(decaying(), [0.5, 2.0], ["k", "a"], tol=tol):
        mean, slopes = decaying_slopes(found.t)
        for name, slope in slopes.items():
            error = found.error(name)
            assert error.certified
            assert error.total <= tol
            assert of_poisson(found, name, mean, slope) <= error.total + 1e-13
            assert slope in found.mean("X")[name]


def switched(rate, **parameters):
    return fsp.Model(
        species={"X": 0},
        parameters=parameters,
        reactions=[fsp.Reaction("0 -> X", rate=rate), fsp.Reaction("X -> 0", mass_action=1.0)],
    )


@pytest.mark.parametrize("factor", ["", "*(1 + 0*time)"])
def test_a_time_at_which_a_rate_jumps_is_a_parameter(factor):
    """With k until s, and 1 after it, the mean is 1 - e^{-t} + (k - 1)(e^{s-t} - e^{-t})."""
    model = switched(f"piecewise(k, time < s, 1){factor}", k=8.0, s=0.7)
    early, late = fsp.sensitivity(model, [0.5, 2.0], ["s", "k"], log=False, tol=1e-6)
    assert not early.derivative("s").any()
    mean = 1.0 - math.exp(-2.0) + 7.0 * (math.exp(-1.3) - math.exp(-2.0))
    for name, slope in {"s": 7.0 * math.exp(-1.3), "k": math.exp(-1.3) - math.exp(-2.0)}.items():
        assert late.error(name).certified
        assert of_poisson(late, name, mean, slope) <= late.error(name).total <= 1e-6


@pytest.mark.parametrize(
    "rate", ["piecewise(k, time < s, 1) + piecewise(2, time < s, 5)", "{} + piecewise(2, s > time, 5)"]
)
def test_a_rate_that_compares_a_time_twice_jumps_once(rate):
    model = switched(rate.format("piecewise(k, time < s, 1)"), k=8.0, s=0.7)
    (late,) = fsp.sensitivity(model, [2.0], ["s"], log=False, tol=1e-6)
    mean = 6.0 * (1.0 - math.exp(-2.0)) + 4.0 * (math.exp(-1.3) - math.exp(-2.0))
    assert of_poisson(late, "s", mean, 4.0 * math.exp(-1.3)) <= late.error("s").total <= 1e-6


@pytest.mark.parametrize("rate", ["(k*w)*a/(a + X)", "k*a/((a + X)/w)", "w*(k*a - 0)/(a + X)", "k*w*(1 - X/(a + X))"])
def test_time_comes_out_of_derivatives_however_a_law_is_written(rate):
    def slopes(text):
        model = fsp.Model(
            species={"X": 1},
            parameters={"k": 2.0, "a": 3.0},
            reactions=[
                fsp.Reaction("0 -> X", rate=text.replace("w", "piecewise(1, time < 0.3, 0.6)")),
                fsp.Reaction("X -> 0", mass_action=1.0),
            ],
        )
        return fsp.sensitivity(model, [0.8], ["a", "k"], tol=1e-5)[-1]

    plain, other = slopes("k*w*(a/(a + X))"), slopes(rate)
    for name in ("a", "k"):
        assert other.error(name).certified
        off = plain.error(name).total + other.error(name).total
        assert abs(plain.mean("X")[name].value - other.mean("X")[name].value) <= 40.0 * off


@pytest.mark.parametrize(
    "rate", ["piecewise(1, time > s, k)", "piecewise(k, time <= s, 1)", "piecewise(1, s < time, k)"]
)
@pytest.mark.parametrize("s", [0.7, 1.0])
def test_a_rate_jumps_also_where_it_does_right_after_the_time(rate, s):
    (late,) = fsp.sensitivity(switched(rate, k=8.0, s=s), [2.0], ["s"], log=False, tol=1e-5)
    mean = 1.0 - math.exp(-2.0) + 7.0 * (math.exp(s - 2.0) - math.exp(-2.0))
    assert of_poisson(late, "s", mean, 7.0 * math.exp(s - 2.0)) <= late.error("s").total <= 1e-5


def test_a_rate_that_differs_at_a_single_time_jumps_nowhere():
    model = switched("piecewise(k, time == s, 1)*(1 + piecewise(1, time < s2, 0))", k=8.0, s=0.7, s2=0.9)
    (late,) = fsp.sensitivity(model, [2.0], ["s"], log=False, tol=1e-5)
    assert np.abs(late.derivative("s")).sum() <= late.error("s").total <= 1e-5


@pytest.mark.parametrize("other", ["0.7", "u"])
def test_switches_of_a_rate_at_one_time_that_do_not_move_alike_are_refused(other):
    model = switched(f"piecewise(k, time < s, 1) + piecewise(2, time < {other}, 5)", k=8.0, s=0.7, u=0.7)
    with pytest.raises(fsp.ModelError, match="must move alike with 's'"):
        fsp.sensitivity(model, [2.0], ["s"], log=False, tol=1e-3)


@pytest.mark.parametrize(("before", "after", "t"), [(1e-3, 8.0, 0.51), (1e-3, 8.0, 2.0), (1e-3, 3e3, 0.51)])
def test_what_jumps_out_of_the_space_at_a_switch_is_charged(before, after, t):
    """What is improbable at the edge, where little leaves before the switch, is multiplied by the rate after it."""
    model = switched("piecewise(b, time < s, k)", b=before, k=after, s=0.5)
    (found,) = fsp.sensitivity(model, [t], ["s"], log=False, tol=1e-5)
    since = math.exp(0.5 - t)
    mean = before * (since - math.exp(-t)) + after * (1.0 - since)
    assert found.error("s").certified
    assert of_poisson(found, "s", mean, (before - after) * since) <= found.error("s").total <= 1e-5


def test_a_rate_that_bends_at_a_parameter_jumps_nowhere():
    """With a rate max(0, t - s) from s on, the mean is u - 1 + e^{-u}, u = t - s."""
    model = switched("k*piecewise(time - s, time > s, 0)", k=20.0, s=0.5)
    (found,) = fsp.sensitivity(model, [2.0], ["s"], log=False, tol=1e-6)
    u = 1.5
    slope = -20.0 * (1.0 - math.exp(-u))
    assert found.error("s").certified
    assert of_poisson(found, "s", 20.0 * (u - 1.0 + math.exp(-u)), slope) <= found.error("s").total <= 1e-6


@settings(max_examples=10, deadline=None)
@given(
    rates=st.lists(st.floats(0.05, 5.0), min_size=4, max_size=4),
    total=st.integers(1, 6),
    power=st.integers(0, 2),
    t=st.sampled_from([0.4, 1.5]),
)
def test_bounds_hold_on_small_networks_whose_rates_change(rates, total, power, t):
    """Against dense exponentials of many short steps, by complex steps; the fourth order of them is seen."""
    a, b, c, w = rates
    law = f"a*A^{power + 1}*(1 + 0.5*sin(w*time))"
    model = fsp.Model(
        species={"A": total, "B": 0},
        parameters={"a": a, "b": b, "c": c, "w": w},
        reactions=[fsp.Reaction("A -> B", rate=law), fsp.Reaction("B -> A", rate="b*B + c*exp(-w*time)*B")],
    )
    found = fsp.sensitivity(model, [t], ["a", "c", "w"], log=False, tol=1e-5)[0]
    space = fsp.StateSpace.reachable(model)
    index = space.index(found.states)
    count = space.states[:, 0].astype(float)
    for name in ("a", "c", "w"):
        v = {**model.parameters, name: model.parameters[name] + 1e-30j}

        def generator(s, v=v):
            forward = v["a"] * count ** (power + 1) * (1.0 + 0.5 * np.sin(v["w"] * s))
            back = (v["b"] + v["c"] * np.exp(-v["w"] * s)) * (total - count)
            A = np.diag(-forward - back)
            for x, (f, r) in enumerate(zip(forward, back, strict=True)):
                if x > 0:
                    A[x - 1, x] += f
                if x < total:
                    A[x + 1, x] += r
            return A

        p, steps = np.eye(total + 1)[total].astype(complex), 500
        h, root = t / steps, math.sqrt(3.0) / 6.0
        for i in range(steps):  # the Magnus series of order four
            first, second = (generator(h * (i + 0.5 + side * root)) for side in (-1.0, 1.0))
            commutator = second @ first - first @ second
            p = expm(0.5 * h * (first + second) + math.sqrt(3.0) / 12.0 * h**2 * commutator) @ p
        exact = p.imag / 1e-30
        full = np.zeros(len(space))
        full[index] = found.derivative(name)
        error = found.error(name)
        assert error.certified
        assert error.total <= 1e-5
        assert np.abs(full - exact).sum() <= error.total + 1e-7 * (1.0 + np.abs(exact).sum())


def test_information_and_likelihood_of_a_rate_that_decays():
    mean, slopes = decaying_slopes(1.0)
    exact = np.outer(list(slopes.values()), list(slopes.values())) / mean
    with pytest.warns(fsp.ToleranceWarning, match="estimate"):
        fim = fsp.fisher(decaying(), [1.0], ["k", "a"])
    assert (np.diag(fim.lower) <= np.diag(exact)).all()
    assert np.diag(fim.lower) == pytest.approx(np.diag(exact), rel=1e-3)
    assert fim.matrix == pytest.approx(exact, rel=1e-3)
    seen = np.array([3, 9, 14, 15, 22, 25])
    counts = fsp.read_counts({"time": np.ones(6), "n": seen}, counts={"X": "n"})
    found = fsp.likelihood(decaying(), counts)
    assert found.value.certified
    assert found.value.width <= 1e-2
    assert stats.poisson.logpmf(seen, mean).sum() in found.value
    for name, own in found.gradient(["k", "a"]).items():
        assert own.certified
        assert float((seen / mean - 1.0).sum() * slopes[name]) in own


def test_a_stationary_start_is_that_of_the_first_rates():
    model = fsp.Model(
        species={"X": 0},
        parameters={"k": 10.0, "f": 2.0},
        reactions=[fsp.Reaction("0 -> X", rate="k*piecewise(1, time < 1, f)"), fsp.Reaction("X -> 0", mass_action=1.0)],
    )
    (found,) = fsp.sensitivity(model, [1.7], ["k", "f"], start="stationary", tol=1e-5)
    gone = 1.0 - math.exp(-0.7)
    for name, slope in {"k": 10.0 * (1.0 + gone), "f": 20.0 * gone}.items():
        assert found.error(name).certified
        assert of_poisson(found, name, 10.0 * (1.0 + gone), slope) <= found.error(name).total <= 1e-5


def test_occupation_is_bounded_by_the_stages():
    """Σ_j ∫|ℓ_j| of the start and the stages, which bounds what stays as it is, is above one and below two."""
    moduli = _moduli(7)
    tau = np.linspace(0.0, 1.0, 4001)
    values, _ = radau(7).interpolate(tau)
    trapezoid = 0.5 * (np.abs(values[1:]) + np.abs(values[:-1])).mean(axis=0)
    assert (moduli >= trapezoid * (1.0 - 1e-5)).all()  # which is off by 3e-7
    assert 1.0 < moduli.sum() < 2.0


def test_conditions_of_times_are_no_part_of_a_derivative():
    law = parse("piecewise(a*time, time < a, 0)", what="a law")
    assert derivative(law, "b") == ZERO
    assert derivative(parse("time < a", what="a law"), "a") == ZERO
    with pytest.raises(fsp.ModelError, match="smooth"):
        derivative(parse("piecewise(1, X < a, 0)", what="a law"), "a")


def test_events_and_stages_that_are_too_short_are_refused():
    model = fsp.Model(
        species={"X": 5},
        parameters={"g": 1.0},
        reactions=[fsp.Reaction("X -> 0", mass_action="g")],
        events=[fsp.Event("X < 2", {"X": "0"})],
    )
    with pytest.raises(fsp.BackendError, match="triggered by the count of 'X'"):
        fsp.sensitivity(model, [2.0], ["g"])


def test_a_cell_that_steps_hide_has_no_lower_bound_and_ends_the_search(monkeypatch):
    """Its probability is 1e-32, far below the rounding of steps: less loss would not show it."""
    runs = []

    def counted(*arguments):
        runs.append(arguments[2])
        return distributions(*arguments)

    monkeypatch.setattr("fsp.inference.likelihood.distributions", counted)
    mean, _ = decaying_slopes(1.0)
    counts = fsp.read_counts({"time": [1.0, 1.0], "n": [14, 80]}, counts={"X": "n"})
    found = fsp.likelihood(decaying(), counts)
    assert found.value.lower == -math.inf
    assert stats.poisson.logpmf([14, 80], mean).sum() <= found.value.upper
    assert "X = 80" in found.impossible[0]
    assert len(runs) <= 4


def test_parts_of_a_generator_share_a_pattern():
    """Sums of the entries are the generator at any time, also where a function of time is zero."""
    model = switched("piecewise(k, time < 1, 0)*exp(-time)", k=8.0)
    generator = Generator(model, fsp.StateSpace.box(model, upper=(6,)))
    timed = Timed.of(generator, derivatives(model, ["k"], log=True), ())
    pattern, entries = aligned(timed)
    for t in (0.3, 2.0):
        weights = np.array([evaluate(clock, {}, t) for clock in timed.clocks])
        pattern.data = weights @ entries
        expected = sum(g * part.toarray() for g, part in zip(weights, timed.parts, strict=True))
        np.testing.assert_allclose(pattern.toarray(), expected, rtol=1e-15)
    assert pattern.nnz == 19


def blinking(fast):
    """A promoter that falls back at a fast rate, which changes in time."""
    return fsp.Model(
        species={"A": 1, "B": 0, "X": 0},
        parameters={"up": 3.0, "fast": fast, "make": 5.0},
        reactions=[
            fsp.Reaction("A -> B", mass_action="up"),
            fsp.Reaction("B -> A", rate="fast*(1 + 0.5*sin(time))*B"),
            fsp.Reaction("B -> B + X", mass_action="make"),
            fsp.Reaction("X -> 0", mass_action=1.0),
        ],
    )


@pytest.mark.parametrize("length", [1e-3, 0.3, 2.0])
def test_what_is_fast_to_go_spoils_little(length):
    """What is in one state, or comes into one, passes the fast rate about once for each time it gets there."""
    model = blinking(200.0)
    space = fsp.StateSpace.reachable(model, constraints=["X <= 3"])
    timed = Timed.of(Generator(model, space), derivatives(model, ["up", "fast", "make"], log=True), [])
    bounds = OnStep.of(timed, 0.5, length).course(timed).exposure(length)
    rates = timed.parts[0].toarray(), timed.parts[1].toarray()
    n = len(space)

    def slope(t, flat):
        r = flat[: n * n].reshape(n, n)
        A = rates[0] + (1.0 + 0.5 * math.sin(t)) * rates[1]
        B, X = space.states[:, 1], np.ones(n)
        D = np.array([3.0 * space.states[:, 0], 200.0 * (1.0 + 0.5 * math.sin(t)) * B, 5.0 * B * X])
        return np.concatenate([(A @ r).ravel(), (D @ r).ravel()])

    start = np.concatenate([np.eye(n).ravel(), np.zeros(3 * n)])
    end = solve_ivp(slope, (0.5, 0.5 + length), start, method="LSODA", rtol=1e-9, atol=1e-12).y[:, -1]
    spoiled = end[n * n :].reshape(3, n).max(axis=1)
    assert (spoiled <= bounds * (1.0 + 1e-7)).all()
    assert (bounds <= 4.0 * spoiled + 1e-9).all()


def test_what_a_negative_function_of_time_slows_down_is_not_fast():
    """X is left at 30 (1 + 0.9 sin t), written as a sum; near 3π/2 that is 3."""
    model = fsp.Model(
        species={"X": 1, "Y": 0},
        parameters={"g": 30.0, "make": 1e-3},
        reactions=[
            fsp.Reaction("X -> 0", rate="g*X + 0.9*g*sin(time)*X"),
            fsp.Reaction("X -> X + Y", rate="make*X"),
        ],
    )
    space = fsp.StateSpace.box(model, upper={"X": 1, "Y": 3})
    timed = Timed.of(Generator(model, space), derivatives(model, ["make"], log=True), [])
    (bound,) = OnStep.of(timed, 4.6, 0.2).course(timed).exposure(0.2)
    s = np.linspace(0.0, 0.2, 2001)
    stays = np.exp(-30.0 * (s + 0.9 * (math.cos(4.6) - np.cos(4.6 + s))))
    assert bound >= 0.99e-3 * float(integrate.trapezoid(stays, s))


def test_derivatives_by_a_fast_rate_are_known_as_well_as_others():
    """The residual and the rounding of p are 2e-13: times 2e5, and as long as it takes, that would be 1e-7."""
    found = fsp.sensitivity(blinking(2e5), [3.0], ["up", "fast"], tol=1e-7)[-1]
    assert max(found.error(name).total for name in ("up", "fast")) <= 1e-7
    assert np.abs(found.derivative("up") + found.derivative("fast")).sum() == pytest.approx(0.0, abs=1e-4)


PULSE = {"up": 0.8, "down": 6.0, "a": 9.0, "slow": 0.1, "make": 4.0, "lose": 0.7}
PULSED_AT = [0.0, 0.5, 1.5, 6.0]


def pulsed_gene():
    """A gene like STL1, with two states: a pulse of a signal keeps it from falling back, so that RNA is made."""
    signal = "a*time^2*exp(-2*time)"
    return fsp.Model(
        species={"A": 1, "B": 0, "X": 0},
        parameters=PULSE,
        reactions=[
            fsp.Reaction("A -> B", mass_action="up"),
            fsp.Reaction("B -> A", rate=f"piecewise(down*(1 - {signal}), {signal} < 1, 0)*B"),
            fsp.Reaction("A -> A + X", mass_action="slow"),
            fsp.Reaction("B -> B + X", mass_action="make"),
            fsp.Reaction("X -> 0", mass_action="lose"),
        ],
    )


def pulsed_exactly(n=30):
    """Return p and its derivatives by the logarithms at each time, of the count of RNA: (n_times, 1 + q, n)."""
    every = np.arange(n)
    units = {name: np.zeros((2 * n, 2 * n)) for name in ("up", "down", "slow", "make", "lose")}
    jumps = [("up", every, n + every, 1.0), ("down", n + every, every, 1.0)]
    jumps += [("slow", every[:-1], every[1:], 1.0), ("make", n + every[:-1], n + every[1:], 1.0)]
    jumps += [("lose", k * n + every[1:], k * n + every[:-1], every[1:]) for k in (0, 1)]
    for name, source, target, weight in jumps:
        np.add.at(units[name], (target, source), weight)
        np.add.at(units[name], (source, source), -weight)

    def signal(t):
        return PULSE["a"] * t**2 * math.exp(-2.0 * t)

    def parts(t, on):
        g = {name: PULSE[name] for name in units}
        g["down"] *= (1.0 - signal(t)) * on
        changes = [
            g[name] * units[name] if name in units else -PULSE["down"] * signal(t) * on * units["down"]
            for name in PULSE
        ]
        return sum(g[name] * unit for name, unit in units.items()), changes

    A, changes = parts(0.0, 1.0)
    closed = np.vstack([A[1:], np.ones(2 * n)])
    p = np.linalg.solve(closed, np.eye(2 * n)[-1])
    block = np.array([p, *(np.linalg.solve(closed, np.append(-(own @ p)[1:], 0.0)) for own in changes)])
    switches = [brentq(lambda t: signal(t) - 1.0, *ends, xtol=1e-15) for ends in ((0.1, 1.0), (1.0, 3.0))]
    found, t = [block], 0.0
    for end in sorted([*switches, *PULSED_AT[1:]]):
        on = float(not switches[0] <= t < switches[1])

        def slope(s, flat, on=on):
            own = flat.reshape(-1, 2 * n)
            A, changes = parts(s, on)
            return np.concatenate([A @ own[0], *(A @ h + B @ own[0] for h, B in zip(own[1:], changes, strict=True))])

        block = solve_ivp(slope, (t, end), block.ravel(), method="DOP853", rtol=1e-12, atol=1e-15).y[:, -1]
        block, t = block.reshape(-1, 2 * n), end
        found += [block] if end in PULSED_AT else []
    return np.array(found).reshape(len(PULSED_AT), -1, 2, n).sum(axis=2)


def test_information_of_a_pulsed_gene_from_its_stationary_law_is_that_of_another_integrator():
    exact = pulsed_exactly()
    with pytest.warns(fsp.ToleranceWarning, match="estimate"):
        fim = fsp.fisher(pulsed_gene(), PULSED_AT, list(PULSE), observe="X", cells=100, start="stationary", tol=1e-9)
    p, s = exact[:, 0], exact[:, 1:]
    F = 100.0 * np.einsum("ikz,ilz,iz->kl", s, s, np.where(p > 1e-13, 1.0 / np.maximum(p, 1e-13), 0.0))
    scale = np.sqrt(np.outer(F.diagonal(), F.diagonal()))
    assert np.abs(fim.matrix - F).max() <= 1e-6 * scale.max()
    assert (np.abs(fim.matrix - F) <= 1e-6 * scale).all()
    assert (np.linalg.eigvalsh(F - (fim.matrix - fim.below)) >= -1e-9 * F.max()).all()  # a lower bound
    seen = {0.0: [0, 1, 2], 0.5: [1, 1, 3], 1.5: [0, 4, 9], 6.0: [0, 2, 12]}
    table = [(t, z) for t, counts in seen.items() for z in counts]
    counts = fsp.read_counts({"time": [t for t, _ in table], "n": [z for _, z in table]}, counts={"X": "n"})
    found = fsp.likelihood(pulsed_gene(), counts, start="stationary")
    assert sum(math.log(p[PULSED_AT.index(t), z]) for t, z in table) in found.value
    for k, (name, own) in enumerate(found.gradient(list(PULSE)).items()):
        gradient = sum(s[PULSED_AT.index(t), k, z] / p[PULSED_AT.index(t), z] for t, z in table)
        assert own.lower - 1e-8 <= gradient <= own.upper + 1e-8, name
        assert own.value == pytest.approx(gradient, abs=1e-5)
    weights = np.array([len(counts) for counts in seen.values()])
    F = np.einsum("i,ikz,ilz,iz->kl", weights, s, s, np.where(p > 1e-13, 1.0 / np.maximum(p, 1e-13), 0.0))
    laws = TimedLaws(tuple(PULSE), "stationary")
    part = Part(pulsed_gene(), laws, list(PULSE), counts, [Exact()], Limits())
    point = part.at(np.array(list(PULSE.values())), 1e-2)
    assert point.gradient == pytest.approx([own.value for own in found.gradient(list(PULSE)).values()], abs=1e-5)
    assert point.information == pytest.approx(F, abs=1e-5)
