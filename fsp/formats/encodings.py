"""Encodings of model files, of which UTF-8 alone is read: which another one is, and how it is converted."""

from __future__ import annotations

import re
from pathlib import Path

from fsp.errors import ModelError

# UTF-32 before UTF-16, whose mark begins that of UTF-32
_MARKS = {b"\xff\xfe\x00\x00": "UTF-32", b"\x00\x00\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_DECLARED = re.compile(rb"""\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z][\w.-]*)["']""")  # of XML 1.0, 4.3.3
_STATEMENT = " | sed '1s/ encoding=[^?]*//'"  # which takes the encoding out of the first line of XML


def encoding_of(data: bytes) -> str:
    """Return the encoding that a file's byte order mark or its XML declaration names, "" where neither does."""
    marked = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "")
    declared = _DECLARED.match(data.removeprefix(b"\xef\xbb\xbf"))
    return marked or (declared[1].decode() if declared else "")


def not_in_utf8(file: Path, encoding: str) -> ModelError:
    """Return the error of a file in another encoding, with the command that converts it."""
    state = f"is in {encoding}" if encoding.upper() not in ("", "UTF-8", "UTF8") else "is not"
    given = encoding if state != "is not" else "ENCODING"
    return ModelError(
        f"Model file must be text in UTF-8, but '{file}' {state}. Convert it: iconv -f {given} -t UTF-8 "
        f"{file.name}{_STATEMENT} > converted{file.suffix}"
    )
