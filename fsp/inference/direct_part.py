"""The log-likelihood of the cells of one condition by `fsp.likelihood` itself, anew for each value of the parameters.

It serves where no space of states can be kept with its powers: propensities that depend on time, cells that begin in
the stationary distribution, and parameters on which the start depends.  The curvature is the Fisher information of the
cells, by `fsp.inference.fisher`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fsp.distribution import formulas
from fsp.errors import BackendError, ConvergenceError, StateSpaceError
from fsp.inference.fisher import of_cells
from fsp.inference.fisher import of_reached as information_of_reached
from fsp.inference.instruments import Exact, Instrument
from fsp.inference.likelihood import Likelihood, likelihood
from fsp.inference.loop import distributions, solve
from fsp.inference.observation_channel import instruments_for
from fsp.inference.part import Point
from fsp.inference.score import TOL_OF_STEPS
from fsp.inference.score import of_reached as gradient_of_reached

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.distribution import Distribution
    from fsp.inference.counts import Counts
    from fsp.inference.problem import Limits
    from fsp.model import Model

WIDEST = 1.0  # nats, of a log-likelihood far from an optimum, and of one whose gradient is wanted
INFORMATION_TOL = 1e-6  # of derivatives below the information, which steers steps and makes intervals of statistics
SHOWN_LOSS = 1e-6  # of the distributions that are drawn


class DirectPart:
    """The cells of one condition; `start` says where they begin, as for `fsp.likelihood`."""

    def __init__(
        self,
        model: Model,
        names: Sequence[str],
        counts: Counts,
        instruments: Sequence[Instrument],
        limits: Limits,
        start: str | None,
    ) -> None:
        told = [name for instrument in instruments for name in instrument.depends if name in names]
        if told:
            raise BackendError(
                f"`instrument` must have numbers in fits where propensities depend on time or the start is stationary, "
                f"but has '{told[0]}' in one of '{model.name}'; give it a number, or fix that parameter."
            )
        concrete = [instrument.at(model.parameters) for instrument in instruments]
        self._instrument = dict(zip(counts.observed, concrete, strict=True))
        self.model, self.counts = model, counts
        self._names, self._limits, self._start = tuple(names), limits, start
        self.spaces = 0

    def values(self, theta: FloatArray) -> dict[str, float]:
        """Return parameters (q,) by name."""
        return dict(zip(self._names, theta.tolist(), strict=True))

    def at(self, theta: FloatArray, width: float, *, informed: bool = True) -> Point:
        """Return the log-likelihood and its derivatives at parameters (q,), with the information if it is asked for."""
        q = len(theta)
        answer = self._likelihood(theta, min(width, WIDEST))
        if answer.impossible:
            return Point(-math.inf, math.inf, np.zeros(q), np.zeros((q, q)))
        if self.model.is_time_dependent:
            gradient, information = self._in_one(answer)
            return Point(answer.value.lower, answer.value.width, gradient, information)
        slopes = answer.gradient(self._names)
        gradient = np.array([slopes[name].value for name in self._names])
        information = self._information(answer.model) if informed else np.full((q, q), math.nan)
        return Point(answer.value.lower, answer.value.width, gradient, information)

    def require_curvature(self) -> None:
        """Refuse second derivatives, which are known where a space can be kept."""
        raise BackendError(
            "`intervals` must be 'profile' or 'fisher' where propensities depend on time, or cells begin at rest or by "
            "a free parameter, but is 'observed'."
        )

    def _information(self, model: Model) -> FloatArray:
        """Return the Fisher information of all cells, (q, q)."""
        parts = of_cells(
            model,
            self.counts.times,
            self._names,
            observe=self.counts.observed,
            instrument=self._instrument,
            log=True,
            tol=INFORMATION_TOL,
            start=self._start,
            limits=self._limits,
        )
        cells = [float(n.sum()) for n in self.counts.cells]
        return np.asarray(np.sum([n * part.matrix for n, part in zip(cells, parts, strict=True)], axis=0))

    def _in_one(self, answer: Likelihood) -> tuple[FloatArray, FloatArray]:
        """Return the gradient (q,) and the information (q, q) of the derivatives of one run."""
        counts, observed = answer.counts, self.counts.observed
        reached, slopes, _ = solve(
            answer.model, counts.times, self._names, TOL_OF_STEPS, self._limits, log=True, start=self._start
        )
        instruments = instruments_for(self._instrument, observed, self.model.species, self.model.parameters)
        parts = information_of_reached(reached, slopes.names, observed, instruments, log=True)
        cells = [float(n.sum()) for n in counts.cells]
        information = np.sum([n * part.matrix for n, part in zip(cells, parts, strict=True)], axis=0)
        gradient, _ = gradient_of_reached(reached, counts, answer.instruments)
        return gradient, np.asarray(information, dtype=np.float64)

    def at_many(self, theta: FloatArray, width: float, floor: float = -math.inf) -> tuple[FloatArray, FloatArray]:
        """Return log-likelihoods and gaps, (P,) each, at many parameter vectors (P, q), one after another."""
        values, gaps = np.full(len(theta), -math.inf), np.full(len(theta), math.inf)
        for p, parameters in enumerate(theta):
            try:
                answer = self._likelihood(parameters, width)
            except (StateSpaceError, ConvergenceError):  # no space does for it
                continue
            if not answer.impossible:
                values[p], gaps[p] = answer.value.lower, answer.value.width
        return values, gaps

    def predicted(self, theta: FloatArray, width: float) -> list[Mapping[str, FloatArray]]:
        """Return for each time the probabilities of the counts 0, 1, … of each thing that was observed."""
        model = self.model.with_parameters(self.values(theta))
        reached = distributions(model, self.counts.times, SHOWN_LOSS, self._limits, self._start)
        return [
            {text: _law(state.distribution, text, made) for text, made in self._instrument.items()} for state in reached
        ]

    def _likelihood(self, theta: FloatArray, width: float) -> Likelihood:
        limits = self._limits
        return likelihood(
            self.model.with_parameters(self.values(theta)),
            self.counts,
            width=width,
            instrument=self._instrument,
            start=self._start,
            max_states=limits.max_states,
            max_memory=limits.max_memory,
            max_work=limits.max_work,
        )


def _law(dist: Distribution, text: str, instrument: Instrument) -> FloatArray:
    """Return the probabilities that 0, 1, … are seen of what a formula says."""
    counts = formulas.values_on(dist.states, text, dist.species, dist.observables, dist.t).astype(np.int64)
    law = np.bincount(counts, dist.probabilities).astype(np.float64)
    if isinstance(instrument, Exact):
        return law
    largest = len(law) - 1
    seen: FloatArray = instrument.limited(instrument.reach(largest), largest).values @ law
    return seen
