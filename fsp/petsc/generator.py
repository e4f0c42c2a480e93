"""The generator on a space that is spread over ranks.

Each rank has the serial generator (`fsp.generator.Generator`) on its extended states (see `fsp.petsc.halo`) and uses
the rows of its own.  From those come the operator on runs, with an exchange of values before each product, and PETSc's
matrix, with global columns.  Sinks are counted on each rank for its own states; what they hold is the sum.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from fsp.errors import BackendError, StateSpaceError
from fsp.generator import Generator as LocalGenerator
from fsp.generator import Leak
from fsp.generator.generator import LONG, RUN_STATES, SHORT, n_pairs
from fsp.generator.inner import inner_runs
from fsp.generator.operator import Operator, RowOperator, RunOperator
from fsp.generator.plan import jumps_of, shape_of
from fsp.generator.slices import slices_of
from fsp.petsc.environment import load
from fsp.petsc.halo import Halo
from fsp.petsc.systems import assembled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsp.arrays import FloatArray, IntArray
    from fsp.generator.plan import Jumps, RateErrors
    from fsp.generator.protocol import AnyGenerator
    from fsp.generator.sinks import Sinks
    from fsp.model import Model
    from fsp.model.tree import Expression
    from fsp.petsc.space import StateSpace


class _Frame:
    """What the generators of one network and one space have in common at all times."""

    def __init__(self, model: Model, space: StateSpace) -> None:
        self.model, self.space, self.comm = model, space, space.comm
        self.jumps = jumps_of(model)
        self.halo = Halo(space.fitted(model), self.jumps.changes)
        self.kinds: list[int] = []  # numbers of the changes by which jumps leave the space on any rank
        self.names: tuple[str, ...] = ()

    def find_sinks(self, sinks: Sinks) -> None:
        """Agree on the kinds of jumps that leave the space and on the names of the sinks, in the serial order."""
        own = _own_leaks(sinks, self.halo, self.jumps)
        labels = [constraint.label for constraint in self.space.constraints]
        met = {
            (c, labels.index(sinks.names[row]) if sinks.names[row] in labels else len(labels), sinks.names[row])
            for c, (_, rows) in own.items()
            for row in np.unique(rows).tolist()
        }
        every = sorted(set().union(*self.comm.mpi.allgather(met)))
        self.kinds = sorted({c for c, _, _ in every})
        self.names = tuple(dict.fromkeys(name for _, _, name in every))


class Generator:
    """The CME generator A on a space that is spread over ranks; `generator @ p` is the product.

    Vectors are the parts of this rank: (n_local,) arrays in the order of its states.  Methods that say so are
    collective.

    Parameters
    ----------
    model, space, t
        As of `fsp.Generator`.  Making one is collective.

    Attributes
    ----------
    comm : Communicator
        The ranks.
    halo : Halo
        The states of other ranks that products need.
    local : fsp.Generator
        The generator on the extended states.
    """

    def __init__(self, model: Model, space: StateSpace, t: float = 0.0) -> None:
        if not len(space):
            raise StateSpaceError("A generator must have a state, but the space is empty.")
        if space.species != model.species:
            raise StateSpaceError(
                f"The space must have the species of the model, {model.species}, but has {space.species}."
            )
        frame = _Frame(model, space)
        with space.comm.agree():
            local = LocalGenerator(model, frame.halo.extended, t)
        frame.find_sinks(local.ways_out)
        self._take(frame, local)

    def _take(self, frame: _Frame, local: LocalGenerator) -> None:
        self._frame, self.local = frame, local
        self.model, self.space, self.comm, self.halo = frame.model, frame.space, frame.comm, frame.halo
        self.t = local.t

    def _with(self, local: LocalGenerator) -> Generator:
        if local is self.local:
            return self
        other = object.__new__(Generator)
        other._take(self._frame, local)
        return other

    # ---- time ---------------------------------------------------------------------------------------------

    def at(self, t: float) -> Generator:
        """Return the generator at time `t`: itself if no propensity depends on time.  Collective."""
        if self.is_constant or t == self.t:
            return self
        local = self.local
        with self.comm.agree():
            local = self.local.at(t) if self.is_scalable else LocalGenerator(self.model, self.halo.extended, t)
        return self._with(local)

    @property
    def is_constant(self) -> bool:
        """Whether no propensity depends on time."""
        return self.local.is_constant

    def held(self, values: FloatArray) -> Generator:
        """Return ``Σ_l values[l] A_l``, (n_clocks,), at all times: where the functions of time stay as they are."""
        return self._with(self.local.held(values))

    @cached_property
    def is_scalable(self) -> bool:
        """Whether ``A(t) = Σ_l clock_l(t) A_l`` with constant A_l.  Collective when first asked for."""
        same = self.comm.mpi.allgather(tuple(map(str, self.local.clocks)))
        return self.comm.all(self.local.is_scalable) and len(set(same)) == 1

    @property
    def clocks(self) -> tuple[Expression, ...]:
        """The functions of time clock_l, as trees; the first is one."""
        return self.local.clocks

    def part(self, index: int) -> Generator:
        """Return A_l, the part of the generator that one clock multiplies."""
        return self._with(self.local.part(index))

    def with_clocks(self, values: FloatArray) -> Generator:
        """Return ``Σ_l values[l] A_l``, (n_clocks,)."""
        return self._with(self.local.with_clocks(values))

    def is_near(self, other: Generator, tolerance: float) -> bool:
        """Return whether the clocks of another generator of the family are within a relative tolerance of these."""
        return self.local.is_near(other.local, tolerance)

    # ---- the operator -------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Return the number of states of all ranks."""
        return len(self.space)

    @property
    def n_local(self) -> int:
        """Number of states of this rank."""
        return self.halo.n

    def __matmul__(self, p: FloatArray) -> FloatArray:
        """Return this rank's part of ``A p`` for its part of `p`, (n_local,).  Collective."""
        return self.operator.apply(p)

    @cached_property
    def T(self) -> Operator:  # noqa: N802 - the transpose, as numpy and scipy call it
        """The adjoint, whose products are collective."""
        plan, own = self.local.plans[1], self.halo.own
        return RunOperator(slices_of(plan, ()), ghosts=self.halo, own=own, inner=inner_runs(plan, *own))

    @cached_property
    def operator(self) -> Operator:
        """The closed chain, the sinks after this rank's states, in the form in which products are fastest.

        What sinks hold is in the vectors of the first rank, zero in others'.  A solver's sums over a vector are sums
        over the ranks' vectors; products and their sums are collective.
        """
        mean_length = len(self) / self.comm.sum(len(self.space.runs.keys))
        alone = self._ghosts is None
        if len(self) < RUN_STATES or mean_length < SHORT:
            if alone:
                return RowOperator(self._closed_rows(), self.n_local)
            return RowOperator(self.rows, self.n_local, self.halo, self.sinks)
        plan, own = self.local.plans[0], self.halo.own
        shape = shape_of(plan) if mean_length >= LONG else ()
        if alone:
            return RunOperator(slices_of(plan, shape, self.sinks), own=own)
        inner = inner_runs(plan, *own)
        return RunOperator(slices_of(plan, shape), ghosts=self.halo, own=own, inner=inner, sinks=self.sinks)

    @property
    def _ghosts(self) -> Halo | None:
        return self.halo if self.comm.size > 1 else None

    def _closed_rows(self) -> Any:
        """Return the rows of all states and after them the sinks, where there is one rank, (size, size) CSR array."""
        first, end = self.halo.own
        rows = sparse.vstack([self.rows[:, first:end], self.sinks], format="csr")
        matrix = sparse.csr_array((rows.data, rows.indices, rows.indptr), shape=(rows.shape[0], rows.shape[0]))
        matrix.sort_indices()
        return matrix

    @property
    def rows(self) -> Any:
        """The rows of A of this rank, a column for each extended state, (n_local, n_extended) scipy CSR array."""
        first, end = self.halo.own
        return self.local.assembled()[first:end]

    # ---- rates --------------------------------------------------------------------------------------------

    @cached_property
    def exit_rates(self) -> FloatArray:
        """Full exit rate of each of this rank's states, (n_local,), 1/time."""
        return self.local.exit_rates[slice(*self.halo.own)]

    @cached_property
    def largest_exit_rate(self) -> float:
        """Largest exit rate of all states, 1/time.  Collective when first asked for."""
        return float(self.comm.max(self.exit_rates.max(initial=0.0)))

    @cached_property
    def leaks(self) -> tuple[Leak, ...]:
        """The jumps that leave the space, by kind: the same kinds on all ranks, each with this rank's sources."""
        return tuple(leak for leak, _ in self._own)

    @property
    def sink_names(self) -> tuple[str, ...]:
        """The boundary that each sink stands for, as on all ranks."""
        return self._frame.names

    @property
    def n_sinks(self) -> int:
        """Number of sinks; 0 where no jump leaves the space."""
        return len(self.sink_names)

    @cached_property
    def sinks(self) -> Any:
        """Rates into each sink from this rank's states, (n_sinks, n_local) scipy sparse array, 1/time."""
        shape = (self.n_sinks, self.n_local)
        if not self._own:
            return sparse.csr_array(shape)
        row = np.concatenate([rows for _, rows in self._own])
        column = np.concatenate([leak.sources for leak, _ in self._own])
        rates = np.concatenate([leak.rates for leak, _ in self._own])
        return sparse.coo_array((rates, (row, column)), shape=shape).tocsr()

    @cached_property
    def leak_rates(self) -> FloatArray:
        """Rate of leaving the space from each of this rank's states, (n_local,), 1/time."""
        rates = np.zeros(self.n_local)
        for leak in self.leaks:
            rates[leak.sources] += leak.rates
        return rates

    @cached_property
    def _own(self) -> list[tuple[Leak, IntArray]]:
        """Leaks of the own states, and the sink of each jump."""
        sinks, jumps = self.local.ways_out, self._frame.jumps
        own = _own_leaks(sinks, self.halo, jumps)
        number = np.array([self.sink_names.index(n) if n in self.sink_names else -1 for n in sinks.names], dtype=int)
        nothing = np.empty(0, dtype=np.int64)
        found = []
        for c in self._frame.kinds:
            if c in own:
                leak, rows = own[c]
                found.append((leak, number[rows]))
            else:
                found.append((Leak(jumps.changes[c], jumps.reactions[c], nothing, np.empty(0)), nothing))
        return found

    # ---- what a product costs -----------------------------------------------------------------------------

    @cached_property
    def work(self) -> int:
        """Multiply-adds of one product on all ranks, as in serial.  Collective when first asked for."""
        if len(self) < RUN_STATES:
            return int(self.comm.sum(self.rows.nnz + self.sinks.nnz))
        plan = self.local.plans[0]
        own = np.searchsorted(plan.starts, self.halo.own).tolist()
        return int(self.comm.sum(self.n_local + n_pairs(plan, *own) + self.sinks.nnz))

    @cached_property
    def roundings(self) -> float:
        """Most rounded operations behind one entry of a product, as in serial.  Collective when first asked for."""
        return float(self.comm.max(self.local.roundings))

    @cached_property
    def rate_errors(self) -> RateErrors:
        """How far rates may be from the exact ones, on any rank.  Collective when first asked for."""
        own = self.local.rate_errors
        relative, worst = (float(self.comm.max(error)) for error in (own.relative, own.worst))
        return replace(own, relative=relative, worst=worst)

    def misjudged(self, start: float, end: float) -> float:
        """Bound what errors of rates do from `start` to `end` beyond `roundings`, on any rank.  Collective."""
        return float(self.comm.max(self.local.misjudged(start, end)))

    @property
    def nbytes(self) -> int:
        """Bytes that the operator takes on this rank."""
        return self.operator.nbytes

    # ---- PETSc --------------------------------------------------------------------------------------------

    @contextmanager
    def aij(self) -> Iterator[Any]:
        """Make A as a PETSc matrix of type AIJ, which lives as long as the block.  Collective.

        Raises
        ------
        BackendError
            If a rank has more entries than PETSc's indices can count.
        """
        columns = self.halo.global_index[self.rows.indices]
        rows = (self.rows.indptr, columns, self.rows.data)
        with assembled(self.comm, self._sizes, rows, "the matrix-free form") as matrix:
            yield matrix

    @contextmanager
    def closed_aij(self) -> Iterator[Any]:
        """Make the closed chain as a PETSc matrix, sinks of this rank's own after its states.  Collective.

        What a sink holds is the sum over the ranks.
        """
        k, rows = self.n_sinks, self.rows
        starts = self.space.ranges.starts
        owner = np.searchsorted(starts, self.halo.global_index, side="right") - 1
        column = self.halo.global_index + k * owner  # (n_extended,)
        first, end = self.halo.own
        sinks = self.sinks.tocsr()
        indptr = rows.indptr.astype(np.int64)  # the sum may be larger than either
        ends = np.concatenate([indptr, indptr[-1] + sinks.indptr[1:]])
        columns = np.concatenate([column[rows.indices], column[sinks.indices + first]])
        below = np.arange(k) + int(starts[self.comm.rank]) + k * self.comm.rank + end - first
        # Each sink has its place on the diagonal, for what is to be added there.
        places = ends[end - first + 1 :].copy()
        columns = np.insert(columns, places, below)
        values = np.insert(np.concatenate([rows.data, sinks.data]), places, 0.0)
        ends[end - first + 1 :] += np.arange(1, k + 1)
        n, n_all = self.n_local + k, len(self) + k * self.comm.size
        rows_of_all = (ends, columns, values)
        with assembled(self.comm, ((n, n_all), (n, n_all)), rows_of_all, "another solver") as matrix:
            yield matrix

    @contextmanager
    def shell(self) -> Iterator[Any]:
        """Make A as a PETSc matrix whose products are those of `operator`, for as long as the block.  Collective."""
        matrix = load().PETSc.Mat().createPython(self._sizes, _Shell(self), comm=self.comm.mpi)
        try:
            matrix.setUp()
            yield matrix
        finally:
            matrix.destroy()

    @property
    def _sizes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        return (self.n_local, len(self)), (self.n_local, len(self))


class _Shell:
    """What PETSc calls to apply a generator."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator

    def mult(self, matrix: Any, x: Any, y: Any) -> None:
        """Write A x to y."""
        self._generator.operator.product(values_of(x), y.getArray())

    def multTranspose(self, matrix: Any, x: Any, y: Any) -> None:  # noqa: N802 - PETSc's name
        """Write Aᵀ x to y."""
        y.getArray()[:] = self._generator.T @ values_of(x)

    def getDiagonal(self, matrix: Any, y: Any) -> None:  # noqa: N802 - PETSc's name
        """Write the diagonal of A to y."""
        y.getArray()[:] = -self._generator.exit_rates


def values_of(x: Any) -> FloatArray:
    """Return this rank's part of a PETSc vector, (n_local,), which must not be written to.

    Its flag says that it may be: kernels are compiled for such arrays.
    """
    view = x.getArray(readonly=True).__array_interface__
    return np.asarray(SimpleNamespace(__array_interface__={**view, "data": (view["data"][0], False)}))


def require_ranks(generator: Any, name: str) -> None:
    """Raise a BackendError unless a generator is one of this kind."""
    if not isinstance(generator, Generator):
        raise BackendError(f"{name} must have vectors of PETSc; ask for backend='petsc'.")


def _own_leaks(sinks: Sinks, halo: Halo, jumps: Jumps) -> dict[int, tuple[Leak, IntArray]]:
    """Return the jumps out of the space from own states and the sink of each, by the number of their change."""
    numbers = {tuple(change): c for c, change in enumerate(jumps.changes.tolist())}
    first, end = halo.own
    found = {}
    for leak, rows in zip(sinks.leaks, sinks.rows, strict=True):
        own = (leak.sources >= first) & (leak.sources < end)
        if own.any():
            inside = replace(leak, sources=leak.sources[own] - first, rates=leak.rates[own])
            found[numbers[tuple(leak.change.tolist())]] = inside, rows[own]
    return found


if TYPE_CHECKING:
    _SPREAD: type[AnyGenerator] = Generator
