"""Lay an operator out as flat arrays: which tables, which products, which groups.

All reactions with one change are one jump.  Terms of a jump that share a table become one group; those whose scalar
is a number are added into one table.  The exit rate is a sum of groups in the same way, so it is recomputed from a
few tables and not stored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fsp.compilation.lanes import LANES
from fsp.generator import kernels
from fsp.generator.coefficients import Joint, Term, coefficients, value_of
from fsp.generator.kernels import PLAIN, STORED, TABLE, Plan
from fsp.generator.layout import PIECE, Layout
from fsp.generator.rate_errors import RateErrors
from fsp.model.expression import ONE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsp.arrays import FloatArray, IntArray
    from fsp.generator.jumps import Jumps
    from fsp.model import Model
    from fsp.model.tree import Expression


@dataclass(slots=True, eq=False)
class _Group:
    """A coefficient: a sum of products of scalars, times a table."""

    kind: int
    species: int = -1  # whose count the table is over
    values: FloatArray = field(default_factory=lambda: np.zeros(0))
    offsets: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    # scale, clock, and for each factor its species (-1: by run) and table
    products: list[tuple[float, Expression, list[tuple[int, FloatArray]]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class Clocks:
    """How the scales of a plan depend on time."""

    trees: tuple[Expression, ...]  # the functions of time; the first is one
    of_scale: IntArray  # which of them multiplies each scale, (n_scales,)
    scalable: bool  # whether a plan for another time differs by its scales alone

    def values(self, t: float) -> FloatArray:
        """Return the functions at time `t`, (n_clocks,)."""
        return np.array([value_of(tree, t) for tree in self.trees])


def weighted(plan: Plan, clocks: Clocks, weights: FloatArray) -> Plan:
    """Return a plan whose clocks have the values `weights`, (n_clocks,)."""
    return plan._replace(scales=plan.scales * weights[clocks.of_scale])


def without_zero_groups(plan: Plan) -> Plan:
    """Return a plan without the groups whose scales are all zero."""
    stays = np.array([plan.scales[first:end].any() for first, end in plan.groups[:, :2]], dtype=np.bool_)
    groups = plan.groups[stays]
    group_range = np.concatenate([[0], np.cumsum(stays)])[plan.group_range]
    n_gain = int(group_range[-2])
    table = groups[:n_gain, 2] != PLAIN
    groups[:n_gain, 6] = np.argsort(np.argsort(table, kind="stable"), kind="stable")
    return plan._replace(groups=groups, group_range=group_range, n_plain=int(n_gain - table.sum()))


def clocks_of(plan: Plan, clocks: Clocks, c: int) -> set[int]:
    """Return which clocks multiply the rates of change `c`."""
    groups = plan.groups[plan.group_range[c] : plan.group_range[c + 1]]
    return {int(k) for first, end in groups[:, :2].tolist() for k in clocks.of_scale[first:end]}


def build(model: Model, layout: Layout, jumps: Jumps, t: float) -> tuple[Plan, Plan, Clocks, RateErrors]:
    """Return the plans of ``A v`` and ``Aᵀ v`` on a layout, the clocks that multiply their scales, and their errors.

    What does not factorise in time is taken at time `t`.  A ModelError names what is no propensity.
    """
    pieces_of = [[coefficients(model, layout, k, t) for k in ks] for ks in jumps.reactions]
    scalable = all(of_reaction for of_change in pieces_of for _, of_reaction in of_change)
    parts = [[part for pieces, _ in of_change for part in pieces] for of_change in pieces_of]
    groups = [_groups(model, of_change) for of_change in parts]
    groups.append(_groups(model, [part for of_change in parts for part in of_change]))
    writer = _Writer(layout)
    changes = [*jumps.changes, np.zeros(model.n_species, dtype=np.int64)]
    forward, adjoint = (writer.plan(changes, groups, adjoint=adjoint) for adjoint in (False, True))
    tables = writer.tables()
    clocks = Clocks(tuple(writer.clocks), np.array(writer.of_scale, dtype=np.int64), scalable)
    errors = RateErrors.of([part for of_change in parts for part in of_change], writer.clocks)
    return forward._replace(tables=tables), adjoint._replace(tables=tables), clocks, errors


def _groups(model: Model, parts: list[Term | Joint]) -> list[_Group]:
    """Merge what can share a pass: first what has no table, then one group for each table."""
    plain = _Group(PLAIN)
    merged: dict[int, _Group] = {}  # tables whose scalar is a number, by species
    shared: dict[tuple[int, bytes], _Group] = {}
    stored: list[_Group] = []
    for part in parts:
        if isinstance(part, Joint):
            if part.offsets is None:
                plain.products.append((1.0, ONE, [(-1, part.values)]))
            else:
                stored.append(_Group(STORED, values=part.values, offsets=part.offsets, products=[(1.0, ONE, [])]))
            continue
        product = (part.scale, part.clock, list(part.scalar.items()))
        if part.table is None:
            plain.products.append(product)
            continue
        species, table = part.table
        if not part.scalar and not model.time_dependent[part.reaction]:
            group = merged.setdefault(species, _Group(TABLE, species, np.zeros(len(table)), products=[(1.0, ONE, [])]))
            group.values = group.values + part.scale * table
            continue
        key = (species, table.tobytes())
        shared.setdefault(key, _Group(TABLE, species, table)).products.append(product)
    return [*([plain] if plain.products else []), *merged.values(), *shared.values(), *stored]


class _Writer:
    """Writes groups into flat arrays; tables that occur again are written once."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._kept = layout.encoding.kept
        self._laws = layout.encoding.dependences
        self._coordinate = {s: c for c, s in enumerate([*self._kept, *(law.species for law in self._laws)])}
        longest = int(layout.runs.lengths.max())
        self._pool: list[FloatArray] = [np.zeros(min(PIECE, longest) + 1)]
        self._size = len(self._pool[0])
        self._places: dict[bytes, int] = {}
        self._rows: list[IntArray] = []
        self._row: dict[int, int] = {}
        self.clocks: dict[Expression, int] = {ONE: 0}
        self.of_scale: list[int] = []  # of the last plan; all have the same groups in the same order

    def tables(self) -> FloatArray:
        """Return the pool; registers that are read beyond the end of a run stay in it."""
        return np.concatenate([*self._pool, np.zeros(2 * LANES)])

    def plan(self, changes: list[IntArray], groups: list[list[_Group]], *, adjoint: bool) -> Plan:
        """Return a plan whose pool is still to be filled in: later plans may add tables."""
        scales: list[float] = []
        self.of_scale = []
        products: list[tuple[int, int]] = []
        factors: list[tuple[int, int]] = []
        rows: list[tuple[int, ...]] = []
        group_range = [0]
        slots, bottom = _slots(groups), self._layout.space.bottom
        for change, of_change in zip(changes, groups, strict=True):
            # the counts at the target at which tables are read at their beginning
            first_counts = (bottom if adjoint else bottom + change).tolist()
            for group in of_change:
                first = len(products)
                for scale, clock, scalar in group.products:
                    begin = len(factors)
                    factors += [self._factor(s, table, first_counts) for s, table in scalar]
                    scales.append(scale)
                    self.of_scale.append(self.clocks.setdefault(clock, len(self.clocks)))
                    products.append((begin, len(factors)))
                rows.append((first, len(products), group.kind, *self._table(group, first_counts), next(slots)))
            group_range.append(len(rows))
        encoding, runs = self._layout.encoding, self._layout.runs
        sign = -1 if adjoint else 1
        shifts = np.array([sign * encoding.shift_of(change) for change in changes[:-1]], dtype=np.int64)
        shifts = shifts.reshape(len(changes) - 1, encoding.n_words)
        sources = np.empty((len(shifts), len(runs.keys)), dtype=np.int32)
        kernels.find_sources(runs.keys, runs.starts, shifts, sources)
        n = len(self._kept)
        fields = zip(encoding.word, encoding.shift, encoding.bits, strict=True)
        return Plan(
            keys=runs.keys,
            starts=runs.starts,
            shifts=shifts,
            fields=np.array([(w, s, (1 << b) - 1) for w, s, b in fields], dtype=np.int64).reshape(n, 3),
            dependents=np.array(
                [(law.constant, law.divisor, *law.weights[list(self._kept)]) for law in self._laws], dtype=np.int64
            ).reshape(len(self._laws), 2 + n),
            tables=self._pool[0],
            scales=np.array(scales),
            products=np.array(products, dtype=np.int64).reshape(-1, 2),
            factors=np.array(factors, dtype=np.int64).reshape(-1, 2),
            groups=np.array(rows, dtype=np.int64).reshape(-1, 7),
            group_range=np.array(group_range, dtype=np.int64),
            n_plain=sum(group.kind == PLAIN for of_change in groups[:-1] for group in of_change),
            sources=sources,
            offsets=np.array(self._rows, dtype=np.int64).reshape(len(self._rows), len(runs.keys)),
            own=int(adjoint),
        )

    def _factor(self, species: int, table: FloatArray, first_counts: list[int]) -> tuple[int, int]:
        """Return the coordinate and place of a scalar table, read at the target: its count less the change."""
        place = self._write(table)
        return (-1, place) if species < 0 else (self._coordinate[species], place - first_counts[species])

    def _table(self, group: _Group, first_counts: list[int]) -> tuple[int, int, int]:
        """Return coordinate or row, sign, and place of a group's table."""
        if group.kind == PLAIN:
            return 0, 0, 0
        if group.kind == STORED:
            return self._offsets(group), 0, 0
        species, table = group.species, group.values
        if self._layout.stride[species] > 0:
            return self._coordinate[species], 1, self._write(table) - first_counts[species]
        # Counts fall along the run: the table is written backwards.
        return self._coordinate[species], -1, self._write(table[::-1]) + len(table) - 1 + first_counts[species]

    def _offsets(self, group: _Group) -> int:
        if id(group.values) not in self._row:
            self._row[id(group.values)] = len(self._rows)
            self._rows.append(self._append(group.values) + group.offsets)
        return self._row[id(group.values)]

    def _write(self, table: FloatArray) -> int:
        """Return the place of a short table, where it is if it was written before."""
        content = table.tobytes()
        if content not in self._places:
            self._places[content] = self._append(table)
        return self._places[content]

    def _append(self, table: FloatArray) -> int:
        self._pool.append(table)
        self._size += len(table)
        return self._size - len(table)


def _slots(groups: list[list[_Group]]) -> Iterator[int]:
    """Yield the slot of each group in the fused pass: those without a table first; the exit rate has its own."""
    gain = [group for of_change in groups[:-1] for group in of_change]
    n_plain = sum(group.kind == PLAIN for group in gain)
    plain, table = iter(range(n_plain)), iter(range(n_plain, len(gain)))
    for group in gain:
        yield next(plain if group.kind == PLAIN else table)
    for _ in groups[-1]:
        yield -1
