"""A network with its events taken apart, and the derivatives of what both of them hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fsp.inference.count_maps import count_maps, names_in
from fsp.inference.parameters import Derivatives, derivatives
from fsp.inference.timed_events import taken_apart

if TYPE_CHECKING:
    from fsp.model import Model


def differentiated(model: Model, parameters: Sequence[str], *, log: bool) -> tuple[Model, Derivatives]:
    """Return the network without events, and its derivatives with the events that set counts.

    What has no derivative is refused, and so is a parameter that nothing depends on.
    """
    plain, settings = taken_apart(model)
    slopes = derivatives(plain, parameters, log=log, elsewhere=names_in(plain, settings, parameters))
    return plain, replace(slopes, maps=count_maps(plain, settings, slopes.names, log=log))
