"""Times to come back to a state that bound those of several chains, and of all whose rates lie between theirs.

As in `fsp.equilibrium.certificate`, a function H >= 0 with H(z) = 0 and ``Σ_r a_r(x) (H(x + ν_r) - H(x)) <= -κ`` at all
states but z lies above κ times the mean time until z is met, here by the rates a of each of several generators on the
same states.  Inside, H is the time of a chain that takes in each state the rates by which it takes longest, found by
policy iteration; outside it is α + g/γ with a drift condition that all share.  Nothing depends on how it is found: the
inequality is looked at in each state, by the rates of each generator.  Of the exact α + g/γ, whose drift is proved,
stored states have no more, and targets of jumps out of them no less: both are rounded so.

References
----------
R. A. Howard, Dynamic Programming and Markov Processes, MIT Press 1960.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from fsp.chains.hitting_times import Factorised
from fsp.equilibrium.certificate import ALPHA_MARGIN, SUM_SLACK, boundary_of, lifted, rate_outside, roundings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import FloatArray, IntArray
    from fsp.generator import Generator
    from fsp.moments.lyapunov import DriftCondition
    from fsp.space import StateSpace

POLICY_ROUNDS = 12  # of policy iteration; three to five do, measured


@dataclass(frozen=True, slots=True, eq=False)
class CommonTimes:
    """The function H on stored states, and elsewhere by a drift condition."""

    space: StateSpace
    inside: FloatArray  # (n,)
    condition: DriftCondition
    gamma: float
    lift: float  # α
    scale: float  # above rounding of g/γ
    kappa: float  # one at most

    @classmethod
    def of(cls, generators: Sequence[Generator], z: int, condition: DriftCondition) -> CommonTimes | None:
        """Look for H; None where there is none."""
        gamma = rate_outside(condition, generators[0])
        if not gamma > 0.0:
            return None
        space, scale = generators[0].space, 1.0 + max(SUM_SLACK, 2.0 * condition.precision)
        within = condition.values(space.states) / gamma  # (n,)
        place = space.index(condition.states[condition.drifts > -gamma])
        core = place[(place >= 0) & (place != z)]
        chosen = np.zeros(len(space), dtype=np.int64)  # whose rates are taken, by state
        best: CommonTimes | None = None
        for _ in range(POLICY_ROUNDS):
            known = _times(generators, chosen, z, condition)
            if known is None:
                return best
            solved, leaving = known
            lift = lifted(solved[core], leaving[core], within[core] / scale)
            if lift is None:
                return best
            inside = np.minimum(solved + lift * leaving, (lift + within) / scale)
            inside[z] = 0.0
            times = cls(space, inside, condition, gamma, lift, scale, 1.0)
            drifts = np.array([times.drift(generator) for generator in generators])  # (m, n)
            kappa = min(1.0, -float(np.delete(drifts.max(axis=0), z).max(initial=-1.0)))
            if best is None or kappa > best.kappa:
                best = cls(space, inside, condition, gamma, lift, scale, kappa)
            longest = drifts.argmax(axis=0)
            if (longest == chosen).all() or kappa > 1.0 - 10.0 * ALPHA_MARGIN:
                break
            chosen = longest
        return best if best is not None and best.kappa > 0.0 else None

    def at(self, states: IntArray) -> FloatArray:
        """Return H at states that are not stored (m, d), rounded up."""
        return np.asarray(self.scale * (self.lift + self.condition.values(states) / self.gamma))

    def leaks(self, generator: Generator) -> FloatArray:
        """Return Σ a_r(x) H(x + ν_r) over the jumps out of the space, (n,)."""
        total = np.zeros(len(generator))
        for leak in generator.leaks:
            targets = self.space.states_at(leak.sources) + leak.change
            np.add.at(total, leak.sources, leak.rates * self.at(targets) * (1.0 + roundings(generator)))
        return total

    def drift(self, generator: Generator) -> FloatArray:
        """Return Σ a_r (H(x + ν_r) - H(x)), roundings added, (n,)."""
        matrix, leaks = generator.to_csr(), self.leaks(generator)
        size = abs(matrix).T @ self.inside + leaks
        return np.asarray(matrix.T @ self.inside + leaks + roundings(generator) * size)


def _times(
    generators: Sequence[Generator], chosen: IntArray, z: int, condition: DriftCondition
) -> tuple[FloatArray, FloatArray] | None:
    """Return times as if α were zero, and probabilities of leaving before z, (n,), by the rates that are chosen."""
    n = len(chosen)
    matrix: Any = 0.0
    first, outflow = np.zeros(n), np.zeros(n)
    for k, generator in enumerate(generators):
        mask = (chosen == k).astype(np.float64)
        matrix = matrix + generator.to_csr() @ sparse.diags_array(mask)
        boundary = boundary_of(generator, condition)
        first += mask * np.bincount(boundary.sources, boundary.rates * boundary.beyond, n)
        outflow += mask * np.bincount(boundary.sources, boundary.rates, n)
    try:
        system = Factorised(matrix.tocsr(), z)
    except RuntimeError:  # singular: a part of the space is never left
        return None
    solved, leaving = system.solve_adjoint(1.0 + first), system.solve_adjoint(outflow)
    return (solved, leaving) if np.isfinite(solved).all() and np.isfinite(leaving).all() else None
