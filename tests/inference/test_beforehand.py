"""Spaces that are found by the law at late times: derivatives take fewer products on them, and are as certain."""

from __future__ import annotations

import numpy as np
import pytest

import fsp
from fsp.inference import beforehand, loop
from fsp.inference.beforehand import space_at_the_end
from fsp.inference.problem import Limits


def births(start, k=30.0):
    return fsp.Model(
        species={"X": start},
        parameters={"k": k, "g": 1.0},
        reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")],
    )


def distance(one, other, name):
    """Return the 1-norm of the difference of two derivatives."""
    values = np.zeros((2, 1 + max(int(found.states.max()) for found in (one, other))))
    for row, found in zip(values, (one, other), strict=True):
        row[found.states[:, 0]] = found.derivative(name)
    return float(np.abs(values[0] - values[1]).sum())


@pytest.mark.parametrize("tol", [1e-3, 1e-6])
def test_a_space_that_is_found_beforehand_serves_all_of_the_way(tol, monkeypatch):
    times = [0.2, 3.0, 30.0]
    found = fsp.sensitivity(births(30), times, ["k", "g"], tol=tol)
    monkeypatch.setattr(loop, "space_at_the_end", lambda *_: None)
    grown = fsp.sensitivity(births(30), times, ["k", "g"], tol=tol)
    assert found.statistics["growths"] == 0 < grown.statistics["growths"]
    assert found.statistics["products"] < grown.statistics["products"]
    assert len({len(own.states) for own in found}) == 1
    for one, other in zip(found, grown, strict=True):
        for name in ("k", "g"):
            assert distance(one, other, name) <= one.error(name).total + other.error(name).total
            assert one.error(name).total <= tol


def of(model, duration, loss=1e-9, limits=None):
    return space_at_the_end(model, model.initial_states, duration, loss, limits or Limits())


def test_no_space_is_found_beforehand_where_the_law_comes_from_elsewhere():
    assert of(births(30), 30.0) is not None
    assert of(births(0, 300.0), 30.0) is None  # 0 is not in the law at late times
    assert of(births(0, 300.0), 1.0) is None  # halfway it is elsewhere
    found = fsp.sensitivity(births(0, 300.0), [12.0], ["k"], log=False, tol=1e-6)[-1]
    x = found.states[:, 0]
    mean = 300.0 * (1.0 - np.exp(-12.0))
    law = np.exp(x * np.log(mean) - mean - np.cumsum(np.log(np.maximum(np.arange(x.max() + 1), 1.0)))[x])
    slope = law * (x / mean - 1.0) * mean / 300.0
    assert np.abs(found.derivative("k") - slope).sum() <= found.error("k").total + 1e-11


def test_no_space_is_found_beforehand_where_it_takes_more_than_it_saves_or_may_take():
    assert of(births(30), 3.0) is None  # few jumps
    assert of(births(30), 30.0, limits=Limits(max_states=5)) is None
    assert of(births(30), 1e6) is None  # more than any run may have
    with pytest.raises(fsp.StateSpaceError, match="max_states"):
        fsp.sensitivity(births(30), [30.0], ["k"], tol=1e-6, max_states=5)


def chain(k):
    return fsp.Model(
        species={"A": int(k), "B": 0},
        parameters={"k": k, "c": 1.0},
        reactions=[
            fsp.Reaction("0 -> A", rate="k"),
            fsp.Reaction("A -> B", mass_action="c"),
            fsp.Reaction("B -> 0", mass_action="c"),
        ],
    )


def bursts(start):
    return fsp.Model(
        species={"X": start},
        parameters={"k": 20.0},
        reactions=[fsp.Reaction("0 -> X", rate="k", burst="geometric(5)"), fsp.Reaction("X -> 0", mass_action=1.0)],
    )


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        (births(0, 300.0), False),  # 17 standard deviations below the mean at the end
        (births(900, 100.0), False),
        (chain(100.0), False),  # by its second species
        (births(150, 100.0), True),
        (births(0, 15.0), True),  # the law at the end holds 0
        (bursts(0), True),  # as it does here, with a mean of 100
        (bursts(300), True),
    ],
)
def test_the_law_at_the_end_is_found_only_where_it_may_hold_the_beginning(model, asked, monkeypatch):
    solved = []
    find = beforehand.solve
    monkeypatch.setattr(beforehand, "solve", lambda *given, **more: solved.append(1) or find(*given, **more))
    space = of(model, 30.0)
    assert bool(solved) is asked
    assert asked or space is None
    monkeypatch.setattr(beforehand, "_leaves_its_beginning", lambda *_: False)
    assert (of(model, 30.0) is None) is (space is None)  # what is not asked for would have been in vain
