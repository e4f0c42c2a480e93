"""SBML documents: what libsbml reads of a text, with all that does not change its meaning passed over.

A document in which libsbml's consistency check finds an error is refused: of two things with one name, it does not
say which is meant.  What a rule of form forbids and the meaning does not need is passed over: empty lists, the syntax
of ids that nothing here uses, notes and annotations, packages that are not required.  Level 1, submodels of `comp` and
ids that are words of formulas are converted, each with a line that says so.
"""

from __future__ import annotations

import html
import re
import sys
from collections.abc import Iterable

from fsp.errors import ModelError
from fsp.formats.sbml_parts import Element, each
from fsp.imports import loaded
from fsp.model.literals import beyond_doubles
from fsp.model.plain import CONSTANTS

MOST_NESTED = 1_000  # XML elements within each other: libsbml calls itself, and 10,000 end the process

_LONGEST_QUOTE, _LONGEST_REASON = 80, 500  # characters of a message; libsbml repeats what it cannot read

# Each pattern ends at the next `<`, or at the end of the text, so that the time is that of one pass over any text.
_TAG = re.compile(r"<(/?)[A-Za-z_](?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*?(/?)>")
_UNREAD = re.compile(r"<!--.*?(?:-->|\Z)|<!\[CDATA\[.*?(?:\]\]>|\Z)", re.DOTALL)

_SAID = re.compile(  # to people and other programs
    r"<!--.*?(?:-->|\Z)|<annotation\b(?:[^<>]*+(?<=/)>|.*?(?:</annotation\s*>|\Z))", re.DOTALL
)
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
# No group is possessive: those of Python 3.11.0 to 3.11.4 forget what they matched (cpython issue 106052).
_CN = re.compile(r"<(?:[\w.-]+:)?cn\b([^<>]*)(?<!/)>([^<]*(?:<(?!/?(?:[\w.-]+:)?cn\b)[^<]*)*)</(?:[\w.-]+:)?cn\s*>")
_ATTRIBUTE = re.compile(r"\b(type|base)\s*=\s*[\"']\s*([^\"']*?)\s*[\"']")
_QUANTITY = re.compile(  # elements whose attributes are numbers, also of Level 1
    r"<(?:[\w.-]+:)?(?:species?|speci(?:es|e)Reference|parameter|localParameter|compartment)\b([^<>]*)>"
)
_NUMBER_OF = re.compile(
    r"\b(?:value|size|volume|initialAmount|initialConcentration|stoichiometry)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')"
)
_SEP = r"\s*<(?:[\w.-]+:)?sep\s*(?:/>|>\s*</(?:[\w.-]+:)?sep\s*>)\s*"
_WHOLE, _REAL = r"[+-]?[0-9]+", r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_NUMBERS = {  # MathML's types of numbers as MathML writes them
    "real": re.compile(rf"{_REAL}|[+-]?INF|NaN"), "integer": re.compile(_WHOLE),
    "rational": re.compile(_WHOLE + _SEP + _WHOLE), "e-notation": re.compile(_REAL + _SEP + _WHOLE),
}  # fmt: skip

_CATEGORIES = (
    "IDENTIFIER_CONSISTENCY", "MATHML_CONSISTENCY", "GENERAL_CONSISTENCY", "UNITS_CONSISTENCY", "SBO_CONSISTENCY",
    "OVERDETERMINED_MODEL", "MODELING_PRACTICE",
)  # fmt: skip

_HARMLESS = (
    "MissingXMLEncoding",  # the text is UTF-8 already
    # notes and annotations are for people and other programs
    "NotesNotInXHTMLNamespace", "InvalidNotesContent", "NotesContainsXMLDecl", "NotesContainsDOCTYPE",
    "MissingAnnotationNamespace", "DuplicateAnnotationNamespaces", "SBMLNamespaceInAnnotation", "MultipleAnnotations",
    "AnnotationNotesNotAllowedLevel1", "InvalidMetaidSyntax", "DuplicateMetaId", "InvalidSBOTermSyntax",
    # units say nothing about a jump process, whose species are counted
    "InvalidUnitIdSyntax", "DanglingUnitReference",
    "InvalidIdSyntax",  # what formulas can use is checked where models are made
    "UndeclaredSpeciesRef",  # a kinetic law may hold a species that is no modifier
    # an empty list says what no list says
    "EmptyListElement", "EmptyListInReaction", "EmptyListInKineticLaw", "EmptyListOfUnits", "EmptyUnitListElement",
)  # fmt: skip

_UNDERSTOOD = ("l3v2extendedmath", "distrib")  # required packages whose formulas are read or refused one by one


def read_document(text: str, source: str) -> tuple[Element, tuple[str, ...]]:
    """Return libsbml's document after the checks that need no interpretation, and what was converted, a line each."""
    libsbml = loaded("libsbml")

    _check_text(text, source)
    _check_numbers(text, source)
    _check_attributes(text, source)
    document = libsbml.readSBMLFromString(text)
    flattened = _without_submodels(document, source)
    _refuse_packages(document)
    _refuse_errors(document, source, "well formed")
    if document.getModel() is None:
        raise ModelError(f"SBML file '{source}' must hold a model, but has none.")
    return document, (*flattened, *_of_new_level(document, source), *_with_free_names(document, source))


def check_consistency(document: Element, source: str, functions: Iterable[str]) -> None:
    """Refuse a document that contradicts itself, in which one of two meanings was read without a word.

    `functions` are the names of its functions, each after those that it calls.

    Nothing reads the document afterwards: its formulas are checked first and then replaced, since libsbml's search for
    circles, of which there are none here, takes time with the third power of the number of rules, and with the fifth of
    the number of functions that call each other, and its search for species that a kinetic law does not list, which is
    passed over, most of the time of all.
    """
    import libsbml

    model, unit = document.getModel(), libsbml.parseL3Formula("1")
    model.unsetId()  # formulas cannot mean the model: a reaction of its name contradicts nothing
    _refuse_inconsistency(document, source, ("IDENTIFIER_CONSISTENCY", "MATHML_CONSISTENCY"))
    laws = [reaction.getKineticLaw() for reaction in each(model, "Reaction")]
    for element in (*each(model, "Rule"), *each(model, "InitialAssignment"), *laws):
        element.setMath(unit)
    for function in map(model.getFunctionDefinition, functions):
        arguments = "".join(f"x{k}, " for k in range(function.getNumArguments()))
        value = "true" if function.getBody().returnsBoolean(model) else "1"
        function.setMath(libsbml.parseL3Formula(f"lambda({arguments}{value})"))
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


def _check_numbers(text: str, source: str) -> None:
    """Refuse numbers of formulas that libsbml reads in part, `1,5` as 1, or as 0 where they are not."""
    lines = _SAID.sub(lambda match: "\n" * match.group().count("\n"), text)
    for element in _CN.finditer(lines):
        given = dict(_ATTRIBUTE.findall(element.group(1) or ""))
        content = html.unescape(_CDATA.sub(r"\1", element.group(2))).strip()
        kind = given.get("type", "real")
        if kind not in _NUMBERS:
            continue  # libsbml says which types there are
        shown = " ".join(element.group().split())[:_LONGEST_QUOTE]
        where = f"but line {lines.count(chr(10), 0, element.start()) + 1} has {shown}"
        if given.get("base", "10") != "10" or not _NUMBERS[kind].fullmatch(content):
            raise ModelError(
                f"SBML file '{source}' must write numbers as MathML does, 1.5, 15e-1, or integers where their type "
                f"says so, in base 10, {where}."
            )
        if kind in ("real", "e-notation") and beyond_doubles(_with_one_exponent(content)):
            raise ModelError(f"SBML file '{source}' must hold numbers in the range of doubles, {where}.")


def _check_attributes(text: str, source: str) -> None:
    """Refuse numbers of attributes that no double holds, which libsbml calls no numbers, and 0x10, which it reads."""
    lines = _SAID.sub(lambda match: "\n" * match.group().count("\n"), text)
    for element in _QUANTITY.finditer(lines):
        for attribute in _NUMBER_OF.finditer(element.group(1)):
            number = (attribute.group(1) or attribute.group(2) or "").strip()
            is_real = _NUMBERS["real"].fullmatch(number) is not None
            if is_real and beyond_doubles(number, sys.float_info.min) is None:
                continue
            if is_real or number.lower().lstrip("+-").startswith("0x"):
                line = lines.count("\n", 0, element.start(1) + attribute.start()) + 1
                raise ModelError(
                    f"SBML file '{source}' must have decimal numbers from 2.3e-308 to 1.7e308, or 0, but line {line} "
                    f"has {' '.join(attribute.group().split())[:_LONGEST_QUOTE]}."
                )


def _with_one_exponent(number: str) -> str:
    """Return a number without the separators of `e-notation`, of which a first part may have an exponent too."""
    mantissa, *exponents = re.split("[eE]", re.sub(_SEP, "e", number))
    return f"{mantissa}e{sum(map(int, exponents))}" if exponents else mantissa


def _refuse_errors(document: Element, source: str, must: str) -> None:
    """Raise the first error that libsbml found, unless it does no harm here."""
    import libsbml

    harmless = {getattr(libsbml, name) for name in _HARMLESS}
    passed = {name for name in _packages(document) if name not in _UNDERSTOOD}  # none of them is required
    for error in (document.getError(k) for k in range(document.getNumErrors())):
        if error.getSeverity() < libsbml.LIBSBML_SEV_ERROR or error.getErrorId() in harmless:
            continue
        if error.getPackage() not in passed:
            raise ModelError(f"SBML file '{source}' must be {must}, but line {error.getLine()}: {_reason(error)}")


def _reason(error: Element) -> str:
    """Return what libsbml says of this file, without the rule that it recites before."""
    lines = [" ".join(line.split()) for line in str(error.getMessage()).splitlines()]
    said = [line for line in lines if line and not line.startswith("Reference: ")]
    return (said[-1] if said else str(error.getShortMessage()))[:_LONGEST_REASON]


# ---------------------------------------------------------------------- packages


def _refuse_packages(document: Element) -> None:
    """Refuse packages that change the meaning of the model; Level 2 has none."""
    if document.getLevel() < 3:
        return
    required = [name for name in _packages(document) if document.getPackageRequired(name)]
    namespaces = document.getNamespaces()
    for k in range(namespaces.getLength() if namespaces is not None else 0):
        uri = namespaces.getURI(k)
        if document.isIgnoredPackage(uri) and document.getPackageRequired(uri):
            required.append(namespaces.getPrefix(k))
    required = [name for name in required if name not in _UNDERSTOOD]
    if required:
        raise ModelError(
            f"Model must be core SBML, but requires the package '{required[0]}', "
            f"which is not a part of the chemical master equation here."
        )


def _packages(document: Element) -> list[str]:
    """Return the names of the packages that a document uses and libsbml knows."""
    return [document.getPlugin(k).getPackageName() for k in range(document.getNumPlugins())]


def _without_submodels(document: Element, source: str) -> tuple[str, ...]:
    """Take the package `comp` off a document, with its submodels written out; return what was done."""
    composed = document.getPlugin("comp")
    if composed is None:
        return ()
    if composed.getNumExternalModelDefinitions():
        raise ModelError(f"SBML file '{source}' must hold all its models, but has some in other files; flatten it.")
    model = document.getModel()
    inside = None if model is None else model.getPlugin("comp")
    many = 0 if inside is None else inside.getNumSubmodels()
    if many:
        _convert(document, source, "flatten comp", performValidation=False, leavePorts=False)
    if document.getPlugin("comp") is not None:  # what names ports, and models that are not used
        _convert(document, source, "stripPackage", package="comp")
    return (f"{many} submodel{'s' * (many > 1)} written out by libsbml, with names such as a__X",) if many else ()


def _convert(document: Element, source: str, what: str, **options: str | bool) -> None:
    import libsbml

    properties = libsbml.ConversionProperties()
    properties.addOption(what, True)
    for name, value in options.items():
        properties.addOption(name, value)
    if document.convert(properties) != libsbml.LIBSBML_OPERATION_SUCCESS:
        said = [_reason(document.getError(k)) for k in range(document.getNumErrors())]
        raise ModelError(f"SBML file '{source}' must be converted by libsbml ({what}), but is not: {said[-1:]}.")


# ---------------------------------------------------------------------- levels and names


def _of_new_level(document: Element, source: str) -> tuple[str, ...]:
    """Bring a document of Level 1 to Level 2, where species have the units that they had, and laws in Version 1.

    A compartment without a volume has the volume 1 in Level 1 (Version 2, 4.3), and none in Level 2.
    """
    if document.getLevel() > 1:
        return ()
    if not document.setLevelAndVersion(2, 1, False):
        said = [_reason(document.getError(k)) for k in range(document.getNumErrors())]
        raise ModelError(f"SBML file '{source}' of Level 1 must be convertible to Level 2, but is not: {said[-1:]}.")
    for compartment in each(document.getModel(), "Compartment"):
        if not compartment.isSetSize():
            compartment.setSize(1.0)
    return ("the file is of Level 1, and was converted to Level 2 by libsbml",)


def _with_free_names(document: Element, source: str) -> tuple[str, ...]:
    """Give new names to species and values whose ids are words of formulas here; return what was renamed."""
    model = document.getModel()
    kinds = {"Species": {*CONSTANTS, "time"}, "Compartment": {"time"}, "Parameter": {"time"}, "Reaction": {"time"}}
    ids = [(element.getId(), kind) for kind in kinds for element in each(model, kind)]
    _refuse_shared_ids(ids, source)
    words = [word for word, kind in ids if word in kinds[kind]]
    if not words:
        return ()
    new = {word: _free(f"{word}_", model) for word in words}
    _convert(document, source, "renameSIds", currentIds=",".join(new), newIds=",".join(new.values()))
    return tuple(f"'{word}' is called '{name}', since {word} is a word of formulas" for word, name in new.items())


def _refuse_shared_ids(ids: Iterable[tuple[str, str]], source: str) -> None:
    """Refuse an id of two kinds of values, one of which would be read as the other; libsbml is asked after reading."""
    kinds: dict[str, str] = {}
    for name, kind in ids:
        if kind != "Reaction" and kinds.setdefault(name, kind) != kind:
            raise ModelError(
                f"SBML file '{source}' must give an id to one element, but '{name}' is a {kinds[name].lower()} and a "
                f"{kind.lower()}; rename one of them."
            )


def _free(name: str, model: Element) -> str:
    while model.getElementBySId(name) is not None:
        name += "_"
    return name
