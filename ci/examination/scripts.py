"""Write a failing case as a script that needs nothing but the package."""

from __future__ import annotations

import json
import shlex
import textwrap
from pathlib import Path
from typing import Any

from examination.broken import COMMON, Input, write_around
from examination.networks import Network

HEAD = '''"""{title}

{message}
"""

import fsp

model = fsp.Model(
    species={species},
    parameters={parameters},
    reactions=[
{reactions}
    ],{rest}
)
'''


def write(folder: Path, kind: str, seed: int, network: Network, record: dict[str, Any]) -> Path:
    """Write one script and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    name = "-".join([kind, str(seed), record["door"], record["solver"], f"{record['tol']:g}", record["verdict"]])
    path = folder / (name.replace(", ", "-").replace(" ", "-") + ".py")
    path.write_text(text(kind, seed, network, record), encoding="utf-8")
    return path


def text(kind: str, seed: int, network: Network, record: dict[str, Any]) -> str:
    """Return the script."""
    rest = ""
    if "initial" in network:
        rest += f"\n    initial={ {tuple(state): p for state, p in network['initial']} },"
    if "events" in network:
        events = [(e.get("trigger", f"time >= {e.get('at')}"), e["assignments"]) for e in network["events"]]
        rest += "\n    events=[" + ", ".join(f"fsp.Event({t!r}, {a!r})" for t, a in events) + "],"
    head = HEAD.format(
        title=f"{record['verdict'].capitalize()}: kind {kind}, seed {seed}.",
        message="\n".join(textwrap.wrap(record.get("message", ""), 110)).replace("\\", "\\\\").replace('"""', "'''"),
        species=json.dumps(list(network["species"]) if "initial" in network else network["species"]),
        parameters=json.dumps(network["parameters"]),
        reactions=textwrap.indent(
            "\n".join(f"fsp.Reaction({_arguments(reaction)})," for reaction in network["reactions"]), 8 * " "
        ),
        rest=rest,
    )
    return head + _call(network, record) + _right(record)


def _arguments(reaction: dict[str, Any]) -> str:
    equation, *law = reaction.items()
    return ", ".join([repr(equation[1]), *(f"{name}={value!r}" for name, value in law)])


def _call(network: Network, record: dict[str, Any]) -> str:
    if "call" in record:
        return f"answer = {record['call']}\nprint(answer)\n"
    times, tol, solver = network["times"], record["tol"], record["solver"]
    match record["door"]:
        case "stationary":
            return f"answer = fsp.stationary(model, {tol!r}, method={solver!r})\nprint(answer)\n"
        case "relaxation":
            return "answer = fsp.relaxation(model, 1)\nprint(answer)\n"
        case "sweep":
            name, value = next(iter(network["parameters"].items()))
            values = [float(f"{factor * value:.4g}") for factor in (0.7, 1.0, 1.3)]
            return f"answer = fsp.sweep(model, { {name: values} }, {times}, {tol!r}, processes=1)\nprint(answer)\n"
    at = record.get("at", -1)
    space = f"fsp.StateSpace.box(model, upper={network['upper']})" if record["door"] == "box" else "None"
    return f"answer = fsp.transient(model, {times}, {tol!r}, solver={solver!r}, space={space})[{at}]\nprint(answer)\n"


def _right(record: dict[str, Any]) -> str:
    right = record.get("right")
    if not right:
        return ""
    if record["door"] == "relaxation":
        return f"print('right:', {right})\n"
    if record["door"] == "sweep":  # of one of its points
        return ""
    listed = ", ".join(f"{tuple(state)}: {p!r}" for state, p in right)
    return textwrap.dedent(f"""\
        right = {{{listed}}}
        found = dict(zip(map(tuple, answer.states.tolist()), answer.probabilities.tolist(), strict=True))
        rest = sum(abs(right.get(x, 0.0) - found.get(x, 0.0)) for x in right.keys() | found.keys())
        print("distance", rest, "bound", answer.error.total)
        """)


def write_input(folder: Path, form: str, seed: int, given: Input, record: dict[str, Any]) -> Path:
    """Write a broken input with its file, and return the path of the script."""
    place = folder / f"{form}-{seed}"
    place.mkdir(parents=True, exist_ok=True)
    write_around(place)
    if given.file is not None:
        (place / given.file[0]).write_bytes(given.file[1])
    path = place / ("call.sh" if given.words is not None else "call.py")
    said = " ".join(record["message"].split())
    if given.words is None:
        common = f"from pathlib import Path\n\nimport fsp\n\npath = Path('run.h5')\nmodel = {COMMON}\n"
        path.write_text(f"# {record['verdict']}: {said}\n{common}{given.python}\nprint(answer)\n", encoding="utf-8")
    else:
        words = [
            word.replace("{file}", given.file[0] if given.file else "")
            .replace("{model}", "model.ant")
            .replace("{folder}", ".")
            for word in given.words
        ]
        path.write_text(f"# {record['verdict']}: {said}\nfsp {shlex.join(words)}\n", encoding="utf-8")
    return path
