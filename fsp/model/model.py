"""The model: species, reactions with their propensities, parameters, and where the chain starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from fsp.arrays import FloatArray, IntArray
from fsp.errors import ModelError
from fsp.model import definition as define
from fsp.model.definition import Definition
from fsp.model.describe import describe
from fsp.model.event import Event, read_events
from fsp.model.event_maps import started
from fsp.model.fingerprint import Fingerprint, fingerprint
from fsp.model.firing import Rules
from fsp.model.formula import parse_functions
from fsp.model.network import Network, frozen
from fsp.model.phases import Phase
from fsp.model.phases import phases as phases_of
from fsp.model.program import evaluate
from fsp.model.reaction import Reaction, takes_time
from fsp.model.size import bounded
from fsp.model.state_events import are_timed, rules_of, with_landings
from fsp.model.tree import Expression, Number, depends_on_time, substitute
from fsp.model.values import Value, read_value


class Model(Network):
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

    _definition: Definition
    _expanded: Definition
    _rules: Rules | None

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
                species={n: read_value(v, f"Initial count of '{n}'", known, names) for n, v in counts.items()},
                parameters={n: read_value(v, f"Parameter '{n}'", known, names) for n, v in given.items()},
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
            initial_states=frozen(states),
            initial_probabilities=frozen(probabilities),
            change=frozen(define.change_matrix(expanded)),
            rate_expressions=tuple(law if isinstance(law, Expression) else None for law in laws),
            _laws=tuple(laws),
            time_dependent=frozen(np.array(timed)),
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
    def hash(self) -> str:
        """SHA-256 of the model's content, as hexadecimal text; equal to no other hash where `unrepeatable` says why."""
        return self._fingerprint.hash

    @property
    def unrepeatable(self) -> str:
        """What callables use that cannot be told by its content, so that no run is continued; empty if nothing."""
        return self._fingerprint.doubts

    @cached_property
    def _fingerprint(self) -> Fingerprint:
        return fingerprint(self, self._laws, self._rules, self._resolved)

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
        vars(model).update(_fingerprint=self._fingerprint)
        return model

    def phases(self, begin: float, end: float) -> Iterator[Phase[Model]]:
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
        vars(model).update(_fingerprint=self._fingerprint)
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
