"""What the decoder's rows are, before any event: the harmonics' phases, the bands of noise, and how loud they are.

Harmonic h of a voice is an undamped row at h f0 with amplitude 2 e^E sqrt((1 - a) f0 / 16000), E the envelope and a
the noise's share there: the harmonics of a flat envelope have the power of white noise of variance e^2E at 16 kHz. Band
b of noise is a broad row at knot b with rms e^E sqrt(a) · `Noise.weights`, which are such that the bands of a flat
envelope add up to the same white noise: a cross-fades voicing at constant power. At other rates the power a hertz is
the same.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth.codec.event import KNOTS, RATE
from rtsynth.sampler.noise import SEGMENT
from rtsynth.speech.bands import Bands, damping_of, library

Array = NDArray[np.float64]

HARMONICS = 128  # of a voice; as RT_HARMONICS in native/tone.h
TOP, FADE = 7900.0, 60.0  # hertz where harmonics are half faded, and the slope
NYQUIST_MARGIN = 100.0  # hertz that the fading stays below half the sample rate
HIGHEST_SHARE = 0.49  # of the sample rate: bands, modes and bursts above are silent
SECTIONS = 4  # of a band of noise: steep enough that a valley between two formants stays one
WIDTH = 1.0  # equivalent rectangular bandwidth of a band over the distance of its neighbours
BURST_SECTIONS = 2
_POINTS = 400  # frequencies at which the bands' sum is made flat
_SPECTRUM = 1 << 15  # points of a band's spectrum


class Noise(NamedTuple):
    """The bands at one sample rate, one a knot."""

    centres: Array  # (24,) hertz
    damping: Array  # (24,) 1/s, of a section
    weights: Array  # (24,) rms for an envelope of 1; 0 above Nyquist


def top(rate: float) -> float:
    """Hertz where harmonics are half faded."""
    return min(TOP, 0.5 * rate - NYQUIST_MARGIN)


@functools.cache
def phases() -> Array:
    """Phases (HARMONICS,) of the harmonics, cycles, the same for all voices and seeds."""
    return np.random.RandomState(1).uniform(0.0, 1.0, HARMONICS)  # the one stream that numpy promises to keep


@functools.cache
def noise(rate: float) -> Noise:
    """The bands at a sample rate (hertz); not to be written to. Weights: non-negative least squares of the sum to 1."""
    from scipy.optimize import nnls

    ends = np.concatenate(
        [[0.0], 0.5 * (KNOTS[1:] + KNOTS[:-1]), [KNOTS[-1] + 0.5 * (KNOTS[-1] - KNOTS[-2])]]
    )
    damping = damping_of(WIDTH * np.diff(ends), SECTIONS)
    audible = HIGHEST_SHARE * rate > KNOTS
    at = np.linspace(60.0, min(8000.0, HIGHEST_SHARE * rate), _POINTS)
    rows = np.array([density(f, d, rate, at) for f, d in zip(KNOTS, damping, strict=True)]) * RATE
    nearness = 1.0 / np.sqrt(at + 700.0)  # a point counts as much as it holds of the mel scale
    power = np.zeros(len(KNOTS))
    power[audible] = nnls((rows[audible] * nearness).T, nearness)[0]
    return Noise(KNOTS, damping, np.sqrt(power))


def density(centre: float, damping: float, rate: float, at: Array) -> Array:
    """Power a hertz (two-sided) at frequencies (F,) of a band of rms 1."""
    pole = np.exp((-damping + 2j * np.pi * centre) / rate)

    def response(hertz: Array) -> Array:
        delay = np.exp(-2j * np.pi * hertz / rate)
        return np.abs(1.0 / (1.0 - pole * delay)) ** (2 * SECTIONS)

    mean = response(rate * (np.arange(_SPECTRUM) + 0.5) / _SPECTRUM).mean()
    return 0.5 * (response(at) + response(-at)) / mean / rate


def noise_bands(rate: float, seed: int = 1) -> Bands:
    """The bands, ready to play."""
    law = noise(rate)
    bands = Bands(len(KNOTS), SECTIONS, seed)
    bands.turn(np.minimum(law.centres, 0.5 * rate) / rate, law.damping / rate)
    bands.start(0)
    return bands


def band_signals(rate: float, samples: int, seed: int = 1) -> NDArray[np.float32]:
    """What each band plays at rms 1 throughout, (24, samples): the noise of a decoder of this seed."""
    bands, compiled = noise_bands(rate, seed), library()
    out = np.zeros((len(KNOTS), -(-samples // SEGMENT) * SEGMENT), np.float32)
    for unit, row in zip(np.eye(len(KNOTS)), out, strict=True):
        goal = bands.padded(unit)
        bands.start(0)
        bands.state.gains[:, :, 0, :] = bands.weights * goal.reshape(bands.groups, 1, -1)
        first, last = row.ctypes.data, row.ctypes.data + row.nbytes
        for at in range(first, last, SEGMENT * row.itemsize):
            compiled.rt_bands_draw(bands.address)
            compiled.rt_bands_segment(bands.address, goal.ctypes.data, at)
    return out[:, :samples]
