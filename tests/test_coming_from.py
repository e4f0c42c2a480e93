"""What the page for those who come from other programs names is there, and files are laid out as it says."""

from __future__ import annotations

import importlib
import re

import h5py
import numpy as np
from test_contributing import PAGE

import fsp

TEXT = (PAGE.parent / "docs" / "coming_from.md").read_text(encoding="utf-8")


def test_every_name_is_public():
    names = set(re.findall(r"\bfsp\.([A-Za-z_.]*[A-Za-z_])", TEXT))
    assert {"transient", "StateSpace.box", "formats.prism.write_properties"} <= names
    for name in names - {"formats.prism.write_properties"}:
        place = fsp
        for part in name.split("."):
            place = getattr(place, part)
    assert callable(importlib.import_module("fsp.formats.prism").write_properties)


def test_files_are_laid_out_as_the_page_says(tmp_path):
    model = fsp.Model(species={"X": 3}, parameters={"g": 1.0}, reactions=[fsp.Reaction("X -> 0", mass_action="g")])
    solution = fsp.transient(model, [1.0, 2.0])
    solution.save(tmp_path / "run.h5")
    fsp.sweep(model, {"g": [1.0, 2.0]}, [1.0], processes=1).save(tmp_path / "sweep.h5")
    with h5py.File(tmp_path / "run.h5") as file:
        assert {"kind", "model_name", "model_hash", "time_unit", "tol", "solver", "complete"} <= file.attrs.keys()
        time = file["/times/00001"]
        assert np.array_equal(time["states"], solution[1].states)
        assert np.array_equal(time["probabilities"], solution[1].probabilities)
        assert time.attrs["t"] == 2.0
        total = solution[1].error.total
        assert 0.0 <= total - sum(time.attrs[part] for part in solution[1].error.terms) <= 1e-15 * total  # rounded up
        assert file["/species"].shape == (1,)
    with h5py.File(tmp_path / "sweep.h5") as file:
        assert file["/points/values"][:, 0].tolist() == [1.0, 2.0]
        assert file["/names"].shape == (1,)
        assert file["/points/00001/times/00000/probabilities"].shape
