"""What the loop, the solvers and growth use of a generator, whether one process holds it or many ranks do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.generator.operator import Operator
    from fsp.generator.rate_errors import RateErrors
    from fsp.generator.sinks import Leak
    from fsp.model import Model
    from fsp.model.tree import Expression
    from fsp.space.protocol import AnySpace


class InTime(Protocol):
    """How a generator depends on time, and the generators of other times and parts that are made of it."""

    @property
    def is_constant(self) -> bool: ...

    @property
    def is_scalable(self) -> bool: ...

    @property
    def clocks(self) -> tuple[Expression, ...]: ...

    def at(self, t: float) -> Self: ...

    def held(self, values: FloatArray) -> Self: ...

    def part(self, index: int) -> Self: ...

    def with_clocks(self, values: FloatArray) -> Self: ...

    def is_near(self, other: Self, tolerance: float) -> bool: ...


class AnyGenerator(InTime, Protocol):
    """A `fsp.Generator` or a `fsp.petsc.Generator`.

    Vectors, and the sources of leaks, are those of this process's own states, (n,); single numbers are of all states.
    """

    @property
    def model(self) -> Model: ...

    @property
    def space(self) -> AnySpace: ...

    @property
    def t(self) -> float: ...

    # ---- products

    def __len__(self) -> int: ...

    def __matmul__(self, p: FloatArray) -> FloatArray: ...

    @property
    def T(self) -> Operator: ...  # noqa: N802 - as numpy and scipy call it

    @property
    def operator(self) -> Operator: ...

    @property
    def work(self) -> int: ...

    @property
    def roundings(self) -> float: ...

    @property
    def nbytes(self) -> int: ...

    # ---- rates, and what leaves the space

    @property
    def exit_rates(self) -> FloatArray: ...

    @property
    def largest_exit_rate(self) -> float: ...

    @property
    def rate_errors(self) -> RateErrors: ...

    def misjudged(self, start: float, end: float) -> float: ...

    @property
    def leaks(self) -> tuple[Leak, ...]: ...

    @property
    def leak_rates(self) -> FloatArray: ...

    @property
    def sinks(self) -> Any: ...

    @property
    def sink_names(self) -> tuple[str, ...]: ...

    @property
    def n_sinks(self) -> int: ...
