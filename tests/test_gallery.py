"""The gallery is made from the examples: nothing is stale, every notebook runs, and every example has its picture."""

from __future__ import annotations

import json
import re

import gallery
import pytest
from matplotlib.figure import Figure

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[-+]\d+)?")


@pytest.fixture(scope="module")
def runs():
    return {name: gallery.run(name) for name in gallery.EXAMPLES}


def _value(number):
    return float(number.replace(",", ""))


def test_page_and_notebooks_are_those_of_the_scripts(runs):
    for place, content in gallery.files({name: printed for name, (printed, _) in runs.items()}).items():
        written = place.read_text(encoding="utf-8")
        hint = f"write {place.name} anew: python ci/gallery.py"
        assert _NUMBER.sub("#", written) == _NUMBER.sub("#", content), hint
        for before, now in zip(_NUMBER.findall(written), _NUMBER.findall(content), strict=True):
            # Last digits of sums hang on the processor: they move the number of states, and no other by as much.
            moved = 0.03 if "," in before else 1e-3
            assert _value(now) == pytest.approx(_value(before), rel=moved, abs=1e-6), hint
    assert {place.stem for place in gallery.NOTEBOOKS.glob("*.ipynb")} == set(gallery.EXAMPLES)
    assert len(gallery.EXAMPLES) >= 12


def test_every_example_prints_and_draws(runs):
    for name, (printed, picture) in runs.items():
        assert printed, name
        assert isinstance(picture, Figure), name
        assert picture.axes[0].has_data(), name


def test_pictures_are_those_of_the_notebooks():
    assert {place.stem for place in gallery.IMAGES.glob("*.png")} == set(gallery.EXAMPLES)
    for name in gallery.EXAMPLES:
        picture = (gallery.IMAGES / f"{name}.png").read_bytes()
        assert gallery.digest(name).encode() in picture, f"draw {name} anew: python ci/gallery.py"
        assert len(picture) < 200_000, name  # bytes, so that the page loads on a phone


def test_notebooks_hold_the_cells_that_are_run():
    for name in gallery.EXAMPLES:
        record = json.loads(gallery.notebook(name))
        assert record["nbformat"] == 4
        assert [(one["cell_type"], "".join(one["source"])) for one in record["cells"]] == gallery.cells(name)


def test_links_of_the_table_lead_to_sections():
    page = gallery.PAGE.read_text(encoding="utf-8")
    headings = {gallery.slug(line.removeprefix("## ")) for line in page.splitlines() if line.startswith("## ")}
    assert set(re.findall(r"\(#([\w-]+)\)", page)) == headings
