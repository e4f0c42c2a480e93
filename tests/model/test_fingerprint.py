"""The hash of a model: equal where programs are equal, other wherever an answer may be."""

from __future__ import annotations

import enum
import functools
import os
import pickle
import random
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import numba
import numpy as np
import pytest
from scipy.interpolate import CubicSpline

import fsp
from fsp import Event, Model, Reaction
from fsp.jobs.stopping import transient_from

TABLE = np.linspace(0.0, 1.0, 5000)
SCALE = 2.0
LOCK = threading.Lock()


def hash_of(rate, **options):
    return Model(species={"X": 3}, reactions=[Reaction("0 -> X", rate=rate)], **options).hash


def made(text, **names):
    """Return the function `rate` of a text in a module of its own, as another process or a changed file has it."""
    scope = {"__name__": "elsewhere", "np": np, **names}
    exec(text, scope)
    return scope["rate"]


def test_hashes_of_formulas_are_those_of_files_that_were_written_before():
    plain = Model(
        species={"X": 3},
        reactions=[Reaction("0 -> X", rate="k*K/(K+X)"), Reaction("2 X -> 0", mass_action="g")],
        parameters={"k": 2.5, "K": 10, "g": "k/100"},
    )
    assert plain.hash == "23094d0116ba0b0796c4234dcc2c8207337f9df0fb00d9d9b2eb482b3d6a57e1"
    timed = Model(
        species={"X": 3},
        reactions=[Reaction("0 -> X", rate="k"), Reaction("X -> 0", mass_action=0.1)],
        parameters={"k": 2.5},
        events=[Event("time >= 5", {"k": "2*k", "X": 0})],
    )
    assert timed.hash == "3afce70956e30350aa32e101ad517ad7cf5270028ec9646f74fc918ba593bba4"
    assert plain.unrepeatable == timed.unrepeatable == ""


# ---- pairs of callables that differ in one thing


@dataclass
class Hill:
    most: float
    exponents: tuple[int, ...] = (2,)

    def rate(self, x):
        return self.most * x["X"] ** self.exponents[0]

    def __call__(self, x):
        return self.rate(x)


class Slotted:
    __slots__ = ("most",)

    def __init__(self, most):
        self.most = most

    def __call__(self, x):
        return self.most + 0.0 * x["X"]


class Kind(enum.Enum):
    SLOW = 1.0
    FAST = 2.0


def table_rate(table):
    return lambda x: table[x["X"].astype(int)]


def changed(array, place, by=1e-9):
    other = array.copy()
    other[place] += by
    return other


def scaled(x, factor):
    return factor * x["X"]


def helper_text(body):
    return f"def inner(x):\n    return {body}\ndef rate(x):\n    return np.exp(inner(x['X']))"


def method_text(body):
    return f"class A:\n    def __call__(self, x):\n        return {body}\nrate = A()"


SPLINES = [CubicSpline([0.0, 1.0, 2.0], [0.0, top, 1.0]) for top in (1.0, 1.5)]

PAIRS = {
    "middle of a captured array": (table_rate(TABLE), table_rate(changed(TABLE, 2500))),
    "type of a captured array": (table_rate(np.arange(9.0)), table_rate(np.arange(9))),
    "shape of a captured array": (table_rate(np.ones((2, 3))), table_rate(np.ones((3, 2)))),
    "mask of an array": tuple(table_rate(np.ma.array([1.0, 2.0], mask=[0, k])) for k in (0, 1)),
    "array in a captured list": (table_rate([TABLE]), table_rate([changed(TABLE, 2500)])),
    "captured dictionary": (table_rate({"a": 1}), table_rate({"a": 2})),
    "captured set": (table_rate({1, 2}), table_rate({1, 3})),
    "sign of zero": (table_rate(0.0), table_rate(-0.0)),
    "whole or real": (table_rate(1), table_rate(1.0)),
    "member of an enumeration": (table_rate(Kind.SLOW), table_rate(Kind.FAST)),
    "default": tuple(made(f"def rate(x, *, k={k}): return k*x['X']") for k in (1, 2)),
    "global number": tuple(made("def rate(x): return K*x['X']", K=k) for k in (1.0, 2.0)),
    "global array": tuple(made("def rate(x): return T[0]*x['X']", T=t) for t in (TABLE, changed(TABLE, 2500))),
    "global of a lambda inside": tuple(made("def rate(x): return (lambda: K)()*x['X']", K=k) for k in (1.0, 2.0)),
    "function called": (made(helper_text("2.0*x")), made(helper_text("3.0*x"))),
    "global of a function called": tuple(made(helper_text("K*x"), K=k) for k in (1.0, 2.0)),
    "inner constant": (made("rate = lambda x: x['X']*2.0"), made("rate = lambda x: x['X']*3.0")),
    "name looked up": (made("rate = lambda x: np.exp(x['X'])"), made("rate = lambda x: np.sin(x['X'])")),
    "argument of a partial function": tuple(functools.partial(scaled, factor=k) for k in (1.0, 2.0)),
    "function of a partial function": tuple(functools.partial(made(helper_text(b))) for b in ("x", "2*x")),
    "object of a method": (Hill(1.0).rate, Hill(2.0).rate),
    "object that is called": (Hill(1.0), Hill(2.0)),
    "inside of an object": (Hill(1.0, (1,)), Hill(1.0, (2,))),
    "slot of an object": (Slotted(1.0), Slotted(2.0)),
    "code of a class": (made(method_text("x['X']")), made(method_text("2*x['X']"))),
    "function behind a cache": tuple(made(f"rate = cache(lambda x: {k})", cache=functools.cache) for k in (1, 2)),
    "object of a package": tuple(lambda x, s=s: s(x["X"]) for s in SPLINES),
    "attribute of a function": tuple(made(f"def rate(x): return rate.k\nrate.k = {k}") for k in (1, 2)),
    "code of a compiled function": tuple(numba.njit(made(f"rate = lambda x: {k}")) for k in (1, 2)),
    "code of a vectorized function": tuple(np.vectorize(made(f"rate = lambda x: {k}")) for k in (1, 2)),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_callables_that_differ_anywhere_have_different_hashes(pair):
    first, second = map(hash_of, pair)
    assert "?" not in first + second
    assert first != second
    assert first == hash_of(pair[0])


def test_equal_callables_have_equal_hashes_wherever_they_lie():
    assert hash_of(table_rate(TABLE)) == hash_of(table_rate(TABLE.copy()))
    assert hash_of(Hill(1.0)) == hash_of(pickle.loads(pickle.dumps(Hill(1.0))))
    text = helper_text("K*x")
    assert hash_of(made(text, K=2.0)) == hash_of(made("\n\n# moved\n" + text, K=2.0, other=3.0))


def test_functions_that_call_each_other_have_an_end():
    text = "def even(n): return n == 0 or odd(n - 1)\ndef odd(n): return n > {} and even(n - 1)\n"
    text += "def rate(x): return even(4)"
    first, second = (hash_of(made(text.format(k))) for k in (0, 1))
    assert first == hash_of(made(text.format(0)))
    assert first != second


def test_formulas_that_a_callable_may_ask_for_are_in_the_hash():
    def rate(x):
        return x["K"]

    assert hash_of(rate, parameters={"K": "X/2"}) != hash_of(rate, parameters={"K": "X/3"})
    assert hash_of(rate, parameters={"K": 2}) != hash_of(rate, parameters={"K": 3})


def test_the_module_of_a_user_is_read_as_far_as_it_is_used(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    program = "import helper, sys\nfrom fsp import Model, Reaction\nrate = lambda x: helper.part.f(x['X'])\n"
    program += "print(Model(species={'X': 1}, reactions=[Reaction('0 -> X', rate=rate)]).hash)"

    def found(f, other):
        (tmp_path / "part.py").write_text(f"import helper\nother = {other}\ndef f(x):\n    return {f}*x\n")
        (tmp_path / "helper.py").write_text("import part\n")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
        options = {"env": environment, "check": True, "capture_output": True, "text": True}
        return subprocess.run([sys.executable, "-B", "-c", program], **options).stdout.strip()

    first = found(2.0, 1)
    assert "?" not in first
    assert first == found(2.0, 2)
    assert first != found(3.0, 1)


# ---- callables that their content does not tell


def counting(x):
    global SCALE
    SCALE += 1.0
    return SCALE


def imports(x):
    import test_fingerprint

    return test_fingerprint.SCALE


UNREPEATABLE = {
    "_thread.lock": lambda x: LOCK and x["X"],
    "calls `eval`": lambda x: eval("SCALE") * x["X"],
    "calls `open`": lambda x: float(open("rate").read()),  # noqa: SIM115
    "module `time`": lambda x: time.time() * x["X"],
    "module `os`": lambda x: float(os.environ["RATE"]),
    "module `numpy`": lambda x: np.load("table.npy")[0],
    "changes the global `SCALE`": counting,
    "imports `test_fingerprint`": imports,
    "module `random`": lambda x: random.random(),
    "generator": table_rate(k for k in range(3)),
    "whose code is not seen": np.frompyfunc(lambda x: 1.0, 1, 1),
}


@pytest.mark.parametrize(("reason", "rate"), UNREPEATABLE.items(), ids=UNREPEATABLE)
def test_what_cannot_be_told_by_its_content_equals_nothing(reason, rate):
    model, same = (Model(species={"X": 3}, reactions=[Reaction("0 -> X", rate=rate)]) for _ in range(2))
    assert reason in model.unrepeatable
    assert "rate of 'r1'" in model.unrepeatable
    assert model.hash == model.hash
    assert model.hash != same.hash


def test_values_within_values_without_end_equal_nothing():
    deep = []
    for _ in range(5000):
        deep = [deep]
    model = Model(species={"X": 3}, reactions=[Reaction("0 -> X", rate=table_rate(deep))])
    assert "without end" in model.unrepeatable


def test_a_run_with_such_a_rate_is_not_gone_on_with_elsewhere():
    def locked():
        lock = threading.Lock()
        rate = Reaction("0 -> X", rate=lambda x: 1.0 + 0.0 * x["X"] if lock else 0.0)
        return Model(species={"X": 0}, reactions=[rate, Reaction("X -> 0", mass_action=1.0)])

    model = locked()
    first = fsp.transient(model, [1.0], 1e-4)
    later = fsp.transient(model, [2.0], 1e-3, start=first)
    assert first.joined(later).times.tolist() == [1.0, 2.0]  # the same model, in this process
    other = fsp.transient(locked(), [2.0], 1e-3, start=first)
    with pytest.raises(fsp.ArgumentError, match=r"(?s)same model, but .*`model.unrepeatable` says what"):
        first.joined(other)
    with pytest.raises(fsp.ArgumentError, match=r"(?s)the model differ.*`model.unrepeatable` says what"):
        transient_from(first, locked(), [1.0], 1e-4)
