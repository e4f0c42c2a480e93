"""SBML that no master equation expresses is refused by name, and what is harmless is read."""

from __future__ import annotations

from itertools import pairwise

import pytest
from written_sbml import (
    ANTIMONY,
    GOOD,
    L2,
    L3,
    TIME,
    apply,
    assign,
    compartment,
    event,
    function,
    math,
    parameter,
    rates,
    reaction,
    reference,
    rule,
    sbml,
    species,
    term,
    unit,
)

import fsp
from fsp.errors import ModelError

DELAY = '<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/delay">delay</csymbol>'
RATE_OF = '<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/rateOf">rateOf</csymbol>'


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
        ({"Rules": [rule("rateRule", "X", 1)]}, "rateRule for 'X'"),
        ({"Rules": [rule("algebraicRule", None, "X")]}, "an algebraic rule, 0 = X, constrains the state"),
        ({"Rules": [rule("assignmentRule", "X", 1)]}, "'r' must not change 'X'"),
        ({"Species": [species("X", 1, constant="true")]}, "'X', which is constant"),
        ({"Species": [species("X", "1.5")]}, "'X' must be a whole number"),
        ({"Species": [species("X", None)]}, "Species 'X' must have an initial amount"),
        (
            {"Reactions": [reaction("r", ["X"], [], "k")], "Parameters": [parameter("k", "INF")]},
            "'k' must have a value, because a formula uses it, but has inf",
        ),
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


@pytest.mark.parametrize("package", ["qual", "multi"])
def test_required_packages_are_refused(read, package):
    uri = f"http://www.sbml.org/sbml/level3/version1/{package}/version1"
    with pytest.raises(ModelError, match=rf"requires the package '{package}'"):
        read(sbml(f'{L3} xmlns:{package}="{uri}" {package}:required="true"', **GOOD))


def test_packages_that_are_not_required_are_ignored(read):
    uri = "http://www.sbml.org/sbml/level3/version1/layout/version1"
    assert read(sbml(f'{L3} xmlns:layout="{uri}" layout:required="false"', **GOOD)).species == ("X",)


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
        ({"Parameters": [parameter("X", 1)]}, "id to one element, but 'X' is a species and a parameter; rename one"),
        ({"Compartments": [compartment(), compartment("X")]}, "'X' is a species and a compartment; rename one"),
        ({"Parameters": [parameter("cell", 1)]}, "'cell' is a compartment and a parameter; rename one"),
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
    assert "line 1" in str(refused.value) or "rename one of them" in str(refused.value) or "twice" in what


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


@pytest.mark.parametrize("chained", [list, reversed])
def test_a_long_chain_of_functions_is_read(read, chained):
    functions = [function("f0", ["x"], apply("geq", "x", 1))]
    functions += [function(f"f{i}", ["x"], apply(f"<ci>f{i - 1}</ci>", "x")) for i in range(1, 200)]
    lists = {
        "FunctionDefinitions": list(chained(functions)),
        "Reactions": [reaction("r", ["X"], [], "X")],
        "Events": [event(apply("<ci>f199</ci>", TIME), {"X": 4})],
    }
    text = sbml(**{**GOOD, **lists}).replace(L3, L3.replace("n2", "n1").replace('n="2"', 'n="1"'))
    model = read(text.replace("reversible=", 'fast="false" reversible='))  # of a version that wants conditions
    assert fsp.transient(model, [1.0 + 1e-9])[-1].mean()["X"] == pytest.approx(4.0, abs=1e-6)


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


def with_number(number):
    return sbml(Species=[species("X", 5)], Reactions=[reaction("r", ["X"], [], apply("times", "X", number))])


@pytest.mark.parametrize(
    "number",
    [
        "<cn>1,5</cn>",
        "<cn> 1 5 </cn>",
        "<cn>1_000</cn>",
        "<cn>0x10</cn>",
        "<cn>1d3</cn>",
        '<cn type="integer">2.5</cn>',
        '<cn type="integer" base="16">10</cn>',
        "<cn type='rational'>1.5<sep/>2</cn>",
        '<cn type="rational">3</cn>',
        '<cn type="e-notation">2<sep/>1.5</cn>',
    ],
)
def test_numbers_that_would_be_read_in_part(read, number):
    """libsbml takes 1,5 for 1, and an integer of 2.5 for 2."""
    with pytest.raises(ModelError, match=r"must write numbers as MathML does.* line 1 has <cn"):
        read(with_number(number))


@pytest.mark.parametrize("number", ["<cn>1e-400</cn>", '<cn type="e-notation">0.002<sep/>-400</cn>'])
def test_numbers_that_are_not_zero_are_not_taken_for_it(read, number):
    with pytest.raises(ModelError, match=r"must hold numbers in the range of doubles, but line 1 has <cn"):
        read(with_number(number))


@pytest.mark.parametrize(
    ("number", "value"),
    [
        ("<cn>1<!-- and -->5</cn>", 15.0),
        ("<cn><![CDATA[15]]></cn>", 15.0),
        ("<cn>1&#53;</cn>", 15.0),
        ("<cn type='integer'>\n+3 </cn>", 3.0),
        ('<cn type="rational"> -6 <sep></sep> -2 </cn>', 3.0),
        ('<cn type="e-notation">2.5e1<sep/>1</cn>', 250.0),
        ('<cn type="e-notation">0.0<sep/>-400</cn>', 0.0),
        ("<cn>.5E+1</cn>", 5.0),
    ],
)
def test_numbers_as_mathml_writes_them(read, number, value):
    assert rates(read(with_number(number)), [1]) == [[value]]


def test_numbers_of_annotations_are_for_others(read):
    said = "<annotation><a:cn xmlns:a='https://example.org'>1,5</a:cn></annotation>"
    text = with_number("<cn>3</cn>").replace("<listOfCompartments>", f"{said}<listOfCompartments>")
    assert rates(read(text), [1]) == [[3.0]]


@pytest.mark.parametrize("number", ["1e-400", "1e-320", "1e400", "0x10", "-0X1p3"])
@pytest.mark.parametrize("quote", ['"', "'"])
def test_numbers_of_attributes_that_no_double_holds(read, number, quote):
    """libsbml says of those of any size that they are no numbers, and takes 0x10 for 16."""
    text = sbml(**{**GOOD, "Parameters": [parameter("k").replace('value="1"', f"\nvalue = {quote}{number}{quote}")]})
    with pytest.raises(ModelError, match=f"must have decimal numbers from .*, but line 2 has value = .{number}"):
        read(text)
    with pytest.raises(ModelError, match=f"has initialAmount=.{number}"):
        read(sbml(**{**GOOD, "Species": [species("X", number)]}))


@pytest.mark.parametrize(("number", "value"), [("+5", 5), ("5.", 5), (" 0.05e2 ", 5), ("0e-999", 0)])
def test_numbers_of_attributes_as_xml_writes_them(read, number, value):
    assert read(sbml(**{**GOOD, "Species": [species("X", number)]})).initial_states.tolist() == [[value]]


@pytest.mark.parametrize("size", ["0", "-1"])
def test_sizes_that_concentrations_need_are_above_0(read, size):
    lists = {**GOOD, "Compartments": [compartment(size=size)]}
    assert rates(read(**lists), [3]) == [[3.0]]  # of amounts
    lists["Species"] = [species("X", 1, only="false")]
    with pytest.raises(ModelError, match=f"'cell' must have a size above 0, because .* but has {size}; write it into"):
        read(**lists)


MINUTE = '<unitDefinition id="{}"><listOfUnits><unit kind="second" multiplier="60"/></listOfUnits></unitDefinition>'
OLD = 'xmlns="http://www.sbml.org/sbml/level2" level="2" version="1"'


def in_units(attributes, more="", definitions="", home="", level=OLD):
    """A decay of X in a law, or of a species, that has units of its own."""
    decay = reaction("r", ["X"], [], apply("times", "X", "cell")).replace("<kineticLaw>", f"<kineticLaw {attributes}>")
    return sbml(
        level,
        UnitDefinitions=[MINUTE.format("minute"), definitions],
        Compartments=[compartment(size=2, extra=home)],
        Species=[species("X", 4, only="false", extra=more)],
        Reactions=[decay],
    )


ML = unit("ml", "litre", -3)
OTHER_UNITS = {
    "minutes": (in_units('timeUnits="minute"'), "law of 'r' must be in 'time' of the model, .*timeUnits='minute'"),
    "undefined": (in_units('timeUnits="hour"'), "or define 'time' of the model as hour"),
    "moles of items": (in_units('substanceUnits="mole"', 'substanceUnits="item"'), "the unit of its species"),
    "millilitres": (
        in_units("", 'spatialSizeUnits="ml"', ML),
        "Species 'X' must be in 'volume' of the model, .* has spatialSizeUnits='ml'",
    ),
    "of a home": (in_units("", 'spatialSizeUnits="volume"', ML, 'units="ml"'), "must be in 'ml' of"),
}  # fmt: skip
SAME_UNITS = {
    "seconds": in_units('timeUnits="second"'),
    "by its name": in_units('timeUnits="time"', definitions=MINUTE.format("time")),
    "minutes": in_units('timeUnits="minute"', definitions=MINUTE.format("time")),
    "items": in_units('substanceUnits="item"', 'substanceUnits="item"'),
    "items of what is undeclared": in_units('substanceUnits="item"'),
    "litres": in_units("", 'spatialSizeUnits="litre"'),
    "millilitres": in_units("", 'spatialSizeUnits="ml"', ML, 'units="ml"'),
}


@pytest.mark.parametrize("name", OTHER_UNITS)
def test_units_of_a_law_or_a_species_that_are_not_those_of_the_model_are_refused(read, name):
    text, said = OTHER_UNITS[name]
    with pytest.raises(ModelError, match=said):
        read(text)


@pytest.mark.parametrize("name", SAME_UNITS)
def test_units_of_a_law_or_a_species_that_are_those_of_the_model_are_read(read, name):
    assert rates(read(SAME_UNITS[name], loading={"counts": "as-is"}), [4]) == [[4.0]]


def test_units_of_a_law_are_those_of_the_model_in_level_1(read):
    law = '<kineticLaw formula="X" timeUnits="{}"/>'
    text = f"""<sbml xmlns="http://www.sbml.org/sbml/level1" level="1" version="2"><model name="m">
    <listOfUnitDefinitions>{MINUTE.format("minute").replace("id=", "name=").replace(' multiplier="60"', ' scale="2"')}
    </listOfUnitDefinitions><listOfCompartments><compartment name="c" volume="1"/></listOfCompartments>
    <listOfSpecies><species name="X" compartment="c" initialAmount="4"/></listOfSpecies>
    <listOfReactions><reaction name="r" reversible="false"><listOfReactants><speciesReference species="X"/>
    </listOfReactants>{{}}</reaction></listOfReactions></model></sbml>"""
    assert rates(read(text.format(law.format("second"))), [4]) == [[4.0]]
    with pytest.raises(ModelError, match="timeUnits='minute'"):
        read(text.format(law.format("minute")))
