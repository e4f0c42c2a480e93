"""First passage times: when a run first fulfils a condition, or how long it waits.

The law is that of `fsp.passage`.  Passages are counted
between the points of a grid that does not depend on them, and after it; each split of the grid is a binomial count, as
in `fsp.verification.binning`.  The error of the probability of an interval, a difference of two, is at most twice that
of the solution.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.errors import ArgumentError
from fsp.passages.passage import law
from fsp.verification.battery import adjusted, cells_test
from fsp.verification.expected import Expected
from fsp.verification.report import Report
from fsp.verification.slack import Slack

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.model import Model

POINTS = 24  # of the grid: chosen, not measured
PASSAGE_TOL = 1e-9  # of the law: twice that is added to a probability, little beside the spread of 10⁶ runs


def verify_passages(
    model: Model, condition: str, passages: Any, until: float, *, alpha: float = 1e-3, simulator: str = ""
) -> Report:
    """Tell whether first passage times are those of a model.

    Parameters
    ----------
    model
        The network.
    condition
        What a run first fulfils, such as ``"X >= 10"``.
    passages
        (n_runs,) the time at which each run first fulfilled it; NaN or infinite where it did not up to `until`.
    until
        How long runs were watched.
    alpha
        Largest probability with which an exact simulator fails.
    simulator
        Its name.

    Returns
    -------
    Report
        With one test.

    Raises
    ------
    ArgumentError
        If times are negative, `until` is not positive, or the condition cannot be read or is none.

    Examples
    --------
    >>> from fsp.verification import verify_passages
    >>> model = fsp.Model(species={"X": 0}, reactions=[fsp.Reaction("0 -> X", rate="1")])
    >>> at = np.random.default_rng(1).exponential(size=1000)  # of the first jump
    >>> verify_passages(model, "X >= 1", at, until=3.0).verdict
    'pass'
    """
    times = np.asarray(passages, dtype=float).reshape(-1)
    if len(times) == 0 or (times < 0).any():
        raise ArgumentError("`passages` must be one time >= 0 for each run, but there is none, or one is negative.")
    if not 0 < until < np.inf:
        raise ArgumentError(f"`until` must be positive and finite, but is {until}.")
    grid = until * np.arange(1, POINTS + 1) / POINTS
    passed, slack, error, certified = passage_law(model, condition, grid)
    masses = np.diff(np.concatenate([[0.0], passed, [1.0]])).clip(min=0.0)  # (POINTS + 1,), the last: not yet
    expected = Expected(np.arange(POINTS + 1)[:, None], masses, slack, len(times), ("interval",))
    cell = np.searchsorted(grid, np.where(np.isnan(times), np.inf, times), side="left")
    cells, numbers = np.unique(cell, return_counts=True)
    test = cells_test("passage", expected, until, cells[:, None], numbers.astype(float))
    where = f"{test.where}; interval i ends at t = {until / POINTS:.6g} (i + 1)"
    return Report(
        model_name=model.name,
        model_hash=model.hash,
        n=len(times),
        alpha=alpha,
        times=(float(until),),
        species=model.species,
        tests=adjusted([replace(test, where=where)]),
        error=error,
        certified=certified,
        simulator=simulator,
        notes=(f"First passage to {condition}.",),
    )


def passage_law(model: Model, condition: str, times: FloatArray) -> tuple[FloatArray, Slack, float, bool]:
    """Return the probability of a passage up to each time, and what differences of them leave open.

    Returns (n,) probabilities, the slack of the difference of any two of them, the 1-norm error of the solution, and
    whether that is a bound.
    """
    answer = law(model, condition, times, PASSAGE_TOL)
    cdf, error = answer.cdf, answer.solution.error
    width = float((cdf.upper - cdf.value).max() + (cdf.value - cdf.lower).max())
    return cdf.value, Slack(width, width), error.total, error.certified
