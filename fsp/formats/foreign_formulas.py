"""Formulas of other tools, in C, Python or BioNetGen's muParser, written as ours."""

from __future__ import annotations

import math
import re
from collections.abc import Collection

_SPELLINGS = (
    (re.compile(r"\b(?:std::|math\.|np\.|numpy\.)"), ""),
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"\band\b"), "&&"),
    (re.compile(r"\bor\b"), "||"),
    (re.compile(r"~="), "!="),
    (re.compile(r"\blog(?=\s*\()"), "ln"),
    (re.compile(r"\bfabs(?=\s*\()"), "abs"),
)
_NOT = re.compile(r"\bnot\b(?=\s*\()")
_OPERAND_END = re.compile(r"\s*(?:$|&&|\|\||[),])")  # of what `not` is of, in all these languages
_EMPTY_CALL = re.compile(r"\b(\w+)\s*\(\s*\)")
_WORD = re.compile(r"\b[A-Za-z_]\w*\b(?!\s*\()")

# What those languages have beside our own functions; log2 is in none of ours.
FUNCTIONS = {
    "if(condition, yes, no)": "piecewise(yes, condition, no)",
    "rint(x)": "floor(x + 0.5)",
    "log2(x)": "ln(x)/ln(2)",
}


def as_ours(text: str, names: Collection[str]) -> str:
    """Return a formula as ours: powers, logical words, log(x) as the natural one, f() of observables as a name.

    `names`: those of the model, which come before `t` as the time and `_pi`.  Python's `not` takes in a comparison, and
    that of C does not, so that it stays, to be refused, unless it is of parentheses alone.
    """
    for pattern, ours in _SPELLINGS:
        text = pattern.sub(ours, text)
    text = _NOT.sub(lambda match: "!" if _ends_with_group(text, match.end()) else match.group(), text)
    words = {"t": "time", "_pi": repr(math.pi), "_e": repr(math.e)}
    words = {word: ours for word, ours in words.items() if word not in names}
    return _WORD.sub(lambda match: words.get(match.group(), match.group()), _EMPTY_CALL.sub(r"\1", text))


def _ends_with_group(text: str, start: int) -> bool:
    """Tell whether an operand, whose parentheses open next, ends with them."""
    depth = 0
    for place in range(text.index("(", start), len(text)):
        depth += (text[place] == "(") - (text[place] == ")")
        if not depth:
            return _OPERAND_END.match(text, place + 1) is not None
    return False
