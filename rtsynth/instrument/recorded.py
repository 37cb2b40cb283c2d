"""What a key plays of a recorded layer: the nearest stroke, transposed, and how its gains and its pitch move."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rtsynth.instrument import curves
from rtsynth.instrument.preset import Preset, Recorded, most_of
from rtsynth.instrument.stroke import BOUNDS, MOST_TURNED_BACK, Stroke

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Motion:
    """How the rows of one stroke move: its modes by their common rise, lines and bands by their own curves."""

    stroke: int  # number of the stroke in its layer
    start: float  # seconds
    attack: float  # seconds
    times: Array  # (T,) seconds
    gains: Array  # (T, C) lines, then bands, each of peak 1
    cents: Array  # (T,) of the lines
    loop: curves.Loop  # seconds

    @property
    def bends(self) -> bool:
        return bool(self.cents.any())

    @property
    def ends(self) -> float:
        """Seconds after which no line and no band sounds: infinite where one goes on."""
        return float("inf") if self.loop or self.gains[-1].any() else float(self.times[-1])

    def rise(self, samples: Array, sample_rate: float) -> Array:
        """Gain of the modes, (N,) samples since the note's start → (N,)."""
        since = samples - self.start * sample_rate
        attack = self.attack * sample_rate
        risen = -np.expm1(-np.maximum(since, 0.0) / attack) if attack else np.ones(since.shape)
        return np.where(since >= 0.0, risen, 0.0)


@dataclass(frozen=True)
class RecordedRows:
    """A key's rows of a recorded layer at velocity 1: modes, lines, and bands, all padded to what the layer needs."""

    frequency: Array  # (M + L + N,) hertz
    damping: Array  # (M + L + N,) 1/s; of a band, its poles' distance from its centre too
    level: Array  # linear: rms of a row whose gain is 1
    phase: Array  # radians, at time 0
    tilt_db: Array  # per unit of velocity
    modes: int
    lines: int
    bands: int
    motion: Motion


def recorded_rows(layer: Recorded, preset: Preset, note: int) -> RecordedRows:
    """The rows of key `note`."""
    number = nearest(layer, note)
    stroke = transposed(layer, preset, layer.strokes[number], note)
    modes, lines, bands = most_of(layer)
    # A mode's amplitude is that at `start`; its row rings from time 0, and its gain opens at `start`.
    at_zero = stroke.amplitude * np.exp((stroke.damping - 2j * np.pi * stroke.frequency) * stroke.start)
    ringing = _group(
        modes,
        (stroke.frequency, stroke.damping, np.abs(at_zero) / np.sqrt(2.0), np.angle(at_zero), stroke.tilt_db),
        rest_damping=1.0,
    )
    level = _peak(stroke.line_gain) / np.sqrt(2.0)
    sustained = _group(
        lines,
        (stroke.line_frequency, 0.0 * level, level, stroke.line_phase, stroke.line_tilt_db),
        rest_damping=0.0,
    )
    level = _peak(stroke.band_gain)
    distance = 2.0 * np.pi * stroke.band_width / np.sqrt(2.0)
    noise = _group(
        bands, (stroke.band_centre, distance, level, 0.0 * level, stroke.band_tilt_db), rest_damping=1.0
    )
    frequency, damping, level, phase, tilt_db = np.concatenate([ringing, sustained, noise], axis=1)
    level = level * 10.0 ** (tilt_db * (1.0 - stroke.velocity) / 20.0)
    motion = motion_of(layer, number)
    return RecordedRows(frequency, damping, level, phase, tilt_db, modes, lines, bands, motion)


def _group(size: int, columns: tuple[Array, ...], rest_damping: float) -> Array:
    """Rows (5, size), with silent ones for what a stroke has less of than the layer; their damping tells their kind."""
    rows = np.stack(columns)[:, :size]
    rest = np.array([[0.0], [rest_damping], [0.0], [0.0], [0.0]])
    return np.concatenate([rows, np.repeat(rest, size - rows.shape[1], axis=1)], axis=1)


def motion_of(layer: Recorded, number: int) -> Motion:
    """How the rows of stroke `number` move: the same for every key that plays it."""
    stroke: Stroke = layer.strokes[number]
    _, lines, bands = most_of(layer)
    gains = (_normalised(stroke.line_gain, lines), _normalised(stroke.band_gain, bands))
    return Motion(
        number,
        stroke.start,
        stroke.attack,
        stroke.times,
        np.concatenate(gains, axis=1),
        stroke.cents,
        stroke.loop,
    )


def nearest(layer: Recorded, note: int) -> int:
    """Number of the stroke that a key plays."""
    return int(np.argmin([abs(stroke.key - note) for stroke in layer.strokes]))


def transposed(layer: Recorded, preset: Preset, stroke: Stroke, note: int) -> Stroke:
    """A stroke as key `note` plays it: its modes of most energy, modes and lines moved; bands stay where they are.

    Damping goes as the frequency to `damping_slope`. `strokes.sound` of it is what the key sounds like, noise aside.
    """
    recorded = stroke.fundamental if layer.in_tune else 440.0 * 2.0 ** ((round(stroke.key) - 69.0) / 12.0)
    ratio = preset.frequency(note) / recorded
    modes, bands = most_of(layer)[0], slice(None) if layer.bands else slice(0)
    energy = np.abs(stroke.amplitude) ** 2 / stroke.damping
    kept = np.sort(np.argsort(-energy, kind="stable")[:modes])
    # Transposed far enough anything leaves the range that rows may have; it has long been inaudible there.
    most_damping = min(BOUNDS["damping"][1], MOST_TURNED_BACK / stroke.start if stroke.start else np.inf)
    return replace(
        stroke,
        key=float(np.clip(stroke.key + 12.0 * np.log2(ratio), *BOUNDS["key"])),
        frequency=_within("frequency", stroke.frequency[kept] * ratio),
        damping=np.clip(
            stroke.damping[kept] * ratio**layer.damping_slope, BOUNDS["damping"][0], most_damping
        ),
        amplitude=stroke.amplitude[kept],
        tilt_db=stroke.tilt_db[kept],
        line_frequency=_within("line_frequency", stroke.line_frequency * ratio),
        band_centre=stroke.band_centre[bands],
        band_width=stroke.band_width[bands],
        band_tilt_db=stroke.band_tilt_db[bands],
        band_gain=stroke.band_gain[:, bands],
        frequency_std=stroke.frequency_std[:0],
        damping_std=stroke.damping_std[:0],
        level_std_db=stroke.level_std_db[:0],
    )


def _within(name: str, values: Array) -> Array:
    return np.clip(values, *BOUNDS[name])


def _peak(gain: Array) -> Array:
    """Largest magnitude of each column, (T, C) → (C,)."""
    return np.abs(gain).max(axis=0)


def _normalised(gain: Array, columns: int) -> Array:
    """Curves of peak 1, (T, C) → (T, columns), columns that are not there being 0."""
    peak = _peak(gain)
    scaled = gain / np.where(peak > 0.0, peak, 1.0)
    return np.pad(scaled[:, :columns], ((0, 0), (0, max(columns - gain.shape[1], 0))))
