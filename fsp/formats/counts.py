"""Concentrations to counts: N = s a molecules for an amount a of the file, propensities s law(N/s).

A kinetic law is extent per time in the units of the file.  With s molecules in a unit of amount, a reaction that
takes place v times per time in those units is s v reactions of molecules: the law keeps its value at the same
concentrations.  Where a law is mass action, κ ∏ a_i^(n_i) of n_i reactants each, the propensity is κ s^(1 − Σ n_i)
∏ N_i (N_i − 1) … (N_i − n_i + 1), of which the law is the limit of many molecules.

References
----------
T. G. Kurtz, J. Chem. Phys. 57 (1972) 2976, doi:10.1063/1.1678692.
D. T. Gillespie, J. Comput. Phys. 22 (1976) 403, doi:10.1016/0021-9991(76)90041-3.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from fsp.checks import check_choice
from fsp.errors import ArgumentError, ModelError
from fsp.formats.counted_events import Converted, counted_event
from fsp.formats.powers import has_changing_power, kept_powers, scaled, terms_of, total
from fsp.formats.units import AVOGADRO, Units
from fsp.model.conversion import Conversion
from fsp.model.definition import Definition, InitialLaw, Law, resolve
from fsp.model.draws import Draw
from fsp.model.initial import held_at_start, initial_amounts, reached, restarted
from fsp.model.kept_values import KeptValue
from fsp.model.reaction import Reaction
from fsp.model.tree import ONE, Expression, Number, Symbol, call, substitute, symbols
from fsp.model.values import LARGEST_COUNT, nearest_whole

ROUNDINGS = ("nearest", "mean", "poisson")
COUNT_FORMS = "auto, as-is, volume=1fL or omega=100"
MOST_START_STATES = 100_000  # that a start is spread over: more are no start but a space

# of the SI
_SI_PREFIX = {"": 1.0, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15, "a": 1e-18}
_SHOWN_PREFIX = {prefix: factor for prefix, factor in _SI_PREFIX.items() if prefix != "µ"}
_VOLUME = re.compile(r"([0-9.]+(?:e[-+]?[0-9]+)?)\s*(?:([munpfaµ]?)l|([munµ]?)m(?:\^?3|³))", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CountsOption:
    """How counts were asked for: `kind` is auto, as-is, omega (molecules in a unit) or volume (litres)."""

    kind: str
    value: float = math.nan
    text: str = ""


def read_counts(text: object) -> CountsOption:
    """Read what `counts` says."""
    if isinstance(text, str):
        kind, _, value = (part.strip() for part in text.partition("="))
        if kind in ("auto", "as-is") and not value:
            return CountsOption(kind, text=text)
        number = _positive(value) if kind == "omega" else _litres(value) if kind == "volume" else None
        if number is not None:
            return CountsOption(kind, number, value)
        if kind == "volume" and _positive(value) is not None:
            raise ArgumentError(
                f"`counts` must give a volume with its unit, but is {text!r}; {_with_unit(float(value))}."
            )
    raise ArgumentError(f"`counts` must be {COUNT_FORMS}, but is {text!r}.")


def _positive(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0.0 < value < math.inf else None


def _litres(text: str) -> float | None:
    match = _VOLUME.fullmatch(text)
    number = None if match is None else _positive(match.group(1))
    if match is None or number is None:
        return None
    litre, metre = match.group(2), match.group(3)
    return number * (_SI_PREFIX[litre.lower()] if metre is None else 1e3 * _SI_PREFIX[metre.lower()] ** 3)


def _with_unit(number: float) -> str:
    """Return how a number is written as a volume."""
    prefix, factor = next((item for item in _SHOWN_PREFIX.items() if number >= item[1]), ("a", _SI_PREFIX["a"]))
    return f"of litres it is volume={number / factor:.15g}{prefix}L, of cubic metres volume={number:.15g}m^3"


def in_molecules(
    definition: Definition, units: Units, asked: CountsOption, rounding: str, starts: Mapping[str, float | str]
) -> Definition:
    """Return a definition whose species are counts, with what was done in its conversion.

    `starts`: initial counts that take the place of the file's, by name.
    """
    check_choice("rounding", rounding, ROUNDINGS)
    plain = restarted(definition, starts)
    amounts = initial_amounts(plain)
    known = np.array([amount for amount in amounts.values() if not np.isnan(amount)])  # others are refused as formulas
    are_whole = not np.isnan(nearest_whole(known)).any()
    if asked.kind == "as-is" or (asked.kind == "auto" and are_whole):
        return _as_it_stands(plain, units, "" if asked.kind == "as-is" else "all initial amounts are whole numbers")
    if draws := plain.initial.draws:
        raise ModelError(f"Initial count of '{min(draws)}' must be of molecules to be drawn; use counts='as-is'.")
    scale, why, assumptions = _scale(amounts, units, asked)
    value = substitute(scale, resolve(definition.parameters))
    if not isinstance(value, Number):
        raise ModelError(
            "`counts` must make one number of molecules of an amount, but the compartment has no one size; use "
            "counts='omega=...' (--counts omega=100), the molecules in an amount of 1."
        )
    _refuse_changing_size(definition, scale, value.value)
    step = f"an amount of 1 is {value.value:.6g} molecules ({why})"
    conversion = definition.conversion.and_then(step).assuming(*assumptions)
    counted = restarted(_scaled(definition, scale, conversion), starts)
    return _started(counted, rounding, asked)


def _refuse_changing_size(definition: Definition, scale: Expression, molecules: float) -> None:
    """Refuse to count by the size of a compartment that an event changes: the molecules in an amount stay."""
    known = reached(scale, definition.species, definition.parameters).keys()
    for event in definition.events:
        if changed := sorted(known & event.assignments.keys()):
            raise ModelError(
                f"`counts` must make one number of molecules of an amount, but event '{event.name}' changes "
                f"'{changed[0]}', by which the volume counts them; use counts='omega={molecules:.9g}' (--counts "
                f"omega={molecules:.9g}), the molecules in an amount of 1 at the start."
            )


def counts_in_file(definition: Definition, units: Units, converted: CountsOption | None) -> dict[str, Expression]:
    """Return the counts of species whose symbols stand for something else in a file, as formulas of its symbols.

    `converted`: how amounts were converted; None where they are counts.
    """
    scale = ONE if converted is None else _scale({}, units, converted)[0]
    counts = {
        name: call("*", Symbol(name), *map(Symbol, filter(None, [units.concentrations.get(name)])), scale)
        for name in definition.species
    }
    return {name: tree for name, tree in counts.items() if tree != Symbol(name)}


def _as_it_stands(definition: Definition, units: Units, why: str) -> Definition:
    said = [f"species are in {units.name} by the file, and are counted in molecules here" + (f": {why}" if why else "")]
    said += ["counts='volume=...' (--counts volume=1fL) or 'omega=...' converts"]
    if units.mixed:
        said = ["species are in different units of substance by the file, and all are counted in molecules here"]
    assumptions = ("; ".join(said),) if units.are_moles or units.mixed else ()
    return replace(definition, conversion=definition.conversion.assuming(*assumptions))


def _scale(amounts: Mapping[str, float], units: Units, asked: CountsOption) -> tuple[Expression, str, tuple[str, ...]]:
    """Return the molecules in a unit of amount, a formula of the sizes of compartments, why, and what was assumed."""
    if units.mixed:
        raise ModelError(
            "Species must be in one unit of substance to be converted, but are in several; write the file in one, or "
            "use counts='as-is' (--counts as-is) where its numbers are molecules."
        )
    if asked.kind == "omega":
        return Number(asked.value), f"omega={asked.text}", ()
    if asked.kind == "volume":
        return _in_volume(units, asked)
    if not units.are_moles:
        _refuse_parts(amounts, units)
    return Number(float(units.molecules or 1.0)), f"the file's unit of substance is {units.name}", ()


def _in_volume(units: Units, asked: CountsOption) -> tuple[Expression, str, tuple[str, ...]]:
    assumed = []
    if units.molecules is None:
        assumed.append("the file declares no unit of substance; amounts were taken for moles")
    elif not units.are_moles:
        raise ModelError(
            "Species must be in moles to be counted in a volume, but the file counts items; use counts='omega=...', "
            "the molecules in one unit."
        )
    if units.litres is None:
        assumed.append("the file declares no unit of volume; sizes of compartments were taken for litres")
    first, *others = units.compartments
    if others:
        assumed.append(f"compartment '{first}' gets the volume, and the others keep their ratio to it")
    molecules = (units.molecules or AVOGADRO) * asked.value / (units.litres or 1.0)
    return call("/", Number(molecules), Symbol(first)), f"volume={asked.text} for compartment '{first}'", tuple(assumed)


def _refuse_parts(amounts: Mapping[str, float], units: Units) -> None:
    name, value = next((n, a) for n, a in amounts.items() if np.isnan(nearest_whole(np.array(a))))
    way = (
        "Where amounts are concentrations, say how many molecules a unit is: counts='omega=100' (--counts omega=100), "
        "or counts='volume=1fL' for moles per litre in such a cell."
    )
    if units.molecules is not None:
        way = (
            f"The file's unit of substance is {units.name}: counts='omega=1' (--counts omega=1) takes the nearest "
            f"number, and with rounding='mean' or 'poisson' (--rounding mean) the mean stays; where amounts are "
            f"concentrations, omega=100 is the number of molecules in a unit."
        )
    raise ModelError(
        f"Initial count of '{name}' must be a whole number of molecules, 0 or more, but is {value:.12g}; a master "
        f"equation counts molecules. {way}"
    )


def _scaled(definition: Definition, scale: Expression, conversion: Conversion) -> Definition:
    """Return a definition in which species are s times their amounts."""
    names = definition.species
    values = resolve(definition.parameters)
    converted = Converted(tuple(names), scale, values)
    amounts = converted.amounts

    powers: list[KeptValue] = []

    def law(given: Law, reaction: Reaction) -> Law:
        if not isinstance(given, Expression):
            return given
        terms = None if has_changing_power(given, definition) else terms_of(given, names, values)
        known = [scaled(term, scale) for term in terms or ()]
        if not known or None in known:
            return call("*", substitute(given, amounts), scale)
        powers.extend(kept_powers(given, str(reaction.name), names, values))
        return total([tree for tree in known if tree is not None])

    events = [counted_event(event, converted) for event in definition.events]
    said = tuple(text for _, texts in events for text in texts)
    laws = tuple(map(law, definition.laws, definition.reactions))
    return replace(
        definition,
        laws=laws,
        species={name: call("*", substitute(tree, amounts), scale) for name, tree in names.items()},
        parameters={name: substitute(tree, amounts) for name, tree in definition.parameters.items()},
        at_start={name: substitute(tree, amounts) for name, tree in definition.at_start.items()},
        events=tuple(event for event, _ in events),
        conversion=conversion.assuming(*said).keeping(*powers),
    )


def _started(definition: Definition, rounding: str, asked: CountsOption) -> Definition:
    """Return a definition that starts in whole counts, with what was rounded."""
    means = initial_amounts(definition)
    name, largest = max(means.items(), key=lambda item: item[1])
    if not largest <= LARGEST_COUNT:
        way = "counts='volume=1fL' (--counts volume=1fL), or as large as the cell is"
        raise ModelError(
            f"Initial count of '{name}' must be at most {LARGEST_COUNT:,}, but {largest:.6g} molecules are in its "
            f"compartment; give {way}{', a smaller one' if asked.kind != 'auto' else ''}."
        )
    parts = {name: m for name, m in means.items() if np.isnan(nearest_whole(np.array(m)))}
    if rounding == "nearest" or not parts:
        return _nearest(definition, means, parts)
    draws = {name: Draw("poisson", (Number(m),)) for name, m in means.items() if m > 0.0 and rounding == "poisson"}
    laws = {name: _neighbours(m) if name in parts else [(round(m), 1.0)] for name, m in means.items()}
    sizes = [len(draws[name].law_of_numbers.counts) if name in draws else len(law) for name, law in laws.items()]
    if math.prod(sizes) > MOST_START_STATES:
        raise ModelError(
            f"The start must be spread over at most {MOST_START_STATES:,} states, but rounding='{rounding}' spreads it "
            f"over {math.prod(sizes):,}; use rounding='nearest'."
        )
    how = "in a Poisson law" if draws else "over the two whole numbers beside it"
    steps = [f"{name} starts at {means[name]:.6g} on average, {how}" for name in draws or parts]
    conversion = definition.conversion.and_then(*steps)
    named = ", ".join(definition.at_start)
    of_mean = (f"values that initial assignments make of counts are those at the mean of the start: {named}",)
    conversion = conversion.assuming(*(of_mean if named else ()))
    if draws:
        species = {name: Number(m) for name, m in means.items()}
        return replace(definition, species=species, initial=InitialLaw(draws=draws), conversion=conversion)
    rows = itertools.product(*laws.values())
    states = {tuple(count for count, _ in row): math.prod(p for _, p in row) for row in rows}
    return replace(definition, initial=InitialLaw(states), conversion=conversion)


def _nearest(definition: Definition, means: Mapping[str, float], parts: Mapping[str, float]) -> Definition:
    """Return a definition whose counts that have `parts` are rounded; what is a formula of others follows these."""
    species = {
        name: call("floor", call("+", tree, Number(0.5))) if name in parts or (parts and symbols(tree)) else tree
        for name, tree in definition.species.items()
    }
    rounded = replace(definition, species=species)
    counts = {name: round(count) for name, count in initial_amounts(rounded).items()}
    steps = []
    for name, mean in means.items():
        if counts[name] == nearest_whole(np.array(mean)):
            continue
        why = "" if counts[name] == math.floor(mean + 0.5) else ", which follows from other rounded counts"
        steps.append(f"{name} starts at {mean:.6g}, rounded to {counts[name]}{why}")
    lost = ", ".join(f"{name} ({means[name]:.3g})" for name in parts if counts[name] == 0)
    way = "rounding='mean' or 'poisson' (--rounding poisson) keeps means"
    said = (f"{lost} would start with less than half a molecule, rounded to none; {way}",) if lost else ()
    conversion = definition.conversion.and_then(*steps)
    conversion = conversion.assuming(*said)
    return held_at_start(replace(rounded, conversion=conversion))


def _neighbours(mean: float) -> list[tuple[int, float]]:
    """Return the two counts beside a mean, with the probabilities that keep it."""
    below = math.floor(mean)
    return [(below, below + 1 - mean), (below + 1, mean - below)]
