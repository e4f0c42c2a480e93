"""By how much rates grow with parameters that differ among cells: f_r and F of `fsp.inference.quadrature`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import SUM_ROUNDING
from fsp.errors import ArgumentError, BackendError, ModelError
from fsp.inference.free_laws import starting
from fsp.inference.parameters import require_no_events, without
from fsp.inference.quadrature import GrowthExponent
from fsp.inference.sectors import Sector, is_enclosed, sector, steepness
from fsp.model.definition import resolve
from fsp.model.derivatives import derivative
from fsp.model.ranges import enclosure
from fsp.model.tree import ZERO, Expression, Number, substitute, symbols
from fsp.moments.envelope import envelope
from fsp.moments.terms import gains

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.inference.extrinsic import Region
    from fsp.model import Model
    from fsp.model.spans import Range

MOST_ARC_COUNTS = 2_000  # of a bent law, each with 768 arcs of ellipses at a time: 12 MB a number; chosen


@dataclass(frozen=True, slots=True, eq=False)
class AffineRates:
    """The functions f_r of (1) by parameter: what the rates are multiples of, beside what does not change."""

    species: tuple[str, ...]
    slopes: Mapping[str, tuple[Expression, ...]]
    laws: tuple[Expression, ...]  # of species and these parameters
    bent: Mapping[str, tuple[Expression, ...]]  # laws that are no such multiples, by parameter

    @classmethod
    def of(cls, model: Model, names: Sequence[str], free: Sequence[str] = (), *, bent: bool = False) -> AffineRates:
        """Take the laws apart; refuse those that are not ``g + θ f`` with both not negative.

        Parameters that are `free` have their values in the boxes.  With `bent` laws may be others whose values are
        known at complex parameters too (`fsp.inference.sectors`).
        """
        require_no_events(model)
        moved = starting(model, names)
        if moved:
            raise ArgumentError(
                f"`extrinsic` must be of rate constants, but the initial counts of '{model.name}' depend on "
                f"'{moved[0]}'; make that a law of the start, such as poisson(…)."
            )
        kept = {*names, *free}
        fixed = resolve(model.definition.parameters, without=kept)
        trees = []
        for reaction, law in zip(model.reactions, model.definition.laws, strict=True):
            if not isinstance(law, Expression):
                raise ModelError(
                    f"A rate must be a formula where a parameter differs among cells, but that of '{reaction.name}' "
                    f"is a callable; write it as a text."
                )
            trees.append((str(reaction.name), substitute(law, fixed)))
        curved = {name: [r for r, tree in trees if bent and _is_bent(tree, name, frozenset(names))] for name in names}
        return cls(
            tuple(model.species),
            {
                name: tuple(ZERO if r in curved[name] else _slope(model, name, r, tree, kept) for r, tree in trees)
                for name in names
            },
            tuple(tree for _, tree in trees),
            {name: tuple(tree for r, tree in trees if r in curved[name]) for name in names},
        )

    def on(self, name: str, box: Mapping[str, Range], horizon: float) -> GrowthExponent:
        """Bound t F on a box of states and of other parameters, and what bent laws add to exponents."""
        bends = [self._bend(name, tree, box, horizon) for tree in self.bent[name]]
        return GrowthExponent(self._linear(name, box, horizon), tuple(bends))

    def steepness(self, name: str) -> float:
        """Bound by how many times the rounding of a parameter rates are off, relative to themselves."""
        return max([1.0, *(steepness(tree, name) for tree in self.bent[name])])

    def shifted(self, name: str, box: Mapping[str, Range], horizon: float) -> float:
        """Bound t σ max_x Σ_r a_r of (5) over what changes with a parameter, on a box as for `on`."""
        high = box[name][1]
        curved = sum(steepness(tree, name) * max(0.0, enclosure(tree, box)[1]) for tree in self.bent[name])
        return (high * self._linear(name, box, horizon) + horizon * curved) * (1.0 + SUM_ROUNDING)

    def _bend(
        self, name: str, tree: Expression, box: Mapping[str, Range], horizon: float
    ) -> Callable[[Region], FloatArray]:
        """Return what bounds t max_x (|a(z)| - Re a(z)) of a law on regions of a parameter."""
        counted = [species for species in self.species if species in symbols(tree)]
        tops = [int(box[species][1]) for species in counted]
        if prod(top + 1 for top in tops) > MOST_ARC_COUNTS:
            raise BackendError(
                f"A rate that is no multiple of '{name}' must have at most {MOST_ARC_COUNTS:,} counts where that "
                f"differs among cells, but has {prod(top + 1 for top in tops):,} of {', '.join(counted)}. Write "
                f"the rate as a multiple of what differs, or let that differ less."
            )
        axes = np.meshgrid(*(np.arange(top + 1.0) for top in tops), indexing="ij")
        columns = {species: axis.reshape(-1, 1, 1) for species, axis in zip(counted, axes, strict=True)}
        others = {other: Sector.real(*map(np.array, box[other])) for other in self.slopes if other != name}

        def bend(region: Region) -> FloatArray:
            moved = {**others, name: Sector(region.least, region.largest, region.angle)}
            missed = sector(tree, moved, columns).missed()
            return np.asarray(horizon * missed.reshape(-1, *region.real.shape).max(axis=0))

        return bend

    def _linear(self, name: str, box: Mapping[str, Range], horizon: float) -> float:
        size = sum(_largest(tree, self.species, box, horizon) for tree in self.slopes[name] if tree != ZERO)
        if not np.isfinite(size):
            raise BackendError(
                f"Rates must be bounded multiples of '{name}' at given counts where it differs among cells, but one is "
                f"not, for all that is known; write its functions of time so that their range is seen, as min(…, 10)."
            )
        return horizon * size * (1.0 + SUM_ROUNDING)


def _is_bent(tree: Expression, name: str, names: frozenset[str]) -> bool:
    """Tell whether a law is no multiple of a parameter, nor such and a rest, and is known at complex ones."""
    return name in symbols(derivative(tree, name)) and is_enclosed(tree, names)


def _largest(tree: Expression, species: Sequence[str], box: Mapping[str, Range], horizon: float) -> float:
    """Bound a function on a box, by ranges at all times or by a polynomial above it up to the horizon."""
    by_range = max(0.0, enclosure(tree, box)[1])
    upper = gains(envelope(tree, species, horizon).upper)
    if upper is None:
        return by_range
    top = [box[name][1] for name in species]
    terms = (float(c) * prod(x ** float(p) for x, p in zip(top, powers, strict=True)) for powers, c in upper.items())
    return float(min(by_range, sum(terms) * (1.0 + SUM_ROUNDING)))


def _slope(model: Model, name: str, reaction: str, tree: Expression, kept: Collection[str]) -> Expression:
    """Return f of a law ``g + θ f``; parameters that are kept are positive."""
    slope = derivative(tree, name)
    if name in symbols(slope):
        raise BackendError(
            f"`extrinsic` must be of parameters that rates are multiples of, or multiples and a rest, but that of "
            f"'{reaction}' depends on '{name}' otherwise. Write a parameter for what differs among cells, such as "
            f"the whole rate; fsp.mixture and fsp.likelihood take sums, products, quotients and powers of it too, "
            f"whose exponents are numbers, where cells do not begin in stationary distributions."
        )
    if without(tree, name) == ZERO:
        return slope
    rest = substitute(tree, {name: Number(0.0)})
    everywhere = {species: (0.0, np.inf) for species in model.species}
    everywhere |= {other: (np.nextafter(0.0, 1.0), np.inf) for other in kept}
    if slope != ZERO and min(enclosure(part, everywhere)[0] for part in (slope, rest)) < 0.0:
        raise BackendError(
            f"A rate that is a multiple of '{name}' and a rest must be a sum of terms that are not negative, but that "
            f"of '{reaction}' is not seen to be; write it as two reactions."
        )
    return slope
