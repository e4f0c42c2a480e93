"""One page of HTML about an answer that is no distribution: what a notebook shows of it, and its picture."""

from __future__ import annotations

from html import escape

from fsp.distribution.sensitivity import Sensitivities
from fsp.output.html import page_of, svg
from fsp.output.notebook import html
from fsp.output.panels import COLOURS
from fsp.output.value_layout import kind_of


def value_page(answer: object) -> str:
    """Return the page."""
    kind = kind_of(answer)
    title = f"{kind[0].upper()}{kind[1:]}"
    parts = [f"<h1>{escape(title)}</h1>", html(answer)]
    if isinstance(answer, Sensitivities) and len(answer.parameters) <= len(COLOURS):
        parts.append(svg(answer.plot()))
    return page_of(title, parts)
