"""Arguments of another kind: each public function ends in an answer, or in an error that names the argument."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest

import fsp

ODD = [
    float("nan"),
    None,
    True,
    "no such name",
    "a\0b",
    b"bytes",
    Path("folder") / "none",
    10**400,
    1j,
    np.float32(0.5),
    np.array([]),
    np.array([[1.0, 2.0]]),
    np.ma.masked,
    [],
    [None],
    [10**400],
    [["k"]],
    {1: 2},
    {"k": []},
    {"k"},
    object,
    slice(None),
    "n" * 3000,
]
CELLS = {"time": [1, 1, 2], "X": [0, 2, 3]}
NOT_TRIED = {"model", "progress", "comm", "out", "checkpoint", "processes", "times", "values", "options"}
OFTEN = {"max_states", "max_memory", "max_work"}  # checked in one place for all


def births():
    reactions = [fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")]
    return fsp.Model(species={"X": 0}, parameters={"k": 2.0, "g": 1.0}, reactions=reactions)


def doors():
    model = births()
    counts = fsp.read_counts(CELLS, counts={"X": "X"})
    at = {"model": model, "times": [1.0]}
    text = "X = 0; k = 1; => X; k; X => ; X;"
    return {
        fsp.transient: at,
        fsp.stationary: {"model": model},
        fsp.relaxation: {"model": model},
        fsp.passage: {"model": model, "target": "X > 3"},
        fsp.committor: {"model": model, "A": "X > 3", "B": "X < 1"},
        fsp.correlation: {"model": model, "observable": "X", "lags": [1.0]},
        fsp.reward: at | {"observable": "X"},
        fsp.fisher: at | {"parameters": ["k"]},
        fsp.sensitivity: at | {"parameters": ["k"]},
        fsp.gradient: {"model": model, "formula": "X", "time": 1.0, "parameters": ["k"]},
        fsp.likelihood: {"model": model, "counts": counts},
        fsp.read_counts: {"source": CELLS, "counts": {"X": "X"}},
        fsp.load: {"path": "none.ant"},
        fsp.loads: {"text": text},
        fsp.sweep: at | {"values": {"k": 1.0}, "processes": 1},
        fsp.compare: at | {"other": model},
        fsp.approximations: at | {"volumes": [1.0]},
    }


def called(door, arguments):
    places = [p.name for p in inspect.signature(door).parameters.values() if p.kind is p.POSITIONAL_ONLY]
    return door(*[arguments[name] for name in places], **{k: v for k, v in arguments.items() if k not in places})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("door", doors(), ids=lambda door: door.__name__)
def test_arguments_of_another_kind_end_in_an_answer_or_an_error_of_the_package(door):
    arguments = doors()[door]
    parameters = inspect.signature(door).parameters.values()
    left_out = NOT_TRIED | (set() if door is fsp.transient else OFTEN)
    tried = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD and p.name not in left_out]
    assert tried
    refused = 0
    for name in tried:
        for value in ODD:
            if name in ("A", "B", "target") and value is object:
                continue  # a callable of the user's
            try:
                called(door, arguments | {name: value})
            except fsp.FSPError:
                refused += 1
    assert refused > len(tried)


@pytest.mark.parametrize(
    ("door", "name", "value"),
    [
        (fsp.fisher, "parameters", 3),
        (fsp.fisher, "observe", 3),
        (fsp.gradient, "parameters", []),
        (fsp.gradient, "log", "yes"),
        (fsp.read_counts, "time", ["time"]),
        (fsp.read_counts, "where", "X"),
        (fsp.read_counts, "conditions", 3),
        (fsp.read_counts, "replicate", 3),
        (fsp.sweep, "resume", "sweep.h5"),
        (fsp.sweep, "pairs", np.array([])),
        (fsp.compare, "species", [1]),
        (fsp.compare, "other", 10**400),
        (fsp.approximations, "tol", "small"),
        (fsp.approximations, "methods", 3),
        (fsp.stationary, "method", np.array(["auto", "power"])),
        (fsp.reward, "firings", "yes"),
        (fsp.loads, "mass_action", np.array([])),
    ],
)
def test_the_argument_is_named(door, name, value):
    with pytest.raises(fsp.ArgumentError, match=rf"^`{name}` must be") as error:
        called(door, doors()[door] | {name: value})
    assert len(str(error.value)) < 400


def test_flags_may_be_numbers_of_numpy():
    model = births()
    a = fsp.gradient(model, "X", 1.0, ["k"], log=np.bool_(True))
    assert a == fsp.gradient(model, "X", 1.0, ["k"], log=1)
