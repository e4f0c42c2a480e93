"""The states on which an adjoint is computed: as many as the asked width needs, found in a few rounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from fsp.errors import ArgumentError, BackendError
from fsp.inference.adjoint import Adjoint, Gradient
from fsp.inference.envelopes import Bounds
from fsp.inference.loop import run_of
from fsp.projection.backend import serial

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.inference.parameters import Derivatives
    from fsp.inference.problem import Limits
    from fsp.model import Model
    from fsp.space import StateSpace
    from fsp.space.protocol import AnySpace

METHODS = ("auto", "adjoint", "forward")  # of gradients
LESS, MOST_SPACES = 1e-4, 3  # times the loss, where the intervals are too wide, and spaces that are tried; chosen


def chosen_method(method: str, model: Model, start: str | None) -> str:
    """Return 'adjoint' or 'forward': the first wherever it serves, where rates are constant and the start a model's.

    Its cost is that of three or four vectors: with two parameters as much as forward, with 4 a third (measured).
    """
    if method not in METHODS:
        raise ArgumentError(f"`method` must be one of {', '.join(METHODS)}, but is {method!r}.")
    serves = not model.is_time_dependent and start is None
    if method == "adjoint" and not serves:
        what = "a stationary start" if start is not None else "rates that depend on time"
        raise BackendError(f"`method` must be 'forward' with {what}, but is 'adjoint'.")
    return "adjoint" if serves and method != "forward" else "forward"


def refined(
    model: Model,
    slopes: Derivatives,
    times: FloatArray,
    first: tuple[float, float],
    limits: Limits,
    asked: Callable[[Adjoint], Gradient],
    width: Callable[[Gradient], float],
) -> Gradient:
    """Return what is asked of adjoints, on spaces that lose ever less, until its `width` is at most one.

    `first` are the loss of probability, and what is left out of the Poisson weights, of the first space.
    """
    loss, tail = first
    bounds = Bounds.of(model, slopes, max(float(times[-1]), 1e-300))
    best: Gradient | None = None
    for _ in range(MOST_SPACES):
        adjoint = Adjoint(
            model, slopes, bounds, states_of(model, times, loss, limits), times.tolist(), tail, limits.report
        )
        gradient = asked(adjoint)
        before = math.inf if best is None else width(best)
        if best is None or width(gradient) < before:
            best = gradient
        if width(gradient) <= 1.0 or width(gradient) > 0.5 * before:
            break
        loss, tail = LESS * loss, LESS * tail
    if best is None:
        raise ValueError("a space must be tried")
    return best


def states_of(model: Model, times: FloatArray, loss: float, limits: Limits) -> StateSpace:
    """Return all states that are met on the way to the last time."""
    spaces: list[AnySpace] = []
    run_of(model, times, loss, limits, watch=spaces.append).results()
    union = serial(spaces[-1])
    for space in spaces[-2::-1]:
        if (union.index(serial(space).states) < 0).any():
            union = union.union(serial(space))
    return union
