"""Solve the chemical master equation by finite state projection, with a bound on the total error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fsp.imports import loaded
from fsp.solvers import METHODS
from fsp.version import __version__ as __version__

if TYPE_CHECKING:
    from fsp.approximation.approximated import Approximations
    from fsp.approximation.approximations import approximations
    from fsp.approximation.closures import MomentClosure, moment_closure
    from fsp.approximation.comparison import Comparison, compare
    from fsp.approximation.fokker_planck import FokkerPlanck, fokker_planck
    from fsp.approximation.langevin import Langevin, langevin
    from fsp.approximation.linear_noise import LinearNoise, linear_noise
    from fsp.distribution import Distribution, ErrorLedger, Interval, Solution, Sweep
    from fsp.distribution.committor import Committor
    from fsp.distribution.correlation import Correlation
    from fsp.distribution.counts import Counts
    from fsp.distribution.design import Design
    from fsp.distribution.draws import Draws
    from fsp.distribution.fit import Fit
    from fsp.distribution.fit_comparison import FitComparison
    from fsp.distribution.information import FisherInformation
    from fsp.distribution.passage import Passage
    from fsp.distribution.relaxation import Relaxation
    from fsp.distribution.reward import AverageReward, Reward
    from fsp.distribution.sensitivity import Sensitivities, Sensitivity
    from fsp.doors import relaxation, stationary, transient
    from fsp.errors import (
        ArgumentError,
        BackendError,
        ConvergenceError,
        FormatWarning,
        FSPError,
        Interrupted,
        ModelError,
        ModelWarning,
        OutputError,
        StateSpaceError,
        ToleranceWarning,
    )
    from fsp.formats import load, loads
    from fsp.generator import Generator
    from fsp.inference.counts import read_counts
    from fsp.inference.design import design
    from fsp.inference.extrinsic import Gamma, LogNormal
    from fsp.inference.fisher import fisher
    from fsp.inference.gradient import gradient
    from fsp.inference.instruments import Binomial, Bins, Normal, Poisson
    from fsp.inference.likelihood import Likelihood, likelihood
    from fsp.inference.mixture import mixture
    from fsp.inference.posterior import Posterior
    from fsp.inference.sensitivity import sensitivity
    from fsp.jobs.fit import fit
    from fsp.jobs.sweep import sweep
    from fsp.model import Event, Model, Reaction
    from fsp.output import pictures as plot  # noqa: F401
    from fsp.output.storage import read
    from fsp.passages.committor import committor
    from fsp.passages.correlation import correlation
    from fsp.passages.long_run import average_reward
    from fsp.passages.passage import passage
    from fsp.passages.reward import reward
    from fsp.projection.progress import Progress
    from fsp.sampling.sampler import ssa
    from fsp.solvers.chebyshev import Chebyshev
    from fsp.solvers.implicit import Implicit
    from fsp.solvers.krylov import Krylov
    from fsp.solvers.magnus import Magnus
    from fsp.solvers.rational import Rational
    from fsp.solvers.squaring import Squaring
    from fsp.solvers.uniformization import Uniformization
    from fsp.space import StateSpace
    from fsp.verification.report import Report
    from fsp.verification.samples import Histograms, Runs, Summary
    from fsp.verification.verify import verify

# Where each public name lives: imported at first use, so that `import fsp` stays fast.
_HOMES = {
    "Approximations": "fsp.approximation.approximated",
    "ArgumentError": "fsp.errors",
    "BackendError": "fsp.errors",
    "Binomial": "fsp.inference.instruments",
    "Bins": "fsp.inference.instruments",
    "Committor": "fsp.distribution.committor",
    "Comparison": "fsp.approximation.comparison",
    "ConvergenceError": "fsp.errors",
    "Correlation": "fsp.distribution.correlation",
    "Counts": "fsp.distribution.counts",
    "Distribution": "fsp.distribution",
    "ErrorLedger": "fsp.distribution",
    "Event": "fsp.model",
    "FSPError": "fsp.errors",
    "FisherInformation": "fsp.distribution.information",
    "Design": "fsp.distribution.design",
    "Fit": "fsp.distribution.fit",
    "FitComparison": "fsp.distribution.fit_comparison",
    "FokkerPlanck": "fsp.approximation.fokker_planck",
    "FormatWarning": "fsp.errors",
    "Gamma": "fsp.inference.extrinsic",
    "Generator": "fsp.generator",
    "Histograms": "fsp.verification.samples",
    "Interrupted": "fsp.errors",
    "Interval": "fsp.distribution",
    "Langevin": "fsp.approximation.langevin",
    "Likelihood": "fsp.inference.likelihood",
    "LinearNoise": "fsp.approximation.linear_noise",
    "LogNormal": "fsp.inference.extrinsic",
    "Model": "fsp.model",
    "ModelError": "fsp.errors",
    "MomentClosure": "fsp.approximation.closures",
    "Normal": "fsp.inference.instruments",
    "OutputError": "fsp.errors",
    "Poisson": "fsp.inference.instruments",
    "Posterior": "fsp.inference.posterior",
    "Draws": "fsp.distribution.draws",
    "Passage": "fsp.distribution.passage",
    "AverageReward": "fsp.distribution.reward",
    "Reward": "fsp.distribution.reward",
    "Progress": "fsp.projection.progress",
    "Reaction": "fsp.model",
    "Solution": "fsp.distribution",
    "Relaxation": "fsp.distribution.relaxation",
    "Report": "fsp.verification.report",
    "Runs": "fsp.verification.samples",
    "Sensitivities": "fsp.distribution.sensitivity",
    "Sensitivity": "fsp.distribution.sensitivity",
    "StateSpace": "fsp.space",
    "StateSpaceError": "fsp.errors",
    "Summary": "fsp.verification.samples",
    "Sweep": "fsp.distribution",
    "ModelWarning": "fsp.errors",
    "ToleranceWarning": "fsp.errors",
    "approximations": "fsp.approximation.approximations",
    "committor": "fsp.passages.committor",
    "correlation": "fsp.passages.correlation",
    "compare": "fsp.approximation.comparison",
    "design": "fsp.inference.design",
    "fisher": "fsp.inference.fisher",
    "fit": "fsp.jobs.fit",
    "fokker_planck": "fsp.approximation.fokker_planck",
    "langevin": "fsp.approximation.langevin",
    "gradient": "fsp.inference.gradient",
    "likelihood": "fsp.inference.likelihood",
    "linear_noise": "fsp.approximation.linear_noise",
    "load": "fsp.formats",
    "loads": "fsp.formats",
    "mixture": "fsp.inference.mixture",
    "moment_closure": "fsp.approximation.closures",
    "passage": "fsp.passages.passage",
    "average_reward": "fsp.passages.long_run",
    "reward": "fsp.passages.reward",
    "plot": "fsp.output.pictures",
    "read": "fsp.output.storage",
    "read_counts": "fsp.inference.counts",
    "ssa": "fsp.sampling.sampler",
    "relaxation": "fsp.doors",
    "sensitivity": "fsp.inference.sensitivity",
    "stationary": "fsp.doors",
    "sweep": "fsp.jobs.sweep",
    "transient": "fsp.doors",
    "verify": "fsp.verification.verify",
}

__all__ = [
    "Approximations",
    "ArgumentError",
    "AverageReward",
    "BackendError",
    "Binomial",
    "Bins",
    "Chebyshev",
    "Committor",
    "Comparison",
    "ConvergenceError",
    "Correlation",
    "Counts",
    "Design",
    "Distribution",
    "Draws",
    "ErrorLedger",
    "Event",
    "FSPError",
    "FisherInformation",
    "Fit",
    "FitComparison",
    "FokkerPlanck",
    "FormatWarning",
    "Gamma",
    "Generator",
    "Histograms",
    "Implicit",
    "Interrupted",
    "Interval",
    "Krylov",
    "Langevin",
    "Likelihood",
    "LinearNoise",
    "LogNormal",
    "Magnus",
    "Model",
    "ModelError",
    "ModelWarning",
    "MomentClosure",
    "Normal",
    "OutputError",
    "Passage",
    "Poisson",
    "Posterior",
    "Progress",
    "Rational",
    "Reaction",
    "Relaxation",
    "Report",
    "Reward",
    "Runs",
    "Sensitivities",
    "Sensitivity",
    "Solution",
    "Squaring",
    "StateSpace",
    "StateSpaceError",
    "Summary",
    "Sweep",
    "ToleranceWarning",
    "Uniformization",
    "approximations",
    "average_reward",
    "committor",
    "compare",
    "correlation",
    "design",
    "fisher",
    "fit",
    "fokker_planck",
    "gradient",
    "langevin",
    "likelihood",
    "linear_noise",
    "load",
    "loads",
    "mixture",
    "moment_closure",
    "passage",
    "read",
    "read_counts",
    "relaxation",
    "reward",
    "sensitivity",
    "ssa",
    "stationary",
    "sweep",
    "transient",
    "verify",
]
__all__ += [name for name in METHODS if name not in __all__]


def __getattr__(name: str) -> Any:
    place = _HOMES.get(name) or METHODS.get(name)
    if place is None:
        raise AttributeError(f"module 'fsp' has no attribute '{name}'")
    home = loaded(place)
    value = home if name == "plot" else getattr(home, name)  # `fsp.plot` is a module by itself
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES, *METHODS])
