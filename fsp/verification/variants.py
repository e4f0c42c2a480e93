"""Models that differ from the given one by a mistake, or by the value of one number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.model.expression import Expression, Number, Symbol, call
from fsp.model.program import compiled as program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from fsp.model import Model


SAME_GROWTH = 1e-9  # relative: rounding of a law, where tuples and powers differ by 20 % for pairs


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


def meetings(model: Model) -> list[tuple[int, str, int]]:
    """Return the reactions in which molecules of one species meet, with the species and how many do."""
    return [
        (k, name, number)
        for k, reaction in enumerate(model.reactions)
        for name, number in (reaction.reactants or {}).items()
        if number >= 2 and name in model.species and isinstance(model.law(k), Expression)
    ]


def miscounted(model: Model, numbers: Sequence[int]) -> Iterator[tuple[str, str, Model]]:
    """Yield what the propensities of some reactions may have in place of the right numbers of pairs and triples.

    A law that grows as the number of tuples counts them, one that grows as a power does not, and of others one that is
    zero for fewer molecules than meet does.  Each mistake is one that a law of its kind can have.
    """
    met = [meeting for meeting in meetings(model) if meeting[0] in numbers]
    orders = {number for _, _, number in met}
    tuples = {k for k, name, number in met if _counts_tuples(model, k, name, number)}
    shown = met[0][1] if len({name for _, name, _ in met}) == 1 else "x"
    falling, power = _forms(shown, min(orders)), shown + _POWERS.get(min(orders), f"^{min(orders)}")
    if tuples == {k for k, _, _ in met}:
        wrong = model.with_laws(_multiplied(model, met, upwards=True))
        yield "square" if orders == {2} else "power", f"has {power} in place of {falling}", wrong
        extra = (
            " ".join(f"({shown} - {i})" for i in range(1, min(orders))) + f"/{shown}" + _POWERS.get(min(orders) - 1, "")
        )
        wrong = model.with_laws(_multiplied(model, met, upwards=False))
        yield "corrected", f"has a factor {extra} more, as if a law of powers were corrected for small numbers", wrong
    if not tuples:
        wrong = model.with_laws(_multiplied(model, met, upwards=False))
        yield "falling", f"has {falling} in place of {power}", wrong
    for factor, name, text in _NUMBERS_OF_PAIRS if orders == {2} else _NUMBERS_OF_TUPLES:
        wrong = scaled(model, dict.fromkeys(numbers, factor))
        yield name, f"is {text} the right one, as with a factor of the number of tuples that meet", wrong


_POWERS = {2: "²", 3: "³"}  # as they are written
# factors of a propensity by which the number of tuples is mistaken, with the key and the words of a hypothesis
_NUMBERS_OF_PAIRS = (2.0, "pairs-twice", "twice"), (0.5, "pairs-half", "half")
_NUMBERS_OF_TUPLES = (6.0, "tuples-6", "6 times"), (1 / 6, "tuples-sixth", "a sixth of")


def _forms(species: str, order: int) -> str:
    return " ".join([species, *(f"({species} - {i})" for i in range(1, order))])


def _counts_tuples(model: Model, k: int, species: str, number: int) -> bool:
    """Return whether a propensity grows as tuples do, not as powers; where neither, whether it is 0 for one too few."""
    counts = np.array([number - 1, number, number + 1, 2 * number + 1])
    state = np.full((4, model.n_species), 2 * number, dtype=np.int64)
    state[:, model.species.index(species)] = counts
    rates = program(model.rate_expressions[k])(dict(zip(model.species, state.T.astype(float), strict=True)), 0.0)
    few, enough, some, many = np.broadcast_to(np.asarray(rates, dtype=float), 4).tolist()
    tuples = np.prod([counts[2:] - i for i in range(number)], axis=0)
    for law, counted in ((tuples, True), (counts[2:] ** number, False)):
        if some > 0.0 and abs(many / some * law[0] / law[1] - 1.0) < SAME_GROWTH:
            return counted
    return bool(few == 0.0 and enough > 0.0)


def _multiplied(model: Model, met: Sequence[tuple[int, str, int]], *, upwards: bool) -> dict[int, Expression]:
    """Return laws with x^n in place of x (x - 1) ... (x - n + 1), or the reverse, which stay zero where they were."""
    laws: dict[int, Expression] = {}
    for k, name, number in met:
        x = Symbol(name)
        tree = laws.get(k, model.law(k))
        for i in range(1, number):
            less = call("max", call("-", x, Number(float(i))), Number(1.0 if upwards else 0.0))
            over, under = (x, less) if upwards else (less, call("max", x, Number(1.0)))
            tree = call("*", tree, call("/", over, under))  # type: ignore[arg-type]  # those of `meetings` have trees
        laws[k] = tree  # type: ignore[assignment]
    return laws


def in_volume(model: Model, volume: float) -> Model:
    """Return the model with constants of order n multiplied by volume^(n - 1), as for concentrations."""
    orders = {k: sum((reaction.reactants or {}).values()) for k, reaction in enumerate(model.reactions)}
    return scaled(model, {k: volume ** (order - 1) for k, order in orders.items() if order != 1})


def has_orders(model: Model) -> bool:
    """Return whether a volume changes a rate constant of the model."""
    known = all(reaction.reactants is not None for reaction in model.reactions)
    return known and any(sum((reaction.reactants or {}).values()) != 1 for reaction in model.reactions)
