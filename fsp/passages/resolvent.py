"""Power spectra by resolvents: S(ω) = G_ab(ω) + conj(G_ba(ω)), G_ab(ω) = π(a (iω - L)⁻¹ b) for centred a and b.

G_ab is the integral of Cov(a(X(0)), b(X(τ))) exp(-iωτ) over τ > 0, and L is the transpose of the generator.  Let z be
the most probable state, T the time before it is met, q its exit rate, and for a rate f

    g_f(x) = E_x ∫_0^T exp(-iωs) f(X_s) ds = ((iω + M)⁻¹ f)(x),        g_f(z) = 0.

(iω - L)⁻¹ b is g_b + h E_x exp(-iωT) with a number h.  As π(b) = 0, what is solved at z for h is

(1) G_ab = π(a g_b) + iω π(a g_1) D_b/(1 - iω D_1),
    D_f = π(g_f) + π(z)/(q + iω) (f(z) + Σ_y a(z, y) g_f(y)),

in which nothing is divided by ω.  All of it is linear in π and in g, so that centring costs a few more products.  Let
S be stored states and v about the solution of (iω + M) v = f on them.  As |exp(-iωs)| = 1, M⁻¹ bounds the resolvent:

(2) |g_f - v| <= M⁻¹ |f - (iω + M) v| + M⁻¹ (out H)        on S,
(3) |g_f| <= H at all other states, and Σ_{x not in S} π(x) |a(x)| |g_f(x)| <= Σ_{x not in S} π(x) C(x) H(x),

where C is at least 1, |a| and |b|, and H at least the mean of the integral of C up to T (`gluing`).

References
----------
C. W. Gardiner, Stochastic Methods, 4th ed., Springer 2009, sections 1.5.2 and 3.7.4.
S. Asmussen, Applied Probability and Queues, 2nd ed., Springer 2003, ch. VI (regenerative processes).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from fsp.arithmetic import SUM_ROUNDING, UNIT_ROUNDOFF, dot
from fsp.distribution.correlation import Spectrum
from fsp.equilibrium.certificate import roundings
from fsp.errors import StateSpaceError
from fsp.passages.discs import Disc
from fsp.passages.gluing import Above, excepting, glued
from fsp.passages.stopped import Stopped
from fsp.passages.systems import RIGHT, exit_system
from fsp.passages.targets import Targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import ComplexArray, FloatArray
    from fsp.moments.lyapunov import DriftCondition
    from fsp.passages.products import ObservedLaw
    from fsp.passages.stationary_law import StationaryLaw

REFINEMENTS = 2  # the second gains what the first rounds; the residual is charged
NOTHING_KNOWN = "no bound of what happens at states that are not stored is known"
OF_ROUNDING = "at a frequency so far above all rates double precision tells nothing of it"
OF_SUMS = 16.0 * UNIT_ROUNDOFF  # relative rounding of a complex right-hand side and of a few products with it


@dataclass(frozen=True, slots=True, eq=False)
class _Solved:
    """g_f at the states of the space."""

    v: ComplexArray  # (n,), 0 at z
    off: FloatArray  # (n,) bound of |g_f - v|
    back: Disc  # f(z) + Σ_y a(z, y) g_f(y)


class Excursions:
    """The chain between visits of its most probable state, on the space of a law at rest.

    `laws` are those of the observables, and `paid` the functions that pay for C and for C times the first one, outside.
    """

    def __init__(self, rest: StationaryLaw, laws: Sequence[ObservedLaw], paid: Sequence[DriftCondition | None]) -> None:
        generator = rest.generator
        self._rest, self._laws = rest, laws
        self._z = int(np.argmax(rest.p))
        self._targets = _at(generator.model.species, generator.space.states_at(np.array([self._z]))[0])
        self._stage = Stopped.of(generator, self._targets, np.ones(len(generator), dtype=np.bool_))
        self._still = not generator.exit_rates[self._z] > 0.0  # all that is at rest is z, or there are other classes
        if len(self._stage.trapped) or (self._still and rest.certified and rest.upper[self._z] < 1.0):
            raise StateSpaceError(
                "A spectrum must be that of a network with one closed class, but several are reached, and what is "
                "averaged over them never relaxes; start in a state that leads to one of them only."
            )
        exits = self._stage.hits.sum(axis=0) + self._stage.outflow
        self._system = exit_system(self._stage.matrix, exits, roundings(generator))
        self._matrix = (-self._stage.matrix.T).tocsr()  # M, which acts on functions
        self._size = abs(self._matrix)
        values = sum((np.abs(law.values) for law in laws), np.ones(len(generator)))  # C, (n,)
        self._above = self._height(values[self._stage.inside], paid[0])
        self._escaped, self._outside = np.zeros(len(self._stage)), 0.0
        if self._above is not None:
            heights = self._above.values(self._stage.states) + self._above.alpha
            self._escaped = self._system.bounds(self._stage.leaking(heights))[1]
            self._outside = self._above.alpha * rest.beyond(paid[0]) + rest.beyond(paid[1])
        elif generator.leaks:
            self._outside = inf

    def _height(self, cost: FloatArray, paid: DriftCondition | None) -> Above | None:
        """Return H outside; None where it is not known, or there is no outside."""
        generator = self._rest.generator
        if paid is None or not generator.leaks or (generator.space.index(paid.states) < 0).any():
            return None
        leaving = np.minimum(self._system.bounds(self._stage.outflow)[1], 1.0)
        over = Above(excepting(paid, 0.0), 1.0, 0.0)
        bound = glued(generator.space, self._stage, self._system, cost, leaving, over)
        return None if bound is None else bound[1]

    def spectrum(self, frequencies: FloatArray) -> Spectrum:
        """Return the spectrum at angular frequencies (m,)."""
        values = np.zeros(len(frequencies), dtype=np.complex128)
        radii, residuals = np.zeros(len(frequencies)), np.zeros(len(frequencies))
        if self._still:  # where a finite H shows that z is met from all states, nothing else is at rest
            apart = radii + (self._outside if self._outside == inf else 0.0)
            known, reason = self._judged(apart)
            return Spectrum(frequencies, radii, residuals, apart, known, reason)
        same = np.array_equal(self._laws[0].values, self._laws[1].values)
        for k, omega in enumerate(frequencies.tolist()):
            rates = [np.ones(len(self._rest.p)), *(law.values for law in (self._laws[:1] if same else self._laws))]
            solved, residuals[k] = self._solved(rates, omega)
            power = self._joined(solved[0], (0, 1), solved[1 if same else 2], omega)
            other = power if same else self._joined(solved[0], (1, 0), solved[1], omega)
            both = power + other.conjugate
            values[k], radii[k] = both.value, both.radius
        known, reason = self._judged(radii)
        return Spectrum(frequencies, values.real.copy() if same else values, residuals, radii, known, reason)

    def _judged(self, radii: FloatArray) -> tuple[bool, str]:
        """Tell whether `radii` (m,) are bounds, as far as they are finite, and why not all are."""
        known = np.isfinite(radii)
        why = NOTHING_KNOWN if self._outside == inf else OF_ROUNDING
        reason = "" if known.all() and self._rest.certified else self._rest.reason or why
        return self._rest.certified and bool(known.any() or not len(known)), reason

    def _joined(self, ones: _Solved, pair: tuple[int, int], solved: _Solved, omega: float) -> Disc:
        """Return G_ab, of the observables of two numbers, for g_1 and g_b: (1)."""
        first, second = self._laws[pair[0]], self._laws[pair[1]]
        mean_a, mean_b = _mean_of(first), _mean_of(second)
        unit = np.ones(len(self._rest.p))
        all_1, all_b = self._under(unit, ones), self._under(unit, solved)
        a_1 = self._under(first.values, ones) - mean_a * all_1
        a_b = self._under(first.values, solved) - mean_a * all_b - mean_b * a_1
        if omega == 0.0:
            return a_b
        exit_rate = float(self._rest.generator.exit_rates[self._z])
        of_z = Disc.between((float(self._rest.lower[self._z]), float(self._rest.upper[self._z])))
        sojourn = of_z / Disc(complex(exit_rate, omega), self._rest.off * exit_rate)
        d_1 = all_1 + sojourn * ones.back
        d_b = all_b + sojourn * solved.back - mean_b * d_1
        turn = Disc(1j * omega)
        return a_b + turn * a_1 * d_b / (Disc(1.0 + 0.0j) - turn * d_1)

    def _under(self, values: FloatArray, solved: _Solved) -> Disc:
        """Return the mean π(values g) of `values` (n,) of an observable, or of ones."""
        rest = self._rest
        terms = rest.p * values * solved.v
        if self._outside == inf:
            return Disc(complex(terms.sum()), inf)
        apart = np.maximum(rest.upper - rest.p, rest.p - rest.lower)
        size = np.abs(values)
        off = float(dot(rest.upper, size * solved.off)) + float(dot(apart, size * np.abs(solved.v)))
        off += (SUM_ROUNDING + OF_SUMS) * float(np.abs(terms).sum())
        return Disc.around(complex(terms.sum()), off * (1.0 + SUM_ROUNDING) + self._outside)  # (3)

    def _solved(self, rates: Sequence[FloatArray], omega: float) -> tuple[list[_Solved], float]:
        """Return g_f for each f of `rates`, (n,), and the largest relative residual."""
        inside, n = self._stage.inside, len(self._stage)
        shifted = (self._matrix + sparse.diags_array(np.full(n, 1j * omega))).tocsr() if omega else self._matrix
        try:
            factors: Any = linalg.splu(shifted.tocsc())
        except RuntimeError:  # a pivot is zero
            raise StateSpaceError(
                "A spectrum must be that of states that all lead to the most probable one, but double precision cannot "
                "tell that they do; start in a state that leads to one closed class only."
            ) from None
        charged, solutions, worst = roundings(self._rest.generator) + OF_SUMS, [], 0.0
        for f in rates:
            right = f[inside]
            v = factors.solve(right.astype(shifted.dtype))
            for _ in range(REFINEMENTS):
                v = v + factors.solve(right - shifted @ v)
            left = np.abs(right - shifted @ v)
            worst = max(worst, float(left.sum()) / (float(np.abs(right).sum()) or 1.0))
            left += charged * (self._size @ np.abs(v)) + OF_SUMS * abs(omega) * np.abs(v) + RIGHT * np.abs(right)
            solutions.append(
                self._placed(f, v.astype(np.complex128), self._system.bounds(left)[1] + self._escaped)
            )  # (2)
        return solutions, worst

    def _placed(self, f: FloatArray, v: ComplexArray, off: FloatArray) -> _Solved:
        """Return g_f at all states of the space, with what it is after a visit of z."""
        generator, inside, z = self._rest.generator, self._stage.inside, self._z
        values, error = np.zeros(len(f), dtype=np.complex128), np.zeros(len(f))
        values[inside], error[inside] = v, off
        jumps = np.asarray(generator.to_csr()[:, [z]].todense()).ravel()
        jumps[z] = 0.0
        terms = jumps * values
        if self._outside == inf:
            return _Solved(values, error, Disc(complex(f[z] + terms.sum()), inf))
        radius = float(dot(jumps, error)) + (SUM_ROUNDING + self._rest.off) * float(np.abs(terms).sum())
        for leak in generator.leaks:
            here = leak.sources == z
            if here.any() and self._above is not None:
                states = generator.space.states_at(leak.sources[here]) + leak.change
                radius += float(leak.rates[here] @ (self._above.values(states) + self._above.alpha))
        radius = radius * (1.0 + SUM_ROUNDING + self._rest.off)
        return _Solved(values, error, Disc(complex(f[z])) + Disc.around(complex(terms.sum()), radius))


def _at(species: tuple[str, ...], state: Any) -> Targets:
    """Return one state as a target."""
    return Targets(
        ("z",),
        (lambda counts: np.logical_and.reduce([counts[s] == x for s, x in zip(species, state.tolist(), strict=True)]),),
        species,
    )


def _mean_of(law: ObservedLaw) -> Disc:
    """Return the mean of an observable; where nothing bounds it that of the stored states, with no finite radius."""
    low, high = law.mean
    if isfinite(high - low):
        return Disc.between(law.mean)
    return Disc(complex(float(law.p @ law.values)), inf)
