"""Spaces and generators by loops over states in plain Python: slow, and short enough to be seen to be right.

For networks of mass action only, given as the `fsp.Model`; the constants are passed besides, so that no rate
comes from the code under test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import comb
from typing import Any

import numpy as np

State = tuple[int, ...]


def rate(model: Any, k: int, state: State, constant: float = 1.0) -> float:
    """Return c ∏ binomial(x, n) of reaction `k`."""
    value = constant
    for name, n in model.reactions[k].reactants.items():
        value *= comb(state[model.species.index(name)], n)
    return value


def successors(model: Any, state: State) -> set[State]:
    """Return the states that one enabled reaction leads to."""
    return {
        tuple(x + int(nu) for x, nu in zip(state, change, strict=True))
        for k, change in enumerate(model.change)
        if rate(model, k, state) > 0
    }


def closure(
    model: Any,
    start: Iterable[State],
    *,
    steps: int | None = None,
    allowed: Callable[[State], bool] = lambda state: True,
) -> set[State]:
    """Return the states that up to `steps` reactions reach from `start` through allowed ones, breadth first."""
    found = set(start)
    frontier = set(found)
    level = 0
    while frontier and (steps is None or level < steps):
        frontier = {y for x in frontier for y in successors(model, x) if allowed(y)} - found
        found |= frontier
        level += 1
    return found


def generator(model: Any, states: list[State], constants: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return the generator on `states` with the full exit rates on its diagonal, and the rate of leaving."""
    place = {state: i for i, state in enumerate(states)}
    matrix, leaving = np.zeros((len(states), len(states))), np.zeros(len(states))
    for source, j in place.items():
        for k, change in enumerate(model.change):
            a = rate(model, k, source, constants[k])
            target = tuple(x + int(nu) for x, nu in zip(source, change, strict=True))
            matrix[j, j] -= a
            if target in place:
                matrix[place[target], j] += a
            else:
                leaving[j] += a
    return matrix, leaving


def uniformized(matrix: Any, p: np.ndarray, t: float, neglected: float = 1e-14) -> tuple[np.ndarray, float]:
    """Return ``exp(t A) p`` by its Poisson-weighted series, and the probability that the answer lacks."""
    rate = float(-matrix.diagonal().min())
    term, total, mean = p.copy(), np.zeros_like(p), rate * t
    log_weight, weight_sum, k = -mean, 0.0, 0
    while 1.0 - weight_sum > neglected and k < mean + 15.0 * np.sqrt(mean) + 40.0:
        weight = np.exp(log_weight)
        total += weight * term
        weight_sum += weight
        k += 1
        log_weight += np.log(mean) - np.log(k)
        term = term + (matrix @ term) / rate
    return total, max(1.0 - float(total.sum()), 0.0)


def as_set(space: Any) -> set[State]:
    """Return the states of a space as a set of tuples, each of which must occur once."""
    rows = [tuple(row) for row in space.states.tolist()]
    found = set(rows)
    assert len(found) == len(rows) == len(space)
    return found
