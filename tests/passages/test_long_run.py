"""Averages over a long time against closed forms, and against averages over finite times."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from written_networks import network

import fsp
from fsp.command.main import main


def within(interval, exact, width=1e-6):
    """Require a proof that is sharp and true."""
    assert interval.certified, interval.reason
    assert interval.lower <= exact <= interval.upper
    assert interval.width <= width * exact


def test_immigration_and_death_averages_its_mean():
    """Mean m, variance 2 m/γ; births happen at the rate of immigration, deaths as often."""
    model = network({"X": 6}, ("0 -> X", "mass_action", 3.0), ("X -> 0", "mass_action", 0.5))
    found = fsp.average_reward(model, "X")
    within(found.mean, 6.0)
    within(found.variance, 24.0)
    deaths = fsp.average_reward(model, model.reactions[1].name, firings=True)
    within(deaths.mean, 3.0)
    assert deaths.variance is None
    assert "in a unit of time over a long time: mean [2.99999" in str(deaths)


def test_a_telegraph_spends_its_share():
    """Share s, variance 2 s (1 - s)/(k + l), the limit of that over finite times."""
    model = network({"A": 1, "B": 0}, ("A -> B", "mass_action", 0.3), ("B -> A", "mass_action", 0.7))
    found = fsp.average_reward(model, "A > 0")
    within(found.mean, 0.7)
    within(found.variance, 0.42)
    late = fsp.reward(model, "A > 0", [400.0], start="stationary").variance[0]
    assert late.value / 400.0 == pytest.approx(found.variance.value, rel=1e-2)


def test_bursts_and_functions():
    model = fsp.Model(
        species={"X": 0},
        reactions=[
            fsp.Reaction("0 -> X", mass_action=2.0, burst="binomial(3, 0.5)", name="make"),
            fsp.Reaction("X -> 0", mass_action=1.0),
        ],
    )
    within(fsp.average_reward(model, "make", firings=True).mean, 1.75)
    written = fsp.Model(species={"X": 1}, reactions=[fsp.Reaction({"X": -1}, rate=lambda x: 1.0 * x["X"], name="end")])
    with pytest.raises(fsp.ArgumentError, match="formula as its rate"):
        fsp.average_reward(written, "end", firings=True)
    with pytest.raises(fsp.ArgumentError, match="must be a reaction"):
        fsp.average_reward(model, "none", firings=True)


def test_where_nothing_bounds_the_mean_the_average_is_an_estimate():
    """A gene by one count, whose rate is below zero at G = 2, has no drift condition; one by two counts has."""
    made = (("G -> G + P", "mass_action", 4.0), ("P -> 0", "mass_action", 1.0), ("G -> 0", "mass_action", 0.5))
    alone = network({"G": 0, "P": 0}, ("0 -> G", "rate", "0.3*(1 - G)"), *made)
    off = (*made[:2], ("G -> F", "mass_action", 0.5))
    conserved = network({"F": 1, "G": 0, "P": 0}, ("F -> G", "mass_action", 0.3), *off)
    estimate, known = (fsp.average_reward(model, "P", tol=1e-4) for model in (alone, conserved))
    for ours, exact in ((estimate.mean, known.mean), (estimate.variance, known.variance)):
        assert exact.certified
        assert not ours.certified
        assert ours.value == pytest.approx(exact.value, rel=1e-2)


@pytest.mark.parametrize("rate", [0.3, 1.1, 2.0, 7.0 / 3.0, 5.7, 13.3])
def test_what_happens_at_a_constant_rate_has_no_doubtful_correlation(rate):
    """The rate of a source is constant, so that sums over its states leave nothing but rounding of its variance."""
    model = fsp.Model(
        species={"X": 0},
        reactions=[
            fsp.Reaction("0 -> X", mass_action=rate, burst="binomial(3, 0.4)", name="make"),
            fsp.Reaction("X -> 0", mass_action=1.0),
        ],
    )
    within(fsp.average_reward(model, "make", firings=True).mean, rate * (1.0 - 0.6**3), 1e-4)


def test_command_averages(tmp_path):
    path = tmp_path / "m.ant"
    path.write_text("model m()\n species X; X = 3\n => X; 3\n X => ; X\nend\n")
    words = ["reward", str(path), "--of", "X", "--stationary", "--counts", "as-is", "--quiet"]
    shown = CliRunner().invoke(main, words)
    assert shown.exit_code == 0, shown.output
    assert "average of X over a long time: mean [2.99999" in shown.output
    assert "variance of the average over a time t: [5.9999" in shown.output
    assert json.loads(CliRunner().invoke(main, [*words, "--json"]).output)["mean"]["certified"]
    assert CliRunner().invoke(main, [*words, "--times", "1"]).exit_code == 2
