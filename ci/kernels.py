"""Hook of the build: compile the kernels into the wheel, or for an editable install beside their sources.

`FSP_CPU_LEVELS` names the levels of processors, as ``x86-64-v2,x86-64-v4``; by default the best of this machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class KernelsHook(BuildHookInterface[Any]):
    """Compile what is not compiled yet; the wheel is for this system, and for every Python."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the objects, which `artifacts` in pyproject.toml puts into the wheel."""
        sys.path.insert(0, self.root)
        from fsp.compilation import objects
        from fsp.compilation.parts import PARTS

        folder = Path(self.root, "fsp", "compilation")
        given = os.environ.get("FSP_CPU_LEVELS")
        named = [level.strip() for level in (given or "").split(",") if level.strip()]
        levels = named or objects.levels()[:1]
        unknown = set(levels) - {*objects.LEVELS, *objects.levels()}
        if unknown:
            raise RuntimeError(
                f"`FSP_CPU_LEVELS` must be of {', '.join(objects.LEVELS)}, but names {', '.join(sorted(unknown))}."
            )
        wanted = {objects.name_of(part, level): (part, level) for part in PARTS for level in levels}
        for old in folder.glob("*.o"):
            if old.name not in wanted:
                old.unlink()
        environment = os.environ | {"PYTHONHASHSEED": "0"}  # else the last digits of sums are chance
        command = [sys.executable, "-m", "fsp.compilation.build"]
        builds = [
            subprocess.Popen([*command, str(folder / name), *which], cwd=self.root, env=environment)
            for name, which in wanted.items()
            if not objects.is_whole(folder / name)
        ]
        if any([build.wait() for build in builds]):
            raise RuntimeError("The kernels must compile, but do not: see above.")
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
