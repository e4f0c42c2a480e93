"""The hash of a model: all that decides its distributions, whatever way it was written.

Formulas enter as text.  A callable enters by all that its value may depend on: its code, defaults and captured values,
the globals that the code names, functions among these by the same rule, arrays by their bytes, objects by their class
and state.  Code of installed packages is taken by its name and the version of its package.  Where that is not enough
(locks, open files, `eval`, the clock) the model's content cannot be compared with that of another: its hash ends in a
mark and a number that is never drawn again, so that nothing is continued that may be of another model.
"""

from __future__ import annotations

import builtins
import dis
import functools
import hashlib
import sys
import sysconfig
import types
import uuid
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np

from fsp.model.compiled import Compiled, Fingerprint
from fsp.model.describe import event_text
from fsp.model.infix import to_text
from fsp.model.tree import Expression, Number

_UNREPEATABLE_MARK = "?"  # before the number of a hash that equals no other
_ATOMS = (type(None), bool, int, float, complex, str, type(Ellipsis), type(NotImplemented), range)
_OPEN_ENDED = {"eval", "exec", "compile", "globals", "locals", "__import__", "open", "input"}
_OUTSIDE = {"datetime", "glob", "io", "os", "pathlib", "random", "secrets", "socket", "subprocess", "sys", "time"}
_READERS = {"fromfile", "genfromtxt", "load", "loadtxt", "memmap", "random"}  # of numpy: what they return may change
_BY_TEXT = {"getattr", "vars", "__dict__", "attrgetter"}  # reach what the names in the code do not show
_OF_CLASS = {"__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "_abc_impl", "__firstlineno__"}
_STANDARD = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib")})
_PACKAGE_FOLDERS = ("site-packages", "dist-packages")


class _UnrepeatableError(Exception):
    """What an object does cannot be told from its content."""


def fingerprint(compiled: Compiled) -> Fingerprint:
    """Return the hash of a model, from its rates, the events at known times (others are rates), and its start.

    It has a mark and a number of its own where a callable cannot be told by its content.
    """
    texts, doubts = [], []
    for k, law in enumerate(compiled.laws):
        text, doubt = (to_text(law), "") if isinstance(law, Expression) else _callable_text(law, compiled.resolved)
        texts.append(f"{compiled.change[k].tolist()} {text}")
        doubts += [f"rate of '{compiled.expanded.reactions[k].name}': {doubt}"] if doubt else []
    if compiled.rules is not None and compiled.has_timed_events:
        values = {name: tree.value for name, tree in compiled.resolved.items() if isinstance(tree, Number)}
        texts += [f"{name} = {values[name]!r}" for name in compiled.rules.variables]
        texts += [event_text(event) for event in compiled.rules.events]
    start = zip(compiled.begun.states.tolist(), compiled.begun.probabilities.tolist(), strict=True)
    lines = [" ".join(compiled.definition.species), *texts, *(f"{state} {p!r}" for state, p in start)]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return Fingerprint(f"{digest}{_UNREPEATABLE_MARK}{uuid.uuid4().hex}" if doubts else digest, "; ".join(doubts))


def comparable(text: str) -> str:
    """Return the part of a hash that is the same for the same program, on all ranks for one."""
    return text.partition(_UNREPEATABLE_MARK)[0]


def why_different(*hashes: str) -> str:
    """Return what to add to the message that models differ, where one of them equals no other."""
    if not any(_UNREPEATABLE_MARK in text for text in hashes):
        return ""
    return (
        " A rate that is a callable uses what cannot be compared, so that its model counts as another one in every "
        "process; `model.unrepeatable` says what: give it as a number, an array or a function, or write a formula."
    )


def _callable_text(law: object, values: Mapping[str, Expression]) -> tuple[str, str]:
    """Return what stands for a callable, with all parameters that it may ask for, and why that says too little."""
    asked = sorted((name, to_text(tree)) for name, tree in values.items())
    try:
        return f"{_ContentDigest().of(law).hex()} {asked}", ""
    except _UnrepeatableError as reason:
        return f"callable {asked}", str(reason)
    except RecursionError:
        return f"callable {asked}", "it holds values within values without end"


class _ContentDigest:
    """Digests of objects by all that decides what they do."""

    def __init__(self) -> None:
        self._known: dict[int, bytes] = {}
        self._open: list[int] = []  # objects that hold the one looked at
        self._alive: list[object] = []  # so that no other object gets their place
        self._modules: dict[tuple[int, frozenset[str]], _Module] = {}

    def of(self, value: object) -> bytes:
        """Return the digest of an object."""
        if type(value) in _ATOMS:
            return _digest(type(value).__name__, repr(value).encode("utf-8", "surrogatepass"))
        key = id(value)
        if key in self._open:  # it holds itself, as a function that calls itself
            return _digest("held", str(self._open.index(key)).encode())
        if key not in self._known:
            self._alive.append(value)
            self._open.append(key)
            name, *parts = self._parts(value)
            self._known[key] = _digest(str(name), *(p if isinstance(p, bytes) else self.of(p) for p in parts))
            self._open.pop()
        return self._known[key]

    def _parts(self, value: Any) -> Iterator[Any]:
        """Yield the kind of an object, then what decides what it does: digests, bytes or further objects."""
        for kind, parts in _CONTENT_OF:
            if isinstance(value, kind):
                yield kind.__name__
                yield from parts(self, value)
                return
        yield "object"
        yield from self._of_object(value)

    def _of_array(self, array: np.ndarray) -> Iterator[Any]:
        if type(array) is not np.ndarray:  # with a mask, say
            yield from self._of_object(array)
            return
        yield repr((array.dtype.descr if array.dtype.names else array.dtype.str, array.shape))
        yield array.tolist() if array.dtype.hasobject else np.ascontiguousarray(array).tobytes()

    def _of_set(self, values: Any) -> Iterator[Any]:
        yield from sorted(self.of(value) for value in values)

    def _of_mapping(self, values: Any) -> Iterator[Any]:
        if type(values) not in (dict, types.MappingProxyType):
            yield from self._of_object(values)
            return
        yield from chain.from_iterable(values.items())

    def _of_sequence(self, values: Any) -> Iterator[Any]:
        yield from self._of_object(values) if type(values) not in (tuple, list) else values

    def _of_code(self, code: types.CodeType) -> Iterator[Any]:
        yield code.co_code
        yield getattr(code, "co_exceptiontable", b"")
        yield repr((code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags, code.co_names))
        yield repr((code.co_varnames, code.co_freevars, code.co_cellvars))
        yield list(code.co_consts)

    def _of_function(self, function: types.FunctionType) -> Iterator[Any]:
        installed = _installed(function)
        if installed and _by_name(function) is function:
            yield installed
            return
        yield function.__code__
        yield [function.__defaults__, function.__kwdefaults__, vars(function)]
        names, imported, held = _names(function.__code__)
        for cell in function.__closure__ or ():
            yield self._reached(_captured(cell), held)
        if not installed:
            yield from self._of_globals(function, names, held)
            yield from (self._reached(_standing(name), held) for name in sorted(imported))

    def _of_globals(self, function: types.FunctionType, names: set[str], held: frozenset[str]) -> Iterator[Any]:
        """Yield the names that a function looks up, and what they stand for."""
        for name in sorted(names):
            yield name
            if name in function.__globals__:
                yield self._reached(function.__globals__[name], held)
            elif name in _OPEN_ENDED:
                raise _UnrepeatableError(f"`{function.__qualname__}` calls `{name}`")
            elif not hasattr(builtins, name):
                yield "undefined"

    def _reached(self, value: object, held: frozenset[str]) -> object:
        """Return what code has a hold of: of a module, only what it may reach by the names and texts that it holds."""
        if not isinstance(value, types.ModuleType):
            return value
        return self._modules.setdefault((id(value), held), _Module(value, held))

    def _of_module(self, module: _Module) -> Iterator[Any]:
        name, installed = module.value.__name__, _installed(module.value)
        outside = name.partition(".")[0] in _OUTSIDE or (name.startswith("numpy") and module.names & _READERS)
        if outside or (not installed and module.names & _BY_TEXT):
            raise _UnrepeatableError(f"it uses the module `{name}` in a way that the code does not tell")
        yield installed or name
        if not installed:
            for attribute in sorted(module.names & set(vars(module.value))):
                yield attribute
                yield self._reached(getattr(module.value, attribute), module.names)

    def _of_builtin(self, function: Any) -> Iterator[Any]:
        """Yield a compiled function: that of a module by its name, that of an object with the object."""
        owner = getattr(function, "__self__", None)
        yield function.__qualname__
        yield _named(function) if owner is None or isinstance(owner, types.ModuleType) else owner

    def _of_ufunc(self, function: np.ufunc) -> Iterator[Any]:
        homes = [np, sys.modules.get("scipy.special")]
        if not any(getattr(home, function.__name__, None) is function for home in homes):
            raise _UnrepeatableError(f"it calls `{function.__name__}`, whose code is not seen")
        yield f"{function.__name__} {np.__version__}"

    def _of_class(self, kind: type) -> Iterator[Any]:
        installed = _installed(kind)
        if installed and _by_name(kind) is kind:
            yield installed
            return
        yield kind.__qualname__
        yield from kind.__bases__
        for name, value in vars(kind).items():
            if name not in _OF_CLASS:
                yield name
                yield value

    def _of_object(self, value: Any) -> Iterator[Any]:
        """Yield what pickle makes of an object: how it is made, and its state."""
        if hasattr(value, "py_func") and type(value).__module__.startswith("numba."):
            yield value.py_func
            yield dict(value.targetoptions)
            return
        try:
            reduced = value.__reduce_ex__(4)
        except Exception as error:
            name = f"{type(value).__module__}.{type(value).__qualname__}"
            raise _UnrepeatableError(f"it holds a `{name}`, whose content is not seen ({error})") from None
        if isinstance(reduced, str):
            yield f"{_named(value)} {reduced}"
            return
        yield type(value)
        yield from (list(part) if k >= 3 and part is not None else part for k, part in enumerate(reduced))


class _Module:
    """A module, and the names by which code may reach into it."""

    def __init__(self, value: types.ModuleType, names: frozenset[str]) -> None:
        self.value, self.names = value, names


def _digest(name: str, *parts: bytes) -> bytes:
    digest = hashlib.sha256(name.encode())
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


def _names(code: types.CodeType) -> tuple[set[str], set[str], frozenset[str]]:
    """Return globals and modules that code looks up, with inner functions, and all names and texts that it holds."""
    looked_up, imported = set[str](), set[str]()
    held = {*code.co_names, *(c for c in code.co_consts if isinstance(c, str))}
    for step in dis.get_instructions(code):
        if step.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
            raise _UnrepeatableError(f"`{code.co_name}` changes the global `{step.argval}`")
        if step.opname == "IMPORT_NAME":
            imported.add(step.argval)
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            looked_up.add(step.argval)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            names, modules, texts = _names(inner)
            looked_up |= names
            imported |= modules
            held |= texts
    return looked_up, imported, frozenset(held)


def _standing(name: str) -> types.ModuleType:
    """Return an installed module that a function imports when it is called."""
    module = sys.modules.get(name)
    if module is None or not _installed(module):
        raise _UnrepeatableError(f"it imports `{name}` when it is called; import it above the function")
    return module


def _captured(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return "empty"


def _installed(value: Any) -> str:
    """Return name and version of what belongs to an installed package or the standard library; nothing for others."""
    home = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None) or ""
    module, package = sys.modules.get(home), home.partition(".")[0]
    place = getattr(module, "__file__", None) or ""
    compiled_in = module is not None and not place and home in sys.builtin_module_names
    if not (
        compiled_in
        or package == "fsp"
        or place.startswith(_STANDARD)
        or any(name in place for name in _PACKAGE_FOLDERS)
    ):
        return ""
    version = getattr(sys.modules.get(package), "__version__", "")
    return f"{home}.{getattr(value, '__qualname__', '')} {version}"


def _by_name(value: Any) -> object:
    """Return what is found under the name of a function or class in its module."""
    value_named: Any = sys.modules.get(value.__module__)
    for part in value.__qualname__.split("."):
        value_named = getattr(value_named, part, None)
    return value_named


def _named(value: Any) -> str:
    """Return the name of a compiled object of an installed package."""
    name = _installed(value)
    if not name:
        raise _UnrepeatableError(f"it holds `{getattr(value, '__name__', type(value).__name__)}`, which is not seen")
    return name


_Parts = Callable[[_ContentDigest, Any], Iterator[Any]]
_CONTENT_OF: tuple[tuple[type, _Parts], ...] = (
    (bytes, lambda _, value: iter((bytes(value),))),
    (np.ndarray, _ContentDigest._of_array),
    (tuple, _ContentDigest._of_sequence),
    (list, _ContentDigest._of_sequence),
    (dict, _ContentDigest._of_mapping),
    (types.MappingProxyType, _ContentDigest._of_mapping),
    (set, _ContentDigest._of_set),
    (frozenset, _ContentDigest._of_set),
    (types.CodeType, _ContentDigest._of_code),
    (types.FunctionType, _ContentDigest._of_function),
    (types.MethodType, lambda _, value: iter((value.__func__, value.__self__))),
    (functools.partial, lambda _, value: iter((value.func, value.args, value.keywords, vars(value)))),
    (functools._lru_cache_wrapper, lambda _, value: iter((value.__wrapped__,))),
    (property, lambda _, value: iter((value.fget, value.fset, value.fdel))),
    (staticmethod, lambda _, value: iter((value.__func__,))),
    (classmethod, lambda _, value: iter((value.__func__,))),
    (functools.cached_property, lambda _, value: iter((value.func,))),
    (types.BuiltinFunctionType, _ContentDigest._of_builtin),
    (types.MethodWrapperType, _ContentDigest._of_builtin),
    (types.MemberDescriptorType, lambda _, value: iter((value.__name__,))),
    (types.GetSetDescriptorType, lambda _, value: iter((value.__name__,))),
    (types.WrapperDescriptorType, lambda _, value: iter((value.__qualname__,))),
    (types.MethodDescriptorType, lambda _, value: iter((value.__qualname__,))),
    (np.ufunc, _ContentDigest._of_ufunc),
    (type, _ContentDigest._of_class),
    (_Module, _ContentDigest._of_module),
    (types.ModuleType, lambda _, value: iter((_Module(value, frozenset(vars(value))),))),
)
