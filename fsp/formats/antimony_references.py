"""How often the antimony library follows formulas that use others, told before it does so and cannot be stopped.

It follows each use anew: a value of depth d whose formula leads to w uses, counted with repetitions, takes time that
grows as d² w.  A chain of n values takes n⁴, and n values that each use the one before twice take 2ⁿ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from fsp.errors import ModelError

MOST_FOLLOWED = (
    3e9  # sum of d² w: measured are 6 s for a chain of 330 values, and 2 s for 21 that use the last one twice
)
MOST_FUNCTIONS = 60  # that call each other, one after another: the library's time grows as the fifth power, 4 s for 60

_SET = re.compile(r"(?<![\w.])([A-Za-z_][\w.]*)\s*:?=(?!=)")  # k = 1, k := 2*q
_USED = re.compile(r"(?<![\w.])[A-Za-z_][\w.]*")
_EVENT = re.compile(r"\s*(?:\w+\s*:)?\s*at\b")
_FUNCTION = re.compile(r"^[ \t]*function\s+(\w+)\s*\([^)]*\)(.*?)(?:^|[\s;])end\b", re.MULTILINE | re.DOTALL)
_CALLED = re.compile(r"(\w+)\s*\(")


def check_functions(text: str, source: str) -> None:
    """Refuse functions of a file that call each other too often."""
    called = {name: _CALLED.findall(body) for name, body in _FUNCTION.findall(text)}
    for name, (depth, _) in _followed(called).items():
        if depth > MOST_FUNCTIONS:
            raise ModelError(
                f"Antimony file '{source}' must have at most {MOST_FUNCTIONS} functions that call each other one "
                f"after another, but '{name}' is the last of {depth}; write some of them out."
            )


def check_values(statements: Iterable[str], source: str) -> None:
    """Refuse statements of a module whose formulas use each other too often."""
    uses = _followed(_uses(statements))
    work = {name: float(depth) ** 2 * many for name, (depth, many) in uses.items()}
    if sum(work.values()) > MOST_FOLLOWED:
        name = max(work, key=lambda name: work[name])
        depth, many = uses[name]
        raise ModelError(
            f"Antimony file '{source}' must have formulas that the library follows in seconds, but '{name}' leads to "
            f"{many:.3g} uses of other values, up to {depth} one after another; give some of them as numbers, or the "
            f"model as SBML, where each formula is followed once."
        )


def _uses(statements: Iterable[str]) -> dict[str, list[str]]:
    """Return what the formula of each value uses, with repetitions."""
    uses: dict[str, list[str]] = {}
    for statement in statements:
        if not _EVENT.match(statement):
            _, *parts = _SET.split(statement)
            uses |= {name: _USED.findall(formula) for name, formula in zip(parts[::2], parts[1::2], strict=True)}
    return uses


def _followed(uses: Mapping[str, list[str]]) -> dict[str, tuple[int, float]]:
    """Return how deep each name leads, and to how many uses; what leads in a circle, which is an error, counts once."""
    known: dict[str, tuple[int, float]] = {}
    for first in uses:
        pending, begun = [first], set[str]()
        while pending:
            name = pending[-1]
            due = [] if name in begun else [n for n in uses[name] if n in uses and n not in known and n not in begun]
            begun.add(name)
            pending += due
            if not due:
                pending.pop()
                lead = [known.get(used, (0, 0.0)) for used in uses[name] if used in uses]
                known[name] = (1 + max((d for d, _ in lead), default=0), sum(1.0 + w for _, w in lead))
    return known
