"""The FSP loop: transient (`march`) and stationary (`steady`) distributions on state spaces that adapt."""

from fsp.projection.progress import Progress

__all__ = ["Progress"]
