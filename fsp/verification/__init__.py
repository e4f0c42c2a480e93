"""Verification of other programs, and of this one, against certified distributions."""

from __future__ import annotations
