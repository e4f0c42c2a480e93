"""The model: species, reactions with their propensities, parameters, and where the chain starts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from fsp.arrays import FloatArray, IntArray
from fsp.errors import ArgumentError, ModelError
from fsp.model import definition as define
from fsp.model import propensity as propensities_of
from fsp.model import structure
from fsp.model.accuracy import errors
from fsp.model.definition import Definition, Value
from fsp.model.describe import canonical_text, describe
from fsp.model.event import Event, read_events
from fsp.model.factors import Product, factorise
from fsp.model.firing import Rules
from fsp.model.formula import parse_functions
from fsp.model.infix import to_text
from fsp.model.phases import Phase, are_timed, rules_of, started, with_landings
from fsp.model.phases import phases as phases_of
from fsp.model.program import compiled, evaluate
from fsp.model.propensity import Propensity
from fsp.model.reaction import Reaction, takes_time
from fsp.model.size import bounded
from fsp.model.tables import Factor, ProductTables, product_tables
from fsp.model.tree import Expression, Number, depends_on_time, substitute, symbols


class Model:
    """A reaction network and its initial distribution; immutable.

    Parameters
    ----------
    species
        Initial count by name, in the order of the states; a count may be a formula of parameters.  Only
        the names where `initial` is given.
    reactions
        The reactions.
    parameters
        Value by name: numbers, or formulas of other parameters, species and ``time``.
    name
        Name for printing.
    initial
        Probability of each initial state, a tuple of counts; takes the place of the counts in `species`.
    functions
        Functions for formulas, such as ``{"hill(x, K, n)": "x^n/(K^n + x^n)"}``.
    time_unit
        Unit of time for printing.
    events
        Assignments that take place when a condition becomes true.

    Attributes
    ----------
    name, time_unit : str
        As given.
    species : tuple of str
        Names, in the order of the columns of a state.
    n_species, n_reactions : int
        Their numbers.
    reactions : tuple of Reaction
        The reactions, all with names; a jump that makes the trigger of an event true is a reaction of its own.
    events : tuple of Event
        The events, all with names, their formulas as trees.
    has_timed_events : bool
        Whether an event takes place at a known time, or changes a parameter: the chain is then that of this network
        only in phases, which `fsp.transient` puts together.
    parameters : Mapping[str, float]
        Value of each parameter that is constant, formulas computed.
    initial_states : ndarray
        Initial states, shape (m, n_species), sorted.
    initial_probabilities : ndarray
        Their probabilities, shape (m,).
    change : ndarray
        Net change of each species in each reaction, shape (n_reactions, n_species).
    rate_expressions : tuple of Expression or None
        Propensities as trees of species and time; None for callables.
    time_dependent : ndarray
        Whether each propensity depends on time, shape (n_reactions,), bool.

    Raises
    ------
    ModelError
        If a part is malformed or does not fit the others.
    """

    name: str
    time_unit: str
    species: tuple[str, ...]
    reactions: tuple[Reaction, ...]
    events: tuple[Event, ...]
    has_timed_events: bool
    parameters: Mapping[str, float]
    initial_states: IntArray
    initial_probabilities: FloatArray
    change: IntArray
    rate_expressions: tuple[Expression | None, ...]
    time_dependent: npt.NDArray[np.bool_]
    _laws: tuple[define.Law, ...]
    _definition: Definition
    _expanded: Definition
    _rules: Rules | None
    _largest: FloatArray
    _resolved: Mapping[str, Expression]

    def __init__(
        self,
        *,
        species: Mapping[str, int | Value] | Sequence[str],
        reactions: Sequence[Reaction],
        parameters: Mapping[str, Value] | None = None,
        name: str = "model",
        initial: Mapping[tuple[int, ...], float] | None = None,
        functions: Mapping[str, str] | None = None,
        time_unit: str = "",
        events: Sequence[Event] = (),
    ) -> None:
        for what, mapping in (("parameters", parameters), ("functions", functions), ("initial", initial)):
            define.check_mapping(what, mapping)
        known = parse_functions(functions or {})
        given = dict(parameters or {})
        counts = define.read_counts(species, initial)
        define.check_not_empty(counts, reactions)
        define.check_names(list(species), given)
        names = [*counts, *given]
        named = define.named_reactions(reactions, list(counts))
        self._bind(
            Definition(
                name=str(name),
                time_unit=str(time_unit),
                species={n: define.read_value(v, f"Initial count of '{n}'", known, names) for n, v in counts.items()},
                parameters={n: define.read_value(v, f"Parameter '{n}'", known, names) for n, v in given.items()},
                reactions=named,
                laws=tuple(define.read_law(reaction, known, names) for reaction in named),
                initial=None if initial is None else define.read_initial(initial, len(counts)),
                events=read_events(events, known, names),
            )
        )

    def _bind(self, definition: Definition, start: tuple[IntArray, FloatArray] | None = None) -> None:
        """Compute all that is cheap and may fail.

        Where events are reactions, these depend on the states that the chain starts in: `start`, (m, n_species) states
        and (m,) probabilities, or what the definition says.
        """
        define.check_known(definition)
        resolved = define.resolve(definition.parameters)
        define.check_mass_action(definition, resolved)
        rules = rules_of(definition, resolved) if definition.events else None
        states, probabilities = define.start_distribution(definition, resolved) if start is None else start
        expanded, largest = definition, np.full(len(definition.species), np.inf)
        if rules is not None and start is None:
            values = [float(evaluate(resolved[name], {})) for name in rules.variables]
            states, probabilities = started(rules, values, states, probabilities)
        if rules is not None and not are_timed(rules):
            plain = _resolved_laws(definition, resolved)
            expanded, largest = with_landings(definition, rules, plain, define.change_matrix(definition), states)
        laws = _resolved_laws(expanded, resolved)
        timed = [depends_on_time(law) if isinstance(law, Expression) else takes_time(law) for law in laws]
        vars(self).update(
            name=definition.name,
            time_unit=definition.time_unit,
            species=tuple(definition.species),
            reactions=expanded.reactions,
            events=definition.events,
            has_timed_events=rules is not None and are_timed(rules),
            parameters=MappingProxyType({n: tree.value for n, tree in resolved.items() if isinstance(tree, Number)}),
            initial_states=_frozen(states),
            initial_probabilities=_frozen(probabilities),
            change=_frozen(define.change_matrix(expanded)),
            rate_expressions=tuple(law if isinstance(law, Expression) else None for law in laws),
            _laws=tuple(laws),
            time_dependent=_frozen(np.array(timed)),
            _definition=definition,
            _expanded=expanded,
            _rules=rules,
            _largest=largest,
            _resolved=resolved,
        )

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Model is immutable; make a changed copy with with_parameters() instead of '{name} ='.")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).of_definition, (self._definition,)

    def __repr__(self) -> str:
        return f"Model({self.name!r}, {self.n_species} species, {self.n_reactions} reactions)"

    def __str__(self) -> str:
        return self.describe()

    @property
    def n_species(self) -> int:
        """Number of species."""
        return len(self.species)

    @property
    def n_reactions(self) -> int:
        """Number of reactions."""
        return len(self.reactions)

    @property
    def is_time_dependent(self) -> bool:
        """Whether a propensity depends on time."""
        return bool(self.time_dependent.any())

    def require_untimed(self, what: str) -> None:
        """Raise a `ModelError` where events at known times make the chain another one with time.

        Parameters
        ----------
        what
            What is not of such a model, for the message.
        """
        if self.has_timed_events:
            names = ", ".join(f"'{event.name}'" for event in self.events)
            raise ModelError(
                f"{what} must be of a model without events at known times, but '{self.name}' has {names}; "
                f"`fsp.transient` goes through them."
            )

    @cached_property
    def observables(self) -> Mapping[str, str]:
        """Formula, in species only, of each parameter that depends on species and not on time."""
        return {
            name: to_text(tree) for name, tree in self._resolved.items() if symbols(tree) and not depends_on_time(tree)
        }

    # ------------------------------------------------------------------ propensities

    def propensity(self, k: int, states: npt.ArrayLike, t: float = 0.0) -> FloatArray:
        """Evaluate the propensity of one reaction.

        Parameters
        ----------
        k
            Index of the reaction.
        states
            Counts, shape (n, n_species).
        t
            The time.

        Returns
        -------
        ndarray
            Propensities in 1/time, shape (n,).

        Raises
        ------
        ModelError
            If a value is negative, not finite, or positive where a count would become negative.
        """
        chosen = (self._propensities[k],)
        values: FloatArray = propensities_of.evaluate_all(chosen, self._index, self._states(states), t)[0]
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
        found = [0.0 if law is None else errors(law, columns, 0.0)[1] for law in self.rate_expressions]
        return np.stack([np.broadcast_to(error, len(counts)) for error in found]).astype(np.float64)

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
        law, timed = self._laws[k], bool(self.time_dependent[k])
        if isinstance(law, Expression):
            return propensities_of.of_expression(self.reactions[k], self._index, law, timed)
        return propensities_of.of_callable(self.reactions[k], self._index, law, self._constants(timed))

    def _constants(self, timed: bool) -> dict[str, Any]:
        """Return what a callable may ask for beside species; nothing that hides a time it does not take."""
        return {
            name: tree.value if isinstance(tree, Number) else compiled(tree)
            for name, tree in self._resolved.items()
            if timed or not depends_on_time(tree)
        }

    def _states(self, states: npt.ArrayLike) -> npt.NDArray[Any]:
        array = np.asarray(states)
        if array.ndim != 2 or array.shape[1] != self.n_species:
            raise ArgumentError(f"`states` must have shape (n, {self.n_species}), but has {array.shape}.")
        return array

    # ------------------------------------------------------------------ structure

    @cached_property
    def conservation_laws(self) -> IntArray:
        """Basis of the laws w with w·x constant, shape (n_laws, n_species); none where events at known times may be."""
        if self.has_timed_events:
            return _frozen(np.empty((0, self.n_species), dtype=np.int64))
        return _frozen(structure.conservation_laws(self.change))

    @cached_property
    def species_bounds(self) -> FloatArray:
        """Largest count of each species by stoichiometry and events, shape (n_species,); inf without limit."""
        if self.has_timed_events:
            return _frozen(np.full(self.n_species, np.inf))
        bounds = structure.species_bounds(self.change, self.initial_states)
        held = bool((self.initial_states <= self._largest).all())
        return _frozen(np.minimum(bounds, self._largest) if held else bounds)

    @property
    def is_finite(self) -> bool:
        """Whether the stoichiometry alone makes the set of reachable states finite."""
        return bool(np.isfinite(self.species_bounds).all())

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the model's content, as hexadecimal text."""
        return hashlib.sha256(canonical_text(self, self._laws, self._rules).encode()).hexdigest()

    def describe(self) -> str:
        """Return the model as text: species, parameters, reactions, conservation laws, finite or not."""
        return describe(self, self._expanded)

    # ------------------------------------------------------------------ changed copies

    def with_parameters(self, mapping: Mapping[str, Value] | None = None, /, **values: Value) -> Model:
        """Return a copy with other parameter values; all that depends on them is computed again.

        Parameters
        ----------
        mapping
            Values by name, for names that are no Python identifiers such as ``reaction.k``.
        **values
            Values by name.

        Returns
        -------
        Model
            The copy.

        Raises
        ------
        ModelError
            If a name is no parameter, or a value is not finite.
        """
        define.check_mapping("mapping", mapping)
        given = {**(mapping or {}), **values}
        old = self._definition.parameters
        return self._changed(parameters=define.replaced(old, given, "Parameter", "Parameter", self.species))

    def with_initial(self, mapping: Mapping[str, int | Value] | None = None, /, **counts: int | Value) -> Model:
        """Return a copy that starts elsewhere.

        Parameters
        ----------
        mapping
            Initial counts by name.
        **counts
            Initial counts by name; species left out keep theirs.

        Returns
        -------
        Model
            The copy, which starts in one state.

        Raises
        ------
        ModelError
            If a name is no species, a count is not whole, or a species left out has no single count.
        """
        given = {**(mapping or {}), **counts}
        missing = [name for name in self.species if name not in given]
        if self._definition.initial is not None and missing:
            raise ModelError(
                f"`with_initial` must give all counts where the model starts in a distribution, "
                f"but leaves out '{missing[0]}'."
            )
        old, others = self._definition.species, self._definition.parameters
        species = define.replaced(old, given, "Species", "Initial count of", others)
        return self._changed(species=species, initial=None)

    def with_values(self, mapping: Mapping[str, Value]) -> Model:
        """Return a copy with other parameters and initial counts.

        Parameters
        ----------
        mapping
            Values by name of a parameter or a species.

        Returns
        -------
        Model
            The copy.

        Raises
        ------
        ModelError
            As `with_parameters` and `with_initial` do.
        """
        counts = {name: value for name, value in mapping.items() if name in self.species}
        constants = {name: value for name, value in mapping.items() if name not in counts}
        model = self.with_parameters(constants) if constants else self
        return model.with_initial(counts) if counts else model

    def with_laws(self, laws: Mapping[int, define.Law]) -> Model:
        """Return a copy in which some reactions have other propensities.

        Parameters
        ----------
        laws
            The new propensity by the number of the reaction: a tree of species and parameters, or a callable as a
            `Reaction` takes it.

        Returns
        -------
        Model
            The copy; its reactions keep their names and equations.  Where the state triggers events, it has the
            reactions that they are, and no events.
        """
        changed = tuple(laws.get(k, law) for k, law in enumerate(self._expanded.laws))
        if not self.events or self.has_timed_events:
            return self._changed(laws=changed)
        start = zip(map(tuple, self.initial_states.tolist()), self.initial_probabilities.tolist(), strict=True)
        model = type(self).__new__(type(self))
        model._bind(replace(self._expanded, laws=changed, events=(), initial=dict(start)))
        return model

    def law(self, k: int) -> define.Law:
        """Return the propensity of a reaction with constants put in; parameters that events assign stay symbols."""
        law = self._expanded.laws[k]
        variables = () if self._rules is None else self._rules.variables
        constants = {name: tree for name, tree in self._resolved.items() if name not in variables}
        return substitute(law, constants) if isinstance(law, Expression) and variables else self._laws[k]

    def starting_in(self, states: IntArray, probabilities: FloatArray) -> Model:
        """Return the same network, under the same hash, to be computed on from a distribution.

        Parameters
        ----------
        states
            Where the distribution lies, shape (m, n_species).
        probabilities
            Their probabilities, shape (m,); the sum need not be one, since something may be lost already.

        Returns
        -------
        Model
            The copy; its description is that of the original.
        """
        model = type(self).__new__(type(self))
        if self.events and not self.has_timed_events:
            model._bind(self._definition, (states, probabilities))
        else:
            vars(model).update(vars(self))
            vars(model).pop("species_bounds", None)
            vars(model).update(initial_states=states, initial_probabilities=probabilities)
        vars(model).update(hash=self.hash)
        return model

    def phases(self, begin: float, end: float) -> Iterator[Phase]:
        """Yield the stretches of time in which the chain is that of an ordinary network.

        Parameters
        ----------
        begin, end
            From when to when.  What events do at `begin` itself is taken to be done.

        Yields
        ------
        Phase
            The only one where there are no events at known times.
        """
        yield from phases_of(self, self._rules if self.has_timed_events else None, begin, end)

    def in_phase(
        self, values: Mapping[str, float], events: Sequence[Event], states: IntArray, probabilities: FloatArray
    ) -> Model:
        """Return the network of a phase, under the same hash.

        Parameters
        ----------
        values
            Values of the parameters that events assign.
        events
            The events that the state triggers.
        states, probabilities
            Where it begins: (m, n_species) and (m,).

        Returns
        -------
        Model
            The network.
        """
        fixed = {name: Number(self.parameters[name]) for name in self._definition.held if name in self.parameters}
        fixed |= {name: Number(value) for name, value in values.items()}
        definition = replace(
            self._definition,
            species=dict.fromkeys(self.species, Number(0.0)),
            parameters={**self._definition.parameters, **fixed},
            initial=None,
            events=tuple(events),
        )
        model = type(self).__new__(type(self))
        model._bind(definition, (states, probabilities))
        vars(model).update(hash=self.hash)
        return model

    def _changed(self, **parts: Any) -> Model:
        model = type(self).__new__(type(self))
        model._bind(replace(self._definition, **parts))
        return model

    @classmethod
    def of_definition(cls, definition: Definition) -> Model:
        """Make a model from parts that are parsed already, as model files give them."""
        define.check_names(list(definition.species), definition.parameters)
        define.check_not_empty(definition.species, definition.reactions)
        model = cls.__new__(cls)
        model._bind(definition)
        return model


def _resolved_laws(definition: Definition, resolved: Mapping[str, Expression]) -> list[define.Law]:
    """Return the propensities with parameters put in."""
    return [
        bounded(substitute(law, resolved), f"Rate of '{reaction.name}'") if isinstance(law, Expression) else law
        for reaction, law in zip(definition.reactions, definition.laws, strict=True)
    ]


def _frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    array.flags.writeable = False
    return array
