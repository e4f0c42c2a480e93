"""Numbers as texts write them: what a double does not hold, libraries read as 0, as another number, or not at all."""

from __future__ import annotations

import re
import sys

_SUSPECT = re.compile(r"[eE][+-]?\d{3}|\d{300}")  # what a number beyond the range of doubles has
_LITERAL = re.compile(r"(?<![\w.])(\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


def beyond_doubles(text: str, least: float = 0.0) -> str | None:
    """Return the first number of a text of which a double would be infinite, or 0 or below `least` though it is not 0.

    Examples
    --------
    >>> beyond_doubles("k*1e-400 + 1e300"), beyond_doubles("0e999"), beyond_doubles("2e308*x")
    ('1e-400', None, '2e308')
    """
    if _SUSPECT.search(text) is None:
        return None
    for number in _LITERAL.finditer(text):
        value = float(number.group())
        if value > sys.float_info.max or ((value == 0.0 or value < least) and number.group(1).strip("0.")):
            return number.group()
    return None
