"""Null vectors of irreducible generators: one table of solvers, and one check that each answer must pass.

===========  =======================================================================================================
gth          elimination without a subtraction: every state has full relative accuracy (`fsp.chains.elimination`)
local        the part of the chain that holds the probability, by one of the others (`fsp.chains.localisation`)
multilevel   aggregation and disaggregation (`fsp.chains.multilevel`)
direct       inverse iteration ``x ← σ (σ - A)⁻¹ x`` with one sparse factorisation: the resolvent keeps x non-negative
             and of mass 1, and shrinks what is not stationary by σ/(σ + gap)
iterative    inverse iteration by GMRES with an incomplete factorisation
===========  =======================================================================================================

Without a wish for one of them they are tried in the order that size and structure suggest, until an answer is finite,
non-negative, of mass 1, with a small residual ‖A p‖₁ and a small estimated error.  The error is an estimate, but what
a residual hides (its size is that of the error times the spectral gap) is not left to it: eliminations do not depend
on the gap, and iterations go by their changes.

References
----------
W. J. Stewart, Introduction to the Numerical Solution of Markov Chains, Princeton 1994, ch. 2 to 6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.chains.chain import Chain
from fsp.chains.elimination import OTHER_METHODS, Elimination, analyse, factorised
from fsp.chains.localisation import CUT_OFF, localised
from fsp.chains.multilevel import cycles
from fsp.chains.multilevel_kernels import FLOOR
from fsp.errors import ConvergenceError, StateSpaceError
from fsp.memory import check_memory

if TYPE_CHECKING:
    from fsp.arrays import FloatArray

SMALL_STATES = 5_000  # elimination is at hand for any structure; chosen, not measured
PLANAR_STATES = 300_000  # with at most 4 jumps into a state: birth-death chains and networks of two species
PLANAR_JUMPS = 4.5  # jumps a state of these: 4, and a few more of a third kind
LINEAR_JUMPS = 2.5  # birth-death chains
LOCAL_STATES = 10_000  # states from which on the search for those that matter pays
ELIMINATION_WORK = 1e9  # multiply-adds: about a second
ROUNDING = 4 * UNIT_ROUNDOFF  # for each state that is eliminated
ITERATED_ERROR = 1e-11  # estimated error at which iterations end
GOOD_ERROR = 1e-9  # estimated error with which no other solver is tried
RELATIVE_RESIDUAL = 1e-9  # ‖A p‖₁ over the flux of jumps
UNIT_MASS = 1e-9  # that the sum of a distribution may be off
ABOVE_FLOOR = 1e3  # times the floor, from which on a probability is known
RELATIVE_SHIFT = 1e-10  # over the largest exit rate, of the first resolvent; reduced where the gap is not larger
ITERATIVE_SHIFT = 1e-8  # the same for GMRES, whose incomplete factors need more; chosen, not measured
TOLD = 1e-6  # 1-norm distance of answers from two starts, beyond which they tell nothing; chosen
INVERSE_ITERATIONS = 60  # of inverse iteration, beyond which a chain is nearly decomposable; chosen, not measured
FILL = 10.0  # of incomplete factors, over the matrix
RESTART = 60  # vectors of GMRES
# Entries, relative, that incomplete factors leave out, and residual of a cycle of GMRES; not measured.
DROPPED_ENTRIES = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class NullVector:
    """A stationary vector."""

    p: FloatArray  # non-negative, of sum 1, (n,); on ranks the part of this one
    residual: float  # ‖A p‖₁, 1/time
    error: float  # estimated 1-norm error
    at_rest: bool = False  # whether the residual is that of rounding, so that no other solver does better
    solver: str = ""  # its name in the table
    reason: str = ""  # what it was chosen for, and which ones failed before it


def best_of(
    names: Sequence[str],
    why: str,
    find: Callable[[str], NullVector],
    target: float,
    failures: tuple[type[Exception], ...] = (ConvergenceError,),
) -> NullVector:
    """Return the vector of the first of the solvers `names` whose error is at most `target`; else the best one.

    A solver that raises one of `failures` gives way to the next; a ConvergenceError says how all failed.
    """
    best, said = None, []
    for name in names:
        try:
            vector = find(name)
        except failures as failure:
            said.append(f"{name} failed: {str(failure).removesuffix('.')}")
            continue
        if best is None or vector.error < best.error:
            best = replace(vector, solver=name, reason="; ".join([why, *said]))
        if best.error <= target or best.at_rest:
            return best
        said.append(f"{name} has an estimated error of {vector.error:.1e}")
    if best is None:
        raise ConvergenceError(
            f"A stationary vector must pass the check of one solver, but {'; '.join(said)}. Try another `method`."
        )
    return best


def null_vector(matrix: Any, method: str = "auto", guess: FloatArray | None = None) -> NullVector:
    """Return the stationary vector of an irreducible generator, (n, n) CSR, whose columns sum to zero.

    The diagonal is taken from what leaves each state.  `method` is a name in `METHODS` or ``"auto"``; `guess` (n,) is a
    vector near the answer, non-negative, of mass 1.
    """
    chain = Chain.of_generator(matrix)
    if len(chain) == 1:
        return NullVector(np.ones(1), 0.0, 0.0, True, "gth", "one state")
    names, why = _order(chain) if method == "auto" else ((method,), "asked for")

    def find(name: str) -> NullVector:
        return _checked(chain, *METHODS[name](chain, guess))

    failures = (ConvergenceError, StateSpaceError, MemoryError, RuntimeError)  # the last is SuperLU's
    return best_of(names, why, find, GOOD_ERROR, failures if method == "auto" else failures[:1] + failures[2:])


def _order(chain: Chain) -> tuple[tuple[str, ...], str]:
    """Return the solvers to try, and why the first is the first."""
    n = len(chain)
    if n > LOCAL_STATES and len(chain.rates) > LINEAR_JUMPS * n:
        last = ("gth", "multilevel") if _is_planar(chain) else ("multilevel",)
        return ("local", *last, "direct", "iterative"), f"{n:,} states, few of which should matter"
    if plan(chain) is not None:
        return ("gth", "multilevel", "direct", "iterative"), f"{n:,} states, a cheap elimination"
    return ("multilevel", "direct", "iterative", "gth"), f"{n:,} states, an expensive elimination"


def _is_planar(chain: Chain) -> bool:
    n, jumps = len(chain), len(chain.rates)
    return (n <= PLANAR_STATES and jumps <= PLANAR_JUMPS * n) or jumps <= LINEAR_JUMPS * n


def plan(chain: Chain) -> Elimination | None:
    """Return the order of elimination of a chain where that is cheap."""
    if len(chain) > SMALL_STATES and not _is_planar(chain):
        return None
    elimination = analyse(chain.indptr, chain.indices)
    return elimination if elimination.work <= ELIMINATION_WORK else None


def _checked(chain: Chain, p: FloatArray, error: float) -> NullVector:
    """Return a vector that may be believed; raise a ConvergenceError if it is no distribution, or not stationary."""
    if not np.isfinite(p).all() or p.min() < 0.0 or abs(p.sum() - 1.0) > UNIT_MASS:
        raise ConvergenceError(
            f"the vector must be a distribution, but has sum {p.sum():.3g} and least entry {p.min():.3g}."
        )
    _, residual = chain.residual(p)
    flux = float(chain.exits @ p)
    if not residual <= RELATIVE_RESIDUAL * flux:
        raise ConvergenceError(f"the residual must be small beside the flux {flux:.1e}, but is {residual:.1e}.")
    return NullVector(p, residual, error)


def _coherent(chain: Chain, p: FloatArray) -> FloatArray:
    """Return `p` where no states at the floor of the multilevel method, whose p is not known, separate others.

    A ConvergenceError says that sets that hold probability communicate through such states only: their weights are not
    known either.
    """
    known = np.flatnonzero(p > ABOVE_FLOOR * FLOOR)
    if len(known) < len(p):
        apart = p[known].sum() - p[chain.connected(known, p)].sum()
        if apart > CUT_OFF:
            raise ConvergenceError(
                f"states that hold probability must communicate above {FLOOR:.0e}, but {apart:.1e} is apart."
            )
    return p


# ---- the solvers -----------------------------------------------------------------------------------------------


def _gth(chain: Chain, guess: FloatArray | None) -> tuple[FloatArray, float]:
    return analyse(chain.indptr, chain.indices).solve(chain.rates), ROUNDING * len(chain)


def _local(chain: Chain, guess: FloatArray | None) -> tuple[FloatArray, float]:
    p, error = localised(chain, guess, _gth_or_multilevel)
    if guess is not None and error > GOOD_ERROR:  # it misled
        return _local(chain, None)
    return _coherent(chain, p), error


def _gth_or_multilevel(chain: Chain, guess: FloatArray) -> tuple[FloatArray, float]:
    elimination = plan(chain)
    if elimination is None:
        return _multilevel(chain, guess)
    return elimination.solve(chain.rates), ROUNDING * len(chain)


def _multilevel(chain: Chain, guess: FloatArray | None) -> tuple[FloatArray, float]:
    p, error = cycles(chain, np.full(len(chain), 1.0 / len(chain)) if guess is None else guess, ITERATED_ERROR)
    if guess is not None and error > GOOD_ERROR:
        return _multilevel(chain, None)
    return _coherent(chain, p), error


def _direct(chain: Chain, guess: FloatArray | None) -> tuple[FloatArray, float]:
    matrix, n = chain.generator(), len(chain)
    shift = RELATIVE_SHIFT * float(chain.exits.max())
    p = np.full(n, 1.0 / n) if guess is None else guess
    for _ in range(4):
        resolvent = factorised((shift * sparse.eye_array(n) - matrix).tocsc())
        p, change, ratio = _iterate_inverse(resolvent, p)
        gap = shift * (1.0 / ratio - 1.0) if ratio < 1.0 else 0.0
        if change < 1e-9 and gap > 0.0:
            apart = _apart(p, _iterate_inverse(resolvent, _at_mode(p))[0])
            return p, max(change + chain.residual(p)[1] / gap, apart)
        shift *= 1e-2
    raise ConvergenceError(
        f"Inverse iteration must settle, but its last change is {change:.1e}: the chain is nearly decomposable "
        f"(spectral gap below {shift:.1e}). Try method='gth'."
    )


def _iterate_inverse(lu: Any, p: FloatArray) -> tuple[FloatArray, float, float]:
    """Apply the resolvent until it settles; return the vector, its last change and the contraction."""
    change, ratio = 1.0, 0.0
    for k in range(INVERSE_ITERATIONS):
        following = np.maximum(lu.solve(p), 0.0)
        following /= following.sum()
        previous, change = change, float(np.abs(following - p).sum())
        p = following
        if k > 0:
            if previous > 1e-10:
                ratio = max(ratio, min(change / previous, 1.0))
            if change <= 1e-14 or change >= 0.5 * previous:
                break
    return p, change, max(ratio, 1e-12)


def _iterative(chain: Chain, guess: FloatArray | None) -> tuple[FloatArray, float]:
    """Inverse iteration as in `_direct`, its systems solved by GMRES for the correction ``(σ - A) d = A x``."""
    matrix, n = chain.generator(), len(chain)
    shifted = (ITERATIVE_SHIFT * float(chain.exits.max()) * sparse.eye_array(n) - matrix).tocsc()
    check_memory("An incomplete factorisation", 12 * FILL * shifted.nnz + 8 * RESTART * n, n, OTHER_METHODS)
    incomplete = linalg.spilu(shifted, drop_tol=DROPPED_ENTRIES, fill_factor=FILL, permc_spec="MMD_AT_PLUS_A")
    preconditioner = linalg.LinearOperator(matrix.shape, incomplete.solve)

    def settled(p: FloatArray) -> tuple[FloatArray, float]:
        changes = [2.0]
        for _ in range(INVERSE_ITERATIONS):
            left = matrix @ p
            correction, _ = linalg.gmres(
                shifted, left, rtol=DROPPED_ENTRIES, restart=RESTART, maxiter=1, M=preconditioner
            )
            following = np.maximum(p + correction, 0.0)
            following /= following.sum()
            changes.append(float(np.abs(following - p).sum()))
            p = following
            if changes[-1] < 1e-13 or (changes[-1] < 1e-8 and changes[-1] > 0.7 * changes[-2]):
                return p, changes[-1] / (1.0 - min(changes[-1] / changes[-2], 0.9))
        raise ConvergenceError(
            f"GMRES must settle within {INVERSE_ITERATIONS} cycles, but its last change is {changes[-1]:.1e}; "
            f"use method='direct' if memory allows."
        )

    p, error = settled(np.full(n, 1.0 / n) if guess is None else guess)
    return p, max(error, _apart(p, settled(_at_mode(p))[0]))


def _at_mode(p: FloatArray) -> FloatArray:
    """Return all mass at the most probable state, from where sets of states that hardly communicate are not met."""
    begin = np.zeros(len(p))
    begin[int(np.argmax(p))] = 1.0
    return begin


def _apart(p: FloatArray, other: FloatArray) -> float:
    """Return the 1-norm distance of answers from two starts; a ConvergenceError where the start is what they tell."""
    apart = float(np.abs(p - other).sum())
    if not apart <= TOLD:
        raise ConvergenceError(
            f"Inverse iteration must forget its start, but from another one it ends {apart:.1e} away: the chain is "
            f"nearly decomposable. Try method='gth'."
        )
    return apart


METHODS: dict[str, Callable[[Chain, FloatArray | None], tuple[FloatArray, float]]] = {
    "gth": _gth,
    "direct": _direct,
    "iterative": _iterative,
    "multilevel": _multilevel,
    "local": _local,
}
