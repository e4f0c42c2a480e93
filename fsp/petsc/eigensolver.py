"""SLEPc's eigensolver for the eigenvalues of a generator next to zero, which lives as long as a `with` block."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fsp.errors import ArgumentError
from fsp.petsc.environment import load
from fsp.petsc.systems import FACTORISED, INCOMPLETE, largest_rate, petsc_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsp.petsc.comm import Communicator
    from fsp.petsc.options import Options

SHIFT = 1e-7  # of the spectrum, over the largest rate: much smaller, rounding of the largest hides the others
ZERO_EIGENVALUE = 1e-13  # eigenvalue, over the largest rate, that rounding does not tell from zero
EPS_TOL = 1e-9  # of SLEPc's own residuals, which are computed anew; chosen, not measured
INNER_RTOL = 1e-11  # of the shifted systems, below that of SLEPc
MOST_DIRECT_STATES = 2_000_000  # up to which systems are factorised; chosen, not measured
DAVIDSON = ("gd", "jd")


@contextmanager
def eigensolver(comm: Communicator, matrix: Any, options: Options, n: int, inner: str) -> Iterator[Any]:
    """Solve for the `n` eigenvalues nearest to zero; the solver, which has run, lives as long as the block.

    `inner` says how the shifted systems are solved: ``"direct"`` or ``"iterative"``.
    """
    asked = options.given.get("eps_type")
    if asked in DAVIDSON:  # all ranks have the same options
        raise ArgumentError(
            f"`eps_type` must be one of SLEPc's Krylov or power methods, but is {asked!r}, which on generators breaks "
            f"down or returns another mode; without a factorisation method='iterative' solves the shifted systems."
        )
    environment = load()
    SLEPc = environment.SLEPc
    chosen = FACTORISED if inner == "direct" else {**INCOMPLETE, "ksp_rtol": INNER_RTOL}
    defaults = {
        "eps_type": "krylovschur",
        "eps_tol": EPS_TOL,
        "st_type": "sinvert",
        **{f"st_{name}": value for name, value in chosen.items()},
    }
    eps = SLEPc.EPS().create(comm.mpi)
    try:
        with options.over(**defaults) as prefix, petsc_errors():
            eps.setOptionsPrefix(prefix)
            eps.setOperators(matrix)
            eps.setProblemType(SLEPc.EPS.ProblemType.NHEP)
            eps.setWhichEigenpairs(SLEPc.EPS.Which.TARGET_MAGNITUDE)
            eps.setTarget(SHIFT * largest_rate(comm, matrix))
            eps.setDimensions(n)
            eps.setFromOptions()
            eps.solve()
        yield eps
    finally:
        eps.destroy()
