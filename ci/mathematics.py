"""Typeset mathematics of the pages: a hook of mkdocs that turns blocks of ``math``, in LaTeX, into MathML.

Browsers lay MathML out themselves, so that the pages load no script and work from a folder; GitHub reads the same
blocks.
"""

from __future__ import annotations

from latex2mathml.converter import convert


def fence(source, language, css_class, options, md, **others):
    """Return a block of mathematics as HTML."""
    return f'<div class="{css_class}">{convert(" ".join(source.split()), display="block")}</div>'


def on_config(config):
    """Let fences of ``math`` be typeset."""
    settings = config.mdx_configs.setdefault("pymdownx.superfences", {})
    settings["custom_fences"] = [{"name": "math", "class": "mathematics", "format": fence}]
    return config
