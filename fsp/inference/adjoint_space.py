"""The states on which an adjoint is computed: as many as the asked width needs, found in a few rounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fsp.checks import check_choice
from fsp.errors import BackendError, ConvergenceError
from fsp.generator import Generator
from fsp.inference.adjoint import Adjoint, Gradient
from fsp.inference.beginning import of_model
from fsp.inference.count_maps import largest_of
from fsp.inference.distributions import run_of
from fsp.inference.envelopes import Bounds
from fsp.inference.stationary_start import stationary
from fsp.inference.timed_adjoint import TimedAdjoint
from fsp.inference.timed_events import taken_apart
from fsp.projection.backend import serial
from fsp.space import StateSpace

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.equilibrium.response import StoredLaw
    from fsp.inference.count_maps import CountMap
    from fsp.inference.parameters import Derivatives
    from fsp.inference.problem import Limits
    from fsp.model import Model
    from fsp.space.base import BaseSpace

# Where rates depend on time: of probability, by which states are chosen, and which a stationary start may lack; jumps
# by which states grow where too much leaves them; and how many may be kept, with 13 numbers each a step.  Chosen.
LOSS_IN_TIME, LOST, GROWN_JUMPS, MOST_KEPT_STATES = 1e-14, 1e-20, 20, 10_000
GRADIENT_METHODS = ("auto", "adjoint", "forward")  # of gradients
LESS, MOST_SPACES = 1e-4, 3  # times the loss, where the intervals are too wide, and spaces that are tried; chosen


class Met(NamedTuple):
    """What a run of the same network met."""

    space: StateSpace
    law: StoredLaw | None  # where it begins, if that is stationary


def chosen_method(method: str, model: Model, start: str | None) -> str:
    """Return 'adjoint', where rates are constant and the start a model's, or events set counts; else 'in time'.

    Through events that set counts, where rates are not constant, 'forward'.

    The cost of adjoints is that of three or four vectors: with two parameters as much as forward, with 4 a third
    (measured).
    """
    check_choice("method", method, GRADIENT_METHODS)
    plain, settings = taken_apart(model)
    if method == "forward" or (plain.is_time_dependent and settings):
        return "forward"
    return "in time" if plain.is_time_dependent or (start is not None and not settings) else "adjoint"


def require_adjoint(method: str) -> None:
    """Refuse to go forward where the adjoint was asked for, and does not serve."""
    if method == "adjoint":
        raise BackendError(
            "`method` must be 'auto' or 'forward' where the adjoint bounds nothing, but is 'adjoint'; with rates that "
            "depend on time, or a stationary start, it takes formulas that have a largest value, and "
            f"{MOST_KEPT_STATES:,} states at most; with rates that depend on time, no events that set counts."
        )


def refined(
    model: Model,
    slopes: Derivatives,
    times: FloatArray,
    start: str | None,
    first: tuple[float, float],
    limits: Limits,
    asked: Callable[[Adjoint], Gradient],
    width: Callable[[Gradient], float],
) -> Gradient | None:
    """Return what is asked of adjoints, on spaces that lose ever less, until its `width` is at most one.

    `first` are the loss of probability, and what is left out of the Poisson weights, of the first space.  None where
    the start is stationary and nothing is known.
    """
    loss, tail = first
    largest = largest_of(model, slopes.maps) if slopes.maps else None
    bounds = Bounds.of(model, slopes, max(float(times[-1]), 1e-300), largest)
    best: Gradient | None = None
    for _ in range(MOST_SPACES):
        space = states_of(model, times, loss, limits, start, slopes.maps)
        begun = of_model(model, slopes) if start is None else stationary(model, slopes, loss, limits)
        if begun.spread:
            space = space.union(StateSpace.from_states(model.species, begun.states))
        generator = Generator(model, space)
        adjoint = Adjoint(model, slopes, bounds, generator, times.tolist(), tail, limits.report, beginning=begun)
        gradient = asked(adjoint)
        if begun.spread and not np.isfinite(gradient.off).all():
            return None
        before = math.inf if best is None else width(best)
        if best is None or width(gradient) < before:
            best = gradient
        if width(gradient) <= 1.0 or width(gradient) > 0.5 * before:
            break
        loss, tail = LESS * loss, LESS * tail
    if best is None:
        raise ValueError("a space must be tried")
    return best


def refined_in_time(
    model: Model,
    slopes: Derivatives,
    times: FloatArray,
    start: str | None,
    limits: Limits,
    asked: Callable[[TimedAdjoint], Gradient],
    width: Callable[[Gradient], float],
    met: Met | None = None,
) -> Gradient | None:
    """Return what is asked where rates depend on time or the start is stationary, as `refined` does.

    None where that is not known for each state, or takes too many numbers.  `met` is what an earlier run met.
    """
    bounds = Bounds.of(model, slopes, max(float(times[-1]), 1e-300))
    law = None if met is None else met.law
    beginning = of_model(model, slopes) if start is None else stationary(model, slopes, LOST, limits, law)
    space = states_of(model, times, LOSS_IN_TIME, limits, start) if met is None else met.space
    space = space.union(StateSpace.from_states(model.species, beginning.states))
    space = space.grow(model, GROWN_JUMPS)
    best: Gradient | None = None
    for _ in range(MOST_SPACES):
        if len(space) > MOST_KEPT_STATES:
            break
        try:
            adjoint = TimedAdjoint(model, slopes, bounds, space, times.tolist(), beginning, limits.report)
            gradient = asked(adjoint)
        except ConvergenceError:  # too many steps
            break
        before = math.inf if best is None else width(best)
        if best is None or width(gradient) < before:
            best = gradient
        if width(gradient) <= 1.0 or not width(gradient) < 0.5 * before or not adjoint.is_open:
            break
        space = space.grow(model, GROWN_JUMPS)
    return best if best is not None and np.isfinite(best.off).all() else None


def states_of(
    model: Model,
    times: FloatArray,
    loss: float,
    limits: Limits,
    start: str | None = None,
    maps: Sequence[CountMap] = (),
) -> StateSpace:
    """Return all states that are met on the way to the last time; `maps` as for `run_of`."""
    spaces: list[BaseSpace] = []
    run_of(model, times, loss, limits, start, spaces.append, maps).results()
    return together(spaces)


def together(spaces: Sequence[BaseSpace]) -> StateSpace:
    """Return all states of the spaces that a run was on."""
    union = serial(spaces[-1])
    for space in spaces[-2::-1]:
        if (union.index(serial(space).states) < 0).any():
            union = union.union(serial(space))
    return union
