"""Hold passages, totals, committors, rates and spectra of random chains against exact rational algebra.

    python ci/passages.py --cases 2000 [--seed 1]

Each case is three species that change into each other at rates drawn over eight decades, of which some are missing,
and up to four molecules. Means, what is accumulated before a passage, committors of all states, rates, and spectra at
frequency zero are solved for in rational numbers, so that each must lie in its interval without any slack. The exit
status is 1 where one does not.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from fractions import Fraction

import numpy as np

import fsp
from fsp.chains.classes import closed_classes

DECADES = (-4.0, 4.0)  # of rates
MISSING = 0.25  # share of the reactions
WAYS = (("A", "B"), ("B", "A"), ("A", "C"), ("C", "A"), ("B", "C"), ("C", "B"))


def solved(matrix: list[list[Fraction]], right: list[Fraction]) -> list[Fraction] | None:
    """Return the solution of linear equations; None where there is none, or more than one."""
    rows = [[*row, b] for row, b in zip(matrix, right, strict=True)]
    n = len(rows)
    for k in range(n):
        pivot = next((i for i in range(k, n) if rows[i][k]), None)
        if pivot is None:
            return None
        rows[k], rows[pivot] = rows[pivot], rows[k]
        for i in range(n):
            if i != k and rows[i][k]:
                factor = rows[i][k] / rows[k][k]
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k], strict=True)]
    return [rows[k][n] / rows[k][k] for k in range(n)]


def drawn(rng: np.random.Generator) -> tuple[fsp.Model, list[float]]:
    """Return a random network, and the constants of its reactions."""
    constants = 10.0 ** rng.uniform(*DECADES, len(WAYS)) * (rng.random(len(WAYS)) > MISSING)
    present = [(way, float(k)) for way, k in zip(WAYS, constants, strict=True) if k > 0.0]
    present = present or [(WAYS[0], 1.0)]
    reactions = [fsp.Reaction(f"{a} -> {b}", mass_action=k) for (a, b), k in present]
    species = {"A": int(rng.integers(1, 5)), "B": 0, "C": 0}
    return fsp.Model(species=species, reactions=reactions), [k for _, k in present]


class Exact:
    """The chain of a model in rational numbers."""

    def __init__(self, model: fsp.Model, constants: list[float]) -> None:
        self.states = fsp.StateSpace.reachable(model).states
        place = {tuple(x): k for k, x in enumerate(self.states.tolist())}
        n = len(self.states)
        self.jumps = [[Fraction(0)] * n for _ in range(n)]  # [from][to]
        for constant, change in zip(constants, model.change.tolist(), strict=True):
            source = change.index(-1)
            for k, x in enumerate(self.states.tolist()):
                if x[source]:
                    target = place[tuple(a + b for a, b in zip(x, change, strict=True))]
                    self.jumps[k][target] += Fraction(constant) * x[source]

    def before(self, ends: list[int], right: dict[int, Fraction]) -> dict[int, Fraction] | None:
        """Return h with -A h = right before `ends`, where h is what `right` says; None where the equations fail."""
        inside = [k for k in range(len(self.states)) if k not in ends]
        matrix = [[(sum(self.jumps[i]) if i == j else Fraction(0)) - self.jumps[i][j] for j in inside] for i in inside]
        b = [right.get(i, Fraction(0)) + sum(self.jumps[i][e] * right.get(e, 0) for e in ends) for i in inside]
        found = solved(matrix, b)
        return None if found is None else dict(zip(inside, found, strict=True))

    def stationary(self) -> list[Fraction] | None:
        """Return π; None where it is not unique."""
        n = len(self.states)
        matrix = [[self.jumps[j][i] - (sum(self.jumps[i]) if i == j else 0) for j in range(n)] for i in range(n)]
        return solved([*matrix[1:], [Fraction(1)] * n], [*[Fraction(0)] * (n - 1), Fraction(1)])

    def power(self, pi: list[Fraction]) -> Fraction | None:
        """Return the spectrum of the first count at frequency zero, 2 Σ π (a - E a) g with -A g = a - E a before 0."""
        counts = [Fraction(x[0]) for x in self.states.tolist()]
        mean = sum(p * n for p, n in zip(pi, counts, strict=True))
        g = self.before([0], {i: n - mean for i, n in enumerate(counts) if i})
        return None if g is None else 2 * sum(pi[i] * (counts[i] - mean) * value for i, value in g.items())


def holds(interval: fsp.Interval, exact: Fraction) -> bool:
    """Tell whether an interval is proved and right."""
    return interval.certified and interval.lower <= exact <= interval.upper


def checked(rng: np.random.Generator) -> list[tuple[str, bool]]:
    """Draw one case; return what was checked and whether it held."""
    model, constants = drawn(rng)
    total = int(model.initial_states[0, 0])
    exact, held = Exact(model, constants), []
    goal, k = int(rng.integers(1, total + 1)), int(rng.integers(0, total))
    ends = [i for i, x in enumerate(exact.states.tolist()) if x[2] >= goal]
    start = int(np.flatnonzero((exact.states == model.initial_states[0]).all(axis=1))[0])
    means = exact.before(ends, {i: Fraction(1) for i in range(len(exact.states)) if i not in ends}) if ends else None
    law = fsp.passage(model, f"C >= {goal}", orders=1)
    if means is not None and start in means:
        held.append(("mean", holds(law.mean(), means[start])))
    totals = exact.before(ends, {i: Fraction(x[0]) for i, x in enumerate(exact.states.tolist()) if i not in ends})
    if ends and totals is not None and start in totals:
        held.append(("total", holds(fsp.reward(model, "A", until=f"C >= {goal}").mean[0], totals[start])))
    first = [i for i, x in enumerate(exact.states.tolist()) if x[0] > k]
    second = [i for i, x in enumerate(exact.states.tolist()) if x[0] <= k and x[2] > k]
    if not first or not second or len(closed_classes(matrix_of(model)).members) != 1:
        return held
    ways = fsp.committor(model, f"A > {k}", f"A <= {k} && C > {k}")
    q = exact.before(first + second, {i: Fraction(int(i in second)) for i in first + second})
    pi = exact.stationary()
    if q is not None:
        inside = all(
            ways.q(exact.states[i].tolist()).lower <= x <= ways.q(exact.states[i].tolist()).upper for i, x in q.items()
        )
        held.append(("committor", inside))
    power = None if pi is None else exact.power(pi)
    if power is not None:
        held.append(("spectrum", holds(fsp.correlation(model, "A", [0.0], tol=1e-4).spectrum(0.0)[0], power)))
    if q is not None and pi is not None:
        whole = q | {i: Fraction(int(i in second)) for i in first + second}
        rate = sum(pi[i] * a * whole[j] for i in first for j, a in enumerate(exact.jumps[i]))
        held.append(("rate", holds(ways.rate, rate)))
    return held


def matrix_of(model: fsp.Model) -> object:
    """Return the generator on all states."""
    return fsp.Generator(model, fsp.StateSpace.reachable(model)).to_csr()


def main() -> int:
    """Draw cases and count what held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    counts: dict[str, list[int]] = {}
    begun = time.process_time()
    for case in range(options.cases):
        rng = np.random.default_rng([options.seed, case])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", fsp.ToleranceWarning)  # wide intervals have to hold as well
            for what, is_inside in checked(rng):
                counts.setdefault(what, [0, 0])[int(is_inside)] += 1
                if not is_inside:
                    print(f"case {case}: {what} lies outside", file=sys.stderr)
    seconds = time.process_time() - begun
    for what, (outside, inside) in counts.items():
        print(f"{what}: {inside} of {inside + outside} exact numbers lie in their intervals")
    print(f"{options.cases} cases, {seconds:.0f} s of CPU")
    return int(any(outside for outside, _ in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
