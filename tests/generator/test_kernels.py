"""Compiled kernels give the same digits whatever was compiled or loaded before them."""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys

from numba.extending import is_jitted

import fsp
from fsp.generator import closed_kernels

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
kernels.arnoldi(operator.compiled, V, H, 2, 0, 30)
print(hashlib.sha256(V.tobytes()).hexdigest())
"""


def kernels():
    """Return every kernel of the package by its name, and the names in its code."""
    found = {}
    for info in pkgutil.walk_packages(fsp.__path__, "fsp."):
        if not info.name.endswith("kernels"):
            continue
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            if is_jitted(value) and value.py_func.__module__ == info.name:
                found[f"{info.name}.{name}"] = value
    return found


def names(code):
    """Return the names of globals in a code object and in those inside it."""
    inner = (constant for constant in code.co_consts if hasattr(constant, "co_names"))
    return set(code.co_names).union(*(names(one) for one in inner))


def test_reordered_sums_have_no_copies():
    found = kernels()
    name_of = {id(kernel): name for name, kernel in found.items()}
    reads = {
        name: [kernel.py_func.__globals__.get(word) for word in names(kernel.py_func.__code__)]
        for name, kernel in found.items()
    }
    calls = {name: {name_of[id(value)] for value in values if id(value) in name_of} for name, values in reads.items()}
    multiplies = {name for name, values in reads.items() if closed_kernels.multiply in values}
    reordered = {name for name, kernel in found.items() if kernel.targetoptions.get("fastmath")} | multiplies
    assert len(reordered) > 20
    while more := {name for name in found if name not in reordered and calls[name] & reordered}:
        reordered |= more
    # What `multiply` stands for calls this one.
    called = set().union(*calls.values()) | {"fsp.generator.run_kernels.product_runs"}
    options = {name: found[name].targetoptions for name in reordered & called}
    assert [n for n, o in options.items() if not (o.get("forceinline") or o.get("inline") == "always")] == []


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
