"""Compare propensities at random counts, and counts of the start, with libRoadRunner and COPASI.

    pip install libroadrunner copasi-basico
    python ci/rates.py tests/models tests/stochastic_suite

Antimony is translated to SBML first, and a file that fsp refuses is listed with the reason.
Propensities are compared as the file stands, N molecules being an amount N.
Particle numbers are compared for each way to count: COPASI reads the file as it is where it is in moles, and for the
other ways one that says the same in its units: items, or compartments of another size at the same concentrations.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import fsp
from fsp.errors import FSPError, ModelWarning

STATES = 5  # random states of each file
LARGEST = 40  # count of a species in them
LARGEST_DIFFERENCE = 1e-12  # relative: a law of a few hundred operations, rounded
WAYS = ("auto", "as-is", "volume=2fL", "omega=50")
LITRES = 2e-15  # of the third
OMEGA = 50.0  # of the fourth
AVOGADROS = 2e-7  # relative: COPASI counts 6.02214179e23 molecules in a mole, of 2006, and the SI 6.02214076e23
HALF = 0.5001  # molecules: counts are rounded to the nearest, with the digits of Avogadro's number
NEEDED = "libRoadRunner must be installed to compare rates, but is not; pip install libroadrunner."


def missing() -> str:
    """Return what to install, or nothing."""
    return "" if importlib.util.find_spec("roadrunner") else NEEDED


def documents(paths: list[Path]) -> Iterator[tuple[Path, str]]:
    """Yield SBML of all files of models below paths."""
    import antimony

    # encodings are named, since COPASI sets the locale to ASCII
    for path in sorted(file for start in paths for file in ([start] if start.is_file() else start.rglob("*"))):
        if path.suffix == ".ant":
            antimony.clearPreviousLoads()
            antimony.loadAntimonyString(path.read_text(encoding="utf-8"))
            yield path, antimony.getSBMLString(antimony.getMainModuleName())
        elif path.suffix == ".xml" and "<sbml" in (text := path.read_text(encoding="utf-8")):
            yield path, text


def loaded(text: str, counts: str) -> fsp.Model:
    """Return the model of an SBML text."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelWarning)
        file = Path(folder) / "model.xml"
        file.write_text(text, encoding="utf-8")
        return fsp.load(file, counts=counts)


def difference(text: str, seed: int = 1) -> float:
    """Return the largest relative difference of propensities from libRoadRunner's rates, at random counts."""
    import roadrunner

    model, other = loaded(text, "as-is"), roadrunner.RoadRunner(text)
    names = [str(name) for name in other.model.getReactionIds()]
    floating = list(map(str, other.model.getFloatingSpeciesIds()))
    boundary = set(map(str, other.model.getBoundarySpeciesIds()))
    states = np.random.default_rng(seed).integers(0, LARGEST, (STATES, len(model.species)))
    largest = 0.0
    for state, propensities in zip(states, model.propensities(states).T, strict=True):
        for name, count in zip(model.species, state, strict=True):
            given = name if name in {*floating, *boundary} else name.removesuffix("_")  # words of formulas are renamed
            if given in floating:  # by index, since "time" sets the time
                other.model.setFloatingSpeciesAmounts([floating.index(given)], [float(count)])
            elif given in boundary:
                other.setValue(given, float(count))
        rates = dict(zip(names, map(float, other.model.getReactionRates()), strict=True))
        net = dict.fromkeys(rates, 0.0)
        for reaction, value in zip(model.reactions, propensities, strict=True):
            forward = reaction.name.removesuffix("_forward")
            backward = reaction.name.removesuffix("_reverse")
            name = next(n for n in (reaction.name, forward, backward, reaction.name.partition(" with ")[0]) if n in net)
            net[name] += -value if name == backward != reaction.name else value
        largest = max([largest, *(abs(net[n] - r) / abs(r) if r else abs(net[n]) for n, r in rates.items())])
    return largest


def told(text: str, counts: str) -> str | None:
    """Return SBML that says in its units what a way to count asks for; None where formulas say how it starts."""
    import libsbml

    from fsp.formats.units import read_units

    document = libsbml.readSBMLFromString(text)
    if document.getLevel() == 1:
        document.setLevelAndVersion(2, 4, False)  # Level 1 has no initial concentrations
    model = document.getModel()
    species = [model.getSpecies(k) for k in range(model.getNumSpecies())]
    sizes = {c.getId(): c.getSize() for c in map(model.getCompartment, range(model.getNumCompartments()))}
    if model.getNumInitialAssignments() or model.getNumRules() or not all(size > 0.0 for size in sizes.values()):
        return None
    units, factor = read_units(model), OMEGA if counts == "omega=50" else 1.0
    if counts == "volume=2fL":
        factor = LITRES / (units.litres or 1.0) / sizes[units.compartments[0]]
    for element in species:
        concentration = element.getInitialConcentration()
        if element.isSetInitialAmount():
            concentration = element.getInitialAmount() / sizes[element.getCompartment()]
        element.unsetInitialAmount()
        element.setInitialConcentration(concentration)
    for name, size in sizes.items():
        model.getCompartment(name).setSize(size * factor)
    if counts != "volume=2fL" or units.molecules is None:
        _set_substance(model, species, "mole" if counts == "volume=2fL" else "item")
    return libsbml.writeSBMLToString(document)


def _set_substance(model, species, kind: str) -> None:
    """Give all species one unit of substance."""
    import libsbml

    model.removeUnitDefinition("substance")
    definition = model.createUnitDefinition()
    definition.setId("substance")
    unit = definition.createUnit()
    unit.setKind(libsbml.UnitKind_forName(kind))
    for what, value in (("Exponent", 1), ("Scale", 0), ("Multiplier", 1.0)):
        getattr(unit, f"set{what}")(value)
    if model.getLevel() > 2:
        model.setSubstanceUnits("substance")
    for element in species:
        element.unsetSubstanceUnits()


def particles(text: str, counts: str = "auto") -> float | None:
    """Return the largest difference of initial counts from COPASI's particle numbers, its Avogadro's number apart.

    None where it has no say.
    """
    import basico

    model, text = loaded(text, counts), told(text, counts) if counts != "auto" else text
    if text is None or (counts == "auto" and not any("unit of substance" in s for s in model.conversion.steps)):
        return None
    other = basico.load_model_from_string(text)
    try:
        table = basico.get_species(model=other)
        known = dict(zip(table["sbml_id"], table["initial_particle_number"], strict=True))
        start = zip(model.species, model.initial_states[0].tolist(), strict=True)
        return max(abs(count - known[name]) - AVOGADROS * count for name, count in start)
    finally:
        basico.remove_datamodel(other)


def count_particles(paths: list[Path]) -> bool:
    """Print the differences from COPASI's particle numbers; return whether all are those of rounding."""
    texts, largest = list(documents(paths)), {}
    for counts in WAYS:
        differences: list[float] = []
        for _, text in texts:
            with contextlib.suppress(FSPError):
                differences += [off for off in [particles(text, counts)] if off is not None]
        largest[counts] = float(np.max(differences, initial=0.0))  # NaN where one is
        print(f"counts={counts!r}: {len(differences)} files, largest difference {largest[counts]:.3g} particles")
    return all(off <= HALF for off in largest.values())


def main() -> int:
    """Compare all files; return 1 where one differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path)
    paths = parser.parse_args().paths
    if lacking := missing():
        print(lacking)
        return 0
    compared, worst = 0, 0.0
    for path, text in documents(paths):
        try:
            off = difference(text)
        except (FSPError, RuntimeError) as error:
            print(f"{path}: refused by {'fsp' if isinstance(error, FSPError) else 'libRoadRunner'}: {error}")
            continue
        compared, worst = compared + 1, max(worst, off)
        print(f"{path}: {off:.1e}")
    print(f"{compared} files, largest relative difference {worst:.1e}")
    agree = worst <= LARGEST_DIFFERENCE
    if importlib.util.find_spec("basico"):
        agree &= count_particles(paths)
    else:
        print("copasi-basico must be installed to compare particle numbers, but is not; pip install copasi-basico.")
    return int(not agree)


if __name__ == "__main__":
    raise SystemExit(main())
