"""Hold the public names against the reference, one question at a time."""

from __future__ import annotations

import math
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from examination.networks import Network, draw
from examination.reference import UNIT, Answer, Reference, TooLargeError

import fsp

SOLVERS = ("uniformization", "krylov", "chebyshev", "rational", "implicit", "magnus")
OF_TIME = ("implicit", "magnus")  # take rates that depend on the time
STEP_BY_STEP = ("uniformization", "krylov", "chebyshev", "magnus")  # their work grows with the number of jumps
MOST_JUMPS = 1e5  # for which these are asked by name: what they cost is their definition, no fault
MOST_BOX_WORK = 3e9  # multiply-adds of that on a box, whose fastest state may never be reached: 1 to 10 s
TOLERANCES = (1e-2, 1e-4, 1e-6, 1e-9, 1e-12, 1e-15)
OUTSIDE = 1e-16  # probability beyond a reference box that is small enough
GROWTHS = 3
WIDER = 1.4  # of a box, each time
LARGEST_BOX = 200_000
MOST_WRITTEN = 400  # states whose probabilities are kept with a failure
STIFFEST = 1e9  # largest exit rate over the gap of a relaxation that dense eigenvalues resolve
MOST_MOLECULES = 1000  # of a network whose end is looked at
RELATIVE_GAP = 1e-3  # by which a spectral gap may be off
MISSED = 10.0  # an estimate that is too small by more than this is counted

GOOD = "good"
ABOVE = "above tol, said"
ESTIMATE = "estimate"
MISSED_ESTIMATE = "estimate missed"
BROKEN = "broken"
REFUSED = "refused"
BOX_ANSWERS = "refused, a box answers"
LEAK = "leak"
STALL = "stall"
FAILURES = (BROKEN, MISSED_ESTIMATE, BOX_ANSWERS, LEAK, STALL)


@dataclass(frozen=True)
class Question:
    """One call of the package.

    Parameters
    ----------
    door
        ``transient``, ``box`` (the same on a fixed space), ``stationary``, ``relaxation`` or ``sweep``.
    solver
        Of a transient; the method of a stationary distribution.
    tol
        The tolerance asked for.
    """

    door: str
    solver: str
    tol: float


def questions(network: Network, seed: int, jumps: float, box_work: float = 0.0) -> list[Question]:
    """Return what is asked of a network.

    Parameters
    ----------
    network, seed
        The description, and what decides which questions are drawn.
    jumps
        How often the fastest state that is reached is left.
    box_work
        The same on the box, for each of its entries.
    """
    rng = np.random.default_rng([7, seed])
    timed = any("time" in reaction.get("rate", "") for reaction in network["reactions"])
    named = [name for name in SOLVERS if name not in STEP_BY_STEP or jumps < MOST_JUMPS]
    named = [name for name in named if not timed or name in OF_TIME]
    asked = [Question("transient", "auto", tol) for tol in TOLERANCES[:: 2 if timed else 1]]
    for solver in named:
        asked += [Question("transient", solver, float(tol)) for tol in rng.choice(TOLERANCES, 2, replace=False)]
    boxed = ["auto"] + [name for name in named if name not in STEP_BY_STEP or box_work < MOST_BOX_WORK]
    asked += [Question("box", str(rng.choice(boxed)), float(rng.choice(TOLERANCES))) for _ in range(2)]
    if not is_timed(network):
        asked += [Question("stationary", "auto", tol) for tol in TOLERANCES[:5:2]]
        asked += [Question("stationary", method, 1e-6) for method in ("gth", str(rng.choice(["direct", "multilevel"])))]
        asked += [Question("relaxation", "auto", 1e-10)]
    if network["parameters"] and rng.random() < 0.3:
        asked += [Question("sweep", "auto", float(rng.choice(TOLERANCES[:5])))]
    return asked


def is_timed(network: Network) -> bool:
    """Tell whether there is no single generator."""
    return any("time" in reaction.get("rate", "") for reaction in network["reactions"]) or any(
        "at" in event for event in network.get("events", [])
    )


def as_model(network: Network) -> fsp.Model:
    """Make the model of a description."""
    events = [
        fsp.Event(event.get("trigger", f"time >= {event.get('at')}"), event["assignments"])
        for event in network.get("events", [])
    ]
    law = {"initial": {tuple(state): p for state, p in network["initial"]}} if "initial" in network else {}
    return fsp.Model(
        species=list(network["species"]) if law else network["species"],
        parameters=network["parameters"],
        reactions=[fsp.Reaction(**reaction) for reaction in network["reactions"]],
        events=events,
        **law,
    )


class Truth:
    """What is right for one network, computed when it is first asked for."""

    def __init__(self, network: Network) -> None:
        self.network = network

    @cached_property
    def transients(self) -> tuple[Reference, list[Answer]]:
        """The reference, on a box that holds enough, and its answers."""
        upper = self.network["upper"]
        for _ in range(GROWTHS):
            reference = Reference(self.network, upper)
            answers = reference.transient(self.network["times"])
            if answers[-1].outside <= OUTSIDE:
                return reference, answers
            upper = {name: math.ceil(WIDER * top) for name, top in upper.items()}
        raise TooLargeError

    @cached_property
    def stationary(self) -> tuple[Reference, Answer]:
        """The reference and the stationary distribution; its slack is what a wider box changes."""
        first, second = self._two_boxes
        p = second.stationary()
        slack = 4.0 * UNIT * (second.n + 100.0)
        if second is not first:
            before = first.stationary()
            changed = np.abs(p).sum() - sum(p[second.place[x]] for x in first.place)
            for x, value in zip(first.place, before, strict=True):
                changed += abs(value - p[second.place[x]])
            slack += float(changed)
        return second, Answer(p, 0.0, slack)

    @cached_property
    def gaps(self) -> list[float]:
        """The rates that may be called the gap, on which two boxes agree; raises TooLargeError where there are none."""
        first, second = (reference.gaps() for reference in self._two_boxes)
        fastest = self._two_boxes[1].fastest(0.0)
        agreed = [
            gap
            for name, gap in second.items()
            if math.isfinite(gap) and abs(first[name] - gap) <= 0.1 * RELATIVE_GAP * gap and gap * STIFFEST > fastest
        ]
        if len(agreed) < len(second):
            raise TooLargeError
        return agreed

    @cached_property
    def _two_boxes(self) -> tuple[Reference, Reference]:
        if max(self.network["species"].values()) > MOST_MOLECULES:  # boxes are of where it is at first, not in the end
            raise TooLargeError
        upper = self.network["upper"]
        first = Reference(self.network, upper)
        if not (first.target == first.n).any():
            return first, first
        return first, Reference(self.network, {name: math.ceil(WIDER * top) for name, top in upper.items()})


def distance(answer: fsp.Distribution, reference: Reference, truth: Answer) -> float:
    """Return a lower bound of the 1-norm distance of an answer from the truth."""
    rest = truth.p.copy()
    for state, p in zip(answer.states.tolist(), answer.probabilities.tolist(), strict=True):
        i = reference.place.get(tuple(state))
        if i is not None:
            rest[i] -= np.longdouble(p)
    outside = float(answer.probabilities.sum()) - sum(
        p
        for state, p in zip(answer.states.tolist(), answer.probabilities.tolist(), strict=True)
        if tuple(state) in reference.place
    )
    return max(float(np.abs(rest).sum()) + max(outside - 1e-15, 0.0) - truth.outside - truth.slack, 0.0)


def faults(answer: fsp.Distribution, reference: Reference, truth: Answer) -> Iterator[str]:
    """Name the intervals of a certified answer that do not hold what is right."""
    for what, interval, right, unsure in _numbers(answer, reference, truth):
        if interval.certified and not interval.lower - unsure <= right <= interval.upper + unsure:
            yield f"{what} = {right!r} is not in [{interval.lower!r}, {interval.upper!r}]"
    spare = truth.outside + 2.0 * truth.slack
    for state, low, high in zip(answer.states.tolist(), answer.lower, answer.upper, strict=True):
        i = reference.place.get(tuple(state))
        if i is not None and not low - spare <= float(truth.p[i]) <= high + spare:
            yield f"P{tuple(state)} = {float(truth.p[i])!r} is not in [{low!r}, {high!r}]"


def _numbers(
    answer: fsp.Distribution, reference: Reference, truth: Answer
) -> Iterator[tuple[str, fsp.Interval, float, float]]:
    """Yield names, intervals of the answer, and what is right, with what the reference does not know of it."""
    spare, counts, p = truth.outside + 2.0 * truth.slack, reference.states, truth.p
    names, mode = list(answer.species), reference.states[int(np.argmax(truth.p))]
    events = [(f"{names[0]} > {mode[0]}", counts[:, 0] > mode[0]), ({names[0]: int(mode[0])}, counts[:, 0] == mode[0])]
    if len(names) > 1:
        events.append((f"{names[0]} >= {names[1]}", counts[:, 0] >= counts[:, 1]))
    for event, mask in events:
        yield f"P({event})", answer.probability(event), float(p[mask].sum()), spare
    means, spreads = answer.mean_interval(), answer.variance_interval()
    for i, name in enumerate(names):
        away = (counts[:, i] - mode[i]).astype(np.longdouble)
        mean, square = (p * away).sum(), (p * away * away).sum()
        reach = float(np.abs(away).max()) + 1.0
        unsure = 10.0 * spare * reach + 2.0 * float(np.spacing(float(mode[i])))
        yield f"mean of {name}", means[name], float(mean + mode[i]), unsure
        yield f"variance of {name}", spreads[name], float(square - mean * mean), 30.0 * spare * reach**2


class Judge:
    """Ask questions about one network and say what became of each."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.truth = Truth(network)
        self.model = as_model(network)

    def questions(self, seed: int) -> list[Question]:
        """Return what is asked of the network; raises TooLargeError where the reference cannot solve it."""
        reference, _ = self.truth.transients
        times = (0.0, *self.network["times"])
        jumps = max(reference.fastest(t) for t in times) * times[-1]
        entries = (len(reference.laws) + 1.0) * math.prod(top + 1 for top in reference.upper)
        box_work = max(reference.fastest_of_box(t) for t in times) * times[-1] * entries
        return questions(self.network, seed, jumps, box_work)

    def ask(self, question: Question) -> dict[str, Any]:
        """Return the record of one question; raises TooLargeError where the reference has no answer."""
        record: dict[str, Any] = asdict(question)
        prepare = {"stationary": lambda: self.truth.stationary, "relaxation": lambda: self.truth.gaps}
        prepare.get(question.door, lambda: self.truth.transients)()
        wall, cpu = perf_counter(), process_time()
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                answer = self._call(question)
                verdict = getattr(self, f"_judge_{question.door}")(question, answer)
            except fsp.FSPError as error:
                verdict = {"verdict": REFUSED, "message": f"{type(error).__name__}: {error}"}
            except TooLargeError:  # of a point of a sweep
                raise
            except Exception as error:  # whatever leaves the package by mistake
                verdict = {"verdict": LEAK, "message": _place(error)}
        record |= {"seconds": perf_counter() - wall, "cpu": process_time() - cpu, **verdict}
        said = any(issubclass(w.category, fsp.ToleranceWarning) for w in warned)
        stray = [w for w in warned if not issubclass(w.category, fsp.ToleranceWarning)]
        if stray and record["verdict"] not in FAILURES:
            text = f"{stray[0].category.__name__}: {stray[0].message} ({Path(stray[0].filename).name})"
            record |= {"verdict": LEAK, "message": text}
        if record["verdict"] == ABOVE and not said and question.door not in ("relaxation", "sweep"):
            record |= {"verdict": BROKEN, "message": "the bound is above the tolerance, and nothing says so"}
        if record["verdict"] == REFUSED:
            self._try_box(question, record)
        return record

    # ---- calls

    def _call(self, question: Question) -> Any:
        times, tol = self.network["times"], question.tol
        if question.door == "stationary":
            return fsp.stationary(self.model, tol, method=question.solver)
        if question.door == "relaxation":
            return fsp.relaxation(self.model, 1)
        if question.door == "sweep":
            return fsp.sweep(self.model, self._swept(), times, tol, processes=1)
        space = self._box() if question.door == "box" else None
        return fsp.transient(self.model, times, tol, solver=question.solver, space=space)

    def _swept(self) -> dict[str, list[float]]:
        name, value = next(iter(self.network["parameters"].items()))
        return {name: [float(f"{factor * value:.4g}") for factor in (0.7, 1.0, 1.3)]}

    def _box(self) -> fsp.StateSpace:
        """Return the states of the box, or those that can be reached where there are few of them."""
        upper = self.network["upper"]
        if math.prod(top + 1 for top in upper.values()) <= LARGEST_BOX:
            return fsp.StateSpace.box(self.model, upper=upper)
        return fsp.StateSpace.reachable(self.model, [f"{name} <= {top}" for name, top in upper.items()])

    def _try_box(self, question: Question, record: dict[str, Any]) -> None:
        """Mark a refusal where the same is answered on a space that is given."""
        if question.door not in ("transient", "stationary"):
            return
        solvers = ("auto", "uniformization", "implicit", "krylov") if question.solver == "auto" else (question.solver,)
        for solver in solvers:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    if question.door == "stationary":
                        if solver != question.solver:
                            continue
                        answer = fsp.stationary(self.model, question.tol, space=self._box(), method=solver)
                    else:
                        times = self.network["times"]
                        answer = fsp.transient(self.model, times, question.tol, space=self._box(), solver=solver)[-1]
                except Exception:
                    continue
            if answer.error.certified and answer.error.total <= question.tol:
                record |= {"verdict": BOX_ANSWERS, "box_solver": solver}
                return

    # ---- verdicts

    def _judge_transient(self, question: Question, solution: fsp.Solution) -> dict[str, Any]:
        reference, answers = self.truth.transients
        return _worst([_held(d, reference, a, question.tol) for d, a in zip(solution, answers, strict=True)])

    _judge_box = _judge_transient

    def _judge_stationary(self, question: Question, answer: fsp.Distribution) -> dict[str, Any]:
        return _held(answer, *self.truth.stationary, question.tol)

    def _judge_relaxation(self, question: Question, answer: fsp.Relaxation) -> dict[str, Any]:
        gaps = self.truth.gaps
        off = min((abs(answer.gap - gap) / gap for gap in gaps), default=math.inf)
        record = {"gap": answer.gap, "right": gaps, "distance": off, "bound": RELATIVE_GAP}
        if off <= RELATIVE_GAP:
            return {**record, "verdict": GOOD}
        text = f"gap {answer.gap:.6g}, right is {' or '.join(f'{gap:.6g}' for gap in gaps)}"
        return {**record, "verdict": MISSED_ESTIMATE if "≈" in str(answer) else BROKEN, "message": text}

    def _judge_sweep(self, question: Question, sweep: fsp.Sweep) -> dict[str, Any]:
        ((name, values),) = self._swept().items()
        records = []
        for value, solution in zip(values, sweep, strict=True):
            changed = {**self.network, "parameters": {**self.network["parameters"], name: value}}
            reference, answers = Truth(changed).transients
            records += [_held(d, reference, a, question.tol) for d, a in zip(solution, answers, strict=True)]
        return _worst(records)


def _held(answer: fsp.Distribution, reference: Reference, truth: Answer, tol: float) -> dict[str, Any]:
    """Judge one distribution."""
    d, bound = distance(answer, reference, truth), answer.error.total
    record = {"distance": d, "bound": bound, "states": len(answer)}
    if len(truth.p) <= MOST_WRITTEN:  # for the script, should it fail
        right = {"right": [[x, float(p)] for x, p in zip(reference.states.tolist(), truth.p, strict=True) if p > 0]}
    else:
        right = {}
    if not np.isfinite(answer.probabilities).all() or (answer.probabilities < 0).any():
        return {**record, **right, "verdict": BROKEN, "message": "a probability is negative or not a number"}
    if not answer.error.certified:
        missed = d > max(MISSED * bound, tol)
        text = {**right, "message": f"estimate {bound:.3g}, but the distance is {d:.3g}"} if missed else {}
        return {**record, "verdict": MISSED_ESTIMATE if missed else ESTIMATE, **text}
    if d > bound:
        return {**record, **right, "verdict": BROKEN, "message": f"bound {bound:.6g}, but the distance is {d:.6g}"}
    wrong = next(faults(answer, reference, truth), None)
    if wrong is not None:
        return {**record, **right, "verdict": BROKEN, "message": wrong}
    return {**record, "verdict": ABOVE if bound > tol else GOOD}


def _worst(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the record of the worst of several distributions."""
    order = (BROKEN, MISSED_ESTIMATE, ABOVE, ESTIMATE, GOOD)
    at = min(range(len(records)), key=lambda i: (order.index(records[i]["verdict"]), -records[i]["distance"]))
    return {**records[at], "at": at, "solved": len(records)}


def _place(error: Exception) -> str:
    """Return a message with the innermost place in the package."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/fsp/" in frame.filename]
    at = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{at}"


def examine(key: tuple[str, int], first: int) -> Iterator[tuple[str, Any]]:
    """Ask one network everything, from a question on."""
    kind, seed = key
    judge = Judge(draw(kind, seed))
    try:
        asked = judge.questions(seed)
    except TooLargeError:
        yield "note", {"left_out": "the reference would be too large"}
        return
    yield "note", {"states": judge.truth.transients[0].n}
    for question in asked[first:]:
        yield "ask", asdict(question)
        try:
            yield "answer", judge.ask(question)
        except TooLargeError:
            yield "answer", {**asdict(question), "verdict": "no reference"}
