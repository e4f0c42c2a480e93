"""Solve the chemical master equation by finite state projection, with a bound on the total error."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from fsp.approximation.approximations import Approximations, approximations
    from fsp.approximation.closures import MomentClosure, moment_closure
    from fsp.approximation.comparison import Comparison, compare
    from fsp.approximation.fokker_planck import FokkerPlanck, fokker_planck
    from fsp.approximation.langevin import Langevin, langevin
    from fsp.approximation.linear_noise import LinearNoise, linear_noise
    from fsp.distribution import Distribution, ErrorLedger, Interval, Solution, Sweep, read
    from fsp.errors import (
        ArgumentError,
        BackendError,
        ConvergenceError,
        FormatWarning,
        FSPError,
        Interrupted,
        ModelError,
        OutputError,
        StateSpaceError,
        ToleranceWarning,
    )
    from fsp.generator import Generator
    from fsp.model import Event, Model, Reaction, load
    from fsp.projection.march import transient
    from fsp.projection.progress import Progress
    from fsp.projection.relaxation import Relaxation, relaxation
    from fsp.projection.steady import stationary
    from fsp.projection.sweep import sweep
    from fsp.solvers import Chebyshev, Implicit, Krylov, Magnus, Rational, Squaring, Uniformization
    from fsp.space import StateSpace
    from fsp.verification.checking import verify
    from fsp.verification.report import Report
    from fsp.verification.sampler import ssa
    from fsp.verification.samples import Histograms, Runs, Summary

# Where each public name lives: imported at first use, so that `import fsp` stays fast.
_HOMES = {
    "Approximations": "fsp.approximation.approximations",
    "ArgumentError": "fsp.errors",
    "BackendError": "fsp.errors",
    "Comparison": "fsp.approximation.comparison",
    "ConvergenceError": "fsp.errors",
    "Distribution": "fsp.distribution",
    "ErrorLedger": "fsp.distribution",
    "Event": "fsp.model",
    "FSPError": "fsp.errors",
    "FokkerPlanck": "fsp.approximation.fokker_planck",
    "FormatWarning": "fsp.errors",
    "Generator": "fsp.generator",
    "Histograms": "fsp.verification.samples",
    "Implicit": "fsp.solvers",
    "Interrupted": "fsp.errors",
    "Interval": "fsp.distribution",
    "Chebyshev": "fsp.solvers",
    "Krylov": "fsp.solvers",
    "Langevin": "fsp.approximation.langevin",
    "LinearNoise": "fsp.approximation.linear_noise",
    "Magnus": "fsp.solvers",
    "Model": "fsp.model",
    "ModelError": "fsp.errors",
    "MomentClosure": "fsp.approximation.closures",
    "OutputError": "fsp.errors",
    "Progress": "fsp.projection.progress",
    "Rational": "fsp.solvers",
    "Reaction": "fsp.model",
    "Solution": "fsp.distribution",
    "Relaxation": "fsp.projection.relaxation",
    "Report": "fsp.verification.report",
    "Runs": "fsp.verification.samples",
    "Squaring": "fsp.solvers",
    "StateSpace": "fsp.space",
    "StateSpaceError": "fsp.errors",
    "Summary": "fsp.verification.samples",
    "Sweep": "fsp.distribution",
    "ToleranceWarning": "fsp.errors",
    "Uniformization": "fsp.solvers",
    "approximations": "fsp.approximation.approximations",
    "compare": "fsp.approximation.comparison",
    "fokker_planck": "fsp.approximation.fokker_planck",
    "langevin": "fsp.approximation.langevin",
    "linear_noise": "fsp.approximation.linear_noise",
    "load": "fsp.model",
    "moment_closure": "fsp.approximation.closures",
    "read": "fsp.distribution",
    "relaxation": "fsp.projection.relaxation",
    "ssa": "fsp.verification.sampler",
    "stationary": "fsp.projection.steady",
    "sweep": "fsp.projection.sweep",
    "transient": "fsp.projection.march",
    "verify": "fsp.verification.checking",
}

__all__ = [
    "Approximations",
    "ArgumentError",
    "BackendError",
    "Chebyshev",
    "Comparison",
    "ConvergenceError",
    "Distribution",
    "ErrorLedger",
    "Event",
    "FSPError",
    "FokkerPlanck",
    "FormatWarning",
    "Generator",
    "Histograms",
    "Implicit",
    "Interrupted",
    "Interval",
    "Krylov",
    "Langevin",
    "LinearNoise",
    "Magnus",
    "Model",
    "ModelError",
    "MomentClosure",
    "OutputError",
    "Progress",
    "Rational",
    "Reaction",
    "Relaxation",
    "Report",
    "Runs",
    "Solution",
    "Squaring",
    "StateSpace",
    "StateSpaceError",
    "Summary",
    "Sweep",
    "ToleranceWarning",
    "Uniformization",
    "approximations",
    "compare",
    "fokker_planck",
    "langevin",
    "linear_noise",
    "load",
    "moment_closure",
    "read",
    "relaxation",
    "ssa",
    "stationary",
    "sweep",
    "transient",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fsp' has no attribute '{name}'")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
