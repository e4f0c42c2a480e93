"""The search of a fit: what became of its starts, the best of their ends, and what the answer is made of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.distribution.counts import Counts
from fsp.distribution.fit import REACHED, Estimates, Fit, FitStart, Panel, quantile
from fsp.distribution.ledger import Interval
from fsp.errors import ArgumentError, ConvergenceError, FSPError, StateSpaceError
from fsp.inference.ascent import Evaluate, Summit, UnreachableError, ascend, polish
from fsp.inference.identifiability import remarks
from fsp.inference.likelihood import Likelihood, likelihood
from fsp.inference.objective import Objective
from fsp.inference.part import Point
from fsp.inference.problem import Limits
from fsp.inference.profiles import profile
from fsp.projection.progress import SweepProgress
from fsp.projection.watch import stop_requested

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.inference.extrinsic import ParameterLaw
    from fsp.inference.instruments import Instrument
    from fsp.model import Model
    from fsp.projection.progress import SweepCallback

HIDDEN_NATS = 20.0  # nats that a lower bound far from an optimum may hide, if its gap is that large; chosen
# Nats that polishing may gain where an ascent ended: along a ridge of the STL1 model 0.6, where 1e-4 were promised.
POLISHED = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class FitTask:
    """What all starts of a fit have in common."""

    model: Model
    counts: Counts
    objective: Objective
    width: float
    level: float
    instrument: Instrument | Mapping[str, Instrument] | None
    limits: Limits
    asked: str
    start: str | None = None
    extrinsic: Mapping[str, ParameterLaw] | None = None

    @property
    def low(self) -> FloatArray:
        """(q,) lower bounds of the logarithms."""
        return np.array([prior.low for prior in self.objective.priors])

    @property
    def high(self) -> FloatArray:
        """(q,) upper bounds of the logarithms."""
        return np.array([prior.high for prior in self.objective.priors])


class Search:
    """What is known of a fit so far."""

    def __init__(self, task: FitTask, starts: FloatArray, resume: Fit | None, progress: SweepCallback | None) -> None:
        self.task, self.starts = task, starts
        self._progress = progress
        self._ends: list[FitStart | None] = [None] * len(starts)
        self._gaps = [HIDDEN_NATS] * len(starts)
        self._lacking: list[FloatArray | None] = [None] * len(starts)  # of the information, by the ascents
        self._known: Likelihood | None = None  # at the best of ends
        self._error: Exception | None = None
        if resume is not None:
            self._take_over(resume)

    @property
    def done(self) -> int:
        """Number of starts that were made."""
        return sum(end is not None for end in self._ends)

    @property
    def left(self) -> list[int]:
        """Numbers of the starts that are to be made."""
        return [i for i, end in enumerate(self._ends) if end is None]

    def enter(self, i: int, summit: Summit | None, error: Exception | None = None, *, tells: bool = True) -> None:
        """Take note of a start that was made, and of where it led; without `tells` no progress is reported."""
        begin = np.exp(self.starts[i])
        if summit is None:
            self._error = error
            self._ends[i] = FitStart(begin, begin, math.nan, str(error) or type(error).__name__)
        else:
            self._gaps[i], self._lacking[i] = summit.point.gap, summit.lacking
            self._ends[i] = FitStart(begin, np.exp(summit.u), summit.point.value, _note(summit), summit.evaluations)
        if tells:
            self.report()

    def report(self, point: object = None) -> None:
        """Say how far it is, and what is best so far; a KeyboardInterrupt where a stop was asked for."""
        if stop_requested.get()():
            raise KeyboardInterrupt
        if self._progress is None:
            return
        failed = sum(end is not None and math.isnan(end.value) for end in self._ends)
        message = ""
        for i in self._made()[:1]:
            named = zip(self.task.objective.names, self._end(i).end.tolist(), strict=True)
            message = f"best {self._end(i).value:.2f} at {', '.join(f'{name} = {x:.4g}' for name, x in named)}"
        counted = self.done, len(self.starts), failed
        self._progress(SweepProgress(*counted, 0, 0.0, message, None, "starts"))

    def watched(self, u: FloatArray, width: float, *, informed: bool = True) -> Point:
        """Evaluate the objective, and let the caller look."""
        self.report()
        return self.task.objective.at(u, width, informed=informed)

    # ---- answers

    def partial(self) -> Fit | None:
        """Return what is known after some of the starts; None where that is nothing."""
        made = self._made()
        if not made:
            return None
        end = self._end(made[0])
        q = len(end.end)
        u = np.log(end.end)
        value = Interval(end.value, math.inf, end.value, False, "the fit was stopped")
        summit = Summit(u, Point(end.value, math.inf, np.zeros(q), np.zeros((q, q))), 0, False)
        return self._fit(summit, value, {}, (), ())

    def made_of(self, summit: Summit, curves: Mapping[str, FloatArray]) -> Fit:
        """Return the fit of a summit, with the profiles of its parameters."""
        task = self.task
        notes = remarks(self.watched, summit, task.objective.names, task.low, task.high, task.width)
        value = (self._known or self._exact(self._model_at(summit))).value
        notes += [*self._of_starts(), *_of_profiles(summit, curves), *_of_search(task, summit, value)]
        return self._fit(summit, value, curves, tuple(notes), tuple(self._panels(summit)))

    def _fit(
        self,
        summit: Summit,
        value: Interval,
        curves: Mapping[str, FloatArray],
        notes: tuple[str, ...],
        panels: tuple[Panel, ...],
    ) -> Fit:
        task = self.task
        names, values = task.objective.names, np.exp(summit.u)
        estimates = Estimates(names, values, np.exp(task.low), np.exp(task.high), summit.point.information, curves)
        return Fit(
            estimates,
            value,
            task.counts.n_cells,
            task.level,
            starts=tuple(end for end in self._ends if end is not None),
            panels=panels,
            notes=notes,
            asked=task.asked,
            complete=not self.left,
            fitted=task.model.with_parameters(dict(zip(names, values.tolist(), strict=True))),
        )

    def _made(self) -> list[int]:
        """Return the starts that led somewhere, by decreasing value."""
        made = [i for i, end in enumerate(self._ends) if end is not None and not math.isnan(end.value)]
        return sorted(made, key=lambda i: -self._end(i).value)

    def _end(self, i: int) -> FitStart:
        end = self._ends[i]
        if end is None:
            raise ValueError("the start must have been made")
        return end

    def polished(self) -> Summit:
        """Return the best summit by log-likelihoods that are known to the width; others may have been hidden."""
        best, height, low, high = None, -math.inf, self.task.low, self.task.high
        for i in self._made():
            end = self._end(i)
            hidden = max(min(self._gaps[i], HIDDEN_NATS), POLISHED)
            if best is not None and end.value + hidden < height - REACHED:
                continue
            try:
                summit = polish(self.watched, np.log(end.end), low, high, self.task.width, lacking=self._lacking[i])
            except (StateSpaceError, ConvergenceError, UnreachableError) as error:
                self._error = error
                self._ends[i] = replace(end, value=math.nan, note=str(error))
                continue
            value, known = self._certified(summit)
            spent = end.evaluations + summit.evaluations
            self._ends[i] = replace(end, end=np.exp(summit.u), value=value, note=_note(summit), evaluations=spent)
            if best is None or value > height:
                best, height, self._known = summit, value, known
        if best is None:
            raise self._refusal()
        return best

    def _certified(self, summit: Summit) -> tuple[float, Likelihood | None]:
        """Return the value at a summit; by a certified log-likelihood where the search took an estimate."""
        if not self.task.objective.estimated:
            return summit.point.value, None
        known = self._exact(self._model_at(summit))
        return known.value.value + self.task.objective.prior_at(summit.u), known

    def _model_at(self, summit: Summit) -> Model:
        values = dict(zip(self.task.objective.names, np.exp(summit.u).tolist(), strict=True))
        return self.task.model.with_parameters(values)

    def _refusal(self) -> Exception:
        """Return why no start led anywhere."""
        error = self._error
        if isinstance(error, UnreachableError):
            values = dict(zip(self.task.objective.names, np.exp(self.starts[0]).tolist(), strict=True))
            impossible = self._exact(self.task.model.with_parameters(values)).impossible
            if impossible:
                return ArgumentError(
                    f"`counts` must be possible under the model, but {impossible[0]}, wherever the search begins; "
                    f"leave it out, or give an `instrument` by which it may be seen."
                )
        if error is None:
            return ConvergenceError("A start must be made, but none was.")
        kind = type(error) if isinstance(error, FSPError) else FSPError
        return kind(f"All {len(self.starts)} starts failed, the last one since: {error}")

    def _exact(self, model: Model) -> Likelihood:
        """Return the certified log-likelihood of all cells."""
        task = self.task
        more = {name: getattr(task.limits, name) for name in ("max_states", "max_memory", "max_work")}
        given: dict[str, Any] = {"instrument": task.instrument, "start": task.start, "extrinsic": task.extrinsic}
        return likelihood(model, task.counts, width=task.width, **given, **more)

    def _panels(self, summit: Summit) -> Iterator[Panel]:
        """Yield data and model for each condition, time and observation."""
        for part, condition in zip(self.task.objective.parts, self.task.counts.groups, strict=True):
            predicted = part.predicted(np.exp(summit.u), self.task.width)
            for i, t in enumerate(part.counts.times.tolist()):
                for c, observed in enumerate(part.counts.observed):
                    values, place = np.unique(part.counts.values[i][:, c], return_inverse=True)
                    cells = np.bincount(place.reshape(-1), part.counts.cells[i]).astype(np.int64)
                    yield Panel(condition.label, t, observed, values, cells, predicted[i][observed])

    def _of_starts(self) -> list[str]:
        failed = [end for end in self._ends if end is not None and math.isnan(end.value)]
        values = np.array([self._end(i).value for i in self._made()])
        notes = [f"{len(failed)} of {len(self._ends)} starts failed, one since: {failed[0].note}"] if failed else []
        if len(values) > 1 and (values >= values.max() - REACHED).sum() == 1:
            notes.append("only one start ended at this optimum; more `starts` would tell whether it is the largest")
        return notes

    def _take_over(self, earlier: Fit) -> None:
        """Keep the starts of a fit that was stopped, if it is this one."""
        if not isinstance(earlier, Fit):
            raise ArgumentError(f"`resume` must be a fit that was stopped, but is {earlier!r}.")
        if earlier.asked != self.task.asked:
            raise ArgumentError(
                "`resume` must be a fit of the same model, cells and options, but is another one; leave it out to "
                "begin anew."
            )
        for end in earlier.starts:
            distance = np.abs(np.log(end.begin) - self.starts).max(axis=1)
            self._ends[int(np.argmin(distance))] = end


def _note(summit: Summit) -> str:
    return "" if summit.converged else "not converged"


def _of_profiles(summit: Summit, curves: Mapping[str, FloatArray]) -> list[str]:
    higher = [name for name, curve in curves.items() if curve[1].max() > summit.point.value + 1e-3]
    return [f"the profile of {higher[0]} found a larger likelihood; take more `starts`"] if higher else []


def _of_search(task: FitTask, summit: Summit, value: Interval) -> list[str]:
    """Say what an estimate was taken for, and how far it was off."""
    if not task.objective.estimated:
        return []
    searched = summit.point.value - task.objective.prior_at(summit.u)
    off = max(value.lower - searched, searched - value.upper, 0.0)
    return [
        f"the search took values and derivatives without a bound, here ≈ {searched:.4f} nats, "
        f"{f'{off:.1e} nats outside' if off else 'within'} the interval of the log-likelihood"
    ]


def ascents(search: Search, todo: Sequence[int]) -> Iterator[tuple[int, Summit | None, Exception | None]]:
    """Make the starts with these numbers, in this process."""
    task, starts = search.task, search.starts
    for i in todo:
        try:
            summit = ascend(search.watched, starts[i], task.low, task.high, starts[0] if i else None)
        except (FSPError, MemoryError) as error:
            yield i, None, error
            continue
        yield i, summit, None


def curve(evaluate: Evaluate, task: FitTask, summit: Summit, k: int) -> FloatArray:
    """Return the profile of the k-th parameter, (2, n): its values, and the largest log-likelihoods."""
    u, values = profile(evaluate, summit, k, task.low, task.high, task.width, quantile(task.level))
    return np.array([np.exp(u), values])


def with_curvature(fit: Fit, task: FitTask) -> Fit:
    """Return a fit with the second derivatives at its estimates."""
    observed = task.objective.observed(np.log(fit.estimates.values), task.width)
    return replace(fit, estimates=replace(fit.estimates, observed=observed))
