"""Which parameters, and which combinations of them, the data do not tell, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fsp.distribution.fit import AT_BOUND
from fsp.inference.ascent import Evaluate, Summit

if TYPE_CHECKING:
    from fsp.arrays import FloatArray

UNKNOWN_SPREAD = 1.0  # standard deviation of a logarithm: an interval of 95 % then spans a factor of fifty
TRIED_STEP = 1.0  # of a logarithm, along the direction that is tried
DROP = 1.92  # nats: half the quantile of 95 % of chi squared with one degree of freedom
NAMED_COMPONENT = 0.2  # of the largest component of a direction, below which a parameter is not named


def remarks(
    evaluate: Evaluate, top: Summit, names: Sequence[str], low: FloatArray, high: FloatArray, width: float
) -> list[str]:
    """Return a sentence for each parameter at a bound and each direction that the data leave open."""
    sentences = []
    for name, u, a, b in zip(names, top.u.tolist(), low.tolist(), high.tolist(), strict=True):
        for bound, word in ((a, "lower"), (b, "upper")):
            if abs(u - bound) <= AT_BOUND:
                sentences.append(
                    f"{name} is at its {word} bound, {math.exp(bound):.6g}: the data ask for values beyond; widen the "
                    f"bounds or fix it"
                )
    values, vectors = np.linalg.eigh(top.point.information)
    for value, direction in zip(values.tolist(), vectors.T, strict=True):
        if value < 1.0 / UNKNOWN_SPREAD**2:
            drop = _drop(evaluate, top, direction, low, high, width)
            if drop < DROP:
                sentences.append(_words(names, direction, drop))
    return sentences


def _drop(
    evaluate: Evaluate, top: Summit, direction: FloatArray, low: FloatArray, high: FloatArray, width: float
) -> float:
    """Return the larger loss of log-likelihood by a step along a direction, one way and the other, within bounds."""
    ends = [np.clip(top.u + sign * TRIED_STEP * direction, low, high) for sign in (-1.0, 1.0)]
    return max(top.point.value - evaluate(end, width, informed=False).value for end in ends)


def _words(names: Sequence[str], direction: FloatArray, drop: float) -> str:
    size = np.abs(direction)
    chosen = np.flatnonzero(size >= NAMED_COMPONENT * size.max())
    sign = math.copysign(1.0, direction[chosen[0]])
    terms = [f"{names[k]} {'up' if sign * direction[k] > 0.0 else 'down'}" for k in chosen.tolist()]
    what = f"{terms[0].split()[0]} alone" if len(terms) == 1 else ", ".join(terms) + " together"
    powers = " * ".join(f"{names[k]}^{sign * direction[k]:.2f}" for k in chosen.tolist())
    return (
        f"the data do not tell {powers}: {what}, by a factor of e in all, changes the log-likelihood by at most "
        f"{max(drop, 0.0):.2g}"
    )
