"""Answers as text, as JSON and as CSV."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import click

import fsp

if TYPE_CHECKING:
    from fsp.command.options import Printing
    from fsp.distribution import Distribution, Solution, Sweep

    Answer: TypeAlias = Solution | Distribution | Sweep


def print_answer(answer: Any, as_json: bool) -> None:
    """Print a value as text or as JSON."""
    click.echo(json_of(answer) if as_json else str(answer))


def json_of(answer: Any, **more: Any) -> str:
    """Return the record of a value, and `more`, as JSON."""
    from fsp.output.records import to_json

    return to_json(record_of(answer, **more))


def record_of(answer: Any, **more: Any) -> dict[str, Any]:
    """Return what JSON holds of a value, and `more`."""
    return {"fsp": fsp.__version__, **answer.record(), **more}


def print_of(answer: Answer, printing: Printing, seconds: float | None, constraints: Mapping[str, str]) -> str:
    """Write an answer as it is asked for; `constraints`: those of the model, by name; `seconds`: None of a file."""
    if printing.as_json:
        return _json(answer, printing, seconds, constraints)
    if printing.as_csv:
        from fsp.output.summaries import columns, csv_of

        return csv_of(columns(answer, printing.questions.answers)).removesuffix("\n")
    return answer_text(answer, printing, seconds, constraints, shutil.get_terminal_size((120, 24)).columns)


def answer_text(
    answer: Answer, printing: Printing, seconds: float | None, constraints: Mapping[str, str], width: int
) -> str:
    """Write an answer for so many columns."""
    from fsp.distribution import Solution, Sweep
    from fsp.output.records import marginal_text, violation_lines

    took = [] if seconds is None else [f"{seconds:.3g} s"]
    if isinstance(answer, Sweep):
        products = [f"{answer.n_matvec:,} products"] if answer.n_matvec else []
        lines = [answer.text(width), *filter(None, [", ".join([*products, *took])])]
    elif isinstance(answer, Solution):
        how = answer.solver if printing.verbose else f"solver: {answer.method}"
        work = ", ".join([f"{answer.n_matvec:,} products", *took])
        lines = [answer.table(width), f"{how}: {work}", *(f"note: {note}" for note in answer.remarks())]
    else:
        lines = [str(answer), *took]
    if not isinstance(answer, Sweep):
        lines += violation_lines(answer, constraints)
    lines = [part for line in lines for part in _wrapped(line, width)]
    if printing.questions:
        lines.append("\n" + printing.questions.text(answer, width))
    for name in printing.marginal:
        if isinstance(answer, Sweep):
            lines += [f"\n{answer.label(i)}\n{marginal_text(answer[i], name, width)}" for i in answer.solved]
        else:
            lines.append(f"\n{marginal_text(answer, name, width)}")
    return "\n".join(lines)


def _wrapped(text: str, width: int) -> list[str]:
    """Break sentences at a width; tables are as wide as they are."""
    if "\n" in text or len(text) <= width:
        return [text]
    return textwrap.wrap(text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _json(answer: Answer, printing: Printing, seconds: float | None, constraints: Mapping[str, str]) -> str:
    """Write the answer for programs."""
    from fsp.distribution import Sweep
    from fsp.output.records import answer_record, sweep_record, to_json

    head: dict[str, Any] = {"fsp": fsp.__version__, "tol": getattr(answer, "tol", None), "seconds": seconds}
    asked = (printing.marginal, printing.questions.record)
    if isinstance(answer, Sweep):
        return to_json({**head, **sweep_record(answer, *asked)})
    return to_json({**head, **answer_record(answer, *asked, constraints=constraints)})
