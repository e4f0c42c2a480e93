"""Run the tests of kernels on objects that check every access to memory: `ci/examine kernels [TEST ...]`.

LLVM's code of the kernels, as it is built, is compiled again by clang with ``-fsanitize=address``, and the tests run
with its runtime loaded before Python, whose memory then comes from it.  First a kernel is made to read behind an array,
which must be reported.  Then the tests run with the kernels as Python, in which numpy refuses places outside of arrays,
integers divided by zero and numbers that no integer holds; integers without a sign wrap around on purpose.

numpy must be 2 or newer, where a kernel's integer without a sign stays one when Python's is added to it.
Clang must be as new as the LLVM of llvmlite: ``pip install ziglang`` brings one, without a runtime; gcc has that.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from fsp.compilation import objects, parts
from fsp.compilation.kernel import Kernel

TESTS = ("tests/generator/test_blocks.py", "tests/generator/test_operator.py")
# Some of them, as Python takes minutes for all: blocks of vectors, rows, and vector registers.
AS_PYTHON = (
    f"{TESTS[0]}::test_blocks_follow_the_clocks",
    f"{TESTS[0]}::test_matrices_are_added_to_vectors_of_a_block",
    f"{TESTS[1]}::test_registers_stay_inside_of_a_range",
)
FOLDER = "FSP_SANITIZED"  # names the folder of the objects to the processes that use them; "python" for none
FLAGS = [
    "-c",
    "-O1",
    "-mavx2",
    "-mfma",
    "-fno-stack-protector",
    "-fsanitize=address",
    "-fsanitize-address-use-after-return=never",
    "-mllvm",
    "-asan-globals=0",  # the linker at run time runs no constructors, which would register globals
]
# Reads three entries behind an array of 2,000.
OUTSIDE = """
import numpy as np
from examination import sanitized
sanitized.use(None)
from fsp.generator.block_kernels import add_products
n, last = 2000, np.arange(2000)
last[-1] = n + 3
add_products(np.arange(n + 1), last, np.ones(n), 1.0, np.ones(n), np.zeros(n), np.zeros(1, int), np.ones(1, int))
"""


def run(tests: list[str]) -> int:
    """Run tests, those of products where none are named; return 0 where nothing is reported."""
    checked_tests, as_python = tests or list(TESTS), tests or list(AS_PYTHON)
    status = 0
    clang, runtime = _clang(), _runtime()
    if clang is None or runtime is None:
        missing = "clang (pip install ziglang)" if clang is None else "its runtime libasan.so (gcc)"
        print(f"Memory is not checked: {missing} is missing.", file=sys.stderr)
        status = 1
    else:
        with tempfile.TemporaryDirectory() as folder:
            for part in parts.PARTS:
                _compile(clang, part, Path(folder))
            checked = {
                FOLDER: folder,
                "LD_PRELOAD": runtime,
                "PYTHONMALLOC": "malloc",
                "ASAN_OPTIONS": "detect_leaks=0",
            }
            seen = _python(["-c", OUTSIDE], checked, capture_output=True)
            if "heap-buffer-overflow" not in seen.stderr:
                print(f"An access outside of an array was not reported: {seen.stderr[-500:]}", file=sys.stderr)
                return 1
            print("An access outside of an array is reported; the tests:", flush=True)
            status |= _tests(checked_tests, checked)
    print("The tests with kernels as Python:", flush=True)
    return status | _tests(as_python, {FOLDER: "python"})


def use(config: Any) -> None:
    """Take the objects of the folder, or Python: pytest calls it by the name below."""
    folder = os.environ[FOLDER]
    if folder == "python":
        Kernel.__call__ = _as_python  # type: ignore[method-assign]
    else:
        objects.find = lambda part: Path(folder) / f"{part}.o"


pytest_configure = use


def _as_python(kernel: Kernel, *args: Any) -> Any:
    defaults = kernel.function.__defaults__ or ()
    missing = kernel.function.__code__.co_argcount - len(args)
    with np.errstate(over="ignore", divide="raise", invalid="raise"):
        return kernel.function(*args, *(defaults[-missing:] if missing else ()))


def _tests(tests: list[str], more: dict[str, str]) -> int:
    plugins = ["-p", "examination.sanitized", "-p", "no:cacheprovider"]
    return _python(["-m", "pytest", "-q", "-x", *plugins, *tests], more).returncode


def _python(args: list[str], more: dict[str, str], **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *args], env=os.environ | more, text=True, check=False, **options)


def _clang() -> list[str] | None:
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-gnu"]
    if shutil.which("clang"):
        return ["clang"]
    return None


def _runtime() -> str | None:
    if not shutil.which("gcc"):
        return None
    name = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout
    return name.strip() if Path(name.strip()).is_absolute() else None


def _compile(clang: list[str], part: str, folder: Path) -> None:
    """Compile the kernels of a part in a process of its own, since numba compiles those that are imported by it."""
    code, made = folder / f"{part}.ll", folder / f"{part}.o"
    subprocess.run([sys.executable, "-m", "examination.sanitized", part, str(code)], check=True)
    subprocess.run([*clang, *FLAGS, "-w", "-o", str(made), str(code)], check=True)


def _write_code(part: str, path: str) -> None:
    """Write LLVM's code of the kernels of a part, marked to be checked."""
    from fsp.compilation.build import compiled

    module = compiled(part, "x86-64-v3")
    for function in module.functions:
        if not function.is_declaration:
            function.add_function_attribute("sanitize_address")
    Path(path).write_text(str(module), encoding="utf-8")


if __name__ == "__main__":
    _write_code(*sys.argv[1:])
