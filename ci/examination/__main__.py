"""Examine the package with random networks, passages, gradients and mixtures, with samples, or with broken inputs.

`ci/examine kernels [TEST ...]` runs tests of kernels with every access to memory checked.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

from examination import (
    adjoints,
    broken,
    crew,
    inputs,
    judging,
    mixtures,
    networks,
    rational,
    report,
    samples,
    sanitized,
    scripts,
)

KINDS = {
    "networks": networks.KINDS,
    "passages": rational.KINDS,
    "samples": samples.KINDS,
    "adjoints": adjoints.KINDS,
    "mixtures": mixtures.KINDS,
    "inputs": broken.FORMATS,
}
DRAWN = {
    "networks": networks.draw,
    "passages": rational.draw,
    "samples": samples.draw,
    "adjoints": adjoints.draw,
    "mixtures": mixtures.draw,
}
EXAMINE = {
    "networks": (judging.examine, "examination.warm"),
    "passages": (rational.examine, "examination.rational"),
    "samples": (samples.examine, "examination.samples"),
    "adjoints": (adjoints.examine, "examination.adjoints"),
    "mixtures": (mixtures.examine, "examination.mixtures"),
    "inputs": (inputs.examine, "examination.warm_inputs"),
}  # with the module that the process imports from which workers are forked


def main() -> int:
    """Run the examination and print its report; the exit status is 1 where something failed."""
    if sys.argv[1:2] == ["kernels"]:
        return sanitized.run(sys.argv[2:])
    options = _options()
    log = Path(options.log)
    if options.report:
        print(report.markdown(report.read(log)))
        return 0
    log.parent.mkdir(parents=True, exist_ok=True)
    known = {(case["kind"], case["seed"]) for case in report.read(log)}
    deadline = monotonic() + (options.seconds or float("inf"))
    keys = (key for key in _keys(options) if key not in known)
    timely = itertools.takewhile(lambda _: monotonic() < deadline, keys)
    begun, solves, done = monotonic(), 0, 0
    with log.open("a", encoding="utf-8") as written:
        for case in _run(options, timely):
            kind, seed = case.key
            records = [record for record in case.records if record["verdict"] != "no reference"]
            for record in records:
                if record["verdict"] in report.FAILURES:
                    _keep(Path(options.failures), options.what, kind, seed, record)
            line = {"kind": kind, "seed": seed, "note": case.note, "records": records}
            print(json.dumps(line), file=written, flush=True)
            solves, done = solves + sum(record.get("solved", 1) for record in records), done + 1
            rate = solves / (monotonic() - begun)
            if sys.stderr.isatty():
                print(f"\r{done} cases, {solves} answers, {rate:.1f} a second", end="", file=sys.stderr)
    cases = list(report.read(log))
    print(report.markdown(cases))
    return 1 if report.failures(cases) else 0


def _run(options: argparse.Namespace, keys: Iterator[tuple[str, int]]) -> Iterator[crew.Case]:
    examine, preload = EXAMINE[options.what]
    return crew.run(examine, keys, jobs=options.jobs, limit=options.limit, preload=preload)


def _keep(folder: Path, what: str, kind: str, seed: int, record: dict[str, Any]) -> None:
    """Write what failed so that it can be tried again by itself."""
    if what == "inputs":
        scripts.write_input(folder, kind, seed, broken.draw(kind, seed), record)
    else:
        scripts.write(folder, kind, seed, DRAWN[what](kind, seed), record)


def _keys(options: argparse.Namespace) -> Iterator[tuple[str, int]]:
    kinds = options.kinds.split(",") if options.kinds else list(KINDS[options.what])
    for i in range(options.cases) if options.cases else itertools.count():
        yield kinds[i % len(kinds)], options.seed + i // len(kinds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ci/examine", description=__doc__)
    parser.add_argument("what", nargs="?", choices=list(KINDS), default="networks")
    parser.add_argument("--cases", type=int, help="number of networks, or of inputs")
    parser.add_argument("--seconds", type=float, help="begin none after this time")
    parser.add_argument("--seed", type=int, default=0, help="of the first one of each kind (default: 0)")
    parser.add_argument("--kinds", help="; ".join(f"{what}: {','.join(kinds)}" for what, kinds in KINDS.items()))
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--limit", type=float, default=30.0, help="CPU seconds of a question (default: 30)")
    parser.add_argument("--log", help="what is in it is not examined again (default: examination/WHAT.jsonl)")
    parser.add_argument("--failures", help="folder for what failed (default: examination/WHAT)")
    parser.add_argument("--report", action="store_true", help="print the report of the log, and examine nothing")
    options = parser.parse_args()
    options.log = options.log or f"examination/{options.what}.jsonl"
    options.failures = options.failures or f"examination/{options.what}"
    if not options.report and options.cases is None and options.seconds is None:
        parser.error("one of --cases, --seconds and --report is needed")
    return options


if __name__ == "__main__":
    sys.exit(main())
