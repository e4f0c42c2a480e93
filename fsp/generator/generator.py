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

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.errors import BackendError
from fsp.generator import entry_kernels
from fsp.generator.base import BaseGenerator, check_space, invertible
from fsp.generator.family import Family
from fsp.generator.matrices import Rows, assemble, n_pairs, without_zeros
from fsp.generator.operator import Operator
from fsp.generator.plan import weighted, without_zero_groups
from fsp.generator.slices import are_rows_faster, in_best_mode, scaled, slices_of

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.generator.base import BaseGenerator
    from fsp.generator.kernels import Plan, Slices
    from fsp.generator.rate_errors import RateErrors
    from fsp.generator.sinks import Sinks
    from fsp.model import Model
    from fsp.space import StateSpace

MANY_STATES = 5_000_000  # whose exit rates are not kept for their maximum alone


class _Matrices(BaseGenerator):
    """The matrices of a generator."""

    _family: Family
    _weights: FloatArray
    _part: int | None  # which one this is: most rates of a part are zero, and its matrix leaves them out
    plans: tuple[Plan, Plan]

    @property
    def nnz(self) -> int:
        """Number of entries, sinks included."""
        return len(self.rows.data) + len(self.sink_rows.data)

    @cached_property
    def with_sinks(self) -> Any:
        """The generator of the closed chain whose last `n_sinks` states are the sinks: square CSR array."""
        return self.closed.csr()

    @cached_property
    def closed(self) -> Rows:
        """The rows of `with_sinks`."""
        square, sinks = self.rows, self.sink_rows
        n = len(self) + self.n_sinks
        pattern = self._family.closed_pattern if self._is_sum else None
        if pattern is None:
            dtype = square.indices.dtype
            starts = np.concatenate([square.indptr, square.indptr[-1] + sinks.indptr[1:]]).astype(dtype)
            pattern = np.concatenate([square.indices, sinks.indices.astype(dtype)]), starts
            if self._is_sum:  # the same for all sums of the family
                self._family.closed_pattern = pattern
        indices, indptr = pattern
        return Rows(np.concatenate([square.data, sinks.data]), indices, indptr, (n, n))

    def to_csr(self) -> Any:
        """Return A as a scipy CSR array (n, n), sorted indices: ``A[i, j]`` is the rate of jumps j → i."""
        return self._matrix

    @cached_property
    def _matrix(self) -> Any:
        return self.rows.csr()

    @cached_property
    def rows(self) -> Rows:
        """The rows of `to_csr`."""
        return self.assembled()

    def to_coo(self) -> tuple[IntArray, IntArray, FloatArray]:
        """Return rows, columns and values of the entries of A, (nnz,) each, row by row.

        They are what ``PETSc.Mat.setPreallocationCOO`` and ``setValuesCOO`` take.
        """
        matrix = self.rows
        return matrix.places(), matrix.indices, matrix.data

    @property
    def _is_held(self) -> bool:
        """Whether functions of time are taken for constants."""
        return self.is_constant and self.model.is_time_dependent

    @property
    def _is_sum(self) -> bool:
        """Whether this is one of many sums of the same parts, which are therefore kept."""
        return self._family.in_parts and self._part is None and not self._is_held

    def assembled(self) -> Rows:
        """Return the rows of what `to_csr` returns, made anew and not kept."""
        if self._part is not None and self._family.in_parts:
            return without_zeros(self._family.row_parts[self._part])
        if self._is_sum:
            first, *others = self._family.row_parts
            values = self._weights[0] * first.data
            for weight, part in zip(self._weights[1:], others, strict=True):
                values += weight * part.data
            return first._replace(data=values)
        keep_zeros = np.zeros_like(self._family.jumps.timed) if self._is_held else self._family.jumps.timed
        return assemble(self.plans[0], keep_zeros, self._family.jumps.n_above, self.exit_rates)


class Generator(_Matrices):
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

    Examples
    --------
    >>> model = fsp.Model(species={"A": 2, "B": 0}, reactions=[fsp.Reaction("A -> B", mass_action=1.0)])
    >>> generator = fsp.Generator(model, fsp.StateSpace.reachable(model))
    >>> generator @ [0.0, 0.0, 1.0]  # dp/dt
    array([ 0.,  2., -2.])
    """

    space: StateSpace

    def __init__(self, model: Model, space: StateSpace, t: float = 0.0) -> None:
        check_space(model, space)
        family = Family(model, space, t)
        self._take(family, family.clocks.values(t), t)

    def at(self, t: float) -> Generator:
        """Return the generator at time `t`: itself if no propensity depends on time."""
        if self.is_constant or t == self.t:
            return self
        weights = self._family.clocks.values(t)
        if not self.is_scalable or not (np.isfinite(weights).all() and (weights >= 0.0).all()):
            return Generator(self.model, self.space, t)  # refuses rates that are negative or not finite
        return self._weighted(weights, t)

    def held(self, values: FloatArray) -> Generator:
        """Return ``Σ_l values[l] A_l``, (n_clocks,), at all times: for piecewise-constant rates."""
        held = self.with_clocks(values)
        held.is_constant = True
        return held

    @property
    def is_scalable(self) -> bool:
        """Whether ``A(t) = Σ_l clock_l(t) A_l`` with constant A_l: every rate is a sum of time times state."""
        return self._family.clocks.scalable

    def part(self, index: int) -> Generator:
        """Return A_l, the part of the generator that one clock multiplies, with its sinks and exit rates."""
        weights = np.zeros(len(self.clocks))
        weights[index] = 1.0
        part = self.with_clocks(weights)
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
        other._take(self._family, weights, t)
        return other

    def _take(self, family: Family, weights: FloatArray, t: float) -> None:
        self.model, self.space, self.t = family.model, family.space, t
        self.is_constant = not family.model.is_time_dependent
        self.clocks = family.clocks.trees
        self.plans = (
            weighted(family.forward, family.clocks, weights),
            weighted(family.adjoint, family.clocks, weights),
        )
        self._family, self._weights = family, weights
        self._part = None

    # ---- the operator -------------------------------------------------------------------------------------

    @cached_property
    def T(self) -> Operator:  # noqa: N802 - the transpose, as numpy and scipy call it
        """The adjoint: ``generator.T @ f`` is ``Aᵀ f``, the rate of change of the mean of f from each state."""
        compact = slices_of(self.plans[1])
        return Operator(in_best_mode(compact), compact=compact)

    @cached_property
    def operator(self) -> Operator:
        """The closed chain, sinks as states of their own, in the order and form in which products are fastest."""
        family = self._family
        if family.by_rows is None:  # the same at all times
            family.by_rows = are_rows_faster(family.ordered[0])
        if family.by_rows:
            return Operator.of_rows(self.closed, len(self))
        compact = self._slices
        return Operator(in_best_mode(compact), family.longest.order, compact=compact)

    @property
    def _slices(self) -> Slices:
        """The slices of the closed chain, rates in scalars and tables."""
        family, order = self._family, self._family.longest.order
        sinks = self.ways_out.matrix(order) if self.n_sinks else None
        if self._part is not None:
            return slices_of(without_zero_groups(weighted(*family.ordered, self._weights)), sinks=sinks)
        return scaled(family.slices, self._weights if family.in_parts else np.ones(1), sinks)

    # ---- rates --------------------------------------------------------------------------------------------

    @cached_property
    def exit_rates(self) -> FloatArray:
        """Full exit rate of each state, (n,), 1/time."""
        if self._is_sum:
            rates: FloatArray = self._weights @ self._family.exit_parts
            return rates
        rates = np.empty(len(self))
        entry_kernels.exit_rates(self.plans[0], rates)
        return rates

    @cached_property
    def largest_exit_rate(self) -> float:
        """Largest exit rate, 1/time."""
        if len(self) < MANY_STATES:
            return invertible(float(self.exit_rates.max()))
        return invertible(float(entry_kernels.exit_rates(self.plans[0], np.empty(0))))

    @cached_property
    def ways_out(self) -> Sinks:
        """The jumps that leave the space, with the sink that each goes to."""
        return self._family.sinks_of(self._weights)

    # ---- what a product costs -----------------------------------------------------------------------------

    @cached_property
    def work(self) -> int:
        """Multiply-adds of one product, sinks included."""
        plan = self.plans[0]
        return len(self) + n_pairs(plan, 0, len(plan.keys)) + self.ways_out.n_jumps

    @cached_property
    def roundings(self) -> float:
        """Most rounded operations behind one entry of a product, with those that its rates stand for.

        A relative error δ of all rates changes ``A y`` by at most 2δ Σ_x a(x) |y(x)|.
        """
        return self.operations + 2.0 * self.rate_errors.relative / UNIT_ROUNDOFF

    @cached_property
    def operations(self) -> int:
        """Most rounded operations behind one entry of a product, for given tables of rates."""
        plan = self.plans[0]
        first, end = plan.products.T  # of the factors of each product
        return len(plan.scales) + int((end - first).max(initial=0)) + 3

    @property
    def rate_errors(self) -> RateErrors:
        """How far rates may be from the exact ones."""
        return self._family.errors

    def misjudged(self, start: float, end: float) -> float:
        """Bound the integral of ``2 Σ |error of a rate|`` out of any state, but for what `roundings` covers."""
        return self.rate_errors.charge(self.clocks, self._weights if self._is_held else None, start, end)


def in_one_process(generator: BaseGenerator) -> Generator:
    """Return a generator of one process as what it is, for those who need its matrix; refuse one on ranks."""
    if not isinstance(generator, Generator):
        raise BackendError(f"`generator` must be of one process to have a matrix, but is {generator!r}.")
    return generator
