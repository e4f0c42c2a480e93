"""Arguments of another kind than a function or a command takes: one clear error each."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from click.testing import CliRunner

import fsp
from fsp.command.main import main
from fsp.errors import ArgumentError, ModelError
from fsp.jobs.manifest import read_manifest
from fsp.quantities import points
from fsp.verification import plan
from fsp.verification.reading import read_samples

MODEL = fsp.Model(
    species={"X": 2}, parameters={"g": 1.0}, reactions=[fsp.Reaction("X -> 0", mass_action="g")], name="decay"
)
SOLVERS = {
    "transient": lambda model, **more: fsp.transient(model, [1.0], **more),
    "stationary": fsp.stationary,
    "sweep": lambda model, **more: fsp.sweep(model, {"g": [1, 2]}, [1.0], **more),
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "decay.ant"
    path.write_text("substanceOnly species X; X = 2; g = 1; k := g*X; death: X => ; k;\n")
    return str(path)


@pytest.mark.parametrize("solve", SOLVERS.values(), ids=SOLVERS)
@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"max_memory": "1GB"}, "`max_memory` must be a number of bytes"),
        ({"max_memory": True}, "`max_memory` must be a number of bytes"),
        ({"max_states": 0}, "`max_states` must be a number of states"),
        ({"max_states": -5}, "`max_states` must be a number of states"),
        ({"max_states": 2.5}, "`max_states` must be a number of states"),
        ({"max_states": float("nan")}, "`max_states` must be a number of states"),
        ({"progress": 3}, "`progress` must be a function"),
    ],
)
def test_limits_and_progress(solve, wrong, what):
    with pytest.raises(ArgumentError, match=what):
        solve(MODEL, **wrong)


@pytest.mark.parametrize(
    "solve",
    [*SOLVERS.values(), fsp.relaxation, lambda m: fsp.ssa(m, [1.0]), lambda m: fsp.approximations(m, [1.0])],
)
def test_a_model_is_no_file_name(solve):
    with pytest.raises(ArgumentError, match=r"must be a fsp\.Model, but is 'm\.ant'; read the file with fsp\.load"):
        solve("m.ant")


@pytest.mark.parametrize("space", [3, "box", [[0]]])
@pytest.mark.parametrize(
    "solve",
    [
        lambda space: fsp.transient(MODEL, [0.5], space=space),
        lambda space: fsp.stationary(MODEL, space=space),
        lambda space: fsp.relaxation(MODEL, space=space),
    ],
    ids=["transient", "stationary", "relaxation"],
)
def test_a_space_is_a_space(solve, space):
    with pytest.raises(ArgumentError, match=r"`space` must be a fsp.StateSpace"):
        solve(space)


def test_steps_are_not_negative():
    with pytest.raises(ArgumentError, match=r"`steps` must be a number of reactions, 0 or more, but is -1"):
        fsp.StateSpace.reachable(MODEL, steps=-1)


def test_parameters_are_a_mapping():
    with pytest.raises(ModelError, match=r"must be a mapping, such as"):
        MODEL.with_parameters(3)


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: fsp.sweep(MODEL, 3, [0.5]), "`values` must be a mapping"),
        (lambda: fsp.Model(species=3, reactions=[]), "`species` must be a mapping or a list of names"),
        (lambda: fsp.transient(MODEL, range(10**9)), "`times` must be at most 100,000, but are 1,000,000,000"),
        (lambda: fsp.read(3), "`path` must be that of a file"),
        (lambda: fsp.Krylov(dimension="x"), "`dimension` must be at least 2, but is 'x'"),
        (lambda: fsp.Implicit(stages=1), "`stages` must be 2 to 11, but is 1"),
        (lambda: fsp.Rational(tol="x"), "`tol` must be positive, but is 'x'"),
        (lambda: fsp.StateSpace.box(MODEL, upper=10**30), "`upper` must be a non-negative integer"),
    ],
)
def test_values_of_another_kind(call, what):
    with pytest.raises(fsp.FSPError, match=re.escape(what)):
        call()


TWO = fsp.Model(
    species={"A": 1, "B": 0}, reactions=[fsp.Reaction("A -> B", rate="A"), fsp.Reaction("B -> A", rate="B")]
)
NO_NUMBERS = ["1", b"1", ["1", "2"], True, [False], None, {"a": 1}, {1.0}, 1j, [1.0, None], [[1], 2]]


@pytest.mark.parametrize("wrong", NO_NUMBERS)
@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda wrong: fsp.transient(MODEL, wrong), "`times` must be numbers"),
        (lambda wrong: fsp.passage(MODEL, "X == 0", [wrong]), "`times` must be numbers"),
        (lambda wrong: fsp.correlation(TWO, "A", wrong), "`lags` must be numbers"),
        (lambda wrong: fsp.correlation(TWO, "A", [1.0]).spectrum(wrong), "`frequencies` must be numbers"),
        (lambda wrong: fsp.gradient(MODEL, "X > 1", wrong, "g"), "`time` must be numbers"),
        (lambda wrong: fsp.fisher(MODEL, [1.0], ["g"], cells=wrong), "`cells` must be numbers"),
        (lambda wrong: fsp.sweep(MODEL, {"g": wrong}, [1.0]), "Values of 'g' must be numbers"),
        (lambda wrong: fsp.transient(MODEL, [1.0])[-1].cdf("X", wrong), "`count` must be numbers"),
    ],
)
def test_what_is_no_number_is_refused_by_its_name(call, what, wrong):
    with pytest.raises(ArgumentError, match=f"{what}, but are"):
        call(wrong)


@pytest.mark.parametrize(
    "given", [[1, 2], (1.0, 2), np.array([1, 2]), np.array([1, 2], object), [Fraction(1), Decimal(2)]]
)
def test_numbers_of_any_kind_are_times(given):
    assert fsp.transient(MODEL, given).times.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: fsp.passage(MODEL, {"": "X == 0"}), "`target` must be conditions by different names"),
        (lambda: fsp.passage(MODEL, {1: "X == 0", "1": "X == 1"}), "`target` must be conditions by different names"),
        (lambda: fsp.fisher(MODEL, [1.0], ["g"], observe=["X", " X"]), "`observe` must be one or more different"),
        (lambda: fsp.design(MODEL, [1.0], ["g"], observe=["X", "X"]), "`observe` must be one or more different"),
        (lambda: fsp.approximations(MODEL, [1.0], volumes=[1, 1.0]), "`volumes` must be positive numbers, different"),
        (lambda: fsp.approximations(MODEL, [1.0], volumes=[1, 1e308]), "`volumes` must be positive numbers, different"),
        (lambda: fsp.sensitivity(MODEL, [1e308], ["g"]), "`times` must be at most 1e+300, but are up to 1e+308"),
        (lambda: fsp.Poisson(1e9), "`background` must be a mean with counts to hold, but is the mean 1e+09, which"),
        (lambda: fsp.read_counts({"time": [1], "x": [2]}, counts={"X": "x"}, replicate=""), "must have a column ''"),
        (lambda: fsp.gradient(MODEL, "X > 1", [1.0, 2.0], "g"), "`time` must be one number, but is [1.0, 2.0]"),
        (lambda: fsp.correlation(TWO, "A", [1.0, 1.0]), "`lags` must increase, but 1.0 is followed by 1.0"),
        (lambda: fsp.correlation(TWO, "A", [-1.0]), "`lags` must be finite and not negative"),
    ],
)
def test_what_is_empty_given_twice_or_too_large(call, what):
    with pytest.raises(ArgumentError, match=re.escape(what)):
        call()


HUGE = 10**400  # no float holds it


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda n: fsp.ssa(MODEL, [1.0], runs=n), "`runs` must be a whole number of 1 to 9,007,199,254,740,992"),
        (lambda n: MODEL.propensities([[n]]), "`states` must be counts below 2⁶⁴"),
        (lambda n: fsp.transient(MODEL, [1.0]).at(n), "`t` must be one of the times"),
        (lambda n: fsp.transient(MODEL, [1.0])[0].moment("X", n), "Order of 'X' must be a non-negative integer"),
        (lambda n: fsp.fisher(MODEL, [1.0], ["g"], cells=n), "`cells` must be numbers"),
        (lambda n: fsp.langevin(MODEL, [1.0], runs=n), "`runs` and `steps` must be whole numbers"),
        (lambda n: fsp.sweep(MODEL, {"g": [1.0]}, [1.0], processes=n), "`processes` must be a whole number"),
        (lambda n: fsp.verify(MODEL, simulator="fsp", times=[1.0], runs=n), "`runs` must be a whole number"),
        (
            lambda n: fsp.verify(MODEL, simulator="fsp", times=[1.0], until_detectable=0.5, max_runs=n),
            "`max_runs` must be a whole number",
        ),
        (lambda n: plan(MODEL, 1.0, max_runs=n), "`max_runs` must be a whole number"),
        (lambda n: fsp.approximations(MODEL, [1.0], volumes=[1, n]), "`volumes` must be positive numbers"),
    ],
)
def test_whole_numbers_of_hundreds_of_digits_are_refused_by_name(call, what):
    with pytest.raises(ArgumentError, match=re.escape(what)) as refusal:
        call(HUGE)
    assert "whole number of 1,329 bits" in str(refusal.value)
    with pytest.raises(ArgumentError):
        call(-(10**5000))  # Python writes no number of so many digits


def test_counts_that_doubles_do_not_hold_are_no_volume():
    with pytest.raises(ArgumentError, match="make initial counts below 2⁵³, but 1e\\+20 makes"):
        fsp.approximations(MODEL, [1.0], volumes=[1, 1e20])


def test_a_passage_that_takes_longer_than_any_float_squares_is_printed():
    model = fsp.Model(species={"X": 1}, reactions=[fsp.Reaction("0 -> X", rate=1.0), fsp.Reaction("X -> 0", rate="X")])
    with pytest.warns(fsp.ToleranceWarning):
        law = fsp.passage(model, f"X > {2**70}", times=[1.0])
    assert law.variance().upper == np.inf
    assert "variance of the time" in str(law)


def test_seeds_may_be_of_any_length():
    assert (fsp.ssa(MODEL, [1.0], runs=3, seed=HUGE) == fsp.ssa(MODEL, [1.0], runs=3, seed=HUGE)).all()


def test_no_limit_is_too_large_for_a_space_and_a_bound_for_prism_is():
    assert len(fsp.StateSpace.reachable(MODEL, max_states=HUGE)) == 3
    assert len(fsp.stationary(MODEL, max_states=HUGE)) == len(fsp.stationary(MODEL))
    assert len(fsp.relaxation(MODEL, 2, max_states=HUGE).rates) == 2
    with pytest.raises(ModelError, match="must have a bound below 2\\^31"):
        fsp.Model(species={"X": 1}, reactions=[fsp.Reaction("0 -> X", rate=1.0)]).to_prism(upper={"X": HUGE})


def test_a_model_within_itself_is_refused(tmp_path):
    path = tmp_path / "m.ant"
    path.write_text("model inner()\n  o: outer();\nend\nmodel outer()\n  i: inner();\n  A = 0;\nend\n")
    with pytest.raises(ModelError, match=r"must have no model within itself, but 'inner' is"):
        fsp.load(path)


def test_deep_tables_of_a_manifest_are_refused(tmp_path):
    path = tmp_path / "jobs.toml"
    path.write_text("a = " + "[" * 5000 + "]" * 5000)
    with pytest.raises(ArgumentError, match=r"tables too deep within each other"):
        read_manifest(path)


def test_limits_may_be_whole_floats():
    assert len(fsp.transient(MODEL, [1.0], max_states=1e3, max_memory=np.int64(2**30))) == 1


def test_unknown_options_of_a_sweep_are_its_own():
    with pytest.raises(ArgumentError, match=r"options of `sweep` must be of solver.* 'spce'"):
        SOLVERS["sweep"](MODEL, spce=None)


@pytest.mark.parametrize(
    ("times", "what"),
    [([1e-310], "0 or at least 2.23e-308"), (np.arange(200_000.0), "at most 100,000, but are 200,000")],
)
def test_times(times, what):
    with pytest.raises(ArgumentError, match=what):
        fsp.transient(MODEL, times)


def test_points_of_a_sweep():
    with pytest.raises(ArgumentError, match="at most 100,000 points, but give 250,000"):
        fsp.sweep(MODEL, {"g": np.arange(1.0, 501.0), "X": np.arange(500.0)}, [1.0])


@pytest.mark.parametrize("counts", [{"X": "1"}, {"X": 1.5}, {"X": True}, {"X": None}])
def test_counts_of_an_event_are_whole(counts):
    with pytest.raises(ArgumentError, match="whole copy numbers, but 'X' is"):
        fsp.transient(MODEL, [1.0])[-1].probability(counts)


def test_counts_that_doubles_do_not_hold():
    with pytest.raises(ModelError, match="must be less than 9,007,199,254,740,992"):
        MODEL.with_initial(X=10**18)
    with pytest.raises(ModelError, match=r"must be less than 9,007.*, but is 9007199254740992; count in larger units"):
        fsp.Model(species={"X": 2**53 + 1}, reactions=MODEL.reactions, parameters={"g": 1.0})
    assert MODEL.with_initial(X=2**53 - 1).initial_states.tolist() == [[2**53 - 1]]


@pytest.mark.parametrize("path", [None, 3, ["a.xml"]])
def test_a_path_is_text(path):
    with pytest.raises(ArgumentError, match="`path` must be the name of a model file"):
        fsp.load(path)


@pytest.mark.parametrize("text", ["0:1:1000000000", "0:1:" + "9" * 5000, ",".join(["1:2:60000"] * 2)])
def test_lists_have_a_largest_length(text):
    with pytest.raises(ArgumentError, match="must be at most 100,000 numbers"):
        points(text, "--times")


@pytest.mark.parametrize("text", ["0:1:²", "0:1:1", "0:1:0", "0:inf:3", "nan", "1,", "1:2:3:4"])
def test_lists_that_are_none(text):
    with pytest.raises(ArgumentError, match="--times"):
        points(text, "--times")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--set", "g=1", "--set", "g=2"], "must give 'g' once"),
        (["--set", "g=nan"], "`--set g` must be finite"),
        (["--set", "=1"], "must be NAME=VALUE"),
        (["--set", "g=1", "--sweep", "g=1,2"], "must not give the same name, but both give 'g'"),
        (["--sweep", "g=1,2", "--sweep", "g=3"], "must give 'g' once"),
        (["--pairs"], "`--pairs` must come with --sweep"),
        (["--processes", "2"], "`--processes` must come with --sweep"),
        (["--max-states", "0"], "`--max-states` must be a number of states"),
    ],
)
def test_words_of_the_command(file, words, what):
    done = CliRunner().invoke(main, ["transient", file, "--times", "1", "--quiet", *words])
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert re.match(f"fsp: error: .*{what}", line), line


def test_names_that_the_model_lacks(file):
    done = CliRunner().invoke(main, ["info", file, "--set", "q=1"])
    assert done.exit_code == 3
    assert re.fullmatch("fsp: error: `--set` must name one of .*X, but has 'q'.\n", done.stderr)


def test_what_a_rule_determines_may_be_set(file):
    assert CliRunner().invoke(main, ["info", file, "--set", "k=0"]).exit_code == 0


def test_memory_that_is_exhausted_is_said(file, monkeypatch):
    def exhausted(*_, **__):
        raise MemoryError

    monkeypatch.setattr(fsp, "transient", exhausted)
    done = CliRunner().invoke(main, ["transient", file, "--times", "1", "--quiet"])
    assert done.exit_code == 4
    assert "memory is exhausted" in done.stderr


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"run,time,X\n", "has a header only"),
        (b"run,time,X\n0,1,2\n0,2\n", "line 3 has 2"),
        (b"run,time,X\n0,1,2,9\n", "line 2 has 4"),
        (b"run,time,X\n0,1,\x00\n", "run|NUL|'X'"),
        (bytes(range(256)) * 40, "UTF-8"),
    ],
)
def test_tables_that_are_none(tmp_path, content, what):
    path = tmp_path / "runs.csv"
    path.write_bytes(content)
    with pytest.raises(ArgumentError, match=what):
        read_samples(path, ["X"])


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ("transient --times 1 --tol 1e-4 --tol 1e-6", "--tol"),
        ("stationary --max-states 10 --json --max-states=20", "--max-states"),
        ("transient --times 1 --out a.h5 --tol 1e-4 --out b.h5", "--out"),
    ],
)
def test_an_option_of_one_value_is_given_once(file, words, option):
    name, *options = words.split()
    answer = CliRunner().invoke(main, [name, file, *options])
    assert answer.exit_code == 2
    assert f"`{option}` must be given once" in answer.output


def test_options_of_several_values_and_switches_may_be_given_again(file):
    words = ["--times", "1", "--event", "X > 1", "--event", "X > 0", "--json", "--json", "--quiet", "--quiet"]
    answer = CliRunner().invoke(main, ["transient", file, *words])
    assert answer.exit_code == 0, answer.output


NO_NUMBERS = [1j, np.array([1, 2]), np.array([]), np.ma.masked, b"x", object(), [1], int]


@pytest.mark.parametrize("wrong", NO_NUMBERS)
@pytest.mark.parametrize("name", ["processes", "block", "timeout", "options"])
def test_arguments_of_a_simulator_are_named(name, wrong):
    with pytest.raises(ArgumentError, match=f"`{name}`"):
        fsp.sampling.open_simulator("fsp", **{name: wrong})


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *((name, wrong) for name in ("runs", "alpha", "require") for wrong in NO_NUMBERS),
        *(("file", wrong) for wrong in NO_NUMBERS),
        ("species", 1j),
    ],
)
def test_arguments_of_a_verification_are_named(name, wrong):
    given = {"runs": 20} | {name: wrong}
    with pytest.raises(ArgumentError, match=f"`{name}`"):
        fsp.verify(MODEL, times=[1.0], simulator="fsp", **given)
