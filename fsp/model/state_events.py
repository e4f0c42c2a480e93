"""Events of a definition as rules, and those that the state triggers as reactions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import chain, count

from fsp.arrays import FloatArray, IntArray
from fsp.model.definition import Definition, Law, resolve
from fsp.model.event import check_events, is_timed
from fsp.model.event_execution import Rules
from fsp.model.reaction import Reaction, Stoichiometry
from fsp.model.tree import Expression, Number, call
from fsp.model.triggered_reactions import find_triggered_reactions


def rules_of(definition: Definition, resolved: Mapping[str, Expression]) -> Rules:
    """Return the events of a model, ready to be fired."""
    assigned = {name for event in definition.events for name in event.assignments}
    variables = [name for name in definition.parameters if name in assigned]
    constants = resolve(definition.parameters, without=assigned)
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
    given = {str(reaction.name) for reaction in definition.reactions}
    names: list[str] = []
    reactions: list[Reaction] = []
    guarded: list[Law] = []
    for part in parts:
        reaction, law = definition.reactions[part.reaction], definition.laws[part.reaction]
        base = f"{reaction.name} with {part.events}" if part.events else str(reaction.name)
        names.append(_free(base, names, given if part.events else given - {base}))
        if part.guard == Number(1.0) or callable(law):
            reactions.append(reaction)
            guarded.append(law)
            continue
        net = {s: n for s, n in zip(definition.species, part.change, strict=True) if n}
        sides = Stoichiometry(reaction.reactants, reaction.products, reaction.change)
        sides = Stoichiometry(None, None, net) if part.events else sides
        rate = call("*", law, part.guard)
        guarded_part = Reaction(sides, rate=rate, name=names[-1], reversible=reaction.reversible)
        reactions.append(guarded_part.as_part_of(reaction.part_of or base))
        guarded.append(rate)
    return replace(definition, reactions=tuple(reactions), laws=tuple(guarded)), triggered.largest


def _free(name: str, taken: Collection[str], given: Collection[str]) -> str:
    """Return a name that no reaction has: this one, or with a number behind it."""
    numbered = (f"{name} ({k})" for k in count(2))
    return next(free for free in chain([name], numbered) if free not in taken and free not in given)
