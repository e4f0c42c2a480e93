"""Spectra with bounds against closed forms and dense resolvents, and the arithmetic of discs."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_networks import as_model, closed_networks
from written_networks import network

import fsp
from fsp.chains.classes import closed_classes
from fsp.distribution.correlation import Spectrum
from fsp.moments.lyapunov import drift_condition
from fsp.passages.discs import Disc
from fsp.passages.observables import Observable
from fsp.passages.products import ObservedLaw
from fsp.passages.resolvent import Excursions
from fsp.passages.spectrum import PATIENCE, Spectra, _SpectrumJudge
from fsp.passages.stationary_law import StationaryLawCertifier, met

SHARP = 1e-6  # relative width of a spectrum
ROUNDED = 1e-10  # relative error of the dense algebra
OMEGA = np.array([0.0, 0.2, 1.5, 30.0])


def hold(found, exact, width=SHARP):
    """Require a proof that is sharp and true at each frequency."""
    assert found.certified, found.reason
    size = np.abs(exact)
    assert (np.abs(found.value - exact) <= found.radius + 1e-14 * size).all(), (found.value - exact, found.radius)
    assert (found.radius <= 0.5 * width * size).all(), found.radius / size


@pytest.mark.parametrize("death", [0.5, 1.0, 3.0])
def test_immigration_and_death_has_a_lorentzian(death):
    model = network({"X": 9}, ("0 -> X", "mass_action", 9.0), ("X -> 0", "mass_action", death))
    found = fsp.correlation(model, "X", [0.0]).spectrum(OMEGA)
    exact = 18.0 / (death**2 + OMEGA**2)
    hold(found, exact)
    assert all(one.lower <= x <= one.upper for one, x in zip(found, exact, strict=True))


def test_a_gene_of_two_stages_has_the_spectra_of_linear_noise():
    """S = (iω - J)⁻¹ D (iω - J)⁻*, which is exact as rates are linear; no detailed balance."""
    k, g, kp, gp = 2.0, 1.0, 3.0, 0.25
    model = network(
        {"M": 0, "P": 0},
        ("0 -> M", "mass_action", k),
        ("M -> 0", "mass_action", g),
        ("M -> M + P", "mass_action", kp),
        ("P -> 0", "mass_action", gp),
    )
    J = np.array([[-g, 0.0], [kp, -gp]])
    D = np.diag([2 * k, 2 * k * kp / g])
    S = [np.linalg.inv(1j * w * np.eye(2) - J) @ D @ np.linalg.inv(1j * w * np.eye(2) - J).conj().T for w in OMEGA]
    for i, j in ((1, 1), (0, 1)):
        found = fsp.correlation(model, "MP"[i], [0.0], with_="MP"[j]).spectrum(OMEGA[:3])
        hold(found, np.array([s[j, i] for s in S[:3]]))
        assert ("spectrum at 0: [767.99999" if i == j else ", off by at most ") in str(found)


def test_a_ring_turns_in_one_direction():
    """One molecule around three states: the spectrum of being in the first one has a peak, exactly known."""
    model = network(
        {"A": 1, "B": 0, "C": 0},
        ("A -> B", "mass_action", 1.0),
        ("B -> C", "mass_action", 1.0),
        ("C -> A", "mass_action", 1.0),
    )
    found = fsp.correlation(model, "A", [0.0]).spectrum(OMEGA)
    turn = np.exp(2j * np.pi / 3)
    exact = sum(2.0 / 9.0 * (1.0 / (1j * OMEGA + 1.0 - turn**k)).real for k in (1, 2))
    hold(found, exact, 1e-9)


@pytest.mark.parametrize("tol", [1e-2, 1e-4])
def test_a_space_grows_until_its_spectrum_is_sharp(tol):
    """A law that is known to a hundredth leaves a seventh of the spectrum open."""
    model = network({"X": 9}, ("0 -> X", "mass_action", 9.0), ("X -> 0", "mass_action", 1.0))
    hold(fsp.correlation(model, "X", [0.0], tol=tol).spectrum(OMEGA), 18.0 / (1.0 + OMEGA**2), 2.0 * tol)


def judged(tol, radii, outside):
    """Return the spectra that are looked at, and the best of them: of size one, with (m, k) radii on m spaces."""
    judge, seen = _SpectrumJudge(tol), []
    for radius, beyond in zip(np.asarray(radii, dtype=float), outside, strict=True):
        ones, zeros = np.ones(len(radius)), np.zeros(len(radius))
        seen.append(Spectrum(zeros, ones, zeros, radius, bool(np.isfinite(radius).any()), ""))
        step = judge.judge(SimpleNamespace(spectrum=seen[-1], rest=SimpleNamespace(outside=beyond)), None)
        if step is None:
            return seen, judge.best
        assert step.error.truncation == min(2.0, beyond)
    pytest.fail("growing does not end")


def test_growing_ends_where_it_is_sharp_or_of_no_use():
    """Halves are of use, as are frequencies that become known, or what comes nearer to being known."""
    halves = [[2.0**-k] * 2 for k in range(40)]
    seen, best = judged(1e-6, halves, np.ones(40))
    assert len(seen) == 21
    assert best is seen[-1]
    assert len(judged(1e-6, [[0.1, 0.1]] * 40, np.ones(40))[0]) == 1 + PATIENCE
    unknown = [[math.inf, 0.1]] * 9 + [[0.1, 0.1]] * 40
    seen, best = judged(1e-6, unknown, 0.5 ** np.arange(49))
    assert len(seen) == 10 + PATIENCE
    assert best is seen[9]
    pauses = [[2.0 ** -(k // 2)] * 2 for k in range(50)]  # every second growth is of no use
    assert len(judged(1e-6, pauses, np.ones(50))[0]) == 41


def test_the_best_is_that_of_fewest_unknown_frequencies_and_then_the_sharpest(rng):
    for _ in range(50):
        radii = np.where(rng.random((60, 3)) < 0.3, math.inf, rng.random((60, 3)))
        seen, best = judged(1e-9, radii, np.ones(60))
        unknown = [int(np.isinf(found.radius).sum()) for found in seen]
        widths = [found.radius[np.isfinite(found.radius)].max(initial=0.0) for found in seen]
        assert best is seen[min(range(len(seen)), key=lambda k: (unknown[k], widths[k]))]


def small(most):
    """Return excursions of a Poisson count of mean 3.3 on the states up to `most`, and the functions that pay."""
    model = network({"X": 3}, ("0 -> X", "mass_action", 3.3), ("X -> 0", "mass_action", 1.0))
    condition = drift_condition(model)
    space = fsp.StateSpace.reachable(model, constraints=[f"X <= {most}"])
    n = np.arange(most + 60)
    pi = np.exp(-3.3) * np.cumprod(np.concatenate([[1.0], 3.3 / n[1:]]))
    observable = replace(Observable.read(model, "X", "observable"), middle=3.3)
    rest = StationaryLawCertifier(model, condition).attempt(space, None)
    beyond = float((pi * (n - observable.middle) ** 2)[most + 1 :].sum())
    law = ObservedLaw(
        observable.values(rest.generator.space.states), rest.p, rest.lower, rest.upper, beyond, rest.outside
    )
    functions = Spectra(model, (observable, observable), None, None, condition, SHARP).paid
    paid = [met(f, space, rest.generator) for f in functions]
    return Excursions(rest, (law, law), paid), functions


def least():
    """Return the last of the states that have to be stored."""
    return max(int(f.states.max()) for f in small(60)[1])


@pytest.mark.parametrize("more", [20, 21])
def test_bounds_hold_where_much_lies_outside(more):
    """Truncation is what is off there, by far more than rounding, and no bound is less than that."""
    slow = OMEGA[:3]
    found, exact = small(least() + more)[0].spectrum(slow), 6.6 / (1.0 + slow**2)
    assert found.certified
    apart = np.abs(found.value - exact)
    assert (apart <= found.radius).all()
    assert apart[0] > 1e-12


@pytest.mark.parametrize("omega", [0.0, 1.5])
def test_what_happens_outside_is_in_each_bound(omega):
    """On a space that is hardly large enough g is off by what leaves it, and the mean by what it lacks: (2), (3)."""
    few, many = small(least() + 18)[0], small(least() + 90)[0]
    near, far = (own._solved([np.ones(len(own._rest.p)), own._laws[0].values], omega)[0] for own in (few, many))
    n, pi = len(few._laws[0].p), many._rest.p
    for own, exact in zip(near, far, strict=True):
        assert (np.abs(exact.v[:n] - own.v) <= own.off).all()
        assert np.abs(exact.v[:n] - own.v)[-1] > 0.1  # next to the boundary
        outside = float(np.abs(pi * many._laws[0].values * exact.v)[n:].sum())
        assert 1e-12 < outside <= few._outside


def test_a_space_that_lacks_what_is_excepted_has_no_bound():
    found = small(least() - 1)[0].spectrum(OMEGA)
    assert not found.certified
    assert np.isinf(found.radius).all()
    assert "not stored" in found.reason
    assert "≈" in str(found)


@settings(max_examples=15, deadline=None)
@given(described=closed_networks())
def test_random_finite_networks_agree_with_dense_resolvents(described):
    model = as_model(described)
    space = fsp.StateSpace.reachable(model)
    A = fsp.Generator(model, space).to_csr()
    assume(1 < len(space) < 60)
    assume(len(closed_classes(A).members) == 1)
    A = A.toarray()
    pi = np.linalg.lstsq(np.vstack([A, np.ones(len(A))]), np.append(np.zeros(len(A)), 1.0), rcond=None)[0]
    a, b = (space.states[:, i].astype(float) for i in (0, 1))
    found = fsp.correlation(model, model.species[0], [0.0], with_=model.species[1], tol=1e-3).spectrum(OMEGA)
    for k, omega in enumerate(OMEGA):
        shifted = 1j * omega * np.eye(len(A)) - A + np.outer(pi, np.ones(len(A)))
        exact = b @ np.linalg.solve(shifted, (a - a @ pi) * pi)
        exact += np.conj(a @ np.linalg.solve(shifted, (b - b @ pi) * pi))
        size = np.abs(a).max() * np.abs(b).max() * np.linalg.norm(np.linalg.inv(shifted), 1)
        assert np.abs(found.value[k] - exact) <= found.radius[k] + ROUNDED * size


def test_slow_switches_have_sharp_spectra_at_zero():
    """A telegraph whose rates are 1e-9: S(0) = 2 s (1 - s)/(k + l)."""
    model = network({"A": 1, "B": 0}, ("A -> B", "mass_action", 1e-9), ("B -> A", "mass_action", 3e-9))
    found = fsp.correlation(model, "A", [0.0]).spectrum([0.0, 4e-9])
    exact = 2.0 * 0.1875 / 4e-9 * np.array([1.0, 0.5])
    hold(found, exact, 1e-10)


def test_what_has_no_spectrum_is_refused_and_what_does_not_vary_has_none():
    two = network({"A": 1, "B": 0, "C": 0}, ("A -> B", "mass_action", 1.0), ("A -> C", "mass_action", 1.0))
    with pytest.raises(fsp.StateSpaceError, match="one closed class"):
        fsp.correlation(two, "B", [0.0]).spectrum(0.0)
    still = fsp.correlation(network({"A": 1, "B": 0}, ("A -> B", "mass_action", 1.0)), "B", [0.0]).spectrum(OMEGA)
    assert still.certified
    assert (np.abs(still.value) <= still.radius + 1e-300).all()


@pytest.mark.filterwarnings("ignore::fsp.ToleranceWarning")
@pytest.mark.parametrize("rate", [1.0, 1e-14])
def test_a_state_that_is_not_left_is_not_all_that_is_at_rest(rate):
    """The other class has infinitely many states, so that no finite part of it is closed."""
    model = network(
        {"X": 1, "A": 0, "B": 0, "Y": 0},
        ("X -> A", "mass_action", rate),
        ("X -> B", "mass_action", 3.0),
        ("A -> A + Y", "mass_action", 2.0),
        ("Y -> 0", "mass_action", 1.0),
    )
    asked = fsp.correlation(model, "Y", [0.0])
    if rate == 1.0:
        with pytest.raises(fsp.StateSpaceError, match="one closed class"):
            asked.spectrum(0.0)
    else:  # as much as rounding hides
        assert not asked.spectrum(0.0).certified


@pytest.mark.filterwarnings("ignore::fsp.ToleranceWarning")
def test_two_classes_of_infinitely_many_states_are_refused_or_have_no_bound():
    model = network(
        {"X": 1, "A": 0, "B": 0, "Y": 0},
        ("X -> A", "mass_action", 1.0),
        ("X -> B", "mass_action", 3.0),
        ("A -> A + Y", "mass_action", 2.0),
        ("B -> B + Y", "mass_action", 0.1),
        ("Y -> 0", "mass_action", 1.0),
    )
    asked = fsp.correlation(model, "Y", [0.0])
    assert not asked.spectrum(1.0).certified
    with pytest.raises(fsp.StateSpaceError, match="one closed class"):
        asked.spectrum(0.0)


def test_what_dies_out_has_no_spectrum():
    dies = network({"X": 3}, ("X -> 2 X", "mass_action", 0.6), ("X -> 0", "mass_action", 1.0))
    still = fsp.correlation(dies, "X", [0.0]).spectrum(OMEGA)
    assert still.certified
    assert (np.abs(still.value) <= still.radius + 1e-300).all()


numbers = st.complex_numbers(max_magnitude=1e3, allow_nan=False)
radii = st.floats(0.0, 10.0)
turns = st.floats(0.0, 2.0 * math.pi)


@given(numbers, radii, turns, numbers, radii, turns)
def test_discs_hold_what_is_computed_of_their_numbers(a, r, s, b, q, t):
    first, second = Disc(a, r), Disc(b, q)
    x, y = a + r * complex(math.cos(s), math.sin(s)), b + q * complex(math.cos(t), math.sin(t))
    slack = 1e-12 * (1.0 + abs(x)) * (1.0 + abs(y))
    for disc, exact in ((first + second, x + y), (first - second, x - y), (first * second, x * y)):
        assert abs(disc.value - exact) <= disc.radius + slack
    quotient = first / second
    if quotient.radius < math.inf and abs(y) > 1e-6:
        assert abs(quotient.value - x / y) <= quotient.radius + slack / abs(y) ** 2
    assert (quotient.radius == math.inf) == (not abs(b) * (1.0 - 1e-15) > q)
    assert abs(first.conjugate.value - x.conjugate()) <= r + slack


def test_frequencies_far_above_all_rates_end_soon_and_hide_nothing_of_others():
    """S = 2 m g / (g² + ω²) of births and deaths with the mean m; rounding hides it where ω² exceeds 10¹⁶ or so."""
    model = network({"X": 0}, ("0 -> X", "mass_action", 10.0), ("X -> 0", "mass_action", 1.0))
    omega = np.array([0.0, 1.0, 1e3, 1e9, 1e15, 1e160, 1e308])
    found = fsp.correlation(model, "X", [1.0]).spectrum(omega)
    exact = 20.0 / (1.0 + np.minimum(omega, 1e150) ** 2)
    assert np.isfinite(found.radius).tolist() == [True] * 3 + [False] * 4
    assert (np.abs(found.value - exact) <= found.radius).all()
    assert (
        [number.certified for number in found]
        == [row["certified"] for row in found.record()]
        == [True] * 3 + [False] * 4
    )
    assert "so far above all rates" in found[3].reason
    assert found.value[3] == pytest.approx(exact[3], rel=1e-3)
    assert str(found[0]).startswith("[19.99") or str(found[0]).startswith("[20")
