"""The gradient of a log-likelihood: by the adjoint, or by the derivatives of the distribution.

With y_z <= p_z <= y_z + d_z the probability of a count z that n_z cells had, the gradient of Σ_z n_z log p_z is that of
``Σ_z (n_z/p_z) p_z`` with fixed weights ``n_z/p_z``, of which `fsp.inference.adjoint` takes ``g_z = n_z/y_z`` and

(1)  |n_z/p_z - g_z|  <=  γ_z = max( n_z/p_z^- - g_z, g_z - n_z/p_z^+ ),

p_z^- and p_z^+ the ends of p_z.  As functions of the state they are f(x) = Σ_z n_z/p_z T(z | x) <= max_z (g_z + γ_z),
as Σ_z T(z | x) <= 1.  Each is known up to a part of itself however improbable the cell is, and so is the gradient: no
1-norm of a derivative is weighted with the inverse of the least probability.

Forward, with the derivatives h_z, ``u_z = h_z/y_z``, E_k the 1-norm error of the derivatives and ρ the rounding of y,

(2)  |Σ_z n_z (s_z/p_z - u_z)|  <=  max_z (n_z/p_z) E_k + max_z (n_z |u_z|/p_z) (δ + ρ) ,

since ``s/p - u = (s - h - u (p - y))/p``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import SUM_ROUNDING
from fsp.distribution import Interval
from fsp.errors import ConvergenceError
from fsp.inference.account import UNBOUNDED_CHANGE
from fsp.inference.adjoint import Adjoint, Gradient, Weights
from fsp.inference.adjoint_space import Met, refined, refined_in_time
from fsp.inference.differentiated import differentiated
from fsp.inference.loop import solve
from fsp.inference.mixed_gradient import UNBOUNDED_SCORES as UNSTORED
from fsp.inference.mixed_gradient import MixedAdjoint, refined_mixture
from fsp.inference.mixed_slopes import slopes_of
from fsp.inference.observation_channel import Gathered
from fsp.inference.parameters import derivatives
from fsp.inference.timed_events import taken_apart

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.distribution.counts import Counts
    from fsp.inference.extrinsic import ParameterLaw
    from fsp.inference.instruments import Instrument
    from fsp.inference.problem import Limits, Reached
    from fsp.inference.timed_adjoint import TimedAdjoint
    from fsp.model import Model

    AnyAdjoint = Adjoint | TimedAdjoint | MixedAdjoint

LOSS_LIMITS = (1e-10, 1e-8)  # of probability: at most, and of the least probability of a cell; chosen
TAIL_LIMITS = (1e-18, 1e-12)  # of the Poisson weights, in the same way: some products more
LARGEST_TOL, DERIVATIVE_SHARE = 1e-10, 1e-3  # of derivatives, forward: at most, and of the least probability of a cell
TOL_OF_STEPS = 1e-6  # of derivatives where rates depend on time, at first; chosen
LOOSENED = 100.0  # times a tolerance that is not met; chosen: from the least to the largest in three
# Times the rounding that is met: what may be asked for; of the first, to be worth a run.
ASKED_OVER_ROUNDING, WORTH_A_RUN = 30.0, 0.1
HIDDEN_CELL = "a cell is so improbable that rounding hides what it contributes"
# Of a derivative, or of the root of the number of cells, about which it varies between experiments; and where rates
# depend on time, as rounding is more.  Chosen.
NARROW_SCORE, NARROW_IN_TIME = 1e-4, 1e-3


def by_adjoint(
    model: Model,
    counts: Counts,
    instruments: Sequence[Instrument],
    parameters: Sequence[str],
    least: float,
    start: str | None,
    limits: Limits,
) -> dict[str, Interval] | None:
    """Bound the derivatives of a log-likelihood by the logarithms of parameters; `least` is a cell's probability.

    None where the start is stationary and nothing bounds them.
    """
    model, slopes = differentiated(model, parameters, log=True)
    first = min(LOSS_LIMITS[0], LOSS_LIMITS[1] * least), min(TAIL_LIMITS[0], TAIL_LIMITS[1] * least)
    asked, width = _asked(model, counts, instruments), _width(counts, NARROW_SCORE)
    gradient = refined(model, slopes, counts.times, start, first, limits, asked, width)
    return None if gradient is None else _intervals(slopes.names, gradient.values, gradient.off, UNBOUNDED_CHANGE)


def by_adjoint_in_time(
    model: Model,
    counts: Counts,
    instruments: Sequence[Instrument],
    parameters: Sequence[str],
    start: str | None,
    limits: Limits,
    met: Met | None,
) -> dict[str, Interval] | None:
    """Bound the same derivatives where rates depend on time or the start is stationary; None where nothing does.

    `met` is what the run that found the log-likelihood met, where that is known.
    """
    slopes = derivatives(model, parameters, log=True)
    asked, width = _asked(model, counts, instruments), _width(counts, NARROW_IN_TIME)
    gradient = refined_in_time(model, slopes, counts.times, start, limits, asked, width, met)
    return None if gradient is None else _intervals(slopes.names, gradient.values, gradient.off, UNBOUNDED_CHANGE)


def _asked(model: Model, counts: Counts, instruments: Sequence[Instrument]) -> Callable[[AnyAdjoint], Gradient]:
    """Return what takes the gradient of cells by an adjoint."""

    def asked(adjoint: AnyAdjoint) -> Gradient:
        weights = [weights_of(adjoint, model, counts, i, instruments) for i in range(len(counts.times))]
        return adjoint.gradient(weights, signed=False)

    return asked


def _width(counts: Counts, narrow: float) -> Callable[[Gradient], float]:
    """Return how wide intervals are, over what is narrow enough."""
    scale = math.sqrt(counts.n_cells)

    def width(gradient: Gradient) -> float:
        return float((gradient.off / np.maximum(np.abs(gradient.values), scale)).max(initial=0.0)) / narrow

    return width


def by_mixture(
    model: Model,
    counts: Counts,
    instruments: Sequence[Instrument],
    parameters: Sequence[str],
    laws: Mapping[str, ParameterLaw],
    least: float,
    limits: Limits,
) -> dict[str, Interval]:
    """Bound the same derivatives where parameters differ among cells, by `fsp.inference.mixed_gradient`."""
    slopes = slopes_of(model, parameters, laws)
    allowed = NARROW_SCORE * math.sqrt(counts.n_cells) * least / max(float(n.max()) for n in counts.cells)
    asked, width = _asked(model, counts, instruments), _width(counts, NARROW_SCORE)
    gradient = refined_mixture(model, slopes, laws, counts.times, allowed, limits, asked, width)
    return _intervals(slopes.names, gradient.values, gradient.off, UNSTORED)


def by_forward(
    model: Model,
    counts: Counts,
    instruments: Sequence[Instrument],
    parameters: Sequence[str],
    least: float,
    limits: Limits,
    start: str | None,
) -> dict[str, Interval]:
    """Bound the same derivatives by those of all probabilities, (2)."""
    tol = min(LARGEST_TOL, DERIVATIVE_SHARE * least)
    changing = taken_apart(model)[0].is_time_dependent
    if changing:
        first, *_ = solve(model, counts.times, parameters, TOL_OF_STEPS, limits, log=True, start=start)
        tol = max(tol, ASKED_OVER_ROUNDING * max(error.rounding for answer in first for error in answer.errors))
    if changing and tol >= WORTH_A_RUN * TOL_OF_STEPS:
        reached, names = first, tuple(parameters)
    else:
        reached, names = _as_well_as_possible(model, counts, parameters, tol, limits, start)
    values, off = of_reached(reached, counts, instruments)
    return _intervals(names, values, off, HIDDEN_CELL)


def _as_well_as_possible(
    model: Model, counts: Counts, parameters: Sequence[str], tol: float, limits: Limits, start: str | None
) -> tuple[list[Reached], tuple[str, ...]]:
    """Return the derivatives of the laws and their names; to a larger tolerance, where rounding keeps them from one."""
    while True:
        try:
            reached, slopes, _ = solve(model, counts.times, parameters, tol, limits, log=True, scores=True, start=start)
        except ConvergenceError:
            if tol >= TOL_OF_STEPS:
                raise ConvergenceError(
                    f"Derivatives must be known for a gradient, but are not up to {tol:.1e}. Take differences of "
                    f"log-likelihoods at nearby parameters."
                ) from None
            tol = min(LOOSENED * tol, TOL_OF_STEPS)
        else:
            return reached, slopes.names


def of_reached(
    reached: Sequence[Reached], counts: Counts, instruments: Sequence[Instrument]
) -> tuple[FloatArray, FloatArray]:
    """Return the gradient of all cells and what it may be off, (2): (q,) each."""
    by_time = [_of_time(answer, counts, i, instruments) for i, answer in enumerate(reached)]
    values, off = (np.sum([pair[place] for pair in by_time], axis=0) for place in (0, 1))
    return values, off


def _of_time(
    reached: Reached, counts: Counts, i: int, instruments: Sequence[Instrument]
) -> tuple[FloatArray, FloatArray]:
    """Return the gradient of the cells of a time and what it may be off, (2): (q,) each."""
    gathered = Gathered.of(reached.distribution, counts.observed)
    seen = gathered.sight(counts.values[i], instruments)
    n, y = counts.cells[i], seen.weights @ gathered.sums(reached.distribution.probabilities)
    h = gathered.sums(reached.derivatives) @ seen.weights.T  # (q, m)
    ledger, scores = reached.distribution.error, reached.scores
    errors = np.array([error.total if error.certified else math.inf for error in reached.errors])
    if scores is not None:
        noise = np.array([error.integration + error.rounding for error in reached.errors]) + reached.begun
        information = scores.information * (1.0 + SUM_ROUNDING)
        beyond = np.maximum(information - scores.stored.sum(axis=1) + scores.off, 0.0)
        errors = np.minimum(errors, np.sqrt(beyond * max(reached.lacking, 1e-300)) + noise)
    rho = ledger.rounding + ledger.integration + seen.absolute
    errors = errors + (seen.relative + SUM_ROUNDING) * np.abs(reached.derivatives).sum(axis=1)
    least = y - rho - (seen.relative + SUM_ROUNDING)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = np.where(y > 0.0, h / y, 0.0)
        weight = np.where(least > 0.0, n / least, math.inf)  # (m,)
        off = weight.max() * errors + (weight * np.abs(u)).max(axis=1) * (reached.lacking + rho + seen.relative)
    return u @ n, np.where(np.isnan(off), math.inf, off)


def weights_of(adjoint: AnyAdjoint, model: Model, counts: Counts, i: int, instruments: Sequence[Instrument]) -> Weights:
    """Return the weights of the cells of a time, (1)."""
    y = adjoint.probabilities(i)
    t = float(counts.times[i])
    gathered = Gathered(adjoint.space.states, counts.observed, model.species, model.observables, t)
    seen = gathered.sight(counts.values[i], instruments)
    stored, n = seen.weights @ gathered.sums(y), counts.cells[i].astype(np.float64)
    of_sight = seen.relative + SUM_ROUNDING
    relative = adjoint.relative + of_sight
    low = (1.0 - min(relative, 1.0)) * stored - adjoint.absolute(i)
    high = math.exp(relative) * (1.0 + SUM_ROUNDING) * stored + adjoint.lacks(i) + seen.absolute
    with np.errstate(divide="ignore", invalid="ignore"):
        g = np.where(low > 0.0, n / stored, 0.0)  # (m,)
        apart = np.where(low > 0.0, np.maximum(n / low - g, g - n / high), np.inf)
    sizes, f = g + apart, gathered.spread(g @ seen.weights)
    if not np.isfinite(sizes).all():
        return Weights(f, np.full(len(y), np.inf), adjoint.level(math.inf))
    off = gathered.spread(((1.0 + of_sight) * apart + of_sight * sizes) @ seen.weights)
    off += float(sizes.sum()) * seen.absolute
    return Weights(f, off, adjoint.level(float(sizes.max()) * (1.0 + SUM_ROUNDING)))


def _intervals(names: Sequence[str], values: FloatArray, off: FloatArray, reason: str) -> dict[str, Interval]:
    """Return an interval for each name; `reason` says why there is none."""
    known = np.isfinite(off).tolist()
    numbers = zip(names, values.tolist(), off.tolist(), known, strict=True)
    return {name: Interval.around(x, e, sure, "" if sure else reason) for name, x, e, sure in numbers}
