"""Derivatives of transient distributions by parameters, with a bound of the error of each.

They are made by `fsp.inference.loop`.

References
----------
Z. Fox, B. Munsky, The finite state projection based Fisher information matrix approach to estimate information and
optimize single-cell experiments, PLoS Comput. Biol. 15 (2019) e1006365, doi:10.1371/journal.pcbi.1006365.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fsp import defaults
from fsp.bars import barred, callback, silent
from fsp.distribution.bounds import ESTIMATED_START
from fsp.distribution.sensitivity import Sensitivities, Sensitivity
from fsp.errors import ToleranceWarning
from fsp.inference.account import UNBOUNDED_CHANGE
from fsp.inference.loop import solve
from fsp.inference.parameters import fixed_observables
from fsp.inference.problem import Limits

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.model import Model
    from fsp.projection.progress import ProgressCallback


@barred()
def sensitivity(
    model: Model,
    times: Sequence[float] | FloatArray | float,
    parameters: Sequence[str],
    *,
    log: bool = True,
    tol: float = defaults.TOL,
    start: str | None = None,
    max_states: int | None = None,
    max_memory: int | None = None,
    max_work: float | None = None,
    progress: ProgressCallback | bool | None = None,
) -> Sensitivities:
    """Return the distribution and its derivatives by parameters, each with a bound of its error.

    Parameters
    ----------
    model
        The reaction network; its propensities must be formulas, and where they depend on time sums of functions of time
        times functions of the state.
    times
        Increasing times >= 0, in the model's unit of time.
    parameters
        Names of the parameters, which may stand anywhere in the propensities and in laws of the start; in
        conditions only with the time, as in ``piecewise(k, time < s, 0)``; a parameter may also be the time of an
        event, or the value that one gives to a parameter.
    log
        Whether to differentiate by the logarithms of the parameters, ``θ ∂p/∂θ``.
    tol
        Bound on the 1-norm error of each derivative, and of the distribution, at the last time.
    start
        ``"stationary"``: from the stationary distribution of the rates at time zero, which the parameters change too;
        without it from the initial counts.
    max_states, max_memory, max_work
        Limits, as for `fsp.transient`.
    progress
        True for a bar; or a function that is called with a `Progress` now and then.

    Returns
    -------
    Sensitivities
        A `Sensitivity` for each time: (n,) derivatives by parameter, and a ledger for each; without observables that
        a parameter or an event changes.

    Raises
    ------
    ArgumentError
        If `times` or `tol` is not as above, or a parameter is unknown, is in no rate, is not positive with `log`, or
        changes the start, or what an event makes of counts.
    ModelError
        If a propensity is a callable, or not a smooth function of a parameter; if the chain of a stationary start may
        end in several classes of states; if a rate jumps, or counts are set, just at one of the times, and a parameter
        moves that.
    BackendError
        If an event takes place at no known time, or time is no factor of a propensity.
    StateSpaceError
        If the tolerance cannot be met within the limits.
    ConvergenceError
        If that takes too much work, or too many runs.

    Warns
    -----
    ToleranceWarning
        If rounding keeps a bound above `tol`, or an error is an estimate.

    References
    ----------
    Z. Fox, B. Munsky, PLoS Comput. Biol. 15 (2019) e1006365, doi:10.1371/journal.pcbi.1006365.

    Examples
    --------
    >>> model = fsp.Model(
    ...     species={"X": 0}, parameters={"k": 10.0, "g": 1.0},
    ...     reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")],
    ... )
    >>> found = fsp.sensitivity(model, [2.0], ["k", "g"])[-1]
    >>> print(f"{found.mean('X')['k']:.4f}")  # 10 (1 - exp(-2))
    8.6466
    """
    limits = Limits(max_states, max_memory, max_work, callback(progress) or silent)
    reached, slopes, counts = solve(model, times, parameters, tol, limits, log=log, start=start)
    reason = UNBOUNDED_CHANGE if reached[-1].distribution.error.certified else ESTIMATED_START
    answers = [
        Sensitivity(
            replace(answer.distribution, observables=fixed_observables(model, slopes.names)),
            slopes.names,
            answer.derivatives,
            answer.errors,
            answer.mean_errors,
            log,
            "" if all(error.certified for error in answer.errors) else reason,
        )
        for answer in reached
    ]
    _warn(answers[-1], tol)
    return Sensitivities(answers, counts)


def _warn(last: Sensitivity, tol: float) -> None:
    worst = max(last.errors, key=lambda error: error.total)
    if last.reason:
        warnings.warn(f"The error of a derivative is an estimate: {last.reason}.", ToleranceWarning, stacklevel=3)
    elif worst.total > tol:
        warnings.warn(
            f"The error of a derivative is {worst.summary.removeprefix('error ')}, above the tolerance {tol:.1e}: "
            f"rounding alone may reach {worst.rounding:.1e}. Ask for a larger `tol`.",
            ToleranceWarning,
            stacklevel=3,
        )
