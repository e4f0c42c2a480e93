"""Cases for the crew of the examination that hang, die and fail: a module of its own, which other processes import."""

from __future__ import annotations

import os
import time


def hanging(key, first):
    """Answer three questions, of which one ends the process, or never ends."""
    yield "note", {"states": 1}
    for i in range(3)[first:]:
        yield "ask", {"door": "transient", "solver": str(i), "tol": 1.0}
        if i == 1 and key == "dies":
            os.kill(os.getpid(), 9)
        while i == 1 and key == "hangs":
            pass
        while i == 1 and key == "sleeps":
            time.sleep(1.0)
        if key == "fails":
            raise ValueError("of the examination")
        yield "answer", {"door": "transient", "solver": str(i), "tol": 1.0, "verdict": "good"}
