"""The SBML stochastic test suite: its cases agree, wrong tables are told, and what is no CME is listed."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from launcher import ROOT
from written_sbml import TIME, apply, compartment, event, parameter, reaction, rule, sbml, species

import fsp
from fsp.command.main import main
from fsp.errors import ArgumentError
from fsp.output import files
from fsp.output.records import to_json
from fsp.output.replace import is_marked
from fsp.verification.cases import find_cases, read_case
from fsp.verification.suite import AGREES, DIFFERS, FAILED, NO_CME, OPEN, run_case, run_suite
from fsp.verification.suite_simulator import run_simulator, suite_criterion

CASES = ROOT / "tests" / "stochastic_suite"
SLOW = {"00007"}  # more than 100,000 states; all cases are in the benchmarks


@pytest.mark.parametrize("name", [f"{n:05}" for n in range(1, 40, 2) if f"{n:05}" not in SLOW])
def test_cases_agree_with_proof(name):
    row = run_case(CASES / name)
    assert row.verdict == AGREES, str(row)
    assert all(column.interval.certified for column in row.columns)
    assert row.worst.gap <= 1.0
    assert row.error.certified


@pytest.mark.parametrize("level", ["l2v4", "l3v1", "l3v2"])
def test_all_levels_say_the_same(level):
    """Assignment rules (00019) and events (00029)."""
    report = run_suite(CASES, level=level, only=("00019", "00029"))
    assert report.exit_status == 0
    assert [len(row.columns) for row in report.rows] == [4, 2]


def test_what_is_no_cme_is_listed_with_the_reason():
    report = run_suite(CASES, only=("00040",))
    assert [row.verdict for row in report.rows] == [NO_CME]
    assert "changes it continuously" in str(report)
    assert report.exit_status == 2  # nothing agrees


@pytest.fixture
def changed(tmp_path):
    """Return a function that copies a case with one number of its table changed."""

    def copy(name, column, factor, row=20):
        folder = tmp_path / name
        shutil.copytree(CASES / name, folder)
        file = folder / f"{name}-results.csv"
        lines = [line.split(",") for line in file.read_text().splitlines()]
        k = lines[0].index(column)
        lines[row][k] = repr(float(lines[row][k]) * factor)
        file.write_text("\n".join(map(",".join, lines)))
        return folder

    return copy


@pytest.mark.parametrize(("column", "factor"), [("X-mean", 1 + 3e-6), ("X-sd", 1 - 1e-5)])
def test_a_table_that_is_wrong_differs(changed, column, factor):
    """By little more than is allowed; the place is said."""
    row = run_case(changed("00021", column, factor))
    assert row.verdict == DIFFERS
    (wrong,) = [one for one in row.columns if one.verdict == DIFFERS]
    assert f"{wrong.variable}-{wrong.statistic}" == column
    assert wrong.t == 19.0
    assert run_suite(changed("00027", "X-mean", 1.1).parent, only=("00027",)).exit_status == 1


def test_what_no_interval_decides_is_open(monkeypatch):
    """An interval that reaches beyond what is allowed proves nothing."""
    monkeypatch.setattr("fsp.verification.suite.TOLERANCES", (1e-7,))
    report = run_suite(CASES, only=("00031",))
    assert [row.verdict for row in report.rows] == [OPEN]
    assert "not decided: 00031: P-sd" in str(report)
    assert report.exit_status == 2


def test_deviations_of_formulas_are_those_of_the_species():
    """The variable y = 2 X of case 00019 has twice the deviation of X, and both have intervals."""
    case = read_case(CASES / "00019")
    row = run_case(CASES / "00019")
    found = {(column.variable, column.statistic): column.interval for column in row.columns}
    assert case.variables == ("X", "y")
    assert found["y", "sd"].width < 1e-6
    np.testing.assert_allclose(case.table["y", "sd"], 2 * case.table["X", "sd"], atol=2e-5)


def test_concentrations_are_amounts_over_the_size(changed):
    """The same case, its variable read as a concentration in a compartment of size 1."""
    folder = changed("00027", "X-mean", 1.0)
    settings = folder / "00027-settings.txt"
    settings.write_text(
        settings.read_text().replace("amount: X", "amount:").replace("concentration:", "concentration: X")
    )
    model = folder / "00027-sbml-l3v2.xml"
    text = model.read_text()
    sized = text.replace('<compartment id="Cell"', '<compartment id="Cell" size="2"')
    model.write_text(sized)
    row = run_case(folder)
    assert row.verdict == DIFFERS
    assert row.columns[0].expected == pytest.approx(2 * row.columns[0].interval.value, rel=1e-5)


@pytest.fixture
def case(tmp_path):
    """Return a function that writes a case of 10 X that decay, and Y = 20 - 2 X by a rule, in a volume of 4."""

    def written(amounts, concentrations, only, size="4"):
        folder = tmp_path / "00099"
        folder.mkdir(exist_ok=True)
        decay = reaction("r", ["X"], [], apply("times", "k", "X" if only == "true" else apply("times", "X", "cell")))
        y = apply("minus", "20" if only == "true" else apply("divide", "20", "cell"), apply("times", "2", "X"))
        text = sbml(
            Compartments=[compartment(size=size)],
            Species=[species("X", 10, only=only), species("Y", only=only)],
            Parameters=[parameter("k", 0.5)],
            Rules=[rule("assignmentRule", "Y", y)],
            Reactions=[decay],
        )
        (folder / "00099-sbml-l3v2.xml").write_text(text)
        (folder / "00099-settings.txt").write_text(
            f"start: 0\nduration: 4\nsteps: 2\namount: {amounts}\nconcentration: {concentrations}\n"
        )
        t = np.array([0.0, 2.0, 4.0])
        left = np.exp(-0.5 * t)  # of each X, independent of the others
        sizes = [4.0 if name in concentrations else 1.0 for name in ("X", "Y")]
        deviation = np.sqrt(10 * left * (1 - left))
        table = [t, 10 * left / sizes[0], deviation / sizes[0], (20 - 20 * left) / sizes[1], 2 * deviation / sizes[1]]
        lines = ["time,X-mean,X-sd,Y-mean,Y-sd", *(",".join(map(repr, row)) for row in np.transpose(table).tolist())]
        (folder / "00099-results.csv").write_text("\n".join(lines))
        return folder

    return written


@pytest.mark.parametrize("only", ["true", "false"])
@pytest.mark.parametrize(("amounts", "concentrations"), [("X, Y", ""), ("", "X, Y"), ("X", "Y"), ("Y", "X")])
def test_a_species_of_a_rule_is_what_its_symbol_is(case, amounts, concentrations, only):
    """Its formula has the value of a concentration where the file has one; others are counts."""
    row = run_case(case(amounts, concentrations, only))
    assert row.verdict == AGREES, str([str(column) for column in row.columns])


def test_concentrations_need_a_size(case):
    assert run_case(case("X, Y", "", "true", size=None)).verdict == AGREES
    row = run_case(case("X", "Y", "true", size=None))
    assert row.verdict == FAILED
    assert "Compartment 'cell' must have a size, because case 00099 has a concentration" in row.reason


@pytest.mark.parametrize("variable", ["K", "J"])
def test_parameters_that_events_change_are_refused(tmp_path, variable):
    """The table is right: what differed was the value at the start, which was taken for that of all times."""
    folder = tmp_path / "00099"
    folder.mkdir()
    text = sbml(
        Compartments=[compartment()],
        Species=[species("X", 10, only="true")],
        Parameters=[parameter("K", 2, "false"), parameter("J", 1, "false")],
        Rules=[rule("assignmentRule", "J", apply("times", "K", "2"))],
        Reactions=[reaction("r", ["X"], [], "X")],
        Events=[event(apply("geq", TIME, 1), {"K": 4})],
    )
    (folder / "00099-sbml-l3v2.xml").write_text(text)
    (folder / "00099-settings.txt").write_text(f"start: 0\nduration: 2\nsteps: 1\namount: {variable}\nconcentration:\n")
    size = {"K": 1, "J": 2}[variable]
    (folder / "00099-results.csv").write_text(f"time,{variable}-mean,{variable}-sd\n0,{2 * size},0\n2,{4 * size},0\n")
    row = run_case(folder)
    assert row.verdict == FAILED
    assert f"Variable '{variable}' of case 00099 must not depend on parameters that events change" in row.reason


@pytest.mark.parametrize("line", ["steps: 0", "steps: -2", "duration: 0", "duration: inf", "start: nan", "steps: 2.5"])
def test_settings_without_times_are_refused(case, line):
    folder = case("X, Y", "", "true")
    file = folder / "00099-settings.txt"
    key = line.partition(":")[0]
    file.write_text("\n".join(line if row.startswith(key) else row for row in file.read_text().splitlines()))
    row = run_case(folder)
    assert row.verdict == FAILED
    assert "must give start, duration and steps in its settings, but not so" in row.reason


def test_cases_are_chosen_by_their_names_too(case):
    folder = case("X, Y", "", "true")
    for file in folder.iterdir():
        file.rename(folder / file.name.replace("00099", "9"))
    folder.rename(folder.parent / "9")
    assert [row.verdict for row in run_suite(folder.parent, only=("9",)).rows] == [AGREES]
    with pytest.raises(ArgumentError, match=r"`--case` must be in .*, but 00009 is not"):
        run_suite(folder.parent, only=("00009",))


def full(file, content):
    raise OSError("No space left on device")


def test_the_command_writes_files_and_says_how_it_went(tmp_path, monkeypatch):
    run = CliRunner().invoke(
        main, ["suite", str(CASES), "--case", "00027", "--case", "00040", "--out", str(tmp_path / "a.json"),
               "--out", str(tmp_path / "a.csv"), "--quiet"]
    )  # fmt: skip
    assert run.exit_code == 0, run.output
    assert "2 cases in" in run.output
    record = json.loads((tmp_path / "a.json").read_text())
    assert [case["verdict"] for case in record["cases"]] == [AGREES, NO_CME]
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert len(lines) == 4  # two columns and a case without
    assert is_marked(tmp_path / "a.json")
    assert is_marked(tmp_path / "a.csv")
    (tmp_path / "mine.csv").write_text("mine")
    refused = CliRunner().invoke(main, ["suite", str(CASES), "--out", str(tmp_path / "mine.csv")])
    assert refused.exit_code == 2
    assert "one that fsp wrote" in refused.output
    monkeypatch.setattr(files, "put", full)  # 1 is a verdict, and none was reached
    assert CliRunner().invoke(main, ["suite", str(CASES), "--out", str(tmp_path / "a.csv")]).exit_code == 2
    assert CliRunner().invoke(main, ["suite", str(tmp_path)]).exit_code == 2
    assert CliRunner().invoke(main, ["suite", str(CASES), "--case", "99999"]).exit_code == 2
    assert CliRunner().invoke(main, ["suite", str(CASES), "--out", str(tmp_path / "a.txt")]).exit_code == 2


def test_broken_cases_are_refused_by_name(tmp_path, changed):
    """Settings, tables and model files that are missing or wrong."""
    assert len(find_cases(CASES)) == 21
    assert find_cases(CASES / "00001") == [CASES / "00001"]
    with pytest.raises(fsp.ArgumentError, match="of l1v2, but has l3v2"):
        read_case(CASES / "00001", "l1v2")
    folder = changed("00027", "X-mean", 1.0)
    (folder / "00027-results.csv").write_text("time,X-mean\n0,1\n")
    assert "a row for each of 51 times" in run_case(folder).reason
    (folder / "00027-settings.txt").write_text("start: 0\n")
    assert "start, duration and steps" in run_case(folder).reason


# ---- simulators


class Direct:
    name = "direct"

    def __init__(self, change=lambda x: x):
        self.change = change

    def sample(self, model, times, runs, seed):
        return self.change(fsp.ssa(fsp.load(model), times, runs, seed=seed))


def test_an_exact_simulator_passes_where_the_suites_criterion_need_not():
    report = run_simulator(CASES, Direct(), 500, only=("00003", "00019", "00027", "00031", "00040"))
    found = {row.name: row for row in report.rows}
    assert report.exit_status == 0
    assert found.pop("00040").verdict == NO_CME
    assert all(row.verdict == "pass" and row.outside[2] in (51, 102) for row in found.values())
    for row in found.values():  # chances of Z beyond 3 are small, and those of Y where counts are nearly normal
        assert row.outside[0] <= 2
    assert json.loads(to_json(report.record()))["cases"][0]["case"] == "00003"
    assert report.to_csv().count("\n") == 6


def test_a_wrong_simulator_fails_by_both_criteria():
    late = Direct(lambda x: np.concatenate([x[:, :1], x[:, :-1]], axis=1))
    report = run_simulator(CASES, late, 2000, only=("27",))
    assert report.exit_status == 1
    assert report.rows[0].suite_verdict == report.rows[0].verdict == "fail"
    assert "fail: 00027: what fits: states are written one output time before" in str(report)


def test_it_is_said_where_nothing_fits():
    half = Direct(lambda x: np.where(np.arange(len(x))[:, None, None] % 2, x, (x + x[:, :1]) // 2))
    report = run_simulator(CASES, half, 300, only=("00027",))
    assert "fail: 00027: nothing that was tried fits" in str(report)


def test_what_a_simulator_cannot_do_is_told():
    def broken(x):
        raise fsp.BackendError("direct must run, but does not.")

    report = run_simulator(CASES, Direct(broken), 10, only=("00027",))
    assert report.exit_status == 2
    assert "failed: 00027: direct must run" in str(report)


def test_the_suites_statistics_are_those_of_its_definition():
    model = fsp.load(CASES / "00027" / "00027-sbml-l3v2.xml")
    case = read_case(CASES / "00027")
    n, table = 50, case.table
    runs = np.stack([np.full((len(case.times), 1), x) for x in range(n)])
    z, y, of = suite_criterion(case, model, runs)
    mu, sigma = table["X", "mean"], table["X", "sd"]
    for count, limit, statistic in (
        (z, 3, lambda k: np.sqrt(n) * (runs[:, k].mean() - mu[k]) / sigma[k]),
        (y, 5, lambda k: np.sqrt(n / 2) * (np.square(runs[:, k] - mu[k]).mean() / sigma[k] ** 2 - 1)),
    ):
        assert count == 1 + sum(abs(statistic(k)) >= limit for k in range(1, of))  # at t = 0 the table has no spread


def test_the_command_tests_a_program():
    asked = ["suite", str(CASES), "--case", "00027", "--simulator", "fsp", "--runs", "200", "--quiet"]
    found = CliRunner().invoke(main, asked)
    assert found.exit_code == 0, found.output
    assert "00027  ImmigrationDeath08" in found.output
    both = CliRunner().invoke(main, [*asked, "--command", "x {model} {seed} {out}"])
    assert both.exit_code == 2
