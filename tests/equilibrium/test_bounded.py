"""Closed classes that are known up to a factor are joined with bounds that hold whatever rounding did to them."""

from __future__ import annotations

import numpy as np
import pytest
from written_networks import network

import fsp
from fsp.distribution import ErrorLedger
from fsp.equilibrium.bounded import (
    LEAST_BOUND,
    Bounded,
    ExactPart,
    class_notes,
    joined_parts,
    known_in_part,
    warn_if_above,
)
from fsp.generator import Generator

MODEL = network({"X": 0}, ("0 -> 2 X", "mass_action", 8.0), ("2 X -> 0", "mass_action", 1.0))


def part(first, exact, off, signs, kept, loose):
    """Return a class of every second count as it is computed: each weight off by up to `off`, `kept` of them stored.

    The bound of what is missing is too large by `loose`.
    """
    weights = exact * (1.0 + off * signs)
    stored, missing = weights[:kept], exact[kept:].sum() / (exact[:kept].sum() * (1.0 - off)) + loose
    states = fsp.StateSpace.from_states(("X",), first + 2 * np.arange(kept)[:, None])
    return ExactPart(states, stored / stored.sum() / (1.0 + missing), missing, np.full(kept, off))


@pytest.mark.parametrize("off", [1e-15, 1e-6, 1e-3])
@pytest.mark.parametrize("kept", [3, 8, 12])
@pytest.mark.parametrize("weight", [1.0, 0.3])
@pytest.mark.parametrize("loose", [0.0, 1e-2])
def test_exact_probabilities_lie_within_the_bounds(off, kept, weight, loose, rng):
    size = 12
    laws = rng.dirichlet(np.ones(size), 2)  # of each class, the largest first
    laws = -np.sort(-laws, axis=1)
    for trial in range(20):
        signs = rng.choice([-1.0, 1.0], (2, size))
        if trial == 0:  # the weights that are stored shrink while one of them grows
            signs[:] = -1.0
            signs[:, 0] = 1.0
        weights = [weight, 1.0 - weight] if weight < 1.0 else [1.0]
        parts = [part(k, laws[k], off, signs[k], kept, loose) for k in range(len(weights))]
        found = joined_parts(MODEL, list(zip(parts, weights, strict=True)), "note")
        exact = np.zeros(2 * size)
        for k, own in enumerate(weights):
            exact[k::2] = own * laws[k]
        stored = found.generator.space.states[:, 0]
        assert (found.lower <= exact[stored] * (1.0 + 1e-15)).all()
        assert (exact[stored] <= found.upper * (1.0 + 1e-15)).all()
        assert (found.upper <= 1.0).all()
        missing = max(known.missing for known in parts)
        assert (found.upper - found.lower <= 1.01 * exact[stored] * (missing + 20.0 * off) + 1e-15).all()
        gap = np.abs(found.p - exact[stored]).sum() + np.delete(exact, stored).sum()
        assert gap <= found.error.total + 1e-15


@pytest.mark.parametrize("off", [1e-3, 0.1])
def test_states_that_are_hardly_met_lie_within_the_bounds_where_all_weights_are_off(off):
    """π(x) is w(x) over a sum that is that of another state: both may be off, to opposite sides."""
    computed = np.array([1.0, 1e-9])
    states = fsp.StateSpace.from_states(("X",), np.array([[0], [2]]))
    known = ExactPart(states, computed / computed.sum(), 0.0, np.full(2, off))
    joined = joined_parts(MODEL, [(known, 1.0)], "note")
    for sign in (1.0, -1.0):
        exact = computed * (1.0 + off) ** np.array([sign, -sign])
        exact /= exact.sum()
        assert (joined.lower <= exact).all()
        assert (exact <= joined.upper).all()


def test_a_probability_that_rounds_to_zero_has_a_bound_above_it():
    states = fsp.StateSpace.from_states(("X",), 2 * np.arange(3)[:, None])
    known = ExactPart(states, np.array([0.5, 0.5, 0.0]), 0.0, np.full(3, 1e-15))
    joined = joined_parts(MODEL, [(known, 1.0)], "note")
    assert joined.lower[2] == joined.p[2] == 0.0
    assert 0.0 < joined.upper[2] <= LEAST_BOUND


def test_the_likeliest_of_many_classes_is_named():
    texts = [(f"class {k}", probability) for k, probability in enumerate([0.1, 0.5] + [0.4 / 40] * 40)]
    (note,) = class_notes(texts)
    assert note == "42 closed classes, of which the likeliest is a class 1, probability 0.5"
    assert class_notes(texts[:1]) == ()
    assert class_notes(texts[:2]) == ("class 0, probability 0.1", "class 1, probability 0.5")


def test_bounds_that_are_refused_come_without_a_warning():
    space = fsp.StateSpace.box(MODEL, upper={"X": 3})
    p = np.full(4, 0.25)
    for total, refused in ((0.9, False), (1.1, True)):
        bounded = Bounded(Generator(MODEL, space), p, 0.0 * p, 0.0 * p + 1.0, ErrorLedger(truncation=total), p)
        answer = fsp.Distribution(space.states, p, ("X",), t=None, error=bounded.error)
        if refused:
            warn_if_above(bounded, 1e-6, stacklevel=2)  # a warning is an error here
            with pytest.raises(fsp.ConvergenceError, match=r"its error bound is 1\.1e\+00 of at most 2"):
                known_in_part(answer, fixed=False)
        else:
            with pytest.warns(fsp.ToleranceWarning, match="exceeds"):
                warn_if_above(bounded, 1e-6, stacklevel=2)
            assert known_in_part(answer, fixed=False) is answer
