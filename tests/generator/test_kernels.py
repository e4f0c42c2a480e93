"""Every kernel has types and one copy, and gives the same digits in every process."""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
import typing

import fsp
from fsp.compilation.kernel import Kernel
from fsp.compilation.parts import PARTS, sources

PROBE = """
import hashlib
import numpy as np
import fsp
from fsp.solvers import kernels

model = fsp.Model(
    species={"A": 0, "B": 0},
    reactions=[
        fsp.Reaction("0 -> A", rate="20/(1 + B)"), fsp.Reaction("0 -> B", rate="30/(1 + A^2)"),
        fsp.Reaction("A -> 0", mass_action=1.0), fsp.Reaction("B -> 0", mass_action=1.0),
    ],
)
operator = fsp.Generator(model, fsp.StateSpace.box(model, upper=40)).operator
random = np.random.default_rng(1)
if FIRST:
    w, v, u = random.random((3, operator.size))
    kernels._subtract(w, 0.1, v, 0.2, u)
V, H = np.zeros((31, operator.size)), np.zeros((31, 30))
V[0] = np.random.default_rng(2).random(operator.size)
V[0] /= np.linalg.norm(V[0])
kernels.arnoldi(operator.compiled, V, H, np.ones(31), 2, 0, 30)
print(hashlib.sha256(V.tobytes()).hexdigest())
"""


def kernels():
    """Return every kernel of the package by its name."""
    found = {}
    for info in pkgutil.walk_packages(fsp.__path__, "fsp."):
        if info.name.endswith("kernels"):
            module = importlib.import_module(info.name)
            found |= {k.name: k for k in vars(module).values() if isinstance(k, Kernel)}
    return found


def test_a_kernel_has_types_for_all_parameters_or_for_none():
    found = kernels()
    assert len(found) > 100
    for name, kernel in found.items():
        code = kernel.function.__code__
        parameters = set(code.co_varnames[: code.co_argcount])
        assert set(typing.get_type_hints(kernel.function)) in (parameters, set()), name


def test_every_kernel_belongs_to_a_part():
    assert {kernel.function.__module__ for kernel in kernels().values()} <= {
        f"fsp.{path.parent.name}.{path.stem}" for part in PARTS for path in sources(part)
    }


def test_what_is_loaded_first_changes_no_digit():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    digits = {
        subprocess.run(
            [sys.executable, "-c", f"FIRST = {first}\n{PROBE}"],
            env=environment, check=True, capture_output=True, text=True,
        ).stdout
        for first in (False, True)
    }  # fmt: skip
    assert len(digits) == 1
