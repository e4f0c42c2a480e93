"""One contract for all integrators, of one process and of ranks: the true 1-norm error of an advance is within what it
reports.

The reference is `scipy.linalg.expm` of the small dense generator whose last states are the sinks, or a closed form.
Contracts are functions of a `Binder`, which makes the generators, and of a solver; tests/solvers/test_solvers.py calls
them in one process and tests/mpi/test_solvers.py on ranks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import exact
import numpy as np
from scipy import linalg
from written_networks import network

import fsp
from fsp.projection.growth import starting_vector
from fsp.solvers import Advance, LossLimit
from fsp.space.communicator import SINGLE_PROCESS

IMMIGRATION = network({"X": 5}, ("0 -> X", "mass_action", 8.0), ("X -> 0", "mass_action", 1.0))
ISOMERIZATION = network({"A": 12, "B": 0}, ("A -> B", "mass_action", 1.3), ("B -> A", "mass_action", 0.4))
GENE = network(
    {"M": 1, "P": 2},
    ("0 -> M", "mass_action", 2.0),
    ("M -> 0", "mass_action", 1.0),
    ("M -> M + P", "mass_action", 4.0),
    ("P -> 0", "mass_action", 0.5),
)
DECAY = network({"X": 20}, ("X -> 0", "mass_action", 1.0))
PAIRS = network({"X": 3}, ("0 -> 3 X", "mass_action", 1.5), ("2 X -> 0", "mass_action", 0.4))
CYCLE = network(
    {"A": 5, "B": 0, "C": 0},
    ("A -> B", "mass_action", 2.0),
    ("B -> C", "mass_action", 2.0),
    ("C -> A", "mass_action", 2.0),
)
SPREAD = network(
    {"X": 0},
    ("0 -> X", "mass_action", 8.0),
    ("X -> 0", "mass_action", 1.0),
    initial={(0,): 0.25, (7,): 0.5, (20,): 0.25},
)
BRANCHES = network(
    {"X": 0, "Y": 0}, ("0 -> X", "mass_action", 3.0), ("0 -> Y", "mass_action", 1.0), ("X -> Y", "mass_action", 0.5)
)
# Network, upper corner of a box or None for all that is reachable, time.
CHAINS = {
    "immigration": (IMMIGRATION, {"X": 20}, 2.0),
    "isomerization": (ISOMERIZATION, None, 1.5),
    "gene": (GENE, {"M": 6, "P": 14}, 1.5),
    "decay": (DECAY, None, 3.0),
    "pairs": (PAIRS, {"X": 25}, 2.0),
    "cycle": (CYCLE, None, 4.0),
    "spread": (SPREAD, {"X": 24}, 1.0),
    "branches": (BRANCHES, {"X": 5, "Y": 6}, 2.5),
}
LEAKY = ["immigration", "gene", "branches"]
LIMITS = [LossLimit(1e-6, 0.0), LossLimit(0.0, 1e-5), LossLimit(1e-4, 1e-5)]


@dataclass(frozen=True)
class Bound:
    """A chain small enough for a dense exponential; on ranks `p` and what a solver returns are this rank's parts."""

    generator: object
    p: np.ndarray
    t: float
    closed: np.ndarray
    part: slice
    comm: object

    def total(self, values):
        """Sum over all states, of all ranks."""
        return self.comm.sum(float(np.sum(values)))

    def flow(self, p, t):
        """Exact states and sinks after `t` from all states, as far as rounding lets the dense exponential be."""
        return linalg.expm(self.closed * t) @ np.concatenate([p, np.zeros(self.generator.n_sinks)])

    def slack(self, t):
        """What the dense exponential may be off."""
        return 1e-13 + 4e-16 * float(np.abs(self.closed).sum(axis=0).max()) * t

    def gap(self, step, other, lost):
        """Distance of a step to this rank's part of a vector and to sinks."""
        return self.total(np.abs(step.p - other)) + float(np.abs(step.lost - lost).sum())

    def true_error(self, step, t):
        n = len(self.closed) - self.generator.n_sinks
        whole = np.zeros(n)
        whole[self.part] = self.p
        truth = self.flow(np.asarray(self.comm.sum(whole)), t)
        return self.gap(step, truth[:n][self.part], truth[n:])


@dataclass(frozen=True)
class Binder:
    """Binds chains, by name or as (network, upper corner, time), in this process or on the ranks of `comm`."""

    comm: object = None

    def __call__(self, chain):
        model, upper, t = CHAINS[chain] if isinstance(chain, str) else chain
        whole = _space(fsp.StateSpace, model, upper)
        closed = fsp.Generator(model, whole).with_sinks.toarray()
        if self.comm is None:
            space, generator, part, comm = whole, fsp.Generator(model, whole), slice(None), SINGLE_PROCESS
        else:
            from fsp.petsc import Generator, StateSpace

            space = _space(StateSpace, model, upper, comm=self.comm)
            generator, comm = Generator(model, space), self.comm
            part = slice(space.first, space.first + space.n_local)
        p = starting_vector(model, space)
        p.flags.writeable = False  # a solver must not touch what it is given
        return Bound(generator, p, t, closed, part, comm)


def _space(kind, model, upper, **more):
    return kind.reachable(model, **more) if upper is None else kind.box(model, upper=upper, **more)


def tolerances(make):
    """Return tolerances, from loose to tight, that a solver can be held to: estimates come from low orders."""
    return (1e-3, 1e-7, 1e-11) if make().certified else (1e-3, 1e-4, 1e-5)


def advance(propagator, p, t0, t1, tol=None, limit=None):
    """Advance all the way: one call may end early to report progress."""
    total, share = None, tol
    t = t0
    while total is None or (t < t1 and total.rejected is None):
        if tol is not None:
            share = tol * (t1 - t) / (t1 - t0)
        options = {} if limit is None else {"limit": LossLimit(limit.at(t - t0) - _lost(total), limit.rate)}
        step = propagator.advance(p if total is None else total.p, t, t1, tol=share, **options)
        assert isinstance(step, Advance)
        assert t <= step.t <= t1
        total = step if total is None else _joined(total, step)
        t = total.t
    return total


def _lost(step):
    return 0.0 if step is None else float(step.lost.sum())


def _joined(a, b):
    error, rounding, n = a.error + b.error, a.rounding + b.rounding, a.n_matvec + b.n_matvec
    return Advance(b.p, a.lost + b.lost, error, n, b.t, rounding, b.rejected)


# ---- of every chain -----------------------------------------------------------------------------------------


def true_error_is_within_the_reported_bound(bind, chain, solver, tol):
    bound = bind(chain)
    with solver.open(bound.generator) as propagator:
        step = advance(propagator, bound.p, 0.0, bound.t, tol)
    assert step.t == bound.t
    assert step.rejected is None
    assert step.p.shape == bound.p.shape
    assert step.lost.shape == (bound.generator.n_sinks,)
    assert bound.true_error(step, bound.t) <= step.error + step.rounding + bound.slack(bound.t)
    assert step.error <= 1.5 * tol
    assert 2.0**-53 * bound.total(step.p) <= step.rounding < 1e-10  # what it returns is rounded at least once


def probabilities_are_not_negative_and_mass_is_kept(bind, chain, solver, tol=1e-6):
    bound = bind(chain)
    with solver.open(bound.generator) as propagator:
        step = advance(propagator, bound.p, 0.0, bound.t, tol)
    assert (step.p >= 0.0).all()
    assert (step.lost >= 0.0).all()
    assert abs(bound.total(step.p) + step.lost.sum() - 1.0) <= step.error + step.rounding + 1e-14


def two_halves_are_the_whole(bind, chain, solver, tol=1e-8):
    bound = bind(chain)
    with solver.open(bound.generator) as propagator:
        whole = advance(propagator, bound.p, 0.0, bound.t, tol)
        first = advance(propagator, bound.p, 0.0, 0.5 * bound.t, tol)
        second = advance(propagator, first.p, 0.5 * bound.t, bound.t, tol)
    gap = bound.gap(replace(second, lost=first.lost + second.lost), whole.p, whole.lost)
    assert gap <= sum(s.error + s.rounding for s in (whole, first, second))
    assert gap > 0.0 or isinstance(solver, fsp.Krylov)  # they are different computations


def the_loss_limit_is_kept_at_the_time_reached(bind, chain, solver, limit, tol=1e-7):
    bound = bind(chain)
    with solver.open(bound.generator) as propagator:
        step = advance(propagator, bound.p, 0.0, 20.0, tol, limit)
    assert 0.0 <= step.t < 20.0
    assert step.lost.sum() <= limit.at(step.t) + step.error + step.rounding
    assert step.rejected is not None
    assert step.rejected.shape == bound.p.shape
    assert (step.rejected >= 0.0).all()
    assert bound.total(bound.generator.leak_rates @ step.rejected) > 0.0  # it says where to grow
    assert bound.true_error(step, step.t) <= step.error + step.rounding + bound.slack(step.t)


# ---- corners: `make` makes a solver of a tolerance, and `tol` is one that it can be held to -----------------


def time_is_counted_from_the_start_of_the_advance(bind, make, tol):
    bound = bind("gene")
    with make(tol).open(bound.generator) as propagator:
        here = advance(propagator, bound.p, 0.0, 1.0)
        later = advance(propagator, bound.p, 1e3, 1e3 + 1.0)
    assert later.t == 1e3 + 1.0
    assert bound.total(np.abs(here.p - later.p)) <= here.error + later.error + 2e-12


def a_limit_is_counted_from_the_start_of_the_advance(bind, make, tol):
    bound, begin, limit = bind("immigration"), 2.0**20, LossLimit(1e-6, 1e-5)
    with make(tol).open(bound.generator) as propagator:
        step = propagator.advance(bound.p, begin, begin + 20.0, tol=tol, limit=limit)
    assert begin <= step.t < begin + 20.0
    assert step.lost.sum() <= limit.at(step.t - begin) + step.error + step.rounding
    assert step.rejected is not None


def a_short_way_is_rounded_too(bind, make, tol):
    bound = bind("immigration")
    with make(tol).open(bound.generator) as propagator:
        step = advance(propagator, bound.p, 0.0, 2.0**-20)
    assert 2.0**-53 * bound.total(step.p) <= step.rounding < 1e-12


def a_late_start_costs_no_more(bind, make, tol):
    bound, begin = bind("gene"), 2.0**20
    with make(tol).open(bound.generator) as propagator:
        here = advance(propagator, bound.p, 0.0, 1.0)
    with make(tol).open(bound.generator) as propagator:
        later = advance(propagator, bound.p, begin, begin + 1.0)
    assert later.n_matvec <= 1.1 * here.n_matvec + 4


def where_few_digits_of_time_are_left_the_error_is_still_bounded(bind, make, tol):
    """Times at 2⁴³ are 2⁻⁹ apart: what ends between two of them, as it would lose too much, is held up to the next."""
    bound, begin = bind("immigration"), 2.0**43
    for limit in (None, LossLimit(1e-5, 0.0), LossLimit(0.0, 1e-4)):
        with make(tol).open(bound.generator) as propagator:
            try:
                step = advance(propagator, bound.p, begin, begin + 2.0, tol, limit)
            except fsp.ConvergenceError:  # an explicit method needs steps that are shorter than the last digit
                assert not make(tol).certified
                continue
        way = step.t - begin
        assert way == 2.0 or limit
        assert bound.true_error(step, way) <= step.error + step.rounding + bound.slack(way)


def the_answers_of_one_propagator_do_not_share_memory(bind, make, tol):
    bound = bind("immigration")
    with make(tol).open(bound.generator) as propagator:
        first = advance(propagator, bound.p, 0.0, 1.0)
        kept = first.p.copy()
        advance(propagator, first.p, 1.0, 2.0)
    np.testing.assert_array_equal(first.p, kept)


def half_a_distribution_advances_to_half_the_answer(bind, make, tol):
    bound = bind("gene")
    with make(tol).open(bound.generator) as propagator:
        whole = advance(propagator, bound.p, 0.0, bound.t)
        half = advance(propagator, 0.5 * bound.p, 0.0, bound.t)
    assert bound.total(np.abs(whole.p - 2.0 * half.p)) <= whole.error + 2.0 * half.error + 1e-13


def the_tolerance_of_the_call_replaces_that_of_the_solver(bind, make, tol):
    bound = bind("gene")
    loosely, tightly = max(1e-3, 10.0 * tol), 0.1 * tol
    solver = make(loosely)
    with solver.open(bound.generator) as propagator:
        loose = advance(propagator, bound.p, 0.0, bound.t)
    with solver.open(bound.generator) as propagator:
        tight = advance(propagator, bound.p, 0.0, bound.t, tightly)
    assert tight.error <= 1.5 * tightly
    assert bound.true_error(tight, bound.t) <= 1.5 * tightly
    assert loose.n_matvec < tight.n_matvec or loose.error == 0.0  # as exact as rounding lets it be, whatever is allowed


def a_shorter_way_costs_its_share_of_the_tolerance(bind, make, tol):
    bound = bind("immigration")
    limit, asked = LossLimit(1e-4, 0.0), max(1e-6, tol)
    with make(tol).open(bound.generator) as propagator:
        for _ in range(20):  # a step that was too long may be shortened in the next call only
            step = propagator.advance(bound.p, 0.0, 10.0, tol=asked, limit=limit)
            if step.t > 0.0:
                break
    assert 0.0 < step.t < 10.0
    assert step.error <= 1.5 * asked * step.t / 10.0


def where_nothing_may_be_lost_nothing_moves(bind, make, tol):
    bound = bind("branches")
    full = (np.array(bound.generator.leak_rates) > 0.0).astype(float)
    p = full / bound.total(full)
    with make(tol).open(bound.generator) as propagator:
        step = propagator.advance(p, 0.0, 1.0, limit=LossLimit(0.0, 0.0))
    assert step.t == 0.0
    assert step.rejected is not None
    assert step.lost.sum() == 0.0
    np.testing.assert_allclose(step.p, p, rtol=1e-14)


def a_limit_that_is_never_met_changes_nothing(bind, make, tol):
    bound = bind("immigration")
    with make(tol).open(bound.generator) as propagator:
        step = advance(propagator, bound.p, 0.0, bound.t, tol, LossLimit(0.9, 0.0))
    assert step.t == bound.t
    assert step.rejected is None
    assert bound.true_error(step, bound.t) <= step.error + step.rounding + bound.slack(bound.t)


def one_state_with_a_way_out(bind, make, tol):
    bound = bind((network({"X": 0}, ("0 -> X", "mass_action", 2.0)), {"X": 0}, 3.0))
    with make(0.1 * tol).open(bound.generator) as propagator:
        step = advance(propagator, bound.p, 0.0, 3.0)
    gap = abs(bound.total(step.p) - math.exp(-6.0)) + abs(step.lost[0] + math.expm1(-6.0))
    assert gap <= step.error + step.rounding + 1e-15


def one_state_without_a_way_out(bind, make, tol):
    bound = bind((network({"X": 0}, ("X -> 0", "mass_action", 2.0)), None, 1e6))
    with make(tol).open(bound.generator) as propagator:
        step = advance(propagator, bound.p, 0.0, 1e6)
    assert step.t == 1e6
    assert abs(bound.total(step.p) - 1.0) <= step.error + step.rounding
    assert step.error + step.rounding < 1e-12


def rates_of_zero(bind, make, tol):
    still = network({"X": 3}, ("0 -> X", "mass_action", 0.0), ("X -> 0", "mass_action", 0.0))
    bound = bind((still, {"X": 5}, 7.0))
    with make(tol).open(bound.generator) as propagator:
        step = advance(propagator, bound.p, 0.0, 7.0)
    np.testing.assert_allclose(step.p, bound.p, atol=1e-14)
    assert step.lost.tolist() == [0.0] * bound.generator.n_sinks
    assert step.error + step.rounding < 1e-12


def an_absorbing_start_stays(bind, make, tol):
    bound = bind((DECAY.starting_in(np.array([[0]]), np.ones(1)), {"X": 20}, 50.0))
    with make(tol).open(bound.generator) as propagator:
        step = advance(propagator, bound.p, 0.0, 50.0)
    np.testing.assert_allclose(step.p, bound.p, atol=1e-12)


def long_after_everything_has_decayed(bind, make, tol):
    bound = bind("decay")
    with make(tol).open(bound.generator) as propagator:
        step = advance(propagator, bound.p, 0.0, 60.0)
    law = exact.decay(np.arange(21), 60.0, rate=1.0, start=20)[bound.part]
    assert bound.total(np.abs(step.p - law)) <= step.error + step.rounding + 1e-14


def no_probability_stays_none(bind, make, tol):
    bound = bind("gene")
    with make(tol).open(bound.generator) as propagator:
        step = advance(propagator, np.zeros(len(bound.p)), 0.0, 1.0)
    assert step.t == 1.0
    assert bound.total(step.p) == step.lost.sum() == 0.0


CORNERS = [
    time_is_counted_from_the_start_of_the_advance,
    a_limit_is_counted_from_the_start_of_the_advance,
    a_short_way_is_rounded_too,
    a_late_start_costs_no_more,
    where_few_digits_of_time_are_left_the_error_is_still_bounded,
    the_answers_of_one_propagator_do_not_share_memory,
    half_a_distribution_advances_to_half_the_answer,
    the_tolerance_of_the_call_replaces_that_of_the_solver,
    a_shorter_way_costs_its_share_of_the_tolerance,
    where_nothing_may_be_lost_nothing_moves,
    a_limit_that_is_never_met_changes_nothing,
    one_state_with_a_way_out,
    one_state_without_a_way_out,
    rates_of_zero,
    an_absorbing_start_stays,
    long_after_everything_has_decayed,
    no_probability_stays_none,
]
