"""Bounds of the slowest eigenvalues, on all states: in detailed balance, or where there are few states.

In detailed balance -A is, in the basis of the roots of the stationary probabilities, a symmetric operator with entries
``-(a(x, y) a(y, x))^½`` and exit rates on its diagonal, and its form is ½ Σ π(x) a(x, y) (f(y) - f(x))².  Its rates
ρ_0 <= ρ_1 <= … are minus the eigenvalues.  Let S be finitely many states.

(1) ρ_k is at most the k-th eigenvalue of the part of the operator on S, by the principle of Courant and Fischer.

Let W > 0 be a function whose drift is at most -θ W at all states outside S.  Jumps with an end outside S alone are a
reversible chain too, and its form is at least Σ π (-A' W/W) f², for any W > 0, with its generator A' (Barta, Jacobi).
So the form of the network is at least that of the jumps within S, with Σ_{y not in S} a(x, y) (1 - W(y)/W(x)) added on
the diagonal, and θ Σ π f² outside S:

(2) ρ_k is at least the smaller one of θ and of the k-th eigenvalue of the part on S whose diagonal is less by
    Σ_{y not in S} a(x, y) W(y)/W(x).

Both parts differ next to the boundary alone, where eigenvectors are small.  Eigenvalues are counted by pivots
(`fsp.chains.inertia`).  W is a power of 1 + g with a function g of a drift condition.  Where the chain ends outside the
states that count, exit rates hold that, and the same is true.

References
----------
R. Courant, D. Hilbert, Methods of Mathematical Physics I, Interscience 1953, ch. VI.
M.-F. Chen, Eigenvalues, Inequalities, and Ergodic Theory, Springer 2005, ch. 1 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.chains.inertia import all_eigenvalues, negative_pivots
from fsp.equilibrium.certificate import LARGEST_RATE_ERROR, roundings
from fsp.equilibrium.line import Line
from fsp.equilibrium.reachability import Reachability
from fsp.generator import Generator
from fsp.moments.complexes import complex_graph, is_detailed_balanced
from fsp.moments.lyapunov import DriftCondition, NoDriftCondition, costly_condition, drift_condition
from fsp.moments.polynomial import plus, power, scaled
from fsp.space import StateSpace

if TYPE_CHECKING:
    from fsp.arrays import ComplexArray, FloatArray, IntArray
    from fsp.model import Model
    from fsp.projection.growth import Growth

MOST_FACTORISED = 20_000  # of a symmetric matrix that is factorised several times for each mode; chosen
DENSE_STATES = 300  # all of whose eigenvalues are bounded at once, in about a second
EXPONENTS = (1, 2, 3, 4, 6, 8, 12)  # of 1 + g that are tried
THETA_OVER_FASTEST = 4  # θ over the fastest rate that is asked for; more needs higher powers
# Relative distances from a rate at which eigenvalues are counted: the first that succeeds is taken.
DISTANCES = (1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)


@dataclass(frozen=True, slots=True, eq=False)
class _Weight:
    """W, with θ/time, and the states at which its drift may be larger."""

    condition: DriftCondition
    theta: float


def radii(
    model: Model, growth: Growth, states: IntArray, values: ComplexArray, *, absorbed: bool, closed: bool
) -> FloatArray:
    """Return bounds of the distances of eigenvalues `values` (m,) to those of the network; infinite where unknown.

    They are the slowest ones, zero apart, of the chain on `states` (n, d), or before it is `absorbed`; all of its
    states are among these where they are `closed`.
    """
    unknown = np.full(len(values), np.inf)
    if model.events or model.start_lacks or len(states) > MOST_FACTORISED:
        return unknown
    if _in_detailed_balance(model, absorbed=absorbed):
        given = states
        weight = None if closed else _weight(model, THETA_OVER_FASTEST * float(-values.real.min()))
        if weight is not None:
            states = _with_excepted(model, states, weight.condition.states)
        if len(states) > MOST_FACTORISED or not growth.affords(len(states)) or (weight is None and not closed):
            return unknown
        return _of_symmetric(model, states, values, weight, given, absorbed=absorbed)
    if closed and not absorbed and len(states) <= DENSE_STATES:
        return _of_few(Generator(model, StateSpace.from_states(model.species, states)), values)
    return unknown


def _in_detailed_balance(model: Model, *, absorbed: bool) -> bool:
    if Line.of(model) is not None:
        return True
    graph = None if absorbed else complex_graph(model, np.any(model.initial_states > 0, axis=0))
    return graph is not None and is_detailed_balanced(graph)


def _of_few(generator: Generator, values: ComplexArray) -> FloatArray:
    """Bound by all eigenvalues of a closed class, of which 0 is one."""
    unknown = np.full(len(values), np.inf)
    if generator.leaks or not roundings(generator) < LARGEST_RATE_ERROR:
        return unknown
    discs = all_eigenvalues(generator.to_csr().toarray(), roundings(generator))
    if discs is None:
        return unknown
    order = np.argsort(-discs[0].real, kind="stable")
    exact, around = discs[0][order], discs[1][order]
    if not abs(exact[0]) <= around[0] < np.inf:  # 0 is in this disc, and alone there
        return unknown
    exact, around = exact[1:], around[1:]
    for k, value in enumerate(values.tolist()):
        nearest = int(np.argmin(np.abs(exact - value)))
        low, high = exact.real - around, exact.real + around  # of all others, some are surely slower or faster
        slower, faster = np.count_nonzero(low > high[nearest]), np.count_nonzero(high < low[nearest])
        if slower <= k < len(exact) - faster:
            unknown[k] = (abs(exact[nearest] - value) + around[nearest]) * (1.0 + 8.0 * UNIT_ROUNDOFF)
    return unknown


# ---- detailed balance


def _of_symmetric(
    model: Model, states: IntArray, values: ComplexArray, weight: _Weight | None, given: IntArray, *, absorbed: bool
) -> FloatArray:
    """Bound by (1) and (2) on states (n, d), of the class that the `given` ones among them, (m, d), make up."""
    around = np.full(len(values), np.inf)
    generator = Generator(model, StateSpace.from_states(model.species, states))
    parts = _SymmetricParts.of(generator, weight, given, absorbed=absorbed)
    if parts is None:
        return around
    first, theta = int(not absorbed), np.inf if weight is None else weight.theta
    for k, rate in enumerate((-values.real).tolist()):
        low, high = parts.bounds(k + first, rate, theta)
        around[k] = np.nextafter(max(high - rate, rate - low), np.inf) if values[k].imag == 0.0 else np.inf
    return around


def _with_excepted(model: Model, states: IntArray, excepted: IntArray) -> IntArray:
    """Return states (n, d), those that W excepts, and those that the chain ends in from them."""
    reach = Reachability(model)
    states = np.concatenate([states, excepted[reach.possible(excepted, model.initial_states)]])
    generator = Generator(model, StateSpace.from_states(model.species, np.unique(states, axis=0)))
    ends = [generator.space.states_at(leak.sources) + leak.change for leak in generator.leaks]
    still = [states_[~(model.propensities(states_) > 0.0).any(axis=0)] for states_ in ends]
    return np.unique(np.concatenate([states, *still]), axis=0)


def _weight(model: Model, least: float) -> _Weight | None:
    """Return W with θ > `least`/2, 1/time; None where none is found."""
    try:
        condition = drift_condition(model)
    except NoDriftCondition:
        return None
    if condition.centre.any():
        return None
    unit = {(0,) * model.n_species: Fraction(1)}
    for exponent in EXPONENTS:
        function = power(plus(condition.function, unit), exponent, model.n_species)
        paid = costly_condition(model, function, scaled(function, Fraction(least)))
        if paid is not None:
            factor = max(c / function[alpha] for alpha, c in paid.function.items())
            return _Weight(paid, least / float(factor) * (1.0 - 4.0 * UNIT_ROUNDOFF))
    return None


@dataclass(frozen=True, slots=True, eq=False)
class _SymmetricParts:
    """The symmetric matrices of (1) and (2), and what row sums of their entries may be off by."""

    above: Any
    below: Any
    charge: float

    @classmethod
    def of(
        cls, generator: Generator, weight: _Weight | None, given: IntArray, *, absorbed: bool
    ) -> _SymmetricParts | None:
        """Return those of the class of `given` states (m, d); None where they are in several, or no way leads back."""
        matrix, exits = generator.to_csr(), generator.exit_rates
        jumps = sparse.csr_array(matrix - sparse.diags_array(matrix.diagonal()))
        jumps.eliminate_zeros()
        both = jumps.multiply(jumps.T).sqrt().tocsr()
        kept = exits > 0.0
        if (both.nnz != jumps.nnz and not absorbed) or not roundings(generator) < LARGEST_RATE_ERROR:
            return None
        back = np.zeros(len(exits))
        for leak in generator.leaks:
            if weight is None:  # they end where the chain does
                break
            states = generator.space.states_at(leak.sources)
            ratios = weight.condition.values(states + leak.change) / weight.condition.values(states)
            back += np.bincount(leak.sources, leak.rates * ratios, len(exits))
        off = roundings(generator) + 8.0 * UNIT_ROUNDOFF
        off += 0.0 if weight is None else 2.0 * weight.condition.precision
        symmetric = (sparse.diags_array(exits) - both).tocsr()[kept][:, kept]
        charge = off * float((exits + back + both @ np.ones(len(exits))).max())
        label = csgraph.connected_components(both[kept][:, kept], directed=False)[1]
        place = generator.space.index(given)
        labels = np.unique(label[np.flatnonzero(kept).searchsorted(place[kept[place]])])
        if not len(labels) or (len(labels) > 1 and not absorbed):
            return None
        class_ = np.flatnonzero(label == labels[0])  # of several, each has no smaller k-th eigenvalue than all: (1)
        below = (symmetric - sparse.diags_array(back[kept])).tocsr()
        return cls(symmetric[class_][:, class_].tocsr(), below, charge)

    def bounds(self, k: int, rate: float, theta: float) -> tuple[float, float]:
        """Return bounds of ρ_k, which is about `rate`; infinite where counts do not say."""
        low, high = -np.inf, np.inf
        for distance in DISTANCES:
            if low == -np.inf:
                counted = negative_pivots(self.below, rate * (1.0 - distance), self.charge)
                if counted is not None and counted[0] <= k:
                    low = min(theta, rate * (1.0 - distance) - counted[1])  # (2)
            if high == np.inf:
                counted = negative_pivots(self.above, rate * (1.0 + distance), self.charge)
                if counted is not None and counted[0] > k:
                    high = rate * (1.0 + distance) + counted[1]  # (1)
        return low, high
