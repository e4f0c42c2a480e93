"""What is where in a file of a fit.

/               attributes: format, kind = "fit", versions as in `fsp.output.layout`, n_cells, level, complete, asked
/names          (q,);  /values (3, q): estimates, lower and upper bounds;  /information (q, q), and
                /observed (q, q) where second derivatives were computed
/likelihood     (3,) lower, upper, value; attributes: certified, reason
/profiles/00000 (2, m) of each parameter that has one
/starts/values  (n, 2, q) begins and ends;  /starts/heights (n,), NaN of one that failed;  /starts/notes (n,);
                /starts/evaluations (n,)
/panels/00000   attributes: label, t, observed; datasets values (m,), cells (m,), probabilities (k,)
/notes          (k,)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fsp.distribution.fit import Estimates, Fit, FitStart, Panel
from fsp.distribution.ledger import Interval
from fsp.output.groups import array, attribute, child, texts


def write_fit(file: Any, fit: Fit) -> None:
    """Write a fit into a file that has its head already."""
    estimates = fit.estimates
    file.attrs.update(n_cells=fit.n_cells, level=fit.level, complete=fit.complete, asked=fit.asked)
    _write_texts(file, "names", list(estimates.names))
    _write_texts(file, "notes", list(fit.notes))
    file["values"] = np.array([estimates.values, estimates.low, estimates.high])
    file["information"] = estimates.information
    if estimates.observed is not None:
        file["observed"] = estimates.observed
    file["likelihood"] = np.array([fit.likelihood.lower, fit.likelihood.upper, fit.likelihood.value])
    file["likelihood"].attrs.update(certified=fit.likelihood.certified, reason=fit.likelihood.reason)
    profiles = file.create_group("profiles")
    for k, name in enumerate(estimates.names):
        if name in estimates.profiles:
            profiles[f"{k:05d}"] = estimates.profiles[name]
    starts = file.create_group("starts")
    q = len(estimates.names)
    starts["values"] = np.array([[start.begin, start.end] for start in fit.starts]).reshape(-1, 2, q)
    starts["heights"] = np.array([start.value for start in fit.starts])
    starts["evaluations"] = np.array([start.evaluations for start in fit.starts], dtype=np.int64)
    _write_texts(starts, "notes", [start.note for start in fit.starts])
    for i, panel in enumerate(fit.panels):
        group = file.create_group(f"panels/{i:05d}")
        group.attrs.update(label=panel.label, t=panel.t, observed=panel.observed)
        for name in ("values", "cells", "probabilities"):
            group[name] = getattr(panel, name)


def read_fit(file: Any) -> Fit:
    """Read a fit; a ValueError says what is not as it must be."""
    names = tuple(map(str, texts(file, "names", 1)))
    q = len(names)
    values, low, high = array(file, "values", "f", (3, q))
    group = child(file, "profiles")
    observed = array(file, "observed", "f", (q, q)) if "observed" in file else None
    profiles = {name: array(group, f"{k:05d}", "f", (2, None)) for k, name in enumerate(names) if f"{k:05d}" in group}
    low_end, high_end, value = array(file, "likelihood", "f", (3,)).tolist()
    said = child(file, "likelihood", "dataset")
    interval = Interval(low_end, high_end, value, attribute(said, "certified", bool), attribute(said, "reason", str))
    return Fit(
        Estimates(names, values, low, high, array(file, "information", "f", (q, q)), profiles, observed),
        interval,
        attribute(file, "n_cells", int),
        attribute(file, "level", float),
        starts=_read_starts(child(file, "starts"), q),
        panels=_read_panels(file),
        notes=tuple(map(str, texts(file, "notes", 1))),
        asked=attribute(file, "asked", str),
        complete=attribute(file, "complete", bool),
    )


def _read_starts(group: Any, q: int) -> tuple[FitStart, ...]:
    heights = array(group, "heights", "f", (None,), gaps=True)  # none of a start that failed
    values = array(group, "values", "f", (len(heights), 2, q))
    notes = map(str, texts(group, "notes", 1))
    known = "evaluations" in group  # earlier files lack them
    evaluations = array(group, "evaluations", "iu", (len(heights),)).tolist() if known else [0] * len(heights)
    rows = zip(values, heights.tolist(), notes, evaluations, strict=True)
    return tuple(FitStart(begin, end, height, note, count) for (begin, end), height, note, count in rows)


def _read_panels(file: Any) -> tuple[Panel, ...]:
    if "panels" not in file:
        return ()
    group = child(file, "panels")
    panels = []
    for i in range(len(group)):
        group_here = child(group, f"{i:05d}")
        values = array(group_here, "values", "iu", (None,))
        cells = array(group_here, "cells", "iu", (len(values),))
        words = (
            attribute(group_here, "label", str),
            attribute(group_here, "t", float),
            attribute(group_here, "observed", str),
        )
        panels.append(Panel(*words, values, cells, array(group_here, "probabilities", "f", (None,))))
    return tuple(panels)


def _write_texts(group: Any, name: str, words: list[str]) -> None:
    import h5py

    group.create_dataset(name, data=np.array(words, dtype=object), dtype=h5py.string_dtype())
