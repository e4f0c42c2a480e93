"""The model: species, reactions with their propensities, parameters, and where the chain starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from fsp.arrays import FloatArray, IntArray
from fsp.errors import ModelError
from fsp.model import definition as define
from fsp.model.compiled import Begun, Compiled, Fingerprint, compile_definition
from fsp.model.conversion import Conversion
from fsp.model.definition import Definition
from fsp.model.describe import describe
from fsp.model.display import ShownNetwork
from fsp.model.event import Event
from fsp.model.fingerprint import fingerprint
from fsp.model.initial import restarted, with_constants
from fsp.model.phases import Phase
from fsp.model.phases import phases as phases_of
from fsp.model.reaction import Reaction
from fsp.model.tree import Expression, Number, substitute
from fsp.model.values import Value
from fsp.time_limit import TimeLimit


class Model(ShownNetwork):
    """A reaction network and its initial distribution; immutable.

    Parameters
    ----------
    compiled
        What a model file or another model was compiled to, in place of all the others.
    species
        Initial count by name, in the order of the states; a count may be a formula of parameters, or a random number,
        ``"poisson(5)"``, ``"binomial(10, 0.5)"``, ``"geometric(3)"``.  Only the names where `initial` is given.
    reactions
        The reactions.
    parameters
        Value by name: numbers, or formulas of other parameters, species and ``time``; or values with their
        probabilities, ``{"k": {2.0: 0.5, 6.0: 0.5}}``, for one that is random.
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

    Raises
    ------
    ModelError
        If a part is malformed or does not fit the others.

    Examples
    --------
    >>> model = fsp.Model(
    ...     species={"X": 0}, parameters={"k": 10.0, "g": 1.0},
    ...     reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")],
    ... )
    >>> model.propensities([[3], [7]])  # (n_reactions, n), in 1/time
    array([[10., 10.],
           [ 3.,  7.]])
    """

    _text: str | None = None  # what `describe` returns, once it is complete

    def __init__(
        self,
        compiled: Compiled | None = None,
        /,
        *,
        species: Mapping[str, int | Value] | Sequence[str] = (),
        reactions: Sequence[Reaction] = (),
        parameters: Mapping[str, Value | Mapping[float, float]] | None = None,
        name: str = "model",
        initial: Mapping[tuple[int, ...], float] | None = None,
        functions: Mapping[str, str] | None = None,
        time_unit: str = "",
        events: Sequence[Event] = (),
    ) -> None:
        if compiled is None:
            for what, mapping in (("parameters", parameters), ("functions", functions), ("initial", initial)):
                define.check_mapping(what, mapping)
            parts = (species, reactions, parameters or {}, initial, functions or {}, events, str(name), str(time_unit))
            compiled = compile_definition(define.read_definition(*parts))
        super().__init__(compiled)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).of_definition, (self._compiled.definition,)

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
        """Objects in callables that no content identifies, so that no run is continued; empty if there are none."""
        return self._fingerprint.doubts

    @cached_property
    def _fingerprint(self) -> Fingerprint:
        return self._compiled.fingerprint or fingerprint(self._compiled)

    @property
    def conversion(self) -> Conversion:
        """The conversion of a model file's amounts to counts; false where there was none."""
        return self._compiled.definition.conversion

    def describe(self, time_limit: TimeLimit | None = None) -> str:
        """Return the model as text: species, parameters, reactions, conservation laws, finite or not.

        Parameters
        ----------
        time_limit
            The CPU time that laws and bounds may take; by default a second.  What takes longer is left out, and said.

        Returns
        -------
        str
            The lines.
        """
        if self._text is None:
            time_limit = time_limit or TimeLimit()
            text = describe(self, self._compiled.expanded, time_limit)
            if time_limit.is_over:
                return text
            self.__dict__["_text"] = text  # kept, as cached properties are
            return text
        return self._text

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
        return self._redefined(with_constants(self._compiled.definition, given))

    def with_initial(self, mapping: Mapping[str, int | Value] | None = None, /, **counts: int | Value) -> Model:
        """Return a copy that starts elsewhere.

        Parameters
        ----------
        mapping
            Initial counts by name: numbers, formulas of parameters, or laws such as ``"poisson(5)"``.
        **counts
            Initial counts by name; species left out keep theirs.

        Returns
        -------
        Model
            The copy, which starts in one state, or in the product of the laws.

        Examples
        --------
        >>> model = fsp.Model(species={"X": 0}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])
        >>> print(model.with_initial(X="binomial(2, 0.5)").initial_states.ravel())
        [0 1 2]

        Raises
        ------
        ModelError
            If a name is no species, a count is not whole, or a species left out has no single count.
        """
        given = {**(mapping or {}), **counts}
        missing = [name for name in self.species if name not in given]
        if self._compiled.definition.initial.probabilities is not None and missing:
            raise ModelError(
                f"`with_initial` must give all counts where the model starts in a distribution, "
                f"but leaves out '{missing[0]}'."
            )
        started = restarted(self._compiled.definition, given)
        return Model(compile_definition(replace(started, initial=define.InitialLaw(None, started.initial.draws))))

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

    def with_events(self, events: Sequence[Event]) -> Model:
        """Return a copy with other events.

        Parameters
        ----------
        events
            Events with names whose formulas are trees, such as some of `events`.

        Returns
        -------
        Model
            The copy.
        """
        return self._redefined(replace(self._compiled.definition, events=tuple(events)))

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
        changed = tuple(laws.get(k, law) for k, law in enumerate(self._compiled.expanded.laws))
        if not self.events or self.has_timed_events:
            return self._redefined(replace(self._compiled.definition, laws=changed))
        start = zip(map(tuple, self.initial_states.tolist()), self.initial_probabilities.tolist(), strict=True)
        expanded = self._compiled.expanded
        initial = define.InitialLaw(dict(start), expanded.initial.draws)
        return Model(compile_definition(replace(expanded, laws=changed, events=(), initial=initial)))

    def law(self, k: int) -> define.Law:
        """Return the propensity of a reaction with constants put in; parameters that events assign stay symbols."""
        law = self._compiled.expanded.laws[k]
        return substitute(law, self._compiled.constants) if isinstance(law, Expression) else law

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
        start = states, probabilities
        if self.events and not self.has_timed_events:
            return Model(replace(compile_definition(self._compiled.definition, start), fingerprint=self._fingerprint))
        begun = Begun(states, probabilities, is_given=True)
        return Model(replace(self._compiled, begun=begun, fingerprint=self._fingerprint))

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
        yield from phases_of(self, self._compiled.rules if self.has_timed_events else None, begin, end)

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
        fixed = {
            name: Number(self.parameters[name]) for name in self._compiled.definition.held if name in self.parameters
        }
        fixed |= {name: Number(value) for name, value in values.items()}
        definition = replace(
            self._compiled.definition,
            species=dict.fromkeys(self.species, Number(0.0)),
            parameters={**self._compiled.definition.parameters, **fixed},
            at_start={},
            initial=define.InitialLaw(None, self._compiled.definition.initial.draws),
            events=tuple(events),
        )
        compiled = compile_definition(definition, (states, probabilities))
        return Model(replace(compiled, fingerprint=self._fingerprint))

    def _redefined(self, definition: Definition) -> Model:
        """Return a copy by another definition; a start that is given beside it stays."""
        states, probabilities, is_given = self._compiled.begun
        return Model(compile_definition(definition, (states, probabilities) if is_given else None))

    @classmethod
    def of_definition(cls, definition: Definition) -> Model:
        """Make a model from parts that are parsed already, as model files give them."""
        define.check_names(list(definition.species), definition.parameters)
        define.check_not_empty(definition.species, definition.reactions)
        return cls(compile_definition(definition))
