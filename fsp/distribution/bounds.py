"""Turn a 1-norm error into the range of one number.

Let y be the stored probabilities, p the exact ones, e >= ||p - y||_1 and delta = 1 - sum(y) = sum(p - y).
The positive part of p - y weighs at most G = (e + delta) / 2, the negative part at most L = (e - delta) / 2:

    -L <= p(E) - y(E) <= G                                             for any event E,
    -L (F - f) + delta f <= sum (p - y) g <= G (F - f) + delta f       for any function f <= g <= F

where f <= g <= F holds wherever p or y lives.  Sums carry the rounding error of pairwise summation.
"""

from __future__ import annotations

import numpy as np

from fsp.arrays import BoolArray, FloatArray
from fsp.distribution.ledger import ErrorLedger, Interval

ESTIMATED = "the error is an estimate, not a bound"
UNBOUNDED = "a 1-norm error does not bound the tail of the function on states that are not stored"


def event(probabilities: FloatArray, mask: BoolArray, error: ErrorLedger) -> Interval:
    """Bound the probability of an event.

    Parameters
    ----------
    probabilities
        (n,) stored probabilities.
    mask
        (n,) True for the stored states of the event.
    error
        Error of the probabilities.

    Returns
    -------
    Interval
        Certified where the error is; the value is the stored probability of the event.
    """
    inside = float(probabilities[mask].sum())
    gained, lost, slack = _parts(probabilities, error)
    lower = max(0.0, inside - lost - slack)
    upper = min(1.0, inside + gained + slack)
    value = min(max(inside, lower), upper)
    return Interval(lower, upper, value, error.certified, "" if error.certified else ESTIMATED)


def closed_mean(probabilities: FloatArray, values: FloatArray, error: ErrorLedger) -> Interval:
    """Bound the mean of a function where every state that has probability is stored.

    Parameters
    ----------
    probabilities
        (n,) stored probabilities.
    values
        (n,) finite values of the function.
    error
        Error of the probabilities.

    Returns
    -------
    Interval
        Certified where the error is; the value is the mean over the stored probability.
    """
    least, most = float(values.min()), float(values.max())
    gained, lost, slack = _parts(probabilities, error)
    missing = gained - lost  # delta
    weighted = probabilities * values  # (n,)
    centre = float(weighted.sum()) + missing * least
    slack = slack * (float(np.abs(weighted).sum()) + 4 * max(abs(least), abs(most)))
    lower = min(max(least, centre - lost * (most - least) - slack), most)
    upper = max(min(most, centre + gained * (most - least) + slack), lower)
    value = min(max(stored_mean(probabilities, values), lower), upper)
    return Interval(lower, upper, value, error.certified, "" if error.certified else ESTIMATED)


def unbounded_mean(probabilities: FloatArray, values: FloatArray) -> Interval:
    """Estimate the mean of a function of which nothing is known on the states that are not stored.

    Parameters
    ----------
    probabilities
        (n,) stored probabilities.
    values
        (n,) values of the function.

    Returns
    -------
    Interval
        Not certified: from minus to plus infinity, with the mean over the stored probability as its value.
    """
    return Interval(-np.inf, np.inf, stored_mean(probabilities, values), certified=False, reason=UNBOUNDED)


def stored_mean(probabilities: FloatArray, values: FloatArray) -> float:
    """Average a function over the stored probability.

    Parameters
    ----------
    probabilities
        (n,) stored probabilities.
    values
        (n,) values of the function.

    Returns
    -------
    float
        ``sum y f / sum y``.
    """
    return float((probabilities * values).sum() / probabilities.sum())


def _parts(probabilities: FloatArray, error: ErrorLedger) -> tuple[float, float, float]:
    """Return the largest weights of the positive and negative parts of p - y, and the rounding of a sum."""
    missing = 1.0 - float(probabilities.sum())
    total = max(error.total, abs(missing))  # less than |missing| only by rounding
    # numpy adds blocks of 128 in 8 lanes, then pairs: 20 + log2(n) additions in a row, each to half an eps
    slack = np.finfo(float).eps * (20 + np.log2(len(probabilities)))
    return (total + missing) / 2, (total - missing) / 2, float(slack)
