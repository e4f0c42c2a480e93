"""Relaxation: eigenvalues of closed form, modes that are biorthogonal, and their checks."""

from __future__ import annotations

import json

import mpmath
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from launcher import ROOT
from random_networks import as_model, open_networks
from references import MODELS
from scipy import sparse
from written_networks import network

import fsp
from fsp.chains import modes
from fsp.command.main import main


def immigration_death(birth=12.0, death=0.8):
    return network({"X": 0}, ("0 -> X", "mass_action", birth), ("X -> 0", "mass_action", death))


@pytest.mark.parametrize("birth", [3.0, 12.0, 400.0])
def test_a_linear_chain_has_multiples_of_its_death_rate(birth):
    """Charlier polynomials: λ_k = -k γ, and the left mode of the first is x - mean."""
    found = fsp.relaxation(immigration_death(birth), 4, 1e-12)
    np.testing.assert_allclose(found.eigenvalues.real, [-0.8, -1.6, -2.4, -3.2], rtol=1e-5)
    np.testing.assert_array_equal(found.eigenvalues.imag, 0.0)
    assert found.gap == pytest.approx(0.8, rel=1e-7)
    np.testing.assert_allclose(found.times, 1.0 / (0.8 * np.arange(1, 5)), rtol=1e-5)
    line = found.states[:, 0] - birth / 0.8
    inside = found.stationary > 1e-6
    mode = found.left[inside, 0].real
    np.testing.assert_allclose(mode / mode[0], line[inside] / line[inside][0], atol=1e-4)


@pytest.mark.parametrize(("on", "off"), [(0.05, 0.1), (8.0, 11.0)])
def test_the_telegraph_has_two_ladders(on, off):
    """λ = -k γ - j (on + off) with j = 0 or 1."""
    model = network(
        {"Off": 1, "On": 0, "M": 0},
        ("Off -> On", "mass_action", on),
        ("On -> Off", "mass_action", off),
        ("On -> On + M", "mass_action", 12.0),
        ("M -> 0", "mass_action", 1.0),
    )
    ladder = np.sort([k + j * (on + off) for k in range(6) for j in (0, 1) if k + j])[:3]
    found = fsp.relaxation(model, 3, 1e-11)
    np.testing.assert_allclose(-found.eigenvalues.real, ladder, rtol=1e-4)


def test_cycles_have_complex_pairs():
    """One molecule around a ring of three: λ = -3/2 ± i √3/2."""
    model = network(
        {"A": 1, "B": 0, "C": 0},
        ("A -> B", "mass_action", 1.0),
        ("B -> C", "mass_action", 1.0),
        ("C -> A", "mass_action", 1.0),
    )
    found = fsp.relaxation(model, 2)
    np.testing.assert_allclose(found.eigenvalues.real, -1.5, rtol=1e-12)
    np.testing.assert_allclose(np.sort(found.eigenvalues.imag), [-np.sqrt(0.75), np.sqrt(0.75)], rtol=1e-12)
    assert "i, off by at most" in str(found)


@pytest.mark.parametrize(("name", "gap"), [("toggle_hill", 3.657e-5), ("schloegl_small", 2.55e-5)])
def test_switches_relax_slowly_and_their_first_mode_tells_the_wells(name, gap):
    found = fsp.relaxation(fsp.load(MODELS / f"{name}.ant"), 3)
    assert found.gap == pytest.approx(gap, rel=2e-3)
    assert -found.eigenvalues[1].real > 1e3 * gap
    # Two wells: the first left mode has one value on each, and nearly all probability at the two.
    mode = found.left[:, 0].real
    weights = found.stationary
    sides = [(mode[side], weights[side]) for side in (mode > 0.0, mode < 0.0)]
    spread = [np.average((m - np.average(m, weights=w)) ** 2, weights=w) for m, w in sides]
    assert max(spread) < 0.01 * (mode.max() - mode.min()) ** 2


@pytest.mark.parametrize("name", ["toggle_hill", "telegraph", "enzyme"])
def test_modes_are_biorthogonal_and_orthogonal_to_the_stationary_pair(name):
    if name == "enzyme":
        model = network({"S": 20, "P": 0}, ("S -> P", "mass_action", 1.0), ("P -> S", "mass_action", 0.3))
    else:
        model = fsp.load(MODELS / f"{name}.ant")
    found = fsp.relaxation(model, 3)
    np.testing.assert_allclose(found.left.T @ found.right, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(found.left.T @ found.stationary, 0.0, atol=1e-7)
    np.testing.assert_allclose(np.abs(found.left).max(axis=0), 1.0, rtol=1e-9)
    assert (np.diff(found.eigenvalues.real) <= 0.0).all()


@settings(max_examples=10)
@given(open_networks())
def test_arnoldi_finds_what_dense_eigenvalues_are(drawn):
    model = as_model(drawn)
    space = fsp.StateSpace.box(model, {1: 260, 2: 17, 3: 6, 4: 3}[model.n_species])
    found = fsp.relaxation(model, 2, space=space)
    generator = fsp.Generator(model, space)
    members = space.index(found.states)
    matrix = (generator.to_csr() + sparse.diags_array(generator.leak_rates)).toarray()[np.ix_(members, members)]
    every = np.linalg.eigvals(matrix).real
    np.testing.assert_allclose(found.eigenvalues.real, np.sort(every)[::-1][1:3], rtol=1e-5)


def test_the_gap_may_be_that_of_a_pair_whose_modulus_is_larger():
    model = network({"A": 3}, ("0 -> 3 A", "rate", "2.381/(1 + (A/1.12)^4)"), ("A -> 0", "rate", "0.2256*A"))
    values = np.linalg.eigvals(closed_box(model, 60))
    slowest = values[np.argsort(-values.real)][1]
    nearest = values[np.argsort(np.abs(values))][1]
    assert abs(slowest.imag) > 0.8 * abs(slowest.real)
    assert -nearest.real > 1.04 * -slowest.real
    assert fsp.relaxation(model, 1).gap == pytest.approx(-slowest.real, rel=1e-6)


def test_an_answer_decays_at_the_gap():
    """Late deviations from the stationary distribution shrink by exp(-gap t)."""
    model = network(
        {"Off": 1, "On": 0, "M": 0},
        ("Off -> On", "mass_action", 0.02),
        ("On -> Off", "mass_action", 0.03),
        ("On -> On + M", "mass_action", 8.0),
        ("M -> 0", "mass_action", 1.0),
    )
    gap = fsp.relaxation(model, 1).gap
    rest = fsp.stationary(model, 1e-9)
    first, second = (d.distance(rest) for d in fsp.transient(model, [60.0, 100.0], 1e-9))
    assert np.log(first / second) / 40.0 == pytest.approx(gap, rel=1e-4)


def test_a_wrong_pair_is_refused(monkeypatch):
    right = modes._paired

    def disturbed(*args):
        values, *vectors = right(*args)
        return 1.01 * values, *vectors

    monkeypatch.setattr(modes, "_paired", disturbed)
    with pytest.raises(fsp.ConvergenceError, match="residual"):
        fsp.relaxation(immigration_death())


# ---- truncated spaces ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("burst", "birth", "death"), [(20, 1.0, 2.0), (20, 3.0, 1.0), (7, 10.0, 1.0), (2, 0.3, 1.0)])
def test_bursts_relax_at_the_death_rate(burst, birth, death):
    """Means of linear networks close: their eigenvalues, multiples of the death rate, do not know of births."""
    model = network({"A": 0}, (f"0 -> {burst} A", "mass_action", birth), ("A -> 0", "mass_action", death))
    found = fsp.relaxation(model, 2)
    np.testing.assert_allclose(found.eigenvalues.real, [-death, -2.0 * death], rtol=1e-6)
    assert found.confirmed.all()
    assert "≈" not in str(found)


def closed_box(model, top):
    """The generator on 0..top of one species, jumps beyond left out, as a dense matrix."""
    counts = np.arange(top + 1)
    matrix = np.zeros((top + 1, top + 1))
    for change, rates in zip(model.change[:, 0].tolist(), model.propensities(counts[:, None]), strict=True):
        source = counts[(counts + change >= 0) & (counts + change <= top)]
        matrix[source + change, source] += rates[source]
        matrix[source, source] -= rates[source]
    return matrix


@pytest.mark.parametrize(("burst", "hill"), [(5, 1), (3, 4), (1, 2)])
def test_what_is_confirmed_is_what_large_boxes_have(burst, hill):
    births = f"9 * (0.05 + A^{hill} / (20^{hill} + A^{hill}))" if hill > 1 else "3.494 / (1 + A / 5)"
    model = network(
        {"A": 0}, (f"0 -> {burst} A" if burst > 1 else "0 -> A", "rate", births), ("A -> 0", "rate", "0.6*A")
    )
    values = np.sort(np.linalg.eigvals(closed_box(model, 240)).real)[::-1]
    found = fsp.relaxation(model, 3, 1e-8)
    assert found.confirmed.all()
    np.testing.assert_allclose(found.eigenvalues.real, values[1:4], rtol=2e-6)


def test_a_space_that_is_given_is_no_proof():
    model = immigration_death()
    found = fsp.relaxation(model, 1, space=fsp.StateSpace.box(model, 25))
    assert not found.confirmed.any()
    assert "spectral gap ≈ " in str(found)
    assert "reflects" in str(found)


def test_what_cannot_be_shown_is_an_estimate():
    """A queue that is nearly full: eigenvalues of any truncation are gone with the next."""
    model = network({"X": 0}, ("0 -> X", "rate", "0.8"), ("X -> 0", "rate", "min(X, 1)"))
    found = fsp.relaxation(model, 1, 1e-4)
    assert not found.confirmed.any()
    assert found.gap > (1.0 - np.sqrt(0.8)) ** 2  # where the spectrum of all of it begins
    assert found.errors[0] > 1e-6 * found.gap


def test_a_rate_without_digits_gives_an_estimate():
    """cos(A/7e7) - 1 in doubles: the eigenvalues are those of other rates."""
    law = "5e15*(1 - cos(A/72500000.0))"
    found = fsp.relaxation(network({"A": 3, "B": 0}, ("A -> B", "rate", law), ("B -> A", "mass_action", 0.87)), 1)
    assert not found.confirmed.any()
    assert "no correct digits" in str(found)


def test_transient_states_are_left_out():
    model = network(
        {"A": 1, "B": 0, "C": 0},
        ("A -> B", "mass_action", 9.8e-6),
        ("B -> B + C", "mass_action", 1.04),
        ("C -> 0", "mass_action", 1.3),
    )
    found = fsp.relaxation(model, 2)
    np.testing.assert_allclose(found.eigenvalues.real, [-1.3, -2.6], rtol=1e-6)
    assert (found.states[:, 0] == 0).all()
    assert "left out" in str(found)


# ---- very slow modes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slow", [1e-15, 1e-40])
def test_slow_modes_have_all_digits(slow):
    """λ = -(k + k') of a gate, whatever what it drives does faster."""
    model = network(
        {"A": 1, "B": 0, "X": 0},
        ("A -> B", "mass_action", slow),
        ("B -> A", "mass_action", 3.0 * slow),
        ("0 -> X", "rate", "4 + 4*A"),
        ("X -> 0", "mass_action", 1.0),
    )
    found = fsp.relaxation(model, 2)
    np.testing.assert_allclose(found.eigenvalues.real, [-4.0 * slow, -1.0], rtol=1e-6)
    assert found.confirmed[0]
    x = found.states[:, 2]
    np.testing.assert_allclose(found.stationary[found.states[:, 1] == 1].sum(), 0.25, rtol=1e-6)
    assert abs(found.right[:, 0].sum()) <= 1e-9 * np.abs(found.right[:, 0]).sum()
    assert x.max() > 20


def wells(scale):
    """Schlögl's network, its wells farther apart with the volume."""
    return network(
        {"X": 400},
        ("2 X -> 3 X", "rate", f"{0.03 / scale}*X*(X - 1)/2"),
        ("3 X -> 2 X", "rate", f"{1e-4 / scale**2}*X*(X - 1)*(X - 2)/6"),
        ("0 -> X", "rate", f"{200.0 * scale}"),
        ("X -> 0", "rate", "3.5*X"),
    )


def second_eigenvalue(up, down):
    """λ₂ of minus a birth-death generator with such rates of x = 0, 1, …, by counts of sign changes (Sturm)."""
    with mpmath.workdps(40):
        exits = [mpmath.mpf(u) + mpmath.mpf(d) for u, d in zip(up, down, strict=True)]
        exits[-1] -= mpmath.mpf(up[-1])
        products = [mpmath.mpf(u) * mpmath.mpf(d) for u, d in zip(up[:-1], down[1:], strict=True)]
        low, high = mpmath.mpf("1e-30"), mpmath.mpf(1)
        while high > low * (1 + mpmath.mpf("1e-9")):
            middle = mpmath.sqrt(low * high)
            pivot, below = exits[0] - middle, 0
            for exit_rate, product in zip(exits[1:], products, strict=True):
                below += pivot < 0
                pivot = exit_rate - middle - product / pivot
            low, high = (low, middle) if below + (pivot < 0) >= 2 else (middle, high)
        return float(low)


def test_wells_that_are_hardly_left():
    """From X = 400 the other well, with a part in a million of all, is reached in 1e15 times what it takes to relax."""
    scale = 4.0
    model = wells(scale)
    found = fsp.relaxation(model, 1)
    upper, lower, feed, drain = model.propensities(np.arange(int(scale * 720))[:, None])
    assert found.gap == pytest.approx(second_eigenvalue(upper + feed, lower + drain), rel=1e-8)
    assert found.gap < 1e-14
    assert found.confirmed[0]


# ---- absorption ----------------------------------------------------------------------------------------------------


def test_a_critical_branching_is_quasi_stationary():
    """Births b and deaths d of each: the decay rate is d - b, the quasi-stationary law is geometric with b/d."""
    model = network({"A": 5}, ("A -> 2 A", "mass_action", 0.5), ("A -> 0", "mass_action", 1.0))
    found = fsp.relaxation(model, 2)
    np.testing.assert_allclose(found.eigenvalues.real, [-0.5, -1.0], rtol=1e-6)
    law = found.quasi_stationary
    assert law.sum() == pytest.approx(1.0, rel=1e-12)
    np.testing.assert_allclose(law, 0.5 ** found.states[:, 0], atol=1e-7)
    assert found.stationary is None
    assert "decay rate" in str(found)


def test_decay_has_the_rate_of_the_last_molecule():
    model = network({"A": 20}, ("A -> 0", "mass_action", 0.7))
    found = fsp.relaxation(model, 3)
    np.testing.assert_allclose(found.eigenvalues.real, [-0.7, -1.4, -2.1], rtol=1e-12)
    np.testing.assert_array_equal(found.states[found.quasi_stationary > 0.0], [[1]])
    np.testing.assert_allclose(found.left.T @ found.right, np.eye(3), atol=1e-9)
    assert found.confirmed.all()


def test_an_epidemic_ends_in_many_states():
    """Whatever number is left healthy, nothing more happens: all of it is absorption."""
    model = network(
        {"S": 12, "I": 2}, ("S + I -> 2 I", "rate", "0.3*S*I"), ("I -> S", "rate", "0.9*I"), ("I -> 0", "rate", "0.1*I")
    )
    found = fsp.relaxation(model, 2)
    generator = fsp.Generator(model, fsp.StateSpace.from_states(model.species, found.states)).to_csr().toarray()
    number = found.states.sum(axis=1)  # which nothing raises: each is a class of its own
    slowest = max(np.linalg.eigvals(generator[np.ix_(number == n, number == n)]).real.max() for n in set(number))
    assert found.gap == pytest.approx(-slowest, rel=1e-9)
    law = found.quasi_stationary
    np.testing.assert_allclose(generator @ law, -found.gap * law, atol=1e-9)
    assert law.min() >= 0.0
    assert (found.states[:, 1] > 0).all()


def test_extinction_that_takes_long_keeps_its_digits():
    """Sums of positive terms give the mean time from the quasi-stationary law, one over the decay rate."""
    model = network({"A": 5}, ("A -> 2 A", "rate", "2*A"), ("A -> 0", "rate", "0.5*A + 0.05*A*(A - 1)"))
    found = fsp.relaxation(model, 1)
    x = np.arange(1, found.states.max() + 1)
    up, down = 2.0 * x, 0.5 * x + 0.05 * x * (x - 1)
    term = np.concatenate([[0.0], np.cumsum(np.log(up[:-1]) - np.log(down[1:]))])
    tails = np.cumsum(np.exp(term)[::-1])[::-1]
    times = np.cumsum(tails / (down * np.exp(term)))  # from each count until 0
    assert 1.0 / found.gap == pytest.approx(found.quasi_stationary @ times[found.states[:, 0] - 1], rel=1e-6)


def test_eigenvalues_without_vectors_of_their_own_are_left_out():
    chain = network({"A": 1, "B": 0}, ("A -> B", "mass_action", 1.0), ("B -> 0", "mass_action", 1.0))
    found = fsp.relaxation(chain, 1)
    assert found.gap == 1.0
    np.testing.assert_array_equal(found.quasi_stationary @ found.states, [0.0, 1.0])
    with pytest.raises(fsp.ConvergenceError, match="vectors of their own"):
        fsp.relaxation(chain, 2)


def test_nothing_that_relaxes_is_an_error():
    with pytest.raises(fsp.StateSpaceError, match="absorbing"):
        fsp.relaxation(network({"A": 0}, ("A -> 0", "mass_action", 1.0)))


def test_several_closed_classes_are_refused():
    model = network(
        {"A": 1, "B": 0, "C": 0, "X": 0},
        ("A -> B", "mass_action", 1.0),
        ("A -> C", "mass_action", 3.0),
        ("0 -> X", "rate", "2"),
        ("X -> 0", "rate", "X"),
    )
    with pytest.raises(fsp.StateSpaceError, match="closed class"):
        fsp.relaxation(model, 1)
    with pytest.raises(fsp.StateSpaceError, match="closed class"):
        fsp.relaxation(model, 1, space=fsp.StateSpace.box(model, {"A": 1, "B": 1, "C": 1, "X": 20}))


@pytest.mark.parametrize(
    ("species", "reactions", "eigenvalues"),
    [
        ({"A": 1, "B": 0}, [("A -> B", "mass_action", 1.0), ("B -> A", "mass_action", 2.0)], [-3.0]),
        ({"A": 2, "B": 0}, [("A -> B", "mass_action", 1.0), ("B -> A", "mass_action", 2.0)], [-3.0, -6.0]),
        ({"A": 1}, [("A -> 0", "mass_action", 2.0)], [-2.0]),
        ({"A": 2}, [("A -> 0", "mass_action", 2.0)], [-2.0, -4.0]),
        ({"A": 9}, [("A -> 0", "mass_action", 2.0)], [-2.0, -4.0, -6.0]),
    ],
)
def test_few_states_have_as_many_modes_as_there_are(species, reactions, eigenvalues):
    """Eigenvalues of independent molecules are sums of those of one."""
    model = network(species, *reactions)
    assert fsp.relaxation(model).eigenvalues.real.tolist() == pytest.approx(eigenvalues, rel=1e-9)
    if len(eigenvalues) < 3:
        more = len(eigenvalues) + 1
        with pytest.raises(fsp.ArgumentError, match=f"`n_modes` must be .* number of .*states .*, but is {more}"):
            fsp.relaxation(model, more)


@pytest.mark.parametrize("n_modes", [0, -1, 1.5, 10**6, True])
def test_bad_numbers_of_modes_are_refused(n_modes):
    with pytest.raises(fsp.ArgumentError, match="`n_modes`"):
        fsp.relaxation(immigration_death(), n_modes)


def test_the_command_prints_modes():
    example = ROOT / "examples" / "toggle_switch.ant"
    shown = CliRunner().invoke(main, ["relaxation", str(example), "--modes", "2"])
    assert shown.exit_code == 0
    assert shown.output.count("relaxation time") == 2
    record = json.loads(CliRunner().invoke(main, ["relaxation", str(example), "--modes", "2", "--json"]).output)
    assert len(record["times"]) == 2
    assert record["times"][0] == pytest.approx(-1.0 / record["eigenvalues"][0][0])
