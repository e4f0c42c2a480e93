"""Stationary distributions of a network whose parameters differ among cells: what is known at nodes, added up.

The range of the laws is taken apart into pieces, on each of which `fsp.inference.stationary_pieces` bounds what Gauss's
rule errs by, (2) of `fsp.inference.quadrature`.  With Q the sum of that over pieces, λ and k as there, Λ a bound of
λ at complex parameters over ``‖π_J‖₁``, τ what laws have outside of their ends, and ``l_j <= π(θ_j)`` at the nodes,

(1)  ‖ ∫ π dμ - Σ_j w_j π(θ_j) ‖₁  <=  Q + Σ_j w_j 4 λ_j/k + 2 Λ Q/k  =  q ,

since ``π_J`` is integrated up to Q, and so is ``2 λ/k``, which bounds what it is off from π: at the nodes and, on the
average, between them.  So

(2)  ‖ ∫ π dμ - Σ_j w_j l_j ‖₁  <=  τ + q + Σ_j w_j (1 - Σ l_j) ,
(3)  ∫ π dμ  >=  Σ_j w_j l_j - δ  state by state, with δ >= 0 and Σ δ <= q .
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fsp.arithmetic import SUM_ROUNDING, UNIT_ROUNDOFF
from fsp.distribution import Distribution, ErrorLedger
from fsp.distribution.distribution import Provenance
from fsp.equilibrium.response import MOST_EXCEPTED
from fsp.equilibrium.stationary import stationary
from fsp.errors import BackendError, ConvergenceError, StateSpaceError, ToleranceWarning
from fsp.inference.affine_rates import AffineRates
from fsp.inference.mixing import MOST_NODES, Mixing
from fsp.inference.problem import Limits, Reached
from fsp.inference.quadrature import QuadratureRule, Subinterval, middle_of, needed, rule_on
from fsp.inference.stationary_pieces import PieceNode, StationaryPiece, corners_of
from fsp.moments.lyapunov import NoDriftCondition, common_condition
from fsp.projection.growth import most_states
from fsp.space import StateSpace

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.inference.extrinsic import ParameterLaw
    from fsp.inference.stationary_pieces import Box
    from fsp.model import Model
    from fsp.moments.lyapunov import DriftCondition

# Of what may be lost: by the errors of the rules, by what laws have outside, and by leaks at a node.
OF_RULES, OF_TAILS, OF_LEAKS = 0.3, 0.3, 0.02
OF_STATES = (
    1e-9  # of the distributions that states are first taken from; J grows by GROWTH_STEPS reactions until it does
)
GROWTH_STEPS, MOST_GROWTHS = 6, 40  # chosen
ENOUGH_NODES = 20  # nodes of a piece along a parameter that is not halved: a few more of all than the fewest, measured
SECOND_ORDER = 1e-6  # what is of second order in the rounding of nodes, relative
FARTHEST_RATIO = 2.0  # ratio of the ends of a box with states and a drift condition of its own; chosen
NARROW_RATIO = 1.001  # ratio of its ends at which no narrower one is looked for; chosen
NARROWEST_PIECE = 1e-6  # ratio of the width of a piece to its middle, below which there is none; chosen
MOST_PIECES = 4_000  # that are tried; chosen


def mixing_of(
    model: Model, laws: Mapping[str, ParameterLaw], times: FloatArray, limits: Limits, start: str | None
) -> Mixing | StationaryMixing:
    """Return what mixes the distributions of cells that begin in counts of the model, or in stationary ones."""
    return Mixing(model, laws, times, limits) if start is None else StationaryMixing(model, laws, times, limits)


class _PieceRules(NamedTuple):
    """A piece, and the rules on it."""

    piece: StationaryPiece
    rules: list[QuadratureRule]
    error: float  # Q

    def points(self) -> Iterator[tuple[dict[str, float], float]]:
        """Yield the values at each node of all parameters, and its weight."""
        for places in product(*(range(len(rule)) for rule in self.rules)):
            chosen = list(zip(self.piece.box, self.rules, places, strict=True))
            weight = float(np.prod([rule.weights[i] for _, rule, i in chosen]))
            yield {name: float(rule.nodes[i]) for name, rule, i in chosen}, weight

    def __len__(self) -> int:
        return int(np.prod([len(rule) for rule in self.rules]))


class StationaryMixing:
    """A network, and laws of its parameters, each cell being in a stationary distribution of its own."""

    def __init__(self, model: Model, laws: Mapping[str, ParameterLaw], times: FloatArray, limits: Limits) -> None:
        if model.is_time_dependent:
            raise BackendError(
                f"Cells that differ and begin in their stationary distributions must have rates that do not depend on "
                f"time, but '{model.name}' has such rates. Let it start from initial counts and begin the change "
                f"later, after cells have settled."
            )
        self.model, self.times, self._limits = model, times, limits
        self.laws = {name: law.at(model.parameters) for name, law in laws.items()}
        self._affine = AffineRates.of(model, tuple(laws))
        self._known: dict[tuple[float, ...], Distribution] = {}
        self.nodes = self.products = 0

    def reached(self, loss: float, report: Callable[[int, int], None] = lambda done, all: None) -> list[Reached]:
        """Return what is known of the mixture, the same at each time, lacking about `loss`."""
        parts = self.parts(loss)
        mixed = _StationarySum(OF_TAILS * loss)
        done = 0
        for part in parts:
            mixed.begin(part)
            for values, weight in part.points():
                report(done, self.nodes)
                node = part.piece.at(values)
                if node is None:
                    raise _refusal(part.piece.box)
                mixed.add(weight, node)
                done += 1
        return [mixed.reached(self.model, t) for t in self.times.tolist()]

    def parts(self, loss: float) -> list[_PieceRules]:
        """Return the pieces with their rules."""
        ends = {name: law.ends(0.5 * OF_TAILS * loss / len(self.laws)) for name, law in self.laws.items()}
        pending: list[tuple[Box, float, _PieceStates | None]] = [(ends, OF_RULES * loss, None)]
        parts: list[_PieceRules] = []
        self.nodes, tried = 0, 0
        while pending:
            box, share, states = pending.pop()
            states = states or self._states(box)
            part, name = self._part(box, share, states, OF_LEAKS * loss) if states else (None, _widest(box))
            tried += 1
            if part is not None:
                parts.append(part)
                self.nodes += len(part)
            else:
                pending += [(half, 0.5 * share, states) for half in _halves(box, name)]
            if self.nodes > MOST_NODES or tried > MOST_PIECES:
                raise ConvergenceError(
                    f"The rules of {', '.join(self.laws)} must have at most {MOST_NODES:,} nodes on {MOST_PIECES:,} "
                    f"pieces, but have more, as cells take long to settle. Let fewer parameters differ, or "
                    f"those less."
                )
        return parts

    def _part(self, box: Box, share: float, states: _PieceStates, spilled: float) -> tuple[_PieceRules | None, str]:
        """Return a piece with its rules, for a share of the error; None where it must be halved, and by which name."""
        piece = self._piece(box, states)
        for _ in range(MOST_GROWTHS):
            if piece is None or piece.spilled <= spilled:
                break
            states.grow(self.model, self._limits)
            piece = self._piece(box, states)
        if piece is None:
            return None, _widest(box)
        error = share / len(box) / (1.0 + piece.highest)
        counts = {name: needed(self.laws[name], piece.growth(name), *ends, error) for name, ends in box.items()}
        if max(counts.values()) > ENOUGH_NODES:
            return None, max(counts, key=lambda name: (counts[name], _ratio(*box[name])))
        rules = [rule_on(self.laws[name], [Subinterval(*ends, counts[name])], error, 0.0) for name, ends in box.items()]
        return _PieceRules(piece, rules, len(box) * error), ""

    def _piece(self, box: Box, states: _PieceStates) -> StationaryPiece | None:
        return StationaryPiece.of(self.model, self._affine, box, states.space, states.middle, states.condition)

    def _states(self, box: Box) -> _PieceStates | None:
        """Return J for values in a box, and a drift condition; None where the box is too wide for one."""
        name = _widest(box)
        if box[name][1] > FARTHEST_RATIO * box[name][0]:
            return None
        corners, centre = corners_of(box), {other: 0.5 * sum(ends) for other, ends in box.items()}
        try:
            condition = (
                None
                if self.model.is_finite
                else common_condition([self.model.with_parameters(values) for values in corners])
            )
        except NoDriftCondition as missing:
            if box[name][1] > NARROW_RATIO * box[name][0]:
                return None
            raise BackendError(
                f"Stationary distributions of cells that differ must have a drift condition that neighbouring values "
                f"share, but {missing}. Write what has a largest count so that it is seen, as a gene by two species "
                f"that turn into each other; or start from initial counts, and ask for a time after which cells have "
                f"settled."
            ) from missing
        answers = [self._stationary(values) for values in (*corners, centre)]
        states = [answer.states for answer in answers]
        if condition is not None and len(condition.states) <= MOST_EXCEPTED:
            states.append(condition.states)
        space = StateSpace.from_states(self.model.species, np.concatenate(states))
        return _PieceStates(space, answers[-1].states[np.argmax(answers[-1].probabilities)], condition)

    def _stationary(self, values: Mapping[str, float]) -> Distribution:
        limits, at = self._limits, tuple(values.values())
        if at not in self._known:
            with warnings.catch_warnings():  # only states are taken of it
                warnings.simplefilter("ignore", ToleranceWarning)
                self._known[at] = stationary(
                    self.model.with_parameters(dict(values)),
                    OF_STATES,
                    max_states=limits.max_states,
                    max_memory=limits.max_memory,
                    progress=limits.report,
                )
        return self._known[at]


class _PieceStates:
    """J, which grows, for the values in a box."""

    def __init__(self, space: StateSpace, mode: IntArray, condition: DriftCondition | None) -> None:
        self.space, self.condition, self._mode = space, condition, mode

    @property
    def middle(self) -> int:
        """The place of the most probable state at the middle of the box."""
        return int(self.space.index(self._mode[None])[0])

    def grow(self, model: Model, limits: Limits) -> None:
        """Take in the states that a few reactions lead to."""
        larger = StateSpace.from_states(model.species, self.space.grow(model, GROWTH_STEPS).states)
        limit = limits.max_states or most_states(model)
        if not len(self.space) < len(larger) <= limit:
            raise StateSpaceError(
                f"Stationary distributions of cells that differ must be on at most {limit:,} states, but need more; "
                f"raise `max_states`, or let parameters differ less."
            )
        self.space = larger


def _widest(box: Box) -> str:
    return max(box, key=lambda name: _ratio(*box[name]))


def _ratio(low: float, high: float) -> float:
    """Return the ratio of the ends of a piece; infinite where the lower one is too small for a double."""
    return high / low if low > 0.0 else math.inf


def _halves(box: Box, name: str) -> list[Box]:
    low, high = box[name]
    middle = middle_of(low, high)
    if high - low <= NARROWEST_PIECE * middle:
        raise _refusal(box)
    return [{**box, name: ends} for ends in ((middle, high), (low, middle))]


def _refusal(box: Box) -> Exception:
    """Return what says that no piece is narrow enough."""
    values = ", ".join(f"{name} = {low:.6g}" for name, (low, _) in box.items())
    return ConvergenceError(
        f"The stationary distributions of cells that differ must be bounded together, but are not around {values}, for "
        f"all that is found: states may not lead back to the most probable one, or take too long. Start from initial "
        f"counts, and ask for a time after which cells have settled."
    )


class _StationarySum:
    """A sum of weights times what is known at nodes, (2) and (3)."""

    def __init__(self, outside: float) -> None:
        self._outside = outside  # τ
        self._parts: list[tuple[_PieceRules, FloatArray]] = []
        self._lost = self._lacking = self._leaked = self._errors = 0.0
        self._of_weights = self._of_nodes = self._moved = 0.0  # relative

    def begin(self, part: _PieceRules) -> None:
        """Take note of the piece that nodes are added of."""
        self._parts.append((part, np.zeros(len(part.piece.space))))
        self._errors += part.error * (1.0 + part.piece.highest)
        self._of_weights = max(self._of_weights, sum(rule.relative for rule in part.rules))
        moved = sum(rule.moved for rule in part.rules)
        self._moved = max(self._moved, 2.0 * len(part.piece.space) * moved * (1.0 + SECOND_ORDER))  # (5) there

    def add(self, weight: float, node: PieceNode) -> None:
        """Add what is known at a node."""
        _, y = self._parts[-1]
        y += weight * node.lower
        self._lost += weight * max(0.0, 1.0 - float(node.lower.sum()) * (1.0 - SUM_ROUNDING))
        self._lacking += weight * node.lacking
        self._of_nodes = max(self._of_nodes, node.relative)
        self._leaked += weight * 2.0 * node.leaked

    def reached(self, model: Model, t: float) -> Reached:
        """Return what is known at a time."""
        states = np.concatenate([part.piece.space.states for part, _ in self._parts])
        y = np.concatenate([row for _, row in self._parts])
        different, place = np.unique(states, axis=0, return_inverse=True)
        probabilities = np.bincount(place.reshape(-1), y, minlength=len(different)).astype(np.float64)
        nodes = sum(len(part) for part, _ in self._parts)
        off = self._of_weights + (nodes + 2 * len(self._parts[0][0].rules)) * UNIT_ROUNDOFF
        mass = max(1.0, float(probabilities.sum()))  # weights may add up to a little more
        off += mass - 1.0
        ledger = ErrorLedger(
            truncation=self._outside + self._lost + self._leaked,
            integration=self._errors,
            rounding=off + self._moved,
        )
        distribution = Distribution(
            different,
            probabilities / mass,
            tuple(model.species),
            t=t,
            error=ledger,
            closed=not any(part.piece.outer for part, _ in self._parts),
            observables=model.observables,
            **Provenance.of(model),
        )
        empty = np.empty((0, len(different)))
        return Reached(
            distribution,
            empty,
            (),
            np.empty((0, different.shape[1])),
            None,
            np.empty(0),
            lacking=self._outside + self._lacking,
            relative=self._of_nodes + self._moved + off + SUM_ROUNDING,
            absolute=self._leaked + self._errors,
        )
