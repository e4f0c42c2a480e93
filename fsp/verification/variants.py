"""Models that differ from the given one by a mistake, or by the value of one number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fsp.model.expression import Expression, Number, Symbol, call

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fsp.model import Model


def scaled(model: Model, factors: Mapping[int, float]) -> Model:
    """Return the model with the propensities of some reactions, by number, multiplied."""
    return model.with_laws({k: _times(model, k, factor) for k, factor in factors.items()})


def _times(model: Model, k: int, factor: float) -> Expression | Callable[..., Any]:
    tree = model.law(k)
    if isinstance(tree, Expression):
        return call("*", Number(factor), tree)
    rate = model.reactions[k].law.rate

    def multiplied(*arguments: Any) -> Any:
        return factor * rate(*arguments)  # type: ignore[operator,misc]  # a law without a tree is a callable

    def multiplied_in_time(x: Any, t: Any) -> Any:
        return multiplied(x, t)

    def multiplied_at_rest(x: Any) -> Any:
        return multiplied(x)

    return multiplied_in_time if model.time_dependent[k] else multiplied_at_rest


def pairs(model: Model) -> list[tuple[int, str]]:
    """Return the reactions in which two or more molecules of one species meet, with the species."""
    found = []
    for k, reaction in enumerate(model.reactions):
        for name, number in (reaction.reactants or {}).items():
            if number >= 2 and name in model.species and model.rate_expressions[k] is not None:
                found.append((k, name))
    return found


def squared(model: Model, k: int, species: str) -> Model:
    """Return the model with x² in place of x (x - 1) in one propensity, which stays zero where it was."""
    x = Symbol(species)
    tree = model.law(k)
    ratio = call("/", x, call("max", call("-", x, Number(1.0)), Number(1.0)))
    return model.with_laws({k: call("*", tree, ratio)})  # type: ignore[arg-type]  # `pairs` have trees


def unsquared(model: Model, k: int, species: str) -> Model:
    """Return the model with x (x - 1) in place of x² in one propensity."""
    x = Symbol(species)
    tree = model.law(k)
    ratio = call("/", call("max", call("-", x, Number(1.0)), Number(0.0)), call("max", x, Number(1.0)))
    return model.with_laws({k: call("*", tree, ratio)})  # type: ignore[arg-type]  # `pairs` have trees


def in_volume(model: Model, volume: float) -> Model:
    """Return the model with constants of order n multiplied by volume^(n - 1), as for concentrations."""
    orders = {k: sum((reaction.reactants or {}).values()) for k, reaction in enumerate(model.reactions)}
    return scaled(model, {k: volume ** (order - 1) for k, order in orders.items() if order != 1})


def has_orders(model: Model) -> bool:
    """Return whether a volume changes a rate constant of the model."""
    known = all(reaction.reactants is not None for reaction in model.reactions)
    return known and any(sum((reaction.reactants or {}).values()) != 1 for reaction in model.reactions)
