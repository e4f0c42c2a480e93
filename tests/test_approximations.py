"""Approximations: exact where theory says so, and errors that fall as theory says with the volume."""

from __future__ import annotations

import numpy as np
import pytest
from written_networks import network

import fsp

DIMER = fsp.Model(
    species={"A": 20, "B": 0},
    reactions=[fsp.Reaction("2 A -> B", rate="0.05*A*(A - 1)/2"), fsp.Reaction("B -> 2 A", mass_action=0.3)],
)


def test_linear_networks_have_exact_moments():
    reactions = [fsp.Reaction("0 -> M", mass_action=4.0), fsp.Reaction("M -> 0", rate="M"),
                 fsp.Reaction("M -> M + P", rate="2*M"), fsp.Reaction("P -> 0", mass_action=0.5)]  # fmt: skip
    model = fsp.Model(species={"M": 2, "P": 0}, reactions=reactions)
    found = fsp.approximations(model, [0.0, 0.5, 1.0], volumes=[1, 2.5], tol=1e-9)
    np.testing.assert_allclose(found.rre_mean, found.cme_mean, atol=1e-5)
    np.testing.assert_allclose(found.lna_sd, found.cme_sd, atol=1e-5)


def test_the_error_of_the_mean_falls_as_one_over_the_volume():
    found = fsp.approximations(DIMER, [0.5, 2.0], volumes=[2, 4, 8])
    ratio = found.mean_error[:-1] / found.mean_error[1:]
    np.testing.assert_allclose(ratio, 2.0, rtol=0.03)
    assert np.abs(found.lna_sd[-1] / found.cme_sd[-1] - 1).max() < np.abs(found.lna_sd[0] / found.cme_sd[0] - 1).max()
    assert (np.diff(found.l1[:, :, 1], axis=0) < 0).all()  # B; the counts of A are even, a normal law is not


def test_formulas_that_are_mass_action_scale_as_mass_action():
    plain = fsp.Model(
        species={"A": 20, "B": 0},
        reactions=[fsp.Reaction("2 A -> B", mass_action=0.05), fsp.Reaction("B -> 2 A", mass_action=0.3)],
    )
    one, other = (fsp.approximations(m, 1.0, volumes=[3]) for m in (DIMER, plain))
    for name in ("cme_mean", "cme_sd", "rre_mean", "lna_sd", "l1", "wasserstein"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-6, atol=1e-9)


def test_other_formulas_are_scaled_by_density():
    model = fsp.Model(
        species={"X": 0}, reactions=[fsp.Reaction("0 -> X", rate="20/(1 + X/10)"), fsp.Reaction("X -> 0", rate="X")]
    )
    twice = fsp.Model(
        species={"X": 0}, reactions=[fsp.Reaction("0 -> X", rate="40/(1 + X/20)"), fsp.Reaction("X -> 0", rate="X")]
    )
    found = fsp.approximations(model, 1.0, volumes=[2])
    d = fsp.transient(twice, 1.0, 1e-8)[-1]
    np.testing.assert_allclose(found.cme_mean[0, 0], d.probabilities @ d.states, rtol=1e-6)


def test_constants_that_depend_on_time():
    model = fsp.Model(
        species={"X": 0}, reactions=[fsp.Reaction("0 -> X", rate="5*exp(-time)"), fsp.Reaction("X -> 0", rate="X")]
    )
    found = fsp.approximations(model, 1.0, volumes=[1, 3])
    np.testing.assert_allclose(found.rre_mean[:, 0, 0], np.array([1, 3]) * 5 * np.exp(-1), rtol=1e-6)
    np.testing.assert_allclose(found.cme_mean, found.rre_mean, rtol=1e-5)


def test_langevin_paths():
    found = fsp.approximations(DIMER, [0.5, 2.0], volumes=[8], runs=4000, seed=1, steps=400)
    again = fsp.approximations(DIMER, [0.5, 2.0], volumes=[8], runs=4000, seed=1, steps=400)
    np.testing.assert_array_equal(found.cle_mean, again.cle_mean)
    allowed = 5 * found.cme_sd / np.sqrt(4000) + 0.2  # sampling, and the approximation itself
    assert (np.abs(found.cle_mean - found.cme_mean) < allowed).all()
    assert (np.abs(found.cle_sd / found.cme_sd - 1) < 0.08).all()


def test_it_prints_and_tabulates():
    found = fsp.approximations(DIMER, [1.0], volumes=[1, 2])
    assert len(found.table()) == 4
    text = str(found)
    assert len(text.splitlines()) == 8
    assert "falls as A V^-1.01, B V^-1.01" in text
    assert "RRE" in text


@pytest.mark.parametrize("wrong", [{"volumes": []}, {"volumes": [-1]}, {"volumes": [0.123]}, {"runs": 1}, {"steps": 0}])
def test_arguments_are_checked(wrong):
    with pytest.raises(fsp.ArgumentError):
        fsp.approximations(DIMER, 1.0, **wrong)


def test_what_cannot_be_approximated_is_refused():
    by_code = fsp.Model(species={"X": 1}, reactions=[fsp.Reaction("X -> 0", rate=lambda x: x["X"], name="decay")])
    with pytest.raises(fsp.ModelError, match="'decay' must be a formula"):
        fsp.approximations(by_code, 1.0)
    spread = fsp.Model(species=["X"], reactions=[fsp.Reaction("X -> 0", rate="X")], initial={(1,): 0.5, (2,): 0.5})
    with pytest.raises(fsp.ModelError, match="one state"):
        fsp.approximations(spread, 1.0)


def test_conditions_are_scaled_with_the_density():
    """Random states do not see that the rate of births ends at 100."""
    births = "20*(X < 100)"
    model = network({"X": 90}, ("0 -> X", "rate", births), ("X -> 0", "mass_action", 0.01))
    found = fsp.approximations(model, 0.2, volumes=[1, 2])
    assert found.cme_mean[1, 0, 0] == pytest.approx(2 * found.cme_mean[0, 0, 0], abs=0.1)
    assert found.rre_mean[1, 0, 0] == pytest.approx(found.cme_mean[1, 0, 0], abs=0.1)
    stopped = network({"X": 100}, ("X -> 0", "rate", "0.1*X*(X < 60)"))
    assert fsp.approximations(stopped, 1.0, volumes=[1]).rre_mean[0, 0, 0] == pytest.approx(100.0)
    pairs = network({"X": 100}, ("2 X -> 0", "rate", "0.1*X*(X - 1)*(X < 60)"))
    with pytest.raises(fsp.ModelError, match="mass action with a condition"):
        fsp.approximations(pairs, 1.0)


def test_events_are_refused():
    model = fsp.Model(
        species={"X": 0},
        reactions=[fsp.Reaction("0 -> X", mass_action=5.0)],
        events=[fsp.Event("X >= 8", {"X": "0"}, name="reset")],
    )
    with pytest.raises(fsp.ModelError, match=r"no events.*'reset'"):
        fsp.approximations(model, 1.0)


def test_powers_that_are_no_whole_numbers_may_start_at_zero():
    model = network({"X": 0}, ("0 -> X", "rate", "2 + 20*X^2.5/(10^2.5 + X^2.5)"), ("X -> 0", "mass_action", 1.0))
    found = fsp.approximations(model, 2.0, volumes=[4, 8, 16])
    assert found.order[0, 0] == pytest.approx(1.0, abs=0.2)


def test_a_rate_that_jumps_where_the_solution_stays_is_told(monkeypatch):
    monkeypatch.setattr("fsp.verification.approximations.MOST_EVALUATIONS", 2000)
    model = network({"X": 90}, ("0 -> X", "rate", "20*(X < 100)"), ("X -> 0", "mass_action", 0.01))
    with pytest.raises(fsp.ConvergenceError, match="must be smooth"):
        fsp.approximations(model, 3.0, volumes=[1])
