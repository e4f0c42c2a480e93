"""Samples of reaction networks: the reference sampler `fsp.ssa`, and adapters of other simulators.

Nothing here solves, and no solver is imported: samples are an independent check.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsp.sampling.simulator import Simulator
    from fsp.sampling.simulators import Adapter, open_simulator

# Where each public name lives: imported at first use, so that the sampler loads no adapter.
_HOMES = {
    "Adapter": "fsp.sampling.simulators",
    "Simulator": "fsp.sampling.simulator",
    "open_simulator": "fsp.sampling.simulators",
}

__all__ = ["Adapter", "Simulator", "open_simulator"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fsp.sampling' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
