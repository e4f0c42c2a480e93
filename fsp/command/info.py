"""`fsp info`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fsp.command.exits import EPILOG, guarded
from fsp.command.options import JSON, SOURCE, Source, takes_source, with_options

if TYPE_CHECKING:
    from fsp.model import Model


@click.command(epilog=EPILOG)
@with_options(*SOURCE)
@JSON
@guarded
@takes_source
def info(source: Source, as_json: bool) -> int:
    """Print species, reactions, propensities and conservation laws of MODEL."""
    network = source.load()
    from fsp.moments.complexes import structure_text

    click.echo(_model_json(network) if as_json else f"{network.describe()}\n{structure_text(network)}")
    return 0


def _model_json(model: Model) -> str:
    from fsp.model.expression import to_text
    from fsp.moments.complexes import structure_record
    from fsp.output.records import to_json

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
        "conservation_laws": model.conservation_laws.tolist(),
        "mass_action": structure_record(model),
        "finite": bool(model.is_finite),
        "bounds": dict(zip(model.species, model.species_bounds.tolist(), strict=True)),
    }
    return to_json(record)
