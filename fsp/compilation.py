"""Compile kernels, keep them on disk, and say when it takes time.

Compiled code lies beside the source, in the user's cache folder, or where ``NUMBA_CACHE_DIR`` says.  Where none of
them can be written, a temporary folder serves the process and those that it starts; what is broken on disk is compiled
again, and what cannot be written is not kept.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

import numba
from numba.core import caching, event

logger = logging.getLogger("fsp")


class _Announcement(event.Listener):
    """Logs the first compilation of this process; code that is loaded from disk causes none."""

    def on_start(self, event: event.Event) -> None:
        function = event.data["dispatcher"].py_func
        if str(function.__module__).startswith("fsp."):
            logger.warning("fsp compiles its kernels: up to half a minute, once for each kind of network.")
            stop()

    def on_end(self, event: event.Event) -> None:
        """Do nothing."""


_announcement = _Announcement()


def announce() -> None:
    """Say on standard error (logger ``fsp``) when the first kernel is compiled."""
    event.register("numba:compile", _announcement)  # type: ignore[no-untyped-call]


def stop() -> None:
    """Say nothing more."""
    event.unregister("numba:compile", _announcement)  # type: ignore[no-untyped-call]


def njit(*, cache: bool, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return numba's decorator of a kernel, whose cache does without a disk that can be read or written."""

    def compiled(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(**options)(function)
        if cache:
            with contextlib.suppress(RuntimeError, OSError):  # not even a temporary folder: nothing is kept
                dispatcher._cache = _Cache(function)  # type: ignore[no-untyped-call]
        return dispatcher

    return compiled


@functools.cache
def _temporary_folder() -> str:
    """Make a folder for this process and those that it starts, and say so."""
    folder = tempfile.mkdtemp(prefix="fsp-kernels-")
    atexit.register(_remove, folder, os.getpid())
    os.environ["NUMBA_CACHE_DIR"] = folder
    logger.warning(
        "fsp keeps its compiled kernels in a temporary folder, since neither its own nor the user's cache can be "
        "written: set NUMBA_CACHE_DIR to a folder that lasts."
    )
    return folder


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # a process that was forked leaves it to the first
        shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def _say_not_kept(reason: str) -> None:
    logger.warning("fsp cannot keep its compiled kernels (%s): the next run compiles them again.", reason)


class _TemporaryLocator(caching._SourceFileBackedLocatorMixin, caching._CacheLocator):
    """The last place where numba looks for a folder that can be written."""

    def __init__(self, py_func: Callable[..., Any], py_file: str) -> None:
        self._py_file = py_file
        self._lineno = py_func.__code__.co_firstlineno
        subpath = self.get_suitable_cache_subpath(py_file)  # type: ignore[no-untyped-call]
        self._folder = os.path.join(_temporary_folder(), subpath)

    def get_cache_path(self) -> str:
        return self._folder


class _Implementation(caching.CompileResultCacheImpl):
    _locator_classes = [*caching.CompileResultCacheImpl._locator_classes, _TemporaryLocator]  # noqa: RUF012 - numba calls it an attribute


class _Cache(caching.FunctionCache):
    """Numba's cache of a kernel, whose failures cost time and nothing else."""

    _impl_class = _Implementation

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        except Exception:  # a file that was cut short raises whatever unpickling meets
            with contextlib.suppress(OSError):
                self.flush()  # type: ignore[no-untyped-call]
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]
        except Exception as error:
            _say_not_kept(getattr(error, "strerror", None) or type(error).__name__)
            self.disable()  # type: ignore[no-untyped-call]
