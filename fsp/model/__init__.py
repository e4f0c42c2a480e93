"""Reaction networks: `Model`, `Reaction`, `Event`."""

from __future__ import annotations

from fsp.model.event import Event
from fsp.model.model import Model
from fsp.model.reaction import Reaction

__all__ = ["Event", "Model", "Reaction"]
