"""The generator on a space that is spread over ranks.

Each rank has the serial generator (`fsp.generator.Generator`) on its extended states (see `fsp.petsc.halo`) and uses
the rows of its own.  From those come the operator on runs, with an exchange of values before each product, and PETSc's
matrix, with global columns.  Sinks are counted on each rank for its own states; what they hold is the sum.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.errors import BackendError
from fsp.generator import Generator as LocalGenerator
from fsp.generator.base import check_space, invertible
from fsp.generator.inner import inner_runs
from fsp.generator.jumps import jumps_of
from fsp.generator.matrices import n_pairs
from fsp.generator.operator import Operator
from fsp.generator.sinks import Leak, Sinks
from fsp.generator.slices import SHORT, in_best_mode, slices_of
from fsp.petsc.halo import Halo
from fsp.petsc.matrices import PETScMatrices

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.generator.jumps import Jumps
    from fsp.generator.rate_errors import RateErrors
    from fsp.model import Model
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
        local = _own_leaks(sinks, self.halo, self.jumps)
        labels = [constraint.label for constraint in self.space.constraints]
        met = {
            (c, labels.index(sinks.names[row]) if sinks.names[row] in labels else len(labels), sinks.names[row])
            for c, (_, rows) in local.items()
            for row in np.unique(rows).tolist()
        }
        every = sorted(set().union(*self.comm.mpi.allgather(met)))
        self.kinds = sorted({c for c, _, _ in every})
        self.names = tuple(dict.fromkeys(name for _, _, name in every))


class Generator(PETScMatrices):
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
        check_space(model, space)
        frame = _Frame(model, space)
        with space.comm.agree():
            local = LocalGenerator(model, frame.halo.extended, t)
        frame.find_sinks(local.ways_out)
        self._take(frame, local)

    def _take(self, frame: _Frame, local: LocalGenerator) -> None:
        self._frame, self.local = frame, local
        self.model, self.space, self.comm, self.halo = frame.model, frame.space, frame.comm, frame.halo
        self.n_local = frame.halo.n
        self.t, self.is_constant, self.clocks = local.t, local.is_constant, local.clocks

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

    @cached_property
    def is_scalable(self) -> bool:
        """Whether ``A(t) = Σ_l clock_l(t) A_l`` with constant A_l.  Collective when first asked for."""
        same = self.comm.mpi.allgather(tuple(map(str, self.clocks)))
        return self.comm.all(self.local.is_scalable) and len(set(same)) == 1

    def held(self, values: FloatArray) -> Generator:
        """Return ``Σ_l values[l] A_l``, (n_clocks,), at all times: for piecewise-constant rates."""
        return self._with(self.local.held(values))

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

    @cached_property
    def T(self) -> Operator:  # noqa: N802 - the transpose, as numpy and scipy call it
        """The adjoint, whose products are collective."""
        plan, local = self.local.plans[1], self.halo.owned
        return Operator(slices_of(plan), ghosts=self.halo, local=local, inner=inner_runs(plan, *local))

    @cached_property
    def operator(self) -> Operator:
        """The closed chain, the sinks after this rank's states, in the form in which products are fastest.

        What sinks hold is in the vectors of the first rank, zero in others'.  A solver's sums over a vector are sums
        over the ranks' vectors; products and their sums are collective.
        """
        mean_length = len(self) / self.comm.sum(len(self.space.runs.keys))
        is_spread = self.comm.size > 1
        if mean_length < SHORT:  # the numbers of slices of ranks may differ, and all must decide alike
            if is_spread:
                return Operator.of_rows(self.rows, self.n_local, self.halo, self.sinks)
            return Operator.of_rows(self.closed_rows(), self.n_local)
        plan, local = self.local.plans[0], self.halo.owned
        if not is_spread:
            return Operator(in_best_mode(slices_of(plan, sinks=self.sinks)), local=local)
        slices, inner = in_best_mode(slices_of(plan), local), inner_runs(plan, *local)
        return Operator(slices, ghosts=self.halo, local=local, inner=inner, sinks=self.sinks)

    @property
    def rows(self) -> Any:
        """The rows of A of this rank, a column for each extended state, (n_local, n_extended) scipy CSR array."""
        first, end = self.halo.owned
        return self.local.assembled().csr()[first:end]

    # ---- rates --------------------------------------------------------------------------------------------

    @cached_property
    def exit_rates(self) -> FloatArray:
        """Full exit rate of each of this rank's states, (n_local,), 1/time."""
        return self.local.exit_rates[slice(*self.halo.owned)]

    @cached_property
    def largest_exit_rate(self) -> float:
        """Largest exit rate of all states, 1/time.  Collective when first asked for."""
        return invertible(float(self.comm.max(self.exit_rates.max(initial=0.0))))

    @cached_property
    def ways_out(self) -> Sinks:
        """The jumps that leave the space from own states: kinds and sinks are the same on all ranks, as in serial."""
        frame, local = self._frame, self.local.ways_out
        local_leaks = _own_leaks(local, self.halo, frame.jumps)
        number = np.array([frame.names.index(n) if n in frame.names else -1 for n in local.names], dtype=np.int64)
        nothing = np.empty(0, dtype=np.int64)
        leaks, rows = [], []
        for c in frame.kinds:
            none = Leak(frame.jumps.changes[c], frame.jumps.reactions[c], nothing, np.empty(0)), nothing
            leak, row = local_leaks.get(c, none)
            leaks.append(leak)
            rows.append(number[row])
        return Sinks(frame.names, tuple(leaks), tuple(rows), self.n_local)

    # ---- what a product costs -----------------------------------------------------------------------------

    @cached_property
    def work(self) -> int:
        """Multiply-adds of one product on all ranks, as in serial.  Collective when first asked for."""
        plan = self.local.plans[0]
        local = np.searchsorted(plan.starts, self.halo.owned).tolist()
        return int(self.comm.sum(self.n_local + n_pairs(plan, *local) + self.ways_out.n_jumps))

    @cached_property
    def roundings(self) -> float:
        """Most rounded operations behind one entry of a product, as in serial.  Collective when first asked for."""
        return float(self.comm.max(self.local.roundings))

    @cached_property
    def rate_errors(self) -> RateErrors:
        """How far rates may be from the exact ones, on any rank.  Collective when first asked for."""
        local = self.local.rate_errors
        relative, worst = (float(self.comm.max(error)) for error in (local.relative, local.worst))
        return replace(local, relative=relative, worst=worst)

    def misjudged(self, start: float, end: float) -> float:
        """Bound what errors of rates do from `start` to `end` beyond `roundings`, on any rank.  Collective."""
        return float(self.comm.max(self.local.misjudged(start, end)))


def require_ranks(generator: Any, name: str) -> None:
    """Raise a BackendError unless a generator is one of this kind."""
    if not isinstance(generator, Generator):
        raise BackendError(f"{name} must have vectors of PETSc; ask for backend='petsc'.")


def _own_leaks(sinks: Sinks, halo: Halo, jumps: Jumps) -> dict[int, tuple[Leak, IntArray]]:
    """Return the jumps out of the space from own states and the sink of each, by the number of their change."""
    numbers = {tuple(change): c for c, change in enumerate(jumps.changes.tolist())}
    first, end = halo.owned
    leaks = {}
    for leak, rows in zip(sinks.leaks, sinks.rows, strict=True):
        here = (leak.sources >= first) & (leak.sources < end)
        if here.any():
            inside = replace(leak, sources=leak.sources[here] - first, rates=leak.rates[here])
            leaks[numbers[tuple(leak.change.tolist())]] = inside, rows[here]
    return leaks
