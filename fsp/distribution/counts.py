"""Counted molecules in single cells, gathered by time and condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from fsp.distribution import formulas
from fsp.distribution.display import Displayed
from fsp.distribution.text import counted, table
from fsp.errors import ArgumentError

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.model import Model

# What units of time are called, without the s of the plural.
UNITS = {
    name: letter
    for letter, names in {
        "ms": ("ms", "msec", "millisecond"),
        "s": ("s", "sec", "second"),
        "min": ("m", "min", "minute"),
        "h": ("h", "hr", "hour"),
        "d": ("d", "day"),
    }.items()
    for name in names
}


class Merging(Protocol):
    """What may see several counts as one: an instrument."""

    def standing(self, seen: IntArray, /) -> IntArray:
        """Return the count that stands for each."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Counts(Displayed):
    """Counts observed in single cells, each cell at one time.

    Parameters
    ----------
    observed
        Species, or formulas such as ``"A + B"``, that were counted.
    times
        (n_times,) increasing times.
    values
        For each time the (m, n_observed) different counts.
    cells
        For each time the (m,) numbers of cells that had them.
    conditions
        The same for each condition, where there are several; `values` and `cells` are then empty.
    replicates
        (n_times,) cells of each replicate, for print.
    time_unit
        Unit of the times; empty where it is not known.
    """

    observed: tuple[str, ...]
    times: FloatArray
    values: tuple[IntArray, ...]
    cells: tuple[IntArray, ...]
    conditions: tuple[Condition, ...] = ()
    replicates: Mapping[str, IntArray] = field(default_factory=dict)
    time_unit: str = ""

    @property
    def groups(self) -> tuple[Condition, ...]:
        """The conditions; one without a label where all cells are of one."""
        return self.conditions or (Condition("", {}, self),)

    def require_unit_of(self, model: Model) -> None:
        """Refuse times in another unit than the model's, where both are known."""
        if self.time_unit and model.time_unit and _unit(self.time_unit) != _unit(model.time_unit):
            raise ArgumentError(
                f"Times of `counts` must be in the unit of '{model.name}', {model.time_unit}, but are in "
                f"{self.time_unit}; convert the column."
            )

    def require_known_to(self, model: Model) -> None:
        """Refuse counts whose name is neither a species of the model nor a formula of some."""
        for text in self.observed:
            try:
                formulas.read_formula(text, model.species, model.observables, 0.0)
            except ArgumentError as error:
                raise ArgumentError(
                    f"`counts` must be of species of '{model.name}', {', '.join(model.species)}, or of formulas of "
                    f"them, but '{text}' was counted: {error} Name what a column counts by a species, such as "
                    f"'{model.species[0]}', or a formula."
                ) from None

    def standing(self, instruments: Sequence[Merging]) -> Counts:
        """Return the same with the count that stands for each, where an instrument cannot tell some apart."""
        values, cells = [], []
        for counts_there, n in zip(self.values, self.cells, strict=True):
            columns = [
                instrument.standing(column) for instrument, column in zip(instruments, counts_there.T, strict=True)
            ]
            different, place = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
            values.append(different)
            cells.append(np.bincount(place.reshape(-1), n).astype(np.int64))
        return Counts(self.observed, self.times, tuple(values), tuple(cells))

    @property
    def n_cells(self) -> int:
        """Number of all cells."""
        if self.conditions:
            return sum(condition.counts.n_cells for condition in self.conditions)
        return sum(int(cells.sum()) for cells in self.cells)

    def __str__(self) -> str:
        """Return a row for each time: cells, and the mean and the largest of each count; those of each condition."""
        if self.conditions:
            return "\n".join(
                [
                    f"{counted(self.n_cells, 'cell')} in {counted(len(self.conditions), 'condition')}",
                    *map(str, self.conditions),
                ]
            )
        header = [
            "t",
            "cells",
            *(f"mean {name}" for name in self.observed),
            *(f"most {name}" for name in self.observed),
        ]
        rows = []
        for t, values, cells in zip(self.times.tolist(), self.values, self.cells, strict=True):
            means = (cells @ values / cells.sum()).tolist()
            largest = values.max(axis=0).tolist()
            rows.append([f"{t:g}", f"{int(cells.sum()):,}", *(f"{x:.4g}" for x in means), *(f"{x}" for x in largest)])
        header += [f"cells of {name}" for name in self.replicates]
        for i, row in enumerate(rows):
            row += [f"{int(n[i]):,}" for n in self.replicates.values()]
        head = f"{counted(self.n_cells, 'cell')} at {counted(len(self.times), 'time')}"
        return "\n".join([head, *table(header, rows)])


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """Cells that share what was done to them, and what was seen of them."""

    label: str  # what the data call it
    settings: Mapping[str, float]  # parameters and initial counts of the model, by name
    counts: Counts

    def of(self, model: Model) -> Model:
        """Return a model with what the condition sets."""
        unknown = [name for name in self.settings if name not in (*model.parameters, *model.species)]
        if unknown:
            raise ArgumentError(
                f"`conditions` must set parameters, {', '.join(model.parameters)}, or counts at the start, "
                f"{', '.join(model.species)}, of '{model.name}', but '{self.label}' sets '{unknown[0]}'."
            )
        return model.with_values(self.settings) if self.settings else model

    def __str__(self) -> str:
        """Return the label, what it sets, and the cells."""
        given = ", ".join(f"{name} = {value:g}" for name, value in self.settings.items())
        return f"{self.label}{f' ({given})' if given else ''}: {self.counts}"


def _unit(text: str) -> str:
    """Return a unit of time by the letter of its name: seconds, minutes, hours and days are written in many ways."""
    word = text.strip().lower()
    return next((UNITS[name] for name in (word, word.removesuffix("s")) if name in UNITS), word)
