"""What of a document does not change its meaning is passed over, and what is converted is said."""

from __future__ import annotations

import json
import math as numbers
from dataclasses import replace

import pytest
from click.testing import CliRunner
from scipy import stats
from written_sbml import (
    GOOD,
    L2,
    L3,
    apply,
    assign,
    compartment,
    math,
    parameter,
    rates,
    reaction,
    rule,
    sbml,
    species,
)

import fsp
from fsp.command.main import main
from fsp.errors import ModelError
from fsp.output import records

COMP = 'xmlns:comp="http://www.sbml.org/sbml/level3/version1/comp/version1"'
DECAY = {
    "Species": [species("X", 8)],
    "Parameters": [parameter("k", 2)],
    "Reactions": [reaction("r", ["X"], [], apply("times", "k", "X"))],
}
WORDS = ["time", "pi", "avogadro", "inf", "true", "nan", "exponentiale"]


def is_the_decay(model):
    """Return whether a model is the decay of eight molecules at rate two."""
    start = model.initial_states.tolist()
    return start == [[8]] and model.change.tolist() == [[-1]] and rates(model, [3], [0]) == [[6.0], [0.0]]


@pytest.mark.parametrize("level", [L2, L3])
@pytest.mark.parametrize("kind", ["Rules", "InitialAssignments", "Constraints", "Events", "UnitDefinitions"])
def test_an_empty_list_says_nothing(read, level, kind):
    text = sbml(level, **DECAY)
    at = {"UnitDefinitions": "<listOfCompartments>", "Events": "</model>"}.get(kind, "<listOfReactions>")
    assert is_the_decay(read(text.replace(at, f"<listOf{kind}></listOf{kind}>{at}")))


def test_an_empty_list_of_products_or_local_parameters_says_nothing(read):
    level = 'xmlns="http://www.sbml.org/sbml/level3/version1/core" level="3" version="1"'
    text = sbml(level, **DECAY).replace("</listOfReactants>", "</listOfReactants><listOfProducts></listOfProducts>")
    text = text.replace("</kineticLaw>", "<listOfLocalParameters/></kineticLaw>")
    assert is_the_decay(read(text.replace("<reaction ", '<reaction fast="false" ')))


@pytest.mark.parametrize("level", [L2, L3])
def test_the_id_of_a_model_may_be_any_text(read, level):
    assert is_the_decay(read(sbml(level, **DECAY).replace('id="m"', 'id="lac.operon.v2"')))


@pytest.mark.parametrize("name", ["r", "k", "X", "cell"])
@pytest.mark.parametrize("level", [L2, L3])
def test_the_id_of_a_model_may_be_that_of_what_it_holds(read, level, name):
    assert is_the_decay(read(sbml(level, **DECAY).replace('id="m"', f'id="{name}"')))


def test_ids_of_species_are_names(read):
    with pytest.raises(ModelError, match=r"Species name .* 'X\.1'"):
        read(sbml(**DECAY).replace('"X"', '"X.1"').replace(">X<", ">X.1<"))


def test_notes_and_annotations_are_for_others(read):
    notes = "<notes><p>not in the namespace of XHTML</p></notes><annotation><a>1</a></annotation>"
    assert is_the_decay(read(sbml(**DECAY).replace("<listOfCompartments>", notes + "<listOfCompartments>")))


def test_values_that_no_formula_uses_need_not_be_finite(read):
    bounds = [parameter("up", "INF"), parameter("low", "-INF"), parameter("none", "NaN")]
    assert is_the_decay(read(**{**DECAY, "Parameters": [parameter("k", 2), *bounds]}))


@pytest.mark.parametrize("value", ["INF", "-INF", "NaN", None])
def test_values_that_are_used_must_be_finite(read, value):
    with pytest.raises(ModelError, match="Parameter 'k' must have a value, because a formula uses it"):
        read(**{**DECAY, "Parameters": [parameter("k", value)]})


@pytest.mark.parametrize("volume", ['volume="1"', ""])
def test_level_1_is_converted(read, volume):
    """A volume that is not given is 1 there: the specification of Level 1 Version 2, section 4.3."""
    text = f"""<sbml xmlns="http://www.sbml.org/sbml/level1" level="1" version="2"><model name="m">
        <listOfCompartments><compartment name="cell" {volume}/></listOfCompartments>
        <listOfSpecies><species name="X" compartment="cell" initialAmount="8"/></listOfSpecies>
        <listOfParameters><parameter name="k" value="2"/></listOfParameters><listOfReactions>
        <reaction name="r" reversible="false"><listOfReactants><speciesReference species="X"/></listOfReactants>
        <kineticLaw formula="k*X"/></reaction></listOfReactions></model></sbml>"""
    model = read(text)
    assert is_the_decay(model)
    assert "Level 1" in str(model.conversion)


@pytest.mark.parametrize("word", WORDS)
def test_words_of_formulas_may_be_species(read, word):
    """A new name is given, with a line that says so; local parameters of that id hide it as before."""
    text = sbml(
        Species=[species(word, 8), species("Y", 1)],
        Parameters=[parameter("k", 2)],
        Reactions=[
            reaction("r", [word], ["Y"], apply("times", "k", word)),
            reaction(
                "s",
                ["Y"],
                [],
                apply("times", word, "Y"),
                local=f'<listOfLocalParameters><localParameter id="{word}" value="5"/></listOfLocalParameters>',
            ),
        ],
    )
    model = read(text)
    assert model.species == (f"{word}_", "Y")
    assert rates(model, [3, 2]) == [[6.0, 10.0]]
    assert f"'{word}' is called '{word}_'" in str(model.conversion)
    assert read(text, loading={f"{word}_": 5}).initial_states.tolist() == [[5, 1]]


@pytest.mark.parametrize("word", WORDS)
def test_words_of_formulas_may_be_parameters(read, word):
    """Also in initial assignments and rules, and beside an element that has the new name already."""
    model = read(
        Species=[species("X", 8)],
        Parameters=[parameter(word, 2), parameter(f"{word}_", 7), parameter("k", None, "false")],
        Rules=[rule("assignmentRule", "k", apply("plus", word, f"{word}_"))],
        InitialAssignments=[assign("X", apply("times", 4, word))],
        Reactions=[reaction("r", ["X"], [], apply("times", "k", "X"))],
    )
    assert model.initial_states.tolist() == [[8]]
    assert rates(model, [1]) == [[9.0]]


def test_packages_that_only_name_ports_are_read(read):
    port = '<comp:listOfPorts><comp:port comp:id="p" comp:idRef="cell"/></comp:listOfPorts></model>'
    text = sbml(f'{L3} {COMP} comp:required="true"', **DECAY).replace("</model>", port)
    assert is_the_decay(read(text))


def test_submodels_are_written_out(read):
    """Two decays, each a submodel, in one of which the number of molecules is replaced by that of the whole."""
    inside = sbml(**DECAY).partition("<model")[2].partition("</sbml>")[0].replace('id="m"', 'id="part"')
    inside = f"<comp:modelDefinition{inside.replace('</model>', '')}</comp:modelDefinition>"
    replaced = (
        '<comp:listOfReplacedElements><comp:replacedElement comp:submodelRef="b" comp:idRef="X"/>'
        "</comp:listOfReplacedElements></species>"
    )
    shared = species("S", 5).replace("/>", ">") + replaced
    subs = "".join(f'<comp:submodel comp:id="{name}" comp:modelRef="part"/>' for name in "ab")
    text = sbml(f'{L3} {COMP} comp:required="true"', Species=[shared])
    text = text.replace("</model>", f"<comp:listOfSubmodels>{subs}</comp:listOfSubmodels></model>")
    text = text.replace("</sbml>", f"<comp:listOfModelDefinitions>{inside}</comp:listOfModelDefinitions></sbml>")
    model = read(text)
    assert dict(zip(model.species, model.initial_states[0].tolist(), strict=True)) == {"S": 5, "a__X": 8}
    assert rates(model, [3, 4]) in ([[6.0, 8.0]], [[8.0, 6.0]])
    assert "2 submodels written out" in str(model.conversion)


CONSTRAINED = {**DECAY, "Constraints": [f'<constraint metaid="enough">{math(apply("geq", "X", 3))}</constraint>']}


def test_the_violation_of_a_constraint_has_its_probability(read):
    """Of n molecules that decay at rate k, a binomial number is left at t."""
    model = read(**CONSTRAINED)
    assert is_the_decay(model)
    assert model.constraints == {"enough": "X >= 3"}
    dist = fsp.transient(model, [0.3], 1e-10)[-1]
    exact = stats.binom.cdf(2, 8, numbers.exp(-0.6))
    found = dist.probability("!(enough)")
    assert found.lower - 1e-12 <= exact <= found.upper + 1e-12
    assert found.upper - found.lower < 1e-9


def test_the_violation_of_a_constraint_is_told(read, tmp_path):
    read(**CONSTRAINED)  # writes the file
    asked = ["transient", str(tmp_path / "model.xml"), "--times", "0.1,0.3", "--quiet"]
    exact = stats.binom.cdf(2, 8, numbers.exp(-0.6))
    text = CliRunner(env={"COLUMNS": "120"}).invoke(main, asked).output
    assert f"constraint 'enough' (X >= 3) violated with probability [{exact:.4f}"[:-1] in text
    assert "t = 0.3, the largest of 2 times" in text
    low, high = json.loads(CliRunner().invoke(main, [*asked, "--json"]).stdout)["times"][1]["violations"]["enough"]
    assert low <= exact <= high
    printed = text.partition("violated with probability [")[2].partition("]")[0].split(", ")
    assert float(printed[0]) <= low <= high <= float(printed[1])


def test_the_violation_of_a_constraint_is_called_an_estimate_where_it_is_one(read):
    law = fsp.transient(read(**CONSTRAINED), [0.3], 1e-6)[-1]
    guess = replace(law, error=replace(law.error, certified=False))
    (line,) = records.violation_lines(guess, {"enough": "X >= 3"})
    assert "violated with probability ≈ 0." in line
    assert records.answer_record(guess, constraints={"enough": "X >= 3"})["times"][0]["violations"] == {"enough": None}


def test_constraints_count_what_the_file_calls_concentrations(read):
    """X in concentrations of a compartment of size 2."""
    model = read(
        Compartments=[compartment(size="2")],
        Species=[species("X", 8, only="false")],
        Reactions=GOOD["Reactions"],
        Constraints=[f'<constraint metaid="low">{math(apply("leq", "X", 3))}</constraint>'],
    )
    assert model.constraints == {"low": "X/2 <= 3"}
