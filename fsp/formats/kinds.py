"""Kinds of model files: which one a text is, by its content and by its suffix where that says nothing."""

from __future__ import annotations

import re
from pathlib import PurePath

from fsp.errors import ModelError

READ = (
    "SBML (.xml, .sbml), Antimony (.ant, .txt), BioNetGen (.net, .bngl), StochKit (.xml), SED-ML (.sedml) and COMBINE "
    "archives (.omex); model objects of GillesPy2 and PySB are given to fsp.load themselves"
)

_FORMAT_OF = {
    ".xml": "sbml", ".sbml": "sbml", ".ant": "antimony", ".txt": "antimony", ".net": "net", ".bngl": "bngl",
    ".sedml": "sedml", ".omex": "omex",
}  # fmt: skip
_ROOTS = {"sbml": "sbml", "Model": "stochkit", "sedML": "sedml"}
# What is known and cannot be read, with the way in.
_COPASI = "COPASI's own; open it in COPASI and export SBML (in Python: basico.save_model('x.xml', type='sbml'))"
_PROGRAM = "a program; run it, and give fsp.load the model object that it makes, or the SBML that it exports"
_WAYS = {
    ".cps": _COPASI,
    "COPASI": _COPASI,
    ".crn": "a list of reactions without initial counts; write Antimony, as in: r1: A => B; k*A; A = 4; B = 0; k = 3",
    ".py": _PROGRAM,
    ".ipynb": _PROGRAM,
    ".jl": _PROGRAM,
    ".m": _PROGRAM,
    ".sbproj": "a SimBiology project; export SBML with sbmlexport",
}

# Possessive and without overlaps, so that the time is that of one pass over the text, whatever it holds.
# No group is possessive: see `fsp.formats.sbml_documents`.
_ROOT = re.compile(
    r"(?:\s++|<\?[^?]*(?:\?(?!>)[^?]*)*\?>|<!--[^-]*(?:-(?!->)[^-]*)*-->|<!DOCTYPE[^>]*>)*<(?:[\w.-]+:)?([\w.-]+)"
)
_BLOCK_BEGIN = re.compile(r"^[ \t]*begin[ \t]+(\w+(?:[ \t]+\w+)*)[ \t]*(?:#.*)?$", re.MULTILINE)
_ANTIMONY = re.compile(r"^[ \t]*(?:model|module|function)\b|(?:->|=>)(?:(?!->|=>)[^;\n])*;", re.MULTILINE)


def kind_of(text: str, name: str) -> str:
    """Return which kind of model a file holds, or raise a `ModelError` that lists those that can be read."""
    suffix = PurePath(name).suffix.lower()
    root = _ROOT.match(text)
    if root is not None:
        kind, what = _ROOTS.get(root.group(1)), f"the XML of <{root.group(1)}>"
        way = _WAYS.get(root.group(1))
    else:
        kind, what = _by_words(text, suffix), f"of the kind '{suffix}'"
        way = _WAYS.get(suffix)
    if kind is not None:
        return kind
    if way is not None:
        raise ModelError(f"Model file must be one that can be read, but '{name}' is {way}.")
    raise ModelError(f"Model file must be {READ}; '{name}' is none of them, but {what}.")


def names_a_file(text: str) -> bool:
    """Tell whether a text ends like the name of a model file."""
    return PurePath(text).suffix.lower() in {**_FORMAT_OF, **_WAYS}


def names_a_model(text: str) -> bool:
    """Tell whether a text ends like the name of a model file that can be read."""
    return PurePath(text).suffix.lower() in _FORMAT_OF


def _by_words(text: str, suffix: str) -> str | None:
    """Return the kind of a text that is no XML; None where it is of none."""
    known, blocks = _FORMAT_OF.get(suffix), set(_BLOCK_BEGIN.findall(text))
    if known in ("net", "bngl") or not blocks & {"reactions", "model", "parameters", "reaction rules", "seed species"}:
        antimony = "antimony" if suffix not in _WAYS and _ANTIMONY.search(text) else None
        return known or antimony
    return "net" if "reactions" in blocks else "bngl"
