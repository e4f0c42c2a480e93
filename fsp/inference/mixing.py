"""Transients of a network whose parameters differ among cells: what is known at the nodes of a rule, added up.

The rule is (2) of `fsp.inference.quadrature`, with F on a box that holds all states of the runs at the nodes: a first
guess from runs near the ends of the laws, which is made anew where a run left it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import SUM_ROUNDING, UNIT_ROUNDOFF
from fsp.distribution import ErrorLedger
from fsp.errors import ArgumentError, BackendError, ConvergenceError, ModelError
from fsp.inference.free_laws import starting
from fsp.inference.loop import run_of
from fsp.inference.parameters import require_no_events, without
from fsp.inference.problem import Limits, Reached
from fsp.inference.quadrature import Rule, rule_of
from fsp.model.definition import resolve
from fsp.model.derivatives import derivative
from fsp.model.ranges import enclosure
from fsp.model.tree import ZERO, Expression, Number, substitute, symbols
from fsp.moments.envelope import envelope
from fsp.moments.terms import gains
from fsp.projection.progress import labelled

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.inference.extrinsic import ParameterLaw
    from fsp.model import Model
    from fsp.model.spans import Range
    from fsp.space.protocol import AnySpace

MOST_NODES = 20_000  # of all parameters together: minutes, at 10 ms each
# Shares of what may be lost: by the errors of the rules, which count three times, by what laws have outside, by runs.
OF_RULES, OF_TAILS, OF_RUNS = 0.05, 0.1, 0.7
WIDER = 1.3  # times the largest counts of the first runs; F is the first power of them at least, nodes grow as its root
MOST_BOXES = 6  # that are tried, each wider than what the last runs took


@dataclass(frozen=True, slots=True, eq=False)
class Growth:
    """The functions f_r of (1) by parameter: what the rates are multiples of, beside what does not change."""

    species: tuple[str, ...]
    slopes: Mapping[str, tuple[Expression, ...]]

    @classmethod
    def of(cls, model: Model, names: Sequence[str]) -> Growth:
        """Take the laws apart; refuse those that are not ``g + θ f`` with both not negative."""
        require_no_events(model)
        moved = starting(model, names)
        if moved:
            raise ArgumentError(
                f"`extrinsic` must be of rate constants, but the initial counts of '{model.name}' depend on "
                f"'{moved[0]}'; make that a law of the start, such as poisson(…)."
            )
        fixed = resolve({name: tree for name, tree in model.definition.parameters.items() if name not in names})
        trees = []
        for reaction, law in zip(model.reactions, model.definition.laws, strict=True):
            if not isinstance(law, Expression):
                raise ModelError(
                    f"A rate must be a formula where a parameter differs among cells, but that of '{reaction.name}' "
                    f"is a callable; write it as a text."
                )
            trees.append((str(reaction.name), substitute(law, fixed)))
        return cls(
            tuple(model.species), {name: tuple(_slope(model, name, r, tree) for r, tree in trees) for name in names}
        )

    def on(self, name: str, box: Mapping[str, Range], horizon: float) -> float:
        """Bound t F on a box of states and of other parameters."""
        size = sum(_largest(tree, self.species, box, horizon) for tree in self.slopes[name] if tree != ZERO)
        if not np.isfinite(size):
            raise BackendError(
                f"Rates must be bounded multiples of '{name}' at given counts where it differs among cells, but one is "
                f"not, for all that is known; write its functions of time so that their range is seen, as min(…, 10)."
            )
        return horizon * size * (1.0 + SUM_ROUNDING)


def _largest(tree: Expression, species: Sequence[str], box: Mapping[str, Range], horizon: float) -> float:
    """Bound a function on a box, by ranges at all times or by a polynomial above it up to the horizon."""
    by_range = max(0.0, enclosure(tree, box)[1])
    upper = gains(envelope(tree, species, horizon).upper)
    if upper is None:
        return by_range
    top = [box[name][1] for name in species]
    terms = (float(c) * prod(x ** float(p) for x, p in zip(top, powers, strict=True)) for powers, c in upper.items())
    return float(min(by_range, sum(terms) * (1.0 + SUM_ROUNDING)))


def _slope(model: Model, name: str, reaction: str, tree: Expression) -> Expression:
    """Return f of a law ``g + θ f``."""
    slope = derivative(tree, name)
    if name in symbols(slope):
        raise BackendError(
            f"`extrinsic` must be of parameters that rates are multiples of, or multiples and a rest, but that of "
            f"'{reaction}' depends on '{name}' otherwise. Write a parameter for what differs among cells, such as "
            f"the whole rate."
        )
    if without(tree, name) == ZERO:
        return slope
    rest = substitute(tree, {name: Number(0.0)})
    everywhere = {species: (0.0, np.inf) for species in model.species}
    if slope != ZERO and min(enclosure(part, everywhere)[0] for part in (slope, rest)) < 0.0:
        raise BackendError(
            f"A rate that is a multiple of '{name}' and a rest must be a sum of terms that are not negative, but that "
            f"of '{reaction}' is not seen to be; write it as two reactions."
        )
    return slope


@dataclass(frozen=True, slots=True)
class Shares:
    """What rules may be off, laws have outside, and runs lose."""

    rules: float
    tails: float
    runs: float

    @classmethod
    def of(cls, loss: float) -> Shares:
        """Share what may be lost in all."""
        return cls(OF_RULES * loss, OF_TAILS * loss, OF_RUNS * loss)


class Mixing:
    """A network, laws of its parameters, and the rules that are used."""

    def __init__(self, model: Model, laws: Mapping[str, ParameterLaw], times: FloatArray, limits: Limits) -> None:
        self.model, self.times, self._limits = model, times, limits
        self.laws = {name: law.at(model.parameters) for name, law in laws.items()}
        self._growth = Growth.of(model, tuple(laws))
        self._top = np.zeros(model.n_species)  # (d,) largest counts of the runs so far
        self.nodes = 0  # of the last rules together
        self.products = 0

    def reached(self, loss: float, report: Callable[[int, int], None] = lambda done, all: None) -> list[Reached]:
        """Return what is known of the mixture at each time, lacking about `loss`."""
        shares = Shares.of(loss)
        ranges = {name: law.ends(0.5 * shares.tails / len(self.laws)) for name, law in self.laws.items()}
        if not self._top.any():
            for ends in product(*(sorted({low, law.numbers[0], high}) for (low, high), law in self._paired(ranges))):
                self._run(dict(zip(self.laws, ends, strict=True)), shares.runs)
            self._top = np.minimum(np.ceil(WIDER * self._top), self.model.species_bounds)
        for _ in range(MOST_BOXES):
            box = self._top.copy()
            rules = self.rules(ranges, shares)
            mixed = _Sum(rules)
            for done, (values, weight) in enumerate(self.points(rules)):
                report(done, self.nodes)
                mixed.add(weight, self._run(values, shares.runs, f"node {done + 1} of {self.nodes}"))
            if (self._top <= box).all():
                return mixed.reached()
            self._top = np.minimum(np.ceil(WIDER * self._top), self.model.species_bounds)
        raise ConvergenceError(
            f"The states of the runs at all values of {', '.join(self.laws)} must be in one box, but {MOST_BOXES} were "
            f"too narrow. Ask for a larger `tol`."
        )

    def rules(self, ranges: Mapping[str, tuple[float, float]], shares: Shares) -> list[Rule]:
        """Return the rule of each parameter, on the box of the largest counts."""
        box: dict[str, Range] = {
            name: (0.0, top) for name, top in zip(self.model.species, self._top.tolist(), strict=True)
        }
        box |= ranges
        many, horizon = len(self.laws), float(self.times[-1])
        rules = [
            rule_of(law, self._growth.on(name, box, horizon), shares.rules / many, shares.tails / many)
            for name, law in self.laws.items()
        ]
        self.nodes = int(np.prod([float(len(rule)) for rule in rules]))
        if self.nodes > MOST_NODES:
            raise ConvergenceError(
                f"The rules of {', '.join(self.laws)} must have at most {MOST_NODES:,} nodes together, but have "
                f"{self.nodes:,}. Ask for a larger `tol`, an earlier time, or fewer parameters that differ."
            )
        return rules

    def points(self, rules: Sequence[Rule]) -> Iterator[tuple[dict[str, float], float]]:
        """Yield the values at each node of all parameters, and its weight."""
        for places in product(*(range(len(rule)) for rule in rules)):
            chosen = list(zip(self.laws, rules, places, strict=True))
            weight = float(np.prod([rule.weights[i] for _, rule, i in chosen]))
            yield {name: float(rule.nodes[i]) for name, rule, i in chosen}, weight

    def _paired(self, ranges: Mapping[str, tuple[float, float]]) -> list[tuple[tuple[float, float], ParameterLaw]]:
        return [(ranges[name], law) for name, law in self.laws.items()]

    def _run(self, values: Mapping[str, float], loss: float, label: str = "") -> list[Reached]:
        def watch(space: AnySpace) -> None:
            self._top = np.maximum(self._top, space.local.states.max(axis=0, initial=0))

        model = self.model.with_parameters(dict(values))
        limits = replace(self._limits, report=labelled(self._limits.report, label))
        run = run_of(model, self.times, loss, limits, watch=watch)
        found = run.results()
        if found is None:
            raise ValueError("`loss` must be all that is lost, where there are no derivatives.")
        self.products += run.counts["products"]
        return found


class _Sum:
    """A sum of weights times what is known at nodes."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._weights: list[float] = []
        self._parts: list[list[Reached]] = []

    def add(self, weight: float, reached: list[Reached]) -> None:
        self._weights.append(weight)
        self._parts.append(reached)

    def reached(self) -> list[Reached]:
        return [self._at(list(parts)) for parts in zip(*self._parts, strict=True)]

    def _at(self, parts: list[Reached]) -> Reached:
        """Return (3) and (4) at one time."""
        weights = np.array(self._weights)
        error, outside, relative = (sum(getattr(rule, name) for rule in self._rules) for name in _OF_RULES)
        states = np.concatenate([part.distribution.states for part in parts])
        y = np.concatenate([w * part.distribution.probabilities for w, part in zip(weights, parts, strict=True)])
        different, place = np.unique(states, axis=0, return_inverse=True)
        probabilities = np.asarray(np.bincount(place.reshape(-1), y, minlength=len(different)), dtype=np.float64)
        off = relative + (len(parts) + 2 * len(self._rules)) * UNIT_ROUNDOFF
        terms = {name: float(weights @ [part.distribution.error.terms[name] for part in parts]) for name in _TERMS}
        ledger = ErrorLedger(
            truncation=terms["truncation"] + outside,
            integration=2.0 * terms["integration"] + 3.0 * error,
            pruning=terms["pruning"],
            rounding=2.0 * terms["rounding"] + off,
            certified=all(part.distribution.error.certified for part in parts),
        )
        first = parts[0]
        mixed = replace(
            first.distribution,
            states=different,
            probabilities=probabilities * min(1.0, 1.0 / float(probabilities.sum())),
            error=ledger,
            closed=any(part.distribution.closed for part in parts),
            moments=None,
            notes=(),
        )
        return Reached(
            mixed,
            np.empty((0, len(different))),
            (),
            np.empty((0, different.shape[1])),
            None,
            np.empty(0),
            lacking=float(weights @ [part.lacking for part in parts]) + outside + 2.0 * error,
            relative=max(part.relative for part in parts) + off + SUM_ROUNDING,
            absolute=float(weights @ [part.absolute for part in parts]) + error,
        )


_OF_RULES = ("error", "outside", "relative")
_TERMS = ("truncation", "integration", "pruning", "rounding")
