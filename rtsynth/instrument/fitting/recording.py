"""The checked recording of one note: which channel, where it begins, where it ends, and what is doubtful about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsynth.errors import InputError

Array = NDArray[np.float64]

BEFORE = 0.02  # seconds kept before the onset: the room before the note
LONGEST = 6.0  # seconds kept after it
ONSET_LEVEL = 0.03  # of the peak
ONSET_LEAD = 0.001  # seconds before that level is first crossed
SHORTEST = 0.05  # seconds after the onset that a fit needs
SHORT = 0.4  # seconds below which decays are guesses
LOWEST_RATE = 4000.0  # hertz
SILENT = 1e-5  # peak, linear: -100 dB of full scale
EQUAL_DB = 6.0  # channels whose energies differ by less are taken for equally good
FRAME = 0.05  # seconds: the frame of levels over time
LOWEST_LEVEL_DB = -80.0  # of the loudest frame: what comes after the last frame above is cut off
LEAST_OFFSET = 1e-3  # of the peak
COARSE = 1.0 / 256.0  # of the peak: the step of a recording with 8 bits or fewer
SECOND_NOTE_DB = 8.0  # mean rise of the bands in 100 ms; in one note 5.8 was the most (fingers on a guitar)
SECOND_NOTE_LEVEL_DB = -30.0  # of the loudest frame: what is softer is not a second note


@dataclass(frozen=True, eq=False)
class Recording:
    """One channel of one note, from 20 ms before its onset (or from where the file begins) to at most 6 s after it."""

    samples: Array  # (N,) linear, 1 is full scale
    sample_rate: float
    onset: int  # index into samples
    name: str
    warnings: tuple[str, ...] = ()  # one line each

    @property
    def times(self) -> Array:
        """Seconds (N,) since the onset."""
        return (np.arange(self.samples.size) - self.onset) / self.sample_rate

    @property
    def seconds(self) -> float:
        """From the onset to the end."""
        return (self.samples.size - self.onset) / self.sample_rate


def prepare(samples: ArrayLike, sample_rate: float, name: str = "recording") -> Recording:
    """A recording to fit from samples (N, C) or (N,), linear, 1 being full scale.

    One channel is kept: a sum of two microphones cancels partials. InputError where there is nothing to fit:
    not numbers, silence, less than 50 ms after the onset, a sample rate below 4 kHz.
    """
    channels = _channels(samples, sample_rate, name)
    kept = _best(channels)
    whole = _without_offset(channels[:, kept])
    start = _onset(whole, sample_rate)
    first = max(0, start - round(BEFORE * sample_rate))
    cut = whole[first : start + round(LONGEST * sample_rate)]
    cut = cut[: _end(cut, sample_rate)]
    recording = Recording(cut, float(sample_rate), start - first, name)
    if recording.seconds < SHORTEST:
        raise InputError(
            f"{name} has {1e3 * recording.seconds:.0f} ms of sound: too short to fit;"
            " record the note until it has died away"
        )
    warnings = (*_faults(channels[:, kept], sample_rate, recording), *_several_notes(recording))
    return Recording(cut, float(sample_rate), recording.onset, name, warnings)


def _channels(samples: ArrayLike, sample_rate: float, name: str) -> Array:
    """(N, C) float64, every one a number, at least one of them sound."""
    x = np.asarray(samples, dtype=np.float64)
    if x.ndim == 1:
        x = x[:, None]
    if x.ndim != 2 or x.shape[1] == 0:
        raise InputError(f"{name}: wants samples (N,) or (N, channels), got an array of shape {x.shape}")
    if not (np.isfinite(sample_rate) and sample_rate >= LOWEST_RATE):
        raise InputError(
            f"{name}: a sample rate of {sample_rate:g} Hz holds no note; record at 44100 Hz or more"
        )
    if x.shape[0] == 0:
        raise InputError(f"{name} is empty: there is no sound to fit")
    if not np.isfinite(x).all():
        count = np.count_nonzero(~np.isfinite(x))
        raise InputError(f"{name} has {count} samples that are not numbers; export it again from its source")
    if np.max(np.ptp(x, axis=0)) < 2.0 * SILENT:
        raise InputError(
            f"{name} is silent: no sample is above -100 dB; check the microphone and record it again"
        )
    return x


def _best(channels: Array) -> int:
    """The first channel that is about as loud as the loudest, those that clip left out where others do not.

    The first and not the loudest, so that the notes of one instrument come from one microphone.
    """
    energy_db = 10.0 * np.log10(np.var(channels, axis=0) + 1e-300)
    good = energy_db > energy_db.max() - EQUAL_DB
    clean = good & ~np.array([_clipped(x) for x in channels.T])
    return int(np.argmax(clean if clean.any() else good))


def _without_offset(x: Array) -> Array:
    """Less its mean where that is an offset of the converter; the mean of a note by itself is not nothing."""
    mean = float(np.mean(x))
    return x - mean if abs(mean) > LEAST_OFFSET * np.abs(x).max() else x


def _clipped(x: Array) -> bool:
    """Whether the largest magnitude occurs far more often than those just below: a flat top.

    A full period of a sine of constant level has 3.2 times as many samples in the top bin as in the mean of the next
    four; a note that decays has fewer.
    """
    x = _loud_part(x)
    magnitude = np.abs(x - np.median(x))
    peak = magnitude.max()
    width = max(1e-4 * peak, 1.01 * _step(x))
    top = np.count_nonzero(magnitude > peak - width)
    below = np.count_nonzero(magnitude > peak - 5.0 * width) - top
    return bool(top >= 8 and top > 6.0 * below / 4.0)


def _loud_part(x: Array) -> Array:
    """About a second around the peak: where a recording clips, if anywhere."""
    peak = int(np.argmax(np.abs(x)))
    return x[max(0, peak - 32768) : peak + 32768]


def _step(x: Array) -> float:
    """The smallest difference of two sample values: the step of the quantiser, where there was one."""
    values = np.unique(_loud_part(x))
    return float(np.min(np.diff(values))) if values.size > 1 else 0.0


def _onset(x: Array, sample_rate: float) -> int:
    """Just before the first sample above 3 % of the peak."""
    magnitude = np.abs(x)
    first = int(np.argmax(magnitude > ONSET_LEVEL * magnitude.max()))
    return max(0, first - round(ONSET_LEAD * sample_rate))


def _end(x: Array, sample_rate: float) -> int:
    """After the last frame that can be heard beside the loudest; a file's own digital silence is left out."""
    level = _levels_db(x, sample_rate)
    last = int(np.flatnonzero(level > level.max() + LOWEST_LEVEL_DB)[-1])
    return x.size if last == level.size - 1 else (last + 1) * _frame(sample_rate)


def _frame(sample_rate: float) -> int:
    return round(FRAME * sample_rate)


def _levels_db(x: Array, sample_rate: float) -> Array:
    """Levels of frames of 50 ms, the last of which may be shorter."""
    edges = np.arange(0, x.size, _frame(sample_rate))
    lengths = np.diff(np.append(edges, x.size))
    return 10.0 * np.log10(np.add.reduceat(x * x, edges) / lengths + 1e-300)


def _faults(original: Array, sample_rate: float, recording: Recording) -> Iterator[str]:
    """What is wrong with the recording but does not keep it from being fitted."""
    name = recording.name
    if _clipped(original):
        yield f"{name} is clipped: the attack and the loudest partials will be wrong; record it 6 dB softer"
    step = _step(original)
    if step > COARSE * np.abs(recording.samples).max():
        levels = 2.0 * np.abs(recording.samples).max() / step
        yield f"{name} has only {levels:.0f} steps (8 bits or fewer): what is softer than them is noise"
    if recording.seconds < SHORT:
        yield f"{name} is {recording.seconds:.2f} s long: slow decays and beats are guesses below {SHORT:g} s"


def _several_notes(recording: Recording) -> Iterator[str]:
    """A second note is a rise in most bands at once; where one note swells or beats, only some rise."""
    level, total = _band_levels_db(recording)
    lag = 4  # hops of half a frame: 100 ms
    if total.size <= 2 * lag:
        return
    loud = level[lag:] > level.max() - 50.0
    rise = np.clip(level[lag:] - level[:-lag], 0.0, None)
    novelty = np.sum(rise * loud, axis=1) / np.maximum(np.count_nonzero(loud, axis=1), 4)
    novelty[total[lag:] < total.max() + SECOND_NOTE_LEVEL_DB] = 0.0
    centres = np.arange(lag, total.size) * FRAME / 2 + FRAME / 2 - recording.onset / recording.sample_rate
    found = np.flatnonzero((novelty > SECOND_NOTE_DB) & (centres > 0.25))
    if found.size:
        yield (
            f"{recording.name} is a phrase, not one note: another begins {centres[found[0]]:.1f} s after the first;"
            " cut out one note and fit that"
        )


def _band_levels_db(recording: Recording) -> tuple[Array, Array]:
    """Levels (T, 24) in bands of equal width on a logarithmic scale, and (T,) of all, every 25 ms."""
    x, frame = recording.samples, _frame(recording.sample_rate)
    if x.size < frame:
        return np.zeros((0, 24)), np.zeros(0)
    frames = np.lib.stride_tricks.sliding_window_view(x, frame)[:: frame // 2]
    power = np.abs(np.fft.rfft(frames * np.hanning(frame), axis=1)) ** 2
    frequency = np.fft.rfftfreq(frame, 1.0 / recording.sample_rate)
    edges = np.geomspace(60.0, min(16000.0, frequency[-1]), 25)
    where = np.searchsorted(frequency, edges)
    bands = np.stack([power[:, a : max(b, a + 1)].sum(axis=1) for a, b in pairwise(where)], axis=1)
    total = power.sum(axis=1)
    floor = 1e-6 * total.max()
    return 10.0 * np.log10(bands + floor), 10.0 * np.log10(total + floor)
