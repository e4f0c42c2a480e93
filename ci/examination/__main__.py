"""Examine the package with random networks, or with broken inputs."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

from examination import crew, judging, networks, report, scripts


def main() -> int:
    """Run the examination and print its report; the exit status is 1 where something failed."""
    options = _options()
    log = Path(options.log)
    if options.report:
        print(report.markdown(_read(log)))
        return 0
    log.parent.mkdir(parents=True, exist_ok=True)
    known = {(case["kind"], case["seed"]) for case in _read(log)}
    deadline = monotonic() + (options.seconds or float("inf"))
    keys = (key for key in _keys(options) if key not in known)
    timely = itertools.takewhile(lambda _: monotonic() < deadline, keys)
    begun, solves, done = monotonic(), 0, 0
    with log.open("a", encoding="utf-8") as written:
        limits = {"jobs": options.jobs, "limit": options.limit, "preload": "examination.warm"}
        for case in crew.run(judging.examine, timely, **limits):
            kind, seed = case.key
            records = [record for record in case.records if record["verdict"] != "no reference"]
            for record in records:
                if record["verdict"] in report.FAILURES:
                    scripts.write(Path(options.failures), kind, seed, networks.draw(kind, seed), record)
            line = {"kind": kind, "seed": seed, "note": case.note, "records": records}
            print(json.dumps(line), file=written, flush=True)
            solves, done = solves + sum(record.get("solved", 1) for record in records), done + 1
            rate = solves / (monotonic() - begun)
            print(f"{done} networks, {solves} distributions, {rate:.1f} a second", end="\r", file=sys.stderr)
    cases = list(_read(log))
    print(report.markdown(cases))
    return 1 if report.failures(cases) else 0


def _keys(options: argparse.Namespace) -> Iterator[tuple[str, int]]:
    kinds = options.kinds.split(",") if options.kinds else list(networks.KINDS)
    for i in range(options.cases) if options.cases else itertools.count():
        yield kinds[i % len(kinds)], options.seed + i // len(kinds)


def _read(log: Path) -> Iterator[dict[str, Any]]:
    if log.exists():
        with log.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ci/examine", description=__doc__)
    parser.add_argument("--cases", type=int, help="number of networks")
    parser.add_argument("--seconds", type=float, help="begin no network after this time")
    parser.add_argument("--seed", type=int, default=0, help="of the first network of each kind (default: 0)")
    parser.add_argument("--kinds", help=f"of {','.join(networks.KINDS)} (default: all)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--limit", type=float, default=30.0, help="CPU seconds of a question (default: 30)")
    parser.add_argument("--log", default="examination/log.jsonl", help="what is in it is not examined again")
    parser.add_argument("--failures", default="examination/failures", help="folder for scripts of what failed")
    parser.add_argument("--report", action="store_true", help="print the report of the log, and examine nothing")
    options = parser.parse_args()
    if not options.report and options.cases is None and options.seconds is None:
        parser.error("one of --cases, --seconds and --report is needed")
    return options


if __name__ == "__main__":
    sys.exit(main())
