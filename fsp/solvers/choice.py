"""Choose a solver by name, by value, or by estimated work."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from fsp.errors import ArgumentError
from fsp.solvers.implicit import Implicit
from fsp.solvers.krylov import Krylov
from fsp.solvers.uniformization import Uniformization

if TYPE_CHECKING:
    from fsp.generator import Generator
    from fsp.solvers.base import Solver

SOLVERS: dict[str, type[Uniformization] | type[Krylov] | type[Implicit]] = {
    "uniformization": Uniformization,
    "krylov": Krylov,
    "implicit": Implicit,
}

# Work in units of one multiply-add of a product, fitted to measured runs (docs/benchmarks.md).
KRYLOV_PRODUCTS = 0.35  # per Λt, dimension 40, depth 2
KRYLOV_VECTOR_WORK = 12.0  # per state and product: orthogonalisation and the final combination
UNIFORMIZATION_VECTOR_WORK = 4.0
IMPLICIT_STEPS = 60.0
IMPLICIT_FACTOR_WORK = 150.0  # times n^1.5, of the complex factorisations of one step length
IMPLICIT_LIMIT = 60_000  # states: above, fill-in of networks with several species wins


@dataclass(frozen=True, slots=True)
class Choice:
    """A solver and why it was taken."""

    solver: Solver
    reason: str


def as_solver(solver: str | Solver, tol: float) -> Solver | None:
    """Return the solver that a name or a value stands for, None for ``"auto"``.

    Raises
    ------
    ArgumentError
        If the name is not known.
    """
    if not isinstance(solver, str):
        if not hasattr(solver, "open"):
            raise ArgumentError(
                f"`solver` must be a name ({', '.join(['auto', *SOLVERS])}) or a solver value, but is {solver!r}."
            )
        return solver
    if solver == "auto":
        return None
    if solver not in SOLVERS:
        raise ArgumentError(f"`solver` must be one of {', '.join(['auto', *SOLVERS])}, but is '{solver}'.")
    return SOLVERS[solver](tol=tol)


def choose(generator: Generator, duration: float, tol: float) -> Choice:
    """Return the solver with the least estimated work for `duration` units of time."""
    if generator.model.is_time_dependent:
        return Choice(Implicit(tol), "propensities depend on time")
    n = len(generator)
    jumps = float(generator.exit_rates.max()) * duration  # Λt
    work = {
        "uniformization": (jumps + 6.0 * sqrt(jumps) + 20.0) * (generator.nnz + UNIFORMIZATION_VECTOR_WORK * n),
        "krylov": (KRYLOV_PRODUCTS * jumps + 40.0) * (generator.nnz + KRYLOV_VECTOR_WORK * n),
    }
    if n <= IMPLICIT_LIMIT:
        work["implicit"] = IMPLICIT_STEPS * (20.0 * generator.nnz + IMPLICIT_FACTOR_WORK * n**1.5) + 1e7
    name = min(work, key=work.__getitem__)
    estimates = ", ".join(f"{other} {amount:.0e}" for other, amount in work.items())
    return Choice(SOLVERS[name](tol=tol), f"least estimated work: {estimates} operations")
