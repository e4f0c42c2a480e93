"""A network in another volume: mass action is recognised exactly, other laws are rates of densities.

In volume V the chain starts in V x₀.  A propensity that is a polynomial Σ κ x^(α) in falling powers, κ > 0, stands for
mass action of the orders |α|, whatever the equations say (see `fsp.moments.complexes`); any other law a is the rate of
a density.  With concentrations y = x/V,

    mass action   a_V(x) = Σ κ V^(1-|α|) x^(α),   a_V(V y)/V = f(y) + g(y)/V + O(V⁻²),
                  f(y) = Σ κ y^α,   g(y) = -Σ κ Σᵢ αᵢ (αᵢ - 1)/2 y^(α - eᵢ)
    densities     a_V(x) = V a(x/V),   f = a,   g = 0

The two readings are the same for orders zero and one.  A polynomial such as X², which has fewer terms in ordinary than
in falling powers, was written as a density and is read as one.  At V = 1 the network is the one given.

References
----------
T. G. Kurtz, J. Chem. Phys. 57 (1972) 2976, doi:10.1063/1.1678692.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from fsp.checks import LARGEST_WHOLE
from fsp.errors import ArgumentError, ModelError
from fsp.model import Model, Reaction
from fsp.model.derivatives import plus, times
from fsp.model.taylor import has_switches
from fsp.model.tree import ONE, ZERO, Call, Expression, Number, Symbol, call, depends_on_time, substitute, symbols, walk
from fsp.moments.envelope import envelope
from fsp.moments.polynomial import Exponents, from_power

CANCELLED = Fraction(1, 10**12)  # relative: what is left of terms that cancel but for the rounding of constants

Terms = Mapping[Exponents, Fraction]


@dataclass(frozen=True, slots=True)
class Scaling:
    """How one propensity goes with the volume."""

    law: Expression  # the propensity at V = 1
    macroscopic: Expression  # f, a law of concentrations
    correction: Expression  # g
    terms: tuple[tuple[Expression, Terms], ...] | None  # factors free of species, κ by α; None for a density


def scaling(model: Model, k: int) -> Scaling:
    """Find how a propensity goes with the volume."""
    law, species = smooth_law(model, k), model.species
    terms = mass_action(model, k, law)
    if terms is None:
        return Scaling(law, law, ZERO, None)
    f = plus(*(times(scalar, _monomials(term, species)) for scalar, term in terms))
    g = plus(*(times(scalar, _monomials(_pairs_twice(term), species)) for scalar, term in terms))
    return Scaling(law, f, g, terms)


def smooth_law(model: Model, k: int) -> Expression:
    """Return a propensity as a tree; refuse one that is none, or that jumps or bends with the state."""
    law, name = model.rate_expressions[k], model.reactions[k].name
    if law is None:
        raise ModelError(f"Rate of '{name}' must be a formula to be approximated, but is a callable.")
    names = set(model.species)
    for node in walk(law):
        if isinstance(node, Call) and symbols(node) & names and has_switches(Call(node.function, ())):
            raise ModelError(
                f"Rate of '{name}' must be smooth in the counts to be approximated, but has the condition or switch "
                f"`{node.function}` of {', '.join(sorted(symbols(node) & names))}; give a law without it."
            )
    return law


def require_chain(model: Model) -> None:
    """Raise a ModelError where a model has events, which no approximation knows."""
    if model.events:
        raise ModelError(f"'{model.name}' must have no events to be approximated, but has '{model.events[0].name}'.")


def mass_action(model: Model, k: int, law: Expression) -> tuple[tuple[Expression, Terms], ...] | None:
    """Return a propensity as a sum of mass action: factors without species, each with κ by α; None for other laws."""
    products: Sequence[tuple[Expression, Expression]] = [(ONE, law)]
    if depends_on_time(law):
        factorised = model.factorised(k)
        if factorised is None:
            return None
        products = [(p.scalar, call("*", *p.factors.values())) for p in factorised]
    split = []
    for scalar, tree in products:
        terms = _falling(tree, model.species)
        if terms is None:
            return None
        split.append((scalar, terms))
    return tuple(split)


def _falling(tree: Expression, species: Sequence[str]) -> Terms | None:
    """Return the falling powers of a law of mass action; None for any other law."""
    polynomials = envelope(_as_it_prints(tree), species)
    if (
        not polynomials.exact
        or polynomials.upper is None
        or any(p.denominator != 1 for powers in polynomials.upper for p in powers)
    ):
        return None
    sums: dict[Exponents, Fraction] = {}
    sizes: dict[Exponents, Fraction] = {}
    for powers, c in polynomials.upper.items():
        for alpha, weight in from_power(tuple(int(p) for p in powers)).items():
            sums[alpha] = sums.get(alpha, Fraction(0)) + c * weight
            sizes[alpha] = sizes.get(alpha, Fraction(0)) + abs(c) * weight
    terms = {alpha: c for alpha, c in sums.items() if abs(c) > CANCELLED * sizes[alpha]}
    if any(c < 0 for c in terms.values()) or len(terms) > len(polynomials.upper):
        return None
    return terms


def _as_it_prints(tree: Expression) -> Expression:
    """Return the tree with its numbers taken as they are: which form a law has does not hang on their rounding."""
    if isinstance(tree, Number):
        return Number(tree.value)
    if isinstance(tree, Call):
        return Call(tree.function, tuple(_as_it_prints(a) for a in tree.arguments))
    return tree


def _monomials(terms: Terms, species: Sequence[str]) -> Expression:
    """Return Σ κ y^α."""
    powers = [
        [call("^", Symbol(name), Number(float(n))) for name, n in zip(species, alpha, strict=True) if n]
        for alpha in terms
    ]
    return plus(*(times(Number(float(c)), *power) for c, power in zip(terms.values(), powers, strict=True)))


def _pairs_twice(terms: Terms) -> Terms:
    """Return -Σ κ Σᵢ αᵢ (αᵢ - 1)/2 y^(α - eᵢ) by its exponents."""
    total: dict[Exponents, Fraction] = {}
    for alpha, c in terms.items():
        for i, n in enumerate(alpha):
            if n > 1:
                lower = (*alpha[:i], n - 1, *alpha[i + 1 :])
                total[lower] = total.get(lower, Fraction(0)) - c * n * (n - 1) / 2
    return total


def falling_power(alpha: Exponents, species: Sequence[str]) -> list[Expression]:
    """Return the factors x, x - 1, … of x^(α)."""
    pairs = zip(species, alpha, strict=True)
    return [call("-", Symbol(name), Number(float(k))) for name, n in pairs for k in range(n)]


class ScaledNetwork:
    """A network, given at V = 1, whose volume can be changed."""

    def __init__(self, model: Model) -> None:
        require_chain(model)
        if len(model.initial_states) != 1:
            raise ModelError(f"'{model.name}' must start in one state to be scaled, but starts in a distribution.")
        self.model = model
        self.scalings = tuple(scaling(model, k) for k in range(model.n_reactions))

    def model_in(self, volume: float) -> Model:
        """Return the network in a volume in which initial counts are whole."""
        model = self.model
        if volume == 1.0:
            return model
        start = volume * model.initial_states[0]
        counts = np.rint(start)
        if (counts > LARGEST_WHOLE).any():
            raise ArgumentError(f"`volumes` must make initial counts below 2⁵³, but {volume:g} makes {start.tolist()}.")
        if (np.abs(start - counts) > 1e-9 * np.maximum(1.0, counts)).any():
            raise ArgumentError(f"`volumes` must make initial counts whole, but {volume:g} makes {start.tolist()}.")
        reactions = [
            Reaction(dict(reaction.change), rate=self._in_volume(law_scaling, volume), name=reaction.name)
            for reaction, law_scaling in zip(model.reactions, self.scalings, strict=True)
        ]
        species = dict(zip(model.species, counts.astype(int).tolist(), strict=True))
        name = f"{model.name} at volume {volume:g}"
        return Model(species=species, reactions=reactions, name=name, time_unit=model.time_unit)

    def _in_volume(self, law_scaling: Scaling, volume: float) -> Expression:
        species = self.model.species
        if law_scaling.terms is None:
            inner = {name: call("/", Symbol(name), Number(volume)) for name in species}
            return call("*", Number(volume), substitute(law_scaling.law, inner))
        orders = {sum(alpha) for _, terms in law_scaling.terms for alpha in terms}
        if len(orders) == 1:  # the law as it was written
            return call("*", Number(volume ** (1 - orders.pop())), law_scaling.law)
        return plus(*(times(scalar, self._by_order(terms, volume)) for scalar, terms in law_scaling.terms))

    def _by_order(self, terms: Terms, volume: float) -> Expression:
        return plus(
            *(
                times(Number(float(c) * volume ** (1 - sum(alpha))), *falling_power(alpha, self.model.species))
                for alpha, c in terms.items()
            )
        )
