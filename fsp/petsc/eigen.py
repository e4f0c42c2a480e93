"""Eigenvalues near zero of generators that are spread over ranks, by SLEPc: how slowly a chain comes to rest."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.chains.modes import MORE, Modes
from fsp.defaults import MODES
from fsp.equilibrium.relaxation import ModesOnSpace, check_question, converged_modes, several_classes
from fsp.errors import ArgumentError, BackendError, ConvergenceError, ToleranceWarning
from fsp.model.fingerprint import comparable
from fsp.petsc.backend import Ranks, spread
from fsp.petsc.classes import led_back, n_closed_classes
from fsp.petsc.comm import Communicator
from fsp.petsc.eigensolver import MOST_DIRECT_STATES, ZERO_EIGENVALUE, eigensolver
from fsp.petsc.generator import Generator
from fsp.petsc.options import Options
from fsp.petsc.stationary import stationary
from fsp.petsc.systems import largest_rate, vectors
from fsp.projection.growth import MAX_STATES, Growth

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fsp.arrays import ComplexArray, IntArray
    from fsp.distribution.relaxation import Relaxation
    from fsp.model import Model
    from fsp.petsc.distribution import Distribution
    from fsp.petsc.space import StateSpace
    from fsp.projection.progress import ProgressCallback
    from fsp.space.base import BaseSpace

MOST_RESIDUAL = 1e-5  # relative to the eigenvalue; chosen, not measured
# Of an eigenvalue, of which nothing is known where left vectors are not computed: a residual moves it so much at most.
# Chosen; on birth-death chains residuals moved eigenvalues by up to 2.1 times their size.
CONDITION = 10.0
MOST_CLASSES = 64  # closed classes, each with an eigenvalue of zero, that are looked past; chosen, not measured
EigenPair: TypeAlias = "tuple[complex, float, ComplexArray]"


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
    comm.together("relaxation of a generator")
    comm.require_same((n, method), "`n` and `method`")
    return _reflecting(generator, n, method, Options(comm, options), "`n`").answer(
        None, "the boundary of the space reflects"
    )


def relaxation_of_model(
    model: Model,
    n_modes: int | None,
    tol: float,
    *,
    space: StateSpace | None,
    method: str,
    comm: Any,
    options: Mapping[str, Any] | None,
    max_states: int | None,
    max_memory: int | None,
    report: ProgressCallback | None = None,
) -> Relaxation:
    """Do the work of `fsp.relaxation` on ranks: the modes of the one closed class that the network ends in."""
    ranks = Communicator.of(comm if comm is not None or space is None else getattr(space, "comm", None))
    ranks.together("fsp.relaxation")
    with ranks.agree():
        check_question(model, n_modes, tol)
    problem = comparable(model.hash), n_modes, tol, method, space is None, max_states, max_memory
    ranks.require_same(problem, "The problem")
    asked = Options(ranks, options)
    if space is not None:
        spectrum = _reflecting(Generator(model, spread(space)), n_modes, method, asked, "`n_modes`")
        return spectrum.answer(None, "the boundary of `space` reflects")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ToleranceWarning)
        limits: dict[str, Any] = {"max_states": max_states, "max_memory": max_memory}
        rest = stationary(model, tol, comm=ranks, options=options, progress=report, **limits)
    limit = MAX_STATES * ranks.size if max_states is None else max_states
    growth = Growth(model, limit, max_memory, stationary=True, backend=Ranks(ranks))
    modes_on = partial(_led_back_modes, model, n_modes, _most_probable(rest), method, asked)
    spectrum, changes = converged_modes(growth, rest.space, modes_on, report)
    return spectrum.answer(changes, "the stationary distribution is an estimate")


def _most_probable(rest: Distribution) -> IntArray:
    """Return the most probable state, the first one of several, (1, d), on all ranks."""
    space, p = rest.space, rest.probabilities
    largest = space.comm.max(float(p.max(initial=0.0)))
    rows = space.comm.mpi.allgather(space.states_at(np.flatnonzero(p == largest)[:1]))
    return np.asarray(next(states for states in rows if len(states)))


def _led_back_modes(
    model: Model, n_modes: int | None, mode: IntArray, method: str, asked: Options, space: BaseSpace
) -> ModesOnSpace:
    """Return the modes on the closed class of a space whose leaks are led back to the state `mode` (1, d)."""
    space = spread(space)
    generator = Generator(model, space)
    into = np.zeros(space.n_local)
    local = space.local.index(mode)
    into[local[local >= 0]] = 1.0
    chain = led_back(generator, into)
    if len(chain.sizes) > 1:
        raise several_classes(len(chain.sizes))
    if chain.sizes[0] == 1:
        raise BackendError(
            "Relaxation on ranks must be that of several states that lead to each other, but the chain is absorbed in "
            "one; use backend='serial'."
        )
    members = chain.number == 0
    with chain.matrix() as matrix, chain.part(matrix, members) as of_class:
        return _modes(generator, np.flatnonzero(members), of_class, n_modes, method, asked, "`n_modes`")


def _reflecting(generator: Generator, n: int | None, method: str, asked: Options, named: str) -> ModesOnSpace:
    """Return the modes on a space whose boundary reflects."""
    with generator.aij() as matrix:
        with vectors(matrix, 1) as (leaks,):
            leaks.array[:] = generator.leak_rates
            matrix.setDiagonal(leaks, addv=True)
        return _modes(generator, np.arange(generator.n_local), matrix, n, method, asked, named)


def _modes(
    generator: Generator, members: IntArray, matrix: Any, n: int | None, method: str, asked: Options, named: str
) -> ModesOnSpace:
    """Return the `n` slowest modes of a PETSc matrix on the `members` of this rank's states, (m,).

    `named` is what the user calls `n`; None asks for `MODES`, or as many as there are.
    """
    comm, n_states = generator.comm, int(matrix.getSize()[0])
    n = max(1, min(MODES, n_states - 1)) if n is None else n
    if not 1 <= n < n_states:
        raise ArgumentError(f"{named} must be 1 to {n_states - 1:,}, since there is one more state, but is {n}.")
    if method not in ("auto", "direct", "iterative"):
        raise ArgumentError(f"`method` must be auto, direct or iterative, but is {method!r}.")
    inner = method if method != "auto" else ("direct" if n_states <= MOST_DIRECT_STATES else "iterative")
    zero = ZERO_EIGENVALUE * largest_rate(comm, matrix)
    rounding = UNIT_ROUNDOFF * largest_rate(comm, matrix)
    classes = 1
    while True:
        pairs = _pairs(comm, matrix, asked, min(n + classes + MORE, n_states), inner)
        moving = [pair for pair in pairs if abs(pair[0]) > zero]
        if len(moving) >= n or classes >= min(MOST_CLASSES, n_states - n):
            break
        classes *= 2  # several closed classes: zero is an eigenvalue for each
    if len(moving) < n:
        raise ConvergenceError(f"The eigenvalues other than zero must be at least {n}, but SLEPc found {len(moving)}.")
    n_zero = len(pairs) - len(moving)
    if n_zero > 1 and n_zero > (n_closed := n_closed_classes(generator)):
        raise ConvergenceError(
            f"Eigenvalues must exceed {zero:.1e} to be told from zero, but {n_zero} do not, and {n_closed} closed "
            f"classes account for as many only: the chain is nearly decomposable. Use `fsp.relaxation`."
        )
    moving.sort(key=lambda pair: (-pair[0].real, pair[0].imag))
    values, residuals, right = (np.array(column) for column in zip(*moving[:n], strict=True))
    modes = Modes(values, residuals, (CONDITION * residuals + rounding) / np.abs(values), right.T, None)
    return ModesOnSpace(generator, members, n_states, modes)


def _pairs(comm: Communicator, matrix: Any, options: Options, n: int, inner: str) -> list[EigenPair]:
    """Return the eigenvalues that SLEPc finds, residuals of our own, and this rank's parts of vectors of 1-norm one."""
    zero = ZERO_EIGENVALUE * largest_rate(comm, matrix)
    with eigensolver(comm, matrix, options, n, inner) as eps, vectors(matrix, 4) as (v, w, av, aw):
        pairs = []
        for k in range(eps.getConverged()):
            value = complex(eps.getEigenpair(k, v, w))
            matrix.mult(v, av)
            matrix.mult(w, aw)
            left = np.hypot(
                av.array - value.real * v.array + value.imag * w.array,
                aw.array - value.real * w.array - value.imag * v.array,
            )
            size, residual = comm.sum(np.array([np.hypot(v.array, w.array).sum(), left.sum()])).tolist()
            residual /= size
            if not residual <= max(MOST_RESIDUAL * abs(value), 1e3 * zero) or value.real > 1e3 * zero:
                raise ConvergenceError(
                    f"What SLEPc returns must be eigenvalues of a generator, but {value:.3g} has a residual of "
                    f"{residual:.1e}; try another `method`, or other `options`."
                )
            pairs.append((value, residual, (v.array + 1j * w.array) / size))
    return pairs
