"""COMBINE archives (`.omex`) and SED-ML: the model that is simulated, with its changes, and the time course asked for.

References
----------
F. T. Bergmann et al., BMC Bioinformatics 15 (2014) 369, doi:10.1186/s12859-014-0369-z.
L. P. Smith et al., J. Integr. Bioinform. 18 (2021) 20210021, doi:10.1515/jib-2021-0021.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np

from fsp.errors import ModelError
from fsp.formats.stochkit import parsed_xml
from fsp.quantities import MOST_NUMBERS

MOST_BYTES = 200_000_000  # of a file in an archive, unpacked: some pages of zeros unpack to more than any memory

XmlElement = ElementTree.Element
Fetch = Callable[[str], str]  # the text of a file, by its name beside the document

_TARGET = re.compile(r"(?:/\w+:sbml/(?P<path>.+)|//(?P<anywhere>.+))/@(?P<attribute>\w+)")
_FIRST_PREFIX = "ns0"  # that ElementTree writes for the namespace of the root
_NAMESPACE_PREFIX = re.compile(r"(?<![\w'\"])[A-Za-z][\w-]*:(?=\w)")


@dataclass(frozen=True, slots=True)
class Content:
    """A model file as it is read: its text, its name, and the times that a simulation of it asks for."""

    text: str
    name: str
    times: tuple[float, ...] = ()


# ---------------------------------------------------------------------- archives


def in_archive(data: bytes, source: str) -> Content:
    """Return the model of a COMBINE archive: that of its simulation, or the only one."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        archive.getinfo("manifest.xml")
    except (zipfile.BadZipFile, KeyError):
        raise ModelError(
            f"Archive '{source}' must be a COMBINE archive, a ZIP file with a manifest.xml, but is not."
        ) from None

    def fetch(name: str) -> str:
        return _unpacked(archive, name, source)

    manifest = parsed_xml(fetch("manifest.xml"), "manifest.xml", "OMEX")
    entries = [entry for entry in manifest.iterfind("{*}content") if _location(entry) not in (".", "manifest.xml")]
    for kind in ("sed-ml", "sbml", ""):
        entries_of_kind = [
            entry for entry in entries if kind in entry.get("format", "").rpartition("/")[2] and _is_model(entry)
        ]
        if entries_of_kind:
            name = _location(_single(entries_of_kind, source))
            return in_sedml(fetch(name), name, fetch) if kind == "sed-ml" else Content(fetch(name), name)
    raise ModelError(f"Archive '{source}' must hold a model, but its manifest lists none.")


def _location(entry: XmlElement) -> str:
    return posixpath.normpath(entry.get("location", "."))


def _is_model(entry: XmlElement) -> bool:
    """Return whether an entry may be one: it is not said to be a picture, a table or what describes the archive."""
    suffix = posixpath.splitext(_location(entry))[1].lower()
    return suffix in ("", ".xml", ".sbml", ".sedml", ".ant", ".txt", ".net", ".bngl")


def _single(entries: list[XmlElement], source: str) -> XmlElement:
    """Return the one that is meant: the master, or the only one."""
    chosen = [entry for entry in entries if entry.get("master") == "true"] or entries
    if len(chosen) > 1:
        names = ", ".join(_location(entry) for entry in chosen)
        raise ModelError(
            f"Archive '{source}' must have one simulation or model to read, or one that is its master, but has "
            f"{names}; unpack it and load one of them."
        )
    return chosen[0]


def _unpacked(archive: zipfile.ZipFile, name: str, source: str) -> str:
    try:
        info = archive.getinfo(name)
        if info.file_size > MOST_BYTES:
            raise ModelError(
                f"Archive '{source}' must hold files of at most {MOST_BYTES:,} bytes, but '{name}' has "
                f"{info.file_size:,}."
            )
        return archive.read(info).decode("utf-8-sig")
    except KeyError:
        raise ModelError(f"Archive '{source}' must hold '{name}', which it refers to, but does not.") from None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, UnicodeDecodeError) as error:
        raise ModelError(f"Archive '{source}' must hold '{name}' as text, but that cannot be read: {error}.") from None


# ---------------------------------------------------------------------- simulations


def beside(path: Path) -> Fetch:
    """Return what reads files beside a document."""

    def fetch(name: str) -> str:
        try:
            return (path.parent / name).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError):
            raise ModelError(
                f"SED-ML file '{path.name}' must be beside its model '{name}', which is not there."
            ) from None

    return fetch


def in_sedml(text: str, source: str, fetch: Fetch) -> Content:
    """Return the model that a SED-ML document simulates, with its changes, and the times that it asks for."""
    root = parsed_xml(text, source, "SED-ML")
    models = {element.get("id", ""): element for element in root.iterfind("{*}listOfModels/{*}model")}
    courses = {element.get("id", ""): element for element in root.iterfind("{*}listOfSimulations/*")}
    tasks = list(root.iterfind("{*}listOfTasks/*"))
    for task in tasks:
        if not task.tag.endswith("}task"):
            raise ModelError(
                f"SED-ML file '{source}' must have simple tasks, but has {_tag(task)} '{task.get('id')}'; load its "
                "model, and repeat with fsp.sweep (--sweep)."
            )
    used = list(dict.fromkeys(task.get("modelReference", "") for task in tasks)) or list(models)
    asked = [
        _times(courses[name], source) for name in (t.get("simulationReference", "") for t in tasks) if name in courses
    ]
    asked = [times for times in asked if times]
    if not used:
        raise ModelError(f"SED-ML file '{source}' must simulate a model, but names none; load the model file itself.")
    if len(used) != 1 or len(set(asked)) > 1:
        many = f"the models {', '.join(used)}" if len(used) != 1 else f"{len(set(asked))} of them"
        raise ModelError(
            f"SED-ML file '{source}' must ask for one time course of one model, but has {many}; load the model that "
            f"is meant, and give the times."
        )
    name, changes = _followed(models, used[0], source)
    place = posixpath.normpath(posixpath.join(posixpath.dirname(source), unquote(name.removeprefix("file://"))))
    return Content(_changed(fetch(place), changes, place), posixpath.basename(place), asked[0] if asked else ())


def _tag(element: XmlElement) -> str:
    return element.tag.rpartition("}")[2]


def _times(simulation: XmlElement, source: str) -> tuple[float, ...]:
    """Return the times of a uniform time course; none of other simulations."""
    if _tag(simulation) != "uniformTimeCourse":
        return ()
    given = {key: simulation.get(key, "") for key in ("initialTime", "outputStartTime", "outputEndTime")}
    steps = simulation.get("numberOfSteps", simulation.get("numberOfPoints", ""))  # of the same meaning: steps
    try:
        begin, first, last = (float(text) for text in given.values())
        number = int(steps)
    except ValueError:
        begin, first, last, number = np.nan, np.nan, np.nan, 0
    if not (begin == 0.0 <= first <= last < np.inf and 0 < number < MOST_NUMBERS):
        said = ", ".join(f"{key}={value}" for key, value in given.items())
        raise ModelError(
            f"SED-ML file '{source}' must have a time course from 0 on in at most {MOST_NUMBERS - 1:,} steps, but has "
            f"{said}, {steps or 'no'} steps; load its model, and give the times."
        )
    return tuple(np.linspace(first, last, number + 1).tolist()) if last > first else (first,)


def _followed(models: dict[str, XmlElement], name: str, source: str) -> tuple[str, list[XmlElement]]:
    """Return the file of a model, which may be another one with changes, and all changes in order."""
    changes: list[XmlElement] = []
    seen: set[str] = set()
    while name in models and name not in seen:
        seen.add(name)
        changes = [*models[name].iterfind("{*}listOfChanges/*"), *changes]
        name = models[name].get("source", "").removeprefix("#")
    if not name or name in seen or not seen or re.match(r"(?:urn|https?):", name):
        refers = f"refers to '{name}'" if name else "names no source"
        raise ModelError(f"SED-ML file '{source}' must say the file of its model, but {refers}; put it beside.")
    return name, changes


def _changed(text: str, changes: list[XmlElement], name: str) -> str:
    """Return an SBML text with other values of attributes."""
    if not changes:
        return text
    root = parsed_xml(text, name, "SBML")
    for change in changes:
        target = change.get("target", "")
        parts = _TARGET.fullmatch(target) if _tag(change) == "changeAttribute" else None
        elements = [] if parts is None else list(_at(root, parts["path"] or f".//{parts['anywhere']}"))
        if parts is None or len(elements) != 1:
            raise ModelError(
                f"Changes of '{name}' must give an attribute of one element a value, but {_tag(change)} of '{target}' "
                "does not; write it into the model file."
            )
        elements[0].set(parts["attribute"], change.get("newValue", ""))
    return _in_default_namespace(root)


def _in_default_namespace(root: XmlElement) -> str:
    """Return a document whose elements of the root's namespace have no prefix, as libsbml wants those of Level 2."""
    text, prefix = ElementTree.tostring(root, encoding="unicode"), _FIRST_PREFIX
    if not text.startswith(f"<{prefix}:"):
        return text
    text = text.replace(f"<{prefix}:", "<").replace(f"</{prefix}:", "</")
    declared = root.tag.partition("}")[0].removeprefix("{")
    return text.replace(f" xmlns:{prefix}=", f' xmlns="{declared}" xmlns:{prefix}=', 1)  # attributes keep theirs


def _at(root: XmlElement, path: str) -> Iterator[XmlElement]:
    try:
        yield from root.iterfind(_NAMESPACE_PREFIX.sub("{*}", path.replace("/descendant::", "//")))
    except (SyntaxError, KeyError):
        return
