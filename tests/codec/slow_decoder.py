"""What a decoder plays, said slowly: float64, one phase and one straight line at a time, from the specification alone.

The noise is the bands' own (`rtsynth/speech/bands.py`, proved there), in double precision: which band plays what at
rms 1 is taken as given, how loud it is is not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsynth.codec.event import (
    CONTROL,
    GAIN,
    KNOTS,
    LN_F0,
    RATE,
    SILENT,
    Events,
    Kind,
    envelope,
    noise_share,
    retarget,
    silenced,
    target,
)
from rtsynth.codec.rows import (
    BURST_SECTIONS,
    FADE,
    HARMONICS,
    HIGHEST_SHARE,
    SECTIONS,
    noise,
    phases,
    top,
)
from rtsynth.speech.bands import Bands, damping_of

Array = NDArray[np.float64]
SEGMENT = 32


def random_retargets(rng: np.random.Generator, count: int, voice: int = 0) -> list:
    """Targets all over the place, some of them quiet, ramps shorter and longer than the gaps."""
    times = np.cumsum(rng.integers(1, 25, count)) - 1
    return [
        retarget(
            int(time),
            rng.uniform(1.0, 30.0),
            rng.uniform(np.log(60.0), np.log(500.0)),
            rng.normal(-6.0, 3.0) + rng.normal(0.0, 1.0, 24),
            rng.normal(0.0, 4.0, 5),
            voice,
        )
        for time in times
    ]


def states_at(events: Events, at: Array, voice: int) -> Array:
    """States (T, 32) at the times `at` (T,), control steps; `event.trajectory` at times between its own.

    A voice that has not begun has the pitch of its first event, and no sound.
    """
    mine = [e for e in events if e["kind"] == Kind.RETARGET and e["voice"] == voice]
    out = np.zeros((len(at), 32))
    start = silenced(target(mine[0]))
    out[:] = start
    out[at < mine[0]["time"], GAIN] = -np.inf
    begin, ramp, goal = 0.0, 1.0, start
    for event in mine:
        time = float(event["time"])
        start = start + (goal - start) * min((time - begin) / ramp, 1.0)
        begin, ramp, goal = time, float(event["vector"][0]), target(event)
        later = at >= begin
        share = np.minimum((at[later] - begin) / ramp, 1.0)[:, None]
        out[later] = start + (goal - start) * share
    return out


def lines(ends: Array) -> Array:
    """Straight lines (32 S,) through values (S + 1,) at the ends of segments."""
    rise = np.arange(SEGMENT) / SEGMENT
    return (ends[:-1, None] + np.diff(ends)[:, None] * rise).ravel()


def sounding(states: Array) -> Array:
    return (states[:, GAIN] + states[:, 2:26].max(axis=1) > SILENT).astype(float)


def harmonics(states: Array, rate: float) -> Array:
    """Of one voice in states (S + 1, 32) at the ends of segments; it turns from sample 0 on."""
    f0 = np.exp(states[:, LN_F0])
    per_sample = np.repeat(np.sqrt(f0[:-1] * f0[1:]) / rate, SEGMENT)
    cycles = np.cumsum(per_sample) - per_sample
    numbers = np.arange(1, HARMONICS + 1)
    hertz = f0[:, None] * numbers  # (S + 1, H)
    level = np.array([envelope(state, at) for state, at in zip(states, hertz, strict=True)])
    share = np.array([noise_share(state, at) for state, at in zip(states, hertz, strict=True)])
    gain = 2.0 * np.exp(level) * np.sqrt((1.0 - share) * f0[:, None] / RATE)
    gain /= 1.0 + np.exp(np.minimum((hertz - top(rate)) / FADE, 100.0))
    gain *= sounding(states)[:, None] * (hertz < min(top(rate) + 16.0 * FADE, 0.5 * rate))
    out = np.zeros(cycles.size)
    for h, theta, own in zip(numbers, phases(), gain.T, strict=True):
        out += lines(own) * np.cos(2.0 * np.pi * (h * cycles + theta))
    return out


def noise_power(states: Array, rate: float) -> Array:
    """Squared rms (S + 1, 24) that a voice wants of each band."""
    gain = np.exp(envelope(states, KNOTS)) * noise(rate).weights
    return gain**2 * noise_share(states, KNOTS) * sounding(states)[:, None]


def bands_of_noise(power: Array, rate: float, seed: int) -> Array:
    """(32 S,) at squares of rms (S + 1, 24)."""
    law = noise(rate)
    bands = Bands(len(KNOTS), SECTIONS, seed, np.float64)
    bands.turn(np.minimum(law.centres, 0.5 * rate) / rate, law.damping / rate)
    bands.start(0)
    return np.concatenate([bands.segment(goal) for goal in np.sqrt(power[1:])])


def noise_key(event: np.void) -> int:
    """What a strike's noise is keyed by: FNV-1a, 32 bits at a time, of its voice, modes and burst."""
    key = 0xCBF29CE484222325
    for number in [int(event["voice"]), *event["vector"][:29].view(np.uint32).tolist()]:
        key = (key ^ number) * 0x100000001B3 % (1 << 64)
    return key >> 1 | 1


def one_strike(event: np.void, samples: int, rate: float, seed: int) -> Array:
    """A strike from its start on, (samples,); a mode or a burst ends with the first segment below -120 dB."""
    segments = -(-samples // SEGMENT)
    after, under = float(event["vector"][29]), np.log(1000.0) / np.exp(float(event["vector"][30])) / rate
    fallen = np.floor(after * rate / SEGMENT + 0.5) * SEGMENT if after > 0 else np.inf
    damper = lines(np.exp(-under * np.maximum(SEGMENT * np.arange(segments + 1.0) - fallen, 0.0)))

    def end(level: float, damping: float) -> int:
        nepers = np.log(level / 1e-6)
        last = nepers / damping
        if last > fallen:
            last = (nepers + under * fallen) / (damping + under)
        return int(SEGMENT * np.ceil(last / SEGMENT))

    vector, gain = event["vector"].astype(float), float(event["gain"])
    out, time = np.zeros(-(-samples // SEGMENT) * SEGMENT), np.arange(-(-samples // SEGMENT) * SEGMENT)
    ends = []
    for slot, (ln_hertz, ln_t60, ln_amplitude) in enumerate(vector[:24].reshape(8, 3)):
        amplitude, hertz = np.exp(gain + ln_amplitude), np.exp(ln_hertz)
        damping = np.log(1000.0) / np.exp(ln_t60) / rate
        if amplitude > 1e-6 and hertz < HIGHEST_SHARE * rate:
            out += (
                amplitude * np.exp(-damping * time) * np.sin(2.0 * np.pi * (hertz / rate * time + slot / 8))
            )
            ends.append(end(amplitude, damping))
    out[max(ends, default=0) :] = 0.0
    noise = burst(vector[24:29], gain, segments, rate, seed, noise_key(event))
    if noise.any():
        noise[end(np.exp(gain + vector[24]), np.log(1000.0) / np.exp(vector[27]) / rate) :] = 0.0
    return ((out + noise) * damper)[:samples]


def burst(vector: Array, gain: float, segments: int, rate: float, seed: int, key: int) -> Array:
    """(32 S,): a band of noise under a straight attack times a decay, in straight lines between ends of segments."""
    level, centre, width, t60 = np.exp(vector[:4])
    level *= np.exp(gain)
    damping, attack = np.log(1000.0) / t60 / rate, 1e-3 * vector[4] * rate
    if level <= 1e-6 or centre >= HIGHEST_SHARE * rate:
        return np.zeros(segments * SEGMENT)
    bands = Bands(1, BURST_SECTIONS, seed, np.float64)
    bands.turn([centre / rate], [damping_of(width, BURST_SECTIONS) / rate])
    bands.start(key)
    plain = np.concatenate([_at_unit(bands) if s == 0 else bands.segment([1.0]) for s in range(segments)])
    time = SEGMENT * np.arange(segments + 1.0)
    risen = np.minimum(time / attack, 1.0) if attack > 0 else np.ones(segments + 1)
    return lines(level * risen * np.exp(-damping * time)) * plain


def _at_unit(bands: Bands) -> Array:
    """The first segment at rms 1 from its first sample on, where a start leaves gains at 0."""
    bands.state.gains[:, :, 0, :] = bands.weights * bands.padded([1.0]).reshape(bands.groups, 1, -1)
    return bands.segment([1.0])


def slow(events: Events, segments: int, rate: float, seed: int = 1) -> Array:
    """All of it, (32 segments,)."""
    at = np.arange(segments + 1) * SEGMENT / (CONTROL * rate)
    out, power = np.zeros(segments * SEGMENT), np.zeros((segments + 1, len(KNOTS)))
    for voice in np.unique(events["voice"][events["kind"] == Kind.RETARGET]):
        states = states_at(events, at, voice)
        out += harmonics(states, rate)
        power += noise_power(states, rate)
    power[0] = 0.0
    out += bands_of_noise(power, rate, seed)
    for event in events[events["kind"] == Kind.STRIKE]:
        start = int(np.floor(event["time"] * CONTROL * rate + 0.5))
        if start < out.size:
            out[start:] += one_strike(event, out.size - start, rate, seed)
    return out
