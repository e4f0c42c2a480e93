"""Examples in docstrings print what they say."""

from __future__ import annotations

import doctest
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
