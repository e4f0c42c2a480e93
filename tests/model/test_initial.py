"""Where a model starts: values that initial assignments make of counts follow these."""

from __future__ import annotations

import pytest

import fsp
from fsp.errors import ModelError

FILE = """model m
  compartment v = 1; substanceOnly species X in v, Y in v, S in v; const $F in v;
  X = 10; Y = 2*X; S = 0; K = 3*X + q; L = K + 1; M = L/K; q = 0.5; F = X/4;
  J: X => ; k*X*L; turn: Y => S; F*K*Y/(M + Y); k = 1;
end
"""
STARTS = [(10, 20), (5, 10), (0, 0), (7, 14)]


def values_of(model):
    names = ("K", "L", "M", "F")
    return [model.parameters[name] for name in names]


def expected(x, q=0.5):
    k = 3 * x + q
    return pytest.approx([k, k + 1, (k + 1) / k, x / 4], rel=1e-15)


@pytest.mark.parametrize(("x", "y"), [(10, 20), (5, 10), (7, 14), (1, 2)])
def test_assigned_values_follow_a_count(x, y):
    loaded, changed = fsp.loads(FILE, X=x), fsp.loads(FILE).with_initial(X=x)
    for model in (loaded, changed):
        assert model.initial_states.tolist() == [[x, y, 0]]
        assert values_of(model) == expected(x)
    assert loaded.hash == changed.hash
    assert values_of(changed.with_values({"X": 10, "q": 2.0})) == expected(10, q=2.0)


def test_values_that_are_given_are_kept():
    model = fsp.loads(FILE).with_parameters(K=6.0)
    for other in (model, fsp.loads(FILE, K=6.0, X=5), model.with_initial(X=5)):
        assert (other.parameters["K"], other.parameters["L"]) == (6.0, 7.0)


def test_values_at_the_start_are_not_those_of_later_states():
    """A law with the total at the start keeps it while the counts change."""
    head = "model m; compartment v=1; substanceOnly species A in v, B in v;"
    text = f"{head} A=6; B=0; N=A+B; J: A => B; k*(N - B); k=1; end"
    law = fsp.loads(text, A=9)
    assert law.propensities([[9, 0], [2, 7]]).tolist() == [[9.0, 2.0]]
    assert fsp.transient(law, [1.0], 1e-9)[-1].mean()["A"] == pytest.approx(9 * 0.36787944117144233, abs=1e-7)


def test_events_assign_what_took_its_value_from_the_start():
    text = FILE.replace("end\n", "  at (time >= 1): K = 2;\nend\n")
    model = fsp.loads(text, X=4)
    phases = [phase.model(model.initial_states, model.initial_probabilities) for phase in model.phases(0.0, 2.0)]
    assert [phase.parameters["K"] for phase in phases] == [12.5, 2.0]
    assert [phase.with_parameters(k=2.0).parameters["K"] for phase in phases] == [12.5, 2.0]


def test_amounts_that_are_converted_keep_their_formulas():
    text = FILE.replace("substanceOnly ", "").replace("X = 10", "X = 1.26")
    model = fsp.loads(text, counts="omega=10")
    assert model.initial_states.tolist() == [[13, 26, 0]]  # Y is twice what X was rounded to
    assert "Y starts at 25.2, rounded to 26, which follows from other rounded counts" in model.conversion.steps
    assert model.parameters["K"] == pytest.approx(3 * 1.3 + 0.5, rel=1e-14)
    for other in (model.with_initial(X=20), fsp.loads(text, counts="omega=10", X=20)):
        assert other.initial_states.tolist() == [[20, 40, 0]]
        assert other.parameters["K"] == pytest.approx(3 * 2.0 + 0.5, rel=1e-14)
    with pytest.warns(fsp.errors.ModelWarning, match="those at the mean of the start: F, K"):
        fsp.loads(text, counts="omega=10", rounding="mean")


@pytest.mark.parametrize(("given", "named"), [({}, "Y"), ({"Y": 3, "F": 1.0}, "K"), ({"Y": 3, "K": 1.0}, "F")])
def test_a_value_of_a_drawn_count_is_refused(given, named):
    with pytest.raises(
        ModelError, match=f"'{named}' must be a number, but depends on 'X', which is drawn from poisson"
    ):
        fsp.loads(FILE, X="poisson(5)", **given)
    with pytest.raises(ModelError, match=f"--set {named}="):
        fsp.loads(FILE).with_values({"X": "poisson(5)", **given})


def test_a_drawn_count_of_which_all_values_are_given():
    model = fsp.loads(FILE, X="poisson(5)", Y=3, K=1.0, F=2.0)
    assert model.initial_probabilities @ model.initial_states[:, 0] == pytest.approx(5.0, abs=1e-9)
