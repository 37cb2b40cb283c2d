"""Onsets of events as notes: where something begins, its nearest key, how loud."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from rtsynth.codec.event import DAMPED_AFTER, LN_F0, SHARES, Events, Kind
from rtsynth.codec.info import modes_of

FAINTEST = 3.5  # nepers (30 dB) below the loudest event: no longer a note
RISE = 0.7  # nepers (6 dB) from one event to the next that are an onset
TURN = 0.75  # semitones off a note's key from which it is another
RANGE = 4.6  # nepers (40 dB): velocities 1…127
NEAR_LOUDEST = 2.3  # nepers (20 dB): the lowest mode so near the loudest is the note's pitch
RINGING = 0.25  # of t60: how long a struck note is held, if no damper falls before


class Note(NamedTuple):
    begin: float  # seconds
    end: float  # seconds
    key: int  # MIDI
    velocity: int  # 1…127
    channel: int  # 0 glides, 1 strikes


def notes(events: Events, seconds: float, step: float) -> list[Note]:
    """The notes, by their beginning. `seconds`: length of the sound. `step`: seconds a control step."""
    played = events[events["kind"] != Kind.CODE]
    if not len(played):
        return []
    loudest = float(played["gain"].max())
    found: list[Note] = []
    for voice in np.unique(played["voice"][played["kind"] == Kind.RETARGET]):
        mine = played[(played["kind"] == Kind.RETARGET) & (played["voice"] == voice)]
        found += _glided(mine, loudest, seconds, step)
    found += _struck(played[played["kind"] == Kind.STRIKE], loudest, seconds, step)
    return sorted(found, key=lambda note: (note.begin, note.channel, note.key))


def _glided(events: Events, loudest: float, seconds: float, step: float) -> Iterator[Note]:
    begin, key, before, velocity = 0.0, -1, -np.inf, 0  # key -1: nothing sounds
    for event in events:
        time, gain = float(event["time"]) * step, float(event["gain"])
        pitch = _key(float(event["vector"][LN_F0]))
        sounds = gain > loudest - FAINTEST and event["vector"][SHARES][0] < 0.0
        begins = sounds and (key < 0 or gain > before + RISE or abs(pitch - key) > TURN)
        if key >= 0 and (begins or not sounds) and time > begin:
            yield Note(begin, time, key, velocity, 0)
        if begins:
            begin, key, velocity = time, _nearest(pitch), _velocity(gain - loudest)
        elif not sounds:
            key = -1
        before = gain
    if key >= 0 and seconds > begin:
        yield Note(begin, seconds, key, velocity, 0)


def _struck(events: Events, loudest: float, seconds: float, step: float) -> Iterator[Note]:
    """One note for all strikes of one time."""
    for time in np.unique(events["time"]):
        group = events[events["time"] == time]
        modes = np.concatenate([modes_of(e) + np.array([0.0, 0.0, e["gain"]]) for e in group])
        begin = float(time) * step
        if not len(modes) or begin >= seconds:
            continue
        lowest = modes[modes[:, 2] > modes[:, 2].max() - NEAR_LOUDEST][:, 0].min()
        held = max(0.05, RINGING * float(np.exp(modes[:, 1].max())))
        after = group["vector"][:, DAMPED_AFTER]
        if after.all():
            held = min(held, float(after.max()))
        gain = float(group["gain"].max()) - loudest
        yield Note(begin, min(begin + held, seconds), _nearest(_key(lowest)), _velocity(gain), 1)


def _key(ln_hertz: float) -> float:
    return 69.0 + 12.0 * float(ln_hertz - np.log(440.0)) / float(np.log(2.0))


def _nearest(key: float) -> int:
    return int(np.clip(np.rint(key), 0, 127))


def _velocity(nepers: float) -> int:
    return int(np.clip(np.rint(127.0 * (1.0 + nepers / RANGE)), 1, 127))
