"""Encodings of model files, of which UTF-8 alone is read: which another one is, and how it is converted."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from fsp.errors import ModelError

# UTF-32 before UTF-16, whose mark begins that of UTF-32
_MARKS = {b"\xff\xfe\x00\x00": "UTF-32", b"\x00\x00\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_DECLARED = re.compile(rb"""\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z][\w.-]*)["']""")  # of XML 1.0, 4.3.3
_SCRIPT = "1s/ encoding=[^?]*//"  # of sed, which takes the encoding out of the first line of XML
_USUAL = "ISO-8859-1"  # of files that are not in UTF-8; any bytes can be read in it


def encoding_of(data: bytes) -> str:
    """Return the encoding that a file's byte order mark or its XML declaration names, "" where neither does."""
    marked = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "")
    declared = _DECLARED.match(data.removeprefix(b"\xef\xbb\xbf"))
    return marked or (declared[1].decode() if declared else "")


def not_in_utf8(file: Path, data: bytes) -> ModelError:
    """Return the error of a file in another encoding, or that names one, with a command that makes it one in UTF-8."""
    named, text = encoding_of(data), _decoded(data, "UTF-8")
    place, result = shlex.quote(str(file)), shlex.quote(f"converted{file.suffix}")
    plain = f"sed '{_SCRIPT}' {place} > {result}"
    if named.upper() in ("", "UTF-8", "UTF8"):
        what = "is not" if b"\0" not in data else "is no text"
        return _error(file, what, f"Convert it, if it is in {_USUAL}: {_convert(_USUAL, place, result)}")
    read = _decoded(data, named)
    if read is not None and read == text:
        return _error(file, f"names {named}", f"Take the name out, as the text is in UTF-8 as well: {plain}")
    if read is not None and (read.lstrip("\ufeff").lstrip().startswith("<?xml") or _is_marked(data)):
        return _error(file, f"is in {named}", f"Convert it: {_convert(named, place, result)}")
    what = f"names the encoding {named}, in which it cannot be read"
    if text is not None:
        return _error(file, what, f"Take the name out, as the text is in UTF-8: {plain}")
    return _error(file, what, f"Convert it, if it is in {_USUAL}: {_convert(_USUAL, place, result)}")


def _convert(encoding: str, place: str, result: str) -> str:
    return f"iconv -f {encoding} -t UTF-8 {place} | sed '{_SCRIPT}' > {result}"


def _error(file: Path, what: str, way_out: str) -> ModelError:
    return ModelError(f"Model file must be text in UTF-8, but '{file}' {what}. {way_out}")


def _decoded(data: bytes, encoding: str) -> str | None:
    """Return a text; None where there is no such encoding, or the bytes are not in it."""
    try:
        return data.decode(encoding)
    except (LookupError, UnicodeError):
        return None


def _is_marked(data: bytes) -> bool:
    return data.startswith(tuple(_MARKS))
