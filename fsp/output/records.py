"""Write answers for programs and terminals: JSON, and columns of a marginal distribution."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

from fsp.distribution.distribution import Distribution
from fsp.distribution.ledger import Interval
from fsp.distribution.solution import Solution
from fsp.distribution.sweep import PENDING, Sweep
from fsp.distribution.text import table, when
from fsp.model.expression import depends_on_time
from fsp.model.formula import parse
from fsp.time_limit import TimeLimit

Asked: TypeAlias = Callable[[Distribution], dict[str, Any]]

_PRINTED_FROM = 5e-7
"""Smaller probabilities are left out of printed marginals, which have six decimals."""
NO_CONSTRAINTS: Mapping[str, str] = MappingProxyType({})  # which cannot be written to
_COLUMN = 16  # characters of a column: a time such as "t = 12.345678 min"


def answer_record(
    answer: Solution | Distribution,
    marginals: Sequence[str] = (),
    asked: Asked | None = None,
    *,
    constraints: Mapping[str, str] = NO_CONSTRAINTS,
) -> dict[str, Any]:
    """Collect moments and errors of an answer in plain dictionaries and lists, at full precision.

    `asked`: what else is told of each time; `constraints`: conditions by name, whose violations are told.
    """
    times = list(answer) if isinstance(answer, Solution) else [answer]
    record: dict[str, Any] = {name: getattr(times[0], name) for name in ("model_name", "model_hash", "time_unit")}
    record["species"] = list(times[0].species)
    time_limit = TimeLimit()
    answers = [{} if asked is None else asked(distribution) for distribution in times]
    told = [_time_record(distribution, marginals, constraints, time_limit) for distribution in times]
    record["times"] = [time | more for time, more in zip(told, answers, strict=True)]
    if isinstance(answer, Solution):
        names = ("tol", "solver", "options", "statistics")
        record |= {name: getattr(answer, name) for name in names}
    return record


def sweep_record(sweep: Sweep, marginals: Sequence[str] = (), asked: Asked | None = None) -> dict[str, Any]:
    """Collect the records of all points of a sweep."""
    points: list[dict[str, Any]] = []
    for i, values in enumerate(sweep.points.tolist()):
        point: dict[str, Any] = {"parameters": dict(zip(sweep.names, values, strict=True))}
        if i in sweep.solved:
            points.append(point | answer_record(sweep[i], marginals, asked))
        else:
            points.append(point | {"failure": sweep.failures.get(i, PENDING)})
    return {"names": list(sweep.names), "shape": list(sweep.shape), "tol": sweep.tol, "points": points}


def violations(distribution: Distribution, constraints: Mapping[str, str]) -> dict[str, Interval]:
    """Return the probability that each condition does not hold; not of those that need a time where there is none."""
    timeless = {name for name, text in constraints.items() if not depends_on_time(parse(text, what=name))}
    known = {name: text for name, text in constraints.items() if distribution.t is not None or name in timeless}
    return {name: distribution.probability(f"!({text})") for name, text in known.items()}


def violation_lines(answer: Solution | Distribution, constraints: Mapping[str, str]) -> list[str]:
    """Write the probability that each condition is violated, at the time at which it is largest."""
    if not constraints:
        return []
    times = list(answer) if isinstance(answer, Solution) else [answer]
    intervals = [violations(distribution, constraints) for distribution in times]
    lines = []
    for name in intervals[0]:
        k = max(range(len(times)), key=lambda k: intervals[k][name].upper)
        largest = f" at t = {times[k].t:.12g}, the largest of {len(times)} times" if len(times) > 1 else ""
        interval = intervals[k][name]
        lines.append(f"constraint '{name}' ({constraints[name]}) violated with probability {interval}{largest}")
    return lines


def _time_record(
    distribution: Distribution, marginals: Sequence[str], constraints: Mapping[str, str], time_limit: TimeLimit
) -> dict[str, Any]:
    intervals = time_limit.within(distribution.mean_interval)
    late = [] if intervals is not None else [time_limit.left_out("intervals of the means", "dist.mean_interval()")]
    known = intervals or {}
    record: dict[str, Any] = {
        "t": distribution.t,
        "n_states": len(distribution),
        "mean": distribution.mean(),
        "mean_interval": {
            name: [*known[name]] if name in known and known[name].certified else None for name in distribution.species
        },
        "std": distribution.std(),
        "error": {
            "total": distribution.error.total,
            **distribution.error.terms,
            "certified": distribution.error.certified,
        },
        "notes": [*distribution.notes, *late],
    }
    if constraints:
        told = violations(distribution, constraints).items()
        record["violations"] = {name: [*interval] if interval.certified else None for name, interval in told}
    if marginals:
        record["marginals"] = {name: _marginal_record(distribution.marginal(name)) for name in marginals}
    return record


def _marginal_record(marginal: Distribution) -> dict[str, list[float]]:
    return {"copies": marginal.states[:, 0].tolist(), "probability": marginal.probabilities.tolist()}


def to_json(record: Any, indent: int | None = 2) -> str:
    """Write JSON that every reader accepts: infinities and NaN, which it lacks, become null."""
    return json.dumps(_without_infinities(record), indent=indent, allow_nan=False, ensure_ascii=False)


def _without_infinities(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_infinities(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_infinities(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def marginal_text(answer: Solution | Distribution, species: str, width: int) -> str:
    """Write the marginal distribution of a species: a row for each copy number, a column for each time."""
    times = list(answer) if isinstance(answer, Solution) else [answer]
    shown = times[-max(1, (width - _COLUMN) // _COLUMN) :]
    marginals = [distribution.marginal(species) for distribution in shown]
    columns = [dict(zip(m.states[:, 0].tolist(), m.probabilities.tolist(), strict=True)) for m in marginals]
    copies = sorted({x for column in columns for x, p in column.items() if p >= _PRINTED_FROM})
    rows = [[f"{x}", *(f"{column.get(x, 0.0):.6f}" for column in columns)] for x in copies]
    header = [species, *(when(distribution.t, distribution.time_unit) for distribution in shown)]
    left_out = f"(rows below {_PRINTED_FROM:.0e} are left out"
    left_out += f", and {len(times) - len(shown)} earlier times)" if len(shown) < len(times) else ")"
    return "\n".join([*table(header, rows), left_out])
