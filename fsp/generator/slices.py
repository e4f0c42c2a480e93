"""An operator as slices: what a product needs to know of every run, found once.

For every run and every group of the gain: which states of the run are reached, from where in the vector, with which
scalar and which part of a table; and for the exit rate its scalars and parts of tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.generator import slice_kernels
from fsp.generator.kernels import PLAIN, Slices

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.generator.kernels import Plan

PLACES_32 = 2**31 - 2**16  # entries of a vector, and of the tables, whose places fit 32 bits


def slices_of(plan: Plan, *, fused: bool, sinks: Any = None) -> Slices:
    """Return the slices of a plan; `sinks` are the rates into each sink, (n_sinks, n) CSR, None for none."""
    n_runs, n_slots = len(plan.keys), int(plan.group_range[-2])
    n_loss = int((plan.groups[n_slots:, 2] != PLAIN).sum())
    index = np.int32 if max(plan.starts[-1], len(plan.tables)) < PLACES_32 else np.int64
    n_more = int(slice_kernels.count_more(plan))
    slices = Slices(
        fused=int(fused),
        starts=plan.starts,
        origins=np.empty((n_runs, n_slots), index),
        begins=np.empty((n_runs, n_slots), np.int16),
        ends=np.empty((n_runs, n_slots), np.int16),
        places=np.empty((n_runs, n_slots), index),
        scales=np.empty((n_runs, n_slots)),
        low=np.empty(n_runs, np.int16),
        high=np.empty(n_runs, np.int16),
        loss_places=np.empty((n_runs, n_loss), index),
        loss_scales=np.zeros((n_runs, n_loss + 1)),
        more_from=np.empty(n_runs + 1, np.int64),
        more=np.empty((n_more, 5), np.int64),
        more_scales=np.empty(n_more),
        tables=plan.tables,
        n_plain=plan.n_plain,
        sink_starts=np.zeros(1, np.int64),
        sink_indices=np.zeros(0, index),
        sink_rates=np.zeros(0),
    )
    slice_kernels.find(plan, slices)
    slice_kernels.find_more(plan, slices)
    return _with_sinks(slices, sinks)


def scaled(parts: list[Slices], weights: FloatArray, sinks: Any = None) -> Slices:
    """Return ``Σ_l weights[l] parts[l]`` of operators that differ by their scalars alone, with other sinks."""
    if len(parts) == 1 and weights[0] == 1.0:
        return _with_sinks(parts[0], sinks)
    sums = {}
    for name in ("scales", "loss_scales", "more_scales"):
        total = weights[0] * getattr(parts[0], name)
        for weight, part in zip(weights[1:], parts[1:], strict=True):
            total += weight * getattr(part, name)
        sums[name] = total
    return _with_sinks(parts[0]._replace(**sums), sinks)


def _with_sinks(slices: Slices, sinks: Any) -> Slices:
    """Return the slices with these rates into each sink, (n_sinks, n) CSR; None for none."""
    if sinks is None:
        return slices
    return slices._replace(
        sink_starts=sinks.indptr.astype(np.int64, copy=False),
        sink_indices=sinks.indices.astype(slices.origins.dtype, copy=False),
        sink_rates=sinks.data,
    )


def of_rows(matrix: Any) -> Slices:
    """Return a closed chain that is given as rows (CSR): all rows stand where else the sinks do."""
    none, starts = np.zeros((0, 0), matrix.indices.dtype), np.zeros(1, np.int64)
    short, number = np.zeros((0, 0), np.int16), np.zeros((0, 1))
    return _with_sinks(
        Slices(
            0, starts, none, short, short, none, number, short.reshape(0), short.reshape(0), none, number,
            starts, np.zeros((0, 5), np.int64), number.reshape(0), number.reshape(0), 0, starts, none.reshape(0),
            number.reshape(0),
        ),
        matrix,
    )  # fmt: skip


def moved(slices: Slices, by: int) -> Slices:
    """Return the slices of states that are numbered from `by` instead of 0."""
    more = slices.more.copy()
    more[:, 1] += by
    return slices._replace(starts=slices.starts + by, origins=slices.origins + slices.origins.dtype.type(by), more=more)


def nbytes(slices: Slices) -> int:
    """Return the bytes that the arrays take."""
    return sum(part.nbytes for part in slices if isinstance(part, np.ndarray))
