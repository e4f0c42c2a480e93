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
    "transient": (["--times", "1"], {"--sweep": "q=1,2", "--expect": "1/X", "--tol": "0"}),
    "relaxation": ([], {"--modes": "0"}),
    "passage": (["--to", "X > 3", "--times", "1"], {"--to": "Z > 3", "--times": "-1", "--tol": "0"}),
    "committor": (["--from", "X < 2", "--to", "X > 5"], {"--at": "X=1.5", "--tol": "0"}),
    "correlation": (["--of", "X", "--lags", "1"], {"--of": "Z", "--lags": "-1", "--at": "-1", "--tol": "0"}),
    "reward": (["--of", "X", "--times", "1"], {"--of": "Z", "--times": "-1", "--tol": "0"}),
    "prism": (["--upper", "X=9"], {"--upper": "Z=1"}),
}  # fmt: skip
NO_STARTS = {"relaxation", "passage", "committor", "correlation", "reward", "prism"}
NO_LIMITS = {"relaxation", "prism"}
SLOPES = {"--parameters": "q", "--times": "-1", "--tol": "0"}
EVERY = {"--start": "no", "--max-states": "0", "--set": "q=1", "--counts": "no", "--rounding": "no"}
CASES = [
    (command, option, value)
    for command, (needed, wrong) in COMMANDS.items()
    for option, value in {**(SLOPES if "--parameters" in needed else {}), **EVERY, **wrong}.items()
    if not ((option == "--start" and command in NO_STARTS) or (option == "--max-states" and command in NO_LIMITS))
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


def test_other_wrong_words_are_refused_by_their_options(ask, tmp_path):
    (tmp_path / "not.h5").write_text("no file of fsp")
    said = {
        ("transient", "--times=1", f"--start={tmp_path / 'not.h5'}"): "`--start` must be an intact HDF5 file",
        ("passage", "--or", "a=Z > 3", "--times=1"): "`--or` must use only X",
        ("committor", "--from=X < 2", "--to=X > 5", "--at=Z=1"): "`--at` must give a count for each of X",
        ("committor", "--from=X < 2", "--to=X > 5", "--at=X=-1"): "`--at X` must be a whole number of 0 or more",
        ("fisher", "--parameters=k", "--times=1", "--instrument=X=binomial(2)"): "`--instrument`: `capture` must be",
        ("info", "--set=X=1.5"): "a unit is: --counts omega=100, or --counts volume=1fL",
        ("verify", f"--samples={tmp_path / 'no.csv'}"): "`--samples` must be a file that exists",
        ("verify", "--times=1", "--command=sleep 100"): "`--command` must have the places {model} and {out}",
        ("prism",): "give its largest count in `--upper`, such as X=100",
    }
    for words, message in said.items():
        run = ask(*words)
        assert run.exit_code in (2, 3), run.output
        assert message in run.stderr


def test_a_state_of_committors_is_of_whole_numbers():
    ways = fsp.committor(fsp.loads(BIRTH_DEATH), "X < 2", "X > 5")
    for state in ({"X": 1.5}, [-1]):
        with pytest.raises(fsp.ArgumentError, match="`state` must hold whole numbers of 0 or more"):
            ways.forward(state)


def test_names_that_are_no_options_stay():
    options = {"tol": "--tol", "backend": "--backend"}
    text = "`tol` and `other`: call `fsp.fit(..., backend='petsc')`, or backend='serial'"
    expected = "`--tol` and `other`: call `fsp.fit(..., backend='petsc')`, or --backend serial"
    assert in_options(text, options) == expected


def test_an_error_keeps_its_kind_and_gets_the_words_of_its_block():
    with pytest.raises(fsp.StateSpaceError, match=r"^`--data` must hold `x`$"), saying(source="--data"):
        raise fsp.StateSpaceError("`source` must hold `x`")
