"""Random whole numbers with a law: what an event may assign, how many molecules there are at the start, or in a burst.

    binomial(n, p), bernoulli(p), poisson(mean), geometric(mean) with P(m) = (1 − q) q^m, q = mean/(1 + mean),
    choice(p₀, p₁, …) with P(m) = p_m

Probabilities are lower bounds: each is computed by sums and products of positive numbers, whose relative error is that
of a count of roundings, and reduced by it.  What they lack to one, tails included, is the distance from the exact law.

References
----------
N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition (2002), section 3.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.arrays import FloatArray, IntArray
from fsp.errors import ModelError
from fsp.model.formula import FunctionDefinition, applied_at_top
from fsp.model.infix import to_text
from fsp.model.tree import ONE, ZERO, Expression, Number, call, substitute, symbols
from fsp.model.values import nearest_whole

LAW_TAIL = 1e-18  # probability of the counts that are left out: far below what a rounding changes
ORDER = 24  # of the moments of which counts that are left out have next to nothing: the highest that are bounded
# Share of these moments, over that of the positive counts at the largest one; seldom needs more.
LEFT_OUT_OF_MOMENTS = 4.0 * LAW_TAIL
LEAST_KEPT = 1e-290  # probability of a count that is kept: 20,000 products that underflow are off by 1e-319 at most
MOST_DRAWN = 10_000_000  # states that laws of the start are spread over: as many as a space holds by default
MOST_COUNTS = 20_000  # of a law: the work of a binomial one grows with their square, here to a second


class CountLaw(NamedTuple):
    """Counts (k,) and lower bounds of their probabilities (k,)."""

    counts: IntArray
    probabilities: FloatArray


@dataclass(frozen=True, slots=True)
class Draw:
    """A random whole number."""

    law: str
    arguments: tuple[Expression, ...]

    def __str__(self) -> str:
        return f"{self.law}({', '.join(map(to_text, self.arguments))})"

    @property
    def symbols(self) -> frozenset[str]:
        """The names of the species and parameters that it depends on."""
        return frozenset().union(*map(symbols, self.arguments))

    @property
    def is_bounded(self) -> bool:
        """Whether it has a largest count, whatever its arguments are; others are cut off far out (`LAW_TAIL`)."""
        return self.law not in ("poisson", "geometric")

    @property
    def largest(self) -> Expression | None:
        """The largest count that it may be; None where there is none."""
        return {"binomial": self.arguments[0], "bernoulli": Number(1.0)}.get(self.law)

    def with_values(self, values: Mapping[str, Expression]) -> Draw:
        """Return the same with symbols replaced by trees."""
        return Draw(self.law, tuple(substitute(tree, values) for tree in self.arguments))

    def at(self, arguments: tuple[float, ...], what: str) -> CountLaw:
        """Return its law where its arguments have values; `what` it is, for messages."""
        try:
            return LAWS[self.law].of(*arguments)
        except ValueError as error:
            raise ModelError(f"{what} must be drawn from a law, but '{self}' has {error}.") from None

    @property
    def law_of_numbers(self) -> CountLaw:
        """Its law where all its arguments are numbers; what is none is a ModelError."""
        if self.symbols:
            raise ModelError(
                f"'{self}' must be a law of numbers and parameters of the model, but depends on '{min(self.symbols)}'; "
                f"give that a value, or write the number."
            )
        values = [tree.value if isinstance(tree, Number) else math.nan for tree in self.arguments]
        return self.at(tuple(values), f"'{self}'")


def read_draw(
    value: object, what: str, functions: Mapping[str, FunctionDefinition], names: Collection[str]
) -> Draw | None:
    """Return the draw that a text or libsbml's tree is; None where it is anything else."""
    read = applied_at_top(value, what, LAWS, functions, names)
    if read is None:
        return None
    name, arguments = read
    if LAWS[name].size not in (None, len(arguments)):
        raise ModelError(f"{what} must give {LAWS[name].size} arguments to '{name}', but gives {len(arguments)}.")
    return Draw(name, tuple(arguments))


def _lower(counts: IntArray, weights: FloatArray, roundings: int) -> CountLaw:
    """Return a law from weights (k,) that are off by so many roundings each, and their sum likewise."""
    relative = (2 * roundings + len(weights) + 4) * UNIT_ROUNDOFF * 1.01 + LAW_TAIL
    return CountLaw(counts, weights / math.fsum(weights.tolist()) * (1.0 - relative))


def _binomial(n: float, p: float) -> CountLaw:
    """Add one trial after another: sums of positive products, three roundings and one of p in each."""
    trials = float(nearest_whole(np.array(n)))
    if not 0.0 <= trials <= MOST_COUNTS or not 0.0 <= p <= 1.0:
        raise ValueError(f"n = {n:g} and p = {p:g}, where n is from 0 to {MOST_COUNTS:,} and p from 0 to 1")
    weights = np.ones(1)
    for _ in range(int(trials)):
        weights = np.append(weights * (1.0 - p), 0.0) + np.append(0.0, weights * p)
    weights[weights < LEAST_KEPT] = 0.0  # where products that underflow may have made up a weight
    off = 2.0 / (1.0 - p) if p < 1.0 else 0.0  # how many roundings 1 − p is off, p being a decimal
    return _lower(np.arange(int(trials) + 1), weights, math.ceil(trials * (4.0 + off)))


def _is_light(weight: float, ratio: float, count: int, others: float) -> bool:
    """Tell whether ``Σ w_m (m/M)^ORDER <= LEFT_OUT_OF_MOMENTS others`` over m >= `count` = M + 1, w_count = `weight`.

    Each further weight is at most `ratio` times the last, so that each further term is at most θ times the last.
    """
    if count < 2:  # no count above zero is kept
        return weight == 0.0
    theta = ratio * (1.0 + 1.0 / count) ** ORDER
    return theta < 1.0 and weight * (count / (count - 1)) ** ORDER <= LEFT_OUT_OF_MOMENTS * others * (1.0 - theta)


def _poisson(mean: float) -> CountLaw:
    """Multiply by mean/m up from the most probable count, and down from it."""
    if not 0.0 <= mean < math.inf:
        raise ValueError(f"the mean {mean:g}, which is no number of 0 or more")
    middle = math.floor(mean)
    up, down = [1.0], [1.0]
    while up[-1] * mean > LAW_TAIL / 4.0 * max(0.0, middle + len(up) - mean) and len(up) < MOST_COUNTS:
        up.append(up[-1] * mean / (middle + len(up)))
    least = min(1.0, mean)  # of the weights of the positive counts
    while len(up) < MOST_COUNTS and not _is_light(up[-1] * mean / (m := middle + len(up)), mean / (m + 1), m, least):
        up.append(up[-1] * mean / m)
    while len(down) <= middle and down[-1] > LAW_TAIL / 4.0 / (middle + 1) and len(down) < MOST_COUNTS:
        down.append(down[-1] * (middle - len(down) + 1) / mean)
    if max(len(up), len(down)) >= MOST_COUNTS:
        raise ValueError(f"the mean {mean:g}, which needs more than {MOST_COUNTS:,} counts")
    weights = np.array(down[:0:-1] + up)
    first = middle - len(down) + 1
    return _lower(np.arange(first, first + len(weights)), weights, 3 * max(len(up), len(down)))


def _geometric(mean: float) -> CountLaw:
    if not 0.0 <= mean < math.inf:
        raise ValueError(f"the mean {mean:g}, which is no number of 0 or more")
    q = mean / (1.0 + mean)
    size = math.ceil(math.log(LAW_TAIL / 2.0) / math.log(q)) if q else 1
    while size <= MOST_COUNTS and not _is_light(q**size * (1.0 - q), q, size, q):
        size += 1
    if size > MOST_COUNTS:
        raise ValueError(f"the mean {mean:g}, which needs more than {MOST_COUNTS:,} counts")
    counts = np.arange(size)
    weights: FloatArray = np.power(q, counts.astype(np.float64))
    return _lower(counts, weights, 3 * size + 4)


def _choice(*probabilities: float) -> CountLaw:
    weights = np.array(probabilities)
    if not (weights >= 0.0).all() or abs(math.fsum(probabilities) - 1.0) > 1e-12:
        raise ValueError(f"the probabilities {', '.join(f'{p:g}' for p in probabilities)}, which do not sum to 1")
    return _lower(np.arange(len(weights)), weights, 1)


class _Row(NamedTuple):
    size: int | None  # number of arguments; any where it is None
    of: Callable[..., CountLaw]
    sample: Callable[..., Any]  # of numpy's generator and arrays of arguments


def _of_trials(m: Expression, n: Expression, p: Expression) -> Expression:
    return call("-", call("/", m, p), call("/", call("-", n, m), call("-", ONE, p)))


def _of_mean(m: Expression, mean: Expression) -> Expression:
    return call("-", call("/", m, mean), call("/", call("+", m, ONE), call("+", ONE, mean)))


# those that have whole numbers and a closed form
LAWS = {
    "binomial": _Row(2, _binomial, lambda rng, n, p: rng.binomial(n.astype(np.int64), p)),
    "bernoulli": _Row(1, lambda p: _binomial(1.0, p), lambda rng, p: rng.binomial(1, p)),
    "poisson": _Row(1, _poisson, lambda rng, mean: rng.poisson(mean)),
    "choice": _Row(None, _choice, lambda rng, *p: (rng.random(p[0].shape) > np.cumsum(p, axis=0)).sum(axis=0)),
    "geometric": _Row(1, _geometric, lambda rng, mean: rng.geometric(1.0 / (1.0 + mean)) - 1),
}

# derivatives of log P(m) by each argument, trees of m and the arguments; None for what is a whole number
_SCORES: dict[str, Callable[..., tuple[Expression | None, ...]]] = {
    "binomial": lambda m, n, p: (None, _of_trials(m, n, p)),
    "bernoulli": lambda m, p: (_of_trials(m, ONE, p),),
    "poisson": lambda m, mean: (call("-", call("/", m, mean), ONE),),
    "geometric": lambda m, mean: (_of_mean(m, mean),),
}


def score(draw: Draw, count: Expression, slopes: Sequence[Expression]) -> Expression | None:
    """Return the derivative of log P(count), where the arguments of a draw have these; None where there is none."""
    rule = _SCORES.get(draw.law)
    if rule is None:
        return None
    pairs = [(score, slope) for score, slope in zip(rule(count, *draw.arguments), slopes, strict=True) if slope != ZERO]
    if any(score is None for score, _ in pairs):
        return None
    terms = [call("*", score, slope) for score, slope in pairs if score is not None]
    return call("+", *terms) if len(terms) > 1 else terms[0] if terms else ZERO


def product_of(
    laws: Mapping[str, CountLaw], counts: Mapping[str, int], species: Sequence[str]
) -> tuple[IntArray, FloatArray]:
    """Return the states (m, n_species), in order, and the probabilities (m,) of independent laws and fixed counts."""
    size = math.prod(len(law.counts) for law in laws.values())
    if size > MOST_DRAWN:
        raise ModelError(f"Initial counts must have at most {MOST_DRAWN:,} states with probability, but have {size:,}.")
    certain = {name: CountLaw(np.array([count]), np.ones(1)) for name, count in counts.items()}
    laws_in_order = [laws[name] if name in laws else certain[name] for name in species]
    grid = np.meshgrid(*(law.counts for law in laws_in_order), indexing="ij")
    p = reduce(np.multiply.outer, [law.probabilities for law in laws_in_order])
    return np.stack([axis.ravel() for axis in grid], axis=1).astype(np.int64, copy=False), np.ravel(p)
