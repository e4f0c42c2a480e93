"""Rational Krylov approximation of the exponential: Arnoldi with ``(I - γA)⁻¹``, certified by its residual.

One sparse factorisation serves a whole step, whose length does not depend on the largest rate.  Arnoldi with the
inverse gives ``(I - γA) V_{k+1} H = V_k - P``, where the columns ρ_j of P are residuals of the systems.
With ``H`` the square part, ``η`` the last entry of H below it, and ``G = (I - H⁻¹)/γ``, the approximation
``y(s) = β V_k u(s)``, ``u(s) = exp(s G) e_1`` has the residual::

    y' - A y = -(β/γ) (P + η q e_kᵀ) g(s),      q = (I - γA) v_{k+1},   g(s) = H⁻¹ u(s)

and as the chain with its sinks does not expand the 1-norm::

    ‖exp(sA) p - y(s)‖₁  <=  (β/γ) ∫₀ˢ ( Σ_j ‖ρ_j‖₁ |g_j| + η ‖q‖₁ |g_k| )

The small exponential, and the integrals of g, are those of `fsp.solvers.small_exponential`.

References
----------
J. van den Eshof, M. Hochbruck, Preconditioning Lanczos approximations to the matrix exponential, SIAM J. Sci. Comput.
27 (2006) 1438, doi:10.1137/040605461; I. Moret, P. Novati, RD-rational approximations of the matrix exponential,
BIT 44 (2004) 595, doi:10.1023/B:BITN.0000046805.27551.3b; M. A. Botchev, V. Grimm, M. Hochbruck, SIAM J. Sci. Comput.
35 (2013) A1376, doi:10.1137/110820191.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, inf, log, log2
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF, span
from fsp.arrays import rows_of
from fsp.errors import ConvergenceError
from fsp.generator.generator import in_one_process
from fsp.solvers import costs, kernels, rational_kernels
from fsp.solvers.base import SMALLEST_STEP, LossLimit, check_count, check_tol, short, step_to
from fsp.solvers.linear import Band, ShiftedSystem
from fsp.solvers.small_exponential import PER_OCTAVE, SchurForm, doublings, follow, integrals, residual_integrals
from fsp.solvers.small_exponential_kernels import CRUMB, LARGEST_SPREAD
from fsp.solvers.stepping import MatrixPropagator, Solver, Step

if TYPE_CHECKING:
    from fsp.arrays import ComplexArray, FloatArray
    from fsp.generator.base import BaseGenerator
    from fsp.solvers.costs import Cost, Stretch

# Work beside a solve, in multiply-adds: of each state, and of the call; fitted to measured runs.
STATE_WORK, CALL_WORK = 55.0, 4.5e5
RATIO = 24.0  # of a step to its pole γ: measured least work from 1e-3 to 1e-9
FIRST_STEP = 4.0  # times the mean waiting time
LENGTHEN = 4.0  # times the step after one of few vectors; chosen, not measured
NEW_SPACE = 8.0  # times shorter is the first step on another space
INVARIANT = 1e-14  # of the norm of a vector: what is left of it when the basis is invariant
ORTHOGONAL = 1e-8  # cosine of two vectors of a basis that are left as they are
FIRST_CHECK = 6  # dimension from which the error is looked at
CHECK_EVERY = 3  # at least, until it is looked at again
LIKELY = 0.8  # of the vectors that are missing, if the error falls as it did
FEW_VECTORS, MANY_VECTORS = 24, 34  # vectors of a step after which the next one is longer, or shorter
MOST_MASS = 1e6  # of a vector of probabilities: with more, all digits are lost
POLE_MISS = 8.0  # by what factor the pole of a last step may miss; chosen: below, its rounding grows as s/γ
KEPT_FACTORS = 2  # of the present step and of a last, shorter one
COMPLEX = 4.0  # roundings of a product of complex numbers
NOISE = 5.0  # how many times the rounding of the products the residual of a step may show


@dataclass(frozen=True, slots=True)
class Rational(Solver):
    """Approximate ``exp(tA) p`` in rational Krylov subspaces with one real pole, for stiff networks.

    Parameters
    ----------
    tol
        Allowed 1-norm error of one advance.
    dimension
        Largest size of a subspace.

    Examples
    --------
    >>> model = fsp.Model(species={"X": 9}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])
    >>> print(f"{fsp.transient(model, [1.0], solver=fsp.Rational(tol=1e-9))[-1].mean()['X']:.6f}")  # 9 exp(-1)
    3.310915
    """

    tol: float = 1e-10
    dimension: int = 40
    look = costs.STEP_VECTORS

    def __post_init__(self) -> None:
        check_tol(self.tol)
        check_count("dimension", self.dimension, FIRST_CHECK)

    def cost(self, generator: BaseGenerator, stretch: Stretch) -> Cost:
        """Expect steps that grow with time; see `Solver.cost`."""
        return costs.of_solves(generator, stretch, STATE_WORK, CALL_WORK)

    def bind(self, generator: BaseGenerator) -> _RationalPropagator:
        """Return the propagator of a generator."""
        return _RationalPropagator(generator, self)


class _RationalPropagator(MatrixPropagator):
    products_of_a_report = inf  # what calls it counts its solves

    def __init__(self, generator: BaseGenerator, solver: Rational) -> None:
        super().__init__(generator, solver)
        self._system = _ShiftedSystems(generator)
        self._size = min(solver.dimension, len(generator) + generator.n_sinks)
        self._is_new = True
        self._last_size = 0

    def step(self, z: FloatArray, t: float, t1: float, tol_rate: float, limit: LossLimit) -> Step:
        """Take one step towards t1, as far as error and loss allow; see `Propagator.step`."""
        n = self._system.n
        p = z[:n]
        if not float(p.sum()) < MOST_MASS:
            raise ConvergenceError(
                f"Rational must keep some digits, but at t = {t:.6g} rounding leaves none; end earlier, or ask for "
                f"`fsp.stationary`."
            )
        if self._is_new:  # what was cut off at the edge of the space is not smooth yet
            self._is_new = False
            self.step_length /= NEW_SPACE
        if self.step_length == 0.0:
            outflow = float(self._system.exit_rates @ p) / max(float(p.sum()), 1e-300)
            self.step_length = FIRST_STEP / outflow if outflow > 0.0 else t1 - t
        if self.step_length < SMALLEST_STEP * min(t1 - t, self._system.shortest) or t + self.step_length == t:
            return Step(z, 0.0)
        self.step_length = short(self.step_length)
        step = self._step(p, t, t1, tol_rate, LossLimit(limit.offset - float(z[n:].sum()), limit.rate))
        if step.length > 0.0:
            step.z[n:] += z[n:]
        self.heart.tell(t + step.length)
        return step

    def _step(self, p: FloatArray, t: float, t1: float, tol_rate: float, limit: LossLimit) -> Step:
        """Take one step from empty sinks."""
        h = step_to(t, self.step_length, t1)
        stays = not float(self._system.exit_rates @ p) > 0.0
        if stays or float(p @ p) == 0.0:  # squares of the smallest numbers are zero
            left = 0.0 if stays else 2.0 * float(p.sum())
            return Step(self.enter(p), span(t, t1), left)
        basis = _Basis(self._system, self._system.pole_for(h, last=h < self.step_length), p, self._size)
        path, check = None, _Checks(self._last_size // 2)
        while path is None or not (path.reaches_end or basis.complete):
            with np.errstate(all="ignore"):  # where a basis is of no use yet, its exponential overflows
                basis.extend()
                if basis.complete or (basis.size >= check.due and check.met(basis, h, tol_rate)):
                    path = _ExponentialPath(basis, h, tol_rate)
        self._last_size = basis.size
        self._adapt(h, path, basis.size)
        return self._end(basis, path, limit)

    def _end(self, basis: _Basis, path: _ExponentialPath, limit: LossLimit) -> Step:
        kept, beyond = path.kept(limit)
        z = basis.combine(path.u[:, kept])
        error, rounding = float(path.errors[kept]) + kernels.clip(z), float(path.roundings[kept])
        rejected = None
        if beyond > kept:
            rejected = basis.combine(path.u[:, beyond])
            kernels.clip(rejected)
        length = float(path.times[kept])
        return Step(z, length, error, rounding, basis.n_products, rejected, tries_again=rejected is None)

    def _adapt(self, h: float, path: _ExponentialPath, size: int) -> None:
        """Choose the next step: longer where few vectors sufficed, shorter where many did not."""
        if not path.reaches_end:
            self.step_length = min(0.5 * h, max(float(path.times[path.reached]), h / 16.0))
        elif h >= self.step_length * (1.0 - CRUMB):
            self.step_length *= LENGTHEN if size <= FEW_VECTORS else (0.5 if size > MANY_VECTORS else 1.0)


class _Checks:
    """When to look at the error of a step whose basis grows: where it is likely to be small, by how it fell so far."""

    def __init__(self, first: int) -> None:
        self.due = max(FIRST_CHECK, first)  # dimension at which to look next
        self._last: tuple[int, float] | None = None  # dimension, logarithm of the error over what is allowed

    def met(self, basis: _Basis, h: float, tol_rate: float) -> bool:
        """Return whether the error of a step `h` is about as small as it may be."""
        excess = basis.error_estimate(h) / max(tol_rate * h, basis.noise(h))
        self.due = basis.size + CHECK_EVERY
        if excess <= 1.0:
            return True
        now = log(excess) if excess < inf else inf
        if self._last is not None and now < self._last[1] < inf:
            fall = (self._last[1] - now) / (basis.size - self._last[0])
            self.due = max(self.due, basis.size + min(int(LIKELY * now / fall), basis.capacity // 2))
        self._last = basis.size, now
        return False


class _ShiftedSystems:
    """The closed chain and its factorised shifted systems.

    Poles are powers of two, so that one serves steps of like length.
    """

    def __init__(self, generator: BaseGenerator) -> None:
        self.n, self.n_sinks = len(generator), generator.n_sinks
        self.square, self.sinks = in_one_process(generator).rows, generator.sink_rows
        self.exit_rates = generator.exit_rates
        self.shortest = 1.0 / max(generator.largest_exit_rate, 1e-300)
        self.roundings = generator.roundings
        self._band = Band.of(self.square)
        self._known: dict[float, ShiftedSystem] = {}

    def pole_for(self, h: float, *, last: bool) -> tuple[float, ShiftedSystem]:
        """Return a pole that fits a step, and its system; a `last`, shorter step makes do with one that is there."""
        gamma = 2.0 ** floor(log2(h / RATIO))
        if last:
            near = [known for known in self._known if gamma <= POLE_MISS * known <= POLE_MISS**2 * gamma]
            gamma = max(near, default=gamma)
        if gamma not in self._known:
            while len(self._known) >= KEPT_FACTORS:
                self._known.pop(next(iter(self._known)))
            self._known[gamma] = ShiftedSystem(self.square, gamma, self._band)
        return gamma, self._known[gamma]

    def shifted(self, z: FloatArray, gamma: float) -> FloatArray:
        """Return ``(I - γA) z`` of the closed chain."""
        states = z[: self.n]
        image = z.copy()
        image[: self.n] -= gamma * (self.square @ states)
        image[self.n :] -= gamma * (self.sinks @ states)
        return image

    def complete(self, v: FloatArray, w: FloatArray, gamma: float) -> tuple[float, float]:
        """Write the sinks of the solution w of ``(I - γA) w = v``; return its residual and what rounds in it."""
        A, sinks = self.square, self.sinks
        of_sinks = *rows_of(sinks), sinks.data
        left, terms = rational_kernels.residual(*rows_of(A), A.data, *of_sinks, self.exit_rates, gamma, v, w)
        return float(left), float(terms)


class _Basis:
    """A rational Krylov basis that grows by one vector at a time."""

    def __init__(self, system: _ShiftedSystems, pole: tuple[float, ShiftedSystem], p: FloatArray, limit: int) -> None:
        self.system = system
        self.gamma, self._solver = pole
        self._V = np.empty((limit + 1, system.n + system.n_sinks))
        self._V[0], self._V[0, system.n :] = np.concatenate([p, np.zeros(system.n_sinks)]), 0.0
        self.beta = float(np.linalg.norm(self._V[0]))
        self._V[0] /= self.beta
        self._H = np.zeros((limit + 1, limit))
        self.size = 0
        self.n_products = 0
        self.left = np.zeros(limit)  # ‖ρ_j‖₁
        self.terms = np.zeros(limit)  # what rounds in ρ_j
        self._small: tuple[tuple[int, float], SchurForm, list[ComplexArray]] | None = None
        self.norms = np.zeros(limit + 1)  # ‖v_j‖₁
        self.norms[0] = np.abs(self._V[0]).sum()

    @property
    def capacity(self) -> int:
        """Largest number of vectors."""
        return self._H.shape[1]

    @property
    def invariant(self) -> bool:
        """Whether nothing is left of the next vector but rounding."""
        return self.size > 0 and not self._H[self.size, self.size - 1]

    @property
    def complete(self) -> bool:
        """Whether no vector can be added."""
        return self.invariant or self.size == self.capacity

    @property
    def square(self) -> FloatArray:
        """H, (size, size)."""
        return self._H[: self.size, : self.size]

    def extend(self) -> None:
        """Add the next vector: solve, orthogonalise."""
        j, n = self.size, self.system.n
        v, w = self._V[j], self._V[j + 1]
        w[:n] = self._solver.solve(v[:n])
        self.left[j], self.terms[j] = self.system.complete(v, w, self.gamma)
        self.n_products += 1
        before, norm = float(np.linalg.norm(w)), self._orthogonalise(w, j)
        self.size = j + 1
        invariant = False
        if norm <= INVARIANT * before:
            off = float(np.abs(self.system.shifted(w, self.gamma)).sum())
            noise = UNIT_ROUNDOFF * (self.system.roundings + self.size + 2) * self.terms[j]
            invariant = norm == 0.0 or off <= NOISE * noise  # else what is left, though small, is a direction
        if invariant:
            self.left[j] += off
            return
        self._H[j + 1, j] = norm
        w /= norm
        self.norms[j + 1] = np.abs(w).sum()

    def _orthogonalise(self, w: FloatArray, j: int) -> float:
        """Make w orthogonal to the vectors up to j; return what is left of its norm.

        The relation that H stands for holds whatever is left, so that a second round is made only where that shows.
        """
        V = self._V[: j + 1]
        coefficients = V @ w
        w -= coefficients @ V
        self._H[: j + 1, j] = coefficients
        norm = float(np.linalg.norm(w))
        again = V @ w
        if float(np.linalg.norm(again)) > ORTHOGONAL * norm:
            w -= again @ V
            self._H[: j + 1, j] += again
            norm = float(np.linalg.norm(w))
        return norm

    def weights(self) -> FloatArray:
        """Return the 1-norms that g_j is weighted with in the residual, less β/γ, (size,)."""
        weights = self.left[: self.size].copy()
        if not self.invariant:
            q = self.system.shifted(self._V[self.size], self.gamma)
            weights[-1] += self._H[self.size, self.size - 1] * float(np.abs(q).sum())
            self.n_products += 1
        return weights

    def small(self, h: float) -> tuple[SchurForm, list[ComplexArray]]:
        """Return the modes of H and the doublings of a step; an estimate and the path that follows it share them."""
        if self._small is None or self._small[0] != (self.size, h):
            modes = SchurForm(self.square, self.gamma)
            self._small = (self.size, h), modes, doublings(modes.G, h)
        return self._small[1:]

    def error_estimate(self, h: float) -> float:
        """Return roughly the error of a step `h`: the residual at its end, times its length."""
        modes, powers = self.small(h)
        if not np.isfinite(powers[-1]).all():
            return inf
        scale = self._H[self.size, self.size - 1] * self.norms[self.size]
        end = modes.Q[-1] @ modes.inverse @ powers[-1] @ modes.start
        return float(self.beta / self.gamma * h * scale * abs(end))

    def noise(self, h: float) -> float:
        """Return below what an error of a step `h` is not seen for rounding: more vectors would be of no use."""
        return NOISE * UNIT_ROUNDOFF * (self.size + 2) * (1.0 + h / self.gamma) * self.beta * float(self.norms[0])

    def combine(self, u: FloatArray) -> FloatArray:
        """Return ``β V u``."""
        z: FloatArray = (self.beta * u) @ self._V[: self.size]
        return z

    def leak(self) -> FloatArray:
        """Return what one unit of each vector holds in the sinks, (size,)."""
        leak: FloatArray = self.beta * self._V[: self.size, self.system.n :].sum(axis=1)
        return leak


class _ExponentialPath:
    """The small exponential over one step, with the bounds of error and rounding at every point of its grid.

    `times` (m,) are 0 and the points of the grid, `u` (size, m) is ``exp(s G) e_1`` there, `errors` and `roundings` are
    bounds up to there, (m,), and `reached` is the last point whose error keeps to its share.
    """

    def __init__(self, basis: _Basis, h: float, tol_rate: float) -> None:
        modes, powers = basis.small(h)
        self.times, path = follow(powers, modes.start, h)
        self.u = (modes.Q @ path).real
        self.u[:, 0] = np.eye(basis.size)[0]
        g = np.abs(modes.Q @ (modes.inverse @ path))  # (size, m)
        scale = basis.beta / basis.gamma
        self.errors = scale * residual_integrals(modes, powers, path, self.times, basis.weights())
        terms = UNIT_ROUNDOFF * (basis.system.roundings + basis.size + 2) * basis.terms[: basis.size]
        spread = basis.beta * (basis.norms[: basis.size] @ np.abs(self.u))
        # H is known to rounding, and a slow mode, where it is nearly 1, is divided by γ: s/γ roundings on the way, each
        # of complex numbers.
        small = COMPLEX * UNIT_ROUNDOFF * (basis.size + 2) * (1.0 + self.times / basis.gamma)
        self.roundings = scale * integrals(terms @ g, self.times) + small * np.maximum.accumulate(spread)
        self._leaks = basis.leak() @ self.u
        allowed = np.maximum(tol_rate * self.times, NOISE * self.roundings)
        sound = (self.errors <= allowed) & (np.maximum.accumulate(spread) <= LARGEST_SPREAD * spread[0])
        sound[0] = True
        self.reached = int(np.flatnonzero(sound)[-1])

    @property
    def reaches_end(self) -> bool:
        """Whether the whole step keeps to its share of the error."""
        return self.reached == len(self.times) - 1

    def kept(self, limit: LossLimit) -> tuple[int, int]:
        """Return the last point up to which the loss keeps to its limit, and one beyond (the same if there is none)."""
        over = self._leaks[: self.reached + 1] > limit.offset + limit.rate * self.times[: self.reached + 1]
        over[0] = False
        if not over.any():
            return self.reached, self.reached
        first = int(np.argmax(over))
        return first - 1, min(self.reached, first + PER_OCTAVE)
