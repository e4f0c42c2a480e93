"""Where a space grows: along the jumps by which probability flows out, as far as the flux and the time ask for."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from written_networks import network

import fsp
from fsp.distribution import ErrorLedger
from fsp.projection.growth import FIRST_STEPS, Growth

BIRTHS = network({"A": 0, "B": 0}, ("0 -> A", "mass_action", 1.0), ("0 -> B", "mass_action", 1.0))
BURSTS = network({"A": 0}, ("0 -> 3 A", "mass_action", 1.0))
ENDING = network({"A": 4, "B": 0}, ("A -> 0", "mass_action", 1.0), ("A -> A + B", "mass_action", 1.0))
PLENTY = 10_000_000


def grown(model, space, weight, *, growth=None, t=None, **options):
    """Return the space after one growth from probabilities `weight` (n,)."""
    growth = growth or Growth(model, PLENTY, None)
    return growth.grow(space, fsp.Generator(model, space), np.asarray(weight), t, ErrorLedger(), **options)


def corner(model, n):
    """Return the box of `n` counts of each species."""
    return fsp.StateSpace.box(model, upper=dict.fromkeys(model.species, n - 1))


def at(space, **weights):
    """Return probabilities (n,) of states that are written as A_B="0 3"."""
    p = np.zeros(len(space))
    for state, weight in weights.values():
        p[space.index([state])] = weight
    return p


def test_a_space_grows_along_the_jump_that_probability_leaves_by():
    """What leaves by births of A makes the space longer in A; in B by the one reaction step around new states."""
    space = corner(BIRTHS, 10)
    after = grown(BIRTHS, space, at(space, edge=([9, 0], 1.0)))
    fresh = after.states[space.index(after.states) < 0]
    assert fresh[:, 0].max() - 9 > fresh[:, 1].max()
    assert fresh[:, 0].min() == 10
    assert (space.index(after.states) >= 0).sum() == len(space)


def test_sources_of_a_negligible_flux_are_not_followed():
    space = corner(BIRTHS, 10)
    fluxes = {"much": ([9, 0], 1.0), "little": ([0, 9], 1e-9)}
    after = grown(BIRTHS, space, at(space, **fluxes))
    assert after.states[:, 1].max() <= 9
    assert grown(BIRTHS, space, at(space, **fluxes), everywhere=True).states[:, 1].max() > 9


def test_a_flux_that_may_go_on_is_not_followed():
    space = corner(BIRTHS, 10)
    fluxes = at(space, much=([9, 0], 1.0), less=([0, 9], 0.1))
    assert grown(BIRTHS, space, fluxes).states[:, 1].max() > 9
    assert grown(BIRTHS, space, fluxes, bearable=0.2).states[:, 1].max() <= 9


def test_lines_end_where_the_jump_is_no_longer_enabled():
    """Three of A decay and then none is left: no line goes on below zero, and none jumps over a gap."""
    space = fsp.StateSpace.from_states(("A", "B"), [[4, 0], [3, 0]])
    after = grown(ENDING, space, [0.0, 1.0], everywhere=True, far=True)
    assert after.states.min() == 0
    reached = {tuple(state) for state in after.states.tolist()}
    assert all((a + 1, b) in reached or a == 4 or (a, b - 1) in reached for a, b in reached)


def test_what_is_repeated_are_whole_jumps():
    space = fsp.StateSpace.reachable(BURSTS, steps=5)
    assert set((grown(BURSTS, space, np.eye(len(space))[-1]).states % 3).ravel().tolist()) == {0}


def test_states_that_are_not_kept_are_left_out():
    space = corner(BIRTHS, 10)
    kept = space.states[:, 0] >= 5
    after = grown(BIRTHS, space, at(space, edge=([9, 5], 1.0)), kept=kept)
    assert after.states[:, 0].min() == 5
    assert (after.index(space.states[kept]) >= 0).all()


@pytest.mark.parametrize("remaining", [1.0, 1e3])
def test_lines_that_served_too_short_are_doubled_at_most(remaining):
    """The pace of a jump follows the share of the remaining time that the last length served."""
    model = network({"A": 0}, ("0 -> A", "mass_action", 1.0))
    growth, space = Growth(model, PLENTY, None), corner(model, 4_000)
    lengths = []
    for t in (1.0, 2.0, 3.0, 4.0):
        after = grown(model, space, np.eye(len(space))[-1], growth=growth, t=t, remaining=remaining)
        lengths.append(len(after) - len(space))
        space = after
    ratios = np.array(lengths[1:]) / np.array(lengths[:-1])
    assert (ratios <= 2.0).all()
    assert (lengths[-1] > lengths[0]) == (remaining > 10.0) or lengths[0] == lengths[-1]


def test_the_limit_is_named_that_holds():
    space = corner(BIRTHS, 10)
    everything = at(space, edge=([9, 9], 1.0))
    with pytest.raises(fsp.StateSpaceError, match=r"at most 101 states \(`max_states`\)"):
        grown(BIRTHS, space, everything, growth=Growth(BIRTHS, 101, None))
    with pytest.raises(fsp.StateSpaceError, match=r"at most 101 states \(`max_memory`\)"):
        grown(BIRTHS, space, everything, growth=Growth(BIRTHS, PLENTY, 101 * 640))


@pytest.mark.parametrize(("counts", "n"), [({"A": 12, "B": 0}, 13), ({"A": 100_000, "B": 0}, 2 * FIRST_STEPS + 1)])
def test_first_states_are_all_where_these_are_few(counts, n):
    model = network(counts, ("A -> B", "mass_action", 1.0), ("B -> A", "mass_action", 1.0))
    middle = {"A": counts["A"] // 2, "B": counts["A"] - counts["A"] // 2}
    assert len(Growth(model.with_initial(**middle), PLENTY, None).first()) == n


@pytest.mark.parametrize(("step", "n"), [(1, 2 * FIRST_STEPS + 1), (10_000_000, 101)])
def test_a_line_is_enumerated_for_a_stationary_answer_where_it_has_few_states(step, n):
    """What counts is the number of states, by the common divisor of all jumps, and not the number of molecules."""
    half = 500_000_000
    change = {"A": -step, "B": step}
    back = {"A": step, "B": -step}
    reactions = [fsp.Reaction(change, rate="A"), fsp.Reaction(back, rate="B")]
    model = fsp.Model(species={"A": half, "B": half}, reactions=reactions)
    assert len(Growth(model, PLENTY, None, stationary=True).first()) == n


def test_growth_without_flux_looks_at_every_way_out():
    """Rates that are zero just now, or underflow, do not end a growth."""
    space = corner(BIRTHS, 3)
    after = grown(BIRTHS, space, np.zeros(len(space)), remaining=inf)
    assert (after.states.max(axis=0) > 2).all()
