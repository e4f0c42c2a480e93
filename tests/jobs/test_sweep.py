"""Sweeps: every point is the single run, whoever solves it; labels, files, failures, stops."""

from __future__ import annotations

import itertools
import subprocess
import sys

import h5py
import numpy as np
import pytest
from scipy import stats
from written_networks import network

import fsp
from fsp.distribution import Sweep
from fsp.errors import ArgumentError
from fsp.jobs.sweep import _snake
from fsp.jobs.workers import chains
from fsp.projection.start import worth_keeping

TIMES = [0.5, 1.0]
TOL = 1e-6
VALUES = {"k": [5.0, 6.0, 7.0], "X": [0, 3]}


@pytest.fixture(scope="module")
def model():
    return network(
        {"X": 0, "Y": 0},
        ("0 -> X", "rate", "k"),
        ("X -> Y", "rate", "g*X"),
        ("Y -> 0", "rate", "2*Y"),
        parameters={"k": 5.0, "g": 1.0},
    )


@pytest.fixture(scope="module")
def swept(model):
    return fsp.sweep(model, VALUES, TIMES, TOL, processes=1)


def close(one, other):
    assert one.times.tolist() == other.times.tolist()
    for a, b in zip(one, other, strict=True):
        assert a.distance(b) <= a.error.total + b.error.total + 1e-14
    return True


def identical(one, other):
    """Tell whether two sweeps have the same states, digits and bounds."""
    pairs = [(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True)]
    return all(
        np.array_equal(a.states, b.states) and np.array_equal(a.probabilities, b.probabilities) and a.error == b.error
        for a, b in pairs
    )


# ---- points


def test_every_point_is_the_single_run(model, swept):
    assert len(swept) == 6
    for i, (k, x) in enumerate(itertools.product(VALUES["k"], VALUES["X"])):
        single = fsp.transient(model.with_parameters(k=k).with_initial(X=x), TIMES, TOL)
        assert swept[i].model_hash == single.model_hash
        assert close(swept[i], single)
        assert swept[i].error.total <= TOL
        assert swept[i].error.certified
        assert swept.at(k=k, X=x) is swept[i]
    assert swept.error.total == max(one.error.total for one in swept)


def test_neighbours_share_their_states(model):
    many = fsp.sweep(model, {"k": np.linspace(5, 6, 6)}, [2.0], TOL, processes=1)
    growths = [one.statistics["growths"] for one in many]
    assert growths[0] >= 5
    assert max(growths[1:]) <= 2


def test_what_is_worth_keeping_held_probability(swept):
    kept = worth_keeping(swept[0])
    for one in swept[0]:
        rows = {tuple(state) for state in kept.tolist()}
        left = [p for state, p in zip(one.states.tolist(), one.probabilities, strict=True) if tuple(state) not in rows]
        assert sum(left) <= 1e-4 * TOL
    assert len(kept) < len(swept[0][-1])


def test_a_hint_that_breaks_a_conservation_law_is_left_aside():
    closed = network(
        {"A": 3, "B": 0}, ("A -> B", "mass_action", "f"), ("B -> A", "mass_action", 1), parameters={"f": 2}
    )
    found = fsp.sweep(closed, {"A": [3, 5, 4]}, [1.0], TOL, processes=1)
    assert [len(one[-1]) for one in found] == [4, 6, 5]


def test_pairs_take_values_together(model):
    found = fsp.sweep(model, {"k": [1, 2], "g": [3, 4]}, [0.2], TOL, pairs=True, processes=1)
    assert found.points.tolist() == [[1, 3], [2, 4]]
    assert found.shape == (2,)
    with pytest.raises(fsp.ArgumentError, match="equally many to be paired, but there are 2 of 'k', 1 of 'g'"):
        fsp.sweep(model, {"k": [1, 2], "g": [3]}, [0.2], pairs=True)


@pytest.mark.parametrize("shape", [(1,), (5,), (3, 4), (2, 3, 4)])
def test_the_order_visits_every_point_and_steps_by_one(shape):
    order = _snake(shape)
    assert sorted(order) == list(range(int(np.prod(shape))))
    places = np.array(np.unravel_index(order, shape)).T
    assert (abs(np.diff(places, axis=0)).sum(axis=1) == 1).all()


@pytest.mark.parametrize(
    ("values", "options", "reason"),
    [
        ({"q": [1]}, {}, "must be of k, g, X, Y, but are of 'q'"),
        ({}, {}, "is empty"),
        ({"k": []}, {}, "must be a list of finite numbers"),
        ({"k": ["fast"]}, {}, "must be numbers"),
        ({"k": [1, np.nan]}, {}, "must be a list of finite numbers"),
        ({"k": [1]}, {"errors": "ignore"}, "must be one of raise, keep"),
        ({"k": [1]}, {"processes": 0}, "must be a whole number of 1 or more"),
    ],
)
def test_wrong_requests_are_refused(model, values, options, reason):
    with pytest.raises(fsp.ArgumentError, match=reason):
        fsp.sweep(model, values, TIMES, TOL, **options)


# ---- looking


def test_points_are_found_by_their_values(swept):
    assert swept.parameters["k"].tolist() == [5, 5, 6, 6, 7, 7]
    assert swept.parameters["X"].tolist() == [0, 3, 0, 3, 0, 3]
    assert swept.at({"k": 6.0}, X=3) is swept[3]
    assert swept[-1] is swept[5]
    assert swept[1:3] == [swept[1], swept[2]]
    with pytest.raises(fsp.ArgumentError, match="but 2 have k = 6"):
        swept.at(k=6)
    with pytest.raises(fsp.ArgumentError, match="but 0 have k = 9"):
        swept.at(k=9)
    with pytest.raises(fsp.ArgumentError, match="must be given by k, X, but is by 'g'"):
        swept.at(g=1)


def test_means_tables_and_text(swept):
    assert swept.mean()["X"].shape == (6, 2)
    assert swept.mean()["X"][2, 1] == swept[2].mean()["X"][1]
    assert swept.std()["Y"][4, 0] == swept[4].std()["Y"][0]
    lines = str(swept).splitlines()
    assert lines[0].split() == ["k", "X", "states", "X", "Y", "error"]
    assert lines[3].split()[:2] == ["6", "0"]
    assert lines[7].startswith("t = 1, 6 points, error ≤")


def test_labelled_arrays(swept, model):
    pytest.importorskip("xarray")
    frame, arrays = swept.to_pandas(), swept.to_xarray()
    assert frame.index.names == ["k", "X", "t"]
    assert len(frame) == 12
    assert arrays["mean"].dims == ("k", "X", "t", "species")
    for k, x in itertools.product(VALUES["k"], VALUES["X"]):
        mean = swept.at(k=k, X=x).mean()["Y"][1]
        assert float(arrays["mean"].sel(k=k, X=x, t=1.0, species="Y")) == mean
        assert frame.loc[(k, x, 1.0), "mean_Y"] == mean
    paired = fsp.sweep(model, {"k": [1, 2], "g": [3, 4]}, [0.2], TOL, pairs=True, processes=1).to_xarray()
    assert paired["error"].dims == ("point", "t")
    assert paired["g"].values.tolist() == [3, 4]


# ---- files


def test_one_file_holds_all_points(swept, tmp_path):
    swept.save(tmp_path / "sweep.h5")
    back = fsp.read(tmp_path / "sweep.h5")
    assert isinstance(back, Sweep)
    assert (back.names, back.shape, back.failures) == (swept.names, swept.shape, swept.failures)
    assert np.array_equal(back.points, swept.points)
    for one, other in zip(back, swept, strict=True):
        assert np.array_equal(one[-1].probabilities, other[-1].probabilities)
        assert one[-1].error == other[-1].error
    assert str(back) == str(swept)
    with h5py.File(tmp_path / "sweep.h5") as file:
        assert [name.decode() for name in file["names"][()]] == ["k", "X"]
        assert file["points/values"][3].tolist() == [6, 3]
        assert file["points/00003/times/00001"].attrs["t"] == 1.0
        assert file["points/00003"].attrs["tol"] == TOL


# ---- processes


def test_two_processes_give_what_one_gives(model, swept, tmp_path):
    seen = []
    found = fsp.sweep(model, VALUES, TIMES, TOL, processes=2, out=tmp_path / "sweep.h5", progress=seen.append)
    assert identical(found, swept)
    assert identical(fsp.read(tmp_path / "sweep.h5"), swept)
    assert max(moment.done for moment in seen) == 6
    assert {moment.total for moment in seen} == {6}


@pytest.mark.parametrize("n", [1, 2, 3, 5, 12, 100, 1000])
def test_chains_begin_with_points_of_the_first_one(n):
    first, *others = chains(range(n))
    assert first == [chain[0] for chain in others]
    assert [i for chain in others for i in chain] == list(range(n))
    assert max(map(len, others)) <= 16


def test_a_script_needs_no_guard(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import fsp\n"
        "model = fsp.Model(species={'X': 0}, parameters={'k': 3.0},\n"
        "                  reactions=[fsp.Reaction('0 -> X', rate='k'), fsp.Reaction('X -> 0', mass_action=1.0)])\n"
        "found = fsp.sweep(model, {'k': [1, 2, 3]}, [1.0], processes=2)\n"
        "print(len(found), found.complete)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["3", "True"], done.stderr


def test_a_model_that_cannot_be_sent_is_solved_here():
    rate = network({"X": 0}, ("0 -> X", "rate", "k"), ("X -> 0", "rate", lambda x: 1.0 * x["X"]), parameters={"k": 1.0})
    with pytest.raises(fsp.ArgumentError, match="must go through pickle"):
        fsp.sweep(rate, {"k": [1, 2]}, [1.0], processes=2)
    assert len(fsp.sweep(rate, {"k": [1, 2]}, [1.0])) == 2


# ---- failures and stops


@pytest.mark.parametrize("processes", [1, 2])
def test_a_failure_is_kept_or_raised_with_its_point(model, processes, tmp_path):
    values = {"k": [5.0, 900.0, 6.0]}
    found = fsp.sweep(model, values, [1.0], TOL, errors="keep", max_states=2000, processes=processes)
    assert list(found.failures) == [1]
    assert "max_states" in found.failures[1]
    assert found.complete
    assert found.solved == (0, 2)
    assert np.isnan(found.mean()["X"][1, 0])
    with pytest.raises(fsp.ArgumentError, match=r"k = 900 is not: .*max_states"):
        found[1]
    assert "failed: k = 900: " in str(found)
    found.save(tmp_path / "sweep.h5")
    assert fsp.read(tmp_path / "sweep.h5").failures == found.failures
    if processes == 1:
        with pytest.raises(fsp.StateSpaceError, match="At k = 900: "):
            fsp.sweep(model, values, [1.0], TOL, max_states=2000, processes=1)


def test_where_all_points_fail_the_last_error_is_raised(model):
    with pytest.raises(fsp.StateSpaceError, match="At k = 901: "):
        fsp.sweep(model, {"k": [900.0, 901.0]}, [1.0], TOL, errors="keep", max_states=2000, processes=1)


def test_a_worker_that_is_killed_costs_its_point_only(model):
    killed = []

    def kill_first(moment):
        import multiprocessing

        if moment.done < 6 and not killed:
            killed.extend(multiprocessing.active_children())
            for child in killed:
                child.kill()

    values = {"k": np.linspace(5, 6, 6)}
    found = fsp.sweep(model, values, TIMES, TOL, processes=2, errors="keep", progress=kill_first)
    assert found.complete
    assert killed
    assert len(found.failures) <= 2
    assert all("was killed" in reason for reason in found.failures.values())


@pytest.mark.parametrize("processes", [1, 2])
def test_a_stopped_sweep_keeps_what_is_done_and_goes_on(model, swept, processes, tmp_path):
    def stop(moment):
        if moment.done >= 2:
            raise KeyboardInterrupt

    out = tmp_path / "sweep.h5"
    with pytest.raises(fsp.Interrupted, match="of 6 points") as stopped:
        fsp.sweep(model, VALUES, TIMES, TOL, processes=processes, out=out, progress=stop)
    partial = fsp.read(out)
    assert 2 <= len(partial.solved) < 6
    assert partial.solved == stopped.value.solution.solved
    assert not partial.complete
    assert "points to come" in str(partial)
    counted = []
    whole = fsp.sweep(model, VALUES, TIMES, TOL, processes=1, resume=partial, progress=counted.append)
    assert min(moment.done for moment in counted) >= 2
    assert whole.complete
    assert identical(whole, swept)
    with pytest.raises(fsp.ArgumentError, match="but `tol` differ"):
        fsp.sweep(model, VALUES, TIMES, 1e-5, resume=partial)
    with pytest.raises(fsp.ArgumentError, match="but the model differ"):
        fsp.sweep(model.with_parameters(g=2), VALUES, TIMES, TOL, resume=partial)
    with pytest.raises(fsp.ArgumentError, match="but the points and `times` differ"):
        fsp.sweep(model, {"k": [1.0]}, [3.0], TOL, resume=partial)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_sweep_goes_on_to_later_times(model, swept, processes, tmp_path):
    later = [*TIMES, 2.0]
    whole = fsp.sweep(model, VALUES, later, TOL, resume=swept, processes=processes)
    assert whole.times.tolist() == later
    assert whole.error.total <= TOL
    assert all(close(x, y) for x, y in zip(whole, fsp.sweep(model, VALUES, later, TOL, processes=1), strict=True))
    for longer, shorter in zip(whole, swept, strict=True):
        assert longer.n_matvec > shorter.n_matvec
        for i in range(len(TIMES)):
            assert np.array_equal(longer[i].probabilities, shorter[i].probabilities)

    def stop(moment):
        if moment.done >= 2:
            raise KeyboardInterrupt

    out = tmp_path / "sweep.h5"
    with pytest.raises(fsp.Interrupted):
        fsp.sweep(model, VALUES, later, TOL, resume=swept, processes=processes, out=out, progress=stop)
    partial = fsp.read(out)
    assert set(partial.begun) == set(partial.pending)
    assert all(solution.pending == (2.0,) for solution in partial.begun.values())
    assert partial.mean()["X"].shape == (6, 3)
    again = fsp.sweep(model, VALUES, [*later, 3.0], TOL, resume=partial, processes=1)
    assert again.complete
    assert again.times.tolist() == [*later, 3.0]
    for longer, shorter in zip(again, swept, strict=True):
        assert np.array_equal(longer[0].probabilities, shorter[0].probabilities)
    with pytest.raises(fsp.ArgumentError, match="but `times` differ; after its times others may follow"):
        fsp.sweep(model, VALUES, [0.5, 2.0], TOL, resume=swept)


def test_what_fails_at_later_times_keeps_the_earlier_ones(tmp_path):
    grows = fsp.Model(
        species={"X": 0},
        parameters={"k": 1.0},
        reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action=0.01)],
    )
    begun = fsp.sweep(grows, {"k": [1.0, 90.0]}, [0.1], TOL, processes=1)
    limits = {"max_states": 100, "errors": "keep", "processes": 1}
    begun = fsp.sweep(grows, {"k": [1.0, 90.0]}, [0.1, 5.0], TOL, resume=begun, out=tmp_path / "s.h5", **limits)
    assert list(begun.failures) == list(begun.begun) == [1]
    back = fsp.read(tmp_path / "s.h5")
    assert list(back.failures) == list(back.begun) == [1]
    again = fsp.sweep(grows, {"k": [1.0, 90.0]}, [0.1, 5.0], TOL, resume=back, processes=1)
    assert again.complete
    assert again[1].times.tolist() == [0.1, 5.0]
    assert np.array_equal(again[1][0].probabilities, back.begun[1][0].probabilities)


def test_without_times_the_stationary_distributions_are_found(tmp_path):
    model = fsp.Model(
        species={"X": 0},
        parameters={"k": 1.0},
        reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action=1.0)],
    )
    swept = fsp.sweep(model, {"k": [2.0, 5.0]}, tol=1e-8, processes=1)
    for k, (one,) in zip((2.0, 5.0), swept, strict=True):
        assert one.t is None
        found = one.probability("X > 3")
        assert found.lower <= stats.poisson.sf(3, k) <= found.upper
        assert found.certified
    assert "stationary, 2 points" in str(swept)
    assert "stationary" in str(swept[0])
    swept.save(tmp_path / "pi.h5")
    again = fsp.read(tmp_path / "pi.h5")
    assert np.array_equal(again[1][0].probabilities, swept[1][0].probabilities)
    assert again[0].times.shape == (1,)
    partial = type(swept)(swept.names, swept.points, [swept[0], None], shape=swept.shape)
    resumed = fsp.sweep(model, {"k": [2.0, 5.0]}, tol=1e-8, processes=1, resume=partial)
    assert resumed[0] is swept[0]
    assert resumed[1][0].mean() == swept[1][0].mean()
    with pytest.raises(fsp.ArgumentError, match="`times` differ"):
        fsp.sweep(model, {"k": [2.0, 5.0]}, [1.0], tol=1e-8, processes=1, resume=partial)
    with pytest.raises(fsp.ArgumentError, match=r"without `times` must be of method, lyapunov.* 'solver'"):
        fsp.sweep(model, {"k": [2.0]}, solver="krylov")
    with pytest.raises(fsp.ArgumentError, match=r"must be of solver.* 'lyapunov'"):
        fsp.sweep(model, {"k": [2.0]}, [1.0], lyapunov="X")


@pytest.mark.parametrize("start", ["solution", "stationary"])
def test_a_sweep_starts_where_its_points_are_told_to(start, tmp_path):
    model = fsp.Model(
        species={"X": 0},
        parameters={"k": 4.0},
        reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action=1.0)],
    )
    begin, times = ("stationary", [2.0, 3.0]) if start == "stationary" else (fsp.transient(model, [1.0]), [2.0, 3.0])
    swept = fsp.sweep(model, {"k": [2.0, 6.0]}, times, start=begin, processes=1)
    for k, solution in zip((2.0, 6.0), swept, strict=True):
        alone = fsp.transient(model.with_parameters(k=k), times, start=begin)
        mean = 4.0 * (1.0 - np.exp(-1.0)) if start == "solution" else k  # at t = 1, or at rest
        for one, own in zip(solution, alone, strict=True):
            assert one.distance(own) <= one.error.total + own.error.total
            expected = k + (mean - k) * np.exp(1.0 - one.t) if start == "solution" else k
            interval = one.mean_interval()["X"]
            assert interval.lower <= expected + 1e-9
            assert interval.upper >= expected - 1e-9
    swept.save(tmp_path / "sweep.h5")
    back = fsp.read(tmp_path / "sweep.h5")
    again = fsp.sweep(model, {"k": [2.0, 6.0]}, times, start=begin, resume=back, processes=1)
    assert again[0].statistics == swept[0].statistics
    for other in (None, fsp.transient(model, [0.5])):
        with pytest.raises(ArgumentError, match="`start` differ"):
            fsp.sweep(model, {"k": [2.0, 6.0]}, times, start=other, resume=back)
    with pytest.raises(ArgumentError, match=r"`values` must be of parameters where there is a `start`, .* of 'X'"):
        fsp.sweep(model, {"X": [2, 6]}, times, start=begin)
    with pytest.raises(ArgumentError, match="'stationary', but is 'rest'"):
        fsp.sweep(model, {"k": [2.0, 6.0]}, times, start="rest")


def test_a_sweep_says_what_it_is_over():
    model = fsp.Model(
        species={"X": 2}, parameters={"g": 1.0}, reactions=[fsp.Reaction("X -> 0", mass_action="g")], name="decay"
    )
    swept = fsp.sweep(model, {"g": [1.0, 2.0, 3.0]}, [1.0])
    assert repr(swept) == f"<Sweep of decay over g: 3 points, {swept.error.summary}>"
    assert swept.error.summary.startswith("error ≤ ")


@pytest.mark.parametrize(
    ("values", "more", "words"),
    [
        ({"k": [1.0, 2.0, 1.0]}, {}, "Values of 'k' must differ, but 1.0"),
        ({"k": [1.0, 1.0], "g": [2.0, 2.0]}, {"pairs": True}, "Pairs of 'k, g' must differ"),
    ],
)
def test_points_that_are_there_twice_are_refused(model, values, more, words):
    with pytest.raises(ArgumentError, match=words):
        fsp.sweep(model, values, TIMES, TOL, **more)


def test_pairs_may_share_a_value(model):
    assert (
        len(list(fsp.sweep(model, {"k": [1.0, 1.0], "g": [1.0, 2.0]}, [0.5], 1e-3, pairs=True, processes=1).solved))
        == 2
    )
