"""Messages: what is played and turned, stamped in samples. Free to every room; `native/message.h` is the same in C.

A message's `time` is counted in samples since the engine's first block. `value` is a velocity in 0…1 for notes,
the 7-bit number for controllers and programs, -1…1 for the pitch wheel, linear gain for `GAIN`. `option` is 0, but
1 for a `TUNE` that held notes follow too, and the length of a `FADE`.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Kind(IntEnum):
    """The `kind` of a message; numbers are shared with the compiled loops and with C."""

    NOTE_OFF = 0
    NOTE_ON = 1
    CONTROL = 2
    BEND = 3
    PROGRAM = 4
    CHANNEL_PRESSURE = 5
    KEY_PRESSURE = 6
    RESET = (
        7  # every voice off at once, every controller to its default; sent by the engine's own NaN guard too
    )
    TUNE = 8  # key `number` of the channel sounds at `value`, a fractional MIDI note re A4 = 440 Hz; NaN: not at all
    SWAP = 9  # new notes of the channel go to the instrument in place `number` of a rack; -1: to none
    GAIN = 16  # the engine's master gain; never reaches a source
    FADE = 17  # nor does this: its fade to `value`, 0 or 1, over `option` samples; `number` 1: from silence


ALL_SOURCES = -1

MESSAGE = np.dtype(
    [
        ("time", np.int64),  # samples
        ("value", np.float32),
        ("number", np.int16),  # note or controller
        ("kind", np.uint8),
        ("channel", np.uint8),  # 0…15
        ("source", np.int32),  # index in the engine's source list, or ALL_SOURCES
        ("option", np.int32),
    ]
)
assert MESSAGE.itemsize == 24

Messages = NDArray[np.void]


def message(
    kind: Kind,
    time: int = 0,
    channel: int = 0,
    number: int = 0,
    value: float = 0.0,
    source: int = ALL_SOURCES,
) -> Messages:
    """One message, as an array of shape (1,)."""
    return np.array([(time, value, number, kind, channel, source, 0)], dtype=MESSAGE)


def sort_by_time(messages: Messages) -> Messages:
    """A copy in order of `time`; messages of one time keep their order."""
    return messages[np.argsort(messages["time"], kind="stable")]


def from_notes(notes: list[tuple[float, int, float, float]], sample_rate: float) -> Messages:
    """Note-on and note-off messages for notes = [(start, note, velocity 0…1, duration), …], times in seconds."""
    rows: list[Messages] = []
    for start, note, velocity, duration in notes:
        if not 0 <= note <= 127 or not 0 < velocity <= 1 or start < 0 or duration < 0:
            raise ValueError(
                f"note {(start, note, velocity, duration)}: want times >= 0 s, note 0…127, velocity in (0, 1]"
            )
        on = round(start * sample_rate)
        off = max(on + 1, round((start + duration) * sample_rate))
        rows.append(message(Kind.NOTE_OFF, off, number=int(note), value=0.5))
        rows.append(message(Kind.NOTE_ON, on, number=int(note), value=velocity))
    if not rows:
        return np.empty(0, MESSAGE)
    # Offs are listed before ons, so that a note ending where the same key starts again does not cut the new one.
    return sort_by_time(np.concatenate(rows[0::2] + rows[1::2]))
