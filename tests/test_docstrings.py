"""Examples in docstrings print what they say."""

from __future__ import annotations

import doctest
import inspect
from importlib import import_module
from pathlib import Path

import pytest

import fsp

HOME = Path(fsp.__file__).parent
WITH_EXAMPLES = sorted(path for path in HOME.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: str(path.relative_to(HOME)))
def test_examples_print_what_they_say(path):
    module = import_module(".".join(path.relative_to(HOME.parent).with_suffix("").parts))
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.REPORT_ONLY_FIRST_FAILURE
    failed, tried = doctest.testmod(module, extraglobs={"fsp": fsp}, optionflags=options)
    assert tried or all("+SKIP" in line for line in path.read_text().splitlines() if ">>> " in line)
    assert not failed


# Answers, which the examples of the functions that return them show, and what is only told of.
WITHOUT_EXAMPLES = {
    "Adapter", "Approximations", "AverageReward", "Committor", "Comparison", "Correlation", "Counts", "Detectable",
    "Distribution", "Finding", "FitComparison", "FokkerPlanck", "Langevin", "Likelihood", "LinearNoise",
    "MomentClosure", "Moments", "Need", "Passage", "Plan", "Progress", "Relaxation", "Report", "Reward",
    "Sensitivities", "Simulator", "Sweep", "Test",
}  # fmt: skip


def test_what_users_call_has_an_example():
    missing = set()
    for home in ("fsp", "fsp.sampling", "fsp.verification"):
        for name in import_module(home).__all__:
            member = getattr(import_module(home), name)
            is_error = isinstance(member, type) and issubclass(member, BaseException)
            if callable(member) and not is_error and ">>> " not in (inspect.getdoc(member) or ""):
                missing.add(name)
    assert missing == WITHOUT_EXAMPLES
