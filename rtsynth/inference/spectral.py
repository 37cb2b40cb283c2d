"""Spectra at a model's edges, hop by hop: windowed frames in, weighted overlap-add out.

A frame is the newest n_fft samples: the spectrum of step t spans samples (t + 1) hop - n_fft … (t + 1) hop - 1. On the
way back every frame is windowed again and the sum divided by that of the squared windows, which is perfect
reconstruction with any window and hop (Griffin and Lim 1984; torch.istft does the same). A sample is whole once no
later frame overlaps it: what comes out lags by n_fft - hop samples. float32 throughout, and numpy's FFT: importing
scipy takes longer than a restart of the model's process may.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import InputError
from rtsynth.inference.schema import Stft

Samples = NDArray[np.float32]
Spectrum = NDArray[np.complex64]

_LEAST_WEIGHT = 1e-6  # of squared windows over one sample: below it, a division by nothing


def window_of(stft: Stft) -> NDArray[np.float64]:
    """The window (n_fft,), periodic."""
    turns = np.arange(stft.n_fft) / stft.n_fft
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * turns)
    if stft.window == "sqrt-hann":
        return np.sqrt(hann)
    if stft.window == "hamming":
        return 0.54 - 0.46 * np.cos(2 * np.pi * turns)
    return hann if stft.window == "hann" else np.ones(stft.n_fft)


def weight_of(stft: Stft) -> NDArray[np.float64]:
    """Sum of the squared windows (hop,) over each sample of a hop."""
    squares = np.zeros(-(-stft.n_fft // stft.hop) * stft.hop)
    squares[: stft.n_fft] = window_of(stft) ** 2
    weight = squares.reshape(-1, stft.hop).sum(axis=0)
    if weight.min() < _LEAST_WEIGHT:
        raise InputError(
            f"stft: windows '{stft.window}' of {stft.n_fft} every {stft.hop} leave samples uncovered"
        )
    return weight


class Analysis:
    """Hops of samples → spectra."""

    def __init__(self, stft: Stft) -> None:
        self._window = (window_of(stft) * stft.scale).astype(np.float32)
        self._hop = stft.hop
        self._past = np.zeros(stft.n_fft, np.float32)  # the newest n_fft samples

    def reset(self) -> None:
        self._past[:] = 0

    def step(self, samples: Samples) -> Spectrum:
        """(hop,) → (n_fft/2 + 1,)."""
        past, hop = self._past, self._hop
        past[:-hop] = past[hop:]
        past[-hop:] = samples
        return np.fft.rfft(past * self._window).astype(np.complex64, copy=False)


class Synthesis:
    """Spectra → hops of samples, n_fft - hop samples late."""

    def __init__(self, stft: Stft) -> None:
        self._n_fft, self._hop = stft.n_fft, stft.hop
        weight = np.tile(weight_of(stft), -(-stft.n_fft // stft.hop))[: stft.n_fft]
        self._window = (window_of(stft) / (weight * stft.scale)).astype(np.float32)
        self._sum = np.zeros(stft.n_fft, np.float32)  # of the frames that overlap the newest

    def reset(self) -> None:
        self._sum[:] = 0

    def step(self, spectrum: Spectrum) -> Samples:
        """(n_fft/2 + 1,) → (hop,)."""
        total, hop = self._sum, self._hop
        total[:-hop] = total[hop:]
        total[-hop:] = 0
        total += np.fft.irfft(spectrum, self._n_fft) * self._window
        return total[:hop].copy()
