"""Which states may be reached, and some more: by lattice, species never made, barriers and a space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fsp.chains.classes import reached
from fsp.equilibrium.barriers import Barriers
from fsp.generator import Generator
from fsp.model.structure import producible, same_lattice
from fsp.moments.rates import rates

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, IntArray
    from fsp.model import Model
    from fsp.space import StateSpace

FEW_STARTS = 64  # states to start from, beyond which all are taken to be reached: so nothing is left out


class Reachability:
    """Tell which states the chain of one model may come to."""

    def __init__(self, model: Model) -> None:
        self._model, self._barriers = model, Barriers(model)
        laws = rates(model, 0.0, np.full(model.n_species, np.inf))
        self._needs = np.array(  # (R, d) species that are a factor of every term of a rate
            [
                [rate.upper is not None and all(alpha[i] > 0 for alpha in rate.upper) for i in range(model.n_species)]
                for rate in laws
            ]
        )

    def possible(self, states: IntArray, start: IntArray) -> BoolArray:
        """Tell which states (m, d) may be reached from one of `start` (k, d): lattice, species present, barriers."""
        change = self._model.change
        if len(start) > FEW_STARTS:
            return np.ones(len(states), dtype=np.bool_)
        marks = np.zeros(len(states), dtype=np.bool_)
        for x in start:
            there = producible(change, self._needs, x > 0)
            happens = ~(self._needs & ~there).any(axis=1)  # (R,)
            kept = ~states[:, ~there].any(axis=1) & ~self._barriers.passed(states, x)
            marks |= same_lattice(change[happens], states - x) & kept
        return marks

    def made(self, start: IntArray) -> BoolArray:
        """Tell which species may ever be present, (d,)."""
        there = np.zeros(self._needs.shape[1], dtype=np.bool_)
        for present in np.unique(start > 0, axis=0):
            there |= producible(self._model.change, self._needs, present)
        return there

    def reached(self, space: StateSpace, start: IntArray) -> BoolArray:
        """Tell which states of a space may be reached from `start`, on a way through it or from outside."""
        first = np.zeros(len(space), dtype=np.bool_)
        entries = np.flatnonzero(entered(self._model, space))
        first[entries[self.possible(space.states_at(entries), start)]] = True
        at_start = space.index(start)  # some may begin outside of it
        first[at_start[at_start >= 0]] = True
        if first.all():
            return first
        return reached(Generator(self._model, space).to_csr(), first)

    def may_lead(self, space: StateSpace, members: IntArray, others: IntArray) -> bool:
        """Tell whether a closed class of a space may lead through the outside to other states, as `possible` does."""
        return bool(self.possible(space.states_at(others), space.states_at(members[:1])).any())

    def leads(self, space: StateSpace, members: IntArray, others: IntArray) -> bool:
        """Tell the same, and whether a way through the space leads there from where the outside enters it."""
        start = space.states_at(members[:1])
        return self.may_lead(space, members, others) and bool(self.reached(space, start)[others].any())


def entered(model: Model, space: StateSpace) -> BoolArray:
    """Tell which states of a space a jump from outside may lead to, whatever its rate, (n,)."""
    states = space.states
    mask = np.zeros(len(states), dtype=np.bool_)
    for change in np.unique(model.change, axis=0):
        before = states - change
        possible = np.flatnonzero((before >= 0).all(axis=1) & ~mask)
        mask[possible[space.index(before[possible]) < 0]] = True
    return mask
