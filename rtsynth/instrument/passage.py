"""A passage of messages as the law sees it: the notes that sound, how each fades and bends, and the law of their sum.

What native/voices.c does to notes is written here a second time, in plain Python, as the specification: a voice looks
at pedal, wheel and its own status at the start of each of its segments of 32 samples, and its gains go in straight
lines to where they are to be at the end. Notes draw their own Gaussians, so laws of notes add up; but for strikes of
one key that share its take, and for a loop that a release leaves: `scenarios.left_out`. Messages are of one channel, in
order of time; keys stand at their own pitch, and all controllers but variance, wheel and sustain at their defaults.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtsynth.instrument.preset import Curve, Preset
from rtsynth.instrument.rows import GRID, LN1000, Channel
from rtsynth.instrument.stated import level_and_mix
from rtsynth.messages import Kind, Messages

Array = NDArray[np.float64]
Samples = NDArray[np.int64]

VARIANCE, SUSTAIN = 1, 64  # controllers
BEND_SEMITONES = 2.0  # range of the wheel at power-on
STEAL_SECONDS = 256.0 / 48000.0
MIDDLE_VELOCITY = 64  # of a note-off: the damper falls in the preset's own time
PEDAL_UP, PEDAL_DOWN = 0.2, 0.8  # of the pedal's way: dampers begin to lift, are clear
ENDED = 1e-6  # a fade below it is the end of a voice
NEVER = np.iinfo(np.int64).max


@dataclass
class Strike:
    """A note; times in samples. `fade` (J + 1,) is a gain at grid points; `variance`, `bend` as of `Preset.kernel`."""

    start: int
    note: int
    velocity: float
    variance: float | None = None
    released: int = NEVER
    damper_speed: float = 1.0
    stolen: int = NEVER
    fade: Array = field(default_factory=lambda: np.ones(1))
    bend: tuple[tuple[float, float], ...] = ()


def strikes(preset: Preset, messages: Messages, length: int, sample_rate: float) -> list[Strike]:
    """The notes that `messages` start, through the first `length` samples."""
    struck: list[Strike] = []
    knob: float | None = None
    for message in messages:
        time, note = int(message["time"]), int(message["number"])
        if message["kind"] == Kind.NOTE_ON:
            _make_room(preset, struck, time, note)
            struck.append(Strike(time, note, float(message["value"]), knob))
        elif message["kind"] == Kind.CONTROL and note == VARIANCE:
            knob = float(message["value"]) / 127.0
        elif message["kind"] == Kind.NOTE_OFF:
            held = [s for s in struck if s.note == note and s.released == s.stolen == NEVER]
            for strike in held[:1]:
                strike.released = time
                strike.damper_speed = damper_speed(float(message["value"]))
    pedal, (turned, wheel) = _steps(messages, Kind.CONTROL, SUSTAIN), _steps(messages, Kind.BEND, 0)
    ratio = 2.0 ** (wheel * BEND_SEMITONES / 12.0)
    for strike in struck:
        starts = np.arange(strike.start, length + GRID, GRID)
        strike.fade = _fade(preset, strike, starts, pedal, sample_rate)
        seconds = (turned - strike.start) / sample_rate
        strike.bend = tuple(zip(seconds.tolist(), ratio.tolist(), strict=True))[1:]
    return struck


def damper_speed(velocity: float) -> float:
    """How fast a note-off of this velocity, 0…1, lets the damper fall, over the preset's own time."""
    return 2.0 ** ((round(127.0 * velocity) - MIDDLE_VELOCITY) / MIDDLE_VELOCITY)


def _make_room(preset: Preset, struck: list[Strike], time: int, note: int) -> None:
    sounding = [s for s in struck if s.stolen == NEVER]
    of_key = [s for s in sounding if s.note == note]
    if len(of_key) >= preset.polyphony.per_key:
        of_key[0].stolen = time
    elif len(sounding) >= preset.polyphony.voices:
        min(sounding, key=lambda s: s.released).stolen = time  # the longest released, else the oldest


def _steps(messages: Messages, kind: Kind, number: int) -> tuple[Samples, Array]:
    """Times and values of a control, from its default on."""
    chosen = messages[(messages["kind"] == kind) & (messages["number"] == number)]
    return np.append([-1], chosen["time"]), np.append([0.0], chosen["value"])


def _standing(steps: tuple[Samples, Array], at: Samples) -> Array:
    times, values = steps
    return values[np.searchsorted(times, at, side="right") - 1]


def _fade(
    preset: Preset, strike: Strike, starts: Samples, pedal: tuple[Samples, Array], sample_rate: float
) -> Array:
    """Gain of damper and steal at the grid points of a strike whose segments start at `starts` (J,): (J + 1,)."""
    envelope = preset.envelope
    seconds = envelope.release_ms * 1e-3 * 2.0 ** (envelope.release_slope * (strike.note - 60) / 12.0)
    rate = LN1000 / seconds * GRID / sample_rate if strike.note < envelope.undamped_above else 0.0
    rate *= strike.damper_speed
    fading = max(1.0, round(STEAL_SECONDS * sample_rate / GRID))  # segments
    stolen = starts >= strike.stolen
    damped = (starts >= strike.released) & ~stolen
    release = np.exp(-np.cumsum(damped * rate * _damper(preset, _standing(pedal, starts))))
    steal = np.maximum(0.0, 1.0 - np.cumsum(stolen) / fading)
    fade = np.append([1.0], release * steal)
    ended = np.cumsum(fade < ENDED) > 1  # the segment that ends below is still played
    return np.where(ended, 0.0, fade)


def _damper(preset: Preset, pedal: Array) -> Array:
    """How firmly the damper lies on the string, for a controller's values 0…127."""
    if preset.envelope.pedal == "switch":
        return np.where(pedal >= 64.0, 0.0, 1.0)
    lift = (pedal / 127.0 - PEDAL_UP) / (PEDAL_DOWN - PEDAL_UP)
    return (1.0 - np.clip(lift, 0.0, 1.0)) ** 2


# --- the law ----------------------------------------------------------------------------------------------------------


def law(
    preset: Preset, messages: Messages, at: Samples, *, sample_rate: float, channel: Channel
) -> tuple[Array, Array]:
    """Mean (n,) and covariance (n, n) of a channel of the passage at samples `at` (n,), which rise."""
    mean, covariance = np.zeros(at.size), np.zeros((at.size, at.size))
    for strike in strikes(preset, messages, int(at[-1]) + 1, sample_rate):
        heard = np.flatnonzero(at >= strike.start)
        part_mean, part = _law_of(preset, strike, at[heard] - strike.start, sample_rate, channel)
        mean[heard] += part_mean
        covariance[np.ix_(heard, heard)] += part
    return mean, covariance


def _law_of(
    preset: Preset, strike: Strike, at: Samples, sample_rate: float, channel: Channel
) -> tuple[Array, Array]:
    """Of one strike, at samples since its start."""
    preset, t = _faded(preset, strike.fade, sample_rate), at / sample_rate
    note, velocity, variance, bend = strike.note, strike.velocity, strike.variance, strike.bend
    stated = preset.kernel(
        note, velocity, sample_rate=sample_rate, channel=channel, variance=variance, bend=bend
    )
    mean = preset.mean(note, velocity, sample_rate=sample_rate, channel=channel, variance=variance, bend=bend)
    return mean(t), stated.covariance(t, t)


def _faded(preset: Preset, fade: Array, sample_rate: float) -> Preset:
    """A fade is a level curve: both are gains of the whole voice at its grid points."""
    if (fade == 1.0).all():
        return preset
    level = level_and_mix(preset, sample_rate)[0]
    j = np.arange(fade.size)
    values = level[np.minimum(j, level.size - 1)] * fade
    curve = Curve(times=tuple((j * (GRID / sample_rate)).tolist()), values=tuple(values.tolist()))
    return msgspec.structs.replace(preset, envelope=msgspec.structs.replace(preset.envelope, level=curve))
