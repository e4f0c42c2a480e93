"""Integrators of the truncated chain behind one seam (`fsp.solvers.base`)."""

from fsp.solvers.base import NO_LIMIT, Advance, LossLimit, Propagator, Pulse, Solver
from fsp.solvers.chebyshev import Chebyshev
from fsp.solvers.choice import SOLVERS, Choice, Chooser
from fsp.solvers.implicit import Implicit
from fsp.solvers.krylov import Krylov
from fsp.solvers.magnus import Magnus
from fsp.solvers.rational import Rational
from fsp.solvers.squaring import Squaring
from fsp.solvers.uniformization import Uniformization

__all__ = [
    "NO_LIMIT",
    "SOLVERS",
    "Advance",
    "Chebyshev",
    "Choice",
    "Chooser",
    "Implicit",
    "Krylov",
    "LossLimit",
    "Magnus",
    "Propagator",
    "Pulse",
    "Rational",
    "Solver",
    "Squaring",
    "Uniformization",
]
