"""Krylov spaces of `Magnus`: of the generator, augmented by the polynomials of a forcing.

``y' = B y + Σ_k W_k T_k(t)`` is ``v' = M v`` for v = (y, T), M = [[B, W], [0, J]], J the derivatives of the T_k; its
space is built, followed and combined as that of `Krylov`.

References
----------
A. H. Al-Mohy, N. J. Higham, SIAM J. Sci. Comput. 33 (2011) 488, doi:10.1137/100788860.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.solvers import kernels, magnus_kernels, small_exponential_kernels
from fsp.solvers.base import NO_LIMIT, History, LossLimit, noise_of_products
from fsp.solvers.clocks import chebyshev_nodes

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.generator.base import BaseGenerator
    from fsp.solvers.stepping import Heart

# Vectors of many states are made orthogonal to few others.  That holds while the polynomials beside the state are so
# small that they do not count; to more of them, and with larger polynomials, it holds on stiff networks as well.
MANY_STATES = 10_000
DEPTH = 12  # with fewer states
UNIT, SMALL_UNIT = 0.03, 1e-6  # of the polynomials beside a state of norm 1, with fewer states and with many
CHECKED_SIZE = 12  # vectors after which it is seen whether a Krylov space is large enough
LOSS_SAFETY = 0.98  # of the loss limit, kept by the uncorrected step
REMEMBERED_NODES = 5  # of the last step: every solver has room for so many


@dataclass(frozen=True, slots=True, eq=False)
class Forcing:
    """A polynomial ``f = Σ_k W_k T_k`` on a step of length h."""

    W: FloatArray  # (p, size)
    sizes: FloatArray  # ‖W_k‖₁, (p,)
    slopes: FloatArray  # ``T_k' = Σ_i slopes[k, i] T_i`` per unit of time, (p, p)
    h: float


@dataclass(slots=True, eq=False)
class Space:
    """A Krylov space: ``y(s) = scale Σ_j u_j(s) V_j``, u(s) = exp(sH) e_1."""

    frozen: BaseGenerator  # B, and its rates
    tick: float  # lengths of steps are whole numbers of it
    H: FloatArray  # the projected matrix
    size: int  # number of basis vectors
    width: int  # length of the vectors, of all ranks
    depth: int  # number of preceding vectors that each one is orthogonal to
    scale: float  # norm of the start vector
    squares: FloatArray  # ‖V_j‖₂², close to 1, (size + 1,)
    norms: FloatArray  # scale ‖V_j‖₁; in each further row weighted by the exit rates of one A_l, (1 + L, size + 1)
    unit: float  # scale of the forcing's polynomials in an augmented vector
    noise: float = 0.0  # per unit of time, what the residual may show for rounding where the basis is closed
    substeps: int = 0  # of all small exponentials that were followed

    @property
    def residual_norm(self) -> float:
        """1-norm of the residual where the last u_j is 1."""
        return float(self.H[self.size, self.size - 1] * self.norms[0, self.size])


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """How far the small exponential was followed: to what the tolerance allows, and to what the loss limit does."""

    reached: float
    u_reached: FloatArray
    kept: float
    u_kept: FloatArray
    growth: float  # largest Σ|u_j| ‖V_j‖₁
    error: float  # at `kept`
    substeps: int


class AugmentedBasis:
    """Room for one Krylov space, which is built anew in every pass; `products` counts all."""

    def __init__(
        self, generator: BaseGenerator, exits: FloatArray, size: int, orthogonalization: int, limit: int, heart: Heart
    ) -> None:
        self._operator, self._roundings, self._heart = generator.operator, generator.roundings, heart
        self._n, self._all = self._operator.n, self._operator.size
        self._exits, self._size = exits, size
        many = len(generator) >= MANY_STATES
        self._depth = orthogonalization if many else max(DEPTH, orthogonalization)
        self._unit = SMALL_UNIT if many else UNIT
        self.V = np.empty((size + 1, self._all + limit))
        self._recent: tuple[float, float, FloatArray] | None = None  # start, length, coefficients of the basis at nodes
        self.products = 0

    def solve(
        self,
        z: FloatArray,
        f: Forcing,
        frozen: BaseGenerator,
        t: float,
        tick: float,
        error_rate: float,
        limit: LossLimit,
    ) -> tuple[Space, Flow]:
        """Build a Krylov space that reaches the end of the step or the loss limit, or as large a one as may be."""
        space = self._begin(z, f, frozen, tick)
        largest_width = min(self._size, space.width)
        while True:
            self._extend(space, f, t, min(largest_width, space.size + CHECKED_SIZE))
            flow = self.flow(space, f.h, error_rate, limit)
            if (
                space.size == largest_width
                or space.residual_norm == 0.0
                or flow.reached >= f.h
                or flow.kept < flow.reached
            ):
                return space, flow

    def flow(self, space: Space, horizon: float, error_rate: float, limit: LossLimit = NO_LIMIT) -> Flow:
        """Follow the small exponential as far as the tolerance and the limit allow."""
        s, u, substeps, growth, s_kept, u_kept, error = small_exponential_kernels.flow(
            space.H,
            space.size,
            space.depth,
            horizon,
            space.tick,
            space.norms[0],
            space.scale * self._operator.added(self.V[: space.size, self._n : self._all].sum(axis=1)),
            space.residual_norm,
            max(error_rate, space.noise),
            limit.offset * LOSS_SAFETY,
            limit.rate * LOSS_SAFETY,
            small_exponential_kernels.STRIDE,
        )
        space.substeps += int(substeps)
        return Flow(float(s), u, float(s_kept), u_kept, float(growth), float(error), int(substeps))

    def combined(self, space: Space, u: FloatArray) -> tuple[FloatArray, float]:
        """Return the vector of the closed chain that u stands for, and what was clipped."""
        y = np.empty(self._all)
        cut = kernels.combine(self.V[: space.size], space.scale * u, y)
        return y, float(self._operator.added(cut))

    def polynomials(self, space: Space, p: int) -> FloatArray:
        """Return what the vectors hold of p polynomials of the forcing, (size, p)."""
        return self.V[: space.size, self._all : self._all + p]

    def rounding_of_forcing(self, space: Space, f: Forcing, u: FloatArray) -> float:
        """Bound, per unit of time, the rounding of the forcing that is added to each product, by the model."""
        of_vectors = np.abs(self.polynomials(space, len(f.W))) @ f.sizes  # (size,)
        largest = float((np.abs(u) @ of_vectors).max(initial=0.0))
        return UNIT_ROUNDOFF * (len(f.W) + 2) * space.scale / space.unit * largest

    def remember(self, space: Space, t: float, s: float) -> None:
        """Keep what is needed of the solution from t to t + s, for a solver on another space to go on from."""
        nodes = chebyshev_nodes(REMEMBERED_NODES)
        u = np.empty((len(nodes.z), space.size))
        small_exponential_kernels.at_nodes(space.H, space.size, space.depth, 0.5 * s * (1.0 + nodes.z), u)
        self._recent = t, s, space.scale * u

    def forget(self) -> None:
        """Drop what is remembered."""
        self._recent = None

    def history(self) -> History | None:
        """Return the solution that is remembered, in the order of the space."""
        if self._recent is None:
            return None
        start, s, u = self._recent
        values = u @ self.V[: u.shape[1], : self._all]
        for value in values:  # in place: they take much memory
            value[: self._n] = self._operator.leave(value)
        return History(start, s, values[:, : self._n])

    def _begin(self, z: FloatArray, f: Forcing, frozen: BaseGenerator, tick: float) -> Space:
        """Return the space of one vector: the state, and beside it the polynomials of the forcing.

        Every rank has polynomials of its own, which drive its own states.
        """
        n_all, p, added = self._all, len(f.W), self._operator.added
        width = added(n_all + p)
        self._recent = None
        full = self._size >= width  # a basis of all there is must be orthogonal, or it would not be closed
        # In proportion to the state: the forcing is divided by it, and nothing drowns in rounding.
        unit = self._unit * sqrt(added(float(z @ z))) / sqrt(max(p, 1))
        start = self.V[0, : n_all + p]
        start[:n_all], start[n_all:] = z, unit * (-1.0) ** np.arange(p)
        scale = sqrt(added(float(start @ start)))
        start /= scale
        H = np.zeros((self._size + 1, self._size))
        norms = np.zeros((1 + len(self._exits), self._size + 1))
        depth = width if full else self._depth
        return Space(frozen, tick, H, 0, width, depth, scale, np.ones(self._size + 1), norms, unit)

    def _extend(self, space: Space, f: Forcing, t: float, size: int) -> None:
        """Extend a Krylov space of B, augmented by the forcing, to `size` vectors, or until it is closed."""
        n_all, p, first, added = self._all, len(f.W), space.size, self._operator.added
        V, B = self.V[:, : n_all + p], space.frozen.operator
        nothing = np.zeros(n_all + p)
        is_closed = False
        while space.size < size:
            j = space.size
            v, w = V[j], V[j + 1]
            u = V[j - 1] if j > 0 else nothing
            B.product(v[:n_all], w[:n_all])
            dots = added(magnus_kernels.force(f.W, f.slopes, 1.0 / space.unit, n_all, v, u, w))
            self.products += 1
            self._heart.beat(t, 0.0, 0.0)
            space.size += 1
            is_closed = not kernels.next_vector(B, self.V, space.H, j, space.depth, dots, space.squares, nothing)
            if is_closed:
                break
        rows = slice(first + (first > 0), space.size + 1)
        norms = np.empty((len(space.norms), rows.stop - rows.start))
        magnus_kernels.weighted_norms(self.V[rows], self._n, self._exits, norms)
        norms[0] += np.abs(V[rows, self._n : n_all]).sum(axis=1)
        space.norms[:, rows] = space.scale * added(norms)
        is_closed = is_closed or space.size == space.width
        rate, mass = space.frozen.largest_exit_rate, float(space.norms[0, 0])
        space.noise = noise_of_products(rate, self._roundings, mass, space.size) if is_closed else 0.0
