"""Laws at rest that do not exist, or have no moments, though on any finite number of states nothing tells.

On a line ratios of neighbouring probabilities are b(n)/d(n + 1), of the rates up and down.  Where

(1)  n log(b(n)/d(n + 1)) >= -s   for all n >= m,

π(n) >= c n^-s for some c > 0, since the sum of 1/k up to n is log n but for a constant: there is no distribution where
s = 1, no mean where s = 2, and no variance where s = 3.  (1) is looked at for n = 2¹⁰, 2¹¹, … only.

Elsewhere, where a proof of `fsp.projection.escape` holds in a state with many molecules that leads on from one with
probability, what returns from there does so after infinite mean time, if at all, and no stationary law has that state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fsp.equilibrium.line import Line
from fsp.errors import ModelError
from fsp.projection.escape import escape, no_rest

if TYPE_CHECKING:
    from fsp.arrays import IntArray
    from fsp.equilibrium.estimate import Estimate
    from fsp.model import Model
    from fsp.projection.escape import Escape

FAR_PLACES = 2 ** np.arange(10, 31)  # n of (1): farther out the product with n is of rounding; before them, all n
FALL_SLACK = 1e-6  # of (1): n times the rounding of a logarithm of two rates
CLIMB = 1024  # jumps of a kind that lead to many molecules: more than the levels at which laws change; chosen
MOMENTS = ("mean", "variance")  # that laws lack where s = 2 and 3


def slowest_fall(model: Model) -> tuple[str, float] | None:
    """Return a species and the least s of (1), where the law at rest falls by a power; None where that is not known."""
    line = Line.of(model)
    if line is None or np.isfinite(line.n_most) or model.events or model.is_time_dependent:
        return None
    try:
        before, _ = line.rates(line.states(np.arange(int(line.starts.max()), int(FAR_PLACES[0]))), 1)
        up, _ = line.rates(line.states(FAR_PLACES), 1)
        down, _ = line.rates(line.states(FAR_PLACES + 1), -1)
    except ModelError:  # a rate is none there
        return None
    rates = np.concatenate([before, up, down])
    if not ((rates > 0.0) & (rates < np.inf)).all():
        return None
    fall = float((-FAR_PLACES * np.log(up / down)).max())
    return model.species[int(np.argmax(line.step > 0))], fall


def no_sum(model: Model, species: str) -> str:
    """Return the words of an error: that probabilities with s <= 1 have no sum; with a proof where there is one."""
    line = Line.of(model)
    way = None if line is None else escape(model, line.states(FAR_PLACES[:1])[0])
    if way is not None:
        return no_rest(way)
    return (
        f"A stationary distribution must exist, but probabilities of {species} = n fall no faster than n^-1 up to "
        f"n = {FAR_PLACES[-1]:,}, whose sum is infinite: a larger limit does not help. Give a `space` if a reflecting "
        f"boundary is meant."
    )


def escape_from(model: Model, estimate: Estimate) -> Escape | None:
    """Return what is proved of a state that is reached from those of an estimate; None where nothing is."""
    generator, p = estimate.generator, estimate.p
    endless = np.isinf(model.species_bounds)
    for leak in generator.leaks:
        flow = leak.rates * p[leak.sources]
        raised = endless & (leak.change > 0)
        if not raised.any() or not flow.any():
            continue
        begin = generator.space.states_at(leak.sources[[int(np.argmax(flow))]])[0]
        way = _climbed(model, begin, leak.change)
        proof = None if way is None else escape(model, way)
        if proof is not None:
            return proof
    return None


def _climbed(model: Model, begin: IntArray, change: IntArray) -> IntArray | None:
    """Return the state that many jumps of a kind lead to; None where one of them cannot be made."""
    states = begin + np.arange(CLIMB)[:, None] * change
    kinds = (model.change == change).all(axis=1)
    try:
        rates = model.propensities(states)[kinds].sum(axis=0)
    except ModelError:
        return None
    return states[-1] if (rates > 0.0).all() else None
