"""Models of StochKit 2 in XML, and of StochSS, which kept its format.

Mass action is combinatorial, as StochKit counts it: k x (x − 1)/2 of two equal reactants.  A customized propensity is
the propensity itself, in C: log(x) is the natural logarithm.  No division is one of whole numbers, 1/2*X is X/2:
counts are doubles, StochKit writes `/(double)` for each `/` of a propensity (customPropensitySubstitution in its
src/model_parser/Input_mixed_before_compile.h), and a calculator in doubles makes the values of parameters.

References
----------
K. R. Sanft et al., Bioinformatics 27 (2011) 2457, doi:10.1093/bioinformatics/btr401.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from fsp.errors import ModelError
from fsp.formats.foreign_formulas import FUNCTIONS, as_ours
from fsp.formats.sbml import Finish, as_it_stands
from fsp.formats.units import COUNTED
from fsp.model.conversion import Conversion
from fsp.model.definition import Definition, read_definition
from fsp.model.model import Model
from fsp.model.reaction import Reaction, Stoichiometry, net_change

XmlElement = ElementTree.Element

_COUNT = re.compile(r"([0-9]{1,18})(?:\.0*)?")  # more digits are beyond all counts; GillesPy writes some as 2.0
_ADDED_VOLUME = "vol"  # the parameter that GillesPy2 adds for its volume
_ELEMENTS = {
    "Description", "Info", "NumberOfReactions", "NumberOfSpecies", "Units", "ParametersList", "ReactionsList",
    "SpeciesList",
}  # fmt: skip


def read_stochkit(text: str, path: Path, finish: Finish = as_it_stands) -> Model:
    """Read StochKit's XML; `finish` makes the model of what it says."""
    root = parsed_xml(text, path.name, "StochKit")
    strange = next((part.tag for part in root if part.tag not in _ELEMENTS), None)
    if strange is not None:
        way = "write events in SBML or Antimony" if "Event" in strange else "put what it says into the propensities"
        raise ModelError(
            f"StochKit file '{path.name}' must have parameters, reactions and species, but has <{strange}>; {way}."
        )
    units = _units(root)
    if units.lower() != "population":
        raise ModelError(
            f"StochKit file '{path.name}' must be in population units, but is in {units}; write counts, or SBML."
        )
    parameters = _values(root, "ParametersList/Parameter", "Expression")
    species = _values(root, "SpeciesList/Species", "InitialPopulation")
    _check_number(root, "NumberOfSpecies", len(species))
    _check_number(root, "NumberOfReactions", len(root.findall("ReactionsList/Reaction")))
    names = [*parameters, *species]
    definition = read_definition(
        {name: as_ours(value, names) for name, value in species.items()},
        [_reaction(element, names) for element in root.iterfind("ReactionsList/Reaction")],
        {name: as_ours(value, names) for name, value in parameters.items()},
        None,
        FUNCTIONS,
        (),
        _said(root, "Description", "") or path.stem,
        "",
    )
    said = Conversion(assumptions=tuple(_counted_otherwise(definition, path.name)))
    return finish(replace(definition, conversion=said), COUNTED)


def _units(root: XmlElement) -> str:
    """Return the units of the file, which StochSS writes as an attribute of the description."""
    description = root.find("Description")
    of_description = "" if description is None else description.get("units", "")
    return _said(root, "Units", of_description.strip() or "population")


def _counted_otherwise(definition: Definition, source: str) -> Iterator[str]:
    """Yield what is said where GillesPy2, which writes a parameter `vol`, counts pairs of its file without a half."""
    pairs = [
        str(reaction.name)
        for reaction in definition.reactions
        if reaction.law.mass_action is not None and any(n > 1 for n in (reaction.reactants or {}).values())
    ]
    if _ADDED_VOLUME in definition.parameters and pairs:
        yield (
            f"{', '.join(pairs)}: k x (x - 1)/2 of two equal reactants, as StochKit counts; GillesPy2, which seems to "
            f"have written '{source}', counts k x (x - 1), so load its model object for that"
        )


def parsed_xml(text: str, source: str, what: str) -> XmlElement:
    """Return the root of an XML text, which must not define entities."""
    if "<!ENTITY" in text:
        raise ModelError(f"{what} file '{source}' must hold all its text, but defines XML entities; write them out.")
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ModelError(f"{what} file '{source}' must be well-formed XML, but is not: {error}.") from None


def _values(root: XmlElement, path: str, name: str) -> dict[str, str]:
    """Return what elements say of themselves, by their ids."""
    values: dict[str, str] = {}
    for element in root.iterfind(path):
        of = _said(element, "Id")
        if of in values:
            raise ModelError(f"StochKit's <{element.tag}> must each have an Id of its own, but two have '{of}'.")
        values[of] = _said(element, name)
    return values


def _check_number(root: XmlElement, name: str, there: int) -> None:
    """Refuse a file that says another number of parts than it has."""
    if _said(root, name, str(there)) != str(there):
        raise ModelError(f"StochKit's <{name}> must be that of the file, {there}, but is {_said(root, name)}.")


def _said(element: XmlElement, name: str, otherwise: str | None = None) -> str:
    """Return the text of a part of an element."""
    parts = element.findall(name)
    text = ("".join(parts[0].itertext()) if parts else "").strip() or otherwise
    of = (element.findtext("Id") or "").strip()
    if len(parts) > 1 or any(len(part) for part in parts):
        problem = "elements in it" if len(parts) == 1 else f"{len(parts)} of them"
        raise ModelError(f"StochKit's <{element.tag}> '{of}' must have one text as <{name}>, but has {problem}.")
    if text is None:
        raise ModelError(f"StochKit's <{element.tag}> '{of}' must have <{name}>, but has none.")
    return text


def _reaction(element: XmlElement, names: Collection[str]) -> Reaction:
    name, kind = _said(element, "Id"), _said(element, "Type")
    reactants, products = (dict(_side(element, side, name)) for side in ("Reactants", "Products"))
    sides = Stoichiometry(reactants, products, net_change(reactants, products))
    if kind == "mass-action":
        return Reaction(sides, mass_action=as_ours(_said(element, "Rate"), names), name=name)
    if kind == "customized":
        return Reaction(sides, rate=as_ours(_said(element, "PropensityFunction"), names), name=name)
    raise ModelError(f"Reaction '{name}' must be mass-action or customized, but is {kind}; write its propensity.")


def _side(element: XmlElement, side: str, name: str) -> Iterator[tuple[str, int]]:
    """Yield the species of a side with their stoichiometry."""
    seen = set()
    for reference in element.iterfind(f"{side}/SpeciesReference"):
        species, written = reference.get("id", ""), reference.get("stoichiometry", "1")
        count = _COUNT.fullmatch(written)
        if count is None or species in seen:
            problem = f"'{written[:80]}' of '{species}'" if species not in seen else f"'{species}' twice"
            raise ModelError(
                f"{side} of reaction '{name}' must be species with whole numbers, each once, but has {problem}."
            )
        seen.add(species)
        if int(count[1]):
            yield species, int(count[1])
