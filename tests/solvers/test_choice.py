"""`auto` changes the solver by itself where one fails, stalls or rounds too much."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import pytest
from solver_cases import NAMES, bind, box, reachable
from written_networks import network

import fsp
from fsp.solvers import (
    SOLVERS,
    Advance,
    Chooser,
    chebyshev,
    choice,
    implicit,
    krylov,
    magnus,
    rational,
    squaring,
    uniformization,
)
from fsp.solvers.costs import Stretch

ISOMERS = network({"A": 1, "B": 0}, ("A -> B", "mass_action", 1.0), ("B -> A", "mass_action", 2.0))
STIFF = network(
    {"A": 0, "B": 6},
    ("2 B -> A + B", "mass_action", 3e5),
    ("2 A -> A + B", "mass_action", 2.5e-6),
    ("A + B -> 2 A", "mass_action", 0.08),
)


@pytest.mark.parametrize("t", [1e6, 1e11])
def test_auto_avoids_the_solver_whose_rounding_would_miss_the_tolerance(t):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        d = fsp.transient(ISOMERS, [t], 1e-9)[-1]
    assert abs(d.probability({"A": 1}).value - 2.0 / 3.0) <= d.error.total <= 1e-9


@pytest.mark.parametrize("tol", [1e-4, 1e-9])
def test_auto_takes_few_products_on_stiff_networks_of_few_states(tol):
    solution = fsp.transient(STIFF, [2000.0], tol)
    assert solution[-1].error.total <= tol
    assert solution.statistics["n_matvec"] < 5_000


def test_rounding_speaks_against_a_solver_with_less_work():
    generator = fsp.Generator(ISOMERS, fsp.StateSpace.reachable(ISOMERS))
    jumps = 100.0 * generator.largest_exit_rate
    rounds = 2.0**-53 * generator.roundings * jumps
    takes = [choice.Chooser("auto", 1e-9, SOLVERS, rounding=share * rounds, span=100.0) for share in (2.0, 0.5)]
    loose, sharp = (chooser.choose(generator, 100.0) for chooser in takes)
    assert isinstance(loose.solver, fsp.Uniformization)
    assert isinstance(sharp.solver, fsp.Squaring)
    assert "too much rounding: uniformization" in sharp.reason


def test_a_solver_that_fails_gives_way(monkeypatch):
    """Every solver but one finds no step: the answer is that of the one that is left."""
    failed = []

    def fail(self, p, t0, t1, **options):
        failed.append(type(self))
        raise fsp.ConvergenceError(f"no step at t = {t0:.6g}")

    for kind in (chebyshev._ChebyshevPropagator, krylov._KrylovPropagator, squaring._SquaringPropagator):
        monkeypatch.setattr(kind, "advance", fail)
    monkeypatch.setattr(rational._RationalPropagator, "advance", fail)
    monkeypatch.setattr(uniformization, "CALL_WORK", 1e12)  # the last that would be taken
    model = network({"A": 300}, ("A -> 0", "mass_action", 1.0), ("0 -> A", "mass_action", 10.0))
    space = fsp.StateSpace.box(model, upper={"A": 360})
    d = fsp.transient(model, [0.3], 1e-8, space=space)[-1]
    mean = 300.0 * math.exp(-0.3) + 10.0 * (1.0 - math.exp(-0.3))
    assert d.error.total <= 1e-8
    assert d.mean()["A"] == pytest.approx(mean, rel=1e-5)
    assert len(failed) == len(set(failed)) >= 3


def test_chebyshev_that_finds_no_step_is_no_error():
    model = network({"A": 300}, ("A -> 0", "mass_action", 1.0), ("0 -> A", "mass_action", 10.0))
    space = fsp.StateSpace.box(model, upper={"A": 360})
    assert fsp.transient(model, [1.0], 4e-11, space=space)[-1].error.total <= 4e-11


def test_where_all_fail_the_error_says_what_each_came_to(monkeypatch):
    def fail(self, p, t0, t1, **options):
        raise fsp.ConvergenceError("no step")

    monkeypatch.setattr(implicit._ImplicitPropagator, "advance", fail)
    monkeypatch.setattr(magnus._MagnusPropagator, "advance", fail)
    model = network({"A": 3}, ("A -> 0", "rate", "A*(1 + sin(time))"))
    with pytest.raises(fsp.ConvergenceError, match=r"implicit stopped at t = 0 .*; magnus stopped at t = 0 "):
        fsp.transient(model, [1.0])
    with pytest.raises(fsp.ConvergenceError, match=r"^no step$"):
        fsp.transient(model, [1.0], solver="magnus")


def test_a_solver_that_stalls_gives_way(monkeypatch):
    """Steps that do not get longer, as those of the rational solver near the end of a stiff decay."""
    advance = rational._RationalPropagator.advance
    taken = []

    def crawl(self, p, t0, t1, **options):
        step = advance(self, p, t0, min(t1, t0 + 1e-6), **options)
        taken.append(step.n_matvec)
        assert len(taken) < 100
        return replace(step, n_matvec=200)

    monkeypatch.setattr(rational._RationalPropagator, "advance", crawl)
    monkeypatch.setattr(squaring, "MOST_STATES", 0)
    solution = fsp.transient(STIFF, [2000.0], 1e-6)
    assert solution[-1].error.total <= 1e-6
    assert len(taken) > 3


@pytest.mark.parametrize("growing", [False, True])
def test_a_solver_that_keeps_its_pace_does_not_stall(growing):
    """What it took for the time behind it is no reason to leave it for the little that is ahead."""
    model = network({"A": 300}, ("A -> 0", "mass_action", 1.0), ("0 -> A", "mass_action", 10.0))
    generator = fsp.Generator(model, fsp.StateSpace.box(model, upper={"A": 60_000}))
    names = ("uniformization", "chebyshev", "krylov")  # whose work is in proportion to time
    chooser = choice.Chooser("auto", 1e-8, SOLVERS, names)
    current = choice.Choice(fsp.Krylov(tol=1e-8), "")
    whole, left, steps = 1.0, 0.3, 20
    stretch = Stretch(left, growing)
    costs = chooser._costs(generator, Stretch(whole, growing), instead_of="krylov")
    expected = min(cost.work(1.0, growing) for cost in costs.values())
    n_matvec = round(1.3 * expected / current.solver.cost(generator, stretch).unit / steps)
    for k in range(steps):
        step = Advance(None, None, 0.0, n_matvec, (k + 1) * (whole - left) / steps, 0.0)
        chooser.advanced(current.solver, generator, step, (whole - left) / steps)
    assert chooser._effort.work > choice.TIMES_BEHIND * choice.LEAST_WORK
    assert not chooser._stalls(current.solver, generator, stretch)
    chooser.advanced(current.solver, generator, replace(step, n_matvec=3 * steps * n_matvec), left / 100.0)
    assert chooser._stalls(current.solver, generator, stretch)


def test_a_solver_that_stalls_can_be_stopped_with_what_it_reached(monkeypatch):
    """What was asked for does not give way, but returns so often that a stop loses little."""
    monkeypatch.setattr(choice, "REPORT_WORK", 1e8)
    seen = []

    def stop(progress):
        seen.append(progress.t)
        if progress.reached()[-1].t > 0.0 or len(seen) > 200:
            raise KeyboardInterrupt

    with pytest.raises(fsp.Interrupted) as stopped:
        fsp.transient(STIFF, [2000.0], 1e-6, solver="rational", progress=stop)
    reached = stopped.value.solution[-1]
    assert 0.0 < reached.t < 2000.0
    assert reached.error.total <= 1e-6


# ---- what it takes


def test_auto_says_what_it_takes_and_why():
    bound = bind("immigration")
    choice = Chooser("auto", 1e-7, SOLVERS).choose(bound.generator, 1.0)
    assert type(choice.solver) in NAMES
    assert choice.solver.tol == 1e-7
    assert choice.reason.startswith("auto: ")
    assert all(name in choice.reason for name in ("uniformization", "krylov", "chebyshev", "rational", "squaring"))


def test_auto_takes_the_rational_solver_where_the_chain_is_stiff():
    model = network({"A": 600, "B": 0}, ("A -> B", "mass_action", 1.0), ("B -> A", "mass_action", 1e7))
    generator = fsp.Generator(model, reachable(model))
    assert isinstance(Chooser("auto", 1e-7, SOLVERS).choose(generator, 100.0).solver, fsp.Rational)
    assert not isinstance(Chooser("auto", 1e-7, SOLVERS).choose(generator, 1e-9).solver, fsp.Rational)


def test_auto_takes_the_implicit_solver_where_rates_depend_on_time():
    model = network({"X": 0}, ("0 -> X", "rate", "1 + sin(time)"))
    generator = fsp.Generator(model, box(model, upper={"X": 9}))
    choice = Chooser("auto", 1e-7, SOLVERS).choose(generator, 1.0)
    assert isinstance(choice.solver, fsp.Implicit)
    assert "time" in choice.reason


def test_auto_takes_no_basis_that_does_not_fit():
    bound = bind("immigration")
    assert "krylov" in Chooser("auto", 1e-7, SOLVERS).choose(bound.generator, 1.0).reason
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(krylov, "BASIS_BYTES", 100)
        assert "krylov" not in Chooser("auto", 1e-7, SOLVERS).choose(bound.generator, 1.0).reason


# ---- what auto learns


def test_auto_stays_where_a_change_would_gain_little_and_leaves_where_it_learns_better():
    model = network({"A": 400, "B": 0}, ("A -> B", "mass_action", 1.0), ("B -> A", "mass_action", 50.0))
    generator = fsp.Generator(model, reachable(model))
    chooser = Chooser("auto", 1e-7, SOLVERS)
    first = chooser.choose(generator, 10.0)
    assert chooser.choose(generator, 10.0, first) is first
    products = int(50 * generator.largest_exit_rate * 10.0)
    for _ in range(8):  # it needs fifty times as many as any would
        chooser.advanced(first.solver, generator, Advance(None, None, 0.0, products, 10.0, 0.0), 10.0)
    later = chooser.choose(generator, 10.0, first)
    assert type(later.solver) is not type(first.solver)


def test_what_auto_learnt_fades_while_another_solver_works():
    chooser = Chooser("auto", 1e-7, SOLVERS)
    generator = bind("immigration").generator
    time = 1_000.0 / generator.largest_exit_rate
    chooser.advanced(fsp.Uniformization(), generator, Advance(None, None, 0.0, 5_000, time, 0.0), time)
    held = [chooser._factor["uniformization"]]
    for _ in range(20):
        chooser.advanced(fsp.Krylov(), generator, Advance(None, None, 0.0, 375, time, 0.0), time)
        held.append(chooser._factor["uniformization"])
    assert held[0] > 3.0
    assert held == sorted(held, reverse=True)
    assert held[-1] == pytest.approx(1.0, abs=0.3)
    assert chooser._factor["krylov"] == pytest.approx(1.0, abs=1e-9)


def test_auto_takes_no_chebyshev_where_steps_are_cut_short():
    bound = bind("immigration")
    assert "chebyshev" in Chooser("auto", 1e-7, SOLVERS).choose(bound.generator, 1.0).reason
    assert "chebyshev" not in Chooser("auto", 1e-7, SOLVERS).choose(bound.generator, 1.0, growing=True).reason
