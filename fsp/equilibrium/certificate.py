"""Bounds of the stationary distribution on all states, from a drift condition and one factorisation.

Let z be a state and T the time at which the chain first meets it.  A function h >= 0 that tends to infinity, with

(1) Σ_k a_k(x) (h(x + ν_k) - h(x)) <= -1        at every state x but z,

lies above E_x T, so that the chain comes back to z from everywhere, in finite mean time: π exists, and is unique.
For any y >= 0 on finitely many states, with r = A y and y(z) = c π(z), the difference c π - y is the occupation before
T that starts from r.  Hence

(2) Σ_x |c π(x) - y(x)|  <=  Σ_{x ≠ z} |r(x)| h(x),

whatever y is, over all states.  Let y, of mass 1, solve the equations inside a space with jumps out of it lost, but for
a residual.  What flows out is r on states outside; its part of the sum in (2) is `lost`, and that of the residual and
of its roundings is `off`.  So c π = y + m + e with m >= 0, Σ m <= lost and Σ |e| <= off, and with S = 1 + lost

(3) 1 - off <= c <= S + off;
(4) Σ_x |π - y/S| <= (lost + 2 off)/S.  For the sum of π - y/S is lost/S, and that of its negative part at most off/S:
    y - c π <= e⁻, which does where c <= S; else (c - S)/S joins it, and c - S <= Σ e⁺ - Σ e⁻.

h is glued: outside the space it is α + g/γ, with a drift condition ``A g <= -γ`` that is proved there; inside it is the
smaller of that and of a solution v of the equations.  The smaller of two such functions is one again; where α + g/γ is
the smaller one inside, the drift condition must hold too, so α is so large that this is not so at the states that it
excepts.  The inequality for v is checked state by state with all roundings charged, so that nothing depends on how well
the solver did.

Single states: what comes back into the space does so at the states E that jumps from outside reach, at a total rate
`coming`.  With R the rate at which y leaves, and q the largest probability of leaving before T from E,

(5) coming <= (R + Σ |r inside|)/(1 - q), a geometric series of returns;
(6) coming <= R + (largest rate of leaving) (lost + off), by (2), with off = 0 where e is relative to y: R holds it;
(7) c π(x) <= y(x) + coming w(x) + error(x), where w, a solution of the equations with all of E as sources at once, lies
    above the occupation from any of E, and error(x) is what the residual makes of this state, at most `off`;
(8) c π(x) >= y(x) - error(x), as what comes back only adds.

References
----------
P.-J. Courtois, P. Semal, Bounds for the positive eigenvectors of nonnegative matrices and for their approximations by
decomposition, J. ACM 31 (1984) 804, doi:10.1145/1634.1637.
T. Dayar, H. Hermanns, D. Spieler, V. Wolf, Numer. Linear Algebra Appl. 18 (2011) 931, doi:10.1002/nla.795.
S. P. Meyn, R. L. Tweedie, Stability of Markovian processes III, Adv. Appl. Probab. 25 (1993) 518, doi:10.2307/1427522.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.chains.hitting_times import Eliminated, Factorised
from fsp.equilibrium.reachability import entered

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, FloatArray, IntArray
    from fsp.chains.hitting_times import StoppedChain
    from fsp.generator import Generator
    from fsp.moments.lyapunov import DriftCondition

SUM_SLACK = 2e-14  # relative: pairwise sums over states, 20 + log2(n) additions in a row, and the operations on them
# Of the right-hand sides that is added, so that a solution with roundings is above the exact one.
RIGHT_SIDE_MARGIN = 1e-6
LARGEST_RATE_ERROR = 0.01  # of a rate: what is proved of the rates that are computed says nothing of others
UNKNOWN_ERROR = 1e300  # stands for an infinite error: nothing times it is nothing
LEAST_DRIFT = 0.1  # that the function inside must show before it is scaled
ALPHA_MARGIN = 1e-6  # of α, by which it is larger than needed, so that rounding does not undo it
NO_MASS = 1e-300  # in place of a mass that is not positive: then nothing is known from above


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    """A stationary distribution with bounds that hold on the infinite state space."""

    p: FloatArray  # (n,) probabilities, of a mass below one
    lower: FloatArray  # (n,) bounds of the probability of each stored state
    upper: FloatArray
    truncation: float  # parts of a bound of the 1-norm distance to the exact distribution, over all states
    integration: float
    rounding: float

    @property
    def total(self) -> float:
        """The bound."""
        return self.truncation + self.integration + self.rounding


@dataclass(frozen=True, slots=True, eq=False)
class Boundary:
    """The jumps out of the space, and g/γ where they lead and at the stored states."""

    sources: IntArray  # (m,)
    rates: FloatArray  # (m,)
    beyond: FloatArray  # (m,) g/γ at the targets
    within: FloatArray  # (n,) g/γ; infinite where there is no condition
    excepted: IntArray  # stored states at which the drift may be above -γ
    slack: float  # relative error of g/γ


def rate_outside(condition: DriftCondition, generator: Generator) -> float:
    """Return γ, 1/time, such that ``A g <= -γ`` at all states that are not stored; not positive where there is none."""
    missing = generator.space.index(condition.states) < 0
    return min(condition.elsewhere, -float(condition.drifts[missing].max(initial=-np.inf)))


def certify(
    generator: Generator, z: int, condition: DriftCondition | None, *, eliminate: bool = False
) -> Certificate | None:
    """Solve for the stationary distribution of the class of state `z`, and bound its error.

    A state of high probability gives the best bounds.  The drift condition excepts no state outside the space; None
    where no jump leaves that.  `eliminate` solves without a subtraction, so that rounding does not grow with return
    times: better where rates are far apart.  None comes back where nothing can be proved: the space is too small, a
    state of it does not lead to z, or rounding hides the drift.
    """
    if generator.n_sinks and (condition is None or not rate_outside(condition, generator) > 0.0):
        return None
    if not roundings(generator) < LARGEST_RATE_ERROR:
        return None
    keep = np.arange(len(generator)) != z
    if not keep.any():
        return None if generator.n_sinks else Certificate(np.ones(1), np.ones(1), np.ones(1), 0.0, 0.0, 0.0)
    try:
        system = stopped_at(generator, z, eliminate)
    except RuntimeError:  # singular: a part of the space is never left
        return None
    boundary = boundary_of(generator, condition)
    entries = np.flatnonzero(entered(generator.model, generator.space) & keep)
    times = hitting_times(generator, system, boundary, z)
    certificate = None if times is None else _bounded(generator, z, system, boundary, entries, times)
    return certificate if certificate is not None and np.isfinite(certificate.total) else None


def stopped_at(generator: Generator, z: int, eliminate: bool) -> StoppedChain:
    """Return the equations of the chain that ends where it meets z; a RuntimeError says that they are singular."""
    matrix = generator.to_csr()
    return Eliminated(matrix, generator.leak_rates, z, roundings(generator)) if eliminate else Factorised(matrix, z)


@dataclass(frozen=True, slots=True, eq=False)
class HittingTimes:
    """Bounds of h inside and at the targets of the jumps out, and of the probability of leaving first."""

    inside: FloatArray  # (n,)
    beyond: FloatArray  # (m,)
    leaving: FloatArray  # (n,)
    lift: float = 0.0  # α
    scale: float = 1.0  # what the function was multiplied by: it is ``scale (α + g/γ)`` at all states outside


def boundary_of(generator: Generator, condition: DriftCondition | None) -> Boundary:
    """Return the jumps out of the space of a generator, with the heights of a drift condition."""
    if not generator.leaks or condition is None:
        none = np.zeros(0)
        return Boundary(none.astype(np.int64), none, none, np.full(len(generator), np.inf), none.astype(np.int64), 0.0)
    gamma = rate_outside(condition, generator)
    sources = np.concatenate([leak.sources for leak in generator.leaks])
    change = np.concatenate([np.tile(leak.change, (len(leak.sources), 1)) for leak in generator.leaks])
    targets = generator.space.states_at(sources) + change
    place = generator.space.index(condition.states[condition.drifts > -gamma])
    return Boundary(
        sources,
        np.concatenate([leak.rates for leak in generator.leaks]),
        condition.values(targets) / gamma,
        condition.values(generator.space.states) / gamma,
        place[place >= 0],
        max(SUM_SLACK, 2.0 * condition.precision),
    )


def hitting_times(generator: Generator, system: StoppedChain, boundary: Boundary, z: int) -> HittingTimes | None:
    """Return a function with a drift of at most -1 at all states but z, checked; None where there is none.

    What is proved is of h, the smaller of v as it is computed and of the exact α + g/γ, which is no larger than what is
    computed and raised by its slack.  So targets are not taken for lower than h; where the exact one is below v, its
    drift counts, which no slack has a part in; and at excepted states `lifted` keeps v below it.
    """
    n = len(generator)
    others = np.arange(n) != z
    known = np.isfinite(system.relative)  # solutions need no check
    above = 1.0 + system.relative + boundary.slack + roundings(generator) if known else 1.0
    first: FloatArray = np.bincount(boundary.sources, boundary.rates * boundary.beyond, n).astype(np.float64)
    outflow: FloatArray = np.bincount(boundary.sources, boundary.rates, n).astype(np.float64)
    solved = system.solve_adjoint(1.0 + first) * above + system.tiny  # v as if α were zero
    if not np.isfinite(solved).all():  # too long for a double
        return None
    leaving, alpha = np.zeros(n), 0.0
    if len(boundary.sources):
        spread = 0.0 if known else RIGHT_SIDE_MARGIN / max(1.0, float(solved.max()))
        leaving = system.solve_adjoint(outflow + spread) * above + system.tiny
        core = boundary.excepted[boundary.excepted != z]
        lift = lifted(solved[core], leaving[core], boundary.within[core] * (1.0 - boundary.slack))
        if lift is None:
            return None
        alpha = lift
        solved = solved + alpha * leaving
    glued = (alpha + boundary.within) * (1.0 + boundary.slack)  # (n,)
    beyond = (alpha + boundary.beyond) * (1.0 + boundary.slack)  # (m,)
    inside = np.minimum(solved, glued)
    if known:
        return HittingTimes(inside, beyond, np.minimum(leaving, 1.0), alpha, 1.0 + boundary.slack)
    drift = min(1.0, _drift(generator, boundary, solved, inside, beyond, others & (solved <= glued)))
    if not drift > LEAST_DRIFT:
        return None
    proved = _drift(generator, boundary, leaving, leaving, np.ones(len(boundary.rates)), others) > 0.0
    return HittingTimes(
        inside / drift, beyond / drift, leaving if proved else np.ones(n), alpha, (1.0 + boundary.slack) / drift
    )


def lifted(solved: FloatArray, leaving: FloatArray, outer: FloatArray) -> float | None:
    """Return α for which ``solved + α leaving <= α + outer`` at some states, (m,) each; None where there is none.

    There the function inside is the smaller one of the two that are glued, so that the outer one needs no drift.
    """
    back = 1.0 - leaving
    if not (back > 0.0).all():
        return None
    alpha = max(0.0, float(((solved - outer) / back).max(initial=0.0))) * (1.0 + ALPHA_MARGIN)
    return None if (solved + alpha * leaving > (alpha + outer) * (1.0 - 4.0 * UNIT_ROUNDOFF)).any() else alpha


def _drift(
    generator: Generator,
    boundary: Boundary,
    here: FloatArray,
    inside: FloatArray,
    beyond: FloatArray,
    chosen: BoolArray,
) -> float:
    """Return the least of ``-Σ a(x) (f(target) - f(x))`` over chosen states (n,), roundings taken off.

    f(x) is `here`; f at targets is `inside` or, out of the space, `beyond`.  They are taken as they are, so that only
    rates and differences round.
    """
    matrix = generator.to_csr().tocoo()
    n = len(here)
    jumps = matrix.row != matrix.col
    target, source, rate = matrix.row[jumps], matrix.col[jumps], matrix.data[jumps]
    step = rate * (inside[target] - here[source])
    out = boundary.rates * (beyond - here[boundary.sources])
    change = np.bincount(source, step, n) + np.bincount(boundary.sources, out, n)
    size = np.bincount(source, np.abs(step), n) + np.bincount(boundary.sources, np.abs(out), n)
    return float((-change - roundings(generator) * size)[chosen].min(initial=np.inf))


def roundings(generator: Generator) -> float:
    """Relative error of a rate, of a product with it and of a sum over the jumps of a state."""
    of_sums = UNIT_ROUNDOFF * (generator.operations + len(generator.model.reactions) + 4.0)
    return of_sums + min(generator.rate_errors.worst, UNKNOWN_ERROR)


def _bounded(
    generator: Generator, z: int, system: StoppedChain, boundary: Boundary, entries: IntArray, times: HittingTimes
) -> Certificate:
    y = _solution(generator, z, system)
    residual, charge = _left(generator, system, y, z)
    # The parts of the sum in (2): inside, by the solver and by rounding, and outside.
    if np.isfinite(system.relative):  # errors are known beforehand, and there is nothing to look at
        solved, rounded = 0.0, system.relative + len(generator) * system.tiny
        spread = len(generator) * system.tiny
    else:
        solved, rounded = float((residual * times.inside).sum()), float((charge * times.inside).sum())
        spread = solved + rounded
    leaked = boundary.rates * y[boundary.sources]
    lost = float((leaked * times.beyond).sum()) * (1.0 + roundings(generator)) * (1.0 + min(1.0, rounded))
    total = float(y.sum())
    scale = (total + lost) * (1.0 + SUM_SLACK)  # S
    leaving = float(leaked.sum()) * (1.0 + rounded)  # R
    coming = min(
        _returning(leaving + float((residual + charge).sum()), times.leaving[entries]),  # (5)
        leaving + _largest_outflow(generator, boundary) * (lost + spread),  # (6)
    )
    single = _single_states(generator, system, entries, coming, residual + charge, y, z)
    error = np.minimum(single.error, solved + rounded)
    upper, lower = y + single.gained + error, y - error  # (7), (8)
    return Certificate(
        y / scale,
        np.maximum(lower / (scale + solved + rounded) * (1.0 - SUM_SLACK), 0.0),  # (3), (8)
        np.minimum(upper / max(total - solved - rounded, NO_MASS) * (1.0 + SUM_SLACK), 1.0),  # (3), (7)
        lost / scale * (1.0 + SUM_SLACK),  # (4)
        2.0 * solved / scale,  # (4)
        2.0 * rounded / scale + 2.0 * SUM_SLACK,  # (4); once for the sums, once for what is taken off by the scale
    )


def _solution(generator: Generator, z: int, system: StoppedChain) -> FloatArray:
    """Return y, (n,), of mass 1: the occupation of the states between two visits of z, jumps out of the space lost."""
    jumps = np.asarray(generator.to_csr()[:, [z]].todense()).ravel()
    jumps[z] = 0.0
    y = system.solve(jumps)
    y[z] = 1.0
    y /= y.sum()
    return y


def _left(generator: Generator, system: StoppedChain, y: FloatArray, z: int) -> tuple[FloatArray, FloatArray]:
    """Return |A y| but at z, and what rounding may hide of it, (n,); zero where errors are known beforehand."""
    if np.isfinite(system.relative):
        return np.zeros(len(y)), np.zeros(len(y))
    matrix = generator.to_csr()
    residual, charge = np.abs(matrix @ y), roundings(generator) * (abs(matrix) @ y)
    residual[z] = charge[z] = 0.0
    return residual, charge


def _returning(rate: float, leaving: FloatArray) -> float:
    """Return the rate of coming back, where each return leaves again with a probability in `leaving` (m,): (5)."""
    staying = 1.0 - float(leaving.max(initial=0.0))
    return rate / staying if staying > 0.0 else np.inf


def _largest_outflow(generator: Generator, boundary: Boundary) -> float:
    return float(np.bincount(boundary.sources, boundary.rates, len(generator)).max(initial=0.0))


@dataclass(frozen=True, slots=True, eq=False)
class _Single:
    """What a single state may hold more than y, from outside and from the residual of the equations, (n,)."""

    gained: FloatArray
    error: FloatArray


def _single_states(
    generator: Generator,
    system: StoppedChain,
    entries: IntArray,
    coming: float,
    residual: FloatArray,
    y: FloatArray,
    z: int,
) -> _Single:
    n = len(residual)
    sources = np.zeros(n)
    sources[entries] = 1.0
    if np.isfinite(system.relative):
        gained = coming * (system.solve(sources) * (1.0 + system.relative) + system.tiny) * (1.0 + SUM_SLACK)
        gained[z] = 0.0
        return _Single(gained, system.relative * y + system.tiny)
    spread = RIGHT_SIDE_MARGIN * max(1, len(entries)) / n
    w = system.solve(sources + spread)
    matrix = generator.to_csr()
    # what the equations really have as sources, less all roundings
    held = -(matrix @ w) - roundings(generator) * (abs(matrix) @ w)
    held[z] = np.inf
    unlimited = np.full(n, np.inf)
    if not (held > 0.0).all():
        return _Single(unlimited if len(entries) else np.zeros(n), unlimited)
    error = float((residual / held).max()) * w * (1.0 + SUM_SLACK)
    if not len(entries):
        return _Single(np.zeros(n), error)
    gained = coming / float(held[entries].min()) * w * (1.0 + SUM_SLACK)
    gained[z] = error[z] = 0.0
    return _Single(gained, error)
