"""The sound of the causal vocoder: its network's filters on three sources, by inverse transform and overlap-add.

Frame k is a window of 512 samples, sqrt-Hann twice, over the hop before and its own: so sound is one hop, 256 samples,
late, and what has been said is never changed. The transform is not in the network: as matrices it would cost more than
the network does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import InputError
from rtsynth.vocoder.excitation import HOP, Excitation
from rtsynth.vocoder.mel import Samples

Array = NDArray[np.float64]

BINS = HOP + 1  # of a filter
FIELDS = (
    1 + 4 * BINS
)  # what a network says of a frame: ln f0; ln |H| and arg H of the pulses; ln gains of the two noises
LOWEST, HIGHEST = 20.0, 2000.0  # hertz: what a network may say
LOUDEST = 9.0  # nepers: beyond it a filter would be infinite
_WINDOW = np.sqrt(0.5 - 0.5 * np.cos(np.pi * np.arange(2 * HOP) / HOP))


class SourceFilter:
    """A stream of filters to sound. State: the excitation's, its last hop, and what overlaps the next frame."""

    latency = HOP  # samples

    def __init__(self, seed: int = 0) -> None:
        self._excitation = Excitation(seed)
        self.reset()

    def reset(self) -> None:
        self._excitation.reset()
        self._heard = np.zeros((3, HOP))
        self._overlap = np.zeros(HOP)

    def step(self, said: NDArray[np.float32]) -> Samples:
        """(1, FIELDS, T) → (256 T,), a hop late. InputError for what are no filters."""
        if said.ndim != 3 or said.shape[:2] != (1, FIELDS):
            raise InputError(f"filters of the shape {said.shape}: want (1, {FIELDS}, T)")
        frames = said.reshape(FIELDS, -1).astype(np.float64)
        return np.concatenate([self._frame(frame) for frame in frames.T]).astype(np.float32)

    def _frame(self, said: Array) -> Array:
        f0 = float(np.clip(np.exp(np.minimum(said[0], 9.0)), LOWEST, HIGHEST))
        new = self._excitation.step(f0)
        spectra = np.fft.rfft(np.concatenate((self._heard, new), axis=1) * _WINDOW)
        piece = np.fft.irfft(np.sum(response(said) * spectra, axis=0)) * _WINDOW
        out = self._overlap + piece[:HOP]
        self._heard, self._overlap = new, piece[HOP:]
        return out


def response(said: Array) -> NDArray[np.complex128]:
    """What a frame (FIELDS,) does to each of the sources: (3, BINS)."""
    level, angle, steady, beside = said[1:].reshape(4, BINS)
    gains = np.exp(np.minimum((level, steady, beside), LOUDEST))
    return np.stack((gains[0] * np.exp(1j * angle), gains[1], gains[2]))
