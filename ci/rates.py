"""Compare propensities at random counts, and counts of the start, with libRoadRunner and COPASI.

    pip install libroadrunner copasi-basico
    python ci/rates.py tests/models tests/stochastic_suite

Antimony is translated to SBML first, and a file that fsp refuses is listed with the reason.
Propensities are compared as the file stands, N molecules being an amount N; particle numbers, where it is in moles.
"""

from __future__ import annotations

import argparse
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
    for state, own in zip(states, model.propensities(states).T, strict=True):
        for name, count in zip(model.species, state, strict=True):
            given = name if name in {*floating, *boundary} else name.removesuffix("_")  # words of formulas are renamed
            if given in floating:  # by index, since "time" sets the time
                other.model.setFloatingSpeciesAmounts([floating.index(given)], [float(count)])
            elif given in boundary:
                other.setValue(given, float(count))
        rates = dict(zip(names, map(float, other.model.getReactionRates()), strict=True))
        net = dict.fromkeys(rates, 0.0)
        for reaction, value in zip(model.reactions, own, strict=True):
            forward = reaction.name.removesuffix("_forward")
            backward = reaction.name.removesuffix("_reverse")
            name = next(n for n in (reaction.name, forward, backward, reaction.name.partition(" with ")[0]) if n in net)
            net[name] += -value if name == backward != reaction.name else value
        largest = max([largest, *(abs(net[n] - r) / abs(r) if r else abs(net[n]) for n, r in rates.items())])
    return largest


def particles(text: str) -> float | None:
    """Return the largest difference of initial counts from COPASI's particle numbers, if the file is in moles."""
    import basico

    model = loaded(text, "auto")
    if not any("unit of substance" in step for step in model.conversion.steps):
        return None
    other = basico.load_model_from_string(text)
    try:
        table = basico.get_species(model=other)
        known = dict(zip(table["sbml_id"], table["initial_particle_number"], strict=True))
        start = zip(model.species, model.initial_states[0].tolist(), strict=True)
        return max(abs(count - known[name]) for name, count in start)
    finally:
        basico.remove_datamodel(other)


def count_particles(paths: list[Path]) -> bool:
    """Print the differences from COPASI's particle numbers; return whether all are those of rounding."""
    compared, worst = 0, 0.0
    for path, text in documents(paths):
        try:
            found = particles(text)
        except FSPError:
            continue
        if found is not None:
            compared, worst = compared + 1, max(worst, found)
            print(f"{path}: {found:.3g} particles")
    print(f"{compared} files in moles, largest difference {worst:.3g} particles")
    return worst <= HALF


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
            found = difference(text)
        except (FSPError, RuntimeError) as error:
            print(f"{path}: refused by {'fsp' if isinstance(error, FSPError) else 'libRoadRunner'}: {error}")
            continue
        compared, worst = compared + 1, max(worst, found)
        print(f"{path}: {found:.1e}")
    print(f"{compared} files, largest relative difference {worst:.1e}")
    agree = worst <= LARGEST_DIFFERENCE
    if importlib.util.find_spec("basico"):
        agree &= count_particles(paths)
    else:
        print("copasi-basico must be installed to compare particle numbers, but is not; pip install copasi-basico.")
    return int(not agree)


if __name__ == "__main__":
    raise SystemExit(main())
