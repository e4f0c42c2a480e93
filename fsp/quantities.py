"""Numbers as they are written on the command line and in manifests: ``1,2,5``, ``0:30:31``, ``8GiB``."""

from __future__ import annotations

import math
import re

from fsp.errors import ArgumentError

MOST_NUMBERS = 100_000  # times, or points of a sweep: each gives a distribution of its own, which is kept

_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+|inf(?:inity)?|nan)(?:e[+-]?[0-9]+)?", re.IGNORECASE | re.ASCII)
_SEVERAL = re.compile(r"0*([2-9]|[1-9][0-9]+)")  # two or more
_SIZE = re.compile(r"([0-9]+\.?[0-9]*)\s*([kmgt]?)(i?)b?", re.IGNORECASE)


def number(text: str, where: str) -> float:
    """Return a number, written as such: Python would read 1_000 and digits of other alphabets too, and 1e-400 as 0."""
    match = _DECIMAL.fullmatch(text.strip())
    if match is None:
        raise ArgumentError(f"`{where}` must be a number, but is '{text}'.")
    value = float(text)
    if not math.isfinite(value):
        raise ArgumentError(f"`{where}` must be finite, but is '{text}'.")
    if value == 0.0 and match[1].strip("0."):
        raise ArgumentError(f"`{where}` must be 0 or a number that a double can hold, but is '{text}'.")
    return value


def share(text: str, where: str) -> float:
    """Return a positive number that is written like ``5%`` or ``0.05``."""
    plain = text.strip()
    value = number(plain.removesuffix("%"), where) / (100.0 if plain.endswith("%") else 1.0)
    if not value > 0.0:
        raise ArgumentError(f"`{where}` must be positive, such as 5% or 0.05, but is '{text}'.")
    return value


def points(text: str, where: str) -> list[float]:
    """Return the numbers of a list such as ``1,2,5``, of which ``FROM:TO:NUMBER`` gives several, with both ends."""
    points: list[float] = []
    for part in text.split(","):
        ends = part.split(":")
        if len(ends) == 1:
            points.append(number(part, where))
        elif len(ends) == 3 and _SEVERAL.fullmatch(ends[2].strip()):
            first, last = (number(end, where) for end in ends[:2])
            steps = min(int(ends[2][:9]), MOST_NUMBERS + 1) - 1
            points += [*(first + (last - first) * i / steps for i in range(steps)), last]
        else:
            raise ArgumentError(f"`{where}` must be like 0:30:31 or 1,2,5, but has '{part}'.")
        if len(points) > MOST_NUMBERS:
            raise ArgumentError(f"`{where}` must be at most {MOST_NUMBERS:,} numbers, but '{text[:40]}' are more.")
    return points


def size(text: str, where: str) -> int:
    """Return a number of bytes that is written like ``8GiB`` or ``500MB``."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ArgumentError(f"`{where}` must be a size such as 8GiB or 500MB, but is '{text}'.")
    digits, prefix, binary = match.groups()
    return int(float(digits) * (1024 if binary else 1000) ** " kmgt".index(prefix.lower() or " "))
