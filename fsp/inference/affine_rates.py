"""By how much rates grow with parameters that differ among cells: f_r and F of `fsp.inference.quadrature`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import SUM_ROUNDING
from fsp.errors import ArgumentError, BackendError, ModelError
from fsp.inference.free_laws import starting
from fsp.inference.parameters import require_no_events, without
from fsp.model.definition import resolve
from fsp.model.derivatives import derivative
from fsp.model.ranges import enclosure
from fsp.model.tree import ZERO, Expression, Number, substitute, symbols
from fsp.moments.envelope import envelope
from fsp.moments.terms import gains

if TYPE_CHECKING:
    from fsp.model import Model
    from fsp.model.spans import Range


@dataclass(frozen=True, slots=True, eq=False)
class AffineRates:
    """The functions f_r of (1) by parameter: what the rates are multiples of, beside what does not change."""

    species: tuple[str, ...]
    slopes: Mapping[str, tuple[Expression, ...]]
    laws: tuple[Expression, ...]  # of species and these parameters

    @classmethod
    def of(cls, model: Model, names: Sequence[str], free: Sequence[str] = ()) -> AffineRates:
        """Take the laws apart; refuse those that are not ``g + θ f`` with both not negative.

        Parameters that are `free` have their values in the boxes.
        """
        require_no_events(model)
        moved = starting(model, names)
        if moved:
            raise ArgumentError(
                f"`extrinsic` must be of rate constants, but the initial counts of '{model.name}' depend on "
                f"'{moved[0]}'; make that a law of the start, such as poisson(…)."
            )
        kept = {*names, *free}
        fixed = resolve({name: tree for name, tree in model.definition.parameters.items() if name not in kept})
        trees = []
        for reaction, law in zip(model.reactions, model.definition.laws, strict=True):
            if not isinstance(law, Expression):
                raise ModelError(
                    f"A rate must be a formula where a parameter differs among cells, but that of '{reaction.name}' "
                    f"is a callable; write it as a text."
                )
            trees.append((str(reaction.name), substitute(law, fixed)))
        return cls(
            tuple(model.species),
            {name: tuple(_slope(model, name, r, tree) for r, tree in trees) for name in names},
            tuple(tree for _, tree in trees),
        )

    def on(self, name: str, box: Mapping[str, Range], horizon: float) -> float:
        """Bound t F on a box of states and of other parameters."""
        size = sum(_largest(tree, self.species, box, horizon) for tree in self.slopes[name] if tree != ZERO)
        if not np.isfinite(size):
            raise BackendError(
                f"Rates must be bounded multiples of '{name}' at given counts where it differs among cells, but one is "
                f"not, for all that is known; write its functions of time so that their range is seen, as min(…, 10)."
            )
        return horizon * size * (1.0 + SUM_ROUNDING)


def _largest(tree: Expression, species: Sequence[str], box: Mapping[str, Range], horizon: float) -> float:
    """Bound a function on a box, by ranges at all times or by a polynomial above it up to the horizon."""
    by_range = max(0.0, enclosure(tree, box)[1])
    upper = gains(envelope(tree, species, horizon).upper)
    if upper is None:
        return by_range
    top = [box[name][1] for name in species]
    terms = (float(c) * prod(x ** float(p) for x, p in zip(top, powers, strict=True)) for powers, c in upper.items())
    return float(min(by_range, sum(terms) * (1.0 + SUM_ROUNDING)))


def _slope(model: Model, name: str, reaction: str, tree: Expression) -> Expression:
    """Return f of a law ``g + θ f``."""
    slope = derivative(tree, name)
    if name in symbols(slope):
        raise BackendError(
            f"`extrinsic` must be of parameters that rates are multiples of, or multiples and a rest, but that of "
            f"'{reaction}' depends on '{name}' otherwise. Write a parameter for what differs among cells, such as "
            f"the whole rate."
        )
    if without(tree, name) == ZERO:
        return slope
    rest = substitute(tree, {name: Number(0.0)})
    everywhere = {species: (0.0, np.inf) for species in model.species}
    if slope != ZERO and min(enclosure(part, everywhere)[0] for part in (slope, rest)) < 0.0:
        raise BackendError(
            f"A rate that is a multiple of '{name}' and a rest must be a sum of terms that are not negative, but that "
            f"of '{reaction}' is not seen to be; write it as two reactions."
        )
    return slope
