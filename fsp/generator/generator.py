"""The sparse generator of the chemical master equation on a finite space.

For every reaction r, change ν_r, propensity a_r::

    dP(x)/dt = Σ_r a_r(x - ν_r) P(x - ν_r)  -  Σ_r a_r(x) P(x)
               gain                            loss

The diagonal is minus the full exit rate Σ_r a_r(x) of the untruncated chain; what leaves the space is counted
in sinks, one for each boundary: the constraint that the target breaks first, or, where it breaks none, the jump
that leads out.  The columns of generator and sinks together sum to zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from fsp.errors import StateSpaceError
from fsp.generator import kernels

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, FloatArray, IntArray
    from fsp.model import Model
    from fsp.space import StateSpace


@dataclass(frozen=True, slots=True, eq=False)
class Jump:
    """All reactions with the same change: one entry for each source state.

    Parameters
    ----------
    change
        Copy numbers added, (n_species,).
    reactions
        Indices of the reactions.
    target
        Index of the state after the jump, -1 outside, (n,).
    """

    change: IntArray
    reactions: tuple[int, ...]
    target: IntArray
    time_dependent: bool


@dataclass(frozen=True, slots=True, eq=False)
class Leak:
    """The jumps of one kind that leave the space.

    Parameters
    ----------
    change
        Copy numbers added, (n_species,).
    reactions
        Indices of the reactions.
    sources
        Indices of the states that they leave from, (m,).
    rates
        Their rates, (m,), 1/time.
    """

    change: IntArray
    reactions: tuple[int, ...]
    sources: IntArray
    rates: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Assembly:
    """One CSR matrix of the generator's rows and, below them, the sinks' rows: (n + n_sinks, n)."""

    matrix: Any
    exit_rates: FloatArray
    sink_names: tuple[str, ...]
    leaks: tuple[Leak, ...]


class Generator:
    """The CME generator A on a space: ``dp/dt = A p``; `generator @ p` is the product.

    Parameters
    ----------
    model
        The reaction network.
    space
        The states.
    t
        Time at which propensities that depend on time are taken.

    Attributes
    ----------
    exit_rates : (n,) float array
        Full exit rate of each state, 1/time, jumps out of the space included.
    sinks : (n_sinks, n) sparse array
        Rates into each sink: `sinks @ p` is the probability flux out of the space, 1/time.
    sink_names : tuple of str
        The boundary that each sink stands for.

    Raises
    ------
    ModelError
        If a propensity is negative, not finite, or positive where a count would become negative.
    """

    def __init__(self, model: Model, space: StateSpace, t: float = 0.0) -> None:
        if space.species != model.species:
            raise StateSpaceError(
                f"The space must be of the model's species {model.species}, but is of {space.species}."
            )
        if not len(space):
            raise StateSpaceError("The space must have at least one state, but is empty.")
        self.model = model
        self.space = space
        self.t = t
        self._jumps = _jumps(model, space)
        self._assembly = self._assemble(t)
        if not model.is_time_dependent:
            self._jumps = ()

    def at(self, t: float) -> Generator:
        """Return the generator at time `t`: itself if no propensity depends on time."""
        if not self.model.is_time_dependent or t == self.t:
            return self
        other = object.__new__(Generator)
        other.model, other.space, other.t, other._jumps = self.model, self.space, t, self._jumps
        other._assembly = other._assemble(t)
        return other

    # ---- the operator -------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.space)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, n)."""
        return (len(self), len(self))

    @property
    def exit_rates(self) -> FloatArray:
        """Full exit rate of each state, (n,), 1/time."""
        return self._assembly.exit_rates

    @property
    def sink_names(self) -> tuple[str, ...]:
        """The boundary that each sink stands for."""
        return self._assembly.sink_names

    @property
    def leaks(self) -> tuple[Leak, ...]:
        """The jumps that leave the space, by kind."""
        return self._assembly.leaks

    @property
    def n_sinks(self) -> int:
        """Number of sinks; 0 where no jump leaves the space."""
        return len(self.sink_names)

    @property
    def nnz(self) -> int:
        """Number of stored entries, sinks included."""
        return int(self._assembly.matrix.nnz)

    @cached_property
    def sinks(self) -> Any:
        """Rates into each sink, (n_sinks, n) scipy sparse array, 1/time."""
        return self._assembly.matrix[len(self) :]

    @cached_property
    def leak_rates(self) -> FloatArray:
        """Rate of leaving the space from each state, (n,), 1/time."""
        return np.asarray(self.sinks.sum(axis=0)).ravel()

    @cached_property
    def row_length(self) -> int:
        """Largest number of entries in a row of A (a sink's row is longer, but what it sums is small)."""
        return int(np.diff(self._assembly.matrix.indptr[: len(self) + 1]).max())

    def __matmul__(self, p: FloatArray) -> FloatArray:
        """Return ``A p`` for a vector (n,) or the columns of an array (n, m)."""
        return np.asarray(self.to_csr() @ p)

    def to_csr(self) -> Any:
        """Return A as a scipy CSR array (n, n), sorted indices: ``A[i, j]`` is the rate of jumps j → i."""
        return self._square

    @cached_property
    def _square(self) -> Any:
        whole = self._assembly.matrix
        if not self.n_sinks:
            return whole
        indptr = whole.indptr[: len(self) + 1]
        return _csr(whole.data[: indptr[-1]], whole.indices[: indptr[-1]], indptr, self.shape)

    @cached_property
    def with_sinks(self) -> Any:
        """The generator of the closed chain whose last `n_sinks` states are the sinks: square CSR array."""
        whole = self._assembly.matrix
        n = whole.shape[0]
        return _csr(whole.data, whole.indices, whole.indptr, (n, n))

    # ---- assembly -----------------------------------------------------------------------------------------

    def _assemble(self, t: float) -> _Assembly:
        n, jumps = len(self), self._jumps
        rates = np.empty((len(jumps), n))
        for rate, jump in zip(rates, jumps, strict=True):
            rate[:] = self.model.propensity(jump.reactions[0], self.space.states, t)
            for k in jump.reactions[1:]:
                rate += self.model.propensity(k, self.space.states, t)
        exit_rates = rates.sum(axis=0)
        sinks = _Sinks(self.model, self.space)
        for jump, rate in zip(jumps, rates, strict=True):
            sinks.collect(jump, rate)
        leaks = sinks.matrix(n)
        keep = np.array([jump.time_dependent for jump in jumps], dtype=np.bool_)
        entries = [kernels.count_entries(j.target, r, k) for j, r, k in zip(jumps, rates, keep, strict=True)]
        n_inside = n + sum(entries)
        nnz = n_inside + leaks.nnz
        dtype = np.int32 if nnz < 2**31 and n + leaks.shape[0] < 2**31 else np.int64
        indptr, indices, values = np.zeros(n + leaks.shape[0] + 1, dtype), np.empty(nnz, dtype), np.empty(nnz)
        n_above = sum(tuple(jump.change) > (0,) * len(jump.change) for jump in jumps)
        targets = np.array([jump.target for jump in jumps]).reshape(len(jumps), n)
        kernels.fill_rows(targets, rates, keep, exit_rates, n_above, indptr, indices, values)
        indptr[n:] = n_inside + leaks.indptr
        indices[n_inside:], values[n_inside:] = leaks.indices, leaks.data
        matrix = _csr(values, indices, indptr, (n + leaks.shape[0], n))
        return _Assembly(matrix, exit_rates, sinks.names, tuple(sinks.leaks))


class _Sinks:
    """Collect the jumps that leave the space, by the boundary that they cross."""

    def __init__(self, model: Model, space: StateSpace) -> None:
        self._model = model
        self._space = space
        self._entries: dict[str, list[tuple[IntArray, FloatArray]]] = {}
        self.leaks: list[Leak] = []

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._entries)

    def collect(self, jump: Jump, rate: FloatArray) -> None:
        """Add the jumps out of the space, with their rates (n,)."""
        # Where the rate depends on time, what may leave at another time needs its sink now.
        leaving = np.flatnonzero((jump.target < 0) & ((rate > 0.0) | jump.time_dependent))
        targets = self._space.states[leaving] + jump.change
        leaving, targets = leaving[(targets >= 0).all(axis=1)], targets[(targets >= 0).all(axis=1)]
        if not len(leaving):
            return
        self.leaks.append(Leak(jump.change, jump.reactions, leaving, rate[leaving]))
        unassigned = np.ones(len(leaving), dtype=np.bool_)
        for constraint in self._space.constraints:
            broken = unassigned & ~constraint.holds(targets)
            self._add(constraint.label, leaving, rate, broken)
            unassigned &= ~broken
        names = [self._model.reactions[k].name for k in jump.reactions]
        self._add("reaction " + ", ".join(map(str, names)), leaving, rate, unassigned)

    def _add(self, name: str, leaving: IntArray, rate: FloatArray, chosen: BoolArray) -> None:
        if chosen.any():
            self._entries.setdefault(name, []).append((leaving[chosen], rate[leaving[chosen]]))

    def matrix(self, n: int) -> Any:
        rows = [np.full(len(i), k) for k, parts in enumerate(self._entries.values()) for i, _ in parts]
        columns = [i for parts in self._entries.values() for i, _ in parts]
        values = [v for parts in self._entries.values() for _, v in parts]
        if not rows:
            return sparse.csr_array((0, n))
        triplets = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
        return sparse.coo_array(triplets, shape=(len(self._entries), n)).tocsr()


def _jumps(model: Model, space: StateSpace) -> tuple[Jump, ...]:
    """Group the reactions by change, in falling lexicographic order; changes of zero do nothing."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for k, change in enumerate(model.change.tolist()):
        if any(change):
            groups.setdefault(tuple(change), []).append(k)
    ordered = sorted(groups, reverse=True)
    return tuple(
        Jump(
            np.array(change),
            tuple(groups[change]),
            space.locate_shifted(np.array(change)),
            bool(model.time_dependent[groups[change]].any()),
        )
        for change in ordered
    )


def _csr(data: FloatArray, indices: IntArray, indptr: IntArray, shape: tuple[int, int]) -> Any:
    matrix = sparse.csr_array((data, indices, indptr), shape=shape)
    matrix.has_sorted_indices = True
    return matrix
