"""The house as its plan says: no file leads back to itself, and no arrow points up."""

from __future__ import annotations

import ast
import re
import tomllib
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import modules
import mutants

import fsp
from fsp import errors

ROOT = Path(fsp.__file__).parent
DOORS = "fsp.distribution.doors"  # through which values open what writes them: the one exception
TEXT = re.compile(r"fsp(\.\w+)+")


def module_of(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in ROOT.rglob("*.py")}


def imports_of(source):
    """Return the modules that a text imports: in functions, for types and by strings too."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and TEXT.fullmatch(node.value):
            found.add(node.value)
    known = {name if name in MODULES else name.rpartition(".")[0] for name in found}
    return known & MODULES.keys()


def graph():
    """Return what each module imports; the package itself, which names all homes for later, is left out."""
    arrows = {name: imports_of(path.read_text(encoding="utf-8")) - {name, "fsp"} for name, path in MODULES.items()}
    return {name: found for name, found in arrows.items() if name != "fsp"}


def circle(arrows):
    """Return the modules of a circle; None where there is none."""
    try:
        list(TopologicalSorter(arrows).static_order())
    except CycleError as error:
        return error.args[1]
    return None


def test_no_file_leads_back_to_itself_but_through_the_doors_of_values():
    arrows = graph()
    assert any(name.startswith("fsp.output") for name in arrows[DOORS])
    assert circle({name: found for name, found in arrows.items() if name != DOORS}) is None
    assert circle(arrows) is not None  # by the doors


def test_no_arrow_points_up_but_through_the_doors_of_values_and_models():
    """The layers of the contract, for imports of all kinds: import-linter passes over those for types and by string."""
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text(encoding="utf-8"))
    layers = next(c["layers"] for c in project["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    floor = {name.strip(): i for i, names in enumerate(layers) for name in names.split("|")}
    rooms = {name: name.split(".")[1] for name in MODULES if name != "fsp"}
    up = {a for a, found in graph().items() for b in found - {"fsp"} if floor[rooms[b]] < floor[rooms[a]]}
    assert up == {DOORS, "fsp.model.doors"}


def test_circles_are_seen_however_something_is_imported():
    texts = {
        "fsp.model.tree": "def f():\n    from fsp.space import StateSpace",
        "fsp.space": "if TYPE_CHECKING:\n    from fsp.generator.plan import Plan",
        "fsp.generator.plan": "home = import_module('fsp.model.tree')",
    }
    assert set(circle({name: imports_of(text) for name, text in texts.items()})) == set(texts)


# What is spread over ranks has the public name of what is not; `Plan` is public, and compiled code has one of its own.
NAMES_OF_TWO = {"Distribution", "Generator", "StateSpace", "Plan"}


def repeated(texts, kind):
    """Return the names that definitions of a kind share, with or without an underscore, and where they are."""
    places = {}
    for module, text in texts.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, kind):
                places.setdefault(node.name.lstrip("_"), []).append(module)
    return {name: modules for name, modules in places.items() if len(modules) > 1}


def test_a_class_name_stands_for_one_thing():
    texts = {name: path.read_text(encoding="utf-8") for name, path in MODULES.items()}
    assert repeated(texts, ast.ClassDef).keys() == NAMES_OF_TWO
    assert repeated({"a": "class Chain: ...", "b": "if True:\n    class _Chain: ..."}, ast.ClassDef) == {
        "Chain": ["a", "b"]
    }


# One for each solver; tables of methods and of rules for functions, and of where public names live.
CONSTANTS_OF_MANY = {"CALL_WORK", "STATE_WORK", "METHODS", "RULES", "HOMES"}


def constants_of(text):
    """Yield the names that a module gives to values that are no type variables."""
    for node in ast.parse(text).body:
        value = getattr(node, "value", None)
        if isinstance(value, ast.Call) and ast.unparse(value.func) in {"TypeVar", "ParamSpec"}:
            continue
        if value is None or not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for name in (part for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)):
            if not name.id.startswith("__"):
                yield name.id.lstrip("_")


def test_a_constant_of_many_modules_means_the_same_in_all():
    places = {}
    for module, path in MODULES.items():
        for name in set(constants_of(path.read_text(encoding="utf-8"))):
            places.setdefault(name, []).append(module)
    shared = {name: modules for name, modules in places.items() if len(modules) > 2}
    assert shared.keys() == CONSTANTS_OF_MANY, "name each by what it is, or give what is the same one home"
    assert list(constants_of("A, _B = 1, 2\nC: int = 3\nT = TypeVar('T')\nd: int")) == ["A", "B", "C"]


SAY_NOTHING = {"found", "most", "one", "own", "whole"}


def test_local_names_of_the_package_say_something():
    """Those of compiled code apart, which would be compiled anew."""

    def named(text):
        functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef))
        nodes = (node for function in functions for node in ast.walk(function))
        return {getattr(n, "id", None) or n.arg for n in nodes if isinstance(n, ast.Name | ast.arg)} & SAY_NOTHING

    assert named("def f(own): return [one for one in own]") == {"own", "one"}
    texts = {name: path.read_text(encoding="utf-8") for name, path in MODULES.items() if not name.endswith("kernels")}
    assert not {name: named(text) for name, text in texts.items() if named(text)}


def test_every_room_is_on_the_map():
    text = (ROOT.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    map_of_rooms = text[: text.index("\n## ", text.index("## Data flow") + 1)]
    rooms = {path.relative_to(ROOT).parts[0] for path in MODULES.values()} - {"__init__.py", "__main__.py"}
    missing = {room for room in rooms if f"fsp/{room.removesuffix('.py')}" not in map_of_rooms}
    assert not missing


def test_each_sabotage_finds_its_text_once():
    wrong, all_of_them = {}, mutants.all_mutants()
    for mutant in all_of_them:
        path = ROOT.parent / mutant.file
        count = path.read_text(encoding="utf-8").count(mutant.old) if path.is_file() else 0
        if count != 1:
            wrong[mutant.name] = f"{count} times in {mutant.file}"
    assert not wrong
    assert len({mutant.name for mutant in all_of_them}) == len(all_of_them)


def test_every_module_has_its_line():
    assert modules.PAGE.read_text(encoding="utf-8") == modules.page(), "write it anew: python ci/modules.py"


def test_what_is_public_is_imported_under_its_name_in_the_reference():
    page = (ROOT.parent / "docs" / "reference.md").read_text(encoding="utf-8")
    names = set(re.findall(r"^::: (\S+)$", page, flags=re.MULTILINE))
    missing = {f"fsp.{name}" for name in fsp.__all__} - names - {f"fsp.{name}" for name in vars(errors)}
    assert not missing, "each needs a line `::: NAME` in docs/reference.md"
    for home in ("fsp.sampling", "fsp.verification"):
        for name in import_module(home).__all__:
            assert f"{home}.{name}" in names
            assert getattr(import_module(home), name).__module__.startswith("fsp.")


def test_the_way_to_the_kernel_is_that_of_the_page():
    """Each hop is a call of a function with a body, and the next one begins there."""
    page = (ROOT.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \d \| `([\w.]+)`[^|]*\| `([\w.]+)`(?:, `(fsp/[\w/]+\.py)`)?", page, re.MULTILINE)
    assert 0 < len(rows) <= 5
    at, place = "transient", "fsp/doors.py"
    for caller, callee, file in rows:
        assert caller == at
        assert callee.rpartition(".")[2] in calls_in(function_at(place, caller))
        at, place = callee, file or place
        *_, last = function_at(place, at).body
        assert not isinstance(last, ast.Expr | ast.Raise | ast.Pass), f"an editor stops at {at}"
    assert place.endswith("kernels.py")


def function_at(file, name):
    tree = ast.parse((ROOT.parent / file).read_text(encoding="utf-8"))
    for part in name.split("."):
        tree = next(node for node in tree.body if getattr(node, "name", None) == part)
    return tree


def calls_in(function):
    called = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return {node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", None) for node in called}


def test_no_group_of_a_regular_expression_is_possessive():
    """Those of Python 3.11.0 to 3.11.4 forget what they matched (cpython issue 106052)."""
    possessive = re.compile(r"(?<!\\)\)(?:[*+?]|\{[0-9,]+\})\+|\(\?>")
    assert possessive.search(r"(?:a|b)*+")
    found = [
        f"{path.name}: {line.strip()}"
        for path in ROOT.rglob("*.py")
        for line in path.read_text().splitlines()
        if 'r"' in line and possessive.search(line)
    ]
    assert not found


def test_a_document_of_sbml_has_a_name_while_its_model_is_used():
    """It owns the model: without a name it is freed, and the model with it, while its parts are read."""

    def unnamed(text):
        calls = (node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute))
        return any(isinstance(call, ast.Call) and "readSBML" in ast.unparse(call.func) for call in calls)

    assert unnamed("libsbml.readSBMLFromString(text).getModel()")
    paths = [path for folder in ("fsp", "ci", "tests", "examples") for path in (ROOT.parent / folder).rglob("*.py")]
    assert not [path for path in paths if unnamed(path.read_text(encoding="utf-8"))]
