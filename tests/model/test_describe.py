"""A model as text: what there is much of has a limit, and is counted."""

from __future__ import annotations

import pytest

import fsp
from fsp.model.describe import LONGEST_LAW, MOST_SHOWN_PARTS, MOST_SHOWN_STEPS, MOST_VALUES

SWITCH = [fsp.Reaction("A -> B", rate="k*A"), fsp.Reaction("B -> A", rate="B")]


def switch(**changed):
    return fsp.Model(**{"species": {"A": 80, "B": 0}, "parameters": {"k": 1.0}, "reactions": SWITCH, **changed})


def rows_of(text, start):
    return [line for line in text.splitlines() if line.startswith(f"  {start}")]


@pytest.mark.parametrize("where", ["event", "burst"])
def test_what_is_made_of_one_reaction_is_counted(where):
    halved = fsp.Event("B >= 30", {"A": "floor(A/2)", "B": "0"})
    burst = fsp.Reaction("0 -> A", rate="k", name="r1 with e1", burst="poisson(9)")
    model = switch(events=[halved]) if where == "event" else switch(reactions=[*SWITCH, burst])
    made = [r for r in model.reactions if str(r.name).startswith("r1 with e1")]
    text = model.describe()
    assert len(made) > 10
    assert len(rows_of(text, "r1 with e1")) == MOST_SHOWN_PARTS
    assert f"  … {len(made) - MOST_SHOWN_PARTS} more of r1 with e1" in text
    assert rows_of(text, "r2:")


def test_few_parts_are_printed():
    names = ["r (1)", "r (2)", "r (3)", "r (4)", "r (5)"]
    text = switch(reactions=[fsp.Reaction("A -> B", rate="A", name=name) for name in names]).describe()
    assert len(rows_of(text, "r (")) == len(names)
    assert "more" not in text


def test_values_of_a_law_over_many_starts_are_counted():
    model = switch(species={"A": 80, "B": "poisson(60)"})
    totals = sorted(set(model.initial_states.sum(axis=1).tolist()))
    values = " or ".join(map(str, totals[:MOST_VALUES]))
    assert f"A + B = {values} or … {len(totals) - MOST_VALUES} more values up to {totals[-1]}" in model.describe()


def test_long_laws_are_cut():
    rate = " + ".join(f"{k}*A" for k in range(2, 400))
    text = switch(reactions=[fsp.Reaction("A -> B", rate=rate)]).describe()
    cut = len(rate) - LONGEST_LAW
    assert f"{rate[:LONGEST_LAW]}… ({cut:,} more characters)" in text


def test_steps_of_a_file_are_counted():
    n = MOST_SHOWN_STEPS + 7
    species = ", ".join(f"X{k} in c" for k in range(n))
    body = "; ".join(f"J{k}: X{k} => ; X{k}; X{k} = {k}.25" for k in range(n))
    model = fsp.loads(f"model m; compartment c = 1; species {species}; {body}; end", counts="omega=10")
    steps = model.conversion.steps
    text = model.describe()
    assert f"  {steps[MOST_SHOWN_STEPS - 1]}" in text
    assert f"  {steps[MOST_SHOWN_STEPS]}" not in text
    assert f"  … {len(steps) - MOST_SHOWN_STEPS} more steps, in model.conversion.steps" in text
