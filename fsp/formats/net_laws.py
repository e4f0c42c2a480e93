"""Net laws of reversible reactions, `kf A B − kr C`, as a propensity for each direction.

A law is a sum of terms with signs, and what it is multiplied with or divided by is with each of them.  Terms that are
never negative in states that the network reaches are those of the forward direction, and terms that are never positive
those of the reverse one.  By its form a law is that of two reactions where each forward term vanishes without each
reactant, and each reverse term without each product.  A law of another form is divided where it becomes negative.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from fsp.arrays import BoolArray, FloatArray, IntArray
from fsp.errors import ModelError
from fsp.formats.later_laws import without_zeros
from fsp.formats.powers import product, total
from fsp.model.definition import Definition, Law, free_name
from fsp.model.infix import to_text
from fsp.model.reaction import Reaction, Stoichiometry
from fsp.model.similar import CompiledLaws
from fsp.model.tree import ONE, Call, Expression, Number, Symbol, call, substitute, symbols

Directions = tuple[Expression, Expression]  # the laws of the forward and the reverse direction


class _ModelOnStates(NamedTuple):
    """What is known of a model."""

    definition: Definition
    resolved: Mapping[str, Expression]  # parameters as trees of species and time
    states: IntArray  # (n, d) that the network reaches

    def varies(self, tree: Expression, species: frozenset[str]) -> bool:
        """Tell whether a tree depends on some species."""
        return not species.isdisjoint(symbols(substitute(tree, self.resolved)))

    def values(self, trees: list[Expression]) -> FloatArray:
        """Return trees at the states, (n_trees, n)."""
        laws = CompiledLaws((substitute(tree, self.resolved) for tree in trees), list(self.definition.species))
        return laws(self.states)


class _SignedTerm(NamedTuple):
    """A term of a law, which is the sum of them."""

    tree: Expression
    less: bool = False  # whether it is taken from the others


def with_directions(
    definition: Definition, resolved: Mapping[str, Expression], every: FloatArray, states: IntArray
) -> Definition:
    """Return a definition in which laws of reversible reactions, and those that become negative, are two each.

    `resolved`: parameters as trees of species and time; `every`: the laws at the states, (n_reactions, n).
    """
    known = _ModelOnStates(definition, resolved, states)
    reactions: list[Reaction] = []
    laws: list[Law] = []
    steps = []
    taken = {str(reaction.name) for reaction in definition.reactions}
    pairs = _reversible(known._replace(resolved=without_zeros(definition, resolved)))
    for k, (reaction, law, values) in enumerate(zip(definition.reactions, definition.laws, every, strict=True)):
        if (values < 0.0).any() and not (values > 0.0).any() and _negative_constants(known, law):
            raise _negative(known, reaction, law, values)  # no direction of it is meant
        if k not in pairs and isinstance(law, Expression) and (values < 0.0).any():
            pairs[k] = _parts(known, reaction, law, values)
        if k not in pairs:
            reactions.append(reaction)
            laws.append(law)
            continue
        forth, back = pairs[k]
        names = [free_name(f"{reaction.name}_{way}", taken) for way in ("forward", "reverse")]
        taken.update(names)
        reactions += [reaction.named(names[0]), _reversed(reaction, names[1])]
        laws += [forth, back]
        steps.append(f"{reaction.name}: split into {names[0]} at {to_text(forth)} and {names[1]} at {to_text(back)}")
    if not steps:
        return definition
    conversion = definition.conversion.and_then(*steps)
    return replace(definition, reactions=tuple(reactions), laws=tuple(laws), conversion=conversion)


# ---------------------------------------------------------------------- by their form


def _reversible(known: _ModelOnStates) -> dict[int, Directions]:
    """Return the two laws of each reversible reaction, whatever the start, by its number.

    So ``k (A - B)`` of A -> B is one; ``k (N - B)``, ``k A (N - B)`` and ``k A (A - 1)`` are laws of one direction.
    """
    species = frozenset(known.definition.species)
    terms: dict[int, list[_SignedTerm]] = {}
    for k, (reaction, law) in enumerate(zip(known.definition.reactions, known.definition.laws, strict=True)):
        if isinstance(law, Expression) and _has_two_sides(reaction, law):
            changed = frozenset(name for name, n in reaction.change.items() if n and name in species)
            split = _terms(law, known, changed)
            if len(split) > 1:
                terms[k] = split
    pairs = dict(_by_sign(terms, known))
    looked_at = [(k, tree) for k, pair in pairs.items() for tree in _without(known, k, pair)]
    for (k, _), values in zip(looked_at, known.values([tree for _, tree in looked_at]), strict=True):
        if values.any():
            pairs.pop(k, None)
    return pairs


def _without(known: _ModelOnStates, k: int, pair: Directions) -> Iterator[Expression]:
    """Yield what must vanish for two laws to be those of directions: each law without each species that it takes.

    A direction that takes nothing must not depend on what is changed.
    """
    reaction = known.definition.reactions[k]
    for part, consumed in zip(pair, (reaction.reactants, reaction.products), strict=True):
        missing = [n for n in consumed or () if n in known.definition.species and not has_factor(part, n)]
        for name in missing:
            yield substitute(substitute(part, known.resolved), {name: Number(0.0)})
        if not consumed and known.varies(part, frozenset(reaction.change)):
            yield ONE


def _has_two_sides(reaction: Reaction, law: Expression) -> bool:
    """Tell whether a reaction may be two: of what is made from nothing, a file must say so, and the law be a sum."""
    if reaction.reactants and reaction.products:
        return True
    return reaction.reversible and isinstance(law, Call) and law.function in ("+", "-")


def _terms(tree: Expression, known: _ModelOnStates, changed: frozenset[str] | None) -> list[_SignedTerm]:
    """Return the terms of a law; what is multiplied with a sum, or divides it, is with each term.

    Of a product, only one factor may depend on what the reaction has `changed`; on anything where that is None.
    """
    if isinstance(tree, Symbol):
        rule = known.definition.parameters.get(tree.name)
        term_list = _terms(rule, known, changed) if isinstance(rule, Call) else []
        return term_list if len(term_list) > 1 else [_SignedTerm(tree)]
    if not isinstance(tree, Call) or tree.function not in ("+", "-", "neg", "*", "/"):
        return [_SignedTerm(tree)]
    species = frozenset(known.definition.species)
    if not known.varies(tree, species):
        return [_SignedTerm(tree)]
    arguments = tree.arguments
    if tree.function not in ("*", "/"):
        less = len(arguments) - 1 if tree.function in ("-", "neg") else len(arguments)  # from which on they are taken
        terms = [(k >= less, term) for k, a in enumerate(arguments) for term in _terms(a, known, changed)]
        return [_SignedTerm(term.tree, term.less != flipped) for flipped, term in terms]
    places = range(1 if tree.function == "/" else len(arguments))
    varying = [k for k in places if known.varies(_above(arguments[k]), species if changed is None else changed)]
    inner = {k: _terms(arguments[k], known, changed) for k in varying}
    if changed is None:
        inner = {k: term_list for k, term_list in inner.items() if term_list != [_SignedTerm(arguments[k])]}
    if len(inner) != 1:
        return [_SignedTerm(tree)]
    ((k, term_list),) = inner.items()
    return [
        _SignedTerm(call(tree.function, *arguments[:k], term.tree, *arguments[k + 1 :]), term.less)
        for term in term_list
    ]


def _above(tree: Expression) -> Expression:
    """Return the numerator of a quotient; anything else as it is."""
    return _above(tree.arguments[0]) if isinstance(tree, Call) and tree.function == "/" else tree


def _by_sign(terms: Mapping[int, list[_SignedTerm]], known: _ModelOnStates) -> Iterator[tuple[int, Directions]]:
    """Yield the sums of the terms that are never negative and of those that are never positive, where all are such."""
    every = known.values([term.tree for group in terms.values() for term in group])  # (n_terms, n)
    row = 0
    for k, group in terms.items():
        values = every[row : row + len(group)] * np.array([[-1.0 if term.less else 1.0] for term in group])
        row += len(group)
        pair = _pair(group, (values > 0.0).any(axis=1), (values < 0.0).any(axis=1))
        if pair is not None:
            yield k, pair


def _pair(terms: list[_SignedTerm], more: BoolArray, less: BoolArray) -> Directions | None:
    """Return both sums of terms (n_terms,) that are more and less than zero somewhere; None unless there are two."""
    if (more & less).any():
        return None
    forth: list[Expression] = []
    back: list[Expression] = []
    for term, above, below in zip(terms, more.tolist(), less.tolist(), strict=True):
        down = below or (term.less and not above)
        (back if down else forth).append(_cancelled(term.tree if down == term.less else _negated(term.tree)))
    return (total(forth), total(back)) if forth and back else None


def _negated(tree: Expression) -> Expression:
    """Return minus a tree, as short as it was written."""
    if isinstance(tree, Number):
        return Number(-tree.value, tree.error)
    if isinstance(tree, Call) and tree.function == "neg":
        return tree.arguments[0]
    if isinstance(tree, Call) and tree.function == "-" and len(tree.arguments) == 2:
        return call("-", *reversed(tree.arguments))
    if isinstance(tree, Call) and tree.function in ("*", "/"):
        for k, a in enumerate(tree.arguments):
            if (isinstance(a, Number) and a.value < 0.0) or (isinstance(a, Call) and a.function in ("neg", "-")):
                return call(tree.function, *tree.arguments[:k], _negated(a), *tree.arguments[k + 1 :])
    return call("neg", tree)


def _cancelled(tree: Expression) -> Expression:
    """Return a product without the symbols that multiply and divide it, as S in ``k S (P/S)``: defined where S = 0."""
    above, below = _factors(tree)
    kept = list(below)
    for factor in below:
        if isinstance(factor, Symbol) and factor in above:
            above.remove(factor)
            kept.remove(factor)
    if len(kept) == len(below):
        return tree
    return call("/", product(ONE, above), product(ONE, kept)) if kept else product(ONE, above)


def _factors(tree: Expression) -> tuple[list[Expression], list[Expression]]:
    """Return what a tree is a product of, and what divides it."""
    if not isinstance(tree, Call) or tree.function not in ("*", "/", "neg"):
        return [tree], []
    parts = [_factors(a) for a in tree.arguments]
    if tree.function == "/":
        parts[1:] = [(below, above) for above, below in parts[1:]]
    sign: list[Expression] = [Number(-1.0)] if tree.function == "neg" else []
    return sign + [f for above, _ in parts for f in above], [f for _, below in parts for f in below]


def has_factor(law: Law, name: str) -> bool:
    """Tell whether a law is a product with a count itself, so that it is zero, or not defined, without it."""
    return isinstance(law, Call) and law.function == "*" and Symbol(name) in law.arguments


# ---------------------------------------------------------------------- by their values


def _parts(known: _ModelOnStates, reaction: Reaction, law: Expression, values: FloatArray) -> Directions:
    """Return the terms of a law that becomes negative, by their signs, or raise a `ModelError`."""
    terms = _terms(law, known, None)
    pair = dict(_by_sign({0: terms}, known)).get(0) if len(terms) > 1 and reaction.reactants is not None else None
    if pair is None:
        raise _negative(known, reaction, law, values)
    return pair


def _negative_constants(known: _ModelOnStates, law: Law) -> dict[str, float]:
    """Return the parameters of a law that are negative numbers."""
    constants, names = known.definition.parameters, symbols(law) if isinstance(law, Expression) else ()
    numbers = {name: v.value for name in sorted(names) if isinstance(v := constants.get(name), Number)}
    return {name: value for name, value in numbers.items() if value < 0.0}


def _negative(known: _ModelOnStates, reaction: Reaction, law: Law, values: FloatArray) -> ModelError:
    i = int(np.argmin(values))
    state = dict(zip(known.definition.species, known.states[i].tolist(), strict=True))
    negative = _negative_constants(known, law)
    name = next(iter(negative), "")
    way_out = (
        f"holds '{name}', which is {negative[name]:.6g}; give that a value of 0 or more"
        if negative
        else "is no difference of two; write a reaction for each direction"
    )
    return ModelError(
        f"Propensity of '{reaction.name}' must be 0 or more, but is {values[i]:.6g} in state {state}, and its law "
        f"{shortened(to_text(law)) if isinstance(law, Expression) else ''} {way_out}."
    )


def _reversed(reaction: Reaction, name: str) -> Reaction:
    change = {species: -n for species, n in reaction.change.items()}
    sides = Stoichiometry(reaction.products, reaction.reactants, change)
    return Reaction(sides, **reaction.law._asdict(), name=name)


def shortened(text: str) -> str:
    """Return a formula for a message."""
    return text if len(text) <= 80 else f"{text[:77]}..."
