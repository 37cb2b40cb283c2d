"""What is heard in place of a microphone: an audio file, at the engine's rate, whole before anything plays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import InputError
from rtsynth.io.audio_files import read_audio

FILE_PREFIX = "file:"


def read_heard(path: str | Path, sample_rate: float, channel: int | None = None) -> NDArray[np.float32]:
    """The file's samples (n,) at `sample_rate` hertz: one channel, counted from 1, or the mean of all.

    Resampled by soxr, as well as it can. Raises InputError for a file that cannot be used or has no such channel.
    """
    samples, rate = read_audio(path)
    channels = samples.shape[1]
    if channel is not None and not 1 <= channel <= channels:
        raise InputError(
            f"{path} has no channel {channel}: want 1…{channels}. Or their mean: leave --channel out"
        )
    mono = samples.mean(axis=1) if channel is None else samples[:, channel - 1]
    if rate != sample_rate:
        import soxr

        mono = soxr.resample(mono, rate, sample_rate, quality="VHQ")
    return np.ascontiguousarray(mono, np.float32)
