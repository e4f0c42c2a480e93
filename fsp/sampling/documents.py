"""The SBML that a simulator is given: the user's own file, or what is written of the network in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fsp.errors import ModelError
from fsp.formats.equivalence import difference
from fsp.formats.readers import own_sbml, read_model
from fsp.formats.sbml_parts import each
from fsp.formats.sbml_writer import write_sbml
from fsp.formats.units import read_units
from fsp.model import Model
from fsp.model.libraries import one_at_a_time

Refuses = Callable[[str], str]  # SBML of a file -> why a simulator must not be given it; empty where it may


@dataclass(frozen=True, slots=True)
class Document:
    """What a simulator is given."""

    text: str  # SBML
    why: str = ""  # it is what `write_sbml` makes of the network; empty where it is the file's own
    name: str = ""  # of the file

    @property
    def said(self) -> str:
        """What the simulator was given, in words."""
        if not self.why:
            return f"the file {self.name}"
        return f"the network as fsp writes it{f' in place of {self.name}' if self.name else ''}: {self.why}"


def refuses_none(text: str) -> str:
    """Refuse no file."""
    return ""


@lru_cache(maxsize=2)  # asked for at each call for more runs
def document_for(model: Model, file: Path | None, until: float = 0.0, refuses: Refuses = refuses_none) -> Document:
    """Return what a simulator of a network is given up to a time: the SBML of its file, where that is this network.

    Otherwise, and where it `refuses` the file, for a reason, it is given what is written of the network, with the
    reason.
    """
    if file is None:
        return Document(write_sbml(model), "it has no file")
    text = own_sbml(file)
    why = "the file is not SBML" if text is None else refuses(text) or _other_network(model, file, text, until)
    if text is None or why:
        return Document(write_sbml(model), why, file.name)
    return Document(text, name=file.name)


def _other_network(model: Model, file: Path, text: str, until: float) -> str:
    """Say in what a network is not that of its file as the file stands; empty where in nothing."""
    known = _names(text)
    lacking = [name for name in model.species if name not in known]
    if lacking:
        return f"the file has no species of the name '{lacking[0]}'"
    try:
        difference_told = difference(model, read_model(file, {}, "as-is", "nearest", False, "`file`"), until)
    except ModelError as error:
        return f"amounts of the file are no counts: {error}"
    return f"values or counts are not those of the file: {difference_told}" if difference_told else ""


@one_at_a_time
def _names(text: str) -> set[str]:
    """Return the ids of the species of a document."""
    import libsbml

    document = libsbml.readSBMLFromString(text)  # which owns its model
    return {species.getId() for species in each(document.getModel(), "Species")}


@one_at_a_time
def counts_items(text: str) -> bool:
    """Return whether the unit of substance of a document is a molecule, by what it declares."""
    import libsbml

    document = libsbml.readSBMLFromString(text)  # which owns its model
    return read_units(document.getModel()).molecules == 1.0
