"""A model as text: for people (`fsp info`), and in one canonical form for its hash."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from types import CodeType
from typing import TYPE_CHECKING, Any

from fsp.model.infix import number_text, to_text
from fsp.model.tree import Expression, Number

if TYPE_CHECKING:
    from fsp.model.definition import Definition
    from fsp.model.event import Event
    from fsp.model.firing import Rules
    from fsp.model.network import Network


def describe(model: Network, definition: Definition) -> str:
    """Return what ``fsp info`` prints.

    Parameters
    ----------
    model
        The model.
    definition
        Its formulas as given, in which parameters have their names.

    Returns
    -------
    str
        Several lines.
    """
    unit = f", time in {model.time_unit}" if model.time_unit else ""
    lines = [f"{model.name}: {model.n_species} species, {model.n_reactions} reactions{unit}"]
    lines += _section("Species", _species_rows(model))
    lines += _section("Parameters", _parameter_rows(model, definition))
    lines += _section("Reactions", _reaction_rows(model, definition))
    lines += _section("Events", [[f"{event.name}:", _event_text(event)] for event in model.events])
    lines += _section("Conservation laws", [[text] for text in law_texts(model)])
    return "\n".join([*lines, "", _finite_text(model)])


def law_texts(model: Network) -> list[str]:
    """Return the conservation laws of a model with their values: ``A + C = 20``.

    Parameters
    ----------
    model
        The model.

    Returns
    -------
    list of str
        One text for each law; several values where the initial states differ in them.
    """
    texts = []
    for law in model.conservation_laws.tolist():
        values = sorted({sum(w * n for w, n in zip(law, x, strict=True)) for x in model.initial_states.tolist()})
        texts.append(f"{_sum_text(law, model.species)} = {' or '.join(map(str, values))}")
    return texts


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


def _species_rows(model: Network) -> list[list[str]]:
    states = model.initial_states
    if len(states) == 1:
        return [[name, f"= {count}"] for name, count in zip(model.species, states[0].tolist(), strict=True)]
    mean = model.initial_probabilities @ states  # (n_species,)
    low, high = states.min(axis=0).tolist(), states.max(axis=0).tolist()
    return [
        [name, f"= {low[j]} to {high[j]}, mean {mean[j]:g} over {len(states)} initial states"]
        for j, name in enumerate(model.species)
    ]


def _parameter_rows(model: Network, definition: Definition) -> list[list[str]]:
    rows = []
    for name, tree in definition.parameters.items():
        formula = [] if isinstance(tree, Number) else [to_text(tree)]
        value = [number_text(model.parameters[name])] if name in model.parameters else []
        rows.append([name, " ".join(f"= {text}" for text in formula + value)])
    return rows


def _reaction_rows(model: Network, definition: Definition) -> list[list[str]]:
    rows = []
    for k, reaction in enumerate(model.reactions):
        law = definition.laws[k]
        rate = to_text(law) if isinstance(law, Expression) else getattr(law, "__name__", "<callable>")
        kind = "rate law" if reaction.order is None else f"mass action, order {reaction.order}"
        timed = ", depends on time" if model.time_dependent[k] else ""
        rows.append([f"{reaction.name}:", reaction.equation, rate, kind + timed])
    return rows


def _event_text(event: Event) -> str:
    """Return ``at time >= 25: X = 50, k = 2*k``, and what is not as usual."""
    assigned = ", ".join(f"{name} = {to_text(tree)}" for name, tree in event.formulas.items())
    unusual = [f"priority {to_text(event.priority)}"] if isinstance(event.priority, Expression) else []
    unusual += [] if event.persistent else ["not persistent"]
    unusual += [] if event.initial_value else ["false before the start"]
    unusual += [] if event.use_trigger_values else ["with values of its turn"]
    return f"at {to_text(event.condition)}: {assigned}" + "".join(f"; {text}" for text in unusual)


def _finite_text(model: Network) -> str:
    if model.has_timed_events:
        return "State space: events at known times move it"
    bounds = zip(model.species, model.species_bounds.tolist(), strict=True)
    if model.is_finite:
        limits = ", ".join(f"{name} <= {int(bound)}" for name, bound in bounds)
        return f"State space: finite ({limits})"
    free = ", ".join(name for name, bound in bounds if math.isinf(bound))
    return f"State space: not bounded by the stoichiometry in {free}"


def canonical_text(model: Network, laws: Sequence[Expression | Callable[..., Any]], rules: Rules | None) -> str:
    """Return all that decides a model's distributions as text, whatever way it was written.

    Parameters
    ----------
    model
        The model.
    laws
        Propensities with parameters put in; callables enter by their code and all parameters.
    rules
        The events; those that the state triggers are among the reactions.

    Returns
    -------
    str
        The text that the model's hash is taken of.
    """
    lines = [" ".join(model.species)]
    for k, law in enumerate(laws):
        coded = f"{_code_text(law)} {sorted(model.parameters.items())}"
        text = to_text(law) if isinstance(law, Expression) else coded
        lines.append(f"{model.change[k].tolist()} {text}")
    start = zip(model.initial_states.tolist(), model.initial_probabilities.tolist(), strict=True)
    if rules is not None and model.has_timed_events:
        lines += [f"{name} = {model.parameters[name]!r}" for name in rules.variables]
        lines += [f"{_event_text(event)}" for event in rules.events]
    return "\n".join([*lines, *(f"{state} {p!r}" for state, p in start)])


def _code_text(function: object) -> str:
    """Return code, constants, defaults and captured values of a callable."""
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType):
        return repr(function)
    captured = [repr(cell.cell_contents) for cell in getattr(function, "__closure__", None) or ()]
    return f"{_constants_text(code)} {captured} {getattr(function, '__defaults__', None)!r}"


def _constants_text(code: CodeType) -> str:
    constants = [_constants_text(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {constants} {code.co_names}"
