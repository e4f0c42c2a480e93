"""What is written for PRISM is the same chain: read back by its grammar, state by state."""

from __future__ import annotations

import re

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.linalg import expm

import fsp
from fsp.command.main import main
from fsp.errors import ArgumentError, ModelError
from fsp.formats.prism import write_prism, write_properties

_RANGE = re.compile(r"^  (\w+) : \[0\.\.MAX_\w+\] init (\d+);$", re.MULTILINE)
_MOST = re.compile(r"^const int (MAX_\w+) = (\d+);$", re.MULTILINE)
_COMMAND = re.compile(r"^  \[\] (.+) -> (.+) : (.+);$", re.MULTILINE)


def as_python(text):
    """Return an expression of PRISM's as one of Python's."""
    while "?" in text:
        at = text.index("?")
        start, middle, end = matching(text, at, -1, "("), matching(text, at, 1, ":"), matching(text, at, 1, ")")
        condition, yes, no = text[start + 1 : at], text[at + 1 : middle], text[middle + 1 : end]
        text = f"{text[:start]}(({yes}) if ({condition}) else ({no})){text[end + 1 :]}"
    text = text.replace("&", " and ").replace("|", " or ").replace("true", "True")
    return re.sub(r"!(?!=)", " not ", re.sub(r"(?<![<>!])=", "==", text)).strip()


def matching(text, at, step, sign):
    """Return where a sign stands in the same parentheses, or theirs."""
    depth = 0
    while True:
        at += step
        if depth == 0 and text[at] == sign:
            return at
        depth += step * {"(": 1, ")": -1}.get(text[at], 0)


def chain(text):
    """Return the states that a text reaches, the lost one as None, and the generator, columns to rows."""
    most = {name: int(value) for name, value in _MOST.findall(text)}
    starts = {name: int(value) for name, value in _RANGE.findall(text)}
    commands = [(as_python(guard), as_python(rate), update) for guard, rate, update in _COMMAND.findall(text)]
    states, flows = [tuple(starts.values())], []
    for state in states:
        if state is None:
            continue
        here = {**most, **dict(zip(starts, state, strict=True)), "lost": False, "pow": pow, "min": min, "max": max}
        for guard, rate, update in commands:
            if not eval(guard, {}, here):
                continue
            after = dict(zip(starts, state, strict=True))
            for name, step in re.findall(r"\((\w+)'=\w+([+-]\d+)\)", update):
                after[name] += int(step)
            target = None if "lost'" in update else tuple(after.values())
            assert target is None or all(0 <= n <= most[f"MAX_{name}"] for name, n in after.items())
            if target not in states:
                states.append(target)
            flows.append((states.index(state), states.index(target), eval(rate, {}, here)))
    matrix = np.zeros((len(states), len(states)))
    for source, target, rate in flows:
        matrix[target, source] += rate
        matrix[source, source] -= rate
    return states, matrix


MODELS = {
    "dimer": (
        fsp.Model(
            species={"S": 5, "D": 0},
            reactions=[fsp.Reaction("2 S -> D", mass_action=0.3), fsp.Reaction("D -> 2 S", mass_action=0.7)],
        ),
        None,
    ),
    "birth_death": (
        fsp.Model(species={"X": 2}, reactions=[fsp.Reaction("0 -> X", rate=2), fsp.Reaction("X -> 0", rate="X/2")]),
        {"X": 7},
    ),
    "bursts": (
        fsp.Model(
            species={"P": 1, "rate": 0},
            parameters={"k": 1.5},
            reactions=[
                fsp.Reaction("0 -> 3 P", rate="k/(1 + P^2)*(P < 5 || rate >= 1) + piecewise(0.25, P != 2, 1)"),
                fsp.Reaction("P -> rate", rate="min(P, 3)*sqrt(4)"),
                fsp.Reaction("rate -> 0", rate="rate*abs(1 - rate) + rate*(rate == 1)"),
            ],
        ),
        {"P": 8, "rate": 6},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_the_chain_is_the_same(name):
    model, upper = MODELS[name]
    states, matrix = chain(write_prism(model, upper))
    p = expm(matrix * 1.5)[:, 0]
    lost = p[states.index(None)] if None in states else 0.0
    assert (upper is not None) == (lost > 0.0)
    answer = fsp.transient(model, [1.5], 1e-9)[-1]
    inside = {tuple(state): value for state, value in zip(answer.states.tolist(), answer.probabilities, strict=True)}
    gap = [inside.get(state, 0.0) - value for state, value in zip(states, p, strict=True) if state is not None]
    assert min(gap) >= -answer.error.total - 1e-12  # what is inside the bounds has not come from outside
    assert sum(gap) <= lost + 1e-12


@pytest.mark.parametrize("name", MODELS)
def test_storm_reads_the_same_chain(name, tmp_path):
    """Its grammar, and the probability of a first species at its start, by its own uniformisation."""
    stormpy = pytest.importorskip("stormpy")
    model, upper = MODELS[name]
    text = write_prism(model, upper)
    (tmp_path / "model.sm").write_text(text)
    program = stormpy.parse_prism_program(str(tmp_path / "model.sm"), prism_compatibility=True)
    species, start = _RANGE.findall(text)[0]
    label = ' & !"lost"' if upper else ""
    asked = f"P=? [ F[1.5,1.5] {species} = {start}{label} ]"
    properties = stormpy.parse_properties(asked, program)
    lost = stormpy.parse_properties('P=? [ F<=1 "lost" ]', program) if upper else []
    built = stormpy.build_model(program, [*properties, *lost])
    states, matrix = chain(text)
    outside = [upper is not None and "lost" in built.labeling.get_labels_of_state(k) for k in range(built.nr_states)]
    assert outside.count(False) == len(states) - (None in states)
    here = [state is not None and state[0] == int(start) for state in states]
    found = stormpy.model_checking(built, properties[0]).get_value(built.initial_states[0])
    assert found == pytest.approx(expm(matrix * 1.5)[here, 0].sum(), abs=1e-5)  # its default precision is 1e-6


def test_keywords_are_renamed_and_numbers_are_doubles():
    text = write_prism(*MODELS["bursts"])
    assert "species P is P_, species rate is rate_" in text
    assert "pow(P_, 2.0)" in text
    assert 'label "lost" = lost;' in text
    assert "lost" not in write_prism(*MODELS["dimer"])


def birth(rate="2", **more):
    return fsp.Model(species={"Y": 2}, reactions=[fsp.Reaction("0 -> Y", rate=rate)], **more)


REFUSED = {
    "unbounded": (birth(), {}, "a bound below 2.31 for PRISM, but has inf; .*`upper`, such as Y=100"),
    "below the start": (birth(), {"Y": 1}, "but has 1; it starts at 2"),
    "unknown": (birth(), {"Z": 1}, "`upper` must name species, but has 'Z'"),
    "timed": (birth("2 + sin(time)"), {"Y": 9}, "depends on time"),
    "function": (birth("factorial(3 + Y)"), {"Y": 9}, "uses 'factorial'"),
    "truth": (birth("1 + xor(Y < 3, Y > 1)"), {"Y": 9}, "uses 'xor'"),
    "callable": (birth(lambda x: x["Y"]), {"Y": 9}, "is a callable"),
    "start": (
        fsp.Model(species=["Y"], reactions=birth().reactions, initial={(0,): 0.5, (1,): 0.5}),
        {"Y": 9},
        "must start in one state",
    ),
    "events": (birth(events=[fsp.Event("time >= 1", {"Y": 0})]), {"Y": 9}, "PRISM"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_prism_cannot_say_is_refused(name):
    model, upper, said = REFUSED[name]
    with pytest.raises(ModelError, match=said):
        write_prism(model, upper)


def test_properties_ask_for_the_same_condition():
    """The condition of a property, read as PRISM reads it, holds in the states in which the formula does."""
    model = fsp.Model(
        species={"U": 1, "init": 0},
        reactions=[fsp.Reaction("U -> init", mass_action=1.0), fsp.Reaction("init -> U", mass_action=1.0)],
    )
    text = write_properties(model, "U > 2*init + 1 && !(init == 3) || U <= 0", [0.5, 3])
    lines = text.splitlines()
    assert [line[:2] for line in lines] == ["P=", "P=", "P=", "T=", "S="]
    assert "F<=0.5 " in lines[0]
    assert "F<=3.0 " in lines[1]
    holds = as_python(lines[-1].removeprefix("S=? [ ").removesuffix(" ]"))
    for u in range(8):
        for v in range(5):
            assert bool(eval(holds, {}, {"U_": u, "init_": v})) == ((u > 2 * v + 1 and v != 3) or u <= 0)


@pytest.mark.parametrize(
    ("condition", "times", "message"),
    [
        ("U + 1", [], "is a number"),
        ("Z > 1", [], "formula of U"),
        ("U >", [], "condition"),
        ("U > 1", [-1.0], "`times`"),
    ],
)
def test_properties_that_cannot_be_asked_are_refused(condition, times, message):
    model = fsp.Model(species={"U": 1}, reactions=[fsp.Reaction("U -> 0", mass_action=1.0)])
    with pytest.raises(ModelError, match=message):
        write_properties(model, condition, times)


def test_a_model_writes_itself(tmp_path):
    model, upper = MODELS["birth_death"]
    text = model.to_prism(upper=upper)
    assert text == write_prism(model, upper)
    assert model.with_parameters({}).to_prism(str(tmp_path / "model.sm"), upper=upper) == text
    assert (tmp_path / "model.sm").read_text(encoding="utf-8") == f"{text}\n"
    with pytest.raises(ArgumentError, match="folder that exists"):
        model.to_prism(tmp_path / "none" / "model.sm", upper=upper)


@pytest.fixture
def birth_file(tmp_path):
    path = tmp_path / "birth.ant"
    path.write_text("species X = 2; -> X; 2; X ->; X/2", encoding="utf-8")
    return path


def test_the_command_writes_model_and_questions(birth_file, tmp_path):
    out, questions = tmp_path / "b.sm", tmp_path / "b.props"
    words = ["prism", str(birth_file), "--upper", "X=7"]
    printed = CliRunner().invoke(main, words)
    asked = ["--out", str(out), "--to", "X >= 5", "--times", "1,2", "--properties", str(questions)]
    assert CliRunner().invoke(main, [*words, *asked]).exit_code == 0
    model = fsp.load(birth_file)
    assert out.read_text(encoding="utf-8") == printed.stdout == f"{write_prism(model, {'X': 7})}\n"
    assert questions.read_text(encoding="utf-8") == f"{write_properties(model, 'X >= 5', [1.0, 2.0])}\n"
    before = out.read_bytes()
    refused = CliRunner().invoke(main, [*words, *asked, "--set", "X=3"])
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr
    assert out.read_bytes() == before
    assert CliRunner().invoke(main, [*words, *asked, "--set", "X=3", "--overwrite"]).exit_code == 0
    assert "init 3;" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--upper", "X=1.5"], "must be a whole number"),
        (["--upper", "X=7", "--to", "X > 3"], "must come together"),
        (["--upper", "X=7", "--times", "1"], "must come with --to"),
        ([], "must have a bound"),
    ],
)
def test_the_command_says_what_is_missing(birth_file, words, message):
    refused = CliRunner().invoke(main, ["prism", str(birth_file), *words])
    assert refused.exit_code in (2, 3)
    assert message in " ".join(refused.stderr.split())
