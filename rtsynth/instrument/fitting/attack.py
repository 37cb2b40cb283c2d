"""When the modes of a note start and how fast they rise: the first 100 ms of their sound against the recording's.

The first milliseconds of a stroke are hammer and wave front, not exponentials that all begin in one sample; a bare
step is 9-12 dB too loud above 5 kHz there. That pair is chosen whose modes leave the least in the cells of these
frames, where what they have too much counts again: noise can add what is missing, and nothing takes away.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from rtsynth.instrument.fitting.metrics import COUNTED_DB, HELD_DB, cell_frames, erb_triangles
from rtsynth.instrument.fitting.recording import Array, Recording
from rtsynth.instrument.fitting.subband import Onset

STARTS = np.arange(0.0, 5.1e-3, 0.5e-3)  # seconds; later ones cut into the note
FINER = np.arange(-0.5e-3, 0.51e-3, 0.1e-3)  # seconds around the best start; then single samples
ATTACKS = np.array([0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0]) * 1e-3  # seconds
WINDOW = 0.010  # seconds: shorter than the cells of ENV, to tell milliseconds apart
SEARCHED = 0.1  # seconds after the onset
PRIOR = 0.3  # decibels a millisecond: of two that do about equally well, the earlier and sharper


def find_onset(recording: Recording, step: Array) -> Onset:
    """The start and attack that make `step` (N,), the modes beginning at once, most like the recording."""
    size = recording.onset + round(SEARCHED * recording.sample_rate)
    frames = cell_frames(recording.sample_rate, WINDOW, WINDOW / 2.0)
    triangles = erb_triangles(frames.n_fft, recording.sample_rate).T
    wanted = frames.power(recording.samples[:size]) @ triangles
    loudest = wanted.max()
    counted = wanted > loudest * 10.0 ** (COUNTED_DB / 10.0)
    held = loudest * 10.0 ** (HELD_DB / 10.0)
    x, step, times = recording.samples[:size], step[:size], recording.times[:size]

    def cost(pair: tuple[float, float]) -> float:
        model = step * rise(times, Onset(*pair))
        cells = np.maximum(frames.power(model) @ triangles, held)[counted]
        left = np.maximum(frames.power(x - model) @ triangles, held)[counted]
        excess = np.maximum(10.0 * np.log10(cells / wanted[counted]), 0.0)
        return float(np.mean(excess + 10.0 * np.log10(left / wanted[counted]))) + PRIOR * 1e3 * sum(pair)

    start, attack = min(product(STARTS.tolist(), ATTACKS.tolist()), key=cost)
    for finer in (FINER, np.arange(-4, 5) / recording.sample_rate):
        near = np.round((start + finer) * recording.sample_rate) / recording.sample_rate
        start, attack = min(product(np.unique(np.maximum(near, 0.0)).tolist(), {attack, 0.0}), key=cost)
    return Onset(start, attack)


def rise(times: Array, onset: Onset) -> Array:
    """What the modes are multiplied with at `times` (N,), seconds since the recording's onset."""
    since = times - onset.start
    sounding = since >= -1e-9  # a start on a sample is not after it
    if onset.attack == 0.0:
        return sounding.astype(np.float64)
    return np.where(sounding, -np.expm1(-np.maximum(since, 0.0) / onset.attack), 0.0)
