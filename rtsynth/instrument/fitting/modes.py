"""The modes of a struck or plucked note: damped sinusoids that begin together and add up to its recording.

Bands around the partials are fitted on their own, from one mode up as long as another one pays; at first against the
recording, then against what the modes of all other bands leave of it (SAGE: Fessler, Hero, Space-alternating
generalized expectation-maximization, 1994; here all bands at a time). Then come modes that no partial announced, such
as longitudinal and soundboard modes, and short ones that make up the knock.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from rtsynth.instrument.fitting.attack import find_onset
from rtsynth.instrument.fitting.group import FLOOR_DB, Group, Kind
from rtsynth.instrument.fitting.knock import SEARCHED, solve_amplitudes, strongest_bands
from rtsynth.instrument.fitting.metrics import COUNTED_DB, cell_frames, erb_triangles
from rtsynth.instrument.fitting.pitch import Pitch, find_peaks, spectrum
from rtsynth.instrument.fitting.recording import Array, Recording
from rtsynth.instrument.fitting.subband import Complex, Onset, bands_around, transform
from rtsynth.instrument.fitting.uncertainty import deviations
from rtsynth.instrument.fitting.varpro import Problem

PARTIAL = Kind(most=4)
EXTRA = Kind(most=2)
MOST_MODES = 260
MOST_PARTIALS = 120
HIGHEST = 18000.0  # hertz
HALF_WIDTH, WIDE_HALF_WIDTH, WIDE_ABOVE = (
    40.0,
    150.0,
    450.0,
)  # hertz: fast decays of high strings need wide bands
SHARE = 0.48  # of the fundamental: the half width of bands that would overlap
NO_SERIES = 60  # peaks that are fitted where there is no harmonic series
EXTRAS = 20  # peaks of the residual that are fitted in one round
EXTRA_ROUNDS, KNOCK_ROUNDS = 2, 3
PEAK_WINDOWS = (0.25, 1.5)  # seconds
PEAK_DB = 12.0  # above the floor
LEAST_CELLS = 0.5  # cells of 20 ms and an ERB band: a mode that accounts for less is left out
LATE = 0.02  # seconds after the onset: what rings then, went back to the onset, shows how that was
LATE_DAMPING = 30.0  # 1/s: faster modes would grow without bounds on their way back
LOUD_DB = (
    -40.0
)  # of the loudest band: what is fitted first, before its onset is known to reach into softer bands
STEPS, TOLERANCE = 12, 1e-3
POLISH_ROUNDS, POLISH_STEPS, POLISH_TOLERANCE = 2, 6, 1e-9
FADED = 40.0  # times the attack: exp(-40) is nothing beside 1


@dataclass(frozen=True, eq=False)
class Modes:
    """M modes: rise(t) Re Σ amplitude exp((-damping + 2πi frequency) (t - start)), t seconds since the onset.

    rise(t) = 1 - exp(-(t - start) / attack) from t = start on, 0 before. Strongest first.
    """

    frequency: Array  # (M,) hertz
    damping: Array  # (M,) 1/s
    amplitude: Complex  # (M,) linear
    start: float = 0.0  # seconds
    attack: float = 0.0  # seconds
    frequency_std: Array = field(default_factory=lambda: np.zeros(0))  # (M,) hertz
    damping_std: Array = field(default_factory=lambda: np.zeros(0))  # (M,) 1/s
    level_std_db: Array = field(default_factory=lambda: np.zeros(0))  # (M,)


def sound(modes: Modes, sample_rate: float, samples: int, onset: int = 0) -> Array:
    """Samples (samples,) of a note whose onset is at index `onset`."""
    begin = onset + modes.start * sample_rate
    first = max(0, math.ceil(begin - 1e-9))
    late = (first - begin) / sample_rate
    out = np.zeros(samples)
    if modes.frequency.size == 0 or first >= samples:
        return out
    poles: Complex = -modes.damping + 2j * np.pi * modes.frequency
    out[first:] = _ring(poles, modes.amplitude, sample_rate, samples - first, late)
    if modes.attack > 0.0:
        last = min(samples, first + math.ceil(FADED * modes.attack * sample_rate))
        out[first:last] -= _ring(poles - 1.0 / modes.attack, modes.amplitude, sample_rate, last - first, late)
    return out


def _ring(poles: Complex, amplitude: Complex, sample_rate: float, samples: int, late: float) -> Array:
    """Re Σ amplitude exp(poles t) at t = late + n / sample_rate: starts of blocks times powers within a block."""
    size = 512
    within = np.exp(poles[:, None] * (np.arange(size) / sample_rate))
    starts = np.arange(-(-samples // size)) * (size / sample_rate) + late
    states = np.exp(starts[:, None] * poles) * amplitude
    left = np.concatenate([states.real, -states.imag], axis=1)
    return (left @ np.concatenate([within.real, within.imag])).ravel()[:samples]


def fit_modes(
    recording: Recording,
    pitch: Pitch,
    progress: Callable[[float], None] = lambda share: None,
    most: int = MOST_MODES,
) -> Modes:
    """At most `most` modes of a recording; `progress` is told the share of the work that is done, 0 … 1."""
    fitting = _Fitting(recording)
    partials = fitting.add(*_places(recording, pitch), PARTIAL)
    for in_a_band in (1, 2):  # a better onset makes better modes, and they a better onset
        fitting.fit(partials, in_a_band, late=True)
        if in_a_band == 2 and not pitch.harmonic:
            fitting.fit_extras(late=True)
        fitting.begin(find_onset(recording, fitting.step()))
    progress(0.2)
    fitting.fit(partials, 3)
    progress(0.4)
    fitting.fit(partials, PARTIAL.most)
    progress(0.6)
    for _ in range(EXTRA_ROUNDS):
        fitting.fit_extras()
    progress(0.75)
    for _ in range(KNOCK_ROUNDS):
        fitting.fit_knock()
    progress(0.85)
    fitting.keep_most_heard(most)
    fitting.polish()
    progress(0.95)
    modes = fitting.modes()
    progress(1.0)
    return modes


def _places(recording: Recording, pitch: Pitch) -> tuple[Array, float]:
    """Centres of bands, hertz, and their half width."""
    if not pitch.harmonic:
        return peaks_of(recording, NO_SERIES, HALF_WIDTH), HALF_WIDTH
    k = pitch.partials_below(min(HIGHEST, 0.45 * recording.sample_rate))[:MOST_PARTIALS]
    half_width = HALF_WIDTH if pitch.f0 < WIDE_ABOVE else WIDE_HALF_WIDTH
    return pitch.partial_frequency(k), min(SHARE * pitch.f0, half_width)


def peaks_of(recording: Recording, most: int, apart: float) -> Array:
    """The highest peaks (at most `most`,), hertz, of a short and a long window, `apart` hertz from each other."""
    found = [find_peaks(spectrum(recording, seconds), PEAK_DB) for seconds in PEAK_WINDOWS]
    frequency = np.concatenate([peaks.frequency for peaks in found])
    level_db = np.concatenate([peaks.level_db for peaks in found])
    chosen: list[float] = []
    for f in frequency[np.argsort(-level_db)]:
        if all(abs(f - other) > apart for other in chosen):
            chosen.append(float(f))
        if len(chosen) == most:
            break
    return np.array(chosen)


class _Fitting:
    """A note whose modes are being found: groups of bands, and how all their modes begin."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.transform = transform(recording.samples, recording.sample_rate, recording.onset)
        self.onset = Onset()
        self.groups: list[Group] = []
        self.knock: list[Group] = []
        self.loudest = 0.0

    def add(self, centres: Array, half_width: float, kind: Kind) -> Group:
        group = Group(bands_around(centres, half_width, self.transform), kind)
        self.groups.append(group)
        if centres.size:
            self.loudest = max(self.loudest, float(np.abs(group.bands.signals()).max()))
        return group

    def sound(self) -> Array:
        """Of all modes so far, (N,) as the recording."""
        recording = self.recording
        return sound(self.bare_modes(), recording.sample_rate, recording.samples.size, recording.onset)

    def step(self) -> Array:
        """The same, all modes beginning at once at the recording's onset."""
        found, recording = self.bare_modes(), self.recording
        poles = -found.damping + 2j * np.pi * found.frequency
        earlier = Modes(found.frequency, found.damping, found.amplitude * np.exp(-poles * found.start))
        return sound(earlier, recording.sample_rate, recording.samples.size, recording.onset)

    def bare_modes(self, groups: list[Group] | None = None) -> Modes:
        """Without deviations; of all groups, or of some."""
        groups = self.groups + self.knock if groups is None else groups
        poles = np.concatenate([group.poles[group.used] for group in groups])
        amplitude = np.concatenate([group.amplitude[group.used] for group in groups])
        return Modes(poles.imag / (2.0 * np.pi), -poles.real, amplitude, self.onset.start, self.onset.attack)

    def residual(self) -> Array:
        return self.recording.samples - self.sound()

    def problem(self, group: Group) -> Problem:
        """What all other modes leave in the bands of a group."""
        of = group.bands.of
        left = transform(self.residual()[: of.samples], of.sample_rate, of.onset)
        signals = group.bands.signals(left) + group.values(self.onset)
        return group.problem(signals, self.onset, self.loudest)

    def fit(self, group: Group, most: int, late: bool = False) -> None:
        """Refine the modes of a group and add more, up to `most` a band; `late`: whatever the attack is."""
        if group.count.size == 0:
            return
        problem = self.problem(group)
        if late:
            problem.weight[:, group.bands.times < max(LATE, 1.0 / group.bands.rate)] = 0.0
            problem = replace(problem, damping=(problem.damping[0], LATE_DAMPING))
        cost = group.improve(problem, STEPS, TOLERANCE)
        least = 10.0 ** ((LOUD_DB if late else FLOOR_DB) / 20.0) * self.loudest
        group.grow(problem, most, cost, least, STEPS, TOLERANCE)

    def fit_extras(self, late: bool = False) -> None:
        """A group around the highest peaks that the modes leave."""
        left = replace(self.recording, samples=self.residual())
        half_width = min(HALF_WIDTH, self.groups[0].bands.rate / 2.0)
        self.fit(self.add(peaks_of(left, EXTRAS, half_width), half_width, EXTRA), EXTRA.most, late)

    def fit_knock(self) -> None:
        """A group of short modes, then the amplitudes of all short modes together."""
        onset, rate = self.recording.onset, self.recording.sample_rate
        left = self.residual()[: onset + round(SEARCHED * rate)]
        group = strongest_bands(transform(left, rate, onset))
        problem = group.problem(group.bands.signals(), self.onset, self.loudest)
        least = 10.0 ** (FLOOR_DB / 20.0) * self.loudest
        group.grow(problem, group.kind.most, problem.power, least, STEPS, TOLERANCE)
        self.knock.append(group)
        self.solve_knock()

    def solve_knock(self) -> None:
        size = self.knock[0].bands.of.samples
        long = sound(self.bare_modes(self.groups), self.recording.sample_rate, size, self.recording.onset)
        target = self.recording.samples[:size] - long
        solve_amplitudes(self.knock, target, self.recording.times[:size], self.onset)

    def begin(self, onset: Onset) -> None:
        """Let all modes begin another way, and go on as they did."""
        for group in self.groups:
            group.begin_later(onset.start - self.onset.start)
        self.onset = onset

    def keep_most_heard(self, most: int) -> None:
        """Leave out modes that hardly show in any cell, and the least of too many."""
        weight = heard_cells(self.bare_modes(), self.recording)
        rank = np.argsort(np.argsort(-weight, kind="stable"))
        keep = (rank < most) & (weight > LEAST_CELLS)
        groups = self.groups + self.knock
        for group, kept in zip(groups, np.split(keep, _ends(groups)), strict=True):
            chosen = group.used
            chosen[group.used] = kept
            group.keep(chosen)

    def polish(self) -> None:
        """Refine all modes there are, without adding any."""
        for _ in range(POLISH_ROUNDS):
            for group in self.groups:
                if group.count.any():
                    group.improve(self.problem(group), POLISH_STEPS, POLISH_TOLERANCE)
            self.solve_knock()

    def modes(self) -> Modes:
        """All modes, strongest first, and how sure they are."""
        found = self.bare_modes()
        parts = [self._deviations(group) for group in self.groups + self.knock]
        frequency_std, damping_std, level_std_db = np.concatenate(parts, axis=1)
        order = np.argsort(-(np.abs(found.amplitude) ** 2) / found.damping, kind="stable")
        return Modes(
            found.frequency[order],
            found.damping[order],
            found.amplitude[order],
            found.start,
            found.attack,
            frequency_std[order],
            damping_std[order],
            level_std_db[order],
        )

    def _deviations(self, group: Group) -> Array:
        """(3, modes of the group): of frequency, damping, level."""
        out = np.zeros((3, *group.poles.shape))
        if group.count.any():
            problem = self.problem(group)
            for P, rows in group.by_count():
                poles, amplitude = group.poles[rows, :P], group.amplitude[rows, :P]
                out[:, rows, :P] = deviations(problem.rows(rows), poles, amplitude)
        return out[:, group.used]


def _ends(groups: list[Group]) -> NDArray[np.int64]:
    """Where to split what is one array over all modes, a part for each group."""
    return np.cumsum([int(group.count.sum()) for group in groups])[:-1]


def heard_cells(modes: Modes, recording: Recording) -> Array:
    """How many cells of the recording, of 20 ms and one ERB band, each mode (M,) accounts for, as a sum of shares."""
    frames = cell_frames(recording.sample_rate)
    triangles = erb_triangles(frames.n_fft, recording.sample_rate)
    cells = frames.power(recording.samples) @ triangles.T  # (F, bands)
    counted = cells > cells.max() * 10.0 ** (COUNTED_DB / 10.0)
    times = (np.arange(cells.shape[0]) * frames.hop - recording.onset) / recording.sample_rate - modes.start
    spacing = recording.sample_rate / frames.n_fft
    level = np.sum(frames.window**2) * frames.n_fft / 4.0
    into = triangles[:, np.round(modes.frequency / spacing).astype(np.int64)].T * level  # (M, bands)
    power = np.abs(modes.amplitude[:, None]) ** 2 * np.exp(
        -2.0 * np.outer(modes.damping, np.maximum(times, 0.0))
    )
    power[:, times < -frames.window.size / 2 / recording.sample_rate] = 0.0
    weight = np.zeros(modes.frequency.size)
    for band in np.flatnonzero(into.any(axis=0)):
        rows, inside = np.flatnonzero(into[:, band]), counted[:, band]
        share = into[rows, band, None] * power[np.ix_(rows, inside)] / cells[inside, band]
        weight[rows] += np.minimum(share, 1.0).sum(axis=1)
    return weight
