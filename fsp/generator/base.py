"""What the generators of one process and of many ranks have in common: products, and what leaves the space."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fsp.errors import StateSpaceError

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.generator.matrices import Rows
    from fsp.generator.operator import Operator
    from fsp.generator.rate_errors import RateErrors
    from fsp.generator.sinks import Leak, Sinks
    from fsp.model import Model
    from fsp.model.tree import Expression
    from fsp.space.base import BaseSpace


# Any Λ of at least all exit rates serves as one (uniformization).  1/Λ and 2Λ are normal doubles from here on: of rates
# near the least double they overflow, and probabilities become nan.
LEAST_RATE = 2.0**-1020


def invertible(rate: float) -> float:
    """Return a rate, 1/time, or `LEAST_RATE` in place of one that is lower; 0 stays 0."""
    return max(rate, LEAST_RATE) if rate > 0.0 else rate


class InTime(ABC):
    """How a generator depends on time, and the generators of other times and parts that are made of it."""

    is_constant: bool
    """Whether no propensity depends on time."""
    clocks: tuple[Expression, ...]
    """The functions of time clock_l, as trees; the first is one."""

    @property
    @abstractmethod
    def is_scalable(self) -> bool:
        """Whether ``A(t) = Σ_l clock_l(t) A_l`` with constant A_l."""

    @abstractmethod
    def at(self, t: float) -> Self:
        """Return the generator at time `t`: itself if no propensity depends on time."""

    @abstractmethod
    def held(self, values: FloatArray) -> Self:
        """Return ``Σ_l values[l] A_l``, (n_clocks,), at all times: for piecewise-constant rates."""

    @abstractmethod
    def part(self, index: int) -> Self:
        """Return A_l, the part of the generator that one clock multiplies."""

    @abstractmethod
    def with_clocks(self, values: FloatArray) -> Self:
        """Return ``Σ_l values[l] A_l``, (n_clocks,)."""

    @abstractmethod
    def is_near(self, other: Self, tolerance: float) -> bool:
        """Return whether the clocks of another generator of the family are within a relative tolerance of these."""


class BaseGenerator(InTime):
    """A generator, whose vectors are those of this process's own states, (n,)."""

    model: Model
    space: BaseSpace
    t: float

    __array_ufunc__ = None  # numpy leaves `array @ generator` to us, and we do not define it

    def __len__(self) -> int:
        """Return the number of states of the space."""
        return len(self.space)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, n)."""
        return (len(self), len(self))

    def __matmul__(self, p: FloatArray) -> FloatArray:
        """Return ``A p`` for a vector (n,) or the columns of an array (n, m)."""
        return self.operator.apply(p)

    @property
    def nbytes(self) -> int:
        """Bytes that the operator takes in this process."""
        return self.operator.nbytes

    @property
    @abstractmethod
    def operator(self) -> Operator:
        """The closed chain, sinks after own states."""

    @property
    @abstractmethod
    def T(self) -> Operator:  # noqa: N802 - the transpose, as numpy and scipy call it
        """The adjoint."""

    # ---- rates, and what leaves the space -----------------------------------------------------------------

    @property
    @abstractmethod
    def largest_exit_rate(self) -> float:
        """Largest exit rate of all states, 1/time; of rates below `LEAST_RATE`, that one."""

    @property
    @abstractmethod
    def work(self) -> int:
        """Multiply-adds of one product, in all processes."""

    @property
    @abstractmethod
    def roundings(self) -> float:
        """Most rounded operations behind one entry of a product, with those that its rates stand for."""

    @property
    @abstractmethod
    def rate_errors(self) -> RateErrors:
        """How far rates may be from the exact ones, on any process."""

    @abstractmethod
    def misjudged(self, start: float, end: float) -> float:
        """Bound the integral of ``2 Σ |error of a rate|`` out of any state, but for what `roundings` covers."""

    @property
    @abstractmethod
    def exit_rates(self) -> FloatArray:
        """Full exit rate of each own state, (n,), 1/time."""

    @property
    @abstractmethod
    def ways_out(self) -> Sinks:
        """The jumps that leave the space from own states, with the sink that each goes to."""

    @property
    def leaks(self) -> tuple[Leak, ...]:
        """The jumps that leave the space, by kind."""
        return self.ways_out.leaks

    @cached_property
    def leak_rates(self) -> FloatArray:
        """Rate of leaving the space from each state, (n,), 1/time."""
        rates = np.zeros(self.ways_out.n)
        for leak in self.leaks:
            rates[leak.sources] += leak.rates
        return rates

    @cached_property
    def sinks(self) -> Any:
        """Rates into each sink, (n_sinks, n) scipy sparse array, 1/time."""
        return self.sink_rows.csr()

    @cached_property
    def sink_rows(self) -> Rows:
        """The rows of `sinks`."""
        return self.ways_out.matrix()

    @property
    def sink_names(self) -> tuple[str, ...]:
        """The boundary that each sink stands for."""
        return self.ways_out.names

    @property
    def n_sinks(self) -> int:
        """Number of sinks; 0 where no jump leaves the space."""
        return len(self.sink_names)


def check_space(model: Model, space: BaseSpace) -> None:
    """Raise a StateSpaceError unless a space holds states of the model."""
    if space.species != model.species:
        raise StateSpaceError(f"The space must be of the model's species {model.species}, but is of {space.species}.")
    if not len(space):
        raise StateSpaceError("The space must have at least one state, but is empty.")
