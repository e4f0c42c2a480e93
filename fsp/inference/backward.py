"""Forward and backward passes of a uniformized chain on fixed states, and the products of both.

With ``P = I + A/Λ`` of the closed chain, w_n the Poisson weights of Λh, z_m = Pᵐ y and λ the weights at the end,

(1)  y(h) = Σ_n w_n z_n ,      λ(0) = Σ_n w_n (Pᵀ)ⁿ λ ,
(2)  ∫_0^h y_x(s) λ_x'(s) ds = 1/Λ Σ_m z_m(x) v_m(x') ,      v_m = Σ_n w_{m+n+1} (Pᵀ)ⁿ λ ,

since ``∫_0^h w_m(Λs) w_n(Λ(h - s)) ds = w_{m+n+1}(Λh)/Λ``.  So the integral over time is exact, and Horner's rule
``v_m = w_{m+1} λ + Pᵀ v_{m+1}``, which ends in λ(0) = v_{-1}, gives all v_m by one product each.  Only numbers that are
not negative are added, where λ has none that are.

References
----------
W. K. Grassmann, Transient solutions in Markovian queueing systems, Comput. Oper. Res. 4 (1977) 47;
R. Bellman, R. Kalaba, On adjoint equations and sensitivities; A. Griewank, A. Walther, Evaluating Derivatives, 2008.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.sparse import block_array, block_diag, csr_array, diags_array

from fsp.arithmetic import UNIT_ROUNDOFF, span
from fsp.inference.expansion import POWERS_AT_ONCE
from fsp.solvers.poisson import AMPLIFIED, WIDENED, poisson_window
from fsp.space.space import successors

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.generator import Generator

HELD = 4_000_000  # numbers of the powers of one stretch: 32 MB
SHORTEST_STRETCH, LONGEST_STRETCH = 24.0, 1e3  # Λ times a stretch: at least, where states are many, and at most; chosen


@dataclass(frozen=True, slots=True, eq=False)
class UniformizedChain:
    """P of a closed chain on n states and one more, the last, where all is that has left them."""

    P: Any  # (n + 1, n + 1) CSR
    transposed: Any  # the same of Pᵀ
    rate: float  # Λ
    targets: IntArray  # (n_changes, n) where states are led to by each change; n for what leaves
    change_of: IntArray  # (R,) which of them is that of a reaction

    @classmethod
    def of(cls, generator: Generator, exit_rate: float = 0.0) -> UniformizedChain:
        """Make it of a generator, with Λ so large that no entry of P has lost its digits.

        `exit_rate` is one that it has to serve beside the largest of the generator.
        """
        space, model, n = generator.space, generator.model, len(generator)
        rate = WIDENED * max(generator.largest_exit_rate, exit_rate) or 1.0
        leaving = np.asarray(generator.sinks.sum(axis=0)).reshape(1, -1) if generator.n_sinks else np.zeros((1, n))
        inside = generator.to_csr() / rate + diags_array(np.ones(n))
        P = csr_array(block_array([[inside, None], [csr_array(leaving / rate), csr_array(np.ones((1, 1)))]]))
        changes, of_reactions = np.unique(model.change, axis=0, return_inverse=True)
        index = successors(space, changes)  # (n_changes, n)
        return cls(P, csr_array(P.T), rate, np.where(index < 0, n, index), of_reactions.reshape(-1))

    @classmethod
    def side_by_side(cls, chains: Sequence[UniformizedChain]) -> UniformizedChain:
        """Put chains of one Λ on the same states one after another, each with what has left it."""
        if len(chains) == 1:
            return chains[0]
        first, size = chains[0], len(chains[0]) + 1
        gone = np.full((len(first.targets), 1), size - 1)
        each = np.concatenate([first.targets, gone], axis=1)  # what has left stays where it is
        targets = np.concatenate([each + i * size for i in range(len(chains))], axis=1)
        P, transposed = (
            csr_array(block_diag([getattr(chain, name) for chain in chains])) for name in ("P", "transposed")
        )
        return cls(P, transposed, first.rate, targets[:, :-1], first.change_of)

    def __len__(self) -> int:
        return int(self.P.shape[0]) - 1


class SeriesStretch(NamedTuple):
    """A time that is passed in one series."""

    start: FloatArray  # y at its beginning, (n + 1,)
    weights: FloatArray  # w_0, w_1 …; zero before the window
    length: float  # h
    time: int  # number of the next time asked for


@dataclass(frozen=True, slots=True, eq=False)
class ForwardPass:
    """What the forward pass comes to."""

    at: list[FloatArray]  # y at each time asked for, (n + 1,)
    stretches: list[SeriesStretch]

    def of(self, i: int, size: int) -> ForwardPass:
        """Return that of one of the chains of a size n + 1 that were put side by side."""
        part = slice(i * size, (i + 1) * size)
        stretches = [stretch._replace(start=stretch.start[part]) for stretch in self.stretches]
        return ForwardPass([y[part] for y in self.at], stretches)

    @property
    def products(self) -> int:
        """Number of products with P; the backward pass takes as many with P and with Pᵀ."""
        return sum(len(stretch.weights) - 1 for stretch in self.stretches)


@dataclass(frozen=True, slots=True, eq=False)
class Products:
    """What a backward pass of weights, (n + 1, c), comes to."""

    moved: FloatArray  # ∫ y_x λ_{x + ν} ds of each change ν, (n_changes, n, c)
    stayed: FloatArray  # ∫ y_x λ_x ds, (n, c)
    first: FloatArray  # λ at time zero

    def of(self, i: int, size: int) -> Products:
        """Return those of one of the chains of a size n + 1 that were put side by side."""
        begin, end = i * size, (i + 1) * size
        return Products(self.moved[:, begin : end - 1], self.stayed[begin : end - 1], self.first[begin:end])


def forward(
    chain: UniformizedChain,
    start: FloatArray,
    times: Sequence[float],
    tail: float,
    seen: Callable[[SeriesStretch, FloatArray], None] | None = None,
    mapped: Callable[[int, FloatArray], FloatArray] | None = None,
) -> ForwardPass:
    """Advance a start (n + 1,) through increasing times; all but `tail` of the weights of a stretch are added.

    `seen` is called with each stretch and the powers z_0, z_1 … of it; `mapped` returns what becomes of y at a time, by
    its number.
    """
    at: list[FloatArray] = []
    stretches: list[SeriesStretch] = []
    y, t = start, 0.0
    for i, end in enumerate(times):
        duration = span(t, end)
        count = max(1, int(np.ceil(chain.rate * duration / _stride(len(chain)))))
        for _ in range(count if duration > 0.0 else 0):
            length = duration / count
            first, weights = poisson_window(chain.rate * length, tail)
            padded = np.concatenate([np.zeros(first), weights, np.zeros(2 if first + len(weights) < 2 else 0)])
            stretch = SeriesStretch(y, padded, length, i)
            powers = _powers(chain, stretch)
            if seen is not None:
                seen(stretch, powers)
            y = padded @ powers
            stretches.append(stretch)
        t, y = end, y if mapped is None else mapped(i, y)
        at.append(y)
    return ForwardPass(at, stretches)


def backward(
    chain: UniformizedChain,
    path: ForwardPass,
    weights: Callable[[int], FloatArray],
    after: Callable[[SeriesStretch], Any],
    mapped: Callable[[int, FloatArray], FloatArray] | None = None,
) -> Products:
    """Take weights, (n + 1, c), that come in at each time, back to time zero.

    `weights` returns those of a time by its number; what `after` returns for a stretch is added to λ at its beginning;
    `mapped` returns what λ at a time was before what became of y there.
    """
    n, times = len(chain), len(path.at)
    v = np.zeros_like(weights(times - 1))
    sums = np.zeros((len(chain.targets) + 1, n, v.shape[1]))
    ahead = list(path.stretches)
    for i in reversed(range(times)):
        v = (v if mapped is None else mapped(i, v)) + weights(i)
        while ahead and ahead[-1].time == i:
            stretch = ahead.pop()
            v = _through(chain, stretch, v, sums) + after(stretch)
    return Products(sums[:-1] / chain.rate, sums[-1] / chain.rate, v)


def _through(chain: UniformizedChain, stretch: SeriesStretch, end: FloatArray, sums: FloatArray) -> FloatArray:
    """Return λ at the beginning of a stretch; add (2) to sums (n_changes + 1, n, c), the last for what stays."""
    powers, weights = _powers(chain, stretch), stretch.weights
    last, n = len(weights) - 1, len(chain)
    row: FloatArray = weights[last] * end  # v_m of m = last - 1
    held = np.empty((*end.shape, POWERS_AT_ONCE))  # (n + 1, c, POWERS_AT_ONCE)
    for high in range(last, 0, -POWERS_AT_ONCE):
        low = max(high - POWERS_AT_ONCE, 0)
        for m in range(high - 1, low - 1, -1):
            held[:, :, m - low] = row
            row = weights[m] * end + chain.transposed @ row
        z, v = np.ascontiguousarray(powers[low:high, :n].T), held[:, :, : high - low]  # (n, b)
        for target, products in zip(chain.targets, sums, strict=False):
            products += np.einsum("xb,xcb->xc", z, np.take(v, target, axis=0))
        sums[-1] += np.einsum("xb,xcb->xc", z, v[:n])
    return row


def relative_error(path: ForwardPass, operations: float) -> float:
    """Bound the relative rounding of all products of the passes; `operations` are those behind an entry of A."""
    terms = sum(len(stretch.weights) + 1 for stretch in path.stretches)
    return float((terms + 1) * (AMPLIFIED * (operations + 2.0) + 8.0) * UNIT_ROUNDOFF)


def _stride(states: int) -> float:
    return float(np.clip(HELD / (states + 1), SHORTEST_STRETCH, LONGEST_STRETCH))


def _powers(chain: UniformizedChain, stretch: SeriesStretch) -> FloatArray:
    """Return z_0, z_1 …, one for each weight: (size, n + 1)."""
    powers = np.empty((len(stretch.weights), len(stretch.start)))
    powers[0] = stretch.start
    for m in range(1, len(powers)):
        powers[m] = chain.P @ powers[m - 1]
    return powers
