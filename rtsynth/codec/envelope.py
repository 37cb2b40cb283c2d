"""The spectral envelope of a voice, free of the pulses that excite it, at the event's 24 knots.

Morise, CheapTrick, a spectral envelope estimator for high-quality speech synthesis, 2015: the power in a window of
three periods is the same wherever in the period the window stands; averaged over 2/3 of the fundamental and stripped of
the quefrency of the period, it is the envelope.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsynth.codec.event import KNOTS, RATE, mel

Array = NDArray[np.float64]

SIZE = 1024  # of the transform
LOWEST = 60.0  # hertz: three of its periods, 800 samples, fit the transform
WINDOW_PERIODS = 3.0
SMOOTHING = 2.0 / 3.0  # of the fundamental
RECOVERY = -0.15  # q1 of the paper: sharpens what the smoothing blunted
FAINTEST = 1e-20  # power a bin, beside a full scale of 1
PIECE = 1000  # frames at a time


def envelopes(samples: Array, centres: ArrayLike, f0: ArrayLike) -> Array:
    """Envelopes (F, 24), ln amplitude of a unit-density spectrum, around sample numbers (F,); f0 (F,) hertz, above 0.

    samples (N,) at 16 kHz. White noise of variance 1 has the envelope 0, less the bias of a mean of logarithms.
    """
    at, fundamental = np.asarray(centres), np.maximum(np.asarray(f0, np.float64), LOWEST)
    count = max(1, -(-at.size // PIECE))
    parts = zip(np.array_split(at, count), np.array_split(fundamental, count), strict=True)
    return np.concatenate([0.5 * _log_power(samples, *part) @ _knot_averages() for part in parts])


def _log_power(samples: Array, centres: NDArray[np.int64], f0: Array) -> Array:
    """ln of the smoothed power density (F, 513)."""
    stretches, window = adaptive_windows(samples, centres, WINDOW_PERIODS * RATE / f0, SIZE)
    stretches -= window * (stretches.sum(1, keepdims=True) / window.sum(1, keepdims=True))
    power = np.abs(np.fft.rfft(stretches, SIZE)) ** 2
    cycles = f0 * SIZE / RATE  # of the fundamental, in bins
    smooth = _smoothed(_without_dip(power, cycles), cycles * SMOOTHING)
    cepstrum = np.fft.irfft(np.log(np.maximum(smooth, FAINTEST)))
    quefrency = np.minimum(np.arange(SIZE), SIZE - np.arange(SIZE)) / RATE
    turns = f0[:, None] * quefrency
    lifter = np.sinc(turns) * (1.0 - 2.0 * RECOVERY + 2.0 * RECOVERY * np.cos(2.0 * np.pi * turns))
    return np.fft.rfft(cepstrum * lifter).real


def adaptive_windows(
    samples: Array, centres: NDArray[np.int64], lengths: Array, size: int
) -> tuple[Array, Array]:
    """Stretches (F, size) around centres under Hann windows of lengths (F,) samples, and the windows, of energy 1."""
    offset = np.arange(size) - size // 2
    phase = np.clip(offset / lengths[:, None], -0.5, 0.5)
    window = 0.5 + 0.5 * np.cos(2.0 * np.pi * phase)
    window /= np.sqrt(np.sum(window**2, axis=1, keepdims=True))
    padded = np.pad(samples, (size // 2, size))
    starts = np.clip(centres, 0, padded.size - size)
    return np.lib.stride_tricks.sliding_window_view(padded, size)[starts] * window, window


def _without_dip(power: Array, cycles: Array) -> Array:
    """Power (F, B) whose part below the fundamental is filled with its mirror image about half of it."""
    bins = np.arange(power.shape[1])
    mirrored = _read(power, np.maximum(cycles[:, None] - bins, 0.0))
    return power + np.where(bins < cycles[:, None], mirrored, 0.0)


def _smoothed(power: Array, widths: Array) -> Array:
    """Means of power (F, B) over widths (F,) bins around every bin; the spectrum goes on mirrored at its ends."""
    reach = int(np.ceil(widths.max())) + 2
    whole = np.pad(power, ((0, 0), (reach, reach)), mode="reflect")
    area = np.cumsum(0.5 * (whole[:, 1:] + whole[:, :-1]), axis=1)  # up to bin 1 - reach, 2 - reach …
    at = np.arange(power.shape[1]) + reach - 1.0
    half = 0.5 * widths[:, None]
    return (_read(area, at + half) - _read(area, at - half)) / widths[:, None]


def _read(rows: Array, at: Array) -> Array:
    """Rows (F, B) at places (F, M) between bins, in straight lines."""
    low = np.minimum(at.astype(np.int64), rows.shape[1] - 2)
    share = at - low
    here, there = np.take_along_axis(rows, low, 1), np.take_along_axis(rows, low + 1, 1)
    return here + share * (there - here)


def _knot_averages() -> Array:
    """Weights (513, 24): the triangular means of bins around each knot."""
    bins = mel(np.arange(SIZE // 2 + 1) * RATE / SIZE)
    weights = np.stack([np.interp(bins, mel(KNOTS), row, 0.0, 0.0) for row in np.eye(KNOTS.size)], axis=1)
    return weights / weights.sum(0)
