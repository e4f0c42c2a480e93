"""One step of p and its derivatives together, by uniformization, with a bound of the error of the path to it.

With 𝔸 the generator of ``(y, h_1 … h_q)``, A on each of them and ∂_k A from y to h_k, and Λ the largest exit rate,

    exp(h𝔸) z = Σ_n w_n(Λh) z_n,     z_n = (I + 𝔸/Λ)ⁿ z,     w_n the Poisson weights.

The path that stops at n = N has the residual ``-Λ w_N(Λs) z_{N+1}``, and ``∫_0^h Λ w_n ds = P(N_{Λh} > n)``, so that

(1)  the integral of its residual is at most ``P(N_{Λh} > N) ‖z_{N+1}‖₁``,
(2)  ``∫ |h_k(x)| ds <= Σ_n P(N_{Λh} > n)/Λ |h_{k,n}(x)|``, entry by entry: the occupation,
(3)  ``‖h_{k,n}‖₁ <= ‖h_k‖₁ + 2 n/Λ max_x D_k(x) Σ y``.

References
----------
A. Jensen, Markoff chains as an aid in the study of Markoff processes, Skand. Aktuarietidskr. 36 (1953) 87.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF, span
from fsp.solvers.base import step_to
from fsp.solvers.poisson import poisson_window

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.generator import Generator
    from fsp.inference.derived import Derived, RateChangeBounds
    from fsp.inference.statewise import Known

POISSON_TAIL = 1e-18  # of the Poisson weights, which a few more products buy; less where less may be lost

TAIL_SHARE = 1e-6  # of what may be lost of p, for the tail of the weights of each step
# Λ times a step: after the space has grown, doubled as long as it serves; and most.
STRIDE_ONCE_GROWN, LONGEST_STRIDE = 24.0, 1e3
MOST_ENDS = 16  # times that are reached in one step
POWERS_AT_ONCE = 16  # powers that are added to all sums at once; chosen, not measured


@dataclass(frozen=True, slots=True, eq=False)
class Expansion:
    """A step: vectors (1 + q, n), or with scores (1 + 2q, n), in the order of the space, the first of p."""

    end: FloatArray  # at its end
    occupation: FloatArray  # upper bounds of the integrals of their moduli, (2)
    integration: FloatArray  # bounds of what the path is off for the end of each
    rounding: FloatArray  # the same of rounding
    products: int  # with blocks
    known: Known | None = None  # of each probability, where that is not by the products


class SeriesSteps:
    """Steps of p and its derivatives on one space, where rates are constant."""

    def __init__(self, derived: Derived, loss: float) -> None:
        self.derived, self._tail = derived, min(POISSON_TAIL, TAIL_SHARE * loss)
        self._stride = STRIDE_ONCE_GROWN

    @property
    def generator(self) -> Generator:
        """The generator of p."""
        return self.derived.generator

    @property
    def course(self) -> RateChangeBounds:
        """What holds on all steps."""
        return self.derived.course

    def work(self, left: float, rows: int) -> tuple[float, float]:
        """Return the jumps that lie ahead, and the multiply-adds that they take."""
        jumps = self.derived.rate * left
        return jumps, jumps * self.generator.work * rows

    def steps(
        self, block: FloatArray, t: float, asked: FloatArray
    ) -> Iterator[tuple[float, Expansion, RateChangeBounds]]:
        """Go towards the last of some times; yield each that is reached in one series, and its end.

        The stride is longer for the next series where all were taken.
        """
        last = float(asked[-1])
        h, derived = span(t, last), self.derived
        stride = self._stride if derived.course.edges else LONGEST_STRIDE
        if derived.rate * h > stride:
            h = step_to(t, stride / derived.rate, last)
        end = last if h >= span(t, last) else t + h
        ends = [*asked[asked < end].tolist(), end][:MOST_ENDS]
        steps = expand(derived, block, [span(t, stop) for stop in ends], self._tail)
        for stop, step in zip(ends, steps, strict=True):
            yield stop, step, derived.course
        self._stride = min(2.0 * self._stride, LONGEST_STRIDE)

    def carry_on(self, other: SeriesSteps) -> None:
        """Take the stride of steps on an earlier space that was only cut down."""
        self._stride = other._stride


def expand(
    derived: Derived, block: FloatArray, lengths: Sequence[float], tail: float = POISSON_TAIL
) -> Iterator[Expansion]:
    """Advance a block, (1 + q, n) or with scores (1 + 2q, n), by each of some increasing times, in one series.

    `tail` is what is left out of the weights.  Expansions are from each time to the next one.
    """
    windows = [poisson_window(derived.rate * h, tail) for h in lengths]
    size = max(first + len(weights) for first, weights in windows)  # number of terms
    ends, stays = np.zeros((len(windows), size)), np.zeros((len(windows), size))
    for j, (first, weights) in enumerate(windows):
        ends[j, first : first + len(weights)] = weights
        stays[j] = _longer(ends[j], tail)
    shares = np.diff(stays, axis=0, prepend=0.0)  # (n_ends, size)
    shares[1:] += 2.0 * (tail + 4.0 * size * UNIT_ROUNDOFF)  # what is taken off is no upper bound
    totals, occupied = _summed(derived, block, ends, np.maximum(shares, 0.0) / derived.rate)
    before = np.zeros((2, len(block)))
    for j, ((first, weights), h) in enumerate(zip(windows, lengths, strict=True)):
        charges = np.array(_charges(derived, block, h, first + len(weights) - 1, tail))  # (2, 1 + q)
        integration, rounding = np.maximum(charges - before, 0.0)
        before = np.maximum(charges, before)
        products = size if j == 0 else 0
        yield Expansion(derived.leave(totals[j]), derived.leave(occupied[j]), integration, rounding, products)


def _summed(derived: Derived, block: FloatArray, ends: FloatArray, shares: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return ``Σ_n ends[j, n] z_n`` and ``Σ_n shares[j, n] |z_n|``, as blocks of the operator: (n_ends, size) each."""
    kept = derived.room(POWERS_AT_ONCE)  # powers that are summed together
    totals, occupied = derived.room(len(ends)), derived.room(len(ends))
    size = ends.shape[1]
    kept[-1] = derived.enter(block)
    for first in range(0, size, POWERS_AT_ONCE):
        count = min(POWERS_AT_ONCE, size - first)
        for i in range(count):
            if first + i == 0:
                kept[0] = kept[-1]
            else:
                derived.step(kept[i - 1], kept[i])
        powers = kept[:count]
        totals += ends[:, first : first + count] @ powers
        occupied += shares[:, first : first + count] @ np.abs(powers)
    return totals, occupied


def _longer(weights: FloatArray, tail: float) -> FloatArray:
    """Bound P(N > n) for n = 0 …, by weights from n = 0 on that are lower bounds but for rounding."""
    noise = 4.0 * len(weights) * UNIT_ROUNDOFF
    longer: FloatArray = np.clip(1.0 - np.cumsum(weights), 0.0, 1.0) + noise + tail
    return longer


def _charges(derived: Derived, block: FloatArray, h: float, last: int, tail: float) -> tuple[FloatArray, FloatArray]:
    """Return integration and rounding of a step, of each vector."""
    generator, products, q = derived.generator, last + 1, len(derived.course.sizes)
    norms = np.abs(block).sum(axis=1)  # (1 + q,), or with scores (1 + 2q,)
    slopes, span = 2.0 * derived.course.sizes.max(axis=1), (last + 2) / derived.rate
    norms[1 : 1 + q] += slopes * norms[0] * span  # (3)
    if len(norms) > 1 + q:
        norms[1 + q :] += (2.0 * slopes * norms[1 : 1 + q] + derived.course.squares.max(axis=1) * norms[0]) * span
    rounding = products * (generator.roundings + 6) * UNIT_ROUNDOFF * norms
    rounding += generator.misjudged(0.0, h) * norms
    # what a vector is off goes on to those that it feeds, and so does the rounding of the products that do
    off = rounding + derived.roundings * UNIT_ROUNDOFF * norms
    rounding[1 : 1 + q] += off[0] * slopes * span
    if len(norms) > 1 + q:
        off[1 : 1 + q] = rounding[1 : 1 + q] + derived.roundings * UNIT_ROUNDOFF * norms[1 : 1 + q]
        rounding[1 + q :] += (2.0 * slopes * off[1 : 1 + q] + derived.course.squares.max(axis=1) * off[0]) * span
    return 4.0 * tail * norms, rounding  # (1), the weights before the window, and how they are normalised
