"""Log-mel frames as HiFi-GAN defines them (arXiv 2010.05646; jik876/hifi-gan, meldataset.py), whole and as a stream.

Samples of full scale ±1 at 22,050 Hz, 384 samples reflected at both ends; spectra of 1024 samples under a periodic Hann
window every 256; sqrt(|X|² + 1e-9); 80 triangles on Slaney's mel scale, each of area one, from 0 to 8000 Hz; then the
natural logarithm of what is at least 1e-5. So n samples make floor(n / 256) frames, and frame t hears from sample
256 t - 384 to 256 t + 639.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsynth.errors import InputError

Frames = NDArray[np.float32]  # (bands, T)
Samples = NDArray[np.float32]
Array = NDArray[np.float64]

FLOOR = 1e-5  # of a band, below the logarithm
SILENT = math.log(FLOOR)
SPREAD = 1e-9  # below the root of a bin's power


@dataclass(frozen=True)
class MelSettings:
    """What decides the frames; those of HiFi-GAN's published models where nothing is said."""

    sample_rate: float = 22050.0  # hertz
    n_fft: int = 1024
    hop: int = 256  # samples
    window: int = 1024  # samples, in the middle of n_fft
    bands: int = 80
    low: float = 0.0  # hertz
    high: float | None = 8000.0  # hertz; None: half the rate

    def __post_init__(self) -> None:
        top = self.sample_rate / 2 if self.high is None else self.high
        if not (0 < self.hop <= self.n_fft and 0 < self.window <= self.n_fft and self.bands > 0):
            raise InputError(
                f"mel frames of {self.bands} bands, FFT {self.n_fft}, window {self.window}, hop {self.hop}"
            )
        if (self.n_fft - self.hop) % 2 or not 0 <= self.low < top <= self.sample_rate / 2:
            raise InputError(
                f"mel frames from {self.low:g} to {top:g} Hz at {self.sample_rate:g} Hz, "
                f"FFT {self.n_fft} less hop {self.hop}: want an even difference, and bands below half the rate"
            )

    @property
    def pad(self) -> int:
        """Samples that a frame hears before its own hop, and after it."""
        return (self.n_fft - self.hop) // 2


HIFIGAN = MelSettings()


def mel_frames(samples: ArrayLike, rate: float, settings: MelSettings = HIFIGAN) -> Frames:
    """(n,) at `rate` hertz, resampled where the settings' is another → (bands, T). InputError for what is no sound."""
    x = resampled(samples, rate, settings.sample_rate)
    return log_mel(_windows(_reflected(x, settings.pad), settings), settings)


def resampled(samples: ArrayLike, rate: float, wanted: float) -> Array:
    """(n,) at `wanted` hertz. InputError where it is not one channel of finite numbers."""
    x = np.asarray(samples, np.float64)
    if x.ndim != 1:
        raise InputError(f"sound of the shape {x.shape}: want one channel, (samples,)")
    if not np.isfinite(x).all():
        raise InputError("the sound holds numbers that are not finite (NaN or infinite)")
    if rate == wanted or not x.size:
        return x
    import soxr

    return np.asarray(soxr.resample(x, rate, wanted, quality="HQ"))


def log_mel(windows: NDArray, settings: MelSettings = HIFIGAN) -> Frames:
    """Pieces of sound (T, n_fft) → (bands, T)."""
    spectra = np.fft.rfft(windows * hann(settings), axis=1)
    magnitudes = np.sqrt(spectra.real**2 + spectra.imag**2 + SPREAD)
    bands = filterbank(settings) @ magnitudes.T
    return np.log(np.maximum(bands, FLOOR)).astype(np.float32)


@cache
def filterbank(settings: MelSettings = HIFIGAN) -> Array:
    """(bands, n_fft / 2 + 1): triangles between neighbours on Slaney's mel scale, each of area one over hertz."""
    high = settings.sample_rate / 2 if settings.high is None else settings.high
    edges = _hertz(np.linspace(_mel(settings.low), _mel(high), settings.bands + 2))
    bins = np.linspace(0.0, settings.sample_rate / 2, settings.n_fft // 2 + 1)
    lower, middle, upper = (edges[i : i + settings.bands, None] for i in range(3))
    rising, falling = (bins - lower) / (middle - lower), (upper - bins) / (upper - middle)
    return np.maximum(0.0, np.minimum(rising, falling)) * 2.0 / (upper - lower)


class MelStream:
    """The frames of a sound in pieces: all that `push` and `finish` return, in a row, is `mel_frames` of the whole."""

    def __init__(self, settings: MelSettings = HIFIGAN) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        self._waiting: Array = np.zeros(0)  # samples that some frame still has to hear
        self._begun = False  # whether the beginning's reflection stands in front of them

    def push(self, samples: ArrayLike) -> Frames:
        """(n,) at the settings' rate → (bands, k), k ≥ 0: the frames that are whole by now."""
        pad = self.settings.pad
        self._waiting = np.concatenate((self._waiting, np.asarray(samples, np.float64)))
        if not self._begun and self._waiting.size > pad:
            self._waiting = np.concatenate((self._waiting[pad:0:-1], self._waiting))
            self._begun = True
        return self._whole() if self._begun else np.zeros((self.settings.bands, 0), np.float32)

    def finish(self) -> Frames:
        """(bands, k): the frames that hear the reflection at the end. The next `push` begins another sound."""
        if self._begun:  # what waits is longer than the reflection
            self._waiting = np.pad(self._waiting, (0, self.settings.pad), mode="reflect")
        else:
            self._waiting = _reflected(self._waiting, self.settings.pad)
        last = self._whole()
        self.reset()
        return last

    def _whole(self) -> Frames:
        windows = _windows(self._waiting, self.settings)
        self._waiting = self._waiting[len(windows) * self.settings.hop :]
        return log_mel(windows, self.settings)


def _windows(samples: Array, settings: MelSettings) -> Array:
    """(n,) → (T, n_fft), T = floor((n - n_fft) / hop) + 1, or none."""
    if samples.size < settings.n_fft:
        return np.zeros((0, settings.n_fft))
    return np.lib.stride_tricks.sliding_window_view(samples, settings.n_fft)[:: settings.hop]


def _reflected(samples: Array, pad: int) -> Array:
    """The sound with its ends mirrored; one of no more than `pad` samples is mirrored again and again."""
    return np.pad(samples, pad, mode="reflect") if samples.size else samples


@cache
def hann(settings: MelSettings) -> Array:
    """(n_fft,): a periodic Hann window, zeros on both sides where it is the shorter one, as torch.stft has it."""
    n, before = settings.window, (settings.n_fft - settings.window) // 2
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(n) / n)
    return np.pad(window, (before, settings.n_fft - n - before))


# Slaney's scale (Auditory Toolbox, 1998): 3 mel to 200 Hz below 1 kHz, then 27 mel to every factor of 6.4.
_LINEAR, _CORNER, _STEP = 200.0 / 3.0, 1000.0, math.log(6.4) / 27.0


def _mel(hertz: float) -> float:
    if hertz < _CORNER:
        return hertz / _LINEAR
    return _CORNER / _LINEAR + math.log(hertz / _CORNER) / _STEP


def _hertz(mel: Array) -> Array:
    corner = _CORNER / _LINEAR
    return np.where(mel < corner, mel * _LINEAR, _CORNER * np.exp((np.maximum(mel, corner) - corner) * _STEP))
