"""What is where in a file of HDF5 that `fsp.output.storage` writes and reads.

/             attributes: format = "fsp", format_version, kind ("solution", "distribution" or "sweep"), fsp_version,
              numpy_version, h5py_version, created (UTC), model_name, model_hash, time_unit, tol, solver, complete
/asked        (k,) the times asked for: more than are there where `complete` is false, and the last one there is then
              where the computation goes on, a time that need not be among them
/species      (d,) names;  /observables (k, 2) names and formulas that hold at all times;  /model_text scalar
/options      attributes: how the solution was asked for;  /statistics attributes: what it took
/times/00000  attributes: t (absent when stationary), closed, certified, truncation, integration, pruning,
              rounding; datasets: states (n, d) in the smallest unsigned integers that fit,
              probabilities (n,) in float64, notes (k,), observables (k, 2) where events change some that /observables
              lacks; group moments, where the model bounds any (see
              `fsp.moments.MomentBounds`): largest (d,), norms (d, 24), monomials (m, d), means (m, 2)

A sweep has, beside format, kind and versions:

/             attribute: shape (k,), the number of values of each name, or of points where names were taken in pairs
/names        (k,) what was varied;  /points/values (n, k);  /points/failures (n,) reasons, empty where there is none
/points/00000 a solution, laid out as above; absent where there is none, and not complete where it lacks later times

Times that share their states share one dataset by hard links, and points of a sweep what they have in common with the
first one: /species, /observables, /asked and /options.  Bounds of moments that were not asked for before a sweep is
saved, or that take more than a second, are not in the file: in their place a time has the attribute moments_of =
"network", and /network is the network as JSON (species, changes, propensities, start), of which they are then computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

import numpy as np

from fsp.distribution.distribution import Distribution
from fsp.distribution.ledger import PARTS, ErrorLedger
from fsp.distribution.solution import Solution
from fsp.distribution.sweep import Sweep
from fsp.moments import MomentBounds, PendingBounds
from fsp.moments.stored import StoredBounds
from fsp.output.groups import array, attribute, attributes, child, texts
from fsp.time_limit import TimeLimit
from fsp.version import __version__

FORMAT = "fsp"
FORMAT_VERSION = 2  # it rises where a reader of the version before would be wrong or would fail
# Chosen: gzip at 4 is what every HDF5 reader has; shuffled bytes of floats pack better.
FILTERS = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
BOUNDS_LEFT_OUT = (
    "bounds of moments are not in this file, since they take more than {:g} s; asked for before it is saved, as by "
    "mean_interval(), they are kept"
)
_NAMES = ("model_name", "model_hash", "time_unit")

Answer: TypeAlias = Solution | Distribution | Sweep
_RowWriter: TypeAlias = Callable[[Any, str, Distribution], None]


# ---- write


def write_versions(file: Any, kind: str) -> None:
    """Write the format, the kind of answer, and what wrote it when."""
    import h5py

    file.attrs.update(
        format=FORMAT,
        format_version=FORMAT_VERSION,
        fsp_version=__version__,
        numpy_version=np.__version__,
        h5py_version=h5py.__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        kind=kind,
    )


def write_sweep(file: Any, sweep: Sweep, write_rows: _RowWriter) -> None:
    """Write a sweep, a group for each point that has a solution, or the beginning of one."""
    file.attrs["shape"] = np.array(sweep.shape)
    _write_texts(file, "names", list(sweep.names), (-1,))
    points = file.create_group("points")
    points["values"] = sweep.points
    _write_texts(points, "failures", [sweep.failures.get(i, "") for i in range(len(sweep))], (-1,))
    time_limit, first = TimeLimit(), None
    for i, solution in [*((i, sweep[i]) for i in sweep.solved), *sweep.begun.items()]:
        group = points.create_group(f"{i:05d}")
        write_answer(group, solution, write_rows, time_limit, first, asks=False)
        first = first or (group, solution)


def write_answer(
    group: Any,
    answer: Solution | Distribution,
    write_rows: _RowWriter,
    time_limit: TimeLimit,
    like: tuple[Any, Solution | Distribution] | None = None,
    *,
    asks: bool = True,
) -> None:
    """Write a solution or a distribution; `write_rows` writes the large arrays.

    Bounds of moments that nobody has asked for yet are computed as long as there is time, with `asks`; otherwise the
    network is written from which they can be later, and where there is none a note.  What is said of `like` in its
    group too is shared with it.
    """
    distributions = list(answer) if isinstance(answer, Solution) else [answer]
    _write_head(group, answer, distributions[0], like)
    if asks:
        time_limit.within(lambda: [d._moment_bounds for d in distributions])
    network = _network_of(distributions)
    if network:
        _write_texts(group, "network", [network], ())
    constant = _constant(distributions)
    for i, distribution in enumerate(distributions):
        time = group.create_group(f"times/{i:05d}")
        if i and distribution.shares_states_with(distributions[i - 1]):
            time["states"] = group[f"times/{i - 1:05d}/states"]
        else:
            write_rows(time, "states", distribution)
        write_rows(time, "probabilities", distribution)
        _write_fields(time, distribution, time_limit, later=bool(network) and _is_pending(distribution))
        if distribution.observables != constant:
            _write_texts(time, "observables", _words(distribution.observables), (-1, 2))


def _is_pending(distribution: Distribution) -> bool:
    """Tell whether bounds of moments were not asked for yet."""
    return isinstance(distribution.moments, PendingBounds) and not distribution.moments.is_computed


def _network_of(distributions: Sequence[Distribution]) -> str:
    """Return the network from which bounds that were not asked for can be computed; empty if that is none."""
    texts = [
        d.moments.network(math.inf if d.t is None else d.t)
        for d in distributions
        if _is_pending(d) and isinstance(d.moments, PendingBounds)
    ]
    return texts[0] if texts and all(text == texts[0] for text in texts) else ""


def _write_head(
    file: Any, answer: Solution | Distribution, first: Distribution, like: tuple[Any, Solution | Distribution] | None
) -> None:
    file.attrs.update(kind=type(answer).__name__.lower(), **{name: getattr(first, name) for name in _NAMES})
    if isinstance(answer, Solution):
        file.attrs.update(tol=answer.tol, solver=answer.solver, complete=answer.complete)
        _write_texts(file, "model_text", [answer.model_text], ())
        file.create_group("statistics").attrs.update(answer.statistics)
    _write_shared(file, answer, like)


def _write_shared(file: Any, answer: Solution | Distribution, like: tuple[Any, Solution | Distribution] | None) -> None:
    """Write what the points of a sweep have in common; what is the same as of `like` is shared with it."""
    known = {} if like is None else _shared(like[1])
    for name, value in _shared(answer).items():
        if like is not None and known[name] == value:
            file[name] = like[0][name]
        elif name == "options":
            file.create_group(name).attrs.update(value)
        elif name == "asked":
            file[name] = np.array(value)
        else:
            _write_texts(file, name, list(value), (-1,) if name == "species" else (-1, 2))


def _shared(answer: Solution | Distribution) -> dict[str, Any]:
    """Return what may be the same for many points, by its place."""
    distributions = list(answer) if isinstance(answer, Solution) else [answer]
    shared: dict[str, Any] = {"species": distributions[0].species, "observables": _words(_constant(distributions))}
    return shared | ({"asked": answer.asked, "options": answer.options} if isinstance(answer, Solution) else {})


def _constant(distributions: Sequence[Distribution]) -> dict[str, str]:
    """Return the observables that are the same at all times: no event changes a parameter of them."""
    first, *others = (d.observables.items() for d in distributions)
    return {name: text for name, text in first if all((name, text) in other for other in others)}


def _words(observables: Mapping[str, str]) -> list[str]:
    return [word for pair in observables.items() for word in pair]


def _write_fields(group: Any, distribution: Distribution, time_limit: TimeLimit, *, later: bool) -> None:
    bounds = (None,) if later else time_limit.within(lambda: (distribution._moment_bounds,))
    late = () if bounds is not None else (BOUNDS_LEFT_OUT.format(time_limit.seconds),)
    if distribution.state_bounds is not None:
        group.create_dataset("state_bounds", data=distribution.state_bounds, **FILTERS)
    _write_texts(group, "notes", [*distribution.notes, *late], (-1,))
    group.attrs.update(closed=distribution.closed, certified=distribution.error.certified)
    group.attrs.update(distribution.error.terms)
    if distribution.t is not None:
        group.attrs["t"] = distribution.t
    if later:
        group.attrs["moments_of"] = "network"
    if bounds is not None and bounds[0] is not None:
        _write_moments(group.create_group("moments"), bounds[0])


def _write_moments(group: Any, bounds: MomentBounds) -> None:
    for name in ("largest", "norms", "monomials", "means"):
        group.create_dataset(name, data=getattr(bounds, name))
    group.attrs["reason"] = bounds.reason


def _write_texts(group: Any, name: str, words: list[str], shape: tuple[int, ...]) -> None:
    import h5py

    group.create_dataset(name, data=np.array(words, dtype=object).reshape(shape), dtype=h5py.string_dtype())


# ---- read


def read_sweep(file: Any) -> Sweep:
    """Read a sweep; a ValueError says what is not as it must be."""
    names = tuple(texts(file, "names", 1))
    points = child(file, "points")
    values = array(points, "values", "f", (None, len(names)))
    reasons = dict(enumerate(map(str, texts(points, "failures", 1))))
    if len(reasons) != len(values):
        raise ValueError(f"/points/failures must be {len(values)}, but are {len(reasons)}")
    solutions = [_read_point(points, f"{i:05d}") for i in range(len(values))]
    twofold = [i for i, reason in reasons.items() if reason and (point := solutions[i]) is not None and point.complete]
    if twofold:
        raise ValueError(f"point {twofold[0]} must be solved or have failed, but both is said")
    failures = {i: reason for i, reason in reasons.items() if reason}
    shape = np.asarray(file.attrs["shape"])
    if shape.dtype.kind not in "iu":
        raise ValueError(f"attribute 'shape' of / must be whole numbers, but is {shape!r:.80}")
    return Sweep(names, values, solutions, shape=shape.tolist(), failures=failures)


def _read_point(points: Any, key: str) -> Solution | None:
    if key not in points:
        return None
    answer = read_answer(child(points, key))
    if not isinstance(answer, Solution):
        raise ValueError(f"/points/{key} must be a solution, but is a distribution")
    return answer


def read_answer(file: Any) -> Solution | Distribution:
    """Read a solution or a distribution; a ValueError says what is not as it must be."""
    kind = attribute(file, "kind", str)
    if kind not in ("solution", "distribution"):
        raise ValueError(f"attribute 'kind' of {file.name} must be solution or distribution, but is '{kind:.20}'")
    head: dict[str, Any] = {name: attribute(file, name, str) for name in _NAMES}
    head["species"] = tuple(texts(file, "species", 1))
    head["observables"] = _read_observables(file)
    times, seen = child(file, "times"), dict[Any, Any]()
    keys = [f"{i:05d}" for i in range(len(times))]
    network = str(texts(file, "network", 0)) if "network" in file else ""
    distributions = [_read_time(child(times, key), head, seen, network) for key in keys]
    if kind == "distribution":
        if len(distributions) != 1 or "tol" in file.attrs:
            raise ValueError("a distribution must have one time and no tolerance, but this is a solution")
        return distributions[0]
    return _read_solution(file, distributions)


def _read_solution(file: Any, distributions: list[Distribution]) -> Solution:
    answer = Solution(
        distributions,
        tol=attribute(file, "tol", float),
        solver=attribute(file, "solver", str),
        model_text=str(texts(file, "model_text", 0)),
        options=attributes(child(file, "options")),
        statistics=attributes(child(file, "statistics")),  # type: ignore[arg-type]  # numbers, where we wrote them
        asked=array(file, "asked", "f", (None,)).tolist() if "asked" in file else (),
    )
    if answer.complete != attribute(file, "complete", bool):
        raise ValueError("attribute 'complete' must agree with the times that were asked for, but does not")
    return answer


def _read_observables(group: Any) -> dict[str, str]:
    return {str(name): str(formula) for name, formula in texts(group, "observables", 2)}


def _read_time(group: Any, head: Mapping[str, Any], seen: dict[Any, Any], network: str) -> Distribution:
    import h5py

    d = len(head["species"])
    address = h5py.h5o.get_info(child(group, "states", "dataset").id).addr  # the same for hard links
    if address not in seen:
        seen[address] = array(group, "states", "u", (None, d)).astype(np.int64)
    n, t = len(seen[address]), attribute(group, "t", float) if "t" in group.attrs else None
    moments: Any = _read_moments(child(group, "moments"), head["species"]) if "moments" in group else None
    if "observables" in group:
        head = {**head, "observables": _read_observables(group)}
    if network and "moments_of" in group.attrs:
        moments = StoredBounds(network, head["model_hash"], math.inf if t is None else t, range(d))
    return Distribution(
        seen[address],
        array(group, "probabilities", "f", (n,)),
        t=t,
        error=read_error(group),
        closed=attribute(group, "closed", bool),
        notes=tuple(map(str, texts(group, "notes", 1))),
        moments=moments,
        state_bounds=array(group, "state_bounds", "f", (2, n)) if "state_bounds" in group else None,
        **head,
    )


def read_error(group: Any) -> ErrorLedger:
    """Read the error of the distribution in a group."""
    parts = {part: attribute(group, part, float) for part in PARTS}
    return ErrorLedger(**parts, certified=attribute(group, "certified", bool))


def _read_moments(group: Any, species: tuple[str, ...]) -> MomentBounds:
    d, monomials = len(species), array(group, "monomials", "iu", (None, len(species)))
    largest, norms = array(group, "largest", "f", (d,)), array(group, "norms", "f", (d, None))
    means = array(group, "means", "f", (len(monomials), 2))
    if (means[:, 0] > means[:, 1]).any() or largest.min() < 0 or norms.min(initial=0.0) < 0:
        raise ValueError(f"{group.name} must be bounds of moments, but some are negative or the wrong way round")
    return MomentBounds(species, largest, norms, monomials, means, reason=attribute(group, "reason", str))
