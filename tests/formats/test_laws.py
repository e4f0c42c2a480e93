"""Rate laws of files against what their reactions consume: split, counted in tuples, or refused with a way out."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from written_sbml import local, reaction, sbml, species

import fsp
from fsp.command.main import main
from fsp.errors import ModelError

HEAD = "model m\n  compartment v = 1; substanceOnly species A in v, B in v, C in v;\n"


@pytest.fixture
def load(tmp_path):
    def loading(reactions, values="A = 6; B = 5; C = 0; k = 0.3; q = 0.7;", **asked):
        file = tmp_path / "model.ant"
        file.write_text(f"{HEAD}  {reactions}\n  {values}\nend\n")
        return fsp.load(file, **asked)

    return loading


# ---------------------------------------------------------------------- net laws


@pytest.mark.parametrize(
    ("law", "forth", "back"),
    [
        ("k*A*B - q*C", lambda a, b, c: 0.3 * a * b, lambda a, b, c: 0.7 * c),
        ("v*(k*A*B - q*C)", lambda a, b, c: 0.3 * a * b, lambda a, b, c: 0.7 * c),
        ("(k*A*B - q*C)/(1 + A + C)", lambda a, b, c: 0.3 * a * b / (1 + a + c), lambda a, b, c: 0.7 * c / (1 + a + c)),
        ("-q*C + k*A*B", lambda a, b, c: 0.3 * a * b, lambda a, b, c: 0.7 * c),
        ("k*(A*B - C/q) - 0.1*C", lambda a, b, c: 0.3 * a * b, lambda a, b, c: 0.3 * c / 0.7 + 0.1 * c),
    ],
)
def test_a_difference_is_two_reactions(load, law, forth, back):
    model = load(f"J: A + B -> C; {law};")
    assert [r.name for r in model.reactions] == ["J_forward", "J_reverse"]
    np.testing.assert_array_equal(model.change, [[-1, -1, 1], [1, 1, -1]])
    states = np.array([[6, 5, 0], [3, 2, 3], [1, 0, 5]])
    expected = [[f(*map(float, x)) for x in states] for f in (forth, back)]
    np.testing.assert_allclose(model.propensities(states), expected, rtol=1e-13)
    assert "J: split into J_forward at" in str(model.conversion)


@pytest.mark.parametrize("start", [(6, 4), (7, 4), (100, 80)])
def test_reversible_reactions_are_two_from_any_start(load, start):
    """A law that is never negative on the way, as it vanishes at A = B first, has the variance of two reactions."""
    a, b = start
    model = load("J: A -> B; k*(A - B);", f"A = {a}; B = {b}; C = 0; k = 1;")
    assert [reaction.name for reaction in model.reactions] == ["J_forward", "J_reverse"]
    ones = a * (0.5 + 0.5 * np.exp(-0.2)), b * (0.5 - 0.5 * np.exp(-0.2))  # of each start, those in A at t = 0.1
    variance = ones[0] * (1 - ones[0] / a) + ones[1] * (1 - ones[1] / b)
    assert fsp.transient(model, [0.1], 1e-9)[-1].variance()["A"] == pytest.approx(variance, rel=1e-6)


@pytest.mark.parametrize(
    ("reaction", "forth", "back"),
    [
        ("A -> B; k*A*(9 - B) - q*B*(9 - A)", lambda a, b, c: 0.3 * a * (9 - b), lambda a, b, c: 0.7 * b * (9 - a)),
        ("2 A -> B; k*A*(A - 1)/2 - q*B", lambda a, b, c: 0.15 * a * (a - 1), lambda a, b, c: 0.7 * b),
        ("2 A -> A; k*A*(A - 1)/2 - q*A", lambda a, b, c: 0.15 * a * (a - 1), lambda a, b, c: 0.7 * a),
        ("A -> 2 B; k*A - q*B*(B - 1)", lambda a, b, c: 0.3 * a, lambda a, b, c: 0.7 * b * (b - 1)),
    ],
)
def test_a_difference_is_split_at_its_outermost_minus(load, reaction, forth, back):
    model = load(f"J: {reaction};", "A = 5; B = 3; C = 0; k = 0.3; q = 0.7;")
    states = [[5, 3, 0], [2, 6, 0], [7, 1, 0], [0, 0, 0]]
    expected = [[forth(*state) for state in states], [back(*state) for state in states]]
    np.testing.assert_allclose(model.propensities(states), expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("reaction", "forth", "back"),
    [
        ("A + B -> C; -q*C + k*A*B", "k*A*B", "q*C"),
        ("A -> C; -(q*C - k*A)", "k*A", "q*C"),
        ("A -> C; k*A + (-q)*C", "k*A", "q*C"),
        ("A -> C; (v - 3)*(q*C - k*A)", "(3 - v)*(k*A)", "(3 - v)*(q*C)"),
        ("A -> C; (k*A - q*C)*(3 - v)/(2 + A)", "k*A*(3 - v)/(2 + A)", "q*C*(3 - v)/(2 + A)"),
        ("A -> C; B/(1 + A)*(k*A - q*C)", "B/(1 + A)*(k*A)", "B/(1 + A)*(q*C)"),
        ("A -> C; (4 + B)*(k*A - q*C)", "(4 + B)*(k*A)", "(4 + B)*(q*C)"),
        ("A -> C; k*A - (q*C - 0.2*A) - 0.1*C", "k*A + 0.2*A", "q*C + 0.1*C"),
        ("-> C; k - q*C", "k", "q*C"),
        ("C -> ; q*C - k", "q*C", "k"),
    ],
)
@pytest.mark.parametrize("start", ["A = 6; B = 5; C = 0; k = 0.3; q = 0.7;", "A = 90; B = 80; C = 0; k = 9; q = 1e-4;"])
def test_the_form_divides_a_law_whatever_the_start(load, reaction, forth, back, start):
    """Also where no path from the start meets a negative rate; names of the file stay."""
    model = load(f"J: {reaction};", start)
    assert [reaction.name for reaction in model.reactions] == ["J_forward", "J_reverse"]
    assert f"J: split into J_forward at {forth} and J_reverse at {back}" in model.conversion.steps
    state = [3, 2, 4]
    names = {"A": 3.0, "B": 2.0, "C": 4.0, "v": 1.0, "k": model.parameters["k"], "q": model.parameters["q"]}
    expected = [eval(text, {}, names) for text in (forth, back)]
    np.testing.assert_allclose(model.propensities([state])[:, 0], expected, rtol=1e-14)


@pytest.mark.parametrize("rule", ["w := k*A - q*B; J: A -> B; w", "w := v*u; u := k*A - q*B; J: A -> B; w"])
def test_a_rule_for_a_net_law_is_split_as_the_law(load, rule):
    model = load(f"{rule};", "A = 5; B = 3; C = 0; k = 0.3; q = 0.7;")
    np.testing.assert_allclose(model.propensities([[5, 3, 0]])[:, 0], [1.5, 2.1], rtol=1e-14)
    assert "k*A" in str(model.conversion)
    assert "0.3" not in str(model.conversion)


@pytest.mark.parametrize(
    "reaction",
    [
        "-> B; k*(9 - B)",
        "A -> B; k*A*(9 - B)",
        "A -> 2 A; k*A*(1 - A/9)",
        "2 A -> B; k*A*(A - 1)/2",
        "A -> B; 3*A - 0.1*A*A",
        "=> B; k - 0.01*B",
        "2 A -> ; k*A*A - k*A",
        "A -> 2 A; A*(1 - A/9)",
    ],
)
def test_laws_of_one_direction_stay_whole(load, reaction):
    """Sites that are free, and growth that ends, are no reverse reactions: counts differ there, and not rates."""
    model = load(f"J: {reaction};", "A = 5; B = 3; C = 0; k = 0.3;")
    assert [reaction.name for reaction in model.reactions] == ["J"]


def test_a_split_law_has_the_law_of_two_reactions(load):
    net = load("J: A + B -> C; k*A*B - q*C;")
    apart = load("f: A + B => C; k*A*B; b: C => A + B; q*C;")
    d, e = (fsp.transient(model, [2.0], 1e-8)[-1] for model in (net, apart))
    assert d.distance(e) <= d.error.total + e.error.total


def test_differences_that_are_never_negative_are_one_law(load):
    """Pairs, and complements of a conserved number."""
    model = load("f: 2 A => B; k*A*(A - 1); g: A => C; q*A*(11 - B - C)*0.1;", "A = 6; B = 0; C = 0; k = 1; q = 1;")
    assert [r.name for r in model.reactions] == ["f", "g"]
    assert not model.conversion


def test_negative_laws_that_are_no_difference_are_refused(load):
    with pytest.raises(ModelError, match=r"'J' must be 0 or more, but is -.* in state .* no difference of two"):
        load("J: A => C; k*A*cos(A);")


def test_negative_laws_name_the_value_that_makes_them_so(load):
    with pytest.raises(ModelError, match=r"its law k\*A holds 'k', which is -2; give that a value of 0 or more"):
        load("J: A => C; k*A;", "A = 6; B = 0; C = 0; k = -2;")
    with pytest.raises(ModelError, match="holds 'k', which is -2"):  # which is no difference of k*A and k*A^2
        load("J: 2 A => C; k*A*(A - 1);", "A = 6; B = 0; C = 0; k = -2;")
    model = load("J: A => C; k*(C - A);", "A = 6; B = 0; C = 0; k = -2;")
    assert [reaction.name for reaction in model.reactions] == ["J_forward", "J_reverse"]
    assert [rate[0] for rate in model.propensities([[6, 0, 1]]).tolist()] == [12.0, 2.0]


def test_names_of_parts_are_free(load):
    model = load("J: A => C; k*A - q*C; J_forward: B => ; k*B;")
    assert len({r.name for r in model.reactions}) == 3


# ---------------------------------------------------------------------- powers


@pytest.mark.parametrize("start", [6, 7])
@pytest.mark.parametrize("products", ["C", "A + C", ""])
def test_the_law_of_concentrations_is_refused_from_any_start(load, start, products):
    """Whether one molecule can be left over or not, and whether it would be consumed."""
    text, values = f"J: 2 A => {products}; k*A*A; g: B => ; B;", f"A = {start}; B = 1; C = 0; k = 0.3;"
    with pytest.raises(ModelError, match=r"'J' must be 0 where there are fewer than 2 A.*mass_action=True"):
        load(text, values)
    model = load(text, values, mass_action=True)
    np.testing.assert_allclose(model.propensities([[1, 0, 0], [4, 0, 0]])[0], [0.0, 0.3 * 12], rtol=1e-14)
    assert "J: k*A*A counts tuples, k*(A*(A - 1))" in str(model.conversion)


@pytest.mark.parametrize(
    ("equation", "law", "at"),
    [
        ("2 A + B => C", "k*A^2*B", 0.3 * 5 * 4 * 3),
        ("3 A => C", "k*A^3", 0.3 * 5 * 4 * 3),
        ("3 A => C", "k*pow(A, 3)/6", 0.3 * 10),
        ("2 A => C", "k*A*A/(1 + B)", 0.3 * 5 * 4 / 4),
        ("2 A + 2 B => C", "A^2*B^2", 20 * 6),
    ],
)
def test_tuples_of_every_shape(load, equation, law, at):
    model = load(f"J: {equation}; {law};", mass_action=True)
    assert model.propensities([[5, 3, 0]])[0, 0] == pytest.approx(at, rel=1e-14)


def test_a_rule_for_a_power_counts_tuples_as_the_law(load):
    """Names of constants stay; where the law is refused, the way out is the same."""
    text = "w := k*y; y := A*A; J: 2 A => C; w;"
    with pytest.raises(ModelError, match="mass_action=True"):
        load(text)
    model = load(text, mass_action=True)
    assert "J: w counts tuples, k*(A*(A - 1))" in model.conversion.steps
    assert model.propensities([[5, 0, 0]]).tolist() == [[pytest.approx(0.3 * 20, rel=1e-14)]]
    halves = load(text.replace("k*y", "k*y/v"), "A = 0.6; B = 0; C = 0; k = 0.3;", counts="omega=10")
    assert halves.propensities([[5, 0, 0]]).tolist() == [[pytest.approx(0.03 * 20, rel=1e-14)]]


def test_right_laws_are_left_alone(load):
    text = "J: 2 A => C; k*A*(A - 1)/2; h: A + B => A; B*A/(3 + A); z: => A; q;"
    assert str(load(text).conversion) == str(load(text, mass_action=True).conversion) == ""


def test_the_command_counts_tuples(tmp_path):
    file = tmp_path / "m.ant"
    file.write_text(HEAD + "J: 2 A => C; k*A^2; A = 7; B = 0; C = 0; k = 0.2;\nend\n")
    refused = CliRunner().invoke(main, ["info", str(file)])
    assert refused.exit_code == 3
    assert "--mass-action" in refused.output
    assert "counts tuples" in CliRunner().invoke(main, ["info", str(file), "--mass-action"]).stdout


# ---------------------------------------------------------------------- reactants that are missing


@pytest.mark.parametrize(
    ("reactions", "why"),
    [
        ("J: A => ; q;", r"fewer than 1 A.*piecewise\(1, A >= 1, 0\)"),
        ("J: A => A + C; q; d: A => ; A;", r"fewer than 1 A.*modifier"),
        ("J: A + B => C; k*A;", "fewer than 1 B"),
        ("J: 2 A => C; k*A;", "fewer than 2 A"),
    ],
)
def test_laws_without_their_reactants(load, reactions, why):
    with pytest.raises(ModelError, match=rf"'J' must be 0 where there are {why}"):
        load(reactions)


def test_a_law_that_lacks_its_reactants_but_the_highest(load):
    """Of many that are consumed, the lowest counts and the highest are looked at."""
    with pytest.raises(ModelError, match="fewer than 900 A, of which it consumes 900, but is 899 in"):
        load("J: 900 A => C; piecewise(A, A > 898, 0);")
    assert load("J: 900 A => C; piecewise(A, A > 899, 0);").n_reactions == 1


def test_what_is_always_there_may_be_left_out_of_a_law(load):
    """A catalyst that nothing takes away, a boundary species, a complement that says the same."""
    assert load("J: A => A + C; q;").n_reactions == 1
    assert load("J: $A => C; q;", "A = 0; B = 0; C = 0; q = 1;").n_reactions == 1
    assert load("J: A + B => C; k*A*(5 - C);").n_reactions == 1


@pytest.mark.parametrize("law", ["k*B*A*(1 - C/A/q)", "B*(k*A - k*A*C/(q*A))", "k*A*(B - C*B/(A*q))"])
def test_a_count_that_multiplies_and_divides_is_cancelled(load, law):
    """The mass action ratio C/(A q) has no value without A, and the law of the reverse direction has one."""
    states = np.array([[6, 5, 0], [0, 5, 3], [2, 1, 4], [0, 0, 0]])
    a, b, c = states.T
    found = load(f"J: A -> C; {law};").propensities(states)
    np.testing.assert_allclose(found, [0.3 * a * b, 0.3 * b * c / 0.7], rtol=1e-12)


# ---------------------------------------------------------------------- values that come later


@pytest.mark.parametrize(
    ("reactions", "values", "when"),
    [
        ("J: 2 A => C; k*A*A; E: at (time >= 2): k = 1;", "k = 0;", "once event 'E' has set k"),
        ("J: 2 A => C; 0.1*A*(A - 1) + k*A*A; E: at (time >= 2): k = 3*q;", "k = 0;", "once event 'E' has set k"),
        ("J: 2 A => C; k*A*A*piecewise(0, time < 2, 1);", "k = 1;", r"at time 2\b"),
        ("J: 2 A => C; k*A*A*time;", "k = 1;", "at time 0.01"),
        ("J: 2 A => C; k*A*A/(1 + A);", "k = 0;", "with a value other than 0 of k"),
        ("J: 2 A => C; w*A; w := k*A;", "k = 0;", "with a value other than 0 of k"),
    ],
)
def test_the_law_of_concentrations_is_found_before_it_has_a_value(load, reactions, values, when):
    with pytest.raises(ModelError, match=f"'J' must be 0 where there are fewer than 2 A.*{when}"):
        load(reactions, f"A = 6; B = 5; C = 0; q = 0.7; {values}")


@pytest.mark.parametrize(
    "reactions",
    [
        "J: 2 A => C; k*A*(A - 1); E: at (time >= 2): k = 1;",
        "J: 2 A => C; k*A*A - k*A;",
        "J: 2 A => C; (k + 1)*A*(A - 1)*piecewise(0, time < 2, 1);",
        "J: A + B => C; k*A*B; E: at (time >= 2): k = 1;",
    ],
)
def test_right_laws_that_are_zero_for_now_are_read(load, reactions):
    assert load(reactions, "A = 6; B = 5; C = 0; k = 0;").n_reactions == 1


# ---------------------------------------------------------------------- advice in the symbols of the file


@pytest.mark.parametrize("counts", ["as-is", "omega=20"])
def test_the_factor_that_is_advised_is_in_the_units_of_the_file(tmp_path, counts):
    """Species of concentration stand for N/(size) or N/(size Ω); a bare A >= 2 would make the reaction vanish."""
    file = tmp_path / "model.ant"
    text = "compartment v = 4; species A in v, B in v; J: 2 A => B; {}v*k*A*A/(1 + A); A = 2; B = 0; k = 0.3;"
    file.write_text(text.format(""))
    with pytest.raises(ModelError) as error:
        fsp.load(file, counts=counts)
    factor = str(error.value).partition("multiply its law by ")[2].rstrip(".")
    file.write_text(text.format(f"{factor}*"))
    unit = 4 * (20 if counts == "omega=20" else 1)
    states = np.array([[0, 0], [1, 0], [2, 0], [3, 0], [2 * unit, 0]])
    a = states[:, 0] / unit
    expected = np.where(states[:, 0] >= 2, unit * 0.3 * a * a / (1 + a), 0.0)
    assert fsp.load(file, counts=counts).propensities(states)[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("size", [1, 2, 0.25])
@pytest.mark.parametrize(
    ("law", "counts_molecules", "forth"),
    [
        ("k*A*(A - 1)/2", True, lambda a, v: 0.15 * a * (a - 1)),
        ("k*A*(A - 1) - q*B*v", True, lambda a, v: 0.3 * a * (a - 1)),
        ("k*w", True, lambda a, v: 0.3 * a * (a - 1)),
        ("v*k*A*(A - 1/v)", False, lambda a, v: 0.3 * a * (a - 1) / v),
        ("k*v*A*(v*A - 1)", False, lambda a, v: 0.3 * a * (a - 1)),
    ],
)
def test_a_law_that_counts_molecules_by_a_concentration_is_refused(tmp_path, size, law, counts_molecules, forth):
    """`A (A - 1)` of concentrations is zero at one unit of A, which is `size` molecules; where it is 1 all is right."""
    file = tmp_path / "model.ant"
    text = f"compartment v = {size}; species A in v, B in v; J: 2 A -> B; {law}; A = 8/v; B = 0; k = 0.3; q = 0.7;"
    file.write_text(text + ("w := A*(A - 1);" if "w" in law else ""))
    states = np.array([[0, 0], [1, 0], [2, 0], [8, 0]])
    if not counts_molecules or size == 1:
        assert fsp.load(file).propensities(states)[0] == pytest.approx(forth(states[:, 0], size), rel=1e-12)
        return
    with pytest.raises(
        ModelError, match=r"'A' as the concentration that it is .* of A\*v molecules.* OnlySubstance|A\*\(A"
    ):
        fsp.load(file)
    file.write_text(
        file.read_text().replace("species A in v, B", "substanceOnly species A in v, B").replace("A = 8/v", "A = 8")
    )
    assert fsp.load(file).propensities(states)[0] == pytest.approx(forth(states[:, 0], size), rel=1e-12)


def test_the_factor_that_is_advised_minds_local_parameters(tmp_path):
    law = reaction("r", ["A"], law="A", local=local(A=5.0))
    file = tmp_path / "model.xml"
    file.write_text(sbml(Species=[species("A", 4)], Reactions=[law]))
    with pytest.raises(ModelError, match=r"piecewise\(1, A >= 1, 0\), and give its local parameter 'A' another name"):
        fsp.load(file)
