"""Events of files whose amounts are converted to counts: what is drawn are molecules, what is assigned is whole.

A species of which an event assigns the amount a has s a molecules then, rounded to the nearest number where that is not
whole.  A number that is drawn is one of molecules: `A = binomial(A, 1/2)` divides the molecules that there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from fsp.errors import ModelError
from fsp.model.draws import Draw
from fsp.model.event import Event, named_draws
from fsp.model.similar import CompiledLaws
from fsp.model.tree import Call, Expression, Number, Symbol, call, substitute, symbols
from fsp.model.values import nearest_whole

SIZED = ("binomial", "poisson", "geometric")  # laws whose first argument is a number of molecules
TRIED = 64  # states at which a formula is looked at for parts of molecules; chosen


class Converted(NamedTuple):
    """How amounts become counts."""

    species: tuple[str, ...]
    scale: Expression  # molecules in a unit of amount
    values: Mapping[str, Expression]  # parameters as trees of species, in amounts, and time

    @property
    def amounts(self) -> dict[str, Expression]:
        """The amount of each species as a formula of its count."""
        return {name: call("/", Symbol(name), self.scale) for name in self.species}

    def molecules(self, tree: Expression) -> Expression:
        """Return the number of molecules of an amount; an amount that is one of a species is its count."""
        if isinstance(tree, Call) and tree.function == "*" and len(tree.arguments) == 2:
            inner, size = tree.arguments
            if isinstance(inner, Call) and inner.function == "/" and inner.arguments[1] == size:
                return self.molecules(inner.arguments[0])
        if isinstance(tree, Symbol) and tree.name in self.species:
            return tree
        return call("*", substitute(tree, self.amounts), self.scale)

    def added(self, tree: Expression, name: str) -> Expression | None:
        """Return the molecules that are added where a formula is a species and something else; None where it is not.

        Rounding them is rounding all: ⌊N + a + 1/2⌋ = N + ⌊a + 1/2⌋.
        """
        if not isinstance(tree, Call) or tree.function not in ("+", "-", "*"):
            return None
        terms = tree
        if tree.function == "*":  # of a concentration and a size
            inner = tree.arguments[0]
            if len(tree.arguments) != 2 or not isinstance(inner, Call) or inner.function not in ("+", "-"):
                return None
            terms = Call(inner.function, tuple(call("*", a, tree.arguments[1]) for a in inner.arguments))
        kept = [k for k, a in enumerate(terms.arguments) if self.molecules(a) == Symbol(name)]
        if not kept or (terms.function == "-" and kept[0] > 0):
            return None
        rest = Call(terms.function, (*terms.arguments[: kept[0]], Number(0.0), *terms.arguments[kept[0] + 1 :]))
        return None if name in symbols(rest) else self.molecules(call(rest.function, *rest.arguments))


def counted_event(event: Event, converted: Converted) -> tuple[Event, tuple[str, ...]]:
    """Return an event that assigns counts, and what was assumed of it."""
    assigned: dict[str, Expression] = {}
    draws: dict[str, Draw] = {}
    rounded = []
    for name, tree in event.formulas.items():
        drawn = sorted(symbols(tree) & event.draws.keys())
        if drawn and name in converted.species:
            drawn_event, symbols_of = named_draws({name: _drawn(event, tree, drawn[0], converted)})
            assigned[name] = symbols_of[name]
            draws |= drawn_event
        elif name in converted.species:
            added = converted.added(tree, name)
            count = converted.molecules(tree) if added is None else added
            is_whole = _is_whole(count, converted)
            count = count if is_whole and added is None else call("floor", call("+", count, Number(0.5)))
            assigned[name] = count if added is None else call("+", Symbol(name), count)
            rounded += [] if is_whole else [name]
        else:
            assigned[name] = substitute(tree, converted.amounts)
            draws |= {draw: event.draws[draw].with_values(converted.amounts) for draw in drawn}
    trigger = substitute(event.condition, converted.amounts)
    priority = event.priority
    priority = substitute(priority, converted.amounts) if isinstance(priority, Expression) else priority
    new = replace(event, trigger=trigger, assignments=assigned, priority=priority, draws=draws)
    return new, (_said(event, rounded, converted),) if rounded else ()


def _said(event: Event, rounded: list[str], converted: Converted) -> str:
    """Return what was rounded, and how a random number is written where it may be meant."""
    species = set(converted.species)
    drawn = [name for name in rounded if symbols(event.formulas[name]) & species]
    timed = not symbols(event.condition) & species
    hint = f"; {drawn[0]} = binomial({drawn[0]}, 0.5) in the file would draw each of them" if drawn and timed else ""
    return f"event '{event.name}' assigns whole molecules, the nearest number, to {', '.join(rounded)}{hint}"


def _drawn(event: Event, tree: Expression, name: str, converted: Converted) -> Draw:
    """Return the draw of a number of molecules in place of one of amounts."""
    draw = event.draws[name]
    if draw.law not in SIZED:
        raise ModelError(
            f"Event '{event.name}' must draw a number of molecules where amounts are converted, by "
            f"{' or '.join(SIZED)}, but draws {draw}."
        )
    size = substitute(tree, {name: draw.arguments[0]})
    others = (substitute(argument, converted.amounts) for argument in draw.arguments[1:])
    return Draw(draw.law, (converted.molecules(size), *others))


def _is_whole(count: Expression, converted: Converted) -> bool:
    """Tell whether a formula gives whole numbers, as far as can be seen at some states."""
    known = {name: substitute(tree, converted.amounts) for name, tree in converted.values.items()}
    states = np.random.default_rng(0).integers(0, 1000, (TRIED, len(converted.species)))
    values = CompiledLaws([substitute(count, known)], list(converted.species))(states)
    return not np.isnan(nearest_whole(np.abs(values))).any()
