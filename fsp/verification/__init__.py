"""Verification of simulators, and of other solvers, against certified distributions.

Nothing is imported here, so that the statistics load no solver.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsp.verification.other_solvers import Moments
    from fsp.verification.passages import verify_passages
    from fsp.verification.planning import Need, Plan, plan
    from fsp.verification.reading import read_samples
    from fsp.verification.test import Test
    from fsp.verification.verdict import Detectable, Finding

# Where each public name lives that `fsp` itself does not have: imported at first use.
_HOMES = {
    "Detectable": "fsp.verification.verdict",
    "Finding": "fsp.verification.verdict",
    "Moments": "fsp.verification.other_solvers",
    "Need": "fsp.verification.planning",
    "Plan": "fsp.verification.planning",
    "Test": "fsp.verification.test",
    "plan": "fsp.verification.planning",
    "read_samples": "fsp.verification.reading",
    "verify_passages": "fsp.verification.passages",
}

__all__ = ["Detectable", "Finding", "Moments", "Need", "Plan", "Test", "plan", "read_samples", "verify_passages"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fsp.verification' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
