"""Stored answers of the benchmark models: how their files are read, and how an answer is compared with one."""

import json
from pathlib import Path

MODELS = Path(__file__).parent / "models"


def references(name):
    """Return the stored answers of a model, a list of dictionaries; of none, an empty one."""
    path = MODELS / f"{name}.reference.json"
    return json.loads(path.read_text())["references"] if path.exists() else []


def error_of(values):
    """Return the 1-norm error that a stored answer states."""
    if "accurate_digits" in values:  # closed forms; some generating functions to 1e-12
        return 1e-12
    stated = (values.get(key) for key in ("l1_error_bound", "l1_change_on_step_halving"))
    return next((value for value in stated if value is not None), 1e-9)  # sparse LU: believed to 1e-10


def gaps(d, values):
    """Return the 1-norm distances of `d` to what is stored, by name: chosen counts of marginals, single states."""
    found = {}
    for species, table in values.get("marginals", {}).items():
        mine = _marginal(d, species)
        found[species] = sum(abs(mine.get(int(x), 0.0) - p) for x, p in table.items())
    for row in values.get("joint_top3", []):
        state, p = _joint_row(row, d.species)
        found[str(state)] = abs(d.probability(state).value - p)
    return found


def _marginal(d, species):
    one = d.marginal(species)
    return dict(zip(one.states[:, 0].tolist(), one.probabilities.tolist(), strict=True))


def _joint_row(row, species):
    """Return ({name: count}, probability) of a stored joint value."""
    state, p = (row["state"], row["p"]) if isinstance(row, dict) else row
    state = state if isinstance(state, dict) else dict(zip(species, state, strict=True))
    return {name: int(count) for name, count in state.items()}, float(p)
