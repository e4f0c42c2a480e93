"""All that is accumulated before a passage, against closed forms, passages and small spaces."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import assume, given, settings
from random_networks import as_model, closed_networks
from references import MODELS
from written_networks import network

import fsp
from fsp.command.main import main
from fsp.passages.gain import Gain
from fsp.passages.targets import Targets
from fsp.passages.totals import TotalCertifier

SHARP = 1e-6  # relative width


def hold(found, mean, variance):
    """Require a proof that is sharp and true."""
    assert found.times.tolist() == [math.inf]
    for interval, exact in ((found.mean[0], mean), (found.second_moment[0], variance + mean**2)):
        assert interval.certified, interval.reason
        assert interval.lower <= exact <= interval.upper
        assert interval.lower <= interval.value <= interval.upper
        assert interval.width <= SHARP * exact
    assert found.variance[0].lower <= variance * (1.0 + 1e-14) <= found.variance[0].upper + 1e-14


def queue(arrivals=0.5):
    return network({"X": 1}, ("0 -> X", "rate", str(arrivals)), ("X -> 0", "rate", "piecewise(1, X > 0, 0)"))


def branching(births=0.5):
    return network({"X": 5}, ("X -> 2 X", "mass_action", births), ("X -> 0", "mass_action", 1.0))


def test_lifetimes_and_firings_of_a_decay():
    model = network({"X": 3}, ("X -> 0", "mass_action", 1.0))
    hold(fsp.reward(model, "X", until="X == 0"), 3.0, 3.0)
    hold(fsp.reward(model, "X >= 0", until="X == 0"), 11.0 / 6.0, 1.0 + 1.0 / 4.0 + 1.0 / 9.0)
    hold(fsp.reward(model, model.reactions[0].name, firings=True, until="X <= 1"), 2.0, 0.0)
    hold(fsp.reward(model, "X >= 0", until="X <= 3"), 0.0, 0.0)


@pytest.mark.parametrize("rho", [0.3, 0.5])
def test_a_busy_period_serves_and_waits(rho):
    """Served: mean 1/(1 - ρ), variance ρ(1 + ρ)/(1 - ρ)³ (Borel-Tanner of exponential service); area 1/(1 - ρ)²."""
    model = queue(rho)
    served = fsp.reward(model, model.reactions[1].name, firings=True, until="X == 0")
    hold(served, 1.0 / (1.0 - rho), rho * (1.0 + rho) / (1.0 - rho) ** 3)
    area = fsp.reward(model, "X", until="X == 0").mean[0]
    assert area.lower <= 1.0 / (1.0 - rho) ** 2 <= area.upper
    assert area.width <= SHARP


def test_a_branching_population_lives_and_gives_birth():
    """Births b and deaths 1 for each: lifetimes n/(1 - b), variance n (1 + b)/(1 - b)³; births n b/(1 - b)."""
    b = 0.5
    lived = fsp.reward(branching(b), "X", until="X == 0")
    hold(lived, 5.0 / (1.0 - b), 5.0 * (1.0 + b) / (1.0 - b) ** 3)
    born = fsp.reward(branching(b), branching(b).reactions[0].name, firings=True, until="X == 0")
    hold(born, 5.0 * b / (1.0 - b), 5.0 * b * (1.0 + b) / (1.0 - b) ** 3)


def test_waiting_is_the_passage_and_times_agree_in_the_end():
    model = fsp.load(MODELS / "toggle_hill.ant").with_initial(U=40, V=5)
    waited, passed = fsp.reward(model, "U >= 0", until="V > U"), fsp.passage(model, "V > U")
    for first, second in ((waited.mean[0], passed.mean()), (waited.second_moment[0], passed.moment(2))):
        assert first.certified
        assert max(first.lower, second.lower) <= min(first.upper, second.upper)
        assert first.width <= SHARP * first.lower
    late = fsp.reward(queue(0.3), "X", [200.0], until="X == 0", tol=1e-5).mean[0]
    total = fsp.reward(queue(0.3), "X", until="X == 0").mean[0]
    assert late.lower <= total.upper
    assert total.lower <= late.upper + 1e-6


def test_a_start_may_be_a_law():
    model = network({"X": 3}, ("X -> 0", "mass_action", 1.0))
    law = fsp.transient(model, 0.5, tol=1e-10)
    found = fsp.reward(model, "X", until="X == 0", start=law).mean[0]
    assert found.certified
    assert found.lower <= 3.0 * math.exp(-0.5) <= found.upper
    assert found.width <= 1e-6


@pytest.mark.parametrize("count", ["7", "2"])  # the latter leaves the state as it was
def test_firings_that_trigger_events_are_not_left_out(count):
    """Such a firing is another reaction of the chain, or none."""
    model = fsp.Model(
        species={"X": 0},
        reactions=[fsp.Reaction("0 -> X", mass_action=2.0), fsp.Reaction("X -> 0", mass_action=0.5)],
        events=[fsp.Event("X >= 3", {"X": count})],
    )
    for ask in (
        lambda: fsp.reward(model, "r1", firings=True, until="X >= 9"),
        lambda: fsp.reward(model, "r1", [1.0], firings=True),
        lambda: fsp.average_reward(model, "r1", firings=True),
    ):
        with pytest.raises(fsp.ArgumentError, match="without events"):
            ask()


def test_a_reaction_that_is_named_as_a_burst_would_be_is_its_own():
    model = fsp.Model(
        species={"X": 2},
        reactions=[
            fsp.Reaction("X -> 0", mass_action=1.0, name="die"),
            fsp.Reaction("2 X -> 0", mass_action=1.0, name="die (2)"),
        ],
    )
    hold(fsp.reward(model, "die", firings=True, until="X == 0"), 4.0 / 3.0, 8.0 / 9.0)
    hold(fsp.reward(model, "die (2)", firings=True, until="X == 0"), 1.0 / 3.0, 2.0 / 9.0)
    alone = fsp.Model(species={"X": 2}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0, name="die (2)")])
    with pytest.raises(fsp.ArgumentError, match=r"must be a reaction with `firings`, die \(2\), but is 'die'"):
        fsp.reward(alone, "die", firings=True, until="X == 0")
    hold(fsp.reward(alone, "die (2)", firings=True, until="X == 0"), 2.0, 0.0)


def test_a_burst_counts_once():
    model = fsp.Model(
        species={"X": 0},
        reactions=[
            fsp.Reaction("0 -> X", mass_action=2.0, burst="binomial(3, 0.5)", name="make"),
            fsp.Reaction("X -> 0", mass_action=1.0),
        ],
    )
    found = fsp.reward(model, "make", [1.0, 3.0], firings=True)  # one in eight makes none, and is no jump
    for interval, exact in zip(found.mean, (1.75, 5.25), strict=True):
        assert interval.lower <= exact <= interval.upper
    for size, share in ((2, 3.0 / 8.0), (3, 1.0 / 8.0)):
        alone = fsp.reward(model, f"make ({size})", [1.0], firings=True).mean[0]
        assert alone.lower <= 2.0 * share <= alone.upper
        assert alone.width <= SHARP
        hold(
            fsp.reward(model, f"make ({size})", firings=True, until="X >= 1"),
            share / (7 / 8),
            share * 8 / 7 * (1.0 - share * 8 / 7),
        )
    total = fsp.reward(model, "make", firings=True, until="X >= 1")
    hold(total, 1.0, 0.0)


@pytest.mark.parametrize("firings", [False, True])
def test_small_spaces_leave_room_for_the_truth(firings):
    model = branching(0.5)
    targets = Targets.read(model, "X == 0")
    gain = Gain.of_reaction(model, model.reactions[0].name) if firings else Gain.of_formula(model, "X")
    certifier = TotalCertifier(model, targets.stopping(model), targets, gain)
    least = max(9, int(certifier.excepted().max(initial=0)))
    exact = (5.0, 30.0 + 25.0) if firings else (10.0, 60.0 + 100.0)
    for most in (least + 1, least + 4):
        found = certifier.attempt(fsp.StateSpace.box(model, {"X": most}), None)
        place = int(np.flatnonzero(found.generator.space.states_at(found.stage.inside)[:, 0] == 5)[0])
        for (low, high), number in zip((moment[:, place] for moment in found.moments), exact, strict=True):
            assert low <= number <= high < math.inf
            assert number - low > 1e-9 * number
            assert high - number > 1e-9 * number
        n, first = np.arange(most + 1, 300)[:, None], found.above[0]
        raised = certifier._raised(first.alpha)
        f = [raised.values(n + step) for step in (-1, 0, 1)]
        drift = 0.5 * n[:, 0] * (f[2] - f[1]) + n[:, 0] * (f[0] - f[1])
        below = n[:, 0] * (first.alpha + first.values(n))  # c H_1, or about a H_1(x + 1) for the births
        assert (drift <= -(2.0 if not firings else 1.0) * below).all()


@pytest.mark.parametrize("most", [5, 8])
def test_arrivals_that_leave_a_space_count_what_is_outside(most):
    """4 arrive and each is served at rate 1: arrivals until none is there, from spaces that hardly hold the mean."""
    model = network({"X": 1}, ("0 -> X", "mass_action", 4.0), ("X -> 0", "mass_action", 1.0))
    targets, gain = Targets.read(model, "X == 0"), Gain.of_reaction(model, model.reactions[0].name)
    certifier = TotalCertifier(model, targets.stopping(model), targets, gain)
    found = certifier.attempt(fsp.StateSpace.box(model, {"X": most}), None)
    place = int(np.flatnonzero(found.generator.space.states_at(found.stage.inside)[:, 0] == 1)[0])
    sharp = fsp.reward(model, model.reactions[0].name, firings=True, until="X == 0")
    over, inside = found.above[0], found.generator.space.states_at(found.stage.inside)[:, 0]
    assert over.alpha > 0.0
    rates = np.full(len(inside), 4.0)
    _, high = certifier._next(found.generator, found.stage, (rates, rates), (found.moments[0], over))
    beyond = over.alpha + float(over.values(np.array([[most + 1]]))[0])
    assert 4.0 + 8.0 * beyond <= high[inside == most] <= (4.0 + 8.0 * beyond) * (1.0 + 1e-12)
    for moment, exact in zip(found.moments, (sharp.mean[0], sharp.second_moment[0]), strict=True):
        low, high = moment[:, place]
        assert low <= exact.lower
        assert exact.upper <= high < math.inf


def test_rates_that_lose_digits_leave_room_on_both_sides():
    """Three molecules that decay, and 1e10 (1 - exp(-1e-10 X)), which is X but for a part of 1e-10 and ten digits."""
    model = network({"X": 3}, ("X -> 0", "mass_action", 1.0))
    found = fsp.reward(model, "1e10*(1 - exp(-1e-10*X))", until="X == 0", tol=1e-4).mean[0]
    exact = sum(-1e10 * math.expm1(-1e-10 * x) / x for x in (1, 2, 3))
    assert found.certified
    assert found.lower < exact - 1e-7 < exact + 1e-7 < found.upper <= exact + 1e-4


@settings(max_examples=15, deadline=None)
@given(described=closed_networks())
def test_random_networks_agree_with_dense_systems(described):
    model = as_model(described)
    space = fsp.StateSpace.reachable(model)
    assume(2 < len(space) < 80)
    n = space.states[:, 0]
    start = int(space.index(model.initial_states)[0])
    goal = n.max() if n[start] != n.max() else n.min()
    ends = n == goal
    assume(goal != n[start])
    passage = fsp.passage(model, f"{model.species[0]} == {goal}", orders=1)
    assume(passage.mean().certified and passage.mean().upper < 1e6)
    A = fsp.Generator(model, space).to_csr().toarray()[np.ix_(~ends, ~ends)]
    assume(np.linalg.cond(A) < 1e8)
    c = space.states[:, 1].astype(float)[~ends]
    first = np.linalg.solve(-A.T, c)
    second = np.linalg.solve(-A.T, 2.0 * c * first)
    found = fsp.reward(model, model.species[1], until=f"{model.species[0]} == {goal}")
    at = int(np.flatnonzero(np.flatnonzero(~ends) == start)[0])
    for interval, exact in ((found.mean[0], first[at]), (found.second_moment[0], second[at])):
        if interval.certified:
            assert interval.lower * (1.0 - 1e-7) - 1e-9 <= exact <= interval.upper * (1.0 + 1e-7) + 1e-9


def test_what_has_no_end_is_refused_or_said():
    with pytest.raises(fsp.ArgumentError, match="without `until`"):
        fsp.reward(branching(), "X")
    with pytest.raises(fsp.ArgumentError, match="r1, r2"):
        fsp.reward(branching(), "nothing", firings=True, until="X == 0")
    grows = fsp.reward(branching(2.0), "X", until="X == 0", max_states=500)
    assert not grows.mean[0].certified
    away = network({"A": 1, "B": 0, "C": 0}, ("A -> B", "mass_action", 1.0), ("A -> C", "mass_action", 1.0))
    found = fsp.reward(away, "A", until="B == 1")
    assert "may never be met" in found.mean.reason
    with pytest.raises(fsp.ArgumentError, match="finite for an average"):
        _ = fsp.reward(queue(), "X", until="X == 0").average


def test_command_leaves_out_the_times(tmp_path):
    path = tmp_path / "m.ant"
    path.write_text("model m()\n species X; X = 3\n X => ; X\nend\n")
    words = ["reward", str(path), "--of", "X", "--until", "X == 0", "--counts", "as-is", "--quiet"]
    shown = CliRunner().invoke(main, words)
    assert shown.exit_code == 0, shown.output
    assert "in all: mean [2.999999" in shown.output
    record = json.loads(CliRunner().invoke(main, [*words, "--json"]).output)
    assert record["times"] is None
    assert record["mean"][0]["certified"]
    assert CliRunner().invoke(main, words[:4]).exit_code == 2
