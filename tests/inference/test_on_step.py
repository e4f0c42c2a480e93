"""Functions of time on steps within longer intervals: bounds against the functions, and how often they are expanded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fsp.inference import on_step
from fsp.inference.on_step import CLOCK_DEGREE, Ahead, clocks_on
from fsp.model.expression import evaluate
from fsp.model.formula import parse
from fsp.model.taylor import Parts

FUNCTIONS = ("sin(6*time)", "exp(-3*time)*(1 + time)^2.5", "1 - exp(-time)", "time^3*ln(time)")


def off(clock, tree, t, h):
    """Return how far a function is at most from what stands for it on a step, at many times."""
    at = t + h * np.linspace(0.0, 1.0, 101)
    return max(abs(clock.at(time - (t + 0.5 * h)) - float(evaluate(tree, {}, time))) for time in at.tolist())


@pytest.mark.parametrize("text", FUNCTIONS)
@pytest.mark.parametrize(("start", "end"), [(0.4, 2.4), (1.0, 1.5), (2.0, 2.001)])
def test_parts_of_intervals_are_bounded_by_what_intervals_miss(text, start, end):
    tree = parse(text, what="g")
    (held,) = clocks_on((tree,), start, end - start)
    assert held.certified
    for t, h in ((start, 0.25 * (end - start)), (0.7 * start + 0.3 * end, 0.01 * (end - start)), (end - 1e-5, 1e-5)):
        part = on_step._restricted(held, start, end, t, h)
        assert off(part, tree, t, h) <= part.remainder + 1e-13
        assert part.certified
        assert part.middle >= 0.0
        assert len(part.change) == CLOCK_DEGREE + 1
        assert part.remainder <= held.remainder * (1.0 + (end - start) / h) + 1e-12


def test_what_long_intervals_miss_is_seen_at_their_ends():
    tree = parse("sin(6*time)", what="g")
    (held,) = clocks_on((tree,), 0.0, 2.0)
    part = on_step._restricted(held, 0.0, 2.0, 1.9, 0.1)
    assert 1e-6 < off(part, tree, 1.9, 0.1) <= part.remainder  # or nothing was missed


def test_what_is_missed_at_ends_may_lie_in_one_step():
    (held,) = clocks_on((parse("exp(-time)", what="g"),), 0.0, 2.0)
    held = replace(held, remainder=held.remainder + 1e-3, rounding=held.rounding + 1e-3)
    part = on_step._restricted(held, 0.0, 2.0, 1.9, 0.1)
    assert 0.1 * part.rounding >= 2.0 * 1e-3
    assert part.remainder >= part.rounding


def test_functions_are_expanded_once_for_several_steps(monkeypatch):
    looked, exact = [], on_step.clocks_on

    def counted(trees, t, h, *more, **options):
        looked.append(h)
        return exact(trees, t, h, *more, **options)

    monkeypatch.setattr(on_step, "clocks_on", counted)
    trees = tuple(parse(text, what="g") for text in FUNCTIONS)
    ahead, t, steps = Ahead(trees), 2.0, 0
    while t > 0.5:
        h, t, steps = 0.02, t - 0.02, steps + 1
        for clock, tree in zip(ahead.on(t, h, 0.4, Parts(), fitted=True), trees, strict=True):
            assert off(clock, tree, t, h) <= clock.remainder + 1e-13
            assert clock.remainder <= 1e-8
    assert len(looked) < 0.5 * steps
