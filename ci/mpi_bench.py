"""Measure distributed products beside PETSc's own matrix, their scaling from one rank to two, and memory per rank.

`ci/bench --mpi` starts this file under mpirun, in the interpreter of ci/mpi, once for each row; the ranks print JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import launcher
import numpy as np
from adaptive import table
from mpi_stationary import stationary_table
from references import MODELS

RANKS = (1, 2)
ROUNDS = 3  # of both numbers of ranks in turn, of which the best counts
RUNS = 15
STEPS = 20  # in which the memory of a transient shows
WARM = 40  # bound of a box whose states cost nothing to speak of
STATES = 5_000_000
PRODUCTS = 100
TIME_LIMIT = 1800.0
DISAGREEMENT = 1e-13  # relative, between our product and PETSc's
NOTE = """\
Two ranks on a machine of two cores, which share its memory bandwidth; seconds are wall time, of the slowest rank, the \
best of three rounds in which both numbers of ranks take turns.
One product is the shortest of 15.
`AIJ` is PETSc's matrix made of the same generator; both products agree to rounding, which is checked.
Targets: 1.7 times from one rank to two on five million states, and memory of the problem that halves to within 15 %.
The memory of the problem is the peak of a rank above what it takes after importing and with kernels loaded."""


# ---- on the ranks


def main() -> None:
    kind, name, *sizes = sys.argv[1:]
    work = {"products": products, "scaling": scaling, "memory": memory}[kind]
    from fsp.petsc import Communicator

    comm = Communicator()
    record = work(comm, name, *map(int, sizes))
    if comm.rank == 0:
        print(json.dumps(record))


def problem(comm: Any, name: str, bound: int) -> tuple[Any, Any]:
    """Return the generator of a model on a box, and a random vector of the own states."""
    import fsp
    from fsp.petsc import Generator, StateSpace

    model = comm.share(lambda: fsp.load(MODELS / f"{name}.ant"))
    space = StateSpace.box(model, bound, comm=comm)
    return Generator(model, space), np.random.default_rng(comm.rank).random(space.n_local)


def seconds_of(comm: Any, work: Callable[[], Any], runs: int) -> float:
    """Return the least wall seconds, of the slowest rank, of `runs` calls after a first one."""
    work()
    seconds = []
    for _ in range(runs):
        comm.mpi.Barrier()
        started = perf_counter()
        work()
        seconds.append(comm.max(perf_counter() - started))
    return min(seconds)


def products(comm: Any, name: str, bound: int) -> dict[str, Any]:
    """Time one product of the operator and of PETSc's matrix; compare them."""
    generator, v = problem(comm, name, bound)
    operator = generator.operator
    out = np.empty_like(v)
    ours = seconds_of(comm, lambda: operator.product(v, out), RUNS)
    with generator.aij() as matrix:
        x, y = matrix.createVecs()
        x.getArray()[:] = v
        petsc = seconds_of(comm, lambda: matrix.mult(x, y), RUNS)
        gap = comm.max(np.abs(y.getArray() - out).max())
        entries = int(matrix.getInfo()["nz_used"]) if comm.size == 1 else 0
    size = comm.max(np.abs(out).max())
    received = comm.max(generator.halo.n_received)
    states = len(generator)
    return {"states": states, "entries": entries, "ours": ours, "aij": petsc, "gap": gap / size, "received": received}


def scaling(comm: Any, name: str, bound: int, n: int) -> dict[str, Any]:
    """Time `n` products, `n` steps of uniformization, and `n` products of PETSc's matrix."""
    generator, v = problem(comm, name, bound)
    operator = generator.operator
    out, total = np.empty_like(v), np.zeros_like(v)
    scale = 1.0 / generator.largest_exit_rate
    with generator.aij() as matrix:
        x, y = matrix.createVecs()
        x.getArray()[:] = v
        forms = {
            "products": lambda: operator.product(v, out),
            "steps": lambda: operator.step(v, out, total, scale, 0.5),
            "aij": lambda: matrix.mult(x, y),
        }
        record = {form: repeated(comm, work, n) for form, work in forms.items()}
    return {"states": len(generator), **record}


def repeated(comm: Any, work: Callable[[], Any], n: int) -> tuple[float, float]:
    """Return wall and CPU seconds, of the slowest rank, of `n` calls after a first one."""
    work()
    comm.mpi.Barrier()
    wall, cpu = perf_counter(), process_time()
    for _ in range(n):
        work()
    return comm.max(perf_counter() - wall), comm.max(process_time() - cpu)


def memory(comm: Any, name: str, bound: int, assembled: int) -> dict[str, Any]:
    """Measure what a rank takes for the generator and some steps of uniformization, or PETSc's matrix and products."""
    steps(comm, name, min(bound, WARM), assembled)  # loads kernels
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back
    before = megabytes("VmRSS")
    states = steps(comm, name, bound, assembled)
    peak = megabytes("VmHWM")
    return {"states": states, "problem": comm.max(peak - before), "process": comm.max(peak)}


def steps(comm: Any, name: str, bound: int, assembled: int) -> int:
    """Apply the generator some times; return the number of states."""
    generator, v = problem(comm, name, bound)
    if assembled:
        with generator.aij() as matrix:
            x, y = matrix.createVecs()
            for _ in range(STEPS):
                matrix.mult(x, y)
            x.destroy()
            y.destroy()
        return len(generator)
    out, total = np.empty_like(v), np.zeros_like(v)
    operator, scale = generator.operator, 1.0 / generator.largest_exit_rate
    for _ in range(STEPS):
        operator.step(v, out, total, scale, 0.05)
        v, out = out, v
    return len(generator)


def megabytes(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1000


# ---- the page


def distributed(states: int, n: int) -> str:
    """Return the tables, on `states` states and with `n` products."""
    subprocess.run([launcher.ROOT / "ci" / "mpi"], check=True, stdout=sys.stderr)
    square, cube = round(states**0.5) - 1, round(states ** (1 / 3))
    cases = [
        ("toggle_hill", min(square, 999)),
        ("ring3", min(cube, 139)),
        ("ring3", cube),
    ]
    tables = [product_table(list(dict.fromkeys(cases))), scaling_table("ring3", cube, n), memory_table("ring3", cube)]
    return "\n\n".join([*tables, stationary_table(states)])


def on_ranks(n: int, *words: Any) -> Any:
    done = launcher.mpirun(n, Path(__file__), *words, timeout=TIME_LIMIT)
    if done.returncode:
        sys.exit(f"ci/bench --mpi: {' '.join(map(str, words))} on {n} ranks:\n{done.stdout}\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def product_table(cases: list[tuple[str, int]]) -> str:
    rows = []
    for name, bound in cases:
        best = {}
        for _ in range(ROUNDS):
            for n in RANKS:
                new = on_ranks(n, "products", name, bound)
                old = best.setdefault(n, new)
                best[n] = {**new, **{form: min(old[form], new[form]) for form in ("ours", "aij")}}
        single, pair = (best[n] for n in RANKS)
        worst = max(single["gap"], pair["gap"])
        if worst > DISAGREEMENT:
            sys.exit(f"ci/bench --mpi: products of {name} differ from PETSc's by {worst:.1e} of their largest entry")
        dimension = {"toggle_hill": "²", "ring3": "³"}[name]
        rows.append(
            f"| {name}, box {bound + 1}{dimension} | {single['states']:,} | {single['entries']:,} | "
            f"{pair['received']:,} | {single['aij'] / single['ours']:.1f} | {pair['aij'] / pair['ours']:.1f} | "
            f"{single['ours'] * 1e3:.3f} | {pair['ours'] * 1e3:.3f} | {single['aij'] * 1e3:.3f} | "
            f"{pair['aij'] * 1e3:.3f} |"
        )
    return table(
        "| network, space | states | nonzeros | values that a rank of two receives | AIJ ÷ ours, 1 rank | "
        "AIJ ÷ ours, 2 ranks | ms, 1 rank | ms, 2 ranks | ms, AIJ, 1 rank | ms, AIJ, 2 ranks |",
        rows,
    )


def scaling_table(name: str, bound: int, n: int) -> str:
    runs: dict[int, list[Any]] = {ranks: [] for ranks in RANKS}
    for _ in range(ROUNDS):
        for ranks in RANKS:
            runs[ranks].append(on_ranks(ranks, "scaling", name, bound, n))
    states = runs[1][0]["states"]
    titles = {"products": "products of runs", "steps": "steps of uniformization", "aij": "products, AIJ"}
    rows = []
    for form, title in titles.items():
        wall, cpu = ([min(run[form][i] for run in runs[ranks]) for ranks in RANKS] for i in (0, 1))
        rows.append(
            f"| {n} {title} | {states:,} | {wall[0] / wall[1]:.2f} | {cpu[0] / cpu[1]:.2f} | {wall[0]:.2f} | "
            f"{wall[1]:.2f} |"
        )
    return table("| work | states | speed-up, 2 ranks | of CPU seconds | s, 1 rank | s, 2 ranks |", rows)


def memory_table(name: str, bound: int) -> str:
    rows = []
    for assembled, title in ((0, "steps of uniformization, runs"), (1, "products, AIJ")):
        single, pair = (on_ranks(ranks, "memory", name, bound, assembled) for ranks in RANKS)
        rows.append(
            f"| {STEPS} {title} | {single['states']:,} | {pair['problem'] / single['problem']:.2f} | "
            f"{single['problem']:.0f} | {pair['problem']:.0f} | {single['process']:.0f} | {pair['process']:.0f} |"
        )
    return table(
        "| work | states | of the problem's memory on each of 2 ranks | MB, 1 rank | MB, each of 2 | "
        "MB, whole process, 1 rank | MB, each of 2 |",
        rows,
    )


if __name__ == "__main__":
    main()
