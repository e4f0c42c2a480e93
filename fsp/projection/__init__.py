"""The FSP loop: transient (`march`) and stationary (`steady`) distributions on state spaces that adapt; sweeps."""

from fsp.projection.progress import Progress, SweepProgress

__all__ = ["Progress", "SweepProgress"]
