"""Writing: whole or not at all, whatever the disk and the system do, and over nothing that is not ours."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from contextlib import contextmanager
from io import FileIO

import numpy as np
import pytest

import fsp
from fsp.output import files, storage
from fsp.output import pictures as plot
from fsp.output.replace import Output, is_marked, require_outputs, require_replaceable
from fsp.output.sink import Sink

N = 20_000
KILLED = """
import os, signal, sys
from pathlib import Path
from fsp.output import files
with files.replacing(sys.argv[1]) as file:
    files.put(file, b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
FILLED = """
import resource, sys
import numpy as np
import fsp
p = np.random.default_rng(1).random(200_000)
d = fsp.Distribution(np.arange(len(p))[:, None], p / p.sum(), ("X",), t=1.0, error=fsp.ErrorLedger())
for limit in (600, 3_000, 100_000, 1_000_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        d.save(sys.argv[1])
    except fsp.OutputError as error:
        print(error)
"""


@pytest.fixture
def dist(rng):
    return fsp.Distribution(np.arange(N)[:, None], rng.dirichlet(np.ones(N)), ("X",), t=1.0, error=fsp.ErrorLedger())


@contextmanager
def small_files(size):
    """Limit the size of files, as a full disk does; only inside a test, since reports are written to a file too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


# ---- whole or not at all


def test_permissions_stay(tmp_path):
    path = tmp_path / "a.txt"
    files.write(path, "ä")
    path.chmod(0o600)
    files.write(path, "other")
    assert path.read_text() == "other"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("limit", [100, 700, 5_000, 60_000])
def test_a_full_disk_is_one_error_and_the_old_file_stays(limit, dist, tmp_path):
    path = tmp_path / "run.h5"
    path.write_bytes(b"old")
    message = r"run\.h5' must be written whole, but cannot be: File too large"
    with small_files(limit), pytest.raises(fsp.OutputError, match=message) as told:
        dist.save(path)
    assert isinstance(told.value, OSError)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["run.h5"]
    dist.save(path)
    assert np.array_equal(fsp.read(path).probabilities, dist.probabilities)


def test_a_full_disk_does_not_end_the_process(tmp_path):
    """HDF5 crashes when it cannot close a file, at once or at the end of the process."""
    done = subprocess.run([sys.executable, "-c", FILLED, tmp_path / "a.h5"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("must be written whole") == 4
    assert names(tmp_path) == []


def test_what_a_disk_does_not_take_is_kept_and_told():
    with FileIO("/dev/full", "r+") as full:
        sink = Sink(full)
        sink.write(memoryview(b"first"))
        sink.seek(2)
        sink.write(memoryview(b"other"))
        sink.seek(0)
        assert sink.read(8) == b"fiother\0"
        assert sink.seek(0, os.SEEK_END) == 7
        with pytest.raises(OSError, match="No space") as told:
            sink.check()
        assert told.value.errno == errno.ENOSPC


def test_pictures_and_texts_are_whole_or_not_there(dist, tmp_path):
    picture = plot.overview(dist)
    with small_files(1000), pytest.raises(fsp.OutputError):
        plot.write(picture, tmp_path / "a.png")
    with small_files(1000), pytest.raises(fsp.OutputError):
        files.write(tmp_path / "a.csv", "x" * 1001)
    message = r"`--out` must be a file that can be written, but .*: File too large"
    with small_files(1000), pytest.raises(fsp.OutputError, match=message):
        files.try_writing(tmp_path / "a.csv", "--out")
    assert names(tmp_path) == []


# ---- signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_until_the_file_is_whole(number, dist, tmp_path):
    path, seen = tmp_path / "run.h5", []

    def rows(name, distribution):
        os.kill(os.getpid(), number)
        return storage.own_rows(name, distribution)

    before = signal.signal(number, lambda *_: seen.append(names(tmp_path)))
    try:
        storage.save(dist, path, rows)
    finally:
        signal.signal(number, before)
    assert seen == [["run.h5"]] * 2
    assert np.array_equal(fsp.read(path).probabilities, dist.probabilities)


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    path = tmp_path / "run.h5"
    done = subprocess.run([sys.executable, "-c", KILLED, path], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    (left,) = names(tmp_path)
    assert files.is_left_over(left, "run.h5")
    for name in (".other.h5.01234567.tmp", ".run.h5.tmp", "run.h5.01234567.tmp"):
        (tmp_path / name).write_text("")
    with files.replacing(path) as first:  # another writer, at work
        files.put(first, b"first")
        files.write(path, "second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert names(tmp_path) == [".other.h5.01234567.tmp", ".run.h5.tmp", "run.h5", "run.h5.01234567.tmp"]


# ---- what may be replaced


def test_only_files_can_be_replaced(dist, tmp_path):
    """A pipe stands for devices, which a failure of this test would destroy."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for path, words in [
        (tmp_path / "pipe", "a device or a pipe"),
        (tmp_path, "is a folder"),
        (tmp_path / "a\0b", "that can be written"),
        (tmp_path / "circle", "that can be written"),
    ]:
        with pytest.raises(fsp.ArgumentError, match=words):
            dist.save(path)
    assert names(tmp_path) == ["circle", "pipe"]


@pytest.mark.parametrize("suffix", plot.SUFFIXES)
def test_every_picture_says_where_it_comes_from(suffix, tmp_path):
    few = fsp.Distribution(np.arange(3)[:, None], [0.2, 0.5, 0.3], ("X",), t=1.0, error=fsp.ErrorLedger())
    path = tmp_path / f"a{suffix}"
    plot.write(plot.marginals([few], "X"), path)
    assert is_marked(path)


def test_inputs_and_files_of_others_are_refused(tmp_path):
    model, notes, new = tmp_path / "model.ant", tmp_path / "notes.txt", tmp_path / "new.txt"
    model.write_text("X -> ; X")
    notes.write_text("mine")
    os.link(model, tmp_path / "link.ant")
    for overwrite in (False, True):
        for path in (model, tmp_path / "link.ant"):
            with pytest.raises(fsp.ArgumentError, match="must be another file than those that are read"):
                require_replaceable(path, "--out", inputs=[model], overwrite=overwrite)
    with pytest.raises(fsp.ArgumentError, match="is neither"):
        require_replaceable(notes, "--out")
    require_replaceable(notes, "--out", overwrite=True)
    with pytest.raises(fsp.ArgumentError, match="twice"):
        require_outputs(Output("--out", new), Output("--plot", new), overwrite=False)
    assert names(tmp_path) == ["link.ant", "model.ant", "notes.txt"]


def test_a_working_folder_that_is_gone_is_told(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    with monkeypatch.context() as held:  # pytest itself needs a working folder where this fails
        held.chdir(gone)
        gone.rmdir()
        with pytest.raises(fsp.ArgumentError, match=r"'x.h5' is not: the working folder does not exist any more."):
            files.place_of("x.h5")
    assert files.place_of(tmp_path / "x.h5") == (tmp_path / "x.h5").resolve()  # the way out
