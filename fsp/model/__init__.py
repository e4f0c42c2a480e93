"""Reaction networks: `Model`, `Reaction`, and `load` for SBML and Antimony files."""

from __future__ import annotations

from fsp.model.files import load
from fsp.model.model import Model
from fsp.model.reaction import Reaction

__all__ = ["Model", "Reaction", "load"]
