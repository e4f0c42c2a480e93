"""Where compiled kernels lie: object files, named by the sources and the level of processors that they belong to.

The build puts objects into the package; where sources have changed since, or the processor is another, the object is
compiled into the user's cache, once for all processes.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import importlib.util
import logging
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fsp.compilation.parts import PACKAGE, PARTS, sources
from fsp.errors import BackendError

try:
    import fcntl
except ImportError:  # not on Windows, where two processes may compile the same
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger("fsp")

BUILDERS = ("build", "calling", "kernel", "lanes", "lowering")  # what an object depends on, beside the kernels
# Best first: what a processor must have (the psABI's levels), beside what LLVM calls it.
LEVELS = {
    "x86-64-v4": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
    "x86-64-v3": {"avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"},
    "x86-64-v2": {"cx16", "popcnt", "sahf", "sse3", "sse4.1", "sse4.2", "ssse3"},
}


def fingerprint(part: str) -> str:
    """Return what tells objects of other sources, systems and kinds of Python apart."""
    digest = hashlib.sha256(f"{sys.platform} {platform.machine()} {object.__basicsize__}".encode())
    for path in [*sources(part), *(PACKAGE / "compilation" / f"{name}.py" for name in BUILDERS)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def levels() -> list[str]:
    """Return the levels that this processor can run, the best first."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return ["generic"]
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    return [name for name, needed in LEVELS.items() if all(features.get(feature) for feature in needed)] or ["x86-64"]


def name_of(part: str, level: str) -> str:
    """Return the name of the object of a part for a level."""
    return f"{part}-{fingerprint(part)}-{level}.o"


def find(part: str) -> Path:
    """Return the object of a part for this processor, compiled where there is none."""
    return _lying(part) or _compiled_together(part)


def _lying(part: str) -> Path | None:
    """Return where the object of a part for this processor lies, if it does."""
    names = [name_of(part, level) for level in levels()]
    places = (folder / name for folder in (PACKAGE / "compilation", cache()) for name in names)
    return next(filter(is_whole, places), None)


def is_whole(path: Path) -> bool:
    """Tell whether an object is there and was not cut short, which LLVM's linker does not check."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError:  # none, or one that this user may not read
        return False
    if sys.platform != "linux":  # where objects have another format
        return len(head) > 0
    if len(head) < 64 or head[:5] != b"\x7fELF\x02":
        return False
    # The table of sections comes last; its place and size as in the header of ELF64, little-endian.
    place, size, count = (int.from_bytes(head[first:end], "little") for first, end in ((40, 48), (58, 60), (60, 62)))
    return path.stat().st_size >= place + size * count


def cache() -> Path:
    """Return the user's cache folder: ``FSP_CACHE_DIR``, or the system's."""
    if "FSP_CACHE_DIR" in os.environ:
        return Path(os.environ["FSP_CACHE_DIR"])
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", tempfile.gettempdir())) / "fsp"
    try:
        home = Path.home()
    except RuntimeError:  # neither HOME nor a name of the user, as in containers
        home = Path(os.devnull)  # in which no folder can be made
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "fsp"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "fsp"


def _compiled_together(part: str) -> Path:
    """Compile a part, and at the same time all that lie nowhere: a run that needs one needs most."""
    from concurrent.futures import ThreadPoolExecutor  # here, as nothing is compiled as a rule

    _announce()
    folder, level = _open_cache(), levels()[0]
    missing = [part, *(other for other in PARTS if other != part and _lying(other) is None)]
    with ThreadPoolExecutor(len(missing)) as pool:
        works = [pool.submit(_compiled, folder / name_of(each, level), each, level) for each in missing]
    return works[0].result()  # another that failed says so when it is asked for


def _open_cache() -> Path:
    """Return the cache folder; a temporary one, of this process and of those that it starts, where that is closed."""
    folder = cache()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        folder = Path(tempfile.mkdtemp(prefix="fsp-kernels-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        logger.warning("fsp cannot keep its compiled kernels (%s): set FSP_CACHE_DIR to a folder that lasts.", error)
        os.environ["FSP_CACHE_DIR"] = str(folder)
    return folder


def _compiled(path: Path, part: str, level: str) -> Path:
    """Compile the object, unless another process did meanwhile."""
    with _lock(path.with_suffix(".lock")):
        if not is_whole(path):
            _compile(path, part, level)
    return path


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Let one process at a time do what is inside."""
    with path.open("a") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@functools.cache
def _announce() -> None:
    """Say why the process waits, once for all parts; not where it cannot."""
    if importlib.util.find_spec("numba") is not None:
        logger.warning("fsp compiles its kernels, as none lie here that belong to its sources: a minute, once.")


def _compile(path: Path, part: str, level: str) -> None:
    """Compile the object in a process of its own."""
    import subprocess  # here, as nothing is compiled as a rule

    command = [sys.executable, "-m", "fsp.compilation.build", str(path), part, level]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), *filter(None, sys.path)]),
        "PYTHONHASHSEED": "0",  # else the order of functions, and with it the last digits of sums, is chance
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise BackendError(
            f"Compiled kernels must belong to fsp's sources and to this processor ({level}), but none do, and they "
            f"could not be compiled: {last}  Install fsp anew, or numba beside it (pip install numba)."
        )
