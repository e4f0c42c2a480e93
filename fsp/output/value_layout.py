"""What is where in a file of derivatives, gradients, Fisher information, a design or a log-likelihood: its fields.

/     attributes: format, kind (a name of `KINDS`), versions as in `fsp.output.layout`

Each field has its own name in the file: numbers and texts are datasets, what is one text or number is an attribute, and
what is a value itself is a group, laid out by its own row of `LAYOUTS`; several values are groups 00000, 00001, …
in one.  A distribution is laid out as in `fsp.output.layout`; those of several times share states that are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from fsp.distribution.counts import Condition, Counts
from fsp.distribution.design import Design
from fsp.distribution.distribution import Distribution
from fsp.distribution.gradients import Gradients
from fsp.distribution.information import CellScores, FisherInformation, Graded
from fsp.distribution.ledger import ErrorLedger, Interval
from fsp.distribution.log_likelihood import LogLikelihood
from fsp.distribution.sensitivity import Sensitivities, Sensitivity
from fsp.output.groups import array, attribute, attributes, child, texts
from fsp.output.layout import FILTERS, read_answer, write_answer
from fsp.time_limit import TimeLimit

RowWriter: TypeAlias = Callable[[Any, str, Distribution], None]
Lengths: TypeAlias = dict[str, int]
"""What the letters of `NumbersField` and `TextsField` were found to be, in one value and those inside it."""


class Field(Protocol):
    """How a field is written under its name, and read."""

    def write(self, group: Any, name: str, value: Any, write_rows: RowWriter) -> None:
        """Write it into the group of its value."""

    def read(self, group: Any, name: str, lengths: Lengths) -> Any:
        """Read it; a ValueError says what is not as it must be."""


@dataclass(frozen=True, slots=True)
class NumbersField:
    """An array: the kinds of its elements, and a letter for each of its lengths, equal where the letter is."""

    kinds: str
    letters: str

    def write(self, group: Any, name: str, value: Any, write_rows: RowWriter) -> None:
        """Write the array, packed where there is anything to pack."""
        group.create_dataset(name, data=value, **(FILTERS if np.size(value) else {}))

    def read(self, group: Any, name: str, lengths: Lengths) -> Any:
        """Read the array, whose lengths are those that are known already."""
        values = array(group, name, self.kinds, [lengths.get(letter) for letter in self.letters])
        lengths.update(zip(self.letters, values.shape, strict=True))
        return values


@dataclass(frozen=True, slots=True)
class TextsField:
    """Texts, as many as a letter says, if there is one."""

    letter: str

    def write(self, group: Any, name: str, value: Any, write_rows: RowWriter) -> None:
        """Write the texts."""
        import h5py

        group.create_dataset(name, data=np.array(value, dtype=object), dtype=h5py.string_dtype())

    def read(self, group: Any, name: str, lengths: Lengths) -> Any:
        """Read the texts."""
        words = tuple(map(str, texts(group, name, 1)))
        if self.letter and lengths.setdefault(self.letter, len(words)) != len(words):
            raise ValueError(f"/{name} must be {lengths[self.letter]} texts, but are {len(words)}")
        return words


@dataclass(frozen=True, slots=True)
class PlainField:
    """One text, number or truth value, of this type."""

    kind: type

    def write(self, group: Any, name: str, value: Any, write_rows: RowWriter) -> None:
        """Write the attribute."""
        group.attrs[name] = self.kind(value)

    def read(self, group: Any, name: str, lengths: Lengths) -> Any:
        """Read the attribute."""
        return attribute(group, name, self.kind)


@dataclass(frozen=True, slots=True)
class NamedField:
    """Numbers and texts by name."""

    def write(self, group: Any, name: str, value: Any, write_rows: RowWriter) -> None:
        """Write a group with an attribute for each."""
        group.create_group(name).attrs.update(value)

    def read(self, group: Any, name: str, lengths: Lengths) -> Any:
        """Read the attributes."""
        return attributes(child(group, name))


@dataclass(frozen=True, slots=True)
class ValueField:
    """A value of a class of `LAYOUTS`, or None where it may be."""

    made: type
    optional: bool = False
    apart: bool = False  # whether letters in it are not those outside

    def write(self, group: Any, name: str, value: Any, write_rows: RowWriter) -> None:
        """Write a group; none for None."""
        if value is not None:
            _write_fields(group.create_group(name), value, write_rows)

    def read(self, group: Any, name: str, lengths: Lengths) -> Any:
        """Read the group."""
        if self.optional and name not in group:
            return None
        return _read_fields(child(group, name), self.made, {} if self.apart else lengths)


@dataclass(frozen=True, slots=True)
class SeveralField:
    """What is laid out as `part`, as often as a letter says, if there is one, or never where it may be left out."""

    part: Field
    letter: str = ""
    optional: bool = False

    def write(self, group: Any, name: str, value: Any, write_rows: RowWriter) -> None:
        """Write each by its place."""
        inside = group.create_group(name)
        for i, part in enumerate(value):
            self.part.write(inside, f"{i:05d}", part, write_rows)

    def read(self, group: Any, name: str, lengths: Lengths) -> Any:
        """Read each by its place."""
        inside = child(group, name)
        n = len(inside)
        if self.letter and (n or not self.optional) and lengths.setdefault(self.letter, n) != n:
            raise ValueError(f"{inside.name} must hold {lengths[self.letter]} parts, but holds {n}")
        return tuple(self.part.read(inside, f"{i:05d}", dict(lengths)) for i in range(n))


@dataclass(frozen=True, slots=True)
class LabelledField:
    """What is laid out as `part`, by label."""

    part: Field

    def write(self, group: Any, name: str, value: Any, write_rows: RowWriter) -> None:
        """Write the labels, and each by its place."""
        inside = group.create_group(name)
        TextsField("").write(inside, "labels", list(value), write_rows)
        SeveralField(self.part).write(inside, "parts", value.values(), write_rows)

    def read(self, group: Any, name: str, lengths: Lengths) -> Any:
        """Read the labels, and each by its place."""
        inside, known = child(group, name), dict(lengths)
        labels = TextsField("labels").read(inside, "labels", known)
        return dict(zip(labels, SeveralField(self.part, "labels").read(inside, "parts", known), strict=True))


@dataclass(frozen=True, slots=True)
class DistributionField:
    """A distribution, of as many states and species as letters say."""

    letters: str

    def write(self, group: Any, name: str, value: Any, write_rows: RowWriter) -> None:
        """Write it as by itself."""
        write_answer(group.create_group(name), value, write_rows, TimeLimit())

    def read(self, group: Any, name: str, lengths: Lengths) -> Any:
        """Read it as by itself."""
        distribution = read_answer(child(group, name))
        if not isinstance(distribution, Distribution):
            raise ValueError(f"{group.name}/{name} must be a distribution, but is a solution")
        lengths.update(zip(self.letters, distribution.states.shape, strict=True))
        return distribution


# What each class holds, by the arguments that make it; what gives a letter its length comes first.
LAYOUTS: Mapping[type, Mapping[str, Field]] = {
    ErrorLedger: {
        "truncation": PlainField(float),
        "integration": PlainField(float),
        "pruning": PlainField(float),
        "rounding": PlainField(float),
        "certified": PlainField(bool),
    },
    Sensitivity: {
        "parameters": TextsField("q"),
        "distribution": DistributionField("xd"),
        "derivatives": NumbersField("f", "qx"),
        "errors": SeveralField(ValueField(ErrorLedger), "q"),
        "mean_errors": NumbersField("f", "qd"),
        "log": PlainField(bool),
        "reason": PlainField(str),
    },
    Sensitivities: {"values": SeveralField(ValueField(Sensitivity)), "statistics": NamedField()},
    CellScores: {
        "scores": NumbersField("f", "qm"),
        "probabilities": NumbersField("f", "m"),
        "errors": NumbersField("f", "q"),
        "lacking": PlainField(float),
    },
    Graded: {name: NumbersField("f", "qq") for name in ("directions", "matrix", "taken", "rounding")},
    FisherInformation: {
        "parameters": TextsField("q"),
        "matrix": NumbersField("f", "qq"),
        "above": NumbersField("f", "q"),
        "below": NumbersField("f", "qq"),
        "off": NumbersField("f", "qq"),
        "log": PlainField(bool),
        "scores": ValueField(CellScores, optional=True),
        "graded": ValueField(Graded, optional=True),
    },
    Design: {
        "criterion": PlainField(str),
        "conditions": TextsField("c"),
        "times": NumbersField("f", "t"),
        "cells": NumbersField("iu", "ct"),
        "weights": NumbersField("f", "ct"),
        "information": ValueField(FisherInformation),
        "gain": PlainField(float),
        "below": PlainField(float),
    },
    Interval: {
        "lower": PlainField(float),
        "upper": PlainField(float),
        "value": PlainField(float),
        "certified": PlainField(bool),
        "reason": PlainField(str),
    },
    Condition: {"label": PlainField(str), "settings": NamedField(), "counts": ValueField(Counts, apart=True)},
    Counts: {
        "observed": TextsField("o"),
        "times": NumbersField("f", "t"),
        "values": SeveralField(NumbersField("iu", "mo"), "t", optional=True),
        "cells": SeveralField(NumbersField("iu", "m"), "t", optional=True),
        "conditions": SeveralField(ValueField(Condition)),
        "replicates": LabelledField(NumbersField("iu", "t")),
        "time_unit": PlainField(str),
    },
    Gradients: {
        "formula": PlainField(str),
        "times": NumbersField("f", "t"),
        "by_time": SeveralField(LabelledField(ValueField(Interval)), "t"),
        "log": PlainField(bool),
        "tol": PlainField(float),
    },
    LogLikelihood: {
        "value": ValueField(Interval),
        "counts": ValueField(Counts),
        "by_time": SeveralField(ValueField(Interval), "t", optional=True),
        "impossible": TextsField(""),
        "by_condition": LabelledField(ValueField(LogLikelihood, apart=True)),
        "logs": SeveralField(NumbersField("f", "2m"), "t", optional=True),
    },
}
KINDS: Mapping[str, type] = {
    "sensitivity": Sensitivities,
    "gradient": Gradients,
    "Fisher matrix": FisherInformation,
    "design": Design,
    "likelihood": LogLikelihood,
}
"""Classes that have files of their own, by what such a file is called."""


def kind_of(answer: object) -> str:
    """Return what a file of this value is called; that of a class without a row in `KINDS` by its class."""
    names = [name for name, made in KINDS.items() if isinstance(answer, made)]
    return names[0] if names else type(answer).__name__.lower()


def write_value(file: Any, value: Any, write_rows: RowWriter) -> None:
    """Write a value of a class of `KINDS` into a file that has its head already."""
    before: list[tuple[Any, Distribution]] = []

    def write_shared(group: Any, name: str, distribution: Distribution) -> None:
        if name == "states" and before and distribution.shares_states_with(before[-1][1]):
            group[name] = before[-1][0][name]
        else:
            write_rows(group, name, distribution)
        before[:] = [(group, distribution)]

    _write_fields(file, value, write_shared)


def read_value(file: Any) -> Any:
    """Read a value of a class of `KINDS`; a ValueError says what is not as it must be."""
    return _read_fields(file, KINDS[attribute(file, "kind", str)], {})


def _write_fields(group: Any, value: Any, write_rows: RowWriter) -> None:
    held = {"values": tuple(value)} if isinstance(value, Sensitivities) else {}
    layout = next(LAYOUTS[made] for made in type(value).__mro__ if made in LAYOUTS)
    for name, field in layout.items():
        field.write(group, name, held[name] if name in held else getattr(value, name), write_rows)


def _read_fields(group: Any, made: type, lengths: Lengths) -> Any:
    return made(**{name: field.read(group, name, lengths) for name, field in LAYOUTS[made].items()})
