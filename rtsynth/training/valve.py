"""What the shipped model learns: a valve stage whose supply sags and whose bias creeps, as a formula; and sound for it.

    u = 4 x                                     12 dB before the grid
    v = 1 / (1 + 0.6 · mean |u| over 60 ms)     what the supply has left, given what the stage has drawn
    b = 0.15 + 0.5 · mean max(u, 0) over 25 ms  grid current charges the coupling capacitor
    y = 0.4 · v · (tanh(u / v - b) + tanh b)

then a low pass of first order at 10 kHz and a high pass at 40 Hz, the transformer. Means are one-pole. The formula is
computed at eight times the rate, so that what it puts above Nyquist does not fold back. Silence stays silence.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RATE = 48000.0  # hertz
OVERSAMPLING = 8
PRE_GAIN, OUTPUT_GAIN = 4.0, 0.4
SAG, SAG_SECONDS = 0.6, 0.060
BIAS, CREEP, CREEP_SECONDS = 0.15, 0.5, 0.025
LOW_PASS, HIGH_PASS = 10000.0, 40.0  # hertz

STRINGS = "piano-modelled"  # preset
SPEECH_RMS = 10 ** (-18 / 20)  # what the gains are staged for


def valve(samples: Array, rate: float = RATE, oversampling: int = OVERSAMPLING) -> Array:
    """The formula: (N,) -> (N,), full scale ±1. oversampling = 1 is how it sounds with its aliases."""
    from scipy.signal import resample_poly

    if oversampling == 1:
        return _stage(samples, rate)
    driven = _stage(resample_poly(samples, oversampling, 1), rate * oversampling)
    return resample_poly(driven, 1, oversampling)[: samples.size]


def _stage(x: Array, rate: float) -> Array:
    u = PRE_GAIN * x
    v = 1.0 / (1.0 + SAG * _one_pole(np.abs(u), 1.0 / (2 * math.pi * SAG_SECONDS), rate))
    b = BIAS + CREEP * _one_pole(np.maximum(u, 0.0), 1.0 / (2 * math.pi * CREEP_SECONDS), rate)
    y = _one_pole(OUTPUT_GAIN * v * (np.tanh(u / v - b) + np.tanh(b)), LOW_PASS, rate)
    return y - _one_pole(y, HIGH_PASS, rate)


def _one_pole(x: Array, frequency: float, rate: float) -> Array:
    from scipy.signal import lfilter

    a = math.exp(-2.0 * math.pi * frequency / rate)
    return lfilter([1.0 - a], [1.0, -a], x)


def practice(seconds: float, seed: int) -> Array:
    """Sound to learn from, or to be examined on, made by rtsynth: (N,) at 48 kHz.

    A second of strummed strings, one of syllables, half of steady tones, and again; peaks from -36 to +3 dBFS.
    """
    rng = np.random.default_rng(seed)
    parts: list[Array] = []
    strummed = strings(math.ceil(seconds / 2.5), rng)
    while sum(part.size for part in parts) < seconds * RATE:
        start = int(rng.integers(0, strummed.size - int(RATE)))
        kinds = strummed[start : start + int(RATE)], speech(1.0, rng), tones(0.5, rng)
        parts += [_levelled(kind, rng) for kind in kinds]
    return np.concatenate(parts)[: round(seconds * RATE)]


def _levelled(samples: Array, rng: np.random.Generator) -> Array:
    """At a random peak level, faded in and out over 5 ms."""
    peak = 10 ** (rng.uniform(-36.0, 3.0) / 20)
    faded = samples * np.minimum(
        1.0, np.minimum(*(np.arange(samples.size)[::s] for s in (1, -1))) / (0.005 * RATE)
    )
    return faded * (peak / max(1e-9, float(np.abs(faded).max())))


def strings(seconds: float, rng: np.random.Generator) -> Array:
    """Chords of one to six notes in a guitar's range, struck two or three times a second."""
    import rtsynth

    notes: list[tuple[float, int, float, float]] = []
    time = 0.0
    while time < seconds:
        for string in range(int(rng.integers(1, 7))):
            key = int(rng.integers(40, 77))
            notes.append(
                (time + 0.015 * string, key, float(rng.uniform(0.3, 1.0)), float(rng.uniform(0.2, 1.5)))
            )
        time += float(rng.uniform(0.3, 0.6))
    seed = int(rng.integers(1 << 31))
    return rtsynth.render(STRINGS, notes, seconds + 1.0, sample_rate=RATE, seed=seed)[:, 0].astype(np.float64)


def tones(seconds: float, rng: np.random.Generator) -> Array:
    """One to three sinusoids from 50 Hz to 8 kHz, held: the loudest there is, and the highest."""
    t = np.arange(round(seconds * RATE)) / RATE
    frequencies = 50.0 * 160.0 ** rng.uniform(size=int(rng.integers(1, 4)))
    return sum(np.sin(2.0 * np.pi * (f * t + rng.uniform())) for f in frequencies)


def speech(seconds: float, rng: np.random.Generator) -> Array:
    """Syllables of 120 to 350 ms: a Gaussian process with a voice's lines under formants, or a fricative's bands."""
    parts: list[Array] = []
    while sum(part.size for part in parts) < seconds * RATE:
        count = int(rng.uniform(0.12, 0.35) * RATE)
        kind = rng.random()
        sound = np.zeros(count) if kind < 0.15 else _syllable(count, kind < 0.75, rng)
        parts.append(sound * np.sin(np.pi * np.arange(count) / count) ** 0.5)
    return np.concatenate(parts)[: round(seconds * RATE)]


def _syllable(count: int, voiced: bool, rng: np.random.Generator) -> Array:
    """(count,) drawn from damped cosines: narrow ones at the multiples of a pitch, or three broad ones up to 9 kHz."""
    from rtsynth.kernels import DampedCosines
    from rtsynth.statespace.structured import draw_circulant

    if voiced:
        pitch = rng.uniform(90.0, 260.0)
        frequency = pitch * np.arange(1, math.ceil(7000.0 / pitch))
        formants = rng.uniform([250.0, 800.0, 2000.0], [850.0, 2200.0, 3200.0])
        variance = sum(1.0 / (1.0 + ((frequency - f) / (0.08 * f + 40.0)) ** 2) for f in formants) / frequency
        damping = np.full(frequency.size, 30.0)
    else:
        frequency, damping = rng.uniform(2000.0, 9000.0, 3), np.full(3, 6000.0)
        variance = np.ones(3)
    kernel = DampedCosines.settled(frequency=frequency, damping=damping, variance=variance)
    return draw_circulant(kernel, count, RATE, rng, pad=8.0) / math.sqrt(float(np.sum(variance)))
