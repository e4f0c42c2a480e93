"""Mixtures of transients over a parameter by Gauss-Legendre rules on pieces, with a bound of their error.

Let J be a finite box of states, A_J(θ) the generator without what leaves J, ``p_J(θ) = exp(t A_J(θ)) p(0) <= p(θ)``,
and let the rates be ``g_r(x, t) + θ f_r(x, t)`` with g, f >= 0 and ``Σ_r f_r <= F`` on J.  For complex z = x + iv with
x > 0 the logarithmic norm of A_J(z) in the 1-norm is the largest over states of ``Σ_r (|a_r(z)| - Re a_r(z))`` at most,
and as ``|g + z f| <= g + |z| f``,

(1)  ‖p_J(z)‖₁  <=  exp( t F (|z| - Re z) ),

which is close to one near the real line.  Laws that are no such multiples, as Hill functions of θ, add t times the
largest |a(z)| - Re a(z) over the counts in J to the exponent, where they are analytic (`fsp.inference.sectors`).

With the density ρ of θ among cells, ``φ(z) = <s, p_J(z)> ρ(z)`` is analytic
for any signs s; let |φ| <= M on the ellipse with foci a, b and half axes h (r ± 1/r)/2, h = (b - a)/2, on which real
parts are positive.  Its coefficients by Chebyshev polynomials T_k on [a, b] are 2 M r^-k at most, n >= 2 nodes of Gauss
integrate those of degree below 2n, and odd ones, and err by h (2 + 2/(k² - 1)) in others at most, so that

(2)  | ∫_a^b φ - Σ_j w_j φ(θ_j) |  <=  h (64/15) M r^{-2n} / (1 - r^-2) .

s is arbitrary, so that (2) bounds the 1-norm of the error of ``∫ p_J ρ``.  M is bounded on arcs of the ellipse, by (1)
and by (1), (2) of `fsp.inference.extrinsic`.  With Q the sum over pieces, τ what the law has outside of them, and nodes
at which y_j <= p_J(θ_j) is known, up to e_j of which i_j is from integration and rounding,

(3)  ‖ ∫ p dμ - Σ_j w_j y_j ‖₁  <=  τ + 3 Q + Σ_j w_j (e_j + i_j) ,
(4)  ∫ p dμ  >=  Σ_j w_j y_j - q  state by state, with q >= 0 and Σ q <= Q .

For (3): what J loses is ``∫ (1 - |p_J|) dμ <= Σ_j w_j (1 - |p_J(θ_j)|) + 2 Q``, (2) for the constant 1 and for s = 1.
Nodes are rounded, by a part ε of themselves, and rates a with them by σ ε a, σ being one for multiples and rests, and
the largest modulus of ``∂ log a/∂ log θ`` otherwise.  An entry of the matrix of a uniformized chain whose rate is that
many times the largest exit rate as its users say is off by ``AMPLIFIED σ ε`` then, as by rounding; where rates depend
on time,

(5)  ‖p_J(θ(1 + ε)) - p_J(θ)‖₁  <=  2 t σ ε max_x Σ_r a_r .

Several parameters are independent, their rule is the product, and its error the sum, since weights add up to 1 + Q.

References
----------
L. N. Trefethen, Is Gauss quadrature better than Clenshaw-Curtis?, SIAM Rev. 50 (2008) 67, doi:10.1137/060659831;
T. Ström, On logarithmic norms, SIAM J. Numer. Anal. 12 (1975) 741, doi:10.1137/0712055.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.errors import ConvergenceError
from fsp.inference.extrinsic import Region

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.inference.extrinsic import ParameterLaw

GAUSS = math.log(64.0 / 15.0)  # the constant of (2)
LOG_SLACK = 1e-6  # of logarithms of M, far above their rounding
ARCS = 48  # of the upper half of an ellipse, on each of which M is bounded; more change a tenth of the nodes, measured
RADII = 16  # ellipses that are tried; as above
# Half axes of ellipses less one, over h: from the nearest, of laws that are narrow as their densities grow with
# imaginary parts over their width, to the farthest, relative to that of the ellipse that touches zero.  Chosen.
LEAST_AXIS, NEAREST_AXIS, FARTHEST_AXIS = 0.1, 1.0 / 289.0, 256.0 / 289.0
# Of the ends of a piece: real parts of ellipses are at least (1 - FARTHEST_AXIS) times the lower one, moduli at most
# twice the middle, as ellipses leave out zero.
INNERMOST, OUTERMOST = 0.1, 2.0
LEAST_PIECE_NODES, MOST_PIECE_NODES = 2, 60  # of a piece: (2) needs two; beyond 60 halves do better
FEW_NODES = 6  # nodes of a piece that is not halved
FAR_APART = 4.0  # ratio of the ends of a piece beyond which it is halved in the logarithm; chosen
TOO_FAR_APART = 1e3  # ratio beyond which an ellipse that leaves out zero has no room; chosen
MOST_PIECES = 4_000  # before a law is given up
WEIGHTS_OFF = 64.0 * UNIT_ROUNDOFF  # relative: of numpy's weights, which are exact to 2 units; chosen
# Of nodes: numpy's on [-1, 1] are off by 0.8 units at most up to 60 of them, by 30 digits, 1 + x by one more, and the
# half length by two; products and sums of what is not negative by one each.
PLACES_OFF, SUMS_OFF = 6.0 * UNIT_ROUNDOFF, 3.0 * UNIT_ROUNDOFF


@dataclass(frozen=True, slots=True)
class Subinterval:
    """A part of the range of a parameter, and the number of its nodes."""

    low: float
    high: float
    nodes: int


@dataclass(frozen=True, slots=True, eq=False)
class QuadratureRule:
    """Nodes and weights of the law of a parameter."""

    nodes: FloatArray  # (n,)
    weights: FloatArray  # (n,), positive
    error: float  # Q
    outside: float  # τ
    relative: float  # rounding of the weights
    moved: float = 0.0  # of the nodes, relative

    def __len__(self) -> int:
        return len(self.nodes)

    def only(self, first: int, last: int | None = None) -> QuadratureRule:
        """Return the nodes from one to another, with what is said of all."""
        chosen = slice(first, (first if last is None else last) + 1)
        return replace(self, nodes=self.nodes[chosen], weights=self.weights[chosen])


class GrowthExponent(NamedTuple):
    """By what probabilities at complex parameters may be larger than one: the exponent of (1)."""

    linear: float  # t F
    bent: tuple[Callable[[Region], FloatArray], ...] = ()  # more, on regions


def rule_of(law: ParameterLaw, growth: float | GrowthExponent, error: float, outside: float) -> QuadratureRule:
    """Return a rule for what grows by exp(growth (|z| - Re z)), or more, with Q <= `error` and τ <= `outside`."""
    growth = growth if isinstance(growth, GrowthExponent) else GrowthExponent(growth)
    return rule_on(law, _pieces(law, growth, *law.ends(0.5 * outside), error), error, outside)


def rule_on(law: ParameterLaw, pieces: Iterable[Subinterval], error: float, outside: float) -> QuadratureRule:
    """Return the nodes of pieces, with what is known of their errors together and of what the law has outside."""
    made = [(piece, _scaled(piece)) for piece in pieces]
    nodes, weights = (np.concatenate(parts) for parts in zip(*(scaled for _, scaled in made), strict=True))
    density, off = law.density(nodes)
    moved = max(float((PLACES_OFF * 0.5 * (part.high - part.low) / at[0] + SUMS_OFF).max()) for part, at in made)
    off += moved * law.sensitivity(nodes) + WEIGHTS_OFF
    return QuadratureRule(nodes, weights * density, error, outside, off, moved)


def _scaled(piece: Subinterval) -> tuple[FloatArray, FloatArray]:
    x, w = _legendre(piece.nodes)
    half = 0.5 * (piece.high - piece.low)
    return piece.low + half * (1.0 + x), half * w


@lru_cache(maxsize=MOST_PIECE_NODES)
def _legendre(n: int) -> tuple[FloatArray, FloatArray]:
    x, w = np.polynomial.legendre.leggauss(n)
    return np.asarray(x, dtype=np.float64), np.asarray(w, dtype=np.float64)


def _pieces(law: ParameterLaw, growth: GrowthExponent, low: float, high: float, error: float) -> Iterator[Subinterval]:
    """Yield pieces with errors that add up to `error`, in order."""
    pending, made = [(low, high, error, needed(law, growth, low, high, error))], 0
    while pending:
        a, b, share, n = pending.pop()
        middle = middle_of(a, b)
        halves = [(x, y, 0.5 * share, 0) for x, y in ((a, middle), (middle, b))]
        if n > FEW_NODES:
            halves = [(x, y, e, needed(law, growth, x, y, e)) for x, y, e, _ in halves]
        made += 1
        if n <= FEW_NODES or (n <= MOST_PIECE_NODES and n <= sum(part[3] for part in halves)):
            yield Subinterval(a, b, n)
        elif made > MOST_PIECES or not a < middle < b:
            raise ConvergenceError(
                f"The law of a parameter must need at most {MOST_PIECES:,} pieces, but {law} needs more up to an "
                f"error of {error:.1e}. Ask for an earlier time, or a smaller `cv`."
            )
        else:
            pending += halves[::-1]


def middle_of(low: float, high: float) -> float:
    """Return where a piece is parted, in the logarithm where its ends are far apart."""
    return math.sqrt(low) * math.sqrt(high) if high > FAR_APART * low else 0.5 * (low + high)


def needed(law: ParameterLaw, growth: GrowthExponent, low: float, high: float, error: float) -> int:
    """Return the number of nodes with which (2) is at most `error` on a piece; more than there may be where none is."""
    center, half = 0.5 * (low + high), 0.5 * (high - low)
    if high > TOO_FAR_APART * low or half == 0.0:
        return MOST_PIECE_NODES + 1
    top = center / half  # the half axis, over h, of the ellipse that touches zero
    axis = 1.0 + np.geomspace(
        min(LEAST_AXIS, NEAREST_AXIS * (top - 1.0)), FARTHEST_AXIS * (top - 1.0), RADII
    )  # (RADII,)
    r = axis + np.sqrt(axis**2 - 1.0)
    size = _largest(law, growth, center, half, axis, r)
    logs = GAUSS + math.log(half) + size - np.log1p(-(r**-2.0)) - math.log(error)
    n = np.maximum(np.ceil(logs / (2.0 * np.log(r))), LEAST_PIECE_NODES)  # (RADII,)
    return int(min(n.min(), MOST_PIECE_NODES + 1))


def _largest(
    law: ParameterLaw, growth: GrowthExponent, center: float, half: float, axis: FloatArray, r: FloatArray
) -> FloatArray:
    """Bound log M on ellipses, (RADII,): on each arc by the ends of real and imaginary parts."""
    angles = np.linspace(0.0, math.pi, ARCS + 1)
    cosine, sine = np.cos(angles), np.sin(angles)
    other = 0.5 * (r - 1.0 / r)[:, None]  # the half axis of imaginary parts
    near, far = (center + half * axis[:, None] * cosine[part] for part in (slice(1, None), slice(None, -1)))
    least, largest = (half * other * bound(sine[1:], sine[:-1]) for bound in (np.minimum, np.maximum))
    largest = np.where((angles[:-1] <= 0.5 * math.pi) & (angles[1:] >= 0.5 * math.pi), half * other, largest)
    size = np.hypot(near, largest)
    region = Region(near, far, largest, np.hypot(near, least), np.hypot(far, largest), np.arctan2(largest, near))
    exponent = growth.linear * largest * (largest / (size + near))  # (1): |z| - Re z grows with v and falls with x
    for bent in growth.bent:
        exponent = exponent + bent(region)
    return np.asarray((law.above(region) + exponent).max(axis=1) + LOG_SLACK * (1.0 + np.abs(exponent).max(axis=1)))
