"""Questions that are asked of every time of an answer: probabilities of events, expectations and quantiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.distribution.formulas import values_on
from fsp.distribution.ledger import Interval
from fsp.distribution.text import index_text, tables
from fsp.errors import ArgumentError
from fsp.output.summaries import Answer, rows_of

if TYPE_CHECKING:
    from fsp.distribution.distribution import Distribution


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked."""

    events: tuple[str, ...] = ()  # conditions, such as "V > U"
    expectations: tuple[str, ...] = ()  # formulas, such as "U*V"
    quantiles: Mapping[str, Sequence[float]] | None = None  # levels of each species

    def __bool__(self) -> bool:
        return bool(self.events or self.expectations or self.quantiles)

    def check(self, species: Sequence[str], observables: Mapping[str, str], *, timed: bool) -> None:
        """Refuse what a distribution could not answer, before one is computed; `timed`: whether it has a time."""
        some, t = np.ones((1, len(species)), dtype=np.int64), 0.0 if timed else None
        for option, formulas in (("--event", self.events), ("--expect", self.expectations)):
            for formula in formulas:
                try:
                    is_event = values_on(some, formula, species, observables, t).dtype == np.bool_
                except ArgumentError as error:
                    raise ArgumentError(f"`{option}`: {error}") from None
                if option == "--event" and not is_event:
                    raise ArgumentError(
                        f"`--event` must be a condition on counts, such as 'U > 40', but '{formula}' is a number."
                    )
        for name, levels in (self.quantiles or {}).items():
            if name not in species:
                raise ArgumentError(f"`--quantile` must be of one of {', '.join(species)}, but is of '{name}'.")
            wrong = [level for level in levels if not 0.0 < level < 1.0]
            if wrong:
                raise ArgumentError(f"`--quantile {name}` must have levels between 0 and 1, but has {wrong[0]:g}.")

    def answers(self, distribution: Distribution) -> dict[str, Interval]:
        """Return the answers of a distribution by their names, such as ``P(V > U)``, ``E(U*V)`` and ``Q(U, 0.5)``."""
        answers = {f"P({event})": distribution.probability(event) for event in self.events}
        answers |= {f"E({formula})": distribution.expectation(formula) for formula in self.expectations}
        for name, levels in (self.quantiles or {}).items():
            answers |= {f"Q({name}, {level:g})": distribution.quantile_interval(name, level) for level in levels}
        return answers

    def record(self, distribution: Distribution) -> dict[str, Any]:
        """Return the answers of a distribution in dictionaries and lists."""
        record: dict[str, Any] = {}
        if self.events:
            record["events"] = {event: distribution.probability(event).record() for event in self.events}
        if self.expectations:
            record["expectations"] = {text: distribution.expectation(text).record() for text in self.expectations}
        if self.quantiles:
            record["quantiles"] = {
                name: [{"level": level, **distribution.quantile_interval(name, level).record()} for level in levels]
                for name, levels in self.quantiles.items()
            }
        return record

    def text(self, answer: Answer, width: int) -> str:
        """Write the answers: a row for each time, or for each point of a sweep at its last time."""
        names, rows = rows_of(answer, last_times=True)
        answers = [self.answers(distribution) for _, distribution in rows]
        cells = [
            [*map(index_text, index), *map(_cell, row_answers.values())]
            for (index, _), row_answers in zip(rows, answers, strict=True)
        ]
        parts = tables([*names, *answers[0]], cells, width, fixed=len(names))
        reasons = {
            f"{label}: {interval.reason}"
            for row_answers in answers
            for label, interval in row_answers.items()
            if not interval.certified
        }
        lines = ["\n".join(part) for part in parts]
        return "\n".join([*lines, *(f"note: {reason}" for reason in sorted(reasons))])


def _cell(interval: Interval) -> str:
    """Write an interval, and a number alone where nothing is left open."""
    if not interval.certified:
        return f"≈ {interval.value:.6g}"
    return f"{interval.lower:.12g}" if interval.width == 0.0 else str(interval)
