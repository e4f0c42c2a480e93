"""Make the gallery of worked examples from the scripts in examples/: `python ci/gallery.py`.

Each script is run as its notebook has it, cell by cell: what it prints goes onto the page, and what the last cell draws
becomes its picture, which carries a hash of the notebook.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import io
import json
import re
import textwrap
import unicodedata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "gallery.md"
NOTEBOOKS = ROOT / "docs" / "notebooks"
IMAGES = ROOT / "docs" / "images" / "gallery"
# In the order of the page; what draws the picture of each, from the names of its work.
EXAMPLES = {
    "mrna_decay": 'fsp.transient(model, np.linspace(0, 5, 51)).plot("M", kind="courses")',
    "birth_death_poisson": 'solution.plot("X", kind="marginals")',
    "isomerization": 'fsp.transient(model, np.linspace(0, 2, 41)).plot(kind="courses")',
    "dimerization": 'dist.plot("D")',
    "gene_expression_noise": "dist.plot()",
    "induction_sweep": 'fsp.sweep(model, {"k": range(5, 45, 5), "g": [0.5, 1, 2, 3]}, [1.0], processes=1).plot()',
    "daily_rhythm": 'fsp.transient(model, np.linspace(0, 12, 61)).plot("X", kind="heat")',
    "cell_division": 'fsp.transient(model, np.linspace(0, 6, 121)).plot("X", kind="heat")',
    "toggle_switch": "solution.plot()",
    "repressilator": 'fsp.transient(ring(A=10, B=0, C=0), [0.1 * k for k in range(31)], tol=1e-3).plot(kind="courses")',
    "schloegl": "dist.plot()",
    "predator_prey": 'solution[2].plot("Prey", "Predator", log=True)',
    "sir": 'dist.plot("R")',
    "enzyme_reduction": 'exact.plot("P", ax=product.plot("P", label="reduced").axes[0], label="full").figure',
    "counts_to_rates": 'fsp.transient(fit.model, np.linspace(0, 8, 41)).plot("RNA", kind="courses")',
}


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
    made.append(("code", EXAMPLES[name]))
    here = f'Path("examples/{name}.py")'  # where a notebook is, nothing says
    return [(kind, text.replace("Path(__file__)", here)) for kind, text in made]


def _source(lines, node):
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
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


def run(name):
    """Run the cells of a notebook in the top folder; return what they print, and the picture of the last."""
    names = {}
    *work, drawing = [text for kind, text in cells(name) if kind == "code"]
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.chdir(ROOT):
        for text in work:
            exec(text, names)
        picture = eval(drawing, names)
    return printed.getvalue(), picture


def digest(name):
    """Return the hash of a notebook that its picture carries."""
    return hashlib.sha256(notebook(name).encode()).hexdigest()


def section(name, printed):
    """Return the lines of the page about an example."""
    title, words = docstring(name)
    subject, _, rest = title.rstrip(".").partition(": ")
    body = ast.parse(script(name)).body
    code = "\n".join(script(name).splitlines()[body[0].end_lineno :]).strip()
    return [
        f"## {subject}",
        "",
        f"{rest[0].upper()}{rest[1:]}{'' if rest.endswith('?') else '.'}",
        *words.replace(".  ", ".\n").splitlines(),
        "",
        f"![{subject}](images/gallery/{name}.png)",
        "",
        "```",
        *printed.splitlines(),
        "```",
        "",
        f"[Notebook](notebooks/{name}.ipynb), script `examples/{name}.py`:",
        "",
        '<details markdown="1"><summary>the script</summary>',
        "",
        "```python",
        code,
        "```",
        "",
        "</details>",
        "",
    ]


def page(printed):
    """Return the page of the gallery, of what each example prints."""
    rows = []
    for name in EXAMPLES:
        subject, _, rest = docstring(name)[0].rstrip(".").partition(": ")
        rows.append(f"| [{subject}](#{slug(subject)}) | {rest} |")
    return "\n".join(
        [
            "# Gallery",
            "",
            "Worked examples, each a script that checks itself against what is known in closed form, and a notebook.",
            "Below each picture stands what the script prints; the last cell of the notebook draws the picture.",
            "",
            "| example | what it shows |",
            "|---|---|",
            *rows,
            "",
            *(line for name in EXAMPLES for line in section(name, printed[name])),
        ]
    )


def slug(heading):
    """Return the anchor of a heading."""
    letters = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", letters).strip())


def files(printed):
    """Return what is written, by its place."""
    return {PAGE: page(printed), **{NOTEBOOKS / f"{name}.ipynb": notebook(name) for name in EXAMPLES}}


def write():
    """Write the page, the notebooks and the pictures."""
    NOTEBOOKS.mkdir(exist_ok=True)
    IMAGES.mkdir(exist_ok=True)
    printed = {}
    for name in EXAMPLES:
        printed[name], picture = run(name)
        picture.savefig(IMAGES / f"{name}.png", dpi=130, metadata={"Software": "fsp", "Source": digest(name)})
    for place, content in files(printed).items():
        place.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    write()
