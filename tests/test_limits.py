"""The house stays small in its parts: files, functions, classes, and a reason for each number."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

import fsp

ROOT = Path(fsp.__file__).parent
LINES_OF_A_FILE, LINES_OF_A_FUNCTION, METHODS, ATTRIBUTES = 400, 60, 20, 12

# What is over a limit, and why it stays so.
LONG_FUNCTIONS = {
    "sampling/kernels.py direct",  # one loop of compiled code: a call for each jump costs a fifth
    "solvers/small_exponential_kernels.py flow",  # the same
}
MANY_ATTRIBUTES = {
    "generator/kernels.py Plan",  # the arrays that compiled products take, which must be one flat tuple
    "generator/kernels.py Slices",  # the same
}
NO_REASON_NEEDED = {"compilation/calling.py POINTER", "model/tree.py ZERO"}  # names of a type and of the numbers


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def lines_of(function):
    """Return the lines of a function, but for its docstring."""
    docstring = function.body[0] if ast.get_docstring(function) is not None else None
    return function.end_lineno - function.lineno + 1 - (docstring.end_lineno - docstring.lineno + 1 if docstring else 0)


def methods_of(class_):
    """Return the methods; signatures for types alone are none."""
    defined = [node for node in class_.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [node for node in defined if not any(ast.unparse(name) == "overload" for name in node.decorator_list)]


def attributes_of(class_):
    fields = {node.target.id for node in class_.body if isinstance(node, ast.AnnAssign)}
    stored = (node for node in ast.walk(class_) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store))
    return fields | {node.attr for node in stored if isinstance(node.value, ast.Name) and node.value.id == "self"}


def without_a_reason(tree, lines):
    """Yield the numbers of a module that nothing is said about: beside, above or in a text below."""
    for node, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        target = {ast.Assign: lambda n: n.targets[0], ast.AnnAssign: lambda n: n.target}.get(
            type(node), lambda _: None
        )(node)
        names = [name.id for name in ast.walk(target) if isinstance(name, ast.Name)] if target is not None else []
        if not names or not names[0].isupper() or not _is_of_numbers(node.value):
            continue
        below = (
            isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str)
        )
        beside = any("#" in line for line in lines[node.lineno - 1 : node.end_lineno])
        if not below and not beside and not _block_has_a_comment(lines, node.lineno - 2):
            yield names[0]


def _is_of_numbers(value):
    if value is None or isinstance(value, ast.Dict | ast.List | ast.Set | ast.JoinedStr | ast.Call):
        return False
    return any(isinstance(node, ast.Constant) and type(node.value) in (int, float) for node in ast.walk(value))


def _block_has_a_comment(lines, at):
    """Tell whether the lines without a gap before a line begin with a comment."""
    while at >= 0 and lines[at].strip() and not lines[at].startswith("#"):
        at -= 1
    return at >= 0 and lines[at].startswith("#")


@cache
def over_the_limits():
    over = {"files": set(), "functions": set(), "methods": set(), "attributes": set(), "numbers": set()}
    for path in ROOT.rglob("*.py"):
        text, name = path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()
        tree, lines = ast.parse(text), text.splitlines()
        if len(lines) > LINES_OF_A_FILE:
            over["files"].add(name)
        over["functions"] |= {f"{name} {f.name}" for f in functions(tree) if lines_of(f) > LINES_OF_A_FUNCTION}
        classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        over["methods"] |= {f"{name} {c.name}" for c in classes if len(methods_of(c)) > METHODS}
        over["attributes"] |= {f"{name} {c.name}" for c in classes if len(attributes_of(c)) > ATTRIBUTES}
        over["numbers"] |= {f"{name} {n}" for n in without_a_reason(tree, lines)}
    return over


@pytest.mark.parametrize(
    ("what", "known"),
    [
        ("files", set()),
        ("functions", LONG_FUNCTIONS),
        ("methods", set()),
        ("attributes", MANY_ATTRIBUTES),
        ("numbers", NO_REASON_NEEDED),
    ],
)
def test_what_is_over_a_limit_is_known(what, known):
    assert over_the_limits()[what] == known


def test_a_number_needs_a_reason():
    text = "A = 1.0\n\nB = 2  # chosen\n\n# measured\nC = 3\nD = 4\n\nE = 5\n'''A text.'''\nF = {1: 2}\n"
    assert list(without_a_reason(ast.parse(text), text.splitlines())) == ["A"]
