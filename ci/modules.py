"""Write docs/modules.md: every module of the package with the first sentence of its docstring, room by room.

python ci/modules.py            write it
python ci/modules.py --check    exit with 1 where it is not what would be written
"""

from __future__ import annotations

import ast
import sys
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "modules.md"
HEAD = """# Modules

Each module with the first sentence of its docstring, written by `python ci/modules.py`.
The rooms are those of the [architecture](architecture.md).
"""


def first_sentence(path):
    """Return the first sentence of a module's docstring, on one line."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(text.split("\n\n")[0].split())
    return paragraph.split(".  ")[0].rstrip(".:")


def page():
    """Return the page."""
    files = sorted((ROOT / "fsp").rglob("*.py"), key=lambda path: (len(path.relative_to(ROOT).parts) > 2, path))
    parts = [HEAD]
    for room, members in groupby(files, key=lambda path: path.parent):
        parts += [f"\n## {room.relative_to(ROOT)}/\n"]
        parts += [f"- `{path.relative_to(ROOT)}`: {first_sentence(path)}" for path in members if first_sentence(path)]
    return "\n".join(parts) + "\n"


def main():
    """Write the page, or look whether it is as it would be written."""
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    return int(PAGE.read_text(encoding="utf-8") != page())


if __name__ == "__main__":
    sys.exit(main())
