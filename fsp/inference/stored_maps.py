"""Events that set counts, on stored states: what they take forward, what comes back, and what may be missing.

Let an event take p to M p at t*, M a stochastic matrix, and M̂ <= M hold what is known of it between stored states; one
more state, a sink, has the rest of each column, `gone`: what leads elsewhere, and what random numbers lack.  With the
numbers of `fsp.inference.adjoint`, ⁻ before the event and ⁺ after it,

(1)  y⁺ = M̂ y⁻ <= p⁺,    l⁻ = M̂ᵀ l⁺,    |λ⁻(x) - l⁻(x)|  <=  Σ_x' M̂(x', x) Ψ⁺(x') + gone(x) max H⁺ ,

the last over all that the event makes of stored states.  With counts after it at most ``b + B x``
(`fsp.inference.count_maps`), where H⁺ is a constant h and factors h_j of functions u_j = w_j·x with w_j >= 0,

(2)  H⁺(M x)  <=  h + Σ_j h_j (w_j·b + w_jB·x) ,

of which the mean, from x at an earlier time, is at most that of a constant and functions u_i >= x_i that grow as their
drift conditions say; where w_j·b = 0 and w_jB <= w_j, u_j itself does not rise.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import block_array, csr_array

from fsp.arithmetic import ROUNDED_UP, UNIT_ROUNDOFF
from fsp.inference.count_maps import Carrying

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.inference.count_maps import CountMap
    from fsp.inference.envelopes import Bounds
    from fsp.space import StateSpace


class StoredMap:
    """An event on stored states and the sink, (1)."""

    def __init__(self, event: CountMap, space: StateSpace, bounds: Bounds, species: tuple[str, ...]) -> None:
        self.event, n = event, len(space)
        after, sources, weights = event.firing.ways(space.states)
        index = space.index(after)
        inside = index >= 0
        kept = csr_array((weights[inside], (index[inside], sources[inside])), shape=(n, n))
        terms = max(int(np.diff(part.indptr).max(initial=0)) for part in (kept, csr_array(kept.T))) + 2.0
        self.relative = 2.0 * terms * UNIT_ROUNDOFF  # rounding of both passes
        known = np.bincount(sources[inside], weights[inside], minlength=n)
        random = terms * UNIT_ROUNDOFF if event.firing.rules.draws else 0.0
        self.gone = np.clip(1.0 - known + random, 0.0, 1.0)  # (n,)
        blocks: list[Any] = [[kept, None], [csr_array(self.gone[None]), csr_array(np.ones((1, 1)))]]
        self._matrix = csr_array(block_array(blocks))
        self._transposed = csr_array(self._matrix.T)
        self.carrying = Carrying(event, species, bounds.largest)
        self._bounds, self._states = bounds, space.states
        self._gauges = [bounds.followed[i] for i in bounds.of_errors]
        self._lines = [self.carrying.lines(gauge) for gauge in self._gauges]

    def mapped(self, y: FloatArray) -> FloatArray:
        """Return a vector (n + 1,) after the event."""
        return np.asarray(self._matrix @ y)

    def lost(self, y: FloatArray) -> tuple[float, list[FloatArray]]:
        """Return what it takes of y (n,) from the stored states, and the moments of that for each gauge."""
        flow = self.gone * y
        leaves = flow > 0.0
        flow, states = flow[leaves], self._states[leaves]
        moments = []
        for gauge in self._bounds.followed:
            b, c = self.carrying.lines(gauge)
            u = np.full(len(states), b) + states @ c  # (2)
            moments.append(np.array([u**q @ flow if q else flow.sum() for q in gauge.orders.tolist()]) * ROUNDED_UP)
        return float(flow.sum()) * ROUNDED_UP, moments

    def back(self, v: FloatArray, height: FloatArray, outside: float) -> FloatArray:
        """Return l and Ψ, (n + 1, 2), before the event; `height` is H⁺, and `outside` what Ψ of the sink is then."""
        ends = v.copy()
        ends[-1] = 0.0, self._highest(height)
        before: FloatArray = self._transposed @ ends
        before[-1] = 0.0, outside
        return before

    def _highest(self, height: FloatArray) -> float:
        """Bound H⁺ of what becomes of stored states, (2)."""
        total = float(height[0])
        for h, (b, c) in zip(height[1:].tolist(), self._lines, strict=True):
            total += h * (b + float((self._states @ c).max(initial=0.0))) if h else 0.0
        return total * ROUNDED_UP

    def height_before(self, height: FloatArray, h: float) -> FloatArray:
        """Return what is above the means of H⁺ from all states before the event, a time of up to h earlier, (2)."""
        before, slopes = np.zeros(len(height)), np.zeros(len(self._bounds.largest))
        before[0] = height[0]
        for j, (factor, (b, c)) in enumerate(zip(height[1:].tolist(), self._lines, strict=True), 1):
            if factor and b == 0.0 and (c <= self._gauges[j - 1].weights).all():
                before[j] += factor
            elif factor:
                before[0] += factor * b
                slopes += factor * c
        before += self._of_counts(slopes)
        for j, gauge in enumerate(self._gauges, 1):
            if before[j]:
                upward = gauge.moved(h)[2]  # e^{hM⁺}
                before[0] += before[j] * upward[1, 0]
                before[j] *= upward[1, 1]
        return before * ROUNDED_UP

    def _of_counts(self, slopes: FloatArray) -> FloatArray:
        """Return a height above ``slopes·x``; infinite where there is none."""
        height = np.zeros(1 + len(self._gauges))
        for i in np.flatnonzero(slopes).tolist():
            known = [j for j, gauge in enumerate(self._gauges, 1) if gauge.species == i]
            if np.isfinite(self._bounds.largest[i]):
                height[0] += slopes[i] * self._bounds.largest[i]
            elif known:
                height[known[0]] += slopes[i]
            else:
                height[0] = inf
        return height
