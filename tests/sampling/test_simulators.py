"""Adapters of simulators: a script that writes CSV always, packages where they are installed; and the SBML they get."""

from __future__ import annotations

import logging
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from references import MODELS

import fsp
from fsp.formats import sbml_writer
from fsp.formats.equivalence import difference
from fsp.formats.sbml import read_sbml
from fsp.formats.sbml_writer import write_sbml
from fsp.model.tree import Number, symbols
from fsp.sampling.packages import PACKAGES, _logged
from fsp.sampling.simulators import open_simulator, seeds_of

DEATH = fsp.Model(species={"X": 40}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])
TIMES = [0.5, 1.0]

# draws the survivors at each time; FAULT is put in by the tests
SCRIPT = """
import random, re, sys, time
model, seed, out, runs = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
random.seed(seed)
fault = "FAULT"
x0 = int(float(re.search('initialAmount="([0-9.]+)"', open(model).read()).group(1)))
if fault == "crash":
    sys.exit("cannot go on")
if fault == "slow":
    time.sleep(60)
with open(out, "w") as file:
    print("run,time,X" if fault != "columns" else "run,time,Y", file=file)
    for run in range(runs):
        x = x0
        for t in ([0.5, 1.0] if fault != "times" else [0.5]):
            x = sum(random.random() < 2.718281828459045 ** -0.5 for _ in range(x))
            print(f"{run},{t},{x + 0.5 * (fault == 'half')}", file=file)
"""


@pytest.fixture
def command(tmp_path):
    def written(fault="", runs="1"):
        script = tmp_path / "simulator.py"
        script.write_text(SCRIPT.replace("FAULT", fault))
        return f"{sys.executable} {script} {{model}} {{seed}} {{out}} {runs}"

    return written


def within_binomial_bands(sampled, n=40):
    for k, t in enumerate(TIMES):
        p = np.exp(-t)
        assert abs(sampled[:, k, 0].mean() - n * p) < 5 * np.sqrt(n * p * (1 - p) / len(sampled))


def test_a_command_that_makes_many_runs(command):
    simulator = open_simulator(command(runs="{runs}"), processes=2)
    seen = []
    sampled = simulator.sample(DEATH, TIMES, 120, 1, lambda done, total: seen.append((done, total)))
    assert sampled.shape == (120, 2, 1)
    assert sampled.dtype == np.int64
    assert seen[-1] == (120, 120)
    within_binomial_bands(sampled)
    alone = open_simulator(command(runs="{runs}"), processes=1)
    np.testing.assert_array_equal(alone.sample(DEATH, TIMES, 120, 1), sampled)


def test_a_command_that_makes_one_run(command):
    simulator = open_simulator(command())
    sampled = simulator.sample(DEATH, TIMES, 6, 2)
    assert len(np.unique(sampled[:, :, 0], axis=0)) > 1
    assert "simulator.py" in simulator.name


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("crash", "Run 0 .*exited with 1: cannot go on"),
        ("slow", "must end within"),
        ("columns", "lacks 'X'"),
        ("times", "must write a row at t = 1"),
        ("half", r"whole counts, but run 0 has X = \d+\.5 at t = 0.5"),
    ],
)
def test_a_command_that_fails_is_named(command, fault, words):
    with pytest.raises(fsp.BackendError, match=words):
        open_simulator(command(fault), timeout=2.0 if fault == "slow" else 60.0).sample(DEATH, TIMES, 1, 3)


TABLES = {"\t": None, " ": None, ";": None, "": "must be a table, but is empty", "word": "others in the column 'X'"}


@pytest.mark.parametrize("mark", list(TABLES))
def test_what_commands_write_is_any_table(mark, tmp_path):
    rows = [["time", "X"], ["0.5", "many" if mark == "word" else "3"], ["1", "2"]]
    text = "\n".join((mark if len(mark) == 1 else ",").join(row) for row in rows) if mark else ""
    (tmp_path / "table").write_text(text + "\n" * bool(text))
    copy = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])"
    simulator = open_simulator(f"{sys.executable} -c '{copy}' {tmp_path / 'table'} {{out}} {{model}} {{seed}}")
    if TABLES[mark] is None:
        assert simulator.sample(DEATH, [0.5, 1.0], 2, 1).tolist() == [[[3], [2]]] * 2
    else:
        with pytest.raises(fsp.BackendError, match=TABLES[mark]):
            simulator.sample(DEATH, [0.5, 1.0], 2, 1)


def test_commands_and_names_are_checked():
    for wrong in ("nonsense", "sim {model} {out}", "sim {model} {seed}", "sim {model} {seed} {out} {what}"):
        with pytest.raises(fsp.ArgumentError):
            open_simulator(wrong)
    with pytest.raises(fsp.BackendError, match="must start"):
        open_simulator("/no/such/program {model} {seed} {out}").sample(DEATH, TIMES, 1, 1)


def test_seeds_differ_and_depend_on_the_run_alone():
    many = seeds_of(5, 200_000)
    assert len(set(many)) == len(many)
    assert min(many) >= 1
    assert max(many) < 2**31
    assert seeds_of(5, 10) == many[:10]
    assert seeds_of(6, 10) != many[:10]


@pytest.mark.parametrize("seed", [1, 271, 635])
def test_later_runs_have_seeds_of_their_own(seed):
    batches, done = [], 0
    while done < 100_000:
        number = max(1000, done)
        batches += seeds_of(seed, number, done)
        done += number
    assert len(set(batches)) == len(batches)
    assert batches == seeds_of(seed, done)


def test_the_reference_sampler_goes_on_with_new_runs():
    model = fsp.Model(species={"X": 9}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])
    simulator = open_simulator("fsp")
    one, more = (simulator.sample(model, [0.1, 0.5, 1.0], 200, 3, first=first) for first in (0, 200))
    np.testing.assert_array_equal(one, simulator.sample(model, [0.1, 0.5, 1.0], 200, 3))
    assert (one != more).any(axis=(1, 2)).mean() > 0.5


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_packages(name):
    if find_spec(PACKAGES[name][0]) is None:
        with pytest.raises(fsp.BackendError, match=r"pip install fsp-cme\[verify\]"):
            open_simulator(name)
        pytest.skip(f"{PACKAGES[name][1]} is not installed")
    runs = 150
    sampled = open_simulator(name, processes=2).sample(DEATH, TIMES, runs, 4)
    again = open_simulator(name, processes=1).sample(DEATH, TIMES, runs, 4)
    np.testing.assert_array_equal(sampled, again)
    assert len(np.unique(sampled[:, :, 0], axis=0)) > 20
    if not name.endswith("tau"):
        within_binomial_bands(sampled)


def test_gillespy2_divides_our_numbers_as_reals():
    pytest.importorskip("gillespy2")
    model = fsp.Model(
        species={"X": 0}, reactions=[fsp.Reaction("0 -> X", rate="10/(4 + X)"), fsp.Reaction("X -> 0", rate="X")]
    )
    sampled = open_simulator("gillespy2", processes=1).sample(model, [2.0], 2000, 8)
    assert abs(sampled.mean() - 1.6698) < 5 * sampled.std() / np.sqrt(2000)  # 1.418 with the rate rounded down


def test_the_reference_is_a_simulator_of_files_too():
    file = MODELS / "telegraph.ant"
    sampled = open_simulator("fsp").sample(file, [1.0], 20, 5)
    np.testing.assert_array_equal(sampled, fsp.ssa(fsp.load(file), [1.0], 20, seed=5))


@pytest.mark.parametrize("file", sorted(MODELS.glob("*.ant")), ids=lambda file: file.stem)
def test_written_models_have_the_same_propensities(file):
    model = fsp.load(file)
    back = read_sbml(write_sbml(model), "written")
    assert back.species == model.species
    np.testing.assert_array_equal(back.change, model.change)
    np.testing.assert_array_equal(back.initial_states, model.initial_states)
    states = np.random.default_rng(6).integers(1, 40, (50, model.n_species))
    # libsbml writes 15 digits of a number
    np.testing.assert_allclose(back.propensities(states, 1.5), model.propensities(states, 1.5), rtol=1e-13)


def test_what_sbml_cannot_carry_is_refused():
    by_code = fsp.Model(species={"X": 1}, reactions=[fsp.Reaction("X -> 0", rate=lambda x: x["X"], name="decay")])
    with pytest.raises(fsp.ModelError, match="'decay' must be a formula"):
        write_sbml(by_code)
    spread = fsp.Model(species=["X"], reactions=[fsp.Reaction("X -> 0", rate="X")], initial={(1,): 0.5, (2,): 0.5})
    with pytest.raises(fsp.ModelError, match="one state"):
        write_sbml(spread)


def test_written_names_and_functions():
    reactions = [
        fsp.Reaction("0 -> S", rate="k*min(S, compartment, 3) + quotient(S, 2)", name="a reaction"),
        fsp.Reaction({"S": -1}, rate="S*(compartment > 1)", name="S2"),
        fsp.Reaction("S + compartment -> 2 compartment", rate="1e-7*S*compartment"),
    ]
    model = fsp.Model(species={"S": 3, "compartment": 2}, parameters={"k": 0.1}, reactions=reactions, name="2 x")
    back = read_sbml(write_sbml(model), "written")
    states = np.random.default_rng(7).integers(1, 40, (50, 2))
    np.testing.assert_allclose(back.propensities(states), model.propensities(states), rtol=1e-13)


def counter_of_errors(text):
    """Return what libsbml finds wrong with a document, in all categories but units and practice."""
    import libsbml

    document = libsbml.readSBMLFromString(text)
    for kind in ("UNITS_CONSISTENCY", "MODELING_PRACTICE"):
        document.setConsistencyChecks(getattr(libsbml, f"LIBSBML_CAT_{kind}"), False)
    document.checkConsistency()
    found = (document.getError(k) for k in range(document.getNumErrors()))
    return [error.getErrorId() for error in found if error.getSeverity() >= libsbml.LIBSBML_SEV_ERROR]


SWITCHED = fsp.Model(
    species={"X": 3, "Y": 0},
    parameters={"k": 2.0, "twice": "2*k"},
    reactions=[
        fsp.Reaction("X -> Y", rate="k*X*(X > 1)"),
        fsp.Reaction("Y -> X", rate="piecewise(Y, X, twice*Y)"),
        fsp.Reaction("0 -> X", rate="(X < 20) + (X > 2 && !(Y > 3))"),
    ],
)
EVENTS = {
    "none": [],
    "state": [fsp.Event("X >= 8", {"X": "1", "Y": "Y + X"})],
    "time": [
        fsp.Event("time >= 0.5", {"X": "X + 4"}),
        fsp.Event("time > 1.25 && Y < 2", {"X": "X + 1"}, persistent=False),
    ],
    "parameter": [fsp.Event("time >= 0.5", {"k": "3*k"}), fsp.Event("time >= 0.75", {"k": "k + 1", "Y": "Y*2"})],
    "start": [fsp.Event("time >= 0", {"k": 5, "X": 9}, initial_value=False)],
    "both": [
        fsp.Event("X >= 8", {"X": "1"}, priority=1),
        fsp.Event("time >= 0.5", {"X": "X + 8"}, priority=2, use_trigger_values=False),
    ],
}


@pytest.mark.parametrize("kind", list(EVENTS))
def test_what_is_written_is_valid_and_the_same_network(kind):
    model = fsp.Model(
        species={"X": 3, "Y": 0},
        parameters={"k": 2.0, "twice": "2*k"},
        reactions=SWITCHED.reactions,
        events=EVENTS[kind],
    )
    text = write_sbml(model)
    assert counter_of_errors(text) == []
    back = read_sbml(text, "written")
    assert difference(back, model, 2.0) == ""
    assert ("<event" in text) == (kind not in ("none", "state"))
    for until in (0.4, 0.6, 2.0):
        one, other = (list(m.phases(0.0, until)) for m in (model, back))
        assert [phase.until for phase in one] == [phase.until for phase in other]


def test_a_writer_that_loses_something_is_refused(monkeypatch):
    monkeypatch.setattr(sbml_writer, "_typed", lambda tree, truth: Number(1.0) if not truth else tree)
    with pytest.raises(fsp.ModelError, match="must be the same network when it is read back from SBML, but "):
        write_sbml(SWITCHED)
    monkeypatch.setattr(sbml_writer, "_typed", lambda tree, truth: tree)
    with pytest.raises(fsp.ModelError, match="'what is written' must be valid"):
        write_sbml(SWITCHED)


def test_a_formula_of_what_an_event_assigns_follows_it():
    model = fsp.Model(
        species={"X": 3},
        parameters={"k": 2.0, "twice": "2*k"},
        reactions=[fsp.Reaction("X -> 0", rate="twice*X")],
        events=EVENTS["parameter"][:1],
    )
    assert symbols(model.law(0)) == {"k", "X"}


def test_species_that_nothing_changes_may_be_left_out(tmp_path):
    model = fsp.Model(species={"X": 40, "E": 7}, reactions=[fsp.Reaction("X + E -> E", rate="X*E/7")])
    script = tmp_path / "simulator.py"
    for fault, text in (("", SCRIPT), ("X", SCRIPT.replace("run,time,X", "run,time,E"))):
        script.write_text(text)
        simulator = open_simulator(f"{sys.executable} {script} {{model}} {{seed}} {{out}} 1")
        if fault:
            with pytest.raises(fsp.BackendError, match="lacks 'X'"):
                simulator.sample(model, TIMES, 2, 1)
        else:
            assert (simulator.sample(model, TIMES, 2, 1)[:, :, 1] == 7).all()


@pytest.mark.parametrize("name", ["copasi", "gillespy2"])
def test_packages_leave_out_what_nothing_changes(name):
    if find_spec(PACKAGES[name][0]) is None:
        pytest.skip(f"{PACKAGES[name][1]} is not installed")
    model = fsp.Model(species={"X": 40, "E": 7}, reactions=[fsp.Reaction("X + E -> E", rate="X*E/7")])
    sampled = open_simulator(name, processes=1).sample(model, TIMES, 50, 4)
    assert (sampled[:, :, 1] == 7).all()
    within_binomial_bands(sampled)


def test_warnings_of_a_simulator_are_counted(tmp_path):
    script = tmp_path / "simulator.py"
    script.write_text(SCRIPT + 'print("beware", file=sys.stderr)\n')
    simulator = open_simulator(f"{sys.executable} {script} {{model}} {{seed}} {{out}} {{runs}}", block=2)
    with pytest.warns(fsp.errors.SimulatorWarning, match="says 3 times: beware") as said:
        simulator.sample(DEATH, TIMES, 6, 1)
    assert len(said) == 1
    report = fsp.verify(DEATH, simulator=simulator, times=TIMES, runs=6, power=None)
    assert report.notes == ("The simulator says 3 times: beware",)


def test_options_of_a_simulator_are_checked():
    for name, options in (("roadrunner", {"method": "x"}), ("a {model} {seed} {out}", {"method": "x"})):
        with pytest.raises(fsp.ArgumentError, match="must be left out, since it has none, but 'method'"):
            open_simulator(name, options=options)
    with pytest.raises(fsp.ArgumentError, match="of method, but 'tau_tol'"):
        open_simulator("copasi", options={"tau_tol": "1"})
    whole, positive = (
        "must be a whole number of 1 or more, but is 0",
        r"must be a number of seconds up to 1e\+06, but is 0.0",
    )
    for name, wrong, why in (("processes", 0, whole), ("block", 0, whole), ("timeout", 0.0, positive)):
        with pytest.raises(fsp.ArgumentError, match=f"`{name}` {why}"):
            open_simulator("fsp", **{name: wrong})


def test_what_a_package_logs_as_errors_is_collected_and_not_printed(capsys):
    logger = logging.getLogger("package.part")
    with _logged("package") as heard:
        logger.error("reversible")
        logger.warning("units")
    logger.error("later")
    assert heard == ["reversible"]
    assert "reversible" not in capsys.readouterr().err
