"""Distributions with their error: the answer of every solver."""

from __future__ import annotations

from fsp.distribution.distribution import Distribution
from fsp.distribution.ledger import ErrorLedger, Interval
from fsp.distribution.solution import Solution
from fsp.distribution.sweep import Sweep

__all__ = ["Distribution", "ErrorLedger", "Interval", "Solution", "Sweep"]
