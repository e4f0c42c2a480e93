"""An operator as slices: what a product needs to know of every run, found once.

For every run and every group of the gain: which states of the run are reached, from where in the vector, with which
scalar and which part of a table; and for the exit rate its scalars and parts of tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.compilation.lanes import LANES
from fsp.generator import expanded_kernels, slice_kernels
from fsp.generator.fused_kernels import MOST_PLAIN, MOST_TABLE
from fsp.generator.kernels import EXPANDED, FUSED, PLAIN, Slices
from fsp.generator.layout import PIECE

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.generator.kernels import Plan

PLACES_32 = 2**31 - 2**16  # entries of a vector, and of the tables, whose places fit 32 bits
LONG = 32.0  # mean length of a run from which on setting up a pass costs less than half; 16 to 64 choose alike
# Bytes of written-out rates that are read faster than scalars and tables are looked up, measured: where no loop is
# compiled for the number of slices, or more of the states than these are at ends of runs, which not all slices reach.
EXPANDED_BYTES = 2**23
AT_ENDS = 0.08
FUSED_LENGTH = 16.0  # the same, where runs are shorter than this; measured
# Mean length of a run below which CSR rows are faster than slices, by itself and for each slice, the latter while rates
# are written out, and of joined runs then; and runs that take as long as calling a product on runs, not on rows does.
SHORT, SHORT_OF_SLICE, CALL_RUNS = 4.0, 0.8, 30  # measured


def are_rows_faster(plan: Plan) -> bool:
    """Return whether products by rows are faster than on the runs of a plan, joined where rates may be written out."""
    n, n_runs, n_slots = int(plan.starts[-1]), len(plan.keys), int(plan.group_range[-2])
    if not fit_near(n, n_slots):
        return n < SHORT * n_runs
    n_joined = int(slice_kernels.count_joined(plan, PIECE))
    return n < max(SHORT, SHORT_OF_SLICE * n_slots) * (n_joined + CALL_RUNS)


def fit_near(n: int, n_slots: int) -> bool:
    """Return whether the rates of n states may be written out."""
    return 8 * (n_slots + 1) * n <= EXPANDED_BYTES


def in_best_mode(slices: Slices, held: tuple[int, int] | None = None) -> Slices:
    """Return slices, with their rates written out where products are faster then; see `slices_of`."""
    n, n_slots, n_loss = int(slices.starts[-1]), slices.origins.shape[1], slices.loss_places.shape[1]
    if not fit_near(n, n_slots):
        return slices
    has_loop = slices.n_plain <= MOST_PLAIN and 0 < n_slots - slices.n_plain <= MOST_TABLE and n_loss <= 1
    at_ends = n - int((slices.high - slices.low).clip(0).sum(dtype=np.int64))
    is_long = n >= FUSED_LENGTH * (len(slices.starts) - 1)
    return slices if has_loop and is_long and at_ends <= AT_ENDS * n else expanded(slices, held)


def slices_of(plan: Plan, mode: int = FUSED, sinks: Any = None, *, held: tuple[int, int] | None = None) -> Slices:
    """Return the slices of a plan; `sinks` are the rates into each sink, (n_sinks, n) CSR, None for none.

    `held` is the range of states that vectors hold which are multiplied; None for all.
    """
    n_runs, n_slots = len(plan.keys), int(plan.group_range[-2])
    n_loss = int((plan.groups[n_slots:, 2] != PLAIN).sum())
    index = np.int32 if max(plan.starts[-1], len(plan.tables)) < PLACES_32 else np.int64
    n_more = int(slice_kernels.count_more(plan))
    slices = Slices(
        mode=FUSED,
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
    return _with_sinks(expanded(slices, held) if mode == EXPANDED else slices, sinks)


def expanded(slices: Slices, held: tuple[int, int] | None = None) -> Slices:
    """Return slices with their rates written out for each state, and runs joined unless `held`; see `slices_of`."""
    n_runs, n_slots = slices.origins.shape
    if n_slots == 0:
        return slices
    firsts, longest = np.empty(n_runs + 1, np.int64), PIECE if held is None else 0
    room = {name: np.empty_like(getattr(slices, name)) for name in ("origins", "begins", "ends")}
    n_joined = int(expanded_kernels.join(slices, longest, firsts, slices._replace(**room)))
    firsts = firsts[: n_joined + 1]
    origins, begins, ends = (room[name][:n_joined].copy() for name in ("origins", "begins", "ends"))
    starts = slices.starts[firsts]
    lengths = starts[1:] - starts[:-1]
    bottom, top = held or (0, int(starts[-1]))
    n_rates = int((-(-lengths // LANES)).sum()) * LANES * (n_slots + 1)
    first = len(slices.tables) if len(slices.more) else 0  # the further slices read their tables still
    # A pass reads what a slice does not reach as well, times zero: where that is no state, the slice is a further one.
    outside = (origins < bottom) | (origins + lengths[:, None] > top)
    pairs = np.argwhere(outside).tolist()
    others: list[tuple[int, ...]] = []
    place = first + n_rates
    for run, slot in pairs:
        begin, end = int(begins[run, slot]), int(ends[run, slot])
        # Slots from `n_plain` on have a table, here from `begin` on.
        others.append((slices.n_plain, int(origins[run, slot]), begin, end, place - begin))
        place += end - begin
    origins[outside] = bottom
    index, short = origins.dtype, slices.begins[:0]
    more_from, more = _moved_further(slices, firsts)
    rates = slices._replace(
        mode=EXPANDED,
        starts=starts,
        origins=origins,
        begins=short,
        ends=short,
        places=slices.places[:0],
        scales=slices.scales[:0],
        low=slices.low[:0],
        high=np.empty(n_joined, np.int16),
        loss_places=np.empty((n_joined, 1), index),
        loss_scales=slices.loss_scales[:0],
        more_from=more_from,
        more=more,
        tables=np.zeros(place),
    )
    rates.tables[:first] = slices.tables[:first]
    expanded_kernels.expand(slices, firsts, top, first, rates)
    for (run, slot), (*_, begin, end, moved_to) in zip(pairs, others, strict=True):
        row = int(rates.loss_places[run, 0]) + (slot + 1) * (-(-int(lengths[run]) // LANES) * LANES)
        rates.tables[moved_to + begin : moved_to + end] = rates.tables[row + begin : row + end]
        rates.tables[row + begin : row + end] = 0.0
    return _with_further(rates, [run for run, _ in pairs], others) if pairs else rates


def _moved_further(slices: Slices, firsts: IntArray) -> tuple[IntArray, IntArray]:
    """Return `more_from` and `more` of runs that are joined to those that begin with `firsts`."""
    more = slices.more.copy()
    if len(more):
        of_run = np.repeat(np.arange(len(slices.starts) - 1), np.diff(slices.more_from))
        first = firsts[np.searchsorted(firsts, of_run, side="right") - 1]
        offset = slices.starts[of_run] - slices.starts[first]
        more[:, 1:] += offset[:, None] * np.array([-1, 1, 1, -1])  # origin, begin, end, place
    return slices.more_from[firsts], more


def _with_further(slices: Slices, runs: list[int], others: list[tuple[int, ...]]) -> Slices:
    """Return slices with others, of these runs, among their further ones."""
    more, scales, of_run = np.array(others, dtype=np.int64), np.ones(len(runs)), np.array(runs)
    n_runs = len(slices.starts) - 1
    if len(slices.more):
        of_run = np.concatenate([np.repeat(np.arange(n_runs), np.diff(slices.more_from)), of_run])
        order = np.argsort(of_run, kind="stable")
        of_run = of_run[order]
        more = np.concatenate([slices.more, more])[order]
        scales = np.concatenate([slices.more_scales, scales])[order]
    more_from = np.searchsorted(of_run, np.arange(n_runs + 1))
    return slices._replace(more_from=more_from, more=more, more_scales=scales)


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
