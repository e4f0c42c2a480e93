"""The reference sampler: exact realisations of the jump process, for cross-checking only.

Gillespie's direct method: in a state with propensities a_k, the waiting time is exponential with rate Σ a_k, and
reaction k is next with probability a_k / Σ a_k.  Rates that depend on time are sampled by thinning: on a window of time
their functions of time have bounds by interval arithmetic, and a proposal at the bound's rate is accepted with
probability rate/bound.  The sampler shares the rate laws with the solvers and nothing else; a contract says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.bars import barred, callback
from fsp.checks import check_whole
from fsp.errors import FSPError, ModelError
from fsp.memory import check_memory, limited
from fsp.model.arguments import check_call
from fsp.model.factors import factorise
from fsp.model.phases import split_at_events
from fsp.model.ranges import enclosure
from fsp.model.switches import switch_times
from fsp.model.taylor import constant
from fsp.model.times import checked_times
from fsp.model.tree import Expression, Symbol, call, depends_on_time, symbols
from fsp.sampling import kernels as kernels
from fsp.sampling.chunks import in_chunks
from fsp.sampling.programs import Programs

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.model import Model

WINDOWS = 256  # in which functions of time are bounded

Progress = Callable[[int, int], None]


@barred("runs")
def ssa(
    model: Model,
    times: Sequence[float] | FloatArray | float,
    runs: int = 1000,
    *,
    seed: int | None = None,
    max_jumps: int = 10**9,
    max_memory: int | None = None,
    threads: int = 1,
    progress: Progress | bool | None = None,
) -> IntArray:
    """Sample realisations of a reaction network exactly.

    Parameters
    ----------
    model
        The network.  Rates that depend on time must be sums of products of functions of time and of species; callable
        rates must not depend on time, go with no events at known times, and are slow.
    times
        Increasing times >= 0; the value at a time is the state after all jumps at or before it.
    runs
        Number of runs.
    seed
        Whole number >= 0 from which all random numbers come: the same runs again, whatever `threads` is, and run i is
        the same whatever `runs` is (but for callable rates).  None for different runs each time.
    max_jumps
        Limit on the jumps, and the proposals, of one run between two events at known times.
    max_memory
        Limit on the memory of the samples, in bytes; None for none.
    threads
        Number of threads.
    progress
        True for a bar, in a notebook and on a terminal; or a function that is called with the number of runs
        that are done, and of all.

    Returns
    -------
    ndarray
        Counts, shape (runs, n_times, n_species), int64.

    Raises
    ------
    ArgumentError
        If an argument is not as above.
    ModelError
        If a rate is negative, not finite, makes a count negative, or depends on time in a way that has no bound.
    StateSpaceError
        If the samples do not fit into `max_memory`.
    FSPError
        If a run has more jumps than `max_jumps`, or a count exceeds 2⁵³: the network may explode.

    Examples
    --------
    >>> arrivals, decay = fsp.Reaction("0 -> X", rate="10"), fsp.Reaction("X -> 0", mass_action=1.0)
    >>> runs = fsp.ssa(fsp.Model(species={"X": 0}, reactions=[arrivals, decay]), [1.0, 2.0], 1000, seed=1)
    >>> runs.shape  # runs, times, species
    (1000, 2, 1)
    """
    check_call(model, max_memory=max_memory, progress=progress)
    for name, given, least in (("runs", runs, 1), ("threads", threads, 1), ("max_jumps", max_jumps, 1)):
        check_whole(name, given, least)
    if seed is not None:
        check_whole("seed", seed, 0, None)
    grid = checked_times(times)
    with limited(max_memory):
        check_samples(runs, len(grid), model.n_species)
    key = np.random.SeedSequence(seed).generate_state(2, np.uint64)
    if any(law is None for law in model.rate_expressions):
        model.require_untimed("Samples of `fsp.ssa` with callable rates")
        return _in_step(model, grid, runs, key, max_jumps, callback(progress))
    out = np.empty((runs, len(grid), model.n_species), dtype=np.int64)
    starts, p, at = model.initial_states, model.initial_probabilities, np.empty(0, dtype=np.int64)
    phases = list(model.phases(0.0, float(grid[-1])))
    left, begin, rng = grid, 0.0, np.random.default_rng(np.random.SeedSequence([*key.tolist(), 1]))
    for k, phase in enumerate(phases):
        asked, left, until = split_at_events(left, phase.until, included=phase.output_first)
        stretch = np.append(asked, until) if len(left) else asked  # where it ends, events need the states
        network = _SamplerNetwork.of(phase.model(starts, p), begin, float(stretch[-1]))
        tell = _share(callback(progress), k, len(phases))
        states = _sample(network, stretch, at, runs, (key, k), max_jumps, threads, tell)
        done = len(grid) - len(left)
        out[:, done - len(asked) : done] = states[:, : len(asked)]
        if not len(left) or phase.firing is None:
            break
        starts, at = np.unique(phase.firing.sampled(states[:, -1], rng), axis=0, return_inverse=True)
        p, at, begin = np.bincount(at.reshape(-1)) / runs, at.reshape(-1), until
    return out


def check_samples(runs: int, n_times: int, n_species: int) -> None:
    """Raise a StateSpaceError unless counts of runs fit into the memory, with the copy of which they are made."""
    n_bytes = 2.0 * 8.0 * runs * n_times * n_species
    check_memory(f"Counts of {runs:,} runs at {n_times:,} times", n_bytes, 0, "ask for fewer runs or times")


def _share(progress: Progress | None, k: int, n: int) -> Progress | None:
    """Return what reports the progress of one of `n` phases as a share of the whole."""
    return progress and (lambda done, total: progress((k * total + done) // n, total))


def _sample(
    network: _SamplerNetwork,
    times: FloatArray,
    at: IntArray,
    runs: int,
    stream: tuple[Any, int],
    max_jumps: int,
    threads: int,
    progress: Progress | None,
) -> IntArray:
    """Sample one phase: the states of all runs at `times`, (runs, n_times, n_species)."""
    model = network.model
    out = np.empty((runs, len(times), model.n_species), dtype=np.int64)
    asked = times.copy()  # an interrupt lowers them

    def sample(first: int, last: int) -> None:
        where = np.empty(model.n_species + 1)
        given = (first, last, *stream, *network.arguments(at), asked, *network.clocks, max_jumps, out, where)
        status, reaction, run = kernels.direct(*given)
        if status != kernels.DONE:
            raise _error(model, status, reaction, run, where, max_jumps)

    done = 0
    pool = ThreadPoolExecutor(threads)
    try:
        for first, last, _ in in_chunks(lambda i, j: pool.submit(sample, i, j), runs, threads):
            done += last - first
            if progress is not None:
                progress(done, runs)
    except BaseException:
        asked[:] = -np.inf  # all are passed at the next jump, where a run ends
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return out


@dataclass(frozen=True, slots=True)
class _SamplerNetwork:
    """What the compiled loop reads of a network: programs, starts, changes, and functions of time."""

    model: Model
    programs: tuple[Any, ...]
    starts: tuple[FloatArray, FloatArray]
    changes: tuple[Any, ...]
    clocks: tuple[FloatArray, FloatArray]

    def arguments(self, at: IntArray) -> tuple[Any, ...]:
        """Return what stands before the output times; `at` says in which of the starts each run begins."""
        return (*self.programs, *self.starts, at, *self.changes)

    @classmethod
    def of(cls, model: Model, begin: float, t_end: float) -> _SamplerNetwork:
        laws = [law for law in model.rate_expressions if law is not None]
        timed = model.time_dependent
        functions: list[Expression] = []  # of time
        bounds = [_bound(model, k, law, functions) if timed[k] else law for k, law in enumerate(laws)]
        names = [*model.species, *(_clock(c) for c in range(len(functions))), "time"]
        programs = Programs({name: i for i, name in enumerate(names)})
        bound_places = np.array([programs.add(law) for law in bounds])
        rate_places = np.array([programs.add(law) for law in laws])
        code, numbers = programs.arrays()
        moved = [np.flatnonzero(row) for row in model.change]
        affected = [_readers(bounds, {model.species[j] for j in row}) for row in moved]
        amounts = [row[j].astype(np.float64) for row, j in zip(model.change, moved, strict=True)]
        p, starts = np.cumsum(model.initial_probabilities), model.initial_states.astype(np.float64)
        of_rates = (code, numbers, rate_places, bound_places, np.array(timed, dtype=np.bool_), programs.depth)
        changes = (_pointer(moved), _joined(moved), np.concatenate([*amounts, np.empty(0)]),
                   _pointer(affected), _joined(affected), np.flatnonzero(timed))  # fmt: skip
        return cls(model, of_rates, (starts, p), changes, _windows(model, functions, begin, t_end))


def _clock(c: int) -> str:
    return f"clock {c}"  # no species has such a name


def _readers(laws: Sequence[Expression], names: set[str]) -> IntArray:
    return np.array([k for k, law in enumerate(laws) if symbols(law) & names], dtype=np.int64)


def _pointer(rows: Sequence[IntArray]) -> IntArray:
    return np.cumsum([0, *map(len, rows)])


def _joined(rows: Sequence[IntArray]) -> IntArray:
    return np.concatenate([*rows, np.empty(0, dtype=np.int64)])


def _bound(model: Model, k: int, law: Expression, functions: list[Expression]) -> Expression:
    """Return a tree that bounds a rate, in which a bound takes the place of each function of time.

    A function f of time at most c, times a factor g >= 0 of counts, is at most c g; where g may be negative, f g is at
    most the bound of |f| times |g|, since f may be negative too.
    """
    products = factorise(law, model.species)
    if products is None:
        raise ModelError(
            f"Rate of '{model.reactions[k].name}' must be a sum of products of functions of time and of species for "
            f"`fsp.ssa`, but is not."
        )
    terms = []
    for product in products:
        scalar, factors = product.scalar, list(product.factors.values())
        if depends_on_time(scalar):
            if any(enclosure(factor, {})[0] < 0.0 for factor in factors):
                scalar, factors = call("abs", scalar), [call("abs", factor) for factor in factors]
            if scalar not in functions:
                functions.append(scalar)
            scalar = Symbol(_clock(functions.index(scalar)))
        terms.append(call("*", scalar, *factors))
    return call("+", *terms)


def _windows(model: Model, functions: list[Expression], begin: float, t_end: float) -> tuple[FloatArray, FloatArray]:
    """Return the ends of windows of time, (n + 1,), and a bound of each function in each, (n, n_functions)."""
    if not functions or t_end == begin:
        return np.array([begin, np.inf]), np.zeros((1, len(functions)))
    switches = switch_times(functions, t_end)
    edges = np.union1d(np.linspace(begin, t_end, WINDOWS + 1), switches[switches > begin])
    clocks = np.empty((len(edges) - 1, len(functions)))
    for w in range(len(clocks)):
        for c, function in enumerate(functions):
            constants = constant(function, float(edges[w]), float(edges[w + 1]))
            if constants is None:
                raise ModelError(
                    f"Rates of '{model.name}' must be bounded functions of time for `fsp.ssa`, but one has no bound "
                    f"between t = {edges[w]:g} and {edges[w + 1]:g}."
                )
            clocks[w, c] = constants.coefficients[0] + constants.remainder  # a bound below zero is of no rate
    return edges, clocks


def _error(model: Model, status: int, k: int, run: int, where: FloatArray, limit: int) -> FSPError:
    """Return the error of a run that stopped."""
    state = {name: int(x) for name, x in zip(model.species, where, strict=False)}
    t, name = float(where[-1]), model.reactions[k].name
    if status == kernels.TOO_MANY:
        return FSPError(
            f"Run {run} must have at most {limit:,} jumps, but has more by t = {t:g}, in state {state}; the network "
            f"may explode, or raise `max_jumps`."
        )
    if status == kernels.TOO_LARGE:
        return FSPError(f"Counts must stay below 2^53, but '{name}' leads beyond it in run {run} at t = {t:g}.")
    try:
        model.propensity(k, where[None, :-1].astype(np.int64), t)  # raises with the rate, where it is no rate
    except ModelError as error:
        return error
    fault = "make no count negative" if status == kernels.NEGATIVE else "stay within its bound in time"
    return ModelError(f"Rate of '{name}' must {fault}, but does not in state {state} at t = {t:g} (run {run}).")


def _in_step(model: Model, times: FloatArray, runs: int, key: Any, limit: int, progress: Progress | None) -> IntArray:
    """Sample all runs at once, one jump of each at a time: for rates that are callables on whole arrays."""
    if model.is_time_dependent:
        name = model.reactions[int(np.argmax(model.time_dependent))].name
        raise ModelError(f"Rates must not depend on time where one is a callable for `fsp.ssa`, but '{name}' does.")
    random = np.random.Generator(np.random.Philox(key=key))
    out = np.empty((runs, len(times), model.n_species), dtype=np.int64)
    p = model.initial_probabilities
    active = np.arange(runs)
    states = model.initial_states[random.choice(len(p), size=runs, p=p / p.sum())]  # (runs, n_species)
    t, reported = np.zeros(runs), np.zeros(runs, dtype=np.int64)
    for _ in range(limit + 1):
        sums = np.cumsum(model.propensities(states), axis=0)  # (n_reactions, n)
        with np.errstate(divide="ignore"):
            t = t + random.standard_exponential(len(t)) / sums[-1]
        until = np.searchsorted(times, t, side="left")  # times before the jump
        for i in np.flatnonzero(until > reported):
            out[active[i], reported[i] : until[i]] = states[i]
        going = until < len(times)
        if progress is not None and not going.all():
            progress(runs - int(going.sum()), runs)
        if not going.any():
            return out
        active, states, t, reported, sums = active[going], states[going], t[going], until[going], sums[:, going]
        drawn = random.random(len(t)) * sums[-1]
        states = states + model.change[np.argmax(sums > drawn, axis=0)]
    raise _error(model, kernels.TOO_MANY, 0, int(active[0]), np.append(states[0], t[0]), limit)
