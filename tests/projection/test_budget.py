"""What a computation may add comes to at most its tolerance, whenever it begins; what it adds is entered in full."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

import fsp
from fsp.projection.budget import (
    BEARABLE_SHARE,
    INTEGRATION_NOISE,
    INTEGRATION_SHARE,
    LARGEST_INTEGRATION_SHARE,
    Budget,
)
from fsp.projection.start import Start
from fsp.solvers.base import Advance

BEGIN, END = 3.0, 11.0
RATE_ERRORS = SimpleNamespace(remarks=lambda model: ("rates are rounded",))


def budget(tol, at_end=None):
    model = fsp.Model(name="decay", species={"X": 1}, reactions=[fsp.Reaction("X -> 0", rate="X")])
    begin = Start(model, BEGIN, fsp.ErrorLedger(), tol)
    return Budget(begin, END, tol if at_end is None else at_end)


def advance(t, **parts):
    known = {"lost": np.zeros(1), "error": 0.0, "rounding": 0.0, "certified": True} | parts
    return SimpleNamespace(t=t, **known)


def misjudging(off):
    """A generator whose rates are off by so much over any stretch."""
    return SimpleNamespace(misjudged=lambda start, end: off, rate_errors=RATE_ERRORS, model=None)


@pytest.mark.parametrize("tol", [1e-12, 1e-9, 1e-4, 0.1])
def test_shares_leave_room_for_rounding(tol):
    """Whatever is allowed is taken: integration, truncation and pruning come to less than the tolerance."""
    known, span = budget(tol), END - BEGIN
    integration = known.integration_for(math.inf, span)
    truncation = known.loss_limit(BEGIN).at(span)
    assert integration + truncation + known.prunable(END) == pytest.approx(0.95 * tol, rel=1e-12)
    assert known.bearable_outflow * span == pytest.approx(BEARABLE_SHARE * truncation)
    assert known.prunable(BEGIN) == 0.0
    assert known.integration <= LARGEST_INTEGRATION_SHARE * tol
    assert known.integration <= max(INTEGRATION_SHARE * tol, INTEGRATION_NOISE) * (1.0 + 1e-15)


def test_a_solver_with_a_smaller_tolerance_keeps_it():
    known = budget(1e-3)
    assert known.integration_for(1e-9, 0.5 * (END - BEGIN)) == pytest.approx(5e-10)
    assert known.integration_for(1.0, 0.5 * (END - BEGIN)) == pytest.approx(0.5 * known.integration)


def test_what_was_lost_and_dropped_is_not_allowed_again():
    known, half = budget(1e-3), 0.5 * (BEGIN + END)
    before = known.loss_limit(half).offset
    known.charge(advance(half, lost=np.array([1e-5, 2e-5])), BEGIN, misjudging(0.0), certified=True)
    assert known.loss_limit(half).offset == pytest.approx(before - 3e-5)
    known.drop(1e-6)
    assert known.prunable(END) == pytest.approx(0.05 * 1e-3 - 1e-6)
    known.charge(advance(half, lost=np.array([1.0])), BEGIN, misjudging(0.0), certified=True)
    assert known.loss_limit(half).offset == 0.0


def test_noise_may_be_lost_wherever_there_is_more_of_it():
    """States that hold no more than what integration and rounding are off need not be stored."""
    known = budget(1e-3)
    known.charge(advance(BEGIN, error=3e-2, rounding=2e-2), BEGIN, misjudging(0.0), certified=True)
    assert known.loss_limit(BEGIN).offset == pytest.approx(5e-2)


def test_each_part_of_an_error_is_entered():
    known = budget(1e-3)
    step = advance(5.0, lost=np.array([1e-5, 2e-5]), error=4e-5, rounding=7e-6)
    known.charge(step, BEGIN, misjudging(1e-6), certified=True)
    error = known.error
    assert (error.truncation, error.integration, error.rounding) == pytest.approx((3e-5, 4e-5, 8e-6))
    assert error.certified
    known.charge(step, BEGIN, misjudging(math.inf), certified=False)
    assert known.error.rounding == pytest.approx(2.0 + 1.5e-5)  # two distributions are not farther apart
    assert not known.error.certified


def test_rates_are_named_where_their_rounding_keeps_an_answer_from_its_tolerance():
    """That is, where the error is above the tolerance, and most of it is that of rates."""
    for of_rates, other, tol, named in (
        (1e-3, 1e-5, 1e-4, True),
        (1e-3, 1e-5, 1e-2, False),  # the tolerance is kept
        (1e-3, 5e-3, 1e-4, False),  # and so it would not be with exact rates
    ):
        known = budget(tol)
        known.charge(advance(5.0, rounding=other), BEGIN, misjudging(of_rates), certified=True)
        assert bool(known.notes(known.error)) == named


def test_an_advance_has_the_parts_that_are_entered():
    assert {"t", "lost", "error", "rounding", "certified"} <= set(Advance.__dataclass_fields__)
