"""Find a largest value of likelihood times prior from one start, by Fisher scoring with a secant.

Far from an optimum the space of states stays as it is: what is stored are lower bounds, so that the value is one of
the log-likelihood, and parameters that drive cells out of the space cost no more than others.

A step maximises ``g·s - ½ sᵀ(H + λ diag F)s`` within the bounds and a radius, by scipy's bounded least squares; λ
falls where the step gains what it promises, and rises where it does not.  H = F + S, F the expected information.  S
is what it lacks of minus the second derivatives: nothing where the model fits, and else that by which scoring alone
converges but linearly.  It follows from the gradients g before and g' after a step s [1, (2.13), (2.14)]:

(1)  S' s  =  g - g' - F' s,        S' = S + (r yᵀ + y rᵀ)/(yᵀs) - (sᵀr) y yᵀ/(yᵀs)²,   y = g - g',
     r = g - g' - F' s - S s,   S before multiplied by min(1, |sᵀ(g - g' - F' s)| / |sᵀ S s|).

Directions in which H is negative are taken as if it were positive.  It ends where what is promised without λ is below
`GAIN`; or where no step gains anything, as values and gradients are estimates that do not agree to that.  It has
converged there too if less than `NEAR_NATS` is promised, which no unit of a parameter changes.

References
----------
[1] J. E. Dennis, D. M. Gay, R. E. Welsch, An adaptive nonlinear least-squares algorithm, ACM Trans. Math. Softw. 7
(1981) 348, doi:10.1145/355958.355965.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.optimize import lsq_linear

from fsp.errors import ArgumentError, ConvergenceError, StateSpaceError
from fsp.inference.part import Point

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, FloatArray

FAR_WIDTH = math.inf  # width of the log-likelihood while a start is left: what is stored is a lower bound of it
HALVINGS = 6  # after which a start is within 2 % of where it is moved to
RADIUS = 1.5  # most that a logarithm changes in a step of Fisher scoring: laws are far from quadratic beyond; chosen
GAIN = 1e-6  # nats: a thousandth of what shifts an interval by its third digit
NEAR_NATS = 1e-3  # nats: what shifts an interval by its third digit
FAR_GAIN = 1e-4  # the same far from an optimum: what is near is polished; chosen
MOST_SCORINGS = 60  # of Fisher scoring, which converges linearly where the model does not fit; chosen
DAMPING = (1e-3, 1e8, 1e-8)  # first λ; the largest, beyond which no step gains anything; the smallest
RIDGE = 1e-10  # of the largest diagonal element, and of the largest eigenvalue: a flat direction stops nothing


class Evaluate(Protocol):
    """What is made largest, with its derivatives, at logarithms of parameters (q,)."""

    def __call__(self, u: FloatArray, width: float, *, informed: bool = True) -> Point:
        """Return them, with the information where it is asked for."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Summit:
    """Where an ascent ended."""

    u: FloatArray  # (q,) logarithms of the parameters
    point: Point
    evaluations: int
    converged: bool
    lacking: FloatArray | None = None  # S, (q, q)


class UnreachableError(ArgumentError):
    """A start from which no likelihood can be improved, since a cell has no probability there."""


def ascend(
    evaluate: Evaluate, start: FloatArray, low: FloatArray, high: FloatArray, towards: FloatArray | None = None
) -> Summit:
    """Return the summit that is reached from a start (q,), within bounds, by lower bounds on a space that stays.

    A start where nothing can be computed is moved halfway to the point `towards`, several times where that is needed.
    """
    for _ in range(HALVINGS):
        if towards is None or _computable(evaluate, start):
            break
        start = 0.5 * (start + towards)
    counted = _Counted(evaluate)
    if not math.isfinite(counted(start, FAR_WIDTH, informed=False).value):
        raise UnreachableError("a cell has no probability at a start")
    return _score(counted, start, low, high, FAR_WIDTH, np.ones(len(start), dtype=np.bool_), FAR_GAIN)


def polish(
    evaluate: Evaluate,
    start: FloatArray,
    low: FloatArray,
    high: FloatArray,
    width: float,
    fixed: int | None = None,
    lacking: FloatArray | None = None,
) -> Summit:
    """Return the summit near a start, by log-likelihoods that are known to `width`; one parameter may be fixed.

    `lacking` is what is known of S from an ascent before, (q, q).
    """
    free = np.ones(len(start), dtype=np.bool_)
    if fixed is not None:
        free[fixed] = False
    return _score(_Counted(evaluate), start, low, high, width, free, GAIN, lacking)


def _computable(evaluate: Evaluate, u: FloatArray) -> bool:
    try:
        return math.isfinite(evaluate(u, FAR_WIDTH, informed=False).value)
    except (StateSpaceError, ConvergenceError):
        return False


class _Counted:
    """Evaluations, counted."""

    def __init__(self, evaluate: Evaluate) -> None:
        self._evaluate = evaluate
        self.count = 0

    def __call__(self, u: FloatArray, width: float, *, informed: bool = True) -> Point:
        self.count += 1
        try:
            return self._evaluate(u, width, informed=informed)
        except (StateSpaceError, ConvergenceError):
            if self.count == 1:
                raise
            q = len(u)
            return Point(-math.inf, math.inf, np.zeros(q), np.zeros((q, q)))


def _score(
    evaluate: _Counted,
    u: FloatArray,
    low: FloatArray,
    high: FloatArray,
    width: float,
    free: BoolArray,
    gain: float,
    lacking: FloatArray | None = None,
) -> Summit:
    point, damping = evaluate(u, width), DAMPING[0]
    S = np.zeros((len(u), len(u))) if lacking is None else lacking
    if not math.isfinite(point.value):
        raise UnreachableError("a cell has no probability at a start")

    def left() -> float:  # nats
        return _step(point, S, u, low, high, free, 0.0)[1]

    for _ in range(MOST_SCORINGS):
        step, promised = _step(point, S, u, low, high, free, damping)
        if promised <= gain and (damping <= DAMPING[0] or left() <= gain):
            return Summit(u, point, evaluate.count, True, S)
        tried = evaluate(u + step, width)
        gained = tried.value - point.value
        if gained > 0.0:
            S = _updated(S, step, point, tried)
        if gained > 0.1 * promised:
            u, point = u + step, tried
            damping = max(damping * (0.1 if gained > 0.5 * promised else 1.0), DAMPING[2])
        elif damping > DAMPING[1] or (0.0 <= gained < gain and promised < 10.0 * gain):
            return Summit(u, point, evaluate.count, damping <= DAMPING[1] or left() <= NEAR_NATS, S)
        else:
            damping = 10.0 * max(damping, DAMPING[0])
    return Summit(u, point, evaluate.count, left() <= NEAR_NATS, S)


def _updated(S: FloatArray, s: FloatArray, before: Point, after: Point) -> FloatArray:
    """Return S after a step, (1)."""
    y = before.gradient - after.gradient
    wanted = y - after.information @ s
    bent, curved = float(s @ S @ s), float(y @ s)
    if curved <= 0.0:
        return S
    S = S * min(1.0, abs(float(s @ wanted)) / abs(bent)) if bent else S
    r = wanted - S @ s
    updated: FloatArray = S + (np.outer(r, y) + np.outer(y, r)) / curved - float(s @ r) / curved**2 * np.outer(y, y)
    return updated


def _step(
    point: Point, S: FloatArray, u: FloatArray, low: FloatArray, high: FloatArray, free: BoolArray, damping: float
) -> tuple[FloatArray, float]:
    """Return the step (q,), and what it promises without damping."""
    step = np.zeros(len(u))
    if not free.any():
        return step, 0.0
    chosen = np.ix_(free, free)
    H, g, diagonal = (point.information + S)[chosen], point.gradient[free], point.information.diagonal()[free]
    scale = np.sqrt(np.maximum(diagonal, RIDGE * max(float(diagonal.max()), 1e-300)))
    values, vectors = np.linalg.eigh(H / np.outer(scale, scale) + damping * np.eye(len(scale)))
    roots = np.sqrt(np.maximum(np.abs(values), RIDGE * np.abs(values).max()))
    R = roots[:, None] * vectors.T * scale  # RᵀR is H + λ diag F, made positive
    bounds = np.maximum(low - u, -RADIUS)[free], np.minimum(high - u, RADIUS)[free]
    bounds = np.minimum(bounds[0], 0.0) - 1e-15, np.maximum(bounds[1], 0.0) + 1e-15
    move = lsq_linear(R, vectors.T @ (g / scale) / roots, bounds=bounds, method="bvls").x
    step[free] = np.clip(u[free] + move, low[free], high[free]) - u[free]
    move = step[free]
    return step, float(g @ move - 0.5 * move @ H @ move)
