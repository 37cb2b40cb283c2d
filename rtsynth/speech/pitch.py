"""The fundamental of a voice, block by block: autocorrelation, and the best path through it.

Boersma, Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a sampled sound,
1993: the autocorrelation of a windowed stretch over that of the window. The path (Viterbi) is the temporal prior of the
frequencies: it pays for leaps and for starting and ending the voice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsynth.speech.spectra import frames, hann

Array = NDArray[np.float64]

LOWEST, HIGHEST = 60.0, 500.0  # hertz
STEPS_PER_OCTAVE = 48
WINDOW_SECONDS = 0.045  # three periods of the lowest but for the window's tails
VOICED = 0.45  # autocorrelation at the period that counts as voiced
SHORT_PERIOD = 0.02  # an octave up is preferred by so much: a period is one of its double as well
LEAP_A_SECOND = 0.02  # cost of an octave is this over the hop
SWITCH = 0.14  # cost of voice to no voice and back
QUIET = 1e-5  # of the loudest frame's power: what is added to every frame's, so that faint hum is no voice


def fundamentals(samples: Array, rate: float, centres: Array) -> Array:
    """Fundamental frequencies (F,) in hertz around samples centres (F,); 0 where there is no voice.

    `centres` are equally spaced. Recordings too slowly sampled to hold a period of `HIGHEST` have no voice.
    """
    grid = np.geomspace(LOWEST, HIGHEST, round(np.log2(HIGHEST / LOWEST) * STEPS_PER_OCTAVE))
    window = hann(2 * round(0.5 * WINDOW_SECONDS * rate))
    if rate < 8.0 * HIGHEST:
        return np.zeros(len(centres))
    correlation = np.concatenate(
        [
            correlations(frames(samples, part, window), window, rate / grid)
            for part in np.array_split(centres, max(1, len(centres) // 1000))
        ]
    )
    loudness, found = correlation[:, :1], correlation[:, 1:]
    found = found / np.maximum(loudness + QUIET * loudness.max(), np.finfo(float).tiny)
    hop = float(centres[1] - centres[0]) / rate if len(centres) > 1 else 1.0
    path = best_path(found - SHORT_PERIOD * np.log2(HIGHEST / grid), np.log2(grid), LEAP_A_SECOND / hop)
    return np.where(path < grid.size, refined(found, grid, np.minimum(path, grid.size - 1)), 0.0)


def correlations(stretches: Array, window: Array, lags: Array) -> Array:
    """(F, 1 + L): the power of each stretch, then its autocorrelation at real-valued lags over the window's."""
    n = window.size
    size = 1 << (2 * n - 1).bit_length()

    def correlate(x: Array) -> Array:
        spectrum = np.fft.rfft(x, size)
        return np.fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[..., :n]

    whole = correlate(stretches)
    power, whole = whole[:, :1].copy(), whole / np.maximum(correlate(window), 1e-3)
    low = np.minimum(lags.astype(np.int64), n - 2)
    share = np.minimum(lags - low, 1.0)
    return np.hstack([power, whole[:, low] * (1.0 - share) + whole[:, low + 1] * share])


def best_path(
    score: Array, octaves: Array, leap: float, voiced: float = VOICED, switch: float = SWITCH
) -> NDArray[np.int64]:
    """The states (F,) of the best path through score (F, L); L stands for no voice."""
    count, states = score.shape
    cost = leap * np.abs(octaves[:, None] - octaves)
    came_from = np.zeros((count, states + 1), np.int64)
    value = np.append(score[0], voiced)
    for t in range(1, count):
        moved = value[:states, None] - cost
        origin = moved.argmax(0)
        going_on, from_silence = moved[origin, np.arange(states)], value[states] - switch
        loudest = int(value[:states].argmax())
        ending = value[loudest] - switch
        came_from[t, :states] = np.where(going_on >= from_silence, origin, states)
        came_from[t, states] = states if value[states] >= ending else loudest
        value = np.append(np.maximum(going_on, from_silence) + score[t], max(value[states], ending) + voiced)
    path = np.empty(count, np.int64)
    path[-1] = int(value.argmax())
    for t in range(count - 1, 0, -1):
        path[t - 1] = came_from[t, path[t]]
    return path


def refined(score: Array, grid: Array, path: NDArray[np.int64]) -> Array:
    """Frequencies (F,) at the vertices of parabolas through the score (F, L) around the path."""
    rows, at = np.arange(len(path)), np.clip(path, 1, grid.size - 2)
    before, here, after = score[rows, at - 1], score[rows, at], score[rows, at + 1]
    bend = before - 2.0 * here + after
    offset = np.where(bend < 0.0, 0.5 * (before - after) / np.where(bend < 0.0, bend, -1.0), 0.0)
    return grid[at] * (grid[1] / grid[0]) ** np.clip(offset, -1.0, 1.0)
