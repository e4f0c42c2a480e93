"""Distributions of cells that differ in a parameter, with a bound of the error: (3) of `fsp.inference.quadrature`."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from fsp import defaults
from fsp.bars import barred, callback
from fsp.distribution import Solution
from fsp.errors import ToleranceWarning
from fsp.inference.extrinsic import ParameterLaw, laws_of
from fsp.inference.loop import check_start
from fsp.inference.parameters import fixed_observables, moved_observables
from fsp.inference.problem import Limits
from fsp.inference.stationary_mixing import mixing_of
from fsp.inference.timed_events import written_into_rates
from fsp.model.arguments import check_call, check_tolerance
from fsp.model.times import checked_times
from fsp.projection.progress import SweepProgress

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.distribution import Distribution
    from fsp.inference.mixing import Mixing
    from fsp.inference.problem import Reached
    from fsp.inference.stationary_mixing import StationaryMixing
    from fsp.model import Model
    from fsp.projection.progress import SweepCallback


@barred()
def mixture(
    model: Model,
    extrinsic: Mapping[str, ParameterLaw],
    times: Sequence[float] | FloatArray | float,
    tol: float = defaults.TOL,
    *,
    start: str | None = None,
    max_states: int | None = None,
    max_memory: int | None = None,
    max_work: float | None = None,
    progress: SweepCallback | bool | None = None,
) -> Solution:
    """Return the distribution over cells that differ in a parameter (extrinsic noise), with a bound of its error.

    The law of the parameter is taken apart by Gauss-Legendre rules on pieces, whose error is bounded in the 1-norm; a
    distribution is computed at each node.

    Parameters
    ----------
    model
        The reaction network; its propensities are ``g + θ f`` with g, f >= 0 in the parameter θ, or sums, products,
        quotients and powers of it whose exponents are numbers, as Hill functions with a constant that differs.
    extrinsic
        `fsp.Gamma` or `fsp.LogNormal` by parameter; several are independent.  A parameter keeps its value in a cell.
    times
        Increasing times >= 0, in the model's unit of time.
    tol
        Bound on the 1-norm error at the last time.
    start
        ``"stationary"``: each cell is in the stationary distribution of its parameters at all times, as in most static
        data; the propensities are linear in the parameters that differ then, and do not depend on time.  By default
        cells begin in the counts of the model.
    max_states, max_memory, max_work
        Limits at each node, as for `fsp.transient`.
    progress
        True for a bar; or a function that is called with a `SweepProgress` now and then, and may raise
        KeyboardInterrupt.

    Returns
    -------
    Solution
        A `Distribution` for each time; the errors of the rules are in its ledgers as integration, what laws have
        outside of their pieces as truncation.  Observables that depend on a parameter that differs are left out.

    Raises
    ------
    ArgumentError
        If a parameter or a law is not as above, or the start depends on a parameter that differs.
    BackendError
        If a propensity depends on such a parameter otherwise, or has too many counts for a Hill function, or an event
        does more than set parameters at a known time; if stationary distributions have no drift condition, or rates
        change with time.
    ModelError
        If a propensity is a callable.
    ConvergenceError
        If that takes too many nodes, or too much work at one.
    StateSpaceError
        If the tolerance cannot be met within the limits.

    Warns
    -----
    ToleranceWarning
        If rounding keeps the bound above `tol`.

    References
    ----------
    L. N. Trefethen, SIAM Rev. 50 (2008) 67, doi:10.1137/060659831;
    P. S. Swain, M. B. Elowitz, E. D. Siggia, Intrinsic and extrinsic contributions to stochasticity in gene expression,
    PNAS 99 (2002) 12795, doi:10.1073/pnas.162041399.

    Examples
    --------
    >>> model = fsp.Model(
    ...     species={"X": 0}, parameters={"k": 10.0, "g": 1.0},
    ...     reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")],
    ... )
    >>> dist = fsp.mixture(model, {"k": fsp.Gamma(10.0, 0.5)}, times=[2.0])[-1]  # a negative binomial law
    >>> print(f"{dist.mean()['X']:.4f} {dist.variance()['X']:.3f}")  # μ = 10 (1 - exp(-2)), and μ + μ²/4
    8.6466 27.338
    >>> dist = fsp.mixture(model, {"k": fsp.Gamma(10.0, 0.5)}, times=[0.0], start="stationary")[0]
    >>> print(f"{dist.variance()['X']:.2f}", dist.error.total < 1e-6)  # μ + μ²/4 with μ = 10
    35.00 True
    """
    check_call(model, max_states=max_states, max_memory=max_memory, max_work=max_work, progress=progress)
    laws = laws_of(extrinsic, model)
    requested = checked_times(times)
    check_tolerance(tol)
    check_start(start)
    report, began = callback(progress), perf_counter()
    limits = Limits(max_states, max_memory, max_work)
    mixing = mixing_of(written_into_rates(model), laws, requested, limits, start)

    def tell(done: int, nodes: int) -> None:
        if report is not None:
            report(SweepProgress(done, nodes, 0, 0, tol, "", None, "nodes"))

    reached = mixing.reached(tol, tell)
    tell(mixing.nodes, mixing.nodes)
    distributions, words = _described(model, mixing, reached, start)
    statistics = {
        "n_matvec": mixing.products,
        "nodes": mixing.nodes,
        "n_states": len(distributions[-1]),
        "seconds": perf_counter() - began,
    }
    solution = Solution(
        distributions,
        tol=tol,
        solver=f"{'elimination' if start else 'uniformization'} at nodes of the law",
        model_text=model.describe(),
        options={"extrinsic": words} | ({"start": start} if start else {}),
        statistics=statistics,
    )
    if solution.error.total > tol:
        warnings.warn(
            f"The error is {solution.error.summary.removeprefix('error ')}, above the tolerance {tol:.1e}: rounding "
            f"alone may reach {solution.error.rounding:.1e}. Ask for a larger `tol`.",
            ToleranceWarning,
            stacklevel=3,
        )
    return solution


def _described(
    model: Model, mixing: Mixing | StationaryMixing, reached: Sequence[Reached], start: str | None
) -> tuple[list[Distribution], str]:
    """Return the distributions with what they are of, and the laws in words; observables that differ are left out."""
    words = ", ".join(f"{name} ~ {law}" for name, law in mixing.laws.items())
    where = ", each in its stationary distribution" if start else ""
    notes = [f"cells differ{where}: {words}; {mixing.nodes:,} nodes"]
    moved = moved_observables(model, tuple(mixing.laws))
    notes += [f"{name} depends on {of}, which differs, and cannot be asked about" for name, of in moved.items()]
    for name in sorted(model.moved_by_events.keys() & (model.observables.keys() - moved.keys())):
        of = model.moved_by_events[name]
        notes += [f"{name} depends on {of}, which an event assigns, and cannot be asked about"]
    given: dict[str, Any] = {
        "observables": fixed_observables(model, tuple(mixing.laws)),
        "model_name": model.name,
        "model_hash": hashlib.sha256(f"{model.hash} {words}".encode()).hexdigest(),
        "notes": tuple(notes),
    }
    return [replace(part.distribution, **given) for part in reached], words
