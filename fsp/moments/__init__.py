"""Bounds of moments from the model alone: moment equations and drift conditions."""

from __future__ import annotations

from fsp.moments.bounds import MomentBounds, PendingBounds, moment_bounds

__all__ = ["MomentBounds", "PendingBounds", "moment_bounds"]
