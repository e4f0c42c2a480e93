"""SBML Levels 1 to 3, read as a Markov jump process.

Species are counted in molecules.  A kinetic law is extent per time, so it is the propensity as it
stands.  What a jump process of reactions cannot express is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable

from fsp.errors import ModelError
from fsp.formats.sbml_documents import check_consistency, read_document
from fsp.formats.sbml_events import assigned_by_events, read_events
from fsp.formats.sbml_parts import (
    Element,
    SbmlParts,
    Written,
    each,
    read_formulas,
    read_species,
    read_values,
    refuse_missing,
)
from fsp.formats.sbml_reactions import read_laws, read_reactions
from fsp.formats.units import Units, read_units, refuse_units_of_their_own, time_unit_of
from fsp.model.conversion import Conversion
from fsp.model.definition import Definition, InitialLaw, free_name
from fsp.model.formula import FunctionDefinition, define_functions, is_name
from fsp.model.infix import to_text
from fsp.model.libraries import one_at_a_time
from fsp.model.model import Model

Finish = Callable[[Definition, Units], Model]


def as_it_stands(definition: Definition, _: Units) -> Model:
    """Make a model of a file whose amounts are counts and whose laws are propensities."""
    return Model.of_definition(definition)


@one_at_a_time
def read_sbml(text: str, source: str, finish: Finish = as_it_stands) -> Model:
    """Read SBML text; `finish` makes the model of what it says."""
    document, converted = read_document(text, source)
    model = document.getModel()
    _refuse_rules(model)
    refuse_units_of_their_own(model)
    written = Written(
        functions=_functions(model),
        rules={rule.getVariable(): rule.getMath() for rule in each(model, "Rule") if not rule.isRate()},
        rates={rule.getVariable(): rule.getMath() for rule in each(model, "Rule") if rule.isRate()},
        assignments={a.getSymbol(): a.getMath() for a in each(model, "InitialAssignment")},
    )
    parts = SbmlParts(written, changed=assigned_by_events(model))
    read_values(parts, model)
    read_species(parts, model)
    as_written = read_laws(parts, model)
    read_formulas(parts, model)
    reactions, laws, in_units = read_reactions(parts, model, as_written)
    constraints = _read_constraints(parts, model)
    events = read_events(parts, model)
    refuse_missing(parts, laws, events)
    solved = [f"{name} = {to_text(course.value)}, by its rate rule" for name, course in parts.courses.items()]
    read = finish(
        Definition(
            name=model.getId() or model.getName() or source,
            time_unit=_time_unit(model),
            species=parts.species,
            parameters=parts.parameters,
            reactions=tuple(reactions),
            laws=tuple(laws),
            initial=InitialLaw(draws=parts.draws),
            events=events,
            conversion=Conversion((*converted, *solved, *in_units), kept=tuple(parts.kept)),
            constraints=constraints,
            at_start=parts.at_start,
            held=frozenset([*map(parts.holder, parts.written.assignments), *parts.changed])
            & frozenset(parts.parameters) - frozenset(parts.written.rules),
        ),
        read_units(model),
    )
    check_consistency(document, source, written.functions)  # last: what is refused above says more of the way out
    return read


def _refuse_rules(model: Element) -> None:
    """Refuse what no jump process of reactions expresses."""
    for rule in each(model, "Rule"):
        name = rule.getVariable()
        if rule.isAlgebraic():
            raise ModelError(
                f"Model must change by reactions only, but an algebraic rule, 0 = {_shown(rule.getMath())}, constrains "
                f"the state beside them; write an assignment rule of what it determines."
            )
        if rule.isRate() and not (model.getNumReactions() and _is_value(model, name)):
            why = "changes it continuously, which a jump process does not; write reactions, as X -> 0 for X' = -k*X"
        else:
            continue
        raise ModelError(f"Model must change by reactions only, but {rule.getElementName()} for '{name}' {why}.")


def _shown(math: Element) -> str:
    """Return mathML as libsbml writes it in a line."""
    import libsbml

    return str(libsbml.formulaToL3String(math)) if math is not None else "?"


def _is_value(model: Element, name: str) -> bool:
    return model.getParameter(name) is not None or model.getCompartment(name) is not None


def _read_constraints(parts: SbmlParts, model: Element) -> tuple[str, ...]:
    """Read conditions that the file says should hold, as formulas of the state; return their names."""
    names = []
    for k, element in enumerate(each(model, "Constraint"), 1):
        given = [name for name in (element.getIdAttribute(), element.getMetaId()) if is_name(name)]
        name = next((name for name in given if name not in parts.parameters), f"constraint_{k}")
        name = free_name(name, {*parts.parameters, *parts.species})
        parts.parameters[name] = parts.read_math(element.getMath(), f"Constraint '{name}'")
        names.append(name)
    return tuple(names)


def _functions(model: Element) -> dict[str, FunctionDefinition]:
    asts = {}
    for function in each(model, "FunctionDefinition"):
        body = function.getBody()
        if body is None:
            raise ModelError(f"Function '{function.getId()}' must have math, but has none.")
        names = tuple(function.getArgument(k).getName() for k in range(function.getNumArguments()))
        asts[function.getId()] = (names, body)
    return define_functions(asts)


def _time_unit(model: Element) -> str:
    name = model.getTimeUnits() if model.getLevel() > 2 else "time"
    definition = model.getUnitDefinition(name) if name else None
    if definition is None:
        return "" if name == "time" else str(name)
    return time_unit_of(model, name) or str(definition.getName())
