"""Units of an SBML model: how many molecules its unit of substance is, how many litres its compartments are.

A unit counts as declared where the file says so: by `substanceUnits` and `volumeUnits` of Level 3, by a unit definition
called `substance` or `volume` of Level 2, or on the species and compartments themselves.  The units that Level 2 takes
without a word, mole and litre, are declared by nobody.

References
----------
SBML Level 3 Version 2 Core, sections 4.4 and 4.6.
Avogadro constant: BIPM, The International System of Units, 9th edition (2019), exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fsp.errors import ModelError
from fsp.formats.sbml_parts import Element, each, is_concentration

AVOGADRO = 6.02214076e23  # exact; the `avogadro` of SBML's formulas is that of its specification
_LITRES = {"litre": 1.0, "liter": 1.0, "metre": 1e3, "meter": 1e3}  # of a litre, and of a cubic metre
_TIME_UNITS = {1e-3: "millisecond", 1.0: "second", 60.0: "minute", 3600.0: "hour", 86400.0: "day"}  # by their seconds
# Units that Level 2 takes without a word, and the name of a size by the dimensions of its compartment.
_TAKEN = {
    "time": ("second", 1.0, 1.0), "substance": ("mole", 1.0, 1.0), "volume": ("litre", 1.0, 1.0),
    "area": ("metre", 2.0, 1.0), "length": ("metre", 1.0, 1.0),
}  # fmt: skip
_SIZES = {1: "length", 2: "area", 3: "volume"}


@dataclass(frozen=True, slots=True)
class Units:
    """What a model file says of its units; None where it says nothing, or something else."""

    molecules: float | None = None  # in the unit of substance
    name: str = ""  # of the unit of substance, as people write it
    litres: float | None = None  # in the unit of volume
    compartments: tuple[str, ...] = ()  # of the species, the one with most of them first
    mixed: bool = False  # species are in different units of substance
    concentrations: Mapping[str, str] = field(default_factory=dict)  # the compartment of each species in concentrations

    @property
    def are_moles(self) -> bool:
        """Whether species are declared to be in moles, or parts of them."""
        return self.molecules is not None and self.molecules != 1.0


COUNTED = Units(molecules=1.0, name="item")  # of formats whose amounts are molecules


def read_units(model: Element) -> Units:
    """Read the units of a model."""
    declared = [_substance(model, species) for species in each(model, "Species")]
    known = list(dict.fromkeys(declared))
    molecules, name = known[0] if len(known) == 1 else (None, "")
    where = [species.getCompartment() for species in each(model, "Species")]
    order = sorted(set(where), key=lambda item: (-where.count(item), where.index(item)))
    inside = {s.getId(): s.getCompartment() for s in each(model, "Species") if is_concentration(s, model)}
    return Units(molecules, name, _volume(model, order), tuple(order), len(known) > 1, inside)


def _substance(model: Element, species: Element) -> tuple[float | None, str]:
    """Return the molecules in the unit of a species, and its name."""
    unit = species.getSubstanceUnits() or (model.getSubstanceUnits() if model.getLevel() > 2 else "")
    unit = unit or ("substance" if model.getUnitDefinition("substance") is not None else "")
    kinds = _kinds(model, unit)
    molecules = _molecules(kinds)
    if kinds is None or molecules is None:
        return None, ""
    ((kind, _, factor),) = kinds
    return molecules, _written(factor, kind)


def _molecules(kinds: list[tuple[str, float, float]] | None) -> float | None:
    """Return the molecules in a unit of substance; None for other units."""
    if kinds is None or len(kinds) != 1:
        return None
    ((kind, exponent, factor),) = kinds
    if exponent != 1 or kind not in ("mole", "item", "dimensionless"):
        return None
    return factor * AVOGADRO if kind == "mole" else factor


def extent_in(model: Element, species: Element) -> float | None:
    """Return how many units of a species' substance a unit of extent is, where both are declared."""
    extent = _molecules(_kinds(model, model.getExtentUnits())) if model.getLevel() > 2 else None
    molecules = _substance(model, species)[0]
    return None if extent is None or molecules is None else extent / molecules


def _written(factor: float, kind: str) -> str:
    prefixes = {1e-3: "milli", 1e-6: "micro", 1e-9: "nano", 1e-12: "pico", 1e-15: "femto"}
    near = next((text for value, text in prefixes.items() if abs(factor / value - 1.0) < 1e-9), None)
    return f"{near}{kind}" if near else kind if factor == 1.0 else f"{factor:g} {kind}"


def _volume(model: Element, compartments: list[str]) -> float | None:
    """Return the litres in the unit of the volume of the compartments that species are in; None where they differ."""
    volumes = set()
    for name in compartments:
        compartment = model.getCompartment(name)
        unit = compartment.getUnits() or (model.getVolumeUnits() if model.getLevel() > 2 else "")
        unit = unit or ("volume" if model.getUnitDefinition("volume") is not None else "")
        kinds = _kinds(model, unit)
        litres = None
        if kinds is not None and len(kinds) == 1 and kinds[0][0] in _LITRES:
            kind, exponent, factor = kinds[0]
            good = exponent == (3 if kind in ("metre", "meter") else 1)
            litres = _LITRES[kind] * factor if good else None
        volumes.add(litres)
    return volumes.pop() if len(volumes) == 1 else None


def refuse_units_of_their_own(model: Element) -> None:
    """Refuse laws and species in other units than the model's, as Level 1 and the first versions of Level 2 allow."""
    declared = {_substance(model, species)[0] for species in each(model, "Species")}
    molecules = declared.pop() if len(declared) == 1 else None
    for reaction in each(model, "Reaction"):
        law, of_law = reaction.getKineticLaw(), f"Kinetic law of '{reaction.getId()}'"
        if law is None:
            continue
        if law.isSetTimeUnits():
            _refuse_other(model, of_law, "timeUnits", (law.getTimeUnits(), "time"))
        if law.isSetSubstanceUnits() and molecules is not None:
            kinds = _default_kinds(model, law.getSubstanceUnits())
            if _molecules(kinds) != molecules:
                raise _of_their_own(of_law, "substanceUnits", law.getSubstanceUnits(), "the unit of its species")
    for species in each(model, "Species"):
        home = model.getCompartment(species.getCompartment())
        if home is not None and species.isSetSpatialSizeUnits() and is_concentration(species, model):
            size = home.getUnits() or _SIZES.get(home.getSpatialDimensions(), "volume")
            of_species = f"Species '{species.getId()}'"
            _refuse_other(model, of_species, "spatialSizeUnits", (species.getSpatialSizeUnits(), size))


def _refuse_other(model: Element, what: str, attribute: str, pair: tuple[str, str]) -> None:
    """Refuse a unit that is another one than that of the model."""
    given, usual = pair
    kinds = _default_kinds(model, given)
    if kinds is None or kinds != _default_kinds(model, usual):
        raise _of_their_own(what, attribute, given, f"'{usual}' of the model")


def _of_their_own(what: str, attribute: str, given: str, usual: str) -> ModelError:
    return ModelError(
        f"{what} must be in {usual}, since units are not converted here, but has {attribute}='{given}'; convert its "
        f"numbers and leave {attribute} out, or define {usual} as {given}."
    )


def _default_kinds(model: Element, name: str) -> list[tuple[str, float, float]] | None:
    """Return the base units of a unit, of time, substance and size also where Level 2 takes them for granted."""
    defined = model.getUnitDefinition(name) is not None
    return [_TAKEN[name]] if name in _TAKEN and not defined else _kinds(model, name)


def time_unit_of(model: Element, name: str) -> str:
    """Return a unit of time as people write it, `minute` for 60 seconds; empty for what is no time."""
    kinds = _kinds(model, name) or []
    if len(kinds) != 1 or kinds[0][:2] != ("second", 1.0):
        return ""
    seconds = kinds[0][2]
    return _TIME_UNITS.get(seconds, f"{seconds:g} seconds")


def _kinds(model: Element, name: str) -> list[tuple[str, float, float]] | None:
    """Return the base units of a unit as (kind, exponent, factor with its exponent); None where there is none."""
    import libsbml

    if not name:
        return None
    definition = model.getUnitDefinition(name)
    if definition is None:
        kind = libsbml.UnitKind_forName(name)
        return None if kind == libsbml.UNIT_KIND_INVALID else [(libsbml.UnitKind_toString(kind), 1.0, 1.0)]
    kinds = []
    for k in range(definition.getNumUnits()):
        unit = definition.getUnit(k)
        exponent = float(unit.getExponentAsDouble())
        factor = (float(unit.getMultiplier()) * 10.0 ** unit.getScale()) ** exponent
        kinds.append((str(libsbml.UnitKind_toString(unit.getKind())), exponent, factor))
    return kinds
