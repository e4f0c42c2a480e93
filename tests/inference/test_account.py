"""What is charged for what a step passes on: at least what it does at the states where it does most."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from fsp.distribution import ErrorLedger
from fsp.inference import account as of_account
from fsp.inference.account import Account, DerivativeErrors, Spoiled, Squares
from fsp.inference.derived import RateChangeBounds

ROUNDED = 1.0 - 1e-12  # sums here round as well
POWERS = np.array([[1.0, 1.0, 1.0], [0.0, 4.0, 9.0]])  # of a count, in the orders 0 and 1


def drawn(seed, q=2, n=7):
    """Return bounds of rate changes, a step's occupation (1 + 2 q, n), and a generator."""
    random = np.random.default_rng(seed)
    sizes, errors, squares, square_errors = 10.0 ** random.uniform(-3, 3, (4, q, n))
    course = RateChangeBounds(sizes, 1e-9 * errors, squares, 1e-9 * square_errors, [], [], np.ones(1))
    zeros = np.zeros(1 + 2 * q)
    step = SimpleNamespace(occupation=random.random((1 + 2 * q, n)), integration=zeros, rounding=zeros)
    return course, step, random


@pytest.mark.parametrize("seed", range(10))
def test_squares_of_scores_are_charged_wherever_the_errors_are(seed):
    """(4): by errors of p and of derivatives that are anywhere, and by mass that is missing, which may be anywhere."""
    course, step, random = drawn(seed)
    h, (of_y, mass), of_derivatives = 0.3, random.random(2), random.random(2)
    squares = Squares((None, None), np.zeros(2), np.zeros(2))
    squares.charge(course, step, h, Spoiled(of_y, of_derivatives, mass), None, closed=True)
    for k in range(2):
        for x in range(course.sizes.shape[1]):
            off = h * (course.squares[k, x] * of_y + 4.0 * course.sizes[k, x] * of_derivatives[k])
            off += 4.0 * course.errors[k] @ step.occupation[1 + k] + course.square_errors[k] @ step.occupation[0]
            assert squares.off[k] >= off * ROUNDED
            whole = course.squares[k] @ step.occupation[0] + course.squares[k, x] * mass
            assert whole * ROUNDED <= squares.information[k] < np.inf
    again = Squares((None, None), np.zeros(2), np.zeros(2))
    again.charge(course, step, h, Spoiled(of_y, of_derivatives, mass), None, closed=False)
    assert np.isinf(again.information).all()  # mass that has left may be where rates change by any amount


@pytest.mark.parametrize("seed", range(10))
def test_mass_that_is_missing_feeds_the_errors_of_derivatives_wherever_it_is(seed):
    """The last term of (2): twice D_k at any stored state, where nothing has left them."""
    course, _, random = drawn(seed)
    slopes, mass = DerivativeErrors.__new__(DerivativeErrors), random.random()
    slopes.polynomials = [[[None]], [[None]]]
    for k in range(2):
        (bound,), bounded = slopes.remnant(k, None, course, mass, closed=True)
        assert bounded
        assert 2.0 * course.sizes[k].max() * mass * ROUNDED <= bound < np.inf
        (guess,), bounded = slopes.remnant(k, None, course, mass, closed=False)
        assert not bounded
        assert guess == bound


def test_what_p_lacks_is_the_sum_of_what_was_charged():
    account = Account.__new__(Account)
    account.y = ErrorLedger(truncation=0.1, pruning=0.2, integration=0.3, rounding=0.05)
    account._inside, account.relative = 0.02, 0.01
    assert account.lost == pytest.approx(0.6, rel=1e-15)
    assert account.off == pytest.approx(0.07, rel=1e-15)
    assert account.gone == pytest.approx(0.3 * 1.02, rel=1e-15)  # pruned and lost, as rounded as probabilities are


@pytest.mark.parametrize("beyond", [0.0, 2.5])
def test_a_jump_is_charged_with_what_left_with_rounding_and_with_what_p_lacks(beyond, monkeypatch):
    account = Account.__new__(Account)
    account.y, account._inside = ErrorLedger(truncation=0.125, integration=0.25), 0.25
    account.bounds, account._m = SimpleNamespace(followed=[]), SimpleNamespace(moments=[])
    fed = []
    account.slopes = SimpleNamespace(
        remnants=np.zeros(1),
        ledgers=[ErrorLedger()],
        gauges=[None],
        parts=[SimpleNamespace(feed=fed.append)],
    )
    lacking = []
    monkeypatch.setattr(of_account, "moment_of", lambda followed, moments, mass: lacking.append(mass))
    monkeypatch.setattr(of_account, "mean_over", lambda above, moment: above)
    account.enter(account.jumped(0, 3.0, 0.0625, [(2.0, beyond), (3.0, 1.0)], 64.0))
    of_lack = 2.0 * beyond + 3.0
    assert lacking == [0.125]  # what counts as rounding is in the space
    assert account.slopes.ledgers[0].truncation == account.slopes.remnants[0] == 3.0 + of_lack
    assert account.slopes.ledgers[0].rounding == 0.0625
    assert account.slopes.ledgers[0].certified
    assert fed[0][0].tolist() == [3.0 + 0.0625 + of_lack, np.inf]
    account.enter(account.jumped(0, 0.5, 0.0, [(2.0, None)], 64.0))
    assert not account.slopes.ledgers[0].certified  # nothing bounds what p lacks
    assert account.slopes.ledgers[0].truncation == 3.0 + of_lack + 0.5 + 64.0 * 0.125  # but stored states say about it


def begun(monkeypatch, lacking, fed=((), ())):
    """Return an account of two derivatives with one gauge, and lists of what its derivatives are told."""
    account, told, masses = Account.__new__(Account), [], []
    gauge = SimpleNamespace(orders=np.arange(2), moved=lambda h: (np.eye(2), h * np.eye(2)))
    account.bounds = SimpleNamespace(followed=[gauge], of_errors=[0], squares=())
    account.y, account._inside, account.closed = ErrorLedger(truncation=lacking, rounding=0.25), 0.0, True
    account._m = SimpleNamespace(advance=lambda moves, fed, h: [], feed=lambda fed: None)
    parts = [SimpleNamespace(advance=lambda low, fed, h: None, feed=partial(list.append, fed_of)) for fed_of in fed]
    account.slopes = SimpleNamespace(
        ledgers=[ErrorLedger(), ErrorLedger()],
        parts=parts,
        begun=np.zeros(2),
        remnant=lambda k, moment, course, mass, closed: (masses.append(mass), ([0.0], True))[1],
        charge=lambda k, left, off, remnants, sources: told.append((k, left, off, sources)),
    )
    monkeypatch.setattr(of_account, "moment_of", lambda followed, moments, mass: None)
    return account, told, masses


@pytest.mark.parametrize("known", [None, 1.0])
def test_a_step_is_charged_to_each_derivative_with_its_part_of_the_errors(known, monkeypatch):
    account, told, masses = begun(monkeypatch, lacking=0.5)
    course = RateChangeBounds(*np.zeros((4, 2, 3)), [POWERS], [], np.ones(1), exposures=np.array([0.5, 2.0]))
    step = SimpleNamespace(
        known=known,
        integration=np.array([0.125, 0.01, 0.03]),
        rounding=np.array([0.0625, 0.002, 0.005]),
        occupation=np.zeros((3, 3)),
        end=np.zeros(3),
    )
    account.charge(course, step, 2.0)
    assert account.y.integration == 0.125
    assert account.y.rounding == 0.25 + 0.0625
    lacking = 0.5 + (0.0 if known else 0.125)  # where probabilities are known, integration counts as rounding
    assert masses == pytest.approx([2.0 * lacking] * 2, rel=1e-11)
    assert min(masses) >= 2.0 * lacking
    spoiling = 0.25 + (0.125 + 0.0625 if known else 0.0)
    for k, left, (integration, rounding), (source,) in told:
        assert left == 0.0
        assert integration == step.integration[1 + k]
        assert rounding == pytest.approx(step.rounding[1 + k] + 2.0 * (0.5, 2.0)[k] * spoiling, rel=1e-14)
        assert source == pytest.approx((integration + rounding) * POWERS.max(axis=1), rel=1e-14)
    assert [k for k, *_ in told] == [0, 1]


def test_states_that_are_dropped_are_charged_with_what_each_vector_holds_there(monkeypatch):
    fed = [], []
    account, _, _ = begun(monkeypatch, lacking=0.0, fed=fed)
    block = np.array([[0.5, 0.25, 0.125], [1.0, -3.0, 2.0], [7.0, 5.0, -11.0]])
    account.drop(SimpleNamespace(powers=[POWERS]), block, np.array([True, False, False]))
    assert account.y.pruning == 0.375
    assert [ledger.pruning for ledger in account.slopes.ledgers] == [5.0, 16.0]
    assert fed[0][0][0].tolist() == [5.0, 3.0 * 4.0 + 2.0 * 9.0]
    assert fed[1][0][0].tolist() == [16.0, 5.0 * 4.0 + 11.0 * 9.0]
    assert not account.closed
