"""Propensities on runs: a scalar for each run times a table over the run.

A rate law that factorises by species, ``a(x) = Σ scale Π f_s(x_s)``, is on one run of states a scalar (the factors
of species that are fixed there) times a table (the factor of the species that varies).  Where several factors vary
or the law does not factorise, runs that agree in the species of the law share one table; where even
that would not be short, the rates are stored state by state.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import TYPE_CHECKING

import numpy as np

from fsp.model import accuracy
from fsp.model.accuracy import EXACT, Accuracy
from fsp.model.expression import ONE, evaluate, symbols

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsp.arrays import FloatArray, IntArray
    from fsp.generator.layout import Layout
    from fsp.model import Model
    from fsp.model.factor_tables import Tabulated
    from fsp.model.tree import Expression

STATES_AT_ONCE = 8192  # states whose counts are looked at in one piece
LARGEST_SHARE = 0.25  # of the number of states that shared tables may take; else rates are stored


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """One product of a factorised rate law."""

    reaction: int  # its index
    scale: float  # what depends on no species, but for the clock
    clock: Expression  # what depends on time; its value at the time multiplies the scale
    scalar: dict[int, FloatArray]  # a table over its counts for each species that is fixed along a run
    table: tuple[int, FloatArray] | None  # the species that varies along a run and its table; None where none does
    accuracy: Accuracy  # of the product, but for its multiplications and the clock


@dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """A rate law whose values are tabulated run by run."""

    reaction: int  # its index
    values: FloatArray  # the tables one after the other, or, where `offsets` is None, one rate for each run
    offsets: IntArray | None  # place in `values` of the first state of each run, (n_runs,)
    accuracy: Accuracy  # of the values; those of a callable are what it says


@dataclass(frozen=True, slots=True, eq=False)
class _Factored:
    """One product of a law, its factors as tables over the counts from the lowest to the highest of the space."""

    scale: float
    clock: Expression
    factors: dict[int, Tabulated]
    accuracy: Accuracy


def coefficients(model: Model, layout: Layout, k: int, t: float) -> tuple[list[Term | Joint], bool]:
    """Return the parts of the propensity of reaction `k` at time `t` on the runs of a layout, and whether they scale.

    Parts that do are right at any time at which no clock times its scale is negative.  A propensity that is negative,
    not finite, or positive where a count would become negative, is refused.
    """
    law = model.rate_expressions[k]
    products = _tables(model, layout, k)
    timed = bool(model.time_dependent[k])
    if products is None:
        return [_joint(model, layout, k, law, t)], not timed
    certain = _certainly_propensities(model, layout, k, products)
    if not certain or any(not 0.0 <= p.scale * value_of(p.clock, t) < inf for p in products):
        layout.rates(model, k, t)  # raises where a state of the space is concerned
        tables = [factor.values for product in products for factor in product.factors.values()]
        if not all(isfinite(p.scale) for p in products) or not all(np.isfinite(table).all() for table in tables):
            return [_stored(model, layout, k, t)], not timed
    parts = [_term(layout, k, product) for product in products]
    if any(part is None for part in parts):
        return [_joint(model, layout, k, law, t)], not timed
    return [part for part in parts if part is not None], certain or not timed


def value_of(clock: Expression, t: float) -> float:
    """Return a clock at time `t`."""
    return 1.0 if clock == ONE else float(evaluate(clock, {}, t))


def _tables(model: Model, layout: Layout, k: int) -> list[_Factored] | None:
    """Return each product of a law, None where it does not factorise or counts lie far apart."""
    products, law = model.tables(k), model.rate_expressions[k]
    if law is None or (layout.scattered and layout.scattered & symbols(law)):
        return None
    bottom, top = layout.extremes
    if products is None and model.time_dependent[k]:
        ends = zip(model.species, bottom, top, strict=True)
        products = model.tables_of(k, {name: range(low, high + 1) for name, low, high in ends})
    if products is None:
        return None
    tables = []
    for product in products:
        factors = {s: factor.over(bottom[s], top[s]) for s, factor in product.factors.items()}
        off = accuracy.of_product([product.accuracy, *(factor.accuracy for factor in factors.values())])
        tables.append(_Factored(product.scale, product.clock, factors, off))
    return tables


def _certainly_propensities(model: Model, layout: Layout, k: int, products: list[_Factored]) -> bool:
    """Tell whether the tables alone show that the rate is one: no negative or infinite value, no negative count.

    Clocks are taken to be positive.
    """
    total = 0.0
    for product in products:
        size = product.scale
        for factor in product.factors.values():
            if not factor.least >= 0.0:
                return False
            size *= factor.largest
        total += size
        if not (product.scale >= 0.0 and isfinite(total)):
            return False
    bottom, _ = layout.extremes
    for s, change in enumerate(model.change[k].tolist()):
        low = -change - bottom[s]  # counts of the table that are too low for the reaction
        if low > 0 and any(p.scale and (s not in p.factors or p.factors[s].values[:low].any()) for p in products):
            return False
    return True


def _term(layout: Layout, k: int, product: _Factored) -> Term | None:
    """Sort the factors into fixed and varying ones; None where a table alone does not hold those that vary."""
    factors = product.factors
    varying = [s for s in factors if layout.stride[s] != 0]
    if len(varying) > 1 or any(abs(int(layout.stride[s])) != 1 for s in varying):
        return None
    scalar = {s: factor.values for s, factor in factors.items() if s not in varying}
    table = (varying[0], factors[varying[0]].values) if varying else None
    return Term(k, product.scale, product.clock, scalar, table, product.accuracy)


def _stored(model: Model, layout: Layout, k: int, t: float) -> Joint:
    law = model.rate_expressions[k]
    off = (
        EXACT
        if law is None
        else accuracy.of_columns(law, _blocks(model, layout, law), float(layout.space.top.max()), t)
    )
    return Joint(k, layout.rates(model, k, t), layout.runs.starts[:-1], off)


def _blocks(model: Model, layout: Layout, law: Expression) -> Iterator[dict[str, FloatArray]]:
    """Yield the counts of the species of a law in all states of a space."""
    states = layout.space.states
    variables = [(name, s) for s, name in enumerate(model.species) if name in symbols(law)]
    for first in range(0, len(states), STATES_AT_ONCE):
        yield {name: states[first : first + STATES_AT_ONCE, s].astype(np.float64) for name, s in variables}


def _joint(model: Model, layout: Layout, k: int, law: Expression | None, t: float) -> Joint:
    """Tabulate a law over the species that occur in it, or store its rates."""
    if law is None:
        return _stored(model, layout, k, t)
    variables = [s for s, name in enumerate(model.species) if name in symbols(law)]
    at_start = layout.counts[:, variables]  # (n_runs, n_variables)
    origin = layout.origin
    fixed = at_start - origin[:, None] * layout.stride[variables]  # what does not change along a run
    groups, member = np.unique(fixed, axis=0, return_inverse=True)
    member = member.reshape(-1)
    varies = bool(layout.stride[variables].any())
    lowest = np.full(len(groups), np.iinfo(np.int64).max)
    np.minimum.at(lowest, member, origin)
    highest = np.zeros(len(groups), dtype=np.int64)
    np.maximum.at(highest, member, origin + (layout.runs.lengths if varies else 1))
    lengths = highest - lowest if varies else np.ones(len(groups), dtype=np.int64)
    if varies and lengths.sum() > LARGEST_SHARE * len(layout.runs):
        return _stored(model, layout, k, t)
    first = np.cumsum(lengths) - lengths
    group = np.repeat(np.arange(len(groups)), lengths)
    z = np.arange(lengths.sum()) - first[group] + lowest[group]
    counts = groups[group] + z[:, None] * layout.stride[variables]
    columns = {
        model.species[s]: np.clip(counts[:, i], 0, layout.space.top[s]).astype(float) for i, s in enumerate(variables)
    }
    values = np.broadcast_to(np.asarray(evaluate(law, columns, t), dtype=np.float64), len(z))
    if not (values.min() >= 0.0 and np.isfinite(values).all()):
        return _stored(model, layout, k, t)
    layout.check_low_counts(model, k, t)
    off = accuracy.of_columns(law, [columns], float(layout.space.top.max()), t)
    if not varies:
        return Joint(k, values[member], None, off)
    return Joint(k, values, first[member] + origin - lowest[member], off)
