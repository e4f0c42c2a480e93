"""Read and check the parts of a model: names, formulas, initial counts.

Parameters and initial counts may be formulas.  They are kept as given, so that a model with other
parameter values recomputes all that depends on them, and resolved in the order of their dependence to
trees of species and time only.
"""

from __future__ import annotations

import graphlib
import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.errors import ModelError
from fsp.model.conversion import NOT_CONVERTED, Conversion
from fsp.model.draws import Draw, read_draw
from fsp.model.event import Event, read_events
from fsp.model.formula import FunctionDefinition, in_ascii, is_name, parse_functions
from fsp.model.infix import number_text
from fsp.model.plain import CONSTANTS
from fsp.model.reaction import CutBurst, Reaction, in_burst, mass_action_law
from fsp.model.size import bounded
from fsp.model.tree import (
    Call,
    Expression,
    Number,
    Symbol,
    call,
    depends_on_time,
    substitute,
    symbols,
)  # fmt: skip
from fsp.model.values import LARGEST_COUNT, Value, nearest_whole, read_value

Law = Expression | Callable[..., Any]


class InitialLaw(NamedTuple):
    """What stands in place of initial counts."""

    probabilities: Mapping[tuple[int, ...], float] | None = None  # of each initial state
    draws: Mapping[str, Draw] = {}  # laws of counts


@dataclass(frozen=True, slots=True)
class Definition:
    """A model as it was given, with every formula parsed."""

    name: str
    time_unit: str
    species: Mapping[str, Expression]  # initial count of each species
    parameters: Mapping[str, Expression]
    reactions: tuple[Reaction, ...]  # all with names
    laws: tuple[Law, ...]  # the propensity of each reaction, before parameters are put in
    initial: InitialLaw
    events: tuple[Event, ...] = ()  # all with names, read
    # parameters whose formulas hold at the start only: what an event assigns does not change them
    held: frozenset[str] = frozenset()
    conversion: Conversion = NOT_CONVERTED
    constraints: tuple[str, ...] = ()  # parameters that are conditions which a file says should hold
    # formulas of initial counts, of the parameters that have the values of these at the start
    at_start: Mapping[str, Expression] = field(default_factory=dict)

    @property
    def has_tails(self) -> bool:
        """Whether laws without a largest count are cut off: of the start, of what events draw, or of bursts."""
        laws = [self.initial.draws, *(event.draws for event in self.events)]
        cut = any(not draw.is_bounded for drawn in laws for draw in drawn.values())
        return cut or any(isinstance(reaction, CutBurst) for reaction in self.reactions)


def read_definition(
    species: Mapping[str, Any] | Sequence[str],
    reactions: Sequence[Reaction],
    parameters: Mapping[str, Any],
    initial: Mapping[tuple[int, ...], float] | None,
    functions: Mapping[str, str],
    events: Sequence[Event],
    name: str,
    time_unit: str,
) -> Definition:
    """Parse and check what a model is made of, as `fsp.Model` takes it."""
    known = parse_functions(functions)
    counts = read_counts(species, initial)
    check_not_empty(counts, reactions)
    check_names(list(species), parameters)
    counts, parameters = with_cases(counts, parameters)
    names = [*counts, *parameters]
    draws = {n: read_draw(v, f"Initial count of '{n}'", known, names) for n, v in counts.items()}
    random = {n: draw for n, draw in draws.items() if draw is not None}
    if random and initial is not None:
        raise ModelError(f"`initial` must hold the whole start, but '{min(random)}' has a law of its own.")
    named = named_reactions(reactions, list(counts))
    jumps, laws = with_bursts(named, [read_law(reaction, known, names) for reaction in named])
    return Definition(
        name=name,
        time_unit=time_unit,
        species={
            n: Number(0.0) if n in random else read_value(v, f"Initial count of '{n}'", known, names)
            for n, v in counts.items()
        },
        parameters={n: read_value(v, f"Parameter '{n}'", known, names) for n, v in parameters.items()},
        reactions=jumps,
        laws=laws,
        initial=InitialLaw(None if initial is None else read_initial(initial, len(counts)), random),
        events=read_events(events, known, names),
    )


def with_cases(counts: Mapping[str, Any], parameters: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return species and parameters in which a parameter that is random follows a species that never changes.

    ``{"k": {2.0: 0.5, 6.0: 0.5}}`` becomes k = piecewise(2, k_case == 0, 6), and k_case is 0 or 1.
    """
    species, values = dict(counts), dict(parameters)
    for name, given in parameters.items():
        if not isinstance(given, Mapping):
            continue
        case, numbers = f"{name}_case", [read_value(value, f"Parameter '{name}'", {}, ()) for value in given]
        if case in species or case in values or not numbers:
            raise ModelError(f"Parameter '{name}' must have values with probabilities, and '{case}' free for its case.")
        conditions = [call("==", Symbol(case), Number(float(k))) for k in range(len(numbers) - 1)]
        pairs = [part for pair in zip(numbers[:-1], conditions, strict=True) for part in pair]
        values[name] = call("piecewise", *pairs, numbers[-1]) if pairs else numbers[0]
        species[case] = f"choice({', '.join(number_text(float(p)) for p in given.values())})"
    return species, values


def check_mapping(what: str, given: object) -> None:
    """Raise a `ModelError` unless an argument is a mapping, or left out."""
    if given is not None and not isinstance(given, Mapping):
        raise ModelError(f"`{what}` must be a mapping, such as {{'k': 2.0}}, but is {given!r}.")


def check_names(species: Sequence[str], parameters: Collection[str]) -> None:
    """Raise a `ModelError` unless all names are identifiers, free, and different."""
    for kind, names in (("Species", species), ("Parameter", parameters)):
        for name in names:
            # parameters of one reaction in an SBML file are called reaction.parameter
            parts = name.split(".") if isinstance(name, str) and kind == "Parameter" else [name]
            if not all(is_name(part) for part in parts):
                raise ModelError(f"{kind} name must be letters, digits and _, but is {name!r}{in_ascii(name)}.")
            if name == "time" or (kind == "Species" and name in CONSTANTS):
                raise ModelError(f"{kind} name must be free, but '{name}' is a constant of rate formulas; rename it.")
    twice = {name for name in species if species.count(name) > 1}
    if twice:
        raise ModelError(f"Species names must differ, but '{min(twice)}' is given twice.")
    both = set(species) & set(parameters)
    if both:
        raise ModelError(f"Names must differ, but '{min(both)}' is a species and a parameter.")


def named_reactions(reactions: Sequence[Reaction], species: Collection[str]) -> tuple[Reaction, ...]:
    """Return the reactions with names, r1, r2, … where none is given, after checks of their species."""
    for reaction in reactions:
        if not isinstance(reaction, Reaction):
            raise ModelError(f"`reactions` must hold Reaction values, but holds {reaction!r}.")
        sides = (reaction.reactants or {}, reaction.products or {}, reaction.change)
        unknown = [name for side in sides for name in side if name not in species]
        if unknown:
            label = reaction.name or reaction.equation
            raise ModelError(
                f"Reaction '{label}' must be between species of the model, but has '{unknown[0]}'; "
                f"species are {', '.join(species)}."
            )
    given = [r.name for r in reactions if r.name is not None]
    twice = {name for name in given if given.count(name) > 1}
    if twice:
        raise ModelError(f"Reaction names must differ, but '{min(twice)}' is given twice.")
    return tuple(r if r.name is not None else r.named(free_name(f"r{k}", given)) for k, r in enumerate(reactions, 1))


def free_name(name: str, taken: Collection[str]) -> str:
    """Return a name that is not taken: this one, or with underscores behind it."""
    while name in taken:
        name += "_"
    return name


def read_law(reaction: Reaction, functions: Mapping[str, FunctionDefinition], names: Collection[str]) -> Law:
    """Return the propensity of a reaction as a tree of species and parameters, or the callable."""
    rate, constant = reaction.law
    if callable(rate):
        return rate
    if constant is not None:
        c = read_value(constant, f"Mass action constant of '{reaction.name}'", functions, names)
        return mass_action_law(c, reaction.reactants or {})
    return read_value(rate, f"Rate of '{reaction.name}'", functions, names)


def with_bursts(reactions: Sequence[Reaction], laws: Sequence[Law]) -> tuple[tuple[Reaction, ...], tuple[Law, ...]]:
    """Return reactions in which those that take place in bursts are one for each size.

    Their propensities have the probabilities as factors, with an error that holds what all of them lack to one.
    """
    jumps: list[tuple[Reaction, Law]] = []
    for reaction, law in zip(reactions, laws, strict=True):
        what = f"Burst of '{reaction.name}'"
        draw = None if reaction.burst is None else read_draw(reaction.burst, what, {}, ())
        if reaction.burst is None:
            jumps.append((reaction, law))
            continue
        if draw is None or not isinstance(law, Expression):
            has = f"is {reaction.burst!r}" if draw is None else "has a callable as its rate"
            raise ModelError(f"{what} must be a law such as 'geometric(3)', with a formula as the rate, but {has}.")
        if draw.symbols:
            name = min(draw.symbols)
            raise ModelError(
                f"{what} must be a law of numbers, since it is a reaction for each size, but '{draw}' depends on "
                f"'{name}'; write the value, as in f\"{draw.law}({{{name}}})\", and make the model anew for another."
            )
        sizes, p = draw.law_of_numbers
        total = math.fsum(p.tolist())
        made = p[sizes > 0] / total  # the nearest numbers, of which moments are made
        lacking = 2.0 * (1.0 - total) / max(math.fsum(made.tolist()), UNIT_ROUNDOFF)
        for size, probability in zip(sizes[sizes > 0].tolist(), made.tolist(), strict=True):
            rate = call("*", Number(probability, probability * lacking), law)
            jumps.append((in_burst(reaction, size, rate, is_cut=not draw.is_bounded), rate))
    named, rates = zip(*jumps, strict=True) if jumps else ((), ())
    times = Counter(reaction.name for reaction in named)
    twice = [reaction for reaction in named if reaction.part_of is not None and times[reaction.name] > 1]
    if twice:
        raise ModelError(
            f"Reaction names must differ, but '{twice[0].name}' is given, and is that of a burst of "
            f"'{twice[0].part_of}'; name one of them otherwise."
        )
    return named, rates


def check_known(definition: Definition) -> None:
    """Raise a `ModelError` if a formula has a symbol that is neither species nor parameter."""
    names = {*definition.species, *definition.parameters}
    named_laws = zip(definition.reactions, definition.laws, strict=True)
    trees = {
        **{f"Parameter '{name}'": tree for name, tree in definition.parameters.items()},
        **{f"Initial count of '{name}'": tree for name, tree in definition.species.items()},
        **{f"Rate of '{r.name}'": law for r, law in named_laws if isinstance(law, Expression)},
    }
    for what, tree in trees.items():
        unknown = sorted(symbols(tree) - names)
        if unknown:
            hint = "; the time is called 'time'" if unknown[0] in ("t", "Time") else ""
            known = ", ".join([*definition.species, *definition.parameters])
            raise ModelError(
                f"{what} must use species and parameters of the model, but uses '{unknown[0]}'{hint}; "
                f"known are {known}."
            )


def resolve(parameters: Mapping[str, Expression], without: Collection[str] = ()) -> dict[str, Expression]:
    """Return each parameter, but for some, as a tree of species, time and these only."""
    parameters = {name: tree for name, tree in parameters.items() if name not in without} if without else parameters
    resolved: dict[str, Expression] = {}
    for name in in_order(parameters, "Parameters"):
        value = bounded(substitute(parameters[name], resolved), f"Parameter '{name}'")
        if isinstance(value, Call) and not symbols(value) and not depends_on_time(value):
            raise ModelError(f"Parameter '{name}' must be finite, but its formula is not defined.")
        resolved[name] = value
    return {name: resolved[name] for name in parameters}


def in_order(trees: Mapping[str, Expression], what: str) -> list[str]:
    """Return the names so that each comes after those that its tree uses."""
    order = graphlib.TopologicalSorter({name: symbols(tree) & set(trees) for name, tree in trees.items()})
    try:
        return list(order.static_order())
    except graphlib.CycleError as error:
        circle = " -> ".join(error.args[1])
        raise ModelError(f"{what} must not depend on themselves, but {circle} is a circle.") from None


def whole_count(value: Expression, what: str) -> int:
    """Return a count as int, or raise a `ModelError` if it is not a whole number from 0 on, below 2⁵³."""
    number = value.value if isinstance(value, Number) else math.nan
    if number >= LARGEST_COUNT:  # the first one that stands for others too
        raise ModelError(
            f"{what} must be less than {LARGEST_COUNT:,}, from which on doubles do not tell whole numbers apart, but "
            f"is {number:.16g}; count in larger units."
        )
    count = float(nearest_whole(np.array(number)))
    if not count >= 0.0:
        raise ModelError(
            f"{what} must be a whole number of molecules, 0 or more, but is {number:.12g}; "
            "a master equation counts molecules."
        )
    return int(count)


def read_initial(initial: Mapping[Any, float], n_species: int) -> dict[tuple[int, ...], float]:
    """Check a distribution over initial states."""
    states: dict[tuple[int, ...], float] = {}
    for key, probability in initial.items():
        values = tuple(key) if isinstance(key, Sequence) else (key,)
        if len(values) != n_species:
            raise ModelError(f"Initial state must have {n_species} counts, one for each species, but is {key!r}.")
        state = tuple(whole_count(read_value(v, "Initial count", {}, ()), "Initial count") for v in values)
        if not 0.0 <= probability <= 1.0:
            raise ModelError(f"Probability of initial state {state} must be from 0 to 1, but is {probability!r}.")
        states[state] = states.get(state, 0.0) + float(probability)
    total = math.fsum(states.values())
    if abs(total - 1.0) > 1e-12:
        raise ModelError(f"Initial probabilities must sum to 1, but sum to {total!r}.")
    return {state: p for state, p in states.items() if p > 0.0}


def replaced(
    old: Mapping[str, Expression], given: Mapping[str, Value], kind: str, what: str, others: Collection[str]
) -> dict[str, Expression]:
    """Return values by name with some replaced, or raise a `ModelError` at a name that is not among them."""
    unknown = [name for name in given if name not in old]
    if unknown:
        raise ModelError(
            f"{kind} must be one of the model's, but is '{unknown[0]}'; they are {', '.join(old) or 'none'}."
        )
    names = [*old, *others]
    return {**old, **{name: read_value(v, f"{what} '{name}'", {}, names) for name, v in given.items()}}


def read_counts(species: Mapping[str, Any] | Sequence[str], initial: object) -> dict[str, Any]:
    """Return the initial counts by name; zeros, which nobody reads, where a distribution is given."""
    if isinstance(species, str) or not isinstance(species, Mapping | Sequence):
        raise ModelError(f"`species` must be a mapping or a list of names, but is {species!r}.")
    if initial is None and not isinstance(species, Mapping) and len(species):
        raise ModelError(
            f"`species` must give initial counts where `initial` is not given, but is a list; "
            f"write {{'{species[0]}': 0, ...}}."
        )
    return dict(species) if isinstance(species, Mapping) else dict.fromkeys(species, 0)


def check_not_empty(species: Mapping[str, Any], reactions: Sequence[Reaction]) -> None:
    """Raise a `ModelError` unless a model has species and reactions."""
    if not hasattr(reactions, "__len__"):
        raise ModelError(f"`reactions` must be a list of Reaction values, but is {reactions!r}.")
    for what, part in (("species", species), ("reaction", reactions)):
        if not len(part):
            raise ModelError(f"Model must have at least one {what}, but has none.")


def check_mass_action(definition: Definition, resolved: Mapping[str, Expression]) -> None:
    """Raise a `ModelError` if a constant of mass action is negative or depends on species."""
    for reaction in definition.reactions:
        constant = reaction.law.mass_action
        if constant is None:
            continue
        what = f"Mass action constant of '{reaction.name}'"
        tree = substitute(read_value(constant, what, {}, [*definition.species, *resolved]), resolved)
        if isinstance(tree, Number) and tree.value < 0:
            raise ModelError(f"{what} must be 0 or more, but is {tree.value:g}.")
        if symbols(tree):
            raise ModelError(
                f"{what} must not depend on species, but depends on '{min(symbols(tree))}'; "
                "give the whole propensity as `rate`."
            )


def change_matrix(definition: Definition) -> npt.NDArray[np.int64]:
    """Return the net change of each species in each reaction, shape (n_reactions, n_species)."""
    columns = {name: j for j, name in enumerate(definition.species)}
    change = np.zeros((len(definition.reactions), len(columns)), dtype=np.int64)
    for row, reaction in zip(change, definition.reactions, strict=True):
        for name, n in reaction.change.items():
            row[columns[name]] = n
    return change
