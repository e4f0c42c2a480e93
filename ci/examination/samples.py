"""Hold laws of passages against exact samples of `fsp.ssa`.

The network that is sampled is not the one that stays where the target holds: it goes on, and an event marks the run
when the target first holds, so that sampler and law share propensities and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import process_time
from typing import Any

import numpy as np
from examination.judging import BROKEN, GOOD, as_model
from examination.networks import Network

import fsp
from fsp.verification.passages import POINTS, verify_passages
from fsp.verification.report import Report

RUNS = 100_000
ALPHA = 1e-6  # probability of a false alarm of one case
MARK = "Passed"  # a species: 1 from the passage on


def _mass(equation: str, constant: float) -> dict[str, Any]:
    return {"equation": equation, "mass_action": constant}


def _immigration() -> Network:
    """Return immigration at 9 and death at 1, up to 14."""
    return {
        "species": {"X": 0},
        "reactions": [_mass("0 -> X", 9.0), _mass("X -> 0", 1.0)],
        "target": "X >= 14",
        "until": 12.0,
    }


def _switch() -> Network:
    """Return the exclusive switch of tests/models, until its second protein is far ahead."""
    makes = [_mass(f"{gene} -> {gene} + P{k}", rate) for k, rate in ((1, 0.7), (2, 0.6)) for gene in ("D", f"D{k}")]
    loses = [_mass(f"P{k} -> 0", 0.02) for k in (1, 2)]
    binds = [_mass(f"D + P{k} -> D{k}", 0.005) for k in (1, 2)]
    frees = [_mass(f"D{k} -> D", rate) for k, rate in ((1, 0.06), (2, 0.05))]
    return {
        "species": {"D": 1, "D1": 0, "D2": 0, "P1": 0, "P2": 0},
        "reactions": [*makes, *loses, *binds, *frees],
        "target": "P2 > P1 + 5",
        "until": 60.0,
    }


def _driven() -> Network:
    """Return a gene of two stages whose transcription oscillates, until it has 18 proteins."""
    return {
        "species": {"M": 0, "P": 0},
        "reactions": [
            {"equation": "0 -> M", "rate": "3*(1 + sin(time))"},
            _mass("M -> 0", 1.0),
            _mass("M -> M + P", 2.0),
            _mass("P -> 0", 0.5),
        ],
        "target": "P >= 18",
        "until": 12.0,
    }


KINDS = {"immigration": _immigration, "switch": _switch, "driven": _driven}


def draw(kind: str, seed: int) -> Network:
    """Return a network; the seed is that of its samples."""
    return {"parameters": {}, **KINDS[kind]()}


def sampled(network: Network, runs: int, seed: int) -> np.ndarray:
    """Return times of passages, (runs,), rounded up to the grid of the test; infinite where there was none."""
    marking = {"trigger": f"({network['target']}) && {MARK} == 0", "assignments": {MARK: "1"}}
    marked = as_model({**network, "species": {**network["species"], MARK: 0}, "events": [marking]})
    grid = network["until"] * np.arange(1, POINTS + 1) / POINTS
    has_passed = fsp.ssa(marked, grid, runs, seed=seed)[:, :, -1] == 1  # (runs, POINTS)
    return np.where(has_passed.any(axis=1), grid[has_passed.argmax(axis=1)], np.inf)


def compared(kind: str, seed: int, runs: int = RUNS, alpha: float = ALPHA) -> Report:
    """Return whether the law of the passages of a network is that of its samples."""
    network = draw(kind, seed)
    passages = sampled(network, runs, seed)
    return verify_passages(as_model(network), network["target"], passages, network["until"], alpha=alpha)


def examine(key: tuple[str, int], first: int) -> Iterator[tuple[str, Any]]:
    """Sample one network."""
    network = draw(*key)
    asked = {"door": "law", "solver": "ssa", "tol": ALPHA}
    yield "ask", asked
    begun = process_time()
    report = compared(*key)
    verdict = {"verdict": GOOD} if report.passed else {"verdict": BROKEN, "message": " ".join(str(report).split())}
    grid = (network["until"] * np.arange(1, POINTS + 1) / POINTS).tolist()
    call = f"fsp.passage(model, {network['target']!r}, {grid}).cdf"
    yield "answer", {**asked, "cpu": process_time() - begun, "call": call, **verdict}
