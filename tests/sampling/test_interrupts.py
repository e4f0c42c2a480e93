"""Ctrl-C ends a sampler, a package and a program at once, however many runs, or jumps of a run, are left."""

from __future__ import annotations

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic, sleep

import numpy as np
import pytest

import fsp
from fsp.errors import BackendError
from fsp.sampling.chunks import in_chunks
from fsp.sampling.simulators import open_simulator

IMMIGRATION = fsp.Model(
    species={"X": 0}, reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", rate="k*X")],
    parameters={"k": 1e6},
)  # fmt: skip
AT_ONCE = 10.0  # seconds, far below the least that what is interrupted here takes


@contextmanager
def interrupted(after):
    """Press Ctrl-C `after` some seconds, or once a file is there, and see that it ends the block at once."""
    pressed = []

    def press():
        while not isinstance(after, float) and not after.exists():
            sleep(0.02)
        pressed.append(monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(after if isinstance(after, float) else 0.0, press)
    timer.daemon = True
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background ignore it
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGINT, handler)
    assert monotonic() - pressed[0] < AT_ONCE


def test_a_run_of_a_thousand_million_jumps_ends():
    with interrupted(0.5):
        fsp.ssa(IMMIGRATION, [1e4], 2, seed=1)


def test_runs_in_great_number_end():
    with interrupted(0.5):
        fsp.ssa(IMMIGRATION, [0.1], 10**6, seed=1, threads=2)


@pytest.mark.parametrize("size", [None, 7])
def test_chunks_are_all_runs_once_and_few_wait(size):
    waiting, most, seen = set(), [0], np.zeros(500, dtype=int)
    with ThreadPoolExecutor(2) as pool:

        def submit(first, last):
            waiting.add(first)
            most.append(len(waiting))
            return pool.submit(lambda: (first, last))

        for first, last, made in in_chunks(submit, 500, 3, size):
            assert made == (first, last)
            assert size is None or last - first == min(size, 500 - first)
            waiting.discard(first)
            seen[first:last] += 1
    assert (seen == 1).all()
    assert max(most) <= 3


def test_the_error_of_chunks_is_that_of_the_first():
    with ThreadPoolExecutor(2) as pool:

        def fail(first):
            sleep(0.2 if first == 0 else 0.0)
            raise BackendError(f"run {first}")

        with pytest.raises(BackendError, match="run 0"):
            list(in_chunks(lambda i, j: pool.submit(fail, i), 10, 2, 1))


def test_a_program_ends_with_what_it_started(tmp_path):
    asked = open_simulator(f"sh -c 'touch {tmp_path}/on; sleep 60 & wait' {{model}} {{seed}} {{out}}", processes=2)
    with interrupted(tmp_path / "on"):
        asked.sample(IMMIGRATION, [1.0], 10**6, 1)


def test_a_program_that_takes_too_long_ends_with_what_it_started(tmp_path):
    late = tmp_path / "late"
    asked = open_simulator(f"sh -c '(sleep 0.8; touch {late}) & wait' {{model}} {{seed}} {{out}}", timeout=0.3)
    with pytest.raises(BackendError, match="must end within"):
        asked.sample(IMMIGRATION, [1.0], 1, 1)
    sleep(1.0)
    assert not late.exists()


def test_a_package_ends(tmp_path, monkeypatch):
    (tmp_path / "roadrunner.py").write_text(
        f"""
import time
class Logger:
    LOG_ERROR = 0
    setLevel = staticmethod(lambda level: None)
class RoadRunner:
    def __init__(self, text):
        open(r"{tmp_path}/on", "w").close()
        time.sleep(60)
"""
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "roadrunner", raising=False)
    with interrupted(tmp_path / "on"):
        open_simulator("roadrunner", processes=2).sample(IMMIGRATION, [1.0], 10**6, 1)
