"""What a band's spectrum is expected to look like in a short window: the columns of the spectral mixture.

The periodogram of a windowed stretch of a stationary process has the mean Σ_m k(m) a(m) cos 2πfm, with k the covariance
and a the autocorrelation of the window: leakage and resolution are part of the model instead of a bias of the fit.
Percival and Walden, Spectral Analysis for Physical Applications, 1993, section 6.3.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def hann(count: int) -> Array:
    """A periodic Hann window (count,) whose squares add up to 1: white noise has its variance in every bin."""
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * (np.arange(count) + 0.5) / count)
    return window / math.sqrt(float(window @ window))


def frames(samples: Array, centres: ArrayLike, window: Array) -> Array:
    """Windowed stretches (F, n) of samples (N,) around sample numbers centres (F,); zeros outside."""
    n = window.size
    padded = np.pad(samples, (n // 2, n))
    starts = np.clip(np.rint(np.asarray(centres)).astype(np.int64), 0, padded.size - n)
    return np.lib.stride_tricks.sliding_window_view(padded, n)[starts] * window


def periodograms(stretches: Array, size: int) -> Array:
    """|FFT|² of windowed stretches (F, n), padded to `size` -> (F, size // 2 + 1)."""
    spectrum = np.fft.rfft(stretches, size)
    return spectrum.real**2 + spectrum.imag**2


def band_covariance(cycles: ArrayLike, damping: ArrayLike, order: int, count: int) -> Array:
    """Covariances (D, count) at lags 0 … count - 1 of bands of rms gain 1: cycles (D,), damping (D,) nepers a sample.

    Exactly those of rtsynth/sampler/glide.py: turned back by its frequency a ladder is real, x' = M x + noise with
    M[j, i] = s² (-r)^(j - 1 - i) below the diagonal r, all its states are independent, and y = c · x.
    """
    turn, nepers = np.atleast_1d(np.asarray(cycles, float)), np.atleast_1d(np.asarray(damping, float))
    r, s2 = np.exp(-nepers), -np.expm1(-2.0 * nepers)
    step = np.zeros((r.size, order, order))
    weights = np.stack([math.comb(order - 1, j) * r**j for j in range(order)], axis=1)
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    for j in range(order):
        step[:, j, j] = r
        for i in range(j):
            step[:, j, i] = s2 * (-r) ** (j - 1 - i)
    envelope, state = np.empty((r.size, count)), weights[..., None]
    for m in range(count):
        envelope[:, m] = (weights[:, None, :] @ state)[:, 0, 0]
        state = step @ state
    return envelope * np.cos(2.0 * np.pi * np.outer(turn, np.arange(count)))


def expected_periodograms(covariance: Array, window: Array, size: int) -> Array:
    """Means (D, size // 2 + 1) of the periodograms of processes with covariances (D, >= n) in a window (n,)."""
    n = window.size
    autocorrelation = np.correlate(window, window, "full")[n - 1 :]
    product = covariance[:, :n] * autocorrelation
    lags = 2 * size if size < 2 * n else size
    wrapped = np.zeros((covariance.shape[0], lags))
    wrapped[:, :n] = product
    wrapped[:, lags - n + 1 :] += product[:, :0:-1]
    spectrum = np.fft.rfft(wrapped).real[:, :: lags // size]
    return np.maximum(spectrum, 1e-15)


def line_shape(damping: float, order: int, window: Array, size: int, steps: int) -> Array:
    """What one narrow band of power 1 adds to a bin that is 0, 1 / steps, 2 / steps … bins from its centre.

    Up to where a Hann window ends, 4 / n cycles away; damping in nepers a sample. The image at negative frequencies is
    left out: half of the row at 0 Hz.
    """
    covariance = band_covariance([0.0], [damping], order, window.size)
    fine = expected_periodograms(covariance, window, size * steps)[0]
    reach = math.ceil(4.0 * size / window.size)
    return 0.5 * fine[: reach * steps + 1]
