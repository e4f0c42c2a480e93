"""Inline mathematics of the pages: which code spans are formulas, and what they are in LaTeX.

In the sources formulas within a sentence are written as one reads them, `‖p − y‖₁ ≤ ε`, which stays legible wherever
nothing typesets it.  On the site they are set as the displays are.
"""

from __future__ import annotations

import re

# ruff: noqa: RUF001  signs of mathematics that look like letters are what this is about
SIGNS = {
    **{"−": "-", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "∝": r"\propto ", "±": r"\pm "},
    **{"·": r"\cdot ", "×": r"\times ", "∈": r"\in ", "∞": r"\infty ", "∂": r"\partial ", "∇": r"\nabla "},
    **{"∫": r"\int ", "Σ": r"\sum ", "∏": r"\prod ", "‖": r"\Vert ", "→": r"\to ", "←": r"\leftarrow "},
    **{"…": r"\dots ", "½": r"\tfrac{1}{2}", "ℓ": r"\ell ", "′": "'", "𝔸": r"\mathbb{A}", "Â": r"\hat{A}"},
    **{"<": r"\lt ", ">": r"\gt ", "&": r"\wedge "},
}
RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ᵀᴴᵏⁿᵗˢ", "0123456789+-THknts", strict=True))
LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋ᵢⱼₖₙₘ", "0123456789+-ijknm", strict=True))
OPERATORS = {"exp", "log", "min", "max", "det", "sup", "inf"}
# A formula has one of these, and nothing that only a program has.
_SIGN = re.compile(f"[{''.join((SIGNS.keys() | RAISED.keys() | LOWERED.keys()) - set('<>&'))}√α-ωΓΔΘΛΞΠΣΦΨΩ]")
_CODE = re.compile(r"""["'`@#$%\\;:~]|--|==|\w\.\w|\*\*|\b\w+\(\)|/\w+/|=\w+,|->|[<>]=|\de-\d""")
_LETTER = r"[A-Za-z](_[A-Za-z0-9]{1,2})?(\([a-z]\))?"
_SYMBOLS = re.compile(rf"{_LETTER}( {_LETTER})*|exp\({_LETTER}( {_LETTER})*\)")
_WORDS = 3  # in a row: more are prose or what a program prints


def is_formula(text: str, *, beside_displays: bool) -> bool:
    """Tell whether a code span is a formula; beside displayed mathematics letters are symbols too."""
    if beside_displays and _SYMBOLS.fullmatch(text):
        return True
    words = re.findall(r"(?<![\w_])[A-Za-z]{3,}", text)
    names = [word for word in words if word not in OPERATORS]
    return len(text) > 1 and bool(_SIGN.search(text)) and not _CODE.search(text) and len(names) < _WORDS


def latex(text: str) -> str:
    """Return a formula in LaTeX."""
    text = _grouped(text)
    for table, mark in ((RAISED, "^"), (LOWERED, "_")):
        for run in sorted(set(re.findall(f"[{''.join(table)}]+", text)), key=len, reverse=True):
            text = text.replace(run, f"{mark}{{{''.join(table[sign] for sign in run)}}}")
    text = re.sub(r"([_^])([A-Za-z0-9*]+)", _script, text)
    text = re.sub(r"(?<![A-Za-z\\{])([A-Za-z]{2,})(?![A-Za-z}])(?=(\(?))", _word, text)
    text = re.sub(r"(?<=[\w}])\*(?!\s*\w)", "^{STAR}", text).replace("*", r"\cdot ").replace("STAR", "*")
    for sign, command in SIGNS.items():
        text = text.replace(sign, command)
    return text


def _grouped(text: str) -> str:
    """Turn ``^(…)`` and ``√(…)`` into groups, and √x too."""
    for mark, opening in (("^(", "^{"), ("√(", r"\sqrt{")):
        while mark in text:
            begin = text.index(mark)
            depth, end = 0, begin
            for end in range(begin + 1, len(text)):
                depth += (text[end] == "(") - (text[end] == ")")
                if not depth:
                    break
            inside = text[begin + 2 : end]
            inside = f"({inside})" if mark == "^(" and inside.isalpha() else inside  # a derivative, and no power
            text = text[:begin] + opening + inside + "}" + text[end + 1 :]
    return re.sub(r"√([A-Za-z0-9α-ω]+)", r"\\sqrt{\1}", text)


def _script(match: re.Match[str]) -> str:
    mark, text = match[1], match[2]
    return f"{mark}{{{text}}}" if len(text) < 3 or text.isdigit() else f"{mark}{{\\mathrm{{{text}}}}}"


def _word(match: re.Match[str]) -> str:
    text = match[1]
    if text in OPERATORS:
        return f"\\{text} "
    return f"\\mathrm{{{text}}}" if len(text) > 2 or text == "Re" or (text.islower() and match[2]) else text
