"""Compiled kernels on disks that are full, broken or cannot be written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from numba.core import caching, config

from fsp import compilation

KERNEL = "def kernel(x):\n    return 2 * x + 1\n"


def kernel(path):
    """Return the kernel anew, as another process does that finds its source at a path."""
    space = {}
    exec(compile(KERNEL, str(path), "exec"), space)
    return compilation.njit(cache=True)(space["kernel"])


def is_loaded(path):
    """Tell whether one of three kernels made anew is loaded: one may be compiled for what numba last saw elsewhere."""
    made = [kernel(path) for _ in range(3)]
    assert [one(3) for one in made] == [7, 7, 7]
    return any(sum(one.stats.cache_hits.values()) for one in made)


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "kept"))
    path = tmp_path / "source.py"
    path.write_text(KERNEL)
    return path


def test_what_was_compiled_is_loaded(source):
    assert kernel(source)(3) == 7
    assert is_loaded(source)


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_files_that_were_cut_short_are_compiled_again(source, tmp_path, suffix, share):
    assert kernel(source)(3) == 7
    (file,) = (tmp_path / "kept").rglob(f"*.{suffix}")
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    assert kernel(source)(3) == 7
    assert is_loaded(source)


def test_a_full_disk_costs_time_only(source, monkeypatch, caplog):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    compilation._say_not_kept.cache_clear()
    monkeypatch.setattr(caching.IndexDataCacheFile, "save", full)
    assert kernel(source)(3) == 7
    assert kernel(source)(3) == 7
    assert [record.getMessage() for record in caplog.records if "keep" in record.getMessage()] == [
        "fsp cannot keep its compiled kernels (No space left on device): the next run compiles them again."
    ]


@pytest.mark.skipif(not Path("/proc/version").is_file(), reason="/proc is where nobody can write")
def test_where_nothing_can_be_written_a_temporary_folder_serves(tmp_path, monkeypatch, caplog):
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "/proc/nobody")
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    monkeypatch.setattr(config, "CACHE_DIR", "/proc/nobody")
    monkeypatch.setattr(compilation.tempfile, "tempdir", str(tmp_path))
    compilation._temporary_folder.cache_clear()
    first, second = kernel("/proc/version"), kernel("/proc/version")
    assert (first(3), second(3)) == (7, 7)
    assert sum(second.stats.cache_hits.values()) == 1
    assert os.environ["NUMBA_CACHE_DIR"].startswith(str(tmp_path))
    assert sum("temporary folder" in record.getMessage() for record in caplog.records) == 1
    compilation._temporary_folder.cache_clear()
