"""Events and a decoder for tests of the page: sines instead of the bank, so that what is heard is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsynth.codec.event import (
    ABSENT,
    CONTROL,
    GAIN,
    LN_F0,
    MODES,
    Events,
    Kind,
    as_events,
    retarget,
    strike,
    trajectory,
)

RATE = 8000.0


def speech(seconds: float, a_second: float = 20.0, seed: int = 1) -> Events:
    """A voice that is retargeted evenly."""
    rng = np.random.default_rng(seed)
    times = np.arange(0, seconds / CONTROL, 1.0 / (a_second * CONTROL)).astype(int)
    return as_events(
        retarget(
            int(time),
            float(rng.integers(1, 8)),
            float(np.log(rng.uniform(120, 300))),
            rng.uniform(-6, -2) + rng.standard_normal(24),
            rng.uniform(-3, 3, 5),
        )
        for time in times
    )


def notes(seconds: float, count: int, seed: int = 2) -> Events:
    """Strikes of two groups each."""
    rng = np.random.default_rng(seed)
    listed = []
    for time in np.linspace(0.05, seconds - 0.4, count):
        pitch = rng.uniform(200, 900)
        for voice in (0, 1):
            modes = [(np.log(pitch * (voice + h)), np.log(0.3), -float(h)) for h in range(1, 4)]
            listed.append(strike(int(time / CONTROL), -2.5, modes, (-6.0, 7.0, 6.0, -3.0, 1.0), voice))
    return as_events(listed)


def render(events: Events, seconds: float) -> NDArray[np.float64]:
    """A voice is a sine at its f0 and gain, a strike the damped sines of its modes; (N,) at RATE."""
    count = round(seconds * RATE)
    out = np.zeros(count)
    now = np.arange(count) / RATE
    for voice in np.unique(events["voice"][events["kind"] == Kind.RETARGET]):
        states = trajectory(events, int(seconds / CONTROL) + 2, int(voice))
        course = [np.interp(now, np.arange(len(states)) * CONTROL, states[:, i]) for i in (GAIN, LN_F0)]
        out += np.exp(course[0]) * np.sin(2.0 * np.pi * np.cumsum(np.exp(course[1])) / RATE)
    for event in events[events["kind"] == Kind.STRIKE]:
        since = now - event["time"] * CONTROL
        for ln_hertz, ln_t60, level in event["vector"][MODES].reshape(-1, 3):
            if level > ABSENT:
                ring = np.exp(event["gain"] + level - np.log(1000.0) * since / np.exp(ln_t60))
                out += np.where(since >= 0.0, ring * np.sin(2.0 * np.pi * np.exp(ln_hertz) * since), 0.0)
    return out
