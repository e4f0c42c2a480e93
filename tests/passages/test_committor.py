"""Committors, rates and reactive currents against closed forms and dense algebra."""

from __future__ import annotations

import json
import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_networks import as_model, closed_networks, open_networks
from scipy import sparse
from written_networks import network

import fsp
from fsp.chains.classes import closed_classes
from fsp.command.main import main
from fsp.moments.lyapunov import drift_condition
from fsp.passages import systems
from fsp.passages.outside import all_jumps, paying
from fsp.passages.reactive import ReactivePaths
from fsp.passages.stationary_law import StationaryLaw
from fsp.passages.targets import Targets

SHARP = 1e-6  # relative width that is asked for
ROUNDED = 1e-7  # relative error of the dense algebra that these networks are held against


def holds(interval, exact, width=SHARP):
    """Require a proof that is sharp and true."""
    assert interval.certified, interval
    assert interval.lower <= exact <= interval.upper, (interval, exact)
    assert interval.width <= width * max(abs(exact), 1e-300)


def line(birth, death, low, high, far):
    """Return q⁺ between two counts of a birth-death chain by exact sums, π, and the rate, all Fractions."""
    weights = [Fraction(1)]
    for n in range(far):
        weights.append(weights[-1] * birth(n) / death(n + 1))
    total = sum(weights)
    pi = [w / total for w in weights]
    steps = [1 / (pi[n] * birth(n)) for n in range(low, high)]  # q(n + 1) - q(n), up to a factor
    q = {low: Fraction(0)}
    for n, step in zip(range(low, high), steps, strict=True):
        q[n + 1] = q[n] + step / sum(steps)
    return q, pi, 1 / sum(steps)


def dense(model, first, second):
    """Return states, q⁺, q⁻, π, and currents on all states of a finite chain of one closed class; None of several."""
    space = fsp.StateSpace.reachable(model)
    matrix = fsp.Generator(model, space).to_csr()
    if len(closed_classes(matrix).members) != 1:
        return None
    A, states = matrix.toarray(), space.states
    pi = np.linalg.lstsq(np.vstack([A, np.ones(len(A))]), np.append(np.zeros(len(A)), 1.0), rcond=None)[0]
    counts = dict(zip(model.species, states.T, strict=True))
    a, b = first(counts), second(counts)
    rates = A.T - np.diag(np.diag(A))  # [from, to]

    def hit(jumps, goal, other):
        outside = ~(goal | other)
        q = goal.astype(float)
        M = np.diag(jumps.sum(axis=1)) - jumps
        try:
            q[outside] = np.linalg.solve(M[np.ix_(outside, outside)], jumps[np.ix_(outside, goal)].sum(axis=1))
        except np.linalg.LinAlgError:
            return None
        return q

    forward = hit(rates, b, a)
    kept = pi > 1e-12
    back = np.where(kept[:, None] & kept[None, :], (pi * rates.T) / np.where(kept, pi, 1.0)[:, None], 0.0)
    backward = hit(back, a, b) if kept.all() else None
    return states, forward, backward, pi, a, rates


@pytest.mark.parametrize(("birth", "low", "high"), [(9, 3, 20), (2, 0, 9), (30, 25, 40)])
def test_immigration_and_death_between_two_counts(birth, low, high):
    model = network({"X": 5}, ("0 -> X", "mass_action", float(birth)), ("X -> 0", "mass_action", 1.0))
    found = fsp.committor(model, f"X <= {low}", f"X >= {high}")
    q, pi, rate = line(lambda n: Fraction(birth), lambda n: Fraction(n), low, high, 200)
    holds(found.rate, rate)
    for n in range(low + 1, high):
        holds(found.q([n]), q[n])
        holds(found.backward({"X": n}), 1 - q[n])  # the chain is reversible
    after = sum(pi[: low + 1]) + sum(pi[n] * (1 - q[n]) for n in range(low + 1, high))
    holds(found.share, after)
    holds(found.rate_constant, rate / after)
    way = sum(pi[n] * q[n] * (1 - q[n]) for n in range(low + 1, high))
    holds(found.reactive, way)
    holds(found.duration, way / rate)
    assert "ways per time" in str(found)


def test_gambler_on_a_line_of_even_odds():
    model = network(
        {"X": 1}, ("0 -> X", "rate", "piecewise(1, X < 6, 0)"), ("X -> 0", "rate", "piecewise(1, X > 0, 0)")
    )
    found = fsp.committor(model, "X == 0", "X == 6")
    for n in range(7):
        holds(found.q([n]), n / 6, 1e-9)
    holds(found.rate, Fraction(1, 7) / 6, 1e-9)
    flux = found.flux
    assert f"{len(flux):,} jumps among {len(flux.states):,} states" in str(flux)
    assert len(str(flux)) < 120
    up = flux.net
    assert np.array_equal(up.states[up.targets] - up.states[up.sources], np.ones((6, 1), dtype=int))
    assert (up.lower <= 1 / 42).all()
    assert (up.upper >= 1 / 42).all()
    assert (up.upper - up.lower <= 1e-9).all()


def test_a_ring_is_passed_in_one_direction():
    """Three states in a ring, of rates 1, 2, 4 around it: all ways from the first to the third are by the second."""
    turn = [("A -> B", "mass_action", 1.0), ("B -> C", "mass_action", 2.0), ("C -> A", "mass_action", 4.0)]
    found = fsp.committor(network({"A": 1, "B": 0, "C": 0}, *turn), "A > 0", "C > 0")
    whole = 1 + 1 / 2 + 1 / 4
    holds(found.rate, 1 / whole, 1e-9)
    holds(found.q({"A": 0, "B": 1, "C": 0}), 1.0)
    holds(found.backward([0, 1, 0]), 1.0)
    holds(found.share, (1 + 1 / 2) / whole, 1e-9)
    holds(found.duration, 0.5, 1e-9)


@pytest.mark.parametrize("slow", [1e-6, 1e-10, 1e-14])
def test_rates_of_rare_switches_have_their_digits(slow):
    """A gate that opens once in 1/slow, and is closed for a share 1/(1 + slow): ways per time are slow/(1 + slow)."""
    model = network(
        {"A": 1, "B": 0, "M": 0},
        ("A -> B", "mass_action", slow),
        ("B -> A", "mass_action", 1.0),
        ("A -> A + M", "mass_action", 3.0),
        ("M -> 0", "mass_action", 1.0),
    )
    found = fsp.committor(model, "A > 0", "B > 0")
    holds(found.rate, slow / (1 + slow))
    holds(found.rate_constant, slow)


def test_sets_without_end_are_paid_for_by_a_drift():
    """Both sets reach beyond all stored states; by symmetry q is 1/2 between them, and the time is shared evenly."""
    repressed = "2 + 12/(1 + ({}/4)^3)"
    model = network(
        {"U": 0, "V": 0},
        ("0 -> U", "rate", repressed.format("V")),
        ("0 -> V", "rate", repressed.format("U")),
        ("U -> 0", "mass_action", 1.0),
        ("V -> 0", "mass_action", 1.0),
    )
    found = fsp.committor(model, "U > V + 3", "V > U + 3")
    assert found.rate.certified
    assert found.rate.width <= SHARP * found.rate.lower
    holds(found.q([5, 5]), 0.5)
    holds(found.backward([5, 5]), 0.5)
    holds(found.share, 0.5)
    other = fsp.committor(model, "V > U + 3", "U > V + 3", tol=1e-3)
    assert max(other.rate.lower, found.rate.lower) <= min(other.rate.upper, found.rate.upper)
    assert other.q([7, 5]).lower <= 1 - found.q([7, 5]).lower
    net = found.flux.net
    x, y = found.states.T
    leaving, coming = (x > y + 3)[net.sources], (y > x + 3)[net.targets]
    assert net.lower[leaving].sum() <= found.rate.upper
    assert net.upper[coming].sum() * (1 + 1e-9) + 1e-9 >= found.rate.lower
    assert (
        np.abs(found.flux.value[(y > x + 3)[found.flux.targets]].sum() - found.rate.value) <= SHARP * found.rate.value
    )
    counts, vectors = found.flux.along("U", "V")
    assert vectors.shape == counts.shape
    assert vectors[:, 0].sum() < 0 < vectors[:, 1].sum()


def test_what_is_never_reached_has_no_rate():
    model = network({"X": 5}, ("0 -> X", "mass_action", 9.0), ("X -> 0", "mass_action", 1.0))
    nowhere = fsp.committor(model, "X < 0", "X >= 20")
    assert "nan" not in str(nowhere)
    assert tuple(nowhere.rate) == (0.0, 0.0)
    holds(nowhere.q([7]), 1.0)
    ends = network({"A": 1, "B": 0, "C": 0}, ("A -> B", "mass_action", 1.0), ("A -> C", "mass_action", 3.0))
    fork = fsp.committor(ends, "C > 0", "B > 0")
    holds(fork.q([1, 0, 0]), 0.25)
    assert tuple(fork.rate) == (0.0, 0.0)


def test_an_estimated_law_has_estimated_rates():
    """No drift condition is known of a rate that is a function, so all but the forward committor is an estimate."""
    model = fsp.Model(
        species={"X": 2, "Y": 0},
        reactions=[
            fsp.Reaction({"X": 1}, rate=lambda x: 3.0 + 0.0 * x["X"]),
            fsp.Reaction({"X": -1}, rate=lambda x: 1.0 * x["X"]),
            fsp.Reaction("0 -> Y", mass_action=0.5),
            fsp.Reaction("Y -> 0", mass_action=1.0),
        ],
    )
    found = fsp.committor(model, "X == 0", "X >= 6")
    assert not found.rate.certified
    assert not found.backward([3, 0]).certified
    assert "estimate" in str(found)
    _, _, rate = line(lambda n: Fraction(3), lambda n: Fraction(n), 0, 6, 80)
    assert found.rate.value == pytest.approx(float(rate), rel=1e-4)
    q, _, _ = line(lambda n: Fraction(3), lambda n: Fraction(n), 0, 6, 80)
    forward = found.q([3, 0])
    assert forward.certified
    assert forward.lower <= q[3] <= forward.upper


@settings(max_examples=25, deadline=None)
@given(described=closed_networks(), ends=st.tuples(st.integers(0, 3), st.integers(0, 3)))
def test_random_finite_networks_agree_with_dense_algebra(described, ends):
    model = as_model(described)
    first, second = model.species[:2]
    low = f"{first} <= {ends[0]} && {second} > {ends[1]}"
    high = f"{first} > {ends[0]} && {second} <= {ends[1]}"
    exact = dense(
        model,
        lambda x: (x[first] <= ends[0]) & (x[second] > ends[1]),
        lambda x: (x[first] > ends[0]) & (x[second] <= ends[1]),
    )
    assume(exact is not None)
    states, forward, backward, pi, in_low, rates = exact
    found = fsp.committor(model, low, high)
    known = {tuple(row): k for k, row in enumerate(states.tolist())}
    here, place = np.array([(k, known[tuple(x)]) for k, x in enumerate(found.states.tolist()) if tuple(x) in known]).T
    if forward is not None:
        assert (found.q.lower[here] <= forward[place] + ROUNDED).all()
        assert (forward[place] <= found.q.upper[here] + ROUNDED).all()
    if forward is not None and backward is not None:
        assert (found.backward.lower[here] <= backward[place] + ROUNDED).all()
        assert (backward[place] <= found.backward.upper[here] + ROUNDED).all()
        rate = float((pi[:, None] * rates * forward[None, :])[in_low].sum())
        assert found.rate.lower <= rate + ROUNDED
        assert rate <= found.rate.upper + ROUNDED
        assert found.rate.width <= SHARP * max(rate, ROUNDED)


@settings(max_examples=8, deadline=None)
@given(described=open_networks().filter(lambda drawn: len(drawn["species"]) < 3), most=st.integers(1, 4))
def test_small_spaces_have_true_bounds(described, most):
    """What is proved with a loose tolerance holds what is proved with a tight one, of each state."""
    model = as_model(described)
    name = model.species[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fsp.ToleranceWarning)  # wide bounds have to be true as well
        loose = fsp.committor(model, f"{name} == 0", f"{name} >= {most}", tol=0.3, max_states=800)
        tight = fsp.committor(model, f"{name} == 0", f"{name} >= {most}", tol=1e-7, max_states=800)
    assert loose.rate.lower <= tight.rate.upper
    assert tight.rate.lower <= loose.rate.upper
    for which in ("forward", "backward"):
        wide, narrow = getattr(loose, which), getattr(tight, which)
        stored = {tuple(row): k for k, row in enumerate(narrow.states.tolist())}
        pairs = [(k, stored[tuple(row)]) for k, row in enumerate(wide.states.tolist()) if tuple(row) in stored]
        here, there = np.array(pairs).T
        assert (wide.lower[here] <= narrow.upper[there] + 1e-12).all()
        assert (narrow.lower[there] <= wide.upper[here] + 1e-12).all()


def test_what_is_outside_is_counted():
    """On seven states of 0, 1, … all bounds hold, and none of them would without what leaves and comes back."""
    model = network({"X": 3}, ("0 -> X", "mass_action", 3.0), ("X -> 0", "mass_action", 1.0))
    generator = fsp.Generator(model, fsp.StateSpace.box(model, upper={"X": 6}))
    pi = np.exp(-3.0) * np.cumprod(np.concatenate([[1.0], 3.0 / np.arange(1, 7)]))
    rest = StationaryLaw(generator, pi, pi, pi, 1.0 - pi.sum())
    # of odd and even counts, both sets go on without end: each jump outside is a way
    targets = Targets.read(model, {"A": "X % 2 == 0", "B": "X % 2 == 1"})
    condition = drift_condition(model)
    ways = ReactivePaths(rest, targets).solved((False, False), None)
    assert ways.rate[1] == math.inf
    paid = paying(model, condition, all_jumps(model))
    assert paid is not None
    wide = fsp.Generator(model, fsp.StateSpace.box(model, upper={"X": max(12, int(paid.states.max(initial=0)))}))
    n = wide.space.states[:, 0]
    law = np.exp(-3.0) * np.cumprod(np.concatenate([[1.0], 3.0 / np.arange(1, len(n))]))
    beyond = ReactivePaths(StationaryLaw(wide, law, law, law, 1.0 - law.sum()), targets).solved((False, False), paid)
    assert beyond.rate[0] < 3.0 <= beyond.rate[1]  # half of the jumps, of which there are six per unit of time
    # from 0 to 9, and back: seven states lack the way there
    distant = Targets.read(model, {"A": "X == 0", "B": "X >= 9"})
    q, exact, rate = line(lambda n: Fraction(3), lambda n: Fraction(n), 0, 9, 60)
    ways = ReactivePaths(rest, distant).solved((True, False), None)
    assert ways.rate[0] < rate <= ways.rate[1]
    for x in range(1, 7):
        assert ways.forward[0, x] < q[x] <= ways.forward[1, x]
        assert ways.backward[0, x] <= 1 - q[x] <= ways.backward[1, x]
        assert ways.after[0, x] <= exact[x] * (1 - q[x]) <= ways.after[1, x]


def test_a_factorisation_has_a_bound_on_either_side():
    """Where an elimination takes too long, solutions of both systems lie within residuals of the exact ones."""
    rng = np.random.default_rng(5)
    jumps = rng.uniform(0.1, 2.0, (6, 6))
    np.fill_diagonal(jumps, 0.0)
    exits = rng.uniform(0.01, 1.0, 6)
    matrix = sparse.csr_array(jumps.T - np.diag(jumps.sum(axis=1) + exits))
    system = systems._FactorisedBounds(matrix, 1e-15)
    sharp = systems.exit_system(matrix, exits, 1e-15)
    right = rng.uniform(0.0, 1.0, 6)
    for name in ("bounds", "occupation_bounds"):
        (low, high), (least, most) = getattr(system, name)(right), getattr(sharp, name)(right)
        assert (low <= most).all()
        assert (least <= high).all()
        assert (high - low <= 1e-10 * high).all()


def test_bad_sets_are_refused():
    model = network({"X": 5}, ("0 -> X", "mass_action", 9.0), ("X -> 0", "mass_action", 1.0))
    for pair, message in (
        (("X > 3", "X > 10"), "`A` and `B` must have conditions that exclude each other"),
        (("X + 1", "X > 10"), "must be a condition"),
        ((3, "X > 10"), "must be a formula"),
        (("Z > 3", "X > 10"), "needs 'Z'"),
    ):
        with pytest.raises(fsp.ArgumentError, match=message):
            fsp.committor(model, *pair)
    timed = network({"X": 5}, ("0 -> X", "rate", "1 + sin(time)"), ("X -> 0", "mass_action", 1.0))
    with pytest.raises(fsp.BackendError, match="depend on time"):
        fsp.committor(timed, "X == 0", "X > 3")
    with pytest.raises(fsp.ArgumentError, match="`tol` must be"):
        fsp.committor(model, "X == 0", "X > 3", tol=0.0)
    found = fsp.committor(model, "X == 0", "X > 3")
    with pytest.raises(fsp.ArgumentError, match="is none"):
        found.q([10**6])
    with pytest.raises(fsp.ArgumentError, match="for each of X"):
        found.q([1, 2])
    with pytest.raises(fsp.ArgumentError, match="must be two names"):
        found.plot()
    with pytest.raises(fsp.ArgumentError, match="must be some of X"):
        found.flux.along("Y")


def test_command_prints_and_draws(tmp_path):
    picture = tmp_path / "ways.png"
    path = tmp_path / "m.ant"
    made = " => U; 3/(1 + V)\n => V; 3/(1 + U)\n U => ; U\n V => ; V\n"
    path.write_text(f"model m()\n species U; U = 1; species V; V = 0\n{made}end\n")
    words = ["committor", str(path), "--from", "U > V + 1", "--to", "V > U + 1", "--counts", "as-is", "--quiet"]
    shown = CliRunner().invoke(main, [*words, "--plot", str(picture), "--at", "U=1,V=1"])
    assert shown.exit_code == 0, shown.output
    assert "ways per time" in shown.output
    assert "q at U=1, V=1: [0.49999" in shown.output
    assert picture.stat().st_size > 1000
    record = json.loads(CliRunner().invoke(main, [*words, "--json", "--at", "U=1,V=1"]).output)
    assert record["rate"]["certified"]
    assert record["rate"]["lower"] < record["rate"]["upper"]
    assert math.isclose(record["at"][0]["forward"]["value"], 0.5, rel_tol=1e-6)
    assert CliRunner().invoke(main, words[:4]).exit_code == 2
    wrong = CliRunner().invoke(main, [*words, "--at", "U=1"])
    assert wrong.exit_code == 2
    assert "for each of U, V" in wrong.output


@pytest.mark.parametrize("k", [1, 3, 8])
def test_shares_next_to_one_are_rounded_outward(k):
    """Nearly all the time nothing is there, which was the last of both sets; in fractions."""
    r = Fraction(k, 10**6)
    model = network({"X": 0}, ("0 -> X", "rate", f"piecewise({k}e-6, X < 2, 0)"), ("X -> 0", "mass_action", 1.0))
    share = fsp.committor(model, "X == 0", "X == 2", tol=1e-3).share
    assert Fraction(share.lower) <= (1 + r / (1 + r)) / (1 + r + r * r / 2) <= Fraction(share.upper)


@pytest.mark.parametrize(
    ("ends", "note"),
    [
        (("X < 0", "X > 15"), "no state that can be reached fulfils X < 0; check the condition"),
        (("X < 3", "X > 9 && X < 7"), "no state that can be reached fulfils X > 9 && X < 7; check the condition"),
        (("X < 3", "X > 4000"), "no state stored fulfils X > 4000; check the condition"),
    ],
)
def test_conditions_that_are_never_met_are_told(ends, note):
    model = network({"X": 0}, ("0 -> X", "mass_action", 10.0), ("X -> 0", "mass_action", 1.0))
    answer = fsp.committor(model, *ends)
    assert answer.notes == (note,)
    assert answer.rate.lower == 0.0
    assert f"note: {note}" in str(answer)
    assert not fsp.committor(model, "X < 3", "X > 15").notes
