"""Find a largest value of likelihood times prior from one start: L-BFGS-B while it is far, Fisher scoring then.

What is far needs no information, and its gradient is taken back from the cells (`fsp.inference.fixed_adjoint`).

Far from an optimum the space of states stays as it is: what is stored are lower bounds, so that the value is one of
the log-likelihood, and parameters that drive cells out of the space cost no more than others.

Fisher scoring maximises ``g·s - ½ sᵀ(F + λ diag F)s`` within the bounds and a radius, F the expected information, by
scipy's bounded least squares; λ falls where the step gains what it promises, and rises where it does not.  It ends
where what is promised, ``½ gᵀ F⁻¹ g`` along what is free, is below `GAIN`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import lsq_linear, minimize

from fsp.errors import ArgumentError, ConvergenceError, StateSpaceError
from fsp.inference.part import Point

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, FloatArray

FAR = math.inf  # width of the log-likelihood while a start is left: what is stored is a lower bound of it
FAR_STEPS = 8  # of L-BFGS-B, which has no radius and no need of information that is nearly singular; chosen
HALVINGS = 6  # after which a start is within 2 % of where it is moved to
RADIUS = 1.5  # most that a logarithm changes in a step of Fisher scoring: laws are far from quadratic beyond; chosen
GAIN = 1e-6  # nats: a thousandth of what shifts an interval by its third digit
MOST_STEPS = 60  # of Fisher scoring, which converges linearly where the model does not fit; chosen
DAMPING = (1e-3, 1e8)  # first λ, and the largest, beyond which no step gains anything
RIDGE = 1e-10  # of the largest diagonal element, so that a flat direction does not stop the factorisation


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
    if not math.isfinite(counted(start, FAR, informed=False).value):
        raise UnreachableError("a cell has no probability at a start")
    minimize(
        counted.downwards,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(low, high, strict=True)),
        options={"maxiter": FAR_STEPS},
    )
    best = start if counted.best is None else np.clip(counted.best, low, high)
    return _score(counted, best, low, high, FAR, np.ones(len(start), dtype=np.bool_))


def polish(
    evaluate: Evaluate, start: FloatArray, low: FloatArray, high: FloatArray, width: float, fixed: int | None = None
) -> Summit:
    """Return the summit near a start, by log-likelihoods that are known to `width`; one parameter may be fixed."""
    free = np.ones(len(start), dtype=np.bool_)
    if fixed is not None:
        free[fixed] = False
    return _score(_Counted(evaluate), start, low, high, width, free)


def _computable(evaluate: Evaluate, u: FloatArray) -> bool:
    try:
        return math.isfinite(evaluate(u, FAR, informed=False).value)
    except (StateSpaceError, ConvergenceError):
        return False


class _Counted:
    """Evaluations, counted, with the best of those downwards."""

    def __init__(self, evaluate: Evaluate) -> None:
        self._evaluate = evaluate
        self.count = 0
        self.best: FloatArray | None = None
        self._value = -math.inf

    def __call__(self, u: FloatArray, width: float, *, informed: bool = True) -> Point:
        self.count += 1
        try:
            return self._evaluate(u, width, informed=informed)
        except (StateSpaceError, ConvergenceError):
            if self.count == 1:
                raise
            q = len(u)
            return Point(-math.inf, math.inf, np.zeros(q), np.zeros((q, q)))

    def downwards(self, u: FloatArray) -> tuple[float, FloatArray]:
        """Return minus the value and its gradient, as minimisers want them."""
        point = self(u, FAR, informed=False)
        if point.value > self._value:
            self._value, self.best = point.value, u.copy()
        return (-point.value if math.isfinite(point.value) else 1e300), -point.gradient


def _score(
    evaluate: _Counted, u: FloatArray, low: FloatArray, high: FloatArray, width: float, free: BoolArray
) -> Summit:
    point, damping = evaluate(u, width), DAMPING[0]
    if not math.isfinite(point.value):
        raise UnreachableError("a cell has no probability at a start")
    for _ in range(MOST_STEPS):
        step, promised = _step(point, u, low, high, free, damping)
        if promised <= GAIN:
            return Summit(u, point, evaluate.count, True)
        tried = evaluate(u + step, width)
        gained = tried.value - point.value
        if gained > 0.1 * promised:
            u, point = u + step, tried
            damping = max(damping * (0.1 if gained > 0.5 * promised else 1.0), 1e-12)
        elif damping > DAMPING[1] or (0.0 <= gained < GAIN and promised < 10.0 * GAIN):
            return Summit(u, point, evaluate.count, damping <= DAMPING[1])
        else:
            damping = 10.0 * max(damping, DAMPING[0])
    return Summit(u, point, evaluate.count, False)


def _step(
    point: Point, u: FloatArray, low: FloatArray, high: FloatArray, free: BoolArray, damping: float
) -> tuple[FloatArray, float]:
    """Return the step (q,), and what it promises without damping."""
    step = np.zeros(len(u))
    F, g = point.information[np.ix_(free, free)], point.gradient[free]
    if not free.any():
        return step, 0.0
    scale = max(float(F.diagonal().max()), 1e-300)
    damped = F + np.diag(damping * F.diagonal() + RIDGE * scale)
    L = cholesky(damped, lower=True)
    target = solve_triangular(L, g, lower=True)
    bounds = np.maximum(low - u, -RADIUS)[free], np.minimum(high - u, RADIUS)[free]
    bounds = np.minimum(bounds[0], 0.0) - 1e-15, np.maximum(bounds[1], 0.0) + 1e-15
    move = lsq_linear(L.T, target, bounds=bounds, method="bvls").x
    step[free] = np.clip(u[free] + move, low[free], high[free]) - u[free]
    move = step[free]
    return step, float(g @ move - 0.5 * move @ F @ move)
