"""Closed classes of a chain that is spread over ranks, and the probability of ending in each.

Each rank finds the strongly connected parts of its own states; the graph of these parts, which is small unless jumps
hardly ever lead back, is gathered, and all ranks find the classes of the whole chain in it alike.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from fsp.chains.classes import Absorption, absorbed
from fsp.equilibrium.reachability import Reachability
from fsp.errors import StateSpaceError
from fsp.petsc.systems import assembled, block, vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fsp.arrays import BoolArray, FloatArray, IntArray
    from fsp.petsc.comm import Communicator
    from fsp.petsc.generator import Generator

    MeanTimes: TypeAlias = Callable[[Any, FloatArray], FloatArray]

NO_JUMPS = np.empty((0, 2), dtype=np.int64)
MOST_GATHERED = 2_000_000  # of all ranks, whose graph every rank holds


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """The strongly connected parts of each rank's states, as a graph that all ranks hold."""

    label: IntArray  # part of each of this rank's states, (n_local,)
    n: int  # number of parts of all ranks
    edges: IntArray  # jumps between different parts, from and to, (m, 2)

    def classes(self, more: IntArray = NO_JUMPS) -> tuple[IntArray, BoolArray]:
        """Return the class of each part, (n,), and which classes are closed where jumps `more` (k, 2) are added."""
        edges = np.concatenate([self.edges, more])
        graph = sparse.csr_array((np.ones(len(edges), dtype=np.int8), (edges[:, 0], edges[:, 1])), shape=(self.n,) * 2)
        n_classes, label = csgraph.connected_components(graph, directed=True, connection="strong")
        of_part = label.astype(np.int64)
        ends = of_part[edges]
        closed: BoolArray = np.ones(n_classes, dtype=np.bool_)
        closed[ends[ends[:, 0] != ends[:, 1], 0]] = False
        return of_part, closed


@dataclass(frozen=True, slots=True, eq=False)
class ClosedChain:
    """The chain on a space with its leaks closed, as `fsp.chains.classes.close_leaks` does."""

    comm: Communicator
    rows: Any  # this rank's rows, (n_local, n) CSR array
    leak_rates: FloatArray  # rates at which transient states leave the space, (n_local,)
    number: IntArray  # closed class of each of this rank's states, -1 for transient ones, (n_local,)
    sizes: IntArray  # number of states of each closed class, (n_classes,)

    @contextmanager
    def matrix(self) -> Iterator[Any]:
        """Make the PETSc matrix, which lives as long as the block."""
        n_local, n = self.rows.shape
        self.rows.sort_indices()  # PETSc takes that for granted, and makes a wrong matrix where it is not so
        csr = (self.rows.indptr, self.rows.indices, self.rows.data)
        with assembled(self.comm, ((n_local, n), (n_local, n)), csr, "a smaller space") as matrix:
            yield matrix

    @contextmanager
    def part(self, matrix: Any, members: BoolArray) -> Iterator[Any]:
        """Make the part of its matrix on the members of a class, a mask (n_local,): the matrix itself where all are."""
        if self.comm.all(bool(members.all())):
            yield matrix
        else:
            with block(self.comm, matrix, members) as of_class:
                yield of_class


def close_leaks(generator: Generator, start: FloatArray) -> ClosedChain:
    """Return the chain on the space with its leaks closed: reflected, or led back to `start` (n_local,).

    A class that can not lead to an initial state any more is closed, however it leaks.
    """
    comm, leak_rates = generator.comm, generator.leak_rates
    rows, parts = generator.rows, _parts_of(generator)
    first, end = generator.halo.owned
    n_local = end - first
    diagonal = sparse.csr_array(
        (leak_rates, np.arange(first, end), np.arange(n_local + 1)), shape=(n_local, rows.shape[1])
    )
    of_part, closed = parts.classes()
    leaks, begins = (_marked(comm, of_part[parts.label], len(closed), mask) for mask in (leak_rates > 0.0, start > 0.0))
    trap = closed & leaks & ~begins
    trap[trap] = _lead_to_start(generator, of_part[parts.label], np.flatnonzero(trap))
    trapped = trap[of_part[parts.label]]
    chain = _with_global_columns(generator, (rows + diagonal).tocsr())
    if not comm.any(bool(trapped.any())):
        return _numbered(generator, parts, of_part, closed, chain)
    back, jumps = _led_back(generator, parts, start, np.where(trapped, leak_rates, 0.0))
    local = np.arange(n_local)
    kept = sparse.csr_array(
        (np.where(trapped, leak_rates, 0.0), (local, local + generator.space.first)), shape=(n_local, len(generator))
    )
    of_part, closed = parts.classes(jumps)
    return _numbered(generator, parts, of_part, closed, (chain - kept + back).tocsr())


def led_back(generator: Generator, into: FloatArray) -> ClosedChain:
    """Return the chain that goes on from the state at which `into` (n_local,) is one wherever it leaves the space."""
    parts = _parts_of(generator)
    back, jumps = _led_back(generator, parts, into, generator.leak_rates)
    of_part, closed = parts.classes(jumps)
    chain = _with_global_columns(generator, generator.rows) + back
    return _numbered(generator, parts, of_part, closed, chain.tocsr())


def _lead_to_start(generator: Generator, number: IntArray, classes: IntArray) -> BoolArray:
    """Tell which of `classes` (k,) may lead to an initial state, as far as stoichiometry and factors of rates say."""
    local = {c: generator.space.states_at(np.flatnonzero(number == c)[:1]) for c in classes.tolist()}
    said = generator.comm.mpi.allgather({c: state for c, state in local.items() if len(state)})
    reach, start = Reachability(generator.model), generator.model.initial_states
    first = [next(states[c] for states in said if c in states) for c in classes.tolist()]
    return np.array([reach.possible(start, state).any() for state in first], dtype=np.bool_)


def n_closed_classes(generator: Generator) -> int:
    """Return the number of closed classes of the chain on a space whose boundary reflects."""
    _, closed = _parts_of(generator).classes()
    return int(closed.sum())


def _with_global_columns(generator: Generator, rows: Any) -> Any:
    shape = (generator.n_local, len(generator))
    return sparse.csr_array((rows.data, generator.halo.global_index[rows.indices], rows.indptr), shape=shape)


def _parts_of(generator: Generator) -> Components:
    """Return the strongly connected parts of the states of each rank."""
    comm, halo, rows = generator.comm, generator.halo, generator.rows
    first, end = halo.owned
    n, label = 0, np.empty(0, dtype=np.int32)
    if generator.n_local:
        n, label = csgraph.connected_components(rows[:, first:end], directed=True, connection="strong")
    starts = comm.starts(n)
    total = int(starts[-1])
    if total > MOST_GATHERED:
        raise StateSpaceError(
            f"The states must fall into at most {MOST_GATHERED:,} parts in which every state leads to every other, but "
            f"fall into {total:,}: jumps that nothing undoes. Use backend='serial', or a `space` without states that "
            f"are left for good."
        )
    of_all = label.astype(np.int64) + starts[comm.rank]
    values = of_all.astype(np.float64)
    halo.begin(values)
    of_extended = halo.finish(values, len(of_all), len(of_all)).astype(np.int64)
    source, target = of_extended[rows.indices], np.repeat(of_all, np.diff(rows.indptr))
    crossing = (source != target) & (rows.data > 0.0)
    local = np.unique(np.stack([source[crossing], target[crossing]], axis=1), axis=0)
    edges = np.concatenate(comm.mpi.allgather(local))
    return Components(of_all, total, edges)


def _marked(comm: Communicator, number: IntArray, n: int, mask: BoolArray) -> BoolArray:
    """Tell which of `n` groups have a state on any rank for which `mask` (n_local,) is true."""
    marks = np.zeros(n, dtype=np.int64)
    marks[number[mask]] = 1
    return np.asarray(comm.max(marks)) > 0


def _led_back(generator: Generator, parts: Components, start: FloatArray, rates: FloatArray) -> tuple[Any, IntArray]:
    """Return jumps from states to `start`, at `rates` (n_local,): own rows, and jumps between parts, (k, 2)."""
    comm, space = generator.comm, generator.space
    sources = np.flatnonzero(rates > 0.0)
    entries = np.flatnonzero(start > 0.0)
    said = comm.mpi.allgather((sources + space.first, rates[sources], parts.label[sources], parts.label[entries]))
    columns, values, left, entered = (np.concatenate(column) for column in zip(*said, strict=True))
    data = np.outer(start[entries], values).ravel()
    places = (np.repeat(entries, len(columns)), np.tile(columns, len(entries)))
    back = sparse.coo_array((data, places), shape=(generator.n_local, len(generator))).tocsr()
    pairs = np.stack(np.meshgrid(np.unique(left), np.unique(entered), indexing="ij"), axis=-1).reshape(-1, 2)
    return back, pairs


def _numbered(generator: Generator, parts: Components, of_part: IntArray, closed: BoolArray, rows: Any) -> ClosedChain:
    """Return the chain with its closed classes numbered in the order of their first states."""
    comm = generator.comm
    local = of_part[parts.label]
    first_state = np.full(len(closed), len(generator), dtype=np.int64)
    np.minimum.at(first_state, local, np.arange(generator.n_local) + generator.space.first)
    first_state = np.asarray(comm.min(first_state))
    chosen = np.flatnonzero(closed)
    chosen = chosen[np.argsort(first_state[chosen], kind="stable")]
    number = np.full(len(closed), -1, dtype=np.int64)
    number[chosen] = np.arange(len(chosen))
    of_state = number[local]
    sizes = np.asarray(comm.sum(np.bincount(of_state[of_state >= 0], minlength=len(chosen))))
    return ClosedChain(comm, rows, generator.leak_rates, of_state, sizes)


def absorption(chain: ClosedChain, matrix: Any, start: FloatArray, mean_times: MeanTimes) -> Absorption:
    """Follow the distribution `start` (n_local,) into the closed classes of a chain; what leaks on the way is lost.

    `matrix` is that of the chain in PETSc, and `mean_times` solves a system with one; see
    `fsp.chains.classes.absorption`.
    """
    comm = chain.comm
    weights = _by_class(chain, start)
    inside = chain.number < 0
    occupation = np.zeros(len(start))
    if not comm.any(bool(start[inside].any())):
        return Absorption(weights, occupation, 0.0)
    with block(comm, matrix, inside) as system, vectors(system, 1) as (leaks,):
        leaks.array[:] = -chain.leak_rates[inside]
        system.setDiagonal(leaks, addv=True)
        occupation[inside] = np.maximum(mean_times(system, -start[inside]), 0.0)
    with vectors(matrix, 2) as (times, flux):
        times.array[:] = occupation
        matrix.mult(times, flux)
        weights = weights + _by_class(chain, flux.array)
    lost = float(comm.sum(float(chain.leak_rates[inside] @ occupation[inside])))
    return absorbed(weights, occupation, lost)


def _by_class(chain: ClosedChain, values: FloatArray) -> FloatArray:
    """Return the sum of `values` (n_local,) over the states of each closed class."""
    inside = chain.number >= 0
    local = np.bincount(chain.number[inside], weights=values[inside], minlength=len(chain.sizes))
    return np.asarray(chain.comm.sum(local.astype(np.float64)))  # of nothing it counts in integers
