"""Compiled kernels: what Python may give them, what they give back, and where objects come from."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from fsp.compilation import objects, parts
from fsp.compilation.kernel import Kernel
from fsp.errors import BackendError
from fsp.generator import row_kernels
from fsp.solvers import band_kernels
from fsp.solvers import kernels as solver_kernels
from fsp.space import kernels

ROOT = Path(__file__).parents[1]
RUNS = np.array([[3], [10]]), np.array([0, 2, 5])  # keys 3, 4 and 10, 11, 12


def selected(keys=RUNS[0], starts=RUNS[1], kept=(True, False, True, True, True)):
    return kernels.select(keys, starts, np.array(kept, dtype=bool))


# ---- calls


def test_arrays_come_back_as_copies_of_their_own():
    keys, lengths = selected()
    assert keys.tolist() == [[3], [10]]
    assert lengths.tolist() == [1, 3]
    assert (keys.dtype, lengths.dtype) == (np.int64, np.int64)
    assert keys.flags.owndata
    assert keys.flags.writeable
    again, _ = selected()
    assert not np.shares_memory(keys, again)


def test_empty_arrays_go_in_and_come_back():
    keys, lengths = selected(np.empty((0, 2), np.int64), np.zeros(1, np.int64), [])
    assert keys.shape == (0, 2)
    assert lengths.shape == (0,)
    assert solver_kernels.clip(np.empty(0)) == 0.0


@pytest.mark.parametrize(
    "changed",
    [
        {"keys": RUNS[0].astype(np.int32)},
        {"keys": RUNS[0].astype(np.float64)},
        {"keys": RUNS[0].ravel()},
        {"keys": np.array([[3, 0], [10, 0]])[:, :1]},
        {"keys": RUNS[0].tolist()},
        {"keys": None},
    ],
)
def test_other_arrays_are_refused_by_name(changed):
    with pytest.raises(TypeError, match=r"fsp.space.kernels.select.*\(keys, starts, kept\)"):
        selected(**changed)


@pytest.mark.parametrize("number", [None, "1", 1j])
def test_other_numbers_are_refused(number):
    with pytest.raises(TypeError):
        solver_kernels.add_scaled(np.zeros(2), number, np.ones(2))


def test_other_numbers_of_arguments_are_refused():
    with pytest.raises(TypeError, match="must be given 3 arguments"):
        solver_kernels.add_scaled(np.zeros(2), 1.0)


def test_a_kernel_without_types_is_not_for_python():
    with pytest.raises(TypeError, match="annotate its parameters"):
        kernels._enter(np.zeros((8, 1), np.int64), RUNS[0], 0, RUNS[0], 0)


def test_numbers_of_numpy_are_numbers():
    total = np.zeros(2)
    solver_kernels.add_scaled(total, np.float64(0.5), np.ones(2))
    solver_kernels.add_scaled(total, np.int64(2), np.ones(2))
    assert total.tolist() == [2.5, 2.5]


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_indices_have_either_width(index):
    w = np.zeros(2)
    v = np.array([2.0, 3.0])
    given = np.array([0, 1, 2]), np.array([1, 0], index), np.array([5.0, 7.0])
    row_kernels.product_rows(*given, 0, 2, 0, v, v, v, w, v, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert w.tolist() == [15.0, 14.0]


@pytest.mark.parametrize("kind", [np.float64, np.complex128])
def test_entries_are_real_or_complex(kind):
    shift = 1.0 if kind is np.float64 else 1.0 + 2.0j
    band = np.array([[0.0, 4.0, shift], [1.0, 3.0, 0.0]], dtype=kind)
    matrix, rhs = np.array([[4.0, shift], [1.0, 3.0]]), np.array([1.0, 2.0], dtype=kind)
    x = np.empty(2, dtype=kind)
    band_kernels.factorise(band)
    band_kernels.substitute(band, np.arange(2), rhs, np.empty(4, dtype=kind), x)
    np.testing.assert_allclose(matrix @ x, rhs, rtol=1e-14)


def test_no_reference_is_kept_or_lost():
    keys, starts, kept = RUNS[0].copy(), RUNS[1].copy(), np.ones(5, bool)
    before = [sys.getrefcount(one) for one in (keys, starts, kept)]
    for _ in range(100):
        kernels.select(keys, starts, kept)
    assert [sys.getrefcount(one) for one in (keys, starts, kept)] == before


def test_a_kernel_says_what_its_source_says():
    assert isinstance(solver_kernels.clip, Kernel)
    z = np.array([1.0, -2.0, 3.0, -0.5])
    expected = z.copy()
    assert solver_kernels.clip(z) == solver_kernels.clip.function(expected) == 2.5
    assert z.tolist() == expected.tolist() == [1.0, 0.0, 3.0, 0.0]


# ---- objects

WHOLE = b"\x7fELF\x02".ljust(64, b"\0")  # the header of an object without sections


@pytest.fixture
def real_object():
    """Return what was compiled for this machine; asked for before `compilations`."""
    return objects.find("states")


@pytest.fixture
def compilations(tmp_path, monkeypatch):
    """Let nothing be compiled, in an empty cache; return what would have been."""
    made = []

    def note(path, part, level):
        made.append((part, level))
        path.write_bytes(WHOLE)

    monkeypatch.setenv("FSP_CACHE_DIR", str(tmp_path / "kept"))
    monkeypatch.setattr(objects, "PACKAGE", tmp_path)
    monkeypatch.setattr(parts, "PACKAGE", tmp_path)
    monkeypatch.setattr(objects, "fingerprint", lambda part: "f")
    monkeypatch.setattr(objects, "_compile", note)
    return made


def test_what_is_compiled_is_kept(compilations, tmp_path):
    first, second = objects.find("states"), objects.find("states")
    assert first == second == tmp_path / "kept" / objects.name_of("states", objects.levels()[0])
    assert sorted(compilations) == sorted((part, objects.levels()[0]) for part in parts.PARTS)


def test_what_is_missing_is_compiled_at_the_same_time(compilations, tmp_path, monkeypatch):
    """Each waits for the others; one is there, and another fails, which says so when it is asked for."""
    kept = tmp_path / "kept" / objects.name_of("series", objects.levels()[0])
    kept.parent.mkdir()
    kept.write_bytes(WHOLE)
    all_have_begun = threading.Barrier(len(parts.PARTS) - 1)

    def wait(path, part, level):
        compilations.append(part)
        all_have_begun.wait(timeout=20.0)
        if part == "stages":
            raise BackendError("no")
        path.write_bytes(WHOLE)

    monkeypatch.setattr(objects, "_compile", wait)
    assert objects.find("states").read_bytes() == WHOLE
    assert sorted(compilations) == sorted(set(parts.PARTS) - {"series"})
    all_have_begun = threading.Barrier(1)
    with pytest.raises(BackendError, match="no"):
        objects.find("stages")


def test_the_package_comes_first_and_the_best_level(compilations, tmp_path):
    folder = tmp_path / "compilation"
    folder.mkdir()
    able = objects.levels()
    for level in reversed(able):
        (folder / objects.name_of("states", level)).write_bytes(WHOLE)
        assert objects.find("states") == folder / objects.name_of("states", level)
    assert not compilations


@pytest.mark.skipif(sys.platform != "linux", reason="objects have another format")
@pytest.mark.parametrize("kept", [0, 10, 1000, -100, -1])
def test_an_object_that_was_cut_short_is_compiled_again(kept, real_object, compilations, tmp_path):
    """LLVM's linker reads beyond the end of one, which ends the process."""
    packaged = tmp_path / "compilation" / objects.name_of("states", objects.levels()[0])
    packaged.parent.mkdir()
    packaged.write_bytes(real_object.read_bytes()[:kept])
    again = objects.find("states")
    assert again != packaged
    assert again.read_bytes() == WHOLE


def test_objects_of_other_sources_are_not_taken(compilations, tmp_path, monkeypatch):
    objects.find("states")
    monkeypatch.setattr(objects, "fingerprint", lambda part: "g")
    objects.find("states")
    assert len(compilations) == 2 * len(parts.PARTS)


def test_every_source_of_a_kernel_counts(tmp_path, monkeypatch):
    files = [tmp_path / "space" / "kernels.py", *(tmp_path / "compilation" / f"{name}.py" for name in objects.BUILDERS)]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_text("1")
    monkeypatch.setattr(objects, "PACKAGE", tmp_path)
    monkeypatch.setattr(parts, "PACKAGE", tmp_path)
    seen = {objects.fingerprint("states")}
    for file in files:
        file.write_text("2")
        seen.add(objects.fingerprint("states"))
    assert len(seen) == 1 + len(files)


def test_a_cache_that_cannot_be_written_costs_time_only(compilations, tmp_path, monkeypatch, caplog):
    (tmp_path / "kept").write_text("a file where the folder should be")
    path = objects.find("states")
    assert path.is_file()
    assert "cannot keep its compiled kernels" in caplog.text
    assert os.environ["FSP_CACHE_DIR"] == str(path.parent)
    monkeypatch.setenv("FSP_CACHE_DIR", str(tmp_path / "kept"))


def test_a_user_without_a_home_has_no_cache(compilations, tmp_path, monkeypatch, caplog):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    for name in ("FSP_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    packaged = tmp_path / "compilation" / objects.name_of("states", objects.levels()[0])
    packaged.parent.mkdir()
    packaged.write_bytes(WHOLE)
    assert objects.find("states") == packaged
    packaged.unlink()
    assert objects.find("states").read_bytes() == WHOLE
    assert "cannot keep its compiled kernels" in caplog.text


def test_without_a_compiler_the_way_out_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(BackendError, match="pip install numba"):
        objects._compile(tmp_path / "none.o", "states", "x86-64-v2")
    assert not list(tmp_path.iterdir())


def test_a_solve_of_a_model_in_python_imports_what_it_uses():
    program = (
        "import sys, fsp\n"
        "model = fsp.Model(species={'X': 0}, reactions=[fsp.Reaction('0 -> X', rate='9/(1 + exp(-k)*X^2)'),"
        " fsp.Reaction('X -> 0', mass_action=1.0)], parameters={'k': '2*h', 'h': 1.0})\n"
        "print(fsp.transient(model, [1.0])[-1].error.total)\n"
        "unused = {'numba', 'libsbml', 'antimony', 'matplotlib', 'h5py', 'rich', 'click', 'scipy'}\n"
        "sys.exit(', '.join(unused & set(sys.modules)) or 0)"
    )
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert 0.0 < float(done.stdout) <= 1e-6


IN_THREADS = """
import threading, time
import numpy as np
from fsp.compilation import objects
from fsp.space import kernels

given = np.array([[3], [10]]), np.array([0, 2, 5]), np.array([True, False, True, True, True])
find, asked = objects.find, []

def slow(part):
    asked.append(part)
    time.sleep(0.2)
    return find(part)

objects.find = slow
calls = [threading.Thread(target=kernels.select, args=given) for _ in range(4)]
[call.start() for call in calls]
[call.join() for call in calls]
print(len(asked))
"""


def test_threads_that_call_first_load_one_copy():
    """A second copy of the code would go while functions of it are called."""
    run = subprocess.run([sys.executable, "-c", IN_THREADS], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (run.returncode, run.stdout.strip()) == (0, "1"), run.stderr


def test_a_folder_is_no_object(tmp_path):
    (tmp_path / "states.o").mkdir()
    assert not objects.is_whole(tmp_path / "states.o")
    assert not objects.is_whole(tmp_path / "none.o")


def test_a_temporary_cache_goes_with_its_process(tmp_path):
    (tmp_path / "closed").touch()
    code = "from fsp.compilation import objects; print(objects._open_cache(), objects.cache().is_dir())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FSP_CACHE_DIR": str(tmp_path / "closed")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    folder, was_there = done.stdout.split()
    assert was_there == "True"
    assert not Path(folder).exists()
    assert "FSP_CACHE_DIR" in done.stderr
