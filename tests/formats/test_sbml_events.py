"""Events of SBML models."""

from __future__ import annotations

import pytest
from written_sbml import GOOD, L2, TIME, apply, event, math, parameter, reaction, reference, rule, sbml, species, term

import fsp
from fsp.errors import ModelError


def test_events_of_level_2(read):
    text = sbml(L2, Events=[event(apply("geq", TIME, 3), {"X": 0}, flags="")], **GOOD)
    (found,) = read(text.replace(' useValuesFromTriggerTime="true"', "")).events
    assert (found.initial_value, found.persistent, found.use_trigger_values) == (True, True, True)
    assert found.priority is None


def test_what_was_assigned_at_the_start_does_not_follow_an_event(read):
    """An initial assignment holds at t = 0 only, an assignment rule always."""
    model = read(
        Species=[species("X", 1)],
        Parameters=[parameter(name, 1, "false") for name in ("k", "once")] + [parameter("always", None, "false")],
        InitialAssignments=[f'<initialAssignment symbol="once">{math(apply("times", 3, "k"))}</initialAssignment>'],
        Rules=[rule("assignmentRule", "always", apply("times", 3, "k"))],
        Reactions=[reaction("a", [], ["X"], "once"), reaction("b", [], ["X"], "always")],
        Events=[event(apply("geq", TIME, 2), {"k": 5})],
    )
    first, second = (phase.model(model.initial_states, model.initial_probabilities) for phase in model.phases(0, 4))
    assert first.propensities([[1]]).ravel().tolist() == [3.0, 3.0]
    assert second.propensities([[1]]).ravel().tolist() == [3.0, 15.0]


def test_a_stoichiometry_that_an_event_changes_is_refused(read):
    with pytest.raises(ModelError, match=r"Stoichiometry of 'X' .* formula of n"):
        read(
            Species=[species("X", 1)],
            Parameters=[parameter("n", 2, "false")],
            Reactions=[reaction("a", [], [reference("X", None, 'id="s"')], 1)],
            InitialAssignments=[f'<initialAssignment symbol="s">{math(term("n"))}</initialAssignment>'],
            Events=[event(apply("geq", TIME, 2), {"n": 3})],
        )


def test_an_event_sets_a_reservoir_whose_amount_is_not_whole(tmp_path):
    """A fixed concentration of 0.3 in a size of 2 and then 0.7: X is a Poisson number of mean 2 (0.3 + 0.7)."""
    file = tmp_path / "model.ant"
    file.write_text(
        "compartment c = 2; species X in c, $B in c; J: B => X; c*B; X = 0; B = 0.3; E: at (time >= 1): B = 0.7;"
    )
    model = fsp.load(file)
    assert model.parameters["B"] == pytest.approx(0.6)
    assert fsp.load(file, c=4).parameters["B"] == pytest.approx(1.2)
    dist = fsp.transient(model, times=[2.0], tol=1e-9)[-1]
    assert dist.mean()["X"] == pytest.approx(2.0, abs=1e-6)
