"""The gallery is made from the examples: nothing is stale, and every notebook runs."""

from __future__ import annotations

import contextlib
import io
import json

import gallery
import pytest


def test_page_and_notebooks_are_those_of_the_scripts():
    for place, content in gallery.files().items():
        assert place.read_text(encoding="utf-8") == content, "write it anew: python ci/gallery.py"
    assert {place.stem for place in gallery.NOTEBOOKS.glob("*.ipynb")} == set(gallery.EXAMPLES)
    assert len(gallery.EXAMPLES) >= 12


@pytest.mark.parametrize("name", ["mrna_decay", "dimerization", "cell_division", "sir"])
def test_notebooks_run(name):
    record = json.loads(gallery.notebook(name))
    assert record["nbformat"] == 4
    names = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for cell in record["cells"]:
            if cell["cell_type"] == "code":
                exec("".join(cell["source"]), names)
    assert "fsp" in names
    assert printed.getvalue()
