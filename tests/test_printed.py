"""What the pages say that commands print, they print, but for numbers, which differ from machine to machine."""

from __future__ import annotations

import re
import sys

import pytest
from test_contributing import PAGE

ROOT = PAGE.parent
sys.path.insert(0, str(ROOT / "ci"))
import printed  # noqa: E402

PAGES = {path.name: path.read_text(encoding="utf-8") for path in printed.PAGES}
BLOCKS = [(name, block) for name, page in PAGES.items() for block in printed.blocks(page)]


def words(block):
    """Return a block without its numbers, and without what they are aligned by."""
    return re.sub(r"[-+]?[0-9][0-9,.]*(e[-+]?[0-9]+)?|[ -]+", " ", block).split()


@pytest.mark.parametrize(("name", "block"), BLOCKS, ids=[f"{name}-{i}" for i, (name, _) in enumerate(BLOCKS)])
def test_commands_print_what_the_pages_say(name, block):
    with printed.beside_the_examples():
        assert words(printed.made(block)) == words(block), f"`ci/docs --refresh` writes {name} anew"


def test_what_is_stale_is_found():
    block = next(block for _, block in BLOCKS if block.startswith("$ fsp info"))
    with printed.beside_the_examples():
        ((old, new),) = printed.stale(f"```\n{block.replace('4 reactions', '5 reactions')}```\n")
    assert old != new == block
