"""What is observed of the states of a space: probabilities of the counts that were seen, their logarithms and scores.

With y_z the probability of a count z by what is stored, n_z the cells that had it and h_z its derivatives,

    log L = Σ_z n_z log y_z,    ∂ log L = Σ_z n_z h_z / y_z,    F = N Σ_z h_z h_zᵀ / y_z ,

the last over all z, so that F is the information that N cells are expected to hold, but for what y lacks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array, eye_array

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.inference.instruments import Exact, Instrument
from fsp.inference.observation_channel import Gathered, Sight

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.distribution.counts import Counts
    from fsp.inference.fixed_space import Transients
    from fsp.inference.instrument_numbers import InstrumentNumbers
    from fsp.model import Model
    from fsp.space import StateSpace

LEAST_OUTCOME = 1e-14  # probability of an outcome below which rounding of its derivatives hides what it tells
DENSE = 5_000_000  # entries of a table of outcomes; with more the counts that were seen stand for all of them


class Observation:
    """The counts of one condition, seen on the states of a space."""

    def __init__(self, model: Model, counts: Counts, space: StateSpace, instruments: InstrumentNumbers) -> None:
        self.counts, self._instruments = counts, instruments
        self._gathered = Gathered(space.states, counts.observed, model.species, model.observables, 0.0)
        self._there = self._gathered.there.T  # (n_observed, k)
        self._largest = [
            max(int(there.max(initial=0)), *(int(values[:, c].max(initial=0)) for values in counts.values))
            for c, there in enumerate(self._there)
        ]
        self._known: tuple[tuple[Instrument, ...], list[Sight]] | None = None

    def log_likelihood(
        self, transients: Transients, values: Sequence[Mapping[str, float]]
    ) -> tuple[FloatArray, FloatArray]:
        """Return lower and upper bounds of the log-likelihood, (P,) each.

        `values` are the parameters of each vector, by name.
        """
        many = len(transients.probabilities)
        low, high = np.zeros(many), np.zeros(many)
        together = [slice(p, p + 1) for p in range(many)] if self._instruments.names else [slice(0, many)]
        for p in together:
            sights = self._sights(self._concrete(values[p.start]))
            y, lacking = self._gathered.sums(transients.probabilities[p]), transients.lacking[p]
            above = transients.absolute
            bounds = [
                _bounds(
                    y[:, i] @ sight.weights.T,
                    n,
                    lacking[:, i] + above + sight.absolute,
                    transients.relative + sight.relative,
                    above,
                )
                for i, (sight, n) in enumerate(zip(sights, self.counts.cells, strict=True))
            ]
            low[p] = np.sum([part for part, _ in bounds], axis=0)
            high[p] = np.sum([part for _, part in bounds], axis=0)
        return low, high

    def scores(
        self, transients: Transients, values: Mapping[str, float], columns: Sequence[int]
    ) -> tuple[FloatArray, FloatArray]:
        """Return the gradient (q,) and the expected information (q, q) at free parameters, given by name.

        `columns` are the numbers of those among them whose derivatives the transients have.
        """
        q, instruments = len(values), self._concrete(values)
        gradient, information = np.zeros(q), np.zeros((q, q))
        if transients.slopes is None:
            raise ValueError("`transients` must have derivatives")
        outcomes = self._outcomes(instruments)
        slopes = {name: self._slopes(instruments, name, values) for name in values}
        probabilities, states = map(self._gathered.sums, (transients.probabilities[0], transients.slopes))
        for i, (sight, n) in enumerate(zip(self._sights(instruments), self.counts.cells, strict=True)):
            T, p = sight.weights, probabilities[i]
            seen = _derivatives(T, [slope and slope[0][i] for slope in slopes.values()], p, states[:, i], columns)
            y = T @ p
            u = np.where(y > 0.0, seen / np.maximum(y, 1e-300), 0.0)  # (q, m)
            gradient += u @ n
            if outcomes is None:
                information += (u * n) @ u.T
                continue
            of_all = [slope and slope[1] for slope in slopes.values()]
            h = _derivatives(outcomes, of_all, p, states[:, i], columns)
            y = outcomes @ p
            h = h[:, y > LEAST_OUTCOME]
            information += float(n.sum()) * (h / y[y > LEAST_OUTCOME]) @ h.T
        return gradient, 0.5 * (information + information.T)

    def weights(self, transients: Transients, values: Mapping[str, float]) -> FloatArray:
        """Return Σ_z n_z T(z | x)/y_z, whose mean has the gradient of the log-likelihood: (n_times, n)."""
        probabilities = self._gathered.sums(transients.probabilities[0])
        weights = []
        for seen, n, p in zip(self._sights(self._concrete(values)), self.counts.cells, probabilities, strict=True):
            y = seen.weights @ p
            weights.append(self._gathered.spread(np.where(y > 0.0, n / np.maximum(y, 1e-300), 0.0) @ seen.weights))
        return np.array(weights)

    def weight_changes(self, transients: Transients, values: Mapping[str, float], changes: FloatArray) -> FloatArray:
        """Return what `weights` change by where probabilities (n_times, n) do by some: -Σ_z n_z T(z | x) dy_z/y_z²."""
        probabilities, changed = self._gathered.sums(transients.probabilities[0]), self._gathered.sums(changes)
        weights = []
        for i, (seen, n) in enumerate(zip(self._sights(self._concrete(values)), self.counts.cells, strict=True)):
            y, dy = seen.weights @ probabilities[i], seen.weights @ changed[i]
            u = dy / np.maximum(y, 1e-300)
            weights.append(self._gathered.spread(np.where(y > 0.0, -n * u / np.maximum(y, 1e-300), 0.0) @ seen.weights))
        return np.array(weights)

    def slopes(self, transients: Transients, values: Mapping[str, float]) -> FloatArray:
        """Return the derivatives of the log-likelihood by the logarithms of parameters of instruments, (q,)."""
        instruments = self._concrete(values)
        tables = [self._slopes(instruments, name, values) for name in values]
        slopes = np.zeros(len(values))
        if not any(tables):
            return slopes
        probabilities = self._gathered.sums(transients.probabilities[0])
        for i, (seen, n) in enumerate(zip(self._sights(instruments), self.counts.cells, strict=True)):
            y = seen.weights @ probabilities[i]
            u = np.where(y > 0.0, n / np.maximum(y, 1e-300), 0.0)
            slopes += [0.0 if table is None else float(u @ (table[0][i] @ probabilities[i])) for table in tables]
        return slopes

    def marginals(self, transients: Transients, values: Mapping[str, float]) -> list[Mapping[str, FloatArray]]:
        """Return for each time the probabilities of the counts 0, 1, … of each thing that was observed."""
        instruments = self._concrete(values)
        shown: list[Mapping[str, FloatArray]] = []
        for p in self._gathered.sums(transients.probabilities[0]):
            laws: dict[str, FloatArray] = {}
            for text, i, top, there in zip(self.counts.observed, instruments, self._largest, self._there, strict=True):
                law = np.bincount(there, p, minlength=top + 1).astype(np.float64)  # of what is there
                laws[text] = law if isinstance(i, Exact) else i.limited(top, top).values @ law
            shown.append(laws)
        return shown

    def _concrete(self, values: Mapping[str, float]) -> tuple[Instrument, ...]:
        return self._instruments.at(values)

    def _sights(self, instruments: tuple[Instrument, ...]) -> list[Sight]:
        """Return for each time what is seen of what is there."""
        if self._known is None or self._known[0] != instruments:
            self._known = instruments, [self._gathered.sight(values, instruments) for values in self.counts.values]
        return self._known[1]

    def _slopes(
        self, instruments: Sequence[Instrument], name: str, values: Mapping[str, float]
    ) -> tuple[list[Any], Any] | None:
        """Return derivatives of the matrices by the logarithm of a parameter: for each time, and of all counts."""
        factors = [
            sum(self._instruments.elasticity(number, name, values) for number in instrument.depends)
            for instrument in self._instruments.instruments
        ]
        if not any(factors):
            return None
        per_time: list[Any] = [0.0] * len(self.counts.values)
        overall: Any = 0.0
        for c in np.flatnonzero(factors).tolist():
            tables = [i.table(top, top).values for i, top in zip(instruments, self._largest, strict=True)]
            tables[c] = factors[c] * instruments[c].slope(self._largest[c], self._largest[c])
            for i, seen in enumerate(self.counts.values):
                per_time[i] = per_time[i] + self._gathered.table(seen, tables)
            overall = overall + csr_array(tables[0][:, self._there[0]])
        return per_time, overall

    def _outcomes(self, instruments: Sequence[Instrument]) -> Any:
        """Return the matrix (n_outcomes, k) of all that may be seen; None where that is too much."""
        k = len(self._there[0])
        if all(isinstance(instrument, Exact) for instrument in instruments):
            return eye_array(k, format="csr")
        if len(instruments) > 1 or (self._largest[0] + 1) * k > DENSE:
            return None
        (instrument,), (largest,), (there,) = instruments, self._largest, self._there
        shown = np.unique(instrument.standing(np.arange(largest + 1)))
        return csr_array(instrument.table(largest, largest).values[shown][:, there])


def _derivatives(
    T: Any, slopes: Sequence[Any], p: FloatArray, states: FloatArray, columns: Sequence[int]
) -> FloatArray:
    """Return the derivatives (q, m) of T p: those of p (q', k), and those of T where there are any."""
    derivatives = np.zeros((len(slopes), T.shape[0]))
    for k, column in enumerate(columns):
        derivatives[column] = T @ states[k]
    for k, slope in enumerate(slopes):
        if slope is not None:
            derivatives[k] += slope @ p
    return derivatives


def _bounds(
    y: FloatArray, n: IntArray, lacking: FloatArray, off: float, above: float = 0.0
) -> tuple[FloatArray, FloatArray]:
    """Return lower and upper bounds (P,) of Σ n log p, by (1) of `fsp.inference.likelihood`.

    `above` is by how much y may be too large, beside its relative rounding.
    """
    cells = n.astype(np.float64)
    off = min(off, 0.5)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        stored: FloatArray = np.log((1.0 - off) * y) @ cells
        high: FloatArray = np.log(np.minimum((1.0 + off) * y + lacking[:, None], 1.0)) @ cells
        apart = (cells / y).max(axis=1) * lacking + 2.0 * off * float(cells.sum())
        low: FloatArray = np.log(np.maximum((1.0 - off) * y - above, 0.0)) @ cells if above else stored
    noise = 8.0 * UNIT_ROUNDOFF * np.where(np.isfinite(stored), np.abs(stored), 0.0)
    seen = np.isfinite(stored)
    return low - noise, np.where(seen, np.fmin(high, np.where(seen, stored, 0.0) + apart), high) + noise
