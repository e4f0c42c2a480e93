"""Linear noise, and the next order of the system-size expansion.

With f, g of `fsp.approximation.scaling`, changes ν and J = Σ ν f', the cumulants of the concentrations x/V are

    mean         φ + m/V + O(V⁻²)
    covariance   C/V + C₁/V² + O(V⁻³),      third cumulant   K/V² + O(V⁻³)

    dφ/dt  = Σ ν f                                                                    rate equations
    dC/dt  = J C + C Jᵀ + Σ ν νᵀ f                                                    linear noise
    dm/dt  = J m + Σ ν (½ f'':C + g)                                                  effective mesoscopic rates
    dK/dt  = sym(J K + Σ ν (C f'' C) + Σ (f' C) ν νᵀ) + Σ ν ν ν f
    dC₁/dt = J C₁ + C₁ Jᵀ + A + Aᵀ + Σ ν νᵀ (f' m + ½ f'':C + g)
    A      = Σ ν (f'' m C + ½ f'':K + ½ (f''':C) C + g' C)

which is what the equations of the first three cumulants say to these orders, as the fourth is O(V⁻³); sym adds the
three ways of choosing the first index.  Only directions in which reactions lead are computed.  At a stable steady
state all but the first are linear systems, and the spectrum of the fluctuations is

    S(ω) = V (J - iω)⁻¹ (Σ ν νᵀ f) (J - iω)⁻ᴴ,      ∫ S dω/2π = V C.

References
----------
N. G. van Kampen, Stochastic Processes in Physics and Chemistry, chapter X.
R. Grima, An effective rate equation approach to reaction kinetics in small volumes, J. Chem. Phys. 133 (2010) 035101,
doi:10.1063/1.3454685.
P. Thomas, H. Matuschek, R. Grima, How reliable is the linear noise approximation of gene regulatory networks?, BMC
Genomics 14 (2013) S5, doi:10.1186/1471-2164-14-S4-S5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.integrate import solve_ivp
from scipy.linalg import orth, solve_continuous_lyapunov

from fsp.approximation.derivatives import Tensors
from fsp.approximation.scaling import ScaledNetwork
from fsp.bars import Course, barred, callback, silent
from fsp.checks import as_numbers
from fsp.distribution.display import Displayed
from fsp.errors import ArgumentError, ConvergenceError, ModelError
from fsp.model.arguments import check_call
from fsp.model.times import checked_times

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.bars import StateCallback
    from fsp.model import Model

TOLERANCE = 1e-10  # relative, of the ordinary differential equations
ABSOLUTE_TOLERANCE = 1e-12  # of these, absolute, times the largest initial concentration or one
DOUBLINGS = 60  # of the time in which a steady state is looked for
NEWTON_FROM = 1e-3  # relative length of Newton's step from where it is tried
NEWTON = 20  # steps at most
SLOWEST = 1e-10  # decay of a stable steady state, of the fastest at the start: less is lost in rounding
DECAYS = 4.0  # times of the slowest decay in which an exponential approach is told from that of a power, at most 2
RUNAWAY = 1e12  # times the initial values: rate equations beyond run away to infinity


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class LinearNoise(Displayed):
    """Means and covariances by the expansion in the volume; T times, or one where stationary.

    Parameters
    ----------
    model_name, species
        Names of the model and of its species.
    times
        (T,) times; None where stationary.
    concentrations, noise
        φ (T, d) and C (T, d, d).
    mean_correction, covariance_correction
        m (T, d) and C₁ (T, d, d); NaN where they were not asked for.
    jacobian, diffusion
        J and Σ ν νᵀ f, (T, d, d), J on what reactions can change.
    """

    model_name: str
    species: tuple[str, ...]
    times: tuple[float, ...] | None
    concentrations: FloatArray
    noise: FloatArray
    mean_correction: FloatArray
    covariance_correction: FloatArray
    jacobian: FloatArray
    diffusion: FloatArray

    def mean(self, volume: float = 1.0, *, corrected: bool = False) -> FloatArray:
        """Return the means in molecules, (T, d): V φ, with the next order V φ + m."""
        return volume * self.concentrations + (self.mean_correction if corrected else 0.0)

    def covariance(self, volume: float = 1.0, *, corrected: bool = False) -> FloatArray:
        """Return the covariances in molecules, (T, d, d): V C, with the next order V C + C₁."""
        return volume * self.noise + (self.covariance_correction if corrected else 0.0)

    def spectrum(self, frequencies: Sequence[float] | FloatArray, volume: float = 1.0) -> FloatArray:
        """Return the power spectrum of each species at a steady state.

        Parameters
        ----------
        frequencies
            (n,) angular frequencies ω, in radians per unit of time.
        volume
            The volume.

        Returns
        -------
        ndarray
            (n, d) S(ω), in molecules squared times time, both signs of ω: ∫ S dω/2π is the variance.

        Raises
        ------
        ArgumentError
            If this is not stationary.
        """
        if self.times is not None:
            raise ArgumentError("`spectrum` must be of a steady state, but this is at given times; leave out `times`.")
        omega = as_numbers("`frequencies`", frequencies)
        shifted = self.jacobian[0] - 1j * omega[:, None, None] * np.eye(len(self.species))  # (n, d, d)
        # directions that no reaction changes have no noise, and no response: zero stays zero
        inverse = np.linalg.pinv(shifted)
        full = inverse @ self.diffusion[0] @ inverse.conj().transpose(0, 2, 1)
        return volume * np.real(np.diagonal(full, axis1=1, axis2=2))

    def __str__(self) -> str:
        head = f"{self.model_name}: linear noise{'' if self.times else ' at the steady state'}"
        lines = [head, f"{'t':>8} {'species':>8} {'φ':>12} {'m':>12} {'C':>12} {'C₁':>12}"]
        for k, t in enumerate(self.times or (np.inf,)):
            for i, name in enumerate(self.species):
                numbers = (self.concentrations[k, i], self.mean_correction[k, i], self.noise[k, i, i],
                           self.covariance_correction[k, i, i])  # fmt: skip
                lines.append(f"{t:8g} {name:>8} " + " ".join(f"{number:12.6g}" for number in numbers))
        return "\n".join(lines)


@barred()
def linear_noise(
    model: Model,
    times: Sequence[float] | FloatArray | float | None = None,
    *,
    next_order: bool = True,
    progress: StateCallback | bool | None = None,
) -> LinearNoise:
    """Expand the master equation in the volume, about the rate equations.

    Parameters
    ----------
    model
        The network at V = 1, which starts in one state.
    times
        Increasing times >= 0; None for the steady state that the rate equations reach.
    next_order
        Whether means are expanded to 1/V and covariances to 1/V² of concentrations.
    progress
        True for a bar; or a function that is called now and then with a moment, whose ``status`` says the time, and
        may raise KeyboardInterrupt.

    Returns
    -------
    LinearNoise
        Concentrations and their covariances, in any volume.

    Raises
    ------
    ModelError
        If a rate is a callable, or has a condition on the state; if the model has events, or starts in a distribution.
    ConvergenceError
        If the equations have no solution up to the last time, or reach no stable steady state.

    References
    ----------
    R. Grima, J. Chem. Phys. 133 (2010) 035101, doi:10.1063/1.3454685.

    Examples
    --------
    >>> pairs = fsp.Model(species={"A": 20, "B": 0}, reactions=[
    ...     fsp.Reaction("2 A -> B", mass_action=0.05), fsp.Reaction("B -> 2 A", mass_action=0.3)])
    >>> fsp.linear_noise(pairs, 1.0).mean(volume=4, corrected=True).round(3)
    array([[44.713, 17.644]])
    """
    check_call(model, progress=progress)
    expansion = SystemSizeExpansion(ScaledNetwork(model), next_order=next_order, report=callback(progress) or silent)
    if times is None:
        return expansion.steady()
    return expansion.at(checked_times(times))


class SystemSizeExpansion:
    """The equations of a network, in coordinates z of the directions in which reactions lead."""

    def __init__(self, network: ScaledNetwork, *, next_order: bool = True, report: StateCallback = silent) -> None:
        model = network.model
        self._model, self._next, self._report = model, next_order, report
        S = model.change.T.astype(float)  # (d, R)
        self._basis = np.eye(len(S)) if np.linalg.matrix_rank(S) == len(S) else orth(S)  # (d, s)
        self._change = self._basis.T @ S  # (s, R)
        self._origin = model.initial_states[0].astype(float)  # (d,)
        f, g = ([getattr(term, name) for term in network.scalings] for name in ("macroscopic", "correction"))
        self._f = Tensors(f, model.species, 3 if next_order else 1)
        self._g = Tensors(g, model.species, 1)

    @property
    def _shapes(self) -> list[tuple[int, ...]]:
        s = len(self._change)
        return [(s,), (s, s)] + ([(s,), (s, s, s), (s, s)] if self._next else [])

    def at(self, times: FloatArray) -> LinearNoise:
        """Return the expansion at times (T,)."""
        start = np.zeros(sum(int(np.prod(shape)) for shape in self._shapes))
        path = self._integrated(self._slope, start, 0.0, times, float(times[-1]))  # (T, n)
        return self._noise(times, [self._parts(row) for row in path])

    def steady(self) -> LinearNoise:
        """Return the expansion at the steady state that is reached."""
        if self._model.is_time_dependent:
            raise ModelError(
                f"Rates of '{self._model.name}' must be constant for a steady state, but depend on time; give `times`."
            )
        z = self._steady_state()
        f, J = self._rates(z, 0.0)
        parts = [z, solve_continuous_lyapunov(J, -(self._change * f[0]) @ self._change.T)]
        if self._next:
            parts += self._steady_corrections(z, parts[1], f, J)
        return self._noise(None, [parts])

    def _concentrations(self, z: FloatArray) -> FloatArray:
        y: FloatArray = self._origin + self._basis @ z
        return y

    def _rates(self, z: FloatArray, t: float) -> tuple[list[FloatArray], FloatArray]:
        """Return f and its derivatives by z, (R,), (R, s), …, and J (s, s)."""
        tensors = self._f(self._concentrations(z), t)
        for n in range(1, len(tensors)):
            for axis in range(1, n + 1):
                tensors[n] = np.moveaxis(np.tensordot(tensors[n], self._basis, (axis, 0)), -1, axis)
        return tensors, self._change @ tensors[1]

    def _parts(self, v: FloatArray) -> list[FloatArray]:
        ends = np.cumsum([int(np.prod(shape)) for shape in self._shapes])[:-1]
        return [part.reshape(shape) for part, shape in zip(np.split(v, ends), self._shapes, strict=True)]

    def _slope(self, t: float, v: FloatArray) -> FloatArray:
        z, C, *rest = self._parts(v)
        S = self._change
        f, J = self._rates(z, t)
        slopes = [S @ f[0], J @ C + C @ J.T + (S * f[0]) @ S.T]
        if rest:
            m, K, C1 = rest
            b, third = self._forcing(z, C, f, t)
            slopes += [J @ m + S @ b, _symmetric(np.einsum("il,ljk->ijk", J, K)) + third]
            slopes.append(J @ C1 + C1 @ J.T + self._second(z, C, m, K, f, t, b))
        return np.concatenate([slope.ravel() for slope in slopes])

    def _forcing(self, z: FloatArray, C: FloatArray, f: list[FloatArray], t: float) -> tuple[FloatArray, FloatArray]:
        """Return ½ f'':C + g (R,), and what drives K, (s, s, s)."""
        S = self._change
        b = 0.5 * np.einsum("rjk,jk->r", f[2], C) + self._g(self._concentrations(z), t)[0]
        curved = np.einsum("ir,rlm,lj,mk->ijk", S, f[2], C, C, optimize=True)
        mixed = np.einsum("ir,jr,rl,lk->kij", S, S, f[1], C, optimize=True)
        return b, _symmetric(curved + mixed) + np.einsum("ir,jr,kr,r->ijk", S, S, S, f[0], optimize=True)

    def _second(
        self, z: FloatArray, C: FloatArray, m: FloatArray, K: FloatArray, f: list[FloatArray], t: float, b: FloatArray
    ) -> FloatArray:
        """Return what drives C₁, (s, s)."""
        S = self._change
        g1 = self._g(self._concentrations(z), t)[1] @ self._basis  # (R, s)
        inner = np.einsum("rkm,m->rk", f[2], m) + 0.5 * np.einsum("rklm,lm->rk", f[3], C) + g1  # (R, s)
        A = S @ (inner @ C + 0.5 * np.einsum("rkl,klj->rj", f[2], K))
        driven: FloatArray = A + A.T + (S * (f[1] @ m + b)) @ S.T
        return driven

    def _steady_corrections(self, z: FloatArray, C: FloatArray, f: list[FloatArray], J: FloatArray) -> list[FloatArray]:
        s, identity = len(J), np.eye(len(J))
        b, third = self._forcing(z, C, f, 0.0)
        m = -np.linalg.solve(J, self._change @ b)
        operator = (
            np.kron(np.kron(J, identity), identity)
            + np.kron(np.kron(identity, J), identity)
            + np.kron(np.kron(identity, identity), J)
        )
        K = -np.linalg.solve(operator, third.ravel()).reshape(s, s, s)
        return [m, K, solve_continuous_lyapunov(J, -self._second(z, C, m, K, f, 0.0, b))]

    def _steady_state(self) -> FloatArray:
        """Follow the rate equations until Newton's method takes over; return z (s,)."""
        _, J = self._rates(np.zeros(len(self._change)), 0.0)
        t, length, z = 0.0, 1.0 / max(float(np.abs(J).max(initial=0.0)), 1e-9), np.zeros(len(self._change))
        flow, slowest = self._flow, SLOWEST * float(np.abs(J).max(initial=0.0))
        for _ in range(DOUBLINGS):
            z = self._integrated(flow, z, t, np.array([t + length]))[-1]
            t, length = t + length, 2.0 * length
            root = self._newton(z, max(DECAYS / t, slowest))
            if root is not None:
                return root
        raise ConvergenceError(
            f"Rate equations of '{self._model.name}' must reach a stable steady state, but have reached none up to "
            f"t = {t:.3g}; give `times`."
        )

    def _flow(self, t: float, z: FloatArray) -> FloatArray:
        slope: FloatArray = self._change @ self._f(self._concentrations(z), t)[0]
        return slope

    def _newton(self, start: FloatArray, slowest: float) -> FloatArray | None:
        """Return the stable steady state close to `start` (s,), decaying at least so fast; None where there is none.

        Where a state is approached like a power of time, as by 2 A -> 0, the slowest rate times the time is at most 2.
        """
        z, scale = start, 1.0 + np.abs(self._concentrations(start)).max()
        for k in range(NEWTON):
            f, J = self._rates(z, 0.0)
            if not np.isfinite(J).all() or not np.linalg.eigvals(J).real.max(initial=-np.inf) < -slowest:
                return None
            step = -np.linalg.solve(J, self._change @ f[0])
            if k == 0 and not np.abs(step).max(initial=0.0) <= NEWTON_FROM * scale:
                return None
            z = z + step
            if np.abs(step).max(initial=0.0) <= 1e-14 * scale:
                return z
        return z

    def _integrated(
        self,
        slope: Callable[[float, FloatArray], FloatArray],
        start: FloatArray,
        t0: float,
        times: FloatArray,
        end: float | None = None,
    ) -> FloatArray:
        """Integrate from t0; return the solution at times (T,), (T, n); it is known to go to `end`."""
        if times[-1] == t0:
            return start[None, :]
        atol = ABSOLUTE_TOLERANCE * max(1.0, float(np.abs(self._origin).max()))
        far = RUNAWAY * (1.0 + float(np.abs(start).max()) + float(np.abs(self._origin).max()))

        def runs_away(t: float, v: FloatArray) -> float:
            self._report(Course(t, end))
            return far - float(np.abs(v).max())

        runs_away.terminal = True  # type: ignore[attr-defined]
        with np.errstate(over="ignore", invalid="ignore"):
            done = solve_ivp(
                slope, (t0, float(times[-1])), start, "LSODA", t_eval=times, rtol=TOLERANCE, atol=atol, events=runs_away
            )
        if done.status != 0 or not np.isfinite(done.y).all():
            raise ConvergenceError(
                f"Expansion of '{self._model.name}' must have a solution up to t = {times[-1]:g}, but the integration "
                f"ended: {'it runs away to infinity' if done.status == 1 else done.message}"
            )
        path: FloatArray = done.y.T
        return path

    def _noise(self, times: FloatArray | None, rows: list[list[FloatArray]]) -> LinearNoise:
        """Go back from z to species."""
        Q, d, n = self._basis, len(self._basis), len(rows)
        moments = [np.array(part) for part in zip(*rows, strict=True)]  # (T, s), (T, s, s), …
        first, second = np.full((n, d), np.nan), np.full((n, d, d), np.nan)
        if self._next:
            first, second = moments[2] @ Q.T, Q @ moments[4] @ Q.T
        at = [0.0] if times is None else times.tolist()
        local = [self._rates(z, t) for z, t in zip(moments[0], at, strict=True)]
        return LinearNoise(
            self._model.name,
            self._model.species,
            None if times is None else tuple(at),
            concentrations=self._origin + moments[0] @ Q.T,
            noise=Q @ moments[1] @ Q.T,
            mean_correction=first,
            covariance_correction=second,
            jacobian=np.array([Q @ J @ Q.T for _, J in local]),
            diffusion=np.array([Q @ (self._change * f[0]) @ self._change.T @ Q.T for f, _ in local]),
        )


def _symmetric(tensor: FloatArray) -> FloatArray:
    """Add the three ways of choosing the first index of a tensor (s, s, s) that is symmetric in the other two."""
    total: FloatArray = tensor + tensor.transpose(1, 0, 2) + tensor.transpose(1, 2, 0)
    return total
