"""The fundamental of a voice every control step: a path through autocorrelations, then the harmonics' own frequencies.

As rtsynth/speech/pitch.py, but a lag is judged in a window of three of its own periods, so that a glide or a creak
of a high voice is not smeared, and the frequency found is corrected by the phases of the first harmonics (Flanagan and
Golden, Phase vocoder, 1966; as StoneMask of WORLD does): a hundredth of an octave is heard as roughness.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter1d

from rtsynth.codec.envelope import adaptive_windows
from rtsynth.codec.event import CONTROL, RATE
from rtsynth.speech.pitch import HIGHEST, LOWEST, best_path, correlations, refined
from rtsynth.speech.spectra import frames, hann

Array = NDArray[np.float64]

STEPS_PER_OCTAVE = 48
PERIODS = 3.0  # a window holds
SMOOTHING = 1.8  # samples, one sigma, before lags are judged: -3 dB at 1.2 kHz
LAG_BANDS = np.geomspace(LOWEST, HIGHEST, 6)  # hertz; each has one window
VOICED = 0.4  # autocorrelation that counts as voiced
SWITCH = 0.4  # cost of voice to no voice and back
LEAP = 0.02 / CONTROL  # cost of an octave from step to step
SHORT_PERIOD = 0.02  # an octave up is preferred by so much
QUIET = 1e-5  # of the loudest step's power, added to every step's, so that faint hum is no voice
HARMONICS = 6  # whose phases are listened to
HIGHEST_HARMONIC = 4000.0  # hertz
FURTHEST = 0.2  # octaves a correction may go
ROUNDS = 2
PIECE = 500  # steps at a time


def track(samples: Array, centres: ArrayLike) -> Array:
    """Fundamental frequencies (F,) in hertz around sample numbers (F,), 64 apart; 0 where there is no voice.

    samples (N,) at 16 kHz.
    """
    at = np.asarray(centres, np.int64)
    grid = np.geomspace(LOWEST, HIGHEST, round(np.log2(HIGHEST / LOWEST) * STEPS_PER_OCTAVE))
    smooth = gaussian_filter1d(samples, SMOOTHING)  # else the peaks of a low voice are narrower than the grid
    score = np.empty((at.size, grid.size))
    for low, high in pairwise(LAG_BANDS):
        here = (grid >= low * (1.0 - 1e-9)) & (grid < high if high < HIGHEST else True)
        score[:, here] = _periodicity(smooth, at, grid[here], low)
    path = best_path(score - SHORT_PERIOD * np.log2(HIGHEST / grid), np.log2(grid), LEAP, VOICED, SWITCH)
    found = refined(score, grid, np.minimum(path, grid.size - 1))
    return _by_phase(samples, at, np.where(path < grid.size, found, 0.0))


def _periodicity(samples: Array, at: NDArray[np.int64], grid: Array, lowest: float) -> Array:
    """Normalised autocorrelation (F, L) at the periods of grid (L,) Hz."""
    window = hann(2 * round(0.5 * PERIODS * RATE / lowest))
    parts = np.array_split(at, max(1, at.size // PIECE))
    found = np.concatenate(
        [correlations(frames(samples, part, window), window, RATE / grid) for part in parts]
    )
    power = found[:, :1]
    return found[:, 1:] / np.maximum(power + QUIET * power.max(), np.finfo(float).tiny)


def _by_phase(samples: Array, at: NDArray[np.int64], f0: Array) -> Array:
    """f0 (F,) corrected by the instantaneous frequencies of its harmonics; 0 stays 0."""
    out, voiced = f0.copy(), np.flatnonzero(f0 > 0.0)
    for _ in range(ROUNDS):
        for part in np.array_split(voiced, max(1, -(-voiced.size // PIECE))):
            found = _instantaneous(samples, at[part], out[part])
            far = np.abs(np.log2(np.maximum(found, 1.0) / out[part])) > FURTHEST
            out[part] = np.where(far, out[part], found)
    return out


def _instantaneous(samples: Array, at: NDArray[np.int64], f0: Array) -> Array:
    """The fundamental (F,) that the first harmonics agree on, each weighted by its amplitude."""
    lengths = PERIODS * RATE / f0
    size = 2 * (int(0.5 * lengths.max(initial=2.0)) + 1)
    stretches, _ = adaptive_windows(samples, at, lengths, size)
    offset = np.arange(size) - size // 2
    phase = np.clip(offset / lengths[:, None], -0.5, 0.5)
    # d/dt of ln(0.5 + 0.5 cos 2πt/L) is -(2π/L) tan(πt/L): the window's derivative without a second window
    slope = -(2.0 * np.pi / lengths[:, None]) * np.tan(np.pi * np.clip(phase, -0.499, 0.499))
    turn = np.exp(-2j * np.pi * (f0 / RATE)[:, None] * offset)
    wave, total, weight = turn.copy(), np.zeros(f0.size), np.zeros(f0.size)
    for harmonic in range(1, HARMONICS + 1):
        here = np.einsum("fn,fn->f", stretches, wave)
        change = np.einsum("fn,fn->f", stretches * slope, wave)
        amplitude = np.abs(here) * (harmonic * f0 < HIGHEST_HARMONIC)
        shift = np.imag(change * np.conj(here)) / np.maximum(np.abs(here) ** 2, 1e-30) * RATE / (2.0 * np.pi)
        total += amplitude * (harmonic * f0 - shift)
        weight += amplitude * harmonic
        wave *= turn
    return np.where(weight > 1e-12, total / np.maximum(weight, 1e-12), f0)
