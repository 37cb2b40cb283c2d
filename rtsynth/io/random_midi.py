"""MIDI that nobody would play: every kind of message on sixteen channels, in bursts, to see what it breaks."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np

from rtsynth.io.midi_bytes import ALL_NOTES_OFF, SUSTAIN, ByteParser, decode
from rtsynth.io.midi_tuning import TuningDecoder
from rtsynth.messages import MESSAGE, Kind, Messages, message

CHANNELS = 16
SOSTENUTO, SOFT = 66, 67
BURST_RATE, BURST_SECONDS = 5000, 0.25  # messages a second
CALM_RATE, CALM_SECONDS = 200, 1.0
# Controllers that mean something: bank, modulation, portamento, data, volume, pan, expression, pedals, timbre, wet,
# increments, (non-)registered parameters, and all of mode; every other one now and then.
_CONTROLLERS = (
    0,
    1,
    5,
    6,
    7,
    10,
    11,
    32,
    38,
    64,
    64,
    64,
    65,
    66,
    67,
    74,
    91,
    96,
    97,
    98,
    99,
    100,
    101,
    *range(120, 128),
)
_STATUS = (0x90,) * 10 + (0x80,) * 6 + (0xB0,) * 5 + (0xE0,) * 2 + (0xA0, 0xC0, 0xD0)
_REAL_TIME = b"\xf8\xf8\xf8\xfa\xfb\xfc\xfe"
_RARE = (
    b"\xff",
    b"\xf0\x7e\x7f\x09\x01\xf7",
    b"\xf6",
    b"\xf1\x10",
    b"\xf2\x01\x02",
    b"\xf4",
    b"\xf0\x43\x12\xf7",
)


class RandomMidi:
    """One endless stream a seed."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._parser = ByteParser()
        self._tuning = TuningDecoder()

    def raw(self) -> bytes:
        """One message; perhaps a real-time byte inside it, perhaps something that means nothing."""
        kind = self._random.random()
        if kind < 0.004:
            return self._random.choice(_RARE)
        if kind < 0.02:
            return self._retuning()
        first = self._random.choice(_STATUS)
        body = bytearray([first | self._random.randrange(CHANNELS), *self._data(first)])
        if kind > 0.95:
            body.insert(self._random.randrange(1, len(body) + 1), self._random.choice(_REAL_TIME))
        return bytes(body)

    def _data(self, status: int) -> list[int]:
        number, value = self._random.randrange(128), self._random.randrange(128)
        if status == 0xB0 and self._random.random() < 0.9:
            number = self._random.choice(_CONTROLLERS)
        return [number] if status in (0xC0, 0xD0) else [number, value]

    def _retuning(self) -> bytes:
        """One key, at once, to anywhere."""
        key, *pitch = (self._random.randrange(128) for _ in range(4))
        return bytes([0xF0, 0x7F, 0x7F, 0x08, 0x02, 0x00, 0x01, key, *pitch, 0xF7])

    def messages(self, count: int) -> Messages:
        """What `count` raw messages come to, (n,), time 0."""
        found = [np.empty(0, MESSAGE)]
        for _ in range(count):
            for whole in self._parser.feed(self.raw()):
                row = decode(whole)
                found += [row] if row is not None else []
                found += self._tuning.feed(whole)
        return np.concatenate(found)

    def bursts(self) -> Iterator[tuple[float, Messages]]:
        """(seconds from the one before, messages) for ever: bursts of one a fifth of a millisecond, and calm."""
        step = 0.01  # seconds
        while True:
            for rate, seconds in ((BURST_RATE, BURST_SECONDS), (CALM_RATE, CALM_SECONDS)):
                for _ in range(round(seconds / step)):
                    yield step, self.messages(round(rate * step))


def all_released() -> Messages:
    """(64,) All notes off and all pedals up, on every channel."""
    numbers = (ALL_NOTES_OFF, SUSTAIN, SOSTENUTO, SOFT)
    rows = [message(Kind.CONTROL, 0, channel, number) for channel in range(CHANNELS) for number in numbers]
    return np.concatenate(rows)
