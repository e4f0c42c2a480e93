"""The workflow of the examples passes with a right simulator, and fails with a wrong one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
RIGHT = "wait = rng.expovariate(total)"


def commands():
    """Return the commands of the workflow, by the names of their steps."""
    workflow = yaml.safe_load((EXAMPLES / "verify_workflow.yml").read_text(encoding="utf-8"))
    return {step["name"]: step["run"] for step in workflow["jobs"]["verify"]["steps"] if "run" in step}


def verified(folder):
    """Run the command that verifies as a shell of the workflow does, and return its status and its JUnit report."""
    tools = folder / "tools"
    tools.mkdir()
    (tools / "python").symlink_to(sys.executable)
    (tools / "fsp").write_text(f"#!/bin/sh\nexec '{sys.executable}' -m fsp \"$@\"\n")
    (tools / "fsp").chmod(0o755)
    places = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    found = subprocess.run(
        ["bash", "-e", "-c", commands()["verify"]],
        cwd=folder, env=os.environ | places, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    return found, ElementTree.parse(folder / "report.xml").getroot()


def test_the_package_that_is_installed_is_this_one():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert commands()["install"] == f"pip install {project['name']}"


@pytest.mark.parametrize(("wrong", "status"), [(RIGHT, 0), ("wait = rng.expovariate(1.05 * total)", 1)])
def test_a_right_simulator_passes_and_a_wrong_one_fails(tmp_path, wrong, status):
    shutil.copy(EXAMPLES / "decay.xml", tmp_path)
    text = (EXAMPLES / "simulator_command.py").read_text(encoding="utf-8")
    assert text.count(RIGHT) == 1
    (tmp_path / "simulator_command.py").write_text(text.replace(RIGHT, wrong), encoding="utf-8")
    found, report = verified(tmp_path)
    assert found.returncode == status, found.stdout + found.stderr
    assert (int(report.get("failures")) > 0) == (status == 1)
    assert (tmp_path / "report.html").stat().st_size > 1000
    if status:
        assert "What fits:" in found.stdout
        assert "the rate of reaction 'lose' is 1.0" in found.stdout
    else:
        assert found.stdout.startswith("PASS")
