"""Whether two networks are one jump process: the same start, and the same rate of every jump, in states they reach.

States are found along random walks from the start.  In each, the rates of reactions with the same net change are added
up, so that neither the order nor the names of reactions matter; where events take place at known times, each phase is
compared, and what the events make of the states between two.  What is found is a difference; what is not found is none
in the states that were looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import NamedTuple

import numpy as np

from fsp.arrays import FloatArray, IntArray
from fsp.errors import ModelError
from fsp.model.model import Model
from fsp.model.phases import Phase
from fsp.model.triggers import same_time

WALKS, WALK_JUMPS = 16, 48  # random walks, and the jumps of each: chosen
SAME_RATE = 1e-9  # relative: libsbml writes 15 digits of a number, and sums differ in their order
_PHASE_SHARES = 0.0, 0.37, 0.81  # of a phase, in which laws that depend on time are compared


class _Pair(NamedTuple):
    """Two networks in one phase."""

    first: Model
    other: Model
    columns: IntArray  # of `first`'s species among `other`'s

    def jumps(self) -> IntArray:
        """Return all net changes, (n_jumps, n_species of `first`)."""
        changes = np.unique(np.concatenate([self.first.change, self.other.change[:, self.columns]]), axis=0)
        return np.asarray(changes[(changes != 0).any(axis=1)])

    def rates(self, states: IntArray, t: float, jumps: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return the rate of each jump in each state, (n_jumps, n), of both."""
        swapped = states[:, np.argsort(self.columns)]
        mine = _sums(self.first.change, self.first.propensities(states, t), jumps)
        theirs = self.other.change[:, self.columns], self.other.propensities(swapped, t)
        return mine, _sums(*theirs, jumps)


def difference(model: Model, other: Model, until: float = 0.0) -> str:
    """Say in what the process of a network differs from that of another, up to a time; empty where in nothing.

    Such as ``"A -> B takes place at rate 2 in place of 1 in state A = 3, B = 0"``: the rate of `model` in place of that
    of `other`.  Species are told by their names; events at known times, and laws that depend on time, are looked at
    `until`.
    """
    if set(model.species) != set(other.species):
        odd = sorted(set(model.species) ^ set(other.species))[0]
        return f"species '{odd}' is in one of them only"
    columns = np.array([other.species.index(name) for name in model.species])
    begun = _start(model, np.arange(model.n_species)), _start(other, columns)
    if begun[0] != begun[1]:
        return f"it starts in {_shown(model, begun[0])} in place of {_shown(model, begun[1])}"
    return _of_phases(model, other, columns, until)


def _start(model: Model, columns: IntArray) -> dict[tuple[int, ...], float]:
    """Return the probability of each initial state, to ten digits."""
    states = map(tuple, model.initial_states[:, columns].tolist())
    return {state: float(f"{p:.9e}") for state, p in zip(states, model.initial_probabilities, strict=True)}


def _shown(model: Model, start: Mapping[tuple[int, ...], float]) -> str:
    if len(start) > 1:
        return f"a distribution over {len(start):,} states"
    return _state(model, next(iter(start)))


def _state(model: Model, state: tuple[int, ...]) -> str:
    return ", ".join(f"{name} = {count}" for name, count in zip(model.species, state, strict=True))


def _of_phases(model: Model, other: Model, columns: IntArray, until: float) -> str:
    """Compare phase by phase, in states that follow each other through all of them."""
    rng, back = np.random.default_rng(0), np.argsort(columns)
    x = model.initial_states[rng.integers(0, len(model.initial_states), WALKS)]
    begin = 0.0
    for mine, theirs in zip_longest(model.phases(0.0, until), other.phases(0.0, until)):
        if mine is None or theirs is None or not (mine.until == theirs.until or same_time(mine.until, theirs.until)):
            ends = [phase.until for phase in (mine, theirs) if phase is not None]
            return f"an event takes place at t = {min(ends):.8g} in one of them only"
        pair = _Pair(_of_phase(mine, x), _of_phase(theirs, x[:, back]), columns)
        end = min(mine.until, until)
        path, x = _walked(pair, x, begin, end - begin, rng)
        if path or mine.firing is None or theirs.firing is None:
            return path
        seed = int(rng.integers(2**31))
        after = mine.firing.sampled(x, np.random.default_rng(seed))
        others = theirs.firing.sampled(x[:, back], np.random.default_rng(seed))[:, columns]
        wrong = np.asarray((after != others).any(axis=1))
        if wrong.any():
            k = int(np.argmax(wrong))
            leads = [_state(model, tuple(states[k].tolist())) for states in (after, others)]
            return f"the event at t = {end:.8g} leads to {leads[0]} in place of {leads[1]}"
        x, begin = after, end
    return ""


def _of_phase(phase: Phase[Model], states: IntArray) -> Model:
    different = np.unique(states, axis=0)
    return phase.model(different, np.full(len(different), 1.0 / len(different)))


def _walked(pair: _Pair, x: IntArray, begin: float, length: float, rng: np.random.Generator) -> tuple[str, IntArray]:
    """Compare rates along random walks from (n, d) states; return the first difference, and where the walks end."""
    jumps = pair.jumps()
    for step in range(WALK_JUMPS if len(jumps) else 0):
        t = begin + length * _PHASE_SHARES[step % len(_PHASE_SHARES)]
        try:
            mine, theirs = pair.rates(x, t, jumps)
        except ModelError as error:
            return f"rates cannot be compared: {error}", x
        wrong = np.asarray(np.abs(mine - theirs) > SAME_RATE * np.maximum(np.abs(mine), np.abs(theirs)))
        if wrong.any():
            k, row = (int(place) for place in np.unravel_index(np.argmax(wrong), wrong.shape))
            return (
                f"{_jump(pair.first, jumps[k])} takes place at rate {mine[k, row]:.8g} in place of "
                f"{theirs[k, row]:.8g} in state {_state(pair.first, tuple(x[row].tolist()))}"
                + (f" at t = {t:.6g}" if t else "")
            ), x
        chosen = np.argmax(rng.random(mine.shape) * (mine > 0.0), axis=0)
        moving = np.asarray((mine > 0.0).any(axis=0))
        x = x + np.where(moving[:, None], jumps[chosen], 0)
    return "", x


def _sums(change: IntArray, rates: FloatArray, jumps: IntArray) -> FloatArray:
    """Add up the rates of reactions, (n_reactions, n), with the same net change."""
    sums = np.zeros((len(jumps), rates.shape[1]))
    for step, rate in zip(change, rates, strict=True):
        sums[(jumps == step).all(axis=1)] += rate
    return sums


def _jump(model: Model, change: IntArray) -> str:
    """Write a net change as a reaction."""
    sides = []
    for sign in (-1, 1):
        parts = [(sign * n, name) for n, name in zip(change.tolist(), model.species, strict=True) if sign * n > 0]
        sides.append(" + ".join(name if n == 1 else f"{n} {name}" for n, name in parts) or "0")
    return f"the jump {sides[0]} -> {sides[1]}"
