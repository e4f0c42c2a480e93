"""What an answer looks like in a notebook."""

from __future__ import annotations

from fsp.distribution import doors


class Shown:
    """An answer that shows itself in a notebook."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return doors.html(self)
