"""Errors of commands name the option that was wrong, with what it was."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner
from written_networks import BIRTH_DEATH

import fsp
from fsp.command.main import main
from fsp.command.wording import in_options, saying

CELLS = "time,rna\n1,8\n1,6\n2,9\n2,11\n"
DATA = ["--data", "cells.csv", "--observe", "X=rna"]
# Of each command, what it needs, and options with what each must not be.
COMMANDS = {
    "gradient": (["--of", "X", "--parameters", "k", "--times", "1"], {"--of": "Z"}),
    "sensitivity": (["--parameters", "k", "--times", "1"], {}),
    "fisher": (["--parameters", "k", "--times", "1"], {"--cells": "1,2", "--observe": "Z", "--instrument": "X=no"}),
    "design": (
        ["--parameters", "k,g", "--times", "1,2"],
        {"--cells": "0", "--criterion": "Q", "--interest": "k", "--observe": "Z", "--condition": "a"},
    ),
    "likelihood": (
        DATA,
        {"--data": "no.csv", "--observe": "X", "--gradient": "q", "--width": "0", "--missing": "no",
         "--extrinsic": "k=no"},
    ),
    "fit": (
        [*DATA, "--free", "k=1:100"],
        {"--free": "q=1:2", "--starts": "0", "--seed": "-1", "--width": "0", "--level": "2", "--intervals": "no",
         "--backend": "no", "--report": "page.txt", "--missing": "no", "--instrument": "X=no"},
    ),
}  # fmt: skip
SLOPES = {"--parameters": "q", "--times": "-1", "--tol": "0"}
EVERY = {"--start": "no", "--max-states": "0", "--set": "q=1", "--counts": "no", "--rounding": "no"}
CASES = [
    (command, option, value)
    for command, (needed, wrong) in COMMANDS.items()
    for option, value in {**(SLOPES if "--parameters" in needed else {}), **EVERY, **wrong}.items()
]


@pytest.fixture
def ask(tmp_path):
    """Return a function that runs a command on a model; files are those of a folder."""
    (tmp_path / "model.ant").write_text(BIRTH_DEATH)
    (tmp_path / "cells.csv").write_text(CELLS)

    def run(command, *words):
        placed = [re.sub(r"(?<==)\w+\.csv$", lambda name: str(tmp_path / name[0]), word) for word in words]
        return CliRunner().invoke(main, [command, str(tmp_path / "model.ant"), *placed])

    return run


@pytest.mark.parametrize(("command", "option", "value"), CASES)
def test_a_wrong_value_is_refused_by_its_option(ask, command, option, value):
    words, needed = [], iter(COMMANDS[command][0])
    for name, given in zip(needed, needed, strict=True):
        words += [] if name == option else [f"{name}={given}"]
    run = ask(command, *words, f"{option}={value}")
    assert run.exit_code in (1, 2, 3, 4, 6), run.output
    said = run.stderr.splitlines()[-1]
    assert re.search(rf"`{option}[` ]", said), said
    assert not re.search(r"`[a-z_]+`", said.replace("`fsp fit`", "")), said


def test_what_the_command_line_says_otherwise_is_said_so(ask):
    run = ask("gradient", "--of=X", "--parameters=k", "--times=1", "--set=k=0")
    assert "`--parameters` must be positive without --linear" in run.stderr
    run = ask("design", "--parameters=k,g", "--times=1,2", "--criterion=Ds")
    assert "`--interest` must come with --criterion Ds, and only with it" in run.stderr


def test_names_that_are_no_options_stay():
    options = {"tol": "--tol", "backend": "--backend"}
    text = "`tol` and `other`: call `fsp.fit(..., backend='petsc')`, or backend='serial'"
    expected = "`--tol` and `other`: call `fsp.fit(..., backend='petsc')`, or --backend serial"
    assert in_options(text, options) == expected


def test_an_error_keeps_its_kind_and_gets_the_words_of_its_block():
    with pytest.raises(fsp.StateSpaceError, match=r"^`--data` must hold `x`$"), saying(source="--data"):
        raise fsp.StateSpaceError("`source` must hold `x`")
