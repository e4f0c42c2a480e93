"""How a network relaxes: the slowest eigenvalues of its generator, and their modes.

On the states that hold the stationary distribution, jumps out of them suppressed, the eigenvalues of the generator are
0 = λ₁ > Re λ₂ ≥ …; a deviation from the stationary distribution decays like ``exp(λ₂ t)`` in the end.  Shift-and-invert
Arnoldi finds those next to zero: the largest eigenvalues of ``(σ - A)⁻¹``, from which the known stationary pair is
projected out.  Eigenvalues are two-sided Rayleigh quotients, and every pair is checked by its residual.

References
----------
R. B. Lehoucq, D. C. Sorensen, C. Yang, ARPACK Users' Guide, SIAM 1998, doi:10.1137/1.9780898719628.
C. Schütte, M. Sarich, Metastability and Markov State Models in Molecular Dynamics, AMS 2013.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import linalg as dense
from scipy import sparse
from scipy.sparse import linalg

from fsp.errors import ArgumentError, ConvergenceError, StateSpaceError
from fsp.generator import Generator
from fsp.model.arguments import check_call
from fsp.projection.growth import MAX_STATES, Growth, starting_vector
from fsp.projection.nullspace import null_vector
from fsp.projection.structure import close_leaks, closed_classes
from fsp.solvers.linear import WITHOUT_PIVOTING

if TYPE_CHECKING:
    from fsp.arrays import ComplexArray, FloatArray, IntArray
    from fsp.model import Model
    from fsp.space import StateSpace

DENSE_STATES = 200
RELATIVE_SHIFT = 1e-8  # of the largest exit rate
RELATIVE_RESIDUAL = 1e-6  # ‖A v - λ v‖₁ over |λ| ‖v‖₁
ROUNDING = 1e-13  # of the largest exit rate: smaller eigenvalues are not told from zero


@dataclass(frozen=True, slots=True, eq=False)
class Relaxation:
    """The slowest modes of a network.

    Parameters
    ----------
    eigenvalues
        In falling order of their real parts, without zero, 1/time, (n_modes,).
    residuals
        ``‖A v - λ v‖₁ / ‖v‖₁`` of the right eigenvectors, 1/time, (n_modes,).
    n_states
        Number of states.
    species
        Names of the species.
    states
        The states that modes are given on, (n, n_species); where they are spread over ranks, those of this one.
    right
        Right eigenvectors as columns: how the probabilities deviate from the stationary ones, (n, n_modes).
    left
        Left eigenvectors, of largest modulus 1: nearly constant on metastable sets, (n, n_modes).
        ``left.T @ right`` is the identity.  None on ranks, where right eigenvectors have 1-norm 1.
    stationary
        The stationary distribution, (n,); None on ranks.
    """

    eigenvalues: ComplexArray
    residuals: FloatArray
    n_states: int
    species: tuple[str, ...]
    states: IntArray
    right: ComplexArray
    left: ComplexArray | None = None
    stationary: FloatArray | None = None

    @property
    def gap(self) -> float:
        """The spectral gap: the rate of the slowest mode, 1/time."""
        return float(-self.eigenvalues[0].real)

    @property
    def times(self) -> FloatArray:
        """Relaxation times, in falling order, (n_modes,)."""
        times: FloatArray = -1.0 / self.eigenvalues.real
        return times

    def __str__(self) -> str:
        """Return a line for each mode."""
        lines = [f"relaxation: {self.n_states:,} states, spectral gap {self.gap:.4g}"]
        for k, (value, time, residual) in enumerate(zip(self.eigenvalues, self.times, self.residuals, strict=True), 1):
            shown = f"{value.real:.6g}" if value.imag == 0.0 else f"{value.real:.6g}{value.imag:+.6g}i"
            lines.append(f"  mode {k}: eigenvalue {shown}, relaxation time {time:.6g}, residual {residual:.1e}")
        return "\n".join(lines)


def relaxation(
    model: Model,
    n_modes: int = 3,
    tol: float = 1e-10,
    *,
    space: StateSpace | None = None,
    max_states: int = MAX_STATES,
    max_memory: int | None = None,
) -> Relaxation:
    """Return the slowest modes of the chain that the network ends in.

    Parameters
    ----------
    model
        The reaction network; its propensities must not depend on time.
    n_modes
        Number of eigenvalues beside zero: those of least modulus.
    tol
        Error of the stationary distribution whose states are taken, if there is no `space`: modes reach further out
        than the stationary distribution does.
    space
        The states, with a reflecting boundary.
    max_states, max_memory
        Limits on the number of states and on bytes of the stationary distribution.

    Returns
    -------
    Relaxation
        Eigenvalues, times and modes of the chain on these states.  How far they are from those of the infinite chain
        is not estimated: compare two values of `tol`.

    Raises
    ------
    ArgumentError
        If `n_modes` is not a positive number, or too large for the number of states.
    StateSpaceError
        If there is no stationary distribution, or several closed classes: each relaxes on its own.
    ConvergenceError
        If a pair fails its check, or an eigenvalue cannot be told from zero in double precision.
    BackendError
        If propensities depend on time.
    """
    from fsp.projection.steady import check_arguments, estimated

    check_call(model, max_states=max_states, max_memory=max_memory)
    check_arguments(model, tol)
    if not isinstance(n_modes, int) or n_modes < 1:
        raise ArgumentError(f"`n_modes` must be a positive number, but is {n_modes!r}.")
    if space is None:
        # A space that is certified may have holes, whose rims would make slow modes of their own.
        growth = Growth(model, max_states, max_memory, stationary=True)
        space = model_space(model, estimated(model, growth, tol).states)
    generator = Generator(model, space)
    initial = starting_vector(model, space)
    closed = close_leaks(generator.to_csr(), generator.leak_rates, initial)
    classes = closed_classes(closed).members
    if len(classes) != 1:
        raise StateSpaceError(f"Relaxation must be that of one closed class, but the space has {len(classes)} of them.")
    members = classes[0]
    if n_modes > len(members) - 1:
        raise ArgumentError(f"`n_modes` must be less than the number of states {len(members)}, but is {n_modes}.")
    matrix = closed[members][:, members].tocsr()
    p = null_vector(matrix).p
    values, right, left = slowest(matrix, p, n_modes)
    residuals = _checked(matrix, values, right, left)
    states = space.states[members]
    return Relaxation(values, residuals, len(states), tuple(model.species), states, right, left, p)


def model_space(model: Model, states: IntArray) -> StateSpace:
    """Return the space of given states of a model."""
    from fsp.space import StateSpace

    return StateSpace.from_states(model.species, states)


def slowest(matrix: Any, p: FloatArray, n_modes: int) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
    """Return the eigenvalues of a generator next to zero, its null vector `p` apart, and their right and left vectors.

    Pairs are biorthogonal, left vectors of largest modulus 1; eigenvalues are in falling order of their real parts.
    """
    wanted = min(n_modes + 1, len(p) - 1)  # one more: a pair of conjugates stays whole
    if len(p) <= max(DENSE_STATES, 3 * wanted):
        values, right, left = _dense_pairs(matrix.toarray(), p, n_modes)
    else:
        values, right, left = _arnoldi_pairs(matrix, p, wanted)
    order = np.argsort(np.abs(values), kind="stable")[:n_modes]
    order = order[np.argsort(-values[order].real, kind="stable")]
    return values[order], right[:, order], left[:, order]


def _dense_pairs(matrix: FloatArray, p: FloatArray, n_modes: int) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
    # A - p 1ᵀ times a rate moves the zero far out and changes no other pair.
    far = 4.0 * float(np.abs(matrix.diagonal()).max()) + 1.0
    triple: Any = dense.eig(matrix - far * np.outer(p, np.ones(len(p))), left=True, right=True)
    values, left, right = triple
    order = np.argsort(np.abs(values), kind="stable")[:n_modes]
    return _paired(matrix, right[:, order], left[:, order].conj())


def _arnoldi_pairs(matrix: Any, p: FloatArray, wanted: int) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
    n = len(p)
    shift = RELATIVE_SHIFT * float(np.abs(matrix.diagonal()).max())
    lu: Any = linalg.splu((shift * sparse.eye_array(n) - matrix).tocsc(), **WITHOUT_PIVOTING)
    begin = np.random.default_rng(0).standard_normal(n)

    def forward(v: FloatArray) -> FloatArray:
        x = lu.solve(v - p * v.sum())
        out: FloatArray = x - p * x.sum()
        return out

    def backward(f: FloatArray) -> FloatArray:
        x = lu.solve(f - (p @ f), trans="T")
        out: FloatArray = x - (p @ x)
        return out

    found: list[ComplexArray] = []
    for apply, start in ((forward, begin * p), (backward, begin)):
        operator = linalg.LinearOperator((n, n), matvec=apply, dtype=np.float64)
        inverse, vectors, *_ = linalg.eigs(
            operator, k=wanted, which="LM", v0=start, ncv=min(n - 1, max(4 * wanted, 24))
        )
        order = np.lexsort((-inverse.imag, -np.round(np.abs(inverse) / np.abs(inverse).max(), 9)))
        found.append(vectors[:, order])
    return _paired(matrix, found[0], found[1])


def _paired(matrix: Any, right: ComplexArray, left: ComplexArray) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
    """Return two-sided Rayleigh quotients, and the vectors as biorthogonal pairs.

    The two sets span the same invariant subspace: the small pencil ``(leftᵀ A right, leftᵀ right)`` pairs them, which
    matters where eigenvalues are close.
    """
    overlap = left.T @ right
    values, mix = dense.eig(dense.solve(overlap, left.T @ (matrix @ right)))
    right = right @ mix
    left = dense.solve(left.T @ right, left.T).T
    scale = left[np.argmax(np.abs(left), axis=0), np.arange(left.shape[1])]
    left, right = left / scale, right * scale
    real = np.abs(values.imag) <= 1e-10 * np.abs(values)
    values = np.where(real, values.real, values)
    left[:, real], right[:, real] = left[:, real].real, right[:, real].real
    return values, right, left


def _checked(matrix: Any, values: ComplexArray, right: ComplexArray, left: ComplexArray) -> FloatArray:
    """Return the residuals of right eigenvectors, (n_modes,).

    Raises
    ------
    ConvergenceError
        If one is not small.
    """
    rounding = ROUNDING * float(np.abs(matrix.diagonal()).max())
    residuals: FloatArray = np.abs(matrix @ right - right * values).sum(axis=0) / np.abs(right).sum(axis=0)
    of_left = np.abs(matrix.T @ left - left * values).max(axis=0)
    for value, residual in zip(values, np.maximum(residuals, of_left), strict=True):
        if not abs(value) > rounding:
            raise ConvergenceError(
                f"Eigenvalues must exceed {rounding:.1e} to be told from zero, but one is {value.real:.1e}: the chain "
                f"is nearly decomposable."
            )
        if not residual <= RELATIVE_RESIDUAL * abs(value) + rounding:
            raise ConvergenceError(
                f"The residual of an eigenvector must be small, but is {residual:.1e} for the eigenvalue "
                f"{value.real:.3e}. Ask for fewer `n_modes`."
            )
    return residuals
