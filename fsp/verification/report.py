"""The verdict on a simulator as text, JSON, JUnit XML and HTML."""

from __future__ import annotations

from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from fsp.distribution.text import counted, round_up, table
from fsp.errors import ArgumentError
from fsp.output import files
from fsp.output.records import to_json
from fsp.output.replace import MARK
from fsp.verification.page import page
from fsp.verification.test import TEST_KINDS
from fsp.verification.verdict import Verdict, number, p_is
from fsp.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_PRINTED = 8  # rejected tests that are printed


class Report(Verdict):
    """The findings of a verification, as text and files; see `Verdict`."""

    def _head(self) -> list[str]:
        who = self.simulator or "samples"
        times, names = counted(len(self.times), "time"), ", ".join(self.species)
        sign = "≤" if self.certified else "≈"
        if not self.n:
            return [
                f"{self.verdict.upper()}: {who}, {self.model_name or 'the model'}, "
                f"{times}, {names}; reference error {sign} {round_up(self.error)}"
            ]
        return [
            f"{self.verdict.upper()}: {who}, {counted(self.n, 'run')} of {self.model_name or 'the model'}, "
            f"{times}, {names}",
            f"{len(self.tests):,} tests; an exact simulator fails with probability ≤ {self.alpha:g}; "
            f"reference error {sign} {round_up(self.error)}",
            *([f"given: {self.given}"] if self.given else []),
        ]

    def _summary(self) -> list[str]:
        rows = []
        for kind in TEST_KINDS:
            tests = [test for test in self.tests if test.kind == kind]
            if tests:
                worst = min(tests, key=lambda test: test.p)
                bad = sum(map(self.rejects, tests))
                rows.append([kind, f"{len(tests)}", f"{bad}", number(worst.p), number(worst.adjusted)])
        return table(["test", "number", "rejected", "smallest p", "adjusted"], rows)

    def _suite(self) -> list[str]:
        """Say what the suite's own criterion sees, and why it is not the one that decides."""
        z = [abs(test.statistic) for test in self.tests if test.kind == "mean"]
        y = [abs(test.statistic) for test in self.tests if test.kind == "variance"]
        if not z or not y:
            return []
        return [
            f"SBML suite's statistics, for information: |Z| up to {max(z):.3g} ({sum(v >= 3 for v in z)} of {len(z)} "
            f"not below 3), |Y| up to {max(y):.3g} ({sum(v >= 5 for v in y)} of {len(y)} not below 5)"
        ]

    def __str__(self) -> str:
        lines = [*self._head(), *self._summary(), *self._suite()]
        lines += [f"  {test.name}: {p_is(test.p)}; {test.where}" for test in self.rejected[:_PRINTED]]
        if len(self.rejected) > _PRINTED:
            lines.append(f"  and {len(self.rejected) - _PRINTED} more")
        if self.detectable:
            power = self.detectable[0].power
            lines.append(f"Smallest errors of rate constants that are found with probability {power:g}:")
            lines += [f"  {change} (by the {change.by})" for change in self.detectable]
        lines += [str(change) for change in self.sought]
        if self.findings:
            fitting = self.explanations
            lines.append("What fits:" if fitting else "Nothing that was tried fits; nearest:")
            lines += [f"  {change}" for change in (fitting or self.findings)[:5]]
            lines += [f"  {self.apart}"] if self.apart else []
        if self.repeated:
            lines.append(f"Runs that repeat an earlier one: {_listed(self.repeated)}")
        if self.undecided:
            lines.append(f"undecided: {self.undecided}")
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join([*lines, *(f"{name}: {text}" for name, text in self.origin.items())])

    def __repr__(self) -> str:
        return f"<Report: {self.verdict}, {len(self.rejected)} of {len(self.tests)} tests reject, {self.n:,} runs>"

    def _repr_html_(self) -> str:
        return f'<iframe srcdoc="{escape(self.to_html())}" style="width:100%;height:32rem;border:0"></iframe>'

    def to_json(self) -> str:
        """Return the report as JSON."""
        record: dict[str, Any] = {
            "fsp": __version__,
            "verdict": self.verdict,
            "model_name": self.model_name,
            "model_hash": self.model_hash,
            "simulator": self.simulator,
            "given": self.given,
            "origin": dict(self.origin),
            "runs": self.n,
            "alpha": self.alpha,
            "times": list(self.times),
            "species": list(self.species),
            "reference_error": self.error,
            "reference_certified": self.certified,
            "tests": [
                {
                    "kind": test.kind,
                    "time": test.time,
                    "species": list(test.species),
                    "statistic": test.statistic,
                    "p": test.p,
                    "adjusted_p": test.adjusted,
                    "rejected": self.rejects(test),
                    "where": test.where,
                }
                for test in self.tests
            ],
            "detectable": [asdict(smallest) for smallest in self.detectable],
            "repeated": [list(pair) for pair in self.repeated],
            "sought": [asdict(change) for change in self.sought],
            "findings": [asdict(finding) for finding in self.findings],
            "notes": list(self.notes),
            "undecided": self.undecided,
        }
        return to_json(record)

    def to_junit(self) -> str:
        """Return the report as JUnit XML: a test case for each kind of test, time and species."""
        failures = len(self.rejected)
        undecided = self.verdict == "undecided"
        suite = ElementTree.Element(
            "testsuite",
            name=f"fsp verify {self.model_name}",
            tests=str(len(self.tests) + undecided),
            failures=str(failures if self.certified else 0),
            errors=str(int(undecided)),
        )
        for test in self.tests:
            case = ElementTree.SubElement(suite, "testcase", classname=self.model_name or "model", name=test.name)
            if self.rejects(test) and self.certified:
                message = f"{p_is(test.p)}, adjusted {number(test.adjusted)}"
                ElementTree.SubElement(case, "failure", message=message).text = test.where
        if undecided:
            case = ElementTree.SubElement(suite, "testcase", classname=self.model_name or "model", name="verdict")
            ElementTree.SubElement(case, "error", message=self.undecided or "the reference is not certified")
        ElementTree.SubElement(suite, "system-out").text = str(self)
        ElementTree.indent(suite)
        return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)

    def to_html(self) -> str:
        """Return the report as one page with pictures, that needs no other file."""
        return page(self)

    def save(self, path: str | Path) -> None:
        """Write the report to a file.

        Parameters
        ----------
        path
            It ends in ``.json``, ``.xml`` (JUnit), ``.html`` or ``.txt``; a file that is there is replaced.

        Raises
        ------
        ArgumentError
            If it ends in something else, or no file can be there.
        OutputError
            If it cannot be written; what was there before is unchanged.
        """
        path = Path(path)
        if path.suffix.lower() not in WRITERS:
            raise ArgumentError(f"A report must be a file in {', '.join(WRITERS)}, but is '{path}'.")
        files.write(path, WRITERS[path.suffix.lower()](self) + "\n")


def _listed(pairs: Sequence[tuple[int, int]]) -> str:
    shown = [f"{later} = {first}" for first, later in pairs[:_PRINTED]]
    return ", ".join(shown) + (f" and {len(pairs) - _PRINTED:,} more" if len(pairs) > _PRINTED else "")


WRITERS: dict[str, Callable[[Report], str]] = {
    ".json": Report.to_json,
    ".xml": Report.to_junit,
    ".html": Report.to_html,
    ".txt": lambda report: f"{report}\n{MARK}",
}
"""How a report is written, by the end of the file's name."""
