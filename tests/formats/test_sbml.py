"""What SBML documents mean: species, compartments, rules, reactions."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest
from written_sbml import (
    L2,
    L3,
    TIME,
    apply,
    assign,
    compartment,
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
from fsp.errors import ArgumentError, ModelError

# ---- species


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


def test_a_point_with_a_size_is_as_other_compartments_in_level_3(read):
    """Level 3 has no rules of its own for compartments without dimensions; Level 2 does not allow them a size."""

    def text(dimensions, level=L3):
        parts = sbml(
            level,
            Compartments=[compartment(size="2")],
            Species=[species("X", 5, only="false", kind="initialConcentration")],
            Reactions=[reaction("r", ["X"], [], apply("times", "X", "cell"))],
        )
        return parts.replace('spatialDimensions="3"', f'spatialDimensions="{dimensions}"')

    for dimensions in (0, 1, 2, 3):
        model = read(text(dimensions))
        assert model.initial_states.tolist() == [[10]]  # 5 in a unit of size
        assert rates(model, [10]) == [[10.0]]  # 10 / 2 * 2
    with pytest.raises(ModelError, match="'cell' should not have a 'size'"):
        read(text(0, level=L2))


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


def test_species_that_are_held_need_a_number_only_where_it_is_used(read):
    """Files leave out how much there is of a source that no formula holds."""
    lists = {
        "Species": [species("S", None, boundary="true"), species("W", None, boundary="true"), species("X", 4)],
        "Reactions": [reaction("make", ["S"], ["X"], 3), reaction("lose", ["X"], ["W"], "X")],
    }
    model = read(**lists)
    assert model.species == ("X",)
    assert model.propensities([[4]])[:, 0].tolist() == [3.0, 4.0]
    mean = fsp.transient(model, 1.0)[-1].mean_interval()["X"]
    exact = 3.0 + (4.0 - 3.0) * exp(-1.0)  # x' = 3 - x
    assert mean.lower <= exact <= mean.upper
    used = {**lists, "Reactions": [reaction("make", ["S"], ["X"], apply("times", 3, "S"))]}
    with pytest.raises(ModelError, match="Species 'S' must have a number, because a formula uses it"):
        read(**used)
    constant = {**lists, "Species": [species("S", None, constant="true", boundary="true"), *lists["Species"][1:]]}
    assert read(**constant).species == ("X",)
    with pytest.raises(ModelError, match="Species 'X' must have an initial amount or concentration"):
        read(**{**lists, "Species": [*lists["Species"][:2], species("X", None)]})


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


# ---- reactions


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


def test_values_that_make_a_stoichiometry_stay(read):
    """What the file is read as depends on them: other values are refused, wherever they come from."""
    lists = {
        "Species": [species("X", 9), species("Y", 0)],
        "Parameters": [parameter("n", 2), parameter("m", None, "false"), parameter("k", 3)],
        "InitialAssignments": [assign("sy", apply("plus", "m", 1))],
        "Rules": [rule("assignmentRule", "m", apply("times", "n", 2))],
        "Reactions": [reaction("a", ["X"], [reference("Y", None, 'id="sy"')], apply("times", "k", "n", "X"))],
    }
    model = read(**lists)
    assert model.change.tolist() == [[-1, 5]]
    assert rates(model.with_parameters(n=2, k=5), [2, 0]) == [[20.0]]
    said = r"Stoichiometry of 'Y' in reaction 'a', m \+ 1, must stay 5, with which the file was read, but becomes 7"
    for other in (lambda: model.with_parameters(n=3), lambda: read(**lists, loading={"n": 3})):
        with pytest.raises(ModelError, match=said):
            other()
    with pytest.raises(ModelError, match=said):
        fsp.sweep(model, {"n": [2, 3]}, [1.0])
    with pytest.raises(ArgumentError, match="'n' must stay 2: Stoichiometry of 'Y' in reaction 'a' depends on it"):
        fsp.sensitivity(model, [1.0], ["n"])
    assert read(sbml(**{**lists, "Parameters": [parameter("n", 3), *lists["Parameters"][1:]]})).change.tolist() == [
        [-1, 7]
    ]


EXTENT = 'substanceUnits="{}" extentUnits="{}" conversionFactor="f"'
PARTS = [unit("mmol", "mole", -3), unit("dozen", "item", 0, 12)]


def in_extent(substance, extent, factor, amount, more=()):
    """Births at 3 and deaths at X in units of extent, of which one is `factor` units of the species."""
    return sbml(
        attributes=EXTENT.format(substance, extent),
        UnitDefinitions=PARTS,
        Parameters=[parameter("f", factor), parameter("g", 2)],
        Species=[species("X", amount), *more],
        Reactions=[
            reaction("b", [], ["X", *(["Y"] if more else [])], apply("divide", 3, "f")),
            reaction("d", ["X"], [], apply("divide", "X", "f")),
        ],
    )


@pytest.mark.parametrize(
    ("substance", "extent", "factor", "amount", "molecules"),
    [
        ("item", "mole", 6.02214076e23, "5", 1.0),
        ("item", "mole", 6.022e23, "5", 1.0),
        ("item", "dozen", 12, "5", 1.0),
        ("mmol", "mole", 1000, "1.5e-20", 6.02214076e20),
        ("mole", "mmol", 1e-3, "1.5e-23", 6.02214076e23),
    ],
)
def test_a_conversion_factor_that_is_a_unit_changes_no_stoichiometry(
    read, substance, extent, factor, amount, molecules
):
    model = read(in_extent(substance, extent, factor, amount))
    assert model.change.tolist() == [[1], [-1]]
    np.testing.assert_allclose(rates(model, [4]), [[3.0 * molecules, 4.0]])
    assert "'f' is the unit of extent in that of the species: it multiplies laws" in model.conversion.steps
    with pytest.raises(ModelError, match="unit of extent in that of the species, f, must stay"):
        model.with_parameters(f=3 * factor)
    assert "d" not in model.parameters


def test_a_conversion_factor_that_is_no_unit_multiplies_stoichiometries(read):
    for substance, extent, factor in (
        ("item", "item", 3),
        ("item", "dozen", 4),
        ("item", "", 12),
    ):
        text = in_extent(substance, extent, factor, "24").replace('extentUnits=""', "")
        model = read(text.replace("<ci>X</ci>", "<cn>0</cn>"), loading={"counts": "as-is"})
        assert model.change.tolist() == [[factor], [-factor]]
        assert rates(model, [24]) == [[3 / factor, 0.0]]
    other = [species("Y", 2, extra='conversionFactor="g"')]
    model = read(in_extent("item", "dozen", 12, "24", other).replace("<ci>X</ci>", "<cn>0</cn>"))
    assert model.change.tolist() == [[12, 2], [-1, 0]]  # of one reaction, two factors


def test_the_rate_of_a_reaction_by_its_id(read):
    model = read(
        Species=[species("X", 9)],
        Reactions=[
            reaction("a", ["X"], [], apply("times", 2, "X")),
            reaction("b", [], ["X"], apply("divide", "a", 4)),
        ],
    )
    assert rates(model, [6]) == [[12.0, 3.0]]


def test_the_rate_of_a_reaction_in_rules_and_assignments(read):
    """An initial assignment holds what the rate is at the start; a rule follows it; a constraint may speak of it."""
    model = read(
        Species=[species("X", 5)],
        Parameters=[parameter("k", 3), parameter("a", None), parameter("b", None, "false")],
        InitialAssignments=[assign("a", "d")],
        Rules=[rule("assignmentRule", "b", apply("times", 2, "d"))],
        Constraints=[f"<constraint>{math(apply('lt', 'd', 12))}</constraint>"],
        Reactions=[
            reaction("d", ["X"], [], apply("times", "k", "X")),
            reaction("e", [], ["X"], "a"),
            reaction("f", [], ["X"], "b"),
        ],
    )
    assert rates(model, [5], [1]) == [[15.0, 15.0, 30.0], [3.0, 15.0, 6.0]]
    assert rates(model.with_initial(X=2), [1]) == [[3.0, 6.0, 6.0]]
    assert model.constraints == {"constraint_1": "3*X < 12"}
    with pytest.raises(ModelError, match=r"rateRule for 'b' must depend on time and constants alone, .* on 'X'"):
        read(
            Species=[species("X", 5)],
            Parameters=[parameter("b", 1, "false")],
            Rules=[rule("rateRule", "b", "d")],
            Reactions=[reaction("d", ["X"], [], apply("times", "b", "X"))],
        )


def test_stoichiometries_of_a_species_add_up(read):
    model = read(
        Species=[species("X", 9), species("Y", 0)],
        Reactions=[reaction("a", ["X"], [reference("Y", "0.5"), reference("Y", "1.5")], "X")],
    )
    assert model.change.tolist() == [[-1, 2]]
    with pytest.raises(ModelError, match=r"Stoichiometry of 'Y' in reaction 'a' must be a whole number, but is 0.5"):
        read(
            Species=[species("X", 9), species("Y", 0)],
            Reactions=[reaction("a", ["X"], [reference("Y", "0.25"), reference("Y", "0.25")], "X")],
        )


def test_large_stoichiometries(read):
    """They take no time, and are bounded as counts are."""
    many = {"Species": [species("X", 6)]}
    with pytest.raises(ModelError, match="'a' must be 0 where there are fewer than 1000000000 X"):
        read(**many, Reactions=[reaction("a", [reference("X", "1e9")], [], "X")])
    with pytest.raises(ModelError, match="'a' must take or make at most 9,007,199,254,740,992 'X'"):
        read(**many, Reactions=[reaction("a", [], [reference("X", "1e30")], 1)])
    assert read(**many, Reactions=[reaction("a", [reference("X", "1e9")], [], 0)]).change.tolist() == [[-(10**9)]]


def test_a_net_law_is_two_reactions(read):
    model = read(
        Species=[species("X", 9), species("Y", 0)],
        Reactions=[reaction("a", ["X"], ["Y"], apply("minus", "X", "Y"), reversible="true")],
    )
    assert rates(model, [6, 1]) == [[6.0, 1.0]]
    assert [reaction.equation for reaction in model.reactions] == ["X -> Y", "Y -> X"]
    assert str(model.conversion) == "a: split into a_forward at X and a_reverse at Y"


def test_the_unit_of_time(read):
    lists = {"Species": [species("X", 1)], "Reactions": [reaction("a", ["X"], [], "X")]}
    assert read(sbml(attributes='timeUnits="second"', **lists)).time_unit == "second"
    assert read(**lists).time_unit == ""


@pytest.mark.parametrize(
    ("unit", "name"),
    [("60 second", "minute"), ("36e2 second", "hour"), ("1e-3 second", "millisecond"), ("90 second", "90 seconds")],
)
def test_parts_and_multiples_of_a_second_have_names(unit, name):
    text = f"model m; unit time_unit = {unit}; species X; X = 1; r: X => ; k*X; k = 1; end"
    assert fsp.loads(text).time_unit == name
    counts = fsp.read_counts({"time": [1.0], "x": [1]}, counts={"X": "x"}, time_unit="day")
    with pytest.raises(fsp.ArgumentError, match=f"{name}, but are in day; convert the column"):
        fsp.likelihood(fsp.loads(text), counts)
