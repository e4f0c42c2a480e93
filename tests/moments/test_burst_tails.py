"""Moments of bursts and starts whose laws have no largest count, against their closed forms to the highest order."""

from __future__ import annotations

from fractions import Fraction
from math import comb, factorial, log

import numpy as np
import pytest
from written_networks import network

import fsp
from fsp.moments import moment_bounds
from fsp.moments.drift import ORDERS

LAWS = [
    ("poisson", 0.001),
    ("poisson", 1e-6),
    ("poisson", 7e-10),
    ("poisson", 1e-30),
    ("poisson", 0.02),
    ("geometric", 0.001),
    ("geometric", 0.01),
    ("geometric", 1e-9),
    ("geometric", 1e-30),
]


def stirling(n, k):
    """Partitions of n things into k parts."""
    return sum((-1) ** (k - j) * comb(k, j) * j**n for j in range(k + 1)) // factorial(k)


def raw(law, mean):
    """E m^q for q = 0 … ORDERS, from factorial moments."""
    mean = Fraction(repr(mean))
    falling = [mean**k * (factorial(k) if law == "geometric" else 1) for k in range(ORDERS + 1)]
    return [sum(stirling(q, k) * falling[k] for k in range(q + 1)) for q in range(ORDERS + 1)]


def of_cumulants(cumulants):
    moments = [Fraction(1)]
    for n in range(1, len(cumulants)):
        moments.append(sum(comb(n - 1, k - 1) * cumulants[k] * moments[n - k] for k in range(1, n + 1)))
    return moments


def logarithms(moments):
    """Log of (E x^q)^(1/q), q = 1 …"""
    return np.array([(log(m.numerator) - log(m.denominator)) / q for q, m in enumerate(moments) if q])


@pytest.mark.parametrize(("law", "mean"), LAWS)
def test_bursts_hold_the_sizes_that_have_no_reaction(law, mean):
    """Bursts at rate 1 up to time 1: the cumulants of their sum are the moments of one."""
    model = fsp.Model(species={"X": 0}, reactions=[fsp.Reaction("0 -> X", rate=1.0, burst=f"{law}({mean!r})")])
    norms = np.log(moment_bounds(model, 1.0).bounds.norms[0])
    exact = logarithms(of_cumulants(raw(law, mean)))
    assert (norms >= exact - 1e-13).all()
    assert (norms[:6] <= exact[:6] + 0.05).all() or mean < 1e-20  # below, margins that are absolute are all


@pytest.mark.parametrize(("law", "mean"), LAWS)
def test_starts_hold_the_counts_that_are_left_out(law, mean):
    model = network({"X": f"{law}({mean!r})"}, ("X -> 0", "rate", "X"))
    norms = np.log(moment_bounds(model, 0.0).bounds.norms[0])
    exact = logarithms(raw(law, mean))
    assert (norms >= exact - 1e-13).all()
