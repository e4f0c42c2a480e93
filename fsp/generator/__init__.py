"""The sparse CME generator on a state space."""

from fsp.generator.generator import Generator, Leak

__all__ = ["Generator", "Leak"]
