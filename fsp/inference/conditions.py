"""Conditions of cells that are computed at a time: each by itself, in this process or in workers, and added in order.

What comes of a condition depends on no other one, so that sums do not depend on the number of processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from fsp.bars import silent
from fsp.crew import Items, Outcome, dealt, in_order
from fsp.generator.threads import n_processors
from fsp.projection.progress import Progress, labelled

if TYPE_CHECKING:
    from fsp.projection.progress import ProgressCallback


class ConditionWork(Protocol):
    """What is to be computed of each condition; it goes through pickle."""

    def of(self, k: int, report: ProgressCallback) -> Any:
        """Return the answer of the k-th condition."""


@dataclass(frozen=True, slots=True)
class _InWorker:
    """Computes a condition in a worker."""

    what: ConditionWork

    def __call__(self, k: int, first: bool) -> Any:
        return self.what.of(k, silent)


def of_each(what: ConditionWork, labels: Sequence[str], processes: int | None, report: ProgressCallback) -> list[Any]:
    """Return the answers of all conditions, in their order.

    Without a number of `processes` the first is computed here, and the others in workers where that takes less time.
    """
    answers: list[Any] = []

    def here(items: Items) -> Iterator[Outcome]:
        for k, _ in items:
            yield Outcome(k, what.of(k, labelled(report, labels[k])))

    def tick() -> None:
        report(Progress(None, None, 0, inf, f"{len(answers)} of {len(labels)} conditions"))

    workers = n_processors() if processes is None else processes
    items = [(k, k) for k in range(len(labels))]
    for answer in in_order(dealt(items, workers, here, _InWorker(what), tick, asked=processes is not None)):
        answers.append(answer)
    return answers
