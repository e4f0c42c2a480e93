"""The gradient of the log-likelihood of cells that differ: adjoints at the nodes of a rule, added up.

With P_z the mixture of p_z(θ) over a law with the density ρ, and ``f(x) = Σ_z n_z/P_z T(z | x) <= G`` as in
`fsp.inference.score`, the derivative of Σ_z n_z log P_z is that of ``∫ E_θ[f] ρ dθ`` with f fixed.  Let p_J be the
probabilities of paths that stay in the stored states J, θ between the ends of the rule, and S the score of a path, or
of θ, which the expectation over all paths and θ weighs f with.  δ is the probability of what leaves J or the ends:

(1)  | E[S f] - E[S f; stays] |  <=  G √(E[S²] δ)

by Cauchy and Schwarz; `fsp.inference.mixed_scores` bounds E[S²] of paths, `ParameterLaw.slope_squares` that of θ.  What
stays is ``∫ ρ Σ f ∂_k p_J dθ``, or with the score ∂ log ρ of θ in place of ∂_k, analytic in θ.  On the ellipses of
`fsp.inference.quadrature`, |z| is at most twice the upper end, as they leave out zero, so that
``∂_k p_J = e^{tA_J} ∂_k p(0) + ∫ e^{(t-s)A_J} (∂_k A_J) e^{sA_J} p(0) ds`` and (1) there give

(2)  ‖∂_k p_J(z)‖₁  <=  (‖∂_k p(0)‖₁ + 2 t max_x Σ_r |∂_k a_r(x; z)|) exp( t F (|z| - Re z) ) ,

and the rule errs by Q times the factor before the exponential, or times the largest modulus of ∂ log ρ(z).  With rates
that are linear in θ, which h is the upper end of, ``|a(z)| <= 6 |a(h/2)| + 5 |a(h)|`` for |z| <= 2 h.
At a node `fsp.inference.adjoint`, on states of its own in J, bounds what its number is off from ``Σ f ∂_k p_J``:
p_J - y and λ_J - l lie below what its (2) and (3) charge with the largest ``Σ_r |∂_k a_r|`` of J, whatever the states
beyond J do, as nothing comes back in p_J; the rounding of the node moves rates, and ``∂_k a_r`` by ``ε θ |∂_k f_r|``.

References
----------
P. S. Swain, M. B. Elowitz, E. D. Siggia, PNAS 99 (2002) 12795, doi:10.1073/pnas.162041399.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fsp.arithmetic import ROUNDED_UP, SUM_ROUNDING, UNIT_ROUNDOFF
from fsp.generator import Generator
from fsp.inference.adjoint import Adjoint, Gradient, RatesOff, SideBySide, Weights
from fsp.inference.adjoint_space import together
from fsp.inference.beginning import of_model
from fsp.inference.derived import slopes_on
from fsp.inference.envelopes import Bounds
from fsp.inference.extrinsic import DENSITY_ROUNDINGS
from fsp.inference.mixed_scores import score_squares
from fsp.inference.mixed_slopes import SlopeShifts, rate_slopes
from fsp.inference.mixing import LossShares, Mixing, Patch
from fsp.inference.quadrature import INNERMOST, OUTERMOST
from fsp.space.places import places

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, FloatArray, IntArray
    from fsp.inference.extrinsic import ParameterLaw
    from fsp.inference.mixed_slopes import MixedParameters
    from fsp.inference.parameters import Derivatives
    from fsp.inference.problem import Limits
    from fsp.inference.quadrature import QuadratureRule
    from fsp.model import Model
    from fsp.space import StateSpace

# Times the loss, of the Poisson weights that a stretch leaves out: they count as lost, four times.  Chosen.
TAIL_OVER_LOSS = 1e-3
NEXT_ROUND_LOSS, MOST_ROUNDS = 1e-6, 3  # times the loss, where intervals are too wide, and rounds; chosen
FIRST_ROUND_LOSS, LAST_ROUND_LOSS = 1e-10, 1e-40  # the loss of the first round, at most and at least; chosen
NEEDED = 0.2  # of a width that is narrow enough, what (1) should make; chosen
KEPT_NUMBERS = 16_000_000  # numbers of the nodes' adjoints that are kept between both passes: 128 MB; chosen
OF_MATRICES = 10  # numbers a state and reaction: those of P twice, with their places, and rates
SOME = 8  # of so many nodes, one says what states there are: others lie between; chosen
ABREAST = 8_000  # states of the nodes that are passed side by side: as their vectors stay near the processor; chosen
# Factors of |a(h/2)| and |a(h)|: |a(z)| <= |a(h/2)| + (2 h + h/2)/(h/2) |a(h) - a(h/2)|.
HALFWAY_FACTOR, WHOLE_FACTOR = 6.0, 5.0
UNBOUNDED_SCORES = "nothing bounds how much scores of paths vary that are not stored"


class _Node(NamedTuple):
    """What is known of the laws at a node."""

    scores: FloatArray  # ∂ log ρ by mean and variation of each law, (n_laws, 2)
    off: FloatArray  # their rounding


class _JointRule(NamedTuple):
    """The rules of all laws together."""

    points: list[tuple[dict[str, float], float]]  # values by name, and weight
    ranges: Mapping[str, tuple[float, float]]  # ends of the laws
    error: float  # Q
    outside: float  # what laws have outside of their ends
    rounding: float  # of weights and sums, relative
    moved: Mapping[str, float]  # of nodes, by parameter
    rates_off: float  # what that makes of rates, relative, and of their derivatives
    shifts: SlopeShifts

    @classmethod
    def of(cls, mixing: Mixing, rules: Sequence[QuadratureRule], loss: float, slopes: MixedParameters) -> _JointRule:
        points = list(mixing.points(rules))
        error, outside, off = (sum(getattr(rule, part) for rule in rules) for part in ("error", "outside", "relative"))
        off += (len(points) + 2 * len(rules)) * UNIT_ROUNDOFF + SUM_ROUNDING
        moved = {name: rule.moved for name, rule in zip(mixing.laws, rules, strict=True)}
        shifts = SlopeShifts(mixing.model, mixing.laws, slopes.of_rates)
        return cls(
            points, mixing.ranges(LossShares.of(loss)), error, outside, off, moved, mixing.rates_off(rules), shifts
        )


class _Bundle(NamedTuple):
    """Nodes that are passed side by side, on the same states."""

    points: list[tuple[dict[str, float], float]]
    space: StateSpace
    places: IntArray  # of its states in those of all

    @classmethod
    def of(cls, patches: Sequence[Patch], space: StateSpace) -> list[_Bundle]:
        """Part patches into as many nodes as are passed together."""
        bundles = []
        for points, states in patches:
            inside, many = places(space, states.states), max(1, ABREAST // len(states))
            bundles += [cls(points[at : at + many], states, inside) for at in range(0, len(points), many)]
        return bundles


class MixedAdjoint:
    """A network mixed over laws on fixed states, with an adjoint at each node."""

    def __init__(
        self,
        slopes: MixedParameters,
        mixing: Mixing,
        rules: Sequence[QuadratureRule],
        patches: Sequence[Patch],
        loss: float,
        roots: FloatArray,
    ) -> None:
        self._slopes, self._mixing, self._roots = slopes, mixing, roots
        self.space = together([patch.space for patch in patches])
        self._rules, self._tail = _JointRule.of(mixing, rules, loss, slopes), TAIL_OVER_LOSS * loss
        self._bundles = _Bundle.of(patches, self.space)
        self._kept: dict[int, tuple[list[Adjoint], SideBySide]] = {}
        n, held = len(mixing.times), 0
        self._y, self._lacking, self._absolute = np.zeros((n, len(self.space))), np.zeros(n), np.zeros(n)
        self.relative = 0.0
        for j, bundle in enumerate(self._bundles):
            passed = self._passed(j)
            for (_, weight), adjoint in zip(bundle.points, passed[0], strict=True):
                self._y[:, bundle.places] += weight * np.array([adjoint.probabilities(i) for i in range(n)])
                self._lacking += weight * np.array([adjoint.lacks(i) for i in range(n)])
                self._absolute += weight * np.array([adjoint.absolute(i) for i in range(n)])
                self.relative = max(self.relative, adjoint.relative)
            numbers = n + len(passed[0][0].path.stretches) + OF_MATRICES * (1 + mixing.model.n_reactions)
            held += len(bundle.points) * len(bundle.space) * numbers
            if held <= KEPT_NUMBERS:
                self._kept[j] = passed
        self.relative += self._rules.rounding

    def probabilities(self, i: int) -> FloatArray:
        """Return those of the mixture at time i, lower bounds but for `relative` and `absolute`, (n,)."""
        return np.asarray(self._y[i])

    def lacks(self, i: int) -> float:
        """Bound what they lack, all together, which is δ of (1) as well."""
        return (
            float(self._lacking[i] * (1.0 + self._rules.rounding) + self._rules.outside + 2.0 * self._rules.error)
            * ROUNDED_UP
        )

    def absolute(self, i: int) -> float:
        """Bound what they may be too large, all together, beside what is relative."""
        return float(self._absolute[i] * (1.0 + self._rules.rounding) + self._rules.error) * ROUNDED_UP

    def level(self, highest: float) -> FloatArray:
        """Return a height that is the same on all states, (1,)."""
        return np.array([highest])

    def gradient(self, asked: Sequence[Weights], *, signed: bool) -> Gradient:
        """Return the derivatives by all names of the sum over all times of what is asked, and what they are off."""
        names, rates = self._slopes.names, list(self._slopes.of_rates)
        at_rates = [names.index(name) for name in rates]
        values, off, products = np.zeros(len(names)), np.zeros(len(names)), 0
        heights = np.array([weights.height[0] for weights in asked])  # G of each time
        if not np.isfinite(heights).all():
            return Gradient(values, np.full(len(names), math.inf), 0)
        sizes = np.zeros(len(names))  # sums of moduli, which the rounding of weights is a part of
        for j, bundle in enumerate(self._bundles):
            adjoints, side_by_side = self._passed(j)
            here = [w._replace(values=w.values[bundle.places], off=w.off[bundle.places]) for w in asked]
            gradients = side_by_side.gradients(here, signed=signed) if rates else []
            for (_, weight), gradient in zip(bundle.points, gradients, strict=False):
                values[at_rates] += weight * gradient.values
                off[at_rates] += weight * gradient.off
                sizes[at_rates] += weight * (np.abs(gradient.values) + gradient.off)
                products += gradient.products
            for (at, weight), adjoint in zip(bundle.points, adjoints, strict=True):
                node = self._node(at)
                for k, score, rounded in self._scored(node):
                    known, unsure = self._mean(adjoint, here)
                    values[k] += weight * score * known
                    off[k] += weight * (abs(score) * unsure + rounded * known)
                    sizes[k] += weight * abs(score) * known
        off += (self._rules.rounding + 2.0 * self.relative) * sizes
        off += self._of_rules() * self._rules.error * heights.sum()
        lost = np.array([math.sqrt(self.lacks(i)) for i in range(len(heights))])
        off += self._roots * float(heights @ lost)  # (1)
        return Gradient(values, off * ROUNDED_UP, products)

    def _mean(self, adjoint: Adjoint, asked: Sequence[Weights]) -> tuple[float, float]:
        """Return Σ f y at a node, over all times, and what it may be off from Σ f p_J."""
        total = unsure = 0.0
        for i, weights in enumerate(asked):
            y = adjoint.probabilities(i)
            total += float(weights.values @ y)
            unsure += float(weights.off @ y) + float(weights.height[0]) * (adjoint.lacks(i) + adjoint.absolute(i))
        return total, unsure

    def _scored(self, node: _Node) -> Iterator[tuple[int, float, float]]:
        """Yield the place of each name that laws depend on, its score at a node, and the rounding of that."""
        laws = list(self._mixing.laws)
        for name, parts in self._slopes.of_laws.items():
            chosen = [(laws.index(mixed), place) for mixed, place in parts]
            score, off = (float(sum(table[at] for at in chosen)) for table in (node.scores, node.off))
            yield self._slopes.names.index(name), score, off

    def _passed(self, j: int) -> tuple[list[Adjoint], SideBySide]:
        """Return the adjoints of a bundle of nodes, one by one and as they are passed."""
        if j in self._kept:
            return self._kept[j]
        bundle, times = self._bundles[j], self._mixing.times.tolist()
        models = [self._mixing.model.with_parameters(values) for values, _ in bundle.points]
        generators = [Generator(model, bundle.space) for model in models]
        fastest = max(generator.largest_exit_rate for generator in generators)
        adjoints = []
        for model, generator, (values, _) in zip(models, generators, bundle.points, strict=True):
            slopes = rate_slopes(model, self._slopes.of_rates)
            shifts = self._rules.shifts.at(values, self._rules.moved, self.space)
            bounds = stored_bounds(self.space, model, slopes, shifts)
            off = RatesOff(self._rules.rates_off, {r: table[:, bundle.places] for r, table in shifts.items()})
            adjoints.append(
                Adjoint(model, slopes, bounds, generator, times, self._tail, exit_rate=fastest, rates_off=off)
            )
        return adjoints, SideBySide(adjoints, self._tail)

    def _node(self, values: Mapping[str, float]) -> _Node:
        scores, off = [], []
        for name, law in self._mixing.laws.items():
            theta = np.array([values[name]])
            scores.append(law.slopes(theta)[:, 0])
            rounded = DENSITY_ROUNDINGS * UNIT_ROUNDOFF + 2.0 * self._rules.moved[name]  # twice in squares
            off.append(rounded * law.slope_sizes(theta, np.abs(np.log(theta)))[:, 0])
        return _Node(np.array(scores), np.array(off))

    # ---- what is the same for all nodes

    def _of_rules(self) -> FloatArray:
        """Bound the factors of Q by names: (2) for rates, the modulus of the score for laws."""
        factors = dict.fromkeys(self._slopes.names, 0.0)
        if self._slopes.of_rates:
            for name, more in zip(self._slopes.of_rates, self._largest().tolist(), strict=True):
                factors[name] += more
        for name, parts in self._slopes.of_laws.items():
            factors[name] += sum(self._largest_score(mixed, place) for mixed, place in parts)
        return np.array(list(factors.values())) * ROUNDED_UP

    def _largest(self) -> FloatArray:
        """Bound (2) without its exponential by rates, (q,)."""
        corners = product(
            *(((HALFWAY_FACTOR, 0.5 * high), (WHOLE_FACTOR, high)) for _, high in self._rules.ranges.values())
        )
        total = np.zeros((len(self._slopes.of_rates), len(self.space)))
        for corner in corners:
            values = dict(zip(self._rules.ranges, (value for _, value in corner), strict=True))
            model = self._mixing.model.with_parameters(values)
            total += math.prod(factor for factor, _ in corner) * _sizes(
                model, self.space, rate_slopes(model, self._slopes.of_rates)
            )
        begun = of_model(model, rate_slopes(model, self._slopes.of_rates))
        of_start = np.abs(begun.derivatives).sum(axis=1) + begun.errors
        return np.asarray(2.0 * float(self._mixing.times[-1]) * total.max(axis=1) + of_start)

    def _largest_score(self, mixed: str, place: int) -> float:
        """Bound |∂ log ρ(z)| on all ellipses of a law."""
        low, high = self._rules.ranges[mixed]
        ends = np.array([INNERMOST * low, OUTERMOST * high])
        logs = np.abs(np.log(ends)).max() + 0.5 * math.pi
        return float(self._mixing.laws[mixed].slope_sizes(ends[1:], np.array([logs]))[place, 0])


def roots_of(model: Model, slopes: MixedParameters, mixing: Mixing) -> FloatArray:
    """Bound √E[S²] of (1) by names; scores of those that change both rates and laws are sums."""
    roots, laws = dict.fromkeys(slopes.names, 0.0), mixing.laws
    if slopes.of_rates:
        at_means = model.with_parameters({name: law.numbers[0] for name, law in laws.items()})
        changed = rate_slopes(at_means, slopes.of_rates)
        start, horizon = of_model(at_means, changed).scores.information, float(mixing.times[-1])
        squares = score_squares(model, laws, slopes.of_rates, horizon, start)
        for name, square in zip(slopes.of_rates, squares.tolist(), strict=True):
            roots[name] += math.sqrt(square)
    for name, parts in slopes.of_laws.items():
        roots[name] += sum(math.sqrt(float(laws[mixed].slope_squares()[place])) for mixed, place in parts)
    return np.array(list(roots.values())) * ROUNDED_UP


def refined_mixture(
    model: Model,
    slopes: MixedParameters,
    laws: Mapping[str, ParameterLaw],
    times: FloatArray,
    allowed: float,
    limits: Limits,
    asked: Callable[[MixedAdjoint], Gradient],
    width: Callable[[Gradient], float],
) -> Gradient:
    """Return what is asked of mixtures, with ever less loss, until its `width` is at most one where it is finite.

    `allowed` is what √(E[S²] δ) of (1) may be.
    """
    roots = roots_of(model, slopes, Mixing(model, laws, times, limits))
    known = np.isfinite(roots)
    needed = (NEEDED * allowed / float(roots[known].max(initial=1.0))) ** 2
    loss = min(FIRST_ROUND_LOSS, max(needed, LAST_ROUND_LOSS))
    best: Gradient | None = None
    for _ in range(MOST_ROUNDS):
        mixing = Mixing(model, laws, times, limits)
        rules, patches = mixing.looked_at(loss, SOME)
        gradient = asked(MixedAdjoint(slopes, mixing, rules, patches, loss, roots))
        wide = width(_chosen(gradient, known))
        before = math.inf if best is None else width(_chosen(best, known))
        best = gradient if best is None or wide < before else best
        if wide <= 1.0 or wide > 0.5 * before or loss <= LAST_ROUND_LOSS:
            break
        loss = max(NEXT_ROUND_LOSS * loss, LAST_ROUND_LOSS)
    if best is None:
        raise ValueError("a loss must be tried")
    return best


def _chosen(gradient: Gradient, known: BoolArray) -> Gradient:
    return gradient._replace(values=gradient.values[known], off=gradient.off[known])


def _sizes(model: Model, space: StateSpace, slopes: Derivatives) -> FloatArray:
    """Bound Σ_r |∂_k a_r| in each state, (q, n)."""
    total = np.zeros((len(slopes.names), len(space)))
    for r in range(model.n_reactions):
        values, off = slopes_on(model, space.states, r, slopes)
        total += np.abs(values) + off
    return total


def stored_bounds(
    space: StateSpace, model: Model, slopes: Derivatives, shifts: Mapping[int, FloatArray] | None = None
) -> Bounds:
    """Return what bounds derivatives, with what they are off, on the stored states alone: p_J needs no others."""
    n, rest = model.n_reactions, (0,) * model.n_species
    each = _sizes(model, space, slopes) + sum((shifts or {}).values())
    largest = each.max(axis=1, initial=0.0) * ROUNDED_UP
    sizes = tuple(tuple({rest: Fraction(float(top) if r == 0 else 0.0)} for r in range(n)) for top in largest)
    return Bounds((sizes,), (), (), (), model.species_bounds, model.change.astype(np.float64))
