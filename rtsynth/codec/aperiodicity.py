"""Which share of a voice's power is noise, in bands around the event's five knots.

A band of a voice repeats after a period. The magnitude of the band's one-sided autocorrelation at the period, over
that at 0, is the share of what repeats; it does not see the phase of the band's own carrier, so a fundamental that is
1 % off does no harm at 7 kHz. What it takes for noise is too much (a voice glides within the window, so it never quite
repeats) and never all (noise in a short window has a magnitude too): the law a = min(s / ALL, 1)^LAW puts that right.
Both were chosen by what a copy without any coding then scores on training clips.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsynth.codec.envelope import LOWEST, adaptive_windows
from rtsynth.codec.event import RATE

Array = NDArray[np.float64]

SIZE = 2048  # of the transform: a window and its autocorrelation
WINDOW_PERIODS = 3.0
SEARCH = np.linspace(-0.03, 0.03, 7)  # of the period
EDGES = np.array([40.0, 1000.0, 2250.0, 4000.0, 6000.0, 8000.0])  # hertz, between SHARE_KNOTS
ALL, LAW = 0.8, 4.0
PIECE = 500  # frames at a time


def noise_shares(samples: Array, centres: ArrayLike, f0: ArrayLike) -> Array:
    """Shares (F, 5) of noise in the power at SHARE_KNOTS around sample numbers (F,); f0 (F,) hertz, above 0.

    samples (N,) at 16 kHz. Where there is no voice f0 is any guess: nothing repeats after its period.
    """
    at, fundamental = np.asarray(centres, np.int64), np.maximum(np.asarray(f0, np.float64), LOWEST)
    count = max(1, -(-at.size // PIECE))
    parts = zip(np.array_split(at, count), np.array_split(fundamental, count), strict=True)
    unlike = np.concatenate([_unlikeness(samples, *part) for part in parts])
    return np.clip(unlike / ALL, 0.0, 1.0) ** LAW


def _unlikeness(samples: Array, centres: NDArray[np.int64], f0: Array) -> Array:
    """1 less the likeness (F, 5) of each band to itself a period later."""
    lengths = WINDOW_PERIODS * RATE / f0
    stretches, window = adaptive_windows(samples, centres, lengths, SIZE)
    stretches -= window * (stretches.sum(1, keepdims=True) / window.sum(1, keepdims=True))
    power = np.abs(np.fft.rfft(stretches)) ** 2  # (F, 1025)
    turns = 2.0 * np.pi / SIZE * (RATE / f0)[:, None] * (1.0 + SEARCH)  # (F, 7): of the lags, a bin
    kept = window_autocorrelation(1.0 / WINDOW_PERIODS)
    bins = np.ceil(EDGES * SIZE / RATE).astype(np.int64)
    likeness = [
        np.abs(_transform(power[:, low:high], turns)).max(1) / np.maximum(power[:, low:high].sum(1), 1e-30)
        for low, high in pairwise(bins)
    ]
    return 1.0 - np.stack(likeness, axis=1) / kept


def window_autocorrelation(lag: float) -> float:
    """Of a Hann window of length 1, at a lag 0…1; 1 at 0."""
    turn = 2.0 * np.pi * lag
    return float((1.0 - lag) * (2.0 + np.cos(turn)) / 3.0 + np.sin(turn) / (2.0 * np.pi))


def _transform(power: Array, turns: Array) -> NDArray[np.complex128]:
    """Σ_b power (F, B) exp(i turns (F, L) b) by Horner's rule: one pass over the bins, no (F, L, B)."""
    step = np.exp(1j * turns)
    total = np.zeros(turns.shape, np.complex128)
    for column in power.T[::-1]:
        total = total * step + column[:, None]
    return total
