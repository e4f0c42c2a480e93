"""SBML Levels 2 and 3, read as a Markov jump process.

A document in which libsbml's consistency check finds an error is refused: of two things with one name, it does not
say which is meant.  Species are counted in molecules.  A kinetic law is extent per time, so it is the propensity as it
stands.  What a jump process of reactions cannot express is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fsp.errors import ModelError
from fsp.formats.sbml_events import assigned_by_events, read_events
from fsp.formats.sbml_parts import Parts, each, read_formulas, read_species, read_values, refuse_missing
from fsp.formats.sbml_reactions import read_reactions
from fsp.formats.units import Units, read_units
from fsp.model.definition import Definition
from fsp.model.formula import FunctionDefinition, define_functions
from fsp.model.libraries import one_at_a_time
from fsp.model.model import Model

Element = Any  # libsbml has no types

MOST_NESTED = 1_000  # XML elements within each other: libsbml calls itself, and 10,000 end the process

_TAG = re.compile(r"<(/?)[A-Za-z_](?:[^<>\"']|\"[^\"]*\"|'[^']*')*?(/?)>")
_UNREAD = re.compile(r"<!--.*?-->|<!\[CDATA\[.*?\]\]>", re.DOTALL)

_CATEGORIES = (
    "IDENTIFIER_CONSISTENCY", "MATHML_CONSISTENCY", "GENERAL_CONSISTENCY", "UNITS_CONSISTENCY", "SBO_CONSISTENCY",
    "OVERDETERMINED_MODEL", "MODELING_PRACTICE",
)  # fmt: skip

_RULES = {
    "rateRule": "changes it continuously, which a jump process does not",
    "algebraicRule": "constrains the state beside the reactions",
}


Finish = Callable[[Definition, Units], Model]


def as_it_stands(definition: Definition, _: Units) -> Model:
    """Make a model of a file whose amounts are counts and whose laws are propensities."""
    return Model.of_definition(definition)


@one_at_a_time
def read_sbml(text: str, source: str, finish: Finish = as_it_stands) -> Model:
    """Read SBML text; `finish` makes the model of what it says."""
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
    read = finish(
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
        ),
        read_units(model),
    )
    _check_consistency(document, source)  # last, since what is refused above says more of the way out
    return read


def _document(text: str, source: str) -> Element:
    """Return libsbml's document after the checks that need no interpretation."""
    import libsbml

    _check_text(text, source)
    document = libsbml.readSBMLFromString(text)
    _refuse_packages(document)
    _refuse_errors(document, source, "well formed")
    if document.getModel() is None:
        raise ModelError(f"SBML file '{source}' must hold a model, but has none.")
    if document.getLevel() == 1:
        raise ModelError(
            f"SBML file '{source}' must be of Level 2 or 3, but is of Level 1; "
            "convert it with libsbml's setLevelAndVersion(3, 2)."
        )
    return document


def _check_consistency(document: Element, source: str) -> None:
    """Refuse a document that contradicts itself, in which one of two meanings was read without a word.

    Nothing reads the document afterwards: its formulas are checked first and then replaced, since libsbml's search for
    circles, of which there are none here, takes time with the third power of the number of rules.
    """
    import libsbml

    model, one = document.getModel(), libsbml.parseL3Formula("1")
    _refuse_inconsistency(document, source, ("IDENTIFIER_CONSISTENCY", "MATHML_CONSISTENCY"))
    for element in (*each(model, "Rule"), *each(model, "InitialAssignment")):
        element.setMath(one)
    _refuse_inconsistency(document, source, ("GENERAL_CONSISTENCY",))


def _refuse_inconsistency(document: Element, source: str, kinds: tuple[str, ...]) -> None:
    """Refuse what libsbml finds in some of its categories; units, annotations and practice are in none of them."""
    import libsbml

    for kind in _CATEGORIES:
        document.setConsistencyChecks(getattr(libsbml, f"LIBSBML_CAT_{kind}"), kind in kinds)
    document.getErrorLog().clearLog()  # of what does no harm: libsbml checks nothing beside an error
    document.checkConsistency()
    _refuse_errors(document, source, "valid")


def _check_text(text: str, source: str) -> None:
    """Refuse what the XML parser does not survive, or reads from elsewhere."""
    plain = _UNREAD.sub("", text)
    if "<!ENTITY" in plain:
        raise ModelError(f"SBML file '{source}' must hold all its text, but defines XML entities; write them out.")
    depth = 0
    for closes, empty in _TAG.findall(plain):
        depth += -1 if closes else 0 if empty else 1
        if depth > MOST_NESTED:
            raise ModelError(
                f"SBML file '{source}' must have at most {MOST_NESTED:,} elements within each other, but has more; "
                f"give sums and products all their operands at once."
            )


def _refuse_errors(document: Element, source: str, must: str) -> None:
    """Raise the first error that libsbml found, unless it does no harm here."""
    import libsbml

    harmless = {
        libsbml.MissingXMLEncoding,  # the text is UTF-8 already
        libsbml.NotesNotInXHTMLNamespace,  # notes are for people
        libsbml.InvalidNotesContent,
        libsbml.InvalidUnitIdSyntax,  # units say nothing about a jump process, whose species are counted
        libsbml.DanglingUnitReference,
        libsbml.UndeclaredSpeciesRef,  # a kinetic law may hold a species that is no modifier
    }
    for error in (document.getError(k) for k in range(document.getNumErrors())):
        if error.getSeverity() >= libsbml.LIBSBML_SEV_ERROR and error.getErrorId() not in harmless:
            raise ModelError(f"SBML file '{source}' must be {must}, but line {error.getLine()}: {_reason(error)}")


def _reason(error: Element) -> str:
    """Return what libsbml says of this file, without the rule that it recites before."""
    lines = [" ".join(line.split()) for line in str(error.getMessage()).splitlines()]
    said = [line for line in lines if line and not line.startswith("Reference: ")]
    return said[-1] if said else str(error.getShortMessage())


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
