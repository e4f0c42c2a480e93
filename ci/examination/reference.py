"""Solve a network in extended precision (80 bits), without the package.

States are enumerated breadth first below bounds of the counts; the jumps that lead beyond feed a sink, whose content
bounds what the box leaves out.  Rates come from integers (mass action) or from 60 digits (formulas).

- transient, constant rates: uniformization of the vector, or, for many jumps, of a matrix over a short step and then
  squaring.  All terms are non-negative, and columns are made to sum to one after each squaring.
- transient, rates of the time: modified midpoint rule, extrapolated to order 16, with two step widths.
- stationary: transient states and then the classes are eliminated without subtractions (Grassmann, Taksar, Heyman).
- relaxation: dense eigenvalues.

References
----------
W. K. Grassmann, M. I. Taksar, D. P. Heyman (1985), Oper. Res. 33, 1107, doi:10.1287/opre.33.5.1107.
E. Hairer, S. P. Nørsett, G. Wanner, Solving Ordinary Differential Equations I, Springer 1993, II.9.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from examination import formulas
from scipy import sparse
from scipy.sparse.csgraph import connected_components

Extended = np.longdouble
UNIT = float(np.finfo(Extended).eps)
MOST_STATES = 4000
MOST_DENSE = 260  # states of a matrix that is squared
MOST_ELIMINATED = 500
LARGEST_WORK = 4e8  # multiply-adds of one transient
SUBSTEPS = 2 * np.arange(1, 9)  # of the midpoint rule, to be extrapolated
LARGEST_STEP = 1.0  # of the midpoint rule, times the largest exit rate


class TooLargeError(Exception):
    """The reference would take too long; the case is left out."""


class Answer(NamedTuple):
    """Probabilities (n,), a bound of the probability beyond the box, and the error of the arithmetic (1-norm)."""

    p: Any
    outside: float
    slack: float


class Reference:
    """One network below bounds of its counts.

    Parameters
    ----------
    network
        The description, as in `examination.networks`.
    upper
        The largest count of each species.
    """

    def __init__(self, network: Mapping[str, Any], upper: Mapping[str, int]) -> None:
        self.network = network
        self.species = list(network["species"])
        self.upper = tuple(upper[name] for name in self.species)
        self.laws = [_Law(reaction, self.species, network["parameters"]) for reaction in network["reactions"]]
        self.events = [_Event(event, self.species, network["parameters"]) for event in network.get("events", [])]
        self.start = {tuple(state): weight for state, weight in initial(network)}
        self.place, jumps = self._enumerate()
        self.states = np.array(list(self.place), dtype=np.int64).reshape(len(self.place), len(self.species))
        self.n = len(self.place)
        self.source, self.target, self.law = np.array(jumps, dtype=np.int64).reshape(-1, 3).T
        self.constant = np.array([self._constant(j, k) for j, k in zip(self.source, self.law, strict=True)], Extended)
        ones = np.ones(len(self.source), Extended)
        flow = (
            np.concatenate([ones, -ones]),
            (
                np.concatenate([self.target, self.source]),
                np.tile(np.arange(len(ones)), 2),
            ),
        )
        self.flow = sparse.csr_matrix(flow, shape=(self.n + 1, len(ones)))  # what each jump takes and gives

    # ---- states

    def _enumerate(self) -> tuple[dict[tuple[int, ...], int], list[tuple[int, int, int]]]:
        """Return the place of each state that is reached below the bounds, and (source, target, law) of each jump."""
        place = {state: i for i, state in enumerate(self.start)}
        jumps, pending = [], list(place)
        beyond = -1
        for x in pending:  # grows meanwhile
            ends = [(k, self._end(x, law)) for k, law in enumerate(self.laws) if law.enabled(x)]
            maps = [(None, event.mapped(x)) for event in self.events if event.at is not None]
            for k, y in ends + maps:
                inside = all(0 <= count <= top for count, top in zip(y, self.upper, strict=True))
                if inside and y not in place:
                    place[y] = len(place)
                    pending.append(y)
                if k is not None and y != x:
                    jumps.append((place[x], place[y] if inside else beyond, k))
            if len(place) > MOST_STATES:
                raise TooLargeError
        n = len(place)
        return place, [(j, n if i == beyond else i, k) for j, i, k in jumps]

    def _end(self, x: tuple[int, ...], law: _Law) -> tuple[int, ...]:
        y = tuple(count + change for count, change in zip(x, law.change, strict=True))
        triggered = [event for event in self.events if event.at is None and event.holds(y) and not event.holds(x)]
        return triggered[0].mapped(y) if triggered else y

    def _constant(self, j: int, k: int) -> np.longdouble:
        law = self.laws[k]
        return Extended(0) if law.timed else law.rate(tuple(self.states[j].tolist()))

    def rates(self, t: float | np.longdouble) -> Any:
        """Return the rate of each jump at a time, (n_jumps,)."""
        values = self.constant.copy()
        for k, law in enumerate(self.laws):
            if law.timed:
                mine = self.law == k
                values[mine] = law.at(self.states[self.source[mine]], t)
        return values

    def fastest(self, t: float) -> float:
        """Return the largest exit rate at a time."""
        return float(self._largest_exit(self.rates(t)))

    def fastest_of_box(self, t: float) -> float:
        """Return the largest exit rate at a time in the corners of the box, whether they are reached or not."""
        corners = np.array(list(itertools.product(*((0, top) for top in self.upper))))
        exits = np.zeros(len(corners), Extended)
        for law in self.laws:
            untimed = [] if law.timed else [law.rate(tuple(x)) for x in corners.tolist()]
            exits += law.at(corners, t) if law.timed else np.array(untimed, Extended)
        return float(exits.max())

    # ---- transient

    def transient(self, times: Iterable[float]) -> list[Answer]:
        """Return the distribution at each time; what left the box stays in the sink."""
        p = np.zeros(self.n + 1, Extended)
        for state, weight in self.start.items():
            p[self.place[state]] += Extended(weight)
        kicks = {event.at: event for event in self.events if event.at is not None}
        t, slack, answers = 0.0, 0.0, {}
        for stop in sorted({*times, *self.network.get("switches", []), *kicks}):
            if stop > t:
                p, spent = self._advance(p, t, stop)
                slack, t = slack + spent, stop
            if stop in kicks:
                p = self._kick(p, kicks[stop])
            answers[stop] = Answer(p[:-1].copy(), float(p[-1]), slack)
        return [answers[stop] for stop in times]

    def _kick(self, p: Any, event: _Event) -> Any:
        moved = np.zeros_like(p)
        ends = [self.place.get(event.mapped(x), self.n) for x in self.place]
        np.add.at(moved, [*ends, self.n], p)
        return moved

    def _advance(self, p: Any, t0: float, t1: float) -> tuple[Any, float]:
        if any(law.timed for law in self.laws) and not self.network.get("steps", False):
            return self._extrapolated(p, t0, t1)
        rates = self.rates(0.5 * (t0 + t1))
        jumps = float(self._largest_exit(rates)) * (t1 - t0)
        n = self.n + 1
        by_vector = (jumps + 12.0 * math.sqrt(jumps) + 40.0) * (len(rates) + n + 4000.0)
        by_matrix = (max(math.log2(jumps + 1e-30), 0.0) + 16.0) * n**3 if n <= MOST_DENSE else math.inf
        if min(by_vector, by_matrix) > LARGEST_WORK:
            raise TooLargeError
        if by_vector <= by_matrix:
            return self._uniformized(p, rates, Extended(t1) - Extended(t0)), 4.0 * UNIT * (jumps + 100.0)
        return self._exponential(rates.tobytes(), Extended(t1) - Extended(t0)) @ p, 4.0 * UNIT * (n + 100.0)

    def _stochastic(self, rates: Any, q: Any) -> Any:
        """Return I + A/q as a sparse matrix whose columns sum to one."""
        exits = np.zeros(self.n + 1, Extended)
        np.add.at(exits, self.source, rates)
        entries = np.concatenate([rates / q, 1 - exits / q])
        where = (
            np.concatenate([self.target, np.arange(self.n + 1)]),
            np.concatenate([self.source, np.arange(self.n + 1)]),
        )
        return sparse.csr_matrix((entries, where), shape=(self.n + 1, self.n + 1))

    def _largest_exit(self, rates: Any) -> Any:
        exits = np.zeros(self.n + 1, Extended)
        np.add.at(exits, self.source, rates)
        return exits.max()

    def _uniformized(self, p: Any, rates: Any, step: Any) -> Any:
        q = self._largest_exit(rates)
        if not q > 0:
            return p
        P, mean = self._stochastic(rates, q), q * step
        weight = np.exp(-mean) if mean < 10_000 else None
        if weight is None:
            raise TooLargeError
        total, summed, term = weight * p, weight, p
        for k in range(1, int(mean + 14 * np.sqrt(mean) + 60)):
            term = P @ term
            weight = weight * mean / k
            total, summed = total + weight * term, summed + weight
        total /= summed
        return total * (p.sum() / total.sum())

    @lru_cache(maxsize=4)  # noqa: B019, of steps of one width
    def _exponential(self, rates: bytes, step: Any) -> Any:
        a, n = np.frombuffer(rates, Extended), self.n + 1
        q = self._largest_exit(a)
        if not q > 0:
            return np.eye(n, dtype=Extended)
        squarings = max(0, math.ceil(math.log2(float(q * step)))) + 10
        P = self._stochastic(a, q).toarray()
        mean = q * step / Extended(2) ** squarings
        E, term, weight = np.eye(n, dtype=Extended), np.eye(n, dtype=Extended), Extended(1)
        for k in range(1, 8):
            term = P @ term
            weight = weight * mean / k
            E = E + weight * term
        E /= E.sum(axis=0)
        for _ in range(squarings):
            E = E @ E
            E /= E.sum(axis=0)
        return E

    def _extrapolated(self, p: Any, t0: float, t1: float) -> tuple[Any, float]:
        probe = np.linspace(t0, t1, 9)
        q = max(float(self._largest_exit(self.rates(t))) for t in probe)
        n = max(1, math.ceil(q * (t1 - t0) / LARGEST_STEP))
        n = max(n, math.ceil((t1 - t0) * self.network.get("fastest", 1.0)))
        if n * 3 * SUBSTEPS.sum() * (3.0 * len(self.source) + 10_000.0) > LARGEST_WORK:
            raise TooLargeError
        coarse, fine = (self._steps(p, t0, t1, m) for m in (n, 2 * n))
        return fine, float(np.abs(coarse - fine).sum()) + 4.0 * UNIT * (q * (t1 - t0) + 100.0)

    def _steps(self, p: Any, t0: float, t1: float, n: int) -> Any:
        h = (Extended(t1) - Extended(t0)) / n
        for i in range(n):
            p = self._extrapolated_step(p, Extended(t0) + i * h, h)
        return p

    def _slope(self, p: Any, t: Any) -> Any:
        return self.flow @ (self.rates(t) * p[self.source])

    def _extrapolated_step(self, p: Any, t: Any, h: Any) -> Any:
        first, row = self._slope(p, t), []
        for j, m in enumerate(SUBSTEPS):
            width = h / m
            before, now = p, p + width * first
            for i in range(1, m):
                before, now = now, before + 2 * width * self._slope(now, t + i * width)
            new = [0.5 * (before + now + width * self._slope(now, t + h))]
            for k in range(1, j + 1):
                ratio = (Extended(m) / SUBSTEPS[j - k]) ** 2
                new.append(new[-1] + (new[-1] - row[k - 1]) / (ratio - 1))
            row = new
        return row[-1]

    # ---- stationary

    @cached_property
    def _closed(self) -> Any:
        """The rates between the states, columns to rows, without jumps out of the box."""
        if self.n > MOST_ELIMINATED:
            raise TooLargeError
        Q = np.zeros((self.n, self.n), Extended)
        inside = self.target < self.n
        np.add.at(Q, (self.target[inside], self.source[inside]), self.rates(0.0)[inside])
        return Q

    @cached_property
    def classes(self) -> tuple[Any, list[int]]:
        """The class of each state, and the labels of those that are closed."""
        Q = self._closed
        n, label = connected_components(sparse.csr_matrix(Q.astype(float) > 0), directed=True, connection="strong")
        i, j = np.nonzero(Q > 0)
        open_ = {int(label[b]) for a, b in zip(i, j, strict=True) if label[a] != label[b]}
        return label, [c for c in range(n) if c not in open_]

    def stationary(self) -> Any:
        """Return the distribution that the start ends in, on the box with a reflecting boundary, (n,)."""
        Q, (label, closed) = self._closed.copy(), self.classes
        start = np.zeros(self.n, Extended)
        for state, weight in self.start.items():
            start[self.place[state]] += Extended(weight)
        left = np.isin(label, closed)
        for k in np.flatnonzero(~left):  # what comes in goes on to where the state leads
            Q[k, k] = 0
            leads = Q[:, k] / Q[:, k].sum()
            Q += np.outer(leads, Q[k])
            start += leads * start[k]
            Q[k, :], Q[:, k], start[k] = 0, 0, 0
        p = np.zeros(self.n, Extended)
        for c in closed:
            mine = np.flatnonzero(label == c)
            p[mine] = start[mine].sum() * _null_vector(Q[np.ix_(mine, mine)])
        return p / p.sum()

    # ---- relaxation

    def gaps(self) -> dict[str, float]:
        """Return the slowest rates: of the whole chain, of its only closed class, or before it is absorbed."""
        if self.n > 320:
            raise TooLargeError
        label, closed = self.classes
        Q = self._closed.astype(float)
        slowest = {"whole": _slowest(Q, len(closed))}
        inside = np.isin(label, closed)
        if len(closed) == 1 and inside.sum() > 1:
            slowest["class"] = _slowest(Q[np.ix_(inside, inside)], 1)
        if not inside.all():
            A = Q - np.diag(Q.sum(axis=0))
            slowest["before absorption"] = float(-np.linalg.eigvals(A[np.ix_(~inside, ~inside)]).real.max())
        return slowest


def initial(network: Mapping[str, Any]) -> list[tuple[tuple[int, ...], float]]:
    """Return the states of the start with their probabilities."""
    if "initial" in network:
        return [(tuple(state), weight) for state, weight in network["initial"]]
    return [(tuple(network["species"].values()), 1.0)]


def _null_vector(Q: Any) -> Any:
    """Return the null vector of sum 1 of an irreducible chain, by elimination without subtractions."""
    T = Q.T.copy()  # rates from rows to columns
    n = len(T)
    np.fill_diagonal(T, 0)
    for k in range(n - 1, 0, -1):
        T[:k, k] /= T[k, :k].sum()
        T[:k, :k] += np.outer(T[:k, k], T[k, :k])
    p = np.zeros(n, Extended)
    p[0] = 1
    for k in range(1, n):
        p[k] = p[:k] @ T[:k, k]
    return p / p.sum()


def _slowest(Q: Any, n_zero: int) -> float:
    """Return the rate of the slowest mode that decays, inf where there is none."""
    A = Q - np.diag(Q.sum(axis=0))
    modes = np.sort(-np.linalg.eigvals(A).real)[n_zero:]
    return float(modes[0]) if len(modes) else math.inf


class _Law:
    """The rate of one reaction."""

    def __init__(self, reaction: Mapping[str, Any], species: list[str], parameters: Mapping[str, float]) -> None:
        reactants, products = (_side(side) for side in reaction["equation"].split("->"))
        self.species, self.parameters = species, parameters
        self.change = tuple(products.get(name, 0) - reactants.get(name, 0) for name in species)
        self.order = tuple(reactants.get(name, 0) for name in species)
        self.tree = formulas.parse(reaction["rate"]) if "rate" in reaction else None
        constant = reaction.get("mass_action", 0.0)
        self.factor = Extended(parameters[constant] if isinstance(constant, str) else constant)
        used = formulas.names(self.tree) if self.tree is not None else set()
        self.timed = "time" in used
        self.counts = [i for i, name in enumerate(species) if name in used]
        self.known: dict[tuple[int, ...], Any] = {}

    def enabled(self, x: tuple[int, ...]) -> bool:
        if any(count + change < 0 for count, change in zip(x, self.change, strict=True)):
            return False
        return self.timed or self.rate(x) > 0

    def rate(self, x: tuple[int, ...]) -> Any:
        if self.tree is None:
            ways = math.prod(math.comb(count, order) for count, order in zip(x, self.order, strict=True))
            return self.factor * _whole(ways)
        key = tuple(x[i] for i in self.counts)
        if key not in self.known:
            values = {**self.parameters, **{self.species[i]: x[i] for i in self.counts}}
            self.known[key] = formulas.extended(formulas.in_digits(self.tree, values))
        return self.known[key]

    def at(self, states: Any, t: Any) -> Any:
        values = {name: Extended(value) for name, value in self.parameters.items()}
        values |= {self.species[i]: states[:, i].astype(Extended) for i in self.counts}
        return formulas.on_arrays(self.tree, values | {"time": Extended(t)})


class _Event:
    """What happens at a time, or when a condition on the state becomes true."""

    def __init__(self, event: Mapping[str, Any], species: list[str], parameters: Mapping[str, float]) -> None:
        self.at = event.get("at")
        self.trigger = formulas.parse(event["trigger"]) if self.at is None else None
        self.maps = {name: formulas.parse(text) for name, text in event["assignments"].items()}
        self.species, self.parameters = species, parameters

    def _values(self, x: tuple[int, ...]) -> dict[str, Any]:
        return {**self.parameters, **dict(zip(self.species, x, strict=True))}

    def holds(self, x: tuple[int, ...]) -> bool:
        return bool(formulas.in_digits(self.trigger, self._values(x)))

    def mapped(self, x: tuple[int, ...]) -> tuple[int, ...]:
        values = self._values(x)
        new = {name: int(formulas.in_digits(tree, values)) for name, tree in self.maps.items()}
        return tuple(new.get(name, count) for name, count in zip(self.species, x, strict=True))


def _whole(number: int) -> np.longdouble:
    """Round an integer of any size to extended precision."""
    return Extended(number) if number < 2**62 else Extended(str(number))


def _side(text: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for term in text.split("+"):
        match term.split():
            case [number, name]:
                counts[name] = counts.get(name, 0) + int(number)
            case [name] if name != "0":
                counts[name] = counts.get(name, 0) + 1
    return counts
