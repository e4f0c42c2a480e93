"""The sparse CME generator on a state space."""

from fsp.generator.generator import Generator
from fsp.generator.operator import Operator
from fsp.generator.sinks import Leak

__all__ = ["Generator", "Leak", "Operator"]
