"""`fsp info`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

from fsp.command.exits import EPILOG, guarded
from fsp.command.options import JSON, SOURCE, Source, takes, with_options

if TYPE_CHECKING:
    from fsp.model import Model


@click.command(epilog=EPILOG)
@with_options(*SOURCE)
@JSON
@guarded
@takes(source=Source)
def info(source: Source, as_json: bool) -> int:
    """Print species, reactions, propensities and conservation laws of MODEL."""
    network = source.load()
    click.echo(_model_json(network) if as_json else _model_text(network))
    return 0


def _model_text(model: Model) -> str:
    from fsp.moments.complexes import structure_text
    from fsp.time_limit import TimeLimit

    time_limit = TimeLimit()
    return f"{model.describe(time_limit)}\n{structure_text(model, time_limit)}"


def _model_json(model: Model) -> str:
    from fsp.model.expression import to_text
    from fsp.moments.complexes import structure_record
    from fsp.output.records import to_json
    from fsp.time_limit import TimeLimit

    time_limit = TimeLimit()
    laws = time_limit.within(lambda: model.conservation_laws.tolist())
    largest = time_limit.within(lambda: model.species_bounds.tolist())
    complexes = time_limit.within(lambda: (structure_record(model),))
    structure = {"conservation_laws": laws, "bounds": largest, "mass_action": complexes}
    rates = [None if rate is None else to_text(rate) for rate in model.rate_expressions]
    reactions = [
        {
            "name": reaction.name,
            "equation": reaction.equation,
            "order": reaction.order,
            "change": dict(reaction.change),
            "propensity": rate,
            "time_dependent": bool(timed),
        }
        for reaction, rate, timed in zip(model.reactions, rates, model.time_dependent, strict=True)
    ]
    record = {
        "name": model.name,
        "hash": model.hash,
        "time_unit": model.time_unit,
        "species": list(model.species),
        "initial_states": model.initial_states.tolist(),
        "initial_probabilities": model.initial_probabilities.tolist(),
        "parameters": dict(model.parameters),
        "reactions": reactions,
        "conservation_laws": laws,
        "mass_action": complexes[0] if complexes else None,
        "finite": None if largest is None else all(map(math.isfinite, largest)),
        "bounds": None if largest is None else dict(zip(model.species, largest, strict=True)),
        "left_out": [name for name, value in structure.items() if value is None],
    }
    return to_json(record)
