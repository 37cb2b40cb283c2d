"""Which kind of event suits a stretch of sound: strikes where it was struck or plucked, retargets for all else.

Struck sound does two things at once that speech and sustained notes do not: its lines stay where they are, and all of
it falls from its onsets on. The first is the correlation of fine spectra 64 ms apart, their envelopes taken off: 0.73
to 1.0 over 35 stretches of struck recordings and phrases, but 0.44 and 0.49 for the piano's highest key, whose knock is
louder than its tone; 0.53 at most over 125 stretches of speech. The second is `kind_of` of an instrument's fit, between
onsets: flute, violin and trumpet keep their lines as well, but do not fall.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rtsynth.codec.event import Kind
from rtsynth.codec.onsets import find_onsets
from rtsynth.instrument.fitting.kind import Kind as Played
from rtsynth.instrument.fitting.kind import kind_of
from rtsynth.instrument.fitting.recording import SILENT, Array, Recording

WINDOW, HOP, APART = 0.064, 0.016, 4  # seconds; hops between the spectra that are compared
LOWEST, HIGHEST, ENVELOPE = 80.0, 5000.0, 400.0  # hertz
STEADY = 0.6  # correlation
FALLING = 0.5  # of the time between onsets
LEAST = 1.0  # seconds: a shorter stretch says too little, and belongs to what follows
PIECE = 0.15  # seconds between onsets that tell whether a note falls


class Stretch(NamedTuple):
    """Samples begin … end, and the kind of event that suits them."""

    begin: int
    end: int
    kind: Kind


def choose(samples: ArrayLike, sample_rate: float) -> list[Stretch]:
    """Stretches of samples (N,) that follow each other from 0 to N, neighbours of different kinds."""
    x = np.asarray(samples, np.float64)
    out: list[Stretch] = []
    for begin, end in pairwise(_boundaries(x, sample_rate)):
        kind = Kind.STRIKE if is_struck(x[begin:end], sample_rate) else Kind.RETARGET
        if out and out[-1].kind is kind:
            out[-1] = Stretch(out[-1].begin, end, kind)
        else:
            out.append(Stretch(begin, end, kind))
    return out


def is_struck(samples: Array, sample_rate: float) -> bool:
    """Whether strikes suit samples (N,); silence is not struck."""
    if samples.size < 2.0 * WINDOW * sample_rate or np.ptp(samples) < 2.0 * SILENT:
        return False
    return steadiness(samples, sample_rate) > STEADY and falling(samples, sample_rate) > FALLING


def steadiness(samples: Array, sample_rate: float) -> float:
    """Mean correlation of the fine spectra of frames 64 ms apart, loud ones weighing more: 1 where no line moves."""
    power = _spectra(samples, sample_rate)
    energy = power.sum(axis=1)
    level = np.log(power + 1e-7 * power.max() + 1e-3 * energy[:, None] / power.shape[1] + 1e-300)
    fine = level - _smooth(level, sample_rate)
    early, late = fine[:-APART], fine[APART:]
    norm = np.sqrt(np.sum(early**2, axis=1) * np.sum(late**2, axis=1)) + 1e-9
    weight = np.sqrt(np.minimum(energy[:-APART], energy[APART:])) + 1e-300
    return float(np.average(np.sum(early * late, axis=1) / norm, weights=weight)) if len(early) else 0.0


def falling(samples: Array, sample_rate: float) -> float:
    """The share of the time, 0…1, of notes that only fall from their onsets on."""
    edges = [0, *find_onsets(samples, sample_rate).tolist(), samples.size]
    pieces = [
        (a, b) for a, b in pairwise(edges) if b - a > PIECE * sample_rate and np.ptp(samples[a:b]) > SILENT
    ]
    lengths = [b - a for a, b in pieces]
    struck = [kind_of(Recording(samples[a:b], sample_rate, 0, "piece")) is Played.STRUCK for a, b in pieces]
    return float(np.average(struck, weights=lengths)) if pieces else 0.0


def _boundaries(x: Array, sample_rate: float) -> list[int]:
    """0, onsets at least LEAST seconds apart, and the end."""
    out = [0]
    for onset in find_onsets(x, sample_rate).tolist():
        if onset - out[-1] >= LEAST * sample_rate and x.size - onset >= LEAST * sample_rate:
            out.append(onset)
    return [*out, x.size] if x.size else [0]


def _spectra(samples: Array, sample_rate: float) -> Array:
    """Power (F, bins) between LOWEST and HIGHEST."""
    size, hop = round(WINDOW * sample_rate), round(HOP * sample_rate)
    n_fft = 1 << (2 * size - 1).bit_length()
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop]
    bins = [round(f * n_fft / sample_rate) for f in (LOWEST, min(HIGHEST, 0.45 * sample_rate))]
    window = np.hanning(size)
    parts = np.array_split(frames, len(frames) // 512 + 1)
    return np.concatenate(
        [np.abs(np.fft.rfft(part * window, n_fft)[:, bins[0] : bins[1]]) ** 2 for part in parts]
    )


def _smooth(level: Array, sample_rate: float) -> Array:
    from scipy.ndimage import uniform_filter1d

    n_fft = 1 << (2 * round(WINDOW * sample_rate) - 1).bit_length()
    return np.asarray(uniform_filter1d(level, round(ENVELOPE * n_fft / sample_rate) | 1, axis=1))
