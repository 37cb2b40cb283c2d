"""The notes of a piece: when each begins and ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsynth.io.midi_files import MidiPiece
from rtsynth.messages import Kind

DRUMS = 9  # channel 10 of General MIDI


def sounding(piece: MidiPiece) -> NDArray[np.float64]:
    """(N, 3) in order of their begins: begin and end as the piece's times are, and key.

    As the keys are held: pedals and drums are left out. A key struck again while it is held ends the note before.
    """
    held: dict[tuple[int, int], float] = {}
    found: list[tuple[float, float, int]] = []
    for time, row in zip(piece.times.tolist(), piece.messages, strict=True):
        kind, channel, key = row["kind"], int(row["channel"]), int(row["number"])
        if kind in (Kind.NOTE_ON, Kind.NOTE_OFF) and channel != DRUMS:
            if (channel, key) in held:
                found.append((held.pop((channel, key)), time, key))
            if kind == Kind.NOTE_ON:
                held[channel, key] = time
    found += [(begin, piece.seconds, key) for (_, key), begin in held.items()]
    return np.array(sorted(found), float).reshape(-1, 3)
