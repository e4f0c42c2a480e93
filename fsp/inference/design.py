"""Designs of experiments: cells for each condition and time that tell most about parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp import defaults
from fsp.bars import barred, callback, silent
from fsp.checks import check_choice, check_whole
from fsp.distribution.design import Design
from fsp.distribution.information import FisherInformation
from fsp.errors import ArgumentError
from fsp.inference.criteria import CRITERIA, optimal_weights
from fsp.inference.fisher import of_cells
from fsp.inference.problem import Limits
from fsp.model.times import checked_times
from fsp.projection.progress import labelled

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.model import Model
    from fsp.projection.progress import ProgressCallback

SINGULAR = 1e-12  # of the largest eigenvalue: below, no design tells all parameters


@barred()
def design(
    model: Model,
    times: Sequence[float] | FloatArray,
    parameters: Sequence[str],
    *,
    cells: int = 1000,
    criterion: str = "D",
    interest: Sequence[str] | None = None,
    conditions: Mapping[str, Mapping[str, float]] | None = None,
    observe: str | Sequence[str] | None = None,
    instrument: Any | Mapping[str, Any] | None = None,
    log: bool = True,
    tol: float = defaults.FISHER_TOL,
    start: str | None = None,
    max_states: int | None = None,
    max_memory: int | None = None,
    max_work: float | None = None,
    progress: ProgressCallback | bool | None = None,
) -> Design:
    """Choose how many cells to observe at each time and under each condition.

    Parameters
    ----------
    model
        The reaction network at the parameters that are thought to be true.
    times
        (n_times,) times at which cells may be observed.
    parameters
        Names of the q parameters that are to be told.
    cells
        Number of all cells.
    criterion
        What is made best: ``"D"`` the determinant of the Fisher information, ``"Ds"`` that of the parameters of
        `interest` when the others are unknown too, ``"A"`` the trace of its inverse, ``"E"`` its smallest eigenvalue.
    interest
        Parameters of interest for ``"Ds"``.
    conditions
        What each condition sets, parameters and initial counts, by label: ``{"low": {"S": 1.0}, "high": {"S": 5.0}}``.
    observe, instrument, log, tol, start, max_states, max_memory, max_work, progress
        As for `fsp.fisher`.

    Returns
    -------
    Design
        Whole numbers of cells, (n_conditions, n_times), and the gain over as many everywhere.

    Raises
    ------
    ArgumentError
        If an argument is not as above, no design tells all parameters, or what `fsp.fisher` refuses.

    References
    ----------
    J. Kiefer, J. Wolfowitz, Canad. J. Math. 12 (1960) 363, doi:10.4153/CJM-1960-030-4.
    Z. Fox, B. Munsky, PLoS Comput. Biol. 15 (2019) e1006365, doi:10.1371/journal.pcbi.1006365.

    Examples
    --------
    >>> model = fsp.Model(
    ...     species={"X": 0}, parameters={"k": 10.0, "g": 1.0},
    ...     reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")],
    ... )
    >>> fsp.design(model, [0.2, 1.0, 5.0], ["k", "g"], cells=100).cells
    array([[ 0, 50, 50]])
    """
    requested = checked_times(times)
    chosen = _checked(parameters, cells, criterion, interest, conditions)
    limits = Limits(max_states, max_memory, max_work, callback(progress) or silent)
    settings = conditions or {"": {}}
    parts = [
        part
        for label, given in settings.items()
        for part in of_cells(
            model.with_values(given) if given else model,
            requested,
            parameters,
            observe=observe,
            instrument=instrument,
            log=log,
            tol=tol,
            start=start,
            limits=replace(limits, report=labelled(limits.report, label)),
        )
    ]
    F = np.array([part.matrix for part in parts])  # (n, q, q)
    _require_regular(F, parts[0].parameters)
    weights, gap = optimal_weights(criterion, F, chosen)
    counts = _integers(weights, cells)
    shape = len(settings), len(requested)
    best, uniform = (_amount(criterion, np.tensordot(w, F, 1), chosen) for w in (weights, np.full(len(F), 1 / len(F))))
    return Design(
        criterion,
        tuple(settings),
        requested,
        counts.reshape(shape),
        weights.reshape(shape),
        FisherInformation.summed(parts, counts.astype(np.float64)),
        best / uniform,
        _share(criterion, gap, best, F.shape[1], chosen),
    )


def _checked(
    parameters: Sequence[str],
    cells: int,
    criterion: str,
    interest: Sequence[str] | None,
    conditions: Mapping[str, Mapping[str, float]] | None,
) -> list[int]:
    """Return the numbers of the parameters of interest."""
    check_whole("cells", cells, 1)
    check_choice("criterion", criterion, CRITERIA)
    if conditions is not None and (not isinstance(conditions, Mapping) or not conditions):
        raise ArgumentError(f"`conditions` must say what each sets, by label, but are {conditions!r}.")
    names = [parameters] if isinstance(parameters, str) else list(parameters)
    if not names:
        raise ArgumentError("`parameters` must be one or more different names, but are [].")
    if (interest is not None) != (criterion == "Ds"):
        raise ArgumentError("`interest` must come with criterion='Ds', and only with it.")
    asked = [interest] if isinstance(interest, str) else list(interest or ())
    unknown = [name for name in asked if name not in names]
    if unknown or (criterion == "Ds" and not asked):
        raise ArgumentError(f"`interest` must be some of {', '.join(names)}, but is {interest!r}.")
    fixed = [name for given in (conditions or {}).values() for name in given if name in names]
    if fixed:
        raise ArgumentError(f"`conditions` must not set what is to be told, but one sets '{fixed[0]}'.")
    return [names.index(name) for name in asked]


def _require_regular(F: FloatArray, names: Sequence[str]) -> None:
    values, vectors = np.linalg.eigh(F.mean(axis=0))
    if values[0] <= SINGULAR * values[-1]:
        powers = " * ".join(f"{name}^{x:.2f}" for name, x in zip(names, vectors[:, 0], strict=True) if abs(x) > 0.1)
        raise ArgumentError(
            f"`times` and `conditions` must tell all parameters together, but no cell tells {powers}; add times or "
            f"leave a parameter out."
        )


def _amount(criterion: str, M: FloatArray, interest: Sequence[int]) -> float:
    """Return the criterion as an amount that grows as the number of cells does."""
    value = CRITERIA[criterion](M, M[None], interest).value
    if criterion in ("D", "Ds"):
        return math.exp(value / (len(interest) or len(M)))
    return -1.0 / value if criterion == "A" else value


def _share(criterion: str, gap: float, best: float, q: int, interest: Sequence[int]) -> float:
    """Return a gap of the criterion as a share of the number of cells."""
    if criterion in ("D", "Ds"):
        return math.expm1(gap / (len(interest) or q))
    if criterion == "A":  # 1/best is the trace; a smaller one by the gap
        return math.inf if gap * best >= 1.0 else 1.0 / (1.0 - gap * best) - 1.0
    return gap / best


def _integers(weights: FloatArray, cells: int) -> IntArray:
    """Return whole numbers that add up to `cells`: the largest remainders are rounded up."""
    exact = weights * cells
    counts = np.floor(exact).astype(np.int64)
    left = cells - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:left]] += 1
    return counts
