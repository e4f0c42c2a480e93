"""The distribution of a chain on fixed states by uniformization, at one or at many values of its free parameters.

What leaves the states goes to one sink, which is stored last.  With ``P = I + A/Λ`` of the closed chain,

    y(t) = Σ_k w_k(Λt) z_k,    z_0 = p(0),    z_{k+1} = P z_k,    w_k the Poisson weights,

one sequence of powers for all times.  Only numbers that are not negative are added, so that with the sink σ(t) and
the tail ε of the weights, which is left out,

(1)  y <= p,    Σ p - Σ y <= δ(t) = σ(t) + ε + what the start lacks ,

and each y has a relative rounding: Λ exceeds the exit rates by so much that no entry of P is a difference that lost its
digits.  Derivatives by the logarithms of parameters go along, ``h_{k+1} = P h_k + (∂A/Λ) z_k``, without a bound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array, dia_array

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.errors import ConvergenceError, ModelError
from fsp.inference.backward import UniformizedChain
from fsp.inference.expansion import POWERS_AT_ONCE
from fsp.inference.unit_of_time import require_normal
from fsp.solvers.poisson import poisson_window
from fsp.space.space import successors

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.inference.free_laws import FreeLaws
    from fsp.model import Model
    from fsp.space import StateSpace

# Λ over the largest exit rate: entries of the diagonal are 1/11 at least, so that rounding is 12-fold in them at most.
DIAGONAL_WIDENED, DIAGONAL_AMPLIFIED = 1.1, 12.0
CALL = 20_000  # entries whose products take as long as the calls of a step: 20 to 40 microseconds
MOST_DIAGONALS = 40  # of a matrix that is stored by them: beyond, most of what they hold is zeros


@dataclass(frozen=True, slots=True, eq=False)
class Transients:
    """Probabilities at several times on fixed states: lower bounds but for relative rounding."""

    probabilities: FloatArray  # (P, n_times, n)
    lacking: FloatArray  # (P, n_times), δ of (1)
    relative: float  # rounding of each probability
    slopes: FloatArray | None = None  # (q, n_times, n) of the first of P
    absolute: float = 0.0  # by how much lower bounds may be too large, summed over states


class FixedSpace:
    """The closed chain of a network on fixed states, for any values of its free parameters."""

    def __init__(self, model: Model, laws: FreeLaws, space: StateSpace) -> None:
        self.space, self._model, self._laws = space, model, laws
        states = space.states  # (n, d)
        n = len(states)
        self._columns = {name: states[:, i].astype(np.float64) for i, name in enumerate(model.species)}
        start = space.index(model.initial_states)
        self.start = np.zeros(n + 1)  # p(0), with the sink
        np.add.at(self.start, np.where(start < 0, n, start), model.initial_probabilities)
        self._lacks = float(model.start_lacks)
        targets = successors(space, model.change)
        _, first, change_of = np.unique(model.change, axis=0, return_index=True, return_inverse=True)
        led = np.where(targets < 0, n, targets)  # (R, n)
        self._moves = led[first], change_of.reshape(-1)  # where each change leads, and that of each reaction
        rows = np.concatenate([led.ravel(), np.arange(n + 1)])
        columns = np.concatenate([np.tile(np.arange(n), len(targets)), np.arange(n + 1)])
        order = np.lexsort((columns, rows))
        keys = (rows * (n + 1) + columns)[order]
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        self._added = order, starts  # the order of the entries, and where those begin that are added up
        entries = keys[starts]
        self._indices = entries % (n + 1)
        self._indptr = np.searchsorted(entries, np.arange(n + 2) * (n + 1))
        self._unit = (entries // (n + 1) == self._indices).astype(np.float64)
        self._diagonals = _Diagonals(targets, n)

    def __len__(self) -> int:
        return len(self.space)

    def at(self, theta: FloatArray, times: Sequence[float], tail: float, max_work: float) -> Transients:
        """Return probabilities and derivatives at one parameter vector (q,)."""
        rates = self._rates(theta[None])
        rate, exponents = self._weights(rates, times, tail, max_work)
        q, n = len(theta), len(self) + 1
        P = csr_array((self._assembled(rates)[0] / rate[0] + self._unit, self._indices, self._indptr), shape=(n, n))
        sources = self._assembled(self._laws.slopes_at(self._columns, theta)) / rate[0]  # (q, nnz)
        jumps = [self._indptr[1:] + k * len(self._indices) for k in range(q)]
        B = csr_array((sources.reshape(-1), np.tile(self._indices, q), np.concatenate([[0], *jumps])), shape=(q * n, n))

        def step(z: FloatArray) -> FloatArray:
            after: FloatArray = P @ z  # (n, 1 + q)
            after[:, 1:] += (B @ np.ascontiguousarray(z[:, 0])).reshape(q, n).T
            return after

        first = np.zeros((n, 1 + q))
        first[:, 0] = self.start
        (sums,) = _summed(first[None], lambda z: step(z[0])[None], exponents)  # (n_times, n, 1 + q)
        values = self.transients(sums[None, :, :, 0], exponents.shape[2], tail)
        return Transients(values.probabilities, values.lacking, values.relative, np.moveaxis(sums[:, :-1, 1:], 2, 0))

    def values_at(self, theta: FloatArray, times: Sequence[float], tail: float, max_work: float) -> Transients:
        """Return probabilities at one parameter vector (q,)."""
        rates = self._rates(theta[None])
        rate, exponents = self._weights(rates, times, tail, max_work)
        n = len(self) + 1
        P = csr_array((self._assembled(rates)[0] / rate[0] + self._unit, self._indices, self._indptr), shape=(n, n))
        sums = _summed(self.start[None], lambda z: (P @ z[0])[None], exponents)  # (1, n_times, n)
        return self.transients(sums, exponents.shape[2], tail)

    def at_many(self, theta: FloatArray, times: Sequence[float], tail: float, max_work: float) -> Transients:
        """Return probabilities at many parameter vectors (P, q)."""
        rates = self._rates(theta)
        rate, exponents = self._weights(rates, times, tail, max_work)
        advanced = self._stacked(rates, rate)
        first = np.tile(self.start, (len(theta), 1))
        return self.transients(_summed(first, advanced, exponents), exponents.shape[2], tail)  # of (P, n_times, n + 1)

    def slopes_at_many(
        self, theta: FloatArray, times: Sequence[float], tail: float, max_work: float
    ) -> tuple[Transients, FloatArray]:
        """Return probabilities, and their derivatives (P, q, n_times, n), at many parameter vectors (P, q)."""
        rates = self._rates(theta)
        rate, exponents = self._weights(rates, times, tail, max_work)
        advanced = self._stacked(rates, rate)
        (many, q), n = theta.shape, len(self)
        changes = [
            self._diagonals.stacked(self._laws.slopes_at_many(self._columns, theta, k), rate) for k in range(q)
        ]  # ∂A/Λ + 1

        def step(z: FloatArray) -> FloatArray:
            after = np.stack([advanced(z[:, k]) for k in range(1 + q)], axis=1)  # (P, 1 + q, n + 1)
            y = np.ascontiguousarray(z[:, 0, :-1])
            for k, change in enumerate(changes):
                after[:, 1 + k, :-1] += (change @ y.reshape(-1)).reshape(many, n) - y
            return after

        first = np.zeros((many, 1 + q, n + 1))
        first[:, 0] = self.start
        sums = _summed(first, step, exponents)  # (P, n_times, 1 + q, n + 1)
        transients = self.transients(sums[:, :, 0], exponents.shape[2], tail)
        return transients, np.moveaxis(sums[:, :, 1:, :-1], 2, 1)

    def _stacked(self, rates: FloatArray, rate: FloatArray) -> Callable[[FloatArray], FloatArray]:
        """Return what advances vectors (P, n + 1), the sink last, each with its rates (P, R, n)."""
        P = self._diagonals.stacked(rates, rate)
        leaving = np.einsum("prx,rx->px", rates, self._diagonals.outside) / rate[:, None]  # (P, n)

        def advance(z: FloatArray) -> FloatArray:
            y = np.ascontiguousarray(z[:, :-1])
            after = np.empty_like(z)
            after[:, :-1] = (P @ y.reshape(-1)).reshape(y.shape)
            after[:, -1] = z[:, -1] + np.einsum("px,px->p", leaving, y)
            return after

        return advance

    def chain(self, theta: FloatArray, times: Sequence[float], max_work: float) -> UniformizedChain:
        """Return the closed chain at one parameter vector (q,)."""
        rates = self._rates(theta[None])
        rate, n = self._speeds(rates, times, max_work), len(self) + 1
        P = csr_array((self._assembled(rates)[0] / rate[0] + self._unit, self._indices, self._indptr), shape=(n, n))
        return UniformizedChain(P, csr_array(P.T), float(rate[0]), *self._moves)

    def slopes(self, theta: FloatArray) -> FloatArray:
        """Return derivatives of the propensities by logarithms of parameters at one vector (q,): (q, R, n)."""
        return self._laws.slopes_at(self._columns, theta)

    def changed(self, theta: FloatArray, direction: FloatArray, rate: float) -> Any:
        """Return what P changes by along a direction (q,) of the logarithms, Λ held: (n + 1, n + 1) CSR."""
        n = len(self) + 1
        rates = np.einsum("k,krx->rx", direction, self.slopes(theta))
        return csr_array((self._assembled(rates[None])[0] / rate, self._indices, self._indptr), shape=(n, n))

    def bends(self, theta: FloatArray, direction: FloatArray) -> FloatArray:
        """Return what `slopes` change by along a direction (q,) of the logarithms, (q, R, n)."""
        return self._laws.bends_at(self._columns, theta, direction)

    def transients(self, sums: FloatArray, terms: int, tail: float) -> Transients:
        """Return what sums (P, n_times, n + 1) of so many powers are, less a tail."""
        relative = self._relative(terms)
        off = 2.0 * relative + len(self) * UNIT_ROUNDOFF  # of the sink, a sum over states
        lacking = (sums[:, :, -1] + tail) * (1.0 + off) + self._lacks  # (1)
        return Transients(sums[:, :, :-1], lacking, relative)

    def _relative(self, terms: int) -> float:
        """Return the relative rounding of a sum of so many powers."""
        return float(terms * (2.0 * len(self._laws.rates) + DIAGONAL_AMPLIFIED + 8.0) * UNIT_ROUNDOFF)

    def _rates(self, theta: FloatArray) -> FloatArray:
        """Return the propensities (P, R, n), each checked."""
        rates = self._laws.rates_at(self._columns, theta)
        if not (np.isfinite(rates) & (rates >= 0.0)).all():
            self._refuse(theta, rates)
        return rates

    def _speeds(self, rates: FloatArray, times: Sequence[float], max_work: float) -> FloatArray:
        """Return the rates Λ (P,); refuse what takes too much work."""
        largest = rates.sum(axis=1).max(axis=1)  # (P,)
        rate = np.where(largest > 0.0, DIAGONAL_WIDENED * largest, 1.0)
        require_normal(float(largest.max()), max(times))
        work = float((rate * max(times)).max()) * (len(rates) * len(self._indices) + CALL)
        if work > max_work:
            raise ConvergenceError(
                f"The last time must be within reach of `max_work`, {max_work:.1e} multiply-adds, but takes about "
                f"{work:.1e} on {len(self):,} states. Narrow the bounds of the parameters, or raise it."
            )
        return np.asarray(rate)

    def _weights(
        self, rates: FloatArray, times: Sequence[float], tail: float, max_work: float
    ) -> tuple[FloatArray, FloatArray]:
        """Return the rates Λ (P,), and the weights of the powers, (P, n_times, n_terms)."""
        rate = self._speeds(rates, times, max_work)
        windows = [[poisson_window(value * t, tail) for t in times] for value in rate.tolist()]
        size = max(first + len(weights) for row in windows for first, weights in row)
        exponents = np.zeros((len(rates), len(times), size))
        for p, row in enumerate(windows):
            for i, (first, weights) in enumerate(row):
                exponents[p, i, first : first + len(weights)] = weights
        return rate, exponents

    def _assembled(self, rates: FloatArray) -> FloatArray:
        """Return the entries of the closed generators (…, nnz) with the given rates (…, R, n)."""
        flat = rates.reshape(*rates.shape[:-2], rates.shape[-2] * rates.shape[-1])
        nothing = np.zeros((*rates.shape[:-2], 1))
        entries = np.concatenate([flat, -rates.sum(axis=-2), nothing], axis=-1)
        order, starts = self._added
        data: FloatArray = np.add.reduceat(entries[..., order], starts, axis=-1)
        return data

    def _refuse(self, theta: FloatArray, rates: FloatArray) -> None:
        wrong = ~(np.isfinite(rates) & (rates >= 0.0)).all(axis=(1, 2))
        values = dict(zip(self._laws.names, theta[np.argmax(wrong)].tolist(), strict=True))
        self._model.with_parameters(values).propensities(self.space.states)  # names the reaction and the state
        raise ModelError(f"Propensities must be finite and non-negative, but are not at {values}.")


class _Diagonals:
    """The matrices P of many parameter vectors, each on the states alone, as diagonals of one matrix of blocks.

    On spaces of boxes a reaction moves all states by the same number of places, so that there are few diagonals.
    """

    def __init__(self, targets: IntArray, n: int) -> None:
        inside = np.concatenate([(targets >= 0).ravel(), np.ones(n, dtype=np.bool_)])
        sources = np.tile(np.arange(n), len(targets) + 1)
        offsets = sources - np.concatenate([targets.ravel(), np.arange(n)])
        self._n = n
        self.outside = (targets < 0).astype(np.float64)  # (R, n)
        self._offsets, row = np.unique(offsets[inside], return_inverse=True)
        self._few = len(self._offsets) <= MOST_DIAGONALS
        keys = (row * n + sources[inside]) if self._few else sources[inside] * n + (sources - offsets)[inside]
        order = np.argsort(keys, kind="stable")
        self._entries = np.flatnonzero(inside)[order]
        self._starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
        self._keys = keys[order][self._starts]

    def stacked(self, rates: FloatArray, rate: FloatArray) -> Any:
        """Return P of each vector, one block after another, from propensities (P, R, n) and rates Λ (P,)."""
        many, n = len(rates), self._n
        scaled = rates / rate[:, None, None]
        flat = np.concatenate([scaled.reshape(many, -1), 1.0 - scaled.sum(axis=1)], axis=1)
        entries = np.add.reduceat(flat[:, self._entries], self._starts, axis=1)  # (P, n_entries)
        shape = (many * n, many * n)
        if self._few:
            data = np.zeros((len(self._offsets), many, n))
            data[self._keys // n, :, self._keys % n] = entries.T
            return dia_array((data.reshape(len(self._offsets), -1), self._offsets), shape=shape)
        blocks = np.arange(many)[:, None] * n
        rows, columns = self._keys % n + blocks, self._keys // n + blocks
        return csr_array((entries.reshape(-1), (rows.reshape(-1), columns.reshape(-1))), shape=shape)


def _summed(first: FloatArray, step: Any, exponents: FloatArray) -> FloatArray:
    """Return ``Σ_k w_k z_k`` for each parameter vector and time: (P, n_times, …) of powers (P, …)."""
    many, n_times, size = exponents.shape
    z, shape = first, first.shape[1:]
    sums = np.zeros((many, n_times, int(np.prod(shape))))
    kept = np.empty((many, POWERS_AT_ONCE, sums.shape[2]))
    for begin in range(0, size, POWERS_AT_ONCE):
        count = min(POWERS_AT_ONCE, size - begin)
        for i in range(count):
            kept[:, i] = z.reshape(many, -1)
            if begin + i + 1 < size:
                z = step(z)
        weights = exponents[:, :, begin : begin + count]
        if weights.any():
            sums += weights @ kept[:, :count]
    return sums.reshape(many, n_times, *shape)
