"""Transients of a network whose parameters differ among cells: what is known at the nodes of a rule, added up.

The rule is (2) of `fsp.inference.quadrature`, with F on a box that holds all states of the runs at the nodes: a first
guess from runs near the ends of the laws, which is made anew where a run left it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from fsp.arithmetic import SUM_ROUNDING, UNIT_ROUNDOFF
from fsp.distribution import ErrorLedger
from fsp.distribution.ledger import PARTS
from fsp.errors import ConvergenceError
from fsp.inference.adjoint_space import together
from fsp.inference.affine_rates import AffineRates
from fsp.inference.distributions import run_of
from fsp.inference.problem import Limits, Reached
from fsp.inference.quadrature import QuadratureRule, rule_of
from fsp.projection.progress import labelled
from fsp.solvers.poisson import AMPLIFIED

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.inference.extrinsic import ParameterLaw
    from fsp.model import Model
    from fsp.model.spans import Range
    from fsp.space import StateSpace
    from fsp.space.base import BaseSpace

MOST_NODES = 20_000  # of all parameters together: minutes, at 10 ms each
# Shares of what may be lost: by the errors of the rules, which count three times, by what laws have outside, by runs.
OF_RULES, OF_TAILS, OF_RUNS = 0.05, 0.1, 0.7
# Of what runs lose, so much is shared by all nodes alike, over their weights: what has little weight may lose much, at
# most the last.  Chosen: the states of far nodes are a few then.
BY_WEIGHT, MOST_LOST = 0.5, 0.1
WIDER = 1.3  # times the largest counts of the first runs; F is the first power of them at least, nodes grow as its root
MOST_BOXES = 6  # that are tried, each wider than what the last runs took


Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class LossShares:
    """What rules may be off, laws have outside, and runs lose."""

    rules: float
    tails: float
    runs: float

    @classmethod
    def of(cls, loss: float) -> LossShares:
        """Share what may be lost in all."""
        return cls(OF_RULES * loss, OF_TAILS * loss, OF_RUNS * loss)

    def of_node(self, weight: float, nodes: int) -> float:
        """Return what the run at a node may lose: with weights that add up to one, all lose `runs` together."""
        by_weight = BY_WEIGHT / max(nodes * weight, 1e-300)
        return min(self.runs * (1.0 - BY_WEIGHT + by_weight), MOST_LOST)


class Patch(NamedTuple):
    """Nodes next to each other, and the states that runs at the corners around them were on."""

    points: list[tuple[dict[str, float], float]]  # values by name, and weight
    space: StateSpace


class Mixing:
    """A network, laws of its parameters, and the rules that are used."""

    def __init__(
        self,
        model: Model,
        laws: Mapping[str, ParameterLaw],
        times: FloatArray,
        limits: Limits,
    ) -> None:
        self.model, self.times, self._limits = model, times, limits
        self.laws = {name: law.at(model.parameters) for name, law in laws.items()}
        self._affine = AffineRates.of(model, tuple(laws), bent=True)
        self._top = np.zeros(model.n_species)  # (d,) largest counts of the runs so far
        self.nodes = 0  # of the last rules together
        self.products = 0

    def reached(self, loss: float, report: Callable[[int, int], None] = lambda done, all: None) -> list[Reached]:
        """Return what is known of the mixture at each time, lacking about `loss`."""
        shares = LossShares.of(loss)

        def added(rules: Sequence[QuadratureRule]) -> list[Reached]:
            mixed, off = _Sum(rules), self.rates_off(rules)
            flat = self._shifted(rules, self._box(self.ranges(shares))) if self.model.is_time_dependent else 0.0
            for done, (values, weight) in enumerate(self.points(rules)):
                report(done, self.nodes)
                lost = self._lost(shares, weight)
                before = self.products
                reached = self._run(values, lost, f"node {done + 1} of {self.nodes}")
                grown = 0.0 if self.model.is_time_dependent else AMPLIFIED * off * (self.products - before)
                mixed.add(weight, reached, grown, flat)
            return mixed.reached()

        return self._on_boxes(shares, added)

    def looked_at(self, loss: float, every: int) -> tuple[list[QuadratureRule], list[Patch]]:
        """Return the rules on a box that holds the states of runs at about one of `every` nodes, and what lies between.

        Each run loses what its node may; what others lose on the states of the runs around them is seen later.
        """
        shares = LossShares.of(loss)
        stride = max(1, round(every ** (1.0 / len(self.laws))))

        def looked(rules: Sequence[QuadratureRule]) -> list[tuple[list[QuadratureRule], list[Patch]]]:
            cuts = [[*range(0, len(rule) - 1, stride), len(rule) - 1] for rule in rules]
            met: dict[tuple[int, ...], StateSpace] = {}
            for corner in product(*(range(len(of_law)) for of_law in cuts)):
                at = [of_law[i] for of_law, i in zip(cuts, corner, strict=True)]
                ((values, weight),) = self.points([rule.only(i) for rule, i in zip(rules, at, strict=True)])
                spaces: list[BaseSpace] = []
                self._run(values, self._lost(shares, weight), watch=spaces.append)
                met[corner] = together(spaces)
            return [(list(rules), self._patches(rules, cuts, met))]

        ((rules, patches),) = self._on_boxes(shares, looked)
        return rules, patches

    def _patches(
        self, rules: Sequence[QuadratureRule], cuts: Sequence[Sequence[int]], met: Mapping[tuple[int, ...], StateSpace]
    ) -> list[Patch]:
        """Return the nodes from each run to the next ones, with the states of the runs around them."""
        patches = []
        for first in product(*(range(max(1, len(of_law) - 1)) for of_law in cuts)):
            ends = [min(i + 1, len(of_law) - 1) for of_law, i in zip(cuts, first, strict=True)]
            parts = [
                rule.only(of_law[i], of_law[end] - (end < len(of_law) - 1))
                for rule, of_law, i, end in zip(rules, cuts, first, ends, strict=True)
            ]
            corners = product(*({i, end} for i, end in zip(first, ends, strict=True)))
            patches.append(Patch(list(self.points(parts)), together([met[corner] for corner in corners])))
        return patches

    def _on_boxes(self, shares: LossShares, visit: Callable[[Sequence[QuadratureRule]], list[Found]]) -> list[Found]:
        """Return what a visit of nodes comes to, with rules on a box that holds all states of its runs."""
        ranges = self.ranges(shares)
        if not self._top.any():
            for ends in product(*(sorted({low, law.numbers[0], high}) for (low, high), law in self._paired(ranges))):
                self._run(dict(zip(self.laws, ends, strict=True)), shares.runs)
            self._top = np.minimum(np.ceil(WIDER * self._top), self.model.species_bounds)
        for _ in range(MOST_BOXES):
            box = self._top.copy()
            answers = visit(self.rules(ranges, shares))
            if (self._top <= box).all():
                return answers
            self._top = np.minimum(np.ceil(WIDER * self._top), self.model.species_bounds)
        raise ConvergenceError(
            f"The states of the runs at all values of {', '.join(self.laws)} must be in one box, but {MOST_BOXES} were "
            f"too narrow. Ask for an earlier time, or a smaller `cv`."
        )

    def ranges(self, shares: LossShares) -> dict[str, tuple[float, float]]:
        """Return the ends of each law."""
        return {name: law.ends(0.5 * shares.tails / len(self.laws)) for name, law in self.laws.items()}

    def rules(self, ranges: Mapping[str, tuple[float, float]], shares: LossShares) -> list[QuadratureRule]:
        """Return the rule of each parameter, on the box of the largest counts."""
        box = self._box(ranges)
        many, horizon = len(self.laws), float(self.times[-1])
        rules = [
            rule_of(law, self._affine.on(name, box, horizon), shares.rules / many, shares.tails / many)
            for name, law in self.laws.items()
        ]
        self.nodes = int(np.prod([float(len(rule)) for rule in rules]))
        if self.nodes > MOST_NODES:
            raise ConvergenceError(
                f"The rules of {', '.join(self.laws)} must have at most {MOST_NODES:,} nodes together, but have "
                f"{self.nodes:,}. Ask for an earlier time, or let fewer parameters differ, or those less."
            )
        return rules

    def _lost(self, shares: LossShares, weight: float) -> float:
        """Return what the run at a node may lose; where rates change, steps grow short with a large loss (measured)."""
        return shares.runs if self.model.is_time_dependent else shares.of_node(weight, self.nodes)

    def _box(self, ranges: Mapping[str, Range]) -> dict[str, Range]:
        """Return the box of the largest counts, and of parameters."""
        tops = zip(self.model.species, self._top.tolist(), strict=True)
        return {**{name: (0.0, top) for name, top in tops}, **ranges}

    def rates_off(self, rules: Sequence[QuadratureRule]) -> float:
        """Bound what rates are off at nodes that are rounded, relative: σ ε of all parameters together."""
        return sum(self._affine.steepness(name) * rule.moved for name, rule in zip(self.laws, rules, strict=True))

    def _shifted(self, rules: Sequence[QuadratureRule], box: Mapping[str, Range]) -> float:
        """Bound (5) on a box, for all parameters together."""
        horizon = float(self.times[-1])
        pairs = zip(self.laws, rules, strict=True)
        return 2.0 * sum(rule.moved * self._affine.shifted(name, box, horizon) for name, rule in pairs)

    def points(self, rules: Sequence[QuadratureRule]) -> Iterator[tuple[dict[str, float], float]]:
        """Yield the values at each node of all parameters, and its weight."""
        for places in product(*(range(len(rule)) for rule in rules)):
            chosen = list(zip(self.laws, rules, places, strict=True))
            weight = float(np.prod([rule.weights[i] for _, rule, i in chosen]))
            yield {name: float(rule.nodes[i]) for name, rule, i in chosen}, weight

    def _paired(self, ranges: Mapping[str, tuple[float, float]]) -> list[tuple[tuple[float, float], ParameterLaw]]:
        return [(ranges[name], law) for name, law in self.laws.items()]

    def _run(
        self,
        values: Mapping[str, float],
        loss: float,
        label: str = "",
        watch: Callable[[BaseSpace], None] = lambda space: None,
    ) -> list[Reached]:
        def seen(space: BaseSpace) -> None:
            self._top = np.maximum(self._top, space.local.states.max(axis=0, initial=0))
            watch(space)

        model = self.model.with_parameters(dict(values))
        limits = replace(self._limits, report=labelled(self._limits.report, label))
        run = run_of(model, self.times, loss, limits, watch=seen)
        reached = run.results()
        if reached is None:
            raise ValueError("`loss` must be all that is lost, where there are no derivatives.")
        self.products += run.counts["products"]
        return reached


class _Sum:
    """A sum of weights times what is known at nodes."""

    def __init__(self, rules: Sequence[QuadratureRule]) -> None:
        self._rules = rules
        self._weights: list[float] = []
        self._parts: list[list[Reached]] = []
        self._grown, self._flat = list[float](), 0.0

    def add(self, weight: float, reached: list[Reached], grown: float, flat: float) -> None:
        """Add what is known at a node, whose rounding moves each probability by a part `grown`, or all by `flat`."""
        self._weights.append(weight)
        self._parts.append(reached)
        self._grown.append(grown)
        self._flat += weight * flat

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
        mass = max(1.0, float(probabilities.sum()))  # weights may add up to a little more
        off = relative + (len(parts) + 2 * len(self._rules)) * UNIT_ROUNDOFF + (mass - 1.0)
        moved = float(weights @ self._grown) + self._flat
        terms = {name: float(weights @ [part.distribution.error.terms[name] for part in parts]) for name in PARTS}
        ledger = ErrorLedger(
            truncation=terms["truncation"] + outside,
            integration=2.0 * terms["integration"] + 3.0 * error,
            pruning=terms["pruning"],
            rounding=2.0 * terms["rounding"] + off + moved,
            certified=all(part.distribution.error.certified for part in parts),
        )
        first = parts[0]
        mixed = replace(
            first.distribution,
            states=different,
            probabilities=probabilities / mass,
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
            relative=max(part.relative + g for part, g in zip(parts, self._grown, strict=True)) + off + SUM_ROUNDING,
            absolute=float(weights @ [part.absolute for part in parts]) + error + self._flat,
        )


_OF_RULES = ("error", "outside", "relative")
