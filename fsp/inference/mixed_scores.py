"""Mean squares of the scores of paths of cells that differ in parameters, for what a gradient loses of them.

Let rates be ``a = g + Σ_i θ_i f_i``, θ_i > 0 independent of each other and constant in a cell, and
``Θ = Σ_i θ_i/E θ_i``, so that ``θ_i <= Θ E θ_i``.  For functions ``u_i = w_i·x`` with ``x_i <= u_i`` and drift
conditions ``A_g u_i <= c_i + γ_i u_i`` of the rates g alone (`fsp.moments.part_moments`), and where
``Σ_r Σ_m E θ_m f_mr max(w_i·ν_r, 0) <= α_i + Σ_l β_il x_l``,

(1)  d/ds E[Θ^j u_i]  <=  c_i E Θ^j + γ_i E[Θ^j u_i] + α_i E Θ^(j+1) + Σ_l β_il E[Θ^(j+1) u_l] ,

finitely many equations where β has no cycle, whose matrix has no negative entry off its diagonal, so that its
solution lies above; ``E Θ^j <= n^j max_i E θ_i^j/(E θ_i)^j`` for n laws.  By Cauchy and Schwarz, as all terms of a law
are not negative,

(2)  E S_k²  =  ∫ E Σ_r (∂_k a_r)²/a_r ds + E (∂_k log p(0))² ,
     (∂_k a)²/a  <=  (∂_k g)²/g + Θ Σ_i E θ_i (∂_k f_i)²/f_i ,

which polynomials of degree one are sought above, also by ``(∂_k f)² <= σ² f²`` with σ of `fsp.inference.sectors`.
"""

from __future__ import annotations

from fractions import Fraction
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import ROUNDED_UP
from fsp.inference.affine_rates import AffineRates
from fsp.inference.envelopes import size
from fsp.inference.parameters import without
from fsp.inference.sectors import is_enclosed, steepness
from fsp.model.derivatives import derivative, plus
from fsp.model.ranges import enclosure
from fsp.model.tree import ZERO, Call, Expression, Number, call, substitute, symbols
from fsp.moments.exponential import exponential
from fsp.moments.initial import KnownDistribution
from fsp.moments.part_moments import gauges
from fsp.moments.polynomial import collect, degree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fsp.arrays import FloatArray
    from fsp.inference.extrinsic import ParameterLaw
    from fsp.model import Model
    from fsp.moments.part_moments import Gauge
    from fsp.moments.polynomial import Polynomial

# Relative rounding of an exponential beyond which it bounds nothing; as in `fsp.moments.part_moments`.
USELESS_ROUNDING = 0.1


def score_squares(
    model: Model, laws: Mapping[str, ParameterLaw], names: Sequence[str], horizon: float, at_start: FloatArray
) -> FloatArray:
    """Bound E S_k² up to a time, (2), (q,); infinite where nothing is known.

    S are derivatives by logarithms of parameters, `at_start` their squares at the start, (q,).
    """
    affine = AffineRates.of(model, tuple(laws), names)
    given = {name: Number(model.parameters[name]) for name in names}
    terms = [term for r in range(model.n_reactions) for term in _terms(affine, laws, r)]
    of_powers = [
        [_summed(model, name, [term for power, term in terms if power == j], given) for j in (0, 1)] for name in names
    ]
    rising = any(degree(polynomial) == 1 for row in of_powers for polynomial in row if polynomial)
    integrals = _constants(laws, horizon, model.n_species)
    if rising:  # not where all counts have a largest one
        integrals = _integrals(model, laws, horizon, integrals)
    totals = [sum(_integral(p, j, integrals) for j, p in enumerate(row)) for row in of_powers]
    return np.asarray((np.array(totals, dtype=np.float64) + at_start) * ROUNDED_UP)


def _terms(affine: AffineRates, laws: Mapping[str, ParameterLaw], r: int) -> Iterator[tuple[int, Expression | None]]:
    """Yield powers of Θ and what they multiply, at the means, in a law; None of what has two parameters that differ."""
    rest = affine.laws[r]
    for name, law in laws.items():
        tree, rest = affine.slopes[name][r], _at_zero(rest, name)
        if tree != ZERO:
            yield 1, call("*", Number(law.numbers[0]), tree) if symbols(tree).isdisjoint(laws) else None
    yield 0, rest


def _at_zero(tree: Expression, name: str) -> Expression:
    """Return a law that is linear in a parameter where that is zero."""
    if isinstance(tree, Call) and tree.function == "+":
        return plus(*(_at_zero(term, name) for term in tree.arguments))
    return ZERO if without(tree, name) == ZERO else substitute(tree, {name: ZERO})


def _summed(
    model: Model, name: str, terms: Sequence[Expression | None], given: Mapping[str, Expression]
) -> Polynomial | None:
    """Return a polynomial above the sum of (∂f)²/f of terms f by the logarithm of a parameter; None if unknown."""
    parts = []
    for term in terms:
        bound = None if term is None else _square(model, name, term, given)
        if bound is None:
            return None
        parts += list(bound.items())
    return collect(parts)


def _square(model: Model, name: str, term: Expression, given: Mapping[str, Expression]) -> Polynomial | None:
    """Return a polynomial above (∂f)²/f of one term, which is |∂f| where f is a multiple of the parameter."""
    slope = derivative(term, name)
    if slope == ZERO:
        return {}
    scaled, law = substitute(call("*", given[name], slope), given), substitute(term, given)
    linear = name not in symbols(slope) and without(term, name) == ZERO
    tree = scaled if linear else call("/", call("^", scaled, Number(2.0)), law)
    known = size(model, tree, model.species_bounds)
    steep = (
        None if known is not None else _steepness(substitute(term, {k: v for k, v in given.items() if k != name}), name)
    )
    above = None if steep is None else size(model, law, model.species_bounds)
    return known if above is None or steep is None else {alpha: c * Fraction(steep) ** 2 for alpha, c in above.items()}


def _steepness(term: Expression, name: str) -> float | None:
    """Bound ``|∂ log f/∂ log θ|`` of a term that is made of what is not negative; None of others."""
    if not is_enclosed(term, frozenset([name])) or not _is_not_negative(term, name):
        return None
    return steepness(term, name)


def _is_not_negative(term: Expression, name: str) -> bool:
    """Tell whether all parts without a positive parameter are seen to be at least zero."""
    if name not in symbols(term):
        return enclosure(term, {})[0] >= 0.0
    if not isinstance(term, Call):
        return True
    parts = term.arguments[:1] if term.function == "^" else term.arguments
    return all(_is_not_negative(part, name) for part in parts)


def _integral(polynomial: Polynomial | None, j: int, integrals: FloatArray) -> float:
    """Bound ∫ E[Θ^j f] ds of a polynomial f, by `integrals` (2, 1 + d)."""
    if polynomial is None or degree(polynomial) > 1:
        return inf
    return sum(float(c) * float(integrals[j, _place(alpha)]) for alpha, c in polynomial.items())


def _place(alpha: Sequence[int]) -> int:
    """Return 0 for a constant, 1 + i for the i-th species."""
    return 1 + list(alpha).index(1) if sum(alpha) else 0


def _moments_of(laws: Mapping[str, ParameterLaw], order: int) -> float:
    """Bound E Θ^order."""
    return float(len(laws)) ** order * max(law.moment(order) for law in laws.values())


def _constants(laws: Mapping[str, ParameterLaw], horizon: float, d: int) -> FloatArray:
    """Return ∫ E Θ^j ds for j = 0, 1, in the first column of (2, 1 + d)."""
    table = np.full((2, 1 + d), inf)
    table[:, 0] = [horizon * _moments_of(laws, j) for j in (0, 1)]
    return table


def _integrals(model: Model, laws: Mapping[str, ParameterLaw], horizon: float, constants: FloatArray) -> FloatArray:
    """Bound ∫ E[Θ^j x_i] ds for j = 0, 1, by (1), beside the integrals of constants: (2, 1 + d)."""
    resting = model.with_parameters(dict.fromkeys(laws, 0.0))
    chosen: dict[int, Gauge] = {}
    for gauge in gauges(resting, horizon, 1):
        if gauge.orders[1] == 1:
            chosen.setdefault(gauge.species, gauge)
    affine = AffineRates.of(model, tuple(laws))
    fed = {i: _fed(model, laws, affine, gauge) for i, gauge in chosen.items()}
    orders = _orders(fed)
    if orders is None:
        return constants
    places = {pair: 1 + at for at, pair in enumerate((i, j) for i, last in orders.items() for j in range(last + 1))}
    matrix, start = np.zeros((1 + len(places), 1 + len(places))), np.ones(1 + len(places))
    begun = KnownDistribution(model.initial_states, model.initial_probabilities, model.start_lacks)
    for (i, j), row in places.items():
        gauge, (above, *now) = chosen[i], (_moments_of(laws, j + 1), _moments_of(laws, j))
        start[row] = now[0] * begun.powers(gauge.weights, gauge.orders, 1.0)[1] * ROUNDED_UP
        matrix[row, 0] = now[0] * gauge.matrix[1, 0]
        matrix[row, row] = gauge.matrix[1, 1]
        for alpha, c in (fed[i] or {}).items():
            column, factor = (places[_place(alpha) - 1, j + 1], 1.0) if sum(alpha) else (0, above)
            matrix[row, column] += factor * float(c) * ROUNDED_UP
    integrals, table = _integrated(matrix, start, horizon), constants.copy()
    for (i, j), row in places.items():
        if j <= 1:
            table[j, 1 + i] = integrals[row]
    return table


def _integrated(matrix: FloatArray, start: FloatArray, horizon: float) -> FloatArray:
    """Return ∫ e^{sM} ds of a start, (n,), rounded up; infinite where rounding hides it."""
    n = len(matrix)
    block = np.block([[matrix, np.zeros((n, n))], [np.eye(n), np.zeros((n, n))]])
    try:
        both, error = exponential(block, horizon)
    except OverflowError:
        return np.full(n, inf)
    return (1.0 + error) * ROUNDED_UP * (both[n:, :n] @ start) if error <= USELESS_ROUNDING else np.full(n, inf)


def _fed(model: Model, laws: Mapping[str, ParameterLaw], affine: AffineRates, gauge: Gauge) -> Polynomial | None:
    """Return α and β of a gauge, a polynomial of degree one; None where there is none."""
    parts = []
    for name, law in laws.items():
        for tree, change in zip(affine.slopes[name], model.change, strict=True):
            step = float(gauge.weights @ change)
            if tree == ZERO or step <= 0.0:
                continue
            known = symbols(tree) <= set(model.species)
            above = size(model, call("*", Number(step * law.numbers[0]), tree), model.species_bounds) if known else None
            if above is None or degree(above) > 1:
                return None
            parts += list(above.items())
    return collect(parts)


def _orders(fed: Mapping[int, Polynomial | None]) -> dict[int, int] | None:
    """Return the largest power of Θ that each gauge is needed with; None where that has no end."""
    orders = dict.fromkeys(fed, 1)
    for _ in range(len(fed) + 1):
        before = dict(orders)
        for i, polynomial in fed.items():
            if polynomial is None:
                return None
            for l in (_place(alpha) - 1 for alpha in polynomial if sum(alpha)):  # noqa: E741 - as in (1)
                if l not in orders:
                    return None
                orders[l] = max(orders[l], orders[i] + 1)
        if orders == before:
            return orders
    return None
