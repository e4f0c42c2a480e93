"""Read rate formulas of plain arithmetic: what most models hold, and needs no libsbml.

The grammar is that part of libsbml's Level 3 formulas on which both agree, but for how constants are folded::

    sum      product (("+" | "-") product)*
    product  sign (("*" | "/") sign)*
    sign     ("-" | "+") sign | power
    power    atom ("^" sign)?            "a^-b^c" is a^(-(b^c))
    atom     number | name | name "(" sum ("," sum)* ")" | "(" sum ")"

Of anything else `read` says that it has not read it, and `fsp.model.formula` asks libsbml, which also finds the words
for what is wrong.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from fsp.model.functions import FUNCTIONS
from fsp.model.tree import Expression, Number, Symbol, Time, call

# Names that the formula language reads as constants; `time` is the time wherever it stands.
CONSTANTS = ("pi", "exponentiale", "avogadro", "true", "false", "inf", "infinity", "nan", "notanumber")
_TOKEN = re.compile(r"\s*(?:([A-Za-z_]\w*)|((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|([-+*/^(),]))", re.ASCII)
_NAMED = {
    name: name
    for name in (
        "abs", "exp", "ln", "log10", "sqrt", "floor", "ceil", "min", "max", "sin", "cos", "tan", "sinh", "cosh", "tanh",
    )
} | {"pow": "^", "power": "^"}  # fmt: skip
_DEEPEST = 30  # levels of parentheses, calls and signs: far from Python's limit of calls within each other
_END = ""


class _OtherError(Exception):
    """The text is no plain arithmetic; never leaves this module."""


def read(text: str, defined: Callable[[str, list[Expression]], Expression | None]) -> Expression | None:
    """Return the tree of a text, None where it is no plain arithmetic.

    `defined` returns what a function of the user makes of its arguments, None where there is none of that name.
    """
    try:
        reader = _Reader(_tokens(text), defined)
        tree = reader.sum()
    except _OtherError:
        return None
    return tree if reader.ahead == _END else None


def _tokens(text: str) -> list[str]:
    tokens, place, end = [], 0, len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            raise _OtherError
        tokens.append(match.group().strip())
        place = match.end()
    return [*tokens, _END]


class _Reader:
    """A way through the tokens: one method for each rule of the grammar."""

    def __init__(self, tokens: list[str], defined: Callable[[str, list[Expression]], Expression | None]) -> None:
        self._tokens = iter(tokens)
        self._defined = defined
        self._depth = 0
        self.ahead = next(self._tokens)

    def _take(self) -> str:
        token, self.ahead = self.ahead, next(self._tokens, _END)
        return token

    def sum(self) -> Expression:
        return self._chain("+", "-", self._product)

    def _product(self) -> Expression:
        return self._chain("*", "/", self._sign)

    def _chain(self, together: str, apart: str, operand: Callable[[], Expression]) -> Expression:
        """Read operands between two operators, from the left; those that are added, or multiplied, all at once."""
        operands = [operand()]
        while self.ahead in (together, apart):
            if self._take() == together:
                operands.append(operand())
            else:
                operands = [call(apart, _joined(together, operands), operand())]
        return _joined(together, operands)

    def _sign(self) -> Expression:
        if self.ahead not in ("-", "+"):
            return self._power()
        sign = self._take()
        inside = self._deeper(self._sign)
        return call("neg", inside) if sign == "-" else inside

    def _power(self) -> Expression:
        base = self._atom()
        if self.ahead != "^":
            return base
        self._take()
        return call("^", base, self._deeper(self._sign))

    def _atom(self) -> Expression:
        token = self._take()
        if token == "(":
            inside = self._deeper(self.sum)
            self._expect(")")
            return inside
        if token[:1].isdigit() or token[:1] == ".":
            return _number(token)
        if not token.isidentifier() or token in CONSTANTS:
            raise _OtherError
        if self.ahead == "(":
            return self._applied(token)
        return Time() if token == "time" else Symbol(token)

    def _applied(self, name: str) -> Expression:
        """Return a function of its arguments, with which it must agree."""
        arguments: list[Expression] = []
        while self._take() in ("(", ","):
            arguments.append(self._deeper(self.sum))
            if self.ahead not in (",", ")"):
                raise _OtherError
        function = _NAMED.get(name)
        if function is None:
            made = self._defined(name, arguments)
        elif FUNCTIONS[function].fewest <= len(arguments) <= FUNCTIONS[function].limit:
            made = call(function, *arguments)
        else:
            made = None
        if made is None:
            raise _OtherError
        return made

    def _deeper(self, rule: Callable[[], Expression]) -> Expression:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _OtherError
        made = rule()
        self._depth -= 1
        return made

    def _expect(self, token: str) -> None:
        if self._take() != token:
            raise _OtherError


def _joined(function: str, operands: list[Expression]) -> Expression:
    return operands[0] if len(operands) == 1 else call(function, *operands)


def _number(token: str) -> Number:
    value = float(token)
    if not math.isfinite(value):
        raise _OtherError
    return Number(value)
