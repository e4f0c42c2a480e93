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


def settled(before: State, after: State, events: list[Any]) -> State:
    """Return where a jump ends after the events, (holds, maps, priority) each, that it triggers, by priority.

    Formulas see the state of the event's turn; events persist.
    """
    held, waiting = [holds(before) for holds, _, _ in events], set()
    state = after
    while True:
        now = [holds(state) for holds, _, _ in events]
        waiting |= {e for e, holds in enumerate(now) if holds and not held[e]}
        held = now
        if not waiting:
            return state
        first = max(waiting, key=lambda e: events[e][2])
        waiting.remove(first)
        state = events[first][1](state)


def chain_with_events(
    rates: dict[State, Callable[[State], float]],
    events: list[Any],
    begun: Iterable[State],
    charts: list[Callable[[State], State]],
    top: int,
) -> tuple[dict[State, int], np.ndarray]:
    """Return the place of each state that is reached below `top`, by jumps and by maps, and the dense generator."""
    jumps: dict[State, list[tuple[State, float]]] = {}
    pending = list(begun)
    while pending:
        x = pending.pop()
        if x in jumps:
            continue
        ends = [
            (settled(x, tuple(n + k for n, k in zip(x, nu, strict=True)), events), a(x))
            for nu, a in rates.items()
            if a(x) > 0
        ]
        jumps[x] = [(y, a) for y, a in ends if y != x and max(y) < top]
        pending += [y for y, _ in jumps[x]] + [chart(x) for chart in charts]
    place = {x: i for i, x in enumerate(sorted(jumps))}
    matrix = np.zeros((len(place), len(place)))
    for x, own in jumps.items():
        for y, a in own:
            matrix[place[y], place[x]] += a
            matrix[place[x], place[x]] -= a
    return place, matrix


def with_events(
    rates: dict[State, Callable[[State], float]],
    events: list[Any],
    start: State | dict[State, float],
    times: list[float],
    *,
    top: int,
    maps: Iterable[tuple[float, Callable[[State], State]]] = (),
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return states (n, d) and the distributions (n,) at `times` of a chain with events, by the dense exponential.

    `rates` gives the propensity of each change; counts stay below `top`, where jumps that would lead out are left
    out.  `maps` are what happens to all states at known times, before the output at these.
    """
    from scipy.linalg import expm

    begun, maps = (start if isinstance(start, dict) else {start: 1.0}), dict(maps)
    place, matrix = chain_with_events(rates, events, begun, list(maps.values()), top)
    p, t, found = np.zeros(len(place)), 0.0, []
    for x, weight in begun.items():
        p[place[x]] += weight
    for stop in sorted({*times, *maps}):
        p, t = expm(matrix * (stop - t)) @ p, stop
        if stop in maps:
            targets = [place[maps[stop](x)] for x in sorted(place)]
            p = np.bincount(targets, weights=p, minlength=len(p))
        if stop in times:
            found.append(p)
    return np.array(sorted(place)), found
