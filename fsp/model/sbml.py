"""SBML Levels 2 and 3, read as a Markov jump process.

Species are counted in molecules.  A kinetic law is extent per time, so it is the propensity as it
stands.  What a jump process of reactions cannot express is refused by name.
"""

from __future__ import annotations

from typing import Any

from fsp.errors import ModelError
from fsp.model.definition import Definition
from fsp.model.formula import FunctionDefinition, define_functions
from fsp.model.model import Model
from fsp.model.sbml_events import assigned_by_events, read_events
from fsp.model.sbml_parts import Parts, each, read_formulas, read_species, read_values, refuse_missing
from fsp.model.sbml_reactions import read_reactions

Element = Any  # libsbml has no types

_RULES = {
    "rateRule": "changes it continuously, which a jump process does not",
    "algebraicRule": "constrains the state beside the reactions",
}


def read_sbml(text: str, source: str) -> Model:
    """Read SBML text.

    Parameters
    ----------
    text
        The document.
    source
        Name of the file, for messages.

    Returns
    -------
    Model
        The model.

    Raises
    ------
    ModelError
        If it is malformed, or holds what a master equation cannot express.
    """
    document = _document(text, source)
    model = document.getModel()
    _refuse_rules(model)
    parts = Parts(
        functions=_functions(model),
        rules={rule.getVariable(): rule.getMath() for rule in each(model, "Rule")},
        assignments={a.getSymbol(): a.getMath() for a in each(model, "InitialAssignment")},
        changed=assigned_by_events(model),
    )
    read_values(parts, model)
    read_species(parts, model)
    read_formulas(parts, model)
    reactions, laws = read_reactions(parts, model)
    events = read_events(parts, model)
    refuse_missing(parts, laws, events)
    return Model.of_definition(
        Definition(
            name=model.getId() or model.getName() or source,
            time_unit=_time_unit(model),
            species=parts.species,
            parameters=parts.parameters,
            reactions=tuple(reactions),
            laws=tuple(laws),
            initial=None,
            events=events,
            held=frozenset(parts.assignments) & frozenset(parts.parameters) - frozenset(parts.rules),
        )
    )


def _document(text: str, source: str) -> Element:
    """Return libsbml's document after the checks that need no model."""
    import libsbml

    document = libsbml.readSBMLFromString(text)
    _refuse_packages(document)
    errors = (document.getError(k) for k in range(document.getNumErrors()))
    for error in errors:
        # the text is UTF-8 already, so a declaration that does not say so does no harm
        harmless = error.getErrorId() == libsbml.MissingXMLEncoding
        if error.getSeverity() >= libsbml.LIBSBML_SEV_ERROR and not harmless:
            message = " ".join(error.getMessage().split()) or error.getShortMessage()
            raise ModelError(f"SBML file '{source}' must be well formed, but line {error.getLine()}: {message}")
    if document.getModel() is None:
        raise ModelError(f"SBML file '{source}' must hold a model, but has none.")
    if document.getLevel() == 1:
        raise ModelError(
            f"SBML file '{source}' must be of Level 2 or 3, but is of Level 1; "
            "convert it with libsbml's setLevelAndVersion(3, 2)."
        )
    return document


def _refuse_packages(document: Element) -> None:
    """Refuse packages that change the meaning of the model; Level 2 has none."""
    if document.getLevel() < 3:
        return
    known = [document.getPlugin(k).getPackageName() for k in range(document.getNumPlugins())]
    required = [name for name in known if document.getPackageRequired(name)]
    namespaces = document.getNamespaces()
    for k in range(namespaces.getLength() if namespaces is not None else 0):
        uri = namespaces.getURI(k)
        if document.isIgnoredPackage(uri) and document.getPackageRequired(uri):
            required.append(namespaces.getPrefix(k))
    required = [name for name in required if name != "l3v2extendedmath"]
    if required:
        flatten = "; flatten it first" if required[0] == "comp" else ""
        raise ModelError(
            f"Model must be core SBML, but requires the package '{required[0]}', "
            f"which is not a part of the chemical master equation here{flatten}."
        )


def _refuse_rules(model: Element) -> None:
    """Refuse what no jump process of reactions expresses."""
    for constraint in each(model, "Constraint"):
        name = constraint.getId() or constraint.getMetaId()
        raise ModelError(f"Model must change by reactions only, but has constraint '{name}'; remove it.")
    for rule in each(model, "Rule"):
        why = _RULES.get(rule.getElementName())
        if why is not None:
            name = rule.getVariable() or rule.getMetaId()
            raise ModelError(f"Model must change by reactions only, but {rule.getElementName()} for '{name}' {why}.")


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
    import libsbml

    units = [definition.getUnit(k) for k in range(definition.getNumUnits())]
    plain = len(units) == 1 and units[0].getMultiplier() == 1 and units[0].getScale() == 0
    return str(libsbml.UnitKind_toString(units[0].getKind())) if plain else str(definition.getName())
