"""What arguments of many functions must be: one of some words, a whole number, a level, a width."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.errors import ArgumentError

if TYPE_CHECKING:
    from fsp.arrays import FloatArray

LARGEST_WHOLE = 2**53  # of numbers of runs, workers, cells: doubles, with which they are multiplied, hold all up to it
LONGEST_SHOWN = 10**30  # chosen: whole numbers from here on are not written out; Python refuses 4,300 digits


def check_choice(name: str, given: object, known: Iterable[str]) -> None:
    """Raise an ArgumentError unless the argument `name` is one of some words."""
    names = list(known)
    if not isinstance(given, str) or given not in names:
        raise ArgumentError(f"`{name}` must be one of {', '.join(names)}, but is {given!r}.")


def check_whole(name: str, given: Any, least: int, greatest: int | None = LARGEST_WHOLE) -> None:
    """Raise an ArgumentError unless an argument is a whole number in a range; None: however large."""
    try:
        number = None if isinstance(given, bool) or given is np.ma.masked else operator.index(given)
    except (TypeError, ValueError):
        number = None
    if number is None or number < least:
        raise ArgumentError(f"`{name}` must be a whole number of {least} or more, but is {shown(given)}.")
    if greatest is not None and number > greatest:
        raise ArgumentError(f"`{name}` must be a whole number of {least} to {greatest:,}, but is {shown(given)}.")


def as_texts(given: Any) -> tuple[str, ...] | None:
    """Return one or several different texts, None where it is something else."""
    try:
        texts = (given,) if isinstance(given, str) else tuple(given)
    except TypeError:
        return None
    if not texts or not all(isinstance(text, str) for text in texts) or len(set(texts)) < len(texts):
        return None
    return texts


def check_mapping(name: str, given: object, example: str) -> None:
    """Raise an ArgumentError unless an argument is None or a mapping from names."""
    if given is not None and not (isinstance(given, Mapping) and all(isinstance(key, str) for key in given)):
        raise ArgumentError(f"`{name}` must be a mapping from names, such as {example}, but is {shown(given)}.")


def check_flag(name: str, given: object) -> None:
    """Raise an ArgumentError unless an argument is True or False, or 1 or 0."""
    if not isinstance(given, int | np.bool_ | np.integer) or given not in (0, 1):
        raise ArgumentError(f"`{name}` must be True or False, but is {shown(given)}.")


def is_number(given: object) -> bool:
    """Tell whether an argument is a real number, and no truth value, text or array."""
    return isinstance(given, Real) and not isinstance(given, bool)


def check_processes(given: Any) -> None:
    """Raise an ArgumentError unless `processes` is left out, or a whole number."""
    if given is not None:
        check_whole("processes", given, 1)


def as_numbers(what: str, given: Any) -> FloatArray:
    """Return one or several numbers as floats, in their shape; an ArgumentError names what is none, such as a text."""
    try:
        values = np.asarray(given)
        if values.dtype == np.object_ and not any(isinstance(x, str | bytes | bool | None) for x in values.flat):
            values = values.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        values = np.array("")
    if values.dtype.kind not in "iuf":
        raise ArgumentError(f"{what} must be numbers, but are {shown(given)}.")
    return values.astype(np.float64)


def shown(given: Any) -> str:
    """Return how a value is written in a message: a whole number of hundreds of digits by its length alone."""
    if isinstance(given, int) and abs(given) >= LONGEST_SHOWN:
        return f"{'minus ' if given < 0 else ''}a whole number of {given.bit_length():,} bits"
    return f"[{', '.join(map(shown, given))}]" if isinstance(given, list) else repr(given)


def check_level(level: object) -> None:
    """Raise an ArgumentError unless a level of confidence is a probability."""
    if not isinstance(level, int | float) or not 0.0 < level < 1.0:
        raise ArgumentError(f"`level` must be a probability between 0 and 1, such as 0.95, but is {level!r}.")


def check_width(width: object) -> None:
    """Raise an ArgumentError unless the width of a log-likelihood is a positive number."""
    if not isinstance(width, int | float) or not width > 0.0:
        raise ArgumentError(f"`width` must be a number of nats above 0, but is {width!r}.")
