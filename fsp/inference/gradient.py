"""Derivatives of the probability of an event, or of a mean, by parameters: by the adjoint, which takes all at once.

A condition lies between 0 and 1.  A formula that has a largest value on all states, or is at most linear in the species
that have none, lies below a height by `fsp.moments`; of others only estimates are known (see `fsp.inference.adjoint`).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fsp import defaults
from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.bars import barred, callback, silent
from fsp.distribution import Interval, formulas
from fsp.errors import ArgumentError, ToleranceWarning
from fsp.inference.account import UNBOUNDED_CHANGE
from fsp.inference.adjoint import Adjoint, Gradient, Weights
from fsp.inference.adjoint_space import chosen_method, refined, refined_in_time, require_adjoint
from fsp.inference.count_maps import largest_of
from fsp.inference.differentiated import differentiated
from fsp.inference.envelopes import size
from fsp.inference.loop import check_start
from fsp.inference.parameters import require_fixed_observables
from fsp.inference.problem import Limits
from fsp.inference.sensitivity import sensitivity
from fsp.inference.timed_events import taken_apart
from fsp.model.accuracy import errors
from fsp.model.arguments import check_call, check_tolerance
from fsp.model.times import checked_times
from fsp.model.tree import at_time

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.distribution.sensitivity import Sensitivity
    from fsp.inference.timed_adjoint import TimedAdjoint
    from fsp.model import Model
    from fsp.model.tree import Expression
    from fsp.moments.polynomial import Polynomial
    from fsp.projection.progress import ProgressCallback

LOSS_LIMITS = (1e-8, 1e-4)  # of probability: at most, and of the tolerance; chosen
TAIL_LIMITS = (1e-18, 1e-9)  # of the Poisson weights, in the same way
MOST_FORWARD_RUNS = 3  # forward; chosen
STEEP = "nothing bounds the formula, or what a parameter changes, on states that are not stored"


@barred()
def gradient(
    model: Model,
    formula: str,
    time: float,
    parameters: Sequence[str],
    *,
    log: bool = True,
    tol: float = defaults.TOL,
    method: str = "auto",
    start: str | None = None,
    max_states: int | None = None,
    max_memory: int | None = None,
    max_work: float | None = None,
    progress: ProgressCallback | bool | None = None,
) -> dict[str, Interval]:
    """Bound the derivatives of the probability of an event, or of a mean, by parameters.

    Where `fsp.sensitivity` follows the derivatives of all probabilities, this solves the adjoint equation backwards
    from the time, at a cost that hardly grows with the number of parameters.

    Parameters
    ----------
    model
        The reaction network, as for `fsp.sensitivity`.
    formula
        A condition such as ``"U > V"``, or a number such as ``"U + 2*V"``, of species, observables and `time`.
    time
        A time >= 0, in the model's unit of time.
    parameters
        Names of the parameters, as for `fsp.sensitivity`.
    log
        Whether to differentiate by the logarithms of the parameters.
    tol
        Half of the width that is asked for, in the unit of the formula.
    method
        ``"adjoint"``, with rates that depend on time or a stationary start of formulas that have a largest value;
        with rates that depend on time without events that set counts;
        ``"forward"``, by `fsp.sensitivity`, of conditions and single species;
        ``"auto"`` takes the adjoint wherever it can be had.
    start
        Where the network begins, as for `fsp.sensitivity`.
    max_states, max_memory, max_work
        Limits, as for `fsp.transient`.
    progress
        True for a bar; or a function that is called with a `Progress` now and then.

    Returns
    -------
    dict
        An interval for each parameter; not certified and without ends where the formula, or what a parameter changes,
        has no bound that is known on states that are not stored.

    Raises
    ------
    ArgumentError
        If the formula cannot be read, or an argument is not as above.
    ModelError
        If a rate is a callable, or not a smooth function of a parameter; if it jumps just at the time, by a switch that
        a parameter moves.
    BackendError
        If an event takes place at no known time, or the adjoint is asked for where it cannot be had.
    StateSpaceError
        If the tolerance cannot be met within the limits.
    ConvergenceError
        If that takes too much work.

    Warns
    -----
    ToleranceWarning
        If an interval is wider than asked for, or a number is an estimate.

    References
    ----------
    R. Gunawan, Y. Cao, L. Petzold, F. J. Doyle, Sensitivity analysis of discrete stochastic systems, Biophys. J. 88
    (2005) 2530, doi:10.1529/biophysj.104.053405.

    Examples
    --------
    >>> model = fsp.Model(
    ...     species={"X": 0}, parameters={"k": 10.0, "g": 1.0},
    ...     reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")],
    ... )
    >>> found = fsp.gradient(model, "X > 8", 2.0, ["k", "g"])
    >>> print(f"{found['k'].value:.4f}")  # m p(8) with the mean m = 10 (1 - exp(-2))
    1.1774
    """
    report = callback(progress) or silent
    check_call(model, max_states=max_states, max_memory=max_memory, max_work=max_work, progress=report)
    taken_apart(model)  # refuses what has no derivative
    check_tolerance(tol)
    check_start(start)
    times = checked_times(time, "time")
    if len(times) > 1:
        raise ArgumentError(f"`time` must be one number, but is {time!r}; ask for each time, or `fsp.sensitivity`.")
    if not isinstance(formula, str):
        raise ArgumentError(f"`formula` must be a text such as 'U > V', but is {formula!r}.")
    tree = formulas.read_formula(formula, model.species, model.observables, float(times[0]))
    require_fixed_observables(model, parameters, [formula])
    limits = Limits(max_states, max_memory, max_work, report)
    chosen, answer = chosen_method(method, model, start), None
    plain, slopes = differentiated(model, parameters, log=log)
    t = float(times[0])
    since = math.nextafter(t - max((event.t for event in slopes.maps if event.t <= t), default=0.0), math.inf)
    of_formula = _Formula(plain, formula, at_time(tree, t), t, since, largest_of(plain, slopes.maps))
    first = min(LOSS_LIMITS[0], LOSS_LIMITS[1] * tol), min(TAIL_LIMITS[0], TAIL_LIMITS[1] * tol)
    if chosen == "adjoint":
        answer = refined(
            plain, slopes, times, start, first, limits, of_formula.gradient, lambda g: float(g.off.max()) / tol
        )
    elif chosen == "in time":
        answer = refined_in_time(
            plain, slopes, times, start, limits, of_formula.gradient, lambda g: float(g.off.max()) / tol
        )
    if answer is None:
        require_adjoint(method)
        return _forward(model, formula, times, parameters, tol, limits, log=log, start=start)
    intervals = {
        name: Interval.around(v, e, math.isfinite(e), "" if math.isfinite(e) else STEEP)
        for name, v, e in zip(slopes.names, answer.values.tolist(), answer.off.tolist(), strict=True)
    }
    _warn(intervals, tol)
    return intervals


class _Formula:
    """What is asked at t, on states and beyond them; `since` is the time since the last event before it."""

    def __init__(self, model: Model, text: str, tree: Expression, t: float, since: float, largest: FloatArray) -> None:
        self._model, self._text, self._tree, self._t = model, text, tree, t
        self._since, self._largest = since, largest

    def gradient(self, adjoint: Adjoint | TimedAdjoint) -> Gradient:
        """Return the derivatives, of the positive and the negative part where there are both."""
        model, states = self._model, adjoint.space.states
        values = formulas.values_on(states, self._text, model.species, model.observables, self._t)
        if values.dtype == np.bool_:
            asked = Weights(values.astype(np.float64), np.zeros(len(states)), adjoint.level(1.0))
            return adjoint.gradient([asked], signed=False)
        if not np.isfinite(values).all():
            raise ArgumentError(f"`formula` must be finite in every state, but '{self._text}' is not.")
        columns = {name: states[:, i].astype(np.float64) for i, name in enumerate(model.species)}
        off = np.broadcast_to(errors(self._tree, columns, 0.0)[1], len(states)) + UNIT_ROUNDOFF * np.abs(values)
        height = height_of(model, self._tree, adjoint, self._since, self._largest)
        positive = adjoint.gradient([Weights(np.maximum(values, 0.0), off, height)], signed=True)
        if (values >= 0.0).all():
            return positive
        negative = adjoint.gradient([Weights(np.maximum(-values, 0.0), off, height)], signed=True)
        products = positive.products + negative.products
        return Gradient(positive.values - negative.values, positive.off + negative.off, products)


def height_of(
    model: Model, tree: Expression, adjoint: Adjoint | TimedAdjoint, t: float, largest: FloatArray
) -> FloatArray:
    """Return what bounds the mean of a formula from all states, a time of up to t later; infinite where nothing does.

    Polynomials of degree one are bounded by the gauges, by `fsp.moments.part_moments`.
    `largest` are the largest counts (d,).
    """
    above: Polynomial | None = size(model, tree, largest)
    height = adjoint.level(0.0)
    for alpha, c in ({} if above is None else above).items():
        known = [(j, gauge) for j, gauge in enumerate(adjoint.gauges) if alpha[gauge.species] == 1]
        if sum(alpha) == 0:
            height[0] += float(c) * (1.0 + 2.0 * UNIT_ROUNDOFF)
        elif sum(alpha) == 1 and known:
            j, gauge = known[0]
            upward = gauge.moved(t)[2] * (1.0 + 4.0 * UNIT_ROUNDOFF)  # e^{TM⁺}
            height[0] += float(c) * upward[1, 0]
            height[1 + j] += float(c) * upward[1, 1]
        else:
            above = None
    return adjoint.level(math.inf) if above is None else height


def _forward(
    model: Model,
    formula: str,
    times: FloatArray,
    parameters: Sequence[str],
    tol: float,
    limits: Limits,
    *,
    log: bool,
    start: str | None,
) -> dict[str, Interval]:
    """Return the derivatives by those of all probabilities, to a tolerance that is lowered as a mean needs it."""
    intervals: dict[str, Interval] = {}
    asked = tol
    for _ in range(MOST_FORWARD_RUNS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ToleranceWarning)  # of the probabilities; that of what is asked comes below
            (derived,) = sensitivity(
                model,
                times,
                parameters,
                log=log,
                tol=asked,
                start=start,
                max_states=limits.max_states,
                max_memory=limits.max_memory,
                max_work=limits.max_work,
                progress=limits.report,
            )
        intervals = _read(derived, formula, model)
        widest = max(interval.width for interval in intervals.values())
        if not 2.0 * tol < widest < math.inf:
            break
        asked *= min(0.5, tol / widest)
    _warn(intervals, tol)
    return intervals


def _read(derived: Sensitivity, formula: str, model: Model) -> dict[str, Interval]:
    """Return the derivatives of a condition or of a species."""
    if formula.strip() in model.species:
        return derived.mean(formula.strip())
    values = formulas.values_on(derived.states, formula, model.species, model.observables, derived.t)
    if values.dtype != np.bool_:
        raise ArgumentError(
            f"`formula` must be a condition or a species where derivatives are taken forward, but is '{formula}'; "
            f"with rates that do not depend on time and the start of the model take method='adjoint'."
        )
    return derived.probability(formula)


def _warn(intervals: dict[str, Interval], tol: float) -> None:
    name, widest = max(intervals.items(), key=lambda item: item[1].width)
    if not all(interval.certified for interval in intervals.values()):
        reason = next(interval.reason for interval in intervals.values() if not interval.certified)
        warnings.warn(f"A derivative is an estimate: {reason or UNBOUNDED_CHANGE}.", ToleranceWarning, stacklevel=3)
    elif widest.width > 2.0 * tol:
        known = 0.5 * widest.width
        way = "Ask for a larger `tol`" if known < 1.0 else "Divide the formula by a number, which divides derivatives"
        warnings.warn(
            f"The derivative by '{name}' is known up to {known:.1e}, above the tolerance {tol:.1e}. {way}.",
            ToleranceWarning,
            stacklevel=3,
        )
