"""Try wrong readers of SBML: each drops one rule, and must fail and be named by the right words.

    PYTHONPATH=tests python ci/misreadings.py [--runs 600] [--seed 1] [NAME ...]

A reader is asked for so many runs, or where `fsp.verification.plan` says that its mistake takes more, for those and a
third more.  Right readers of the same files must pass; a line is printed for each, and the exit status is 1 if a wrong
reader is not named, or a right one fails.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from math import ceil
from pathlib import Path
from time import process_time

from misread_files import CASES, FILES, TIMES
from wrong_readers import RULES, Reader

import fsp
from fsp.verification.misreadings import MISREADINGS, OTHERS
from fsp.verification.planning import plan

SENTENCES = {key: words for key, (words, _) in MISREADINGS.items()} | OTHERS


def needs(folder, name):
    """Return about how many runs each mistake of reading a file takes, by its sentence."""
    path = folder / f"{name}.xml"
    path.write_text(FILES[name])
    return {need.mistake: need.runs for need in plan(path, TIMES, require=0.5).needs if not need.required}


def tried(folder, name, dropped, runs, seed):
    """Return the report of a reader of a file."""
    path = folder / f"{name}.xml"
    path.write_text(FILES[name])
    return fsp.verify(path, simulator=Reader(dropped), times=TIMES, runs=runs, seed=seed, power=None)


def main():
    """Try all, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(CASES))
    parser.add_argument("--runs", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    named = wrong = false = 0
    with tempfile.TemporaryDirectory() as folder:
        takes = {}
        for name in {CASES[dropped][0]: None for dropped in given.names}:
            report = tried(Path(folder), name, None, given.runs, given.seed)
            false += not report.passed
            takes[name] = needs(Path(folder), name)
            print(f"right reader of {name}: {report.verdict}", flush=True)
        for dropped in given.names:
            begin = process_time()
            name, keys = CASES[dropped]
            taken = takes[name].get(SENTENCES.get(dropped, ""), 0.0)
            runs = max(given.runs, ceil(4 / 3 * taken))
            report = tried(Path(folder), name, dropped, runs, given.seed)
            causes = [finding.name for finding in report.explanations if finding.name != "reader"]
            right = report.verdict == "fail" and bool(causes) and causes[0] in keys
            named, wrong = named + right, wrong + (not right)
            words = next((finding.text for finding in report.explanations if finding.name != "reader"), "nothing")
            sign = "named " if right else "MISSED"
            who = (
                "its reader is wrong"
                if "reader" in [finding.name for finding in report.findings]
                else "reader not blamed"
            )
            about = f"about {taken:,.0f} runs find it" if taken else "no plan for it"
            print(f"{sign} {dropped} ({RULES[dropped]}): {report.verdict} with {runs:,} runs, {about}; {words}; {who}; "
                  f"{process_time() - begin:.1f} s CPU", flush=True)  # fmt: skip
    print(f"{named} of {named + wrong} named, {false} right readers fail")
    return int(wrong > 0 or false > 0)


if __name__ == "__main__":
    sys.exit(main())
