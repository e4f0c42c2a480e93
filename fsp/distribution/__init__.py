"""Distributions with their error: the answer of every solver, and its file format."""

from __future__ import annotations

from fsp.distribution.distribution import Distribution
from fsp.distribution.ledger import ErrorLedger, Interval
from fsp.distribution.solution import Solution
from fsp.distribution.storage import read, save
from fsp.distribution.sweep import Sweep

__all__ = ["Distribution", "ErrorLedger", "Interval", "Solution", "Sweep", "read", "save"]
