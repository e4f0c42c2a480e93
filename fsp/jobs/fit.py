"""Estimate parameters from counted cells: ascents from several starts, in this process or in several."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp import defaults
from fsp.bars import barred, callback
from fsp.checks import check_choice, check_level, check_processes, check_whole, check_width
from fsp.crew import Items, Outcome, dealt
from fsp.distribution.counts import Counts
from fsp.distribution.fit import INTERVAL_METHODS, Fit
from fsp.doors import BACKENDS, ranks_named
from fsp.errors import ArgumentError, Interrupted, ToleranceWarning
from fsp.generator.threads import n_processors
from fsp.inference.ascent import Summit, ascend
from fsp.inference.counts import check_counts
from fsp.inference.extrinsic import ParameterLaw, laws_of, require_no_start
from fsp.inference.objective import Objective
from fsp.inference.priors import priors_of, ranged
from fsp.inference.problem import Limits
from fsp.inference.search import FitTask, Search, ascents, curve, with_curvature
from fsp.model.arguments import check_call

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.inference.instruments import Instrument
    from fsp.model import Model
    from fsp.projection.progress import SweepCallback


@barred()
def fit(
    model: Model,
    counts: Counts,
    free: Mapping[str, tuple[float, float]],
    *,
    instrument: Instrument | Mapping[str, Instrument] | None = None,
    extrinsic: Mapping[str, ParameterLaw] | None = None,
    priors: Mapping[str, Any] | None = None,
    start: str | None = None,
    starts: int = defaults.STARTS,
    seed: int = 0,
    width: float = defaults.LIKELIHOOD_WIDTH,
    level: float = defaults.LEVEL,
    intervals: str = "profile",
    processes: int | None = None,
    backend: str = "serial",
    comm: Any = None,
    max_states: int | None = None,
    max_memory: int | None = None,
    max_work: float | None = None,
    resume: Fit | None = None,
    progress: SweepCallback | bool | None = None,
) -> Fit:
    """Estimate parameters by the largest likelihood, or the largest posterior density.

    The logarithms of the parameters are moved from each start by Fisher scoring with exact derivatives, and a secant
    for what the expected information lacks of the second derivatives; the space of states is kept between evaluations
    as long as it does.

    Parameters
    ----------
    model
        The reaction network, as for `fsp.likelihood`; its parameters that are not free keep their values.  Where
        propensities depend on time, events set counts, or the start is stationary, the search takes values and
        derivatives to tolerances that are estimated (about 1e-6 of the log-likelihood of a cell); the log-likelihood
        where each start ends is certified.
    counts
        What `fsp.read_counts` returns.
    free
        Bounds of each parameter that is estimated, by name: positive numbers ``(low, high)``.  Parameters of
        instruments may be among them.
    instrument
        The measurement, from the counts in cells to those that are seen, as for `fsp.likelihood`.
    extrinsic
        Laws of parameters that differ among cells, as for `fsp.mixture`; without `start`, where propensities do not
        depend on time.  Parameters by which a law is given, ``fsp.Gamma("k", "cv")``, may be free.
    priors
        Densities of free parameters: frozen continuous distributions of scipy.stats, such as ``lognorm(1.0)``.  The
        density of the parameter itself counts, within its bounds.
    start
        Where cells begin, as for `fsp.likelihood`.
    starts
        Number of starts: the values of the model, where they are within the bounds, and a Latin hypercube of the
        logarithms.
    seed
        Whole number from which the starts come.
    width
        Width of the interval of the log-likelihood at the estimates, in nats; it is looser far from them.
    level
        Confidence of the intervals.
    intervals
        ``"profile"`` for profiles of the likelihood; ``"fisher"`` for the expected information alone, which takes no
        further computation; ``"observed"`` for the second derivatives at the estimates too, which take as long as a
        few gradients for each parameter, where rates are constant and instruments and starts have no free parameter.
    processes
        Number of worker processes for the starts, and for the profiles; by default one for each processor, where that
        is worth their start.
    backend, comm
        ``"petsc"`` for starts and profiles on many ranks, dealt out in turn: all ranks call with the same arguments and
        have the answer.  `comm` takes a communicator for fewer ranks than all.
    max_states, max_memory, max_work
        Limits of each evaluation, as for `fsp.transient`; a start that passes one is given up, and said to be.
    resume
        A fit of the same that was stopped: its starts are not made again.
    progress
        True for a bar, in a notebook and on a terminal; or a function that is called with a `SweepProgress` now
        and then, whose message is the best so far; may raise KeyboardInterrupt.

    Returns
    -------
    Fit
        Estimates, their intervals, the log-likelihood as an interval, and what should be known of them.

    Raises
    ------
    ArgumentError
        If a parameter is unknown, in no rate, or without bounds; if it changes what an event sets counts to, or within
        its bounds moves such an event past a time of cells, or past an event that sets or reads the same; if counts are
        not those of the model, or a cell has no probability wherever the search begins, and it is named; if an argument
        is not as above.
    ModelError
        If a propensity is a callable, or not smooth in a parameter.
    BackendError
        If an event is triggered by the state, or has a priority; if it sets counts while parameters differ among cells.
    FSPError
        The error of the last start, if all fail.
    Interrupted
        On Ctrl-C; its ``solution`` is the fit of the starts that were made, None where there is none.

    Warns
    -----
    ToleranceWarning
        If the log-likelihood at the estimates is not known to `width`.

    References
    ----------
    Z. Fox, B. Munsky, PLoS Comput. Biol. 15 (2019) e1006365, doi:10.1371/journal.pcbi.1006365.

    Examples
    --------
    >>> model = fsp.Model(
    ...     species={"X": 0}, parameters={"k": 5.0, "g": 1.0},
    ...     reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")],
    ... )
    >>> cells = fsp.read_counts({"time": [1.0, 1.0, 1.0, 2.0, 2.0, 2.0], "n": [5, 7, 6, 8, 9, 11]}, counts={"X": "n"})
    >>> found = fsp.fit(model, cells, {"k": (1, 100)}, starts=2)
    >>> print(f"{found.parameters['k']:.3f}")  # 46 cells at k (1 - exp(-t)): 46/(3 (2 - exp(-1) - exp(-2)))
    10.244
    """
    check_call(model, max_states=max_states, max_memory=max_memory, max_work=max_work, progress=progress)
    _check_arguments(counts, starts, width, level, intervals, processes)
    ranges = ranged(free)
    limits = Limits(max_states, max_memory, max_work)
    values = _values_within(model, ranges)
    laws = priors_of(ranges, priors)
    counts.require_unit_of(model)
    if extrinsic is not None:
        require_no_start(start)
        extrinsic = laws_of(extrinsic, model)
    objective = Objective.of(
        model.with_parameters(values), counts, tuple(ranges), laws, instrument, limits, start, extrinsic
    )
    told = f"{instrument} {extrinsic}" if extrinsic else str(instrument)
    if intervals == "observed":
        objective.require_curvature()
    words = (model.hash, ranges, told, start, _told(priors), starts, seed, width, _digest(counts))
    asked = hashlib.sha256(repr(words).encode()).hexdigest()
    task = FitTask(model, counts, objective, width, level, instrument, limits, asked, start, extrinsic)
    search = Search(task, _starts(model, task, starts, seed), resume, callback(progress))
    try:
        fitted = _fitted(search, processes, backend, comm, profiles=intervals == "profile")
        if intervals == "observed":
            fitted = with_curvature(fitted, task)
    except KeyboardInterrupt as stop:
        raise Interrupted(f"stopped after {search.done} of {starts} starts", search.partial()) from stop
    if fitted.likelihood.width > width:
        warnings.warn(
            f"The log-likelihood at the estimates is known to {fitted.likelihood.width:.1e} nats, not to {width:g}; "
            f"raise the limits.",
            ToleranceWarning,
            stacklevel=2,
        )
    return fitted


def _fitted(search: Search, processes: int | None, backend: str, comm: Any, *, profiles: bool) -> Fit:
    """Make the starts and the answer, in this process and its workers, or on ranks."""
    if backend != BACKENDS[0]:
        if processes is not None:
            raise ArgumentError(f"`processes` must be left out with backend={backend!r}, but is {processes!r}.")
        ranks = ranks_named(backend, comm)
        from fsp.jobs.fit_on_ranks import fitted_on_ranks

        return fitted_on_ranks(search, ranks.comm, profiles=profiles)
    if comm is not None:
        raise ArgumentError("`comm` must come with backend='petsc', but `backend` is 'serial'.")
    workers = n_processors() if processes is None else processes
    shared = partial(dealt, workers=workers, tick=search.report, asked=processes is not None)
    makes_starts = Ascents(search.task, search.starts[0])
    starts = [(i, search.starts[i].tolist()) for i in search.left]
    for outcome in shared(starts, here=partial(_ascents_here, search), away=makes_starts):
        search.enter(outcome.index, outcome.value, outcome.error)
    summit, curves = search.polished(), dict[str, "FloatArray"]()
    names = search.task.objective.names
    wanted = [(k, k) for k in range(len(names))] if profiles else []
    makes_curves = Curves(search.task, summit)
    for outcome in shared(wanted, here=partial(_curves_here, search, summit), away=makes_curves):
        if outcome.error is not None:
            raise outcome.error
        curves[names[outcome.index]] = outcome.value
    return search.made_of(summit, {name: curves[name] for name in names if name in curves})


def _check_arguments(
    counts: Counts, starts: int, width: float, level: float, intervals: str, processes: int | None
) -> None:
    check_counts(counts)
    check_whole("starts", starts, 1)
    check_width(width)
    check_level(level)
    check_choice("intervals", intervals, INTERVAL_METHODS)
    check_processes(processes)


def _values_within(model: Model, ranges: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Return values of the free parameters: the model's, or the middle of the bounds where those are outside."""
    unknown = [name for name in ranges if name not in model.definition.parameters]
    if unknown:
        known = ", ".join(model.definition.parameters) or "none"
        raise ArgumentError(f"`free` must be parameters of the model, {known}, but one is '{unknown[0]}'.")
    return {
        name: model.parameters[name] if low <= model.parameters.get(name, math.nan) <= high else math.sqrt(low * high)
        for name, (low, high) in ranges.items()
    }


def _starts(model: Model, task: FitTask, starts: int, seed: int) -> FloatArray:
    """Return logarithms of parameters (n, q) where the ascents begin."""
    from scipy.stats import qmc

    check_whole("seed", seed, 0, None)
    low, high = task.low, task.high
    given = np.log([max(model.parameters.get(name, 0.0), 1e-300) for name in task.objective.names])
    inside = ((low <= given) & (given <= high)).all()
    drawn = qmc.LatinHypercube(len(low), seed=np.random.default_rng(seed)).random(starts)
    points = low + (high - low) * drawn
    if inside:
        points[0] = given
    return points


def _told(priors: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Return priors as words that are the same in each process."""
    laws = (priors or {}).items()
    return [(name, f"{law.dist.name}{law.args}{law.kwds}" if hasattr(law, "dist") else repr(law)) for name, law in laws]


def _digest(counts: Counts) -> str:
    digest = hashlib.sha256()
    for condition in counts.groups:
        digest.update(repr((condition.label, sorted(condition.settings.items()), condition.counts.observed)).encode())
        for array in (condition.counts.times, *condition.counts.values, *condition.counts.cells):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class Ascents:
    """Makes the ascent from a start, in whichever process it is."""

    task: FitTask
    towards: FloatArray  # (q,) where starts are moved to that cannot be computed

    def __call__(self, start: Sequence[float], first: bool) -> Summit:
        """Return the summit that is reached."""
        task = self.task
        return ascend(task.objective.at, np.array(start), task.low, task.high, self.towards)


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Makes the profile of a parameter, in whichever process it is."""

    task: FitTask
    summit: Summit

    def __call__(self, k: int, first: bool) -> FloatArray:
        """Return the values of the k-th parameter, and the largest log-likelihoods, (2, n)."""
        return curve(self.task.objective.at, self.task, self.summit, k)


def _ascents_here(search: Search, todo: Items) -> Iterator[Outcome]:
    for i, summit, error in ascents(search, [i for i, _ in todo]):
        yield Outcome(i, summit, error)


def _curves_here(search: Search, summit: Summit, todo: Items) -> Iterator[Outcome]:
    for k, _ in todo:
        yield Outcome(k, curve(search.watched, search.task, summit, k))
