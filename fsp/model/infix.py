"""Trees as infix text that libsbml's Level 3 parser reads back as the same tree."""

from __future__ import annotations

import numpy as np

from fsp.model.functions import ATOM, COMPARISON, FUNCTIONS, POWER, PRODUCT, SIGN
from fsp.model.tree import Call, Expression, Number, Symbol, Time


def to_text(expr: Expression) -> str:
    """Return infix text that parses back to the same tree."""
    return _text(expr)[0]


def number_text(value: float) -> str:
    """Return the shortest decimal text that reads back as the same number: ``100``, ``6.02e+23``."""
    text = repr(float(value)).removesuffix(".0")
    mantissa, has_exponent, exponent = text.partition("e")
    if has_exponent and float(f"{float(mantissa)!r}e{exponent}") != value:
        # libsbml reads a mantissa as a double of its own, which loses the last digit of some
        return np.format_float_positional(value, trim="-")
    return text


def _text(expr: Expression) -> tuple[str, int]:
    """Return the text of a tree and how tightly it binds."""
    if isinstance(expr, Number):
        return number_text(expr.value), SIGN if expr.value < 0 else ATOM
    if isinstance(expr, Symbol):
        return expr.name, ATOM
    if isinstance(expr, Time):
        return "time", ATOM
    return _call_text(expr)


def _call_text(node: Call) -> tuple[str, int]:
    arguments, row = node.arguments, FUNCTIONS[node.function]
    if row.level == COMPARISON:
        return _comparison(node)
    if row.level <= PRODUCT and len(arguments) > 1:
        return _joined(node, row.sign, row.level)
    if row.level == POWER:
        return f"{_bound(arguments[0], ATOM)}^{_bound(arguments[1], POWER)}", POWER
    if row.level == SIGN:
        return f"{row.sign}{_bound(arguments[0], POWER)}", SIGN
    inside = ", ".join(to_text(a) for a in arguments)
    return f"{row.named or node.function}({inside})", ATOM


def _joined(node: Call, sign: str, level: int) -> tuple[str, int]:
    """Return operands joined by a sign that associates to the left."""
    head, *rest = node.arguments
    return sign.join([_bound(head, level), *(_bound(a, _tighter(a, level)) for a in rest)]), level


def _tighter(operand: Expression, level: int) -> int:
    """Return the level that an operand right of a sign must bind at; a signed one gets parentheses."""
    signed = isinstance(operand, Number) or (isinstance(operand, Call) and operand.function == "neg")
    return POWER if signed else level + 1


def _comparison(node: Call) -> tuple[str, int]:
    # the parser reads (a < b) < c as a < b < c, so a nested comparison takes the functional form
    texts = [_text(a) for a in node.arguments]
    if all(level > COMPARISON for _, level in texts):
        return f" {node.function} ".join(text for text, _ in texts), COMPARISON
    return f"{FUNCTIONS[node.function].named}({', '.join(text for text, _ in texts)})", ATOM


def _bound(expr: Expression, level: int) -> str:
    text, bound_level = _text(expr)
    return text if bound_level >= level else f"({text})"
