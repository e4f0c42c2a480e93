"""Rate laws against what their reactions consume: net laws split, powers counted in tuples, laws that need no reactant.

A propensity is never negative, and zero where a reactant is missing.  Files that were written for concentrations hold
net rates, `kf A B − kr C`, and powers, `k A^2`: the first are two propensities, the second is the limit of
`k A (A − 1)` for many molecules.  What is said here is what was seen in states that the network reaches, and at counts
below those that a reaction consumes; nothing is said of the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from fsp.arrays import IntArray
from fsp.errors import ModelError
from fsp.formats.later_laws import Later, later_laws
from fsp.formats.net_laws import has_factor, shortened, with_directions
from fsp.formats.powers import PowerProduct, has_changing_power, kept_powers, product, terms_of, total, written
from fsp.model.compiled import Compiled, compile_definition
from fsp.model.definition import Definition, Law, change_matrix, resolve
from fsp.model.infix import to_text
from fsp.model.kept_values import KeptValue
from fsp.model.reaction import Reaction
from fsp.model.similar import CompiledLaws
from fsp.model.structure import different_rows
from fsp.model.tree import ZERO, Expression, Number, substitute, symbols

WALKS = 16  # random paths along which laws are looked at, all at once; chosen, not measured
TRIED_JUMPS = 40  # jumps of each; fewer where there are many reactions
EVALUATIONS = 20_000  # laws times steps, so that a network of thousands of reactions takes a second
LEFT = 50  # counts below those that a reaction consumes, from either end, so that any number of them takes a moment
VISITS = 200_000  # of symbols and numbers, so that laws of tens of thousands of terms take a second or two


def judged(
    definition: Definition, mass_action: bool, scaled: bool, in_file: Mapping[str, Expression] | None = None
) -> Compiled:
    """Compile a definition whose laws are propensities as far as can be seen, or raise a `ModelError`.

    `mass_action`: count powers of reactants in tuples; `scaled`: do so for laws that are mass action in full, since
    amounts were converted to counts; `in_file`: the count of a species as a formula of the symbols of its file, where
    its own stands for something else.
    """
    compiled = compile_definition(definition)
    concentrations = {} if scaled else in_file or {}
    _refuse_counts_of_concentrations(definition, compiled.resolved, concentrations)
    laws = _evaluated(compiled)
    states = _states(compiled, laws)
    split = with_directions(definition, compiled.resolved, laws(states), states)
    _refuse_counts_of_concentrations(split, compiled.resolved, concentrations)
    counted = _counted(split, mass_action, scaled)
    if counted is not definition:
        compiled = compile_definition(counted)
    _check(counted, compiled, states, in_file or {})
    return compiled


# ---------------------------------------------------------------------- states that are looked at


def _evaluated(compiled: Compiled) -> CompiledLaws:
    """Return the laws of the reactions that were written, ready to be evaluated; 0 for callables."""
    laws = compiled.laws[: len(compiled.definition.reactions)]
    return CompiledLaws(
        (law if isinstance(law, Expression) else ZERO for law in laws), list(compiled.definition.species)
    )


def _states(compiled: Compiled, laws: CompiledLaws) -> IntArray:
    """Return states that the network reaches, (n, d): along random walks in which net laws go both ways."""
    rng = np.random.default_rng(0)
    change = change_matrix(compiled.definition)
    x = compiled.begun.states[rng.integers(0, len(compiled.begun.states), WALKS)]
    seen = [compiled.begun.states[:WALKS], x]
    jumps = np.concatenate([change, -change])
    taking, taken = np.nonzero(jumps < 0)  # jumps, and the species that they take
    steps = min(TRIED_JUMPS, EVALUATIONS // max(1, len(change)), VISITS // max(1, laws.work))
    for _ in range(max(1, steps)):
        rates = laws(x)
        ways = np.concatenate([rates > 0.0, rates < 0.0])  # (2 R, WALKS)
        for walk, short in enumerate(x[:, taken] + jumps[taking, taken] < 0):
            ways[taking[short], walk] = False
        chosen = np.argmax(rng.random(ways.shape) * ways, axis=0)
        moving = np.asarray(ways.any(axis=0))
        x = x + np.where(moving[:, None], jumps[chosen], 0)
        seen.append(x)
    return different_rows(np.concatenate(seen))


# ---------------------------------------------------------------------- powers of counts


def _refuse_counts_of_concentrations(
    definition: Definition, values: Mapping[str, Expression], in_file: Mapping[str, Expression]
) -> None:
    """Refuse a law that counts tuples, A (A - 1), by a symbol that stands for a concentration A/V of V other than 1."""
    for reaction, law in zip(definition.reactions, definition.laws, strict=True):
        several = [name for name, n in (reaction.reactants or {}).items() if n > 1 and name in in_file]
        if not several or not isinstance(law, Expression):
            continue
        full = _without_rules(law, definition, values)
        for name in several:
            of_file = substitute(full, {name: in_file[name]})
            in_counts, in_symbols = (_counts_tuples(tree, name, definition, values) for tree in (full, of_file))
            if in_symbols and not in_counts:
                raise ModelError(
                    f"Law of '{reaction.name}' must hold '{name}' as the concentration that it is in the file, of "
                    f"{to_text(in_file[name])} molecules, but counts molecules by it, {name}*({name} - 1); give "
                    f"'{name}' hasOnlySubstanceUnits=\"true\" (substanceOnly in Antimony), or multiply it by the size."
                )


def _counts_tuples(law: Expression, name: str, definition: Definition, values: Mapping[str, Expression]) -> bool:
    """Tell whether a law has a term with A (A - 1) … of a symbol A."""
    powers = [term.powers.get(name) for term in terms_of(law, definition.species, values) or ()]
    return any(power is not None and power.in_tuples and (power.n or 0) > 1 for power in powers)


def _counted(definition: Definition, mass_action: bool, scaled: bool) -> Definition:
    """Return a definition in which powers of reactants are numbers of tuples, where that is asked for."""
    if not (mass_action or scaled):
        return definition
    laws, steps, values = list(definition.laws), [], resolve(definition.parameters)
    powers: list[KeptValue] = []
    for k, (reaction, law) in enumerate(zip(definition.reactions, definition.laws, strict=True)):
        if not isinstance(law, Expression) or has_changing_power(law, definition):
            continue
        new = _in_tuples(law, reaction, definition, values, in_full=not mass_action)
        if new is not None:
            laws[k] = new
            full = _without_rules(law, definition, values)
            powers += kept_powers(full, str(reaction.name), definition.species, values)
            steps.append(f"{reaction.name}: {shortened(to_text(law))} counts tuples, {shortened(to_text(new))}")
    if not steps:
        return definition
    conversion = definition.conversion.and_then(*steps).keeping(*powers)
    return replace(definition, laws=tuple(laws), conversion=conversion)


def _in_tuples(
    law: Law,
    reaction: Reaction,
    definition: Definition,
    values: Mapping[str, Expression],
    *,
    in_full: bool = False,
) -> Expression | None:
    """Return a law with A (A - 1) … in place of powers of a reactant of which several molecules are consumed.

    None where there is none; with `in_full`, also where the law is not mass action in all reactants.  `values`:
    parameters as trees of species and time.
    """
    several = {name: n for name, n in (reaction.reactants or {}).items() if n > 1}
    if not several or not isinstance(law, Expression):
        return None
    terms = terms_of(_without_rules(law, definition, values), definition.species, values)
    if terms is None:
        return None
    if in_full and any({name: p.n for name, p in term.powers.items()} != reaction.reactants for term in terms):
        return None
    changed = [
        [name for name, p in term.powers.items() if not p.in_tuples and 1 < (p.n or 0) <= several.get(name, 0)]
        for term in terms
    ]
    if not any(changed):
        return None
    return total([_written(term, names) for term, names in zip(terms, changed, strict=True)])


def _without_rules(law: Expression, definition: Definition, values: Mapping[str, Expression]) -> Expression:
    """Return a law in which parameters that depend on species are written out; constants keep their names."""
    varying = {name for name, tree in values.items() if not symbols(tree).isdisjoint(definition.species)}
    while used := symbols(law) & varying:
        law = substitute(law, {name: definition.parameters[name] for name in used})
    return law


def _written(term: PowerProduct, in_tuples: list[str]) -> Expression:
    """Return a product in which some powers count tuples."""
    return product(
        term.scalar,
        [
            written(power.scalar, name, power.n or 0, True) if name in in_tuples else power.tree
            for name, power in term.powers.items()
        ],
    )


# ---------------------------------------------------------------------- reactants that are missing


def _check(definition: Definition, compiled: Compiled, states: IntArray, in_file: Mapping[str, Expression]) -> None:
    """Raise a `ModelError` at a law that is positive where a reaction lacks what it consumes."""
    assigned = {name for event in definition.events for name in event.assignments}
    never_less = {
        name for j, name in enumerate(definition.species) if (compiled.change[:, j] >= 0).all() and name not in assigned
    }
    least = dict(zip(definition.species, compiled.begun.states.min(axis=0).tolist(), strict=True))
    laws = compiled.laws[: len(definition.reactions)]  # without those of events
    several = [k for k, r in enumerate(definition.reactions) if any(n > 1 for _, n in _needed(r))]
    now = [Later(k, law, "") for k, law in enumerate(laws) if isinstance(law, Expression)]
    missing = [
        _ReactantLeft(k, name, n, left, substitute(law, {name: Number(float(left))}), name in symbols(law), when)
        for k, law, when in (*now, *later_laws(definition, compiled.resolved, several, states))
        for name, n in _needed(definition.reactions[k])
        if not (name in never_less and least[name] >= n)
        if n > 1 or not has_factor(law, name)
        for left in _fewer(n)
    ]
    rates = CompiledLaws((m.law for m in missing), list(definition.species))(states)  # (n_missing, n)
    column = {name: j for j, name in enumerate(definition.species)}
    for m, values in zip(missing, rates, strict=True):
        seen = (values > 0.0) & (m.in_law | (states[:, column[m.name]] == m.left))
        if seen.any():
            i = int(np.argmax(seen))
            raise _positive(definition, m, float(values[i]), states[i], in_file)


def _needed(reaction: Reaction) -> Iterator[tuple[str, int]]:
    """Yield what a reaction consumes, with how many; species that are held fixed are no reactants."""
    for name, n in (reaction.reactants or {}).items():
        if reaction.change.get(name, 0) == (reaction.products or {}).get(name, 0) - n:
            yield name, n


def _fewer(n: int) -> Iterator[int]:
    """Yield the counts below n that laws are looked at with: all, or the lowest and the highest."""
    yield from range(min(n, LEFT))
    yield from range(max(n - LEFT, LEFT), n)


class _ReactantLeft(NamedTuple):
    """What is left of a reactant of which a reaction consumes n, with its law there."""

    reaction: int
    name: str
    n: int
    left: int
    law: Expression
    in_law: bool  # whether it depends on what is left
    when: str  # at later values


def _positive(
    definition: Definition, missing: _ReactantLeft, value: float, x: IntArray, in_file: Mapping[str, Expression]
) -> ModelError:
    name, n = missing.name, missing.n
    reaction, law = definition.reactions[missing.reaction], definition.laws[missing.reaction]
    state = {**dict(zip(definition.species, x.tolist(), strict=True)), name: missing.left}
    return ModelError(
        f"Propensity of '{reaction.name}' must be 0 where there are fewer than {n} {name}, of which it consumes "
        f"{n}, but is {value:.6g} in state {state}{missing.when}; "
        f"{_way_out(definition, reaction, law, name, n, in_file)}."
    )


def _way_out(
    definition: Definition, reaction: Reaction, law: Law, name: str, n: int, in_file: Mapping[str, Expression]
) -> str:
    counted = _in_tuples(law, reaction, definition, resolve(definition.parameters))
    if counted is not None and isinstance(law, Expression) and not has_changing_power(law, definition):
        return (
            f"its law {shortened(to_text(law))} is that of concentrations: load the file with mass_action=True "
            f"(--mass-action), which makes it {shortened(to_text(counted))}"
        )
    catalyst = reaction.change.get(name, 0) == 0
    modifier = f", or list '{name}' as a modifier, if it is none of its reactants" if catalyst else ""
    # half a molecule below n, since the count comes out of a formula with rounding
    enough = f"{to_text(in_file[name])} >= {n - 0.5:g}" if name in in_file else f"{name} >= {n}"
    clash = (
        f", and give its local parameter '{name}' another name"
        if f"{reaction.name}.{name}" in definition.parameters
        else ""
    )
    return f"multiply its law by piecewise(1, {enough}, 0){modifier}{clash}"
