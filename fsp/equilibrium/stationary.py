"""Stationary distributions on a space that grows until the error is bounded, or else until the answer settles.

A product form (`product_form`) or detailed balance on a line (`detailed_balance`) is used where it holds.  Where a
drift condition is found (`fsp.moments.lyapunov`) or all states are stored, the error is a bound: see `certified`.
Elsewhere it is an estimate.  Then jumps out of the space lead back (see `lead_back`), the closed communicating classes
are found, the null vector of each is computed and weighted by the probability of ending in it.  The space grows where
the answer's probability would flow out; the change of the answer under growth estimates the truncation error.  Before
it is accepted the space is grown once more from every state of its boundary, and what leaves it is followed.

On a space that is given, jumps out of it are suppressed, and what can be proved is the distance from the chain without
a boundary.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from fsp.chains.classes import absorption, close_leaks, closed_classes, lead_back
from fsp.chains.null_vectors import METHODS, null_vector
from fsp.distribution import Distribution, ErrorLedger
from fsp.equilibrium.bounded import Bounded, example, warn_if_above
from fsp.equilibrium.certificate import roundings
from fsp.equilibrium.certifier import Certifier
from fsp.equilibrium.detailed_balance import detailed_balance
from fsp.equilibrium.excursions import unfollowed
from fsp.equilibrium.product_form import product_form
from fsp.equilibrium.reachability import Reachability
from fsp.errors import ArgumentError, BackendError, StateSpaceError, ToleranceWarning
from fsp.generator import Generator
from fsp.model.structure import irreversible_gain
from fsp.moments import PendingBounds, moment_bounds
from fsp.moments.lyapunov import NoDriftCondition, drift_condition
from fsp.projection.growth import MAX_STATES, Growth, check_tolerance, starting_vector
from fsp.projection.progress import Progress, ProgressCallback

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.model import Model
    from fsp.space import StateSpace

SUSPECT_GROWTHS = 5
CERTIFIED_STATES = 100_000  # of a space that is given
NEGLIGIBLE = 1e-14  # probability of a closed class that is not solved
PASSING = 0.5  # share of the jumps that leave the space, from which on its closed classes only pass probability on


@dataclass(frozen=True, slots=True, eq=False)
class _Solved:
    generator: Generator
    p: FloatArray  # (n,), of mass 1 less what was lost
    occupation: FloatArray  # mean times in transient states, (n,)
    lost: float  # probability of leaving the space before a closed class is reached
    error: float
    notes: tuple[str, ...]

    @property
    def lasting(self) -> FloatArray:
        """Weights of what goes on, (n,): the way to the closed classes too where these are no more than its end."""
        generator = self.generator
        passing = generator.leak_rates @ self.p > PASSING * (generator.exit_rates @ self.p)
        return self.p + self.occupation if passing else self.p

    def estimate(self, truncation: float) -> ErrorLedger:
        lost = self.generator.rate_errors.lost
        return ErrorLedger(truncation=truncation, integration=self.error, rounding=lost, certified=False)

    def noted(self, why: str) -> _Solved:
        """Return the same, with what keeps it from being proved."""
        generator = self.generator
        return replace(self, notes=(*self.notes, why, *generator.rate_errors.remarks(generator.model)))


def stationary(
    model: Model,
    tol: float = 1e-6,
    *,
    space: StateSpace | None = None,
    method: str = "auto",
    lyapunov: str | None = None,
    max_states: int | None = None,
    max_memory: int | None = None,
    progress: ProgressCallback | None = None,
) -> Distribution:
    """Do the work of `fsp.stationary` in one process."""
    check_arguments(model, tol, method)
    report = progress or _silent
    if space is not None:
        return _on_fixed_space(model, space, tol, method, lyapunov)
    max_states = max_states or MAX_STATES
    growth = Growth(model, max_states, max_memory, stationary=True)
    exact = _exactly(model, growth, tol, report) if method == "auto" and lyapunov is None else None
    if exact is not None:
        return exact
    try:
        certifier = _certifier(model, tol, method, lyapunov)
        if not growth.affords(certifier.n_excepted):
            raise NoDriftCondition(f"the drift condition needs {certifier.n_excepted:,} states")
        return _proved(model, certifier.settle(growth, report))
    except NoDriftCondition as missing:
        growth = Growth(model, max_states, max_memory, stationary=True)
        return estimated(model, growth, tol, method, report, str(missing))


def check_arguments(model: Model, tol: float, method: str = "auto") -> None:
    """Raise an error unless a stationary distribution can be asked for like that."""
    model.require_untimed("A stationary distribution")
    if model.is_time_dependent:
        raise BackendError(
            "A stationary distribution must have constant propensities, but this network's depend on time."
        )
    check_tolerance(tol)
    if method not in ("auto", *METHODS):
        raise ArgumentError(f"`method` must be one of {', '.join(['auto', *METHODS])}, but is '{method}'.")


def estimated(
    model: Model,
    growth: Growth,
    tol: float,
    method: str = "auto",
    report: ProgressCallback | None = None,
    reason: str = "none was asked for",
) -> Distribution:
    """Return a stationary distribution on a space that grew until the answer settled; nothing is proved.

    Parameters
    ----------
    model, tol, method
        As in `stationary`.
    growth
        Chooses the states.
    report
        Called for every space.
    reason
        Why there is no proof.
    """
    solved, change = _settled(model, growth, tol, method, report or _silent)
    uncertified = f"the error is an estimate: {reason}; a function given as `lyapunov` may help"
    solved = solved.noted(uncertified)
    solved = replace(solved, notes=(*solved.notes, *_unseen(model, solved)))
    found = _distribution(model, solved, solved.estimate(change))
    if found.error.total > tol:
        warnings.warn(
            f"The estimated error {found.error.total:.1e} exceeds tol = {tol:.1e}.", ToleranceWarning, stacklevel=4
        )
    return found


def _unseen(model: Model, solved: _Solved) -> list[str]:
    """Return notes on what an estimate takes for granted: that what leaves comes back, and what never happens."""
    if not solved.generator.n_sinks:
        return []
    outflow = float(solved.generator.leak_rates @ solved.p)
    notes = [f"what leaves the states, {outflow:.1e} per unit of time, came back where it was followed"]
    rates = model.propensities(solved.generator.space.states)
    names = [str(reaction.name) for reaction, own in zip(model.reactions, rates, strict=True) if not own.any()]
    if names:
        notes.append(f"no stored state has a jump by {', '.join(names[:3])}: a class that it leads to is not seen")
    return notes


def _settled(model: Model, growth: Growth, tol: float, method: str, report: ProgressCallback) -> tuple[_Solved, float]:
    """Return the answer on a space that has grown until it settled, and its change under the last growth.

    Before it is accepted the space grows from all of its boundary, and what leaves it by each kind of jump, however
    seldom, is followed until most of it comes back: what never does takes all probability in the end.
    """
    reach = Reachability(model)
    solved = _solve(model, growth.first(), method, None, reach)
    change, settled = 2.0, False
    found: StateSpace | None = None
    while solved.generator.n_sinks:
        before, space = solved, solved.generator.space
        refuse_accumulation(model, space, before.lasting, growth.count)
        ledger = ErrorLedger(truncation=change, integration=before.error, certified=False)
        weight = before.p + before.occupation
        grown = found or growth.grow(space, before.generator, weight, None, ledger, everywhere=settled)
        guess = space.carry(before.p, grown)
        solved = _solve(model, grown, method, guess, reach)
        change = float(np.abs(solved.p - guess).sum()) + 2.0 * solved.lost
        report(Progress(None, None, len(grown), change + solved.error, "stationary"))
        confirmed = settled and found is None
        rounded = change <= before.error + solved.error  # what the solvers leave hides what growing changes
        settled = rounded or change + solved.error <= tol
        found = unfollowed(model, growth, solved.generator, solved.p, tol) if confirmed and settled else None
        if confirmed and settled and found is None:
            return solved, change
    return solved, 0.0


def _exactly(model: Model, growth: Growth, tol: float, report: ProgressCallback) -> Distribution | None:
    """Return a distribution that is known but for rounding and the states left out; None where there is none."""
    exact = product_form(model, growth, tol) or detailed_balance(model, growth, tol)
    if exact is None:
        return None
    report(Progress(None, None, len(exact.p), exact.error.total, "stationary"))
    warn_if_above(exact, tol, stacklevel=5)
    return _proved(model, exact)


def _proved(model: Model, found: Bounded) -> Distribution:
    bounds = np.stack([found.lower, np.maximum(found.lower, found.upper)])
    return _distribution(model, found, found.error, moment_bounds(model, math.inf), bounds)


def _certifier(model: Model, tol: float, method: str, lyapunov: str | None) -> Certifier:
    return Certifier(model, None if model.is_finite else drift_condition(model, lyapunov), method, tol)


def _on_fixed_space(model: Model, space: StateSpace, tol: float, method: str, lyapunov: str | None) -> Distribution:
    """Solve with a reflecting boundary; the error is the distance from the chain without one."""
    solved = _solve(model, space, method, None, Reachability(model), reflecting=True)
    try:
        found = _distribution(model, solved, *_distance(model, solved, tol, method, lyapunov))
    except NoDriftCondition as missing:
        # Each jump that was suppressed would have led outside: flux over the exit rate is what may be missing.
        outflow = float(solved.generator.leak_rates @ solved.p)
        slowest = max(float(solved.generator.exit_rates @ solved.p), 1e-300)
        truncation = min(2.0, 2.0 * outflow / slowest + 2.0 * solved.lost)
        if gaining(model, space, solved.p) is not None:
            truncation = 2.0
        noted = solved.noted(f"the error is an estimate: {missing}")
        found = _distribution(model, noted, solved.estimate(truncation))
    if found.error.total > tol:
        named = "error bound" if found.error.certified else "estimated error"
        warnings.warn(
            f"The {named} {found.error.total:.1e} exceeds tol = {tol:.1e}; give a larger `space` or none.",
            ToleranceWarning,
            stacklevel=4,
        )
    return found


def _distance(
    model: Model, solved: _Solved, tol: float, method: str, lyapunov: str | None
) -> tuple[ErrorLedger, PendingBounds, FloatArray]:
    """Bound the distance of an answer on a fixed space from the distribution on all states.

    It is at most the distance from what can be proved on the same space, plus the bound of that.

    Returns
    -------
    tuple
        The bound, bounds of moments, and bounds of each state, (2, n).

    Raises
    ------
    NoDriftCondition
        If nothing can be proved on this space.
    """
    space = solved.generator.space
    if len(space) > CERTIFIED_STATES:
        raise NoDriftCondition(f"bounds on a given space are computed for at most {CERTIFIED_STATES:,} states")
    proved = _certifier(model, tol, method, lyapunov).attempt(space, None)
    if not proved.error.total < 1.0:
        raise NoDriftCondition("the space is too small for a bound, or not all of it leads back")
    inside = proved.generator.space
    apart = float(np.abs(solved.p - inside.carry(proved.p, space)).sum())
    bounds = np.stack([inside.carry(proved.lower, space), inside.carry(np.maximum(proved.lower, proved.upper), space)])
    return proved.error + ErrorLedger(truncation=apart * (1.0 + 1e-12)), moment_bounds(model, math.inf), bounds


def _solve(
    model: Model,
    space: StateSpace,
    method: str,
    guess: FloatArray | None,
    reach: Reachability,
    *,
    reflecting: bool = False,
) -> _Solved:
    generator = Generator(model, space)
    initial = starting_vector(model, space)
    leads = partial(reach.leads, space)
    matrix, leak_rates = generator.to_csr(), generator.leak_rates
    if reflecting:
        closed = close_leaks(matrix, leak_rates, initial, leads)
    else:
        closed = lead_back(matrix, leak_rates, initial, initial if guess is None else guess, leads)
    classes = closed_classes(closed)
    end = absorption(closed, classes, leak_rates, initial, roundings(generator))
    p = np.zeros(len(space))
    error, notes = 0.0, []
    for members, weight in zip(classes.members, end.weights, strict=True):
        if weight <= NEGLIGIBLE:
            error += 2.0 * weight
            continue
        whole = len(members) == len(space)
        block = closed if whole else closed[members][:, members].tocsr()
        start = (
            None if guess is None or not guess[members].sum() > 0.5 * weight else guess[members] / guess[members].sum()
        )
        found = null_vector(block, method, start)
        p[members] = weight * found.p
        error += weight * found.error
        where = example(space, int(members[0]))
        notes.append(f"closed class of {len(members):,} states around ({where}), probability {weight:.6g}")
    return _Solved(generator, p, end.occupation, end.lost, error, tuple(notes) if len(notes) > 1 else ())


def refuse_accumulation(model: Model, space: StateSpace, p: FloatArray, growths: int) -> None:
    """Raise where molecules are made and never lost: the answer would be one of the boundary only."""
    if growths < SUSPECT_GROWTHS:
        return
    k = gaining(model, space, p)
    if k is not None:
        raise StateSpaceError(
            f"A stationary distribution must exist, but reaction '{model.reactions[k].name}' goes on, and nothing "
            f"undoes what it adds: probability escapes to infinity. Add the loss, or give a `space` if a reflecting "
            f"boundary is meant."
        )


def gaining(model: Model, space: StateSpace, p: FloatArray) -> int | None:
    """Return a reaction that goes on although nothing undoes what it adds; none does where states are finitely many."""
    if model.is_finite:
        return None
    flux = np.asarray(space.comm.sum(model.propensities(space.local.states) @ p))  # (n_reactions,)
    endless = np.isinf(model.species_bounds)
    found = irreversible_gain(model.change[:, endless]) & (flux > 1e-9 * flux.sum())
    return int(np.argmax(found)) if found.any() else None


def _distribution(
    model: Model,
    solved: _Solved | Bounded,
    error: ErrorLedger,
    moments: PendingBounds | None = None,
    state_bounds: FloatArray | None = None,
) -> Distribution:
    return Distribution(
        solved.generator.space.states,
        solved.p,
        model.species,
        t=None,
        error=error,
        closed=solved.generator.n_sinks == 0,
        model_name=model.name,
        model_hash=model.hash,
        time_unit=model.time_unit,
        observables=model.observables,
        notes=solved.notes,
        moments=moments,
        state_bounds=state_bounds,
    )


def _silent(progress: Progress) -> None:
    """Report nothing."""
