"""The pages of the site: mathematics is typeset, and what they need is in the folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SIGNS = re.compile("[Σ∫‖∂∞]")


def blocks(page, kind):
    return [match[2] for match in _FENCE.finditer(page.read_text(encoding="utf-8")) if match[1] == kind]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_displayed_mathematics_is_typeset(page):
    assert [text for text in blocks(page, "") if _SIGNS.search(text)] == [], "write it in LaTeX, in a block of ```math"


def test_mathematics_is_latex_that_closes_what_it_opens():
    displays = [text for page in PAGES for text in blocks(page, "math")]
    assert len(displays) >= 20
    for text in displays:
        assert text.count("{") == text.count("}"), text
        assert text.count(r"\left") - text.count(r"\leftarrow") == len(re.findall(r"\\right(?!arrow)", text)), text
        assert re.findall(r"\\begin\{(.*?)\}", text) == re.findall(r"\\end\{(.*?)\}", text), text
        assert not _SIGNS.search(text), text


def test_pages_fetch_nothing_from_elsewhere():
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "font: false" in settings
    assert re.search(r"^  - offline\b", settings, re.MULTILINE)  # search without a server
    assert "scripts/iframe-worker.js" in settings  # otherwise the theme asks a server for it
    assert (ROOT / "docs" / "scripts" / "iframe-worker.js").is_file()
    assert "http" not in settings
