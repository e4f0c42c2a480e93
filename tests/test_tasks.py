"""Every answer of the page of tasks is run, in the order of the page."""

from __future__ import annotations

import re
import sys

import pytest
from test_contributing import PAGE

ROOT = PAGE.parent
sys.path.insert(0, str(ROOT / "ci"))
import printed  # noqa: E402

TEXT = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
PARTS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))


def answers(part, kind):
    return re.findall(rf"^```{kind}\n(.*?)^```", PARTS[part], re.MULTILINE | re.DOTALL)


@pytest.mark.filterwarnings("ignore::fsp.ToleranceWarning")
def test_answers_in_python_run(monkeypatch):
    blocks = [*answers("In a notebook", "python"), *answers("At a desk", "python")]
    assert len(blocks) == 41  # twenty and twenty, and what is imported
    names = {}
    with printed.beside_the_examples():
        for block in blocks:
            exec(compile(block, block, "exec"), names)
    assert names["solution"][-1].error.certified


def test_answers_at_a_shell_run():
    blocks = answers("At a shell", "sh")
    assert len(blocks) == 20
    with printed.beside_the_examples():
        for block in blocks:
            assert printed.printed_by(block.strip()) or " export " in block or " plot " in block, block


def test_there_are_sixty_tasks():
    assert [int(n) for n in re.findall(r"^### (\d+)\. … ", TEXT, re.MULTILINE)] == list(range(1, 61))
