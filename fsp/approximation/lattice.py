"""The Fokker–Planck equation as a Markov chain on a lattice of spacing h.

The equation of the chemical Langevin equation, ∂p/∂t = Σ_r (-∂_ν + ½ ∂_ν²) a_r p with ∂_ν = ν·∇, is a sum over
reactions of drift a and diffusion a/2 along the change ν.  On counts x = h n, n whole, reaction r becomes two hops,
x → x + h ν and x → x - h ν, at rates a(x) u and a(x) w with the donor's a, and

    central                u = (1 + h)/(2 h²),            w = (1 - h)/(2 h²)
    scharfetter-gummel     u = 1/(h (1 - e^(-2h))),       w = e^(-2h) u

Both have the drift (u - w) h = 1; the variance per unit of time, (u + w) h², is 1 (central) or h coth h = 1 + h²/3 + ….
Both are positive for h <= 1, conserve probability, obey the conservation laws of the network, and have no mixed
derivatives to discretise, so that what they make is an ordinary reaction network whose counts are n: the same spaces,
generators, solvers and certificates serve it.  At h = 1 the central hops are the reactions themselves.  The rest of
the error, in the third and higher cumulants of a hop, is of order h².

Between whole counts mass action is κ ∏ max(x - k, 0), so that what cannot happen for want of molecules does not happen
a little; any other law is cut at zero where it is negative.  A hop that would make a count negative is left out: the
boundary reflects, half a cell below zero, as the first cell reaches from -h/2 to h/2.  Drift towards it piles up
probability there; it does not leave.

References
----------
D. T. Gillespie, J. Chem. Phys. 113 (2000) 297, doi:10.1063/1.481811.
D. L. Scharfetter, H. K. Gummel, IEEE Trans. Electron Devices 16 (1969) 64, doi:10.1109/T-ED.1969.16566.
H. Wang, C. S. Peskin, T. C. Elston, J. Theor. Biol. 221 (2003) 491, doi:10.1006/jtbi.2003.3200.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from fsp import analysis
from fsp.approximation.scaling import Terms, mass_action, smooth_law
from fsp.arrays import FloatArray, IntArray
from fsp.model import Model, Reaction
from fsp.model.derivatives import plus, times
from fsp.model.tree import ZERO, Call, Expression, Number, Symbol, Time, call, substitute


def _central(h: float) -> tuple[float, float]:
    return (1.0 + h) / (2.0 * h * h), (1.0 - h) / (2.0 * h * h)


def _scharfetter_gummel(h: float) -> tuple[float, float]:
    forward = -1.0 / (h * math.expm1(-2.0 * h))
    return forward, math.exp(-2.0 * h) * forward


SCHEMES: dict[str, Callable[[float], tuple[float, float]]] = {
    "central": _central,
    "scharfetter-gummel": _scharfetter_gummel,
}
"""Rates u and w of the hops forwards and backwards, for each unit of the propensity."""


def diffusion(h: float, scheme: str) -> float:
    """Return the variance c(h) of a hop, for each unit of the propensity and of time: 1 but for numerical diffusion."""
    forward, back = SCHEMES[scheme](h)
    return (forward + back) * h * h


_POSITIVE = {"+", "*", "/", "^", "exp", "sqrt"}  # of what is not negative


def lattice(model: Model, cells: int, scheme: str = "central") -> Model:
    """Return the network whose counts are n, for counts x = n h of the Fokker–Planck equation, with h = 1/cells."""
    reactions = []
    for k, reaction in enumerate(model.reactions):
        law, terms = between_counts(model, k, cells)
        for rate, sign, side in zip(SCHEMES[scheme](1.0 / cells), (1, -1), ("", " (back)"), strict=True):
            change = {name: sign * n for name, n in reaction.change.items()}
            if rate > 0.0 and change:
                guards = _guards(model.species, change, terms if sign > 0 else None)
                reactions.append(
                    Reaction(change, rate=call("*", Number(rate), law, *guards), name=f"{reaction.name}{side}")
                )
    initial = {
        tuple(int(n) * cells for n in state): float(p)
        for state, p in zip(model.initial_states, model.initial_probabilities, strict=True)
    }
    name = f"{model.name} on a lattice of spacing 1/{cells}"
    return Model(species=model.species, reactions=reactions, initial=initial, name=name, time_unit=model.time_unit)


def between_counts(model: Model, k: int, cells: int) -> tuple[Expression, Terms | None]:
    """Return the propensity as a law of n, and its falling powers where it is mass action."""
    law = smooth_law(model, k)
    recognised = mass_action(model, k, law)
    if recognised is None:
        scaled = {name: call("/", Symbol(name), Number(float(cells))) for name in model.species}
        inner = substitute(law, scaled) if cells > 1 else law
        return (inner if _never_negative(law) else call("max", inner, ZERO)), None
    parts = [times(scalar, _clipped(terms, model.species, cells)) for scalar, terms in recognised]
    return plus(*parts), {alpha: c for _, terms in recognised for alpha, c in terms.items()}


def _clipped(terms: Terms, species: Sequence[str], cells: int) -> Expression:
    """Return Σ κ ∏ max(x - k, 0), of whole numbers: Σ κ h^|α| ∏ max(n - k/h, 0)."""
    total = []
    for alpha, c in terms.items():
        factors = [
            call("max", call("-", Symbol(name), Number(float(k * cells))), ZERO) if k else Symbol(name)
            for name, n in zip(species, alpha, strict=True)
            for k in range(n)
        ]
        total.append(times(Number(float(c / cells ** sum(alpha))), *factors))
    return plus(*total)


def _never_negative(tree: Expression) -> bool:
    """Return whether a law is seen to be >= 0 at all counts >= 0, whole or not."""
    if isinstance(tree, Number):
        return tree.value >= 0.0
    if isinstance(tree, Call):
        return tree.function in _POSITIVE and all(map(_never_negative, tree.arguments))
    return isinstance(tree, Symbol | Time)


def _guards(species: Sequence[str], change: Mapping[str, int], terms: Terms | None) -> list[Expression]:
    """Return conditions that keep counts from becoming negative, but where the falling powers see to it."""
    place = {name: i for i, name in enumerate(species)}
    return [
        call(">=", Symbol(name), Number(float(-n)))
        for name, n in change.items()
        if n < 0 and (terms is None or any(alpha[place[name]] < -n for alpha in terms))
    ]


def on_counts(states: IntArray, probabilities: FloatArray, cells: int) -> tuple[IntArray, FloatArray]:
    """Add up the cells of a lattice by the whole count that is nearest; a cell half-way belongs half to either side.

    From (n, d) cells and their probabilities (n,): counts (m, d) in lexicographic order, and theirs (m,).
    """
    counts, p = states, probabilities
    for i in range(states.shape[1]):
        doubled = 2 * counts[:, i] + cells  # of (x + ½) 2 cells
        nearest, between = doubled // (2 * cells), doubled % (2 * cells) == 0
        between &= counts[:, i] > 0
        upper = np.column_stack([counts[:, :i], nearest, counts[:, i + 1 :]])
        lower = upper[between]
        lower[:, i] -= 1
        p = np.concatenate([np.where(between, 0.5 * p, p), 0.5 * p[between]])
        counts = np.concatenate([upper, lower])
    folded, sums, _ = analysis.marginal(counts, p)
    return folded, sums
