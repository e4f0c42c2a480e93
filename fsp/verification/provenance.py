"""What reproduces a report: the command, the seed, versions, the day and the machine."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from fsp.version import __version__

_REPORTED_PACKAGES = ("numpy", "scipy", "numba", "python-libsbml", "antimony")


def provenance(seed: int | None, simulator: str = "") -> dict[str, str]:
    """Return what reproduces a report, by name; `simulator`: a package whose version counts."""
    entries = {} if seed is None else {"seed": str(seed)}
    name = Path(sys.argv[0]).name
    command = ["fsp" if name == "__main__.py" else name, *sys.argv[1:]]
    entries["command"] = shlex.join(command)
    entries["date"] = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    entries["machine"] = f"{platform.node()}, {platform.system()} {platform.release()}, {platform.machine()}"
    entries["versions"] = ", ".join(
        [f"fsp {__version__}", f"Python {platform.python_version()}", *_versions(simulator)]
    )
    return entries


def _versions(simulator: str) -> Iterator[str]:
    from fsp.sampling.packages import PACKAGES

    for name in (*_REPORTED_PACKAGES, *([PACKAGES[simulator][1]] if simulator in PACKAGES else [])):
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
