"""Audio files of any length, read a block at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import InputError
from rtsynth.io.audio_files import read_audio
from rtsynth.io.quiet import quiet_stderr

FRAMES = 2**18  # at a time
_FIRST = 0.1  # seconds that are read before, for whatever is wrong with a file as a whole


class AudioBlocks:
    """A file's samples, (n, C) after (n, C), full scale ±1: together what `read_audio` reads. Iterate once or often.

    Raises InputError, one line, as `read_audio` does: at once for what is no audio, on the way for what is not finite.
    """

    def __init__(self, path: str | Path, frames: int = FRAMES) -> None:
        self.path, self.frames = Path(path), frames
        first, self.rate = read_audio(self.path, _FIRST)
        self.channels = first.shape[1]
        self.read = 0  # frames so far, by the latest iteration
        self.clipped = 0  # of their samples, those at full scale

    @property
    def share(self) -> float:
        """How much of the file has been read, 0…1, if it is as long as its head says."""
        import soundfile

        return min(1.0, self.read / max(1, soundfile.info(self.path).frames))

    def __iter__(self) -> Iterator[NDArray[np.float64]]:
        import soundfile

        self.read = self.clipped = 0
        try:
            with quiet_stderr():
                file = soundfile.SoundFile(self.path)
            with file:
                while len(block := self._next(file)):
                    yield block
        except soundfile.SoundFileError as problem:
            raise InputError(f"cannot read {self.path} to its end: {problem}") from problem

    def _next(self, file: object) -> NDArray[np.float64]:
        with quiet_stderr():
            block: NDArray[np.float64] = file.read(self.frames, dtype="float64", always_2d=True)  # type: ignore[attr-defined]
        if not np.isfinite(block).all():
            raise InputError(
                f"{self.path}: samples after {self.read / self.rate:.1f} s are infinite or not numbers. "
                f"Write it again as integers: ffmpeg -i {self.path} -c:a pcm_s24le clean.wav"
            )
        self.read += len(block)
        self.clipped += int(np.count_nonzero(np.abs(block) >= 0.999))
        return block
