"""Rows of answers: what each is called by, and its states, moments and error, as columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from fsp.distribution.distribution import Distribution
from fsp.distribution.solution import Solution
from fsp.distribution.sweep import Sweep

if TYPE_CHECKING:
    from fsp.distribution.ledger import Interval

Answer: TypeAlias = Distribution | Solution | Sweep
Asking: TypeAlias = Callable[[Distribution], "Mapping[str, Interval]"]  # answers to questions, by their names
Index: TypeAlias = list[float | None]  # parameters of a sweep, and the time, None where it is stationary


def rows_of(answer: Answer, *, last_times: bool = False) -> tuple[list[str], list[tuple[Index, Distribution]]]:
    """Return the names of what rows are called by, and each row: its index and its distribution.

    `last_times`: of the points of a sweep the last time alone, which its index then leaves out.
    """
    if isinstance(answer, Sweep):
        points = [(answer.points[i].tolist(), answer[i]) for i in answer.solved]
        if last_times:
            return list(answer.names), [(point, solution[-1]) for point, solution in points]
        return [*answer.names, "t"], [([*point, one.t], one) for point, solution in points for one in solution]
    return ["t"], [([one.t], one) for one in (answer if isinstance(answer, Solution) else [answer])]


def columns(answer: Answer, asking: Asking | None = None) -> dict[str, list[Any]]:
    """Return a column for each thing that rows are called by, and for states, moments, error and what is asked.

    Of each answer to a question there is its value, and its lower and upper bound, None where they are no bounds.
    """
    names, rows = rows_of(answer)
    found: dict[str, list[Any]] = {name: [index[k] for index, _ in rows] for k, name in enumerate(names)}
    distributions = [one for _, one in rows]
    found["n_states"] = [len(one) for one in distributions]
    moments = [(one.mean(), one.std()) for one in distributions]
    for name in answer.species:
        found[f"mean_{name}"] = [mean[name] for mean, _ in moments]
        found[f"std_{name}"] = [std[name] for _, std in moments]
    found["error"] = [one.error.total for one in distributions]
    found["certified"] = [one.error.certified for one in distributions]
    answers = [] if asking is None else [asking(one) for one in distributions]
    for label in answers[0] if answers else ():
        intervals = [own[label] for own in answers]
        found[label] = [interval.value for interval in intervals]
        found[f"{label} lower"] = [interval.lower if interval.certified else None for interval in intervals]
        found[f"{label} upper"] = [interval.upper if interval.certified else None for interval in intervals]
    return found


def csv_of(columns: Mapping[str, Sequence[Any]]) -> str:
    """Write columns as CSV, numbers with every digit; what is missing stays empty."""
    return csv_text(list(columns), zip(*columns.values(), strict=True))


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Write rows as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
