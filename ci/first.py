"""What the first answer costs: in a fresh environment, in a new process, and for a network of another kind."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from time import perf_counter

from adaptive import table
from references import MODELS

ROOT = Path(__file__).resolve().parent.parent
NOTE = (
    "CPU seconds of whole processes, in an environment that `pip install .` made for this, from sources without "
    "compiled kernels.  Networks are solved in one process, each twice; the first solve is to take at most 0.1 s more "
    "than the second."
)
NETWORKS = {
    "birth_death": (5.0,), "toggle_hill": (10.0,), "telegraph": (5.0,), "michaelis_menten": (1.0,),
    "exclusive_switch": (5.0,), "schloegl_small": (1.0,), "gene_expression_2stage": (5.0,), "sir": (1.0,),
    "lotka_volterra": (0.5,),
}  # fmt: skip
SOLVES = """
import sys, time, fsp
for word in sys.argv[1:]:
    path, times = word.split("=")
    model = fsp.load(path)
    for _ in range(2):
        started = time.process_time()
        fsp.transient(model, [float(times)], tol=1e-4)
        print(time.process_time() - started)
"""
IN_PYTHON = """
import fsp
model = fsp.Model(
    species={"A": 0, "B": 0},
    reactions=[
        fsp.Reaction("0 -> A", rate="20/(1 + B)"), fsp.Reaction("0 -> B", rate="30/(1 + A^2)"),
        fsp.Reaction("A -> 0", mass_action=1.0), fsp.Reaction("B -> 0", mass_action=1.0),
    ],
)
fsp.transient(model, [1.0])
"""


def text() -> str:
    """Return the tables."""
    with tempfile.TemporaryDirectory() as folder:
        started = perf_counter()
        installed, python = _environment(Path(folder))
        wall = perf_counter() - started
        readme = [python, "-m", "fsp", "transient", str(ROOT / "examples" / "toggle_switch.ant"), "--times", "0:30:4"]
        plain, drawn = ([*readme, "--quiet"], [*readme, "--quiet", "--plot", "toggle.png"])
        first = _cpu(drawn, folder)
        again = min(_cpu(drawn, folder) for _ in range(3))
        without = min(_cpu(plain, folder) for _ in range(3))
        in_python = min(_cpu([python, "-c", IN_PYTHON], folder) for _ in range(3))
        bare = min(_cpu([python, "-c", "import numpy, scipy.sparse.linalg"], folder) for _ in range(3))
        words = [f"{MODELS / name}.ant={times[0]}" for name, times in NETWORKS.items()]
        asked = [python, "-c", SOLVES, *words]
        output = subprocess.run(asked, cwd=folder, check=True, capture_output=True, text=True, env=_variables())
    seconds = [float(line) for line in output.stdout.split()]
    pairs = list(pairwise(seconds))[::2]
    rows = [
        f"| `pip install .` of a fresh environment, wall (CPU) | {wall:.0f} s ({installed:.0f}) | ≤ 90 s |",
        f"| README's first command, the first time, with the plot | {first:.2f} s | ≤ 2.0 s |",
        f"| the same, later | {again:.2f} s | |",
        f"| the same, without the plot | {without:.2f} s | ≤ 0.7 s |",
        f"| `import fsp`, and `fsp.transient` of a model written in Python | {in_python:.2f} s | ≤ 0.5 s |",
        f"| beside it `import numpy, scipy.sparse.linalg` | {bare:.2f} s | |",
    ]
    networks = [
        f"| {name} | {fresh:.3f} | {two:.3f} | {fresh - two:.3f} |"
        for name, (fresh, two) in zip(NETWORKS, pairs, strict=True)
    ]
    return "\n\n".join(
        [
            table("| whole process | CPU | target |", rows),
            table("| network | first solve, s | second, s | more |", networks),
        ]
    )


def _environment(folder: Path) -> tuple[float, str]:
    """Install the package; return the CPU seconds and the interpreter."""
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    python, sources = str(folder / "env" / "bin" / "python"), folder / "sources"
    shutil.copytree(ROOT, sources, ignore=shutil.ignore_patterns(".*", "*.o", "dist", "site", "tests"))
    return _cpu(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(sources)], folder
    ), python


def _cpu(command: list[str], folder: Path | str) -> float:
    """Return the CPU seconds of a process and of those that it starts."""
    unset = {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "FSP_CACHE_DIR"}
    environment = {name: value for name, value in os.environ.items() if name not in unset} | {"MPLBACKEND": "agg"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _variables() -> dict[str, str]:
    """Return the environment of a user: what is installed is found, with its bytecode."""
    unset = {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "FSP_CACHE_DIR"}
    return {name: value for name, value in os.environ.items() if name not in unset} | {"MPLBACKEND": "agg"}
