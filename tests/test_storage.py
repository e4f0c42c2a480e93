"""Files: what is read is what was written, files stand alone, and a failure leaves the old one."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from scipy import stats

import fsp
from fsp.distribution import Distribution, ErrorLedger, Solution, storage
from fsp.errors import ArgumentError

STATES = np.array([[u, 1000 * v] for u in range(5) for v in range(7)])


def one(t, rng, states=STATES, **fields):
    given = {
        "model_name": "toggle",
        "model_hash": "abc123",
        "time_unit": "min",
        "observables": {"total": "U + V", "half": "U / 2"},
        "error": ErrorLedger(0.1 + 0.2, 1e-17, 3e-9, 5e-324, certified=t is not None),
        **fields,
    }
    probabilities = rng.dirichlet(np.ones(len(states))) * (1 - 1e-9)
    return Distribution(states, probabilities, ("U", "V"), t=t, **given)


@pytest.fixture
def solution(rng):
    last = one(0.1 + 0.2, rng, np.vstack([STATES, [9, 70_000]]), closed=True, notes=("µ ≤ 1", "second"))
    options = {"solver": "krylov", "max_states": 5_000_000, "safety": 0.1, "fixed": True, "empty": ""}
    return Solution(
        [one(0.0, rng), one(0.1, rng), last],
        tol=1e-6,
        solver="Krylov (auto: least work)",
        model_text="long " * 50_000,
        options=options,
        statistics={"n_matvec": 12, "seconds": 0.1},
    )


def same(a, b):
    for name in (
        "species",
        "t",
        "error",
        "closed",
        "model_name",
        "model_hash",
        "time_unit",
        "observables",
        "notes",
    ):
        assert getattr(a, name) == getattr(b, name), name
    assert np.array_equal(a.states, b.states)
    assert np.array_equal(a.probabilities, b.probabilities)  # to the last bit
    return True


def test_solution_round_trip_is_exact(solution, tmp_path):
    path = tmp_path / "run.h5"
    solution.save(path)
    back = fsp.read(path)
    assert isinstance(back, Solution)
    assert len(back) == 3
    assert all(same(a, b) for a, b in zip(solution, back, strict=True))
    for name in ("tol", "solver", "model_text", "options", "statistics"):
        assert getattr(back, name) == getattr(solution, name), name
    assert type(back.options["max_states"]) is int
    assert type(back.options["fixed"]) is bool
    assert str(back) == str(solution)


@pytest.mark.parametrize("t", [None, 2.5])
def test_distribution_round_trip_is_exact(t, rng, tmp_path):
    dist = one(t, rng, notes=("closed class {A}",))
    dist.save(tmp_path / "stationary.h5")
    back = storage.read(str(tmp_path / "stationary.h5"))
    assert isinstance(back, Distribution)
    assert same(dist, back)


def test_many_times_stay_in_order(tmp_path):
    n = np.arange(30)
    times = np.linspace(0, 5, 120)
    many = [Distribution(n[:, None], stats.poisson.pmf(n, 3), ("X",), t=t, error=ErrorLedger(1e-3)) for t in times]
    Solution(many, tol=1e-2, solver="").save(tmp_path / "many.h5")
    assert np.array_equal(fsp.read(tmp_path / "many.h5").times, times)


def test_file_can_be_read_without_this_package(solution, tmp_path):
    solution.save(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5") as file:
        assert [name.decode() for name in file["species"][()]] == ["U", "V"]
        assert file.attrs["model_hash"] == "abc123"
        assert {"fsp_version", "numpy_version", "h5py_version", "created", "tol", "solver"} <= set(file.attrs)
        group = file["times/00002"]
        assert group.attrs["t"] == 0.1 + 0.2
        assert group.attrs["truncation"] == 0.1 + 0.2
        assert group["states"].dtype == np.uint32
        assert np.array_equal(group["states"], solution[2].states)
        assert np.array_equal(group["probabilities"], solution[2].probabilities)


def test_times_with_the_same_states_share_them(solution, tmp_path):
    solution.save(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5") as file:
        assert file["times/00000/states"] == file["times/00001/states"]
        assert file["times/00000/states"] != file["times/00002/states"]
        assert file["times/00000/states"].dtype == np.uint16
    back = fsp.read(tmp_path / "run.h5")
    assert np.shares_memory(back[0].states, back[1].states)


# ---- failures


@pytest.mark.parametrize("failing", ["_write_fields", "_flush"])
def test_a_failure_leaves_the_old_file_and_nothing_else(failing, solution, rng, tmp_path, monkeypatch):
    path = tmp_path / "run.h5"
    one(1.0, rng).save(path)
    before = path.read_bytes()
    calls = []

    def fail(*arguments):
        calls.append(arguments)
        if len(calls) == 2 or failing == "_flush":
            raise OSError("No space left on device")
        return original(*arguments)

    original = getattr(storage, failing)
    monkeypatch.setattr(storage, failing, fail)
    with pytest.raises(OSError, match="No space left"):
        solution.save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.h5"]


def test_who_has_the_old_file_open_still_reads_it(rng, tmp_path):
    path = tmp_path / "run.h5"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        one(1.0, rng).save(path)
        assert reader.read() == b"old"


def test_a_link_stays_a_link(rng, tmp_path):
    (tmp_path / "real.h5").write_bytes(b"old")
    (tmp_path / "link.h5").symlink_to(tmp_path / "real.h5")
    one(1.0, rng).save(tmp_path / "link.h5")
    assert (tmp_path / "link.h5").is_symlink()
    assert fsp.read(tmp_path / "real.h5").t == 1.0


def test_missing_folder_and_file_are_refused(rng, tmp_path):
    with pytest.raises(ArgumentError, match="must lie in a folder that exists"):
        one(1.0, rng).save(tmp_path / "nowhere" / "run.h5")
    with pytest.raises(ArgumentError, match="must be a file, but"):
        fsp.read(tmp_path / "nothing.h5")


def test_other_files_are_refused(tmp_path):
    text = tmp_path / "text.h5"
    text.write_text("not HDF5")
    with pytest.raises(ArgumentError, match="must be an intact HDF5 file"):
        fsp.read(text)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(ArgumentError, match="is another HDF5 file"):
        fsp.read(tmp_path / "other.h5")


def test_a_file_of_the_future_is_refused(rng, tmp_path):
    path = tmp_path / "run.h5"
    one(1.0, rng).save(path)
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 99
    with pytest.raises(ArgumentError, match=r"format version 1 or lower, but .* has 99"):
        fsp.read(path)


@pytest.mark.parametrize("part", ["times/00001/probabilities", "species", "times"])
def test_a_file_that_lacks_a_part_is_refused(part, solution, tmp_path):
    path = tmp_path / "run.h5"
    solution.save(path)
    with h5py.File(path, "r+") as file:
        del file[part]
    with pytest.raises(ArgumentError, match="cannot be read"):
        fsp.read(path)


def test_a_cut_file_is_refused(solution, tmp_path):
    path = tmp_path / "run.h5"
    solution.save(path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ArgumentError, match="cannot be read"):
        fsp.read(path)


def test_a_flipped_bit_is_noticed(solution, tmp_path):
    path = tmp_path / "run.h5"
    solution.save(path)
    with h5py.File(path) as file:
        chunk = file["times/00002/probabilities"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArgumentError, match="cannot be read"):
        fsp.read(path)
