"""How many runs, at which times, would show a mistake of a given size: the plan of a verification.

Each rate constant is put off by that size, upwards and downwards, and each event left out.  Tests compare means and
counts whose spread is that of 1/√n: where n runs at one time find the share s of a change, about n s² find the change.
Times are added one by one, each the one that lowers the largest of these numbers over all mistakes.  With those times
the number of runs is raised until the smallest detectable errors, computed as for a report, are as small as required.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import ceil, floor, inf, log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.bars import Stage, barred, callback, silent
from fsp.checks import check_whole
from fsp.distribution.text import table
from fsp.doors import transient
from fsp.errors import ArgumentError, FSPError
from fsp.formats import load
from fsp.model import Model
from fsp.model.arguments import check_call
from fsp.model.times import checked_times
from fsp.output.records import to_json
from fsp.sampling.documents import document_for
from fsp.verification.battery import Battery
from fsp.verification.misreadings import misread
from fsp.verification.power import VARIANT_TOL, Power, detectable, knobs
from fsp.verification.samples import Planned
from fsp.verification.sequential import MOST_SEQUENTIAL_RUNS
from fsp.verification.strength import sought, without_events
from fsp.verification.two_times import MOST_PAIRS, MOST_TESTED_SPECIES
from fsp.verification.verdict import EXIT_CODES
from fsp.verification.verify import (
    ALPHA,
    POWER,
    checked_level,
    checked_power,
    checked_size,
    checked_species,
    tolerance_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fsp.arrays import FloatArray
    from fsp.bars import StateCallback
    from fsp.distribution import Solution
    from fsp.verification.verdict import Detectable, Sought

REQUIRE = 0.05  # default size of a mistake; chosen
TIME_SHARES = np.array([1, 2, 4, 8, 12, 16, 24, 32]) / 32  # of the last time: candidates, all on one even grid; chosen
FIRST_RUNS = 10_000  # with which each candidate is looked at; chosen
FEWEST_RUNS = 100  # that are recommended; chosen, as cells hold five expected runs
MOST_TIMES, FEWEST_TIMES = 4, 2  # that are recommended: what a run does between outputs shows at two only; chosen
WORTH = 0.9  # of the number of runs, that a further time must leave at the most to be recommended; chosen
RUN_ROUNDS = 6  # of raising the number of runs, which settles in two or three; chosen
_SHARES_LOOKED_AT = 1e-3, 30.0  # shares of a change: from a millionth of `FIRST_RUNS` to 900 times as many


@dataclass(frozen=True, slots=True)
class Need:
    """How many runs a mistake takes.

    Parameters
    ----------
    mistake
        In words: ``k + 5 %``, or that an event is missing.
    runs
        About how many runs find it, at the best of the recommended times alone; infinite where none would.
    time
        That time.
    by
        The test that finds it, one of `fsp.verification.test.TEST_KINDS`.
    required
        Whether the number of runs is chosen for it; not for mistakes of reading the file, some of which next to no
        number of runs would show.
    """

    mistake: str
    runs: float
    time: float
    by: str
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Recommended output times and number of runs.

    Parameters
    ----------
    model_name
        The model.
    require
        Relative size of the errors of rate constants that are to be found.
    power, alpha
        The probability with which they are, and the largest one with which an exact simulator fails.
    times, runs
        What is recommended; no runs where no number within the limit is enough.
    needs
        The mistakes, the one that takes most runs first.
    detectable, sought
        What these runs would find, as in a `Report`.
    undecided
        Why no number of runs is recommended; empty where one is.
    notes
        Remarks.
    """

    model_name: str
    require: float
    power: float
    alpha: float
    times: tuple[float, ...]
    runs: int | None
    needs: tuple[Need, ...]
    detectable: tuple[Detectable, ...] = ()
    sought: tuple[Sought, ...] = ()
    undecided: str = ""
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 where a number of runs is recommended, else 2."""
        return EXIT_CODES["undecided" if self.runs is None else "pass"]

    def __str__(self) -> str:
        name = self.model_name or "the model"
        lines = [
            f"Plan for {name}: errors of {_percent(self.require)} in every rate constant, found with probability "
            f"{self.power:g} where an exact simulator fails with {self.alpha:g}",
            f"times: {', '.join(f'{t:.8g}' for t in self.times)}",
            f"runs: {'none is enough' if self.runs is None else f'{self.runs:,}'}",
        ]
        rows = [[need.mistake, *_cells_of(need)] for need in self.needs if need.required]
        lines += table(["mistake", "about runs", "at t", "by"], rows) if rows else []
        rows = [[need.mistake, *_cells_of(need)] for need in self.needs if not need.required]
        lines += table(["mistake of a reader", "about runs", "at t", "by"], rows) if rows else []
        lines += [str(need) for need in self.sought]
        lines += [f"undecided: {self.undecided}"] if self.undecided else []
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def to_json(self) -> str:
        """Return the plan as JSON."""
        record = asdict(self)
        return to_json({name: list(value) if isinstance(value, tuple) else value for name, value in record.items()})


def _cells_of(need: Need) -> list[str]:
    if not np.isfinite(need.runs):
        return ["none", "", ""]
    return [f"{need.runs:,.0f}", f"{need.time:.8g}", need.by]


def _percent(size: float) -> str:
    return f"{100 * size:.3g} %"


@barred()
def plan(
    model: Model | str | Path,
    times: Sequence[float] | FloatArray | float,
    *,
    file: str | Path | None = None,
    require: float = REQUIRE,
    alpha: float = ALPHA,
    power: float = POWER,
    species: Sequence[str] | None = None,
    max_runs: int = MOST_SEQUENTIAL_RUNS,
    max_states: int | None = None,
    progress: StateCallback | bool | None = None,
) -> Plan:
    """Recommend output times and a number of runs, with which `verify` finds errors of a given size.

    Parameters
    ----------
    model
        The reaction network, or the file that it is in.
    times
        The last time; or times among which those to look at are chosen.
    file
        The file that `model` was read from; that of a path given as `model`.  Mistakes of reading it are told with how
        many runs they take, and the number of runs is not raised for them.
    require
        Relative size of the errors of each rate constant that must be found, below 1.
    alpha, power, species, max_states, progress
        As of `fsp.verify`.
    max_runs
        Largest number of runs that may be recommended.

    Returns
    -------
    Plan
        Its `times` and `runs` are those to ask a simulator for; what is printed says which mistake takes how many.

    Raises
    ------
    ArgumentError
        If an argument is out of its range.
    StateSpaceError, ConvergenceError
        If the model cannot be solved within the limits.

    Examples
    --------
    >>> decay = fsp.Model(species={"X": 30}, parameters={"k": 1.0}, reactions=[fsp.Reaction("X -> 0", rate="k*X")])
    >>> recommended = fsp.verification.plan(decay, 2.0, require=0.05)
    >>> recommended.times, recommended.runs
    ((1.5, 2.0), 640)
    """
    network, file = (model, file) if isinstance(model, Model) else (load(model), model)
    check_call(network, max_states=max_states, progress=progress)
    checked_level(alpha)
    checked_power(power)
    checked_size("require", require)
    check_whole("max_runs", max_runs, FEWEST_RUNS)
    names = checked_species(species, network)
    report = callback(progress) or silent
    report(Stage("candidates"))
    offered = candidates(times)
    reference = transient(network, offered, tolerance_of(FIRST_RUNS, alpha), max_states=max_states)
    wrong = [*_mistakes(network, require), *_misread(network, file, offered)]
    seen, notes = _seen(wrong, reference, names, alpha, power)
    chosen = recommended(np.array([mistake.runs for mistake in seen if mistake.required]).reshape(-1, len(offered)))
    needs = tuple(sorted((mistake.at(chosen, offered) for mistake in seen), key=lambda need: -need.runs))
    study = SampleSize(network, names, require, alpha, power, max_runs, max_states, report)
    made: dict[str, Any] = {"model_name": network.name, "require": require, "power": power, "alpha": alpha}
    required = tuple(mistake for mistake in needs if mistake.required)
    made |= study.runs(offered[chosen], max((mistake.runs for mistake in required), default=inf), required)
    return Plan(**made, times=tuple(offered[chosen].tolist()), needs=needs, notes=tuple(notes))


def candidates(times: Sequence[float] | FloatArray | float) -> FloatArray:
    """Return the (n,) times to choose from: those given, or where that is the last one, times up to it."""
    given = checked_times(times)
    given = given[given > 0.0]
    if not len(given):
        raise ArgumentError("`times` must have one after the start, but has 0 only.")
    return given if len(given) > 1 else given[0] * TIME_SHARES


@dataclass(frozen=True, slots=True)
class _RunsForMistake:
    """How many runs a mistake takes at each time alone, and by what test."""

    mistake: str
    required: bool
    runs: list[float]
    kinds: list[str]

    def at(self, chosen: list[int], times: FloatArray) -> Need:
        """Return what it takes at the best of some times."""
        k = min(chosen, key=lambda k: self.runs[k])
        return Need(self.mistake, float(np.ceil(self.runs[k])), float(times[k]), self.kinds[k], self.required)


def _seen(
    mistakes: Iterable[tuple[str, Model, bool]],
    reference: Solution,
    names: tuple[str, ...],
    alpha: float,
    power: float,
) -> tuple[list[_RunsForMistake], list[str]]:
    """Return what each mistake takes, and notes of those that were passed over or change nothing."""
    times, notes = reference.times, []
    level = alpha / number_of_tests(Planned(FIRST_RUNS, np.arange(3.0), names))
    lookers = [
        Power(Battery((distribution,), FIRST_RUNS), Planned(FIRST_RUNS, times[k : k + 1], names), level)
        for k, distribution in enumerate(reference)
    ]
    seen: list[_RunsForMistake] = []
    for words, wrong, required in mistakes:
        try:
            law = tuple(transient(wrong, times, tol=VARIANT_TOL))
            others = [looker.features((distribution,)) for looker, distribution in zip(lookers, law, strict=True)]
        except FSPError:
            notes.append(f"{words}: passed over, since that model cannot be solved")
            continue
        if all(looker.exact.is_near(other) for looker, other in zip(lookers, others, strict=True)):
            notes.append(f"{words}: changes nothing at these times")
            continue
        shares = [looker.share(other, power, _SHARES_LOOKED_AT) for looker, other in zip(lookers, others, strict=True)]
        seen.append(
            _RunsForMistake(words, required, [FIRST_RUNS * share**2 for share, _ in shares], [by for _, by in shares])
        )
    return seen, notes


def _mistakes(model: Model, require: float) -> Iterator[tuple[str, Model, bool]]:
    for name, _, changed in knobs(model):
        for sign, word in ((1.0, "+"), (-1.0, "-")):
            yield f"{name} {word} {_percent(require)}", changed(1.0 + sign * require), True
    for name, wrong in without_events(model):
        yield f"event '{name}' missing", wrong, True


def _misread(model: Model, file: str | Path | None, times: FloatArray) -> Iterator[tuple[str, Model, bool]]:
    """Yield what readers of the file that miss a rule make of it, where the model is that of the file."""
    document = None if file is None else document_for(model, Path(file))
    if document is None or document.why:
        return
    for _, words, wrong in misread(document.text, model, times.tolist()):
        yield words, wrong, False


def number_of_tests(planned: Planned) -> int:
    """Return the number of tests that runs get, at the most: those of a time, of two of them, and of independence."""
    times, species = len(planned.times), len(planned.species)
    of_times = times * (1 + (species > 1) + 4 * species)
    of_two_times = min(MOST_PAIRS, times - 1) * min(MOST_TESTED_SPECIES, species)
    return of_times + of_two_times + 1 + (times > 2) + species


def recommended(needed: FloatArray) -> list[int]:
    """Return the numbers of the times to look at, in order.

    `needed`: (mistakes, times) runs that each mistake takes at each time alone.
    """
    chosen: list[int] = []
    best = np.full(len(needed), inf)
    while len(chosen) < min(MOST_TIMES, needed.shape[1]):
        left = [k for k in range(needed.shape[1]) if k not in chosen]
        k = min(left, key=lambda k: (_cost(np.minimum(best, needed[:, k])), _cost(needed[:, k])))
        now, then = _cost(best), _cost(np.minimum(best, needed[:, k]))
        if len(chosen) >= FEWEST_TIMES and then[0] == now[0] and then[1] > WORTH * now[1]:
            break
        chosen.append(k)
        best = np.minimum(best, needed[:, k])
    for k in list(chosen):  # what came first may be worth nothing beside those that came later
        left = [other for other in chosen if other != k]
        if len(left) >= FEWEST_TIMES:
            now, then = _cost(best), _cost(needed[:, left].min(axis=1))
            if then[0] == now[0] and now[1] > WORTH * then[1]:
                chosen = left
    return sorted(chosen)


def _cost(runs: FloatArray) -> tuple[int, float, float]:
    """Return what is to be small first, second and third: mistakes never found, the most runs, runs of all."""
    finite = runs[np.isfinite(runs)]
    return len(runs) - len(finite), float(finite.max(initial=0.0)), float(np.log(np.maximum(finite, 1.0)).sum())


@dataclass(frozen=True, slots=True)
class SampleSize:
    """What a number of runs is settled for."""

    model: Model
    species: tuple[str, ...]
    require: float
    alpha: float
    power: float
    max_runs: int
    max_states: int | None
    report: StateCallback

    def runs(self, times: FloatArray, about: float, needs: tuple[Need, ...]) -> dict[str, Any]:
        """Return the number of runs at these times that is enough, what it finds, or why none is."""
        if not needs:
            return {"runs": None, "undecided": "no rate constant is known to be seen, however many runs there are"}
        n = rounded(max(FEWEST_RUNS, about)) if np.isfinite(about) else self.max_runs + 1
        reference = transient(self.model, times, tolerance_of(FIRST_RUNS, self.alpha), max_states=self.max_states)
        for _ in range(RUN_ROUNDS):
            if n > self.max_runs:
                break
            self.report(Stage(f"{n:,} runs"))
            planned, battery = Planned(n, times, self.species), Battery(tuple(reference), n)
            tests = number_of_tests(planned)
            seen = detectable(self.model, reference, battery, planned, alpha=self.alpha, tests=tests, power=self.power)
            reached = max((need.relative for need in seen), default=0.0)
            if reached <= self.require:
                more = sought(self.model, planned, battery, level=self.alpha / tests, power=self.power)
                return {"runs": n, "detectable": seen, "sought": more}
            n = rounded(n * float(np.clip((reached / self.require) ** 2, 1.05, 100.0)))
        takes = f"about {needs[0].runs:,.0f} runs" if np.isfinite(needs[0].runs) else "more runs than were looked at"
        why = f"{needs[0].mistake} takes {takes}, and {self.max_runs:,} may be made; give other times, or a larger size"
        return {"runs": None, "undecided": why}


def rounded(runs: float) -> int:
    """Round a number of runs up to two digits."""
    unit = int(10 ** max(0, floor(log10(runs)) - 1))
    return ceil(runs / unit - 1e-9) * unit
