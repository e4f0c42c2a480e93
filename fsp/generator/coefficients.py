"""Propensities on runs: a scalar for each run times a table over the run.

A rate law that factorises by species, ``a(x) = Σ scale Π f_s(x_s)``, is on one run of states a scalar (the factors
of species that are fixed there) times a table (the factor of the species that varies).  Where several factors vary
or the law does not factorise, runs that agree in the species of the law share one table; where even
that would not be short, the rates are stored state by state.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from fsp.model.expression import evaluate, symbols, tabulated

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.generator.layout import Layout
    from fsp.model import Model
    from fsp.model.tree import Expression

LARGEST_SHARE = 0.25  # of the number of states that shared tables may take; else rates are stored


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """One product of a factorised rate law.

    Parameters
    ----------
    reaction
        Index of the reaction.
    scale
        What depends on no species.
    scalar
        A table over its counts for each species that is fixed along a run.
    table
        The species that varies along a run and its table; None where none does.
    """

    reaction: int
    scale: float
    scalar: dict[int, FloatArray]
    table: tuple[int, FloatArray] | None


@dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """A rate law whose values are tabulated run by run.

    Parameters
    ----------
    reaction
        Index of the reaction.
    values
        The tables one after the other, or, where `offsets` is None, one rate for each run.
    offsets
        Place in `values` of the first state of each run, (n_runs,).
    """

    reaction: int
    values: FloatArray
    offsets: IntArray | None


def coefficients(model: Model, layout: Layout, k: int, t: float) -> list[Term | Joint]:
    """Return the propensity of reaction `k` at time `t` on the runs of a layout.

    Raises
    ------
    ModelError
        If it is negative, not finite, or positive where a count would become negative, in a state of the space.
    """
    law = model.rate_expressions[k]
    products = _tables(model, layout, k, t)
    if products is None:
        return [_joint(model, layout, k, law, t)]
    if not _certainly_propensities(model, layout, k, products):
        layout.rates(model, k, t)  # raises where a state of the space is concerned
        if not all(isfinite(scale) and all(np.isfinite(f).all() for f in fs.values()) for scale, fs in products):
            return [_stored(model, layout, k, t)]
    parts = [_term(layout, k, scale, factors) for scale, factors in products]
    if any(part is None for part in parts):
        return [_joint(model, layout, k, law, t)]
    return [part for part in parts if part is not None]


def _tables(model: Model, layout: Layout, k: int, t: float) -> list[tuple[float, dict[int, FloatArray]]] | None:
    """Return scale and factor tables over 0..top of each product of a law, None where it does not factorise."""
    products = model.factorised(k)
    if products is None:
        return None
    tables = []
    for product in products:
        factors = {}
        for name, tree in product.factors.items():
            s = model.species.index(name)
            factors[s] = tabulated(tree, name, int(layout.top[s]))
        tables.append((float(evaluate(product.scalar, {}, t)), factors))
    return tables


def _certainly_propensities(
    model: Model, layout: Layout, k: int, products: list[tuple[float, dict[int, FloatArray]]]
) -> bool:
    """Tell whether the tables alone show that the rate is one: no negative or infinite value, no negative count."""
    largest = 0.0
    for scale, factors in products:
        size = scale
        for factor in factors.values():
            if not factor.min() >= 0.0:
                return False
            size *= float(factor.max())
        largest += size
        if not (scale >= 0.0 and isfinite(largest)):
            return False
    for s, change in enumerate(model.change[k].tolist()):
        vanishing = all(scale == 0.0 or (s in fs and not fs[s][: max(0, -change)].any()) for scale, fs in products)
        if layout.bottom[s] < -change and not vanishing:
            return False
    return True


def _term(layout: Layout, k: int, scale: float, factors: dict[int, FloatArray]) -> Term | None:
    """Sort the factors into fixed and varying ones; None where a table alone does not hold those that vary."""
    varying = [s for s in factors if layout.stride[s] != 0]
    if len(varying) > 1 or any(abs(int(layout.stride[s])) != 1 for s in varying):
        return None
    scalar = {s: factor for s, factor in factors.items() if s not in varying}
    return Term(k, scale, scalar, (varying[0], factors[varying[0]]) if varying else None)


def _stored(model: Model, layout: Layout, k: int, t: float) -> Joint:
    return Joint(k, layout.rates(model, k, t), layout.runs.starts[:-1])


def _joint(model: Model, layout: Layout, k: int, law: Expression | None, t: float) -> Joint:
    """Tabulate a law over the species that occur in it, or store its rates."""
    if law is None:
        return _stored(model, layout, k, t)
    own = [s for s, name in enumerate(model.species) if name in symbols(law)]
    at_start = layout.counts[:, own]  # (n_runs, n_own)
    origin = layout.origin
    fixed = at_start - origin[:, None] * layout.stride[own]  # what does not change along a run
    groups, member = np.unique(fixed, axis=0, return_inverse=True)
    member = member.reshape(-1)
    varies = bool(layout.stride[own].any())
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
    counts = groups[group] + z[:, None] * layout.stride[own]
    columns = {model.species[s]: np.clip(counts[:, i], 0, layout.top[s]).astype(float) for i, s in enumerate(own)}
    values = np.broadcast_to(np.asarray(evaluate(law, columns, t), dtype=np.float64), len(z))
    if not (values.min() >= 0.0 and np.isfinite(values).all()):
        return _stored(model, layout, k, t)
    layout.check_low_counts(model, k, t)
    if not varies:
        return Joint(k, values[member], None)
    return Joint(k, values, first[member] + origin - lowest[member])
