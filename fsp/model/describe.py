"""A model as text, as `fsp info` prints it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from fsp.model.infix import number_text, to_text
from fsp.model.tree import Expression, Number, Symbol
from fsp.time_limit import TimeLimit, check_time_limit

# chosen: what a screen holds beside the rest
MOST_VALUES = 4  # of a conservation law over many initial states
MOST_SHOWN_PARTS = 4  # of a reaction that bursts or events make many of
MOST_SHOWN_STEPS = 20  # of what was made of a file
LONGEST_LAW = 500  # characters

if TYPE_CHECKING:
    from fsp.model.definition import Definition
    from fsp.model.event import Event
    from fsp.model.network import Network
    from fsp.model.reaction import Reaction


def describe(model: Network, definition: Definition, time_limit: TimeLimit) -> str:
    """Return what ``fsp info`` prints; laws and bounds only where there is time for them."""
    unit = f", time in {model.time_unit}" if model.time_unit else ""
    lines = [f"{model.name}: {model.n_species} species, {model.n_reactions} reactions{unit}"]
    lines += _section("Species", species_rows(model))
    lines += _section("Parameters", parameter_rows(model, definition))
    lines += _section("Reactions", reaction_rows(model, definition))
    lines += _section("Events", [[f"{event.name}:", event_text(event)] for event in model.events])
    made = shown(definition.conversion.steps, MOST_SHOWN_STEPS, "steps, in model.conversion.steps")
    lines += _section("Made of the file", [[text] for text in (*made, *definition.conversion.assumptions)])
    laws = time_limit.within(lambda: law_texts(model))
    lines += _section("Conservation laws", [[text] for text in laws or ()])
    late = [] if laws is not None else ["", time_limit.left_out("Conservation laws", "model.conservation_laws")]
    return "\n".join([*lines, *late, "", _finite_text(model, time_limit)])


def law_texts(model: Network) -> list[str]:
    """Return the conservation laws of a model with their values: ``A + C = 20``."""
    texts = []
    for law in model.conservation_laws.tolist():
        check_time_limit()
        values = sorted({sum(w * n for w, n in zip(law, x, strict=True)) for x in model.initial_states.tolist()})
        known = shown([str(value) for value in values], MOST_VALUES, f"values up to {values[-1]}")
        texts.append(f"{_sum_text(law, model.species)} = {' or '.join(known)}")
    return texts


def shown(texts: Sequence[str], limit: int, what: str) -> list[str]:
    """Return the first texts, and in place of the others how many there are of `what`."""
    return list(texts) if len(texts) <= limit + 1 else [*texts[:limit], f"… {len(texts) - limit:,} more {what}"]


def _sum_text(weights: Sequence[int], names: Iterable[str]) -> str:
    """Return ``A + 2 B - C``."""
    parts = [
        f"{'-' if w < 0 else '+'} {name if abs(w) == 1 else f'{abs(w)} {name}'}"
        for w, name in zip(weights, names, strict=True)
        if w
    ]
    text = " ".join(parts)
    return text.removeprefix("+ ") if text.startswith("+ ") else text.replace("- ", "-", 1)


def _section(title: str, rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a titled table with columns as wide as their widest cell; nothing without rows."""
    if not rows:
        return []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    cells = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return ["", title, *(f"  {line}".rstrip() for line in cells)]


def species_rows(model: Network) -> list[list[str]]:
    """Return each species with its count at the start."""
    states = model.initial_states
    if len(states) == 1:
        return [[name, f"= {count}"] for name, count in zip(model.species, states[0].tolist(), strict=True)]
    mean = model.initial_probabilities @ states  # (n_species,)
    low, high = states.min(axis=0).tolist(), states.max(axis=0).tolist()
    return [
        [name, f"= {low[j]} to {high[j]}, mean {mean[j]:g} over {len(states)} initial states"]
        for j, name in enumerate(model.species)
    ]


def parameter_rows(model: Network, definition: Definition) -> list[list[str]]:
    """Return each parameter with its formula and its value."""
    rows = []
    for name, tree in definition.parameters.items():
        formula = [] if isinstance(tree, Number) else [to_text(tree)]
        value = [number_text(model.parameters[name])] if name in model.parameters else []
        rows.append([name, " ".join(f"= {text}" for text in formula + value)])
    return rows


def reaction_rows(model: Network, definition: Definition) -> list[list[str]]:
    """Return name, equation, rate and kind of each reaction; of many parts of one some."""
    rows = []
    for base, group in groupby(range(model.n_reactions), lambda k: _base(model.reactions[k])):
        numbers = list(group)
        left = len(numbers) - MOST_SHOWN_PARTS if len(numbers) > MOST_SHOWN_PARTS + 1 else 0
        rows += [_reaction_row(model, definition, k) for k in numbers[: len(numbers) - left]]
        rows += [[f"… {left:,} more of {base}", "", "", ""]] if left else []
    return rows


def _base(reaction: Reaction) -> str:
    """Return the name of the reaction of which one is a part, or its own."""
    return reaction.part_of or str(reaction.name)


def _reaction_row(model: Network, definition: Definition, k: int) -> list[str]:
    reaction, law = model.reactions[k], definition.laws[k]
    rate = to_text(law) if isinstance(law, Expression) else getattr(law, "__name__", "<callable>")
    if len(rate) > LONGEST_LAW:
        rate = f"{rate[:LONGEST_LAW]}… ({len(rate) - LONGEST_LAW:,} more characters)"
    kind = "rate law" if reaction.order is None else f"mass action, order {reaction.order}"
    timed = ", depends on time" if model.time_dependent[k] else ""
    return [f"{reaction.name}:", reaction.equation, rate, kind + timed]


def event_text(event: Event) -> str:
    """Return ``at time >= 25: X = 50, k = 2*k``, and what is not as usual."""
    assigned = ", ".join(_assignment_text(event, name, tree) for name, tree in event.formulas.items())
    unusual = [f"priority {to_text(event.priority)}"] if isinstance(event.priority, Expression) else []
    unusual += [] if event.persistent else ["not persistent"]
    unusual += [] if event.initial_value else ["false before the start"]
    unusual += [] if event.use_trigger_values else ["with values of its turn"]
    return f"at {to_text(event.condition)}: {assigned}" + "".join(f"; {text}" for text in unusual)


def _assignment_text(event: Event, name: str, tree: Expression) -> str:
    draw = event.draws.get(tree.name) if isinstance(tree, Symbol) else None
    return f"{name} = {to_text(tree)}" if draw is None else f"{name} ~ {draw}"


def _finite_text(model: Network, time_limit: TimeLimit) -> str:
    if model.has_timed_events:
        return "State space: events at known times move it"
    largest = time_limit.within(lambda: model.species_bounds.tolist())
    if largest is None:
        return time_limit.left_out("State space: bounds", "model.species_bounds")
    bounds = zip(model.species, largest, strict=True)
    if model.is_finite:
        limits = ", ".join(f"{name} <= {int(bound)}" for name, bound in bounds)
        return f"State space: finite ({limits})"
    free = ", ".join(name for name, bound in bounds if math.isinf(bound))
    return f"State space: not bounded by the stoichiometry in {free}"
