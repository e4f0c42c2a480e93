"""What the spacing of a lattice does: values at spacings …, 4h, 2h, h, extrapolated to zero.

On a lattice a hop has the variance c(h) >= 1 for each unit of the propensity, and higher cumulants of order h².  Away
from the boundary at zero, moments and probabilities are therefore power series in

    z = c(h) - 1  where hops have numerical diffusion,      z = h²  where they have none,

and moments of networks with affine rates are exactly 1, z: there nothing is left of the spacing.  The boundary lies
half a cell below zero, which adds powers of h.  With f the values and P(1, z, …) the one at zero of the combination of
these functions through the last of them,

                 value at zero        estimate of its error
    inside       P(1, z, z²)          |P(1, z, z²) - P(1, z)|
    at zero      P(1, h, z)           |P(1, h, z) - P(1, z, z²)| + 2h Δ

where Δ is the change of f with its share c(h) taken out; the next term is of order h of it.  Of two lattices P(1, z) is
left, with its change, and 6 Δ at zero.  To this comes what the lattices leave in time and by truncation, and inside the
little probability there is at zero, as if it were displaced by as much as the states reach.

References
----------
L. F. Richardson, J. A. Gaunt, Phil. Trans. R. Soc. A 226 (1927) 299, doi:10.1098/rsta.1927.0008.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fsp import analysis
from fsp.approximation.lattice import diffusion
from fsp.distribution import Distribution, ErrorLedger

if TYPE_CHECKING:
    from fsp.arrays import FloatArray

FELT = 1e-6  # probability with a count of zero from which the boundary adds powers of h; chosen, not measured
ALONE = 6.0  # changes of two lattices that the error has at zero: up to 4.8 were seen, at h = 1/2
FIRST_ORDER = 1.6  # changes that the error of a law has where the boundary adds powers of h; up to 1.55 were seen
LARGEST_DISTANCE = 2.0  # of two distributions in the 1-norm

Table = list[list[Distribution]]  # by spacing, from the coarsest, and time


def coordinate(h: float, scheme: str) -> float:
    """Return z of a spacing."""
    excess = diffusion(h, scheme) - 1.0
    return excess if excess > 0.0 else h * h


def _weights(spacings: Sequence[float], scheme: str, *, boundary: bool = False) -> FloatArray:
    """Return the weights (L,) of values at spacings (L,) whose sum is the value at zero."""
    z, h = np.array([coordinate(spacing, scheme) for spacing in spacings]), np.array(spacings)
    columns = [np.ones_like(z), h, z] if boundary and len(h) > 2 else [z**k for k in range(len(z))]
    weights: FloatArray = np.linalg.inv(np.stack(columns, axis=1))[0]
    return weights


def moments(
    values: FloatArray, spacings: Sequence[float], scheme: str, *, shares: FloatArray, boundary: bool
) -> tuple[FloatArray, FloatArray]:
    """Extrapolate moments (L, …) at one time to spacing zero; return them and an estimate of their errors.

    Spacings are from the coarsest to the finest, `shares` (L,) the numerical factors c(h) of covariances, and
    `boundary` says that probability is, or was, where a count is zero.
    """
    if len(values) == 1:
        return values[0], np.full_like(values[0], math.inf)

    def at_zero(part: slice, *, near: bool = False) -> FloatArray:
        return np.tensordot(_weights(spacings[part], scheme, boundary=near), values[part], 1)

    every, fine = slice(None), at_zero(slice(-2, None))
    best = at_zero(every)
    off = np.abs(best - (fine if len(values) > 2 else values[-1]))
    if boundary and len(values) > 2:
        inside, best = best, at_zero(every, near=True)
        off = np.abs(best - inside)
    if boundary:
        plain = values / shares.reshape(-1, *[1] * (values.ndim - 1))
        changes = np.abs(np.diff(plain, axis=0))[::-1]  # the last first
        change = np.maximum(changes[0], 0.5 * changes[-1]) if len(changes) > 1 else changes[0]
        off = off + (2.0 * spacings[-1] if len(values) > 2 else ALONE) * change
    return best, off


def error_weights(spacings: Sequence[float], scheme: str, *, boundary: bool) -> FloatArray:
    """Return how much of the error of each lattice's moments, (L,), the extrapolated ones have."""
    return np.abs(_weights(spacings, scheme, boundary=boundary))


def law(levels: Sequence[Distribution], spacings: Sequence[float], scheme: str) -> Distribution:
    """Extrapolate laws over whole counts from the two finest lattices; what comes out negative is left out."""
    best = _pair(levels[-2:], spacings[-2:], scheme)
    off = law_error(levels, spacings, scheme, Distribution.distance)
    return with_spacing(best, off, f"extrapolated from spacing {_fraction(spacings[-1])}")


def law_error(
    levels: Sequence[Distribution],
    spacings: Sequence[float],
    scheme: str,
    distance: Callable[[Distribution, Distribution], float],
    largest: float = LARGEST_DISTANCE,
) -> float:
    """Return an estimate of how far an extrapolated law is from that at spacing zero.

    It is a multiple of the change from the law that is extrapolated from the two lattices before; of two lattices their
    distance, of one all that there can be.
    """
    if len(levels) == 1:
        return largest
    if len(levels) == 2:
        return distance(levels[1], levels[0])
    before, last = (_pair(levels[k : k + 2], spacings[k : k + 2], scheme) for k in (0, 1))
    return FIRST_ORDER * distance(last, before)


def lattice_error(levels: Sequence[Distribution], spacings: Sequence[float], scheme: str) -> float:
    """Return an estimate of how far the law of the finest lattice is from that at spacing zero, in the 1-norm."""
    gap = levels[-1].distance(_pair(levels[-2:], spacings[-2:], scheme)) if len(levels) > 1 else 0.0
    return min(LARGEST_DISTANCE, gap + law_error(levels, spacings, scheme, Distribution.distance))


def _pair(levels: Sequence[Distribution], spacings: Sequence[float], scheme: str) -> Distribution:
    """Return P(1, z) of two laws; of one that law."""
    if len(levels) == 1:
        return levels[0]
    weights = _weights(spacings, scheme)
    states = np.concatenate([d.states for d in levels])
    states, p, _ = analysis.marginal(
        states, np.concatenate([w * d.probabilities for w, d in zip(weights, levels, strict=True)])
    )
    kept, fine = p > 0.0, levels[-1]
    error = ErrorLedger(
        truncation=float(np.abs(weights) @ [d.error.total for d in levels]),
        certified=all(d.error.certified for d in levels),
    )
    return replace(fine, states=states[kept], probabilities=p[kept] * (fine.mass / p[kept].sum()), error=error)


def with_spacing(d: Distribution, off: float, what: str) -> Distribution:
    """Return a law whose error has what the spacing does, an estimate."""
    note = f"the error has an estimate of what the spacing does, {off:.1e}, in `integration`; {what}"
    error = d.error + ErrorLedger(integration=off, certified=False)
    return replace(d, error=error, notes=(*d.notes, note))


def _fraction(h: float) -> str:
    return f"1/{round(1 / h)}" if h < 1.0 else "1"
