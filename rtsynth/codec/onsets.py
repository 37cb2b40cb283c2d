"""Onsets of struck and plucked sound: where many bands rise at once, and by how much.

A logarithmic filter bank over short frames, and the mean rise of its levels over a few hops: Böck and Widmer, Maximum
filter vibrato suppression for onset detection, DAFx 2013, whose maximum over neighbouring bands keeps a partial that
wavers between two of them from counting.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsynth.instrument.fitting.recording import Array

FRAME, HOP = 0.023, 0.005  # seconds
BANDS, LOWEST, HIGHEST = 36, 50.0, 14000.0
LAG = 4  # hops: a rise is against the level 20 ms before
CUT = 0.05  # seconds before the end in which a cut may be heard as a rise
LEAD = 4 * LAG  # hops of silence put before the sound: it may begin with an onset
FLOOR_DB = -65.0  # of the loudest band at any time: what is softer is silence
AUDIBLE_DB = -50.0  # of the loudest frame: what is softer is no onset
RISE_DB = 2.5  # mean over the bands, above what is usual around
USUAL = 20  # hops either side: their median rise is usual
APART = 0.05  # seconds: of two onsets that are nearer the greater is kept
FINE = 0.001  # seconds: the step an onset is placed on
SMOOTH = 4  # of these steps on either side are compared
BEFORE, AFTER = 0.010, 0.012  # seconds around the middle of the rise in which the onset lies


def find_onsets(samples: Array, sample_rate: float) -> NDArray[np.int64]:
    """Indices (K,) of the samples that notes begin at, of samples (N,); none in silence."""
    level, total = levels_db(samples, sample_rate)
    if total.size <= LAG or not np.isfinite(total.max()):
        return np.zeros(0, np.int64)
    rise = _rise_db(level)
    rise[total[LAG:] < total.max() + AUDIBLE_DB] = 0.0
    hop = round(HOP * sample_rate)
    rise[samples.size // hop + LEAD - round(CUT / HOP) :] = 0.0
    found: list[int] = []
    for i in np.argsort(-rise, kind="stable"):
        if rise[i] < RISE_DB:
            break
        if all(abs(i - other) * HOP >= APART for other in found):
            found.append(int(i))
    middles = (np.array(sorted(found), np.int64) + LAG // 2 - LEAD) * hop
    return np.unique([_placed(samples, int(m), sample_rate) for m in middles]).astype(np.int64)


def levels_db(samples: Array, sample_rate: float) -> tuple[Array, Array]:
    """Levels (T, BANDS), held at the floor, and (T,) of all; frames are centred on their hops, silence around."""
    size, hop = round(FRAME * sample_rate), round(HOP * sample_rate)
    padded = np.pad(samples, (LEAD * hop + size // 2, size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    n_fft = 1 << (2 * size - 1).bit_length()
    edges = np.geomspace(LOWEST, min(HIGHEST, 0.45 * sample_rate), BANDS + 1) * n_fft / sample_rate
    first = np.unique(np.round(edges).astype(np.int64))
    power = np.concatenate(
        [_band_power(part, n_fft, first) for part in np.array_split(frames, len(frames) // 512 + 1)]
    )
    total = power.sum(axis=1)
    loudest = power.max()
    if loudest <= 0.0:
        return np.zeros((0, BANDS)), np.zeros(0)
    floor = loudest * 10.0 ** (FLOOR_DB / 10.0)
    return 10.0 * np.log10(power + floor), 10.0 * np.log10(total + 1e-12 * loudest)


def _band_power(frames: Array, n_fft: int, first: NDArray[np.int64]) -> Array:
    from scipy.fft import rfft

    spectrum = rfft(frames * np.hanning(frames.shape[1]), n_fft, axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    return np.asarray(np.add.reduceat(power[:, : first[-1]], first[:-1], axis=1))


def _rise_db(level: Array) -> Array:
    """Mean rise (T - LAG,) of the bands over LAG hops, less the usual one; 0 where it is not the greatest nearby."""
    from scipy.ndimage import maximum_filter1d, median_filter

    widened = maximum_filter1d(level, 3, axis=1)
    rise = np.clip(level[LAG:] - widened[:-LAG], 0.0, None).mean(axis=1)
    rise = rise - median_filter(rise, 2 * USUAL + 1, mode="constant")
    peak = rise == maximum_filter1d(rise, 2 * LAG + 1)
    return np.where(peak, rise, 0.0)


def _placed(samples: Array, middle: int, sample_rate: float) -> int:
    """The sample of the steepest rise around the middle of a rise of LAG hops.

    Of the second difference: a stroke is sharper than what still rings, and so stands out in the treble.
    """
    step = max(1, round(FINE * sample_rate))
    first = max(0, middle - round(BEFORE * sample_rate))
    part = samples[first : middle + round(AFTER * sample_rate)]
    steps = part.size // step
    if steps < 2 * SMOOTH:
        return first
    sharp = np.diff(part[: steps * step], 2, prepend=[part[0], part[0]])
    energy = np.convolve(np.square(sharp).reshape(steps, step).sum(axis=1), np.ones(SMOOTH))
    energy += 1e-4 * energy.max() + 1e-300
    rise = np.log(
        energy[SMOOTH : steps + SMOOTH - 1] / energy[: steps - 1]
    )  # after against before each step's end
    return first + (int(np.argmax(rise)) + 1) * step
