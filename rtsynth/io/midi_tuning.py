"""The MIDI tuning standard: system exclusives and RPN 3 and 4 to `TUNE` messages.

A key's pitch is a fractional MIDI note re A4 = 440 Hz. What comes as real-time is followed by held notes; the rest is
for notes to come. Source: MIDI Tuning, updated specification (CA-020, CA-021, RP-020). Checksums of dumps are not
looked at: senders disagree on what they cover.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsynth.messages import Kind, Messages, message

KEYS, CHANNELS = 128, 16
TUNING_PROGRAM, TUNING_BANK = 3, 4  # RPN 0/3, 0/4
_DATA, _RPN_LSB, _RPN_MSB, _NRPN_LSB, _NRPN_MSB = 6, 100, 101, 98, 99
_INCREMENT, _DECREMENT, _RESET_CONTROLLERS = 96, 97, 121
_NULL = (127, 127)
_UNIVERSAL, _REALTIME, _TUNING = 0x7E, 0x7F, 0x08
_NAME = 16  # bytes of a tuning's name
_NO_CHANGE = (0x7F, 0x7F, 0x7F)

Pitches = NDArray[np.float64]  # (128,)
Program = tuple[int, int]  # bank, program


@dataclass
class _Channel:
    """State of one channel: what it has chosen, and what its notes have been told."""

    sent: Pitches
    program: Program = (0, 0)
    bank: int = 0
    parameter: tuple[int, int] = _NULL


class TuningDecoder:
    """Tuning of sixteen channels, from whole MIDI messages; `base` (128,) is what no message has changed.

    Programs that nobody has sent sound as `base`. One decoder an input; it says what to tell the instrument.
    """

    def __init__(self, base: Pitches | None = None) -> None:
        self._base = np.arange(KEYS, dtype=np.float64) if base is None else base.astype(np.float64)
        self._programs: dict[Program, Pitches] = {}
        self._channels = [_Channel(np.arange(KEYS, dtype=np.float64)) for _ in range(CHANNELS)]

    def start(self) -> list[Messages]:
        """What makes an instrument in equal temperament sound as `base`; nothing where that is it."""
        return [row for channel in range(CHANNELS) for row in self._tell(channel, self._base, held=False)]

    def feed(self, raw: bytes) -> list[Messages]:
        """`TUNE` messages, time 0, that one MIDI message asks for; none where it is about something else."""
        if len(raw) == 3 and raw[0] & 0xF0 == 0xB0:
            return self._control(raw[0] & 0x0F, raw[1], raw[2])
        if len(raw) > 6 and raw[0] == 0xF0 and raw[1] in (_UNIVERSAL, _REALTIME) and raw[3] == _TUNING:
            return self._exclusive(raw[1] == _REALTIME, raw[4], raw[5:-1])
        return []

    # ---- RPN 3 and 4 ----

    def _control(self, channel: int, controller: int, value: int) -> list[Messages]:
        state = self._channels[channel]
        msb, lsb = state.parameter
        if controller == _RPN_MSB:
            state.parameter = (value, lsb)
        elif controller == _RPN_LSB:
            state.parameter = (msb, value)
        elif controller in (_NRPN_LSB, _NRPN_MSB, _RESET_CONTROLLERS):
            state.parameter = _NULL
        elif controller == _DATA:
            return self._enter(channel, value)
        elif controller in (_INCREMENT, _DECREMENT):
            step = 1 if controller == _INCREMENT else -1
            now = state.bank if state.parameter == (0, TUNING_BANK) else state.program[1]
            return self._enter(channel, min(max(now + step, 0), 127))
        return []

    def _enter(self, channel: int, value: int) -> list[Messages]:
        state = self._channels[channel]
        if state.parameter == (0, TUNING_BANK):
            state.bank = value
        elif state.parameter == (0, TUNING_PROGRAM):
            state.program = (state.bank, value)
            return self._tell(channel, self._program(state.program), held=False)
        return []

    # ---- system exclusives ----

    def _exclusive(self, held: bool, kind: int, data: bytes) -> list[Messages]:
        """`data`: what follows the kind, without the end; too short, and nothing is changed."""
        if kind == 0x01:  # bulk dump: program, name, 128 pitches, checksum
            return self._dump((0, data[0]), data[1 + _NAME :], _key_pitches, held)
        if kind in _DUMPS:  # with a bank
            return (
                self._dump((data[0], data[1]), data[2 + _NAME :], _DUMPS[kind], held) if len(data) > 1 else []
            )
        if kind == 0x02:  # single notes of a program
            return self._single((0, data[0]), data[1:], held)
        if kind == 0x07:
            return self._single((data[0], data[1]), data[2:], held) if len(data) > 1 else []
        if kind in _OCTAVES and len(data) > 3:  # of channels
            return self._octave(data[:3], _OCTAVES[kind](data[3:], self._base), held)
        return []

    def _dump(
        self, program: Program, data: bytes, read: Callable[[bytes, Pitches], Pitches | None], held: bool
    ) -> list[Messages]:
        pitches = read(data, self._program(program))
        return [] if pitches is None else self._define(program, pitches, held)

    def _single(self, program: Program, data: bytes, held: bool) -> list[Messages]:
        pitches = self._program(program).copy()
        changes = data[1 : 1 + 4 * data[0]] if data else b""
        if not changes or len(changes) < 4 * data[0]:
            return []
        for at in range(0, len(changes), 4):
            pitch = _pitch(changes[at + 1 : at + 4])
            if pitch is not None:
                pitches[changes[at]] = pitch
        return self._define(program, pitches, held)

    def _octave(self, mask: bytes, pitches: Pitches | None, held: bool) -> list[Messages]:
        """Tune the channels of a mask: channels 16 and 15, then 14 to 8, then 7 to 1, a bit each."""
        if pitches is None:
            return []
        chosen = (mask[0] & 3) << 14 | mask[1] << 7 | mask[2]
        channels = [channel for channel in range(CHANNELS) if chosen >> channel & 1]
        return [row for channel in channels for row in self._tell(channel, pitches, held)]

    def _program(self, program: Program) -> Pitches:
        return self._programs.get(program, self._base)

    def _define(self, program: Program, pitches: Pitches, held: bool) -> list[Messages]:
        self._programs[program] = pitches
        users = [channel for channel in range(CHANNELS) if self._channels[channel].program == program]
        return [row for channel in users for row in self._tell(channel, pitches, held)]

    def _tell(self, channel: int, pitches: Pitches, held: bool) -> list[Messages]:
        """A message for every key whose pitch is another than the channel has been told."""
        sent = self._channels[channel].sent
        same = (pitches == sent) | (np.isnan(pitches) & np.isnan(sent))
        self._channels[channel].sent = pitches.copy()
        return [tune(channel, int(key), float(pitches[key]), held) for key in np.flatnonzero(~same)]


def tune(channel: int, key: int, pitch: float, held: bool = False) -> Messages:
    """Key 0…127 of a channel sounds at `pitch`, a fractional MIDI note; with `held`, where it sounds already too."""
    row = message(Kind.TUNE, channel=channel, number=key, value=pitch)
    row["option"] = int(held)
    return row


# ---- how pitches are written ----


def _pitch(three: bytes) -> float | None:
    """A semitone and 14 bits of its fraction; None: no change."""
    if tuple(three) == _NO_CHANGE:
        return None
    return three[0] + (three[1] << 7 | three[2]) / 16384.0


def _key_pitches(data: bytes, before: Pitches) -> Pitches | None:
    if len(data) < 3 * KEYS:
        return None
    found = (_pitch(data[3 * key : 3 * key + 3]) for key in range(KEYS))
    return np.array([before[key] if pitch is None else pitch for key, pitch in enumerate(found)])


def _octave(cents: Iterator[float]) -> Pitches:
    """Twelve deviations from equal temperament, from C on, in every octave."""
    return np.arange(KEYS) + np.resize(np.array(list(cents)), KEYS) / 100.0


def _coarse_octave(data: bytes, before: Pitches) -> Pitches | None:
    """A byte a note: -64 to 63 cents."""
    return _octave(byte - 64.0 for byte in data[:12]) if len(data) >= 12 else None


def _fine_octave(data: bytes, before: Pitches) -> Pitches | None:
    """Two bytes a note: -100 to 100 cents."""
    if len(data) < 24:
        return None
    return _octave(((data[at] << 7 | data[at + 1]) - 8192) / 81.92 for at in range(0, 24, 2))


_DUMPS = {0x04: _key_pitches, 0x05: _coarse_octave, 0x06: _fine_octave}
_OCTAVES = {0x08: _coarse_octave, 0x09: _fine_octave}
