"""Import the package and have its kernels compiled: workers are forked from the process that imports this."""

from __future__ import annotations

from examination import judging, networks
from examination.reference import TooLargeError

KINDS = ("open", "bursts", "hill", "conserved", "classes", "absorbing", "timed", "events")


def warm() -> None:
    """Ask one network of each kind everything once, at one tolerance."""
    for kind in KINDS:
        judge = judging.Judge(networks.draw(kind, 0))
        for door, solver in [*(("transient", name) for name in ("auto", *judging.SOLVERS)), ("stationary", "auto")]:
            try:
                judge.ask(judging.Question(door, solver, 1e-4))
            except TooLargeError:
                continue


warm()
