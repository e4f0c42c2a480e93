"""Networks whose stationary law is known in closed form, and how far an answer is from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import exact
import numpy as np
from written_networks import network

import fsp


@dataclass(frozen=True)
class Case:
    """A model and its stationary law at states (n, d)."""

    model: fsp.Model
    law: object


def immigration_death(birth=12.0, death=0.8, start=0):
    model = network({"X": start}, ("0 -> X", "mass_action", birth), ("X -> 0", "mass_action", death))
    return Case(model, lambda x: exact.poisson(x[:, 0], birth / death))


def isomerization():
    model = network({"A": 30, "B": 0}, ("A -> B", "mass_action", 1.3), ("B -> A", "mass_action", 0.4))
    return Case(model, lambda x: exact.binomial(x[:, 1], 30, 1.3 / 1.7) * (x.sum(axis=1) == 30))


def immigration_birth_death():
    """Immigrants have geometric families: negative binomial."""
    model = network(
        {"X": 0}, ("0 -> X", "mass_action", 2.0), ("X -> 2 X", "mass_action", 0.6), ("X -> 0", "mass_action", 1.0)
    )
    return Case(model, lambda x: exact.negative_binomial(x[:, 0], 2.0 / 0.6, 0.4, 0.6))


def bursts():
    rates = (2.0, 1.0, 0.5, 0.25, 0.125)
    reactions = [(f"0 -> {k + 1} P", "mass_action", rate) for k, rate in enumerate(rates)]
    model = network({"P": 0}, *reactions, ("P -> 0", "mass_action", 1.0))
    return Case(model, lambda x: exact.finite_bursts(x[:, 0], np.inf, rates=rates, death=1.0))


def telegraph(on, off):
    model = network(
        {"Off": 1, "On": 0, "M": 0},
        ("Off -> On", "mass_action", on),
        ("On -> Off", "mass_action", off),
        ("On -> On + M", "mass_action", 12.0),
        ("M -> 0", "mass_action", 1.0),
    )

    def law(x):
        table = exact.telegraph_stationary(np.arange(x[:, 2].max() + 1), on=on, off=off, make=12.0, death=1.0)
        return table[x[:, 1], x[:, 2]]

    return Case(model, law)


def schloegl():
    constants = {"c1": 0.3, "c2": 0.06, "c3": 8.0, "c4": 2.2}
    model = network(
        {"X": 2},
        ("2 X -> 3 X", "mass_action", constants["c1"]),
        ("3 X -> 2 X", "mass_action", constants["c2"]),
        ("0 -> X", "mass_action", constants["c3"]),
        ("X -> 0", "mass_action", constants["c4"]),
    )
    table = exact.schloegl(400, **constants)
    return Case(model, lambda x: table[x[:, 0]])


def pairs(death):
    reactions = [("0 -> X", "mass_action", 9.0), ("2 X -> 0", "mass_action", 0.5)]
    if death:
        reactions.append(("X -> 0", "mass_action", death))
    return Case(
        network({"X": 0}, *reactions), lambda x: exact.pair_annihilation(x[:, 0], birth=9.0, pair=0.5, death=death)
    )


def feedback():
    constants = {"birth": 40.0, "death": 1.0, "threshold": 10.0, "hill": 2.0}
    model = network({"X": 0}, ("0 -> X", "rate", "40/(1 + (X/10)^2)"), ("X -> 0", "mass_action", 1.0))
    table = exact.feedback(300, **constants)
    return Case(model, lambda x: table[x[:, 0]])


def queue():
    model = network({"X": 0}, ("0 -> X", "mass_action", 2.0), ("X -> 0", "rate", "piecewise(3, X > 0, 0)"))
    return Case(model, lambda x: exact.queue(x[:, 0], np.inf, arrival=2.0, service=3.0))


def look_up(states, probabilities):
    table = dict(zip(map(tuple, states.tolist()), probabilities.tolist(), strict=True))
    return lambda x: np.array([table.get(tuple(row), 0.0) for row in x.tolist()])


def dimerization():
    model = network({"A": 21, "B": 0}, ("2 A -> B", "mass_action", 0.2), ("B -> 2 A", "mass_action", 1.5))
    return Case(model, look_up(*exact.dimerization(total=21, forward=0.2, backward=1.5)))


def binding():
    model = network({"A": 17, "B": 12, "C": 0}, ("A + B -> C", "mass_action", 0.1), ("C -> A + B", "mass_action", 1.5))
    return Case(model, look_up(*exact.binding(total_a=17, total_b=12, forward=0.1, backward=1.5)))


GENE = {"bind": 0.15, "unbind": 0.6, "make_free": 7.0, "make_bound": 1.5, "death": 1.0}


def self_regulating_gene():
    model = network(
        {"G": 1, "GP": 0, "P": 0},
        ("G -> G + P", "mass_action", GENE["make_free"]),
        ("GP -> GP + P", "mass_action", GENE["make_bound"]),
        ("P -> 0", "mass_action", GENE["death"]),
        ("G + P -> GP", "mass_action", GENE["bind"]),
        ("GP -> G + P", "mass_action", GENE["unbind"]),
    )

    def law(x):
        return exact.self_regulating_gene(np.arange(x[:, 2].max() + 1), **GENE)[x[:, 1], x[:, 2]]

    return Case(model, law)


def two_stage_product():
    """0 ⇌ A ⇌ B: a product of Poisson laws at the balanced concentrations."""
    model = network(
        {"A": 0, "B": 0},
        ("0 -> A", "mass_action", 5.0),
        ("A -> 0", "mass_action", 1.0),
        ("A -> B", "mass_action", 2.0),
        ("B -> A", "mass_action", 4.0),
    )
    return Case(model, lambda x: exact.poisson(x[:, 0], 5.0) * exact.poisson(x[:, 1], 2.5))


CASES = {
    "immigration-death": immigration_death(),
    "immigration-death, start far out": immigration_death(start=90),
    "isomerization": isomerization(),
    "immigration-birth-death": immigration_birth_death(),
    "bursts": bursts(),
    "telegraph, slow": telegraph(0.35, 0.45),
    "telegraph, fast": telegraph(8.0, 11.0),
    "Schloegl": schloegl(),
    "pairs": pairs(0.0),
    "pairs and death": pairs(0.7),
    "feedback": feedback(),
    "queue": queue(),
    "dimerization": dimerization(),
    "binding": binding(),
    "self-regulating gene": self_regulating_gene(),
    "two-stage product": two_stage_product(),
}
FINITE = {"isomerization", "dimerization", "binding"}


def true_error(case, d):
    """1-norm error over all states, those that are not stored included."""
    law = case.law(d.states)
    return math.fsum(np.abs(law - d.probabilities)) + max(0.0, 1.0 - math.fsum(law))


ESCAPING = {
    "pure birth": network({"X": 0}, ("0 -> X", "mass_action", 1.0)),
    "queue at its capacity": network(
        {"X": 0}, ("0 -> X", "mass_action", 1.0), ("X -> 0", "rate", "piecewise(1, X > 0, 0)")
    ),
    "overloaded queue": network({"X": 0}, ("0 -> X", "mass_action", 1.2), ("X -> 0", "rate", "piecewise(1, X > 0, 0)")),
    "explosive": network({"X": 1}, ("X -> 2 X", "rate", "0.5*X^2")),
    "supercritical with immigration": network(
        {"X": 1}, ("0 -> X", "mass_action", 1.0), ("X -> 2 X", "mass_action", 2.0), ("X -> 0", "mass_action", 1.0)
    ),
    "product never lost": network(
        {"X": 0, "Y": 0},
        ("0 -> X", "mass_action", 1.0),
        ("X -> 0", "mass_action", 1.0),
        ("X -> X + Y", "mass_action", 1.0),
    ),
    "end of a chain never lost": network(
        {"X": 0, "Y": 0}, ("0 -> X", "mass_action", 1.0), ("X -> Y", "mass_action", 1.0)
    ),
    "made by a cycle, never lost": network(
        {"A": 1, "B": 0, "X": 0}, ("A -> B", "mass_action", 1.0), ("B -> A + X", "mass_action", 1.0)
    ),
    "supercritical with extinction": network(
        {"X": 3}, ("X -> 2 X", "mass_action", 2.0), ("X -> 0", "mass_action", 1.0)
    ),
    "explosive with extinction": network({"X": 1}, ("X -> 2 X", "rate", "0.5*X^2"), ("X -> 0", "mass_action", 1.0)),
}
