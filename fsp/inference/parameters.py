"""The parameters by which an answer is differentiated, and the derivatives of all propensities by them, as trees."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from fsp.checks import as_texts, check_flag, shown
from fsp.errors import ArgumentError, BackendError, ModelError
from fsp.model import Model
from fsp.model.arguments import require_unmoved
from fsp.model.definition import resolve
from fsp.model.derivatives import NOW, derivative, plus
from fsp.model.draws import score
from fsp.model.formula import parse
from fsp.model.functions import COMPARISONS
from fsp.model.tree import ZERO, Call, Expression, Number, Symbol, Time, at_time, call, substitute, symbols, walk

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.inference.count_maps import CountMap
    from fsp.inference.instruments import Instrument


@dataclass(frozen=True, slots=True)
class MovingSwitch:
    """A time at which a rate may jump or bend, where ``left - right`` of a comparison is zero; it moves with θ."""

    reaction: int
    gap: Expression  # left - right, of the time and constants
    slope: Expression  # its derivative by θ, or by log θ
    speed: Expression  # its derivative by the time


@dataclass(frozen=True, slots=True)
class Derivatives:
    """What each propensity changes with each parameter, or with its logarithm."""

    names: tuple[str, ...]
    trees: tuple[tuple[Expression, ...], ...]  # of species, by parameter and reaction; ``ZERO`` where nothing depends
    log: bool
    proportional: tuple[tuple[bool, ...], ...]  # whether a law is θ f, f without θ
    switches: tuple[
        tuple[MovingSwitch, ...], ...
    ] = ()  # times at which laws switch that depend on the parameter, by it
    start: tuple[Expression, ...] = ()  # derivatives of the logarithm of the initial law, of species, by the parameter
    maps: tuple[CountMap, ...] = ()  # events that set counts, in the order of their times

    def at(self, t: float) -> Derivatives:
        """Return what they are at a time."""
        return replace(self, trees=tuple(tuple(at_time(tree, t) for tree in row) for row in self.trees))


def derivatives(model: Model, names: Sequence[str], *, log: bool, elsewhere: Collection[str] = ()) -> Derivatives:
    """Differentiate the propensities of a model; refuse what is no parameter, or has no derivative.

    Parameters that no propensity depends on are refused too, but for those that change something `elsewhere`.
    """
    chosen = checked_names(names)
    check_flag("log", log)
    require_no_events(model)
    _check_formulas(model)
    trees, linear, switches, start = zip(
        *(_of_parameter(model, name, log=log, idle=name in elsewhere) for name in chosen), strict=True
    )
    return Derivatives(chosen, trees, log, linear, switches, start)


def checked_names(names: Sequence[str] | str) -> tuple[str, ...]:
    """Return the names of parameters; refuse what is none, or is there twice."""
    given = as_texts(names)
    if given is None:
        raise ArgumentError(f"`parameters` must be one or more different names, but are {shown(names)}.")
    return given


def require_fixed_observables(
    model: Model,
    names: Sequence[str],
    texts: Sequence[str],
    subject: str = "`parameters`",
    asked: str = "what is asked",
) -> None:
    """Refuse what is asked where it depends on a parameter by an observable, whose values are those of the model.

    That is one of those named, or one that events change.
    """
    used = {name for text in texts for name in symbols(parse(text, what="`formula`")) if name in model.observables}
    require_unmoved(model, used, asked[0].upper() + asked[1:])
    moved = moved_observables(model, checked_names(names)) if used and names else {}
    for observable in sorted(used & moved.keys()):
        raise ArgumentError(
            f"{subject} must not change {asked}, but '{observable}' depends on '{moved[observable]}'; ask for a "
            f"formula of the species instead, such as '{model.observables[observable]}'."
        )


def require_unmoved_instruments(model: Model, instruments: Sequence[Instrument]) -> None:
    """Refuse instruments whose number is a parameter that events change."""
    names = {name for instrument in instruments for name in instrument.depends}
    require_unmoved(model, names, "`instrument`", "give the number, and ask for the times before and after apart")


def fixed_observables(model: Model, names: Sequence[str]) -> dict[str, str]:
    """Return the observables that no such parameter changes, and no event."""
    moved = moved_observables(model, names).keys() | model.moved_by_events.keys()
    return {name: text for name, text in model.observables.items() if name not in moved}


def moved_observables(model: Model, names: Sequence[str]) -> dict[str, str]:
    """Return the observables that depend on some parameters, each with the first that it depends on."""
    moved: dict[str, str] = {}
    for name in names if model.observables else ():
        others = resolve(model.definition.parameters, without=[name])
        for observable in model.observables:
            if name in symbols(others.get(observable, ZERO)):
                moved.setdefault(observable, name)
    return moved


def require_no_events(model: Model) -> None:
    """Refuse events."""
    if model.events:
        raise BackendError(
            f"`model` must have no events where derivatives or likelihoods are asked for, but '{model.name}' has some; "
            f"write what happens at a known time into the rates, as in piecewise(k, time < 5, 0)."
        )


def _check_formulas(model: Model) -> None:
    callables = [str(r.name) for r, law in zip(model.reactions, model.rate_expressions, strict=True) if law is None]
    if callables:
        raise ModelError(
            f"A rate must be a formula to be differentiated, but that of '{callables[0]}' is a callable; write it as "
            f"a text."
        )


def _of_parameter(
    model: Model, name: str, *, log: bool, idle: bool
) -> tuple[tuple[Expression, ...], tuple[bool, ...], tuple[MovingSwitch, ...], Expression]:
    definition, value = model.definition, model.parameters.get(name)
    if name not in definition.parameters:
        known = ", ".join(definition.parameters) or "none"
        raise ArgumentError(f"`parameters` must be parameters of the model, {known}, but one is '{name}'.")
    if value is None or not isinstance(definition.parameters[name], Number):
        raise ArgumentError(
            f"`parameters` must be numbers in the model, but '{name}' is a formula; name what is in it."
        )
    if value <= 0.0 if log else value == 0.0:
        wanted = "positive with log=True" if log else "other than zero, where reactions vanish"
        raise ArgumentError(f"`parameters` must be {wanted}, but '{name}' is {value:g}.")
    others = resolve(definition.parameters, without=[name])
    for what, tree, _ in definition.conversion.kept:
        if name in symbols(substitute(tree, others)):
            raise ArgumentError(
                f"`parameters` must be free to change, but '{name}' must stay {value:g}: {what} depends on it; leave "
                f"it out."
            )
    start = _of_start(model, name, others)
    given = {name: definition.parameters[name]}
    trees, linear, switches = [], [], []
    for r, law in enumerate(definition.laws):
        plain = substitute(law, others) if isinstance(law, Expression) else ZERO
        switches += [
            _switch(r, substitute(gap, given), substitute(_scaled(derivative(gap, name), given[name], log=log), given))
            for gap in _moving(plain, name)
        ]
        slope = derivative(plain, name)
        linear.append(name not in symbols(slope) and without(plain, name) == ZERO)
        trees.append(substitute(_scaled(slope, given[name], log=log), given))
    start = substitute(_scaled(start, given[name], log=log), given)
    if not idle and all(tree == ZERO for tree in (*trees, start)):
        raise ArgumentError(
            f"`parameters` must be in the rate of a reaction, but no rate depends on '{name}'; leave it out."
        )
    return tuple(trees), tuple(linear), tuple(switches), start


def require_finite(slopes: FloatArray, names: Sequence[str], reaction: str, columns: Mapping[str, FloatArray]) -> None:
    """Refuse derivatives (q, n) of a rate by parameters that are not finite in a state; `columns`: counts by name."""
    if np.isfinite(slopes).all():
        return
    k, place = np.argwhere(~np.isfinite(slopes))[0].tolist()
    state = {species: int(counts[place]) for species, counts in columns.items()}
    raise ModelError(
        f"The derivative of the rate of '{reaction}' by '{names[k]}' must be finite, but is not in state {state}. "
        f"Add a small number to a sum whose power is taken, as in (a*X + b*Y + 1e-9)^0.5; write X^n for exp(n*ln(X)); "
        f"or leave '{names[k]}' out."
    )


def _scaled(slope: Expression, value: Expression, *, log: bool) -> Expression:
    return call("*", value, slope) if log and slope != ZERO else slope


def _moving(law: Expression, name: str) -> Iterator[Expression]:
    """Yield ``left - right`` of comparisons of times that depend on a symbol."""
    for node in walk(law):
        if isinstance(node, Call) and node.function in COMPARISONS and symbols(node) == {name}:
            gaps = (call("-", left, right) for left, right in pairwise(node.arguments))
            yield from (gap for gap in gaps if name in symbols(gap))


def _switch(reaction: int, gap: Expression, slope: Expression) -> MovingSwitch:
    return MovingSwitch(reaction, gap, slope, substitute(derivative(_named(gap), NOW), {NOW: Time()}))


def _named(tree: Expression) -> Expression:
    """Return a tree with a symbol in place of the time."""
    if isinstance(tree, Time):
        return Symbol(NOW)
    return call(tree.function, *map(_named, tree.arguments)) if isinstance(tree, Call) else tree


def without(law: Expression, name: str) -> Expression:
    """Return a law that is a product or a quotient where a parameter is zero; others are taken to have a rest."""
    if law == Symbol(name):
        return ZERO
    if isinstance(law, Call) and law.function in ("*", "/"):
        chosen = law.arguments if law.function == "*" else law.arguments[:1]
        return ZERO if ZERO in [without(a, name) for a in chosen] else law
    return law


def _of_start(model: Model, name: str, others: dict[str, Expression]) -> Expression:
    """Return the derivative of the logarithm of the initial law by a symbol; refuse counts that depend on it."""
    definition = model.definition
    draws = definition.initial.draws
    counts = {species: tree for species, tree in definition.species.items() if species not in draws}
    moved = [species for species, tree in counts.items() if name in symbols(substitute(tree, others))]
    trees = []
    for species, draw in draws.items():
        plain = draw.with_values(others)
        tree = score(plain, Symbol(species), [derivative(a, name) for a in plain.arguments])
        moved += [species] if tree is None and name in plain.symbols else []
        trees += [] if tree is None else [tree]
    if moved:
        raise ArgumentError(
            f"`parameters` must not change the start in steps, but the initial count of '{moved[0]}' depends on "
            f"'{name}'; a whole number has no derivative, while the mean of a law such as poisson({name}) has one."
        )
    return plus(*trees)
