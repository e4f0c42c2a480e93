"""Integrators of the truncated chain behind one seam (`fsp.solvers.base`), one file a method.

The table names the class of each method and its file; a method is asked for by the name of its class in lower case.
Nothing is imported before it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from fsp.imports import loaded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsp.solvers.base import NO_LIMIT as NO_LIMIT
    from fsp.solvers.base import Advance as Advance
    from fsp.solvers.base import LossLimit as LossLimit
    from fsp.solvers.choice import Choice as Choice
    from fsp.solvers.choice import Chooser as Chooser
    from fsp.solvers.stepping import Propagator as Propagator
    from fsp.solvers.stepping import Solver as Solver

METHODS = {
    "Uniformization": "fsp.solvers.uniformization",
    "Krylov": "fsp.solvers.krylov",
    "Chebyshev": "fsp.solvers.chebyshev",
    "Rational": "fsp.solvers.rational",
    "Squaring": "fsp.solvers.squaring",
    "Implicit": "fsp.solvers.implicit",
    "Magnus": "fsp.solvers.magnus",
}
_OTHERS = {
    "NO_LIMIT": "fsp.solvers.base",
    "Advance": "fsp.solvers.base",
    "LossLimit": "fsp.solvers.base",
    "Propagator": "fsp.solvers.stepping",
    "Pulse": "fsp.solvers.base",
    "Solver": "fsp.solvers.stepping",
    "Choice": "fsp.solvers.choice",
    "Chooser": "fsp.solvers.choice",
}


class _Solvers(Mapping[str, "type[Solver]"]):
    """The classes of the methods by name, each imported when it is asked for."""

    def __getitem__(self, name: str) -> type[Solver]:
        return _class_of(name)

    def __iter__(self) -> Iterator[str]:
        return (kind.lower() for kind in METHODS)

    def __len__(self) -> int:
        return len(METHODS)


@cache
def _class_of(name: str) -> type[Solver]:
    for kind, home in METHODS.items():
        if kind.lower() == name:
            solver: type[Solver] = getattr(loaded(home), kind)
            return solver
    raise KeyError(name)


SOLVERS: Mapping[str, type[Solver]] = _Solvers()


def __getattr__(name: str) -> Any:
    home = METHODS.get(name) or _OTHERS.get(name)
    if home is None:
        raise AttributeError(f"module 'fsp.solvers' has no attribute '{name}'")
    return getattr(loaded(home), name)
