"""Model files that tests write are read with one call."""

from __future__ import annotations

import pytest
from written_sbml import sbml

from fsp.formats import load


@pytest.fixture
def read(tmp_path):
    def reader(text=None, *, name="model.xml", loading=None, **lists):
        file = tmp_path / name
        file.write_text(text if text is not None else sbml(**lists))
        return load(file, **(loading or {}))

    return reader
