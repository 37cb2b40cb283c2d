"""Bands of noise: their law, draws from it, and what a window of a short-time Fourier transform expects to see of them.

A band is a real, unit-variance Gaussian process with two poles at -γ ± iδ around its centre, γ = δ = 2π width/√2: the
Butterworth shape 1/(1 + ((f - centre)/width)⁴), so neighbours half a spacing wide add up flat. Its covariance is

    k(τ) = exp(-γ|τ|) (cos δτ + sin δ|τ|) cos 2π centre τ

and sampled at the playing rate it is an ARMA(2, 1) process around the centre, which is drawn without error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsynth.instrument.curves import place
from rtsynth.instrument.fitting.metrics import Frames, erb_frequency, erb_rate

if TYPE_CHECKING:
    from rtsynth.instrument.strokes import Stroke

Array = NDArray[np.float64]

LOWEST, HIGHEST = 30.0, 17500.0  # hertz: centres of the first audible band and the last
RUMBLE_CENTRE, RUMBLE_WIDTH = 12.0, 8.0  # hertz: the room below 20 Hz, which a short window sees as bass
TABLE = 512  # samples
WITHIN_NYQUIST = 0.4  # of the sample rate: no centre above


@dataclass(frozen=True, eq=False)
class Bands:
    """B bands of noise: centre (B,) and half the width at half power (B,), hertz."""

    centre: Array
    width: Array

    @property
    def count(self) -> int:
        return self.centre.size


Law = Callable[[Bands, Array], Array]  # the covariance (B, K) of bands at lags (K,) seconds


def erb_bands(count: int, sample_rate: float) -> Bands:
    """A band of rumble, then count - 1 equally spaced on the ERB-rate scale that meet at half power.

    ValueError for fewer than 3.
    """
    if count < 3:
        raise ValueError(f"wants at least 3 bands of noise, got {count}")
    low, high = erb_rate([LOWEST, min(HIGHEST, WITHIN_NYQUIST * sample_rate)])
    at = np.linspace(low, high, count - 1)
    half = 0.5 * (at[1] - at[0])
    width = 0.5 * (erb_frequency(at + half) - erb_frequency(at - half))
    return Bands(np.append(RUMBLE_CENTRE, erb_frequency(at)), np.append(RUMBLE_WIDTH, width))


def covariance(bands: Bands, lag: ArrayLike) -> Array:
    """k (B, K) at lags (K,) seconds."""
    tau = np.abs(np.asarray(lag, float))
    decay = (np.sqrt(2.0) * np.pi * bands.width)[:, None] * tau
    carrier = np.cos(2.0 * np.pi * bands.centre[:, None] * tau)
    return np.exp(-decay) * (np.cos(decay) + np.sin(decay)) * carrier


def expected_power(bands: Bands, frames: Frames, sample_rate: float, law: Law = covariance) -> Array:
    """E|STFT|² (B, n_fft/2 + 1) of each band at gain 1: exact, aliasing and the window's own spread included.

    The transform of the covariance, which is `law`'s, times the window's autocorrelation.
    """
    from scipy.fft import irfft, rfft

    size = frames.window.size
    spread = irfft(np.abs(rfft(frames.window, 2 * size)) ** 2, 2 * size)[:size]
    spectrum = rfft(law(bands, np.arange(size) / sample_rate) * spread, 2 * frames.n_fft, axis=1)
    return 2.0 * spectrum.real[:, ::2] - spread[0]


def draw_bands(stroke: Stroke, sample_rate: float, n: int, rng: np.random.Generator) -> Array:
    """One draw (n,) of a held stroke's bands from its onset on, each times its gain."""
    t = place(np.arange(n) / sample_rate, stroke.loop)
    out = np.zeros(n)
    for centre, width, gain in zip(stroke.band_centre, stroke.band_width, stroke.band_gain.T, strict=True):
        envelope = np.interp(t, stroke.times, gain)
        turned = _draw_around_zero(width / sample_rate, n, rng) * _turning(centre / sample_rate, n)
        out += envelope * turned.real
    return out


def _turning(cycles: float, n: int) -> NDArray[np.complex128]:
    """exp(2πi cycles k) for k = 0 … n - 1, by products of two short tables."""
    near, far = np.arange(TABLE), TABLE * np.arange(-(-n // TABLE))
    tables = [np.exp(2j * np.pi * np.remainder(cycles * k, 1.0)) for k in (far, near)]
    return np.outer(tables[0], tables[1]).ravel()[:n]


def _draw_around_zero(width: float, n: int, rng: np.random.Generator) -> NDArray[np.complex128]:
    """A draw (n,) whose real and imaginary parts have the covariance of a band at 0; width in cycles a sample."""
    from scipy.signal import lfilter

    decay = np.sqrt(2.0) * np.pi * width
    past = round(12.0 / decay)  # samples until the start is forgotten, to -100 dB
    a, b = _arma(decay)
    white = rng.standard_normal((2, n + past))
    settled: NDArray[np.complex128] = lfilter(b, a, white[0] + 1j * white[1])[past:]
    return settled


def _arma(decay: float) -> tuple[Array, Array]:
    """Denominator and numerator of the filter that gives white noise covariance exp(-d|k|)(cos dk + sin d|k|)."""
    k = np.arange(4.0)
    c = np.exp(-decay * k) * (np.cos(decay * k) + np.sin(decay * k))
    a = np.array([1.0, -2.0 * np.exp(-decay) * np.cos(decay), np.exp(-2.0 * decay)])
    # The moving average's own covariance at lags 0 and 1, then its factor with the zero inside the unit circle.
    apart = np.subtract.outer(np.arange(3), np.arange(3))
    r0, r1 = (float(a @ c[np.abs(lag + apart)] @ a) for lag in (0, 1))
    b0 = np.sqrt(0.5 * (r0 + np.sqrt(r0 * r0 - 4.0 * r1 * r1)))
    return a, np.array([b0, r1 / b0])
