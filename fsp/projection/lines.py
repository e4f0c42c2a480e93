"""Follow jumps in straight lines, up to where they cannot happen any more.

A line ends at the first of its states in which none of the reactions fires.  States beyond are not reached by it, and
rates need not be defined there: such as ``on*(1 - G)*exp(-time)`` where ``G = 2``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fsp.errors import ModelError
from fsp.model import firing

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, FloatArray, IntArray
    from fsp.generator import Leak
    from fsp.model import Model


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """The states that repeating one kind of jump entered."""

    states: IntArray  # (m, n_species)
    asked: float  # length asked for, weighted by flux
    followed: float  # the same, reached before the jump was no longer enabled


def follow(
    model: Model,
    leak: Leak,
    sources: IntArray,
    weight: FloatArray,
    length: IntArray,
    t: float = 0.0,
    *,
    leaves: bool = False,
) -> Lines:
    """Repeat one kind of jump from each source (m, n_species) of `weight` (m,), `length` (m,) times.

    `t`: when; `leaves`: the first jump of each line is known to happen, some time.
    """
    source = np.repeat(np.arange(len(sources)), length)  # of each step of each line
    start = np.repeat(np.cumsum(length) - length, length)  # of its line
    step = np.arange(len(source)) - start
    states = sources[source] + step[:, None] * leak.change
    try:
        enabled = _enabled(model, leak, states, t)
    except ModelError:  # of a rate beyond the end of a line, or of one on it, which raises again
        enabled = _enabled_in_turn(model, leak, states, step, t)
    enabled |= leaves & (step == 0)
    broken = np.concatenate([[0], np.cumsum(~enabled)])  # a line ends at the first jump that is not enabled
    going = broken[1:] == broken[start]
    return Lines(states[going] + leak.change, float(weight @ length), float(weight[source[going]].sum()))


def _enabled_in_turn(model: Model, leak: Leak, states: IntArray, step: IntArray, t: float) -> BoolArray:
    """Tell where a jump can happen, (n,), of states in the order of their lines; False beyond the end of a line."""
    enabled = np.zeros(len(states), dtype=np.bool_)
    going = np.flatnonzero(step == 0)  # places in `states` of the lines that have not ended
    while len(going):
        enabled[going] = _enabled(model, leak, states[going], t)
        following = going[enabled[going]] + 1
        following = following[following < len(states)]
        going = following[step[following] > 0]
    return enabled


def _enabled(model: Model, leak: Leak, states: IntArray, t: float) -> BoolArray:
    """Tell in which states (n, n_species) a reaction of the leak can fire, (n,)."""
    enabled = np.zeros(len(states), dtype=np.bool_)
    possible = np.flatnonzero((states >= 0).all(axis=1))
    for k in leak.reactions:
        enabled[possible] |= firing.enabled(model, k, states[possible], t)
    return enabled


def line_lengths(flux: FloatArray, threshold: float, top: float, longest: int) -> IntArray:
    """Return how far to follow each source, (m,): tails fall about geometrically, so by the flux's logarithm."""
    if not 0.0 < threshold < top:
        return np.full(len(flux), longest)
    share = np.log(flux / threshold) / np.log(top / threshold)
    lengths: IntArray = np.ceil(share * longest).astype(np.int64)
    return np.clip(lengths, 1, longest)
