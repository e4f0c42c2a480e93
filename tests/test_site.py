"""The pages of the site: mathematics is typeset, and what they need is in the folder."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "ci"))
import inline_mathematics  # hooks of mkdocs are no package

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SIGNS = re.compile("[Σ∫‖∂∞]")
_SPANS = re.compile(r"`([^`\n]+)`")


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


# ruff: noqa: RUF001  signs of mathematics that look like letters are what this is about
FORMULAS = {
    "‖p − y‖₁ ≤ ε": r"\Vert p - y\Vert _{1} \le  ε",
    "Σ_outside r h": r"\sum _{\mathrm{outside}} r h",
    "e^(−x) I_k(x)": r"e^{-x} I_{k}(x)",
    "g^(k)(τ)/k!": r"g^{(k)}(τ)/k!",
    "√(t F) + √π": r"\sqrt{t F} + \sqrt{π}",
    "∂_k t*": r"\partial _{k} t^{*}",
    "rᴴ = e_kᵀ H⁻¹": "r^{H} = e_{k}^{T} H^{-1}",
    "0 > Re λ₂": r"0 \gt  \mathrm{Re} λ_{2}",
}


def test_formulas_in_sentences_are_latex():
    for text, expected in FORMULAS.items():
        assert inline_mathematics.is_formula(text, beside_displays=False), text
        assert inline_mathematics.latex(text) == expected
    spans = {span for page in PAGES for span in _SPANS.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))}
    formulas = {span for span in spans if inline_mathematics.is_formula(span, beside_displays=True)}
    assert len(formulas) >= 200
    for text in formulas:
        made = inline_mathematics.latex(text)
        assert made.count("{") == made.count("}"), text
        assert not _SIGNS.search(made), text


@pytest.mark.parametrize(
    "text",
    ["V > U", "--times 1,2", "fsp.Model", "k*A*A", "2 A -> …", "≈", "weights · x <= bound", 'fsp.loads("…")', "X", "p"],
)
def test_what_a_program_has_stays_code(text):
    assert not inline_mathematics.is_formula(text, beside_displays=False)
