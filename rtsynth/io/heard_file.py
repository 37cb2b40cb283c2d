"""What was heard while it was answered, in a file: what a log needs beside it to be played again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import RtsynthError
from rtsynth.io.audio_files import AudioWriter


class HeardFile:
    """Takes what the sources hear, mono, and writes it to both channels of a float file, bit for bit.

    Raises what AudioWriter raises; once it cannot be written any more it says so in one line.
    """

    def __init__(
        self,
        path: str | Path,
        sample_rate: float,
        *,
        force: bool = False,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._writer = AudioWriter(path, sample_rate, subtype="FLOAT", force=force)
        self._say = say
        self._failed = False
        self._closed = False
        self.path = Path(path)

    def write(self, samples: NDArray[np.float32]) -> None:
        """(n,)."""
        if self._failed:
            return
        try:
            self._writer.write(np.repeat(samples[:, None], 2, axis=1))
        except RtsynthError as problem:
            self._fail(problem)

    def close(self) -> None:
        """The file is complete. Again is harmless."""
        if self._closed:
            return
        self._closed = True
        try:
            self._writer.close()
        except RtsynthError as problem:
            self._fail(problem)

    def _fail(self, problem: RtsynthError) -> None:
        self._failed = True
        self._say(f"{problem}: what is heard from now on is not kept; the playing goes on")
