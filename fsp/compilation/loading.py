"""Loading compiled kernels: LLVM's linker puts the object into memory, and Python calls it as it calls C functions."""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from fsp.compilation import objects
from fsp.compilation.parts import part_of
from fsp.imports import uncollected

with uncollected():
    from llvmlite import binding

FASTCALL = 0x0080  # METH_FASTCALL of Python's C interface


class _Method(ctypes.Structure):
    """``PyMethodDef`` of Python's C interface."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


_methods: list[_Method] = []  # a function refers to its own as long as it lives
_LOADING = threading.Lock()  # else threads load an object twice, and one copy goes while its functions are called


@functools.cache
def _engine(part: str) -> Any:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    for value in (None, TypeError, MemoryError, np.ndarray):  # by names of their own: numba has other uses of Python's
        binding.add_symbol(f"fsp.{getattr(value, '__name__', value)}", id(value))
    machine = binding.Target.from_default_triple().create_target_machine()
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), machine)
    engine.add_object_file(binding.ObjectFileRef.from_path(str(objects.find(part))))
    engine.finalize_object()
    return engine


def load(name: str) -> Callable[..., Any]:
    """Return the kernel of a name as a function of Python."""
    with _LOADING:
        address = _engine(part_of(name.rpartition(".")[0])).get_function_address(name)
    if not address:
        raise TypeError(f"A kernel that Python calls must have types, but `{name}` has none: annotate its parameters.")
    method = _Method(name.encode(), address, FASTCALL, None)
    _methods.append(method)
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    function: Callable[..., Any] = make(ctypes.addressof(method), None, None)
    return function
