"""Measure adaptive transients, each in a process of its own, beside published figures; check every error bound.

Called by `ci/benchmarks.py` for its table, and by itself, as a child, for one run.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from time import perf_counter, process_time
from typing import Any

import numpy as np
from references import MODELS, error_of, gaps, references

import fsp
from fsp.model.infix import to_text
from fsp.model.tree import symbols

WARM_UP = 30.0  # user CPU seconds of a first run, after which it is stopped and the second one is measured
LIMIT = 900.0  # wall seconds of a case, after which it counts as failed
LONG_LIMIT = 4 * 3600.0
CHECK_LIMIT = 300.0  # of the run that a case is checked by
TIGHTER = 1e-3  # tolerance of the run that a case is checked by, of the case's
TIGHTEST = 1e-10
RING3_CSR_MS = 16.1  # of the machine that the peers' figures are from


@dataclass(frozen=True)
class Peer:
    """The fastest of the peers on a case: what it is, its seconds (as a number and as stated), states, peak memory."""

    name: str
    seconds: float
    states: int | None = None
    mib: int | None = None
    stated: str = ""

    def __str__(self) -> str:
        states = "" if self.states is None else f", {self.states:,} states"
        memory = "" if self.mib is None else f", {self.mib:,} MiB"
        return f"{self.name}: {self.stated or f'{self.seconds:g} s'}{states}{memory}"


@dataclass(frozen=True)
class Case:
    """A model, a time, a tolerance.

    `check` names the solver of the independent run: "other" for Krylov or, where that did most of the work,
    uniformization; None where an independent run takes too long.  `part` names species that run on their own, whose
    joint marginal is checked by a run of theirs instead.
    """

    model: str
    t: float
    tol: float
    peer: Peer | None = None
    check: str | None = "other"
    part: tuple[str, ...] = ()
    long: bool = False
    means: bool = False

    def __str__(self) -> str:
        return f"{self.model} | {self.t:g} | {self.tol:.0e}"


@dataclass(frozen=True)
class Run:
    """What a child measured, and its answer."""

    counts: dict[str, Any]
    answer: fsp.Distribution


def _pacmensl(seconds: float, states: int, mib: int, stated: str = "") -> Peer:
    return Peer("PACMENSL", seconds, states, mib, stated)


def _ssa_driven(seconds: float, states: int) -> Peer:
    return Peer("KrylovFspSsa", seconds, states)


def _ssit(first: float, again: float | None, states: int | None) -> Peer:
    return Peer("SSIT", first, states, stated=f"{first:g} s" + ("" if again is None else f" ({again:g} s)"))


HOG1_PART = ("G0", "G1", "G2", "G3", "R2n", "R2c")

CASES = [
    Case("repressilator", 10.0, 1e-4, _pacmensl(151, 1_096_158, 1_819)),
    Case("repressilator", 1.0, 1e-4, _pacmensl(0.85, 13_789, 71)),
    Case("goutsias_growing", 300.0, 1e-4, _pacmensl(444, 1_639_440, 2_986), check=None, long=True),
    Case("hog1", 60.0, 1e-4, _pacmensl(31.2, 393_624, 693), check="auto", part=HOG1_PART),
    Case("hog1", 180.0, 1e-4, _pacmensl(257, 2_776_436, 3_700, "> 257 s"), check="auto", part=HOG1_PART, long=True),
    Case("toggle2d", 10.0, 1e-6, _pacmensl(0.52, 20_050, 73)),
    Case("ring3", 2.0, 1e-4, _ssa_driven(0.23, 24_754)),
    Case("ring3", 2.0, 1e-6, _ssa_driven(0.33, 29_515)),
    Case("ring3", 2.0, 1e-8, _ssa_driven(0.45, 41_549)),
    Case("toggle_hill", 10.0, 1e-6, _ssa_driven(0.09, 3_099)),
    Case("toggle_hill", 10.0, 1e-8, _ssa_driven(0.08, 4_048)),
    Case("enzyme", 5.0, 1e-6, _ssa_driven(0.15, 4_683)),
    Case("telegraph_fast", 5.0, 1e-6, _ssa_driven(0.03, 421)),
    Case("schloegl_small", 4.0, 1e-6, _ssa_driven(0.15, 794)),
    Case("toggle_gardner", 30.0, 1e-3, _ssit(21.8, 10.8, 22_653), check="rational"),
    Case("toggle_gardner", 100.0, 1e-3, _ssit(24.8, 13.3, 24_263), check="rational"),
    Case("goutsias", 100.0, 1e-3, _ssit(2.3, 0.7, 44_574)),
    Case("goutsias", 300.0, 1e-3, _ssit(28.9, 15.6, 485_031), check=None),
    Case("goutsias", 1000.0, 1e-3, _ssit(6107, 3200, None), check=None, long=True),
    Case("michaelis_menten", 70.0, 1e-6, _ssit(43.6, 30.1, 2_447), check="rational"),
    Case("toggle2", 30.0, 1e-3, _ssit(2.15, 0.38, 19_279)),
    Case("phage_lambda", 30.0, 1e-3, _ssit(2.8, 0.34, 868)),
    Case("birth_death", 10.0, 1e-3, _ssit(1.85, 0.38, 1_263)),
    Case("pap_pili", 10.0, 1e-3, _ssit(1.1, 0.08, 93)),
    Case("sir", 40.0, 1e-4),
    Case("lotka_volterra", 2.0, 1e-4),
    Case("schloegl", 20.0, 1e-6),
    Case("futile_cycle", 1.0, 1e-6),
    Case("gene_expression_2stage", 5.0, 1e-6),
    Case("bottleneck", 1e4, 1e-6, means=True),
    Case("bottleneck", 1e5, 1e-6, means=True),
    Case("robertson", 1.0, 1e-6, check="rational", means=True),
    Case("robertson", 100.0, 1e-4, check="rational", means=True),
    Case("robertson", 1e4, 1e-4, check=None, long=True, means=True),
    Case("bimolecular", 2.0, 1e-6),
    Case("birth_death_poisson", 2.0, 1e-6),
    Case("bursty_expression", 1.0, 1e-6),
    Case("closed_isomerization", 1.0, 1e-6),
    Case("homodimerization", 2.0, 1e-6),
    Case("mrna_decay", 5.0, 1e-6),
    Case("telegraph", 4.0, 1e-6),
]
TRAP = Case("bottleneck", 1e4, 1e-2)  # in the table of means only


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return what some work comes to, and its CPU seconds."""
    begun = process_time()
    answer = work()
    return answer, process_time() - begun


def table(head: str, rows: list[str]) -> str:
    """Return a Markdown table."""
    columns = head.count("|") - 1
    return "\n".join([head, "|" + "---|" * columns, *rows])


# ---- the parent


class Report:
    """Run the cases, keep what went wrong.

    Parameters
    ----------
    models
        The models to run; none for all.
    long
        Whether to run the long cases too.
    """

    def __init__(self, models: Iterable[str] = (), *, long: bool = False) -> None:
        chosen = set(models)
        self._cases = [case for case in CASES if not chosen or case.model in chosen]
        self._trap = not chosen or TRAP.model in chosen
        self._long = long
        self._means: list[str] = []
        self._before: list[float] = []
        self.failures: list[str] = []

    def text(self) -> str:
        """Return the two tables and how to scale them."""
        rows = [self._row(case) for case in self._cases]
        if self._trap:
            trapped = measure(TRAP, "auto", LIMIT)
            assert trapped is not None
            self._means += self._checked_means(TRAP, trapped.answer)
        factor = csr_milliseconds() / RING3_CSR_MS
        parts = [
            f"Scipy's CSR product of ring3's rates on the 2,667,126 states X + Y + Z ≤ 250 took {factor:.2f} times as "
            "long in this run as on the quiet machine of the peers' figures.",
            f"Before its run a process held {min(self._before, default=0):.0f} to {max(self._before, default=0):.0f} "
            "MiB: Python, the libraries, the model.",
            table(HEAD, rows),
            "### Means, and the traps",
            MEANS_NOTE,
            table(MEANS_HEAD, self._means),
        ]
        return "\n\n".join(parts)

    def _row(self, case: Case) -> str:
        if case.long and not self._long:
            return f"| {case} | not run |{' |' * 13} {case.peer or ''} | |"
        print(f"{case.model} t = {case.t:g}, {case.tol:.0e}", file=sys.stderr, flush=True)
        run = measure(case, "auto", LONG_LIMIT if case.long else LIMIT)
        if run is None:
            self.failures.append(f"{case}: not finished")
            return f"| {case} | not finished |{' |' * 13} {case.peer or ''} | |"
        check = None if case.check is None else _independent(case, run)
        self._before.append(run.counts["before"])
        if case.means:
            self._means += self._checked_means(case, run.answer)
        return self._cells(case, run, check)

    def _cells(self, case: Case, run: Run, check: Run | None) -> str:
        counts, error = run.counts, run.answer.error
        smallest = smallest_set((run if case.part else check or run).answer, case.tol)
        cells = [
            counts["solver"].split("(")[0],
            f"{counts['largest_space']:,}",
            f"{len(run.answer):,}",
            f"{smallest:,}",
            f"{counts['largest_space'] / smallest:.1f}",
            str(counts["growths"]),
            str(counts["prunings"]),
            f"{counts['n_matvec']:,}",
            f"{counts['cpu']:.3g}",
            f"{counts['peak']:.0f}",
            f"{counts['peak'] - counts['before']:.0f}",
            error_text(error),
            self._judged_distance(case, run, check),
            self._judged_marginals(case, run),
            str(case.peer or ""),
            f"{case.peer.seconds / counts['cpu']:.1f}" if case.peer else "",
        ]
        if error.total > case.tol:
            self.failures.append(f"{case}: the bound {error.total:.2e} exceeds the tolerance")
        return f"| {case} | {' | '.join(cells)} |"

    def _checked_means(self, case: Case, answer: fsp.Distribution) -> list[str]:
        """Return rows of means beside what is stored of them; note an interval that misses it."""
        values = next((r for r in references(case.model) if r["t"] == case.t), {"mean": {}})
        intervals, means = answer.mean_interval(), answer.mean()
        rows = []
        for species, exact in values["mean"].items():
            interval, slack = intervals[species], 1e-12 if "accurate_digits" in values else 1e-6
            if interval.certified and not interval.lower - slack <= exact <= interval.upper + slack:
                self.failures.append(f"{case}: the interval of the mean of {species} misses {exact:.12g}")
            shown = f"[{interval.lower:.8g}, {interval.upper:.8g}]" if interval.certified else "not certified"
            rows.append(
                f"| {case} | {error_text(answer.error)} | {species} | {exact:.8g} | {shown} | {means[species]:.8g} |"
            )
        return rows

    def _judged_distance(self, case: Case, run: Run, check: Run | None) -> str:
        if check is None:
            return "none" if case.check is None else f"not finished in {CHECK_LIMIT:g} s"
        answer = run.answer.marginal(*case.part) if case.part else run.answer
        distance = answer.distance(check.answer)
        if distance > run.answer.error.total + check.answer.error.total:
            self.failures.append(f"{case}: the distance {distance:.2e} to a tight run exceeds both bounds")
        return f"{distance:.1e}"

    def _judged_marginals(self, case: Case, run: Run) -> str:
        stored = [r for r in references(case.model) if r["t"] == case.t and ("marginals" in r or "joint_top3" in r)]
        if not stored:
            return "none stored"
        worst = 0.0
        for values in stored:
            gap = max(gaps(run.answer, values).values())
            worst = max(worst, gap)
            if gap > run.answer.error.total + error_of(values):
                self.failures.append(f"{case}: {gap:.2e} away from a stored marginal, more than the bound")
        return f"{worst:.1e}"


HEAD = (
    "| model | t | tol | solver | states, largest | final | smallest set | largest ÷ smallest | growths | prunings | "
    "products | CPU s | MiB | MiB of the run | bound | distance to a tight run | error of stored marginals | "
    "fastest peer | peer ÷ ours |"
)
MEANS_HEAD = "| model | t | tol | bound | mean of | exact or reference | interval | mean of what is stored |"
MEANS_NOTE = (
    "A 1-norm bound says nothing of a mean.\n"
    "The gate of bottleneck opens once in 10⁶ time units, and then C is made for good: at a loose tolerance the states "
    "that hold nearly all of the mean are not needed, and the mean of what is stored is wrong while the bound is "
    "right.\n"
    "The interval is `dist.mean_interval()`, which holds at any tolerance."
)


def _independent(case: Case, run: Run) -> Run | None:
    """Solve a case again, by another solver at a much smaller tolerance."""
    other = "uniformization" if run.counts["solver"].startswith("Krylov") else "krylov"
    tight = replace(case, tol=max(TIGHTER * case.tol, TIGHTEST))
    return measure(tight, other if case.check == "other" else str(case.check), CHECK_LIMIT, case.part)


def measure(case: Case, solver: str, limit: float, part: tuple[str, ...] = ()) -> Run | None:
    """Run a case, or a part of its species, in a process of its own, twice if it is short.

    None where that takes longer than `limit` seconds.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run.h5"
        command = [sys.executable, __file__, case.model, repr(case.t), repr(case.tol), solver, str(out), *part]
        try:
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=limit)
        except subprocess.TimeoutExpired:
            return None
        return Run(json.loads(done.stdout), fsp.read(out)[-1])


def error_text(error: fsp.ErrorLedger) -> str:
    """Return the total with the sign that says what it is."""
    return f"{'≤' if error.certified else '≈'} {error.total:.1e}"


def smallest_set(answer: fsp.Distribution, tol: float) -> int:
    """Return the number of states in the smallest set that holds 1 - tol of the probability."""
    missing = np.cumsum(np.sort(answer.probabilities)) + max(0.0, 1.0 - float(answer.probabilities.sum()))
    return len(missing) - int(np.searchsorted(missing, tol, side="right"))


def csr_milliseconds() -> float:
    """Return the least milliseconds of scipy's product that the peers' machine is calibrated by."""
    model = fsp.load(MODELS / "ring3.ant")
    space = fsp.StateSpace.reachable(model, ["X + Y + Z <= 250"])
    matrix = fsp.Generator(model, space).to_csr()
    v = np.random.default_rng(0).random(len(space))
    seconds = []
    for _ in range(15):
        started = perf_counter()
        matrix @ v
        seconds.append(perf_counter() - started)
    return 1e3 * min(seconds)


# ---- the child


class _Stop:
    """A progress callback that ends a run after WARM_UP seconds."""

    def __init__(self) -> None:
        self._until = _cpu() + WARM_UP

    def __call__(self, _: fsp.Progress) -> None:
        if _cpu() > self._until:
            raise KeyboardInterrupt


def _warm_up(model: fsp.Model, t: float, tol: float, solver: str) -> None:
    """Load or compile the kernels that a run takes."""
    with suppress(fsp.Interrupted):
        fsp.transient(model, [t], tol, solver=solver, progress=_Stop())
    gc.collect()


def _cpu() -> float:
    return getrusage(RUSAGE_SELF).ru_utime


def _memory(field: str) -> float:
    """Return a field of this process's status in MiB; ru_maxrss would count the parent's memory before exec."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field)) / 2**10


def alone(model: fsp.Model, part: tuple[str, ...]) -> fsp.Model:
    """Return the network of some species that do not depend on the others."""
    others = set(model.species) - set(part)
    reactions = []
    for reaction, rate in zip(model.reactions, model.rate_expressions, strict=True):
        change = {name: by for name, by in reaction.change.items() if name in part}
        if change:
            assert not symbols(rate) & others, f"{reaction.name} depends on {others}"
            reactions.append(fsp.Reaction(change, rate=to_text(rate), name=reaction.name))
    start = dict(zip(model.species, model.initial_states[0].tolist(), strict=True))
    return fsp.Model(species={name: start[name] for name in part}, reactions=reactions)


def child(name: str, t: str, tol: str, solver: str, out: str, *part: str) -> None:
    """Solve, save the answer, print what it took."""
    model = fsp.load(MODELS / f"{name}.ant")
    model = alone(model, part) if part else model
    import scipy.sparse.linalg  # noqa: F401  counted as importing, though a run may not need it

    assert fsp.transient
    before = _memory("VmHWM")
    _warm_up(model, float(t), float(tol), solver)
    started = _cpu()
    solution = fsp.transient(model, [float(t)], float(tol), solver=solver)
    counts = dict(solution.statistics, cpu=_cpu() - started, before=before, peak=_memory("VmHWM"))
    solution.save(out)
    print(json.dumps(counts | {"solver": solution.solver}))


if __name__ == "__main__":
    child(*sys.argv[1:])
