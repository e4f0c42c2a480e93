"""Model files: which reader a file needs, by its suffix or its first character."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path

from fsp.errors import ArgumentError, ModelError, ModelFileNotFoundError, ModelWarning
from fsp.formats.counts import in_molecules, read_counts
from fsp.formats.laws import judged
from fsp.formats.sbml import Finish, read_sbml
from fsp.formats.units import Units
from fsp.model.definition import Definition, check_names, check_not_empty, replaced
from fsp.model.model import Model

_SBML, _ANTIMONY = (".xml", ".sbml"), (".ant", ".txt")


def load(
    path: str | Path,
    /,
    *,
    counts: str = "auto",
    rounding: str = "nearest",
    mass_action: bool = False,
    **values: float | str,
) -> Model:
    """Read a model from an SBML (Levels 2 and 3) or Antimony file, with its species counted in molecules.

    Parameters
    ----------
    path
        The file: ``.xml`` or ``.sbml`` for SBML, ``.ant`` or ``.txt`` for Antimony; any other is
        SBML if it begins with ``<``.
    counts
        How amounts of the file become numbers of molecules: ``"as-is"``, ``"omega=100"`` (molecules in a unit of
        amount, which is the concentration where compartments have size 1), ``"volume=1fL"`` (moles, in such a
        compartment), or ``"auto"``: as they are where all are whole numbers, else by the unit of substance that the
        file declares, else refused.
    rounding
        What becomes of initial amounts that are no whole numbers then: ``"nearest"``, ``"mean"`` (the two numbers
        beside it, with the mean kept) or ``"poisson"``.
    mass_action
        Whether powers of reactants are taken for the law of concentrations: ``k*A^2`` of ``2 A -> B`` becomes
        ``k*A*(A - 1)``.  Laws of mass action are counted so wherever amounts are converted.
    **values
        Values that take the place of the file's, before it is judged: of parameters in its units, of species in
        molecules.

    Returns
    -------
    Model
        The model; its `conversion` says what was made of the file.

    Raises
    ------
    ArgumentError
        If an argument is none of these.
    ModelFileNotFoundError
        If the file does not exist or cannot be read.
    ModelError
        If it is malformed, or holds what a master equation cannot express.

    Warns
    -----
    ModelWarning
        Where the file declares units that were not followed, or leaves them out where they are needed.

    Examples
    --------
    >>> fsp.load("glycolysis.xml", counts="volume=1fL")  # doctest: +SKIP
    """
    if not isinstance(path, str | PathLike):
        raise ArgumentError(f"`path` must be the name of a model file, but is {path!r}.")
    model = read_model(Path(path), values, counts, rounding, mass_action)
    for text in model.conversion.assumptions:
        warnings.warn(f"{model.name}: {text}.", ModelWarning, stacklevel=2)
    return model


def read_model(
    file: Path, values: Mapping[str, float | str], counts: str, rounding: str, mass_action: bool, where: str = "Value"
) -> Model:
    """Read a model as `load` does, which says what was assumed; `where`: what gives the values, for messages."""
    asked = read_counts(counts)

    def finish(definition: Definition, units: Units) -> Model:
        check_not_empty(definition.species, definition.reactions)
        known = [*definition.parameters, *definition.species]
        unknown = next((name for name in values if name not in known), None)
        if unknown is not None:
            raise ModelError(f"{where} must name one of {', '.join(known)}, but has '{unknown}'.")
        starts = {name: value for name, value in values.items() if name in definition.species}
        constants = {name: value for name, value in values.items() if name not in starts}
        parameters = replaced(definition.parameters, constants, "Parameter", "Parameter", definition.species)
        counted = in_molecules(replace(definition, parameters=parameters), units, asked, rounding, starts)
        check_names(list(counted.species), counted.parameters)
        return Model(judged(counted, mass_action, scaled=bool(counted.conversion.steps)))

    return _reader(file)(finish)


def _reader(file: Path) -> Callable[[Finish], Model]:
    """Return what reads a file."""
    text = _read(file)
    suffix = file.suffix.lower()
    is_sbml = suffix in _SBML or (suffix not in _ANTIMONY and text.lstrip().startswith("<"))
    if is_sbml:
        return partial(read_sbml, text, file.name)
    from fsp.formats.antimony import read_antimony

    return partial(read_antimony, text, file)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")  # editors on Windows begin a file with a byte order mark
    except UnicodeDecodeError:
        raise ModelError(f"Model file must be text in UTF-8, but '{file}' is not.") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelFileNotFoundError(f"Model file must exist and be readable, but '{file}' is not: {reason}.") from None
