"""Correlations over a time and spectra against closed forms and dense exponentials."""

from __future__ import annotations

import json
import math
import warnings

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import assume, given, settings
from random_networks import as_model, closed_networks, open_networks
from scipy.linalg import expm
from written_networks import network

import fsp
from fsp.chains.classes import closed_classes
from fsp.command.main import main
from fsp.distribution import Interval
from fsp.moments.lyapunov import drift_condition
from fsp.passages.observables import Observable
from fsp.passages.outside import paying
from fsp.passages.products import ObservedLaw, around, part, quotient
from fsp.passages.stationary_law import StationaryLaw

SHARP = 1e-6  # what a correlation coefficient may be off by
ROUNDED = 1e-8  # error of the dense algebra, relative to what it is made of
LAGS = np.array([0.0, 0.25, 1.0, 4.0])


def hold(curve, exact, width=2.0 * SHARP):
    """Require a proof that is sharp and true at each lag."""
    assert curve.certified, curve.reason
    assert (curve.lower <= exact + 1e-15).all(), (curve.lower, exact)
    assert (exact - 1e-15 <= curve.upper).all(), (curve.upper, exact)
    assert (curve.upper - curve.lower <= width).all()
    assert ((curve.lower <= curve.value) & (curve.value <= curve.upper)).all()


def immigration_death(birth=9.0, death=1.0):
    return network({"X": 9}, ("0 -> X", "mass_action", birth), ("X -> 0", "mass_action", death))


def gene(k=2.0, g=1.0, kp=3.0, gp=0.25):
    return network(
        {"M": 0, "P": 0},
        ("0 -> M", "mass_action", k),
        ("M -> 0", "mass_action", g),
        ("M -> M + P", "mass_action", kp),
        ("P -> 0", "mass_action", gp),
    )


@pytest.mark.parametrize("death", [0.5, 1.0, 3.0])
def test_immigration_and_death_forgets_exponentially(death):
    """Cov = m exp(-g τ), a Lorentzian spectrum: as an Ornstein-Uhlenbeck process of the same mean and rate."""
    mean = 9.0 / death
    found = fsp.correlation(immigration_death(9.0, death), "X", LAGS)
    hold(found.correlation, np.exp(-death * LAGS))
    assert (found.covariance.lower <= mean * np.exp(-death * LAGS)).all()
    assert (mean * np.exp(-death * LAGS) <= found.covariance.upper).all()
    assert found.means[0].lower <= mean <= found.means[0].upper
    assert found.variances[0].lower <= mean <= found.variances[0].upper
    omega = np.array([0.0, 0.1, 1.0, 30.0])
    power = found.spectrum(omega)
    assert power.value == pytest.approx(2.0 * mean * death / (death**2 + omega**2), rel=1e-7)
    assert (power.residual < 1e-10).all()


def test_switching_between_two_states_is_a_telegraph():
    model = network({"A": 1, "B": 0}, ("A -> B", "mass_action", 0.3), ("B -> A", "mass_action", 0.7))
    share = 0.7
    found = fsp.correlation(model, "A > 0", LAGS)
    hold(found.correlation, np.exp(-LAGS))
    hold(found.covariance, share * (1 - share) * np.exp(-LAGS))
    other = fsp.correlation(model, "A", LAGS, with_="B")
    hold(other.correlation, -np.exp(-LAGS))


def test_a_gene_of_two_stages_has_its_correlations_and_spectrum():
    """Linear noise is exact: dC/dτ = C Jᵀ from the stationary covariances, and S = (iω - J)⁻¹ D (iω - J)⁻*."""
    k, g, kp, gp = 2.0, 1.0, 3.0, 0.25
    model = gene(k, g, kp, gp)
    m, p = k / g, k * kp / (g * gp)
    J = np.array([[-g, 0.0], [kp, -gp]])
    C = np.array([[m, kp * m / (g + gp)], [kp * m / (g + gp), p + kp**2 * m / (gp * (g + gp))]])
    D = np.diag([2 * g * m, 2 * gp * p])
    omega = np.array([0.0, 0.2, 1.5])
    S = [np.linalg.inv(1j * w * np.eye(2) - J) @ D @ np.linalg.inv(1j * w * np.eye(2) - J).conj().T for w in omega]
    for i, j in ((0, 1), (1, 1)):
        found = fsp.correlation(model, "MP"[i], LAGS, with_="MP"[j])
        exact = np.array([(expm(J * lag) @ C)[j, i] for lag in LAGS])
        hold(found.correlation, exact / math.sqrt(C[i, i] * C[j, j]))
        assert found.spectrum(omega).value == pytest.approx(np.array([s[j, i] for s in S]), rel=1e-6)


def test_observables_may_be_formulas_and_are_unbounded_beyond_what_is_stored():
    """X(X - 1) under a Poisson law: its covariance is 4 m³ ρ + 2 m² ρ² with ρ = exp(-τ), by Charlier polynomials."""
    mean, rho = 3.0, np.exp(-LAGS)
    found = fsp.correlation(immigration_death(mean, 1.0), "X*(X - 1)", LAGS)
    exact = 4 * mean**3 * rho + 2 * mean**2 * rho**2
    hold(found.correlation, exact / exact[0])
    with pytest.raises(fsp.ArgumentError, match="must be finite"):
        fsp.correlation(immigration_death(), "1/X", [1.0])


def test_what_does_not_vary_has_no_correlation():
    found = fsp.correlation(immigration_death(), "X - X", [0.0, 1.0])
    assert found.covariance.certified
    assert (found.covariance.lower <= 0.0).all()
    assert (found.covariance.upper >= 0.0).all()
    assert (found.covariance.upper <= 1e-7).all()
    assert not found.correlation.certified
    assert "variance may be zero" in found.correlation.reason


def test_products_have_bounds_for_laws_that_are_off():
    """Half a law: each bound is reached by one that the stored numbers allow."""
    space = fsp.StateSpace.from_states(("X",), np.array([[0], [1], [2]]))
    a, b = np.array([-1.0, 0.0, 2.0]), np.array([-2.0, 1.0, 3.0])
    p, lower, upper = np.array([0.2, 0.3, 0.1]), np.array([0.1, 0.3, 0.05]), np.array([0.3, 0.4, 0.2])
    first, second = ObservedLaw(a, p, lower, upper, 4.0, 0.25), ObservedLaw(b, p, lower, upper, 9.0, 0.25)
    assert first.gap == pytest.approx(0.1 + 2.0 * 0.1)
    assert first.square_above == pytest.approx(0.3 + 0.8 + 4.0)
    assert first.mean[0] == pytest.approx(0.1 - 0.3 - 1.0)
    assert first.mean[1] == pytest.approx(0.4 - 0.1 + 1.0)
    outer = math.sqrt(first.square_above * 9.0) + math.sqrt(4.0 * second.square_above)
    assert around(first, second) == pytest.approx(3.0 * first.gap + outer)
    law = fsp.Distribution(space.states, np.array([0.5, 0.0, 0.25]), ("X",), t=1.0, error=fsp.ErrorLedger(0.45))
    solution = fsp.Solution([law], tol=0.5, solver="none")
    value, low, high = part(solution, space, b, 2.0)[:, 0]
    assert value == pytest.approx(2.0 * (-1.0 + 0.75))
    assert low == pytest.approx(2.0 * (-0.25 - 0.1 * 3.0 - 0.35 * 2.0))
    assert high == pytest.approx(2.0 * (-0.25 + 0.35 * 3.0 + 0.1 * 2.0))
    coefficient = quotient(Interval(-1.0, 2.0, 0.5, True), Interval(4.0, 9.0, 5.0, True), Interval(1.0, 1.0, 1.0, True))
    assert coefficient.lower == pytest.approx(-0.5)
    assert coefficient.upper == pytest.approx(1.0)


def test_costs_are_paid_for_where_all_excepted_states_are_stored():
    """The mean square of a Poisson count beyond what is stored; f pays for nothing at the states that it excepts."""
    model = immigration_death(3.0, 1.0).with_initial(X=0)
    paid = paying(model, drift_condition(model), Observable.read(model, "X", "observable").cost)
    assert paid is not None
    for most in (int(paid.states.max()) - 1, int(paid.states.max()) + 3):
        generator = fsp.Generator(model, fsp.StateSpace.reachable(model, constraints=[f"X <= {most}"]))
        n = np.arange(most + 60)
        pi = np.exp(-3.0) * np.cumprod(np.concatenate([[1.0], 3.0 / n[1:]]))
        law = pi[: most + 1]
        bound = StationaryLaw(generator, law, law, law, float(pi[most + 1 :].sum())).beyond(paid)
        if most < paid.states.max():
            assert bound == math.inf
        else:
            exact = float((pi * n**2)[most + 1 :].sum())
            assert exact <= bound < 1e5 * exact


@settings(max_examples=25, deadline=None)
@given(described=closed_networks())
def test_random_finite_networks_agree_with_dense_exponentials(described):
    model = as_model(described)
    space = fsp.StateSpace.reachable(model)
    matrix = fsp.Generator(model, space).to_csr()
    assume(1 < len(space) < 200)
    assume(len(closed_classes(matrix).members) == 1)
    A = matrix.toarray()
    pi = np.linalg.lstsq(np.vstack([A, np.ones(len(A))]), np.append(np.zeros(len(A)), 1.0), rcond=None)[0]
    a, b = space.states[:, 0].astype(float), space.states[:, 1].astype(float)
    first, second = model.species[:2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fsp.ToleranceWarning)  # of observables that hardly vary
        found = fsp.correlation(model, first, LAGS, with_=second)
    for k, lag in enumerate(LAGS):
        exact = b @ expm(A * lag) @ (a * pi) - (a @ pi) * (b @ pi)
        assert found.covariance.lower[k] <= exact + ROUNDED
        assert exact <= found.covariance.upper[k] + ROUNDED


@settings(max_examples=4, deadline=None)
@given(described=open_networks().filter(lambda drawn: len(drawn["species"]) < 3))
def test_random_open_networks_agree_with_moment_equations_and_themselves(described):
    """At lag 0 the covariance is the variance of the stationary law; two tolerances agree within their bounds."""
    model = as_model(described)
    name = model.species[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fsp.ToleranceWarning)
        loose = fsp.correlation(model, name, LAGS, tol=1e-2, max_states=1000)
        tight = fsp.correlation(model, name, LAGS, tol=1e-5, max_states=1000)
    spread = fsp.stationary(model, tol=1e-6).variance_interval()[name]
    assert tight.covariance[0].lower <= spread.upper
    assert spread.lower <= tight.covariance[0].upper
    assert (loose.covariance.lower <= tight.covariance.upper).all()
    assert (tight.covariance.lower <= loose.covariance.upper).all()


def test_an_estimated_law_has_estimated_correlations():
    model = fsp.Model(
        species={"X": 2},
        reactions=[
            fsp.Reaction({"X": 1}, rate=lambda x: 3.0 + 0.0 * x["X"]),
            fsp.Reaction({"X": -1}, rate=lambda x: 1.0 * x["X"] * np.where(x["X"] % 2 == 0, 1.0, 1.0)),
            fsp.Reaction("2 X -> X", mass_action=0.0),
            fsp.Reaction({"X": 2}, rate=lambda x: 0.0 * x["X"]),
        ],
    )
    found = fsp.correlation(model, "X", LAGS)
    assert not found.covariance.certified
    assert "estimate" in str(found)
    assert found.correlation.value == pytest.approx(np.exp(-LAGS), abs=1e-4)


def test_bad_questions_are_refused():
    model = immigration_death()
    for call, message in (
        (lambda: fsp.correlation(model, "X", [2.0, 1.0]), "must increase"),
        (lambda: fsp.correlation(model, "X", [-1.0]), "must"),
        (lambda: fsp.correlation(model, "Z", [1.0]), "needs 'Z'"),
        (lambda: fsp.correlation(model, 3, [1.0]), "`observable` must be a formula"),
        (lambda: fsp.correlation(model, "X", [1.0], with_=3), "`with_` must be a formula"),
        (lambda: fsp.correlation(model, "X", [1.0], tol=2.0), "`tol` must be"),
        (lambda: fsp.correlation(model, "X", [1.0]).spectrum([math.nan]), "must be finite"),
    ):
        with pytest.raises(fsp.ArgumentError, match=message):
            call()
    timed = network({"X": 5}, ("0 -> X", "rate", "1 + sin(time)"), ("X -> 0", "mass_action", 1.0))
    with pytest.raises(fsp.BackendError, match="depend on time"):
        fsp.correlation(timed, "X", [1.0])


def test_command_prints_and_draws(tmp_path):
    path, picture = tmp_path / "m.ant", tmp_path / "c.png"
    path.write_text("model m()\n species X; X = 9\n => X; 9\n X => ; X\nend\n")
    words = ["correlation", str(path), "--of", "X", "--lags", "0,1", "--spectrum", "0", "--counts", "as-is", "--quiet"]
    shown = CliRunner().invoke(main, [*words, "--plot", str(picture)])
    assert shown.exit_code == 0, shown.output
    assert "lag 1: covariance [3.31" in shown.output
    assert "spectrum at 0: [17.9999999" in shown.output
    assert picture.stat().st_size > 1000
    record = json.loads(CliRunner().invoke(main, [*words, "--with", "X > 9", "--json"]).output)
    assert record["correlation"][0]["certified"]
    assert record["observables"] == ["X", "X > 9"]
    assert record["spectrum"][0]["certified"]
    assert record["spectrum"][0]["radius"] < 1e-6
    assert CliRunner().invoke(main, words[:4]).exit_code == 2
