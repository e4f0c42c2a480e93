"""Bounds of moments carried over from an earlier chain, by way of what events make of the states.

With y <= b + Σ a_j x_j, all numbers non-negative, ``(E y^q)^(1/q) <= b + Σ a_j (E x_j^q)^(1/q)``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fsp.arithmetic import SLIGHTLY_UP
from fsp.arrays import FloatArray, IntArray
from fsp.model import Model
from fsp.model.event_maps import Firing
from fsp.model.expression import Expression, Number, Symbol, at_time, substitute, symbols
from fsp.moments.bounds import MomentBounds, PendingBounds
from fsp.moments.envelope import envelope
from fsp.moments.polynomial import Exponents
from fsp.moments.polynomial import degree as falling_degree
from fsp.moments.terms import in_falling_powers

Affine = tuple[float, FloatArray]  # b and a (d,) of an upper bound b + Σ a_j x_j
_ASSIGNED_ROUNDING = 3e-9  # relative: events round what they assign to whole numbers


@dataclass(frozen=True, eq=False)
class Carried:
    """Bounds of the moments at the end of an earlier chain, and what events have made of its states since."""

    earlier: MomentBounds | PendingBounds
    firing: Firing | None = None  # what events have made of the states; None for nothing

    @cached_property
    def bounds(self) -> MomentBounds:
        """Bounds at the beginning; evaluated when they are asked for."""
        bounds: MomentBounds = getattr(self.earlier, "bounds", None) or self.earlier  # type: ignore[assignment]
        return bounds if self.firing is None else mapped(bounds, self.firing)

    def largest(self, model: Model) -> FloatArray:
        """Return the largest counts: of species that no reaction makes, and by conservation laws."""
        start = self.bounds.largest
        made = (model.change > 0).any(axis=0)
        top = np.where(made, np.inf, start)
        for law in model.conservation_laws:
            places = np.flatnonzero(law)
            if (law >= 0).all() and np.isfinite(start[places]).all():
                top[places] = np.minimum(top[places], np.floor(law[places] @ start[places] / law[places]))
        return top

    def means(self) -> FloatArray:
        """Return upper bounds of the means, zero where there are none."""
        return np.nan_to_num(self.bounds.norms[:, 0], posinf=0.0)

    def powers(self, weights: FloatArray, orders: IntArray, unit: float) -> FloatArray:
        """Return upper bounds of E (w·x/unit)^q by Minkowski's inequality."""
        places = np.flatnonzero(weights)
        norms = np.concatenate([np.ones((len(places), 1)), self._norms()[places]], axis=1)  # (k, 1 + ORDERS)
        sums = weights[places] @ norms / unit * SLIGHTLY_UP
        with np.errstate(over="ignore"):
            return np.where(orders == 0, 1.0, sums[orders] ** orders) * SLIGHTLY_UP

    def _norms(self) -> FloatArray:
        """Return norms, (d, ORDERS), that are finite for bounded species."""
        norms: FloatArray = np.minimum(self.bounds.norms, self.bounds.largest[:, None])
        return norms

    def falling(self, alpha: Exponents) -> tuple[float, float]:
        """Return bounds of the mean of a falling monomial; infinite where there are none."""
        known = {tuple(row): k for k, row in enumerate(self.bounds.monomials.tolist())}
        if not any(alpha):
            return 1.0, 1.0
        low, high = self.bounds.means[known[alpha]].tolist() if alpha in known else (0.0, math.inf)
        return low, high


# ---- what events make of bounds


def mapped(bounds: MomentBounds, firing: Firing) -> MomentBounds:
    """Return bounds of the moments after events."""
    largest, norms = bounds.largest.copy(), bounds.norms.copy()
    finite = np.minimum(bounds.norms, bounds.largest[:, None])  # (d, ORDERS)
    orders = np.arange(1, norms.shape[1] + 1)
    changed = dict(_candidates(firing, bounds.species))
    for i, candidates in changed.items():
        tops, powers = [], []
        for event in candidates:
            b, a = (math.inf, np.zeros(len(largest))) if event is None else event
            places = np.flatnonzero(a)
            tops.append(b + float(a[places] @ bounds.largest[places]))
            powers.append((b + a[places] @ finite[places]) * (1.0 + _ASSIGNED_ROUNDING))
        largest[i] = math.floor(max(tops) * (1.0 + _ASSIGNED_ROUNDING)) if math.isfinite(max(tops)) else math.inf
        with np.errstate(over="ignore"):
            total = np.sum([power**orders for power in powers], axis=0)
            norms[i] = total ** (1.0 / orders) * SLIGHTLY_UP if len(powers) > 1 else powers[0]
    kept = ~bounds.monomials[:, list(changed)].any(axis=1)
    return MomentBounds(bounds.species, largest, norms, bounds.monomials[kept], bounds.means[kept], bounds.reason)


def images(firing: Firing, species: tuple[str, ...]) -> tuple[FloatArray, FloatArray]:
    """Return b (d,) and a (d, d) with counts after events at most ``b + a x``; b is infinite where nothing is known."""
    b, a = np.zeros(len(species)), np.eye(len(species))
    for i, candidates in _candidates(firing, species):
        known = [candidate for candidate in candidates if candidate is not None]
        b[i] = max(c for c, _ in known) if len(known) == len(candidates) else math.inf
        a[i] = np.max([row for _, row in known], axis=0) if len(known) == len(candidates) else 0.0
    return b * (1.0 + _ASSIGNED_ROUNDING), np.where(a == np.eye(len(species)), a, a * (1.0 + _ASSIGNED_ROUNDING))


def largest_after(largest: FloatArray, firing: Firing, model: Model) -> FloatArray:
    """Return the largest counts (d,) that a network leads to from what events make of states up to some counts (d,)."""
    bounds = MomentBounds(model.species, largest, largest[:, None], np.zeros((0, len(largest)), int), np.zeros((0, 2)))
    return Carried(bounds, firing).largest(model)


def _candidates(firing: Firing, species: tuple[str, ...]) -> Iterator[tuple[int, list[Affine | None]]]:
    """Yield each species that may change, with upper bounds of what it may become; None where there is none."""
    possible = firing.possible()
    assigned = [name for event in possible for name in event.assignments]
    for name in dict.fromkeys(name for name in assigned if name in species):
        candidates: list[Affine | None] = []
        certain = False
        for event in possible:
            if name not in event.assignments:
                continue
            tree: Expression | None = event.formulas[name]
            if isinstance(tree, Symbol) and tree.name in event.draws:
                tree = event.draws[tree.name].largest  # of a random number; None where there is none
            others = {other for candidate in possible if candidate is not event for other in candidate.assignments}
            known = tree is not None and not (symbols(tree) | symbols(event.condition)) & others
            candidates.append(_affine(tree, species, firing) if known and tree is not None else None)
            certain |= not symbols(event.condition) & set(species)
        if not certain:
            candidates.append(_affine(Symbol(name), species, firing))
        yield species.index(name), candidates


def _affine(tree: Expression, species: tuple[str, ...], firing: Firing) -> Affine | None:
    """Return an affine upper bound of a formula, without negative terms."""
    numbers = {name: Number(value) for name, value in firing.numbers.items()}
    values = at_time(substitute(tree, numbers), firing.now.t)
    upper = envelope(values, species).upper
    if upper is None:
        return None
    constant, slopes = 0.0, np.zeros(len(species))
    for alpha, c in in_falling_powers(upper, upper=True).items():
        if c > 0 and falling_degree({alpha: c}) > 1:
            return None
        if c > 0 and any(alpha):
            slopes[alpha.index(1)] = float(c)
        elif c > 0:
            constant = float(c)
    return constant, slopes
