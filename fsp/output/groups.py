"""Look into HDF5 groups for what must be there: all else is refused, by name, before it is read into memory.

What a file says of itself is not trusted: a dataset must hold as many bytes as its size asks for, lie in this file, and
have the type that it is read as.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_EXPANSION = 1032
"""Deflate makes at most this many bytes of one (RFC 1951: 258 bytes of two bits)."""
_WORDS = {str: "a text", float: "a number", int: "a whole number", bool: "true or false"}
_DTYPE_KINDS = {"u": "unsigned integers", "iu": "integers", "f": "floats"}


def child(group: Any, name: str, kind: str = "group") -> Any:
    """Return a group or dataset of this file."""
    import h5py

    link = group.get(name, getlink=True)
    what = _place(group, name)
    if link is None:
        raise ValueError(f"{what} must be there, but is missing")
    if not isinstance(link, h5py.HardLink):
        raise ValueError(f"{what} must be in the file itself, but is a link to another place")
    item = group[name]
    if not isinstance(item, h5py.Group if kind == "group" else h5py.Dataset):
        raise ValueError(f"{what} must be a {kind}, but is a {type(item).__name__.lower()}")
    return item


def array(group: Any, name: str, kinds: str, shape: Sequence[int | None], *, gaps: bool = False) -> NDArray[Any]:
    """Read numbers; NaN only with `gaps`, where it stands for what is not there."""
    data = _stored(group, name)
    if data.dtype.kind not in kinds or data.dtype.itemsize > 8:
        raise ValueError(f"{data.name} must be {_DTYPE_KINDS[kinds]}, but is of type {data.dtype}")
    if len(data.shape) != len(shape) or any(n not in (None, m) for n, m in zip(shape, data.shape, strict=True)):
        wanted = ", ".join("any" if n is None else f"{n}" for n in shape)
        raise ValueError(f"{data.name} must have the shape ({wanted}), but has {data.shape}")
    values: NDArray[Any] = data[()]
    if data.dtype.kind == "f" and not gaps and np.isnan(values).any():
        raise ValueError(f"{data.name} must be numbers, but one is not")
    return values


def texts(group: Any, name: str, ndim: int) -> NDArray[Any]:
    """Read an array of texts with so many dimensions, as `array` reads numbers."""
    import h5py

    data = _stored(group, name)
    if h5py.check_string_dtype(data.dtype) is None or len(data.shape) != ndim:
        raise ValueError(f"{data.name} must be texts in {ndim} dimensions, but is {data.dtype} of shape {data.shape}")
    return np.array(data.asstr()[()], dtype=object)


def attribute(group: Any, name: str, kind: type) -> Any:
    """Read an attribute."""
    what = f"attribute '{name}' of {group.name}"
    if name not in group.attrs:
        raise ValueError(f"{what} must be there, but is missing")
    value: Any = plain(group.attrs[name])
    if type(value) is not kind or (kind is float and value != value):
        raise ValueError(f"{what} must be {_WORDS[kind]}, but is {value!r:.80}")
    return value


def attributes(group: Any) -> dict[str, str | float | int | bool]:
    """Read all attributes of a group; each must be a text or a number."""
    values = {name: plain(value) for name, value in group.attrs.items()}
    for name, value in values.items():
        if type(value) not in _WORDS:
            raise ValueError(f"attribute '{name}' of {group.name} must be a text or a number, but is {value!r:.80}")
    return values


def plain(value: Any) -> Any:
    """Return a number of numpy as one of Python."""
    return value.item() if isinstance(value, np.generic) else value


def _stored(group: Any, name: str) -> Any:
    """Return a dataset that holds what its size asks for, in this file, packed by nothing but what `save` uses."""
    import h5py

    data = child(group, name, "dataset")
    layout = data.id.get_create_plist()
    if data.shape is None:
        raise ValueError(f"{data.name} must hold something, but is empty")
    if data.is_virtual or layout.get_external_count():
        raise ValueError(f"{data.name} must be in the file itself, but is stored in another one")
    known = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
    if {layout.get_filter(i)[0] for i in range(layout.get_nfilters())} - known:
        raise ValueError(f"{data.name} must be packed by gzip, but is packed otherwise")
    asked, stored = math.prod(data.shape), data.id.get_storage_size()
    if data.chunks is not None:
        n_chunks = math.prod(-(-n // m) for n, m in zip(data.shape, data.chunks, strict=True))
        asked = n_chunks * math.prod(data.chunks)
        if any(m > max(n, 1) for n, m in zip(data.shape, data.chunks, strict=True)):
            raise ValueError(f"{data.name} must have pieces no larger than itself, but has {data.chunks}")
        if data.id.get_num_chunks() != n_chunks:
            raise ValueError(f"{data.name} must be whole, but of its {n_chunks:,} pieces some are missing")
    if asked * data.dtype.itemsize > _EXPANSION * stored:
        raise ValueError(f"{data.name} must hold the {asked:,} values that its size asks for, but has {stored:,} bytes")
    return data


def _place(group: Any, name: str) -> str:
    return f"{group.name.rstrip('/')}/{name}"
