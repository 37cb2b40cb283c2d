"""Event sequences made by chance, as a speaker might have made them."""

from __future__ import annotations

import numpy as np

from rtsynth.codec.event import EVENT, Event, Events, Kind, as_events, retarget, strike


def spoken(count: int, seed: int = 1, voice: int = 0, longest_gap: int = 20) -> Events:
    """`count` retarget events, gaps from 1 step, gliding pitch, shapes that wander."""
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.integers(1, longest_gap + 1, count))
    ln_f0 = np.log(180.0) + 0.3 * np.sin(np.arange(count) / 5.0)
    shape = np.zeros(24)
    listed = []
    for time, pitch in zip(times.tolist(), ln_f0, strict=True):
        shape = 0.7 * shape + rng.standard_normal(24).cumsum() * 0.4
        envelope = shape + rng.uniform(-9.0, -4.0)
        listed.append(
            retarget(time, rng.uniform(1.0, 10.0), pitch, envelope, rng.uniform(-6.0, 6.0, 5), voice)
        )
    return as_events(listed)


def coded(count: int, seed: int = 1, longest_gap: int = 150) -> Events:
    """Codes, some at one time, some far apart; the first number never changes."""
    rng = np.random.default_rng(seed)
    out = np.zeros(count, EVENT)
    out["kind"], out["time"] = Kind.CODE, np.cumsum(rng.integers(0, longest_gap, count))
    out["gain"] = rng.uniform(-8.0, -2.0, count)
    out["vector"] = rng.standard_normal((count, 32)) * np.arange(32)
    return out


def struck(time: int, seed: int = 1, voice: int = 0) -> Event:
    """A strike of five modes."""
    rng = np.random.default_rng(seed)
    modes = np.stack([rng.uniform(5.0, 8.0, 5), rng.uniform(-2.0, 1.0, 5), rng.uniform(-3.0, 0.0, 5)], axis=1)
    return strike(time, -2.0, modes, [-3.0, 7.0, 6.0, -2.0, 1.5], voice)


def same(a: Events, b: Events) -> bool:
    """Every field of every event, to the bit; the structure's padding holds anything."""
    return len(a) == len(b) and all(a[name].tobytes() == b[name].tobytes() for name in EVENT.names or ())
