"""Model files: SBML and Antimony, read as jump processes and written for simulators."""

from __future__ import annotations

from fsp.formats.readers import load

__all__ = ["load"]
