"""What arguments of many functions must be: one of some words, a whole number, a level, a width."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fsp.errors import ArgumentError


def check_choice(name: str, given: object, known: Iterable[str]) -> None:
    """Raise an ArgumentError unless the argument `name` is one of some words."""
    names = list(known)
    if given not in names:
        raise ArgumentError(f"`{name}` must be one of {', '.join(names)}, but is {given!r}.")


def check_whole(name: str, given: Any, least: int) -> None:
    """Raise an ArgumentError unless an argument is a whole number that is large enough."""
    if isinstance(given, bool) or not hasattr(given, "__index__") or given < least:
        raise ArgumentError(f"`{name}` must be a whole number of {least} or more, but is {given!r}.")


def check_level(level: object) -> None:
    """Raise an ArgumentError unless a level of confidence is a probability."""
    if not isinstance(level, int | float) or not 0.0 < level < 1.0:
        raise ArgumentError(f"`level` must be a probability between 0 and 1, such as 0.95, but is {level!r}.")


def check_width(width: object) -> None:
    """Raise an ArgumentError unless the width of a log-likelihood is a positive number."""
    if not isinstance(width, int | float) or not width > 0.0:
        raise ArgumentError(f"`width` must be a number of nats above 0, but is {width!r}.")
