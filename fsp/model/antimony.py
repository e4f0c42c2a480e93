"""Antimony text, turned into SBML by the antimony library, which keeps one model list for the process."""

from __future__ import annotations

from pathlib import Path

from fsp.errors import BackendError, ModelError
from fsp.model.model import Model
from fsp.model.sbml import read_sbml


def read_antimony(text: str, path: Path) -> Model:
    """Read Antimony text.

    Parameters
    ----------
    text
        The text.
    path
        The file it is from, beside which imported files are looked for.

    Returns
    -------
    Model
        Its main model, submodels flattened.

    Raises
    ------
    ModelError
        If it is malformed, or holds what a master equation cannot express.
    BackendError
        If the antimony library is missing.
    """
    try:
        import antimony
    except ImportError as error:
        raise BackendError(f"Antimony files need the package 'antimony', but it does not load: {error}.") from error
    antimony.clearPreviousLoads()
    antimony.addDirectory(str(path.parent))
    if antimony.loadAntimonyString(text) < 0:
        reason = " ".join(antimony.getLastError().split()).removeprefix("Error in ")
        raise ModelError(f"Antimony file '{path.name}' must be well formed, but has an error in {reason}")
    sbml = antimony.getSBMLString(antimony.getMainModuleName())
    return read_sbml(sbml, path.name)
