"""One reaction: what it consumes and makes, and its propensity in one of three forms.

A rate (a formula or a vectorised callable) is the propensity a(x) itself, in 1/time; mass action with
constant c is combinatorial, a(x) = c ∏ᵢ binomial(xᵢ, nᵢ), for reactants nᵢ Sᵢ of any order.
"""

from __future__ import annotations

import inspect
import math
import re
import sys
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, NamedTuple

from fsp.arithmetic import as_double
from fsp.errors import ModelError
from fsp.model.formula import in_ascii, is_name
from fsp.model.tree import Expression, Number, Symbol, call
from fsp.model.values import LARGEST_COUNT

Rate = str | float | Expression | Callable[..., Any]

_TERM = re.compile(r"\s*(\d+)?\s*\*?\s*([A-Za-z_]\w*)\s*", re.ASCII)
_EMPTY = ("", "0", "∅")
_DIGITS = 18  # of a stoichiometry in an equation: more are above `LARGEST_COUNT`, and Python reads 4,300 at most
_LARGEST_ORDER = 170  # of one species in mass action: 171! is beyond the range of doubles


class RateLaw(NamedTuple):
    """The propensity of a reaction as it was given: exactly one of the two is not None."""

    rate: Rate | None
    mass_action: str | float | Expression | None


class Stoichiometry(NamedTuple):
    """What a reaction consumes and makes, and the net change, which leaves out species that are held fixed."""

    reactants: dict[str, int] | None
    products: dict[str, int] | None
    change: dict[str, int]


@dataclass(frozen=True, slots=True, init=False)
class Reaction:
    """A reaction and its propensity.

    Parameters
    ----------
    equation
        ``"A + 2 B -> C"``, with ``0`` or nothing for an empty side; or the net change ``{"A": -1}``; or what a model
        file says of both.
    rate
        The propensity in 1/time: a formula of species counts, parameters and ``time``, or a callable.
        A callable takes a mapping from every species and parameter name to float64 arrays of shape (n,)
        (species) or floats (parameters), and the time if it has a second argument; it returns (n,) or a
        number.
    mass_action
        The constant c of c ∏ binomial(xᵢ, nᵢ), in 1/time: a number or a formula of parameters.
    name
        Name for messages and tables; a model gives ``r1``, ``r2``, … to those without.
    reversible
        Whether a file calls it reversible, for messages.
    burst
        Law of the burst size, the number of times that a reaction makes its net products: ``"geometric(3)"``,
        ``"poisson(2)"``, ``"binomial(10, 0.5)"``, in numbers.  ``G -> G + P`` in bursts makes as many P at once; a
        model has a reaction for each size, such as ``r1 (4)``.

    Attributes
    ----------
    part_of : str or None
        Name of the reaction that this is a part of, where bursts or events make several of one; None for others.
    equation : str
        The equation as text.
    reactants, products : dict[str, int] or None
        Stoichiometry of each side; None where only the net change was given.
    change : dict[str, int]
        Net change of each species that changes.
    order : int or None
        Number of reactant molecules of mass action, else None.

    Raises
    ------
    ModelError
        If the equation cannot be read, or not exactly one of `rate` and `mass_action` is given.

    Examples
    --------
    >>> fsp.Reaction("2 X -> Y", mass_action="c").change  # at the rate c x (x - 1)/2
    {'X': -2, 'Y': 1}
    >>> fsp.Reaction("G -> G + P", rate="k*G", burst="geometric(3)").name
    """

    equation: str
    reactants: dict[str, int] | None
    products: dict[str, int] | None
    change: dict[str, int]
    name: str | None
    law: RateLaw
    reversible: bool
    burst: str | None
    part_of: str | None

    def __init__(
        self,
        equation: str | Mapping[str, int] | Stoichiometry,
        *,
        rate: Rate | None = None,
        mass_action: float | str | Expression | None = None,
        name: str | None = None,
        reversible: bool = False,
        burst: str | None = None,
    ) -> None:
        label = f"Reaction '{name if name is not None else equation}'"
        if isinstance(equation, Stoichiometry):
            sides = equation
        else:
            _check_law(label, equation, rate, mass_action)
            if name is not None and (not isinstance(name, str) or not name.strip()):
                raise ModelError(f"Name of a reaction must be a text, but is {name!r}.")
            sides = _read_change(label, equation) if isinstance(equation, Mapping) else _read_sides(label, equation)
        _check_counts(label, sides, mass_action is not None)
        values = {"law": RateLaw(rate, mass_action), "name": name, "reversible": reversible, "burst": burst}
        values |= sides._asdict() | {"part_of": None}
        for key, value in (values | {"equation": _equation(sides)}).items():
            object.__setattr__(self, key, value)

    def named(self, name: str) -> Reaction:
        """Return the same reaction with a name."""
        sides = Stoichiometry(self.reactants, self.products, self.change)
        renamed = Reaction(sides, **self.law._asdict(), name=name, reversible=self.reversible, burst=self.burst)
        return renamed if self.part_of is None else renamed.as_part_of(self.part_of)

    def as_part_of(self, name: str) -> Reaction:
        """Return the same reaction as a part of one of that name."""
        part = copy(self)
        object.__setattr__(part, "part_of", name)
        return part

    @property
    def order(self) -> int | None:
        """Number of reactant molecules of mass action; None for other rates."""
        if self.law.mass_action is None or self.reactants is None:
            return None
        return sum(self.reactants.values())

    def __hash__(self) -> int:
        return hash((self.equation, self.name))


def takes_time(rate: Callable[..., Any]) -> bool:
    """Return whether a callable rate has a second positional argument, the time."""
    try:
        parameters = inspect.signature(rate).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in positional and p.default is p.empty for p in parameters) >= 2


def mass_action_law(constant: Expression, reactants: Mapping[str, int]) -> Expression:
    """Return c ∏ binomial(xᵢ, nᵢ) as a tree, c ∏ xᵢ (xᵢ - 1) … / ∏ nᵢ!."""
    factors: list[Expression] = [constant]
    for species, n in reactants.items():
        factors += [call("-", Symbol(species), Number(float(k))) for k in range(n)]
    divisor = math.prod(math.factorial(n) for n in reactants.values())
    return call("/", call("*", *factors), Number(float(divisor)))


def _check_law(
    label: str,
    equation: str | Mapping[str, int],
    rate: Rate | None,
    mass_action: float | str | Expression | None,
) -> None:
    if (rate is None) == (mass_action is None):
        given = "none" if rate is None else "both"
        raise ModelError(f"{label} must have exactly one of `rate` and `mass_action`, but has {given}.")
    if mass_action is not None and isinstance(equation, Mapping):
        raise ModelError(
            f"{label} must name its reactants for mass action, but gives the net change only; "
            "write an equation such as 'A + B -> C', or give `rate`."
        )
    if mass_action is not None and (callable(mass_action) or not _is_formula(mass_action)):
        raise ModelError(
            f"`mass_action` of {label} must be a number or a formula, but is {mass_action!r}; "
            "give a callable as `rate`."
        )
    if rate is not None and not callable(rate) and not _is_formula(rate):
        raise ModelError(f"`rate` of {label} must be a formula or a callable, but is {rate!r}.")


def _check_counts(label: str, sides: Stoichiometry, mass_action: bool) -> None:
    """Raise a `ModelError` where a stoichiometry is beyond what counts or factorials can be."""
    for species, n in [(s, n) for side in sides for s, n in (side or {}).items()]:
        if abs(n) > LARGEST_COUNT:
            raise ModelError(
                f"{label} must take or make at most {LARGEST_COUNT:,} '{species}' at once, but has {abs(n):,}."
            )
    many = (sides.reactants or {}).values() if mass_action else ()
    if max(many, default=0) > _LARGEST_ORDER or math.prod(map(math.factorial, many)) > sys.float_info.max:
        raise ModelError(
            f"{label} of mass action must let so few molecules meet that a double holds the product of the factorials "
            f"of their numbers, at most {_LARGEST_ORDER} of one species, but has {_side(sides.reactants or {})}; "
            "give its propensity as `rate`."
        )


def _is_formula(value: object) -> bool:
    return isinstance(value, str | Expression) or (_is_real(value) and math.isfinite(as_double(value)))


def _is_real(value: object) -> bool:
    return not isinstance(value, bool) and hasattr(value, "__float__") and not hasattr(value, "__len__")


def _read_change(label: str, change: Mapping[str, int]) -> Stoichiometry:
    for species, n in change.items():
        if not is_name(species) or isinstance(n, bool) or not hasattr(n, "__index__"):
            raise ModelError(
                f"{label} must change species by whole numbers, but has {species!r}: {n!r}{in_ascii(species)}."
            )
    return Stoichiometry(None, None, {species: int(n) for species, n in change.items() if n != 0})


def _read_sides(label: str, equation: str) -> Stoichiometry:
    if not isinstance(equation, str):
        raise ModelError(f"{label} must be an equation such as 'A + B -> C', but is {equation!r}.")
    if "<-" in equation or "<=" in equation:
        raise ModelError(f"{label} must go one way, but is '{equation}'; write it as two reactions.")
    sides = re.split(r"->|=>", equation)
    if len(sides) != 2:
        raise ModelError(f"{label} must be an equation such as 'A + B -> C', but is '{equation}'.")
    reactants, products = (_read_side(label, side) for side in sides)
    return Stoichiometry(reactants, products, net_change(reactants, products))


def net_change(reactants: Mapping[str, int], products: Mapping[str, int]) -> dict[str, int]:
    """Return products minus reactants, without the species that do not change."""
    difference = {s: products.get(s, 0) - reactants.get(s, 0) for s in [*reactants, *products]}
    return {species: n for species, n in difference.items() if n != 0}


class CutBurst(Reaction):
    """A reaction that is one size of a burst whose law has no largest size, so that sizes far out have none."""

    __slots__ = ()


def in_burst(reaction: Reaction, size: int, rate: Expression, *, is_cut: bool) -> Reaction:
    """Return a reaction that makes so many times what another one makes on balance, at its own propensity."""
    made = {species: n * (size - 1) for species, n in reaction.change.items() if n > 0}
    products = reaction.products
    if products is not None:
        products = {species: n + made.get(species, 0) for species, n in products.items()}
    change = {species: n + made.get(species, 0) for species, n in reaction.change.items()}
    sides = Stoichiometry(reaction.reactants, products, change)
    kind = CutBurst if is_cut else Reaction
    burst = kind(sides, rate=rate, name=f"{reaction.name} ({size})", reversible=reaction.reversible)
    return burst.as_part_of(str(reaction.name))


def _read_side(label: str, side: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    if side.strip() in _EMPTY:
        return counts
    for term in side.split("+"):
        match = _TERM.fullmatch(term)
        number, species = match.groups() if match else (None, "")
        if match is None or (number is not None and not number.strip("0")):
            raise ModelError(
                f"{label} must be a sum of species with whole numbers, such as '2 A + B', but has '{term.strip()}'"
                f"{in_ascii(term)}."
            )
        if number is not None and len(number.lstrip("0")) > _DIGITS:
            raise ModelError(f"{label} must take or make at most {LARGEST_COUNT:,} '{species}' at once, but has more.")
        counts[species] = counts.get(species, 0) + int(number or 1)
    return counts


def _equation(sides: Stoichiometry) -> str:
    if sides.reactants is None or sides.products is None:
        reactants = {s: -n for s, n in sides.change.items() if n < 0}
        products = {s: n for s, n in sides.change.items() if n > 0}
        return f"{_side(reactants)} -> {_side(products)}"
    return f"{_side(sides.reactants)} -> {_side(sides.products)}"


def _side(counts: Mapping[str, int]) -> str:
    return " + ".join(species if n == 1 else f"{n} {species}" for species, n in counts.items()) or "0"
