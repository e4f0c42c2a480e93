"""The decorator of kernels, and the names of the types of their parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

from fsp.compilation import parts

# What an annotation means is numba's name of a type: arrays are contiguous, rows first.
I8: TypeAlias = Annotated[Any, "i8"]
F8: TypeAlias = Annotated[Any, "f8"]
U8: TypeAlias = Annotated[Any, "u8"]
B1: TypeAlias = Annotated[Any, "b1"]
Bools: TypeAlias = Annotated[Any, "b1[::1]"]
Bools2: TypeAlias = Annotated[Any, "b1[:, ::1]"]
Floats: TypeAlias = Annotated[Any, "f8[::1]"]
Floats2: TypeAlias = Annotated[Any, "f8[:, ::1]"]
Floats3: TypeAlias = Annotated[Any, "f8[:, :, ::1]"]
Ints: TypeAlias = Annotated[Any, "i8[::1]"]
Ints2: TypeAlias = Annotated[Any, "i8[:, ::1]"]
Ints3: TypeAlias = Annotated[Any, "i8[:, :, ::1]"]
Words: TypeAlias = Annotated[Any, "u8[::1]"]
Shorts: TypeAlias = Annotated[Any, "i2[::1]"]
Shorts2: TypeAlias = Annotated[Any, "i2[:, ::1]"]
Int32s: TypeAlias = Annotated[Any, "i4[::1]"]
Int32s2: TypeAlias = Annotated[Any, "i4[:, ::1]"]
# Of 32 bits or of 64, all of one call the same: the kernel is compiled for both.
Indices: TypeAlias = Annotated[Any, "index[::1]"]
Indices2: TypeAlias = Annotated[Any, "index[:, ::1]"]
# Real or complex, all of one call the same.
Numbers: TypeAlias = Annotated[Any, "number[::1]"]
Numbers2: TypeAlias = Annotated[Any, "number[:, ::1]"]
Sums: TypeAlias = Annotated[Any, "UniTuple(f8, 3)"]


class Kernel:
    """A compiled function, loaded when it is first called; `function` is what it was compiled from."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self._defaults: tuple[Any, ...] = function.__defaults__ or ()
        self._n = function.__code__.co_argcount
        self._compiled: Callable[..., Any] | None = None
        self.__doc__ = function.__doc__

    @property
    def name(self) -> str:
        """Name in the compiled object."""
        return f"{self.function.__module__}.{self.function.__qualname__}"

    def __call__(self, *args: Any) -> Any:
        """Call the compiled function; what it does not take is a `TypeError` that names the types."""
        if self._compiled is None:
            from fsp.compilation.loading import load

            self._compiled = load(self.name)
        if len(args) < self._n:
            args += self._defaults[len(args) - self._n :]
        return self._compiled(*args)


def kernel(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Mark a function as a kernel, compiled with numba's `options`; ``noalias=True`` says that no two arrays overlap.

    Annotations of all its parameters, by the names above or named tuples of them, make it one that Python calls, and
    that other kernels call as it is.  A kernel without annotations is compiled into those that call it.

    Kernels keep to the part of Python that numba compiles, and raise nothing: where memory runs out, or arrays do not
    fit together, Python gets a `MemoryError`.  Arrays that one returns are copied.

    Examples
    --------
    >>> @kernel()
    ... def clip(z: Floats):
    ...     for i in range(len(z)):
    ...         z[i] = max(z[i], 0.0)
    """

    def mark(function: Callable[..., Any]) -> Any:
        return Kernel(function) if parts.compiler is None else parts.compiler(function, options)

    return mark
