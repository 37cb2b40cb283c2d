"""What is heard: an input of a device, or an audio file in its place, whole and at the engine's rate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import DeviceError, InputError
from rtsynth.io.audio_files import read_audio
from rtsynth.io.listing import Device

FILE_PREFIX = "file:"


@dataclass(frozen=True)
class Hearing:
    """An input and what of it is heard: one channel, counted from 1, or the mean of its first two."""

    device: Device
    channel: int | None = None

    @property
    def channels(self) -> int:
        """How many must be open for that; raises DeviceError where the device has fewer."""
        if self.channel is None:
            return min(2, self.device.inputs)
        if not 1 <= self.channel <= self.device.inputs:
            raise DeviceError(
                f"{self.device.full_name} has no channel {self.channel}: want 1…{self.device.inputs}. "
                "Or their mean: leave --channel out"
            )
        return self.channel


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
