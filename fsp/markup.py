"""Pieces of HTML for notebooks: tables and texts, all of it escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_CELL = "text-align:left;font-variant-numeric:tabular-nums"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; without a header where that is empty."""
    top = "".join(f'<th style="{_CELL}">{escape(cell)}</th>' for cell in header)
    lines = ["".join(f'<td style="{_CELL}">{escape(cell)}</td>' for cell in row) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    head = f"<thead><tr>{top}</tr></thead>" if header else ""
    return f"<table>{head}<tbody>{body}</tbody></table>"


def text(words: str) -> str:
    """Return a line of text."""
    return f"<div>{escape(words)}</div>"


def block(title: str, *parts: str) -> str:
    """Return what is shown of a value: a title, and parts that are HTML."""
    return f"<div><b>{escape(title)}</b>{''.join(parts)}</div>"


def lines(words: str) -> str:
    """Return lines as they are, in columns."""
    return f"<pre>{escape(words)}</pre>"
