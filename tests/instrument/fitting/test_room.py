"""The room's noise is taken out of struck notes and left in sustained ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtsynth.instrument.fitting.room import without_room
from rtsynth.instrument.stroke import Stroke

TIMES = np.linspace(0.0, 3.0, 61)
KNOCK = np.exp(-20.0 * TIMES)
ROOM = 0.01


def noisy() -> Stroke:
    return Stroke(
        key=60.0,
        band_centre=np.array([12.0, 1000.0]),
        band_width=np.array([8.0, 100.0]),
        times=TIMES,
        band_gain=np.stack([np.full(TIMES.size, 0.1), np.sqrt(KNOCK**2 + ROOM**2)], axis=1),
    )


def test_the_knock_stays_and_the_room_goes() -> None:
    gain = without_room(noisy()).band_gain
    assert gain[:, 1] == pytest.approx(KNOCK, abs=0.07)
    assert gain[:3, 1] == pytest.approx(KNOCK[:3], abs=1e-6)
    assert not gain[:, 0].any()
    assert not gain[-1].any()


def test_a_noise_of_the_hand_after_the_knock_goes_too() -> None:
    slid = noisy().band_gain.copy()
    slid[20:24, 1] = 0.5
    gain = without_room(replace(noisy(), band_gain=slid)).band_gain[:, 1]
    assert (np.diff(gain[3:]) <= 0.0).all()
    assert gain[20:24].max() < 0.02


def test_breath_and_bow_stay() -> None:
    sustained = replace(noisy(), loop=(1.0, 2.0))
    assert without_room(sustained) is sustained
