"""Strokes made up for the tests, and presets that play them."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtsynth.instrument.preset import AnyLayer, Envelope, Preset, Recorded, Velocity
from rtsynth.instrument.stroke import Stroke
from tests.instrument.playing import frequency_of_key


def stroke(
    key: float = 60.0, modes: int = 9, lines: int = 3, bands: int = 4, seed: int = 0, **fields: Any
) -> Stroke:
    """A stroke with everything a stroke can have; its curves move within some ten milliseconds."""
    rng = np.random.default_rng(seed)
    f0 = frequency_of_key(key)
    times = np.array([0.0, 0.0011, 0.0023, 0.011, 0.05, 0.09])
    made = {
        "velocity": 0.7,
        "frequency": f0 * np.sqrt(1.0 + 4e-4 * np.arange(1, modes + 1) ** 2) * np.arange(1, modes + 1),
        "damping": rng.uniform(1.0, 300.0, modes),
        "amplitude": 0.02 * (rng.standard_normal(modes) + 1j * rng.standard_normal(modes)),
        "tilt_db": rng.uniform(-3.0, 9.0, modes),
        "start": 0.0009,
        "attack": 0.0005,
        "line_frequency": f0 * np.arange(1, lines + 1),
        "line_phase": rng.uniform(-3.0, 3.0, lines),
        "line_tilt_db": rng.uniform(-3.0, 9.0, lines),
        "band_centre": rng.uniform(100.0, 20000.0, bands),
        "band_width": rng.uniform(10.0, 500.0, bands),
        "band_tilt_db": rng.uniform(-3.0, 9.0, bands),
        "times": times,
        "line_gain": 0.02 * rng.standard_normal((times.size, lines)),
        "band_gain": 0.02 * rng.uniform(0.0, 1.0, (times.size, bands)),
        "cents": 40.0 * rng.standard_normal(times.size),
        "loop": (0.0141, 0.0673),
    }
    return Stroke(key, **(made | fields))


def preset_of(*strokes: Stroke, others: tuple[AnyLayer, ...] = (), **fields: Any) -> Preset:
    """A preset of these strokes alone, with no envelope of its own."""
    return Preset(
        schema=1,
        name="recorded",
        title="Recorded",
        envelope=Envelope(attack_ms=0.0),
        velocity=Velocity(range_db=0.0),
        layers=(Recorded(file="recorded.npz", strokes=strokes, **fields), *others),
    )
