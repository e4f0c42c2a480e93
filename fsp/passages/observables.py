"""Observables of correlations: formulas of the state, centred, with a polynomial above their squares."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import SLIGHTLY_UP
from fsp.distribution.formulas import read_formula
from fsp.errors import ArgumentError
from fsp.model.expression import Number, call, evaluate
from fsp.moments.envelope import envelope
from fsp.moments.polynomial import plus
from fsp.moments.terms import in_falling_powers, scale

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.distribution import Distribution
    from fsp.model import Model
    from fsp.model.expression import Expression
    from fsp.moments.polynomial import Polynomial


@dataclass(frozen=True, slots=True)
class Observable:
    """A formula, less a number about its mean; a condition counts 0 or 1."""

    text: str
    tree: Expression
    species: tuple[str, ...]
    is_condition: bool
    middle: float = 0.0

    @classmethod
    def read(cls, model: Model, text: object, argument: str) -> Observable:
        """Read a formula; an ArgumentError says what cannot be one."""
        if not isinstance(text, str):
            raise ArgumentError(f"`{argument}` must be a formula such as 'X', but is {text!r}.")
        tree = read_formula(text, model.species, model.observables, None)
        at_start = np.asarray(evaluate(tree, _columns(model.species, model.initial_states), 0.0))
        return cls(text, tree, model.species, at_start.dtype == np.bool_)

    def of(self, law: Distribution) -> Observable:
        """Return the formula with the parameters that it has at the time of a law, which events may have changed."""
        return replace(self, tree=read_formula(self.text, law.species, law.observables, None))

    def about(self, states: IntArray, p: FloatArray) -> Observable:
        """Return the formula less its mean over stored probabilities `p` (n,) of `states` (n, d)."""
        values = self.values(states)
        mean = float(p @ values) / float(p.sum())
        return replace(self, middle=min(max(mean, float(values.min())), float(values.max())))  # a constant is its mean

    def values(self, states: IntArray) -> FloatArray:
        """Return the values at states (n, d), (n,), less `middle`."""
        values = np.asarray(evaluate(self.tree, _columns(self.species, states), 0.0), dtype=np.float64)
        if not np.isfinite(values).all():
            place = int(np.argmin(np.isfinite(np.broadcast_to(values, len(states)))))
            state = ", ".join(f"{name} = {x}" for name, x in zip(self.species, states[place].tolist(), strict=True))
            raise ArgumentError(f"'{self.text}' must be finite in every state, but is not at {state}.")
        return np.broadcast_to(values, len(states)) - self.middle

    @property
    def cost(self) -> Polynomial | None:
        """A polynomial above the square of the values, in falling powers; None where none is known."""
        if self.is_condition:
            return {(0,) * len(self.species): Fraction(max(self.middle**2, (1.0 - self.middle) ** 2) * SLIGHTLY_UP)}
        square = call("^", call("-", self.tree, Number(self.middle)), Number(2.0))
        above = envelope(square, self.species).upper
        if above is None:
            return None
        return {alpha: c for alpha, c in in_falling_powers(above, upper=True).items() if c > 0}

    @property
    def size(self) -> Polynomial | None:
        """A polynomial above the modulus of the values, in falling powers; None where none is known."""
        width = len(self.species)
        if self.is_condition:
            return {(0,) * width: Fraction(1)}
        known = envelope(self.tree, self.species)
        above = [known.upper, scale(known.lower, Fraction(-1))]
        parts = [in_falling_powers(terms, upper=True) for terms in above if terms is not None]
        parts = [{alpha: c for alpha, c in part.items() if c > 0} for part in parts]
        return plus({(0,) * width: Fraction(abs(self.middle))}, *parts) if len(parts) == len(above) else None


def _columns(species: tuple[str, ...], states: IntArray) -> dict[str, FloatArray]:
    return {name: states[:, i].astype(np.float64) for i, name in enumerate(species)}
