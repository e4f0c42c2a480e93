"""Documents drawn at random: fsp reads what a direct reading of the specification does."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from direct_sbml import Document
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from written_sbml import apply, assign, compartment, function, local, parameter, reaction, reference, rule, sbml, unit
from written_sbml import species as element

import fsp
from fsp.errors import ModelWarning

SIZES = [0.1, 0.5, 1.0, 2.0, 3.0, 1e-3]
UNITS = [unit("thing", "item"), unit("part", "mole", -9), unit("space", "litre", -15), unit("minute", "second", 0, 60)]
FEW = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
positive = st.floats(0.1, 5.0).map(lambda x: round(x, 3))


def formulas(names):
    """Formulas of names, never negative where those are not."""
    leaves = st.sampled_from(names) | positive
    pair = {"plus", "times", "min", "max", "saturated"}

    def grown(inner):
        two = st.builds(apply, st.sampled_from(sorted(pair - {"saturated"})), inner, inner)
        called = st.builds(lambda a, b: apply("<ci>saturated</ci>", a, b), inner, inner)
        ratio = st.builds(lambda a, b: apply("divide", a, apply("plus", 1, b)), inner, inner)
        square = st.builds(lambda a: apply("power", a, 2), inner)
        either = st.builds(cases, inner, inner, inner)
        return two | called | ratio | square | either

    return st.recursive(leaves, grown, max_leaves=4)


def cases(a, b, c):
    inside = "".join(map(str, (apply("plus", a, 0), apply("lt", a, b))))
    return f"<piecewise><piece>{inside}</piece><otherwise>{apply('plus', c, 0)}</otherwise></piecewise>"


class Draft:
    """A document in the making, with what the laws of later elements may use."""

    def __init__(self, draw):
        self.draw = draw
        self.species, self.free = {}, []
        self.lists = {"FunctionDefinitions": [function("saturated", "xy", apply("divide", "x", apply("plus", 2, "y")))]}
        self.attributes = draw(
            st.sampled_from(["", 'substanceUnits="thing"', 'substanceUnits="part" volumeUnits="space"'])
        )
        if self.attributes:
            self.lists["UnitDefinitions"] = UNITS

    def vessels(self):
        draw = self.draw
        sizes = {"cell": draw(st.sampled_from(SIZES)), "medium": draw(st.sampled_from(SIZES))}
        self.lists["Compartments"] = [compartment(name, size) for name, size in sizes.items()]
        self.lists["Parameters"] = [parameter(name, draw(positive)) for name in ("k", "g", "start")]
        self.lists["Parameters"] += [parameter("twice", 2), parameter("once", 1), parameter("p", None, "false")]
        self.lists["InitialAssignments"], self.lists["Rules"] = [], []
        if draw(st.booleans()):
            self.lists["InitialAssignments"].append(assign("medium", apply("times", "k", draw(positive))))
        factor = draw(st.sampled_from(["", "once", "twice"]))
        self.factor = factor
        self.attributes += f' conversionFactor="{factor}"' if factor else ""
        return sizes

    def add_species(self, sizes):
        draw, lists = self.draw, self.lists
        lists["Species"] = []
        for name in ("A", "B", "C", "D"):
            home = draw(st.sampled_from(sorted(sizes)))
            only, boundary, constant = draw(st.booleans()), draw(st.integers(0, 2)) == 0, draw(st.integers(0, 3)) == 0
            count = draw(st.integers(0, 9))
            own = draw(st.sampled_from(["", "once", "twice"]))
            how = draw(st.sampled_from(["amount", "concentration", "assignment"]))
            assigned = [name for name in ("medium",) if len(lists["InitialAssignments"]) and home == name]
            start, kind = count, "initialAmount"
            if how == "concentration" and not assigned:
                start, kind = count / sizes[home], "initialConcentration"
            if how == "assignment":
                value = apply("plus", count, 0)
                lists["InitialAssignments"].append(assign(name, value if only else apply("divide", value, home)))
            self.species[name] = (home, only, {"once": 1, "twice": 2, "": 1}[own or self.factor])
            if not constant or boundary:
                self.free.append((name, boundary))
            words = {"only": only, "boundary": boundary, "constant": constant}
            words = {key: str(value).lower() for key, value in words.items()}
            extra = f'conversionFactor="{own}"' if own else ""
            lists["Species"].append(element(name, start, kind=kind, home=home, extra=extra, **words))

    def add_rules(self):
        draw, names = self.draw, ["A", "B", "C", "D", "k", "g", "cell", "medium"]
        home, only = draw(st.sampled_from(["cell", "medium"])), draw(st.booleans())
        words = {"only": str(only).lower(), "boundary": str(draw(st.booleans())).lower(), "home": home}
        self.lists["Species"].append(element("R", None, **words))
        self.lists["Rules"] = [
            rule("assignmentRule", "p", draw(formulas(names))),
            rule("assignmentRule", "R", draw(formulas([*names, "p"]))),
        ]
        self.lists["InitialAssignments"].append(assign("start", draw(formulas([*names, "p", "R"]))))
        self.names = [*names, "p", "R", "start"]

    def guard(self, name, consumed):
        """Return a factor that is positive where there are enough molecules, and else zero."""
        home, only, _ = self.species[name]
        amount = name if only else apply("times", name, home)
        tuples = [amount, *[apply("max", 0, apply("minus", amount, i)) for i in range(1, consumed)]]
        return apply("times", *tuples) if len(tuples) > 1 else amount

    def add_reactions(self):
        draw, names = self.draw, list(self.names)
        self.lists["Reactions"] = []
        for k in range(draw(st.integers(1, 3))):
            sides = (
                [draw(st.dictionaries(st.sampled_from(self.free), st.integers(1, 2), max_size=2)) for _ in "RP"]
                if self.free
                else [{}, {}]
            )
            guards = [self.guard(name, n * self.species[name][2]) for (name, _), n in sides[0].items()]
            hidden = [name for name in names if name not in {*self.species, "cell", "medium"}]
            hidden += [name for name in self.species if name not in {s for side in sides for s, _ in side}]
            formula = draw(formulas(names))
            hidden = [name for name in hidden if name == formula or f"<ci>{name}</ci>" in str(formula)] or ["k"]
            chosen = draw(st.lists(st.sampled_from(hidden), max_size=2, unique=True))
            shadows = {name: draw(positive) for name in chosen}
            law = apply("times", formula, *guards) if guards else apply("plus", formula, 0)
            tags = [f'id="n{k}{s}{i}"' for s in "RP" for i in range(2)]
            lists = [
                [reference(name, n, tags[2 * s + i]) for i, ((name, _), n) in enumerate(sides[s].items())]
                for s in (0, 1)
            ]
            self.lists["Reactions"].append(reaction(f"J{k}", *lists, law, local=local(**shadows)))
            names.append(f"J{k}")
            names += [f"n{k}{'RP'[s]}{i}" for s in (0, 1) for i in range(len(sides[s]))]


@st.composite
def documents(draw):
    draft = Draft(draw)
    draft.add_species(draft.vessels())
    draft.add_rules()
    draft.add_reactions()
    return sbml(attributes=draft.attributes, **draft.lists)


def loaded(folder, text, **asked):
    file = folder / "model.xml"
    file.write_text(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelWarning)
        return fsp.load(file, **asked)


def random_states(model, seed, scale=1):
    return np.random.default_rng(seed).integers(0, 12 * scale, (5, len(model.species)))


@FEW
@given(documents(), st.integers(0, 1000))
def test_counts_laws_and_changes_are_those_of_a_direct_reading(tmp_path, text, seed):
    model, direct = loaded(tmp_path, text, counts="as-is"), Document(text)
    start = direct.start()
    assert model.initial_states.tolist() == [[round(start[name]) for name in model.species]]
    changes = [[change[name] for name in model.species] for change in direct.changes()]
    assert model.change.tolist() == changes
    states = random_states(model, seed)
    expected = [direct.rates({**start, **dict(zip(model.species, state, strict=True))}) for state in states.tolist()]
    np.testing.assert_allclose(model.propensities(states).T, expected, rtol=1e-12, atol=1e-300)


@st.composite
def concentrations(draw):
    """Draw a document in moles a litre, laws of mass action and of saturation, and how many reactants a law counts."""
    size = draw(st.sampled_from(SIZES))
    names = ["A", "B", "C"]
    kinds = {"kind": "initialConcentration", "only": "false"}
    lists = {
        "UnitDefinitions": UNITS,
        "Compartments": [compartment(size=size)],
        "Species": [element(name, draw(positive), **kinds) for name in names],
        "Parameters": [parameter("k", draw(positive)), parameter("K", draw(positive))],
        "Reactions": [],
    }
    for i in range(draw(st.integers(1, 3))):
        used = draw(st.dictionaries(st.sampled_from(names), st.integers(1, 2), min_size=1, max_size=2))
        powers = [apply("power", name, n) if n > 1 else name for name, n in used.items()]
        inhibited = [name for name in names if name not in used and max(used.values()) == 1]
        factor = apply("divide", "k", apply("plus", "K", draw(st.sampled_from(inhibited)))) if inhibited else "k"
        law = apply("times", "cell", factor, *powers)
        lists["Reactions"].append(reaction(f"J{i}", [reference(s, n) for s, n in used.items()], ["C"], law))
    return sbml(attributes='substanceUnits="part" volumeUnits="space"', **lists)


@FEW
@given(concentrations(), st.sampled_from([7.0, 100.0, 2500.0]), st.integers(0, 1000))
def test_converted_laws_are_s_laws_of_amounts_with_falling_factors(tmp_path, text, omega, seed):
    """Without equal reactants a propensity is s law(N/s); of n equal ones N^n becomes N (N - 1)."""
    model, direct = loaded(tmp_path, text, counts=f"omega={omega}"), Document(text)
    start = direct.start()
    expected = [np.floor(omega * start[name] + 0.5) for name in model.species]
    assert model.initial_states.tolist() == [expected]
    states = random_states(model, seed, 5)
    for state, own in zip(states.tolist(), model.propensities(states).T, strict=True):
        amounts = {name: count / omega for name, count in zip(model.species, state, strict=True)}
        for name, value in zip(direct.reactions, own, strict=True):
            pairs = [state[model.species.index(s)] for s, n in direct.consumed(name).items() if n == 2.0]
            falling = np.prod([(n - 1) / n if n else 0.0 for n in pairs])
            assert value == pytest.approx(omega * direct.rate(name, amounts) * falling, rel=1e-12, abs=0.0)
