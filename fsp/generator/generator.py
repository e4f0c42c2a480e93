"""The sparse generator of the chemical master equation on a finite space.

For every reaction r, change ν_r, propensity a_r::

    dP(x)/dt = Σ_r a_r(x - ν_r) P(x - ν_r)  -  Σ_r a_r(x) P(x)
               gain                            loss

The diagonal is minus the full exit rate Σ_r a_r(x) of the untruncated chain; what leaves the space is counted
in sinks, one for each boundary: the constraint that the target breaks first, or, where it breaks none, the jump
that leads out.  The columns of generator and sinks together sum to zero.

The operator is kept as runs of states and tables of rates (see `fsp.generator.kernels`); matrices are made from it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.errors import StateSpaceError
from fsp.generator import entry_kernels, kernels
from fsp.generator.layout import Layout, longest_runs, natural
from fsp.generator.operator import Operator, RowOperator, RunOperator
from fsp.generator.plan import Clocks, RateErrors, build, jumps_of, shape_of, weighted, without_zeros
from fsp.generator.sinks import Sinks, find_sinks, parts_of
from fsp.generator.slices import scaled, slices_of
from fsp.model.taylor import constant

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, FloatArray, IntArray
    from fsp.generator.kernels import Plan
    from fsp.generator.sinks import Leak
    from fsp.generator.slices import Slices
    from fsp.model import Model
    from fsp.model.tree import Expression
    from fsp.space import StateSpace

RUN_STATES = 8_000  # below, rows are faster
SHORT = 6.0  # mean length of a run below which they are as well
MANY_STATES = 5_000_000  # whose exit rates are not kept for their maximum alone
LONG = 32.0  # mean length of a run for which a pass over all slices is worth compiling for one kind of network


class _Family:
    """What the generators of one network and one space have in common at all times.

    Parameters
    ----------
    model, space
        As in `Generator`.
    t
        Time at which rates are taken that are not a sum of functions of time times functions of the state.
    """

    def __init__(self, model: Model, space: StateSpace, t: float) -> None:
        self.model = model
        self.layout = natural(space.fitted(model))
        self.jumps = jumps_of(model)
        self._t = t
        self.forward, self.adjoint, self.clocks, self.errors = build(model, self.layout, self.jumps, t)
        self.sinks = find_sinks(model, space, self.jumps, self.adjoint)
        self.closed_pattern: tuple[Any, Any] | None = None  # indices and indptr of `with_sinks`

    @cached_property
    def longest(self) -> Layout:
        """The layout with the longest runs."""
        return longest_runs(self.layout.space)

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
        shape = shape_of(plan) if self.longest.mean_length >= LONG else ()
        units = np.eye(len(clocks.trees)) if self.in_parts else clocks.values(self._t)[None]
        return [slices_of(weighted(plan, clocks, unit), shape) for unit in units]

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
    def row_parts(self) -> list[Any]:
        """The part of the matrix that each clock multiplies, as CSR arrays of one pattern."""
        every = np.ones_like(self.jumps.timed)
        first = assemble(self.forward, every, self.jumps.n_above, self.exit_parts.sum(axis=0))
        parts = []
        for index, exits in enumerate(self.exit_parts):
            values = np.empty_like(first.data)
            entry_kernels.fill_rows(
                self.plan_of(index), every, self.jumps.n_above, exits, first.indptr.copy(), first.indices, values
            )
            parts.append(_csr(values, first.indices, first.indptr, first.shape))
        return parts

    def sinks_of(self, weights: FloatArray) -> Sinks:
        """Return the sinks where the clocks have the values `weights`, (n_clocks,)."""
        if (weights == 1.0).all() or not self.sinks.leaks:
            return self.sinks
        return self.sinks.weighted(self.sink_parts, weights)


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

    _part: int | None = None  # which one this is: most rates of a part are zero, and its matrix leaves them out
    _held = False

    __array_ufunc__ = None  # numpy leaves `array @ generator` to us, and we do not define it

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
        self._family = _Family(model, space, t)
        self._take(self._family.clocks.values(t))

    def at(self, t: float) -> Generator:
        """Return the generator at time `t`: itself if no propensity depends on time."""
        if self.is_constant or t == self.t:
            return self
        weights = self._family.clocks.values(t)
        if not self.is_scalable or not (np.isfinite(weights).all() and (weights >= 0.0).all()):
            return Generator(self.model, self.space, t)  # refuses rates that are negative or not finite
        return self._weighted(weights, t)

    @property
    def is_constant(self) -> bool:
        """Whether no propensity depends on time."""
        return self._held or not self.model.is_time_dependent

    def held(self, values: FloatArray) -> Generator:
        """Return ``Σ_l values[l] A_l``, (n_clocks,), at all times: where the functions of time stay as they are."""
        held = self._weighted(np.asarray(values, dtype=np.float64), self.t)
        held._held = True
        return held

    @property
    def is_scalable(self) -> bool:
        """Whether ``A(t) = Σ_l clock_l(t) A_l`` with constant A_l: every rate is a sum of time times state."""
        return self._family.clocks.scalable

    @property
    def clocks(self) -> tuple[Expression, ...]:
        """The functions of time clock_l, as trees; the first is one."""
        return self._family.clocks.trees

    def part(self, index: int) -> Generator:
        """Return A_l, the part of the generator that one clock multiplies, with its sinks and exit rates."""
        weights = np.zeros(len(self.clocks))
        weights[index] = 1.0
        part = self._weighted(weights, self.t)
        part._part = index
        return part

    def is_near(self, other: Generator, tolerance: float) -> bool:
        """Return whether the clocks of another generator of the family are within a relative tolerance of these."""
        if self._family is not other._family:
            return False
        return bool(np.allclose(self._weights, other._weights, rtol=tolerance, atol=0.0))

    def with_clocks(self, values: FloatArray) -> Generator:
        """Return ``Σ_l values[l] A_l``, (n_clocks,), with its sinks and exit rates."""
        return self._weighted(np.asarray(values, dtype=np.float64), self.t)

    def _weighted(self, weights: FloatArray, t: float) -> Generator:
        """Return the generator whose clocks have the values `weights`, (n_clocks,)."""
        other = object.__new__(Generator)
        other.model, other.space, other.t, other._family = self.model, self.space, t, self._family
        other._take(weights)
        return other

    def _take(self, weights: FloatArray) -> None:
        family = self._family
        self._weights, self._jumps = weights, family.jumps
        self._forward = weighted(family.forward, family.clocks, weights)
        self._adjoint = weighted(family.adjoint, family.clocks, weights)
        self._sinks = family.sinks_of(weights)

    # ---- the operator -------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.space)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, n)."""
        return (len(self), len(self))

    def __matmul__(self, p: FloatArray) -> FloatArray:
        """Return ``A p`` for a vector (n,) or the columns of an array (n, m)."""
        return self.operator.apply(p)

    @cached_property
    def T(self) -> Operator:  # noqa: N802 - the transpose, as numpy and scipy call it
        """The adjoint: ``generator.T @ f`` is ``Aᵀ f``, the rate of change of the mean of f from each state."""
        long = len(self) >= RUN_STATES and self._family.layout.mean_length >= LONG
        return RunOperator(slices_of(self._adjoint, shape_of(self._adjoint) if long else ()))

    @cached_property
    def operator(self) -> Operator:
        """The closed chain, sinks as states of their own, in the order and form in which products are fastest."""
        if len(self) < RUN_STATES:
            return RowOperator(self.with_sinks, len(self))
        family, order = self._family, self._family.longest.order
        if family.longest.mean_length < SHORT:
            return RowOperator(self.with_sinks, len(self))
        sinks = self.sinks if order is None else self.sinks[:, order].tocsr()
        if self._part is not None:
            return RunOperator(slices_of(without_zeros(weighted(*family.ordered, self._weights)), (), sinks), order)
        weights = self._weights if family.in_parts else np.ones(1)
        return RunOperator(scaled(family.slices, weights, sinks), order)

    # ---- rates --------------------------------------------------------------------------------------------

    @cached_property
    def exit_rates(self) -> FloatArray:
        """Full exit rate of each state, (n,), 1/time."""
        if self._is_sum:
            rates: FloatArray = self._weights @ self._family.exit_parts
            return rates
        rates = np.empty(len(self))
        entry_kernels.exit_rates(self._forward, rates)
        return rates

    @cached_property
    def largest_exit_rate(self) -> float:
        """Largest exit rate, 1/time."""
        if len(self) < MANY_STATES:
            return float(self.exit_rates.max())
        return float(entry_kernels.exit_rates(self._forward, np.empty(0)))

    @property
    def plans(self) -> tuple[Plan, Plan]:
        """The plans of the operator and of its adjoint on the runs of the space, which may be cut into pieces."""
        return self._forward, self._adjoint

    @property
    def ways_out(self) -> Sinks:
        """The jumps that leave the space, with the sink that each goes to."""
        return self._sinks

    @cached_property
    def sinks(self) -> Any:
        """Rates into each sink, (n_sinks, n) scipy sparse array, 1/time."""
        return self._sinks.matrix()

    @property
    def sink_names(self) -> tuple[str, ...]:
        """The boundary that each sink stands for."""
        return self._sinks.names

    @property
    def n_sinks(self) -> int:
        """Number of sinks; 0 where no jump leaves the space."""
        return len(self.sink_names)

    @property
    def leaks(self) -> tuple[Leak, ...]:
        """The jumps that leave the space, by kind."""
        return self._sinks.leaks

    @cached_property
    def leak_rates(self) -> FloatArray:
        """Rate of leaving the space from each state, (n,), 1/time."""
        rates = np.zeros(len(self))
        for leak in self.leaks:
            rates[leak.sources] += leak.rates
        return rates

    # ---- what a product costs -----------------------------------------------------------------------------

    @cached_property
    def work(self) -> int:
        """Multiply-adds of one product, sinks included."""
        if len(self) < RUN_STATES:
            return self.nnz
        plan = self._forward
        return len(self) + n_pairs(plan, 0, len(plan.keys)) + int(self.sinks.nnz)

    @cached_property
    def roundings(self) -> float:
        """Most rounded operations behind one entry of a product, with those that its rates stand for.

        A relative error δ of all rates changes ``A y`` by at most 2δ Σ_x a(x) |y(x)|.
        """
        return self.operations + 2.0 * self.rate_errors.relative / UNIT_ROUNDOFF

    @cached_property
    def operations(self) -> int:
        """Most rounded operations behind one entry of a product, for given tables of rates."""
        first, end = self._forward.products.T
        return len(self._forward.scales) + int((end - first).max(initial=0)) + 3

    @property
    def rate_errors(self) -> RateErrors:
        """How far rates may be from the exact ones."""
        return self._family.errors

    def misjudged(self, start: float, end: float) -> float:
        """Bound the integral of ``2 Σ |error of a rate|`` out of any state, but for what `roundings` covers."""
        total = 0.0
        for index, error in enumerate(self.rate_errors.absolute.tolist()):
            if error:
                total += error * (1.0 if index == 0 else self._largest(index, start, end))
        return 2.0 * total * (end - start)

    def _largest(self, index: int, start: float, end: float) -> float:
        """Bound a clock on a stretch of time."""
        if self._held:
            return float(self._weights[index])
        found = constant(self.clocks[index], start, end)
        return np.inf if found is None else abs(found.coefficients[0]) + found.remainder

    @property
    def nbytes(self) -> int:
        """Bytes that the operator takes."""
        return self.operator.nbytes

    # ---- matrices -----------------------------------------------------------------------------------------

    @property
    def nnz(self) -> int:
        """Number of entries, sinks included."""
        return int(self.to_csr().nnz + self.sinks.nnz)

    @cached_property
    def with_sinks(self) -> Any:
        """The generator of the closed chain whose last `n_sinks` states are the sinks: square CSR array."""
        square, sinks = self.to_csr(), self.sinks
        n = len(self) + self.n_sinks
        pattern = self._family.closed_pattern if self._is_sum else None
        if pattern is None:
            dtype = square.indices.dtype
            starts = np.concatenate([square.indptr, square.indptr[-1] + sinks.indptr[1:]]).astype(dtype)
            pattern = np.concatenate([square.indices, sinks.indices.astype(dtype)]), starts
            if self._is_sum:  # the same for all sums of the family
                self._family.closed_pattern = pattern
        indices, indptr = pattern
        return _csr(np.concatenate([square.data, sinks.data]), indices, indptr, (n, n))

    def to_csr(self) -> Any:
        """Return A as a scipy CSR array (n, n), sorted indices: ``A[i, j]`` is the rate of jumps j → i."""
        return self._matrix

    @cached_property
    def _matrix(self) -> Any:
        return self.assembled()

    def to_coo(self) -> tuple[IntArray, IntArray, FloatArray]:
        """Return rows, columns and values of the entries of A, (nnz,) each, row by row.

        They are what ``PETSc.Mat.setPreallocationCOO`` and ``setValuesCOO`` take.
        """
        matrix = self.to_csr()
        rows = np.repeat(np.arange(len(self), dtype=matrix.indices.dtype), np.diff(matrix.indptr))
        return rows, matrix.indices, matrix.data

    @property
    def _is_sum(self) -> bool:
        """Whether this is one of many sums of the same parts, which are therefore kept."""
        return self._family.in_parts and self._part is None and not self._held

    def assembled(self) -> Any:
        """Return what `to_csr` returns, made anew and not kept."""
        if self._part is not None and self._family.in_parts:
            return _without_zeros(self._family.row_parts[self._part])
        if self._is_sum:
            first, *others = self._family.row_parts
            values = self._weights[0] * first.data
            for weight, part in zip(self._weights[1:], others, strict=True):
                values += weight * part.data
            return _csr(values, first.indices, first.indptr, self.shape)
        keep_zeros = np.zeros_like(self._jumps.timed) if self._held else self._jumps.timed
        return assemble(self._forward, keep_zeros, self._jumps.n_above, self.exit_rates)


def n_pairs(plan: Plan, first: int, end: int) -> int:
    """Return the number of jumps within the space whose targets are states of the runs first..end."""
    return sum(
        int(kernels.overlap(plan.keys, plan.starts, plan.shifts, c, first, end)) for c in range(len(plan.shifts))
    )


def assemble(plan: Plan, keep_zeros: BoolArray, n_above: int, exits: FloatArray) -> Any:
    """Return the CSR array (n, n) of a plan; entries of rate zero stay where the jump is one of `keep_zeros`."""
    n = len(exits)
    most = n + n_pairs(plan, 0, len(plan.keys))
    dtype = np.int32 if most < 2**31 else np.int64
    indptr, indices, values = np.zeros(n + 1, dtype), np.empty(most, dtype), np.empty(most)
    nnz = int(entry_kernels.fill_rows(plan, keep_zeros, n_above, exits, indptr, indices, values))
    return _csr(values[:nnz], indices[:nnz], indptr, (n, n))


def _without_zeros(matrix: Any) -> Any:
    """Return a CSR array without the entries that are zero."""
    kept = matrix.data != 0.0
    before = np.concatenate([[0], np.cumsum(kept)])
    indptr = before[matrix.indptr].astype(matrix.indptr.dtype)
    return _csr(matrix.data[kept], matrix.indices[kept], indptr, matrix.shape)


def _csr(data: Any, indices: Any, indptr: Any, shape: tuple[int, int]) -> Any:
    matrix = sparse.csr_array((data, indices, indptr), shape=shape)
    matrix.has_sorted_indices = True
    return matrix
