"""Spectra of a network at rest, on a space that grows until they are sharp: see `resolvent`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, Protocol

import numpy as np

from fsp.distribution import ErrorLedger
from fsp.distribution.correlation import Spectrum
from fsp.equilibrium.growth_loop import IMPROVES, NextSpace, grow_until
from fsp.moments.polynomial import plus, scaled, times
from fsp.passages.outside import PAID_MARGIN, paying
from fsp.passages.resolvent import Excursions
from fsp.passages.stationary_law import OnStationaryLaw, met

if TYPE_CHECKING:
    from collections.abc import Callable

    from fsp.arrays import FloatArray
    from fsp.model import Model
    from fsp.moments.lyapunov import DriftCondition
    from fsp.moments.polynomial import Polynomial
    from fsp.passages.observables import Observable
    from fsp.passages.products import ObservedLaw
    from fsp.passages.stationary_law import StationaryLaw, StationaryLawCertifier
    from fsp.projection.growth import Growth
    from fsp.space.base import BaseSpace


PATIENCE = 2  # growths in a row that are of no use, after which growing ends; chosen


class ObservedPair(Protocol):
    """Both observables under the stationary law on a space."""

    @property
    def rest(self) -> StationaryLaw:
        """What is known of the law."""
        ...

    @property
    def laws(self) -> tuple[ObservedLaw, ObservedLaw]:
        """The observables under it."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _SpectrumCandidate(OnStationaryLaw):
    spectrum: Spectrum


class Spectra:
    """The spectra of two observables of one network."""

    def __init__(
        self,
        model: Model,
        pair: tuple[Observable, Observable],
        known: ObservedPair,
        growing: tuple[StationaryLawCertifier, Growth, Callable[[BaseSpace, FloatArray | None], ObservedPair]] | None,
        condition: DriftCondition | None,
        tol: float,
    ) -> None:
        """Take the laws that are known, and what they are made with on other spaces, if they have bounds."""
        self._model, self._pair, self._known, self._growing = model, pair, known, growing
        self._condition, self._tol = condition, tol

    def __call__(self, frequencies: FloatArray) -> Spectrum:
        """Return the spectrum at angular frequencies (m,)."""
        rest, laws = self._known.rest, self._known.laws
        if self._growing is None or not rest.generator.leaks or any(f is None for f in self.paid):
            return Excursions(rest, laws, (None, None)).spectrum(frequencies)
        certifier, growth, attempt = self._growing
        wanted = certifier.excepted(self.paid)
        if not growth.affords(len(wanted)):
            return Excursions(rest, laws, (None, None)).spectrum(frequencies)

        def on(space: BaseSpace, guess: FloatArray | None) -> _SpectrumCandidate:
            two = self._known if space is rest.generator.space else attempt(space, guess)
            paid = [met(f, space, two.rest.generator) for f in self.paid]
            return _SpectrumCandidate(two.rest, Excursions(two.rest, two.laws, paid).spectrum(frequencies))

        stored = bool((rest.generator.space.index(wanted) >= 0).all())
        judge = _SpectrumJudge(self._tol)
        grow_until(
            growth, rest.generator.space if stored else growth.with_states(rest.generator.space, wanted), on, judge
        )
        return judge.best

    @cached_property
    def paid(self) -> list[DriftCondition | None]:
        """Functions that pay for C, and for C times the first one; None where there are none."""
        sizes = [observable.size for observable in self._pair]
        if self._condition is None or sizes[0] is None or sizes[1] is None:
            return [None, None]
        cost: Polynomial = plus(
            {(0,) * self._model.n_species: Fraction(1)}, *(size for size in sizes if size is not None)
        )
        first = paying(self._model, self._condition, cost)
        if first is None:
            return [None, None]
        return [
            first,
            paying(self._model, self._condition, scaled(times(cost, first.function), 1 + PAID_MARGIN), first),
        ]


class _SpectrumJudge:
    """Ends where the spectrum is sharp, or growing does not help."""

    suffices = True

    def __init__(self, tol: float) -> None:
        self._tol, self._useless = tol, 0
        self._unknown, self._width, self._outside = sys.maxsize, inf, inf  # the least of each so far
        self.best: Spectrum

    def judge(self, candidate: _SpectrumCandidate, guess: FloatArray | None) -> NextSpace | None:
        """Return how to go on; None to end."""
        spectrum, outside = candidate.spectrum, candidate.rest.outside
        sizes, known = np.abs(spectrum.value), np.isfinite(spectrum.radius)
        unknown = int(np.sum(~known))  # frequencies of which nothing is known: for states outside, or rounding
        width = float((spectrum.radius / np.where(sizes > 0.0, sizes, 1.0))[known].max(initial=0.0))
        fewer = unknown < self._unknown
        as_many = unknown == self._unknown
        improves = (
            fewer or (as_many and width < IMPROVES * self._width) or (unknown and outside < IMPROVES * self._outside)
        )
        self._useless = 0 if improves else self._useless + 1
        if fewer or (as_many and width < self._width):
            self.best, self._unknown, self._width = spectrum, unknown, width
        self._outside = min(outside, self._outside)
        done = (not unknown and width <= self._tol) or self._useless == PATIENCE
        return None if done else NextSpace(ErrorLedger(truncation=min(2.0, candidate.rest.outside)))
