"""Propensities with free parameters as symbols: their values and derivatives, for many parameters at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.errors import ArgumentError, BackendError
from fsp.inference.parameters import derivatives, require_finite
from fsp.model.definition import resolve
from fsp.model.derivatives import derivative
from fsp.model.expression import evaluate, substitute
from fsp.model.tree import ZERO, Expression, Symbol, call, symbols

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.model import Model


@dataclass(frozen=True, slots=True)
class FreeLaws:
    """Propensities of species and free parameters, and their derivatives by the logarithms of these."""

    names: tuple[str, ...]
    rates: tuple[Expression, ...]
    slopes: tuple[tuple[Expression, ...], ...]  # by parameter and reaction
    reactions: tuple[str, ...]  # their names

    @classmethod
    def of(cls, model: Model, names: Sequence[str]) -> FreeLaws:
        """Read the laws of a model; refuse what `fsp.sensitivity` refuses."""
        if names:
            derivatives(model, names, log=True)
        if model.is_time_dependent or model.events:
            what = "events" if model.events else "propensities that depend on time"
            raise BackendError(f"`model` must have constant propensities and no events, but '{model.name}' has {what}.")
        definition = model.definition
        fixed = resolve(definition.parameters, without=names)
        moved = starting(model, names)
        if moved:
            raise ArgumentError(
                f"Free parameters must not change the start, but initial counts depend on '{moved[0]}'."
            )
        rates = tuple(substitute(law, fixed) for law in definition.laws if isinstance(law, Expression))
        slopes = tuple(tuple(_scaled(derivative(rate, name), name) for rate in rates) for name in names)
        return cls(tuple(names), rates, slopes, tuple(str(reaction.name) for reaction in model.reactions))

    def rates_at(self, columns: Mapping[str, FloatArray], theta: FloatArray) -> FloatArray:
        """Return the propensities (P, R, n) of states, given as columns (n,) by species, at parameters (P, q)."""
        return self._values(self.rates, columns, theta)

    def slopes_at(self, columns: Mapping[str, FloatArray], theta: FloatArray) -> FloatArray:
        """Return their derivatives (q, R, n) by the logarithms of the parameters, at one (q,)."""
        n = len(next(iter(columns.values())))
        table = [self._values(trees, columns, theta[None])[0] for trees in self.slopes]
        slopes = np.array(table).reshape(len(self.slopes), len(self.rates), n)
        self._require_finite(slopes, self.names, columns)
        return slopes

    def slopes_at_many(self, columns: Mapping[str, FloatArray], theta: FloatArray, k: int) -> FloatArray:
        """Return their derivatives (P, R, n) by the logarithm of the k-th parameter, at parameters (P, q)."""
        slopes = self._values(self.slopes[k], columns, theta)
        self._require_finite(slopes, [self.names[k]] * len(theta), columns)
        return slopes

    def _require_finite(self, slopes: FloatArray, names: Sequence[str], columns: Mapping[str, FloatArray]) -> None:
        if not np.isfinite(slopes).all():
            for r, reaction in enumerate(self.reactions):
                require_finite(slopes[:, r], names, reaction, columns)

    def bends_at(self, columns: Mapping[str, FloatArray], theta: FloatArray, direction: FloatArray) -> FloatArray:
        """Return what those change by along a direction (q,) of the logarithms, (q, R, n), at one (q,)."""
        n = len(next(iter(columns.values())))
        table = np.zeros((len(self.slopes), len(self.rates), n))
        for name, share in zip(self.names, direction.tolist(), strict=True):
            for k, trees in enumerate(self.bends(name) if share else ()):
                if any(tree != ZERO for tree in trees):
                    table[k] += share * self._values(trees, columns, theta[None])[0]
        return table

    def bends(self, name: str) -> list[tuple[Expression, ...]]:
        """Return the derivatives of the slopes by the logarithm of a parameter, by parameter and reaction."""
        return [tuple(_scaled(derivative(slope, name), name) for slope in row) for row in self.slopes]

    def _values(self, trees: Sequence[Expression], columns: Mapping[str, FloatArray], theta: FloatArray) -> FloatArray:
        values: dict[str, Any] = {**columns, **{name: theta[:, k, None] for k, name in enumerate(self.names)}}
        n = len(next(iter(columns.values())))
        table = np.empty((len(theta), len(trees), n))
        for r, tree in enumerate(trees):
            table[:, r] = evaluate(tree, values)
        return table


def starting(model: Model, names: Sequence[str]) -> list[str]:
    """Return those of some parameters on which initial counts, or their laws, depend."""
    definition = model.definition
    fixed = resolve(definition.parameters, without=names)
    start = [*definition.species.values(), *(a for draw in definition.initial.draws.values() for a in draw.arguments)]
    return [name for name in names if any(name in symbols(substitute(tree, fixed)) for tree in start)]


def depends_on(model: Model, name: str) -> bool:
    """Tell whether a rate, or the start, depends on a parameter."""
    definition = model.definition
    others = resolve(definition.parameters, without=[name])
    laws = [law for law in definition.laws if isinstance(law, Expression)]
    return any(name in symbols(substitute(law, others)) for law in laws) or bool(starting(model, [name]))


def _scaled(slope: Expression, name: str) -> Expression:
    return slope if slope == ZERO else call("*", Symbol(name), slope)
