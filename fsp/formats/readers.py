"""Model files and model objects of other tools: which reader each needs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from fsp.checks import check_flag
from fsp.errors import ArgumentError, ModelError, ModelFileNotFoundError, ModelWarning
from fsp.formats.antimony import sbml_of
from fsp.formats.archives import Content, beside, in_archive, in_sedml
from fsp.formats.counts import counts_in_file, in_molecules, read_counts
from fsp.formats.encodings import encoding_of, not_in_utf8
from fsp.formats.kinds import kind_of, names_a_file
from fsp.formats.laws import judged
from fsp.formats.sbml import Finish, read_sbml
from fsp.formats.units import Units
from fsp.imports import loaded
from fsp.model.definition import Definition, check_names, check_not_empty
from fsp.model.initial import with_constants
from fsp.model.model import Model

Values = Mapping[str, float | str]

# The module of this package that reads each kind, and its function; imported when one is met.
_READERS = {
    "antimony": ("antimony", "read_antimony"),
    "net": ("bionetgen_net", "read_net"),
    "bngl": ("bionetgen", "read_bngl"),
    "stochkit": ("stochkit", "read_stochkit"),
}
_OBJECTS = {"gillespy2": ("gillespy2_models", "read_gillespy2"), "pysb": ("bionetgen", "read_pysb")}


def load(
    path: str | Path | Any,
    /,
    *,
    counts: str = "auto",
    rounding: str = "nearest",
    mass_action: bool = False,
    **values: float | str,
) -> Model:
    """Read a model from a file, or from a model object of another tool, with its species counted in molecules.

    Parameters
    ----------
    path
        The file: SBML (Levels 1 to 3), Antimony, BioNetGen's ``.net`` and ``.bngl``, StochKit's XML, SED-ML or a
        COMBINE archive, told by what it holds, and by its suffix where that says nothing.
        Or a model of GillesPy2 or of PySB.
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
    BackendError
        If a package is missing that the format needs.
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
    if isinstance(path, str | PathLike):
        read = _reader(Path(path))
    elif (package := _package(path)) is not None:
        read = partial(_reading(*_OBJECTS[package]), path)
    else:
        raise ArgumentError(
            f"`path` must be the name of a model file, or a model of {' or '.join(_OBJECTS)}, but is {path!r}."
        )
    return _said(_finished(read, values, counts, rounding, mass_action, "Value"))


def loads(
    text: str,
    /,
    *,
    counts: str = "auto",
    rounding: str = "nearest",
    mass_action: bool = False,
    **values: float | str,
) -> Model:
    """Read a model from a text, such as Antimony or SBML, as `load` reads one from a file.

    Parameters
    ----------
    text
        What a model file would hold; what it names beside it is looked for in the current folder.
    counts, rounding, mass_action, **values
        Those of `load`.

    Returns
    -------
    Model
        The model.

    Raises
    ------
    ArgumentError, BackendError, ModelError
        Those of `load`.

    Warns
    -----
    ModelWarning
        As `load` does.

    Examples
    --------
    >>> fsp.loads("birth: -> X; k; death: X -> ; g*X; X = 0; k = 10; g = 1", k=20).parameters["k"]
    20.0
    """
    if not isinstance(text, str) or (len(text.split()) == 1 and names_a_file(text)):
        raise ArgumentError(f"`text` must be what a model file holds, but is {text!r}; give a path to fsp.load.")
    content = _plain(text, "text.ant")
    return _said(_finished(_reader_of(content, Path()), values, counts, rounding, mass_action, "Value"))


def _said(model: Model) -> Model:
    """Warn of what was assumed of a model that a caller of the caller reads."""
    for text in model.conversion.assumptions:
        warnings.warn(f"{model.name}: {text}.", ModelWarning, stacklevel=3)
    return model


def read_model(file: Path, values: Values, counts: str, rounding: str, mass_action: bool, where: str) -> Model:
    """Read a model as `load` does, which says what was assumed; `where`: what gives the values, for messages."""
    return _finished(_reader(file), values, counts, rounding, mass_action, where)


def read_text(text: str, name: str) -> Model:
    """Read SBML text that nobody wrote: with its amounts as they stand, and laws that may count by concentrations."""
    return _finished(partial(read_sbml, text, name), {}, "as-is", "nearest", False, "Value", written=False)


def own_sbml(file: Path) -> str | None:
    """Return the SBML of a file, or that which the Antimony library makes of it; None where it is of another kind."""
    content = _content(file)
    kind = kind_of(content.text, content.name)
    if kind == "antimony":
        return sbml_of(content.text, file.parent / content.name)
    return content.text if kind == "sbml" else None


def _finished(
    read: Callable[[Finish], Model],
    values: Values,
    counts: str,
    rounding: str,
    mass_action: bool,
    where: str,
    *,
    written: bool = True,
) -> Model:
    """Read a model and make counts and propensities of what it says."""
    asked = read_counts(counts)
    check_flag("mass_action", mass_action)

    def finish(definition: Definition, units: Units) -> Model:
        check_not_empty(definition.species, definition.reactions)
        known = [*definition.parameters, *definition.species]
        unknown = next((name for name in values if name not in known), None)
        if unknown is not None:
            raise ModelError(f"{where} must name one of {', '.join(known)}, but has '{unknown}'.")
        starts = {name: value for name, value in values.items() if name in definition.species}
        constants = {name: value for name, value in values.items() if name not in starts}
        counted = in_molecules(with_constants(definition, constants), units, asked, rounding, starts)
        check_names(list(counted.species), counted.parameters)
        scaled = counted.conversion.steps != definition.conversion.steps
        in_file = counts_in_file(definition, units, asked if scaled else None) if written else None
        return Model(judged(counted, mass_action, scaled, in_file))

    return read(finish)


def time_course(path: str | Path) -> list[float]:
    """Return the times that a COMBINE archive or a SED-ML document asks for.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    list[float]
        The times at which its one time course gives results; empty where it asks for none, or is a model alone.

    Raises
    ------
    ModelFileNotFoundError
        If the file does not exist or cannot be read.
    ModelError
        If it is malformed, or asks for several time courses.

    Examples
    --------
    >>> solution = fsp.transient(fsp.load("x.omex"), time_course("x.omex"))  # doctest: +SKIP
    """
    return list(_content(Path(path)).times)


def _reader(file: Path) -> Callable[[Finish], Model]:
    """Return what reads a file."""
    return _reader_of(_content(file), file.parent)


def _reader_of(content: Content, folder: Path) -> Callable[[Finish], Model]:
    """Return what reads a model, of which other files lie in a folder."""
    kind = kind_of(content.text, content.name)
    if kind == "sbml":
        return partial(read_sbml, content.text, content.name)
    return partial(_reading(*_READERS[kind]), content.text, folder / content.name)


def _reading(module: str, function: str) -> Callable[..., Model]:
    reader: Callable[..., Model] = getattr(loaded(f"fsp.formats.{module}"), function)
    return reader


def _package(given: object) -> str | None:
    """Return the package that an object is a model of, without importing it."""
    modules = {kind.__module__.partition(".")[0] for kind in type(given).__mro__ if kind.__name__ == "Model"}
    return next((package for package in _OBJECTS if package in modules), None)


def _content(file: Path) -> Content:
    """Return the model that a file holds or refers to."""
    try:
        data = file.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: of a name with a null character
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelFileNotFoundError(f"Model file must exist and be readable, but '{file}' is not: {reason}.") from None
    if data.startswith(b"PK"):
        return in_archive(data, file.name)
    try:
        text = data.decode("utf-8-sig")  # editors on Windows begin a file with a byte order mark
    except UnicodeDecodeError:
        raise not_in_utf8(file, data) from None
    if encoding_of(data).upper() not in ("", "UTF-8", "UTF8"):
        raise not_in_utf8(file, data)
    if kind_of(text, file.name) == "sedml":
        return in_sedml(text, file.name, beside(file))
    return _plain(text, file.name)


def _plain(text: str, name: str) -> Content:
    return Content(text.replace("\r\n", "\n").replace("\r", "\n"), name)
