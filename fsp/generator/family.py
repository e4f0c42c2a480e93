"""What the generators of one network and space have in common at all times: plans, and parts that clocks multiply."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.generator import entry_kernels
from fsp.generator.jumps import jumps_of
from fsp.generator.layout import Layout, longest_runs, natural
from fsp.generator.matrices import Rows, assemble
from fsp.generator.plan import Clocks, build, weighted
from fsp.generator.sinks import Sinks, find_sinks, parts_of
from fsp.generator.slices import slices_of

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.generator.kernels import Plan, Slices
    from fsp.model import Model
    from fsp.space import StateSpace

SMALL_FAMILY = 8_000  # states whose order is kept: written out, their rates are as fast in short runs


class Family:
    """What the generators of one network and one space have in common at all times.

    Rates that are not a sum of functions of time times functions of the state are taken at time `t`.
    """

    def __init__(self, model: Model, space: StateSpace, t: float) -> None:
        self.model, self.space = model, space
        self.layout = natural(space.fitted(model))
        self.jumps = jumps_of(model)
        self._t = t
        self.forward, self.adjoint, self.clocks, self.errors = build(model, self.layout, self.jumps, t)
        self.sinks = find_sinks(model, space, self.jumps, self.adjoint)
        self.closed_pattern: tuple[Any, Any] | None = None  # indices and indptr of the closed chain's CSR matrix
        self.by_rows: bool | None = None  # whether products are by rows, once that is known

    @cached_property
    def longest(self) -> Layout:
        """The layout with the longest runs, where that is worth it."""
        return self.layout if len(self.space) < SMALL_FAMILY else longest_runs(self.layout.space)

    @cached_property
    def ordered(self) -> tuple[Plan, Clocks]:
        """The plan on the layout with the longest runs, before its scales are multiplied by the clocks."""
        if self.longest.order is None:
            return self.forward, self.clocks
        forward, _, clocks, _ = build(self.model, self.longest, self.jumps, self._t)
        return forward, clocks

    @cached_property
    def slices(self) -> list[Slices]:
        """The slices of the part that each clock multiplies, without sinks: they differ by their scalars alone."""
        plan, clocks = self.ordered
        units = np.eye(len(clocks.trees)) if self.in_parts else clocks.values(self._t)[None]
        return [slices_of(weighted(plan, clocks, unit)) for unit in units]

    @cached_property
    def sink_parts(self) -> list[Sinks]:
        """The part of the sinks that each clock multiplies."""
        return parts_of(self.sinks, self.jumps, self.adjoint, self.clocks)

    @property
    def in_parts(self) -> bool:
        """Whether generators of the family differ, and are sums of parts."""
        return self.clocks.scalable and len(self.clocks.trees) > 1

    def plan_of(self, index: int) -> Plan:
        """Return the plan of the part that one clock multiplies."""
        return weighted(self.forward, self.clocks, np.eye(len(self.clocks.trees))[index])

    @cached_property
    def exit_parts(self) -> FloatArray:
        """The part of the exit rates that each clock multiplies, (n_clocks, n)."""
        parts = np.empty((len(self.clocks.trees), len(self.layout.space)))
        for index, part in enumerate(parts):
            entry_kernels.exit_rates(self.plan_of(index), part)
        return parts

    @cached_property
    def row_parts(self) -> list[Rows]:
        """The part of the matrix that each clock multiplies, in one pattern."""
        every = np.ones_like(self.jumps.timed)
        first = assemble(self.forward, every, self.jumps.n_above, self.exit_parts.sum(axis=0))
        parts = []
        for index, exits in enumerate(self.exit_parts):
            values = np.empty_like(first.data)
            entry_kernels.fill_rows(
                self.plan_of(index), every, self.jumps.n_above, exits, first.indptr.copy(), first.indices, values
            )
            parts.append(first._replace(data=values))
        return parts

    def sinks_of(self, weights: FloatArray) -> Sinks:
        """Return the sinks where the clocks have the values `weights`, (n_clocks,)."""
        if (weights == 1.0).all() or not self.sinks.leaks:
            return self.sinks
        return self.sinks.weighted(self.sink_parts, weights)
