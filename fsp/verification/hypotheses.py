"""What is often wrong with a simulator, and the law that its samples would then have.

A hypothesis gives a distribution for each time.  Where it has a number of its own (a factor of a rate, a volume, a
step), that is fitted by maximum likelihood on the line through two laws, and solved anew.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from fsp import analysis
from fsp.distribution import Distribution, ErrorLedger
from fsp.doors import transient
from fsp.errors import ConvergenceError, FSPError, ToleranceWarning
from fsp.verification import variants
from fsp.verification.discarded import VisitedChain, rules
from fsp.verification.misreadings import has_volumes, misread
from fsp.verification.samples import Runs
from fsp.verification.tallies import first_of, numbered, tally

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.model import Model
    from fsp.verification.samples import Histograms

    Law = Sequence[Distribution]

LAW_TOL = 1e-7  # of the law of a mistake: far below what a test tells apart with 10⁶ runs
UNKNOWN_LAW = 1e-4  # error above which samples would fit any law: such a hypothesis is passed over; chosen
MOST_REACTIONS = 12  # chosen, not measured: whose rates are varied one by one
MOST_VARIED_SPECIES = 12  # chosen, not measured: whose start counts are varied
TAU_RUNS = 10_000  # of tau-leaping, whose law is known from them: their error is that of 10,000 samples; chosen
# chosen: factors between units of time, in which rates are written
UNITS_OF_TIME = tuple(c**s for c in (2.0, 10.0, 24.0, 60.0, 1000.0, 1440.0, 3600.0, np.log(2.0)) for s in (1.0, -1.0))
SIMPLE = 0.005  # relative: how near to one of these a fitted factor must be to be called one; chosen
TAU_PARTS = (1, 2, 5, 10, 20)  # chosen: of the distance between output times


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A mistake."""

    name: str
    text: str
    # gives a distribution for each time; may raise an FSPError where the mistaken model cannot be solved
    law: Callable[[], Law]
    free: int = 0  # how many numbers were fitted
    sampled: int = 0  # the law is known from so many runs only; 0 where it is known


@dataclass(frozen=True, slots=True)
class MistakeFamily:
    """Mistakes that differ by a number, which is 1 where there is none."""

    name: str
    text: str
    model: Callable[[float], Model]

    def meaning(self, value: float) -> str:
        """Return what a fitted number of all rates may mean: a unit of time where it is a simple one, and else not."""
        if self.name != "time-scale":
            return ""
        if any(abs(value / simple - 1) < SIMPLE for simple in UNITS_OF_TIME):
            return ", as in another unit of time"
        return (
            ", which is no ratio of units: the waiting times may come from wrong random numbers; compare the mean of "
            "-ln(u) of the generator with 1, and see whether u is drawn from [0, 1) or (0, 1], and with how many digits"
        )


def hypotheses(model: Model, samples: Runs | Histograms, reference: Law, text: str | None) -> Iterator[Hypothesis]:
    """Yield what may be wrong, without numbers to fit; `text`: the SBML that was read."""
    times = samples.times
    for key, sentence, wrong in () if text is None else misread(text, model, times.tolist()):
        yield Hypothesis(key, sentence, solved(wrong, times, samples.species))
    yield from _of_models(model, times)
    yield from _of_starts(model, times)
    yield from _of_outputs(model, samples, reference)
    if isinstance(samples, Runs) and not model.has_timed_events and not any(model.time_dependent):
        yield from _of_discarded(model, samples, reference)
    if (
        isinstance(samples, Runs)
        and not model.has_timed_events
        and all(reaction.reactants is not None for reaction in model.reactions)
    ):
        yield from _of_steps(model, times, reference)


def families(model: Model, document: str | None = None) -> Iterator[MistakeFamily]:
    """Yield mistakes with a number to fit; `document`: the SBML that was read."""
    names = [reaction.name for reaction in model.reactions]
    for k, name in list(enumerate(names))[:MOST_REACTIONS]:
        words = f"the rate of reaction '{name}' is {{:.4g}} times the right one"
        yield MistakeFamily("rate" if len(names) > 1 else "time-scale", words, _scaling(model, [k]))
    if len(names) > 1:
        text = "all rates are {:.4g} times the right ones"
        yield MistakeFamily("time-scale", text, _scaling(model, range(len(names))))
    if variants.has_orders(model) and (document is None or has_volumes(document)):
        text = "concentrations are taken as amounts, or the reverse: as if the volume were {:.4g}"
        yield MistakeFamily("volume", text, lambda volume: variants.in_volume(model, 1 / volume))


def _scaling(model: Model, numbers: Sequence[int]) -> Callable[[float], Model]:
    return lambda factor: variants.scaled(model, dict.fromkeys(numbers, factor))


def solved(model: Model, times: FloatArray, species: Sequence[str] = ()) -> Callable[[], Law]:
    """Return a function that solves a model at these times, for some species in an order of their own."""

    def law() -> Law:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ToleranceWarning)
            solution = transient(model, times, tol=LAW_TOL)
        if solution.error.total > UNKNOWN_LAW:
            raise ConvergenceError(
                f"The law of a mistake must be known to {UNKNOWN_LAW:g}, but is to {solution.error}."
            )
        return tuple(distribution.marginal(*species) for distribution in solution) if species else tuple(solution)

    return law


def _of_models(model: Model, times: FloatArray) -> Iterator[Hypothesis]:
    for numbers, who in _together(model):
        for name, text, wrong in variants.miscounted(model, numbers):
            yield Hypothesis(name, f"the propensity of {who} {text}", solved(wrong, times))
    if model.n_reactions > 1:
        for k, reaction in list(enumerate(model.reactions))[:MOST_REACTIONS]:
            text = f"reaction '{reaction.name}' is missing"
            yield Hypothesis("missing", text, solved(variants.scaled(model, {k: 0.0}), times))


def _together(model: Model) -> Iterator[tuple[tuple[int, ...], str]]:
    """Yield the reactions in which molecules of one species meet: all of them first, then each by itself."""
    met = tuple(dict.fromkeys(k for k, _, _ in variants.meetings(model)))
    if len(met) > 1:
        yield met, f"each of the {len(met)} reactions in which molecules of one species meet"
    for k in met[:MOST_REACTIONS]:
        yield (k,), f"'{model.reactions[k].name}'"


def _of_starts(model: Model, times: FloatArray) -> Iterator[Hypothesis]:
    for column, name in list(enumerate(model.species))[:MOST_VARIED_SPECIES]:
        for change, word in ((1, "many"), (-1, "few")):
            begun = model.initial_states.copy()
            begun[:, column] += change
            if begun.min() >= 0:
                text = f"runs start with one {name} too {word}"
                wrong = model.starting_in(begun, model.initial_probabilities)
                yield Hypothesis("start", text, solved(wrong, times))


def _of_discarded(model: Model, samples: Runs, reference: Law) -> Iterator[Hypothesis]:
    """Yield runs that are left out by their values; where none comes back from beyond a limit, judged at any time."""
    if not (limits := list(rules(samples, tuple(reference)))):
        return
    try:
        chain = VisitedChain.of(model, samples.times)
    except FSPError:  # there is no law to compare with
        return
    for name, rule in limits:
        if rule.when == "ever" or chain.returns(rule):
            yield Hypothesis("discarded", rule.words(name), partial(chain.law, rule))


def _of_outputs(model: Model, samples: Runs | Histograms, reference: Law) -> Iterator[Hypothesis]:
    times = samples.times
    if len(times) > 1:
        step = float(times[1] - times[0])
        earlier = np.maximum(np.append(times[0] - step, times[:-1]), 0.0)
        later = np.append(times[1:], times[-1] + step)
        from_start = np.append(0.0, times[:-1])
        moves = [(earlier, "before"), (later, "after"), *([(from_start, "before")] if earlier[0] > 0.0 else [])]
        for moved, word in moves:
            text = f"states are written one output time {word} the one they belong to"
            yield Hypothesis(f"index-{word}", text, partial(_at, model, moved))
    if not model.has_timed_events:  # one jump is not all that may happen next
        text = "the state after the first jump past an output time is written, not the one before it"
        yield Hypothesis(
            "after-jump", text, lambda: tuple(after_jump(model, distribution) for distribution in reference)
        )
    for cap, names in _ceilings(samples, reference).items():
        columns = [reference[0].species.index(name) for name in names]
        capped, wrapped = _truncated(reference, columns, cap)
        who = " and ".join(names)
        yield Hypothesis("capped", f"counts of {who} end at {cap}", partial(tuple, capped))
        yield Hypothesis("wrapped", f"counts of {who} start anew above {cap}", partial(tuple, wrapped))


def _ceilings(samples: Runs | Histograms, reference: Law) -> dict[int, list[str]]:
    """Return the largest counts that were seen where larger ones are expected, with the species that have them."""
    caps: dict[int, list[str]] = {}
    for name in samples.species:
        cap = max(int(samples.of(k, name)[0].max()) for k in range(len(samples.times)))
        column = reference[0].species.index(name)
        beyond = max(
            float(distribution.probabilities[distribution.states[:, column] > cap].sum()) for distribution in reference
        )
        if cap > 0 and beyond * samples.n > 5:  # a run in which nothing is left is no limit of counts
            caps.setdefault(cap, []).append(name)
    return caps


def _truncated(reference: Law, columns: Sequence[int], cap: int) -> tuple[Law, Law]:
    """Return the law of counts that stop at `cap`, and that of counts that start again from zero above it."""
    capped: list[Distribution] = []
    wrapped: list[Distribution] = []
    for distribution in reference:
        counts = distribution.states[:, columns]
        for truncated, reduced in ((capped, np.minimum(counts, cap)), (wrapped, counts % (cap + 1))):
            states = distribution.states.copy()
            states[:, columns] = reduced
            truncated.append(_moved(distribution, states))
    return capped, wrapped


def _at(model: Model, times: FloatArray) -> Law:
    """Return the law at times that increase but for repeats of zero."""
    distinct = np.unique(times)
    solution = transient(model, distinct, tol=LAW_TOL)
    return tuple(solution[int(np.searchsorted(distinct, t))] for t in times)


def _moved(distribution: Distribution, states: IntArray, probabilities: FloatArray | None = None) -> Distribution:
    """Return the distribution of a function of the state."""
    weights = distribution.probabilities if probabilities is None else probabilities
    rows, sums, _ = analysis.marginal(states, weights)
    return replace(distribution, states=rows, probabilities=sums, moments=None, state_bounds=None, closed=False)


def after_jump(model: Model, distribution: Distribution) -> Distribution:
    """Return the distribution of the state after the next jump; where there is none, of the state itself."""
    rates = model.propensities(distribution.states, distribution.t or 0.0)  # (n_reactions, n)
    total = rates.sum(axis=0)
    moving = total > 0
    states, weights = [distribution.states[~moving]], [distribution.probabilities[~moving]]
    for change, rate in zip(model.change, rates, strict=True):
        held = moving & (rate > 0)
        states.append(distribution.states[held] + change)
        weights.append(distribution.probabilities[held] * rate[held] / total[held])
    return _moved(distribution, np.concatenate(states), np.concatenate(weights))


def _of_steps(model: Model, times: FloatArray, reference: Law) -> Iterator[Hypothesis]:
    step = float(np.diff(times, prepend=0.0).max())
    for parts in TAU_PARTS:
        text = f"rates are held for steps of {step / parts:.4g} (tau-leaping)"
        yield Hypothesis("tau-leaping", text, partial(tau_leaping, model, times, step / parts, reference), 1, TAU_RUNS)


def tau_leaping(model: Model, times: FloatArray, tau: float, reference: Law) -> Law:
    """Return the law of tau-leaping with a fixed step, from many runs; counts are not let below zero."""
    rng = np.random.default_rng(0)
    place = rng.choice(len(model.initial_states), TAU_RUNS, p=model.initial_probabilities)
    x, t, paths = model.initial_states[place].copy(), 0.0, []
    for end, distribution in zip(times.tolist(), reference, strict=True):
        steps = max(1, int(np.ceil((end - t) / tau - 1e-9)))
        length = (end - t) / steps
        for i in range(steps if end > t else 0):
            fired = rng.poisson(model.propensities(x, t + i * length) * length)  # (n_reactions, runs)
            x = np.maximum(x + fired.T @ model.change, 0)
        states, numbers = tally(x)
        columns = [model.species.index(name) for name in distribution.species]
        error = ErrorLedger(truncation=0.0, certified=False)
        made = Distribution(states[:, columns], numbers / TAU_RUNS, distribution.species, t=distribution.t, error=error)
        paths.append(made)
        t = end
    return tuple(paths)


def without_repeats(runs: Runs) -> Runs | None:
    """Return the first of each set of equal trajectories, None where none repeats."""
    first = first_of(numbered(runs.counts.reshape(runs.n, -1)))
    if len(first) in (runs.n, 0):
        return None
    return Runs(runs.counts[np.sort(first)], runs.times, runs.species)
