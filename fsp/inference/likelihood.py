"""The log-likelihood of counted molecules, as an interval in nats.

Let y <= p be stored, and T(z | x) >= 0 what the instrument makes of a state, Σ_z T <= 1.
Uniformization with a rate above the largest exit rate adds only numbers that are not negative, none of which has lost
its digits, so that each y_x has a relative error, and so has ``y_z = Σ_x T(z | x) y_x``, however small it is.
`fsp.inference.cell_probabilities` bounds what cells contribute; δ, what y lacks, is lowered until the interval is as
narrow as was asked for.  Gradients are made by `fsp.inference.score`.

References
----------
Z. Fox, G. Neuert, B. Munsky, Finite state projection based bounds to compare chemical master equation models using
single-cell data, J. Chem. Phys. 145 (2016) 074101, doi:10.1063/1.4960505.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fsp import defaults
from fsp.arithmetic import sum_down, sum_up
from fsp.bars import barred, callback, silent
from fsp.checks import check_processes, check_width
from fsp.distribution import Interval
from fsp.distribution.counts import Counts
from fsp.distribution.log_likelihood import LogLikelihood
from fsp.errors import ArgumentError, BackendError
from fsp.inference.adjoint_space import Met, chosen_method, require_adjoint, together
from fsp.inference.cell_probabilities import contribution
from fsp.inference.conditions import of_each
from fsp.inference.counts import check_counts
from fsp.inference.distributions import distributions
from fsp.inference.extrinsic import ParameterLaw, laws_of
from fsp.inference.instrument_scores import require_known
from fsp.inference.instruments import Instrument, instruments_of
from fsp.inference.loop import check_start
from fsp.inference.parameters import require_fixed_observables, require_unmoved_instruments
from fsp.inference.problem import Limits
from fsp.inference.score import by_adjoint, by_adjoint_in_time, by_forward, by_mixture
from fsp.inference.stationary_mixing import mixing_of
from fsp.inference.timed_events import taken_apart, written_into_rates
from fsp.model.arguments import check_call

if TYPE_CHECKING:
    from fsp.inference.beginning import Beginning
    from fsp.inference.problem import Reached
    from fsp.model import Model
    from fsp.projection.progress import ProgressCallback
    from fsp.space.base import BaseSpace

FIRST_LOSS = 1e-7  # of probability, with which the first run begins
FIRST_CHANGING = 1e-12  # where rates change: there less loss takes a few states more, and no more steps
LOSS_CAUTION = 0.2  # of the loss that would just do
UNSEEN_CELL = 1e-6  # of the loss, where a cell has no probability at all
MOST_RUNS = 12  # each with a smaller loss; chosen, not measured
LEAST_LOSS = 1e-60  # below which a cell that still has no probability is reported


@dataclass(frozen=True, slots=True, repr=False, eq=False, kw_only=True)
class Likelihood(LogLikelihood):
    """A log-likelihood, with its parts by time and condition.

    Parameters
    ----------
    value
        The interval, in nats.
    by_time
        Log-likelihood of the cells at each time.
    impossible
        Cells to which the model gives no probability, in words; the log-likelihood is then minus infinity.
    model, counts, instruments, limits, start
        What the log-likelihood is of: model, counts and instruments; limits of computations; where cells begin.
    by_condition
        Log-likelihood of the cells of each condition, where there are several; `by_time` and `by_cell` are then empty,
        and those of each condition have them.
    extrinsic
        Laws of parameters that differ among cells.
    """

    model: Model
    instruments: tuple[Instrument, ...]
    limits: Limits
    start: str | None = None
    extrinsic: Mapping[str, ParameterLaw] | None = None
    _met: Met | None = None  # by the run that found it, where a gradient begins with them

    @barred()
    def gradient(
        self,
        parameters: Sequence[str],
        *,
        method: str = "auto",
        processes: int | None = None,
        progress: ProgressCallback | bool | None = None,
    ) -> dict[str, Interval]:
        """Bound the derivatives by the logarithms of parameters.

        Parameters
        ----------
        parameters
            Their names, as for `fsp.sensitivity`; where parameters differ among cells, also those that are the mean or
            the variation of a law.
        method
            ``"adjoint"``, backwards from the cells, which costs hardly more for many parameters and knows cells however
            improbable they are; ``"forward"``, by the derivatives of the distribution; ``"auto"`` takes the adjoint
            wherever it can be had.
        processes
            Number of worker processes for the conditions, as for `fsp.likelihood`.
        progress
            True for a bar; or a function that is called with a `Progress` now and then.

        Returns
        -------
        dict
            An interval for each parameter; not certified and without ends where nothing bounds what it changes on
            states that are not stored, or, forward, a cell is so improbable that rounding of the derivatives hides what
            it contributes.

        Raises
        ------
        ArgumentError
            If a cell has no probability, an instrument depends on a parameter, or what `fsp.sensitivity` refuses.
        BackendError
            If the adjoint is asked for where it cannot be had, or rates depend on time where cells differ.
        """
        if self.impossible:
            raise ArgumentError(f"A gradient must be of cells that are possible, but {self.impossible[0]}.")
        check_processes(processes)
        report = callback(progress) or silent
        if self.by_condition:
            slopes = _ConditionSlopes(list(self.by_condition.values()), parameters, method)
            return _added(of_each(slopes, list(self.by_condition), processes, report))
        limits = replace(self.limits, report=report)
        require_known(self.model, [parameters] if isinstance(parameters, str) else parameters, self.instruments)
        require_fixed_observables(self.model, parameters, self.counts.observed)
        instruments = tuple(i.at(self.model.parameters) for i in self.instruments)
        if self.extrinsic:
            return self._of_mixture(parameters, method, instruments, limits)
        chosen = chosen_method(method, self.model, self.start)
        of_cells, gradient = (self.model, self.counts, instruments, parameters), None
        if chosen == "adjoint":
            gradient = by_adjoint(*of_cells, self.least, self.start, limits)
        elif chosen == "in time":
            gradient = by_adjoint_in_time(*of_cells, self.start, limits, self._met)
        if gradient is not None:
            return gradient
        require_adjoint(method)
        return by_forward(*of_cells, self.least, limits, self.start)

    def _of_mixture(
        self, parameters: Sequence[str], method: str, instruments: Sequence[Instrument], limits: Limits
    ) -> dict[str, Interval]:
        """Return the gradient of cells that differ; refuse what is not taken back from the cells."""
        if chosen_method(method, self.model, self.start) != "adjoint" or self.extrinsic is None:
            what = "rates must not depend on time" if self.model.is_time_dependent else "`method` must be 'adjoint'"
            what = "cells must not begin in stationary distributions" if self.start else what
            raise BackendError(
                f"Where {', '.join(self.extrinsic or ())} differ among cells, {what} for a gradient; differences of "
                f"log-likelihoods, which are intervals, bound it roughly."
            )
        return by_mixture(self.model, self.counts, instruments, parameters, self.extrinsic, self.least, limits)


@barred()
def likelihood(
    model: Model,
    counts: Counts,
    *,
    width: float = defaults.LIKELIHOOD_WIDTH,
    instrument: Instrument | Mapping[str, Instrument] | None = None,
    extrinsic: Mapping[str, ParameterLaw] | None = None,
    start: str | None = None,
    processes: int | None = None,
    max_states: int | None = None,
    max_memory: int | None = None,
    max_work: float | None = None,
    progress: ProgressCallback | bool | None = None,
) -> Likelihood:
    """Return the log-likelihood of counted molecules as an interval.

    Parameters
    ----------
    model
        The reaction network, as for `fsp.sensitivity`.
    counts
        What `fsp.read_counts` returns.
    width
        Width of the interval that is asked for, in nats; the computation is repeated with less loss until it is met.
    instrument
        The measurement, from the counts in cells to those that are seen: `fsp.Binomial`, `fsp.Poisson`, `fsp.Normal` or
        `fsp.Bins`; a matrix (m, x) of the probabilities that 0, 1, … m - 1 are seen of 0, 1, … x - 1; or a function of
        both, in arrays; for all that was observed or by name.  Without one all molecules were seen.
    extrinsic
        Laws of parameters that differ among cells, as for `fsp.mixture`.
    start
        Where cells begin, as for `fsp.sensitivity`.
    processes
        Number of worker processes for the conditions, whose answers do not depend on it; by default the first is
        computed here, and the others in one for each processor where that takes less time.
    max_states, max_memory, max_work
        Limits, as for `fsp.transient`; of each condition.
    progress
        True for a bar; or a function that is called with a `Progress` now and then.

    Returns
    -------
    Likelihood
        Its `value` is the interval.  Where a cell has no probability it is minus infinity, and `impossible` names it.

    Raises
    ------
    ArgumentError
        If counts are of what is no species of the model, or an argument is not as above.
    BackendError
        If an event takes place at no known time, or time is no factor of a propensity.
    StateSpaceError
        If the width cannot be met within the limits.
    ConvergenceError
        If that takes too much work.

    References
    ----------
    Z. Fox, G. Neuert, B. Munsky, J. Chem. Phys. 145 (2016) 074101, doi:10.1063/1.4960505.

    Examples
    --------
    >>> counts = fsp.read_counts("cells.csv", counts={"X": "rna"})  # doctest: +SKIP
    >>> fsp.likelihood(model, counts).value  # doctest: +SKIP
    """
    check_call(model, max_states=max_states, max_memory=max_memory, max_work=max_work, progress=progress)
    check_counts(counts)
    check_width(width)
    check_start(start)
    check_processes(processes)
    if extrinsic is not None:
        extrinsic = laws_of(extrinsic, model)
    counts.require_unit_of(model)
    if counts.conditions:
        more = {
            "extrinsic": extrinsic,
            "start": start,
            "max_states": max_states,
            "max_memory": max_memory,
            "max_work": max_work,
        }
        values = _ConditionValues(model, counts, width, instrument, more)
        return _of_conditions(values, processes, callback(progress) or silent)
    instruments = instruments_of(instrument, counts.observed)
    require_unmoved_instruments(model, instruments)
    counts.require_known_to(model)
    require_fixed_observables(model, tuple(extrinsic or ()), counts.observed, "`extrinsic`", "what is counted")
    model = model if taken_apart(model)[1] and extrinsic is None else written_into_rates(model)
    counts = counts.standing([i.at(model.parameters) for i in instruments])
    limits = Limits(max_states, max_memory, max_work, callback(progress) or silent)
    return _narrowed(model, counts, width, instruments, limits, start, extrinsic)


def _narrowed(
    model: Model,
    counts: Counts,
    width: float,
    instruments: tuple[Instrument, ...],
    limits: Limits,
    start: str | None,
    extrinsic: Mapping[str, ParameterLaw] | None,
) -> Likelihood:
    """Return the log-likelihood of cells of one condition, with less and less loss until it is as narrow as asked."""
    changing = taken_apart(model)[0].is_time_dependent
    loss = FIRST_CHANGING if changing else FIRST_LOSS
    before = [(math.inf, math.inf)] * len(counts.times)  # absolute errors, and what was lacking
    mixing = None if extrinsic is None else mixing_of(model, extrinsic, counts.times, limits, start)
    seen_by = tuple(i.at(model.parameters) for i in instruments)
    for run in range(MOST_RUNS):
        spaces: list[BaseSpace] = []
        begun: list[Beginning] = []
        if mixing:
            reached = mixing.reached(loss)
        else:
            reached = distributions(model, counts.times, loss, limits, start, spaces.append, begun.append)
        parts = [contribution(answer, counts, i, seen_by) for i, answer in enumerate(reached)]
        by_time = tuple(part.together for part in parts)
        unseen = [text for part in parts for text in part.impossible]
        low, high = sum_down(*(part.lower for part in by_time)), sum_up(*(part.upper for part in by_time))
        exact = not changing and all(answer.lacking == 0.0 for answer in reached)
        # Less loss does not help once an absolute error is larger, and does not fall with it.
        hidden = (changing or (mixing is not None and start is not None)) and all(
            answer.lacking <= answer.absolute and answer.absolute > 0.5 * absolute
            for answer, (absolute, _) in zip(reached, before, strict=True)
        )
        if start is not None and not unseen:
            hidden |= _law_lacks(reached, [lacking for _, lacking in before], loss)
        before = [(answer.absolute, answer.lacking) for answer in reached]
        if high - low <= width or exact or hidden or run == MOST_RUNS - 1 or (unseen and loss < LEAST_LOSS):
            break
        loss *= UNSEEN_CELL if unseen else min(0.5, LOSS_CAUTION * width / (high - low))
    value = Interval(low, high, low if unseen else 0.5 * (low + high), not by_time[0].reason, by_time[0].reason)
    limits = replace(limits, report=silent)  # a gradient is asked for later, and by another `progress`
    in_time = chosen_method("auto", model, start) == "in time"
    met = Met(together(spaces), begun[-1].moments.law) if spaces and in_time else None
    logs, impossible = tuple(part.logs for part in parts), tuple(unseen)
    return Likelihood(
        value,
        by_time,
        impossible,
        counts,
        logs=logs,
        model=model,
        instruments=instruments,
        limits=limits,
        start=start,
        extrinsic=extrinsic,
        _met=met,
    )


def _law_lacks(reached: Sequence[Reached], before: Sequence[float], loss: float) -> bool:
    """Tell whether most of what is lacking is what a stationary law lacks however little a run loses."""
    return all(
        answer.lacking > max(0.5 * earlier, 10.0 * loss) for answer, earlier in zip(reached, before, strict=True)
    )


@dataclass(frozen=True, slots=True)
class _ConditionValues:
    """Computes the log-likelihood of each condition, which sets its parameters and initial counts."""

    model: Model
    counts: Counts
    width: float  # of all together
    instrument: Instrument | Mapping[str, Instrument] | None
    more: Mapping[str, Any]

    def of(self, k: int, report: ProgressCallback) -> Likelihood:
        """Return the log-likelihood of the k-th condition."""
        counts, condition = self.counts, self.counts.conditions[k]
        given = dict(zip(counts.observed, instruments_of(self.instrument, counts.observed), strict=True))
        return likelihood(
            condition.of(self.model),
            condition.counts,
            width=self.width / len(counts.conditions),
            instrument={name: given[name] for name in condition.counts.observed},
            progress=report,
            **self.more,
        )


@dataclass(frozen=True, slots=True)
class _ConditionSlopes:
    """Computes the gradient of each condition."""

    parts: Sequence[LogLikelihood]
    parameters: Sequence[str]
    method: str

    def of(self, k: int, report: ProgressCallback) -> dict[str, Interval]:
        """Return the gradient of the k-th condition."""
        return self.parts[k].gradient(self.parameters, method=self.method, progress=report)


def _of_conditions(values: _ConditionValues, processes: int | None, report: ProgressCallback) -> Likelihood:
    """Return the log-likelihood of all conditions."""
    model, counts, more = values.model, values.counts, values.more
    labels = [condition.label for condition in counts.conditions]
    parts = dict(zip(labels, of_each(values, labels, processes, report), strict=True))
    value, *others = [part.value for part in parts.values()]
    for other in others:
        value = value + other
    impossible = tuple(f"{label}: {text}" for label, part in parts.items() for text in part.impossible)
    first = next(iter(parts.values()))
    return Likelihood(
        value,
        (),
        impossible,
        counts,
        by_condition=parts,
        model=model,
        instruments=(),
        limits=first.limits,
        start=more["start"],
        extrinsic=more["extrinsic"],
    )


def _added(gradients: Sequence[Mapping[str, Interval]]) -> dict[str, Interval]:
    """Return the sums of the derivatives of several conditions."""
    total = dict(gradients[0])
    for gradient in gradients[1:]:
        total = {name: interval + gradient[name] for name, interval in total.items()}
    return total
