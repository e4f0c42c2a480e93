"""The rounding inside rate formulas: what it may do is bounded, and the bound is charged."""

import math
import warnings

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import fsp
from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.generator import Generator
from fsp.model.accuracy import ORDINARY, errors, of_columns, structural
from fsp.model.expression import Call, Number, Symbol, call, evaluate, tabulated
from fsp.model.factor_tables import Factor
from fsp.model.formula import parse
from fsp.model.taylor import polynomial
from fsp.space import StateSpace

COUNTS = np.array([0.0, 1.0, 2.0, 3.0, 7.0, 60.0, 1000.0])


def read(text):
    return parse(text, what="Rate", functions={}, names=["A", "B"])


# ---------------------------------------------------------------------- formulas against 60 digits

FUNCTIONS = {
    "exp": mpmath.exp, "ln": mpmath.log, "log10": mpmath.log10, "sqrt": mpmath.sqrt, "sin": mpmath.sin,
    "cos": mpmath.cos, "tan": mpmath.tan, "sinh": mpmath.sinh, "cosh": mpmath.cosh, "tanh": mpmath.tanh,
    "arctan": mpmath.atan, "arcsinh": mpmath.asinh, "arccosh": mpmath.acosh, "sech": mpmath.sech, "coth": mpmath.coth,
    "abs": abs, "floor": mpmath.floor, "ceil": mpmath.ceil,
}  # fmt: skip
BINARY = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b,
    "min": min, "max": max, "^": mpmath.power, "quotient": lambda a, b: truncated(a / b),
    "rem": lambda a, b: a - b * truncated(a / b),
}  # fmt: skip
COMPARED = {"<": lambda a, b: a < b, ">=": lambda a, b: a >= b, "==": lambda a, b: a == b}


def truncated(x):
    return mpmath.floor(x) if x >= 0 else mpmath.ceil(x)


class UndefinedError(Exception):
    """The reference says nothing."""


def exact(tree, count):
    """Return the value of a tree whose numbers are the decimals that they print as."""
    if isinstance(tree, Number):
        return mpmath.mpf(repr(tree.value))
    if isinstance(tree, Symbol):
        return mpmath.mpf(count)
    if tree.function == "piecewise":
        first, condition, other = tree.arguments
        return exact(first if exact(condition, count) else other, count)
    values = [exact(a, count) for a in tree.arguments]
    if tree.function in COMPARED:
        return COMPARED[tree.function](*values)
    value = (FUNCTIONS | BINARY)[tree.function](*values)
    if not isinstance(value, mpmath.mpf) or not mpmath.isfinite(value) or abs(value) > 1e40:
        raise UndefinedError  # of the sine of more than that 60 digits say nothing
    return value


numbers = st.one_of(
    st.integers(0, 20).map(float),
    st.sampled_from([0.1, 0.3, 0.5, 1e-9, 1e9, 1e16, 2.7]),
    st.floats(-12.0, 16.0).map(lambda power: float(f"{10.0**power:.3g}")),
).map(Number)
exponents = st.sampled_from([2.0, 3.0, 0.5, -1.0, 1.5, 0.1, 9.0]).map(Number)


def grown(parts):
    pairs = st.tuples(parts, parts)
    return st.one_of(
        *(pairs.map(lambda both, name=name: Call(name, both)) for name in ("+", "-", "-", "*", "/")),
        st.tuples(st.sampled_from(["min", "max", "quotient", "rem"]), pairs).map(lambda two: Call(*two)),
        st.tuples(st.sampled_from(list(FUNCTIONS)), parts).map(lambda two: Call(two[0], (two[1],))),
        st.tuples(parts, exponents).map(lambda both: Call("^", both)),
        st.tuples(parts, st.sampled_from(list(COMPARED)), pairs, parts).map(
            lambda x: Call("piecewise", (x[0], Call(x[1], x[2]), x[3]))
        ),
    )


trees = st.recursive(st.one_of(st.just(Symbol("A")), numbers), grown, max_leaves=6)


def folded(tree):
    return call(tree.function, *map(folded, tree.arguments)) if isinstance(tree, Call) else tree


@settings(max_examples=400, deadline=None)
@given(trees)
def test_the_bound_of_a_formula_is_above_its_rounding(raw):
    tree = folded(raw)
    computed = np.broadcast_to(np.asarray(evaluate(tree, {"A": COUNTS}), dtype=float), COUNTS.shape)
    bound = np.broadcast_to(errors(tree, {"A": COUNTS}, 0.0)[1], COUNTS.shape)
    relative = structural(tree, COUNTS.max())
    with mpmath.workdps(60):
        for count, value, most in zip(COUNTS, computed, bound, strict=True):
            try:
                off = abs(mpmath.mpf(float(value)) - exact(raw, count))
            except (UndefinedError, ZeroDivisionError, ValueError, OverflowError, TypeError):
                continue
            if math.isfinite(value):
                assert off <= most + 1e-45 * abs(value)
                assert relative is None or off <= relative * abs(value) + 1e-45 * abs(value)


LAWS = [  # formula, what it stands for
    ("1e12*(1 - exp(-1e-12*A))", lambda a: -1e12 * mpmath.expm1(-a / mpmath.mpf(10) ** 12)),
    ("2e8*(sqrt(1e16 + A) - 1e8)", lambda a: 2 * 10**8 * a / (mpmath.sqrt(10**16 + a) + 10**8)),
    ("1e9*(1.000000001*A - A)", lambda a: a),
    ("A*(1 + 1e-9)^1e9", lambda a: a * (1 + mpmath.mpf(10) ** -9) ** (10**9)),
    ("1e10*A*((0.1 + 0.2) - 0.3)", lambda a: mpmath.mpf(0)),
    ("ln(1 + 1e-10*A)*1e10", lambda a: mpmath.log1p(a / mpmath.mpf(10) ** 10) * 10**10),
    ("1e8*(cos(1e-8*A) - 1)^2 + A", lambda a: 10**8 * (mpmath.cos(a / mpmath.mpf(10) ** 8) - 1) ** 2 + a),
]


@pytest.mark.parametrize(("text", "truth"), LAWS)
def test_cancellation_is_bounded_within_a_few_hundred_times(text, truth):
    tree = read(text)
    table = tabulated(tree, "A", 0, 200)
    found = Factor(tree, "A").over(0, 200).accuracy
    with mpmath.workdps(60):
        off = np.array([float(abs(mpmath.mpf(v) - truth(a))) for a, v in enumerate(table.tolist())])
    assert (off <= found.relative * np.abs(table) + found.absolute).all()
    assert (off[table > 0] <= found.worst * table[table > 0]).all()
    assert found.relative <= ORDINARY * 1.001
    assert found.relative * table.max() + found.absolute <= 400.0 * off.max() + 1e-13 * table.max()


@pytest.mark.parametrize("text", [text for text, _ in LAWS] + ["A*(A - 1)/2", "A^2/(25 + A^2)"])
def test_a_factor_is_the_same_whatever_was_asked_of_it_before(text):
    """Values, extremes and errors are those of the counts asked for, of a range that is kept or not."""
    tree = read(text)
    factor = Factor(tree, "A")
    for bottom, top in [(0, 200), (0, 210), (5, 210), (190, 250), (0, 3), (0, 300), (250, 300), (40000, 40100)]:
        found, alone = factor.over(bottom, top), Factor(tree, "A").over(bottom, top)
        values = tabulated(tree, "A", bottom, top)
        np.testing.assert_allclose(found.values, values, rtol=1e-14)
        assert (found.least, found.largest) == (found.values.min(), found.values.max())
        assert found.accuracy == alone.accuracy
        off = errors(tree, {"A": np.arange(bottom, top + 1.0)}, 0.0)[1]
        assert (off <= found.accuracy.relative * np.abs(values) + found.accuracy.absolute + 1e-13 * off).all()


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("A*(A - 1)/2", 1),
        ("A*(A - 1)*(A - 2)/6", 2),
        ("3*A/(10 + A)", 3),
        ("A^2/(25 + A^2)", 3),
        ("5/(1 + (A/8)^2)", 7),
    ],
)
def test_ordinary_laws_keep_to_a_few_roundings(text, units):
    found = Factor(read(text), "A").over(0, 500).accuracy
    assert found.absolute == 0.0
    assert found.relative == found.worst <= units * UNIT_ROUNDOFF * 1.01


@pytest.mark.parametrize(
    ("text", "exact"), [("A*(A > 100)", True), ("2*(2*A - 7 >= 0)*A", True), ("A*(0.1*A >= 0.3)", False)]
)
def test_a_comparison_of_whole_numbers_is_exact_at_all_counts(text, exact):
    """0.30000000000000004 > 0.3 is wrong, and no relative error."""
    assert (structural(read(text), 1e9) is not None) == exact


def test_a_sum_of_nearly_nothing_counts_by_its_size():
    found = Factor(read("exp(-0.1*A)"), "A").over(0, 3000).accuracy
    assert found.relative < 20 * UNIT_ROUNDOFF
    assert found.absolute < UNIT_ROUNDOFF  # not the hundreds of units that exp(-300) is off, relative to itself
    assert found.worst > 100 * UNIT_ROUNDOFF


@pytest.mark.parametrize(
    ("text", "count", "error"),
    [
        ("piecewise(5, A/100 > 0.6, 1)", 60, 0.0),  # within rounding, decided by fractions
        ("piecewise(5, 0.1*A >= 0.3, 1)", 3, 0.0),
        ("piecewise(5, 0.1*A > 0.3, 1)", 3, 4.0),  # 0.30000000000000004 > 0.3 is wrong
        ("piecewise(5, exp(ln(2)) >= 2, 1)", 1, 4.0),
        ("floor(A*0.1*10)", 3, 1.0),
        ("floor(A/10)", 30, 0.0),
        ("max(0, A - 5.3)", 5, 0.0),
    ],
)
def test_branches_within_their_rounding(text, count, error):
    found = float(np.max(errors(read(text), {"A": np.array([float(count)])}, 0.0)[1]))
    assert found == pytest.approx(error, rel=1e-4, abs=1e-14)


def test_laws_of_several_species_are_looked_at_where_they_are_used():
    law = read("1e10*(1 - exp(-1e-10*A*B))")
    a, b = (axis.ravel() for axis in np.mgrid[0.0:20.0, 0.0:20.0])
    found = of_columns(law, [{"A": a, "B": b}], 19.0, 0.0)
    with mpmath.workdps(60):
        truth = np.array(
            [float(-1e10 * mpmath.expm1(-x * y / mpmath.mpf(10) ** 10)) for x, y in zip(a, b, strict=True)]
        )
    off = np.abs(evaluate(law, {"A": a, "B": b}) - truth)
    assert 1e-7 < off.max() <= found.relative * truth.max() + found.absolute


# ---------------------------------------------------------------------- transients


def off_by(answer, integral):
    """Return the 1-norm error of a conversion whose rate has an integral."""
    truth = {"A": math.exp(-integral), "B": -math.expm1(-integral)}
    return sum(abs(answer.probability({name: 1}).value - p) for name, p in truth.items())


def conversion(rate):
    return fsp.Model(species={"A": 1, "B": 0}, reactions=[fsp.Reaction({"A": -1, "B": 1}, rate=rate, name="J")])


@pytest.mark.parametrize("solver", ["auto", "uniformization", "krylov", "chebyshev", "rational", "implicit"])
@pytest.mark.parametrize(
    "text", ["1e12*(1 - exp(-1e-12*A))", "2e7*(sqrt(1e14 + A) - 1e7)*A", "1e12*(1.000000000001*A - A)"]
)
def test_what_rounding_does_to_a_rate_is_in_the_bound(text, solver):
    with pytest.warns(fsp.ToleranceWarning, match="rate of 'J' has .* correct digits"):
        answer = fsp.transient(conversion(text), [1.0], 1e-7, solver=solver)[-1]
    off = off_by(answer, 1.0)
    assert answer.error.certified
    assert 1e-6 < off <= answer.error.total <= 1000.0 * off
    assert any("'J'" in note for note in answer.notes)


@pytest.mark.parametrize("text", ["1e12*2*exp(-1e-12*A/2)*sinh(1e-12*A/2)", "2e8*A/(sqrt(1e16 + A) + 1e8)"])
def test_the_advice_of_the_warning_helps(text):
    answer = fsp.transient(conversion(text), [1.0], 1e-9)[-1]
    assert off_by(answer, 1.0) <= answer.error.total <= 1e-9
    assert not answer.notes


def test_rates_that_are_switched_by_time_are_charged_too():
    law = "1e12*(1 - exp(-1e-12*A))*(1 + time)"
    with pytest.warns(fsp.ToleranceWarning, match="'J'"):
        answer = fsp.transient(conversion(law), [1.0], 1e-7)[-1]
    off = off_by(answer, 1.5)
    assert answer.error.certified
    assert 1e-6 < off <= answer.error.total <= 1000.0 * off


def test_the_charge_of_mass_action_is_that_of_its_operations():
    reactions = [fsp.Reaction("2 A -> B", mass_action=0.5), fsp.Reaction("B -> 2 A", mass_action=3.0)]
    model = fsp.Model(species={"A": 40, "B": 0}, reactions=reactions)
    generator = Generator(model, StateSpace.reachable(model))
    assert generator.roundings == generator.operations
    assert generator.misjudged(0.0, 100.0) == 0.0


def test_a_relative_error_counts_twice_for_every_product():
    model = fsp.Model(species={"A": 0}, reactions=[fsp.Reaction("0 -> A", rate="20/(1 + (A/7)^2.5)")])
    generator = Generator(model, StateSpace.box(model, upper=(50,)))
    assert generator.roundings >= generator.operations + 2.0 * 8.0  # a power is known to four units in the last place


# ---------------------------------------------------------------------- stationary distributions


def birth_death_truth(birth, death, n):
    """Return the stationary distribution on 0 … n - 1, in 60 digits."""
    weights = [mpmath.mpf(1)]
    for a in range(n - 1):
        weights.append(weights[-1] * birth(a) / death(a + 1))
    total = mpmath.fsum(weights)
    return np.array([float(w / total) for w in weights])


def distance(answer, truth):
    stored = dict(zip(answer.states[:, 0].tolist(), answer.probabilities.tolist(), strict=True))
    return sum(abs(p - stored.get(a, 0.0)) for a, p in enumerate(truth))


ODD = "1e10*(1 - exp(-1e-10*(A + 5)))"


def odd(a):
    return -(10**10) * mpmath.expm1(-mpmath.mpf(a + 5) / 10**10)


@pytest.mark.parametrize("method", ["auto", "gth", "direct"])
def test_stationary_distributions_are_charged(method):
    reactions = [fsp.Reaction("X -> A", rate=f"piecewise({ODD}, X > 0, 0)"), fsp.Reaction("A -> X", rate="3*A")]
    model = fsp.Model(species={"A": 0, "X": 30}, reactions=reactions)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fsp.ToleranceWarning)
        answer = fsp.stationary(model, 1e-6, method=method)
    with mpmath.workdps(60):
        truth = birth_death_truth(odd, lambda a: 3 * mpmath.mpf(a), 31)
    off = distance(answer, truth)
    assert answer.error.certified
    assert 1e-8 < off <= answer.error.total <= 0.1
    if method == "auto":  # detailed balance knows the error of each rate
        assert answer.error.total <= 1e5 * off


def test_an_elimination_is_charged_for_its_rates():
    model = fsp.Model(
        species={"A": 0, "X": 30},
        reactions=[
            fsp.Reaction("2 X -> 2 A", rate=f"piecewise({ODD}, X > 1, 0)"),
            fsp.Reaction("X -> A", rate="X"),
            fsp.Reaction("A -> X", rate="3*A"),
        ],
    )
    exact_rates = np.zeros((31, 31))
    for a in range(31):
        if a < 30:
            exact_rates[a + 1, a] += 30 - a
        if a < 29:
            exact_rates[a + 2, a] += float(odd(a))
        if a:
            exact_rates[a - 1, a] += 3 * a
    exact_rates -= np.diag(exact_rates.sum(axis=0))
    exact_rates[-1] = 1.0
    truth = np.linalg.solve(exact_rates, np.eye(31)[-1])
    with pytest.warns(fsp.ToleranceWarning, match="correct digits"):
        answer = fsp.stationary(model, 1e-9)
    off = distance(answer, truth)
    assert answer.error.certified
    assert 1e-9 < off <= answer.error.total <= 1e6 * off


def test_a_constant_that_lost_digits_is_no_product_form():
    constant = "1e10*(1 - exp(-1e-10))"
    model = fsp.Model(
        species={"A": 0},
        reactions=[fsp.Reaction("0 -> A", mass_action=constant), fsp.Reaction("A -> 0", mass_action=1.0)],
    )
    with pytest.warns(fsp.ToleranceWarning, match="correct digits"):
        answer = fsp.stationary(model, 1e-9)
    with mpmath.workdps(60):
        mean = float(-(10**10) * mpmath.expm1(-(mpmath.mpf(10) ** -10)))
    assert distance(answer, stats.poisson.pmf(np.arange(60), mean)) <= answer.error.total


def test_what_rounding_makes_uncertain_is_not_certified():
    model = fsp.Model(
        species={"A": 0, "B": 0, "X": 20},
        reactions=[
            fsp.Reaction("X -> A", rate="X"),
            fsp.Reaction("A -> B", rate="2e8*(sqrt(1e16 + A) - 1e8)"),
            fsp.Reaction("B -> X", rate="B"),
        ],
    )
    refusal = r"error is 2\.0e\+00.*'r2' has no correct digits.*Give a `space`"
    with pytest.raises(fsp.ConvergenceError, match=refusal):
        fsp.stationary(model, 1e-6)
    with pytest.warns(fsp.ToleranceWarning):
        answer = fsp.stationary(model, 1e-6, space=fsp.StateSpace.reachable(model))
    assert not answer.error.certified
    assert answer.error.rounding > 0.1
    assert any("'r2' has no correct digits" in note for note in answer.notes)


# ---------------------------------------------------------------------- callables

RANDOM = np.random.default_rng(5)


@pytest.mark.parametrize(
    ("rate", "why"),
    [
        (lambda x: x["A"] * RANDOM.random(), "depend on a state alone"),
        (lambda x: x["A"] * RANDOM.random(len(x["A"])), "depend on a state alone"),
        (lambda x: x["A"] * len(x["A"]), "depend on a state alone"),
        (lambda x: x["A"] / max(1.0, x["A"].max()), "depend on a state alone"),
        (lambda x: x["A"].sum(), "depend on a state alone"),
        (lambda x: x["A"] * (1.0 + 0.0j), "be real"),
    ],
)
def test_a_callable_that_is_no_function_of_a_state_is_refused(rate, why):
    model = fsp.Model(species={"A": 3, "B": 0}, reactions=[fsp.Reaction({"A": -1, "B": 1}, rate=rate)])
    with pytest.raises(fsp.ModelError, match=f"Rate of 'r1' must {why}"):
        fsp.transient(model, [1.0])


# ---------------------------------------------------------------------- functions of time


@pytest.mark.parametrize(
    ("text", "integral"),
    [
        ("1 + tanh(1000*(time - 1))", lambda: 2.0),
        ("quotient(time, 0.7)", lambda: 0.7 * (0 + 1) + 0.6 * 2),
        ("rem(time, 0.7)", lambda: 2 * 0.5 * 0.7**2 + 0.5 * 0.6**2),
        ("sech(time)", lambda: math.atan(math.sinh(2.0))),
        ("log(2, time + 1)", lambda: (3.0 * math.log(3.0) - 2.0) / math.log(2.0)),
        ("piecewise(1, implies(time > 1, time > 1.5), 0)", lambda: 1.5),
    ],
)
def test_more_functions_of_time_have_a_bound(text, integral):
    answer = fsp.transient(conversion(f"A*({text})"), [2.0], 1e-7)[-1]
    assert answer.error.certified
    assert off_by(answer, integral()) <= answer.error.total <= 1e-7


@pytest.mark.parametrize("text", ["tanh(900*(time - 1))", "csch(time + 1)", "cot(time)", "root(3, time)"])
@pytest.mark.parametrize("degree", [0, 2, 4])
def test_their_polynomials_are_within_the_remainder(text, degree):
    function = read(text)
    found = polynomial(function, 1.0, 1.001, degree)
    inside = np.linspace(1.0, 1.001, 501)[1:-1]
    off = max(abs(found.at(t) - float(evaluate(function, {}, t))) for t in inside)
    assert off <= found.remainder + 1e-15


@pytest.mark.parametrize(
    "rate",
    ["(1e16 + 1 - 1e16)*X*exp(-time)", "X*(1e16 + 1 - 1e16)*exp(-time)*(1e16 + 1 - 1e16)", "(1e16 + 1 - 1e16)*X"],
)
def test_a_number_that_is_zero_but_for_its_error_is_charged(rate):
    """It is one, so that a molecule is left with the probability exp(exp(-t) - 1), or exp(-t) without time."""
    model = fsp.Model(species={"X": 1}, reactions=[fsp.Reaction("X -> 0", rate=rate)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fsp.ToleranceWarning)
        dist = fsp.transient(model, [1.0])[-1]
    left = math.exp(math.exp(-1.0) - 1.0) if "time" in rate else math.exp(-1.0)
    found = dist.probability("X == 1")
    assert found.lower <= left <= found.upper
