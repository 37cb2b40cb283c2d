"""A whole recording through a model, the obvious way: what `Pipeline` must equal, whatever pieces it is fed.

Resampled as a whole (scipy), cut into frames, spectra by their definition, overlap-added as a whole, in float64; only
the network itself runs frame by frame, because that is what it is.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsynth.inference.model import StreamingModel
from rtsynth.inference.resampling import prototype
from rtsynth.inference.schema import Stft
from rtsynth.inference.spectral import window_of

Array = NDArray[np.float64]


def run_offline(
    model: StreamingModel, samples: ArrayLike, rate: float, *, resampling: str = "polyphase"
) -> NDArray[np.float32]:
    """Samples (n,) at `rate` hertz → (n, channels), sample p answering sample p. The model is reset first."""
    x = np.asarray(samples, np.float64)
    ratio = Fraction(model.sample_rate or rate) / Fraction(rate)
    model.reset()
    ringing = 0.1 * rate  # of the filters, there and back; libsoxr's are the longer ones
    behind = ceil(ringing + (model.latency + model.frame) / ratio)
    heard = _resample(np.pad(x, (0, behind)), ratio, resampling)
    heard = np.pad(heard, (0, -len(heard) % model.frame))
    stft = model.manifest.stft
    answer = _through_spectra(model, heard, stft) if stft else _through(model, heard)
    answer = answer[model.latency :]
    return np.stack(
        [_resample(channel, 1 / ratio, resampling)[: len(x)] for channel in answer.T], axis=1
    ).astype(np.float32)


def _through(model: StreamingModel, samples: Array) -> Array:
    """(frames · frame,) → (frames · frame, channels)."""
    frames = samples.astype(np.float32).reshape(-1, model.frame)
    return np.concatenate([model.step(frame) for frame in frames]).astype(np.float64)


def _through_spectra(model: StreamingModel, samples: Array, stft: Stft) -> Array:
    """(frames · hop,) → (frames · hop, 1), n_fft - hop samples late."""
    n, hop, window = stft.n_fft, stft.hop, window_of(stft)
    past = np.pad(samples, (n - hop, 0))
    total, weight = np.zeros((2, len(past) + n))
    for start in range(0, len(samples), hop):
        spectrum = stft.scale * np.fft.rfft(window * past[start : start + n])
        answer = model.step_spectrum(spectrum.astype(np.complex64))
        total[start : start + n] += window * np.fft.irfft(answer.astype(np.complex128), n) / stft.scale
    for start in range(
        -n // hop * hop, len(past), hop
    ):  # frames before the first and after the last weigh too
        inside = slice(max(0, start), max(0, start + n))
        weight[inside] += window[inside.start - start :][: len(weight[inside])] ** 2
    return (total / np.maximum(weight, 1e-12))[: len(samples), None]


def _resample(samples: Array, ratio: Fraction, resampling: str) -> Array:
    """By the whole; output k stands at time k / ratio."""
    if ratio == 1:
        return samples
    up, down = ratio.numerator, ratio.denominator
    if resampling == "soxr":
        import soxr

        return soxr.resample(samples.astype(np.float32), down, up, quality="HQ").astype(np.float64)
    from scipy.signal import resample_poly

    return resample_poly(samples, up, down, window=prototype(up, down)[0])
