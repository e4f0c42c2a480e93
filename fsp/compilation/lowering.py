"""What numba makes of kernels, for the build alone: code for objects, and LLVM's vectors of `fsp.compilation.lanes`."""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.codegen import JITCodeLibrary, JITCPUCodegen
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model, type_callable

from fsp.compilation import lanes

PLACES = ir.VectorType(ir.IntType(64), lanes.LANES)
POINTER, INT = cgutils.voidptr_t, ir.IntType(32)  # of LLVM


class Library(JITCodeLibrary):  # type: ignore[misc]
    """Code of a kernel that goes into an object: numba makes no machine code of it, which takes a sixth of the time."""

    def _finalize_specific(self) -> None:
        pass

    def get_pointer_to_function(self, name: str) -> int:
        """Return no address."""
        self._ensure_finalized()
        return 0


JITCPUCodegen._library_class = Library


class Lanes(types.Type):  # type: ignore[misc]
    """Numba's type of what some vector registers of one size hold."""

    def __init__(self, size: int, n_registers: int = 1) -> None:
        super().__init__(name=f"Lanes({size}, {n_registers})")
        self.vector = ir.VectorType(ir.DoubleType(), size)  # of LLVM
        self.vectors = ir.ArrayType(self.vector, n_registers)


LANES = Lanes(lanes.LANES)
LOADS = {
    lanes.load: LANES,
    lanes.load_line: Lanes(lanes.LINE),
    lanes.load_halves: Lanes(lanes.LANES, lanes.LINE // lanes.LANES),
}


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, kind.vectors)


for _function, _typer in (
    (lanes.entries, lambda array: types.CPointer(array.dtype)),
    *((load, lambda x, i, kind=kind: kind) for load, kind in LOADS.items()),
    (lanes.store, lambda x, i, values: types.none),
    (lanes.stream, lambda x, i, values: types.none),
    (lanes.within, lambda values, i, begin, end: LANES),
    (lanes.prefetch, lambda x, i: types.none),
):
    type_callable(_function)(lambda context, typer=_typer: typer)


@lower_builtin(lanes.entries, types.Array)  # type: ignore[untyped-decorator]
def _entries(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
    return context.make_array(call.args[0])(context, builder, *arguments).data


def _load(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
    kind = call.return_type.vectors
    data, place = arguments
    first = _address(builder, data, place, kind.element.as_pointer())
    places = [builder.gep(first, [INT(k)]) for k in range(kind.count)]
    return _packed(builder, kind, [builder.load(place, align=8) for place in places])


for _function in LOADS:
    lower_builtin(_function, types.CPointer, types.Integer)(_load)


@lower_builtin(lanes.store, types.CPointer, types.Integer, Lanes)  # type: ignore[untyped-decorator]
def _store(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
    _stored(builder, arguments, 8)
    return context.get_dummy_value()


@lower_builtin(lanes.stream, types.CPointer, types.Integer, Lanes)  # type: ignore[untyped-decorator]
def _stream(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
    for instruction in _stored(builder, arguments, 8 * call.args[2].vector.count):
        instruction.set_metadata("nontemporal", builder.module.add_metadata([INT(1)]))
    return context.get_dummy_value()


def _stored(builder: Any, arguments: Any, align: int) -> list[Any]:
    """Return the instructions that write each register."""
    data, place, values = arguments
    first = _address(builder, data, place, values.type.element.as_pointer())
    return [
        builder.store(register, builder.gep(first, [INT(k)]), align=align)
        for k, register in enumerate(_unpacked(builder, values))
    ]


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


@lower_builtin(lanes.within, LANES, types.Integer, types.Integer, types.Integer)  # type: ignore[untyped-decorator]
def _within(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
    values, *rest = arguments
    (x,) = _unpacked(builder, values)
    i, begin, end = (
        _filled(builder, context.cast(builder, value, kind, types.int64), PLACES)
        for value, kind in zip(rest, call.args[1:], strict=True)
    )
    place = builder.add(i, PLACES(list(range(lanes.LANES))))
    inside = builder.and_(builder.icmp_signed(">=", place, begin), builder.icmp_signed("<", place, end))
    return _packed(builder, values.type, [builder.select(inside, x, LANES.vector([0.0] * lanes.LANES))])


def _packed(builder: Any, kind: Any, registers: list[Any]) -> Any:
    """Return registers as one value."""
    values = kind(ir.Undefined)
    for k, register in enumerate(registers):
        values = builder.insert_value(values, register, k)
    return values


def _unpacked(builder: Any, values: Any) -> list[Any]:
    return [builder.extract_value(values, k) for k in range(values.type.count)]


def _filled(builder: Any, number: Any, kind: Any) -> Any:
    """Return a vector of one number."""
    first = builder.insert_element(kind(ir.Undefined), number, INT(0))
    return builder.shuffle_vector(first, kind(ir.Undefined), ir.VectorType(INT, kind.count)([0] * kind.count))


def _arithmetic(function: Any, instruction: str, kind: Lanes) -> None:
    """Let numba add or multiply lanes with lanes and with numbers."""
    pairs = ((kind, kind), (types.float64, kind), (kind, types.float64))

    @infer_global(function)
    class _Types(ConcreteTemplate):  # type: ignore[misc]
        cases = tuple(signature(kind, *pair) for pair in pairs)

    def lower(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
        columns = (
            _unpacked(builder, value) if given == kind else [_filled(builder, value, kind.vector)] * kind.vectors.count
            for value, given in zip(arguments, call.args, strict=True)
        )
        made = [getattr(builder, instruction)(*registers) for registers in zip(*columns, strict=True)]
        return _packed(builder, kind.vectors, made)

    for pair in pairs:
        lower_builtin(function, *pair)(lower)


for _kind in LOADS.values():
    _arithmetic(operator.add, "fadd", _kind)
    _arithmetic(operator.mul, "fmul", _kind)
