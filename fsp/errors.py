"""Classes of errors; their messages stand where they are raised, and name the thing, the value and the way out."""

from __future__ import annotations

from typing import Any


class FSPError(Exception):
    """Base of every error that `fsp` raises on purpose."""


class ArgumentError(FSPError, ValueError):
    """An argument of a call is outside what the call accepts."""


class ModelError(FSPError, ValueError):
    """A reaction network is malformed, or is something that a CME cannot express."""


class ModelFileNotFoundError(ModelError, FileNotFoundError):
    """A model file does not exist or cannot be read."""


class OutputError(FSPError, OSError):
    """A file could not be written: the disk is full, or refuses; what was there before is unchanged."""


class StateSpaceError(FSPError):
    """A state space is infinite, larger than its limit, or lacks the states that it needs."""


class ConvergenceError(FSPError):
    """A solver stopped before it met its tolerance."""


class BackendError(FSPError):
    """A backend is missing, or cannot treat what it was given."""


class Interrupted(KeyboardInterrupt):
    """A computation was stopped, by Ctrl-C or by a callback that raised KeyboardInterrupt.

    Parameters
    ----------
    message
        How far it came.
    solution
        What was reached, a `Solution` or `Sweep` that is not complete; None where there is nothing.
    """

    def __init__(self, message: str, solution: Any = None) -> None:
        super().__init__(message)
        self.solution = solution


class FormatWarning(UserWarning):
    """A file is of an earlier format, which has no checksum: damage of its numbers goes unnoticed."""


class ToleranceWarning(UserWarning):
    """An answer is returned whose error bound is larger than the tolerance asked for."""


class SimulatorWarning(UserWarning):
    """A simulator warns of something; each text is told once, with how often it was said."""


class ModelWarning(UserWarning):
    """Something that a model file says was not followed, or something that it leaves out was taken for granted."""
