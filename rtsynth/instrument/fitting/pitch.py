"""Fundamental and inharmonicity of a note: f_k = k f0 sqrt(1 + B k²) through the peaks of its spectrum.

A first guess by the sum of whitened harmonic amplitudes (Klapuri, Multiple fundamental frequency estimation by
summing harmonic amplitudes, ISMIR 2006), here along stretched series; then partial after partial is looked for where
those below put it, and (f_k / k)² = f0² + f0² B k² is solved by least squares with Tukey's biweight. B where a note
has too few partials: Rigaud, David, Daudet, A parametric model and estimation techniques for the inharmonicity and
tuning of the piano, JASA 133 (2013).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsynth.instrument.fitting.recording import Array, Recording

LOWEST, HIGHEST = 24.0, 4600.0  # hertz: fundamentals looked for, a little beyond the piano's
SHORT_WINDOW, LONG_WINDOW = 0.35, 1.5  # seconds: for the first guess, for the partials
WINDOW_START = 0.03  # seconds after the onset
PADDING = 4  # zeros, in window lengths: peaks between bins
FLOOR_WIDTH = 200.0  # hertz either side over which the median is the floor
PEAK_DB = 15.0  # above that floor
RANGE_DB = 70.0  # below the highest peak
NEAR = 0.006  # of a partial's frequency: how far from its prediction it may be
FIRST_NEAR = 0.03  # the same for the first partial: as far as the first guess may be off
MOST_PARTIALS = 80
MOST_MISSED = 6  # partials in a row, before the series is taken to have ended
FEWEST_FOR_INHARMONICITY = 4  # partials
STRETCHES = (0.0, 1e-4, 4e-4, 1e-3, 3e-3)  # inharmonicities of the first guess
LARGEST_STRETCH = 0.05
NARROW, WIDE = 0.06, 0.12  # of f0: what is near a partial, of a steady note and of vibrato
SERIES_SHARE, WAVERING_SHARE = 0.4, 0.7  # of the salience of all peaks: what a harmonic series has to explain
LEAST_GAINED = 0.1  # of the same: what an octave lower has to explain beyond


@dataclass(frozen=True, eq=False)
class Pitch:
    """The series of partials of a note, or, where `harmonic` is false, the frequency of its strongest partial.

    `number` and `frequency` are the partials found in the long window, (K,). A standard deviation is that of the least
    squares; inharmonicity_std is infinite where the value is the keyboard's and not measured.
    """

    f0: float  # hertz
    inharmonicity: float  # B
    harmonic: bool
    number: NDArray[np.int64]  # (K,) from 1
    frequency: Array  # (K,) hertz
    f0_std: float = float("inf")  # hertz
    inharmonicity_std: float = float("inf")

    def partial_frequency(self, k: ArrayLike) -> Array:
        """Hertz of partial k = 1, 2, …, any shape."""
        return series(self.f0, self.inharmonicity, k)

    @property
    def key(self) -> float:
        """MIDI key of the first partial at a4 = 440 Hz, a fraction where the note is not in tune."""
        return float(69.0 + 12.0 * np.log2(self.partial_frequency(1) / 440.0))

    def partials_below(self, limit: float) -> NDArray[np.int64]:
        """Numbers of the partials below `limit` hertz."""
        k = np.arange(1, 2 + int(limit / self.f0))
        return k[self.partial_frequency(k) < limit]


class Peaks(NamedTuple):
    """Peaks of a spectrum, in order of frequency."""

    frequency: Array  # (K,) hertz
    level_db: Array  # (K,) of a sine of amplitude 1 throughout the window
    above_floor_db: Array  # (K,)


class _Series(NamedTuple):
    f0: float
    stretch: float  # B
    f0_std: float = float("inf")
    stretch_std: float = float("inf")


class Spectrum(NamedTuple):
    level_db: Array  # (F,)
    floor_db: Array  # (F,) running median
    spacing: float  # hertz between bins

    def salience(self) -> Array:
        """Amplitude (F,) in dB above the floor, none below it and none where nothing could be heard."""
        heard = self.level_db > self.level_db.max() - RANGE_DB
        return np.where(heard, np.maximum(self.level_db - self.floor_db - PEAK_DB / 2, 0.0), 0.0)


def series(f0: float, inharmonicity: float, k: ArrayLike) -> Array:
    """Hertz of partials k of a stiff string: k f0 sqrt(1 + B k²)."""
    number = np.asarray(k, dtype=np.float64)
    return number * f0 * np.sqrt(1.0 + inharmonicity * number**2)


def keyboard_inharmonicity(f0: float) -> float:
    """What a piano's string of that fundamental has on average (Rigaud et al. 2013, table I)."""
    key = 69.0 + 12.0 * np.log2(f0 / 440.0)
    return float(np.exp(0.0926 * key - 13.64) + np.exp(-0.0847 * key - 5.82))


def fundamental(recording: Recording, key: float | None = None) -> Pitch:
    """The pitch of a note. `key`: its MIDI key where it is known, to within a semitone and a half."""
    short = spectrum(recording, SHORT_WINDOW)
    f0, stretch = _guess(short, key)
    early, late = find_peaks(short), find_peaks(spectrum(recording, LONG_WINDOW))
    for peaks in (late, early):  # some notes are gone before the long window has any of them
        pitch = _track(f0, stretch, peaks)
        if key is None:
            pitch = _fundamental_below(pitch, peaks, early)
        if pitch.number.size and (key is not None or _share(pitch, early, NARROW) > SERIES_SHARE):
            return pitch
    wavering = Pitch(f0, 0.0, True, np.zeros(0, dtype=np.int64), np.zeros(0))  # vibrato: no peak stands still
    if key is not None or _share(wavering, early, WIDE) > WAVERING_SHARE:
        return wavering
    return _strongest(early if early.frequency.size else late)


def spectrum(recording: Recording, seconds: float) -> Spectrum:
    """Levels in a Blackman window that begins 30 ms after the onset, or with the onset in a short recording."""
    first = recording.onset + round(WINDOW_START * recording.sample_rate)
    if recording.samples.size - first < 0.5 * seconds * recording.sample_rate:
        first = recording.onset
    x = recording.samples[first : first + round(seconds * recording.sample_rate)]
    window = np.blackman(x.size)
    size = 1 << (PADDING * x.size - 1).bit_length()
    power = np.abs(np.fft.rfft(x * window, size)) ** 2 * (2.0 / window.sum()) ** 2
    spacing = recording.sample_rate / size
    return Spectrum(10.0 * np.log10(power + 1e-20), _floor_db(power, spacing), spacing)


def _floor_db(power: Array, spacing: float) -> Array:
    """Running median (F,), taken a tenth of its width apart and joined by straight lines."""
    half = max(1, round(FLOOR_WIDTH / spacing))
    centres = np.arange(0, power.size, max(1, half // 5))
    medians = [np.median(power[max(0, c - half) : c + half + 1]) for c in centres]
    return np.interp(np.arange(power.size), centres, 10.0 * np.log10(np.array(medians) + 1e-20))


def find_peaks(spectrum: Spectrum, above_floor_db: float = PEAK_DB) -> Peaks:
    """Local maxima that stand out from the floor, by the parabola through three bins."""
    level, middle = spectrum.level_db, spectrum.level_db[1:-1]
    higher = (middle > level[:-2]) & (middle >= level[2:])
    out = (middle > spectrum.floor_db[1:-1] + above_floor_db) & (middle > level.max() - RANGE_DB)
    at = np.flatnonzero(higher & out) + 1
    at = at[at * spectrum.spacing > LOWEST]
    left, peak, right = level[at - 1], level[at], level[at + 1]
    offset = 0.5 * (left - right) / (left - 2.0 * peak + right)
    height = peak - 0.25 * (left - right) * offset
    return Peaks((at + offset) * spectrum.spacing, height, height - spectrum.floor_db[at])


def _guess(spectrum: Spectrum, key: float | None) -> tuple[float, float]:
    """(f0, B) of the series with the largest sum of salience, low partials counting most."""
    from scipy.ndimage import maximum_filter1d

    salience = spectrum.salience()
    candidates = LOWEST * 2.0 ** (np.arange(0.0, np.log2(HIGHEST / LOWEST), 1 / 120.0))
    if key is not None:
        candidates = 440.0 * 2.0 ** ((key - 69.0 + np.arange(-1.4, 1.5, 0.1)) / 12.0)
    k = np.arange(1, 31)
    best, guess = -1.0, (float(candidates[0]), 0.0)
    reach = max(1, round(2.0 / SHORT_WINDOW / spectrum.spacing / 2))  # half a main lobe
    widened = maximum_filter1d(salience, 2 * reach + 1)
    for stretch in STRETCHES:
        frequency = series(1.0, stretch, k) * candidates[:, None]
        at = np.minimum(np.round(frequency / spectrum.spacing).astype(np.int64), salience.size - 1)
        weight = (candidates[:, None] + 27.0) / (frequency + 320.0)
        total = np.sum(weight * widened[at] * (at < salience.size - 1), axis=1)
        i = int(np.argmax(total))
        if total[i] > best * 1.02:  # a larger B has to earn its place
            best, guess = float(total[i]), (float(candidates[i]), stretch)
    return guess


def _track(f0: float, stretch: float, peaks: Peaks) -> Pitch:
    """Partial after partial, each looked for where the fit through those below it says."""
    number: list[int] = []
    chosen: list[int] = []
    missed, near = 0, FIRST_NEAR
    fit = _Series(f0, stretch)
    for k in range(1, MOST_PARTIALS + 1):
        predicted = float(series(fit.f0, fit.stretch, k))
        i = _nearest_strong(peaks, predicted, min(near * predicted, 0.3 * fit.f0))
        missed = 0 if i is not None else missed + 1
        if missed > MOST_MISSED:
            break
        if i is not None and i not in chosen:
            number.append(k)
            chosen.append(i)
            near = NEAR if len(number) > 2 else FIRST_NEAR / 2
            fit = _fit(np.array(number), peaks.frequency[chosen], peaks.level_db[chosen], fit.stretch)
    found = np.array(number, dtype=np.int64)
    return Pitch(fit.f0, fit.stretch, True, found, peaks.frequency[chosen], fit.f0_std, fit.stretch_std)


def _fundamental_below(pitch: Pitch, peaks: Peaks, early: Peaks) -> Pitch:
    """The series an octave or a twelfth lower, where the partials that it adds are there, and early enough."""
    for divisor in (2, 3):
        if pitch.f0 / divisor < LOWEST:
            break
        lower = _track(pitch.f0 / divisor, pitch.inharmonicity / divisor**2, peaks)
        added = np.count_nonzero(lower.number % divisor)
        places = lower.number.max(initial=0) * (divisor - 1) / divisor
        gained = _share(lower, early, NARROW) - _share(pitch, early, NARROW)
        if added >= FEWEST_FOR_INHARMONICITY and added > 0.5 * places and gained > LEAST_GAINED:
            return lower
    return pitch


def _nearest_strong(peaks: Peaks, predicted: float, within: float) -> int | None:
    """The peak that is highest after 6 dB off for half the distance allowed."""
    distance = np.abs(peaks.frequency - predicted)
    near = np.flatnonzero(distance < within)
    if near.size == 0:
        return None
    return int(near[np.argmax(peaks.level_db[near] - 12.0 * distance[near] / within)])


def _fit(k: NDArray[np.int64], frequency: Array, level_db: Array, stretch: float) -> _Series:
    """The series through partials k (K,), K >= 1; B from the keyboard, or none, where there are too few."""
    if k.size < FEWEST_FOR_INHARMONICITY:
        strongest = int(np.argmax(level_db))
        alone = float(frequency[strongest] / k[strongest])
        choices = [
            _through(k[strongest], frequency[strongest], B) for B in (keyboard_inharmonicity(alone), 0.0)
        ]
        errors = [float(np.abs(series(c.f0, c.stretch, k) - frequency).max()) for c in choices]
        return choices[int(np.argmin(errors))]
    square = (frequency / k) ** 2
    design = np.stack([np.ones(k.size), k.astype(np.float64) ** 2], axis=1)
    base = k * 10.0 ** ((level_db - level_db.max()) / 40.0)  # f_k / k is k times as precise as f_k
    weight = base
    for _ in range(20):
        solution = np.linalg.lstsq(design * weight[:, None], square * weight, rcond=None)[0]
        error = (square - design @ solution) * base
        scale = 1.4826 * np.median(np.abs(error)) + 1e-12 * square[0]
        weight = base * np.maximum(1.0 - (error / (4.685 * scale)) ** 2, 1e-3)
    weighted, right = design * weight[:, None], square * weight
    found = _with_deviations(float(solution[0]), float(solution[1]), weighted, right)
    if found.stretch > 2.0 * found.stretch_std and found.stretch < LARGEST_STRETCH:
        return found
    slope = LARGEST_STRETCH * float(square.min()) if found.stretch >= LARGEST_STRETCH else 0.0
    intercept = float(np.average(square - slope * k**2, weights=weight**2))
    return _with_deviations(intercept, slope, weighted, right)


def _through(k: int, frequency: float, stretch: float) -> _Series:
    return _Series(float(frequency / series(1.0, stretch, k)), stretch)


def _with_deviations(intercept: float, slope: float, design: Array, right: Array) -> _Series:
    """f0 = sqrt(intercept), B = slope / intercept, and what the residual of the weighted equations says of them."""
    error = right - design @ np.array([intercept, slope])
    inverse = np.linalg.pinv(design.T @ design)
    spread = design * error[:, None]  # each equation has noise of its own: weak partials have more
    covariance = inverse @ (spread.T @ spread) @ inverse * right.size / max(1, right.size - 2)
    B = slope / intercept
    gradient = np.array([-B, 1.0]) / intercept
    f0_std = 0.5 * np.sqrt(covariance[0, 0] / intercept)
    return _Series(np.sqrt(intercept), B, float(f0_std), float(np.sqrt(gradient @ covariance @ gradient)))


def _share(pitch: Pitch, peaks: Peaks, within: float) -> float:
    """How much of what stands out is within `within` f0 of a partial, loud peaks counting more."""
    if peaks.frequency.size < 1:
        return 0.0
    k = pitch.partials_below(1.1 * peaks.frequency.max())
    predicted = pitch.partial_frequency(np.append(k, k.size + 1))
    near = np.min(np.abs(peaks.frequency[:, None] - predicted), axis=1) < within * pitch.f0
    salience = peaks.above_floor_db * 10.0 ** ((peaks.level_db - peaks.level_db.max()) / 40.0)
    return float(salience[near].sum() / salience.sum())


def _strongest(peaks: Peaks) -> Pitch:
    """No series: the strongest partial, alone."""
    empty = np.zeros(0, dtype=np.int64)
    if peaks.frequency.size == 0:
        return Pitch(440.0, 0.0, False, empty, np.zeros(0))
    i = int(np.argmax(peaks.level_db))
    return Pitch(
        float(peaks.frequency[i]), 0.0, False, np.ones(1, dtype=np.int64), peaks.frequency[i : i + 1]
    )
