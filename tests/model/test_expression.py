"""Rate laws: reading, printing, evaluating, substituting and factorising them."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fsp.errors import ModelError
from fsp.model import formula, plain, size
from fsp.model.expression import (
    FUNCTIONS,
    Call,
    Number,
    Symbol,
    Time,
    call,
    depends_on_time,
    evaluate,
    factorise,
    substitute,
    symbols,
    to_text,
)
from fsp.model.formula import parse, parse_functions
from fsp.model.model import Model
from fsp.model.reaction import Reaction, mass_action_law
from fsp.model.similar import CompiledLaws
from fsp.model.size import MOST_LEVELS, extent

NAMES = ("X", "Y", "k", "S_1")


def read(text):
    return parse(text, what="Rate of 'r'")


def value(text, t=0.0, **values):
    return float(evaluate(read(text), values, t))


# ---------------------------------------------------------------------- random trees

numbers = st.one_of(st.integers(-20, 20).map(float), st.floats(1e-9, 1e9), st.floats(-1e3, 1e3)).map(
    lambda v: Number(v + 0.0)
)
leaves = st.one_of(numbers, st.sampled_from(NAMES).map(Symbol), st.just(Time()))


def calls(children):
    def build(name):
        function = FUNCTIONS[name]
        least, most = max(1, function.fewest), min(function.limit, 4)
        return st.lists(children, min_size=least, max_size=most).map(lambda a: call(name, *a))

    return st.sampled_from(sorted(FUNCTIONS)).flatmap(build)


def is_canonical(tree):
    """Return whether a tree is one that a text can stand for: no sum or product of one term, and so on."""
    if not isinstance(tree, Call):
        return True
    if not symbols(tree) and not depends_on_time(tree) and not np.isfinite(float(evaluate(tree, {}))):
        return False  # a text may not hold 0/0: libsbml computes it, and we refuse what comes out
    lone = tree.function in ("+", "*", "&&", "||", "xor", "min", "max") and len(tree.arguments) < 2
    special = tree.function in ("root", "log") and isinstance(tree.arguments[0], Number)
    return not (lone or special) and all(map(is_canonical, tree.arguments))


trees = st.recursive(leaves, calls, max_leaves=12)


# ---------------------------------------------------------------------- plain arithmetic, without libsbml


def texts(atoms):
    def build(inside):
        two = st.tuples(
            inside, st.sampled_from(["+", "-", "*", "/", "^", "+", "*"]), st.sampled_from(["", " "]), inside
        )
        return st.one_of(
            two.map(lambda parts: f"{parts[0]}{parts[2]}{parts[1]}{parts[2]}{parts[3]}"),
            st.tuples(st.sampled_from("-+"), inside).map("".join),
            inside.map(lambda text: f"({text})"),
            st.tuples(st.sampled_from(["exp", "abs", "floor", "tanh"]), inside).map(lambda two: f"{two[0]}({two[1]})"),
            st.tuples(st.sampled_from(["min", "max", "pow"]), inside, inside).map(lambda p: f"{p[0]}( {p[1]},{p[2]})"),
        )

    return st.recursive(st.sampled_from(atoms), build, max_leaves=9)


def by_libsbml(text):
    return formula.from_ast(formula._ast(text, "Rate", ()), what="Rate")


def plainly(text):
    return plain.read(text, lambda name, arguments: None)


@settings(max_examples=400, deadline=None)
@given(texts([*NAMES, "time"]))
def test_plain_arithmetic_is_the_tree_that_libsbml_reads(text):
    assert plainly(text) == by_libsbml(text)


@settings(max_examples=300, deadline=None)
@given(texts([*NAMES, "2", "0.1", "3.", ".5", "1e-3", "2.50E+2"]))
def test_numbers_of_plain_arithmetic_are_those_of_libsbml(text):
    try:
        other = by_libsbml(text)
    except ModelError:  # what libsbml computes at once, such as 0^-1
        assume(False)
    values = {"X": 1.25, "Y": 0.5, "k": 3.0, "S_1": 2.0}
    with np.errstate(all="ignore"):
        ours, theirs = (np.asarray(evaluate(tree, values, 0.0)) for tree in (plainly(text), other))
    # constants are folded in another order, by which steps of floor may differ as well
    assume("floor" not in text and np.abs(theirs) < 1e6)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "text",
    ["", "2 x", "x +", "(x", "x)", "f(x)", "sin(x, y)", "min()", "pi*x", "x < 2", "x && y", "!x", "1e400", "x ** 2",
     "x, y", "exp", "exp 2", "µ", "(" * 40 + "x" + ")" * 40, "-" * 60 + "x", "sqr(x)", "log(x)"],
)  # fmt: skip
def test_what_is_not_plain_is_left_to_libsbml(text):
    assert plainly(text) is None or text == "exp"


def test_functions_of_the_user_are_put_into_plain_arithmetic():
    functions = parse_functions({"hill(x, K)": "x^2/(K^2 + x^2)"})
    assert parse("3*hill(X, 2)", what="Rate", functions=functions) == read("3*(X^2/(4 + X^2))")
    with pytest.raises(ModelError, match="must give 2 arguments to 'hill', but gives 1"):
        parse("hill(X)", what="Rate", functions=functions)


@settings(max_examples=400, deadline=None)
@given(trees)
def test_text_parses_back_to_the_same_tree(tree):
    assume(is_canonical(tree))
    assert read(to_text(tree)) == tree


@pytest.mark.parametrize("text", ["X || (Y && k)", "(X || Y) && k", "X && Y || k", "X && (Y || k)", "X || Y || k && X"])
def test_and_binds_no_tighter_than_or(text):
    """In the grammar of SBML Level 3 formulas both have one precedence, so texts need parentheses where they mix."""
    tree = read(text)
    assert read(to_text(tree)) == tree
    values = {"X": 1.0, "Y": 0.0, "k": 0.0}
    assert float(evaluate(read(to_text(tree)), values)) == float(evaluate(tree, values))


@settings(max_examples=200, deadline=None)
@given(trees, st.floats(0.0, 10.0))
def test_substituting_numbers_is_evaluating(tree, t):
    values = {"X": 3.0, "Y": 0.5, "k": 2.0, "S_1": 7.0}
    direct = float(evaluate(tree, values, t))
    put_in = substitute(tree, {name: Number(v) for name, v in values.items()})
    assert symbols(put_in) == frozenset()
    # a power, a product and x + 0 may take another order of operations
    np.testing.assert_allclose(float(evaluate(put_in, {}, t)), direct, rtol=1e-9, atol=1e-300, equal_nan=True)


@settings(max_examples=200, deadline=None)
@given(trees)
def test_an_array_is_evaluated_elementwise(tree):
    rows = {"X": np.arange(5.0), "Y": np.linspace(0.1, 2, 5), "k": np.full(5, 1.5), "S_1": np.ones(5)}
    whole = np.broadcast_to(evaluate(tree, rows, 0.3), 5).astype(float)
    alone = [float(evaluate(tree, {n: np.float64(r[i]) for n, r in rows.items()}, 0.3)) for i in range(5)]
    np.testing.assert_allclose(whole, alone, rtol=1e-12, equal_nan=True)


@settings(max_examples=100, deadline=None)
@given(st.lists(trees, min_size=1, max_size=6), st.permutations(NAMES))
def test_laws_that_differ_in_names_and_numbers_are_evaluated_together(laws, names):
    other = dict(zip(NAMES, map(Symbol, names), strict=True))
    laws = [*laws, *(substitute(law, other) for law in laws), call("*", Number(3.0), Symbol("X"), Symbol("Y"))]
    states = np.random.default_rng(1).integers(0, 9, (5, len(NAMES)))
    together = CompiledLaws(laws, NAMES)(states)
    with np.errstate(over="ignore"):
        alone = [np.broadcast_to(evaluate(law, dict(zip(NAMES, states.T * 1.0, strict=True))), 5) * 1.0 for law in laws]
    np.testing.assert_allclose(together, np.where(np.isfinite(alone), alone, 0.0), rtol=1e-12)


def test_what_is_no_species_has_no_value():
    laws = [read("a*X"), read("X + 1"), read("piecewise(1, X > 2, a)")]
    np.testing.assert_array_equal(CompiledLaws(laws, ["X"])(np.array([[2], [3]])), [[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])


# ---------------------------------------------------------------------- factorisation

counts = st.sampled_from(["X", "Y", "Z"]).map(Symbol)
positive = st.floats(0.1, 10.0).map(Number)


def positive_calls(children):
    pair = st.tuples(children, children)
    return st.one_of(
        pair.map(lambda p: call("+", *p)),
        pair.map(lambda p: call("*", *p)),
        pair.map(lambda p: call("/", p[0], call("+", Number(1.0), p[1]))),
        st.tuples(children, st.integers(1, 3)).map(lambda p: call("^", p[0], Number(float(p[1])))),
        children.map(lambda a: call("exp", call("/", a, Number(-50.0)))),
    )


@settings(max_examples=300, deadline=None)
@given(
    st.recursive(st.one_of(counts, positive, st.just(Time())), positive_calls, max_leaves=8),
    st.sampled_from([None, dict.fromkeys("XYZ", range(4))]),
)
def test_products_sum_to_the_tree(tree, known):
    products = factorise(tree, ("X", "Y", "Z"), known)
    assume(products is not None)
    assert len(products) <= 64
    grid = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(-1, 3)  # (64, 3)
    columns = dict(zip("XYZ", grid.T, strict=True))
    total = np.zeros(len(grid))
    for product in products:
        assert symbols(product.scalar) == frozenset()
        term = np.full(len(grid), float(evaluate(product.scalar, {}, 1.25)))
        for name, factor in product.factors.items():
            assert symbols(factor) == {name}
            assert not depends_on_time(factor)
            term = term * evaluate(factor, {name: columns[name]})
        total += term
    np.testing.assert_allclose(total, np.broadcast_to(evaluate(tree, columns, 1.25), 64), rtol=1e-9)


@pytest.mark.parametrize(
    ("text", "n_terms"),
    [
        ("3", 1),
        ("2*X", 1),
        ("X*(X - 1)/2*Y", 1),
        ("5/(1 + (X/4)^2.5)", 1),
        ("(0.5 + 2/(1 + X))*Y", 1),
        ("(1 + X + X^2)*(2 + Y)", 1),
        ("(X + Y)^2", 4),
        ("X + Y + X^2 + 1", 3),
        ("(X*Y)^0.5", 1),
        ("exp(-time)*X*Y/(2 + time)", 1),
        ("piecewise(1, time < 3, 0)*X", 1),
    ],
)
def test_number_of_products(text, n_terms):
    assert len(factorise(read(text), ("X", "Y"))) == n_terms


@pytest.mark.parametrize(
    "text",
    [
        "X/(X + Y)",
        "min(X, Y)",
        "exp(X + Y)",
        "X*Y - X",
        "(10 - X - Y)*X",
        "X^Y",
        "X^time",
        "(X + Y)^0.5",
        "(X + Y)^20",
        "X + Y - 1",
        "X*Y + (0 - 2)*X*Y",
        "(X + 1)*Y + (0 - X)*Y",
        "((X - 5)*(Y - 3))^0.5",
    ],
)
def test_what_does_not_factorise(text):
    assert factorise(read(text), ("X", "Y")) is None


@pytest.mark.parametrize(
    ("text", "n_terms"),
    [("Y*min(X, time)", 3), ("X/(1 + time*X)", 3), ("min(X, Y, time)", 9), ("2*X - X*sin(time)", 3)],
)
def test_time_that_is_no_factor_is_one_at_each_count(text, n_terms):
    """Nothing happens at a count of zero, and that is no term."""
    law, few = read(text), dict.fromkeys("XY", range(4))
    assert factorise(law, ("X", "Y")) is None
    assert factorise(law, ("X", "Y"), dict.fromkeys("XY", range(33))) is None
    products = factorise(law, ("X", "Y"), few)
    assert len(products) == n_terms
    grid = {"X": np.repeat(np.arange(4.0), 4), "Y": np.tile(np.arange(4.0), 4)}
    for t in (0.0, 0.5, 2.5, 7.0):
        total = 0.0
        for product in products:
            factors = [evaluate(factor, grid) for factor in product.factors.values()]
            total = total + float(evaluate(product.scalar, {}, t)) * np.prod(factors, axis=0)
        np.testing.assert_allclose(total, evaluate(law, grid, t), rtol=1e-14)


def test_a_sum_of_one_species_is_one_factor():
    (product,) = factorise(read("7*(1 + X + X^2)^3"), ("X",))
    assert product.scalar == Number(7.0)
    assert product.factors == {"X": read("(1 + X + X^2)^3")}


def test_pairs_may_be_added():
    assert len(factorise(read("X*(X - 1)/2*Y + 3*Y*Z"), ("X", "Y", "Z"))) == 2


# ---------------------------------------------------------------------- functions of the language


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2^3^2", 512.0),
        ("-2^2", -4.0),
        ("8/4/2", 1.0),
        ("7 - 4 - 2", 1.0),
        ("sqrt(16) + root(3, 27) + root(4, 16)", 9.0),
        ("log10(1000) + log(2, 8) + ln(exponentiale)", 7.0),
        ("floor(2.7) + ceil(2.2) + abs(-3)", 8.0),
        ("min(3, 1, 2) + max(3, 1, 2)", 4.0),
        ("factorial(5)", 120.0),
        ("quotient(-7, 2)", -3.0),
        ("rem(-7, 2)", -1.0),
        ("piecewise(1, 3 < 2, 5, 2 < 3, 9)", 5.0),
        ("piecewise(1, 3 < 2, 9)", 9.0),
        ("(1 < 2) + (2 < 3) + (3 < 2)", 2.0),
        ("1 < 2 && !(2 < 1) || 0", 1.0),
        ("xor(1, 1, 1)", 1.0),
        ("implies(1, 0)", 0.0),
        ("1 < 2 < 3", 1.0),
        ("true + false", 1.0),
        ("sec(0.3)*cos(0.3) + arccot(2) - arctan(0.5)", 1.0),
        ("arcsech(sech(0.7))", 0.7),
        ("cos(pi)", -1.0),
        ("1.2345678901234567e-5", 1.2345678901234567e-5),
    ],
)
def test_values(text, expected):
    assert value(text) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("text", ["factorial(2.5)", "factorial(-1)", "0/0", "ln(-1)", "piecewise(1, 1 > 2)"])
def test_undefined_is_nan(text):
    assert math.isnan(value(text))


def test_names_are_compared_with_case():
    tree = read("S*E*Pi*Time*e*t*I")
    assert symbols(tree) == {"S", "E", "Pi", "Time", "e", "t", "I"}
    assert not depends_on_time(tree)
    assert depends_on_time(read("k*time"))
    assert parse("pi*X", what="Rate", names=["pi", "X"]) == Call("*", (Symbol("pi"), Symbol("X")))


def test_comparisons_add_up_as_numbers():
    x = np.arange(4.0)
    np.testing.assert_array_equal(evaluate(read("(X > 0) + (X > 1) + (X > 2)"), {"X": x}), x)


@given(st.integers(0, 40), st.integers(1, 8))
def test_whole_powers_of_counts_are_exact(x, n):
    assume(x**n < 2**53)
    assert value(f"X^{n}", X=np.float64(x)) == x**n


@given(
    st.dictionaries(st.sampled_from(["A", "B"]), st.integers(1, 5), min_size=1),
    st.integers(0, 30),
    st.integers(0, 30),
)
def test_mass_action_counts_combinations(reactants, a, b):
    tree = mass_action_law(Number(3.0), reactants)
    x = {"A": a, "B": b}
    expected = 3 * math.prod(math.comb(x[s], n) for s, n in reactants.items())
    found = float(evaluate(tree, {s: np.float64(n) for s, n in x.items()}))
    assert found == pytest.approx(expected, rel=1e-14)
    assert (found == 0) == (expected == 0)


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("__import__('os')", "libsbml says"),
        ("x[0]", "vectors"),
        ("{1, 2}", "curly"),
        ("x = 3", "libsbml says"),
        ("x**2", "x\\^y"),
        ("log(x)", "ln\\(x\\)"),
        ("delay(x, 1)", "delay"),
        ("rateOf(x)", "rateOf"),
        ("lambda(x, x)", "lambda"),
        ("normal(0, 1)", "normal"),
        ("f(x)", "'f'"),
        ("inf", "finite"),
        ("nan*x", "finite"),
        ("x²", "²"),
        ("x and y", "&&"),
        ("not x", "!a"),
        ("2 x", "libsbml says"),
        ("sin(x, y)", "libsbml says"),
        ("min()", "arguments"),
        ("x +", "libsbml says"),
        ("", "formula"),
        ("   ", "formula"),
        ("1e400", "must hold numbers in the range of doubles, but holds 1e400"),
        ("x + 2e-400", "must hold numbers in the range of doubles, but holds 2e-400"),
        ("a; b", "libsbml says|;"),
    ],
)
def test_anything_but_arithmetic_is_refused(text, why):
    with pytest.raises(ModelError, match=why) as error:
        read(text)
    assert "Rate of 'r'" in str(error.value)
    assert text in str(error.value)


def test_functions_are_inlined_in_each_other():
    functions = parse_functions({"twice(f)": "2*hill(f, 3)", "hill(x, K)": "x/(K + x)"})
    assert parse("twice(X)", what="Rate", functions=functions) == read("2*(X/(3 + X))")


@pytest.mark.parametrize(
    ("definitions", "why"),
    [
        ({"f(x)": "g(x)", "g(x)": "f(x)"}, "circle"),
        ({"f(x)": "f(x)"}, "circle"),
        ({"f(x)": "x*k"}, "'k'"),
        ({"f(x, x)": "x"}, "arguments"),
        ({"sin(x)": "x"}, "taken"),
        ({"f": "1"}, "name\\(x, y\\)"),
        ({"f(x)": "h(x)"}, "'h'"),
    ],
)
def test_bad_functions_are_refused(definitions, why):
    with pytest.raises(ModelError, match=why):
        parse_functions(definitions)


def test_a_function_needs_all_its_arguments():
    with pytest.raises(ModelError, match="1 arguments to 'f'"):
        parse("f(1, 2)", what="Rate", functions=parse_functions({"f(x)": "x"}))


def chain(kind, n):
    """Return a formula of n levels, and what it is at `VALUES` in exact arithmetic."""
    x = Fraction(3)
    alternate = sum(((-1) ** i) * x for i in range(n))
    return {
        "sum": (" + ".join(["x"] * n), n * x),
        "difference": (" - ".join(["x"] * n), x - (n - 1) * x),
        "alternating": ("x" + "".join("-+"[i % 2] + "x" for i in range(n - 1)), alternate),
        "right sums": ("x + (" * n + "1" + ")" * n, n * x + 1),
        "right differences": ("x - (" * n + "0" + ")" * n, alternate),
        "signs": ("-(x + " * n + "0" + ")" * n, sum((-1) ** (i + 1) * x for i in range(n))),
        "quotients": ("x" + "*k/k" * (n // 2), x),
        "right quotients": ("x/(" * (2 * (n // 2)) + "1" + ")" * (2 * (n // 2)), Fraction(1)),
        "product": ("*".join(["x", *["k"] * 9, *["y"] * n]), x * 2**9),
        "piecewise": ("piecewise(0, x < 0, " * n + "5" + ")" * n, Fraction(5)),
        "maxima": ("max(x, " * n + "7" + ")" * n, Fraction(7)),
        "logic": ("(x > 2 && " * n + "k > 1" + ")" * n, Fraction(1)),
    }[kind]


VALUES = {"x": 3.0, "k": 2.0, "y": 1.0}
CHAINS = (
    "sum", "difference", "alternating", "right sums", "right differences", "signs", "quotients", "right quotients",
    "product", "piecewise", "maxima", "logic",
)  # fmt: skip


@pytest.mark.parametrize("kind", CHAINS)
def test_long_chains_of_one_kind_are_no_nesting(kind):
    text, value = chain(kind, 700)
    tree = read(text)
    parts, levels = extent(tree)
    assert levels <= MOST_LEVELS <= parts
    assert float(evaluate(tree, VALUES)) == float(value)
    assert evaluate(read(to_text(tree)), VALUES) == evaluate(tree, VALUES)


def test_what_is_not_too_deep_stays_as_it_is_written():
    text, _ = chain("difference", MOST_LEVELS - 2)
    assert to_text(read(text)) == text


def test_deep_nesting_is_refused():
    assert extent(read("sin(" * 99 + "x" + ")" * 99))[1] == MOST_LEVELS
    with pytest.raises(ModelError, match="must nest at most 100 levels deep, but nests 2001 deep") as refused:
        read("sin(" * 2000 + "x" + ")" * 2000)
    assert len(str(refused.value)) < 400


def test_definitions_that_stand_for_more_than_fits_are_refused(monkeypatch):
    monkeypatch.setattr(size, "MOST_PARTS", 3000)
    functions = {"f0(x)": "exp(x)"} | {f"f{i}(x)": f"f{i - 1}(x) + f{i - 1}(-x)" for i in range(1, 12)}
    assert set(parse_functions(dict(list(functions.items())[:9]))) == {f"f{i}" for i in range(9)}
    with pytest.raises(ModelError, match="must have at most 3,000 numbers, names and functions"):
        parse_functions(functions)
    doubled = {f"p{i}": f"exp(p{i - 1}) + p{i - 1}" for i in range(1, 13)}
    with pytest.raises(ModelError, match=r"Parameter 'p.*' must have at most 3,000 numbers"):
        Model(
            species={"X": 1},
            parameters={"p0": "X", **doubled},
            reactions=[Reaction("0 -> X", rate="p12")],
        )


def test_signs_after_an_operator_are_in_parentheses():
    assert to_text(read("a*-b")) == "a*(-b)"
    assert to_text(read("a - -3")) == "a - (-3)"
