"""What the package says of itself, in each place the same, and what `ci/release` says of it."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CITATION = (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def listed(key):
    """Return the items of a list at the top of the citation."""
    (block,) = re.findall(rf"^{key}:\n((?:  .*\n)+)", CITATION, re.MULTILINE)
    return re.findall(r"^  - (?:name: )?(.*)$", block, re.MULTILINE)


def test_the_citation_says_what_the_metadata_say():
    assert listed("keywords") == PROJECT["keywords"]
    assert listed("authors") == [author["name"] for author in PROJECT["authors"]]
    assert f"\nlicense: {PROJECT['license']}\n" in CITATION
    assert PROJECT["description"].partition(" by ")[2] in CITATION
    assert "\nversion:" not in CITATION  # `fsp --version` has it


def test_classifiers_name_the_versions_of_python_from_the_oldest_on():
    named = [int(c.rpartition(".")[2]) for c in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", c)]
    assert PROJECT["requires-python"] == f">=3.{named[0]}"
    assert named == list(range(named[0], named[-1] + 1))
    assert PROJECT["classifiers"] == sorted(PROJECT["classifiers"])
    assert not [c for c in PROJECT["classifiers"] if c.startswith("License")]  # an expression says it: PEP 639


@pytest.mark.parametrize(("end", "warns"), [("", True), ('[project.urls]\nHomepage = "https://example.org"\n', False)])
def test_a_release_without_addresses_warns(tmp_path, end, warns):
    for folder in ("ci", "fsp", "docs"):
        (tmp_path / folder).mkdir()
    shutil.copy(ROOT / "ci" / "release", tmp_path / "ci")
    (tmp_path / "fsp" / "version.py").write_text('__version__ = "1.2.3"\n')
    (tmp_path / "docs" / "changelog.md").write_text("# Changelog\n")
    (tmp_path / "pyproject.toml").write_text(f"[project]\n{end}")
    subprocess.run(["git", "init", "-q", "."], cwd=tmp_path, check=True)
    (tmp_path / ".git" / "info" / "exclude").write_text("*\n")
    told = subprocess.run(["ci/release", "--tag"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "must have '## [1.2.3]" in told.stderr  # it stops before it builds
    assert ("has no [project.urls]" in told.stderr) == warns
