"""How often intervals of fits hold the parameters that made the data: ``python ci/coverage.py [SETS]``.

Birth and death of one species, observed in independent cells at three times; each set of data is simulated by
`fsp.ssa`, fitted, and its intervals of 95 % looked at, those by profiles and those by the Fisher information.
"""

from __future__ import annotations

import sys
from time import process_time

import numpy as np

import fsp

TIMES, CELLS = [0.5, 1.0, 3.0], 40  # at each time
TRUE = {"k": 10.0, "g": 1.0}
RANGES = {"k": (1.0, 100.0), "g": (0.1, 10.0)}


def model():
    return fsp.Model(
        species={"X": 0},
        parameters=TRUE,
        reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")],
    )


def drawn(seed):
    """Return counts of cells, each observed once."""
    runs = fsp.ssa(model(), TIMES, runs=CELLS * len(TIMES), seed=seed)
    values = np.concatenate([runs[i * CELLS : (i + 1) * CELLS, i, 0] for i in range(len(TIMES))])
    return fsp.read_counts({"time": np.repeat(TIMES, CELLS), "x": values}, counts={"X": "x"})


def main(sets=200):
    begun, held, total = process_time(), {}, 0
    for seed in range(sets):
        fit = fsp.fit(model(), drawn(seed), RANGES, starts=1, processes=1)
        total += 1
        for method in ("profile", "fisher"):
            for name, interval in fit.intervals(method=method).items():
                held[method, name] = held.get((method, name), 0) + (interval.lower <= TRUE[name] <= interval.upper)
    for (method, name), n in held.items():
        print(f"{method} {name}: {n} of {total}, {100.0 * n / total:.1f} %")
    print(f"{process_time() - begun:.0f} s of CPU")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
