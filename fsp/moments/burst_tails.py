"""What bursts whose law has no largest size add to moments beyond the sizes that have a reaction.

A burst of size m changes u = w·x, w >= 0, by s + m r with s = w·c, c the change but for what is made m times, and r the
weight of what is.  With M the largest size that is kept, ``|s + m r| <= (m/M) (w·|c| + M r)`` for m > M.  Probabilities
of sizes are right but for a relative error of ρ, and the sizes beyond M have at most ε of the moments of all at M
(`fsp.model.draws`), so that for every order j up to `ORDER`

    Σ_m P(m) |s + m r|^j  <=  (1 + ρ) (Σ_{m <= M} p_m |s + m r|^j  +  ε Σ_{m <= M} p_m (w·|c| + M r)^j):

the moments are at most those of a network with ρ more of each reaction, and one more for each burst.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.model import Model
from fsp.model.draws import LEFT_OUT_OF_MOMENTS, MOST_COUNTS
from fsp.model.reaction import CutBurst
from fsp.moments.polynomial import Polynomial, plus, scaled
from fsp.moments.rates import Rate

# ρ: twice what laws of so many sizes take off probabilities, 7 roundings for each, and once more for their sum
LAW_ROUNDING = Fraction(3 * 7 * MOST_COUNTS * UNIT_ROUNDOFF)


def with_tails(model: Model, rates: Sequence[Rate]) -> tuple[Rate, ...]:
    """Return bounds of rates, for upper bounds of moments, that hold the sizes of bursts which have no reaction."""
    bursts: dict[str, list[Rate]] = {}
    raised = []
    for reaction, rate in zip(model.reactions, rates, strict=True):
        raised.append(_raised(rate) if isinstance(reaction, CutBurst) else rate)
        if isinstance(reaction, CutBurst):
            bursts.setdefault(str(reaction.part_of), []).append(raised[-1])
    return (*raised, *_beyond(bursts))


def _raised(rate: Rate) -> Rate:
    """Return a rate with ρ more; a polynomial that it is bounds it from above only, which does where nothing falls."""
    rises = min(rate.change) >= 0
    return replace(
        rate,
        upper=_more(rate.upper),
        lower=scaled(rate.lower, 1 - LAW_ROUNDING),
        exact=_more(rate.exact) if rises else None,
    )


def _more(polynomial: Polynomial | None) -> Polynomial | None:
    return None if polynomial is None else scaled(polynomial, 1 + LAW_ROUNDING)


def _beyond(bursts: dict[str, list[Rate]]) -> Iterator[Rate]:
    """Yield a reaction for the sizes of each burst that are left out."""
    for name, rates in bursts.items():
        largest = max(rates, key=lambda rate: sum(rate.change))
        change = tuple(map(abs, largest.change))
        if any(rate.upper is None for rate in rates):
            yield Rate(name, change, None, {}, None)
        else:
            total = plus(*(rate.upper for rate in rates if rate.upper is not None))
            yield Rate(name, change, scaled(total, Fraction(LEFT_OUT_OF_MOMENTS)), {}, None)
