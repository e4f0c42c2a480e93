"""Files: what is read is what was written, files stand alone, and a failure leaves the old one."""

from __future__ import annotations

import hashlib
import json
import pickle

import h5py
import numpy as np
import pytest
from references import MODELS
from scipy import stats

import fsp
from fsp.distribution import Distribution, ErrorLedger, Solution
from fsp.errors import ArgumentError
from fsp.moments import bounds
from fsp.output import layout, storage
from fsp.output.storage import read_head
from fsp.time_limit import TimeLimit

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


def test_observables_that_events_change_are_those_of_each_time(tmp_path):
    """K is 2 before t = 1 and 4 afterwards: E K X of five that die is 5 K exp(-t), in files too."""
    model = fsp.Model(
        species={"X": 5},
        parameters={"K": 2.0, "made": "K*X", "more": "X + 1"},
        reactions=[fsp.Reaction("X -> 0", mass_action=1.0)],
        events=[fsp.Event("time >= 1", {"K": 4.0})],
    )
    solution, path = fsp.transient(model, [0.5, 1.5]), tmp_path / "run.h5"
    swept = fsp.sweep(model, {"K": [2.0, 3.0]}, [0.5, 1.5], processes=1)
    solution.save(path)
    swept.save(tmp_path / "sweep.h5")
    back, points = fsp.read(path), fsp.read(tmp_path / "sweep.h5")
    for k, answer in ((2.0, back), (2.0, points.at(K=2.0)), (3.0, points.at(K=3.0))):
        for distribution, factor in zip(answer, (k, 4.0), strict=True):
            mean = distribution.expectation("made")
            assert mean.lower <= 5.0 * factor * np.exp(-distribution.t) <= mean.upper
    for saved, distribution in zip(back, solution, strict=True):
        assert same(saved, distribution)
    with h5py.File(path) as file:  # what readers of earlier versions take for all times
        assert file["observables"].asstr()[...].tolist() == [["more", "X + 1"]]


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


def test_bounds_of_moments_may_take_as_long_as_in_print(tmp_path, monkeypatch):
    """Then they are made of the network that the file holds; of events it holds none, and says what is left out."""
    model = fsp.Model(species={"X": 0}, reactions=[fsp.Reaction("0 -> X", rate="2"), fsp.Reaction("X -> 0", rate="X")])
    ended = fsp.Model(
        species={"X": 0},
        reactions=[fsp.Reaction("0 -> X", rate="2"), fsp.Reaction("X -> 0", rate="X")],
        events=[fsp.Event("time >= 0.5", {"X": "X"})],
    )
    paths = [tmp_path / name for name in ("spent", "asked for", "events")]
    monkeypatch.setattr(storage, "TimeLimit", lambda: TimeLimit(-1.0))
    fsp.transient(model, [1.0]).save(paths[0])
    asked = fsp.transient(model, [1.0])
    asked[0].mean_interval()
    asked.save(paths[1])
    fsp.transient(ended, [1.0]).save(paths[2])
    later, kept, without = (fsp.read(path)[0] for path in paths)
    assert any("bounds of moments are not in this file" in note for note in without.notes)
    assert without.mean_interval()["X"].upper == np.inf
    assert not kept.notes
    assert not later.notes
    assert later.mean_interval() == kept.mean_interval() == asked[0].mean_interval()


def test_a_sweep_asks_for_no_bounds_and_none_is_lost(tmp_path, monkeypatch):
    model = fsp.load(MODELS / "toggle2.ant")
    name = min(model.parameters)
    asked = []
    certify = bounds._certify
    monkeypatch.setattr(bounds, "_certify", lambda *of: (asked.append(of), certify(*of))[1])
    swept = fsp.sweep(model, {name: [1.0, 1.5]}, [0.5, 2.0], tol=1e-3, processes=1)
    swept.save(tmp_path / "sweep.h5")
    back = fsp.read(tmp_path / "sweep.h5")
    back.save(tmp_path / "again.h5")
    assert not asked
    again = pickle.loads(pickle.dumps(fsp.read(tmp_path / "again.h5")))
    for i in range(2):
        for one, own, other in zip(swept[i], back[i], again[i], strict=True):
            assert one.mean_interval() == own.mean_interval() == other.mean_interval()
            first = model.species[0]
            assert one.marginal(first).variance_interval() == other.marginal(first).variance_interval()
    assert asked
    with h5py.File(tmp_path / "sweep.h5") as file:
        assert file["points/00000/species"] == file["points/00001/species"]  # what points share is there once
        network = json.loads(file["points/00001/network"][()])
        assert network["species"] == list(model.species)
        assert "moments" not in file["points/00000/times/00000"]


def test_bounds_stay_pending_in_other_processes():
    model = fsp.Model(species={"X": 0}, reactions=[fsp.Reaction("0 -> X", rate="2"), fsp.Reaction("X -> 0", rate="X")])
    (one,) = fsp.transient(model, [1.0])
    sent = pickle.loads(pickle.dumps(one))
    assert isinstance(sent.moments, bounds.PendingBounds)
    assert not sent.moments.is_computed
    assert sent.mean_interval() == one.mean_interval()


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


def test_a_failure_leaves_the_old_file_and_nothing_else(solution, rng, tmp_path, monkeypatch):
    path = tmp_path / "run.h5"
    one(1.0, rng).save(path)
    before = path.read_bytes()
    calls = []

    def fail(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 2:
            raise RuntimeError("by chance")
        return original(*arguments, **options)

    original = layout._write_fields
    monkeypatch.setattr(layout, "_write_fields", fail)
    with pytest.raises(RuntimeError, match="by chance"):
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


def sealed(path):
    """Give a file that was changed the checksum of what it has become."""
    content = path.read_bytes()
    line = content.split(b"\n")[0]
    digest = hashlib.sha256(content[storage.HEAD_BYTES :]).hexdigest().encode()
    path.write_bytes(
        (line[: -len(digest)] + digest + b"\n").ljust(storage.HEAD_BYTES, b"\0") + content[storage.HEAD_BYTES :]
    )


def test_the_first_line_tells_the_checksum(solution, tmp_path):
    path = tmp_path / "run.h5"
    solution.save(path)
    line = path.read_bytes()[: storage.HEAD_BYTES].rstrip(b"\0").decode()
    digest = hashlib.sha256(path.read_bytes()[512:]).hexdigest()
    assert line == f"HDF5 after 512 bytes, written by fsp, format {layout.FORMAT_VERSION}, sha256 {digest}\n"


def test_a_file_of_the_future_is_refused(rng, tmp_path):
    path = tmp_path / "run.h5"
    one(1.0, rng).save(path)
    later = path.read_bytes().replace(b"format 2", b"format 9", 1)
    (tmp_path / "later.h5").write_bytes(later)
    with pytest.raises(ArgumentError, match=r"format version 2 or lower, but .* has 9. Upgrade"):
        fsp.read(tmp_path / "later.h5")


def test_the_format_before_is_read_with_a_word(solution, tmp_path):
    """Version 1 is the same without the first line."""
    solution.save(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5") as new, h5py.File(tmp_path / "old.h5", "w") as old:
        for name in new:
            new.copy(name, old)
        old.attrs.update({**new.attrs, "format_version": 1})
    with pytest.warns(fsp.FormatWarning, match="format 1, which has no checksum"):
        back = fsp.read(tmp_path / "old.h5")
    assert all(same(a, b) for a, b in zip(solution, back, strict=True))
    assert read_head(tmp_path / "old.h5").error == solution[-1].error
    assert storage.kept(tmp_path / "old.h5") == storage.Kept("solution", True)
    with h5py.File(tmp_path / "old.h5", "r+") as old:
        old.attrs["format_version"] = 2
    with pytest.raises(ArgumentError, match="its first line must be that of format 2"):
        fsp.read(tmp_path / "old.h5")


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


def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path):
    """Every byte of the first line, and a sample of all others, attributes and padding among them."""
    path = tmp_path / "run.h5"
    fsp.transient(DECAY, [1.0, 2.0], 1e-3).save(path)
    content = path.read_bytes()
    for place in [*range(100, storage.HEAD_BYTES), *range(512, len(content), 197), len(content) - 1]:
        changed = bytearray(content)
        changed[place] ^= 8
        path.write_bytes(changed)
        with pytest.raises(ArgumentError, match="cannot be read"):
            fsp.read(path)
        assert read_head(path) is None


DECAY = fsp.Model(species={"X": 3}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])
T = "times/00000"


def put(file, name, data=None, **options):
    del file[name]
    file.create_dataset(name, data=data, **options)


def linked(file):
    del file[f"{T}/probabilities"]
    file[f"{T}/probabilities"] = h5py.ExternalLink("other.h5", "/p")


def elsewhere(file):
    n = len(file[f"{T}/states"])
    put(file, f"{T}/states", shape=(n, 1), dtype="u1", external=[("/etc/passwd", 0, n)])


CRAFTED = {
    "many values": (lambda f: put(f, f"{T}/probabilities", shape=(10**12,), dtype="f8", chunks=(1024,)), "missing"),
    "no values": (lambda f: put(f, f"{T}/probabilities", shape=(10**12,), dtype="f8"), "but has 0 bytes"),
    "large pieces": (
        lambda f: put(f, f"{T}/states", np.zeros((4, 1), "u1"), chunks=(2**26, 1), maxshape=(None, 1), compression=9),
        "pieces no larger than itself",
    ),
    "link": (linked, "a link to another place"),
    "other file": (elsewhere, "stored in another one"),
    "fractions": (lambda f: put(f, f"{T}/states", f[f"{T}/states"][()] + 0.5), "must be unsigned integers"),
    "words": (lambda f: put(f, f"{T}/states", ["a"], dtype=h5py.string_dtype()), "must be unsigned integers"),
    "shape": (lambda f: put(f, f"{T}/states", np.zeros((4, 2), "u1")), r"must have the shape \(any, 1\)"),
    "length": (lambda f: put(f, f"{T}/probabilities", np.ones(1)), "must have the shape"),
    "past": (lambda f: f[T].attrs.update(t=np.nan), "'t' of /times/00000 must be a number, but is nan"),
    "never": (lambda f: f[T].attrs.update(t=np.inf), "`t` must be finite"),
    "no time": (lambda f: f[T].attrs.__delitem__("t"), "must increase"),
    "error": (lambda f: f[T].attrs.update(truncation="0"), "'truncation' .* must be a number, but is '0'"),
    "negative": (lambda f: f[T].attrs.update(truncation=-1.0), "must be non-negative"),
    "certified": (lambda f: f[T].attrs.update(certified="no"), "must be true or false"),
    "sweep": (lambda f: f.attrs.update(kind="sweep"), "/names must be there"),
    "distribution": (lambda f: f.attrs.update(kind="distribution"), "must have one time"),
    "nothing": (lambda f: f.attrs.update(kind="x"), "must be solution or distribution"),
    "complete": (lambda f: f.attrs.update(complete=False), "'complete' must agree"),
    "version": (lambda f: f.attrs.update(format_version=np.inf), "must be a whole number, but is inf"),
    "group": (lambda f: [f.__delitem__("species"), f.create_group("species")], "/species must be a dataset"),
    "nameless": (lambda f: put(f, "species", [""], dtype=h5py.string_dtype()), "one is empty"),
    "option": (lambda f: f["options"].attrs.update(x=np.ones(3)), "must be a text or a number"),
    "moments": (lambda f: put(f, f"{T}/moments/largest", -np.ones(1)), "some are negative"),
}


@pytest.mark.parametrize("kind", CRAFTED)
def test_what_no_answer_is_is_refused_by_name(kind, tmp_path):
    """Also where the checksum is right."""
    path = tmp_path / "run.h5"
    fsp.transient(DECAY, [1.0, 2.0], 1e-3).save(path)
    change, words = CRAFTED[kind]
    with h5py.File(path, "r+") as file:
        change(file)
    sealed(path)
    with pytest.raises(ArgumentError, match=rf"(?s)run\.h5' cannot be read: .*({words})"):
        fsp.read(path)
