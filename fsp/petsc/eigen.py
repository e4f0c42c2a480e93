"""Eigenvalues near zero of generators that are spread over ranks, by SLEPc: how slowly a chain comes to rest."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.chains.modes import MORE
from fsp.equilibrium.relaxation import SETTLED, Relaxation
from fsp.errors import ArgumentError, ConvergenceError
from fsp.petsc.classes import n_closed_classes
from fsp.petsc.environment import load
from fsp.petsc.options import Options
from fsp.petsc.systems import FACTORISED, INCOMPLETE, largest_rate, petsc_errors, vectors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fsp.arrays import ComplexArray, FloatArray
    from fsp.petsc.comm import Communicator
    from fsp.petsc.generator import Generator

SHIFT = 1e-7  # of the spectrum, over the largest rate: much smaller, rounding of the largest hides the others
ZERO = 1e-13  # eigenvalue, over the largest rate, that rounding does not tell from zero
EPS_TOL = 1e-9
INNER_RTOL = 1e-11
MOST_DIRECT_STATES = 2_000_000
MOST_RESIDUAL = 1e-5  # relative to the eigenvalue
MOST_CLASSES = 64
DAVIDSON = ("gd", "jd")
Pair: TypeAlias = "tuple[complex, float, ComplexArray]"


@contextmanager
def eigensolver(comm: Communicator, matrix: Any, options: Options, n: int, inner: str) -> Iterator[Any]:
    """Solve for the `n` eigenvalues nearest to zero; the solver, which has run, lives as long as the block.

    Parameters
    ----------
    comm, matrix, options
        The ranks, a generator, and what the user asks for.
    n
        Number of eigenvalues.
    inner
        How the shifted systems are solved: ``"direct"`` or ``"iterative"``.

    Raises
    ------
    ArgumentError
        If `options` ask for a Davidson method.
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


def relaxation(
    generator: Generator, n: int = 1, *, method: str = "auto", options: Mapping[str, Any] | None = None
) -> Relaxation:
    """Return the `n` slowest modes of the chain on a space whose boundary reflects.  Collective.

    Parameters
    ----------
    generator
        The generator.
    n
        How many eigenvalues, beside those that are zero.
    method
        ``"direct"`` or ``"iterative"`` solution of shifted systems; ``"auto"`` by the number of states.
    options
        Options of SLEPc and PETSc, such as ``{"eps_ncv": 40}``.

    Returns
    -------
    Relaxation
        With states and right vectors of this rank; the stationary distribution and left vectors are not computed.
        Eigenvalues are confirmed where the space has no way out, up to rounding.

    Raises
    ------
    ArgumentError
        If `n` is not a number of eigenvalues that the chain has.
    ConvergenceError
        If they are not found, or what is found is not an eigenvector.
    """
    comm = generator.comm
    if not 1 <= n < len(generator):
        raise ArgumentError(f"`n` must be 1 to {len(generator) - 1:,}, since there is one more state, but is {n}.")
    if method not in ("auto", "direct", "iterative"):
        raise ArgumentError(f"`method` must be auto, direct or iterative, but is {method!r}.")
    asked = Options(comm, options)
    inner = method if method != "auto" else ("direct" if len(generator) <= MOST_DIRECT_STATES else "iterative")
    with generator.aij() as matrix:
        with vectors(matrix, 1) as (leaks,):
            leaks.array[:] = generator.leak_rates
            matrix.setDiagonal(leaks, addv=True)
        zero = ZERO * largest_rate(comm, matrix)
        rounding = UNIT_ROUNDOFF * largest_rate(comm, matrix)
        classes = 1
        while True:
            found = _pairs(comm, matrix, asked, min(n + classes + MORE, len(generator)), inner)
            moving = [pair for pair in found if abs(pair[0]) > zero]
            if len(moving) >= n or classes >= min(MOST_CLASSES, len(generator) - n):
                break
            classes *= 2  # several closed classes: zero is an eigenvalue for each
    if len(moving) < n:
        raise ConvergenceError(f"The eigenvalues other than zero must be at least {n}, but SLEPc found {len(moving)}.")
    n_zero = len(found) - len(moving)
    if n_zero > 1 and n_zero > (n_closed := n_closed_classes(generator)):
        raise ConvergenceError(
            f"Eigenvalues must exceed {zero:.1e} to be told from zero, but {n_zero} do not, and {n_closed} closed "
            f"classes account for as many only: the chain is nearly decomposable. Use `fsp.relaxation`."
        )
    moving.sort(key=lambda pair: (-pair[0].real, pair[0].imag))
    values, residuals, right = zip(*moving[:n], strict=True)
    errors = np.array(residuals) + rounding + generator.rate_errors.worst * np.abs(values)
    return Relaxation(
        np.array(values),
        np.array(residuals),
        len(generator),
        generator.space.species,
        generator.space.states,
        np.stack(right, axis=1),
        confirmed=(errors <= SETTLED * np.abs(values)) & (generator.n_sinks == 0),
        notes=() if generator.n_sinks == 0 else ("the eigenvalues are estimates: the boundary of the space reflects",),
    )


def _pairs(comm: Communicator, matrix: Any, options: Options, n: int, inner: str) -> list[Pair]:
    """Return the eigenvalues that SLEPc finds, residuals of our own, and this rank's parts of vectors of 1-norm one.

    Raises
    ------
    ConvergenceError
        If a residual is not small.
    """
    zero = ZERO * largest_rate(comm, matrix)
    with eigensolver(comm, matrix, options, n, inner) as eps, vectors(matrix, 4) as (v, w, av, aw):
        found = []
        for k in range(eps.getConverged()):
            value = complex(eps.getEigenpair(k, v, w))
            matrix.mult(v, av)
            matrix.mult(w, aw)
            left = np.hypot(
                av.array - value.real * v.array + value.imag * w.array,
                aw.array - value.real * w.array - value.imag * v.array,
            )
            size = _sum(comm, np.hypot(v.array, w.array))
            residual = _sum(comm, left) / size
            if not residual <= max(MOST_RESIDUAL * abs(value), 1e3 * zero) or value.real > 1e3 * zero:
                raise ConvergenceError(
                    f"What SLEPc returns must be eigenvalues of a generator, but {value:.3g} has a residual of "
                    f"{residual:.1e}; try another `method`, or other `options`."
                )
            found.append((value, residual, (v.array + 1j * w.array) / size))
    return found


def _sum(comm: Communicator, values: FloatArray) -> float:
    return float(comm.sum(float(values.sum())))
