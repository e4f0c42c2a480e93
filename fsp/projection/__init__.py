"""The FSP loop: transient and stationary distributions on state spaces that adapt."""

from fsp.projection.march import transient
from fsp.projection.progress import Progress
from fsp.projection.steady import stationary

__all__ = ["Progress", "stationary", "transient"]
