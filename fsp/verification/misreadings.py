"""What a reader of SBML that misses one rule makes of a file: the document is changed, and read rightly.

Each row of `MISREADINGS` changes a document of libsbml so that its right meaning is what a wrong reader sees, and says
whether there was anything to change; what it leaves as it was is no hypothesis.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from fsp.errors import FSPError
from fsp.formats.equivalence import difference
from fsp.formats.readers import read_text
from fsp.formats.sbml_parts import Element, each
from fsp.model import Model, Reaction
from fsp.model.event import Event
from fsp.model.libraries import one_at_a_time
from fsp.model.tree import Call, Expression, Number, Symbol, Time, call

ABOVE_ROUNDING = 2.0**-20  # added to rates that are rounded down, so that a whole one stays what it is


def misread(text: str, model: Model, times: Sequence[float]) -> Iterator[tuple[str, str, Model]]:
    """Yield key, sentence and network of each misreading of SBML that makes another network of it."""
    for key, (sentence, change) in MISREADINGS.items():
        changed = _changed(text, change)
        wrong = None if changed is None else _network(changed, key, model, times)
        if wrong is not None:
            yield key, sentence, wrong
    yield from _of_events(model, times)
    yield from _of_numbers(model)


def _network(text: str, key: str, model: Model, times: Sequence[float]) -> Model | None:
    """Return what a wrong reader makes of a document, where it is another network than the right one.

    A law that is not 0 where molecules lack is a law of a wrong network all the same: it is taken for 0 there.
    """
    for document in (text, _changed(text, _where_there_are_enough)):
        try:
            wrong = None if document is None else read_text(document, key)
            if wrong is not None:
                return wrong if difference(wrong, model, times[-1]) else None
        except FSPError:  # a reader that sees this has no network to run
            continue
    return None


@one_at_a_time
def has_volumes(text: str) -> bool:
    """Return whether a document has a compartment whose size is not 1."""
    import libsbml

    document = libsbml.readSBMLFromString(text)  # which owns its model
    compartments = each(document.getModel(), "Compartment")
    return any(compartment.isSetSize() and compartment.getSize() != 1.0 for compartment in compartments)


@one_at_a_time
def _changed(text: str, change: Callable[[Element], None]) -> str | None:
    import libsbml

    document = libsbml.readSBMLFromString(text)
    change(document.getModel())
    text_changed = str(libsbml.writeSBMLToString(document))
    before = str(libsbml.writeSBMLToString(libsbml.readSBMLFromString(text)))
    return None if text_changed == before else text_changed


def _boundary(model: Element) -> None:
    for species in each(model, "Species"):
        if species.getBoundaryCondition():
            species.setBoundaryCondition(False)
            species.setConstant(False)


def _size(model: Element) -> None:
    for compartment in each(model, "Compartment"):
        compartment.setSize(1.0)


def _concentration(model: Element) -> None:
    for species in each(model, "Species"):
        if species.isSetInitialConcentration():
            species.setInitialAmount(species.getInitialConcentration())


def _units(only: bool) -> Callable[[Element], None]:
    def change(model: Element) -> None:
        for species in each(model, "Species"):
            species.setHasOnlySubstanceUnits(only)

    return change


def _numbers(model: Element) -> None:
    _concentration(model)
    _units(only=True)(model)


def _local(model: Element) -> None:
    taken = {parameter.getId() for parameter in each(model, "Parameter")}
    for law in (reaction.getKineticLaw() for reaction in each(model, "Reaction")):
        kind = "LocalParameter" if model.getLevel() > 2 else "Parameter"
        for name in [identifier.getId() for identifier in each(law, kind) if identifier.getId() in taken]:
            getattr(law, f"remove{kind}")(name)


def _rule(model: Element) -> None:
    for rule in list(each(model, "Rule")):
        if rule.isAssignment():
            assignment = model.createInitialAssignment()
            assignment.setSymbol(rule.getVariable())
            assignment.setMath(rule.getMath())
            model.removeRuleByVariable(rule.getVariable())


def _initial(model: Element) -> None:
    for name in [assignment.getSymbol() for assignment in each(model, "InitialAssignment")]:
        species, parameter = model.getSpecies(name), model.getParameter(name)
        if species is not None and not (species.isSetInitialAmount() or species.isSetInitialConcentration()):
            species.setInitialAmount(0.0)  # what readers take for a number that is missing
        if parameter is not None and not parameter.isSetValue():
            parameter.setValue(0.0)
    while model.getNumInitialAssignments():
        model.removeInitialAssignment(0)


def _events(model: Element) -> None:
    while model.getNumEvents():
        model.removeEvent(0)


def _references(model: Element) -> Iterator[Element]:
    for reaction in each(model, "Reaction"):
        for side in ("Reactant", "Product"):
            yield from each(reaction, side)


def _stoichiometry(model: Element) -> None:
    for reference in _references(model):
        reference.setStoichiometry(1.0)


def _factor(model: Element) -> None:
    for element in (model, *each(model, "Species")):
        if model.getLevel() > 2:
            element.unsetConversionFactor()


def _reversible(model: Element) -> None:
    import libsbml

    for reaction in each(model, "Reaction"):
        law = reaction.getKineticLaw()
        if reaction.getReversible() and law is not None and law.getMath().getType() == libsbml.AST_MINUS:
            net = libsbml.formulaToL3String(law.getMath())
            law.setMath(libsbml.parseL3Formula(f"piecewise({net}, ({net}) > 0, 0)"))
            reaction.setReversible(False)


def _twice(*sides: str) -> Callable[[Element], None]:
    def change(model: Element) -> None:
        for reaction in each(model, "Reaction"):
            for side in sides:
                names = [reference.getSpecies() for reference in each(reaction, side)]
                for k in reversed(range(len(names))):
                    if names[k] in names[k + 1 :]:
                        getattr(reaction, f"remove{side}")(k)

    return change


def _where_there_are_enough(model: Element) -> None:
    """Make laws 0 where there are fewer molecules than react."""
    import libsbml

    for reaction in each(model, "Reaction"):
        needed: Counter[str] = Counter()
        for reference in each(reaction, "Reactant"):
            needed[reference.getSpecies()] += reference.getStoichiometry()
        for name, number in needed.items():
            species, law = model.getSpecies(name), reaction.getKineticLaw()
            if species.getBoundaryCondition() or species.getConstant() or law is None:
                continue
            amount = name if species.getHasOnlySubstanceUnits() else f"{name} * {species.getCompartment()}"
            rate = libsbml.formulaToL3String(law.getMath())
            law.setMath(libsbml.parseL3Formula(f"piecewise({rate}, {amount} > {number - 0.5}, 0)"))


MISREADINGS: dict[str, tuple[str, Callable[[Element], None]]] = {
    "boundary": ("boundary or constant species are changed by reactions", _boundary),
    "size": ("the sizes of compartments are taken for 1", _size),
    "concentration": ("initial concentrations are taken for amounts", _concentration),
    "substance": ("species with only substance units are taken for concentrations in formulas", _units(only=False)),
    "amount": ("species are taken for amounts in formulas where they are concentrations", _units(only=True)),
    "numbers": ("initial concentrations, and species in formulas, are both taken for amounts", _numbers),
    "local": ("global parameters take the place of local ones of the same name", _local),
    "rule": ("assignment rules are evaluated once, at the start", _rule),
    "initial": ("initial assignments are passed over", _initial),
    "event": ("events are missing", _events),
    "stoichiometry": ("stoichiometries are taken for 1", _stoichiometry),
    "factor": ("conversion factors are passed over", _factor),
    "reversible": ("a reversible law is taken as one channel, whose rate is not let below zero", _reversible),
    "twice": ("of a species that is listed twice among the reactants, the last one alone counts", _twice("Reactant")),
    "twice-anywhere": (
        "of a species that is listed twice on a side of a reaction, the last one alone counts",
        _twice("Reactant", "Product"),
    ),
}
"""Key, sentence, and what makes the right meaning of a document that which the wrong reader sees."""

OTHERS = {
    "late": "events are executed at the next output time",
    "next-jump": "an event at a known time is executed at the first jump after it",
    "integer": "rates are rounded down to whole numbers",
}
"""Key and sentence of those that no document means."""


def _of_events(model: Model, times: Sequence[float]) -> Iterator[tuple[str, str, Model]]:
    """Yield the networks whose events are executed at the next output time, and at the next jump."""
    late = [_late(event, times) for event in model.events]
    if late != list(model.events):
        yield "late", OTHERS["late"], model.with_events(late)
    waiting = at_next_jump(model)
    if waiting is not None:
        yield "next-jump", OTHERS["next-jump"], waiting


def at_next_jump(model: Model) -> Model | None:
    """Return the network whose event at a known time is executed after the first jump that follows.

    A species of a name of its own is 1 while the event waits: the jumps of then are reactions of their own, which add
    what the event adds.  None unless there is one event, which adds numbers to counts, and one initial state.
    """
    added = _added(model.events[0], model.species) if len(model.events) == 1 and model.has_timed_events else None
    rates = [rate for rate in model.rate_expressions if rate is not None]
    if added is None or len(rates) < model.n_reactions or len(model.initial_states) > 1:
        return None
    flag = "waits"
    while flag in (*model.species, *model.parameters):
        flag += "_"
    waits, reactions = Symbol(flag), []
    for reaction, rate, change in zip(model.reactions, rates, model.change.tolist(), strict=True):
        net = {name: n for name, n in zip(model.species, change, strict=True) if n}
        later = {name: net.get(name, 0) + added.get(name, 0) for name in {**net, **added}} | {flag: -1}
        rest = call("-", Number(1.0), waits)
        reactions.append(Reaction(net, rate=call("*", rest, rate), name=reaction.name))
        reactions.append(Reaction(later, rate=call("*", waits, rate), name=f"{reaction.name}_{flag}"))
    starts = dict(zip(model.species, model.initial_states[0].tolist(), strict=True)) | {flag: 0}
    event = replace(model.events[0], assignments={flag: Number(1.0)}, draws={})
    return Model(species=starts, reactions=reactions, events=[event])


def _added(event: Event, species: Sequence[str]) -> dict[str, int] | None:
    """Return what an event adds to counts; None where it does anything else."""
    added: dict[str, int] = {}
    for name, tree in event.formulas.items():
        is_sum = isinstance(tree, Call) and tree.function == "+" and len(tree.arguments) == 2
        parts = tree.arguments if isinstance(tree, Call) and is_sum else ()
        numbers = [part.value for part in parts if isinstance(part, Number)]
        if name not in species or Symbol(name) not in parts or len(numbers) != 1 or numbers[0] != int(numbers[0]):
            return None
        added[name] = int(numbers[0])
    return None if event.draws else added


def _late(event: Event, times: Sequence[float]) -> Event:
    tree = event.condition
    if not (isinstance(tree, Call) and tree.function in (">=", ">") and len(tree.arguments) == 2):
        return event
    clock, moment = tree.arguments
    if not (isinstance(clock, Time) and isinstance(moment, Number)):
        return event
    later = min((t for t in times if t >= moment.value), default=moment.value)
    return replace(event, trigger=Call(tree.function, (clock, Number(later))))


def _of_numbers(model: Model) -> Iterator[tuple[str, str, Model]]:
    """Yield the network whose rates are rounded down to whole numbers."""
    laws = {k: model.law(k) for k in range(model.n_reactions)}
    if all(isinstance(law, Expression) for law in laws.values()):
        nearly = Number(ABOVE_ROUNDING)
        rounded = {k: call("floor", call("+", law, nearly)) for k, law in laws.items() if isinstance(law, Expression)}
        yield "integer", OTHERS["integer"], model.with_laws(rounded)
