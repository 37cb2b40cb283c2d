"""MIDI 1.0 bytes to messages: a stream parser that keeps running status, and what each message means.

Source: MIDI 1.0 Detailed Specification 4.2.1 (tables I to VI, "Running status", "System real time"); general
MIDI system on: RP-003. `mido.Parser` drops running status, which serial ports and browsers do send, so it is
not used here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rtsynth.messages import Kind, Messages, message

LONGEST_SYSEX = 65536  # bytes; a longer one is dropped, so that a stuck sender cannot fill the memory
CENTRE_BEND = 8192
SUSTAIN, ALL_SOUND_OFF, ALL_NOTES_OFF = 64, 120, 123

_CHANNEL_LENGTH = {0x80: 3, 0x90: 3, 0xA0: 3, 0xB0: 3, 0xC0: 2, 0xD0: 2, 0xE0: 3}  # bytes with the status
_SYSTEM_LENGTH = {0xF1: 2, 0xF2: 3, 0xF3: 2, 0xF6: 1}  # F4 and F5 are undefined
_REAL_TIME = frozenset((0xF8, 0xFA, 0xFB, 0xFC, 0xFE, 0xFF))  # F9 and FD are undefined
_SYSEX_START, _SYSEX_END, _SYSTEM_RESET = 0xF0, 0xF7, 0xFF


def message_length(status: int) -> int:
    """Bytes of a message with its status byte; 0: undefined, or as long as it is (system exclusive)."""
    return _CHANNEL_LENGTH.get(status & 0xF0, 0) or _SYSTEM_LENGTH.get(
        status, 1 if status in _REAL_TIME else 0
    )


class ByteParser:
    """Cuts a stream of MIDI bytes, in pieces of any size, into whole messages; one parser a stream.

    Real-time bytes come out at once, even from inside another message. Undefined status bytes, data bytes
    without a status, and system exclusives that another status byte interrupts are dropped; nothing is ever
    raised.
    """

    def __init__(self) -> None:
        self._running = 0  # channel status that later data bytes inherit; 0: none
        self._partial = bytearray()  # message in progress; system exclusive when it opens with F0
        self._overlong = False

    def feed(self, data: bytes) -> list[bytes]:
        """The messages completed by `data`, in order, each with its status byte."""
        found: list[bytes] = []
        for byte in data:
            if byte >= 0xF8:
                self._real_time(byte, found)
            elif byte >= 0x80:
                self._status(byte, found)
            else:
                self._data(byte, found)
        return found

    def _real_time(self, byte: int, found: list[bytes]) -> None:
        if byte in _REAL_TIME:
            found.append(bytes((byte,)))
        if byte == _SYSTEM_RESET:
            self._running = 0

    def _status(self, byte: int, found: list[bytes]) -> None:
        if byte == _SYSEX_END and self._in_sysex and not self._overlong:
            found.append(bytes(self._partial) + b"\xf7")
        self._running = byte if byte < 0xF0 else 0
        self._partial.clear()
        self._overlong = False
        if byte == _SYSEX_START or message_length(byte) > 1:
            self._partial.append(byte)
        elif message_length(byte) == 1:
            found.append(bytes((byte,)))

    def _data(self, byte: int, found: list[bytes]) -> None:
        if self._in_sysex:
            self._overlong = len(self._partial) > LONGEST_SYSEX
            if not self._overlong:
                self._partial.append(byte)
            return
        if not self._partial:
            if not self._running:
                return
            self._partial.append(self._running)
        self._partial.append(byte)
        if len(self._partial) == message_length(self._partial[0]):
            found.append(bytes(self._partial))
            self._partial.clear()

    @property
    def _in_sysex(self) -> bool:
        return self._partial[:1] == b"\xf0"


def bend_value(number: int) -> float:
    """The 14-bit wheel 0…16383 as -1…1: 8192 is exactly 0, and both ends are reached exactly.

    The upper half has one step fewer than the lower; each half is a straight line of its own.
    """
    offset = number - CENTRE_BEND
    return offset / CENTRE_BEND if offset < 0 else offset / (CENTRE_BEND - 1)


class _Meaning(NamedTuple):
    kind: Kind
    number: Callable[[int, int], int]
    value: Callable[[int, int], float]


_MEANINGS = {  # by the status byte's upper half; a and b are the data bytes, b = 0 where there is one only
    0x80: _Meaning(Kind.NOTE_OFF, lambda a, b: a, lambda a, b: b / 127),
    0x90: _Meaning(Kind.NOTE_ON, lambda a, b: a, lambda a, b: b / 127),
    0xA0: _Meaning(Kind.KEY_PRESSURE, lambda a, b: a, lambda a, b: b),
    0xB0: _Meaning(Kind.CONTROL, lambda a, b: a, lambda a, b: b),
    0xC0: _Meaning(Kind.PROGRAM, lambda a, b: 0, lambda a, b: a),
    0xD0: _Meaning(Kind.CHANNEL_PRESSURE, lambda a, b: 0, lambda a, b: a),
    0xE0: _Meaning(Kind.BEND, lambda a, b: 0, lambda a, b: bend_value(a | b << 7)),
}
_RESETS = (  # system exclusives that mean "as if just switched on"; None stands for any device number
    (0xF0, 0x7E, None, 0x09, 0x01, 0xF7),  # general MIDI 1 on
    (0xF0, 0x7E, None, 0x09, 0x03, 0xF7),  # general MIDI 2 on
    (0xF0, 0x41, None, 0x42, 0x12, 0x40, 0x00, 0x7F, 0x00, 0x41, 0xF7),  # Roland GS reset
)


def decode(raw: bytes) -> Messages | None:
    """One whole MIDI message, shape (1,) with time 0; None where it says nothing that a source plays.

    A note-on with velocity 0 is a note-off with release velocity 64. Malformed bytes give None.
    """
    if not raw or raw[0] < 0x80:
        return None
    if raw[0] >= 0xF0:
        return message(Kind.RESET) if raw[0] == _SYSTEM_RESET or _is_reset(raw) else None
    status, channel, data = raw[0] & 0xF0, raw[0] & 0x0F, raw[1:]
    if len(raw) != _CHANNEL_LENGTH[status] or max(data) > 127:
        return None
    a, b = data[0], data[1] if len(data) == 2 else 0
    if status == 0x90 and b == 0:
        status, b = 0x80, 64
    meaning = _MEANINGS[status]
    return message(meaning.kind, channel=channel, number=meaning.number(a, b), value=meaning.value(a, b))


def _is_reset(raw: bytes) -> bool:
    return any(
        len(raw) == len(pattern)
        and all(want is None or want == got for want, got in zip(pattern, raw, strict=True))
        for pattern in _RESETS
    )


def release_all(channel: int) -> list[Messages]:
    """What ends every note of one channel, 0…15: all notes off, then the pedal up."""
    return [
        message(Kind.CONTROL, channel=channel, number=ALL_NOTES_OFF),
        message(Kind.CONTROL, channel=channel, number=SUSTAIN),
    ]
