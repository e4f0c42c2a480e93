"""Measure enumeration, products, solvers and start-up; write docs/benchmarks.md.

Every figure is the median of several runs in this one process (`first`: of whole processes), on one core unless a
number of threads is said; the peers run in the same process on the same generator.  Counts do not depend on the
machine.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import boxes
import certified
import derivatives
import first
import fits
import mpi_bench
import numpy as np
import osmotic_stress
import questions_of_time
import scipy
import verification
import wrong_samplers
from adaptive import CASES, Report, table
from examination import report as examined
from references import MODELS
from scipy.integrate import solve_ivp
from scipy.sparse import linalg

import fsp

ROOT = Path(__file__).resolve().parent.parent
WRITTEN = ROOT / "docs" / "benchmarks.md"
RUNS = 5
DISTRIBUTED = "distributed"  # the section that only --mpi asks for
EXAMINATION = "examination"  # the section that needs what ci/examine has logged


def timed(work: Callable[[], Any], runs: int = RUNS) -> tuple[float, Any]:
    """Return the median CPU seconds of `runs` calls after a first one (0: of that one), and the last value."""
    value, seconds = (work(), []) if runs else (None, [])
    for _ in range(max(runs, 1)):
        started = process_time()
        value = work()
        seconds.append(process_time() - started)
    return median(seconds), value


def load(name: str) -> fsp.Model:
    return fsp.load(MODELS / f"{name}.ant")


CASCADE = """
model cascade()
  make_A: => A; 40;        A_decay: A => ; A;       bind: A + B => C; 0.001*A*B;
  make_B: => B; 30;        B_decay: B => ; 0.5*B;   unbind: C => A + B; 2*C;
  C_decay: C => ; 0.3*C;
  A = 0; B = 0; C = 0;
end
"""
COMPETING = """
model competing()
  make_X: => X; 20/(1 + X + Y + Z);   X_decay: X => ; X/(1 + 0.1*(X + Y + Z));
  make_Y: => Y; 10;                   Y_decay: Y => ; Y;
  make_Z: => Z; 10;                   Z_decay: Z => ; Z;
  X = 0; Y = 0; Z = 0;
end
"""


def product_cases() -> list[tuple[str, fsp.Model, fsp.StateSpace]]:
    """Return networks and spaces whose products are measured."""
    ring, hill = load("ring3"), load("toggle_hill")
    with tempfile.TemporaryDirectory() as folder:
        written = []
        for text in (CASCADE, COMPETING):
            path = Path(folder) / "model.ant"
            path.write_text(text, encoding="utf-8")
            written.append(fsp.load(path))
    cascade, competing = written
    return [
        ("ring3, Hill rates, X + Y + Z <= 250", ring, fsp.StateSpace.reachable(ring, ["X + Y + Z <= 250"])),
        ("ring3, box 140³", ring, fsp.StateSpace.box(ring, 139)),
        ("cascade, mass action, box 140³", cascade, fsp.StateSpace.box(cascade, 139)),
        ("cascade, A + B + C <= 240", cascade, fsp.StateSpace.reachable(cascade, ["A + B + C <= 240"])),
        ("competing, two rates do not factorise, box 140³", competing, fsp.StateSpace.box(competing, 139)),
        ("toggle_hill, box 1000²", hill, fsp.StateSpace.box(hill, 999)),
        ("toggle_hill, box 100²", hill, fsp.StateSpace.box(hill, 99)),
        ("ring3, X + Y + Z <= 37", ring, fsp.StateSpace.reachable(ring, ["X + Y + Z <= 37"])),
    ]


def products() -> str:
    rows = []
    for name, model, space in product_cases():
        v = np.random.default_rng(0).random(len(space))
        out = np.empty_like(v)
        ours = [_product_seconds(model, space, v, out, threads) for threads in (1, 2)]
        matrix = fsp.Generator(model, space).to_csr()
        scipys = shortest(lambda a=matrix, v=v: a @ v)
        petsc = _petsc_seconds(matrix, v)
        copy = shortest(lambda v=v, out=out: np.copyto(out, v))
        bandwidth = (24.0 / ours[0]) / (16.0 / copy)
        rows.append(
            f"| {name} | {len(space):,} | {matrix.nnz:,} | {scipys / ours[0]:.1f} | {scipys / ours[1]:.1f} | "
            f"{'n/a' if petsc is None else f'{petsc / ours[0]:.1f}'} | {bandwidth:.0%} | "
            f"{ours[0] * 1e3:.3f} | {ours[1] * 1e3:.3f} |"
        )
    return table(
        "| network, space | states | nonzeros | scipy ÷ ours | scipy ÷ ours, 2 threads | PETSc AIJ ÷ ours | "
        "24 bytes a state, of the copy's bandwidth | ms | ms, 2 threads |",
        rows,
    )


def blocks() -> str:
    """Measure products of blocks of eight vectors, and of other widths on the smallest space."""
    toggle = load("toggle2d")
    small = ("toggle2d, U + V <= 93", toggle, fsp.StateSpace.reachable(toggle, ["U + V <= 93"]))
    rows = [_of_block(*case, 8) for case in (small, *product_cases())]
    widths = [_of_block(*small, m) for m in (2, 3, 4, 5, 6, 12, 16, 24, 32)]
    return table(
        "| network, space | states | vectors | ns a state and vector, one by one | in a block | ratio | "
        "one by one ÷ `generator @ V` | one by one ÷ copy |",
        [*rows, *widths],
    )


def _of_block(name: str, model: fsp.Model, space: fsp.StateSpace, m: int) -> str:
    operator = fsp.Generator(model, space).operator
    n, block = operator.n, operator.block(m)
    vectors, images = np.random.default_rng(0).random((m, n)), np.empty((m, n))
    v, image, columns = block.enter(vectors.T), block.zeros(), np.ascontiguousarray(vectors.T)

    def single() -> None:
        for x, y in zip(vectors, images, strict=True):
            operator.product(x, y)

    def copy() -> None:
        np.copyto(images, vectors)

    works = (single, lambda: block.product(v, image), lambda: operator @ columns, copy)
    least = [
        min(turn) for turn in zip(*([shortest(work, 5, process_time) for work in works] for _ in range(4)), strict=True)
    ]
    one_by_one, together, in_order, copied = (1e9 * seconds / (n * m) for seconds in least)
    return (
        f"| {name} | {n:,} | {m} | {one_by_one:.2f} | {together:.2f} | {one_by_one / together:.1f} | "
        f"{one_by_one / in_order:.1f} | {one_by_one / copied:.1f} |"
    )


def shortest(work: Callable[[], Any], runs: int = 15, clock: Callable[[], float] = perf_counter) -> float:
    """Return the least seconds of `runs` calls after a first one: a product is too short for a median."""
    work()
    seconds = []
    for _ in range(runs):
        started = clock()
        work()
        seconds.append(clock() - started)
    return min(seconds)


def _product_seconds(model: fsp.Model, space: fsp.StateSpace, v: np.ndarray, out: np.ndarray, threads: int) -> float:
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read when an operator is made
    operator = fsp.Generator(model, space).operator
    os.environ["OMP_NUM_THREADS"] = "1"
    return shortest(lambda: operator.product(v, out))


def _petsc_seconds(matrix: Any, v: np.ndarray) -> float | None:
    try:
        from petsc4py import PETSc
    except ImportError:
        return None
    a = PETSc.Mat().createAIJ(
        matrix.shape, csr=(matrix.indptr.astype(PETSc.IntType), matrix.indices.astype(PETSc.IntType), matrix.data)
    )
    x, y = PETSc.Vec().createWithArray(v), PETSc.Vec().createWithArray(np.empty_like(v))
    return shortest(lambda: a.mult(x, y))


def forms() -> str:
    rows = []
    for name, model, space in product_cases():
        build = shortest(lambda m=model, s=space: fsp.Generator(m, s).operator, 3)
        generator = fsp.Generator(model, space)
        started = perf_counter()
        matrix = generator.to_csr()
        assembly = perf_counter() - started
        csr_bytes = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
        rows.append(
            f"| {name} | {generator.nbytes / csr_bytes:.2%} | {assembly / build:.1f} | {generator.nbytes / 1e6:.2f} | "
            f"{csr_bytes / 1e6:.1f} | {build * 1e3:.1f} | {assembly * 1e3:.1f} |"
        )
    return table(
        "| network, space | bytes of CSR's | assembling CSR ÷ building | MB | MB, CSR | ms, building | ms, CSR |", rows
    )


LARGE = """
import sys, time, fsp
model = fsp.load(sys.argv[1])
space = fsp.StateSpace.box(model, int(sys.argv[2]) - 1)
beats = []
started = time.perf_counter()
solution = fsp.transient(model, [float(sys.argv[3])], 1e-4, space=space, progress=beats.append)
seconds = time.perf_counter() - started
with open("/proc/self/status") as status:  # ru_maxrss counts the parent's memory before exec
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 2**20
print(len(space), solution.statistics["n_matvec"], solution[-1].error.total, len(beats), peak, seconds, solution.solver)
"""


def large() -> str:
    rows = []
    for side, t in ((100, 0.25), (216, 0.1), (465, 0.05)):
        command = [sys.executable, "-c", LARGE, str(MODELS / "ring3.ant"), str(side), str(t)]
        environment = {**os.environ, "OMP_NUM_THREADS": "2"}
        out = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.split(
            maxsplit=6
        )
        rows.append(
            f"| ring3, box {side}³, t = {t:g} | {int(out[0]):,} | {int(out[1]):,} | {float(out[2]):.1e} | "
            f"{out[6].split('(')[0]} | {int(out[3])} | {float(out[4]):.2f} | {float(out[5]):.1f} |"
        )
    return table("| network, box, time | states | products | bound | solver | progress reports | GiB | s |", rows)


def spaces_and_assembly() -> str:
    ring = load("ring3")
    rows = []
    seconds, box = timed(lambda: _touch(fsp.StateSpace.box(ring, 199)))
    rows.append(_rate("box 200³ of ring3", len(box), "states", seconds, 10))
    for name, constraint in (
        ("ring3", "X + Y + Z <= 250"),
        ("repressilator", "X1 + X2 + X3 <= 200"),
        ("goutsias", "M + D <= 80 && RNA <= 20"),
        ("toggle_hill", "U + V <= 1600"),
        ("sir", None),
    ):
        model = load(name)
        conditions = [constraint] if constraint else []
        seconds, space = timed(lambda m=model, c=conditions: fsp.StateSpace.reachable(m, c), 3)
        rows.append(_rate(f"reachable set of {name}, {constraint or 'closed'}", len(space), "states", seconds, 10))
        seconds, matrix = timed(lambda m=model, s=space: fsp.Generator(m, s).to_csr(), 3)
        rows.append(_rate(f"CSR matrix of {name} on it", matrix.nnz, "nonzeros", seconds, 10))
    return table("| work | count | million/s | target | seconds |", rows)


def _touch(space: fsp.StateSpace) -> fsp.StateSpace:
    assert space.states.shape[0] == len(space)
    return space


def _rate(what: str, count: int, unit: str, seconds: float, target: float) -> str:
    return f"| {what} | {count:,} {unit} | {count / seconds / 1e6:.1f} | ≥ {target} | {seconds:.3f} |"


FIXED = [
    ("toggle_hill", 199, 10.0, 1e-8),
    ("toggle_hill", 999, 10.0, 1e-8),
    ("schloegl_small", 1500, 4.0, 1e-8),
    ("enzyme", None, 5.0, 1e-8),
    ("telegraph_fast", {"Goff": 1, "Gon": 1, "M": 300}, 5.0, 1e-8),
]


def fixed_spaces() -> str:
    rows = []
    for name, bound, t, tol in FIXED:
        model = load(name)
        space = fsp.StateSpace.reachable(model) if bound is None else fsp.StateSpace.box(model, bound)
        generator = fsp.Generator(model, space)
        matrix = generator.to_csr()
        p = np.zeros(len(space))
        p[space.index(model.initial_states)] = model.initial_probabilities
        once = 0 if len(space) > 500_000 else 1
        peer, expected = timed(lambda a=matrix, v=p, t=t: linalg.expm_multiply(t * a, v), once)
        bdf, _ = timed(lambda a=matrix, v=p, t=t: _bdf(a, v, t), 0) if len(space) < 20_000 else (None, None)
        slow = len(space) > 500_000
        for solver in ("auto",) if slow else ("uniformization", "krylov", "chebyshev", "implicit", "auto"):
            work = lambda m=model, s=space, t=t, tol=tol, k=solver: fsp.transient(m, [t], tol, space=s, solver=k)  # noqa: E731
            seconds, solution = timed(work, 1)
            d = solution[-1]
            true = float(np.abs(d.probabilities - expected).sum())
            bdf_ratio = "n/a" if bdf is None else f"{bdf / seconds:.1f}"
            rows.append(
                f"| {name} t = {t:g} | {len(space):,} | {solver} | {solution.statistics['n_matvec']:,} | "
                f"{peer / seconds:.1f} | {bdf_ratio} | {d.error.total:.1e} | {true:.1e} | {seconds:.3f} |"
            )
    return table(
        "| model, time | states | solver | products | `expm_multiply` ÷ ours | BDF ÷ ours | bound | difference | s |",
        rows,
    )


def _bdf(matrix: Any, p: np.ndarray, t: float) -> np.ndarray:
    return solve_ivp(
        lambda _, y: matrix @ y, (0, t), p, method="BDF", jac=lambda *_: matrix.tocsc(), rtol=1e-6, atol=1e-10
    ).y[:, -1]


def sweeps() -> str:
    """Compare a sweep, whose points share their states, with separate runs in the same process."""
    rows = []
    for name, model, parameter, values, times, tol in sweep_cases():
        changed = [model.with_parameters({parameter: value}) for value in values]
        apart, single = timed(lambda m=changed, t=times, e=tol: [fsp.transient(point, t, e) for point in m], 1)
        together, shared = timed(
            lambda m=model, p=parameter, v=values, t=times, e=tol: fsp.sweep(m, {p: v}, t, e, processes=1), 1
        )
        growths = [sum(point.statistics["growths"] for point in all_points) for all_points in (single, shared)]
        products = [sum(point.n_matvec for point in all_points) for all_points in (single, shared)]
        rows.append(
            f"| {name}, {len(values)} values of {parameter} | {growths[0]} | {growths[1]} | {products[0]:,} | "
            f"{products[1]:,} | {apart:.2f} | {together:.2f} | {apart / together:.2f} |"
        )
    head = "| sweep | growths, apart | together | products, apart | together | CPU s, apart | together | ratio |"
    return table(head, rows)


def sweep_cases() -> list[tuple[str, fsp.Model, str, list[float], list[float], float]]:
    toggle = fsp.load(ROOT / "examples" / "toggle_switch.ant")
    gene = fsp.Model(
        species={"M": 0, "P": 0},
        parameters={"k": 4.0, "d": 4.0, "b": 5.0, "g": 1.0},
        reactions=[
            fsp.Reaction("0 -> M", mass_action="k"),
            fsp.Reaction("M -> 0", mass_action="d"),
            fsp.Reaction("M -> M + P", rate="b * d * M"),
            fsp.Reaction("P -> 0", mass_action="g"),
        ],
    )
    prey = fsp.Model(
        species={"A": 20, "B": 20},
        parameters={"a": 1.0, "b": 0.02, "c": 1.0},
        reactions=[
            fsp.Reaction("A -> 2 A", mass_action="a"),
            fsp.Reaction("A + B -> 2 B", mass_action="b"),
            fsp.Reaction("B -> 0", mass_action="c"),
        ],
    )
    return [
        ("toggle switch", toggle, "aV", np.linspace(38, 45, 12).tolist(), [10.0, 20.0, 30.0], 1e-6),
        ("gene expression", gene, "b", np.linspace(3, 6, 12).tolist(), [1.0, 4.0], 1e-6),
        ("predator and prey", prey, "a", np.linspace(0.8, 1.2, 12).tolist(), [1.0], 1e-5),
    ]


def stationary() -> str:
    head = "| box | states | ours: CPU s (true L1 error), MiB | `splu`, one state fixed | published |"
    return f"{certified.text()}\n\n{BOXES_NOTE}\n\n{table(head, boxes.rows())}"


def examination() -> str:
    """Return the tables of what ci/examine has logged."""
    logs = [ROOT / "examination" / f"{what}.jsonl" for what in ("networks", "inputs", "adjoints", "mixtures")]
    return "\n".join(examined.markdown(examined.read(log)) for log in logs if log.exists()).rstrip()


PRODUCTS_NOTE = (
    "The generator on runs of states beside its CSR matrix: shortest of 15 products each, wall time.  The targets are "
    "4 times scipy on one core and 7 times on two for three species and 2 to 3 million states, 2 times where rates do "
    "not factorise, and never slower on 10,000 states; half of the bandwidth of `numpy.copyto`, which reads and writes "
    "16 bytes a state.  "
    "On the simplices the target is missed, at 47 to 55 and 43 to 44 %, though memory has little part in it: a loop "
    "in C with the same slices takes 0.92 to 0.95 of its time where all that it reads and writes stays in the nearest "
    "cache, 0.96 where only what it writes does, and 1.05 where it writes past the caches.  In runs of 84 and 81 "
    "states a "
    "state takes 0.13 and 0.17 ns longer than in the boxes' runs of 140: some 30 ns for each run, whose scalars are "
    "read and at whose ends lanes are masked.  These were measured with other work on the machine."
)
BLOCKS_NOTE = (
    "Products of several vectors in one pass beside products of the same vectors one after the other, on one thread: "
    "the shortest of 20 in CPU time.  The target is a ratio of 2.5 for eight vectors.  A product reads its vectors and "
    "writes their images, at least 16 bytes a state and vector, which is what `numpy.copyto` of the block moves: where "
    "vectors lie in memory a ratio is at best about the time one by one ÷ that of the copy, the last column.  "
    "Where rates factorise a single product takes 1.4 to 2.2 times as long as the copy, and 2.5 is out of reach there."
    "  Eight vectors on 10,000 states take at least ten loads and two stores a state in registers of four numbers "
    "(x86-64-v3), with which they missed the target, at 2.2 to 2.4; in registers of eight it is five loads and a store."
    "  `generator @ V` is of vectors whose values of a state touch, and makes room for their images, which the "
    "products beside it have: beyond the caches that room, touched for the first time, takes as long as the product, "
    "and with room made for each of both eight are 1.3 to 1.7 times as fast.  The other columns are of blocks as "
    "solvers keep them."
)
FORMS_NOTE = "Targets: 1 % of the bytes of CSR from a million states on, 5 times faster."
LARGE_NOTE = "A box of 10⁸ states on two threads, in a process of its own: peak memory of the whole process."
FIXED_NOTE = (
    "The ratios say how many times longer the peer takes on the same generator in the same process; the difference is "
    "the 1-norm distance to `expm_multiply`, whose own error is about 1e-13.  BDF runs at rtol 1e-6, atol 1e-10, with "
    "the sparse Jacobian, and bounds nothing."
)
SWEEPS_NOTE = (
    "One parameter at twelve values: separate runs, and one sweep in the same process, in which every point starts "
    "from the states that the one before it needed.  Several processes come on top of that."
)
STATIONARY_NOTE = """\
Bounds of the 1-norm error over the infinite state space, and the sum over the stored states of upper less lower bound.
Each in a process of its own, whose peak memory is shown.
Published for the exclusive switch (aggregation-guided truncation, M. Backenköhler's dissertation): probability \
outside at most 1.5e-1, 1.3e-3, 2.0e-5 and 2.7e-7 with total widths of 5.5, 1.56, 2.9e-2 and 3.7e-4; a Lyapunov set \
alone takes 16,780 states for a probability of 0.1 outside (Dayar, Hermanns, Spieler and Wolf 2011)."""
BOXES_NOTE = """\
Null vectors on full reflecting boxes, each in a process of its own: seconds from the model on, assembly and the \
search for closed classes included, `splu` in the same run; memory is the peak of the process.
True errors are those against an elimination, or for ring3 a solve on all states of a smaller box.
Published: user CPU seconds (true error) of Storm, PRISM, PETSc and MUMPS where they succeed."""
EXAMINATION_NOTE = """\
`ci/examine --seconds 1800` draws random networks of many kinds and holds what the package says of them against a \
reference of its own in 80-bit arithmetic: its own states, rates from integers and 60 digits, uniformization and \
squaring of matrices without negative entries, elimination without subtractions, dense eigenvalues.
Asked are transients by all solvers at tolerances of 1e-2 to 1e-15, on spaces that adapt and on boxes, stationary \
distributions, intervals of probabilities, means and variances, spectral gaps, and sweeps.
`good`: the bound holds and meets the tolerance; `above tol, said`: it holds, is larger, and a warning says so; \
`broken`: a bound, an interval or a gap is false; `refused, a box answers`: an error where the same is solved on a box \
that is given; `leak`: an exception or a warning that is not the package's; `stall`: no answer after 30 CPU seconds.
Errors below 1e-14 are left out of the ratios.
Stalls are of solvers asked for by name, of steps that are short against the time asked for: uniformization and \
Chebyshev on stiff networks, Rational at times of a billion relaxations with tolerances below its rounding; \
`auto` has none.
`ci/examine inputs` gives files of all formats, words of the command and arguments of functions, broken or extreme, \
to a process each, which must end within 10 s and 1 GiB with a named error or the right answer.
`ci/examine adjoints` holds gradients by the adjoint against complex steps of dense exponentials, each answer a \
derivative by one parameter, also of rates that switch or oscillate and of stationary starts, and \
`ci/examine mixtures` mixtures over a gamma or log-normal rate constant against Gauss-Legendre rules of dense \
exponentials; rates are written in plain arithmetic that both read by themselves."""
ADAPTIVE_NOTE = """\
Every benchmark model from its initial state, with no bounds from the user: states and solvers are chosen.
Each run is a process of its own; seconds are user CPU after importing and with kernels loaded, memory is the peak of \
the process.
The smallest set is the number of states that hold all but `tol` of the probability at the end; the largest space is \
meant to stay below three times that.
It is larger where probability ends in fewer states than it went through (michaelis_menten, robertson), where it has \
less than 2,000 states, and for toggle_gardner, toggle2 and goutsias to t = 1000, which miss that.
The bound is checked twice: by the 1-norm distance to a run of another solver with a thousandth of the tolerance, and \
by the values stored in `tests/models`, of which the worst 1-norm over the stored counts of a marginal is shown.
`≈` would mark an error that is an estimate.
A case that takes long is run by `ci/bench --long` only.

The peers' figures are user CPU seconds on one core, measured on a loaded two-core machine with each tool's best \
settings, at the same `tol`, which they take as a bound on truncation alone: PACMENSL (C++, PETSc; grows only) and \
KrylovFspSsa (Fortran; 3.7 GiB of memory, always; the solve without the process's start).
Those of SSIT (MATLAB, Apple M3 and M4) are its authors', at a tolerance of 1e-3 for truncation and 1e-2 for \
integration; in brackets, a repetition on the same space.
PRISM's fast adaptive uniformization took 0.75 s for toggle_hill at 1e-6, 0.59 s for enzyme, 2.8 s for ring3, 0.36 s \
for telegraph_fast and 17.5 s for schloegl_small, with true errors of twice the tolerance."""


@dataclass(frozen=True)
class Section:
    """A part of the page."""

    title: str
    note: str
    body: Callable[[], str]


FITS_NOTE = (
    "Intervals of 95 % of parameters that were estimated from simulated cells: birth and death, 120 cells at three "
    "times, each set fitted from one start.  They should hold the true value in 95 % of the sets."
)


def sections(report: Report, states: int = mpi_bench.STATES) -> dict[str, Section]:
    """Return the parts of the page, by the names that --only takes, and that of --mpi on so many states."""
    return {
        "first": Section("The first second", first.NOTE, first.text),
        "products": Section("Products", PRODUCTS_NOTE, products),
        "blocks": Section("Products of blocks", BLOCKS_NOTE, blocks),
        "forms": Section("Forms of the operator", FORMS_NOTE, forms),
        "large": Section("Large spaces", LARGE_NOTE, large),
        "spaces": Section("State spaces and assembly", "", spaces_and_assembly),
        "fixed": Section("Transients on a fixed space, beside scipy", FIXED_NOTE, fixed_spaces),
        "adaptive": Section("Transients on a space that adapts", ADAPTIVE_NOTE, report.text),
        "sweeps": Section("Sweeps", SWEEPS_NOTE, sweeps),
        "fits": Section("Fits", FITS_NOTE, fits.report),
        "stress": Section("A gene in osmotic stress", osmotic_stress.NOTE, osmotic_stress.report),
        "questions": Section("Questions of time", questions_of_time.NOTE, questions_of_time.report),
        "stationary": Section("Stationary distributions", STATIONARY_NOTE, stationary),
        "derivatives": Section("Parameters", derivatives.NOTE, derivatives.section),
        "verification": Section("Verification", verification.NOTE, verification.false_alarms),
        "samplers": Section("Wrong samplers", wrong_samplers.NOTE, wrong_samplers.wrong_samplers),
        EXAMINATION: Section("Examination", EXAMINATION_NOTE, examination),
        DISTRIBUTED: Section("Distributed", mpi_bench.NOTE, lambda: mpi_bench.distributed(states, mpi_bench.PRODUCTS)),
    }


def arguments() -> argparse.Namespace:
    """Return the options, checked."""
    parser = argparse.ArgumentParser(prog="ci/bench", description=__doc__.split("\n")[0])
    names = [name for name in sections(Report()) if name != DISTRIBUTED]
    usual = [name for name in names if name != EXAMINATION]
    parser.add_argument("--only", nargs="+", choices=names, default=usual, metavar="SECTION", help=", ".join(names))
    parser.add_argument(
        "--models",
        nargs="+",
        choices=sorted({case.model for case in CASES}),
        default=[],
        metavar="MODEL",
        help="only these, of the adaptive transients; prints, and writes nothing",
    )
    parser.add_argument("--mpi", action="store_true", help="only the distributed section, on one rank and on two")
    parser.add_argument(
        "--mpi-states", type=int, metavar="N", help="the same on about so many states; prints, and writes nothing"
    )
    parser.add_argument("--long", action="store_true", help="also the adaptive transients that take long")
    return parser.parse_args()


def written() -> dict[str, str]:
    """Return the sections of the page as it stands, by title."""
    parts = WRITTEN.read_text(encoding="utf-8").rstrip().split("\n\n## ")[1:]
    return {part.split("\n")[0]: f"## {part}" for part in parts}


def main() -> None:
    options = arguments()
    report = Report(options.models, long=options.long)
    everything = sections(report, options.mpi_states or mpi_bench.STATES)
    page = written()
    distributed = options.mpi or options.mpi_states
    for name in ["adaptive"] if options.models else [DISTRIBUTED] if distributed else options.only:
        section = everything[name]
        print(f"== {section.title}", file=sys.stderr)
        body = section.body()
        print(body, file=sys.stderr)
        page[section.title] = "\n\n".join([f"## {section.title}", *([section.note] if section.note else []), body])
    if not options.models and not options.mpi_states:
        head = (
            "# Benchmarks",
            f"Written by `ci/bench` on {platform.machine()}, Python {platform.python_version()}, numpy "
            f"{np.__version__}, scipy {scipy.__version__}, one thread; CPU seconds.  "
            "Counts and ratios carry over to other machines, seconds do not.",
        )
        kept = [page[section.title] for section in everything.values() if section.title in page]
        WRITTEN.write_text("\n\n".join([*head, *kept]) + "\n", encoding="utf-8")
    if report.failures:
        sys.exit("\n".join(["ci/bench: an error bound does not hold, or a tolerance is not met:", *report.failures]))


if __name__ == "__main__":
    main()
