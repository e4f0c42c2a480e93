"""Networks of BioNetGen and StochKit, and model objects: propensities by hand, and what is refused with a way in."""

from __future__ import annotations

import importlib.util
import shutil
from math import exp, floor, log, sqrt
from types import SimpleNamespace

import numpy as np
import pytest

import fsp
from fsp.errors import ArgumentError, BackendError, ModelError, ModelWarning
from fsp.formats.foreign_formulas import as_ours
from fsp.formats.sbml_writer import write_sbml

SPECIES = "begin species\n  1 A() 7\n  2 B() 5\n  3 C() 4\nend species\n"
PATTERNS = "begin species\n  1 A(b) 7\n  2 @cell::B(a,s~0) 5\n  3 A(b!1).B(a!1) 4\nend species\n"
RULE = "begin molecule types\n  1 A()\nend molecule types\nbegin reaction rules\n A() -> 0 k\nend reaction rules\n"
PARAMETERS = "begin parameters\n  1 k 0.3\n  2 q 2*k  # ConstantExpression\n  3 K 1.5\n  4 n 2\nend parameters\n"
GROUPS = "begin groups\n  1 Obs 1,2*2\n  2 None_\nend groups\n"


def net(*laws, functions="", species=SPECIES, groups=GROUPS):
    lines = "\n".join(f"  {i} {law} #_R{i}" for i, law in enumerate(laws, 1))
    functions = f"begin functions\n{functions}\nend functions\n" if functions else ""
    return f"# Created by BioNetGen\n{PARAMETERS}{functions}{species}begin reactions\n{lines}\nend reactions\n{groups}"


def kit(*reactions, k="0.3", A="7"):
    parts = "".join(
        f"<Reaction><Id>R{i}</Id><Type>{kind}</Type><{tag}>{law}</{tag}>"
        f"<Reactants>{side(left)}</Reactants><Products>{side(right)}</Products></Reaction>"
        for i, (left, right, kind, tag, law) in enumerate(reactions)
    )
    parameters = f"<Parameter><Id>k</Id><Expression>{k}</Expression></Parameter>"
    parameters += "<Parameter><Id>q</Id><Expression>2*k</Expression></Parameter>"
    counts = {"A": A, "B": "5", "C": "4"}
    species = "".join(
        f"<Species><Id>{s}</Id><InitialPopulation>{c}</InitialPopulation></Species>" for s, c in counts.items()
    )
    return (
        f"<Model><Description>m</Description><NumberOfReactions>{len(reactions)}</NumberOfReactions>"
        f"<NumberOfSpecies>3</NumberOfSpecies><ParametersList>{parameters}</ParametersList>"
        f"<ReactionsList>{parts}</ReactionsList><SpeciesList>{species}</SpeciesList></Model>"
    )


def side(counts):
    return "".join(f'<SpeciesReference id="{s}" stoichiometry="{n}"/>' for s, n in counts.items())


def mass(left, right, rate):
    return (left, right, "mass-action", "Rate", rate)


def custom(left, right, law):
    return (left, right, "customized", "PropensityFunction", law)


def free(s, e, km):
    b = s - km - e
    return 0.5 * (b + sqrt(b * b + 4 * s * km))


# Name, text, and for each reaction its change and its propensity by hand; k = 0.3, q = 0.6, K = 1.5, n = 2.
FILES = {
    "birth_death.net": (
        net("0 1 k", "1 0 q"),
        [((1, 0, 0), lambda a, b, c: 0.3), ((-1, 0, 0), lambda a, b, c: 0.6 * a)],
    ),
    "pairs.net": (
        net("1,2 3 k", "1,1 2 0.5*k", "3,3 0 k"),
        [
            ((-1, -1, 1), lambda a, b, c: 0.3 * a * b),
            ((-2, 1, 0), lambda a, b, c: 0.15 * a * (a - 1)),
            ((0, 0, -2), lambda a, b, c: 0.3 * c * (c - 1)),
        ],
    ),
    "triples.net": (
        net("1,1,1 1,2 0.166666666666667*k", "1,1,2 3 0.5*q"),
        [
            ((-2, 1, 0), lambda a, b, c: 0.166666666666667 * 0.3 * a * (a - 1) * (a - 2)),
            ((-2, -1, 1), lambda a, b, c: 0.3 * a * (a - 1) * b),
        ],
    ),
    "functions.net": (
        net("0 1 f", "2 3 2*g", "1,1 0 0.5*g", functions="  1 f() (k*Obs)/(1+(Obs^n))\n  2 g() f()*q+None_"),
        [
            ((1, 0, 0), lambda a, b, c: 0.3 * (a + 2 * b) / (1 + (a + 2 * b) ** 2)),
            ((0, -1, 1), lambda a, b, c: 2 * b * 0.6 * 0.3 * (a + 2 * b) / (1 + (a + 2 * b) ** 2)),
            ((-2, 0, 0), lambda a, b, c: 0.5 * a * (a - 1) * 0.18 * (a + 2 * b) / (1 + (a + 2 * b) ** 2)),
        ],
    ),
    "conditions.net": (
        net(
            "0 1 f", "0 2 g", "0 3 h",
            functions="1 f() if((Obs>9),(k*4),q)\n2 g() rint(Obs/4)+log2(8)+ln(1+Obs)\n"
            "3 h() if((Obs>=9)&&(Obs~=12),1,_pi)",
        ),
        [
            ((1, 0, 0), lambda a, b, c: 1.2 if a + 2 * b > 9 else 0.6),
            ((0, 1, 0), lambda a, b, c: floor((a + 2 * b) / 4 + 0.5) + 3 + log(1 + a + 2 * b)),
            ((0, 0, 1), lambda a, b, c: 1 if a + 2 * b >= 9 and a + 2 * b != 12 else 3.141592653589793),
        ],
    ),
    "saturation.net": (
        net("1,2 2,3 Sat k K", "1,2 3 2*Sat k K q"),
        [
            ((-1, 0, 1), lambda a, b, c: 0.3 * a * b / (1.5 + a)),
            ((-1, -1, 1), lambda a, b, c: 0.6 * a * b / ((1.5 + a) * (0.6 + b))),
        ],
    ),
    "michaelis_menten.net": (
        net("1,2 3,2 MM k K"),
        [((-1, 0, 1), lambda a, b, c: 0.3 * b * free(a, b, 1.5) / (1.5 + free(a, b, 1.5)))],
    ),
    "hill.net": (
        net("1 3 Hill k K n", "1,2 2 Hill k K n"),
        [
            ((-1, 0, 1), lambda a, b, c: 0.3 * a**2 / (1.5**2 + a**2)),
            ((-1, 0, 0), lambda a, b, c: 0.3 * a**2 / (1.5**2 + a**2) * b),
        ],
    ),
    "held.net": (
        net("1,2 3 k", "2,2 1 0.5*k", species=SPECIES.replace("2 B()", "2 $B()")),
        [((-1, 0, 1), lambda a, b, c: 0.3 * a * b), ((1, 0, 0), lambda a, b, c: 0.15 * b * (b - 1))],
    ),
    "patterns.net": (
        net("1,2 3 k", "3 1,2 q", species=PATTERNS),
        [((-1, -1, 1), lambda a, b, c: 0.3 * a * b), ((1, 1, -1), lambda a, b, c: 0.6 * c)],
    ),
    "written.net": (
        'begin model\nsetOption("NumberPerQuantityUnit",1)\nsubstanceUnits("Number")\n'
        + net("1 2,3 \\\n k", "3 0 1e-1*k")
        .replace("1 k 0.3", "k  3e-1")
        .replace("begin species", f"{RULE}begin species")
        + "end model\n",
        [((-1, 1, 1), lambda a, b, c: 0.3 * a), ((0, 0, -1), lambda a, b, c: 0.03 * c)],
    ),
    "a_network.txt": (net("1 0 k"), [((-1, 0, 0), lambda a, b, c: 0.3 * a)]),
    "birth_death.xml": (
        kit(mass({}, {"A": 1}, "k"), mass({"A": 1}, {}, "q")),
        [((1, 0, 0), lambda a, b, c: 0.3), ((-1, 0, 0), lambda a, b, c: 0.6 * a)],
    ),
    "pairs.xml": (
        kit(mass({"A": 2}, {"B": 1}, "k"), mass({"A": 1, "B": 1}, {"C": 2}, "k/2"), mass({"A": 3}, {}, "0.6")),
        [
            ((-2, 1, 0), lambda a, b, c: 0.3 * a * (a - 1) / 2),
            ((-1, -1, 2), lambda a, b, c: 0.15 * a * b),
            ((-3, 0, 0), lambda a, b, c: 0.6 * a * (a - 1) * (a - 2) / 6),
        ],
    ),
    "customized.xml": (
        kit(custom({"A": 1}, {"B": 1}, "k*A*pow(B, 2)/(1 + pow(B,2))"),
            custom({}, {"C": 1}, "log(1 + A)*exp(-k) + fabs(A-B)")),
        [
            ((-1, 1, 0), lambda a, b, c: 0.3 * a * b**2 / (1 + b**2)),
            ((0, 0, 1), lambda a, b, c: log(1 + a) * exp(-0.3) + abs(a - b)),
        ],
    ),
    "divided.xml": (  # StochKit writes /(double) for /
        kit(custom({"A": 1}, {}, "1/2*A"), custom({"A": 1}, {"C": 1}, "A/2 + A*(3/4)")),
        [((-1, 0, 0), lambda a, b, c: 0.5 * a), ((-1, 0, 1), lambda a, b, c: 1.25 * a)],
    ),
    "catalyst.xml": (
        '<?xml version="1.0"?>\n<!-- by hand -->\n'
        + kit(mass({"A": 1, "B": 1}, {"B": 1, "C": 1}, "q"), k="3.0/10", A="14*k + 2.8"),
        [((-1, 0, 1), lambda a, b, c: 0.6 * a * b)],
    ),
    "floats.xml": (kit(mass({"A": "2.0"}, {"B": "1."}, "k")), [((-2, 1, 0), lambda a, b, c: 0.15 * a * (a - 1))]),
    "counted.kit": (kit(mass({"C": 2}, {"C": 1}, "k")), [((0, 0, -1), lambda a, b, c: 0.15 * c * (c - 1))]),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_propensities_by_hand(read, name):
    text, reactions = FILES[name]
    model = read(text, name=name)
    assert model.initial_states.tolist() == [[7, 5, 4]]
    np.testing.assert_array_equal(model.change, [change for change, _ in reactions])
    states = np.random.default_rng(1).integers(0, 30, (40, 3))
    expected = [[law(*map(float, x)) for x in states] for _, law in reactions]
    np.testing.assert_allclose(model.propensities(states), expected, rtol=1e-12, atol=0.0)


def test_pairs_that_gillespy2_counts_otherwise_are_said(read):
    """GillesPy2 adds its volume to the StochKit files that it writes, and has no half in the law of pairs."""
    text = kit(mass({"A": 2}, {"B": 1}, "k"), mass({"A": 1}, {"B": 1}, "k"))
    assert not read(text, name="plain.xml").conversion
    written = text.replace(
        "<Parameter>", "<Parameter><Id>vol</Id><Expression>1.0</Expression></Parameter><Parameter>", 1
    )
    for loading in ({}, {"counts": "omega=1"}):
        with pytest.warns(ModelWarning, match=r"R0: k x \(x - 1\)/2 .* as StochKit counts; GillesPy2"):
            model = read(written, name="written.xml", loading=loading)
        assert model.propensities(np.array([[5, 0, 0]])).ravel().tolist() == [0.3 * 10, 1.5]
    alone = kit(mass({"A": 1}, {}, "k")).replace("<Id>q<", "<Id>vol<")
    assert not read(alone, name="alone.xml").conversion


def test_an_initial_count_that_is_no_number_is_named(read):
    with pytest.raises(ModelError, match=r"Initial count of 'A' must use species and parameters .* but uses 'five'"):
        read(kit(mass({"A": 1}, {}, "k"), A="five"), name="text.xml")


def test_a_condition_of_a_function_switches(read):
    model = read(net("0 1 f", functions="1 f() if(Obs>9,10,q)"), name="switch.net")
    assert model.propensities(np.array([[9, 0, 0], [10, 0, 0]])).tolist() == [[0.6, 10.0]]


def test_patterns_get_names_and_the_report_says_which(read):
    model = read(FILES["patterns.net"][0], name="patterns.net")
    assert list(model.species) == ["A_b", "cell_B_a_s_0", "A_b_1_B_a_1"]
    assert "species A(b!1).B(a!1) is called A_b_1_B_a_1" in model.conversion.steps
    assert not model.conversion.assumptions


def test_an_observable_and_its_species_share_a_name_where_they_are_one(read):
    groups = "begin groups\n 1 A 1\n 2 B 1,2\nend groups\n"
    model = read(net("1 0 f", "2 0 k", functions="1 f() A + B", groups=groups), name="same.net")
    assert list(model.species) == ["A", "B_", "C"]
    np.testing.assert_allclose(model.propensities(np.array([[2, 3, 0]])), [[(2 + 2 + 3) * 2], [0.9]])


def test_amounts_of_a_network_are_converted_and_names_kept(read):
    """Names in the report are no conversion of amounts, so that they count no tuples."""
    text = net("1,1 2 0.5*k", species=SPECIES.replace("1 A() 7", "1 A(x) 0.07"))
    model = read(text, name="dilute.net", loading={"counts": "omega=100"})
    assert model.initial_states.tolist() == [[7, 500, 400]]
    np.testing.assert_allclose(model.propensities(np.array([[7, 0, 0]])), [[0.15 / 100 * 42]])
    assert any("A(x) is called" in step for step in model.conversion.steps)


REFUSED = {
    "action.net": (net("1 0 k") + "simulate_ode({t_end=>5})\n", "hold a network alone, but has 'simulate_ode"),
    "units.net": (net("1 0 k") + 'substanceUnits("Concentration")\n', 'must count in numbers.*substanceUnits'),
    "arguments.net": (net("1 0 f", functions="1 f(x) k*x"), "functions of observables alone, but 'f' .* argument 'x'"),
    "form.net": (net("1 -> 0 k"), "reactions of the form of .net files, but has '1 1 -> 0 k'"),
    "group.net": (net("1 0 k", groups="begin groups\n1 X 1,*2\nend groups\n"), r"groups such as 1,2\*3"),
    "hill.net": (net("1 3 Hill k K"), "law Hill of BioNetGen must have its constants"),
    "total.net": (net("1 3 k TotalRate"), "'k TotalRate'"),
    "twice.net": (net("1 0 k", species=SPECIES.replace("3 C", "2 C")), "species that differ, but has '2' twice"),
    "member.net": (net("1 0 k", groups="begin groups\n1 X 1,9\nend groups\n"), "has number 9"),
    "number.net": (net("1 9 k"), "species of the file, but has number 9"),
    "events.xml": (kit().replace("<Species", "<EventsList/><Species", 1), "<EventsList>; write events in SBML"),
    "units.xml": (kit().replace("<ParametersList", "<Units>concentration</Units><ParametersList"), "population units"),
    "description.xml": (kit().replace("<Description>", '<Description units="concentration">'), "population units"),
    "volume.xml": (kit().replace("<Species", "<Volume>2</Volume><Species", 1), "<Volume>; put what it says"),
    "type.xml": (kit(({"A": 1}, {}, "michaelis-menten", "Rate", "k")), "mass-action or customized, but is michaelis"),
    "rate.xml": (kit(({"A": 1}, {}, "mass-action", "Speed", "k")), "'R0' must have <Rate>, but has none"),
    "half.xml": (kit(mass({"A": 0.5}, {}, "k")), "whole numbers, each once, but has '0.5' of 'A'"),
    "broken.xml": ("<Model><Species></Model>", "well-formed XML"),
    "entities.xml": ('<!DOCTYPE a [<!ENTITY k "3">]>' + kit(), "XML entities"),
    "guard.xml": (kit(custom({"A": 1}, {}, "k")), "must be 0 where there are fewer than 1 A"),
    "block.net": (net("1 0 k").replace("begin groups", "begin group"), "blocks .* has 'group' in line"),
    "pattern.net": (net("1 0 k", species=SPECIES.replace("2 B", "2 A")), r"patterns of species .* has 'A\(\)' twice"),
    "names.net": (net("1 0 k", groups="begin groups\n1 k 1\nend groups\n"), "functions and groups .* has 'k' twice"),
    "comma.net": (net("1,,1 0 k"), "reactions of the form of .net files, but has '1 1,,1 0 k'"),
    "value.xml": (kit().replace("<Id>q", "<Id>k"), "<Parameter> must each have an Id of its own, but two have 'k'"),
    "count.xml": (kit().replace("<Id>B", "<Id>A"), "<Species> must each have an Id of its own, but two have 'A'"),
    "many.xml": (kit().replace("Species>3", "Species>4"), "<NumberOfSpecies> must be that of the file, 3, but is 4"),
    "rates.xml": (kit(mass({"A": 1}, {}, "k</Rate><Rate>q")), "'R0' must have one text as <Rate>, but has 2 of them"),
    "inside.xml": (kit(mass({"A": 1}, {}, "k<b>*3</b>")), "'R0' must have one text as <Rate>, but has elements in it"),
    "digits.xml": (kit(mass({"A": "9" * 5000}, {}, "k")), "whole numbers, each once, but has '999"),
    "model.cps": ("<?xml version='1.0'?><COPASI/>", "COPASI and export SBML .*basico"),
    "model.crn": ("0 -> X : 3\n", "without initial counts; write Antimony"),
    "model.py": ("import gillespy2\n", "run it, and give fsp.load the model object"),
    "cell.xml": ("<model xmlns='http://www.cellml.org/cellml/1.0#'/>", r"SBML .*Antimony .*BioNetGen .*<model>"),
    "model.xyz": ("nothing\n", r"must be SBML \(.xml, .sbml\), Antimony .*'model.xyz' is none of them"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_says_the_way_in(read, name):
    text, said = REFUSED[name]
    with pytest.raises(ModelError, match=said):
        read(text, name=name)


@pytest.mark.parametrize("name", ["model.txt", "model.xyz", "model.net"])
def test_files_are_told_by_what_they_hold(read, name):
    sbml = write_sbml(read(FILES["pairs.xml"][0]))
    assert read(sbml, name=name).n_reactions == 3


# ---------------------------------------------------------------------- rules, which BioNetGen follows

RULES = """begin model
begin parameters
  k 0.3
end parameters
begin molecule types
  A(b)
end molecule types
begin seed species
  A(b) 7
end seed species
begin reaction rules
  A(b) + A(b) -> A(b!1).A(b!1) k
end reaction rules
end model
{}"""


def test_rules_without_bionetgen_say_the_way_in(read, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("BNGPATH", raising=False)
    with pytest.raises(BackendError, match=r"pip install bionetgen .*load its \.net file"):
        read(RULES.format(""), name="dimer.bngl")


def test_actions_that_change_a_model_are_refused(read):
    with pytest.raises(ModelError, match="action setConcentration, which is not followed"):
        read(RULES.format('generate_network()\nsetConcentration("A(b)", 3)\n'), name="dimer.bngl")


@pytest.mark.skipif(importlib.util.find_spec("bionetgen") is None or not shutil.which("perl"), reason="needs bionetgen")
@pytest.mark.parametrize("action", ["", "generate_network({overwrite=>1})\nsimulate({method=>'ssa',\\\nt_end=>5})\n"])
def test_rules_become_a_network(read, action):
    model = read(RULES.format(action), name="dimer.bngl")
    np.testing.assert_allclose(model.propensities(np.array([[7, 0]])), [[0.15 * 42]])
    with pytest.raises(ModelError, match=r"generate a network of, but: .*Molecule Z"):
        read(RULES.format(action).replace("A(b!1).A", "A(b!1).Z"), name="dimer.bngl")


# ---------------------------------------------------------------------- model objects


def stand_in(**changed):
    """Return what the reader sees of a GillesPy2 model; the propensities are those that version 1.8.3 makes."""
    species = SimpleNamespace(constant=False, boundary_condition=False, mode=None)
    names = {"A": 7, "B": 5, "C": 4}
    laws = {
        "r0": ({}, {"A": 1}, "(k*vol)"),
        "r1": ({"A": 2}, {"B": 1}, "(((k*A)*(A-1))/vol)"),
        "r2": ({"A": 1, "B": 1}, {"C": 1}, "(((q*A)*B)/vol)"),
        "r3": ({"A": 1}, {"C": 1}, "(((q*pow(A,2))/(1+pow(A,2)))+(log((1+A))*A))"),
        "r4": ({"C": 1}, {}, "((k*h(C,2))*exp(((-t)/5)))"),
    }
    model = type("Model", (), {"__module__": "gillespy2.core.model"})()
    parts = {
        "name": "m",
        "volume": 2.5,
        "listOfSpecies": {n: SimpleNamespace(**vars(species) | {"initial_value": v}) for n, v in names.items()},
        "listOfParameters": {"k": SimpleNamespace(expression="0.3"), "q": SimpleNamespace(expression="2*k")},
        "listOfReactions": {
            name: SimpleNamespace(
                name=name,
                reactants={SimpleNamespaceWithHash(s): n for s, n in left.items()},
                products={SimpleNamespaceWithHash(s): n for s, n in right.items()},
                propensity_function=law,
            )
            for name, (left, right, law) in laws.items()
        },
        "listOfFunctionDefinitions": {"h": SimpleNamespace(name="h", args=["x", "y"], function_string="x/(y+x)")},
        "listOfAssignmentRules": {},
        "listOfRateRules": {},
        "listOfEvents": {},
    }
    vars(model).update(parts | changed)
    return model


class SimpleNamespaceWithHash:
    """A species as GillesPy2's reactions refer to it."""

    def __init__(self, name):
        self.name = name


def by_hand(a, b, c):
    return [
        0.3 * 2.5,
        0.3 * a * (a - 1) / 2.5,
        0.6 * a * b / 2.5,
        0.6 * a**2 / (1 + a**2) + log(1 + a) * a,
        0.3 * c / (2 + c),
    ]


def check_by_hand(model):
    states = np.random.default_rng(2).integers(0, 30, (40, 3))
    expected = np.transpose([by_hand(*map(float, x)) for x in states])
    np.testing.assert_allclose(model.propensities(states, 0.0), expected, rtol=1e-13)
    np.testing.assert_allclose(model.propensities(states, 5.0)[4], expected[4] * exp(-1), rtol=1e-13)


def test_a_gillespy2_model_is_counted_as_its_solvers_count():
    model = fsp.load(stand_in())
    check_by_hand(model)
    assert model.change.tolist() == [[1, 0, 0], [-2, 1, 0], [-1, -1, 1], [-1, 0, 1], [0, 0, -1]]
    assert fsp.load(stand_in(volume=5), k=1, A=3).propensities(np.array([[3, 0, 0]]), 0.0)[1] == 6 / 5


def test_rules_and_events_of_a_gillespy2_model():
    rule = SimpleNamespace(name="a", variable="B", formula="2*C")
    laws = {"r": SimpleNamespace(name="r", reactants={"A": 1}, products={"C": 1}, propensity_function="(k*A*B)")}
    trigger = SimpleNamespace(expression="t>=3", value=False, persistent=False)
    assigned = SimpleNamespace(variable=SimpleNamespaceWithHash("A"), expression="9")
    event = {"name": "e", "trigger": trigger, "delay": None, "assignments": [assigned], "priority": "0"}
    event["use_values_from_trigger_time"] = False
    changed = {"listOfAssignmentRules": {"a": rule}, "listOfReactions": laws}
    model = fsp.load(stand_in(**changed, listOfEvents={"e": SimpleNamespace(**event)}))
    assert list(model.species) == ["A", "C"]
    np.testing.assert_allclose(model.propensities(np.array([[3, 2]])), [[0.3 * 3 * 4]])
    assert model.events[0].assignments.keys() == {"A"}
    with pytest.raises(ModelError, match="'e' must take place at once, but has the delay 2"):
        fsp.load(stand_in(listOfEvents={"e": SimpleNamespace(**event | {"delay": "2"})}))
    with pytest.raises(ModelError, match="rate rule 'w' changes A continuously"):
        fsp.load(stand_in(listOfRateRules={"w": SimpleNamespace(name="w", variable="A")}))


def test_other_objects_are_refused():
    with pytest.raises(ArgumentError, match="model of gillespy2 or pysb"):
        fsp.load(object())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of its own parser
def test_a_real_gillespy2_model():
    g = pytest.importorskip("gillespy2")
    model = g.Model(name="m", volume=2.5)
    a, b, c = (g.Species(name=name, initial_value=n) for name, n in (("A", 7), ("B", 5), ("C", 4)))
    model.add_species([a, b, c])
    k, q = g.Parameter("k", "0.3"), g.Parameter("q", "2*k")
    model.add_parameter([k, q])
    model.add_reaction(g.Reaction("r0", {}, {a: 1}, rate=k))
    model.add_reaction(g.Reaction("r1", {a: 2}, {b: 1}, rate=k))
    model.add_reaction(g.Reaction("r2", {a: 1, b: 1}, {c: 1}, rate="q"))
    model.add_reaction(g.Reaction("r3", {a: 1}, {c: 1}, propensity_function="q*A**2/(1+A**2) + log(1+A)*A"))
    model.add_function_definition(g.FunctionDefinition(name="h", function="x/(y+x)", args=["x", "y"]))
    model.add_reaction(g.Reaction("r4", {c: 1}, {}, propensity_function="k*h(C,2)*exp(-t/5)"))
    check_by_hand(fsp.load(model))


@pytest.mark.skipif(importlib.util.find_spec("bionetgen") is None or not shutil.which("perl"), reason="needs bionetgen")
def test_a_real_pysb_model():
    pysb = pytest.importorskip("pysb")
    model = pysb.Model("m", _export=False)
    a = pysb.Monomer("A", ["b"], _export=False)
    k = pysb.Parameter("k", 0.3, _export=False)
    n = pysb.Parameter("n", 7, _export=False)
    rule = pysb.Rule("pair", a(b=None) + a(b=None) >> a(b=1) % a(b=1), k, _export=False)
    for component in (a, k, n, rule):
        model.add_component(component)
    model.add_initial(pysb.Initial(a(b=None), n, _export=False))
    np.testing.assert_allclose(fsp.load(model).propensities(np.array([[7, 0]])), [[0.15 * 42]])


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("k*(not (X > 3))", "k*(! (X > 3))"),
        ("not(X > 3) and Y", "!(X > 3) && Y"),
        ("not X > 3", "not X > 3"),
        ("not (X) > 3", "not (X) > 3"),
        ("not (X > 3) == 1", "not (X > 3) == 1"),
        ("not (X", "not (X"),
    ],
)
def test_a_negation_is_read_where_all_languages_mean_the_same(text, ours):
    """Python's `not` takes in a comparison that follows, and that of C does not: what stays is refused."""
    assert as_ours(text, ["X", "Y", "k"]) == ours
