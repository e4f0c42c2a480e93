"""The law of runs of which some were left out by their values: those that die out, or that exceed a limit.

Let A be the generator on the states J that the right law visits, and G those of J that a kept run may have.  With the
probability f_k(x) that a run which is in x at the output time t_k is kept for what it does later,

(1) P(x at t_k | kept) = p_k(x) f_k(x) / Σ p_k f_k ,

where p_k is led on from the start, and f_k from the last time back, by Aᵀ.  Runs that are judged by their outputs have
both set to zero outside of G at the output times that count; runs that are judged all the time never leave G, so that
A is that of G alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import diags_array

from fsp.distribution import Distribution, ErrorLedger
from fsp.doors import transient
from fsp.errors import ConvergenceError
from fsp.generator import Generator
from fsp.solvers.poisson import poisson_window
from fsp.space import StateSpace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsp.arrays import BoolArray, FloatArray, IntArray
    from fsp.model import Model
    from fsp.verification.samples import Runs

VISITED_TOL = 1e-7  # of the laws whose states are taken, as of the laws of mistakes
STRETCHES = 16  # chosen: times between the start and the last output, at which states are looked for besides
STEP_TAIL = 1e-12  # of the Poisson weights of a step, little beside what 10⁶ runs tell
MOST_CHAIN_WORK = 2e9  # nonzeros times products with the matrix, some seconds: beyond it nothing is tried; chosen
LEAST_EXPECTED = 5  # runs beyond a limit that must be missing before they are called left out; chosen, as for cells


@dataclass(frozen=True, slots=True)
class DiscardRule:
    """A limit on the counts of a species, and when runs that are beyond it are left out."""

    column: int
    limit: int
    above: bool  # whether runs above the limit are left out, and not those below it
    when: str  # "ever", "outputs" or "last"

    def keeps(self, states: IntArray) -> BoolArray:
        """Return which states a kept run may have, (n,)."""
        counts = states[:, self.column]
        return counts <= self.limit if self.above else counts >= self.limit

    def words(self, name: str) -> str:
        """Say which runs are left out."""
        beyond = f"{name} > {self.limit}" if self.above else f"{name} < {self.limit}"
        beyond = f"{name} = 0" if not self.above and self.limit == 1 else beyond
        when = {"ever": "at any time", "outputs": "at an output time", "last": "at the last output time"}[self.when]
        return f"runs with {beyond} {when} are left out"


def rules(samples: Runs, reference: tuple[Distribution, ...]) -> Iterator[tuple[str, DiscardRule]]:
    """Yield limits beyond which runs are expected and none is, with the name of the species."""
    for i, name in enumerate(samples.species):
        column = reference[0].species.index(name)
        for above, extreme in ((True, np.max), (False, np.min)):
            for when, first in (("ever", 0), ("outputs", 0), ("last", len(samples.times) - 1)):
                rule = DiscardRule(column, int(extreme(samples.counts[:, first:, i])), above, when)
                expected = max(float(law.probabilities[~rule.keeps(law.states)].sum()) for law in reference[first:])
                if expected * samples.n > LEAST_EXPECTED and (when != "outputs" or len(samples.times) > 1):
                    yield name, rule


@dataclass(frozen=True, slots=True, eq=False)
class VisitedChain:
    """The generator of the states that the right law visits, for constant rates and no events at known times."""

    model: Model
    times: FloatArray
    states: IntArray  # (n, n_species)
    matrix: Any  # (n, n) CSR
    start: FloatArray  # (n,)

    @classmethod
    def of(cls, model: Model, times: FloatArray) -> VisitedChain:
        """Make it of a model; raise an FSPError where that has no solution, or too large a one."""
        between = np.linspace(0.0, times[-1], STRETCHES + 1)
        solution = transient(model, np.union1d(between, times), tol=VISITED_TOL)
        states = np.unique(np.concatenate([law.states for law in solution]), axis=0)
        generator = Generator(model, StateSpace.from_states(model.species, states))
        matrix = generator.to_csr()
        if matrix.nnz * generator.largest_exit_rate * times[-1] > MOST_CHAIN_WORK:
            raise ConvergenceError("The law of runs that are left out must take fewer products than this one.")
        start = np.zeros(len(states))
        start[generator.space.index(model.initial_states)] = model.initial_probabilities
        return cls(model, times, generator.space.states, matrix, start)

    def law(self, rule: DiscardRule) -> tuple[Distribution, ...]:
        """Return the law of the runs that a rule keeps, by (1)."""
        kept = rule.keeps(self.states)
        place = np.flatnonzero(kept) if rule.when == "ever" else np.arange(len(kept))
        matrix, states, kept = self.matrix[place][:, place], self.states[place], kept[place].astype(float)
        masks = [kept if rule.when != "last" or t == self.times[-1] else np.ones_like(kept) for t in self.times]
        lengths = np.diff(self.times, prepend=0.0)
        y, ahead = self.start[place], []
        for length, mask in zip(lengths, masks, strict=True):
            y = mask * propagated(matrix, y, length)
            ahead.append(y)
        f, laws = np.ones_like(y), []
        for k in reversed(range(len(self.times))):
            weights = ahead[k] * f
            if not weights.sum() > 0.0:
                raise ConvergenceError("A rule must keep some runs, but keeps none.")
            error = ErrorLedger(truncation=0.0, certified=False)
            p, t = weights / weights.sum(), float(self.times[k])
            laws.append(Distribution(states, p, self.model.species, t=t, error=error))
            f = propagated(matrix.T, masks[k] * f, lengths[k])
        return tuple(laws[::-1])

    def returns(self, rule: DiscardRule) -> bool:
        """Return whether a run that is beyond the limit may come back: else it does not matter when it is judged."""
        kept = rule.keeps(self.states)
        return bool(self.matrix[kept][:, ~kept].nnz)


def propagated(matrix: Any, y: FloatArray, length: float) -> FloatArray:
    """Return exp(A h) y by uniformization, of A or of its transpose."""
    rate = float(-matrix.diagonal().min(initial=0.0))
    if rate * length == 0.0:
        return y
    step = matrix / rate + diags_array(np.ones(len(y)))
    first, weights = poisson_window(rate * length, STEP_TAIL)
    total = np.zeros_like(y)
    for j in range(first + len(weights)):
        if j >= first:
            total += weights[j - first] * y
        y = step @ y
    return total
