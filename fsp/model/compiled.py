"""What a definition is compiled to, once: parameters put into the rates, events into reactions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fsp.arrays import BoolArray, FloatArray, IntArray
from fsp.model import definition as define
from fsp.model.comparisons import in_whole_numbers
from fsp.model.definition import Definition, Law
from fsp.model.event_execution import Rules
from fsp.model.event_maps import started
from fsp.model.initial import start_distribution
from fsp.model.kept_values import check_kept
from fsp.model.program import evaluate
from fsp.model.reaction import takes_time
from fsp.model.size import bounded
from fsp.model.state_events import are_timed, rules_of, with_triggered_reactions
from fsp.model.tree import Expression, Number, depends_on_time, substitute


class Fingerprint(NamedTuple):
    """The hash of a model, and which callables cannot be told by their content; empty where all can."""

    hash: str
    doubts: str


class Begun(NamedTuple):
    """Where a chain starts."""

    states: IntArray  # (m, n_species)
    probabilities: FloatArray  # (m,)
    is_given: bool  # beside the definition, which says another start


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A definition, and all of it that is cheap to compute and may fail."""

    definition: Definition
    expanded: Definition  # with reactions in place of the events that the state triggers
    rules: Rules | None  # the events; None where there are none
    resolved: Mapping[str, Expression]  # parameters as trees of species and time
    constants: Mapping[str, Expression]  # those of them that no event changes, with formulas of those that events do
    laws: tuple[Law, ...]  # propensities with parameters put in
    time_dependent: BoolArray  # (n_reactions,)
    change: IntArray  # (n_reactions, n_species)
    largest: FloatArray  # (n_species,) counts that events see to; infinite where they do not
    begun: Begun
    fingerprint: Fingerprint | None = None  # that of the model of which this is a part; None for its own

    @property
    def has_timed_events(self) -> bool:
        """Whether an event takes place at a known time, or changes a parameter."""
        return self.rules is not None and are_timed(self.rules)


def compile_definition(definition: Definition, start: tuple[IntArray, FloatArray] | None = None) -> Compiled:
    """Compile a definition.

    Where events are reactions, these depend on the states that the chain starts in: `start`, (m, n_species) states and
    (m,) probabilities, or what the definition says.
    """
    define.check_known(definition)
    resolved = define.resolve(definition.parameters)
    check_kept(definition.conversion.kept, resolved)
    define.check_mass_action(definition, resolved)
    rules = rules_of(definition, resolved) if definition.events else None
    states, probabilities = start_distribution(definition, resolved) if start is None else start
    if rules is not None and start is None:
        values = [float(evaluate(resolved[name], {})) for name in rules.variables]
        states, probabilities = started(rules, values, states, probabilities)
    expanded, largest = definition, np.full(len(definition.species), np.inf)
    if rules is not None and not are_timed(rules):
        plain = _resolved_laws(definition, resolved)
        expanded, largest = with_triggered_reactions(definition, rules, plain, define.change_matrix(definition), states)
    laws = _resolved_laws(expanded, resolved)
    timed = [depends_on_time(law) if isinstance(law, Expression) else takes_time(law) for law in laws]
    return Compiled(
        definition=definition,
        expanded=expanded,
        rules=rules,
        resolved=resolved,
        constants=_constants(definition, rules, resolved),
        laws=tuple(laws),
        time_dependent=frozen(np.array(timed)),
        change=frozen(define.change_matrix(expanded)),
        largest=largest,
        begun=Begun(frozen(states), frozen(probabilities), start is not None),
    )


def _constants(
    definition: Definition, rules: Rules | None, resolved: Mapping[str, Expression]
) -> Mapping[str, Expression]:
    """Return what does not change when events assign parameters, and formulas of these."""
    variables = () if rules is None else rules.variables
    if not variables:
        return resolved
    held: dict[str, Expression] = {
        name: Number(float(evaluate(resolved[name], {}))) for name in definition.held if name in definition.parameters
    }
    trees = {**definition.parameters, **held}
    return define.resolve(trees, without=variables)


def _resolved_laws(definition: Definition, resolved: Mapping[str, Expression]) -> list[Law]:
    """Return the propensities with parameters put in."""
    return [
        in_whole_numbers(bounded(substitute(law, resolved), f"Rate of '{reaction.name}'"))
        if isinstance(law, Expression)
        else law
        for reaction, law in zip(definition.reactions, definition.laws, strict=True)
    ]


def frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array that can no longer be written to."""
    array.flags.writeable = False
    return array
