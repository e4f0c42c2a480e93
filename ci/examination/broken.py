"""Make broken and odd inputs: files of every format that is read, words of the command, arguments of functions.

The model is `0 -> A` at k, `A -> 0` at g A, whose mean is known, so that an answer to what still says the same can be
held against it.  An input is what is called, and what must come of it: ``right``, ``refused``, or ``either``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Random = np.random.Generator
K, G, T = 3.0, 1.0, 0.5
MEAN = K / G * (1.0 - math.exp(-G * T))
SOLVE = ["transient", "{file}", "--times", str(T), "--max-states", "20000", "--json", "--quiet"]


@dataclass(frozen=True)
class Input:
    """One input.

    Parameters
    ----------
    name
        What is done to it, for the report.
    expected
        ``right``: the right answer; ``refused``: an error; ``either``: one of the two.
    file
        Name and content of the file that is written, if any.
    words
        Arguments of the command, with ``{file}`` for the path; or None where `python` is run.
    python
        An expression or statements with `fsp`, `model`, `path`; what it calls `answer` is looked at.
    codes
        Exit statuses that refuse.
    """

    name: str
    expected: str
    file: tuple[str, bytes] | None = None
    words: tuple[str, ...] | None = None
    python: str = ""
    codes: tuple[int, ...] = (2, 3, 4, 5, 6)


SBML = """<?xml version="1.0" encoding="UTF-8"?>
<sbml xmlns="http://www.sbml.org/sbml/level3/version1/core" level="3" version="1">
  <model id="birth_death">
    <listOfCompartments>
      <compartment id="cell" spatialDimensions="3" size="1" constant="true"/>
    </listOfCompartments>
    <listOfSpecies>
      <species id="A" compartment="cell" initialAmount="0" hasOnlySubstanceUnits="true" boundaryCondition="false" \
constant="false"/>
    </listOfSpecies>
    <listOfParameters>
      <parameter id="k" value="3" constant="true"/>
      <parameter id="g" value="1" constant="true"/>
    </listOfParameters>
    <listOfReactions>
      <reaction id="make" reversible="false" fast="false">
        <listOfProducts><speciesReference species="A" stoichiometry="1" constant="true"/></listOfProducts>
        <kineticLaw><math xmlns="http://www.w3.org/1998/Math/MathML"><ci>k</ci></math></kineticLaw>
      </reaction>
      <reaction id="lose" reversible="false" fast="false">
        <listOfReactants><speciesReference species="A" stoichiometry="1" constant="true"/></listOfReactants>
        <kineticLaw><math xmlns="http://www.w3.org/1998/Math/MathML">\
<apply><times/><ci>g</ci><ci>A</ci></apply></math></kineticLaw>
      </reaction>
    </listOfReactions>
  </model>
</sbml>
"""
ANTIMONY = """model birth_death()
  substanceOnly species A;
  make: => A; k;
  lose: A => ; g*A;
  A = 0; k = 3; g = 1;
end
"""
MANIFEST = """tol = 1e-6
times = [0.5]

[[jobs]]
model = "model.ant"
set = { k = 3 }
"""
COMMON = """fsp.Model(species={"A": 0}, parameters={"k": 3.0, "g": 1.0},
    reactions=[fsp.Reaction("0 -> A", mass_action="k"), fsp.Reaction("A -> 0", mass_action="g")])"""


# ---- bytes


def flip(rng: Random, content: bytes) -> bytes:
    """Change some bytes."""
    broken = bytearray(content)
    for place in rng.integers(0, len(broken), int(rng.integers(1, 4))):
        broken[place] ^= 1 << int(rng.integers(8))
    return bytes(broken)


def cut(rng: Random, content: bytes) -> bytes:
    """Leave the end out."""
    return content[: int(rng.integers(0, len(content)))]


def drop(rng: Random, content: bytes) -> bytes:
    """Leave a piece out."""
    a, b = sorted(rng.integers(0, len(content), 2))
    return content[:a] + content[b:]


def repeat(rng: Random, content: bytes) -> bytes:
    """Write a piece twice."""
    a, b = sorted(rng.integers(0, len(content), 2))
    return content[:b] + content[a:]


def noise(rng: Random, content: bytes) -> bytes:
    """Write something else altogether."""
    return rng.bytes(int(rng.integers(0, 400)))


def number(rng: Random, content: bytes) -> bytes:
    """Put an extreme number in the place of one."""
    numbers = list(re.finditer(rb"(?<![\w.\"])\d+(\.\d+)?(?![\w.\"])|(?<=value=\")\d+|(?<=Amount=\")\d+", content))
    if not numbers:
        return content
    spot = numbers[int(rng.integers(len(numbers)))]
    new = rng.choice([b"1e308", b"1e-320", b"-1", b"1e18", b"9223372036854775808", b"nan", b"inf", b"0.5", b"1e400"])
    return content[: spot.start()] + bytes(new) + content[spot.end() :]


BYTES = (flip, cut, drop, repeat, noise, number)


def _any_bytes(rng: Random, name: str, content: bytes, words: tuple[str, ...], **more: Any) -> Input:
    change = BYTES[int(rng.integers(len(BYTES)))]
    return Input(change.__name__, "either", (name, change(rng, content)), words, **more)


# ---- model files


def sbml(rng: Random) -> Input:
    """Return an SBML file."""
    words = tuple(SOLVE)
    if rng.random() < 0.35:
        return _any_bytes(rng, "model.xml", SBML.encode(), words)
    name, expected, change = SBML_CHANGES[int(rng.integers(len(SBML_CHANGES)))]
    content = change(rng)
    data = content if isinstance(content, bytes) else content.encode()
    return Input(name, expected, ("model.xml", data), words)


def _with(old: str, new: str) -> Callable[[Random], str]:
    if old not in SBML:
        raise ValueError(f"The file must hold {old!r}, but does not.")
    return lambda rng: SBML.replace(old, new, 1)


def _law(make: Callable[[Random], str]) -> Callable[[Random], str]:
    return lambda rng: SBML.replace("<ci>k</ci>", make(rng), 1)


def _sum(rng: Random) -> str:
    n = int(rng.choice([100, 400, 1500, 6000]))
    return f"<apply><plus/><ci>k</ci>{'<cn>0</cn>' * n}</apply>"


def _deep(rng: Random) -> str:
    n = int(rng.choice([30, 100, 400, 2000, 30_000]))
    return "<apply><plus/><cn>0</cn>" * n + "<ci>k</ci>" + "</apply>" * n


def _expanding(rng: Random) -> str:
    n = int(rng.choice([5, 20, 40]))
    wrapped = "<lambda><bvar><ci>x</ci></bvar><apply><plus/>{0}<ci>x</ci></apply></lambda>"
    made = []
    for i in range(n):
        inner = f"<apply><ci>f{i - 1}</ci><ci>x</ci></apply>" * 2 if i else "<ci>x</ci>"
        math_ = f'<math xmlns="http://www.w3.org/1998/Math/MathML">{wrapped.format(inner)}</math>'
        made.append(f'<functionDefinition id="f{i}">{math_}</functionDefinition>')
    listed = f"<listOfFunctionDefinitions>{''.join(made)}</listOfFunctionDefinitions><listOfCompartments>"
    zero = f"<apply><plus/><ci>k</ci><apply><ci>f{n - 1}</ci><cn>0</cn></apply></apply>"
    return SBML.replace("<listOfCompartments>", listed, 1).replace("<ci>k</ci>", zero, 1)


def _rule(variable: str) -> str:
    return (
        f'<listOfRules><assignmentRule variable="{variable}"><math xmlns="http://www.w3.org/1998/Math/MathML">'
        "<cn>1</cn></math></assignmentRule></listOfRules><listOfReactions>"
    )


def _start(variable: str, times: int = 1) -> str:
    assignment = (
        f'<initialAssignment symbol="{variable}"><math xmlns="http://www.w3.org/1998/Math/MathML"><cn>0</cn></math>'
        "</initialAssignment>"
    )
    return f"<listOfInitialAssignments>{assignment * times}</listOfInitialAssignments><listOfReactions>"


def _doctype(rng: Random) -> str:
    names = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10 if i else "0"}">' for i in range(9))
    return SBML.replace("?>", f"?><!DOCTYPE sbml [{names}]>", 1).replace('value="3"', 'value="&e8;"')


K_AGAIN = '<parameter id="k" value="5" constant="true"/>'
SBML_CHANGES: list[tuple[str, str, Callable[[Random], str | bytes]]] = [
    ("as it is", "right", lambda rng: SBML),
    ("comments", "right", _with("<listOfSpecies>", "<!-- a comment --><listOfSpecies>")),
    ("CRLF", "right", lambda rng: SBML.replace("\n", "\r\n")),
    ("BOM", "either", lambda rng: b"\xef\xbb\xbf" + SBML.encode()),
    ("UTF-16", "either", lambda rng: SBML.replace("UTF-8", "UTF-16").encode("utf-16")),
    ("Latin-1", "either", lambda rng: SBML.replace('id="birth_death"', 'id="m" name="gar\xe7on"').encode("latin-1")),
    ("Greek name", "either", _with('<species id="A"', '<species name="β" id="A"')),
    ("notes", "right", _with('id="birth_death">', 'id="birth_death"><notes><p>x</p></notes>')),
    ("long sum", "either", _law(_sum)),
    ("deep nesting", "either", _law(_deep)),
    ("functions that expand", "either", _expanding),
    ("entities that expand", "either", _doctype),
    ("parameter twice", "refused", _with("</listOfParameters>", K_AGAIN + "</listOfParameters>")),
    (
        "species twice",
        "refused",
        _with(
            "</listOfSpecies>",
            '<species id="A" compartment="cell" initialAmount="7" hasOnlySubstanceUnits="true" '
            'boundaryCondition="false" constant="false"/></listOfSpecies>',
        ),
    ),
    ("reaction twice", "refused", _with('<reaction id="lose"', '<reaction id="make"')),
    ("id of two kinds", "refused", _with('<parameter id="g"', '<parameter id="A"')),
    ("amount and concentration", "refused", _with('initialAmount="0"', 'initialAmount="0" initialConcentration="2"')),
    ("rule on a constant", "refused", _with("<listOfReactions>", _rule("k"))),
    ("rule on what is not there", "refused", _with("<listOfReactions>", _rule("nothing"))),
    ("initial assignment of what is not there", "refused", _with("<listOfReactions>", _start("nothing"))),
    ("initial assignment twice", "refused", _with("<listOfReactions>", _start("A", 2))),
    ("initial assignment", "right", _with("<listOfReactions>", _start("A"))),
    ("species of no compartment", "refused", _with('compartment="cell" initial', 'compartment="none" initial')),
    ("reference to no species", "refused", _with('<speciesReference species="A"', '<speciesReference species="B"')),
    ("unknown name in a law", "refused", _with("<ci>k</ci>", "<ci>q</ci>")),
    ("call of an unknown function", "refused", _with("<ci>k</ci>", "<apply><ci>f</ci><ci>k</ci></apply>")),
    ("wrong number of arguments", "refused", _with("<ci>k</ci>", "<apply><divide/><ci>k</ci></apply>")),
    ("no law", "refused", lambda rng: re.sub("<kineticLaw>.*?</kineticLaw>", "", SBML, count=1)),
    ("empty law", "refused", _with("<ci>k</ci>", "")),
    ("no value", "refused", _with(' value="3"', "")),
    ("fraction of a molecule", "refused", _with('initialAmount="0"', 'initialAmount="0.5"')),
    ("negative amount", "refused", _with('initialAmount="0"', 'initialAmount="-3"')),
    ("huge amount", "either", _with('initialAmount="0"', 'initialAmount="1e19"')),
    ("infinite rate", "refused", _with('value="3"', 'value="INF"')),
    ("no number", "refused", _with('value="3"', 'value="NaN"')),
    ("negative rate", "refused", _with('value="3"', 'value="-3"')),
    ("stoichiometry of a half", "refused", _with('stoichiometry="1"', 'stoichiometry="0.5"')),
    ("no species", "refused", lambda rng: re.sub("<listOfSpecies>.*?</listOfSpecies>", "", SBML, flags=re.DOTALL)),
    ("no model", "refused", lambda rng: re.sub("<model.*</model>", "", SBML, flags=re.DOTALL)),
    ("not SBML", "refused", lambda rng: "<?xml version='1.0'?><html/>"),
    ("nothing", "refused", lambda rng: ""),
    ("delay", "refused", _with("<ci>k</ci>", "<apply><abs/></apply>")),
]


def antimony(rng: Random) -> Input:
    """Return an Antimony file."""
    words = tuple(SOLVE)
    if rng.random() < 0.4:
        return _any_bytes(rng, "model.ant", ANTIMONY.encode(), words)
    name, expected, old, new = ANTIMONY_CHANGES[int(rng.integers(len(ANTIMONY_CHANGES)))]
    n = int(rng.choice([50, 300, 1000]))
    new = new.replace("{sum}", " + 0" * n).replace("{open}", "(" * n).replace("{close}", ")" * n)
    return Input(name, expected, ("model.ant", ANTIMONY.replace(old, new, 1).encode()), words)


ANTIMONY_CHANGES = [
    ("as it is", "right", "A", "A"),
    ("comment", "right", "model", "// β\nmodel"),
    ("CRLF", "right", "\n", "\r\n"),
    ("long sum", "either", "; k;", "; k{sum};"),
    ("brackets", "either", "; k;", "; {open}k{close};"),
    ("unknown name", "refused", "; k;", "; q;"),
    ("negative rate", "refused", "k = 3", "k = -3"),
    ("rate at no molecules", "refused", "g*A;", "g*(A+1);"),
    ("not a number", "refused", "k = 3", "k = nan"),
    ("infinite", "refused", "k = 3", "k = inf"),
    ("fraction of a molecule", "refused", "A = 0", "A = 0.5"),
    ("negative count", "refused", "A = 0", "A = -1"),
    ("huge count", "either", "A = 0", "A = 1e18"),
    ("delay", "refused", "; k;", "; delay(k, 1);"),
    ("rate rule", "refused", "k = 3", "k' = 1"),
    ("reversible", "either", "A => ", "A -> "),
    ("explosion", "refused", "; k;", "; k + A^3;"),
    ("keyword as a name", "either", "make:", "model:"),
    ("nothing", "refused", ANTIMONY, ""),
    ("import of what is not there", "refused", "model ", 'import "nothing.ant"\nmodel '),
    ("nul", "either", "k = 3", "k = 3\0"),
    ("recursion", "refused", "  A = 0", "  s: birth_death();\n  A = 0"),
]


# ---- tables, results, manifests


def table(rng: Random) -> Input:
    """Return a CSV file of samples."""
    runs = 50
    counts = rng.poisson(MEAN, runs)
    rows = ["run,time,A"] + [f"{i},{T},{n}" for i, n in enumerate(counts)]
    words = ("verify", "{model}", "--samples", "{file}", "--no-power", "--no-diagnosis", "--quiet")
    known = {"words": words, "codes": (1, 2, 3, 4, 5, 6)}
    if rng.random() < 0.5:
        return _any_bytes(rng, "runs.csv", "\n".join(rows).encode(), words, codes=known["codes"])
    i = int(rng.integers(1, len(rows)))
    changes: list[tuple[str, str, Callable[[], str]]] = [
        ("as it is", "right", lambda: "\n".join(rows)),
        ("ragged", "refused", lambda: "\n".join([*rows[:i], rows[i] + ",7", *rows[i + 1 :]])),
        ("short row", "refused", lambda: "\n".join([*rows[:i], "3", *rows[i + 1 :]])),
        ("word", "refused", lambda: "\n".join([*rows[:i], f"{i},{T},many", *rows[i + 1 :]])),
        ("negative", "refused", lambda: "\n".join([*rows[:i], f"{i},{T},-1", *rows[i + 1 :]])),
        ("fraction", "refused", lambda: "\n".join([*rows[:i], f"{i},{T},1.5", *rows[i + 1 :]])),
        ("not a number", "refused", lambda: "\n".join([*rows[:i], f"{i},{T},nan", *rows[i + 1 :]])),
        ("huge", "either", lambda: "\n".join([*rows[:i], f"{i},{T},1e30", *rows[i + 1 :]])),
        ("header only", "refused", lambda: rows[0]),
        ("nothing", "refused", lambda: ""),
        ("no species", "refused", lambda: "\n".join(rows).replace("A", "B")),
        ("column twice", "either", lambda: "\n".join(row + "," + row.split(",")[-1] for row in rows)),
        ("negative time", "refused", lambda: "\n".join(rows).replace(f",{T},", ",-1,")),
        ("semicolons", "either", lambda: "\n".join(rows).replace(",", ";")),
    ]
    name, expected, make = changes[int(rng.integers(len(changes)))]
    return Input(name, expected, ("runs.csv", make().encode()), **known)


def manifest(rng: Random) -> Input:
    """Return a manifest of a batch."""
    words, codes = ("batch", "{file}", "--out", "{folder}/out", "--quiet"), (1, 2, 3, 4, 5, 6)
    if rng.random() < 0.4:
        return _any_bytes(rng, "jobs.toml", MANIFEST.encode(), words, codes=codes)
    changes = [
        ("as it is", "right", "", ""),
        ("unknown key", "refused", "tol =", "tool ="),
        ("no times", "refused", "times = [0.5]", ""),
        ("no jobs", "refused", "[[jobs]]", ""),
        ("negative tolerance", "refused", "1e-6", "-1"),
        ("words for times", "refused", "[0.5]", '["soon"]'),
        ("many times", "refused", "[0.5]", '"0:1:1000000000000"'),
        ("no model", "refused", "model.ant", "other.ant"),
        ("name with a path", "refused", "[[jobs]]", '[[jobs]]\nname = "../../x"'),
        ("unknown parameter", "refused", "k = 3", "q = 3"),
        ("many points", "refused", "set = { k = 3 }", 'sweep = { k = "1:2:1000000000000" }'),
        ("table for a number", "refused", "tol = 1e-6", "tol = { a = 1 }"),
        ("unknown solver", "refused", "tol =", 'solver = "best"\ntol ='),
        ("nested", "either", "[0.5]", "[" * 500 + "0.5" + "]" * 500),
    ]
    name, expected, old, new = changes[int(rng.integers(len(changes)))]
    return Input(name, expected, ("jobs.toml", MANIFEST.replace(old, new, 1).encode()), words, codes=codes)


def result(rng: Random) -> Input:
    """Return a result file, of one of three forms, with a change; what is read must be what was written."""
    made = ("fsp.transient(model, [0.25, 0.5])", "fsp.stationary(model)", "fsp.sweep(model, {'k': [2.0, 3.0]}, [0.5])")
    written = made[int(rng.integers(len(made)))]
    changes = {
        "flip": "content[place] ^= 1 << bit",
        "cut": "del content[place:]",
        "zeros": "content[place : place + 64] = bytes(len(content[place : place + 64]))",
        "noise": "content[:] = random.bytes(200)",
        "nothing": "content.clear()",
        "attribute": "attribute",
        "dataset": "dataset",
        "type": "type",
    }
    name = str(rng.choice(list(changes)))
    seed = int(rng.integers(2**31))
    return Input(f"{name} of a result", "either", python=_result_code(written, changes[name], seed))


def _result_code(written: str, change: str, seed: int) -> str:
    if change in ("attribute", "dataset", "type"):
        edit = f"damage(path, random, {change!r})"
    else:
        edit = f"""content = bytearray(path.read_bytes())
place, bit = int(random.integers(len(content))), int(random.integers(8))
{change}
path.write_bytes(content)"""
    return f"""from examination.results import damage, same
import numpy as np
random = np.random.default_rng({seed})
before = {written}
before.save(path)
{edit}
answer = same(before, fsp.read(path))"""


# ---- words and arguments


def command(rng: Random) -> Input:
    """Return words of the command that are wrong or extreme."""
    name, expected, words = COMMANDS[int(rng.integers(len(COMMANDS)))]
    return Input(name, expected, None, tuple(words.replace("{solve}", "transient {model} --quiet --json").split()))


COMMANDS = [
    ("as it is", "right", "{solve} --times 0.5"),
    *((f"--times {n}", "refused", f"{{solve}} --times {n}") for n in ("nan", "inf", "-1", "x", "2,1", "0:1", "0:1:0")),
    ("--times of 1e12", "refused", "{solve} --times 0:1:1000000000000"),
    ("--times 1e-310", "either", "{solve} --times 1e-310"),
    ("--times 1e300", "either", "{solve} --times 1e300"),
    *(
        (f"--tol {n}", "refused", f"{{solve}} --times 0.5 --tol {n}")
        for n in ("0", "-1", "1", "nan", "inf", "x", "1e400")
    ),
    ("--tol 1e-300", "either", "{solve} --times 0.5 --tol 1e-300"),
    *((f"--set {n}", "refused", f"{{solve}} --times 0.5 --set {n}") for n in ("q=1", "k", "k=", "k=x", "k=nan", "=3")),
    *((f"--set {n}", "refused", f"{{solve}} --times 0.5 --set {n}") for n in ("A=0.5", "A=-1", "k=-3", "k=inf")),
    ("--set A=1e18", "either", "{solve} --times 0.5 --set A=1e18"),
    ("--set k=1e300", "either", "{solve} --times 0.5 --set k=1e300"),
    ("--set and --sweep", "refused", "{solve} --times 0.5 --set k=3 --sweep k=1,2"),
    ("--sweep of 1e12", "refused", "{solve} --times 0.5 --sweep k=0:1:1000000000000"),
    *(
        (f"--sweep {n}", "refused", f"{{solve}} --times 0.5 --sweep {n}")
        for n in ("q=1,2", "k=", "k", "k=x,y", "k=nan")
    ),
    ("--jobs 0", "refused", "{solve} --times 0.5 --sweep k=1,2 --jobs 0"),
    ("--jobs without --sweep", "refused", "{solve} --times 0.5 --jobs 2"),
    ("--pairs without --sweep", "refused", "{solve} --times 0.5 --pairs"),
    ("--resume without --out", "refused", "{solve} --times 0.5 --resume"),
    ("--save-every without --out", "refused", "{solve} --times 0.5 --save-every 1"),
    ("--checkpoint without petsc", "refused", "{solve} --times 0.5 --checkpoint x"),
    *((f"--max-states {n}", "refused", f"{{solve}} --times 0.5 --max-states {n}") for n in ("0", "-1", "x", "2")),
    *((f"--max-memory {n}", "refused", f"{{solve}} --times 0.5 --max-memory {n}") for n in ("0", "-1GB", "x", "1QB")),
    *((f"--solver {n}", "refused", f"{{solve}} --times 0.5 --solver {n}") for n in ("best", "''", "Krylov()")),
    ("--out of the model", "refused", "{solve} --times 0.5 --out {model}"),
    ("--out of a device", "refused", "{solve} --times 0.5 --out /dev/null"),
    ("--out of a folder", "refused", "{solve} --times 0.5 --out {folder}"),
    ("--out in no folder", "refused", "{solve} --times 0.5 --out {folder}/none/run.h5"),
    ("--plot of a strange kind", "refused", "{solve} --times 0.5 --plot {folder}/run.xyz"),
    ("--plot of the model", "refused", "{solve} --times 0.5 --plot {model}"),
    ("--marginal of nothing", "refused", "transient {model} --quiet --times 0.5 --marginal B"),
    ("no times", "refused", "{solve}"),
    ("no model", "refused", "transient --times 0.5"),
    ("a folder for a model", "refused", "transient {folder} --times 0.5"),
    ("a device for a model", "refused", "transient /dev/null --times 0.5"),
    ("unknown option", "refused", "{solve} --times 0.5 --speed 3"),
    ("unknown command", "refused", "solve {model}"),
    ("stationary, --tol 0", "refused", "stationary {model} --quiet --tol 0"),
    ("relaxation, --modes 0", "refused", "relaxation {model} --quiet --modes 0"),
    ("relaxation, --modes 1e9", "either", "relaxation {model} --quiet --modes 1000000000"),
    ("verify without samples", "refused", "verify {model}"),
    ("verify, unknown simulator", "refused", "verify {model} --simulator best"),
    ("suite of nothing", "refused", "suite {folder}/none"),
]


def argument(rng: Random) -> Input:
    """Return a call with a wrong or extreme argument."""
    name, expected, code = CALLS[int(rng.integers(len(CALLS)))]
    return Input(name or code, expected, python=f"answer = {code}" if "answer" not in code else code)


_TRANSIENTS = (
    "[-1.0]", "[]", "['x']", "None", "[float('nan')]", "[float('inf')]", "[2.0, 1.0]", "[[1.0]]", "1j", "'soon'", "{}",
)  # fmt: skip
_OPTIONS = (
    "tol=0", "tol=1.0", "tol=-1",
    "tol='1e-6'", "tol=None", "tol=float('nan')", "solver='best'", "solver=3", "solver=None",
    "solver=fsp.Krylov", "space=3", "space='box'", "max_states=0", "max_states='many'", "max_states=2", "max_states=-5",
    "max_memory='1GB'", "max_memory=0", "max_memory=float('nan')",
    "progress=True", "backend='gpu'", "backend=3", "comm=3",
    "checkpoint='x'", "resume=True", "save_every=1", "start=3", "start='stationary!'", "speed=3",
)  # fmt: skip
_EVENTS = ("{'X': 1}", "{'A': '1'}", "{'A': 1.5}", "''", "'A +'", "'B > 1'", "'A'", "3", "None", "'A > '", "'f(A) > 1'")
_MODELS = (
    "species={}", "species={'A': -1}", "species={'A': 0.5}", "species={'A': float('nan')}", "species={'A': 10**30}",
    "species={'A B': 1}", "species=3", "species={'time': 1}", "reactions=[]", "reactions=[3]", "reactions='A -> 0'",
    "parameters={'k': 'q'}", "parameters={'k': 'k', 'g': 1}", "parameters={'A': 1, 'k': 1, 'g': 1}", "parameters=3",
    "parameters={'k': float('inf'), 'g': 1}", "parameters={'k': -1.0, 'g': 1}", "initial={(1, 2): 1.0}",
    "initial={(1,): 0.5}", "initial={(1,): -1.0, (2,): 2.0}", "initial={}", "events=[3]", "functions={'f': 'x'}",
    "functions={'f(x)': 'f(x)'}",
)  # fmt: skip
_REACTIONS = (
    "'A'", "'A -> B -> C'", "'-1 A -> 0'", "'1.5 A -> 0'", "''", "3", "{'A': 0.5}", "{'A': '1'}", "None", "'A <-> B'",
    "'A -> 0', rate='A', mass_action=1", "'A -> 0', rate=None", "'A -> 0', rate='A +'", "'A -> 0', rate='q*A'",
    "'A -> 0', mass_action=float('nan')", "'A -> 0', mass_action=-1.0", "'A -> 0', rate='1/A'", "'A -> 0', rate='1'",
    "'A -> 0', rate=lambda x: 'many'", "'A -> 0', rate=lambda x: x['B']", "'A -> 0', rate=lambda: 1.0",
    "'A -> 0', rate=lambda x: x['A'] * 1j", "'A -> 0', rate=lambda x: x['A'][:1]", "'A -> 0', rate='(' * 3000",
    "'A -> 0', rate='A' + '+0' * 100000 + 'q'", "'A -> 0', rate='import os'", "'A -> 0', rate='A.real'",
    "'A -> 0', rate='factorial(A)'", "'A -> 0', rate='A^A^A'", "'A -> 0', rate='exp(exp(A))*A'",
)  # fmt: skip
_BASE = {
    "species": "{'A': 2}",
    "parameters": "{'k': 3.0, 'g': 1.0}",
    "reactions": "[fsp.Reaction('0 -> A', mass_action='k'), fsp.Reaction('A -> 0', mass_action='g')]",
}


def _model(change: str) -> str:
    name, value = change.split("=", 1)
    parts = {**_BASE, name: value}
    return f"fsp.transient(fsp.Model({', '.join(f'{k}={v}' for k, v in parts.items())}), [0.1])"


CALLS: list[tuple[str, str, str]] = [
    ("as it is", "right", "fsp.transient(model, [0.5])[-1].mean_interval()['A']"),
    *(("", "refused", f"fsp.transient(model, {times})") for times in _TRANSIENTS),
    *(("", "refused", f"fsp.transient(model, [0.5], {option})") for option in _OPTIONS),
    *(("", "refused", f"fsp.transient(model, [0.5])[-1].probability({event})") for event in _EVENTS),
    *((f"Model({change})", "refused", _model(change)) for change in _MODELS),
    *(
        (
            f"Reaction({law})",
            "either" if "lambda" in law or "^" in law or "factorial" in law or "exp" in law else "refused",
            f"fsp.transient(fsp.Model(species={{'A': 3}}, reactions=[fsp.Reaction({law})]), [0.1], max_states=1000)",
        )
        for law in _REACTIONS
    ),
    ("", "refused", "fsp.transient('model.ant', [0.5])"),
    ("", "refused", "fsp.transient(None, [0.5])"),
    ("", "either", "fsp.transient(model, [1e-310])"),
    ("", "either", "fsp.transient(model, [1e300])"),
    ("many times", "refused", "fsp.transient(model, range(10**9))"),
    *(
        ("", "refused", f"fsp.stationary(model, {option})")
        for option in ("tol=0", "method='best'", "lyapunov='B'", "lyapunov='-A'", "lyapunov=3", "space=3", "speed=1")
    ),
    *(("", "refused", f"fsp.relaxation(model, {n})") for n in ("0", "-1", "1.5", "'two'", "None")),
    ("", "either", "fsp.relaxation(model, 10**9)"),
    *(
        ("", "refused", f"fsp.sweep(model, {values}, [0.5])")
        for values in ("{}", "{'q': [1]}", "{'k': []}", "{'k': ['x']}", "{'k': [-1.0]}", "3", "{'k': [float('nan')]}")
    ),
    ("", "refused", "fsp.sweep(model, {'k': [1.0]}, [0.5], processes=0)"),
    ("", "refused", "fsp.sweep(model, {'k': [1.0]}, [0.5], speed=3)"),
    ("", "refused", "fsp.sweep(model, {'k': [1.0]}, [0.5], errors='hide')"),
    *(("", "refused", f"fsp.load({path})") for path in ("'none.xml'", "3", "None", "''", "'/'", "'/dev/null'", "b'x'")),
    *(("", "refused", f"fsp.read({path})") for path in ("'none.h5'", "3", "None", "''", "'/'", "'/dev/null'")),
    *(
        ("", "refused", f"fsp.StateSpace.box(model, {upper})")
        for upper in ("upper=-1", "upper={'B': 3}", "upper='x'", "upper=1.5", "upper=10**30", "upper={}")
    ),
    *(
        ("", "refused", f"fsp.StateSpace.reachable(model, {c})")
        for c in ("['A <']", "['B < 3']", "[3]", "'A'", "['A < 3', 7]", "max_states=0", "steps=-1")
    ),
    *(
        ("", "refused", f"fsp.ssa(model, {given})")
        for given in (
            "[1.0], 0",
            "[1.0], -1",
            "[-1.0], 5",
            "[1.0], 1.5",
            "[1.0], 5, seed='x'",
            "[], 5",
            "[1.0], 10**18",
        )
    ),
    *(
        ("", "refused", f"fsp.verify(model, {given}, [0.5])")
        for given in ("[]", "'none.csv'", "3", "[[['x']]]", "None")
    ),
    *(("", "refused", f"fsp.{solver}(tol=-1)") for solver in ("Krylov", "Uniformization", "Implicit", "Rational")),
    *(("", "refused", f"fsp.Krylov(dimension={n})") for n in ("0", "-1", "1.5", "'x'")),
    *(("", "refused", f"model.with_parameters({g})") for g in ("q=1", "k='x'", "k=float('nan')", "3", "k=-1.0, q=2")),
]
FORMATS: dict[str, Callable[[Random], Input]] = {
    "SBML": sbml,
    "Antimony": antimony,
    "CSV": table,
    "HDF5": result,
    "TOML": manifest,
    "command": command,
    "Python": argument,
}


def draw(form: str, seed: int) -> Input:
    """Return the input of a form with a seed."""
    return FORMATS[form](np.random.default_rng([*form.encode(), seed]))


def write_around(folder: Path) -> dict[str, str]:
    """Write a good model into a folder; return what words are replaced by."""
    model = folder / "model.ant"
    model.write_text(ANTIMONY, encoding="utf-8")
    return {"{model}": str(model), "{folder}": str(folder)}
