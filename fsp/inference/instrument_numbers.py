"""Numbers of instruments as functions of free parameters: a capture probability may be a formula of these.

With θ a free parameter and c(θ) the number, the derivative by log θ is ``(θ/c) ∂c/∂θ`` times that by log c.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fsp.model.definition import resolve
from fsp.model.derivatives import derivative
from fsp.model.expression import evaluate
from fsp.model.tree import Expression, Symbol, symbols

if TYPE_CHECKING:
    from fsp.inference.instruments import Instrument
    from fsp.model import Model


class InstrumentNumbers:
    """Some instruments, with their numbers by the names of the free parameters of a model."""

    def __init__(self, model: Model, names: Sequence[str], instruments: Sequence[Instrument]) -> None:
        self.instruments = tuple(instruments)
        rest = resolve(model.definition.parameters, without=names)
        given = {number for instrument in instruments for number in instrument.depends}
        self._trees: dict[str, Expression] = {
            n: Symbol(n) if n in names else rest[n] for n in given if n in model.parameters
        }
        self._slopes = {
            (number, name): derivative(tree, name)
            for number, tree in self._trees.items()
            for name in names
            if name in symbols(tree)
        }

    @property
    def names(self) -> set[str]:
        """The free parameters that they depend on."""
        return {name for _, name in self._slopes}

    def at(self, values: Mapping[str, float]) -> tuple[Instrument, ...]:
        """Return the instruments at values of the free parameters."""
        known = {**values, **{number: float(evaluate(tree, values)) for number, tree in self._trees.items()}}
        return tuple(instrument.at(known) for instrument in self.instruments)

    def elasticity(self, number: str, name: str, values: Mapping[str, float]) -> float:
        """Return the derivative of the logarithm of a number by that of a free parameter."""
        slope = self._slopes.get((number, name))
        if slope is None:
            return 0.0
        return values[name] * float(evaluate(slope, values)) / float(evaluate(self._trees[number], values))
