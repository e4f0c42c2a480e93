"""Model files: which reader a file needs, by its suffix or its first character."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from fsp.errors import ArgumentError, ModelError, ModelFileNotFoundError
from fsp.model.model import Model

_SBML, _ANTIMONY = (".xml", ".sbml"), (".ant", ".txt")


def load(path: str | Path, /, **parameters: float | str) -> Model:
    """Read a model from an SBML (Levels 2 and 3) or Antimony file.

    Parameters
    ----------
    path
        The file: ``.xml`` or ``.sbml`` for SBML, ``.ant`` or ``.txt`` for Antimony; any other is
        SBML if it begins with ``<``.
    **parameters
        Values that take the place of the file's.

    Returns
    -------
    Model
        The model.

    Raises
    ------
    ArgumentError
        If `path` is none.
    ModelFileNotFoundError
        If the file does not exist or cannot be read.
    ModelError
        If it is malformed, or holds what a master equation cannot express.
    """
    if not isinstance(path, str | PathLike):
        raise ArgumentError(f"`path` must be the name of a model file, but is {path!r}.")
    file = Path(path)
    text = _read(file)
    suffix = file.suffix.lower()
    is_sbml = suffix in _SBML or (suffix not in _ANTIMONY and text.lstrip().startswith("<"))
    if is_sbml:
        from fsp.formats.sbml import read_sbml

        model = read_sbml(text, file.name)
    else:
        from fsp.formats.antimony import read_antimony

        model = read_antimony(text, file)
    return model.with_parameters(parameters) if parameters else model


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")  # editors on Windows begin a file with a byte order mark
    except UnicodeDecodeError:
        raise ModelError(f"Model file must be text in UTF-8, but '{file}' is not.") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelFileNotFoundError(f"Model file must exist and be readable, but '{file}' is not: {reason}.") from None
