"""Several strokes of one key, soft to loud, as one stroke whose levels lean on the velocity.

The middle one keeps its modes, so that the law reaches least far. How much softer or louder a mode is in the others is
read from the energy around it, smoothed over the logarithm of frequency: single partials scatter by 5.6 dB between
strokes of one key, which is chance and no law.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rtsynth.instrument.stroke import Stroke

Array = NDArray[np.float64]

RANGE_DB = 36.0  # between velocity 0 and 1, where nothing else tells a stroke's velocity; as preset.Velocity
LEAST_VELOCITY = 0.1
OCTAVES = 0.5  # half-width of the stretch of frequency whose energy is compared
EARLY = 0.5  # seconds of a stroke that are compared
STEEPEST_DB = 80.0  # per unit of velocity
SAME_KEY = 0.5  # semitones


def velocities_by_level(levels_db: Array) -> Array:
    """Velocities (N,) of strokes of one key from their levels (N,) in dB: the loudest is 1, 36 dB below is 0."""
    return np.clip(1.0 + (levels_db - levels_db.max()) / RANGE_DB, LEAST_VELOCITY, 1.0)


def by_key(strokes: Sequence[Stroke]) -> list[list[Stroke]]:
    """Strokes of one key together, softest first, keys upwards."""
    groups: list[list[Stroke]] = []
    for stroke in sorted(strokes, key=lambda s: s.key):
        if groups and stroke.key - groups[-1][0].key < SAME_KEY:
            groups[-1].append(stroke)
        else:
            groups.append([stroke])
    return [sorted(group, key=lambda s: s.velocity) for group in groups]


def merge(strokes: Sequence[Stroke]) -> Stroke:
    """Strokes of one key at different velocities → one stroke, at velocity 1."""
    softest_first = sorted(strokes, key=lambda s: s.velocity)
    middle = softest_first[len(softest_first) // 2]
    velocity = np.array([stroke.velocity for stroke in softest_first])
    if velocity.size == 1 or np.ptp(velocity) < 0.02:
        return middle
    modes = _slopes(velocity, [_mode_energy(stroke, middle.frequency) for stroke in softest_first])
    lines = _slopes(velocity, [_line_energy(stroke, middle.line_frequency) for stroke in softest_first])
    bands = _slopes(velocity, [_band_energy(stroke, middle.band_centre) for stroke in softest_first])
    return _raised(middle, modes, lines, bands)


def spread_tilts(strokes: Sequence[Stroke]) -> list[Stroke]:
    """Keys recorded at one velocity lean on it as the nearest key does that was recorded at several.

    Where none was, all stay as they are: then the preset's own law holds.
    """
    measured = [stroke for stroke in strokes if stroke.tilt_db.any() or stroke.line_tilt_db.any()]
    if not measured:
        return list(strokes)
    return [
        stroke
        if any(stroke is one for one in measured)
        else _leaning(stroke, min(measured, key=lambda one: abs(one.key - stroke.key)))
        for stroke in strokes
    ]


def _leaning(stroke: Stroke, like: Stroke) -> Stroke:
    """A stroke with the tilts of another at the same frequencies, raised to velocity 1."""
    return _raised(
        stroke,
        _at(like.frequency, like.tilt_db, stroke.frequency),
        _at(like.line_frequency, like.line_tilt_db, stroke.line_frequency),
        _at(like.band_centre, like.band_tilt_db, stroke.band_centre),
    )


def _raised(stroke: Stroke, modes_db: Array, lines_db: Array, bands_db: Array) -> Stroke:
    """A stroke with tilts (M,), (L,), (N,), raised along them to velocity 1."""
    up = 1.0 - stroke.velocity
    return replace(
        stroke,
        velocity=1.0,
        tilt_db=modes_db,
        line_tilt_db=lines_db,
        band_tilt_db=bands_db,
        amplitude=stroke.amplitude * 10.0 ** (modes_db * up / 20.0),
        line_gain=stroke.line_gain * 10.0 ** (lines_db * up / 20.0),
        band_gain=stroke.band_gain * 10.0 ** (bands_db * up / 20.0),
    )


def _at(hertz: Array, tilt_db: Array, frequency: Array) -> Array:
    """Tilts (M,) known at hertz (M,), read at frequencies (K,) on a logarithmic axis, held outside."""
    if not hertz.size:
        return np.zeros(frequency.size)
    order = np.argsort(hertz)
    return np.interp(np.log(frequency), np.log(hertz[order]), tilt_db[order])


def _slopes(velocity: Array, energies: Sequence[Array]) -> Array:
    """dB per unit of velocity (K,), by least squares through the levels (K,) of each stroke."""
    level_db = 10.0 * np.log10(np.maximum(np.stack(energies), 1e-20))
    centred = velocity - velocity.mean()
    return np.clip(centred @ level_db / (centred @ centred), -STEEPEST_DB, STEEPEST_DB)


def _around(hertz: Array, energy: Array, at: Array) -> Array:
    """Energy (M,) at hertz (M,) gathered around each of `at` (K,): a Gaussian window over octaves → (K,)."""
    if not hertz.size or not at.size:
        return np.zeros(at.size)
    distance = (np.log2(np.maximum(at, 1.0))[:, None] - np.log2(np.maximum(hertz, 1.0))) / OCTAVES
    return np.exp(-0.5 * distance**2) @ energy


def _mode_energy(stroke: Stroke, at: Array) -> Array:
    lasting = -np.expm1(-2.0 * stroke.damping * EARLY) / (2.0 * stroke.damping + 1e-9)
    return _around(stroke.frequency, np.abs(stroke.amplitude) ** 2 * lasting, at)


def _early(stroke: Stroke, gain: Array) -> Array:
    if not gain.shape[1]:
        return np.zeros(0)
    early = stroke.times <= max(EARLY, stroke.times[0])
    return (gain[early] ** 2).mean(axis=0)


def _line_energy(stroke: Stroke, at: Array) -> Array:
    return _around(stroke.line_frequency, _early(stroke, stroke.line_gain), at)


def _band_energy(stroke: Stroke, at: Array) -> Array:
    return _around(stroke.band_centre, _early(stroke, stroke.band_gain), at)
