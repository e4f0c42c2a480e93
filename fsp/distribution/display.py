"""What an answer looks like in a notebook, and at a prompt; and its file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsp.distribution import doors

if TYPE_CHECKING:
    from pathlib import Path


class Displayed:
    """An answer that shows itself in a notebook, and at a prompt as it is printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return doors.html(self)


class Saved:
    """An answer whose fields are written as they are; a model that made it is not kept."""

    __slots__ = ()

    def save(self, path: str | Path) -> None:
        """Write an HDF5 file, which `fsp.read` reads; the model itself is not kept.

        Parameters
        ----------
        path
            The file.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        doors.save(self, path)
