"""How near a rendering is to its recording, and whether the joins of its blocks can be seen.

LSD: Hann windows of 40 ms every 20 ms, 40 triangular bands on the ERB scale from 20 Hz to half the rate (at most 20
kHz), mean |dB| over the cells in which the recording is within 60 dB of its loudest one, both clamped at -70 dB. Where
several draws are given, their mean power is compared with the recording; `rms` asks for the root of the mean square.
STOI: Taal, Hendriks, Heusdens and Jensen, An algorithm for intelligibility prediction of time-frequency weighted noisy
speech, 2011, by the pystoi package, which rtsynth does not need for anything else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import RtsynthError
from rtsynth.speech.bands import erb_number
from rtsynth.speech.spectra import frames, hann, periodograms

Array = NDArray[np.float64]

LSD_SECONDS, LSD_BANDS, LSD_RANGE_DB, LSD_CLAMP_DB = 0.04, 40, 60.0, 70.0
JOIN_BLOCKS = 40  # blocks a periodogram of the joins spans
JOIN_HARMONICS = 4  # of the block rate
JOIN_SMOOTHING = 4.0  # blocks over which power is compared with itself


def log_spectral_distance(recording: Array, draws: Sequence[Array], rate: float, rms: bool = False) -> float:
    """dB between a recording (N,) and the mean power of draws, (N,) each; see the top of this file."""
    here = 10.0 * np.log10(_ear_spectrum(recording, rate) + 1e-30)
    there = 10.0 * np.log10(np.mean([_ear_spectrum(draw, rate) for draw in draws], axis=0) + 1e-30)
    loudest = here.max()
    counted = here > loudest - LSD_RANGE_DB
    floor = loudest - LSD_CLAMP_DB
    difference = np.abs(np.maximum(here, floor) - np.maximum(there, floor))[counted]
    return float(np.sqrt(np.mean(difference**2)) if rms else difference.mean())


def _ear_spectrum(samples: Array, rate: float) -> Array:
    """Power (F, 40) in bands of the ear."""
    window = hann(2 * round(0.5 * LSD_SECONDS * rate))
    size = 1 << max(12, (window.size - 1).bit_length())
    power = periodograms(frames(samples, np.arange(0, samples.size, window.size // 2), window), size)
    number = erb_number(np.fft.rfftfreq(size, 1.0 / rate))
    centres = np.linspace(erb_number(20.0), erb_number(min(20000.0, 0.5 * rate)), LSD_BANDS + 2)
    apart = np.abs(number[:, None] - centres[1:-1]) / (centres[1] - centres[0])
    return power @ np.maximum(0.0, 1.0 - apart)


def join_spectrum(samples: Array, block: float) -> Array:
    """Mean periodogram (JOIN_HARMONICS, 2): power fluctuations at multiples of the block rate, and beside them.

    The sound's instantaneous power over its own mean in JOIN_SMOOTHING blocks is cut into stretches of JOIN_BLOCKS
    blocks (`block` samples each, fractions allowed). "Beside" is the mean of the lines 2 … 5 of a stretch away, on both
    sides.
    What a block's ends do to the sound comes again in every block and stands up as a line; speech does not.
    """
    fluctuation = _fluctuation(samples, JOIN_SMOOTHING * block)
    length = round(JOIN_BLOCKS * block)
    window, time = hann(length), np.arange(length)
    count = max(1, fluctuation.size // length)
    stretches = np.resize(fluctuation, count * length).reshape(count, length) * window
    found = np.empty((JOIN_HARMONICS, 2))
    for harmonic in range(1, JOIN_HARMONICS + 1):
        lines = harmonic * JOIN_BLOCKS + np.array([0, -5, -4, -3, -2, 2, 3, 4, 5])
        waves = np.exp(-2j * np.pi * np.outer(lines / (JOIN_BLOCKS * block), time))
        power = np.mean(np.abs(stretches @ waves.T) ** 2, axis=0)
        found[harmonic - 1] = power[0], power[1:].mean()
    return found


def join_line_db(spectra: Sequence[Array]) -> float:
    """How far the block rate stands out, dB: the largest of its multiples, over spectra of `join_spectrum` together."""
    total = np.sum(spectra, axis=0)
    return float(np.max(10.0 * np.log10(total[:, 0] / total[:, 1])))


def _fluctuation(samples: Array, smoothing: float) -> Array:
    """Power of (N,) samples over its moving average, less 1; 0 where there is silence."""
    power = samples**2
    half = max(1, round(0.5 * smoothing))
    total = np.cumsum(np.pad(power, (half + 1, half)))
    mean = (total[2 * half + 1 :] - total[: -2 * half - 1]) / (2 * half + 1)
    loud = mean > 1e-9 * max(float(mean.max()), 1e-30)
    return np.where(loud, power / np.where(loud, mean, 1.0) - 1.0, 0.0)


def intelligibility(recording: Array, draw: Array, rate: float) -> float:
    """STOI of a draw (N,) of a recording (N,), 0…1. RtsynthError where pystoi is not installed."""
    try:
        from pystoi import stoi
    except ImportError:
        raise RtsynthError("no pystoi, which measures STOI: pip install pystoi") from None
    return float(stoi(recording, draw, round(rate)))
