"""Typeset mathematics of the pages: a hook of mkdocs that turns blocks of ``math``, in LaTeX, into MathML.

Browsers lay MathML out themselves, so that the pages load no script and work from a folder; GitHub reads the same
blocks.  Formulas within sentences, which are code spans in the sources, are typeset too: `ci/inline_mathematics.py`.
"""

from __future__ import annotations

import html
import re
import sys
from pathlib import Path

from latex2mathml.converter import convert

sys.path.insert(0, str(Path(__file__).parent))  # hooks of mkdocs are no package
from inline_mathematics import is_formula, latex

_BLOCKS = re.compile(r"(<pre.*?</pre>)", re.DOTALL)
_PRIME = re.compile(r"<msup>(<mi>[^<]*</mi>)<mi>&#x02032;</mi></msup>")
_LOWERED_PRIME = re.compile(r"<msubsup>((?:(?!</?msubsup>).)*?)<mi>&#x02032;</mi></msubsup>")
LONG = 30  # signs of a formula that may be wider than a phone's page, and is then scrolled by itself
_SPAN = re.compile(r"<code>([^<]*)</code>")


def fence(source, language, css_class, options, md, **others):
    """Return a block of mathematics as HTML."""
    return f'<div class="{css_class}">{mathml(" ".join(source.split()), display="block")}</div>'


def on_config(config):
    """Let fences of ``math`` be typeset."""
    settings = config.mdx_configs.setdefault("pymdownx.superfences", {})
    settings["custom_fences"] = [{"name": "math", "class": "mathematics", "format": fence}]
    return config


def on_page_content(content, **others):
    """Typeset the formulas in the sentences of a page; blocks of code stay as they are."""
    displays = 'class="mathematics"' in content
    parts = _BLOCKS.split(content)
    return "".join(part if i % 2 else _SPAN.sub(lambda m: typeset(m, displays), part) for i, part in enumerate(parts))


def typeset(span, displays):
    """Return a code span, as mathematics where it is a formula."""
    text = html.unescape(span[1])
    if not is_formula(text, beside_displays=displays):
        return span[0]
    made = mathml(latex(text))
    return made if len(text) < LONG else f'<span class="formula">{made}</span>'


def mathml(text, **options):
    """Return LaTeX as MathML, with primes that are raised once."""
    made = _PRIME.sub(r"<mrow>\1<mo>&#x02032;</mo></mrow>", convert(text, **options))
    return _LOWERED_PRIME.sub(r"<mrow><msub>\1</msub><mo>&#x02032;</mo></mrow>", made)
