"""Gradients of sums of expectations by the adjoint, at a cost that hardly grows with the number of parameters.

Let ``E = Σ_i Σ_x f_i(x) p_x(t_i)``, and λ(x, s) the mean, from x at the time s, of what the f_i are at the times after
s.  With ``s_k' = A s_k + (∂_k A) p`` and ``λ' = -Aᵀ λ``,

(1)  ∂_k E  =  ∫ Σ_x p_x Σ_r ∂_k a_r(x) (λ(x + ν_r) - λ(x)) ds  +  Σ_x λ(x, 0) ∂_k p_x(0) .

Stored are y <= p on some states, and l there, of the f_i on them; m = p - y >= 0.  On all states |λ| <= H, a height
that does not depend on time: a constant, or with functions u of drift conditions (`fsp.moments.part_moments`), whose
means from x are at most ``(e^{TM⁺})_10 + (e^{TM⁺})_11 u(x)``.  Where Ψ is, backwards in time, a mean from x of the
largest H that the stored states are left to, and of what the f_i may be off where they are not left, with what (4)
says,

(2)  |λ - l|  <=  Ψ      on stored states, so that what (1) is off is at most
(3)  ∫ Σ_x y_x Σ_r |∂_k a_r| (Ψ(x + ν_r) + Ψ(x)) ds  +  ∫ Σ_x m Σ_r |∂_k a_r| (H(x + ν_r) + H(x)) ds
     +  Σ Ψ(x, 0) |h_k|  +  Σ H |∂_k p(0) - h_k| ,

and where 0 <= λ <= G, a constant, the second term is half as large, as ``|λ(x + ν_r) - λ(x)| <= G``.  All three, y, l
and Ψ, are made by `fsp.inference.backward`, of numbers that are not negative, each of which has a relative error.

(4)  Of weights that lack ε of a series, y and λ lack at most 2 ε and 2 ε max H; of the sum over m + n = N in its (2),
     which is at most N max H 2 max D_k/Λ for weights w_N, D_k = Σ_r |∂_k a_r|, and as ``Σ N w_N`` over what is left out
     is at most Λ h times the weights from the window's last on, 6 ε h max H max D_k is lacking.

The Poisson windows are such that P(N >= last) <= ε/2 too.  Moments of m are followed as in
`fsp.inference.account`; of events that set counts, which are matrices: `fsp.inference.stored_maps`.

Where the start is a stationary law, each of its y is known up to a part of itself and an absolute rest, which are
added to what numbers are off and to m; then m stands for |p - y|, and the last of (3) is what
`fsp.inference.stationary_start` makes of

(5)  |λ(x, 0)|  <=  min((1 + ρ) (l + Ψ), H)  on stored states, with a rounding of ρ, and H elsewhere,
     Σ_x p_x |λ(x, 0)|  <=  Σ_x y_x min((1 + ρ) (l + Ψ), H) + H Σ m .
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fsp.arithmetic import ROUNDED_UP, SUM_ROUNDING, UNIT_ROUNDOFF, dot
from fsp.bars import silent
from fsp.inference.adjoint_events import AdjointEvents, TimeShifts
from fsp.inference.adjoint_truncation import LACKS, AdjointTruncation
from fsp.inference.backward import (
    ForwardPass,
    Products,
    SeriesStretch,
    UniformizedChain,
    backward,
    forward,
    relative_error,
)
from fsp.inference.beginning import of_model
from fsp.inference.derived import slopes_on
from fsp.projection.progress import Progress
from fsp.space.places import places

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.generator import Generator
    from fsp.inference.beginning import Beginning
    from fsp.inference.envelopes import Bounds
    from fsp.inference.parameters import Derivatives
    from fsp.model import Model
    from fsp.projection.progress import ProgressCallback


class Weights(NamedTuple):
    """What is asked at a time: a function f of the state."""

    values: FloatArray  # f on the stored states, (n,), not negative
    off: FloatArray  # what it may be off there, (n,)
    height: FloatArray  # H of (3): a constant, and factors of the functions u of errors, (1 + n_gauges,)


class RatesOff(NamedTuple):
    """What rates are off beside the rounding of a model's formulas, where a parameter is rounded."""

    relative: float
    slopes: Mapping[int, FloatArray]  # what derivatives are off, (q, n) by reaction


class Gradient(NamedTuple):
    """Derivatives by each parameter, and what they may be off; infinite where nothing is known."""

    values: FloatArray  # (q,)
    off: FloatArray  # (q,)
    products: int  # with vectors


class Adjoint:
    """A network on fixed states up to some times, and what is lost of it.

    With an `exit_rate`, the largest of several, it waits to be passed with them by `SideBySide`.
    """

    path: ForwardPass
    relative: float

    def __init__(
        self,
        model: Model,
        slopes: Derivatives,
        bounds: Bounds,
        generator: Generator,
        times: Sequence[float],
        tail: float,
        report: ProgressCallback = silent,
        *,
        exit_rate: float | None = None,
        rates_off: RatesOff | None = None,
        beginning: Beginning | None = None,
    ) -> None:
        self._model, self.space = model, generator.space
        self._report, self._slopes = report, slopes
        self.gauges = [bounds.followed[i] for i in bounds.of_errors]
        self.chain = UniformizedChain.of(generator, exit_rate or 0.0)
        self._rates_off = rates_off or RatesOff(0.0, {})
        self._beginning = of_model(model, slopes) if beginning is None else beginning
        self._truncation = AdjointTruncation(model, slopes, bounds, generator, self.chain, tail)
        self.events = AdjointEvents(model, slopes, bounds, self.chain, self._truncation, times)
        begun, each = self._beginning, self._beginning.moments.each
        rounding = each.relative + each.absolute
        rounded = [rounding * gauge.powers(begun.states).max(axis=1) for gauge in bounds.followed]
        moments = [begun.moments.of_p(gauge) + more for gauge, more in zip(bounds.followed, rounded, strict=True)]
        self._truncation.begin(begun.lacking + rounding, moments)
        if exit_rate is None:
            self.passed(forward(self.chain, self.start(), self.events.times, tail, self.enter, self.events.mapped))

    def start(self) -> FloatArray:
        """Return where it begins, and nothing of it lost, (n + 1,)."""
        start = np.zeros(len(self.space) + 1)
        start[places(self.space, self._beginning.states)] = self._beginning.probabilities
        return start

    def enter(self, stretch: SeriesStretch, powers: FloatArray) -> None:
        """Follow what is lost over a stretch."""
        self._truncation.enter(stretch, powers)

    def passed(self, path: ForwardPass) -> None:
        """Take note of the way that it went."""
        roundings = self._truncation.generator.roundings + self._rates_off.relative / UNIT_ROUNDOFF
        self.path, self.relative = path, relative_error(path, roundings + self._model.n_reactions)
        self.relative += self.events.relative + self._beginning.moments.each.relative

    def probabilities(self, i: int) -> FloatArray:
        """Return lower bounds, but for `relative`, of the probabilities at time i, (n,)."""
        return self.path.at[self.events.numbers[i]][:-1]

    def lacks(self, i: int) -> float:
        """Bound what they lack at time i, all together."""
        number = self.events.numbers[i]
        sink = float(self.path.at[number][-1]) * (1.0 + 2.0 * self.relative)
        tails = sum(stretch.time <= number for stretch in self.path.stretches) * LACKS * self._truncation.tail
        return (sink + tails + self._beginning.lacking + self.absolute(i)) * ROUNDED_UP

    def absolute(self, i: int) -> float:
        """Bound what they may be too large at time i, all together, beside what is relative."""
        number = self.events.numbers[i]
        passed = sum(stretch.length for stretch in self.path.stretches if stretch.time <= number)
        begun = self._beginning.moments.each.absolute
        return (begun + self._truncation.generator.misjudged(0.0, passed)) * ROUNDED_UP

    def level(self, highest: float) -> FloatArray:
        """Return a height that is the same on all states, (1 + n_gauges,)."""
        return np.array([highest, *[0.0] * len(self.gauges)])

    # ---- backwards

    def gradient(self, asked: Sequence[Weights], *, signed: bool) -> Gradient:
        """Return the derivatives of the sum over all times of what is asked, (1), and what they are off, (3).

        `signed` says whether λ may be negative somewhere.
        """
        later = self.later(asked)
        if not np.isfinite(later).all():
            nothing = self.level(0.0)
            estimate = self.gradient(
                [weights._replace(off=0.0 * weights.values, height=nothing) for weights in asked], signed=signed
            )
            return estimate._replace(off=np.full(len(estimate.off), inf))
        shifts = TimeShifts(self.events, later, self.relative, signed=signed)
        products = backward(
            self.chain,
            self.path,
            lambda number: self._entering(number, asked),
            lambda stretch: self.after(stretch, later),
            shifts.before,
        )
        gradient = self.contracted(products, later, signed=signed)
        off = np.nan_to_num(gradient.off + shifts.off * ROUNDED_UP, nan=inf, posinf=inf)
        return gradient._replace(values=gradient.values + shifts.values, off=off)

    def later(self, asked: Sequence[Weights]) -> FloatArray:
        """Return the heights of what is asked at each time or later, from all states before it, (n, 1 + n_gauges)."""
        return self.events.heights([weights.height for weights in asked], self.level(0.0))

    def _entering(self, number: int, asked: Sequence[Weights]) -> FloatArray:
        i = self.events.asked.get(number)
        return np.zeros((len(self.space) + 1, 2)) if i is None else self.weights(asked[i])

    def weights(self, asked: Weights) -> FloatArray:
        """Return the weights, and what bounds what they may be off, that come in at a time, (n + 1, 2)."""
        n, (_, outside) = len(self.space), self._truncation.highest
        block = np.zeros((n + 1, 2))
        block[:n, 0], block[:n, 1], block[n, 1] = asked.values, asked.off, asked.height @ outside
        return block

    def after(self, stretch: SeriesStretch, later: FloatArray) -> FloatArray:
        """Return what is added to l and Ψ at the beginning of a stretch, (n + 1, 2): (4)."""
        n, (inside, _) = len(self.space), self._truncation.highest
        block = np.zeros((n + 1, 2))
        block[:n, 1] = later[stretch.time] @ inside * self._truncation.within(stretch.length)
        self._say(stretch)
        return block

    def contracted(self, products: Products, later: FloatArray, *, signed: bool) -> Gradient:
        """Return (1) and (3) of what was passed back; `later` are heights, (n_times, 1 + n_gauges)."""
        rho = 2.0 * self.relative + SUM_ROUNDING
        values, off, largest = self._contracted(products.moved, products.stayed, rho)
        h = self._beginning.derivatives  # (q, n_start)
        l, psi = products.first[places(self.space, self._beginning.states)].T  # noqa: E741 - as in (2)
        values += dot(h, l)
        off += np.abs(h) @ (psi * (1.0 + rho) + rho * l) + self._of_start(products.first, later[0], rho)
        off += self._truncation.charge(later, largest, signed=signed) * (1.0 + 4.0 * self.relative)
        return Gradient(values, np.nan_to_num(off * ROUNDED_UP, nan=inf, posinf=inf), 3 * self.path.products)

    def _say(self, stretch: SeriesStretch) -> None:
        """Say how far back it is."""
        times = self.events.times
        back, last = times[-1] - times[stretch.time], len(self.events.numbers) - 1
        self._report(Progress(back, times[-1], len(self.space), self.lacks(last), "back from the end"))

    def _of_start(self, first: FloatArray, height: FloatArray, rho: float) -> FloatArray:
        """Bound Σ |λ| |∂_k p(0) - h_k|, (q,), for l and Ψ (n + 1, 2) and H at the start.

        Of a stationary start by (5), where that is proved, and H a constant; else nothing is known.
        """
        begun, H = self._beginning, float(height[0])
        above, weighted = begun.moments.of_derivatives, begun.moments.weighted
        if above is not None or weighted is None:
            return (
                np.stack([begun.errors, *([above(gauge) for gauge in self.gauges] if above else [])], axis=1) @ height
            )
        if height[1:].any() or not (begun.proof.of_law and begun.proof.of_errors):
            return np.full(len(begun.errors), inf)
        inside = np.minimum((1.0 + rho) * first[:-1].sum(axis=1), H) * ROUNDED_UP  # (n,), (5)
        mean = float(begun.probabilities @ inside[places(self.space, begun.states)]) + H * begun.lacking  # (5)
        return weighted(self.space, inside, H, mean * ROUNDED_UP)

    def _contracted(
        self, moved: FloatArray, stayed: FloatArray, rho: float
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return (1) and (3) of what is stored, and the largest D_k of stored states: (q,) each."""
        q, states = len(self._slopes.names), self.space.states
        values, off, sizes = np.zeros(q), np.zeros(q), np.zeros((q, len(states)))
        for r in range(self._model.n_reactions):
            slopes, wrong = slopes_on(self._model, states, r, self._slopes)  # (q, n) each
            wrong = wrong + self._rates_off.slopes.get(r, 0.0)
            sizes += np.abs(slopes) + wrong
            if not (slopes.any() or wrong.any()):
                continue
            arrived = moved[self.chain.change_of[r]]
            l, psi = (arrived + stayed).T  # noqa: E741 - as in (2)
            values += dot(slopes, arrived[:, 0] - stayed[:, 0])
            off += (np.abs(slopes) + wrong) @ psi * (1.0 + rho) + (rho * np.abs(slopes) + wrong * (1.0 + rho)) @ l
        return values, off, sizes.max(axis=1)


class SideBySide:
    """Adjoints on the same states and with the same largest exit rate, which pass as one chain."""

    def __init__(self, each: Sequence[Adjoint], tail: float) -> None:
        self._each, self._size = each, len(each[0].space) + 1
        self._chain = UniformizedChain.side_by_side([adjoint.chain for adjoint in each])

        def entered(stretch: SeriesStretch, powers: FloatArray) -> None:
            for i, adjoint in enumerate(each):
                adjoint.enter(stretch, powers[:, i * self._size : (i + 1) * self._size])

        start = np.concatenate([adjoint.start() for adjoint in each])
        self._path = forward(self._chain, start, each[0].events.times, tail, entered)
        for i, adjoint in enumerate(each):
            adjoint.passed(self._path.of(i, self._size))

    def gradients(self, asked: Sequence[Weights], *, signed: bool) -> list[Gradient]:
        """Return the derivatives of each, of what is asked of all, with finite heights."""
        later = self._each[0].later(asked)
        products = backward(
            self._chain,
            self._path,
            lambda i: np.concatenate([adjoint.weights(asked[i]) for adjoint in self._each]),
            lambda stretch: np.concatenate([adjoint.after(stretch, later) for adjoint in self._each]),
        )
        return [
            adjoint.contracted(products.of(i, self._size), later, signed=signed) for i, adjoint in enumerate(self._each)
        ]
