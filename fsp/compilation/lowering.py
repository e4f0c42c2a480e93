"""What numba makes of `fsp.compilation.lanes`: LLVM's vectors, for the build alone."""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model, type_callable

from fsp.compilation import lanes

VECTOR = ir.VectorType(ir.DoubleType(), lanes.LANES)
PLACES = ir.VectorType(ir.IntType(64), lanes.LANES)
POINTER, INT = cgutils.voidptr_t, ir.IntType(32)  # of LLVM


class Lanes(types.Type):  # type: ignore[misc]
    """Numba's type of what a vector register holds."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


LANES = Lanes()


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, VECTOR)


for _function, _typer in (
    (lanes.entries, lambda array: types.CPointer(array.dtype)),
    (lanes.load, lambda x, i: LANES),
    (lanes.store, lambda x, i, values: types.none),
    (lanes.stream, lambda x, i, values: types.none),
    (lanes.within, lambda values, i, begin, end: LANES),
    (lanes.prefetch, lambda x, i: types.none),
):
    type_callable(_function)(lambda context, typer=_typer: typer)


@lower_builtin(lanes.entries, types.Array)  # type: ignore[untyped-decorator]
def _entries(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
    return context.make_array(call.args[0])(context, builder, *arguments).data


@lower_builtin(lanes.load, types.CPointer, types.Integer)  # type: ignore[untyped-decorator]
def _load(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
    data, place = arguments
    return builder.load(_address(builder, data, place, VECTOR.as_pointer()), align=8)


@lower_builtin(lanes.store, types.CPointer, types.Integer, Lanes)  # type: ignore[untyped-decorator]
def _store(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
    data, place, values = arguments
    builder.store(values, _address(builder, data, place, VECTOR.as_pointer()), align=8)
    return context.get_dummy_value()


@lower_builtin(lanes.stream, types.CPointer, types.Integer, Lanes)  # type: ignore[untyped-decorator]
def _stream(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
    data, place, values = arguments
    instruction = builder.store(values, _address(builder, data, place, VECTOR.as_pointer()), align=8 * lanes.LANES)
    instruction.set_metadata("nontemporal", builder.module.add_metadata([INT(1)]))
    return context.get_dummy_value()


@lower_builtin(lanes.prefetch, types.CPointer, types.Integer)  # type: ignore[untyped-decorator]
def _prefetch(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
    kind = ir.FunctionType(ir.VoidType(), [POINTER, INT, INT, INT])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    data, place = arguments
    address = _address(builder, data, place, POINTER)
    builder.call(function, [address, INT(0), INT(3), INT(1)])  # to be read, into all caches, no instructions
    return context.get_dummy_value()


def _address(builder: Any, data: Any, place: Any, kind: Any) -> Any:
    return builder.bitcast(builder.gep(data, [place]), kind)


@lower_builtin(lanes.within, Lanes, types.Integer, types.Integer, types.Integer)  # type: ignore[untyped-decorator]
def _within(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
    x, *rest = arguments
    i, begin, end = (
        _filled(builder, context.cast(builder, value, kind, types.int64), PLACES)
        for value, kind in zip(rest, call.args[1:], strict=True)
    )
    place = builder.add(i, PLACES(list(range(lanes.LANES))))
    inside = builder.and_(builder.icmp_signed(">=", place, begin), builder.icmp_signed("<", place, end))
    return builder.select(inside, x, VECTOR([0.0] * lanes.LANES))


def _filled(builder: Any, number: Any, kind: Any) -> Any:
    """Return a vector of one number."""
    first = builder.insert_element(kind(ir.Undefined), number, INT(0))
    return builder.shuffle_vector(first, kind(ir.Undefined), ir.VectorType(INT, lanes.LANES)([0] * lanes.LANES))


def _arithmetic(function: Any, instruction: str) -> None:
    """Let numba add or multiply lanes with lanes and with numbers."""
    pairs = ((LANES, LANES), (types.float64, LANES), (LANES, types.float64))

    @infer_global(function)
    class _Types(ConcreteTemplate):  # type: ignore[misc]
        cases = tuple(signature(LANES, *pair) for pair in pairs)

    def lower(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
        vectors = (
            value if kind == LANES else _filled(builder, value, VECTOR)
            for value, kind in zip(arguments, call.args, strict=True)
        )
        return getattr(builder, instruction)(*vectors)

    for pair in pairs:
        lower_builtin(function, *pair)(lower)


_arithmetic(operator.add, "fadd")
_arithmetic(operator.mul, "fmul")
