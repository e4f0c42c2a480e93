"""Model files: SBML, Antimony and formats of other tools, read as jump processes and written for other tools."""

from __future__ import annotations

from fsp.formats.readers import load, loads, time_course

__all__ = ["load", "loads", "time_course"]
