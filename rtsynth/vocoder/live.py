"""A microphone through a vocoder: mel frames of what is heard, and sound that answers them, in the inference process.

A frame is heard once its 1024 samples are over, and its own hop lies in their middle: so the answer lags half of what
they are longer than a hop, 384 samples, beside the vocoder's own latency.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import UsageError
from rtsynth.inference.live import LiveModel
from rtsynth.inference.schema import Manifest
from rtsynth.vocoder.mel import Samples, log_mel
from rtsynth.vocoder.stream import Vocoder, load_vocoder


class LiveVocoder(LiveModel):
    """A `LiveModel` of a vocoder's file, or of the name of one that ships."""

    program = "rtsynth.vocoder.worker"

    @staticmethod
    def describe(path: str | Path, manifest: str | Path | None) -> Manifest:
        """What it is, without keeping it. InputError where it is no vocoder."""
        if manifest is not None:
            raise UsageError("a vocoder's file describes itself: leave the manifest out")
        return Hearing(load_vocoder(path)).manifest


class Hearing:
    """A vocoder as a model of frames of sound: (frame,) → (frame, 1), `latency` samples late."""

    channels = 1

    def __init__(self, vocoder: Vocoder) -> None:
        self._vocoder, settings = vocoder, vocoder.mel
        self.frame = vocoder.hop * vocoder.frames_per_step
        self.sample_rate = vocoder.sample_rate
        self.latency = settings.pad + vocoder.latency
        self.provider = vocoder.provider
        self.not_finite = 0
        self.states: dict[str, NDArray] = {}  # it never rests: silence is a sound that it makes
        self.manifest = Manifest(
            schema=1,
            name=_name(vocoder.name),
            file=vocoder.path.name,
            card=vocoder.card,
            sample_rate=self.sample_rate,
            frame=self.frame,
            channels=1,
            latency=self.latency,
            tail=self.latency + settings.n_fft,
        )
        self._past = np.zeros(settings.n_fft - vocoder.hop, np.float32)

    def step(self, frame: Samples) -> Samples:
        """NaN or infinite numbers: zeros instead, counted, and it starts again."""
        settings = self._vocoder.mel
        heard = np.concatenate((self._past, frame))
        windows = np.lib.stride_tricks.sliding_window_view(heard, settings.n_fft)[:: settings.hop]
        said = self._vocoder.step(log_mel(windows, settings)) if np.isfinite(heard).all() else None
        if said is None or not np.isfinite(said).all():
            self.not_finite += self.frame
            self.reset()
            return np.zeros((self.frame, 1), np.float32)
        self._past = heard[self.frame :]
        return said.reshape(-1, 1)

    def reset(self) -> None:
        self._vocoder.reset()
        self._past = np.zeros_like(self._past)

    def clear_edges(self) -> None:
        """It has none."""


def _name(text: str) -> str:
    """As manifests want names."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in text)
    return plain.lstrip("._-") or "vocoder"
