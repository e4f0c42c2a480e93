"""Make the gallery of worked examples, a page and a notebook of each script in examples/: `python ci/gallery.py`."""

from __future__ import annotations

import ast
import json
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "gallery.md"
NOTEBOOKS = ROOT / "docs" / "notebooks"
# In the order of the page.
EXAMPLES = (
    "mrna_decay",
    "birth_death_poisson",
    "isomerization",
    "dimerization",
    "gene_expression_noise",
    "induction_sweep",
    "daily_rhythm",
    "cell_division",
    "toggle_switch",
    "repressilator",
    "schloegl",
    "predator_prey",
    "sir",
    "enzyme_reduction",
)


def docstring(name):
    """Return title and text of an example."""
    words = ast.get_docstring(ast.parse(script(name)))
    title, _, text = words.partition("\n\n")
    return title, text


def script(name):
    """Return the text of an example."""
    return (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")


def cells(name):
    """Return the cells of a notebook, each its kind and its text: the words, what is imported and defined, the work."""
    text = script(name)
    tree = ast.parse(text)
    lines = text.splitlines()
    title, words = docstring(name)
    made = [("markdown", f"# {title}\n\n{words}".rstrip())]
    body = [node for node in tree.body[1:] if not isinstance(node, ast.If)]
    (work,) = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == f"test_{name}"]
    others = [node for node in body if node is not work]
    made.append(("code", "\n".join(_source(lines, node) for node in others)))
    done = textwrap.dedent("\n".join(lines[work.body[0].lineno - 1 : work.end_lineno]))
    made.append(("code", done))
    shown = next((answer for answer in ("solution", "dist") if f"\n{answer} = " in f"\n{done}"), None)
    if shown is not None:
        made.append(("code", f"{shown}.plot()"))
    here = f'Path("examples/{name}.py")'  # where a notebook is, nothing says
    return [(kind, text.replace("Path(__file__)", here)) for kind, text in made]


def _source(lines, node):
    first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
    blank = "" if isinstance(node, ast.Import | ast.ImportFrom) else "\n\n"
    return blank + "\n".join(lines[first - 1 : node.end_lineno])


def notebook(name):
    """Return a notebook as JSON."""
    made = []
    for k, (kind, text) in enumerate(cells(name)):
        cell = {"cell_type": kind, "id": f"{name}-{k}"[:64], "metadata": {}, "source": text.splitlines(keepends=True)}
        made.append(cell | ({"execution_count": None, "outputs": []} if kind == "code" else {}))
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    record = {"cells": made, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def page():
    """Return the page of the gallery."""
    rows = []
    for name in EXAMPLES:
        title, _ = docstring(name)
        subject, _, rest = title.rstrip(".").partition(": ")
        rows.append(f"| {subject} | {rest} | [notebook](notebooks/{name}.ipynb), `examples/{name}.py` |")
    return "\n".join(
        [
            "# Gallery",
            "",
            "Worked examples, each a script that checks itself against what is known in closed form, and a notebook.",
            "",
            "| example | what it shows | files |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def files():
    """Return what is written, by its place."""
    return {PAGE: page(), **{NOTEBOOKS / f"{name}.ipynb": notebook(name) for name in EXAMPLES}}


if __name__ == "__main__":
    NOTEBOOKS.mkdir(exist_ok=True)
    for place, content in files().items():
        place.write_text(content, encoding="utf-8")
