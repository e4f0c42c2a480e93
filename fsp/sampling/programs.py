"""Rate laws as programs of a stack machine, which the sampler's compiled loop interprets: one loop for all networks.

A program is a row of instructions, each an operation and an index: into the numbers, or into the values (the counts of
the species, the bounds of functions of time, the time).  All others take their arguments from the stack.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fsp.arrays import FloatArray, IntArray
from fsp.model.functions import PARTNER
from fsp.model.tree import Call, Expression, Number, Symbol
from fsp.sampling.kernels import CODES

_COMPARISONS = {"<", "<=", ">", ">=", "=="}
# What an operation on no argument is.
_NEUTRAL = {"+": 0.0, "*": 1.0, "&&": 1.0, "||": 0.0, "xor": 0.0}


@dataclass(slots=True)
class Programs:
    """Programs one after the other."""

    index: dict[str, int]  # place of each symbol among the values; the time has the name ``time``
    code: list[tuple[int, int]] = field(default_factory=list)
    numbers: list[float] = field(default_factory=list)
    depth: int = 1

    def add(self, expr: Expression) -> tuple[int, int]:
        """Append the program of a tree, and return where it begins and ends."""
        begin = len(self.code)
        self.depth = max(self.depth, self._emit(expr))
        return begin, len(self.code)

    def arrays(self) -> tuple[IntArray, FloatArray]:
        """Return all instructions, shape (n, 2), and the numbers."""
        return np.array(self.code, dtype=np.int64).reshape(-1, 2), np.array([*self.numbers, 0.0])

    def _emit(self, expr: Expression) -> int:
        """Append a tree and return how many places of the stack it takes."""
        if isinstance(expr, Number):
            self.numbers.append(expr.value)
            return self._do("number", len(self.numbers) - 1)
        if isinstance(expr, Symbol):
            return self._do("value", self.index[expr.name])
        if isinstance(expr, Call):
            return self._call(expr)
        return self._do("value", self.index["time"])

    def _do(self, name: str, argument: int = 0) -> int:
        self.code.append((CODES[name], argument))
        return 1

    def _call(self, node: Call) -> int:
        name, arguments = node.function, node.arguments
        if name == "piecewise":
            return self._piecewise(arguments)
        if name in _COMPARISONS:
            return self._chain(name, arguments)
        if not arguments:
            return self._emit(Number(_NEUTRAL[name]))
        depth = self._emit(arguments[0])
        if len(arguments) == 1:
            self._unary(name)
        for argument in arguments[1:]:
            depth = max(depth, 1 + self._emit(argument))
            self._do(name)
        return depth

    def _unary(self, name: str) -> None:
        """Append an operation on one argument; a sum of one is the argument, a logical one whether it holds."""
        inverse = name.startswith("arc")
        base = name.removeprefix("arc")
        if base in PARTNER:
            steps = ["inverse", f"arc{PARTNER[base]}"] if inverse else [PARTNER[base], "inverse"]
            for step in steps:
                self._do(step)
        elif name in _NEUTRAL:
            self._emit(Number(_NEUTRAL[name]))
            self._do(name)
        elif name not in ("min", "max"):
            self._do(name)

    def _chain(self, name: str, arguments: tuple[Expression, ...]) -> int:
        depth = 0
        for k in range(len(arguments) - 1):
            held = int(k > 0)
            depth = max(depth, held + self._emit(arguments[k]), held + 1 + self._emit(arguments[k + 1]))
            self._do(name)
            if held:
                self._do("&&")
        return depth

    def _piecewise(self, arguments: tuple[Expression, ...]) -> int:
        """Append the last value, then each pair before it, from the last to the first, which has the last word."""
        pairs = len(arguments) // 2
        depth = self._emit(arguments[-1] if len(arguments) % 2 else Number(float("nan")))
        for k in reversed(range(pairs)):
            depth = max(depth, 1 + self._emit(arguments[2 * k]), 2 + self._emit(arguments[2 * k + 1]))
            self._do("select")
        return depth
