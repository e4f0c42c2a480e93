"""Count what a log holds, as tables in Markdown."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Any

FAILURES = ("broken", "estimate missed", "refused, a box answers", "leak", "stall")
VERDICTS = (
    "good",
    "above tol, said",
    "estimate",
    "estimate missed",
    "broken",
    "refused",
    "refused, a box answers",
    "leak",
    "stall",
)
SMALLEST = 1e-14  # errors below it say nothing about how loose a bound is

Record = dict[str, Any]


def read(log: Path) -> Iterator[Record]:
    """Yield the cases of a log; none where there is no such file."""
    if log.exists():
        with log.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def markdown(cases: Iterable[Record]) -> str:
    """Return the report of the cases of a log."""
    cases = list(cases)
    records = [{**record, "kind": case["kind"]} for case in cases for record in case["records"]]
    solves = sum(record.get("solved", 1) for record in records)
    left = Counter(case["note"]["left_out"] for case in cases if "left_out" in case["note"])
    cpu = sum(record.get("cpu", 0.0) for record in records)
    of_networks = any("states" in case["note"] for case in cases)
    head = [
        f"{len(cases):,} cases, {len(records):,} questions, {solves:,} answers; "
        f"{cpu / max(len(records), 1):.3f} CPU seconds a question.",
        "",
        _table("kind", records, lambda record: record["kind"], Counter(case["kind"] for case in cases)),
    ]
    if of_networks:
        head += ["", _table("question", records, lambda record: f"{record['door']}, {record['solver']}")]
    return "\n".join([*head, *_reasons(records), *_left_out(left)]) + "\n"


def failures(cases: Iterable[Record]) -> Counter[str]:
    """Return how often what must not happen did."""

    return Counter(r["verdict"] for case in cases for r in case["records"] if r["verdict"] in FAILURES)


def _table(name: str, records: list[Record], key: Callable[[Record], str], cases: Counter[str] | None = None) -> str:
    by: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by[key(record)].append(record)
    shown = [v for v in VERDICTS if any(r["verdict"] == v for r in records)]
    loose = any("bound" in record for record in records)
    titles = [name, *(["cases"] if cases else []), "asked", *shown]
    titles += ["bound ÷ error: median", "90 %"] if loose else []
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for label, mine in [*sorted(by.items()), ("all", records)]:
        counts = Counter(record["verdict"] for record in mine)
        many = [str(cases[label] if label != "all" else cases.total())] if cases else []
        row = [label, *many, f"{len(mine):,}", *(f"{counts[v]:,}" if counts[v] else "" for v in shown)]
        row += _loose(mine) if loose else []
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def _loose(records: list[Record]) -> list[str]:
    ratios = [
        r["bound"] / r["distance"]
        for r in records
        if r["verdict"] in ("good", "above tol, said")
        and r["door"] != "relaxation"
        and r.get("distance", 0.0) > SMALLEST
    ]
    if len(ratios) < 2:
        return ["", ""]
    return [f"{median(ratios):.3g}", f"{quantiles(ratios, n=10, method='inclusive')[-1]:.3g}"]


def _reasons(records: list[Record]) -> list[str]:
    lines = []
    for verdict in VERDICTS[3:]:
        reasons = Counter(f"{r['kind']}: {_pattern(r.get('message', ''))}" for r in records if r["verdict"] == verdict)
        if reasons:
            lines += ["", f"{verdict}:", ""]
            lines += [f"- {n:,} of {reason}" for reason, n in reasons.most_common(12)]
    return lines


def _left_out(left: Counter[str]) -> list[str]:
    return ["", "left out:", "", *(f"- {n:,} of {reason}" for reason, n in left.most_common(12))] if left else []


def _pattern(message: str) -> str:
    """Return a message without its numbers and names, so that like ones are counted together."""
    short = re.sub(r"[-+]?\d[\d,]*(\.\d+)?(e[-+]?\d+)?", "#", message)
    return re.sub(r"'[^']*'", "'…'", short)[:150]
