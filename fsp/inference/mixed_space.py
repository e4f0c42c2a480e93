"""The distribution of cells that differ, on fixed states, for any values of free parameters and of the laws' numbers.

As `fsp.inference.fixed_space`, whose chain it advances at all nodes of a rule together; the box of
`fsp.inference.quadrature` is that of the states.  Derivatives by a mean or a variation are those of the density,
``Σ_j w_j (∂ log ρ(θ_j)) y_j``, the nodes staying where they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.errors import ConvergenceError
from fsp.inference.fixed_space import FixedSpace, Transients
from fsp.inference.quadrature import QuadratureRule, rule_of

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.inference.affine_rates import AffineRates
    from fsp.inference.extrinsic import ParameterLaw
    from fsp.inference.free_laws import FreeLaws
    from fsp.model import Model
    from fsp.space import StateSpace

COARSER = 1e5  # errors of rules over the tail of Poisson weights: 1e-9 at first, and less where a cell is improbable
TOGETHER = 128  # nodes that are advanced together; chosen
MOST_NODES = 3_000  # of all laws together, for each value of a likelihood: seconds


@dataclass(frozen=True, slots=True, eq=False)
class _JointNodes:
    """The nodes of all laws together."""

    values: FloatArray  # (n, n_laws)
    weights: FloatArray  # (n,)
    slopes: Mapping[str, FloatArray]  # of log weights by what laws are given by, (n,) each
    error: float
    outside: float
    relative: float


class MixedSpace:
    """The chain of a network on fixed states, mixed over laws of some parameters."""

    def __init__(
        self,
        model: Model,
        rates: FreeLaws,
        space: StateSpace,
        names: Sequence[str],
        laws: Mapping[str, ParameterLaw],
        affine: AffineRates,
    ) -> None:
        self.space = space
        self._names, self._rates, self._laws, self._affine = tuple(names), rates.names, dict(laws), affine
        self._others = dict(model.parameters)
        self._fixed = FixedSpace(model, rates, space)
        top = space.states.max(axis=0).tolist()
        self._box = {name: (0.0, float(count)) for name, count in zip(model.species, top, strict=True)}

    def __len__(self) -> int:
        return len(self.space)

    def at(self, theta: FloatArray, times: Sequence[float], tail: float, max_work: float) -> Transients:
        """Return probabilities and derivatives by the names at one parameter vector (q,)."""
        nodes = self._nodes(theta, times, tail)
        n_times, n = len(times), len(self)
        slopes = np.zeros((len(self._names), n_times, n))
        parts = []
        for begin in range(0, len(nodes.weights), TOGETHER):
            chosen = slice(begin, begin + TOGETHER)
            weights = nodes.weights[chosen]
            part, changed = self._fixed.slopes_at_many(self._rows(theta, nodes.values[chosen]), times, tail, max_work)
            parts.append(part)
            for k, name in enumerate(self._names):
                if name in self._rates and name not in self._laws:
                    slopes[k] += np.tensordot(weights, changed[:, self._rates.index(name)], 1)
                if name in nodes.slopes:
                    slopes[k] += np.tensordot(weights * nodes.slopes[name][chosen], part.probabilities, 1)
        mixed = _mixed(parts, nodes)
        return Transients(mixed.probabilities, mixed.lacking, mixed.relative, slopes, mixed.absolute)

    def values_at(self, theta: FloatArray, times: Sequence[float], tail: float, max_work: float) -> Transients:
        """Return probabilities at one parameter vector (q,)."""
        nodes = self._nodes(theta, times, tail)
        rows = self._rows(theta, nodes.values)
        starts = range(0, len(rows), TOGETHER)
        parts = [self._fixed.at_many(rows[begin : begin + TOGETHER], times, tail, max_work) for begin in starts]
        return _mixed(parts, nodes)

    def at_many(self, theta: FloatArray, times: Sequence[float], tail: float, max_work: float) -> Transients:
        """Return probabilities at many parameter vectors (P, q)."""
        each = [self.values_at(row, times, tail, max_work) for row in theta]
        return Transients(
            np.concatenate([part.probabilities for part in each]),
            np.concatenate([part.lacking for part in each]),
            max(part.relative for part in each),
            absolute=max(part.absolute for part in each),
        )

    def _rows(self, theta: FloatArray, nodes: FloatArray) -> FloatArray:
        """Return the parameters of the rates at nodes (n, n_laws), (n, n_rates)."""
        given = dict(zip(self._names, theta.tolist(), strict=True))
        rows = np.empty((len(nodes), len(self._rates)))
        laws = list(self._laws)
        for k, name in enumerate(self._rates):
            rows[:, k] = nodes[:, laws.index(name)] if name in laws else given[name]
        return rows

    def _nodes(self, theta: FloatArray, times: Sequence[float], tail: float) -> _JointNodes:
        """Return the nodes of laws at a parameter vector (q,)."""
        given = {**self._others, **dict(zip(self._names, theta.tolist(), strict=True))}
        laws = {name: law.at(given) for name, law in self._laws.items()}
        share = COARSER * tail / len(laws)
        box = self._box | {name: law.ends(0.5 * share) for name, law in laws.items()}
        box |= {name: (given[name], given[name]) for name in self._names if name not in laws}
        rules = [rule_of(law, self._affine.on(name, box, max(times)), share, share) for name, law in laws.items()]
        count = float(np.prod([len(rule) for rule in rules], dtype=np.float64))
        if count > MOST_NODES:
            raise ConvergenceError(
                f"Laws of parameters must need at most {MOST_NODES:,} nodes together, but {', '.join(laws)} need "
                f"{count:,.0f}; narrow the bounds of their variation, or let fewer differ."
            )
        places = np.array(list(product(*(range(len(rule)) for rule in rules))))  # (n, n_laws)
        values = np.array([rule.nodes[i] for rule, i in zip(rules, places.T, strict=True)]).T
        weights = np.prod([rule.weights[i] for rule, i in zip(rules, places.T, strict=True)], axis=0)
        slopes: dict[str, FloatArray] = {}
        for law, symbolic, column in zip(laws.values(), self._laws.values(), values.T, strict=True):
            for name, row in zip((symbolic.mean, symbolic.cv), law.slopes(column), strict=True):
                if isinstance(name, str):
                    slopes[name] = slopes.get(name, 0.0) + row
        return _JointNodes(values, weights, slopes, *_of_rules(rules))


def _of_rules(rules: Sequence[QuadratureRule]) -> tuple[float, float, float]:
    """Return error, what laws have outside, and relative rounding, of all rules together."""
    return (
        sum(rule.error for rule in rules),
        sum(rule.outside for rule in rules),
        sum(rule.relative for rule in rules),
    )


def _mixed(parts: Sequence[Transients], nodes: _JointNodes) -> Transients:
    """Return the mixture of what is known at the nodes, by (4) of `fsp.inference.quadrature`."""
    probabilities = np.concatenate([part.probabilities for part in parts])  # (n_nodes, n_times, n)
    lacking = nodes.weights @ np.concatenate([part.lacking for part in parts])  # (n_times,)
    return Transients(
        np.tensordot(nodes.weights, probabilities, 1)[None],
        (lacking + nodes.outside + 2.0 * nodes.error)[None],
        max(part.relative for part in parts) + nodes.relative + len(nodes.weights) * UNIT_ROUNDOFF,
        absolute=nodes.error,
    )
