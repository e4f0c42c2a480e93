"""What a model is compiled to: where its chain lies and jumps (`JumpStructure`), and at what rates (`Network`)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from fsp.arrays import BoolArray, FloatArray, IntArray
from fsp.checks import shown
from fsp.errors import ArgumentError, ModelError
from fsp.model import propensity as propensities_of
from fsp.model import structure
from fsp.model.accuracy import errors
from fsp.model.compiled import Compiled, frozen
from fsp.model.definition import Definition
from fsp.model.event import Event
from fsp.model.event_execution import Rules
from fsp.model.factor_tables import Factor, ProductTables, product_tables
from fsp.model.factors import Product, factorise
from fsp.model.infix import to_text
from fsp.model.program import compiled as program
from fsp.model.propensity import Propensity
from fsp.model.reaction import Reaction
from fsp.model.tree import Expression, Number, depends_on_time, symbols


class JumpStructure:
    """Species, jumps, where the chain starts, and what the stoichiometry implies; immutable."""

    _compiled: Compiled

    def __init__(self, compiled: Compiled) -> None:
        object.__setattr__(self, "_compiled", compiled)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Model is immutable; make a changed copy with with_parameters() instead of '{name} ='.")

    @property
    def name(self) -> str:
        """Name for printing."""
        return self._compiled.definition.name

    @property
    def time_unit(self) -> str:
        """Unit of time for printing."""
        return self._compiled.definition.time_unit

    @cached_property
    def species(self) -> tuple[str, ...]:
        """Names of the species, in the order of the columns of a state."""
        return tuple(self._compiled.definition.species)

    @property
    def definition(self) -> Definition:
        """The model as it was given, with every formula parsed."""
        return self._compiled.definition

    @property
    def reactions(self) -> tuple[Reaction, ...]:
        """The reactions, all with names; a jump that makes the trigger of an event true is a reaction of its own."""
        return self._compiled.expanded.reactions

    @property
    def events(self) -> tuple[Event, ...]:
        """The events, all with names, their formulas as trees."""
        return self._compiled.definition.events

    @property
    def rules(self) -> Rules | None:
        """The events with constants put in, ready to be fired; None where there are none."""
        return self._compiled.rules

    @property
    def has_timed_events(self) -> bool:
        """Whether an event takes place at a known time, or changes a parameter.

        The chain is then that of this network only in phases, which `fsp.transient` puts together.
        """
        return self._compiled.has_timed_events

    @cached_property
    def moved_by_events(self) -> Mapping[str, str]:
        """Each parameter that an event assigns, or that depends on one, with the one that is assigned."""
        assigned = () if self._compiled.rules is None else self._compiled.rules.variables
        if not assigned:
            return {}
        uses = {name: symbols(tree) & set(assigned) for name, tree in self._compiled.constants.items()}
        return {**{name: name for name in assigned}, **{name: min(used) for name, used in uses.items() if used}}

    @property
    def initial_states(self) -> IntArray:
        """Initial states, shape (m, n_species), sorted."""
        return self._compiled.begun.states

    @property
    def initial_probabilities(self) -> FloatArray:
        """Probabilities of the initial states, shape (m,)."""
        return self._compiled.begun.probabilities

    @property
    def change(self) -> IntArray:
        """Net change of each species in each reaction, shape (n_reactions, n_species)."""
        return self._compiled.change

    @property
    def n_species(self) -> int:
        """Number of species."""
        return len(self.species)

    @property
    def n_reactions(self) -> int:
        """Number of reactions."""
        return len(self.reactions)

    def require_untimed(self, what: str) -> None:
        """Raise a `ModelError` where events at known times change the chain, of which there is no `what`."""
        if self.has_timed_events:
            names = ", ".join(f"'{event.name}'" for event in self.events)
            raise ModelError(
                f"{what} must be of a model without events at known times, but '{self.name}' has {names}; "
                f"`fsp.transient` goes through them."
            )

    @cached_property
    def conservation_laws(self) -> IntArray:
        """Basis of the laws w with w·x constant, shape (n_laws, n_species); none where events at known times may be."""
        if self.has_timed_events:
            return frozen(np.empty((0, self.n_species), dtype=np.int64))
        return frozen(structure.conservation_laws(self.change))

    @cached_property
    def species_bounds(self) -> FloatArray:
        """Largest count of each species by stoichiometry and events, shape (n_species,); inf without limit."""
        if self.has_timed_events:
            return frozen(np.full(self.n_species, np.inf))
        bounds = structure.species_bounds(self.change, self.initial_states)
        held = bool((self.initial_states <= self._compiled.largest).all())
        return frozen(np.minimum(bounds, self._compiled.largest) if held else bounds)

    @property
    def is_finite(self) -> bool:
        """Whether the stoichiometry alone makes the set of reachable states finite."""
        return bool(np.isfinite(self.species_bounds).all())


class Network(JumpStructure):
    """The reactions of a model with their propensities; see `Model`."""

    @cached_property
    def parameters(self) -> Mapping[str, float]:
        """Value of each parameter that is constant, formulas computed."""
        resolved = self._compiled.resolved.items()
        return MappingProxyType({name: tree.value for name, tree in resolved if isinstance(tree, Number)})

    @cached_property
    def rate_expressions(self) -> tuple[Expression | None, ...]:
        """Propensities as trees of species and time; None for callables."""
        return tuple(law if isinstance(law, Expression) else None for law in self._compiled.laws)

    @property
    def time_dependent(self) -> BoolArray:
        """Whether each propensity depends on time, shape (n_reactions,)."""
        return self._compiled.time_dependent

    @property
    def is_time_dependent(self) -> bool:
        """Whether a propensity depends on time."""
        return bool(self.time_dependent.any())

    @cached_property
    def start_lacks(self) -> float:
        """What the probabilities of the initial states lack to one where they are lower bounds, drawn from laws."""
        definition = self._compiled.definition
        drawn = definition.initial.draws or any(event.draws for event in definition.events)
        return max(0.0, 1.0 - math.fsum(self.initial_probabilities.tolist())) if drawn else 0.0

    @cached_property
    def observables(self) -> Mapping[str, str]:
        """Formula, in species only, of each parameter that depends on species and not on time."""
        return {
            name: to_text(tree)
            for name, tree in self._compiled.resolved.items()
            if symbols(tree) and not depends_on_time(tree)
        }

    @cached_property
    def constraints(self) -> Mapping[str, str]:
        """Formula, in species and time only, of each condition that the model file says should hold."""
        trees = {name: self._compiled.resolved[name] for name in self._compiled.definition.constraints}
        return {name: to_text(tree) for name, tree in trees.items() if symbols(tree) <= set(self.species)}

    def propensity(self, k: int, states: npt.ArrayLike, t: float = 0.0, *, checked: bool = True) -> FloatArray:
        """Evaluate the propensity of one reaction.

        Parameters
        ----------
        k
            Index of the reaction.
        states
            Counts, shape (n, n_species).
        t
            The time.
        checked
            Whether values that are no rates are refused.

        Returns
        -------
        ndarray
            Propensities in 1/time, shape (n,).

        Raises
        ------
        ModelError
            If a value is negative, not finite, or positive where a count would become negative.
        """
        chosen, counts = (self._propensities[k],), self._states(states)
        values: FloatArray = propensities_of.evaluate_all(chosen, self._index, counts, t, checked=checked)[0]
        return values

    def propensities(self, states: npt.ArrayLike, t: float = 0.0) -> FloatArray:
        """Evaluate the propensities of all reactions.

        Parameters
        ----------
        states
            Counts, shape (n, n_species).
        t
            The time.

        Returns
        -------
        ndarray
            Propensities in 1/time, shape (n_reactions, n).

        Raises
        ------
        ModelError
            If a value is negative, not finite, or positive where a count would become negative.
        """
        return propensities_of.evaluate_all(self._propensities, self._index, self._states(states), t)

    def propensity_errors(self, states: npt.ArrayLike) -> FloatArray:
        """Bound the rounding of propensities that do not depend on time.

        Parameters
        ----------
        states
            Counts, shape (n, n_species).

        Returns
        -------
        ndarray
            Bounds of ``|computed - exact|``, 1/time, shape (n_reactions, n); those of a callable are what it says.
        """
        counts = self._states(states)
        columns = {name: counts[:, s].astype(np.float64) for s, name in enumerate(self.species)}
        errors_of = [0.0 if law is None else errors(law, columns, 0.0)[1] for law in self.rate_expressions]
        return np.stack([np.broadcast_to(error, len(counts)) for error in errors_of]).astype(np.float64)

    def factorised(self, k: int) -> tuple[Product, ...] | None:
        """Return the propensity of a reaction as a sum of products of one-species factors.

        Parameters
        ----------
        k
            Index of the reaction.

        Returns
        -------
        tuple of Product, or None
            The products; None for a callable, or where there is no such sum.
        """
        return self._factorised[k]

    @cached_property
    def _factorised(self) -> tuple[tuple[Product, ...] | None, ...]:
        return tuple(None if law is None else factorise(law, self.species) for law in self.rate_expressions)

    def tables(self, k: int) -> tuple[ProductTables, ...] | None:
        """Return the products of `factorised`, ready to be tabulated, with their errors; all generators share them."""
        return self._tables[k]

    def tables_of(self, k: int, counts: Mapping[str, range]) -> tuple[ProductTables, ...] | None:
        """Return products that hold at the `counts` of each species, where `tables` has none that hold at all."""
        law = self.rate_expressions[k]
        products = None if law is None else factorise(law, self.species, counts)
        return None if products is None else product_tables(products, self._index, {})

    @cached_property
    def _tables(self) -> tuple[tuple[ProductTables, ...] | None, ...]:
        known: dict[tuple[object, ...], Factor] = {}
        return tuple(
            None if products is None else product_tables(products, self._index, known) for products in self._factorised
        )

    @cached_property
    def _index(self) -> Mapping[str, int]:
        return {name: j for j, name in enumerate(self.species)}

    @cached_property
    def _propensities(self) -> tuple[Propensity, ...]:
        return tuple(self._propensity(k) for k in range(self.n_reactions))

    def _propensity(self, k: int) -> Propensity:
        law, timed = self._compiled.laws[k], bool(self.time_dependent[k])
        if isinstance(law, Expression):
            return propensities_of.of_expression(self.reactions[k], self._index, law, timed)
        return propensities_of.of_callable(self.reactions[k], self._index, law, self._constants(timed))

    def _constants(self, timed: bool) -> dict[str, Any]:
        """Return what a callable may ask for beside species; nothing that hides a time it does not take."""
        return {
            name: tree.value if isinstance(tree, Number) else program(tree)
            for name, tree in self._compiled.resolved.items()
            if timed or not depends_on_time(tree)
        }

    def _states(self, states: npt.ArrayLike) -> npt.NDArray[Any]:
        array = np.asarray(states)
        if array.ndim != 2 or array.shape[1] != self.n_species:
            raise ArgumentError(f"`states` must have shape (n, {self.n_species}), but has {array.shape}.")
        if array.dtype == object:  # of whole numbers that no array holds, or of something else
            count = next((count for count in array.flat if not isinstance(count, float | np.number)), None)
            raise ArgumentError(f"`states` must be counts below 2⁶⁴, but have {shown(count)}.")
        return array
