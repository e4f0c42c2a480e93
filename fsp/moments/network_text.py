"""Networks as text, by what decides the hash of a model: species, changes, propensities in numbers, the start."""

from __future__ import annotations

import json
from functools import lru_cache

from fsp.errors import FSPError
from fsp.model import Model, Reaction
from fsp.model.infix import to_text
from fsp.model.tree import Expression


@lru_cache(maxsize=2)  # asked for at each time of a solution
def network_text(model: Model) -> str:
    """Write a network without events; empty where a rate is a callable, or it would be read as another one."""
    laws = [model.law(k) for k in range(model.n_reactions)]
    if not all(isinstance(law, Expression) for law in laws):
        return ""
    start = zip(model.initial_states.tolist(), model.initial_probabilities.tolist(), strict=True)
    text = json.dumps(
        {
            "species": list(model.species),
            "changes": model.change.tolist(),
            "propensities": [to_text(law) for law in laws if isinstance(law, Expression)],
            "start": list(start),
        }
    )
    return text if read_network(text, model.hash) is not None else ""


def read_network(text: str, model_hash: str) -> Model | None:
    """Return the network of a text; None where it has another hash."""
    try:
        parts = json.loads(text)
        names = parts["species"]
        model = Model(
            species=names,
            reactions=[
                Reaction({name: n for name, n in zip(names, change, strict=True) if n}, rate=law)
                for change, law in zip(parts["changes"], parts["propensities"], strict=True)
            ],
            initial={tuple(state): p for state, p in parts["start"]},
        )
    except (FSPError, KeyError, TypeError, ValueError):
        return None
    return model if model.hash == model_hash else None
