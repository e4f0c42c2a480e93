"""A file for HDF5 in which no write fails.

HDF5 does not survive a disk that is full: it cannot close a file of which it cannot write the rest, tries again when
the process ends, and crashes it.  So what the disk does not take is kept in memory until HDF5 has closed the file, and
the error is raised by `check`, which is called between the pieces of what is written, and at the end.
"""

from __future__ import annotations

import os
from io import FileIO

from fsp.output.files import put


class Sink:
    """What h5py takes for an open file."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._place = 0
        self._kept: list[tuple[int, bytes]] = []
        self._error: OSError | None = None

    def check(self) -> None:
        """Raise the error of the disk, if there was one."""
        if self._error is not None:
            raise self._error

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; h5py asks for the end to know the size."""
        ends = [start + len(data) for start, data in self._kept]
        end = max([os.fstat(self._file.fileno()).st_size, *ends]) if whence == os.SEEK_END else 0
        self._place = end + place
        return self._place

    def tell(self) -> int:
        """Return the place."""
        return self._place

    def write(self, memory: memoryview) -> int:
        """Write, or keep."""
        data = memoryview(memory)
        if self._error is None:
            try:
                self._file.seek(self._place)
                put(self._file, data)
                return data.nbytes
            except OSError as error:
                self._error = error
        self._kept.append((self._place, bytes(data)))
        return data.nbytes

    def read(self, size: int) -> bytes:
        """Return bytes; zeros where nothing was written."""
        content = bytearray(size)
        self.readinto(memoryview(content))
        return bytes(content)

    def readinto(self, memory: memoryview) -> int:
        """Read what was written or kept."""
        buffer, n = memoryview(memory), 0
        try:
            self._file.seek(self._place)
            n = self._file.readinto(buffer)
        except OSError as error:
            self._error = error
        buffer[n:] = bytes(buffer.nbytes - n)
        for start, data in self._kept:
            low, high = max(start, self._place), min(start + len(data), self._place + buffer.nbytes)
            if low < high:
                buffer[low - self._place : high - self._place] = data[low - start : high - start]
        return buffer.nbytes

    def truncate(self, size: int) -> int:
        """Set the length."""
        if self._error is None:
            try:
                self._file.truncate(size)
            except OSError as error:
                self._error = error
        return size

    def flush(self) -> None:
        """Do nothing: nothing is held back here."""
