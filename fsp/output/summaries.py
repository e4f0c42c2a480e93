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
        return [*answer.names, "t"], [
            ([*point, distribution.t], distribution) for point, solution in points for distribution in solution
        ]
    return ["t"], [
        ([distribution.t], distribution) for distribution in (answer if isinstance(answer, Solution) else [answer])
    ]


def columns(answer: Answer, asking: Asking | None = None) -> dict[str, list[Any]]:
    """Return a column for each thing that rows are called by, and for states, moments, error and what is asked.

    Of each answer to a question there is its value, and its lower and upper bound, None where they are no bounds.
    """
    names, rows = rows_of(answer)
    columns_made: dict[str, list[Any]] = {name: [index[k] for index, _ in rows] for k, name in enumerate(names)}
    distributions = [distribution for _, distribution in rows]
    columns_made["n_states"] = [len(distribution) for distribution in distributions]
    moments = [(distribution.mean(), distribution.std()) for distribution in distributions]
    for name in answer.species:
        columns_made[f"mean_{name}"] = [mean[name] for mean, _ in moments]
        columns_made[f"std_{name}"] = [std[name] for _, std in moments]
    columns_made["error"] = [distribution.error.total for distribution in distributions]
    columns_made["certified"] = [distribution.error.certified for distribution in distributions]
    answers = [] if asking is None else [asking(distribution) for distribution in distributions]
    for label in answers[0] if answers else ():
        intervals = [of_rows[label] for of_rows in answers]
        columns_made[label] = [interval.value for interval in intervals]
        columns_made[f"{label} lower"] = [interval.lower if interval.certified else None for interval in intervals]
        columns_made[f"{label} upper"] = [interval.upper if interval.certified else None for interval in intervals]
    return columns_made


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
