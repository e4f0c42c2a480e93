"""What an answer looks like in a notebook, and at a prompt."""

from __future__ import annotations

from fsp.distribution import doors


class Displayed:
    """An answer that shows itself in a notebook, and at a prompt as it is printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return doors.html(self)
