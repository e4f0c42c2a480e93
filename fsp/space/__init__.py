"""State spaces: copy-number vectors and their indices."""

from fsp.space.constraints import Constraint
from fsp.space.space import StateSpace

__all__ = ["Constraint", "StateSpace"]
