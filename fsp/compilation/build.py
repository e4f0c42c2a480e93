"""Compiling the kernels of a part to an object file: ``python -m fsp.compilation.build FILE PART LEVEL``.

This and `fsp.compilation.calling` alone need numba, which types the kernels and lowers them.  What numba counts and
raises stays inside the object: all that it takes from outside is C's library and Python's C interface.
"""

from __future__ import annotations

import importlib
import itertools
import os
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fsp.compilation import parts

RUNTIME = """
; What numba's counted memory is: the count, what frees it (nothing of its own), the data, the size.
%block = type { i64, ptr, ptr, ptr, i64, ptr }
declare ptr @malloc(i64)
declare void @free(ptr)
define ptr @NRT_MemInfo_alloc_aligned(i64 %size, i32 %align) {
  %more = add i64 %size, 128
  %all = call ptr @malloc(i64 %more)
  %failed = icmp eq ptr %all, null
  br i1 %failed, label %none, label %some
none:
  ret ptr null
some:
  store %block { i64 1, ptr null, ptr null, ptr null, i64 0, ptr null }, ptr %all
  %address = ptrtoint ptr %all to i64
  %after = add i64 %address, 127
  %aligned = and i64 %after, -64
  %data = inttoptr i64 %aligned to ptr
  %place = getelementptr %block, ptr %all, i32 0, i32 3
  store ptr %data, ptr %place
  ret ptr %all
}
define void @NRT_MemInfo_call_dtor(ptr %all) {
  call void @free(ptr %all)
  ret void
}
; The names that numba gives two functions of C.
declare double @frexp(double, ptr)
declare double @ldexp(double, i32)
define double @numba_frexp(double %x, ptr %exponent) {
  %mantissa = call double @frexp(double %x, ptr %exponent)
  ret double %mantissa
}
define double @numba_ldexp(double %x, i32 %exponent) {
  %product = call double @ldexp(double %x, i32 %exponent)
  ret double %product
}
"""


class Build:
    """Kernels of a part, compiled as their modules are imported."""

    def __init__(self, part: str) -> None:
        self._part = part
        self.kernels: dict[str, tuple[Any, list[str]]] = {}  # dispatchers and the names of parameters

    def compile(self, function: Callable[..., Any], options: dict[str, Any]) -> Any:
        """Compile a kernel for the types that its annotations say; one without is left to those that call it."""
        import numba
        from numba.core.cpu import CPUTargetOptions

        from fsp.compilation import lowering  # noqa: F401 - numba knows vector registers from here on

        if parts.part_of(function.__module__) != self._part:
            return function
        # What numba knows and gives no option for: arrays that are written overlap no other.
        CPUTargetOptions.noalias = CPUTargetOptions.Mapping("noalias")
        dispatcher = numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **options)(function)
        hints = typing.get_type_hints(function, include_extras=True)
        names = function.__code__.co_varnames[: function.__code__.co_argcount]
        if not hints:
            return dispatcher
        for index, number in itertools.product(("i4", "i8"), ("f8", "c16")):
            given = tuple(_type_of(hints[name], index, number) for name in names)
            if given not in dispatcher.overloads:
                dispatcher.compile(given)
        dispatcher.disable_compile()
        for overload in dispatcher.overloads.values():  # other kernels call it by its symbol
            context = overload.target_context
            context.remove_user_function(overload.entry_point)
            context.insert_user_function(overload.entry_point, overload.fndesc)
        self.kernels[f"{function.__module__}.{function.__qualname__}"] = dispatcher, list(names)
        return dispatcher

    def linked(self) -> Any:
        """Return one module of all kernels, and of the functions by which Python calls them."""
        from llvmlite import binding

        from fsp.compilation.calling import Caller

        module = binding.parse_assembly(RUNTIME)
        for name, (dispatcher, parameters) in self.kernels.items():
            overloads = list(dispatcher.overloads.values())
            for overload in overloads:
                module.link_in(binding.parse_assembly(overload.library.get_llvm_str()))
            nogil = bool(dispatcher.targetoptions.get("nogil"))
            caller = Caller(overloads[0].target_context, name, ", ".join(parameters), nogil=nogil)
            module.link_in(binding.parse_assembly(caller.text(overloads)))
        for value in [*module.functions, *module.global_variables]:
            if not value.is_declaration and value.name not in self.kernels:
                value.linkage = "internal"
        return module


def object_code(module: Any) -> bytes:
    """Return the object of a module, without what nothing calls."""
    from llvmlite import binding
    from numba.core.registry import cpu_target

    machine = cpu_target.target_context.codegen()._tm
    passes = binding.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.add_strip_dead_prototype_pass()
    passes.run(module, binding.create_pass_builder(machine, binding.create_pipeline_tuning_options()))
    module.verify()
    undefined = (function.name for function in module.functions if function.is_declaration)
    missing = sorted(name for name in undefined if name.startswith(("NRT_", "numba_")))
    if missing:
        raise RuntimeError(f"Kernels must need C's library and Python alone, but need {', '.join(missing)}.")
    code: bytes = machine.emit_object(module)
    return code


def _type_of(hint: Any, index: str, number: str) -> Any:
    """Return numba's type for an annotation: by its name, or a named tuple of them."""
    from numba import types

    if hasattr(hint, "_fields"):
        fields = typing.get_type_hints(hint, include_extras=True)
        return types.NamedTuple([_type_of(fields[name], index, number) for name in hint._fields], hint)
    return eval(hint.__metadata__[0].replace("index", index).replace("number", number), vars(types))


def compiled(part: str, level: str) -> Any:
    """Return the module of a part for a level of processors."""
    os.environ |= {"NUMBA_CPU_NAME": level, "NUMBA_CPU_FEATURES": "", "NUMBA_DISABLE_JIT": "0"}
    build = Build(part)
    parts.compiler = build.compile
    for source in parts.sources(part):
        importlib.import_module(f"fsp.{source.parent.name}.{source.stem}")
    return build.linked()


def main(path: str, part: str, level: str) -> None:
    """Write the object for a level of processors: whole, or not at all."""
    unfinished = Path(path).with_suffix(f".{os.getpid()}")
    unfinished.write_bytes(object_code(compiled(part, level)))
    unfinished.replace(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
