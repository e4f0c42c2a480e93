"""Answers as text and as JSON."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import fsp

if TYPE_CHECKING:
    from fsp.command.options import Request
    from fsp.distribution import Distribution, Solution, Sweep

    Answer: TypeAlias = Solution | Distribution | Sweep


def answer_text(answer: Answer, request: Request, seconds: float, constraints: Mapping[str, str]) -> str:
    """Write the answer for a terminal of its width; `constraints`: those of the model, by name."""
    from fsp.distribution import Solution, Sweep
    from fsp.output.records import marginal_text, violation_lines

    width = shutil.get_terminal_size((120, 24)).columns
    if isinstance(answer, Sweep):
        return _sweep_text(answer, request, seconds, width)
    if isinstance(answer, Solution):
        work = f"{answer.solver}: {answer.n_matvec:,} products, {seconds:.3g} s"
        lines = [answer.table(width), work, *(f"note: {note}" for note in answer.remarks())]
    else:
        lines = [str(answer), f"{seconds:.3g} s"]
    lines += violation_lines(answer, constraints)
    tables = [f"\n{marginal_text(answer, name, width)}" for name in request.printing.marginal]
    return "\n".join(lines + tables)


def _sweep_text(answer: Sweep, request: Request, seconds: float, width: int) -> str:
    from fsp.output.records import marginal_text

    lines = [str(answer), f"{answer.n_matvec:,} products, {seconds:.3g} s"]
    for name in request.printing.marginal:
        lines += [f"\n{answer.label(i)}\n{marginal_text(answer[i], name, width)}" for i in answer.solved]
    return "\n".join(lines)


def answer_json(answer: Answer, request: Request, seconds: float, constraints: Mapping[str, str]) -> str:
    """Write the answer for programs."""
    from fsp.distribution import Sweep
    from fsp.output.records import answer_record, sweep_record, to_json

    head = {"fsp": fsp.__version__, "tol": request.tol, "seconds": seconds}
    if isinstance(answer, Sweep):
        return to_json({**head, **sweep_record(answer, request.printing.marginal)})
    return to_json({**head, **answer_record(answer, request.printing.marginal, constraints)})
