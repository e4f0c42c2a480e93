"""The Fokker–Planck equation as a chain: closed forms, independent figures, orders in the volume, conservation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from random_networks import as_model, closed_networks
from scipy.integrate import quad, solve_ivp, trapezoid
from written_networks import network

import fsp
from fsp.approximation import extrapolation
from fsp.approximation.lattice import lattice, on_counts
from fsp.approximation.scaling import ScaledNetwork

BIRTHS = network({"X": 0}, ("0 -> X", "mass_action", 10.0), ("X -> 0", "mass_action", 1.0))
PAIRS = network({"X": 5}, ("0 -> X", "mass_action", 10.0), ("2 X -> 0", "mass_action", 0.5))


def dense(states, probabilities, n):
    found = np.zeros(n)
    found[states[:, 0]] = probabilities
    return found


def stationary_density(drift, diffusion, top):
    """Return the density with no flux at 0: exp(∫ 2 A/B)/B, which moments and probabilities are integrals of."""
    grid = np.linspace(0.0, top, 20_001)
    slope = 2.0 * drift(grid) / diffusion(grid)
    potential = np.concatenate([[0.0], np.cumsum(0.5 * (slope[1:] + slope[:-1]) * np.diff(grid))])
    density = np.exp(potential - potential.max()) / diffusion(grid)
    return grid, density / trapezoid(density, grid)


@pytest.mark.parametrize(
    ("cells", "distance"), [(1, 0.132), (2, 0.041), (4, 0.0112), (8, 0.00473), (16, 0.00436)]
)  # by another program
def test_distances_of_an_independent_computation(cells, distance):
    exact = fsp.transient(BIRTHS, 5.0, 1e-9)[-1]
    found = fsp.fokker_planck(BIRTHS, 5.0, 1 / cells, tol=1e-8)[-1]
    assert found.distance(exact) == pytest.approx(distance, rel=5e-3)
    assert not found.error.certified


@pytest.mark.parametrize(
    ("scheme", "spread"), [("central", lambda h: 1.0), ("scharfetter-gummel", lambda h: h / np.tanh(h))]
)
@pytest.mark.parametrize("cells", [2, 8])
def test_moments_of_immigration_and_death_on_a_lattice(scheme, spread, cells):
    """Cumulants of a linear network obey linear equations; a hop of 1/V has the moments 1, `spread`, h²."""
    model = network({"X": 150}, ("0 -> X", "mass_action", 100.0), ("X -> 0", "mass_action", 1.0))
    h, times = 1.0 / cells, [0.2, 1.0]
    c = spread(h)

    def slope(t, k):
        return [100.0 - k[0], -2 * k[1] + c * (100.0 + k[0]), -3 * k[2] + 3 * c * k[1] + h * h * (100.0 - k[0])]

    expected = solve_ivp(slope, (0, 1), [150.0, 0, 0], t_eval=times, rtol=1e-11, atol=1e-10).y.T
    for d, (mean, variance, third) in zip(
        fsp.transient(lattice(model, cells, scheme), times, 1e-9), expected, strict=True
    ):
        x = h * d.states[:, 0]
        p = d.probabilities / d.mass
        assert p @ x == pytest.approx(mean, rel=1e-8)
        assert p @ (x - mean) ** 2 == pytest.approx(variance, rel=5e-8)
        assert p @ (x - mean) ** 3 == pytest.approx(third, rel=5e-6, abs=1e-6)


def test_at_spacing_one_the_central_hops_are_the_reactions():
    exact, own = (fsp.transient(m, 1.0, 1e-9)[-1] for m in (PAIRS, lattice(PAIRS, 1)))
    assert own.distance(exact) <= own.error.total + exact.error.total + 1e-12


@pytest.mark.parametrize(
    ("model", "drift", "diffusion", "top", "spacing"),
    [
        (BIRTHS, lambda x: 10 - x, lambda x: 10 + x, 60.0, 1 / 8),
        (
            network(
                {"X": 30},
                ("2 X -> 3 X", "mass_action", 0.03),
                ("3 X -> 2 X", "mass_action", 1e-3),
                ("0 -> X", "mass_action", 20.0),
                ("X -> 0", "mass_action", 1.0),
            ),
            lambda x: (
                0.015 * x * np.maximum(x - 1, 0) - 1e-3 / 6 * x * np.maximum(x - 1, 0) * np.maximum(x - 2, 0) + 20 - x
            ),
            lambda x: (
                0.015 * x * np.maximum(x - 1, 0) + 1e-3 / 6 * x * np.maximum(x - 1, 0) * np.maximum(x - 2, 0) + 20 + x
            ),
            240.0,
            1 / 4,
        ),
    ],
)
def test_stationary_densities_in_closed_form(model, drift, diffusion, top, spacing):
    grid, density = stationary_density(drift, diffusion, top)
    found = fsp.fokker_planck(model, None, spacing, tol=1e-9, scheme="central")
    assert all(d.error.certified for row in found.lattices for d in row)
    assert not found[-1].error.certified
    mean = trapezoid(grid * density, grid)
    variance = trapezoid((grid - mean) ** 2 * density, grid)
    for (value, error), exact in ((found.mean(), mean), (found.covariance(), variance)):
        assert value.item() == pytest.approx(exact, abs=2 * error.item() + 1e-6 * exact)
    edges = np.concatenate([[0.0], np.arange(top) + 0.5])
    cumulated = np.interp(
        edges, grid, np.concatenate([[0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(grid))])
    )
    gap = np.abs(dense(found[-1].states, found[-1].probabilities, 400)[: int(top)] - np.diff(cumulated)).sum()
    assert gap <= found.mesh[0] + 1e-6
    assert found.mesh[0] < 2e-3


def test_orders_in_the_volume_without_detailed_balance():
    """Fokker–Planck's mean concentration is off by V⁻², linear noise's by V⁻¹; variances both by V⁻²."""
    noise, own = fsp.linear_noise(PAIRS, next_order=False), ScaledNetwork(PAIRS)
    gaps = []
    for V in (4, 8, 16):
        exact, found = (
            fsp.stationary(own.model_in(V), 1e-11),
            fsp.fokker_planck(own.model_in(V), None, 1 / 4, tol=1e-10, scheme="central"),
        )
        mean, variance = exact.mean()["X"], exact.variance()["X"]
        assert found.mean()[1].item() < 1e-6
        gaps.append(
            [
                abs(found.mean()[0].item() - mean) / V,
                abs(found.covariance()[0].item() - variance) / V**2,
                abs(noise.mean(V).item() - mean) / V,
                abs(noise.covariance(V).item() - variance) / V**2,
            ]
        )
    slopes = np.diff(np.log(gaps), axis=0) / np.log(2)
    np.testing.assert_allclose(slopes, [[-2, -2, -1, -2]] * 2, atol=0.05)


def test_orders_in_the_volume_with_detailed_balance():
    """Mean concentrations and variances are then right to V⁻² at least: off by V⁻³."""
    model = network({"A": 40, "B": 0}, ("2 A -> B", "mass_action", 0.03), ("B -> 2 A", "mass_action", 0.4))
    own, gaps = ScaledNetwork(model), []
    for V in (1, 2, 4):
        exact, found = (
            fsp.stationary(own.model_in(V), 1e-12),
            fsp.fokker_planck(own.model_in(V), None, 1 / 8, tol=1e-11, scheme="central"),
        )
        mean, variance = (
            found.mean()[0][0, 1] - exact.mean()["B"],
            found.covariance()[0][0, 1, 1] - exact.variance()["B"],
        )
        assert found.mean()[1][0, 1] < 0.1 * abs(mean)
        gaps.append([abs(mean) / V, abs(variance) / V**2])
    np.testing.assert_allclose(np.diff(np.log(gaps), axis=0) / np.log(2), -3.0, atol=0.1)


@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(closed_networks())
def test_random_networks_keep_probability_and_their_laws(drawn):
    model = as_model(drawn)
    chain = lattice(model, 2)
    own = fsp.transient(chain, 0.7, 1e-8)[-1]
    assert (own.probabilities >= 0).all()
    assert own.mass == pytest.approx(1.0, abs=1e-8)
    for law in model.conservation_laws:
        assert (own.states @ law == 2 * (model.initial_states @ law)).all()
    states, p = on_counts(own.states, own.probabilities, 2)
    assert p.sum() == pytest.approx(own.mass, abs=1e-14)
    assert (states >= 0).all()


def test_what_cannot_happen_for_want_of_molecules_does_not():
    """Between 1 and 2 counts x (x - 1) (x - 2) is negative, between 0 and 1 positive: neither is a rate."""
    chain = lattice(network({"X": 6}, ("3 X -> 2 X", "mass_action", 1.0)), 4)
    x = np.arange(25)[:, None]
    rates = chain.propensities(x)
    assert (rates[:, :9] == 0).all()
    assert (rates[:, 9:] > 0).all()
    chain = lattice(network({"A": 4, "B": 0}, ("A -> B", "rate", "A*(6 - A)")), 2)
    assert chain.propensities([[13, 0]]).max() == 0.0
    assert chain.propensities([[4, 0]]).tolist() == [[24.0], [0.0]]  # no hop back from B = 0


def test_two_species_against_the_moments_of_a_linear_network():
    model = network({"M": 9, "P": 12}, ("0 -> M", "mass_action", 9.0), ("M -> 0", "mass_action", 1.0),
                    ("M -> M + P", "mass_action", 1.5), ("P -> 0", "mass_action", 1.0))  # fmt: skip
    noise, found = fsp.linear_noise(model, 0.4), fsp.fokker_planck(model, 0.4, 1 / 2, tol=1e-7, scheme="central")
    np.testing.assert_allclose(found.mean()[0], noise.mean(), rtol=1e-5)
    np.testing.assert_allclose(found.covariance()[0], noise.covariance(), rtol=1e-4)
    assert found.species == ("M", "P")


def test_it_starts_in_distributions_and_prints():
    model = fsp.Model(
        species=["X"], reactions=[fsp.Reaction("X -> 0", mass_action=1.0)], initial={(4,): 0.5, (8,): 0.5}
    )
    found = fsp.fokker_planck(model, [0.0, 0.5], 1 / 4, scheme="central")
    np.testing.assert_allclose(found.mean()[0][:, 0], [6.0, 6.0 * np.exp(-0.5)], rtol=1e-6)
    text = str(found)
    assert "lattices of spacing 1, 0.5, 0.25 (central)" in text
    assert "spacing ≈" in text
    assert len(found) == 2
    assert "estimate of what the spacing does" in " ".join(found[-1].notes)


@pytest.mark.parametrize("spacing", [0.3, 2, 0, -0.5, "1/8", 2**-11])
def test_spacings_are_halves_of_halves(spacing):
    with pytest.raises(fsp.ArgumentError, match="`spacing` must be 1, 1/2, 1/4"):
        fsp.fokker_planck(BIRTHS, 1.0, spacing)


def test_what_has_no_equation_is_refused():
    with pytest.raises(fsp.ArgumentError, match="`scheme` must be one of central, scharfetter-gummel"):
        fsp.fokker_planck(BIRTHS, 1.0, scheme="upwind")
    with pytest.raises(fsp.ArgumentError, match="at most 3 species"):
        fsp.fokker_planck(network(dict.fromkeys("ABCD", 1), ("A -> B", "mass_action", 1.0)), 1.0)
    with pytest.raises(fsp.ModelError, match="condition or switch"):
        fsp.fokker_planck(network({"X": 5}, ("X -> 0", "rate", "X*(X > 2)")), 1.0)
    with pytest.raises(fsp.ModelError, match="is a callable"):
        fsp.fokker_planck(network({"X": 5}, ("X -> 0", "rate", lambda x: x["X"])), 1.0)
    event = fsp.Model(
        species={"X": 5},
        reactions=[fsp.Reaction("X -> 0", rate="X")],
        events=[fsp.Event("time > 1", {"X": "0"}, name="e")],
    )
    with pytest.raises(fsp.ModelError, match="no events"):
        fsp.fokker_planck(event, 1.0)


def test_quadrature_of_the_test_itself():
    grid, density = stationary_density(lambda x: 10 - x, lambda x: 10 + x, 60.0)
    norm = quad(lambda x: (10 + x) ** 39 * np.exp(-2 * x) / 1e60, 0, 60)[0]
    mean = quad(lambda x: x * (10 + x) ** 39 * np.exp(-2 * x) / 1e60, 0, 60)[0] / norm
    assert trapezoid(grid * density, grid) == pytest.approx(mean, rel=1e-6)


# ---- the parts


@pytest.mark.parametrize("cells", [1, 2, 8])
def test_hops_have_the_drift_and_variance_of_the_propensity(cells):
    h = 1.0 / cells
    for scheme, spread in (("central", 1.0), ("scharfetter-gummel", h / np.tanh(h))):
        chain = lattice(PAIRS, cells, scheme)
        rates = chain.propensities([[7 * cells]])[:, 0]
        jumps = h * chain.change[:, 0]
        assert rates @ jumps == pytest.approx(10.0 - 2 * 0.25 * 7 * 6)
        assert rates @ jumps**2 == pytest.approx(spread * (10.0 + 4 * 0.25 * 7 * 6))


def test_cells_half_way_are_shared():
    states, p = on_counts(np.array([[0], [1], [2], [3], [5]]), np.array([0.1, 0.2, 0.3, 0.15, 0.25]), 2)
    assert states[:, 0].tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(p, [0.2, 0.475, 0.2, 0.125], atol=1e-15)


@pytest.mark.parametrize(
    ("scheme", "z"), [("central", lambda h: h**2), ("scharfetter-gummel", lambda h: h / np.tanh(h) - 1)]
)
def test_extrapolation_is_exact_for_two_powers(scheme, z):
    hs = np.array([0.5, 0.25, 0.125])
    for boundary, own in ((False, z(hs) ** 2), (True, hs)):
        values = (3.0 + 2 * z(hs) - 5 * own)[:, None]
        best, off = extrapolation.moments(values, hs, scheme, shares=np.ones(3), boundary=boundary)
        np.testing.assert_allclose(best, 3.0, rtol=1e-12)
        assert 0 < off.item() < 2


# ---- what the spacing leaves


@pytest.mark.parametrize("scheme", ["central", "scharfetter-gummel"])
@pytest.mark.parametrize(("rate", "start"), [(60.0, 40), (200.0, 300)])
def test_moments_of_immigration_and_death_in_closed_form_by_default(scheme, rate, start):
    """Away from zero; means and variances to 1e-8, within what is said of their errors."""
    model = network({"X": start}, ("0 -> X", "mass_action", rate), ("X -> 0", "mass_action", 1.0))
    found, left = fsp.fokker_planck(model, [0.5, 2.0], scheme=scheme), np.exp([-0.5, -2.0])
    mean = rate * (1 - left) + start * left
    variance = rate * (1 - left) + start * left * (1 - left)
    for (value, off), exact in ((found.mean(), mean), (found.covariance(), variance)):
        np.testing.assert_allclose(value.ravel(), exact, rtol=1e-8)
        assert (np.abs(value.ravel() - exact) <= off.ravel()).all()
        assert (off.ravel() <= 1e-6 * exact).all()


@pytest.mark.parametrize("scheme", ["central", "scharfetter-gummel"])
@pytest.mark.parametrize("rate", [1.0, 2.0, 5.0, 10.0])
@pytest.mark.parametrize("cells", [2, 4, 8])
def test_moments_with_probability_at_zero_lie_within_their_errors(scheme, rate, cells):
    grid, density = stationary_density(lambda x: rate - x, lambda x: rate + x, 70.0)
    model = network({"X": 1}, ("0 -> X", "mass_action", rate), ("X -> 0", "mass_action", 1.0))
    found = fsp.fokker_planck(model, None, 1 / cells, scheme=scheme)
    mean = trapezoid(grid * density, grid)
    variance = trapezoid((grid - mean) ** 2 * density, grid)
    for (value, off), exact in ((found.mean(), mean), (found.covariance(), variance)):
        assert abs(value.item() - exact) <= off.item() + 1e-7
        if cells > 2:
            assert off.item() < 0.2 * exact


@pytest.mark.parametrize("rate", [2.0, 10.0])
def test_laws_are_extrapolated_to_spacing_zero(rate):
    grid, density = stationary_density(lambda x: rate - x, lambda x: rate + x, 70.0)
    cumulated = np.concatenate([[0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(grid))])
    exact = np.diff(np.interp(np.concatenate([[0.0], np.arange(69) + 0.5]), grid, cumulated))
    model = network({"X": 1}, ("0 -> X", "mass_action", rate), ("X -> 0", "mass_action", 1.0))
    for spacing in (1 / 4, 1 / 8):
        found = fsp.fokker_planck(model, None, spacing)
        gaps = [np.abs(dense(d.states, d.probabilities, 300)[:69] - exact).sum()
                for d in (found.extrapolated[0], found[0])]  # fmt: skip
        assert gaps[0] < 0.7 * gaps[1]
        assert gaps[0] <= found.extrapolated[0].error.total
        assert gaps[1] <= found[0].error.total
    assert found.extrapolated[0].mass == pytest.approx(1.0, abs=1e-8)


def test_the_change_is_below_a_thousandth_by_default():
    """Of the extrapolated law, and of the distance from the master equation, at mean 10."""
    exact = fsp.transient(BIRTHS, 5.0, 1e-9)[-1]
    usual, finer = fsp.fokker_planck(BIRTHS, 5.0), fsp.fokker_planck(BIRTHS, 5.0, 1 / 16)
    assert usual.extrapolated[-1].error.total < 1e-3
    assert usual.extrapolated[-1].distance(finer.extrapolated[-1]) < 1e-3
    assert abs(usual[-1].distance(exact) - finer[-1].distance(exact)) < 1e-3


def test_at_spacing_one_central_hops_are_no_fokker_planck_equation():
    with pytest.raises(fsp.ArgumentError, match=r"below 1 for central hops.*the master equation"):
        fsp.fokker_planck(BIRTHS, 1.0, 1, scheme="central")
    assert np.isinf(fsp.fokker_planck(BIRTHS, 1.0, 1).mean()[1]).all()
