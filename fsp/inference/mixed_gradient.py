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
At a node `fsp.inference.adjoint` bounds what its number is off from ``Σ f ∂_k p_J``: p_J - y and λ_J - l lie below what
its (2) and (3) charge, whatever the states beyond J do, as nothing comes back in p_J.

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

from fsp.arithmetic import SUM_ROUNDING, UNIT_ROUNDOFF
from fsp.errors import ArgumentError
from fsp.inference.adjoint import Adjoint, Gradient, Weights
from fsp.inference.adjoint_space import together
from fsp.inference.affine_rates import AffineRates
from fsp.inference.beginning import of_model
from fsp.inference.derived import slopes_on
from fsp.inference.envelopes import Bounds
from fsp.inference.extrinsic import ROUNDINGS
from fsp.inference.free_laws import depends_on
from fsp.inference.mixed_scores import MARGIN, score_squares
from fsp.inference.mixing import Mixing, Shares
from fsp.inference.parameters import Derivatives, derivatives
from fsp.inference.quadrature import INNERMOST, OUTERMOST
from fsp.model.definition import resolve
from fsp.model.tree import Number, symbols

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, FloatArray
    from fsp.inference.extrinsic import ParameterLaw
    from fsp.inference.problem import Limits
    from fsp.inference.quadrature import Rule
    from fsp.model import Model
    from fsp.space import StateSpace
    from fsp.space.base import BaseSpace

# Times the loss, of the Poisson weights that a stretch leaves out: they count as lost, four times.  Chosen.
TAIL = 1e-3
LESS, MOST_ROUNDS = 1e-6, 3  # times the loss, where intervals are too wide, and rounds; chosen
FIRST, LEAST = 1e-10, 1e-40  # the loss of the first round, at most and at least; chosen
NEEDED = 0.2  # of a width that is narrow enough, what (1) should make; chosen
KEPT = 2_000_000  # numbers of the nodes' adjoints that are kept between both passes: 16 MB and some matrices; chosen
SOME = 8  # of so many nodes in a row, one says what states there are: others lie between; chosen
HALF, WHOLE = 6.0, 5.0  # factors of |a(h/2)| and |a(h)|: |a(z)| <= |a(h/2)| + (2 h + h/2)/(h/2) |a(h) - a(h/2)|
OPEN = "nothing bounds how much scores of paths vary that are not stored"


class Slopes(NamedTuple):
    """By what a log-likelihood is differentiated: what changes rates, and what changes laws."""

    names: tuple[str, ...]  # in the order that was asked for
    of_rates: tuple[str, ...]
    of_laws: Mapping[str, Sequence[tuple[str, int]]]  # mixed parameter, and 0 for its mean or 1 for its variation


class _Node(NamedTuple):
    """A node of all rules together."""

    model: Model
    weight: float
    scores: FloatArray  # ∂ log ρ by mean and variation of each law, (n_laws, 2)
    off: FloatArray  # their rounding


class _Rules(NamedTuple):
    """The rules of all laws together."""

    points: list[tuple[dict[str, float], float]]  # values by name, and weight
    ranges: Mapping[str, tuple[float, float]]  # ends of the laws
    error: float  # Q
    outside: float  # what laws have outside of their ends
    rounding: float  # of weights and sums, relative

    @classmethod
    def of(cls, mixing: Mixing, rules: Sequence[Rule], loss: float) -> _Rules:
        points = list(mixing.points(rules))
        error, outside, off = (sum(getattr(rule, part) for rule in rules) for part in ("error", "outside", "relative"))
        off += (len(points) + 2 * len(rules)) * UNIT_ROUNDOFF + SUM_ROUNDING
        return cls(points, mixing.ranges(Shares.of(loss)), error, outside, off)


def slopes_of(model: Model, parameters: Sequence[str], laws: Mapping[str, ParameterLaw]) -> Slopes:
    """Say what each parameter changes; refuse those that have no value in a cell, or nothing depends on."""
    names = (parameters,) if isinstance(parameters, str) else tuple(parameters)
    of_laws: dict[str, list[tuple[str, int]]] = {}
    for mixed, law in laws.items():
        for place, given in enumerate((law.mean, law.cv)):
            if isinstance(given, str):
                _require_plain(model, given, names)
                of_laws.setdefault(given, []).append((mixed, place))
    for name in names:
        if name in laws and name not in of_laws:
            raise ArgumentError(
                f"`parameters` must have one value in all cells, but '{name}' differs among them; let a parameter be "
                f"the mean of its law, as in extrinsic={{'{name}': fsp.Gamma('{name}', 0.3)}}."
            )
    fixed = model.with_parameters({name: law.at(model.parameters).numbers[0] for name, law in laws.items()})
    told = [name for name in names if name not in laws and (name not in of_laws or depends_on(fixed, name))]
    AffineRates.of(model, tuple(laws))  # refuses what is no multiple
    if told:
        derivatives(fixed, told, log=True)  # refuses what has no derivative
    return Slopes(names, tuple(told), {name: of_laws[name] for name in names if name in of_laws})


def _require_plain(model: Model, given: str, names: Sequence[str]) -> None:
    """Refuse derivatives by what is in the formula of a law's parameter."""
    parameters = model.definition.parameters
    if isinstance(parameters[given], Number):
        return
    others = resolve({name: tree for name, tree in parameters.items() if name == given or name not in names})
    if given in names or symbols(others[given]):
        raise ArgumentError(
            f"A law of `extrinsic` must be given by numbers or plain parameters where derivatives are asked for, but "
            f"'{given}' is a formula; give it the value, or name what is in it."
        )


class MixedAdjoint:
    """A network mixed over laws on fixed states, with an adjoint at each node."""

    def __init__(
        self,
        slopes: Slopes,
        mixing: Mixing,
        rules: Sequence[Rule],
        space: StateSpace,
        loss: float,
        roots: FloatArray,
    ) -> None:
        self._slopes, self._mixing, self.space, self._roots = slopes, mixing, space, roots
        self._rules, self._tail = _Rules.of(mixing, rules, loss), TAIL * loss
        self._kept: dict[int, Adjoint] = {}
        n = len(mixing.times)
        self._y, self._lacking, self._absolute = np.zeros((n, len(space))), np.zeros(n), np.zeros(n)
        self.relative = 0.0
        for j, (node, adjoint) in enumerate(self._adjoints()):
            self._y += node.weight * np.array([adjoint.probabilities(i) for i in range(n)])
            self._lacking += node.weight * np.array([adjoint.lacks(i) for i in range(n)])
            self._absolute += node.weight * np.array([adjoint.absolute(i) for i in range(n)])
            self.relative = max(self.relative, adjoint.relative)
            if (j + 1) * len(space) * n * len(adjoint.path.stretches) <= KEPT:
                self._kept[j] = adjoint
        self.relative += self._rules.rounding

    def probabilities(self, i: int) -> FloatArray:
        """Return those of the mixture at time i, lower bounds but for `relative` and `absolute`, (n,)."""
        return np.asarray(self._y[i])

    def lacks(self, i: int) -> float:
        """Bound what they lack, all together, which is δ of (1) as well."""
        return (
            float(self._lacking[i] * (1.0 + self._rules.rounding) + self._rules.outside + 2.0 * self._rules.error)
            * MARGIN
        )

    def absolute(self, i: int) -> float:
        """Bound what they may be too large, all together, beside what is relative."""
        return float(self._absolute[i] * (1.0 + self._rules.rounding) + self._rules.error) * MARGIN

    def level(self, highest: float) -> FloatArray:
        """Return a height that is the same on all states, (1,)."""
        return np.array([highest])

    def gradient(self, asked: Sequence[Weights], *, signed: bool) -> Gradient:
        """Return the derivatives by all names of the sum over all times of what is asked, and what they are off."""
        names, rates = self._slopes.names, list(self._slopes.of_rates)
        places = [names.index(name) for name in rates]
        values, off, products = np.zeros(len(names)), np.zeros(len(names)), 0
        heights = np.array([weights.height[0] for weights in asked])  # G of each time
        if not np.isfinite(heights).all():
            return Gradient(values, np.full(len(names), math.inf), 0)
        sizes = np.zeros(len(names))  # sums of moduli, which the rounding of weights is a part of
        for node, adjoint in self._adjoints():
            if rates:
                found = adjoint.gradient(asked, signed=signed)
                values[places] += node.weight * found.values
                off[places] += node.weight * found.off
                sizes[places] += node.weight * (np.abs(found.values) + found.off)
                products += found.products
            for k, score, rounded in self._scored(node):
                known, unsure = self._mean(adjoint, asked)
                values[k] += node.weight * score * known
                off[k] += node.weight * (abs(score) * unsure + rounded * known)
                sizes[k] += node.weight * abs(score) * known
        off += (
            self._rules.rounding + 2.0 * self.relative
        ) * sizes + self._of_rules() * self._rules.error * heights.sum()
        lost = np.array([math.sqrt(self.lacks(i)) for i in range(len(heights))])
        off += self._roots * float(heights @ lost)  # (1)
        return Gradient(values, off * MARGIN, products)

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

    def _adjoints(self) -> Iterator[tuple[_Node, Adjoint]]:
        """Yield each node with its adjoint."""
        times = self._mixing.times.tolist()
        for j, (values, weight) in enumerate(self._rules.points):
            model = self._mixing.model.with_parameters(values)
            if j in self._kept:
                adjoint = self._kept[j]
            else:
                slopes = _derivatives(model, self._slopes.of_rates)
                adjoint = Adjoint(model, slopes, _on(self.space, model, slopes), self.space, times, self._tail)
            yield self._node(model, values, weight), adjoint

    def _node(self, model: Model, values: Mapping[str, float], weight: float) -> _Node:
        scores, off = [], []
        for name, law in self._mixing.laws.items():
            theta = np.array([values[name]])
            scores.append(law.slopes(theta)[:, 0])
            off.append(ROUNDINGS * UNIT_ROUNDOFF * law.slope_sizes(theta, np.abs(np.log(theta)))[:, 0])
        return _Node(model, weight, np.array(scores), np.array(off))

    # ---- what is the same for all nodes

    def _of_rules(self) -> FloatArray:
        """Bound the factors of Q by names: (2) for rates, the modulus of the score for laws."""
        factors = dict.fromkeys(self._slopes.names, 0.0)
        if self._slopes.of_rates:
            for name, more in zip(self._slopes.of_rates, self._largest().tolist(), strict=True):
                factors[name] += more
        for name, parts in self._slopes.of_laws.items():
            factors[name] += sum(self._largest_score(mixed, place) for mixed, place in parts)
        return np.array(list(factors.values())) * MARGIN

    def _largest(self) -> FloatArray:
        """Bound (2) without its exponential by rates, (q,)."""
        corners = product(*(((HALF, 0.5 * high), (WHOLE, high)) for _, high in self._rules.ranges.values()))
        total = np.zeros((len(self._slopes.of_rates), len(self.space)))
        for corner in corners:
            values = dict(zip(self._rules.ranges, (value for _, value in corner), strict=True))
            model = self._mixing.model.with_parameters(values)
            total += math.prod(factor for factor, _ in corner) * _sizes(
                model, self.space, _derivatives(model, self._slopes.of_rates)
            )
        begun = of_model(model, _derivatives(model, self._slopes.of_rates))
        of_start = np.abs(begun.derivatives).sum(axis=1) + begun.errors
        return np.asarray(2.0 * float(self._mixing.times[-1]) * total.max(axis=1) + of_start)

    def _largest_score(self, mixed: str, place: int) -> float:
        """Bound |∂ log ρ(z)| on all ellipses of a law."""
        low, high = self._rules.ranges[mixed]
        ends = np.array([INNERMOST * low, OUTERMOST * high])
        logs = np.abs(np.log(ends)).max() + 0.5 * math.pi
        return float(self._mixing.laws[mixed].slope_sizes(ends[1:], np.array([logs]))[place, 0])


def roots_of(model: Model, slopes: Slopes, mixing: Mixing) -> FloatArray:
    """Bound √E[S²] of (1) by names; scores of those that change both rates and laws are sums."""
    roots, laws = dict.fromkeys(slopes.names, 0.0), mixing.laws
    if slopes.of_rates:
        at_means = model.with_parameters({name: law.numbers[0] for name, law in laws.items()})
        changed = _derivatives(at_means, slopes.of_rates)
        start, horizon = of_model(at_means, changed).scores.whole, float(mixing.times[-1])
        squares = score_squares(model, laws, slopes.of_rates, horizon, start)
        for name, square in zip(slopes.of_rates, squares.tolist(), strict=True):
            roots[name] += math.sqrt(square)
    for name, parts in slopes.of_laws.items():
        roots[name] += sum(math.sqrt(float(laws[mixed].slope_squares()[place])) for mixed, place in parts)
    return np.array(list(roots.values())) * MARGIN


def refined_mixture(
    model: Model,
    slopes: Slopes,
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
    loss = min(FIRST, max(needed, LEAST))
    best: Gradient | None = None
    for _ in range(MOST_ROUNDS):
        spaces: list[BaseSpace] = []
        mixing = Mixing(model, laws, times, limits, spaces.append)
        rules = mixing.looked_at(loss, SOME)
        gradient = asked(MixedAdjoint(slopes, mixing, rules, together(spaces), loss, roots))
        wide = width(_chosen(gradient, known))
        before = math.inf if best is None else width(_chosen(best, known))
        best = gradient if best is None or wide < before else best
        if wide <= 1.0 or wide > 0.5 * before or loss <= LEAST:
            break
        loss = max(LESS * loss, LEAST)
    if best is None:
        raise ValueError("a loss must be tried")
    return best


def _chosen(gradient: Gradient, known: BoolArray) -> Gradient:
    return gradient._replace(values=gradient.values[known], off=gradient.off[known])


def _derivatives(model: Model, names: Sequence[str]) -> Derivatives:
    return derivatives(model, names, log=True) if names else Derivatives((), (), True, ())


def _sizes(model: Model, space: StateSpace, slopes: Derivatives) -> FloatArray:
    """Bound Σ_r |∂_k a_r| in each state, (q, n)."""
    total = np.zeros((len(slopes.names), len(space)))
    for r in range(model.n_reactions):
        values, off = slopes_on(model, space.states, r, slopes)
        total += np.abs(values) + off
    return total


def _on(space: StateSpace, model: Model, slopes: Derivatives) -> Bounds:
    """Return what bounds derivatives on the stored states alone, which is all that p_J needs."""
    n, rest = model.n_reactions, (0,) * model.n_species
    largest = _sizes(model, space, slopes).max(axis=1, initial=0.0) * MARGIN
    sizes = tuple(tuple({rest: Fraction(float(top) if r == 0 else 0.0)} for r in range(n)) for top in largest)
    return Bounds((sizes,), (), (), (), model.species_bounds, model.change.astype(np.float64))
