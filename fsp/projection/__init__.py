"""The FSP loop: transient distributions on state spaces that move with the probability."""

from fsp.projection.progress import Progress, SweepProgress

__all__ = ["Progress", "SweepProgress"]
