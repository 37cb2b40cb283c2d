"""Strokes of one key, soft to loud, as one stroke that leans on the velocity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtsynth.instrument.fitting.velocity import by_key, merge, spread_tilts, velocities_by_level
from rtsynth.instrument.stroke import Stroke

FREQUENCY = 200.0 * np.arange(1, 31)
SLOPE_DB = 20.0 + 6.0 * np.log2(FREQUENCY / 200.0)  # per unit of velocity


def stroke(velocity: float, key: float = 60.0, slope_db: np.ndarray = SLOPE_DB) -> Stroke:
    level = -30.0 + slope_db * (velocity - 1.0)
    centre = np.array([300.0, 3000.0])
    gain_db = np.array([-60.0, -70.0]) + np.array([10.0, 30.0]) * (velocity - 1.0)
    return Stroke(
        key=key,
        velocity=velocity,
        frequency=FREQUENCY,
        damping=np.full(30, 2.0),
        amplitude=10.0 ** (level / 20.0) + 0j,
        band_centre=centre,
        band_width=0.2 * centre,
        times=np.array([0.0, 1.0]),
        band_gain=np.tile(10.0 ** (gain_db / 20.0), (2, 1)),
    )


def test_a_tilt_is_found_and_the_stroke_raised_to_full_velocity() -> None:
    merged = merge([stroke(0.9), stroke(0.3), stroke(0.6)])
    assert merged.velocity == 1.0
    inner = slice(3, 27)  # the window over frequency rounds the ends
    assert merged.tilt_db[inner] == pytest.approx(SLOPE_DB[inner], abs=2.0)
    level = 20.0 * np.log10(np.abs(merged.amplitude[inner]))
    assert level == pytest.approx(-30.0, abs=0.8)
    assert merged.band_tilt_db == pytest.approx([10.0, 30.0], abs=0.5)


def test_a_stroke_without_tilt_gets_none() -> None:
    flat = np.zeros(30)
    merged = merge([stroke(0.3, slope_db=flat), stroke(1.0, slope_db=flat)])
    assert merged.tilt_db == pytest.approx(flat, abs=1e-6)


def test_one_stroke_stays_as_it_is() -> None:
    alone = stroke(0.6)
    assert merge([alone]) is alone


def test_keys_recorded_once_lean_like_the_nearest_that_was_recorded_often() -> None:
    often, once = merge([stroke(0.3), stroke(1.0)]), stroke(0.6, key=72.0)
    leaning = spread_tilts([often, once])[1]
    assert leaning.tilt_db == pytest.approx(often.tilt_db)
    raised = 20.0 * np.log10(np.abs(leaning.amplitude / once.amplitude))
    assert raised == pytest.approx(0.4 * often.tilt_db)
    assert spread_tilts([once, replace(once, key=40.0)])[0] is once


def test_groups_are_of_one_key_softest_first() -> None:
    groups = by_key([stroke(0.9, 72.0), stroke(0.9, 60.1), stroke(0.2, 59.9)])
    assert [[s.velocity for s in group] for group in groups] == [[0.2, 0.9], [0.9]]


def test_velocities_by_level() -> None:
    assert velocities_by_level(np.array([-20.0, -38.0, -80.0])) == pytest.approx([1.0, 0.5, 0.1])
