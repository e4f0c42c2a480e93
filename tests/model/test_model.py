"""`Model` and `Reaction`: propensities, initial states, changed copies, and what they refuse."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsp.errors import ArgumentError, ModelError
from fsp.model import Model, Reaction
from fsp.model.expression import evaluate


def one(rate, *, equation="0 -> X", species=None, **options):
    """Return a model of one reaction with a given rate."""
    return Model(species=species or {"X": 0}, reactions=[Reaction(equation, rate=rate)], **options)


def birth_death(**options):
    return Model(
        name="birth_death",
        species={"X": 0},
        parameters={"k": 100.0, "g": 1.0},
        reactions=[
            Reaction("0 -> X", rate="k"),
            Reaction("X -> 0", mass_action="g"),
            Reaction("2 X -> 0", mass_action=1e-3),
            Reaction({"X": -1}, rate=lambda x: 0.1 * x["X"]),
        ],
        **options,
    )


# ---------------------------------------------------------------------- reactions


@pytest.mark.parametrize(
    ("equation", "text", "change"),
    [
        ("2 X -> 0", "2 X -> 0", {"X": -2}),
        ("2X->Y", "2 X -> Y", {"X": -2, "Y": 1}),
        ("2*X => X + Y", "2 X -> X + Y", {"X": -1, "Y": 1}),
        ("-> X", "0 -> X", {"X": 1}),
        ("∅ -> X", "0 -> X", {"X": 1}),
        ("X + X -> X + X", "2 X -> 2 X", {}),
        ("A + B -> 2 C", "A + B -> 2 C", {"A": -1, "B": -1, "C": 2}),
    ],
)
def test_equations(equation, text, change):
    reaction = Reaction(equation, rate="1")
    assert reaction.equation == text
    assert reaction.change == change


@pytest.mark.parametrize(
    ("equation", "why"),
    [
        ("X <-> Y", "two reactions"),
        ("X <=> Y", "two reactions"),
        ("X", "equation such as"),
        ("X -> Y -> Z", "equation such as"),
        ("0.5 X -> Y", "whole numbers"),
        ("0 X -> Y", "whole numbers"),
        ("-1 X -> Y", "whole numbers"),
        ("X Y -> Z", "whole numbers"),
        ("X + -> Z", "whole numbers"),
        ({"X": 0.5}, "whole numbers"),
        ({"2X": 1}, "whole numbers"),
        (3, "equation such as"),
        ("100000000000000000000 X -> Y", "at most 9,007,199,254,740,992 'X' at once"),
        pytest.param(f"X -> {'9' * 5000} Y", "at most 9,007,199,254,740,992 'Y' at once", id="5000 digits"),
        ({"X": -(10**20)}, "at most 9,007,199,254,740,992 'X' at once, but has 100,000,000,000,000,000,000"),
    ],
)
def test_bad_equations(equation, why):
    with pytest.raises(ModelError, match=why):
        Reaction(equation, rate="1")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "has none"),
        ({"rate": "1", "mass_action": 1.0}, "has both"),
        ({"rate": math.nan}, "formula or a callable"),
        ({"rate": [1]}, "formula or a callable"),
        ({"mass_action": math.inf}, "number or a formula"),
        ({"mass_action": abs}, "callable as `rate`"),
        ({"rate": "1", "name": ""}, "Name of a reaction"),
    ],
)
def test_bad_rates(options, why):
    with pytest.raises(ModelError, match=why):
        Reaction("X -> 0", **options)


@pytest.mark.parametrize("reactants", ["171 X", "1000000000 X", "100 X + 100 Y"])
def test_mass_action_of_more_molecules_than_doubles_have_factorials(reactants):
    with pytest.raises(ModelError, match=r"so few molecules meet .* give its propensity as `rate`"):
        Reaction(f"{reactants} -> 0", mass_action=1.0)
    assert Reaction("170 X -> 0", mass_action=1.0).order == 170
    assert Reaction(f"{reactants} -> 0", rate="0").order is None


def test_mass_action_needs_reactants():
    with pytest.raises(ModelError, match="net change only"):
        Reaction({"X": -1}, mass_action=1.0)


def test_names_and_orders():
    model = Model(
        species={"X": 1},
        reactions=[
            Reaction("X -> 0", mass_action=1.0),
            Reaction("3 X -> 0", mass_action=1.0, name="r1"),
            Reaction("X -> 0", rate="X"),
        ],
    )
    assert [r.name for r in model.reactions] == ["r1_", "r1", "r3"]
    assert [r.order for r in model.reactions] == [1, 3, None]


# ---------------------------------------------------------------------- propensities


def test_propensities_of_every_kind():
    model = birth_death()
    x = np.arange(6)
    a = model.propensities(x[:, None])
    np.testing.assert_allclose(a, [np.full(6, 100.0), x, 1e-3 * x * (x - 1) / 2, 0.1 * x], rtol=1e-15)
    for k in range(4):
        np.testing.assert_array_equal(model.propensity(k, x[:, None]), a[k])
    np.testing.assert_array_equal(model.change, [[1], [-1], [-2], [-1]])
    assert not model.is_time_dependent
    assert [law is None for law in model.rate_expressions] == [False, False, False, True]
    assert model.factorised(3) is None


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from("ABC"), st.integers(1, 4), max_size=3),
    st.lists(st.lists(st.integers(0, 12), min_size=3, max_size=3), min_size=1, max_size=8),
)
def test_mass_action_is_combinatorial(reactants, states):
    left = " + ".join(f"{n} {s}" for s, n in reactants.items())
    model = Model(
        species=dict.fromkeys("ABC", 0),
        reactions=[Reaction(f"{left} -> ", mass_action="c")],
        parameters={"c": 0.25},
    )
    expected = [0.25 * math.prod(math.comb(state["ABC".index(s)], n) for s, n in reactants.items()) for state in states]
    found = model.propensity(0, states)
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert ((found == 0) == (np.array(expected) == 0)).all()


def test_blocks_agree_with_single_states():
    model = one(
        "k/(1 + (X/7)^2.5) + 0.1*Y*(Y - 1)",
        equation="X -> Y + X",
        species={"X": 0, "Y": 0},
        parameters={"k": 3.0},
    )
    states = np.random.default_rng(1).integers(0, 50, size=(20_000, 2))
    whole = model.propensity(0, states)
    some = np.arange(0, 20_000, 997)
    np.testing.assert_array_equal(whole[some], [model.propensity(0, states[[i]])[0] for i in some])
    assert model.propensities(np.empty((0, 2), dtype=int)).shape == (1, 0)
    np.testing.assert_array_equal(model.propensity(0, states.astype(np.uint8)), whole)
    np.testing.assert_array_equal(model.propensity(0, np.asfortranarray(states)), whole)


def test_factors_multiply_to_the_propensity():
    model = one(
        "k*X*(X - 1)/2*(0.2 + 1/(1 + Y^2))",
        equation="2 X -> Y",
        species={"X": 0, "Y": 0},
        parameters={"k": 3.0},
    )
    states = np.argwhere(np.ones((6, 5)))
    (product,) = model.factorised(0)
    columns = dict(zip(model.species, states.T.astype(float), strict=True))
    value = evaluate(product.scalar, {})
    for name, factor in product.factors.items():
        value = value * evaluate(factor, {name: columns[name]})
    np.testing.assert_allclose(value, model.propensity(0, states), rtol=1e-14)


@pytest.mark.parametrize(
    ("rate", "state", "shown"),
    [
        ("X - 3", 1, "-2"),
        ("1/X", 0, "inf"),
        ("ln(X - 5)", 2, "nan"),
        ("X/X", 0, "nan"),
        ("piecewise(1, X > 2)", 1, "nan"),
        (lambda x: x["X"] - 3, 1, "-2"),
    ],
)
def test_a_bad_value_names_reaction_state_and_value(rate, state, shown):
    model = one(rate)
    with pytest.raises(ModelError, match=rf"'r1' must be finite and non-negative, but is {shown} in state") as error:
        model.propensity(0, [[7], [state], [9]])
    assert str({"X": state}) in str(error.value)


@pytest.mark.parametrize("rate", ["k", "0.1*X", "X*(X + 1)", lambda x: 1.0 + x["X"]])
def test_a_reaction_must_not_make_counts_negative(rate):
    model = one(rate, equation="2 X -> 0", parameters={"k": 1.0})
    assert (model.propensity(0, [[2], [3]]) > 0).all()
    with pytest.raises(ModelError, match=r"make 'X' negative, but is .* in state {'X': 1}"):
        model.propensity(0, [[3], [1]])


def test_falling_factorials_need_no_further_check():
    model = one("k*X*(X - 1)/(2 + X)", equation="2 X -> 0", parameters={"k": 1.0})
    np.testing.assert_array_equal(model.propensity(0, [[0], [1], [2]]), [0.0, 0.0, 0.5])


def test_states_must_fit():
    with pytest.raises(ArgumentError, match="shape \\(n, 1\\)"):
        birth_death().propensities([1, 2])


# ---------------------------------------------------------------------- callables


def test_a_callable_sees_species_and_parameters_read_only():
    seen = {}

    def rate(x):
        seen.update(x)
        with pytest.raises(TypeError):
            x["X"] = 1
        with pytest.raises(ValueError, match="read-only"):
            x["X"][0] = 1
        return x["k"] * x["double"]

    model = one(rate, parameters={"k": 2.0, "double": "2*X", "clock": "time"})
    np.testing.assert_array_equal(model.propensity(0, [[1], [4]]), [4.0, 16.0])
    assert set(seen) == {"X", "k", "double"}  # without a time of its own it must not see one


def test_a_callable_of_time():
    model = one(lambda x, t: t * x["X"] + x["clock"], parameters={"clock": "time"})
    assert model.is_time_dependent
    np.testing.assert_array_equal(model.propensity(0, [[1], [2]], t=3.0), [6.0, 9.0])


@pytest.mark.parametrize(
    ("rate", "why"),
    [
        (lambda x: x["Y"], "'r1' must be computable, but raised KeyError"),
        (lambda x: 1 / 0, "ZeroDivisionError"),
        (lambda x: np.ones(7), "shape \\(7,\\)"),
        (lambda x: "many", "ValueError"),
    ],
)
def test_faults_of_callables_are_model_errors(rate, why):
    with pytest.raises(ModelError, match=why):
        one(rate).propensity(0, [[1], [2]])


# ---------------------------------------------------------------------- time


def test_time_is_recognised():
    model = Model(
        species={"X": 5},
        parameters={"k": "2*exp(-time)", "c": 3.0, "late": "piecewise(1, time > 2, 0)*X"},
        reactions=[
            Reaction("0 -> X", rate="k"),
            Reaction("X -> 0", rate="c*X"),
            Reaction("X -> 0", mass_action="k"),
            Reaction("X -> 0", rate="late"),
        ],
    )
    assert model.time_dependent.tolist() == [True, False, True, True]
    np.testing.assert_allclose(
        model.propensities([[4]], t=3.0)[:, 0], [2 * math.exp(-3), 12, 8 * math.exp(-3), 4], rtol=1e-14
    )
    assert model.observables == {}
    assert dict(model.parameters) == {"c": 3.0}


# ---------------------------------------------------------------------- parameters


def test_formulas_of_parameters_follow_new_values():
    model = Model(
        species={"X": "n0", "Y": "n0 - X"},
        parameters={"n0": 8, "k": "base/n0", "base": 4.0, "total": "X + n0*Y"},
        reactions=[Reaction("X -> Y", mass_action="k")],
    )
    assert model.parameters["k"] == 0.5
    assert model.observables == {"total": "X + 8*Y"}
    changed = model.with_parameters(n0=16)
    assert changed.parameters["k"] == 0.25
    assert changed.initial_states.tolist() == [[16, 0]]
    assert changed.observables == {"total": "X + 16*Y"}
    assert changed.propensity(0, [[2, 0]]) == [0.5]
    assert model.parameters["k"] == 0.5
    assert changed.hash != model.hash
    assert changed.with_parameters({"n0": 8}).hash == model.hash


def test_functions():
    model = one("hill(X, K, 2)", parameters={"K": 4.0}, functions={"hill(x, K, n)": "K^n/(K^n + x^n)"})
    assert model.propensity(0, [[4]]) == [0.5]
    assert model.with_parameters(K=0.0).propensity(0, [[4]]) == [0.0]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"z": 1.0}, "is 'z'; they are k, g"),
        ({"k": math.nan}, "finite"),
        ({"k": "g +"}, "arithmetic"),
        ({"k": "zz"}, "'zz'"),
        ({"k": "1/(g - 1)"}, "finite"),
        ({"k": None}, "number or a formula"),
        ({"g": -1.0}, "0 or more"),
    ],
)
def test_bad_parameter_values(values, why):
    with pytest.raises(ModelError, match=why):
        birth_death().with_parameters(values)


# ---------------------------------------------------------------------- where it starts


def test_initial_distribution():
    model = Model(
        species=["A", "B"],
        reactions=[Reaction("A -> B", mass_action=1.0)],
        initial={(1, 0): 0.25, (0, 1): 0.5, (0, 0): 0.25, (9, 9): 0.0},
    )
    assert model.initial_states.tolist() == [[0, 0], [0, 1], [1, 0]]
    assert model.initial_probabilities.tolist() == [0.25, 0.5, 0.25]
    assert model.with_initial(A=2, B=0).initial_states.tolist() == [[2, 0]]
    with pytest.raises(ModelError, match="leaves out 'B'"):
        model.with_initial(A=2)


@pytest.mark.parametrize(
    ("initial", "why"),
    [
        ({(1,): 1.0}, "2 counts"),
        ({(1, 0): 0.5}, "sum to 1"),
        ({(1, 0): 1.5, (0, 0): -0.5}, "from 0 to 1"),
        ({(1, 0): math.nan}, "from 0 to 1"),
        ({(1, 0.5): 1.0}, "whole number"),
        ({(1, -1): 1.0}, "whole number"),
        ({}, "sum to 1"),
    ],
)
def test_bad_initial_distributions(initial, why):
    with pytest.raises(ModelError, match=why):
        Model(species=["A", "B"], reactions=[Reaction("A -> B", mass_action=1.0)], initial=initial)


def test_with_initial():
    model = birth_death()
    assert model.with_initial(X=7).initial_states.tolist() == [[7]]
    assert model.with_initial(X="k/10").with_parameters(k=50).initial_states.tolist() == [[5]]
    with pytest.raises(ModelError, match="is 'Y'; they are X"):
        model.with_initial(Y=7)


@pytest.mark.parametrize("count", [2.5, -1, math.nan, math.inf, "k/3", "1/0", 2**54, None, True])
def test_bad_initial_counts(count):
    with pytest.raises(ModelError, match="'X'"):
        one("k", species={"X": count}, parameters={"k": 1.0})


def test_counts_that_are_whole_to_rounding():
    assert one("1", species={"X": "0.1*30"}).initial_states.tolist() == [[3]]
    assert one("1", species={"X": np.int32(4)}).initial_states.tolist() == [[4]]


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"species": {}}, "at least one species"),
        ({"reactions": []}, "at least one reaction"),
        ({"species": ["X", "X"], "initial": {(0, 0): 1.0}}, "'X' is given twice"),
        ({"species": ["X"]}, "initial counts"),
        ({"species": "X"}, "mapping or a list"),
        ({"species": {"time": 0, "X": 0}}, "'time' is a constant"),
        ({"species": {"pi": 0, "X": 0}}, "'pi' is a constant"),
        ({"species": {"2X": 0, "X": 0}}, "letters, digits"),
        ({"species": {1: 0, "X": 0}}, "letters, digits"),
        ({"species": {"β": 0, "X": 0}}, "is 'β'; write names in ASCII letters, as beta for β"),
        ({"parameters": {"µ": 1.0}}, "is 'µ'; write names in ASCII letters"),
        ({"parameters": {"X": 1.0}}, "a species and a parameter"),
        ({"parameters": {"a b": 1.0}}, "letters, digits"),
        ({"parameters": {"time": 1.0}}, "'time' is a constant"),
        ({"parameters": {"k": math.inf}}, "Parameter 'k' must be finite"),
        ({"parameters": {"a": "b", "b": "a"}}, "circle"),
        ({"parameters": {"a": "a + 1"}}, "circle"),
        ({"parameters": {"a": "zz"}}, "Parameter 'a' must use"),
        ({"parameters": {"a": "1/0"}}, "Parameter 'a' must be finite"),
        ({"reactions": [Reaction("0 -> Z", rate="1")]}, "has 'Z'; species are X"),
        ({"reactions": [Reaction("0 -> X", rate="k*Q")]}, "uses 'Q'"),
        ({"reactions": [Reaction("0 -> X", rate="t")]}, "the time is called 'time'"),
        ({"reactions": [Reaction("0 -> X", rate="__import__('os')")]}, "Rate of 'r1'"),
        ({"reactions": [Reaction("X -> 0", mass_action="Y")]}, "uses 'Y'"),
        ({"reactions": [Reaction("X -> 0", mass_action="2*X")]}, "not depend on species"),
        ({"reactions": [Reaction("X -> 0", mass_action=-1.0)]}, "0 or more"),
        (
            {"reactions": [Reaction("X -> 0", rate="1", name="a"), Reaction("X -> 0", rate="1", name="a")]},
            "twice",
        ),
        ({"reactions": ["X -> 0"]}, "Reaction values"),
        ({"reactions": None}, "must be a list of Reaction values, but is None"),
        ({"functions": {"f(x)": "x +"}}, "Function 'f'"),
    ],
)
def test_bad_models(options, why):
    given_options = {"species": {"X": 0}, "reactions": [Reaction("0 -> X", rate="1")], **options}
    with pytest.raises(ModelError, match=why):
        Model(**given_options)


# ---------------------------------------------------------------------- the value itself


def test_models_are_immutable():
    model = birth_death()
    with pytest.raises(AttributeError, match="immutable"):
        model.name = "other"
    with pytest.raises(TypeError):
        model.parameters["k"] = 2.0
    for array in (model.change, model.initial_states, model.initial_probabilities, model.time_dependent):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_hash_is_of_the_content():
    assert birth_death().hash == birth_death().hash
    base = one("0.5*X")
    assert base.hash == one("k*X", parameters={"k": 0.5}).hash
    others = [
        one("0.25*X"),
        one("0.5*X", equation="0 -> 2 X"),
        base.with_initial(X=1),
        one(lambda x: 0.5 * x["X"]),
        one(lambda x: 0.25 * x["X"]),
    ]
    assert len({m.hash for m in [base, *others]}) == 6


def test_hash_sees_what_a_callable_captures():
    def rate_with(c):
        return lambda x: c * x["X"]

    assert one(rate_with(1.0)).hash != one(rate_with(2.0)).hash
    assert one(rate_with(1.0)).hash == one(rate_with(1.0)).hash


def test_a_model_survives_pickling():
    model = one("k*X", parameters={"k": 2.0}, species={"X": 3})
    copy = pickle.loads(pickle.dumps(model))
    assert copy.hash == model.hash
    assert copy.propensity(0, [[3]]) == [6.0]


def test_description():
    model = Model(
        name="dimers",
        time_unit="second",
        species={"A": 20, "B": 0},
        parameters={"k": 0.5, "g": "k/2", "total": "A + 2*B"},
        reactions=[Reaction("2 A -> B", mass_action="k", name="bind"), Reaction("B -> 2 A", rate="g*B")],
    )
    text = model.describe()
    assert str(model) == text
    assert "dimers: 2 species, 2 reactions, time in second" in text
    assert "g      = k/2 = 0.25" in text
    assert "bind:  2 A -> B  k*A*(A - 1)/2  mass action, order 2" in text
    assert "r2:    B -> 2 A  g*B            rate law" in text
    assert "A + 2 B = 20" in text
    assert "finite (A <= 20, B <= 10)" in text
    assert "not bounded by the stoichiometry in X" in birth_death().describe()


def test_description_of_a_start_in_several_states():
    model = Model(
        species=["A", "B"],
        reactions=[Reaction("A -> B", mass_action=1.0)],
        initial={(1, 0): 0.5, (3, 0): 0.5},
    )
    assert "A  = 1 to 3, mean 2 over 2 initial states" in model.describe()
    assert "A + B = 1 or 3" in model.describe()


def test_a_start_that_is_given_survives_other_laws_and_parameters():
    """Copies of a network that starts in a distribution start in it, however often it is changed."""
    model = Model(species={"X": 3}, parameters={"g": 1.0}, reactions=[Reaction("X -> 0", mass_action="g")])
    begun = model.starting_in(np.array([[1], [2]]), np.array([0.25, 0.75]))
    for copy in (begun.with_parameters(g=2.0), begun.with_laws({0: lambda counts: 2.0 * counts["X"]})):
        for again in (copy, copy.with_laws({0: copy.law(0)}), copy.with_events([])):
            np.testing.assert_array_equal(again.initial_states, [[1], [2]])
            np.testing.assert_array_equal(again.initial_probabilities, [0.25, 0.75])
    assert begun.with_parameters(g=2.0).hash != model.with_parameters(g=2.0).hash
    np.testing.assert_array_equal(begun.with_initial(X=5).initial_states, [[5]])
