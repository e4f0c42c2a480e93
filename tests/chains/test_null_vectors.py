"""Null vectors against closed forms and against dense elimination in many digits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import MODELS
from scipy import sparse
from written_networks import network

import fsp
from fsp.chains import localisation, multilevel, null_vectors
from fsp.chains.chain import Chain
from fsp.chains.classes import close_leaks
from fsp.chains.null_vectors import METHODS, null_vector


def generator_of(rates):
    """Return the generator with off-diagonal rates j → i at [i, j], CSR."""
    rates = sparse.csr_array(rates)
    return (rates - sparse.diags_array(np.asarray(rates.sum(axis=0)).ravel())).tocsr()


def birth_death(births, deaths):
    """Return the generator of a birth-death chain, and the logarithms of its law up to a constant."""
    n = len(births) + 1
    up = sparse.diags_array([births], offsets=[-1], shape=(n, n))
    down = sparse.diags_array([deaths], offsets=[1], shape=(n, n))
    return generator_of(up + down), np.concatenate([[0.0], np.cumsum(np.log(births) - np.log(deaths))])


def wells(n, depth, bias):
    """Return a birth-death chain with two wells, barriers of exp(2 depth), and its law."""
    x = np.arange(n)
    slope = np.diff(depth * np.cos(4.0 * np.pi * (x + 0.5) / n) + bias * (x > n // 2))
    matrix, _ = birth_death(10.0 * np.exp(-0.5 * slope), 10.0 * np.exp(0.5 * slope))
    law = np.exp(-np.concatenate([[0.0], np.cumsum(slope)]) - depth)
    return matrix, law / law.sum()


def box(name, **upper):
    model = fsp.load(MODELS / f"{name}.ant")
    space = fsp.StateSpace.box(model, upper=upper)
    generator = fsp.Generator(model, space)
    start = np.zeros(len(space))
    start[-1] = 1.0
    return close_leaks(generator.to_csr(), generator.leak_rates, start)


def many_digits(matrix, digits=60):
    """Return the stationary vector by dense GTH elimination in mpmath."""
    with mpmath.workdps(digits):
        a = [[mpmath.mpf(float(v)) for v in row] for row in matrix.toarray()]
        n = len(a)
        out = [mpmath.mpf(0)] * n
        for k in range(n - 1, 0, -1):
            out[k] = mpmath.fsum(a[i][k] for i in range(k))
            for j in range(k):
                for i in range(k):
                    if i != j:
                        a[i][j] += a[i][k] * a[k][j] / out[k]
        p = [mpmath.mpf(1)]
        for k in range(1, n):
            p.append(mpmath.fsum(a[k][j] * p[j] for j in range(k)) / out[k])
        total = mpmath.fsum(p)
        return np.array([float(x / total) for x in p])


@st.composite
def irreducible_chains(draw):
    """A cycle through all states and other jumps, rates over twelve orders of magnitude."""
    n = draw(st.integers(2, 14))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    jumps = rng.random((n, n)) < draw(st.floats(0.0, 0.6))
    order = rng.permutation(n)
    jumps[np.roll(order, 1), order] = True
    np.fill_diagonal(jumps, False)
    return generator_of(np.where(jumps, 10.0 ** rng.uniform(-6.0, 6.0, (n, n)), 0.0))


@settings(max_examples=80)
@given(irreducible_chains())
def test_elimination_has_full_relative_accuracy(matrix):
    found = null_vector(matrix, "gth")
    np.testing.assert_allclose(found.p, many_digits(matrix), rtol=1e-13)


@settings(max_examples=40)
@given(irreducible_chains())
def test_what_the_table_returns_is_checked_and_right(matrix):
    found = null_vector(matrix)
    assert np.abs(found.p - many_digits(matrix)).sum() <= found.error
    assert (found.p >= 0.0).all()
    assert found.p.sum() == pytest.approx(1.0, abs=1e-12)
    scale = np.abs(matrix) @ found.p
    np.testing.assert_allclose(found.residual, np.abs(matrix @ found.p).sum(), rtol=0.1, atol=1e-13 * scale.sum())
    assert found.solver in METHODS


@settings(max_examples=30)
@given(irreducible_chains(), st.sampled_from(["multilevel", "local"]))
def test_multilevel_methods_agree_on_small_chains(matrix, method):
    """The coarsest level is the chain itself: an elimination, and what a sweep does to it."""
    found = null_vector(matrix, method)
    assert np.abs(found.p - many_digits(matrix)).sum() <= max(found.error, 1e-12)


def test_rare_states_keep_their_digits():
    births, deaths = np.full(260, 3.0), 1.0 * np.arange(1, 261)
    matrix, log_law = birth_death(births, deaths)
    p = null_vector(matrix, "gth").p
    assert p.min() < 1e-300
    with mpmath.workdps(40):
        law = [mpmath.mpf(3) ** k / mpmath.factorial(k) for k in range(261)]
        total = mpmath.fsum(law)
        expected = np.array([float(x / total) for x in law])
    np.testing.assert_allclose(p, expected, rtol=1e-12)
    assert log_law.argmax() == p.argmax() or p[p.argmax()] == pytest.approx(p[log_law.argmax()])


@pytest.mark.parametrize("reverse", [False, True])
def test_whichever_state_is_last_may_be_improbable(reverse):
    """The elimination gives the last state p = 1: others would overflow without an exponent of their own."""
    births, deaths = np.full(2000, 1e-3), np.full(2000, 1.0)
    matrix, _ = birth_death(*((deaths, births) if reverse else (births, deaths)))
    p = null_vector(matrix, "gth").p
    expected = 0.999 * 1e-3 ** np.minimum(np.arange(2001), 100)
    np.testing.assert_allclose((p[::-1] if reverse else p)[:100], expected[:100], rtol=1e-11)


def test_wells_apart_by_more_than_a_double_holds():
    """The valley holds exp(-1200), which underflows: the wells' weights pass through it all the same."""
    matrix, law = wells(800, 600.0, 1.0)
    p = null_vector(matrix).p
    assert law.min() == 0.0
    assert np.abs(p - law).sum() <= 1e-10


@pytest.mark.parametrize("coupling", [1e-6, 1e-12])
def test_nearly_decomposable_chains(coupling):
    """Three blocks, eigenvalues of the size of the coupling apart: every solver that answers is right."""
    rng = np.random.default_rng(5)
    n = 12
    block = rng.random((n, n)) < 0.5
    block |= np.roll(np.eye(n, dtype=bool), 1, axis=0)
    rates = np.zeros((3 * n, 3 * n))
    for b in range(3):
        rates[b * n : (b + 1) * n, b * n : (b + 1) * n] = block * rng.uniform(0.5, 2.0, (n, n))
    np.fill_diagonal(rates, 0.0)
    rates[n, 0], rates[2 * n, n + 3], rates[1, 2 * n + 5] = coupling, 2.0 * coupling, 0.5 * coupling
    matrix = generator_of(rates)
    expected = many_digits(matrix)
    for method in ("auto", "gth", "multilevel", "local"):
        assert np.abs(null_vector(matrix, method).p - expected).sum() <= 1e-12


def test_nearly_decomposable_chains_on_several_levels():
    """Two sheets of 30 x 30 states, changed every 1e12 units of time: cells do not mix the sheets."""
    model = network(
        {"G": 0, "X": 0, "Y": 0},
        ("0 -> X", "rate", "12 + 4*G"),
        ("X -> 0", "mass_action", 1.0),
        ("0 -> Y", "rate", "8/(1 + X/10)"),
        ("Y -> 0", "mass_action", 1.0),
        ("0 -> G", "rate", "1e-12*(1 - G)*(1 + X)"),
        ("G -> 0", "mass_action", 3e-12),
    )
    space = fsp.StateSpace.box(model, upper={"G": 1, "X": 29, "Y": 29})
    generator = fsp.Generator(model, space)
    start = np.zeros(len(space))
    start[0] = 1.0
    matrix = close_leaks(generator.to_csr(), generator.leak_rates, start)
    exact = null_vector(matrix, "gth")
    for method in ("multilevel", "local"):
        found = null_vector(matrix, method)
        assert np.abs(found.p - exact.p).sum() <= max(1e-9, found.error)
        assert found.error <= 1e-6


@pytest.mark.parametrize("n", [1000, 30_000])
@pytest.mark.parametrize("depth", [5.0, 30.0])
def test_two_wells_found_by_looking_where_the_probability_is(n, depth):
    matrix, law = wells(n, depth, 0.7)
    found = null_vector(matrix, "local")
    assert np.abs(found.p - law).sum() <= max(found.error, 1e-10)
    assert found.error <= 1e-9


def test_wells_are_not_cut_off_silently():
    """The valley between them holds exp(-120): dropped, it would leave one well."""
    matrix, law = wells(3_000, 60.0, 1.0)
    found = null_vector(matrix, "local")
    assert np.abs(found.p - law).sum() <= 1e-10
    assert found.error <= 1e-9


@pytest.mark.parametrize("name", ["toggle_hill", "ring3"])
def test_large_boxes_agree_with_the_elimination(name):
    upper = {"U": 119, "V": 99} if name == "toggle_hill" else {"X": 21, "Y": 22, "Z": 23}
    matrix = box(name, **upper)
    exact = null_vector(matrix, "gth").p
    found = null_vector(matrix)
    assert found.solver == "local"
    assert np.abs(found.p - exact).sum() <= min(1e-9, found.error)
    found = null_vector(matrix, "multilevel")
    assert np.abs(found.p - exact).sum() <= 1e-9


def test_a_guess_is_a_beginning_and_no_more():
    matrix = box("toggle_hill", U=119, V=99)
    exact = null_vector(matrix, "gth").p
    guess = np.zeros(len(exact))
    guess[:100] = 0.01
    for method in ("local", "multilevel"):
        assert np.abs(null_vector(matrix, method, guess).p - exact).sum() <= 1e-9


@pytest.mark.parametrize("n", [3, 500, 20_000])
def test_cycles_that_turn_one_way(n):
    """Nearly periodic: one jump out of each state, one of them slow."""
    rates = np.ones(n)
    rates[n // 3] = 1e-3
    jumps = sparse.csr_array((rates, ((np.arange(n) + 1) % n, np.arange(n))), shape=(n, n))
    law = (1.0 / rates) / (1.0 / rates).sum()
    np.testing.assert_allclose(null_vector(generator_of(jumps)).p, law, rtol=1e-9)


# ---- the check ---------------------------------------------------------------------------------------------------


def wrong_answers(n):
    one_state = np.zeros(n)
    one_state[0] = 1.0
    negative = 0.5 ** np.arange(n) / (2.0 - 0.5 ** (n - 1))
    negative[-1] *= -1.0  # too small for the residual to show
    return {
        "not finite": np.full(n, np.nan),
        "negative": negative,
        "mass": np.full(n, 2.0 / n),
        "not stationary": one_state,
    }


@pytest.mark.parametrize("name", wrong_answers(40))
def test_an_answer_that_fails_its_check_falls_through_to_the_next_solver(monkeypatch, name):
    matrix, _ = birth_death(np.full(39, 1.0), np.full(39, 2.0))
    wrong = wrong_answers(40)[name]
    monkeypatch.setitem(null_vectors.METHODS, "gth", lambda chain, guess: (wrong, 0.0))
    found = null_vector(matrix)
    np.testing.assert_allclose(found.p, 0.5 ** np.arange(40) / (2.0 - 0.5**39), rtol=1e-9)
    assert found.solver == "multilevel"
    assert "gth failed" in found.reason
    with pytest.raises(fsp.ConvergenceError, match="gth failed"):
        null_vector(matrix, "gth")


def test_an_answer_with_a_large_estimated_error_is_kept_only_where_none_is_better(monkeypatch):
    matrix, _ = birth_death(np.full(8, 1.0), np.full(8, 2.0))
    exact = null_vector(matrix, "gth").p
    monkeypatch.setitem(null_vectors.METHODS, "gth", lambda chain, guess: (exact, 1e-3))
    found = null_vector(matrix)
    assert found.solver == "multilevel"
    assert "gth has an estimated error of 1.0e-03" in found.reason
    for name in ("multilevel", "direct", "iterative"):
        monkeypatch.setitem(null_vectors.METHODS, name, lambda chain, guess: (exact, 1e-2))
    assert null_vector(matrix).solver == "gth"


def test_jumps_out_of_a_part_are_suppressed():
    matrix, _ = birth_death(np.full(8, 1.0), np.full(8, 2.0))
    part = Chain.of_generator(matrix).part(np.arange(2, 6))
    np.testing.assert_allclose(part.exits, [1.0, 3.0, 3.0, 2.0])
    assert part.residual(0.5 ** np.arange(4))[1] == pytest.approx(0.0, abs=1e-15)


def test_a_search_that_stops_short_says_so(monkeypatch):
    """Made to look at one well only, the cycle on all states finds that probability leaves it: the table goes on."""
    matrix, law = wells(30_000, 10.0, 0.0)

    def one_well(hierarchy):
        held = np.zeros(30_000)
        held[:15_000] = 2.0 * law[:15_000]
        return held

    monkeypatch.setattr(localisation, "_concentrated", one_well)
    found = null_vector(matrix, "local")
    assert found.error > null_vectors.GOOD_ERROR
    assert np.abs(found.p - law).sum() > 0.5


def test_cells_whose_rates_are_no_numbers_end_in_a_named_error_and_another_solver(monkeypatch):
    """Where the rates between cells underflow, the elimination of the coarsest chain is not finite."""
    matrix = sparse.csr_array(np.array([[-1.0, 2.0, 0.0], [1.0, -3.0, 4.0], [0.0, 1.0, -4.0]]))
    monkeypatch.setattr(multilevel.Hierarchy, "cycle", lambda self, p, before=2: np.full(len(p), np.nan))
    with pytest.raises(fsp.ConvergenceError, match="not normal numbers"):
        null_vector(matrix, "multilevel")
    monkeypatch.setattr(null_vectors, "_order", lambda chain: (("multilevel", "gth"), "as asked"))
    found = null_vector(matrix)
    assert found.solver == "gth"
    assert "multilevel failed" in found.reason
    assert np.abs(matrix @ found.p).sum() <= 1e-14


@pytest.mark.parametrize("method", ["direct", "iterative"])
def test_weights_of_wells_that_the_start_decides_are_refused(method):
    """From one well to the other it takes 10^330 steps: a uniform start keeps its share of each."""
    n = 112
    births = np.concatenate([np.full(n, 1.0), np.full(n, 1000.0)])
    matrix, _ = birth_death(births, births[::-1].copy())
    with pytest.raises(fsp.ConvergenceError, match="forget its start"):
        null_vector(matrix, method)
