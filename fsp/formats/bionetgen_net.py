"""Reaction networks that BioNetGen generated (`.net`), with its rules for counting.

A reaction names its reactants by number, and its law is a constant with BioNetGen's statistical factor: 0.5*k of
`A + A`.  Its simulator multiplies by x (x − 1) … of equal reactants, without dividing, and so does this reader.
Functions of observables take the place of a constant, and are multiplied by the reactants alike; `Sat`, `MM` and `Hill`
are as in BioNetGen's Network3.  Rules, from which the network was made, are not read again.

References
----------
J. R. Faeder, M. L. Blinov, W. S. Hlavacek, Methods Mol. Biol. 500 (2009) 113, doi:10.1007/978-1-59745-525-1_5.
L. A. Harris et al., Bioinformatics 32 (2016) 3366, doi:10.1093/bioinformatics/btw469.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from fsp.errors import ModelError
from fsp.formats.foreign_formulas import FUNCTIONS, as_ours
from fsp.formats.powers import product
from fsp.formats.sbml import Finish, as_it_stands
from fsp.formats.units import COUNTED
from fsp.model.conversion import Conversion
from fsp.model.definition import read_definition
from fsp.model.formula import is_name, parse, parse_functions
from fsp.model.model import Model
from fsp.model.plain import CONSTANTS
from fsp.model.reaction import Reaction, Stoichiometry, net_change
from fsp.model.tree import ONE, ZERO, Expression, Number, Symbol, call

MOST_NAMES = 20  # species that are renamed are listed up to this many; chosen

_READ = ("parameters", "species", "functions", "groups", "reactions")
_RULE_BLOCKS = {  # blocks of what a network was made from
    "actions", "anchors", "compartments", "energy patterns", "molecule types", "observables", "population maps",
    "population types", "reaction rules", "seed species",
}  # fmt: skip
_OPTION_LINE = re.compile(r"(?:setOption|setModelName|version|substanceUnits)\s*\(.*\)\s*;?")
_ENTRY = {
    "parameters": re.compile(r"(?:\d+\s+)?(?P<name>\w+)\s*(?:=|\s)\s*(?P<value>.+)"),
    "species": re.compile(r"(?P<index>\d+)\s+(?P<name>\S+)\s+(?P<value>.+)"),
    "functions": re.compile(r"(?:\d+\s+)?(?P<name>\w+)\s*\((?P<arguments>[^)]*)\)\s*=?\s*(?P<value>.+)"),
    "groups": re.compile(r"(?:\d+\s+)?(?P<name>\w+)(?:\s+(?P<value>.+))?"),
    "reactions": re.compile(
        r"(?P<index>\d+)\s+(?P<reactants>\d+(?:,\d+)*)\s+(?P<products>\d+(?:,\d+)*)\s+(?P<value>.+)"
    ),
}
_LAW = re.compile(r"(?:(?P<factor>[^\s*]+)\*)?(?P<kind>Ele|Sat|MM|Hill)\s+(?P<constants>.+)")


def read_net(text: str, path: Path, finish: Finish = as_it_stands) -> Model:
    """Read the text of a .net file; `finish` makes the model of what it says."""
    blocks = _blocks(text, path.name)
    names = [fields["name"] for kind in ("parameters", "functions", "groups") for _, fields in blocks[kind]]
    formula = _formulas(names, path.name)
    groups = _groups(blocks["groups"], path.name)
    patterns = {fields["index"]: fields["name"] for _, fields in blocks["species"]}
    _check_numbers(blocks["reactions"], groups, patterns, path.name)
    species = _species(patterns, names, groups)
    parameters = {fields["name"]: formula(fields["value"]) for _, fields in blocks["parameters"]}
    parameters |= {name: _sum(members, species) for name, members in groups.items() if name not in species.values()}
    parameters |= {fields["name"]: formula(_global(fields, number, path)) for number, fields in blocks["functions"]}
    counts = {species[fields["index"]]: formula(fields["value"]) for _, fields in blocks["species"]}
    held = {species[index] for index, pattern in patterns.items() if "$" in pattern}
    reactions = [_reaction(fields, species, held, formula) for _, fields in blocks["reactions"]]
    definition = read_definition(counts, reactions, parameters, None, {}, (), path.stem, "")
    return finish(replace(definition, conversion=Conversion(_renamed(patterns, species))), COUNTED)


Entry = tuple[int, dict[str, str]]  # a line's number, and its fields


def _blocks(text: str, source: str) -> dict[str, list[Entry]]:
    """Return the entries of the blocks that are read."""
    blocks: dict[str, list[Entry]] = {name: [] for name in _READ}
    block = ""
    for number, line in _lines(text):
        word, _, rest = line.partition(" ")
        if word in ("begin", "end"):
            name = " ".join(rest.split())
            block = name if word == "begin" and name != "model" else ""
            if block not in ("", *_READ, *_RULE_BLOCKS):
                raise ModelError(
                    f"BioNetGen file '{source}' must have the blocks {', '.join(_READ)}, but has '{block[:80]}' in "
                    f"line {number}."
                )
        elif not block:
            _check_option(line, number, source)
        elif block in _READ:
            blocks[block].append((number, _fields(block, line, number, source)))
    _check_different(blocks, source)
    return blocks


def _check_different(blocks: Mapping[str, list[Entry]], source: str) -> None:
    """Refuse two entries of one number or name."""
    keys = {
        name: [fields["index" if "index" in fields else "name"] for _, fields in entries]
        for name, entries in blocks.items()
    }
    values = ("parameters", "functions", "groups")
    keys["patterns of species"] = [fields["name"].lstrip("$") for _, fields in blocks["species"]]
    keys["parameters, functions and groups"] = [key for name in values for key in keys[name]]
    for name, given in keys.items():
        twice = next((key for key, n in Counter(given).items() if n > 1), None)
        if twice is not None:
            raise ModelError(f"BioNetGen file '{source}' must have {name} that differ, but has '{twice}' twice.")


def _fields(block: str, line: str, number: int, source: str) -> dict[str, str]:
    fields = _ENTRY[block].fullmatch(line)
    if fields is None:
        raise ModelError(
            f"BioNetGen file '{source}' must have {block} of the form of .net files, but has '{line[:80]}' in "
            f"line {number}."
        )
    return {key: value or "" for key, value in fields.groupdict().items()}


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines that say something, without comments, with those that go on joined."""
    begun = ""
    for number, line in enumerate(text.splitlines(), 1):
        begun += line.partition("#")[0].strip()
        if begun.endswith("\\"):
            begun = begun[:-1] + " "
            continue
        if begun:
            yield number, re.sub(r"\s+", " ", begun)
        begun = ""


def _check_option(line: str, number: int, source: str) -> None:
    if _OPTION_LINE.fullmatch(line) is None:
        raise ModelError(
            f"BioNetGen file '{source}' must hold a network alone, but has '{line[:80]}' in line {number}, which is no "
            f"part of one; actions are not followed."
        )
    if line.startswith("substanceUnits") and "number" not in line.lower():
        raise ModelError(
            f"BioNetGen file '{source}' must count in numbers, but has {line[:80]}; generate the network with "
            f'substanceUnits("Number").'
        )


def _formulas(names: Collection[str], source: str) -> Callable[[str], Expression]:
    """Return what reads formulas of these names, each text once."""
    functions = parse_functions(FUNCTIONS)
    what = f"A formula of BioNetGen file '{source}'"

    @cache
    def formula(text: str) -> Expression:
        return parse(as_ours(text, names), what=what, functions=functions, names=names)

    return formula


def _global(fields: Mapping[str, str], number: int, path: Path) -> str:
    """Return the formula of a function, which has no arguments in a network."""
    if fields["arguments"].strip():
        raise ModelError(
            f"BioNetGen file '{path.name}' must have functions of observables alone, but '{fields['name']}' in line "
            f"{number} has the argument '{fields['arguments'].strip()}'."
        )
    return fields["value"]


# ---------------------------------------------------------------------- species and observables


def _groups(entries: list[Entry], source: str) -> dict[str, dict[str, int]]:
    """Return the species of each observable, by number, with how often each counts."""
    groups = {}
    for number, fields in entries:
        members = Counter[str]()
        for entry in filter(None, fields["value"].replace(" ", "").split(",")):
            weight, times, index = entry.rpartition("*")
            if not index.isdigit() or (times and not weight.isdigit()):
                raise ModelError(
                    f"BioNetGen file '{source}' must have groups such as 1,2*3, but has '{entry}' in line {number}."
                )
            members[index] += int(weight or 1)
        groups[fields["name"]] = dict(members)
    return groups


def _check_numbers(
    reactions: list[Entry], groups: Mapping[str, Mapping[str, int]], species: Collection[str], source: str
) -> None:
    """Refuse numbers that no species has."""
    used = {n for _, fields in reactions for side in ("reactants", "products") for n in fields[side].split(",")}
    unknown = sorted(used.union(*groups.values()) - {"0", "", *species})
    if unknown:
        raise ModelError(
            f"BioNetGen file '{source}' must have reactions and groups of species of the file, but has number "
            f"{unknown[0]}, which none of them has."
        )


def _species(
    patterns: Mapping[str, str], names: Collection[str], groups: Mapping[str, Mapping[str, int]]
) -> dict[str, str]:
    """Return a name of letters for each species, by number.

    A species that an observable of its name counts, and nothing else, is the observable: `A` of `A()`.
    """
    plain = {index: _plain(pattern) for index, pattern in patterns.items()}
    given = {index: name for index, name in plain.items() if groups.get(name) == {index: 1}}
    taken = set(names) | set(CONSTANTS) | {"time"}
    for index, name in plain.items():
        if index in given:
            continue
        while name in taken:
            name += "_"
        taken.add(name)
        given[index] = name
    return {index: given[index] for index in patterns}


def _plain(pattern: str) -> str:
    """Return the letters of a pattern: A_b_1_B_a_1 of A(b!1).B(a!1)."""
    letters = re.sub(r"\W+", "_", pattern.replace("()", ""), flags=re.ASCII).strip("_")
    return letters if is_name(letters) else f"s_{letters}"


def _renamed(patterns: Mapping[str, str], species: Mapping[str, str]) -> tuple[str, ...]:
    lines = [
        f"species {pattern} is called {species[index]}"
        for index, pattern in patterns.items()
        if pattern.replace("()", "").replace("$", "") != species[index]
    ]
    more = len(lines) - MOST_NAMES
    return (
        *lines[:MOST_NAMES],
        *([f"so are {more} further species called by the letters of theirs"] if more > 0 else []),
    )


def _sum(members: Mapping[str, int], species: Mapping[str, str]) -> Expression:
    """Return an observable as a sum of counts."""
    return call(
        "+", *(call("*", Symbol(species[index]), Number(float(n))) for index, n in members.items()), Number(0.0)
    )


# ---------------------------------------------------------------------- reactions


def _reaction(
    fields: Mapping[str, str], species: Mapping[str, str], held: Collection[str], formula: Callable[[str], Expression]
) -> Reaction:
    reactants, products = (
        dict(Counter(species[index] for index in fields[side].split(",") if index not in ("0", "")))
        for side in ("reactants", "products")
    )
    change = {name: n for name, n in net_change(reactants, products).items() if name not in held}
    named = _LAW.fullmatch(fields["value"])
    if named is None:
        rate = product(formula(fields["value"]), _tuples(reactants))
    else:
        rate = product(formula(named["factor"] or "1"), [_law_by_name(named, reactants, formula)])
    return Reaction(Stoichiometry(reactants, products, change), rate=rate)


def _tuples(reactants: Mapping[str, int]) -> list[Expression]:
    """Return x, x − 1, … of all reactants."""
    return [call("-", Symbol(name), Number(float(k))) for name, n in reactants.items() for k in range(n)]


def _law_by_name(
    named: re.Match[str], reactants: Mapping[str, int], formula: Callable[[str], Expression]
) -> Expression:
    """Return a law of BioNetGen's own, as its Network3 computes it for molecules."""
    first, *constants = [formula(text) for text in named["constants"].split()]
    counts: list[Expression] = [Symbol(name) for name, n in reactants.items() for _ in range(n)]
    many, kind = len(constants), named["kind"]
    if kind == "Ele" and not many:
        return product(first, _tuples(reactants))
    if kind == "Sat" and many <= len(counts):
        saturated = [call("+", km, x) for km, x in zip(constants, counts, strict=False)]
        return call("/", product(first, _tuples(reactants)), product(ONE, saturated)) if many else first
    if kind == "Hill" and many == 2 and counts:
        xn, kn = (call("^", base, constants[1]) for base in (counts[0], constants[0]))
        return product(first, [call("/", xn, call("+", kn, xn)), *_tuples(reactants)[1:]])
    if kind == "MM" and many == 1 and len(counts) > 1:
        enzyme, free = call("+", *counts[1:], ZERO), _free_substrate(counts, constants[0])
        return product(first, [enzyme, call("/", free, call("+", constants[0], free))])
    raise ModelError(f"A law {kind} of BioNetGen must have its constants and reactants, but one is '{named[0]}'.")


def _free_substrate(counts: Sequence[Expression], km: Expression) -> Expression:
    """Return the substrate that is bound to no enzyme, in the quasi-steady state of its total and the enzyme's."""
    b = call("-", call("-", counts[0], km), call("+", *counts[1:], ZERO))
    root = call("sqrt", call("+", call("^", b, Number(2.0)), call("*", Number(4.0), counts[0], km)))
    return call("*", Number(0.5), call("+", b, root))
