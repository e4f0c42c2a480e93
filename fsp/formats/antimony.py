"""Antimony text, turned into SBML by the antimony library, which keeps one model list for the process.

What the library hangs or crashes at is refused before: files that import themselves, statements that are very long or
deep, and formulas that use each other too often (`antimony_references`).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from fsp.errors import BackendError, ModelError
from fsp.formats.antimony_references import check_functions, check_values
from fsp.formats.sbml import Finish, as_it_stands, read_sbml
from fsp.imports import loaded
from fsp.model.libraries import one_at_a_time
from fsp.model.literals import beyond_doubles
from fsp.model.model import Model

MOST_OPERATORS = 10_000  # in a statement: the library's time grows with their square, 3 s for this many
MOST_PARENTHESES = 500  # within each other: the library's time grows with their square, and 3,000 take 4 s

_IMPORT = re.compile(r'\bimport\s+"([^"\n]*)"')
_UNREAD = re.compile(r'"[^"\n]*"|//[^\n]*|#[^\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL)  # texts and comments
_BOUND = re.compile(r"^[ \t]*(?:(?:model|module)\s++\*?\s*+(\w+)|end\b)", re.MULTILINE)  # of a module
_SUBMODEL = re.compile(r":\s*(\w+)\s*\(")
_UNIT = re.compile(r'\b(?:units|substanceUnits)="(\w+)"')
_DEFINED = re.compile(r'<unitDefinition[^>]*\bid="(\w+)"[^>/]*>')  # the library lists those that nothing defines too
_UNKNOWN_UNIT = re.compile(r"unknown unit definition: '(\w+)'")
_LOOP = re.compile(r"[Ll]oop detected(?:: ([\w.]+)'s definition|.*?formula for '([\w.]+)')")
_LOOP_OF_SIZE = "implicit reference to compartment"  # of libsbml, for Antimony 3.1
_WORD = re.compile(r"unexpected \"'(\w+)'\"")  # of Antimony's own, where a name is expected
_OPERATOR = re.compile(r"[-+*/^&|<>=]")


def read_antimony(text: str, path: Path, finish: Finish = as_it_stands) -> Model:
    """Read Antimony text; `finish` makes the model of what it says."""
    return read_sbml(sbml_of(text, path), path.name, finish)


@one_at_a_time
def sbml_of(text: str, path: Path) -> str:
    """Return the SBML that the library makes of Antimony text."""
    try:
        antimony = loaded("antimony")
    except ImportError as error:
        raise BackendError(f"Antimony files need the package 'antimony', but it does not load: {error}.") from error
    _check(text, path, ())
    antimony.clearPreviousLoads()
    antimony.clearDirectories()
    antimony.addDirectory(str(path.parent))
    if antimony.loadAntimonyString(text) < 0:
        reason = " ".join(antimony.getLastError().split()).removeprefix("Error in ")
        _check_units(_UNKNOWN_UNIT.findall(reason), text, path)
        raise ModelError(
            f"Antimony file '{path.name}' must be well formed, but has an error in {reason}{_way_out(reason, text)}"
        )
    sbml = str(antimony.getSBMLString(antimony.getMainModuleName()))
    defined = set(_DEFINED.findall(sbml))
    _check_units([unit for unit in dict.fromkeys(_UNIT.findall(sbml)) if unit not in defined], text, path)
    return sbml


def _check(text: str, path: Path, importers: tuple[Path, ...]) -> None:
    """Refuse what the library does not survive, in a file and in those that it imports."""
    place = path.resolve()
    if place in importers:
        circle = " -> ".join(file.name for file in (*importers[importers.index(place) :], place))
        raise ModelError(f"Antimony files must not import themselves, but {circle} is a circle.")
    _check_statements(_UNREAD.sub(_blank, text), path)
    for name in _IMPORT.findall(_UNREAD.sub(_without_comment, text)):
        existing = next((file for file in (path.parent / name, Path(name)) if file.is_file()), None)
        if existing is not None:  # the library says what is missing
            _check(existing.read_text(encoding="utf-8-sig", errors="replace"), existing, (*importers, place))


def _without_comment(match: re.Match[str]) -> str:
    return match.group() if match.group().startswith('"') else _blank(match)


def _blank(match: re.Match[str]) -> str:
    return "\n" * match.group().count("\n")


def _check_statements(text: str, path: Path) -> None:
    """Check statements, whose strings and comments are taken out."""
    strange = next((character for character in text if not character.isascii()), None)
    if strange is not None:
        line = text.count("\n", 0, text.index(strange)) + 1
        raise ModelError(
            f"Antimony file '{path.name}' must have names of letters a to z, digits and _, but has '{strange}' in "
            f'line {line}; put other texts in quotes, as in: X is "{strange}".'
        )
    outside = beyond_doubles(text, sys.float_info.min)  # the library reads 1e400 as 1 of the unit e400
    if outside is not None:
        raise ModelError(
            f"Antimony file '{path.name}' must have numbers from 2.3e-308 to 1.7e308, or 0, but has {outside}."
        )
    _check_modules(text, path)
    for line, statement in _statements(text):
        operators, deepest = len(_OPERATOR.findall(statement)), _deepest(statement)
        if operators > MOST_OPERATORS or deepest > MOST_PARENTHESES:
            raise ModelError(
                f"Antimony file '{path.name}' must have statements of at most {MOST_OPERATORS:,} operators and "
                f"{MOST_PARENTHESES} parentheses within each other, but that in line {line} has {operators:,} and "
                f"{deepest:,}."
            )
    check_functions(text, path.name)
    for module in _BOUND.split(text)[::2]:  # names of one module are others in another
        check_values((statement for _, statement in _statements(module)), path.name)


def _way_out(reason: str, text: str) -> str:
    """Say what to write in place of a word of Antimony, or of a value that is set by itself."""
    word = _WORD.search(reason)
    if word is not None:
        return f". '{word[1]}' is a word of Antimony's own: a name must be another one, such as '{word[1]}_'."
    loop = _LOOP.search(reason)
    name = (loop[1] or loop[2]) if loop is not None else ""
    is_size = re.search(rf"\bcompartment\b[^;\n]*(?<![\w.]){re.escape(name)}(?!\w)", text) is not None
    if _LOOP_OF_SIZE in reason or (name and is_size):
        return (
            " The concentration of a species depends on the size of its compartment: give the size as a number, or "
            "make amounts of the species, as in 'substanceOnly species X in cell'."
        )
    return f" Give '{name}' a number, or a formula of what does not depend on '{name}'." if name else ""


def _check_units(units: Iterable[str], text: str, path: Path) -> None:
    """Refuse a number such as 1_000, 0x10 or 1d3, which the library reads up to a unit that nothing defines."""
    import libsbml

    plain = _UNREAD.sub(_blank, text)
    for unit in units:
        number = re.search(rf"(?<![\w.])(?:\d+\.?\d*|\.\d+){unit}\b", plain)
        if number is not None and libsbml.UnitKind_forName(unit) == libsbml.UNIT_KIND_INVALID:
            raise ModelError(
                f"Antimony file '{path.name}' must have numbers such as 1000, 0.5 or 1e3, but has {number.group()}, "
                f"which ends in the unit '{unit}', and nothing defines that; a blank before a unit says that it is one."
            )


def _check_modules(text: str, path: Path) -> None:
    """Refuse models that are submodels of themselves, at which the library crashes."""
    inside = {name: set(_SUBMODEL.findall(module)) for name, module in _modules(text)}
    for name in inside:
        reached, due = set[str](), [name]
        while due:
            more = inside.get(due.pop(), set()) - reached
            reached |= more
            due += more
        if name in reached:
            raise ModelError(f"Antimony file '{path.name}' must have no model within itself, but '{name}' is.")


def _modules(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each module."""
    name, begin = "", 0
    for bound in _BOUND.finditer(text):
        if name:
            yield name, text[begin : bound.start()]
        name, begin = bound.group(1) or "", bound.end()


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield each statement with the line that it begins in."""
    line = 1
    for statement in re.split(r"(?<=[;\n])", text):
        yield line, statement
        line += statement.count("\n")


def _deepest(statement: str) -> int:
    depth = deepest = 0
    for sign in re.findall(r"[()]", statement):
        depth += 1 if sign == "(" else -1
        deepest = max(deepest, depth)
    return deepest
