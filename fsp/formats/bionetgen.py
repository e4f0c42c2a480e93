"""Rule-based models: BioNetGen's language (`.bngl`) and PySB's objects, whose networks BioNetGen generates.

The rules of a model are followed by BioNetGen itself, and what is read is the network that it writes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from fsp.errors import BackendError, ModelError
from fsp.formats.bionetgen_net import read_net
from fsp.formats.sbml import Finish, as_it_stands
from fsp.model.model import Model

_BLOCK_TEXT = re.compile(
    r"^[ \t]*begin[ \t]+(?!model\b|actions\b)(.+?)[ \t]*$.*?^[ \t]*end[ \t]+\1", re.DOTALL | re.MULTILINE
)
_JOINED = re.compile(r"\\[ \t]*\n")
_ACTION = re.compile(r"^[ \t]*(?!setOption|setModelName|version|substanceUnits)(\w+)[ \t]*\([^\n]*$", re.MULTILINE)
_CHANGES = ("setConcentration", "addConcentration", "setParameter", "readFile", "readModel", "readNetwork", "readSBML")


def read_bngl(text: str, path: Path, finish: Finish = as_it_stands) -> Model:
    """Read the text of a .bngl file; `finish` makes the model of the network."""
    return read_net(_network(_with_one_action(text, path.name), path.name), path, finish)


def read_pysb(model: Any, finish: Finish = as_it_stands) -> Model:
    """Read a PySB model; `finish` makes the model of the network."""
    from pysb.generator.bng import BngGenerator

    text = BngGenerator(model).get_content()
    name = model.name or "pysb"
    return read_bngl(text, Path(f"{name}.bngl"), finish)


def _with_one_action(text: str, source: str) -> str:
    """Return a model with one action, that generates its network: the file's own, which may limit it."""
    plain = re.sub(r"#[^\n]*", "", _JOINED.sub(" ", text))
    kept = [match.span() for match in _BLOCK_TEXT.finditer(plain)]
    actions = [
        match for match in _ACTION.finditer(plain) if not any(start <= match.start() < end for start, end in kept)
    ]
    changing = next((match.group(1) for match in actions if match.group(1) in _CHANGES), None)
    if changing is not None:
        raise ModelError(
            f"BioNetGen file '{source}' must say all in its blocks, but has the action {changing}, which is not "
            "followed; write its values in the blocks, or give them to fsp.load (--set)."
        )
    generating = [match.group() for match in actions if match.group(1) == "generate_network"]
    for match in reversed(actions):
        plain = plain[: match.start()] + plain[match.end() :]
    plain = re.sub(r"^[ \t]*(?:begin|end)[ \t]+actions[ \t]*$", "", plain, flags=re.MULTILINE)
    return f"{plain}\n{generating[0].strip() if generating else 'generate_network({overwrite=>1})'}\n"


def _network(text: str, source: str) -> str:
    """Return the .net text that BioNetGen generates."""
    program = _program()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "model.bngl").write_text(text, encoding="utf-8")
        done = subprocess.run(
            ["perl", str(program), "--outdir", folder, str(place / "model.bngl")],
            capture_output=True, text=True, check=False, cwd=folder,
        )  # fmt: skip
        made = place / "model.net"
        if done.returncode == 0 and made.exists():
            return made.read_text(encoding="utf-8")
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("ABORT", "ERROR"))]
    reason = " ".join((said or [f"it ended with {done.returncode}"])[0].split())
    raise ModelError(f"BioNetGen file '{source}' must be one that BioNetGen can generate a network of, but: {reason}")


def _program() -> Path:
    """Return where BNG2.pl is: below BNGPATH, on the path of programs, or in the bionetgen package."""
    below = [Path(os.environ["BNGPATH"])] if "BNGPATH" in os.environ else []
    program = shutil.which("BNG2.pl")
    below += [Path(program).parent] if program else []
    try:
        from bionetgen import defaults

        below.append(Path(defaults.bng_path))
    except ImportError:
        pass
    place = next((folder / "BNG2.pl" for folder in below if (folder / "BNG2.pl").exists()), None)
    if place is None or shutil.which("perl") is None:
        missing = "BNG2.pl is not found" if place is None else "perl is not"
        raise BackendError(
            f"Rules of BioNetGen need BioNetGen to generate their network, but {missing}: pip install bionetgen (and "
            "perl), or set BNGPATH; or write the network elsewhere with generate_network() and load its .net file."
        )
    return place
