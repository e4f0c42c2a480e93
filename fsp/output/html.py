"""Pages of HTML that need nothing beside them: tables, and pictures as SVG inside the text."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from fsp.version import __version__

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ORIGIN = f'<meta name="generator" content="fsp {__version__}">'
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1f2328 }
table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .2rem .7rem; text-align: left }
th { border-bottom: 2px solid #d0d7de } td { border-bottom: 1px solid #eaeef2 }
.verdict { color: #fff; padding: .2rem .8rem; border-radius: .4rem }
.bad { color: #c62828 } svg { max-width: 100%; height: auto }
"""


def page_of(title: str, parts: Sequence[str]) -> str:
    """Return a page of parts that are HTML already; the title is a text."""
    top = f"<title>{escape(title)}</title>"
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8">{ORIGIN}{top}<style>{_STYLE}</style></head>'
    return f"{head}<body>{''.join(parts)}</body></html>"


def table_of(header: Sequence[str], rows: Sequence[Sequence[str]], bad: Sequence[bool] | None = None) -> str:
    """Return a table of texts, whose rows may be marked as bad."""
    marks = bad if bad is not None else [False] * len(rows)
    top = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    lines = [
        f"<tr{' class=bad' if mark else ''}>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row, mark in zip(rows, marks, strict=True)
    ]
    return f"<table><tr>{top}</tr>{''.join(lines)}</table>"


def svg(figure: Figure) -> str:
    """Return a picture as a part of a page."""
    text = io.StringIO()
    figure.savefig(text, format="svg")
    return text.getvalue().partition("<svg")[2].join(["<svg", ""])


def panels(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, Any]:
    """Return a figure of some inches, and its axes (rows, columns)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)
