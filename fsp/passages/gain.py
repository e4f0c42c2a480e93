"""What a network accumulates: a rate that is a formula of its state, or firings of a reaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from fsp.distribution import Interval
from fsp.errors import ArgumentError
from fsp.model.accuracy import errors
from fsp.model.compiled import compile_definition
from fsp.model.definition import InitialLaw
from fsp.model.model import Model
from fsp.model.reaction import Reaction
from fsp.model.tree import Expression, Number
from fsp.moments.envelope import envelope
from fsp.moments.polynomial import plus
from fsp.moments.rates import rates
from fsp.passages.observables import Observable
from fsp.space.space import successors

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.moments.polynomial import Polynomial
    from fsp.space import StateSpace


@dataclass(frozen=True, slots=True)
class Accumulation:
    """Mean and second moment of what is accumulated up to some times, and what they are made on."""

    means: list[Interval]
    squares: list[Interval]
    n_states: int
    missing: float  # probability of runs that are not counted to the end

    @property
    def width(self) -> float:
        """The widest mean, relative to 1 + its size."""
        return max(mean.width / (1.0 + mean.value) for mean in self.means)


@dataclass(frozen=True, slots=True, eq=False)
class Gain:
    """What is accumulated: a rate, or the firings of a reaction, each burst of which counts once."""

    text: str
    observable: Observable | None
    reactions: tuple[int, ...]  # their numbers, several of a reaction in bursts; none of a rate
    counted: Model | None  # the network with a molecule that counts; None where its rates are functions
    largest: float  # the rate at all states; infinite where it has no bound
    positive: bool  # whether the rate is known not to be negative anywhere

    @classmethod
    def of_reaction(cls, model: Model, name: object) -> Gain:
        """Count firings."""
        names = [str(reaction.name) for reaction in model.reactions]
        bases = [reaction.part_of or str(reaction.name) for reaction in model.reactions]
        given = names if name in names else bases
        reactions = tuple(k for k, known in enumerate(given) if known == name)
        if not reactions:
            known = ", ".join(dict.fromkeys(bases))
            raise ArgumentError(f"`observable` must be a reaction with `firings`, {known}, but is {name!r}.")
        if model.events:
            raise ArgumentError(
                f"`firings` must be of a network without events: a firing of {name!r} that triggers one is another "
                f"reaction, or none if it changes nothing.  Let the reaction make a species that counts as well, and "
                f"ask `fsp.transient` for its mean."
            )
        counting = {
            k: Reaction({**model.reactions[k].change, _counter(model): 1}, rate="0").named(names[k]) for k in reactions
        }
        return cls(str(name), None, reactions, _with(model, counting), inf, positive=True)

    @property
    def is_rate(self) -> bool:
        """Whether it is a rate."""
        return self.observable is not None

    @classmethod
    def of_formula(cls, model: Model, text: object) -> Gain:
        """Integrate a formula."""
        observable = Observable.read(model, text, "observable")
        if observable.is_condition:
            return cls(observable.text, observable, (), None, 1.0, positive=True)
        below = envelope(observable.tree, model.species).lower
        positive = below is not None and all(c >= 0 for c in below.values())
        n, reaction = model.n_reactions, Reaction({_counter(model): 1}, rate=observable.text).named(_counter(model))
        return cls(observable.text, observable, (), _with(model, {n: reaction}, observable.tree), inf, positive)

    def rates(self, model: Model, space: StateSpace) -> tuple[FloatArray, float]:
        """Return the rates at the states of a space, (n,), and their error beside relative rounding."""
        if self.observable is None:
            return sum((model.propensity(k, space.states) for k in self.reactions), np.zeros(len(space))), 0.0
        values = self.observable.values(space.states)
        if (values < 0.0).any():
            raise ArgumentError(
                f"`observable` must not be negative, but '{self.text}' is {values.min():.6g} at a state; write it as "
                f"the difference of two, and ask for each."
            )
        columns = {name: space.states[:, i].astype(np.float64) for i, name in enumerate(model.species)}
        return values, float(np.max(errors(self.observable.tree, columns, 0.0)[1]))

    def jumps(self, model: Model, space: StateSpace) -> csr_array | None:
        """Return rates of firings from each state (column) into each other one, (n, n); None of a rate."""
        if self.is_rate:
            return None
        n = len(space)
        total = csr_array((n, n))
        for k, target in zip(self.reactions, successors(space, model.change[list(self.reactions)]), strict=True):
            rates = model.propensity(k, space.states)
            here = np.flatnonzero((target >= 0) & (rates > 0.0))
            total = total + csr_array((rates[here], (target[here], here)), shape=(n, n))
        return csr_array(total)

    def cost(self, model: Model) -> Polynomial | None:
        """Return a polynomial above the rate, in falling powers; None where none is known."""
        if self.observable is not None:
            return self.observable.size
        known = [above for above in self.costs(model) if above is not None]
        return plus(*known) if len(known) == len(self.reactions) else None

    def costs(self, model: Model) -> list[Polynomial | None]:
        """Return polynomials above the propensities of the counted reactions, None for each where none is known."""
        known = rates(model, 0.0, model.species_bounds)
        above = [known[k].upper for k in self.reactions]
        return [None if law is None else {alpha: c for alpha, c in law.items() if c > 0} for law in above]


def _counter(model: Model) -> str:
    name = "accumulated"
    while name in model.species or name in model.definition.parameters:
        name += "_"
    return name


def _with(model: Model, changed: dict[int, Reaction], law: Expression | None = None) -> Model | None:
    """Return the network with a species that counts: made by reactions, in the place of others or after the last."""
    if model.events or model.start_lacks:
        return None
    definition = model.definition
    reactions = [changed.get(k, reaction) for k, reaction in enumerate(definition.reactions)]
    replaced = replace(
        definition,
        species={**dict.fromkeys(model.species, Number(0.0)), _counter(model): Number(0.0)},
        reactions=(*reactions, *(reaction for k, reaction in changed.items() if k >= len(reactions))),
        laws=definition.laws if law is None else (*definition.laws, law),
        initial=InitialLaw(),
        at_start={},
    )
    states = np.pad(model.initial_states, ((0, 0), (0, 1)))  # (k, d + 1)
    return Model(compile_definition(replaced, (states, model.initial_probabilities)))
