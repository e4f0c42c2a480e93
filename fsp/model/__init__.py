"""Reaction networks: `Model`, `Reaction`, `Event`, and `load` for SBML and Antimony files."""

from __future__ import annotations

from fsp.model.event import Event
from fsp.model.files import load
from fsp.model.model import Model
from fsp.model.reaction import Reaction

__all__ = ["Event", "Model", "Reaction", "load"]
