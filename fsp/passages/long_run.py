"""Averages over a long time: `fsp.average_reward`.

What is accumulated up to t, divided by t, tends to the mean of its rate at rest, and t times its variance to S(0), the
spectrum of the rate at frequency zero (`resolvent`): both have bounds on all states.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsp import defaults
from fsp.distribution.distribution import Provenance
from fsp.distribution.reward import AverageReward
from fsp.errors import ArgumentError
from fsp.model.expression import call, to_text
from fsp.passages.correlation import correlation
from fsp.passages.gain import Gain

if TYPE_CHECKING:
    from fsp.model import Model
    from fsp.projection.progress import ProgressCallback


def average_reward(
    model: Model,
    observable: str,
    *,
    firings: bool = False,
    tol: float = defaults.TOL,
    max_states: int | None = None,
    progress: ProgressCallback | bool | None = None,
) -> AverageReward:
    """Find what a network accumulates in a unit of time, in the average over a long time.

    Parameters
    ----------
    model
        The reaction network, with constant propensities.
    observable
        A condition, for the share of the time that is spent in it; a formula of species, a cost per unit of time; with
        `firings` the name of a reaction.
    firings
        Whether to count how often the reaction takes place; a burst that makes something counts once.
    tol
        As that of `fsp.correlation`.
    max_states
        Limit on the number of states.
    progress
        True for a bar; or a function that is called with a `Progress` now and then.

    Returns
    -------
    AverageReward
        ``.mean`` of the average, and of a rate ``.variance``, the limit of t Var(R(t)/t), as intervals on all states.

    Raises
    ------
    ArgumentError
        If the formula cannot be read, there is no such reaction with a formula as its rate, or firings are asked for
        where there are events.
    BackendError
        If propensities depend on time.
    StateSpaceError
        If there is no stationary law, or there are too many states.

    References
    ----------
    S. Asmussen, Applied Probability and Queues, 2nd ed., Springer 2003, ch. VI.

    Examples
    --------
    >>> model = fsp.Model(
    ...     species={"X": 9},
    ...     reactions=[fsp.Reaction("0 -> X", mass_action=9.0), fsp.Reaction("X -> 0", mass_action=1.0)],
    ... )
    >>> print(f"{fsp.average_reward(model, 'X').mean:.6f}")
    9.000000
    """
    formula = _rate_of(model, observable) if firings else observable
    rest = correlation(model, formula, [0.0], tol=tol, max_states=max_states, progress=progress)
    return AverageReward(
        observable,
        firings,
        tol,
        rest.means[0],
        None if firings else rest.spectrum([0.0])[0],
        **Provenance.of(model),
        notes=rest.notes,
    )


def _rate_of(model: Model, name: str) -> str:
    """Return the propensity of a reaction, or the sum of those of its bursts, as a formula."""
    laws = [model.rate_expressions[k] for k in Gain.of_reaction(model, name).reactions]
    known = [law for law in laws if law is not None]
    if len(known) < len(laws):
        raise ArgumentError(f"`observable` must be a reaction with a formula as its rate, but {name!r} has a function.")
    return to_text(call("+", *known) if len(known) > 1 else known[0])
