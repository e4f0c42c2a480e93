"""Measure stationary vectors on boxes that are spread over ranks, beside published figures of other solvers.

`ci/bench --mpi` calls `stationary_table`, which starts this file under mpirun for each row; the first rank prints JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import warnings
from dataclasses import dataclass
from typing import Any

import launcher
import numpy as np
from adaptive import table
from references import MODELS

RANKS = (1, 2)
TIME_LIMIT = 1800.0
TIGHT = 1e-13


@dataclass(frozen=True)
class Row:
    """What is solved, by what, and what another way is that the answer is held against."""

    model: str
    bound: int
    tol: float
    method: str
    reference: str
    peers: str

    @property
    def states(self) -> int:
        """Number of states."""
        return (self.bound + 1) ** {"toggle_hill": 2, "ring3": 3}[self.model]


HILL = (
    "Storm 1.6 (4e-3), or wrong without a warning; scipy splu 5.9 to 10; raw PETSc 1.2 (1e-7), MUMPS 4.2 to 8.4 (3e-12)"
)
RING = "Storm 2.7 (3e-3) or 35 (7e-14); PRISM 7.7 (4e-10); scipy splu fails at 8.3 GB"
ROWS = (
    Row("toggle_hill", 299, 1e-6, "iterative", "direct", "scipy splu 500²: 1.2; raw PETSc 0.1 (1e-7), MUMPS 0.6"),
    Row("toggle_hill", 299, 1e-6, "direct", "iterative", "the same"),
    Row("toggle_hill", 999, 1e-6, "iterative", "direct", HILL),
    Row("ring3", 99, 1e-6, "iterative", "iterative", RING),
)
NOTE = """\
CPU seconds are those of the rank that takes most, from the space to the checked answer.
The true error is the distance to the answer of another method (ring3: of complete refinement), asked for 1e-13.
Others' figures (true error) are of one core of another machine of the same kind, and of the matrix given."""


def stationary_table(states: int) -> str:
    """Run the rows of up to `states` states; return them as a table.

    Raises
    ------
    SystemExit
        If a run fails, or an estimate is below the true error.
    """
    rows = []
    for number, row in enumerate(ROWS):
        for n in RANKS if row.states <= states else ():
            done = launcher.mpirun(n, __file__, number, timeout=TIME_LIMIT)
            if done.returncode:
                raise SystemExit(f"{row} on {n} ranks failed:\n{done.stdout}\n{done.stderr}")
            r: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
            if not r["true"] <= r["estimate"]:
                raise SystemExit(f"{row} on {n} ranks: the true error {r['true']:.1e} exceeds {r['estimate']:.1e}")
            rows.append(_line(row, n, r))
    head = (
        "| box | method | ranks | CPU s | residual | true error | estimate | MB a rank | others: CPU s (true error) |"
    )
    return table(head, rows) + f"\n\n{NOTE}"


def _line(row: Row, n: int, r: dict[str, Any]) -> str:
    box = f"{row.model}, {r['states']:,} states"
    errors = f"{r['residual']:.0e} | {r['true']:.0e} | {r['estimate']:.0e}"
    return f"| {box} | {row.method} | {n} | {r['seconds']:.1f} | {errors} | {r['megabytes']:,.0f} | {row.peers} |"


def measure(row: Row) -> dict[str, Any]:
    """Solve one row on the ranks that were started."""
    import fsp
    from fsp.petsc import Communicator, Generator, StateSpace

    warnings.simplefilter("ignore", fsp.ToleranceWarning)
    comm = Communicator()
    model = comm.share(lambda: fsp.load(MODELS / f"{row.model}.ant"))

    def solve(bound: int, tol: float, method: str) -> Any:
        space = StateSpace.box(model, bound, comm=comm)
        return fsp.stationary(model, tol, space=space, backend="petsc", comm=comm, method=method)

    solve(20, 1e-3, row.method)  # kernels are compiled
    started = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    d = solve(row.bound, row.tol, row.method)
    seconds = resource.getrusage(resource.RUSAGE_SELF).ru_utime - started
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    exact = solve(row.bound, TIGHT, row.reference)
    generator, p = Generator(model, d.space), np.array(d.probabilities)
    residual = np.abs(generator @ p + generator.leak_rates * p).sum()
    true = np.abs(p - exact.probabilities).sum()
    residual, true = comm.sum(np.array([residual, true])).tolist()
    return {
        "states": len(d),
        "seconds": comm.max(seconds),
        "megabytes": comm.max(megabytes),
        "residual": residual,
        "true": true,
        "estimate": d.error.total + exact.error.total,
    }


def main() -> None:
    record = measure(ROWS[int(sys.argv[1])])
    from fsp.petsc import Communicator

    if Communicator().rank == 0:
        print(json.dumps(record))


if __name__ == "__main__":
    main()
