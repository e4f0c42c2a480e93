"""The slowest eigenvalues of a class of communicating states, with their right and left vectors.

They are the inverses of the largest eigenvalues of a resolvent, on which Arnoldi iteration works; for few states it is
made as a matrix.  Two resolvents serve:

shifted      ``(σ - A)⁻¹`` by a sparse factorisation, or A itself for few states: eigenvalues have errors of about u Λ,
             Λ the largest exit rate, whatever their size;
eliminated   the group inverse ``-A# = (1 - p 1ᵀ) G (1 - p 1ᵀ)`` of a closed class, G the mean times before its most
             probable state z is met, or ``-A⁻¹`` of a class that is left for good: both by eliminations without a
             subtraction (`fsp.chains.hitting_times`).  Relative errors are about u for the slowest eigenvalue λ₁, and
             u λ_k / λ₁ for others.

The second is used where the first leaves few digits, and each eigenvalue is taken from where its error is less.  With
the left vector f, ``fᵀ (A v - μ v) = (λ - μ) fᵀ v``: the error of μ is at most ``|f|ᵀ |A v - μ v|`` for fᵀ v = 1, and
what rounding hides of it, about ``u |f|ᵀ |A| |v|``.

References
----------
R. B. Lehoucq, D. C. Sorensen, C. Yang, ARPACK Users' Guide, SIAM 1998, doi:10.1137/1.9780898719628.
C. D. Meyer, SIAM Rev. 17 (1975) 443, doi:10.1137/1017044 (group inverse).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from scipy import linalg as dense
from scipy import sparse
from scipy.sparse import linalg

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.chains.elimination import factorised
from fsp.chains.hitting_times import Eliminated, ExitTimes
from fsp.errors import ConvergenceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fsp.arrays import ComplexArray, FloatArray, IntArray

DENSE_STATES = 200  # whose eigenvalues are all computed, in milliseconds; chosen, not measured
RELATIVE_SHIFT = 1e-8  # of the largest exit rate
MORE = 8  # eigenvalues that are computed besides: with imaginary parts, slow modes are not next to zero
FEW_DIGITS = 1e-8  # relative error of an eigenvalue beyond which an elimination is tried
TOLD_APART = 1e-9  # of the largest eigenvalue of a resolvent: rounding of that hides smaller ones
PRODUCT_ROUNDING = 10.0 * UNIT_ROUNDOFF  # of a product of a resolvent or a generator, as measured, over that of moduli
USELESS = 1e-3  # relative error of an eigenvalue that is refused
ARNOLDI_ERRORS = (ValueError, RuntimeError, np.linalg.LinAlgError)  # ARPACK's and SuperLU's are RuntimeErrors


Apply: TypeAlias = "Callable[[FloatArray], FloatArray]"


@dataclass(frozen=True, slots=True, eq=False)
class CommunicatingClass:
    """A class of communicating states."""

    matrix: Any  # its generator, the diagonal with all that leaves each state, (n, n) CSR
    p: FloatArray | None  # its stationary vector where it is closed, (n,)
    kills: FloatArray  # rates of leaving the class where it is not, (n,)

    @property
    def largest_rate(self) -> float:
        """The largest exit rate, 1/time."""
        return float(np.abs(self.matrix.diagonal()).max())

    @property
    def n_modes(self) -> int:
        """Number of eigenvalues other than zero."""
        return int(self.matrix.shape[0]) - (self.p is not None)


@dataclass(frozen=True, slots=True, eq=False)
class Modes:
    """Eigenvalues in falling order of their real parts, and pairs of vectors with ``left.T @ right`` the identity."""

    values: ComplexArray  # eigenvalues, 1/time, (m,)
    residuals: FloatArray  # ``‖A v - λ v‖₁ / ‖v‖₁``, 1/time, (m,)
    errors: FloatArray  # estimated relative errors of the eigenvalues, (m,)
    # Vectors as columns, left ones of largest modulus 1, (n, m); no left ones where an eigenvalue has none.
    right: ComplexArray
    left: ComplexArray | None

    def take(self, chosen: IntArray | slice) -> Modes:
        """Return some of them."""
        return Modes(
            self.values[chosen],
            self.residuals[chosen],
            self.errors[chosen],
            self.right[:, chosen],
            None if self.left is None else self.left[:, chosen],
        )


def slowest(block: CommunicatingClass, n_modes: int) -> Modes:
    """Return the modes whose eigenvalues have the greatest real parts, zero itself apart, in falling order of those.

    They are looked for among more eigenvalues of least modulus, and for few states among all.
    """
    wanted = min(n_modes + 1, block.n_modes)  # one more: a pair of conjugates stays whole
    fast, failure = _tried(_shifted, block, wanted)
    modes = fast
    if fast is None or fast.errors[:n_modes].max() > FEW_DIGITS:
        slow, failure = _tried(_eliminated, block, wanted)
        modes = _better(fast, slow)
    if modes is None or len(modes.values) < n_modes:
        failure = failure or "too few pairs of vectors belong together"
        raise ConvergenceError(
            f"The slowest modes must be found by a factorisation or an elimination, but {failure}. Ask for fewer "
            f"`n_modes`, or give a smaller `space`."
        )
    modes = modes.take(slice(n_modes))
    worst = int(np.argmax(modes.errors))
    if not modes.errors[worst] <= USELESS:
        raise ConvergenceError(
            f"Eigenvalues must be told from zero and from each other in double precision, but the residual of mode "
            f"{worst + 1}, {modes.residuals[worst]:.1e}, and rounding leave no digits of its eigenvalue, about "
            f"{modes.values[worst].real:.1e}. Ask for fewer `n_modes`."
        )
    return modes


def _tried(
    way: Callable[[CommunicatingClass, int], Modes], block: CommunicatingClass, wanted: int
) -> tuple[Modes | None, str]:
    try:
        modes = way(block, wanted)
    except ARNOLDI_ERRORS as failure:
        return None, str(failure) or type(failure).__name__
    return (None, "vectors are not finite") if np.isnan(modes.errors).any() else (modes, "")


def _order(values: ComplexArray) -> IntArray:
    """Return the order in which real parts fall, (m,)."""
    order: IntArray = np.lexsort((values.imag, -values.real))
    return order


def _better(fast: Modes | None, slow: Modes | None) -> Modes | None:
    """Return the slower modes from the elimination, as far as it has more digits of them, and the others."""
    if fast is None or slow is None:
        return fast if slow is None else slow
    common = min(len(slow.errors), len(fast.errors))
    worse = slow.errors[:common] > fast.errors[:common]
    first = int(np.argmax(worse)) if worse.any() else common
    kept, others = slow.take(slice(first)), fast.take(slice(first, None))
    return joined([kept, others])


def joined(parts: Sequence[Modes]) -> Modes:
    """Return the modes of all parts, in their order."""
    lefts = [part.left for part in parts if part.left is not None]
    return Modes(
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.residuals for part in parts]),
        np.concatenate([part.errors for part in parts]),
        np.hstack([part.right for part in parts]),
        np.hstack(lefts) if len(lefts) == len(parts) else None,
    )


# ---- by a shift ----------------------------------------------------------------------------------------------------


def _shifted(block: CommunicatingClass, wanted: int) -> Modes:
    matrix, p = block.matrix, block.p
    rate, n = block.largest_rate, matrix.shape[0]
    if n <= max(DENSE_STATES, 3 * wanted):
        # A - p 1ᵀ times a rate moves the zero far out and changes no other pair.
        far = 0.0 if p is None else (4.0 * rate) * np.outer(p, np.ones(n))
        values, left, right = _triple(matrix.toarray() - far)
    else:
        shift = RELATIVE_SHIFT * rate
        lu = factorised((shift * sparse.eye_array(n) - matrix).tocsc())
        inverse, left, right = _arnoldi(*_deflated(lu.solve, lambda f: lu.solve(f, trans="T"), p), n, wanted)
        values = shift - 1.0 / inverse
    chosen = _order(values)[:wanted]  # before they are paired, which mixes their errors
    right, left = right[:, chosen], left[:, chosen]
    values, right, left = _paired(matrix @ right, right, left)
    off, off_left = matrix @ right - right * values, matrix.T @ left - left * values
    rounding = PRODUCT_ROUNDING * (np.abs(left) * (abs(matrix) @ np.abs(right))).sum(axis=0)
    with np.errstate(divide="ignore"):
        errors = (_moved(off, off_left, right, left) + rounding) / np.abs(values)
    return _ordered(Modes(values, np.abs(off).sum(axis=0) / np.abs(right).sum(axis=0), errors, right, left))


# ---- by an elimination ---------------------------------------------------------------------------------------------


def _eliminated(block: CommunicatingClass, wanted: int) -> Modes:
    n, p = block.matrix.shape[0], block.p
    killed, adjoint = _killed(block)
    forward, backward = _deflated(killed, adjoint, p)
    if n <= max(DENSE_STATES, 3 * wanted):
        inverse, left, right = _triple(_columns(forward, n))
    else:
        inverse, left, right = _arnoldi(forward, backward, n, wanted)
    told = np.flatnonzero(np.abs(inverse) > TOLD_APART * np.abs(inverse).max())
    chosen = told[_order(-1.0 / inverse[told])[:wanted]]
    right, left = right[:, chosen], left[:, chosen]
    right, left = _applied(forward, right), _applied(backward, left)  # their small entries are right too then
    inverse, right, left = _paired(_applied(forward, right), right, left)
    off = _applied(forward, right) - right * inverse
    off_left = _applied(backward, left) - left * inverse
    sizes = np.abs(right) if p is None else np.abs(right) + np.outer(p, np.abs(right).sum(axis=0))
    times = np.stack([killed(size) for size in sizes.T], axis=1)
    sizes = times if p is None else times + np.outer(p, times.sum(axis=0))
    rounding = PRODUCT_ROUNDING * (np.abs(left) * sizes).sum(axis=0)
    errors = (_moved(off, off_left, right, left) + rounding) / np.abs(inverse)
    residuals = np.abs(off).sum(axis=0) / np.abs(right).sum(axis=0) / np.abs(inverse) ** 2
    return _ordered(Modes(-1.0 / inverse, residuals, errors, right, left))


def _killed(block: CommunicatingClass) -> tuple[Apply, Apply]:
    """Return the mean times before the chain ends, and the transpose: where it leaves the class, or meets a state."""
    system: Eliminated | ExitTimes
    if block.p is None:
        system = ExitTimes(block.matrix, block.kills, 0.0)
    else:
        system = Eliminated(block.matrix, np.zeros(len(block.p)), int(np.argmax(block.p)), 0.0)
    return system.solve, system.solve_adjoint


# ---- eigenpairs of operators ---------------------------------------------------------------------------------------


def _deflated(solve: Apply, adjoint: Apply, p: FloatArray | None) -> tuple[Apply, Apply]:
    """Return ``(1 - p 1ᵀ) solve (1 - p 1ᵀ)`` and its transpose; both as they are where there is no `p`."""
    if p is None:
        return solve, adjoint

    def forward(v: FloatArray) -> FloatArray:
        x = solve(v - p * v.sum())
        out: FloatArray = x - p * x.sum()
        return out

    def backward(f: FloatArray) -> FloatArray:
        x = adjoint(f - (p @ f))
        out: FloatArray = x - (p @ x)
        return out

    return forward, backward


def _arnoldi(forward: Apply, backward: Apply, n: int, wanted: int) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
    """Return the `wanted` largest eigenvalues and some more, and left and right vectors that belong to them."""
    begin = np.random.default_rng(0).standard_normal(n)
    k = min(wanted + MORE, n - 2)
    pairs = []
    for apply in (forward, backward):
        operator = linalg.LinearOperator((n, n), matvec=apply, dtype=np.float64)
        values, vectors, *_ = linalg.eigs(operator, k=k, which="LM", v0=apply(begin), ncv=min(n - 1, max(3 * k, 24)))
        pairs.append((values, vectors))
    (values, right), (others, left) = pairs
    partner = np.array([int(np.argmin(np.abs(others - value))) for value in values])
    mutual = np.array(  # a pair of conjugates may be cut in one of them
        [k for k, i in enumerate(partner) if np.argmin(np.abs(values - others[i])) == k], dtype=np.int64
    )
    return values[mutual], left[:, partner[mutual]], right[:, mutual]


def _triple(matrix: FloatArray) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
    """Return eigenvalues, and left and right vectors, of a matrix; ``left.T @ matrix`` is ``values * left.T``."""
    triple: Any = dense.eig(matrix, left=True, right=True)
    values, left, right = triple
    return values, left.conj(), right


def _columns(apply: Apply, n: int) -> FloatArray:
    return np.stack([apply(column) for column in np.eye(n)], axis=1)


def _applied(apply: Apply, vectors: ComplexArray) -> ComplexArray:
    return np.stack([apply(v.real.copy()) + 1j * apply(v.imag.copy()) for v in vectors.T], axis=1)


def _paired(applied: ComplexArray, right: Any, left: Any) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
    """Return two-sided Rayleigh quotients, and the vectors as biorthogonal pairs, left ones of largest modulus 1.

    The two sets span the same invariant subspace: the small pencil ``(leftᵀ applied, leftᵀ right)`` pairs them, which
    matters where eigenvalues are close.
    """
    values, mix = np.linalg.eig(np.linalg.solve(left.T @ right, left.T @ applied))
    right = right @ mix
    left = np.linalg.solve(left.T @ right, left.T).T
    scale = left[np.argmax(np.abs(left), axis=0), np.arange(left.shape[1])]
    left, right = left / scale, right * scale
    real = np.abs(values.imag) <= 1e-10 * np.abs(values)
    values[real] = values[real].real
    left[:, real], right[:, real] = left[:, real].real, right[:, real].real
    return values, right, left


def _moved(off: ComplexArray, off_left: ComplexArray, right: ComplexArray, left: ComplexArray) -> FloatArray:
    """Return about how far each value is from an eigenvalue: ``fᵀ (A v - μ v) = (λ - μ) fᵀ v``, and its like."""
    moved: FloatArray = np.maximum(np.abs(left * off).sum(axis=0), np.abs(off_left * right).sum(axis=0))
    return moved


def _ordered(modes: Modes) -> Modes:
    return modes.take(_order(modes.values))
