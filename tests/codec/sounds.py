"""Sounds whose fundamental, envelope and noise are known: what an analysis must find."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsynth.codec.decoder import render_events
from rtsynth.codec.event import EVENT, KNOTS, LN_F0, RAMP, RATE, SHAPE, SHARES, Events, Kind

Array = NDArray[np.float64]


def formants(centres: tuple[float, ...] = (600.0, 1700.0, 2900.0)) -> Array:
    """An envelope (24,), ln amplitude, of a falling spectrum with a few resonances."""
    level = -2.0 - KNOTS / 2500.0
    for centre in centres:
        level = level + 1.8 * np.exp(-0.5 * ((KNOTS - centre) / 250.0) ** 2)
    return level


def syllables(count: int = 12, seed: int = 1) -> Events:
    """Events of a voice that glides between vowels 96 to 160 ms apart; every fourth is noise."""
    rng = np.random.default_rng(seed)
    events = np.zeros(count, EVENT)
    gaps = rng.integers(24, 41, count)
    events["time"], events["kind"] = np.cumsum(gaps) - gaps[0], Kind.RETARGET
    vector = events["vector"]
    for k in range(count):
        level = formants(tuple(rng.uniform((400.0, 1000.0, 2400.0), (800.0, 2200.0, 3200.0))))
        events["gain"][k] = level.mean() - 0.8 * (k % 3)
        vector[k, SHAPE] = level - level.mean()
        vector[k, SHARES] = 5.0 if k % 4 == 3 else [-6.0, -5.0, -4.0, -2.0, 0.0]
    vector[:, LN_F0] = np.log(rng.uniform(130.0, 220.0, count))
    vector[:, RAMP] = np.append(gaps[1:], 24) * 0.5
    return events


def spoken(count: int = 12, seed: int = 1) -> Array:
    """These syllables at 16 kHz, (N,)."""
    events = syllables(count, seed)
    seconds = 0.004 * float(events["time"][-1] + 40)
    return render_events(events, RATE, seconds).astype(np.float64)


def tone(f0: Array, harmonics: int = 30) -> Array:
    """Harmonics of equal amplitude of a fundamental (N,) in hertz, at 16 kHz, below 7 kHz."""
    phase = 2.0 * np.pi * np.cumsum(f0) / RATE
    offsets = np.random.default_rng(7).uniform(0.0, 2.0 * np.pi, harmonics)
    total = sum(
        np.cos(h * phase + offset) * (h * f0 < 7000.0)
        for h, offset in zip(range(1, harmonics + 1), offsets, strict=True)
    )
    return 0.02 * np.asarray(total)
