"""Files and texts of a model for other programs: where an arrow points from `fsp/model/` to what writes.

The contracts name it as their exception, as they do `fsp/distribution/doors.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fsp.model.network import Network


def prism(network: Network, path: str | Path | None, upper: Mapping[str, int] | None) -> str:
    """Return a network in PRISM's language, and write it where a path is given, whole or not at all."""
    from fsp.formats.prism import write_prism
    from fsp.output.files import write

    text = write_prism(network, upper)
    if path is not None:
        write(path, f"{text}\n")
    return text
