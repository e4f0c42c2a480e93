"""Import what reads files and words, and have kernels compiled: see `examination.warm`."""

from __future__ import annotations

import antimony  # noqa: F401
import libsbml  # noqa: F401
import matplotlib.pyplot  # noqa: F401
from examination import broken, inputs


def warm() -> None:
    """Take what is right in every form, without limits."""
    import tempfile
    from pathlib import Path

    import fsp

    model = eval(broken.COMMON, {"fsp": fsp})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.h5"
        fsp.transient(model, [0.25, 0.5]).save(path)
        fsp.read(path)
        fsp.stationary(model).mean_interval()
        fsp.relaxation(model)
        fsp.sweep(model, {"k": [2.0, 3.0]}, [0.5], processes=1)
        fsp.verify(model, fsp.ssa(model, [0.5], 20), [0.5])
    inputs.run(broken.draw("command", 0))


warm()
