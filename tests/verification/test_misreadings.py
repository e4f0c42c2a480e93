"""Wrong readers of SBML are named: what drops one rule is found to be that rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from misread_files import CASES, FILES, TIMES
from wrong_readers import RULES, Reader

import fsp
from fsp.formats.antimony import sbml_of
from fsp.formats.equivalence import difference
from fsp.verification import variants
from fsp.verification.diagnosis import SampleLikelihood
from fsp.verification.hypotheses import families
from fsp.verification.misreadings import MISREADINGS, OTHERS, at_next_jump, misread


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for name, text in FILES.items():
        (folder / f"{name}.xml").write_text(text)
    return {name: folder / f"{name}.xml" for name in FILES}


def test_every_misreading_has_a_wrong_reader_of_its_own():
    assert MISREADINGS.keys() <= CASES.keys() == RULES.keys()


@pytest.mark.parametrize("name", list(FILES))
def test_right_readers_pass(files, name):
    report = fsp.verify(files[name], simulator=Reader(), times=TIMES, runs=150, power=None)
    assert report.passed, str(report)


@pytest.mark.parametrize("dropped", ["boundary", "rule", "late"])
def test_wrong_readers_are_named(files, dropped):
    name, keys = CASES[dropped]
    report = fsp.verify(files[name], simulator=Reader(dropped), times=TIMES, runs=500, power=None)
    assert report.verdict == "fail"
    found = [finding for finding in report.explanations if finding.name != "reader"]
    assert found[0].name in keys, str(report)


@pytest.mark.parametrize("dropped", [*sorted(MISREADINGS), *OTHERS])
def test_a_misread_document_is_what_the_wrong_reader_sees(files, dropped):
    """The network of the hypothesis has the mean change of the wrong reader's runs; both know nothing of each other."""
    name, _ = CASES[dropped]
    model = fsp.load(files[name])
    wrong = {key: found for key, _, found in misread(FILES[name], model, TIMES)}[dropped]
    assert difference(wrong, model, TIMES[-1])
    runs = Reader(dropped).sample(model, TIMES, 300, 2, file=files[name])
    exact = fsp.ssa(wrong, TIMES, 3000, seed=1)
    columns = [wrong.species.index(species) for species in model.species]
    gap = runs.mean(axis=0) - exact.mean(axis=0)[:, columns]
    error = np.sqrt(runs.var(axis=0) / 300 + exact.var(axis=0)[:, columns] / 3000) + 1e-9
    assert np.abs(gap / error).max() < 5


HERE = Path(__file__)  # folder of what a text imports: nothing
CONCENTRATIONS = """model m; compartment c = 2.5; species A in c, B in c; A = 16; B = 4; k = 0.02;
r: 2 A => B; c*k*A*(A - 1/c); s: B => 2 A; 0.5*c*B; end"""


def test_a_law_that_a_wrong_reader_makes_positive_where_molecules_lack_is_tried():
    """Read as amounts, k c A (A - 1/c) is positive for one molecule: the right law is one of concentrations."""
    model = fsp.loads(CONCENTRATIONS)
    wrong = {key: found for key, _, found in misread(sbml_of(CONCENTRATIONS, HERE), model, [1.0])}["amount"]
    states = np.array([[1, 0], [2, 0], [9, 0]])
    np.testing.assert_allclose(wrong.propensities(states)[0], [0.0, 0.05 * 2 * 1.6, 0.05 * 9 * 8.6])


def test_initial_assignments_that_are_passed_over_leave_nothing():
    text = "model m; substanceOnly species X; n = 4; X = 3*n + 1; k = 1.5*n; r: => X; k; s: X => ; X; end"
    found = {key: wrong for key, _, wrong in misread(sbml_of(text, HERE), fsp.loads(text), [1.0])}
    assert found["initial"].initial_states.tolist() == [[0]]
    np.testing.assert_allclose(found["initial"].propensities(np.array([[3]]))[:, 0], [0, 3])


def test_volumes_are_not_blamed_in_files_without():
    one, two = (CONCENTRATIONS.replace("c = 2.5", f"c = {size}") for size in ("1", "2.5"))
    model = fsp.loads(two)
    assert "volume" not in [family.name for family in families(model, sbml_of(one, HERE))]
    assert "volume" in [family.name for family in families(model, sbml_of(two, HERE))]
    assert "volume" in [family.name for family in families(model)]


def test_an_event_waits_for_the_next_jump():
    """One molecule that decays with rate k waits with the event: at t it is alone with probability exp(-k t)."""
    k, t = 0.2, 1.0
    events = [fsp.Event("time >= 0.6", {"waits": "waits + 6"})]
    model = fsp.Model(species={"waits": 1}, reactions=[fsp.Reaction("waits -> 0", rate=f"{k}*waits")], events=events)
    wrong = at_next_jump(model)
    assert wrong.species == ("waits", "waits_")
    waiting = fsp.transient(wrong, [t], 1e-10)[0].probability("waits == 1 && waits_ == 1")
    assert waiting.lower <= np.exp(-k * t) <= waiting.upper
    died = 6 * (np.exp(-k * 0.6) - np.exp(-k * t))  # those that jumped since, and were six then, at first order in k
    mean = fsp.transient(wrong, [t], 1e-10)[0].mean()["waits"] - np.exp(-k * t)
    assert 0.9 * died < mean < died
    for assigned in ({"waits": "2*waits"}, {"waits": "waits + 0.5"}):
        other = fsp.Model(species={"waits": 1}, reactions=model.reactions, events=[fsp.Event("time >= 1", assigned)])
        assert at_next_jump(other) is None


def of_order(order, falling):
    law = "*".join(f"(X - {i})" if falling and i else "X" for i in range(order))
    guard = "" if falling else f"*piecewise(0, X < {order}, 1)"
    reactions = [fsp.Reaction(f"{order} X -> 0", rate=f"0.01*{law}{guard}", name="meet")]
    return fsp.Model(species={"X": 12}, reactions=reactions)


@pytest.mark.parametrize("order", [2, 3])
def test_the_words_fit_the_law_of_the_model(order):
    found = {name: (text, wrong) for name, text, wrong in variants.miscounted(of_order(order, falling=True), (0,))}
    key = {2: "square", 3: "power"}[order]
    assert "falling" not in found
    assert found[key][0] == {2: "has X² in place of X (X - 1)", 3: "has X³ in place of X (X - 1) (X - 2)"}[order]
    states = np.arange(order, 9)[:, None]
    ratio = found[key][1].propensity(0, states) / of_order(order, falling=True).propensity(0, states)
    x = states[:, 0].astype(float)
    falling = np.prod([x - i for i in range(order)], axis=0)
    np.testing.assert_allclose(ratio, x**order / falling)


def test_a_law_of_powers_with_a_guard_is_one_of_powers():
    reactions = [fsp.Reaction("2 X -> 0", rate="piecewise(0.1*X*X, X > 1, 0)", name="meet")]
    model = fsp.Model(species={"X": 12}, reactions=reactions)
    found = {name: text for name, text, _ in variants.miscounted(model, (0,))}
    assert found["falling"] == "has X (X - 1) in place of X²"
    assert "square" not in found


@pytest.mark.parametrize(("order", "factor"), [(2, "(X - 1)/X"), (3, "(X - 1) (X - 2)/X²")])
def test_a_correction_of_a_law_that_counts_tuples_is_one_more_factor(order, factor):
    model = of_order(order, falling=True)
    text, wrong = {name: (text, wrong) for name, text, wrong in variants.miscounted(model, (0,))}["corrected"]
    assert text.startswith(f"has a factor {factor} more")
    states = np.arange(order, 9)[:, None]
    ratio = wrong.propensity(0, states) / model.propensity(0, states)
    x = states[:, 0].astype(float)
    np.testing.assert_allclose(ratio, np.prod([x - i for i in range(1, order)], axis=0) / x ** (order - 1))


def test_a_mistake_in_all_pairs_is_one_hypothesis():
    model = fsp.Model(
        species={"X": 9, "Y": 9},
        reactions=[
            fsp.Reaction("2 X -> 0", mass_action=0.1),
            fsp.Reaction("2 Y -> 0", mass_action=0.2),
            fsp.Reaction("0 -> X", rate=1.0),
        ],
    )
    changed = {name: wrong for name, _, wrong in variants.miscounted(model, (0, 1))}["square"]
    states = np.array([[4, 4]])
    ratios = changed.propensities(states) / model.propensities(states)
    np.testing.assert_allclose(ratios[:, 0], [4 / 3, 4 / 3, 1])


@pytest.mark.parametrize(("factor", "unit"), [(60.0, True), (1 / 60, True), (2.0, True), (0.983, False), (1.3, False)])
def test_a_factor_that_is_no_unit_is_not_called_one(factor, unit):
    model = fsp.Model(
        species={"X": 9}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0), fsp.Reaction("0 -> X", rate=1.0)]
    )
    scale = next(family for family in families(model) if family.name == "time-scale")
    assert ("unit of time" in scale.meaning(factor)) == unit
    assert ("random numbers" in scale.meaning(factor)) == (not unit)


def test_the_runs_that_tell_laws_apart_are_those_of_their_entropy():
    likelihood = SampleLikelihood(())
    one, other = [np.array([[0.5, 0.5]])], [np.array([[0.6, 0.4]])]
    entropy = 0.5 * np.log(0.5 / 0.6) + 0.5 * np.log(0.5 / 0.4)
    assert likelihood.runs_between(one, other, alpha=1e-3) == int(np.ceil(np.log(1e3) / entropy))
    assert likelihood.runs_between(one, one, alpha=1e-3) is None
