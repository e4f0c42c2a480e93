"""One stationary vector on a box, in a process of its own: `python ci/boxes.py CASE ours` (or splu) prints JSON."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from time import process_time

import numpy as np
from references import MODELS
from scipy.sparse import linalg

import fsp
from fsp.chains.classes import close_leaks, closed_classes
from fsp.chains.null_vectors import null_vector
from fsp.projection.growth import starting_vector

# Case: model, largest counts, those of the reference (beyond, less than 1e-13), its method, peers' CPU s (error).
CASES = {
    "toggle_hill 200²": ("toggle_hill", {"U": 199, "V": 199}, {"U": 199, "V": 199}, "gth", "0.11 to 0.16 (2e-11)"),
    "toggle_hill 500²": ("toggle_hill", {"U": 499, "V": 499}, {"U": 249, "V": 249}, "gth", "1.0 to 2.5"),
    "toggle_hill 1000²": ("toggle_hill", {"U": 999, "V": 999}, {"U": 249, "V": 249}, "gth", "4.2 to 19 (3e-12)"),
    "ring3 100³": (
        "ring3",
        {"X": 99, "Y": 99, "Z": 99},
        {"X": 63, "Y": 63, "Z": 63},
        "multilevel",
        "7.7 (4e-10), 35 (7e-14)",
    ),
    "schloegl_small 3001": ("schloegl_small", {"X": 3000}, {"X": 3000}, "gth", "fails, or (2e-10)"),
}
NO_SPLU = {"ring3 100³"}  # 8 GB


def closed_chain(model, upper):
    """Return the reflecting chain on a box."""
    space = fsp.StateSpace.box(model, upper=upper)
    generator = fsp.Generator(model, space)
    start = starting_vector(model, space)
    return space, close_leaks(generator.to_csr(), generator.leak_rates, start)


def ours(model, upper):
    """Return the stationary vector on a box, from the model on: with the space, the matrix and its classes."""
    space, matrix = closed_chain(model, upper)
    if len(closed_classes(matrix).members) != 1:
        raise RuntimeError("A box of these models must have one closed class.")
    return space, null_vector(matrix).p


def splu(model, upper):
    """Return the same by a sparse factorisation with the initial state fixed."""
    space, matrix = closed_chain(model, upper)
    kept = np.delete(np.arange(len(space)), fixed := int(np.argmax(starting_vector(model, space))))
    lu = linalg.splu((-matrix[kept][:, kept]).tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
    p = np.ones(len(space))
    p[kept] = lu.solve(matrix[kept][:, [fixed]].toarray().ravel())
    return space, p / p.sum()


def error(model, space, p, upper, method):
    """Return the 1-norm distance to a reference that takes another way."""
    inner, matrix = closed_chain(model, upper)
    exact = np.zeros(len(p))
    exact[space.index(inner.states)] = null_vector(matrix, method).p
    return float(np.abs(p - exact).sum())


def measured(case, solver):
    """Return CPU seconds, MiB and error of a case in a process of its own; None where it failed."""
    run = subprocess.run([sys.executable, __file__, case, solver], capture_output=True, text=True, check=False)
    return json.loads(run.stdout) if run.returncode == 0 else None


def rows():
    """Return a row of the table for each case."""
    written = []
    for case, (_, upper, _, _, peers) in CASES.items():
        ours = measured(case, "ours")
        peer = None if case in NO_SPLU else measured(case, "splu")
        states = int(np.prod([count + 1 for count in upper.values()]))
        other = "fails" if peer is None else f"{peer['seconds']:.2f} ({peer['error']:.0e}), {peer['mib']:,.0f}"
        mine = f"{ours['seconds']:.2f} ({ours['error']:.0e}), {ours['mib']:,.0f}"
        written.append(f"| {case} | {states:,} | {mine} | {other} | {peers} |")
    return written


def peak():
    """Return the peak of this program's memory in MiB; the one that the system reports is that of its parent too."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    """Measure one case."""
    case, solver = sys.argv[1:]
    name, upper, reference, method, _ = CASES[case]
    model = fsp.load(MODELS / f"{name}.ant")
    solve = {"ours": ours, "splu": splu}[solver]
    warm = {1: 500, 2: 110, 3: 22}[len(upper)]
    null_vector(closed_chain(model, dict.fromkeys(upper, warm))[1])  # loads the kernels
    started = process_time()
    space, p = solve(model, upper)
    seconds = process_time() - started
    mib = peak()
    print(json.dumps({"seconds": seconds, "mib": mib, "error": error(model, space, p, reference, method)}))


if __name__ == "__main__":
    main()
