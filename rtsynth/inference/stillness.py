"""Has a model come to rest? Then its frames need not be computed until a sound comes in.

Decided frame by frame, from the frames alone: how the stream was cut into pieces makes no difference to what comes out.
"""

from __future__ import annotations

from math import ceil, inf

import numpy as np
from numpy.typing import NDArray

from rtsynth.inference.model import FrameModel

Samples = NDArray[np.float32]

SILENCE = 1e-6  # of full scale, -120 dB: below it, input and output count as silent
MOVED = 1e-6  # relative to the largest number of a state: less is standing still, …
SETTLING = 0.25  # … over as long as this, seconds
NOMINAL_RATE = 48000.0  # hertz, of models that run at any


class Stillness:
    """Watches what goes in, what comes out, and the states in between."""

    def __init__(self, model: FrameModel) -> None:
        stft = model.manifest.stft
        overlapping = stft.n_fft / stft.hop + 1 if stft else 1
        seconds = model.frame / (model.sample_rate or NOMINAL_RATE)
        self._model = model
        self._needed = ceil(max(2, overlapping, SETTLING / seconds))  # frames
        rest = model.manifest.rest
        self._enough = inf if rest is None else max(self._needed, ceil(rest / seconds))  # frames
        self.restart()

    def restart(self) -> None:
        self._silent = 0  # frames, in and out, so far
        self._still = 0  # of them since a state last was elsewhere than …
        self._then: list[NDArray] | None = None  # … here

    @property
    def settled(self) -> bool:
        """Until a sound comes in, nothing changes; or it has been silent for as long as the manifest cares."""
        return self._still >= self._needed or self._silent >= self._enough

    def rests(self, frame: Samples) -> bool:
        """(frame,) that goes in next: would computing it change nothing?"""
        if not np.abs(frame).max() <= SILENCE:
            self.restart()
        return self.settled

    def see(self, frame: Samples, sound: Samples) -> None:
        """(frame,) that went in, (frame, channels) that came out, the states being as it left them."""
        if not max(np.abs(frame).max(), np.abs(sound).max()) <= SILENCE:
            self.restart()
            return
        self._silent += 1
        states = list(self._model.states.values())
        if self._then is not None and all(map(_near, states, self._then)):
            self._still += 1
        else:
            self._still = 0
            self._then = [state.copy() for state in states]


def _near(now: NDArray, then: NDArray) -> bool:
    """Moved by no more than MOVED of its largest number."""
    if not now.size:
        return True
    size = max(float(np.abs(then).max()), MOVED)
    return bool(np.abs(now.astype(np.float64) - then).max() <= MOVED * size)
