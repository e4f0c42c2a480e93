"""Criteria of optimal design: concave functions of an information matrix, and the weights that make them largest.

With weights w_i >= 0 that add up to one, ``M(w) = Σ_i w_i F_i``:

    D   log det M            Ds  log det M - log det M_nn, n the nuisance parameters
    A   - tr M⁻¹             E   the smallest eigenvalue of M

All are concave in w, so that for any w with (super)gradient g

(1)  f(w*) - f(w)  <=  max_i g_i - Σ_i w_i g_i ,

which is the equivalence theorem of Kiefer and Wolfowitz as a bound.  D, Ds and A are maximised by SLSQP of scipy, E by
linear programs of its HiGHS: the smallest eigenvalue is the least of ``vᵀ M v`` over unit vectors v, of which those
that matter are added one by one.

References
----------
J. Kiefer, J. Wolfowitz, Canad. J. Math. 12 (1960) 363, doi:10.4153/CJM-1960-030-4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import LinearConstraint, minimize

from fsp.errors import ConvergenceError
from fsp.linear_programmes import LinearProgramme

if TYPE_CHECKING:
    from fsp.arrays import FloatArray

PROMISE_REACHED = 1e-6  # of the value of E that a linear program promises, to what is reached
MOST_CUTS = 300  # of linear programs, each of which adds the eigenvectors of its answer; chosen
PRECISION = 1e-12  # of SLSQP


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A criterion at some weights, and its (super)gradient by them, (n,)."""

    value: float
    gradient: FloatArray


Criterion = Callable[["FloatArray", "FloatArray", Sequence[int]], Value]


def _d(M: FloatArray, F: FloatArray, interest: Sequence[int]) -> Value:
    return Value(float(np.linalg.slogdet(M)[1]), np.einsum("kl,ilk->i", np.linalg.inv(M), F))


def _ds(M: FloatArray, F: FloatArray, interest: Sequence[int]) -> Value:
    rest = [k for k in range(len(M)) if k not in interest]
    gradient = _d(M, F, interest)
    if not rest:
        return gradient
    nuisance = _d(M[np.ix_(rest, rest)], F[:, rest][:, :, rest], interest)
    return Value(gradient.value - nuisance.value, gradient.gradient - nuisance.gradient)


def _a(M: FloatArray, F: FloatArray, interest: Sequence[int]) -> Value:
    inverse = np.linalg.inv(M)
    return Value(-float(np.trace(inverse)), np.einsum("kl,ilm,mk->i", inverse, F, inverse))


def _e(M: FloatArray, F: FloatArray, interest: Sequence[int]) -> Value:
    values, vectors = np.linalg.eigh(M)
    v = vectors[:, 0]
    return Value(float(values[0]), np.einsum("k,ikl,l->i", v, F, v))


CRITERIA: dict[str, Criterion] = {"D": _d, "Ds": _ds, "A": _a, "E": _e}


def optimal_weights(criterion: str, F: FloatArray, interest: Sequence[int]) -> tuple[FloatArray, float]:
    """Return weights (n,) for matrices F (n, q, q), and how far from the optimum the criterion is at most, (1)."""
    scale = np.sqrt(np.einsum("ikk->k", F) / len(F))  # (q,), so that no parameter is far from the others
    if criterion in ("D", "Ds"):  # which do not change by it but for a constant
        F = F / np.outer(scale, scale)
    n = len(F)
    start = np.full(n, 1.0 / n)
    weights, bound = _by_cuts(F) if criterion == "E" else (_by_slsqp(CRITERIA[criterion], F, interest, start), np.inf)
    weights = np.maximum(weights, 0.0) / np.maximum(weights, 0.0).sum()
    value = CRITERIA[criterion](np.tensordot(weights, F, 1), F, interest)
    gap = float(value.gradient.max() - weights @ value.gradient)  # (1)
    return weights, max(min(gap, bound - value.value), 0.0)


def _by_slsqp(criterion: Criterion, F: FloatArray, interest: Sequence[int], start: FloatArray) -> FloatArray:
    q = F.shape[1]
    at_start = criterion(np.tensordot(start, F, 1), F, interest)
    unit = max(1.0, abs(at_start.value)) if criterion is _a else 1.0

    def downwards(w: FloatArray) -> tuple[float, FloatArray]:
        M = np.tensordot(np.maximum(w, 0.0), F, 1)
        if np.linalg.eigvalsh(M)[0] <= 1e-14 * np.trace(M) / q:
            return 1e10, np.zeros(len(w))
        value = criterion(M, F, interest)
        return -value.value / unit, -value.gradient / unit

    optimum = minimize(
        downwards,
        start,
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * len(F),
        constraints=LinearConstraint(np.ones(len(F)), 1.0, 1.0),
        options={"ftol": PRECISION, "maxiter": 1000},
    )
    weights: FloatArray = optimum.x
    return weights


def _by_cuts(F: FloatArray) -> tuple[FloatArray, float]:
    """Return weights with the largest smallest eigenvalue, and an upper bound of it."""
    n = len(F)
    unit = float(np.linalg.eigvalsh(F.mean(axis=0))[-1])
    cuts = [np.einsum("ki,jkl,li->ij", vectors, F, vectors) for vectors in (np.linalg.eigh(F.mean(axis=0))[1],)]
    best, weights, bound = -np.inf, np.full(n, 1.0 / n), np.inf
    for _ in range(MOST_CUTS):
        rows = np.concatenate(cuts) / unit  # (m, n): s <= Σ w_i v'F_i v
        programme = LinearProgramme(
            [*[(0.0, 1.0)] * n, (None, None)],
            above=np.column_stack([-rows, np.ones(len(rows))]),
            below=np.zeros(len(rows)),
            equal=np.append(np.ones(n), 0.0)[None],
            right=np.ones(1),
        )
        optimum = programme.minimum(np.append(np.zeros(n), -1.0))
        if optimum is None:
            raise ConvergenceError("A linear programme of the design must be solved, but HiGHS found no optimum")
        w, bound = optimum.x[:n], min(bound, -optimum.value * unit)
        values, vectors = np.linalg.eigh(np.tensordot(w, F, 1))
        if values[0] > best:
            best, weights = float(values[0]), w
        if bound - best <= PROMISE_REACHED * max(bound, 1e-300):
            break
        cuts.append(np.einsum("ki,jkl,li->ij", vectors, F, vectors))
    return weights, bound
