"""Certified stationary distributions, each in a process of its own: `python ci/certified.py MODEL TOL` prints JSON."""

import json
import subprocess
import sys
from time import process_time

from adaptive import table
from boxes import peak
from references import MODELS

import fsp

NAMES = (
    "exclusive_switch",
    "toggle_hill",
    "schloegl",
    "toggle2",
    "gene_expression_2stage",
    "phage_lambda",
    "gene_expression",
    "repressilator",
)
TOLERANCES = ("1e-2", "1e-4", "1e-6")
HEAD = "| model | tolerance | states | error | total width of the states' intervals | CPU s | MiB |"


def text():
    """Return the table."""
    rows = []
    for name in NAMES:
        for tol in TOLERANCES:
            run = subprocess.run([sys.executable, __file__, name, tol], capture_output=True, text=True, check=True)
            states, error, width, seconds, memory = json.loads(run.stdout)
            rows.append(f"| {name} | {tol} | {states:,} | {error} | {width:.1e} | {seconds:.2f} | {memory:,.0f} |")
    return table(HEAD, rows)


def main():
    """Solve twice, the first time with kernels that have to be loaded."""
    model, tol = fsp.load(MODELS / f"{sys.argv[1]}.ant"), float(sys.argv[2])
    fsp.stationary(model, tol)
    started = process_time()
    d = fsp.stationary(model, tol)
    seconds = process_time() - started
    error = f"{d.error.sign} {d.error.total:.1e}"
    print(json.dumps([len(d), error, float((d.upper - d.lower).sum()), seconds, peak()]))


if __name__ == "__main__":
    main()
