"""Stationary distributions of complex-balanced networks: products of Poisson weights on the class of the initial state.

With a complex-balanced equilibrium c (`fsp.moments.complexes`) the chain does not explode, every state is in a closed
class Γ, and on it ``π(x) = w(x)/Σ_Γ w`` with ``w(x) = ∏ c_i^{x_i} / x_i!``.  Of the equilibria the one that keeps the
conservation laws is taken.  Weights relative to those of the modes come from products of ratios, c/x for each molecule,
so that their relative error is known state by state.

The counts stored of each species are an interval.  Of all states that the lattice of the reactions allows within, those
connected to a state of Γ are stored; of the others, those that only a way through the outside may connect count as
missing, as does what Poisson variables have outside the intervals, divided by what they have on the stored states.

References
----------
D. F. Anderson, G. Craciun, T. G. Kurtz, Bull. Math. Biol. 72 (2010) 1947, doi:10.1007/s11538-010-9517-4.
D. F. Anderson, D. Cappelletti, M. Koyama, T. G. Kurtz, Non-explosivity of stochastically modeled reaction networks that
are complex balanced, Bull. Math. Biol. 80 (2018) 2561, doi:10.1007/s11538-018-0473-8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csgraph

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.equilibrium.bounded import FLUSHED, LEAST_BOUND, Bounded, ExactPart, joined_parts
from fsp.errors import StateSpaceError
from fsp.generator import Generator
from fsp.model.structure import conservation_laws, lattice_basis
from fsp.moments.complexes import complex_balance, complex_graph
from fsp.space import StateSpace

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.model import Model
    from fsp.moments.complexes import ComplexGraph, Equilibrium
    from fsp.projection.growth import Growth

MANY_STARTS = 64  # initial states, beyond which their classes are not looked at
STORED_ANYWAY = 50_000  # states of a finite class that are stored whatever their probability
INTERVAL_ROUNDS = 6  # of wider intervals: the second one meets the tolerance but for correlations; chosen, not measured
NEWTON_STEPS = 200  # any result is an equilibrium, so that stopping early costs states alone
CLIMBS = 10_000  # lines of steps to the mode; each doubles its length, so that few are needed
PRODUCT_FORM_NOTE = "product form: the network is complex balanced, and stored probabilities are exact but for rounding"
TAIL_SAFETY = 1.0 + 1e-6  # for tails, whose logarithms round
LINE_STATES = 64  # states on a line that count; any number is right
LARGEST_STORED = 2.0**31 - 1.0  # count that a space holds
THIN = 1e-20  # Poisson probability of the stored states


@dataclass(frozen=True, slots=True, eq=False)
class _CountWeights:
    """Weights of the counts of one species, relative to its mode."""

    first: int  # count of the first
    relative: FloatArray  # (k,)
    mode: int
    least: float  # the Poisson probability of the mode, from below
    highest: float  # and from above
    c: float
    log: float  # of c
    off: float  # relative error of a ratio of neighbours

    @property
    def largest(self) -> int:
        return self.first + len(self.relative) - 1

    def below(self, count: int) -> float:
        """Bound the probability of fewer than `count` molecules; `count` is at most the mode."""
        if count <= 0:
            return 0.0
        if count - 1 < self.first:
            return LEAST_BOUND
        next_ = float(self.relative[count - 1 - self.first])
        return max(self.highest * next_ / (1.0 - (count - 1) / self.c) * TAIL_SAFETY, LEAST_BOUND)

    def above(self, count: int) -> float:
        """Bound the probability of more than `count` molecules; `count` is at least the mode."""
        if count + 1 > self.largest:
            return LEAST_BOUND
        next_ = float(self.relative[count + 1 - self.first])
        return max(self.highest * next_ / (1.0 - self.c / (count + 2)) * TAIL_SAFETY, LEAST_BOUND)

    def interval(self, least: float) -> tuple[int, int]:
        """Return the smallest interval around the mode beyond which tails are at most `least` on each side."""
        low, high = self.mode, self.mode
        while self.below(low) > least:
            low -= 1
        while self.above(high) > least:
            high += 1
        return low, high


def product_form(model: Model, growth: Growth, tol: float) -> Bounded | None:
    """Return the stationary distribution of a complex-balanced network; None where it is not one, or is too large."""
    starts = model.initial_states
    if len(starts) > MANY_STARTS:
        return None
    parts: list[tuple[ExactPart, float]] = []
    for start, weight in zip(starts, model.initial_probabilities.tolist(), strict=True):
        graph = complex_graph(model, start > 0)
        balance = None if graph is None else complex_balance(graph)
        if graph is None or balance is None or not graph.constants:  # without reactions there is nothing to weigh
            return None
        closed = _BalancedClass(model, graph, balance, start)
        known = next(
            (k for k, (part, _) in enumerate(parts) if closed.inner is not None and closed.inner in part.space), None
        )
        if known is not None:
            parts[known] = (parts[known][0], parts[known][1] + weight)
            continue
        if len(starts) == 1:
            closed.refuse_too_large(tol, growth)
        part = closed.stored(tol, growth)
        if part is None:
            return None
        parts.append((part, weight))
    return joined_parts(model, parts, PRODUCT_FORM_NOTE)


class _BalancedClass:
    """The closed class of one state of a complex-balanced network."""

    def __init__(self, model: Model, graph: ComplexGraph, balance: Equilibrium, start: IntArray) -> None:
        self._model, self._graph, self._start = model, graph, start
        moving = graph.change.any(axis=0) | (start > 0)
        self._species = np.flatnonzero(moving)
        self._weights: list[_CountWeights] = []
        log, error = _within_laws(graph, balance, start, self._species)
        self.refuse_too_many(log)
        for value, off in zip(log.tolist(), error.tolist(), strict=True):
            self._weights.append(_poisson(value, off))
        self.inner = self._climb()

    def refuse_too_many(self, log: FloatArray) -> None:
        """Raise a StateSpaceError where a mean, of logarithms `log`, is above all counts that a space may hold."""
        place = int(np.argmax(log))
        if log[place] > math.log(LARGEST_STORED):
            name = self._model.species[self._species[place]]
            raise StateSpaceError(
                f"A copy number must be at most {int(LARGEST_STORED):,}, but '{name}' has a mean of about "
                f"10^{log[place] / math.log(10.0):.3g} at rest; count in larger units, or scale the network down."
            )

    def refuse_too_large(self, tol: float, growth: Growth) -> None:
        """Raise a StateSpaceError where no states within the limit hold all but `tol` of the probability, nor half.

        Reactions that share no species can fire in any combination from an inner state x, so that
        ``Σ_Γ w >= w(x) ∏_k Σ_m w(x + m ν_k)/w(x)`` over such reactions; no state weighs more than the modes together.
        """
        x = self.inner
        if x is None:
            return
        modes = np.zeros_like(x)
        modes[self._species] = [weights.mode for weights in self._weights]
        least = math.log(1.0 - tol) + self._log(modes, x)
        reactants, change = self._graph.complexes[self._graph.source], self._graph.change
        used = np.zeros(len(x), dtype=np.bool_)
        for needs, step in zip(reactants, change, strict=True):
            touched = (needs > 0) | (step != 0)
            if not (touched & used).any() and step.any():
                used |= touched
                least += self._log_of_line(x, needs, step)
        if least > math.log(2.0 * growth.limit):
            raise StateSpaceError(
                f"The stationary distribution must be held by at most {growth.limit:,} states (`{growth.limited_by}`), "
                f"but needs at least {_amount(least)} by its product form; raise the limit, or "
                f"sample the network (`fsp.ssa`)."
            )

    def _log_of_line(self, x: IntArray, needs: IntArray, step: IntArray) -> float:
        """Return the logarithm of Σ_m w(x + m ν)/w(x) over some states that a reaction leads to from x."""
        weight, last = 1.0, x
        for _ in range(LINE_STATES):
            if (last < needs).any():
                break
            last = last + step
            weight += math.exp(min(self._log(x, last), 0.0))  # less where x is not the most probable one
        return math.log(weight)

    def stored(self, tol: float, growth: Growth) -> ExactPart | None:
        """Return the part of the class that holds all but `tol` of its probability."""
        largest = np.zeros(len(self._start))
        largest[self._species] = self._model.species_bounds[self._species]
        if np.isfinite(largest).all():
            nothing, all_ = np.zeros(len(largest), dtype=np.int64), largest.astype(np.int64)
            states = lattice_states(self._graph.change, self._start, nothing, all_, min(STORED_ANYWAY, growth.limit))
            if states is not None:
                return self._connected(states, 0.0)
        share = tol / (4.0 * len(self._species))
        for _ in range(INTERVAL_ROUNDS):
            low, high, tails = self._intervals(share)
            states = lattice_states(self._graph.change, self._start, low, high, growth.limit)
            if states is None or not growth.affords(len(states)):
                return None
            part = self._connected(states, tails)
            if part is None:
                return None
            if part.missing <= 0.5 * tol:
                return part
            share *= 0.2 * tol / part.missing
            if share < LEAST_BOUND:
                return None
        return None

    def _intervals(self, share: float) -> tuple[IntArray, IntArray, float]:
        """Return the least and largest counts stored, (d,) each, and what is beyond."""
        low, high = np.zeros(len(self._start), dtype=np.int64), np.zeros(len(self._start), dtype=np.int64)
        tails = 0.0
        for i, weights in zip(self._species.tolist(), self._weights, strict=True):
            bound = self._model.species_bounds[i]
            low[i], high[i] = weights.interval(share)
            tails += weights.below(int(low[i]))
            if high[i] < bound:
                tails += weights.above(int(high[i]))
            else:
                high[i] = int(bound)
        return low, high, tails

    def _climb(self) -> IntArray | None:
        """Walk from the start to ever more probable states until none is next; None where that takes too long."""
        x = self._start.copy()
        reactants, change = self._graph.complexes[self._graph.source], self._graph.change
        for _ in range(CLIMBS):
            enabled = np.flatnonzero((x >= reactants).all(axis=1))
            gains = [self._log(x, x + change[k]) for k in enabled.tolist()]
            if not gains or max(gains) <= 1e-12:
                return x
            best = int(enabled[int(np.argmax(gains))])
            x = x + self._far(x, reactants[best], change[best]) * change[best]
        return None

    def _far(self, x: IntArray, reactants: IntArray, change: IntArray) -> int:
        """Return how often a reaction may fire, a power of two, and still lead to more probable states each time."""
        times = 1
        while True:
            last = x + (2 * times - 1) * change
            if (last < reactants).any() or self._log(last, last + change) <= 0.0:
                return times
            times *= 2

    def _log(self, x: IntArray, y: IntArray) -> float:
        """Return log w(y)/w(x)."""
        gain = 0.0
        for i, weights in zip(self._species.tolist(), self._weights, strict=True):
            if x[i] != y[i]:
                gain += int(y[i] - x[i]) * weights.log + math.lgamma(x[i] + 1) - math.lgamma(y[i] + 1)
        return gain

    def _connected(self, states: IntArray, tails: float) -> ExactPart | None:
        """Tell the states of the class from others, and weigh them."""
        if self.inner is None:
            return None
        space = StateSpace.from_states(self._model.species, states)
        generator = Generator(self._model, space)
        jumps = generator.to_csr()
        place = int(space.index(self.inner[None])[0])
        if place < 0:
            return None
        _, label = csgraph.connected_components(jumps, directed=True, connection="weak")
        linked = label == label[place]
        weight, off = self._weigh(space.states)
        scale = math.prod(w.least for w in self._weights)
        stored = float(weight[linked].sum())
        outside = np.zeros(len(space), dtype=np.bool_)
        outside[np.isin(label, label[(generator.leak_rates > 0.0) & ~linked])] = True
        doubtful = float(weight[outside & ~linked].sum())
        if not stored * scale > THIN:
            return None
        missing = (tails / (scale * stored) + doubtful / stored) * TAIL_SAFETY
        kept = space if linked.all() else space.restrict(linked)
        return ExactPart(kept, weight[linked] / (stored * (1.0 + missing)), missing, off[linked])

    def _weigh(self, states: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return w relative to its value at the modes, (n,), and its relative error, (n,)."""
        weight, off = np.ones(len(states)), np.full(len(states), 4.0 * UNIT_ROUNDOFF * (len(self._weights) + 1))
        for i, weights in zip(self._species.tolist(), self._weights, strict=True):
            place = states[:, i] - weights.first
            inside = (place >= 0) & (place < len(weights.relative))
            weight *= np.where(inside, weights.relative[np.clip(place, 0, len(weights.relative) - 1)], 0.0)
            off += weights.off * np.abs(states[:, i] - weights.mode)
        weight[weight < FLUSHED] = 0.0
        return weight, np.expm1(off)


def _within_laws(
    graph: ComplexGraph, balance: Equilibrium, start: IntArray, species: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Return log c of some species for the equilibrium that keeps the laws, and bounds of its error."""
    log, error = balance.log[species], balance.error[species]
    laws = conservation_laws(graph.change[:, species])  # (n_laws, k)
    values = laws @ start[species]
    potential = np.zeros(len(laws))

    def objective(at: FloatArray) -> float:
        return float(np.exp(np.minimum(log + at @ laws, 700.0)).sum() - at @ values)

    for _ in range(NEWTON_STEPS):  # the minimum of Σ c exp(W λ) - λ·values; any λ gives an equilibrium
        c = np.exp(np.minimum(log + potential @ laws, 700.0))
        slope = laws @ c - values
        if not len(laws) or float(np.abs(slope).max()) <= 1e-9 * float(np.abs(values).max(initial=1.0)):
            break
        step = np.linalg.lstsq((laws * c) @ laws.T, -slope, rcond=None)[0]
        step *= min(1.0, 20.0 / float(np.abs(step @ laws).max(initial=1.0)))
        here = objective(potential)
        while objective(potential + step) > here + 1e-4 * float(slope @ step) and np.abs(step).max() > 1e-12:
            step *= 0.5
        potential = potential + step
    moved = np.abs(potential) @ np.abs(laws)
    return log + potential @ laws, error + UNIT_ROUNDOFF * (len(laws) + 3.0) * (moved + np.abs(log))


def _poisson(log: float, error: float) -> _CountWeights:
    """Tabulate the weights of one species."""
    c = math.exp(log)
    mode = math.floor(c)
    reach = int(40.0 * math.sqrt(c)) + 400
    up = np.cumprod(c / np.arange(mode + 1, mode + reach + 1))
    down = np.cumprod(np.arange(mode, max(0, mode - reach), -1) / c)[::-1]
    terms = mode * log, c, math.lgamma(mode + 1)
    # At 10⁹ molecules a logarithm has five decimals.
    safe = TAIL_SAFETY * (1.0 + 8.0 * UNIT_ROUNDOFF * sum(map(abs, terms)))
    at_mode = math.exp(terms[0] - terms[1] - terms[2])
    # a ratio is rounded once, like the product with it; c is off by its logarithm and the exponential
    return _CountWeights(
        mode - len(down),
        np.concatenate([down, [1.0], up]),
        mode,
        at_mode / safe,
        min(1.0, at_mode * safe),
        c,
        log,
        error + 4.0 * UNIT_ROUNDOFF,
    )


def _amount(log: float) -> str:
    """Return a number from its logarithm: all of its digits, or the power of ten below a large one."""
    return f"{math.floor(math.exp(log)):,}" if log < math.log(1e6) else f"10^{math.floor(log / math.log(10.0))}"


def lattice_states(change: IntArray, start: IntArray, low: IntArray, high: IntArray, limit: int) -> IntArray | None:
    """Return all states (n, d) of a box that differ from `start` (d,) by whole combinations of `change` (m, d).

    None where they are more than `limit`.
    """
    basis = lattice_basis(change)
    states = start[None].astype(np.int64)  # (n, d)
    for k in range(len(basis) + 1):
        settled = np.ones(len(start), dtype=np.bool_)  # species that no later row changes
        for _, row in basis[k:]:
            settled &= np.array(row) == 0
        states = states[((states >= low) & (states <= high))[:, settled].all(axis=1)]
        if k == len(basis):
            break
        column, row = basis[k]
        step = row[column]
        ends = np.sort(
            np.stack([(low[column] - states[:, column]) / step, (high[column] - states[:, column]) / step]), axis=0
        )
        first, last = np.ceil(ends[0]).astype(np.int64), np.floor(ends[1]).astype(np.int64)
        count = np.maximum(last - first + 1, 0)
        if count.sum() > limit:
            return None
        origin = np.repeat(np.arange(len(states)), count)
        times = np.arange(len(origin)) - np.repeat(np.cumsum(count) - count, count) + first[origin]
        states = states[origin] + times[:, None] * np.array(row, dtype=np.int64)
    return states
