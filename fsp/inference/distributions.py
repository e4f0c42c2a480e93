"""Distributions alone, by the loop of derivatives: each probability is a lower bound but for relative rounding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fsp.inference.count_maps import asked_at, count_maps, largest_of
from fsp.inference.envelopes import Bounds
from fsp.inference.loop import Run, beginning_of
from fsp.inference.parameters import Derivatives
from fsp.inference.problem import Problem
from fsp.inference.timed_events import taken_apart
from fsp.solvers.poisson import WIDENED

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.inference.beginning import Beginning
    from fsp.inference.count_maps import CountMap
    from fsp.inference.problem import Limits, Reached
    from fsp.model import Model
    from fsp.space.base import BaseSpace


def distributions(
    model: Model,
    times: FloatArray,
    loss: float,
    limits: Limits,
    start: str | None = None,
    watch: Callable[[BaseSpace], None] | None = None,
    begun: Callable[[Beginning], None] | None = None,
    maps: Sequence[CountMap] = (),
) -> list[Reached]:
    """Return distributions whose every probability is a lower bound but for relative rounding, lacking about `loss`.

    `watch` and `maps` as for `run_of`; `begun` is shown where it begins.
    """
    run = run_of(model, times, loss, limits, start, watch, maps)
    if begun is not None:
        begun(run.problem.beginning)
    answers = run.results()
    if answers is None:
        raise ValueError("`loss` must be all that is lost, where there are no derivatives.")
    return answers


def run_of(
    model: Model,
    times: FloatArray,
    loss: float,
    limits: Limits,
    start: str | None = None,
    watch: Callable[[BaseSpace], None] | None = None,
    maps: Sequence[CountMap] = (),
) -> Run:
    """Return the run that finds distributions; `watch` is shown each space that it is on.

    `maps` are of events that were taken out of the model before.
    """
    model, settings = taken_apart(model)
    maps = (*(replace(event, speeds=np.zeros(0)) for event in maps), *count_maps(model, settings, ()))
    times = asked_at(maps, times)
    slopes = Derivatives((), (), True, (), maps=maps)
    bounds = Bounds(((),), (), (), (), largest_of(model, maps), model.change.astype(np.float64))
    beginning = beginning_of(model, slopes, bounds, loss, limits, start)
    return Run(Problem(model, slopes, bounds, beginning, times, 1.0, loss, limits, widened=WIDENED, watch=watch))
