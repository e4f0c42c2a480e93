"""Say when kernels are compiled, which happens once on a machine: compiled code is kept on disk."""

from __future__ import annotations

import logging

from numba.core import event

logger = logging.getLogger("fsp")


class _Announcement(event.Listener):
    """Logs the first compilation of this process; code that is loaded from disk causes none."""

    def on_start(self, event: event.Event) -> None:
        function = event.data["dispatcher"].py_func
        if str(function.__module__).startswith("fsp."):
            logger.warning("fsp compiles its kernels: up to half a minute, once for each kind of network.")
            stop()

    def on_end(self, event: event.Event) -> None:
        """Do nothing."""


_announcement = _Announcement()


def announce() -> None:
    """Say on standard error (logger ``fsp``) when the first kernel is compiled."""
    event.register("numba:compile", _announcement)  # type: ignore[no-untyped-call]


def stop() -> None:
    """Say nothing more."""
    event.unregister("numba:compile", _announcement)  # type: ignore[no-untyped-call]
