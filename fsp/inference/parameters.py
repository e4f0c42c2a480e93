"""The parameters by which an answer is differentiated, and the derivatives of all propensities by them, as trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fsp.errors import ArgumentError, BackendError, ModelError
from fsp.model import Model
from fsp.model.definition import resolve
from fsp.model.derivatives import derivative
from fsp.model.tree import ZERO, Call, Expression, Number, Symbol, at_time, call, substitute, symbols


@dataclass(frozen=True, slots=True)
class Derivatives:
    """What each propensity changes with each parameter, or with its logarithm."""

    names: tuple[str, ...]
    trees: tuple[tuple[Expression, ...], ...]  # of species, by parameter and reaction; ``ZERO`` where nothing depends
    log: bool
    proportional: tuple[tuple[bool, ...], ...]  # whether a law is θ f, f without θ

    def at(self, t: float) -> Derivatives:
        """Return what they are at a time."""
        return replace(self, trees=tuple(tuple(at_time(tree, t) for tree in own) for own in self.trees))


def derivatives(model: Model, names: Sequence[str], *, log: bool) -> Derivatives:
    """Differentiate the propensities of a model; refuse what is no parameter, or has no derivative."""
    chosen = _checked_names(names)
    require_constant(model)
    _check_formulas(model)
    found = [_of_parameter(model, name, log=log) for name in chosen]
    return Derivatives(chosen, tuple(trees for trees, _ in found), log, tuple(own for _, own in found))


def _checked_names(names: Sequence[str]) -> tuple[str, ...]:
    given = (names,) if isinstance(names, str) else tuple(names)
    if not given or not all(isinstance(name, str) for name in given) or len(set(given)) < len(given):
        raise ArgumentError(f"`parameters` must be one or more different names, but are {names!r}.")
    return given


def require_constant(model: Model) -> None:
    """Refuse propensities that depend on time, and events."""
    if model.is_time_dependent or model.events:
        what = "events" if model.events else "propensities that depend on time"
        raise BackendError(f"`model` must have constant propensities and no events, but '{model.name}' has {what}.")


def _check_formulas(model: Model) -> None:
    callables = [str(r.name) for r, law in zip(model.reactions, model.rate_expressions, strict=True) if law is None]
    if callables:
        raise ModelError(
            f"A rate must be a formula to be differentiated, but that of '{callables[0]}' is a callable; write it as "
            f"a text."
        )


def _of_parameter(model: Model, name: str, *, log: bool) -> tuple[tuple[Expression, ...], tuple[bool, ...]]:
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
    others = resolve({n: tree for n, tree in definition.parameters.items() if n != name})
    _refuse_start(model, name, others)
    given = {name: definition.parameters[name]}
    found, linear = [], []
    for law in definition.laws:
        plain = substitute(law, others) if isinstance(law, Expression) else ZERO
        slope = derivative(plain, name)
        linear.append(name not in symbols(slope) and _without(plain, name) == ZERO)
        scaled = call("*", given[name], slope) if log and slope != ZERO else slope
        found.append(substitute(scaled, given))
    if all(tree == ZERO for tree in found):
        raise ArgumentError(f"`parameters` must be in the rate of a reaction, but no rate depends on '{name}'.")
    return tuple(found), tuple(linear)


def _without(law: Expression, name: str) -> Expression:
    """Return a law that is a product or a quotient where a parameter is zero; others are taken to have a rest."""
    if law == Symbol(name):
        return ZERO
    if isinstance(law, Call) and law.function in ("*", "/"):
        chosen = law.arguments if law.function == "*" else law.arguments[:1]
        return ZERO if ZERO in [_without(a, name) for a in chosen] else law
    return law


def _refuse_start(model: Model, name: str, others: dict[str, Expression]) -> None:
    """Refuse a parameter of which the start depends."""
    definition = model.definition
    start = [*definition.species.values(), *(a for draw in definition.draws.values() for a in draw.arguments)]
    if any(name in symbols(substitute(tree, others)) for tree in start):
        raise ArgumentError(f"`parameters` must not change the start, but initial counts depend on '{name}'.")
