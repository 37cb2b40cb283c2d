"""A file for libsndfile's virtual input and output that knows why a write failed."""

from __future__ import annotations

import io
import os
from pathlib import Path


class Sink(io.RawIOBase):
    """An unbuffered file to read and write; the first failed write is kept in `problem`, never raised.

    After a failed write the file grows no more, but libsndfile is told that all is well: its Ogg writer would
    try for ever, and the others still have their headers, which lie inside the file, to put right.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = open(path, "w+b", buffering=0)  # noqa: SIM115  closed in close()
        self._end: int | None = None  # bytes; set by the first failure
        self._good_end = 0  # bytes
        self.problem: OSError | None = None

    def mark_good(self) -> None:
        """What is in the file now is whole; a failure later cuts back to here."""
        self._good_end = self._file.seek(0, os.SEEK_END)

    def cut_back(self) -> None:
        """Take off the part of the last write that still fitted: it will be written elsewhere as a whole."""
        self._file.truncate(self._good_end)
        self._end = self._good_end

    def write(self, data: bytes) -> int:  # type: ignore[override]
        start = self._file.tell()
        room = len(data) if self._end is None else max(0, min(len(data), self._end - start))
        try:
            written = 0
            while written < room:  # a nearly full disk takes a part first, and says why only the next time
                written += self._file.write(data[written:room]) or 0
        except OSError as problem:
            self.problem = self.problem or problem
            self._end = self._file.seek(0, os.SEEK_END)
        self._file.seek(start + len(data))
        return len(data)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._file.readinto(buffer) or 0

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
        super().close()
