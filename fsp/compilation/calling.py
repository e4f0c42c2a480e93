"""Functions of Python's C interface around compiled kernels, written with numba: for the build alone.

A function takes apart its arguments, calls the kernel, and puts together what that returns.  Arrays are read where
numpy's and Python's stable layouts have their fields; nothing of numba is needed when it runs.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.np import arrayobj, numpy_support

POINTER, INT, LONG, BYTE = cgutils.voidptr_t, ir.IntType(32), ir.IntType(64), ir.IntType(8)
DOUBLE = ir.DoubleType()
HEAD = object.__basicsize__  # of every object of Python: its count of references and its type
# Places of the fields of arrays (``PyArrayObject_fields``), and of the number of the type in a dtype.
DATA, DIMENSIONS, DTYPE, FLAGS = HEAD, HEAD + 16, HEAD + 40, HEAD + 48
TYPE_NUMBER = HEAD + 12  # of a dtype
N_DIMENSIONS = HEAD + 8  # of an array
TYPE = HEAD - 8  # of every object
ORDERED = 0x0101  # NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED


class Caller:
    """The Python function of one kernel: it tries the kernel's overloads in turn."""

    def __init__(self, context: Any, name: str, parameters: str, *, nogil: bool) -> None:
        self.context = context
        self.module = ir.Module(f"{name}.python")
        self.name, self.parameters, self.nogil = name, parameters, nogil
        function = ir.FunctionType(POINTER, [POINTER, POINTER.as_pointer(), LONG])
        self.function = ir.Function(self.module, function, name)
        self.builder = ir.IRBuilder(self.function.append_basic_block())
        self.given = self.function.args[1]

    def text(self, overloads: list[Any]) -> str:
        """Return the module that calls these compiled overloads."""
        n = len(overloads[0].signature.args)
        wrong = self.builder.icmp_signed("!=", self.function.args[2], LONG(n))
        with self.builder.if_then(wrong, likely=False):
            self._refuse("TypeError", f"must be given {n} arguments ({self.parameters})")
        for overload in overloads:
            following = self.function.append_basic_block()
            arguments = [
                self._argument(self._item(self.given, k), kind, following)
                for k, kind in enumerate(overload.signature.args)
            ]
            self._call(overload, arguments)
            self.builder.position_at_end(following)
        self._refuse("TypeError", f"must be given other types ({self.parameters})")
        return str(self.module)

    # ---- Python's functions -------------------------------------------------------------------------------

    def _python(self, name: str, result: Any, *args: Any) -> Any:
        kind = ir.FunctionType(result, [arg.type for arg in args])
        return self.builder.call(cgutils.get_or_insert_function(self.module, kind, name), args)

    def _object(self, name: str) -> Any:
        """Return one of the objects of Python that `fsp.compilation.loading` gives names."""
        return self.module.globals.get(f"fsp.{name}") or ir.GlobalVariable(self.module, BYTE, f"fsp.{name}")

    def _refuse(self, error: str, text: str) -> None:
        message = self.context.insert_const_string(self.module, f"Kernel `{self.name}` {text}.")
        self._python("PyErr_SetString", ir.VoidType(), self._object(error), message)
        self.builder.ret(POINTER(None))

    def _field(self, value: Any, place: int, kind: Any) -> Any:
        address = self.builder.gep(value, [LONG(place)])
        return self.builder.load(self.builder.bitcast(address, kind.as_pointer()))

    def _item(self, items: Any, k: int) -> Any:
        return self.builder.load(self.builder.gep(items, [LONG(k)]))

    def _require(self, condition: Any, otherwise: Any) -> None:
        here = self.function.append_basic_block()
        self.builder.cbranch(condition, here, otherwise)
        self.builder.position_at_end(here)

    # ---- arguments ----------------------------------------------------------------------------------------

    def _argument(self, value: Any, kind: Any, otherwise: Any) -> Any:
        """Return an argument as numba knows it; go elsewhere where it is of another type."""
        if isinstance(kind, types.Array):
            return self._array(value, kind, otherwise)
        if isinstance(kind, types.BaseTuple):
            size = self._python("PyTuple_Size", LONG, value)
            self._require(self.builder.icmp_signed("==", size, LONG(len(kind))), otherwise)
            parts = [
                self._argument(self._python("PyTuple_GetItem", POINTER, value, LONG(k)), part, otherwise)
                for k, part in enumerate(kind)
            ]
            return self.context.make_tuple(self.builder, kind, parts)
        if kind == types.boolean:
            truth = self._python("PyObject_IsTrue", INT, value)
            return self.builder.icmp_signed("==", truth, INT(1))
        if isinstance(kind, types.Integer):
            word = "PyLong_AsLongLong" if kind.signed else "PyLong_AsUnsignedLongLong"
            return self._checked(self._python(word, LONG, value), LONG(-1))
        return self._checked(self._python("PyFloat_AsDouble", DOUBLE, value), DOUBLE(-1.0))

    def _checked(self, number: Any, failed: Any) -> Any:
        """Return a number, or leave with the exception where it is none."""
        same = self.builder.icmp_signed if isinstance(number.type, ir.IntType) else self.builder.fcmp_ordered
        with self.builder.if_then(same("==", number, failed), likely=False):
            error = self._python("PyErr_Occurred", POINTER)
            with self.builder.if_then(cgutils.is_not_null(self.builder, error)):
                self.builder.ret(POINTER(None))
        return number

    def _array(self, value: Any, kind: Any, otherwise: Any) -> Any:
        builder = self.builder
        of_arrays = self._python("PyType_IsSubtype", INT, self._field(value, TYPE, POINTER), self._object("ndarray"))
        self._require(builder.icmp_signed("!=", of_arrays, INT(0)), otherwise)
        number = self._field(self._field(value, DTYPE, POINTER), TYPE_NUMBER, INT)
        wanted = numpy_support.as_dtype(kind.dtype)
        numbers = {np.dtype(code).num for code in np.typecodes["AllInteger"] + "?dD" if np.dtype(code) == wanted}
        same = [builder.icmp_signed("==", number, INT(candidate)) for candidate in sorted(numbers)]
        self._require(reduce(builder.or_, same), otherwise)
        self._require(builder.icmp_signed("==", self._field(value, N_DIMENSIONS, INT), INT(kind.ndim)), otherwise)
        flags = builder.and_(self._field(value, FLAGS, INT), INT(ORDERED))
        self._require(builder.icmp_signed("==", flags, INT(ORDERED)), otherwise)
        lengths = builder.bitcast(self._field(value, DIMENSIONS, POINTER), LONG.as_pointer())
        shape = [self._item(lengths, k) for k in range(kind.ndim)]
        strides: list[Any] = []
        size = LONG(wanted.itemsize)
        for length in reversed(shape):
            strides.insert(0, size)
            size = builder.mul(size, length)
        array = self.context.make_array(kind)(self.context, builder)
        data = builder.bitcast(self._field(value, DATA, POINTER), array.data.type)
        arrayobj.populate_array(array, data, shape, strides, LONG(wanted.itemsize), None)
        return array._getvalue()

    # ---- the call and its result --------------------------------------------------------------------------

    def _call(self, overload: Any, arguments: list[Any]) -> None:
        description, signature = overload.fndesc, overload.signature
        convention = self.context.call_conv
        kind = convention.get_function_type(signature.return_type, signature.args)
        kernel = cgutils.get_or_insert_function(self.module, kind, description.llvm_func_name)
        released = self._python("PyEval_SaveThread", POINTER) if self.nogil else None
        status, result = convention.call_function(
            self.builder, kernel, signature.return_type, signature.args, arguments
        )
        if released is not None:
            self._python("PyEval_RestoreThread", ir.VoidType(), released)
        with self.builder.if_then(status.is_error, likely=False):
            self._refuse("MemoryError", "stopped: memory ran out, or arrays do not fit together")
        self.builder.ret(self._result(result, signature.return_type))

    def _result(self, value: Any, kind: Any) -> Any:
        """Return a new object of Python."""
        if kind == types.none:
            nothing = self._object("None")
            self._python("Py_IncRef", ir.VoidType(), nothing)
            return nothing
        if isinstance(kind, types.BaseTuple):
            tuple_object = self._python("PyTuple_New", POINTER, LONG(len(kind)))
            for k, part in enumerate(kind):
                item = self._result(self.builder.extract_value(value, k), part)
                self._python("PyTuple_SetItem", INT, tuple_object, LONG(k), item)
            return tuple_object
        if isinstance(kind, types.Array):
            return self._copied(value, kind)
        if kind == types.boolean:
            return self._python("PyBool_FromLong", POINTER, self.builder.zext(value, LONG))
        if isinstance(kind, types.Integer | types.IntegerLiteral):
            wider = self.builder.sext if kind.signed else self.builder.zext
            return self._python("PyLong_FromLongLong", POINTER, value if kind.bitwidth == 64 else wider(value, LONG))
        return self._python("PyFloat_FromDouble", POINTER, value)

    def _copied(self, value: Any, kind: Any) -> Any:
        """Return a copy of an array, made by ``numpy.ndarray(shape, dtype)``, and give the array up."""
        builder = self.builder
        array = self.context.make_array(kind)(self.context, builder, value)
        shape = cgutils.unpack_tuple(builder, array.shape)
        wanted = numpy_support.as_dtype(kind.dtype)
        form = self.context.insert_const_string(self.module, f"(({kind.ndim * 'L'})s)")
        name = self.context.insert_const_string(self.module, wanted.str)
        build = ir.FunctionType(POINTER, [POINTER], var_arg=True)
        given = builder.call(cgutils.get_or_insert_function(self.module, build, "Py_BuildValue"), [form, *shape, name])
        made = self._python("PyObject_CallObject", POINTER, self._object("ndarray"), given)
        self._python("Py_DecRef", ir.VoidType(), given)
        with builder.if_then(cgutils.is_not_null(builder, made)):
            size = LONG(wanted.itemsize)
            for length in shape:
                size = builder.mul(size, length)
            source = builder.bitcast(array.data, POINTER)
            self._python("memcpy", POINTER, self._field(made, DATA, POINTER), source, size)
        self.context.nrt.decref(builder, kind, value)
        return made
