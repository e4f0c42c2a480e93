"""Go on from what an earlier computation has reached: one way for runs, sweeps, batches and checkpoints on ranks.

`Request` is what a computation shares with one that goes on from it.  A `Continuation` holds what is asked and what is
done, and calls what solves for the rest; wherever what is done comes from, a file, a checkpoint or the memory, it is a
`Solution` that is not complete.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fsp.distribution.text import is_same_time
from fsp.errors import ArgumentError, Interrupted
from fsp.model.fingerprint import why_different

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.distribution.solution import Solution
    from fsp.model import Model


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: a model, by its hash, at times, to a tolerance, from its own start or another one."""

    model: str
    times: tuple[float, ...]
    tol: float
    start: str = ""  # in a word that no other start has; empty for that of the model

    @classmethod
    def of(cls, model: Model, times: Sequence[float], tol: float, start: str = "") -> Request:
        """Return what is asked of a model."""
        return cls(model.hash, tuple(map(float, times)), float(tol), start)

    @classmethod
    def by(cls, solution: Solution) -> Request:
        """Return what a solution was asked for, whether it is complete or not."""
        return cls(solution.model_hash, solution.asked, solution.tol, str(solution.options.get("start", "")))

    def differences(self, begun: Request) -> list[str]:
        """Return the words for what another computation was begun with."""
        same = {
            "the model": self.model == begun.model,
            "`times`": self.times == begun.times or self._goes_on_after(begun),
            "`tol`": self.tol == begun.tol,
            "`start`": self.start == begun.start,
        }
        return [name for name, agrees in same.items() if not agrees]

    def extends(self, begun: Request) -> bool:
        """Tell whether what another computation was begun with is the same, but for times after all of its own."""
        return replace(self, times=begun.times) == begun and self._goes_on_after(begun)

    def _goes_on_after(self, begun: Request) -> bool:
        n = len(begun.times)
        return 0 < n < len(self.times) and all(map(is_same_time, self.times[:n], begun.times))

    def why(self, begun: Request) -> str:
        """Return what to add where a model cannot be the same one."""
        return why_different(self.model, begun.model)


def require_same(what: str, different: Sequence[str], more: str = "", why: str = "") -> None:
    """Raise an ArgumentError that names what differs from what a run or a sweep was begun with."""
    if different:
        raise ArgumentError(
            f"A {what} must be resumed with what it was begun with, but {' and '.join(different)} differ{more}.{why}"
        )


@dataclass(frozen=True, slots=True)
class Continuation:
    """A transient, of which `done` has the beginning, None where there is none.

    It may have been asked for the first of the times alone.  An ArgumentError says where it is of another model, or was
    asked for other times or another tolerance.
    """

    asked: Request
    done: Solution | None = None

    def __post_init__(self) -> None:
        if self.done is not None:
            begun = Request.by(self.done)
            if self.asked.extends(begun):
                later = self.asked.times[len(begun.times) :]
                object.__setattr__(self, "done", self.done.going_on(later))
                object.__setattr__(self, "asked", replace(self.asked, times=(*begun.times, *later)))
                return
            times = ", ".join(f"{t:g}" for t in begun.times)
            more = f": it was begun with tol = {begun.tol:g} and times {times}, after which others may follow"
            require_same("run", self.asked.differences(begun), more, self.asked.why(begun))

    def run(self, solve: Callable[[Sequence[float], Solution | None], Solution]) -> Solution:
        """Return the whole solution; `solve` is called with the times that are left, and what to start from."""
        if self.done is None:
            return solve(self.asked.times, None)
        if self.done.complete:
            return self.done
        try:
            return self.done.joined(solve(self.done.pending, self.done))
        except Interrupted as stop:
            raise Interrupted(str(stop), self.completed(stop.solution)) from stop

    def completed(self, rest: Solution | None) -> Any:
        """Return what is done and the rest that was reached as one."""
        if self.done is None or rest is None:
            return rest if self.done is None else self.done
        return self.done.joined(rest)

    def telling(self, progress: Callable[[Any], None] | None) -> Callable[[Any], None] | None:
        """Return a progress callback for the rest, of which `progress` hears as of the whole."""
        if progress is None or self.done is None:
            return progress

        def tell(moment: Any) -> None:
            reached = moment.reached
            progress(moment if reached is None else replace(moment, reached=lambda: self.completed(reached())))

        return tell
