"""Fisher information of observations of a transient distribution, with intervals.

Let z be what is observed of a state, p_z its probability, s_z the derivatives, and u_z = s_z / p_z the score, so that
``F = Σ_z s_z s_zᵀ / p_z``.  On paths that stay in the stored space, y_z, h_z and v_z are what is computed, y_z <= p_z,
and Z are the z with enough probability.  To know in addition whether a path has stayed in the space and ended in Z can
only tell more, and of what ends elsewhere ``s_k² / p <= E[S_k²]`` by Cauchy and Schwarz, S the score of the path.  So

(1)  F  <=  Σ_Z h_z h_zᵀ / y_z + R,    R >= 0,    R_kk <= E[S_k²] - Σ_Z v_kz ,

where the first term of R_kk has an upper bound (`fsp.inference.account`).  From below, for any numbers u_z,
``s²/p >= 2 u s - u² p``: with those of the stored distribution on Z, and nothing elsewhere, in each direction c

(2)  cᵀ F c  >=  cᵀ C c - |c|ᵀ M |c|,    M_kl = U_k E_l + U_l E_k + U_k U_l (δ + ρ),    C = Σ_Z h_z h_zᵀ / y_z ,

U_k the largest |u_kz|, E_k the 1-norm error of h_k, δ what y lacks, ρ the rounding of y.  By Cauchy and Schwarz again
``‖s_k - h_k‖₁² <= R_kk δ``, with the R_kk of all stored states.  Elements follow from (1) and (2) by polarisation:

An instrument makes z of what is there with probabilities of which W is a lower bound
(`fsp.inference.observation_channel`): y, h and v are then ``W y``, ``W h`` and ``W v``, and to know whether an outcome
is one that W counts is one more thing to know, so that (1) holds as it stands.  In (2), what W lacks, η, adds
``η ‖h_k‖₁`` to E_k and η to ρ.

The number of an instrument may be a parameter as well: `fsp.inference.instrument_scores` says what its h and v are.

(3)  |F_kl - C_kl|  <=  √(R_kk R_ll) + √((R_kk + M_kk)(R_ll + M_ll)) .

References
----------
Z. Fox, B. Munsky, PLoS Comput. Biol. 15 (2019) e1006365, doi:10.1371/journal.pcbi.1006365.
A. Zamir, A proof of the Fisher information inequality via a data processing argument, IEEE Trans. Inf. Theory 44
(1998) 1246, doi:10.1109/18.669301.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fsp import defaults
from fsp.arithmetic import SUM_ROUNDING, dot, row_rounding
from fsp.bars import barred, callback, silent
from fsp.checks import as_numbers, shown
from fsp.distribution.information import CellScores, FisherInformation
from fsp.distribution.sensitivity import UNSTORED
from fsp.errors import ArgumentError, ToleranceWarning
from fsp.inference.account import Scores
from fsp.inference.distributions import distributions
from fsp.inference.instrument_scores import Asked, told_of
from fsp.inference.instruments import Instrument
from fsp.inference.loop import check_start, solve
from fsp.inference.observation_channel import categories, channel, instruments_for
from fsp.inference.parameters import require_fixed_observables
from fsp.inference.problem import Limits
from fsp.model.arguments import check_call, check_tolerance
from fsp.model.times import checked_times

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, FloatArray
    from fsp.inference.problem import Reached
    from fsp.model import Model
    from fsp.projection.progress import ProgressCallback

# Least probabilities of a z in Z that are tried; of that with the narrowest intervals is what is returned.
LEAST_PROBABILITIES = tuple(10.0**-n for n in range(2, 15))
MOST_CELLS_OBSERVED = 1e15  # at a time; chosen: whole numbers of cells, which designs round to, are exact below 9e15


@barred()
def fisher(
    model: Model,
    times: Sequence[float] | FloatArray | float,
    parameters: Sequence[str],
    *,
    cells: float | Sequence[float] = 1,
    observe: str | Sequence[str] | None = None,
    instrument: Any | Mapping[str, Any] | None = None,
    log: bool = True,
    tol: float = defaults.FISHER_TOL,
    start: str | None = None,
    max_states: int | None = None,
    max_memory: int | None = None,
    max_work: float | None = None,
    progress: ProgressCallback | bool | None = None,
) -> FisherInformation:
    """Return the Fisher information of independent cells about parameters, with intervals.

    Parameters
    ----------
    model
        The reaction network, as for `fsp.sensitivity`.
    times
        Increasing times >= 0 at which cells are observed, each once.
    parameters
        Names of the parameters.
    cells
        How many cells are observed at each time: one number, or one for each time.
    observe
        What is seen of a cell: a species, a formula such as ``"A + B"``, or several of them together; all species
        without.
    instrument
        The measurement, from the counts in cells to those that are seen, as for `fsp.likelihood`.  A parameter of the
        model that is its capture probability is estimated where it is named in `parameters`, and known elsewhere.
    log
        Whether the information is about the logarithms of the parameters.
    tol
        Bound on the 1-norm error of each derivative; intervals get narrower with it.
    start
        Where cells begin, as for `fsp.sensitivity`.
    max_states, max_memory, max_work
        Limits, as for `fsp.transient`.
    progress
        True for a bar; or a function that is called with a `Progress` now and then.

    Returns
    -------
    FisherInformation
        (q, q) `matrix`, `lower` and `upper`, and intervals of eigenvalues, trace and determinant.

    Raises
    ------
    ArgumentError
        If `cells` or `observe` is not as above, or what `fsp.sensitivity` refuses.
    ModelError
        If a propensity is a callable, not smooth, or vanishes where its derivative does not.
    BackendError
        If an event takes place at no known time, or time is no factor of a propensity.
    StateSpaceError
        If the tolerance cannot be met within the limits.
    ConvergenceError
        If that takes too much work.

    Warns
    -----
    ToleranceWarning
        If nothing bounds what states that are not stored contribute, so that the matrix is an estimate.

    References
    ----------
    Z. Fox, B. Munsky, PLoS Comput. Biol. 15 (2019) e1006365, doi:10.1371/journal.pcbi.1006365.

    Examples
    --------
    >>> fsp.fisher(model, [1.0, 2.0], ["k", "g"], cells=1000, observe="X").eigenvalues()  # doctest: +SKIP
    """
    limits = Limits(max_states, max_memory, max_work, callback(progress) or silent)
    of_cell = of_cells(
        model,
        times,
        parameters,
        observe=observe,
        instrument=instrument,
        log=log,
        tol=tol,
        start=start,
        limits=limits,
    )
    summed = FisherInformation.summed(of_cell, _checked_cells(cells, len(of_cell)))
    if not summed.certified:
        warnings.warn(f"The Fisher information is an estimate: {UNSTORED}.", ToleranceWarning, stacklevel=2)
    return summed


def of_cells(
    model: Model,
    times: Sequence[float] | FloatArray | float,
    parameters: Sequence[str],
    *,
    observe: str | Sequence[str] | None,
    instrument: Any | Mapping[str, Any] | None = None,
    log: bool,
    tol: float,
    start: str | None,
    limits: Limits,
) -> list[FisherInformation]:
    """Return the information of one cell at each time."""
    check_call(model)
    instruments = instruments_for(instrument, observe, model.species, model.parameters)
    asked = Asked.of(model, parameters, observe, instrument)
    require_fixed_observables(model, asked.names, asked.texts)
    if asked.of_rates:
        reached, *_ = solve(model, times, asked.of_rates, tol, limits, log=log, scores=True, start=start)
    else:
        check_start(start)
        check_tolerance(tol)
        reached = distributions(model, checked_times(times), tol, limits, start)
    return of_reached(reached, asked, observe, instruments, log=log)


def of_reached(
    reached: Sequence[Reached],
    asked: Asked,
    observe: str | Sequence[str] | None,
    instruments: Sequence[Instrument] | None,
    *,
    log: bool,
) -> list[FisherInformation]:
    """Return the information of one cell at each time, of what is known there."""
    parts = [_of_time(part, asked, observe, instruments, log=log) for part in reached]
    return [
        FisherInformation(asked.names, part.matrix, part.above, part.below, part.off, log, part.scores)
        for part in parts
    ]


def _checked_cells(cells: float | Sequence[float], n_times: int) -> FloatArray:
    given = as_numbers("`cells`", cells)
    if given.ndim == 0:
        given = np.full(n_times, float(given))
    if given.shape != (n_times,) or not ((given >= 0.0) & (given <= MOST_CELLS_OBSERVED)).all():
        raise ArgumentError(
            f"`cells` must be a number from 0 to {MOST_CELLS_OBSERVED:.0e}, or one for each of {n_times} times, but is "
            f"{shown(cells)}."
        )
    if not given.any():
        raise ArgumentError(f"`cells` must be more than 0 at one time at least, but is {cells!r}: none tells nothing.")
    return given


class _OfCell(NamedTuple):
    """The information of one cell."""

    matrix: FloatArray  # C, (q, q)
    above: FloatArray  # R_kk, (q,)
    below: FloatArray  # M, (q, q)
    off: FloatArray  # (3), (q, q)
    scores: CellScores


class _PathInformation(NamedTuple):
    """What holds for every set Z."""

    information: FloatArray  # E[S_k²] of all paths, (q,)
    off: FloatArray  # what sums of v_k may be off, (q,)
    noise: FloatArray  # integration and rounding of h_k, (q,)
    errors: FloatArray  # E_k, (q,)
    lacking: float  # δ
    rho: float  # ρ


def _of_time(
    reached: Reached,
    asked: Asked,
    observe: str | Sequence[str] | None,
    instruments: Sequence[Instrument] | None,
    *,
    log: bool,
) -> _OfCell:
    """Return the information of one cell at one time; the best Z is chosen."""
    scores, ledger = reached.scores or _unknown(reached), reached.distribution.error
    there, place = categories(reached.distribution, observe)  # (n_categories, n_formulas), (n,)
    rows = np.concatenate([reached.distribution.probabilities[None], reached.derivatives, scores.stored])
    y, *rest = (np.bincount(place, row).astype(np.float64) for row in rows)
    q, rounding = len(reached.derivatives), max(SUM_ROUNDING, row_rounding(int(np.bincount(place).max(initial=0))))
    h, v = np.array(rest[:q]).reshape(q, len(y)), np.array(rest[q:]).reshape(q, len(y))
    noise = np.array([error.integration + error.rounding for error in reached.errors]) + reached.begun
    noise += rounding * np.abs(h).sum(axis=1)
    information, off = scores.information, scores.off + rounding * np.abs(v).sum(axis=1)
    lacking = ledger.truncation + ledger.pruning + ledger.integration
    errors = np.array([error.total if error.certified else math.inf for error in reached.errors])
    beyond = np.maximum(information - v.sum(axis=1) + off, 0.0)  # of all stored states, (q,)
    errors = np.minimum(errors, np.sqrt(beyond * max(lacking, 1e-300)) + noise)
    rho = ledger.rounding + ledger.integration + rounding
    if instruments is not None:
        seen = channel(there, instruments)
        of_products = seen.lacking * np.abs(h).sum(axis=1)
        errors, noise, rho = errors + of_products, noise + of_products, rho + seen.lacking
        off = off + seen.lacking * np.abs(v).sum(axis=1)
        of_all = information, off, noise, errors
        y, h, v, there_y = seen.weights @ y, h @ seen.weights.T, v @ seen.weights.T, y
        told = [
            told_of(reached.distribution, asked.texts, there, there_y, seen, instruments, chosen, rho)
            for chosen in asked.of_instruments.values()
        ]
        h, v, (information, off, noise, errors) = asked.together(h, v, of_all, told, lacking, log)
    known = _PathInformation(information, off, noise, errors, lacking, rho)
    tried = [_bounded(y, h, v, chosen, known) for chosen in _choices(y, rho)]
    if not np.isfinite(tried[0].above).all():  # then what is proved from below counts
        return max(tried, key=lambda bounds: float((bounds.matrix - bounds.below).trace()))
    return min(tried, key=lambda bounds: float((bounds.above + bounds.below.diagonal()).sum()))


def _unknown(reached: Reached) -> Scores:
    """Return what is known of the squares of scores where rates depend on time: nothing from above."""
    q = len(reached.derivatives)
    return Scores(np.zeros_like(reached.derivatives), np.zeros(q), np.full(q, math.inf), certified=False)


def _choices(y: FloatArray, rho: float) -> list[BoolArray]:
    """Return the sets Z that are tried, (n,) each: rounding must not hide the probability of one."""
    least = [level for level in LEAST_PROBABILITIES if level > 4.0 * rho and (y > level).any()] or [
        0.5 * float(y.max())
    ]
    return [y > level for level in least]


def _bounded(y: FloatArray, h: FloatArray, v: FloatArray, chosen: BoolArray, known: _PathInformation) -> _OfCell:
    """Return C on a set Z with (1) to (3)."""
    information, off, noise, errors, lacking, rho = known
    y, h = y[chosen], h[:, chosen]
    scores = h / y  # (q, m)
    C = np.stack([dot(row, h) for row in scores])
    C = 0.5 * (C + C.T)
    U, cut = np.abs(scores).max(axis=1), float(y.min())
    above = np.maximum(information - v[:, chosen].sum(axis=1) + off, 0.0)  # (1)
    above = above + _of_rounding(U, noise, cut, rho)
    sums = SUM_ROUNDING * np.abs(scores).dot(np.abs(h).T)
    below = U[:, None] * errors + errors[:, None] * U + np.outer(U, U) * (lacking + rho) + sums  # (2)
    above = above + sums.diagonal()
    root, lower = np.sqrt(above), np.sqrt(above + below.diagonal())
    told = CellScores(scores, y, errors, lacking + rho)
    return _OfCell(C, above, below, np.outer(root, root) + np.outer(lower, lower) + sums, told)


def _of_rounding(U: FloatArray, noise: FloatArray, cut: float, rho: float) -> FloatArray:
    """Return what is to be added to R_kk where h and y >= `cut` on Z are only known up to `noise` and ρ, (q,).

    Quotients h²/y of what is h + e and y + f rise in a direction c by at most ``U² ρ + 2 U N + N²/cut``, over
    ``1 - ρ/cut``, where U and N are at most Σ_k |c_k| U_k and Σ_k |c_k| N_k.  Those add up as roots of squares do only
    where ``2 U N <= t U² + N²/t``, with a t > 0 that is the same in all directions.
    """
    both = (U > 0.0) & (noise > 0.0)
    t = float(np.exp(np.log(noise[both] / U[both]).mean())) if both.any() else 1.0
    of_both = U**2 * t + noise**2 / t if U.any() and noise.any() else 0.0
    return np.asarray((U**2 * rho + of_both + noise**2 / cut) / (1.0 - rho / cut))
