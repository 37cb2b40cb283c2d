"""The recording's own innovations, kept beside the model: what a free draw replaces by fresh Gaussians.

In the coordinates of a lapped orthogonal transform (MDCT, Princen and Bradley, 1986) the model's process has nearly
independent coefficients, with the model's local spectrum as their variances (Whittle's approximation). The recording's
coefficients over their standard deviations are therefore innovations of unit variance; and since the sound is linear in
the innovations w, driving the rows with κ E[w | y] + sqrt(1 - κ²) fresh ones gives κ y + sqrt(1 - κ²) times a free
draw: the sum is made on the sound, and no row has to be stored.

Codes are whole steps of a quarter of a standard deviation: an error 22.8 dB below the local spectrum everywhere, and 4
bits a sample once the file is packed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rtsynth.speech import spectra
from rtsynth.speech.mixture import Lines
from rtsynth.speech.model import Kept, Model

Array = NDArray[np.float64]

FRAME_SECONDS = 0.0116  # M = 256 samples at 22 050 Hz
STEP = 0.25  # standard deviations
LINE_STEPS = 8
CHUNK = 2000  # frames at once


def keep_innovations(model: Model, flat: Array) -> Model:
    """The model with the innovations of the recording, given the latter over its envelope, flat (N,)."""
    length = frame_length(model.rate)
    coefficients = mdct(flat, length)
    codes = np.empty(coefficients.shape, np.int8)
    for at, deviation in _deviations(model, length, len(coefficients)):
        codes[at] = np.clip(np.rint(coefficients[at] / (deviation * STEP)), -127, 127)
    return replace(model, kept=Kept(codes, STEP))


def kept_sound(model: Model) -> Array:
    """E[y | recording] (N,): the recording, but for the codes' rounding; zeros where nothing was kept."""
    if model.kept is None:
        return np.zeros(model.samples)
    codes = model.kept.codes
    coefficients = np.empty(codes.shape)
    for at, deviation in _deviations(model, codes.shape[1], len(codes)):
        coefficients[at] = codes[at] * (deviation * model.kept.step)
    flat = inverse_mdct(coefficients)[: model.samples]
    return flat * model.envelope_at(np.arange(model.samples))


def frame_length(rate: float) -> int:
    """M: even, 11.6 ms."""
    return max(8, 2 * round(0.5 * FRAME_SECONDS * rate))


def frame_count(samples: int, length: int) -> int:
    """T: frames of 2 M samples, M apart, that cover every sample twice."""
    return -(-samples // length) + 1


def mdct(samples: Array, length: int) -> Array:
    """Coefficients (T, M) of samples (N,), by an orthonormal transform with a sine window of 2 M."""
    count = frame_count(samples.size, length)
    padded = np.pad(samples, (length, (count + 1) * length - length - samples.size))
    stretches = np.lib.stride_tricks.sliding_window_view(padded, 2 * length)[::length]
    return _fold(stretches * _sine(length), length)


def inverse_mdct(coefficients: Array) -> Array:
    """Samples (at least N,) from coefficients (T, M)."""
    count, length = coefficients.shape
    unfolded = _unfold(coefficients, length) * _sine(length)
    out = np.zeros((count + 1) * length)
    out[:-length] += unfolded[:, :length].ravel()
    out[length:] += unfolded[:, length:].ravel()
    return out[length:]


def _sine(length: int) -> Array:
    return np.sin(np.pi * (np.arange(2 * length) + 0.5) / (2 * length))


def _fold(stretches: Array, length: int) -> Array:
    """Windowed stretches (T, 2 M) to their type-IV cosine transforms (T, M)."""
    from scipy.fft import dct

    half = length // 2
    a, b, c, d = (stretches[:, i * half : (i + 1) * half] for i in range(4))
    folded = np.hstack([-c[:, ::-1] - d, a - b[:, ::-1]])
    return np.asarray(dct(folded, type=4, norm="ortho", axis=1))


def _unfold(coefficients: Array, length: int) -> Array:
    from scipy.fft import dct

    half = length // 2
    folded = np.asarray(dct(coefficients, type=4, norm="ortho", axis=1))
    first, second = folded[:, :half], folded[:, half:]
    return np.hstack([second, -second[:, ::-1], -first[:, ::-1], -first])


def _deviations(model: Model, length: int, count: int) -> Iterator[tuple[slice, Array]]:
    """(slice of frames, standard deviations (t, M) of their coefficients under the model), a chunk at a time."""
    window, size = _sine(length) / np.sqrt(length), 4 * length
    nepers = model.damping / model.rate
    fixed = slice(model.harmonics, None)
    cycles = model.frequency / model.rate
    covariance = spectra.band_covariance(cycles[0, fixed], nepers[fixed], model.order, 2 * length)
    bands = spectra.expected_periodograms(covariance, window, size)[:, 1::2]
    power = model.power
    for start in range(0, count, CHUNK):
        at = slice(start, min(start + CHUNK, count))
        # Frame t is centred on sample t M.
        place = np.minimum(np.arange(at.start, at.stop) * length / model.hop, model.frames - 1.0)
        low = np.minimum(place.astype(np.int64), model.frames - 2)
        share = (place - low)[:, None]
        here = power[low] * (1.0 - share) + power[low + 1] * share
        variance = here[:, fixed] @ bands
        if model.harmonics:
            where = (
                cycles[low, : model.harmonics] * (1.0 - share) + cycles[low + 1, : model.harmonics] * share
            )
            shape = spectra.line_shape(nepers[0], model.order, window, size, LINE_STEPS)
            lines = Lines(where * size, here[:, : model.harmonics] > 0.0, shape, LINE_STEPS, size // 2 + 1)
            spectrum = lines.matrix(slice(None)) @ here[:, : model.harmonics].ravel()
            variance = variance + spectrum.reshape(len(here), -1)[:, 1::2]
        yield at, np.sqrt(np.maximum(variance, 1e-10))
