"""Blocks of matrices and solvers of PETSc, each of which lives as long as a `with` block, on all ranks alike."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.errors import BackendError, ConvergenceError
from fsp.petsc.environment import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsp.arrays import BoolArray, FloatArray
    from fsp.petsc.comm import Communicator
    from fsp.petsc.options import Options

SINGULAR_SHIFT = 1e-14  # of a singular matrix, over its largest entry, before it is factorised
LOOSE = 1e-6  # of a residual that one iterative solve must leave
MOST_ITERATIONS = 300  # of an iterative solver, whose result is looked at; chosen, not measured
DIRECT_STATES = 20_000  # up to which a factorisation is tried first
REGULAR_RTOL = 1e-12  # of regular systems, below `MOST_LEFT`
MOST_LEFT = 1e-8  # of the right side, in the 1-norm
# Options of PETSc for a factorisation by MUMPS.
FACTORISED = {
    "ksp_type": "preonly",
    "pc_type": "lu",
    "pc_factor_mat_solver_type": "mumps",
    "mat_mumps_icntl_7": 2,  # approximate minimum fill: half the time of the others on lattices
}
# Options of PETSc for GMRES with incomplete factors of each rank's block.
INCOMPLETE = {
    "ksp_type": "gmres",
    "ksp_gmres_restart": 60,
    "ksp_pc_side": "right",
    "ksp_norm_type": "unpreconditioned",
    "pc_type": "bjacobi",
    "sub_pc_type": "ilu",
    "sub_pc_factor_shift_type": "nonzero",  # in one dimension the factors are complete, and as singular as the matrix
    "sub_pc_factor_levels": 1,  # takes as long as 3 in two and in three dimensions, and a third of the memory
}


@contextmanager
def assembled(comm: Communicator, sizes: Any, csr: tuple[Any, Any, Any], way_out: str) -> Iterator[Any]:
    """Make a PETSc matrix of type AIJ, which lives as long as the block.  Collective.

    `sizes` are rows and columns, each of this rank and of all; `csr` are this rank's rows: where they end, columns in
    the whole matrix, values.  A BackendError says what to use, such as `way_out`, where there are more columns, or on a
    rank more entries, than PETSc's indices can count.
    """
    environment = load()
    with comm.agree():
        for what, n in (("columns", sizes[1][1]), ("entries on each rank", len(csr[2]))):
            if n > environment.largest_index:
                raise BackendError(
                    f"The matrix must have at most {environment.largest_index:,} {what}, but has {n:,}; use more "
                    f"ranks, a PETSc with 64-bit indices (on Debian: python3-petsc4py-64-real), or {way_out}."
                )
    ends, columns = (part.astype(environment.index_type) for part in csr[:2])
    matrix = environment.PETSc.Mat().createAIJ(sizes, csr=(ends, columns, csr[2]), comm=comm.mpi)
    try:
        matrix.assemble()
        yield matrix
    finally:
        matrix.destroy()


@contextmanager
def vectors(matrix: Any, n: int) -> Iterator[tuple[Any, ...]]:
    """Make `n` vectors that fit a matrix."""
    made = tuple(matrix.createVecRight() for _ in range(n))
    try:
        yield made
    finally:
        for vector in made:
            vector.destroy()


@contextmanager
def block(comm: Communicator, matrix: Any, members: BoolArray) -> Iterator[Any]:
    """Make the block of a matrix that belongs to some states, a mask of this rank's, (n_local,)."""
    environment = load()
    first, _ = matrix.getOwnershipRange()
    local = (np.flatnonzero(members) + first).astype(environment.index_type)
    index = environment.PETSc.IS().createGeneral(local, comm=comm.mpi)
    try:
        made = matrix.createSubMatrix(index, index)
    finally:
        index.destroy()
    try:
        yield made
    finally:
        made.destroy()


class LinearSolver:
    """A linear solver of PETSc for one matrix; made by `solver`."""

    def __init__(self, comm: Communicator, ksp: Any, b: Any, x: Any) -> None:
        self._comm, self._ksp, self._b, self._x = comm, ksp, b, x

    def solve(self, b: FloatArray, rtol: float = LOOSE) -> FloatArray:
        """Return this rank's part of the solution for its part of the right side, (n_local,).

        Iterative solvers leave a residual of about `rtol` times the right side.  A ConvergenceError says that the
        solver says that it failed, or returned what is not finite.  That it says nothing proves nothing.
        """
        self._b.array[:] = b
        self._ksp.setTolerances(rtol=rtol, atol=1e-300, divtol=1e10, max_it=MOST_ITERATIONS)
        with petsc_errors():
            self._ksp.solve(self._b, self._x)
        reason = int(self._ksp.getConvergedReason())
        solution = np.array(self._x.array)
        finite = self._comm.all(bool(np.isfinite(solution).all()))
        # Too many steps leave what has been reached, which is looked at.
        if (reason <= 0 and reason != load().PETSc.KSP.ConvergedReason.DIVERGED_MAX_IT) or not finite:
            raise ConvergenceError(f"PETSc's solver ended with reason {reason} of KSPConvergedReason")
        return solution


@contextmanager
def solver(comm: Communicator, matrix: Any, options: Options, method: str, *, singular: bool) -> Iterator[LinearSolver]:
    """Make a solver of systems with a matrix, a block of a generator.

    `method` is ``"direct"``: MUMPS, or ``"iterative"``: GMRES with incomplete factors of each rank's block.  Where it
    is `singular`, columns sum to zero: the matrix is then shifted for a direct solver; an iterative one is told.
    """
    direct = method == "direct"
    made: list[Any] = []
    with options.over(**(FACTORISED if direct else INCOMPLETE)) as prefix:
        try:
            if singular and direct:
                matrix = matrix.duplicate(copy=True)
                made.append(matrix)
                matrix.shift(-SINGULAR_SHIFT * largest_rate(comm, matrix))
            elif singular:
                made += _tell_null_space(comm, matrix)
            made += [matrix.createVecLeft(), matrix.createVecRight()]
            b, x = made[-2:]
            ksp = load().PETSc.KSP().create(comm.mpi)
            made.append(ksp)
            ksp.setOptionsPrefix(prefix)
            ksp.setOperators(matrix)
            with petsc_errors():
                ksp.setFromOptions()
                ksp.setUp()
            yield LinearSolver(comm, ksp, b, x)
        finally:
            for thing in reversed(made):
                thing.destroy()


def solution(comm: Communicator, matrix: Any, b: FloatArray, options: Options) -> FloatArray:
    """Return this rank's part of the solution of a regular system, by the first method that leaves a small residual."""
    n = int(matrix.getSize()[0])
    methods = ("direct", "iterative") if n <= DIRECT_STATES else ("iterative", "direct")
    said = []
    for method in methods:
        try:
            with solver(comm, matrix, options, method, singular=False) as system, vectors(matrix, 2) as (x, ax):
                solution = system.solve(b, REGULAR_RTOL)
                x.array[:] = solution
                matrix.mult(x, ax)
                left, scale = comm.sum(np.array([np.abs(ax.array - b).sum(), np.abs(b).sum()])).tolist()
        except ConvergenceError as error:
            said.append(f"{method}: {error}")
            continue
        if left <= MOST_LEFT * scale:
            return solution
        said.append(f"{method}: a residual of {left:.1e}")
    raise ConvergenceError(f"A linear system must be solved, but is not ({'; '.join(said)}).")


def largest_rate(comm: Communicator, matrix: Any) -> float:
    """Return the largest entry of the diagonal, in size."""
    return float(comm.max(float(np.abs(diagonal(matrix)).max(initial=0.0))))


def diagonal(matrix: Any) -> FloatArray:
    """Return this rank's part of the diagonal, (n_local,)."""
    with vectors(matrix, 1) as (d,):
        matrix.getDiagonal(d)
        return np.array(d.array)


def _tell_null_space(comm: Communicator, matrix: Any) -> list[Any]:
    """Tell a matrix that its columns sum to zero, so that right sides are made to."""
    ones = matrix.createVecLeft()
    ones.set(1.0)
    ones.normalize()
    space = load().PETSc.NullSpace().create(vectors=[ones], comm=comm.mpi)
    matrix.setTransposeNullSpace(space)
    return [space, ones]


@contextmanager
def petsc_errors() -> Iterator[None]:
    """Turn an error of PETSc, which all ranks raise, into one of ours."""
    try:
        yield
    except load().PETSc.Error as error:
        raise ConvergenceError(f"PETSc ended with error {error.ierr}") from error
