"""Proofs that a chain runs away along one species, whatever the other counts are.

Let n be the count of a species that has no largest one, and m a level.  At n >= m let a_k(n) lie below the rates of the
reactions that raise n, by u_k, and b_k(n) above the rates of those that lower it, by d_k < m.  Put

    W(n) = 1 - m/n,    V = max(W, 0) < 1,    D(n) = Σ a_k u_k m/(m + u_k) - Σ b_k d_k m/(m - d_k) .

(1) For n >= m, A V >= A W >= (m/n²) D(n), since n/(n + u) >= m/(m + u) and n/(n - d) <= m/(m - d); for n < m, where V
    is zero, A V >= 0.
(2) Where D > 0 for all n >= m, V along the chain is a bounded submartingale.  It converges, and n with it, to infinity
    where it does not fall below m, as it is raised at a positive rate there: that has a probability of at least W(n).
(3) Where even D(n) >= c n², c > 0, A V >= λ V with λ = m c by (1): ``e^(-λs) V`` is a submartingale until the time ζ of
    explosion, whence W(n) <= e^(-λs) + P(ζ <= s).
(4) Where ``Σ a_k u_k >= Σ b_k d_k``, a rate a_k is positive, and all rates of change are at most linear in n, let τ be
    the time at which n falls below m, of finite mean, and G(n) the mean time spent at n until then.  By Dynkin's
    formula for min(n, K), which is less than at first at τ, Σ G(n) r n > c > 0 over the n within the longest jump of
    K, for some r and c and all K: then Σ G(n), the mean of τ, is infinite, which it is.

(5) For (3), c N² <= D(N) at any N >= m, and D(N) is at most the ``Σ a_k u_k`` of any state with the count N: where that
    of one with a very large N leaves no c that is large enough, no bound of a rate has to be made.

(6) In place of W let ``W = 1 - θ^(n-m)``, 0 < θ < 1, with ``Σ a_k (1 - θ^u_k) >= Σ b_k (θ^-d_k - 1)`` for n >= m.  Then
    A V >= 0 again, V <= 1 is zero below m, and so the count never falls below m with a probability of at least W(n).

The bounds of rates are polynomials in falling powers of n - m with rational coefficients, whose signs are decided.

References
----------
S. P. Meyn, R. L. Tweedie, Stability of Markovian processes III, Adv. Appl. Probab. 25 (1993) 518, doi:10.2307/1427522.
R. L. Tweedie, Criteria for classifying general Markov chains, Adv. Appl. Probab. 8 (1976) 737, doi:10.2307/1425932.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from math import exp, inf, isfinite
from typing import TYPE_CHECKING

import numpy as np

from fsp.model.expression import evaluate
from fsp.moments.envelope import envelope
from fsp.moments.envelope_rules import NO_BOUNDS
from fsp.moments.polynomial import Exponents
from fsp.moments.rates import FOLDING, reduced
from fsp.moments.terms import in_falling_powers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fsp.arrays import IntArray
    from fsp.model import Model

Powers = dict[int, Fraction]  # coefficients by degree, in falling powers of n - m

LEVEL_SHARE = 4  # of the count at which the level is: W = 3/4
LIKELY = 0.5  # probability of an explosion that is called one
THETA_BISECTIONS = 40  # bisections of θ: its last digits are of no use
FAR_COUNT = 2.0**60  # N of (5), in units of the count


@dataclass(frozen=True, slots=True)
class Escape:
    """What is proved of a state in which a species has a high count."""

    species: str  # the species, and its count
    count: int
    reaction: str  # name of the reaction that raises it most
    level: int  # the count m below which it does not fall
    explodes: bool  # whether that is by an explosion, of a probability of at least `LIKELY` in the time asked for: (3)
    # Whether it does not fall below with a probability of at least 3/4: (2); else that takes infinite mean time: (4).
    leaves: bool


def escape(
    model: Model, state: IntArray, horizon: float = 0.0, remaining: float = inf, *, explosions: bool = False
) -> Escape | None:
    """Return the most that is proved about running away from a state (d,); None where nothing is.

    Propensities that depend on time do so up to `horizon`, and an explosion has to happen in the time `remaining`.
    With `explosions` nothing else is asked for.
    """
    if model.events:
        return None
    endless = np.flatnonzero(np.isinf(model.species_bounds)).tolist()
    if explosions:
        endless = [i for i in endless if _may_explode(model, i, state, horizon, remaining)]
    escapes = [_along(model, i, int(state[i]), horizon, remaining) for i in endless]
    proved = [way for way in escapes if way is not None]
    return max(proved, key=lambda way: (way.explodes, way.leaves), default=None)


def no_rest(way: Escape) -> str:
    """Return the words of an error: that a state from which a chain runs away leaves no stationary distribution."""
    how = f"falls below {way.level:,} again after an infinite mean time only"
    if way.leaves:
        how = f"never falls below {way.level:,} again with a probability of at least 3/4: it escapes to infinity"
    return (
        f"A stationary distribution must exist and be reached in finite mean time, but reaction '{way.reaction}' "
        f"raises {way.species}, now {way.count:,}, so fast that it {how}. Give a `space` if a reflecting boundary is "
        f"meant."
    )


def returning_ratio(model: Model, i: int, m: int) -> float | None:
    """Return about the least θ of (6) for species i and the level m, rounded up; None where there is none."""
    bounds = _RateBounds(model, i, m, 0.0, FOLDING)
    steps = {k: step for k, step in enumerate(model.change[:, i].tolist()) if step}
    rates = {k: bounds.below(k) if step > 0 else bounds.above(k) for k, step in steps.items()}
    known = {k: rate for k, rate in rates.items() if rate is not None}
    if len(known) < len(rates):
        return None

    def holds(ratio: Fraction) -> bool:
        D = _sum((1 - ratio ** steps[k], rate) for k, rate in known.items())
        return min(D.values(), default=Fraction(-1)) >= 0

    low, high = 0, 2**THETA_BISECTIONS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(Fraction(middle, 2**THETA_BISECTIONS)) else (middle, high)
    return high / 2**THETA_BISECTIONS if high < 2**THETA_BISECTIONS else None


def _may_explode(model: Model, i: int, state: IntArray, horizon: float, remaining: float) -> bool:
    """Tell whether an explosion along a species could be proved by (3): (5)."""
    n = max(1, int(state[i]))
    far = dict(zip(model.species, map(float, state), strict=True)) | {model.species[i]: FAR_COUNT * n}
    rate = 0.0
    for law, step in zip(model.rate_expressions, model.change[:, i].tolist(), strict=True):
        if step > 0 and law is not None:
            rate += step * float(evaluate(law, far, horizon))
    return not isfinite(rate) or _is_likely(n, rate / (FAR_COUNT * n) ** 2, remaining)


def _is_likely(n: int, c: float, remaining: float) -> bool:
    """Tell whether (3) makes an explosion likely from a count n in the time that remains."""
    m = n // LEVEL_SHARE
    return c > 0.0 and 1.0 - m / n - exp(-m * c * remaining) >= LIKELY


class _RateBounds:
    """Bounds of rates that hold wherever species i has at least m molecules."""

    def __init__(self, model: Model, i: int, m: int, horizon: float, margin: Fraction) -> None:
        self._model, self._i, self._horizon, self._margin = model, i, horizon, margin
        self._lowest = [m * (j == i) for j in range(model.n_species)]

    def below(self, k: int) -> Powers:
        """Bound the rate of a reaction from below."""
        total: Powers = defaultdict(Fraction)
        for alpha, c in self._terms(k, upper=False) or ():
            if c < 0:
                kept, size = self._degree(alpha, -c)
                if kept is None:
                    return {}
                total[kept] -= size * (1 + self._margin)
            elif sum(alpha) == alpha[self._i]:  # with no other factor, which may be zero
                total[alpha[self._i]] += c * (1 - self._margin)
        return total

    def above(self, k: int) -> Powers | None:
        """Bound the rate of a reaction from above; None where there is no bound."""
        total: Powers = defaultdict(Fraction)
        terms = self._terms(k, upper=True)
        if terms is None:
            return None
        for alpha, c in terms:
            if c > 0:
                kept, size = self._degree(alpha, c)
                if kept is None:
                    return None
                total[kept] += size * (1 + self._margin)
            elif sum(alpha) == alpha[self._i]:
                total[alpha[self._i]] += c * (1 - self._margin)
        return total

    def _degree(self, alpha: Exponents, c: Fraction) -> tuple[int | None, Fraction]:
        """Bound a term c > 0 from above by a power of the species; None where others have no largest count."""
        kept, size = reduced(alpha, c, self._model.species_bounds, keep_one=False)
        return (kept[self._i] if sum(kept) == kept[self._i] else None), size

    def _terms(self, k: int, *, upper: bool) -> Iterable[tuple[Exponents, Fraction]] | None:
        law = self._model.rate_expressions[k]
        enclosure = NO_BOUNDS if law is None else envelope(law, self._model.species, self._horizon, self._lowest)
        terms = enclosure.upper if upper else enclosure.lower
        return None if terms is None else in_falling_powers(terms, upper=upper).items()


def _along(model: Model, i: int, n: int, horizon: float, remaining: float) -> Escape | None:
    """Return what is proved along one species."""
    m = n // LEVEL_SHARE
    steps = {k: step for k, step in enumerate(model.change[:, i].tolist()) if step}
    if m <= max(0, -min(steps.values(), default=0)):
        return None
    bounds = _RateBounds(model, i, m, horizon, FOLDING)
    rates = {k: bounds.below(k) if step > 0 else bounds.above(k) for k, step in steps.items()}
    changes = [(steps[k], rate) for k, rate in rates.items() if rate is not None]
    if len(changes) < len(rates):
        return None
    D = _sum((Fraction(m * step, m + step), rate) for step, rate in changes)
    leaves = D[0] > 0 and min(D.values()) >= 0
    # with t = n - m, n² = t (t - 1) + (2m + 1) t + m²
    c = min(D[2], D[1] / (2 * m + 1), D[0] / (m * m)) if leaves else Fraction(0)
    explodes = _is_likely(n, float(c), remaining)
    if not leaves and not _lingers(_RateBounds(model, i, m, horizon, Fraction(0)), steps):
        return None
    strongest = max(steps, key=lambda k: steps[k] * sum(c * (n - m) ** j for j, c in (rates[k] or {}).items()))
    return Escape(model.species[i], n, str(model.reactions[strongest].name), m, explodes, leaves)


def _lingers(bounds: _RateBounds, steps: dict[int, int]) -> bool:
    """Tell whether (4) holds for constants as they are: a change by 1e-12 of them may make the time finite."""
    rates = {k: bounds.above(k) for k in steps}
    if not all(rate is not None and not any(c for j, c in rate.items() if j > 1) for rate in rates.values()):
        return False
    drift = _sum((Fraction(step), (bounds.below(k) if step > 0 else rates[k]) or {}) for k, step in steps.items())
    raised = any(bounds.below(k).get(0, Fraction(0)) > 0 for k, step in steps.items() if step > 0)
    return raised and min(drift.values()) >= 0


def _sum(parts: Iterable[tuple[Fraction, Powers]]) -> Powers:
    total: Powers = defaultdict(Fraction)
    for weight, rate in parts:
        for j, value in rate.items():
            total[j] += weight * value
    return total
