"""Model files: what SBML and Antimony mean as a jump process, and what is refused by name."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from fsp.errors import ModelError, ModelFileNotFoundError
from fsp.formats import load

L3 = 'xmlns="http://www.sbml.org/sbml/level3/version2/core" level="3" version="2"'
L2 = 'xmlns="http://www.sbml.org/sbml/level2/version4" level="2" version="4"'
MATH = 'xmlns="http://www.w3.org/1998/Math/MathML"'
TIME = '<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/time">t</csymbol>'
DELAY = '<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/delay">delay</csymbol>'
RATE_OF = '<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/rateOf">rateOf</csymbol>'


# ---------------------------------------------------------------------- short ways to write SBML


def math(content):
    return f"<math {MATH}>{content}</math>"


def apply(function, *arguments):
    head = function if function.startswith("<") else f"<{function}/>"
    return f"<apply>{head}{''.join(map(term, arguments))}</apply>"


def term(value):
    text = str(value)
    if text.startswith("<"):
        return text
    return f"<ci>{text}</ci>" if text[0].isalpha() else f"<cn>{text}</cn>"


def of(kind, *elements):
    return f"<listOf{kind}>{''.join(elements)}</listOf{kind}>" if elements else ""


def compartment(name="cell", size="1", extra='constant="true"'):
    shown = "" if size is None else f'size="{size}"'
    return f'<compartment id="{name}" {shown} spatialDimensions="3" {extra}/>'


def species(name, amount="0", *, only="true", boundary="false", constant="false", kind="initialAmount", extra=""):
    start = "" if amount is None else f'{kind}="{amount}"'
    return (
        f'<species id="{name}" compartment="cell" {start} hasOnlySubstanceUnits="{only}" '
        f'boundaryCondition="{boundary}" constant="{constant}" {extra}/>'
    )


def parameter(name, value="1", constant="true"):
    shown = "" if value is None else f'value="{value}"'
    return f'<parameter id="{name}" {shown} constant="{constant}"/>'


def reference(name, n="1", extra="", inside=""):
    shown = "" if n is None else f'stoichiometry="{n}"'
    return f'<speciesReference species="{name}" {shown} constant="true" {extra}>{inside}</speciesReference>'


def reaction(name, reactants=(), products=(), law="1", *, local="", reversible="false", modifiers=()):
    kinetic = "" if law is None else f"<kineticLaw>{math(term(law))}{local}</kineticLaw>"
    changed = [f'<modifierSpeciesReference species="{m}"/>' for m in modifiers]
    return (
        f'<reaction id="{name}" reversible="{reversible}">{of("Reactants", *map(side, reactants))}'
        f"{of('Products', *map(side, products))}{of('Modifiers', *changed)}{kinetic}</reaction>"
    )


def side(entry):
    return entry if entry.startswith("<") else reference(entry)


def rule(kind, variable, content):
    target = f'variable="{variable}"' if variable else 'metaid="m1"'
    return f"<{kind} {target}>{math(term(content))}</{kind}>"


def assign(symbol, content):
    return f'<initialAssignment symbol="{symbol}">{math(term(content))}</initialAssignment>'


ORDER = [
    "FunctionDefinitions",
    "UnitDefinitions",
    "Compartments",
    "Species",
    "Parameters",
    "InitialAssignments",
    "Rules",
    "Constraints",
    "Reactions",
    "Events",
]


def event(trigger, assigned, *, name="E0", flags='initialValue="true" persistent="true"', more="", values="true"):
    inside = "".join(
        f'<eventAssignment variable="{variable}">{math(term(value))}</eventAssignment>'
        for variable, value in assigned.items()
    )
    return (
        f'<event id="{name}" useValuesFromTriggerTime="{values}"><trigger {flags}>{math(trigger)}</trigger>{more}'
        f"<listOfEventAssignments>{inside}</listOfEventAssignments></event>"
    )


def sbml(level=L3, attributes="", **lists):
    content = {"Compartments": [compartment()], **lists}
    body = "".join(of(kind, *content[kind]) for kind in ORDER if kind in content)
    text = f'<?xml version="1.0"?><sbml {level}><model id="m" {attributes}>{body}</model></sbml>'
    if 'level="2"' in level:  # Level 2 has no constant on references
        text = text.replace('constant="true" ></speciesReference>', "></speciesReference>")
    return text


@pytest.fixture
def read(tmp_path):
    def reader(text=None, *, name="model.xml", **lists):
        file = tmp_path / name
        file.write_text(text if text is not None else sbml(**lists))
        return load(file)

    return reader


def rates(model, *states, t=0.0):
    return model.propensities(np.array(states), t).T.tolist()


# ---------------------------------------------------------------------- species


@pytest.mark.parametrize("level", [L2, L3])
def test_amounts(read, level):
    text = sbml(
        level,
        Species=[species("X", 7)],
        Parameters=[parameter("k", 3)],
        Reactions=[reaction("death", ["X"], [], apply("times", "k", "X"))],
    )
    if level == L2:
        text = text.replace(' constant="true" ></speciesReference>', "></speciesReference>")
    model = read(text)
    assert model.name == "m"
    assert model.species == ("X",)
    assert model.initial_states.tolist() == [[7]]
    assert rates(model, [4]) == [[12.0]]
    assert model.change.tolist() == [[-1]]
    assert [r.name for r in model.reactions] == ["death"]


def test_concentrations_are_counts_by_size(read):
    model = read(
        Compartments=[compartment(size="4")],
        Species=[
            species("X", "2.5", only="false", kind="initialConcentration"),
            species("Y", 3, only="false"),
        ],
        Parameters=[parameter("k", 2)],
        Reactions=[reaction("r", ["X", "Y"], [], apply("times", "cell", "k", "X", "Y"))],
    )
    assert model.initial_states.tolist() == [[10, 3]]
    assert rates(model, [10, 3]) == [[4 * 2 * (10 / 4) * (3 / 4)]]
    larger = model.with_parameters(cell=8)
    assert larger.initial_states.tolist() == [[20, 3]]
    assert rates(larger, [10, 3]) == [[8 * 2 * (10 / 8) * (3 / 8)]]
    assert larger.factorised(0) is not None


def test_initial_assignments_mean_what_the_symbol_means(read):
    model = read(
        Compartments=[compartment(size="2")],
        Species=[species("X", None, only="false"), species("Y", 1), species("Z", None)],
        Parameters=[parameter("n", 3), parameter("half", None)],
        InitialAssignments=[
            assign("X", "n"),
            assign("Y", apply("times", "n", 4)),
            assign("Z", apply("plus", "X", "Y")),
            assign("half", apply("divide", "n", 2)),
        ],
        Reactions=[reaction("r", ["X"], ["Y"], "0"), reaction("s", ["Z"], [], apply("times", "half", "Z"))],
    )
    assert model.initial_states.tolist() == [[6, 12, 15]]
    assert model.with_parameters(n=5).initial_states.tolist() == [[10, 20, 25]]
    assert model.with_parameters(n=5).parameters["half"] == 2.5


def test_an_initial_assignment_does_not_follow_the_state(read):
    model = read(
        Species=[species("X", 6)],
        Parameters=[parameter("k", None), parameter("y", None, "false")],
        InitialAssignments=[assign("k", apply("times", "y", 2))],
        Rules=[rule("assignmentRule", "y", apply("plus", "X", TIME))],
        Reactions=[reaction("r", ["X"], [], apply("times", "k", "X"))],
    )
    assert model.parameters["k"] == 12.0
    assert not model.is_time_dependent


@pytest.mark.parametrize("level", [L2, L3])
def test_a_compartment_without_size(read, level):
    lists = {
        "Compartments": [compartment(size=None)],
        "Reactions": [reaction("r", ["X"], [], apply("times", 2, "X"))],
    }
    model = read(sbml(level, Species=[species("X", 5)], **lists))
    assert rates(model, [3]) == [[6.0]]
    with pytest.raises(ModelError, match="Compartment 'cell' must have a size"):
        read(sbml(level, Species=[species("X", 5, only="false")], **lists))


def test_no_dimensions_are_amounts(read):
    text = sbml(
        Compartments=[compartment(size=None)],
        Species=[species("X", 5, only="false")],
        Reactions=[reaction("r", ["X"], [], apply("times", 2, "X"))],
    )
    assert rates(read(text.replace('spatialDimensions="3"', 'spatialDimensions="0"')), [3]) == [[6.0]]


def test_boundary_and_constant_species(read):
    model = read(
        Compartments=[compartment(size="2")],
        Species=[
            species("X", 0),
            species("B", 5, boundary="true"),
            species("C", 4, constant="true", boundary="true"),
            species("D", "0.5", boundary="true", constant="true"),
            species("E", "0.5", only="false", kind="initialAmount", boundary="true"),
        ],
        Reactions=[reaction("r", ["B", "D"], ["X"], apply("times", "B", "C", "D", "E"))],
    )
    assert model.species == ("X", "B", "C")
    assert model.change.tolist() == [[1, 0, 0]]
    assert rates(model, [0, 5, 4]) == [[5 * 4 * 0.5 * 0.25]]
    assert model.parameters["D"] == 0.5


def test_assignment_rules(read):
    model = read(
        Species=[species("X", 3), species("T", None)],
        Parameters=[parameter("k", 2), parameter("a", None, "false"), parameter("b", None, "false")],
        Rules=[
            rule("assignmentRule", "b", apply("times", "a", 2)),
            rule("assignmentRule", "a", apply("times", "k", 5)),
            rule("assignmentRule", "T", apply("plus", "X", "b")),
        ],
        Reactions=[reaction("r", ["X"], [], apply("times", "T", "X"))],
    )
    assert model.species == ("X",)
    assert model.observables == {"T": "X + 20"}
    assert rates(model, [3]) == [[3 * 23.0]]
    assert rates(model.with_parameters(k=1), [3]) == [[3 * 13.0]]


def test_time_makes_rates_time_dependent(read):
    model = read(
        Species=[species("X", 3)],
        Parameters=[parameter("k", None, "false")],
        Rules=[rule("assignmentRule", "k", apply("times", 2, TIME))],
        Reactions=[
            reaction("r", ["X"], [], apply("times", "k", "X")),
            reaction("s", [], ["X"], TIME),
            reaction("u", [], ["X"], 1),
        ],
    )
    assert model.time_dependent.tolist() == [True, True, False]
    assert rates(model, [3], t=2.0) == [[12.0, 2.0, 1.0]]


# ---------------------------------------------------------------------- reactions


@pytest.mark.parametrize("level", [L2, L3])
def test_local_parameters_shadow(read, level):
    name = "Parameter" if level == L2 else "LocalParameter"
    tag = name[0].lower() + name[1:]
    local = f'<listOf{name}s><{tag} id="k" value="5"/></listOf{name}s>'
    law = apply("times", "k", "X")
    model = read(
        sbml(
            level,
            Species=[species("X", 3)],
            Parameters=[parameter("k", 2)],
            Reactions=[reaction("a", ["X"], [], law, local=local), reaction("b", ["X"], [], law)],
        )
    )
    assert rates(model, [3]) == [[15.0, 6.0]]
    assert dict(model.parameters) == {"cell": 1.0, "k": 2.0, "a.k": 5.0}
    assert rates(model.with_parameters({"a.k": 1.0}), [3]) == [[3.0, 6.0]]


def test_nested_functions(read):
    def function(name, arguments, body):
        bound = "".join(f"<bvar><ci>{a}</ci></bvar>" for a in arguments)
        return f'<functionDefinition id="{name}">{math(f"<lambda>{bound}{body}</lambda>")}</functionDefinition>'

    model = read(
        FunctionDefinitions=[
            function("outer", "xy", apply("plus", apply("<ci>inner</ci>", "y"), "x")),
            function("inner", "x", apply("times", "x", 10)),
        ],
        Species=[species("X", 3)],
        Reactions=[reaction("r", ["X"], [], apply("times", apply("<ci>outer</ci>", 1, "X"), "X"))],
    )
    assert rates(model, [3]) == [[3 * 31.0]]


@pytest.mark.parametrize("tiny", ["1e-10", "1e-11", "1.66054e-24"])
def test_nothing_is_taken_for_zero(read, tiny):
    """An amount, a stoichiometry or a conversion factor next to zero is refused as 0.4 is."""
    change = [reaction("r", ["X"], [reference("Y", tiny)], law="X")]
    with pytest.raises(ModelError, match=f"'X' must be a whole number of molecules, 0 or more, but is {tiny}"):
        read(Species=[species("X", tiny)], Reactions=[reaction("r", ["X"], law="X")])
    with pytest.raises(ModelError, match=r"'Y' in reaction 'r' must be a whole number"):
        read(Species=[species("X", "5"), species("Y")], Reactions=change)
    with pytest.raises(ModelError, match=r"'X' in reaction 'r' must be a whole number"):
        read(
            attributes='conversionFactor="f"',
            Parameters=[parameter("f", tiny)],
            Species=[species("X", "5")],
            Reactions=[reaction("r", ["X"], law="X")],
        )


def test_stoichiometries(read):
    model = read(
        Species=[species("X", 9), species("Y", 0), species("M", 2)],
        Reactions=[
            reaction("a", [reference("X", 2), "X"], [reference("Y", "2.0")], 0),
            reaction("b", ["X", "M"], ["M", "Y"], 0),
            reaction("c", [], ["Y"], "M", modifiers=["M"]),
        ],
    )
    assert model.change.tolist() == [[-3, 2, 0], [-1, 1, 0], [0, 1, 0]]
    assert model.reactions[0].equation == "3 X -> 2 Y"
    assert model.reactions[1].equation == "X + M -> M + Y"


def test_computed_stoichiometries(read):
    model = read(
        Species=[species("X", 9), species("Y", 0)],
        Parameters=[parameter("n", 2)],
        InitialAssignments=[assign("sy", apply("plus", "n", 1))],
        Reactions=[reaction("a", ["X"], [reference("Y", None, 'id="sy"')], apply("times", "sy", "X"))],
    )
    assert model.change.tolist() == [[-1, 3]]
    assert rates(model, [2, 0]) == [[6.0]]
    inside = f"<stoichiometryMath>{math(term('n'))}</stoichiometryMath>"
    text = sbml(
        L2,
        Species=[species("X", 9)],
        Parameters=[parameter("n", 4)],
        Reactions=[reaction("a", [f'<speciesReference species="X">{inside}</speciesReference>'], [], 0)],
    )
    assert read(text).change.tolist() == [[-4]]


def test_conversion_factors(read):
    parts = {
        "Parameters": [parameter("f", 3), parameter("g", 2)],
        "Reactions": [reaction("a", ["X"], [reference("Y", "0.5")], 0)],
    }
    model = read(
        sbml(
            attributes='conversionFactor="g"',
            **parts,
            Species=[species("X", 9, extra='conversionFactor="f"'), species("Y", 0)],
        )
    )
    assert model.change.tolist() == [[-3, 1]]


def test_the_rate_of_a_reaction_by_its_id(read):
    model = read(
        Species=[species("X", 9)],
        Reactions=[
            reaction("a", ["X"], [], apply("times", 2, "X")),
            reaction("b", [], ["X"], apply("divide", "a", 4)),
        ],
    )
    assert rates(model, [6]) == [[12.0, 3.0]]


def test_reversible_reactions_are_taken_as_they_stand(read):
    model = read(
        Species=[species("X", 9), species("Y", 0)],
        Reactions=[reaction("a", ["X"], ["Y"], apply("minus", "X", "Y"), reversible="true")],
    )
    assert rates(model, [6, 1]) == [[5.0]]
    with pytest.raises(ModelError, match=r"Propensity of 'a' .* is -2 .* two reactions"):
        rates(model, [1, 3])


def test_the_unit_of_time(read):
    lists = {"Species": [species("X", 1)], "Reactions": [reaction("a", ["X"], [], "X")]}
    assert read(sbml(attributes='timeUnits="second"', **lists)).time_unit == "second"
    assert read(**lists).time_unit == ""


# ---------------------------------------------------------------------- what is refused

GOOD = {"Species": [species("X", 1)], "Reactions": [reaction("r", ["X"], [], "X")]}
CONSTRAINT = f'<constraint metaid="c0">{math(apply("gt", "X", 5))}</constraint>'


@pytest.mark.parametrize(
    ("lists", "why"),
    [
        (
            {"Events": [event(apply("gt", "X", 5), {"X": 0}, more=f"<delay>{math(term(3))}</delay>")]},
            "'E0' must take place when it is triggered",
        ),
        ({"Events": [event(apply("gt", "X", 5), {"Q": 0})]}, "'Q', which is no species"),
        ({"Events": [event(apply("gt", "X", TIME), {"X": 0})]}, "compare the time with constants"),
        (
            {
                "Events": [event(apply("gt", TIME, 1), {"f": 0})],
                "Parameters": [parameter("f", None, "false")],
                "Rules": [rule("assignmentRule", "f", "X")],
            },
            "'f', which a rule determines",
        ),
        (
            {
                "Events": [event(apply("gt", TIME, 1), {"n": 2})],
                "Parameters": [parameter("n", None, "false")],
            },
            "must have a value before event 'E0'",
        ),
        ({"Constraints": [CONSTRAINT]}, "constraint 'c0'"),
        ({"Rules": [rule("rateRule", "X", 1)]}, "rateRule for 'X'"),
        ({"Rules": [rule("algebraicRule", None, "X")]}, "algebraicRule for 'm1'"),
        ({"Rules": [rule("assignmentRule", "X", 1)]}, "'r' must not change 'X'"),
        ({"Species": [species("X", 1, constant="true")]}, "'X', which is constant"),
        ({"Species": [species("X", "1.5")]}, "'X' must be a whole number"),
        ({"Species": [species("X", None)]}, "Species 'X' must have an initial amount"),
        ({"Species": [species("X", "NaN")]}, "Species 'X' must have a finite value"),
        ({"Species": [species("X", 1).replace('"cell"', '"cave"')]}, "Species 'X' must be in a compartment"),
        ({"Reactions": [reaction("r", ["X"], [], None)]}, "Reaction 'r' must have a kinetic law"),
        (
            {"Reactions": [reaction("r", [reference("X", "0.5")], [], "X")]},
            "'X' in reaction 'r' must be a whole",
        ),
        (
            {"Reactions": [reaction("r", [reference("X", None)], [], "X")]},
            "'X' in reaction 'r' must be given",
        ),
        ({"Reactions": [reaction("r", ["Z"], [], "X")]}, "Reaction 'r' must be between species"),
        ({"Reactions": [reaction("r", ["X"], [], apply(DELAY, "X", 1))]}, "Kinetic law of 'r' .* delay"),
        ({"Reactions": [reaction("r", ["X"], [], apply(RATE_OF, "X"))]}, "Kinetic law of 'r' .*rateOf"),
        ({"Reactions": [reaction("r", ["X"], [], "q")]}, "uses 'q'"),
        ({"Reactions": [reaction("r", ["X"], [], "<notanumber/>")]}, "finite numbers"),
        (
            {"Reactions": [reaction("r", ["X"], [], "k")], "Parameters": [parameter("k", None)]},
            "Parameter 'k' must have a value",
        ),
        ({"InitialAssignments": [assign("X", apply("divide", 1, 3))]}, "'X' must be a whole number"),
        ({"Species": [], "Reactions": [reaction("r", [], [], 1)]}, "at least one species"),
        ({"Reactions": []}, "at least one reaction"),
        (
            {
                "Compartments": [compartment(extra='constant="false"')],
                "Species": [species("X", 1, only="false")],
                "Rules": [rule("assignmentRule", "cell", apply("plus", 1, TIME))],
            },
            "compartment 'cell' varies",
        ),
        (
            {"Parameters": [parameter("a", None, "false")], "Rules": [rule("assignmentRule", "a", "a")]},
            "circle",
        ),
    ],
)
def test_what_a_master_equation_cannot_express(read, lists, why):
    with pytest.raises(ModelError, match=why):
        read(**{**GOOD, **lists})


def test_amounts_may_be_in_a_compartment_that_varies(read):
    model = read(
        **{
            **GOOD,
            "Compartments": [compartment(extra='constant="false"')],
            "Rules": [rule("assignmentRule", "cell", apply("plus", 1, TIME))],
            "Reactions": [reaction("r", ["X"], [], apply("divide", "X", "cell"))],
        }
    )
    assert rates(model, [3], t=2.0) == [[1.0]]


def test_fast_reactions_are_refused(read):
    level = 'xmlns="http://www.sbml.org/sbml/level3/version1/core" level="3" version="1"'
    text = sbml(level, **GOOD).replace("<reaction ", '<reaction fast="true" ')
    with pytest.raises(ModelError, match=r"Reaction 'r' .* fast"):
        read(text)


@pytest.mark.parametrize("package", ["distrib", "comp"])
def test_required_packages_are_refused(read, package):
    uri = f"http://www.sbml.org/sbml/level3/version1/{package}/version1"
    with pytest.raises(ModelError, match=rf"requires the package '{package}'"):
        read(sbml(f'{L3} xmlns:{package}="{uri}" {package}:required="true"', **GOOD))


def test_packages_that_are_not_required_are_ignored(read):
    uri = "http://www.sbml.org/sbml/level3/version1/layout/version1"
    assert read(sbml(f'{L3} xmlns:layout="{uri}" layout:required="false"', **GOOD)).species == ("X",)


def test_level_1_is_refused(read):
    text = (
        '<sbml xmlns="http://www.sbml.org/sbml/level1" level="1" version="2"><model name="m">'
        '<listOfCompartments><compartment name="c"/></listOfCompartments></model></sbml>'
    )
    with pytest.raises(ModelError, match=r"Level 1.*setLevelAndVersion"):
        read(text)


@pytest.mark.parametrize("text", ["<sbml", "<a/>", "", sbml().replace("</model>", ""), f"<sbml {L3}/>"])
def test_malformed_sbml(read, text):
    with pytest.raises(ModelError, match=r"model\.xml"):
        read(text)


@pytest.mark.parametrize("level", [L2, L3])
@pytest.mark.parametrize(
    ("twice", "what"),
    [
        ({"Species": [species("X", 1), species("X", 2)]}, "<species> id 'X' conflicts"),
        ({"Parameters": [parameter("k", 1), parameter("k", 2)]}, "<parameter> id 'k' conflicts"),
        ({"Compartments": [compartment(), compartment(size="2")]}, "<compartment> id 'cell' conflicts"),
        ({"Reactions": [reaction("r", ["X"], [], "X")] * 2}, "<reaction> id 'r' conflicts|'r' is given twice"),
        ({"Parameters": [parameter("r", 1)]}, "<reaction> id 'r' conflicts"),
        (
            {
                "Parameters": [parameter("k", None, "false")],
                "Rules": [rule("assignmentRule", "k", 1), rule("assignmentRule", "k", 2)],
            },
            "variable 'k' conflicts",
        ),
        (
            {"Parameters": [parameter("k")], "InitialAssignments": [assign("k", 1), assign("k", 2)]},
            "symbol 'k' conflicts",
        ),
        (
            {
                "Parameters": [parameter("k", None, "false")],
                "InitialAssignments": [assign("k", 1)],
                "Rules": [rule("assignmentRule", "k", 2)],
            },
            "'k' conflicts",
        ),
        ({"Species": [species("X", 1, extra='initialConcentration="2"')]}, "'X' cannot have both"),
        ({"Parameters": [parameter("k")], "Rules": [rule("assignmentRule", "k", 2)]}, "'k' should have a constant"),
        ({"Rules": [rule("assignmentRule", "q", 2)]}, "'q' does not refer to an existing"),
        ({"InitialAssignments": [assign("q", 2)]}, "'q' does not refer to an existing"),
    ],
)
def test_a_document_that_says_two_things_is_refused(read, twice, what, level):
    with pytest.raises(ModelError, match=what) as refused:
        read(sbml(level, **{**GOOD, **twice}))
    assert "line 1" in str(refused.value) or "Names must differ" in str(refused.value) or "twice" in what


def test_units_that_are_not_defined_say_nothing_about_counts(read):
    text = sbml(**{**GOOD, "Parameters": [parameter("k").replace("/>", ' units="per_fortnight"/>')]})
    assert read(text).parameters["k"] == 1.0


def test_many_elements_within_each_other(read):
    def nested(n):
        law = "<apply><minus/>" * n + "<ci>X</ci>" + "</apply>" * n
        return sbml(**{**GOOD, "Reactions": [reaction("r", ["X"], [], law)]})

    assert rates(read(nested(900)), [3]) == [[3.0]]
    with pytest.raises(ModelError, match="must have at most 1,000 elements within each other"):
        read(nested(100_000))
    filled = f"<!-- {'<a>' * 2000} -->"
    assert read(sbml(**GOOD).replace("<model", filled + "<model")).species == ("X",)


def test_entities_are_refused(read):
    with pytest.raises(ModelError, match="defines XML entities"):
        read(sbml(**GOOD).replace("<sbml", '<!DOCTYPE sbml [ <!ENTITY x SYSTEM "file:///etc/hostname"> ]><sbml'))


def test_a_long_chain_of_rules_is_read(read):
    names = [f"p{i}" for i in range(300)]
    chained = [rule("assignmentRule", "p0", "X")]
    chained += [rule("assignmentRule", b, apply("plus", a, 1)) for a, b in pairwise(names)]
    model = read(
        **{
            **GOOD,
            "Parameters": [parameter(name, None, "false") for name in names],
            "Rules": chained[::-1],
            "Reactions": [reaction("r", ["X"], [], apply("times", "X", names[-1]))],
        }
    )
    assert rates(model, [2]) == [[2 * (2 + 299.0)]]


@pytest.mark.parametrize("name", ["model.xml", "decay.ant"])
def test_a_byte_order_mark_is_no_text(read, name):
    text = sbml(**GOOD) if name.endswith("xml") else ANTIMONY
    assert read("\ufeff" + text, name=name).species == ("X",)


@pytest.mark.parametrize("declaration", ["", '<?xml version="1.0"?>', '<?xml version="1.0" encoding="UTF-8"?>'])
def test_any_xml_declaration_will_do(read, declaration):
    text = sbml(**GOOD)
    assert read(declaration + text[text.index("<sbml") :]).species == ("X",)


def test_malformed_sbml_names_the_line(read):
    with pytest.raises(ModelError, match="line 3"):
        read('<?xml version="1.0"?>\n<sbml ' + L3 + ">\n<model></sbml>")


# ---------------------------------------------------------------------- Antimony and files

ANTIMONY = """
model decay()
  compartment cell = 1;
  substanceOnly species X in cell;
  death: X => ; k*X;
  X = 7; k = 2;
end
"""


@pytest.mark.parametrize("name", ["decay.ant", "decay.txt", "decay"])
def test_antimony(read, name):
    model = read(ANTIMONY, name=name)
    assert (model.name, model.species) == ("decay", ("X",))
    assert rates(model, [3]) == [[6.0]]


def test_antimony_species_are_concentrations_unless_told_otherwise(read):
    text = ANTIMONY.replace("substanceOnly ", "").replace("cell = 1", "cell = 2").replace("X = 7", "X = 3.5")
    model = read(text, name="decay.ant")
    assert model.initial_states.tolist() == [[7]]
    assert rates(model, [3]) == [[3.0]]


def test_antimony_submodels_are_flattened(read):
    text = ANTIMONY + "model two()\n  a: decay();\n  b: decay();\n  b.k = 3;\nend\n"
    model = read(text, name="two.ant")
    assert model.n_reactions == 2
    assert sorted(rates(model, [1, 1])[0]) == [2.0, 3.0]


def test_sbml_is_known_by_its_content(read):
    assert read(sbml(**GOOD), name="model").species == ("X",)


def test_malformed_antimony(read):
    with pytest.raises(ModelError, match=r"bad\.ant.*line 3"):
        read("model m()\n  X = 1;\n  a: X => => ; k\nend", name="bad.ant")


def test_antimony_names_are_ascii_and_texts_need_not_be(read):
    assert read(ANTIMONY.replace("end", 'X is "protéine"; // étude\nend'), name="a.ant").species == ("X",)
    with pytest.raises(ModelError, match="'λ' in line 5"):
        read(ANTIMONY.replace("death: X => ; k*X", "death: X => ; k*λ"), name="a.ant")


def test_antimony_files_that_import_themselves(read, tmp_path):
    (tmp_path / "b.ant").write_text('import "c.ant"\n')
    (tmp_path / "c.ant").write_text('// import "a.ant"\n/* import "a.ant" */ import "b.ant"\n')
    with pytest.raises(ModelError, match=r"b\.ant -> c\.ant -> b\.ant is a circle"):
        read('import "b.ant"\n' + ANTIMONY, name="a.ant")


def test_an_import_comes_from_beside_the_file(read, tmp_path):
    for folder, count in (("one", 4), ("two", 5)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "part.ant").write_text(f"model part()\n substanceOnly species X = {count};\nend\n")
        whole = 'import "part.ant"\nmodel whole()\n p: part();\n r: p.X => ; p.X;\nend\n'
        assert read(whole, name=f"{folder}/whole.ant").initial_states.tolist() == [[count]]


@pytest.mark.parametrize("law", ["+".join(["X"] * 20_000), "exp(" * 600 + "X" + ")" * 600])
def test_antimony_statements_of_any_length(read, law):
    with pytest.raises(ModelError, match=r"in line 5 has|deep"):
        read(ANTIMONY.replace("k*X", law), name="a.ant")


def test_antimony_sums_and_products_of_many_terms(read):
    terms = " + ".join(["X"] * 600 + ["k"] * 300)
    assert rates(read(ANTIMONY.replace("k*X", terms), name="a.ant"), [3]) == [[2400.0]]


IN_THREADS = """
import sys, threading
from fsp.formats import load
from fsp.model import Model, Reaction
from fsp.errors import ModelError

wrong = []

def work(i):
    for _ in range(10):
        model = load(f"{sys.argv[1]}/t{i}.ant")
        if model.initial_states[0, 0] != i + 1:
            wrong.append((i, model.initial_states.tolist()))
        try:
            Model(species={"X": 0}, reactions=[Reaction("0 -> X", rate=f"{i} ${{i}}")])
        except ModelError as error:
            if str(i) not in str(error):
                wrong.append((i, str(error)))

load(f"{sys.argv[1]}/t0.ant")
threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print("wrong:", wrong)
"""


def test_files_are_read_in_threads(tmp_path):
    for i in range(4):
        (tmp_path / f"t{i}.ant").write_text(ANTIMONY.replace("X = 7", f"X = {i + 1}"))
    done = subprocess.run(
        [sys.executable, "-c", IN_THREADS, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, "wrong: []\n"), done.stderr[-500:]


def test_antimony_events(read):
    model = read(ANTIMONY.replace("end", "E: at time > 3, t0=false, priority=2: X = 1;\nend"), name="a.ant")
    (found,) = model.events
    assert (found.name, found.initial_value, found.persistent, found.rank) == ("E", False, True, 2.0)
    assert model.has_timed_events
    with pytest.raises(ModelError, match="has a delay"):
        read(ANTIMONY.replace("end", "at 2 after time > 3: X = 1;\nend"), name="a.ant")


def test_events_count_molecules(read):
    """A concentration that is assigned becomes a number; a trigger compares the concentration."""
    one = event(apply("geq", "X", 3), {"X": 0.5}, flags='initialValue="false" persistent="false"', values="false")
    model = read(
        Compartments=[compartment(size="2")],
        Species=[species("X", 0, only="false")],
        Reactions=[reaction("r", [], ["X"], 1)],
        Events=[one],
    )
    (found,) = model.events
    assert (found.initial_value, found.persistent, found.use_trigger_values) == (False, False, False)
    assert model.change.tolist() == [[1], [-4]]  # at 6 molecules one is left
    assert model.propensities([[4], [5]]).tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_events_of_level_2(read):
    text = sbml(L2, Events=[event(apply("geq", TIME, 3), {"X": 0}, flags="")], **GOOD)
    (found,) = read(text.replace(' useValuesFromTriggerTime="true"', "")).events
    assert (found.initial_value, found.persistent, found.use_trigger_values) == (True, True, True)
    assert found.priority is None


def test_what_was_assigned_at_the_start_does_not_follow_an_event(read):
    """An initial assignment holds at t = 0 only, an assignment rule always."""
    model = read(
        Species=[species("X", 1)],
        Parameters=[parameter(name, 1, "false") for name in ("k", "once")] + [parameter("always", None, "false")],
        InitialAssignments=[f'<initialAssignment symbol="once">{math(apply("times", 3, "k"))}</initialAssignment>'],
        Rules=[rule("assignmentRule", "always", apply("times", 3, "k"))],
        Reactions=[reaction("a", [], ["X"], "once"), reaction("b", [], ["X"], "always")],
        Events=[event(apply("geq", TIME, 2), {"k": 5})],
    )
    first, second = (phase.model(model.initial_states, model.initial_probabilities) for phase in model.phases(0, 4))
    assert first.propensities([[1]]).ravel().tolist() == [3.0, 3.0]
    assert second.propensities([[1]]).ravel().tolist() == [3.0, 15.0]


def test_a_stoichiometry_that_an_event_changes_is_refused(read):
    with pytest.raises(ModelError, match=r"Stoichiometry of 'X' .* formula of n"):
        read(
            Species=[species("X", 1)],
            Parameters=[parameter("n", 2, "false")],
            Reactions=[reaction("a", [], [reference("X", None, 'id="s"')], 1)],
            InitialAssignments=[f'<initialAssignment symbol="s">{math(term("n"))}</initialAssignment>'],
            Events=[event(apply("geq", TIME, 2), {"n": 3})],
        )


def test_parameters_at_loading(tmp_path):
    file = tmp_path / "decay.ant"
    file.write_text(ANTIMONY)
    assert load(file, k=5).parameters["k"] == 5.0
    with pytest.raises(ModelError, match="is 'q'"):
        load(str(file), q=5)


def test_missing_files(tmp_path):
    for path in (tmp_path / "none.xml", tmp_path):
        with pytest.raises(ModelFileNotFoundError, match="must exist"):
            load(path)
    binary = tmp_path / "b.xml"
    binary.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ModelError, match="UTF-8"):
        load(binary)
