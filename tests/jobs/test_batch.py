"""Batches: what a manifest stands for, one file for each job, and what is done again when it is resumed."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner
from launcher import ROOT
from scipy import stats

import fsp
from fsp.command.main import main
from fsp.jobs import batch
from fsp.jobs.batch import BEGUN, SUMMARY, prepare, solve_batch
from fsp.jobs.manifest import KEYS, read_manifest
from fsp.output.locks import locked
from fsp.output.storage import read_head

MODEL = """
model {name}
  make: -> X; k
  lose: X -> ; g*X
  k = 10; g = 1
  X = 0
  substanceOnly species X
end
"""
JOBS = """
tol = 1e-7
[[jobs]]
model = "first.ant"
times = [0.5, 1]
sweep = { k = [5, 8], X = [0, 2] }
[[jobs]]
name = "other"
model = ["first.ant", "second.ant"]
times = "1:2:2"
tol = [1e-5, 1e-8]
set = { g = 2 }
"""
NAMES = [
    *(f"first-k={k}-X={n}" for k in (5, 8) for n in (0, 2)),
    *(f"other-{model}-tol={tol}" for model in ("first", "second") for tol in ("1e-05", "1e-08")),
]


@pytest.fixture
def folder(tmp_path):
    for name in ("first", "second"):
        (tmp_path / f"{name}.ant").write_text(MODEL.format(name=name))
    return tmp_path


def written(folder, text):
    path = folder / "manifest.toml"
    path.write_text(text)
    return path


def statuses(found):
    return {row.job.name: row.status for row in found.rows}


def run(*words):
    """Run the command in this process alone, where tests can change what it does."""
    own = ["--processes", "1"] if words[0] == "batch" else []
    return CliRunner().invoke(main, [str(word) for word in (*words, *own)])


# ---- what a manifest stands for


def test_all_combinations_in_order(folder):
    jobs = read_manifest(written(folder, JOBS))
    assert [job.name for job in jobs] == NAMES
    assert [dict(job.values) for job in jobs[:4]] == [{"k": k, "X": n} for k in (5, 8) for n in (0, 2)]
    assert {job.times for job in jobs[4:]} == {(1.0, 2.0)}
    assert [job.tol for job in jobs] == [1e-7] * 4 + [1e-5, 1e-8] * 2
    assert {job.model for job in jobs[:6]} == {folder / "first.ant"}


def test_pairs_and_lists_of_times(folder):
    text = (
        '[[jobs]]\nmodel = "a/b.ant"\ntimes = [[1, 2], "0:4:2"]\npairs = true\nset = { r.k = 3 }\n'
        'sweep = { "r.g" = "1:2:3", X = [3, 4, 5] }\n'
    )
    jobs = read_manifest(written(folder, text))
    assert [job.times for job in jobs] == [(1.0, 2.0)] * 3 + [(0.0, 4.0)] * 3
    assert [job.name for job in jobs[:3]] == ["b-r.g=1-X=3-t=2", "b-r.g=1.5-X=4-t=2", "b-r.g=2-X=5-t=2"]
    assert dict(jobs[0].values) == {"r.k": 3.0, "r.g": 1.0, "X": 3.0}


def test_names_do_not_change_when_a_manifest_grows(folder):
    short = read_manifest(written(folder, JOBS.replace("k = [5, 8]", "k = [8]")))
    assert {job.name for job in short} < set(NAMES)


def test_names_tell_numbers_apart(folder):
    text = '[[jobs]]\nmodel = "first.ant"\ntimes = 1\nsweep.k = [0.1, 0.1000000000000001]\n'
    one, two = read_manifest(written(folder, text))
    assert one.name != two.name


def test_the_example_is_read():
    jobs = read_manifest(ROOT / "examples" / "batch.toml")
    assert len({job.file for job in jobs}) == len(jobs) == 8
    assert jobs[-1].options == {"solver": "krylov", "max_memory": 2**30}


ONE = '[[jobs]]\nmodel = "first.ant"\ntimes = 1\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tol = [", r"MANIFEST.*must be a TOML file.*manifest\.toml"),
        ("tol = 1", r"`jobs` must be a list of tables, but is None.*\[\[jobs\]\]"),
        ("jobs = 3", r"`jobs` must be a list of tables, but is 3"),
        (ONE + "tolerance = 1", r"`job 1: tolerance` must be one of model"),
        (ONE + "time = 1", r"`job 1: time`.*perhaps times is meant"),
        ("toll = 1\n" + ONE, r"`toll`.*perhaps tol is meant"),
        (ONE + "tol = 'x'", r"`job 1: tol` must be a number.*but is 'x'"),
        (ONE + "tol = true", r"`job 1: tol` must be a number.*but is True"),
        (ONE + "tol = -1", r"At `job 1: tol`.*-1"),
        ("[[jobs]]\nmodel = 'a.ant'\n", r"`job 1: times` must be times such as .*but is missing"),
        ("[[jobs]]\ntimes = 1\n", r"`job 1: model` must be the path.*but is missing"),
        ("[[jobs]]\nmodel = []\ntimes = 1\n", r"`job 1: model` must be the path.*but is \[\]"),
        ("[[jobs]]\nmodel = 'a.ant'\ntimes = [2, 1]\n", r"At `job 1: times`.*increase"),
        ("[[jobs]]\nmodel = 'a.ant'\ntimes = '1:2'\n", r"`job 1: times` must be like 0:30:31.*'1:2'"),
        (ONE + "solver = 'euler'", r"`job 1: solver` must be one of auto.*krylov.*but is 'euler'"),
        (ONE + "backend = 'gpu'", r"`job 1: backend` must be one of serial, petsc, but is 'gpu'"),
        (ONE + "max_states = 0", r"`job 1: max_states` must be a positive whole number, but is 0"),
        (ONE + "max_memory = 'much'", r"`job 1: max_memory` must be a size.*'much'"),
        (ONE + "pairs = 1", r"`job 1: pairs` must be true or false, but is 1"),
        (ONE + "set = 1", r"`job 1: set` must be a table.*but is 1"),
        (ONE + "set.k = 'x'", r"`job 1: set\.k` must be a number, but is 'x'"),
        (ONE + "sweep.k = []", r"`job 1: sweep\.k` must be values.*but is \[\]"),
        (ONE + "sweep = {k = [1, 2], g = [1]}\npairs = true", r"At `job 1: sweep`.*equally many.*2 of 'k', 1 of 'g'"),
        (ONE + "set.k = 1\nsweep.k = [2]", r"`job 1: set\.k` must be left out where it is swept"),
        (ONE + "name = 'a/b'", r"`job 1: name` must be made of letters.*but is 'a/b'"),
        (ONE + "name = '.begun'", r"`job 1: name` must be"),
        (ONE + ONE + "set.k = 2", r"must be different, but 'first' stands for two.*`name`"),
        (ONE + "set.kk = 2", r"`set` and `sweep` must be of .*k, g, X for '.*first\.ant', but are of 'kk'"),
    ],
)
def test_bad_manifests_are_refused_before_anything_is_solved(folder, monkeypatch, text, words):
    monkeypatch.setattr(fsp, "transient", lambda *a, **k: pytest.fail("solved first"))
    with pytest.raises(fsp.ArgumentError, match=words):
        solve_batch(written(folder, text), folder / "out")
    assert run("batch", folder / "manifest.toml", "--out", folder / "out").exit_code == 2


def test_every_key_is_documented():
    text = (ROOT / "docs" / "command_line.md").read_text()
    section = text.split("## fsp batch")[1].split("\n## ")[0]
    assert [key for key in KEYS if f"`{key}`" not in section] == []


# ---- files


def test_a_file_holds_what_transient_gives(folder):
    lines = []
    found = solve_batch(written(folder, JOBS), folder / "out", tell=lines.append)
    assert set(statuses(found).values()) == {"solved"}
    assert len(lines) == len(NAMES)
    for row in found.rows:
        solution = fsp.read(folder / "out" / row.job.file)
        model = fsp.load(row.job.model).with_values(row.job.values)
        expected = fsp.transient(model, row.job.times, row.job.tol)
        assert solution.model_hash == model.hash
        for one, other in zip(solution, expected, strict=True):
            assert np.array_equal(one.states, other.states)
            assert np.array_equal(one.probabilities, other.probabilities)
            assert one.error == other.error
        head = read_head(folder / "out" / row.job.file)
        assert (head.n_states, head.error, head.n_matvec) == (row.n_states, solution.error, solution.n_matvec)


def test_the_error_is_below_the_bound(folder):
    found = solve_batch(written(folder, JOBS), folder / "out")
    row = next(row for row in found.rows if row.job.name == "first-k=8-X=0")
    last = fsp.read(folder / "out" / row.job.file)[-1]
    exact = stats.poisson.pmf(last.states[:, 0], 8 * (1 - np.exp(-1.0)))
    assert np.abs(exact - last.probabilities).sum() + 1 - exact.sum() <= row.error.total + 1e-14 <= row.job.tol


def test_the_summary(folder):
    done = run("batch", written(folder, JOBS), "--out", folder / "out", "--quiet")
    assert done.exit_code == 0, done.output
    assert "8 jobs: 8 solved" in done.output
    with (folder / "out" / SUMMARY).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["job"] for row in rows] == NAMES
    assert {row["status"] for row in rows} == {"solved"}
    assert all(float(row["error"]) <= float(row["tol"]) and row["certified"] == "True" for row in rows)
    assert [row["set.k"] for row in rows] == ["5.0"] * 2 + ["8.0"] * 2 + [""] * 4
    for row in rows:
        last = fsp.read(folder / "out" / row["file"])[-1]
        moments = {f"mean.{name}": value for name, value in last.mean().items()}
        moments |= {f"std.{name}": value for name, value in last.std().items()}
        assert {name: float(row[name]) for name in moments} == moments
    kept = run("batch", folder / "manifest.toml", "--out", folder / "out", "--quiet", "--resume")
    assert "8 jobs: 8 kept" in kept.output
    with (folder / "out" / SUMMARY).open(newline="") as file:
        assert [float(row["mean.X"]) for row in csv.DictReader(file)] == [float(row["mean.X"]) for row in rows]
    assert sorted(path.name for path in (folder / "out").iterdir()) == sorted([SUMMARY, *(f"{n}.h5" for n in NAMES)])


def test_a_job_that_fails_does_not_end_the_others(folder, monkeypatch):
    text = JOBS + '[[jobs]]\nmodel = ["broken.ant", "missing.ant"]\ntimes = 1\nset = {}\n'
    text += '[[jobs]]\nname = "small"\nmodel = "first.ant"\ntimes = 3\nmax_states = 2\n'
    text += '[[jobs]]\nname = "half"\nmodel = "first.ant"\ntimes = 3\nset.X = 0.5\n'
    (folder / "broken.ant").write_text("X -> Y; k*Z*")
    original = fsp.transient

    def strange(model, times, tol, **options):
        if model.parameters["k"] == 5:
            raise ZeroDivisionError("by chance")
        return original(model, times, tol, **options)

    monkeypatch.setattr(fsp, "transient", strange)
    done = run("batch", written(folder, text), "--out", folder / "out")
    assert done.exit_code == 1
    assert "12 jobs: 6 solved, 6 failed" in done.output
    for name, reason in [
        ("first-k=5-X=0", "ZeroDivisionError: by chance"),
        ("broken", "broken.ant"),
        ("missing", "missing.ant"),
        ("small", "max_states"),
        ("half", "0.5"),
    ]:
        line = next(line for line in done.output.splitlines() if line.startswith(f"failed: {name}: "))
        assert reason in line
        assert not (folder / "out" / f"{name}.h5").exists()


def test_files_of_others_stay(folder):
    manifest, out = written(folder, ONE + ONE.replace("jobs]]", 'jobs]]\nname = "second"')), folder / "out"
    out.mkdir()
    (out / "first.h5").write_text("mine")
    done = run("batch", manifest, "--out", out)
    assert done.exit_code == 1
    assert "2 jobs: 1 solved, 1 failed" in done.output
    assert "failed: first: `--out` must be a new file, or one that fsp wrote" in done.output
    assert (out / "first.h5").read_text() == "mine"
    assert run("batch", manifest, "--out", out, "--overwrite").exit_code == 0
    assert run("batch", manifest, "--out", out).exit_code == 0  # what a batch wrote it replaces
    (out / SUMMARY).write_text("mine")
    assert run("batch", manifest, "--out", out).exit_code == 2
    assert (out / SUMMARY).read_text() == "mine"


def test_a_folder_that_cannot_be_made(folder):
    (folder / "out").write_text("")
    done = run("batch", written(folder, JOBS), "--out", folder / "out")
    assert done.exit_code == 2
    assert "`--out` must be a folder" in done.output


@pytest.mark.parametrize(("bound", "certified"), [(1e-3, True), (1e-9, False)])
def test_an_answer_above_its_tolerance_is_7(folder, monkeypatch, bound, certified):
    original = fsp.transient

    def solve(*arguments, **options):
        (one,) = original(*arguments, **options)
        error = fsp.ErrorLedger(truncation=bound, certified=certified)
        off = fsp.Distribution(one.states, 0.99 * one.probabilities, one.species, t=one.t, error=error)
        return fsp.Solution([off], tol=1e-6, solver="by hand")

    monkeypatch.setattr(fsp, "transient", solve)
    assert run("batch", written(folder, ONE), "--out", folder / "out").exit_code == 7


# ---- several at a time


def test_jobs_in_processes_give_the_same_files(folder):
    manifest, lines = written(folder, JOBS + '[[jobs]]\nmodel = "missing.ant"\ntimes = 1\nset = {}\n'), []
    alone = solve_batch(manifest, folder / "alone")
    found = solve_batch(manifest, folder / "out", processes=2, tell=lines.append)
    assert statuses(found) == statuses(alone) == dict.fromkeys(NAMES, "solved") | {"missing": "failed"}
    assert len(lines) == len(NAMES) + 1
    for row in alone.rows[:-1]:
        one, other = (fsp.read(where / row.job.file)[-1] for where in (folder / "alone", folder / "out"))
        assert one.error == other.error
        assert np.array_equal(one.probabilities, other.probabilities)


DYING = """
import os
from fsp.command.main import main
from fsp.jobs import batch

class Dying(batch._Jobs):
    def __call__(self, number, first):
        if self.plan.rows[number].job.name == "huge":
            os._exit(9)
        return super().__call__(number, first)

batch._Jobs = Dying
"""


def test_a_worker_that_dies_fails_its_job_alone(folder):
    dying = '[[jobs]]\nname = "huge"\nmodel = "first.ant"\ntimes = 1\nset.k = 1e9\n'
    (folder / "dying.py").write_text(DYING)
    start = [sys.executable, "-c", "import dying; dying.main()"]  # workers find the module by the path of this process
    words = [*start, "batch", written(folder, JOBS + dying), "--out", "out", "--processes", "2"]
    done = subprocess.run(list(map(str, words)), cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1, done.stderr
    assert f"{len(NAMES) + 1} jobs: {len(NAMES)} solved, 1 failed" in done.stdout
    assert "failed: huge: the process that solved it was killed" in done.stdout


TELLING = """
import os
from pathlib import Path
from fsp.command.main import main
from fsp.jobs import batch

class Telling(batch._Jobs):
    pass

def call(keeper, progress, original=batch.Keeper.__call__):
    Path(f"working-{os.getpid()}").touch()
    original(keeper, progress)

batch._Jobs, batch.Keeper.__call__ = Telling, call
"""


def test_a_signal_stops_all_processes_and_keeps_what_they_reached(folder):
    text = '[[jobs]]\nmodel = "first.ant"\ntimes = [0.1, 1e7]\nsweep.k = [1, 2, 3]\nsolver = "uniformization"\n'
    (folder / "telling.py").write_text(TELLING)
    start = [sys.executable, "-c", "import telling; telling.main()"]
    words = [*start, "batch", written(folder, text), "--out", "out", "--processes", "2"]
    process = subprocess.Popen(list(map(str, words)), cwd=folder, stdout=subprocess.PIPE, text=True)
    while len(list(folder.glob("working-*"))) < 2 and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "3 jobs: 2 stopped, 1 to come" in out
    assert [fsp.read(path).complete for path in (folder / "out").glob("*.h5")] == [False, False]


def test_two_batches_do_not_share_a_folder(folder):
    manifest = written(folder, ONE)
    with locked(folder / "out"):
        (folder / "out" / BEGUN).mkdir()
        (folder / "out" / BEGUN / "first").write_text("")  # claimed by the other one
        with pytest.raises(fsp.ArgumentError, match=rf"no other batch is at work.*process {os.getpid()} on"):
            solve_batch(manifest, folder / "out")
        assert (folder / "out" / BEGUN / "first").exists()
    assert statuses(solve_batch(manifest, folder / "out")) == {"first": "solved"}
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["first.h5", SUMMARY]


def test_a_model_that_cannot_be_read_does_not_end_the_others(folder, monkeypatch):
    original = fsp.load

    def load(path):
        if path.stem == "second":
            raise RecursionError("maximum recursion depth exceeded")
        return original(path)

    monkeypatch.setattr(fsp, "load", load)
    done = run("batch", written(folder, JOBS), "--out", folder / "out")
    assert done.exit_code == 1
    assert "8 jobs: 6 solved, 2 failed" in done.output
    assert "failed: other-second-tol=1e-05: RecursionError: maximum recursion depth" in done.output


# ---- resume


def test_what_is_complete_is_kept(folder):
    manifest = written(folder, JOBS)
    solve_batch(manifest, folder / "out")
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "out").glob("*.h5")}
    (folder / "out" / f"{NAMES[1]}.h5").unlink()
    damaged = folder / "out" / f"{NAMES[2]}.h5"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    lines = []
    found = solve_batch(manifest, folder / "out", resume=True, tell=lines.append)
    solved = [name for name, status in statuses(found).items() if status == "solved"]
    assert solved == NAMES[1:3]
    assert lines[0] == "6 of 8 jobs are kept"
    after = {path.name: path.stat().st_mtime_ns for path in (folder / "out").glob("*.h5")}
    assert [name for name in after if after[name] == before[name]] == [
        name for name in after if name.removesuffix(".h5") not in solved
    ]
    assert set(statuses(solve_batch(manifest, folder / "out")).values()) == {"solved"}


@pytest.mark.parametrize(
    ("old", "new", "again"),
    [
        ("tol = 1e-7", "tol = 1e-6", NAMES[:4]),
        ("times = [0.5, 1]", "times = [0.25, 1]", NAMES[:4]),
        ("g = 2", "g = 3", NAMES[4:]),
        ("solver = 'auto'", "solver = 'krylov'", []),
    ],
)
def test_what_is_of_another_computation_is_solved_anew(folder, old, new, again):
    text = "solver = 'auto'\n" + JOBS
    solve_batch(written(folder, text), folder / "out")
    found = solve_batch(written(folder, text.replace(old, new)), folder / "out", resume=True)
    assert [name for name, status in statuses(found).items() if status == "solved"] == again


def test_a_model_file_that_changed_is_solved_anew(folder):
    manifest = written(folder, ONE)
    solve_batch(manifest, folder / "out")
    (folder / "first.ant").write_text(MODEL.format(name="first").replace("k = 10", "k = 11"))
    assert statuses(solve_batch(manifest, folder / "out", resume=True)) == {"first": "solved"}


def test_a_signal_keeps_what_was_reached(folder, monkeypatch):
    """The job in which it comes is saved as far as it got, and is gone on with."""
    text = '[[jobs]]\nmodel = "first.ant"\ntimes = [0.1, 0.2, 4]\nsweep.k = [1, 2, 3]\nsolver = "uniformization"\n'
    manifest, seen = written(folder, text), []
    original = batch.Keeper.__call__

    def interrupt(keeper, progress):
        seen.append(progress)
        if progress.t and progress.t > 0.2 and len(list((folder / "out").glob("*.h5"))) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        original(keeper, progress)

    monkeypatch.setattr(batch.Keeper, "__call__", interrupt)
    done = run("batch", manifest, "--out", folder / "out")
    monkeypatch.undo()
    assert done.exit_code == 128 + signal.SIGTERM, done.output
    assert "3 jobs: 1 solved, 1 stopped, 1 to come" in done.output
    partial = fsp.read(folder / "out" / "first-k=2.h5")
    assert not partial.complete
    assert run("batch", manifest, "--out", folder / "out", "--resume").exit_code == 0
    whole = fsp.read(folder / "out" / "first-k=2.h5")
    assert whole.complete
    assert np.array_equal(whole[0].probabilities, partial[0].probabilities)
    assert whole.n_matvec > partial.n_matvec > 0


def test_a_job_that_killed_its_process_comes_last(folder, monkeypatch):
    manifest = written(folder, JOBS)

    class StoppedChain(BaseException):
        pass

    def die(model, *arguments, **options):
        raise StoppedChain

    monkeypatch.setattr(fsp, "transient", die)
    with pytest.raises(StoppedChain):
        solve_batch(manifest, folder / "out")
    monkeypatch.undo()
    assert [path.name for path in (folder / "out" / BEGUN).iterdir()] == NAMES[:1]
    lines = []
    found = solve_batch(manifest, folder / "out", resume=True, tell=lines.append)
    assert [line.split(":")[0] for line in lines] == [*NAMES[1:], NAMES[0]]
    assert [row.job.name for row in found.rows] == NAMES


def test_no_job_is_claimed_twice(folder):
    plan = prepare(written(folder, JOBS), folder / "out", resume=False)
    groups = [plan.claims() for _ in range(3)]
    taken = [next(group, None) for _ in range(4) for group in groups]
    assert [number for number in taken if number is not None] == list(range(len(NAMES)))
