"""Write what commands print into the documentation: `ci/docs --refresh`.

In the pages every block that begins with ``$ fsp`` is run, and every block that begins with ``Usage: fsp`` is the help
of that command.  Seconds differ from machine to machine, so that a block is replaced only where something else does.
Left alone are blocks with ``MODEL``, ``^C`` or ``mpirun``, which stand for what cannot be run here.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import sys
import tempfile
from pathlib import Path

from click.testing import CliRunner

from fsp.command.main import main

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```\n((?:\$ fsp|Usage: fsp) .*?)^```$", re.MULTILINE | re.DOTALL)
_SECONDS = re.compile(r"[0-9.]+ s\b|(?<=\d  )[0-9.]+(?=  (solved|agrees|pass|no CME))")
_LEFT_ALONE = ("MODEL ", "^C", "mpirun", "--simulator")


def blocks(page):
    """Yield what stands in each block that a command makes, in the order of the page."""
    for match in _BLOCK.finditer(page):
        if not any(word in match[1] and not match[1].startswith("Usage") for word in _LEFT_ALONE):
            yield match[1]


def made(block):
    """Return a block as the commands make it."""
    if block.startswith("Usage: "):
        command = block.split()[2]
        return printed([command, "--help"])
    lines = [line for line in block.splitlines() if line.startswith("$ ")]
    return "".join(f"{line}\n{printed_by(line.removeprefix('$ '))}" for line in lines)


def printed_by(line):
    """Return what a line of a shell prints: a command, and perhaps ``| head -N``."""
    command, _, head = line.partition(" | head -")
    text = printed(shlex.split(command)[1:])
    return "".join(text.splitlines(keepends=True)[: int(head)]) if head else text


def printed(words):
    """Return what a command prints, run in the folder of the pages' paths."""
    done = CliRunner(env={"COLUMNS": "120"}).invoke(main, words, prog_name="fsp")
    if done.exit_code not in (0, 1, 2, 7):
        raise SystemExit(f"`fsp {shlex.join(words)}` must end well, but printed:\n{done.output}")
    return done.stdout


@contextlib.contextmanager
def beside_the_examples():
    """Work in a new folder, from which the examples and the tests are seen as from the root."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name in ("examples", "tests"):
            os.symlink(ROOT / name, name)
        yield


def stale(page):
    """Yield each block that differs by more than seconds from what is made now, and what that is."""
    for block in blocks(page):
        now = made(block)
        if _SECONDS.sub("", now) != _SECONDS.sub("", block):
            yield block, now


def refresh():
    """Write all pages anew; return how many blocks were replaced."""
    replaced = 0
    for path in PAGES:
        page = path.read_text(encoding="utf-8")
        with beside_the_examples():
            for block, now in stale(page):
                page = page.replace(block, now)
                replaced += 1
        path.write_text(page, encoding="utf-8")
    return replaced


if __name__ == "__main__":
    sys.stdout.write(f"{refresh()} blocks replaced\n")
