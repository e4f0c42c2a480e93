"""Stationary distributions on a space that grows until the error is bounded, or else until the answer settles.

A product form (`product_form`), the end of a chain that never comes back (`one_way`) or detailed balance on a line
(`detailed_balance`) is used where it holds.  Where a drift condition is found (`fsp.moments.lyapunov`) or all states
are stored, the error is a bound: see `certifier`.  Elsewhere it is an estimate: see `estimate`.  Jumps out of the space
then lead back (`fsp.chains.classes.lead_back`).

On a space that is given, jumps out of it are suppressed, and what can be proved is the distance from the chain without
a boundary.
"""

from __future__ import annotations

import math
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp import defaults
from fsp.bars import silent
from fsp.chains.classes import absorption, close_leaks, closed_classes, lead_back
from fsp.chains.null_vectors import METHODS, null_vector
from fsp.distribution import Distribution, ErrorLedger
from fsp.equilibrium.bounded import NOTHING_KNOWN, Bounded, example, warn_if_above
from fsp.equilibrium.certificate import roundings
from fsp.equilibrium.certified import StationaryCertifier
from fsp.equilibrium.detailed_balance import detailed_balance
from fsp.equilibrium.estimate import ClosedClass, Estimate, check_arguments, converged_answer, weighted
from fsp.equilibrium.excursions import SOUGHT, never_seen, unfollowed, unreturned
from fsp.equilibrium.heavy_tails import FALL_SLACK, MOMENTS, escape_from, no_sum, slowest_fall
from fsp.equilibrium.one_way import one_way
from fsp.equilibrium.product_form import product_form
from fsp.equilibrium.reachability import Reachability
from fsp.errors import StateSpaceError, ToleranceWarning
from fsp.generator import Generator
from fsp.moments import PendingBounds, moment_bounds
from fsp.moments.lyapunov import NoDriftCondition, drift_condition
from fsp.projection.backend import of_model, serial
from fsp.projection.escape import no_rest
from fsp.projection.growth import Growth, most_states, starting_vector
from fsp.projection.progress import Progress, ProgressCallback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsp.arrays import FloatArray
    from fsp.chains.classes import Classes
    from fsp.model import Model
    from fsp.space import StateSpace
    from fsp.space.base import BaseSpace

CERTIFIED_STATES = 100_000  # of a space that is given; chosen, not measured
SUM = 1e-12  # relative rounding of a sum of distances, far above that of pairwise sums of so many states


def stationary(
    model: Model,
    tol: float = defaults.TOL,
    *,
    space: StateSpace | None = None,
    method: str = "auto",
    lyapunov: str | None = None,
    max_states: int | None = None,
    max_memory: int | None = None,
    progress: ProgressCallback | None = None,
) -> Distribution:
    """Do the work of `fsp.stationary` in one process."""
    check_arguments(model, tol, method, METHODS)
    report = progress or silent
    if space is not None:
        space = Growth(model, max_states or most_states(model), max_memory).checked(space)
        return _on_fixed_space(model, space, tol, method, lyapunov)
    max_states = max_states or most_states(model)
    growth = Growth(model, max_states, max_memory, stationary=True)
    exact = _exactly(model, growth, tol, report) if method == "auto" and lyapunov is None else None
    if exact is not None:
        return exact
    try:
        certifier = _certifier(model, tol, method, lyapunov)
        n_excepted = len(certifier.excepted())
        if not growth.affords(n_excepted):
            raise NoDriftCondition(f"the drift condition needs {n_excepted:,} states")
        return _proved(model, certifier.solve(growth, report))
    except NoDriftCondition as missing:
        growth = Growth(model, max_states, max_memory, stationary=True)
        return estimated(model, growth, tol, method, report, str(missing))


def estimated(
    model: Model,
    growth: Growth,
    tol: float,
    method: str = "auto",
    report: ProgressCallback | None = None,
    reason: str = "none was asked for",
) -> Distribution:
    """Return a stationary distribution on a space that grew until the answer settled; `reason` says why no more."""
    solve = partial(_solve, model, method, Reachability(model))
    fall = slowest_fall(model)
    if fall is not None and fall[1] <= 1.0 + FALL_SLACK:
        raise StateSpaceError(no_sum(model, fall[0]))
    tries = iter(range(SOUGHT))

    def follow(estimate: Estimate) -> StateSpace | None:
        generator, p = estimate.generator, estimate.p
        larger = unfollowed(model, growth, generator, p, tol)
        if larger is None and next(tries, None) is not None:
            larger = unreturned(model, growth, generator, p)
        return larger

    estimate, change = converged_answer(model, growth, tol, solve, report, follow)
    estimate = _unproved(estimate, f"{reason}; a function given as `lyapunov` may help")
    way = escape_from(model, estimate)
    if way is not None:
        raise StateSpaceError(no_rest(way))
    estimate = estimate.noted(*_unseen(model, estimate), *_infinite_moments(fall))
    answer = _distribution(estimate, estimate.ledger(change))
    if tol < answer.error.total < NOTHING_KNOWN:  # beyond, a refusal follows
        warnings.warn(
            f"The estimated error {answer.error.total:.1e} exceeds tol = {tol:.1e}.", ToleranceWarning, stacklevel=4
        )
    return answer


def _infinite_moments(fall: tuple[str, float] | None) -> list[str]:
    """Return a note on moments that the law lacks."""
    lacking = [] if fall is None else [name for s, name in enumerate(MOMENTS, 2) if fall[1] <= s + FALL_SLACK]
    if fall is None or not lacking:
        return []
    return [
        f"probabilities of {fall[0]} = n fall as n^-{fall[1]:.3g}: its {' and '.join(lacking)} "
        f"{'is' if len(lacking) == 1 else 'are'} infinite, and what is printed is of the stored states"
    ]


def _unproved(estimate: Estimate, why: str) -> Estimate:
    """Return an estimate with what keeps it from being proved."""
    generator = estimate.generator
    return estimate.noted(f"the error is an estimate: {why}", *generator.rate_errors.remarks(generator.model))


def _unseen(model: Model, estimate: Estimate) -> list[str]:
    """Return notes on what an estimate takes for granted: that what leaves comes back, and what never happens."""
    if not estimate.generator.n_sinks:
        return []
    outflow, _ = estimate.flows
    notes = [f"what leaves the states, {outflow:.1e} per unit of time, came back where it was followed"]
    names = never_seen(model, estimate.generator.space)
    if names:
        notes.append(f"no stored state has a jump by {', '.join(names[:3])}: a class that it leads to is not seen")
    return notes


def _exactly(model: Model, growth: Growth, tol: float, report: ProgressCallback) -> Distribution | None:
    """Return a distribution that is known but for rounding and the states left out; None where there is none."""
    exact = product_form(model, growth, tol) or one_way(model) or detailed_balance(model, growth, tol)
    if exact is None:
        return None
    report(Progress(None, None, len(exact.p), exact.error.total, "stationary"))
    warn_if_above(exact, tol, stacklevel=5)
    return _proved(model, exact)


def _proved(model: Model, answer: Bounded) -> Distribution:
    bounds = np.stack([answer.lower, np.maximum(answer.lower, answer.upper)])
    return _distribution(answer, answer.error, moment_bounds(model, math.inf), bounds)


def _certifier(model: Model, tol: float, method: str, lyapunov: str | None) -> StationaryCertifier:
    return StationaryCertifier(model, None if model.is_finite else drift_condition(model, lyapunov), method, tol)


def _on_fixed_space(model: Model, space: StateSpace, tol: float, method: str, lyapunov: str | None) -> Distribution:
    """Solve with a reflecting boundary; the error is the distance from the chain without one."""
    estimate = _solve(model, method, Reachability(model), space, None, reflecting=True)
    try:
        answer = _distribution(estimate, *_distance(model, estimate, tol, method, lyapunov))
    except NoDriftCondition as missing:
        answer = _distribution(_unproved(estimate, str(missing)), estimate.ledger(estimate.suppressed()))
    if answer.error.total > tol:
        named = "error bound" if answer.error.certified else "estimated error"
        warnings.warn(
            f"The {named} {answer.error.total:.1e} exceeds tol = {tol:.1e}; give a larger `space` or none.",
            ToleranceWarning,
            stacklevel=4,
        )
    return answer


def _distance(
    model: Model, estimate: Estimate, tol: float, method: str, lyapunov: str | None
) -> tuple[ErrorLedger, PendingBounds, FloatArray]:
    """Bound the distance of an answer on a fixed space from the distribution on all states.

    It is at most the distance from what can be proved on the same space, plus the bound of that.  Returned are the
    bound, bounds of moments, and bounds of each state, (2, n).
    """
    space = serial(estimate.generator.space)
    if len(space) > CERTIFIED_STATES:
        raise NoDriftCondition(f"bounds on a given space are computed for at most {CERTIFIED_STATES:,} states")
    proved = _certifier(model, tol, method, lyapunov).attempt(space, None)
    if not proved.error.total < 1.0:
        raise NoDriftCondition("the space is too small for a bound, or not all of it leads back")
    inside = proved.generator.space
    apart = float(np.abs(estimate.p - inside.carry(proved.p, space)).sum())
    bounds = np.stack([inside.carry(proved.lower, space), inside.carry(np.maximum(proved.lower, proved.upper), space)])
    return proved.error + ErrorLedger(truncation=apart * (1.0 + SUM)), moment_bounds(model, math.inf), bounds


def _solve(
    model: Model,
    method: str,
    reach: Reachability,
    space: BaseSpace,
    guess: FloatArray | None,
    *,
    reflecting: bool = False,
) -> Estimate:
    space = serial(space)
    generator = Generator(model, space)
    initial = starting_vector(model, space)
    leads = partial(reach.may_lead if reflecting else reach.leads, space)  # a given space: as on ranks
    matrix, leak_rates = generator.to_csr(), generator.leak_rates
    if reflecting:
        chain = close_leaks(matrix, leak_rates, initial, leads)
    else:
        chain = lead_back(matrix, leak_rates, initial, initial if guess is None else guess, leads)
    classes = closed_classes(chain)
    end = absorption(chain, classes, leak_rates, initial, roundings(generator))
    return weighted(generator, end, _unsolved(space, chain, classes, method), guess)


def _unsolved(space: StateSpace, chain: Any, classes: Classes, method: str) -> Iterator[ClosedClass]:
    for members in classes.members:
        block = chain if len(members) == len(space) else chain[members][:, members].tocsr()
        where = example(space, int(members[0]))
        yield ClosedClass(members, len(members), where, partial(null_vector, block, method))


def _distribution(
    answer: Estimate | Bounded,
    error: ErrorLedger,
    moments: PendingBounds | None = None,
    state_bounds: FloatArray | None = None,
) -> Distribution:
    generator = answer.generator
    return Distribution(
        generator.space.states,
        answer.p,
        generator.model.species,
        t=None,
        error=error,
        closed=generator.n_sinks == 0 and not generator.model.definition.has_tails,
        notes=answer.notes,
        moments=moments,
        state_bounds=state_bounds,
        **of_model(generator.model),
    )
