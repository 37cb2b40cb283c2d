"""What a network says of a voice, frame by frame, as events of the codec's bank."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsynth.codec.event import CONTROL, DIMENSIONS, EVENT, LN_F0, RAMP, SHAPE, SHARES, Events, Kind

ENVELOPE, LOGITS = slice(1, 25), slice(25, 30)  # of a frame's 30 numbers; the first is ln f0
FAINTEST, LARGEST_LOGIT = -14.0, 12.0  # what a network may exaggerate is limited to
LN_F0_RANGE = (np.log(40.0), np.log(1000.0))


def retargets(voices: NDArray, first: int, seconds: float) -> Events:
    """Frames (K, 30): ln f0, ln amplitude at 24 knots, logits at 5; frame k is centred on (first + k + 1/2) · seconds.

    Each event begins where the one before ends, but for the rounding to whole control steps, and reaches its frame in
    its middle.
    """
    reached = (first + np.arange(len(voices)) + 0.5) * seconds / CONTROL  # control steps
    begun = np.maximum(np.floor(reached - seconds / CONTROL), 0.0)
    envelope = np.clip(voices[:, ENVELOPE], FAINTEST, 0.0)
    gain = envelope.mean(axis=1)
    events = np.zeros(len(voices), EVENT)
    events["time"], events["kind"], events["gain"] = begun, Kind.RETARGET, gain
    vector = np.zeros((len(voices), DIMENSIONS), np.float32)
    vector[:, RAMP] = np.maximum(reached - begun, 1.0)
    vector[:, LN_F0] = np.clip(voices[:, 0], *LN_F0_RANGE)
    vector[:, SHAPE] = envelope - gain[:, None]
    vector[:, SHARES] = np.clip(voices[:, LOGITS], -LARGEST_LOGIT, LARGEST_LOGIT)
    events["vector"] = vector
    return events
