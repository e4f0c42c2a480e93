"""Events of a definition as rules, and those that the state triggers as reactions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fsp.arrays import FloatArray, IntArray
from fsp.model.definition import Definition, Law, resolve
from fsp.model.event import check_events, is_timed
from fsp.model.event_execution import Rules
from fsp.model.reaction import Reaction, Stoichiometry
from fsp.model.tree import Expression, Number, call
from fsp.model.triggered_reactions import TriggeredReaction, find_triggered_reactions


def rules_of(definition: Definition, resolved: Mapping[str, Expression]) -> Rules:
    """Return the events of a model, ready to be fired."""
    assigned = {name for event in definition.events for name in event.assignments}
    variables = [name for name in definition.parameters if name in assigned]
    constants = resolve({name: tree for name, tree in definition.parameters.items() if name not in assigned})
    events = [event.with_values(constants) for event in definition.events]
    free = {name for name, tree in definition.parameters.items() if isinstance(tree, Number)} | definition.held
    formulas = [n for n in variables if n not in free or not isinstance(resolved[n], Number)]
    check_events(events, list(definition.species), definition.parameters, formulas)
    return Rules(events, list(definition.species), variables)


def are_timed(rules: Rules) -> bool:
    """Return whether events take place at known times, or change parameters."""
    return is_timed(rules.events, rules.variables)


def with_triggered_reactions(
    definition: Definition, rules: Rules, laws: Sequence[Law], change: IntArray, states: IntArray
) -> tuple[Definition, FloatArray]:
    """Return a model in which the events that the state triggers are reactions.

    `change`: (n_reactions, d) net changes; `states`: (m, d) initial states; returns the model, and the largest count of
    each species that the events see to, (d,).
    """
    triggered = find_triggered_reactions(rules, change, laws, states)
    parts = [part for part in triggered.parts if not part.events or any(part.change)]
    names: list[str] = []
    reactions: list[Reaction] = []
    guarded: list[Law] = []
    for part in parts:
        reaction, law = definition.reactions[part.reaction], definition.laws[part.reaction]
        names.append(_name(str(reaction.name), part, names))
        if part.guard == Number(1.0) or callable(law):
            reactions.append(reaction)
            guarded.append(law)
            continue
        net = {s: n for s, n in zip(definition.species, part.change, strict=True) if n}
        sides = Stoichiometry(reaction.reactants, reaction.products, reaction.change)
        sides = Stoichiometry(None, None, net) if part.events else sides
        rate = call("*", law, part.guard)
        reactions.append(Reaction(sides, rate=rate, name=names[-1], reversible=reaction.reversible))
        guarded.append(rate)
    return replace(definition, reactions=tuple(reactions), laws=tuple(guarded)), triggered.largest


def _name(reaction: str, part: TriggeredReaction, taken: Sequence[str]) -> str:
    name = f"{reaction} with {part.events}" if part.events else reaction
    same = sum(other == name or other.startswith(f"{name} (") for other in taken)
    return f"{name} ({same + 1})" if same else name
