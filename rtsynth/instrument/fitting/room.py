"""What a note's noise has of the room and the hand: taken out of its bands, so that it only dies away.

Every key that is held would bring the room with it once more, and ten keys ten rooms; a finger that slides along the
string after a second would slide along every string that is played.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rtsynth.instrument.stroke import Stroke

Array = NDArray[np.float64]

KNOCK = 0.1  # seconds: until here the noise stays as it is
LATE = 2.0 / 3.0  # of a stroke: from here on its noise is taken for the room's
QUIET = 0.2  # share of that time in which the room is heard alone
AUDIBLE = 20.0  # hertz: bands below are rumble
NOTHING = 1e-24  # of power
EITHER_SIDE = 2  # points that are averaged before a rise is told from chance


def without_room(stroke: Stroke) -> Stroke:
    """A struck note whose noise dies away; a sustained one, whose noise is its breath or bow, as it is."""
    if stroke.loop is not None or not stroke.band_centre.size:
        return stroke
    late = stroke.times >= LATE * stroke.times[-1]
    room = np.quantile(stroke.band_gain[late], QUIET, axis=0)
    power = _never_rising(np.maximum(stroke.band_gain**2 - room**2, 0.0), stroke.times)
    power[-1] = 0.0
    power[:, stroke.band_centre < AUDIBLE] = 0.0
    return replace(stroke, band_gain=np.sqrt(power))


def _never_rising(power: Array, times: Array) -> Array:
    """Powers (T, N) that fall from the knock on, along the least of their local means so far.

    Means of decibels: what falls evenly is its own mean.
    """
    logs = np.log(np.maximum(power, NOTHING))
    around = np.pad(logs, ((EITHER_SIDE, EITHER_SIDE), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(around, 2 * EITHER_SIDE + 1, axis=0)
    falling = np.minimum.accumulate(windows.mean(axis=2)[times > KNOCK], axis=0)
    return np.concatenate([power[times <= KNOCK], np.where(falling > np.log(NOTHING), np.exp(falling), 0.0)])
