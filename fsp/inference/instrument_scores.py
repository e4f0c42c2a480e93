"""What cells tell about the number of an instrument: scores of what is seen, given what is there.

To know the path x and what is seen of its end, z, has the score ``S = ∂ log p(path) + ∂ log T(z | x)``, whose parts are
uncorrelated, as ``E[∂ log T | x] = 0``.  So for a number c of instruments that see x_i independently,

(1)  E[(∂ log T)²]  =  Σ_i E I(x_i)  <=  Σ_i Ī ,     I(x) = x c/(1 - c) of a capture probability, by log c,

where ``Ī >= E I`` follows from a bound of the mean of x_i.  With y <= p on stored states, the probability of z and its
derivative are known by ``h_z = Σ_x ∂T(z | x) y_x``, and (1) to (3) of `fsp.inference.fisher` hold with
``v_z = Σ_x T (∂ log T)² y_x``, by Cauchy and Schwarz, as ``Σ_z |∂T(z | x)| <= √I(x)``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fsp.arithmetic import SLIGHTLY_UP, SUM_ROUNDING, UNIT_ROUNDOFF
from fsp.errors import ArgumentError
from fsp.inference.free_laws import depends_on
from fsp.inference.instruments import Binomial, Instrument, instruments_of
from fsp.inference.observation_channel import formulas_of
from fsp.inference.parameters import checked_names, require_unmoved_instruments
from fsp.model.definition import resolve
from fsp.model.tree import Number, symbols

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.distribution import Distribution
    from fsp.inference.observation_channel import Channel
    from fsp.model import Model

SCORE_ROUNDINGS = 16.0  # of a score, beside those of 1 - c: a few operations


@dataclass(frozen=True, slots=True)
class Asked:
    """What information is asked about: parameters of rates, and of instruments."""

    names: tuple[str, ...]
    of_rates: tuple[str, ...]
    of_instruments: Mapping[str, tuple[int, ...]]  # which instruments have the number
    values: Mapping[str, float]  # of these
    texts: tuple[str, ...]  # what is observed

    @classmethod
    def of(
        cls,
        model: Model,
        parameters: Sequence[str],
        observe: str | Sequence[str] | None,
        given: Any | Mapping[str, Any] | None,
    ) -> Asked:
        """Say which is which; refuse what is both, or has no derivative."""
        names = checked_names(parameters)
        texts = formulas_of(observe) or tuple(model.species)
        instruments = instruments_of(given, texts)
        require_unmoved_instruments(model, instruments)
        chosen = {
            name: tuple(c for c, instrument in enumerate(instruments) if name in instrument.depends) for name in names
        }
        told = {name: places for name, places in chosen.items() if places}
        require_known(model, [name for name in names if name not in told], instruments)
        for name in told:
            _require_of_its_own(model, name)
        others = tuple(name for name in names if name not in told)
        return cls(names, others, told, {name: model.parameters[name] for name in told}, texts)

    def together(
        self,
        h: FloatArray,
        v: FloatArray,
        of_all: Sequence[FloatArray],
        told: Sequence[Told],
        lacking: float,
        log: bool,
    ) -> tuple[FloatArray, FloatArray, tuple[FloatArray, ...]]:
        """Return h and v (q, m), and E[S²], what sums of v are off, noise and errors (q,), of all names.

        `of_all` are the latter of rates.
        """
        places = [self.names.index(name) for name in (*self.of_rates, *self.of_instruments)]
        order = np.argsort(places)
        scales = [1.0 if log else 1.0 / value for value in self.values.values()]
        rows = [
            (scale**2 * t.of_all, scale**2 * t.off, scale * t.noise, scale * t.error(lacking))
            for t, scale in zip(told, scales, strict=True)
        ]
        numbers = [np.concatenate([known, [row[at] for row in rows]])[order] for at, known in enumerate(of_all)]
        slopes = np.concatenate([h, *(scale * t.slopes[None] for t, scale in zip(told, scales, strict=True))])
        squares = np.concatenate([v, *(scale**2 * t.squares[None] for t, scale in zip(told, scales, strict=True))])
        return slopes[order], squares[order], tuple(numbers)


def require_known(model: Model, names: Sequence[str], instruments: Sequence[Instrument]) -> None:
    """Refuse parameters by which what instruments see is not differentiated, though it depends on them."""
    numbers = [number for instrument in instruments for number in instrument.depends]
    for name in names if numbers else ():
        others = resolve(model.definition.parameters, without=[name])
        for given in numbers:
            if given == name or name in symbols(others.get(given, Number(0.0))):
                what = f"is in the formula of its '{given}'" if given != name else "is its number"
                raise ArgumentError(
                    f"`parameters` must not be of the instrument here, but '{name}' {what}; give the instrument its "
                    f"value, or a parameter of its own that is left out of `parameters`."
                )


def _require_of_its_own(model: Model, name: str) -> None:
    """Refuse the number of an instrument that rates depend on too, that is a formula, or is 1."""
    if not isinstance(model.definition.parameters[name], Number):
        raise ArgumentError(
            f"`parameters` must be numbers in the model, but '{name}' is a formula; name what is in it."
        )
    if depends_on(model, name):
        raise ArgumentError(
            f"`parameters` must not be both of rates and of the instrument, but '{name}' is; give the instrument a "
            f"parameter of its own."
        )
    if not model.parameters[name] < 1.0:
        raise ArgumentError(
            f"The capture probability must be below 1 where it is told by cells, but '{name}' is "
            f"{model.parameters[name]:g}; leave it out of `parameters`."
        )


class Told(NamedTuple):
    """What is known of the number of an instrument, by its logarithm, at one time."""

    slopes: FloatArray  # h, (m,)
    squares: FloatArray  # v, (m,)
    of_all: float  # the bound of (1)
    off: float  # what sums of v may be off
    noise: float  # what h may be off by rounding, in the 1-norm

    def error(self, lacking: float) -> float:
        """Bound what h is off in the 1-norm, where y lacks `lacking`."""
        beyond = max(self.of_all - float(self.squares.sum()) + self.off, 0.0)
        return math.sqrt(beyond * max(lacking, 1e-300)) + self.noise


def told_of(
    distribution: Distribution,
    texts: Sequence[str],
    there: FloatArray,
    y: FloatArray,
    seen: Channel,
    instruments: Sequence[Instrument],
    chosen: Sequence[int],
    rho: float,
) -> Told:
    """Return what cells tell of the number that the `chosen` instruments have.

    `there`: (n, n_observed) what is there, with probabilities y (n,) that may be off by `rho`, beside what they lack.
    """
    score, size, information = np.zeros(seen.weights.shape), np.zeros(seen.weights.shape), 0.0
    largest = np.zeros(len(y))  # I of what is there
    for c in chosen:
        instrument = instruments[c]
        if not isinstance(instrument, Binomial):
            raise ValueError("only a capture probability has a score")
        summand, terms = instrument.scores(seen.outcomes[:, c], there[:, c])
        score, size = score + summand, size + terms
        largest += instrument.information(there[:, c])
        mean = distribution.expectation(texts[c])
        above = mean.upper if mean.certified else math.inf
        information += float(instrument.information(np.array([above]))[0]) * SLIGHTLY_UP
    rounding = (
        seen.lacking + SUM_ROUNDING + SCORE_ROUNDINGS * UNIT_ROUNDOFF * max(_lost(instruments[c]) for c in chosen)
    )
    noise = rounding * float((seen.weights * size @ y).sum()) + rho * math.sqrt(float(largest.max()))
    off = 2.0 * rounding * float((seen.weights * size**2 @ y).sum()) + rho * float(largest.max())
    slopes, squares = seen.weights * score @ y, seen.weights * score**2 @ y  # (m,) each
    return Told(slopes, squares, information, off * SLIGHTLY_UP, noise * SLIGHTLY_UP)


def _lost(instrument: Instrument) -> float:
    """Return by how many times 1 - c multiplies a rounding of c."""
    c = float(instrument.capture) if isinstance(instrument, Binomial) else 0.0
    return 1.0 + 1.0 / (1.0 - c)
