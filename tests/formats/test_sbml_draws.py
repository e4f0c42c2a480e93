"""Random numbers of the package `distrib`, in events and initial assignments."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from written_sbml import GOOD, L3, TIME, apply, assign, event, parameter, reaction, sbml, species

import fsp
from fsp.errors import ModelError

DISTRIB = f'{L3} xmlns:distrib="http://www.sbml.org/sbml/level3/version1/distrib/version1" distrib:required="true"'


def random(name, *arguments):
    head = f'<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/distrib/{name}">{name}</csymbol>'
    return apply(head, *arguments)


def test_partitioning_at_division_is_read(read):
    division = event(apply("geq", TIME, 2), {"X": random("binomial", "X", "half")})
    model = read(sbml(DISTRIB, **{**GOOD, "Parameters": [parameter("half", 0.5)], "Events": [division]}))
    firing = next(iter(model.phases(0.0, 4.0))).firing
    states, p, lost = firing.mapped(np.array([[4], [1]]), np.array([0.5, 0.5]))
    exact = 0.5 * stats.binom.pmf(np.arange(5), 4, 0.5) + 0.5 * stats.binom.pmf(np.arange(5), 1, 0.5)
    assert states.ravel().tolist() == [0, 1, 2, 3, 4]
    assert np.abs(p - exact).sum() <= lost < 1e-13


def test_division_in_antimony_has_its_closed_form(read):
    text = """
    model cell()
      compartment c = 1; substanceOnly species X in c;
      R: => X; k; X = 4; k = 3;
      D: at (time >= 1): X = binomial(X, 0.25);
    end
    """
    dist = fsp.transient(read(text, name="cell.ant"), [1.0], 1e-8)[-1]
    exact = np.convolve(stats.binom.pmf(np.arange(5), 4, 0.25), stats.poisson.pmf(np.arange(40), 0.75))
    found = np.zeros(len(exact) + 100)
    found[: len(exact)] -= exact
    np.add.at(found, dist.states[:, 0], dist.probabilities)
    assert np.abs(found).sum() <= dist.error.total + 1e-12


def test_a_random_start_is_read(read):
    model = read(sbml(DISTRIB, **{**GOOD, "InitialAssignments": [assign("X", random("poisson", 3))]}))
    n = len(model.initial_states)
    assert model.initial_states.ravel().tolist() == list(range(n))
    assert model.initial_probabilities == pytest.approx(stats.poisson.pmf(np.arange(n), 3), rel=1e-11)
    again = read(sbml(DISTRIB, **{**GOOD, "InitialAssignments": [assign("X", random("poisson", 3))]}), loading={"X": 2})
    assert again.initial_states.tolist() == [[2]]


@pytest.mark.parametrize(
    ("lists", "why"),
    [
        ({"InitialAssignments": [assign("X", random("normal", 3, 1))]}, r"random number \(normal\)"),
        ({"Reactions": [reaction("r", ["X"], [], random("uniform", 0, 1))]}, r"random number \(uniform\)"),
        ({"Events": [event(apply("gt", "X", 3), {"X": random("binomial", "X", 0.5)})]}, "known time"),
        ({"Species": [species("X", 1)], "InitialAssignments": [assign("X", random("poisson", -1))]}, "mean -1"),
    ],
)
def test_other_random_numbers_are_refused(read, lists, why):
    with pytest.raises(ModelError, match=why):
        read(sbml(DISTRIB, **{**GOOD, **lists}))


def test_random_numbers_are_of_molecules(read):
    text = sbml(DISTRIB, **{**GOOD, "InitialAssignments": [assign("X", random("poisson", 3))]})
    with pytest.raises(ModelError, match="as-is"):
        read(text, loading={"counts": "omega=10"})
